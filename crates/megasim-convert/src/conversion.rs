//! The whole way from a trained network and its data to a converted network, with what there is to say about it.

mod warning;

pub use super::input_ranges::largest;
pub use warning::Warning;

use super::adapt::{Adapted, adapt};
use super::calibrate::{self, Target};
use super::checkpoint::{self, Checkpoints, NormalizationSet};
use super::diagnose;
use super::manifest::{Accuracy, CalibrationMode, Presentation, PresentationError};
use super::parsed::{LayerKind, ParsedModel};
use super::samples::{Samples, Watched};
use super::scales::Scales;
use super::settings::{self, NeuronFile};
use super::{
    ConvertOptions, ConvertedModel, Normalized, OutputForm, Precision, Weighting, finish, input_code, normalize, parse,
    save,
};
use megasim_ann::forward::{self, WrongBatch};
use megasim_ann::graph::{Activation, Graph, GraphError, Operation};
use megasim_ann::import::Model;
use megasim_core::control::Control;
use megasim_core::engine::Mode;
use megasim_data::{self as dataset, Dataset, Format, NORMALIZATION_SAMPLES};
use ndarray::{Array1, Array2, ArrayView2, s};
use std::cell::Cell;
use std::path::PathBuf;

/// Percentage points of the accuracy that integers may cost without a warning.
const MOST_LOST: f64 = 5.0;

/// The largest scaling factor of networks with levels.
const LARGEST_POWER: f64 = 16_777_216.0;

/// Samples of the normalisation set that a conversion gives back.
const FIRST_SAMPLES: usize = 200;

/// Why a trained network could not be converted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The data cannot be read, or do not fit the network.
    #[error(transparent)]
    Data(#[from] dataset::Error),
    /// The network cannot be parsed, normalised or emitted.
    #[error(transparent)]
    Convert(#[from] super::Error),
    /// A step cannot be kept, or gone on from.
    #[error(transparent)]
    Checkpoint(#[from] checkpoint::Error),
    /// The presentation has no code.
    #[error(transparent)]
    Presentation(#[from] PresentationError),
    /// Rates over the normalisation set cannot be had.
    #[error(transparent)]
    Activity(#[from] normalize::Error),
    /// The trained network does not take the samples.
    #[error(transparent)]
    Batch(#[from] WrongBatch),
    /// Weights that are not numbers.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// A parameter or equations that modules cannot have.
    #[error(transparent)]
    Setting(#[from] settings::Error),
    /// The manifest cannot be made.
    #[error(transparent)]
    Save(#[from] save::Error),
}

/// Converts trained networks.
pub trait Convert {
    /// Converts to a spiking network. `data` holds the samples to normalise with, and test samples.
    ///
    /// ```
    /// use megasim_ann::import::Model;
    /// use megasim_convert::{Convert, ConvertOptions};
    /// use megasim_data::Dataset;
    /// # std::env::set_current_dir("../..")?;
    ///
    /// let model = Model::open("examples/digits/digits_cnn.keras")?;
    /// let data = Dataset::open("examples/digits".as_ref())?;
    /// let converted = model.convert(&data, &ConvertOptions::new().percentile(99.9))?;
    /// assert_eq!(converted.classes(), 10);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If a layer has no spiking form, if the data do not fit, if a number does not fit the netfiles.
    fn convert(&self, data: &Dataset, options: &ConvertOptions) -> Result<ConvertedModel, Error> {
        Ok(self.convert_with(data, options, &Checkpoints::default(), &())?.converted)
    }

    /// As [`Convert::convert`], with checkpoints and progress, and with all that there is to say of the conversion.
    ///
    /// # Errors
    /// As there; if a checkpoint cannot be read or written; where `control` cancels, which it is asked before each
    /// piece of the normalisation set and each sample of calibration.
    fn convert_with(
        &self,
        data: &Dataset,
        options: &ConvertOptions,
        checkpoints: &Checkpoints,
        control: &dyn Control,
    ) -> Result<Conversion, Error>;
}

/// A converted network, and what there is to say of its conversion.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Conversion {
    /// The network.
    pub converted: ConvertedModel,
    /// Its layers with normalised weights, for exports.
    pub normalized: Normalized,
    /// The scales of its layers.
    pub scales: Scales,
    /// Accuracy of the analog network after each step.
    pub stages: Stages,
    /// What the samples decided: the scale of the input, and how the outputs become spikes.
    pub adapted: Adapted,
    /// What will not do well as spikes.
    pub warnings: Vec<Warning>,
    /// The files that decided the result.
    pub inputs: Vec<PathBuf>,
    /// The first 200 samples that the network was normalised with, `(samples, numbers)`, to be run as spikes; only
    /// where the conversion is made for a presentation.
    pub first_samples: Option<Array2<f32>>,
}

/// Accuracy of the analog network after each step of a conversion.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Stages {
    /// Test samples; 0 where there are none, and then no steps.
    pub samples: usize,
    /// Names of the steps, and accuracies.
    pub steps: Vec<(&'static str, f64)>,
}

impl Stages {
    fn parsed(
        &mut self,
        name: &'static str,
        parsed: &ParsedModel,
        test: Option<&dataset::Samples>,
    ) -> Result<(), Error> {
        let Some(test) = test else { return Ok(()) };
        let (graph, _) = parsed.graph()?;
        self.add(name, &graph, parsed.addressed(test.x.view()).view(), &test.y)
    }

    fn add(&mut self, name: &'static str, graph: &Graph, x: ArrayView2<f32>, labels: &[usize]) -> Result<(), Error> {
        let outputs = forward::forward(graph, x)?;
        let classes = forward::classes(outputs.view());
        let right = classes.iter().zip(labels).filter(|(found, label)| found == label).count();
        self.steps.push((name, right as f64 / labels.len().max(1) as f64));
        Ok(())
    }

    /// What rounding the weights costs, where it is much.
    fn loss(&self, precision: Precision) -> Option<Warning> {
        let (&(_, before), &(_, after)) = (self.steps.first()?, self.steps.last()?);
        (100.0 * (before - after) > MOST_LOST).then_some(Warning::Loss { precision, before, after })
    }
}

impl Convert for Model {
    fn convert_with(
        &self,
        data: &Dataset,
        options: &ConvertOptions,
        checkpoints: &Checkpoints,
        control: &dyn Control,
    ) -> Result<Conversion, Error> {
        run(self, data, options, checkpoints, None, control)
    }
}

/// Converts once more with other options, as [`Convert::convert_with`] does; only the accuracies of its steps are those
/// of at most as many test samples as there are samples to normalise with.
///
/// # Errors
/// As there.
pub fn again(
    model: &Model,
    data: &Dataset,
    options: &ConvertOptions,
    control: &dyn Control,
) -> Result<Conversion, Error> {
    run(model, data, options, &Checkpoints::default(), Some(NORMALIZATION_SAMPLES), control)
}

/// Adds a constant to the bias of every neuron, as a constant current does.
fn with_offset(mut normalized: Normalized, offset: f32) -> Normalized {
    if offset == 0.0 {
        return normalized;
    }
    for layer in &mut normalized.parsed.layers {
        let channels = layer.shape.channels();
        if let LayerKind::Population { bias, .. } = &mut layer.operation {
            *bias = Some(bias.take().unwrap_or_else(|| Array1::zeros(channels)) + offset);
        }
    }
    normalized
}

/// Converts; accuracies of the steps are those of at most `most` test samples, and not more than the options say.
fn run(
    model: &Model,
    data: &Dataset,
    options: &ConvertOptions,
    checkpoints: &Checkpoints,
    most: Option<usize>,
    control: &dyn Control,
) -> Result<Conversion, Error> {
    let format = Format { shape: model.input_shape(), classes: model.classes() };
    let form = model.input_form();
    let data = &data.clone().for_input(form);
    let from_data = options.looks_at_activations();
    let calibrates = options.presentation.as_ref().is_some_and(|presentation| presentation.calibration.is_some());
    let pieces = (from_data || calibrates).then(|| data.normalization_pieces(&format)).transpose()?;
    let most = options.test_samples.get().min(most.unwrap_or(usize::MAX));
    let has_test = data.has_test() && data.has_labels();
    let test = has_test.then(|| data.test(&format, 0, Some(most))).transpose()?;
    // Other weightings look at no data; rates are looked at on test samples then, and samples of a set without any are
    // those to normalise with.
    let all;
    let shown = match &test {
        Some(test) => test.x.view(),
        None => {
            all = data.normalization(&format)?;
            all.view()
        }
    };
    let first = shown.slice(s![..NORMALIZATION_SAMPLES.min(shown.nrows()), ..]);
    let watched = match &pieces {
        Some(pieces) => Watched::new(pieces, control),
        None => Watched::new(&first, control),
    };
    let mut options = options.clone();
    let decides = options.adapt_output && options.output == OutputForm::Relu && from_data;
    let (mut adapted, ranges) = adapt(&model.graph, form.scaling, &watched, decides)?;
    if decides {
        (options.output, options.logit_shift) = (adapted.output, adapted.logit_shift);
    }
    input_code::decide(&model.graph, &watched, &ranges, &mut options, &mut adapted)?;
    let (scale, features) = (adapted.input_scale as f32, adapted.input_features.as_ref());
    let mut warnings = Vec::new();
    if let Some(test) = &test {
        warnings.extend(Warning::of_samples("test samples", test.x.view(), scale, features, form.scaling));
    }
    if features.is_none() {
        warnings.extend(Warning::of_values("normalisation samples", adapted.largest, scale, form.scaling));
    }

    let mut stages = Stages { samples: test.as_ref().map_or(0, |test| test.y.len()), steps: Vec::new() };
    if let Some(test) = &test {
        stages.add("as read", &model.graph, test.x.view(), &test.y)?;
    }
    let counted = model.graph.layers().iter().any(|layer| has_counts(&layer.operation));
    let parsed = checkpoints.parse(&model.source, &options, counted, || Ok(parse(&model.graph, &options)?))?;
    if parsed.has_levels() {
        with_levels(&mut options, &parsed);
    }
    if let (Some(presentation), Some(duration)) =
        (&mut options.presentation, options.rules.code.fixed_duration(&parsed))
    {
        presentation.duration = duration;
    }
    let options = &options;
    stages.parsed("parsed", &parsed, test.as_ref())?;
    let samples = watched.count();
    control.start("normalising", 3 * samples);
    let done = Cell::new(0);
    let up_to = |n: usize| {
        let before = done.replace(n.max(done.get()));
        control.done(n.saturating_sub(before));
    };
    let set = NormalizationSet { samples: &watched, files: data.normalization_files() };
    let normalized = checkpoints.normalise(&model.source, options, &set, parsed, &mut |n| up_to(n))?;
    let computed = normalized.computed(options);
    let activity = diagnose::activity(&computed, &watched, &mut |n| up_to(2 * samples + n));
    let activity = activity?;
    let by_percentiles = options.scales.is_none() && options.rules.weighting.needs_data();
    // Scales of least squared error cut off the largest rates where that makes the others finer.
    let cuts_off = options.scales.is_none() && matches!(options.rules.weighting, Weighting::LeastSquares { .. });
    let is_meant = |warning: &Warning| cuts_off && matches!(warning, Warning::Saturating { .. });
    warnings.extend(
        warning::layers(&normalized, &activity, samples, by_percentiles).into_iter().filter(|it| !is_meant(it)),
    );
    stages.parsed("normalised", &computed, test.as_ref())?;
    let scales = Scales::new(&model.source.sha256, &normalized);
    let options = &with_room(&normalized, options)?;
    let mut presentation = options.presentation.clone();
    let normalized = match &mut presentation {
        Some(presentation) => calibrated(normalized, options, presentation, &watched, control)?,
        None => normalized,
    };
    let normalized = with_offset(normalized, options.rules.offset as f32);
    let mut converted = finish(normalized, options)?;
    let integers = options.quantization.truncated(&converted.normalized.parsed);
    let integers = Normalized { parsed: integers, ..converted.normalized.clone() }.computed(options);
    stages.parsed("as integers", &integers, test.as_ref())?;
    warnings.extend(stages.loss(options.precision));
    warnings.extend(warning::growth(&converted, options, &activity));
    NeuronFile::apply(&options.neurons, &mut converted.emitted.network)?;
    options.settings.iter().try_for_each(|setting| setting.apply(&mut converted.emitted.network))?;

    let mut manifest = converted.manifest(&model.source, options, if from_data { samples } else { 0 })?;
    manifest.analog = stages.steps.first().map(|&(_, accuracy)| Accuracy { samples: stages.samples, accuracy });
    let numbers = converted.normalized.parsed.input.len();
    let first_samples = presentation.is_some().then(|| calibrate::first_samples(&watched, numbers, FIRST_SAMPLES));
    let first_samples = first_samples.transpose()?;
    manifest.presentation = presentation;
    let standardisation = data.standardisation(&format)?;
    manifest.input.standardised = standardisation.is_some();
    let mut inputs = vec![model.source.path.clone()];
    inputs.extend(model.source.companions.iter().map(|companion| companion.path.clone()));
    inputs.extend(checkpoints.inputs());
    inputs.extend(from_data.then(|| data.normalization_files()).into_iter().flatten());
    inputs.extend(data.test_files());
    inputs.extend(options.neurons.iter().map(|neurons| neurons.path().to_path_buf()));
    inputs.dedup();
    let (mut converted, normalized) = converted.into_model(manifest, model.clone(), &shown.row(0).to_vec())?;
    converted.standardisation = standardisation;
    Ok(Conversion { converted, normalized, scales, stages, adapted, warnings, inputs, first_samples })
}

/// Whether counts of neurons with this activation may have levels or a maximum.
fn has_counts(operation: &Operation) -> bool {
    use Activation::{ClampedRelu, Quantized, Relu};
    matches!(
        operation,
        Operation::Activation(Quantized(_) | Relu { max: Some(_), .. } | ClampedRelu { max: Some(_), .. })
    )
}

/// The options for neurons that have the levels of quantised activations, where they are left open: their counts are
/// exact already, averages that pass spikes on do not round, and powers of two keep weights on a grid of them.
fn with_levels(options: &mut ConvertOptions, parsed: &ParsedModel) {
    if options.adapt_calibration
        && let Some(presentation) = &mut options.presentation
    {
        presentation.calibration = None;
    }
    options.quantization.relays |= options.adapt_pool && parsed.averages_can_pass_spikes();
    if options.adapt_factor {
        options.quantization.scaling_factor = LARGEST_POWER;
    }
}

/// The options with a scaling factor at which no potential leaves 32 bits, where they leave it open: one digit, and
/// somewhat less than the largest, since calibration changes biases.
fn with_room(normalized: &Normalized, options: &ConvertOptions) -> Result<ConvertOptions, Error> {
    let mut options = options.clone();
    let by_powers = normalized.parsed.has_levels();
    while options.adapt_factor {
        match finish(normalized.clone(), &options) {
            Err(super::Error::Emit(super::emit::Error::Room { fits, .. })) if by_powers && fits > 2.0 => {
                options.quantization.scaling_factor = fits.log2().floor().exp2();
            }
            Err(super::Error::Emit(super::emit::Error::Overflow(_)))
                if by_powers && options.quantization.scaling_factor > 2.0 =>
            {
                options.quantization.scaling_factor /= 2.0;
            }
            Err(super::Error::Emit(super::emit::Error::Room { fits, .. })) if fits > 2.0 => {
                let digit = 10f64.powf((fits / 1.25).log10().floor());
                options.quantization.scaling_factor = (fits / 1.25 / digit).floor() * digit;
            }
            // What else is wrong is reported where the network is made.
            _ => break,
        }
    }
    Ok(options)
}

/// Corrects a network by the spikes of its presentation, as that asks for.
fn calibrated(
    normalized: Normalized,
    options: &ConvertOptions,
    presentation: &mut Presentation,
    samples: &dyn Samples,
    control: &dyn Control,
) -> Result<Normalized, Error> {
    let (code, clock) = (presentation.code()?, presentation.clock());
    let Some(calibration) = &mut presentation.calibration else { return Ok(normalized) };
    let samples = calibrate::first_samples(samples, normalized.parsed.input.len(), calibration.samples)?;
    calibration.samples = samples.nrows();
    let mode = match calibration.mode {
        CalibrationMode::Event => Mode::Event,
        // Counts of signed neurons do not depend on the width of steps, and wide ones are faster.
        CalibrationMode::Clocked if options.quantization.signed.is_some() => {
            Mode::Clocked { dt: clock.ticks_per_ms.into() }
        }
        CalibrationMode::Clocked => Mode::Clocked { dt: 1 },
    };
    let target = Target { code: code.as_ref(), clock, mode };
    control.start("calibrating", normalized.parsed.layers.len());
    Ok(calibrate::calibrate(normalized, options, samples.view(), &target, calibration.correction, control)?)
}
