//! What there is to say of a conversion that will not do well as spikes.

use crate::diagnose::{self, Activity, SATURATES, VANISHES};
use crate::input_ranges;
use crate::parsed::{LayerKind, Role};
use crate::{ConvertOptions, Converted, Normalized, Precision};
use megasim_core::encode::FeatureScales;
use megasim_core::network::Driver;
use megasim_data::InputScaling;
use ndarray::ArrayView2;
use std::fmt;

/// Times the scale of the input from which values that are cut off are worth a warning.
const BEYOND: f32 = 1.01;

/// Part of its scale that an input has to reach to be seen.
const FAINT: f32 = 0.05;

/// Values of a feature from which it can be said how far they spread.
const FEW_VALUES: usize = 16;

/// Share of values beyond the scales of features that is not worth a warning.
const FEW_BEYOND: f64 = 0.005;

/// Times as many spikes as at a threshold of 1 from which a conversion warns.
const GROWS: f64 = 10.0;

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
        /// The least and the largest of them.
        held: (f32, f32),
        /// The least and the largest value that a full rate of a feature stands for.
        expected: (f32, f32),
    },
    /// Values are so small, or so close to each other, that next to no spikes tell them apart.
    Faint {
        /// Which values.
        of: &'static str,
        /// The least and the largest of them.
        held: (f32, f32),
        /// The least and the largest value that a full rate stands for.
        expected: (f32, f32),
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
        let held = values
            .iter()
            .fold((f32::INFINITY, f32::NEG_INFINITY), |(least, most), &value| (least.min(value), most.max(value)));
        let Some(features) = features else {
            let largest = input_ranges::largest(values);
            let faint = || {
                let expected = (if held.0 < 0.0 { -scale } else { 0.0 }, scale);
                (largest > 0.0 && largest < FAINT * scale).then_some(Self::Faint { of, held, expected })
            };
            return Self::of_values(of, largest, scale, scaling).or_else(faint);
        };
        let numbers = values.ncols();
        let reach = features.scales().iter().zip(features.offsets());
        let expected = reach.fold((f32::INFINITY, f32::NEG_INFINITY), |(least, most), (reach, offset)| {
            (least.min((offset - reach) as f32), most.max((offset + reach) as f32))
        });
        let is_beyond = |(number, value): (usize, f32)| features.rate(number, numbers, value).abs() > BEYOND * scale;
        let beyond = values.indexed_iter().filter(|((_, number), value)| is_beyond((*number, **value))).count();
        let share = beyond as f64 / values.len().max(1) as f64;
        if share > FEW_BEYOND {
            return Some(Self::Features { of, share, held, expected });
        }
        let mut rates = vec![(f32::INFINITY, f32::NEG_INFINITY); features.scales().len()];
        let cells = (numbers / rates.len().max(1)).max(1);
        for ((_, number), &value) in values.indexed_iter() {
            let (rate, (least, most)) = (features.rate(number, numbers, value), &mut rates[number / cells]);
            (*least, *most) = (least.min(rate), most.max(rate));
        }
        let is_faint = |&(least, most): &(f32, f32)| most - least < FAINT * scale;
        let are_enough = values.len() >= FEW_VALUES * rates.len();
        (are_enough && rates.iter().all(is_faint)).then_some(Self::Faint { of, held, expected })
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Values { of, largest, scale } => write!(
                f,
                "the {of} hold values up to {largest}, and one spike per millisecond of an input stands for {scale}; \
                 an input fires at most once per millisecond, so as spikes what is beyond is cut off"
            ),
            Self::Features { of, share, held: (least, most), expected: (low, high) } => write!(
                f,
                "{:.1} % of the values of the {of}, from {least} to {most}, are beyond what a full rate of their \
                 feature stands for, from {low} to {high}; as spikes what is beyond is cut off",
                100.0 * share
            ),
            Self::Faint { of, held: (least, most), expected: (low, high) } => write!(
                f,
                "the {of} hold values from {least} to {most}, and full rates of the input stand for values from {low} \
                 to {high}: next to no spikes tell them apart; numbers as those that the network was trained and \
                 normalised with are expected"
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
                "layer {layer}: {:.1} % of its rates above 0 would be more than one spike per millisecond (up to \
                 {largest:.1}); {} helps",
                100.0 * share,
                if *by_percentiles { "a higher --percentile" } else { "--weighting percentile" }
            ),
            Self::Vanishing { layer, mean, by_percentiles } => write!(
                f,
                "layer {layer}: its neurons that fire do so {mean:.4} times per millisecond on average, once in {:.0} \
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

/// Layers that will not do well as spikes.
pub(super) fn layers(
    normalized: &Normalized,
    activity: &[Activity],
    samples: usize,
    by_percentiles: bool,
) -> Vec<Warning> {
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
pub(super) fn growth(converted: &Converted, options: &ConvertOptions, activity: &[Activity]) -> Option<Warning> {
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
