//! Decisions of runs that stop as soon as the rule of the read-out allows.

use megasim::engine::{Mode, Plan, Probes, Simulation};
use megasim::network::*;
use megasim::readout::{Decision, ReadOut, ReadoutMonitor, accumulating};
use std::num::NonZeroU32;

/// Three neurons behind a matrix of one line each, threshold 10.
fn network() -> (Network, NodeId) {
    let array = Array { nx: 3, ny: 1, x_min: 0, y_min: 0 };
    let weights = vec![10, 0, 2, 0, 10, 2, 10, 10, -30].into();
    let full = FullyConnected {
        array,
        neurons: NeuronParameters { threshold_plus: 10, ..NeuronParameters::default() },
        ports: vec![FullyConnectedPort { nx_pre: 3, ny_pre: 1, weights }],
        output: Output::whole(array),
    };
    let mut builder = NetworkBuilder::new();
    let input = builder.source("in").unwrap();
    let kind = ModuleKind::FullyConnected(full);
    let inputs = vec![Input::Node(input)];
    let output = builder
        .module(Module { kind, inputs, timing: Timing::default(), not_programmable: false }, &["out"])
        .unwrap()[0];
    (builder.build(20).unwrap(), output)
}

/// Decisions in both modes, and how many events were handled.
fn decide(rule: ReadOut, spikes: &[(Tick, i32)]) -> [(Decision, u64); 2] {
    let (mut network, output) = network();
    if matches!(rule, ReadOut::MembranePotential { .. }) {
        network = accumulating(network, output).unwrap();
    }
    let event = |&(t_pre, x): &(Tick, i32)| StimulusEvent { t_pre, x, y: 0, polarity: Polarity::Positive };
    let stimuli = [Stimulus::from_events(spikes.iter().map(event))];
    let plan = Plan::new(&network).unwrap();
    [Mode::Event, Mode::Clocked { dt: 1 }].map(|mode| {
        let mut simulation = Simulation::new(&plan, mode, &Probes::of(&[output]));
        let mut watch = ReadoutMonitor::new(rule, &network, output, 3);
        let record = simulation.run_until(&stimuli, |progress| watch.look(progress)).unwrap();
        (watch.decide(&record, &simulation), record.summary.events[0])
    })
}

#[test]
fn the_first_spikes_of_a_tick_tie_and_the_run_stops() {
    for (decision, handled) in decide(ReadOut::FirstSpike, &[(2, 2), (5, 0), (7, 0), (9, 0)]) {
        assert_eq!(
            decision,
            Decision { ranking: vec![0, 1], tied: vec![0, 1], scores: vec![1, 1, 0], stopped: Some(2) }
        );
        assert!(handled < 4, "{handled}");
    }
    for (decision, handled) in decide(ReadOut::FirstSpike, &[(3, 1)]) {
        assert_eq!((decision.class(), decision.stopped, handled), (Some(1), Some(3), 1));
    }
    for (decision, _) in decide(ReadOut::FirstSpike, &[]) {
        assert_eq!(decision, Decision { scores: vec![0; 3], ..Decision::default() });
    }
}

#[test]
fn the_first_with_k_spikes() {
    let k = ReadOut::KSpikes(NonZeroU32::new(2).unwrap());
    for (decision, handled) in decide(k, &[(0, 0), (1, 1), (2, 1), (3, 0), (4, 0), (5, 0)]) {
        assert_eq!(decision, Decision { ranking: vec![1, 0], tied: vec![1], scores: vec![1, 2, 0], stopped: Some(2) });
        assert!(handled < 6, "{handled}");
    }
    // No class gets there: the most spikes, first come.
    for (decision, _) in decide(k, &[(0, 1), (4, 0)]) {
        assert_eq!(decision, Decision { ranking: vec![1, 0], tied: vec![0, 1], scores: vec![1, 1, 0], stopped: None });
    }
}

#[test]
fn most_spikes_stop_at_a_margin() {
    let margin = |n| ReadOut::SpikeCount { margin: NonZeroU32::new(n) };
    let spikes = [(0, 0), (1, 1), (2, 1), (3, 1), (4, 1)];
    for (decision, handled) in decide(margin(2), &spikes) {
        assert_eq!(decision, Decision { ranking: vec![1, 0], tied: vec![1], scores: vec![1, 3, 0], stopped: Some(3) });
        assert!(handled < 5, "{handled}");
    }
    for (decision, handled) in decide(margin(0), &spikes) {
        assert_eq!((decision.class(), decision.stopped, handled), (Some(1), None, 5));
    }
}

#[test]
fn potentials_gather_without_spikes() {
    let spikes = [(0, 0), (1, 1), (2, 1), (3, 2)];
    for (decision, _) in decide(ReadOut::MembranePotential { margin: None }, &spikes) {
        // 20, 30 and -24.
        assert_eq!(
            decision,
            Decision { ranking: vec![1, 0, 2], tied: vec![1], scores: vec![20, 30, -24], stopped: None }
        );
    }
    for (decision, handled) in decide(ReadOut::MembranePotential { margin: Some(9) }, &spikes) {
        // 20 against 10 after the third.
        assert_eq!((decision.class(), decision.stopped), (Some(1), Some(2)));
        assert_eq!(handled, 3);
    }
    for (decision, _) in decide(ReadOut::MembranePotential { margin: None }, &[(0, 0), (0, 1)]) {
        assert_eq!(decision.tied, [0, 1]);
    }
}
