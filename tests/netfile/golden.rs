//! Every ready-made directory reads, and is the same when written and read again; the malformed one is refused.

use crate::engine_data::engine_data;
use megasim::netfile::{self, Error, FileNames, WarningKind};
use megasim::network::ModuleKind;
use std::fs;
use std::path::{Path, PathBuf};

fn data(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(path)
}

fn golden(engine: &Path) -> Vec<PathBuf> {
    (0..40).map(|k| engine.join(format!("net{k:02}"))).collect()
}

#[test]
fn written_and_read_again_is_the_same() {
    let toolbox = ["netfiles/toolbox-mlp", "netfiles/toolbox-mlp-mixed-bias-batch"].map(data);
    let engine = engine_data();
    for directory in golden(engine.path()).into_iter().chain(toolbox) {
        let first = netfile::read(&directory.join("megasim.sch")).unwrap();
        for files in [first.files.clone(), FileNames::of(&first.network)] {
            let temporary = tempfile::tempdir().unwrap();
            netfile::write(temporary.path(), &first.network, &first.stimuli, &files).unwrap();
            let second = netfile::read(&temporary.path().join(&files.schematic)).unwrap();
            assert_eq!(first.network, second.network, "{directory:?}");
            assert_eq!(first.stimuli, second.stimuli, "{directory:?}");
            assert_eq!(files, second.files, "{directory:?}");
        }
    }
}

/// But for extension keys that say nothing, which the writer leaves out, and blank lines.
#[test]
fn the_writer_writes_the_bytes_that_were_read() {
    let text = |path: PathBuf, kind: &ModuleKind| {
        let text = fs::read_to_string(path).unwrap();
        let idle = ["x_stride 1", "y_stride 1", "x_expand 1", "y_expand 1"];
        let says =
            |line: &&str| !(matches!(kind, ModuleKind::Conv(_)) && idle.contains(line) || line.trim().is_empty());
        text.lines().filter(says).map(String::from).collect::<Vec<_>>()
    };
    let engine = engine_data();
    for directory in golden(engine.path()) {
        let netfiles = netfile::read(&directory.join("megasim.sch")).unwrap();
        let temporary = tempfile::tempdir().unwrap();
        netfile::write(temporary.path(), &netfiles.network, &netfiles.stimuli, &netfiles.files).unwrap();
        for (module, files) in netfiles.network.modules().iter().zip(&netfiles.files.modules) {
            for name in [&files.parameters, &files.state] {
                let (expected, found) = (directory.join(name), temporary.path().join(name));
                assert_eq!(text(expected, &module.kind), text(found, &module.kind), "{directory:?} {name}");
            }
        }
        for name in &netfiles.files.stimuli {
            let lines = |path: PathBuf| fs::read_to_string(path).unwrap().lines().map(String::from).collect::<Vec<_>>();
            let (mut expected, found) = (lines(directory.join(name)), lines(temporary.path().join(name)));
            // Some are out of time order.
            expected.sort_by_key(|line| line.split(' ').next().unwrap().parse::<i64>().unwrap());
            assert_eq!(expected, found, "{directory:?} {name}");
        }
    }
}

#[test]
fn event_files_keep_their_bytes() {
    let engine = engine_data();
    let nets = golden(engine.path()).into_iter();
    let runs = nets.flat_map(|net| ["event", "clocked", "clocked-dt3"].map(|mode| net.join(mode)));
    for directory in runs {
        let schematic = directory.parent().unwrap().join("megasim.sch");
        let network = netfile::read(&schematic).unwrap().network;
        let mut by_name = netfile::read_event_files(&directory).unwrap();
        assert_eq!(by_name.len(), network.nodes().len());
        let mut take = |name: &str| {
            let k = by_name.iter().position(|(node, _)| node == name)?;
            Some(by_name.swap_remove(k).1)
        };
        let logs: Vec<_> = network.nodes().iter().map(|node| take(&node.name)).collect();
        let temporary = tempfile::tempdir().unwrap();
        netfile::write_event_files(temporary.path(), &network, &logs).unwrap();
        for (node, path) in netfile::list_event_files(&directory).unwrap() {
            let written = temporary.path().join(netfile::event_file_name(&node).unwrap());
            assert_eq!(fs::read(path).unwrap(), fs::read(written).unwrap(), "{directory:?} {node}");
        }
        let left = fs::read_dir(temporary.path()).unwrap().count();
        assert_eq!(left, network.nodes().len(), "nothing else is left behind");
    }
}

#[test]
fn the_toolboxs_shifted_names_are_taken_with_a_warning() {
    let netfiles = netfile::read(&data("netfiles/toolbox-mlp-mixed-bias-batch/megasim.sch")).unwrap();
    let extra: Vec<_> = netfiles
        .warnings
        .iter()
        .filter_map(|warning| match &warning.kind {
            WarningKind::ExtraInputs { ports, names } => Some((warning.line, *ports, names.join(","))),
            _ => None,
        })
        .collect();
    assert!(!extra.is_empty());
    assert!(extra.iter().all(|(_, ports, names)| *ports == 2 && names == "reset_event"), "{extra:?}");
    assert_eq!(extra.len(), netfiles.warnings.len(), "{:?}", netfiles.warnings);
}

#[test]
fn the_malformed_directory_is_refused_file_by_file() {
    let schematic = data("netfiles/toolbox-cnn-malformed/megasim.sch");
    let Error::Text { path, fault } = netfile::read(&schematic).unwrap_err() else { panic!("a fault in a text") };
    assert_eq!(path.file_name().unwrap(), "00Conv2D_8x26x26_0.prm");
    assert_eq!((fault.line, fault.text.as_str(), fault.found.as_str()), (27, "3992635", "1 integer"));
    assert_eq!(fault.expected, "3 integers (row 1 of 3 of port block 1 of 2)");
    let faults = netfile::examine(&schematic).faults;
    assert_eq!(faults.len(), 8 + 2, "each convolution, no pooling: {faults:#?}");
}
