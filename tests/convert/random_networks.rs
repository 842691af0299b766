//! Conversion of random networks keeps what they compute: parsing exactly in real numbers, modules exactly in integers.

use megasim::ann::forward::forward;
use megasim::ann::graph::{Activation, AxisOrder, Graph, GraphBuilder, Operation, Padding, Pooling, Shape};
use megasim::convert::emit::{self, Format, emit};
use megasim::convert::normalize::{Pooled, normalize};
use megasim::convert::parsed::ParsedModel;
use megasim::convert::quantize::Quantization;
use megasim::convert::simplify::simplify;
use megasim::engine::{Mode, Plan, Probes, Simulation};
use megasim::network::{Polarity, Stimulus, StimulusEvent};
use ndarray::{Array, Array1, Array2, Dimension, ShapeBuilder};
use proptest::prelude::*;
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

/// A hidden layer of a random network.
#[derive(Debug, Clone)]
enum Spec {
    Convolution {
        out: usize,
        kernel: (usize, usize),
        strides: (usize, usize),
        padding: Padding,
        dilation: usize,
        grouped: bool,
    },
    Pool {
        average: bool,
        size: (usize, usize),
        strides: (usize, usize),
        padding: Padding,
        count_padding: bool,
    },
    ZeroPad(Padding),
    BatchNormalization,
    Dropout,
    Transposed {
        out: usize,
        kernel: (usize, usize),
        strides: (usize, usize),
        padding: Padding,
        grouped: bool,
    },
    Crop(Padding),
    Upsample((usize, usize)),
    Permute([usize; 3]),
    /// `relu(conv + x)` or `concatenate(conv, conv, x)`.
    Branch {
        add: bool,
    },
    Activation(Activation),
}

fn padding(most: usize) -> impl Strategy<Value = Padding> {
    (0..=most, 0..=most, 0..=most, 0..=most).prop_map(|(top, bottom, left, right)| Padding { top, bottom, left, right })
}

fn spec() -> impl Strategy<Value = Spec> {
    let pair = |most| (1..=most, 1..=most);
    prop_oneof![
        4 => (1usize..4, pair(3usize), pair(3usize), padding(2), 1usize..3, any::<bool>()).prop_map(
            |(out, kernel, strides, padding, dilation, grouped)| {
                Spec::Convolution { out, kernel, strides, padding, dilation, grouped }
            }
        ),
        3 => (any::<bool>(), pair(3usize), pair(3usize), padding(2), any::<bool>()).prop_map(
            |(average, size, strides, padding, count_padding)| {
                Spec::Pool { average, size, strides, padding, count_padding }
            }
        ),
        1 => padding(2).prop_map(Spec::ZeroPad),
        2 => Just(Spec::BatchNormalization),
        1 => Just(Spec::Dropout),
        2 => (1usize..3, pair(3usize), pair(3usize), padding(1), any::<bool>()).prop_map(
            |(out, kernel, strides, padding, grouped)| Spec::Transposed { out, kernel, strides, padding, grouped }
        ),
        1 => padding(1).prop_map(Spec::Crop),
        1 => pair(2usize).prop_map(Spec::Upsample),
        1 => Just([0usize, 1, 2]).prop_shuffle().prop_map(Spec::Permute),
        3 => any::<bool>().prop_map(|add| Spec::Branch { add }),
    ]
}

/// Numbers of the layers of a random network.
struct Numbers {
    random: ChaCha8Rng,
    /// Weights are small natural numbers times this; without it, real numbers of both signs.
    whole: Option<f32>,
    /// What biases are multiples of.
    unit: f32,
}

impl Numbers {
    fn weight(&mut self) -> f32 {
        match self.whole {
            Some(unit) => unit * self.random.random_range(0..3) as f32,
            None => self.random.random_range(-1.0..1.0),
        }
    }
    fn array<D: Dimension>(&mut self, shape: impl ShapeBuilder<Dim = D>) -> Array<f32, D> {
        Array::from_shape_simple_fn(shape, || self.weight())
    }
    fn bias(&mut self, n: usize) -> Array1<f32> {
        self.array(n) * self.unit
    }
    fn positive(&mut self, n: usize) -> Array1<f32> {
        Array1::from_shape_simple_fn(n, || self.random.random_range(0.5..2.0))
    }
}

const RELU: Operation = Operation::Activation(Activation::RELU);

/// A network of those layers that fit, then a flattening, two dense layers and a softmax.
fn network(input: Shape, specs: &[Spec], order: AxisOrder, numbers: &mut Numbers) -> Graph {
    let mut builder = GraphBuilder::new("input", input);
    let mut last = 0;
    let mut rectified = true;
    for (k, spec) in specs.iter().enumerate() {
        let Shape::Maps { channels, .. } = builder.shape(last) else { unreachable!("maps until they are flattened") };
        let operation = match *spec {
            Spec::Convolution { out, kernel, strides, padding, dilation, grouped } => {
                let (groups, per_group) = if grouped { (channels, 1) } else { (1, channels) };
                let out = out * groups;
                Operation::Convolution {
                    weights: numbers.array((out, per_group, kernel.0, kernel.1)),
                    bias: Some(numbers.bias(out)),
                    strides,
                    padding,
                    dilation: (dilation, dilation),
                    groups,
                }
            }
            Spec::Pool { average, size, strides, padding, count_padding } => {
                let pooling = if average { Pooling::Average { count_padding } } else { Pooling::Max };
                Operation::Pool { pooling, size, strides, padding }
            }
            Spec::ZeroPad(padding) => Operation::ZeroPad(padding),
            Spec::BatchNormalization => Operation::BatchNormalization {
                gamma: numbers.positive(channels),
                beta: numbers.array(channels),
                mean: numbers.array(channels),
                variance: numbers.positive(channels),
                epsilon: 1e-3,
            },
            Spec::Dropout => Operation::TrainingOnly { kind: "Dropout".into() },
            Spec::Transposed { out, kernel, strides, padding, grouped } => Operation::TransposedConvolution {
                weights: numbers.array((channels, out, kernel.0, kernel.1)),
                bias: Some(numbers.bias(if grouped { out * channels } else { out })),
                strides,
                padding,
                groups: if grouped { channels } else { 1 },
            },
            Spec::Crop(cut) => Operation::Crop(cut),
            Spec::Upsample(factors) => Operation::Upsample { factors },
            Spec::Permute(axes) => Operation::Permute { axes },
            Spec::Activation(activation) => Operation::Activation(activation),
            Spec::Branch { add } => {
                if !rectified {
                    last = builder.add(format!("relu {k}"), "Activation", RELU, &[last]).unwrap();
                }
                let mut one = |name: &str, out: usize, builder: &mut GraphBuilder| {
                    let weights = numbers.array((out, channels, 1, 1));
                    let bias = Some(numbers.bias(out));
                    let (strides, padding, dilation) = ((1, 1), Padding::default(), (1, 1));
                    let conv = Operation::Convolution { weights, bias, strides, padding, dilation, groups: 1 };
                    builder.add(format!("{name} {k}"), "Conv2D", conv, &[last]).unwrap()
                };
                let first = one("first", channels, &mut builder);
                let join = if add {
                    builder.add(format!("sum {k}"), "Add", Operation::Add, &[first, last])
                } else {
                    let second = one("second", 2, &mut builder);
                    builder.add(format!("join {k}"), "Concatenate", Operation::Concatenate, &[first, second, last])
                };
                (last, rectified) = (join.unwrap(), false);
                continue;
            }
        };
        let (Shape::Maps { height, width, .. }, wanted) = (builder.shape(last), &operation) else { unreachable!() };
        let wanted = match wanted {
            Operation::TransposedConvolution { weights, strides, padding, groups, .. } => {
                let (_, out, kernel_height, kernel_width) = weights.dim();
                let along = |n: usize, stride: usize, kernel: usize, cut: usize| {
                    ((n - 1) * stride + kernel).saturating_sub(cut)
                };
                let height = along(height, strides.0, kernel_height, padding.top + padding.bottom);
                let width = along(width, strides.1, kernel_width, padding.left + padding.right);
                Shape::Maps { channels: out * groups, height, width }
            }
            _ => builder.shape(last),
        };
        let mut attempt = builder.clone();
        // An average, and weights, want rates before them.
        let wants_rates =
            matches!(spec, Spec::Convolution { .. } | Spec::Transposed { .. } | Spec::Pool { average: true, .. });
        let mut before = last;
        if wants_rates && !rectified && k % 2 == 0 {
            before = attempt.add(format!("relu {k}"), "Activation", RELU, &[last]).expect("a rectifier fits anything");
        }
        if let Ok(id) = attempt.add_shaped(format!("layer {k}"), "Layer", operation, &[before], wanted) {
            rectified = match spec {
                Spec::Convolution { .. } | Spec::Transposed { .. } => false,
                Spec::Pool { average: true, .. } => rectified || k % 2 == 0,
                Spec::Activation(_) => true,
                _ => rectified || wants_rates,
            };
            (builder, last) = (attempt, id);
        }
    }
    if !rectified {
        last = builder.add("relu", "Activation", RELU, &[last]).unwrap();
    }
    last = builder.add("flatten", "Flatten", Operation::Flatten { order }, &[last]).unwrap();
    for (name, n) in [("hidden", 5), ("output", 3)] {
        let weights = numbers.array((builder.shape(last).len(), n));
        let dense = Operation::Dense { weights, bias: Some(numbers.bias(n)) };
        last = builder.add(name, "Dense", dense, &[last]).unwrap();
        if name == "hidden" {
            last = builder.add("hidden relu", "Activation", RELU, &[last]).unwrap();
        }
    }
    builder.finish().unwrap()
}

fn samples(n: usize, numbers: &mut Numbers, input: Shape) -> Array2<f32> {
    Array2::from_shape_simple_fn((n, input.len()), || match numbers.whole {
        Some(_) => numbers.random.random_range(0..3) as f32,
        None => numbers.random.random_range(0.0..1.0),
    })
}

fn input() -> impl Strategy<Value = Shape> {
    (1usize..4, 1usize..9, 1usize..9).prop_map(|(channels, height, width)| Shape::Maps { channels, height, width })
}

fn order() -> impl Strategy<Value = AxisOrder> {
    prop::sample::select(vec![AxisOrder::ChannelsFirst, AxisOrder::ChannelsLast])
}

/// Why a random network may be refused.
const REFUSED: [&str; 9] = [
    "expected a rectifier (ReLU) before",
    "found it behind a batch normalisation",
    "zeros around a shifted batch normalisation",
    "zero padding before an average pooling that pads",
    "an average that counts padding behind a shifted batch normalisation",
    "found a change of shape",
    "maximum pooling behind a",
    "that a change of shape made of several branches",
    "maximum pooling needs rates",
];

fn parse(graph: &Graph) -> Result<ParsedModel, TestCaseError> {
    simplify(graph).map_err(|error| {
        let message = error.to_string();
        if REFUSED.iter().any(|reason| message.contains(reason)) {
            TestCaseError::reject(message)
        } else {
            TestCaseError::fail(message)
        }
    })
}

/// Those, and activations that rates only come close to.
fn any_spec() -> impl Strategy<Value = Spec> {
    let activation = prop_oneof![
        Just(Activation::Relu { negative_slope: 0.0, max: Some(0.5) }),
        Just(Activation::Relu { negative_slope: 0.25, max: None }),
        Just(Activation::Relu { negative_slope: 0.1, max: Some(1.0) }),
        Just(Activation::BinaryStep),
        Just(Activation::BinarySign),
    ];
    prop_oneof![5 => spec(), 1 => activation.prop_map(Spec::Activation)]
}

proptest! {
    #![proptest_config(ProptestConfig { max_global_rejects: 100_000, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn parsing_keeps_what_is_computed(
        input in input(), specs in prop::collection::vec(any_spec(), 0..6), order in order(), seed in any::<u64>(),
    ) {
        let mut numbers = Numbers { random: ChaCha8Rng::seed_from_u64(seed), whole: None, unit: 1.0 };
        let graph = network(input, &specs, order, &mut numbers);
        let parsed = parse(&graph)?;
        let samples = samples(3, &mut numbers, input);
        let expected = forward(&graph, samples.view()).unwrap().mapv(|value| value.max(0.0));
        let found = forward(&parsed.graph().unwrap().0, parsed.addressed(samples.view()).view()).unwrap();
        let scale = expected.iter().fold(1.0f32, |scale, value| scale.max(value.abs()));
        for (expected, found) in expected.iter().zip(&found) {
            prop_assert!((expected - found).abs() <= 1e-4 * scale, "expected {expected}, found {found}");
        }
    }

    /// With natural weights, in clocked mode, each neuron ends with as many spikes as its weighted sum.
    #[test]
    fn modules_count_what_the_network_sums(
        input in input(), specs in prop::collection::vec(spec(), 0..4), order in order(), seed in any::<u64>(),
        plain in any::<bool>(),
    ) {
        let specs: Vec<_> = specs.into_iter().filter(|spec| !matches!(spec, Spec::BatchNormalization)).collect();
        let is_max_pool = |spec: &Spec| matches!(spec, Spec::Pool { average: false, .. });
        let specs: Vec<_> = specs.into_iter().filter(|spec| !is_max_pool(spec)).collect();
        let averages = specs.iter().filter(|spec| matches!(spec, Spec::Pool { .. })).count() as u32;
        prop_assume!(averages <= 2);
        // Averages of up to 3x3 cells of multiples of 36 are whole.
        let unit = 36u32.pow(averages) as f32;
        let mut numbers = Numbers { random: ChaCha8Rng::seed_from_u64(seed), whole: Some(1.0), unit };
        let graph = network(input, &specs, order, &mut numbers);
        let parsed = parse(&graph)?;
        let samples = samples(1, &mut numbers, input).mapv(|value| value * unit);
        let expected = forward(&graph, samples.view()).unwrap();
        prop_assume!(expected.iter().all(|&value| value < 200_000.0));

        let ones = vec![Some(1.0); parsed.layers.len()];
        let (format, pooled) = if plain { (Format::Original, Pooled::Sum) } else { (Format::Extended, Pooled::Mean) };
        let normalized = normalize(parsed, &ones, pooled).unwrap();
        // 1296 and its divisors divide this, so that nothing is cut off.
        let quantization = Quantization { scaling_factor: 1296.0, ..Quantization::default() };
        let emitted = match emit(&normalized.parsed, &quantization, format, false) {
            Err(emit::Error::Format { .. }) if plain => return Err(TestCaseError::reject("not in the original format")),
            emitted => emitted.unwrap(),
        };
        let network = &emitted.network;
        let mut stimuli = vec![Stimulus::new(); network.sources().len()];
        let Shape::Maps { channels, height, width } = normalized.parsed.input else { unreachable!() };
        let samples = normalized.parsed.addressed(samples.view());
        let source = |node| network.sources().iter().position(|&source| source == node).unwrap();
        for (map, &node) in emitted.input.iter().enumerate().take(channels) {
            let mut events = Vec::new();
            for cell in 0..height * width {
                let (x, y) = ((cell % width) as i32, (cell / width) as i32);
                let count = samples[[0, map * height * width + cell]] as i64;
                events.extend((0..count).map(|t_pre| StimulusEvent { t_pre, x, y, polarity: Polarity::Positive }));
            }
            stimuli[source(node)] = Stimulus::from_events(events);
        }
        if let Some(clock) = emitted.bias_clock {
            let event = StimulusEvent { t_pre: 0, x: 0, y: 0, polarity: Polarity::Positive };
            stimuli[source(clock)] = Stimulus::from_events([event]);
        }
        let plan = Plan::new(network).unwrap();
        let output = *emitted.layers.last().unwrap().first().unwrap();
        let record = Simulation::new(&plan, Mode::Clocked { dt: 1 }, &Probes::of(&[output])).run(&stimuli).unwrap();
        prop_assume!(record.summary.saturations.iter().all(|&n| n == 0));
        let log = record.nodes[output.index()].as_ref().unwrap();
        let mut counts = [0.0f32; 3];
        log.x.iter().for_each(|&x| counts[x as usize] += 1.0);
        prop_assert_eq!(&counts[..], expected.as_slice().unwrap());
    }
}
