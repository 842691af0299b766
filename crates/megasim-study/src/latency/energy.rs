//! What it costs, by layer and by cause.

use crate::hardware::{ModuleLayer, Resolved};
use megasim_core::engine::machine::Statistics;
use megasim_core::network::{Driver, ModuleId, Network};

/// Joules of one layer, by cause.
#[derive(Debug, Clone, Copy, Default, PartialEq, serde::Serialize)]
pub struct Account {
    /// Events worked on.
    pub events: f64,
    /// Synaptic operations.
    pub operations: f64,
    /// Neurons looked at, once per step.
    pub neurons: f64,
    /// Neurons brought up to date.
    pub updates: f64,
    /// Output events.
    pub spikes: f64,
    /// Messages to receivers.
    pub messages: f64,
    /// Links of the mesh.
    pub hops: f64,
}

impl Account {
    /// The causes by name.
    pub fn parts(&self) -> [(&'static str, f64); 7] {
        [
            ("events", self.events),
            ("operations", self.operations),
            ("neurons", self.neurons),
            ("updates", self.updates),
            ("spikes", self.spikes),
            ("messages", self.messages),
            ("hops", self.hops),
        ]
    }

    /// All causes.
    pub fn total(&self) -> f64 {
        self.parts().iter().map(|(_, joules)| joules).sum()
    }

    /// Adds another one.
    pub fn add(&mut self, other: &Self) {
        self.events += other.events;
        self.operations += other.operations;
        self.neurons += other.neurons;
        self.updates += other.updates;
        self.spikes += other.spikes;
        self.messages += other.messages;
        self.hops += other.hops;
    }
}

/// Joules of all runs.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct EnergyBreakdown {
    /// Of what the sources send.
    pub input: Account,
    /// Of each layer, in the order given.
    pub layers: Vec<Account>,
    /// Static power over the time of the runs; 0 where the length of a tick is not given.
    pub static_energy: f64,
}

impl EnergyBreakdown {
    /// Adds up counts and unit costs.
    pub fn of(network: &Network, layers: &[ModuleLayer], hardware: &Resolved, statistics: &Statistics) -> Self {
        let mut layer_of = vec![0; network.modules().len()];
        for (k, layer) in layers.iter().enumerate() {
            layer.modules.iter().for_each(|module| layer_of[module.index()] = k);
        }
        let mut bill = Self { layers: vec![Account::default(); layers.len()], ..Self::default() };
        for (k, (module, energies)) in statistics.modules.iter().zip(&hardware.energies).enumerate() {
            // Each core of a module takes its events.
            let events = module.events * hardware.machine.cores_of(ModuleId::new(k)) as u64;
            bill.layers[layer_of[k]].add(&Account {
                events: events as f64 * energies.per_event,
                operations: module.operations as f64 * energies.per_operation,
                neurons: module.neurons as f64 * energies.per_neuron,
                updates: module.updates as f64 * energies.per_update,
                spikes: module.outputs as f64 * energies.per_spike,
                ..Account::default()
            });
        }
        for (node, described) in statistics.nodes.iter().zip(network.nodes()) {
            let hops = node.hops_east_west as f64 * hardware.energy_east_west
                + node.hops_north_south as f64 * hardware.energy_north_south;
            match described.driver {
                Driver::Source(_) => bill.input.hops += hops,
                Driver::Module(module) => {
                    let account = &mut bill.layers[layer_of[module.index()]];
                    account.hops += hops;
                    account.messages += node.messages as f64 * hardware.energies[module.index()].per_message;
                }
            }
        }
        let seconds = hardware.tick.map_or(0.0, |tick| tick.seconds()) * statistics.elapsed as f64;
        bill.static_energy = hardware.static_power * seconds;
        bill
    }

    /// Input and layers, without static power.
    pub fn dynamic(&self) -> f64 {
        self.input.total() + self.layers.iter().map(Account::total).sum::<f64>()
    }

    /// Everything, static power included.
    pub fn total(&self) -> f64 {
        self.dynamic() + self.static_energy
    }

    /// The sums by name, for every table of energies.
    pub fn totals(&self) -> [(&'static str, f64); 3] {
        [("dynamic", self.dynamic()), ("static power", self.static_energy), ("total", self.total())]
    }
}
