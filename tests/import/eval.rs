//! `megasim eval` as a user calls it.

use crate::arrays::write_npz;
use crate::npy::NpzReader;
use assert_cmd::Command;
use ndarray::{Array1, Array2};
use predicates::prelude::*;
use predicates::str::contains;
use std::fs::File;
use std::path::{Path, PathBuf};

fn fixture(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/models").join(path)
}

/// The made-up pictures as a data directory, labelled with what the network takes them for, the first one wrongly.
fn data(directory: &Path) -> PathBuf {
    let mut expected = NpzReader::new(File::open(fixture("mnist-cnn-bn/expected.npz")).unwrap()).unwrap();
    let [x, y]: [Array2<f32>; 2] = ["x", "y"].map(|name| expected.by_name(name).unwrap());
    let class = |row: ndarray::ArrayView1<f32>| (0..10).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap() as i64;
    let mut labels = Array1::from_iter(y.rows().into_iter().map(class));
    labels[0] = (labels[0] + 1) % 10;
    let data = directory.join("data");
    std::fs::create_dir(&data).unwrap();
    write_npz(&data.join("test.npz"), &x.into_shape_with_order((8, 28, 28)).unwrap(), &labels);
    data
}

#[test]
fn accuracy_is_printed_and_written() {
    let directory = tempfile::tempdir().unwrap();
    let data = data(directory.path());
    let json = directory.path().join("result.json");
    let eval = |more: &[&str]| {
        let mut command = Command::cargo_bin("megasim").unwrap();
        command.arg("eval").arg(fixture("mnist-cnn-bn/keras3.keras")).arg("--data").arg(&data).args(more);
        command.assert()
    };
    eval(&[]).success().stdout(contains("87.50 % (7 of 8 right)")).stdout(contains("3.15.1"));
    let path = json.to_str().unwrap();
    eval(&["--samples", "4", "--json", path, "--top-k", "10", "--per-class"])
        .success()
        .stdout(contains("75.00 %"))
        .stdout(contains("among the first 10").and(contains("100.00 % (4 of 4)")))
        .stdout(contains("precision"));
    let written: serde_json::Value = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    assert_eq!((&written["samples"], &written["accuracy"]), (&4.into(), &0.75.into()));
    assert_eq!(written["top_k"], serde_json::json!({ "k": 10, "accuracy": 1.0 }));
    let classes = written["classes"].as_array().unwrap();
    let sum = |key: &str| classes.iter().map(|class| class[key].as_u64().unwrap()).sum::<u64>();
    assert_eq!((classes.len(), sum("samples"), sum("taken"), sum("right")), (10, 4, 4, 3));
    // The first sample has a wrong label: its class is found in none of its samples.
    let wrong = classes.iter().find(|class| class["samples"] == 1 && class["right"] == 0).unwrap();
    assert_eq!((&wrong["recall"], &wrong["precision"]), (&0.0.into(), &serde_json::Value::Null));
    let run: serde_json::Value =
        serde_json::from_slice(&std::fs::read(directory.path().join("run.json")).unwrap()).unwrap();
    assert_eq!(run["inputs"].as_array().unwrap().len(), 2);
    eval(&["--json", path]).code(1).stderr(contains("exists"));
    eval(&["--json", path, "--force"]).success();
    eval(&["--samples", "0"]).code(2);
}

#[test]
fn bad_input_ends_with_status_1_and_names_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let data = data(directory.path());
    let damaged = directory.path().join("damaged.keras");
    let content = std::fs::read(fixture("mnist-cnn-bn/keras3.keras")).unwrap();
    std::fs::write(&damaged, &content[..content.len() / 2]).unwrap();
    let json = directory.path().join("result.json");
    let eval = |model: &Path, data: &Path, json: &Path| {
        let mut command = Command::cargo_bin("megasim").unwrap();
        command.arg("eval").arg(model).arg("--data").arg(data).arg("--json").arg(json);
        command.assert().code(1).stdout("")
    };
    eval(&damaged, &data, &json).stderr(contains("damaged.keras"));
    eval(&data, &data, &json).stderr(contains("directory"));
    eval(&fixture("mnist-cnn-bn/keras3.keras"), directory.path(), &json).stderr(contains("test.npz"));
    eval(&fixture("mnist-cnn-bn/keras3.keras"), &data, &directory.path().join("no/such/result.json"))
        .stderr(contains("no/such"));
    assert!(!json.exists());
    assert!(!directory.path().join("run.json").exists());
}

/// A conversion keeps the description of the network next to its copy of the model, and classifies from there.
#[test]
fn a_model_with_a_description_can_be_converted_and_moved() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let zoo = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/zoo/parameters");
    std::fs::copy(zoo.join("list-h5.h5"), path("weights.h5")).unwrap();
    std::fs::copy(zoo.join("list-h5.toml"), path("any-name.toml")).unwrap();
    std::fs::create_dir(path("data")).unwrap();
    for name in ["test.npz", "train.npz"] {
        let x = ndarray::Array3::from_shape_fn((6, 10, 9), |(s, y, x)| ((s + 3 * y + x) * 29 % 256) as u8);
        write_npz(&path("data").join(name), &x, &Array1::from_elem(6, 1i64));
    }
    let megasim = |arguments: &[&std::ffi::OsStr]| Command::cargo_bin("megasim").unwrap().args(arguments).assert();
    let (model, data, out) = (path("weights.h5"), path("data"), path("out"));
    let convert = |more: &[&std::ffi::OsStr]| {
        let fixed: [&std::ffi::OsStr; 8] = [
            "convert".as_ref(),
            model.as_ref(),
            "--data".as_ref(),
            data.as_ref(),
            "--out".as_ref(),
            out.as_ref(),
            "--preset".as_ref(),
            "toolbox".as_ref(),
        ];
        megasim(&[&fixed, more].concat())
    };
    convert(&[]).code(1).stderr(contains("weights.toml"));
    convert(&["--architecture".as_ref(), path("any-name.toml").as_ref()]).success();
    std::fs::remove_file(path("weights.h5")).unwrap();
    std::fs::remove_file(path("any-name.toml")).unwrap();
    megasim(&[
        "classify".as_ref(),
        out.as_ref(),
        "--data".as_ref(),
        data.as_ref(),
        "--duration".as_ref(),
        "10".as_ref(),
    ])
    .success();
}
