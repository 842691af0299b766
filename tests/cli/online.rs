//! `megasim classify --online-normalization`: thresholds that follow rates, and netfiles with those at the end.

use assert_cmd::Command;
use megasim::convert::ConvertedModel;
use megasim::network::NeuronParameters;
use predicates::prelude::*;
use predicates::str::contains;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

const MODEL: &str = "examples/digits/digits_cnn.keras";
const DATA: &str = "examples/digits";

fn megasim(arguments: &[&str]) -> assert_cmd::assert::Assert {
    let mut command = Command::cargo_bin("megasim").unwrap();
    command.current_dir(env!("CARGO_MANIFEST_DIR")).args(arguments).assert()
}

fn convert(folder: &Path, more: &[&str]) -> PathBuf {
    let out = folder.join("netfiles");
    let mut arguments = vec!["convert", MODEL, "--data", DATA, "--out", out.to_str().unwrap()];
    arguments.extend(more);
    megasim(&arguments).success();
    out
}

fn classify<'a>(netdir: &'a Path, json: &'a Path, more: &[&'a str]) -> Value {
    let mut arguments = vec!["classify", netdir.to_str().unwrap(), "--data", DATA, "--samples", "150"];
    arguments.extend(["--duration", "20", "--json", json.to_str().unwrap()]);
    arguments.extend(more);
    megasim(&arguments).success();
    let mut figures: Value = serde_json::from_slice(&fs::read(json).unwrap()).unwrap();
    figures.as_object_mut().unwrap().remove("seconds");
    figures
}

/// The neurons of each module, by its first output.
fn neurons(netdir: &Path) -> Vec<(String, NeuronParameters)> {
    let converted = ConvertedModel::open(netdir).unwrap();
    let network = converted.network();
    let modules = network.modules().iter().enumerate();
    let with_neurons = modules.filter_map(|(k, module)| {
        let (_, neurons, _) = module.kind.neurons()?;
        let node = network.outputs(megasim::network::ModuleId::new(k))[0];
        Some((network.nodes()[node.index()].name.clone(), *neurons))
    });
    with_neurons.collect()
}

#[test]
fn thresholds_follow_rates_and_are_saved() {
    let folder = tempfile::tempdir().unwrap();
    let here = |name: &str| folder.path().join(name);
    let netdir = convert(folder.path(), &["--preset", "toolbox"]);
    let plain = classify(&netdir, &here("plain.json"), &[]);
    assert!(plain.get("thresholds").is_none());
    let both = classify(&netdir, &here("both.json"), &["--online-normalization"]);
    let share = |of: &Value, mode: &str| of["accuracy"][mode].as_f64().unwrap();
    for mode in ["event", "clocked"] {
        assert!(share(&both, mode) > share(&plain, mode) + 0.05, "{mode}: {both}");
    }
    let saved = here("saved");
    let save = |name: &str, threads: &str, out: &Path| {
        let more = ["--online-normalization", "--mode", "event", "--threads", threads, "--save-thresholds"];
        classify(&netdir, &here(name), &[&more[..], &[out.to_str().unwrap()]].concat())
    };
    let (one, four) = (save("one.json", "1", &saved), save("four.json", "4", &here("again")));
    assert_eq!(one, four);
    let layers = one["thresholds"].as_array().unwrap();
    assert_eq!(layers.len(), 4);
    let (before, after) = (neurons(&netdir), neurons(&saved));
    assert_eq!(before.len(), after.len());
    for (k, layer) in layers.iter().enumerate() {
        assert_eq!(layer["at_the_end"]["event"], both["thresholds"][k]["at_the_end"]["event"]);
        assert!(layer["at_the_end"]["clocked"].is_null());
        let (name, of_the_files) = (layer["layer"].as_str().unwrap(), layer["of_the_files"].as_i64().unwrap());
        let end = |of: &str| layer["at_the_end"]["event"][of].as_f64().unwrap();
        assert!(1.0 <= end("least") && end("least") <= end("mean") && end("mean") <= end("largest"));
        assert!(end("largest") <= of_the_files as f64 && end("mean") < of_the_files as f64);
        for (_, neurons) in after.iter().filter(|(node, _)| node.starts_with(name)) {
            assert_eq!(f64::from(neurons.threshold_plus), end("mean").round());
        }
    }
    // Pooling and all else is as it was.
    for ((node, before), (_, after)) in before.iter().zip(&after) {
        let is_layer = layers.iter().any(|layer| node.starts_with(layer["layer"].as_str().unwrap()));
        assert_eq!(is_layer, before != after, "{node}");
        assert_eq!(NeuronParameters { threshold_plus: before.threshold_plus, ..*after }, *before);
    }
    // They run without the option, and are not replaced without --force.
    let kept = classify(&saved, &here("kept.json"), &["--mode", "event"]);
    assert!(share(&kept, "event") > share(&plain, "event") + 0.05, "{kept}");
    let mut again = vec!["classify", netdir.to_str().unwrap(), "--data", DATA, "--mode", "event"];
    again.extend(["--online-normalization", "--save-thresholds", saved.to_str().unwrap()]);
    megasim(&again).failure().stderr(contains("exists already"));
}

#[test]
fn networks_that_it_makes_no_sense_for_are_refused() {
    for (options, why) in [
        (&["--duration", "10"][..], "found signed neurons, which are exact"),
        (&["--preset", "ttfs"], "found the spike code ttfs"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let netdir = convert(folder.path(), options);
        let netdir = netdir.to_str().unwrap();
        let refused = megasim(&["classify", netdir, "--data", DATA, "--online-normalization"]).failure();
        refused.stderr(contains("online normalisation: ").and(contains(why)));
    }
}

#[test]
fn the_thresholds_of_both_modes_are_not_one() {
    let folder = tempfile::tempdir().unwrap();
    let netdir = convert(folder.path(), &["--preset", "toolbox"]);
    let out = folder.path().join("out");
    let arguments = ["classify", netdir.to_str().unwrap(), "--data", DATA, "--online-normalization"];
    let asked = [&arguments[..], &["--save-thresholds", out.to_str().unwrap()]].concat();
    megasim(&asked).failure().stderr(contains("--mode event or --mode clocked"));
    assert!(!out.exists());
}

#[test]
fn configurations_of_snn_toolbox_ask_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let digits = Path::new(env!("CARGO_MANIFEST_DIR")).join(DATA);
    let run = |name: &str, more: &str| {
        let text = format!(
            "[paths]\npath_wd = {0}\ndataset_path = {0}\nfilename_ann = digits_cnn\n[conversion]\nsoftmax_to_relu = \
             True\n[simulation]\nduration = 20\nnum_to_test = 40\n{more}",
            digits.display()
        );
        let config = folder.path().join(format!("{name}.ini"));
        fs::write(&config, text).unwrap();
        let out = folder.path().join(name);
        megasim(&["toolbox", config.to_str().unwrap(), "--out", out.to_str().unwrap()])
    };
    let figures = |name: &str| -> Value {
        serde_json::from_slice(&fs::read(folder.path().join(name).join("results.json")).unwrap()).unwrap()
    };
    let settings = "[normalization]\nonline_normalization = True\ntimestep_fraction = 5\n";
    run("online", settings).success().stdout(contains("at the end"));
    run("plain", "[normalization]\ntimestep_fraction = 5\n")
        .success()
        .stderr(contains("timestep_fraction = 5: nothing is done without online_normalization"));
    assert!(figures("plain").get("thresholds").is_none());
    assert_eq!(figures("online")["thresholds"].as_array().unwrap().len(), 4);
    let sweep = "[parameter_sweep]\nparam_name = diff_to_min_rate\nparam_values = [100, 1000]\n";
    run("swept", &format!("{settings}{sweep}")).success();
    let first = |name: &str| figures(name)["thresholds"][0]["at_the_end"]["event"]["mean"].as_f64().unwrap();
    // No rate is above the highest one.
    assert!(first("swept-100") < first("swept-1000"));
    assert_eq!(figures("swept-1000")["accuracy"], figures("plain")["accuracy"]);
}
