//! A network at a stage of its conversion, parsed or normalised, as an `.npz` archive that Python can open.
//!
//! Arrays: `stage` (JSON, bytes: the layers, what they were made from, and of a normalised network its scales),
//! `layer_N_weights_K` and `layer_N_bias` (N: number of the layer in the netfiles, K: number of the connection). The
//! same stage gives the same bytes.

use super::normalize::Normalized;
use super::parsed::{Connection, LayerKind, ParsedLayer, ParsedModel, Role, Route, Source, Weights, Windows};
use megasim_ann::graph::{MAX_LAYER_SIZE, Padding, Shape};
use megasim_core::encode::FeatureScales;
use megasim_data::npy::{NpzReader, NpzWriter};
use ndarray::{Array1, ArrayD, Dimension};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::fs::File;
use std::io::{self, BufReader, Cursor, Write};
use std::path::{Path, PathBuf};

/// Version of the layout.
const FORMAT: u32 = 1;

/// Name of the array that holds the layers.
const HEADER: &str = "stage";

/// Longest stride, offset, padding and the like.
const MAX_STEP: usize = 1 << 20;

/// Why a stage cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system did not give the file.
    #[error("{path}: cannot be read: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is damaged, or no such file.
    #[error("{path}: {place}: {message}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where in it.
        place: String,
        /// What was expected and what was found.
        message: String,
    },
    /// It is another stage.
    #[error("{path}: expected a {expected} network, found a {found} one")]
    Kind {
        /// The file.
        path: PathBuf,
        /// `parsed` or `normalised`.
        expected: &'static str,
        /// The other.
        found: &'static str,
    },
    /// It was made from something else.
    #[error("{path}: expected what this conversion would make, found it made with {}; save it \
        anew", differences.join(", "))]
    Stale {
        /// The file.
        path: PathBuf,
        /// What differs.
        differences: Vec<String>,
    },
}

/// What a stage was made from: anything that, if it were different, would make another stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Origin {
    /// SHA-256 of the model file.
    pub model_sha256: String,
    /// Everything else by name.
    pub settings: Map<String, Value>,
}

impl Origin {
    /// What differs from what was expected, in words.
    pub fn differences(&self, expected: &Self) -> Vec<String> {
        let mut differences = Vec::new();
        if self.model_sha256 != expected.model_sha256 {
            differences
                .push(format!("another model (SHA-256 {} instead of {})", self.model_sha256, expected.model_sha256));
        }
        let mut names: Vec<&String> = self.settings.keys().chain(expected.settings.keys()).collect();
        names.sort();
        names.dedup();
        for name in names {
            let (found, wanted) = (self.settings.get(name), expected.settings.get(name));
            if found != wanted {
                let text = |value: Option<&Value>| value.map_or("nothing".into(), Value::to_string);
                differences.push(format!("{name} {} instead of {}", text(found), text(wanted)));
            }
        }
        differences
    }
}

/// A network on its way.
#[derive(Debug, Clone, PartialEq)]
pub enum Network {
    /// Before normalisation.
    ParsedModel(ParsedModel),
    /// After it.
    Normalised(Normalized),
}

impl Network {
    /// Its word.
    pub fn name(&self) -> &'static str {
        match self {
            Self::ParsedModel(_) => "parsed",
            Self::Normalised(_) => "normalised",
        }
    }

    /// The layers.
    pub fn parsed(&self) -> &ParsedModel {
        match self {
            Self::ParsedModel(parsed) => parsed,
            Self::Normalised(normalized) => &normalized.parsed,
        }
    }
}

/// A network at a stage, and what it was made from.
#[derive(Debug, Clone, PartialEq)]
pub struct Stage {
    /// What it was made from.
    pub origin: Origin,
    /// The network.
    pub network: Network,
}

/// A parsed network without its weights.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    format: u32,
    origin: Origin,
    input_name: String,
    input: Shape,
    input_order: Option<Vec<usize>>,
    #[serde(default = "one", skip_serializing_if = "is_one")]
    input_scale: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    input_features: Option<FeatureScales>,
    digits: usize,
    layers: Vec<StoredLayer>,
    normalised: Option<Scales>,
}

fn one() -> f64 {
    1.0
}

fn is_one(scale: &f64) -> bool {
    *scale == 1.0
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Scales {
    scales: Vec<f64>,
    silent: Vec<usize>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    maps: Vec<Vec<f64>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredLayer {
    name: String,
    source_name: String,
    kind: String,
    shape: Shape,
    operation: StoredKind,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
enum StoredKind {
    Population { connections: Vec<StoredConnection>, bias: bool, role: Role },
    Relay { source: Source, route: Route },
    AveragePool { source: Source, windows: Windows, count_padding: bool },
    MaxPool { source: Source, windows: Windows },
    Flatten { source: Source },
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredConnection {
    source: Source,
    weights: StoredWeights,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
enum StoredWeights {
    Dense,
    Convolution { strides: (usize, usize), padding: Padding, dilation: (usize, usize), groups: usize },
    Transposed { strides: (usize, usize), padding: Padding, groups: usize },
}

fn weights_name(layer: usize, connection: usize) -> String {
    format!("layer_{layer}_weights_{connection}")
}

fn bias_name(layer: usize) -> String {
    format!("layer_{layer}_bias")
}

/// Whether a file is a stage of a conversion.
pub fn is_stage(path: &Path) -> bool {
    let archive = File::open(path).ok().and_then(|file| NpzReader::new(BufReader::new(file)).ok());
    archive.is_some_and(|archive| archive.has(HEADER))
}

impl Stage {
    /// Writes the archive.
    ///
    /// # Errors
    /// What the writer reports.
    pub fn write(&self, writer: &mut dyn Write) -> io::Result<()> {
        let parsed = self.network.parsed();
        let mut bytes = Cursor::new(Vec::new());
        let mut npz = NpzWriter::new(&mut bytes);
        let layers = parsed.layers.iter().enumerate().map(|(k, layer)| StoredLayer {
            name: parsed.name(k),
            source_name: layer.source_name.clone(),
            kind: layer.kind.clone(),
            shape: layer.shape,
            operation: stored(&layer.operation),
        });
        let header = Header {
            format: FORMAT,
            origin: self.origin.clone(),
            input_name: parsed.input_name.clone(),
            input: parsed.input,
            input_order: parsed.input_order.clone(),
            input_scale: parsed.input_scale,
            input_features: parsed.input_features.clone(),
            digits: parsed.digits,
            layers: layers.collect(),
            normalised: match &self.network {
                Network::ParsedModel(_) => None,
                Network::Normalised(of) => {
                    let has_maps = of.maps.iter().any(|factors| !factors.is_empty());
                    let maps = if has_maps { of.maps.clone() } else { Vec::new() };
                    Some(Scales { scales: of.scales.clone(), silent: of.silent.clone(), maps })
                }
            },
        };
        let header = serde_json::to_vec_pretty(&header).map_err(io::Error::other)?;
        npz.add(HEADER, &Array1::from(header))?;
        for (k, layer) in parsed.layers.iter().enumerate() {
            let LayerKind::Population { connections, bias, .. } = &layer.operation else { continue };
            for (number, connection) in connections.iter().enumerate() {
                let name = weights_name(k, number);
                match &connection.weights {
                    Weights::Dense(weights) => npz.add(&name, weights),
                    Weights::Convolution { kernels, .. } | Weights::Transposed { kernels, .. } => {
                        npz.add(&name, kernels)
                    }
                }?;
            }
            if let Some(bias) = bias {
                npz.add(&bias_name(k), bias)?;
            }
        }
        npz.finish()?;
        writer.write_all(&bytes.into_inner())
    }

    /// Reads an archive whole, and checks that its layers fit each other.
    ///
    /// # Errors
    /// [`Error::Unreadable`] and [`Error::Damaged`].
    pub fn read(path: &Path) -> Result<Self, Error> {
        let unreadable = |source| Error::Unreadable { path: path.into(), source };
        let file = File::open(path).map_err(unreadable)?;
        let damaged = |(place, message): (String, String)| Error::Damaged { path: path.into(), place, message };
        let archive =
            NpzReader::new(BufReader::new(file)).map_err(|error| damaged(("zip".into(), error.to_string())))?;
        Archive(archive).stage().map_err(damaged)
    }

    /// The parsed network of a file that was made from this.
    ///
    /// # Errors
    /// Also [`Error::Kind`] and [`Error::Stale`].
    pub fn read_parsed(path: &Path, origin: &Origin) -> Result<ParsedModel, Error> {
        match Self::read_made_from(path, origin, "parsed")? {
            Network::ParsedModel(parsed) => Ok(parsed),
            other => Err(Error::Kind { path: path.into(), expected: "parsed", found: other.name() }),
        }
    }

    /// The normalised network of a file that was made from this.
    ///
    /// # Errors
    /// Also [`Error::Kind`] and [`Error::Stale`].
    pub fn read_normalised(path: &Path, origin: &Origin) -> Result<Normalized, Error> {
        match Self::read_made_from(path, origin, "normalised")? {
            Network::Normalised(normalized) => Ok(normalized),
            other => Err(Error::Kind { path: path.into(), expected: "normalised", found: other.name() }),
        }
    }

    fn read_made_from(path: &Path, origin: &Origin, expected: &'static str) -> Result<Network, Error> {
        let stage = Self::read(path)?;
        let found = stage.network.name();
        if found != expected {
            return Err(Error::Kind { path: path.into(), expected, found });
        }
        let differences = stage.origin.differences(origin);
        if !differences.is_empty() {
            return Err(Error::Stale { path: path.into(), differences });
        }
        Ok(stage.network)
    }
}

fn stored(operation: &LayerKind) -> StoredKind {
    match operation {
        LayerKind::Population { connections, bias, role } => {
            let connections = connections.iter().map(|Connection { source, weights }| StoredConnection {
                source: *source,
                weights: match *weights {
                    Weights::Dense(_) => StoredWeights::Dense,
                    Weights::Convolution { strides, padding, dilation, groups, .. } => {
                        StoredWeights::Convolution { strides, padding, dilation, groups }
                    }
                    Weights::Transposed { strides, padding, groups, .. } => {
                        StoredWeights::Transposed { strides, padding, groups }
                    }
                },
            });
            StoredKind::Population { connections: connections.collect(), bias: bias.is_some(), role: *role }
        }
        LayerKind::Relay { source, route } => StoredKind::Relay { source: *source, route: route.clone() },
        LayerKind::AveragePool { source, windows, count_padding } => {
            StoredKind::AveragePool { source: *source, windows: *windows, count_padding: *count_padding }
        }
        LayerKind::MaxPool { source, windows } => StoredKind::MaxPool { source: *source, windows: *windows },
        LayerKind::Flatten { source } => StoredKind::Flatten { source: *source },
    }
}

/// What is wrong, and where.
type EntryError = (String, String);

struct Archive(NpzReader<BufReader<File>>);

impl Archive {
    fn array(&mut self, name: &str) -> Result<ArrayD<f32>, EntryError> {
        let flaw = |message: String| (format!("array '{name}'"), message);
        let array = self.0.array(name).map_err(|error| flaw(error.to_string()))?;
        match array.iter().find(|value| !value.is_finite()) {
            Some(value) => Err(flaw(format!("expected finite numbers, found {value}"))),
            None => Ok(array),
        }
    }

    fn axes<D: Dimension>(&mut self, name: &str) -> Result<ndarray::Array<f32, D>, EntryError> {
        let array = self.array(name)?;
        let shape = array.shape().to_vec();
        let expected = D::NDIM.unwrap_or(0);
        array
            .into_dimensionality()
            .map_err(|_| (format!("array '{name}'"), format!("expected {expected} axes, found shape {shape:?}")))
    }

    fn stage(&mut self) -> Result<Stage, EntryError> {
        let flaw = |message: String| (HEADER.to_string(), message);
        let header: Vec<u8> = self.array(HEADER)?.iter().map(|&byte| byte as u8).collect();
        let header: Header = serde_json::from_slice(&header).map_err(|error| flaw(error.to_string()))?;
        if header.format != FORMAT {
            return Err(flaw(format!("expected format {FORMAT}, found {}", header.format)));
        }
        if header.digits > 10 {
            return Err(flaw(format!("expected at most 10 digits, found {}", header.digits)));
        }
        check_shape(header.input).map_err(flaw)?;
        let numbers = header.input.len();
        let order = header.input_order.as_ref();
        if order.is_some_and(|order| !is_permutation(order, numbers)) {
            return Err(flaw(format!("expected an input order that has each number below {numbers} once")));
        }
        if !(header.input_scale.is_finite() && header.input_scale > 0.0) {
            return Err(flaw(format!("expected an input scale above 0, found {}", header.input_scale)));
        }
        if header.input_features.as_ref().is_some_and(|features| !features.fits(numbers)) {
            return Err(flaw(format!("expected scales of features that go with {numbers} numbers per sample")));
        }
        let mut parsed = ParsedModel {
            input_name: header.input_name,
            input: header.input,
            input_order: header.input_order,
            input_scale: header.input_scale,
            input_features: header.input_features,
            layers: Vec::new(),
            digits: header.digits,
        };
        for (number, layer) in header.layers.into_iter().enumerate() {
            let place = format!("layer {number} ('{}')", layer.name);
            let StoredLayer { name, source_name, kind, shape, operation } = layer;
            check_shape(shape).map_err(|message| (place.clone(), message))?;
            // Kinds become parts of file names.
            if kind.is_empty() || !kind.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
                return Err((place, format!("expected a kind of letters, digits and '_', found {kind:?}")));
            }
            let operation = self.operation(number, operation)?;
            let layer = ParsedLayer { source_name, kind, operation, shape };
            if layer.sources().iter().any(|source| matches!(source, Source::Layer(k) if *k >= number)) {
                return Err((place, "expected to read layers before it".into()));
            }
            parsed.layers.push(layer);
            if parsed.name(number) != name {
                return Err((place, format!("expected the name '{}'", parsed.name(number))));
            }
        }
        if !matches!(parsed.layers.last(), Some(ParsedLayer { shape: Shape::Features(_), .. })) {
            return Err(flaw("expected a vector as its last layer".into()));
        }
        let (graph, ids) = parsed.graph().map_err(|fault| flaw(fault.to_string()))?;
        for (number, &id) in ids.iter().enumerate() {
            let (found, expected) = (graph.layers()[id].shape, parsed.layers[number].shape);
            if found != expected {
                return Err((format!("layer {number}"), format!("expected shape {expected}, found {found}")));
            }
        }
        let network = match header.normalised {
            None => Network::ParsedModel(parsed),
            Some(Scales { scales, silent, maps }) => {
                let layers = parsed.layers.len();
                let good = |scale: &f64| scale.is_finite() && *scale > 0.0;
                if scales.len() != layers || !scales.iter().all(good) || silent.iter().any(|&layer| layer >= layers) {
                    return Err(flaw(format!("expected a scale above 0 for each of {layers} layers")));
                }
                let fits = |(factors, layer): (&Vec<f64>, &ParsedLayer)| {
                    (factors.is_empty() || factors.len() == layer.shape.channels()) && factors.iter().all(good)
                };
                if !maps.is_empty() && (maps.len() != layers || !maps.iter().zip(&parsed.layers).all(fits)) {
                    return Err(flaw("expected a factor above 0 for each map, or none, of each layer".into()));
                }
                let mut normalized = Normalized::new(parsed, scales, silent);
                if !maps.is_empty() {
                    normalized.maps = maps;
                }
                Network::Normalised(normalized)
            }
        };
        Ok(Stage { origin: header.origin, network })
    }

    fn operation(&mut self, number: usize, stored: StoredKind) -> Result<LayerKind, EntryError> {
        let place = || format!("layer {number}");
        let steps = |of: &[usize]| match of.iter().find(|step| !(1..=MAX_STEP).contains(*step)) {
            Some(step) => Err((place(), format!("expected sizes and steps from 1 to {MAX_STEP}, found {step}"))),
            None => Ok(()),
        };
        let sides = |padding: &Padding| {
            let Padding { top, bottom, left, right } = *padding;
            steps(&[top.saturating_add(1), bottom.saturating_add(1), left.saturating_add(1), right.saturating_add(1)])
        };
        let windows = |windows: &Windows| {
            steps(&[windows.size.0, windows.size.1, windows.strides.0, windows.strides.1])?;
            sides(&windows.padding)
        };
        Ok(match stored {
            StoredKind::Population { connections, bias, role } => {
                let mut read = Vec::with_capacity(connections.len().min(1 << 10));
                for (k, StoredConnection { source, weights }) in connections.into_iter().enumerate() {
                    let name = weights_name(number, k);
                    let weights = match weights {
                        StoredWeights::Dense => Weights::Dense(self.axes(&name)?),
                        StoredWeights::Convolution { strides, padding, dilation, groups } => {
                            steps(&[strides.0, strides.1, dilation.0, dilation.1, groups])?;
                            sides(&padding)?;
                            Weights::Convolution { kernels: self.axes(&name)?, strides, padding, dilation, groups }
                        }
                        StoredWeights::Transposed { strides, padding, groups } => {
                            steps(&[strides.0, strides.1, groups])?;
                            sides(&padding)?;
                            Weights::Transposed { kernels: self.axes(&name)?, strides, padding, groups }
                        }
                    };
                    read.push(Connection { source, weights });
                }
                if read.is_empty() {
                    return Err((place(), "expected at least one connection".into()));
                }
                let bias = if bias { Some(self.axes(&bias_name(number))?) } else { None };
                LayerKind::Population { connections: read, bias, role }
            }
            StoredKind::Relay { source, route } => {
                if let Route::Shift { expand, offset } = &route {
                    let offset = [offset.0.unsigned_abs() as usize, offset.1.unsigned_abs() as usize];
                    steps(&[expand.0, expand.1, offset[0].saturating_add(1), offset[1].saturating_add(1)])?;
                }
                LayerKind::Relay { source, route }
            }
            StoredKind::AveragePool { source, windows: of, count_padding } => {
                windows(&of)?;
                LayerKind::AveragePool { source, windows: of, count_padding }
            }
            StoredKind::MaxPool { source, windows: of } => {
                windows(&of)?;
                LayerKind::MaxPool { source, windows: of }
            }
            StoredKind::Flatten { source } => LayerKind::Flatten { source },
        })
    }
}

/// Whether an order has each number below `n` once.
pub(super) fn is_permutation(order: &[usize], n: usize) -> bool {
    let mut seen = vec![false; n.min(MAX_LAYER_SIZE)];
    let is_new = |&number: &usize| seen.get_mut(number).is_some_and(|seen| !std::mem::replace(seen, true));
    order.len() == n && order.iter().all(is_new)
}

fn check_shape(shape: Shape) -> Result<(), String> {
    let neurons = match shape {
        Shape::Features(n) => Some(n),
        Shape::Maps { channels, height, width } => channels.checked_mul(height).and_then(|n| n.checked_mul(width)),
    };
    match neurons {
        Some(1..=MAX_LAYER_SIZE) => Ok(()),
        _ => Err(format!("expected 1 to {MAX_LAYER_SIZE} neurons, found shape {shape}")),
    }
}
