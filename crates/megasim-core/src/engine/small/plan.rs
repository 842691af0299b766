//! A network of small modules in flat arrays, so that an event touches few lines of the cache.

use super::parts::{Class, Matrix, Reader, SmallModule, SmallNode};
use crate::engine::population::{NeuronPopulation, PlanNode, Population, PopulationKind};
use crate::engine::synapses::{Synapses, Weights};
use crate::network::NodeId;
use std::collections::HashMap;
use std::sync::Arc;

/// Most neurons of a small module. Above it the kernels of vectors gain more than flat arrays save.
const MOST_NEURONS: usize = 32;

/// Most weights of a network of small modules, which are copied: 16 MB.
const MOST_WEIGHTS: usize = 1 << 22;

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
                let of = small[reader.population];
                let n = of.addresses.len();
                let matrix = match of.ports.get(reader.port).map(|port| &port.synapses) {
                    Some(synapses @ Synapses::Matrix { nx_pre, ny_pre, weights }) => {
                        let shared = match weights {
                            Weights::Wide(weights) => Some(Arc::as_ptr(weights)),
                            Weights::Narrow(_) => None,
                        };
                        let first = match shared.and_then(|it| places.get(&it)) {
                            Some(&first) => first,
                            None if plan.weights.len() + synapses.len() > MOST_WEIGHTS => return None,
                            None => plan.add_weights(weights, n),
                        };
                        shared.map(|it| places.insert(it, first));
                        Some(Matrix { first, nx_pre: *nx_pre, ny_pre: *ny_pre })
                    }
                    Some(Synapses::Kernel(_)) => return None,
                    None => None,
                };
                plan.readers.push(Reader { module: reader.population as u32, matrix });
            }
            plan.nodes.push(SmallNode::new(first..plan.readers.len(), node.timeless));
        }
        for (source, node) in sources.iter().enumerate() {
            plan.nodes[node.index()].set_source(source);
        }
        Some(plan)
    }

    /// Copies a matrix for `n` neurons; returns where it begins.
    fn add_weights(&mut self, weights: &Weights, n: usize) -> u32 {
        let first = self.weights.len() as u32;
        match weights {
            Weights::Wide(weights) => self.weights.extend_from_slice(weights),
            Weights::Narrow(matrix) => {
                let lines = 0..matrix.weights.len() / matrix.stride;
                lines.for_each(|line| self.weights.extend(matrix.line(line, n)));
            }
        }
        first
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
