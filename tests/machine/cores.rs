//! Cores that several modules share: what they hold, messages that go once, work one at a time, places. Each figure is
//! worked out by hand in the comments.

use crate::by_hand::{relay, row, spikes};
use megasim::engine::Probes;
use megasim::engine::machine::{
    Acknowledge, Arbiter, Barrier, HandshakeTrace, Machine, MachinePlan, MachineSimulation, Mesh, Pace, RunSettings,
    Soma, Statistics, Tile, Wait, WorkPart,
};
use megasim::hardware::{Hardware, ModuleLayer, Resolved, TargetNetwork};
use megasim::network::*;

/// The input, read by A, B and C, which are relays.
fn fan_out() -> Network {
    let mut builder = NetworkBuilder::new();
    let source = builder.source("input").unwrap();
    for name in ["a", "b", "c"] {
        builder.module(relay(&[source]), &[name]).unwrap();
    }
    builder.build(1000).unwrap()
}

/// `(started, done)` of events.
pub type Works = Vec<(Tick, Tick)>;
/// `(from, to, what)` of the path to the last work.
pub type Path = Vec<(Tick, Tick, Wait)>;

/// `(started, done)` of each module's events, the figures, and the path.
pub fn run(network: &Network, machine: Machine, stimuli: &[Stimulus], pace: Pace) -> (Vec<Works>, Statistics, Path) {
    let plan = MachinePlan::new(network, machine).unwrap();
    let showing = RunSettings { pace, ..RunSettings::default() };
    let mut simulation = MachineSimulation::new(&plan, &Probes::none());
    let mut works = vec![Vec::new(); network.modules().len()];
    let mut watch = |it: &HandshakeTrace| works[it.module.index()].push((it.started, it.done));
    simulation.run(stimuli, &showing, Some(&mut watch)).unwrap();
    let mut traced = MachineSimulation::new(&plan, &Probes::none());
    let (record, causes) = traced.run_with_causes(stimuli, &showing, None).unwrap();
    let path = causes.last_work().unwrap().segments;
    assert_eq!(path.last().map_or(0, |it| it.to), record.ended);
    (works, simulation.statistics().clone(), path.iter().map(|it| (it.from, it.to, it.wait)).collect())
}

fn on_tiles(machine: &mut Machine, modules: &[(u32, u32)]) {
    let tiles = |places: &[(u32, u32)]| places.iter().map(|&(x, y)| Tile { x, y }).collect();
    machine.mesh = Some(Mesh {
        columns: 4,
        rows: 1,
        time_east_west: 3,
        time_north_south: 3,
        acknowledge: Acknowledge::Receiver,
        arbiter: Arbiter::Fair,
        modules: tiles(modules),
        sources: tiles(&[(0, 0)]),
    });
}

#[test]
fn a_core_is_busy_from_the_start_until_all_its_modules_are_free() {
    // All take 10. A and B share a core; B is busy until 5. Event 1 at 0: C 0-10, A 5-15, B 15-25.
    let network = fan_out();
    let mut machine = Machine::of(&network);
    (0..3).for_each(|k| machine.module_mut(ModuleId::new(k)).delay_to_process = 10);
    machine.module_mut(ModuleId::new(1)).time_busy_initial = 5;
    machine.cores = Some(vec![0, 0, 1]);
    let (works, _, path) = run(&network, machine, &[spikes(&[0])], Pace::Real);
    assert_eq!(works, [[(5, 15)], [(15, 25)], [(0, 10)]]);
    let of = |module: usize| Wait::Work(ModuleId::new(module), WorkPart::Event);
    assert_eq!(path, [(0, 5, Wait::Initial(ModuleId::new(1))), (5, 15, of(0)), (15, 25, of(1))]);
}

#[test]
fn modules_of_a_core_work_one_at_a_time() {
    // All take 10. A and B share a core, C has its own. Events at 0 and 25, which no wire holds up.
    //   Event 1: A 0-10, C 0-10; B is there at 0 and starts when A is done: 10-20. It is accepted then, so the input
    //   hears of it at 10. Event 2 at 25: A 25-35, C 25-35, B 35-45.
    let network = fan_out();
    let mut machine = Machine::of(&network);
    (0..3).for_each(|k| machine.module_mut(ModuleId::new(k)).delay_to_process = 10);
    machine.cores = Some(vec![0, 0, 1]);
    let (works, statistics, path) = run(&network, machine.clone(), &[spikes(&[0, 25])], Pace::Real);
    assert_eq!(works, [[(0, 10), (25, 35)], [(10, 20), (35, 45)], [(0, 10), (25, 35)]]);
    assert_eq!(statistics.nodes[0].handshake.max(), Some(10));
    // The last work is B's second event, which waited for A's, which waited for the input.
    let of = |module: usize| Wait::Work(ModuleId::new(module), WorkPart::Event);
    assert_eq!(path, [(0, 25, Wait::Input), (25, 35, of(0)), (35, 45, of(1))]);
    // On their own cores: as without cores.
    machine.cores = Some(vec![0, 1, 2]);
    let alone = run(&network, machine.clone(), &[spikes(&[0, 25])], Pace::Real);
    machine.cores = None;
    let without = run(&network, machine, &[spikes(&[0, 25])], Pace::Real);
    assert_eq!((&alone.0, &alone.2), (&without.0, &without.2));
    assert_eq!(without.0[1], [(0, 10), (25, 35)]);
}

#[test]
fn of_modules_that_wait_for_a_core_the_event_that_came_first_is_next() {
    // x to A at 0 and 2, y to B at 1. A works 0-10, then B, whose event is there since 1, 10-20, then A's second, there
    // since 2, 20-30.
    let mut builder = NetworkBuilder::new();
    let x = builder.source("x").unwrap();
    let y = builder.source("y").unwrap();
    builder.module(relay(&[x]), &["a"]).unwrap();
    builder.module(relay(&[y]), &["b"]).unwrap();
    let network = builder.build(1000).unwrap();
    let mut machine = Machine::of(&network);
    (0..2).for_each(|k| machine.module_mut(ModuleId::new(k)).delay_to_process = 10);
    machine.cores = Some(vec![0, 0]);
    let (works, ..) = run(&network, machine, &[spikes(&[0, 2]), spikes(&[1])], Pace::Real);
    assert_eq!(works, [vec![(0, 10), (20, 30)], vec![(10, 20)]]);
}

#[test]
fn an_event_goes_to_a_core_in_one_message() {
    // The input is on tile 0; A and B share a core on tile 2, C is on tile 3. Links carry a message for 3.
    //   One message to A and B: links 0-3, 3-6; there at 6. That to C waits for link 0: 3-6, 6-9, 9-12. A works 6-16, B
    //   16-26, C 12-22. Two messages, 2 + 3 hops. Without sharing: three messages, 2 + 2 + 3 hops; B's waits for A's on
    //   the first link, and is there at 9, C's at 15.
    let network = fan_out();
    let mut machine = Machine::of(&network);
    (0..3).for_each(|k| machine.module_mut(ModuleId::new(k)).delay_to_process = 10);
    on_tiles(&mut machine, &[(2, 0), (2, 0), (3, 0)]);
    let (works, statistics, _) = run(&network, machine.clone(), &[spikes(&[0])], Pace::Real);
    assert_eq!(works, [[(6, 16)], [(9, 19)], [(15, 25)]]);
    assert_eq!((statistics.nodes[0].messages, statistics.nodes[0].hops_east_west), (3, 7));
    machine.cores = Some(vec![0, 0, 1]);
    let (works, statistics, _) = run(&network, machine.clone(), &[spikes(&[0])], Pace::Real);
    assert_eq!(works, [[(6, 16)], [(16, 26)], [(12, 22)]]);
    assert_eq!((statistics.nodes[0].messages, statistics.nodes[0].hops_east_west), (2, 5));
    // Posted: both are acknowledged when the message has passed its first link, C's when its own has, at 6.
    if let Some(mesh) = &mut machine.mesh {
        mesh.acknowledge = Acknowledge::Network;
    }
    let (works, statistics, _) = run(&network, machine, &[spikes(&[0])], Pace::Real);
    assert_eq!(works, [[(6, 16)], [(16, 26)], [(12, 22)]]);
    assert_eq!(statistics.nodes[0].handshake.max(), Some(6));
}

#[test]
fn neurons_of_a_core_are_updated_one_module_after_the_other() {
    // A and B have 2 neurons each of 6, on one core; the barrier takes 7. Step 0: A 0-12, B 12-24; the input event to A
    // starts at 24: 16, until 40; B's at 40, until 56. The barrier until 63. Step 1: A's touched neurons 2 * 4 and a
    // spike 30: 63 + 12 + 38 = 113, then B likewise until 163.
    let mut builder = NetworkBuilder::new();
    let source = builder.source("input").unwrap();
    for name in ["a", "b"] {
        builder.module(row(2, 1, &[1, 0], &[source]), &[name]).unwrap();
    }
    let network = builder.build(1000).unwrap();
    let mut machine = Machine::of(&network);
    for k in 0..2 {
        let station = machine.module_mut(ModuleId::new(k));
        station.delay_to_process = 16;
        station.soma = Soma { time_per_neuron: 6, time_per_update: 4, time_per_spike: 30 };
    }
    machine.cores = Some(vec![0, 0]);
    machine.barrier = Some(Barrier { step: 100, time: 7 });
    let (works, _, path) = run(&network, machine.clone(), &[spikes(&[3])], Pace::Fastest);
    assert_eq!(works, [[(24, 40)], [(40, 56)]]);
    assert_eq!(path.last().unwrap().1, 163);
    // Steps without input go by at once, and take the work of the core's modules: step 2 begins at 163 + 7 = 170, and
    // nothing is left but the neurons; the event of step 9 is offered 7 periods of 24 + 7 later, at 387: A and B look
    // at their neurons until 411, and take it until 427 and 443.
    let (works, ..) = run(&network, machine.clone(), &[spikes(&[3, 950])], Pace::Fastest);
    assert_eq!(works, [[(24, 40), (411, 427)], [(40, 56), (427, 443)]]);
    // With B busy from the start until 50, all of step 0 is 50 ticks later.
    machine.module_mut(ModuleId::new(1)).time_busy_initial = 50;
    let (works, _, path) = run(&network, machine, &[spikes(&[3])], Pace::Fastest);
    assert_eq!(works, [[(74, 90)], [(90, 106)]]);
    assert_eq!(path[0], (0, 50, Wait::Initial(ModuleId::new(1))));
    assert_eq!(path.last().unwrap().1, 213);
}

/// `n` maps of `side` x `side` neurons that read the input through one weight, then a row of two neurons that reads
/// all.
pub fn maps(n: usize, side: u32) -> (Network, Vec<ModuleLayer>) {
    let array = Array { nx: side, ny: side, x_min: 0, y_min: 0 };
    let mut builder = NetworkBuilder::new();
    let source = builder.source("input").unwrap();
    let mut outputs = Vec::new();
    for k in 0..n {
        let port = ConvPort {
            nx: 1,
            ny: 1,
            dx: 0,
            dy: 0,
            x_stride: 1,
            y_stride: 1,
            x_expand: 1,
            y_expand: 1,
            weights: [1].into(),
        };
        let neurons = NeuronParameters::default();
        let kind = ModuleKind::Conv(Conv { array, neurons, ports: vec![port], output: Output::whole(array) });
        let inputs = vec![Input::Node(source)];
        let module = Module { kind, inputs, timing: Timing::default(), not_programmable: false };
        outputs.extend(builder.module(module, &[format!("0Conv_{k}").as_str()]).unwrap());
    }
    builder.module(row(2, 1, &[1, 1], &outputs), &["1Dense_2"]).unwrap();
    let network = builder.build(100).unwrap();
    let conv = ModuleLayer { name: "0Conv".into(), modules: (0..n).map(ModuleId::new).collect() };
    let dense = ModuleLayer { name: "1Dense_2".into(), modules: vec![ModuleId::new(n)] };
    (network, vec![conv, dense])
}

pub fn place(
    (network, layers): &(Network, Vec<ModuleLayer>),
    text: &str,
    spikes: Option<&[u64]>,
) -> Result<Resolved, String> {
    let hardware = Hardware::parse("m.toml".as_ref(), text).map_err(|error| error.to_string())?;
    let subject = TargetNetwork { network, layers, input: &[], spikes };
    hardware.resolve_with(&subject, hardware.tick()).map_err(|error| error.to_string())
}

pub const MESH: &str = "[mesh]\ncolumns = 2\nrows = 2\n[cores]\nneurons_per_core = 10\n";

#[test]
fn small_maps_share_a_core_until_it_is_full() {
    // Maps of 4 neurons, two to a core of 10 neurons; the row has its own core.
    let of = maps(5, 2);
    let packed = place(&of, MESH, None).unwrap();
    // 6 modules and 4 cores a chip: they share, as there is no core for each.
    assert_eq!(packed.machine.cores, Some(vec![0, 0, 1, 1, 2, 3]));
    let cores = packed.cores.unwrap();
    assert_eq!((cores.chips, cores.per_chip, cores.used.len()), (1, 4, 4));
    // 8, 8, 4 and 2 of 10 neurons.
    assert_eq!(cores.capacities(), [("neurons_per_core", 10, 5.5, 8)]);
    // The row and back: (0, 0), (1, 0), (1, 1), (0, 1).
    let tiles: Vec<(u32, u32)> = packed.machine.mesh.unwrap().modules.iter().map(|tile| (tile.x, tile.y)).collect();
    assert_eq!(tiles, [(0, 0), (0, 0), (1, 0), (1, 0), (1, 1), (0, 1)]);

    // A core each, on as many chips as it takes: the second one is to the east.
    let spread = place(&of, &format!("{MESH}pack = \"never\"\n"), None).unwrap();
    assert_eq!(spread.machine.cores, Some((0..6).collect()));
    let mesh = spread.machine.mesh.unwrap();
    assert_eq!((spread.cores.unwrap().chips, mesh.columns), (2, 4));
    assert_eq!((mesh.modules[3], mesh.modules[4]), (Tile { x: 0, y: 1 }, Tile { x: 2, y: 0 }));
    // With room for all on one chip none share.
    let few = place(&maps(3, 2), MESH, None).unwrap();
    assert_eq!(few.machine.cores, Some(vec![0, 1, 2, 3]));
    let always = place(&maps(3, 2), &format!("{MESH}pack = \"always\"\n"), None).unwrap();
    assert_eq!(always.machine.cores, Some(vec![0, 0, 1, 2]));
}

#[test]
fn weights_and_axons_fill_cores_too() {
    // A map has one weight, of 8 bits: ten to a core of 80 bits. The row has a port of 2 weights for each map: of 12
    // maps 96 bits for each neuron, of 5 maps 80 for both, next to 40 of the maps.
    let text = "[mesh]\ncolumns = 2\nrows = 2\n[cores]\nsynapse_bits_per_core = 80\npack = \"always\"\n";
    assert_eq!(place(&maps(12, 1), text, None).unwrap_err(), too_large("1Dense_2", 96, "synapse bits", 80));
    let cores = place(&maps(5, 1), text, None).unwrap().cores.unwrap();
    assert_eq!(cores.capacities(), [("synapse_bits_per_core", 80, 60.0, 80)]);
    // Maps of one neuron read the same address of the input: one axon, however many there are. The row reads 5.
    let text = "[mesh]\ncolumns = 2\nrows = 2\n[cores]\naxons_per_core = 5\npack = \"always\"\n";
    let cores = place(&maps(5, 1), text, None).unwrap().cores.unwrap();
    assert_eq!(cores.capacities(), [("axons_per_core", 5, 3.0, 5)]);
}

fn too_large(name: &str, amount: u64, what: &str, holds: u64) -> String {
    let key = format!("{}_per_core", what.replace(' ', "_"));
    format!(
        "m.toml:4: {{{name}}} has {amount} {what}, but a core holds {holds}; that is of one neuron, so splitting the \
            module over cores does not help; {key} = {amount} would do"
    )
}

#[test]
fn what_does_not_fit_is_refused_with_what_would() {
    // A kernel is on each core of its map.
    let kernel = "[mesh]\ncolumns = 2\nrows = 2\n[cores]\nsynapse_bits_per_core = 4\n";
    let large = place(&maps(1, 4), kernel, None).unwrap_err();
    assert_eq!(large, too_large("0Conv_0", 8, "synapse bits", 4));
    let given = format!("{MESH}[mesh.place]\n\"0Conv_0\" = [0, 0]\n");
    let given = place(&maps(1, 4), &given, None).unwrap_err();
    assert!(given.contains("has 16 neurons, but a core holds 10; a module with a place in [mesh.place]"), "{given}");
    let chips = place(&maps(9, 3), &format!("{MESH}chips = 2\n"), None).unwrap_err();
    assert_eq!(chips, "m.toml:6: 10 cores do not fit on 2 chips of 4; chips = 3 would do");
    let alone = place(&maps(1, 1), "[cores]\nneurons_per_core = 4\n", None).unwrap_err();
    assert!(alone.starts_with("m.toml:1: cores are on the tiles of a mesh, but there is none"), "{alone}");
    let word = place(&maps(1, 1), &format!("{MESH}pack = \"some\"\n"), None).unwrap_err();
    assert_eq!(word, "m.toml:6: pack: expected auto or always or never, found \"some\"");
}

#[test]
fn cores_are_placed_by_the_spikes_that_were_measured() {
    // Four cores in a row; three maps, then the row of neurons. The input is at the left end and sends 10 spikes; map 0
    // sends a hundred, map 1 one, map 2 none. In order: the input to the maps 0 + 10 + 20, map 0 to the row 3 * 100,
    // map 1 to the row 2 * 1: 332.
    let of = maps(3, 1);
    let text = "[mesh]\ncolumns = 4\nrows = 1\n[cores]\nplacement = \"traffic\"\n";
    let measured = [10, 100, 1, 0, 0];
    let resolved = place(&of, text, Some(&measured)).unwrap();
    // The least: maps 2, 1, 0, then the row. 30 + 1 * 100 + 2 * 1 = 132.
    assert_eq!(resolved.cores.unwrap().hops, Some((332, 132)));
    let x = |mesh: &Mesh| mesh.modules.iter().map(|tile| tile.x).collect::<Vec<_>>();
    assert_eq!(x(&resolved.machine.mesh.unwrap()), [2, 1, 0, 3]);
    // What is given stays: map 0 at the left end, so the row comes next to it, then map 1.
    let given = format!("{text}[mesh.place]\n\"0Conv_0\" = [0, 0]\n");
    let mesh = place(&of, &given, Some(&measured)).unwrap().machine.mesh.unwrap();
    assert_eq!(x(&mesh), [0, 2, 3, 1]);
}
