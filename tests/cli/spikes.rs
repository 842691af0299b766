//! `classify --record`, `run --npz` and `--samples` with a list.

use assert_cmd::Command;
use ndarray::{Array1, Array2, Array3, Array5};
use ndarray_npy::NpzReader;
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

fn archive(path: &Path) -> NpzReader<File> {
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
    fails(&["5,9999"], 1, "expected more than 9999 samples, found 450");
    fails(&["440..460"], 1, "numbers 0 to 449, found 459");
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
        let mut npz = ndarray_npy::NpzWriter::new(File::create(&theirs).unwrap());
        npz.add_array("06Dense_10", count).unwrap();
        npz.add_array("06Dense_10/shape", &Array1::from(vec![10i64])).unwrap();
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
