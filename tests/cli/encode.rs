//! `megasim encode`, and codes in `classify`, from the outside.

use crate::arrays::write_npz;
use assert_cmd::Command;
use megasim::netfile::parse_stimulus;
use megasim::network::{Polarity, Stimulus};
use predicates::prelude::*;
use predicates::str::contains;
use std::fs;
use std::path::Path;

fn megasim(directory: &Path, arguments: &str) -> assert_cmd::assert::Assert {
    let mut command = Command::cargo_bin("megasim").unwrap();
    command.current_dir(directory).args(arguments.split_whitespace()).assert()
}

/// A data directory `data` of such test samples.
fn data(x: &ndarray::ArrayD<f32>) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir(directory.path().join("data")).unwrap();
    write_npz(&directory.path().join("data/test.npz"), x, &ndarray::Array1::<i64>::zeros(x.shape()[0]));
    directory
}

fn stimulus(path: &Path) -> Stimulus {
    parse_stimulus(&fs::read(path).unwrap()).unwrap().0
}

#[test]
fn pictures_become_stimuli_with_a_record() {
    let x = ndarray::array![[[0.0f32, 1.0], [0.5, 0.0]], [[1.0, 0.0], [0.0, 0.0]]].into_dyn();
    let directory = data(&x);
    let path = directory.path();
    let command = "encode data --encode latency --duration 11 --ticks-per-ms 1 --samples 2 --out two.stim";
    megasim(path, command).success().stdout(contains("3 spikes of 2 samples, 11 ticks each in two.stim."));
    let found: Vec<_> = stimulus(&path.join("two.stim")).iter().map(|it| (it.t_pre, it.x, it.y)).collect();
    assert_eq!(found, [(0, 1, 0), (5, 0, 1), (11, 0, 0)]);
    let record = fs::read_to_string(path.join("run.json")).unwrap();
    assert!(record.contains("\"encode\": \"latency\""), "{record}");
    megasim(path, command).code(1).stderr(contains("two.stim"));
    megasim(path, &format!("{command} --force")).success();
    let of_file = command.replace("data", "data/test.npz").replace("two.stim", "file.stim");
    megasim(path, &of_file).success().stdout(contains("3 spikes of 2 samples"));
    assert_eq!(fs::read(path.join("file.stim")).unwrap(), fs::read(path.join("two.stim")).unwrap());
}

#[test]
fn channels_become_files_and_frames_become_changes() {
    let channels = ndarray::ArrayD::from_shape_vec(vec![1, 1, 2, 2], vec![1.0f32, 0.0, 0.0, 1.0]).unwrap();
    let directory = data(&channels);
    megasim(directory.path(), "encode data --encode ttfs --out a.stim").success();
    for (file, x) in [("a_0.stim", 0), ("a_1.stim", 1)] {
        let stimulus = stimulus(&directory.path().join(file));
        assert_eq!((stimulus.len(), stimulus.event(0).x), (1, x));
    }
    let frames = ndarray::ArrayD::from_shape_vec(vec![1, 2, 1], vec![0.5f32, 0.1]).unwrap();
    let directory = data(&frames);
    megasim(directory.path(), "encode data --encode delta:step=0.2 --frames --ticks-per-ms 1 --out a.stim").success();
    let found: Vec<_> = stimulus(&directory.path().join("a.stim")).iter().map(|it| (it.t_pre, it.polarity)).collect();
    assert_eq!(found, [(0, Polarity::Positive), (1, Polarity::Positive), (50, Polarity::Negative)]);
}

#[test]
fn what_cannot_be_encoded_is_refused() {
    let directory = data(&ndarray::ArrayD::zeros(vec![1, 3]));
    let path = directory.path();
    megasim(path, "encode data --encode current --out a.stim").code(1).stderr(contains("classify --encode current"));
    megasim(path, "encode data --encode morse --out a.stim")
        .code(2)
        .stderr(contains("expected a code").and(contains("pso, ib")));
    megasim(path, "encode data --encode pso:l=3 --out a.stim")
        .code(2)
        .stderr(contains("pso: expected KEY=VALUE with max_f, k, found 'l=3'"));
    megasim(path, "encode data --encode ttfs:tau=-1 --out a.stim").code(2).stderr(contains("a number above 0"));
    megasim(path, "encode data --frames --out a.stim").code(1).stderr(contains("axis of time"));
    megasim(path, "encode nowhere --out a.stim").code(1);
    megasim(path, "encode --help").success().stdout(contains("latency-log").and(contains("k=8")));
    assert_eq!(fs::read_dir(path).unwrap().count(), 1);
}

#[test]
fn codes_classify_the_same_with_any_number_of_threads() {
    let digits = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/digits");
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let digits = digits.display();
    megasim(path, &format!("convert {digits}/digits_cnn.keras --data {digits} --preset toolbox --out net")).success();
    megasim(path, &format!("encode {digits} --netdir net --encode cpn --seed 3 --out a.stim")).success();
    megasim(path, &format!("encode {digits} --netdir net --encode cpn --seed 3 --out b.stim")).success();
    assert_eq!(fs::read(path.join("a.stim")).unwrap(), fs::read(path.join("b.stim")).unwrap());
    for code in ["cpn:max_f=800", "current"] {
        let mut figures = Vec::new();
        for threads in [1, 3] {
            let json = format!("{}-{threads}.json", &code[..3]);
            megasim(
                path,
                &format!("classify net --data {digits} --encode {code} --samples 60 --threads {threads} --json {json}"),
            )
            .success();
            let mut result: serde_json::Value = serde_json::from_slice(&fs::read(path.join(json)).unwrap()).unwrap();
            result["seconds"] = serde_json::Value::Null;
            assert!(result["accuracy"]["event"].as_f64().unwrap() > 0.9, "{code}: {result}");
            assert!(result["accuracy"]["clocked"].as_f64().unwrap() > 0.9, "{code}: {result}");
            figures.push(result);
        }
        assert_eq!(figures[0], figures[1], "{code}");
    }
}

#[test]
fn read_outs_stop_and_say_what_they_saved() {
    let digits = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/digits");
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let digits = digits.display();
    megasim(path, &format!("convert {digits}/digits_cnn.keras --data {digits} --preset toolbox --out net")).success();
    let figures = |options: &str| -> serde_json::Value {
        megasim(path, &format!("classify net --data {digits} --samples 60 --json a.json --force {options}")).success();
        serde_json::from_slice(&fs::read(path.join("a.json")).unwrap()).unwrap()
    };
    let whole = figures("--top-k 2");
    assert_eq!(whole["saved"]["event"], serde_json::Value::Null);
    assert_eq!(whole["decision_ms"]["clocked"], 100.0);
    for mode in ["event", "clocked"] {
        assert!(whole["top_k"][mode].as_f64().unwrap() >= whole["accuracy"][mode].as_f64().unwrap());
    }
    for (options, least) in [
        ("--readout first_spike", 0.0),
        ("--readout k_spikes --k 4", 0.5),
        ("--readout spike_count --confidence 3", 0.5),
        ("--readout membrane_potential --confidence 5", 0.5),
    ] {
        let figures = figures(&format!("{options} --savings"));
        for mode in ["event", "clocked"] {
            let of = |key: &str| figures[key][mode].as_f64().unwrap();
            assert!(of("accuracy") > least, "{options}: {figures}");
            assert!(of("decision_ms") < 60.0, "{options}: {figures}");
            let saved = &figures["saved"][mode];
            assert!(saved["operations"].as_f64().unwrap() > 0.4 && saved["time"].as_f64().unwrap() > 0.4, "{figures}");
            let operations = &figures["per_sample"]["synaptic_operations"][mode];
            assert!(operations.as_f64() < whole["per_sample"]["synaptic_operations"][mode].as_f64(), "{options}");
        }
    }
    let potentials = figures("--readout membrane_potential");
    assert!(potentials["accuracy"]["clocked"].as_f64().unwrap() > 0.9);
    // Short enough for ties.
    let short = figures("--readout first_spike --duration 20 --ticks-per-ms 1");
    let ties = short["ties"]["clocked"].as_array().unwrap();
    assert!(ties.iter().any(|tie| tie["classes"].as_array().unwrap().len() > 1), "{short}");
    let record: serde_json::Value = serde_json::from_slice(&fs::read(path.join("run.json")).unwrap()).unwrap();
    assert_eq!(record["parameters"]["readout"], "first_spike");

    let classify = |options: &str| megasim(path, &format!("classify net --data {digits} --samples 1 {options}"));
    classify("--readout first_spike --savings").success().stdout(contains("of the operations saved"));
    classify("--readout first_spike").success().stdout(contains("of the time saved"));
    classify("--savings").code(2).stderr(contains("--savings: expected a read-out that stops runs early"));
    classify("--readout k_spikes").code(2).stderr(contains("--k <K>"));
    classify("--k 3").code(1).stderr(contains("--readout k_spikes"));
    classify("--readout first_spike --confidence 2").code(1).stderr(contains("--confidence goes with"));
}

#[test]
fn presets_are_parameters_of_netfiles() {
    let digits = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/digits");
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let digits = digits.display();
    let convert =
        |options: &str| megasim(path, &format!("convert {digits}/digits_cnn.keras --data {digits} {options}"));
    // What is printed next is what works: steps of a millisecond, and a second of random spikes.
    let next = format!("megasim classify a --data {digits} --ticks-per-ms 1 --duration 1000 --encode cpn\n");
    convert("--preset annarchy --out a").success().stdout(contains(next));
    convert("--preset annarchy-manual --out m").success();
    convert("--preset annarchy-lowered-output --out o").success();
    convert("--preset toolbox --out t").success();
    convert("--preset short --out d").success();
    convert("--out e").success();
    let read = |file: &str| fs::read_to_string(path.join(file)).unwrap();
    let conv = read("a/00Conv2D_8x8x8_0.prm");
    for line in ["delay_to_arrive 1", "mask_tau 20", "THplus 95000001", "THminus -200000000", "Reset_to_reminder 0"] {
        assert!(conv.lines().any(|found| found == line), "{line}");
    }
    let pool = read("a/01AveragePooling2D_8x4x4_0.prm");
    assert!(pool.contains("THplus 90000001\n") && pool.contains("mask_tau 20\n"));
    let dense = read("a/05Dense_32.prm");
    assert!(dense.contains("THplus 70000001\n") && !dense.contains("mask_tau"));
    // The output is lowered in others only.
    assert!(read("a/06Dense_10.prm").contains("THplus 100000001\n"));
    // 1 - 0.05 * 7 is a little below 0.65 in floating point, there as here, so that 0.65 is above it.
    assert!(read("o/06Dense_10.prm").contains("THplus 65000000\n"));
    assert_eq!(read("o/05Dense_32.prm"), dense);
    // In the manual's listing flatten is no layer.
    assert!(read("m/06Dense_10.prm").contains("THplus 70000001\n"));
    assert!(read("m/05Dense_32.prm").contains("THplus 75000001\n"));
    assert!(read("a/megasim.json").contains("\"mask_clock\": \"reset_event\""));
    assert_ne!(read("t/05Dense_32.prm"), read("d/05Dense_32.prm"));
    // Short presentations are what is done anyway.
    assert_eq!(read("e/05Dense_32.prm"), read("d/05Dense_32.prm"));
    assert_eq!(read("e/megasim.json"), read("d/megasim.json"));
    megasim(path, "run a/megasim.sch --out events").success();
    megasim(path, &format!("classify a --data {digits} --samples 50 --encode PSO --ticks-per-ms 1 --duration 200"))
        .success()
        .stdout(contains("50 samples"));

    convert("--preset annarchy --depth-scale 2,3,4,5,6,7 --mask-tau 0 --floor 1 --out l").success();
    let conv = read("l/00Conv2D_8x8x8_0.prm");
    assert!(conv.contains("THminus -100000000\n") && !conv.contains("mask_tau"));
    let few = convert("--preset annarchy --depth-scale 2,3,4,5,6 --out x").code(1);
    few.stderr(contains("--depth-scale: expected 6 numbers, one per layer").and(contains("found 5")));
    convert("--depth-scale 2 --out x").code(1).stderr(contains("--weighting model"));
    convert("--threshold-step 0.3 --out x").code(1).stderr(contains("a threshold above 0"));
    convert("--preset annarchy --depth-scale 0 --out x").code(2).stderr(contains("a number above 0"));
    assert!(!path.join("x").exists());
}

#[test]
fn a_network_brings_its_presentation_along() {
    let digits = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/digits");
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let digits = digits.display();
    let convert = format!("convert {digits}/digits_cnn.keras --data {digits} --encode poisson --duration 7 --out net");
    megasim(path, &convert).success();
    megasim(path, &format!("encode {digits} --netdir net --out own.stim")).success();
    megasim(path, &format!("encode {digits} --netdir net --encode poisson --duration 7 --out given.stim")).success();
    megasim(path, &format!("encode {digits} --netdir net --duration 9 --out longer.stim")).success();
    let stimulus = |name: &str| fs::read(path.join(name)).unwrap();
    assert_eq!(stimulus("own.stim"), stimulus("given.stim"));
    assert_ne!(stimulus("own.stim"), stimulus("longer.stim"));
}
