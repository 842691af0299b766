//! Loops of nodes, through which events may come back.

use super::population::{Population, PopulationKind};
use crate::network::{NodeId, Timing};
use petgraph::algo::kosaraju_scc;
use petgraph::graph::DiGraph;

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
    let mut graph = DiGraph::<(), (), usize>::with_capacity(nodes, 0);
    (0..nodes).for_each(|_| _ = graph.add_node(()));
    for population in populations.iter().filter(|population| wanted(population)) {
        let inputs = &population.inputs[..population.n_ports.min(population.inputs.len())];
        for from in inputs.iter().filter_map(|input| input.node) {
            for to in population.outputs.iter().flatten() {
                graph.add_edge(from.index().into(), to.index().into(), ());
            }
        }
    }
    let mut loops: Vec<Vec<NodeId>> = kosaraju_scc(&graph)
        .into_iter()
        .filter(|component| component.len() > 1 || graph.contains_edge(component[0], component[0]))
        .map(|component| component.into_iter().map(|node| NodeId::new(node.index())).collect())
        .collect();
    loops.iter_mut().for_each(|nodes| nodes.sort());
    loops.sort();
    loops
}
