//! Random networks on random machines: whatever is added, every handshake keeps its order and no event is lost.

use crate::common::random_network::random_network;
use megasim::engine::machine::{
    Acknowledge, Arbiter, Barrier, HandshakeTrace, Link, Machine, MachinePlan, MachineSimulation, Mesh, Pace,
    RunSettings, Soma, Split, Tile,
};
use megasim::engine::{Error, Limits, Probes};
use megasim::network::*;
use proptest::prelude::*;
use std::num::NonZeroU32;

/// Times of links, whether events are posted, places.
type MeshSketch = (Tick, Tick, bool, Vec<(u32, u32)>);

#[derive(Debug, Clone)]
struct Sketch {
    times: Vec<(Tick, Tick, Tick, Tick)>,
    depths: Vec<(u32, Option<NonZeroU32>)>,
    links: Vec<(Tick, Tick)>,
    mesh: Option<MeshSketch>,
    barrier: Option<(Tick, Tick)>,
    pace: Pace,
}

fn sketch() -> impl Strategy<Value = Sketch> {
    let times = prop::collection::vec((0i64..4, 0i64..3, 0i64..3, 0i64..3), 1..6);
    let out = prop_oneof![2 => Just(None), 3 => (1u32..6).prop_map(NonZeroU32::new)];
    let depths = prop::collection::vec((0u32..4, out), 1..6);
    let links = prop::collection::vec((0i64..5, 0i64..3), 1..6);
    let mesh = (0i64..4, 0i64..4, any::<bool>(), prop::collection::vec((0u32..3, 0u32..3), 1..6));
    let barrier = prop_oneof![3 => Just(None), 1 => (1i64..20, 0i64..5).prop_map(Some)];
    let pace = prop_oneof![
        2 => Just(Pace::Real),
        1 => (1u32..9).prop_map(|k| Pace::Times(NonZeroU32::new(k).unwrap())),
        2 => Just(Pace::Fastest),
    ];
    (times, depths, links, prop::option::of(mesh), barrier, pace)
        .prop_map(|(times, depths, links, mesh, barrier, pace)| Sketch { times, depths, links, mesh, barrier, pace })
}

fn machine(network: &Network, sketch: &Sketch) -> Machine {
    let mut machine = Machine::of(network);
    for (k, module) in network.modules().iter().enumerate() {
        let id = ModuleId::new(k);
        let station = machine.module_mut(id);
        let (process, operation, output, acknowledge) = sketch.times[k % sketch.times.len()];
        station.delay_to_process += process;
        station.delay_to_ack += acknowledge;
        (station.time_per_operation, station.time_per_output) = (operation, output);
        station.time_per_message = output;
        station.arbiter = Arbiter::ALL[(process + acknowledge) as usize % 4];
        (station.fifo_depth, station.out_fifo_depth) = sketch.depths[k % sketch.depths.len()];
        station.soma = Soma { time_per_neuron: operation, time_per_update: output, time_per_spike: process };
        for input in &module.inputs {
            if let Input::Node(node) = input {
                let (delay, acknowledge_delay) = sketch.links[(k + node.index()) % sketch.links.len()];
                machine.set_link(*node, id, Link { delay, acknowledge_delay });
            }
        }
    }
    machine.mesh = sketch.mesh.as_ref().map(|(time_east_west, time_north_south, posted, tiles)| {
        let tile = |k: usize| Tile { x: tiles[k % tiles.len()].0, y: tiles[k % tiles.len()].1 };
        Mesh {
            columns: 3,
            rows: 3,
            time_east_west: *time_east_west,
            time_north_south: *time_north_south,
            acknowledge: if *posted { Acknowledge::Network } else { Acknowledge::Receiver },
            arbiter: Arbiter::ALL[(*time_east_west + *time_north_south) as usize % 4],
            modules: (0..network.modules().len()).map(tile).collect(),
            sources: (0..network.sources().len()).map(|k| tile(k + 1)).collect(),
        }
    });
    machine.barrier = sketch.barrier.map(|(step, time)| Barrier { step, time });
    let modules = network.modules().len() as u32;
    match (sketch.times.len() + sketch.depths.len()) % 3 {
        // Two modules to a core.
        1 => {
            machine.cores = Some((0..modules).map(|module| module / 2).collect());
        }
        // Modules of two neurons or more on two cores.
        2 => {
            machine.cores = Some((0..modules).map(|module| 2 * module).collect());
            for module in (0..modules as usize).map(ModuleId::new) {
                let kind = &network.modules()[module.index()].kind;
                let neurons = kind.neurons().map_or(0, |(array, ..)| array.nx * array.ny);
                let tile = |mesh: &Mesh, k: usize| mesh.modules[(module.index() + k) % mesh.modules.len()];
                let tiles = machine.mesh.as_ref().map_or(Vec::new(), |mesh| vec![tile(mesh, 0), tile(mesh, 1)]);
                if neurons > 1 {
                    machine.splits.insert(module, Split { begins: vec![0, neurons / 2], tiles });
                }
            }
        }
        _ => {}
    }
    machine
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, max_global_rejects: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn keep_order_and_lose_nothing((network, stimuli) in random_network(), sketch in sketch()) {
        let machine = machine(&network, &sketch);
        // Travel and decaying currents do not go with a barrier.
        let Ok(plan) = MachinePlan::new(&network, machine.clone()) else {
            prop_assert!(machine.barrier.is_some());
            return Err(TestCaseError::reject("not behind a barrier"));
        };
        let limits = Limits { events_per_tick: 3_000, memory: 500_000, ..Limits::default() };
        let mut simulation = MachineSimulation::new(&plan, &Probes::all(&network)).with_limits(limits);
        let mut passages: Vec<HandshakeTrace> = Vec::new();
        let showing = RunSettings { pace: sketch.pace, ..RunSettings::default() };
        let mut watch = |passage: &HandshakeTrace| passages.push(*passage);
        let run = match simulation.run(&stimuli, &showing, Some(&mut watch)) {
            Ok(run) => run,
            Err(
                Error::Address { .. }
                | Error::Runaway { .. }
                | Error::NeverRests { .. }
                | Error::TooMuchMemory { .. },
            ) => {
                return Err(TestCaseError::reject("cannot be run"));
            }
            Err(error) => return Err(TestCaseError::fail(error.to_string())),
        };
        // Causes change nothing, and lead back to the start without a gap.
        let mut traced = MachineSimulation::new(&plan, &Probes::all(&network)).with_limits(limits);
        let (with_causes, causes) = traced.run_with_causes(&stimuli, &showing, None).unwrap();
        prop_assert_eq!(&with_causes, &run);
        let mut at = 0;
        for it in causes.last_work().unwrap().segments {
            prop_assert_eq!(it.from, at);
            prop_assert!(it.to > it.from);
            at = it.to;
        }
        prop_assert_eq!(at, run.ended);
        let posted = machine.mesh.as_ref().is_some_and(|mesh| mesh.acknowledge == Acknowledge::Network);
        let mut free = vec![0; network.modules().len()];
        for it in &passages {
            let times = [it.event.t_pre, it.requested, it.arrived, it.accepted, it.started, it.done];
            prop_assert!(times.is_sorted(), "{:?}", it);
            let least = if posted { it.requested } else { it.accepted };
            prop_assert!(it.acknowledged >= least);
            // One at a time.
            prop_assert!(free[it.module.index()] <= it.started);
            free[it.module.index()] = it.done;
        }
        // What was made or offered is recorded, under way, or waits.
        let statistics = simulation.statistics();
        let made: u64 = statistics.modules.iter().zip(0..).map(|(module, k)| {
            let outputs = network.outputs(ModuleId::new(k)).len() as u64;
            module.outputs * outputs * u64::from(network.modules()[k].timing.n_repeat)
        }).sum();
        let offered: u64 = stimuli.iter().map(|stimulus| stimulus.len() as u64).sum();
        let recorded: u64 = run.record.summary.events.iter().sum();
        let left = run.unfinished;
        prop_assert_eq!(made + offered, recorded + left.unacknowledged + left.pending);
        // What was not started waits for room, and only a limit on outputs makes it wait for ever.
        if sketch.depths.iter().all(|(_, out)| out.is_none()) {
            prop_assert_eq!((left.unstarted, left.unacknowledged), (0, 0));
            prop_assert!(run.deadlocks.is_empty());
        }
        for module in &statistics.modules {
            prop_assert!(module.queue.weight() == statistics.elapsed);
        }
    }
}
