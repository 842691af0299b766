//! A write to standard output that failed is an error; a reader that goes away is not.

use crate::common::*;
use predicates::prelude::*;
use std::fs::OpenOptions;
use std::path::Path;
use std::process::Command;

const COMMANDS: [&[&str]; 14] = [
    &["--help"],
    &["--version"],
    &["convert", "--help"],
    &["check", "net/megasim.sch"],
    &["diff", "events", "events"],
    &["inspect", MODEL],
    &["eval", MODEL, "--data", DATA, "--samples", "9"],
    &["classify", "net", "--data", DATA, "--samples", "3"],
    &["compare", "net", "--data", DATA, "--samples", "3"],
    &["latency", "net", "--data", DATA, "--samples", "3"],
    &["run", "net/megasim.sch", "--out", "out", "--force"],
    &["encode", DATA, "--out", "a.stim", "--force"],
    &["train", "digits.toml", "--data", DATA, "--samples", "20", "--out", "model.npz", "--force"],
    &["features", "model.npz", "--data", DATA, "--samples", "9", "--out", "features.npz", "--force"],
];

fn program(here: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin("megasim"));
    command.current_dir(here).args(arguments);
    command
}

fn place() -> tempfile::TempDir {
    let place = with_net();
    description(place.path());
    megasim(place.path(), &["run", "net/megasim.sch", "--out", "events"]).assert().success();
    place
}

#[test]
fn a_full_device_is_an_error() {
    let place = place();
    for arguments in COMMANDS {
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = program(place.path(), arguments).stdout(full).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {text}");
        assert!(text.contains("standard output: cannot be written"), "{arguments:?}: {text}");
        let panicked = predicates::str::contains("panicked");
        assert!(!panicked.eval(&text), "{arguments:?}: {text}");
    }
    // Results in files are complete all the same.
    assert!(place.path().join("out/run.json").exists() && place.path().join("features.npz").exists());
}

#[test]
fn a_reader_that_goes_away_is_no_fault() {
    let place = place();
    for arguments in COMMANDS {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = program(place.path(), arguments).stdout(writer).output().unwrap();
        // Little is learnt from a few samples, and said.
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(text.lines().all(|line| line.starts_with("warning: layer 1: ")), "{arguments:?}: {text}");
        // As a shell shows a tool that SIGPIPE ended.
        assert_eq!(output.status.code(), Some(141), "{arguments:?}");
    }
}

#[test]
fn a_full_standard_error_does_not_panic() {
    let place = with_net();
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let status = program(place.path(), &["check", "no-such-file.sch"]).stderr(full).status().unwrap();
    assert_eq!(status.code(), Some(1));
}
