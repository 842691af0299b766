//! `convert --duration`: conversions for short presentations, and the defaults that they give to other commands.

use assert_cmd::Command;
use predicates::prelude::PredicateBooleanExt;
use predicates::str::contains;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

fn digits(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/digits").join(name)
}

fn convert(here: &Path, options: &[&str]) -> assert_cmd::assert::Assert {
    let mut command = Command::new(env!("CARGO_BIN_EXE_megasim"));
    command.current_dir(here).arg("convert").arg(digits("digits_cnn.keras")).arg("--data").arg(digits(""));
    command.args(options).assert()
}

/// Accuracies in event and in clocked mode of all test samples.
fn accuracies(here: &Path, netdir: &str, options: &[&str]) -> (f64, f64) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_megasim"));
    command.current_dir(here).args(["classify", netdir, "--json", "figures.json"]).arg("--data");
    command.arg(digits("")).args(options).assert().success();
    let figures: Value = serde_json::from_slice(&fs::read(here.join("figures.json")).unwrap()).unwrap();
    fs::remove_file(here.join("figures.json")).unwrap();
    let of = |mode: &str| figures["accuracy"][mode].as_f64().unwrap();
    (of("event"), of("clocked"))
}

#[test]
fn signed_neurons_at_ten_ms_are_as_good_as_the_trained_network_in_both_modes() {
    let here = TempDir::new().unwrap();
    let here = here.path();
    let options = ["--out", "signed", "--duration", "10", "--neuron", "signed"];
    convert(here, &options).success().stdout(contains("As spikes at 10 ms, 200 normalisation samples"));
    let (event, clocked) = accuracies(here, "signed", &[]);
    // The trained network is right on 0.9844.
    assert!(event >= 0.975, "{event}");
    assert_eq!(event, clocked);
}

#[test]
fn classify_takes_the_presentation_from_the_netfiles() {
    let here = TempDir::new().unwrap();
    let here = here.path();
    convert(
        here,
        &["--out", "short", "--duration", "7", "--neuron", "plain", "--encode", "poisson", "--ticks-per-ms", "5"],
    )
    .success();
    let manifest: Value = serde_json::from_slice(&fs::read(here.join("short/megasim.json")).unwrap()).unwrap();
    assert_eq!(manifest["presentation"]["duration"], 7);
    assert_eq!(manifest["presentation"]["calibration"]["correction"], "potential");
    let run = |options: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_megasim"));
        command.current_dir(here).args(["classify", "short", "--samples", "5", "--json", "a.json", "--data"]);
        command.arg(digits("")).args(options).assert().success();
        let run: Value = serde_json::from_slice(&fs::read(here.join("run.json")).unwrap()).unwrap();
        let parameters = &run["parameters"];
        fs::remove_file(here.join("a.json")).unwrap();
        fs::remove_file(here.join("run.json")).unwrap();
        [&parameters["duration"], &parameters["encode"], &parameters["ticks_per_ms"]].map(ToString::to_string)
    };
    assert_eq!(run(&[]), ["7", "\"poisson\"", "5"]);
    assert_eq!(run(&["--duration", "20"]), ["20", "\"poisson\"", "5"]);
}

#[test]
fn calibration_helps_plain_neurons() {
    let here = TempDir::new().unwrap();
    let here = here.path();
    convert(here, &["--out", "none", "--duration", "10", "--neuron", "plain", "--calibrate", "none"]).success();
    convert(here, &["--out", "potential", "--duration", "10", "--neuron", "plain"]).success();
    let (none, _) = accuracies(here, "none", &["--samples", "200"]);
    let (calibrated, _) = accuracies(here, "potential", &["--samples", "200"]);
    assert!(calibrated > none, "{calibrated} after, {none} before");
}

#[test]
fn options_of_calibration_need_a_presentation() {
    let here = TempDir::new().unwrap();
    let toolbox = ["--out", "a", "--preset", "toolbox", "--calibrate", "bias"];
    convert(here.path(), &toolbox).code(1).stderr(contains("--calibrate: expected --duration or --preset short"));
    let none = ["--out", "a", "--duration", "10", "--calibrate", "none", "--calibrate-for", "clocked"];
    convert(here.path(), &none).code(1).stderr(contains("--calibrate-for"));
    assert!(!here.path().join("a").exists());
}

#[test]
fn a_sweep_over_the_conversion_calibrates_as_convert_does() {
    let here = TempDir::new().unwrap();
    let here = here.path();
    let convert_to = |out: &str, bits: &str| {
        let more = ["--calibrate", "both", "--calibration-samples", "64", "--encode", "poisson", "--set", "*.Tmin=2"];
        let options = [&["--out", out, "--duration", "7", "--weight-bits", bits], &more[..]].concat();
        convert(here, &options).success();
    };
    convert_to("net", "full");
    convert_to("coarse", "4");
    let mut command = Command::new(env!("CARGO_BIN_EXE_megasim"));
    let sweep = ["sweep", "net", "--samples", "40", "--over", "weight-bits=full,4", "--out", "sweep", "--data"];
    command.current_dir(here).args(sweep).arg(digits("")).assert().success();
    let sweep: Value = serde_json::from_slice(&fs::read(here.join("sweep/sweep.json")).unwrap()).unwrap();
    for (point, netdir) in ["net", "coarse"].into_iter().enumerate() {
        let mut command = Command::new(env!("CARGO_BIN_EXE_megasim"));
        command.current_dir(here).args([
            "classify",
            netdir,
            "--samples",
            "40",
            "--json",
            "a.json",
            "--force",
            "--data",
        ]);
        command.arg(digits("")).assert().success();
        let alone: Value = serde_json::from_slice(&fs::read(here.join("a.json")).unwrap()).unwrap();
        for mode in ["event", "clocked"] {
            let close = |a: &Value, b: &Value| (a.as_f64().unwrap() - b.as_f64().unwrap()).abs() < 1e-9;
            let of = &sweep["points"][point][mode];
            assert!(close(&of["spikes"], &alone["per_sample"]["spikes"][mode]), "{netdir} {mode}: {of} {alone}");
            assert!(close(&of["accuracy"]["share"], &alone["accuracy"][mode]), "{netdir} {mode}: {of} {alone}");
        }
    }
}

fn manifest(here: &Path, netdir: &str) -> Value {
    serde_json::from_slice(&fs::read(here.join(netdir).join("megasim.json")).unwrap()).unwrap()
}

#[test]
fn without_options_neurons_are_signed_and_presentations_50_ms() {
    let here = TempDir::new().unwrap();
    let here = here.path();
    convert(here, &["--out", "net"]).success().stdout(contains("As spikes at 50 ms"));
    let net = manifest(here, "net");
    assert_eq!(net["presentation"]["duration"], 50);
    assert!(net["conversion"]["signed"].is_object());
    let (event, clocked) = accuracies(here, "net", &["--samples", "200"]);
    assert_eq!(event, clocked);
    convert(here, &["--out", "short", "--preset", "short"]).success();
    assert_eq!(manifest(here, "short"), net);
    convert(here, &["--out", "plain", "--neuron", "plain"]).success();
    let plain = manifest(here, "plain");
    assert_eq!(plain["presentation"]["duration"], 50);
    assert!(plain["conversion"]["signed"].is_null());
}

#[test]
fn what_signed_neurons_do_not_have_is_converted_as_the_toolbox_does() {
    let here = TempDir::new().unwrap();
    let here = here.path();
    convert(here, &["--out", "toolbox", "--preset", "toolbox", "--reset", "zero"]).success();
    let note = "warning: converted as --preset toolbox: --reset has no form with the default, --preset short";
    convert(here, &["--out", "zero", "--reset", "zero", "--brief"]).success().stderr(contains(note));
    assert_eq!(manifest(here, "zero"), manifest(here, "toolbox"));
    convert(here, &["--out", "a", "--reset", "zero", "--preset", "short"]).code(1).stderr(contains("--neuron signed"));
    convert(here, &["--out", "a", "--encode", "pso", "--reset", "zero"]).code(1).stderr(contains("--duration"));
}

/// Each event of an input counts as its part of it, so that the network computes what it did.
#[test]
fn several_events_per_ms_make_the_input_finer() {
    let here = TempDir::new().unwrap();
    let here = here.path();
    convert(here, &["--out", "ten", "--duration", "5", "--input", "events:10"]).success();
    let net = manifest(here, "ten");
    assert_eq!(net["presentation"]["encode"], "events:n=10");
    assert_eq!(net["conversion"]["input_events"], 10);
    let (event, clocked) = accuracies(here, "ten", &["--samples", "200"]);
    assert!(event > 0.9, "{event}");
    assert_eq!(event, clocked);
    // Without a duration the code is kept, too.
    convert(here, &["--out", "long", "--preset", "toolbox", "--input", "events:3"]).success();
    let (event, _) = accuracies(here, "long", &["--samples", "100"]);
    assert!(event > 0.95, "{event}");
    let mut command = Command::new(env!("CARGO_BIN_EXE_megasim"));
    let coarse = ["classify", "long", "--samples", "1", "--encode", "regular", "--data"];
    command.current_dir(here).args(coarse).arg(digits("")).assert().success().stderr(contains("take 3 spikes per ms"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_megasim"));
    let few = ["classify", "long", "--samples", "1", "--ticks-per-ms", "2", "--data"];
    command
        .current_dir(here)
        .args(few)
        .arg(digits(""))
        .assert()
        .code(1)
        .stderr(contains("--ticks-per-ms of at least 3"));
}

fn megasim(here: &Path, words: &[&str]) -> assert_cmd::assert::Assert {
    Command::new(env!("CARGO_BIN_EXE_megasim")).current_dir(here).args(words).assert()
}

/// Averages that pass spikes on compute what those that add up compute, and no order changes that.
#[test]
fn pooling_that_passes_spikes_on_keeps_the_accuracy() {
    let here = TempDir::new().unwrap();
    let here = here.path();
    convert(here, &["--out", "relay", "--pool", "relay", "--duration", "20"]).success();
    assert_eq!(manifest(here, "relay")["conversion"]["relays"], true);
    let (event, clocked) = accuracies(here, "relay", &["--samples", "200"]);
    assert!(event > 0.95, "{event}");
    assert_eq!(event, clocked);
    let data = digits("");
    let verify = ["verify", "relay", "--samples", "2", "--orders", "2", "--data", data.to_str().unwrap()];
    megasim(here, &verify).success().stdout(contains("signed neurons").and(contains(" 0 differ")));
}

/// Each point is what a conversion for its duration gives.
#[test]
fn a_sweep_over_durations_converts_anew_for_each() {
    let here = TempDir::new().unwrap();
    let here = here.path();
    convert(here, &["--out", "four", "--duration", "4"]).success();
    convert(here, &["--out", "nine", "--duration", "9"]).success();
    let data = digits("");
    let some = ["--samples", "100", "--data", data.to_str().unwrap()];
    let sweep = ["sweep", "four", "--over", "duration=4,9", "--recalibrate", "--out", "sweep"];
    megasim(here, &[&sweep[..], &some].concat()).success();
    let sweep: Value = serde_json::from_slice(&fs::read(here.join("sweep/sweep.json")).unwrap()).unwrap();
    for (point, netdir) in ["four", "nine"].into_iter().enumerate() {
        megasim(here, &[&["classify", netdir, "--json", "a.json", "--force"], &some[..]].concat()).success();
        let alone: Value = serde_json::from_slice(&fs::read(here.join("a.json")).unwrap()).unwrap();
        let of = |value: &Value| value.as_f64().unwrap();
        let (found, expected) = (&sweep["points"][point]["event"]["spikes"], &alone["per_sample"]["spikes"]["event"]);
        assert!((of(found) - of(expected)).abs() < 1e-9, "{netdir}: {found}, alone {expected}");
    }
    let other = ["sweep", "four", "--over", "encode=poisson", "--recalibrate", "--out", "other"];
    megasim(here, &[&other[..], &some].concat()).code(2).stderr(contains("--over duration=..."));
}

/// A residual network that takes mean and standard deviation off its input, as those for CIFAR-10 do.
#[test]
fn a_residual_network_keeps_its_accuracy_at_ten_ms() {
    let here = TempDir::new().unwrap();
    let here = here.path();
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/models/digits-residual/model.onnx");
    let data = digits("");
    let words =
        ["convert", model.to_str().unwrap(), "--data", data.to_str().unwrap(), "--duration", "10", "--out", "net"];
    megasim(here, &words).success();
    let (event, clocked) = accuracies(here, "net", &[]);
    // The trained network is right on 0.9889.
    assert!(event >= 0.98, "{event}");
    assert_eq!(event, clocked);
}

/// Bytes as 255 events, so that the input is exact, too: each of the digits is decided as the trained network does.
#[test]
fn a_network_with_quantised_activations_is_the_trained_one() {
    let here = TempDir::new().unwrap();
    let here = here.path();
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/models/digits-quantised/qdq.onnx");
    let (model, data) = (model.to_str().unwrap(), digits(""));
    let data = data.to_str().unwrap();
    let exact = ["--duration", "51", "--input", "events:5", "--out", "net"];
    megasim(here, &[&["convert", model, "--data", data][..], &exact].concat())
        .success()
        .stdout(contains("counts of 3 of 7 layers are the levels of the trained network"));
    assert!(manifest(here, "net")["presentation"]["calibration"].is_null());
    megasim(here, &["classify", "net", "--data", data, "--json", "a.json"]).success();
    let figures: Value = serde_json::from_slice(&fs::read(here.join("a.json")).unwrap()).unwrap();
    for mode in ["event_ann", "clocked_ann"] {
        assert_eq!(figures["agreement"][mode], 1.0, "{mode}: {figures}");
    }
    let verify = ["verify", "net", "--data", data, "--samples", "3", "--orders", "1", "--json", "b.json"];
    megasim(here, &verify).success().stdout(contains("trained network"));
    let figures: Value = serde_json::from_slice(&fs::read(here.join("b.json")).unwrap()).unwrap();
    assert_eq!(
        (figures["trained"]["compared"].as_u64(), figures["trained"]["different"].as_u64()),
        (Some(2400), Some(0))
    );
    // What is asked for is done.
    let asked = ["--duration", "20", "--calibrate", "bias", "--pool", "integrate", "--out", "asked"];
    megasim(here, &[&["convert", model, "--data", data][..], &asked].concat()).success();
    let asked = manifest(here, "asked");
    assert_eq!(asked["presentation"]["calibration"]["correction"], "bias");
    assert!(asked["conversion"]["relays"].is_null());
    let other = ["classify", "net", "--data", data, "--samples", "1", "--duration", "20"];
    megasim(here, &other).success().stderr(contains("cut counts off at the levels"));
}
