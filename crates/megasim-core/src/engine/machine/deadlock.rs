//! Rings of modules that wait for each other for ever.

use super::MachinePlan;
use super::state::State;
use crate::network::{ModuleId, NodeId, Tick};
use std::collections::HashMap;

/// Modules in a ring, each stopped because the next one does not take its outputs.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Deadlock {
    /// When the last of them stopped, in ticks.
    pub at: Tick,
    /// The modules; the last one waits for the first.
    pub modules: Vec<ModuleId>,
    /// The full output node of each that the next one does not take from.
    pub nodes: Vec<NodeId>,
}

/// Finds the rings among the modules that are stopped when nothing is under way any more.
pub(super) fn find(plan: &MachinePlan, state: &State) -> Vec<Deadlock> {
    // Which modules an event of a node waits for.
    let mut before: HashMap<u32, Vec<u32>> = HashMap::new();
    for (module, station) in state.stations.iter().enumerate() {
        for &index in &station.outside {
            before.entry(state.transits.of(index).delivery.node).or_default().push(module as u32);
        }
    }
    // Each stopped module waits for one that is stopped too, if there is such a one.
    let next = |module: u32| {
        state.stations[module as usize].stopped_since?;
        let outputs = plan.plan.populations[module as usize].outputs.iter().flatten();
        outputs
            .filter(|node| state.nodes[node.index()].held > 0)
            .flat_map(|node| before.get(&(node.index() as u32)).into_iter().flatten().map(|&to| (*node, to)))
            .find(|&(_, to)| state.stations[to as usize].stopped_since.is_some())
    };
    let mut seen = vec![0_usize; state.stations.len()];
    let mut deadlocks = Vec::new();
    for start in 0..state.stations.len() {
        let mut path: Vec<(u32, NodeId)> = Vec::new();
        let mut at = start as u32;
        // Marks are by start, so that a path into an earlier one ends.
        while seen[at as usize] == 0 {
            seen[at as usize] = start + 1;
            let Some((node, to)) = next(at) else { break };
            path.push((at, node));
            at = to;
        }
        if seen[at as usize] != start + 1 {
            continue;
        }
        let Some(first) = path.iter().position(|&(module, _)| module == at) else { continue };
        // The walk stopped at a module of its path; without a next one it is no ring.
        if next(at).is_none() {
            continue;
        }
        let ring = &path[first..];
        let stops = ring.iter().filter_map(|&(module, _)| state.stations[module as usize].stopped_since);
        deadlocks.push(Deadlock {
            at: stops.max().unwrap_or(0),
            modules: ring.iter().map(|&(module, _)| ModuleId::new(module as usize)).collect(),
            nodes: ring.iter().map(|&(_, node)| node).collect(),
        });
    }
    deadlocks
}
