//! Hardware files: what is wrong is refused with line and hint; what is right takes effect where it should.

use megasim::engine::machine::Tile;
use megasim::hardware::{Change, Duration, Error, Hardware, ModuleLayer, Origin, SHIPPED, Value};
use megasim::network::*;

fn parse(text: &str) -> Result<Hardware, Error> {
    Hardware::parse("m.toml".as_ref(), text)
}

fn row(n: u32, inputs: &[NodeId]) -> Module {
    let array = Array { nx: n, ny: 1, x_min: 0, y_min: 0 };
    Module {
        kind: ModuleKind::FullyConnected(FullyConnected {
            array,
            neurons: NeuronParameters::default(),
            ports: vec![FullyConnectedPort { nx_pre: 4, ny_pre: 1, weights: vec![0; 4 * n as usize].into() }],
            output: Output::whole(array),
        }),
        inputs: inputs.iter().map(|&node| Input::Node(node)).collect(),
        timing: Timing { delay_to_process: 2, ..Timing::default() },
        not_programmable: false,
    }
}

/// A flatten module between two dense ones.
fn network() -> Network {
    let mut builder = NetworkBuilder::new();
    let input = builder.source("input").unwrap();
    let first = builder.module(row(4, &[input]), &["00Dense_4"]).unwrap();
    let flatten = Module {
        kind: ModuleKind::Flatten(vec![FlattenPort { nx: 4, ny: 1 }]),
        inputs: vec![Input::Node(first[0])],
        timing: Timing::default(),
        not_programmable: false,
    };
    let flat = builder.module(flatten, &["01Flatten_4"]).unwrap();
    builder.module(row(2, &flat), &["02Dense_2"]).unwrap();
    builder.build(100).unwrap()
}

fn resolve(text: &str) -> Result<megasim::hardware::Resolved, Error> {
    let network = network();
    let hardware = parse(text)?;
    let tick = hardware.tick();
    hardware.strict(true).resolve(&network, &ModuleLayer::of_network(&network), tick)
}

#[test]
fn a_changed_file_is_read_as_one_that_has_the_value() {
    let text = "tick = \"1 ns\"\n[all]\ndelay_to_process = \"16 ns\" # slow\n[[links]]\nto = \"02*\"\ndelay = \"2 \
        ns\"\n[layer.\"02*\"]\nfifo_depth = 3\n";
    let network = network();
    let layers = ModuleLayer::of_network(&network);
    let resolve = |hardware: &Hardware| hardware.resolve(&network, &layers, hardware.tick()).unwrap();
    let changed = |changes: &[(&str, &str)]| {
        let change = |(path, value): &(&str, &str)| Change::new(path, value).unwrap();
        changes.iter().map(change).try_fold(parse(text).unwrap(), |hardware, change| hardware.changed(change))
    };
    let (first, last) = (ModuleId::new(0), ModuleId::new(2));
    let of = resolve(&changed(&[("all.delay_to_process", "5 ns"), ("layer.\"02*\".fifo_depth", "9")]).unwrap());
    assert_eq!(of.machine.module(first).delay_to_process, 5);
    assert_eq!((of.machine.module(last).fifo_depth, of.machine.module(first).fifo_depth), (9, 0));
    // The last change of a key counts, a table that was not there is made, and one of several links is given by its
    // number.
    let changes = [("link.delay", "4 ns"), ("link.delay", "6 ns"), ("links.0.delay", "7 ns"), ("static_power", "1 mW")];
    let of = resolve(&changed(&changes).unwrap());
    let wires = [(0, first), (2, last)].map(|(node, module)| of.machine.link(NodeId::new(node), module).delay);
    assert_eq!((wires, of.static_power), ([6, 7], 1e-3));
    // A finer tick: everything in the file is more of them.
    let of = changed(&[("tick", "0.5 ns")]).unwrap();
    assert_eq!(resolve(&of).machine.module(first).delay_to_process, 32);
    // A fault is shown with the line of the change, behind those of the file.
    for (path, value, expected) in [
        ("all.delay_to_process", "1 pJ", "m.toml:9: delay_to_process: expected a time with its unit"),
        ("kind.dense.fifo_depth", "1", "m.toml:9: unknown key `dense`"),
        ("links.4.delay", "1 ns", "m.toml:9: links: expected a number below 1 and a key of it, found 4"),
        ("all.time_per_neuron", "1 ns", "m.toml:9: time_per_neuron is charged once per neuron and step"),
    ] {
        let error = changed(&[(path, value)]).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    }
    for path in ["", "all", "al.delay", "all.x = 1\n[kind]", "all.[x]"] {
        assert!(Change::new(path, "1").is_err(), "{path}");
    }
}

#[test]
fn what_is_wrong_is_refused_with_line_and_hint() {
    let tick = "tick = \"1 ns\"\n";
    let cases: &[(&str, &str)] = &[
        (
            "[all]\ndelay_to_process = \"16 mm\"\n",
            "m.toml:2: delay_to_process: expected a time with its unit (s, ms, us, ns, ps, fs), as \"4.1 ns\", found \
                \"16 mm\"",
        ),
        (
            "[all]\ndelay_to_process = 16\n",
            "m.toml:2: delay_to_process: expected a string, found a whole number without a unit; write it with its \
                unit in quotes, as \"4.1 ns\"",
        ),
        ("[all]\nenergy_per_event = \"2 ns\"\n", "m.toml:2: energy_per_event: expected an energy with its unit"),
        (
            "[all]\ndelay_to_proces = \"16 ns\"\n",
            "m.toml:2: unknown key `delay_to_proces`; did you mean `delay_to_process`?",
        ),
        ("[al]\n", "m.toml:1: unknown key `al`; did you mean `all`?"),
        (
            "[kind.dense]\n",
            "m.toml:1: unknown key `dense`; there are conv, fully_connected, softmax, flatten, max_pool",
        ),
        (
            "[all]\ndelay_to_process = \"16 ns\"\n",
            "m.toml:2: delay_to_process is a time, but the file says nowhere how long a tick is; put a line such as \
                tick = \"16 ns\" at the top",
        ),
        (
            "[all]\ndelay_to_ack = \"1.5 ns\"\n",
            "m.toml:3: delay_to_ack: expected a whole number of ticks of 1 ns, found 1.5 ns; tick = \"500 ps\" would \
                do",
        ),
        ("[all]\nout_fifo_depth = 0\n", "m.toml:2: out_fifo_depth: expected a whole number from 1 on, found 0"),
        ("[all]\nfifo_depth = \"4\"\n", "m.toml:2: fifo_depth: expected a whole number from 0 on, found \"4\""),
        (
            "[all]\ntime_per_neuron = \"6 ns\"\n",
            "m.toml:2: time_per_neuron is charged once per neuron and step, so it needs a barrier; add [barrier]",
        ),
        ("[layer.\"00Dens\"]\n", "m.toml:1: no layer matches `00Dens`; did you mean `00Dense_4`?"),
        (
            "[module.\"nothing*\"]\n",
            "m.toml:1: no module matches `nothing*`; there are 00Dense_4, 01Flatten_4, 02Dense_2",
        ),
        ("[[links]]\nfrom = \"inptu\"\n", "m.toml:2: no node matches `inptu`; did you mean `input`?"),
        ("[mesh]\nrows = 2\n", "m.toml:1: expected a key `columns` here, found none"),
        (
            "[mesh]\ncolumns = 2\nrows = 2\n[mesh.place]\n\"00Dense_4\" = [2, 0]\n",
            "m.toml:5: tile [2, 0] is outside the mesh of 2 x 2; columns run from 0 to 1, rows from 0 to 1",
        ),
        (
            "[mesh]\ncolumns = 2\nrows = 2\n[mesh.place]\n\"0*\" = [1, 0]\n",
            "m.toml:5: tile [1, 0] has places for 1 modules, and {01Flatten_4} is one more; spread them",
        ),
        (
            "[mesh]\ncolumns = 2\nrows = 1\n",
            "m.toml:1: 3 modules do not fit on 2 x 1 tiles of 1; modules_per_tile = 2 would do",
        ),
        (
            "[mesh]\ncolumns = 2\nrows = 2\nacknowledge = \"nobody\"\n",
            "m.toml:4: acknowledge: expected \"receiver\" or \"network\", found \"nobody\"",
        ),
        ("[barrier]\nstep = \"0 ns\"\n", "m.toml:2: step: expected a time above 0"),
        ("[all\n", "m.toml:1: "),
        ("static_power = \"3 pJ\"\n", "m.toml:1: static_power: expected a power with its unit"),
    ];
    for (text, expected) in cases {
        // The line of a case counts with the tick where it is about one.
        let text =
            if expected.starts_with("m.toml:3: delay_to_ack") { format!("{tick}{text}") } else { (*text).to_string() };
        let error = resolve(&text).expect_err(&text).to_string();
        assert!(error.starts_with(expected), "{text}\n  {error}\n  {expected}");
    }
}

#[test]
fn the_most_particular_setting_counts() {
    let resolved = resolve(
        r#"
        tick = "1 ns"
        [all]
        delay_to_ack = "1 ns"
        time_per_operation = "1 ns"
        energy_per_operation = "2 pJ"
        [kind.fully_connected]
        time_per_operation = "2 ns"
        [layer."02*"]
        time_per_operation = "3 ns"
        fifo_depth = 5
        [module."02Dense_2"]
        fifo_depth = 6
        [link]
        delay = "7 ns"
        [[links]]
        to = "02*"
        delay = "8 ns"
        "#,
    )
    .unwrap();
    let at = |module: usize| *resolved.machine.module(ModuleId::new(module));
    assert_eq!([0, 1, 2].map(|k| at(k).time_per_operation), [2, 1, 3]);
    // What the file does not say is the network's.
    assert_eq!([0, 1, 2].map(|k| at(k).delay_to_process), [2, 0, 2]);
    assert_eq!([0, 1, 2].map(|k| at(k).fifo_depth), [0, 0, 6]);
    let from =
        |key: &str| resolved.rows[2].values.iter().find(|(name, ..)| *name == key).map(|it| (it.1, it.2)).unwrap();
    assert_eq!(from("time_per_operation"), (Value::Time(3), Origin::Layer));
    assert_eq!(from("fifo_depth"), (Value::Depth(Some(6)), Origin::Module));
    assert_eq!(from("delay_to_ack"), (Value::Time(1), Origin::All));
    assert_eq!(from("delay_to_process"), (Value::Time(2), Origin::Prm));
    assert_eq!(from("time_per_output"), (Value::Time(0), Origin::Absent));
    assert_eq!(from("energy_per_operation"), (Value::Energy(2e-12), Origin::All));
    let link = |node: usize, module: usize| resolved.machine.link(NodeId::new(node), ModuleId::new(module)).delay;
    assert_eq!([link(0, 0), link(1, 1), link(2, 2)], [7, 7, 8]);
}

#[test]
fn places_are_given_or_found() {
    let resolved = resolve(
        r#"
        [mesh]
        columns = 2
        rows = 2
        input = [1, 1]
        [mesh.place]
        "01Flatten_4" = [0, 0]
        "#,
    )
    .unwrap();
    let mesh = resolved.machine.mesh.unwrap();
    // The others in order, on what is left: (1, 0), then back along the second row.
    assert_eq!(mesh.modules, [Tile { x: 1, y: 0 }, Tile { x: 0, y: 0 }, Tile { x: 1, y: 1 }]);
    assert_eq!(mesh.sources, [Tile { x: 1, y: 1 }]);
}

#[test]
fn ticks_have_to_agree() {
    let hardware = parse("tick = \"0.1 ns\"\n").unwrap();
    let agree = |tick: &str| hardware.agree(Some(tick.parse::<Duration>().unwrap()));
    assert_eq!(agree("0.1 ms").unwrap(), ("0.1 ns".parse().ok(), 1_000_000));
    let error = agree("0.25 ns").unwrap_err().to_string();
    assert_eq!(error, "m: expected a tick that divides the network's, 250 ps, found 100 ps; tick = \"50 ps\" would do");
    assert_eq!(parse("").unwrap().agree(None).unwrap(), (None, 1));
}

#[test]
fn shipped_machines_are_right_and_named_as_they_are_called() {
    for (name, text) in SHIPPED {
        let hardware = Hardware::open(name.as_ref()).unwrap();
        assert_eq!(hardware.name(), name);
        let network = network();
        let resolved = hardware.resolve(&network, &ModuleLayer::of_network(&network), hardware.tick());
        resolved.unwrap_or_else(|error| panic!("{error}\n{text}"));
    }
    // Three modules on one tile of 32: the shortest barrier, 0.6 us. The costs published for Loihi, in ticks of 0.1 ns.
    let network = network();
    let loihi = Hardware::open("loihi".as_ref()).unwrap();
    let resolved = loihi.resolve(&network, &ModuleLayer::of_network(&network), loihi.tick()).unwrap();
    let barrier = resolved.machine.barrier.unwrap();
    assert_eq!((barrier.step, barrier.time), (10_000_000, 6_000));
    let station = resolved.machine.module(ModuleId::new(0));
    assert_eq!((station.delay_to_process, station.time_per_operation, station.time_per_message), (160, 38, 51));
    assert_eq!(
        (station.soma.time_per_neuron, station.soma.time_per_update, station.soma.time_per_spike),
        (60, 37, 300)
    );
    let missing = Hardware::open("nothing".as_ref()).unwrap_err().to_string();
    assert!(missing.contains("shipped machines are ideal, serial-aer, loihi"), "{missing}");
}
