//! In which order the links and cores of a machine can be processed, step by step behind its barrier.
//!
//! On a mesh whose links carry messages in the order in which they come, and that acknowledges events itself, nothing
//! goes back in a step but the acknowledges of first links: a node requests its next event when the links that begin at
//! its tile have carried the messages of the one before. Such links with their nodes are a [`Unit`]; so is a core with
//! a module whose outputs leave in the step in which it makes them. Each can be processed for a whole step when those
//! before it are; those that depend on each other are one unit.

use super::arbiter::Arbiter;
use super::mesh::Acknowledge;
use super::parameters::Machine;
use super::receivers::{Receivers, Target};
use crate::engine::plan::Plan;
use crate::engine::population::{Population, PopulationKind};
use crate::graph::strongly_connected_components;
use crate::network::ModuleId;

/// What is processed at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Unit {
    /// Links, and the nodes for whose messages they are the first ones; or nodes without such.
    Links(Members),
    /// As these, where what a link carries may hold up what comes to it.
    Ring(Members),
    /// A core with a module whose outputs leave in the same step.
    Core(u32),
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Members {
    pub links: Vec<u32>,
    pub nodes: Vec<u32>,
}

/// The units in an order in which they can be processed, and what is left.
#[derive(Debug, Clone)]
pub(super) struct Order {
    pub units: Vec<Unit>,
    /// The other cores: their neurons take input, and spike when the next step begins.
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

/// Links, nodes and cores, as numbers of one row.
struct Graph<'r> {
    receivers: &'r Receivers,
    links: usize,
    nodes: usize,
    cores: usize,
}

impl Graph<'_> {
    fn node(&self, node: usize) -> usize {
        self.links + node
    }

    fn core(&self, core: u32) -> usize {
        self.links + self.nodes + core as usize
    }

    /// The links of each way of a node's events, with the receiver; of one on the same tile none.
    fn ways(&self, node: usize) -> impl Iterator<Item = (&Target, Vec<usize>)> {
        let lead = self.receivers.of(node).map(|it| self.receivers.target(it)).filter(|target| !target.follows);
        lead.flat_map(move |target| {
            let froms = 0..self.receivers.froms(node);
            froms.flat_map(move |from| {
                let links = |way: &super::receivers::Way| {
                    (way.begin..way.end).map(|place| self.receivers.link(place).0 as usize).collect()
                };
                let ways = self.receivers.ways(target, from);
                let here = ways.is_empty().then(Vec::new);
                ways.iter().map(links).chain(here).map(move |links| (target, links))
            })
        })
    }

    /// The parts: of each pair the first one is processed together with, or before, the second.
    fn components(&self, plan: &Plan, modules_of: &[Vec<u32>]) -> Vec<Vec<usize>> {
        let mut successors: Vec<Vec<usize>> = vec![Vec::new(); self.links + self.nodes + self.cores];
        let mut edge = |from: usize, to: usize| successors[from].push(to);
        for node in 0..self.nodes {
            for (target, links) in self.ways(node) {
                if let Some(&first) = links.first() {
                    edge(self.node(node), first);
                    edge(first, self.node(node));
                }
                links.windows(2).for_each(|pair| edge(pair[0], pair[1]));
                edge(links.last().copied().unwrap_or(self.node(node)), self.core(target.core));
            }
        }
        for (core, modules) in (0..).zip(modules_of) {
            for &module in modules.iter().filter(|&&module| leaves_at_once(&plan.populations[module as usize])) {
                let outputs = plan.populations[module as usize].outputs.iter().flatten();
                outputs.for_each(|node| edge(self.core(core), self.node(node.index())));
            }
        }
        // They come the last first.
        let mut components = strongly_connected_components(&successors);
        components.reverse();
        components
    }
}

impl Order {
    /// None where a machine does not allow it.
    pub fn new(plan: &Plan, machine: &Machine, receivers: &Receivers, modules_of: &[Vec<u32>]) -> Option<Self> {
        allows(plan, machine, receivers, modules_of).then_some(())?;
        let links = machine.mesh.as_ref()?.links();
        let graph = Graph { receivers, links, nodes: plan.nodes.len(), cores: modules_of.len() };
        // Of each link, what comes to it from others.
        let mut before: Vec<Vec<usize>> = vec![Vec::new(); links];
        for (_, passed) in (0..graph.nodes).flat_map(|node| graph.ways(node)) {
            passed.windows(2).for_each(|pair| before[pair[1]].push(pair[0]));
        }
        let (mut units, mut last) = (Vec::new(), Vec::new());
        for component in graph.components(plan, modules_of) {
            let core = component.iter().find_map(|&it| it.checked_sub(graph.core(0)));
            if let Some(core) = core {
                // A core that waits for itself is processed message by message.
                (component.len() == 1).then_some(())?;
                let mut modules = modules_of[core].iter().map(|&module| &plan.populations[module as usize]);
                if modules.any(leaves_at_once) {
                    units.push(Unit::Core(core as u32));
                } else if !modules_of[core].is_empty() {
                    last.push(core as u32);
                }
                continue;
            }
            let (of_links, nodes): (Vec<usize>, Vec<usize>) = component.into_iter().partition(|&it| it < links);
            let is_ring = of_links.iter().any(|&link| before[link].iter().any(|it| of_links.binary_search(it).is_ok()));
            let members = Members {
                links: of_links.into_iter().map(|link| link as u32).collect(),
                nodes: nodes.into_iter().map(|node| (node - links) as u32).collect(),
            };
            units.push(if is_ring { Unit::Ring(members) } else { Unit::Links(members) });
        }
        let most = most(plan, &units, modules_of);
        Some(Self { units, last, most })
    }
}

/// Whether links carry messages in the order in which they come, later than they come, and nothing but them holds up
/// what comes after.
fn allows(plan: &Plan, machine: &Machine, receivers: &Receivers, modules_of: &[Vec<u32>]) -> bool {
    let (Some(mesh), Some(_)) = (&machine.mesh, machine.barrier) else { return false };
    let posted = mesh.acknowledge == Acknowledge::Network && mesh.arbiter == Arbiter::Fair;
    let takes_time = mesh.time_east_west > 0 && mesh.time_north_south > 0;
    let modules = modules_of.iter().flat_map(|modules| modules.iter().map(|&module| (module, modules.len() > 1)));
    let stations = modules.into_iter().all(|(module, is_shared)| {
        let station = machine.module(ModuleId::new(module as usize));
        let population = &plan.populations[module as usize];
        let is_free = station.out_fifo_depth.is_none() && station.time_busy_initial == 0;
        let takes_time = station.delay_to_process > 0 || !(is_shared || leaves_at_once(population));
        // A module of a core that takes no time for its step would be done together with another one.
        let has_neurons = matches!(population.kind, PopulationKind::Neurons(_));
        let steps_take_time = station.soma.time_per_neuron > 0 || !(is_shared && has_neurons);
        is_free && takes_time && steps_take_time && station.arbiter == Arbiter::Fair
    });
    let mut nodes = 0..plan.nodes.len();
    let wires = nodes.all(|node| receivers.of(node).all(|it| receivers.target(it).link.delay == 0));
    let is_timeless = plan.nodes.iter().any(|node| node.timeless);
    posted && takes_time && stations && wires && !is_timeless
}

fn most(plan: &Plan, units: &[Unit], modules_of: &[Vec<u32>]) -> Vec<u64> {
    let mut most = vec![1_u64; plan.nodes.len()];
    let mut of_module = vec![0_u64; plan.populations.len()];
    for unit in units.iter().rev() {
        match unit {
            Unit::Links(Members { nodes, .. }) | Unit::Ring(Members { nodes, .. }) => {
                for &node in nodes {
                    let made = plan.nodes[node as usize].readers.iter().map(|it| of_module[it.population]);
                    most[node as usize] = made.fold(1, u64::saturating_add);
                }
            }
            &Unit::Core(core) => {
                for &module in &modules_of[core as usize] {
                    let population = &plan.populations[module as usize];
                    if leaves_at_once(population) {
                        let outputs = population.outputs.iter().flatten().map(|node| most[node.index()]);
                        let all = outputs.fold(0, u64::saturating_add);
                        of_module[module as usize] = all.saturating_mul(most_outputs(population));
                    }
                }
            }
        }
    }
    most
}
