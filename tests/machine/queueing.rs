//! The timed engine against queueing theory: waits behind a server, Little's law, and the most that goes through.

use crate::common::random_network::random_network;
use megasim::engine::machine::{Link, Machine, MachinePlan, MachineSimulation, Pace, RunSettings};
use megasim::engine::{Error, Limits, Probes};
use megasim::network::*;
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A module that only takes time: no neuron spikes.
fn server() -> (Network, Machine) {
    let array = Array { nx: 1, ny: 1, x_min: 0, y_min: 0 };
    let mut builder = NetworkBuilder::new();
    let input = builder.source("input").unwrap();
    let full = FullyConnected {
        array,
        neurons: NeuronParameters::default(),
        ports: vec![FullyConnectedPort { nx_pre: 1, ny_pre: 1, weights: [0].into() }],
        output: Output::whole(array),
    };
    let kind = ModuleKind::FullyConnected(full);
    let inputs = vec![Input::Node(input)];
    builder.module(Module { kind, inputs, timing: Timing::default(), not_programmable: false }, &["out"]).unwrap();
    let network = builder.build(DEFAULT_T_MAX).unwrap();
    let machine = Machine::of(&network);
    (network, machine)
}

fn events(times: impl Iterator<Item = Tick>) -> Stimulus {
    Stimulus::from_events(times.map(|t_pre| StimulusEvent { t_pre, x: 0, y: 0, polarity: Polarity::Positive }))
}

/// Ticks of service.
const SERVICE: Tick = 1000;

#[test]
fn waits_of_poisson_arrivals_at_a_constant_server() {
    // M/D/1: the mean wait before service is load / (2 (1 - load)) services (Pollaczek and Khinchine). Runs are
    // independent, so their means have a standard error; three of them are allowed.
    let (network, mut machine) = server();
    let station = machine.module_mut(ModuleId::new(0));
    (station.delay_to_process, station.fifo_depth) = (SERVICE, u32::MAX);
    let plan = MachinePlan::new(&network, machine).unwrap();
    for (seed, load) in [(1, 0.5), (2, 0.8), (3, 0.95)] {
        let (runs, n) = (40, 15_000);
        let means: Vec<f64> = (0..runs)
            .map(|k| {
                let mut random = ChaCha8Rng::seed_from_u64(seed * 1000 + k);
                let mut t = 0.0;
                let arrivals = (0..n).map(|_| {
                    t -= (1.0 - random.random::<f64>()).ln() * SERVICE as f64 / load;
                    t as Tick
                });
                let stimulus = events(arrivals);
                let warm_up = stimulus.t_pre()[n / 3];
                let mut simulation = MachineSimulation::new(&plan, &Probes::none());
                simulation.run(&[stimulus], &RunSettings { warm_up, ..RunSettings::default() }, None).unwrap();
                simulation.statistics().modules[0].wait.mean().unwrap()
            })
            .collect();
        let mean = means.iter().sum::<f64>() / runs as f64;
        let variance = means.iter().map(|it| (it - mean).powi(2)).sum::<f64>() / (runs - 1) as f64;
        let error = (variance / runs as f64).sqrt();
        let theory = load / (2.0 * (1.0 - load)) * SERVICE as f64;
        assert!((mean - theory).abs() < 3.0 * error, "load {load}: {mean:.1} +- {error:.1}, theory {theory:.1}");
        // A test that could not fail would have errors as large as the wait.
        assert!(error < 0.06 * theory, "load {load}: {error:.1} of {theory:.1}");
    }
}

#[test]
fn the_knee_of_throughput() {
    // Events go through at most one each max(delay_to_process, delay_to_ack): below, all that come; above, no more.
    for (process, acknowledge) in [(1000, 300), (300, 1000), (1000, 1000), (0, 700)] {
        let (network, mut machine) = server();
        let station = machine.module_mut(ModuleId::new(0));
        (station.delay_to_process, station.delay_to_ack) = (process, acknowledge);
        let plan = MachinePlan::new(&network, machine).unwrap();
        let limit = 1.0 / process.max(acknowledge) as f64;
        let throughput = |interval: f64, pace: Pace| {
            let stimulus = events((0..4000).map(|k| (f64::from(k) * interval) as Tick));
            let mut simulation = MachineSimulation::new(&plan, &Probes::none());
            simulation.run(&[stimulus], &RunSettings { pace, ..RunSettings::default() }, None).unwrap();
            let statistics = simulation.statistics();
            statistics.modules[0].events as f64 / statistics.elapsed as f64
        };
        let fastest = throughput(1.0, Pace::Fastest);
        assert!((fastest / limit - 1.0).abs() < 0.02, "{process}, {acknowledge}: {fastest} of {limit}");
        let follows = |rate: f64| throughput(1.0 / rate, Pace::Real) > 0.995 * rate;
        let knee = (80..120).map(|percent| limit * f64::from(percent) / 100.0).find(|&rate| !follows(rate)).unwrap();
        assert!((knee / limit - 1.0).abs() < 0.02, "{process}, {acknowledge}: knee at {knee}, expected {limit}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, max_global_rejects: 20_000, ..ProptestConfig::default() })]

    /// Little's law, exactly: over a run in which all that came was served, the mean number of events in a queue times
    /// the length of the run is the sum of their waits. At every queue of random networks on random machines.
    #[test]
    fn littles_law_at_every_queue(
        (network, stimuli) in random_network(),
        times in prop::collection::vec((0i64..4, 0i64..3, 0i64..3, 0u32..4, 0i64..5), 1..8),
    ) {
        let mut machine = Machine::of(&network);
        for (k, module) in network.modules().iter().enumerate() {
            let (process, operation, output, depth, delay) = times[k % times.len()];
            let id = ModuleId::new(k);
            let station = machine.module_mut(id);
            station.delay_to_process += process;
            (station.time_per_operation, station.time_per_output, station.fifo_depth) = (operation, output, depth);
            for input in &module.inputs {
                if let Input::Node(node) = input {
                    machine.set_link(*node, id, Link { delay, acknowledge_delay: operation });
                }
            }
        }
        let plan = MachinePlan::new(&network, machine).unwrap();
        let limits = Limits { events_per_tick: 3_000, memory: 500_000, ..Limits::default() };
        let mut simulation = MachineSimulation::new(&plan, &Probes::none()).with_limits(limits);
        match simulation.run(&stimuli, &RunSettings::default(), None) {
            Ok(run) => prop_assert_eq!(run.unfinished.unstarted, 0),
            Err(
                Error::Address { .. }
                | Error::Runaway { .. }
                | Error::NeverRests { .. }
                | Error::TooMuchMemory { .. },
            ) => {
                return Err(TestCaseError::reject("cannot be run"));
            }
            Err(error) => return Err(TestCaseError::fail(error.to_string())),
        }
        let statistics = simulation.statistics();
        for module in &statistics.modules {
            prop_assert_eq!(module.queue.sum(), module.wait.sum());
            prop_assert_eq!(module.events, module.wait.weight());
            prop_assert_eq!(module.queue.weight(), statistics.elapsed);
        }
    }
}
