//! Modules that act alike, as one: what a compiled network consists of.

use super::output_address::OutputAddresses;
use super::synapses::Port;
use crate::equations::Decay;
use crate::network::{
    Array, FlattenPort, MaxPool, ModuleId, NeuronModel, NeuronParameters, NodeId, Reset, Tick, Timing,
};
use std::sync::Arc;

/// What happens to the events of one node.
#[derive(Debug, Clone)]
pub(super) struct PlanNode {
    pub name: String,
    /// Receivers in netlist order, then port order.
    pub readers: Vec<Target>,
    /// From this time on all events of a tick may be handed to one reader after the other, if ever: no reader delays or
    /// is still busy from the start, no output goes to this node or one before it, and no population reads it twice.
    pub in_runs_from: Option<Tick>,
    /// The group of which this node is the first.
    pub leads: Option<usize>,
    /// The node is on a loop on which time cannot advance.
    pub timeless: bool,
    /// Whether its driver makes events more than once, so that they may overtake each other.
    pub repeated: bool,
}

/// One port of one population.
#[derive(Debug, Clone, Copy)]
pub(super) struct Target {
    pub population: usize,
    pub port: usize,
}

/// Modules that act alike, as one.
#[derive(Debug, Clone)]
pub(super) struct Population {
    /// The modules, one per map.
    pub modules: Vec<ModuleId>,
    /// Output nodes of each map.
    pub outputs: Vec<Vec<NodeId>>,
    pub timing: Timing,
    pub inputs: Vec<PlanInput>,
    /// The group of its output nodes, and which of the group is the first of them.
    pub group: Option<(usize, usize)>,
    /// Ports with a kernel, matrix or array; inputs beyond them act only by resets and controls.
    pub n_ports: usize,
    /// The most output events that one event makes, over all nodes, repeats not counted; at least 1.
    pub fan_out: u64,
    pub kind: PopulationKind,
}

/// What a population reads at one port, for clocked mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct PlanInput {
    /// `None` where nothing drives it.
    pub node: Option<NodeId>,
    /// The driver is at or after the reader in the netlist.
    pub feedback: bool,
}

#[derive(Debug, Clone)]
pub(super) enum PopulationKind {
    Neurons(NeuronPopulation),
    Flatten(Vec<FlattenPort>),
    MaxPool(MaxPool),
}

#[derive(Debug, Clone)]
pub(super) struct NeuronPopulation {
    pub maps: usize,
    pub array: Array,
    pub neurons: NeuronParameters,
    /// How potentials decay, where they do so exponentially.
    pub decay: Option<Box<Decay>>,
    /// The equations of custom neurons.
    pub model: Option<Arc<NeuronModel>>,
    pub softmax: bool,
    /// No leak, no refractory time, positive spikes by subtraction or to rest: a kernel may let them spike.
    pub plain: bool,
    pub ports: Vec<Port>,
    /// By port: how often one event can make one neuron spike.
    pub most_per_event: Box<[u64]>,
    pub addresses: OutputAddresses,
    pub rectify: bool,
}

impl NeuronPopulation {
    /// Whether one event can make a neuron spike several times.
    pub fn repeats(&self) -> bool {
        self.most_per_event.iter().any(|&most| most > 1)
    }

    /// Neurons that spike on control events only: softmax, and those behind a decaying current.
    pub fn acts_on_control(&self) -> bool {
        self.softmax || self.neurons.mask_tau > 0
    }
}

/// Whether reset by subtraction or modulo keeps potentials inside the bounds they had: so that running bounds on a
/// population's potentials stay true when neurons spike.
pub(super) fn spikes_shrink(neurons: &NeuronParameters) -> bool {
    let plus = !neurons.fires_plus || neurons.threshold_plus > 0;
    let minus = !neurons.fires_minus || neurons.threshold_minus < 0;
    neurons.reset == Reset::ToRest || (plus && minus)
}
