//! Mutated files through the program: it ends by itself, with a message, and nothing that acts on a terminal is
//! printed.

use crate::mutations::{mutate, mutations};
use crate::place::{Place, megasim};
use rand::rngs::ChaCha8Rng;
use rand::{Rng, RngExt, SeedableRng};
use std::fs;

/// A file that is mutated, and a command that reads it.
#[rustfmt::skip]
const CASES: &[(&str, &[&str])] = &[
    ("cut.sch", &["check", "cut.sch"]),
    ("cut.sch", &["run", "cut.sch", "--out", "new"]),
    ("cut-In.stim", &["run", "cut.sch", "--out", "new"]),
    ("one/node_Out.evs", &["diff", "one", "two"]),
    ("net/megasim.json", &["inspect", "net"]),
    ("net/megasim.json", &["classify", "net", "--data", "data", "--samples", "1", "--duration", "5"]),
    ("net/megasim.sch", &["check", "net/megasim.sch"]),
    ("net/05Dense_32.prm", &["check", "net/megasim.sch"]),
    ("net/05Dense_32.stt", &["check", "net/megasim.sch"]),
    ("model.keras", &["inspect", "model.keras"]),
    ("parsed.npz", &["eval", "parsed.npz", "--data", "data"]),
    ("scales.json",
        &["convert", "model.keras", "--data", "data", "--preset", "toolbox", "--out", "new",
            "--scales", "scales.json"]),
    ("settings.toml",
        &["convert", "model.keras", "--data", "data", "--preset", "toolbox", "--out", "new",
            "--settings", "settings.toml"]),
    ("neuron.toml",
        &["convert", "model.keras", "--data", "data", "--preset", "toolbox", "--out", "new",
            "--neuron", "neuron.toml"]),
    ("machine.toml", &["latency", "cut.sch", "--hardware", "machine.toml", "--tick", "1 us", "--relief", "0"]),
    ("log.csv", &["latency", "net", "--data", "data", "--samples", "1", "--duration", "5", "--hardware", "serial-aer",
        "--relief", "0", "--calibrate", "log.csv"]),
    ("labels.npy", &["compare", "cut.sch", "--ticks-per-ms", "1", "--labels", "labels.npy"]),
    ("history.csv", &["classify", "net", "--data", "data", "--samples", "1", "--duration", "5", "--report", "p.html",
        "--history", "history.csv"]),
    ("recording.csv", &["encode", "recording.csv", "--out", "new.stim"]),
    ("recorded/test/labels.csv", &["classify", "net", "--data", "recorded", "--polarity", "alike", "--duration", "5"]),
    ("data/test.npz", &["encode", "data", "--out", "new.stim"]),
    ("bars.toml", &["train", "bars.toml", "--data", "bars", "--out", "new.npz", "--samples", "5"]),
    ("spiking.npz", &["eval", "spiking.npz", "--data", "bars"]),
    ("config", &["toolbox", "config", "--out", "new"]),
    ("results/classify.json", &["report", "results"]),
    ("one/run.json", &["rerun", "one"]),
    ("one/run.json", &["run", "cut.sch", "--out", "one", "--force"]),
];

/// What a terminal would act on.
const SEQUENCES: [&str; 4] = ["\u{1b}[31m", "\u{1b}]0;title\u{7}", "\u{9b}2J", "\r\u{8}\u{202e}"];

/// Puts a sequence somewhere, in many cases where a name or a value is.
fn inject(random: &mut impl Rng, bytes: &mut Vec<u8>) {
    let sequence = SEQUENCES[random.random_range(0..SEQUENCES.len())];
    let from = random.random_range(0..=bytes.len());
    let letter = (from..bytes.len()).find(|&k| bytes[k].is_ascii_alphanumeric()).unwrap_or(from);
    bytes.splice(letter..letter, sequence.bytes());
}

#[test]
fn mutated_files_end_in_plain_text() {
    let place = Place::new();
    let rounds = mutations().div_ceil(8 * CASES.len()).max(2);
    for (number, (name, words)) in CASES.iter().enumerate() {
        let original = fs::read(place.path().join(name)).unwrap();
        let mut refused = 0;
        for round in 0..rounds {
            let mut random = ChaCha8Rng::seed_from_u64(((number << 20) | round) as u64);
            let mut bytes = original.clone();
            if round % 3 > 0 {
                inject(&mut random, &mut bytes);
            }
            if round % 3 != 1 {
                mutate(&mut random, &mut bytes, std::slice::from_ref(&original));
            }
            let directory = place.linked();
            let path = directory.path().join(name);
            // The name may be that of a file elsewhere.
            fs::remove_file(&path).unwrap();
            fs::write(&path, &bytes).unwrap();
            let (status, out, error) = megasim(directory.path(), words);
            let case = format!("{name} round {round}, {words:?}");
            assert!((0..=2).contains(&status), "{case}: {status}: {error}");
            refused += u32::from(status != 0);
            for text in [&out, &error] {
                let acts = |c: char| (c.is_control() && !matches!(c, '\n' | '\t')) || c == '\u{202e}';
                assert!(!text.contains(acts), "{case}: {text:?}");
            }
            assert!(status == 0 || !(out + &error).is_empty(), "{case}: {status} without a message");
        }
        println!("{:25} {:9} {refused:5} of {rounds} refused", name, words[0]);
    }
}
