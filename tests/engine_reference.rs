//! The engine against the plain reference, on random small networks: the same events in both modes, with every kernel variant.

mod common;

use common::random_network::random_network;
use common::reference;
use megasim::engine::kernels::Variant;
use megasim::engine::{Error, Limits, Mode, Plan, Probes, Record, Simulation};
use megasim::network::{EventLog, Network, Stimulus};
use proptest::prelude::*;

/// Loops without delay may run away in the reference, which has no limits: such a network is passed over where the engine says so.
fn run(network: &Network, stimuli: &[Stimulus], mode: Mode, variant: Variant) -> Result<Record, Error> {
    let plan = Plan::with_kernels(network, variant)?;
    let limits = Limits { events_per_tick: 3_000, pending: 3_000 };
    Simulation::new(&plan, mode, &Probes::all(network)).with_limits(limits).run(stimuli)
}

fn compare(
    network: &Network,
    stimuli: &[Stimulus],
    mode: Mode,
    reference: impl Fn() -> Result<Vec<EventLog>, reference::OutsideMatrix>,
) -> Result<(), TestCaseError> {
    for variant in Variant::available() {
        match run(network, stimuli, mode, variant) {
            Ok(record) => {
                let logs: Vec<_> = record.nodes.into_iter().flatten().collect();
                prop_assert_eq!(Ok(logs.clone()), reference(), "{:?}", variant);
                let counts: Vec<_> = logs.iter().map(|log| log.len() as u64).collect();
                prop_assert_eq!(record.summary.events, counts);
            }
            Err(Error::Address { .. }) => prop_assert_eq!(reference(), Err(reference::OutsideMatrix)),
            Err(Error::Runaway { .. } | Error::TooManyPending { .. }) => {
                return Err(TestCaseError::reject("runs away"));
            }
            Err(error) => return Err(TestCaseError::fail(error.to_string())),
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, max_global_rejects: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn event_mode((network, stimuli) in random_network()) {
        compare(&network, &stimuli, Mode::Event, || reference::run_event(&network, &stimuli))?;
    }

    #[test]
    fn clocked_mode((network, stimuli) in random_network(), dt in 1i64..5) {
        compare(&network, &stimuli, Mode::Clocked { dt }, || reference::run_clocked(&network, &stimuli, dt))?;
    }
}
