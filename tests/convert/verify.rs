//! Signed conversions of networks of all shapes: no count depends on orders, delays, machines or the mode.

use crate::npy::NpzReader;
use megasim::ann::graph::Shape;
use megasim::ann::import::Model;
use megasim::convert::settings::Setting;
use megasim::convert::{Convert, ConvertOptions};
use megasim::dataset::Dataset;
use megasim::dataset::npy::Array;
use megasim::study::presentation::Presentation;
use megasim::study::verify::{Results, VerifyOptions, verify};
use megasim::{ConvertedModel, LabelledSamples};
use ndarray::{Array2, s};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use std::fs::File;
use std::path::{Path, PathBuf};

const SAMPLES: usize = 2;

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

/// Samples as they are stored, `(samples, maps, height, width)` or `(samples, features)`.
fn array(x: &Array2<f32>, shape: Shape) -> Array {
    let mut axes = vec![x.nrows()];
    match shape {
        Shape::Features(n) => axes.push(n),
        Shape::Maps { channels, height, width } => axes.extend([channels, height, width]),
    }
    Array { shape: axes, values: x.iter().copied().collect(), is_bytes: false }
}

fn converted(model: &Model, x: &Array2<f32>, options: &ConvertOptions) -> (ConvertedModel, LabelledSamples) {
    let labels = Array { shape: vec![x.nrows()], values: vec![0.0; x.nrows()], is_bytes: false };
    let x = || array(x, model.input_shape());
    let data = Dataset::in_memory(Some((x(), labels)), Some(x()));
    let converted = model.convert(&data, options).unwrap();
    let samples = LabelledSamples::test(&converted, &data, 0, Some(SAMPLES)).unwrap();
    (converted, samples)
}

fn options() -> ConvertOptions {
    ConvertOptions::new().signed(Default::default()).unwrap().duration(6).unwrap()
}

fn answer(converted: &ConvertedModel, samples: &LabelledSamples, options: VerifyOptions) -> Results {
    let presentation = Presentation::of(converted).unwrap();
    verify(converted, samples, &options.presentation(presentation).orders(3), &()).unwrap()
}

fn random(model: &Model, n: usize) -> Array2<f32> {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    Array2::from_shape_simple_fn((n, model.input_shape().len()), || random.random_range(0.0..1.0))
}

#[test]
fn no_count_depends_on_order_delay_machine_or_mode() {
    let zoo = data("zoo/rates");
    let files = std::fs::read_dir(&zoo).unwrap().map(|entry| entry.unwrap().path());
    let is_model = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "keras" || ending == "onnx");
    let mut models: Vec<PathBuf> = files.filter(is_model).collect();
    models.sort();
    assert_eq!(models.len(), 11);
    let others = ["mnist-mlp/keras3.keras", "mnist-cnn-bn/keras3.keras", "digits-residual/model.onnx"];
    models.extend(others.map(|model| data("models").join(model)));
    for path in models {
        let model = Model::open(&path).unwrap();
        let x = match File::open(path.with_extension("npz")) {
            Ok(file) => NpzReader::new(file).unwrap().by_name::<_, _>("x").unwrap(),
            Err(_) => random(&model, 8),
        };
        let few = x.slice(s![..8.min(x.nrows()), ..]).to_owned();
        let (converted, samples) = converted(&model, &few, &options());
        let answer = answer(&converted, &samples, VerifyOptions::new());
        let (compared, different) = answer.totals();
        // Event mode, clocked mode, three orders, and the machines that come with the program, of which one is small.
        assert!(answer.signed && answer.ways.len() >= 7 && answer.samples == SAMPLES, "{}", path.display());
        assert!(compared > 0 && different == 0, "{}: {different} of {compared}", path.display());
        assert!(answer.least_spikes > 0, "{}", path.display());
    }
}

#[test]
fn a_wrong_weight_is_reported() {
    let model = Model::open(data("models/mnist-mlp/keras3.keras")).unwrap();
    let x = random(&model, 8);
    let (right, samples) = converted(&model, &x, &options());
    let mut network = right.network().clone();
    let output = right.network().modules().iter().rev().find_map(|module| module.kind.neurons()).unwrap();
    let setting = format!("*Dense_10.THplus={}", output.1.threshold_plus / 4 * 3);
    Setting::apply(&setting.parse().unwrap(), &mut network).unwrap();
    let found = answer(&right, &samples, VerifyOptions::new().reference(network));
    assert!(found.totals().1 > 0 && !found.examples.is_empty());
    assert!(
        found.examples.iter().all(|example| example.node.ends_with("Dense_10") && example.expected != example.found)
    );
}
