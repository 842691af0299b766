//! Spiking networks in NIR as netfiles: what neurons do in clocked mode is what an independent simulation in double
//! precision says (`tests/data/nir/make_expected.py`); what cannot be netfiles is refused by node and reason.

use crate::npy::NpzReader;
use megasim::ann::nir::{Nir, NirGraph, NirNode, Primitive};
use megasim::atomic_write::Overwrite;
use megasim::convert::ConvertedModel;
use megasim::convert::nir::{self, Dialect, NirOptions, Warning};
use megasim::engine::{Mode, Plan, Probes, Simulation};
use megasim::network::{Driver, Polarity, Reset, Stimulus, StimulusEvent};
use megasim::study::layers::Layer;
use ndarray::{Array1, Array2, ArrayD, arr0, array};
use std::fs::File;
use std::path::PathBuf;

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/nir").join(name)
}

fn expected() -> NpzReader {
    NpzReader::new(File::open(path("expected.npz")).unwrap()).unwrap()
}

/// A file as netfiles, with these options.
fn convert(name: &str, options: &NirOptions) -> (ConvertedModel, Vec<Warning>) {
    let file = Nir::open(path(&format!("{name}.nir"))).unwrap();
    nir::convert(&file, options).unwrap()
}

/// The stimuli of the expected results: one step per tick.
fn stimuli(converted: &ConvertedModel, name: &str) -> (Vec<Stimulus>, i64) {
    let input: Array2<i8> = expected().by_name(&format!("{name}/input")).unwrap();
    let (manifest, network) = (converted.manifest(), converted.network());
    let (maps, width) = match manifest.input.shape[..] {
        [n] => (1, n),
        [maps, _, width] => (maps, width),
        _ => unreachable!("shapes have one or three sizes"),
    };
    let cells = input.ncols() / maps;
    let stimuli = network.sources().iter().map(|&source| {
        let node = &network.nodes()[source.index()].name;
        let mut events = Vec::new();
        for (step, row) in input.rows().into_iter().enumerate() {
            let t_pre = step as i64;
            if let Some(map) = manifest.input.nodes.iter().position(|input| input == node) {
                for cell in (0..cells).filter(|cell| row[map * cells + cell] == 1) {
                    let (x, y) = ((cell % width) as i32, (cell / width) as i32);
                    events.push(StimulusEvent { t_pre, x, y, polarity: Polarity::Positive });
                }
            }
            if manifest.bias_clock.as_ref() == Some(node) {
                events.push(StimulusEvent { t_pre, x: 0, y: 0, polarity: Polarity::Positive });
            }
            if manifest.mask_clock.as_ref() == Some(node) {
                events.push(StimulusEvent::control(t_pre));
            }
        }
        Stimulus::from_events(events)
    });
    (stimuli.collect(), input.nrows() as i64)
}

/// Spikes of each cell of the layer that a node of the file became, and the potentials of the output in real numbers.
fn run(converted: &ConvertedModel, name: &str, nodes: &[&str]) -> (Vec<Vec<i64>>, Vec<f64>) {
    let (stimuli, steps) = stimuli(converted, name);
    let network = converted.network().clone().with_t_max(steps - 1).unwrap();
    let plan = Plan::new(&network).unwrap();
    let mut simulation = Simulation::new(&plan, Mode::Clocked { dt: 1 }, &Probes::all(&network));
    let record = simulation.run(&stimuli).unwrap();
    let layers = Layer::of_manifest(&network, converted.manifest());
    let counts = nodes.iter().map(|node| {
        let found = layers.iter().find(|(k, _)| converted.manifest().layers[*k].source == *node);
        let layer = &found.unwrap_or_else(|| panic!("no layer of node {node}")).1;
        let mut counts = vec![0; layer.cells];
        for of in &layer.nodes {
            let log = record.nodes[of.node.index()].as_ref().unwrap();
            (0..log.len()).for_each(|k| counts[of.cell(log.x[k], log.y[k]).unwrap()] += 1);
        }
        counts
    });
    let counts = counts.collect();
    let Driver::Module(module) = network.nodes()[converted.output().index()].driver else { panic!("a module") };
    let factor = converted.manifest().conversion.scaling_factor;
    let potentials = simulation.potentials(module).into_iter().map(|v| f64::from(v) / factor).collect();
    (counts, potentials)
}

fn check(name: &str, nodes: &[&str], options: &NirOptions) {
    let (converted, _) = convert(name, options);
    let (counts, potentials) = run(&converted, name, nodes);
    for (node, found) in nodes.iter().zip(counts) {
        let of_node: Array1<i64> = expected().by_name(&format!("{name}/{node}")).unwrap();
        assert_eq!(found, of_node.to_vec(), "{name}: spikes of node {node}");
        assert!(found.iter().sum::<i64>() > 0, "{name}: node {node} spikes");
    }
    if let Ok(of_output) = expected().by_name::<f64, ndarray::Ix1>(&format!("{name}/output")) {
        for (found, expected) in potentials.iter().zip(&of_output) {
            assert!((found - expected).abs() < 1e-4, "{name}: potentials {potentials:?}, expected {of_output}");
        }
    }
}

#[test]
fn spike_counts_are_those_of_a_simulation_in_double_precision() {
    let as_is = NirOptions::default();
    check("add_join", &["if"], &as_is);
    check("cnn", &["1", "4", "8"], &as_is);
    check("conv1d_small", &["threshold"], &as_is);
    check("scalar_if_unchecked", &["if"], &as_is);
    check("snntorch_recurrent", &["1", "3.lif", "5"], &as_is);
    check("sinabs_groups", &["1", "5"], &as_is);
    check("loops", &["lif", "a", "b"], &as_is);
}

#[test]
fn dialects_are_known_by_their_numbers_and_named_in_warnings() {
    let dialect = |name: &str| convert(name, &NirOptions::default()).0.manifest().nir.unwrap().dialect;
    assert_eq!(dialect("snntorch_recurrent"), Dialect::SnnTorch);
    assert_eq!(dialect("sinabs_groups"), Dialect::Sinabs);
    assert_eq!(dialect("cnn"), Dialect::Norse);
    let warnings = |name: &str, options: &NirOptions| -> Vec<String> {
        convert(name, options).1.iter().map(ToString::to_string).collect()
    };
    let found = warnings("snntorch_recurrent", &NirOptions::default());
    assert_eq!(
        found,
        [
            "the file does not say what a spike does to the potential; here it puts the potential to v_reset, as NIR \
             defines it; --reset subtract or --reset zero chooses",
            "time constants are taken as snnTorch has them, with a step of 0.0001 s; --nir-dialect and --dt choose",
        ]
    );
    // What the file or the caller says is no choice.
    assert_eq!(warnings("loops", &NirOptions::default()), Vec::<String>::new());
    let said = NirOptions { reset: Some(Reset::ToRest), ..NirOptions::default() };
    assert_eq!(warnings("cnn", &said), Vec::<String>::new());
    let found = warnings("sinabs_groups", &NirOptions::default());
    assert!(found[0].contains("here it subtracts the threshold, as sinabs does"), "{found:?}");
    let found = warnings("conv1d_small", &said);
    assert!(found.contains(&"node 'output': a factor at the output does not change its spikes".into()), "{found:?}");
}

#[test]
fn netfiles_of_a_spiking_network_are_read_back() {
    let (converted, _) = convert("snntorch_recurrent", &NirOptions::default());
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path().join("net");
    converted.save(&directory, Overwrite::Refuse).unwrap();
    let again = ConvertedModel::open(&directory).unwrap();
    assert_eq!((again.network(), again.manifest()), (converted.network(), converted.manifest()));
    assert!(again.model().is_none());
    assert_eq!(again.classes(), 3);
    std::fs::write(directory.join("source/snntorch_recurrent.nir"), "other").unwrap();
    let error = ConvertedModel::open(&directory).unwrap_err().to_string();
    assert!(error.contains("found another"), "{error}");
}

/// What is said of a changed file.
fn refusal(name: &str, change: impl FnOnce(&mut NirGraph)) -> String {
    let mut file = Nir::open(path(&format!("{name}.nir"))).unwrap();
    change(&mut file.graph);
    nir::convert(&file, &NirOptions::default()).unwrap_err().to_string()
}

fn node<'g>(graph: &'g mut NirGraph, name: &str) -> &'g mut NirNode {
    graph.nodes.iter_mut().find(|node| node.name == name).unwrap()
}

fn number(graph: &NirGraph, name: &str) -> usize {
    graph.nodes.iter().position(|node| node.name == name).unwrap()
}

fn neurons<'g>(graph: &'g mut NirGraph, name: &str) -> &'g mut megasim::ann::nir::Neurons {
    match &mut node(graph, name).primitive {
        Primitive::Neurons(neurons) => neurons,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_threshold_below_the_reset_is_refused_by_its_node() {
    let found = refusal("cnn", |graph| {
        neurons(graph, "1").spikes.as_mut().unwrap().0 = arr0(-0.5).into_dyn();
    });
    assert!(
        found.contains("layer '1' (") && found.contains("v_threshold: expected at least 0, where a spike leaves"),
        "{found}"
    );
}

#[test]
fn a_type_that_is_a_number_is_told_with_what_is_expected() {
    use hdf5_writer::{DatasetBuilder, Hdf5Builder};
    let file = Hdf5Builder::new()
        .dataset(DatasetBuilder::vlen_string_data("node/edges", [1, 2], &["a", "a"]).unwrap())
        .dataset(DatasetBuilder::typed_data("node/nodes/a/type", [], &[3i64]).unwrap());
    let file = file.into_plan().unwrap().encode(Default::default()).unwrap();
    let error = Nir::parse(file.into()).unwrap_err().to_string();
    let expected = "HDF5 'node/nodes/a/type': expected a string, one of Input, Output, Affine, Linear, Conv1d";
    let rest = "Delay and NIRGraph, found the number 3; nir.write of package nir writes strings";
    assert!(error.contains(expected) && error.ends_with(rest), "{error}");
}

#[test]
fn all_nodes_that_cannot_be_netfiles_are_named_with_a_reason() {
    // Two at once.
    let found = refusal("cnn", |graph| {
        let different = ArrayD::from_shape_fn(vec![4, 4, 3], |at| 0.02 + 0.001 * at[2] as f64);
        neurons(graph, "4").leak.as_mut().unwrap().0 = different;
        neurons(graph, "8").leak.as_mut().unwrap().0 = arr0(1e-4).into_dyn();
    });
    assert_eq!(
        found,
        "layer '4' (LIF): expected one factor per map behind a convolution, found several\n\
         layer '8' (CubaLIF): tau: expected a time constant of a step (0.001) or more, found one of 0.100 steps; --dt \
         and --nir-dialect say how long a step is"
    );
    let found = refusal("cnn", |graph| {
        let different = ArrayD::from_shape_fn(vec![4, 4, 3], |at| 0.02 + 0.001 * at[2] as f64);
        neurons(graph, "4").leak.as_mut().unwrap().0 = different.clone();
        neurons(graph, "1").spikes.as_mut().unwrap().0 = ArrayD::from_elem(vec![5], 1.0);
    });
    assert!(
        found.starts_with("layer '1' (IF): v_threshold: expected one number or 192, as there are neurons"),
        "{found}"
    );
    let found = refusal("cnn", |graph| {
        for (node, size) in [("1", vec![4, 8, 6]), ("4", vec![4, 4, 3])] {
            let different = ArrayD::from_shape_fn(size, |at| 1.0 + 0.5 * at[2] as f64);
            neurons(graph, node).spikes.as_mut().unwrap().0 = different;
        }
    });
    assert_eq!(
        found,
        "layer '1' (Conv2D): expected one v_threshold for all neurons of a map, found several\n\
         layer '4' (Conv2D): expected one v_threshold for all neurons of a map, found several"
    );
    let found = refusal("cnn", |graph| {
        neurons(graph, "8").synapse.as_mut().unwrap().0 = arr0(0.0033).into_dyn();
    });
    assert!(found.contains("found 3.3000 (tau_syn 0.0033, dt 0.001)"), "{found}");
}

#[test]
fn graphs_that_compute_nothing_are_refused() {
    let found = refusal("add_join", |graph| {
        let a = number(graph, "a");
        graph.edges.push((a, a));
    });
    assert!(found.contains("layer 'a' (Linear): expected neurons in every cycle"), "{found}");
    let found = refusal("add_join", |graph| {
        let output = number(graph, "output");
        graph.edges.retain(|&(_, to)| to != output);
    });
    assert_eq!(found, "layer 'output' (Output): expected a path from the input to it, found none");
    let found = refusal("add_join", |graph| node(graph, "input").primitive = Primitive::Pass);
    assert_eq!(found, "expected one node of type Input, found none");
    let found = refusal("add_join", |graph| {
        node(graph, "a").primitive = Primitive::Linear { weight: array![[1.0, 2.0]], bias: None };
    });
    assert!(found.contains("layer 'a' (Linear): expected 2 numbers, as its weights have columns, found 5"), "{found}");
    let found = refusal("sinabs_groups", |graph| {
        node(graph, "2").primitive = Primitive::Pool { average: false, size: (2, 2), stride: (1, 1), padding: (0, 0) };
    });
    assert!(found.contains("expected windows of spikes next to each other"), "{found}");
    let found = refusal("cnn", |graph| match &mut node(graph, "3").primitive {
        Primitive::Convolution(of) => of.stride = (2, 2),
        other => panic!("{other:?}"),
    });
    assert_eq!(found, "layer '3' (Conv2d): expected a stride of 1 with padding 'same', found (2, 2)");
    let found = refusal("cnn", |graph| match &mut node(graph, "0").primitive {
        Primitive::Convolution(of) => of.input = Some(vec![6, 8]),
        other => panic!("{other:?}"),
    });
    assert_eq!(found, "layer '0' (Conv2d): expected [8, 6] as input_shape, as its input has, found [6, 8]");
}

#[test]
fn files_that_are_cut_or_lie_are_refused_by_name() {
    let found = Nir::open(path("rect_kernel_none.nir")).unwrap_err().to_string();
    assert!(found.ends_with("HDF5 'node/nodes/conv2d': expected a data set 'type', found none"), "{found}");
    let bytes = std::fs::read(path("add_join.nir")).unwrap();
    for part in [0, 1, 100, bytes.len() / 2] {
        assert!(Nir::parse(bytes[..part].to_vec().into()).is_err(), "the first {part} bytes");
    }
    let found = Nir::open(path("make_nir.py")).unwrap_err().to_string();
    assert!(found.contains("expected an HDF5 file"), "{found}");
}
