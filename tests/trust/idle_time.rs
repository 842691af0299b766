//! Time without events costs nothing, and changes nothing.

use assert_cmd::Command;
use megasim::engine::machine::{Barrier, Machine, MachinePlan, MachineSimulation, Pace, RunSettings};
use megasim::engine::{Mode, Plan, Probes, Simulation};
use megasim::network::*;
use predicates::str::contains;
use proptest::collection::vec;
use proptest::prelude::*;
use std::fs;
use std::time::Duration;

/// A source and a neuron, with five events, the first of them after a hundred million ticks.
struct Late(tempfile::TempDir);

impl Late {
    fn new(changes: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let fixture = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/hostile-nets/thneg");
        for file in ["a.prm", "s.stt", "megasim.sch"] {
            fs::copy(fixture.join(file), directory.path().join(file)).unwrap();
        }
        let mut parameters = fs::read_to_string(directory.path().join("a.prm")).unwrap();
        for (from, to) in [("THplus -5", "THplus 15"), ("MembReset -10", "MembReset 0")].iter().chain(changes) {
            assert!(parameters.contains(from), "{from}");
            parameters = parameters.replace(from, to);
        }
        fs::write(directory.path().join("a.prm"), parameters).unwrap();
        let stimulus: String = (0..5).map(|k| format!("{} -1 -1 0 0 1\n", 100_000_000 + 3 * k)).collect();
        fs::write(directory.path().join("in.stim"), stimulus).unwrap();
        Self(directory)
    }

    fn megasim(&self, arguments: &[&str]) -> assert_cmd::assert::Assert {
        let mut command = Command::cargo_bin("megasim").unwrap();
        let command = command.current_dir(self.0.path()).arg(arguments[0]).arg("megasim.sch").args(&arguments[1..]);
        // A hang ends the test; how long it takes is not tested.
        command.timeout(Duration::from_secs(300)).assert()
    }
}

#[test]
fn a_late_first_event_costs_no_study_anything() {
    let late = Late::new(&[]);
    for mode in [&[][..], &["--clocked"], &["--clocked", "--dt", "7"]] {
        late.megasim(&[&["run", "--force", "--out", "out"], mode].concat()).success().stdout(contains("8 events"));
    }
    for study in [
        &["compare", "--report", "compare.html"][..],
        &["compare", "--dt", "1,7", "--tie-order", "split", "--warm-up", "1000"],
        &["latency", "--hardware", "loihi", "--tick", "1ms", "--report", "latency.html", "--trace", "trace.csv"],
        &["latency", "--hardware", "serial-aer", "--tick", "1ms"],
        &["latency", "--hardware", "loihi", "--tick", "1ms", "--pace", "fastest"],
        &["sweep", "--hardware", "loihi", "--tick", "1ms", "--over", "*.Tmin=0,2", "--out", "sweep"],
        &["verify"],
    ] {
        late.megasim(study).success();
    }
    let mut report = Command::cargo_bin("megasim").unwrap();
    report.current_dir(late.0.path()).args(["report", "out"]).timeout(Duration::from_secs(300)).assert().success();
}

/// A potential that leaks towards one beyond a threshold that clamps is clamped at each tick.
#[test]
fn a_clamp_in_time_without_events_costs_nothing() {
    let late = Late::new(&[("THplus 15", "THplus -1"), ("THplusInfo 1", "THplusInfo 0"), ("TLminus 0", "TLminus 1")]);
    late.megasim(&["run", "--clocked", "--out", "out"]).success().stdout(contains("5 events"));
    // The causes of differences touch neurons at each tick.
    late.megasim(&["compare", "--causes", "0"]).success();
}

/// Equations may change in every step: what that may take is said before.
#[test]
fn steps_that_cannot_be_left_out_are_estimated_before_the_run() {
    let late = Late::new(&[("T_Refract 0", "T_Refract 0\nneuron_model 1")]);
    let iaf = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/neurons/iaf.toml");
    fs::copy(iaf, late.0.path().join("neuron_1.toml")).unwrap();
    let estimate = "up to 100000012 steps of 1 neurons";
    late.megasim(&["run", "--clocked", "--out", "out"]).success().stderr(contains(estimate));
    let compare = late.megasim(&["compare", "--causes", "0"]).success();
    compare.stderr(contains("clocked mode updates neurons with equations"));
    let silent = late.megasim(&["run", "--out", "event"]).success();
    assert!(!String::from_utf8_lossy(&silent.get_output().stderr).contains("steps"));
}

fn neurons() -> impl Strategy<Value = NeuronParameters> {
    let reset = prop_oneof![Just(Reset::ToRest), Just(Reset::Subtract), Just(Reset::Modulo)];
    let leaks = prop_oneof![
        3 => Just((0, 0, 0)),
        2 => (0..3_i32, 0..3_i32).prop_map(|(plus, minus)| (plus, minus, 0)),
        1 => (1..1_i32 << 30).prop_map(|decay| (0, 0, decay)),
    ];
    let thresholds = (1..12_i32, prop::bool::weighted(0.8), -12..0_i32, prop::bool::weighted(0.3));
    (thresholds, reset, leaks, 1..4_i64, 0..3_i64, prop::option::weighted(0.3, -20..20_i32)).prop_map(
        |((plus, fires_plus, minus, fires_minus), reset, leaks, t_min, refractory, resting_potential)| {
            NeuronParameters {
                threshold_plus: plus,
                fires_plus,
                threshold_minus: minus,
                fires_minus,
                reset,
                leak_plus: leaks.0,
                leak_minus: leaks.1,
                leak_decay: leaks.2,
                t_min,
                refractory,
                resting_potential,
                ..NeuronParameters::default()
            }
        },
    )
}

fn layer(neurons: NeuronParameters, from: NodeId, weights: &[i32], touch: bool) -> Module {
    let array = Array { nx: 2, ny: 1, x_min: 0, y_min: 0 };
    let mut ports = vec![FullyConnectedPort { nx_pre: 2, ny_pre: 1, weights: weights.into() }];
    let mut inputs = vec![Input::Node(from)];
    if touch {
        ports.push(FullyConnectedPort { nx_pre: 1, ny_pre: 1, weights: [0, 0].into() });
        inputs.push(Input::Undriven("touch".into()));
    }
    let kind = ModuleKind::FullyConnected(FullyConnected { array, neurons, ports, output: Output::whole(array) });
    Module { kind, inputs, timing: Timing::default(), not_programmable: false }
}

fn spike(t_pre: Tick, x: i32) -> StimulusEvent {
    StimulusEvent { t_pre, x, y: 0, polarity: Polarity::Positive }
}

proptest! {
    /// A source that touches by itself against one that is given an event at every tick.
    #[test]
    fn touches_are_left_out_only_where_they_change_nothing(
        neurons in vec(neurons(), 2),
        weights in vec(vec(-8..25_i32, 4), 2),
        events in vec((0..60_i64, 0..2_i32, any::<bool>()), 0..8),
    ) {
        let mut builder = NetworkBuilder::new();
        let mut from = builder.source("in").unwrap();
        for (k, (neurons, weights)) in neurons.into_iter().zip(&weights).enumerate() {
            let Ok(nodes) = builder.module(layer(neurons, from, weights, true), &[format!("layer{k}")]) else {
                return Err(TestCaseError::reject("thresholds on the wrong side"));
            };
            from = nodes[0];
        }
        builder.source("touch").unwrap();
        let network = builder.build(99).unwrap();
        let event = |(t, x, reset)| if reset && t > 40 { StimulusEvent::reset(t) } else { spike(t, x) };
        let events = events.into_iter().map(event);
        let input = Stimulus::from_events(events);
        let probes = Probes::of(&[NodeId::new(1), NodeId::new(2)]);
        let every = Stimulus::from_events((0..100).map(|t| spike(t, 0)));
        let plan = Plan::new(&network).unwrap();
        let expected = Simulation::new(&plan, Mode::Event, &probes).run(&[input.clone(), every]).unwrap();
        let plan = plan.with_touch(SourceId::new(1));
        let found = Simulation::new(&plan, Mode::Event, &probes).run(&[input, Stimulus::new()]).unwrap();
        prop_assert_eq!(found.nodes, expected.nodes);
    }

    /// Steps of a machine with a barrier, with and without a source that nothing reads and that has an event in each of
    /// them, so that none is left out.
    #[test]
    fn steps_are_left_out_only_where_they_change_nothing(
        neurons in neurons(),
        weights in vec(-8..25_i32, 4),
        events in vec((0..200_i64, 0..2_i32), 1..6),
        (step, time, per_neuron, per_operation) in (1..5_i64, 0..4_i64, 0..4_i64, 0..4_i64),
        pace in prop_oneof![Just("real"), Just("x3"), Just("fastest")],
        warm_up in prop_oneof![Just(0_i64), 0..300_i64],
    ) {
        let run = |ticks: bool| {
            let mut builder = NetworkBuilder::new();
            let input = builder.source("in").unwrap();
            builder.source("ticker").unwrap();
            if builder.module(layer(neurons, input, &weights, false), &["layer"]).is_err() {
                return None;
            }
            let network = builder.build(400).unwrap();
            let mut machine = Machine::of(&network);
            machine.barrier = Some(Barrier { step, time });
            let station = machine.module_mut(ModuleId::new(0));
            station.soma.time_per_neuron = per_neuron;
            station.time_per_operation = per_operation;
            // What does not go with a barrier is refused.
            let plan = MachinePlan::new(&network, machine).ok()?;
            let input = Stimulus::from_events(events.iter().map(|&(t, x)| spike(t, x)));
            let last = input.t_pre().last().copied().unwrap_or(0);
            let steps = (0..=last / step).filter(|_| ticks).map(|k| spike(k * step, 0));
            let probes = Probes::of(&[NodeId::new(0), NodeId::new(2)]);
            let mut simulation = MachineSimulation::new(&plan, &probes);
            let showing = RunSettings { pace: pace.parse::<Pace>().unwrap(), warm_up, until: None };
            let record = simulation.run(&[input, Stimulus::from_events(steps)], &showing, None).unwrap();
            let statistics = simulation.statistics();
            let figures = format!("{:?} {} {}", statistics.modules, statistics.steps, statistics.elapsed);
            Some((record.record.nodes, record.ended, figures))
        };
        let expected = run(true);
        prop_assume!(expected.is_some());
        prop_assert_eq!(run(false), expected);
    }
}
