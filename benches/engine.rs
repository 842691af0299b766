//! Event mode against a bare loop: `cargo bench --bench engine`.
//!
//! The floor of each case is what the machine can do when nothing but the work itself is done: the same matrices, the
//! same input spikes, the same firing, in a hand-written loop without queue, time keeping, addresses or recording.
//! Floor and engine take turns, one thread; the table gives medians over the turns, and the ratio of each pair. Both
//! must make the same number of spikes, or the bench stops.

mod floor;

use floor::{Floor, Layer};
use megasim::engine::{Mode, Plan, Probes, Simulation};
use megasim::network::*;
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use rustix::time::{ClockId, clock_gettime};
use std::sync::Arc;

/// `THplus` of all neurons here.
const THRESHOLD: i32 = 10_000_000;

/// A network as netlist and as bare layers, with the input of one run.
struct Case {
    name: &'static str,
    network: Network,
    floor: Floor,
    stimulus: Stimulus,
    ticks: Tick,
}

impl Case {
    /// Other thresholds.
    fn scale(&mut self, threshold: i32) {
        self.network.set(|_| true, "THplus", threshold.into()).unwrap();
        self.floor.threshold = threshold;
    }
}

fn neurons() -> NeuronParameters {
    NeuronParameters { threshold_plus: THRESHOLD, ..NeuronParameters::default() }
}

fn row(n: usize) -> Array {
    Array { nx: n as u32, ny: 1, x_min: 0, y_min: 0 }
}

fn module(kind: ModuleKind, inputs: &[NodeId]) -> Module {
    let inputs = inputs.iter().map(|&node| Input::Node(node)).collect();
    Module { kind, inputs, timing: Timing::default(), not_programmable: false }
}

fn matrix(random: &mut ChaCha8Rng, n: usize, low: i32, high: i32) -> Arc<[i32]> {
    (0..n).map(|_| random.random_range(low..high)).collect()
}

/// `n` input addresses that each spike with probability `rate` per tick, in columns of `width`.
fn spikes(random: &mut ChaCha8Rng, n: usize, width: usize, rate: f64, ticks: Tick) -> Stimulus {
    let mut stimulus = Stimulus::new();
    for t_pre in 0..ticks {
        for k in 0..n {
            if random.random_bool(rate) {
                let (x, y) = ((k % width) as i32, (k / width) as i32);
                stimulus.push(StimulusEvent { t_pre, x, y, polarity: Polarity::Positive });
            }
        }
    }
    stimulus
}

/// Fully connected layers; weights of layer `k` are uniform in `range(k)`.
fn mlp(name: &'static str, sizes: &[usize], range: impl Fn(usize) -> (i32, i32), rate: f64, ticks: Tick) -> Case {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let mut builder = NetworkBuilder::new();
    let mut node = builder.source("input").unwrap();
    let mut layers = Vec::new();
    for (k, pair) in sizes.windows(2).enumerate() {
        let (low, high) = range(k);
        let weights = matrix(&mut random, pair[0] * pair[1], low, high);
        let array = row(pair[1]);
        let ports = vec![FullyConnectedPort { nx_pre: pair[0] as u32, ny_pre: 1, weights: weights.clone() }];
        let full = FullyConnected { array, neurons: neurons(), ports, output: Output::whole(array) };
        node = builder.module(module(ModuleKind::FullyConnected(full), &[node]), &[format!("dense_{k}")]).unwrap()[0];
        layers.push(Layer::dense(weights, pair[1]));
    }
    let stimulus = spikes(&mut random, sizes[0], sizes[0], rate, ticks);
    let floor = Floor::new(layers, sizes[0], THRESHOLD);
    Case { name, network: builder.build(ticks).unwrap(), floor, stimulus, ticks }
}

/// 28x28 - conv 16 5x5 - average 2x2 - conv 32 5x5 - average 2x2 - dense 128 - dense 10.
fn lenet() -> Case {
    let mut random = ChaCha8Rng::seed_from_u64(2);
    let mut builder = NetworkBuilder::new();
    let mut nodes = vec![builder.source("input").unwrap()];
    let mut layers = Vec::new();
    let mut side = 28;
    for (index, maps, (low, high)) in [(0, 16, (-900_000, 1_500_000)), (1, 32, (-1_200_000, 1_400_000))] {
        let (kernel, out) = (5, side - 4);
        let array = Array { nx: out, ny: out, x_min: 0, y_min: 0 };
        let inputs = nodes.len();
        let kernels: Vec<Vec<Arc<[i32]>>> =
            (0..maps).map(|_| (0..inputs).map(|_| matrix(&mut random, 25, low, high)).collect()).collect();
        let conv = |kernels: &Vec<Arc<[i32]>>| {
            let port = |weights: &Arc<[i32]>| ConvPort {
                nx: kernel,
                ny: kernel,
                dx: -4,
                dy: -4,
                x_stride: 1,
                y_stride: 1,
                x_expand: 1,
                y_expand: 1,
                weights: weights.clone(),
            };
            let ports = kernels.iter().map(port).collect();
            ModuleKind::Conv(Conv { array, neurons: neurons(), ports, output: Output::whole(array) })
        };
        let outputs: Vec<NodeId> = kernels
            .iter()
            .enumerate()
            .map(|(map, kernels)| {
                builder.module(module(conv(kernels), &nodes), &[format!("conv_{index}_{map}")]).unwrap()[0]
            })
            .collect();
        layers.push(Layer::conv(&kernels, side as usize, kernel as usize));
        side = out / 2;
        let array = Array { nx: side, ny: side, x_min: 0, y_min: 0 };
        let weight = THRESHOLD / 4;
        nodes = outputs
            .iter()
            .enumerate()
            .map(|(map, &node)| {
                let port = ConvPort {
                    nx: 2,
                    ny: 2,
                    dx: -1,
                    dy: -1,
                    x_stride: 2,
                    y_stride: 2,
                    x_expand: 1,
                    y_expand: 1,
                    weights: vec![weight; 4].into(),
                };
                let output = Output::whole(array);
                let kind = ModuleKind::Conv(Conv { array, neurons: neurons(), ports: vec![port], output });
                builder.module(module(kind, &[node]), &[format!("pool_{index}_{map}")]).unwrap()[0]
            })
            .collect();
        layers.push(Layer::pool(maps, out as usize, weight));
    }
    let port = FlattenPort { nx: side, ny: side };
    let flatten = ModuleKind::Flatten(vec![port; nodes.len()]);
    let mut node = builder.module(module(flatten, &nodes), &["flat"]).unwrap()[0];
    layers.push(Layer::flatten());
    let mut inputs = nodes.len() * (side * side) as usize;
    for (k, n) in [128, 10].into_iter().enumerate() {
        let weights = matrix(&mut random, inputs * n, -1_000_000, 1_400_000);
        let ports = vec![FullyConnectedPort { nx_pre: inputs as u32, ny_pre: 1, weights: weights.clone() }];
        let full = FullyConnected { array: row(n), neurons: neurons(), ports, output: Output::whole(row(n)) };
        node = builder.module(module(ModuleKind::FullyConnected(full), &[node]), &[format!("dense_{k}")]).unwrap()[0];
        layers.push(Layer::dense(weights, n));
        inputs = n;
    }
    let ticks = 100;
    let stimulus = spikes(&mut random, 28 * 28, 28, 0.13, ticks);
    let floor = Floor::new(layers, 28, THRESHOLD);
    Case { name: "LeNet-like, 5x5 kernels", network: builder.build(ticks).unwrap(), floor, stimulus, ticks }
}

/// A ring of modules of one neuron each; every spike goes round, one module per tick.
fn ring(n: usize, spikes: usize, ticks: Tick) -> Case {
    let mut builder = NetworkBuilder::new();
    let input = builder.source("input").unwrap();
    let weights: Arc<[i32]> = [THRESHOLD].into();
    for k in 0..n {
        let port = || FullyConnectedPort { nx_pre: 1, ny_pre: 1, weights: weights.clone() };
        let mut inputs = vec![Input::Undriven(format!("ring_{}", (k + n - 1) % n))];
        let mut ports = vec![port()];
        if k % (n / spikes) == 0 {
            inputs.push(Input::Node(input));
            ports.push(port());
        }
        let full = FullyConnected { array: row(1), neurons: neurons(), ports, output: Output::whole(row(1)) };
        let timing = Timing { delay_to_process: 1, ..Timing::default() };
        let kind = ModuleKind::FullyConnected(full);
        let module = Module { kind, inputs, timing, not_programmable: false };
        builder.module(module, &[format!("ring_{k}")]).unwrap();
    }
    let stimulus = Stimulus::from_events([StimulusEvent { t_pre: 0, x: 0, y: 0, polarity: Polarity::Positive }]);
    let floor = Floor::ring(n, spikes, THRESHOLD);
    Case { name: "ring of 10,000 neurons", network: builder.build(ticks).unwrap(), floor, stimulus, ticks }
}

/// Time of a run over four decades of operations: layers of `n` on `n` neurons, 100 ticks.
fn scaling() {
    println!("\n{:<26} {:>12} {:>10} {:>14}", "dense n x n, 100 ticks", "operations", "ms a run", "ns/operation");
    for n in [32, 100, 320, 1000, 3200] {
        let case = mlp("", &[n, n], |_| (-300_000, 320_000), 0.1, 100);
        let plan = Plan::new(&case.network).unwrap();
        let mut simulation = Simulation::new(&plan, Mode::Event, &Probes::none());
        let stimuli = [case.stimulus];
        let operations = simulation.run(&stimuli).unwrap().summary.synaptic_operations as f64;
        let repeats = (3e7 / operations).ceil() as usize;
        let times = (0..9).map(|_| {
            let start = cpu_seconds();
            (0..repeats).for_each(|_| drop(std::hint::black_box(simulation.run(&stimuli).unwrap())));
            (cpu_seconds() - start) / repeats as f64
        });
        let seconds = median(times.collect());
        println!("{n:<26} {operations:>12} {:>10.4} {:>14.3}", seconds * 1e3, seconds * 1e9 / operations);
    }
}

/// Signed neurons against plain ones on the same matrices and input: time of one operation, by hysteresis in
/// thresholds.
fn signed() {
    println!(
        "\n{:<26} {:>10} {:>12} {:>9} {:>13} {:>13}",
        "neurons", "hysteresis", "operations", "spikes", "ns/operation", "signed/plain"
    );
    type Make = fn() -> Case;
    let cases: [Make; 3] = [
        || {
            let range = |k: usize| [(-420_000, 440_000), (-1_500_000, 1_560_000), (-900_000, 920_000)][k];
            mlp("MLP 784-128-128-10", &[784, 128, 128, 10], range, 0.13, 100)
        },
        lenet,
        || mlp("dense 4096x4096, 64 MiB", &[4096, 4096], |_| (-70_000, 90_000), 0.05, 10),
    ];
    for make in cases {
        let case = make();
        let stimuli = [case.stimulus];
        let with = |hysteresis: Option<f64>| {
            let mut network = case.network.clone();
            if let Some(hysteresis) = hysteresis {
                network.set(|_| true, "signed", 1).unwrap();
                network.set(|_| true, "hysteresis", (hysteresis * f64::from(THRESHOLD)) as i64).unwrap();
            }
            Plan::new(&network).unwrap()
        };
        let plain = with(None);
        let mut plain_simulation = Simulation::new(&plain, Mode::Event, &Probes::none());
        for hysteresis in [1.0, 0.5, 0.0] {
            let plan = with(Some(hysteresis));
            let mut simulation = Simulation::new(&plan, Mode::Event, &Probes::none());
            let turn = |simulation: &mut Simulation<'_>| {
                let start = cpu_seconds();
                let record = std::hint::black_box(simulation.run(&stimuli).unwrap());
                let operations = record.summary.synaptic_operations;
                ((cpu_seconds() - start) / operations as f64, operations, record.summary.events.iter().sum::<u64>())
            };
            // In turns, so that both meet the same machine.
            let pairs: Vec<_> = (0..15).map(|_| (turn(&mut plain_simulation), turn(&mut simulation))).collect();
            let ratio = median(pairs.iter().map(|(plain, signed)| signed.0 / plain.0).collect());
            let each = median(pairs.iter().map(|(_, signed)| signed.0).collect()) * 1e9;
            let (_, operations, spikes) = pairs[0].1;
            println!("{:<26} {hysteresis:>10} {operations:>12} {spikes:>9} {each:>13.3} {ratio:>13.2}", case.name);
        }
    }
}

/// CPU time of this thread in seconds: other programs on the machine do not count.
fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

/// CPU time of one of several runs.
fn seconds(repeats: usize, run: &mut dyn FnMut()) -> f64 {
    let start = cpu_seconds();
    (0..repeats).for_each(|_| run());
    (cpu_seconds() - start) / repeats as f64
}

/// How many runs take 20 ms.
fn repeats(run: &mut dyn FnMut()) -> usize {
    (0.02 / seconds(1, run)).ceil().max(1.0) as usize
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() {
    let only: Option<String> = std::env::args().nth(1).filter(|word| !word.starts_with("--"));
    type Make = fn() -> Case;
    let cases: [(&str, Make); 7] = [
        ("mlp", || {
            let range = |k: usize| [(-420_000, 440_000), (-1_500_000, 1_560_000), (-900_000, 920_000)][k];
            mlp("MLP 784-128-128-10", &[784, 128, 128, 10], range, 0.13, 100)
        }),
        ("narrow", || {
            let range = |k: usize| [(-4_200, 4_400), (-15_000, 15_600), (-9_000, 9_200)][k];
            let mut case = mlp("the same in 16 bits", &[784, 128, 128, 10], range, 0.13, 100);
            case.scale(100_000);
            case
        }),
        ("conv", lenet),
        ("l3", || mlp("dense 4096x4096, 64 MiB", &[4096, 4096], |_| (-70_000, 90_000), 0.05, 10)),
        ("memory", || mlp("dense 8192x8192, 256 MiB", &[8192, 8192], |_| (-60_000, 65_000), 0.05, 4)),
        ("deep", || mlp("20 layers of 64", &[64; 21], |_| (-1_500_000, 1_600_000), 0.2, 100)),
        ("queue", || ring(10_000, 1_000, 300)),
    ];
    println!(
        "{:<26} {:>12} {:>9} {:>8} {:>10} {:>11} {:>13}  least  most",
        "case", "operations", "spikes", "firing", "floor G/s", "engine G/s", "engine/floor"
    );
    for (key, make) in cases {
        if only.as_ref().is_some_and(|only| only != key) {
            continue;
        }
        let mut case = make();
        let input = floor::Input::of(&case.stimulus, case.ticks);
        let plan = Plan::new(&case.network).unwrap();
        let last = NodeId::new(case.network.nodes().len() - 1);
        let mut simulation = Simulation::new(&plan, Mode::Event, &Probes::of(&[last]));
        let stimuli = [case.stimulus];
        let record = simulation.run(&stimuli).unwrap();
        let operations = record.summary.synaptic_operations as f64;
        let made: u64 = record.summary.events.iter().sum::<u64>() - stimuli[0].len() as u64 + record.summary.pending;
        let counted = case.floor.run(&input);
        assert_eq!((counted.operations, counted.spikes), (operations as u64, made), "{}: the same work", case.name);

        let mut floor = || _ = std::hint::black_box(case.floor.run(&input));
        let mut engine = || _ = std::hint::black_box(simulation.run(&stimuli).unwrap());
        let (of_floor, of_engine) = (repeats(&mut floor), repeats(&mut engine));
        let turns = (0..25).map(|_| (seconds(of_floor, &mut floor), seconds(of_engine, &mut engine)));
        let pairs: Vec<(f64, f64)> = turns.collect();
        let ratios: Vec<f64> = pairs.iter().map(|(floor, engine)| floor / engine).collect();
        let rate = |pick: fn(&(f64, f64)) -> f64| operations / median(pairs.iter().map(pick).collect()) / 1e9;
        println!(
            "{:<26} {:>12} {:>9} {:>6.2} % {:>10.3} {:>11.4} {:>13.3} {:>6.3} {:>5.3}",
            case.name,
            operations,
            made,
            100.0 * made as f64 / operations,
            rate(|pair| pair.0),
            rate(|pair| pair.1),
            median(ratios.clone()),
            ratios.iter().copied().fold(f64::INFINITY, f64::min),
            ratios.iter().copied().fold(0.0, f64::max)
        );
    }
    if only.as_ref().is_none_or(|only| only == "scaling") {
        scaling();
    }
    if only.as_ref().is_none_or(|only| only == "signed") {
        signed();
    }
}
