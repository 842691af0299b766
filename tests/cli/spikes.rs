//! `classify --record`, `run --npz` and `--samples` with a list.

use crate::npy::NpzReader;
use assert_cmd::Command;
use ndarray::{Array1, Array2, Array3, Array5};
use predicates::prelude::*;
use predicates::str::contains;
use serde_json::Value;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

const MODEL: &str = "examples/digits/digits_cnn.keras";
const DATA: &str = "examples/digits";

fn megasim(arguments: &[&str]) -> assert_cmd::assert::Assert {
    let mut command = Command::cargo_bin("megasim").unwrap();
    command.current_dir(env!("CARGO_MANIFEST_DIR")).args(arguments).assert()
}

fn converted(folder: &Path, more: &[&str]) -> PathBuf {
    let net = folder.join("net");
    let arguments = ["convert", MODEL, "--data", DATA, "--preset", "toolbox", "--out", net.to_str().unwrap()];
    megasim(&[&arguments[..], more].concat()).success();
    net
}

fn archive(path: &Path) -> NpzReader {
    NpzReader::new(File::open(path).unwrap()).unwrap()
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

const LIST: [i64; 6] = [5, 17, 100, 101, 102, 300];

#[test]
fn recorded_spikes_are_those_that_were_counted() {
    let folder = tempfile::tempdir().unwrap();
    let net = converted(folder.path(), &[]);
    let [npz, figures] = ["spikes.npz", "figures.json"].map(|name| folder.path().join(name));
    let record = "input,00Conv2D_8x8x8,06Dense_10";
    megasim(
        &["classify", net.to_str().unwrap(), "--data", DATA, "--samples", "300,17,5,100..103", "--duration", "30"]
            .iter()
            .chain(&["--record", record, "--potentials", "--npz", npz.to_str().unwrap()])
            .chain(&["--json", figures.to_str().unwrap(), "--per-sample"])
            .copied()
            .collect::<Vec<_>>(),
    )
    .failure()
    .stderr(contains("--record: expected a layer of neurons, found 'input', which has no potentials"));
    let shown =
        ["classify", net.to_str().unwrap(), "--data", DATA, "--samples", "300,17,5,100..103", "--duration", "30"];
    let files = ["--npz", npz.to_str().unwrap(), "--json", figures.to_str().unwrap(), "--per-sample"];
    megasim(&[&shown[..], &["--record", record], &files].concat()).success();

    let mut recorded = archive(&npz);
    let sample: Array1<i64> = recorded.by_name("sample").unwrap();
    assert_eq!(sample.to_vec(), LIST);
    let figures = json(&figures);
    let each = figures["samples_in_order"].as_array().unwrap();
    assert_eq!(each.iter().map(|it| it["sample"].as_i64().unwrap()).collect::<Vec<_>>(), LIST);
    for mode in ["event", "clocked"] {
        let mut column =
            |layer: &str, name: &str| -> Array1<i32> { recorded.by_name(&format!("{mode}/{layer}/{name}")).unwrap() };
        let neuron = column("06Dense_10", "neuron");
        let maps = ["map", "y", "x"].map(|name| column("00Conv2D_8x8x8", name));
        assert!(
            maps.iter().all(|column| column.iter().all(|at| (0..8).contains(at)) && column.iter().any(|&at| at == 7))
        );
        let sample: Array1<i64> = recorded.by_name(&format!("{mode}/06Dense_10/sample")).unwrap();
        let t: Array1<i64> = recorded.by_name(&format!("{mode}/06Dense_10/t")).unwrap();
        let polarity: Array1<i8> = recorded.by_name(&format!("{mode}/06Dense_10/polarity")).unwrap();
        assert!(t.iter().all(|t| (0..300).contains(t)) && polarity.iter().all(|&sign| sign == 1));
        for it in each {
            let mut counts = vec![0; 10];
            let of_sample = sample.iter().zip(&neuron).filter(|(sample, _)| **sample == it["sample"].as_i64().unwrap());
            of_sample.for_each(|(_, &neuron)| counts[neuron as usize] += 1);
            let scores: Vec<i64> = serde_json::from_value(it[mode]["scores"].clone()).unwrap();
            assert_eq!(counts, scores, "{mode} {}", it["sample"]);
        }
        // In order of time within a sample.
        assert!(t.windows(2).into_iter().zip(sample.windows(2)).all(|(t, of)| of[0] != of[1] || t[0] <= t[1]));
    }
    // The record of the run repeats it.
    megasim(&["rerun", folder.path().to_str().unwrap()]).success();
}

#[test]
fn potentials_are_the_inputs_that_did_not_become_spikes() {
    let folder = tempfile::tempdir().unwrap();
    let net = converted(folder.path(), &["--output", "potential"]);
    let npz = folder.path().join("spikes.npz");
    let figures = folder.path().join("figures.json");
    let shown = ["classify", net.to_str().unwrap(), "--data", DATA, "--samples", "17,", "--duration", "20"];
    let record = ["--record", "00Conv2D_8x8x8,06Dense_10", "--potentials", "--npz", npz.to_str().unwrap()];
    megasim(&[&shown[..], &record, &["--json", figures.to_str().unwrap(), "--per-sample"]].concat()).success();
    let mut recorded = archive(&npz);
    let figures = json(&figures);
    for mode in ["event", "clocked"] {
        // The output gathers potentials, which decide.
        let output: Array3<i32> = recorded.by_name(&format!("{mode}/06Dense_10/potential")).unwrap();
        assert_eq!(output.dim(), (1, 20, 10));
        let last: Vec<i64> = output.slice(ndarray::s![0, 19, ..]).iter().map(|&v| v.into()).collect();
        let scores: Vec<i64> = serde_json::from_value(figures["samples_in_order"][0][mode]["scores"].clone()).unwrap();
        assert_eq!(last, scores);
        let maps: Array5<i32> = recorded.by_name(&format!("{mode}/00Conv2D_8x8x8/potential")).unwrap();
        assert_eq!(maps.dim(), (1, 20, 8, 8, 8));
        let threshold: Array1<i32> = recorded.by_name(&format!("{mode}/00Conv2D_8x8x8/threshold")).unwrap();
        assert!(maps.iter().all(|&v| v < threshold[0]), "a neuron at its threshold fires");
        // What is there after a millisecond does not depend on how long the run goes on.
        let short = folder.path().join(format!("{mode}.npz"));
        let shown = ["classify", net.to_str().unwrap(), "--data", DATA, "--samples", "17,", "--duration", "9"];
        let record = ["--record", "00Conv2D_8x8x8", "--potentials", "--npz", short.to_str().unwrap()];
        megasim(&[&shown[..], &record].concat()).success();
        let short: Array5<i32> = archive(&short).by_name(&format!("{mode}/00Conv2D_8x8x8/potential")).unwrap();
        assert_eq!(short.slice(ndarray::s![.., ..9, .., .., ..]), maps.slice(ndarray::s![.., ..9, .., .., ..]));
    }
}

#[test]
fn a_list_shows_the_samples_that_a_range_shows() {
    let folder = tempfile::tempdir().unwrap();
    let net = converted(folder.path(), &[]);
    let predictions = |name: &str, more: &[&str]| {
        let path = folder.path().join(name);
        let shown = ["classify", net.to_str().unwrap(), "--data", DATA, "--duration", "20", "--encode", "poisson"];
        megasim(&[&shown[..], &["--predictions", path.to_str().unwrap()], more].concat()).success();
        fs::read_to_string(path).unwrap()
    };
    let range = predictions("range.csv", &["--skip", "5", "--samples", "200"]);
    let listed = predictions("listed.csv", &["--samples", "20..23,200,7"]);
    let lines = |numbers: &[usize]| {
        let wanted = numbers.iter().map(|number| range.lines().nth(number - 5 + 1).unwrap());
        wanted.map(|line| format!("{line}\n")).collect::<String>()
    };
    assert_eq!(listed.split_once('\n').unwrap().1, lines(&[7, 20, 21, 22, 200]));
    // Studies take lists as well.
    for command in ["compare", "latency"] {
        let figures = folder.path().join(format!("{command}.json"));
        let shown = [command, net.to_str().unwrap(), "--data", DATA, "--samples", "3,40", "--duration", "10"];
        megasim(&[&shown[..], &["--json", figures.to_str().unwrap()]].concat()).success();
        let record = json(&folder.path().join("run.json"));
        assert_eq!(record["parameters"]["samples_listed"], "3,40");
        assert_eq!(record["parameters"]["samples"], 2);
    }
    let fails = |list: &[&str], status: i32, message: &str| {
        let shown = ["classify", net.to_str().unwrap(), "--data", DATA, "--samples"];
        megasim(&[&shown[..], list].concat()).failure().code(status).stderr(contains(message));
    };
    fails(&["5,9999"], 1, "expected 10000 or more samples, found 450");
    fails(&["440..460"], 1, "sample 459: expected a number from 0 to 449");
    fails(&["0"], 2, "above 0");
    fails(&["7,7"], 2, "expected each sample once");
    fails(&["7..9", "--skip", "3"], 2, "--skip: expected --samples with a number");
}

#[test]
fn events_of_a_run_are_arrays() {
    let folder = tempfile::tempdir().unwrap();
    let net = converted(folder.path(), &[]);
    let schematic = net.join("megasim.sch");
    let [npz, out] = ["events.npz", "out"].map(|name| folder.path().join(name));
    megasim(&["run", schematic.to_str().unwrap(), "--npz", npz.to_str().unwrap()]).success();
    megasim(&["run", schematic.to_str().unwrap(), "--out", out.to_str().unwrap()]).success();
    let text = fs::read_to_string(out.join("node_06Dense_10.evs")).unwrap();
    let rows: Vec<Vec<i64>> =
        text.lines().map(|line| line.split(' ').map(|number| number.parse().unwrap()).collect()).collect();
    let expected = Array2::from_shape_vec((rows.len(), 6), rows.concat()).unwrap();
    let mut events = archive(&npz);
    for (at, name) in ["t_pre", "t_rqst", "t_ack"].into_iter().enumerate() {
        let found: Array1<i64> = events.by_name(&format!("06Dense_10/{name}")).unwrap();
        assert_eq!(found, expected.column(at));
    }
    let x: Array1<i32> = events.by_name("06Dense_10/x").unwrap();
    let polarity: Array1<i8> = events.by_name("06Dense_10/polarity").unwrap();
    assert!(x.iter().zip(expected.column(3)).all(|(&found, &expected)| i64::from(found) == expected));
    assert!(polarity.iter().zip(expected.column(5)).all(|(&found, &expected)| i64::from(found) == expected));
    megasim(&["run", schematic.to_str().unwrap(), "--npz", npz.to_str().unwrap()])
        .failure()
        .stderr(contains("events.npz"));
    megasim(&["run", schematic.to_str().unwrap()]).failure().code(2).stderr(contains("--out"));
    megasim(&["rerun", folder.path().to_str().unwrap()]).success();
}

#[test]
fn counts_of_two_files_are_compared() {
    let folder = tempfile::tempdir().unwrap();
    let net = converted(folder.path(), &[]);
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_string();
    let write = |name: &str, layers: &str, more: &[&str]| {
        let file = path(name);
        let shown = ["classify", net.to_str().unwrap(), "--data", DATA, "--samples", "5,17", "--duration", "30"];
        megasim(&[&shown[..], &["--record", layers, "--npz", &file], more].concat()).success();
        file
    };
    let (first, both) = (write("event.npz", "00Conv2D_8x8x8,06Dense_10", &["--mode", "event"]), "06Dense_10");
    let clocked = write("clocked.npz", both, &["--mode", "clocked"]);
    let modes = write("modes.npz", both, &[]);

    // The counts are those of the spikes.
    let mut recorded = archive(Path::new(&first));
    let count: Array2<i64> = recorded.by_name("event/06Dense_10/count").unwrap();
    let sample: Array1<i64> = recorded.by_name("event/06Dense_10/sample").unwrap();
    let neuron: Array1<i32> = recorded.by_name("event/06Dense_10/neuron").unwrap();
    let mut expected = Array2::<i64>::zeros((2, 10));
    for (sample, &neuron) in sample.iter().zip(&neuron) {
        expected[(usize::from(*sample == 17), neuron as usize)] += 1;
    }
    assert_eq!(count, expected);

    megasim(&["diff", &first, &first]).success().stdout(contains("spike counts of 2 layers, 2 samples: equal"));
    // A script's file: the arrays of layers by name.
    let theirs = path("theirs.npz");
    let write_theirs = |count: &Array2<i64>| {
        let mut npz = megasim::dataset::npy::NpzWriter::new(File::create(&theirs).unwrap());
        npz.add("06Dense_10", count).unwrap();
        npz.add("06Dense_10/shape", &Array1::from(vec![10i64])).unwrap();
        npz.finish().unwrap();
    };
    write_theirs(&expected);
    megasim(&["diff", &first, &theirs])
        .success()
        .stdout(contains("theirs.npz, and not compared: 00Conv2D_8x8x8").and(contains("1 layer, 2 samples: equal")));
    expected[(1, 3)] += 2;
    write_theirs(&expected);
    megasim(&["diff", &first, &theirs]).code(1).stdout(contains("1 of 20").and(contains("different")));
    megasim(&["diff", &clocked, &theirs]).code(1);

    let refused = |words: &[&str], message: &str| megasim(words).code(1).stderr(contains(message.to_string()));
    refused(&["diff", &modes, &first], "expected counts of one mode");
    refused(&["diff", &first, &first, "--tolerance", "1"], "--tolerance: is for event files");
    refused(&["diff", &first, "netfiles"], "two directories of event files or two .npz files");
    write_theirs(&Array2::zeros((3, 10)));
    refused(&["diff", &first, &theirs], "expected 2 samples of 10 neurons as in");
    fs::write(&theirs, "no archive").unwrap();
    refused(&["diff", &first, &theirs], "expected an .npz archive");
}

/// Spike counts of a recording, `(samples, neurons)`.
fn counts(path: &Path, mode: &str, layer: &str) -> Array2<i64> {
    let counts: ndarray::ArrayD<i64> = archive(path).by_name(&format!("{mode}/{layer}/count")).unwrap();
    let samples = counts.shape()[0];
    let neurons = counts.len() / samples;
    counts.into_shape_with_order((samples, neurons)).unwrap()
}

#[test]
fn spike_trains_of_nir_are_written_and_shown_again() {
    let folder = tempfile::tempdir().unwrap();
    let net = converted(folder.path(), &["--neuron", "signed"]);
    let net = net.to_str().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_string();
    let layers = "input,00Conv2D_8x8x8,06Dense_10";
    let words = ["--samples", "4", "--duration", "30", "--mode", "event", "--record"];
    let record = |data: &str, more: &[&str]| {
        megasim(&[&["classify", net, "--data", data], &words[..], &[layers], more].concat()).success();
    };
    record(DATA, &["--npz", &at("ours.npz")]);
    record(DATA, &["--nir-data", &at("trains.nir")]);

    // What was recorded.
    let file = hdf5_reader::Hdf5File::open(at("trains.nir")).unwrap();
    for layer in layers.split(',') {
        let group = format!("nodes/{layer}/observables/spikes");
        let idx = file.dataset(&format!("{group}/idx")).unwrap();
        let expected = counts(at("ours.npz").as_ref(), "event", layer);
        let (samples, most) = (idx.shape()[0] as usize, idx.shape()[1] as usize);
        let mut found = Array2::<i64>::zeros(expected.raw_dim());
        let signs = file.dataset(&format!("{group}/value")).ok().map(|of| of.read_array::<f64>().unwrap());
        let signs: Option<Vec<f64>> = signs.map(|signs| signs.iter().copied().collect());
        for (k, &neuron) in idx.read_array::<i64>().unwrap().iter().enumerate().filter(|(_, neuron)| **neuron >= 0) {
            found[[k / most, neuron as usize]] += signs.as_ref().map_or(1, |signs| signs[k] as i64);
        }
        assert_eq!((samples, found), (4, expected), "{layer}");
    }

    // The spikes of the input do the same again.
    let (file, again) = (at("trains.nir"), at("again.npz"));
    let trains = ["classify", net, "--data", &file, "--duration", "30", "--mode", "event"];
    megasim(&[&trains[..], &["--record", layers, "--npz", &again]].concat()).success();
    megasim(&["diff", &at("ours.npz"), &again]).success().stdout(contains("3 layers, 4 samples: equal"));
    for (more, what) in [
        (&["--encode", "poisson"][..], "--encode: has no effect on spike trains (.nir)"),
        (&["--frames"], "--frames: has no effect on spike trains (.nir)"),
        (&["--crop", "0,0,4,4"], "--crop: has no effect on spike trains (.nir)"),
        (&["--record", "input", "--nir-data", "x.nir", "--npz", "x.npz"], "cannot be used with"),
    ] {
        megasim(&[&trains[..], more].concat()).code(2).stderr(contains(what));
    }
    let both = ["classify", net, "--data", DATA, "--record", "input", "--nir-data", &at("both.nir")];
    megasim(&both).code(2).stderr(contains("--nir-data: expected --mode event or --mode clocked"));
}

#[test]
fn spike_trains_that_do_not_fit_are_refused() {
    use hdf5_writer::{AttributeBuilder, DatasetBuilder, Hdf5Builder};
    let folder = tempfile::tempdir().unwrap();
    let net = converted(folder.path(), &[]);
    let path = folder.path().join("trains.nir");
    // Kind, attributes, arrays with their shapes.
    type Arrays<'a> = &'a [(&'a str, &'a [f64], [u64; 2])];
    let write = |kind: &str, attributes: &[(&str, f64)], arrays: Arrays, nodes: &[&str]| {
        let kind_is = |text: &str| AttributeBuilder::vlen_strings("__type__", &[text]).unwrap();
        let mut file = Hdf5Builder::new().attribute(kind_is("NIRGraphData"));
        for node in nodes {
            let spikes = format!("nodes/{node}/observables/spikes");
            file = file.group_attribute(format!("nodes/{node}"), kind_is("NIRNodeData"));
            file = file.group_attribute(&spikes, kind_is(kind));
            for &(name, number) in attributes {
                file = file.group_attribute(&spikes, AttributeBuilder::scalar(name, number).unwrap());
            }
            for (name, values, shape) in arrays {
                // A grid has an axis of steps.
                let shape = if *name == "data" { vec![1, shape[0], shape[1]] } else { shape.to_vec() };
                file = file.dataset(DatasetBuilder::typed_data(format!("{spikes}/{name}"), shape, values).unwrap());
            }
        }
        fs::write(&path, file.into_plan().unwrap().encode(Default::default()).unwrap()).unwrap();
    };
    let refused = |more: &[&str], message: &str| {
        let words = ["classify", net.to_str().unwrap(), "--data", path.to_str().unwrap()];
        megasim(&[&words[..], more].concat()).code(1).stderr(contains(message));
    };
    let of = |neurons: f64| [("n_neurons", neurons), ("t_max", 0.1)];
    let idx: (&str, &[f64], [u64; 2]) = ("idx", &[3.0, -1.0], [1, 2]);
    let time = |values: &'static [f64]| ("time", values, [1, 2]);
    let good = time(&[0.01, f64::INFINITY]);
    write("EventData", &of(64.0), &[idx, good], &["a", "b"]);
    refused(&[], "HDF5 'nodes': expected one node, or one of the name 'input', found a, b");
    write("EventData", &of(63.0), &[idx, good], &["a"]);
    refused(&[], "expected spike trains of 64 neurons, as the input of the network has, found 63");
    write("EventData", &of(3.0), &[idx, good], &["a"]);
    refused(&[], "idx: sample 0, event 0: expected -1 to 2, found 3");
    write("EventData", &of(64.0), &[idx, time(&[0.2, 0.0])], &["a"]);
    refused(&[], "time: sample 0, event 0: expected 0 to t_max (0.1 s), found 0.2");
    write("EventData", &of(64.0), &[idx], &["a"]);
    refused(&[], "nodes/a/observables/spikes/time");
    write("ValuedEventData", &of(64.0), &[idx, good, ("value", &[0.5, 0.0], [1, 2])], &["a"]);
    refused(&[], "sample 0, neuron 3: expected spikes (0, 1 or -1), found the value 0.5");
    write("Other", &of(64.0), &[idx, good], &["a"]);
    refused(&[], "expected EventData, ValuedEventData or TimeGriddedData, found 'Other'");
    let grid = [1.0; 128];
    write("TimeGriddedData", &[("dt", 1e-5)], &[("data", &grid, [2, 64])], &["a"]);
    refused(&[], "found steps of 0.00001 s at 10 ticks per ms; --ticks-per-ms 100 has ticks of that length");
    write("TimeGriddedData", &[("dt", 1e-4)], &[("data", &grid, [2, 64])], &["a"]);
    refused(&["--skip", "1"], "expected 2 or more recordings, found 1");
    fs::copy("tests/data/nir/sinabs_groups.nir", &path).unwrap();
    refused(&[], "expected spike trains (nir.write_data), found a network (nir.write)");
    fs::write(&path, "x").unwrap();
    refused(&[], "NIR data: expected an HDF5 file, found 1 bytes of something else");
}
