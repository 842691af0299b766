//! The engine against the golden networks, byte for byte: event mode, and clocked with steps of 1 and 3 ticks, with
//! every kernel variant of this machine.

use crate::common::engine_data::engine_data;
use megasim::engine::kernels::Variant;
use megasim::engine::{Mode, Options, Plan, Probes, Simulation, batch};
use megasim::netfile;
use std::fs;
use std::path::{Path, PathBuf};

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data")
}

/// Runs a netfile directory and compares the event files with the expected ones.
fn check(directory: &Path, expected: &Path, mode: Mode, variant: Variant) {
    let netfiles = netfile::read(&directory.join("megasim.sch")).unwrap();
    let options = Options { kernel: variant, ..Options::default() };
    let plan = Plan::with_options(&netfiles.network, options).unwrap();
    let probes = Probes::all(&netfiles.network);
    let mut simulation = Simulation::new(&plan, mode, &probes);
    let record = simulation.run(&netfiles.stimuli).unwrap();
    let out = tempfile::tempdir().unwrap();
    netfile::write_event_files(out.path(), &netfiles.network, &record.nodes).unwrap();
    for (id, node) in netfiles.network.nodes().iter().enumerate() {
        let name = netfile::event_file_name(&node.name).unwrap();
        let wanted = fs::read_to_string(expected.join(&name)).unwrap();
        let found = fs::read_to_string(out.path().join(&name)).unwrap();
        for (line, (wanted, found)) in wanted.lines().zip(found.lines()).enumerate() {
            assert_eq!(found, wanted, "{} {mode:?} {variant:?} {name} line {}", directory.display(), line + 1);
        }
        assert_eq!(found, wanted, "{} {mode:?} {variant:?} {name}", directory.display());
        assert_eq!(record.summary.events[id], wanted.lines().count() as u64);
    }
    let threads = |n: usize| rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap();
    for n in [1, 2] {
        let batch = threads(n).install(|| batch::run(&plan, mode, &probes, &netfiles.stimuli));
        assert_eq!(batch.as_ref(), Ok(&record), "{} {mode:?} cut at resets, {n} threads", directory.display());
    }
    let files = fs::read_dir(expected).unwrap().count();
    assert_eq!(files, netfiles.network.nodes().len(), "one file a node in {}", expected.display());
    assert_eq!(simulation.run(&netfiles.stimuli).unwrap(), record, "a second run of the same simulation");
}

fn check_all(mode: Mode, folder: &str) {
    let engine = engine_data();
    for variant in Variant::available() {
        for k in 0..40 {
            let directory = engine.path().join(format!("net{k:02}"));
            check(&directory, &directory.join(folder), mode, variant);
        }
    }
}

#[test]
fn event_mode() {
    check_all(Mode::Event, "event");
}

#[test]
fn clocked_by_1_tick() {
    check_all(Mode::Clocked { dt: 1 }, "clocked");
}

#[test]
fn clocked_by_3_ticks() {
    check_all(Mode::Clocked { dt: 3 }, "clocked-dt3");
}

#[test]
fn directories_written_by_snn_toolbox() {
    for name in ["toolbox-mlp", "toolbox-mlp-mixed-bias-batch"] {
        let directory = data().join("netfiles").join(name);
        for variant in Variant::available() {
            check(&directory, &directory.join("expected/event"), Mode::Event, variant);
            check(&directory, &directory.join("expected/clocked"), Mode::Clocked { dt: 1 }, variant);
        }
    }
}

#[test]
fn a_batch_is_cut_at_its_resets() {
    let directory = data().join("netfiles/toolbox-mlp-mixed-bias-batch");
    let netfiles = netfile::read(&directory.join("megasim.sch")).unwrap();
    let plan = Plan::new(&netfiles.network).unwrap();
    let resets: Vec<_> = netfiles.stimuli[2].t_pre().to_vec();
    for mode in [Mode::Event, Mode::Clocked { dt: 1 }] {
        assert_eq!(batch::cuts(&plan, mode, &netfiles.stimuli), resets[..resets.len() - 1], "{mode:?}");
    }
    // A step that holds a reset and spikes cannot be cut.
    assert!(batch::cuts(&plan, Mode::Clocked { dt: 3 }, &netfiles.stimuli).is_empty());
}
