//! `megasim train`, `features`, `eval` and `classify` on single-spike networks, with pictures made here.

use crate::arrays::write_npz;
use crate::npy::NpzReader;
use assert_cmd::Command;
use ndarray::{Array1, Array3, Array4};
use predicates::prelude::*;
use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, Instant};

/// Bars of four orientations at random-looking places, over faint noise: 12x12, classes 0 to 3.
fn bars(count: usize, salt: usize) -> (Array3<u8>, Array1<u8>) {
    let mut state = salt as u64 * 2 + 1;
    let mut random = move |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let mut images = Array3::zeros((count, 12, 12));
    let mut labels = Array1::zeros(count);
    for (number, mut image) in images.outer_iter_mut().enumerate() {
        let class = number % 4;
        labels[number] = class as u8;
        image.mapv_inplace(|_: u8| random(30) as u8);
        let (y, x) = (3 + random(6) as isize, 3 + random(6) as isize);
        for step in -3..=2_isize {
            let (row, column) = match class {
                0 => (y, x + step),
                1 => (y + step, x),
                2 => (y + step, x + step),
                _ => (y + step, x - step),
            };
            if (0..12).contains(&row) && (0..12).contains(&column) {
                image[(row as usize, column as usize)] = 200 + random(50) as u8;
            }
        }
    }
    (images, labels)
}

const NETWORK: &str = r#"
name = "bars"
[input]
height = 12
width = 12
[encoding]
kernels = [
  { dog = { window_size = 3, sigma1 = 0.5, sigma2 = 1.0 } },
  { dog = { window_size = 3, sigma1 = 1.0, sigma2 = 0.5 } },
]
padding = 1
thresholds = 20.0
time_steps = 10
[[layer]]
type = "convolution"
maps = 12
kernel_size = 5
padding = 2
weight_std = 0.05
threshold = 5.0
[layer.learning]
rule = "stdp"
passes = 6
learning_rate = [0.05, -0.04]
kwta = 2
inhibition_radius = 3
schedule = { every = 100 }
"#;

const LINEAR: &str = r#"
[[layer]]
type = "pooling"
kernel_size = 4
[readout]
type = "linear"
c = 2.4
"#;

const REWARD: &str = r#"
[[layer]]
type = "pooling"
kernel_size = 2
[[layer]]
type = "convolution"
maps = 16
kernel_size = 6
padding = 1
weight_std = 0.05
[layer.learning]
rule = "rstdp"
passes = 20
reward = [0.01, -0.0075]
punish = [-0.01, 0.00125]
use_stabilizer = false
lower_bound = 0.2
upper_bound = 0.8
batch = 50
dropout = 0.2
shuffle = true
[readout]
type = "winner"
maps_per_class = 4
"#;

struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    fn new(readout: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (x, y) = bars(400, 1);
        write_npz(&directory.path().join("train.npz"), &x, &y);
        let (x, y) = bars(120, 2);
        write_npz(&directory.path().join("test.npz"), &x, &y);
        fs::write(directory.path().join("net.toml"), format!("{NETWORK}{readout}")).unwrap();
        Self { directory }
    }
    fn path(&self, name: &str) -> std::path::PathBuf {
        self.directory.path().join(name)
    }
    fn megasim(&self, arguments: &[&str]) -> Command {
        let mut command = Command::cargo_bin("megasim").unwrap();
        command.current_dir(self.directory.path()).args(arguments).timeout(Duration::from_secs(300));
        command
    }
    fn train(&self, out: &str, more: &[&str]) -> Vec<u8> {
        self.megasim(&["train", "net.toml", "--data", ".", "--out", out]).args(more).assert().success();
        fs::read(self.path(out)).unwrap()
    }
    fn accuracy(&self, command: &str, model: &str) -> f64 {
        let json = format!("{model}.{command}.json");
        self.megasim(&[command, model, "--data", ".", "--json", &json, "--force"]).assert().success();
        let figures: serde_json::Value = serde_json::from_slice(&fs::read(self.path(&json)).unwrap()).unwrap();
        assert_eq!(figures["samples"], 120);
        figures["accuracy"].as_f64().unwrap()
    }
}

#[test]
fn features_tell_bars_apart() {
    let place = Place::new(LINEAR);
    let one = place.train("one.npz", &["--threads", "1"]);
    assert_eq!(one, place.train("three.npz", &["--threads", "3"]), "threads change the model");
    assert_ne!(one, place.train("seed.npz", &["--seed", "5"]));
    assert!(!place.path("one.npz.checkpoint").exists());
    let accuracy = place.accuracy("eval", "one.npz");
    assert!(accuracy > 0.5, "{accuracy}"); // chance: 0.25
    assert_eq!(place.accuracy("eval", "one.npz"), place.accuracy("classify", "one.npz"));

    place
        .megasim(&["features", "one.npz", "--data", ".", "--out", "f.npz", "--samples", "7", "--picture", "maps.svg"])
        .assert()
        .success();
    let svg = fs::read_to_string(place.path("maps.svg")).unwrap();
    assert_eq!(svg.matches("<title>map ").count(), 12);
    let mut npz = NpzReader::new(File::open(place.path("f.npz")).unwrap()).unwrap();
    let spikes: Array4<u8> = npz.by_name("x").unwrap();
    assert_eq!(spikes.dim(), (7, 12, 3, 3));
    place
        .megasim(&["features", "one.npz", "--data", ".", "--out", "b.npz", "--samples", "7", "--what", "bins"])
        .assert()
        .success();
    let mut npz = NpzReader::new(File::open(place.path("b.npz")).unwrap()).unwrap();
    let bins: Array4<u32> = npz.by_name("x").unwrap();
    assert_eq!(bins.mapv(|bin| u8::from(bin < 10)), spikes);

    // As netfiles: the engine's event files hold the same bins.
    place.megasim(&["convert", "one.npz", "--data", ".", "--out", "net"]).assert().success();
    place.megasim(&["run", "net/megasim.sch", "--out", "events"]).assert().success();
    for map in 0..12 {
        let text = fs::read_to_string(place.path(&format!("events/node_01MaxPooling2D_12x3x3_{map}.evs"))).unwrap();
        let mut found = ndarray::Array2::from_elem((3, 3), 10_u32);
        for line in text.lines() {
            let numbers: Vec<usize> = line.split(' ').take(5).map(|number| number.parse().unwrap()).collect();
            found[(numbers[4], numbers[3])] = (numbers[0] / 1000) as u32;
        }
        assert_eq!(found, bins.slice(ndarray::s![0, map, .., ..]));
    }

    let record: serde_json::Value = serde_json::from_slice(&fs::read(place.path("run.json")).unwrap()).unwrap();
    assert_eq!(record["parameters"]["what"], "bins");
    let fixed = place.train("fixed.npz", &["--weights", "fixed"]);
    assert_eq!(fixed, place.train("fixed3.npz", &["--weights", "fixed", "--threads", "3"]));
    let accuracy = place.accuracy("eval", "fixed.npz");
    assert!(accuracy > 0.5, "{accuracy}"); // chance: 0.25
}

#[test]
fn a_page_shows_what_was_learned() {
    let place = Place::new(LINEAR);
    place.train("model.npz", &[]);
    let features =
        ["features", "model.npz", "--data", ".", "--out", "f.npz", "--samples", "3", "--report", "page.html"];
    place.megasim(&features).assert().success();
    let page = fs::read_to_string(place.path("page.html")).unwrap();
    for part in
        ["Convergence of the weights", "Preferred stimuli", "Weights of layer 1", "Spike times, layer 1", "Winners"]
    {
        assert!(page.contains(part), "{part}");
    }
    // One line for each neuron of the filters' first picture, 144 cells per map.
    let times = fs::read_to_string(place.path("page_files/spike-times-input.csv")).unwrap();
    assert_eq!(times.lines().count() % 144, 1, "a header, and a line a cell");
    place.megasim(&features).arg("--force").assert().success();
    place.megasim(&features).assert().code(1).stderr(predicate::str::contains("exists"));
}

#[test]
fn reward_tells_bars_apart() {
    let place = Place::new(REWARD);
    place.train("model.npz", &[]);
    let accuracy = place.accuracy("eval", "model.npz");
    assert!(accuracy > 0.6, "{accuracy}");
}

#[test]
fn encoded_images_are_kept_and_taken_from_there() {
    let place = Place::new(LINEAR);
    let plain = place.train("plain.npz", &[]);
    assert_eq!(plain, place.train("first.npz", &["--cache", "kept"]));
    let kept = fs::read_dir(place.path("kept")).unwrap().next().unwrap().unwrap().path();
    let whole = fs::read(&kept).unwrap();
    assert_eq!(plain, place.train("second.npz", &["--cache", "kept"]));
    let mut damaged = whole.clone();
    damaged[40] ^= 1;
    fs::write(&kept, damaged).unwrap();
    place
        .megasim(&["train", "net.toml", "--data", ".", "--out", "third.npz", "--cache", "kept"])
        .assert()
        .success()
        .stderr(predicate::str::contains("damaged; the images are encoded again"));
    assert_eq!(plain, fs::read(place.path("third.npz")).unwrap());
    assert_eq!(whole, fs::read(&kept).unwrap(), "the file is whole again");
    // What is there is what is taken: no other images are made.
    assert_eq!(fs::read_dir(place.path("kept")).unwrap().count(), 1);
}

#[test]
fn killed_and_resumed_is_uninterrupted() {
    for readout in [LINEAR, REWARD] {
        let place = Place::new(readout);
        let whole = place.train("whole.npz", &[]);
        let arguments = ["train", "net.toml", "--data", ".", "--out", "part.npz", "--checkpoint", "90"];
        let checkpoint = place.path("part.npz.checkpoint");
        let mut child = std::process::Command::new(assert_cmd::cargo::cargo_bin!("megasim"))
            .current_dir(place.directory.path())
            .args(arguments)
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let start = Instant::now();
        while !checkpoint.exists() && start.elapsed() < Duration::from_secs(120) {
            std::thread::sleep(Duration::from_micros(200));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        if checkpoint.exists() {
            place.megasim(&arguments).assert().code(1).stderr(predicate::str::contains("--resume"));
            let other = [&arguments[..], &["--resume", "--seed", "9"]].concat();
            place.megasim(&other).assert().code(1).stderr(predicate::str::contains("seed"));
            let fewer = [&arguments[..], &["--resume", "--samples", "3"]].concat();
            let expected = "expected the training data of the interrupted run";
            place.megasim(&fewer).assert().code(1).stderr(predicate::str::contains(expected));
        }
        let resumed = [&arguments[..], &["--resume"]].concat();
        // Where the kill came too late the model is there already.
        if !place.path("part.npz").exists() {
            place.megasim(&resumed).assert().success();
        }
        assert_eq!(fs::read(place.path("part.npz")).unwrap(), whole);
        assert!(!checkpoint.exists());
    }
}

fn refused(change: impl Fn(&Place), message: &str) {
    let place = Place::new(LINEAR);
    change(&place);
    place
        .megasim(&["train", "net.toml", "--data", ".", "--out", "model.npz"])
        .assert()
        .code(1)
        .stderr(predicate::str::contains(message));
    assert!(!place.path("model.npz").exists());
}

#[test]
fn bad_input_is_refused_by_name() {
    let text = |from: &'static str, to: &'static str| {
        move |place: &Place| {
            let text = format!("{NETWORK}{LINEAR}");
            assert!(text.contains(from));
            fs::write(place.path("net.toml"), text.replacen(from, to, 1)).unwrap();
        }
    };
    refused(text("maps = 12", "maps = 12\nmpas = 3"), "mpas");
    refused(text("kernel_size = 5", "kernel_size = 50"), "50x50");
    refused(text("type = \"pooling\"", "type = \"polling\""), "polling");
    refused(text("threshold = 5.0", "threshold = -5.0"), "threshold");
    refused(text("kwta = 2", "kwta = 0"), "kwta");
    refused(text("rule = \"stdp\"", "rule = \"rstdp\""), "inhibition_radius");
    refused(text("height = 12", "height = 13"), "13");
    refused(text("time_steps = 10", "time_steps = 0"), "time_steps");
    refused(text("time_steps = 10", "time_steps = 4000000000"), "time_steps");
    refused(
        text("maps = 12\nkernel_size = 5\npadding = 2", "maps = 60000\nkernel_size = 5000\npadding = 5000"),
        "layer 1",
    );
    refused(text("[encoding]", "[encoding"), "encoding");
    refused(
        |place| {
            let (x, y) = bars(40, 1);
            let mut x = x.mapv(|pixel| f32::from(pixel) / 255.0);
            x[(3, 4, 5)] = f32::NAN;
            write_npz(&place.path("train.npz"), &x, &y);
        },
        "sample 3",
    );
}

#[test]
fn blank_and_nearly_blank_images_are_shown() {
    let place = Place::new(LINEAR);
    let (mut x, y) = bars(40, 1);
    x.index_axis_mut(ndarray::Axis(0), 0).fill(0);
    x.index_axis_mut(ndarray::Axis(0), 1).fill(0);
    x[(1, 5, 5)] = 255;
    write_npz(&place.path("train.npz"), &x, &y);
    place.train("model.npz", &[]);
    place
        .megasim(&["features", "model.npz", "--data", ".", "--set", "train", "--out", "f.npz", "--samples", "1"])
        .assert()
        .success();
    let mut npz = NpzReader::new(File::open(place.path("f.npz")).unwrap()).unwrap();
    let spikes: Array4<u8> = npz.by_name("x").unwrap();
    assert!(spikes.iter().all(|&spike| spike == 0));
}

#[test]
fn samples_without_spikes_are_counted() {
    let place = Place::new(LINEAR);
    let text = format!("{NETWORK}{LINEAR}").replacen("threshold = 5.0", "threshold = 5e6", 1);
    fs::write(place.path("net.toml"), text).unwrap();
    let silent = "the last layer does not spike for 400 of 400 training samples";
    let train = place.megasim(&["train", "net.toml", "--data", ".", "--out", "model.npz"]).assert().success();
    let warning = String::from_utf8(train.get_output().stderr.clone()).unwrap();
    assert!(warning.split_whitespace().collect::<Vec<_>>().join(" ").contains(silent), "{warning}");
    let eval = ["eval", "model.npz", "--data", ".", "--json", "eval.json"];
    place.megasim(&eval).assert().success().stdout(predicate::str::contains("does not spike for 120"));
    let figures: serde_json::Value = serde_json::from_slice(&fs::read(place.path("eval.json")).unwrap()).unwrap();
    assert_eq!(figures["silent"], 120);
    let message = "a model of 'megasim train'";
    place.megasim(&["inspect", "model.npz"]).assert().code(1).stderr(predicate::str::contains(message));
    // Results are replaced, data is not.
    let again = ["train", "net.toml", "--data", ".", "--force", "--out"];
    place.megasim(&[&again[..], &["model.npz"]].concat()).assert().success();
    let message = "expected another name than that of a file in the data directory";
    place.megasim(&[&again[..], &["train.npz"]].concat()).assert().code(1).stderr(predicate::str::contains(message));
}

#[test]
fn a_schematic_that_ends_before_the_first_barrier_is_warned_of() {
    let place = Place::new(LINEAR);
    place.train("model.npz", &[]);
    place.megasim(&["convert", "model.npz", "--data", ".", "--out", "net"]).assert().success();
    let warning = |more: &[&str]| {
        let latency = ["latency", "net/megasim.sch", "--hardware", "loihi", "--relief", "0"];
        let assert = place.megasim(&[&latency[..], more].concat()).assert().success();
        let text = String::from_utf8(assert.get_output().stderr.clone()).unwrap();
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let found = warning(&[]);
    assert!(found.contains("before the first barrier at tick") && found.contains("--tick TIME"), "{found}");
    assert!(!warning(&["--tick", "1 us"]).contains("barrier"));
}

#[test]
fn damaged_models_are_refused() {
    let place = Place::new(LINEAR);
    let whole = place.train("model.npz", &[]);
    for damage in 0..40 {
        let mut bytes = whole.clone();
        match damage % 4 {
            0 => bytes.truncate(whole.len() * (damage + 1) / 42),
            _ => {
                let at = (damage * 7919 * 31) % whole.len();
                bytes[at] ^= 0x55;
            }
        }
        fs::write(place.path("bad.npz"), &bytes).unwrap();
        let output = place.megasim(&["eval", "bad.npz", "--data", "."]).output().unwrap();
        // A flipped bit may be where nothing depends on it; a panic (101) or an abort is never right.
        assert!(matches!(output.status.code(), Some(0 | 1)), "{:?}", output);
    }
}

#[test]
fn shipped_descriptions_are_networks() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/single-spike");
    let mut count = 0;
    for entry in fs::read_dir(directory).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        let description = megasim::learning::Description::from_toml(&text).unwrap();
        // What is stored in a model reads back as the same.
        let again = megasim::learning::Description::from_toml(&toml::to_string(&description).unwrap()).unwrap();
        assert_eq!(again, description);
        count += 1;
    }
    assert_eq!(count, 3);
}
