//! One neuron with thresholds: how it leaks, adds and spikes (`docs/engine.md`, Neurons).

use super::{NEVER, saturate};
use crate::equations::Decay;
use crate::network::{NeuronParameters, Polarity, Reset, Tick};

/// The potential of a neuron, and the times that its parameters need.
#[derive(Debug)]
pub(in crate::engine) struct Neuron<'n> {
    pub v: &'n mut i32,
    /// Time of the last spike of either sign, where `Tmin` acts.
    pub last_spike: Option<&'n mut Tick>,
    /// End of the refractory time, where there is one.
    pub refractory_until: Option<&'n mut Tick>,
    /// Time up to which the leak is settled, where there is one.
    pub updated: Option<&'n mut Tick>,
}

impl Neuron<'_> {
    /// Whether input at `s` is lost to the refractory time.
    #[inline(always)]
    pub fn is_refractory(&self, s: Tick) -> bool {
        self.refractory_until.as_ref().is_some_and(|until| s < **until)
    }

    /// Falls towards rest: exponentially, or by `TLplus` per tick from above, `TLminus` per tick from below.
    #[inline(always)]
    pub fn leak(&mut self, parameters: &NeuronParameters, decay: Option<&Decay>, s: Tick) {
        let Some(updated) = self.updated.as_deref_mut() else { return };
        let ticks = s.saturating_sub(*updated);
        *updated = s;
        let rest = i64::from(parameters.rest());
        let gap = i64::from(*self.v) - rest;
        if let Some(decay) = decay {
            *self.v = (rest + decay.after(gap, ticks)) as i32;
            return;
        }
        let fall = if gap > 0 {
            gap.min(ticks.saturating_mul(parameters.leak_plus.into()))
        } else {
            gap.max(-ticks.saturating_mul(parameters.leak_minus.into()))
        };
        *self.v = (i64::from(*self.v) - fall) as i32;
    }

    /// Adds an input; says whether the sum was cut off at the 32-bit limits.
    #[inline(always)]
    pub fn add(&mut self, input: i64) -> bool {
        let sum = i64::from(*self.v) + input;
        *self.v = saturate(sum);
        i64::from(*self.v) != sum
    }

    /// Tests it against its thresholds, changes its state if it spikes, and says with which sign.
    #[inline(always)]
    pub fn test(&mut self, parameters: &NeuronParameters, s: Tick) -> Option<Polarity> {
        let v = *self.v;
        let polarity = if v >= parameters.threshold_plus {
            if !parameters.fires_plus {
                *self.v = parameters.threshold_plus;
                return None;
            }
            Polarity::Positive
        } else if v <= parameters.threshold_minus {
            if !parameters.fires_minus {
                *self.v = parameters.threshold_minus;
                return None;
            }
            Polarity::Negative
        } else {
            return None;
        };
        if let Some(last) = self.last_spike.as_deref_mut() {
            if *last != NEVER && s.saturating_sub(*last) < parameters.t_min {
                return None;
            }
            *last = s;
        }
        *self.v = after_spike(parameters, v, polarity);
        if let Some(until) = self.refractory_until.as_deref_mut() {
            *until = s.saturating_add(parameters.refractory);
        }
        Some(polarity)
    }
}

/// The potential after a spike, by `Reset_to_reminder`.
pub(super) fn after_spike(parameters: &NeuronParameters, v: i32, polarity: Polarity) -> i32 {
    let (v, plus, minus) = (i64::from(v), i64::from(parameters.threshold_plus), i64::from(parameters.threshold_minus));
    match (parameters.reset, polarity) {
        (Reset::ToRest, _) => parameters.membrane_reset,
        (Reset::Subtract, Polarity::Positive) => saturate(v - plus),
        (Reset::Subtract, _) => saturate(v - minus),
        (Reset::Modulo, Polarity::Positive) => saturate(v.rem_euclid(plus)),
        (Reset::Modulo, _) => saturate(-((-v).rem_euclid(-minus))),
    }
}
