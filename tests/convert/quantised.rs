//! Networks with quantised activations: the counts of signed neurons are the levels of the trained network.

use megasim::ann::forward::forward;
use megasim::ann::graph::{Activation, Operation};
use megasim::ann::import::{self, Model};
use megasim::convert::settings::Setting;
use megasim::convert::{Convert, ConvertOptions};
use megasim::dataset::Dataset;
use megasim::study::latency::MachineInput;
use megasim::study::presentation::Presentation;
use megasim::study::verify::{VerifyOptions, verify, verify_of};
use megasim::{ConvertedModel, LabelledSamples};
use ndarray::Array2;
use ndarray_npy::NpzReader;
use std::fs::File;
use std::path::{Path, PathBuf};

/// One network in the three ways in which such networks are stored.
const MODELS: [&str; 3] = ["clip_floor.onnx", "relu_q.keras", "qdq.onnx"];

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/models/digits-quantised").join(name)
}

fn digits() -> Dataset {
    Dataset::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/digits")).unwrap()
}

fn signed(duration: u32) -> ConvertOptions {
    ConvertOptions::new().signed(Default::default()).unwrap().duration(duration).unwrap()
}

fn converted(name: &str, options: &ConvertOptions) -> (ConvertedModel, LabelledSamples) {
    let data = digits();
    let converted = Model::open(file(name)).unwrap().convert(&data, options).unwrap();
    let samples = LabelledSamples::test(&converted, &data, 0, Some(4)).unwrap();
    (converted, samples)
}

#[test]
fn graphs_of_clip_and_floor_and_of_qdq_pairs_are_read_as_levels() {
    let mut expected = NpzReader::new(File::open(file("expected.npz")).unwrap()).unwrap();
    for name in MODELS {
        let model = import::read(&file(name)).unwrap();
        let format = megasim::dataset::Format { shape: model.input_shape(), classes: model.classes() };
        let x = digits().for_input(model.input_form()).test(&format, 0, Some(20)).unwrap().x;
        let outputs = forward(&model.graph, x.view()).unwrap();
        let y: Array2<f32> = expected.by_name(name.split('.').next().unwrap()).unwrap();
        let worst = outputs.iter().zip(&y).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst < 1e-4, "{name}: {worst}");
        let levels = model.graph.layers().iter().filter_map(|layer| match layer.operation {
            Operation::Activation(Activation::Quantized(levels)) if levels.highest < 255 => Some(levels),
            Operation::Activation(Activation::Floor | Activation::Round) => panic!("{name}: {}", layer.name),
            _ => None,
        });
        let levels: Vec<_> = levels.collect();
        assert_eq!(levels.len(), 3, "{name}");
        for of in levels {
            assert!((of.step - 0.5).abs() < 1e-6 && (of.lowest, of.highest) == (0, 7), "{name}: {of:?}");
        }
    }
}

#[test]
fn counts_are_levels_whatever_the_duration() {
    for (name, duration) in [(MODELS[0], 4), (MODELS[1], 9), (MODELS[2], 17)] {
        let (converted, samples) = converted(name, &signed(duration));
        let manifest = converted.manifest();
        assert_eq!(manifest.layers.iter().filter(|layer| layer.levels.is_some()).count(), 3, "{name}");
        assert!(manifest.conversion.relays && manifest.presentation.as_ref().unwrap().calibration.is_none(), "{name}");
        let options = VerifyOptions::new().presentation(Presentation::of(&converted).unwrap()).orders(2);
        let answer = verify(&converted, &samples, &options, &()).unwrap();
        assert_eq!((answer.signed, answer.totals().1), (true, 0), "{name}");
        let trained = answer.trained.unwrap();
        // 4 samples of 8 maps of 8x8 cells, 16 of 4x4 and 32 numbers.
        assert_eq!((trained.compared, trained.different), (4 * (512 + 256 + 32), 0), "{name}");
    }
}

#[test]
fn a_network_that_is_another_has_other_levels() {
    let (converted, samples) = converted(MODELS[0], &signed(8));
    let presentation = Presentation::of(&converted).unwrap();
    let mut input = MachineInput::new(&converted, &samples, &presentation).unwrap();
    let threshold = converted.output_threshold();
    let setting: Setting = format!("*Dense_32.THplus={}", threshold - threshold / 20).parse().unwrap();
    input.set(&[setting]).unwrap();
    let answer = verify_of(&input, &VerifyOptions::new().presentation(presentation).orders(1), &()).unwrap();
    assert_eq!(answer.totals().1, 0);
    assert!(answer.trained.unwrap().different > 0);
    assert!(answer.examples.iter().all(|example| example.node.ends_with("Dense_32")), "{:?}", answer.examples);
}

/// Rates have a grid of their own.
#[test]
fn plain_neurons_keep_the_highest_level_as_a_maximum() {
    for name in MODELS {
        let (converted, _) = converted(name, &ConvertOptions::new());
        let manifest = converted.manifest();
        assert!(manifest.layers.iter().all(|layer| layer.levels.is_none()), "{name}");
        let is_excess = |name: &str| name.contains("Excess");
        assert_eq!(manifest.layers.iter().filter(|layer| is_excess(&layer.name)).count(), 3, "{name}");
    }
}

/// A model with some of its bytes changed.
fn changed(name: &str, from: &str, to: &str) -> Result<Model, String> {
    let mut bytes = std::fs::read(file(name)).unwrap();
    let (from, to) = (from.as_bytes(), to.as_bytes());
    let places: Vec<_> = (0..bytes.len() - from.len()).filter(|&at| bytes[at..].starts_with(from)).collect();
    assert!(!places.is_empty() && from.len() == to.len());
    places.into_iter().for_each(|at| bytes[at..at + to.len()].copy_from_slice(to));
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    Model::open(&path).map_err(|error| error.to_string())
}

#[test]
fn what_is_no_quantised_activation_is_refused_by_name() {
    let error = changed("qdq.onnx", "DequantizeLinear", "DequantizeLineaz").unwrap_err();
    assert!(error.contains("expected a DequantizeLinear behind it, found 'input.real'"), "{error}");
    let error = changed("qdq.onnx", "QuantizeLinear", "QuantizeLineaz").unwrap_err();
    assert!(error.contains("expected a QuantizeLinear before it, found none"), "{error}");
    // Halves are added before, so that levels are in the middle between those of a rounding.
    let odd = changed("clip_floor.onnx", "Floor", "Round").unwrap();
    let error = odd.convert(&digits(), &signed(8)).unwrap_err().to_string();
    assert!(error.contains("rounding has a spiking form only as part of a quantised activation"), "{error}");
}
