//! `megasim convert`, `megasim classify` and the demo, from outside.

use crate::arrays::write_npz;
use assert_cmd::Command;
use ndarray::{Array1, Array3};
use predicates::prelude::*;
use predicates::str::contains;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

fn digits(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/digits").join(name)
}

fn megasim(arguments: &[&str], directory: &Path) -> assert_cmd::assert::Assert {
    Command::cargo_bin("megasim").unwrap().args(arguments).current_dir(directory).assert()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn convert(out: &str, more: &[&str], directory: &Path) -> assert_cmd::assert::Assert {
    let (model, data) = (digits("digits_cnn.keras"), digits(""));
    let mut arguments = vec!["convert", text(&model), "--data", text(&data), "--preset", "toolbox", "--out", out];
    arguments.extend(more);
    megasim(&arguments, directory)
}

fn classify(netdir: &str, more: &[&str], directory: &Path) -> assert_cmd::assert::Assert {
    let data = digits("");
    let mut arguments = vec!["classify", netdir, "--data", text(&data)];
    arguments.extend(more);
    megasim(&arguments, directory)
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// A directory of data in the layout of `test.npz` and `train.npz`.
fn data(x: &Array3<u8>, y: &Array1<u8>) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for name in ["test.npz", "train.npz"] {
        write_npz(&directory.path().join(name), x, y);
    }
    directory
}

#[test]
fn a_keras_file_becomes_netfiles_that_run_and_classify() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    convert("net", &[], here).success().stdout(contains("00Conv2D_8x8x8").and(contains("megasim classify net")));
    let net = here.join("net");
    let files = names(&net);
    for file in
        ["megasim.sch", "megasim.json", "run.json", "00Conv2D_8x8x8.stt", "00Conv2D_8x8x8_7.prm", "InputLayer.stim"]
    {
        assert!(files.contains(&file.to_string()), "{file} in {files:?}");
    }
    let schematic = fs::read_to_string(net.join("megasim.sch")).unwrap();
    assert!(schematic.contains(
        "module_conv_NPP {InputLayer,bias_clk,reset_event}{00Conv2D_8x8x8_0} 00Conv2D_8x8x8_0.prm 00Conv2D_8x8x8.stt"
    ));
    let manifest = json(&net.join("megasim.json"));
    assert_eq!(manifest["input"]["shape"], serde_json::json!([1, 8, 8]));
    assert_eq!(manifest["output"]["classes"], 10);
    assert!((manifest["analog"]["accuracy"].as_f64().unwrap() - 443.0 / 450.0).abs() < 1e-9);
    let record = json(&net.join("run.json"));
    assert_eq!(record["parameters"]["scaling_factor"], 1e7);
    assert_eq!(record["inputs"].as_array().unwrap().len(), 3);
    assert_eq!(record["inputs"][0]["sha256"].as_str().unwrap().len(), 64);

    // As SNN toolbox starts it.
    megasim(&["megasim.sch"], &net).success().stdout(contains("error").not());
    assert!(
        fs::read_to_string(net.join(format!("node_{}.evs", manifest["output"]["node"].as_str().unwrap())))
            .unwrap()
            .lines()
            .count()
            > 0
    );

    classify("net", &["--json", "out.json"], here).success().stdout(contains("450 samples"));
    let figures = json(&here.join("out.json"));
    assert_eq!(figures["samples"], 450);
    let analog = figures["accuracy"]["ann"].as_f64().unwrap();
    for mode in ["event", "clocked"] {
        let accuracy = figures["accuracy"][mode].as_f64().unwrap();
        assert!((accuracy - analog).abs() <= 0.01, "{mode}: {accuracy}, analog {analog}");
        assert!(figures["per_sample"]["spikes"][mode].as_f64().unwrap() > 0.0);
        assert!(figures["per_sample"]["synaptic_operations"][mode].as_f64().unwrap() > 0.0);
        assert!(figures["seconds"][mode].as_f64().unwrap() > 0.0);
    }
    assert!(figures["agreement"]["event_clocked"].as_f64().unwrap() > 0.98);
    assert_eq!(json(&here.join("run.json"))["parameters"]["duration"], 100);
}

#[test]
fn what_was_not_run_is_null_and_threads_change_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    convert("net", &[], here).success();
    let run = |name: &str, more: &[&str]| {
        let mut arguments = vec!["--json", name, "--mode", "event", "--encode", "poisson", "--duration", "20"];
        arguments.extend(more);
        classify("net", &arguments, here).success();
        let mut figures = json(&here.join(name));
        figures["seconds"] = Value::Null;
        figures
    };
    let whole = run("a.json", &["--samples", "30", "--threads", "1"]);
    assert_eq!(whole, run("b.json", &["--samples", "30", "--threads", "3"]));
    assert_ne!(whole, run("c.json", &["--samples", "30", "--seed", "1"]));
    assert_eq!(whole["accuracy"]["clocked"], Value::Null);
    assert_eq!(whole["agreement"]["event_clocked"], Value::Null);
    assert_eq!(whole["per_sample"]["spikes"]["clocked"], Value::Null);

    // A sample's random spikes do not depend on where the range starts.
    let parts = [run("d.json", &["--samples", "10"]), run("e.json", &["--samples", "20", "--skip", "10"])];
    let spikes = |figures: &Value| {
        figures["per_sample"]["spikes"]["event"].as_f64().unwrap() * figures["samples"].as_f64().unwrap()
    };
    assert!((spikes(&whole) - parts.iter().map(spikes).sum::<f64>()).abs() < 1e-6);
    // Records of all of them are kept.
    assert_eq!(json(&here.join("run.json"))["earlier"].as_array().unwrap().len(), 4);
}

#[test]
fn the_original_format_has_no_extension_keys() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    convert("extended", &[], here).success();
    convert("plain", &["--plain-megasim"], here).success();
    let stride_in = |name: &str| {
        let net = here.join(name);
        let files = names(&net).into_iter().filter(|file| file.ends_with(".prm"));
        files.map(|file| fs::read_to_string(net.join(file)).unwrap()).filter(|prm| prm.contains("_stride")).count()
    };
    assert_eq!((stride_in("extended"), stride_in("plain")), (24, 0));
    classify("plain", &["--json", "plain.json", "--samples", "100"], here).success();
    let figures = json(&here.join("plain.json"));
    let accuracy = |mode: &str| figures["accuracy"][mode].as_f64().unwrap();
    assert!((accuracy("event") - accuracy("ann")).abs() <= 0.02);
}

#[test]
fn options_reach_the_netfiles() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let options = ["--scaling-factor", "1000", "--v-thresh", "2", "--initial-potential", "0.5", "--percentile", "100"];
    convert("net", &options, here).success();
    let prm = fs::read_to_string(here.join("net/00Conv2D_8x8x8_0.prm")).unwrap();
    assert!(prm.contains("THplus 2000\n") && prm.contains("MembReset 1000\n") && prm.contains("Reset_to_reminder 1\n"));
    convert("zero", &["--reset", "zero"], here).success();
    let prm = fs::read_to_string(here.join("zero/00Conv2D_8x8x8_0.prm")).unwrap();
    assert!(prm.contains("Reset_to_reminder 0\n"));
    convert("both", &["--reset", "zero", "--initial-potential", "0.5"], here).code(1);
    for wrong in [["--percentile", "101"], ["--percentile", "0"], ["--scaling-factor", "-1"], ["--v-thresh", "nan"]] {
        convert("wrong", &wrong, here).code(2);
    }
    convert("wrong", &["--scaling-factor", "1e11"], here).code(1).stderr(contains("within 32 bits"));
    assert!(!here.join("wrong").exists());
}

#[test]
fn results_are_replaced_only_by_force_and_only_our_own() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    convert("net", &[], here).success();
    convert("net", &[], here).code(1).stderr(contains("exists already"));
    convert("net", &["--force"], here).success();
    fs::write(here.join("net/thesis.tex"), "mine").unwrap();
    convert("net", &["--force"], here).code(1).stderr(contains("thesis.tex"));
    assert_eq!(fs::read_to_string(here.join("net/thesis.tex")).unwrap(), "mine");
    fs::remove_file(here.join("net/thesis.tex")).unwrap();

    let quick = ["--samples", "1", "--duration", "5", "--json", "out.json"];
    classify("net", &quick, here).success();
    classify("net", &quick, here).code(1).stderr(contains("exists already"));
    classify("net", &[&quick[..], &["--force"]].concat(), here).success();
    // Somebody else's run.json stays.
    fs::create_dir(here.join("other")).unwrap();
    fs::write(here.join("other/run.json"), "{}").unwrap();
    classify("net", &["--samples", "1", "--json", "other/out.json"], here).code(1).stderr(contains("another file"));
    assert_eq!(names(&here.join("other")), ["run.json"]);
}

#[test]
fn bad_input_is_told_and_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let (model, good) = (digits("digits_cnn.keras"), digits(""));
    let bytes = fs::read(&model).unwrap();
    fs::write(here.join("cut.keras"), &bytes[..bytes.len() / 2]).unwrap();
    fs::write(here.join("empty.keras"), "").unwrap();
    fs::write(here.join("file"), "").unwrap();
    fs::create_dir(here.join("folder")).unwrap();
    let labels = data(&Array3::from_elem((3, 8, 8), 9), &Array1::from(vec![0, 1, 10]));
    let shapes = data(&Array3::from_elem((3, 7, 8), 9), &Array1::from(vec![0, 1, 2]));
    let fewer = data(&Array3::from_elem((3, 8, 8), 9), &Array1::from(vec![0, 1]));
    let before = names(here);
    let cases = [
        ("nowhere.keras", text(&good), "net", "nowhere.keras"),
        ("cut.keras", text(&good), "net", "cut.keras"),
        ("empty.keras", text(&good), "net", "an empty file"),
        ("folder", text(&good), "net", "a directory"),
        (text(here), text(&good), "net", "outside of the input"),
        (text(&model), "nowhere", "net", "nowhere"),
        (text(&model), "file", "net", "expected a directory"),
        (text(&model), text(here), "net", "test.npz"),
        (text(&model), text(labels.path()), "net", "expected labels from 0 to 9"),
        (text(&model), text(shapes.path()), "net", "expected samples of shape"),
        (text(&model), text(fewer.path()), "net", "expected 3 labels"),
        (text(&model), text(&good), "file/net", "file/net"),
        (text(&model), text(&good), "file", "exists already"),
    ];
    for (model, data, out, message) in cases {
        let output = megasim(&["convert", model, "--data", data, "--preset", "toolbox", "--out", out], here)
            .code(1)
            .get_output()
            .stderr
            .clone();
        // The diagnostic breaks long lines.
        let flat = String::from_utf8(output).unwrap().replace("\n  │ ", " ").split_whitespace().collect::<String>();
        let wanted: String = message.split_whitespace().collect();
        assert!(flat.contains(&wanted), "{model} {data} {out}: expected {message:?} in {flat}");
        assert_eq!(names(here), before, "{model} {data} {out}");
    }
}

#[test]
fn classify_wants_what_convert_wrote() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    classify("nowhere", &[], here).code(1).stderr(contains("megasim.json"));
    convert("net", &[], here).success();
    classify("net", &["--samples", "0"], here).code(2);
    classify("net", &["--dt", "0"], here).code(2);
    classify("net", &["--skip", "450"], here).code(1);
    classify("net", &["--samples", "1", "--json", "none/out.json"], here).code(1).stderr(contains("none"));

    let manifest = fs::read_to_string(here.join("net/megasim.json")).unwrap();
    fs::write(here.join("net/megasim.json"), &manifest[..manifest.len() / 2]).unwrap();
    classify("net", &[], here).code(1).stderr(contains("megasim.json"));
    fs::write(here.join("net/megasim.json"), manifest.replace("\"InputLayer\"", "\"Elsewhere\"")).unwrap();
    classify("net", &[], here).code(1).stderr(contains("Elsewhere"));
    fs::write(here.join("net/megasim.json"), manifest.replace("\"sha256\": \"", "\"sha256\": \"0")).unwrap();
    classify("net", &[], here).code(1).stderr(contains("found another"));
    fs::write(here.join("net/megasim.json"), &manifest).unwrap();
    let flatten = here.join("net/04Flatten_64.prm");
    fs::write(&flatten, fs::read_to_string(&flatten).unwrap().replace("Nx_array", "Nx_arra")).unwrap();
    classify("net", &["--samples", "1"], here).code(1).stderr(contains("04Flatten_64.prm"));
}

#[test]
fn the_demo_runs_again_and_again() {
    let directory = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        megasim(&[], directory.path()).success().stdout(contains("450 samples").and(contains("What to try next")));
    }
    let figures = json(&directory.path().join("megasim-demo/results.json"));
    assert!(figures["accuracy"]["event"].as_f64().unwrap() > 0.95);
    assert!(directory.path().join("megasim-demo/run.json").exists());
    fs::write(directory.path().join("megasim-demo/test.npz"), "mine").unwrap();
    megasim(&[], directory.path()).code(1).stderr(contains("test.npz"));
    assert_eq!(fs::read_to_string(directory.path().join("megasim-demo/test.npz")).unwrap(), "mine");
}

#[test]
fn a_list_of_parameters_is_no_single_spike_model() {
    let list = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/zoo/parameters/list-npz.npz");
    let directory = tempfile::tempdir().unwrap();
    // It is read, and then found to want other pictures.
    megasim(&["eval", text(&list), "--data", text(&digits(""))], directory.path())
        .code(1)
        .stderr(contains("array 'x': expected samples of shape (1, 10, 9), as (channels, height, width)"));
}

#[test]
fn a_misspelt_command_is_named() {
    let directory = tempfile::tempdir().unwrap();
    for arguments in
        [&["evel", "model.keras", "--data", "data"][..], &["chekc", "megasim.sch"], &["evel", "--data", "x"]]
    {
        let unknown = format!("unrecognized command '{}'", arguments[0]);
        megasim(arguments, directory.path()).code(2).stderr(contains(unknown).and(contains("classify")));
    }
    // Here the option is at fault.
    megasim(&["eval", "--nope"], directory.path()).code(2).stderr(contains("'--nope'"));
}

#[test]
fn a_file_in_the_way_of_a_directory_stays() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("out"), "mine").unwrap();
    for more in [&[][..], &["--force"]] {
        convert("out", more, directory.path()).code(1).stderr(contains("is no directory"));
    }
    assert_eq!(fs::read(directory.path().join("out")).unwrap(), b"mine");
}

#[test]
fn a_manifest_with_too_many_classes_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    convert("net", &[], directory.path()).success();
    let path = directory.path().join("net/megasim.json");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("\"classes\": 10", "\"classes\": 1000000000000")).unwrap();
    classify("net", &["--samples", "1"], directory.path()).code(1).stderr(contains("10 classes"));
}
