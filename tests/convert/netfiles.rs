//! Netfiles of small networks: names, ports, what layers without a rectifier become, and what is refused by name.

use megasim::ann::forward::forward;
use megasim::ann::graph::{Activation, AxisOrder, Graph, GraphBuilder, Operation, Padding, Pooling, Shape};
use megasim::convert::emit::Format;
use megasim::convert::parsed::LayerKind;
use megasim::convert::quantize::{Quantization, SignedNeurons};
use megasim::convert::simplify::simplify;
use megasim::convert::{ConvertOptions, convert, parse};
use megasim::encode::{Clock, FeatureScales, InputMap, Regular, SampleKind};
use megasim::engine::{Mode, Plan, Probes, Simulation};
use megasim::equations::Decay;
use megasim::network::{ModuleKind, PoolRule};
use ndarray::{Array, Array1, Array2};

const RELU: Operation = Operation::Activation(Activation::RELU);

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
            && message.contains(
                "no ReLU comes between 'feature maps' and 'dense'; --neuron signed converts it, --max-to-average"
            ),
        "{message}"
    );
}

#[test]
fn windows_pass_the_input_that_the_variant_says_where_neurons_are_not_signed() {
    let (graph, samples) = (small(Pooling::Max, (1, 1)), Array2::from_elem((1, 64), 1.0));
    let rules_of = |name: &str, change: &dyn Fn(&mut ConvertOptions)| {
        let mut options = ConvertOptions::default();
        options.rules.max_pooling = name.parse().unwrap();
        change(&mut options);
        let converted = convert(&graph, samples.view(), &options).map_err(|error| error.to_string())?;
        let rules = converted.emitted.network.modules().iter().filter_map(|module| match &module.kind {
            ModuleKind::MaxPool(pool) => Some(pool.rule),
            _ => None,
        });
        Ok::<_, String>(rules.collect::<Vec<_>>())
    };
    let plain = |name: &str| rules_of(name, &|_| {}).unwrap();
    assert_eq!(plain("fir_max"), [PoolRule::Busiest; 2]);
    assert_eq!(plain("avg_max:20"), [PoolRule::Average { over: 200 }; 2]);
    assert_eq!(plain("exponential:20"), [PoolRule::Exponential { decay: Decay::part(200.0) }; 2]);
    let refused = [
        (
            &(|options: &mut ConvertOptions| {
                *options = options.clone().signed(SignedNeurons::default()).unwrap();
            }) as &dyn Fn(&mut ConvertOptions),
            "neurons are signed",
        ),
        (&|options| options.rules.mask_tau = 20, "masks"),
    ];
    for (change, why) in refused {
        let message = rules_of("exp_max:20", change).unwrap_err();
        assert!(message.contains("1MaxPooling2D_2x3x3': --max-pool exp_max:20") && message.contains(why), "{message}");
    }
}

#[test]
fn signed_neurons_take_maxima_of_counts_below_zero() {
    let mut builder = GraphBuilder::new("input", maps(1, 8, 8));
    let conv = builder.add("feature maps", "Conv2D", conv(2, 1, Some(Array1::from(vec![-0.9, 0.2]))), &[0]).unwrap();
    let pool = Operation::Pool { pooling: Pooling::Max, size: (2, 2), strides: (2, 2), padding: Padding::default() };
    let pool = builder.add("pool", "MaxPooling2D", pool, &[conv]).unwrap();
    let flat = builder.add("flat", "Flatten", Operation::Flatten { order: AxisOrder::ChannelsFirst }, &[pool]).unwrap();
    let dense = Array2::from_shape_fn((18, 2), |(k, class)| (k as f32 * 0.37 + class as f32).sin());
    builder.add("dense", "Dense", Operation::Dense { weights: dense, bias: None }, &[flat]).unwrap();
    let graph = builder.finish().unwrap();
    let options = ConvertOptions::default().signed(SignedNeurons::default()).unwrap();
    let samples = Array2::from_shape_fn((3, 64), |(sample, k)| ((sample * 7 + k) as f32 * 0.61).sin().abs());
    let parsed = parse(&graph, &options).unwrap();
    let (again, _) = parsed.graph().unwrap();
    let (expected, found) = (forward(&graph, samples.view()).unwrap(), forward(&again, samples.view()).unwrap());
    // The output fires above 0 only.
    let difference = (expected.mapv(|value| value.max(0.0)) - found).mapv(f32::abs);
    assert!(difference.iter().all(|&value| value < 1e-5), "{difference}");
    let converted = convert(&graph, samples.view(), &options).unwrap();
    assert!(converted.emitted.network.node_named("1MaxPooling2D_2x3x3_0").is_some());
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

#[test]
fn scales_of_channels_are_folded_at_every_position() {
    let mut builder = GraphBuilder::new("input", maps(2, 5, 4));
    let around = Padding { top: 1, bottom: 1, left: 1, right: 1 };
    let weights = Array::from_shape_fn((3, 2, 3, 3), |(o, i, y, x)| ((o * 31 + i * 17 + y * 5 + x) as f32).sin());
    let conv = Operation::Convolution {
        weights,
        bias: Some(Array1::from(vec![0.1, -0.2, 0.3])),
        strides: (1, 1),
        padding: around,
        dilation: (1, 1),
        groups: 1,
    };
    let conv = builder.add("conv", "Conv2D", conv, &[0]).unwrap();
    let relu = builder.add("relu", "Activation", RELU, &[conv]).unwrap();
    let flat = builder.add("flat", "Flatten", Operation::Flatten { order: AxisOrder::ChannelsLast }, &[relu]).unwrap();
    let dense = Array2::from_shape_fn((60, 2), |(k, class)| ((k * 3 + class) as f32).cos());
    let dense = builder.add("dense", "Dense", Operation::Dense { weights: dense, bias: None }, &[flat]).unwrap();
    builder.add("end", "Activation", RELU, &[dense]).unwrap();
    let graph = builder.finish().unwrap();
    let features = FeatureScales::new(vec![2.0, 300.0], vec![1.5, -100.0]).unwrap();
    let parsed = parse(&graph, &ConvertOptions::default().input_features(features)).unwrap();
    let samples = Array2::from_shape_fn((4, 40), |(sample, k)| {
        let value = ((sample * 11 + k) as f32 * 0.7).sin();
        if k < 20 { 1.5 + 2.0 * value } else { -100.0 + 300.0 * value }
    });
    let rates = parsed.addressed(samples.view());
    assert!(rates.iter().all(|rate| rate.abs() <= 1.0));
    let expected = forward(&graph, samples.view()).unwrap();
    let found = forward(&parsed.graph().unwrap().0, rates.view()).unwrap();
    let largest = expected.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
    assert!((&expected - &found).iter().all(|difference| difference.abs() < 1e-5 * largest), "{expected} {found}");
}
