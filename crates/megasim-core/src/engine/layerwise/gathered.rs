//! The neurons that a layer works on: those of a population, or of several that are run together.

use super::cells::Beyond;
use super::rules::Rules;
use super::takers::Singles;
use crate::engine::kernels;
use crate::engine::neurons::Neurons;

/// The neurons of a layer, and how they spike.
pub(super) struct Population<'n> {
    pub neurons: Singles<'n>,
    pub rules: Rules,
    pub is_signed: bool,
    /// A signed neuron may spike several times on one event.
    pub repeats: bool,
    pub kernel: kernels::Variant,
    /// By cell, in clocked mode: whether one of its neurons is beyond the threshold.
    pub carried: &'n mut Vec<bool>,
    pub beyond: Beyond<'n>,
    /// Few events made a neuron spike in the last part of a run.
    pub spikes_are_rare: &'n mut bool,
}

/// Neurons of several populations of one map each.
#[derive(Debug, Clone, Default)]
pub(super) struct Gathered {
    v: Vec<i32>,
    counts: Vec<i32>,
    /// By map.
    saturations: Vec<u64>,
}

impl Gathered {
    /// Takes them position by position.
    pub fn take(&mut self, maps: &mut [&mut Neurons]) -> Singles<'_> {
        let n = maps.len();
        self.resize(maps[0].potentials().len() * n, n);
        let Self { v, counts, .. } = self;
        for (map, neurons) in maps.iter_mut().enumerate() {
            let from = neurons.singles();
            v[map..].iter_mut().step_by(n).zip(&*from.v).for_each(|(to, from)| *to = *from);
            counts[map..].iter_mut().step_by(n).zip(&*from.counts).for_each(|(to, from)| *to = *from);
        }
        self.singles()
    }

    /// Gives them back.
    pub fn give(&self, maps: &mut [&mut Neurons]) {
        let n = maps.len();
        for (map, neurons) in maps.iter_mut().enumerate() {
            let to = neurons.singles();
            to.v.iter_mut().zip(self.v[map..].iter().step_by(n)).for_each(|(to, from)| *to = *from);
            to.counts.iter_mut().zip(self.counts[map..].iter().step_by(n)).for_each(|(to, from)| *to = *from);
            to.saturations[0] += self.saturations[map];
        }
    }

    fn resize(&mut self, neurons: usize, maps: usize) {
        let Self { v, counts, saturations } = self;
        v.clear();
        v.resize(neurons, 0);
        counts.clear();
        counts.resize(neurons, 0);
        saturations.clear();
        saturations.resize(maps, 0);
    }

    fn singles(&mut self) -> Singles<'_> {
        Singles { v: &mut self.v, counts: &mut self.counts, saturations: &mut self.saturations }
    }
}
