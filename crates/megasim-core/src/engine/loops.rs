//! Loops of nodes, through which events may come back.

use super::population::{Population, PopulationKind};
use crate::graph::cyclic_components;
use crate::network::{NodeId, Timing};
use crate::parallel::by_number;

/// Strongly connected sets of nodes under the modules that answer in the tick of their input, without a limit on how
/// often.
pub(super) fn timeless_loops(populations: &[Population], nodes: usize) -> Vec<Vec<NodeId>> {
    loops(populations, nodes, |population| {
        let limited = match &population.kind {
            PopulationKind::Neurons(it) => it.neurons.t_min > 0 || it.neurons.refractory > 0 || it.acts_on_control(),
            PopulationKind::MaxPool(it) => it.mask().is_some(),
            _ => false,
        };
        // A sender that waits for its acknowledge sends one event a delay.
        let Timing { delay_to_process, delay_to_ack, delay_to_arrive, .. } = population.timing;
        delay_to_process == 0 && delay_to_ack == 0 && delay_to_arrive == 0 && !limited
    })
}

/// Strongly connected sets of nodes under the modules that are asked for.
pub(super) fn loops(
    populations: &[Population],
    nodes: usize,
    wanted: impl Fn(&Population) -> bool,
) -> Vec<Vec<NodeId>> {
    let mut successors = vec![Vec::new(); nodes];
    for population in populations.iter().filter(|population| wanted(population)) {
        let inputs = &population.inputs[..population.n_ports.min(population.inputs.len())];
        for from in inputs.iter().filter_map(|input| input.node) {
            successors[from.index()].extend(population.outputs.iter().flatten().map(|to| to.index()));
        }
    }
    let loops = by_number(cyclic_components(&successors).into_iter().map(|nodes| (nodes[0], nodes)).collect());
    loops.into_iter().map(|(_, nodes)| nodes.into_iter().map(NodeId::new).collect()).collect()
}
