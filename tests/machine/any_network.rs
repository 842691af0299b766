//! One hardware file for any network: layers by kind, role, number, and name without its counting prefix.

use megasim::hardware::{Hardware, ModuleLayer, Resolved, TargetNetwork};
use megasim::network::*;

/// A network with a clock, two convolutions, pooling by averages, a flatten and two dense layers, named as those of a
/// conversion are.
fn named_layers(names: &[&str]) -> (Network, Vec<ModuleLayer>) {
    let array = Array { nx: 1, ny: 1, x_min: 0, y_min: 0 };
    let mut builder = NetworkBuilder::new();
    let clock = builder.source("bias_clk").unwrap();
    let mut before = builder.source("InputLayer").unwrap();
    let mut layers = Vec::new();
    for (k, name) in names.iter().enumerate() {
        let inputs = vec![Input::Node(before), Input::Node(clock)];
        let kind = if name.contains("Dense") {
            let port = || FullyConnectedPort { nx_pre: 1, ny_pre: 1, weights: [1].into() };
            let ports = vec![port(), port()];
            let neurons = NeuronParameters::default();
            ModuleKind::FullyConnected(FullyConnected { array, neurons, ports, output: Output::whole(array) })
        } else if name.contains("Flatten") {
            ModuleKind::Flatten(vec![FlattenPort { nx: 1, ny: 1 }, FlattenPort { nx: 1, ny: 1 }])
        } else {
            let kernel = || ConvPort {
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
            let ports = vec![kernel(), kernel()];
            let neurons = NeuronParameters::default();
            ModuleKind::Conv(Conv { array, neurons, ports, output: Output::whole(array) })
        };
        let module = Module { kind, inputs, timing: Timing::default(), not_programmable: false };
        before = builder.module(module, &[*name]).unwrap()[0];
        layers.push(ModuleLayer { name: (*name).into(), modules: vec![ModuleId::new(k)] });
    }
    (builder.build(100).unwrap(), layers)
}

const CONVOLUTIONAL: [&str; 6] =
    ["00Conv2D_8", "01AveragePooling2D_8", "02Conv2D_16", "03Flatten_16", "04Dense_32", "05Dense_10"];

const DENSE: [&str; 2] = ["00Dense_100", "01Dense_10"];

/// The file on a network; the first source is a clock, the second the input.
fn resolve(names: &[&str], text: &str) -> (Network, Resolved) {
    let (network, layers) = named_layers(names);
    let hardware = Hardware::parse("any.toml".as_ref(), text).unwrap();
    let resolved = {
        let subject = TargetNetwork { network: &network, layers: &layers, input: &[false, true], spikes: None };
        hardware.resolve_with(&subject, hardware.tick()).unwrap()
    };
    (network, resolved)
}

fn depths(resolved: &Resolved, layers: usize) -> Vec<u32> {
    (0..layers).map(|k| resolved.machine.module(ModuleId::new(k)).fifo_depth).collect()
}

#[test]
fn layers_are_meant_by_kind_role_number_and_name() {
    let cases: &[(&str, [u32; 6], [u32; 2])] = &[
        ("conv", [7, 0, 7, 0, 0, 0], [0, 0]),
        ("dense", [0, 0, 0, 0, 7, 7], [7, 7]),
        ("pool", [0, 7, 0, 0, 0, 0], [0, 0]),
        ("flatten", [0, 0, 0, 7, 0, 0], [0, 0]),
        ("first", [7, 0, 0, 0, 0, 0], [7, 0]),
        ("last", [0, 0, 0, 0, 0, 7], [0, 7]),
        // All layers read the clock; one reads the input.
        ("input", [7, 0, 0, 0, 0, 0], [7, 0]),
        // The number that counts layers.
        ("4", [0, 0, 0, 0, 7, 0], [0, 0]),
        ("1", [0, 7, 0, 0, 0, 0], [0, 7]),
        ("Conv2D_16", [0, 0, 7, 0, 0, 0], [0, 0]),
        ("Dense_*", [0, 0, 0, 0, 7, 7], [7, 7]),
        ("05Dense_10", [0, 0, 0, 0, 0, 7], [0, 0]),
    ];
    for (pattern, convolutional, dense) in cases {
        let text = format!("[layer.\"{pattern}\"]\nfifo_depth = 7\n");
        let (_, resolved) = resolve(&CONVOLUTIONAL, &text);
        assert_eq!(depths(&resolved, 6), convolutional, "{pattern}");
        let (_, resolved) = resolve(&DENSE, &text);
        assert_eq!(depths(&resolved, 2), dense, "{pattern}");
        assert_eq!(resolved.warnings.is_empty(), dense.iter().any(|&depth| depth > 0), "{pattern}");
    }
    // Without numbers in the names, layers are counted.
    let (_, resolved) = resolve(&["Dense_a", "Dense_b"], "[layer.1]\nfifo_depth = 7\n");
    assert_eq!(depths(&resolved, 2), [0, 7]);
    // A layer of that name counts before the word.
    let (_, resolved) = resolve(&["00Dense_4", "last", "02Dense_4"], "[layer.last]\nfifo_depth = 7\n");
    assert_eq!(depths(&resolved, 3), [0, 7, 0]);
}

#[test]
fn the_more_particular_pattern_counts_wherever_it_is_in_the_file() {
    let text = "[layer.Dense_10]\nfifo_depth = 4\n[layer.last]\nfifo_depth = 3\nout_fifo_depth = 3\n\
                [layer.dense]\nfifo_depth = 2\nout_fifo_depth = 2\n[kind.fully_connected]\nfifo_depth = 1\n";
    let (_, resolved) = resolve(&CONVOLUTIONAL, text);
    assert_eq!(depths(&resolved, 6), [0, 0, 0, 0, 2, 4]);
    let out = |k: usize| resolved.machine.module(ModuleId::new(k)).out_fifo_depth.map(u32::from);
    assert_eq!((out(4), out(5)), (Some(2), Some(3)));
}

#[test]
fn links_and_places_take_the_same_words() {
    let text = "tick = \"1 ns\"\n[[links]]\nfrom = \"input\"\ndelay = \"9 ns\"\n[[links]]\nfrom = \"conv\"\n\
                to = \"pool\"\ndelay = \"5 ns\"\n[[links]]\nto = \"last\"\ndelay = \"3 ns\"\n\
                [mesh]\ncolumns = 3\nrows = 2\n[mesh.place]\nlast = [2, 1]\ninput = [1, 1]\n";
    let (network, resolved) = resolve(&CONVOLUTIONAL, text);
    let delay = |node: &str, module: usize| {
        resolved.machine.link(network.node_named(node).unwrap(), ModuleId::new(module)).delay
    };
    assert_eq!((delay("InputLayer", 0), delay("bias_clk", 0), delay("bias_clk", 5)), (9, 0, 3));
    assert_eq!((delay("00Conv2D_8", 1), delay("01AveragePooling2D_8", 2), delay("04Dense_32", 5)), (5, 0, 3));
    let mesh = resolved.machine.mesh.unwrap();
    let at = |tile: megasim::engine::machine::Tile| (tile.x, tile.y);
    // The last layer, and the input; the clock is where sources are.
    assert_eq!((at(mesh.modules[5]), at(mesh.sources[1]), at(mesh.sources[0])), ((2, 1), (1, 1), (0, 0)));
}

#[test]
fn a_pattern_that_matches_nothing_is_a_warning_or_an_error() {
    let (network, layers) = named_layers(&DENSE);
    let text = "[layer.conv]\nfifo_depth = 1\n[layer.dense]\nfifo_depth = 2\n[module.\"Conv*\"]\nfifo_depth = 3\n";
    let hardware = Hardware::parse("any.toml".as_ref(), text).unwrap();
    let resolved = hardware.resolve(&network, &layers, None).unwrap();
    let expected = [
        "any.toml:1: no layer matches `conv`; there are 00Dense_100, 01Dense_10",
        "any.toml:5: no module matches `Conv*`; there are 00Dense_100, 01Dense_10",
    ];
    assert_eq!(resolved.warnings, expected);
    let found = hardware.patterns(&network, &layers, &[]);
    let of: Vec<(usize, usize)> = found.iter().map(|it| (it.line, it.matches.len())).collect();
    assert_eq!(of, [(1, 0), (3, 2), (5, 0)]);
    let error = hardware.strict(true).resolve(&network, &layers, None).unwrap_err().to_string();
    assert_eq!(error, expected[0]);
    // A change that changes nothing is an error: a sweep over it would be one machine.
    let change = megasim::hardware::Change::new("layer.\"conv*\".fifo_depth", "4").unwrap();
    let hardware = Hardware::parse("any.toml".as_ref(), "[all]\nfifo_depth = 1\n").unwrap().changed(change).unwrap();
    let error = hardware.resolve(&network, &layers, None).unwrap_err().to_string();
    assert!(error.starts_with("any.toml:3: no layer matches `conv*`"), "{error}");
}
