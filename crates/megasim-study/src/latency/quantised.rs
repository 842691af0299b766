//! What the trained network would cost as a quantised one, by multiply-accumulates: the fair rival of its spikes.

use super::Latency;
use crate::classification::passes;
use crate::layers::{extent, input_size, pairs};
use megasim_convert::Manifest;
use megasim_core::network::{Driver, Input, Network, NodeId};
use serde::Serialize;

/// The network with activations of as many levels as its neurons can count, against its spikes; energies in joules per
/// sample.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Quantised {
    /// Multiply-accumulates of one sample: connections with weights, those of pooling not included.
    pub macs: u64,
    /// Levels of an activation above 0: spikes of a neuron at one per millisecond.
    pub levels: u64,
    /// Bits of an activation.
    pub bits: u32,
    /// All multiply-accumulates.
    pub energy: f64,
    /// The spikes on the machine, static power included.
    pub spikes_energy: f64,
    /// Synaptic operations per connection: the mean number of spikes that each carries.
    pub spikes_per_connection: f64,
    /// Spikes per connection at which both cost as much; none where what spikes do not cause costs more already.
    pub equal_at: Option<f64>,
}

/// Why there is no quantised network to compare with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotQuantised {
    /// The machine does not say what a multiply-accumulate costs.
    #[error("the machine has no energy_per_mac")]
    Machine,
    /// A schematic says neither how large the input is nor how long a sample is shown.
    #[error("a schematic has no model, which has the size of its input")]
    Schematic,
}

impl Latency {
    /// The quantised network.
    ///
    /// # Errors
    /// If the machine does not say what multiply-accumulates cost, or if the network is a schematic.
    pub fn quantised(&self) -> Result<Quantised, NotQuantised> {
        let resolved = &self.mapped.resolved;
        if resolved.energy_per_mac == 0.0 && resolved.energy_per_mac_bit == 0.0 {
            return Err(NotQuantised::Machine);
        }
        let levels = self.input.milliseconds().filter(|&levels| levels > 0).ok_or(NotQuantised::Schematic)?;
        let macs = self.input.connections().ok_or(NotQuantised::Schematic)?;
        let bits = u64::BITS - levels.leading_zeros();
        let energy = macs as f64 * (resolved.energy_per_mac + f64::from(bits) * resolved.energy_per_mac_bit);
        let (bill, n) = (self.bill(), self.results.samples.len().max(1) as f64);
        let operations: u64 = self.results.statistics.modules.iter().map(|module| module.operations).sum();
        let fixed = bill.static_energy + bill.layers.iter().map(|layer| layer.neurons).sum::<f64>();
        let of_spikes = (bill.total() - fixed) / n;
        let spikes_per_connection = operations as f64 / n / macs.max(1) as f64;
        let equal_at = spikes_per_connection * (energy - fixed / n) / of_spikes;
        Ok(Quantised {
            macs,
            levels,
            bits,
            energy,
            spikes_energy: bill.total() / n,
            spikes_per_connection,
            equal_at: Some(equal_at).filter(|rate| rate.is_finite() && *rate > 0.0),
        })
    }
}

/// Connections with weights of a converted network, those of pooling not included: addresses times the neurons that
/// each reaches.
pub(super) fn connections(network: &Network, manifest: &Manifest, inputs: &[NodeId]) -> u64 {
    let of_input = input_size(manifest);
    let place = |node: NodeId| match network.nodes()[node.index()].driver {
        Driver::Module(_) => Some(extent(network, node)).map(|(x, y, nx, ny)| (x as usize + nx, y as usize + ny)),
        Driver::Source(_) => inputs.contains(&node).then_some(of_input),
    };
    let layers = manifest.layers.iter().filter(|layer| !layer.kind.contains("Pooling"));
    let nodes = layers.flat_map(|layer| &layer.nodes).filter_map(|name| network.node_named(name));
    let of_node = |node: NodeId| -> u64 {
        let Driver::Module(id) = network.nodes()[node.index()].driver else { return 0 };
        let module = &network.modules()[id.index()];
        if module.kind.neurons().is_none_or(|(_, neurons, _)| passes(neurons)) {
            return 0;
        }
        let read = |(port, input): (usize, &Input)| match input {
            Input::Node(node) => Some(pairs(&module.kind, port, place(*node)?)),
            Input::Undriven(_) => None,
        };
        module.inputs.iter().take(module.kind.ports()).enumerate().filter_map(read).sum()
    };
    nodes.map(of_node).sum()
}
