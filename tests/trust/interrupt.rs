//! Ctrl-C: what was done is printed, or a clear word, and nothing is half-written.

use crate::common::*;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

fn start(here: &Path, arguments: &[&str]) -> Child {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin("megasim"));
    command.current_dir(here).args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// Sends a signal after a time, and waits.
fn interrupted(mut child: Child, signal: &str, milliseconds: u64) -> Output {
    std::thread::sleep(Duration::from_millis(milliseconds));
    if child.try_wait().unwrap().is_none() {
        let _ = Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
    }
    child.wait_with_output().unwrap()
}

/// Long enough for a signal to come in the middle.
const COMMANDS: [(&[&str], &[&str]); 6] = [
    (&["convert", MODEL, "--data", DATA, "--preset", "toolbox", "--out", "new"], &["new"]),
    (&["run", "net/megasim.sch", "--out", "new"], &["new"]),
    (&["encode", DATA, "--out", "a.stim", "--samples", "400", "--duration", "1000"], &["a.stim"]),
    (&["eval", MODEL, "--data", DATA, "--json", "a.json"], &["a.json"]),
    (&["classify", "net", "--data", DATA, "--duration", "1000", "--json", "a.json"], &["a.json"]),
    (&["train", "digits.toml", "--data", DATA, "--out", "model.npz"], &["model.npz"]),
];

#[test]
fn nothing_is_half_written_at_any_time() {
    for (arguments, results) in COMMANDS {
        for signal in ["-INT", "-TERM"] {
            for milliseconds in [5, 20, 60, 150, 400] {
                let place = with_net();
                let here = place.path();
                description(here);
                let output = interrupted(start(here, arguments), signal, milliseconds);
                let what = format!("{arguments:?} {signal} {milliseconds} {output:?}");
                assert_eq!(leftovers(here), Vec::<PathBuf>::new(), "{what}");
                let is_study = ["classify", "train"].contains(&arguments[0]);
                let text = String::from_utf8_lossy(&output.stderr);
                match output.status.code() {
                    Some(0) => assert!(results.iter().all(|result| here.join(result).exists()), "{what}"),
                    // The signal before the program had its first look at it.
                    None => assert!(results.iter().all(|result| !here.join(result).exists()), "{what}"),
                    Some(1) if is_study => assert!(text.contains("stopped before"), "{what}"),
                    Some(130 | 143) => assert!(text.contains("interrupted"), "{what}"),
                    _ => panic!("{what}"),
                }
            }
        }
    }
}

/// The moment at which files are about to be written into a temporary directory that the signal takes away.
#[test]
fn a_signal_as_soon_as_there_is_a_temporary_directory_leaves_nothing() {
    // The shell's own `kill` is fast enough; another process would come after the first files.
    const WATCH: &str = "until [ -e .new.megasim-new ]; do :; done; kill -TERM $0";
    let files = |here: &Path| {
        let entries = std::fs::read_dir(here.join("new")).unwrap();
        entries.map(|entry| entry.unwrap().file_name()).collect::<BTreeSet<_>>()
    };
    let place = tempfile::tempdir().unwrap();
    assert!(start(place.path(), COMMANDS[0].0).wait_with_output().unwrap().status.success());
    let all = files(place.path());
    for _ in 0..40 {
        let place = tempfile::tempdir().unwrap();
        let here = place.path();
        let child = start(here, COMMANDS[0].0);
        let mut shell = Command::new("sh");
        shell.current_dir(here).args(["-c", WATCH, &child.id().to_string()]).stderr(Stdio::null());
        let mut shell = shell.spawn().unwrap();
        let output = child.wait_with_output().unwrap();
        let _ = shell.kill();
        shell.wait().unwrap();
        assert!([Some(0), Some(143)].contains(&output.status.code()), "{output:?}");
        assert_eq!(leftovers(here), Vec::<PathBuf>::new(), "{output:?}");
        // A signal that comes behind the last file ends the program, whose result is there.
        assert!(here.join("new").exists() || !output.status.success(), "{output:?}");
        assert!(!here.join("new").exists() || files(here) == all, "{output:?}");
    }
}

#[test]
fn classify_prints_the_samples_that_were_done() {
    let place = with_net();
    let here = place.path();
    let arguments = ["classify", "net", "--data", DATA, "--duration", "20000", "--mode", "event", "--json", "a.json"];
    // As long as it takes for the first samples, however slow the machine is.
    for milliseconds in [300, 1000, 3000, 10_000, 30_000] {
        let output = interrupted(start(here, &arguments), "-INT", milliseconds);
        if output.status.success() {
            let figures: serde_json::Value =
                serde_json::from_slice(&std::fs::read(here.join("a.json")).unwrap()).unwrap();
            let record: serde_json::Value =
                serde_json::from_slice(&std::fs::read(here.join("run.json")).unwrap()).unwrap();
            let n = figures["samples"].as_u64().unwrap();
            assert!((1..=450).contains(&n));
            assert_eq!(record["parameters"]["samples"], n);
            assert_eq!(record["interrupted"] == true, String::from_utf8_lossy(&output.stderr).contains("stopping"));
            let text = String::from_utf8(output.stdout).unwrap();
            assert!(text.contains(&if n == 1 { "1 sample".into() } else { format!("{n} samples") }), "{text}");
            // The record of a stopped run is about the samples that were done.
            if n < 450 {
                megasim(here, &["rerun", "."]).assert().success();
            }
            return;
        }
    }
    panic!("no sample in half a minute");
}

#[test]
fn training_goes_on_from_where_it_was_stopped() {
    let place = with_net();
    let here = place.path();
    description(here);
    let train = ["train", "digits.toml", "--data", DATA, "--out"];
    megasim(here, &[&train[..], &["whole.npz"]].concat()).assert().success();
    let output = interrupted(start(here, &[&train[..], &["part.npz"]].concat()), "-INT", 150);
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(!here.join("part.npz").exists(), "{text}");
        let resume = if here.join("part.npz.checkpoint").exists() {
            assert!(text.contains("--resume"), "{text}");
            &["part.npz", "--resume"][..]
        } else {
            &["part.npz"]
        };
        megasim(here, &[&train[..], resume].concat()).assert().success();
    }
    assert_eq!(std::fs::read(here.join("whole.npz")).unwrap(), std::fs::read(here.join("part.npz")).unwrap());
}
