//! `megasim compare` from outside.

use assert_cmd::Command;
use megasim::netfile::{self, FileNames};
use megasim::network::ModuleKind;
use predicates::prelude::*;
use predicates::str::contains;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

fn digits(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/digits").join(name)
}

fn megasim(arguments: &[&str], directory: &Path) -> assert_cmd::assert::Assert {
    Command::cargo_bin("megasim").unwrap().args(arguments).current_dir(directory).assert()
}

fn converted() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let (model, data) = (digits("digits_cnn.keras"), digits(""));
    let arguments =
        ["convert", model.to_str().unwrap(), "--data", data.to_str().unwrap(), "--preset", "toolbox", "--out", "net"];
    megasim(&arguments, directory.path()).success();
    directory
}

fn compare(more: &[&str], directory: &Path) -> assert_cmd::assert::Assert {
    let data = digits("");
    let mut arguments = vec!["compare", "net", "--data", data.to_str().unwrap()];
    arguments.extend(more);
    megasim(&arguments, directory)
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn both_modes_and_the_analog_network_layer_by_layer() {
    let directory = converted();
    let here = directory.path();
    let more = ["--samples", "40", "--causes", "10", "--json", "one.json", "--dt", "1,10"];
    let out = compare(&more, here).success();
    out.stdout(
        contains("05Dense_32")
            .and(contains("McNemar"))
            .and(contains("order inside a tick"))
            .and(contains("Steps of other")),
    );
    let figures = json(&here.join("one.json"));
    assert_eq!(figures["samples"], 40);
    let layers = figures["layers"].as_array().unwrap();
    assert_eq!(layers.len(), 6);
    for layer in layers {
        for of in [&layer["sides"], &layer["analog"][0], &layer["analog"][1]] {
            assert!(of["correlation"].as_f64().unwrap() > 0.98, "{layer}");
            assert!((of["slope"].as_f64().unwrap() - 1.0).abs() < 0.15, "{layer}");
        }
        let (lost, extra) = (layer["lost"].as_f64().unwrap(), layer["extra"].as_f64().unwrap());
        let difference = layer["spikes"][0].as_f64().unwrap() - layer["spikes"][1].as_f64().unwrap();
        assert!((extra - lost - difference).abs() < 1e-9);
    }
    for layer in figures["causes"]["layers"].as_array().unwrap() {
        for what in ["lost", "extra"] {
            let by = layer[format!("{what}_by")].as_array().unwrap();
            let sum: f64 = by.iter().map(|n| n.as_f64().unwrap()).sum();
            assert!((sum - layer[what].as_f64().unwrap()).abs() < 1e-9, "{layer}");
        }
    }
    assert_eq!(figures["steps"][1]["dt"], 10);
    let confusion = figures["decisions"]["right"]["confusion"][0].as_array().unwrap();
    let all: u64 = confusion.iter().flat_map(|row| row.as_array().unwrap()).map(|n| n.as_u64().unwrap()).sum();
    assert_eq!(all, 40);

    // The same with one thread, and what classify counts.
    let more = ["--samples", "40", "--causes", "10", "--json", "two.json", "--dt", "1,10", "--threads", "1"];
    compare(&more, here).success();
    assert_eq!(fs::read(here.join("one.json")).unwrap(), fs::read(here.join("two.json")).unwrap());
    let data = digits("");
    let arguments = ["classify", "net", "--data", data.to_str().unwrap(), "--samples", "40", "--json", "three.json"];
    megasim(&arguments, here).success();
    let classified = json(&here.join("three.json"));
    let operations = figures["course"]["operations"][0].as_array().unwrap().last().unwrap().as_f64().unwrap();
    assert!((operations - classified["per_sample"]["synaptic_operations"]["event"].as_f64().unwrap()).abs() < 1e-6);
    let spikes: f64 = layers.iter().map(|layer| layer["spikes"][1].as_f64().unwrap()).sum();
    assert!((spikes - classified["per_sample"]["spikes"]["clocked"].as_f64().unwrap()).abs() < 1e-6);
}

#[test]
fn a_planted_fault_is_found_with_layer_neuron_and_time() {
    let directory = converted();
    let here = directory.path();
    let original = netfile::read(&here.join("net/megasim.sch")).unwrap();
    // Another weight from input 7 of the first dense layer to its neuron 21.
    let mut changed = 0;
    let names: Vec<String> = original.network.nodes().iter().map(|node| node.name.clone()).collect();
    let outputs: Vec<usize> = (0..original.network.modules().len())
        .map(|module| original.network.outputs(megasim::network::ModuleId::new(module))[0].index())
        .collect();
    let mut module = 0;
    let faulty = original
        .network
        .map_modules(|of| {
            if names[outputs[module]] == "05Dense_32"
                && let ModuleKind::FullyConnected(full) = &mut of.kind
            {
                let mut weights = full.ports[0].weights.to_vec();
                weights[7 * 32 + 21] += 12_000_000;
                full.ports[0].weights = weights.into();
                changed += 1;
            }
            module += 1;
        })
        .unwrap();
    assert_eq!(changed, 1);
    fs::create_dir(here.join("faulty")).unwrap();
    netfile::write(&here.join("faulty"), &faulty, &original.stimuli, &FileNames::of(&faulty)).unwrap();

    // compare: no layer before it, then the neuron.
    let more = ["--against", "faulty", "--samples", "1", "--json", "fault.json"];
    compare(&more, here).success().stdout(contains("map 0 (21, 0)"));
    let figures = json(&here.join("fault.json"));
    let layers = figures["layers"].as_array().unwrap();
    for layer in layers {
        let name = layer["name"].as_str().unwrap();
        if name < "05" {
            assert_eq!(layer["parted"], 0, "{name}");
            assert_eq!(layer["first"], Value::Null, "{name}");
        }
    }
    let dense = layers.iter().find(|layer| layer["name"] == "05Dense_32").unwrap();
    assert_eq!(dense["first"]["place"]["x"], 21);
    assert_eq!(dense["parted_first"], 1);
    let tick = dense["first"]["tick"].as_i64().unwrap();

    // diff: the same place, on the stimulus that lies next to the netfiles, which is the first test sample.
    megasim(&["run", "net/megasim.sch", "--out", "one"], here).success();
    megasim(&["run", "faulty/megasim.sch", "--out", "two"], here).success();
    megasim(&["diff", "one", "two"], here)
        .code(1)
        .stdout(contains(format!("first difference: node {{05Dense_32}}, time {tick}, spike at address (21, 0)")));

    // Without a fault there is nothing to find.
    compare(&["--against", "net", "--samples", "2"], here).success().stdout(contains("have the same spikes"));
}

/// Two inputs, two neurons with threshold 10; each input excites its own neuron. Three samples: 0, 1, and both alike.
fn schematic(directory: &Path) {
    let mut network = megasim::network::NetworkBuilder::new();
    let (input, reset) = (network.source("In").unwrap(), network.source("Reset").unwrap());
    let array = megasim::network::Array { nx: 2, ny: 1, x_min: 0, y_min: 0 };
    let kind = ModuleKind::FullyConnected(megasim::network::FullyConnected {
        array,
        neurons: megasim::network::NeuronParameters { threshold_plus: 10, ..Default::default() },
        ports: vec![megasim::network::FullyConnectedPort { nx_pre: 2, ny_pre: 1, weights: [10, -10, 0, 10].into() }],
        output: megasim::network::Output::whole(array),
    });
    let inputs = [input, reset].map(megasim::network::Input::Node).to_vec();
    let module = megasim::network::Module { kind, inputs, timing: Default::default(), not_programmable: false };
    network.module(module, &["Out"]).unwrap();
    let network = network.build(1000).unwrap();
    netfile::write(directory, &network, &stimuli(), &FileNames::of(&network)).unwrap();
}

fn stimuli() -> Vec<megasim::network::Stimulus> {
    use megasim::network::{Polarity, Stimulus, StimulusEvent};
    let spike = |t_pre, x| StimulusEvent { t_pre, x, y: 0, polarity: Polarity::Positive };
    // Sample 0: input 0. Sample 1: input 1. Sample 2: input 1 twice before input 0, in one tick.
    let input = Stimulus::from_events([spike(5, 0), spike(15, 1), spike(25, 1), spike(25, 1), spike(25, 0)]);
    let reset = Stimulus::from_events([StimulusEvent::reset(10), StimulusEvent::reset(20)]);
    vec![input, reset]
}

#[test]
fn a_schematic_alone_is_compared_on_its_own_stimuli() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    schematic(here);
    crate::npy::write_npy(here.join("labels.npy"), &ndarray::array![0i64, 1, 1]).unwrap();
    let arguments = ["compare", "megasim.sch", "--ticks-per-ms", "1", "--labels", "labels.npy", "--json", "out.json"];
    megasim(&arguments, here).success().stdout(contains("3 samples of 10 ms"));
    let figures = json(&here.join("out.json"));
    // Sample 2, event mode: neuron 1 spikes twice before input 0 lowers it, neuron 0 once. Clocked: neuron 1 gets 20 -
    // 10, one spike each at the same time, and the lower neuron decides.
    let right = &figures["decisions"]["right"];
    assert_eq!(right["sides"][0]["right"], 3);
    assert_eq!(right["sides"][1]["right"], 2);
    assert_eq!(figures["disagreements"][0]["sample"], 2);
    assert_eq!(figures["disagreements"][0]["decisions"], serde_json::json!([1, 0]));
    assert_eq!(figures["causes"]["layers"][0]["extra"].as_f64().unwrap(), 1.0 / 3.0);
    // Ties the other way round: what is left is alike.
    let arguments = ["compare", "megasim.sch", "--ticks-per-ms", "1", "--tie-order", "reversed"];
    megasim(&arguments, here).success().stdout(contains("decide alike on 100.00 %"));
}

#[test]
fn what_does_not_go_together_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    schematic(here);
    crate::npy::write_npy(here.join("labels.npy"), &ndarray::array![0i64, 1]).unwrap();
    let run = |more: &[&str]| {
        let mut arguments = vec!["compare", "megasim.sch"];
        arguments.extend(more);
        megasim(&arguments, here)
    };
    run(&["--labels", "labels.npy"]).code(1).stderr(contains("a label for each of 3 samples, found 2"));
    run(&["--data", "."]).code(2).stderr(contains("--data: has no effect on a schematic"));
    run(&["--dt", "0"]).code(2);
    run(&["--tie-order", "sideways"]).code(2);
    megasim(&["compare", "."], here).code(1).stderr(contains("--data"));
    let other = tempfile::tempdir().unwrap();
    fs::write(other.path().join("megasim.sch"), ".netlist\nsource {In} In.stim\n.options\nTmax=10\n").unwrap();
    fs::write(other.path().join("In.stim"), "").unwrap();
    run(&["--against", other.path().to_str().unwrap()]).code(1).stderr(contains("the same nodes"));
}

#[test]
fn decisions_by_first_spikes_are_those_of_classify() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let program = || assert_cmd::Command::cargo_bin("megasim").unwrap();
    let digits = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/digits");
    let (model, data) = (digits.join("digits_cnn.keras"), digits.to_str().unwrap());
    let convert = ["convert", model.to_str().unwrap(), "--data", data, "--preset", "toolbox", "--out", "net"];
    program().args(convert).current_dir(here).assert().success();
    for (name, rule) in
        [("first", &["--readout", "first_spike"][..]), ("third", &["--readout", "k_spikes", "--k", "3"])]
    {
        let [compared, classified] = [format!("{name}-compare.json"), format!("{name}-classify.json")];
        let common = ["net", "--data", data, "--samples", "60"];
        let compare = ["compare", "--causes", "0", "--json", &compared];
        program().args(compare).args(common).args(rule).current_dir(here).assert().success();
        program()
            .args(["classify", "--json", &classified])
            .args(common)
            .args(rule)
            .current_dir(here)
            .assert()
            .success();
        let json = |file: &str| -> serde_json::Value {
            serde_json::from_slice(&std::fs::read(here.join(file)).unwrap()).unwrap()
        };
        let (compared, classified) = (json(&compared), json(&classified));
        for (side, mode) in ["event", "clocked"].into_iter().enumerate() {
            let share = &compared["decisions"]["right"]["sides"][side]["share"];
            assert_eq!(share.as_f64(), classified["accuracy"][mode].as_f64(), "{name} {mode}");
        }
    }
}

#[test]
fn steps_longer_than_a_tick_are_refused_for_neurons_that_count_ticks() {
    let directory = tempfile::tempdir().unwrap();
    let (model, data) = (digits("digits_cnn.keras"), digits(""));
    let arguments =
        ["convert", model.to_str().unwrap(), "--data", data.to_str().unwrap(), "--preset", "temporal-pattern"];
    megasim(&[&arguments[..], &["--out", "net"]].concat(), directory.path()).success();
    let refused = contains("--dt: expected 1").and(contains("temporal_pattern")).and(contains("found 2"));
    compare(&["--samples", "2", "--dt", "1,2"], directory.path()).failure().stderr(refused);
    compare(&["--samples", "2"], directory.path()).success();
}
