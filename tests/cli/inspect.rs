//! `megasim inspect`, and the options of `megasim convert` that change scales, weights and neurons.

use assert_cmd::Command;
use megasim::ann::graph::Operation;
use predicates::prelude::*;
use predicates::str::contains;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

const MODEL: &str = "examples/digits/digits_cnn.keras";

fn megasim(arguments: &[&str]) -> assert_cmd::assert::Assert {
    let mut command = Command::cargo_bin("megasim").unwrap();
    command.current_dir(env!("CARGO_MANIFEST_DIR")).args(arguments).assert()
}

fn convert(out: &Path, more: &[&str]) -> assert_cmd::assert::Assert {
    let out = out.to_str().unwrap();
    megasim(&[&["convert", MODEL, "--data", "examples/digits", "--preset", "toolbox", "--out", out], more].concat())
}

fn manifest(out: &Path) -> Value {
    serde_json::from_slice(&fs::read(out.join("megasim.json")).unwrap()).unwrap()
}

fn parameter(file: PathBuf, key: &str) -> String {
    let text = fs::read_to_string(file).unwrap();
    let line = text.lines().find(|line| line.split(' ').next() == Some(key)).unwrap();
    line.split(' ').nth(1).unwrap().into()
}

#[test]
fn layers_of_a_model_and_of_its_netfiles() {
    let folder = tempfile::tempdir().unwrap();
    let (out, json) = (folder.path().join("net"), folder.path().join("inspect.json"));
    megasim(&["inspect", MODEL]).success().stdout(contains("00Conv2D_8x8x8").and(contains("fan-in")));
    convert(&out, &[]).success();
    let arguments = ["inspect", out.to_str().unwrap(), "--data", "examples/digits", "--json", json.to_str().unwrap()];
    megasim(&arguments).success().stdout(contains("saturating"));
    let figures: Value = serde_json::from_slice(&fs::read(json).unwrap()).unwrap();
    let layers = figures["layers"].as_array().unwrap();
    assert_eq!(layers.len(), manifest(&out)["layers"].as_array().unwrap().len());
    // 64 inputs, 32 neurons and as many biases.
    assert_eq!((&layers[5]["parameters"], &layers[5]["fan_in"]), (&Value::from(64 * 32 + 32), &Value::from(64)));
    assert_eq!(layers[4]["fan_out"], 32);
    let model = megasim::ann::import::read(Path::new(MODEL)).unwrap();
    let dense = model.graph.layers().iter().find_map(|layer| match &layer.operation {
        Operation::Dense { weights, .. } => Some(weights.mapv(f64::from)),
        _ => None,
    });
    let dense = dense.unwrap();
    let expected = [
        ("mean", dense.mean().unwrap()),
        ("deviation", dense.std(0.0)),
        ("smallest", dense.iter().copied().fold(f64::MAX, f64::min)),
        ("largest", dense.iter().copied().fold(f64::MIN, f64::max)),
    ];
    for (name, expected) in expected {
        let found = layers[5]["weights"][name].as_f64().unwrap();
        assert!((found - expected).abs() < 1e-6, "{name}: {found}, expected {expected}");
    }
    assert_eq!(layers[4]["weights"], Value::Null);
    megasim(&["inspect", MODEL, "--full"]).success().stdout(contains("smallest weight"));
    let rates = &layers[5]["rates"];
    assert!(rates["largest"].as_f64().unwrap() > 1.0 && rates["saturating"].as_f64().unwrap() < 0.01, "{rates}");
}

#[test]
fn samples_are_standardised_as_those_of_the_conversion() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    for name in ["standardised", "plain"] {
        fs::create_dir(path(name)).unwrap();
        for file in ["test.npz", "train.npz"] {
            fs::copy(Path::new("examples/digits").join(file), path(name).join(file)).unwrap();
        }
    }
    fs::write(path("standardised/preprocessing.toml"), "featurewise_center = true\n").unwrap();
    let (net, data) = (path("net"), path("standardised"));
    megasim(&[
        "convert",
        MODEL,
        "--data",
        data.to_str().unwrap(),
        "--preset",
        "toolbox",
        "--out",
        net.to_str().unwrap(),
    ])
    .success();
    let rates = |of: &Path, data: &str| {
        let json = path("rates.json");
        let (of, data, json) = (of.to_str().unwrap(), path(data), json.to_str().unwrap());
        megasim(&["inspect", of, "--data", data.to_str().unwrap(), "--json", json, "--force"]).success();
        serde_json::from_slice::<Value>(&fs::read(json).unwrap()).unwrap()
    };
    assert_eq!(rates(&net, "plain"), rates(&net, "standardised"));
    assert_ne!(rates(Path::new(MODEL), "plain"), rates(Path::new(MODEL), "standardised"));
}

#[test]
fn scales_can_be_used_again_for_the_same_model_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let (one, two, scales) = (path("one"), path("two"), path("scales.json"));
    let scales = scales.to_str().unwrap();
    convert(&one, &["--percentile", "99", "--save-scales", scales]).success();
    convert(&two, &["--scales", scales]).success();
    assert_eq!(manifest(&one)["layers"], manifest(&two)["layers"]);
    let other = "tests/data/zoo/rates/resnet.keras";
    megasim(&["convert", other, "--data", "examples/digits", "--preset", "toolbox", "--out", "x", "--scales", scales])
        .failure()
        .stderr(contains("expected scales of this model"));
}

#[test]
fn scales_that_do_not_fit_are_told() {
    let folder = tempfile::tempdir().unwrap();
    convert(&folder.path().join("low"), &["--percentile", "50"])
        .success()
        .stderr(contains("more than one spike per millisecond").and(contains("a higher --percentile")));
    let scales = folder.path().join("scales.json");
    convert(&folder.path().join("usual"), &["--save-scales", scales.to_str().unwrap()])
        .success()
        .stderr(predicate::str::is_empty());
    let mut high: Value = serde_json::from_slice(&fs::read(&scales).unwrap()).unwrap();
    for scale in high["scales"].as_object_mut().unwrap().values_mut() {
        *scale = Value::from(scale.as_f64().unwrap() * 100.0);
    }
    fs::write(&scales, high.to_string()).unwrap();
    convert(&folder.path().join("high"), &["--scales", scales.to_str().unwrap()])
        .success()
        .stderr(contains("times per millisecond on average").and(contains("a longer --duration")));
}

#[test]
fn coarse_weights_cost_accuracy_and_convert_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("net");
    convert(&out, &["--weight-bits", "3"]).success().stdout(contains("as read").and(contains("as integers")));
    let text = fs::read_to_string(out.join("06Dense_10.prm")).unwrap();
    let row = |line: &str| line.split(' ').map(|n| n.parse::<i64>().ok()).collect::<Option<Vec<_>>>();
    let rows: Vec<Vec<i64>> = text.lines().filter_map(row).filter(|row| row.len() == 10).collect();
    let mut weights: Vec<i64> = rows[..32].iter().flatten().map(|weight| weight.abs()).collect();
    weights.sort_unstable();
    weights.dedup();
    assert!(weights.len() <= 4, "{weights:?}");
    for wrong in ["1", "Q2", "x"] {
        convert(&out, &["--weight-bits", wrong]).code(2);
    }
}

#[test]
fn parameters_are_set_by_layer() {
    let folder = tempfile::tempdir().unwrap();
    let (out, file) = (folder.path().join("net"), folder.path().join("layers.toml"));
    fs::write(&file, "[\"*Dense*\"]\nT_Refract = 7\ndelay_to_process = 2\n[\"*Dense_10\"]\nT_Refract = 3\n").unwrap();
    let file = file.to_str().unwrap();
    convert(&out, &["--settings", file, "--set", "00*.TLplus=5", "--reset", "modulo"]).success();
    assert_eq!(parameter(out.join("05Dense_32.prm"), "T_Refract"), "7");
    assert_eq!(parameter(out.join("06Dense_10.prm"), "T_Refract"), "3");
    assert_eq!(parameter(out.join("06Dense_10.prm"), "delay_to_process"), "2");
    assert_eq!(parameter(out.join("00Conv2D_8x8x8_0.prm"), "TLplus"), "5");
    assert_eq!(parameter(out.join("05Dense_32.prm"), "Reset_to_reminder"), "2");
    convert(&out, &["--force", "--set", "nothing.TLplus=5"]).failure().stderr(contains("no module has an output"));
}

#[test]
fn what_does_not_belong_to_the_model_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("empty.onnx");
    fs::write(&empty, "").unwrap();
    megasim(&["inspect", empty.to_str().unwrap()]).failure().stderr(contains("an empty file"));
    megasim(&["inspect", MODEL, "--architecture", "examples/architectures/lenet5-lasagne.toml"])
        .failure()
        .stderr(contains("holds its own"));
}

#[test]
fn a_network_without_a_spiking_form_is_shown_with_the_reason() {
    let model = "tests/data/zoo/keras/keras3-activations.keras";
    megasim(&["inspect", model]).success().stdout(contains("cannot be converted: layer"));
}
