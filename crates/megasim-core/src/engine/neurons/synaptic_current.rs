//! Neurons behind a decaying current (`mask_tau`): spikes charge the current, control events move part of it to the
//! potential.

use super::thresholds::Thresholds;
use super::{Neurons, Outside, Port, Sign, Spikes, Work, reach, saturate};
use crate::engine::kernels::Crossing;
use crate::engine::population::NeuronPopulation;
use crate::network::Tick;

impl Neurons {
    /// One spike event: every touched current gets its weight.
    pub(super) fn receive_masked(
        &mut self,
        plan: &NeuronPopulation,
        port: &Port,
        (x, y, sign): (i32, i32, Sign),
    ) -> Result<Work, Outside> {
        let mut operations = 0;
        let mut wide = std::mem::take(&mut self.wide);
        let reached = reach(plan, port, &mut wide, x, y, |weights, span| {
            operations += span.len as u64;
            for (k, &weight) in weights[span.weight..][..span.len].iter().enumerate() {
                self.charge(plan, span.neuron + k, sign.factor() * i64::from(weight));
            }
        });
        self.wide = wide;
        reached.map(|()| Work { operations, updates: 0 })
    }

    fn charge(&mut self, plan: &NeuronPopulation, n: usize, input: i64) {
        let sum = i64::from(self.currents[n]).saturating_add(input);
        let stored = saturate(sum);
        self.saturations[n % plan.maps] += u64::from(i64::from(stored) != sum);
        self.currents[n] = stored;
    }

    /// One part in `mask_tau` of the current, toward zero, which it loses.
    fn discharge(&mut self, plan: &NeuronPopulation, n: usize) -> i64 {
        let part = self.currents[n] / plan.neurons.mask_tau;
        self.currents[n] -= part;
        part.into()
    }

    /// A control event: every neuron takes its part and is tested. Returns how many were not refractory.
    pub(super) fn discharge_all(&mut self, plan: &NeuronPopulation, s: Tick, out: &mut impl Spikes) -> u64 {
        for n in 0..self.v.len() {
            let part = self.discharge(plan, n);
            if !self.lost(n, s) {
                self.leak(plan, n, s);
                self.store(plan, n, i64::from(self.v[n]) + part);
                self.hits.push(Crossing(n as u32));
            }
        }
        let updates = self.hits.len() as u64;
        self.test_hits(plan, s, out);
        updates
    }

    /// Clocked mode: currents take the input of the step, then potentials one part for each control event of the step;
    /// all neurons are tested. Says whether a potential is still beyond a threshold that makes it spike.
    pub(in crate::engine) fn step_masked(
        &mut self,
        plan: &NeuronPopulation,
        (s, dt): (Tick, Tick),
        controls: usize,
        out: &mut impl Spikes,
    ) -> bool {
        let mut sums = std::mem::take(&mut self.sums);
        let clamped = plan.neurons.leaks_beyond();
        for n in 0..self.v.len() {
            self.charge(plan, n, sums.of(n));
            let input: i64 = (0..controls).map(|_| self.discharge(plan, n)).sum();
            if plan.decay.is_some() {
                self.leak(plan, n, s);
            }
            if !self.lost(n, s) {
                if clamped {
                    self.clamp_before(plan, n, (s, dt));
                }
                self.leak(plan, n, s);
                self.store(plan, n, i64::from(self.v[n]) + input);
                self.hits.push(Crossing(n as u32));
            }
        }
        sums.clear();
        self.sums = sums;
        self.test_hits(plan, s, out);
        self.v.iter().any(|&v| plan.neurons.spikes_at(v))
    }
}
