//! The timed engine against queueing theory: waits behind a server, Little's law, and the most that goes through.

use crate::common::random_network::random_network;
use megasim::engine::machine::{HandshakeTrace, Link, Machine, MachinePlan, MachineSimulation, Pace, RunSettings};
use megasim::engine::{Error, Limits, Probes};
use megasim::network::*;
use proptest::prelude::*;
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

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
fn losses_of_poisson_arrivals_at_a_constant_server_with_room_for_few() {
    // M/D/1/K: with room for K events, the one in service among them, the part 1 - b / (1 + load b) of the arrivals
    // finds it full, b = sum over k < K of (-1)^k (K - 1 - k)^k load^k / k! exp((K - 1 - k) load) (Brun and Garcia,
    // "Analytical solution of finite capacity M/D/1 queues", 2000). A machine loses nothing: what it cannot take waits.
    // So an arrival is lost where it is not accepted at once, and what comes after it has to be run without it: one
    // run after the other leaves out the first one that is lost of each busy period, until none is.
    let (network, machine) = server();
    for (seed, room, load) in [(1, 1, 0.6), (2, 2, 0.6), (3, 2, 0.9), (4, 4, 0.9), (5, 4, 1.2)] {
        let mut machine = machine.clone();
        let station = machine.module_mut(ModuleId::new(0));
        (station.delay_to_process, station.fifo_depth) = (SERVICE, room - 1);
        let plan = MachinePlan::new(&network, machine).unwrap();
        let (runs, n) = (40, 1_500);
        let losses: Vec<f64> = (0..runs)
            .map(|k| {
                let mut random = ChaCha8Rng::seed_from_u64(seed * 1000 + k);
                let mut t = 0.0;
                let mut arrivals: Vec<Tick> = (0..n)
                    .map(|_| {
                        t -= (1.0 - random.random::<f64>()).ln() * SERVICE as f64 / load;
                        t as Tick
                    })
                    .collect();
                while let lost = lost(&plan, &arrivals)
                    && !lost.is_empty()
                {
                    let mut at = 0..;
                    arrivals.retain(|_| at.next().is_some_and(|at| lost.binary_search(&at).is_err()));
                }
                1.0 - arrivals.len() as f64 / f64::from(n)
            })
            .collect();
        let mean = losses.iter().sum::<f64>() / runs as f64;
        let variance = losses.iter().map(|it| (it - mean).powi(2)).sum::<f64>() / (runs - 1) as f64;
        let error = (variance / runs as f64).sqrt();
        let mut factorial = 1.0;
        let terms = (0..room).map(|k| {
            factorial *= f64::from(k.max(1));
            let (sign, left) = (if k % 2 == 0 { 1.0 } else { -1.0 }, f64::from(room - 1 - k));
            sign * (left * load).powi(k as i32) / factorial * (left * load).exp()
        });
        let b: f64 = terms.sum();
        let theory = 1.0 - b / (1.0 + load * b);
        assert!((mean - theory).abs() < 3.0 * error, "{room}, {load}: {mean:.4} +- {error:.4}, theory {theory:.4}");
        assert!(error < 0.06 * theory, "{room}, {load}: {error:.4} of {theory:.4}");
    }
}

/// Of arrivals at a server, the first one of each busy period that is not accepted at once, by number.
fn lost(plan: &MachinePlan, arrivals: &[Tick]) -> Vec<usize> {
    let (mut lost, mut number, mut idle_from, mut is_lost) = (Vec::new(), 0, 0, false);
    let mut watch = |it: &HandshakeTrace| {
        let came = it.event.t_pre;
        // A new busy period begins.
        is_lost &= came < idle_from;
        if it.accepted > came && !is_lost {
            lost.push(number);
            is_lost = true;
        }
        (number, idle_from) = (number + 1, it.done);
    };
    let mut simulation = MachineSimulation::new(plan, &Probes::none());
    simulation.run(&[events(arrivals.iter().copied())], &RunSettings::default(), Some(&mut watch)).unwrap();
    assert_eq!(number, arrivals.len());
    lost
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
