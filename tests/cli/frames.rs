//! `megasim classify --frames`: sequences of frames as samples.

use crate::arrays::write_npz;
use crate::npy::NpzReader;
use assert_cmd::Command;
use ndarray::{Array1, Array3, Array4, Axis, s, stack};
use predicates::str::contains;
use serde_json::Value;
use std::fs::{self, File};
use std::path::Path;

const SAMPLES: usize = 30;

fn megasim(here: &Path, arguments: &str) -> assert_cmd::assert::Assert {
    Command::cargo_bin("megasim").unwrap().current_dir(here).args(arguments.split_whitespace()).assert()
}

fn digits() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/digits")
}

/// The first digits of the demo and their classes.
fn some_digits() -> (Array3<u8>, Array1<u8>) {
    let mut npz = NpzReader::new(File::open(digits().join("test.npz")).unwrap()).unwrap();
    let (x, y): (Array3<u8>, Array1<u8>) = (npz.by_name("x").unwrap(), npz.by_name("y").unwrap());
    (x.slice(s![..SAMPLES, .., ..]).to_owned(), y.slice(s![..SAMPLES]).to_owned())
}

/// A directory with the demo's network as netfiles in `net` and some digits in `still`.
fn start() -> (tempfile::TempDir, Array3<u8>, Array1<u8>) {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let model = digits().join("digits_cnn.keras");
    megasim(here, &format!("convert {} --data {} --out net", model.display(), digits().display())).success();
    let (x, y) = some_digits();
    fs::create_dir(here.join("still")).unwrap();
    fs::create_dir(here.join("moving")).unwrap();
    write_npz(&here.join("still/test.npz"), &x, &y);
    (directory, x, y)
}

fn figures(path: &Path) -> Value {
    let mut figures: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    figures["seconds"].take();
    figures
}

/// Input spikes per sample, as the table has them.
fn input_spikes(assert: &assert_cmd::assert::Assert) -> u64 {
    let text = String::from_utf8_lossy(&assert.get_output().stdout).into_owned();
    let row = text.lines().find(|line| line.starts_with("│ event ")).unwrap_or_else(|| panic!("{assert}"));
    row.split('┆').nth(4).unwrap().trim().parse().unwrap()
}

#[test]
fn a_picture_that_does_not_move_is_a_still_one() {
    let (directory, x, y) = start();
    let here = directory.path();
    let moving: Array4<u8> = stack(Axis(1), &[x.view(), x.view(), x.view()]).unwrap();
    write_npz(&here.join("moving/test.npz"), &moving, &y);
    // Delta code tells what changes: here, only the first frame. Each has 30 ms, more than its spikes need.
    let code = "--encode delta:step=0.05 --duration 90";
    megasim(here, &format!("classify net --data still {code} --json still.json")).success();
    megasim(here, &format!("classify net --data moving --frames {code} --json moving.json")).success();
    assert_eq!(figures(&here.join("still.json")), figures(&here.join("moving.json")));
}

#[test]
fn frames_without_labels_have_predictions() {
    let (directory, x, y) = start();
    let here = directory.path();
    let moving: Array4<u8> = stack(Axis(1), &[x.view(), x.view()]).unwrap();
    write_npz(&here.join("moving/test.npz"), &moving, &y);
    crate::npy::write_npy(here.join("alone.npy"), &moving).unwrap();
    megasim(here, "classify net --data moving --frames --predictions known.csv").success();
    let alone = megasim(here, "classify net --data alone.npy --frames --predictions alone.csv").success();
    let text = String::from_utf8_lossy(&alone.get_output().stdout).into_owned();
    assert!(text.lines().any(|line| line.starts_with("│ event ") && line.contains("┆        - ┆")), "{text}");
    // All but the column of labels is as with them.
    let rows = |name: &str| -> Vec<Vec<String>> {
        let text = fs::read_to_string(here.join(name)).unwrap();
        text.lines().map(|line| line.split(',').map(String::from).collect()).collect()
    };
    let (known, unknown) = (rows("known.csv"), rows("alone.csv"));
    assert_eq!((known[0][1].as_str(), known.len()), ("label", SAMPLES + 1));
    for (known, unknown) in known.iter().zip(&unknown) {
        assert_eq!((&known[0], &known[2..]), (&unknown[0], &unknown[2..]));
    }
    // A conversion needs none either; without them it has no accuracies.
    let model = digits().join("digits_cnn.keras");
    megasim(here, &format!("convert {} --data alone.npy --frames --out again", model.display())).success();
}

#[test]
fn frames_share_the_presentation() {
    let (directory, x, y) = start();
    let here = directory.path();
    // Nothing but a blank frame in the first half.
    let blank = Array3::zeros(x.raw_dim());
    let moving: Array4<u8> = stack(Axis(1), &[blank.view(), x.view()]).unwrap();
    write_npz(&here.join("moving/test.npz"), &moving, &y);
    let still = input_spikes(&megasim(here, "classify net --data still --duration 50 --full"));
    let moving =
        input_spikes(&megasim(here, "classify net --data moving --frames --duration 100 --report page.html --full"));
    assert!(still > 0);
    assert_eq!(still, moving);
    assert!(here.join("page.html").exists());
}

#[test]
fn what_is_no_sequence_is_refused() {
    let (directory, x, y) = start();
    let here = directory.path();
    megasim(here, "classify net --data still --frames").code(1).stderr(contains("frames of a sequence (--frames)"));
    let moving: Array4<u8> = stack(Axis(1), &[x.view(), x.view()]).unwrap();
    write_npz(&here.join("moving/test.npz"), &moving, &y);
    megasim(here, "classify net --data moving").code(1).stderr(contains("expected samples of shape (1, 8, 8)"));
    megasim(here, "classify net --data moving --frames --encode current").code(1).stderr(contains("currents"));
    write_npz(&here.join("moving/test.npz"), &Array1::<u8>::zeros(3), &Array1::<u8>::zeros(3));
    megasim(here, "classify net --data moving --frames").code(1).stderr(contains("(sample, frame, ...)"));
}

#[test]
fn statistics_of_frames_are_kept() {
    let (directory, x, y) = start();
    let here = directory.path();
    let moving: Array4<u8> = stack(Axis(1), &[x.view(), x.mapv(|value| value / 2).view()]).unwrap();
    for folder in ["moving", "plain"] {
        fs::create_dir_all(here.join(folder)).unwrap();
        for name in ["test.npz", "train.npz"] {
            write_npz(&here.join(folder).join(name), &moving, &y);
        }
    }
    fs::write(here.join("moving/preprocessing.toml"), "rescale = 1\nfeaturewise_center = true\n").unwrap();
    let model = digits().join("digits_cnn.keras");
    megasim(here, &format!("convert {} --data moving --frames --out kept", model.display())).success();
    let mut kept = NpzReader::new(File::open(here.join("kept/standardisation.npz")).unwrap()).unwrap();
    let mean: Array1<f32> = kept.by_name("mean").unwrap();
    let expected = moving.mapv(f64::from).mean().unwrap();
    assert!((f64::from(mean[0]) - expected).abs() < 1e-3, "{mean} {expected}");
    // Whatever data are shown: by the statistics of the conversion.
    fs::write(here.join("plain/preprocessing.toml"), "rescale = 1\n").unwrap();
    for data in ["moving", "plain"] {
        megasim(here, &format!("classify kept --data {data} --frames --samples 5 --json {data}.json")).success();
    }
    assert_eq!(figures(&here.join("moving.json")), figures(&here.join("plain.json")));
    // Without any in the netfiles: by those of the frames.
    megasim(here, "classify net --data moving --frames --samples 5").success();
}
