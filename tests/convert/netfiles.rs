//! Conversion keeps what a network computes: parsing exactly in real numbers, modules exactly in integers.

use megasim::ann::forward::forward;
use megasim::ann::graph::{Activation, AxisOrder, Graph, GraphBuilder, Operation, Padding, Pooling, Shape};
use megasim::convert::emit::{self, Format, emit};
use megasim::convert::normalize::{Pooled, normalize};
use megasim::convert::parsed::{LayerKind, Parsed};
use megasim::convert::quantize::Quantization;
use megasim::convert::simplify::simplify;
use megasim::convert::{ConvertOptions, convert};
use megasim::encode::{Clock, InputMap, Regular, SampleKind};
use megasim::engine::{Mode, Plan, Probes, Simulation};
use megasim::network::{Polarity, Stimulus, StimulusEvent};
use ndarray::{Array, Array1, Array2, Dimension, ShapeBuilder};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

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
const REFUSED: [&str; 12] = [
    "expected a rectifier (ReLU) before",
    "found it behind a batch normalisation",
    "its shift would not reach the border",
    "zeros around a shifted batch normalisation",
    "zero padding before an average pooling that pads",
    "an average that counts padding behind a shifted batch normalisation",
    "its shift would not reach all cells alike",
    "found a change of shape",
    "maximum pooling behind a",
    "that a change of shape made of several branches",
    "does not mean the same",
    "maximum pooling needs rates",
];

fn parse(graph: &Graph) -> Result<Parsed, TestCaseError> {
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
        let emitted = match emit(&normalized.parsed, &quantization, format) {
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

fn maps(channels: usize, height: usize, width: usize) -> Shape {
    Shape::Maps { channels, height, width }
}

fn conv(out: usize, channels: usize, bias: Option<Array1<f32>>) -> Operation {
    Operation::Convolution {
        weights: Array::from_elem((out, channels, 3, 3), 0.1),
        bias,
        strides: (1, 1),
        padding: Padding::default(),
        dilation: (1, 1),
        groups: 1,
    }
}

/// Conv, ReLU, pooling, global pooling, dense, softmax.
fn small(pooling: Pooling, strides: (usize, usize)) -> Graph {
    let mut builder = GraphBuilder::new("input", maps(1, 8, 8));
    let Operation::Convolution { weights, bias, padding, dilation, groups, .. } = conv(2, 1, None) else {
        unreachable!()
    };
    let conv = Operation::Convolution { weights, bias, strides, padding, dilation, groups };
    let conv = builder.add("conv", "Conv2D", conv, &[0]).unwrap();
    let relu = builder.add("relu", "Activation", RELU, &[conv]).unwrap();
    let pool = Operation::Pool { pooling, size: (2, 2), strides: (2, 2), padding: Padding::default() };
    let pool = builder.add("pool", "MaxPooling2D", pool, &[relu]).unwrap();
    let global = Operation::GlobalPool { pooling: Pooling::Average { count_padding: false } };
    let global = builder.add("global", "GlobalAveragePooling2D", global, &[pool]).unwrap();
    let dense = Operation::Dense { weights: Array2::from_elem((2, 3), 0.5), bias: Some(Array1::from_elem(3, 0.25)) };
    let dense = builder.add("dense", "Dense", dense, &[global]).unwrap();
    builder.add("softmax", "Activation", Operation::Activation(Activation::Softmax), &[dense]).unwrap();
    builder.finish().unwrap()
}

const AVERAGE: Pooling = Pooling::Average { count_padding: false };

#[test]
fn names_and_ports_are_those_of_snn_toolbox() {
    let graph = small(AVERAGE, (1, 1));
    let converted = convert(&graph, Array2::from_elem((1, 64), 1.0).view(), &ConvertOptions::default()).unwrap();
    let network = &converted.emitted.network;
    let names: Vec<_> = network.nodes().iter().map(|node| node.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "InputLayer",
            "bias_clk",
            "reset_event",
            "0Conv2D_2x6x6_0",
            "0Conv2D_2x6x6_1",
            "1MaxPooling2D_2x3x3_0",
            "1MaxPooling2D_2x3x3_1",
            "2AveragePooling2D_2x1x1_0",
            "2AveragePooling2D_2x1x1_1",
            "3Flatten_2",
            "4Dense_3"
        ]
    );
    // Only the layer with a bias listens to the bias clock.
    let readers: Vec<usize> = network.modules().iter().map(|module| module.inputs.len()).collect();
    assert_eq!(readers, [2, 2, 2, 2, 2, 2, 2, 3]);
    assert_eq!(network.modules().iter().filter(|module| module.not_programmable).count(), 7);
}

#[test]
fn the_original_format_refuses_by_name() {
    let options = ConvertOptions { format: Format::Original, ..ConvertOptions::default() };
    let refused =
        |graph: &Graph| convert(graph, Array2::from_elem((1, 64), 1.0).view(), &options).unwrap_err().to_string();
    let message = refused(&small(Pooling::Max, (1, 1)));
    assert!(message.contains("1MaxPooling2D_2x3x3") && message.contains("no maximum pooling"), "{message}");
    let message = refused(&small(AVERAGE, (2, 2)));
    assert!(message.contains("0Conv2D_2x3x3") && message.contains("no stride, found 2"), "{message}");
    convert(&small(AVERAGE, (1, 1)), Array2::from_elem((1, 64), 1.0).view(), &options).unwrap();
}

#[test]
fn an_overflow_names_its_layer() {
    let quantization = Quantization { scaling_factor: 1e10, ..Quantization::default() };
    let options = ConvertOptions { quantization, ..ConvertOptions::default() };
    let error = convert(&small(AVERAGE, (1, 1)), Array2::from_elem((1, 64), 1.0).view(), &options).unwrap_err();
    let message = error.to_string();
    assert!(message.contains("layer '4Dense_3': expected a bias within 32 bits"), "{message}");
}

#[test]
fn a_hidden_layer_without_rectifier_has_spikes_of_both_signs() {
    let mut builder = GraphBuilder::new("input", maps(1, 8, 8));
    let conv = builder.add("feature maps", "Conv2D", conv(1, 1, Some(Array1::from_elem(1, -0.4))), &[0]).unwrap();
    let flatten =
        builder.add("flatten", "Flatten", Operation::Flatten { order: AxisOrder::ChannelsFirst }, &[conv]).unwrap();
    let dense = Operation::Dense { weights: Array2::from_shape_fn((36, 2), |(_, k)| [-0.02, 0.02][k]), bias: None };
    builder.add("dense", "Dense", dense, &[flatten]).unwrap();
    let graph = builder.finish().unwrap();
    let samples = Array2::from_elem((1, 64), 0.1);
    let converted = convert(&graph, samples.view(), &ConvertOptions::default()).unwrap();
    let network = converted.emitted.network.clone().with_t_max(1_999).unwrap();
    let layout = converted.layout().unwrap();
    let clock = Clock { duration: 200, ticks_per_ms: 10 };
    let stimuli = layout
        .stimuli(&Regular { input_rate: 1000.0 }, SampleKind::Still, samples.as_slice().unwrap(), 0, clock)
        .unwrap();
    let plan = Plan::new(&network).unwrap();
    for mode in [Mode::Event, Mode::Clocked { dt: 1 }] {
        let record = Simulation::new(&plan, mode, &Probes::of(&[converted.output()])).run(&stimuli).unwrap();
        let log = record.nodes[converted.output().index()].as_ref().unwrap();
        // The maps are below 0 everywhere, so the class with the negative weights fires, at its scale.
        assert!(log.x.iter().all(|&class| class == 0), "{mode:?}");
        assert!((180..=200).contains(&log.len()), "{mode:?}: {}", log.len());
    }
}

#[test]
fn binary_activations_fire_once_a_millisecond_or_not_at_all() {
    let mut builder = GraphBuilder::new("input", Shape::Features(2));
    let weights = Array2::from_shape_vec((2, 3), vec![1.0, -1.0, 0.5, -1.0, 1.0, 0.5]).unwrap();
    let dense = builder.add("dense", "Dense", Operation::Dense { weights, bias: None }, &[0]).unwrap();
    let sign = builder.add("sign", "Activation", Operation::Activation(Activation::BinarySign), &[dense]).unwrap();
    let weights = Array2::from_shape_vec((3, 2), vec![1.0, -0.5, -1.0, 0.5, 1.0, 1.0]).unwrap();
    builder.add("output", "Dense", Operation::Dense { weights, bias: None }, &[sign]).unwrap();
    let graph = builder.finish().unwrap();
    let samples = ndarray::array![[0.7, 0.4], [0.2, 0.9]];
    let converted = convert(&graph, samples.view(), &ConvertOptions::default()).unwrap();
    let network = converted.emitted.network.clone().with_t_max(9_999).unwrap();
    let layout = converted.layout().unwrap();
    let clock = Clock { duration: 1000, ticks_per_ms: 10 };
    let plan = Plan::new(&network).unwrap();
    let outputs = forward(&graph, samples.view()).unwrap();
    assert_eq!(outputs, ndarray::array![[3.0, 0.0], [-1.0, 2.0]]);
    let scale = converted.normalized.scales[1];
    for mode in [Mode::Event, Mode::Clocked { dt: 1 }] {
        for (sample, output) in samples.rows().into_iter().zip(outputs.rows()) {
            let stimuli =
                layout.stimuli(&Regular { input_rate: 1000.0 }, SampleKind::Still, &sample.to_vec(), 0, clock).unwrap();
            let record = Simulation::new(&plan, mode, &Probes::of(&[converted.output()])).run(&stimuli).unwrap();
            let log = record.nodes[converted.output().index()].as_ref().unwrap();
            for (class, &value) in output.iter().enumerate() {
                let rate = log.x.iter().filter(|&&x| x == class as i32).count() as f64 / 1000.0;
                let expected = f64::from(value.max(0.0)) / scale;
                assert!((rate - expected).abs() < 0.02, "{mode:?}: expected {expected}, found {rate}");
            }
        }
    }
}

#[test]
fn a_maximum_of_values_below_zero_is_refused_by_name() {
    let mut builder = GraphBuilder::new("input", maps(1, 8, 8));
    let conv = builder.add("feature maps", "Conv2D", conv(1, 1, Some(Array1::from_elem(1, -0.4))), &[0]).unwrap();
    let pool = builder.add("global", "GlobalMaxPooling2D", Operation::GlobalPool { pooling: Pooling::Max }, &[conv]);
    let dense = Operation::Dense { weights: Array2::from_elem((1, 2), 1.0), bias: None };
    builder.add("dense", "Dense", dense, &[pool.unwrap()]).unwrap();
    let message = simplify(&builder.finish().unwrap()).unwrap_err().to_string();
    assert!(
        message.starts_with("layer 'global' (MaxPooling2D): maximum pooling needs rates")
            && message.contains("no ReLU comes between 'feature maps' and 'dense'; --max-to-average"),
        "{message}"
    );
}

#[test]
fn unknown_layers_and_activations_are_refused_by_name() {
    let build = |operation: Operation| {
        let mut builder = GraphBuilder::new("input", maps(1, 4, 4));
        let last = builder.add_shaped("strange", "Strange", operation, &[0], maps(1, 4, 4)).unwrap();
        let flatten = Operation::Flatten { order: AxisOrder::ChannelsFirst };
        let last = builder.add("flatten", "Flatten", flatten, &[last]).unwrap();
        let n = builder.shape(last).len();
        let dense = Operation::Dense { weights: Array2::zeros((n, 2)), bias: None };
        builder.add("dense", "Dense", dense, &[last]).unwrap();
        builder.finish().unwrap()
    };
    for operation in [
        Operation::Gather { numbers: (0..16).collect() },
        Operation::Activation(Activation::Tanh),
        Operation::Activation(Activation::Sigmoid),
        Operation::Activation(Activation::Softplus { scale: 1.0 }),
        Operation::Activation(Activation::ClampedRelu { threshold: 0.5, max: None }),
    ] {
        let message = simplify(&build(operation)).unwrap_err().to_string();
        assert!(message.starts_with("layer 'strange' (Strange): "), "{message}");
    }
}

#[test]
fn a_softmax_inside_is_refused() {
    let mut builder = GraphBuilder::new("input", Shape::Features(2));
    let dense = || Operation::Dense { weights: Array2::eye(2), bias: None };
    let first = builder.add("first", "Dense", dense(), &[0]).unwrap();
    let softmax = builder.add("soft", "Activation", Operation::Activation(Activation::Softmax), &[first]).unwrap();
    builder.add("second", "Dense", dense(), &[softmax]).unwrap();
    let message = simplify(&builder.finish().unwrap()).unwrap_err().to_string();
    assert!(message.contains("'soft'") && message.contains("only at the output"), "{message}");
}

#[test]
fn a_flat_input_can_become_maps() {
    let mut builder = GraphBuilder::new("input", Shape::Features(2 * 3 * 3));
    let order = AxisOrder::ChannelsLast;
    let reshape = Operation::Reshape { order };
    let reshape = builder.add_shaped("reshape", "Reshape", reshape, &[0], maps(2, 3, 3)).unwrap();
    let conv = builder.add("conv", "Conv2D", conv(1, 2, None), &[reshape]).unwrap();
    builder.add("flatten", "Flatten", Operation::Flatten { order }, &[conv]).unwrap();
    let graph = builder.finish().unwrap();
    let parsed = simplify(&graph).unwrap();
    assert_eq!(parsed.input, maps(2, 3, 3));
    let order = parsed.input_order.unwrap();
    assert_eq!(order[..9], [0, 2, 4, 6, 8, 10, 12, 14, 16]);
    assert_eq!(order[9..], [1, 3, 5, 7, 9, 11, 13, 15, 17]);
}

#[test]
fn silent_layers_keep_a_scale_of_one() {
    let graph = small(AVERAGE, (1, 1));
    let converted = convert(&graph, Array2::zeros((2, 64)).view(), &ConvertOptions::default()).unwrap();
    assert_eq!(converted.normalized.silent, [0]);
    assert_eq!(converted.normalized.scales, [1.0, 1.0, 1.0, 1.0, 0.25]);
    assert!(matches!(converted.normalized.parsed.layers[4].operation, LayerKind::Population { .. }));
}

#[test]
fn a_maximum_passes_the_busiest_cell() {
    let graph = small(Pooling::Max, (1, 1));
    let mut image = Array2::from_elem((1, 64), 0.3);
    image[[0, 27]] = 1.0;
    let converted = convert(&graph, image.view(), &ConvertOptions::default()).unwrap();
    let network = converted.emitted.network.clone().with_t_max(9_999).unwrap();
    let layout: InputMap = converted.layout().unwrap();
    let clock = Clock { duration: 1000, ticks_per_ms: 10 };
    let stimuli = layout
        .stimuli(&Regular { input_rate: 1000.0 }, SampleKind::Still, image.as_slice().unwrap(), 0, clock)
        .unwrap();
    let plan = Plan::new(&network).unwrap();
    let expected = forward(&graph, image.view()).unwrap();
    let output = converted.output();
    for mode in [Mode::Event, Mode::Clocked { dt: 1 }] {
        let record = Simulation::new(&plan, mode, &Probes::of(&[output])).run(&stimuli).unwrap();
        // All outputs are equal, so the softmax hides them: compare with the scale, which is their value.
        let rate = record.nodes[output.index()].as_ref().unwrap().len() as f64 / 3.0 / 1000.0;
        assert!((rate - 1.0).abs() < 0.03, "{mode:?}: {rate}");
    }
    assert_eq!(expected.len(), 3);
}
