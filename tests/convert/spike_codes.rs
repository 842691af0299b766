//! Spike codes of SNN toolbox's INI simulator against plain implementations of what they do: real numbers, one loop
//! over milliseconds, no events.

use megasim::ann::graph::{Activation, AxisOrder, Graph, GraphBuilder, Operation, Padding, Pooling, Shape};
use megasim::convert::{ConvertOptions, Converted, Preset, Quantization, SpikeCode, Weighting, convert};
use megasim::encode::registry::{Choice, Common};
use megasim::encode::{Clock, SampleKind, current};
use megasim::engine::{Mode, Plan, Probes, Simulation};
use megasim::network::{Driver, NodeId, Polarity};
use ndarray::{Array1, Array2, Array4};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

/// A layer of the reference: weights `(in, out)`, biases.
struct Dense {
    weights: Array2<f64>,
    bias: Vec<f64>,
}

impl Dense {
    fn sum(&self, x: &[f64]) -> Vec<f64> {
        let columns = self.weights.columns().into_iter();
        columns.map(|column| column.iter().zip(x).map(|(w, x)| w * x).sum()).collect()
    }
}

/// A number from -1 to 1.
fn number(random: &mut ChaCha8Rng) -> f64 {
    random.random_range(-1.0..=1.0)
}

/// Three layers of random weights, and the same as a graph. Sixteenths times quarters are whole numbers of millionths.
fn dense(seed: u64) -> (Vec<Dense>, Graph) {
    let sizes = [9, 12, 8, 4];
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut part = |most: f64, of: f64| (number(&mut random) * most * of).round() / of;
    let layers: Vec<Dense> = sizes
        .windows(2)
        .map(|pair| Dense {
            weights: Array2::from_shape_simple_fn((pair[0], pair[1]), || part(0.5, 16.0)),
            bias: (0..pair[1]).map(|_| part(0.2, 64.0)).collect(),
        })
        .collect();
    let mut builder = GraphBuilder::new("input", Shape::Features(sizes[0]));
    let mut last = 0;
    for (k, Dense { weights, bias }) in layers.iter().enumerate() {
        let bias = Some(Array1::from_iter(bias.iter().map(|&bias| bias as f32)));
        let operation = Operation::Dense { weights: weights.mapv(|weight| weight as f32), bias };
        last = builder.add(format!("dense_{k}"), "Dense", operation, &[last]).unwrap();
        if k + 1 == layers.len() {
            // What the output does is the code's.
            break;
        }
        let relu = Operation::Activation(Activation::RELU);
        last = builder.add(format!("relu_{k}"), "Activation", relu, &[last]).unwrap();
    }
    (layers, builder.finish().unwrap())
}

fn samples(seed: u64, numbers: usize) -> Vec<Vec<f32>> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut value = || ((number(&mut random) + 1.0) * 2.0).round() as f32 / 4.0;
    (0..20).map(|_| (0..numbers).map(|_| value()).collect()).collect()
}

/// With weights as they are, and a weight of 1 that thousandths divide.
fn options(code: SpikeCode) -> ConvertOptions {
    ConvertOptions::new().preset(Preset::Coded(code)).weighting(Weighting::AsTrained)
}

/// What a node did: `(millisecond, neuron, sign)`, and the potentials of the output at the end.
type Spikes = Vec<(i64, usize, i32)>;

fn run(converted: &Converted, code: SpikeCode, sample: &[f32], duration: u32, mode: Mode) -> (Vec<Spikes>, Vec<i32>) {
    let layout = converted.layout().unwrap();
    let clock = Clock { duration, ticks_per_ms: if code == SpikeCode::TtfsDynThresh { 2 } else { 1 } };
    let choice: Choice = code.encode().parse().unwrap();
    let encoder = choice.code(&Common { input_rate: 1000.0, seed: 0 }, clock).unwrap();
    let network = match encoder.is_current() {
        true => current::driven(&converted.emitted.network, &layout, sample).unwrap(),
        false => converted.emitted.network.clone(),
    };
    let stimuli = layout.stimuli(encoder.as_ref(), SampleKind::Still, sample, 0, clock).unwrap();
    let plan = Plan::new(&network).unwrap().with_t_max(clock.ticks() - 1);
    let mut simulation = Simulation::new(&plan, mode, &Probes::all(&network));
    let record = simulation.run(&stimuli).unwrap();
    let of_layer = |nodes: &Vec<NodeId>, shape: Shape| {
        let (cells, width) = match shape {
            Shape::Features(n) => (n, n),
            Shape::Maps { height, width, .. } => (height * width, width),
        };
        let mut spikes = Spikes::new();
        for (map, node) in nodes.iter().enumerate() {
            let log = record.nodes[node.index()].as_ref().unwrap();
            spikes.extend((0..log.len()).map(|k| {
                let neuron = map * cells + log.y[k] as usize * width + log.x[k] as usize;
                (log.t_rqst[k], neuron, if log.polarity[k] == Polarity::Negative { -1 } else { 1 })
            }));
        }
        spikes.sort_unstable();
        spikes
    };
    let shapes = converted.normalized.parsed.layers.iter().map(|layer| layer.shape);
    let spikes = converted.emitted.layers.iter().zip(shapes).map(|(nodes, shape)| of_layer(nodes, shape)).collect();
    let Driver::Module(module) = network.nodes()[converted.output().index()].driver else { panic!("a module") };
    (spikes, simulation.potentials(module).to_vec())
}

/// The bits of a number, the highest first, as SNN toolbox makes them: by comparison with powers of two.
fn bits(x: f64, bits: u32) -> Vec<bool> {
    let levels = f64::from((1u32 << bits) - 1);
    let mut rest = (x * levels).round_ties_even() / levels;
    let mut found = Vec::new();
    for bit in 1..=bits {
        let power = 0.5f64.powi(bit as i32);
        found.push(rest > power);
        if rest > power {
            rest -= power;
        }
    }
    found
}

#[test]
fn patterns_are_the_bits_of_rectified_sums() {
    for (seed, n) in [(1, 4u32), (2, 8), (3, 12)] {
        let (layers, graph) = dense(seed);
        let code = SpikeCode::TemporalPattern { bits: n };
        let converted = convert(&graph, Array2::zeros((0, 9)).view(), &options(code)).unwrap();
        let duration = 3 * n;
        let (mut compared, mut exact) = (0, 0);
        for sample in samples(seed, 9) {
            let mut x: Vec<f64> = sample.iter().map(|&x| f64::from(x)).collect();
            let (spikes, potentials) = run(&converted, code, &sample, duration, Mode::Clocked { dt: 1 });
            assert_eq!(run(&converted, code, &sample, duration, Mode::Event), (spikes.clone(), potentials.clone()));
            for (number, layer) in layers.iter().enumerate() {
                let value = |x: f64| {
                    let parts = bits(x, n).into_iter().enumerate();
                    parts.map(|(k, bit)| f64::from(bit) * 0.5f64.powi(k as i32 + 1)).sum()
                };
                let values: Vec<f64> = x.iter().map(|&x| value(x)).collect();
                let sums = layer.sum(&values).into_iter().zip(&layer.bias).map(|(sum, bias)| sum + bias);
                x = sums.collect();
                if number == 2 {
                    // 16 times the sum, in units of a millionth; a shift cuts off less than one for each bit.
                    for (sum, &potential) in x.iter().zip(&potentials) {
                        assert!((sum * 16e6 - f64::from(potential)).abs() < 64.0, "{sum} {potential}");
                    }
                    continue;
                }
                let first = i64::from(n) * (number as i64 + 1);
                for (neuron, x) in x.iter_mut().enumerate() {
                    *x = x.max(0.0);
                    let mut fired = vec![false; n as usize];
                    for &(at, _, sign) in spikes[number].iter().filter(|spike| spike.1 == neuron) {
                        assert_eq!((sign, fired[(at - first) as usize]), (1, false));
                        fired[(at - first) as usize] = true;
                    }
                    compared += 1;
                    // What is half-way between two levels but for the rounding of integers may become either.
                    let level = x.min(1.0) * f64::from((1u32 << n) - 1);
                    if (level.fract() - 0.5).abs() < 0.05 {
                        let found = fired.iter().fold(0, |level, &bit| 2 * level + u32::from(bit));
                        assert!((f64::from(found) - level).abs() < 0.55, "{found} {level}");
                        *x = f64::from(found) / f64::from((1u32 << n) - 1);
                        continue;
                    }
                    assert_eq!(fired, bits(*x, n), "{n} bits, layer {number}, {x}");
                    exact += 1;
                }
            }
        }
        assert!(exact > compared / 2, "{exact} of {compared}");
    }
}

/// SNN toolbox's `ttfs` and `ttfs_corrective`: to each neuron a spike is a current of its weight from then on, and the
/// bias one from the first spike that the layer gets on. The first layer has its input and bias from the start.
///
/// A layer fires in the step in which its potential is there; here it is the next one, for each layer.
fn single_spikes(layers: &[Dense], sample: &[f32], duration: u32, corrects: bool) -> Vec<Spikes> {
    let mut potentials: Vec<Vec<f64>> = layers.iter().map(|layer| vec![0.0; layer.bias.len()]).collect();
    let mut on: Vec<Vec<bool>> = layers.iter().map(|layer| vec![false; layer.bias.len()]).collect();
    let mut started = vec![false; layers.len()];
    let mut spikes = vec![Spikes::new(); layers.len()];
    for ms in 0..i64::from(duration) {
        let mut x: Vec<f64> = sample.iter().map(|&x| f64::from(x)).collect();
        for (number, layer) in layers.iter().enumerate() {
            started[number] |= number == 0 || x.iter().any(|&x| x > 0.0);
            let bias = if started[number] { 1.0 } else { 0.0 };
            for (neuron, sum) in layer.sum(&x).into_iter().enumerate() {
                let potential = &mut potentials[number][neuron];
                *potential += sum + bias * layer.bias[neuron];
                let (above, was) = (*potential >= 1.0 - 1e-9, on[number][neuron]);
                let delay = number as i64 + 1;
                let changes = above != was && (above || corrects);
                if changes {
                    on[number][neuron] = above;
                }
                if changes && ms + delay < i64::from(duration) {
                    spikes[number].push((ms + delay, neuron, if above { 1 } else { -1 }));
                }
            }
            x = on[number].iter().map(|&on| f64::from(on)).collect();
        }
    }
    spikes.iter_mut().for_each(|spikes| spikes.sort_unstable());
    spikes
}

#[test]
fn single_spikes_are_those_of_currents_that_begin_with_them() {
    for code in [SpikeCode::Ttfs, SpikeCode::TtfsCorrective] {
        let (mut counted, mut corrections) = (0, 0);
        for seed in 1..=4 {
            let (layers, graph) = dense(seed);
            let converted = convert(&graph, Array2::zeros((0, 9)).view(), &options(code)).unwrap();
            for sample in samples(seed, 9) {
                let (spikes, _) = run(&converted, code, &sample, 40, Mode::Clocked { dt: 1 });
                let expected = single_spikes(&layers, &sample, 40, code == SpikeCode::TtfsCorrective);
                assert_eq!(spikes, expected, "{code}");
                assert_eq!(run(&converted, code, &sample, 40, Mode::Event).0, expected, "{code}, event mode");
                counted += spikes.iter().map(Vec::len).sum::<usize>();
                corrections += spikes.iter().flatten().filter(|(_, _, sign)| *sign < 0).count();
            }
        }
        assert!(counted > 500, "{code}: {counted}");
        assert_eq!(corrections > 20, code == SpikeCode::TtfsCorrective, "{code}: {corrections}");
    }
}

/// SNN toolbox's `ttfs_dyn_thresh`: as `ttfs`, with thresholds that are higher by the magnitudes of the weights of all
/// neurons whose current is positive and that have not fired, as of the step before. Times are in half milliseconds.
fn waiting_spikes(layers: &[Dense], sample: &[f32], duration: u32) -> Vec<Spikes> {
    let magnitudes = layers.iter().map(|layer| Dense { weights: layer.weights.abs(), bias: Vec::new() });
    let magnitudes: Vec<Dense> = magnitudes.collect();
    let of_each = |value: f64| layers.iter().map(|layer| vec![value; layer.bias.len()]).collect::<Vec<_>>();
    let (mut potentials, mut thresholds, mut on) = (of_each(0.0), of_each(1.0), of_each(0.0));
    let mut spikes = vec![Spikes::new(); layers.len()];
    for ms in 0..i64::from(duration) {
        let mut x: Vec<f64> = sample.iter().map(|&x| f64::from(x)).collect();
        // Values of the input are not about to come.
        let mut about = vec![0.0; x.len()];
        for (number, layer) in layers.iter().enumerate() {
            let has_input = x.iter().any(|&x| x != 0.0);
            let missing = magnitudes[number].sum(&about);
            about = Vec::new();
            for (neuron, sum) in layer.sum(&x).into_iter().enumerate() {
                let impulse = if has_input { sum + layer.bias[neuron] } else { 0.0 };
                let (potential, on) = (&mut potentials[number][neuron], &mut on[number][neuron]);
                *potential += impulse;
                if *on == 0.0 && *potential >= thresholds[number][neuron] - 1e-9 {
                    *on = 1.0;
                    let at = ms + number as i64 + 1;
                    if at < i64::from(duration) {
                        spikes[number].push((2 * at, neuron, 1));
                    }
                }
                about.push(if *on == 0.0 && impulse > 1e-9 { 1.0 } else { 0.0 });
                thresholds[number][neuron] = 1.0 + missing[neuron];
            }
            x.clone_from(&on[number]);
        }
    }
    spikes.iter_mut().for_each(|spikes| spikes.sort_unstable());
    spikes
}

#[test]
fn thresholds_wait_for_neurons_that_are_about_to_fire() {
    let (mut counted, mut waited) = (0, 0);
    for seed in 1..=4 {
        let (layers, graph) = dense(seed);
        let code = SpikeCode::TtfsDynThresh;
        let converted = convert(&graph, Array2::zeros((0, 9)).view(), &options(code)).unwrap();
        for sample in samples(seed, 9) {
            let (spikes, _) = run(&converted, code, &sample, 40, Mode::Clocked { dt: 1 });
            let expected = waiting_spikes(&layers, &sample, 40);
            assert_eq!(spikes, expected);
            assert_eq!(run(&converted, code, &sample, 40, Mode::Event).0, expected, "event mode");
            counted += spikes.iter().map(Vec::len).sum::<usize>();
            let at_once = single_spikes(&layers, &sample, 40, false);
            let is_later = |spikes: &Spikes, at_once: &Spikes| {
                let twice = at_once.iter().map(|&(at, neuron, sign)| (2 * at, neuron, sign));
                !twice.eq(spikes.iter().copied())
            };
            waited += spikes.iter().zip(&at_once).filter(|(spikes, at_once)| is_later(spikes, at_once)).count();
        }
    }
    assert!(counted > 500 && waited > 50, "{counted} {waited}");
}

/// A convolution, as many of single pixels as asked for, a pooling and a dense layer.
fn pooled(pooling: Pooling, of_pixels: usize) -> Graph {
    let mut random = ChaCha8Rng::seed_from_u64(5);
    let mut weight = || (number(&mut random) * 8.0).round() as f32 / 16.0;
    let mut builder = GraphBuilder::new("input", Shape::Maps { channels: 1, height: 6, width: 6 });
    let kernels = Array4::from_shape_simple_fn((2, 1, 3, 3), &mut weight);
    let (padding, bias) = (Padding::default(), Some(Array1::from_vec(vec![0.0625, -0.0625])));
    let convolution =
        Operation::Convolution { weights: kernels, bias, strides: (1, 1), padding, dilation: (1, 1), groups: 1 };
    let mut last = builder.add("conv", "Conv2D", convolution, &[0]).unwrap();
    last = builder.add("relu", "Activation", Operation::Activation(Activation::RELU), &[last]).unwrap();
    for k in 0..of_pixels {
        let weights = Array4::from_shape_simple_fn((2, 2, 1, 1), || 2.0 * weight());
        let (strides, dilation) = ((1, 1), (1, 1));
        let padding = Padding::default();
        let convolution = Operation::Convolution { weights, bias: None, strides, padding, dilation, groups: 1 };
        last = builder.add(format!("pixels_{k}"), "Conv2D", convolution, &[last]).unwrap();
        let relu = Operation::Activation(Activation::RELU);
        last = builder.add(format!("relu_{k}"), "Activation", relu, &[last]).unwrap();
    }
    let pool = Operation::Pool { pooling, size: (2, 2), strides: (2, 2), padding };
    last = builder.add("pool", "Pooling2D", pool, &[last]).unwrap();
    last = builder.add("flat", "Flatten", Operation::Flatten { order: AxisOrder::ChannelsFirst }, &[last]).unwrap();
    let weights = Array2::from_shape_simple_fn((8, 3), &mut weight);
    builder.add("dense", "Dense", Operation::Dense { weights, bias: None }, &[last]).unwrap();
    builder.finish().unwrap()
}

#[test]
fn a_maximum_is_the_first_spike_of_its_window() {
    let graph = pooled(Pooling::Max, 0);
    for code in [SpikeCode::Ttfs, SpikeCode::TtfsDynThresh, SpikeCode::TtfsCorrective] {
        let converted = convert(&graph, Array2::zeros((0, 36)).view(), &options(code)).unwrap();
        let mut counted = 0;
        for sample in samples(6, 36) {
            let (spikes, _) = run(&converted, code, &sample, 30, Mode::Clocked { dt: 1 });
            // How many of each window of 2 by 2 are on, by time.
            let mut on = vec![0i32; 2 * 2 * 2];
            let mut expected = Spikes::new();
            for of_ms in spikes[0].chunk_by(|a, b| a.0 == b.0) {
                let before = on.clone();
                for &(_, neuron, sign) in of_ms {
                    let (map, y, x) = (neuron / 16, neuron / 4 % 4, neuron % 4);
                    on[map * 4 + y / 2 * 2 + x / 2] += sign;
                }
                let changed = before.iter().zip(&on).enumerate().filter(|(_, (a, b))| (**a > 0) != (**b > 0));
                expected.extend(changed.map(|(n, (_, &b))| (of_ms[0].0, n, if b > 0 { 1 } else { -1 })));
            }
            assert_eq!(spikes[1], expected, "{code}");
            counted += expected.len();
            let event = run(&converted, code, &sample, 30, Mode::Event).0;
            assert_eq!(event[3], spikes[3], "{code}, event mode");
        }
        assert!(counted > 100, "{code}: {counted}");
    }
    let code = SpikeCode::TemporalPattern { bits: 8 };
    let refused = convert(&graph, Array2::zeros((0, 36)).view(), &options(code)).unwrap_err();
    assert!(refused.to_string().contains("patterns have no maximum pooling"), "{refused}");
}

#[test]
fn averages_are_neurons_of_their_own_or_pass_spikes_on() {
    let average = Pooling::Average { count_padding: false };
    let graph = pooled(average, 0);
    let code = SpikeCode::Ttfs;
    let converted = convert(&graph, Array2::zeros((0, 36)).view(), &options(code)).unwrap();
    for sample in samples(7, 36) {
        let (spikes, _) = run(&converted, code, &sample, 60, Mode::Clocked { dt: 1 });
        assert_eq!(run(&converted, code, &sample, 60, Mode::Event).0, spikes);
        let mut potentials = [0.0; 8];
        let mut expected = Spikes::new();
        for ms in 0..59 {
            let mut on = [0.0; 8];
            for &(_, neuron, _) in spikes[0].iter().filter(|(at, ..)| *at <= ms) {
                on[neuron / 16 * 4 + neuron / 4 % 4 / 2 * 2 + neuron % 4 / 2] += 0.25;
            }
            for (n, on) in on.iter().enumerate() {
                let before = potentials[n];
                potentials[n] += on;
                if before < 1.0 && potentials[n] >= 1.0 {
                    expected.push((ms + 1, n, 1));
                }
            }
        }
        assert_eq!(spikes[1], expected);
    }
    // Averages that pass spikes on take them back too, and say who is about to fire.
    let deeper = pooled(average, 1);
    let of = |code, sample: &[f32]| {
        let options = ConvertOptions {
            quantization: Quantization { relays: true, ..options(code).quantization },
            ..options(code)
        };
        let converted = convert(&deeper, Array2::zeros((0, 36)).view(), &options).unwrap();
        let (spikes, _) = run(&converted, code, sample, 60, Mode::Clocked { dt: 1 });
        assert_eq!(run(&converted, code, sample, 60, Mode::Event).0, spikes, "{code}");
        spikes
    };
    let mut corrections = 0;
    for sample in samples(7, 36) {
        for code in [SpikeCode::TtfsCorrective, SpikeCode::TtfsDynThresh] {
            let spikes = of(code, &sample);
            let passed = spikes[1].iter().map(|&(at, n, sign)| (at, n / 16 * 4 + n / 4 % 4 / 2 * 2 + n % 4 / 2, sign));
            let mut passed: Spikes = passed.collect();
            passed.sort_unstable();
            assert_eq!(spikes[2], passed, "{code}");
            corrections += passed.iter().filter(|(_, _, sign)| *sign < 0).count();
        }
    }
    assert!(corrections > 5, "{corrections}");
    // The bits of averages that pass spikes on are those of what they read.
    let code = SpikeCode::TemporalPattern { bits: 6 };
    let converted = convert(&graph, Array2::zeros((0, 36)).view(), &options(code)).unwrap();
    for sample in samples(8, 36) {
        let (spikes, potentials) = run(&converted, code, &sample, 12, Mode::Clocked { dt: 1 });
        let times = |spikes: &Spikes| spikes.iter().map(|spike| spike.0).collect::<Vec<_>>();
        assert_eq!(times(&spikes[0]), times(&spikes[1]));
        assert!(potentials.iter().any(|&potential| potential != 0));
        assert_eq!(run(&converted, code, &sample, 12, Mode::Event).1, potentials);
    }
}

#[test]
fn averages_of_negative_values_have_negative_rates() {
    let mut builder = GraphBuilder::new("input", Shape::Maps { channels: 1, height: 6, width: 6 });
    let pooling = Pooling::Average { count_padding: false };
    let pool = Operation::Pool { pooling, size: (2, 2), strides: (2, 2), padding: Padding::default() };
    let mut last = builder.add("pool", "Pooling2D", pool, &[0]).unwrap();
    last = builder.add("flat", "Flatten", Operation::Flatten { order: AxisOrder::ChannelsFirst }, &[last]).unwrap();
    let weights = Array2::from_shape_fn((9, 3), |(n, k)| (n + k) as f32 / 16.0);
    builder.add("dense", "Dense", Operation::Dense { weights, bias: None }, &[last]).unwrap();
    let graph = builder.finish().unwrap();
    let code = SpikeCode::TemporalMeanRate;
    for relays in [false, true] {
        let as_trained = ConvertOptions::new().preset(Preset::Toolbox).weighting(Weighting::AsTrained);
        let options = ConvertOptions { quantization: Quantization { relays, ..as_trained.quantization }, ..as_trained };
        let converted = convert(&graph, Array2::zeros((0, 36)).view(), &options).unwrap();
        // What passes spikes on has one for each of the four, which weights make up for.
        let cells = if relays { 4.0 } else { 1.0 };
        for sample in samples(9, 36) {
            let sample: Vec<f32> = sample.iter().map(|x| 2.0 * x - 1.0).collect();
            let run = |mode| run(&converted, code, &sample, 200, mode).0;
            let (clocked, event) = (run(Mode::Clocked { dt: 1 }), run(Mode::Event));
            for (spikes, window) in [&clocked, &event].into_iter().flat_map(|spikes| (0..9).map(move |k| (spikes, k))) {
                let of_window = |n: &usize| n / 12 * 3 + n % 6 / 2 == window;
                let mean = (0..36).filter(of_window).map(|n| f64::from(sample[n])).sum::<f64>() / 4.0;
                let count: i32 = spikes[0].iter().filter(|spike| spike.1 == window).map(|spike| spike.2).sum();
                let expected = mean * 200.0 * cells;
                assert!((f64::from(count) - expected).abs() <= 2.0 * cells, "{relays} {count} {expected}");
            }
        }
    }
}
