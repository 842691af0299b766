//! Spikes and potentials as `.npz`: `run --npz`, `classify --record --npz`.

use super::diagnostic::report;
use clap::Args;
use megasim::ann::nir::{Spike, SpikeTrains};
use megasim::atomic_write::{self, Overwrite};
use megasim::convert::export::spike_trains;
use megasim::convert::{ConvertedModel, LabelledSamples};
use megasim::dataset::npy::{Element, NpzWriter};
use megasim::engine::Record;
use megasim::network::Network;
use megasim::study::classification::{ClassifyOptions, LayerRecording, Recording, network_for, setup};
use miette::Result;
use ndarray::aview1;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{self, Cursor, Write};
use std::path::{Path, PathBuf};

use super::progress::Progress;

/// What of a classification is recorded.
#[derive(Debug, Clone, Default, Args)]
pub struct RecordArguments {
    /// Write the spikes of these layers to --npz or --nir-data: names as 'megasim inspect' shows them, and 'input'
    #[arg(long, value_name = "LAYER", value_delimiter = ',', requires = "recorded")]
    record: Vec<String>,
    /// Write potentials too: of each neuron of the layers of --record, after each millisecond
    #[arg(long, requires = "npz")]
    potentials: bool,
    /// The file with what --record names
    #[arg(long, value_name = "FILE.npz", requires = "record", value_parser = npz_file, group = "recorded")]
    pub npz: Option<PathBuf>,
    /// The same as spike trains in NIR's form of data, which 'nir.read_data' and --data read
    #[arg(long, value_name = "FILE.nir", requires = "record", value_parser = nir_file, group = "recorded")]
    pub nir_data: Option<PathBuf>,
}

/// `--nir-data`.
///
/// # Errors
/// Another ending.
pub fn nir_file(text: &str) -> Result<PathBuf, String> {
    super::per_sample::with_ending(text, &["nir"])
}

/// `--npz`.
///
/// # Errors
/// Another ending.
pub fn npz_file(text: &str) -> Result<PathBuf, String> {
    super::per_sample::with_ending(text, &["npz"])
}

impl RecordArguments {
    /// What is to be recorded of a network, if anything is.
    ///
    /// # Errors
    /// If there is no such layer, or if it has no potentials that were asked for.
    pub fn recording(&self, converted: &ConvertedModel) -> Result<Option<Recording>> {
        if self.record.is_empty() {
            return Ok(None);
        }
        let recording = Recording::new(converted, &self.record, self.potentials);
        recording.map(Some).map_err(|error| miette::miette!("--record: {error}"))
    }

    /// Whether potentials are recorded.
    pub fn has_potentials(&self) -> bool {
        self.potentials
    }

    /// The file.
    pub fn file(&self) -> Option<&PathBuf> {
        self.npz.as_ref().or(self.nir_data.as_ref())
    }

    /// What the record of the run says.
    pub fn parameters(&self, parameters: &mut Value) {
        if !self.record.is_empty() {
            parameters["record"] = json!(self.record);
            parameters["potentials"] = json!(self.potentials);
        }
    }
}

/// Shows samples once more, recorded, and writes what they did.
///
/// # Errors
/// If a run fails or the file cannot be written.
pub fn write_recording(
    path: &Path,
    recording: &Recording,
    converted: &ConvertedModel,
    samples: &LabelledSamples,
    options: &ClassifyOptions,
    replace: Overwrite,
) -> Result<()> {
    let network = network_for(converted, options).map_err(report)?;
    let setup = setup(converted, &network, samples, options);
    if path.extension().is_some_and(|ending| ending == "nir") {
        let (values, numbers) = (samples.values(), samples.numbers());
        let mut all = Vec::new();
        for (name, mode) in options.modes.each() {
            let progress = Progress::to_the_end(&format!("{name}, recorded"), samples.len());
            let layers = recording.run(&setup, values, numbers, mode, &progress).map_err(report)?;
            let of = |layer: LayerRecording| (layer.name.clone(), trains(&layer, samples, options));
            all.extend(layers.into_iter().map(of));
        }
        let bytes = spike_trains(all.iter().map(|(name, trains)| (&name[..], trains)));
        let bytes = bytes.map_err(|message| miette::miette!("{}: {message}", path.display()))?;
        return atomic_write::write_file(path, replace, |file| file.write_all(&bytes)).map_err(report);
    }
    let mut npz = NpzWriter::compressed(Cursor::new(Vec::new()));
    let numbers: Vec<i64> = (0..samples.len()).map(|k| samples.numbers().number(k) as i64).collect();
    npz.add("sample", &aview1(&numbers)).map_err(report)?;
    npz.add("ticks_per_ms", &aview1(&[i64::from(options.clock.ticks_per_ms)])).map_err(report)?;
    for (name, mode) in options.modes.each() {
        let progress = Progress::to_the_end(&format!("{name}, recorded"), samples.len());
        let layers = recording.run(&setup, samples.values(), samples.numbers(), mode, &progress).map_err(report)?;
        layers.iter().try_for_each(|layer| of_layer(&mut npz, name, layer, &numbers)).map_err(report)?;
    }
    let bytes = npz.finish().map_err(report)?.into_inner();
    atomic_write::write_file(path, replace, |file| file.write_all(&bytes)).map_err(report)
}

/// Spikes in seconds.
fn trains(layer: &LayerRecording, samples: &LabelledSamples, options: &ClassifyOptions) -> SpikeTrains {
    let per_second = 1000.0 * f64::from(options.clock.ticks_per_ms);
    let [_, ny, nx] = layer.shape;
    let mut of = vec![Vec::new(); samples.len()];
    let place: BTreeMap<i64, usize> = (0..samples.len()).map(|k| (samples.numbers().number(k) as i64, k)).collect();
    let mut end = 0;
    for spikes in layer.sample.chunk_by(i64::eq) {
        let first = end;
        end += spikes.len();
        let Some(&sample) = place.get(&spikes[0]) else { continue };
        of[sample].extend((first..end).map(|k| {
            let neuron = (layer.map[k] as usize * ny + layer.y[k] as usize) * nx + layer.x[k] as usize;
            Spike { time: layer.t[k] as f64 / per_second, neuron, negative: layer.polarity[k] < 0 }
        }));
    }
    let (neurons, duration) = (layer.shape.iter().product(), f64::from(options.clock.duration) / 1000.0);
    SpikeTrains { neurons, duration, step: None, samples: of }
}

type Npz = NpzWriter<Cursor<Vec<u8>>>;

fn of_layer(npz: &mut Npz, mode: &str, layer: &LayerRecording, numbers: &[i64]) -> io::Result<()> {
    let name = |what: &str| format!("{mode}/{}/{what}", layer.name);
    npz.add(&name("sample"), &aview1(&layer.sample))?;
    npz.add(&name("t"), &aview1(&layer.t))?;
    if layer.is_row() {
        npz.add(&name("neuron"), &aview1(&layer.x))?;
    } else {
        npz.add(&name("map"), &aview1(&layer.map))?;
        npz.add(&name("y"), &aview1(&layer.y))?;
        npz.add(&name("x"), &aview1(&layer.x))?;
    }
    npz.add(&name("polarity"), &aview1(&layer.polarity))?;
    let ([maps, ny, nx], samples) = (layer.shape, numbers.len());
    let counts = layer.counts(numbers);
    let shape = if layer.is_row() { vec![samples, maps * ny * nx] } else { vec![samples, maps, ny, nx] };
    npz.add(&name("count"), &counts.into_shape_with_order(shape).map_err(io::Error::other)?)?;
    if let Some(potentials) = &layer.potentials {
        let (samples, milliseconds, neurons) = potentials.dim();
        let shape = if layer.is_row() {
            vec![samples, milliseconds, neurons]
        } else {
            vec![samples, milliseconds, maps, ny, nx]
        };
        let shaped = potentials.view().into_shape_with_order(shape).map_err(io::Error::other)?;
        npz.add(&name("potential"), &shaped)?;
        npz.add(&name("threshold"), &aview1(&layer.threshold.map_or(vec![], |threshold| vec![threshold])))?;
    }
    Ok(())
}

/// The events of all nodes of a run, columns by node: `NODE/t_pre`, `t_rqst`, `t_ack`, `x`, `y`, `polarity`,
/// and `value` where spikes carry one.
///
/// # Errors
/// If the file cannot be written.
pub fn write_events(path: &Path, network: &Network, record: &Record, replace: Overwrite) -> Result<()> {
    let write = |file: &mut dyn Write| {
        let mut npz = NpzWriter::compressed(Cursor::new(Vec::new()));
        for (node, log) in network.nodes().iter().zip(&record.nodes) {
            let Some(log) = log else { continue };
            let polarity: Vec<i8> = log.polarity.iter().map(|&polarity| polarity as i8).collect();
            column(&mut npz, &node.name, "t_pre", &log.t_pre)?;
            column(&mut npz, &node.name, "t_rqst", &log.t_rqst)?;
            column(&mut npz, &node.name, "t_ack", &log.t_ack)?;
            column(&mut npz, &node.name, "x", &log.x)?;
            column(&mut npz, &node.name, "y", &log.y)?;
            column(&mut npz, &node.name, "polarity", &polarity)?;
            if !log.value.is_empty() {
                column(&mut npz, &node.name, "value", &log.value)?;
            }
        }
        file.write_all(&npz.finish()?.into_inner())
    };
    atomic_write::write_file(path, replace, write).map_err(report)
}

fn column<T: Element>(npz: &mut Npz, node: &str, name: &str, values: &[T]) -> io::Result<()> {
    npz.add(&format!("{node}/{name}"), &aview1(values))
}
