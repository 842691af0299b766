//! Activations over the normalisation set, kept in a directory, so that other percentiles of them can be had without
//! the network.
//!
//! `NAME.npy` holds those of the population NAME, 32-bit floats, (sample, neuron); `activations.json` what they were
//! made from.

use super::normalize::Error;
use super::parsed::{LayerKind, ParsedModel};
use super::samples::{Samples, activations};
use super::stage::Origin;
use megasim_data::npy;
use ndarray::ArrayView2;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

/// Name of the file that says what they are.
const HEADER: &str = "activations.json";

/// Version of the layout.
const FORMAT: u32 = 1;

/// Numbers that are read at a time.
const PIECE: usize = 1 << 20;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    format: u32,
    origin: Origin,
    samples: usize,
}

/// A directory of activations.
#[derive(Debug, Clone, PartialEq)]
pub struct ActivationCache {
    directory: PathBuf,
    /// Number, file and neurons of each population.
    populations: Vec<(usize, PathBuf, usize)>,
    samples: usize,
}

fn populations(parsed: &ParsedModel, directory: &Path) -> Vec<(usize, PathBuf, usize)> {
    let layers = parsed.layers.iter().enumerate();
    let populations = layers.filter(|(_, layer)| matches!(layer.operation, LayerKind::Population { .. }));
    populations.map(|(k, layer)| (k, directory.join(format!("{}.npy", parsed.name(k))), layer.shape.len())).collect()
}

fn data(path: &Path, message: impl ToString) -> Error {
    Error::Data(format!("{}: {}", path.display(), message.to_string()))
}

/// Computes activations and writes them into a directory that is there; in one pass and bounded memory.
///
/// # Errors
/// Where samples do not fit, or a file cannot be written.
pub fn save(
    parsed: &ParsedModel,
    samples: &dyn Samples,
    origin: &Origin,
    directory: &Path,
    progress: &mut dyn FnMut(usize),
) -> Result<(), Error> {
    let (graph, ids) = parsed.graph()?;
    let count = samples.count();
    let mut files = Vec::new();
    let mut of_layer: Vec<Option<usize>> = vec![None; graph.layers().len()];
    for (number, path, neurons) in populations(parsed, directory) {
        let mut file = BufWriter::new(File::create(&path).map_err(|error| data(&path, error))?);
        file.write_all(&npy::header::<f32>(&[count, neurons])).map_err(|error| data(&path, error))?;
        of_layer[ids[number]] = Some(files.len());
        files.push((path, file));
    }
    let mut outcome = Ok(());
    activations(parsed, &graph, samples, progress, &mut |layer, values| {
        let Some((path, file)) = of_layer[layer].and_then(|at| files.get_mut(at)) else { return };
        if outcome.is_ok() {
            let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
            outcome = file.write_all(&bytes).map_err(|error| data(path, error));
        }
    })?;
    outcome?;
    for (path, mut file) in files {
        file.flush().map_err(|error| data(&path, error))?;
    }
    let header = Header { format: FORMAT, origin: origin.clone(), samples: count };
    let path = directory.join(HEADER);
    // Plain data with string keys always has a JSON form.
    let text = serde_json::to_string_pretty(&header).unwrap_or_default() + "\n";
    fs::write(&path, text).map_err(|error| data(&path, error))
}

impl ActivationCache {
    /// Opens a directory that was made from this.
    ///
    /// # Errors
    /// If it is damaged, or stale.
    pub fn open(directory: &Path, parsed: &ParsedModel, origin: &Origin) -> Result<Self, Error> {
        let path = directory.join(HEADER);
        let text = fs::read(&path).map_err(|error| data(&path, error))?;
        let header: Header = serde_json::from_slice(&text).map_err(|error| data(&path, error))?;
        if header.format != FORMAT || header.samples == 0 {
            return Err(data(&path, format!("expected format {FORMAT} and at least one sample")));
        }
        let differences = header.origin.differences(origin);
        if !differences.is_empty() {
            let message = format!(
                "expected activations that this conversion would make, found them made with {}; save them anew",
                differences.join(", ")
            );
            return Err(data(directory, message));
        }
        let populations = populations(parsed, directory);
        Ok(Self { directory: directory.into(), populations, samples: header.samples })
    }

    /// The directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// How many samples they are of.
    pub fn samples(&self) -> usize {
        self.samples
    }

    /// Shows the activations of all populations, one population after the other: its number, and some samples.
    ///
    /// # Errors
    /// Where a file is missing or damaged.
    pub fn visit(&self, see: &mut dyn FnMut(usize, ArrayView2<f32>)) -> Result<(), Error> {
        for (number, path, neurons) in &self.populations {
            let file = File::open(path).map_err(|error| data(path, error))?;
            let most = file.metadata().map_err(|error| data(path, error))?.len();
            let rows = npy::Rows { skip: 0, take: usize::MAX };
            let piece = (PIECE / neurons).max(1);
            let expected = [self.samples, *neurons];
            npy::visit(&mut BufReader::new(file), rows, most, piece, &mut |_, array| {
                if array.shape != expected {
                    return Err(format!("expected shape {expected:?}, found {:?}", array.shape));
                }
                let rows = array.values.len() / neurons;
                let view = ArrayView2::from_shape((rows, *neurons), &array.values);
                see(*number, view.map_err(|error| error.to_string())?);
                Ok(())
            })
            .map_err(|message| data(path, message))?;
        }
        Ok(())
    }
}
