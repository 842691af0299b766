//! Scales of layers as a JSON file, to be used again.

use super::parsed::{LayerKind, ParsedModel};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

/// Why a file of scales cannot be used again.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The file cannot be read.
    #[error("{path}: cannot be read: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is damaged.
    #[error("{path}: cannot be read: {message}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What the parser said.
        message: String,
    },
    /// They were made for another model.
    #[error(
        "{path}: expected scales of this model (SHA-256 {expected}), found those of another ({found}); convert \
            without --scales to make new ones"
    )]
    Stale {
        /// The file.
        path: PathBuf,
        /// The model's hash.
        expected: String,
        /// The hash in the file.
        found: String,
    },
}

/// Why scales do not fit a network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A layer has none, or one that is no scale.
    #[error("scales: expected a number above 0 for layer '{0}'")]
    Layer(String),
}

/// The activation that one spike per millisecond stands for, by the name of the layer in the netfiles.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scales {
    /// SHA-256 of the model file that they were made for.
    pub model_sha256: String,
    /// One a population.
    pub scales: BTreeMap<String, f64>,
    /// Of populations whose maps have their own scales: the scale of each map (of a vector: of each neuron).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub maps: BTreeMap<String, Vec<f64>>,
}

impl Scales {
    /// Those of a normalised network. A population that was silent has none to give, and gets its scale of 1 written
    /// down.
    pub fn new(model_sha256: &str, normalized: &super::Normalized) -> Self {
        let parsed = &normalized.parsed;
        let populations = || parsed.layers.iter().enumerate().filter(|(_, layer)| is_population(&layer.operation));
        let scales = populations().map(|(k, _)| (parsed.name(k), normalized.scales[k])).collect();
        let maps = populations().map(|(k, _)| (parsed.name(k), normalized.map_scales(k)));
        let maps = maps.filter(|(_, scales)| !scales.is_empty()).collect();
        Self { model_sha256: model_sha256.into(), scales, maps }
    }

    /// Reads a file, and makes sure that it belongs to the model.
    ///
    /// # Errors
    /// If it is missing, damaged, or stale.
    pub fn read(path: &Path, model_sha256: &str) -> Result<Self, FileError> {
        let text = std::fs::read(path).map_err(|source| FileError::Read { path: path.into(), source })?;
        let damaged = |error: serde_json::Error| FileError::Damaged { path: path.into(), message: error.to_string() };
        let scales: Self = serde_json::from_slice(&text).map_err(damaged)?;
        if scales.model_sha256 != model_sha256 {
            let (expected, found) = (model_sha256.into(), scales.model_sha256);
            return Err(FileError::Stale { path: path.into(), expected, found });
        }
        Ok(scales)
    }

    /// The scale of each population of a network; none for other layers.
    ///
    /// # Errors
    /// [`Error::Layer`].
    pub fn of(&self, parsed: &ParsedModel) -> Result<Vec<Option<f64>>, Error> {
        let layers = parsed.layers.iter().enumerate().map(|(k, layer)| {
            if !is_population(&layer.operation) {
                return Ok(None);
            }
            let name = parsed.name(k);
            let scale = self.scales.get(&name).copied().filter(|scale| scale.is_finite() && *scale > 0.0);
            scale.map(Some).ok_or(Error::Layer(name))
        });
        layers.collect()
    }

    /// Of each layer, the factors of its maps on its scale; empty where there are none. Whether they fit is seen where
    /// they are applied.
    pub(super) fn maps_of(&self, parsed: &ParsedModel) -> Vec<Vec<f64>> {
        let layers = (0..parsed.layers.len()).map(|k| {
            let name = parsed.name(k);
            let scale = self.scales.get(&name).copied().unwrap_or(1.0);
            let maps = self.maps.get(&name).into_iter().flatten();
            maps.map(|of_map| of_map / scale).collect()
        });
        layers.collect()
    }

    /// As text.
    pub fn to_json(&self) -> String {
        // Plain data with string keys always has a JSON form.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }
}

fn is_population(operation: &LayerKind) -> bool {
    matches!(operation, LayerKind::Population { .. })
}
