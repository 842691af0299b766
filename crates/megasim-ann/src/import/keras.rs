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

use super::{Imported, ModelFile, Problem, hdf5};
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
pub(super) fn read_h5(file: &ModelFile) -> Result<Imported, Problem> {
    let hdf5 = hdf5::File::open(file.bytes.clone(), "")?;
    let attributes = hdf5.attributes("")?;
    let Some(config) = attributes.string("model_config") else {
        return Err(Problem::damaged(
            "HDF5",
            "expected an attribute 'model_config', found none: save the whole model, not only its weights",
        ));
    };
    let config = parse_json("attribute 'model_config'", config.as_bytes())?;
    let version = attributes.string("keras_version").map(String::from);
    build(file, config, &Weights::h5(hdf5), version)
}

pub(super) fn is_archive(file: &ModelFile) -> bool {
    file.bytes.starts_with(b"PK\x03\x04")
        && (file.has_extension("keras") || file.zip_names().iter().any(|name| name == "config.json"))
}

/// A `.keras` archive: a zip of `config.json`, `metadata.json` and `model.weights.h5`.
pub(super) fn read_archive(file: &ModelFile) -> Result<Imported, Problem> {
    let mut archive = zip::ZipArchive::new(Cursor::new(&file.bytes[..]))
        .map_err(|error| Problem::damaged("zip", format!("expected a .keras archive, found: {error}")))?;
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

fn entry(archive: &mut zip::ZipArchive<Cursor<&[u8]>>, name: &str, most: u64) -> Result<Vec<u8>, Problem> {
    let damaged = |error: &dyn std::fmt::Display| {
        Problem::damaged(name, format!("expected this file in the archive, found: {error}"))
    };
    let entry = archive.by_name(name).map_err(|error| damaged(&error))?;
    let mut content = Vec::new();
    // The announced size is not trusted: what is there is read, up to the limit.
    let read = entry.take(most + 1).read_to_end(&mut content).map_err(|error| damaged(&error))?;
    if read as u64 > most {
        return Err(Problem::damaged(name, format!("expected at most {most} bytes, found more")));
    }
    Ok(content)
}

fn parse_json(place: &str, text: &[u8]) -> Result<Value, Problem> {
    serde_json::from_slice(text).map_err(|error| Problem::damaged(place, format!("expected JSON, found: {error}")))
}

fn build(file: &ModelFile, mut config: Value, weights: &Weights, version: Option<String>) -> Result<Imported, Problem> {
    Custom::of(file)?.apply(&mut config);
    let (graph, input_order) = topology::read(&config, weights)?;
    Ok(Imported { graph, input_order, library: "keras", version })
}
