//! Small networks on machines, every time, occupancy and energy worked out by hand in the comments.
//!
//! A *relay* is a module of one neuron that spikes at every event: one synaptic operation, one output.

use megasim::engine::machine::{
    Acknowledge, Arbiter, Barrier, Deadlock, HandshakeTrace, Link, Machine, MachinePlan, MachineRecord,
    MachineSimulation, Mesh, Pace, RunSettings, Soma, Statistics, Tile,
};
use megasim::engine::{Error, Limits, Probes};
use megasim::hardware::{Hardware, ModuleLayer};
use megasim::network::*;
use megasim::study::latency::{Account, EnergyBreakdown};
use std::num::NonZeroU32;

pub fn row(n: u32, lines: u32, weights: &[i32], inputs: &[NodeId]) -> Module {
    let array = Array { nx: n, ny: 1, x_min: 0, y_min: 0 };
    let port = || FullyConnectedPort { nx_pre: lines, ny_pre: 1, weights: weights.into() };
    Module {
        kind: ModuleKind::FullyConnected(FullyConnected {
            array,
            neurons: NeuronParameters { threshold_plus: 1, ..NeuronParameters::default() },
            ports: inputs.iter().map(|_| port()).collect(),
            output: Output::whole(array),
        }),
        inputs: inputs.iter().map(|&node| Input::Node(node)).collect(),
        timing: Timing::default(),
        not_programmable: false,
    }
}

pub fn relay(inputs: &[NodeId]) -> Module {
    row(1, 1, &[1], inputs)
}

/// Spikes at address 0.
pub fn spikes(times: &[Tick]) -> Stimulus {
    Stimulus::from_events(times.iter().map(|&t_pre| StimulusEvent { t_pre, x: 0, y: 0, polarity: Polarity::Positive }))
}

struct Seen {
    record: MachineRecord,
    passages: Vec<HandshakeTrace>,
    statistics: Statistics,
}

fn run(network: &Network, machine: Machine, stimuli: &[Stimulus], showing: &RunSettings) -> Seen {
    let plan = MachinePlan::new(network, machine).unwrap();
    let mut simulation = MachineSimulation::new(&plan, &Probes::all(network));
    let mut passages = Vec::new();
    let mut watch = |passage: &HandshakeTrace| passages.push(*passage);
    let record = simulation.run(stimuli, showing, Some(&mut watch)).unwrap();
    Seen { record, passages, statistics: simulation.statistics().clone() }
}

impl Seen {
    /// `(requested, arrived, accepted, started, done, acknowledged)` of the events of a module.
    fn times(&self, module: usize) -> Vec<[Tick; 6]> {
        let of = self.passages.iter().filter(|passage| passage.module == ModuleId::new(module));
        of.map(|it| [it.requested, it.arrived, it.accepted, it.started, it.done, it.acknowledged]).collect()
    }

    fn t_pre(&self, node: usize) -> Vec<Tick> {
        self.record.record.nodes[node].as_ref().unwrap().t_pre.clone()
    }
}

pub fn chain() -> Network {
    let mut builder = NetworkBuilder::new();
    let input = builder.source("input").unwrap();
    let a = builder.module(relay(&[input]), &["a"]).unwrap();
    builder.module(relay(&a), &["b"]).unwrap();
    builder.build(1000).unwrap()
}

/// A relay that two relays read.
pub fn fork(t_max: Tick) -> Network {
    let mut builder = NetworkBuilder::new();
    let input = builder.source("input").unwrap();
    let a = builder.module(relay(&[input]), &["a"]).unwrap();
    builder.module(relay(&a), &["b"]).unwrap();
    builder.module(relay(&a), &["c"]).unwrap();
    builder.build(t_max).unwrap()
}

/// A relay that reads two sources.
pub fn join() -> Network {
    let mut builder = NetworkBuilder::new();
    let inputs = ["x", "y"].map(|name| builder.source(name).unwrap());
    builder.module(relay(&inputs), &["a"]).unwrap();
    builder.build(1000).unwrap()
}

const A: usize = 0;
const B: usize = 1;

#[test]
fn two_modules_with_wires_work_and_a_queue() {
    // input -> A over a wire of 4 ticks, 1 back; A -> B over a wire of 5, 0 back.
    // A: 3 an event + 2 an operation + 1 an output = 6; acknowledges after 2; no FIFO.
    // B: 10 an event; acknowledges after 1; a FIFO of 1.
    //
    //            requested  arrived  accepted  started  done  acknowledged
    // A, event 1     0         4        4         4      10    4 + 2 + 1 = 7
    // A, event 2     7        11       11        11      17   11 + 2 + 1 = 14    made at 1, sent when 7 has come
    // B, event 1    10        15       15        15      25   16
    // B, event 2    17        22       22        25      35   23                 waits inside from 22 to 25
    let network = chain();
    let mut machine = Machine::of(&network);
    let a = machine.module_mut(ModuleId::new(A));
    (a.delay_to_process, a.time_per_operation, a.time_per_output, a.delay_to_ack) = (3, 2, 1, 2);
    let b = machine.module_mut(ModuleId::new(B));
    (b.delay_to_process, b.delay_to_ack, b.fifo_depth) = (10, 1, 1);
    machine.set_link(NodeId::new(0), ModuleId::new(A), Link { delay: 4, acknowledge_delay: 1 });
    machine.set_link(NodeId::new(1), ModuleId::new(B), Link { delay: 5, acknowledge_delay: 0 });
    let seen = run(&network, machine, &[spikes(&[0, 1])], &RunSettings::default());
    assert_eq!(seen.times(A), [[0, 4, 4, 4, 10, 7], [7, 11, 11, 11, 17, 14]]);
    assert_eq!(seen.times(B), [[10, 15, 15, 15, 25, 16], [17, 22, 22, 25, 35, 23]]);
    assert_eq!(seen.t_pre(2), [25, 35]);

    // It ends at 35, when the second output of B is made (nothing reads it). A works 12 ticks, B 20; in B's queue is
    // one event for 3 ticks of 35, and the two events wait 0 and 3. The input's second event waits 6 for its turn;
    // handshakes take 7 and 7.
    let Statistics { modules, nodes, elapsed, .. } = &seen.statistics;
    assert_eq!(*elapsed, 35);
    assert_eq!((modules[A].busy.total(), modules[B].busy.total()), (12, 20));
    assert_eq!((modules[A].busy.events, modules[A].busy.operations, modules[A].busy.outputs), (6, 4, 2));
    assert_eq!(modules[B].queue.mean(), Some(3.0 / 35.0));
    assert_eq!((modules[B].queue.max(), modules[B].wait.mean(), modules[B].wait.max()), (Some(1), Some(1.5), Some(3)));
    assert_eq!((nodes[0].waiting.max(), nodes[0].handshake.mean()), (Some(6), Some(7.0)));
}

#[test]
fn a_fan_out_with_unequal_links_waits_for_the_longest() {
    // A reads over 1 tick, B over 7; neither takes time. The first event is acknowledged by A at 1, by B at 7: so the
    // second, made at 2, is requested at 7, and arrives at 8 and 14.
    let mut builder = NetworkBuilder::new();
    let input = builder.source("input").unwrap();
    builder.module(relay(&[input]), &["a"]).unwrap();
    builder.module(relay(&[input]), &["b"]).unwrap();
    let network = builder.build(1000).unwrap();
    let mut machine = Machine::of(&network);
    machine.set_link(input, ModuleId::new(A), Link { delay: 1, acknowledge_delay: 0 });
    machine.set_link(input, ModuleId::new(B), Link { delay: 7, acknowledge_delay: 0 });
    let seen = run(&network, machine, &[spikes(&[0, 2])], &RunSettings::default());
    assert_eq!(seen.times(A), [[0, 1, 1, 1, 1, 1], [7, 8, 8, 8, 8, 8]]);
    assert_eq!(seen.times(B), [[0, 7, 7, 7, 7, 7], [7, 14, 14, 14, 14, 14]]);
    assert_eq!(seen.statistics.nodes[0].handshake.mean(), Some(7.0));
    let log = seen.record.record.nodes[0].clone().unwrap();
    assert_eq!((log.t_rqst, log.t_ack), (vec![0, 7], vec![7, 14]));
}

#[test]
fn later_requests_overtake_and_ties_go_to_the_earlier_one() {
    // The wire from x takes 10 ticks, that from y 2. x requests at 0 (arrives at 10), y at 5 (arrives at 7: first),
    // then at 8 (arrives at 10 as well: x was requested earlier, so x is second and y third).
    let mut builder = NetworkBuilder::new();
    let y = builder.source("y").unwrap();
    let x = builder.source("x").unwrap();
    builder.module(relay(&[y, x]), &["a"]).unwrap();
    let network = builder.build(1000).unwrap();
    let mut machine = Machine::of(&network);
    machine.set_link(x, ModuleId::new(A), Link { delay: 10, acknowledge_delay: 0 });
    machine.set_link(y, ModuleId::new(A), Link { delay: 2, acknowledge_delay: 0 });
    let seen = run(&network, machine, &[spikes(&[5, 8]), spikes(&[0])], &RunSettings::default());
    let order: Vec<(NodeId, Tick)> = seen.passages.iter().map(|passage| (passage.node, passage.started)).collect();
    assert_eq!(order, [(y, 7), (x, 10), (y, 10)]);
}

#[test]
fn a_full_output_fifo_stops_the_chain() {
    // A takes 1 tick and holds 1 output; B takes 10, and neither has an input FIFO. Four events at 0.
    // Event 1: A 0-1. Its output is requested at 1 and B starts it at once: 1-11.
    // Event 2: waits at A since 0, starts when the first output has gone, at 1: 1-2. Its output is requested at 2, and
    // B takes it at 11.
    // Event 3: requested at 1 (event 2 was accepted then). A is free at 2, but its slot only at 11: stopped 9 ticks. A
    // 11-12, B 21-31.
    // Event 4: requested at 11; A is free at 12, stopped until 21: 9 ticks. A 21-22, output requested at 22, B 31-41.
    let network = chain();
    let mut machine = Machine::of(&network);
    let a = machine.module_mut(ModuleId::new(A));
    (a.delay_to_process, a.out_fifo_depth) = (1, NonZeroU32::new(1));
    machine.module_mut(ModuleId::new(B)).delay_to_process = 10;
    let seen = run(&network, machine, &[spikes(&[0, 0, 0, 0])], &RunSettings::default());
    assert_eq!(
        seen.times(A),
        [[0, 0, 0, 0, 1, 0], [0, 0, 1, 1, 2, 1], [1, 1, 11, 11, 12, 11], [11, 11, 21, 21, 22, 21]]
    );
    assert_eq!(
        seen.times(B),
        [[1, 1, 1, 1, 11, 1], [2, 2, 11, 11, 21, 11], [12, 12, 21, 21, 31, 21], [22, 22, 31, 31, 41, 31]]
    );
    // A's queue: event 2 for 1 tick, events 3 and 4 for 10 each; in 41 ticks.
    let Statistics { modules, elapsed, .. } = &seen.statistics;
    assert_eq!((*elapsed, modules[A].stopped, modules[B].stopped), (41, 18, 0));
    assert_eq!((modules[A].busy.total(), modules[B].busy.total()), (4, 40));
    assert_eq!(modules[A].queue.mean(), Some(21.0 / 41.0));
    assert_eq!(seen.record.deadlocks, []);
}

#[test]
fn a_ring_of_full_fifos_is_a_deadlock_and_is_shown() {
    // A reads the input and B, B reads A; each takes 1 tick and holds 1 output, no input FIFOs. Two events at 0.
    // 0: A starts event 1. 1: its output goes to B, which starts; the slot is free, so A starts event 2.
    // 2: A's second output is made and requested; B is free, but holds its own first output: stopped. That is requested
    // too;
    //    A is free, but holds its second output: stopped. Each waits for the other.
    let mut builder = NetworkBuilder::new();
    let input = builder.source("input").unwrap();
    let mut a = relay(&[input, input]);
    a.inputs[1] = Input::Undriven("b".into());
    let a = builder.module(a, &["a"]).unwrap();
    let b = builder.module(relay(&a), &["b"]).unwrap();
    let network = builder.build(1000).unwrap();
    let mut machine = Machine::of(&network);
    for module in [A, B] {
        let station = machine.module_mut(ModuleId::new(module));
        (station.delay_to_process, station.out_fifo_depth) = (1, NonZeroU32::new(1));
    }
    let seen = run(&network, machine.clone(), &[spikes(&[0, 0])], &RunSettings::default());
    let ring = Deadlock { at: 2, modules: vec![ModuleId::new(A), ModuleId::new(B)], nodes: vec![a[0], b[0]] };
    assert_eq!(seen.record.deadlocks, [ring]);
    assert_eq!((seen.record.unfinished.unacknowledged, seen.record.unfinished.unstarted), (2, 2));
    assert_eq!(seen.record.ended, 2);

    // One more slot at A: its second output waits there, B gets rid of its first, and the two events run round the ring
    // for ever.
    machine.module_mut(ModuleId::new(A)).out_fifo_depth = NonZeroU32::new(2);
    let seen = run(&network, machine.clone(), &[spikes(&[0, 0])], &RunSettings::default());
    assert_eq!(seen.record.deadlocks, []);
    assert!(seen.record.ended >= 1000);

    // Where input waits for what came before it, that is reported: they are on loops, but not on loops without delay.
    let plan = MachinePlan::new(&network, machine).unwrap();
    let limits = Limits { events_per_tick: 500, ..Limits::default() };
    let mut simulation = MachineSimulation::new(&plan, &Probes::none()).with_limits(limits);
    let fastest = RunSettings { pace: Pace::Fastest, ..RunSettings::default() };
    let error = simulation.run(&[spikes(&[0, 0])], &fastest, None).unwrap_err();
    assert!(matches!(&error, Error::NeverRests { events: 501, .. }), "{error:?}");
    assert!(error.to_string().starts_with("the machine does not become idle"), "{error}");
}

#[test]
fn an_event_that_may_make_many_outputs_needs_as_many_slots() {
    // Each event may fire 3 neurons, and fires the first one. B takes 10 ticks. With 3 slots A may start only when none
    // is held;
    // with 4, when at most one is.
    let mut builder = NetworkBuilder::new();
    let input = builder.source("input").unwrap();
    let a = builder.module(row(3, 1, &[1, 0, 0], &[input]), &["a"]).unwrap();
    builder.module(row(1, 3, &[0, 0, 0], &a), &["b"]).unwrap();
    let network = builder.build(1000).unwrap();
    let starts = |slots: u32| {
        let mut machine = Machine::of(&network);
        machine.module_mut(ModuleId::new(A)).out_fifo_depth = NonZeroU32::new(slots);
        machine.module_mut(ModuleId::new(B)).delay_to_process = 10;
        let seen = run(&network, machine, &[spikes(&[0, 1, 2])], &RunSettings::default());
        seen.times(A).iter().map(|times| times[3]).collect::<Vec<_>>()
    };
    // Event 1 at 0, taken by B at once. Event 2 at 1: its output is taken at 10. Event 3, made at 2: then, with 3
    // slots.
    assert_eq!(starts(3), [0, 1, 10]);
    assert_eq!(starts(4), [0, 1, 2]);
    // Fewer slots than it may need: when the FIFO is empty.
    assert_eq!(starts(1), [0, 1, 10]);
}

pub fn on_mesh(network: &Network, modules: &[(u32, u32)], sources: &[(u32, u32)], acknowledge: Acknowledge) -> Machine {
    let tiles = |places: &[(u32, u32)]| places.iter().map(|&(x, y)| Tile { x, y }).collect();
    let mut machine = Machine::of(network);
    machine.mesh = Some(Mesh {
        columns: 3,
        rows: 2,
        time_east_west: 4,
        time_north_south: 6,
        acknowledge,
        arbiter: Arbiter::Fair,
        modules: tiles(modules),
        sources: tiles(sources),
    });
    machine
}

#[test]
fn a_mesh_goes_along_x_first_and_links_carry_one_message_at_a_time() {
    // From (0, 0) to (2, 1): two links east, one south: 4 + 4 + 6 = 14.
    let network = join();
    let machine = on_mesh(&network, &[(2, 1)], &[(0, 0), (0, 0)], Acknowledge::Receiver);
    let seen = run(&network, machine, &[spikes(&[0]), spikes(&[1])], &RunSettings::default());
    // y finds the first link busy until 4 (3 ticks of waiting), passes it at 8, the next at 12; the last one carries x
    // until 14 (2 ticks of waiting): 20.
    assert_eq!(seen.times(A), [[0, 14, 14, 14, 14, 14], [1, 20, 20, 20, 20, 20]]);
    let links: Vec<(usize, u64, Option<u64>)> = (0..24)
        .map(|k| (k, seen.statistics.links[k].busy, seen.statistics.links[k].wait.max()))
        .filter(|(_, busy, _)| *busy > 0)
        .collect();
    // (0, 0) east is link 0, (1, 0) east link 4, (2, 0) south link 11.
    assert_eq!(links, [(0, 8, Some(3)), (4, 8, Some(0)), (11, 12, Some(2))]);
    let node = &seen.statistics.nodes[0];
    assert_eq!((node.messages, node.hops_east_west, node.hops_north_south), (1, 2, 1));
}

#[test]
fn posted_events_are_acknowledged_by_the_first_link() {
    // Two events at 0 to a module two links east that takes 20 ticks: the first is acknowledged when it has passed its
    // first link, at 4, and arrives at 8; the second is requested at 4, arrives at 12, and waits before the module
    // until 28.
    let mut builder = NetworkBuilder::new();
    let input = builder.source("input").unwrap();
    builder.module(relay(&[input]), &["a"]).unwrap();
    let network = builder.build(1000).unwrap();
    let mut machine = on_mesh(&network, &[(2, 0)], &[(0, 0)], Acknowledge::Network);
    machine.module_mut(ModuleId::new(A)).delay_to_process = 20;
    let seen = run(&network, machine, &[spikes(&[0, 0])], &RunSettings::default());
    assert_eq!(seen.times(A), [[0, 8, 8, 8, 28, 4], [4, 12, 28, 28, 48, 8]]);
    assert_eq!(seen.statistics.modules[A].queue.sum(), 16);
}

#[test]
fn behind_a_barrier_neurons_work_once_a_step() {
    // A: 2 neurons, of which an event fires the first; B: a relay. Steps of 100 ticks, a barrier of 7.
    // Both: 16 an event, 3 an operation; 6 a neuron, 4 a touched neuron, 30 a spike, 5 a message.
    //
    // Step 0 at 0: A looks at its neurons, 0-12; B 0-6. The input event is offered at 0 and starts at 12: 16 + 2 * 3 =
    // 22, done at 34.
    //   Barrier until 41; step 1 is not before 100.
    // Step 1 at 100: A: 2 * 6 + 2 * 4 + 30 + 5 = 55, its spike leaves at 155. B 100-106, then the spike: 155 + 16 + 3 =
    // 174.
    // Step 2 at 200: A 200-212. B: 6 + 4 + 30 = 40, its spike leaves at 240; nothing reads it. Nothing is left to do.
    let mut builder = NetworkBuilder::new();
    let input = builder.source("input").unwrap();
    let a = builder.module(row(2, 1, &[1, 0], &[input]), &["a"]).unwrap();
    builder.module(row(1, 2, &[1, 1], &a), &["b"]).unwrap();
    let network = builder.build(1000).unwrap();
    let mut machine = Machine::of(&network);
    for module in [A, B] {
        let station = machine.module_mut(ModuleId::new(module));
        (station.delay_to_process, station.time_per_operation, station.time_per_message) = (16, 3, 5);
        station.soma = Soma { time_per_neuron: 6, time_per_update: 4, time_per_spike: 30 };
    }
    machine.barrier = Some(Barrier { step: 100, time: 7 });
    let seen = run(&network, machine.clone(), &[spikes(&[3])], &RunSettings::default());
    assert_eq!(seen.times(A), [[0, 0, 12, 12, 34, 12]]);
    assert_eq!(seen.times(B), [[155, 155, 155, 155, 174, 155]]);
    assert_eq!(seen.t_pre(2), [240]);
    let Statistics { modules, steps, .. } = &seen.statistics;
    assert_eq!(*steps, 3);
    // A: 3 steps of 2 neurons, 2 of them touched once; one spike.
    assert_eq!((modules[A].neurons, modules[A].updates, modules[A].outputs), (6, 2, 1));
    assert_eq!((modules[A].busy.neurons, modules[A].busy.updates, modules[A].busy.spikes), (36, 8, 30));
    assert_eq!((modules[A].busy.messages, modules[A].busy.events, modules[A].busy.operations), (5, 16, 6));

    // As fast as it goes: step 1 at 34 + 7 = 41, A until 96, the event in B until 96 + 19 = 115; step 2 at 122, B until
    // 162.
    let fastest = RunSettings { pace: Pace::Fastest, ..RunSettings::default() };
    let seen = run(&network, machine, &[spikes(&[3])], &fastest);
    assert_eq!(seen.times(B), [[96, 96, 96, 96, 115, 96]]);
    assert_eq!(seen.t_pre(2), [162]);
}

#[test]
fn input_comes_k_times_as_fast_or_as_fast_as_it_is_taken() {
    // A relay that takes 10 ticks, and acknowledges when it starts. Events at 0, 0, 100, 300.
    let mut builder = NetworkBuilder::new();
    let input = builder.source("input").unwrap();
    builder.module(relay(&[input]), &["a"]).unwrap();
    let network = builder.build(1000).unwrap();
    let mut machine = Machine::of(&network);
    machine.module_mut(ModuleId::new(A)).delay_to_process = 10;
    let stimulus = [spikes(&[0, 0, 100, 300])];
    let starts = |pace: Pace| {
        let seen = run(&network, machine.clone(), &stimulus, &RunSettings { pace, ..RunSettings::default() });
        (seen.times(A).iter().map(|times| times[3]).collect::<Vec<_>>(), seen.record.unfinished.pending)
    };
    assert_eq!(starts(Pace::Real), (vec![0, 10, 100, 300], 0));
    // At 0, 0, 14 and 42.
    assert_eq!(starts("x7".parse().unwrap()), (vec![0, 10, 20, 42], 0));
    // Each as soon as those of the tick before are acknowledged: at 0, 0, 10, 20.
    assert_eq!(starts(Pace::Fastest), (vec![0, 10, 20, 30], 0));
    // 1000 times as fast the run ends at tick 1: the first is acknowledged at 0, the second requested then and
    // acknowledged at 10. Two events of the input are left, and both outputs.
    assert_eq!(starts("x1000".parse().unwrap()), (vec![0, 10], 4));
}

#[test]
fn neurons_count_network_time_at_any_pace() {
    // Tmin 50 of network time: events at 0, 40, 80 fire at 0 and 80.
    let mut builder = NetworkBuilder::new();
    let input = builder.source("input").unwrap();
    let mut module = relay(&[input]);
    if let ModuleKind::FullyConnected(full) = &mut module.kind {
        full.neurons.t_min = 50;
        full.neurons.reset = Reset::ToRest;
    }
    builder.module(module, &["a"]).unwrap();
    let network = builder.build(1000).unwrap();
    for (pace, times) in [(Pace::Real, [0, 80]), ("x4".parse().unwrap(), [0, 20]), (Pace::Fastest, [0, 0])] {
        let showing = RunSettings { pace, ..RunSettings::default() };
        let seen = run(&network, Machine::of(&network), &[spikes(&[0, 40, 80])], &showing);
        assert_eq!(seen.t_pre(1), times, "{pace}");
    }
}

/// What a run of a network costs on a machine, in picojoules: the input, the layers, static power.
fn bill(network: &Network, machine: &str, stimuli: &[Stimulus]) -> (Account, Vec<Account>, f64) {
    let layers = ModuleLayer::of_network(network);
    let hardware = Hardware::parse("m.toml".as_ref(), machine).unwrap();
    let resolved = hardware.resolve(network, &layers, hardware.tick()).unwrap();
    let seen = run(network, resolved.machine.clone(), stimuli, &RunSettings::default());
    let EnergyBreakdown { input, layers, static_energy } =
        EnergyBreakdown::of(network, &layers, &resolved, &seen.statistics);
    // Whole picojoules, so that sums of binary fractions can be distinguished from hand-made ones.
    let pico = |joules: f64| {
        let pico = joules * 1e12;
        assert!((pico - pico.round()).abs() < 1e-6, "{pico}");
        pico.round()
    };
    let whole = |of: Account| Account {
        events: pico(of.events),
        operations: pico(of.operations),
        neurons: pico(of.neurons),
        updates: pico(of.updates),
        spikes: pico(of.spikes),
        messages: pico(of.messages),
        hops: pico(of.hops),
    };
    (whole(input), layers.into_iter().map(whole).collect(), pico(static_energy))
}

#[test]
fn energy_of_events_spikes_messages_and_hops() {
    // Tiles of 3 x 2: the input at (0, 0), A at (2, 1), B at (0, 1), C at (2, 0). A reads the input, B and C read A;
    // all are relays of 10 ns.
    // Events at 0 and 100. Each costs, in pJ:
    // input  to A: 2 hops east, 1 south                                                  2 * 5 + 9 = 19
    // A      event 7, operation 3, update 2, spike 11, 2 messages of 13;
    //        hops: 2 west to B, 1 north to C                                             2 * 5 + 9 = 19
    // B      event 7, operation 3, update 2, spike 17 (its own), nothing reads it
    // C      event 7, operation 3, update 2, spike 11
    // The second event is at A at 100 + 4 + 4 + 6 = 114, leaves it at 124, is at B at 124 + 4 + 4 = 132 and at C at
    // 130; B is done at 142.
    // 142 ns at 2 mW are 284 pJ.
    let network = fork(1000);
    let machine = r#"
        tick = "1 ns"
        static_power = "2 mW"
        [all]
        delay_to_process = "10 ns"
        energy_per_event = "7 pJ"
        energy_per_operation = "3 pJ"
        energy_per_update = "2 pJ"
        energy_per_spike = "11 pJ"
        energy_per_message = "13 pJ"
        [module.b]
        energy_per_spike = "17 pJ"
        [mesh]
        columns = 3
        rows = 2
        time_east_west = "4 ns"
        energy_east_west = "5 pJ"
        time_north_south = "6 ns"
        energy_north_south = "9 pJ"
        [mesh.place]
        a = [2, 1]
        b = [0, 1]
        c = [2, 0]
    "#;
    let (from_input, layers, idle) = bill(&network, machine, &[spikes(&[0, 100])]);
    // Twice the above.
    let relayed = Account { events: 14.0, operations: 6.0, updates: 4.0, spikes: 22.0, ..Account::default() };
    assert_eq!(from_input, Account { hops: 38.0, ..Account::default() });
    assert_eq!(layers[A], Account { messages: 52.0, hops: 38.0, ..relayed });
    assert_eq!(layers[B], Account { spikes: 34.0, ..relayed });
    assert_eq!((layers[2], idle), (relayed, 284.0));
    assert_eq!(layers.iter().map(Account::total).sum::<f64>() + from_input.total() + idle, 562.0);
}

/// A signed neuron spikes at 0 and takes the spike back at 100: two spikes and two messages, as those of one sign cost,
/// and two events for who reads them.
#[test]
fn spikes_that_are_taken_back_cost_what_others_cost() {
    let mut builder = NetworkBuilder::new();
    let input = builder.source("input").unwrap();
    let mut a = row(1, 2, &[1, -1], &[input]);
    let ModuleKind::FullyConnected(full) = &mut a.kind else { unreachable!() };
    let signed = Signed { hysteresis: 0, min_count: 0, max_count: i32::MAX };
    full.neurons.dynamics = Dynamics::Signed(signed);
    let a = builder.module(a, &["a"]).unwrap();
    builder.module(relay(&a), &["b"]).unwrap();
    let network = builder.build(1000).unwrap();
    let machine = r#"
        tick = "1 ns"
        [all]
        energy_per_event = "7 pJ"
        energy_per_operation = "3 pJ"
        energy_per_update = "2 pJ"
        energy_per_spike = "11 pJ"
        energy_per_message = "13 pJ"
    "#;
    let at = |t_pre, x| StimulusEvent { t_pre, x, y: 0, polarity: Polarity::Positive };
    let (_, layers, _) = bill(&network, machine, &[Stimulus::from_events([at(0, 0), at(100, 1)])]);
    let worked = Account { events: 14.0, operations: 6.0, updates: 4.0, ..Account::default() };
    assert_eq!(layers[A], Account { spikes: 22.0, messages: 26.0, ..worked });
    // The second event takes the potential of the relay below 0.
    assert_eq!(layers[B], Account { spikes: 11.0, ..worked });
}

#[test]
fn energy_behind_a_barrier_is_that_of_neurons_once_a_step() {
    // The network and the three steps of `behind_a_barrier_neurons_work_once_a_step`. A: 3 steps of 2 neurons at 50, 2
    // touched ones at 20, one event at 7 with 2 operations at 3, one spike at 60 and one message at 100. B: 3 steps of
    // one neuron, one touched, one event with one operation, one spike that nothing reads. No static power.
    let mut builder = NetworkBuilder::new();
    let input = builder.source("input").unwrap();
    let a = builder.module(row(2, 1, &[1, 0], &[input]), &["a"]).unwrap();
    builder.module(row(1, 2, &[1, 1], &a), &["b"]).unwrap();
    let network = builder.build(1000).unwrap();
    let machine = r#"
        tick = "1 ns"
        [all]
        energy_per_event = "7 pJ"
        energy_per_operation = "3 pJ"
        energy_per_neuron = "50 pJ"
        energy_per_update = "20 pJ"
        energy_per_spike = "60 pJ"
        energy_per_message = "100 pJ"
        [barrier]
        step = "100 ns"
    "#;
    let (from_input, layers, idle) = bill(&network, machine, &[spikes(&[3])]);
    assert_eq!((from_input, idle), (Account::default(), 0.0));
    let b = Account { events: 7.0, operations: 3.0, neurons: 150.0, updates: 20.0, spikes: 60.0, ..Account::default() };
    assert_eq!(layers[B], b);
    assert_eq!(layers[A], Account { operations: 6.0, neurons: 300.0, updates: 40.0, messages: 100.0, ..b });
}

#[test]
fn queues_over_time_are_those_of_the_stopped_chain() {
    // The chain of `a_full_output_fifo_stops_the_chain`: A's queue holds event 2 from 0 to 1, event 3 from 1 to 11,
    // event 4 from 11 to 21; then nothing until 41. B's holds one from 2 to 11, 12 to 21 and 22 to 31. Points are of
    // one tick, as there are fewer than 128.
    let network = chain();
    let mut machine = Machine::of(&network);
    let a = machine.module_mut(ModuleId::new(A));
    (a.delay_to_process, a.out_fifo_depth) = (1, NonZeroU32::new(1));
    machine.module_mut(ModuleId::new(B)).delay_to_process = 10;
    let seen = run(&network, machine, &[spikes(&[0, 0, 0, 0])], &RunSettings::default());
    let course = |module: usize| {
        let points = seen.statistics.modules[module].queue_course.points();
        points.map(|point| (point.least, point.most, point.mean)).collect::<Vec<_>>()
    };
    let expected = |waits: &dyn Fn(u64) -> bool| {
        (0..41).map(|tick| u64::from(waits(tick))).map(|n| (n, n, n as f64)).collect::<Vec<_>>()
    };
    assert_eq!(course(A), expected(&|tick| tick < 21));
    assert_eq!(course(B), expected(&|tick| [2..11, 12..21, 22..31].iter().any(|span| span.contains(&tick))));
}
