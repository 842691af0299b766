//! What `run.json` says is what ran.

use crate::common::*;
use predicates::prelude::*;
use predicates::str::contains;
use std::fs;

#[test]
fn a_record_alone_gives_the_same_bytes() {
    let place = with_net();
    let here = place.path();
    description(here);
    megasim(here, &["train", "digits.toml", "--data", DATA, "--samples", "20", "--out", "model.npz"])
        .assert()
        .success();
    for directory in ["classify", "compare", "sweep-of", "encode", "features"] {
        fs::create_dir(here.join(directory)).unwrap();
    }
    let poisson = ["--encode", "poisson", "--seed", "7", "--samples", "20", "--skip", "3"];
    let commands: [(&str, &[&str]); 8] = [
        (
            "converted",
            &[
                "convert",
                MODEL,
                "--data",
                DATA,
                "--preset",
                "toolbox",
                "--out",
                "converted",
                "--percentile",
                "99",
                "--weight-bits",
                "6",
            ],
        ),
        (
            "out",
            &[
                "run",
                "net/megasim.sch",
                "--out",
                "out",
                "--clocked",
                "--dt",
                "2",
                "--set",
                "*.delay_to_arrive=3",
                "--max-events",
                "2000000",
                "--max-memory",
                "300M",
            ],
        ),
        (
            "classify",
            &[
                "classify",
                "net",
                "--data",
                DATA,
                "--json",
                "classify/figures.json",
                "--readout",
                "k_spikes",
                "--k",
                "2",
            ],
        ),
        ("compare", &["compare", "net", "--data", DATA, "--json", "compare/a.json", "--report", "compare/page.html"]),
        ("sweep", &["sweep", "net", "--data", DATA, "--over", "duration=5,10", "--out", "sweep"]),
        (
            "encode",
            &["encode", DATA, "--netdir", "net", "--out", "encode/a.stim", "--encode", "poisson", "--seed", "3"],
        ),
        ("features", &["features", "model.npz", "--data", DATA, "--samples", "9", "--out=features/x.npz"]),
        ("learnt", &["convert", "model.npz", "--data", DATA, "--samples", "2", "--out", "learnt"]),
    ];
    for (directory, command) in commands {
        let takes_a_code = ["classify", "compare", "sweep"].contains(&command[0]);
        let more = if takes_a_code { &poisson[..] } else { &[] };
        megasim(here, &[command, more].concat()).assert().success();
        let before = content(here);
        megasim(here, &["rerun", directory]).assert().success().stdout(contains("all the same"));
        assert_eq!(content(here), before, "{command:?}");
    }

    let parameters = |directory: &str| -> serde_json::Value {
        let text = fs::read(here.join(directory).join("run.json")).unwrap();
        serde_json::from_slice::<serde_json::Value>(&text).unwrap()["parameters"].clone()
    };
    // Limits are in the record, given or not.
    for (directory, events, memory) in [("out", 2_000_000, 300_000_000), ("classify", 100_000_000, 250_000_000)] {
        assert_eq!(parameters(directory)["max_events"], events, "{directory}");
        assert_eq!(parameters(directory)["max_memory"], memory, "{directory}");
    }

    // Another place for the program, the same directory.
    let elsewhere = tempfile::tempdir().unwrap();
    let path = here.join("out");
    megasim(elsewhere.path(), &["rerun", path.to_str().unwrap(), "--out", "again"]).assert().success();
    assert!(elsewhere.path().join("again/0/out/run.json").exists());

    let result =
        content(&here.join("out")).into_keys().find(|path| path.extension().is_some_and(|it| it == "evs")).unwrap();
    fs::write(&result, "0 0 0 0 0 1\n").unwrap();
    let name = result.file_name().unwrap().to_str().unwrap().to_string();
    megasim(here, &["rerun", "out"]).assert().code(1).stderr(contains("differ").and(contains(name)));
    fs::write(here.join("net/megasim.json"), "{}").unwrap();
    megasim(here, &["rerun", "classify"]).assert().code(1).stderr(contains("changed since the run"));
}

#[test]
fn results_of_several_runs_in_one_directory() {
    let place = with_net();
    let here = place.path();
    fs::create_dir(here.join("results")).unwrap();
    for (file, samples) in [("results/a.json", "5"), ("results/b.json", "6")] {
        let command = ["classify", "net", "--data", DATA, "--samples", samples, "--json", file];
        megasim(here, &command).assert().success();
    }
    megasim(here, &["rerun", "results"]).assert().success().stdout(contains("2 files, all the same"));
}

#[test]
fn k_spikes_without_k_is_refused_everywhere() {
    let place = with_net();
    let here = place.path();
    for readout in ["k_spikes", "time_to_k_spikes"] {
        for command in ["classify", "compare"] {
            let arguments =
                [command, "net", "--data", DATA, "--samples", "3", "--readout", readout, "--json", "a.json"];
            megasim(here, &arguments).assert().code(2).stderr(contains("--k"));
        }
        let over = format!("readout=spike_count,{readout}");
        let sweep = ["sweep", "net", "--data", DATA, "--samples", "3", "--over", &over, "--out", "sweep"];
        megasim(here, &sweep).assert().code(1).stderr(contains("expected --k"));
    }
    assert!(!here.join("a.json").exists());
    // The two names are one read-out.
    for (readout, file) in [("k_spikes", "a.json"), ("time_to_k_spikes", "b.json")] {
        let arguments = ["compare", "net", "--data", DATA, "--samples", "9", "--readout", readout, "--k", "2"];
        megasim(here, &[&arguments[..], &["--json", file]].concat()).assert().success();
    }
    assert_eq!(fs::read(here.join("a.json")).unwrap(), fs::read(here.join("b.json")).unwrap());
}
