//! Small networks of any kind of module: event mode, with whatever makes it fast, gives the events of the plain
//! reference.

#![no_main]

#[path = "../../tests/common/random_network/mod.rs"]
mod random_network;
#[path = "../../tests/common/reference/mod.rs"]
mod reference;

use libfuzzer_sys::{Corpus, fuzz_target};
use megasim::engine::{Error, Limits, Mode, Plan, Probes, Simulation};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use random_network::random_network;

fuzz_target!(|bytes: &[u8]| -> Corpus {
    // The seed from which the strategy of the property tests grows a network. The bytes are not the random numbers
    // themselves: where they end all others would be 0, and choices that are made again until they fit would not end.
    let mut seed = [0; 32];
    seed.iter_mut().zip(bytes).for_each(|(seed, byte)| *seed = *byte);
    let random = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    let mut runner = TestRunner::new_with_rng(Config::default(), random);
    let Ok(tree) = random_network().new_tree(&mut runner) else { return Corpus::Reject };
    let (network, stimuli) = tree.current();
    let Ok(plan) = Plan::new(&network) else { return Corpus::Reject };
    // The reference has no limits: what runs away in the engine is passed over.
    let limits = Limits { events_per_tick: 3_000, memory: 500_000, ..Limits::default() };
    let run = Simulation::new(&plan, Mode::Event, &Probes::all(&network)).with_limits(limits).run(&stimuli);
    match run {
        Ok(record) => {
            let logs: Vec<_> = record.nodes.into_iter().flatten().collect();
            assert_eq!(Ok(logs), reference::run_event(&network, &stimuli));
        }
        Err(Error::Address { .. }) => {
            assert_eq!(reference::run_event(&network, &stimuli), Err(reference::OutsideMatrix))
        }
        Err(_) => return Corpus::Reject,
    }
    Corpus::Keep
});
