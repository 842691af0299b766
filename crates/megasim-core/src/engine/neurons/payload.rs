//! Spikes with values: neurons that take them, and neurons whose spikes carry residuals.
//!
//! Values are in units of 2^-16 of a spike. Such modules take the general path, neuron by neuron.

use super::{Neurons, Outside, Port, Sign, Spike, Spikes, Work, reach};
use crate::engine::population::NeuronPopulation;
use crate::network::{MAX_PAYLOAD_BITS, Polarity, Tick, WHOLE_SPIKE};

/// What a spike with a value adds to a potential: its share of the weight, halves rounded up.
fn part(weight: i32, sign: Sign, value: i32) -> i64 {
    let product = sign.factor() * i64::from(weight) * i64::from(value);
    (product + i64::from(WHOLE_SPIKE / 2)).div_euclid(WHOLE_SPIKE.into())
}

/// What the spike of one sign carries, in units of 2^-16, with `bits` bits behind the point: the spike, and by how much
/// the residual that is left over it has grown since the residual that was sent last. The latter is in parts of the
/// threshold, `2^-bits` each.
fn payload(sign: i64, residual: i64, threshold: i64, bits: u8, sent: &mut i64) -> i32 {
    let spare = MAX_PAYLOAD_BITS - bits;
    let whole = sign << bits;
    let parts = (residual << bits).div_euclid(threshold);
    // What does not fit is sent with the next spike.
    let most = i64::from(i32::MAX >> spare);
    let carried = (whole + parts - *sent).clamp(-most, most);
    *sent += carried - whole;
    ((sign * carried) << spare) as i32
}

impl Neurons {
    /// Tests one neuron, whose spike carries a value where the module says so.
    pub(super) fn test_to_leave(&mut self, plan: &NeuronPopulation, n: usize, s: Tick) -> Option<Spike> {
        let parameters = &plan.neurons;
        let polarity = self.test(parameters, n, s)?;
        let Some(bits) = parameters.payload_bits else { return Self::leaves(plan, n, polarity) };
        let (sign, threshold) = match polarity {
            Polarity::Positive => (1, i64::from(parameters.threshold_plus)),
            // Thresholds of both signs are alike.
            _ => (-1, -i64::from(parameters.threshold_minus)),
        };
        let value = payload(sign, self.v[n].into(), threshold, bits, &mut self.sent[n]);
        Some(Spike { value: Some(value), ..Self::leaves(plan, n, polarity)? })
    }

    /// Events of one sign, at `(x, y)`, each with its value, one after the other.
    pub(in crate::engine) fn receive_values(
        &mut self,
        plan: &NeuronPopulation,
        port: &Port,
        (x, y, sign, value): (&[i32], &[i32], Sign, &[i32]),
        s: Tick,
        out: &mut impl Spikes,
    ) -> Result<Work, (usize, Outside)> {
        let mut work = Work::default();
        let mut wide = std::mem::take(&mut self.wide);
        let mut result = Ok(());
        for (k, ((&x, &y), &value)) in x.iter().zip(y).zip(value).enumerate() {
            let reached = reach(plan, port, &mut wide, x, y, |weights, span| {
                for k in 0..span.len {
                    work += self.take(plan, span.neuron + k, part(weights[span.weight + k], sign, value), s, out);
                }
            });
            if let Err(outside) = reached {
                result = Err((k, outside));
                break;
            }
        }
        self.wide = wide;
        result.map(|()| work)
    }

    /// Clocked mode: adds events of one sign, each with its value, to the input of the step.
    pub(in crate::engine) fn sum_values(
        &mut self,
        plan: &NeuronPopulation,
        port: &Port,
        (x, y, sign, value): (&[i32], &[i32], Sign, &[i32]),
    ) -> Result<u64, (usize, Outside)> {
        let Self { sums, wide, v, .. } = self;
        sums.widen(v.len());
        let mut operations = 0;
        for (k, ((&x, &y), &value)) in x.iter().zip(y).zip(value).enumerate() {
            reach(plan, port, wide, x, y, |weights, span| {
                operations += span.len as u64;
                for k in 0..span.len {
                    sums.add(span.neuron + k, part(weights[span.weight + k], sign, value));
                }
            })
            .map_err(|outside| (k, outside))?;
        }
        Ok(operations)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// What has been sent is the number of spikes and the residual, cut off, but for what did not fit.
        #[test]
        fn nothing_is_lost(
            spikes in prop::collection::vec((any::<bool>(), any::<i32>()), 1..20),
            threshold in 1..=i64::from(i32::MAX),
            bits in 0..=16u8,
        ) {
            let (mut sent, mut sum, mut count) = (0, 0i64, 0i64);
            for (plus, residual) in spikes {
                let sign = if plus { 1 } else { -1 };
                let value = payload(sign, residual.into(), threshold, bits, &mut sent);
                count += sign;
                sum += sign * i64::from(value);
                prop_assert_eq!(value % (1 << (16 - bits)), 0);
                prop_assert_eq!(sum, (count << 16) + (sent << (16 - bits)));
                let all = (i64::from(residual) << bits).div_euclid(threshold);
                let is_most = i64::from(value.unsigned_abs()) >> (16 - bits) == i64::from(i32::MAX >> (16 - bits));
                prop_assert!(is_most || sent == all);
            }
        }
    }

    #[test]
    fn a_whole_spike_adds_its_weight() {
        for weight in [0, 1, -1, 7, i32::MAX, i32::MIN] {
            assert_eq!(part(weight, Sign::Plus, WHOLE_SPIKE), i64::from(weight));
            assert_eq!(part(weight, Sign::Minus, WHOLE_SPIKE), -i64::from(weight));
        }
        assert_eq!(part(3, Sign::Plus, WHOLE_SPIKE / 2), 2);
        assert_eq!(part(3, Sign::Minus, WHOLE_SPIKE / 2), -1);
    }
}
