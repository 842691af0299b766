//! Every reader of the program, each as a function of the bytes of one file: mutated files and fuzzing go through the
//! same list.

use megasim::ann::graph::Shape;
use megasim::ann::import;
use megasim::ann::nir::Nir;
use megasim::convert::nir::{self, NirOptions};
use megasim::convert::{self, ConvertOptions, Manifest, OutputForm, Stage, scales::Scales};
use megasim::dataset::recording::Recording;
use megasim::dataset::{self, Dataset, Format};
use megasim::encode::Equations;
use megasim::hardware::{self, Hardware};
use megasim::learning::{Description, Model};
use megasim::network::NeuronModel;
use megasim::report::history::History;
use megasim::toolbox::Configuration;
use megasim::{convert::emit, netfile};
use std::fmt::Display;
use std::path::{Path, PathBuf};

/// A reader: it gets an empty directory and the content of a file, and gives a message where it refuses that.
pub struct Reader {
    pub name: &'static str,
    /// Small files that it takes, relative to the root of the package.
    pub fixtures: &'static [&'static str],
    pub read: fn(&Path, &[u8]) -> Result<(), String>,
}

fn root() -> PathBuf {
    // The fuzzing package is a directory of this one.
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let is_fuzzing = package.file_name().is_some_and(|name| name == "fuzz");
    if is_fuzzing { package.join("..") } else { package.into() }
}

pub fn fixture(name: &str) -> Vec<u8> {
    let path = root().join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn text(bytes: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(bytes).map_err(|error| error.to_string())
}

fn done<T>(result: Result<T, impl Display>) -> Result<(), String> {
    result.map(drop).map_err(|error| error.to_string())
}

fn written(directory: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = directory.join(name);
    std::fs::write(&path, bytes).expect("a scratch directory");
    path
}

/// Reads a model with its description, and takes it to the layers that modules are made of.
fn model(directory: &Path, name: &str, bytes: &[u8], companions: &[(&str, &str)]) -> Result<(), String> {
    let path = written(directory, name, bytes);
    for (name, fixture_name) in companions {
        written(directory, name, &fixture(fixture_name));
    }
    parse(&path)
}

fn parse(path: &Path) -> Result<(), String> {
    let model = import::read(path).map_err(|error| error.to_string())?;
    let numbers: usize = model.graph.layers().iter().map(|layer| layer.shape.len()).sum();
    // What a model that is merely large costs is no fault.
    if numbers > 1 << 16 {
        return Ok(());
    }
    let parsed =
        convert::parse(&model.graph, &ConvertOptions { output: OutputForm::Signed, ..ConvertOptions::default() });
    // What is read well may still have no spiking form.
    let _ = parsed.map(|parsed| parsed.graph());
    Ok(())
}

/// Reads a netfile directory in which one file is replaced.
fn netfiles(directory: &Path, name: &str, bytes: &[u8]) -> Result<(), String> {
    let files = ["megasim.sch", "excitatory.prm", "inhibitory.prm", "neurons.stt", "input.stim"];
    for file in files {
        written(directory, file, &fixture(&format!("netfiles/two-neurons/{file}")));
    }
    written(directory, name, bytes);
    let schematic = directory.join("megasim.sch");
    let examination = netfile::examine(&schematic);
    drop(examination);
    done(netfile::read(&schematic))
}

fn samples(directory: &Path, x: &str, bytes: &[u8], shape: Shape) -> Result<(), String> {
    written(directory, x, bytes);
    let labels = directory.join("y_test.npy");
    if !labels.exists() && x != "test.npz" {
        written(directory, "y_test.npy", &npy_labels());
    }
    let data = Dataset::open(directory).map_err(|error| error.to_string())?;
    // Labels need not fit: the samples are what is read.
    let _ = data.test(&Format { shape, classes: 10 }, 1, Some(2));
    done(data.test_as_stored(0, Some(3)))
}

/// An array of ten labels, 0 to 9.
fn npy_labels() -> Vec<u8> {
    let header = "{'descr': '|u1', 'fortran_order': False, 'shape': (10,), }";
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(0..10);
    bytes
}

macro_rules! reader {
    ($name:literal, [$($fixture:literal),*], |$directory:ident, $bytes:ident| $body:expr) => {
        Reader { name: $name, fixtures: &[$($fixture),*], read: |$directory, $bytes| $body }
    };
}

const DIGITS: Shape = Shape::Maps { channels: 1, height: 8, width: 8 };

/// All of them.
pub const READERS: &[Reader] = &[
    reader!(
        "nir",
        ["tests/data/nir/add_join.nir", "tests/data/nir/conv1d_small.nir", "tests/data/nir/snntorch_recurrent.nir"],
        |directory, bytes| {
            let file = Nir::open(written(directory, "network.nir", bytes)).map_err(|error| error.to_string())?;
            done(nir::convert(&file, &NirOptions::default()))
        }
    ),
    reader!(
        "keras_h5",
        ["tests/data/zoo/keras/keras3-nested-twice.h5", "tests/data/zoo/keras/keras2-residual.h5"],
        |directory, bytes| model(directory, "model.h5", bytes, &[])
    ),
    reader!(
        "keras_archive",
        ["tests/data/zoo/keras/keras3-residual.keras", "tests/data/hostile/a26.keras"],
        |directory, bytes| model(directory, "model.keras", bytes, &[])
    ),
    reader!(
        "onnx",
        ["tests/data/zoo/onnx/cnn-unfolded.onnx", "tests/data/hostile/o100.onnx", "tests/data/hostile/cycle.onnx"],
        |directory, bytes| model(directory, "model.onnx", bytes, &[])
    ),
    reader!("torch_pth", ["tests/data/zoo/parameters/cnn.pth", "tests/data/hostile/self.pth"], |directory, bytes| {
        model(directory, "model.pth", bytes, &[("model.toml", "tests/data/zoo/parameters/cnn.toml")])
    }),
    reader!("torch_pickle", [], |directory, bytes| {
        model(directory, "model.pth", &pickled(bytes), &[("model.toml", "tests/data/zoo/parameters/cnn.toml")])
    }),
    reader!("safetensors", ["tests/data/zoo/parameters/cnn-safe.safetensors"], |directory, bytes| {
        model(directory, "model.safetensors", bytes, &[("model.toml", "tests/data/zoo/parameters/cnn-safe.toml")])
    }),
    reader!("lasagne_h5", ["tests/data/zoo/parameters/list-h5.h5"], |directory, bytes| {
        model(directory, "model.h5", bytes, &[("model.toml", "tests/data/zoo/parameters/list-h5.toml")])
    }),
    reader!("lasagne_npz", ["tests/data/zoo/parameters/list-npz.npz"], |directory, bytes| {
        model(directory, "model.npz", bytes, &[("model.toml", "tests/data/zoo/parameters/list-npz.toml")])
    }),
    reader!(
        "caffe",
        ["tests/data/zoo/parameters/new-form.caffemodel", "tests/data/zoo/parameters/old-form.caffemodel"],
        |directory, bytes| {
            let companion = ("model.prototxt", "tests/data/zoo/parameters/new-form.prototxt");
            model(directory, "model.caffemodel", bytes, &[companion])
        }
    ),
    reader!("prototxt", ["tests/data/zoo/parameters/new-form.prototxt"], |directory, bytes| {
        written(directory, "model.prototxt", bytes);
        model(directory, "model.caffemodel", &fixture("tests/data/zoo/parameters/new-form.caffemodel"), &[])
    }),
    reader!("architecture", ["tests/data/zoo/parameters/cnn.toml"], |directory, bytes| {
        written(directory, "model.toml", bytes);
        model(directory, "model.pth", &fixture("tests/data/zoo/parameters/cnn.pth"), &[])
    }),
    reader!("schematic", ["netfiles/two-neurons/megasim.sch"], |directory, bytes| {
        netfiles(directory, "megasim.sch", bytes)
    }),
    reader!("parameters", ["netfiles/two-neurons/excitatory.prm"], |directory, bytes| {
        netfiles(directory, "excitatory.prm", bytes)
    }),
    reader!("state", ["netfiles/two-neurons/neurons.stt"], |directory, bytes| {
        netfiles(directory, "neurons.stt", bytes)
    }),
    reader!("stimulus", ["netfiles/two-neurons/input.stim"], |directory, bytes| {
        netfiles(directory, "input.stim", bytes)
    }),
    reader!("events", ["netfiles/two-neurons/expected/event/node_excitatory.evs"], |_directory, bytes| {
        done(netfile::events::read(bytes))
    }),
    reader!("samples_npz", ["examples/digits/test.npz"], |directory, bytes| {
        samples(directory, "test.npz", bytes, DIGITS)
    }),
    reader!("samples_npy", ["examples/digits/expected_logits.npy"], |directory, bytes| {
        samples(directory, "x_test.npy", bytes, Shape::Features(10))
    }),
    reader!("labels", [], |directory, bytes| {
        done(dataset::labels(&written(directory, "labels.npy", bytes), 10, 0, None))
    }),
    reader!(
        "aedat",
        ["tests/data/recordings/davis240.aedat", "tests/data/recordings/polarity.aedat"],
        |directory, bytes| { done(Recording::read(&written(directory, "events.aedat", bytes))) }
    ),
    reader!(
        "aedat4",
        ["tests/data/recordings/lz4.aedat4", "tests/data/recordings/zstd.aedat4", "tests/data/recordings/none.aedat4"],
        |directory, bytes| done(Recording::read(&written(directory, "events.aedat4", bytes)))
    ),
    reader!("recording_bin", ["tests/data/recordings/digit.bin"], |directory, bytes| {
        done(Recording::read(&written(directory, "events.bin", bytes)))
    }),
    reader!(
        "recording_csv",
        ["tests/data/recordings/events.csv", "tests/data/recordings/columns.csv"],
        |directory, bytes| done(Recording::read(&written(directory, "events.csv", bytes)))
    ),
    reader!("preprocessing", [], |directory, bytes| {
        let folder = directory.join("test").join("a");
        std::fs::create_dir_all(&folder).expect("a scratch directory");
        written(directory, "preprocessing.toml", bytes);
        written(&folder, "a.bmp", PICTURE);
        pictures(directory)
    }),
    reader!("picture", [], |directory, bytes| {
        let folder = directory.join("test").join("a");
        std::fs::create_dir_all(&folder).expect("a scratch directory");
        written(&folder, "a.png", bytes);
        pictures(directory)
    }),
    reader!("stage", [], |directory, bytes| done(Stage::read(&written(directory, "stage.npz", bytes)))),
    reader!("manifest", [], |directory, bytes| {
        written(directory, convert::manifest::FILE_NAME, bytes);
        done(Manifest::read(directory).map(|manifest| manifest.options()))
    }),
    reader!("scales", [], |directory, bytes| done(Scales::read(&written(directory, "scales.json", bytes), ""))),
    reader!("hardware", [], |_directory, bytes| done(Hardware::parse(Path::new("hardware.toml"), text(bytes)?))),
    reader!("hardware_log", [], |_directory, bytes| done(hardware::parse_log(text(bytes)?))),
    reader!("code", ["examples/codes/pso.toml", "examples/codes/noisy.toml"], |_directory, bytes| {
        done(Equations::parse(Path::new("code.toml"), text(bytes)?, &[], 0))
    }),
    reader!("neuron", ["examples/neurons/adaptive.toml", "examples/neurons/annarchy.toml"], |_directory, bytes| {
        done(NeuronModel::parse(Path::new("neuron.toml"), text(bytes)?))
    }),
    reader!("single_spike", ["examples/single-spike/mozafari-2018-shallow.toml"], |_directory, bytes| {
        done(Description::from_toml(text(bytes)?))
    }),
    reader!("single_spike_model", [], |_directory, bytes| done(Model::read(std::io::Cursor::new(bytes)))),
    reader!("toolbox", [], |directory, bytes| { done(Configuration::read(&written(directory, "config.ini", bytes))) }),
    reader!("history", [], |directory, bytes| {
        let csv = done(History::read(&written(directory, "history.csv", bytes)));
        done(History::read(&written(directory, "history.json", bytes))).or(csv)
    }),
];

fn pictures(directory: &Path) -> Result<(), String> {
    let data = Dataset::open(directory).map_err(|error| error.to_string())?;
    done(data.test(&Format { shape: Shape::Maps { channels: 1, height: 2, width: 2 }, classes: 1 }, 0, None))
}

/// A picture of two by two black pixels.
const PICTURE: &[u8] = &[
    b'B', b'M', 70, 0, 0, 0, 0, 0, 0, 0, 54, 0, 0, 0, 40, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 1, 0, 24, 0, 0, 0, 0, 0, 16,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
];

/// A PyTorch archive with this pickle.
fn pickled(pickle: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let stored = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    // With the numbers of a known one.
    let known = fixture("tests/data/zoo/parameters/cnn.pth");
    let mut known = zip::ZipArchive::new(std::io::Cursor::new(known)).expect("an archive");
    for number in 0..known.len() {
        let mut entry = known.by_index(number).expect("an entry");
        archive.start_file(entry.name(), stored).expect("a name");
        if entry.name().ends_with("data.pkl") {
            archive.write_all(pickle).expect("memory");
        } else {
            std::io::copy(&mut entry, &mut archive).expect("memory");
        }
    }
    archive.finish().expect("memory").into_inner()
}

/// Files for the readers that have none in the repository, made by the program itself.
pub fn made(name: &str) -> Vec<Vec<u8>> {
    let digits = || import::read(&root().join("examples/digits/digits_cnn.keras")).expect("a model");
    match name {
        "stage" => {
            let parsed = convert::parse(&digits().graph, &ConvertOptions::default()).expect("a network of rectifiers");
            let settings = serde_json::Map::new();
            let origin = convert::stage::Origin { model_sha256: "0".repeat(64), settings };
            let mut bytes = Vec::new();
            let network = convert::stage::Network::ParsedModel(parsed);
            Stage { origin, network }.write(&mut bytes).expect("memory");
            vec![bytes]
        }
        "manifest" => {
            let model = digits();
            let samples = ndarray::Array2::from_shape_fn((4, 64), |(i, k)| ((i + k) % 7) as f32 / 7.0);
            let options = ConvertOptions { format: emit::Format::Original, ..ConvertOptions::default() };
            let converted = convert::convert(&model.graph, samples.view(), &options).expect("a network of rectifiers");
            let source = convert::manifest::Model {
                name: "digits_cnn.keras".into(),
                copy: "source/digits_cnn.keras".into(),
                sha256: model.source.sha256.clone(),
                input_shape: None,
            };
            let manifest = Manifest::new(source, &converted.normalized, &converted.emitted, &options, 4);
            vec![manifest.to_json().into_bytes()]
        }
        "labels" => vec![npy_labels()],
        "scales" => vec![br#"{"model_sha256": "", "scales": {"00Conv2D": 1.5, "01Dense": 0.25}}"#.to_vec()],
        "torch_pickle" => {
            let mut archive = zip::ZipArchive::new(std::io::Cursor::new(fixture("tests/data/zoo/parameters/cnn.pth")))
                .expect("an archive");
            let name =
                archive.file_names().find(|name| name.ends_with("data.pkl")).map(String::from).expect("a pickle");
            let mut pickle = Vec::new();
            std::io::copy(&mut archive.by_name(&name).expect("a pickle"), &mut pickle).expect("memory");
            vec![pickle]
        }
        "hardware" => vec![fixture("crates/megasim-study/src/hardware/machines/loihi.toml")],
        "hardware_log" => vec![b"node,receiver,requested,done\na,b,1,2\n\"c\",'=d,3,4\n".to_vec()],
        "preprocessing" => vec![b"resize = [4, 4]\ncrop = [2, 2]\nchannels = 1\nmean = [0.5]\nstd = [0.25]\n".to_vec()],
        "picture" => vec![PICTURE.to_vec(), png()],
        "toolbox" => vec![
            b"[paths]\npath_wd = .\ndataset_path = data\nfilename_ann = model\n\n[tools]\nevaluate_ann = True\n\n\
                [simulation]\nsimulator = MegaSim\nduration = 50\n"
                .to_vec(),
        ],
        "history" => vec![
            b"epoch,loss,val_loss\n0,0.9,1.0\n1,0.4,0.6\n".to_vec(),
            br#"{"loss": [0.9, 0.4], "val_loss": [1.0, 0.6]}"#.to_vec(),
        ],
        "single_spike_model" => single_spike_model(),
        _ => Vec::new(),
    }
}

fn single_spike_model() -> Vec<Vec<u8>> {
    let description = String::from_utf8(fixture("examples/single-spike/mozafari-2018-shallow.toml")).expect("text");
    let description = Description::from_toml(&description).expect("a description");
    let network = megasim::learning::SpikingNetwork::<f32>::new(&description, 1).expect("a network");
    let mut bytes = Vec::new();
    megasim::learning::Trainer::new(network, 1).write(&mut bytes).expect("memory");
    vec![bytes]
}

/// A grey picture of two by two pixels.
fn png() -> Vec<u8> {
    let mut bytes = Vec::new();
    let picture = image::GrayImage::from_raw(2, 2, vec![0, 85, 170, 255]).expect("four pixels");
    picture.write_to(&mut std::io::Cursor::new(&mut bytes), image::ImageFormat::Png).expect("memory");
    bytes
}
