//! Whatever network there is, its netfiles say the same.

use crate::random_network::{Loops, Options, random_network, random_network_with};
use megasim::netfile::{self, FileNames, events};
use megasim::network::{EventLog, Polarity, Stimulus};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn a_network_written_and_read_is_the_same((network, stimuli) in random_network()) {
        let directory = tempfile::tempdir().unwrap();
        let files = FileNames::of(&network);
        netfile::write(directory.path(), &network, &stimuli, &files).unwrap();
        let read = netfile::read(&directory.path().join(&files.schematic)).unwrap();
        prop_assert_eq!(&read.network, &network);
        prop_assert_eq!(read.stimuli, stimuli);
        prop_assert_eq!(read.files, files);
    }

    #[test]
    fn values_written_and_read_are_the_same(
        rows in prop::collection::vec((0..40i64, -3..9i32, any::<i32>(), any::<bool>()), 0..30),
    ) {
        let sign = |plus| if plus { Polarity::Positive } else { Polarity::Negative };
        let columns = (
            rows.iter().map(|row| row.0).collect(),
            rows.iter().map(|row| row.1).collect(),
            vec![0; rows.len()],
            rows.iter().map(|row| sign(row.3)).collect(),
        );
        let (stimulus, _) = Stimulus::from_valued_columns(columns, rows.iter().map(|row| row.2).collect());
        let mut text = Vec::new();
        events::write_stimulus(&stimulus, &mut text).unwrap();
        prop_assert_eq!(netfile::parse_stimulus(&text).unwrap().0, stimulus.clone());
        let mut log = EventLog::default();
        for (k, event) in stimulus.iter().enumerate() {
            log.push_valued(event, Some(stimulus.value()[k]), (event.t_pre, event.t_pre + 1));
        }
        let mut text = Vec::new();
        events::write(&log, &mut text).unwrap();
        prop_assert_eq!(events::read(&text).unwrap(), log);
    }

    #[test]
    fn without_loops_every_module_reads_from_above(
        (network, _) in random_network_with(Options { loops: Loops::None, ..Options::default() }),
    ) {
        use megasim::network::{Driver, Input};
        for (k, module) in network.modules().iter().enumerate() {
            for input in module.inputs.iter().take(module.kind.ports()) {
                if let Input::Node(node) = input && let Driver::Module(driver) = network.nodes()[node.index()].driver {
                    prop_assert!(driver.index() < k);
                }
            }
        }
    }
}

/// A line without a value in a file with values stands for a whole spike; what is no value is refused with its line.
#[test]
fn lines_with_and_without_values() {
    let (stimulus, _) = netfile::parse_stimulus(b"1 -1 -1 0 0 1\n2 -1 -1 0 0 1 98304\n0 -1 -1 7 0 -1\n").unwrap();
    assert_eq!((stimulus.t_pre(), stimulus.value()), (&[0, 1, 2][..], &[65_536, 65_536, 98_304][..]));
    for (text, message) in [
        ("1 -1 -1 0 0 1\n2 -1 -1 0 0 1 2147483648\n", "2: expected -2147483648 to 2147483647 (32 bits) for value"),
        ("1 -1 -1 0 0 1 5 6\n", "1: expected 6 integers (t_pre t_rqst t_ack x y polarity), or 7 with a value"),
        ("1 -1 -1 0 0 1 x\n", "1: expected an integer for value"),
    ] {
        let error = netfile::parse_stimulus(text.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }
}

/// The strategy is worth something only if it gets everywhere.
#[test]
fn random_networks_have_everything() {
    use megasim::network::{Driver, Input, ModuleKind, Network, Reset};
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;

    let mut runner = TestRunner::deterministic();
    let networks: Vec<Network> =
        (0..400).map(|_| random_network().new_tree(&mut runner).unwrap().current().0).collect();
    let modules = || networks.iter().flat_map(|network| network.modules().iter().map(move |module| (network, module)));
    let neurons = || modules().filter_map(|(_, module)| Some(*module.kind.neurons()?.1));
    let convs = || {
        modules().filter_map(|(_, module)| match &module.kind {
            ModuleKind::Conv(conv) => Some(conv),
            _ => None,
        })
    };
    let shares = |network: &Network| {
        network.modules().windows(2).any(|pair| pair[0].inputs == pair[1].inputs && pair[0].timing == pair[1].timing)
    };
    let feeds_back = |(network, module): (&Network, &megasim::network::Module)| {
        let at = network.modules().iter().position(|other| std::ptr::eq(other, module));
        module.inputs.iter().take(module.kind.ports()).any(|input| match input {
            Input::Node(node) => match network.nodes()[node.index()].driver {
                Driver::Module(driver) => Some(driver.index()) >= at,
                Driver::Source(_) => false,
            },
            Input::Undriven(_) => false,
        })
    };
    for kind in ["module_conv", "module_fully_connected", "module_softmax", "module_flatten", "module_max_pool"] {
        assert!(modules().filter(|(_, module)| module.kind.name() == kind).count() > 20, "{kind}");
    }
    for reset in [Reset::ToRest, Reset::Subtract, Reset::Modulo] {
        assert!(neurons().filter(|neurons| neurons.reset == reset).count() > 20, "{reset:?}");
    }
    let least = 20;
    for (what, count) in [
        ("feedback", modules().filter(|&pair| feeds_back(pair)).count()),
        ("shared maps", networks.iter().filter(|network| shares(network)).count()),
        ("processing delay", modules().filter(|(_, module)| module.timing.delay_to_process > 0).count()),
        ("travelling", modules().filter(|(_, module)| module.timing.delay_to_arrive > 0).count()),
        ("decaying potentials", neurons().filter(|neurons| neurons.leak_decay > 0).count()),
        ("resting potentials", neurons().filter(|neurons| neurons.resting_potential.is_some()).count()),
        ("decaying currents", neurons().filter(|neurons| neurons.mask_tau > 0).count()),
        ("acknowledge delay", modules().filter(|(_, module)| module.timing.delay_to_ack > 0).count()),
        ("FIFO", modules().filter(|(_, module)| module.timing.fifo_depth > 0).count()),
        ("repeats", modules().filter(|(_, module)| module.timing.n_repeat > 1).count()),
        ("busy at first", modules().filter(|(_, module)| module.timing.time_busy_initial > 0).count()),
        ("extra inputs", modules().filter(|(_, module)| module.inputs.len() > module.kind.ports()).count()),
        ("negative spikes", neurons().filter(|neurons| neurons.fires_minus).count()),
        ("leak", neurons().filter(|neurons| neurons.leak_plus > 0 && neurons.leak_minus > 0).count()),
        ("refractory", neurons().filter(|neurons| neurons.refractory > 0).count()),
        ("Tmin", neurons().filter(|neurons| neurons.t_min > 0).count()),
        ("ceiling", neurons().filter(|neurons| !neurons.fires_plus).count()),
        ("strides", convs().filter(|conv| conv.ports.iter().any(|port| port.x_stride > 1)).count()),
        ("expansion", convs().filter(|conv| conv.ports.iter().any(|port| port.y_expand > 1)).count()),
        (
            "saturating weights",
            convs().filter(|conv| conv.ports.iter().any(|port| port.weights.contains(&i32::MAX))).count(),
        ),
        ("subsampling", convs().filter(|conv| conv.output.x_subsmp > 1).count()),
        ("rectified", convs().filter(|conv| conv.output.rectify).count()),
    ] {
        assert!(count >= least, "{what}: only {count}");
    }
}
