//! Spikes with values: the engine against the plain reference, what a neuron sends in all, and where values are
//! refused.

use crate::common::random_network::random_network;
use crate::common::reference;
use crate::reference::compare;
use megasim::engine::{Error, Mode, Options, Plan, Probes, Simulation, TieOrder};
use megasim::network::*;
use proptest::prelude::*;

/// The same network, with values on the spikes of those modules that may have them; whether there is one.
fn with_payloads(network: &Network, bits: &[Option<u8>]) -> (Network, bool) {
    let mut network = network.clone();
    let mut any = false;
    let names: Vec<String> = (0..network.modules().len())
        .map(|k| network.nodes()[network.outputs(ModuleId::new(k))[0].index()].name.clone())
        .collect();
    for (name, bits) in names.iter().zip(bits.iter().cycle()) {
        let Some(bits) = *bits else { continue };
        let mut changed = network.clone();
        let mut set = |key, value| changed.set(|node| node == name, key, value).unwrap_or(0);
        if set("Reset_to_reminder", 1) + set("n_repeat", 1) == 0 {
            continue;
        }
        let id = (0..network.modules().len()).find(|&k| names[k] == *name).unwrap();
        let threshold = network.modules()[id].kind.neurons().map_or(0, |(_, neurons, _)| neurons.threshold_plus);
        if network.modules()[id].kind.neurons().is_some_and(|(_, neurons, _)| neurons.fires_minus) {
            set("THminus", -i64::from(threshold));
        }
        if set("payload_bits", bits.into()) > 0 {
            network = changed;
            any = true;
        }
    }
    (network, any)
}

/// The same stimuli, with values on those of some sources.
fn with_values(stimuli: &[Stimulus], values: &[Option<i32>]) -> Vec<Stimulus> {
    let of = |(k, stimulus): (usize, &Stimulus)| {
        let picks = || values.iter().cycle().skip(k * 3);
        if picks().next() == Some(&None) {
            return stimulus.clone();
        }
        let values = picks().take(stimulus.len()).map(|value| value.unwrap_or(WHOLE_SPIKE)).collect();
        let columns =
            (stimulus.t_pre().to_vec(), stimulus.x().to_vec(), stimulus.y().to_vec(), stimulus.polarity().to_vec());
        Stimulus::from_valued_columns(columns, values).0
    };
    stimuli.iter().enumerate().map(of).collect()
}

fn bits() -> impl Strategy<Value = Vec<Option<u8>>> {
    prop::collection::vec(prop::option::weighted(0.8, 0..=16u8), 4)
}

fn values() -> impl Strategy<Value = Vec<Option<i32>>> {
    let extreme = || prop_oneof![Just(i32::MIN), Just(i32::MAX), Just(WHOLE_SPIKE), Just(0)];
    let value = prop_oneof![1 => -200_000..=300_000i32, 1 => extreme()];
    prop::collection::vec(prop::option::weighted(0.6, value), 7)
}

/// Stimuli that the network takes: without values where it takes none.
fn taken(network: &Network, stimuli: &[Stimulus], values: &[Option<i32>]) -> Vec<Stimulus> {
    let valued = with_values(stimuli, values);
    let plan = Plan::new(network).unwrap().with_t_max(0);
    match Simulation::new(&plan, Mode::Event, &Probes::none()).run(&valued) {
        Err(Error::Payload { .. }) => stimuli.to_vec(),
        _ => valued,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, max_global_rejects: 40_000, ..ProptestConfig::default() })]

    #[test]
    fn event_mode((network, stimuli) in random_network(), bits in bits(), values in values()) {
        let (network, any) = with_payloads(&network, &bits);
        let stimuli = taken(&network, &stimuli, &values);
        prop_assume!(any || stimuli.iter().any(|stimulus| !stimulus.value().is_empty()));
        compare(&network, &stimuli, Mode::Event, || reference::run_event(&network, &stimuli))?;
    }

    #[test]
    fn clocked_mode((network, stimuli) in random_network(), bits in bits(), values in values(), dt in 1i64..5) {
        let (network, any) = with_payloads(&network, &bits);
        let stimuli = taken(&network, &stimuli, &values);
        prop_assume!(any || stimuli.iter().any(|stimulus| !stimulus.value().is_empty()));
        compare(&network, &stimuli, Mode::Clocked { dt }, || reference::run_clocked(&network, &stimuli, dt))?;
    }

    /// All values that a neuron has sent are its input up to its last spike, cut off.
    #[test]
    fn all_of_the_input_is_sent(
        weights in prop::collection::vec(-300..400i32, 1..8),
        events in prop::collection::vec(0..8usize, 0..60),
        threshold in 1..1_000i32,
        bits in 0..=16u8,
        clocked: bool,
    ) {
        let network = one_neuron(&weights, threshold, bits);
        let x = |k: usize| (k % weights.len()) as i32;
        let spike = |(t, k): (usize, &usize)| {
            StimulusEvent { t_pre: t as Tick, x: x(*k), y: 0, polarity: Polarity::Positive }
        };
        let stimulus = Stimulus::from_events(events.iter().enumerate().map(spike));
        let plan = Plan::new(&network).unwrap();
        let mode = if clocked { Mode::Clocked { dt: 1 } } else { Mode::Event };
        let mut simulation = Simulation::new(&plan, mode, &Probes::all(&network));
        let record = simulation.run(&[stimulus]).unwrap();
        let log = record.nodes[1].as_ref().unwrap();
        prop_assert_eq!(log.value.len(), log.len());
        let spikes_at = log.t_pre.last().copied().unwrap_or(-1);
        let taken = events.iter().enumerate().take_while(|(t, _)| *t as Tick <= spikes_at);
        let input: i64 = taken.map(|(_, &k)| i64::from(weights[x(k) as usize])).sum();
        let sent: i64 = log.value.iter().map(|&value| i64::from(value)).sum();
        let parts = (input << bits).div_euclid(threshold.into());
        prop_assert_eq!(sent, if log.is_empty() { 0 } else { parts << (16 - bits) });
        prop_assert!(log.value.iter().all(|&value| value % (1 << (16 - bits)) == 0));
    }
}

fn one_neuron(weights: &[i32], threshold: i32, bits: u8) -> Network {
    let mut builder = NetworkBuilder::new();
    let input = builder.source("in").unwrap();
    let neurons =
        NeuronParameters { threshold_plus: threshold, payload_bits: Some(bits), ..NeuronParameters::default() };
    builder.module(full(weights, neurons, input), &["out"]).unwrap();
    builder.build(100).unwrap()
}

/// One neuron behind a node.
fn full(weights: &[i32], neurons: NeuronParameters, node: NodeId) -> Module {
    let array = Array { nx: 1, ny: 1, x_min: 0, y_min: 0 };
    let ports = vec![FullyConnectedPort { nx_pre: weights.len() as u32, ny_pre: 1, weights: weights.into() }];
    let kind = ModuleKind::FullyConnected(FullyConnected { array, neurons, ports, output: Output::whole(array) });
    Module { kind, inputs: vec![Input::Node(node)], timing: Timing::default(), not_programmable: false }
}

/// 25 at a threshold of 10 leaves as 2.5 spikes, and 2.5 times 8 are 20.
#[test]
fn a_value_multiplies_the_weight() {
    let mut builder = NetworkBuilder::new();
    let input = builder.source("in").unwrap();
    let sending = NeuronParameters { threshold_plus: 10, payload_bits: Some(1), ..NeuronParameters::default() };
    let hidden = builder.module(full(&[25], sending, input), &["hidden"]).unwrap()[0];
    let last = NeuronParameters { threshold_plus: 1_000, ..NeuronParameters::default() };
    builder.module(full(&[8], last, hidden), &["out"]).unwrap();
    let network = builder.build(10).unwrap();
    let plan = Plan::new(&network).unwrap();
    let spike = StimulusEvent { t_pre: 3, x: 0, y: 0, polarity: Polarity::Positive };
    for mode in [Mode::Event, Mode::Clocked { dt: 1 }] {
        let mut simulation = Simulation::new(&plan, mode, &Probes::all(&network));
        let record = simulation.run(&[Stimulus::from_events([spike])]).unwrap();
        let values = &record.nodes[hidden.index()].as_ref().unwrap().value;
        // Clocked, the residual of 15 makes another spike, which has nothing left to say.
        assert_eq!(values, if mode == Mode::Event { &[5 << 15][..] } else { &[5 << 15, 0] });
        assert_eq!(simulation.potentials(ModuleId::new(0)), [if mode == Mode::Event { 15 } else { 5 }]);
        assert_eq!(simulation.potentials(ModuleId::new(1)), [20]);
    }
}

/// Readers that count spikes, other orders of ties: a message says what and why.
#[test]
fn values_are_refused_where_they_cannot_be_read() {
    let sending = NeuronParameters { payload_bits: Some(16), ..NeuronParameters::default() };
    let read_by = |neurons: NeuronParameters| {
        let mut builder = NetworkBuilder::new();
        let input = builder.source("in").unwrap();
        let hidden = builder.module(full(&[25], sending, input), &["hidden"]).unwrap()[0];
        builder.module(full(&[8], neurons, hidden), &["out"]).unwrap();
        builder.build(10)
    };
    let signed = NeuronParameters { dynamics: Dynamics::Signed(Signed::default()), ..NeuronParameters::default() };
    let masked = NeuronParameters { mask_tau: 3, ..NeuronParameters::default() };
    for (neurons, reason) in [(signed, "signed neurons"), (masked, "mask_tau")] {
        let text = read_by(neurons).unwrap_err().to_string();
        assert!(text.starts_with("node {hidden} carries values (payload_bits), but it is read by"), "{text}");
        assert!(text.contains(reason), "{text}");
    }
    let network = read_by(NeuronParameters::default()).unwrap();
    let split = Options { tie_order: TieOrder::Split, ..Options::default() };
    let text = Plan::with_options(&network, split).unwrap_err().to_string();
    assert!(text.contains("node {hidden} should carry values"), "{text}");
    for (changed, key) in [
        (NeuronParameters { reset: Reset::ToRest, ..sending }, "Reset_to_reminder"),
        (NeuronParameters { mask_tau: 2, ..sending }, "mask_tau"),
        (
            NeuronParameters {
                fires_minus: true,
                threshold_minus: -5,
                membrane_reset: 3,
                threshold_plus: 0,
                ..sending
            },
            "THplus",
        ),
    ] {
        let text = read_by(NeuronParameters::default()).and_then(|_| {
            let mut builder = NetworkBuilder::new();
            let input = builder.source("in")?;
            builder.module(full(&[1], changed, input), &["out"])?;
            builder.build(10)
        });
        let text = text.unwrap_err().to_string();
        assert!(text.starts_with(key), "{text}");
    }
}
