//! `megasim check` and `megasim diff` from the outside.

use crate::engine_data::engine_data;
use assert_cmd::Command;
use predicates::prelude::*;
use predicates::str::contains;
use std::fs;
use std::path::{Path, PathBuf};

fn data(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(path)
}

fn megasim(arguments: &[&Path]) -> assert_cmd::assert::Assert {
    Command::cargo_bin("megasim").unwrap().args(arguments).assert()
}

fn check(schematic: &Path) -> assert_cmd::assert::Assert {
    megasim(&[Path::new("check"), schematic])
}

fn diff(first: &Path, second: &Path, tolerance: &str) -> assert_cmd::assert::Assert {
    megasim(&[Path::new("diff"), first, second, Path::new("--tolerance"), Path::new(tolerance)])
}

/// A directory of files.
fn directory(files: &[(&str, &str)]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(directory.path().join(name), text).unwrap();
    }
    directory
}

#[test]
fn check_tells_what_a_sound_directory_holds() {
    check(&data("netfiles/toolbox-mlp-mixed-bias-batch/megasim.sch"))
        .success()
        .stdout(contains("0 faults, 2 warnings"))
        .stdout(contains("{reset_event}: resets 10, samples 10, ticks up to a reset 11"))
        .stdout(contains("input names beyond n_in_ports (2): on {reset_event} only resets and controls act").count(2))
        .stdout(contains("nodes that no module reads (the outputs): 2Dense_10"));
}

#[test]
fn check_tells_every_fault_with_its_line() {
    check(&data("netfiles/toolbox-cnn-malformed/megasim.sch"))
        .code(1)
        .stdout(contains("found 1 integer\n").count(8))
        .stdout(contains("found 8 integers\n").count(2))
        .stdout(contains("         27 | 3992635\n            | ^^^^^^^\n"))
        .stdout(contains("10 faults, 0 warnings"));
    check(&data("nowhere.sch")).code(1).stdout(contains("cannot be read: No such file"));
}

const HEAD: &str = ".integers\nn_in_ports 1\nn_out_ports 1\ndelay_to_process 0\ndelay_to_ack 0\nfifo_depth 0\n\
    n_repeat 1\ndelay_to_repeat 0\n";

/// One neuron behind two addresses, fed by a source and by itself, with weights near the limit.
fn loop_of_one(stimulus: &str) -> tempfile::TempDir {
    let parameters = format!(
        "{}population_size 1\nNy_array 1\nXmin 0\nYmin 0\nTHplus 2000000000\nTHplusInfo 1\nTHminus -5\nTHminusInfo 0\n\
         Reset_to_reminder 1\nMembReset 0\nTLplus 0\nTLminus 0\nTmin 0\nT_Refract 0\n\
         Nx_array_pre 2\nNy_array_pre 1\n1000000000\n-1\nNx_array_pre 1\nNy_array_pre 1\n7\n\
         crop_xmin 0\ncrop_xmax 0\ncrop_ymin 0\ncrop_ymax 0\nxshift_pre 0\nyshift_pre 0\nx_subsmp 1\ny_subsmp 1\n\
         xshift_pos 0\n\
         yshift_pos 0\nrectify 0\n.floats\n",
        HEAD.replace("n_in_ports 1", "n_in_ports 2")
    );
    directory(&[
        (
            "n.sch",
            ".netlist\nsource {in} in.stim\nsource {idle} idle.stim\nmodule_fully_connected {in,out}{out} o.prm \
                o.stt\n.options\nTmax=9\n",
        ),
        ("in.stim", stimulus),
        ("idle.stim", "3 -1 -1 0 0 1\n10 -1 -1 0 0 1\n"),
        ("o.prm", &parameters),
        ("o.stt", ".integers\ntime_busy_initial 0\n.floats\n"),
    ])
}

#[test]
fn check_foresees_a_run() {
    check(&loop_of_one("0 -1 -1 1 0 1\n4 -1 -1 0 -2 -2\n").path().join("n.sch"))
        .success()
        .stdout(contains("one event can move a potential of {out} by 1000000000, from its threshold beyond 32 bits"))
        .stdout(contains("a loop in which time cannot advance").and(contains("T_Refract): out")))
        .stdout(contains("sources that no module reads: idle"))
        .stdout(contains("idle.stim: 1 of 2 events come after Tmax and are not sent"))
        .stdout(contains("{in}: resets 1, samples 1, ticks up to a reset 5"));
    check(&loop_of_one("0 -1 -1 2 0 1\n").path().join("n.sch"))
        .code(1)
        .stdout(contains("{in} carries spikes at x 2..2, y 0..0, but port 0 of {out} has 2 x 1 addresses"));
}

#[test]
fn diff_of_equal_runs() {
    let engine = engine_data();
    let run = engine.path().join("net12/event");
    diff(&run, &run, "0").success().stdout("7 nodes, 838 and 838 events: equal\n");
}

/// Whether a table has a row of these cells, which hold no spaces.
fn has_row(cells: &str) -> impl Predicate<str> {
    predicate::function(move |text: &str| {
        let is_border = |character| "│┆ ".contains(character);
        text.lines().any(|line| line.split(is_border).filter(|cell| !cell.is_empty()).eq(cells.split(' ')))
    })
}

#[test]
fn diff_finds_what_was_changed() {
    let first = directory(&[("node_a.evs", "1 1 1 0 0 1\n5 5 6 2 3 -1\n9 9 9 4 0 1\n"), ("node_b.evs", "")]);
    let second = directory(&[("node_a.evs", "1 1 1 0 0 1\n6 6 6 2 3 -1\n9 9 9 4 0 1\n"), ("node_b.evs", "")]);
    diff(first.path(), second.path(), "0")
        .code(1)
        .stdout(contains("first difference: node {a}, time 5, negative spike at address (2, 3), only in "))
        .stdout(contains("`5 5 6 2 3 -1` (event 2)"))
        .stdout(contains("2 nodes, 3 and 3 events: different"))
        .stdout(has_row("total 3 3 2 0 1 1"));
    diff(first.path(), second.path(), "1")
        .success()
        .stdout(contains(
            "time 5, negative spike at address (2, 3), shifted: `5 5 6 2 3 -1` (event 2) and `6 6 6 2 3 -1` (event 2)",
        ))
        .stdout(has_row("total 3 3 2 1 0 0"))
        .stdout(contains("equal within the tolerance"));
}

#[test]
fn diff_tells_nodes_that_one_side_lacks() {
    let first = directory(&[("node_a.evs", ""), ("node_b.evs", "")]);
    let second = directory(&[("node_a.evs", "")]);
    diff(first.path(), second.path(), "5")
        .code(1)
        .stdout(contains(format!("{} has no file of node {{b}}", second.path().display())));
    diff(second.path(), first.path(), "0").code(1).stdout(contains("has no file of node {b}"));
}

#[test]
fn diff_of_another_order() {
    let first = directory(&[("node_a.evs", "1 1 1 0 0 1\n1 1 1 7 0 1\n")]);
    let second = directory(&[("node_a.evs", "1 1 1 7 0 1\n1 1 1 0 0 1\n")]);
    diff(first.path(), second.path(), "0").code(1).stdout(contains("another order: `1 1 1 0 0 1` (event 1)"));
    diff(first.path(), second.path(), "1").success();
}

#[test]
fn diff_refuses_what_is_no_run() {
    let empty = directory(&[]);
    let bad = directory(&[("node_a.evs", "1 1 1 0 0 1\n1 1 x 0 0 1\n")]);
    let engine = engine_data();
    let run = engine.path().join("net12/event");
    diff(empty.path(), &run, "0").code(1).stderr(contains("found none"));
    diff(bad.path(), &run, "0").code(1).stderr(contains("node_a.evs:2"));
    diff(&run, &run.join("nowhere"), "0").code(1).stderr(contains("cannot be read"));
    diff(&run, &run, "-1").code(2);
    megasim(&[Path::new("diff"), &run]).code(2);
}
