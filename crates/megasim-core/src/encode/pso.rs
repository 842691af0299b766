//! PSO, a phase code: the threshold of an oscillating neuron rises in powers of two over `k` milliseconds, then starts
//! again.
//!
//! The neuron's potential is `max_f * value`; it is not reset. In millisecond `t` it fires, at the first tick, where
//! the potential is above `2^(m - 1)`, `m = (t - 1) mod k`; in millisecond 0, where C's remainder is -1, above 1/4. S.
//! Park et al., "Fast and efficient information transmission with burst spikes in deep spiking neural networks", DAC
//! 2019, has falling powers and weighs spikes by their phase; ANNarchy's code rises and does not weigh, and so does
//! this one.

use super::shared::by_magnitude;
use super::{Clock, Raster, SpikeEncoder};

/// Spikes in the phases of an oscillating threshold. See the top of the file.
///
/// ```
/// use megasim_core::encode::{Clock, SpikeEncoder, Pso, Raster};
/// let mut raster = Raster::default();
/// raster.start(9);
/// Pso { max_f: 100.0, k: 8 }.encode(&[0.05], 0, Clock { duration: 9, ticks_per_ms: 1 }, &mut raster);
/// let mut ticks = Vec::new();
/// raster.in_time_order(|tick, _| ticks.push(tick));
/// // 5 is above 1/4, 1/2, 1, 2 and 4.
/// assert_eq!(ticks, [0, 1, 2, 3, 4]);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pso {
    /// The potential of a value of 1; ANNarchy's default is 100.
    pub max_f: f64,
    /// Milliseconds of an oscillation, at least 1; ANNarchy has 8.
    pub k: u32,
}

impl SpikeEncoder for Pso {
    fn encode(&self, values: &[f32], _sample: u64, clock: Clock, raster: &mut Raster) {
        let (duration, ticks_per_ms) = (clock.duration as usize, clock.ticks_per_ms as usize);
        let k = self.k.max(1) as i64;
        let thresholds: Vec<f64> = (0..duration as i64).map(|t| 2f64.powi(((t - 1) % k) as i32 - 1)).collect();
        by_magnitude(values, raster, |value, train| {
            for (t, _) in thresholds.iter().enumerate().filter(|(_, threshold)| self.max_f * value > **threshold) {
                train.set(t * ticks_per_ms);
            }
        });
    }
}
