//! Where the outputs of modules wait until they are handled.

use crate::engine::apply;
use crate::engine::kernels::{Crossing, SignedSpike};
use crate::engine::neurons::{Spike, Spikes};
use crate::engine::population::{NeuronPopulation, Population};
use crate::engine::queue::Pending;
use crate::network::{NodeId, Polarity, StimulusEvent, Tick, payload};

/// The events of the nodes of a group, all due now.
#[derive(Debug, Clone, Default)]
pub(super) struct GroupQueue {
    /// By node: positions of neurons, with [`NEGATIVE`].
    pub nodes: Vec<Vec<u32>>,
    /// Of all nodes.
    pub waiting: usize,
}

/// Marks the position of a neuron whose spike is negative.
pub(super) const NEGATIVE: u32 = SignedSpike::NEGATIVE;

/// The events of all nodes that are not handled yet.
#[derive(Debug, Clone)]
pub(super) struct Bus {
    pub pending: Vec<Pending>,
    /// Nodes whose head changed, not yet scheduled.
    pub woken: Vec<usize>,
    /// Groups that have events now, not yet scheduled.
    pub woken_groups: Vec<usize>,
    /// Nodes whose new events lack the columns that are alike for all of a run.
    pub incomplete: Vec<usize>,
    pub by_map: ByMap,
    pub groups: Vec<GroupQueue>,
    /// Whether groups of nodes are handled together in this run.
    pub in_groups: bool,
    /// How many events modules made that are not handled yet; repetitions to come count once.
    pub waiting: u64,
}

/// Spikes put in order of their maps.
#[derive(Debug, Clone, Default)]
pub(super) struct ByMap {
    /// `(map, position)` of each spike.
    spikes: Vec<(u32, u32)>,
    /// Where each map ends.
    ends: Vec<usize>,
    positions: Vec<u32>,
}

impl ByMap {
    /// A counting sort, which keeps the order of those of one map.
    fn sort(&mut self, maps: usize, hits: &[Crossing]) {
        let divisor = maps as u32;
        self.spikes.clear();
        self.spikes.extend(hits.iter().map(|&Crossing(n)| (n % divisor, n / divisor)));
        self.ends.clear();
        self.ends.resize(maps + 1, 0);
        for &(map, _) in &self.spikes {
            self.ends[map as usize + 1] += 1;
        }
        for map in 0..maps {
            self.ends[map + 1] += self.ends[map];
        }
        // Until here where each starts, one place further on; filling moves them to where they end.
        self.positions.resize(hits.len(), 0);
        for &(map, position) in &self.spikes {
            let end = &mut self.ends[map as usize];
            self.positions[*end] = position;
            *end += 1;
        }
    }

    fn positions(&self, map: usize) -> &[u32] {
        let start = if map == 0 { 0 } else { self.ends[map - 1] };
        &self.positions[start..self.ends[map]]
    }
}

/// The outputs of one population, all made at `done`.
pub(super) struct Outputs<'e> {
    pub population: &'e Population,
    pub bus: &'e mut Bus,
    pub done: Tick,
}

impl apply::Outputs for Outputs<'_> {
    fn event(&mut self, map: usize, x: i32, y: i32, polarity: Polarity) {
        for output in &self.population.outputs[map] {
            self.bus.push(*output, StimulusEvent { t_pre: self.done, x, y, polarity }, None);
        }
    }

    fn positive_events(&mut self, addresses: impl Iterator<Item = (i32, i32)>) {
        addresses.for_each(|(x, y)| self.address(0, x, y));
        self.complete();
    }
}

impl Spikes for Outputs<'_> {
    fn spike(&mut self, spike: Spike) {
        if let Some((group, first)) = self.group() {
            let mark = if spike.polarity == Polarity::Negative { NEGATIVE } else { 0 };
            let queue = &mut self.bus.groups[group];
            queue.nodes[first + spike.map as usize].push(spike.position | mark);
            self.bus.waits(group, 1);
        } else {
            let Spike { map, x, y, polarity, value, .. } = spike;
            for output in &self.population.outputs[map as usize] {
                self.bus.push(*output, StimulusEvent { t_pre: self.done, x, y, polarity }, value);
            }
        }
    }

    fn signed(&mut self, plan: &NeuronPopulation, spikes: &[SignedSpike], scratch: &mut Vec<Crossing>) {
        let Some((group, first)) = self.group() else { return self.by_sign(plan, spikes, scratch) };
        let maps = plan.maps as u32;
        let nodes = &mut self.bus.groups[group].nodes[first..first + plan.maps];
        for &spike in spikes {
            let (n, mark) = (spike.neuron(), if spike.is_negative() { NEGATIVE } else { 0 });
            let (map, position) = if maps == 1 { (0, n) } else { (n % maps, n / maps) };
            nodes[map as usize].push(position | mark);
        }
        self.bus.waits(group, spikes.len());
    }

    fn positive(&mut self, plan: &NeuronPopulation, hits: &[Crossing]) {
        let maps = plan.maps as u32;
        if let Some((group, first)) = self.group() {
            let nodes = &mut self.bus.groups[group].nodes[first..first + plan.maps];
            if let [node] = nodes {
                node.extend(hits.iter().map(|&Crossing(n)| n));
            } else {
                // Division by what is not a constant takes long; channels are often a power of two.
                if maps.is_power_of_two() {
                    let (mask, shift) = (maps - 1, maps.trailing_zeros());
                    hits.iter().for_each(|&Crossing(n)| nodes[(n & mask) as usize].push(n >> shift));
                } else {
                    hits.iter().for_each(|&Crossing(n)| nodes[(n % maps) as usize].push(n / maps));
                }
            }
            self.bus.waits(group, hits.len());
        } else if maps == 1 {
            self.columns(plan, 0, hits.iter().map(|&Crossing(n)| n));
        } else if hits.len() < 2 * plan.maps {
            for &Crossing(n) in hits {
                let (position, map) = (n / maps, n % maps);
                if let Some((x, y)) = plan.addresses.of(position as usize) {
                    self.address(map as usize, x, y);
                }
            }
            self.complete();
        } else {
            let mut by_map = std::mem::take(&mut self.bus.by_map);
            by_map.sort(plan.maps, hits);
            for map in 0..plan.maps {
                self.columns(plan, map, by_map.positions(map).iter().copied());
            }
            self.bus.by_map = by_map;
        }
    }
}

impl Outputs<'_> {
    /// The group in which the events wait, and the node of it that belongs to the first map.
    fn group(&self) -> Option<(usize, usize)> {
        self.population.group.filter(|_| self.bus.in_groups)
    }

    /// A positive spike: only its address, to the queue of its map; [`Outputs::complete`] adds what is alike for all.
    #[inline]
    fn address(&mut self, map: usize, x: i32, y: i32) {
        for output in &self.population.outputs[map] {
            match &mut self.bus.pending[output.index()] {
                Pending::Queue(queue) => {
                    if queue.x.len() == queue.t_pre.len() {
                        self.bus.incomplete.push(output.index());
                    }
                    queue.x.push(x);
                    queue.y.push(y);
                }
                _ => {
                    let event = StimulusEvent { t_pre: self.done, x, y, polarity: Polarity::Positive };
                    self.bus.push(*output, event, None);
                }
            }
        }
    }

    /// Spikes of one map, all of which go to the same nodes, go there as columns; given are the positions of their
    /// neurons.
    fn columns(&mut self, plan: &NeuronPopulation, map: usize, positions: impl ExactSizeIterator<Item = u32> + Clone) {
        if positions.len() == 0 {
            return;
        }
        for output in &self.population.outputs[map] {
            let leaving = positions.clone().filter_map(|position| plan.addresses.of(position as usize));
            let Pending::Queue(queue) = &mut self.bus.pending[output.index()] else {
                for (x, y) in leaving {
                    let event = StimulusEvent { t_pre: self.done, x, y, polarity: Polarity::Positive };
                    self.bus.push(*output, event, None);
                }
                continue;
            };
            if let Some((x, y)) = plan.addresses.columns() {
                queue.x.extend(positions.clone().map(|position| x[position as usize]));
                queue.y.extend(positions.clone().map(|position| y[position as usize]));
            } else {
                for (x, y) in leaving {
                    queue.x.push(x);
                    queue.y.push(y);
                }
            }
            self.bus.complete(output.index(), self.done);
        }
    }

    fn complete(&mut self) {
        while let Some(node) = self.bus.incomplete.pop() {
            self.bus.complete(node, self.done);
        }
    }
}

impl Bus {
    /// `events` more events wait in a group.
    fn waits(&mut self, group: usize, events: usize) {
        let queue = &mut self.groups[group];
        if queue.waiting == 0 && events > 0 {
            self.woken_groups.push(group);
        }
        queue.waiting += events;
        self.waiting += events as u64;
    }

    pub fn push(&mut self, node: NodeId, event: StimulusEvent, value: Option<i32>) {
        self.waiting += 1;
        if self.pending[node.index()].push(event, value) {
            self.woken.push(node.index());
        }
    }

    /// Adds to new events of which only the addresses are there what is alike for all: positive spikes made at `done`.
    fn complete(&mut self, node: usize, done: Tick) {
        let Pending::Queue(queue) = &mut self.pending[node] else { return };
        let (before, after) = (queue.t_pre.len(), queue.x.len());
        queue.t_pre.resize(after, done);
        queue.polarity.resize(after, Polarity::Positive);
        payload::extend(&mut queue.value, before, &[], after - before);
        self.waiting += (after - before) as u64;
        if before == 0 && after > 0 {
            self.woken.push(node);
        }
    }
}
