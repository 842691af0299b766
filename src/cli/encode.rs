//! `megasim encode`: samples become stimulus files.

use super::diagnostic::{self, report};
use super::input;
use super::numbers::{count, input_rate};
use super::paths::Paths;
use super::presentation::code_help;
use super::provenance;
use super::recordings::RecordingArguments;
use super::tables::counted;
use clap::Args;
use megasim::atomic_write::{self, Overwrite};
use megasim::dataset::recording::Recording;
use megasim::dataset::{Dataset, Format};
use megasim::encode::registry::{Choice, Common};
use megasim::encode::{Clock, DEFAULT_INPUT_RATE, DEFAULT_TICKS_PER_MS, EncodeBuffers, InputMap, SampleKind};
use megasim::netfile;
use megasim::network::{NetworkBuilder, Stimulus, Tick};
use miette::Result;
use ndarray::Array2;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Write test samples or an event recording as stimulus files
#[derive(Debug, Args)]
pub struct Arguments {
    /// Test data as other commands take with --data, but for lists of pictures; or an event recording: AEDAT 2.0, 3.1
    /// or 4, .bin of N-MNIST and N-Caltech101, .csv
    data: PathBuf,
    /// How pixels become spikes (--help lists the codes); parameters as in 'pso:max_f=100,k=8'
    #[arg(long, value_name = "CODE", default_value = "regular", long_help = code_help())]
    encode: Choice,
    /// The stimulus file; with several maps FILE_0.stim, FILE_1.stim, ...
    #[arg(long, value_name = "FILE.stim")]
    out: PathBuf,
    /// A netfile directory that 'megasim convert' wrote: addresses are those of its input, and code, duration and ticks
    /// per ms are those that it was converted for, unless given. Without it pictures keep their rows and columns, with
    /// the channels last where the last axis is 4 or less, and anything else is one row
    #[arg(long, value_name = "NETDIR")]
    netdir: Option<PathBuf>,
    /// The first axis of a sample is time, as delta code needs it
    #[arg(long, conflicts_with = "netdir")]
    frames: bool,
    /// How many test samples, one after the other
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    samples: u64,
    /// Leave out the first N test samples
    #[arg(long, value_name = "N", default_value_t = 0)]
    skip: u64,
    /// How long each sample is shown, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    duration: u32,
    /// Spikes per second of a white pixel, in regular and poisson code
    #[arg(
        long,
        value_name = "HZ",
        default_value_t = DEFAULT_INPUT_RATE,
        value_parser = input_rate,
        allow_negative_numbers = true,
    )]
    input_rate: f64,
    /// Ticks per millisecond
    #[arg(
        long,
        value_name = "N",
        default_value_t = DEFAULT_TICKS_PER_MS,
        value_parser = clap::value_parser!(u32).range(1..=1_000_000),
    )]
    ticks_per_ms: u32,
    /// Seed of random spikes
    #[arg(long, value_name = "S", default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    recording: RecordingArguments,
    /// Replace existing files
    #[arg(long)]
    force: bool,
}

/// Whether the data are an event recording, not samples.
pub fn is_recording(data: &Path) -> bool {
    data.is_file() && !Dataset::is_array_file(data)
}

/// Writes an event recording.
fn run_recording(arguments: &Arguments) -> Result<()> {
    let recording = Recording::read(&arguments.data).map_err(report)?;
    let selection = arguments.recording.selection(arguments.ticks_per_ms);
    let stimuli = selection.stimuli(&recording);
    let (width, height) = selection.size(&recording);
    let mut parameters = arguments.recording.parameters();
    parameters["ticks_per_ms"] = json!(arguments.ticks_per_ms);
    let spikes: usize = stimuli.iter().map(Stimulus::len).sum();
    let of = format!("{spikes} of {} events, {width} x {height}", recording.events.len());
    write(arguments, &stimuli, std::slice::from_ref(&arguments.data), parameters, &of)
}

/// Samples, where their numbers go, and the sources that carry them.
struct Samples {
    x: Array2<f32>,
    layout: InputMap,
    sources: Vec<usize>,
}

/// Encodes and writes.
pub fn run(arguments: &Arguments) -> Result<()> {
    let outputs = Paths::default().files([&arguments.out]);
    if is_recording(&arguments.data) {
        outputs.inputs([&arguments.data]).check()?;
        return run_recording(arguments);
    }
    outputs.inputs(&arguments.netdir).data([&arguments.data]).check()?;
    let clock = Clock { duration: arguments.duration, ticks_per_ms: arguments.ticks_per_ms };
    let common = Common { input_rate: arguments.input_rate, seed: arguments.seed };
    let code = arguments.encode.code(&common, clock).map_err(|error| diagnostic::code(&error))?;
    if code.is_current() {
        miette::bail!(
            "current code has no spikes to write; 'megasim classify --encode current' puts currents into the network"
        );
    }
    let dataset = Dataset::open(&arguments.data).map_err(report)?;
    let (skip, samples) = (count(arguments.skip), count(arguments.samples));
    let Samples { x, layout, sources } = match &arguments.netdir {
        Some(netdir) => of_network(netdir, &dataset, skip, samples)?,
        None => as_stored(&dataset, skip, samples, arguments.frames)?,
    };
    free(arguments, sources.len())?;
    let mut encoder = EncodeBuffers::default();
    let kind = if arguments.frames { SampleKind::Frames } else { SampleKind::Still };
    let mut stimuli = vec![Stimulus::new(); sources.len()];
    for (k, values) in x.rows().into_iter().enumerate() {
        let first = k as Tick * clock.ticks();
        let (values, sample) = (values.to_vec(), (skip + k) as u64);
        let encoded = encoder.encode(&layout, code.as_ref(), kind, &values, sample, clock).map_err(report)?;
        for (stimulus, &source) in stimuli.iter_mut().zip(&sources) {
            stimulus.append(&encoded[source], first);
        }
    }
    let mut inputs = dataset.test_files();
    inputs.extend(arguments.netdir.clone());
    inputs.extend(arguments.encode.file().map(Path::to_path_buf));
    let parameters = json!({
        "encode": arguments.encode.to_string(),
        "frames": arguments.frames,
        "samples": x.nrows(),
        "skip": arguments.skip,
        "duration": arguments.duration,
        "input_rate": arguments.input_rate,
        "ticks_per_ms": arguments.ticks_per_ms,
    });
    let spikes: usize = stimuli.iter().map(Stimulus::len).sum();
    let of = format!(
        "{} of {}, {} each",
        counted(spikes as u64, "spike"),
        counted(x.nrows() as u64, "sample"),
        counted(clock.ticks().unsigned_abs(), "tick")
    );
    write(arguments, &stimuli, &inputs, parameters, &of)
}

/// Refuses, before the work, results that would replace others.
fn free(arguments: &Arguments, maps: usize) -> Result<()> {
    let replace = Overwrite::from_flag(arguments.force);
    paths(&arguments.out, maps).iter().try_for_each(|path| atomic_write::check_file(path, replace)).map_err(report)
}

/// Writes a file a map, the record next to them, and says what they hold.
fn write(arguments: &Arguments, stimuli: &[Stimulus], inputs: &[PathBuf], parameters: Value, what: &str) -> Result<()> {
    free(arguments, stimuli.len())?;
    let replace = Overwrite::from_flag(arguments.force);
    let paths = paths(&arguments.out, stimuli.len());
    for (path, stimulus) in paths.iter().zip(stimuli) {
        atomic_write::write_file(path, replace, |file| netfile::write_stimulus(stimulus, file)).map_err(report)?;
    }
    let results: Vec<&Path> = paths.iter().map(PathBuf::as_path).collect();
    let inputs: Vec<&Path> = inputs.iter().map(PathBuf::as_path).collect();
    provenance::write_beside(&results, &inputs, Some(arguments.seed), parameters).map_err(report)?;
    let paths: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
    super::answer(&format!("{what} in {}.", paths.join(", ")));
    Ok(())
}

/// Samples in the order of a converted network's input.
fn of_network(netdir: &Path, dataset: &Dataset, skip: usize, samples: usize) -> Result<Samples> {
    let converted = input::open(netdir)?;
    let network = converted.network();
    let format = Format { shape: converted.input_shape(), classes: converted.classes() };
    let dataset = converted.data(dataset);
    let x = dataset.test(&format, skip, Some(samples)).map_err(report)?.x;
    let nodes = converted.layout().nodes(network);
    let source = |node| network.sources().iter().position(|&source| source == node);
    let sources = nodes.filter_map(source).collect();
    Ok(Samples { x, layout: converted.layout().clone(), sources })
}

/// Samples as they are stored.
fn as_stored(dataset: &Dataset, skip: usize, samples: usize, frames: bool) -> Result<Samples> {
    let (mut shape, x) = dataset.test_as_stored(skip, Some(samples)).map_err(report)?;
    if frames {
        if shape.len() < 2 {
            miette::bail!(
                "{}: expected samples with an axis of time, found shape {shape:?}",
                dataset.directory().display()
            );
        }
        shape.remove(0);
    }
    let (shape, order) = match shape[..] {
        [height, width] => (vec![1, height, width], None),
        [height, width, channels] if channels <= 4 => {
            let cells = height * width;
            let order = (0..channels).flat_map(|c| (0..cells).map(move |cell| cell * channels + c)).collect();
            (vec![channels, height, width], Some(order))
        }
        [channels, height, width] => (vec![channels, height, width], None),
        _ => (vec![shape.iter().product()], None),
    };
    let maps = if shape.len() == 3 { shape[0] } else { 1 };
    let mut builder = NetworkBuilder::new();
    let nodes: Vec<String> = (0..maps).map(|map| format!("input_{map}")).collect();
    nodes.iter().try_for_each(|node| builder.source(node).map(drop)).map_err(report)?;
    let network = builder.build(0).map_err(report)?;
    let layout = InputMap::new(&network, &shape, &nodes, order, None).map_err(report)?;
    Ok(Samples { x, layout, sources: (0..maps).collect() })
}

/// The file, or one for each map.
fn paths(out: &Path, maps: usize) -> Vec<PathBuf> {
    if maps == 1 {
        return vec![out.into()];
    }
    let stem = out.file_stem().unwrap_or_default().to_string_lossy();
    (0..maps).map(|map| out.with_file_name(format!("{stem}_{map}.stim"))).collect()
}
