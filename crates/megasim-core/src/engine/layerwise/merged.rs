//! Maps that read the same nodes and each another one, such as a convolution to which a shortcut is added: populations
//! of one map each, which are run as one layer of cells.

use super::compiler::{Compiler, MOST_WEIGHTS, Origin};
use super::layers::{CellLayer, CellReach, CellRead, MergedLayer, Touch};
use crate::engine::geometry::Span;
use crate::engine::population::{NeuronPopulation, Population, PopulationKind};
use crate::engine::synapses::{Kernel, Port, Synapses};
use crate::network::{NeuronParameters, Reset};
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

/// A population of one map that can be run together with others.
struct OneMap<'p> {
    neurons: &'p NeuronPopulation,
    ports: &'p [Port],
    /// An event may leave a neuron beyond the threshold, so that neurons that no event reaches must not be tested.
    stays_beyond: bool,
}

impl<'p> OneMap<'p> {
    /// None starts beyond the threshold or below the floor.
    fn of(population: &'p Population) -> Option<Self> {
        let PopulationKind::Neurons(neurons) = &population.kind else { return None };
        let ports = &neurons.ports[..population.n_ports.min(neurons.ports.len())];
        let is_kernel = |port: &Port| matches!(port.synapses, Synapses::Kernel(_));
        let NeuronParameters { reset, threshold_plus, threshold_minus, .. } = neurons.neurons;
        let is_signed = neurons.neurons.signed().is_some();
        let spikes_once = reset == Reset::ToRest || ports.iter().all(|port| port.largest() <= threshold_plus.into());
        let is_inside = is_signed || neurons.neurons.rest() >= threshold_minus;
        let fits = ports.iter().all(is_kernel);
        let stays_beyond = !is_signed && !spikes_once;
        (neurons.maps == 1 && !neurons.array.is_empty() && is_inside && fits).then_some(Self {
            neurons,
            ports,
            stays_beyond,
        })
    }
}

impl Compiler<'_> {
    /// Whether neurons, and what they read, can be run together with population `first`.
    fn is_like(&self, first: usize, other: &NeuronPopulation, inputs: &[(usize, usize)]) -> bool {
        let PopulationKind::Neurons(neurons) = &self.populations[first].kind else { return false };
        let reads_ahead =
            |&(node, _): &(usize, usize)| matches!(self.origins[node], Origin::Population(driver) if driver >= first);
        other.array == neurons.array && other.neurons == neurons.neurons && !inputs.iter().any(reads_ahead)
    }

    /// The merged layer that starts with a population, if most of what its maps read is read by all of them.
    pub(super) fn merged(&self, first: usize) -> Option<MergedLayer> {
        let OneMap { neurons, .. } = OneMap::of(&self.populations[first])?;
        // What the first two do not share is not common: most populations are refused by this.
        let inputs_of = |id: usize| self.populations.get(id).map_or_else(Vec::new, |it| self.inputs(it));
        let is_driven = |node: &usize| matches!(self.origins[*node], Origin::Population(_));
        let next = inputs_of(first + 1);
        let is_shared = |node: &usize| next.iter().any(|(other, _)| other == node);
        if !inputs_of(first).iter().any(|(node, _)| is_driven(node) && is_shared(node)) {
            return None;
        }
        let mut nodes: BTreeMap<usize, Vec<(usize, &Port)>> = BTreeMap::new();
        let (mut maps, mut largest, mut stay_beyond) = (0, 0, false);
        let mut nodes_read = Vec::new();
        for population in &self.populations[first..] {
            let Some(OneMap { neurons: other, ports, stays_beyond }) = OneMap::of(population) else { break };
            stay_beyond |= stays_beyond;
            let inputs = self.inputs(population);
            if !self.is_like(first, other, &inputs) {
                break;
            }
            for &(node, port) in &inputs {
                nodes.entry(node).or_default().extend(ports.get(port).map(|port| (maps, port)));
            }
            largest = ports.iter().map(Port::largest).fold(largest, i64::max);
            nodes_read.push(inputs.into_iter().map(|(node, _)| node).collect::<Vec<_>>());
            maps += 1;
        }
        let is_common = |node: &usize| nodes[node].len() == maps;
        let (common, other): (Vec<usize>, Vec<usize>) = nodes.keys().copied().partition(is_common);
        if maps < 2 || common.iter().filter(|node| is_driven(node)).count() * maps <= other.len() {
            return None;
        }
        let (mut rows, mut reads) = (Vec::new(), Vec::new());
        // By row, and map: whether the row reaches it.
        let mut reached: Vec<Rc<[bool]>> = Vec::new();
        let mut reaches = HashMap::new();
        for (&node, readers) in &nodes {
            let first_row = (rows.len() / maps) as u32;
            let mut kernels = readers.iter().filter_map(|&(map, port)| match &port.synapses {
                Synapses::Kernel(kernel) => Some((map, kernel)),
                Synapses::Matrix { .. } => None,
            });
            let Some((_, kernel)) = kernels.next() else {
                // The input only resets.
                reads.push(CellRead { node, reach: None, first_row });
                continue;
            };
            let of_node = rows.len();
            let mut reads_node = vec![false; maps];
            readers.iter().for_each(|&(map, _)| reads_node[map] = true);
            reached.extend(std::iter::repeat_n(Rc::from(reads_node), kernel.weights.len()));
            rows.resize(of_node + kernel.weights.len() * maps, 0);
            if rows.len() > MOST_WEIGHTS.0 {
                return None;
            }
            for &(map, port) in readers {
                let Synapses::Kernel(of_map) = &port.synapses else { return None };
                if of_map.shape.geometry() != kernel.shape.geometry() {
                    return None;
                }
                let lanes = rows[of_node + map..].iter_mut().step_by(maps);
                lanes.zip(of_map.weights.iter()).for_each(|(lane, &weight)| *lane = weight);
            }
            let key = (self.tables[node], kernel.shape.geometry());
            let made = || self.merged_reach(node, kernel, neurons);
            let reach = reaches.entry(key).or_insert_with(made).clone()?;
            reads.push(CellRead { node, reach: Some(CellReach { lanes: readers.len(), ..reach }), first_row });
        }
        let own = nodes_read.into_iter().map(|mut reads| {
            reads.retain(|node| !is_common(node));
            reads
        });
        let own = own.collect();
        let mut cells = CellLayer::new((neurons.array.len(), maps), false, &rows, reads, largest)?;
        if stay_beyond {
            cells.weights = cells.weights.with_reached(maps, |row, map| reached[row][map]);
        }
        Some(MergedLayer { cells, common, own })
    }

    /// What events of a node reach by a kernel of one map: cells in place of neurons.
    fn merged_reach(&self, node: usize, kernel: &Kernel, neurons: &NeuronPopulation) -> Option<CellReach> {
        let (cell_step, row_step) = match &kernel.spans {
            Some(spans) => (spans.neuron_step as u32, spans.weight_step as u32),
            None if kernel.single.is_some() || kernel.shape.is_empty() => (0, 0),
            None => return None,
        };
        if neurons.array.nx.max(neurons.array.ny) > u16::MAX.into() {
            return None;
        }
        let touch = |(x, y): (i32, i32)| {
            let mut touch = Touch::default();
            kernel.each_span(neurons.array, 1, x, y, |Span { neuron, weight, len }| {
                if touch.lines == 0 {
                    let (cell, row, columns) = (neuron as u32, weight as u32, len as u16);
                    touch = Touch { cell, row, columns, lines: 0, row_step };
                }
                touch.lines += 1;
            });
            touch
        };
        let touches = self.addresses(node)?.into_iter().map(touch).collect();
        Some(CellReach { touches, lanes: 1, cell_step })
    }
}
