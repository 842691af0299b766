//! Custom neurons: integer equations, evaluated for many neurons at a time.

use super::{NEVER, Neurons, Outside, Port, Sign, Spikes, Work, reach};
use crate::engine::population::NeuronPopulation;
use crate::equations::{self, LANES, Lanes, Scratch};
use crate::network::{NeuronModel, Polarity, Tick};
use std::ops::Range;

/// The state of custom neurons other than the potential, which is their first variable.
#[derive(Debug, Clone)]
pub(super) struct Custom {
    /// The other variables.
    others: Vec<Vec<i32>>,
    slots: Vec<Lanes<i64>>,
    scratch: Scratch<i64>,
    /// Whether a step without input could change anything.
    pub stirs: bool,
}

/// What became of a block of neurons.
struct Block {
    changed: bool,
    fired: bool,
}

impl Custom {
    pub fn new(plan: &NeuronPopulation, model: &NeuronModel) -> Self {
        let n = plan.array.len() * plan.maps;
        let others = model.system().states().len().saturating_sub(1);
        Self {
            others: vec![vec![0; n]; others],
            slots: model.slots(&plan.neurons),
            scratch: Scratch::default(),
            stirs: false,
        }
    }

    /// Initial values, which all neurons share.
    pub fn reset(&mut self, model: &NeuronModel, v: &mut [i32]) {
        let Self { others, slots, scratch, stirs } = self;
        slots[model.input()] = [0; LANES];
        slots[model.elapsed()] = [0; LANES];
        model.system().start(slots, scratch);
        let mut columns = std::iter::once(v).chain(others.iter_mut().map(Vec::as_mut_slice));
        slots.iter().zip(&mut columns).for_each(|(slot, column)| column.fill(slot[0] as i32));
        *stirs = true;
    }
}

impl Neurons {
    /// One spike event: every touched neuron that is not refractory is updated with its weight and tested.
    pub(super) fn receive_modelled(
        &mut self,
        (plan, model): (&NeuronPopulation, &NeuronModel),
        port: &Port,
        (x, y, sign): (i32, i32, Sign),
        s: Tick,
        out: &mut impl Spikes,
    ) -> Result<Work, Outside> {
        let mut work = Work::default();
        let mut wide = std::mem::take(&mut self.wide);
        let reached = reach(plan, port, &mut wide, x, y, |weights, span| {
            work.operations += span.len as u64;
            let weights = &weights[span.weight..][..span.len];
            for (k, weights) in weights.chunks(LANES).enumerate() {
                let first = span.neuron + k * LANES;
                let mut input = [0; LANES];
                let mut touched = 0;
                for (lane, &weight) in weights.iter().enumerate() {
                    input[lane] = sign.factor() * i64::from(weight);
                    touched |= u32::from(!self.lost(first + lane, s)) << lane;
                }
                work.updates += u64::from(touched.count_ones());
                let neurons = first..first + weights.len();
                self.update((plan, model), neurons, (&input, Tick::MAX), (touched, touched), s, out);
            }
        });
        self.wide = wide;
        reached.map(|()| work)
    }

    /// Clocked mode: every neuron is updated with the input of the step, those that are refractory with none, and the
    /// others are tested. Says whether the condition of a spike still holds somewhere.
    pub(in crate::engine) fn step_modelled(
        &mut self,
        (plan, model): (&NeuronPopulation, &NeuronModel),
        (s, dt): (Tick, Tick),
        has_input: bool,
        out: &mut impl Spikes,
    ) -> bool {
        let mut sums = std::mem::take(&mut self.sums);
        let (mut beyond, mut stirs) = (false, has_input);
        for first in (0..self.v.len()).step_by(LANES) {
            let neurons = first..(first + LANES).min(self.v.len());
            let mut input = [0; LANES];
            let mut tested = 0;
            for (lane, n) in neurons.clone().enumerate() {
                // Elapsed is 0 in the step of a start or a reset: it does not show what the next one does.
                stirs |= s.saturating_sub(self.updated[n]) < dt;
                if !self.lost(n, s) {
                    input[lane] = sums.of(n);
                    tested |= 1 << lane;
                }
            }
            let all = (1u32 << neurons.len()) - 1;
            let Block { changed, fired } = self.update((plan, model), neurons, (&input, dt), (all, tested), s, out);
            stirs |= changed || fired;
            beyond |= self.beyond(plan, model, all);
        }
        sums.clear();
        self.sums = sums;
        if let Some(custom) = &mut self.custom {
            custom.stirs = stirs;
        }
        beyond
    }

    /// Whether the condition of a spike holds, without input, in one of these lanes of the slots as the start or the
    /// last update left them.
    pub(super) fn beyond(&mut self, plan: &NeuronPopulation, model: &NeuronModel, lanes: u32) -> bool {
        let Some(Custom { slots, scratch, .. }) = self.custom.as_deref_mut() else { return false };
        slots[model.input()] = [0; LANES];
        slots[model.elapsed()] = [0; LANES];
        let holds = |sign, scratch: &mut _| model.system().fires(sign, slots, scratch) & lanes != 0;
        plan.neurons.fires_plus && (holds(equations::Sign::Plus, scratch) || holds(equations::Sign::Minus, scratch))
    }

    /// Updates at most [`LANES`] neurons: of `lanes` the first ones, and tests the second ones. At most `most` ticks
    /// have elapsed.
    fn update(
        &mut self,
        (plan, model): (&NeuronPopulation, &NeuronModel),
        neurons: Range<usize>,
        (input, most): (&Lanes<i64>, Tick),
        (lanes, tested): (u32, u32),
        s: Tick,
        out: &mut impl Spikes,
    ) -> Block {
        // Put back below; nothing in between returns.
        let Some(mut custom) = self.custom.take() else { return Block { changed: false, fired: false } };
        let Custom { others, slots, scratch, .. } = &mut *custom;
        let (system, first) = (model.system(), neurons.start);
        let is = |lanes: u32, lane: usize| lanes >> lane & 1 == 1;
        for (lane, n) in neurons.clone().enumerate() {
            slots[0][lane] = self.v[n].into();
            for (other, slot) in others.iter().zip(&mut slots[1..]) {
                slot[lane] = other[n].into();
            }
            slots[model.elapsed()][lane] = s.saturating_sub(self.updated[n]).min(most);
            if is(lanes, lane) {
                self.updated[n] = s;
            }
        }
        slots[model.input()] = *input;
        let mut cut = system.advance(slots, scratch) & lanes;
        let (mut plus, mut minus) = (0, 0);
        if plan.neurons.fires_plus {
            plus = system.fires(equations::Sign::Plus, slots, scratch) & tested;
            minus = system.fires(equations::Sign::Minus, slots, scratch) & tested & !plus;
        }
        let hits = plus | minus;
        for (lane, n) in neurons.clone().enumerate().filter(|&(lane, _)| is(hits, lane)) {
            if let Some(last) = self.last_spike.get_mut(n) {
                if *last != NEVER && s.saturating_sub(*last) < plan.neurons.t_min {
                    plus &= !(1 << lane);
                    minus &= !(1 << lane);
                    continue;
                }
                *last = s;
            }
            if let Some(until) = self.refractory_until.get_mut(n) {
                *until = s.saturating_add(plan.neurons.refractory);
            }
        }
        for (sign, fired) in [(equations::Sign::Plus, plus), (equations::Sign::Minus, minus)] {
            if fired != 0 {
                cut |= system.reset(sign, fired, slots, scratch);
            }
        }
        let mut changed = false;
        for (lane, n) in neurons.enumerate().filter(|&(lane, _)| is(lanes, lane)) {
            let columns = std::iter::once(&mut self.v[..]).chain(others.iter_mut().map(|column| &mut column[..]));
            for (slot, column) in slots.iter().zip(columns) {
                changed |= i64::from(column[n]) != slot[lane];
                column[n] = slot[lane] as i32;
            }
            self.saturations[n % plan.maps] += u64::from(is(cut, lane));
        }
        self.custom = Some(custom);
        let mut fired = plus | minus;
        while fired != 0 {
            let lane = fired.trailing_zeros() as usize;
            fired &= fired - 1;
            let polarity = if is(plus, lane) { Polarity::Positive } else { Polarity::Negative };
            if let Some(spike) = Self::leaves(plan, first + lane, polarity) {
                out.spike(spike);
            }
        }
        Block { changed, fired: plus | minus != 0 }
    }
}
