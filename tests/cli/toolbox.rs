//! `megasim toolbox`: configuration files of SNN toolbox.

use assert_cmd::Command;
use predicates::prelude::*;
use predicates::str::contains;
use std::fs;
use std::path::Path;

fn toolbox(config: &Path, out: &Path) -> assert_cmd::assert::Assert {
    let mut command = Command::cargo_bin("megasim").unwrap();
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    command.arg("toolbox").arg(config).arg("--out").arg(out).assert()
}

fn config(folder: &Path, more: &str) -> std::path::PathBuf {
    let digits = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/digits");
    let path = folder.join("config");
    let text = format!(
        "[paths]\npath_wd = {}\ndataset_path = %(path_wd)s\nfilename_ann = digits_cnn\n\n[simulation]\nduration = 50\n\
            num_to_test = 40\n{more}",
        digits.display()
    );
    fs::write(&path, text).unwrap();
    path
}

#[test]
fn an_experiment_is_converted_and_run() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let config = config(
        folder.path(),
        "[cell]\nreset = 'Reset by subtraction'\ntau_refrac = 1\ntau_m = 10\n[conversion]\nsoftmax_to_relu = True\n",
    );
    toolbox(&config, &out)
        .success()
        .stdout(contains("as integers").and(contains("40 samples")))
        .stderr(contains("warning: [cell] tau_m = 10: neurons do not leak"));
    let results: serde_json::Value = serde_json::from_slice(&fs::read(out.join("results.json")).unwrap()).unwrap();
    assert!(results["accuracy"]["event"].as_f64().unwrap() > 0.8, "{results}");
    assert!(fs::read_to_string(out.join("05Dense_32.prm")).unwrap().contains("\nT_Refract 1\n"));
    toolbox(&config, &out).failure().stderr(contains("exists already"));
}

#[test]
fn a_softmax_has_the_clock_of_the_configuration_or_becomes_relu() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("softmax");
    let silent = || contains("softmax").not();
    toolbox(&config(folder.path(), "[cell]\nsoftmax_clockrate = 100\n"), &out).success().stderr(silent());
    let manifest: serde_json::Value = serde_json::from_slice(&fs::read(out.join("megasim.json")).unwrap()).unwrap();
    assert_eq!(manifest["softmax_clock"], serde_json::json!({ "node": "softmax_input", "rate": 100.0 }));
    let out = folder.path().join("relu");
    toolbox(&config(folder.path(), "[conversion]\nsoftmax_to_relu = True\n"), &out).success().stderr(silent());
    let manifest: serde_json::Value = serde_json::from_slice(&fs::read(out.join("megasim.json")).unwrap()).unwrap();
    assert_eq!(manifest["softmax_clock"], serde_json::Value::Null);
}

#[test]
fn a_sweep_has_a_directory_for_each_value() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let config = config(folder.path(), "[parameter_sweep]\nparam_name = 'duration'\nparam_values = [5, 20]\n");
    toolbox(&config, &out).success();
    for value in ["5", "20"] {
        assert!(folder.path().join(format!("run-{value}/results.json")).is_file());
    }
}

#[test]
fn faults_are_told_with_their_place() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    toolbox(&config(folder.path(), "nonsense\n"), &out).failure().stderr(contains("config:9: expected `name = value`"));
    let path = config(folder.path(), "[tools]\nconvert = perhaps\n");
    toolbox(&path, &out).failure().stderr(contains("[tools] convert: expected True or False, found `perhaps`"));
}
