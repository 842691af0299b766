//! Tables of numbers whose features have their own ranges, and what is done to arrays before a network sees them.

use crate::arrays::write_npz;
use assert_cmd::Command;
use megasim::dataset::npy::NpzWriter;
use ndarray::{Array1, Array2, array};
use predicates::prelude::*;
use predicates::str::contains;
use rand::rngs::ChaCha8Rng;
use rand::{Rng, RngExt, SeedableRng};
use serde_json::Value;
use std::fs::{self, File};
use std::path::Path;

fn megasim(here: &Path, arguments: &str) -> assert_cmd::assert::Assert {
    Command::cargo_bin("megasim").unwrap().current_dir(here).args(arguments.split_whitespace()).assert()
}

fn figures(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// A share, a number of years below 0 or above, and an income: which class depends on all of them.
fn sample(random: &mut impl Rng) -> [f32; 3] {
    [random.random_range(0.0..0.01), random.random_range(-40.0..60.0), random.random_range(20_000.0..90_000.0)]
}

/// Data, and a network of three neurons that add up standardised features: `(x0 - 0.005) / 0.003 + ...`, written by
/// hand as Lasagne's parameters.
fn start() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let spread = [0.003, 29.0, 20_000.0];
    let means = [0.005, 10.0, 55_000.0];
    let mixes = array![[1.0, -0.5, 0.7], [-0.8, 0.9, 0.6], [0.5, 0.4, -1.0]];
    let weights = Array2::from_shape_fn((3, 3), |(from, to)| mixes[[from, to]] / spread[from]);
    let bias = Array1::from_shape_fn(3, |to| -(0..3).map(|from| means[from] * weights[[from, to]]).sum::<f64>());
    let last = array![[1.0, -1.0], [-1.0, 0.7], [0.5, 0.9]];
    let single = |values: &Array2<f64>| values.mapv(|value| value as f32);
    let mut npz = NpzWriter::new(File::create(here.join("net.npz")).unwrap());
    npz.add("arr_0", &single(&weights)).unwrap();
    npz.add("arr_1", &bias.mapv(|value| value as f32)).unwrap();
    npz.add("arr_2", &single(&last)).unwrap();
    npz.add("arr_3", &array![0.1f32, -0.1]).unwrap();
    npz.finish().unwrap();
    let layers = ["dense\"\nunits = 3", "relu\"", "dense\"\nunits = 2", "softmax\""];
    let layers: String = layers.iter().map(|layer| format!("\n[[layer]]\nkind = \"{layer}\n")).collect();
    fs::write(here.join("net.toml"), format!("input = [3]\n{layers}")).unwrap();
    fs::create_dir(here.join("data")).unwrap();
    let mut random = ChaCha8Rng::seed_from_u64(7);
    for (name, count) in [("train", 400), ("test", 200)] {
        let x = Array2::from(Vec::from_iter((0..count).map(|_| sample(&mut random))));
        let classes = x.rows().into_iter().map(|row| {
            let hidden = (0..3).map(|to| {
                let sum = bias[to] + (0..3).map(|from| f64::from(row[from]) * weights[[from, to]]).sum::<f64>();
                sum.max(0.0)
            });
            let hidden: Vec<f64> = hidden.collect();
            let logit = |class: usize| (0..3).map(|k| hidden[k] * last[[k, class]]).sum::<f64>();
            u8::from(logit(1) - 0.1 > logit(0) + 0.1)
        });
        write_npz(&here.join(format!("data/{name}.npz")), &x, &classes.collect::<Array1<u8>>());
    }
    directory
}

fn accuracy(here: &Path, mode: &str) -> f64 {
    figures(&here.join("figures.json"))["accuracy"][mode].as_f64().unwrap()
}

#[test]
fn features_with_ranges_of_their_own_are_shown_in_them() {
    let directory = start();
    let here = directory.path();
    megasim(here, "eval net.npz --data data --json figures.json").success();
    let analog = figures(&here.join("figures.json"))["accuracy"].as_f64().unwrap();
    assert!(analog > 0.98, "{analog}");
    megasim(here, "convert net.npz --data data --out net").success().stdout(contains("features have their own scales"));
    let manifest = figures(&here.join("net/megasim.json"));
    let features = &manifest["conversion"]["input_features"];
    assert!(features["scales"][0].as_f64().unwrap() < 0.011, "{features}");
    assert!(features["offsets"][2].as_f64().unwrap() > 20_000.0, "{features}");
    megasim(here, "classify net --data data --json figures.json --force").success();
    for mode in ["event", "clocked"] {
        assert!((accuracy(here, mode) - analog).abs() <= 0.01, "{mode}: {}", accuracy(here, mode));
    }
    // Layers are those of the trained network, with rates of the features as they are shown.
    megasim(here, "compare net --data data --samples 20 --json compared.json").success();
    megasim(here, "verify net --data data --samples 2 --orders 2 --hardware ideal").success();

    // One value for all leaves too little of the others.
    megasim(here, "convert net.npz --data data --out plain --preset toolbox --input-scale 90000 --scaling-factor 100")
        .success();
    megasim(here, "classify plain --data data --json figures.json --force").success();
    assert!(accuracy(here, "event") < analog - 0.1, "{}", accuracy(here, "event"));

    // As currents, values are the very numbers.
    megasim(here, "classify net --data data --encode current --json figures.json --force").success();
    assert!((accuracy(here, "event") - analog).abs() <= 0.01, "{}", accuracy(here, "event"));
}

#[test]
fn the_scale_is_a_number_a_percentile_or_a_range() {
    let directory = start();
    let here = directory.path();
    let x = Array2::from_shape_fn((101, 3), |(sample, _)| sample as f32 - 50.0);
    write_npz(&here.join("data/train.npz"), &x, &Array1::<u8>::zeros(101));
    let conversion = |out: &str| figures(&here.join(out).join("megasim.json"))["conversion"].clone();
    megasim(here, "convert net.npz --data data --out a --input-scale percentile:50").success();
    // Magnitudes above 0 are 1 to 50, each twice.
    assert_eq!(conversion("a")["input_scale"], 25.5);
    megasim(here, "convert net.npz --data data --out b --input-range -10..30").success();
    assert_eq!(conversion("b")["input_features"]["scales"], serde_json::json!([40.0, 40.0, 40.0]));
    assert_eq!(conversion("b")["input_features"]["offsets"], serde_json::json!([-10.0, -10.0, -10.0]));
    for (value, message) in [
        ("--input-range 3..3", "two numbers that rise"),
        ("--input-range 1", "two numbers that rise"),
        ("--input-scale percentile:0", "percentile"),
        ("--input-scale -1", "above 0"),
        ("--input-range 0..1 --input-scale 2", "cannot be used with"),
    ] {
        megasim(here, &format!("convert net.npz --data data --out c {value}")).code(2).stderr(contains(message));
    }
}

#[test]
fn arrays_are_preprocessed_and_standardised_as_those_of_the_conversion() {
    let directory = start();
    let here = directory.path();
    let outputs = |data: &str| {
        megasim(here, &format!("eval net.npz --data {data} --outputs outputs.npy --force")).success();
        fs::read(here.join("outputs.npy")).unwrap()
    };
    let as_stored = outputs("data");
    let copy = |name: &str| {
        fs::create_dir(here.join(name)).unwrap();
        for file in ["train.npz", "test.npz"] {
            fs::copy(here.join("data").join(file), here.join(name).join(file)).unwrap();
        }
    };
    copy("same");
    fs::write(here.join("same/preprocessing.toml"), "rescale = 1.0\nmean = [0.0, 0.0, 0.0]\nstd = [1.0]").unwrap();
    assert_eq!(outputs("same"), as_stored);
    fs::write(here.join("same/preprocessing.toml"), "mean = [1.0, 2.0]").unwrap();
    megasim(here, "eval net.npz --data same")
        .code(1)
        .stderr(contains("'mean' of preprocessing.toml with 1 number or 3"));
    fs::write(here.join("same/preprocessing.toml"), "resize = [4, 4]").unwrap();
    megasim(here, "eval net.npz --data same").code(1).stderr(contains("expected 'resize' with pictures, found arrays"));

    copy("standard");
    let keys = "featurewise_center = true\nfeaturewise_std_normalization = true\nzca_whitening = true\n";
    fs::write(here.join("standard/preprocessing.toml"), keys).unwrap();
    let standard = outputs("standard");
    assert_ne!(standard, as_stored);
    megasim(here, "convert net.npz --data standard --out net").success();
    assert!(here.join("net/standardisation.npz").is_file());
    let predictions = |data: &str| {
        megasim(here, &format!("classify net --data {data} --samples 40 --predictions found.csv --force")).success();
        fs::read_to_string(here.join("found.csv")).unwrap()
    };
    // The statistics are those of the netfiles, whatever lies next to the data.
    let first = predictions("standard");
    assert_eq!(predictions("data"), first);
    let text = fs::read(here.join("net/standardisation.npz")).unwrap();
    fs::write(here.join("net/standardisation.npz"), &text[..text.len() / 2]).unwrap();
    megasim(here, "classify net --data data").code(1).stderr(contains("standardisation.npz"));
    fs::write(here.join("standard/preprocessing.toml"), "zca_epsilon = 0.1").unwrap();
    megasim(here, "eval net.npz --data standard").code(1).stderr(contains("line 1: expected 'zca_epsilon' above 0"));
    megasim(here, "eval net.npz --data data").success().stdout(contains("accuracy").and(contains("200")));
}
