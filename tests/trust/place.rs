//! A directory with something of each kind that commands take, made once.

use crate::npy::NpzReader;
use assert_cmd::Command;
use megasim::dataset::npy::{Element, NpzWriter};
use megasim::netfile::{self, FileNames};
use megasim::network::{
    Array, FullyConnected, FullyConnectedPort, Input, Module, ModuleKind, NetworkBuilder, NeuronParameters, Output,
    Polarity, Stimulus, StimulusEvent,
};
use ndarray::{Array1, Array3, Array4, Axis, Dimension, s, stack};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

pub struct Place {
    directory: tempfile::TempDir,
}

/// Status, standard output and standard error of a command.
pub fn megasim(directory: &Path, arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::cargo_bin("megasim").unwrap();
    command.current_dir(directory).args(arguments).timeout(Duration::from_secs(120));
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr))
}

pub fn digits() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/digits")
}

pub fn write_npz<X: Element, D: Dimension>(path: &Path, x: &ndarray::Array<X, D>, y: &Array1<u8>) {
    let mut npz = NpzWriter::new(File::create(path).unwrap());
    npz.add("x", x).unwrap();
    npz.add("y", y).unwrap();
    npz.finish().unwrap();
}

/// The first digits of an archive of the examples, and their classes.
pub fn some_digits(name: &str, count: usize) -> (Array3<u8>, Array1<u8>) {
    let mut npz = NpzReader::new(File::open(digits().join(name)).unwrap()).unwrap();
    let (x, y): (Array3<u8>, Array1<u8>) = (npz.by_name("x").unwrap(), npz.by_name("y").unwrap());
    (x.slice(s![..count, .., ..]).to_owned(), y.slice(s![..count]).to_owned())
}

const BARS: &str = r#"
name = "bars"
[input]
height = 8
width = 8
[encoding]
kernels = [{ dog = { window_size = 3, sigma1 = 0.5, sigma2 = 1.0 } }]
padding = 1
thresholds = 5.0
time_steps = 6
[[layer]]
type = "convolution"
maps = 4
kernel_size = 3
padding = 1
weight_std = 0.05
threshold = 2.0
[layer.learning]
rule = "stdp"
passes = 2
learning_rate = [0.05, -0.04]
kwta = 2
inhibition_radius = 1
schedule = { every = 10 }
[[layer]]
type = "pooling"
kernel_size = 4
[readout]
type = "linear"
c = 2.4
"#;

impl Place {
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let place = Self { directory };
        let here = place.path();
        let make = |arguments: &[&str]| {
            let (status, _, error) = megasim(here, arguments);
            assert!(status == 0, "{arguments:?}: {error}");
        };
        let spiking = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/nir/sinabs_groups.nir");
        fs::copy(spiking, here.join("network.nir")).unwrap();
        for name in ["data", "more", "moving", "recorded/test", "bars", "results"] {
            fs::create_dir_all(here.join(name)).unwrap();
        }
        fs::copy(digits().join("digits_cnn.keras"), here.join("model.keras")).unwrap();
        let (x, y) = some_digits("test.npz", 6);
        write_npz(&here.join("data/test.npz"), &x, &y);
        write_npz(&here.join("bars/test.npz"), &x, &y);
        let blank = Array3::zeros(x.raw_dim());
        let moving: Array4<u8> = stack(Axis(1), &[blank.view(), x.view()]).unwrap();
        write_npz(&here.join("moving/test.npz"), &moving, &y);
        write_npz(&here.join("moving/train.npz"), &moving, &y);
        let (x, y) = some_digits("train.npz", 40);
        write_npz(&here.join("data/train.npz"), &x, &y);
        write_npz(&here.join("more/train.npz"), &x.slice(s![..20, .., ..]).to_owned(), &y.slice(s![..20]).to_owned());
        write_npz(&here.join("more/test.npz"), &x.slice(s![..9, .., ..]).to_owned(), &y.slice(s![..9]).to_owned());
        write_npz(&here.join("bars/train.npz"), &x, &y);
        fs::write(here.join("bars.toml"), BARS).unwrap();
        fs::write(here.join("net.toml"), "").unwrap();
        fs::write(here.join("history.csv"), "epoch,accuracy,loss\n0,0.5,1.0\n1,0.75,0.5\n").unwrap();
        fs::write(here.join("settings.toml"), "[\"05*\"]\nT_Refract = 2\n").unwrap();
        let iaf = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/neurons/iaf.toml");
        fs::copy(iaf, here.join("neuron.toml")).unwrap();
        let machine = "tick = \"1 us\"\n[all]\ndelay_to_process = \"1 us\"\ntime_per_operation = \"1 \
            us\"\nfifo_depth = 1\n\
            energy_per_event = \"1 pJ\"\n";
        fs::write(here.join("machine.toml"), machine).unwrap();
        fs::write(here.join("run.toml"), "command = 'check'\narguments.schematic = 'cut.sch'\n").unwrap();
        let convert = ["convert", "model.keras", "--data", "data", "--preset", "toolbox"];
        let stages = ["--save-parsed", "parsed.npz", "--save-normalised", "normalised.npz", "--save-activations"];
        make(&[&convert[..], &["--out", "net", "--save-scales", "scales.json"], &stages, &["activations"]].concat());
        let recorded = ["--record", "input", "--mode", "event", "--nir-data", "trains.nir"];
        make(&[&["classify", "net", "--data", "data", "--samples", "3"][..], &recorded].concat());
        make(&["train", "bars.toml", "--data", "bars", "--out", "spiking.npz"]);
        fs::remove_file(here.join("run.json")).unwrap();
        recordings(here);
        schematic(here, "cut", 10);
        schematic(here, "changed", 20);
        crate::npy::write_npy(here.join("labels.npy"), &ndarray::array![0i64, 1, 1]).unwrap();
        make(&["run", "cut.sch", "--out", "one"]);
        make(&["run", "changed.sch", "--out", "two"]);
        make(&["classify", "net", "--data", "data", "--json", "results/classify.json"]);
        for (shard, part) in [("1/2", "part-1"), ("2/2", "part-2")] {
            make(&["classify", "net", "--data", "data", "--shard", shard, "--outcomes", part]);
        }
        fs::remove_file(here.join("results/run.json")).unwrap();
        let latency = ["latency", "net", "--data", "data", "--hardware", "serial-aer", "--relief", "0"];
        make(&[&latency[..], &["--samples", "1", "--duration", "10", "--trace", "log.csv"]].concat());
        let config = "[paths]\npath_wd = .\ndataset_path = data\nfilename_ann = model\n[simulation]\nduration = \
            20\nnum_to_test = 3\n\
            [conversion]\nsoftmax_to_relu = True\n";
        fs::write(here.join("config"), config).unwrap();
        place
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    pub fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        megasim(self.path(), arguments)
    }

    /// All of it, for a command that writes. Files are those of this place, by links: the program never writes into a
    /// file that was there, which [`Place::stamps`] shows.
    pub fn linked(&self) -> tempfile::TempDir {
        let copy = tempfile::tempdir().unwrap();
        link_all(self.path(), copy.path());
        copy
    }

    /// When every file was written, and its size.
    pub fn stamps(&self) -> Stamps {
        stamps(self.path())
    }
}

/// When files were written, and their sizes, by names.
pub type Stamps = BTreeMap<PathBuf, (SystemTime, u64)>;

/// When every file below a directory was written, and its size.
pub fn stamps(directory: &Path) -> Stamps {
    let (mut all, mut open) = (Stamps::new(), vec![directory.to_path_buf()]);
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                let known = fs::metadata(&path).unwrap();
                let name = path.strip_prefix(directory).unwrap().to_path_buf();
                all.insert(name, (known.modified().unwrap(), known.len()));
            }
        }
    }
    all
}

fn link_all(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            fs::create_dir(&target).unwrap();
            link_all(&path, &target);
        } else {
            fs::hard_link(&path, &target).unwrap();
        }
    }
}

/// Two recordings of a camera of 8 x 8 pixels, and one by itself.
fn recordings(here: &Path) {
    let mut list = String::new();
    for k in 0..2usize {
        let event = |n: usize| format!("{},{},{},{}\n", n * 700, (n * 3 + k) % 8, (n * 5 + n / 8) % 8, n % 3 % 2);
        let text: String = (0..60).map(event).collect();
        fs::write(here.join(format!("recorded/test/{k}.csv")), &text).unwrap();
        fs::write(here.join("recording.csv"), &text).unwrap();
        list += &format!("{k}.csv, {k}\n");
    }
    fs::write(here.join("recorded/test/labels.csv"), list).unwrap();
}

/// Two inputs that excite a neuron each, the first lowering the second; three samples of 10 ticks, cut by resets.
fn schematic(here: &Path, name: &str, threshold_plus: i32) {
    let mut network = NetworkBuilder::new();
    let (input, reset) = (network.source("In").unwrap(), network.source("Reset").unwrap());
    let array = Array { nx: 2, ny: 1, x_min: 0, y_min: 0 };
    let kind = ModuleKind::FullyConnected(FullyConnected {
        array,
        neurons: NeuronParameters { threshold_plus, ..Default::default() },
        ports: vec![FullyConnectedPort { nx_pre: 2, ny_pre: 1, weights: [10, -10, 0, 10].into() }],
        output: Output::whole(array),
    });
    let inputs = [input, reset].map(Input::Node).to_vec();
    let module = Module { kind, inputs, timing: Default::default(), not_programmable: false };
    network.module(module, &["Out"]).unwrap();
    let network = network.build(1000).unwrap();
    let spike = |t_pre, x| StimulusEvent { t_pre, x, y: 0, polarity: Polarity::Positive };
    let spikes = [(2, 0), (5, 0), (6, 0), (15, 1), (16, 1), (17, 1), (25, 1), (25, 1), (25, 0), (28, 0)];
    let input = Stimulus::from_events(spikes.map(|(t, x)| spike(t, x)));
    let reset = Stimulus::from_events([StimulusEvent::reset(10), StimulusEvent::reset(20)]);
    let folder = here.join(name);
    fs::create_dir(&folder).unwrap();
    netfile::write(&folder, &network, &[input, reset], &FileNames::of(&network)).unwrap();
    // Files of both are side by side, under their own names.
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let file = path.file_name().unwrap().to_string_lossy().into_owned();
        if file == "megasim.sch" {
            continue;
        }
        fs::copy(&path, here.join(format!("{name}-{file}"))).unwrap();
    }
    let mut text = fs::read_to_string(folder.join("megasim.sch")).unwrap();
    let names: Vec<String> =
        fs::read_dir(&folder).unwrap().map(|it| it.unwrap().file_name().to_string_lossy().into_owned()).collect();
    for file in names.iter().filter(|file| *file != "megasim.sch") {
        text = text.replace(&format!(" {file}"), &format!(" {name}-{file}"));
    }
    fs::write(here.join(format!("{name}.sch")), text).unwrap();
}
