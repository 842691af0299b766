//! Temporal pattern: the bits of a value, the highest first, one per millisecond.
//!
//! `k = round(|x| (2^bits - 1))`, at most `2^bits - 1`; there is a spike in millisecond `i` where bit `bits - 1 - i` of
//! `k` is set, so that the spike counts `2^-(i + 1)` (Rueckauer & Liu, "Temporal pattern coding in deep spiking neural
//! networks", IJCNN 2021; SNN toolbox's `temporal_pattern`).

use super::shared::by_magnitude;
use super::{Clock, Raster, SpikeEncoder};

/// Most bits of a pattern.
pub const MOST_BITS: u32 = 16;

/// The bits of a value as spikes. See the top of the file.
///
/// ```
/// use megasim_core::encode::{Clock, Pattern, Raster, SpikeEncoder};
/// let mut raster = Raster::default();
/// raster.start(4);
/// // 0.4 is 6 of 15, 0110.
/// Pattern { bits: 4 }.encode(&[0.4], 0, Clock { duration: 4, ticks_per_ms: 1 }, &mut raster);
/// let mut ticks = Vec::new();
/// raster.in_time_order(|tick, _| ticks.push(tick));
/// assert_eq!(ticks, [1, 2]);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pattern {
    /// Bits of a value, 1 to [`MOST_BITS`].
    pub bits: u32,
}

impl SpikeEncoder for Pattern {
    fn encode(&self, values: &[f32], _sample: u64, clock: Clock, raster: &mut Raster) {
        let largest = f64::from((1u32 << self.bits) - 1);
        by_magnitude(values, raster, |value, train| {
            let level = (value.min(1.0) * largest).round_ties_even() as u32;
            let set = (0..self.bits.min(clock.duration)).filter(|bit| level >> (self.bits - 1 - bit) & 1 == 1);
            set.for_each(|bit| train.set((bit * clock.ticks_per_ms) as usize));
        });
    }

    /// Every millisecond, as neurons that read patterns count time by that clock.
    fn bias_period(&self, _clock: Clock) -> f64 {
        1.0
    }
}
