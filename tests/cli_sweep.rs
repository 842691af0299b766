//! `megasim sweep` from outside.

use assert_cmd::Command;
use predicates::prelude::*;
use predicates::str::contains;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

fn digits(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/digits").join(name)
}

fn program() -> Command {
    Command::cargo_bin("megasim").unwrap()
}

fn converted() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let (model, data) = (digits("digits_cnn.keras"), digits(""));
    let arguments = ["convert", model.to_str().unwrap(), "--data", data.to_str().unwrap(), "--out", "net"];
    program().args(arguments).current_dir(directory.path()).assert().success();
    directory
}

fn arguments(more: &[&str]) -> Vec<String> {
    let data = digits("");
    let start = ["sweep", "net", "--data", data.to_str().unwrap()];
    start.iter().chain(more).map(|word| word.to_string()).collect()
}

fn sweep(more: &[&str], directory: &Path) -> assert_cmd::assert::Assert {
    program().args(arguments(more)).current_dir(directory).assert()
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn one_run_serves_all_durations_and_gives_what_each_gives_alone() {
    let directory = converted();
    let here = directory.path();
    let more = ["--samples", "30", "--over", "duration=20,50,80", "--encode", "poisson", "--out", "together"];
    sweep(&more, here).success().stdout(contains("duration").and(contains("event = clocked")));
    let points = json(&here.join("together/sweep.json"))["points"].as_array().unwrap().clone();
    assert_eq!(points.len(), 3);
    let data = digits("");
    for point in &points {
        let duration = point["values"][0].as_str().unwrap();
        let file = format!("{duration}.json");
        let classify = ["classify", "net", "--data", data.to_str().unwrap(), "--samples", "30", "--encode", "poisson"];
        let more = ["--duration", duration, "--json", &file];
        program().args(classify).args(more).current_dir(here).assert().success();
        let alone = json(&here.join(&file));
        for mode in ["event", "clocked"] {
            let close = |a: &Value, b: &Value| (a.as_f64().unwrap() - b.as_f64().unwrap()).abs() < 1e-9;
            assert!(close(&point[mode]["accuracy"]["share"], &alone["accuracy"][mode]), "{duration} {mode}");
            assert!(close(&point[mode]["spikes"], &alone["per_sample"]["spikes"][mode]), "{duration} {mode}");
            let operations = &alone["per_sample"]["synaptic_operations"][mode];
            assert!(close(&point[mode]["operations"], operations), "{duration} {mode}");
        }
    }
}

#[test]
fn conversion_encoding_and_module_parameters_can_be_swept_by_twos() {
    let directory = converted();
    let here = directory.path();
    let more = ["--samples", "20", "--duration", "30", "--over", "percentile=90,99.9", "--over", "*.Tmin=0,20"];
    let results = ["--out", "out", "--report", "page.html"];
    sweep(&[&more[..], &results].concat(), here).success();
    let table = json(&here.join("out/sweep.json"));
    assert_eq!(table["complete"], true);
    let points = table["points"].as_array().unwrap();
    let values: Vec<String> = points.iter().map(|point| point["values"].to_string()).collect();
    assert_eq!(values, [r#"["90","0"]"#, r#"["90","20"]"#, r#"["99.9","0"]"#, r#"["99.9","20"]"#]);
    let spikes = |k: usize| points[k]["event"]["spikes"].as_f64().unwrap();
    // A lower scale makes more spikes, a least interval fewer.
    assert!(spikes(0) > spikes(2) && spikes(0) > spikes(1) && spikes(2) > spikes(3));
    // What the netfiles were converted with gives what they give.
    let data = digits("");
    let classify = ["classify", "net", "--data", data.to_str().unwrap(), "--samples", "20", "--duration", "30"];
    program().args(classify).args(["--json", "plain.json"]).current_dir(here).assert().success();
    let plain = json(&here.join("plain.json"));
    assert!((spikes(2) - plain["per_sample"]["spikes"]["event"].as_f64().unwrap()).abs() < 1e-9);
    let csv = fs::read_to_string(here.join("out/sweep.csv")).unwrap();
    assert!(csv.starts_with("percentile,*.Tmin,samples,event_accuracy,"));
    assert_eq!(csv.lines().count(), 5);
    let html = fs::read_to_string(here.join("page.html")).unwrap();
    assert!(html.contains("Accuracy against percentile") && html.contains("*.Tmin 20"));

    let more = ["--samples", "5", "--duration", "10", "--over", "encode=regular;poisson", "--over", "seed=1,2"];
    sweep(&[&more[..], &["--out", "codes"]].concat(), here).success().stdout(contains("poisson"));
    program().args(["report", "codes"]).current_dir(here).assert().success();
    assert!(fs::read_to_string(here.join("codes/report.html")).unwrap().contains("Sweep over encode and seed"));
}

#[test]
fn killed_half_way_and_resumed_it_gives_the_same_table() {
    let directory = converted();
    let here = directory.path();
    let sweep_to = |out: &str| {
        let more =
            ["--samples", "25", "--duration", "40", "--encode", "poisson", "--over", "seed=1..24:24", "--out", out];
        arguments(&more)
    };
    program().args(sweep_to("whole")).current_dir(here).assert().success();
    let whole = fs::read(here.join("whole/sweep.csv")).unwrap();

    // Killed as soon as some points are there.
    let binary = assert_cmd::cargo::cargo_bin("megasim");
    let mut child = std::process::Command::new(binary)
        .args(sweep_to("killed"))
        .current_dir(here)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let start = Instant::now();
    let table = here.join("killed/sweep.csv");
    let rows = || fs::read_to_string(&table).map_or(0, |text| text.lines().count().saturating_sub(1));
    while rows() < 2 && start.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(2));
    }
    let _ = child.kill();
    child.wait().unwrap();
    assert!(rows() >= 2);
    program().args(sweep_to("killed")).current_dir(here).assert().success();
    assert_eq!(fs::read(&table).unwrap(), whole);
    assert_eq!(json(&here.join("killed/sweep.json")), json(&here.join("whole/sweep.json")));

    // Cut in the middle, whatever the kill hit: half of the points are taken, the others made.
    let mut half = json(&here.join("whole/sweep.json"));
    let points = half["points"].as_array_mut().unwrap();
    let taken: Vec<Value> = points.drain(..).step_by(2).collect();
    *points = taken;
    fs::create_dir(here.join("half")).unwrap();
    fs::write(here.join("half/sweep.json"), half.to_string()).unwrap();
    program().args(sweep_to("half")).current_dir(here).assert().success();
    assert_eq!(fs::read(here.join("half/sweep.csv")).unwrap(), whole);

    // Another sweep does not go on in its place.
    let more = ["--samples", "10", "--over", "seed=1,2", "--out", "half"];
    sweep(&more, here).code(1).stderr(contains("the same sweep").and(contains("--force")));
    sweep(&[&more[..], &["--force"]].concat(), here).success();
}

#[test]
fn what_cannot_be_swept_is_refused() {
    let directory = converted();
    let here = directory.path();
    let refused = |over: &str, code: i32, message: &str| {
        sweep(&["--over", over, "--out", "out", "--samples", "2"], here).code(code).stderr(contains(message));
    };
    refused("speed=1,2", 2, "no parameter `speed`");
    refused("duration=0", 2, "from 1 to 1000000");
    refused("duration=log:0..10:3", 2, "above 0");
    refused("percentile=101", 2, "at most 100");
    refused("nothing*.Tmin=1", 1, "no module has an output");
    let three = ["--over", "dt=1", "--over", "seed=1", "--over", "duration=5", "--out", "out"];
    sweep(&three, here).code(1).stderr(contains("one or two parameters"));
    assert!(!here.join("out/sweep.csv").exists());
}
