//! Small models and data as people have them, each of a kind that was once refused or read wrongly; `ref.npy` holds
//! what the framework itself puts out.

use crate::npy::read_npy;
use assert_cmd::Command;
use megasim::ann::import::{self, ReadOptions};
use megasim::ann::{forward, score::Score};
use megasim::dataset::npy::NpzWriter;
use megasim::dataset::{Dataset, Format};
use ndarray::{Array1, Array3, Ix2, s};
use predicates::prelude::*;
use predicates::str::contains;
use serde_json::Value;
use std::fs::File;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// All cases, unpacked.
fn cases() -> TempDir {
    let archive = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/cases.zip");
    let directory = tempfile::tempdir().unwrap();
    zip::ZipArchive::new(File::open(archive).unwrap()).unwrap().extract(directory.path()).unwrap();
    directory
}

/// The model of a case: the one file next to its data.
fn model(case: &Path) -> PathBuf {
    let files = std::fs::read_dir(case).unwrap().map(|entry| entry.unwrap().path());
    let mut models = files.filter(|path| path.is_file());
    let model = models.next().unwrap();
    assert!(models.next().is_none(), "{}: expected one model", case.display());
    model
}

fn megasim(arguments: &[&Path]) -> assert_cmd::assert::Assert {
    Command::cargo_bin("megasim").unwrap().args(arguments).assert()
}

#[test]
fn outputs_are_those_of_the_frameworks() {
    let all = cases();
    let mut compared = 0;
    for case in std::fs::read_dir(all.path()).unwrap().map(|entry| entry.unwrap().path()) {
        let Ok(expected) = read_npy::<f32, Ix2>(case.join("data/ref.npy")) else { continue };
        // Its labels are of other statistics than those in the file.
        if case.ends_with("26-normalization-layer") {
            continue;
        }
        let input_shape = case.ends_with("17-dynamic-hw").then(|| vec![1, 8, 8]);
        let model = import::read_as(&model(&case), ReadOptions { input_shape, ..ReadOptions::default() }).unwrap();
        let data = Dataset::open(&case.join("data")).unwrap().for_input(model.input_form());
        let format = Format { shape: model.input_shape(), classes: model.classes() };
        let samples = data.test(&format, 0, None).unwrap();
        let mut outputs = forward::forward(&model.graph, samples.x.view()).unwrap();
        if expected.ncols() == 1 {
            // One sigmoid is the probability of the second of two classes.
            outputs = outputs.slice(s![.., 1..]).to_owned();
        } else {
            let right = Score::new(outputs.view(), &samples.y).accuracy();
            assert_eq!(right, 1.0, "{}", case.display());
        }
        let differs = (&outputs - &expected).iter().fold(0.0f32, |most, difference| most.max(difference.abs()));
        assert!(differs < 1e-4, "{}: differs by {differs}", case.display());
        compared += 1;
    }
    assert_eq!(compared, 16);
}

#[test]
fn a_normalization_is_an_affine_map() {
    let case = cases();
    let case = case.path().join("26-normalization-layer");
    let model = import::read(&model(&case)).unwrap();
    let data = Dataset::open(&case.join("data")).unwrap().for_input(model.input_form());
    let format = Format { shape: model.input_shape(), classes: model.classes() };
    let first = data.test(&format, 0, Some(1)).unwrap();
    let outputs = forward::forward(&model.graph, first.x.view()).unwrap();
    // (x - mean) / sqrt(variance), convolution, maxima, dense, softmax in plain double precision.
    for (found, expected) in outputs.iter().zip([0.018_820_41, 0.376_424_55, 0.604_755_04]) {
        assert!((found - expected).abs() < 1e-5, "{outputs}");
    }
}

#[test]
fn labels_agree_where_there_is_nothing_else_to_compare_with() {
    let all = cases();
    for case in ["03-flatten-square", "04-conv1d-square"] {
        let case = all.path().join(case);
        megasim(&["eval".as_ref(), &model(&case), "--data".as_ref(), &case.join("data")])
            .success()
            .stdout(contains("100.00 % (50 of 50 right)"));
    }
    // The labels of this one are not the framework's own: its outputs are above 1/2 for 17 of them.
    let case = all.path().join("11-binary-sigmoid");
    megasim(&["eval".as_ref(), &model(&case), "--data".as_ref(), &case.join("data")])
        .success()
        .stdout(contains("42.50 % (17 of 40 right)").and(contains("2 classes")));
}

#[test]
fn spikes_decide_as_the_network_does() {
    let all = cases();
    for (case, note) in [
        ("01-rescaling-uint8", "input: 0 to 255, scaled by the model"),
        ("02-rescaling-float255", "input: 0 to 255, scaled by the model"),
        ("08-relu-bn-samepad", ""),
        ("09-bn-first-samepad", ""),
        ("13-negative-logits", "is added to all, which the softmax"),
        ("18-channel-shuffle", ""),
        ("19-prelu", ""),
        ("33-split", ""),
    ] {
        let case = all.path().join(case);
        let (netdir, json, data) = (case.join("net"), case.join("result.json"), case.join("data"));
        megasim(&[
            "convert".as_ref(),
            &model(&case),
            "--data".as_ref(),
            &data,
            "--out".as_ref(),
            &netdir,
            "--preset".as_ref(),
            "toolbox".as_ref(),
        ])
        .success()
        .stdout(contains(note));
        let duration = ["--duration".as_ref(), "300".as_ref(), "--json".as_ref(), json.as_ref()];
        megasim(&[&["classify".as_ref(), netdir.as_ref(), "--data".as_ref(), data.as_ref()], &duration[..]].concat())
            .success();
        let result: Value = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
        for mode in ["event", "clocked"] {
            let accuracy = result.pointer(&format!("/accuracy/{mode}")).and_then(Value::as_f64);
            assert!(accuracy.unwrap() >= 0.9, "{}: {mode} {accuracy:?}", case.display());
        }
    }
}

#[test]
fn refusals_say_what_is_the_obstacle_and_what_helps() {
    let all = cases();
    let case = all.path().join("12-maxpool-signed");
    // Signed neurons take maxima of values below 0, the default; others do not.
    let convert = |more: [&str; 2], out: &str| {
        let (model, data, net) = (model(&case), case.join("data"), case.join(out));
        let words: [&Path; 6] = ["convert".as_ref(), &model, "--data".as_ref(), &data, "--out".as_ref(), &net];
        megasim(&[&words[..], &more.map(Path::new)].concat())
    };
    convert(["--preset", "short"], "signed").success();
    convert(["--preset", "toolbox"], "net")
        .failure()
        .stderr(contains("'max_pooling2d_2' (MaxPooling2D)").and(contains("--max-to-average")));
    let case = all.path().join("17-dynamic-hw");
    let data = case.join("data");
    megasim(&["eval".as_ref(), &model(&case), "--data".as_ref(), &data])
        .failure()
        .stderr(contains("found (1, ?, ?)").and(contains("--input-shape")));
    megasim(&["eval".as_ref(), &model(&case), "--data".as_ref(), &data, "--input-shape".as_ref(), "1,8,8".as_ref()])
        .success()
        .stdout(contains("100.00 %"));
    megasim(&["eval".as_ref(), &model(&case), "--data".as_ref(), &data, "--input-shape".as_ref(), "3,8,8".as_ref()])
        .failure()
        .stderr(contains("fits (1, ?, ?)"));
    megasim(&["inspect".as_ref(), &all.path().join("22-lfs-pointer/lfs.h5")])
        .failure()
        .stderr(contains("Git LFS").and(contains("git lfs pull")));
    for (file, layer) in [("mult.keras", "Multiply"), ("maximum.keras", "Maximum")] {
        megasim(&["inspect".as_ref(), &all.path().join("20-merge-layers-wrong-words").join(file)])
            .success()
            .stdout(contains(layer).and(contains("this merge of branches has no spiking form")));
    }
    for file in ["average.keras", "subtract.keras"] {
        megasim(&["inspect".as_ref(), &all.path().join("20-merge-layers-wrong-words").join(file)])
            .success()
            .stdout(contains("cannot be converted").not());
    }
    megasim(&["inspect".as_ref(), &all.path().join("25-opset6/opset6.onnx")]).success();
}

#[test]
fn weights_alone_are_read_with_their_architecture() {
    let all = cases();
    let case = all.path().join("21-json-plus-weights");
    let (weights, json) = (case.join("arch.weights.h5"), case.join("arch.json"));
    megasim(&["inspect".as_ref(), &weights, "--architecture".as_ref(), &json]).success().stdout(contains("conv2d_39"));
    megasim(&["inspect".as_ref(), &weights]).failure().stderr(contains("--architecture model.json"));
}

#[test]
fn data_sets_of_keras_are_one_archive() {
    let directory = tempfile::tempdir().unwrap();
    let mut npz = NpzWriter::new(File::create(directory.path().join("made-up.npz")).unwrap());
    let pictures = |n: usize| Array3::<u8>::from_shape_fn((n, 2, 3), |(i, y, x)| (20 * i + 3 * y + x) as u8);
    let labels = |n: usize| Array1::<u8>::from_shape_fn(n, |i| (i % 4) as u8);
    for (set, n) in [("train", 9), ("test", 5)] {
        npz.add(&format!("x_{set}"), &pictures(n)).unwrap();
        npz.add(&format!("y_{set}"), &labels(n)).unwrap();
    }
    npz.finish().unwrap();
    let data = Dataset::open(directory.path()).unwrap();
    let shape = megasim::dataset::Shape::Maps { channels: 1, height: 2, width: 3 };
    let format = Format { shape, classes: 4 };
    let test = data.test(&format, 1, None).unwrap();
    assert_eq!((test.x.dim(), &test.y[..]), ((4, 6), &[1, 2, 3, 0][..]));
    assert_eq!(test.x[[0, 4]], 24.0 / 255.0);
    assert_eq!(data.normalization(&format).unwrap().nrows(), 9);
    assert_eq!(data.train(&format, 0, None).unwrap().y.len(), 9);
}
