//! `--report` and `megasim report` from outside.

use assert_cmd::Command;
use megasim::netfile::{self, FileNames};
use megasim::network::{
    Array, Conv, ConvPort, Input, Module, ModuleKind, NetworkBuilder, NeuronParameters, Output, Polarity, Stimulus,
    StimulusEvent, Timing,
};
use predicates::prelude::*;
use predicates::str::contains;
use std::fs;
use std::path::{Path, PathBuf};

fn digits(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/digits").join(name)
}

fn megasim(arguments: &[&str], directory: &Path) -> assert_cmd::assert::Assert {
    Command::cargo_bin("megasim").unwrap().args(arguments).current_dir(directory).assert()
}

/// What a page may not hold if it is to open without anything else.
fn assert_self_contained(html: &str) {
    for wrong in ["<script ", "<link", "<img", "src=", "@import", "url(", "https://"] {
        assert!(!html.contains(wrong), "{wrong}");
    }
    // The one address is the name of a language, which is not fetched.
    assert_eq!(html.matches("http://").count(), html.matches("http://www.w3.org/2000/svg").count());
}

#[test]
fn a_comparison_becomes_a_page_with_its_numbers_beside_it() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let (model, data) = (digits("digits_cnn.keras"), digits(""));
    let data = data.to_str().unwrap();
    megasim(&["convert", model.to_str().unwrap(), "--data", data, "--preset", "toolbox", "--out", "net"], here)
        .success();
    let arguments = ["compare", "net", "--data", data, "--samples", "20", "--causes", "5", "--dt", "1,5"];
    let results = ["--report", "page.html", "--json", "figures.json"];
    megasim(&[&arguments[..], &results].concat(), here).success().stdout(contains("Pictures: page.html"));
    let html = fs::read_to_string(here.join("page.html")).unwrap();
    assert_self_contained(&html);
    let pictures = [
        "error-over-time",
        "confusion-event",
        "correlations",
        "causes",
        "operations-over-time",
        "accuracy-against-dt",
        "raster",
        "potentials",
        "raster-sample-1",
        "potentials-sample-3",
        "activations-before",
        "weights-after",
        "input",
        "layer-00-00Conv2D_8x8x8-map",
        "layer-05-06Dense_10-scatter",
        "layer-04-05Dense_32-weights-before",
    ];
    for picture in pictures {
        let svg = fs::read_to_string(here.join(format!("page_files/{picture}.svg"))).unwrap();
        assert!(html.contains(&svg), "{picture}");
        let csv = fs::read_to_string(here.join(format!("page_files/{picture}.csv"))).unwrap();
        assert!(csv.lines().count() > 1, "{picture}");
        assert!(html.contains(&format!("page_files/{picture}.csv")), "{picture}");
    }
    // The numbers are those of the results.
    let csv = fs::read_to_string(here.join("page_files/error-over-time.csv")).unwrap();
    let figures: serde_json::Value = serde_json::from_slice(&fs::read(here.join("figures.json")).unwrap()).unwrap();
    let last = csv.lines().rfind(|line| line.starts_with("event,")).unwrap();
    let error = figures["course"]["error"][0].as_array().unwrap().last().unwrap().as_f64().unwrap();
    assert_eq!(last.split(',').nth(2).unwrap().parse::<f64>().unwrap(), 100.0 * error);

    // Each sample is one that can be chosen; without a script they follow each other.
    let choices: Vec<&str> =
        html.split("data-choice=\"Sample ").skip(1).map(|it| it.split('"').next().unwrap()).collect();
    assert_eq!(choices, ["0", "1", "2", "3"]);
    let figures: serde_json::Value = serde_json::from_slice(&fs::read(here.join("figures.json")).unwrap()).unwrap();
    assert_eq!(figures["disagreements"].as_array().map(Vec::len), Some(0));

    // Nothing is overwritten unasked, and the same command makes the same page.
    megasim(&[&arguments[..], &["--report", "page.html"]].concat(), here).code(1).stderr(contains("--force"));
    megasim(&[&arguments[..], &["--report", "page.html", "--force", "--threads", "1"]].concat(), here).success();
    assert_eq!(fs::read_to_string(here.join("page.html")).unwrap(), html);

    // From the figures alone.
    fs::create_dir(here.join("results")).unwrap();
    fs::copy(here.join("figures.json"), here.join("results/figures.json")).unwrap();
    megasim(&["report", "results"], here).success();
    let html = fs::read_to_string(here.join("results/report.html")).unwrap();
    assert_self_contained(&html);
    assert!(html.contains("Error over time") && html.contains("05Dense_32") && html.contains("Causes of lost"));
}

/// Layers, neurons and samples of a page, of both commands that take them.
#[test]
fn a_page_shows_the_layers_neurons_and_samples_that_are_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let (model, data) = (digits("digits_cnn.keras"), digits(""));
    let data = data.to_str().unwrap();
    let convert = ["convert", model.to_str().unwrap(), "--data", data, "--duration", "10", "--out", "net"];
    megasim(&convert, here).success();
    let neuron = "00Conv2D_8x8x8:2,3,4";
    for command in ["classify", "compare"] {
        let arguments = [command, "net", "--data", data, "--skip", "10", "--samples", "6", "--report", "page.html"];
        let run = |more: &[&str]| megasim(&[&arguments[..], more, &["--force"]].concat(), here);
        run(&["--sample", "13", "--show", neuron, "--show", "06Dense_10"]).success();
        let html = fs::read_to_string(here.join("page.html")).unwrap();
        let first = html.split("data-choice=\"").nth(1).unwrap();
        assert!(first.starts_with("Sample 13\""), "{command}");
        let csv = |name: &str| fs::read_to_string(here.join(format!("page_files/{name}.csv"))).unwrap();
        let potentials = csv("potentials");
        let named = potentials.lines().filter(|line| line.starts_with("00Conv2D_8x8x8,\"map 2, y 3, x 4\",potential,"));
        assert!(named.count() > 1, "{command}: {potentials}");
        // Of a layer without a neuron those that spike most.
        let neurons: std::collections::BTreeSet<&str> = potentials
            .lines()
            .filter_map(|line| line.strip_prefix("06Dense_10,neuron "))
            .filter_map(|line| line.split(',').next())
            .collect();
        assert_eq!(neurons.len(), 3, "{command}: {neurons:?}");
        let raster = csv("raster");
        let layers: std::collections::BTreeSet<&str> =
            raster.lines().skip(1).filter_map(|line| line.split(',').nth(1)).collect();
        assert!(layers.iter().all(|name| name.starts_with("00Conv2D") || name.starts_with("06Dense")), "{layers:?}");

        let refused = |more: &[&str], message: &str| drop(run(more).code(1).stderr(contains(message)));
        refused(&["--show", "06Dens_10"], "--show: expected LAYER or LAYER:MAP,Y,X with a layer that spikes, found");
        refused(&["--show", "06Dens_10"], "did you mean `06Dense_10`?");
        let outside = "expected a neuron of 00Conv2D_8x8x8 (MAP,Y,X; map 0 to 7, y 0 to 7, x 0 to 7), found '8,0,0'";
        refused(&["--show", "00Conv2D_8x8x8:8,0,0"], outside);
        let none = "--sample: expected the number of a sample that is run (6 from 10 to 15), found 9";
        refused(&["--sample", "9"], none);
        megasim(&[command, "net", "--data", data, "--show", neuron], here).code(2).stderr(contains("--report"));
    }
}

#[test]
fn event_files_become_a_raster() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let schematic = Path::new(env!("CARGO_MANIFEST_DIR")).join("netfiles/winner-takes-all/megasim.sch");
    megasim(&["run", schematic.to_str().unwrap(), "--out", "events"], here).success();
    megasim(&["report", "events", "--out", "page.html"], here).success();
    let html = fs::read_to_string(here.join("page.html")).unwrap();
    assert_self_contained(&html);
    assert!(html.contains("Events") && html.contains("rivals"));
    assert!(fs::read_to_string(here.join("page_files/raster.csv")).unwrap().lines().count() > 1);
    // What was drawn is part of the record.
    let record: serde_json::Value = serde_json::from_slice(&fs::read(here.join("run.json")).unwrap()).unwrap();
    let inputs = record["inputs"].as_array().unwrap();
    assert!(inputs.iter().any(|input| input["path"].as_str().unwrap().ends_with("node_rivals.evs")), "{inputs:?}");
    megasim(&["rerun", "."], here).success().stdout(contains("all the same"));

    fs::create_dir(here.join("empty")).unwrap();
    megasim(&["report", "empty"], here).code(1).stderr(contains("found none"));
    megasim(&["report", "nowhere"], here).code(1).stderr(contains("nowhere").and(contains("cannot be read")));
}

#[test]
fn a_large_network_is_binned() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    // 50 layers of 2,025 neurons, each of which passes the spikes of the one before.
    let mut builder = NetworkBuilder::new();
    let mut below = builder.source("In").unwrap();
    let array = Array { nx: 45, ny: 45, x_min: 0, y_min: 0 };
    for layer in 0..50 {
        let port = ConvPort {
            nx: 1,
            ny: 1,
            dx: 0,
            dy: 0,
            x_stride: 1,
            y_stride: 1,
            x_expand: 1,
            y_expand: 1,
            weights: [10].into(),
        };
        let conv = Conv {
            array,
            neurons: NeuronParameters { threshold_plus: 10, ..NeuronParameters::default() },
            ports: vec![port],
            output: Output::whole(array),
        };
        let inputs = vec![Input::Node(below)];
        let module =
            Module { kind: ModuleKind::Conv(conv), inputs, timing: Timing::default(), not_programmable: false };
        below = builder.module(module, &[format!("{layer:02}Conv2D_1x45x45")]).unwrap()[0];
    }
    let network = builder.build(100).unwrap();
    let spikes = (0..40).flat_map(|t_pre| {
        (0..45).map(move |k| StimulusEvent {
            t_pre,
            x: (k * 7 + t_pre as i32) % 45,
            y: k,
            polarity: Polarity::Positive,
        })
    });
    fs::create_dir(here.join("net")).unwrap();
    netfile::write(&here.join("net"), &network, &[Stimulus::from_events(spikes)], &FileNames::of(&network)).unwrap();
    let arguments = ["compare", "net/megasim.sch", "--ticks-per-ms", "1", "--causes", "0", "--report", "page.html"];
    megasim(&arguments, here).success();
    let html = fs::read_to_string(here.join("page.html")).unwrap();
    assert_self_contained(&html);
    assert!(html.contains("49Conv2D_1x45x45"));
    assert!(html.len() < 15_000_000, "{} bytes", html.len());
}

#[test]
fn a_classification_becomes_a_page_with_its_training() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let (model, data) = (digits("digits_cnn.keras"), digits(""));
    let data = data.to_str().unwrap();
    megasim(&["convert", model.to_str().unwrap(), "--data", data, "--preset", "toolbox", "--out", "net"], here)
        .success();
    fs::write(here.join("net/history.json"), r#"{"loss": [0.9, 0.5, 0.4], "val_loss": [1.0, 0.6, 0.7]}"#).unwrap();
    let arguments = ["classify", "net", "--data", data, "--samples", "20", "--duration", "50"];
    let results = ["--report", "page.html", "--json", "figures.json"];
    megasim(&[&arguments[..], &results].concat(), here).success().stdout(contains("Pictures: page.html"));
    let html = fs::read_to_string(here.join("page.html")).unwrap();
    assert_self_contained(&html);
    for picture in [
        "accuracy-over-time",
        "confusion-event",
        "confusion-clocked",
        "operations-over-time",
        "spikes-over-time",
        "input",
        "raster",
        "training-loss",
    ] {
        assert!(html.contains(&format!("page_files/{picture}.csv")), "{picture}");
    }
    // The ends of the courses are the figures.
    let figures: serde_json::Value = serde_json::from_slice(&fs::read(here.join("figures.json")).unwrap()).unwrap();
    let last = |file: &str, line: &str| -> f64 {
        let csv = fs::read_to_string(here.join("page_files").join(file)).unwrap();
        let row = csv.lines().rfind(|row| row.starts_with(&format!("{line},"))).unwrap();
        row.split(',').nth(2).unwrap().parse().unwrap()
    };
    for mode in ["event", "clocked"] {
        let accuracy = 100.0 * figures["accuracy"][mode].as_f64().unwrap();
        assert!((last("accuracy-over-time.csv", mode) - accuracy).abs() < 1e-3, "{mode}");
        for (file, key) in [("operations-over-time.csv", "synaptic_operations"), ("spikes-over-time.csv", "spikes")] {
            let mean = figures["per_sample"][key][mode].as_f64().unwrap();
            assert!((last(file, mode) / mean - 1.0).abs() < 1e-4, "{mode} {key}");
        }
    }
    let training = fs::read_to_string(here.join("page_files/training-loss.csv")).unwrap();
    assert!(training.contains("validation,3,0.7"), "{training}");

    // Other read-outs stop, values can be currents, and a mode can be left out.
    let event = ["--mode", "event", "--readout", "first_spike", "--encode", "current", "--report", "event.html"];
    megasim(&[&arguments[..], &event].concat(), here).success();
    let html = fs::read_to_string(here.join("event.html")).unwrap();
    assert!(html.contains("first_spike") && !html.contains("confusion-clocked"));
    // The course goes no further than the runs, which stop when the first spike is there.
    let potential = ["--readout", "membrane_potential", "--report", "potential.html"];
    megasim(&[&arguments[..], &potential].concat(), here).success();
    assert!(!here.join("potential_files/accuracy-over-time.csv").exists());

    // A comparison shows the training too; what is no history is refused, with its line.
    fs::write(here.join("log.csv"), "epoch,accuracy,loss\n0,0.5,1.5\n1,0.9,NA\n").unwrap();
    let compare = ["compare", "net", "--data", data, "--samples", "4", "--causes", "0", "--readout", "first_spike"];
    megasim(&[&compare[..], &["--report", "c.html", "--history", "log.csv"]].concat(), here).success();
    assert!(here.join("c_files/training-accuracy.csv").exists());
    fs::write(here.join("log.csv"), "epoch,accuracy,loss\n0,0.5,1.5\n1,much,2\n").unwrap();
    megasim(&[&compare[..], &["--report", "d.html", "--history", "log.csv"]].concat(), here)
        .code(1)
        .stderr(contains("log.csv:3: accuracy: expected a number, found `much`"));
    megasim(&[&compare[..8], &["--readout", "membrane_potential"]].concat(), here).code(1).stderr(contains("classify"));
}

#[test]
fn recordings_become_rasters_and_potentials() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let (model, data) = (digits("digits_cnn.keras"), digits(""));
    let data = data.to_str().unwrap();
    megasim(&["convert", model.to_str().unwrap(), "--data", data, "--out", "net"], here).success();
    fs::create_dir(here.join("results")).unwrap();
    let classify = ["classify", "net", "--data", data, "--samples", "5", "--json", "results/figures.json"];
    let record = ["--record", "02Conv2D_16x4x4,06Dense_10", "--potentials", "--npz", "results/spikes.npz"];
    megasim(&[&classify[..], &record].concat(), here).success();
    let schematic = Path::new(env!("CARGO_MANIFEST_DIR")).join("netfiles/winner-takes-all/megasim.sch");
    megasim(&["run", schematic.to_str().unwrap(), "--npz", "results/events.npz"], here).success();
    megasim(&["report", "results"], here).success().stdout(contains("3 results are on the page results/report.html."));
    let html = fs::read_to_string(here.join("results/report.html")).unwrap();
    assert_self_contained(&html);
    let words = ["spikes.npz: Samples 0, 1, 2, 3", "spikes per sample, clocked", "Events in events", "rivals"];
    assert!(words.iter().all(|words| html.contains(words)));
    let csv = |name: &str| fs::read_to_string(here.join("results/report_files").join(name)).unwrap();
    for name in ["spikes-potentials-06Dense_10", "spikes-potential-maps-02Conv2D_16x4x4", "events-raster"] {
        assert!(csv(&format!("{name}.csv")).lines().count() > 1, "{name}");
    }

    // The marks of the raster are the spikes of the recording: of the output layer all neurons are shown.
    let mut npz = crate::npy::NpzReader::new(fs::File::open(here.join("results/spikes.npz")).unwrap()).unwrap();
    let mut spikes = 0;
    for mode in ["event", "clocked"] {
        let of: ndarray::Array1<i64> = npz.by_name(&format!("{mode}/06Dense_10/sample")).unwrap();
        spikes += of.iter().filter(|&&sample| sample == 0).count();
    }
    let rows = csv("spikes-raster.csv");
    assert_eq!(rows.lines().filter(|row| row.contains(",06Dense,")).count(), spikes);
}

#[test]
fn a_damaged_recording_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let recording = |count: ndarray::Array2<i64>, t: &[i64]| {
        let mut npz = megasim::dataset::npy::NpzWriter::new(fs::File::create(here.join("spikes.npz")).unwrap());
        npz.add("sample", &ndarray::array![7_i64, 9]).unwrap();
        npz.add("ticks_per_ms", &ndarray::array![10_i64]).unwrap();
        npz.add("event/a/count", &count).unwrap();
        npz.add("event/a/sample", &ndarray::array![7_i64, 7]).unwrap();
        npz.add("event/a/t", &ndarray::aview1(t)).unwrap();
        npz.add("event/a/neuron", &ndarray::array![0_i64, 2]).unwrap();
        npz.add("event/a/polarity", &ndarray::array![1_i8, -1]).unwrap();
        npz.finish().unwrap();
    };
    recording(ndarray::Array2::zeros((2, 3)), &[1, 2]);
    megasim(&["report", "."], here).success().stdout(contains("spikes.npz: 2 spikes of 1 layer and 2 samples"));
    recording(ndarray::Array2::zeros((2, 3)), &[1, 2, 3]);
    let expected = contains("spikes.npz: array 'event/a/t': expected one axis of 2 numbers, found axes [3]");
    megasim(&["report", ".", "--force"], here).code(1).stderr(expected);
    recording(ndarray::Array2::zeros((3, 3)), &[1, 2]);
    let expected = contains("array 'event/a/count'").and(contains("2 samples")).and(contains("[3, 3]"));
    megasim(&["report", ".", "--force"], here).code(1).stderr(expected);
    // Arrays of other programs are no recordings.
    let mut npz = megasim::dataset::npy::NpzWriter::new(fs::File::create(here.join("spikes.npz")).unwrap());
    npz.add("x", &ndarray::array![1.0]).unwrap();
    npz.finish().unwrap();
    megasim(&["report", ".", "--force"], here).code(1).stderr(contains("recordings of --npz, found none"));
}

#[test]
fn rerun_repeats_pages_that_were_drawn_later() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let (model, data) = (digits("digits_cnn.keras"), digits(""));
    let data = data.to_str().unwrap();
    megasim(&["convert", model.to_str().unwrap(), "--data", data, "--duration", "5", "--out", "net"], here).success();
    let compare = ["compare", "net", "--data", data, "--samples", "2", "--json", "results/figures.json"];
    fs::create_dir(here.join("results")).unwrap();
    megasim(&compare, here).success();
    for more in [&["results"][..], &["results", "--force"], &["results", "--out", "results/second.html"]] {
        megasim(&[&["report"], more].concat(), here).success();
    }
    for page in ["report.html", "second.html"] {
        let html = fs::read_to_string(here.join("results").join(page)).unwrap();
        assert!(html.contains("megasim compare net"), "{page} does not name the command of its results");
    }
    megasim(&["rerun", "results"], here).success().stdout(contains("all the same"));
}
