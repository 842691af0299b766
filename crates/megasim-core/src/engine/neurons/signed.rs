//! Signed neurons: each keeps its count of spikes equal to its input so far ([`Signed`]).

use super::{BOUNDS_RETRY, Neurons, Outside, Port, Sign, Span, Spikes, Synapses, Weights, Work, count_saturations};
use crate::engine::aligned::Aligned;
use crate::engine::kernels::{self, Crossing, Limits, Tests};
use crate::engine::plan::NeuronPopulation;
use crate::network::{NeuronParameters, Polarity, Signed};

/// What such neurons have in addition to a potential.
#[derive(Debug, Clone)]
pub(super) struct State {
    /// Spikes so far, with their signs.
    counts: Vec<i32>,
    /// The potential from which on a neuron spikes; `i32::MAX` where its count is at its maximum.
    upper: Aligned,
    /// The potential down from which a neuron takes a spike back; `i32::MIN` where its count is at its minimum.
    lower: Aligned,
    /// `hysteresis`; 0 after a settle event.
    hysteresis: i32,
}

impl State {
    pub fn new(n: usize) -> Self {
        Self { counts: vec![0; n], upper: Aligned::new(n), lower: Aligned::new(n), hysteresis: 0 }
    }

    pub fn reset(&mut self, parameters: &NeuronParameters, signed: Signed) {
        self.hysteresis = signed.hysteresis;
        self.counts.fill(0);
        self.upper.fill(parameters.threshold_plus);
        self.lower.fill(if signed.min_count < 0 { -1 - self.hysteresis } else { i32::MIN });
    }

    /// Sets the limits of neuron `n` by its count.
    fn limit(&mut self, threshold: i32, signed: Signed, n: usize) {
        self.upper[n] = if self.counts[n] < signed.max_count { threshold } else { i32::MAX };
        self.lower[n] = if self.counts[n] > signed.min_count { -1 - self.hysteresis } else { i32::MIN };
    }

    /// Applies both rules to neuron `n` until neither holds; the spikes, with their sign.
    fn test(&mut self, parameters: &NeuronParameters, signed: Signed, v: &mut i32, n: usize) -> i32 {
        let threshold = i64::from(parameters.threshold_plus);
        let (potential, count) = (i64::from(*v), i64::from(self.counts[n]));
        let below = -i64::from(self.hysteresis);
        // Nearly always one; a division costs more than all the rest.
        let spikes = if potential >= threshold {
            let needed = if potential < 2 * threshold { 1 } else { potential / threshold };
            needed.min(i64::from(signed.max_count) - count)
        } else if potential < below {
            // The least number after which the potential is not below.
            let missing = below - potential;
            let needed = if missing <= threshold { 1 } else { (missing + threshold - 1) / threshold };
            -needed.min(count - i64::from(signed.min_count))
        } else {
            0
        };
        // Both stay inside 32 bits: the potential comes nearer to 0, the count keeps its bounds.
        *v = (potential - spikes * threshold) as i32;
        self.counts[n] = (count + spikes) as i32;
        self.limit(parameters.threshold_plus, signed, n);
        spikes as i32
    }
}

impl Neurons {
    /// A run of events of one sign: each adds its weights, and the neurons for which a rule holds spike.
    pub(super) fn receive_signed(
        &mut self,
        (plan, signed): (&NeuronPopulation, Signed),
        variant: kernels::Variant,
        port: &Port,
        (x, y, sign): (&[i32], &[i32], Sign),
        out: &mut impl Spikes,
    ) -> Result<Work, (usize, Outside)> {
        let (up, down) = port.most(sign);
        let mut operations = 0;
        let mut at = 0;
        while at < x.len() {
            let headroom = self.headroom(plan, up, down, x.len() - at);
            let saturates = headroom == 0;
            if saturates {
                (self.low, self.high) = (i32::MIN.into(), i32::MAX.into());
                self.bounds_backoff = self.bounds_backoff.checked_sub(1).unwrap_or(BOUNDS_RETRY);
            }
            let end = at + headroom.max(1);
            while at < end {
                let event = (x[at], y[at], sign);
                let added = self.add_signed(plan, variant, port, event, saturates);
                operations += added.map_err(|outside| (at, outside))?;
                if !self.hits.is_empty() {
                    self.test_signed((plan, signed), out);
                }
                at += 1;
            }
        }
        self.emit_positive(plan, out);
        Ok(Work { operations, updates: operations })
    }

    /// Adds the weights of one event, and notes the neurons for which a rule holds.
    fn add_signed(
        &mut self,
        plan: &NeuronPopulation,
        variant: kernels::Variant,
        port: &Port,
        (x, y, sign): (i32, i32, Sign),
        saturates: bool,
    ) -> Result<u64, Outside> {
        let Self { v, hits, wide, saturations, signed: Some(state), .. } = self else { return Ok(0) };
        let maps = plan.maps;
        let mut operations = 0;
        match &port.synapses {
            Synapses::Matrix { nx_pre, ny_pre, weights } => {
                // Negative coordinates become large ones.
                let (column, row) = (x as u32, y as u32);
                if column >= *nx_pre || row >= *ny_pre {
                    return Err(Outside { nx_pre: *nx_pre, ny_pre: *ny_pre });
                }
                let (line, n) = (column as usize + row as usize * *nx_pre as usize, v.len());
                operations = n as u64;
                let limits = Limits { upper: &state.upper, lower: &state.lower };
                match weights {
                    Weights::Wide(weights) => {
                        let weights = &weights[line * n..][..n];
                        if saturates {
                            count_saturations(v, weights, sign, 0, maps, saturations);
                        }
                        kernels::add_signed(variant, v, weights, limits, (sign, saturates), 0, hits);
                    }
                    Weights::Narrow(matrix) => {
                        wide.clear();
                        let weights = &matrix.weights[line * matrix.stride..][..n];
                        wide.extend(weights.iter().map(|&weight| i32::from(weight)));
                        if saturates {
                            count_saturations(v, wide, sign, 0, maps, saturations);
                        }
                        kernels::add_signed(variant, v, wide, limits, (sign, saturates), 0, hits);
                    }
                }
            }
            Synapses::Kernel(kernel) if !saturates => {
                let limits = Limits { upper: &state.upper, lower: &state.lower };
                operations =
                    kernels::add_signed_kernel(variant, v, kernel, (plan.array, maps), (x, y, sign), limits, hits);
            }
            Synapses::Kernel(kernel) => kernel.each_span(plan.array, maps, x, y, |Span { neuron, weight, len }| {
                operations += len as u64;
                let v = &mut v[neuron..][..len];
                let weights = &kernel.weights[weight..][..len];
                count_saturations(v, weights, sign, neuron, maps, saturations);
                let limits = Limits { upper: &state.upper[neuron..][..len], lower: &state.lower[neuron..][..len] };
                kernels::add_signed(variant, v, weights, limits, (sign, true), neuron, hits);
            }),
        }
        Ok(operations)
    }

    /// Tests the noted neurons; each spikes until no rule holds. Positive spikes wait for [`Neurons::emit_positive`],
    /// or for the next negative one.
    fn test_signed(&mut self, (plan, signed): (&NeuronPopulation, Signed), out: &mut impl Spikes) {
        let Self { v, hits, positive, signed: Some(state), .. } = self else { return };
        for &Crossing(n) in hits.iter() {
            let spikes = state.test(&plan.neurons, signed, &mut v[n as usize], n as usize);
            if spikes > 0 {
                positive.extend(std::iter::repeat_n(Crossing(n), spikes as usize));
            } else if let Some(spike) = Self::leaves(plan, n as usize, Polarity::Negative) {
                // In the order in which they were made.
                if !positive.is_empty() {
                    out.positive(plan, positive);
                    positive.clear();
                }
                (spikes..0).for_each(|_| out.spike(spike));
            }
        }
        hits.clear();
    }

    /// Lets the positive spikes that wait leave.
    fn emit_positive(&mut self, plan: &NeuronPopulation, out: &mut impl Spikes) {
        if !self.positive.is_empty() {
            out.positive(plan, &self.positive);
            self.positive.clear();
        }
    }

    /// Makes the hysteresis 0 until the next reset. Says whether the neurons are signed.
    pub(in crate::engine) fn end_hysteresis(&mut self, plan: &NeuronPopulation) -> bool {
        let (Some(state), Some(signed)) = (&mut self.signed, plan.neurons.signed()) else { return false };
        state.hysteresis = 0;
        (0..self.v.len()).for_each(|n| state.limit(plan.neurons.threshold_plus, signed, n));
        true
    }

    /// A settle event: the hysteresis ends, and all neurons are tested. Returns how many.
    pub(in crate::engine) fn settle(&mut self, plan: &NeuronPopulation, out: &mut impl Spikes) -> u64 {
        let Some(signed) = plan.neurons.signed().filter(|_| self.end_hysteresis(plan)) else { return 0 };
        let n = self.v.len();
        self.hits.extend((0..n as u32).map(Crossing));
        self.test_signed((plan, signed), out);
        self.emit_positive(plan, out);
        n as u64
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
            self.bound(plan);
        } else {
            sums.make_room(n, 0);
            let saturates = self.tests(plan, sums.bound, sums.bound) == Tests::Saturating;
            let Self { v, hits, saturations, signed: Some(state), .. } = self else { return };
            if saturates {
                count_saturations(v, &sums.narrow, Sign::Plus, 0, plan.maps, saturations);
            }
            let limits = Limits { upper: &state.upper, lower: &state.lower };
            kernels::add_signed(variant, v, &sums.narrow, limits, (Sign::Plus, saturates), 0, hits);
        }
        if sums.wide_used {
            self.hits.extend((0..n as u32).map(Crossing));
        }
        sums.clear();
        self.sums = sums;
        self.test_signed((plan, signed), out);
        self.emit_positive(plan, out);
    }

    /// Of signed neurons `V + n THplus`, which is the start potential and all input; of others the potential.
    pub(in crate::engine) fn totals(&self, plan: &NeuronPopulation) -> Vec<i64> {
        let threshold = i64::from(plan.neurons.threshold_plus);
        let count = |n: usize| self.signed.as_ref().map_or(0, |state| i64::from(state.counts[n]));
        self.v.iter().enumerate().map(|(n, &v)| i64::from(v) + count(n) * threshold).collect()
    }
}
