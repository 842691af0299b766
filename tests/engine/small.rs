//! Networks of small modules, which run in flat arrays, against the plain reference and runs that can be stopped, which
//! go by the queue of nodes.

use super::reference::compare;
use crate::common::random_network::{Loops, Options, random_network_with};
use crate::common::reference;
use megasim::engine::{self, Error, Limits, Mode, Plan, Probes, Simulation};
use megasim::network::*;
use proptest::prelude::*;

fn small_modules(loops: Loops) -> impl Strategy<Value = (Network, Vec<Stimulus>)> {
    random_network_with(Options { loops, small: true, ..Options::default() })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, max_global_rejects: 50_000, ..ProptestConfig::default() })]

    #[test]
    fn small_modules_are_the_reference(
        (network, stimuli) in prop_oneof![small_modules(Loops::Advancing), small_modules(Loops::Any)],
    ) {
        compare(&network, &stimuli, Mode::Event, || reference::run_event(&network, &stimuli))?;
    }

    #[test]
    fn what_is_left_behind_is_that_of_a_run_by_the_queue(
        (network, stimuli) in small_modules(Loops::Any),
        watched in prop::bool::ANY,
    ) {
        let plan = Plan::new(&network).unwrap();
        let limits = Limits { events_per_tick: 3_000, memory: 500_000, ..Limits::default() };
        let probes = if watched { Probes::all(&network) } else { Probes::of(&[NodeId::new(0)]) };
        let simulation = || Simulation::new(&plan, Mode::Event, &probes).with_limits(limits);
        let (mut fast, mut plain) = (simulation(), simulation());
        // The second run starts as the first one did.
        for _ in 0..2 {
            match (fast.run(&stimuli), plain.run_until(&stimuli, |_| false)) {
                (Ok(fast), Ok(plain)) => prop_assert_eq!(fast, plain),
                (Err(Error::Runaway { time: fast, .. }), Err(Error::Runaway { time: plain, .. })) => {
                    prop_assert_eq!(fast, plain);
                    continue;
                }
                (Err(fast), Err(plain)) => prop_assert_eq!(fast, plain),
                (fast, plain) => prop_assert!(false, "{:?}, but by the queue {:?}", fast, plain),
            }
            for module in (0..network.modules().len()).map(ModuleId::new) {
                prop_assert_eq!(fast.potentials(module), plain.potentials(module));
            }
        }
    }
}

/// A ring of modules of one neuron, each with a delay of a tick, and one spike that goes round.
fn ring(modules: usize, t_max: Tick) -> (Network, [Stimulus; 1]) {
    let mut builder = NetworkBuilder::new();
    let input = builder.source("in").unwrap();
    let array = Array { nx: 1, ny: 1, x_min: 0, y_min: 0 };
    for k in 0..modules {
        let ports =
            vec![FullyConnectedPort { nx_pre: 1, ny_pre: 1, weights: [10_000_000].into() }; 1 + usize::from(k == 0)];
        let before = Input::Undriven(format!("{}", (k + modules - 1) % modules));
        let inputs = if k == 0 { vec![before, Input::Node(input)] } else { vec![before] };
        let neurons = NeuronParameters::default();
        let kind = ModuleKind::FullyConnected(FullyConnected { array, neurons, ports, output: Output::whole(array) });
        let timing = Timing { delay_to_process: 1, ..Timing::default() };
        builder.module(Module { kind, inputs, timing, not_programmable: false }, &[format!("{k}")]).unwrap();
    }
    let spike = StimulusEvent { t_pre: 0, x: 0, y: 0, polarity: Polarity::Positive };
    (builder.build(t_max).unwrap(), [Stimulus::from_events([spike])])
}

/// Weights of 16 bits, which larger matrices keep as such, and a delay.
#[test]
fn narrow_matrices_are_taken() {
    let mut builder = NetworkBuilder::new();
    let input = builder.source("in").unwrap();
    let array = Array { nx: 30, ny: 1, x_min: 0, y_min: 0 };
    let weights = (0..30 * 200).map(|k| (k * k * 31 + k * 7) % 401 - 150).collect();
    let ports = vec![FullyConnectedPort { nx_pre: 200, ny_pre: 1, weights }];
    let neurons = NeuronParameters { threshold_plus: 1_000, ..NeuronParameters::default() };
    let kind = ModuleKind::FullyConnected(FullyConnected { array, neurons, ports, output: Output::whole(array) });
    let timing = Timing { delay_to_process: 1, ..Timing::default() };
    let inputs = vec![Input::Node(input)];
    builder.module(Module { kind, inputs, timing, not_programmable: false }, &["out"]).unwrap();
    let network = builder.build(1_000).unwrap();
    let spike = |k: i64| StimulusEvent { t_pre: k, x: (k * 37 % 200) as i32, y: 0, polarity: Polarity::Positive };
    let stimuli = [Stimulus::from_events((0..900).map(spike))];
    let records = [true, false].map(|narrow| {
        let plan = Plan::with_options(&network, engine::Options { narrow, ..engine::Options::default() }).unwrap();
        let simulation = || Simulation::new(&plan, Mode::Event, &Probes::all(&network));
        [simulation().run(&stimuli).unwrap(), simulation().run_until(&stimuli, |_| false).unwrap()]
    });
    let [[one, two], [three, four]] = records;
    assert!(one.summary.events[1] > 1_000, "{:?}", one.summary);
    assert!(one == two && two == three && three == four);
}

#[test]
fn a_spike_goes_round() {
    let (network, stimuli) = ring(5, 12);
    let plan = Plan::new(&network).unwrap();
    let record = Simulation::new(&plan, Mode::Event, &Probes::all(&network)).run(&stimuli).unwrap();
    let times: Vec<Vec<Tick>> = record.nodes.into_iter().flatten().map(|log| log.t_pre).collect();
    assert_eq!(times, [vec![0], vec![1, 6, 11], vec![2, 7, 12], vec![3, 8], vec![4, 9], vec![5, 10]]);
    assert_eq!((record.summary.pending, record.summary.last_time), (1, Some(12)));
}

#[test]
fn events_beyond_a_limit_stop_it() {
    let (network, stimuli) = ring(5, 1_000);
    let plan = Plan::new(&network).unwrap().with_limits(Limits { events: 100, ..Limits::default() });
    let error = Simulation::new(&plan, Mode::Event, &Probes::none()).run(&stimuli).unwrap_err().to_string();
    assert!(error.starts_with("time 100: most events are on {0} (21), {1} (20)"), "{error}");
}
