//! Signed neurons: each keeps its count of spikes equal to its input so far ([`Signed`]).

use super::runs::lines_of;
use super::{BOUNDS_RETRY, Neurons, Outside, Port, Sign, Signs, Spikes, Work, count_saturations, reach};
use super::{Synapses, Weights};
use crate::engine::aligned::Aligned;
use crate::engine::kernels::{self, SignedFire, Tests};
use crate::engine::population::NeuronPopulation;
use crate::network::{NeuronParameters, Signed};
use std::ops::Range;

/// What such neurons have in addition to a potential.
#[derive(Debug, Clone)]
pub(super) struct State {
    /// Spikes so far, with their signs.
    pub(super) counts: Aligned,
    /// `hysteresis`; 0 after a settle event.
    hysteresis: i32,
    /// No rule holds for any neuron, so that one event of a weight up to the threshold makes at most one spike.
    is_settled: bool,
}

impl State {
    pub fn new(n: usize) -> Self {
        Self { counts: Aligned::new(n), hysteresis: 0, is_settled: false }
    }

    pub fn reset(&mut self, parameters: &NeuronParameters, signed: Signed) {
        self.hysteresis = signed.hysteresis;
        self.counts.fill(0);
        self.is_settled = (-self.hysteresis..parameters.threshold_plus).contains(&parameters.rest());
    }
}

impl Neurons {
    /// Potentials, and how signed neurons spike on events that add or take away at most `most`.
    pub(super) fn firing_signed(
        &mut self,
        (plan, signed): (&NeuronPopulation, Signed),
        most: i64,
    ) -> (&mut [i32], SignedFire<'_>) {
        let Self { v, spikes, signed: state, .. } = self;
        let threshold = plan.neurons.threshold_plus;
        let (counts, hysteresis, is_settled): (&mut [i32], _, _) = match state {
            Some(state) => (&mut state.counts, state.hysteresis, state.is_settled),
            None => (&mut [], 0, false),
        };
        let rules = Signed { hysteresis, ..signed };
        let repeats = !is_settled || most > i64::from(threshold);
        (v, SignedFire { counts, threshold, rules, repeats, spikes })
    }

    /// Some events of one port, for which there is room; `most` is the largest weight of all ports. The spikes do not
    /// leave yet.
    pub(super) fn run_signed(
        &mut self,
        (plan, signed): (&NeuronPopulation, Signed),
        variant: kernels::Variant,
        (port, most): (&Port, i64),
        (x, y, signs): (&[i32], &[i32], Signs<'_>),
        run: Range<usize>,
    ) -> Result<u64, (usize, Outside)> {
        let mut lines = std::mem::take(&mut self.lines);
        let mut wide = std::mem::take(&mut self.wide);
        lines.clear();
        if let Synapses::Matrix { nx_pre, ny_pre, .. } = port.synapses {
            let matrix = Outside { nx_pre, ny_pre };
            lines_of((&x[run.clone()], &y[run.clone()]), matrix, &mut lines)
                .map_err(|(k, outside)| (run.start + k, outside))?;
        }
        let (v, mut fire) = self.firing_signed((plan, signed), most);
        let mut operations = (lines.len() * v.len()) as u64;
        match &port.synapses {
            Synapses::Matrix { weights, .. } => {
                let lines = (&lines[..], signs.slice(run));
                match weights {
                    Weights::Wide(weights) => kernels::run_signed_lines(variant, v, weights, lines, &mut fire),
                    Weights::Narrow(matrix) => {
                        kernels::run_signed_narrow(variant, v, matrix, lines, &mut wide, &mut fire);
                    }
                }
            }
            Synapses::Kernel(kernel) => {
                for (alike, sign) in signs.runs(run) {
                    let (shape, addresses) = ((plan.array, plan.maps), (&x[alike.clone()], &y[alike]));
                    operations += kernels::run_signed_kernel(variant, v, kernel, shape, addresses, sign, &mut fire);
                }
            }
        }
        self.lines = lines;
        self.wide = wide;
        Ok(operations)
    }

    /// One event, whose sums may leave 32 bits.
    pub(super) fn receive_signed(
        &mut self,
        (plan, signed): (&NeuronPopulation, Signed),
        variant: kernels::Variant,
        port: &Port,
        (x, y, sign): (i32, i32, Sign),
        out: &mut impl Spikes,
    ) -> Result<Work, Outside> {
        let (up, down) = port.most(sign);
        if self.headroom(plan, up, down, 1) > 0 {
            let operations = self.run_unchecked(plan, variant, port, (&[x], &[y], sign), 0, out);
            let operations = operations.map_err(|(_, outside)| outside)?;
            return Ok(Work { operations, updates: operations });
        }
        (self.low, self.high) = (i32::MIN.into(), i32::MAX.into());
        self.bounds_backoff = self.bounds_backoff.checked_sub(1).unwrap_or(BOUNDS_RETRY);
        let mut operations = 0;
        let mut wide = std::mem::take(&mut self.wide);
        let mut saturations = std::mem::take(&mut self.saturations);
        let (v, mut fire) = self.firing_signed((plan, signed), up.max(down));
        let reached = reach(plan, port, &mut wide, x, y, |weights, span| {
            operations += span.len as u64;
            let (v, weights) = (&mut v[span.neuron..][..span.len], &weights[span.weight..][..span.len]);
            count_saturations(v, weights, sign, span.neuron, plan.maps, &mut saturations);
            kernels::add_signed(variant, v, weights, (sign, true), span.neuron, &mut fire);
        });
        self.wide = wide;
        self.saturations = saturations;
        reached?;
        self.let_leave(plan, out);
        Ok(Work { operations, updates: operations })
    }

    /// The parameters of signed neurons, with the hysteresis that they have now.
    pub(super) fn signed_now(&self, plan: &NeuronPopulation) -> Option<Signed> {
        let hysteresis = self.signed.as_ref()?.hysteresis;
        Some(Signed { hysteresis, ..plan.neurons.signed()? })
    }

    /// Makes the hysteresis 0 until the next reset. Says whether the neurons are signed.
    pub(in crate::engine) fn end_hysteresis(&mut self) -> bool {
        let Some(state) = &mut self.signed else { return false };
        state.is_settled &= state.hysteresis == 0;
        state.hysteresis = 0;
        true
    }

    /// A settle event: the hysteresis ends, and all neurons are tested. Returns how many.
    pub(in crate::engine) fn settle(&mut self, plan: &NeuronPopulation, out: &mut impl Spikes) -> u64 {
        let Some(signed) = plan.neurons.signed().filter(|_| self.end_hysteresis()) else { return 0 };
        self.test_all((plan, signed), out);
        self.v.len() as u64
    }

    /// Lets every neuron spike until no rule holds.
    fn test_all(&mut self, (plan, signed): (&NeuronPopulation, Signed), out: &mut impl Spikes) {
        let (v, mut fire) = self.firing_signed((plan, signed), 0);
        v.iter_mut().enumerate().for_each(|(n, v)| *v = fire.apply(*v, n));
        if let Some(state) = &mut self.signed {
            state.is_settled = true;
        }
        self.let_leave(plan, out);
    }

    /// Clocked mode: every neuron takes the input of the step and is tested.
    pub(super) fn step_signed(
        &mut self,
        (plan, signed): (&NeuronPopulation, Signed),
        variant: kernels::Variant,
        out: &mut impl Spikes,
    ) {
        let n = self.v.len();
        let mut sums = std::mem::take(&mut self.sums);
        if sums.wide_used {
            (0..n).for_each(|n| self.store(plan, n, i64::from(self.v[n]).saturating_add(sums.of(n))));
            self.test_all((plan, signed), out);
            self.bound(plan);
        } else {
            sums.make_room(n, 0);
            let saturates = self.tests(plan, sums.bound, sums.bound) == Tests::Saturating;
            if saturates {
                count_saturations(&self.v, &sums.narrow, Sign::Plus, 0, plan.maps, &mut self.saturations);
            }
            let (v, mut fire) = self.firing_signed((plan, signed), sums.bound);
            kernels::add_signed(variant, v, &sums.narrow, (Sign::Plus, saturates), 0, &mut fire);
            if let Some(state) = &mut self.signed {
                state.is_settled = true;
            }
            self.let_leave(plan, out);
        }
        sums.clear();
        self.sums = sums;
    }

    /// Of signed neurons `V + n THplus`, which is the start potential and all input; of others the potential.
    pub(in crate::engine) fn totals(&self, plan: &NeuronPopulation) -> Vec<i64> {
        let threshold = i64::from(plan.neurons.threshold_plus);
        let count = |n: usize| self.signed.as_ref().map_or(0, |state| i64::from(state.counts[n]));
        self.v.iter().enumerate().map(|(n, &v)| i64::from(v) + count(n) * threshold).collect()
    }
}
