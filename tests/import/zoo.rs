//! Tiny networks, one per layer kind and option: the forward pass agrees with Keras to 1e-5, with PyTorch and
//! onnxruntime to 1e-5.

use crate::npy::NpzReader;
use megasim::ann::{forward, import};
use ndarray::Array2;
use std::fs::File;
use std::path::{Path, PathBuf};

fn models(folder: &Path, endings: &[&str]) -> Vec<PathBuf> {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let is_model = |path: &PathBuf| path.extension().is_some_and(|own| endings.iter().any(|ending| own == *ending));
    let mut models: Vec<PathBuf> = files.filter(is_model).collect();
    models.sort();
    models
}

/// Largest difference between the outputs and what the framework noted, relative where that is beyond 1.
fn difference(model: &Path) -> Result<f32, String> {
    let (folder, name) = (model.parent().unwrap(), model.with_extension("npz"));
    let own = folder.join("expected").join(name.file_name().unwrap());
    let mut expected = NpzReader::new(File::open(if own.exists() { own } else { name }).unwrap()).unwrap();
    let x: Array2<f32> = expected.by_name("x").unwrap();
    let y: Array2<f32> = expected.by_name("y").unwrap();
    let model = import::read(model).map_err(|error| error.to_string())?;
    let outputs = forward::forward(&model.graph, x.view()).map_err(|error| error.to_string())?;
    if outputs.dim() != y.dim() {
        return Err(format!("expected outputs {:?}, found {:?}", y.dim(), outputs.dim()));
    }
    let differences = outputs.iter().zip(&y).map(|(a, b)| (a - b).abs() / b.abs().max(1.0));
    Ok(differences.fold(0.0, |max, difference| if difference >= max { difference } else { max.max(difference) }))
}

fn check(folder: &str, endings: &[&str], at_least: usize) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/zoo").join(folder);
    let models = models(&folder, endings);
    assert!(models.len() >= at_least, "found {} models", models.len());
    let mut wrong = Vec::new();
    for model in models {
        let name = model.file_name().unwrap().to_string_lossy().into_owned();
        match difference(&model) {
            Ok(difference) if difference <= 1e-5 => {}
            Ok(difference) => wrong.push(format!("{name}: differs by {difference}")),
            Err(error) => wrong.push(format!("{name}: {error}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_network_of_the_zoo_agrees_with_keras() {
    check("keras", &["h5", "keras"], 100);
}

#[test]
fn every_network_of_the_zoo_agrees_with_pytorch() {
    check("onnx", &["onnx"], 35);
}

#[test]
fn parameters_with_a_description_beside_them_agree_with_pytorch() {
    check("parameters", &["pth", "safetensors", "npz", "h5", "caffemodel"], 7);
}
