//! Time to first spike: one spike per value, when a threshold that decays from 1 as `exp(-t / tau)` comes down to it.
//!
//! So a value fires at `-tau * ln(value)`, whatever the length of the presentation; what has not fired by its end does
//! not. W. Guo et al., "Neural coding in spiking neural networks: a comparative study for robust neuromorphic systems",
//! Front. Neurosci. 15:638474 (2021), section 2.2.2.

use super::shared::by_magnitude;
use super::{Clock, Raster, SpikeEncoder};

/// One spike per value, under a decaying threshold. See the top of the file.
///
/// ```
/// use megasim_core::encode::{Clock, SpikeEncoder, Raster, Ttfs};
/// let mut raster = Raster::default();
/// raster.start(100);
/// Ttfs { tau: 20.0 }.encode(&[0.5, 0.001], 0, Clock { duration: 100, ticks_per_ms: 1 }, &mut raster);
/// let mut ticks = Vec::new();
/// raster.in_time_order(|tick, _| ticks.push(tick));
/// // 20 ms * ln 2 is 13.86 ms; a thousandth would take 138 ms.
/// assert_eq!(ticks, [14]);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ttfs {
    /// Time constant of the threshold, ms.
    pub tau: f64,
}

impl SpikeEncoder for Ttfs {
    fn encode(&self, values: &[f32], _sample: u64, clock: Clock, raster: &mut Raster) {
        by_magnitude(values, raster, |value, train| {
            let tick = (-self.tau * f64::from(clock.ticks_per_ms) * value.min(1.0).ln()).ceil();
            if tick < clock.ticks() as f64 {
                train.set(tick.max(0.0) as usize);
            }
        });
    }
}
