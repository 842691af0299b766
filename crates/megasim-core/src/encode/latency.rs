//! Latency codes: one spike per value, the earlier the larger the value; a value of 1 at tick 0, a value of 0 never.
//!
//! Linear: at the share `1 - value` of the presentation. Logarithmic: at the share `ln(1 / value) / ln(1 / least)`, so
//! that equal ratios of values are equal differences in time; values below `least` do not fire.

use super::shared::by_magnitude;
use super::{Clock, Raster, SpikeEncoder};

/// How a value becomes a time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scale {
    /// In proportion.
    Linear,
    /// By its logarithm.
    Logarithmic {
        /// The value that fires at the end of the presentation, above 0 and below 1.
        least: f64,
    },
}

/// One spike per value. See the top of the file.
///
/// ```
/// use megasim_core::encode::{Clock, SpikeEncoder, Latency, Raster, latency::Scale};
/// let mut raster = Raster::default();
/// raster.start(101);
/// let clock = Clock { duration: 101, ticks_per_ms: 1 };
/// Latency { scale: Scale::Linear }.encode(&[0.25, 1.0, 0.0], 0, clock, &mut raster);
/// let mut spikes = Vec::new();
/// raster.in_time_order(|tick, trains| spikes.push((tick, raster.trains()[trains[0] as usize].0)));
/// assert_eq!(spikes, [(0, 1), (75, 0)]);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Latency {
    /// How a value becomes a time.
    pub scale: Scale,
}

impl SpikeEncoder for Latency {
    fn encode(&self, values: &[f32], _sample: u64, clock: Clock, raster: &mut Raster) {
        let last = (clock.ticks() - 1).max(0) as f64;
        by_magnitude(values, raster, |value, train| {
            let value = value.min(1.0);
            let share = match self.scale {
                Scale::Linear => 1.0 - value,
                Scale::Logarithmic { least } => value.ln() / least.ln(),
            };
            if value > 0.0 && share <= 1.0 && clock.ticks() > 0 {
                train.set((share * last).round() as usize);
            }
        });
    }
}
