//! Real numbers to the integers of the netfiles.

use super::parsed::{LayerKind, ParsedModel};
use megasim_core::network::Reset;
use serde::{Deserialize, Serialize};
use std::num::NonZeroU32;

pub use megasim_core::encode::DEFAULT_TICKS_PER_MS;

/// What a weight, bias or threshold of 1 becomes where nothing else is asked for; SNN toolbox's default.
pub const DEFAULT_SCALING_FACTOR: f64 = 10_000_000.0;

/// A number that does not fit the netfiles.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error(
    "layer '{layer}': expected a {quantity} within 32 bits, found {value} times the scaling factor {scaling_factor}; \
        a smaller --scaling-factor helps"
)]
pub struct Overflow {
    /// The layer in the netfiles.
    pub layer: String,
    /// Weight, bias or threshold.
    pub quantity: &'static str,
    /// The number before scaling.
    pub value: f64,
    /// What it is multiplied with.
    pub scaling_factor: f64,
}

/// The scale and the threshold of all neurons.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quantization {
    /// What a weight of 1 becomes.
    pub scaling_factor: f64,
    /// The threshold, before scaling.
    pub threshold: f64,
    /// What becomes of the potential when a neuron spikes.
    pub reset: Reset,
    /// Where potentials start, as a part of the threshold, below 1. A half rounds the first spikes instead of delaying
    /// them (T. Bu et al., "Optimized potential initialization for low-latency spiking neural networks", AAAI 2022);
    /// SNN toolbox has 0.
    pub initial_potential: f64,
    /// Ticks per millisecond, for neurons whose spikes are distinguished by time.
    pub ticks_per_ms: u32,
    /// Where neurons are signed: how.
    pub signed: Option<SignedNeurons>,
    /// Whether averages pass each spike on, and the weights behind them have the part of a cell, instead of adding up
    /// to whole spikes.
    pub relays: bool,
    /// Spikes per millisecond of an input that has its full value; each counts as its part of it.
    pub input_events: u32,
}

/// What a weight of 1 becomes where neurons are signed and nothing else is asked for: their potentials are not cut off,
/// so that they need room.
pub const SIGNED_SCALING_FACTOR: f64 = 100_000.0;

/// Signed neurons ([`Signed`](megasim_core::network::Signed)) of all layers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedNeurons {
    /// Hysteresis in thresholds, 0 or more.
    pub hysteresis: f64,
    /// The largest count of rectified neurons: a clip at this number of spikes.
    pub max_count: Option<NonZeroU32>,
}

/// Thresholds of hysteresis where nothing else is asked for.
pub const DEFAULT_HYSTERESIS: f64 = 1.0;

impl Default for SignedNeurons {
    fn default() -> Self {
        Self { hysteresis: DEFAULT_HYSTERESIS, max_count: None }
    }
}

impl Default for Quantization {
    fn default() -> Self {
        Self {
            scaling_factor: DEFAULT_SCALING_FACTOR,
            threshold: 1.0,
            reset: Reset::Subtract,
            initial_potential: 0.0,
            ticks_per_ms: DEFAULT_TICKS_PER_MS,
            signed: None,
            relays: false,
            input_events: 1,
        }
    }
}

impl Quantization {
    /// `value * scaling_factor`, truncated toward zero.
    ///
    /// ```
    /// use megasim_convert::quantize::Quantization;
    /// assert_eq!(Quantization::default().integer("conv", "weight", -0.10715099)?, -1071509);
    /// # Ok::<(), megasim_convert::quantize::Overflow>(())
    /// ```
    ///
    /// # Errors
    /// [`Overflow`] where it does not fit 32 bits.
    pub fn integer(&self, layer: &str, quantity: &'static str, value: f64) -> Result<i32, Overflow> {
        self.fit(layer, quantity, value * self.scaling_factor)
    }

    /// A network of the real numbers that its integers stand for.
    pub fn truncated(&self, parsed: &ParsedModel) -> ParsedModel {
        let mut parsed = parsed.clone();
        let truncate = |value: f32| ((f64::from(value) * self.scaling_factor).trunc() / self.scaling_factor) as f32;
        for layer in &mut parsed.layers {
            if let LayerKind::Population { connections, bias, .. } = &mut layer.operation {
                connections.iter_mut().for_each(|connection| connection.weights.change(truncate));
                bias.iter_mut().flatten().for_each(|bias| *bias = truncate(*bias));
            }
        }
        parsed
    }

    /// A number that is scaled already, truncated toward zero.
    ///
    /// # Errors
    /// [`Overflow`] where it does not fit 32 bits.
    pub fn fit(&self, layer: &str, quantity: &'static str, scaled: f64) -> Result<i32, Overflow> {
        let integer = scaled.trunc();
        if (f64::from(i32::MIN)..=f64::from(i32::MAX)).contains(&integer) {
            return Ok(integer as i32);
        }
        let scaling_factor = self.scaling_factor;
        Err(Overflow { layer: layer.into(), quantity, value: scaled / scaling_factor, scaling_factor })
    }
}
