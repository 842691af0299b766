//! Signed neurons: the counts of feed-forward networks do not depend on orders, delays, machines or the mode.

use super::reference::module;
use megasim::engine::machine::{Barrier, Link, Machine};
use megasim::engine::{Limits, Mode, Plan, Probes, Simulation};
use megasim::netfile::{Kind, Parameters, parse_parameters, write_parameters};
use megasim::network::*;
use megasim::study::verify::{OnMachine, Setup, integer};
use proptest::prelude::*;
use std::num::NonZeroU32;

/// A residual network with a signed maximum pooling: two maps, two maps behind them and the first ones, windows, a row,
/// a row of classes.
#[derive(Debug, Clone)]
struct Sketch {
    side: u32,
    weights: Vec<i32>,
    thresholds: Vec<i32>,
    start: i32,
    hysteresis: i32,
    bounds: Vec<(i32, i32)>,
    pool: (u32, i32, i32),
    events: Vec<(Tick, i32, i32, bool)>,
    settle: Tick,
}

fn sketch() -> impl Strategy<Value = Sketch> {
    let event = (0i64..30, 0i32..5, 0i32..5, prop::bool::weighted(0.2));
    let bounds = prop_oneof![3 => Just((0, i32::MAX)), 1 => (-3..=0i32, 1..=5i32), 1 => Just((i32::MIN, i32::MAX))];
    (
        2u32..6,
        prop::collection::vec(-20i32..25, 8..40),
        prop::collection::vec(5i32..40, 4),
        -5i32..20,
        0i32..60,
        prop::collection::vec(bounds, 4),
        (1u32..4, 1i32..3, -1i32..1),
        prop::collection::vec(event, 0..60),
        0i64..60,
    )
        .prop_map(|(side, weights, thresholds, start, hysteresis, bounds, pool, events, settle)| Sketch {
            side,
            weights,
            thresholds,
            start,
            hysteresis,
            bounds,
            pool,
            events,
            settle,
        })
}

impl Sketch {
    fn weights(&self, n: usize, first: usize) -> std::sync::Arc<[i32]> {
        (0..n).map(|k| self.weights[(first + k * 7) % self.weights.len()]).collect()
    }

    fn neurons(&self, layer: usize) -> NeuronParameters {
        let (min_count, max_count) = self.bounds[layer];
        NeuronParameters {
            threshold_plus: self.thresholds[layer],
            membrane_reset: self.start.min(self.thresholds[layer] - 1).max(if min_count < 0 {
                -self.hysteresis
            } else {
                i32::MIN
            }),
            dynamics: Dynamics::Signed(Signed { hysteresis: self.hysteresis, min_count, max_count }),
            ..NeuronParameters::default()
        }
    }

    fn network(&self) -> Network {
        let mut builder = NetworkBuilder::new();
        let [input, bias, settle] = ["in", "bias_clk", "settle_event"].map(|name| builder.source(name).unwrap());
        let array = Array { nx: self.side, ny: self.side, x_min: 0, y_min: 0 };
        let port = |n: u32, d: i32, first: usize| ConvPort {
            nx: n,
            ny: n,
            dx: d,
            dy: d,
            x_stride: 1,
            y_stride: 1,
            x_expand: 1,
            y_expand: 1,
            weights: self.weights((n * n) as usize, first),
        };
        let still = |first| ConvPort { weights: vec![0].into(), ..port(1, 0, first) };
        let conv = |layer: usize, ports: Vec<ConvPort>| {
            let neurons = self.neurons(layer);
            ModuleKind::Conv(Conv { array, neurons, ports, output: Output::whole(array) })
        };
        let first: Vec<NodeId> = (0..2)
            .map(|map| {
                let ports = vec![port(3, -1, map), port(self.side, 0, 5 + map), still(0)];
                builder.module(module(conv(0, ports), &[input, bias, settle]), &[format!("a{map}")]).unwrap()[0]
            })
            .collect();
        let second: Vec<NodeId> = (0..2)
            .map(|map| {
                let ports = vec![port(3, -1, 9 + map), port(2, 0, 11 + map), port(1, 0, 13 + map), still(0)];
                let inputs = [first[0], first[1], first[map], settle];
                builder.module(module(conv(1, ports), &inputs), &[format!("b{map}")]).unwrap()[0]
            })
            .collect();
        let (size, stride, d) = self.pool;
        let out = self.side.div_ceil(stride as u32);
        let window = PoolPort {
            nx: self.side,
            ny: self.side,
            nx_pool: size,
            ny_pool: size,
            dx: d,
            dy: d,
            x_stride: stride,
            y_stride: stride,
            nx_out: out,
            ny_out: out,
        };
        let pooled: Vec<NodeId> = second
            .iter()
            .enumerate()
            .map(|(map, &node)| {
                let kind = ModuleKind::MaxPool(MaxPool { ports: vec![window], rule: PoolRule::Signed });
                builder.module(module(kind, &[node]), &[format!("c{map}")]).unwrap()[0]
            })
            .collect();
        let flatten = ModuleKind::Flatten(vec![FlattenPort { nx: out, ny: out }; 2]);
        let flat = builder.module(module(flatten, &pooled), &["flat"]).unwrap()[0];
        let row = Array { nx: 3, ny: 1, x_min: 0, y_min: 0 };
        let lines = 2 * out * out;
        let matrix = FullyConnectedPort { nx_pre: lines, ny_pre: 1, weights: self.weights(3 * lines as usize, 17) };
        let none = FullyConnectedPort { nx_pre: 1, ny_pre: 1, weights: vec![0; 3].into() };
        let (neurons, output) = (self.neurons(2), Output::whole(row));
        let full = FullyConnected { array: row, neurons, ports: vec![matrix, none], output };
        builder.module(module(ModuleKind::FullyConnected(full), &[flat, settle]), &["out"]).unwrap();
        builder.build(DEFAULT_T_MAX).unwrap()
    }

    fn stimuli(&self, factor: Tick) -> Vec<Stimulus> {
        let events = self.events.iter().map(|&(t_pre, x, y, negative)| {
            let polarity = if negative { Polarity::Negative } else { Polarity::Positive };
            StimulusEvent { t_pre: t_pre * factor, x, y, polarity }
        });
        let spike = |t_pre| StimulusEvent { t_pre: t_pre * factor, x: 0, y: 0, polarity: Polarity::Positive };
        vec![
            Stimulus::from_events(events),
            Stimulus::from_events((0..4).map(|k| spike(k * 9))),
            // Before, among or after the input: the counts are exact all the same once nothing is pending.
            Stimulus::from_events([StimulusEvent::settle(self.settle * factor)]),
        ]
    }

    /// Two machines: queues, FIFOs of outputs that may be full and links that take time; and steps behind a barrier.
    fn machines(&self, network: &Network) -> Vec<OnMachine> {
        let mut slow = Machine::of(network);
        let mut steps = Machine::of(network);
        for (k, module) in network.modules().iter().enumerate() {
            let id = ModuleId::new(k);
            let station = slow.module_mut(id);
            (station.delay_to_process, station.time_per_output, station.delay_to_ack) = (1 + k as Tick % 3, 1, 2);
            station.fifo_depth = k as u32 % 3;
            station.out_fifo_depth = NonZeroU32::new(4000);
            steps.module_mut(id).time_per_operation = 1;
            for input in &module.inputs {
                if let Input::Node(node) = input {
                    slow.set_link(*node, id, Link { delay: (7 * k + node.index()) as Tick % 5, acknowledge_delay: 1 });
                }
            }
        }
        steps.barrier = Some(Barrier { step: 4, time: 3 });
        let on = |name: &str, machine| OnMachine { name: name.into(), network: network.clone(), machine, factor: 1 };
        vec![on("slow", slow), on("steps", steps)]
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn counts_are_those_of_the_integer_pass(sketch in sketch(), seed in 0u64..1000) {
        let network = sketch.network();
        let machines = sketch.machines(&network);
        let setup = Setup {
            network: &network,
            reference: &network,
            trained: None,
            stimuli: &|_, factor| sketch.stimuli(factor),
            samples: 1,
            orders: 6,
            seed,
            machines: &machines,
            limits: Limits::default(),
        };
        let answer = setup.run(&()).unwrap();
        prop_assert!(answer.signed);
        prop_assert_eq!(answer.ways.len(), 10);
        let (compared, different) = answer.totals();
        prop_assert!(compared > 0);
        prop_assert_eq!(different, 0, "{:?}", answer.examples);
    }

    #[test]
    fn a_wrong_weight_shows(sketch in sketch(), layer in 0usize..7, which in 0usize..100, by in 1i32..30) {
        let network = sketch.network();
        let mut position = 0;
        let wrong = network.map_modules(|module| {
            position += 1;
            if position - 1 != layer {
                return;
            }
            let change = |weights: &mut std::sync::Arc<[i32]>| {
                let mut changed = weights.to_vec();
                let n = changed.len();
                changed[which % n] += by;
                *weights = changed.into();
            };
            match &mut module.kind {
                ModuleKind::Conv(conv) => change(&mut conv.ports[0].weights),
                ModuleKind::FullyConnected(full) => change(&mut full.ports[0].weights),
                _ => {}
            }
        }).unwrap();
        let stimuli = sketch.stimuli(1);
        let matters = integer::counts(&network, &stimuli).unwrap() != integer::counts(&wrong, &stimuli).unwrap();
        let setup = Setup {
            network: &wrong,
            reference: &network,
            trained: None,
            stimuli: &|_, factor| sketch.stimuli(factor),
            samples: 1,
            orders: 1,
            seed: 0,
            machines: &[],
            limits: Limits::default(),
        };
        let answer = setup.run(&()).unwrap();
        prop_assert_eq!(answer.ways.iter().all(|way| way.different > 0), matters);
        prop_assert_eq!(!answer.examples.is_empty(), matters);
    }
}

/// One neuron, threshold 10.
fn one(signed: Signed) -> Network {
    let array = Array { nx: 1, ny: 1, x_min: 0, y_min: 0 };
    let full = FullyConnected {
        array,
        neurons: NeuronParameters {
            threshold_plus: 10,
            dynamics: Dynamics::Signed(signed),
            ..NeuronParameters::default()
        },
        ports: vec![FullyConnectedPort { nx_pre: 4, ny_pre: 1, weights: vec![25, -8, -30, 4].into() }],
        output: Output::whole(array),
    };
    let mut builder = NetworkBuilder::new();
    let input = builder.source("in").unwrap();
    builder.module(module(ModuleKind::FullyConnected(full), &[input]), &["out"]).unwrap();
    builder.build(100).unwrap()
}

/// Spikes of the neuron, `(time, sign)`, in both modes, and `V + n THplus` at the end.
fn spikes(network: &Network, events: &[StimulusEvent]) -> [(Vec<(Tick, i8)>, i64); 2] {
    let plan = Plan::new(network).unwrap();
    [Mode::Event, Mode::Clocked { dt: 1 }].map(|mode| {
        let mut simulation = Simulation::new(&plan, mode, &Probes::all(network));
        let record = simulation.run(&[Stimulus::from_events(events.iter().copied())]).unwrap();
        let log = record.nodes[1].clone().unwrap();
        let spikes = log.t_pre.iter().zip(&log.polarity).map(|(&t, &polarity)| (t, polarity as i8)).collect();
        (spikes, simulation.totals(ModuleId::new(0))[0])
    })
}

fn add(t_pre: Tick, x: i32) -> StimulusEvent {
    StimulusEvent { t_pre, x, y: 0, polarity: Polarity::Positive }
}

#[test]
fn a_neuron_by_hand() {
    let signed = Signed { hysteresis: 9, ..Signed::default() };
    // 25: two spikes and 5; -8: -3, above -9; -30: -33, of two spikes two are taken back: -13; settle: nothing to take
    // back.
    let events = [add(0, 0), add(1, 1), add(2, 2), StimulusEvent::settle(3)];
    for (spikes, total) in spikes(&one(signed), &events) {
        assert_eq!(spikes, [(0, 1), (0, 1), (2, -1), (2, -1)]);
        assert_eq!(total, -13);
    }
    // -8 waits for the settle event; afterwards there is no hysteresis, until a reset.
    let events =
        [add(0, 0), add(1, 1), StimulusEvent::settle(2), add(3, 1), StimulusEvent::reset(4), add(5, 0), add(6, 1)];
    for (spikes, total) in spikes(&one(signed), &events) {
        assert_eq!(spikes, [(0, 1), (0, 1), (2, -1), (3, -1), (5, 1), (5, 1)]);
        assert_eq!(total, 17);
    }
}

#[test]
fn counts_keep_their_bounds() {
    let least = Signed { hysteresis: 0, min_count: -1, max_count: 1 };
    for (spikes, total) in spikes(&one(least), &[add(0, 0), add(1, 0), add(2, 2), add(3, 2), add(4, 3)]) {
        // 25, 50, 20, -10, -6 in all: one spike, which stays until the sum is below 0, and then one below.
        assert_eq!(spikes, [(0, 1), (3, -1), (3, -1)]);
        assert_eq!(total, -6);
    }
}

#[test]
fn what_may_not_act_on_signed_neurons_is_refused_together() {
    let fault = one(Signed::default()).map_modules(|module| {
        if let ModuleKind::FullyConnected(full) = &mut module.kind {
            (full.neurons.refractory, full.neurons.leak_plus, full.neurons.t_min) = (3, 1, 2);
        }
    });
    assert_eq!(
        fault.unwrap_err().to_string(),
        "TLplus: expected 0, as neurons are signed (as Tmin, T_Refract may not act), found 1"
    );
    let too_much = one(Signed::default()).map_modules(|module| {
        if let ModuleKind::FullyConnected(full) = &mut module.kind {
            full.ports[0].weights = vec![i32::MAX; 4].into();
        }
    });
    assert!(too_much.unwrap_err().to_string().contains("of the largest weight"));
}

#[test]
fn keys_go_to_files_and_back() {
    for signed in [
        Signed::default(),
        Signed { hysteresis: 5, min_count: i32::MIN, max_count: 7 },
        Signed { hysteresis: 0, min_count: -2, max_count: i32::MAX },
    ] {
        let Module { kind, timing, .. } = one(signed).modules()[0].clone();
        let parameters = Parameters { kind, timing, n_out_ports: 1 };
        let mut text = Vec::new();
        write_parameters(&parameters, &mut text).unwrap();
        assert_eq!(parse_parameters(&text, Kind::FullyConnected).unwrap(), parameters);
    }
    let Module { kind, timing, .. } = one(Signed { hysteresis: 5, ..Signed::default() }).modules()[0].clone();
    let mut text = Vec::new();
    write_parameters(&Parameters { kind, timing, n_out_ports: 1 }, &mut text).unwrap();
    let text = String::from_utf8(text).unwrap().replace("signed 1\n", "");
    let error = parse_parameters(text.as_bytes(), Kind::FullyConnected).unwrap_err().to_string();
    assert!(error.contains("signed 1"), "{error}");
}
