//! `megasim convert --export FILE.nir`: the graph that other simulators read. The `nir` package of Python reads these
//! files, which no test here can show; what it asks of them is tested: the layout, the types of nodes, the shapes of
//! their parameters.

use assert_cmd::Command;
use hdf5_reader::Hdf5File as File;
use megasim::ann::graph::{Activation, GraphBuilder, Operation, Padding, Pooling, Shape};
use megasim::ann::nir::Nir;
use megasim::convert::export::{ExportOptions, Exported, Importer, target_of};
use megasim::convert::nir::{self, Dialect, NirOptions};
use megasim::convert::{ConvertOptions, convert, normalize_with, parse};
use megasim::engine::{Mode, Plan, Probes, Simulation};
use megasim::network::{Network, NodeId, Polarity, Reset, Stimulus, StimulusEvent};
use ndarray::{Array2, Array4, array};
use predicates::prelude::*;
use predicates::str::contains;

/// What the form makes of a graph.
fn build(builder: GraphBuilder, numbers: usize, options: &ConvertOptions) -> Result<File, String> {
    let graph = builder.finish().unwrap();
    let parsed = parse(&graph, options).unwrap();
    let samples = Array2::from_shape_fn((4, numbers), |(i, j)| ((i + j) % 3) as f32 / 2.0);
    let normalized = normalize_with(parsed, samples.view(), options, &mut |_| {}).unwrap();
    let target = target_of("net.nir".as_ref()).unwrap();
    let exported = target.build(&normalized, &options.quantization, &ExportOptions::default());
    Ok(File::from_vec(exported.map_err(|error| error.to_string())?.bytes).unwrap())
}

fn numbers(file: &File, path: &str) -> (Vec<u64>, Vec<f32>) {
    let dataset = file.dataset(path).unwrap();
    let values = dataset.read_array::<f32>().map(|array| array.iter().copied().collect());
    // Whole numbers, too.
    let whole = || dataset.read_array::<i64>().unwrap().iter().map(|&value| value as f32).collect();
    (dataset.shape().to_vec(), values.unwrap_or_else(|_| whole()))
}

fn text(file: &File, path: &str) -> Vec<String> {
    file.dataset(path).unwrap().read_strings().unwrap()
}

fn relu() -> Operation {
    Operation::Activation(Activation::RELU)
}

#[test]
fn dense_layers_are_affine_maps_before_neurons() {
    let mut builder = GraphBuilder::new("in", Shape::Features(2));
    let weights = array![[1.0, -1.0, 0.5], [0.5, 2.0, 0.25]];
    let dense = Operation::Dense { weights: weights.clone(), bias: Some(array![0.0, 0.5, 1.0]) };
    let dense = builder.add("dense", "Dense", dense, &[0]).unwrap();
    builder.add("relu", "Activation", relu(), &[dense]).unwrap();
    let mut options = ConvertOptions::default();
    options.rules.weighting = megasim::convert::Weighting::AsTrained;
    options.quantization.threshold = 0.75;
    let file = build(builder, 2, &options).unwrap();
    assert_eq!(text(&file, "node/type"), ["NIRGraph"]);
    let of = |key: &str| format!("node/nodes/0Dense_3_weights_0/{key}");
    assert_eq!(text(&file, &of("type")), ["Affine"]);
    // (out, in).
    assert_eq!(numbers(&file, &of("weight")), (vec![3, 2], weights.t().iter().copied().collect()));
    assert_eq!(numbers(&file, &of("bias")), (vec![3], vec![0.0, 0.5, 1.0]));
    let of = |key: &str| format!("node/nodes/0Dense_3/{key}");
    assert_eq!(text(&file, &of("type")), ["IF"]);
    assert_eq!(numbers(&file, &of("v_threshold")), (vec![3], vec![0.75f32.next_down(); 3]));
    assert_eq!(numbers(&file, &of("v_reset")), (vec![3], vec![0.0; 3]));
    let edges = text(&file, "node/edges");
    assert_eq!(edges, ["input", "0Dense_3_weights_0", "0Dense_3_weights_0", "0Dense_3", "0Dense_3", "output"]);
    assert_eq!(file.dataset("node/edges").unwrap().shape(), [3, 2]);
}

/// A convolution with this padding before a pooling and a dense layer, over 4x4 pixels.
fn pooled(padding: Padding, pooling: Pooling) -> GraphBuilder {
    let mut builder = GraphBuilder::new("in", Shape::Maps { channels: 1, height: 4, width: 4 });
    let weights = Array4::from_shape_fn((2, 1, 3, 3), |(o, _, j, i)| (o + j) as f32 - i as f32 / 2.0);
    let convolution =
        Operation::Convolution { weights, bias: None, strides: (1, 1), padding, dilation: (1, 1), groups: 1 };
    let convolution = builder.add("conv", "Conv2D", convolution, &[0]).unwrap();
    let rectified = builder.add("relu", "Activation", relu(), &[convolution]).unwrap();
    let pool = Operation::Pool { pooling, size: (2, 2), strides: (2, 2), padding: Padding::default() };
    let pool = builder.add("pool", "AveragePooling2D", pool, &[rectified]).unwrap();
    let order = megasim::ann::graph::AxisOrder::ChannelsFirst;
    let flat = builder.add("flat", "Flatten", Operation::Flatten { order }, &[pool]).unwrap();
    let dense = Operation::Dense { weights: Array2::ones((8, 2)), bias: None };
    let dense = builder.add("dense", "Dense", dense, &[flat]).unwrap();
    builder.add("out", "Activation", relu(), &[dense]).unwrap();
    builder
}

const SAME: Padding = Padding { top: 1, bottom: 1, left: 1, right: 1 };

#[test]
fn maps_are_convolutions_means_and_a_flattening() {
    let mean = Pooling::Average { count_padding: false };
    let file = build(pooled(SAME, mean), 16, &ConvertOptions::default()).unwrap();
    let of = |name: &str| format!("node/nodes/{name}");
    assert_eq!(text(&file, &of("0Conv2D_2x4x4_weights_0/type")), ["Conv2d"]);
    assert_eq!(numbers(&file, &of("0Conv2D_2x4x4_weights_0/weight")).0, [2, 1, 3, 3]);
    assert_eq!(numbers(&file, &of("0Conv2D_2x4x4/r")).0, [2, 4, 4]);
    assert_eq!(text(&file, &of("1AveragePooling2D_2x2x2_pool/type")), ["SumPool2d"]);
    assert_eq!(numbers(&file, &of("1AveragePooling2D_2x2x2/v_threshold")).1, [4f32.next_down(); 8]);
    assert_eq!(text(&file, &of("2Flatten_8/type")), ["Flatten"]);
}

#[test]
fn what_it_cannot_say_is_refused_by_name() {
    let options = ConvertOptions::default();
    let maximum = build(pooled(SAME, Pooling::Max), 16, &options).err().unwrap();
    assert!(maximum.contains("NIR: layer ") && maximum.contains("--max-to-average"), "{maximum}");
    let mean = Pooling::Average { count_padding: false };
    let error = build(pooled(Padding { top: 0, bottom: 2, ..SAME }, mean), 16, &options).err().unwrap();
    assert!(error.contains("as much padding at both sides, found 0 and 2 rows"), "{error}");
    let softmax = ConvertOptions { output: megasim::convert::OutputForm::Softmax, ..ConvertOptions::default() };
    assert!(build(pooled(SAME, mean), 16, &softmax).err().unwrap().contains("rectified activations"));
}

/// What is written for a library, by the reset of the neurons; or why not.
fn for_library(importer: Importer, reset: Reset, builder: GraphBuilder, numbers: usize) -> Result<Exported, String> {
    let graph = builder.finish().unwrap();
    let mut options = ConvertOptions::default();
    options.quantization.reset = reset;
    let parsed = parse(&graph, &options).unwrap();
    let samples = Array2::from_shape_fn((4, numbers), |(i, j)| ((i + j) % 3) as f32 / 2.0);
    let normalized = normalize_with(parsed, samples.view(), &options, &mut |_| {}).unwrap();
    let how = ExportOptions { importer: Some(importer), pool: None };
    let target = target_of("net.nir".as_ref()).unwrap();
    target.build(&normalized, &options.quantization, &how).map_err(|error| error.to_string())
}

#[test]
fn what_a_library_would_misread_is_refused_by_name() {
    let mean = Pooling::Average { count_padding: false };
    let maps = || pooled(SAME, mean);
    let vectors = |bias: f32| {
        let mut builder = GraphBuilder::new("in", Shape::Features(2));
        let dense = Operation::Dense { weights: array![[1.0, 0.5], [0.5, 2.0]], bias: Some(array![bias, 0.0]) };
        let dense = builder.add("dense", "Dense", dense, &[0]).unwrap();
        builder.add("relu", "Activation", relu(), &[dense]).unwrap();
        builder
    };
    let biased = || {
        let mut builder = GraphBuilder::new("in", Shape::Maps { channels: 1, height: 4, width: 4 });
        let (weights, bias) = (Array4::ones((1, 1, 3, 3)), Some(array![0.5]));
        let (strides, dilation) = ((1, 1), (1, 1));
        let convolution = Operation::Convolution { weights, bias, strides, padding: SAME, dilation, groups: 1 };
        let convolution = builder.add("conv", "Conv2D", convolution, &[0]).unwrap();
        builder.add("relu", "Activation", relu(), &[convolution]).unwrap();
        builder
    };
    // sinabs' reader compares arrays of maps with a number, and reads IF with a floor.
    let error = for_library(Importer::Sinabs, Reset::Subtract, maps(), 16).unwrap_err();
    let expected = "NIR: layer '0Conv2D_2x4x4': sinabs 3.1.3 opens leaky neurons of vectors only, and reads IF neurons";
    assert!(error.contains(expected) && error.ends_with("found maps, 2 x 4 x 4"), "{error}");
    let there = for_library(Importer::Sinabs, Reset::Subtract, vectors(0.5), 2).unwrap();
    assert_eq!(there.warnings.len(), 1, "{:?}", there.warnings);
    for library in [Importer::SnnTorch, Importer::Norse, Importer::Lava] {
        let error = for_library(library, Reset::Subtract, vectors(0.5), 2).unwrap_err();
        assert!(error.contains("reads neurons that reset to 0; 'megasim convert --reset zero'"), "{error}");
        for_library(library, Reset::ToRest, vectors(0.5), 2).unwrap();
        for_library(library, Reset::ToRest, maps(), 16).unwrap();
        let written = for_library(library, Reset::ToRest, biased(), 16);
        if library == Importer::Lava {
            let error = written.unwrap_err();
            assert!(error.contains("layer '0Conv2D_1x4x4': Lava's reader takes convolutions without bias"), "{error}");
        } else {
            written.unwrap();
        }
    }
}

#[test]
fn convert_writes_it_beside_the_netfiles() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_string();
    let convert = |out: &str, more: &[&str]| {
        let mut command = Command::cargo_bin("megasim").unwrap();
        command.current_dir(env!("CARGO_MANIFEST_DIR"));
        command.args(["convert", "examples/digits/digits_cnn.keras", "--data", "examples/digits", "--out", &at(out)]);
        command.args(more).assert()
    };
    let nir = at("net.nir");
    convert("a", &["--export", &nir]).success().stderr(contains("no reset by subtraction"));
    let file = File::from_vec(std::fs::read(&nir).unwrap()).unwrap();
    assert_eq!(numbers(&file, "node/nodes/06Dense_10_weights_0/weight").0, [10, 32]);
    convert("b", &["--export", &nir]).failure().stderr(contains("exists"));
    assert!(!folder.path().join("b").exists());
    convert("c", &["--export", &nir, "--force", "--reset", "zero"]).success().stderr(contains("subtraction").not());
    for (more, what) in [
        (&["--set", "*.T_Refract=3"][..], "parameters of modules"),
        (&["--preset", "annarchy"], "--preset annarchy"),
        (&["--plain-megasim"], "--plain-megasim"),
        (&["--initial-potential", "0.5"], "--initial-potential"),
    ] {
        let none = at("none.nir");
        let more = [&["--export", &none], more].concat();
        convert("none", &more).failure().stderr(contains("NIR cannot represent").and(contains(what)));
        assert!(!folder.path().join("none").exists() && !folder.path().join("none.nir").exists());
    }
    convert("d", &["--export", &at("net.txt")]).code(2).stderr(contains("expected a name that ends in .nir"));
}

/// Spikes of each cell of the layer before the output's classes, and of the output, in 60 steps of one random input.
fn outputs(network: &Network, sources: &[String], output: NodeId) -> Vec<usize> {
    let mut random = 1u32;
    let mut fires = || {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        random >> 30 == 0
    };
    let spikes: Vec<bool> = (0..60 * 16).map(|_| fires()).collect();
    let stimuli = network.sources().iter().map(|&source| {
        let name = &network.nodes()[source.index()].name;
        let events = (0..60i64).flat_map(|t_pre| {
            let cells = (0..16).filter(move |_| sources_has(sources, name));
            let cells =
                cells.filter(|cell| spikes[t_pre as usize * 16 + cell]).map(|cell| (cell as i32 % 4, cell as i32 / 4));
            let clock = (name == "bias_clk").then_some((0, 0));
            let places: Vec<(i32, i32)> = cells.chain(clock).collect();
            places.into_iter().map(move |(x, y)| StimulusEvent { t_pre, x, y, polarity: Polarity::Positive })
        });
        Stimulus::from_events(events.collect::<Vec<_>>())
    });
    let stimuli: Vec<Stimulus> = stimuli.collect();
    let network = network.clone().with_t_max(59).unwrap();
    let plan = Plan::new(&network).unwrap();
    let record = Simulation::new(&plan, Mode::Clocked { dt: 1 }, &Probes::all(&network)).run(&stimuli).unwrap();
    let log = record.nodes[output.index()].as_ref().unwrap();
    (0..3).map(|class| log.x.iter().filter(|&&x| x == class).count()).collect()
}

fn sources_has(sources: &[String], name: &str) -> bool {
    sources.iter().any(|source| source == name)
}

#[test]
fn a_network_that_was_written_and_read_back_makes_the_same_spikes() {
    let (norse, snntorch) = (Some(Importer::Norse), Some(Importer::SnnTorch));
    let cases = [(Reset::ToRest, None), (Reset::Subtract, None), (Reset::ToRest, norse), (Reset::ToRest, snntorch)];
    for (reset, importer) in cases {
        let mut options = ConvertOptions::default();
        options.quantization.reset = reset;
        let graph = pooled(SAME, Pooling::Average { count_padding: false }).finish().unwrap();
        let samples = Array2::from_shape_fn((4, 16), |(i, j)| ((i + j) % 3) as f32 / 2.0);
        let converted = convert(&graph, samples.view(), &options).unwrap();
        let target = target_of("net.nir".as_ref()).unwrap();
        let how = ExportOptions { importer, pool: None };
        let exported = target.build(&converted.normalized, &options.quantization, &how).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("net.nir");
        std::fs::write(&path, exported.bytes).unwrap();
        let (again, warnings) = nir::convert(&Nir::open(&path).unwrap(), &NirOptions::default()).unwrap();
        assert!(warnings.is_empty(), "the file says what a spike does: {warnings:?}");
        let own = outputs(&converted.emitted.network, &["InputLayer".into()], converted.output());
        let found = outputs(again.network(), &again.manifest().input.nodes, again.output());
        assert!(own.iter().sum::<usize>() > 0, "{own:?}");
        assert_eq!(found, own, "{reset:?} for {importer:?}");
    }
}

#[test]
fn a_file_for_a_library_is_read_in_its_units() {
    let vectors = || {
        let mut builder = GraphBuilder::new("in", Shape::Features(2));
        let dense = Operation::Dense { weights: array![[1.0, 0.5], [0.5, 2.0]], bias: None };
        let dense = builder.add("dense", "Dense", dense, &[0]).unwrap();
        builder.add("relu", "Activation", relu(), &[dense]).unwrap();
        builder
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("net.nir");
    for (importer, reset, dialect, dt) in [
        (Importer::SnnTorch, Reset::ToRest, Dialect::SnnTorch, 1e-4),
        (Importer::Sinabs, Reset::Subtract, Dialect::Sinabs, 1.0),
        (Importer::Norse, Reset::ToRest, Dialect::Norse, 1e-3),
    ] {
        let exported = for_library(importer, reset, vectors(), 2).unwrap();
        std::fs::write(&path, exported.bytes).unwrap();
        let nir = Nir::open(&path).unwrap();
        for given in [Dialect::Auto, dialect] {
            let options = NirOptions { dialect: given, ..NirOptions::default() };
            let (read, warnings) = nir::convert(&nir, &options).unwrap();
            assert!(warnings.is_empty(), "{warnings:?}");
            let found = read.manifest().nir.unwrap();
            assert_eq!((found.dialect, found.dt), (dialect, dt), "{given:?}");
        }
    }
}
