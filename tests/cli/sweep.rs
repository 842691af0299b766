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
    let arguments =
        ["convert", model.to_str().unwrap(), "--data", data.to_str().unwrap(), "--preset", "toolbox", "--out", "net"];
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
    sweep(&more, here).success().stdout(contains("duration").and(contains("modes agree")));
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
    let more = ["--samples", "10", "--over", "duration=11,12", "--out", "half"];
    sweep(&more, here).code(1).stderr(contains("the same sweep").and(contains("--force")));
    sweep(&[&more[..], &["--force"]].concat(), here).success();
}

/// The columns of a table on disk, by name, of its first row.
fn table(path: &Path) -> Vec<std::collections::HashMap<String, String>> {
    let text = fs::read_to_string(path).unwrap();
    let mut lines = text.lines().map(|line| line.split(',').map(String::from).collect::<Vec<_>>());
    let header = lines.next().unwrap();
    lines.map(|row| header.iter().cloned().zip(row).collect()).collect()
}

#[test]
fn a_machine_is_swept_and_gives_what_latency_gives() {
    let directory = converted();
    let here = directory.path();
    let machine = ["--samples", "6", "--hardware", "serial-aer", "--pace", "fastest"];
    let over = ["--over", "link.delay=log:100 ns..10 us:3", "--out", "wires", "--report", "page.html"];
    sweep(&[&machine[..], &over].concat(), here).success().stdout(contains("1 us").and(contains("bottleneck")));
    let rows = table(&here.join("wires/sweep.csv"));
    assert_eq!(rows.iter().map(|row| &row["link.delay"]).collect::<Vec<_>>(), ["100 ns", "1 us", "10 us"]);
    let number = |row: usize, column: &str| rows[row][column].parse::<f64>().unwrap();
    for column in ["first_spike_mean_s", "decision_mean_s", "last_work_mean_s"] {
        assert!(number(0, column) < number(1, column) && number(1, column) < number(2, column), "{column}");
    }
    assert!(number(0, "samples_per_s") > number(2, "samples_per_s"));

    // A point is what a study of that machine says.
    let text = megasim::hardware::SHIPPED.iter().find(|(name, _)| *name == "serial-aer").unwrap().1;
    fs::write(here.join("m.toml"), text.replace("delay = \"3.2 us\"", "delay = \"1 us\"")).unwrap();
    let data = digits("");
    let alone = ["latency", "net", "--data", data.to_str().unwrap(), "--samples", "6", "--pace", "fastest"];
    let more = ["--hardware", "m.toml", "--relief", "0", "--json", "alone.json"];
    program().args(alone).args(more).current_dir(here).assert().success();
    let alone = json(&here.join("alone.json"));
    let tick = alone["tick_seconds"].as_f64().unwrap();
    for (column, key) in [("decision_mean_s", "settled"), ("last_work_mean_s", "ended")] {
        let seconds = alone["latency"][key]["mean"].as_f64().unwrap() * tick;
        assert!((number(1, column) / seconds - 1.0).abs() < 1e-5, "{column}");
    }
    assert!((number(1, "total_energy_J") / alone["energy"]["total"].as_f64().unwrap() - 1.0).abs() < 1e-5);
    assert!((number(1, "utilisation") - alone["busiest"]["utilisation"].as_f64().unwrap()).abs() < 1e-5);
    assert_eq!(rows[1]["busiest"], alone["busiest"]["resource"]["module"].as_str().unwrap());
    // The path of the first sample is one of the three of a study.
    assert_eq!(rows[1]["bottleneck"], alone["critical_path"]["last_work"][0]["place"].as_str().unwrap());
    assert_eq!(rows[1]["bottleneck_key"], alone["critical_path"]["last_work"][0]["key"].as_str().unwrap());
    assert!((number(1, "accuracy") - alone["accuracy"]["machine"]["share"].as_f64().unwrap()).abs() < 1e-6);

    let html = fs::read_to_string(here.join("page.html")).unwrap();
    assert!(html.contains("Latency against link.delay") && html.contains("link.delay (us)"), "axis with its unit");
    program().args(["report", "wires"]).current_dir(here).assert().success();
    assert!(
        fs::read_to_string(here.join("wires/report.html"))
            .unwrap()
            .contains("Utilisation of the busiest module or link")
    );

    // Cut in the middle it goes on, and gives the same.
    let whole = fs::read(here.join("wires/sweep.csv")).unwrap();
    let mut part = json(&here.join("wires/sweep.json"));
    part["points"].as_array_mut().unwrap().remove(1);
    fs::write(here.join("wires/sweep.json"), part.to_string()).unwrap();
    sweep(&[&machine[..], &over[..4]].concat(), here).success();
    assert_eq!(fs::read(here.join("wires/sweep.csv")).unwrap(), whole);
}

#[test]
fn paces_depths_and_schematics_can_be_swept_on_a_machine() {
    let directory = converted();
    let here = directory.path();
    let start = ["--samples", "3", "--duration", "20", "--hardware", "serial-aer"];
    let over = ["--over", "pace=real,1000", "--over", "layer.\"05*\".fifo_depth=0,4", "--out", "out"];
    sweep(&[&start[..], &over].concat(), here).success();
    let rows = table(&here.join("out/sweep.csv"));
    let values: Vec<(&str, &str)> =
        rows.iter().map(|row| (&row["pace"][..], &row["\"layer.\"\"05*\"\".fifo_depth\""][..])).collect();
    assert_eq!(values, [("real", "0"), ("real", "4"), ("1000", "0"), ("1000", "4")]);
    let rate = |row: usize| rows[row]["samples_per_s"].parse::<f64>().unwrap();
    // At the pace of the stimuli a sample takes 20 ms.
    assert!((rate(0) - 50.0).abs() < 1.0 && rate(2) > 3.0 * rate(0), "{} {}", rate(0), rate(2));

    let schematic = Path::new(env!("CARGO_MANIFEST_DIR")).join("netfiles/two-neurons/megasim.sch");
    let schematic = schematic.to_str().unwrap();
    let on = ["sweep", schematic, "--hardware", "serial-aer", "--tick", "10 ns", "--out", "two"];
    let over = ["--over", "all.delay_to_process=0 ns..1 us:3"];
    program().args(on).args(over).current_dir(here).assert().success();
    let values: Vec<String> =
        table(&here.join("two/sweep.csv")).iter().map(|row| row["all.delay_to_process"].clone()).collect();
    assert_eq!(values, ["0 s", "500 ns", "1 us"]);
    program()
        .args(on)
        .args(["--over", "percentile=99"])
        .current_dir(here)
        .assert()
        .code(1)
        .stderr(contains("schematic"));
    let clocked = ["sweep", schematic, "--over", "dt=1,2", "--out", "three"];
    program().args(clocked).current_dir(here).assert().code(1).stderr(contains("--hardware"));
}

#[test]
fn every_kind_of_parameter_changes_what_it_says() {
    let directory = converted();
    let here = directory.path();
    let start = ["--samples", "5", "--duration", "20"];
    let spikes = |over: &[&str], out: &str| {
        sweep(&[&start[..], over, &["--out", out]].concat(), here).success();
        let rows = table(&here.join(out).join("sweep.csv"));
        rows.iter().map(|row| row["event_spikes"].parse::<f64>().unwrap()).collect::<Vec<_>>()
    };
    let rounded = spikes(&["--over", "weight-bits=3,full"], "bits");
    assert!(rounded[0] != rounded[1]);
    // What is lost at each spike is more with a reset to zero.
    let reset = spikes(&["--over", "reset=zero,subtract"], "reset");
    assert!(reset[0] < reset[1]);
    let ties = spikes(&["--over", "tie-order=netlist,reversed"], "ties");
    assert!(ties[0] != ties[1]);
    let bursts = spikes(&["--encode", "burst:shortest=1", "--over", "encode.most=1..5:2"], "code");
    assert!(bursts[0] < bursts[1]);
    // The averages of a network whose maxima were never there.
    let averages = spikes(&["--over", "max-to-average=true,false"], "averages");
    assert_eq!(averages[0], averages[1]);

    // Read-outs stop runs, and values can be currents: each as classify does it.
    let rules = ["--over", "readout=spike_count,first_spike,membrane_potential", "--over", "encode=regular;current"];
    spikes(&rules, "rules");
    let data = digits("");
    for row in table(&here.join("rules/sweep.csv")) {
        let (rule, code) = (&row["readout"], &row["encode"]);
        let classify = ["classify", "net", "--data", data.to_str().unwrap(), "--json", "one.json", "--force"];
        let more = ["--readout", rule, "--encode", code];
        program().args(classify).args(start).args(more).current_dir(here).assert().success();
        let one = json(&here.join("one.json"));
        for mode in ["event", "clocked"] {
            let number = |column: &str| row[&format!("{mode}_{column}")].parse::<f64>().unwrap();
            let close = |a: f64, b: &Value| (a - b.as_f64().unwrap()).abs() < 1e-5;
            assert!(close(number("accuracy"), &one["accuracy"][mode]), "{rule} {code}");
            assert!(close(number("operations"), &one["per_sample"]["synaptic_operations"][mode]), "{rule} {code}");
        }
    }
    let ks = ["--readout", "k_spikes", "--k", "1", "--over", "k=1,3"];
    let operations = spikes(&ks, "ks");
    assert!(operations[0] < operations[1]);
    let margins = spikes(&["--over", "confidence=1,3"], "margins");
    assert!(margins[0] < margins[1]);

    // What 'convert --set' set stays where the conversion is swept.
    let (model, data) = (digits("digits_cnn.keras"), digits(""));
    let convert =
        ["convert", model.to_str().unwrap(), "--data", data.to_str().unwrap(), "--preset", "toolbox", "--out", "slow"];
    program().args(convert).args(["--set", "0*.Tmin=20"]).current_dir(here).assert().success();
    let over = ["sweep", "slow", "--data", data.to_str().unwrap(), "--over", "percentile=99.9", "--out", "kept"];
    program().args(over).args(start).current_dir(here).assert().success();
    let classify = ["classify", "slow", "--data", data.to_str().unwrap(), "--json", "slow.json"];
    program().args(classify).args(start).current_dir(here).assert().success();
    let kept = table(&here.join("kept/sweep.csv"))[0]["event_spikes"].parse::<f64>().unwrap();
    let slow = json(&here.join("slow.json"))["per_sample"]["spikes"]["event"].as_f64().unwrap();
    assert!((kept - slow).abs() < 1e-5);
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
    refused("all.delay_to_process=1 ns", 1, "expected --hardware FILE|NAME");
    refused("pace=real", 1, "expected --hardware FILE|NAME");
    refused("encode.k=2", 1, "expected no parameter, found 'k=2'");
    refused("depth-scale=2", 1, "--weighting model");
    let on_machine = |over: &str, message: &str| {
        let more = ["--over", over, "--out", "out", "--samples", "2", "--hardware", "loihi"];
        sweep(&more, here).code(1).stderr(contains(message));
    };
    on_machine("all.delay_to_process=1.55 ns", "tick = \"50 ps\" would do");
    on_machine("all.delay=1 ns", "unknown key `delay`; did you mean `delay_to_ack`?");
    on_machine("cores.synapse_bits_per_core=1", "splitting the module over cores does not help");
    on_machine("all.fifo_depth=4 ns", "expected a whole number");
    on_machine("links.0.delay=1 ns", "link");
    on_machine("dt=1", "leave out --hardware");
    on_machine("readout=first_spike", "leave out --hardware");
    let three = ["--over", "dt=1", "--over", "seed=1", "--over", "duration=5", "--out", "out"];
    sweep(&three, here).code(1).stderr(contains("one or two parameters"));
    assert!(!here.join("out/sweep.csv").exists());
}

#[test]
fn neurons_and_outputs_of_a_point_are_those_of_a_conversion_with_the_option() {
    let directory = converted();
    let here = directory.path();
    let (model, data) = (digits("digits_cnn.keras"), digits(""));
    let data = data.to_str().unwrap();
    for (name, over, options) in [
        ("leak", &["tau-mem=none,20", "resting-potential=-0.1"][..], &["--tau-mem", "20"][..]),
        ("clock", &["softmax-clock=100", "output=softmax"], &["--output", "softmax", "--softmax-clock", "100"]),
        ("potential", &["output=relu,potential"], &["--output", "potential"]),
        ("signed", &["output=signed"], &["--output", "signed"]),
    ] {
        let mut more = vec!["--samples", "20", "--duration", "30", "--out", name];
        more.extend(over.iter().flat_map(|over| ["--over", over]));
        sweep(&more, here).success();
        let mut convert = vec!["convert", model.to_str().unwrap(), "--data", data, "--preset", "toolbox"];
        convert.extend(options);
        convert.extend((name == "leak").then_some(["--resting-potential", "-0.1"]).into_iter().flatten());
        let net = format!("{name}-net");
        program().args(convert).args(["--out", &net]).current_dir(here).assert().success();
        let file = format!("{name}.json");
        let classify = ["classify", &net, "--data", data, "--samples", "20", "--duration", "30", "--json", &file];
        program().args(classify).current_dir(here).assert().success();
        let (table, alone) = (json(&here.join(name).join("sweep.json")), json(&here.join(&file)));
        let point = table["points"].as_array().unwrap().last().unwrap().clone();
        for mode in ["event", "clocked"] {
            let close = |a: &Value, b: &Value| (a.as_f64().unwrap() - b.as_f64().unwrap()).abs() < 1e-9;
            assert!(close(&point[mode]["accuracy"]["share"], &alone["accuracy"][mode]), "{name} {mode}");
            assert!(close(&point[mode]["spikes"], &alone["per_sample"]["spikes"][mode]), "{name} {mode}");
        }
    }
    for (over, message) in [
        ("tau-mem=0", "tau-mem: expected milliseconds above 0, or none, found `0`"),
        ("softmax-clock=100", "expected an output that is a softmax"),
        ("output=sigmoid", "output: expected relu, softmax, signed or potential, found `sigmoid`"),
    ] {
        sweep(&["--over", over, "--out", "no"], here).failure().stderr(contains(message));
    }
    sweep(&["--over", "output=relu,potential", "--hardware", "ideal", "--out", "no"], here)
        .failure()
        .stderr(contains("as no machine reports potentials"));
}
