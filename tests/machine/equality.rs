//! The timed engine where a machine is no more than netfiles say: event mode, to the byte, on random small networks.

use crate::common::random_network::{Loops, Options, random_network, random_network_with};
use megasim::engine::machine::{Machine, MachinePlan, MachineSimulation, Mesh, Pace, RunSettings, Tile};
use megasim::engine::{Error, Limits, Mode, Plan, Probes, Record, Simulation};
use megasim::network::*;
use proptest::prelude::*;
use std::num::NonZeroU32;

const LIMITS: Limits = Limits { events_per_tick: 3_000, events: 1_000_000_000, memory: 500_000 };

fn closed_form(network: &Network, stimuli: &[Stimulus]) -> Result<Record, Error> {
    let plan = Plan::new(network)?;
    Simulation::new(&plan, Mode::Event, &Probes::all(network)).with_limits(LIMITS).run(stimuli)
}

fn timed(network: &Network, machine: Machine, stimuli: &[Stimulus], showing: &RunSettings) -> Result<Record, Error> {
    let plan = MachinePlan::new(network, machine).unwrap();
    let mut simulation = MachineSimulation::new(&plan, &Probes::all(network)).with_limits(LIMITS);
    let run = simulation.run(stimuli, showing, None)?;
    assert_eq!(run.deadlocks, []);
    assert_eq!((run.unfinished.unacknowledged, run.unfinished.unstarted), (0, 0));
    // Again in the same memory.
    assert_eq!(simulation.run(stimuli, showing, None)?.record, run.record);
    Ok(run.record)
}

/// Which of several faults comes first is the order of handling; that there is one is not.
fn alike(one: &Result<Record, Error>, other: &Result<Record, Error>) -> Result<(), TestCaseError> {
    match (one, other) {
        (Ok(one), Ok(other)) => prop_assert_eq!(one, other),
        (Err(Error::Runaway { .. } | Error::TooMuchMemory { .. }), _)
        | (_, Err(Error::Runaway { .. } | Error::TooMuchMemory { .. })) => {
            return Err(TestCaseError::reject("runs away"));
        }
        (one, other) => prop_assert!(one.is_err() && other.is_err(), "{:?} {:?}", one, other),
    }
    Ok(())
}

fn same(network: &Network, stimuli: &[Stimulus], machine: Machine, showing: &RunSettings) -> Result<(), TestCaseError> {
    alike(&closed_form(network, stimuli), &timed(network, machine, stimuli, showing))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, max_global_rejects: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn without_additions((network, stimuli) in random_network()) {
        same(&network, &stimuli, Machine::of(&network), &RunSettings::default())?;
    }

    #[test]
    fn with_loops_of_any_kind(
        (network, stimuli) in random_network_with(Options { loops: Loops::Any, t_max: 20, ..Options::default() }),
    ) {
        same(&network, &stimuli, Machine::of(&network), &RunSettings::default())?;
    }

    /// A mesh whose links take no time, output FIFOs that never fill, and a pace of once.
    #[test]
    fn with_additions_that_do_nothing((network, stimuli) in random_network(), far in 0u32..3) {
        let mut machine = Machine::of(&network);
        for k in 0..network.modules().len() {
            machine.module_mut(ModuleId::new(k)).out_fifo_depth = NonZeroU32::new(1_000_000);
        }
        machine.mesh = Some(Mesh {
            columns: 3,
            rows: 3,
            time_east_west: 0,
            time_north_south: 0,
            acknowledge: Default::default(),
            arbiter: Default::default(),
            modules: (0..network.modules().len() as u32).map(|k| Tile { x: k % 3, y: far }).collect(),
            sources: vec![Tile { x: 0, y: 0 }; network.sources().len()],
        });
        let pace = Pace::Times(NonZeroU32::MIN);
        same(&network, &stimuli, machine, &RunSettings { pace, ..RunSettings::default() })?;
    }
}
