//! The clock of a softmax output: control events, evenly spaced or a Poisson process.

use super::Clock;
use crate::network::{Stimulus, StimulusEvent, Tick};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use std::fmt;
use std::str::FromStr;

/// When a softmax output spikes: as `--softmax-clock` says, `300`, `regular:300`, `poisson:300` or
/// `poisson:300,seed=7`.
///
/// ```
/// use megasim_core::encode::{Arrivals, SoftmaxClock};
///
/// let clock: SoftmaxClock = "poisson:250,seed=7".parse()?;
/// assert_eq!(clock, SoftmaxClock { rate: 250.0, arrivals: Arrivals::Poisson { seed: 7 } });
/// assert_eq!("300".parse::<SoftmaxClock>()?.to_string(), "regular:300");
/// # Ok::<(), String>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SoftmaxClock {
    /// Control events per second, above 0; at most one per tick comes.
    pub rate: f64,
    /// How they follow each other.
    pub arrivals: Arrivals,
}

/// How control events follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrivals {
    /// Evenly: each at the last tick of its period.
    Regular,
    /// As a Poisson process, which SNN toolbox has: one in each tick with the same probability.
    Poisson {
        /// Same seed, same events; each sample has a separate stream of random numbers.
        seed: u64,
    },
}

/// Control events per second where nothing else is asked for; SNN toolbox's default.
const DEFAULT_RATE: f64 = 300.0;

impl Default for SoftmaxClock {
    fn default() -> Self {
        Self { rate: DEFAULT_RATE, arrivals: Arrivals::Regular }
    }
}

impl fmt::Display for SoftmaxClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.arrivals {
            Arrivals::Regular => write!(f, "regular:{}", self.rate),
            Arrivals::Poisson { seed } => write!(f, "poisson:{},seed={seed}", self.rate),
        }
    }
}

impl FromStr for SoftmaxClock {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fault = |found: &str| {
            format!(
                "expected events per second (a number above 0), or regular:HZ, poisson:HZ or poisson:HZ,seed=S, found \
                 '{found}'"
            )
        };
        let (kind, values) = match text.split_once(':') {
            Some(parts) => parts,
            None if ["regular", "poisson"].contains(&text) => (text, ""),
            None => ("regular", text),
        };
        let (rate, seed) = values.split_once(',').map_or((values, None), |(rate, seed)| (rate, Some(seed)));
        let arrivals = match (kind, seed) {
            ("regular", None) => Arrivals::Regular,
            ("poisson", None) => Arrivals::Poisson { seed: 0 },
            ("poisson", Some(seed)) => {
                let seed = seed.strip_prefix("seed=").and_then(|seed| seed.parse().ok()).ok_or_else(|| fault(text))?;
                Arrivals::Poisson { seed }
            }
            _ => return Err(fault(text)),
        };
        let is_left_out = rate.is_empty() && kind == text;
        let rate = if is_left_out { DEFAULT_RATE } else { rate.parse().map_err(|_| fault(text))? };
        if f64::is_finite(rate) && rate > 0.0 { Ok(Self { rate, arrivals }) } else { Err(fault(text)) }
    }
}

impl SoftmaxClock {
    /// The control events of the sample with this number in its data set.
    pub fn stimulus(&self, sample: u64, clock: Clock) -> Stimulus {
        let period = (1000.0 * f64::from(clock.ticks_per_ms) / self.rate).max(1.0);
        match self.arrivals {
            Arrivals::Regular => {
                let ticks = (1..).map(|k| (f64::from(k) * period) as Tick - 1);
                let events = ticks.take_while(|&tick| tick < clock.ticks()).map(StimulusEvent::control);
                Stimulus::from_events(events)
            }
            Arrivals::Poisson { seed } => {
                let mut random = ChaCha8Rng::seed_from_u64(seed);
                // Not the stream from which a random input code draws this sample.
                random.set_stream(!sample);
                let ticks = (0..clock.ticks()).filter(|_| random.random_bool(1.0 / period));
                Stimulus::from_events(ticks.map(StimulusEvent::control))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn regular(rate: f64, clock: Clock) -> Stimulus {
        SoftmaxClock { rate, arrivals: Arrivals::Regular }.stimulus(0, clock)
    }

    #[test]
    fn it_ticks_at_the_end_of_each_period() {
        let clock = Clock { duration: 10, ticks_per_ms: 2 };
        assert_eq!(regular(300.0, clock).t_pre(), [5, 12, 19]);
        assert_eq!(regular(1000.0, clock).len(), 10);
        assert_eq!(regular(1e9, clock).len(), 20);
        assert_eq!(regular(1.0, clock).len(), 0);
        assert_eq!(regular(300.0, clock).event(0), StimulusEvent::control(5));
    }

    #[test]
    fn a_poisson_clock_has_its_rate_and_intervals_without_memory() {
        let clock = Clock { duration: 200_000, ticks_per_ms: 10 };
        for rate in [30.0, 300.0, 2000.0] {
            let events = SoftmaxClock { rate, arrivals: Arrivals::Poisson { seed: 3 } }.stimulus(5, clock);
            let probability = rate / 1e4;
            let expected = probability * clock.ticks() as f64;
            // Five standard deviations of a binomial.
            let tolerance = 5.0 * (expected * (1.0 - probability)).sqrt();
            assert!((events.len() as f64 - expected).abs() < tolerance, "{rate}: {}", events.len());
            let ticks = events.t_pre();
            let gaps: Vec<f64> = ticks.windows(2).map(|pair| (pair[1] - pair[0]) as f64).collect();
            let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
            let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
            // Of a geometric distribution.
            let expected = (1.0 - probability) / probability.powi(2);
            assert!((variance / expected - 1.0).abs() < 0.1, "{rate}: {variance} for {expected}");
        }
        let all = SoftmaxClock { rate: 1e9, arrivals: Arrivals::Poisson { seed: 3 } };
        assert_eq!(all.stimulus(0, Clock { duration: 10, ticks_per_ms: 2 }).len(), 20);
    }

    #[test]
    fn samples_and_seeds_differ_and_repeat() {
        let clock = Clock { duration: 1000, ticks_per_ms: 10 };
        let events = |seed, sample| {
            SoftmaxClock { rate: 300.0, arrivals: Arrivals::Poisson { seed } }.stimulus(sample, clock).t_pre().to_vec()
        };
        assert_eq!(events(1, 2), events(1, 2));
        assert_ne!(events(1, 2), events(1, 3));
        assert_ne!(events(1, 2), events(2, 2));
    }

    #[test]
    fn what_is_no_clock_is_refused() {
        for text in ["", "0", "-1", "inf", "nan", "poisson:", "poisson:0", "regular:3,seed=1", "poisson:3,7", "pso:3"] {
            let message = text.parse::<SoftmaxClock>().unwrap_err();
            assert!(message.contains("expected events per second") && message.contains(&format!("'{text}'")));
        }
        assert_eq!("poisson".parse(), Ok(SoftmaxClock { rate: 300.0, arrivals: Arrivals::Poisson { seed: 0 } }));
        let clock = SoftmaxClock { rate: 12.5, arrivals: Arrivals::Poisson { seed: 9 } };
        assert_eq!(clock.to_string().parse(), Ok(clock));
    }
}
