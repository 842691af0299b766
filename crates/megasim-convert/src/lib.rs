//! From the analog network to a [`Network`](megasim_core::network::Network) of spiking neurons with integer weights.
//!
//! ```text
//! Graph ──► simplify ──► ParsedModel ──► normalize ──► Normalized ──► emit (quantize) ──► Network
//! ```
//!
//! After conversion a neuron's rate in spikes per millisecond is its activation divided by the scale of its layer, when
//! each input fires at its value in spikes per millisecond and biases act once per millisecond.

pub mod activations;
pub mod adapt;
pub mod calibrate;
mod channel_scales;
pub mod checkpoint;
pub mod conversion;
pub mod converted_model;
pub mod currents;
pub mod diagnose;
pub mod emit;
pub mod export;
mod input_code;
mod input_ranges;
pub mod labelled_samples;
pub mod manifest;
mod max_pooling;
pub mod model_based;
#[cfg(feature = "nir")]
pub mod nir;
pub mod normalize;
pub mod numbers;
mod options;
mod origin;
pub mod parsed;
mod payloads;
pub mod percentile;
pub mod potentials;
pub mod precision;
pub mod presentation;
pub mod quantize;
pub mod rules;
pub mod samples;
pub mod save;
pub mod scales;
pub mod settings;
pub mod simplify;
pub mod spike_code;
pub mod spiking;
pub mod stage;
pub mod toolbox;

pub use checkpoint::Checkpoints;
pub use conversion::{Conversion, Convert};
pub use converted_model::ConvertedModel;
pub use emit::{Format, SpikingModel};
pub use labelled_samples::LabelledSamples;
pub use manifest::Manifest;
pub use max_pooling::MaxPooling;
pub use normalize::Normalized;
pub use options::{ConvertOptions, TEST_SAMPLES};
pub use precision::Precision;
pub use presentation::{PresentationOptions, ScaleBy};
pub use quantize::Quantization;
pub use rules::{Preset, Rules, Weighting};
pub use simplify::OutputForm;
pub use spike_code::SpikeCode;
pub use stage::Stage;

use megasim_ann::graph::Graph;
use megasim_core::encode::{self, InputMap, SoftmaxClock};
use megasim_core::network::NodeId;
use ndarray::ArrayView2;
use normalize::Schedule;
use parsed::ParsedModel;
use potentials::Held;
use samples::Samples;
use simplify::Quantized;
use std::num::NonZeroU32;

/// Why a network could not be converted.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// A layer has no spiking form.
    #[error(transparent)]
    Unsupported(#[from] simplify::Unsupported),
    /// The normalisation set does not fit.
    #[error(transparent)]
    Normalize(#[from] normalize::Error),
    /// Scales of an earlier conversion do not fit.
    #[error(transparent)]
    Scales(#[from] scales::Error),
    /// The modules cannot be written.
    #[error(transparent)]
    Emit(#[from] emit::Error),
    /// Samples cannot be put into the network.
    #[error(transparent)]
    Layout(encode::Error),
    /// A run of calibration failed.
    #[error("calibration: {0}")]
    Run(megasim_core::engine::Error),
    /// The work was cancelled.
    #[error("stopped before the conversion was done")]
    Cancelled,
}

/// A converted network.
#[derive(Debug, Clone, PartialEq)]
pub struct Converted {
    /// The layers with normalised weights.
    pub normalized: Normalized,
    /// The modules.
    pub emitted: SpikingModel,
    /// Of a softmax output: the events at which it spikes.
    pub softmax_clock: SoftmaxClock,
}

/// Converts an analog network; `samples` is the normalisation set, `(samples, numbers)`, maps in the order `(channels,
/// height, width)`.
///
/// ```
/// use megasim_ann::graph::{Activation, GraphBuilder, Operation, Shape};
/// use megasim_convert::{ConvertOptions, convert};
/// use ndarray::array;
///
/// let mut builder = GraphBuilder::new("input", Shape::Features(2));
/// let dense = Operation::Dense { weights: array![[1.0], [-1.0]], bias: None };
/// let dense = builder.add("dense", "Dense", dense, &[0])?;
/// builder.add("relu", "Activation", Operation::Activation(Activation::RELU), &[dense])?;
/// let samples = array![[1.0, 0.5], [0.2, 0.8]];
/// let converted = convert(&builder.finish()?, samples.view(), &ConvertOptions::default())?;
/// assert_eq!(converted.normalized.scales, [0.5]);
/// assert!(converted.emitted.network.node_named("0Dense_1").is_some());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Where a layer has no spiking form, where samples do not fit, where a number does not fit the netfiles.
pub fn convert(graph: &Graph, samples: ArrayView2<f32>, options: &ConvertOptions) -> Result<Converted, Error> {
    finish(normalize_with(parse(graph, options)?, samples, options, &mut |_| {})?, options)
}

/// The first step of [`convert`]: the layers that modules are made of.
///
/// # Errors
/// The first layer that has no spiking form.
pub fn parse(graph: &Graph, options: &ConvertOptions) -> Result<ParsedModel, simplify::Unsupported> {
    let averaged = options.max_to_average.then(|| simplify::max_to_average(graph));
    let graph = averaged.as_ref().unwrap_or(graph);
    let shifted = adapt::shifted(graph, options.logit_shift);
    let shifted = shifted.as_ref().unwrap_or(graph);
    let of_features = options.input_features.as_ref().and_then(|features| adapt::of_rates(shifted, features));
    let signed = options.quantization.signed.is_some();
    let quantized = options.level_steps().map_or(Quantized::AsRates, |steps| Quantized::AsCounts { steps });
    let of_features_or_shifted = of_features.as_ref().unwrap_or(shifted);
    let mut parsed = simplify::simplify_with(of_features_or_shifted, options.output, quantized, signed)?;
    if of_features.is_some() {
        parsed.input_features = options.input_features.clone();
        parsed.digits = simplify::digits(shifted);
    }
    let of_one_spike = options.input_scale.unwrap_or(1.0) / f64::from(options.quantization.input_events.max(1));
    Ok(parsed.with_input_scale(of_one_spike))
}

/// The second step: scaled weights. `progress` is called with the number of samples done, over all passes.
///
/// # Errors
/// Where samples do not fit, or scales of an earlier conversion.
pub fn normalize_with(
    parsed: ParsedModel,
    samples: impl Samples,
    options: &ConvertOptions,
    progress: &mut dyn FnMut(usize),
) -> Result<Normalized, Error> {
    let count = samples.count();
    let mut before = 0;
    normalize_by(parsed, options, &mut |parsed, see| {
        normalize::visit_populations(parsed, &samples, &mut |n| progress(before + n), see)?;
        before += count;
        Ok(())
    })
}

/// As [`convert`], with activations that an earlier conversion kept.
///
/// # Errors
/// Where they cannot be read, or scales of an earlier conversion do not fit.
pub fn normalize_with_kept(
    parsed: ParsedModel,
    kept: &activations::ActivationCache,
    options: &ConvertOptions,
) -> Result<Normalized, Error> {
    normalize_by(parsed, options, &mut |_, see| kept.visit(see))
}

/// Shows the activations of all populations, as often as it is called.
type Visit<'a> = &'a mut dyn FnMut(&ParsedModel, normalize::See) -> Result<(), normalize::Error>;

fn normalize_by(parsed: ParsedModel, options: &ConvertOptions, visit: Visit) -> Result<Normalized, Error> {
    let pooled = options.pooled();
    let mut maps = Vec::new();
    let mut l = match (&options.scales, &options.rules.weighting) {
        (Some(scales), _) => {
            maps = scales.maps_of(&parsed);
            scales.of(&parsed)?
        }
        (None, weighting @ (Weighting::Percentile | Weighting::LeastSquares { .. })) => {
            let schedule = Schedule { percentile: options.percentile, step: options.percentile_step };
            let steps = match weighting {
                Weighting::LeastSquares { steps } => Some(*steps),
                _ => None,
            };
            let mut search = options.channel_scales.then(|| channel_scales::Search::new(&parsed, schedule, steps));
            let mut visit = |see: normalize::See| {
                search.iter_mut().for_each(channel_scales::Search::begin);
                visit(&parsed, &mut |number, activations| {
                    search.iter_mut().for_each(|search| search.see(number, activations));
                    see(number, activations);
                })
            };
            let mut l = normalize::percentiles(&parsed, schedule, &mut visit)?;
            if let Some(steps) = steps {
                l = normalize::least_squares(&parsed, &l, steps, &mut visit)?;
            }
            maps = search.map_or(maps, |search| search.factors(&l));
            l
        }
        (None, Weighting::Model(schedule)) => {
            return Ok(model_based::normalize(parsed, schedule, options.rules.as_listed)?);
        }
        (None, Weighting::AsTrained) => vec![Some(1.0); parsed.layers.len()],
    };
    // One spike more is one level more.
    if let Some(steps) = options.level_steps() {
        for (number, l) in l.iter_mut().enumerate() {
            let steps = f64::from(steps);
            let of_levels = parsed.levels(number).map(|levels| f64::from(levels.step) * steps);
            // A whole number of spikes is the maximum.
            let of_maximum = || {
                let (max, l) = (parsed.maximum(number)?, (*l)?);
                Some(steps * max / (steps * max / l).round().max(1.0))
            };
            *l = of_levels.or_else(of_maximum).or(*l);
        }
    }
    Ok(channel_scales::apply(normalize::normalize(parsed, &l, pooled)?, &maps)?)
}

/// The second step with scales that are known.
///
/// # Errors
/// Where they do not fit the network.
pub fn normalize_by_scales(
    parsed: ParsedModel,
    scales: &scales::Scales,
    options: &ConvertOptions,
) -> Result<Normalized, Error> {
    let (l, maps) = (scales.of(&parsed)?, scales.maps_of(&parsed));
    Ok(channel_scales::apply(normalize::normalize(parsed, &l, options.pooled())?, &maps)?)
}

/// The last step: modules with integers.
///
/// # Errors
/// Where a number does not fit the netfiles.
pub fn finish(mut normalized: Normalized, options: &ConvertOptions) -> Result<Converted, Error> {
    options.precision.round(&mut normalized.parsed);
    let (quantization, currents) = (&options.quantization, options.rules.currents);
    let code = options.rules.code;
    let ticking = !currents.is_none() || !code.is_rate();
    let emitted = emit::emit(&code.prepared(&normalized.parsed), quantization, options.format, ticking)?;
    let emitted = rules::apply(emitted, &normalized.parsed, quantization, &options.rules)?;
    let parsed = &normalized.parsed;
    // Files of equations that are given come first.
    let number = NonZeroU32::MIN.saturating_add(options.neurons.len() as u32);
    let emitted = if !code.is_rate() {
        code.apply(emitted, &normalized, quantization, number)?
    } else if currents.is_none() {
        potentials::add(emitted, parsed, quantization, &normalized.potentials, Held::Potential)?
    } else {
        let held = currents.at_start(&normalized, quantization.threshold);
        let mut emitted = potentials::add(emitted, parsed, quantization, &held, Held::Current)?;
        currents.apply(&mut emitted, &normalized, quantization, number)?;
        emitted
    };
    Ok(Converted { normalized, emitted, softmax_clock: options.softmax_clock })
}

impl Converted {
    /// Where the numbers of a sample go in the network.
    ///
    /// # Errors
    /// None for a network from [`convert`], whose sources are its inputs.
    pub fn layout(&self) -> Result<InputMap, encode::Error> {
        let SpikingModel { network, input, bias_clock, settle, control, .. } = &self.emitted;
        let name = |node: &NodeId| network.nodes()[node.index()].name.clone();
        let nodes: Vec<String> = input.iter().map(name).collect();
        let parsed = &self.normalized.parsed;
        let bias_clock = bias_clock.as_ref().map(name);
        let order = parsed.input_order.clone();
        let layout = InputMap::new(network, &parsed.input.sizes(), &nodes, order, bias_clock.as_deref())?;
        let control = control.as_ref().map(name);
        layout
            .with_input_scale(parsed.input_scale)?
            .with_features(parsed.input_features.clone())?
            .with_mask_clock(network, self.emitted.mask_clock.as_ref().map(name).as_deref())?
            .with_settle_events(network, &settle.iter().map(name).collect::<Vec<_>>())?
            .with_softmax_clock(network, control.as_deref().map(|node| (node, self.softmax_clock)))?
            .with_start(network, self.emitted.start.as_ref().map(name).as_deref())
    }

    /// The output node: its addresses are the classes.
    pub fn output(&self) -> NodeId {
        // A parsed network has at least one layer, and its last one is a vector on one node.
        self.emitted.layers.last().and_then(|nodes| nodes.first()).copied().unwrap_or(self.emitted.reset)
    }
}
