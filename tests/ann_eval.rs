//! `megasim eval` as a user calls it.

use assert_cmd::Command;
use ndarray::{Array1, Array2};
use ndarray_npy::{NpzReader, NpzWriter};
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
    let mut npz = NpzWriter::new(File::create(data.join("test.npz")).unwrap());
    npz.add_array("x", &x.into_shape_with_order((8, 28, 28)).unwrap()).unwrap();
    npz.add_array("y", &labels).unwrap();
    npz.finish().unwrap();
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
    eval(&[]).success().stdout(contains("87.50 % (7 of 8 right)")).stdout(contains("keras 3"));
    let path = json.to_str().unwrap();
    eval(&["--samples", "4", "--json", path]).success().stdout(contains("75.00 %"));
    let written: serde_json::Value = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    assert_eq!(written, serde_json::json!({ "samples": 4, "accuracy": 0.75 }));
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
        .stderr(contains("result.json"));
    assert!(!json.exists());
    assert!(!directory.path().join("run.json").exists());
}
