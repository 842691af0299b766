//! Arbiters of modules and of links of the mesh, and handshakes of two and four phases. Each figure is worked out by
//! hand in the comments.

use crate::by_hand::{chain, join, on_mesh, relay, spikes};
use megasim::engine::Probes;
use megasim::engine::machine::{
    Acknowledge, Arbiter, HandshakeTrace, Machine, MachinePlan, MachineSimulation, RunSettings, Statistics,
};
use megasim::hardware::{Hardware, ModuleLayer};
use megasim::network::*;

/// `(port, started)` of the events of the first module, and the figures.
fn run(network: &Network, machine: Machine, stimuli: &[Stimulus]) -> (Vec<(u32, Tick)>, Statistics) {
    let plan = MachinePlan::new(network, machine).unwrap();
    let mut simulation = MachineSimulation::new(&plan, &Probes::none());
    let mut starts = Vec::new();
    let mut watch = |it: &HandshakeTrace| {
        if it.module == ModuleId::new(0) {
            starts.push((it.port, it.started));
        }
    };
    simulation.run(stimuli, &RunSettings::default(), Some(&mut watch)).unwrap();
    (starts, simulation.statistics().clone())
}

fn sources(inputs: [usize; 3]) -> Network {
    let mut builder = NetworkBuilder::new();
    let nodes = ["x", "y", "z"].map(|name| builder.source(name).unwrap());
    builder.module(relay(&inputs.map(|k| nodes[k])), &["a"]).unwrap();
    builder.build(1000).unwrap()
}

#[test]
fn which_port_of_a_module_is_next() {
    // A takes 10. x sends three events at 0, y two at 1, z one at 2; each waits for the acknowledge of the one before,
    // which is its start. x's first starts at 0, so at 10 x's second (there from 0 on), y's first and z's wait.
    //   fair: x (0), then x's third comes at 10, behind y (1) and z (2); y's second comes at 20, behind all.
    //   fixed priority: x while it has any, then y, then z.
    //   round robin: after x comes y, then z, then x again, whose third comes at 30, then y (from 10 on), then x.
    //   tree: of (x, y) and (z, none). The root has granted its first side, so z is next; then only (x, y) ask, in
    //     turn: y, for x was first, x, y, x.
    let network = sources([0, 1, 2]);
    let cases = [
        (Arbiter::Fair, [0, 0, 1, 2, 0, 1]),
        (Arbiter::FixedPriority, [0, 0, 0, 1, 1, 2]),
        (Arbiter::RoundRobin, [0, 1, 2, 0, 1, 0]),
        (Arbiter::Tree, [0, 2, 1, 0, 1, 0]),
    ];
    for (arbiter, ports) in cases {
        let mut machine = Machine::of(&network);
        let station = machine.module_mut(ModuleId::new(0));
        (station.delay_to_process, station.arbiter) = (10, arbiter);
        let (starts, statistics) = run(&network, machine, &[spikes(&[0; 3]), spikes(&[1; 2]), spikes(&[2])]);
        let expected: Vec<(u32, Tick)> = ports.into_iter().zip((0..).map(|k| 10 * k)).collect();
        assert_eq!(starts, expected, "{arbiter:?}");
        // No arbiter takes or leaves out time.
        assert_eq!((statistics.modules[0].busy.total(), statistics.elapsed), (60, 60));
    }
}

#[test]
fn an_arbiter_grants_places_in_the_input_fifo() {
    // Port 0 reads y, port 1 x. x sends three events at 0: the first starts, the second is inside, the third waits
    // before A, and y's, of 1, with it. At 10 the second starts; its place is for y's by priority, for x's third by
    // time.
    let network = sources([1, 0, 2]);
    for (arbiter, ports) in [(Arbiter::Fair, [1, 1, 1, 0]), (Arbiter::FixedPriority, [1, 1, 0, 1])] {
        let mut machine = Machine::of(&network);
        let station = machine.module_mut(ModuleId::new(0));
        (station.delay_to_process, station.arbiter, station.fifo_depth) = (10, arbiter, 1);
        let (starts, _) = run(&network, machine, &[spikes(&[0; 3]), spikes(&[1]), spikes(&[])]);
        let expected: Vec<(u32, Tick)> = ports.into_iter().zip((0..).map(|k| 10 * k)).collect();
        assert_eq!(starts, expected, "{arbiter:?}");
    }
}

#[test]
fn which_message_a_link_carries_next() {
    // x is on tile (0, 0), y on (1, 0), A on (2, 0); a link carries a message for 4, and events are posted. y's three
    // events are of 1, x's two of 0.
    //   Link (0, 0) east: x1 0-4, x2 4-8. Link (1, 0) east: y1 1-5. x1 comes at 4 and waits: 5-9. y1 is acknowledged at
    //   5, and y2 comes; x2 comes at 8. At 9 y2 was first, x2 has the priority, for it comes from the west.
    //   fair: y2 9-13, x2 13-17, y3, which comes at 13, 17-21. Of waits of 4, 1 and 5 ticks the last is y2's or x2's:
    //     y2 from 5 to 9, x2 from 8 to 13, y3 from 13 to 17.
    //   fixed priority: x2 9-13, y2 13-17 (from 5 on: 8), y3 17-21, which comes at 17.
    //   round robin: after x1, from the west, the tile itself is next: as fair.
    let network = join();
    let fair = ([1, 0, 1, 0, 1], 5);
    let cases = [
        (Arbiter::Fair, fair),
        (Arbiter::FixedPriority, ([1, 0, 0, 1, 1], 8)),
        (Arbiter::RoundRobin, fair),
        (Arbiter::Tree, fair),
    ];
    for (arbiter, (ports, longest)) in cases {
        let mut machine = on_mesh(&network, &[(2, 0)], &[(0, 0), (1, 0)], Acknowledge::Network);
        machine.mesh.as_mut().unwrap().arbiter = arbiter;
        let (starts, statistics) = run(&network, machine, &[spikes(&[0; 2]), spikes(&[1; 3])]);
        let expected: Vec<(u32, Tick)> = ports.into_iter().zip([5, 9, 13, 17, 21]).collect();
        assert_eq!(starts, expected, "{arbiter:?}");
        // (1, 0) east is link 4.
        let link = &statistics.links[4];
        assert_eq!((link.wait.max(), link.busy, link.wait.weight()), (Some(longest), 20, 5), "{arbiter:?}");
    }
}

#[test]
fn four_phases_take_the_wire_there_and_back_twice() {
    // The wire takes 4 there and 1 back. Two phases: the request is there at 4, the acknowledge back at 5, when the
    // next event is requested: it starts at 9. Four: the request goes back until 9, the acknowledge until 10: 14.
    let network = chain();
    let modules = vec![ModuleId::new(0), ModuleId::new(1)];
    let layers = [ModuleLayer { name: "all".into(), modules }];
    let cases = [("", [4, 9]), ("handshake = \"2-phase\"\n", [4, 9]), ("handshake = \"4-phase\"\n", [4, 14])];
    for (handshake, starts) in cases {
        let text = format!(
            "tick = \"1 ns\"\n[[links]]\nfrom = \"input\"\ndelay = \"4 ns\"\nacknowledge_delay = \"1 ns\"\n{handshake}"
        );
        let hardware = Hardware::parse("m.toml".as_ref(), &text).unwrap();
        let resolved = hardware.resolve(&network, &layers, hardware.tick()).unwrap();
        let (found, statistics) = run(&network, resolved.machine, &[spikes(&[0, 0])]);
        assert_eq!(found, starts.map(|start| (0, start)), "{handshake}");
        assert_eq!(statistics.nodes[0].handshake.max(), Some(starts[1] as u64 - 4));
    }
}

#[test]
fn names_in_a_hardware_file() {
    let network = sources([0, 1, 2]);
    let layers = [ModuleLayer { name: "a".into(), modules: vec![ModuleId::new(0)] }];
    for arbiter in Arbiter::ALL {
        let name = arbiter.name();
        let text = format!("[module.a]\narbiter = \"{name}\"\n[mesh]\ncolumns = 2\nrows = 1\narbiter = \"{name}\"\n");
        let hardware = Hardware::parse("m.toml".as_ref(), &text).unwrap();
        let machine = hardware.resolve(&network, &layers, hardware.tick()).unwrap().machine;
        assert_eq!((machine.module(ModuleId::new(0)).arbiter, machine.mesh.unwrap().arbiter), (arbiter, arbiter));
    }
    let refused = |text: &str| Hardware::parse("m.toml".as_ref(), text).unwrap_err().to_string();
    let names = "fair or fixed-priority or round-robin or tree";
    let of_module = refused("[all]\narbiter = \"first\"\n");
    assert_eq!(of_module, format!("m.toml:2: arbiter: expected {names}, found \"first\""));
    let of_mesh = refused("[mesh]\ncolumns = 2\nrows = 1\narbiter = \"first\"\n");
    assert_eq!(of_mesh, format!("m.toml:4: arbiter: expected {names}, found \"first\""));
    let of_wires = refused("[link]\nhandshake = \"3-phase\"\n");
    assert_eq!(of_wires, "m.toml:2: handshake: expected 2-phase or 4-phase, found \"3-phase\"");
}
