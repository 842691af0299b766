//! Studies over ranks of MPI give the bytes of one process; needs `mpirun`, and the feature `mpi`.

use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

const MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/digits/digits_cnn.keras");
const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/digits");

fn program() -> std::path::PathBuf {
    assert_cmd::cargo::cargo_bin("megasim")
}

fn mpirun(here: &Path, ranks: &str, words: &[&str]) -> Command {
    let mut command = Command::new("mpirun");
    command.args(["-n", ranks, "--oversubscribe"]).arg(program()).args(words).current_dir(here);
    // Containers run as root.
    command.envs([("OMPI_ALLOW_RUN_AS_ROOT", "1"), ("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")]);
    command
}

fn succeeds(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn place() -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    let words = ["convert", MODEL, "--data", DATA, "--preset", "toolbox", "--out", "net"];
    succeeds(&Command::new(program()).args(words).current_dir(place.path()).output().unwrap());
    place
}

fn json(path: &Path) -> Value {
    let mut value: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    value.as_object_mut().unwrap().remove("seconds");
    value
}

#[rustfmt::skip]
const STUDIES: &[(&[&str], &str)] = &[
    (&["classify", "net", "--data", DATA, "--samples", "40", "--json", "a.json", "--report", "a.html"], "a.json"),
    (&["compare", "net", "--data", DATA, "--samples", "70", "--causes", "10", "--json", "a.json"], "a.json"),
    (&["latency", "net", "--data", DATA, "--samples", "12", "--hardware", "serial-aer", "--json", "a.json"], "a.json"),
    (&["sweep", "net", "--data", DATA, "--samples", "12", "--over", "duration=5,10", "--over", "weight-bits=4,8",
        "--out", "swept"], "swept/sweep.json"),
    (&["sweep", "net", "--data", DATA, "--samples", "6", "--hardware", "loihi", "--over", "pace=real,fastest",
        "--out", "swept"], "swept/sweep.json"),
    (&["verify", "net", "--data", DATA, "--samples", "4", "--orders", "2", "--json", "a.json"], "a.json"),
    (&["eval", MODEL, "--data", DATA, "--json", "a.json"], "a.json"),
];

fn clear(here: &Path) {
    for entry in fs::read_dir(here).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true if path.ends_with("net") => {}
            true => fs::remove_dir_all(path).unwrap(),
            false => fs::remove_file(path).unwrap(),
        }
    }
}

#[test]
fn ranks_give_what_one_process_gives() {
    let place = place();
    let here = place.path();
    for (words, result) in STUDIES {
        succeeds(&Command::new(program()).args(*words).current_dir(here).output().unwrap());
        let expected = json(&here.join(result));
        for ranks in ["2", "3"] {
            clear(here);
            succeeds(&mpirun(here, ranks, words).output().unwrap());
            assert_eq!(json(&here.join(result)), expected, "{words:?} on {ranks} ranks");
        }
        clear(here);
    }
}

#[test]
fn a_fault_ends_all_ranks() {
    let place = place();
    for words in [
        &["classify", "net", "--data", DATA, "--max-events", "10"][..],
        &["classify", "net", "--data", DATA, "--shard", "1/2", "--outcomes", "x"],
        &["check", "net/megasim.sch"],
    ] {
        let output = mpirun(place.path(), "2", words).output().unwrap();
        assert!(!output.status.success(), "{words:?}");
    }
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1);
}

#[test]
fn a_rank_that_dies_leaves_what_there_is() {
    let place = place();
    let here = place.path();
    let words = ["classify", "net", "--data", DATA, "--duration", "300", "--json", "a.json", "--threads", "1"];
    succeeds(&Command::new(program()).args(words).current_dir(here).output().unwrap());
    let expected = json(&here.join("a.json"));
    let all = [&words[..], &["--outcomes", "kept", "--force"]].concat();
    let mut child = mpirun(here, "2", &all).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let kept = here.join("kept/outcomes.bin");
    // Some outcomes, and not all: a run that ends earlier is no fault of the program.
    while fs::metadata(&kept).map_or(0, |it| it.len()) < 2000 && child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(5));
    }
    if let Some(worker) = rank_1_of(child.id()) {
        let _ = Command::new("kill").args(["-9", &worker]).status();
    }
    assert!(!child.wait().unwrap().success(), "the run was over before a rank was ended");
    assert!(!here.join("kept/run.json").exists());
    succeeds(&mpirun(here, "2", &all).output().unwrap());
    assert_eq!(json(&here.join("a.json")), expected);
}

/// The process of rank 1 below mpirun.
fn rank_1_of(parent: u32) -> Option<String> {
    let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).ok()?;
    let is_rank_1 = |process: &&str| {
        let environment = fs::read(format!("/proc/{process}/environ")).unwrap_or_default();
        environment.split(|&byte| byte == 0).any(|variable| variable == b"OMPI_COMM_WORLD_RANK=1")
    };
    children.split_whitespace().find(is_rank_1).map(String::from)
}
