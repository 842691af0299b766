//! The network as plain validated data: nodes, sources, modules, ports, neuron parameters.
//!
//! `Network` is the central type of the crate. The netfile reader and the converter make it, both modes of the engine
//! run it, the netfile writer reads it. It does not change during a run, and does not depend on files.
//!
//! A network is built with [`NetworkBuilder`], which checks every rule of `docs/netfiles.md`, so every
//! [`Network`] is valid: ids are in range, a node has one driver, matrices have the size that their header says,
//! thresholds and times obey the rules.

mod events;
mod module;
mod neuron_model;
pub(crate) mod parameters;
pub mod payload;
mod set_param;
mod time_scale;
mod validate;

pub use events::{EventLog, Polarity, Stimulus, StimulusEvent, sort_spikes};
pub(crate) use module::ReadArray;
pub use module::*;
pub use neuron_model::NeuronModel;
pub use parameters::{ParameterKey, parameter_keys};
pub use payload::{MAX_PAYLOAD_BITS, WHOLE_SPIKE};
pub use set_param::settable_keys;

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroU32;
use std::sync::Arc;

/// Simulated time in ticks. What a tick is in seconds is the user's choice.
pub type Tick = i64;

/// `Tmax` where a schematic gives none: the largest time the original MegaSim accepts.
pub const DEFAULT_T_MAX: Tick = 2_147_483_646;

/// Index of a node: nodes are numbered in the order in which the netlist drives them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct NodeId(u32);

/// Index of a module: modules are numbered in netlist order, sources not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct ModuleId(u32);

/// Index of a source: sources are numbered in netlist order, modules not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceId(u32);

macro_rules! index {
    ($($id:ident),*) => {$(
        impl $id {
            /// The id of the `index`-th one. Panics beyond 2^32 - 1, which no network reaches.
            pub fn new(index: usize) -> Self {
                Self(u32::try_from(index).expect("fewer than 2^32 nodes"))
            }
            /// The id as a vector index.
            pub fn index(self) -> usize {
                self.0 as usize
            }
        }
    )*};
}
index!(NodeId, ModuleId, SourceId);

/// A named wire that carries events from its one driver to any number of ports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// The name in the netlist; no blank, comma or brace.
    pub name: String,
    /// What puts events on the node.
    pub driver: Driver,
}

/// What puts events on a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Driver {
    /// A stimulus.
    Source(SourceId),
    /// An output of a module.
    Module(ModuleId),
}

/// An invalid network; keys are those of the netfile format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// Two drivers for one node.
    #[error("node {{{0}}} is driven twice")]
    DrivenTwice(String),
    /// A name that the netlist syntax does not allow.
    #[error("node name {0:?} is empty or has a blank, comma or brace in it")]
    NodeName(String),
    /// Fewer names than the module has input ports.
    #[error("{ports} input ports, but only {names} input names")]
    FewInputs {
        /// Input ports of the module.
        ports: usize,
        /// Names given for them.
        names: usize,
    },
    /// A parameter outside its range; `key` is its netfile key.
    #[error("{key}: expected {expected}, found {found}")]
    Range {
        /// Key of the parameter in a `.prm` file.
        key: &'static str,
        /// The allowed values.
        expected: String,
        /// The value given.
        found: String,
    },
    /// A port that reads a node that does not exist.
    #[error("an input of module {module} reads node {node}, but the nodes are 0 to {}", nodes - 1)]
    NoSuchNode {
        /// Number of the module.
        module: usize,
        /// Number of the node.
        node: usize,
        /// How many nodes there are.
        nodes: usize,
    },
    /// A node that is driven, but read as if it were not.
    #[error("an input of module {module} reads {{{node}}} as a name that nothing drives, but it is driven")]
    NotUndriven {
        /// Number of the module.
        module: usize,
        /// Name of the node.
        node: String,
    },
    /// An unknown key, or one that cannot be changed alone.
    #[error("no parameter {key} can be set; there are {known}")]
    UnknownKey {
        /// The key given.
        key: String,
        /// The known keys.
        known: String,
    },
    /// Spikes that carry values where they cannot be read.
    #[error("node {{{node}}} carries values (payload_bits), but it {reason}")]
    Payload {
        /// The node.
        node: String,
        /// What the trouble is.
        reason: &'static str,
    },
    /// More neurons than this build accepts in one module.
    #[error("{found} neurons in one module; the limit is {}", MAX_NEURONS)]
    TooLarge {
        /// Neurons announced.
        found: u64,
    },
}

/// One line of the netlist, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Element {
    /// A stimulus file drives a node.
    Source(SourceId),
    /// A module reads nodes and drives nodes.
    Module(ModuleId),
}

/// A validated network. See the [module documentation](self).
///
/// ```
/// use megasim_network::network::*;
/// let mut builder = NetworkBuilder::new();
/// let input = builder.source("input")?;
/// let flatten = Module {
///     kind: ModuleKind::Flatten(vec![FlattenPort { nx: 2, ny: 2 }]),
///     inputs: vec![Input::Node(input)],
///     timing: Timing::default(),
///     not_programmable: false,
/// };
/// builder.module(flatten, &["flat"])?;
/// let network = builder.build(100)?;
/// assert_eq!(network.nodes().len(), 2);
/// assert_eq!(network.node_named("flat"), Some(NodeId::new(1)));
/// # Ok::<(), NetworkError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Network {
    nodes: Vec<Node>,
    sources: Vec<NodeId>,
    modules: Vec<Module>,
    outputs: Vec<Vec<NodeId>>,
    elements: Vec<Element>,
    t_max: Tick,
    models: Arc<Models>,
}

/// Equations of neurons, by number.
pub type Models = BTreeMap<NonZeroU32, Arc<NeuronModel>>;

impl Network {
    /// The driven nodes, by [`NodeId`].
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }
    /// The node of each source, by [`SourceId`].
    pub fn sources(&self) -> &[NodeId] {
        &self.sources
    }
    /// The modules, by [`ModuleId`].
    pub fn modules(&self) -> &[Module] {
        &self.modules
    }
    /// The nodes that a module drives; each gets the same events.
    pub fn outputs(&self, module: ModuleId) -> &[NodeId] {
        &self.outputs[module.index()]
    }
    /// Sources and modules in netlist order.
    pub fn elements(&self) -> &[Element] {
        &self.elements
    }
    /// The last tick of a run.
    pub fn t_max(&self) -> Tick {
        self.t_max
    }
    /// The equations of neurons that are not integrate-and-fire neurons.
    pub fn models(&self) -> &Models {
        &self.models
    }
    /// The network with another last tick.
    ///
    /// # Errors
    /// If it is negative.
    pub fn with_t_max(mut self, t_max: Tick) -> Result<Self, NetworkError> {
        self.t_max = t_max;
        self.valid()
    }
    /// This network with its modules changed by `change`, each of which is checked again.
    ///
    /// # Errors
    /// If a changed module breaks a rule.
    pub fn map_modules(&self, change: impl FnMut(&mut Module)) -> Result<Self, NetworkError> {
        let mut network = self.clone();
        network.modules.iter_mut().for_each(change);
        network.valid()
    }
    /// The node of that name, if one is driven.
    pub fn node_named(&self, name: &str) -> Option<NodeId> {
        self.nodes.iter().position(|node| node.name == name).map(NodeId::new)
    }
    /// Position of a node's driver in netlist order, as an index into [`Network::elements`].
    pub fn driver_position(&self, node: NodeId) -> usize {
        let driver = match self.nodes[node.index()].driver {
            Driver::Source(id) => Element::Source(id),
            Driver::Module(id) => Element::Module(id),
        };
        self.elements.iter().position(|&element| element == driver).expect("every driver is an element")
    }
}

/// Builds a [`Network`] line by line, in netlist order.
///
/// A module may read a node that is driven later (a feedback loop, or a source written further down): name it with
/// [`Input::Undriven`]; [`NetworkBuilder::build`] binds the names that are driven by then.
#[derive(Debug, Clone, Default)]
pub struct NetworkBuilder {
    nodes: Vec<Node>,
    by_name: HashMap<String, NodeId>,
    sources: Vec<NodeId>,
    modules: Vec<Module>,
    outputs: Vec<Vec<NodeId>>,
    elements: Vec<Element>,
    models: Arc<Models>,
}

impl NetworkBuilder {
    /// An empty network.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty network that knows the equations of neurons of another one.
    pub fn with_models_of(network: &Network) -> Self {
        Self { models: network.models.clone(), ..Self::default() }
    }

    /// Gives equations of neurons a number.
    pub fn model(&mut self, number: NonZeroU32, model: Arc<NeuronModel>) {
        Arc::make_mut(&mut self.models).insert(number, model);
    }

    fn drive(&mut self, name: &str, driver: Driver) -> Result<NodeId, NetworkError> {
        if name.is_empty() || name.contains(|c: char| c.is_whitespace() || matches!(c, ',' | '{' | '}')) {
            return Err(NetworkError::NodeName(name.into()));
        }
        let id = NodeId::new(self.nodes.len());
        if self.by_name.insert(name.into(), id).is_some() {
            return Err(NetworkError::DrivenTwice(name.into()));
        }
        self.nodes.push(Node { name: name.into(), driver });
        Ok(id)
    }

    /// Adds a source that drives a new node.
    pub fn source(&mut self, node: &str) -> Result<NodeId, NetworkError> {
        let source = SourceId::new(self.sources.len());
        let id = self.drive(node, Driver::Source(source))?;
        self.sources.push(id);
        self.elements.push(Element::Source(source));
        Ok(id)
    }

    /// Adds a module that drives new nodes, and checks it.
    pub fn module(&mut self, module: Module, outputs: &[impl AsRef<str>]) -> Result<Vec<NodeId>, NetworkError> {
        module.check()?;
        let id = ModuleId::new(self.modules.len());
        let nodes =
            outputs.iter().map(|name| self.drive(name.as_ref(), Driver::Module(id))).collect::<Result<Vec<_>, _>>()?;
        self.modules.push(module);
        self.outputs.push(nodes.clone());
        self.elements.push(Element::Module(id));
        Ok(nodes)
    }

    /// Binds the names that were read before they were driven, and closes the network.
    pub fn build(mut self, t_max: Tick) -> Result<Network, NetworkError> {
        for input in self.modules.iter_mut().flat_map(|module| &mut module.inputs) {
            if let Input::Undriven(name) = input
                && let Some(&node) = self.by_name.get(name)
            {
                *input = Input::Node(node);
            }
        }
        let network = Network {
            models: self.models,
            nodes: self.nodes,
            sources: self.sources,
            modules: self.modules,
            outputs: self.outputs,
            elements: self.elements,
            t_max,
        };
        network.valid()
    }
}

/// Refuses a parameter below its least value.
fn at_least(key: &'static str, value: i64, least: i64) -> Result<(), NetworkError> {
    if value < least {
        return Err(NetworkError::Range { key, expected: format!("{least} or more"), found: value.to_string() });
    }
    Ok(())
}
