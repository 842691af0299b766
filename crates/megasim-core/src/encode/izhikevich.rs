//! Codes of E. M. Izhikevich's neurons ("Simple model of spiking neurons", IEEE Trans. Neural Networks 14:6, 2003):
//! `ib`, intrinsically bursting, as in ANNarchy's converter, and `ch`, chattering.
//!
//! `v' = 0.04 v^2 + 5 v + 140 - u + I`, `u' = a (b v - u)`, where the current `I` is `max_f * value`; explicit Euler
//! steps of a millisecond, both from the old `v` and `u`. Above 30 mV the neuron fires, at the first tick of the
//! millisecond, and `v <- c`, `u <- u + d`.

use super::shared::by_magnitude;
use super::{Clock, Raster, SpikeEncoder};

/// Spikes of a neuron that the value drives. See the top of the file.
///
/// ```
/// use megasim_core::encode::{Clock, SpikeEncoder, Izhikevich, Raster};
/// let mut raster = Raster::default();
/// raster.start(100);
/// Izhikevich::intrinsically_bursting(100.0).encode(&[0.1], 0, Clock { duration: 100, ticks_per_ms: 1 }, &mut raster);
/// let mut ticks = Vec::new();
/// raster.in_time_order(|tick, _| ticks.push(tick));
/// // A burst, then single spikes.
/// assert_eq!(ticks, [3, 7, 15, 58, 92]);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Izhikevich {
    /// Rate of recovery, 1/ms.
    pub a: f64,
    /// Sensitivity of the recovery to the potential.
    pub b: f64,
    /// Potential after a spike, mV.
    pub c: f64,
    /// What a spike adds to the recovery.
    pub d: f64,
    /// Potential and recovery at the start.
    pub start: (f64, f64),
    /// The current of a value of 1.
    pub max_f: f64,
}

impl Izhikevich {
    /// `ib`: c = -55, d = 4, start at (-55, -13), as ANNarchy has it.
    pub fn intrinsically_bursting(max_f: f64) -> Self {
        Self { a: 0.02, b: 0.2, c: -55.0, d: 4.0, start: (-55.0, -13.0), max_f }
    }

    /// `ch`: c = -50, d = 2, start at (-65, -13), Izhikevich's resting point.
    pub fn chattering(max_f: f64) -> Self {
        Self { a: 0.02, b: 0.2, c: -50.0, d: 2.0, start: (-65.0, -13.0), max_f }
    }
}

impl SpikeEncoder for Izhikevich {
    fn encode(&self, values: &[f32], _sample: u64, clock: Clock, raster: &mut Raster) {
        let ticks_per_ms = clock.ticks_per_ms as usize;
        by_magnitude(values, raster, |value, train| {
            let (mut v, mut u) = self.start;
            for ms in 0..clock.duration as usize {
                let dv = 0.04 * v * v + 5.0 * v + 140.0 - u + self.max_f * value;
                let du = self.a * (self.b * v - u);
                v += dv;
                u += du;
                if v > 30.0 {
                    train.set(ms * ticks_per_ms);
                    v = self.c;
                    u += self.d;
                }
            }
        });
    }
}
