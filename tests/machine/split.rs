//! Modules whose neurons are on several cores. Each figure is worked out by hand in the comments.

use crate::by_hand::{relay, row, spikes};
use crate::cores::{MESH, maps, place, run};
use megasim::engine::Probes;
use megasim::engine::machine::{
    Acknowledge, Arbiter, Barrier, HandshakeTrace, Machine, MachineError, MachinePlan, MachineSimulation, Mesh, Pace,
    PlanError, RunSettings, Soma, Split, Tile, Wait, WorkPart,
};
use megasim::network::*;

fn a() -> ModuleId {
    ModuleId::new(0)
}

/// A row of four neurons that spike with these weights, and B, which relays the event of the first or last one.
fn rows(weights: &[i32]) -> Network {
    let mut builder = NetworkBuilder::new();
    let source = builder.source("input").unwrap();
    let outputs = builder.module(row(4, 1, weights, &[source]), &["a"]).unwrap();
    builder.module(row(1, 4, &[1; 4], &outputs), &["b"]).unwrap();
    builder.build(1000).unwrap()
}

/// A takes 10 for an event, 3 for an operation, 2 for an output and 1 for a message.
fn timed(network: &Network) -> Machine {
    let mut machine = Machine::of(network);
    let station = machine.module_mut(a());
    (station.delay_to_process, station.time_per_operation) = (10, 3);
    (station.time_per_output, station.time_per_message) = (2, 1);
    machine
}

/// Two neurons of A on tile 1, two on tile 3; B and the input on tile 0. Links carry a message for 3.
fn on_cores(network: &Network, acknowledge: Acknowledge) -> Machine {
    let mut machine = timed(network);
    let tile = |x: u32| Tile { x, y: 0 };
    machine.mesh = Some(Mesh {
        columns: 4,
        rows: 1,
        time_east_west: 3,
        time_north_south: 3,
        acknowledge,
        arbiter: Arbiter::Fair,
        modules: vec![tile(1), tile(0)],
        sources: vec![tile(0)],
    });
    machine.cores = Some(vec![0, 2]);
    machine.splits.insert(a(), Split { begins: vec![0, 2], tiles: vec![tile(1), tile(3)] });
    machine
}

#[test]
fn an_event_goes_to_each_core_and_the_slowest_decides() {
    // One message to each core of A: to tile 1 over link (0, 0) 0-3; to tile 3 it waits for that link: 3-6, 6-9, 9-12.
    // A takes the event when it is at both, at 12: 10, two neurons on each core 6, and on the first, whose neuron 0
    // spikes, 2 for the output and 1 for its message: 12 + 19 = 31. Without cores four operations: 10 + 12 + 3 = 25.
    // The output leaves from tile 1: one hop west, 31-34. Messages: 2 of the input, 1 of A; hops 1 + 3, and 1.
    let network = rows(&[1, 0, 0, 0]);
    let (works, statistics, path) =
        run(&network, on_cores(&network, Acknowledge::Receiver), &[spikes(&[0])], Pace::Real);
    assert_eq!(works, [[(12, 31)], [(34, 34)]]);
    assert_eq!((statistics.nodes[0].messages, statistics.nodes[0].hops_east_west), (2, 4));
    assert_eq!((statistics.nodes[1].messages, statistics.nodes[1].hops_east_west), (1, 1));
    assert_eq!(statistics.nodes[0].handshake.max(), Some(12));
    assert_eq!((statistics.modules[0].operations, statistics.modules[0].busy.operations), (4, 6));
    // (0, 0) east is link 0, (1, 0) east link 4, (2, 0) east link 8, (1, 0) west link 5.
    let expected = [
        (0, 3, Wait::EastWest(0)),
        (3, 6, Wait::EastWest(0)),
        (6, 9, Wait::EastWest(4)),
        (9, 12, Wait::EastWest(8)),
        (12, 22, Wait::Work(a(), WorkPart::Event)),
        (22, 28, Wait::Work(a(), WorkPart::Operation)),
        (28, 30, Wait::Work(a(), WorkPart::Output)),
        (30, 31, Wait::Work(a(), WorkPart::Message)),
        (31, 34, Wait::EastWest(5)),
    ];
    assert_eq!(path, expected);
    let (works, ..) = run(&network, timed(&network), &[spikes(&[0])], Pace::Real);
    assert_eq!(works, [[(0, 25)], [(25, 25)]]);

    // Where the last neuron spikes, its event comes from tile 3: three hops, 31-40.
    let network = rows(&[0, 0, 0, 1]);
    let (works, ..) = run(&network, on_cores(&network, Acknowledge::Receiver), &[spikes(&[0])], Pace::Real);
    assert_eq!(works, [[(12, 31)], [(40, 40)]]);
}

#[test]
fn an_event_is_posted_when_its_last_message_has_passed_its_first_link() {
    // Both go over link (0, 0), at 3 and 6: acknowledged at 6. The next event is requested then: its messages pass the
    // first link at 9 and 12; that to tile 3 is there at 18, before A is done at 31: A starts it at 31.
    let network = rows(&[1, 0, 0, 0]);
    let (works, statistics, _) =
        run(&network, on_cores(&network, Acknowledge::Network), &[spikes(&[0, 0])], Pace::Real);
    assert_eq!(works[0], [(12, 31), (31, 50)]);
    assert_eq!(statistics.nodes[0].handshake.max(), Some(6));
    assert_eq!(statistics.nodes[0].waiting.max(), Some(6));
}

#[test]
fn a_kernel_touches_the_neurons_of_each_core_that_it_covers() {
    // A map of 2 x 2 and a kernel of one column and two rows: an event at (0, 0) touches (0, 0) and (0, 1), which are
    // on two cores: 10 + 3. One at (0, 1) touches (0, 1) alone: 10 + 3. On one core the first has 10 + 6.
    let (mut network, _) = maps(1, 2);
    let module = network.modules()[0].clone();
    let ModuleKind::Conv(mut conv) = module.kind else { unreachable!() };
    (conv.ports[0].ny, conv.ports[0].weights) = (2, [0, 0].into());
    let mut builder = NetworkBuilder::new();
    builder.source("input").unwrap();
    builder.module(Module { kind: ModuleKind::Conv(conv), ..module }, &["a"]).unwrap();
    network = builder.build(100).unwrap();
    let event = |y: i32, t_pre: Tick| StimulusEvent { t_pre, x: 0, y, polarity: Polarity::Positive };
    let stimulus = Stimulus::from_events([event(0, 0), event(1, 50)]);
    for (begins, expected) in [(vec![0, 2], [(0, 13), (50, 63)]), (vec![0], [(0, 16), (50, 63)])] {
        let mut machine = timed(&network);
        machine.splits.insert(a(), Split { begins, tiles: Vec::new() });
        let plan = MachinePlan::new(&network, machine).unwrap();
        let mut works = Vec::new();
        let mut watch = |it: &HandshakeTrace| works.push((it.started, it.done));
        let mut simulation = MachineSimulation::new(&plan, &Probes::none());
        simulation.run(std::slice::from_ref(&stimulus), &RunSettings::default(), Some(&mut watch)).unwrap();
        assert_eq!(works, expected);
    }
}

#[test]
fn cores_update_their_neurons_at_the_same_time() {
    // Two neurons of A on each core, 6 each; the barrier takes 7. Step 0: 0-12; the event 12-34 (16 and two operations
    // of 3). The barrier until 41. Step 1: on each core 12, two touched neurons 8, one spike 30: until 91. On one core
    // 24 + 16 + 60.
    let mut builder = NetworkBuilder::new();
    let source = builder.source("input").unwrap();
    builder.module(row(4, 1, &[1, 0, 0, 1], &[source]), &["a"]).unwrap();
    let network = builder.build(1000).unwrap();
    let mut machine = Machine::of(&network);
    let station = machine.module_mut(a());
    (station.delay_to_process, station.time_per_operation) = (16, 3);
    station.soma = Soma { time_per_neuron: 6, time_per_update: 4, time_per_spike: 30 };
    machine.barrier = Some(Barrier { step: 100, time: 7 });
    machine.splits.insert(a(), Split { begins: vec![0, 2], tiles: Vec::new() });
    let (works, _, path) = run(&network, machine.clone(), &[spikes(&[3])], Pace::Fastest);
    assert_eq!(works, [[(12, 34)]]);
    assert_eq!(path.last().unwrap().1, 91);
    // Step 2 begins at 98; steps without input take 12 + 7, so step 9 begins at 98 + 7 * 19 = 231.
    let (works, statistics, _) = run(&network, machine, &[spikes(&[3, 950])], Pace::Fastest);
    assert_eq!(works, [[(12, 34), (243, 265)]]);
    // Neurons are counted all, their time as on one core.
    let steps = statistics.steps;
    assert_eq!((statistics.modules[0].neurons, statistics.modules[0].busy.neurons), (4 * steps, 12 * steps));
}

#[test]
fn a_split_that_does_not_hold_the_neurons_is_refused() {
    let network = rows(&[1, 0, 0, 0]);
    for begins in [vec![], vec![1, 2], vec![0, 2, 2], vec![0, 4]] {
        let mut machine = Machine::of(&network);
        machine.splits.insert(a(), Split { begins, tiles: Vec::new() });
        let refused = MachinePlan::new(&network, machine).unwrap_err();
        assert_eq!(refused, PlanError::Machine(MachineError::Split { module: 0, neurons: 4 }));
    }
    // A flatten has none.
    let mut builder = NetworkBuilder::new();
    let source = builder.source("input").unwrap();
    builder.module(relay(&[source]), &["a"]).unwrap();
    let kind = ModuleKind::Flatten(vec![FlattenPort { nx: 1, ny: 1 }]);
    let inputs = vec![Input::Node(source)];
    builder.module(Module { kind, inputs, timing: Timing::default(), not_programmable: false }, &["b"]).unwrap();
    let network = builder.build(100).unwrap();
    let mut machine = Machine::of(&network);
    machine.splits.insert(ModuleId::new(1), Split { begins: vec![0], tiles: Vec::new() });
    let refused = MachinePlan::new(&network, machine).unwrap_err();
    assert_eq!(refused, PlanError::Machine(MachineError::Split { module: 1, neurons: 0 }));
}

#[test]
fn a_map_that_is_too_large_for_a_core_is_on_several() {
    // A map of 4 x 4 neurons and cores of 10: two cores of two rows. The row after it has the third core.
    let of = maps(1, 4);
    let resolved = place(&of, MESH, None).unwrap();
    assert_eq!(resolved.machine.cores, Some(vec![0, 2]));
    let tile = |x: u32, y: u32| Tile { x, y };
    assert_eq!(resolved.machine.splits[&a()], Split { begins: vec![0, 8], tiles: vec![tile(0, 0), tile(1, 0)] });
    assert_eq!(resolved.machine.used_tiles(), 3);
    let cores = resolved.cores.unwrap();
    // 8, 8 and 2 neurons.
    assert_eq!((cores.used.len(), cores.split(), cores.capacities()), (3, 1, vec![("neurons_per_core", 10, 6.0, 8)]));
    // Cores of 3 neurons hold no whole row: 16 / 3 is 6 cores, of 3 neurons and the last of 1.
    let small = MESH.replace("10", "3");
    let resolved = place(&of, &format!("{small}chips = 2\n"), None).unwrap();
    assert_eq!(resolved.machine.splits[&a()].begins, [0, 3, 6, 9, 12, 15]);

    // By bits: the row has 5 weights of 8 bits for each neuron, so cores of 40 bits have one each.
    let text = "[mesh]\ncolumns = 2\nrows = 4\n[cores]\nsynapse_bits_per_core = 40\n";
    let resolved = place(&maps(5, 1), text, None).unwrap();
    assert_eq!(resolved.machine.splits[&ModuleId::new(5)].begins, [0, 1]);

    // Placed by spikes, those of a module on two cores leave from each alike: the map sends 10 from each of its cores,
    // on tiles 0 and 1 of a row, to tile 2: 20 + 10; the input on tile 0 sends 7 to both: 0 + 7. Exchanged with the
    // map around its reader: tiles 0, 2 and 1: 10 + 10, and 0 + 14.
    let text = "[mesh]\ncolumns = 3\nrows = 1\n[cores]\nneurons_per_core = 8\nplacement = \"traffic\"\n";
    let resolved = place(&of, text, Some(&[7, 20, 0])).unwrap();
    assert_eq!(resolved.cores.unwrap().hops, Some((37, 34)));
    let tiles: Vec<u32> = resolved.machine.splits[&a()].tiles.iter().map(|tile| tile.x).collect();
    assert_eq!((tiles, resolved.machine.mesh.unwrap().modules[1].x), (vec![0, 2], 1));
}
