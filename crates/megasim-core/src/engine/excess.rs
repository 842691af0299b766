//! What kept a run going that was stopped at a limit.

use super::plan::Plan;
use super::population::{PopulationKind, spikes_shrink};
use crate::network::{Driver, NodeId, Tick};

/// Where a run was when it was stopped, and what kept it going.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excess {
    /// When, in ticks.
    pub time: Tick,
    /// The nodes with most events, handled and waiting, with their number; the largest first.
    pub nodes: Vec<(String, u64)>,
    /// Nodes on loops through which events come back.
    pub loops: Vec<String>,
    /// Why neurons spike again without input, for those of the nodes above.
    pub growing: Vec<String>,
}

/// Nodes that a message names, at most.
const NAMED: usize = 5;

impl std::fmt::Display for Excess {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let nodes: Vec<String> = self.nodes.iter().map(|(name, count)| format!("{{{name}}} ({count})")).collect();
        write!(f, "time {}: most events are on {}", self.time, nodes.join(", "))?;
        if !self.loops.is_empty() {
            let more = self.loops.len().saturating_sub(NAMED);
            let named = &self.loops[..self.loops.len() - more];
            write!(f, "; events come back on loops through {{{}}}", named.join("}, {"))?;
            if more > 0 {
                write!(f, " and {more} more")?;
            }
        }
        self.growing.iter().try_for_each(|why| write!(f, "; {why}"))
    }
}

impl Excess {
    /// Of a run with the numbers of events of its nodes, handled and waiting.
    pub(super) fn new(plan: &Plan, time: Tick, counts: &[u64]) -> Box<Self> {
        let mut nodes: Vec<(usize, u64)> = Vec::new();
        for _ in 0..NAMED {
            let others = (0..counts.len()).filter(|&node| counts[node] > 0 && nodes.iter().all(|it| it.0 != node));
            // Of equal counts the first node.
            nodes.extend(others.rev().max_by_key(|&node| counts[node]).map(|node| (node, counts[node])));
        }
        let busy = |node: &NodeId| nodes.iter().any(|&(id, _)| id == node.index());
        let loops = plan.loops().into_iter().filter(|nodes| nodes.iter().any(busy)).flatten();
        let growing = nodes.iter().filter_map(|&(node, _)| plan.growth(node));
        let mut excess = Self {
            time,
            loops: loops.map(|node| plan.node_name(node.index())).collect(),
            growing: growing.collect(),
            nodes: Vec::new(),
        };
        excess.growing.dedup();
        excess.nodes = nodes.into_iter().map(|(node, count)| (plan.node_name(node), count)).collect();
        Box::new(excess)
    }
}

impl Plan {
    /// Why the neurons that drive a node may go on to spike without input, if they may.
    fn growth(&self, node: usize) -> Option<String> {
        let Driver::Module(module) = self.drivers[node] else { return None };
        let population = self.populations.iter().find(|population| population.modules.contains(&module))?;
        let PopulationKind::Neurons(neurons) = &population.kind else { return None };
        let name = self.node_name(node);
        if let Some(model) = &neurons.model {
            let place = model.place(model.system().line_of_spike());
            return Some(format!(
                "{place}: the condition under which the neurons of {{{name}}} spike holds again and again"
            ));
        }
        (!spikes_shrink(&neurons.neurons)).then(|| {
            let (key, threshold) = match neurons.neurons.threshold_plus {
                plus if neurons.neurons.fires_plus && plus <= 0 => ("THplus", plus),
                _ => ("THminus", neurons.neurons.threshold_minus),
            };
            format!("a spike of {{{name}}} subtracts {key} = {threshold}, which takes the potential further beyond it")
        })
    }
}
