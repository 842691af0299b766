//! Files made to hurt: each ends with a message that names the cause, in bounded memory.

use assert_cmd::Command;
use assert_cmd::assert::Assert;
use predicates::prelude::*;
use predicates::str::contains;
use serde_json::{Value, json};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

fn project(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// Runs the program with 2 GB of address space; what does not end on a busy computer in a minute hangs.
fn megasim(arguments: &[&str]) -> Assert {
    let program = assert_cmd::cargo::cargo_bin("megasim");
    let mut command = if cfg!(target_os = "linux") {
        let mut command = Command::new("sh");
        command.args(["-c", "ulimit -v 2000000; exec \"$0\" \"$@\""]).arg(program);
        command
    } else {
        Command::new(program)
    };
    // Each thread reserves address space for its stack and heap.
    command.env("RAYON_NUM_THREADS", "2").timeout(Duration::from_secs(60)).args(arguments).assert()
}

fn inspect(file: &Path) -> Assert {
    megasim(&["inspect", file.to_str().unwrap()])
}

#[test]
fn a_cycle_is_named() {
    let cycle = project("tests/data/hostile/cycle.onnx");
    inspect(&cycle).failure().code(1).stderr(contains("a cycle through 'a', 'b'").and(contains("cycle.onnx")));
}

#[test]
fn a_value_added_to_itself_takes_the_memory_of_one() {
    for name in ["o100.onnx", "a26.keras"] {
        inspect(&project("tests/data/hostile").join(name)).success();
    }
}

#[test]
fn a_pickle_that_contains_itself_is_refused() {
    let message = "expected names as keys, found a dictionary";
    inspect(&project("tests/data/hostile/self.pth")).failure().code(1).stderr(contains(message));
}

/// A PyTorch archive with this pickle, and its description.
fn pickle(folder: &Path, pickle: &[u8]) -> PathBuf {
    let path = folder.join("model.pth");
    let mut archive = zip::ZipWriter::new(fs::File::create(&path).unwrap());
    let stored = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    archive.start_file("archive/data.pkl", stored).unwrap();
    archive.write_all(pickle).unwrap();
    archive.finish().unwrap();
    fs::copy(project("tests/data/hostile/self.toml"), path.with_extension("toml")).unwrap();
    path
}

#[test]
fn nested_and_shared_tuples_of_a_pickle_are_bounded() {
    let folder = tempfile::tempdir().unwrap();
    // A million tuples, each in the next.
    let nested = [b"\x80\x02)".to_vec(), vec![0x85; 1_000_000], b".".to_vec()].concat();
    inspect(&pickle(folder.path(), &nested)).failure().code(1).stderr(contains("tuples within each other"));
    // A key of 2^30 numbers: a pair of a pair twice, and so on.
    let mut shared = b"\x80\x02}K\x01".to_vec();
    (0..30).for_each(|_| shared.extend(b"q\x00h\x00\x86"));
    shared.extend(b"Ns.");
    let message = "expected names as keys, found a tuple";
    inspect(&pickle(folder.path(), &shared)).failure().code(1).stderr(contains(message));
}

#[test]
#[cfg(unix)]
fn external_data_are_regular_files_of_the_models_folder() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("external.onnx");
    fs::copy(project("tests/data/zoo/onnx/external.onnx"), &model).unwrap();
    let data = folder.path().join("external.onnx.data");
    std::os::unix::fs::symlink(project("tests/data/zoo/onnx/external.onnx.data"), &data).unwrap();
    inspect(&model).failure().code(1).stderr(contains("a link to"));
    fs::remove_file(&data).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&data).status().unwrap().success());
    inspect(&model).failure().code(1).stderr(contains("regular file"));
    fs::remove_file(&data).unwrap();
    // A link within the folder is fine.
    fs::copy(project("tests/data/zoo/onnx/external.onnx.data"), folder.path().join("numbers")).unwrap();
    std::os::unix::fs::symlink("numbers", &data).unwrap();
    inspect(&model).success();
}

/// A Keras model of models: each applies the one within it twice.
#[test]
fn models_nested_in_models_have_a_bounded_number_of_layers() {
    let folder = tempfile::tempdir().unwrap();
    let tensor = |layer: &str, node: usize| {
        json!({
            "class_name": "__keras_tensor__",
            "config": {"shape": [null, 2], "dtype": "float32", "keras_history": [layer, node, 0]}
        })
    };
    let call = |layer: &str, node: usize| json!({"args": [tensor(layer, node)], "kwargs": {}});
    let mut model = json!({
        "class_name": "Activation", "name": "inner", "config": {"name": "inner", "activation": "relu"}
    });
    for depth in 0..20 {
        let name = if depth == 19 { "outer" } else { "inner" };
        model["inbound_nodes"] = json!([call("in", 0), call("inner", 0)]);
        let input = json!({"class_name": "InputLayer", "name": "in", "inbound_nodes": [],
            "config": {"name": "in", "batch_shape": [null, 2], "dtype": "float32"}});
        model = json!({"class_name": "Functional", "name": name, "config": {"name": name,
            "layers": [input, model], "input_layers": [["in", 0, 0]], "output_layers": [["inner", 1, 0]]}});
    }
    let path = folder.path().join("nested.keras");
    let weights = fs::read(project("tests/data/hostile/a26.keras")).unwrap();
    let mut weights = zip::ZipArchive::new(std::io::Cursor::new(weights)).unwrap();
    let mut archive = zip::ZipWriter::new(fs::File::create(&path).unwrap());
    for name in ["config.json", "metadata.json", "model.weights.h5"] {
        archive.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        if name == "config.json" {
            archive.write_all(model.to_string().as_bytes()).unwrap();
        } else {
            std::io::copy(&mut weights.by_name(name).unwrap(), &mut archive).unwrap();
        }
    }
    archive.finish().unwrap();
    inspect(&path).failure().code(1).stderr(contains("expected at most 16384 layers"));
}

/// Ten samples of a million numbers, as a Fortran array in an archive of zeros: 40 MB where only two are wanted.
#[test]
fn few_samples_of_a_large_archive_take_little_memory() {
    let folder = tempfile::tempdir().unwrap();
    for (order, name) in [("True", "fortran"), ("False", "c")] {
        let path = folder.path().join(format!("{name}.npz"));
        let mut archive = zip::ZipWriter::new(fs::File::create(&path).unwrap());
        let header = format!("{{'descr': '|u1', 'fortran_order': {order}, 'shape': (3000000, 1000), }}");
        let deflated = zip::write::SimpleFileOptions::default().large_file(true);
        archive.start_file("arr_0.npy", deflated).unwrap();
        archive.write_all(b"\x93NUMPY\x01\x00").unwrap();
        archive.write_all(&(header.len() as u16).to_le_bytes()).unwrap();
        archive.write_all(header.as_bytes()).unwrap();
        // 24 MB of the 3 GB that the header announces.
        let zeros = vec![0; 24_000_000];
        archive.write_all(&zeros).unwrap();
        archive.finish().unwrap();
        let result = megasim::dataset::labels(&path, 10, 0, Some(5));
        let message = result.unwrap_err().to_string();
        assert!(message.contains("found"), "{message}");
    }
}

/// A converted network, whose manifest a test changes.
struct Converted {
    folder: tempfile::TempDir,
    manifest: Value,
}

impl Converted {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (model, data) = (project("examples/digits/digits_cnn.keras"), project("examples/digits"));
        let out = folder.path().join("net");
        let paths = [&model, &data, &out].map(|path| path.to_str().unwrap());
        megasim(&["convert", paths[0], "--data", paths[1], "--preset", "toolbox", "--out", paths[2]]).success();
        let text = fs::read(out.join("megasim.json")).unwrap();
        Self { folder, manifest: serde_json::from_slice(&text).unwrap() }
    }

    /// What a command says of the network with a changed manifest.
    fn run(&self, command: &[&str], change: impl Fn(&mut Value)) -> Assert {
        let mut manifest = self.manifest.clone();
        change(&mut manifest);
        let out = self.folder.path().join("net");
        fs::write(out.join("megasim.json"), format!("{manifest:#}")).unwrap();
        let data = project("examples/digits");
        let paths = [out.to_str().unwrap(), data.to_str().unwrap()];
        megasim(&[&command[..1], &paths[..1], &["--data", paths[1]], &command[1..]].concat())
    }
}

#[test]
fn nodes_that_do_not_fit_are_refused_by_every_command() {
    let converted = Converted::new();
    let out = converted.folder.path().join("sweep");
    let sweep = ["sweep", "--samples", "1", "--over", "duration=5", "--out", out.to_str().unwrap()];
    let commands: [&[&str]; 5] = [
        &["compare", "--samples", "1", "--duration", "5"],
        &["classify", "--samples", "1", "--duration", "5"],
        &["inspect"],
        &["latency", "--samples", "1", "--duration", "5", "--hardware", "ideal"],
        &sweep,
    ];
    let twice = |manifest: &mut Value| {
        let nodes = manifest["layers"][0]["nodes"].as_array_mut().unwrap();
        nodes.extend(nodes.clone());
    };
    let missing = |manifest: &mut Value| drop(manifest["layers"][3]["nodes"].as_array_mut().unwrap().remove(3));
    let unknown = |manifest: &mut Value| manifest["layers"][2]["nodes"][1] = json!("nobody");
    let other = |manifest: &mut Value| {
        let (a, b) = (manifest["layers"][0]["nodes"].take(), manifest["layers"][1]["nodes"].take());
        (manifest["layers"][0]["nodes"], manifest["layers"][1]["nodes"]) = (b, a);
    };
    for command in commands {
        converted.run(command, twice).failure().code(1).stderr(contains("expected one node or 8"));
        converted.run(command, missing).failure().code(1).stderr(contains("expected one node or 16"));
        converted.run(command, unknown).failure().code(1).stderr(contains("found 'nobody'"));
        converted.run(command, other).failure().code(1).stderr(contains("cells"));
    }
}

#[test]
fn manifests_are_typed_and_strict() {
    let converted = Converted::new();
    let command = ["classify", "--samples", "1", "--duration", "5"];
    converted.run(&command, |_| {}).success();
    let cases: [(&str, Value, &str); 15] = [
        ("/conversion/reset", json!("bogus"), "expected 'subtract', 'zero' or 'modulo' as reset, found 'bogus'"),
        ("/conversion/weight_bits", json!("no such thing"), "found 'no such thing'"),
        ("/conversion/percentile", json!(101), "expected a number above 0, at most 100 as conversion.percentile"),
        ("/conversion/scaling_factor", json!(0), "conversion.scaling_factor"),
        ("/conversion/v_thresh", json!(-1), "conversion.v_thresh"),
        ("/conversion/initial_potential", json!(1), "conversion.initial_potential"),
        ("/conversion/input_scale", json!(-5), "expected a number above 0 as conversion.input_scale, found -5"),
        ("/conversion/settings", json!(["anything"]), "GLOB.KEY=INTEGER"),
        ("/conversion/surplus", json!(1), "unknown field `surplus`"),
        ("/layers/0/scale", json!(-1), "expected a number above 0 as scale of layer '00Conv2D_8x8x8', found -1"),
        ("/layers/0/shape", json!([8, 0, 8]), "expected a shape"),
        ("/layers/1/inputs", json!(["06Dense_10"]), "expected inputs that are layers before it, found '06Dense_10'"),
        ("/output/classes", json!(11), "expected 10 classes as output.classes, found 11"),
        ("/model/copy", json!("../digits_cnn.keras"), "within the directory"),
        ("/format", json!(2), "expected format 1, found 2"),
    ];
    for (pointer, value, message) in cases {
        let change = |manifest: &mut Value| {
            let (parent, key) = pointer.rsplit_once('/').unwrap();
            let parent = manifest.pointer_mut(parent).unwrap();
            parent[key] = value.clone();
        };
        converted.run(&command, change).failure().code(1).stderr(contains(message).and(contains("megasim.json")));
    }
}

#[test]
fn a_sweep_goes_on_from_its_own_results_only() {
    let converted = Converted::new();
    let out = converted.folder.path().join("sweep");
    let command = ["sweep", "--samples", "1", "--over", "duration=5,6", "--out", out.to_str().unwrap()];
    converted.run(&command, |_| {}).success();
    let path = out.join("sweep.json");
    let results: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    converted.run(&command, |_| {}).success();
    let cases: [(&str, Value, &str); 4] = [
        ("surplus", json!(1), "unknown field `surplus`"),
        ("settings", json!({}), "expected results of the same sweep, found others"),
        ("points", json!([{"values": ["5"]}]), "point 0: expected the figures of this sweep"),
        ("parameters", json!([]), "expected 0 values of parameters, found 1"),
    ];
    for (key, value, message) in cases {
        let mut changed = results.clone();
        changed[key] = value;
        fs::write(&path, changed.to_string()).unwrap();
        converted.run(&command, |_| {}).failure().code(1).stderr(contains(message).and(contains("sweep.json")));
    }
    let mut changed = results.clone();
    changed["points"][1]["surplus"] = json!(1);
    fs::write(&path, changed.to_string()).unwrap();
    converted.run(&command, |_| {}).failure().code(1).stderr(contains("point 1"));
}

#[test]
fn control_characters_of_names_and_contents_never_reach_the_terminal() {
    let converted = Converted::new();
    let folder = converted.folder.path();
    let has_none = |assert: Assert, expected: &str| {
        let output = assert.get_output();
        for stream in [&output.stdout, &output.stderr] {
            let text = String::from_utf8_lossy(stream);
            let acts = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
            assert!(!text.contains(acts), "{text:?}");
        }
        let all = [&output.stdout[..], &output.stderr[..]].concat();
        let all = String::from_utf8_lossy(&all);
        assert!(all.contains(expected), "{all}");
    };
    let escape = "\u{1b}]0;title\u{7}\u{9b}31m\r";
    let written = "\\u{1b}]0;title\\u{7}\\u{9b}31m\\u{d}";
    // Values of a manifest, also where the command goes well.
    let command = ["inspect"];
    has_none(converted.run(&command, |it| it["layers"][0]["source"] = json!(escape)), "00Conv2D");
    let command = ["classify", "--samples", "1"];
    has_none(converted.run(&command, |it| it["conversion"]["reset"] = json!(escape)), written);
    has_none(converted.run(&command, |it| it["output"]["node"] = json!(escape)), written);
    // Names of files, given and found.
    has_none(megasim(&["check", &format!("{escape}.sch")]), written);
    has_none(megasim(&["inspect", &format!("{escape}.keras")]), written);
    // clap takes out whole sequences itself.
    has_none(megasim(&["run", "x.sch", "--dt", escape]), "\\u{9b}31m\\u{d}");
    has_none(megasim(&[escape, "more"]), "\\u{9b}31m\\u{d}");
    // Contents of netfiles, with the line at fault.
    let schematic = folder.join("x.sch");
    fs::write(&schematic, format!("netlist {{ {escape} }}\n")).unwrap();
    has_none(megasim(&["check", schematic.to_str().unwrap()]), "");
    has_none(megasim(&["run", schematic.to_str().unwrap(), "--out", folder.join("run").to_str().unwrap()]), "");
    // Names of layers of a model that is taken.
    let text = fs::read(project("tests/data/zoo/onnx/mlp.onnx")).unwrap();
    let model = folder.join("names.onnx");
    let renamed: Vec<u8> = text.iter().map(|&byte| if byte == b'.' { 0x1b } else { byte }).collect();
    fs::write(&model, renamed).unwrap();
    has_none(inspect(&model), "");
    // An architecture and a code with control characters.
    let toml = folder.join("model.toml");
    fs::copy(project("tests/data/zoo/parameters/cnn.pth"), folder.join("model.pth")).unwrap();
    fs::write(&toml, "input = [1, 2]\n[[layer]]\nkind = \"\\u009b31m\"\n").unwrap();
    has_none(inspect(&folder.join("model.pth")), "\\u{9b}31m");
}
