//! Custom codes: files of equations give the spikes of the built-in codes that they describe, and what is wrong
//! in a file is reported with its place.

use assert_cmd::Command;
use megasim::encode::registry::{Choice, Common};
use megasim::encode::{Clock, Raster, SpikeEncoder};
use predicates::prelude::*;
use proptest::prelude::*;
use std::fs;

fn code(text: &str, seed: u64, clock: Clock) -> Box<dyn SpikeEncoder> {
    let choice: Choice = text.parse().unwrap();
    choice.code(&Common { input_rate: 1000.0, seed }, clock).unwrap()
}

fn spikes(code: &dyn SpikeEncoder, values: &[f32], sample: u64, clock: Clock) -> Vec<(i64, u32, bool)> {
    let mut raster = Raster::default();
    raster.start(clock.ticks());
    code.encode(values, sample, clock, &mut raster);
    let mut spikes = Vec::new();
    raster.in_time_order(|tick, trains| {
        spikes.extend(trains.iter().map(|&train| {
            let (address, negative) = raster.trains()[train as usize];
            (tick, address, negative)
        }));
    });
    spikes
}

proptest! {
    #[test]
    fn files_of_built_in_codes_give_their_spikes(
        values in prop::collection::vec(-1.5f32..1.5, 1..70),
        greys in prop::collection::vec(0u8..=255, 1..70),
        duration in 0u32..250,
        ticks_per_ms in 1u32..5,
        max_f in prop::sample::select(vec![10, 100, 250]),
    ) {
        let clock = Clock { duration, ticks_per_ms };
        let greys: Vec<f32> = greys.into_iter().map(|grey| f32::from(grey) / 255.0).collect();
        for name in ["ib", "pso"] {
            let built_in = code(&format!("{name}:max_f={max_f}"), 0, clock);
            let own = code(&format!("examples/codes/{name}.toml:max_f={max_f}"), 0, clock);
            for values in [&values, &greys] {
                prop_assert_eq!(spikes(&*own, values, 0, clock), spikes(&*built_in, values, 0, clock), "{}", name);
            }
            prop_assert_eq!(own.bias_period(clock), built_in.bias_period(clock));
        }
    }
}

#[test]
fn random_numbers_come_from_seed_and_sample() {
    let clock = Clock { duration: 100, ticks_per_ms: 2 };
    let values = [0.5f32; 40];
    let run = |seed, sample| spikes(&*code("examples/codes/noisy.toml", seed, clock), &values, sample, clock);
    assert_eq!(run(1, 7), run(1, 7));
    assert_ne!(run(1, 7), run(2, 7));
    assert_ne!(run(1, 7), run(1, 8));
    let count = run(1, 7).len() as f64 / 40.0;
    assert!((45.0..55.0).contains(&count), "{count}");
    // Addresses draw their own numbers.
    let of = |address| run(1, 7).iter().filter(|spike| spike.1 == address).map(|spike| spike.0).collect::<Vec<_>>();
    assert_ne!(of(0), of(1));
}

/// What the command line says of a file of equations.
fn refusal(text: &str, given: &str) -> (i32, String) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("mine.toml");
    fs::write(&file, text).unwrap();
    let output = Command::cargo_bin("megasim")
        .unwrap()
        .args(["encode", "examples/digits", "--out"])
        .arg(directory.path().join("out.stim"))
        .args(["--encode", &format!("{}{given}", file.display())])
        .output()
        .unwrap();
    assert!(!directory.path().join("out.stim").exists());
    let text = String::from_utf8(output.stderr).unwrap().replace(&directory.path().display().to_string(), "");
    (output.status.code().unwrap(), text.split_whitespace().collect::<Vec<_>>().join(" "))
}

const PLAIN: &str =
    "[parameters]\nmax_f = 1\n[state]\nv = 0\n[update]\nv = \"v + value\"\n[spike]\nwhen = \"v >= max_f\"\n";

#[test]
fn what_is_wrong_is_told_with_its_place() {
    for (from, to, line, message) in [
        ("v + value", "v + valeu", 6, "v: unknown name `valeu`; did you mean `value`?"),
        (
            "v >= max_f",
            "v - max_f",
            8,
            "when: expected a truth (as of `a > b`), found a number; compare it, as in `v > 1`",
        ),
        ("v + value", "v + (value > 1)", 6, "v: expected a number, found a truth (as of `a > b`)"),
        ("v + value", "v ^ 2", 6, "v: unknown operator; a power is `pow(a, b)`, or a product"),
        ("v + value", "sqrrt(v)", 6, "v: unknown function `sqrrt`; did you mean `sqrt`?"),
        ("v + value", "max(v)", 6, "v: `max`: expected 2 numbers, found 1"),
        ("v + value", "v +", 6, "v: expected a number, a name, `(`, `-`, `!` or `if`, found the end; "),
        ("v + value", "v.abs()", 6, "v: expected an operator or the end, found `.`; "),
        ("v + value", "if v > 1 { 0 }", 6, "v: expected an `else`"),
        ("[update]\nv", "[update]\nw", 6, "no variable `w` in `[state]`; there are v"),
        ("v = 0", "value = 0", 4, "`value` has a meaning already; expected another name"),
        ("v = 0", "v = \"nothing\"", 4, "v: unknown name `nothing`"),
        ("max_f = 1", "max_f = nan", 2, "max_f: expected a number, found nan"),
        ("max_f = 1", "max_f = true", 2, "max_f: expected a number, found true"),
        ("[update]", "[updates]", 5, "unknown key `updates`; did you mean `update`?"),
        ("[spike]", "[negative_spike]", 7, "unknown key `negative_spike`; there are about, "),
        ("[parameters]", "step = \"s\"\n[parameters]", 1, "step: expected \"ms\" or \"tick\""),
    ] {
        let (status, found) = refusal(&PLAIN.replace(from, to), "");
        assert_eq!(status, 1, "{found}");
        let expected = format!("/mine.toml:{line}: {message}");
        assert!(found.contains(&expected.split_whitespace().collect::<Vec<_>>().join(" ")), "{found}\n{expected}");
    }
    let deep = "(".repeat(600) + "v" + &")".repeat(600);
    assert!(refusal(&PLAIN.replace("v + value", &deep), "").1.contains("brackets or signs inside each other"));
    assert!(refusal(&PLAIN.replace("v + value", &"!".repeat(1500)), "").1.contains("brackets or signs"));
    assert!(refusal(PLAIN, ":max=2").1.contains("no parameter `max` in `[parameters]`; did you mean `max_f`?"));
}

#[test]
fn what_is_no_number_any_more_is_refused() {
    let (status, found) = refusal(&PLAIN.replace("v + value", "ln(value - 0.5)"), "");
    assert_eq!(status, 1);
    assert!(found.contains("/mine.toml:6: `v` is not a finite number (NaN) after step 0 of the value 0"), "{found}");
    Command::cargo_bin("megasim")
        .unwrap()
        .args(["encode", "examples/digits", "--encode", "missing.toml", "--out", "/tmp/never.stim"])
        .assert()
        .code(1)
        .stderr(predicate::str::contains("missing.toml: cannot be read"));
}

#[test]
fn they_go_wherever_codes_go() {
    let directory = tempfile::tempdir().unwrap();
    let netdir = directory.path().join("net");
    let megasim = || Command::cargo_bin("megasim").unwrap();
    megasim()
        .args([
            "convert",
            "examples/digits/digits_cnn.keras",
            "--data",
            "examples/digits",
            "--preset",
            "toolbox",
            "--out",
        ])
        .arg(&netdir)
        .assert()
        .success();
    let accuracies: Vec<serde_json::Value> = ["pso", "examples/codes/pso.toml"]
        .iter()
        .enumerate()
        .map(|(k, code)| {
            let json = directory.path().join(format!("{k}.json"));
            megasim()
                .arg("classify")
                .arg(&netdir)
                .args(["--data", "examples/digits", "--samples", "40", "--duration", "50", "--encode", code, "--json"])
                .arg(&json)
                .assert()
                .success();
            let read: serde_json::Value = serde_json::from_slice(&fs::read(json).unwrap()).unwrap();
            read["per_sample"].clone()
        })
        .collect();
    assert_eq!(accuracies[0], accuracies[1]);
    megasim()
        .arg("compare")
        .arg(&netdir)
        .args([
            "--data",
            "examples/digits",
            "--samples",
            "5",
            "--duration",
            "20",
            "--encode",
            "examples/codes/noisy.toml",
        ])
        .assert()
        .success();
}
