//! What users mistake: each is refused with what was expected, what was found, and what to do.

use assert_cmd::Command;
use predicates::prelude::*;
use predicates::str::contains;
use std::path::Path;
use tempfile::TempDir;

const DIGITS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/digits");
const MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/digits/digits_cnn.keras");

fn refused(here: &Path, code: i32, arguments: &[&str], message: &str) {
    let assert = Command::cargo_bin("megasim").unwrap().args(arguments).current_dir(here).assert();
    assert.code(code).stderr(contains(message));
}

/// A directory with a converted network, `net`.
fn converted() -> TempDir {
    let here = TempDir::new().unwrap();
    let arguments = ["convert", MODEL, "--data", DIGITS, "--duration", "5", "--out", "net"];
    Command::cargo_bin("megasim").unwrap().args(arguments).current_dir(here.path()).assert().success();
    here
}

#[test]
fn what_is_no_number_is_told_which_numbers_there_are() {
    let here = TempDir::new().unwrap();
    let classify = |option, message| refused(here.path(), 2, &["classify", "net", option], message);
    classify("--duration=0.5", "error: invalid value '0.5' for '--duration <MS>': expected a whole number\n");
    classify("--seed=", "error: invalid value '' for '--seed <S>': expected a whole number\n");
    classify("--seed=-5", "error: invalid value '-5' for '--seed <S>': expected a whole number from 0 on\n");
    classify("--seed=99999999999999999999", "for '--seed <S>': expected a whole number nearer to 0\n");
}

#[test]
fn what_is_left_out_of_figures_is_shorter_than_a_sample() {
    let here = converted();
    let latency = ["latency", "net", "--data", DIGITS, "--samples", "1", "--hardware", "serial-aer", "--warm-up"];
    refused(here.path(), 1, &[&latency[..], &["1000 ms"]].concat(), "--warm-up: expected less than a sample");
    let compare = ["compare", "net", "--data", DIGITS, "--samples", "1", "--warm-up", "5"];
    refused(here.path(), 1, &compare, "--warm-up: expected less than a sample, which is 5 ms long, found 5 ms");
}

#[test]
fn ticks_of_unknown_length_are_warned_of() {
    let here = converted();
    let on = |more: &[&str]| {
        let latency = ["latency", "net", "--data", DIGITS, "--samples", "1", "--relief", "0"];
        let mut command = Command::cargo_bin("megasim").unwrap();
        let output = command.current_dir(here.path()).args(latency).args(more).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stderr).unwrap().split_whitespace().collect::<Vec<_>>().join(" ")
    };
    on(&["--hardware", "serial-aer", "--trace", "log.csv"]);
    assert!(
        on(&["--calibrate", "log.csv"]).contains("ticks of the log are taken for those of the network, 100 us each")
    );
    assert!(!on(&["--hardware", "serial-aer", "--calibrate", "log.csv"]).contains("ticks of the log"));
    assert!(!on(&["--hardware", "loihi"]).contains("before the first barrier"));
}

#[test]
fn netfiles_without_a_record_of_a_conversion_are_named() {
    let here = converted();
    std::fs::remove_file(here.path().join("net/megasim.json")).unwrap();
    let message = "found netfiles without its megasim.json";
    refused(here.path(), 1, &["classify", "net", "--data", DIGITS], message);
}

#[test]
fn pages_end_in_html() {
    let here = converted();
    let message = "expected a name that ends in .html";
    for command in ["classify", "compare", "latency", "sweep"] {
        refused(here.path(), 2, &[command, "net", "--data", DIGITS, "--report", "page.txt"], message);
    }
    refused(here.path(), 2, &["report", "net", "--out", "page.txt"], message);
    assert!(!here.path().join("page.txt").exists());
}

#[test]
fn counts_are_whole_numbers_from_one_on() {
    let here = TempDir::new().unwrap();
    let message = "expected a whole number from 1 on";
    refused(here.path(), 2, &["classify", "net", "--data", DIGITS, "--top-k", "0"], message);
    refused(here.path(), 2, &["convert", MODEL, "--data", DIGITS, "--out", "net", "--max-count=-1"], message);
}

#[test]
fn a_missing_option_shows_the_usage_of_its_command() {
    let here = TempDir::new().unwrap();
    refused(here.path(), 2, &["convert", MODEL, "--out", "net"], "Usage: megasim convert");
}

#[test]
fn directories_are_not_files() {
    let here = converted();
    let here = here.path();
    refused(here, 1, &["run", "net", "--out", "events"], "its schematic is megasim.sch");
    refused(here, 1, &["eval", "net", "--data", DIGITS], "'megasim classify' runs");
    refused(here, 1, &["report", "net/megasim.json"], "net/megasim.json: expected a directory, found a file");
}

#[test]
fn damaged_archives_are_called_so() {
    let here = TempDir::new().unwrap();
    let whole = std::fs::read(MODEL).unwrap();
    std::fs::write(here.path().join("part.keras"), &whole[..whole.len() / 2]).unwrap();
    refused(here.path(), 1, &["eval", "part.keras", "--data", DIGITS], "damaged or incomplete");
}

#[test]
fn a_code_that_netfiles_were_not_made_for_is_a_warning() {
    let here = converted();
    let classify = |code: &str| {
        let arguments = ["classify", "net", "--data", DIGITS, "--samples", "2", "--encode", code];
        Command::cargo_bin("megasim").unwrap().args(arguments).current_dir(here.path()).assert().success()
    };
    classify("latency").stderr(contains("--encode latency: the netfiles were made for regular; 'megasim convert"));
    for code in ["regular", "poisson", "current"] {
        classify(code).stderr(contains("were made for").not());
    }
}

#[test]
fn a_step_is_no_longer_than_a_sample() {
    let here = converted();
    let message = "--dt: expected at most the 50 ticks of a sample (5 ms), found 51";
    for command in [&["classify", "--mode", "clocked"][..], &["compare"]] {
        let arguments = ["net", "--data", DIGITS, "--samples", "1", "--dt", "51"];
        refused(here.path(), 1, &[command, &arguments].concat(), message);
    }
}

#[test]
fn no_more_classes_than_there_are() {
    let here = converted();
    let message = "--top-k: expected at most the 10 classes, found 11";
    for [command, subject] in [["classify", "net"], ["eval", MODEL]] {
        refused(here.path(), 1, &[command, subject, "--data", DIGITS, "--top-k", "11"], message);
    }
}

#[test]
fn networks_that_are_not_there_are_named() {
    let here = converted();
    let compare = ["compare", "net", "--data", DIGITS, "--samples", "1", "--against", "missing"];
    refused(here.path(), 1, &compare, "missing: expected a schematic (.sch) or a netfile directory");
}
