//! A map that is run by rows, and its neurons.

use super::bounds::Bounds;
use super::lanes::LANES;
use super::layers::SingleLayer;
use super::rules::{Kind, Rules};
use super::takers::{Fixed, Singles};
use crate::engine::aligned::Aligned;
use crate::engine::extremes::extremes;
use crate::engine::kernels::Variant;

/// The neurons of a map.
#[derive(Debug, Clone, Default)]
pub(super) struct RowNeurons {
    /// Behind them there is room for a vector; there no potential reaches a threshold.
    pub v: Aligned,
    /// Of signed neurons.
    pub counts: Aligned,
    pub bounds: Bounds,
    /// Of all of them.
    pub saturations: [u64; 1],
}

impl RowNeurons {
    /// Takes those of a map, if they can be run in this way.
    pub fn take<K: Kind>(&mut self, neurons: &Singles<'_>, rules: &Rules) -> bool {
        let n = neurons.v.len();
        let (low, high) = extremes(neurons.v);
        if !rules.is_simple(K::SIGNED, low) {
            return false;
        }
        self.bounds = Bounds::of(rules, K::SIGNED, (low, high));
        self.saturations = [0];
        for (to, from) in [(&mut self.v, &*neurons.v), (&mut self.counts, &*neurons.counts)] {
            to.grow(n + LANES);
            to[..from.len()].copy_from_slice(from);
        }
        self.v[n..n + LANES].fill(0);
        true
    }

    /// Gives them back.
    pub fn give(&self, neurons: &mut Singles<'_>) {
        let (n, counts) = (neurons.v.len(), neurons.counts.len());
        neurons.v.copy_from_slice(&self.v[..n]);
        neurons.counts.copy_from_slice(&self.counts[..counts]);
        neurons.saturations[0] += self.saturations[0];
    }
}

/// A map, and where its spikes go.
pub(super) struct Map<'m> {
    pub layer: &'m SingleLayer,
    pub fixed: Fixed,
    pub kernel: Variant,
    pub node: usize,
}
