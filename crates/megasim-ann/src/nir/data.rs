//! Spike trains in NIR's form of data: what `nir.write_data` of package `nir` writes, from version 1.0.5 on.
//!
//! HDF5: groups `nodes/NODE/observables/OBSERVABLE`, each with an attribute `__type__`. `EventData` has arrays `idx`
//! and `time` (seconds), axes (sample, event), -1 where there is none, and attributes `n_neurons` and `t_max`;
//! `ValuedEventData` has `value` besides; `TimeGriddedData` has `data`, axes (sample, step, neuron), and `dt`.

use crate::graph::MAX_LAYER_SIZE;
use crate::import::hdf5::{self, File};
use crate::import::{Error, ImportError};
use ndarray::{ArrayD, Axis};
use std::path::Path;
use std::sync::Arc;

/// The node whose spikes are taken where there are several.
pub const INPUT: &str = "input";

/// The observable that is taken where a node has several.
const SPIKES: &str = "spikes";

/// A spike.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spike {
    /// Seconds from the start of the sample.
    pub time: f64,
    /// Number of the neuron; of maps in the order (map, row, column).
    pub neuron: usize,
    /// Whether its value is -1.
    pub negative: bool,
}

/// The spikes of one node, sample by sample.
#[derive(Debug, Clone, PartialEq)]
pub struct SpikeTrains {
    /// Neurons of the node.
    pub neurons: usize,
    /// How long a sample is, in seconds.
    pub duration: f64,
    /// A step in seconds, where spikes are on a grid.
    pub step: Option<f64>,
    /// Spikes of each sample, in the order of the file.
    pub samples: Vec<Vec<Spike>>,
}

impl SpikeTrains {
    /// Reads the spikes of the node `input` of a file, or of its only node.
    ///
    /// # Errors
    /// If it cannot be read, is damaged, has several nodes of other names, or holds what are no spikes.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let failed = |problem| Error { path: path.into(), problem };
        let bytes = std::fs::read(path).map_err(|source| failed(source.into()))?;
        Self::parse(bytes.into()).map_err(failed)
    }

    /// Reads a file that is in memory.
    ///
    /// # Errors
    /// As [`SpikeTrains::open`].
    pub fn parse(bytes: Arc<[u8]>) -> Result<Self, ImportError> {
        if !hdf5::is_hdf5(&bytes) {
            let message = format!("expected an HDF5 file, found {} bytes of something else", bytes.len());
            return Err(ImportError::damaged("NIR data", message));
        }
        let file = File::open(bytes, "")?;
        if kind(&file, "")? != "NIRGraphData" {
            let message = if file.has_group("node") {
                "expected spike trains (nir.write_data), found a network (nir.write)"
            } else {
                "expected a file of nir.write_data with the attribute __type__ = NIRGraphData, found none"
            };
            return Err(ImportError::damaged("NIR data", message));
        }
        let node = one_of(&file, "nodes", INPUT, "node")?;
        if kind(&file, &node)? != "NIRNodeData" {
            let message = format!("expected NIRNodeData, found {}", kind(&file, &node)?);
            return Err(ImportError::damaged(format!("HDF5 '{node}'"), message));
        }
        let of = one_of(&file, &format!("{node}/observables"), SPIKES, "observable")?;
        let observable = Observable { file: &file, path: &of };
        match &kind(&file, &of)?[..] {
            "EventData" => observable.events(false),
            "ValuedEventData" => observable.events(true),
            "TimeGriddedData" => observable.grid(),
            other => {
                Err(observable
                    .fault(format!("expected EventData, ValuedEventData or TimeGriddedData, found '{other}'")))
            }
        }
    }
}

/// `__type__` of a group; empty where it has none.
fn kind(file: &File, path: &str) -> Result<String, ImportError> {
    Ok(file.attributes(path)?.string("__type__").unwrap_or_default().to_string())
}

/// The group of this name in another, or the only one.
fn one_of(file: &File, group: &str, wanted: &str, what: &str) -> Result<String, ImportError> {
    let mut names = file.groups(group)?;
    names.sort();
    let name = match &names[..] {
        [only] => only,
        all if all.iter().any(|name| name == wanted) => wanted,
        [] => return Err(ImportError::damaged(format!("HDF5 '{group}'"), format!("expected {what}s, found none"))),
        all => {
            let message = format!("expected one {what}, or one of the name '{wanted}', found {}", all.join(", "));
            return Err(ImportError::damaged(format!("HDF5 '{group}'"), message));
        }
    };
    Ok(format!("{group}/{name}"))
}

struct Observable<'f> {
    file: &'f File,
    path: &'f str,
}

impl Observable<'_> {
    fn fault(&self, message: String) -> ImportError {
        ImportError::damaged(format!("HDF5 '{}'", self.path), message)
    }

    fn array(&self, name: &str, axes: &[&str]) -> Result<ArrayD<f64>, ImportError> {
        let array = self.file.doubles(&format!("{}/{name}", self.path))?;
        if array.ndim() != axes.len() {
            let (axes, found) = (axes.join(", "), array.shape());
            return Err(self.fault(format!("{name}: expected axes ({axes}), found shape {found:?}")));
        }
        Ok(array)
    }

    fn attribute(&self, name: &str, expected: &str, fits: impl Fn(f64) -> bool) -> Result<f64, ImportError> {
        let found = self.file.attributes(self.path)?.number(name);
        found.filter(|&number| fits(number)).ok_or_else(|| {
            let found = found.map_or("none".into(), |number| number.to_string());
            self.fault(format!("attribute {name}: expected {expected}, found {found}"))
        })
    }

    fn neurons(&self, number: f64) -> Result<usize, ImportError> {
        if number.fract() == 0.0 && number >= 1.0 && number <= MAX_LAYER_SIZE as f64 {
            return Ok(number as usize);
        }
        Err(self.fault(format!("expected 1 to {MAX_LAYER_SIZE} neurons, found {number}")))
    }

    /// Whether a value is a spike, and if so, whether a negative one.
    fn sign(&self, value: f64, (sample, neuron): (usize, usize)) -> Result<Option<bool>, ImportError> {
        match value {
            0.0 => Ok(None),
            1.0 => Ok(Some(false)),
            -1.0 => Ok(Some(true)),
            other => Err(self.fault(format!(
                "sample {sample}, neuron {neuron}: expected spikes (0, 1 or -1), found the value {other}"
            ))),
        }
    }

    fn events(&self, valued: bool) -> Result<SpikeTrains, ImportError> {
        let axes = ["sample", "event"];
        let (idx, time) = (self.array("idx", &axes)?, self.array("time", &axes)?);
        let value = valued.then(|| self.array("value", &axes)).transpose()?;
        for (name, array) in [("time", Some(&time)), ("value", value.as_ref())] {
            if let Some(array) = array.filter(|array| array.shape() != idx.shape()) {
                let (expected, found) = (idx.shape(), array.shape());
                return Err(self.fault(format!("{name}: expected shape {expected:?} as of idx, found {found:?}")));
            }
        }
        let neurons = self.neurons(self.attribute("n_neurons", "a number", |_| true)?)?;
        let duration = self.attribute("t_max", "seconds above 0", |t| t.is_finite() && t > 0.0)?;
        let mut samples = Vec::with_capacity(idx.len_of(Axis(0)));
        for (sample, (idx, time)) in idx.outer_iter().zip(time.outer_iter()).enumerate() {
            let mut spikes = Vec::new();
            for (k, (&number, &at)) in idx.iter().zip(&time).enumerate() {
                if number == -1.0 {
                    continue;
                }
                if number.fract() != 0.0 || number < 0.0 || number >= neurons as f64 {
                    let message =
                        format!("idx: sample {sample}, event {k}: expected -1 to {}, found {number}", neurons - 1);
                    return Err(self.fault(message));
                }
                if !(at >= 0.0 && at <= duration) {
                    let message =
                        format!("time: sample {sample}, event {k}: expected 0 to t_max ({duration} s), found {at}");
                    return Err(self.fault(message));
                }
                let neuron = number as usize;
                let sign = match &value {
                    Some(value) => self.sign(value[[sample, k].as_slice()], (sample, neuron))?,
                    None => Some(false),
                };
                spikes.extend(sign.map(|negative| Spike { time: at, neuron, negative }));
            }
            samples.push(spikes);
        }
        Ok(SpikeTrains { neurons, duration, step: None, samples })
    }

    fn grid(&self) -> Result<SpikeTrains, ImportError> {
        let data = self.array("data", &["sample", "step", "neuron"])?;
        let step = self.attribute("dt", "seconds above 0", |t| t.is_finite() && t > 0.0)?;
        let (steps, neurons) = (data.len_of(Axis(1)), self.neurons(data.len_of(Axis(2)) as f64)?);
        let mut samples = Vec::with_capacity(data.len_of(Axis(0)));
        for (sample, data) in data.outer_iter().enumerate() {
            let mut spikes = Vec::new();
            for (k, row) in data.outer_iter().enumerate() {
                for (neuron, &value) in row.iter().enumerate() {
                    let sign = self.sign(value, (sample, neuron))?;
                    spikes.extend(sign.map(|negative| Spike { time: k as f64 * step, neuron, negative }));
                }
            }
            samples.push(spikes);
        }
        Ok(SpikeTrains { neurons, duration: steps as f64 * step, step: Some(step), samples })
    }
}
