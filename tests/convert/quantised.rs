//! Networks with quantised activations: the counts of signed neurons are the levels of the trained network.

use crate::npy::NpzReader;
use megasim::ann::forward::{forward, visit_activations};
use megasim::ann::graph::{
    Activation, AxisOrder, Graph, GraphBuilder, LayerId, Levels, Operation, Padding, Pooling, Rounding, Shape,
};
use megasim::ann::import::{self, Model};
use megasim::convert::settings::Setting;
use megasim::convert::{Convert, ConvertOptions, convert, emit};
use megasim::dataset::Dataset;
use megasim::network::{Polarity, Stimulus, StimulusEvent};
use megasim::study::latency::MachineInput;
use megasim::study::presentation::Presentation;
use megasim::study::verify::{VerifyOptions, integer, verify, verify_of};
use megasim::{ConvertedModel, LabelledSamples};
use ndarray::{Array, Array1, Array2, Dimension, ShapeBuilder};
use proptest::prelude::*;
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
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

/// Rates have their own grid.
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

/// A random network of levels, of both signs or not, whose numbers are all multiples of powers of two.
struct Sketch {
    builder: GraphBuilder,
    random: ChaCha8Rng,
}

impl Sketch {
    fn array<D: Dimension>(&mut self, shape: impl ShapeBuilder<Dim = D>) -> Array<f32, D> {
        Array::from_shape_simple_fn(shape, || self.random.random_range(-6..=6) as f32 / 8.0)
    }

    fn add(&mut self, operation: Operation, inputs: &[LayerId]) -> LayerId {
        let name = format!("layer{}", self.builder.layers().len());
        self.builder.add(name, "Layer", operation, inputs).unwrap()
    }

    fn levels(&mut self, input: LayerId) -> LayerId {
        let step = [0.25, 0.5, 1.0][self.random.random_range(0..3)];
        let lowest = [0, 0, -5][self.random.random_range(0..3)];
        let rounding = Rounding::Floor([0.0, 0.5, 0.25][self.random.random_range(0..3)]);
        let levels = Levels { step, lowest, highest: self.random.random_range(1..9), rounding };
        self.add(Operation::Activation(Activation::Quantized(levels)), &[input])
    }

    fn convolution(&mut self, input: LayerId, out: usize) -> LayerId {
        let Shape::Maps { channels, .. } = self.builder.shape(input) else { unreachable!() };
        let (weights, bias) = (self.array((out, channels, 3, 3)), Some(self.array(out)));
        let (padding, groups) = (Padding { top: 1, bottom: 1, left: 1, right: 1 }, 1);
        let conv = Operation::Convolution { weights, bias, strides: (1, 1), padding, dilation: (1, 1), groups };
        let conv = self.add(conv, &[input]);
        let gamma = Array1::from_shape_simple_fn(out, || [0.5, 1.0, 2.0][self.random.random_range(0..3)]);
        let beta = self.array(out);
        let norm = self.add(Operation::affine(gamma, beta), &[conv]);
        self.levels(norm)
    }

    fn graph(seed: u64) -> Graph {
        let random = ChaCha8Rng::seed_from_u64(seed);
        let builder = GraphBuilder::new("input", Shape::Maps { channels: 2, height: 5, width: 4 });
        let mut it = Self { builder, random };
        let mut last = it.convolution(0, 2);
        for _ in 0..3 {
            let Shape::Maps { channels, height, width } = it.builder.shape(last) else { unreachable!() };
            last = match it.random.random_range(0..4) {
                0 => it.convolution(last, 3),
                1 => {
                    let other = it.convolution(last, channels);
                    let sum = it.add(Operation::Add, &[other, last]);
                    it.levels(sum)
                }
                2 => {
                    let other = it.convolution(last, 2);
                    it.add(Operation::Concatenate, &[last, other])
                }
                _ if height.min(width) < 2 => last,
                _ => {
                    let padding = Padding::default();
                    it.add(Operation::Pool { pooling: Pooling::Max, size: (2, 2), strides: (1, 2), padding }, &[last])
                }
            };
        }
        last = it.add(Operation::Flatten { order: AxisOrder::ChannelsFirst }, &[last]);
        for n in [4, 3] {
            let dense = Operation::Dense { weights: it.array((it.builder.shape(last).len(), n)), bias: None };
            last = it.add(dense, &[last]);
            last = if n == 4 { it.levels(last) } else { last };
        }
        it.builder.finish().unwrap()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    /// Sums, concatenations and maxima of levels of both signs: in whole numbers, without a tie that is rounded, all
    /// counts are the levels.
    #[test]
    fn counts_of_random_networks_are_their_levels(seed in any::<u64>(), duration in 1u32..5) {
        let graph = Sketch::graph(seed);
        // Powers of two, as all other numbers are.
        let steps = 1u32 << duration;
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let input: Vec<u32> = (0..40).map(|_| random.random_range(0..=steps)).collect();
        let x = Array2::from_shape_fn((1, 40), |(_, at)| input[at] as f32 / steps as f32);
        let options = signed(steps).scaling_factor(f64::from(1 << 13));
        let converted = match convert(&graph, x.view(), &options) {
            Err(megasim::convert::Error::Emit(emit::Error::Room { .. })) => return Err(TestCaseError::reject("room")),
            converted => converted.unwrap(),
        };
        let network = &converted.emitted.network;
        let stimulus = |x, y, count| (0..count).map(move |t_pre| StimulusEvent {
            t_pre: i64::from(t_pre), x, y, polarity: Polarity::Positive,
        });
        let stimuli: Vec<Stimulus> = network.sources().iter().map(|node| {
            if Some(*node) == converted.emitted.bias_clock {
                return Stimulus::from_events(stimulus(0, 0, steps));
            }
            let map = converted.emitted.input.iter().position(|input| input == node);
            let cells = map.into_iter().flat_map(|map| (0..20).map(move |cell| (map, cell)));
            Stimulus::from_events(cells.flat_map(|(map, cell): (usize, usize)| {
                stimulus((cell % 4) as i32, (cell / 4) as i32, input[map * 20 + cell])
            }))
        }).collect();
        let counts = integer::counts(network, &stimuli).unwrap();
        let parsed = &converted.normalized.parsed;
        let (levels_of, ids) = parsed.graph().unwrap();
        let mut compared = 0;
        visit_activations(&levels_of, x.view(), |_, id, activations| {
            let Some(layer) = ids.iter().position(|&own| own == id) else { return };
            let Some(levels) = parsed.levels(layer) else { return };
            let nodes = &converted.emitted.layers[layer];
            let (cells, width) = match parsed.layers[layer].shape {
                Shape::Maps { height, width, .. } => (height * width, width),
                Shape::Features(n) => (n, n),
            };
            for (at, &activation) in activations.iter().enumerate() {
                let (cell, node) = (at % cells, nodes[at / cells]);
                let found = counts[node.index()][&((cell % width) as i32, (cell / width) as i32)];
                let expected = (activation / levels.step).round() as i64;
                assert_eq!(found, expected, "{} {at}, {levels:?}", parsed.name(layer));
                compared += 1;
            }
        }).unwrap();
        prop_assert!(compared >= 44);
        // The outputs of the trained network are those of the parsed one.
        let (a, b) = (forward(&graph, x.view()).unwrap(), forward(&levels_of, x.view()).unwrap());
        let scale = *converted.normalized.scales.last().unwrap() as f32;
        let rectified = |value: f32| value.max(0.0);
        let is_alike = |(a, b): (&f32, &f32)| (rectified(*a) - b * scale).abs() < 1e-3;
        prop_assert!(a.iter().zip(&b).all(is_alike), "{a} {b}");
    }
}
