//! Modules whose neurons are on several cores, which work on each event and each step together: the next one begins
//! when the slowest of them is done.

use super::apply::Leaving;
use super::statistics::Busy;
use super::tile::Tile;
use crate::engine::population::{NeuronPopulation, Population, PopulationKind};
use crate::engine::synapses::Synapses;
use std::collections::HashMap;
use std::ops::Range;

/// The cores of a module that is on several. No other module is on them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// The first neuron on each core, counted row by row; that of the first core is 0.
    pub begins: Vec<u32>,
    /// The tile of each core; empty without a mesh.
    pub tiles: Vec<Tile>,
}

/// Which neurons are on which core.
#[derive(Debug, Clone)]
pub(super) struct Parts {
    begins: Vec<usize>,
    end: usize,
    by_address: HashMap<(i32, i32), u32>,
}

impl Parts {
    /// Of a module with neurons.
    pub fn new(split: &Split, population: &Population) -> Option<Self> {
        let PopulationKind::Neurons(plan) = &population.kind else { return None };
        let begins = split.begins.iter().map(|&begin| begin as usize).collect();
        let mut parts = Self { begins, end: plan.array.len(), by_address: HashMap::new() };
        for position in 0..parts.end {
            if let Some(address) = plan.addresses.of(position) {
                let part = parts.of(position);
                parts.by_address.entry(address).or_insert(part);
            }
        }
        Some(parts)
    }

    fn of(&self, position: usize) -> u32 {
        self.begins.partition_point(|&begin| begin <= position).saturating_sub(1) as u32
    }

    /// How many cores there are.
    pub fn len(&self) -> usize {
        self.begins.len()
    }

    /// The neurons of a core.
    pub fn neurons(&self, part: usize) -> Range<usize> {
        self.begins[part]..self.begins.get(part + 1).copied().unwrap_or(self.end)
    }

    /// The most neurons of a core.
    pub fn largest(&self) -> u64 {
        (0..self.len()).map(|part| self.neurons(part).len() as u64).max().unwrap_or(0)
    }

    /// The core from which an event with this address leaves.
    pub fn sender(&self, x: i32, y: i32) -> u32 {
        self.by_address.get(&(x, y)).copied().unwrap_or(0)
    }

    /// How many of these events leave from a core.
    pub fn outputs(&self, part: usize, outputs: &[Leaving]) -> u64 {
        outputs.iter().filter(|it| self.sender(it.x, it.y) as usize == part).count() as u64
    }

    /// How many neurons of a core an event touches.
    pub fn operations(&self, part: usize, plan: &NeuronPopulation, port: usize, (x, y): (i32, i32)) -> u64 {
        let there = self.neurons(part);
        match &plan.ports[port].synapses {
            Synapses::Matrix { .. } => there.len() as u64,
            Synapses::Kernel(kernel) => {
                let mut count = 0;
                kernel.each_span(plan.array, 1, x, y, |span| {
                    let (from, to) = (span.neuron.max(there.start), (span.neuron + span.len).min(there.end));
                    count += to.saturating_sub(from) as u64;
                });
                count
            }
        }
    }

    /// The work of the slowest core.
    pub fn slowest(&self, work: impl Fn(usize) -> Busy) -> Busy {
        (0..self.len()).map(work).max_by_key(Busy::total).unwrap_or_default()
    }
}
