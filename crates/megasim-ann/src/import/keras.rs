//! Keras 2 and 3: `.h5` files and `.keras` archives, Sequential and Functional networks.
//!
//! Both kinds hold the network as JSON and its weights in HDF5; they differ in where ([`weights`]). The JSON is walked
//! in [`topology`]; [`layers`] says what each layer class means, and [`options`] keeps track of which of a layer's
//! options have been understood, so that none is skipped.

mod activations;
mod custom;
mod layers;
mod options;
mod tensor;
mod topology;
mod weights;

use super::{ImportError, Imported, ModelFile, hdf5};
use custom::Custom;
use serde_json::Value;
use std::io::{Cursor, Read};
use weights::Weights;

/// More than any network's JSON takes.
const MAX_CONFIG: u64 = 1 << 26;

pub(super) fn is_h5(file: &ModelFile) -> bool {
    hdf5::is_hdf5(&file.bytes)
}

/// A whole model as one HDF5 file: the JSON is an attribute.
pub(super) fn read_h5(file: &ModelFile) -> Result<Imported, ImportError> {
    let hdf5 = hdf5::File::open(file.bytes.clone(), "")?;
    let attributes = hdf5.attributes("")?;
    let version = attributes.string("keras_version").map(String::from);
    let Some(config) = attributes.string("model_config") else {
        return read_weights(file, hdf5, version);
    };
    refuse_keras_1("HDF5", version.as_deref())?;
    let config = parse_json("attribute 'model_config'", config.as_bytes())?;
    build(file, config, &Weights::h5(hdf5, "model_weights/"), version)
}

/// Layers of Keras 1 have other names and options.
fn refuse_keras_1(place: &str, version: Option<&str>) -> Result<(), ImportError> {
    match version.filter(|version| version.starts_with("1.") || version.starts_with("0.")) {
        None => Ok(()),
        Some(version) => Err(ImportError::damaged(
            place,
            format!(
                "expected a model of Keras 2 or 3, found one of Keras {version}: load and save it with Keras 2.2 or \
                 earlier, which reads both"
            ),
        )),
    }
}

/// Weights alone, with the network as JSON next to them or named.
fn read_weights(file: &ModelFile, hdf5: hdf5::File, version: Option<String>) -> Result<Imported, ImportError> {
    let by_place = hdf5.has_group("layers") || hdf5.has_group("_layer_checkpoint_dependencies");
    let by_name = hdf5.attributes("")?.strings("layer_names").is_ok();
    if !by_place && !by_name {
        return Err(ImportError::damaged(
            "HDF5",
            "expected a Keras model (an attribute 'model_config'), or weights of one (a group 'layers', or an \
             attribute 'layer_names'), found neither",
        ));
    }
    if file.options.architecture.is_none() && !file.architecture_path("json").exists() {
        return Err(ImportError::damaged(
            "HDF5",
            "expected an attribute 'model_config', found weights alone: save the whole model (model.save), or its \
             architecture with open('model.json', 'w').write(model.to_json()), and give that with --architecture \
             model.json",
        ));
    }
    let (text, place) = file.architecture("json")?;
    let config = parse_json(&place, text.as_bytes())?;
    let own = config.get("keras_version").and_then(Value::as_str).map(String::from);
    refuse_keras_1(&place, own.as_deref().or(version.as_deref()))?;
    let weights = if by_name { Weights::h5(hdf5, "") } else { Weights::archive(hdf5) };
    build(file, config, &weights, version.or(own))
}

pub(super) fn is_archive(file: &ModelFile) -> bool {
    file.bytes.starts_with(b"PK\x03\x04")
        && (file.has_extension("keras") || file.zip_names().iter().any(|name| name == "config.json"))
}

/// A `.keras` archive: a zip of `config.json`, `metadata.json` and `model.weights.h5`.
pub(super) fn read_archive(file: &ModelFile) -> Result<Imported, ImportError> {
    let mut archive = zip::ZipArchive::new(Cursor::new(&file.bytes[..])).map_err(|error| {
        ImportError::damaged(
            "zip",
            format!("expected a .keras archive, found a file that is none, or is damaged or incomplete: {error}"),
        )
    })?;
    let config = entry(&mut archive, "config.json", MAX_CONFIG)?;
    let config = parse_json("config.json", &config)?;
    let metadata = entry(&mut archive, "metadata.json", MAX_CONFIG)?;
    let metadata = parse_json("metadata.json", &metadata)?;
    let most = megasim_data::npy::inflated(file.bytes.len() as u64);
    let weights = entry(&mut archive, "model.weights.h5", most)?;
    let weights = hdf5::File::open(weights.into(), "model.weights.h5")?;
    let version = metadata.get("keras_version").and_then(Value::as_str).map(String::from);
    build(file, config, &Weights::archive(weights), version)
}

fn entry(archive: &mut zip::ZipArchive<Cursor<&[u8]>>, name: &str, most: u64) -> Result<Vec<u8>, ImportError> {
    let damaged = |error: &dyn std::fmt::Display| {
        ImportError::damaged(name, format!("expected this file in the archive, found it damaged: {error}"))
    };
    let entry = archive.by_name(name).map_err(|error| match error {
        zip::result::ZipError::FileNotFound => {
            ImportError::damaged(name, "expected this file in the archive, which does not have it")
        }
        error => damaged(&error),
    })?;
    let mut content = Vec::new();
    // The announced size is not trusted: what is there is read, up to the limit.
    let read = entry.take(most + 1).read_to_end(&mut content).map_err(|error| damaged(&error))?;
    if read as u64 > most {
        return Err(ImportError::damaged(name, format!("expected at most {most} bytes, found more")));
    }
    Ok(content)
}

fn parse_json(place: &str, text: &[u8]) -> Result<Value, ImportError> {
    serde_json::from_slice(text).map_err(|error| ImportError::damaged(place, format!("expected JSON, found: {error}")))
}

fn build(
    file: &ModelFile,
    mut config: Value,
    weights: &Weights,
    version: Option<String>,
) -> Result<Imported, ImportError> {
    Custom::of(file)?.apply(&mut config);
    let (graph, input_order, axes) = topology::read(&config, weights, file)?;
    Ok(Imported { graph, input_order, axes, library: "keras", version })
}
