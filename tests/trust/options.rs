//! Every option of every command on every kind of input: it changes what comes out, or it is refused by name.
//!
//! The options are those that `--help` lists. A new one fails here until it has a value to be tried with.

use crate::place::{Place, stamps};
use std::collections::BTreeMap;
use std::fs;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How an option is tried.
struct Trial {
    commands: &'static [&'static str],
    option: &'static str,
    /// Empty: a flag.
    value: &'static str,
    /// What the option goes with.
    with: &'static [&'static str],
    /// Why no effect can be seen where it is taken; empty: one must be.
    unseen: &'static str,
}

const fn of(commands: &'static [&'static str], option: &'static str, value: &'static str) -> Trial {
    Trial { commands, option, value, with: &[], unseen: "" }
}

impl Trial {
    const fn with(self, with: &'static [&'static str]) -> Self {
        Self { with, ..self }
    }

    const fn unseen(self, unseen: &'static str) -> Self {
        Self { unseen, ..self }
    }
}

const STUDIES: &[&str] = &["classify", "compare", "latency", "sweep", "verify"];

/// Commands that take event recordings.
const CAMERA: &[&str] = &["classify", "compare", "convert", "encode", "latency", "sweep", "verify"];

/// Commands that can run in parts.
const PARTED: &[&str] = &["classify", "compare", "latency", "sweep", "verify", "eval"];

/// Commands that print tables and an answer.
const PRINTED: &[&str] = &[
    "check", "classify", "compare", "convert", "diff", "eval", "inspect", "latency", "merge", "sweep", "toolbox",
    "train", "verify",
];

#[rustfmt::skip]
const TRIALS: &[Trial] = &[
    of(&["convert", "eval", "inspect", "features", "train"], "data", "more"),
    of(STUDIES, "data", "more"),
    of(&["convert", "run", "report", "toolbox", "export"], "out", "elsewhere"),
    of(&["rerun"], "out", "elsewhere"),
    of(&["encode"], "out", "elsewhere.stim"),
    of(&["features", "train"], "out", "elsewhere.npz"),
    of(&["sweep"], "out", "elsewhere"),
    of(&["convert", "encode", "man", "features", "train", "run", "sweep", "toolbox", "report", "export"], "force", "")
        .unseen("nothing was there that could be replaced"),
    of(&["classify", "compare", "latency", "verify", "eval", "inspect"], "force", ""),
    of(&["classify", "compare", "latency", "verify", "eval", "inspect"], "json", "figures.json"),
    of(&["classify", "compare", "latency", "sweep", "verify", "features", "train"], "threads", "1")
        .unseen("threads change the time, not the results"),
    of(PARTED, "shard", "1/2").with(&["--outcomes", "new-part"]),
    of(PARTED, "outcomes", "new-part"),
    of(PARTED, "estimate", ""),
    of(&["classify"], "online-normalization", ""),
    of(&["classify"], "diff-to-max-rate", "600").with(&["--online-normalization"]),
    of(&["classify"], "diff-to-min-rate", "300").with(&["--online-normalization"]),
    of(&["classify"], "timestep-fraction", "7").with(&["--online-normalization"]),
    of(&["classify"], "save-thresholds", "elsewhere").with(&["--online-normalization", "--mode", "event"]),
    of(&["merge"], "status", ""),
    of(&["merge"], "out", "elsewhere"),
    of(&["merge"], "json", "figures.json"),
    of(&["merge"], "report", "page.html"),
    of(&["merge"], "predictions", "predictions.csv"),
    of(&["merge"], "outputs", "outputs.npy"),
    of(&["merge"], "force", ""),
    of(&["merge"], "threads", "1").unseen("threads change the time, not the results"),
    of(PRINTED, "full", "").unseen("the tables may fit into 80 columns"),
    of(PRINTED, "brief", ""),
    of(&["diff"], "tolerance", "3").unseen("no event is shifted"),
    of(&["run"], "clocked", ""),
    of(&["run"], "dt", "7").with(&["--clocked"]),
    of(&["run"], "tmax", "12"),
    of(&["run"], "set", "*.THplus=25"),
    of(&["run"], "summary", "summary.json"),
    of(&["run", "classify", "compare", "latency", "sweep", "verify"], "max-events", "2000000000")
        .unseen("a limit that is not reached"),
    of(&["run", "classify", "compare", "latency", "sweep", "verify"], "max-memory", "2G")
        .unseen("a limit that is not reached"),
    of(&["convert"], "samples", "2"),
    of(&["convert", "eval", "inspect"], "architecture", "net.toml"),
    of(&["convert", "eval", "inspect"], "input-shape", "3"),
    of(&["convert"], "input-scale", "0.5"),
    of(&["convert"], "input-range", "-1..1"),
    of(&["convert"], "percentile", "80"),
    of(&["convert"], "percentile-step", "1"),
    of(&["convert"], "scales", "scales.json").unseen("the scales are those that would have been found"),
    of(&["convert"], "save-scales", "saved.json"),
    of(&["convert"], "save-parsed", "saved.npz"),
    of(&["convert"], "parsed", "parsed.npz").unseen("the network is the one that would have been parsed"),
    of(&["convert"], "save-activations", "saved"),
    of(&["convert"], "activations", "activations").unseen("the activations are those that would have been computed"),
    of(&["convert"], "save-normalised", "saved.npz"),
    of(&["convert"], "normalised", "normalised.npz").unseen("the network is the one that would have been normalised"),
    of(&["convert"], "export", "net.nir"),
    of(&["convert"], "nir-for", "snntorch").with(&["--export", "net.nir", "--reset", "zero"]),
    of(&["convert"], "nir-pool", "avg").with(&["--export", "net.nir"]),
    of(&["export"], "nir-for", "sinabs").with(&["--to", "nir", "--out", "net.nir"]),
    of(&["export"], "nir-pool", "avg").with(&["--to", "nir", "--out", "net.nir"]),
    of(&["export"], "to", "pynn"),
    of(&["export"], "to", "sanafe"),
    of(&["export"], "to", "keras").with(&["--out", "net.keras"]),
    of(&["convert"], "nir-dialect", "rockpool"),
    of(&["convert"], "dt", "0.002"),
    of(&["convert"], "weight-bits", "4"),
    of(&["convert"], "set", "*.T_Refract=3"),
    of(&["convert"], "settings", "settings.toml"),
    of(&["convert"], "neuron", "neuron.toml"),
    of(&["convert"], "hysteresis", "0.5").with(&["--neuron", "signed"]),
    of(&["convert"], "max-count", "3").with(&["--neuron", "signed"]),
    of(&["convert"], "preset", "annarchy"),
    of(&["convert"], "num-bits", "4").with(&["--preset", "temporal-pattern"]),
    of(&["convert"], "scaling-factor", "1000000"),
    of(&["convert"], "reset", "zero"),
    of(&["convert"], "weighting", "as-trained"),
    of(&["convert"], "depth-scale", "3").with(&["--weighting", "model"]),
    of(&["convert"], "test-samples", "1"),
    of(&["convert"], "threshold-step", "0.1"),
    of(&["convert"], "floor", "2"),
    of(&["convert"], "delay-to-arrive", "2"),
    of(&["convert"], "mask-tau", "10"),
    of(&["convert"], "payload-bits", "16"),
    of(&["convert"], "output", "softmax"),
    of(&["convert"], "softmax-clock", "poisson:100").with(&["--output", "softmax"]),
    of(&["convert"], "v-thresh", "0.9"),
    of(&["convert"], "initial-potential", "0.5"),
    of(&["convert"], "duration", "10"),
    of(&["convert"], "encode", "poisson").with(&["--duration", "10"]),
    of(&["convert"], "input", "events:4"),
    of(&["convert"], "pool", "relay"),
    of(&["sweep"], "recalibrate", "").with(&["--over", "duration=5,9"]),
    of(&["convert"], "calibrate", "bias").with(&["--duration", "10"]),
    of(&["convert"], "calibrate-for", "clocked").with(&["--duration", "10"]),
    of(&["convert"], "calibration-samples", "1").with(&["--duration", "10"]),
    of(&["convert"], "scale-by", "percentile").with(&["--duration", "10"]),
    of(&["convert"], "channel-scales", ""),
    of(&["convert"], "tau-mem", "20"),
    of(&["convert"], "resting-potential", "0.1"),
    of(&["convert"], "plain-megasim", ""),
    of(&["convert"], "max-to-average", ""),
    of(&["convert"], "max-pool", "exp_max"),
    of(&["convert"], "ticks-per-ms", "5"),
    of(STUDIES, "samples", "1"),
    of(STUDIES, "skip", "1"),
    of(STUDIES, "duration", "31"),
    of(STUDIES, "encode", "pso"),
    of(STUDIES, "input-rate", "400"),
    of(STUDIES, "ticks-per-ms", "3"),
    of(STUDIES, "seed", "5"),
    of(STUDIES, "report", "page.html"),
    of(&["classify", "compare"], "history", "history.csv").with(&["--report", "page.html"]),
    of(&["classify"], "mode", "event"),
    of(&["classify"], "dt", "7"),
    of(&["classify", "compare", "latency", "sweep", "verify", "convert"], "frames", ""),
    of(&["classify", "sweep"], "readout", "first_spike"),
    of(&["compare"], "readout", "first_spike").unseen("few samples may be decided alike by both rules"),
    of(&["classify", "sweep", "compare"], "k", "2").with(&["--readout", "k_spikes"]),
    of(&["classify", "sweep"], "confidence", "2"),
    of(&["classify"], "top-k", "2"),
    of(&["classify"], "savings", "").with(&["--readout", "first_spike"]),
    of(CAMERA, "crop", "0,0,4,4"),
    of(CAMERA, "downsample", "2"),
    of(CAMERA, "polarity", "signed"),
    of(CAMERA, "from", "9"),
    of(CAMERA, "length", "9"),
    of(CAMERA, "events", "12"),
    of(CAMERA, "window", "1").with(&["--events", "12"]),
    of(&["compare", "latency", "sweep", "classify", "convert", "eval"], "labels", "labels.npy"),
    of(&["classify", "compare", "latency", "sweep", "verify", "convert", "eval", "inspect"], "split", "0.5"),
    of(&["classify", "compare", "latency", "sweep", "verify", "convert", "eval", "inspect"], "split-seed", "3")
        .with(&["--split", "0.5"]),
    of(&["compare", "verify"], "against", "changed.sch"),
    of(&["compare"], "dt", "7"),
    of(&["compare"], "tie-order", "reversed"),
    of(&["compare"], "warm-up", "9"),
    of(&["compare"], "causes", "0"),
    of(&["classify", "compare"], "sample", "1").with(&["--report", "page.html"]),
    of(&["classify", "compare"], "show", "06Dense_10").with(&["--report", "page.html"]),
    of(&["latency"], "hardware", "loihi"),
    of(&["sweep", "verify"], "hardware", "loihi"),
    of(&["verify"], "orders", "1"),

    of(&["latency", "sweep"], "strict", "").unseen("all patterns of the machines match something"),
    of(&["latency"], "pace", "fastest"),
    of(&["sweep"], "pace", "fastest"),
    of(&["latency", "sweep"], "tick", "2 us"),
    of(&["latency"], "warm-up", "1 ms"),
    of(&["latency"], "relief", "0"),
    of(&["latency"], "relief-keys", "0"),
    of(&["latency"], "calibrate", "log.csv"),
    of(&["latency"], "trace", "trace.csv"),
    of(&["latency"], "modules", "").unseen("the schematic has one module, which is its layer"),
    of(&["sweep"], "over", "OVER"),
    of(&["sweep"], "dt", "7"),
    of(&["encode"], "encode", "pso"),
    of(&["encode"], "netdir", "net").unseen("addresses of pictures of one channel are the same"),
    of(&["encode"], "frames", ""),
    of(&["encode", "eval", "features", "train"], "samples", "3"),
    of(&["encode", "features"], "skip", "1"),
    of(&["encode"], "duration", "31"),
    of(&["encode"], "input-rate", "400"),
    of(&["encode"], "ticks-per-ms", "3"),
    of(&["encode"], "seed", "5"),
    of(&["eval"], "top-k", "2"),
    of(&["eval"], "per-class", ""),
    of(&["eval"], "outputs", "outputs.npz"),
    of(&["classify"], "predictions", "predictions.csv"),
    of(&["run"], "npz", "events.npz"),
    of(&["classify"], "npz", "spikes.npz").with(&["--record", "input"]),
    of(&["classify"], "nir-data", "spikes.nir").with(&["--record", "input", "--mode", "event"]),
    of(&["classify"], "record", "input").with(&["--npz", "spikes.npz"]),
    of(&["classify"], "potentials", "").with(&["--record", "06Dense_10", "--npz", "spikes.npz"]),
    of(&["classify"], "per-sample", "").with(&["--json", "figures.json"]),
    of(&["classify"], "neurobench", "").with(&["--json", "figures.json"]),
    of(&["features"], "set", "train"),
    of(&["features"], "what", "bins"),
    of(&["features", "train"], "cache", "cache"),
    of(&["features"], "picture", "maps.svg"),
    of(&["features"], "report", "page.html"),
    of(&["train"], "seed", "5"),
    of(&["train"], "weights", "fixed"),
    of(&["train"], "checkpoint", "5").unseen("a checkpoint is gone when the run is done"),
    of(&["train"], "resume", ""),
    of(&["report"], "log-x", ""),
];

/// A kind of input of a command: the words that give it, which an option of the same name takes the place of.
#[rustfmt::skip]
const KINDS: &[(&str, &str, &[&str])] = &[
    ("check", "schematic", &["cut.sch"]),
    ("diff", "event files", &["one", "two"]),
    ("hardware", "machine", &["loihi"]),
    ("completions", "shell", &["bash"]),
    ("man", "directory", &["pages"]),
    ("run", "schematic", &["cut.sch", "--out", "out"]),
    ("convert", "trained network", &["model.keras", "--data", "data", "--out", "out", "--preset", "toolbox"]),
    ("convert", "frames", &["model.keras", "--data", "moving", "--out", "out", "--preset", "toolbox", "--frames"]),
    ("convert", "recordings",
        &["model.keras", "--data", "recorded", "--polarity", "alike", "--out", "out", "--preset", "toolbox"]),
    ("convert", "model of train", &["spiking.npz", "--data", "bars", "--out", "out"]),
    ("convert", "spiking network", &["network.nir", "--out", "out"]),
    ("classify", "netfiles", &["net", "--data", "data"]),
    ("classify", "random code", &["net", "--data", "data", "--encode", "poisson"]),
    ("classify", "frames", &["net", "--data", "moving", "--frames"]),
    ("classify", "recordings", &["net", "--data", "recorded", "--polarity", "alike"]),
    ("classify", "spike trains", &["net", "--data", "trains.nir"]),
    ("classify", "event mode", &["net", "--data", "data", "--mode", "event"]),
    ("classify", "model of train", &["spiking.npz", "--data", "bars"]),
    ("compare", "netfiles", &["net", "--data", "data"]),
    ("compare", "frames", &["net", "--data", "moving", "--frames"]),
    ("compare", "recordings", &["net", "--data", "recorded", "--polarity", "alike"]),
    ("compare", "random code", &["net", "--data", "data", "--encode", "poisson"]),
    ("compare", "schematic", &["cut.sch", "--ticks-per-ms", "1"]),
    ("compare", "two schematics", &["cut.sch", "--ticks-per-ms", "1", "--against", "cut.sch"]),
    ("latency", "netfiles", &["net", "--data", "data", "--hardware", "serial-aer", "--relief", "1"]),
    ("latency", "recordings", &["net", "--data", "recorded", "--polarity", "alike", "--hardware", "serial-aer"]),
    ("latency", "random code", &["net", "--data", "data", "--encode", "poisson", "--hardware", "serial-aer"]),
    ("latency", "schematic", &["cut.sch", "--hardware", "machine.toml", "--tick", "1 us", "--relief", "1"]),
    ("run-settings", "file", &["run.toml"]),
    ("sweep", "netfiles", &["net", "--data", "data", "--out", "out", "--over", "*.Tmin=0,2"]),
    ("sweep", "recordings",
        &["net", "--data", "recorded", "--polarity", "alike", "--out", "out", "--over", "*.Tmin=0,2"]),
    ("sweep", "random code", &["net", "--data", "data", "--out", "out", "--over", "*.Tmin=0,2", "--encode", "poisson"]),
    ("sweep", "machine",
        &["net", "--data", "data", "--out", "out", "--over", "*.Tmin=0,2", "--hardware", "serial-aer"]),
    ("sweep", "schematic",
        &["cut.sch", "--out", "out", "--over", "*.Tmin=0,2", "--hardware", "machine.toml", "--tick", "1 us"]),
    ("sweep", "swept options", &["net", "--data", "data", "--out", "out", "--over", "seed=1,2", "--encode", "poisson"]),
    ("verify", "netfiles", &["net", "--data", "data", "--orders", "2", "--hardware", "ideal"]),
    ("verify", "recordings",
        &["net", "--data", "recorded", "--polarity", "alike", "--orders", "2", "--hardware", "ideal"]),
    ("verify", "random code",
        &["net", "--data", "data", "--orders", "2", "--hardware", "ideal", "--encode", "poisson"]),
    ("verify", "schematic", &["cut.sch", "--orders", "2", "--hardware", "machine.toml"]),
    ("encode", "data", &["data", "--out", "out.stim"]),
    ("encode", "random code", &["data", "--out", "out.stim", "--encode", "poisson"]),
    ("encode", "recording", &["recording.csv", "--out", "out.stim"]),
    ("merge", "parts of classify", &["part-1", "part-2"]),
    ("eval", "trained network", &["model.keras", "--data", "data"]),
    ("eval", "stage", &["parsed.npz", "--data", "data"]),
    ("eval", "model of train", &["spiking.npz", "--data", "bars"]),
    ("inspect", "trained network", &["model.keras"]),
    ("inspect", "netfiles", &["net"]),
    ("export", "netfiles", &["net", "--to", "brian2", "--out", "out"]),
    ("features", "model of train", &["spiking.npz", "--data", "bars", "--out", "out.npz"]),
    ("train", "description", &["bars.toml", "--data", "bars", "--out", "out.npz"]),
    ("rerun", "results", &["one"]),
    ("report", "results", &["results"]),
    ("toolbox", "configuration", &["config", "--out", "out"]),
];

/// The options of a command, as its help lists them.
fn options(place: &Place, command: &str) -> Vec<String> {
    let (status, out, error) = place.run(&[command, "--help"]);
    assert_eq!(status, 0, "{command}: {error}");
    let names = out.lines().filter_map(|line| {
        // Descriptions, which may start with an option, are indented more.
        let name = line.strip_prefix("      --").or(line.strip_prefix("  -h, --"))?.split([' ', '=']).next()?;
        Some(name.to_string())
    });
    names.filter(|name| name != "help").collect()
}

fn commands(place: &Place) -> Vec<String> {
    let (_, out, _) = place.run(&["--help"]);
    let list = out.lines().skip_while(|line| !line.starts_with("Commands:")).skip(1);
    let named = list.take_while(|line| !line.is_empty()).filter(|line| !line.starts_with("   "));
    let names = named.filter_map(|line| line.split_whitespace().next());
    names.filter(|name| *name != "help").map(String::from).collect()
}

/// Words with an option in the place of what they say of it.
fn with(words: &[&str], more: &[&str]) -> Vec<String> {
    let mut all: Vec<String> = words.iter().map(|word| word.to_string()).collect();
    let mut k = 0;
    while k < more.len() {
        let takes = k + 1 < more.len() && !more[k + 1].starts_with("--");
        if let Some(at) = all.iter().position(|word| word == more[k]) {
            let had = at + 1 < all.len() && !all[at + 1].starts_with("--");
            all.drain(at..at + 1 + usize::from(had));
        }
        all.push(more[k].into());
        if takes {
            all.push(more[k + 1].into());
        }
        k += 1 + usize::from(takes);
    }
    all
}

/// Text and files that a command leaves, times left out; and what its records say of parameters and inputs.
type Seen = (String, BTreeMap<String, Vec<u8>>, BTreeMap<String, String>);

/// Figures of commands that leave no file without being asked, so that there is a record of the run.
const FIGURES: [&str; 2] = ["--json", "figures.json"];

/// `hidden`: a file that is there for its record only.
fn seen(place: &Place, command: &str, words: &[String], hidden: &[&str]) -> (i32, Seen, String) {
    let directory = place.linked();
    let mut all = vec![command];
    all.extend(words.iter().map(String::as_str));
    let before = stamps(directory.path());
    let (status, out, error) = crate::place::megasim(directory.path(), &all);
    let (mut after, mut records) = (BTreeMap::new(), BTreeMap::new());
    for (name, stamp) in stamps(directory.path()) {
        if before.get(&name) == Some(&stamp) {
            continue;
        }
        let content = fs::read(directory.path().join(&name)).unwrap();
        let name = name.to_string_lossy().into_owned();
        if name.ends_with("run.json") {
            let record: serde_json::Value = serde_json::from_slice(&content).unwrap();
            let said = ["parameters", "seed", "inputs"].map(|key| record[key].to_string());
            records.insert(name, said.join("\n"));
        } else {
            after.insert(name, content);
        }
    }
    hidden.iter().for_each(|name| drop(after.remove(*name)));
    for (name, content) in &mut after {
        if name.ends_with(".json") {
            let mut value: serde_json::Value = serde_json::from_slice(content).unwrap();
            value.as_object_mut().map(|fields| fields.remove("seconds"));
            // What was asked for is no effect, but for what the runs of the netfiles are compared with.
            if let Some(conversion) = value.get_mut("conversion").and_then(|it| it.as_object_mut()) {
                conversion.retain(|key, _| ["plain_megasim", "ticks_per_ms"].contains(&key.as_str()));
            }
            *content = value.to_string().into_bytes();
        }
    }
    // The last column of classify is processor time.
    let cells = |line: &str| line.rsplit_once('┆').map_or(line.to_string(), |(line, _)| line.to_string());
    let out = if command == "classify" { out.lines().map(cells).collect() } else { out };
    (status, (out, after, records), error)
}

/// What commands do without the option in question, by their words.
type Baselines = Mutex<BTreeMap<Vec<String>, (i32, Seen)>>;

/// What is wrong with an option on a kind of input, if anything is.
fn fault(place: &Place, baselines: &Baselines, command: &str, words: &[&str], trial: &Trial) -> Option<String> {
    let option = format!("--{}", trial.option);
    let value = match (trial.value, words.iter().any(|word| word.ends_with("=0,2"))) {
        ("OVER", true) => "*.Tmin=0,3",
        ("OVER", false) => "seed=1,3",
        (value, _) => value,
    };
    let mut given = trial.with.to_vec();
    given.push(&option);
    given.extend((!value.is_empty()).then_some(value));
    let figures = STUDIES.contains(&command) && !["json", "force", "per-sample", "neurobench"].contains(&trial.option);
    let figures: &[&str] = if figures { &FIGURES } else { &[] };
    let plain = with(words, &[trial.with, figures].concat());
    let all = with(words, &[&given, figures].concat());
    let (status, found, error) = seen(place, command, &all, figures);
    // Exit status 1 of diff is an answer.
    if status != 0 && !(command == "diff" && status == 1) {
        let names: Vec<_> = trial.with.iter().copied().filter(|with| with.starts_with("--")).collect();
        // A file that does not belong to the input is named itself.
        let is_file = error.contains(if trial.value.is_empty() { trial.option } else { trial.value })
            || words.iter().any(|word| word.starts_with("--") && error.contains(word));
        let named = is_file || error.contains(&option) || names.iter().any(|with| error.contains(with));
        return (!named).then(|| format!("refused with status {status} without its name: {error}"));
    }
    if plain == all || !trial.unseen.is_empty() {
        return None;
    }
    let key = [&[command.to_string()], &plain[..]].concat();
    let known = baselines.lock().unwrap().get(&key).cloned();
    let baseline = known.unwrap_or_else(|| {
        let (status, baseline, _) = seen(place, command, &plain, figures);
        (status, baseline)
    });
    let (text, files, records) = &baseline.1;
    let is_same = baseline.0 == status && (text, files) == (&found.0, &found.1);
    // Another place for results is no parameter.
    let is_result = NO_PARAMETERS.contains(&trial.option);
    let is_silent = !is_result && !records.is_empty() && *records == found.2;
    baselines.lock().unwrap().insert(key, baseline);
    match (is_same, is_silent) {
        (true, _) => Some("is taken and changes nothing".into()),
        (false, true) => Some("changes results, and its value is not in run.json".into()),
        (false, false) => None,
    }
}

/// Options that say which results there are, and where they go.
const NO_PARAMETERS: [&str; 20] = [
    "brief",
    "full",
    "cache",
    "export",
    "json",
    "neurobench",
    "nir-data",
    "npz",
    "out",
    "outputs",
    "per-sample",
    "picture",
    "predictions",
    "report",
    "save-activations",
    "save-normalised",
    "save-parsed",
    "save-scales",
    "summary",
    "trace",
];

#[test]
fn every_option_acts_or_is_refused_by_name() {
    let place = Place::new();
    let mut jobs = Vec::new();
    // What serves does not end; its options are tried in tests/cli/serve.rs.
    for command in commands(&place).into_iter().filter(|command| command != "serve") {
        let kinds: Vec<_> = KINDS.iter().filter(|(of, ..)| *of == command).collect();
        assert!(!kinds.is_empty(), "no kind of input to try `{command}` on");
        for option in options(&place, &command) {
            let trial = TRIALS.iter().find(|it| it.option == option && it.commands.contains(&command.as_str()));
            let trial = trial.unwrap_or_else(|| panic!("nothing to try `{command} --{option}` with"));
            jobs.extend(kinds.iter().map(|(_, kind, words)| (command.clone(), *kind, *words, trial)));
        }
    }
    let (baselines, stamps) = (Baselines::default(), place.stamps());
    let (next, faults) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                while let Some((command, kind, words, trial)) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Some(fault) = fault(&place, &baselines, command, words, trial) {
                        let fault = format!("{command} on {kind}, --{} {}: {fault}", trial.option, trial.value);
                        faults.lock().unwrap().push(fault);
                    }
                }
            });
        }
    });
    assert_eq!(place.stamps(), stamps, "a command wrote into a file that was there");
    let mut faults = faults.into_inner().unwrap();
    faults.sort();
    assert!(faults.is_empty(), "{} of {}:\n{}", faults.len(), jobs.len(), faults.join("\n"));
}

#[test]
fn every_kind_of_input_is_taken_by_itself() {
    let place = Place::new();
    for (command, kind, words) in KINDS {
        let words: Vec<String> = words.iter().map(|word| word.to_string()).collect();
        let (status, _, error) = seen(&place, command, &words, &[]);
        assert!(status == 0 || (*command == "diff" && status == 1), "{command} on {kind}: {status}: {error}");
    }
}

#[test]
fn what_the_issue_names_is_refused() {
    let place = Place::new();
    let refused = |words: &[&str], option: &str| {
        let (status, _, error) = place.run(words);
        assert_eq!(status, 2, "{words:?}: {error}");
        assert!(error.contains(option), "{words:?}: {error}");
    };
    let classify = ["classify", "spiking.npz", "--data", "bars"];
    refused(&[&classify[..], &["--dt", "7", "--encode", "poisson", "--readout", "first_spike"]].concat(), "--");
    refused(&["convert", "spiking.npz", "--data", "bars", "--out", "x", "--percentile", "50"], "--percentile");
    refused(&["convert", "spiking.npz", "--data", "bars", "--out", "x", "--settings", "/no/such/file"], "--settings");
}
