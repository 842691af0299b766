//! Critical paths of small networks, every segment worked out by hand in the comments; what they say of a bottleneck
//! against runs with it halved.

use crate::by_hand::{chain, fork, join, on_mesh, relay, row, spikes};
use megasim::encode::SampleNumbers;
use megasim::engine::machine::{
    Acknowledge, Barrier, CriticalPath, Link, Machine, MachinePlan, MachineSimulation, Pace, RunSettings, Soma, Wait,
    WorkPart,
};
use megasim::engine::{Limits, Probes};
use megasim::hardware::Hardware;
use megasim::network::*;
use megasim::study::latency::{Latency, LatencyOptions, MachineInput, latency_of};
use megasim::study::sample_source::Segments;
use std::num::NonZeroU32;

fn a() -> ModuleId {
    ModuleId::new(0)
}

fn b() -> ModuleId {
    ModuleId::new(1)
}

fn input() -> NodeId {
    NodeId::new(0)
}

/// The path to the last work, which has no gap from 0 to the end of the run.
fn path(network: &Network, machine: Machine, stimuli: &[Stimulus], pace: Pace) -> CriticalPath {
    let plan = MachinePlan::new(network, machine).unwrap();
    let mut simulation = MachineSimulation::new(&plan, &Probes::none());
    let showing = RunSettings { pace, ..RunSettings::default() };
    let (record, causes) = simulation.run_with_causes(stimuli, &showing, None).unwrap();
    let path = causes.last_work().unwrap();
    let mut at = 0;
    for segment in &path.segments {
        assert_eq!(segment.from, at, "{path:?}");
        at = segment.to;
    }
    assert_eq!(at, record.ended, "{path:?}");
    path
}

/// `(from, to, what)` of each segment.
fn segments(path: &CriticalPath) -> Vec<(Tick, Tick, Wait)> {
    path.segments.iter().map(|it| (it.from, it.to, it.wait)).collect()
}

#[test]
fn the_last_work_waited_for_the_work_before_it() {
    // The machine of `two_modules_with_wires_work_and_a_queue`. B is done with event 2 at 35, which it started at 25,
    // when it was done with event 1 (event 2 was there from 22 on). It started that at 15, when it arrived over a wire
    // of 5 from A, which was done with it at 10: 3 an event, 2 an operation, 1 an output, from 4 on, when it arrived
    // over a wire of 4.
    let network = chain();
    let mut machine = Machine::of(&network);
    let station = machine.module_mut(a());
    (station.delay_to_process, station.time_per_operation, station.time_per_output) = (3, 2, 1);
    station.delay_to_ack = 2;
    let station = machine.module_mut(b());
    (station.delay_to_process, station.delay_to_ack, station.fifo_depth) = (10, 1, 1);
    machine.set_link(input(), a(), Link { delay: 4, acknowledge_delay: 1 });
    machine.set_link(NodeId::new(1), b(), Link { delay: 5, acknowledge_delay: 0 });
    let found = path(&network, machine, &[spikes(&[0, 1])], Pace::Real);
    let expected = [
        (0, 4, Wait::Link(input(), a())),
        (4, 7, Wait::Work(a(), WorkPart::Event)),
        (7, 9, Wait::Work(a(), WorkPart::Operation)),
        (9, 10, Wait::Work(a(), WorkPart::Output)),
        (10, 15, Wait::Link(NodeId::new(1), b())),
        (15, 25, Wait::Work(b(), WorkPart::Event)),
        (25, 35, Wait::Work(b(), WorkPart::Event)),
    ];
    assert_eq!(segments(&found), expected);
    // 20 of 35 ticks are B's; the last fifth, of 7 ticks, all of it.
    assert_eq!(found.waits()[&Wait::Work(b(), WorkPart::Event)], 20);
    let course: Vec<(Tick, Wait)> = found.course(5).iter().map(|it| (it.from, it.wait)).collect();
    // Spans of 35 / 5 + 1 = 8 ticks: 0 to 8 has 4 of the wire and 3 + 1 of A; 8 to 16 has 5 of the second wire; the
    // rest is B's.
    assert_eq!(course, [(0, Wait::Link(input(), a())), (8, Wait::Link(NodeId::new(1), b())), (16, expected[5].2)]);
    assert!(found.handshakes().is_empty());
}

#[test]
fn a_handshake_that_holds_up_the_next_event_is_named() {
    // A acknowledges 10 ticks after it has taken an event, and the acknowledge travels for 2. Events at 0, 0, 0: the
    // second is requested at 12, the third at 24; its acknowledge is heard at 36, the last thing that happens. The
    // first two handshakes held up an event.
    let mut builder = NetworkBuilder::new();
    let source = builder.source("input").unwrap();
    builder.module(relay(&[source]), &["a"]).unwrap();
    let network = builder.build(1000).unwrap();
    let mut machine = Machine::of(&network);
    machine.module_mut(a()).delay_to_ack = 10;
    machine.set_link(source, a(), Link { delay: 0, acknowledge_delay: 2 });
    for pace in [Pace::Real, Pace::Fastest] {
        let found = path(&network, machine.clone(), &[spikes(&[0, 0, 0])], pace);
        assert_eq!(found.waits()[&Wait::Acknowledge(a())], 30);
        assert_eq!(found.waits()[&Wait::AcknowledgeLink(source, a())], 6);
        assert_eq!(found.handshakes().into_iter().collect::<Vec<_>>(), [(source, 24)]);
    }
    // One after the other at 0, 1, 2 of network time: the same, each released when the one before is acknowledged.
    let found = path(&network, machine.clone(), &[spikes(&[0, 1, 2])], Pace::Fastest);
    assert_eq!(found.waits()[&Wait::Acknowledge(a())], 30);
    assert_eq!(found.handshakes().into_iter().collect::<Vec<_>>(), [(source, 24)]);
    // At its own times the last event at 100 is what counts, and its handshake: 100 + 12.
    let found = path(&network, machine, &[spikes(&[0, 100])], Pace::Real);
    let last =
        [(0, 100, Wait::Input), (100, 110, Wait::Acknowledge(a())), (110, 112, Wait::AcknowledgeLink(source, a()))];
    assert_eq!(segments(&found), last);
}

#[test]
fn full_queues_lead_to_the_module_that_is_slow() {
    // The machine of `a_full_output_fifo_stops_the_chain`: A takes 1 tick and is stopped for 18, B takes 10. The path
    // is A's first event, then the four of B: 1 + 40 = 41.
    let network = chain();
    let mut machine = Machine::of(&network);
    let station = machine.module_mut(a());
    (station.delay_to_process, station.out_fifo_depth) = (1, NonZeroU32::new(1));
    machine.module_mut(b()).delay_to_process = 10;
    let found = path(&network, machine.clone(), &[spikes(&[0, 0, 0, 0])], Pace::Real);
    let of = |module: ModuleId| Wait::Work(module, WorkPart::Event);
    assert_eq!(found.waits().into_iter().collect::<Vec<_>>(), [(of(a()), 1), (of(b()), 40)]);

    // A takes 5: event 1 0-5, B 5-15; event 2 5-10 (slot free at 5), taken by B at 15; event 3 starts at 15 (stopped
    //   from 10), 15-20, taken at 25; event 4 25-30, taken at 35; B is done at 45. Back: B 35-45, 25-35, 15-25, 5-15,
    //   A 0-5.
    machine.module_mut(a()).delay_to_process = 5;
    let found = path(&network, machine, &[spikes(&[0, 0, 0, 0])], Pace::Real);
    assert_eq!(found.waits().into_iter().collect::<Vec<_>>(), [(of(a()), 5), (of(b()), 40)]);
}

#[test]
fn a_stopped_module_waits_for_the_slot_that_the_next_one_frees() {
    // A takes 30 and holds 1 output, B takes 100, three events at 0. Event 1: A 0-30, B takes its output at 30: 30-130.
    // Event 2: A 30-60, B takes its output at 130. Event 3: A is stopped from 60 to 130. B has 130-230, 230-330.
    // C reads A too, without time, over a wire of 400: A's slot is free when C has acknowledged. Event 1: A 0-30, at C
    // at 430. Event 2: A 430-460, at C at 860. Event 3: A 860-890, at C at 1290.
    let network = fork(10_000);
    let output = network.outputs(a())[0];
    let mut machine = Machine::of(&network);
    let station = machine.module_mut(a());
    (station.delay_to_process, station.out_fifo_depth) = (30, NonZeroU32::new(1));
    machine.module_mut(b()).delay_to_process = 100;
    let of = |module: ModuleId| Wait::Work(module, WorkPart::Event);
    let found = path(&network, machine.clone(), &[spikes(&[0, 0, 0])], Pace::Real);
    assert_eq!(found.waits().into_iter().collect::<Vec<_>>(), [(of(a()), 30), (of(b()), 300)]);

    let (c, wire) = (ModuleId::new(2), Link { delay: 400, acknowledge_delay: 0 });
    machine.set_link(output, c, wire);
    let found = path(&network, machine, &[spikes(&[0, 0, 0])], Pace::Real);
    let link = Wait::Link(output, c);
    assert_eq!(found.waits().into_iter().collect::<Vec<_>>(), [(of(a()), 90), (link, 1200)]);
}

#[test]
fn a_link_of_the_mesh_that_carries_another_message_is_on_the_path() {
    // The machine of `a_mesh_goes_along_x_first_and_links_carry_one_message_at_a_time`. y's message arrives at 20 after
    // the link south, which it waited for from 12 to 14 while it carried x's. That came over the links east at 4 and 8.
    let network = join();
    let machine = on_mesh(&network, &[(2, 1)], &[(0, 0), (0, 0)], Acknowledge::Receiver);
    let found = path(&network, machine, &[spikes(&[0]), spikes(&[1])], Pace::Real);
    // (0, 0) east is link 0, (1, 0) east link 4, (2, 0) south link 11.
    let expected = [
        (0, 4, Wait::EastWest(0)),
        (4, 8, Wait::EastWest(4)),
        (8, 14, Wait::NorthSouth(11)),
        (14, 20, Wait::NorthSouth(11)),
    ];
    assert_eq!(segments(&found), expected);
}

#[test]
fn steps_behind_a_barrier_are_on_the_path() {
    // The machine of `behind_a_barrier_neurons_work_once_a_step`, as fast as it goes: A looks at its neurons until 12,
    // takes the event (16, two operations of 3) until 34; the barrier takes 7; A: 5 for the message, 12 for the
    // neurons, 8 for the touched ones, 30 for the spike, until 96; B takes that until 115 (16 + 3); the barrier until
    // 122; B's neuron 6, touched 4, spike 30: 162.
    let mut builder = NetworkBuilder::new();
    let source = builder.source("input").unwrap();
    let outputs = builder.module(row(2, 1, &[1, 0], &[source]), &["a"]).unwrap();
    builder.module(row(1, 2, &[1, 1], &outputs), &["b"]).unwrap();
    let network = builder.build(1000).unwrap();
    let mut machine = Machine::of(&network);
    for module in [a(), b()] {
        let station = machine.module_mut(module);
        (station.delay_to_process, station.time_per_operation, station.time_per_message) = (16, 3, 5);
        station.soma = Soma { time_per_neuron: 6, time_per_update: 4, time_per_spike: 30 };
    }
    machine.barrier = Some(Barrier { step: 100, time: 7 });
    let found = path(&network, machine.clone(), &[spikes(&[3])], Pace::Fastest);
    let expected = [
        (0, 12, Wait::Work(a(), WorkPart::Neuron)),
        (12, 28, Wait::Work(a(), WorkPart::Event)),
        (28, 34, Wait::Work(a(), WorkPart::Operation)),
        (34, 41, Wait::Barrier),
        (41, 46, Wait::Work(a(), WorkPart::Message)),
        (46, 58, Wait::Work(a(), WorkPart::Neuron)),
        (58, 66, Wait::Work(a(), WorkPart::Update)),
        (66, 96, Wait::Work(a(), WorkPart::Spike)),
        (96, 112, Wait::Work(b(), WorkPart::Event)),
        (112, 115, Wait::Work(b(), WorkPart::Operation)),
        (115, 122, Wait::Barrier),
        (122, 128, Wait::Work(b(), WorkPart::Neuron)),
        (128, 132, Wait::Work(b(), WorkPart::Update)),
        (132, 162, Wait::Work(b(), WorkPart::Spike)),
    ];
    assert_eq!(segments(&found), expected);
    // An event of step 6 more: steps 3 to 5 have no input, and go by at once: each 12 ticks of A's neurons and 7.
    path(&network, machine.clone(), &[spikes(&[3, 650])], Pace::Fastest);
    // At its own pace the step at 200 is what counts: 40 more.
    let found = path(&network, machine, &[spikes(&[3])], Pace::Real);
    assert_eq!(segments(&found)[0], (0, 200, Wait::Input));
}

#[test]
fn repeats_and_travel_are_on_the_path() {
    // A takes 2, its output is on its way for 3, and made 3 times 10 apart; B takes 4: 2 + 3 + 20 + 4 = 29.
    let mut builder = NetworkBuilder::new();
    let source = builder.source("input").unwrap();
    let mut module = relay(&[source]);
    let timing = Timing { delay_to_process: 2, delay_to_arrive: 3, n_repeat: 3, ..Timing::default() };
    module.timing = Timing { delay_to_repeat: 10, ..timing };
    let outputs = builder.module(module, &["a"]).unwrap();
    builder.module(relay(&outputs), &["b"]).unwrap();
    let network = builder.build(1000).unwrap();
    let mut machine = Machine::of(&network);
    machine.module_mut(b()).delay_to_process = 4;
    let found = path(&network, machine, &[spikes(&[0])], Pace::Real);
    let expected = [
        (0, 2, Wait::Work(a(), WorkPart::Event)),
        (2, 25, Wait::Travel(a())),
        (25, 29, Wait::Work(b(), WorkPart::Event)),
    ];
    assert_eq!(segments(&found), expected);
}

/// The chain, for a run of any length.
fn long_chain() -> Network {
    let mut builder = NetworkBuilder::new();
    let source = builder.source("input").unwrap();
    let outputs = builder.module(relay(&[source]), &["a"]).unwrap();
    builder.module(relay(&outputs), &["b"]).unwrap();
    builder.build(1_000_000).unwrap()
}

/// A study of a network on a machine, as fast as its input is taken.
fn study(network: Network, machine: &str) -> Latency {
    let samples = vec![vec![spikes(&[0; 50])], vec![spikes(&[0; 60])]];
    let segments = Segments { samples, ticks: 1_000_000, numbers: SampleNumbers::from(0) };
    let input = MachineInput::segments(network, segments, false, None, Limits::default()).unwrap();
    let hardware = Hardware::parse("m.toml".as_ref(), machine).unwrap();
    latency_of(input, &LatencyOptions::new(hardware).pace(Pace::Fastest), &()).unwrap()
}

#[test]
fn the_bottleneck_is_what_relieves() {
    // The limit is a link, then a module, then the input: its events are acknowledged late, though no module is busy.
    // In each the busiest module is another one, or no limit.
    //   link: A takes 50 ns an event and B 20; each event waits 400 ns on the wire to B. 400 of 400 per event.
    //   module: B takes 900 ns, the wire to it 100.
    //   input: A works 300 ns, and acknowledges after 800 ns.
    let cases = [
        ("delay_to_process = \"50 ns\"\n[[links]]\nto = \"b\"\ndelay = \"400 ns\"\n", "delay", "a to b", "a"),
        (
            "delay_to_process = \"50 ns\"\n[module.b]\ndelay_to_process = \"900 ns\"\n[[links]]\nto = \"b\"\n\
                delay = \"100 ns\"\n",
            "delay_to_process",
            "b",
            "a",
        ),
        ("delay_to_process = \"300 ns\"\n[module.a]\ndelay_to_ack = \"800 ns\"\n", "delay_to_ack", "a", "input"),
    ];
    for (machine, key, place, handshake) in cases {
        let machine = format!("tick = \"1 ns\"\n[all]\n{machine}");
        let found = study(long_chain(), &machine);
        let critical = found.what_ifs.critical.as_ref().unwrap();
        let most = critical.bottleneck().unwrap();
        assert_eq!((most.key, most.place.as_str()), (key, place), "{machine}{critical:?}");
        assert!(most.share > 0.8, "{machine}{critical:?}");
        let relief = found.what_ifs.of_bottleneck().unwrap();
        // Half of its share, unless another way is as long.
        assert!((relief.time - (1.0 - most.share / 2.0)).abs() < 0.05, "{machine}{relief:?} {most:?}");
        assert!(
            found.what_ifs.runs.iter().all(|it| it.time >= relief.time - 0.1),
            "{machine}{:?}",
            found.what_ifs.runs
        );
        assert_eq!((found.what_ifs.is_bottleneck(), found.what_ifs.agree()), (Some(true), Some(true)));
        if key == "delay_to_process" {
            // B has work all the time; nothing waits for a handshake but in A's output.
            continue;
        }
        let (node, share) = critical.handshake.unwrap();
        assert_eq!(found.input.network.nodes()[node.index()].name, handshake);
        assert!(share > 0.8, "{machine}{share}");
    }
}

#[test]
fn a_busy_module_whose_work_hides_behind_a_handshake_is_no_bottleneck() {
    // A works 840 ns of each 1000, and acknowledges after 1000: busy 84 % of the time, halved it gives nothing.
    let mut builder = NetworkBuilder::new();
    let source = builder.source("input").unwrap();
    builder.module(relay(&[source]), &["a"]).unwrap();
    let machine = "tick = \"1 ns\"\n[all]\ndelay_to_process = \"840 ns\"\ndelay_to_ack = \"1000 ns\"\n";
    let found = study(builder.build(1_000_000).unwrap(), machine);
    let busiest = found.busiest.unwrap();
    assert!((busiest.utilisation - 0.84).abs() < 0.001, "{busiest:?}");
    assert_eq!(busiest.cause.0, "delay_to_process");
    let critical = found.critical.unwrap();
    assert_eq!(critical.bottleneck().unwrap().key, "delay_to_ack");
    assert_eq!(found.what_ifs.agree(), Some(true));
}
