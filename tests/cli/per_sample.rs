//! `eval --outputs` and `classify --predictions`: what networks put out, sample by sample.

use crate::npy::{NpzReader, read_npy};
use assert_cmd::Command;
use megasim::ann::forward;
use megasim::ann::import::Model;
use megasim::dataset::{Dataset, Format};
use ndarray::{Array1, Array2, ArrayView1};
use predicates::str::contains;
use serde_json::Value;
use std::fs::{self, File};
use std::path::Path;

const MODEL: &str = "examples/digits/digits_cnn.keras";
const DATA: &str = "examples/digits";

fn megasim(arguments: &[&str]) -> assert_cmd::assert::Assert {
    let mut command = Command::cargo_bin("megasim").unwrap();
    command.current_dir(env!("CARGO_MANIFEST_DIR")).args(arguments).assert()
}

fn largest(row: ArrayView1<i64>) -> i64 {
    let best = row.iter().max().unwrap();
    row.iter().position(|score| score == best).unwrap() as i64
}

#[test]
fn outputs_are_those_of_the_network() {
    let folder = tempfile::tempdir().unwrap();
    let [npy, npz, json] = ["outputs.npy", "outputs.npz", "figures.json"].map(|name| folder.path().join(name));
    for path in [&npy, &npz] {
        megasim(&["eval", MODEL, "--data", DATA, "--samples", "40", "--outputs", path.to_str().unwrap()]).success();
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let model = Model::open(root.join(MODEL)).unwrap();
    let format = Format { shape: model.input_shape(), classes: model.classes() };
    let samples = Dataset::open(&root.join(DATA)).unwrap().test(&format, 0, Some(40)).unwrap();
    let expected = forward::forward(&model.graph, samples.x.view()).unwrap();
    assert_eq!(read_npy::<f32, ndarray::Ix2>(&npy).unwrap(), expected);
    let mut archive = NpzReader::new(File::open(&npz).unwrap()).unwrap();
    assert_eq!(archive.by_name::<_, ndarray::Ix2>("outputs").unwrap() as Array2<f32>, expected);
    let labels: Array1<i64> = archive.by_name("labels").unwrap();
    assert!(labels.iter().zip(&samples.y).all(|(&found, &label)| found == label as i64));
    let record: Value = serde_json::from_slice(&fs::read(folder.path().join("run.json")).unwrap()).unwrap();
    assert!(record["files"].to_string().contains("outputs.npz"));

    let again = ["eval", MODEL, "--data", DATA, "--outputs", npz.to_str().unwrap()];
    megasim(&again).failure().stderr(contains("outputs.npz"));
    megasim(&["eval", MODEL, "--data", DATA, "--outputs", json.to_str().unwrap()])
        .failure()
        .code(2)
        .stderr(contains("expected a name that ends in .npy or .npz"));
}

#[test]
fn predictions_are_what_the_figures_are_made_of() {
    let folder = tempfile::tempdir().unwrap();
    let [net, npz, csv, json] = ["net", "found.npz", "found.csv", "figures.json"].map(|name| folder.path().join(name));
    megasim(&["convert", MODEL, "--data", DATA, "--preset", "toolbox", "--out", net.to_str().unwrap()]).success();
    let classify = ["classify", net.to_str().unwrap(), "--data", DATA, "--skip", "7", "--samples", "30"];
    let show = ["--duration", "50", "--readout", "first_spike"];
    let run = |more: &[&str]| megasim(&[&classify[..], &show, more].concat()).success();
    run(&["--predictions", npz.to_str().unwrap(), "--json", json.to_str().unwrap()]);
    run(&["--predictions", csv.to_str().unwrap()]);
    let figures: Value = serde_json::from_slice(&fs::read(&json).unwrap()).unwrap();
    let mut archive = NpzReader::new(File::open(&npz).unwrap()).unwrap();
    let sample: Array1<i64> = archive.by_name("sample").unwrap();
    assert_eq!(sample, Array1::from_iter(7..37));
    let label: Array1<i64> = archive.by_name("label").unwrap();
    for mode in ["event", "clocked"] {
        let decision: Array1<i64> = archive.by_name(mode).unwrap();
        let scores: Array2<i64> = archive.by_name(&format!("{mode}_scores")).unwrap();
        let ms: Array1<f64> = archive.by_name(&format!("{mode}_decision_ms")).unwrap();
        let operations: Array1<i64> = archive.by_name(&format!("{mode}_operations")).unwrap();
        let share = decision.iter().zip(&label).filter(|(found, label)| found == label).count() as f64 / 30.0;
        let figure = |name: &str| figures.pointer(name).and_then(Value::as_f64).unwrap();
        assert_eq!(share, figure(&format!("/accuracy/{mode}")));
        assert!((ms.mean().unwrap() - figure(&format!("/decision_ms/{mode}"))).abs() < 1e-9);
        let mean = operations.iter().sum::<i64>() as f64 / 30.0;
        assert!((mean - figure(&format!("/per_sample/synaptic_operations/{mode}"))).abs() < 1e-6);
        assert_eq!(scores.dim(), (30, 10));
        for (row, &class) in scores.rows().into_iter().zip(&decision) {
            assert!(class < 0 || row[class as usize] == row[largest(row) as usize], "{row} {class}");
        }
    }
    let event: Array1<i64> = archive.by_name("event").unwrap();
    let text = fs::read_to_string(&csv).unwrap();
    let mut lines = text.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let header = lines.next().unwrap();
    assert_eq!(header[..5], ["sample", "label", "analog", "event", "event_decision_ms"]);
    assert_eq!(header.len(), 3 + 2 * (4 + 10));
    for (k, cells) in lines.enumerate() {
        assert_eq!(cells.len(), header.len());
        assert_eq!(cells[0], (k + 7).to_string());
        let class = if event[k] < 0 { String::new() } else { event[k].to_string() };
        assert_eq!((cells[1], cells[3]), (&label[k].to_string()[..], &class[..]));
    }
    assert_eq!(text.lines().count(), 31);
}

/// The figures of NeuroBench 2.3.0 on the same network and spikes: `benches/peers/neurobench_counts.py`.
#[test]
fn complexity_is_what_neurobench_counts() {
    let folder = tempfile::tempdir().unwrap();
    let [net, json] = ["net", "figures.json"].map(|name| folder.path().join(name));
    megasim(&["convert", MODEL, "--data", DATA, "--preset", "toolbox", "--out", net.to_str().unwrap()]).success();
    let classify = |words: &[&str]| -> Value {
        let common = ["classify", net.to_str().unwrap(), "--data", DATA, "--samples", "20", "--neurobench", "--force"];
        megasim(&[&common, words, &["--json", json.to_str().unwrap()]].concat()).success();
        serde_json::from_slice::<Value>(&fs::read(&json).unwrap()).unwrap()["neurobench"].clone()
    };
    let found = classify(&["--mode", "clocked", "--ticks-per-ms", "1"]);
    for (name, expected) in [
        ("/footprint", 14_632.0),
        ("/parameter_count", 3_658.0),
        ("/connection_sparsity", 0.0),
        ("/clocked/steps", 100.0),
        ("/clocked/activation_sparsity", 0.914_673_153_692_614_8),
        ("/clocked/synaptic_operations/dense", 1_904_000.0),
        ("/clocked/synaptic_operations/effective_macs", 0.0),
        ("/clocked/synaptic_operations/effective_acs", 251_647.4),
        ("/clocked/membrane_updates", 86_347.2),
    ] {
        let value = found.pointer(name).and_then(Value::as_f64).unwrap();
        assert!((value - expected).abs() <= 1e-9 * expected, "{name}: {value}, expected {expected}");
    }
    assert_eq!(found["event"], Value::Null);

    // Values as currents are multiplied: pixels other than 0 times 8 kernels of 9, at the border fewer, per ms.
    let current = classify(&["--mode", "clocked", "--ticks-per-ms", "2", "--encode", "current", "--duration", "10"]);
    let operations = |kind: &str| current.pointer(&format!("/clocked/synaptic_operations/{kind}")).unwrap().as_f64();
    let pixels = Dataset::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join(DATA)).unwrap();
    let samples = pixels.test(&Format { shape: Model::open(MODEL).unwrap().input_shape(), classes: 10 }, 0, Some(20));
    let reached = |k: usize| if k == 0 || k == 7 { 2.0 } else { 3.0 };
    let values = samples.unwrap().x;
    let lit = values.indexed_iter().filter(|(_, value)| **value != 0.0).map(|((_, pixel), _)| pixel);
    let macs = lit.map(|k| reached(k / 8) * reached(k % 8) * 8.0 * 10.0).sum::<f64>() / 20.0;
    assert!((operations("effective_macs").unwrap() - macs).abs() < 1e-6, "{current}, expected {macs}");
    // The first layer acts once per ms, the others in each of 20 steps; 22 x 22 pairs of pixels and taps.
    assert_eq!(operations("dense"), Some(8.0 * 22.0 * 22.0 * 10.0 + (19_040.0 - 8.0 * 22.0 * 22.0) * 20.0));
}

#[test]
fn the_keras_export_puts_out_what_the_normalised_network_does() {
    let folder = tempfile::tempdir().unwrap();
    let [net, stage, keras, ours, theirs] =
        ["net", "stage.npz", "net.keras", "ours.npy", "theirs.npy"].map(|name| folder.path().join(name));
    let [net, stage, keras, ours, theirs] = [&net, &stage, &keras, &ours, &theirs].map(|path| path.to_str().unwrap());
    megasim(&["convert", MODEL, "--data", DATA, "--save-normalised", stage, "--out", net]).success();
    megasim(&["export", net, "--to", "keras", "--out", keras]).success();
    for (network, outputs) in [(stage, ours), (keras, theirs)] {
        megasim(&["eval", network, "--data", DATA, "--samples", "50", "--outputs", outputs, "--force"]).success();
    }
    let [ours, theirs] = [ours, theirs].map(|path| read_npy::<f32, ndarray::Ix2>(path).unwrap());
    assert_eq!(ours.dim(), (50, 10));
    assert!(ours.iter().zip(&theirs).all(|(a, b)| (a - b).abs() < 1e-5), "{ours} {theirs}");
    let wrong = ["export", net, "--to", "keras", "--out", "net.h5"];
    megasim(&wrong).code(1).stderr(contains("expected a name that ends in .keras, found net.h5"));
    let wrong = ["export", net, "--to", "keras", "--out", keras, "--force", "--nir-for", "norse"];
    megasim(&wrong).code(2).stderr(contains("--nir-for: expected --to nir"));
}
