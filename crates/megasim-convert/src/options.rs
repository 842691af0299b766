//! What a conversion can be asked for.

use super::manifest::Presentation;
use super::settings::{NeuronFile, Setting};
use super::{Format, OutputForm, Precision, Preset, Quantization, Rules, Weighting};
use super::{normalize, scales};
use megasim_core::encode::{FeatureScales, SoftmaxClock};
use megasim_core::network::Reset;
use std::num::NonZeroUsize;

/// Test samples for the accuracies of the steps where nothing else is asked for: the 95 % interval is within 3 points.
pub const TEST_SAMPLES: NonZeroUsize = NonZeroUsize::new(1000).unwrap();

/// What a conversion can be asked for.
///
/// ```
/// use megasim_convert::{ConvertOptions, Preset};
///
/// let options = ConvertOptions::new().percentile(99.9).initial_potential(0.5);
/// assert_eq!(options.quantization.initial_potential, 0.5);
/// let annarchy = ConvertOptions::new().preset(Preset::Annarchy);
/// assert_ne!(annarchy.rules, options.rules);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct ConvertOptions {
    /// Percentile (0 to 100) of a layer's non-zero activations that becomes one spike per millisecond.
    pub percentile: f64,
    /// How much lower the percentile is for each layer further on.
    pub percentile_step: f64,
    /// Whether each map has its own scale, where scales are made of activations on data.
    pub channel_scales: bool,
    /// Scales of an earlier conversion, in place of what the rules' weighting would make.
    pub scales: Option<scales::Scales>,
    /// Which numbers the weights may be.
    pub precision: Precision,
    /// Scale, threshold and reset of the neurons.
    pub quantization: Quantization,
    /// Which netfiles may be written.
    pub format: Format,
    /// What the neurons of the output do.
    pub output: OutputForm,
    /// Of a softmax output: control events per second, at each of which a neuron fires.
    pub softmax_clock: SoftmaxClock,
    /// Averages take the place of maximum pooling.
    pub max_to_average: bool,
    /// What the numbers of a sample are divided by: one spike per millisecond of an input stands for it. Where none is
    /// given, the model and the samples decide ([`adapt`](super::adapt)).
    pub input_scale: Option<f64>,
    /// The percentile (above 0, at most 100) of the magnitudes above 0 of the normalisation samples that becomes the
    /// scale, where none is given; else it is the largest.
    pub input_percentile: Option<f64>,
    /// A scale and an offset of each feature or channel besides. Where no scale is given, the samples decide whether
    /// the network needs them ([`adapt`](super::adapt)).
    pub input_features: Option<FeatureScales>,
    /// Whether the samples decide how many spikes per millisecond an input has.
    pub adapt_input: bool,
    /// What is added to all outputs before a softmax, which does not change it.
    pub logit_shift: f64,
    /// Whether outputs that would be silent on the normalisation samples are shifted, or made to fire spikes of both
    /// signs.
    pub adapt_output: bool,
    /// Whether the scaling factor becomes smaller where potentials of signed neurons would leave 32 bits.
    pub adapt_factor: bool,
    /// Whether networks of quantised activations, which need no calibration, have none.
    pub adapt_calibration: bool,
    /// Whether averages of networks of quantised activations pass spikes on, where they can: what adds up to whole
    /// spikes rounds.
    pub adapt_pool: bool,
    /// Rules beyond layers and weights.
    pub rules: Rules,
    /// The accuracy of the analog network after each step is that of at most this many test samples.
    pub test_samples: NonZeroUsize,
    /// How samples will be presented, where the conversion is made and calibrated for that.
    pub presentation: Option<Presentation>,
    /// Equations that neurons get afterwards, later files in place of earlier ones.
    pub neurons: Vec<NeuronFile>,
    /// Parameters that modules get afterwards, in this order.
    pub settings: Vec<Setting>,
}

impl Default for ConvertOptions {
    fn default() -> Self {
        Self {
            percentile: normalize::DEFAULT_PERCENTILE,
            percentile_step: 0.0,
            channel_scales: false,
            scales: None,
            precision: Precision::default(),
            quantization: Quantization::default(),
            format: Format::Extended,
            output: OutputForm::default(),
            softmax_clock: SoftmaxClock::default(),
            max_to_average: false,
            input_scale: None,
            input_percentile: None,
            input_features: None,
            adapt_input: false,
            logit_shift: 0.0,
            adapt_output: true,
            adapt_factor: false,
            adapt_calibration: false,
            adapt_pool: false,
            rules: Rules::default(),
            test_samples: TEST_SAMPLES,
            presentation: None,
            neurons: Vec::new(),
            settings: Vec::new(),
        }
    }
}

impl ConvertOptions {
    /// The defaults: those of SNN toolbox.
    pub fn new() -> Self {
        Self::default()
    }

    /// Percentile (0 to 100) of a layer's non-zero activations that becomes one spike per millisecond.
    pub fn percentile(self, percentile: f64) -> Self {
        Self { percentile, ..self }
    }

    /// Scales of an earlier conversion of the same model.
    pub fn scales(self, scales: scales::Scales) -> Self {
        Self { scales: Some(scales), ..self }
    }

    /// A scale for each map (of a vector: for each neuron), where scales are made of activations on data.
    pub fn channel_scales(self, channel_scales: bool) -> Self {
        Self { channel_scales, ..self }
    }

    /// At most this many test samples for the accuracies of the steps.
    pub fn test_samples(self, test_samples: NonZeroUsize) -> Self {
        Self { test_samples, ..self }
    }

    /// Which numbers the weights may be.
    pub fn precision(self, precision: Precision) -> Self {
        Self { precision, ..self }
    }

    /// What a weight of 1 becomes.
    pub fn scaling_factor(mut self, factor: f64) -> Self {
        self.quantization.scaling_factor = factor;
        self.adapt_factor = false;
        self
    }

    /// Threshold of the neurons, before scaling.
    pub fn threshold(mut self, threshold: f64) -> Self {
        self.quantization.threshold = threshold;
        self
    }

    /// What a spike takes from the potential.
    pub fn reset(mut self, reset: Reset) -> Self {
        self.quantization.reset = reset;
        // A strict threshold is one more in integers, which a reset by subtraction must not see.
        self.rules.strict &= reset == Reset::ToRest;
        self
    }

    /// Where potentials start, as a part of the threshold (0 or more, less than 1).
    pub fn initial_potential(mut self, part: f64) -> Self {
        self.quantization.initial_potential = part;
        self
    }

    /// What the neurons of the output do, whatever the samples.
    pub fn output(self, output: OutputForm) -> Self {
        Self { output, adapt_output: false, ..self }
    }

    /// What the numbers of a sample are divided by, whatever the samples.
    pub fn input_scale(self, scale: f64) -> Self {
        Self { input_scale: Some(scale), ..self }
    }

    /// The percentile (above 0, at most 100) of the magnitudes of the normalisation samples that numbers are divided
    /// by.
    pub fn input_percentile(self, percentile: f64) -> Self {
        Self { input_percentile: Some(percentile), ..self }
    }

    /// A scale and an offset of each feature or channel, whatever the samples.
    pub fn input_features(self, features: FeatureScales) -> Self {
        Self { input_features: Some(features), input_scale: Some(1.0), ..self }
    }

    /// Spikes per millisecond of an input that has its full value, each of which counts as its part of it. Samples are
    /// then shown in a code that makes as many ([`Events`](megasim_core::encode::Events)).
    pub fn input_events(mut self, events: u32) -> Self {
        self.quantization.input_events = events.max(1);
        self.adapt_input = false;
        self
    }

    /// Which netfiles may be written.
    pub fn format(self, format: Format) -> Self {
        Self { format, ..self }
    }

    /// Averages take the place of maximum pooling, or not.
    pub fn max_to_average(self, max_to_average: bool) -> Self {
        Self { max_to_average, ..self }
    }

    /// How weights are scaled.
    pub fn weighting(mut self, weighting: Weighting) -> Self {
        self.rules.weighting = weighting;
        self
    }

    /// Rules, scale and reset of a preset. Outputs of other presets than SNN toolbox's stay as they are, also silent
    /// ones. A spike code brings its input code and its read-out along.
    pub fn preset(self, preset: Preset) -> Self {
        let (rules, quantization) = preset.parameters();
        let adapt_output = self.adapt_output && preset == Preset::Toolbox;
        let options = Self { rules, quantization, adapt_output, ..self };
        match preset {
            Preset::Coded(code) if !code.is_rate() => Self {
                output: code.output(),
                presentation: Some(Presentation {
                    duration: code.duration(),
                    encode: code.encode(),
                    ticks_per_ms: quantization.ticks_per_ms,
                    calibration: None,
                }),
                ..options
            },
            _ => options,
        }
    }

    /// Makes and calibrates the conversion for a presentation.
    pub fn presentation(self, presentation: Presentation) -> Self {
        Self { presentation: Some(presentation), ..self }
    }

    /// Sets a parameter of modules afterwards.
    pub fn set(mut self, setting: Setting) -> Self {
        self.settings.push(setting);
        self
    }

    /// Gives neurons equations afterwards.
    pub fn neurons(mut self, neurons: NeuronFile) -> Self {
        self.neurons.push(neurons);
        self
    }

    /// What averages do with the scale of their input.
    pub(super) fn pooled(&self) -> normalize::Pooled {
        match self.format {
            Format::Extended if !self.quantization.relays => normalize::Pooled::Mean,
            Format::Extended | Format::Original => normalize::Pooled::Sum,
        }
    }

    /// Bias events of the presentation, where neurons have the levels of quantised activations: signed neurons of a
    /// conversion that is made for a presentation.
    pub(super) fn level_steps(&self) -> Option<u32> {
        let by_model = matches!(self.rules.weighting, Weighting::Model(_)) && self.scales.is_none();
        let presentation = self.presentation.as_ref().filter(|_| self.quantization.signed.is_some() && !by_model)?;
        presentation.steps().ok()
    }

    /// Whether scales are made of activations on data.
    pub fn looks_at_activations(&self) -> bool {
        self.scales.is_none() && self.rules.weighting.needs_data()
    }
}
