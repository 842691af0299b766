//! Runs that would not end by themselves are stopped and named; loops that merely exist are no fault.

use megasim::engine::{Error, Limits, Mode, Plan, Probes, Simulation, WAITING_BYTES};
use megasim::network::*;
use std::cell::Cell;

/// Two neurons that excite each other, kicked once at time 3.
fn pair(timing: Timing, neurons: NeuronParameters) -> (Network, Vec<Stimulus>) {
    let mut builder = NetworkBuilder::new();
    let kick = builder.source("kick").unwrap();
    let array = Array { nx: 1, ny: 1, x_min: 0, y_min: 0 };
    for (name, other) in [("ping", "pong"), ("pong", "ping")] {
        let port = FullyConnectedPort { nx_pre: 1, ny_pre: 1, weights: [10].into() };
        let ports = vec![port.clone(), port];
        let full = FullyConnected { array, neurons, ports, output: Output::whole(array) };
        let inputs = vec![Input::Undriven(other.into()), Input::Node(kick)];
        let kind = ModuleKind::FullyConnected(full);
        builder.module(Module { kind, inputs, timing, not_programmable: false }, &[name]).unwrap();
    }
    let kick = StimulusEvent { t_pre: 3, x: 0, y: 0, polarity: Polarity::Positive };
    (builder.build(1_000).unwrap(), vec![Stimulus::from_events([kick])])
}

fn neurons() -> NeuronParameters {
    NeuronParameters { threshold_plus: 10, ..NeuronParameters::default() }
}

#[test]
fn a_loop_without_delay_is_stopped_and_named() {
    let (network, stimuli) = pair(Timing::default(), neurons());
    let plan = Plan::new(&network).unwrap();
    assert_eq!(plan.timeless_loops(), [vec![NodeId::new(1), NodeId::new(2)]]);
    let limits = Limits { events_per_tick: 500, ..Limits::default() };
    let result = Simulation::new(&plan, Mode::Event, &Probes::none()).with_limits(limits).run(&stimuli);
    assert_eq!(result, Err(Error::Runaway { time: 3, events: 501, nodes: vec!["ping".into(), "pong".into()] }));
    // Clocked, a loop takes a step.
    let record = Simulation::new(&plan, Mode::Clocked { dt: 1 }, &Probes::none()).run(&stimuli).unwrap();
    assert_eq!(record.summary.last_time, Some(1_000));
}

#[test]
fn a_loop_on_which_time_advances_runs() {
    let delayed = Timing { delay_to_process: 1, ..Timing::default() };
    let t_min = NeuronParameters { t_min: 1, ..neurons() };
    let refractory = NeuronParameters { refractory: 2, ..neurons() };
    let acknowledged_late = Timing { delay_to_ack: 1, ..Timing::default() };
    let cases = [
        (acknowledged_late, neurons()),
        (delayed, neurons()),
        (Timing::default(), t_min),
        (Timing::default(), refractory),
    ];
    for (timing, neurons) in cases {
        let (network, stimuli) = pair(timing, neurons);
        let plan = Plan::new(&network).unwrap();
        assert!(plan.timeless_loops().is_empty());
        let limits = Limits { events_per_tick: 500, ..Limits::default() };
        assert!(Simulation::new(&plan, Mode::Event, &Probes::none()).with_limits(limits).run(&stimuli).is_ok());
    }
}

#[test]
fn events_that_multiply_are_stopped_before_memory_is() {
    let timing = Timing { delay_to_process: 1, n_repeat: 2, delay_to_repeat: 1, ..Timing::default() };
    let (network, stimuli) = pair(timing, neurons());
    let plan = Plan::new(&network).unwrap();
    let limits = Limits { memory: 50 * WAITING_BYTES, ..Limits::default() };
    let result = Simulation::new(&plan, Mode::Event, &Probes::none()).with_limits(limits).run(&stimuli);
    let Err(Error::TooMuchMemory { limit: 850, excess }) = result else { panic!("{result:?}") };
    assert_eq!(excess.loops, ["ping", "pong"]);
    let names: Vec<_> = excess.nodes.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!((names[2], names.len()), ("kick", 3));
    assert_eq!(excess.nodes[2].1, 1);
}

#[test]
fn an_address_outside_the_matrix_stops_the_run() {
    let (network, _) = pair(Timing::default(), neurons());
    let plan = Plan::new(&network).unwrap();
    let outside = StimulusEvent { t_pre: 7, x: 4, y: 0, polarity: Polarity::Positive };
    for mode in [Mode::Event, Mode::Clocked { dt: 1 }] {
        let result = Simulation::new(&plan, mode, &Probes::none()).run(&[Stimulus::from_events([outside])]);
        let Err(Error::Address { node, time, x, y, .. }) = result else { panic!("{result:?}") };
        assert_eq!((node.as_str(), time, x, y), ("kick", 7, 4, 0));
    }
}

#[test]
fn a_run_stops_where_the_caller_says() {
    let delayed = Timing { delay_to_process: 1, ..Timing::default() };
    let (network, stimuli) = pair(delayed, neurons());
    let plan = Plan::new(&network).unwrap();
    for mode in [Mode::Event, Mode::Clocked { dt: 1 }] {
        let mut simulation = Simulation::new(&plan, mode, &Probes::all(&network));
        let record = simulation.run_until(&stimuli, |progress| progress.events[1] >= 5).unwrap();
        assert_eq!(record.summary.events[1], 5);
        assert_eq!(record.nodes[1].as_ref().unwrap().len(), 5);
    }
}

#[test]
fn a_cancelled_run_ends_soon_and_another_is_as_any() {
    for (delay, n) in [(0, 1), (1, 1), (1, 40)] {
        let mut builder = NetworkBuilder::new();
        let input = builder.source("in").unwrap();
        let array = Array { nx: n, ny: 1, x_min: 0, y_min: 0 };
        let ports = vec![FullyConnectedPort { nx_pre: 1, ny_pre: 1, weights: vec![6_000_000; n as usize].into() }];
        let neurons = NeuronParameters::default();
        let kind = ModuleKind::FullyConnected(FullyConnected { array, neurons, ports, output: Output::whole(array) });
        let timing = Timing { delay_to_process: delay, ..Timing::default() };
        let inputs = vec![Input::Node(input)];
        builder.module(Module { kind, inputs, timing, not_programmable: false }, &["out"]).unwrap();
        let network = builder.build(20_000).unwrap();
        let spike = |t_pre| StimulusEvent { t_pre, x: 0, y: 0, polarity: Polarity::Positive };
        let stimuli = [Stimulus::from_events((0..20_000).map(spike))];
        let plan = Plan::new(&network).unwrap();
        for mode in [Mode::Event, Mode::Clocked { dt: 1 }] {
            let mut simulation = Simulation::new(&plan, mode, &Probes::all(&network));
            let asked = Cell::new(0);
            let is_cancelled = || asked.replace(asked.get() + 1) >= 2;
            assert_eq!(simulation.run_cancellable(&stimuli, is_cancelled).unwrap(), None);
            assert!(asked.get() < 10, "{delay} {n} {mode:?}: asked {} times", asked.get());
            let whole = simulation.run_cancellable(&stimuli, || false).unwrap().unwrap();
            assert_eq!(whole, simulation.run(&stimuli).unwrap());
            assert!(whole.summary.events[1] > 10_000);
        }
    }
}
