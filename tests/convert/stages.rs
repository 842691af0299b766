//! Stages of a conversion that are kept: what is read is what was written, what is stale or damaged is refused.

use crate::npy::NpzReader;
use assert_cmd::Command;
use megasim::ann::import;
use megasim::convert::stage::{Network, Origin, Stage};
use megasim::convert::{ConvertOptions, normalize_with, parse};
use ndarray::Array2;
use predicates::prelude::*;
use predicates::str::contains;
use proptest::prelude::*;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

fn zoo() -> Vec<PathBuf> {
    let folders = ["keras", "onnx", "rates"].map(|kind| format!("tests/data/zoo/{kind}"));
    let entries = folders.iter().flat_map(|folder| fs::read_dir(folder).unwrap());
    let mut models: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    models.retain(|path| path.extension().is_some_and(|ending| ["h5", "keras", "onnx"].iter().any(|it| ending == *it)));
    models.sort();
    models
}

fn origin() -> Origin {
    Origin { model_sha256: "ab".into(), settings: serde_json::Map::new() }
}

fn written(stage: &Stage) -> Vec<u8> {
    let mut bytes = Vec::new();
    stage.write(&mut bytes).unwrap();
    bytes
}

#[test]
fn every_network_of_the_zoo_that_converts_comes_back_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("stage.npz");
    let mut kept = 0;
    for model in zoo() {
        let Ok(model) = import::read(&model) else { continue };
        let Ok(parsed) = parse(&model.graph, &ConvertOptions::default()) else { continue };
        let numbers = model.input_shape().len();
        let samples = Array2::from_shape_fn((3, numbers), |(i, j)| ((i * 7 + j * 3) % 11) as f32 / 10.0);
        let Ok(normalized) = normalize_with(parsed.clone(), samples.view(), &ConvertOptions::default(), &mut |_| {})
        else {
            continue;
        };
        for network in [Network::ParsedModel(parsed), Network::Normalised(normalized)] {
            let stage = Stage { origin: origin(), network };
            fs::write(&path, written(&stage)).unwrap();
            assert!(Stage::read(&path).unwrap() == stage, "{}", model.source.path.display());
        }
        kept += 1;
    }
    assert!(kept > 60, "{kept}");
}

/// A small stage with maps, a pooling, a flattening and a dense layer.
fn small() -> Stage {
    let model = import::read("examples/digits/digits_cnn.keras".as_ref()).unwrap();
    Stage { origin: origin(), network: Network::ParsedModel(parse(&model.graph, &ConvertOptions::default()).unwrap()) }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn damage_never_panics(at in 0.0f64..1.0, byte: u8, cut in 0.0f64..1.5) {
        let mut bytes = written(&small());
        let end = bytes.len();
        bytes[(at * (end - 1) as f64) as usize] = byte;
        bytes.truncate((cut * end as f64) as usize);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("stage.npz");
        fs::write(&path, bytes).unwrap();
        if let Err(error) = Stage::read(&path) {
            prop_assert!(error.to_string().contains("stage.npz: "), "{}", error);
        }
    }
}

/// The stage with its JSON changed.
fn changed(from: &str, to: &str) -> Result<Stage, String> {
    let folder = tempfile::tempdir().unwrap();
    let (path, other) = (folder.path().join("stage.npz"), folder.path().join("changed.npz"));
    fs::write(&path, written(&small())).unwrap();
    let mut arrays = NpzReader::new(File::open(&path).unwrap()).unwrap();
    let mut archive = megasim::dataset::npy::NpzWriter::new(File::create(&other).unwrap());
    for name in arrays.names() {
        if name == "stage" {
            let text: ndarray::Array1<u8> = arrays.by_name(&name).unwrap();
            let text = String::from_utf8(text.to_vec()).unwrap();
            assert!(text.contains(from), "{text}");
            archive.add(&name, &ndarray::Array1::from(text.replacen(from, to, 1).into_bytes())).unwrap();
        } else {
            let array: ndarray::ArrayD<f32> = arrays.by_name(&name).unwrap();
            archive.add(&name, &array).unwrap();
        }
    }
    archive.finish().unwrap();
    Stage::read(&other).map_err(|error| error.to_string())
}

#[test]
fn layers_that_do_not_fit_are_refused_with_their_place() {
    for (from, to, expected) in [
        ("\"format\": 1", "\"format\": 2", "expected format 1, found 2"),
        ("\"digits\": 2", "\"digits\": 2000000000", "at most 10 digits"),
        ("\"channels\": 1", "\"channels\": 900000000000000", "neurons"),
        ("\"groups\": 1", "\"groups\": 0", "layer 0: expected sizes and steps from 1"),
        ("\"groups\": 1", "\"groups\": 3", "expected"),
        ("\"source\": \"input\"", "\"source\": {\"layer\": 9}", "expected to read layers before it"),
        ("\"role\": \"rectifier\"", "\"role\": \"conductor\"", "unknown variant `conductor`"),
        ("\"height\": 8", "\"height\": 9", "expected"),
        (
            "\"input_order\": null",
            "\"input_order\": [0, 1]",
            "expected an input order that has each number below 64 once",
        ),
    ] {
        let error = changed(from, to).unwrap_err();
        assert!(error.contains("changed.npz: ") && error.contains(expected), "{to}: {error}");
    }
}

fn megasim(arguments: &[&str]) -> assert_cmd::assert::Assert {
    let mut command = Command::cargo_bin("megasim").unwrap();
    command.current_dir(env!("CARGO_MANIFEST_DIR")).args(arguments).assert()
}

fn convert(folder: &Path, out: &str, more: &[&str]) -> assert_cmd::assert::Assert {
    let out = folder.join(out);
    let mut arguments = vec!["convert", "examples/digits/digits_cnn.keras", "--data", "examples/digits"];
    arguments.extend(["--preset", "toolbox", "--out", out.to_str().unwrap()]);
    arguments.extend(more);
    megasim(&arguments)
}

/// All files of a netfile directory but the record of its run.
fn netfiles(directory: &Path) -> Vec<(String, Vec<u8>)> {
    let files = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
    let named = files.map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(&path).unwrap()));
    let mut files: Vec<_> = named.filter(|(name, _)| name != "run.json").collect();
    files.sort();
    files
}

#[test]
fn a_conversion_goes_on_from_what_was_kept_and_refuses_what_is_stale() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let at = |name: &str| folder.join(name).to_str().unwrap().to_string();
    let (parsed, normalised) = (at("parsed.npz"), at("normalised.npz"));
    convert(folder, "whole", &["--save-parsed", &parsed, "--save-normalised", &normalised]).success();
    let whole = netfiles(&folder.join("whole"));
    for (out, from) in [("a", ["--parsed", &parsed]), ("b", ["--normalised", &normalised])] {
        convert(folder, out, &from).success().stdout(contains("normalised").and(contains("98.44 %")));
        assert!(netfiles(&folder.join(out)) == whole, "{from:?}");
    }
    for (kept, stage) in [(&parsed, "parsed by convert"), (&normalised, "normalised by convert")] {
        megasim(&["eval", kept, "--data", "examples/digits"])
            .success()
            .stdout(contains("98.44 %").and(contains(stage)));
    }
    // Activations of one percentile serve another.
    let activations = at("activations");
    convert(folder, "c", &["--save-activations", &activations]).success();
    assert!(netfiles(&folder.join("c")) == whole);
    convert(folder, "d", &["--activations", &activations, "--percentile", "99"]).success();
    convert(folder, "e", &["--percentile", "99"]).success();
    assert!(netfiles(&folder.join("d")) == netfiles(&folder.join("e")));
    let (samples, header) = (1347, fs::metadata(folder.join("activations/05Dense_32.npy")).unwrap().len());
    assert_eq!(header, 128 + 4 * 32 * samples);
    // Nothing that differs goes unsaid.
    let refused = |more: &[&str], message: &str| {
        convert(folder, "none", more).failure().stderr(contains(message).and(contains("save it anew")));
        assert!(!folder.join("none").exists());
    };
    refused(&["--parsed", &parsed, "--output", "signed"], "output \"relu\" instead of \"signed\"");
    let mut averaged = Stage::read(parsed.as_ref()).unwrap();
    averaged.origin.settings.insert("max_to_average".into(), true.into());
    let of_averages = at("of-averages.npz");
    fs::write(&of_averages, written(&averaged)).unwrap();
    refused(&["--parsed", &of_averages], "max_to_average true instead of false");
    refused(&["--normalised", &normalised, "--percentile", "99"], "percentile 99.9 instead of 99.0");
    refused(&["--normalised", &normalised, "--plain-megasim"], "plain_megasim false instead of true");
    let data = folder.join("data");
    fs::create_dir(&data).unwrap();
    for entry in fs::read_dir("examples/digits").unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|ending| ending == "npz") {
            fs::copy(&path, data.join(path.file_name().unwrap())).unwrap();
        }
    }
    let norm = ["x_norm.npz", "train.npz"].map(|name| data.join(name)).into_iter().find(|path| path.exists()).unwrap();
    // The test samples fit as well.
    let test = ["x_test.npz", "test.npz"].map(|name| data.join(name)).into_iter().find(|path| path.exists()).unwrap();
    fs::copy(test, norm).unwrap();
    let data = data.to_str().unwrap();
    let out = at("none");
    let model = "examples/digits/digits_cnn.keras";
    megasim(&["convert", model, "--data", data, "--preset", "toolbox", "--out", &out, "--normalised", &normalised])
        .failure()
        .stderr(contains("normalisation_data"));
    let stage = Stage::read(parsed.as_ref()).unwrap();
    assert!(Stage::read_parsed(parsed.as_ref(), &stage.origin).is_ok());
    let other = Origin { model_sha256: "of another".into(), ..stage.origin };
    let error = Stage::read_parsed(parsed.as_ref(), &other).unwrap_err().to_string();
    assert!(error.contains("another model (SHA-256 ") && error.contains("instead of of another"), "{error}");
    megasim(&["convert", model, "--data", data, "--preset", "toolbox", "--out", &out, "--activations", &activations])
        .failure()
        .stderr(contains("normalisation_data").and(contains("save them anew")));
    convert(folder, "none", &["--activations", &activations, "--weighting", "model"])
        .failure()
        .stderr(contains("nothing else looks at activations"));
    fs::write(folder.join("activations/05Dense_32.npy"), b"nothing").unwrap();
    convert(folder, "none", &["--activations", &activations]).failure().stderr(contains("05Dense_32.npy: expected"));
    convert(folder, "none", &["--parsed", &normalised])
        .failure()
        .stderr(contains("expected a parsed network, found a normalised one"));
    convert(folder, "none", &["--save-parsed", &parsed]).failure().stderr(contains("exists"));
}
