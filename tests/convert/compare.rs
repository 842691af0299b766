//! The figures of a comparison, on networks small enough to work out by hand.

use megasim::engine::{Limits, Mode, Plan, Probes, Simulation, TieOrder};
use megasim::network::{
    Array, Conv, ConvPort, FullyConnected, FullyConnectedPort, Input, Module, ModuleKind, Network, NetworkBuilder,
    NeuronParameters, NodeId, Output as Leaving, Polarity, Stimulus, StimulusEvent, Tick, Timing,
};
use megasim::study::compare::{Cause, Causes, Comparison, Output, Run, Setup};
use megasim::study::layers::{FanOut, Layer};
use megasim::study::sample_source::{SampleSource, Segments};

fn spike(t_pre: Tick, x: i32) -> StimulusEvent {
    StimulusEvent { t_pre, x, y: 0, polarity: Polarity::Positive }
}

/// Neurons behind one input: one line of weights for each address.
fn network(lines: &[&[i32]], neurons: NeuronParameters, timing: Timing) -> Network {
    let mut builder = NetworkBuilder::new();
    let input = builder.source("input").unwrap();
    let array = Array { nx: lines[0].len() as u32, ny: 1, x_min: 0, y_min: 0 };
    let weights: Vec<i32> = lines.iter().flat_map(|line| line.iter().copied()).collect();
    let kind = ModuleKind::FullyConnected(FullyConnected {
        array,
        neurons,
        ports: vec![FullyConnectedPort { nx_pre: lines.len() as u32, ny_pre: 1, weights: weights.into() }],
        output: Leaving::whole(array),
    });
    let module = Module { kind, inputs: vec![Input::Node(input)], timing, not_programmable: false };
    builder.module(module, &["output"]).unwrap();
    builder.build(1000).unwrap()
}

fn threshold(threshold_plus: i32) -> NeuronParameters {
    NeuronParameters { threshold_plus, ..NeuronParameters::default() }
}

/// Event mode next to clocked mode, one tick a millisecond.
fn compare(
    network: &Network,
    samples: Vec<Vec<Stimulus>>,
    ticks: Tick,
    dt: Tick,
    labels: &[usize],
) -> (Comparison, Causes) {
    let layers = Layer::of_network(network);
    let sample_source = SampleSource::Segments(Segments { samples, ticks, numbers: Default::default() });
    let node = layers.last().unwrap().nodes[0];
    let run = |name, mode| Run { name, network, mode, tie_order: TieOrder::Netlist };
    let setup = Setup {
        left: run("event", Mode::Event),
        right: run("clocked", Mode::Clocked { dt }),
        layers: &layers,
        sample_source: &sample_source,
        analog: None,
        output: Some(Output { node: node.node, classes: node.nx, labels: Some(labels) }),
        read_out: megasim::readout::ReadOut::default(),
        ticks_per_ms: 1,
        warm_up: 0,
        limits: Limits::default(),
    };
    let comparison = setup.run(&()).unwrap();
    (comparison, setup.causes(usize::MAX, &()).unwrap().unwrap())
}

/// Lost and extra spikes of one sample, and the causes that are not 0.
fn causes(network: &Network, events: &[StimulusEvent], ticks: Tick, dt: Tick) -> (f64, f64, Vec<(Cause, f64)>) {
    let stimulus = Stimulus::from_events(events.iter().copied());
    let (comparison, causes) = compare(network, vec![vec![stimulus]], ticks, dt, &[0]);
    let layer = &causes.layers[0];
    assert_eq!((layer.lost, layer.extra), (comparison.layers[0].lost, comparison.layers[0].extra));
    let by = causes.causes.iter().enumerate().map(|(k, &cause)| (cause, layer.extra_by[k] - layer.lost_by[k]));
    (layer.lost, layer.extra, by.filter(|(_, n)| *n != 0.0).collect())
}

#[test]
fn order_inside_a_tick() {
    // +10 spikes at once, before -10; added up they are 0.
    let network = network(&[&[10], &[-10]], threshold(10), Timing::default());
    assert_eq!(causes(&network, &[spike(0, 0), spike(0, 1)], 5, 1), (0.0, 1.0, vec![(Cause::Order, 1.0)]));
}

#[test]
fn several_spikes_in_a_tick() {
    // Two spikes at tick 0, which is the last one; clocked mode has one.
    let network = network(&[&[10]], threshold(10), Timing::default());
    let found = causes(&network, &[spike(0, 0), spike(0, 0)], 1, 1);
    assert_eq!(found, (0.0, 1.0, vec![(Cause::SeveralInATick, 1.0)]));
}

#[test]
fn potential_that_waits_for_a_touch() {
    // 25: a spike, and 15 wait. Clocked mode tests again in the next step.
    let network = network(&[&[25]], threshold(10), Timing::default());
    assert_eq!(causes(&network, &[spike(0, 0)], 5, 1), (1.0, 0.0, vec![(Cause::Waiting, -1.0)]));
}

#[test]
fn least_interval_between_spikes() {
    // The second spike comes too early at tick 1. Clocked mode makes it at tick 3, event mode is not touched any more.
    let neurons = NeuronParameters { t_min: 3, ..threshold(10) };
    let network = network(&[&[10]], neurons, Timing::default());
    let found = causes(&network, &[spike(0, 0), spike(1, 0)], 10, 1);
    assert_eq!(found, (1.0, 0.0, vec![(Cause::MinimumInterval, -1.0)]));
}

#[test]
fn delays() {
    // The spike would be on the bus after the end.
    let network = network(&[&[10]], threshold(10), Timing { delay_to_process: 20, ..Timing::default() });
    assert_eq!(causes(&network, &[spike(0, 0)], 10, 1), (1.0, 0.0, vec![(Cause::Delays, -1.0)]));
}

#[test]
fn saturation() {
    // -4 * 10^9 does not fit: event mode stops at the floor, and +4 * 10^9 then pass the threshold.
    let (down, up) = (-2_000_000_000, 2_000_000_000);
    let network = network(&[&[down], &[up]], threshold(1_000_000_000), Timing::default());
    let events = [spike(0, 0), spike(0, 0), spike(0, 1), spike(0, 1)];
    assert_eq!(causes(&network, &events, 5, 1), (0.0, 1.0, vec![(Cause::Saturation, 1.0)]));
}

#[test]
fn longer_steps() {
    // A spike at tick 0 and one at tick 1; in one step of two ticks there is one, and the rest waits for a step that
    // does not come.
    let network = network(&[&[10]], threshold(10), Timing::default());
    let found = causes(&network, &[spike(0, 0), spike(1, 0)], 2, 2);
    assert_eq!(found, (0.0, 1.0, vec![(Cause::Step, 1.0)]));
}

#[test]
fn decisions_and_places_by_hand() {
    // Neuron 1 waits for a touch in event mode: 25 of threshold 10. Neuron 0 gets 10 an event.
    let network = network(&[&[10, 0], &[0, 25]], threshold(10), Timing::default());
    let sample = |events: &[StimulusEvent]| vec![Stimulus::from_events(events.iter().copied())];
    let samples = vec![
        // Event: one spike each, neuron 0 first. Clocked: neuron 1 has two, at ticks 3 and 4.
        sample(&[spike(2, 0), spike(3, 1)]),
        // Neuron 0 alone, alike.
        sample(&[spike(1, 0), spike(5, 0)]),
    ];
    let (of, _) = compare(&network, samples, 10, 1, &[0, 0]);
    let decisions = of.decisions.unwrap();
    let right = decisions.right.unwrap();
    assert_eq!((right.sides[0].right, right.sides[1].right, right.only), (2, 1, [1, 0]));
    assert_eq!(right.mcnemar, 1.0);
    assert_eq!(decisions.agreement, 0.5);
    assert_eq!(right.confusion[1], [[1, 1, 0], [0, 0, 0]]);
    let layer = &of.layers[0];
    assert_eq!((layer.spikes, layer.lost, layer.extra), ([2.0, 2.5], 0.5, 0.0));
    assert_eq!((layer.parted, layer.parted_first), (1, 1));
    let first = layer.first.as_ref().unwrap();
    assert_eq!((first.sample, first.tick, first.place.x, first.only.as_str()), (0, 4, 1, "clocked"));
    assert_eq!((of.disagreements.len(), of.disagreements[0].sample), (1, 0));
    assert_eq!(of.disagreements[0].decisions, [Some(0), Some(1)]);
    // Pairs (clocked, event) of rates in tenths: (1, 1), (2, 1), (2, 2), (0, 0).
    let expected = (4.0 * 7.0 - 5.0 * 4.0) / ((4.0 * 9.0 - 25.0f64) * (4.0 * 6.0 - 16.0)).sqrt();
    assert!((layer.sides.correlation.unwrap() - expected).abs() < 1e-9);
    assert!((layer.sides.slope.unwrap() - 8.0 / 11.0).abs() < 1e-9);
    assert!((layer.sides.mean_absolute_difference.unwrap() - 0.1 / 4.0).abs() < 1e-9);
    // The error of clocked mode falls when neuron 0 first spikes in both samples, and rises when neuron 1 overtakes it.
    let error = of.course.error.unwrap();
    assert_eq!(error[1], [1.0, 0.5, 0.0, 0.0, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5]);
    assert_eq!(error[0], [1.0, 0.5, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
    // Each event touches two neurons.
    assert_eq!(of.course.operations[0].last(), Some(&4.0));
}

#[test]
fn operations_by_address_are_what_the_engine_counts() {
    let mut builder = NetworkBuilder::new();
    let input = builder.source("input").unwrap();
    let array = Array { nx: 4, ny: 3, x_min: 1, y_min: 0 };
    let conv = Conv {
        array,
        neurons: threshold(5),
        ports: vec![ConvPort {
            nx: 3,
            ny: 2,
            dx: -1,
            dy: 0,
            x_stride: 2,
            y_stride: 1,
            x_expand: 1,
            y_expand: 2,
            weights: [1, 2, 3, 4, 5, 6].into(),
        }],
        output: Leaving::whole(array),
    };
    let module = Module {
        kind: ModuleKind::Conv(conv),
        inputs: vec![Input::Node(input)],
        timing: Timing::default(),
        not_programmable: false,
    };
    builder.module(module, &["output"]).unwrap();
    let network = builder.build(1000).unwrap();
    let plan = Plan::new(&network).unwrap();
    let fan = FanOut::new(&network);
    for x in 0..14 {
        for y in 0..5 {
            let event = StimulusEvent { t_pre: 0, x, y, polarity: Polarity::Positive };
            let record =
                Simulation::new(&plan, Mode::Event, &Probes::none()).run(&[Stimulus::from_events([event])]).unwrap();
            let found = fan.operations(NodeId::new(0), x, y);
            assert_eq!(found, record.summary.synaptic_operations, "({x}, {y})");
        }
    }
}
