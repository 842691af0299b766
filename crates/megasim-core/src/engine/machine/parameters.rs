//! What a machine is, beyond what netfiles say: plain data, checked when it is compiled.

use super::arbiter::Arbiter;
use super::error::MachineError;
use super::mesh::Mesh;
use super::split::Split;
use super::tile::Tile;
use crate::network::{Module, ModuleId, ModuleKind, Network, NodeId, Tick};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::num::NonZeroU32;

/// The delays of a machine that runs one network. See `docs/timing.md`.
///
/// ```
/// use megasim_core::engine::machine::Machine;
/// use megasim_core::network::*;
/// let mut builder = NetworkBuilder::new();
/// let input = builder.source("input")?;
/// let flatten = Module {
///     kind: ModuleKind::Flatten(vec![FlattenPort { nx: 2, ny: 2 }]),
///     inputs: vec![Input::Node(input)],
///     timing: Timing { delay_to_process: 4, ..Timing::default() },
///     not_programmable: false,
/// };
/// builder.module(flatten, &["flat"])?;
/// let network = builder.build(100)?;
/// // EventKind the network says, and a wire of 3 ticks.
/// let mut machine = Machine::of(&network);
/// assert_eq!(machine.module(ModuleId::new(0)).delay_to_process, 4);
/// machine.set_link(input, ModuleId::new(0), megasim_core::engine::machine::Link { delay: 3, acknowledge_delay: 0 });
/// # Ok::<(), NetworkError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    modules: Vec<Station>,
    links: HashMap<(NodeId, ModuleId), Link>,
    /// The mesh with the tiles of modules, if there is one.
    pub mesh: Option<Mesh>,
    /// Steps with a barrier between them, if it is a clocked machine.
    pub barrier: Option<Barrier>,
    /// By module: the core that it is on. Modules of one core work one at a time, and an event goes to all of them in
    /// one message. None where each module has its own core.
    pub cores: Option<Vec<u32>>,
    /// Modules whose neurons are on several cores; [`Self::cores`] has the first of each.
    pub splits: BTreeMap<ModuleId, Split>,
}

/// The times of one module, in ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Station {
    /// Work per event, independent of its effect.
    pub delay_to_process: Tick,
    /// Work for each synaptic operation.
    pub time_per_operation: Tick,
    /// Work for each output event.
    pub time_per_output: Tick,
    /// Work for each output event and receiver of it.
    pub time_per_message: Tick,
    /// From acceptance to the acknowledge.
    pub delay_to_ack: Tick,
    /// Events that may wait inside; 0: none.
    pub fifo_depth: u32,
    /// Events that each output node may hold; none: any number.
    pub out_fifo_depth: Option<NonZeroU32>,
    /// Which of its ports is taken next, of events that wait before it.
    pub arbiter: Arbiter,
    /// Until when it is busy at the start.
    pub time_busy_initial: Tick,
    /// Work on neurons, once per step; counts only behind a barrier.
    pub soma: Soma,
}

/// Work on neurons once per step, in ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Soma {
    /// For each neuron.
    pub time_per_neuron: Tick,
    /// For each neuron that an event touched since the last step.
    pub time_per_update: Tick,
    /// For each spike that leaves.
    pub time_per_spike: Tick,
}

/// The wire from a node to a module, in ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Link {
    /// From request to arrival.
    pub delay: Tick,
    /// Added to the acknowledge.
    pub acknowledge_delay: Tick,
}

/// Steps of a clocked machine, in ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Barrier {
    /// Network time of a step, 1 or more.
    pub step: Tick,
    /// From the end of all work of a step to the next one.
    pub time: Tick,
}

impl Machine {
    /// What the network's own parameters say, and nothing else.
    pub fn of(network: &Network) -> Self {
        let stations = network.modules().iter().map(|module| Station {
            delay_to_process: module.timing.delay_to_process,
            delay_to_ack: module.timing.delay_to_ack,
            fifo_depth: module.timing.fifo_depth,
            time_busy_initial: module.timing.time_busy_initial,
            ..Station::default()
        });
        Self {
            modules: stations.collect(),
            links: HashMap::new(),
            mesh: None,
            barrier: None,
            cores: None,
            splits: BTreeMap::new(),
        }
    }

    /// The times of a module.
    pub fn module(&self, module: ModuleId) -> &Station {
        &self.modules[module.index()]
    }

    /// The times of a module, to be changed.
    pub fn module_mut(&mut self, module: ModuleId) -> &mut Station {
        &mut self.modules[module.index()]
    }

    /// The wire from a node to a module.
    pub fn link(&self, node: NodeId, module: ModuleId) -> Link {
        self.links.get(&(node, module)).copied().unwrap_or_default()
    }

    /// Gives a node and a module another wire.
    pub fn set_link(&mut self, node: NodeId, module: ModuleId, link: Link) {
        self.links.insert((node, module), link);
    }

    /// How many cores a module is on.
    pub fn cores_of(&self, module: ModuleId) -> usize {
        self.splits.get(&module).map_or(1, |split| split.begins.len())
    }

    /// The tiles of a module, one for each core that it is on; none without a mesh.
    pub fn tiles(&self, module: ModuleId) -> Vec<Tile> {
        match (&self.mesh, self.splits.get(&module)) {
            (None, _) => Vec::new(),
            (Some(_), Some(split)) => split.tiles.clone(),
            (Some(mesh), None) => vec![mesh.modules[module.index()]],
        }
    }

    /// How many tiles have a module.
    pub fn used_tiles(&self) -> usize {
        let tiles = (0..self.modules.len()).flat_map(|module| self.tiles(ModuleId::new(module)));
        tiles.collect::<BTreeSet<Tile>>().len()
    }

    fn check_splits(&self, network: &Network) -> Result<(), MachineError> {
        for (&module, split) in &self.splits {
            let neurons = network.modules().get(module.index()).and_then(|it| it.kind.neurons());
            let neurons = neurons.map_or(0, |(array, ..)| array.len() as u64);
            let begins = &split.begins;
            let rises = begins.first() == Some(&0) && begins.is_sorted_by(|a, b| a < b);
            let is_inside = begins.last().is_some_and(|&last| u64::from(last) < neurons);
            let on_mesh = self.mesh.as_ref().map_or(0, |_| begins.len());
            if !rises || !is_inside || split.tiles.len() != on_mesh {
                return Err(MachineError::Split { module: module.index(), neurons });
            }
        }
        Ok(())
    }

    /// Finds what is not valid.
    pub(super) fn check(&self, network: &Network) -> Result<(), MachineError> {
        let (machine, modules) = (self.modules.len(), network.modules().len());
        if machine != modules {
            return Err(MachineError::Modules { machine, network: modules });
        }
        if let Some(cores) = self.cores.as_ref().filter(|cores| cores.len() != modules) {
            return Err(MachineError::Modules { machine: cores.len(), network: modules });
        }
        self.check_splits(network)?;
        let stations = self.modules.iter().flat_map(|station| {
            [
                ("delay_to_process", station.delay_to_process),
                ("time_per_operation", station.time_per_operation),
                ("time_per_output", station.time_per_output),
                ("time_per_message", station.time_per_message),
                ("delay_to_ack", station.delay_to_ack),
                ("time_busy_initial", station.time_busy_initial),
                ("time_per_neuron", station.soma.time_per_neuron),
                ("time_per_update", station.soma.time_per_update),
                ("time_per_spike", station.soma.time_per_spike),
            ]
        });
        let links =
            self.links.values().flat_map(|link| [("delay", link.delay), ("acknowledge_delay", link.acknowledge_delay)]);
        let mesh = self
            .mesh
            .iter()
            .flat_map(|mesh| [("time_east_west", mesh.time_east_west), ("time_north_south", mesh.time_north_south)]);
        let barrier = self.barrier.iter().map(|barrier| ("barrier", barrier.time));
        for (what, found) in stations.chain(links).chain(mesh).chain(barrier) {
            if found < 0 {
                return Err(MachineError::Negative { what, found });
            }
        }
        if self.barrier.is_some() {
            let travels = |module: &Module| module.timing.delay_to_arrive > 0;
            let has_synaptic_current = |module: &Module| match &module.kind {
                ModuleKind::MaxPool(pool) => pool.mask().is_some(),
                kind => kind.neurons().is_some_and(|(_, neurons, _)| neurons.mask_tau > 0),
            };
            let decays = |module: &Module| module.kind.neurons().is_some_and(|(_, neurons, _)| neurons.leak_decay > 0);
            let custom =
                |module: &Module| module.kind.neurons().is_some_and(|(_, neurons, _)| neurons.model().is_some());
            if network.modules().iter().any(custom) {
                return Err(MachineError::Barrier("neuron_model"));
            }
            if network.modules().iter().any(decays) {
                return Err(MachineError::Barrier("leak_decay"));
            }
            if network.modules().iter().any(travels) {
                return Err(MachineError::Barrier("delay_to_arrive"));
            }
            if network.modules().iter().any(has_synaptic_current) {
                return Err(MachineError::Barrier("mask_tau"));
            }
        }
        if let Some(barrier) = self.barrier.filter(|barrier| barrier.step < 1) {
            return Err(MachineError::Step(barrier.step));
        }
        self.mesh.as_ref().map_or(Ok(()), |mesh| mesh.check(network, &self.splits))
    }
}
