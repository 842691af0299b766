//! One network in several formats gives one result, that of an independent runtime (see
//! `tests/data/models/make_expected.py`), and one spiking network.

use crate::npy::NpzReader;
use megasim::ann::graph::{Activation, Operation};
use megasim::ann::score::Score;
use megasim::ann::{forward, import};
use megasim::convert::{ConvertOptions, convert};
use megasim::dataset::{Dataset, Format};
use ndarray::{Array2, ArrayView2, Axis};
use std::fs::File;
use std::path::{Path, PathBuf};

/// Endings of the formats that are read.
const FORMATS: &[&str] = &["h5", "keras", "onnx"];

fn models(folder: &Path) -> Vec<PathBuf> {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let is_model =
        |path: &PathBuf| path.extension().is_some_and(|ending| FORMATS.iter().any(|format| ending == *format));
    let mut models: Vec<PathBuf> = files.filter(is_model).collect();
    models.sort();
    models
}

fn largest_difference(a: ArrayView2<f32>, b: ArrayView2<f32>) -> f32 {
    assert_eq!(a.dim(), b.dim());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn every_format_gives_the_logits_of_an_independent_runtime() {
    for (network, formats) in [("mnist-mlp", 2), ("mnist-cnn-bn", 4)] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/models").join(network);
        let mut expected = NpzReader::new(File::open(folder.join("expected.npz")).unwrap()).unwrap();
        let [x, logits, y]: [Array2<f32>; 3] = ["x", "logits", "y"].map(|name| expected.by_name(name).unwrap());
        let models = models(&folder);
        assert_eq!(models.len(), formats);
        for path in models {
            let model = import::read(&path).unwrap();
            assert_eq!((model.input_shape().len(), model.classes()), (784, 10));
            let before = self::logits(&model, x.view());
            let outputs = forward::forward(&model.graph, x.view()).unwrap();
            let differences =
                [(before.view(), logits.view()), (outputs.view(), y.view())].map(|(a, b)| largest_difference(a, b));
            assert!(differences[0] <= 1e-4 && differences[1] <= 1e-5, "{}: {differences:?}", path.display());
        }
    }
}

/// The ONNX files hold no batch normalisation any more: tf2onnx has put it into the weights before it.
#[test]
fn every_format_gives_the_same_modules() {
    for network in ["mnist-mlp", "mnist-cnn-bn"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/models").join(network);
        let mut expected = NpzReader::new(File::open(folder.join("expected.npz")).unwrap()).unwrap();
        let x: Array2<f32> = expected.by_name("x").unwrap();
        let mut first = None;
        for path in models(&folder) {
            let model = import::read(&path).unwrap();
            let network = convert(&model.graph, x.view(), &ConvertOptions::default()).unwrap().emitted.network;
            let first = first.get_or_insert_with(|| network.clone());
            assert!(network.modules() == first.modules(), "{}", path.display());
        }
    }
}

/// Logits of a network whose last layer is a softmax, `(samples, classes)`.
fn logits(model: &import::Model, x: ArrayView2<f32>) -> Array2<f32> {
    let last = model.graph.layers().last().unwrap();
    assert_eq!(last.operation, Operation::Activation(Activation::Softmax));
    let mut logits = Array2::zeros((0, model.classes()));
    forward::visit_activations(&model.graph, x, |_, layer, values| {
        if layer == last.inputs[0] {
            logits.append(Axis(0), values).unwrap();
        }
    })
    .unwrap();
    logits
}

/// `MEGASIM_MODELS=DIR MEGASIM_DATA=DIR cargo test --release --test ann_models -- --ignored --nocapture`: every folder
/// of models holds one network in several formats, which agree on the whole test set.
#[test]
#[ignore = "needs models and data that are not part of this project"]
fn all_formats_agree_on_a_test_set() {
    let [models_folder, data] =
        ["MEGASIM_MODELS", "MEGASIM_DATA"].map(|name| PathBuf::from(std::env::var(name).unwrap()));
    let data = Dataset::open(&data).unwrap();
    let mut folders: Vec<PathBuf> = std::fs::read_dir(&models_folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .collect();
    folders.sort();
    let mut compared = 0;
    for folder in folders {
        let mut first: Option<(String, Array2<f32>)> = None;
        for path in models(&folder) {
            let Ok(model) = import::read(&path) else { continue };
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let samples = data.test(&Format { shape: model.input_shape(), classes: model.classes() }, 0, None).unwrap();
            let found = logits(&model, samples.x.view());
            let score = Score::new(found.view(), &samples.y);
            let place = folder.file_name().unwrap().to_string_lossy();
            let summary = format!("{place}/{name}: {} of {} right", score.top(1), score.samples());
            match &first {
                None => println!("{summary}"),
                Some((of, expected)) => {
                    let difference = largest_difference(found.view(), expected.view());
                    println!("{summary}, logits differ from those of {of} by at most {difference:.1e}");
                    assert!(difference <= 1e-4, "{summary}: {difference}");
                    compared += 1;
                }
            }
            first.get_or_insert((name, found));
        }
    }
    assert!(compared > 0, "expected folders with more than one format");
}
