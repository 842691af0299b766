//! Burst code: a value fires one burst at the start, the more spikes and the closer together the larger it is.
//!
//! `ceil(most * value)` spikes, one every `ceil(longest - (longest - shortest) * value)` milliseconds; a single spike comes at the start. W. Guo et al., "Neural
//! coding in spiking neural networks", Front. Neurosci. 15:638474 (2021), section 2.2.4, which has 5 spikes, 2 ms and the whole presentation.

use super::shared::by_magnitude;
use super::{Clock, Code, Raster};

/// One burst a value. See the top of the file.
///
/// ```
/// use megasim_core::encode::{Burst, Clock, Code, Raster};
/// let mut raster = Raster::default();
/// raster.start(30);
/// let code = Burst { most: 5, shortest: 2, longest: 10 };
/// code.encode(&[0.5], 0, Clock { duration: 30, ticks_per_ms: 1 }, &mut raster);
/// let mut ticks = Vec::new();
/// raster.in_time_order(|tick, _| ticks.push(tick));
/// assert_eq!(ticks, [0, 6, 12]);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Burst {
    /// Spikes of a value of 1.
    pub most: u32,
    /// Milliseconds between the spikes of a value of 1, at least 1.
    pub shortest: u32,
    /// Milliseconds between the spikes of the smallest value.
    pub longest: u32,
}

impl Code for Burst {
    fn encode(&self, values: &[f32], _sample: u64, clock: Clock, raster: &mut Raster) {
        let (shortest, longest) = (f64::from(self.shortest.max(1)), f64::from(self.longest.max(1)));
        by_magnitude(values, raster, |value, train| {
            let value = value.min(1.0);
            let spikes = (f64::from(self.most) * value).ceil() as u64;
            let interval = (longest - (longest - shortest) * value).ceil() as u64 * u64::from(clock.ticks_per_ms);
            for tick in (0..spikes).map(|k| k * interval).take_while(|&tick| tick < clock.ticks() as u64) {
                train.set(tick as usize);
            }
        });
    }
}
