//! `megasim hardware` from outside.

use assert_cmd::Command;
use megasim::hardware::SHIPPED;
use predicates::prelude::*;
use predicates::str::contains;
use std::fs;
use std::path::Path;

fn megasim(arguments: &[&str], directory: &Path) -> assert_cmd::assert::Assert {
    Command::cargo_bin("megasim").unwrap().args(arguments).current_dir(directory).assert()
}

#[test]
fn machines_are_listed_and_printed() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let mut list = megasim(&["hardware"], here).success();
    for (name, text) in SHIPPED {
        list = list.stdout(contains(name));
        megasim(&["hardware", name], here).success().stdout(text);
    }
    megasim(&["hardware", "loihu"], here)
        .code(1)
        .stderr(contains("expected a shipped machine (ideal, serial-aer, loihi"));
}

#[test]
fn a_printed_machine_is_a_file_that_fits() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let netfiles = Path::new(env!("CARGO_MANIFEST_DIR")).join("netfiles/two-neurons/megasim.sch");
    let subject = netfiles.to_str().unwrap();
    let loihi = megasim(&["hardware", "loihi"], here).success().get_output().stdout.clone();
    fs::write(here.join("mine.toml"), &loihi).unwrap();
    let check = ["hardware", "check", "mine.toml", "--for", subject];
    megasim(&check, here).success().stdout(contains("loihi fits: 2 modules"));
    // What does not match is said, and refused where that is asked for; what would is named.
    let text = String::from_utf8(loihi).unwrap() + "[layer.exitatory]\nfifo_depth = 2\n";
    fs::write(here.join("mine.toml"), text).unwrap();
    let said = contains("no layer matches `exitatory`; did you mean `excitatory`?").and(contains("loihi fits"));
    megasim(&check, here).success().stdout(said);
    megasim(&[&check[..], &["--strict"]].concat(), here).code(1).stderr(contains("did you mean `excitatory`?"));
    fs::write(here.join("small.toml"), "[mesh]\ncolumns = 1\nrows = 1\n").unwrap();
    let small = ["hardware", "check", "small.toml", "--for", subject];
    megasim(&small, here)
        .code(1)
        .stdout(contains("small does not fit"))
        .stderr(contains("modules_per_tile = 2 would do"));
    // A study warns, or refuses.
    let study = ["latency", subject, "--hardware", "mine.toml"];
    megasim(&study, here).success().stderr(contains("no layer matches `exitatory`"));
    megasim(&[&study[..], &["--strict"]].concat(), here).code(1).stderr(contains("no layer matches `exitatory`"));
}
