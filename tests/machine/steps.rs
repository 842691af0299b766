//! Steps behind a barrier that are processed link by link and module by module, against the same by what is due next:
//! so a run goes that is watched.

use crate::common::random_network::{Loops, Options, random_network_with};
use megasim::engine::machine::{
    Acknowledge, Barrier, HandshakeTrace, Link, Machine, MachinePlan, MachineSimulation, Mesh, Pace, RunSettings, Soma,
    Split, Tile,
};
use megasim::engine::{Limits, Probes};
use megasim::network::*;
use proptest::prelude::*;
use std::num::NonZeroU32;

#[derive(Debug, Clone)]
struct Sketch {
    times: Vec<(Tick, Tick, Tick, u32)>,
    acknowledge_delays: Vec<Tick>,
    link_times: (Tick, Tick),
    tiles: Vec<(u32, u32)>,
    /// Each module on its own core, several on one, or one on several.
    cores: u32,
    barrier: (Tick, Tick),
    pace: Pace,
    warm_up: Tick,
}

fn sketch() -> impl Strategy<Value = Sketch> {
    let times = prop::collection::vec((1i64..9, 0i64..3, 0i64..3, 0u32..3), 1..6);
    let acknowledge_delays = prop::collection::vec(0i64..3, 1..4);
    let tiles = prop::collection::vec((0u32..3, 0u32..2), 1..9);
    let pace = prop_oneof![
        1 => Just(Pace::Real),
        1 => (1u32..9).prop_map(|k| Pace::Times(NonZeroU32::new(k).unwrap())),
        2 => Just(Pace::Fastest),
    ];
    let warm_up = prop_oneof![2 => Just(0), 1 => 0i64..200];
    (times, acknowledge_delays, (1i64..6, 1i64..6), tiles, 0u32..4, (1i64..30, 0i64..5), pace, warm_up).prop_map(
        |(times, acknowledge_delays, link_times, tiles, cores, barrier, pace, warm_up)| Sketch {
            times,
            acknowledge_delays,
            link_times,
            tiles,
            cores,
            barrier,
            pace,
            warm_up,
        },
    )
}

fn machine(network: &Network, sketch: &Sketch) -> Machine {
    let mut machine = Machine::of(network);
    for (k, module) in network.modules().iter().enumerate() {
        let id = ModuleId::new(k);
        let station = machine.module_mut(id);
        let (process, operation, output, depth) = sketch.times[k % sketch.times.len()];
        station.delay_to_process = process;
        (station.time_per_operation, station.time_per_output) = (operation, output);
        station.time_per_message = output;
        (station.fifo_depth, station.time_busy_initial) = (depth, 0);
        station.soma = Soma { time_per_neuron: operation, time_per_update: output, time_per_spike: process };
        for input in &module.inputs {
            if let Input::Node(node) = input {
                let delays = &sketch.acknowledge_delays;
                let acknowledge_delay = delays[(k + node.index()) % delays.len()];
                machine.set_link(*node, id, Link { delay: 0, acknowledge_delay });
            }
        }
    }
    let tile = |k: usize| Tile { x: sketch.tiles[k % sketch.tiles.len()].0, y: sketch.tiles[k % sketch.tiles.len()].1 };
    machine.barrier = Some(Barrier { step: sketch.barrier.0, time: sketch.barrier.1 });
    let modules = network.modules().len() as u32;
    // Modules of one core are on one tile.
    let shared = if sketch.cores == 1 { 2 } else { 1 };
    machine.mesh = Some(Mesh {
        columns: 3,
        rows: 2,
        time_east_west: sketch.link_times.0,
        time_north_south: sketch.link_times.1,
        acknowledge: Acknowledge::Network,
        arbiter: Default::default(),
        modules: (0..modules as usize).map(|module| tile(module / shared)).collect(),
        sources: (0..network.sources().len()).map(|k| tile(k + 1)).collect(),
    });
    machine.cores = match sketch.cores {
        0 => None,
        1 => Some((0..modules).map(|module| module / 2).collect()),
        _ => Some((0..modules).map(|module| 2 * module).collect()),
    };
    if sketch.cores == 2 {
        for module in (0..modules as usize).map(ModuleId::new) {
            let kind = &network.modules()[module.index()].kind;
            let neurons = kind.neurons().map_or(0, |(array, ..)| array.nx * array.ny);
            let tiles = vec![tile(module.index()), tile(module.index() + 1)];
            if neurons > 1 {
                machine.splits.insert(module, Split { begins: vec![0, neurons / 2], tiles });
            }
        }
    }
    machine
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10_000, max_global_rejects: 100_000, ..ProptestConfig::default() })]

    #[test]
    fn go_as_by_what_is_due(
        (network, stimuli) in random_network_with(Options { loops: Loops::Advancing, ..Options::default() }),
        sketch in sketch(),
        few in any::<bool>(),
    ) {
        // Travel and decaying currents do not go with a barrier.
        let Ok(plan) = MachinePlan::new(&network, machine(&network, &sketch)) else {
            return Err(TestCaseError::reject("not behind a barrier"));
        };
        // Now and then a limit is reached.
        let limits = Limits { events_per_tick: if few { 60 } else { 3_000 }, memory: 500_000, ..Limits::default() };
        let showing = RunSettings { pace: sketch.pace, warm_up: sketch.warm_up, until: None };
        let simulation = || MachineSimulation::new(&plan, &Probes::all(&network)).with_limits(limits);
        let (mut by_unit, mut by_time) = (simulation(), simulation());
        for _ in 0..2 {
            let run = by_unit.run(&stimuli, &showing, None);
            let watched = by_time.run(&stimuli, &showing, Some(&mut |_: &HandshakeTrace| {}));
            prop_assert_eq!(format!("{:?}", &run), format!("{:?}", &watched));
            if run.is_err() {
                return Ok(());
            }
        }
        let figures = |of: &MachineSimulation| serde_json::to_string(of.statistics()).unwrap();
        prop_assert_eq!(figures(&by_unit), figures(&by_time));
    }
}
