//! The input of studies: a converted network with its test data, or a schematic with its own stimuli.

use super::diagnostic::{self, report};
use super::presentation::{Presentation, Wanted};
use super::samples::{SampleArguments, warn_of_samples};
use super::{output, run};
use clap::Args;
use megasim::ann::import::ReadOptions;
use megasim::convert::{ConvertedModel, LabelledSamples, converted_model};
use megasim::dataset::recording::Recordings;
use megasim::dataset::{self, Dataset, InputForm, InputScaling};
use megasim::netfile::Netfiles;
use megasim::network::{Network, Tick};
use megasim::report::chart::Extent;
use megasim::study::sample_source::Segments;
use miette::{Result, bail};
use ndarray::{ArrayView2, s};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// The arguments that name a network and its samples.
#[derive(Debug, Clone, Args)]
pub struct InputArgs {
    /// Netfile directory that 'megasim convert' wrote, or a schematic (.sch)
    pub subject: PathBuf,
    /// Directory or file of test data; not for a schematic
    #[arg(long, value_name = "DATA")]
    pub data: Option<PathBuf>,
    /// Class of each sample: of a schematic's stimuli, or in place of those of the data (.npy, .npz, MNIST's)
    #[arg(long, value_name = "FILE")]
    pub labels: Option<PathBuf>,
    #[command(flatten)]
    pub taken: SampleArguments,
}

/// The input of a study, loaded.
#[derive(Debug)]
pub enum LoadedInput {
    /// A netfile directory that `convert` wrote, with test samples.
    Converted(Box<ConvertedInput>),
    /// A schematic.
    Schematic(Box<SchematicInput>),
}

/// A converted network with test samples.
#[derive(Debug)]
pub struct ConvertedInput {
    /// The network.
    pub converted: ConvertedModel,
    /// Its test samples.
    pub samples: LabelledSamples,
    /// The files and directories that were read.
    pub inputs: Vec<PathBuf>,
}

/// A schematic with samples cut from its own stimuli.
#[derive(Debug, Clone)]
pub struct SchematicInput {
    /// The network.
    pub network: Network,
    /// At least one sample: what comes between resets.
    pub segments: Segments,
    /// There are no resets that would cut the stimuli.
    pub uncut: bool,
    /// The files that were read.
    pub inputs: Vec<PathBuf>,
}

impl LoadedInput {
    /// The files and directories that were read.
    pub fn files(&self) -> &[PathBuf] {
        match self {
            Self::Converted(input) => &input.inputs,
            Self::Schematic(input) => &input.inputs,
        }
    }
}

impl InputArgs {
    /// Whether it is a schematic; else it is a netfile directory.
    pub fn is_schematic(&self) -> bool {
        is_schematic(&self.subject)
    }

    /// Whether the data are event recordings.
    pub fn has_recordings(&self) -> bool {
        // What is wrong with them is reported where they are read.
        self.data.as_ref().is_some_and(|data| !self.is_schematic() && !matches!(Recordings::find(data), Ok(None)))
    }

    /// Adds what the record of a run says of the samples.
    pub fn parameters(&self, parameters: &mut Value) {
        self.taken.parameters(self.has_recordings(), parameters);
    }

    /// Reads network and samples, for event mode or clocked steps of these ticks.
    ///
    /// # Errors
    /// If a file cannot be read, does not fit the others, or is missing; if the network cannot run in such steps.
    pub fn open(&self, presentation: &Presentation, steps: &[Tick]) -> Result<LoadedInput> {
        match &self.data {
            Some(_) if self.is_schematic() => bail!(
                "--data goes with a netfile directory that 'megasim convert' wrote; a schematic has its own stimuli"
            ),
            None if self.is_schematic() => {
                self.open_schematic(presentation).map(|schematic| LoadedInput::Schematic(schematic.into()))
            }
            Some(data) => {
                self.open_converted(data, presentation, steps).map(|converted| LoadedInput::Converted(converted.into()))
            }
            None => bail!(
                "{}: expected --data DIR with test data; a schematic (.sch) would be run on its own stimuli",
                self.subject.display()
            ),
        }
    }

    fn open_converted(&self, data: &Path, presentation: &Presentation, steps: &[Tick]) -> Result<ConvertedInput> {
        let recordings = self.taken.recordings(&self.subject, data, presentation)?;
        let converted = open(&self.subject)?;
        let given = (data, self.labels.as_ref());
        let read = self.taken.read(&converted, given, recordings.as_ref(), presentation, steps)?;
        let mut inputs = vec![self.subject.clone()];
        inputs.extend(read.inputs);
        inputs.extend(presentation.code_file().map(Path::to_path_buf));
        Ok(ConvertedInput { converted, samples: read.samples, inputs })
    }

    fn open_schematic(&self, presentation: &Presentation) -> Result<SchematicInput> {
        let Netfiles { network, stimuli, files, .. } = run::read(&self.subject)?;
        let cut = Segments::cut(&stimuli, network.t_max());
        let uncut = cut.samples.len() <= 1;
        let segments = match presentation.wanted() {
            Wanted::From { skip, most } => cut.select(skip, most),
            Wanted::Listed(list) => cut.listed(list),
        };
        if segments.samples.is_empty() {
            bail!("{}: expected events in its stimuli between resets, found none", self.subject.display());
        }
        let mut inputs = run::input_files(&self.subject, &files);
        inputs.extend(self.labels.clone());
        Ok(SchematicInput { network, segments, uncut, inputs })
    }

    /// The classes of a schematic's samples, where they were given. `classes` is the length of its last layer, where
    /// that is a row.
    ///
    /// # Errors
    /// If there is no such row, or the labels do not fit it or the samples.
    pub fn labels(
        &self,
        presentation: &Presentation,
        segments: &Segments,
        classes: Option<usize>,
    ) -> Result<Option<Vec<usize>>> {
        let Some(path) = &self.labels else { return Ok(None) };
        let Some(classes) = classes else {
            bail!("{}: expected a last layer that is one row of classes, found maps", path.display());
        };
        let n = segments.samples.len();
        let read = |skip, take| dataset::labels(path, classes, skip, Some(take)).map_err(report);
        let Wanted::Listed(list) = presentation.wanted() else {
            return read(segments.numbers.number(0) as usize, n).map(Some);
        };
        let all = read(0, list.numbers().iter().max().map_or(0, |last| last + 1))?;
        Ok(Some((0..n).map_while(|k| all.get(segments.numbers.number(k) as usize).copied()).collect()))
    }
}

/// The network of a netfile directory or schematic.
///
/// # Errors
/// If a file cannot be read.
pub fn read_network(path: &Path) -> Result<Network> {
    if !path.exists() {
        bail!("{}: expected a schematic (.sch) or a netfile directory, found nothing of this name", path.display());
    }
    let schematic = if is_schematic(path) { path.into() } else { path.join("megasim.sch") };
    Ok(run::read(&schematic)?.network)
}

fn is_schematic(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "sch")
}

/// Opens a netfile directory of a conversion, and prints what its netfiles warn of.
///
/// # Errors
/// If a file cannot be read, or does not belong to the others.
pub fn open(netdir: &Path) -> Result<ConvertedModel> {
    let converted = ConvertedModel::open(netdir).map_err(|error| match &error {
        converted_model::Error::Netfile(error) => diagnostic::netfile(error),
        _ => report(error),
    })?;
    for warning in converted.warnings() {
        output::warn(format_args!("{warning}"));
    }
    Ok(converted)
}

/// Test samples; prints a warning where values are beyond what an input can fire.
///
/// # Errors
/// If the data do not fit the network.
pub fn test_samples(converted: &ConvertedModel, data: &Dataset, wanted: Wanted) -> Result<LabelledSamples> {
    let samples = wanted.read(|skip, most| LabelledSamples::test(converted, data, skip, most))?;
    warn_of_samples(converted, samples.values(), "test samples");
    Ok(samples)
}

/// The numbers of a sample (of a sequence, its first frame), in the shape of the input; of vectors as a square, where
/// they can be one.
pub fn picture(converted: &ConvertedModel, values: ArrayView2<f32>, sample: usize) -> (Extent, Vec<f64>) {
    let input = &converted.manifest().input;
    let row = values.slice(s![sample, ..converted.input_shape().len()]);
    if let [maps, ny, nx] = input.shape[..] {
        let value = |k: usize| f64::from(input.order.as_ref().map_or(row[k], |order| row[order[k]]));
        return (Extent { maps, ny, nx }, (0..row.len().min(maps * ny * nx)).map(value).collect());
    }
    let side = row.len().isqrt();
    let (ny, nx) = if side * side == row.len() { (side, side) } else { (1, row.len()) };
    (Extent { maps: 1, ny, nx }, row.iter().map(|&value| f64::from(value)).collect())
}

/// How the numbers of samples become inputs, in words.
pub fn scaling_in_words(form: InputForm, largest: f32) -> String {
    match form.scaling {
        InputScaling::OfTheModel => "0 to 255, scaled by the model".into(),
        InputScaling::Unit if largest > 1.0 => format!("up to {largest}, as stored"),
        InputScaling::Unit => "0 to 1 (bytes are divided by 255)".into(),
    }
}

/// Warns where numbers look like bytes that were stored as floats, which are not divided.
pub fn warn_of_scaling(form: InputForm, largest: f32) {
    if form.scaling == InputScaling::Unit && largest == 255.0 {
        output::warn(
            "the samples are floats up to 255, and are taken as they are; a network that was trained on values from 0 \
             to 1 needs them divided by 255, or stored as bytes (uint8), which are divided",
        );
    }
}

/// What a model file leaves open.
#[derive(Debug, Clone, Default, Args)]
pub struct Reading {
    /// Sizes of one sample, in the order of the model file, where that leaves some open: 1,28,28
    #[arg(long, value_name = "SIZES", value_delimiter = ',')]
    input_shape: Option<Vec<usize>>,
}

impl Reading {
    /// How the model file is to be read.
    pub fn options(&self, architecture: &Option<PathBuf>) -> ReadOptions {
        ReadOptions { architecture: architecture.clone(), input_shape: self.input_shape.clone() }
    }
}
