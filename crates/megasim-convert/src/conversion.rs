//! The whole way from a trained network and its data to a converted network, with what there is to say about it.

use super::adapt::{Adapted, adapt};
use super::calibrate::{self, Target};
use super::checkpoint::{self, Checkpoints, NormalizationSet};
use super::diagnose::{self, Activity, SATURATES, VANISHES};
use super::manifest::{Accuracy, CalibrationMode, Presentation, PresentationError};
use super::parsed::{LayerKind, Parsed, Role};
use super::samples::{Samples, Watched};
use super::scales::Scales;
use super::settings::{self, NeuronFile};
use super::{
    ConvertOptions, Converted, ConvertedModel, Normalized, OutputForm, Precision, Weighting, finish, input_code,
    normalize, parse, save,
};
use megasim_ann::forward::{self, WrongBatch};
use megasim_ann::graph::{Fault, Graph};
use megasim_ann::import::Model;
use megasim_core::control::Control;
use megasim_core::encode::FeatureScales;
use megasim_core::engine::Mode;
use megasim_core::network::Driver;
use megasim_data::{self as dataset, Dataset, Format, InputScaling, NORMALIZATION_SAMPLES};
use ndarray::{Array1, Array2, ArrayView2, s};
use std::cell::Cell;
use std::fmt;
use std::path::PathBuf;

/// Percentage points of the accuracy that integers may cost without a warning.
const MOST_LOST: f64 = 5.0;

/// Times the scale of the input from which values that are cut off are worth a warning.
const BEYOND: f32 = 1.01;

/// Share of values beyond the scales of features that is not worth a warning.
const FEW_BEYOND: f64 = 0.005;

/// Times as many spikes as at a threshold of 1 from which a conversion warns.
const GROWS: f64 = 10.0;

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
    Graph(#[from] Fault),
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
    fn parsed(&mut self, name: &'static str, parsed: &Parsed, test: Option<&dataset::Samples>) -> Result<(), Error> {
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

/// What will not do well as spikes, and what helps.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Warning {
    /// Values are beyond what an input can fire.
    Values {
        /// Which values.
        of: &'static str,
        /// The largest magnitude.
        largest: f32,
        /// What one spike per millisecond stands for.
        scale: f32,
    },
    /// Values of features are beyond what their spikes stand for.
    Features {
        /// Which values.
        of: &'static str,
        /// Share of them.
        share: f64,
    },
    /// The network scales its own input from 0 to 255, and is shown values that were scaled before.
    ScaledTwice {
        /// Which values.
        of: &'static str,
        /// The largest magnitude.
        largest: f32,
    },
    /// No neuron of a layer is ever active.
    Silent {
        /// The layer in the netfiles.
        layer: String,
        /// The source's name of it.
        source: String,
        /// Normalisation samples.
        samples: usize,
    },
    /// Many rates of a layer are beyond one spike per millisecond.
    Saturating {
        /// The layer in the netfiles.
        layer: String,
        /// Share of the rates above 0.
        share: f64,
        /// The largest rate, in spikes per millisecond.
        largest: f64,
        /// Whether scales are percentiles of activations.
        by_percentiles: bool,
    },
    /// Active neurons of a layer seldom fire.
    Vanishing {
        /// The layer in the netfiles.
        layer: String,
        /// Their mean rate, in spikes per millisecond.
        mean: f64,
        /// Whether scales are percentiles of activations.
        by_percentiles: bool,
    },
    /// Weights as integers cost much of the accuracy.
    Loss {
        /// Which numbers the weights are.
        precision: Precision,
        /// Accuracy of the network as it was read.
        before: f64,
        /// Accuracy with integers.
        after: f64,
    },
    /// Thresholds are so low that the spikes of one layer make many in the next.
    Growth {
        /// The threshold.
        threshold: f64,
        /// Spikes per millisecond in all layers.
        spikes: f64,
        /// Spikes per millisecond with a threshold of 1.
        usual: f64,
        /// Spikes per millisecond of one neuron at most.
        most: f64,
    },
}

impl Warning {
    /// Whether values fit the scale of an input, and what a network expects of them.
    pub fn of_values(of: &'static str, largest: f32, scale: f32, scaling: InputScaling) -> Option<Self> {
        if largest > BEYOND * scale {
            return Some(Self::Values { of, largest, scale });
        }
        (scaling == InputScaling::OfTheModel && largest <= 1.0 && largest > 0.0)
            .then_some(Self::ScaledTwice { of, largest })
    }

    /// Whether samples, `(samples, numbers)`, fit the scales of an input.
    pub fn of_samples(
        of: &'static str,
        values: ArrayView2<f32>,
        scale: f32,
        features: Option<&FeatureScales>,
        scaling: InputScaling,
    ) -> Option<Self> {
        let Some(features) = features else { return Self::of_values(of, largest(values), scale, scaling) };
        let numbers = values.ncols();
        let is_beyond = |(number, value): (usize, f32)| features.rate(number, numbers, value).abs() > BEYOND * scale;
        let beyond = values.indexed_iter().filter(|((_, number), value)| is_beyond((*number, **value))).count();
        let share = beyond as f64 / values.len().max(1) as f64;
        (share > FEW_BEYOND).then_some(Self::Features { of, share })
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Values { of, largest, scale } => write!(
                f,
                "the {of} hold values up to {largest}, and one spike per millisecond of an input stands for {scale}; \
                 an input fires at most once a millisecond, so as spikes what is beyond is cut off"
            ),
            Self::Features { of, share } => write!(
                f,
                "{:.1} % of the values of the {of} are beyond what a full rate of their feature stands for; as spikes \
                 what is beyond is cut off",
                100.0 * share
            ),
            Self::ScaledTwice { of, largest } => write!(
                f,
                "the network scales its own input from 0 to 255, and the {of} hold values up to {largest}: they were \
                 divided before; bytes, or numbers from 0 to 255, are expected"
            ),
            Self::Silent { layer, source, samples } => write!(
                f,
                "layer {layer} ('{source}') has no activation above 0 over the {samples} normalisation samples; its \
                 scale is 1"
            ),
            Self::Saturating { layer, share, largest, by_percentiles } => write!(
                f,
                "layer {layer}: {:.1} % of its rates above 0 would be more than one spike a millisecond (up to \
                 {largest:.1}); {} helps",
                100.0 * share,
                if *by_percentiles { "a higher --percentile" } else { "--weighting percentile" }
            ),
            Self::Vanishing { layer, mean, by_percentiles } => write!(
                f,
                "layer {layer}: its neurons that fire do so {mean:.4} times a millisecond on average, once in {:.0} \
                 ms; {} or a longer --duration helps",
                mean.recip(),
                if *by_percentiles { "a lower --percentile" } else { "--weighting percentile" }
            ),
            Self::Loss { precision, before, after } => {
                let advice = match precision {
                    Precision::Full => "a larger --scaling-factor, or another --percentile or --weighting, helps",
                    _ => "more --weight-bits help, or training with weights of this precision",
                };
                write!(
                    f,
                    "weights as integers ({precision}) cost {:.1} points of the analog accuracy, from {:.2} % to \
                     {:.2} %; {advice}",
                    100.0 * (before - after),
                    100.0 * before,
                    100.0 * after
                )
            }
            Self::Growth { threshold, spikes, usual, most } => write!(
                f,
                "--v-thresh {threshold}: about {spikes:.0} spikes per ms in all layers, where a threshold of 1 makes \
                 {usual:.0}, and up to {most:.0} of one neuron; event mode makes each of them, clocked mode one per \
                 step; a --v-thresh nearer 1 helps"
            ),
        }
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
    let options = &options;
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
    let parsed = checkpoints.parse(&model.source, options, || Ok(parse(&model.graph, options)?))?;
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
    warnings.extend(layers(&normalized, &activity, samples, by_percentiles).into_iter().filter(|it| !is_meant(it)));
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
    warnings.extend(growth(&converted, options, &activity));
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

/// The options with a scaling factor at which no potential leaves 32 bits, where they leave it open: one digit, and
/// somewhat less than the largest, since calibration changes biases.
fn with_room(normalized: &Normalized, options: &ConvertOptions) -> Result<ConvertOptions, Error> {
    let mut options = options.clone();
    while options.adapt_factor {
        match finish(normalized.clone(), &options) {
            Err(super::Error::Emit(super::emit::Error::Room { fits, .. })) if fits > 2.0 => {
                let digit = 10f64.powf((fits / 1.25).log10().floor());
                options.quantization.scaling_factor = (fits / 1.25 / digit).floor() * digit;
            }
            // What else is wrong is told where the network is made.
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

/// The largest magnitude of some values.
pub fn largest(values: ArrayView2<f32>) -> f32 {
    values.iter().fold(0.0f32, |largest, value| largest.max(value.abs()))
}

/// Layers that will not do well as spikes.
fn layers(normalized: &Normalized, activity: &[Activity], samples: usize, by_percentiles: bool) -> Vec<Warning> {
    let parsed = &normalized.parsed;
    let silent = normalized.silent.iter().map(|&layer| Warning::Silent {
        layer: parsed.name(layer),
        source: parsed.layers[layer].source_name.clone(),
        samples,
    });
    let mut warnings: Vec<Warning> = silent.collect();
    for (k, it) in activity.iter().enumerate() {
        if !matches!(parsed.layers[k].operation, LayerKind::Population { role: Role::Rectifier | Role::Signed, .. }) {
            continue;
        }
        let layer = parsed.name(k);
        if it.saturating > SATURATES {
            let (share, largest) = (it.saturating, it.largest);
            warnings.push(Warning::Saturating { layer, share, largest, by_percentiles });
        } else if it.mean_active > 0.0 && it.mean_active < VANISHES {
            warnings.push(Warning::Vanishing { layer, mean: it.mean_active, by_percentiles });
        }
    }
    warnings
}

/// Thresholds so low that the spikes of one layer make many in the next.
fn growth(converted: &Converted, options: &ConvertOptions, activity: &[Activity]) -> Option<Warning> {
    let network = &converted.emitted.network;
    let factors = diagnose::growth(network, options.quantization.scaling_factor);
    let (mut usual, mut spikes, mut most) = (0.0, 0.0, 0.0f64);
    for (layer, it) in activity.iter().enumerate() {
        let nodes = converted.emitted.layers[layer].iter();
        let drivers = nodes.filter_map(|node| match network.nodes()[node.index()].driver {
            Driver::Module(module) => Some(factors[module.index()]),
            Driver::Source(_) => None,
        });
        let factor = drivers.fold(0.0, f64::max);
        usual += it.mean * it.neurons as f64;
        spikes += it.mean * it.neurons as f64 * factor;
        most = most.max(it.largest * factor);
    }
    let threshold = options.quantization.threshold;
    (spikes >= GROWS * usual && spikes > 0.0).then_some(Warning::Growth { threshold, spikes, usual, most })
}
