//! `megasim convert --output`: what the output does, and what reads it.

use assert_cmd::Command;
use megasim::convert::{Manifest, OutputForm};
use predicates::prelude::*;
use predicates::str::contains;
use std::fs;
use std::path::{Path, PathBuf};

fn megasim(arguments: &[&str]) -> assert_cmd::assert::Assert {
    let mut command = Command::cargo_bin("megasim").unwrap();
    command.current_dir(env!("CARGO_MANIFEST_DIR")).args(arguments).assert()
}

const MODEL: &str = "examples/digits/digits_cnn.keras";
const DATA: &str = "examples/digits";

fn convert(folder: &Path, form: &str, more: &[&str]) -> PathBuf {
    let out = folder.join(form);
    let mut arguments =
        vec!["convert", MODEL, "--data", DATA, "--output", form, "--preset", "toolbox", "--out", out.to_str().unwrap()];
    arguments.extend(more);
    megasim(&arguments).success();
    out
}

/// Figures of `classify`, and what its record says of the read-out.
fn classify(netdir: &Path, more: &[&str]) -> (serde_json::Value, String) {
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("figures.json");
    let mut arguments = vec!["classify", netdir.to_str().unwrap(), "--data", DATA, "--json", json.to_str().unwrap()];
    arguments.extend(more);
    megasim(&arguments).success();
    let read = |path: PathBuf| -> serde_json::Value { serde_json::from_slice(&fs::read(path).unwrap()).unwrap() };
    let readout = read(folder.path().join("run.json"))["parameters"]["readout"].as_str().unwrap().to_string();
    (read(json), readout)
}

/// Events of a node in a run of a converted schematic: `(time, class, polarity)`.
fn events(netdir: &Path, node: &str) -> Vec<(i64, i64, i64)> {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    megasim(&["run", netdir.join("megasim.sch").to_str().unwrap(), "--out", out.to_str().unwrap()]).success();
    let text = fs::read_to_string(out.join(format!("node_{node}.evs"))).unwrap();
    let numbers = |line: &str| line.split(' ').map(|number| number.parse().unwrap()).collect::<Vec<i64>>();
    text.lines().map(numbers).map(|line| (line[1], line[3], line[5])).collect()
}

#[test]
fn each_form_is_read_as_it_has_to_be() {
    let folder = tempfile::tempdir().unwrap();
    for (name, form, readout) in [
        ("relu", OutputForm::Relu, "spike_count"),
        ("softmax", OutputForm::Softmax, "spike_count"),
        ("signed", OutputForm::Signed, "spike_count"),
        ("potential", OutputForm::Potential, "membrane_potential"),
    ] {
        let netdir = convert(folder.path(), name, &[]);
        assert_eq!(Manifest::read(&netdir).unwrap().output.form, form);
        let (figures, found) = classify(&netdir, &["--samples", "150"]);
        assert_eq!(found, readout, "{name}");
        for mode in ["event", "clocked"] {
            let difference = figures["accuracy"][mode].as_f64().unwrap() - figures["accuracy"]["ann"].as_f64().unwrap();
            assert!(difference.abs() < 0.03, "{name} {mode}: {figures:#}");
        }
    }
}

#[test]
fn a_softmax_spikes_once_at_each_event_of_its_clock() {
    let folder = tempfile::tempdir().unwrap();
    let netdir = convert(folder.path(), "softmax", &["--softmax-clock", "50"]);
    let clock: Vec<i64> = events(&netdir, "softmax_input").iter().map(|event| event.0).collect();
    assert_eq!(clock, [199, 399, 599, 799, 999]);
    let spikes = events(&netdir, "06Dense_10");
    assert_eq!(spikes.iter().map(|event| event.0).collect::<Vec<_>>(), clock);
    assert!(spikes.iter().all(|event| event.2 == 1));
    // The first spike is the first event of the clock.
    let (figures, _) = classify(&netdir, &["--samples", "10", "--readout", "first_spike"]);
    assert!((figures["decision_ms"]["event"].as_f64().unwrap() - 19.9).abs() < 1e-9, "{figures:#}");
}

#[test]
fn a_poisson_clock_is_the_same_in_both_modes_and_with_any_number_of_threads() {
    let folder = tempfile::tempdir().unwrap();
    let clock = |netdir: &Path| -> Vec<i64> { events(netdir, "softmax_input").iter().map(|event| event.0).collect() };
    let netdir = convert(folder.path(), "softmax", &["--softmax-clock", "poisson:300,seed=4"]);
    let first = clock(&netdir);
    assert!(first.windows(2).any(|pair| pair[1] - pair[0] != first[1] - first[0]), "{first:?}");
    let spikes: Vec<i64> = events(&netdir, "06Dense_10").iter().map(|event| event.0).collect();
    assert_eq!(spikes, first);
    let figures = |name: &str, threads: &str| {
        let json = folder.path().join(name).join("figures.json");
        fs::create_dir(json.parent().unwrap()).unwrap();
        let arguments = ["classify", netdir.to_str().unwrap(), "--data", DATA, "--json", json.to_str().unwrap()];
        megasim(&[&arguments[..], &["--samples", "40", "--readout", "first_spike", "--threads", threads]].concat())
            .success();
        let figures: serde_json::Value = serde_json::from_slice(&fs::read(json).unwrap()).unwrap();
        figures
    };
    let (one, four) = (figures("one", "1"), figures("four", "4"));
    assert_eq!(one["decision_ms"], four["decision_ms"]);
    assert_eq!(one["accuracy"], four["accuracy"]);
    // The first event of the clock decides, at the same time in both modes, and at another one in each sample.
    assert_eq!(one["decision_ms"]["event"], one["decision_ms"]["clocked"]);
    let mean = one["decision_ms"]["event"].as_f64().unwrap();
    assert!((mean - (first[0] as f64 / 10.0)).abs() > 1e-9 && (1.0..8.0).contains(&mean), "{mean}");
    let other = tempfile::tempdir().unwrap();
    assert_ne!(clock(&convert(other.path(), "softmax", &["--softmax-clock", "poisson:300,seed=5"])), first);
}

#[test]
fn outputs_below_zero_are_spikes_below_zero() {
    let folder = tempfile::tempdir().unwrap();
    let netdir = convert(folder.path(), "signed", &[]);
    let spikes = events(&netdir, "06Dense_10");
    assert!(spikes.iter().any(|event| event.2 == 1) && spikes.iter().any(|event| event.2 == -1));
    // With its highest logit far below 0 a network answers all the same: by the least of its spikes below 0.
    let potential = convert(folder.path(), "potential", &[]);
    assert!(events(&potential, "06Dense_10").is_empty());
}

#[test]
fn what_does_not_go_together_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("none");
    let arguments = [
        "convert",
        MODEL,
        "--data",
        DATA,
        "--softmax-clock",
        "10",
        "--preset",
        "toolbox",
        "--out",
        out.to_str().unwrap(),
    ];
    megasim(&arguments).failure().stderr(contains("--softmax-clock: expected --output softmax"));
    let netdir = convert(folder.path(), "potential", &[]);
    let netdir = netdir.to_str().unwrap();
    megasim(&["classify", netdir, "--data", DATA, "--readout", "spike_count"])
        .failure()
        .stderr(contains("expected membrane_potential").and(contains("found spike_count")));
    let message = contains("no decisions");
    megasim(&["compare", netdir, "--data", DATA, "--samples", "3"]).success().stderr(message.clone());
    megasim(&["latency", netdir, "--data", DATA, "--samples", "3"])
        .success()
        .stderr(message)
        .stdout(contains("│ on the machine     ┆        - ┆"));
}

#[test]
fn a_sweep_decides_by_potentials_as_classify_does() {
    let folder = tempfile::tempdir().unwrap();
    let netdir = convert(folder.path(), "potential", &[]);
    let tables = folder.path().join("sweep");
    let (of, out) = (netdir.to_str().unwrap(), tables.to_str().unwrap());
    megasim(&["sweep", of, "--data", DATA, "--over", "duration=10,20", "--out", out]).success();
    let text = fs::read_to_string(tables.join("sweep.csv")).unwrap();
    let mut lines = text.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let column = lines.next().unwrap().iter().position(|&name| name == "event_accuracy").unwrap();
    for (line, duration) in lines.zip(["10", "20"]) {
        let (figures, _) = classify(&netdir, &["--duration", duration]);
        let difference = figures["accuracy"]["event"].as_f64().unwrap() - line[column].parse::<f64>().unwrap();
        assert!(line[0] == duration && difference.abs() < 1e-4, "{line:?} {figures:#}");
    }
}
