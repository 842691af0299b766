//! In which order the links and modules of a machine can be worked off, step by step behind its barrier.
//!
//! On a mesh whose links carry messages in the order in which they come, and that acknowledges events itself, nothing
//! goes back in a step but the acknowledges of first links: a node requests its next event when the links that begin at
//! its tile have carried the messages of the one before. Such links with their nodes are a [`Unit`]; so is a module
//! whose outputs leave in the step in which it makes them. Where no unit depends on itself through others, each can be
//! worked off for a whole step when those before it are.

use super::arbiter::Arbiter;
use super::mesh::Acknowledge;
use super::parameters::Machine;
use super::receivers::{Receivers, Way};
use crate::engine::plan::Plan;
use crate::engine::population::{Population, PopulationKind};
use crate::network::ModuleId;

/// What is worked off at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Unit {
    /// Links, and the nodes for whose messages they are the first ones; or nodes without such.
    Links { links: Vec<u32>, nodes: Vec<u32> },
    /// A module whose outputs leave in the same step.
    Module(u32),
}

/// The units in an order in which they can be worked off, and what is left.
#[derive(Debug, Clone)]
pub(super) struct Order {
    pub units: Vec<Unit>,
    /// The other modules: their neurons take input, and spike when the next step begins.
    pub last: Vec<u32>,
    /// By node: the most events that one of its events makes in a step, itself included.
    pub most: Vec<u64>,
}

/// Whether a module may have outputs in the step of the event that they come from, behind a barrier.
fn leaves_at_once(population: &Population) -> bool {
    match &population.kind {
        PopulationKind::Neurons(neurons) => neurons.acts_on_control(),
        PopulationKind::Flatten(_) | PopulationKind::MaxPool(_) => true,
    }
}

/// The most outputs that one event makes at each output node, repeats included.
fn most_outputs(population: &Population) -> u64 {
    let most = match &population.kind {
        PopulationKind::Neurons(_) | PopulationKind::Flatten(_) => 1,
        PopulationKind::MaxPool(pool) => {
            pool.ports.first().map_or(0, |port| u64::from(port.nx_out) * u64::from(port.ny_out))
        }
    };
    most.saturating_mul(population.timing.n_repeat.into())
}

impl Order {
    /// None where a machine does not allow it, or a unit depends on itself.
    pub fn new(plan: &Plan, machine: &Machine, receivers: &Receivers) -> Option<Self> {
        allows(plan, machine, receivers).then_some(())?;
        let links = machine.mesh.as_ref()?.links();
        let nodes = plan.nodes.len();
        // Links, then nodes: those that are worked off together have one root.
        let mut roots: Vec<usize> = (0..links + nodes).collect();
        let ways = |node: usize| {
            let lead = receivers.of(node).map(|it| receivers.target(it)).filter(|target| !target.follows);
            lead.map(|target| (target, receivers.ways(target, 0).first().copied().unwrap_or_default()))
        };
        for node in 0..nodes {
            for (_, way) in ways(node).filter(|(_, way)| way.begin < way.end) {
                let first = receivers.link(way.begin).0 as usize;
                let (a, b) = (root(&mut roots, links + node), root(&mut roots, first));
                roots[a] = b;
            }
        }
        let roots: Vec<usize> = (0..links + nodes).map(|it| root(&mut roots, it)).collect();
        let module = |module: u32| links + nodes + module as usize;
        let mut edges = Vec::new();
        for node in 0..nodes {
            for (target, way) in ways(node) {
                let passed = (way.begin..way.end).map(|place| receivers.link(place).0 as usize);
                let mut at = links + node;
                for (k, link) in passed.enumerate() {
                    // The first link is worked off with the node.
                    if k > 0 {
                        edges.push((roots[at], roots[link]));
                    }
                    at = link;
                }
                if leaves_at_once(&plan.populations[target.module as usize]) {
                    edges.push((roots[at], module(target.module)));
                }
            }
        }
        let at_once: Vec<u32> =
            (0..).zip(&plan.populations).filter(|(_, it)| leaves_at_once(it)).map(|(module, _)| module).collect();
        for &from in &at_once {
            let outputs = plan.populations[from as usize].outputs.iter().flatten();
            edges.extend(outputs.map(|node| (module(from), roots[links + node.index()])));
        }
        let sorted = sorted(module(plan.populations.len() as u32), edges)?;
        let mut members = vec![(Vec::new(), Vec::new()); links + nodes];
        (0..links).for_each(|link| members[roots[link]].0.push(link as u32));
        (0..nodes).for_each(|node| members[roots[links + node]].1.push(node as u32));
        let carries: Vec<bool> = carrying(links, receivers, nodes);
        let unit = |at: usize| match at.checked_sub(links + nodes) {
            Some(module) => at_once.contains(&(module as u32)).then_some(Unit::Module(module as u32)),
            None => {
                let (links, nodes) = std::mem::take(&mut members[at]);
                let links: Vec<u32> = links.into_iter().filter(|&link| carries[link as usize]).collect();
                (!links.is_empty() || !nodes.is_empty()).then_some(Unit::Links { links, nodes })
            }
        };
        let units: Vec<Unit> = sorted.into_iter().filter_map(unit).collect();
        let last = (0..plan.populations.len() as u32).filter(|module| !at_once.contains(module)).collect();
        let most = most(plan, &units);
        Some(Self { units, last, most })
    }
}

/// Whether links carry messages in the order in which they come, later than they come, and nothing but them holds up
/// what comes after.
fn allows(plan: &Plan, machine: &Machine, receivers: &Receivers) -> bool {
    let (Some(mesh), Some(_)) = (&machine.mesh, machine.barrier) else { return false };
    let posted = mesh.acknowledge == Acknowledge::Network && mesh.arbiter == Arbiter::Fair;
    let takes_time = mesh.time_east_west > 0 && mesh.time_north_south > 0;
    let stations = (0..plan.populations.len()).all(|module| {
        let station = machine.module(ModuleId::new(module));
        let takes_time = station.delay_to_process > 0 || !leaves_at_once(&plan.populations[module]);
        let is_free = station.out_fifo_depth.is_none() && station.time_busy_initial == 0;
        takes_time && is_free && station.arbiter == Arbiter::Fair
    });
    let is_alone = machine.splits.is_empty()
        && machine.cores.as_ref().is_none_or(|cores| {
            let mut cores = cores.clone();
            cores.sort_unstable();
            cores.windows(2).all(|pair| pair[0] != pair[1])
        });
    let nodes = 0..plan.nodes.len();
    let at_once = |node: usize| receivers.of(node).all(|it| receivers.target(it).link.delay == 0);
    let is_timeless = plan.nodes.iter().any(|node| node.timeless);
    posted && takes_time && stations && is_alone && !is_timeless && nodes.into_iter().all(at_once)
}

/// By link: whether any way takes it.
fn carrying(links: usize, receivers: &Receivers, nodes: usize) -> Vec<bool> {
    let mut carries = vec![false; links];
    for target in (0..nodes).flat_map(|node| receivers.of(node)).map(|it| receivers.target(it)) {
        for &Way { begin, end } in receivers.ways(target, 0) {
            (begin..end).for_each(|place| carries[receivers.link(place).0 as usize] = true);
        }
    }
    carries
}

fn root(roots: &mut [usize], mut at: usize) -> usize {
    while roots[at] != at {
        roots[at] = roots[roots[at]];
        at = roots[at];
    }
    at
}

/// Numbers below `n`, each after those from which an edge leads to it (Kahn 1962); none where edges form a ring.
fn sorted(n: usize, mut edges: Vec<(usize, usize)>) -> Option<Vec<usize>> {
    edges.sort_unstable();
    edges.dedup();
    let mut before = vec![0; n];
    edges.iter().for_each(|&(_, to)| before[to] += 1);
    let mut sorted: Vec<usize> = (0..n).filter(|&it| before[it] == 0).collect();
    let mut at = 0;
    while let Some(&from) = sorted.get(at) {
        at += 1;
        let first = edges.partition_point(|edge| edge.0 < from);
        for &(_, to) in edges[first..].iter().take_while(|edge| edge.0 == from) {
            before[to] -= 1;
            if before[to] == 0 {
                sorted.push(to);
            }
        }
    }
    (sorted.len() == n).then_some(sorted)
}

fn most(plan: &Plan, units: &[Unit]) -> Vec<u64> {
    let mut most = vec![1_u64; plan.nodes.len()];
    let mut of_module = vec![0_u64; plan.populations.len()];
    for unit in units.iter().rev() {
        match unit {
            Unit::Links { nodes, .. } => {
                for &node in nodes {
                    let made = plan.nodes[node as usize].readers.iter().map(|it| of_module[it.population]);
                    most[node as usize] = made.fold(1, u64::saturating_add);
                }
            }
            &Unit::Module(module) => {
                let population = &plan.populations[module as usize];
                let outputs = population.outputs.iter().flatten().map(|node| most[node.index()]);
                let all = outputs.fold(0, u64::saturating_add);
                of_module[module as usize] = all.saturating_mul(most_outputs(population));
            }
        }
    }
    most
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges_are_sorted_or_a_ring() {
        assert_eq!(sorted(4, vec![(3, 1), (1, 0), (3, 0), (3, 1)]), Some(vec![2, 3, 1, 0]));
        assert_eq!(sorted(3, vec![(0, 1), (1, 2), (2, 1)]), None);
        assert_eq!(sorted(1, vec![(0, 0)]), None);
    }
}
