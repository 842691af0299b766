//! What there is to choose from: files and directories that commands take.

use serde::Serialize;
use std::fs;
use std::path::{Path, PathBuf};

/// How deep directories are looked through.
const DEPTH: usize = 3;

/// Most entries that are looked at.
const MOST: usize = 5000;

/// Endings of models.
const MODELS: &[&str] =
    &["keras", "h5", "hdf5", "onnx", "nir", "caffemodel", "prototxt", "pth", "pt", "safetensors", "json"];

/// Files of which a directory of data has one.
const DATA: &[&str] = &[
    "test.npz",
    "x_test.npz",
    "x_test.npy",
    "t10k-images-idx3-ubyte",
    "t10k-images-idx3-ubyte.gz",
    "test_batch",
    "test",
];

/// Directories without data.
const SKIPPED: &[&str] = &["target", "node_modules", "__pycache__", "venv"];

/// Paths, relative to the directory.
#[derive(Debug, Default, Serialize)]
pub struct Suggestions {
    /// Files of trained or spiking networks.
    pub models: Vec<String>,
    /// Directories of samples, and files with spike trains.
    pub data: Vec<String>,
    /// Directories that `convert` wrote, the newest first.
    pub netdirs: Vec<String>,
    /// Settings.
    pub settings: Vec<String>,
}

/// Looks through a directory.
pub fn suggestions(directory: &Path) -> Suggestions {
    let mut found = Suggestions::default();
    let mut netdirs = Vec::new();
    let mut open = vec![(directory.to_path_buf(), 0)];
    let mut seen = 0;
    while let Some((folder, depth)) = open.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        let mut entries: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        entries.sort();
        if folder.join("megasim.json").is_file() {
            let changed = fs::metadata(folder.join("megasim.json")).and_then(|file| file.modified()).ok();
            netdirs.push((changed, relative(directory, &folder)));
            // What is in it belongs to it.
            continue;
        }
        if depth > 0 && DATA.iter().any(|name| folder.join(name).exists()) {
            found.data.push(relative(directory, &folder));
        }
        for path in entries {
            seen += 1;
            if seen > MOST {
                break;
            }
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if name.starts_with('.') || SKIPPED.contains(&&name[..]) || path.is_symlink() {
                continue;
            }
            if path.is_dir() {
                if depth < DEPTH {
                    open.push((path, depth + 1));
                }
                continue;
            }
            let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase()).unwrap_or_default();
            let is_architecture = ending != "json" || fs::metadata(&path).is_ok_and(|file| file.len() > 1 << 16);
            if MODELS.contains(&&ending[..]) && is_architecture {
                found.models.push(relative(directory, &path));
            }
            if ending == "nir" {
                found.data.push(relative(directory, &path));
            }
            if ending == "toml" && fs::read_to_string(&path).is_ok_and(|text| text.contains("[arguments]")) {
                found.settings.push(relative(directory, &path));
            }
        }
    }
    netdirs.sort_by(|one, other| other.0.cmp(&one.0).then(one.1.cmp(&other.1)));
    found.netdirs = netdirs.into_iter().map(|(_, path)| path).collect();
    found.models.sort();
    found.data.sort();
    found.settings.sort();
    found
}

fn relative(directory: &Path, path: &Path) -> String {
    let path = path.strip_prefix(directory).unwrap_or(path);
    if path.as_os_str().is_empty() { ".".into() } else { path.to_string_lossy().into_owned() }
}
