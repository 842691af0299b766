//! Maximum pooling by averages: cases worked by hand, the same in both modes.

use megasim::engine::{Mode, Plan, Probes, Simulation};
use megasim::network::*;

/// One window over two addresses; the times at which each spikes. Gives the times at which the window does.
fn passed(rule: PoolRule, spikes: [&[Tick]; 2], mode: Mode) -> Vec<Tick> {
    let mut builder = NetworkBuilder::new();
    let input = builder.source("in").unwrap();
    let port = PoolPort { nx: 2, ny: 1, nx_pool: 2, ny_pool: 1, nx_out: 1, ny_out: 1, ..PoolPort::RESET };
    let module = Module {
        kind: ModuleKind::MaxPool(MaxPool { ports: vec![port], rule }),
        inputs: vec![Input::Node(input)],
        timing: Timing::default(),
        not_programmable: false,
    };
    let output = builder.module(module, &["out"]).unwrap()[0];
    let network = builder.build(1000).unwrap();
    let at = |x: i32| spikes[x as usize].iter().map(move |&t_pre| (t_pre, x));
    let mut events: Vec<(Tick, i32)> = at(0).chain(at(1)).collect();
    events.sort_unstable();
    let event = |(t_pre, x)| StimulusEvent { t_pre, x, y: 0, polarity: Polarity::Positive };
    let stimulus = Stimulus::from_events(events.into_iter().map(event));
    let plan = Plan::new(&network).unwrap();
    let record = Simulation::new(&plan, mode, &Probes::all(&network)).run(&[stimulus]).unwrap();
    record.nodes[output.index()].as_ref().unwrap().t_pre.clone()
}

const MODES: [Mode; 2] = [Mode::Event, Mode::Clocked { dt: 1 }];

/// The first address spikes four times early on, the second one later.
const SPIKES: [&[Tick]; 2] = [&[0, 1, 2, 3, 50], &[20, 21, 22, 30]];

#[test]
fn the_accumulated_rate_keeps_what_fired_first() {
    for mode in MODES {
        assert_eq!(passed(PoolRule::Busiest, SPIKES, mode), [0, 1, 2, 3, 50]);
    }
}

#[test]
fn a_moving_average_forgets_what_is_out_of_it() {
    for mode in MODES {
        // At 20 the last ten ticks have one spike, of the second address; at 22 three, at 50 one, of the first.
        assert_eq!(passed(PoolRule::Average { over: 10 }, SPIKES, mode), [0, 1, 2, 3, 20, 21, 22, 30, 50]);
        // At 21, the spikes above 1: two of each, and the standing winner is the first. At 50 that of 30 is out.
        assert_eq!(passed(PoolRule::Average { over: 20 }, SPIKES, mode), [0, 1, 2, 3, 22, 30, 50]);
        assert_eq!(passed(PoolRule::Average { over: 1000 }, SPIKES, mode), [0, 1, 2, 3, 50]);
    }
}

#[test]
fn an_exponential_average_is_led_by_late_spikes() {
    // Half is lost per tick: at 20 nearly nothing is left of the first four. At 50 the last one is more than all else.
    let half = PoolRule::Exponential { decay: 1 << 29 };
    // Nearly nothing is lost: counts decide.
    let none = PoolRule::Exponential { decay: 1 };
    for mode in MODES {
        assert_eq!(passed(half, SPIKES, mode), [0, 1, 2, 3, 20, 21, 22, 30, 50]);
        // At 30 the second address has four newer spikes, which are a little more.
        assert_eq!(passed(none, SPIKES, mode), [0, 1, 2, 3, 30, 50]);
    }
}
