//! Nodes that event mode handles together: the maps of a layer.
//!
//! Nodes that follow each other in the netlist come one after the other in a tick. Where their events are due at the
//! tick in which they are made, where all of them are handled in runs, and where no reader of one of them makes events
//! for another of them or for a node before, nothing comes between them: their events of a tick take one entry of the
//! schedule, keep no times, and go in one call through a population that reads all of them.

use super::population::{PlanNode, Population, PopulationKind, Target};
use super::synapses::Synapses;
use crate::parallel::by_number;

/// Successive nodes that are handled together.
#[derive(Debug, Clone)]
pub(super) struct NodeGroup {
    /// The first node.
    pub first: usize,
    /// By node of the group: the population that drives it.
    pub drivers: Vec<usize>,
    /// Populations of plain or signed neurons that read all nodes of the group through successive kernels; the port is
    /// that of the first node.
    pub whole: Vec<Target>,
    /// By node of the group: the other readers.
    pub others: Vec<Vec<Target>>,
}

impl NodeGroup {
    /// One past the last node.
    fn end(&self) -> usize {
        self.first + self.drivers.len()
    }
}

/// The nodes of a population, successive, if its spikes may wait without times and with the positions of their neurons.
fn outputs_in_order(population: &Population, nodes: &[PlanNode]) -> Option<std::ops::Range<usize>> {
    let PopulationKind::Neurons(neurons) = &population.kind else { return None };
    if neurons.neurons.payload_bits.is_some() {
        return None;
    }
    neurons.addresses.columns().filter(|_| population.timing.arrives_at_once())?;
    let first = population.outputs.first()?.first()?.index();
    let successive = population
        .outputs
        .iter()
        .enumerate()
        .all(|(map, outputs)| matches!(outputs[..], [node] if node.index() == first + map));
    let range = first..first + population.outputs.len();
    (successive && nodes[range.clone()].iter().all(|node| node.in_runs_from == Some(0))).then_some(range)
}

/// The first node to which readers of a node send events.
fn first_effect(node: &PlanNode, populations: &[Population]) -> usize {
    let outputs = node.readers.iter().flat_map(|reader| populations[reader.population].outputs.iter().flatten());
    outputs.map(|node| node.index()).min().unwrap_or(usize::MAX)
}

/// The groups of a network, each as large as it can be.
pub(super) fn node_groups(populations: &[Population], nodes: &[PlanNode]) -> Vec<NodeGroup> {
    let ranges = populations.iter().enumerate();
    let ranges = ranges.filter_map(|(id, population)| Some((id, outputs_in_order(population, nodes)?)));
    let ranges = by_number(ranges.map(|(id, range)| (range.start, (id, range))).collect());
    let mut groups: Vec<NodeGroup> = Vec::new();
    let mut effect_of_last = 0;
    for (_, (id, range)) in ranges {
        let effect = nodes[range.clone()].iter().map(|node| first_effect(node, populations)).min().unwrap_or(0);
        if effect < range.end {
            continue;
        }
        match groups.last_mut() {
            Some(last) if last.end() == range.start && effect_of_last >= range.end => {
                last.drivers.extend(range.map(|_| id));
                effect_of_last = effect_of_last.min(effect);
            }
            _ => {
                let drivers = vec![id; range.len()];
                groups.push(NodeGroup { first: range.start, drivers, whole: Vec::new(), others: Vec::new() });
                effect_of_last = effect;
            }
        }
    }
    for group in &mut groups {
        let members = &nodes[group.first..group.end()];
        let candidates = members[0].readers.iter();
        group.whole = candidates.copied().filter(|&reader| reads_whole(reader, members, populations)).collect();
        let others = members.iter().map(|node| {
            let is_other = |reader: &&Target| group.whole.iter().all(|whole| whole.population != reader.population);
            node.readers.iter().filter(is_other).copied().collect()
        });
        group.others = others.collect();
    }
    groups
}

/// Whether a population of plain or signed neurons reads the first of some nodes at this port, and the others at the
/// next ones.
fn reads_whole(first: Target, members: &[PlanNode], populations: &[Population]) -> bool {
    let PopulationKind::Neurons(neurons) = &populations[first.population].kind else { return false };
    let Some(ports) = neurons.ports.get(first.port..first.port + members.len()) else { return false };
    let reads = |(k, node): (usize, &PlanNode)| {
        let is_reader = |reader: &Target| (reader.population, reader.port) == (first.population, first.port + k);
        node.readers.iter().any(is_reader)
    };
    (neurons.plain || neurons.neurons.signed().is_some())
        && ports.iter().all(|port| matches!(port.synapses, Synapses::Kernel(_)))
        && members.iter().enumerate().all(reads)
}
