//! What the samples of a data directory are: numbers, sequences of frames, or event recordings.

use super::data::SplitArguments;
use super::diagnostic::report;
use super::output;
use super::presentation::Presentation;
use super::recordings::RecordingArguments;
use clap::Args;
use megasim::ann::nir::{SpikeTrains, is_nir};
use megasim::convert::{ConvertedModel, LabelledSamples, Manifest};
use megasim::dataset::recording::Recordings;
use megasim::dataset::{self, Dataset, Format};
use megasim::encode::Clock;
use megasim::network::Tick;
use miette::{Result, bail, miette};
use ndarray::ArrayView2;
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};

/// What is taken of a data directory.
#[derive(Debug, Clone, Args)]
pub struct SampleArguments {
    #[command(flatten)]
    split: SplitArguments,
    /// Samples are sequences of frames, axes (sample, frame, ...), which share the presentation; as delta code is for
    #[arg(long)]
    frames: bool,
    #[command(flatten)]
    recording: RecordingArguments,
}

/// Samples, and the files and directories that they come from.
#[derive(Debug)]
pub struct Read {
    /// The samples.
    pub samples: LabelledSamples,
    /// What was read.
    pub inputs: Vec<PathBuf>,
}

impl SampleArguments {
    /// Samples that this is taken of.
    pub fn new(split: SplitArguments, frames: bool, recording: RecordingArguments) -> Self {
        Self { split, frames, recording }
    }

    /// The recordings of a directory, where it has some that the presentation goes with.
    ///
    /// # Errors
    /// If they cannot be read, or if options do not go with them or with frames.
    pub fn recordings(&self, netdir: &Path, data: &Path, presentation: &Presentation) -> Result<Option<Recordings>> {
        let recordings = Recordings::find(data).map_err(report)?;
        let code = presentation.code_name();
        // The code of the netfiles is the default, and recordings take its place.
        let is_default = code == "regular" || Manifest::read(netdir).is_ok_and(|manifest| manifest.encode() == code);
        if recordings.is_some() && !is_default {
            bail!("--encode: recordings are spikes already, found {code}");
        }
        self.expect_no_frames(recordings.as_ref())?;
        if self.frames && presentation.code()?.is_current() {
            bail!(
                "--frames: expected a code that makes spikes, found currents, which are one set of numbers per sample"
            );
        }
        Ok(recordings)
    }

    /// Reads the samples for a network, which runs them in event mode or in clocked steps of these ticks; prints what
    /// will not do well.
    ///
    /// # Errors
    /// If they, or the steps, do not fit the network.
    pub fn read(
        &self,
        converted: &ConvertedModel,
        (data, labels): (&Path, Option<&PathBuf>),
        recordings: Option<&Recordings>,
        presentation: &Presentation,
        steps: &[Tick],
    ) -> Result<Read> {
        let wanted = presentation.wanted();
        let code = converted.manifest().conversion.rules.code;
        if !code.is_rate() && (is_nir(data) || recordings.is_some() || self.frames) {
            bail!("{}: expected pictures or arrays, as the network has the spike code {code}", data.display());
        }
        for &dt in steps {
            let checked = converted.check_presentation(presentation.clock(), &presentation.encode, dt);
            checked.map_err(|message| miette!("{message}"))?;
        }
        if is_nir(data) {
            let clock = presentation.clock();
            warn_of_ticks(converted, clock);
            let trains = SpikeTrains::open(data).map_err(report)?;
            let all = |path| dataset::labels(path, converted.classes(), 0, None).map_err(report);
            let classes = labels.map(|path| all(path)).transpose()?;
            let classes = classes.as_deref();
            let read = |skip, most| LabelledSamples::spike_trains(converted, &trains, classes, clock, skip, most);
            let inputs = std::iter::once(data.to_path_buf()).chain(labels.cloned()).collect();
            return Ok(Read { samples: wanted.read(read)?, inputs });
        }
        if let Some(set) = recordings {
            let clock = presentation.clock();
            warn_of_ticks(converted, clock);
            let selection = self.recording.selection(clock.ticks_per_ms);
            let read = |skip, most| LabelledSamples::recordings(converted, set, &selection, clock, skip, most);
            return Ok(Read { samples: wanted.read(read)?, inputs: set.files().to_vec() });
        }
        let data = self.split.open(data, labels)?;
        warn_of_presentation(converted, presentation);
        let samples = match self.frames {
            true => wanted.read(|skip, most| LabelledSamples::test_frames(converted, &data, skip, most))?,
            false => wanted.read(|skip, most| LabelledSamples::test(converted, &data, skip, most))?,
        };
        warn_of_samples(converted, samples.values(), if self.frames { "frames" } else { "test samples" });
        Ok(Read { samples, inputs: data.test_files() })
    }

    /// The data of a conversion: numbers as they are, the means of frames, or the rates of recordings over `duration`
    /// milliseconds, times `scale`; and the files and directories that a record has to name besides those of the data.
    ///
    /// # Errors
    /// If they cannot be read, or do not fit the network.
    pub fn dataset(
        &self,
        (data, labels): (&Path, Option<&PathBuf>),
        format: &Format,
        form: impl FnOnce(Dataset) -> Dataset,
        (duration, scale): (u32, f64),
    ) -> Result<ConversionData> {
        let recordings = Recordings::find(data).map_err(report)?;
        self.expect_no_frames(recordings.as_ref())?;
        if let Some(test) = recordings {
            let train = Recordings::find_in(data, "train").map_err(report)?;
            // Ticks only matter to spikes.
            let selection = self.recording.selection(1000);
            let sets = [train.as_ref().unwrap_or(&test), &test];
            let inputs = sets.into_iter().flat_map(|set| set.files().iter().cloned()).collect();
            let dataset = LabelledSamples::rates(format, sets, &selection, (duration, scale)).map_err(report)?;
            let parameters = self.made_of(true);
            return Ok(ConversionData { dataset, inputs, of_recordings: true, parameters });
        }
        let dataset = self.split.open(data, labels)?;
        if !self.frames {
            return Ok(ConversionData::of(dataset));
        }
        let dataset = form(dataset);
        let inputs = dataset.normalization_files().into_iter().chain(dataset.test_files()).collect();
        let dataset = dataset.means_of_frames(format).map_err(report)?;
        Ok(ConversionData { inputs, parameters: self.made_of(false), ..ConversionData::of(dataset) })
    }

    /// Recordings are no sequences of frames.
    fn expect_no_frames(&self, recordings: Option<&Recordings>) -> Result<()> {
        if self.frames && recordings.is_some() {
            bail!("--frames: expected arrays with sequences of frames, found recordings");
        }
        Ok(())
    }

    /// What the record of a conversion says of its data.
    fn made_of(&self, has_recordings: bool) -> Map<String, Value> {
        let mut parameters = json!({});
        self.parameters(has_recordings, &mut parameters);
        if let Value::Object(parameters) = parameters { parameters } else { Map::new() }
    }

    /// Adds what the record of a run says.
    pub fn parameters(&self, has_recordings: bool, parameters: &mut Value) {
        self.split.parameters(parameters);
        if self.frames {
            parameters["frames"] = json!(true);
        }
        if has_recordings {
            parameters["recordings"] = self.recording.parameters();
        }
    }
}

/// The data of a conversion.
#[derive(Debug)]
pub struct ConversionData {
    /// Samples to normalise with, and test samples.
    pub dataset: Dataset,
    /// What they were made of, where the data set does not say it.
    pub inputs: Vec<PathBuf>,
    /// Whether values are rates of spikes, so that one per millisecond has to count as one.
    pub of_recordings: bool,
    /// What the record of a run says of how they were made.
    pub parameters: Map<String, Value>,
}

impl ConversionData {
    /// Data as they are.
    pub fn of(dataset: Dataset) -> Self {
        Self { dataset, inputs: Vec::new(), of_recordings: false, parameters: Map::new() }
    }
}

/// Warns, before a run, of ticks that are not those of the conversion, and of neurons that would fire more often
/// than ticks carry.
pub fn warn_of_ticks(converted: &ConvertedModel, clock: Clock) {
    converted.clock_warnings(clock).for_each(output::warn);
}

/// Warns, before a run, of ticks as [`warn_of_ticks`], and of what the network was not made for.
pub fn warn_of_presentation(converted: &ConvertedModel, presentation: &Presentation) {
    warn_of_ticks(converted, presentation.clock());
    converted.presentation_warnings(presentation.duration, &presentation.encode).for_each(output::warn);
}

/// Prints a warning where values are beyond what an input can fire, or not what the network expects.
pub fn warn_of_samples(converted: &ConvertedModel, values: ArrayView2<f32>, what: &'static str) {
    converted.values_warning(what, values).iter().for_each(output::warn);
}
