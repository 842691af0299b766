//! A directory with a network, a model and data, made once, and the program.

use assert_cmd::Command;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// The files of the repository's small example.
pub const MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/digits/digits_cnn.keras");
/// A spiking network.
pub const NIR: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/nir/sinabs_groups.nir");
/// The data of the example.
pub const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/digits");

static NET: LazyLock<tempfile::TempDir> = LazyLock::new(|| {
    let place = tempfile::tempdir().unwrap();
    megasim(place.path(), &["convert", MODEL, "--data", DATA, "--preset", "toolbox", "--out", "net"])
        .assert()
        .success();
    place
});

/// The program in a directory.
pub fn megasim(here: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::cargo_bin("megasim").unwrap();
    command.current_dir(here).args(arguments);
    command
}

/// An empty directory with a converted network `net` in it.
pub fn with_net() -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    copy(&NET.path().join("net"), &place.path().join("net"));
    place
}

/// A copy of a directory.
pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Every file below a directory with its content; links are not followed.
pub fn content(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(directory).into_iter().flatten() {
        let entry = entry.unwrap();
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            files.extend(content(&entry.path()));
        } else if kind.is_file() {
            files.insert(entry.path(), fs::read(entry.path()).unwrap());
        }
    }
    files
}

/// Hidden names of this program that are left in a directory and below it.
pub fn leftovers(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.file_name().unwrap().to_string_lossy().contains(".megasim-") {
            found.push(path.clone());
        }
        if path.is_dir() && !path.is_symlink() {
            found.extend(leftovers(&path));
        }
    }
    found
}

/// A description of a small network for `train` on the digits of 8 x 8 pixels.
pub const DESCRIPTION: &str = r#"
name = "digits"
[input]
height = 8
width = 8
[encoding]
kernels = [
  { dog = { window_size = 3, sigma1 = 0.5, sigma2 = 1.0 } },
  { dog = { window_size = 3, sigma1 = 1.0, sigma2 = 0.5 } },
]
padding = 1
thresholds = 1.0
time_steps = 10
[[layer]]
type = "convolution"
maps = 8
kernel_size = 3
padding = 1
weight_std = 0.05
threshold = 3.0
[layer.learning]
rule = "stdp"
passes = 2
learning_rate = [0.05, -0.04]
kwta = 2
inhibition_radius = 2
schedule = { every = 100 }
"#;

/// The description as a file.
pub fn description(here: &Path) {
    fs::write(here.join("digits.toml"), DESCRIPTION).unwrap();
}
