//! The ready-made networks do what their README files say.

use assert_cmd::Command;
use std::fs;
use std::path::{Path, PathBuf};

fn netfiles(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("netfiles").join(name)
}

/// Runs a ready-made network into its own directory.
fn run(name: &str, options: &[&str]) -> tempfile::TempDir {
    let parent = tempfile::tempdir().unwrap();
    Command::cargo_bin("megasim")
        .unwrap()
        .arg("run")
        .arg(netfiles(name).join("megasim.sch"))
        .arg("--out")
        .arg(parent.path().join("out"))
        .args(options)
        .assert()
        .success();
    parent
}

fn events(run: &tempfile::TempDir, node: &str) -> String {
    fs::read_to_string(run.path().join("out").join(format!("node_{node}.evs"))).unwrap()
}

/// Times of a node's events: when each was made and when it was requested.
fn times(run: &tempfile::TempDir, node: &str) -> Vec<(u64, u64)> {
    let field = |line: &str, k: usize| line.split(' ').nth(k).unwrap().parse().unwrap();
    events(run, node).lines().map(|line| (field(line, 0), field(line, 1))).collect()
}

#[test]
fn two_neurons_as_worked_out_by_hand() {
    for (mode, options) in [("event", &[][..]), ("clocked", &["--clocked"][..])] {
        let run = run("two-neurons", options);
        for node in ["input", "excitatory", "inhibitory"] {
            let expected = netfiles("two-neurons").join("expected").join(mode).join(format!("node_{node}.evs"));
            assert_eq!(events(&run, node), fs::read_to_string(expected).unwrap(), "{mode} {node}");
        }
    }
}

#[test]
fn two_neurons_tables_of_the_readme_hold_the_expected_files() {
    let readme = fs::read_to_string(netfiles("two-neurons").join("README.md")).unwrap();
    for node in ["input", "excitatory", "inhibitory"] {
        let file = netfiles("two-neurons").join(format!("expected/event/node_{node}.evs"));
        for line in fs::read_to_string(file).unwrap().lines() {
            assert!(readme.contains(line), "{node}: {line}");
        }
    }
}

#[test]
fn two_neurons_without_fifo_hold_up_the_input() {
    let run = run("two-neurons", &["--set", "excitatory.fifo_depth=0"]);
    let made: Vec<u64> = times(&run, "excitatory").iter().map(|&(made, _)| made).collect();
    assert_eq!(made, [4, 8, 10, 14]);
    let input = times(&run, "input");
    assert!(input.contains(&(3, 5)) && input.contains(&(7, 13)), "{input:?}");
}

#[test]
fn two_neurons_with_a_slow_inhibition() {
    let run = run("two-neurons", &["--set", "inhibitory.delay_to_process=20"]);
    assert_eq!(times(&run, "excitatory").len(), 6);
    assert_eq!(times(&run, "inhibitory").len(), 0);
}

#[test]
fn winner_changes_with_the_strongest_input() {
    for options in [&[][..], &["--clocked"][..]] {
        let run = run("winner-takes-all", options);
        let mut spikes = [[0; 5]; 2];
        for line in events(&run, "rivals").lines() {
            let fields: Vec<usize> = line.split(' ').take(4).map(|field| field.parse().unwrap()).collect();
            spikes[fields[0] / 1000][fields[3]] += 1;
        }
        assert_eq!(spikes, [[0, 24, 0, 0, 0], [0, 3, 0, 22, 0]], "{options:?}");
    }
}

#[test]
fn a_slow_winner_leaves_input_pending() {
    let run = run("winner-takes-all", &["--set", "rivals.delay_to_process=5"]);
    let input = times(&run, "input");
    assert_eq!(input.len(), 402);
    assert_eq!(input.last(), Some(&(959, 2096)));
}
