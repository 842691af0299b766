//! The orders in which event mode can take the events of one tick, on networks small enough to work out by hand.

use megasim::engine::{Error, Mode, Options, Plan, Probes, Simulation, TieOrder};
use megasim::network::{
    Array, FullyConnected, FullyConnectedPort, Input, Module, ModuleKind, Network, NetworkBuilder, NeuronParameters,
    Output, Polarity, Stimulus, StimulusEvent, Tick, Timing,
};

fn dense(inputs: &[megasim::network::NodeId], lines: &[&[i32]], threshold: i32, timing: Timing) -> Module {
    let neurons = 1;
    let array = Array { nx: neurons, ny: 1, x_min: 0, y_min: 0 };
    let ports = lines.iter().map(|weights| FullyConnectedPort {
        nx_pre: weights.len() as u32,
        ny_pre: 1,
        weights: weights.to_vec().into(),
    });
    Module {
        kind: ModuleKind::FullyConnected(FullyConnected {
            array,
            neurons: NeuronParameters { threshold_plus: threshold, ..NeuronParameters::default() },
            ports: ports.collect(),
            output: Output::whole(array),
        }),
        inputs: inputs.iter().map(|&node| Input::Node(node)).collect(),
        timing,
        not_programmable: false,
    }
}

/// No spikes.
const NONE: [Tick; 0] = [];

/// One neuron with threshold 10: address 0 adds 10, address 1 takes 10.
fn network(timing: Timing) -> Network {
    let mut builder = NetworkBuilder::new();
    let input = builder.source("input").unwrap();
    builder.module(dense(&[input], &[&[10, -10]], 10, timing), &["output"]).unwrap();
    builder.build(100).unwrap()
}

fn spikes(events: &[(Tick, i32)]) -> Stimulus {
    Stimulus::from_events(events.iter().map(|&(t_pre, x)| StimulusEvent {
        t_pre,
        x,
        y: 0,
        polarity: Polarity::Positive,
    }))
}

fn times(network: &Network, order: TieOrder, stimuli: &[Stimulus]) -> Vec<Tick> {
    let plan = Plan::with_options(network, Options { tie_order: order, ..Options::default() }).unwrap();
    let record = Simulation::new(&plan, Mode::Event, &Probes::all(network)).run(stimuli).unwrap();
    record.nodes.last().unwrap().as_ref().unwrap().t_rqst.clone()
}

#[test]
fn which_event_comes_first_decides() {
    let network = network(Timing::default());
    let (rise_first, fall_first) = ([spikes(&[(3, 0), (3, 1)])], [spikes(&[(3, 1), (3, 0)])]);
    assert_eq!(times(&network, TieOrder::Netlist, &rise_first), [3]);
    assert_eq!(times(&network, TieOrder::Netlist, &fall_first), NONE);
    assert_eq!(times(&network, TieOrder::Reversed, &rise_first), NONE);
    assert_eq!(times(&network, TieOrder::Reversed, &fall_first), [3]);
    assert_eq!(times(&network, TieOrder::Split, &rise_first), [3]);
    assert_eq!(times(&network, TieOrder::Split, &fall_first), [3]);
    let seeded: Vec<usize> = (0..64).map(|seed| times(&network, TieOrder::Seeded(seed), &rise_first).len()).collect();
    let fired = seeded.iter().sum::<usize>();
    assert!((12..=52).contains(&fired), "{fired} of 64 seeds take the rise first");
    assert_eq!(times(&network, TieOrder::Seeded(7), &rise_first).len(), seeded[7]);
}

#[test]
fn events_of_different_ticks_keep_their_order() {
    let network = network(Timing::default());
    let stimuli = [spikes(&[(3, 1), (4, 0), (5, 0), (6, 1), (8, 0)])];
    // -10, 0, 10: spike and 0, -10, 0
    for order in [TieOrder::Netlist, TieOrder::Reversed, TieOrder::Seeded(1), TieOrder::Split] {
        assert_eq!(times(&network, order, &stimuli), [5], "{order:?}");
    }
}

#[test]
fn a_negative_event_turns_the_halves_around() {
    let network = network(Timing::default());
    let event = |x, polarity| StimulusEvent { t_pre: 2, x, y: 0, polarity };
    // Address 1 with a negative event adds 10.
    let stimuli = [Stimulus::from_events([event(0, Polarity::Negative), event(1, Polarity::Negative)])];
    assert_eq!(times(&network, TieOrder::Netlist, &stimuli), NONE);
    assert_eq!(times(&network, TieOrder::Split, &stimuli), [2]);
}

#[test]
fn split_takes_both_inputs_of_a_tick_together() {
    // The second input comes by way of a relay, in the same tick: the module waits for it.
    let mut builder = NetworkBuilder::new();
    let falling = builder.source("falling").unwrap();
    let rising = builder.source("rising").unwrap();
    let relay = builder.module(dense(&[rising], &[&[5]], 5, Timing::default()), &["relay"]).unwrap()[0];
    builder.module(dense(&[falling, relay], &[&[-10], &[10]], 10, Timing::default()), &["output"]).unwrap();
    let network = builder.build(100).unwrap();
    let stimuli = [spikes(&[(1, 0)]), spikes(&[(1, 0)])];
    assert_eq!(times(&network, TieOrder::Netlist, &stimuli), NONE);
    assert_eq!(times(&network, TieOrder::Split, &stimuli), [1]);
}

#[test]
fn split_needs_modules_that_act_at_once() {
    let network = network(Timing { delay_to_process: 1, ..Timing::default() });
    let options = Options { tie_order: TieOrder::Split, ..Options::default() };
    assert_eq!(Plan::with_options(&network, options).unwrap_err(), Error::Delays { node: "output".into() });
    // The others keep the handshake: events start one after the other, outputs come a tick later.
    let stimuli = [spikes(&[(3, 0), (3, 1)])];
    assert_eq!(times(&network, TieOrder::Netlist, &stimuli), [4]);
    assert_eq!(times(&network, TieOrder::Reversed, &stimuli), NONE);
}

#[test]
fn halves_change_nothing_in_clocked_mode() {
    let network = network(Timing::default());
    let stimuli = [spikes(&[(1, 0), (1, 0), (1, 1), (4, 0)])];
    let run = |tie_order| {
        let plan = Plan::with_options(&network, Options { tie_order, ..Options::default() }).unwrap();
        Simulation::new(&plan, Mode::Clocked { dt: 1 }, &Probes::all(&network)).run(&stimuli).unwrap().nodes
    };
    assert_eq!(run(TieOrder::Split), run(TieOrder::Netlist));
}
