//! Neurons that take input one by one, and their spikes.

use super::places::NEGATIVE;
use super::rules::{Kind, Rules};

/// The neurons of a layer.
pub(in crate::engine) struct Singles<'n> {
    pub v: &'n mut [i32],
    /// Of signed neurons.
    pub counts: &'n mut [i32],
    /// By map.
    pub saturations: &'n mut [u64],
}

/// What is alike for all neurons of a layer.
#[derive(Clone, Copy)]
pub(super) struct Fixed {
    pub rules: Rules,
    maps: usize,
    /// Sums between this and `least + span` make at most one spike, without saturation.
    least: i64,
    span: u64,
}

impl Fixed {
    pub fn new<K: Kind>(rules: &Rules, maps: usize) -> Self {
        let (least, most) = if K::SIGNED {
            let (threshold, hysteresis) = (i64::from(rules.threshold), i64::from(rules.signed.hysteresis));
            (-hysteresis - threshold, (2 * threshold).min(i64::from(i32::MAX) + 1))
        } else {
            (i64::from(rules.floor) + 1, i64::from(i32::MAX) + 1)
        };
        let least = least.max(i32::MIN.into());
        Self { rules: *rules, maps, least, span: (most - least) as u64 }
    }

    /// One neuron takes some input and is tested. Returns how many spikes it makes, or takes back.
    ///
    /// In the usual case at most one, without a branch on it, as nothing could predict that.
    #[inline(always)]
    pub fn take<K: Kind>(&self, (v, count): (&mut i32, &mut i32), input: i64) -> Result<i32, i64> {
        let Rules { threshold, signed, reset, .. } = self.rules;
        let sum = i64::from(*v) + input;
        if (sum - self.least) as u64 >= self.span {
            return Err(sum);
        }
        let sum = sum as i32;
        if K::SIGNED {
            let up = i32::from(sum >= threshold) & i32::from(*count < signed.max_count);
            let down = i32::from(sum < -signed.hysteresis) & i32::from(*count > signed.min_count);
            *v = sum.wrapping_sub((up - down).wrapping_mul(threshold));
            *count += up - down;
            return Ok(up - down);
        }
        let up = sum >= threshold;
        *v = if up { reset.after(sum, threshold) } else { sum };
        Ok(up.into())
    }
}

/// The places of the spikes of a neuron.
#[inline(always)]
pub(super) fn places_of(n: usize, spikes: i64) -> impl Iterator<Item = u32> {
    std::iter::repeat_n(n as u32 | if spikes < 0 { NEGATIVE } else { 0 }, spikes.unsigned_abs() as usize)
}

/// Neurons that take input, and their spikes.
pub(super) struct Takers<'t> {
    pub fixed: Fixed,
    pub v: &'t mut [i32],
    pub counts: &'t mut [i32],
    pub saturations: &'t mut [u64],
    pub spikes: &'t mut Vec<u32>,
}

impl Takers<'_> {
    /// Successive neurons take an input each; says whether the last one is at or beyond the threshold.
    #[inline(always)]
    pub fn take<K: Kind>(&mut self, first: usize, inputs: impl ExactSizeIterator<Item = i64>) -> bool {
        let len = inputs.len();
        let v = &mut self.v[first..first + len];
        let counts = if K::SIGNED { &mut self.counts[first..first + len] } else { &mut [][..] };
        let mut none = 0;
        let mut beyond = false;
        self.spikes.reserve(len);
        for (k, input) in inputs.enumerate() {
            let neuron = (&mut v[k], if K::SIGNED { &mut counts[k] } else { &mut none });
            let n = first + k;
            match self.fixed.take::<K>((&mut *neuron.0, &mut *neuron.1), input) {
                Ok(spikes) => {
                    let len = self.spikes.len();
                    // SAFETY: there is room, and it is written.
                    unsafe {
                        self.spikes.as_mut_ptr().add(len).write(n as u32 | spikes as u32 & NEGATIVE);
                        self.spikes.set_len(len + (spikes & 1) as usize);
                    }
                }
                Err(sum) => {
                    let saturations = &mut self.saturations[n % self.fixed.maps];
                    let neuron = (&mut *neuron.0, &mut *neuron.1);
                    let spikes = self.fixed.rules.take::<K>(neuron, sum, saturations);
                    self.spikes.extend(places_of(n, spikes));
                    self.spikes.reserve(len);
                }
            }
            beyond = !K::SIGNED && *neuron.0 >= self.fixed.rules.threshold;
        }
        beyond
    }
}

/// A weight with the sign of the event.
#[inline(always)]
pub(super) fn signed(weight: i32, place: u32) -> i64 {
    let negative = i64::from(place >> 31);
    (i64::from(weight) ^ -negative) + negative
}
