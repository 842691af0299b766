//! Poisson code: in each millisecond a value fires with a probability equal to it, at a tick drawn evenly.
//!
//! What is drawn is the number of milliseconds between two spikes, which is geometric: `floor(ln u / ln (1 - p))` for `u` even in
//! (0, 1]. So a sample costs as many draws as it has spikes, whatever its duration and the fineness of time.

use super::{Clock, Code, Spike, period, spikes_per_ms};
use crate::network::Tick;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Random spikes; a sample's are drawn from a stream of random numbers of its own. See the top of the file.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Poisson {
    /// Spikes a second of a value of 1; no value fires more than once a millisecond.
    pub input_rate: f64,
    /// Same seed, same spikes.
    pub seed: u64,
}

impl Code for Poisson {
    fn encode(&self, values: &[f32], sample: u64, clock: Clock, spikes: &mut Vec<Spike>) {
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        random.set_stream(sample);
        for (address, &value) in values.iter().enumerate() {
            let probability = spikes_per_ms(value, self.input_rate);
            if probability == 0.0 {
                continue;
            }
            let per_ln = (-probability).ln_1p().recip();
            let mut ms = 0;
            loop {
                let gap = if probability < 1.0 {
                    let even: f64 = random.random();
                    // Saturates where it is beyond any duration.
                    ((1.0 - even).ln() * per_ln) as u32
                } else {
                    0
                };
                ms = gap.saturating_add(ms);
                if ms >= clock.duration {
                    break;
                }
                let within = if clock.ticks_per_ms > 1 { random.random_range(0..clock.ticks_per_ms) } else { 0 };
                let tick = Tick::from(ms) * Tick::from(clock.ticks_per_ms) + Tick::from(within);
                spikes.push(Spike { tick, address: address as u32, negative: value < 0.0 });
                ms += 1;
            }
        }
    }

    fn bias_period(&self) -> f64 {
        period(self.input_rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encode(values: &[f32], seed: u64, sample: u64, clock: Clock) -> Vec<Spike> {
        let mut spikes = Vec::new();
        Poisson { input_rate: 1000.0, seed }.encode(values, sample, clock, &mut spikes);
        spikes
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
