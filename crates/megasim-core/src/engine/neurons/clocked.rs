//! Clocked mode: the input of a step is summed, then all neurons act.

use super::runs::Change;
use super::thresholds::Thresholds;
use super::{Neurons, Outside, Port, Sign, Signs, Spikes, Synapses, count_saturations, extremes, reach};
use crate::engine::aligned::Aligned;
use crate::engine::kernels::{self, Crossing, Tests};
use crate::engine::population::NeuronPopulation;
use crate::network::Tick;

/// Input of one clocked step: 32-bit sums while they are certain to fit, emptied into 64 bits otherwise.
#[derive(Debug, Clone, Default)]
pub(super) struct Sums {
    pub(super) narrow: Aligned,
    /// The largest magnitude that `narrow` may hold.
    pub(super) bound: i64,
    wide: Vec<i64>,
    pub(super) wide_used: bool,
}

impl Neurons {
    /// Clocked mode: adds the weights of a run of events of one sign to the input of the step.
    pub(in crate::engine) fn sum_run(
        &mut self,
        plan: &NeuronPopulation,
        variant: kernels::Variant,
        port: &Port,
        (x, y, sign): (&[i32], &[i32], Sign),
    ) -> Result<u64, (usize, Outside)> {
        let mut operations = 0;
        if let Synapses::Kernel(kernel) = &port.synapses {
            let most = |Change { up, down, .. }: Change| up.max(down);
            let mut bound = most(Change::by_number(port, x.len(), Signs::All(sign)));
            if self.sums.bound + bound > i64::from(i32::MAX) {
                bound = most(Change::by_address(port, x, y, Signs::All(sign)));
            }
            if bound <= i64::from(i32::MAX) {
                self.sums.make_room(self.v.len(), bound);
                let shape = (plan.array, plan.maps);
                return Ok(kernels::add_kernel(variant, &mut self.sums.narrow, kernel, shape, (x, y), sign));
            }
        }
        for (k, (&x, &y)) in x.iter().zip(y).enumerate() {
            operations += self.sum(plan, variant, port, (x, y, sign)).map_err(|outside| (k, outside))?;
        }
        Ok(operations)
    }

    fn sum(
        &mut self,
        plan: &NeuronPopulation,
        variant: kernels::Variant,
        port: &Port,
        (x, y, sign): (i32, i32, Sign),
    ) -> Result<u64, Outside> {
        let Self { sums, wide, .. } = self;
        let most = port.largest();
        let mut operations = 0;
        if most > i64::from(i32::MAX) {
            // Only -2^31 with its sign changed: it does not fit a 32-bit sum even alone.
            sums.widen(self.v.len());
            reach(plan, port, wide, x, y, |weights, span| {
                operations += span.len as u64;
                let wide = &mut sums.wide[span.neuron..][..span.len];
                for (sum, &weight) in wide.iter_mut().zip(&weights[span.weight..]) {
                    *sum = sum.saturating_add(sign.factor() * i64::from(weight));
                }
            })?;
            return Ok(operations);
        }
        sums.make_room(self.v.len(), most);
        reach(plan, port, wide, x, y, |weights, span| {
            operations += span.len as u64;
            let sums = &mut sums.narrow[span.neuron..][..span.len];
            kernels::add(variant, sums, &weights[span.weight..][..span.len], sign);
        })?;
        Ok(operations)
    }

    /// Clocked mode, steps of `dt`: every neuron leaks up to `s`, takes the input of the step, and is tested. Says
    /// whether a potential is still beyond a threshold that makes it spike.
    pub(in crate::engine) fn step(
        &mut self,
        plan: &NeuronPopulation,
        variant: kernels::Variant,
        (s, dt): (Tick, Tick),
        out: &mut impl Spikes,
    ) -> bool {
        if let Some(signed) = plan.neurons.signed() {
            self.step_signed((plan, signed), variant, out);
            return false;
        }
        let parameters = &plan.neurons;
        let mut sums = std::mem::take(&mut self.sums);
        let plain = self.refractory_until.is_empty() && self.updated.is_empty() && !plan.softmax && !sums.wide_used;
        if plain {
            sums.make_room(self.v.len(), 0);
            let (mut up, mut down) = (sums.bound, sums.bound);
            if !self.fits(up, down) {
                // The sums themselves say more than what they were bound to stay below.
                let (low, high) = extremes(&sums.narrow);
                (up, down) = (i64::from(high).max(0), -i64::from(low).min(0));
            }
            let tests = self.tests(plan, up, down);
            if tests == Tests::Saturating {
                count_saturations(&self.v, &sums.narrow, Sign::Plus, 0, plan.maps, &mut self.saturations);
            }
            let thresholds = (parameters.threshold_plus, parameters.threshold_minus);
            kernels::add_and_test(variant, &mut self.v, &sums.narrow, Sign::Plus, thresholds, tests, 0, &mut self.hits);
        } else {
            let clamped = !plan.softmax && parameters.leaks_beyond();
            for n in 0..self.v.len() {
                if plan.decay.is_some() {
                    // In every step, as what is cut off in one step is not there in the next.
                    self.leak(plan, n, s);
                }
                if self.lost(n, s) {
                    continue;
                }
                if clamped {
                    self.clamp_before(plan, n, (s, dt));
                }
                self.leak(plan, n, s);
                self.store(plan, n, i64::from(self.v[n]).saturating_add(sums.of(n)));
                if !plan.softmax {
                    self.hits.push(Crossing(n as u32));
                }
            }
            self.bound(plan);
        }
        sums.clear();
        self.sums = sums;
        let beyond = self.test_hits(plan, s, out);
        if plain || plan.softmax { beyond } else { self.v.iter().any(|&v| parameters.spikes_at(v)) }
    }
}

impl Sums {
    /// Room for one more addition of at most `most` to each sum.
    pub(super) fn make_room(&mut self, n: usize, most: i64) {
        self.narrow.grow(n);
        if self.bound + most > i64::from(i32::MAX) {
            let (low, high) = extremes(&self.narrow);
            self.bound = i64::from(high).max(-i64::from(low)).max(0);
        }
        if self.bound + most > i64::from(i32::MAX) {
            self.widen(n);
        }
        self.bound += most;
    }

    /// Empties the 32-bit sums into the 64-bit ones.
    pub(super) fn widen(&mut self, n: usize) {
        self.narrow.grow(n);
        self.wide.resize(n, 0);
        for (wide, narrow) in self.wide.iter_mut().zip(self.narrow.iter_mut()) {
            *wide = wide.saturating_add(i64::from(std::mem::take(narrow)));
        }
        self.wide_used = true;
        self.bound = 0;
    }

    /// Adds to one of the 64-bit sums, which are there.
    pub(super) fn add(&mut self, n: usize, part: i64) {
        self.wide[n] = self.wide[n].saturating_add(part);
    }

    pub(super) fn of(&self, n: usize) -> i64 {
        let wide = if self.wide_used { self.wide[n] } else { 0 };
        wide.saturating_add(self.narrow.get(n).copied().unwrap_or(0).into())
    }

    pub(super) fn clear(&mut self) {
        self.narrow.fill(0);
        self.bound = 0;
        if self.wide_used {
            self.wide.fill(0);
            self.wide_used = false;
        }
    }
}
