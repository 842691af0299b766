//! Conversions for presentations of one duration.

use super::calibrate::Correction;
use super::manifest::{Calibration, CalibrationMode, Presentation, PresentationError};
use super::quantize::{SIGNED_SCALING_FACTOR, SignedNeurons};
use super::{ConvertOptions, Weighting};
use megasim_core::encode::registry::Choice;
use megasim_core::network::Reset;
use std::num::NonZeroUsize;

/// The initial potential of such a conversion, in thresholds: it rounds counts instead of cutting them off.
const INITIAL_POTENTIAL: f64 = 0.5;

/// Samples of the normalisation set that calibration runs where nothing else is asked for.
const CALIBRATION_SAMPLES: usize = 256;

/// Milliseconds of a presentation where signed neurons need no calibration.
pub const SHORT: u32 = 50;

/// The longest presentation, in milliseconds.
const LONGEST: u32 = 1_000_000;

/// Why options of a conversion do not go together.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No time, or too long.
    #[error("--duration: expected a number of milliseconds from 1 to {LONGEST}, found {0}")]
    Duration(u32),
    /// The code cannot be made.
    #[error(transparent)]
    Code(#[from] PresentationError),
    /// Scales that are there already.
    #[error("--scale-by goes with --preset toolbox and without --scales, which have their own scales")]
    ScaleBy,
    /// Details of a calibration that is not made.
    #[error("--calibrate-for, --calibration-samples: expected --calibrate bias, potential or both, found none")]
    NoCalibration,
    /// Signed neurons with another reset.
    #[error("--neuron signed goes with --reset subtract")]
    SignedReset,
    /// Hysteresis that is no number from 0 on.
    #[error("--hysteresis: expected a number from 0 on, found {0}")]
    Hysteresis(f64),
}

/// How the scale of a layer is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScaleBy {
    /// A percentile of its activations.
    Percentile,
    /// The least squared error of the counts of a presentation.
    LeastSquares,
}

/// The presentation that a conversion is made for. What is none is chosen to suit the network.
///
/// ```
/// use megasim_convert::calibrate::Correction;
/// use megasim_convert::{ConvertOptions, PresentationOptions};
///
/// let presentation = PresentationOptions { calibrate: Some(Correction::Both), ..PresentationOptions::new(10) };
/// let options = ConvertOptions::new().presented(&presentation)?;
/// assert_eq!(options.quantization.initial_potential, 0.5);
/// assert!(ConvertOptions::new().presented(&PresentationOptions::new(0)).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct PresentationOptions {
    /// Milliseconds per sample, 1 to 1,000,000.
    pub duration: u32,
    /// The spike code of the input. Where it is none, the normalisation samples decide: one spike per millisecond in
    /// regular code, or several events where one is too coarse.
    pub encode: Option<Choice>,
    /// What is corrected by spikes of the normalisation set: initial potentials, biases of signed neurons where
    /// nothing else is asked for.
    pub calibrate: Option<Correction>,
    /// The mode whose spikes correct: event mode, for signed neurons clocked mode, whose counts are equal.
    pub calibrate_for: Option<CalibrationMode>,
    /// Samples of the normalisation set that calibration runs; 256 where nothing else is asked for.
    pub calibration_samples: Option<NonZeroUsize>,
    /// How the scale of a layer is chosen: by the least squared error where nothing else is asked for.
    pub scale_by: Option<ScaleBy>,
}

impl PresentationOptions {
    /// For this number of milliseconds.
    pub fn new(duration: u32) -> Self {
        Self { duration, encode: None, calibrate: None, calibrate_for: None, calibration_samples: None, scale_by: None }
    }

    /// The presentation of a conversion with these options, and how its weights are scaled.
    fn presentation(&self, options: &ConvertOptions) -> Result<(Presentation, Weighting), Error> {
        let duration = self.duration;
        if !(1..=LONGEST).contains(&duration) {
            return Err(Error::Duration(duration));
        }
        let ticks_per_ms = options.quantization.ticks_per_ms;
        let encode = match (&self.encode, options.quantization.input_events) {
            (Some(code), _) => code.clone(),
            (None, 1) => Choice::default(),
            (None, events) => Choice::events(events),
        };
        let encode = encode.to_string();
        let mut presentation = Presentation { duration, encode, ticks_per_ms, calibration: None };
        let mut weighting = options.rules.weighting.clone();
        if options.scales.is_none() && weighting == Weighting::Percentile {
            if self.scale_by != Some(ScaleBy::Percentile) {
                weighting = Weighting::LeastSquares { steps: presentation.steps()? };
            }
        } else if self.scale_by.is_some() {
            return Err(Error::ScaleBy);
        }
        let signed = options.quantization.signed.is_some();
        let by_default = if signed { Correction::Bias } else { Correction::Potential };
        let correction = self.calibrate.unwrap_or(by_default);
        if correction == Correction::None {
            if self.calibrate_for.is_some() || self.calibration_samples.is_some() {
                return Err(Error::NoCalibration);
            }
            return Ok((presentation, weighting));
        }
        // The counts of signed neurons are those of both modes, and clocked mode is the faster one.
        let usual = if signed { CalibrationMode::Clocked } else { CalibrationMode::Event };
        presentation.calibration = Some(Calibration {
            correction,
            mode: self.calibrate_for.unwrap_or(usual),
            samples: self.calibration_samples.map_or(CALIBRATION_SAMPLES, NonZeroUsize::get),
        });
        Ok((presentation, weighting))
    }
}

impl ConvertOptions {
    /// Makes and calibrates the conversion for presentations of this many milliseconds, 1 to 1,000,000; see
    /// [`ConvertOptions::presented`].
    ///
    /// # Errors
    /// As there.
    pub fn duration(self, duration: u32) -> Result<Self, Error> {
        self.presented(&PresentationOptions::new(duration))
    }

    /// Makes and calibrates the conversion for a presentation: potentials start at half a threshold (where spikes
    /// subtract it), scales have the least squared error, and layers are corrected by their spikes. Call it after
    /// preset, reset and [`ConvertOptions::signed`], on which it depends, and before
    /// [`ConvertOptions::initial_potential`].
    ///
    /// # Errors
    /// If the presentation has no code, or if options do not go together.
    pub fn presented(mut self, presentation: &PresentationOptions) -> Result<Self, Error> {
        let asked = [presentation.calibrate.is_some(), presentation.calibrate_for.is_some()];
        self.adapt_pool = true;
        self.adapt_calibration = asked == [false; 2] && presentation.calibration_samples.is_none();
        let (encode, by_itself) = (&presentation.encode, self.quantization.input_events == 1);
        let (presentation, weighting) = presentation.presentation(&self)?;
        match encode {
            Some(code) => self.quantization.input_events = code.events_per_ms(),
            None => self.adapt_input = by_itself,
        }
        if self.quantization.reset != Reset::ToRest {
            self.quantization.initial_potential = INITIAL_POTENTIAL;
        }
        self.rules.weighting = weighting;
        self.presentation = Some(presentation);
        Ok(self)
    }

    /// Signed neurons in all layers, whose counts no order of events can change; a weight of 1 becomes 100,000, or less
    /// where potentials would leave 32 bits.
    ///
    /// # Errors
    /// If spikes reset potentials to zero, or if the hysteresis is no number from 0 on.
    pub fn signed(mut self, neurons: SignedNeurons) -> Result<Self, Error> {
        if self.quantization.reset != Reset::Subtract {
            return Err(Error::SignedReset);
        }
        if !neurons.hysteresis.is_finite() || neurons.hysteresis < 0.0 {
            return Err(Error::Hysteresis(neurons.hysteresis));
        }
        self.quantization.signed = Some(neurons);
        self.quantization.scaling_factor = SIGNED_SCALING_FACTOR;
        self.adapt_factor = true;
        Ok(self)
    }
}
