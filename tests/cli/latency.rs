//! `megasim latency` from outside.

use assert_cmd::Command;
use megasim::netfile::{self, FileNames};
use megasim::network::*;
use predicates::prelude::*;
use predicates::str::contains;
use serde_json::Value;
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

fn project(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn megasim(arguments: &[&str], directory: &Path) -> assert_cmd::assert::Assert {
    Command::cargo_bin("megasim").unwrap().args(arguments).current_dir(directory).assert()
}

fn converted() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let (model, data) = (project("examples/digits/digits_cnn.keras"), project("examples/digits"));
    let arguments =
        ["convert", model.to_str().unwrap(), "--data", data.to_str().unwrap(), "--preset", "toolbox", "--out", "net"];
    megasim(&arguments, directory.path()).success();
    directory
}

fn latency(more: &[&str], directory: &Path) -> assert_cmd::assert::Assert {
    let data = project("examples/digits");
    let mut arguments = vec!["latency", "net", "--data", data.to_str().unwrap()];
    arguments.extend(more);
    megasim(&arguments, directory)
}

fn two_neurons() -> String {
    project("netfiles/two-neurons/megasim.sch").to_str().unwrap().to_string()
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn the_ideal_machine_is_event_mode() {
    let directory = converted();
    let here = directory.path();
    let out = latency(&["--samples", "30", "--json", "ideal.json"], here).success();
    out.stdout(contains("The machine adds nothing").and(contains("first correct decision")));
    let figures = json(&here.join("ideal.json"));
    assert_eq!(figures["agreement_with_ideal"], 1.0);
    assert_eq!(figures["accuracy"]["machine"], figures["accuracy"]["ideal"]);
    let classify = |name: &str| {
        let data = project("examples/digits");
        megasim(&["classify", "net", "--data", data.to_str().unwrap(), "--samples", "30", "--json", name], here)
            .success();
        json(&here.join(name))
    };
    let classified = classify("classify.json");
    assert_eq!(figures["accuracy"]["machine"]["share"], classified["accuracy"]["event"]);
    let operations: f64 =
        figures["per_sample"].as_array().unwrap().iter().map(|it| it["synaptic_operations"].as_f64().unwrap()).sum();
    let expected = classified["per_sample"]["synaptic_operations"]["event"].as_f64().unwrap();
    assert!((operations / 30.0 - expected).abs() < 0.1);
}

#[test]
fn loihi_at_real_pace_takes_a_step_a_layer_and_costs_energy() {
    let directory = converted();
    let here = directory.path();
    let more = ["--samples", "5", "--hardware", "loihi", "--json", "a.json", "--threads", "1"];
    let out = latency(&more, here).success();
    out.stdout(contains("time_per_neuron").and(contains("Mesh of 8 x 4 tiles")).and(contains("Steps of 1.000 ms")));
    let figures = json(&here.join("a.json"));
    assert_eq!(figures["tick_seconds"].as_f64().unwrap(), 1e-10);
    // Six layers of neurons, each a step after the one before: no output spike before 6 ms.
    assert!(figures["latency"]["first_spike"]["mean"].as_f64().unwrap() > 6.0 * 1e7);
    assert_eq!(figures["steps"], 5 * 100);
    // Synaptic operations: 24 pJ in convolution and pooling, 35.5 pJ in dense layers.
    let energy = &figures["energy"]["layers"];
    for (layer, each) in [("02Conv2D_16x4x4", 24.0e-12), ("05Dense_32", 35.5e-12)] {
        let modules = figures["modules"].as_object().unwrap();
        let of_layer = modules.iter().filter(|(name, _)| name.starts_with(layer));
        let operations: f64 = of_layer.map(|(_, module)| module["synaptic_operations"].as_f64().unwrap()).sum();
        let joules = energy[layer]["operations"].as_f64().unwrap() * 5.0;
        assert!(operations > 0.0 && (joules / (operations * each) - 1.0).abs() < 1e-9, "{layer}");
    }
    // Each neuron is looked at once per step: 32 neurons, 100 steps, 51.2 pJ.
    let looked_at = energy["05Dense_32"]["neurons"].as_f64().unwrap();
    assert!((looked_at / (32.0 * 100.0 * 51.2e-12) - 1.0).abs() < 1e-9);

    let more = ["--samples", "5", "--hardware", "loihi", "--json", "b.json", "--threads", "2"];
    latency(&more, here).success();
    assert_eq!(fs::read(here.join("a.json")).unwrap(), fs::read(here.join("b.json")).unwrap());
}

/// The wires from the input of the digits.
const WIRES: &str = "InputLayer to 00Conv2D_8x8x8";

#[test]
fn a_slow_board_holds_fast_input_up() {
    let directory = converted();
    let here = directory.path();
    let more = ["--samples", "4", "--hardware", "serial-aer", "--pace", "fastest", "--json", "fast.json", "--modules"];
    let out = latency(&more, here).success();
    out.stdout(
        contains("Bottleneck: delay from InputLayer to 00Conv2D_8x8x8")
            .and(contains("what would be faster"))
            .and(contains("02Conv2D_16x4x4_7")),
    );
    let figures = json(&here.join("fast.json"));
    // What takes most of the critical path is what relieves: the wires of the input, one event after the other. Halving
    // them gives half of their share, as nothing else is nearly as long.
    let bottleneck = &figures["bottleneck"];
    assert_eq!((bottleneck["key"].as_str(), bottleneck["place"].as_str()), (Some("delay"), Some(WIRES)));
    let (share, halved) = (bottleneck["share"].as_f64().unwrap(), bottleneck["halved"].as_f64().unwrap());
    assert!(share > 0.9 && (halved - (1.0 - share / 2.0)).abs() < 0.01, "{bottleneck}");
    assert_eq!(bottleneck["best_relief_agrees"], true);
    assert_eq!(figures["reliefs"][0]["change"], "delays of links halved");
    assert_eq!(figures["critical_path"]["handshake"]["node"], "InputLayer");
    // A handshake takes at least the wire, the module's answer and the wire back: 3.2 + 0.1 + 0.1 us in ticks of 10 ns.
    for node in figures["nodes"].as_object().unwrap().values().filter(|node| node["messages"].as_u64() > Some(0)) {
        assert!(node["handshake"]["p50"].as_u64().unwrap() >= 340);
    }
}

/// A CSV file as rows of fields, the header first; the fields of these pages have no commas.
fn csv(path: &Path) -> Vec<Vec<String>> {
    let text = fs::read_to_string(path).unwrap();
    text.lines().map(|line| line.split(',').map(String::from).collect()).collect()
}

/// The numbers of a layer's row of a CSV file.
fn row(csv: &[Vec<String>], layer: &str) -> Vec<f64> {
    let row = csv.iter().find(|row| row[0] == layer).unwrap();
    row[1..].iter().map(|field| field.parse().unwrap()).collect()
}

#[test]
fn the_page_holds_the_figures_with_units() {
    let directory = converted();
    let here = directory.path();
    let more = ["--samples", "6", "--hardware", "loihi", "--relief", "1", "--json", "a.json", "--report", "page.html"];
    latency(&more, here).success().stdout(contains("Pictures: page.html"));
    let html = fs::read_to_string(here.join("page.html")).unwrap();
    for part in [
        "loihi",
        "accuracy on the machine",
        "time since the first input (ms)",
        "samples (%)",
        "busy (% of the time)",
        "events that wait at a module",
        "from arrival to start (us)",
        "from the request to the last acknowledge",
        "energy per sample (",
        "Busiest: ",
        "Bottleneck: ",
        "Critical path of the first sample",
        "what would be faster",
    ] {
        assert!(html.contains(part), "{part}");
    }
    // Scripts are inline.
    assert!(!html.contains("src="));
    let figures = json(&here.join("a.json"));
    let files = here.join("page_files");
    let close = |a: f64, b: f64| (a - b).abs() <= 1e-5 * b.abs().max(1e-9);

    // The last sample with a first output spike comes at the largest latency: ticks of 0.1 ns, in ms.
    let latencies = csv(&files.join("latency.csv"));
    let of_first: Vec<f64> =
        latencies[1..].iter().filter(|row| row[0] == "first output spike").map(|row| row[1].parse().unwrap()).collect();
    let largest = figures["latency"]["first_spike"]["max"].as_f64().unwrap() * 1e-7;
    assert!(of_first.iter().any(|&time| close(time, largest)), "{of_first:?} {largest}");

    // The dense layer of 32 neurons is one module.
    let layer = "05Dense_32";
    let module = &figures["modules"][layer];
    let utilisation = module["utilisation"].as_f64().unwrap() * 100.0;
    assert_eq!(row(&csv(&files.join("utilisation.csv")), layer).len(), 2);
    assert!(row(&csv(&files.join("utilisation.csv")), layer).iter().all(|&share| close(share, utilisation)));
    let by_cause: f64 = row(&csv(&files.join("utilisation-by-cause.csv")), layer).iter().sum();
    assert!((by_cause - utilisation).abs() < 1e-4 * utilisation);
    let queue: Vec<f64> = ["mean", "p99", "max"].map(|key| module["queue"][key].as_f64().unwrap()).into();
    let drawn = row(&csv(&files.join("queues.csv")), layer);
    assert!(drawn.iter().zip(&queue).all(|(&a, &b)| close(a, b)), "{drawn:?} {queue:?}");
    let wait = module["wait"]["max"].as_f64().unwrap() * 1e-4;
    assert!(close(row(&csv(&files.join("waits.csv")), layer)[2], wait));

    // Over time: what each point says of its time adds up to the mean.
    let course = &module["queue_over_time"];
    let values = |key: &str| -> Vec<f64> {
        course[key].as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect()
    };
    assert!(values("most").into_iter().fold(0.0, f64::max) == queue[2] && values("mean").len() <= 128);
    assert!(values("least").iter().zip(values("mean")).zip(values("most")).all(|((l, m), h)| *l <= m && m <= h));
    let drawn = csv(&files.join("queue-over-time.csv"));
    let of_layer: Vec<f64> = drawn.iter().filter(|row| row[0] == layer).map(|row| row[4].parse().unwrap()).collect();
    assert!(of_layer.iter().zip(values("mean")).all(|(&a, b)| (a - b).abs() <= 1e-5 * b.max(1e-4)), "{of_layer:?}");

    // Every link that carries something, with its load and its waits.
    let links = csv(&files.join("links.csv"));
    let known = figures["links"].as_array().unwrap();
    assert_eq!(links.len() - 1, known.len());
    let busiest = known.iter().map(|link| link["utilisation"].as_f64().unwrap()).fold(0.0, f64::max);
    // The tile is written with a comma.
    assert!(close(links[1][4].parse().unwrap(), 100.0 * busiest), "{:?}", links[1]);
    assert!(html.contains("Mean wait before the links"));

    // Causes add up to the layer's energy, in the unit of the axis.
    let table = csv(&files.join("energy.csv"));
    let energy: f64 = row(&table, layer).iter().sum();
    let joules = figures["energy"]["layers"][layer]["dynamic"].as_f64().unwrap();
    let units = [("(uJ): operations", 1e6), ("(nJ): operations", 1e9)];
    let (_, scale) = units.into_iter().find(|(unit, _)| table[0][1].ends_with(unit)).unwrap();
    assert!((energy / (joules * scale) - 1.0).abs() < 1e-4);
    assert_eq!(csv(&files.join("waits.csv"))[0][1], "from arrival to start (us): mean");

    // What is there is found before the work.
    latency(&["--report", "page.html"], here).code(1).stderr(contains("exists already"));
    // The ideal machine has no queues to show, and no units without a tick.
    megasim(&["latency", &two_neurons(), "--report", "ideal.html"], here).success();
    let ideal = fs::read_to_string(here.join("ideal.html")).unwrap();
    assert!(ideal.contains("time since the first input (ticks)") && !ideal.contains("Energy"));
}

#[test]
fn a_schematic_runs_on_its_own_stimuli() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    megasim(&["latency", &two_neurons(), "--json", "ideal.json"], here).success().stdout(contains("delay_to_process"));
    // The event files of the ready-made network: 16 events.
    let figures = json(&here.join("ideal.json"));
    assert_eq!(figures["per_sample"][0]["events"], 16);
    assert_eq!(figures["agreement_with_ideal"], 1.0);
    // It has no model to count multiply-accumulates of.
    let out = megasim(&["latency", &two_neurons(), "--hardware", "loihi", "--json", "loihi.json"], here).success();
    out.stdout(contains("as multiply-accumulates: not available, as a schematic has no model"));
    assert_eq!(json(&here.join("loihi.json"))["energy"]["quantised"], Value::Null);
}

#[test]
fn traces_hold_every_event_and_calibrate() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let machine = "tick = \"1 us\"\n[all]\ndelay_to_process = \"7 us\"\ntime_per_output = \"3 us\"\ndelay_to_ack = \
        \"2 us\"\n\
                   [module.inhibitory]\ndelay_to_process = \"4 us\"\n[link]\ndelay = \"5 us\"\n";
    fs::write(here.join("m.toml"), machine).unwrap();
    let traced = ["latency", &two_neurons(), "--hardware", "m.toml", "--trace", "t.csv", "--trace", "t.json"];
    megasim(&traced, here).success();
    let csv = fs::read_to_string(here.join("t.csv")).unwrap();
    let lines: Vec<Vec<&str>> = csv.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!(lines[0][..3], ["node", "receiver", "port"]);
    for line in &lines[1..] {
        let time = |k: usize| line[k].parse::<i64>().unwrap();
        // requested, arrived, accepted, started, done
        assert!(line[1].is_empty() || (7..11).all(|k| time(k) <= time(k + 1)), "{line:?}");
        assert!(line[1].is_empty() || time(8) == time(7) + 5, "{line:?}");
    }

    // Slices of a thread follow each other.
    let trace = json(&here.join("t.json"));
    let mut ends: HashMap<(u64, u64), f64> = HashMap::new();
    let mut slices: Vec<&Value> =
        trace["traceEvents"].as_array().unwrap().iter().filter(|event| event["ph"] == "X").collect();
    slices.sort_by(|a, b| a["ts"].as_f64().unwrap().total_cmp(&b["ts"].as_f64().unwrap()));
    let modules = slices.iter().filter(|slice| slice["pid"] == 1).count();
    assert_eq!(modules, lines[1..].iter().filter(|line| !line[1].is_empty()).count());
    for slice in slices {
        let thread = (slice["pid"].as_u64().unwrap(), slice["tid"].as_u64().unwrap());
        let end = ends.entry(thread).or_insert(0.0);
        assert!(*end <= slice["ts"].as_f64().unwrap() + 1e-9, "{slice}");
        *end = slice["ts"].as_f64().unwrap() + slice["dur"].as_f64().unwrap();
    }
    // What is there is not replaced unasked.
    megasim(&traced, here).code(1).stderr(contains("exists already"));

    // The log alone gives the delays back.
    fs::write(here.join("bare.toml"), "tick = \"1 us\"\n").unwrap();
    let fitted = ["latency", &two_neurons(), "--hardware", "bare.toml", "--calibrate", "t.csv", "--json", "fit.json"];
    megasim(&fitted, here)
        .success()
        .stdout(contains("[module.\"excitatory\"]").and(contains("delay_to_process = \"7 us\"")));
    let fit = json(&here.join("fit.json"));
    // The inhibitory neuron never spikes at this speed, so that nothing can be said of its outputs.
    for (module, process, output) in [("excitatory", 7, 3), ("inhibitory", 4, 0)] {
        let found = &fit["fitted"][module];
        assert_eq!(
            (found["delay_to_process"].as_i64(), found["time_per_output"].as_i64()),
            (Some(process), Some(output))
        );
        assert_eq!((found["delay_to_ack"].as_i64(), found["residual"].as_f64()), (Some(2), Some(0.0)));
    }
    assert_eq!(fit["fitted"]["excitatory"]["links"]["input"], 5);

    // So does one that only says what can be seen from outside.
    let outside: String = csv
        .lines()
        .map(|line| {
            let fields: Vec<&str> = line.split(',').collect();
            format!("{},{},{},{},{},{}\n", fields[0], fields[1], fields[7], fields[11], fields[12], fields[14])
        })
        .collect();
    fs::write(here.join("outside.csv"), outside).unwrap();
    let wires = "tick = \"1 us\"\n[link]\ndelay = \"5 us\"\n";
    fs::write(here.join("wires.toml"), wires).unwrap();
    let fitted =
        ["latency", &two_neurons(), "--hardware", "wires.toml", "--calibrate", "outside.csv", "--json", "o.json"];
    megasim(&fitted, here).success();
    let fit = json(&here.join("o.json"));
    assert_eq!(fit["fitted"]["excitatory"]["delay_to_process"], 7);
    assert_eq!(fit["fitted"]["excitatory"]["delay_to_ack"], 2);

    fs::write(here.join("bad.csv"), "receiver,requested,done\nnobody,1,2\n").unwrap();
    megasim(&["latency", &two_neurons(), "--hardware", "bare.toml", "--calibrate", "bad.csv"], here)
        .code(1)
        .stderr(contains("bad.csv: expected a module of the network, found `nobody`"));
}

#[test]
fn what_does_not_fit_is_refused() {
    let directory = converted();
    let here = directory.path();
    fs::write(here.join("m.toml"), "tick = \"1 ns\"\n\n[all]\ndelay_to_process = \"16 mm\"\n").unwrap();
    latency(&["--hardware", "m.toml"], here).code(1).stderr(contains("m.toml:4: ").and(contains("16 mm")));
    fs::write(here.join("m.toml"), "tick = \"0.3 ms\"\n").unwrap();
    latency(&["--hardware", "m.toml"], here).code(1).stderr(contains("tick = \"100 us\" would do"));
    latency(&["--hardware", "nowhere"], here).code(1).stderr(contains("ideal, serial-aer, loihi"));
    latency(&["--pace", "x0"], here).code(2).stderr(contains("expected real, fastest or xK"));
    latency(&["--trace", "trace.txt"], here).code(2).stderr(contains(".csv or .json"));
    megasim(&["latency", "net"], here).code(1).stderr(contains("--data DIR"));
    // A leak cannot be refined: the inhibitory neuron has one.
    fs::write(here.join("m.toml"), "tick = \"0.1 us\"\n").unwrap();
    let leaky = ["latency", &two_neurons(), "--hardware", "m.toml", "--tick", "1 us"];
    megasim(&leaky, here).code(1).stderr(contains("TLplus: expected 0"));
}

#[test]
fn a_deadlock_is_shown() {
    // Two relays in a ring, each with room for one output: as in `timed_by_hand`.
    let relay = |inputs: &[&str]| {
        let array = Array { nx: 1, ny: 1, x_min: 0, y_min: 0 };
        let ports = inputs.iter().map(|_| FullyConnectedPort { nx_pre: 1, ny_pre: 1, weights: [1].into() }).collect();
        let neurons = NeuronParameters { threshold_plus: 1, ..NeuronParameters::default() };
        Module {
            kind: ModuleKind::FullyConnected(FullyConnected { array, neurons, ports, output: Output::whole(array) }),
            inputs: inputs.iter().map(|&name| Input::Undriven(name.into())).collect(),
            timing: Timing { delay_to_process: 1, ..Timing::default() },
            not_programmable: false,
        }
    };
    let mut builder = NetworkBuilder::new();
    builder.source("input").unwrap();
    builder.module(relay(&["input", "b"]), &["a"]).unwrap();
    builder.module(relay(&["a"]), &["b"]).unwrap();
    let network = builder.build(1000).unwrap();
    let spike = StimulusEvent { t_pre: 0, x: 0, y: 0, polarity: Polarity::Positive };
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    netfile::write(here, &network, &[Stimulus::from_events([spike, spike])], &FileNames::of(&network)).unwrap();
    fs::write(here.join("m.toml"), "[all]\nout_fifo_depth = 1\n").unwrap();
    megasim(&["latency", "megasim.sch", "--hardware", "m.toml"], here)
        .success()
        .stdout(contains("Deadlock in 1 of 1 samples").and(contains("time 2: {a} -> {b} -> {a}")));
}

/// 19,040 connections, as NeuroBench counts them; 50 levels are 6 bits.
#[test]
fn spikes_are_compared_with_multiply_accumulates() {
    let directory = converted();
    let here = directory.path();
    let machine =
        "energy_per_mac = \"1 pJ\"\nenergy_per_mac_bit = \"0.1 pJ\"\n[all]\nenergy_per_operation = \"2 pJ\"\n";
    fs::write(here.join("macs.toml"), machine).unwrap();
    let more = ["--samples", "3", "--hardware", "macs.toml", "--duration", "50", "--json", "a.json"];
    let out = latency(&more, here).success();
    out.stdout(contains("quantised to 50 levels: 19040 multiply-accumulates of 6 bits, 30.46 nJ"));
    let figures = json(&here.join("a.json"));
    let quantised = |key: &str| figures["energy"]["quantised"][key].as_f64().unwrap();
    assert!((quantised("energy") - 19_040.0 * 1.6e-12).abs() < 1e-15);
    let operations: f64 =
        figures["per_sample"].as_array().unwrap().iter().map(|it| it["synaptic_operations"].as_f64().unwrap()).sum();
    assert!((quantised("spikes_energy") - operations / 3.0 * 2e-12).abs() < 1e-15);
    assert!((quantised("spikes_per_connection") - operations / 3.0 / 19_040.0).abs() < 1e-9);
    // Only operations cost here: both are equal where an operation per connection costs 1.6 pJ.
    assert!((quantised("equal_at") - 0.8).abs() < 1e-9);

    let out = latency(&["--samples", "1", "--hardware", "ideal", "--json", "b.json"], here).success();
    out.stdout(contains("multiply-accumulates").not());
    assert_eq!(json(&here.join("b.json"))["energy"]["quantised"], Value::Null);
    fs::write(here.join("wrong.toml"), "energy_per_mac = \"1 ns\"\n").unwrap();
    latency(&["--hardware", "wrong.toml"], here)
        .code(1)
        .stderr(contains("wrong.toml:1: energy_per_mac: expected an energy with its unit"));
}
