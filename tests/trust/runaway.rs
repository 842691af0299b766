//! Networks whose runs do not end by themselves.

use assert_cmd::Command;
use assert_cmd::assert::Assert;
use megasim::engine::{Error, Limits, Mode, Plan, Probes, RECORDED_BYTES, Simulation, batch};
use megasim::network::*;
use predicates::prelude::*;
use predicates::str::contains;
use std::path::PathBuf;
use std::time::Duration;

fn schematic(name: &str) -> PathBuf {
    let fixtures = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/hostile-nets");
    fixtures.join(name).join("megasim.sch")
}

fn megasim(arguments: &[&str]) -> Assert {
    let mut command = Command::cargo_bin("megasim").unwrap();
    // A hang ends the test; how long it takes is not tested.
    command.args(arguments).timeout(Duration::from_secs(300)).assert()
}

fn run(name: &str, options: &[&str]) -> Assert {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("out");
    let schematic = schematic(name);
    let given = ["run", schematic.to_str().unwrap(), "--out", out.to_str().unwrap()];
    let result = megasim(&[&given, options].concat());
    let failed = result.get_output().status.code() != Some(0);
    // Nothing half-written is left.
    assert_eq!(out.exists(), !failed);
    result
}

#[test]
fn loops_are_stopped_in_both_modes_and_their_nodes_are_named() {
    for (name, nodes) in [("ring2", "{a}, {b}"), ("selfloop", "{a}"), ("amplify", "{a}")] {
        for mode in [&[][..], &["--clocked"]] {
            let stopped = [&["--max-memory", "20M"], mode].concat();
            run(name, &stopped)
                .code(1)
                .stderr(contains("more than 20000000 bytes (--max-memory)"))
                .stderr(contains(format!("loops through {nodes}")).and(contains("most events are on {a}")));
        }
    }
}

#[test]
fn events_are_counted_where_nothing_is_recorded_too() {
    run("ring2", &["--clocked", "--max-events", "1000"])
        .code(1)
        .stderr(contains("stopped at 1000 events (--max-events)"));
    run("ring2", &["--max-events", "1000"]).code(1).stderr(contains("stopped at 1000 events (--max-events)"));
    run("ring2", &["--max-events", "1001", "--tmax", "999"]).success();
    run("ring2", &["--clocked", "--max-events", "0"]).code(2);
    run("ring2", &["--max-memory", "some"]).code(2).stderr(contains("expected a size above 0 as 1500M or 8G"));
}

#[test]
fn a_threshold_that_raises_the_potential_is_named_as_the_cause() {
    run("thneg", &["--clocked", "--max-memory", "20M"])
        .code(1)
        .stderr(contains("a spike of {a} subtracts THplus = -5, which takes the potential further beyond it"));
    // One event touches the neuron once.
    run("thneg", &[]).success().stdout(contains("2 events"));
}

#[test]
fn times_that_saturate_are_after_every_tmax() {
    run("tmaxbig", &[])
        .success()
        .stdout(contains("pending at Tmax"))
        .stderr(contains("times end at 9223372036854775807"));
    run("tmaxbig", &["--clocked", "--max-memory", "20M"]).code(1).stderr(contains("loops through {a}"));
}

#[test]
fn check_warns_before_the_run() {
    let check = |name: &str| megasim(&["check", schematic(name).to_str().unwrap()]);
    check("ring2").success().stdout(contains("warning  a loop that may go on until Tmax = 2147483646"));
    check("selfloop").success().stdout(contains("warning  a loop that may go on until Tmax = 2147483646"));
    check("amplify").success().stdout(contains("warning  a loop in which time cannot advance"));
    check("thneg").success().stdout(contains("warning  {a} spikes again and again in clocked mode"));
    check("tmaxbig").success().stdout(contains("warning  Tmax is the largest time there is"));
}

#[test]
fn studies_are_stopped_too() {
    let directory = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(schematic("ring2").parent().unwrap()).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, directory.path().join(path.file_name().unwrap())).unwrap();
    }
    // A study runs a sample as long as its stimuli.
    std::fs::write(directory.path().join("in.stim"), "0 -1 -1 0 0 1\n90000 -1 -1 0 0 1\n").unwrap();
    let schematic = directory.path().join("megasim.sch");
    for command in ["compare", "latency"] {
        megasim(&[command, schematic.to_str().unwrap(), "--max-events", "1000"])
            .code(1)
            .stderr(contains("sample 0").and(contains("loops through {a}, {b}")));
    }
}

/// One neuron that spikes at each event, with resets between the events.
fn pieces(samples: usize) -> (Network, Vec<Stimulus>) {
    let mut builder = NetworkBuilder::new();
    let input = builder.source("in").unwrap();
    let array = Array { nx: 1, ny: 1, x_min: 0, y_min: 0 };
    let port = FullyConnectedPort { nx_pre: 1, ny_pre: 1, weights: [10].into() };
    let neurons = NeuronParameters { threshold_plus: 10, ..NeuronParameters::default() };
    let kind =
        ModuleKind::FullyConnected(FullyConnected { array, neurons, ports: vec![port], output: Output::whole(array) });
    let module = Module { kind, inputs: vec![Input::Node(input)], timing: Timing::default(), not_programmable: false };
    builder.module(module, &["out"]).unwrap();
    let samples = 0..samples as Tick;
    let events = samples.flat_map(|k| {
        let spike = StimulusEvent { t_pre: 10 * k, x: 0, y: 0, polarity: Polarity::Positive };
        [spike, StimulusEvent::reset(10 * k + 5)]
    });
    (builder.build(1_000_000).unwrap(), vec![Stimulus::from_events(events)])
}

#[test]
fn limits_are_those_of_the_whole_run_and_exact() {
    let (network, stimuli) = pieces(50);
    // Each sample has an event, a reset and a spike.
    let fits = Limits { events: 150, memory: 150 * RECORDED_BYTES + 100, ..Limits::default() };
    for mode in [Mode::Event, Mode::Clocked { dt: 1 }] {
        let result = |limits| {
            let plan = Plan::new(&network).unwrap().with_limits(limits);
            batch::run(&plan, mode, &Probes::all(&network), &stimuli)
        };
        assert_eq!(result(fits).unwrap().summary.events, [100, 50]);
        let events = result(Limits { events: 149, ..fits }).unwrap_err();
        assert!(matches!(events, Error::TooManyEvents { limit: 149, .. }), "{events}");
        let memory = result(Limits { memory: 149 * RECORDED_BYTES, ..fits }).unwrap_err();
        assert!(matches!(memory, Error::TooMuchMemory { .. }), "{memory}");
        // The same words with any number of threads.
        let alone = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        assert_eq!(alone.install(|| result(Limits { events: 149, ..fits })), Err(events));
    }
}

/// Many events at one tick for many neurons that all spike: more outputs than memory, before the first of them is
/// handled.
#[test]
fn one_tick_that_makes_more_than_memory_is_stopped() {
    let mut builder = NetworkBuilder::new();
    let input = builder.source("in").unwrap();
    let array = Array { nx: 100_000, ny: 1, x_min: 0, y_min: 0 };
    let port = FullyConnectedPort { nx_pre: 1, ny_pre: 1, weights: vec![10; 100_000].into() };
    let neurons = NeuronParameters { threshold_plus: 10, ..NeuronParameters::default() };
    let kind =
        ModuleKind::FullyConnected(FullyConnected { array, neurons, ports: vec![port], output: Output::whole(array) });
    let module = Module { kind, inputs: vec![Input::Node(input)], timing: Timing::default(), not_programmable: false };
    builder.module(module, &["out"]).unwrap();
    let network = builder.build(10).unwrap();
    let event = StimulusEvent { t_pre: 0, x: 0, y: 0, polarity: Polarity::Positive };
    let stimuli = [Stimulus::from_events(std::iter::repeat_n(event, 100_000))];
    let limits = Limits { memory: 50_000_000, ..Limits::default() };
    let plan = Plan::new(&network).unwrap().with_limits(limits);
    let stopped = Simulation::new(&plan, Mode::Event, &Probes::none()).run(&stimuli).unwrap_err();
    let Error::TooMuchMemory { excess, .. } = stopped else { panic!("{stopped}") };
    assert_eq!(excess.nodes[0].0, "out");
}

#[test]
fn equations_that_go_on_are_named_with_their_line() {
    let text = "[state]\nv = 0\n[update]\nv = \"v + input\"\n[spike]\nwhen = \"v >= 0\"\n";
    let model = NeuronModel::parse("neuron_1.toml".as_ref(), text).unwrap();
    let (mut network, stimuli) = pieces(1);
    network.set_model(|_| true, 1.try_into().unwrap(), model.into()).unwrap();
    let plan = Plan::new(&network).unwrap().with_limits(Limits { events: 1000, ..Limits::default() });
    let stopped = Simulation::new(&plan, Mode::Clocked { dt: 1 }, &Probes::none()).run(&stimuli).unwrap_err();
    assert!(
        stopped.to_string().contains("neuron_1.toml:6: the condition under which the neurons of {out} spike"),
        "{stopped}"
    );
}

#[test]
fn times_before_0_are_refused() {
    let (network, _) = pieces(1);
    let plan = Plan::new(&network).unwrap();
    let early = StimulusEvent { t_pre: -3, x: 0, y: 0, polarity: Polarity::Positive };
    for mode in [Mode::Event, Mode::Clocked { dt: 1 }] {
        let result = Simulation::new(&plan, mode, &Probes::none()).run(&[Stimulus::from_events([early])]);
        assert_eq!(result, Err(Error::NegativeTime(-3)));
    }
}
