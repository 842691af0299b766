//! Poisson code: in each millisecond a value fires with a probability equal to it, at a tick drawn evenly.
//!
//! Milliseconds are drawn 64 at a time: random words are compared with the probability bit by bit, from the highest,
//! until all 64 are decided, which takes about 8 words. So a sample costs little more than its spikes.

use super::{Clock, Raster, SpikeEncoder, period, spikes_per_ms};
use rand::rngs::ChaCha8Rng;
use rand::{Rng, RngExt, SeedableRng};

/// Random spikes; a sample's are drawn from a separate stream of random numbers. See the top of the file.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Poisson {
    /// Spikes per second of a value of 1; no value fires more than once per millisecond.
    pub input_rate: f64,
    /// Same seed, same spikes.
    pub seed: u64,
}

impl SpikeEncoder for Poisson {
    fn encode(&self, values: &[f32], sample: u64, clock: Clock, raster: &mut Raster) {
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        random.set_stream(sample);
        let (duration, ticks_per_ms) = (clock.duration as usize, clock.ticks_per_ms as usize);
        for (address, &value) in values.iter().enumerate() {
            let probability = spikes_per_ms(value, self.input_rate);
            if probability == 0.0 {
                continue;
            }
            let mut train = raster.train(address as u32, value < 0.0);
            for first in (0..duration).step_by(64) {
                let shown = !0 >> (64 - (duration - first).min(64));
                let mut spikes = bernoulli(&mut random, probability) & shown;
                if ticks_per_ms == 1 {
                    train.words()[first / 64] = spikes;
                    continue;
                }
                while spikes != 0 {
                    let ms = first + spikes.trailing_zeros() as usize;
                    spikes &= spikes - 1;
                    train.set(ms * ticks_per_ms + random.random_range(0..clock.ticks_per_ms) as usize);
                }
            }
        }
    }

    fn bias_period(&self, _clock: Clock) -> f64 {
        period(self.input_rate)
    }
}

/// 64 independent bits, each 1 with this probability, in steps of 2^-32: for each, a random binary fraction is compared
/// with the probability's up to the first digit in which they differ.
pub(super) fn bernoulli(random: &mut impl Rng, probability: f64) -> u64 {
    let digits = (probability * 4_294_967_296.0).round() as u64;
    if digits >= 1 << 32 {
        return !0;
    }
    let (mut ones, mut undecided, mut left) = (0, !0u64, (digits as u32).reverse_bits());
    // Where all digits left are 0, a fraction that is equal so far is not below.
    while undecided != 0 && left != 0 {
        let drawn = random.next_u64();
        if left & 1 == 1 {
            ones |= undecided & !drawn;
            undecided &= drawn;
        } else {
            undecided &= !drawn;
        }
        left >>= 1;
    }
    ones
}

#[cfg(test)]
mod tests {
    use super::super::tests::spikes as train;
    use super::*;
    use crate::network::Tick;

    fn encode(values: &[f32], seed: u64, sample: u64, clock: Clock) -> Vec<(Tick, u32, bool)> {
        train(&Poisson { input_rate: 1000.0, seed }, values, sample, clock)
    }

    #[test]
    fn rates_follow_values() {
        let clock = Clock { duration: 100_000, ticks_per_ms: 7 };
        for value in [0.01f32, 0.3, 0.95] {
            let spikes = encode(&[value], 0, 0, clock);
            let expected = f64::from(value) * 1e5;
            // Five standard deviations of a binomial.
            let tolerance = 5.0 * (expected * (1.0 - f64::from(value))).sqrt();
            assert!((spikes.len() as f64 - expected).abs() < tolerance, "{value}: {}", spikes.len());
        }
    }

    #[test]
    fn samples_and_seeds_differ_and_repeat() {
        let clock = Clock { duration: 100, ticks_per_ms: 1 };
        let spikes = |seed, sample| encode(&[0.5; 10], seed, sample, clock);
        assert_eq!(spikes(1, 2), spikes(1, 2));
        assert_ne!(spikes(1, 2), spikes(1, 3));
        assert_ne!(spikes(1, 2), spikes(2, 2));
    }
}
