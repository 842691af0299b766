//! Burst code: a value fires one burst at the start, the more spikes and the closer together the larger it is.
//!
//! `ceil(most * value)` spikes, one every `ceil(longest - (longest - shortest) * value)` milliseconds; a single spike
//! comes at the start. W. Guo et al., "Neural coding in spiking neural networks", Front. Neurosci. 15:638474 (2021),
//! section 2.2.4, which has 5 spikes, 2 ms and the whole presentation.

use super::shared::by_magnitude;
use super::{Clock, Raster, SpikeEncoder};

/// One burst a value. See the top of the file.
///
/// ```
/// use megasim_core::encode::{Burst, Clock, SpikeEncoder, Raster};
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

impl SpikeEncoder for Burst {
    fn encode(&self, values: &[f32], _sample: u64, clock: Clock, raster: &mut Raster) {
        let (shortest, longest) = (f64::from(self.shortest.max(1)), f64::from(self.longest.max(1)));
        by_magnitude(values, raster, |value, train| {
            let value = value.min(1.0);
            let spikes = ceil(f64::from(self.most) * value, f64::from(self.most)) as u64;
            let interval = ceil(longest - (longest - shortest) * value, longest) as u64 * u64::from(clock.ticks_per_ms);
            for tick in (0..spikes).map(|k| k * interval).take_while(|&tick| tick < clock.ticks() as u64) {
                train.set(tick as usize);
            }
        });
    }
}

/// The ceiling of a number up to `scale` made of a value of 32 bits: what the value's last bit adds to a whole number
/// does not count. 51/255 is a fifth, but its nearest 32-bit number is a little more.
fn ceil(number: f64, scale: f64) -> f64 {
    let whole = number.round();
    if (number - whole).abs() <= scale * f64::from(f32::EPSILON) { whole } else { number.ceil() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spikes(code: Burst, value: f32) -> usize {
        let mut raster = Raster::default();
        raster.start(1000);
        code.encode(&[value], 0, Clock { duration: 1000, ticks_per_ms: 1 }, &mut raster);
        let mut count = 0;
        raster.in_time_order(|_, trains| count += trains.len());
        count
    }

    /// Against whole numbers: k / 255 makes ceil(most * k / 255) spikes.
    #[test]
    fn every_grey_level_makes_the_spikes_of_its_fraction() {
        for most in 1..=20 {
            let code = Burst { most, shortest: 2, longest: 10 };
            for k in 0..=255_u32 {
                let expected = (most * k).div_ceil(255) as usize;
                assert_eq!(spikes(code, k as f32 / 255.0), expected, "{most} * {k} / 255");
            }
        }
    }

    #[test]
    fn intervals_are_those_of_the_fraction() {
        for (shortest, longest) in [(2, 7), (2, 100), (1, 255)] {
            let code = Burst { most: 20, shortest, longest };
            for k in 1..=255_u32 {
                let mut raster = Raster::default();
                raster.start(1000);
                code.encode(&[k as f32 / 255.0], 0, Clock { duration: 1000, ticks_per_ms: 1 }, &mut raster);
                let mut ticks = Vec::new();
                raster.in_time_order(|tick, _| ticks.push(tick));
                if let [_, second, ..] = ticks[..] {
                    let expected = (longest * 255 - (longest - shortest) * k).div_ceil(255);
                    assert_eq!(second, i64::from(expected), "{k} / 255");
                }
            }
        }
    }
}
