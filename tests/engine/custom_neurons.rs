//! Neurons beyond the usual keys: custom equations against built-in neurons and the plain reference, and from the
//! command line; exponential leak and resting potential from the command line.

use crate::common::random_network::random_network;
use crate::common::reference;
use assert_cmd::Command;
use megasim::engine::{Error, Limits, Mode, Plan, Probes, Record, Simulation};
use megasim::network::*;
use proptest::prelude::*;
use std::fs;
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;

const IAF: &str = include_str!("../../examples/neurons/iaf.toml");
const ANNARCHY: &str = include_str!("../../examples/neurons/annarchy.toml");
const ADAPTIVE: &str = include_str!("../../examples/neurons/adaptive.toml");
/// Moves by itself, fires both ways, reads what there is.
const RESTLESS: &str = r#"
[parameters]
pace = 2
[state]
v = "MembReset"
w = "1 + resting_potential"
[update]
v = "v + input + if w > 3 { pace } else { -elapsed }"
w = "if elapsed == 0 { w } else { (w + v) % 7 + input * 1000000000 }"
[spike]
when = "v >= THplus && w != 2"
reset.v = "v / 2"
[negative_spike]
when = "v < -5"
reset = { v = "MembReset", w = "shift_right(w, 1)" }
"#;

/// The neurons of all modules that can have them changed, and following equations.
fn with_model(network: &Network, text: &str, change: impl Fn(&mut NeuronParameters)) -> Network {
    let mut changed = network
        .map_modules(|module| match &mut module.kind {
            ModuleKind::Conv(conv) => change(&mut conv.neurons),
            ModuleKind::FullyConnected(full) => change(&mut full.neurons),
            _ => {}
        })
        .unwrap();
    if !text.is_empty() {
        let model = NeuronModel::parse("mine.toml".as_ref(), text).unwrap();
        changed.set_model(|_| true, NonZeroU32::MIN, Arc::new(model)).unwrap();
    }
    changed
}

fn run(network: &Network, stimuli: &[Stimulus], mode: Mode) -> Result<Record, Error> {
    let limits = Limits { events_per_tick: 3_000, events: 1_000_000_000, memory: 500_000 };
    let plan = Plan::new(network)?;
    Simulation::new(&plan, mode, &Probes::all(network)).with_limits(limits).run(stimuli)
}

fn modes() -> impl Strategy<Value = Mode> {
    prop_oneof![Just(Mode::Event), (1i64..4).prop_map(|dt| Mode::Clocked { dt })]
}

fn logs(record: Result<Record, Error>) -> Result<Vec<EventLog>, Option<TestCaseError>> {
    match record {
        Ok(record) => Ok(record.nodes.into_iter().flatten().collect()),
        Err(Error::Address { .. }) => Err(None),
        Err(error) => Err(Some(TestCaseError::reject(error.to_string()))),
    }
}

#[test]
fn neurons_that_start_beyond_their_condition_spike_without_any_event() {
    let array = Array { nx: 1, ny: 1, x_min: 0, y_min: 0 };
    let port = FullyConnectedPort { nx_pre: 1, ny_pre: 1, weights: [0].into() };
    let neurons = NeuronParameters { membrane_reset: -6, ..NeuronParameters::default() };
    let full = FullyConnected { array, neurons, ports: vec![port], output: Output::whole(array) };
    let mut builder = NetworkBuilder::new();
    let input = builder.source("in").unwrap();
    let (kind, inputs) = (ModuleKind::FullyConnected(full), vec![Input::Node(input)]);
    let module = Module { kind, inputs, timing: Timing::default(), not_programmable: false };
    let output = builder.module(module, &["out"]).unwrap()[0];
    let network = with_model(&builder.build(3).unwrap(), RESTLESS, |_| {});
    // -6 is below -5, and what a negative spike leaves.
    let record = run(&network, &[Stimulus::new()], Mode::Clocked { dt: 1 }).unwrap();
    assert_eq!(record.nodes[output.index()].as_ref().unwrap().t_pre, [0, 1, 2, 3]);
}

/// Both give the same events.
fn same(one: &Network, other: &Network, stimuli: &[Stimulus], mode: Mode) -> Result<(), TestCaseError> {
    match (logs(run(one, stimuli, mode)), logs(run(other, stimuli, mode))) {
        (Err(Some(fault)), _) | (_, Err(Some(fault))) => Err(fault),
        (one, other) => {
            prop_assert_eq!(one.ok(), other.ok());
            Ok(())
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { max_global_rejects: 100_000, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn integrate_and_fire_as_equations_is_the_built_in_one((network, stimuli) in random_network(), mode in modes()) {
        let change = |neurons: &mut NeuronParameters| {
            neurons.dynamics = Dynamics::IntegrateAndFire;
            neurons.fires_plus = true;
            // A threshold that only clamps may be at or below rest.
            neurons.threshold_plus = neurons.threshold_plus.max(neurons.membrane_reset.max(neurons.rest()) + 1);
            neurons.fires_minus = false;
            neurons.reset = Reset::Subtract;
            neurons.mask_tau = 0;
            // Below all that rest and resets give: the built-in neuron is not tested while it is refractory.
            neurons.threshold_minus = neurons.threshold_minus.min(-5);
        };
        same(&with_model(&network, "", change), &with_model(&network, IAF, change), &stimuli, mode)?;
    }

    #[test]
    fn annarchy_as_equations_is_what_its_preset_makes((network, stimuli) in random_network(), mode in modes()) {
        let change = |neurons: &mut NeuronParameters| {
            let threshold_plus = neurons.threshold_plus.clamp(1, 1000);
            let (t_min, refractory) = (neurons.t_min, neurons.refractory);
            *neurons = NeuronParameters { threshold_plus, t_min, refractory, ..NeuronParameters::default() };
        };
        let built_in = |neurons: &mut NeuronParameters| {
            change(neurons);
            neurons.threshold_minus = -2 * neurons.threshold_plus;
            neurons.threshold_plus += 1;
            neurons.reset = Reset::ToRest;
        };
        same(&with_model(&network, "", built_in), &with_model(&network, ANNARCHY, change), &stimuli, mode)?;
    }

    #[test]
    fn equations_do_what_the_reference_does(
        (network, stimuli) in random_network(),
        mode in modes(),
        text in prop::sample::select(vec![RESTLESS, ADAPTIVE, IAF]),
    ) {
        let network = with_model(&network, text, |neurons| neurons.mask_tau = 0);
        match logs(run(&network, &stimuli, mode)) {
            Err(Some(fault)) => return Err(fault),
            found => {
                let expected = match mode {
                    Mode::Event => reference::run_event(&network, &stimuli),
                    Mode::Clocked { dt } => reference::run_clocked(&network, &stimuli, dt),
                };
                prop_assert_eq!(found.ok(), expected.ok());
            }
        }
    }
}

fn megasim() -> Command {
    Command::cargo_bin("megasim").unwrap()
}

fn convert(out: &Path, options: &[&str]) -> assert_cmd::assert::Assert {
    let mut command = megasim();
    command
        .args([
            "convert",
            "examples/digits/digits_cnn.keras",
            "--data",
            "examples/digits",
            "--preset",
            "toolbox",
            "--out",
        ])
        .arg(out);
    command.args(options).assert()
}

fn spikes(netdir: &Path) -> serde_json::Value {
    let json = netdir.with_extension("json");
    let mut command = megasim();
    command.arg("classify").arg(netdir).args(["--data", "examples/digits", "--samples", "20", "--json"]).arg(&json);
    command.assert().success();
    let read: serde_json::Value = serde_json::from_slice(&fs::read(&json).unwrap()).unwrap();
    read["per_sample"]["spikes"].clone()
}

#[test]
fn time_constants_and_resting_potentials_of_all_layers() {
    let directory = tempfile::tempdir().unwrap();
    let (plain, leaky) = (directory.path().join("plain"), directory.path().join("leaky"));
    convert(&plain, &[]).success();
    convert(&leaky, &["--tau-mem", "20", "--resting-potential", "-0.1", "--set", "06*.leak_decay=0"]).success();
    let prm = |name: &str| fs::read_to_string(leaky.join(name)).unwrap();
    // 2^30 (1 - exp(-1 / 200))
    assert!(prm("05Dense_32.prm").contains("\nleak_decay 5355310\nresting_potential -1000000\n"));
    assert!(prm("06Dense_10.prm").contains("\nresting_potential -1000000\n"));
    assert!(!prm("06Dense_10.prm").contains("leak_decay"));
    let (plain, leaky) = (spikes(&plain), spikes(&leaky));
    for mode in ["event", "clocked"] {
        assert!(leaky[mode].as_f64().unwrap() < 0.9 * plain[mode].as_f64().unwrap(), "{plain} {leaky}");
    }
    convert(&directory.path().join("no"), &["--tau-mem", "20", "--plain-megasim"]).code(2);
    let fault = convert(&directory.path().join("no"), &["--resting-potential", "1"]).code(1);
    let text = String::from_utf8_lossy(&fault.get_output().stderr).into_owned();
    assert!(text.contains("resting_potential") && text.contains("less than THplus"), "{text}");
}

#[test]
fn equations_of_one_layer_or_all() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("net");
    let settings = directory.path().join("settings.toml");
    fs::write(directory.path().join("iaf.toml"), IAF).unwrap();
    fs::write(&settings, "[\"06*\"]\nneuron = \"iaf.toml\"\nT_Refract = 3\n").unwrap();
    let options = ["--neuron", "examples/neurons/adaptive.toml", "--settings", settings.to_str().unwrap()];
    convert(&out, &options).success();
    assert_eq!(fs::read_to_string(out.join("neuron_1.toml")).unwrap(), ADAPTIVE);
    assert_eq!(fs::read_to_string(out.join("neuron_2.toml")).unwrap(), IAF);
    let prm = |name: &str| fs::read_to_string(out.join(name)).unwrap();
    assert!(prm("05Dense_32.prm").contains("\nneuron_model 1\n"));
    assert!(prm("06Dense_10.prm").contains("\nneuron_model 2\n"));
    assert!(!prm("04Flatten_64.prm").contains("neuron_model"));
    megasim().args(["check"]).arg(out.join("megasim.sch")).assert().success();
    let plain = directory.path().join("plain");
    convert(&plain, &[]).success();
    let (plain, own) = (spikes(&plain), spikes(&out));
    for mode in ["event", "clocked"] {
        assert!(own[mode].as_f64().unwrap() < 0.9 * plain[mode].as_f64().unwrap(), "{plain} {own}");
    }

    // What is wrong outside the netlist is reported with file and line.
    let run = || {
        let mut command = megasim();
        command.arg("run").arg(out.join("megasim.sch")).arg("--out").arg(directory.path().join("never"));
        command.assert().code(1).get_output().stderr.clone()
    };
    fs::write(out.join("neuron_1.toml"), ADAPTIVE.replace("fall, elapsed", "falls, elapsed")).unwrap();
    let text = String::from_utf8(run()).unwrap();
    assert!(text.contains("neuron_1.toml:13: above: unknown name `falls`; did you mean `fall`?"), "{text}");
    fs::write(out.join("neuron_1.toml"), ADAPTIVE.replace("rise = 2000000", "rise = 0.5")).unwrap();
    let text = String::from_utf8(run()).unwrap();
    assert!(text.contains("neuron_1.toml:4: rise: expected a whole number, found 0.5"), "{text}");
    fs::remove_file(out.join("neuron_1.toml")).unwrap();
    let text = String::from_utf8(run()).unwrap().split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains("neuron_1.toml: cannot be read") && text.contains("has neuron_model 1"), "{text}");
}

#[test]
fn integrate_and_fire_by_equations_converts_to_the_same_spikes() {
    let directory = tempfile::tempdir().unwrap();
    let (plain, own) = (directory.path().join("plain"), directory.path().join("own"));
    convert(&plain, &["--tau-mem", "50"]).success();
    convert(&own, &["--tau-mem", "50", "--neuron", "examples/neurons/iaf.toml"]).success();
    assert_eq!(spikes(&plain), spikes(&own));
}

/// A spike that travels back to the module that sent it ends the run in the step in which it arrives: there is no
/// further step in which a neuron that changes by itself could spike.
#[test]
fn events_that_travel_back_do_not_add_a_step() {
    let mut builder = NetworkBuilder::new();
    let kick = builder.source("kick").unwrap();
    let array = Array { nx: 1, ny: 1, x_min: 0, y_min: 0 };
    let neurons = NeuronParameters { threshold_plus: 10, ..NeuronParameters::default() };
    let mut module = |name: &str, inputs: Vec<Input>, weights: &[i32]| {
        let ports = weights.iter().map(|&weight| FullyConnectedPort { nx_pre: 1, ny_pre: 1, weights: [weight].into() });
        let full = FullyConnected { array, neurons, ports: ports.collect(), output: Output::whole(array) };
        let timing = Timing { delay_to_arrive: 1, ..Timing::default() };
        let kind = ModuleKind::FullyConnected(full);
        builder.module(Module { kind, inputs, timing, not_programmable: false }, &[name]).unwrap();
    };
    module("echo", vec![Input::Undriven("echo".into()), Input::Node(kick)], &[0, 10]);
    module("clock", vec![Input::Node(kick)], &[0]);
    let mut network = builder.build(1_000).unwrap();
    let counts_time = "[state]\nv = 0\n[update]\nv = \"v + elapsed\"\n[spike]\nwhen = \"v >= 2\"\n";
    let model = NeuronModel::parse("time.toml".as_ref(), counts_time).unwrap();
    network.set_model(|node| node == "clock", NonZeroU32::MIN, Arc::new(model)).unwrap();
    let kick = StimulusEvent { t_pre: 0, x: 0, y: 0, polarity: Polarity::Positive };
    let stimuli = [Stimulus::from_events([kick])];
    let found = logs(run(&network, &stimuli, Mode::Clocked { dt: 1 })).unwrap();
    assert_eq!(found.iter().map(EventLog::len).collect::<Vec<_>>(), [1, 1, 0]);
    assert_eq!(Some(found), reference::run_clocked(&network, &stimuli, 1).ok());
}
