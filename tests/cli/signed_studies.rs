//! Studies of signed networks: the accuracy of `compare` and `sweep` is that of `classify`.

use assert_cmd::Command;
use serde_json::Value;
use std::path::Path;

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/digits");
const MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/digits/digits_cnn.keras");

fn megasim(here: &Path, words: &[&str]) {
    Command::cargo_bin("megasim").unwrap().args(words).current_dir(here).assert().success();
}

fn figures(here: &Path, file: &str) -> Value {
    serde_json::from_slice(&std::fs::read(here.join(file)).unwrap()).unwrap()
}

/// A presentation so short that many counts tie and settle events, after the last tick, take spikes back.
#[test]
fn accuracies_of_all_studies_are_equal() {
    let place = tempfile::tempdir().unwrap();
    let here = place.path();
    megasim(here, &["convert", MODEL, "--data", DATA, "--out", "net", "--neuron", "signed", "--duration", "3"]);
    let few = ["net", "--data", DATA, "--samples", "150", "--json"];
    for (number, (way, over)) in [
        (&[][..], "duration=3"),
        (&["--readout", "spike_count"], "duration=3"),
        (&["--readout", "first_spike"], "duration=2"),
        (&["--encode", "poisson"], "duration=2,5"),
    ]
    .into_iter()
    .enumerate()
    {
        let out = format!("sweep{number}");
        let sweep = [&["sweep"], &few[..5], &["--over", over, "--out", &out], way].concat();
        megasim(here, &sweep);
        let points = figures(here, &format!("{out}/sweep.json"))["points"].as_array().unwrap().clone();
        for point in points {
            let duration = ["--duration", point["values"][0].as_str().unwrap()];
            megasim(here, &[&["classify"], &few[..], &["classify.json", "--force"], way, &duration].concat());
            let more = ["compare.json", "--force"];
            megasim(here, &[&["compare"], &few[..], &more, way, &duration].concat());
            let (classified, compared) = (figures(here, "classify.json"), figures(here, "compare.json"));
            for (side, mode) in ["event", "clocked"].into_iter().enumerate() {
                let expected = classified["accuracy"][mode].as_f64().unwrap();
                let of_compare = &compared["decisions"]["right"]["sides"][side];
                let close = |found: &Value| (found["share"].as_f64().unwrap() - expected).abs() < 1e-9;
                assert!(close(of_compare), "{way:?} {mode}: {expected}, compare {of_compare}");
                let of_sweep = &point[mode]["accuracy"];
                assert!(close(of_sweep), "{way:?} {mode}: {expected}, sweep {of_sweep}");
                let spikes = classified["per_sample"]["spikes"][mode].as_f64().unwrap();
                if way.is_empty() {
                    assert!((point[mode]["spikes"].as_f64().unwrap() - spikes).abs() < 1e-9, "{mode}: {spikes}");
                }
            }
        }
    }
}

/// Counts are final with the last output spike, which comes at the time at which the decision stays or later.
#[test]
fn latency_says_when_counts_are_final() {
    let place = tempfile::tempdir().unwrap();
    let here = place.path();
    let latency = |net: &str| {
        let few = ["--samples", "6", "--relief", "0", "--hardware", "loihi", "--json", "latency.json", "--force"];
        megasim(here, &[&["latency", net, "--data", DATA], &few[..]].concat());
        figures(here, "latency.json")
    };
    megasim(here, &["convert", MODEL, "--data", DATA, "--out", "signed", "--duration", "10"]);
    let signed = latency("signed");
    for sample in signed["per_sample"].as_array().unwrap() {
        let [settled, last, ended] = ["settled", "counts_final", "ended"].map(|key| sample[key].as_i64().unwrap());
        assert!(settled <= last && last <= ended, "{sample}");
    }
    assert_eq!(signed["latency"]["counts_final"]["samples"], 6);
    megasim(here, &["convert", MODEL, "--data", DATA, "--out", "plain", "--duration", "10", "--neuron", "plain"]);
    assert!(latency("plain")["latency"]["counts_final"].is_null());
}
