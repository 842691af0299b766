//! Regular code: each value is an integrator that gains it once per millisecond, fires at 1, and keeps what is left.
//!
//! Integrators start at different phases, spread evenly over all addresses by the golden ratio, so that equal values do
//! not fire together and the number of spikes up to any time is right on average: `floor(phase + value * time)`.

use super::{Clock, Raster, SpikeEncoder, period, spikes_per_ms};

/// The threshold of the integrators, in fixed point.
const ONE: u64 = 1 << 32;

/// The golden ratio's fraction in the same fixed point: multiples of it fill the unit interval evenly.
const GOLDEN: u32 = 0x9E37_79B9;

/// Evenly spaced spikes. See the top of the file.
///
/// ```
/// use megasim_core::encode::{Clock, SpikeEncoder, Raster, Regular};
/// let clock = Clock { duration: 100, ticks_per_ms: 10 };
/// let mut raster = Raster::default();
/// raster.start(clock.ticks());
/// Regular { input_rate: 1000.0 }.encode(&[0.25], 0, clock, &mut raster);
/// let mut ticks = Vec::new();
/// raster.in_time_order(|tick, _| ticks.push(tick));
/// assert_eq!(ticks.len(), 25);
/// assert!(ticks.windows(2).all(|pair| pair[1] - pair[0] == 40));
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Regular {
    /// Spikes per second of a value of 1; no value fires more than once per millisecond.
    pub input_rate: f64,
}

/// Fires each value `rate(value)` times per millisecond, at most once per tick.
fn integrate(values: &[f32], clock: Clock, raster: &mut Raster, rate: impl Fn(f32) -> f64) {
    let (end, ticks_per_ms) = (clock.ticks() as u64, u64::from(clock.ticks_per_ms));
    for (address, &value) in values.iter().enumerate() {
        let gain = (rate(value) * ONE as f64).round() as u64;
        if gain == 0 {
            continue;
        }
        let address = address as u32;
        let phase = u64::from((address + 1).wrapping_mul(GOLDEN)) + 1;
        // Spike n comes when phase + gain * ms = n * ONE, that is at tick (n * ONE - phase) * ticks_per_ms / gain.
        let first = (ONE - phase) * ticks_per_ms;
        let step = ONE * ticks_per_ms;
        let (mut tick, mut rest) = (first / gain, first % gain);
        let (whole, part) = (step / gain, step % gain);
        let mut train = raster.train(address, value < 0.0);
        while tick < end {
            train.set(tick as usize);
            tick += whole;
            rest += part;
            if rest >= gain {
                rest -= gain;
                tick += 1;
            }
        }
    }
}

impl SpikeEncoder for Regular {
    fn encode(&self, values: &[f32], _sample: u64, clock: Clock, raster: &mut Raster) {
        integrate(values, clock, raster, |value| spikes_per_ms(value, self.input_rate));
    }

    fn bias_period(&self, _clock: Clock) -> f64 {
        period(self.input_rate)
    }
}

/// Evenly spaced spikes, several per millisecond, for networks whose input takes as many: a value of `x` fires `x`
/// times per millisecond, at most `per_ms` times and at most once per tick. Biases act once per millisecond.
///
/// ```
/// use megasim_core::encode::{Clock, Events, Raster, SpikeEncoder};
/// let clock = Clock { duration: 4, ticks_per_ms: 10 };
/// let mut raster = Raster::default();
/// raster.start(clock.ticks());
/// Events { per_ms: 10 }.encode(&[2.5], 0, clock, &mut raster);
/// let mut spikes = 0;
/// raster.in_time_order(|_, trains| spikes += trains.len());
/// assert_eq!(spikes, 10);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Events {
    /// Spikes per millisecond of the largest value.
    pub per_ms: u32,
}

impl SpikeEncoder for Events {
    fn encode(&self, values: &[f32], _sample: u64, clock: Clock, raster: &mut Raster) {
        let most = f64::from(self.per_ms.min(clock.ticks_per_ms));
        integrate(values, clock, raster, |value| f64::from(value.abs()).min(most));
    }

    fn bias_period(&self, _clock: Clock) -> f64 {
        1.0
    }
}
