//! A network of small modules in flat arrays, so that an event touches few lines of the cache.

use super::state::{SmallModule, SmallNode};
use crate::engine::output_address::OutputAddresses;
use crate::engine::population::{NeuronPopulation, PlanNode, Population, PopulationKind};
use crate::engine::synapses::{Synapses, Weights};
use crate::equations::Decay;
use crate::network::{NeuronParameters, NodeId, Timing};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

/// Most neurons of a small module. Above it the kernels of vectors gain more than flat arrays save.
const MOST_NEURONS: usize = 32;

/// Most weights of a network of small modules.
const MOST_WEIGHTS: usize = 1 << 24;

/// A network of small modules.
#[derive(Debug, Clone)]
pub(in crate::engine) struct SmallPlan {
    pub classes: Vec<Class>,
    /// By population, each of one module: as a run begins.
    pub modules: Vec<SmallModule>,
    /// As a run begins.
    pub nodes: Vec<SmallNode>,
    /// Those of each node, in netlist order, then port order.
    pub readers: Vec<Reader>,
    /// Output nodes of each module.
    pub outputs: Vec<u32>,
    pub weights: Vec<i32>,
    /// Neurons of all modules.
    pub neurons: usize,
}

/// What modules have in common that differ in their weights and nodes only.
#[derive(Debug, Clone)]
pub(in crate::engine) struct Class {
    pub timing: Timing,
    pub neurons: NeuronParameters,
    pub decay: Option<Box<Decay>>,
    pub addresses: OutputAddresses,
    pub rectify: bool,
}

/// One port of one module.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine) struct Reader {
    pub module: u32,
    /// None at inputs beyond the ports, which take only resets.
    pub matrix: Option<Matrix>,
}

/// A line of weights for each presynaptic address.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine) struct Matrix {
    /// Where its weights begin among all.
    first: u32,
    pub nx_pre: u32,
    pub ny_pre: u32,
}

impl Matrix {
    /// Where the weights of an address are, for `n` neurons.
    #[inline(always)]
    pub fn line(self, x: i32, y: i32, n: usize) -> Option<Range<usize>> {
        let (x, y) = (u32::try_from(x).ok()?, u32::try_from(y).ok()?);
        let start = self.first as usize + (x as usize + y as usize * self.nx_pre as usize) * n;
        (x < self.nx_pre && y < self.ny_pre).then_some(start..start + n)
    }
}

impl SmallPlan {
    /// The network in flat arrays, if all its modules are fully connected, small, and neither softmax nor of one of the
    /// dynamics of extension keys, and if none makes events more than once.
    pub fn new(nodes: &[PlanNode], populations: &[Population], sources: &[NodeId]) -> Option<Self> {
        let small: Vec<&NeuronPopulation> = populations.iter().map(small).collect::<Option<_>>()?;
        let mut plan = Self {
            classes: Vec::new(),
            modules: Vec::new(),
            nodes: Vec::new(),
            readers: Vec::new(),
            outputs: Vec::new(),
            weights: Vec::new(),
            neurons: 0,
        };
        plan.add_modules(populations, &small);
        // Modules often share their weights.
        let mut places = HashMap::new();
        for node in nodes {
            let first = plan.readers.len();
            for reader in &node.readers {
                let port = small[reader.population].ports.get(reader.port);
                let matrix = match port.map(|port| &port.synapses) {
                    Some(Synapses::Matrix { nx_pre, ny_pre, weights: Weights::Wide(weights) }) => {
                        let first = *places.entry(Arc::as_ptr(weights)).or_insert_with(|| {
                            plan.weights.extend_from_slice(weights);
                            plan.weights.len() - weights.len()
                        });
                        Some(Matrix { first: first as u32, nx_pre: *nx_pre, ny_pre: *ny_pre })
                    }
                    Some(_) => return None,
                    None => None,
                };
                if plan.weights.len() > MOST_WEIGHTS {
                    return None;
                }
                plan.readers.push(Reader { module: reader.population as u32, matrix });
            }
            plan.nodes.push(SmallNode::new(first..plan.readers.len(), node.timeless));
        }
        for (source, node) in sources.iter().enumerate() {
            plan.nodes[node.index()].set_source(source);
        }
        Some(plan)
    }

    fn add_modules(&mut self, populations: &[Population], small: &[&NeuronPopulation]) {
        let mut classes = HashMap::new();
        for (population, small) in populations.iter().zip(small) {
            let (timing, neurons, rectify) = (population.timing, small.neurons, small.rectify);
            let class = *classes.entry((timing, neurons, rectify, &small.addresses)).or_insert_with(|| {
                let (decay, addresses) = (small.decay.clone(), small.addresses.clone());
                self.classes.push(Class { timing, neurons, decay, addresses, rectify });
                self.classes.len() - 1
            });
            let first = self.outputs.len();
            self.outputs.extend(population.outputs.iter().flatten().map(|node| node.index() as u32));
            let outputs = first..self.outputs.len();
            self.modules.push(SmallModule::new(&timing, class, self.neurons, outputs));
            self.neurons += small.addresses.len();
        }
    }
}

/// The neurons of a population, if they are few and have the dynamics of MegaSim.
fn small(population: &Population) -> Option<&NeuronPopulation> {
    let PopulationKind::Neurons(neurons) = &population.kind else { return None };
    let parameters = &neurons.neurons;
    let is_small = neurons.maps == 1
        && neurons.array.len() <= MOST_NEURONS
        && population.timing.n_repeat <= 1
        && neurons.model.is_none()
        && !neurons.softmax
        && parameters.signed().is_none()
        && parameters.mask_tau == 0
        && parameters.payload_bits.is_none();
    is_small.then_some(neurons)
}
