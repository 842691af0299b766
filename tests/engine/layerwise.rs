//! Runs layer by layer against runs event by event, on random networks that go forward: the same record, potentials and
//! counts in both modes, with every kernel variant.

use super::reference::module;
use crate::common::random_network::signed_neurons;
use megasim::engine::kernels::Variant;
use megasim::engine::{Error, Limits, Mode, Options, Plan, Probes, Record, Simulation};
use megasim::network::*;
use proptest::prelude::*;
use std::sync::Arc;

/// Two maps of a source, some maps behind them, pooled or with their own kernels, maps that read all of these, and
/// a row behind all neurons of them.
#[derive(Debug, Clone)]
struct Forward {
    neurons: Vec<NeuronParameters>,
    /// Thresholds and weights are multiplied by it: sums may leave 32 bits.
    scale: i32,
    weights: Vec<i32>,
    sides: (u32, u32),
    maps: (usize, usize),
    /// Kernel and stride of the second layer.
    second: (u32, i32),
    classes: u32,
    bias: bool,
    /// Maps behind the third layer read all of it and one of the second.
    shortcut: bool,
    events: Vec<(Tick, i32, i32, usize, bool)>,
    /// Resets and settle events, which come before or behind the events of the second layer.
    special: Vec<(Tick, bool, bool)>,
    /// Whether each map behind the second layer takes those of the second kind.
    all_take: bool,
    t_max: Tick,
}

/// Neurons that spike by subtraction or to rest, and may come to a floor; a nearer one keeps a network from running
/// layer by layer.
fn plain_neurons() -> impl Strategy<Value = NeuronParameters> {
    let reset = prop_oneof![3 => Just(Reset::Subtract), 1 => Just(Reset::ToRest)];
    let floor = prop_oneof![2 => Just(None), 1 => Just(Some(-65))];
    let threshold = prop_oneof![3 => 1i32..40, 1 => 1i32..4];
    (reset, floor, threshold, -1i32..2).prop_map(|(reset, floor, threshold_plus, rest)| NeuronParameters {
        threshold_plus,
        threshold_minus: floor.map_or(-2_147_483_646, |times| times * threshold_plus),
        reset,
        membrane_reset: rest.min(threshold_plus - 1),
        ..NeuronParameters::default()
    })
}

fn forward() -> impl Strategy<Value = Forward> {
    let neurons = prop_oneof![1 => plain_neurons(), 1 => signed_neurons()];
    let scale = prop_oneof![2 => Just(1), 1 => Just(1000), 2 => Just(8_000_000), 1 => Just(15_000_000)];
    let event = (0i64..400, -1i32..8, -1i32..8, 0usize..2, prop::bool::weighted(0.2));
    let few = prop::collection::vec(event.clone(), 0..80);
    // Potentials may fall far within a block of ticks, a little in each.
    let steady = prop::collection::vec(event.clone().prop_map(|it| (it.0 % 60, it.1, it.2, it.3, it.4)), 200..900);
    let burst = prop::collection::vec(event.prop_map(|it| (it.0 % 3, it.1, it.2, it.3, it.4)), 1000..6000);
    let shapes = (
        // Of the larger ones rows are longer than a vector, and neurons more than the bits of a word.
        prop_oneof![3 => (1u32..7, 1u32..7), 1 => (5u32..13, 5u32..13)],
        (prop_oneof![4 => 1usize..6, 1 => 17usize..40], prop_oneof![3 => 1usize..20, 1 => 20usize..80]),
        (prop_oneof![3 => 1u32..4, 1 => 4u32..7], 1i32..3),
        prop_oneof![3 => 1u32..20, 1 => 20u32..150],
        any::<(bool, bool)>(),
    );
    let tick = prop_oneof![2 => 0i64..450, 1 => Just(30i64), 1 => Just(99i64)];
    let special = prop::collection::vec((tick, prop::bool::weighted(0.15), any::<bool>()), 0..4);
    let special = (special, prop::bool::weighted(0.8));
    let events = prop_oneof![4 => few, 2 => steady, 1 => burst];
    let parts = (prop::collection::vec(neurons, 4), scale, prop::collection::vec(-9i32..12, 20..60), shapes);
    (parts, events, special, 100i64..300).prop_map(|(parts, events, (special, all_take), t_max)| {
        let (neurons, scale, weights, (sides, maps, second, classes, (bias, shortcut))) = parts;
        Forward {
            neurons,
            scale,
            weights,
            sides,
            maps,
            second,
            classes,
            bias,
            shortcut,
            events,
            special,
            all_take,
            t_max,
        }
    })
}

impl Forward {
    fn weights(&self, n: usize, first: usize) -> Arc<[i32]> {
        (0..n).map(|k| self.weights[(first + k * 7 + k * k) % self.weights.len()].saturating_mul(self.scale)).collect()
    }

    fn neurons(&self, layer: usize) -> NeuronParameters {
        let it = self.neurons[layer];
        let scaled = |value: i32| value.saturating_mul(self.scale).clamp(-2_147_483_646, i32::MAX);
        let dynamics = match it.dynamics {
            Dynamics::Signed(signed) => {
                Dynamics::Signed(Signed { hysteresis: scaled(signed.hysteresis).min(1 << 30), ..signed })
            }
            other => other,
        };
        let (threshold_plus, threshold_minus) = (scaled(it.threshold_plus), scaled(it.threshold_minus));
        NeuronParameters { threshold_plus, threshold_minus, dynamics, ..it }
    }

    fn network(&self) -> Option<Network> {
        let mut builder = NetworkBuilder::new();
        let inputs = ["in_0", "in_1"].map(|name| builder.source(name).unwrap());
        let [bias, reset] = ["bias_clk", "special"].map(|name| builder.source(name).unwrap());
        let array = Array { nx: self.sides.0, ny: self.sides.1, x_min: 0, y_min: 0 };
        let conv = |array: Array, layer: usize, ports: Vec<ConvPort>| {
            ModuleKind::Conv(Conv { array, neurons: self.neurons(layer), ports, output: Output::whole(array) })
        };
        let kernel = |size: u32, d: i32, first: usize| {
            ConvPort::kernel(size, size, d, d, self.weights((size * size) as usize, first))
        };
        let mut first = Vec::new();
        for map in 0..self.maps.0 {
            let mut ports = vec![kernel(3, -1, map), kernel(3, -1, map + 3)];
            let mut from = inputs.to_vec();
            if self.bias {
                ports.push(ConvPort::plane(array, self.weights(array.len(), map + 5)));
                from.push(bias);
            }
            from.push(reset);
            first.push(builder.module(module(conv(array, 0, ports), &from), &[format!("a{map}")]).ok()?[0]);
        }
        let (size, stride) = self.second;
        let smaller = |n: u32| n.div_ceil(stride as u32);
        let pooled = Array { nx: smaller(array.nx), ny: smaller(array.ny), x_min: 0, y_min: 0 };
        let mut second = Vec::new();
        for (map, &node) in first.iter().enumerate() {
            let mut ports = vec![ConvPort { x_stride: stride, y_stride: stride, ..kernel(size, 0, map + 11) }];
            let mut from = vec![node];
            if self.bias {
                ports.push(ConvPort::plane(pooled, self.weights(pooled.len(), map + 13)));
                from.push(bias);
            }
            from.push(reset);
            second.push(builder.module(module(conv(pooled, 1, ports), &from), &[format!("b{map}")]).ok()?[0]);
        }
        let late = builder.source("late").unwrap();
        let is_taken = |map: usize| self.all_take || map % 2 == 1;
        let mut third = Vec::new();
        for map in 0..self.maps.1 {
            let ports = (0..second.len()).map(|from| kernel(2, 0, map * 3 + from)).collect();
            let late = is_taken(map).then_some(late);
            let from: Vec<NodeId> = second.iter().copied().chain([reset]).chain(late).collect();
            third.push(builder.module(module(conv(pooled, 2, ports), &from), &[format!("c{map}")]).ok()?[0]);
        }
        if self.shortcut {
            let mut behind = Vec::new();
            for map in 0..third.len() {
                let mut ports: Vec<_> = (0..third.len()).map(|from| kernel(3, -1, map * 5 + from)).collect();
                ports.push(kernel(1, 0, map));
                let late = is_taken(map).then_some(late);
                let own = second[map % second.len()];
                let from: Vec<NodeId> = third.iter().copied().chain([own, reset]).chain(late).collect();
                behind.push(builder.module(module(conv(pooled, 2, ports), &from), &[format!("d{map}")]).ok()?[0]);
            }
            third = behind;
        }
        let flatten = ModuleKind::Flatten(vec![FlattenPort { nx: pooled.nx, ny: pooled.ny }; third.len()]);
        let flat = builder.module(module(flatten, &third), &["flat"]).ok()?[0];
        let row = Array { nx: self.classes, ny: 1, x_min: 0, y_min: 0 };
        let lines = (pooled.len() * third.len()) as u32;
        let weights = self.weights((lines * self.classes) as usize, 17);
        let ports = vec![FullyConnectedPort { nx_pre: lines, ny_pre: 1, weights }];
        let full = FullyConnected { array: row, neurons: self.neurons(3), ports, output: Output::whole(row) };
        builder.module(module(ModuleKind::FullyConnected(full), &[flat, reset, late]), &["out"]).ok()?;
        builder.build(self.t_max).ok()
    }

    /// `apart`: ticks between which nothing comes.
    fn stimuli(&self, apart: Tick) -> Vec<Stimulus> {
        let of = |source: usize| {
            let events = self.events.iter().filter(|event| event.3 == source).map(|&(t_pre, x, y, _, negative)| {
                // A negative event at row -1 is a control event.
                let polarity = if negative && y >= 0 { Polarity::Negative } else { Polarity::Positive };
                StimulusEvent { t_pre: t_pre * apart, x, y, polarity }
            });
            Stimulus::from_events(events)
        };
        let spike = |t_pre| StimulusEvent { t_pre, x: 0, y: 0, polarity: Polarity::Positive };
        let special = |late: bool| {
            let events = self.special.iter().filter(|special| special.2 == late).map(|&(t_pre, is_reset, _)| {
                let t_pre = t_pre * apart;
                if is_reset { StimulusEvent::reset(t_pre) } else { StimulusEvent::settle(t_pre) }
            });
            Stimulus::from_events(events)
        };
        vec![of(0), of(1), Stimulus::from_events((0..40).map(|k| spike(k * 10 * apart))), special(false), special(true)]
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, max_global_rejects: 10_000, ..ProptestConfig::default() })]

    #[test]
    fn layer_by_layer_is_event_by_event(
        forward in forward(),
        dt in 1i64..4,
        apart in prop_oneof![3 => Just(1), 1 => 2i64..20],
        all in any::<bool>(),
    ) {
        let Some(network) = forward.network() else { return Err(TestCaseError::reject("a weight is too large")) };
        let stimuli = forward.stimuli(apart);
        let probes = if all { Probes::all(&network) } else { Probes::none() };
        for kernel in Variant::available() {
            let plan = Plan::with_options(&network, Options { kernel, ..Options::default() }).unwrap();
            let plan = plan.with_t_max(forward.t_max * apart + apart / 2);
            for mode in [Mode::Event, Mode::Clocked { dt }] {
                let limits = Limits { memory: 2_000_000, events: 200_000, ..Limits::default() };
                let mut layers = Simulation::new(&plan, mode, &probes).with_limits(limits);
                let found = layers.run(&stimuli);
                let mut events = Simulation::new(&plan, mode, &probes).with_limits(limits);
                // What asks after each step is run event by event.
                let expected = events.run_until(&stimuli, |_| false);
                let (found, expected) = match (found, expected) {
                    (Ok(found), Ok(expected)) => (found, expected),
                    // Each stops at another time; and what waits for a time counts in one of them only.
                    (Err(_), Err(_)) | (Ok(_), Err(Error::TooMuchMemory { .. })) => continue,
                    (found, expected) => return Err(TestCaseError::fail(format!("{found:?} {expected:?}"))),
                };
                for (node, (found, expected)) in found.nodes.iter().zip(&expected.nodes).enumerate() {
                    prop_assert_eq!(found, expected, "node {}, {:?} {:?}", node, kernel, mode);
                }
                prop_assert_eq!(&found.summary, &expected.summary, "{:?} {:?}", kernel, mode);
                for module in (0..network.modules().len()).map(ModuleId::new) {
                    prop_assert_eq!(layers.potentials(module), events.potentials(module));
                    prop_assert_eq!(layers.totals(module), events.totals(module));
                }
            }
        }
    }
}

/// Runs layer by layer, some times, and event by event; returns the record, which is the same.
fn run_both_ways(network: &Network, (kernel, mode): (Variant, Mode), stimuli: &[Stimulus], times: usize) -> Record {
    let plan = &Plan::with_options(network, Options { kernel, ..Options::default() }).unwrap();
    let mut events = Simulation::new(plan, mode, &Probes::all(network));
    let expected = events.run_until(stimuli, |_| false).unwrap();
    let mut layers = Simulation::new(plan, mode, &Probes::all(network));
    for _ in 0..times {
        let found = layers.run(stimuli).unwrap();
        assert_eq!(found.nodes, expected.nodes, "{kernel:?} {mode:?}");
        assert_eq!(found.summary, expected.summary, "{kernel:?} {mode:?}");
        for module in (0..network.modules().len()).map(ModuleId::new) {
            assert_eq!(layers.potentials(module), events.potentials(module), "{kernel:?} {mode:?}");
            assert_eq!(layers.totals(module), events.totals(module), "{kernel:?} {mode:?}");
        }
    }
    expected
}

/// Layers in which few events make a neuron spike, fully connected or of some maps, of which vectors are not full.
#[derive(Debug, Clone)]
struct Rare {
    neurons: NeuronParameters,
    /// Weights are multiplied by it; potentials come near to the limits of 32 bits, or to a floor.
    scale: i32,
    weights: Vec<i32>,
    is_dense: bool,
    outputs: u32,
    events: Vec<(Tick, i32, i32, bool)>,
}

/// Width and height of the source.
const SIDE: i32 = 4;

fn rare() -> impl Strategy<Value = Rare> {
    let neurons = (prop_oneof![plain_neurons(), signed_neurons()], 300i32..2000);
    let events = prop::collection::vec((0i64..300, 0..SIDE, 0..SIDE, prop::bool::weighted(0.3)), 500..3000);
    let weights = prop::collection::vec(-100i32..140, 61);
    let scale = prop_oneof![Just(1), Just(100_000), Just(1_000_000)];
    (neurons, scale, weights, any::<bool>(), 1u32..70, events).prop_map(
        |((neurons, threshold), scale, weights, is_dense, outputs, events)| {
            let scaled = |value: i32| value.saturating_mul(scale).max(-2_147_483_646);
            let neurons = NeuronParameters {
                threshold_plus: scaled(threshold),
                threshold_minus: scaled(neurons.threshold_minus),
                membrane_reset: neurons.membrane_reset.min(threshold - 1),
                ..neurons
            };
            Rare { neurons, scale, weights, is_dense, outputs, events }
        },
    )
}

impl Rare {
    fn weights(&self, n: u32, first: u32) -> Arc<[i32]> {
        (0..n).map(|k| self.weights[(first + k * 7 + k / 61) as usize % self.weights.len()] * self.scale).collect()
    }

    fn network(&self) -> Network {
        let (neurons, side) = (self.neurons, SIDE as u32);
        let mut builder = NetworkBuilder::new();
        let source = builder.source("in").unwrap();
        if self.is_dense {
            let array = Array { nx: self.outputs, ny: 1, x_min: 0, y_min: 0 };
            let weights = self.weights(side * side * self.outputs, 0);
            let ports = vec![FullyConnectedPort { nx_pre: side, ny_pre: side, weights }];
            let full = FullyConnected { array, neurons, ports, output: Output::whole(array) };
            builder.module(module(ModuleKind::FullyConnected(full), &[source]), &["out"]).unwrap();
        } else {
            let array = Array { nx: side, ny: side, x_min: 0, y_min: 0 };
            for map in 0..self.outputs {
                let ports = vec![ConvPort::kernel(3, 3, -1, -1, self.weights(9, map * 5))];
                let conv = ModuleKind::Conv(Conv { array, neurons, ports, output: Output::whole(array) });
                builder.module(module(conv, &[source]), &[format!("out_{map}")]).unwrap();
            }
        }
        builder.build(1000).unwrap()
    }
}

proptest! {
    /// The second run begins as one with few spikes.
    #[test]
    fn layers_with_few_spikes_are_run_as_event_by_event(rare in rare()) {
        let network = rare.network();
        let polarity = |negative| if negative { Polarity::Negative } else { Polarity::Positive };
        let events = rare.events.iter().map(|&(t_pre, x, y, negative)| {
            StimulusEvent { t_pre, x, y, polarity: polarity(negative) }
        });
        let stimuli = [Stimulus::from_events(events)];
        for kernel in Variant::available() {
            for mode in [Mode::Event, Mode::Clocked { dt: 1 }] {
                run_both_ways(&network, (kernel, mode), &stimuli, 2);
            }
        }
    }
}

/// A map on its own whose potentials fall out of 32 bits, a little by each event, and rise again.
#[test]
fn potentials_of_a_map_fall_out_of_32_bits_within_a_block() {
    let signed = Dynamics::Signed(Signed { hysteresis: 0, min_count: -2, max_count: i32::MAX });
    for dynamics in [signed, Dynamics::IntegrateAndFire] {
        let neurons = NeuronParameters {
            threshold_plus: 30_000_000,
            threshold_minus: -2_147_483_646,
            dynamics,
            ..NeuronParameters::default()
        };
        // Row 7 begins at neuron 63: what an event reaches there is in two words of 64 bits.
        let array = Array { nx: 9, ny: 9, x_min: 0, y_min: 0 };
        let weights: Arc<[i32]> = (0..9).map(|k| 40_000_000 + k * 1_000_000).collect();
        let ports = vec![ConvPort::kernel(3, 3, -1, -1, weights)];
        let conv = ModuleKind::Conv(Conv { array, neurons, ports, output: Output::whole(array) });
        let mut builder = NetworkBuilder::new();
        let source = builder.source("in").unwrap();
        builder.module(module(conv, &[source]), &["out"]).unwrap();
        let network = builder.build(400).unwrap();
        let events = (0..320).map(|k| {
            let polarity = if k < 160 { Polarity::Negative } else { Polarity::Positive };
            StimulusEvent { t_pre: k / 3, x: 1, y: 7, polarity }
        });
        let stimuli = [Stimulus::from_events(events)];
        for kernel in Variant::available() {
            for mode in [Mode::Event, Mode::Clocked { dt: 1 }] {
                let found = run_both_ways(&network, (kernel, mode), &stimuli, 1);
                assert!(found.summary.saturations.iter().sum::<u64>() > 0 || dynamics == Dynamics::IntegrateAndFire);
            }
        }
    }
}
