//! What would go wrong in silence is named, with what to do.

use crate::place::{Place, digits, some_digits, write_npz};
use serde_json::Value;
use std::fs;

fn ok(place: &Place, arguments: &[&str]) -> (String, String) {
    let (status, out, error) = place.run(arguments);
    assert_eq!(status, 0, "{arguments:?}: {error}");
    (out, error)
}

#[test]
fn what_ticks_cannot_carry_is_named_before_the_run() {
    let place = Place::new();
    let convert = ["convert", "model.keras", "--data", "data", "--preset", "toolbox", "--out"];
    let (_, error) = ok(&place, &[&convert[..], &["low", "--v-thresh", "0.1"]].concat());
    assert!(error.contains("--v-thresh 0.1: about") && error.contains("nearer 1 helps"), "{error}");
    let few = ["--samples", "1", "--duration", "2"];
    let (_, error) = ok(&place, &[&["classify", "low", "--data", "data"], &few[..]].concat());
    assert!(error.contains("threshold 0.1: neurons fire up to") && error.contains("of 10 per ms"), "{error}");
    let (_, error) = ok(&place, &[&["compare", "low", "--data", "data", "--causes", "0"], &few[..]].concat());
    assert!(error.contains("threshold 0.1: neurons fire up to"), "{error}");
    let (_, error) = ok(&place, &[&["classify", "net", "--data", "data"], &few[..]].concat());
    assert!(!error.contains("threshold"), "{error}");
}

#[test]
fn ticks_other_than_those_of_the_conversion_are_named() {
    let place = Place::new();
    let few = ["--samples", "1", "--ticks-per-ms", "2"];
    let convert = [
        "convert",
        "model.keras",
        "--data",
        "data",
        "--preset",
        "toolbox",
        "--out",
        "timed",
        "--set",
        "*.T_Refract=10",
    ];
    ok(&place, &convert);
    let (_, error) = ok(&place, &[&["classify", "timed", "--data", "data"], &few[..]].concat());
    assert!(error.contains("--ticks-per-ms 2") && error.contains("made for 10 ticks per ms"), "{error}");
    let (_, error) = ok(&place, &["classify", "timed", "--data", "data", "--samples", "1"]);
    assert!(!error.contains("ticks per ms"), "{error}");
    let (_, error) = ok(&place, &[&["classify", "net", "--data", "data"], &few[..]].concat());
    assert!(!error.contains("ticks per ms"), "without times in ticks any will do: {error}");
}

#[test]
fn rates_beyond_one_spike_per_ms_are_refused() {
    let place = Place::new();
    for words in [
        &["classify", "net", "--data", "data", "--input-rate", "5000"][..],
        &["classify", "net", "--data", "data", "--encode", "cpn:max_f=5000"],
        &["encode", "data", "--out", "x.stim", "--input-rate", "5000"],
        &["sweep", "net", "--data", "data", "--out", "x", "--over", "input-rate=500,5000"],
    ] {
        let (status, _, error) = place.run(words);
        assert_eq!(status, 2, "{words:?}: {error}");
        assert!(error.contains("at most 1000"), "{words:?}: {error}");
    }
}

#[test]
fn rounding_that_costs_accuracy_is_named() {
    let place = Place::new();
    let data = digits();
    let convert = ["convert", "model.keras", "--data", data.to_str().unwrap(), "--preset", "toolbox", "--out"];
    let (_, error) = ok(&place, &[&convert[..], &["coarse", "--percentile", "50", "--weight-bits", "2"]].concat());
    assert!(error.contains("weights as integers (2) cost") && error.contains("more --weight-bits"), "{error}");
    let (_, error) = ok(&place, &[&convert[..], &["fine", "--weight-bits", "8"]].concat());
    assert!(!error.contains("cost"), "{error}");
    // A better presentation does not help where the weights are at fault.
    let few_bits = ["convert", "model.keras", "--data", data.to_str().unwrap(), "--weight-bits", "2", "--out", "few"];
    let (out, _) = ok(&place, &few_bits);
    assert!(out.contains("Try more --weight-bits") && !out.contains("events:10"), "{out}");
    // What is the case already is no advice.
    let (_, error) = ok(&place, &[&convert[..], &["low", "--percentile", "50"]].concat());
    assert!(error.contains("a higher --percentile helps") && !error.contains("--weighting percentile"), "{error}");
    let (_, error) = ok(&place, &[&convert[..], &["model", "--weighting", "model"]].concat());
    assert!(!error.contains("--percentile helps"), "{error}");
}

#[test]
fn input_left_over_is_named() {
    let place = Place::new();
    let machine = ["net", "--data", "data", "--samples", "1", "--hardware", "serial-aer"];
    let swept = ["sweep", "--over", "pace=x1,x1000000", "--out", "out"];
    let (out, _) = ok(&place, &[&swept[..1], &machine[..], &swept[1..]].concat());
    assert!(out.contains("Input was left over at") && out.contains("A slower pace"), "{out}");
    let (out, _) = ok(&place, &[&["latency"], &machine[..], &["--pace", "x1000000", "--relief", "0"]].concat());
    assert!(out.contains("Input was left over:"), "{out}");
    let (out, _) = ok(&place, &[&["latency"], &machine[..], &["--pace", "fastest", "--relief", "0"]].concat());
    assert!(!out.contains("Input was left over"), "{out}");
}

#[test]
fn parameters_that_are_swept_without_effect_are_refused() {
    let place = Place::new();
    let sweep = ["sweep", "net", "--data", "data", "--out", "out"];
    for (words, named) in [
        (&["--over", "seed=1,2"][..], "--over seed"),
        (&["--over", "input-rate=100,200", "--encode", "pso"], "--over input-rate"),
        (&["--over", "duration=10,20", "--duration", "30"], "--duration"),
        (&["--over", "dt=1,2", "--dt", "3"], "--dt"),
    ] {
        let (status, _, error) = place.run(&[&sweep[..], words].concat());
        assert!(status != 0 && error.contains(named), "{words:?}: {status}: {error}");
    }
    let (status, _, error) = place.run(&[&sweep[..], &["--over", "seed=1,2", "--encode", "poisson"]].concat());
    assert_eq!(status, 0, "{error}");
}

/// What is busiest and what is the bottleneck are separate lines; energies have one total, everywhere.
#[test]
fn the_bottleneck_the_busiest_module_and_the_total_energy_are_called_what_they_are() {
    let place = Place::new();
    let machine =
        "static_power = \"1 mW\"\n".to_string() + &fs::read_to_string(place.path().join("machine.toml")).unwrap();
    fs::write(place.path().join("static.toml"), machine).unwrap();
    let common = ["cut.sch", "--hardware", "static.toml", "--tick", "1 us"];
    let files = ["--json", "latency.json", "--report", "page.html"];
    let (out, _) = ok(&place, &[&["latency"], &common[..], &files].concat());
    assert!(out.contains("\nBusiest: module {Out}") && out.contains("\nBottleneck: "), "{out}");
    assert!(out.contains(" halved a sample takes "), "{out}");
    let figures: Value = serde_json::from_slice(&fs::read(place.path().join("latency.json")).unwrap()).unwrap();
    let bottleneck = &figures["bottleneck"];
    let named =
        format!("Bottleneck: {} of {}", bottleneck["key"].as_str().unwrap(), bottleneck["place"].as_str().unwrap());
    assert!(out.contains(&named), "{out}");
    assert_eq!(out.contains("With "), bottleneck["is_bottleneck"].as_bool().unwrap(), "{out}");
    let energy = |key: &str| figures["energy"][key].as_f64().unwrap();
    assert!(energy("static") > 0.0 && energy("dynamic") > 0.0);
    assert!((energy("dynamic") + energy("static") - energy("total")).abs() < 1e-12 * energy("total"));
    let page = fs::read_to_string(place.path().join("page.html")).unwrap();
    for name in ["dynamic", "static power", "total"] {
        assert!(out.contains(name) && page.contains(name), "{name}");
    }
    let (out, _) = ok(&place, &[&["latency"], &common[..], &["--relief", "0"]].concat());
    assert!(out.contains("What halving it gives was not tried"), "{out}");
    let swept = ["--over", "*.Tmin=0,0", "--out", "out"];
    let (out, _) = ok(&place, &[&["sweep"], &common[..], &swept].concat());
    assert!(out.contains("total energy/sample"), "{out}");
    let table = fs::read_to_string(place.path().join("out/sweep.csv")).unwrap();
    let mut rows = table.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let (head, first) = (rows.next().unwrap(), rows.next().unwrap());
    let total: f64 = first[head.iter().position(|name| *name == "total_energy_J").unwrap()].parse().unwrap();
    assert!((total / energy("total") - 1.0).abs() < 1e-5, "{total}");
}

/// Each conversion of a sweep warns as 'convert' and 'classify' do.
#[test]
fn points_of_a_sweep_warn_as_single_commands_do() {
    let place = Place::new();
    let few = ["--samples", "1", "--duration", "2"];
    let sweep = ["sweep", "net", "--data", "data", "--out"];
    let (_, error) = ok(&place, &[&sweep[..], &["a", "--over", "v-thresh=0.1,1"], &few].concat());
    assert!(error.contains("--over v-thresh=0.1: --v-thresh 0.1: about"), "{error}");
    assert!(error.contains("--over v-thresh=0.1: threshold 0.1: neurons fire up to"), "{error}");
    assert!(!error.contains("v-thresh=1:"), "{error}");
    let (_, error) = ok(&place, &[&sweep[..], &["b", "--over", "percentile=50,99.9"], &few].concat());
    assert!(error.contains("--over percentile=50: layer") && error.contains("a higher --percentile"), "{error}");
    let convert = [
        "convert",
        "model.keras",
        "--data",
        "data",
        "--preset",
        "toolbox",
        "--out",
        "timed",
        "--set",
        "*.T_Refract=10",
    ];
    ok(&place, &convert);
    let sweep = ["sweep", "timed", "--data", "data", "--out"];
    let (_, error) = ok(&place, &[&sweep[..], &["c", "--over", "ticks-per-ms=2,10"], &few[..2]].concat());
    assert!(error.contains("--ticks-per-ms 2") && !error.contains("--ticks-per-ms 10:"), "{error}");
    let (_, error) = ok(&place, &[&sweep[..], &["d", "--over", "scaling-factor=1000000"], &few].concat());
    assert!(error.contains("set as integers stay as they are: *.T_Refract=10"), "{error}");
}

/// Digits as floats, times a factor.
fn scaled(place: &Place, name: &str, factor: f32) {
    let (x, y) = some_digits("test.npz", 60);
    fs::create_dir(place.path().join(name)).unwrap();
    write_npz(&place.path().join(name).join("test.npz"), &x.mapv(|value| f32::from(value) * factor), &y);
    write_npz(&place.path().join(name).join("train.npz"), &x.mapv(|value| f32::from(value) * factor), &y);
}

#[test]
fn values_far_from_those_of_the_conversion_are_named_with_both_ranges() {
    let place = Place::new();
    scaled(&place, "unit", 1.0 / 255.0);
    scaled(&place, "bytes", 1.0);
    let not_divided = "the samples are floats up to 255, and are taken as they are";
    for (command, data, warns) in
        [("convert", "bytes", true), ("convert", "unit", false), ("eval", "bytes", true), ("eval", "unit", false)]
    {
        let out = format!("of-{data}");
        let more: &[&str] = if command == "convert" { &["--out", &out] } else { &[] };
        let (_, error) = ok(&place, &[&[command, "model.keras", "--data", data], more].concat());
        assert_eq!(error.matches(not_divided).count(), usize::from(warns), "{command} {data}: {error}");
    }
    let few = ["--samples", "2"];
    let faint = "the test samples hold values from 0 to 1, and full rates of the input stand for values from 0 to 255";
    let cut_off = "hold values up to 255, and one spike per millisecond of an input stands for 1;";
    for (net, data, expected) in
        [("of-bytes", "unit", Some(faint)), ("of-unit", "bytes", Some(cut_off)), ("of-unit", "unit", None)]
    {
        for command in [
            &["classify"][..],
            &["compare", "--causes", "0"],
            &["latency", "--hardware", "serial-aer", "--relief", "0"],
            &["sweep", "--over", "duration=10,20", "--out", "swept", "--force"],
        ] {
            let words = [&[command[0], net, "--data", data], &few[..], &command[1..]].concat();
            let (_, error) = ok(&place, &words);
            match expected {
                Some(expected) => assert_eq!(error.matches(expected).count(), 1, "{words:?}: {error}"),
                None => assert!(!error.contains("hold values"), "{words:?}: {error}"),
            }
        }
    }
}
