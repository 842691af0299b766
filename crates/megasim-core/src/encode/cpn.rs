//! CPN, ANNarchy's Poisson code: in each millisecond a value fires with the probability `max_f * value / 1000`, at its
//! first tick.
//!
//! It is [`Poisson`](super::Poisson) on the grid of a clocked simulator with steps of a millisecond. ANNarchy draws the
//! same random numbers for every sample; here each sample has its own stream.

use super::poisson::bernoulli;
use super::{Clock, Raster, SpikeEncoder, period, spikes_per_ms};
use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;

/// Random spikes at whole milliseconds. See the top of the file.
///
/// ```
/// use megasim_core::encode::{Clock, SpikeEncoder, Cpn, Raster};
/// let clock = Clock { duration: 1000, ticks_per_ms: 10 };
/// let mut raster = Raster::default();
/// raster.start(clock.ticks());
/// Cpn { max_f: 100.0, seed: 0 }.encode(&[1.0], 0, clock, &mut raster);
/// let mut spikes = 0;
/// raster.in_time_order(|tick, _| {
///     assert_eq!(tick % 10, 0);
///     spikes += 1;
/// });
/// assert!((50..150).contains(&spikes));
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cpn {
    /// Spikes per second of a value of 1; ANNarchy's default is 100.
    pub max_f: f64,
    /// Same seed, same spikes.
    pub seed: u64,
}

impl SpikeEncoder for Cpn {
    fn encode(&self, values: &[f32], sample: u64, clock: Clock, raster: &mut Raster) {
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        random.set_stream(sample);
        let (duration, ticks_per_ms) = (clock.duration as usize, clock.ticks_per_ms as usize);
        for (address, &value) in values.iter().enumerate() {
            let probability = spikes_per_ms(value, self.max_f);
            if probability == 0.0 {
                continue;
            }
            let mut train = raster.train(address as u32, value < 0.0);
            for first in (0..duration).step_by(64) {
                let mut spikes = bernoulli(&mut random, probability) & (!0 >> (64 - (duration - first).min(64)));
                while spikes != 0 {
                    train.set((first + spikes.trailing_zeros() as usize) * ticks_per_ms);
                    spikes &= spikes - 1;
                }
            }
        }
    }

    fn bias_period(&self, _clock: Clock) -> f64 {
        period(self.max_f)
    }
}
