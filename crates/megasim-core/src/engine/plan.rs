//! The network compiled for running: modules that act alike become one population, weights are stored in the order in
//! which events read them.
//!
//! The maps of a convolutional layer read the same nodes with the same geometry and timing. They are one
//! [`Population`] here, neurons stored `(y, x, map)` and kernels `(row, column, map)`, so that one row of kernel taps
//! is one contiguous run of weights on one contiguous run of potentials. A fully connected module is a population of
//! one map.

use super::geometry::{Geometry, KernelShape, geometry};
use super::layerwise::plan::LayerwisePlan;
use super::loops::{loops, timeless_loops};
use super::node_groups::{NodeGroup, node_groups};
use super::online_rule::OnlinePlan;
use super::output_address::OutputAddresses;
use super::population::{NeuronPopulation, PlanInput, PlanNode, Population, PopulationKind, Target, spikes_shrink};
use super::small::plan::SmallPlan;
use super::spans::SpanTables;
use super::synapses::{Kernel, Lane, Outside, Port, Synapses, Weights};
use super::tie_order::{self, TieOrder};
use super::{Error, Limits, kernels, payload};
use crate::equations::Decay;
use crate::network::payload::PayloadPaths;
use crate::network::{
    Array, Driver, Dynamics, Element, FullyConnectedPort, Input, Module, ModuleId, ModuleKind, Network, NeuronModel,
    NeuronParameters, NodeId, Output, Reset, SourceId, Tick, Timing,
};
use crate::parallel::by_number;
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

/// A network compiled for running; immutable, shared by any number of simulations and threads.
///
/// ```
/// use megasim_core::engine::{Mode, Plan, Probes, Simulation};
/// use megasim_core::network::*;
/// let mut builder = NetworkBuilder::new();
/// let input = builder.source("input")?;
/// let neuron = Module {
///     kind: ModuleKind::FullyConnected(FullyConnected {
///         array: Array { nx: 1, ny: 1, x_min: 0, y_min: 0 },
///         neurons: NeuronParameters { threshold_plus: 10, ..NeuronParameters::default() },
///         ports: vec![FullyConnectedPort { nx_pre: 1, ny_pre: 1, weights: [6].into() }],
///         output: Output::whole(Array { nx: 1, ny: 1, x_min: 0, y_min: 0 }),
///     }),
///     inputs: vec![Input::Node(input)],
///     timing: Timing::default(),
///     not_programmable: false,
/// };
/// let output = builder.module(neuron, &["output"])?[0];
/// let network = builder.build(100)?;
///
/// let plan = Plan::new(&network)?;
/// let spike = |t_pre| StimulusEvent { t_pre, x: 0, y: 0, polarity: Polarity::Positive };
/// let stimulus = Stimulus::from_events([spike(1), spike(5), spike(9), spike(20)]);
/// let record = Simulation::new(&plan, Mode::Event, &Probes::all(&network)).run(&[stimulus])?;
/// // 6, 12 -> spike and 2, 8, 14 -> spike and 4
/// assert_eq!(record.nodes[output.index()].as_ref().unwrap().t_pre, [5, 20]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Plan {
    pub(super) nodes: Vec<PlanNode>,
    pub(super) populations: Vec<Population>,
    /// Nodes that event mode may handle together.
    pub(super) groups: Vec<NodeGroup>,
    pub(super) sources: Vec<NodeId>,
    /// By node.
    pub(super) drivers: Vec<Driver>,
    pub(super) modules: usize,
    pub(super) t_max: Tick,
    pub(super) kernel: kernels::Variant,
    pub(super) tie_order: TieOrder,
    pub(super) limits: Limits,
    pub(super) payloads: PayloadPaths,
    /// The node of a source that touches neurons by itself; see [`Plan::with_touch`].
    pub(super) touch: Option<usize>,
    /// The layers whose thresholds change during a run.
    pub(super) online: Option<Arc<OnlinePlan>>,
    /// As runs layer by layer read it, if they can; made when it is needed.
    layerwise: Arc<OnceLock<Option<LayerwisePlan>>>,
    /// In flat arrays, if its modules are small; made when it is needed.
    pub(super) small: Arc<OnceLock<Option<SmallPlan>>>,
}

/// How a network is compiled. Only the order of ties changes what a run gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// The kernels, one of those that this machine has.
    pub kernel: kernels::Variant,
    /// Whether matrices whose weights all fit 16 bits are kept so: half the memory to read.
    pub narrow: bool,
    /// Which of several events of one tick comes first, in event mode.
    pub tie_order: TieOrder,
}

impl Default for Options {
    /// The fastest kernels, narrow where it can be, ties in netlist order.
    fn default() -> Self {
        Self { kernel: kernels::Variant::best(), narrow: true, tie_order: TieOrder::Netlist }
    }
}

/// What modules must have in common to be one population.
#[derive(PartialEq, Eq, Hash)]
struct PopulationKey<'n> {
    inputs: Vec<PlanInput>,
    timing: Timing,
    array: Array,
    neurons: &'n NeuronParameters,
    output: &'n Output,
    geometry: Vec<Geometry>,
    /// The layer whose threshold it shares, where thresholds change.
    layer: Option<usize>,
}

fn likeness<'n>(module: &'n Module, inputs: &[PlanInput], layer: Option<usize>) -> Option<PopulationKey<'n>> {
    let ModuleKind::Conv(conv) = &module.kind else { return None };
    Some(PopulationKey {
        inputs: inputs.to_vec(),
        timing: module.timing,
        array: conv.array,
        neurons: &conv.neurons,
        output: &conv.output,
        geometry: conv.ports.iter().map(geometry).collect(),
        layer,
    })
}

impl Plan {
    /// Compiles a network, with the fastest kernels that this machine has.
    ///
    /// # Errors
    /// [`Error::TooLarge`] if it has more neurons in all than this build accepts.
    pub fn new(network: &Network) -> Result<Self, Error> {
        Self::with_options(network, Options::default())
    }

    /// Compiles a network as the options say; but for the order of ties they all give the same bytes.
    ///
    /// # Errors
    /// As [`Plan::new`]; [`Error::Delays`] for the order `Split` where a module has delays.
    pub fn with_options(network: &Network, options: Options) -> Result<Self, Error> {
        Self::in_layers(network, options, &[])
    }

    /// As [`Plan::with_options`]; modules of two of these layers are not one population.
    pub(super) fn in_layers(network: &Network, options: Options, layers: &[Vec<ModuleId>]) -> Result<Self, Error> {
        if options.tie_order != TieOrder::Netlist {
            payload::refuse(network)?;
        }
        let halves = (options.tie_order == TieOrder::Split).then(|| tie_order::halves(network)).transpose()?;
        let network = halves.as_ref().unwrap_or(network);
        let mut positions = Positions::of(network);
        for (layer, modules) in layers.iter().enumerate() {
            modules.iter().for_each(|module| positions.layers[module.index()] = Some(layer));
        }
        let groups = group(network, &positions);
        // With halves each port is there twice.
        let stacks = options.tie_order != TieOrder::Split;
        Self::compile(network, options, if stacks { stack(network, &positions, groups) } else { groups })
    }

    /// Compiles a network with a population for each module, in order: for machines on which modules that act alike
    /// keep separate times.
    pub(super) fn module_by_module(network: &Network) -> Result<Self, Error> {
        payload::refuse(network)?;
        // All members of a group read the same.
        let alone = group(network, &Positions::of(network))
            .into_iter()
            .flat_map(|Members { modules, inputs, .. }| {
                let alone = move |id| Members { modules: vec![id], inputs: inputs.clone(), stacked: false };
                modules.into_iter().map(move |id| (id.index(), alone(id)))
            })
            .collect();
        let alone = by_number(alone).into_iter().map(|(_, alone)| alone).collect();
        Self::compile(network, Options::default(), alone)
    }

    fn compile(network: &Network, options: Options, groups: Vec<Members>) -> Result<Self, Error> {
        let neurons: u64 = network.modules().iter().map(|module| cells(&module.kind)).sum();
        if neurons > super::MAX_CELLS {
            return Err(Error::TooLarge { found: neurons });
        }
        let mut tables = SpanTables::default();
        let populations = groups.iter();
        let mut populations: Vec<_> =
            populations.map(|members| population(network, members, options, &mut tables)).collect();

        let mut nodes: Vec<_> = network
            .nodes()
            .iter()
            .map(|node| PlanNode {
                name: node.name.clone(),
                readers: Vec::new(),
                in_runs_from: None,
                leads: None,
                timeless: false,
                repeated: false,
            })
            .collect();
        for (id, population) in populations.iter().enumerate() {
            for (port, input) in population.inputs.iter().enumerate() {
                if let Some(node) = input.node {
                    nodes[node.index()].readers.push(Target { population: id, port });
                }
            }
            for &node in population.outputs.iter().flatten() {
                nodes[node.index()].repeated = population.timing.n_repeat > 1;
            }
        }
        for (id, node) in nodes.iter_mut().enumerate() {
            let in_runs = node.readers.iter().enumerate().all(|(k, reader)| {
                let population = &populations[reader.population];
                let instant = population.timing.delay_to_process == 0 && population.timing.delay_to_ack == 0;
                let forward = population.outputs.iter().flatten().all(|output| output.index() > id);
                let once = node.readers[..k].iter().all(|other| other.population != reader.population);
                instant && forward && once
            });
            let busy = node.readers.iter().map(|reader| populations[reader.population].timing.time_busy_initial);
            node.in_runs_from = in_runs.then(|| busy.max().unwrap_or(0));
        }
        for node in timeless_loops(&populations, nodes.len()).into_iter().flatten() {
            nodes[node.index()].timeless = true;
        }
        let groups = node_groups(&populations, &nodes);
        for (id, group) in groups.iter().enumerate() {
            nodes[group.first].leads = Some(id);
            for (k, &driver) in group.drivers.iter().enumerate() {
                populations[driver].group.get_or_insert((id, k));
            }
        }
        Ok(Self {
            nodes,
            populations,
            groups,
            sources: network.sources().to_vec(),
            drivers: network.nodes().iter().map(|node| node.driver).collect(),
            modules: network.modules().len(),
            t_max: last_tick(network.t_max()),
            kernel: options.kernel,
            tie_order: options.tie_order,
            limits: Limits::default(),
            payloads: PayloadPaths::of(network),
            touch: None,
            online: None,
            layerwise: Arc::default(),
            small: Arc::default(),
        })
    }

    /// The last tick of a run.
    pub fn t_max(&self) -> Tick {
        self.t_max
    }

    /// This plan with another last tick.
    pub fn with_t_max(mut self, t_max: Tick) -> Self {
        self.t_max = last_tick(t_max);
        self
    }

    /// In event mode a source, which is given no stimulus, makes an event at (0, 0) at the end of every tick, but for
    /// ticks in which no neuron could spike or change otherwise than the next touch makes up for. Its ports must have
    /// weights of 0, and it must be the last element of the netlist.
    pub fn with_touch(mut self, source: SourceId) -> Self {
        self.touch = Some(self.sources[source.index()].index());
        self
    }

    /// With limits for the runs of simulations that are made of it from now on.
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The loops on which time cannot advance: no delay anywhere, and no neurons with a least time between spikes or a
    /// refractory time. Such a loop is not an error; it may run away at one tick.
    pub fn timeless_loops(&self) -> Vec<Vec<NodeId>> {
        timeless_loops(&self.populations, self.nodes.len())
    }

    /// Output nodes of neurons whose spikes take their potential further beyond the threshold: once there, they spike
    /// in every step of clocked mode.
    pub fn rising_at_spikes(&self) -> Vec<NodeId> {
        let rising = |population: &&Population| match &population.kind {
            PopulationKind::Neurons(it) => it.model.is_none() && !it.softmax && !spikes_shrink(&it.neurons),
            _ => false,
        };
        self.populations.iter().filter(rising).flat_map(|it| it.outputs.iter().flatten().copied()).collect()
    }

    /// The loops through which events may come back, at whatever time.
    pub fn loops(&self) -> Vec<Vec<NodeId>> {
        loops(&self.populations, self.nodes.len(), |_| true)
    }

    /// As runs layer by layer read it, if they can.
    pub(super) fn layerwise(&self) -> Option<&LayerwisePlan> {
        if self.touch.is_some() || self.online.is_some() {
            return None;
        }
        let made = || LayerwisePlan::new(&self.nodes, &self.populations, &self.sources);
        self.layerwise.get_or_init(made).as_ref()
    }

    pub(super) fn node_name(&self, node: usize) -> String {
        self.nodes[node].name.clone()
    }

    /// An event of a node, `(time, x, y)`, has no line in a matrix that reads it.
    #[cold]
    pub(super) fn outside(&self, node: usize, (time, x, y): (Tick, i32, i32), outside: Outside) -> Error {
        let Outside { nx_pre, ny_pre } = outside;
        Error::Address { node: self.node_name(node), time, x, y, nx_pre, ny_pre }
    }
}

/// What leaves 64 bits stays at the largest time, which so is after the last tick of every run.
fn last_tick(t_max: Tick) -> Tick {
    t_max.min(Tick::MAX - 1)
}

fn cells(kind: &ModuleKind) -> u64 {
    match kind {
        ModuleKind::MaxPool(pool) => pool.ports.first().map_or(0, |port| {
            u64::from(port.nx) * u64::from(port.ny) + u64::from(port.nx_out) * u64::from(port.ny_out)
        }),
        kind => kind.neurons().map_or(0, |(array, ..)| array.len() as u64),
    }
}

/// Where elements are in the netlist: those that drive nodes, and modules.
struct Positions {
    nodes: Vec<usize>,
    modules: Vec<usize>,
    /// By module: the layer in which thresholds change together.
    layers: Vec<Option<usize>>,
}

impl Positions {
    fn of(network: &Network) -> Self {
        let (mut nodes, mut modules) = (vec![0; network.nodes().len()], vec![0; network.modules().len()]);
        for (at, element) in network.elements().iter().enumerate() {
            match element {
                Element::Source(source) => nodes[network.sources()[source.index()].index()] = at,
                Element::Module(module) => {
                    modules[module.index()] = at;
                    network.outputs(*module).iter().for_each(|node| nodes[node.index()] = at);
                }
            }
        }
        Self { nodes, modules, layers: vec![None; network.modules().len()] }
    }
}

/// Puts modules that act alike together, in the order of the first of each.
fn group(network: &Network, positions: &Positions) -> Vec<Members> {
    let mut groups: Vec<Members> = Vec::new();
    let mut by_likeness: HashMap<PopulationKey<'_>, usize> = HashMap::new();
    for (index, module) in network.modules().iter().enumerate() {
        let inputs: Vec<_> = module
            .inputs
            .iter()
            .map(|input| match input {
                Input::Node(node) => {
                    PlanInput { node: Some(*node), feedback: positions.nodes[node.index()] >= positions.modules[index] }
                }
                Input::Undriven(_) => PlanInput { node: None, feedback: false },
            })
            .collect();
        let id = ModuleId::new(index);
        let next = groups.len();
        let key = likeness(module, &inputs, positions.layers[index]);
        let at = key.map_or(next, |key| *by_likeness.entry(key).or_insert(next));
        match groups.get_mut(at) {
            Some(group) => group.modules.push(id),
            None => groups.push(Members { modules: vec![id], inputs, stacked: false }),
        }
    }
    groups
}

/// Puts modules together that read one node each, one neuron per event, and are alike otherwise: the maps of a pooling
/// layer. What they read must be there before the first of them.
fn stack(network: &Network, positions: &Positions, groups: Vec<Members>) -> Vec<Members> {
    let mut stacked: Vec<Members> = Vec::new();
    let mut by_likeness: HashMap<PopulationKey<'_>, usize> = HashMap::new();
    for group in groups {
        let next = stacked.len();
        let own = group.stackable(network).and_then(|(node, others)| {
            let first = group.modules[0].index();
            Some((node, likeness(&network.modules()[first], others, positions.layers[first])?))
        });
        let at = own.map_or(next, |(node, key)| {
            let at = by_likeness.entry(key).or_insert(next);
            let begins = |members: &Members| positions.modules[members.modules[0].index()];
            let is_late = stacked.get(*at).is_some_and(|it| positions.nodes[node.index()] >= begins(it));
            if is_late {
                *at = next;
            }
            *at
        });
        match stacked.get_mut(at) {
            Some(first) => {
                first.inputs.insert(first.modules.len(), group.inputs[0]);
                first.modules.extend(group.modules);
                first.stacked = true;
            }
            None => stacked.push(group),
        }
    }
    stacked
}

/// Modules that are compiled to one population.
struct Members {
    modules: Vec<ModuleId>,
    inputs: Vec<PlanInput>,
    /// Each has a first input for itself, at its own port; they come before the other inputs and ports, which are
    /// shared.
    stacked: bool,
}

impl Members {
    /// What it reads first, and its other inputs, where one event reaches one neuron of a single module and is answered
    /// at once, so that such modules need no separate times.
    fn stackable(&self, network: &Network) -> Option<(NodeId, &[PlanInput])> {
        let ([id], [PlanInput { node: Some(node), feedback: false }, others @ ..]) =
            (&self.modules[..], &self.inputs[..])
        else {
            return None;
        };
        let module = &network.modules()[id.index()];
        let ModuleKind::Conv(conv) = &module.kind else { return None };
        let at_once = module.timing.is_instant();
        let in_runs = is_plain(&conv.neurons) || conv.neurons.signed().is_some();
        let is_single = conv.ports.first().is_some_and(|port| KernelShape::new(port).is_single(conv.array));
        (at_once && in_runs && is_single && !conv.array.is_empty()).then_some((*node, others))
    }
}

fn population(
    network: &Network,
    Members { modules: members, inputs, stacked }: &Members,
    options: Options,
    tables: &mut SpanTables,
) -> Population {
    let module = &network.modules()[members[0].index()];
    let kind = match &module.kind {
        ModuleKind::Conv(conv) => {
            let lanes = members.iter().enumerate().filter(|_| *stacked).filter_map(|(map, member)| {
                let ModuleKind::Conv(conv) = &network.modules()[member.index()].kind else { return None };
                let lane = Lane { map, maps: members.len() };
                Some(Port::new(Synapses::Kernel(Kernel::of_lane(&conv.ports[0], conv.array, lane)), 1))
            });
            let shared = usize::from(*stacked);
            let ports = (shared..conv.ports.len()).map(|port| {
                let kernels: Vec<_> = members
                    .iter()
                    .filter_map(|member| match &network.modules()[member.index()].kind {
                        ModuleKind::Conv(conv) => Some(&conv.ports[port]),
                        _ => None,
                    })
                    .collect();
                Port::new(Synapses::Kernel(Kernel::new(&kernels, conv.array, tables)), members.len())
            });
            let ports: Vec<Port> = lanes.chain(ports).collect();
            PopulationKind::Neurons(NeuronPopulation {
                maps: members.len(),
                array: conv.array,
                neurons: conv.neurons,
                decay: decay(&conv.neurons),
                model: model(network, &conv.neurons),
                softmax: false,
                plain: is_plain(&conv.neurons),
                most_per_event: ports.iter().map(|port| most_per_event(&conv.neurons, port)).collect(),
                ports,
                addresses: OutputAddresses::new(conv.array, &conv.output),
                rectify: conv.output.rectify,
            })
        }
        ModuleKind::FullyConnected(full) | ModuleKind::Softmax(full) => {
            let ports = full.ports.iter().map(|FullyConnectedPort { nx_pre, ny_pre, weights }| {
                let weights = Weights::new(weights, full.array.len(), options.narrow);
                Port::new(Synapses::Matrix { nx_pre: *nx_pre, ny_pre: *ny_pre, weights }, full.array.len())
            });
            let ports: Vec<Port> = ports.collect();
            PopulationKind::Neurons(NeuronPopulation {
                maps: 1,
                array: full.array,
                neurons: full.neurons,
                decay: decay(&full.neurons),
                model: model(network, &full.neurons),
                softmax: matches!(module.kind, ModuleKind::Softmax(_)),
                plain: is_plain(&full.neurons) && !matches!(module.kind, ModuleKind::Softmax(_)),
                most_per_event: ports.iter().map(|port| most_per_event(&full.neurons, port)).collect(),
                ports,
                addresses: OutputAddresses::new(full.array, &full.output),
                rectify: full.output.rectify,
            })
        }
        ModuleKind::Flatten(ports) => PopulationKind::Flatten(ports.clone()),
        ModuleKind::MaxPool(pool) => PopulationKind::MaxPool(pool.clone()),
    };
    let outputs: Vec<Vec<NodeId>> = members.iter().map(|&member| network.outputs(member).to_vec()).collect();
    let most = match &module.kind {
        ModuleKind::Flatten(_) => 1,
        kind => cells(kind),
    };
    let nodes = outputs.iter().map(Vec::len).sum::<usize>() as u64;
    Population {
        modules: members.to_vec(),
        outputs,
        fan_out: most.saturating_mul(nodes).max(1),
        timing: module.timing,
        inputs: inputs.to_vec(),
        group: None,
        n_ports: module.kind.ports() + if *stacked { members.len() - 1 } else { 0 },
        kind,
    }
}

/// How often one event through a port can make one neuron spike: signed neurons spike until no rule holds.
fn most_per_event(neurons: &NeuronParameters, port: &Port) -> u64 {
    if neurons.signed().is_none() {
        return 1;
    }
    // Before the event the potential is less than a threshold away from a spike.
    (port.largest() / i64::from(neurons.threshold_plus)) as u64 + 1
}

fn decay(neurons: &NeuronParameters) -> Option<Box<Decay>> {
    (neurons.leak_decay > 0).then(|| Box::new(Decay::new(neurons.leak_decay)))
}

fn model(network: &Network, neurons: &NeuronParameters) -> Option<Arc<NeuronModel>> {
    network.models().get(&neurons.model()?).cloned()
}

fn is_plain(neurons: &NeuronParameters) -> bool {
    neurons.fires_plus
        && neurons.threshold_plus > 0
        && neurons.reset != Reset::Modulo
        && neurons.leak_plus == 0
        && neurons.leak_minus == 0
        && neurons.leak_decay == 0
        && neurons.refractory == 0
        && neurons.mask_tau == 0
        && neurons.dynamics == Dynamics::IntegrateAndFire
        && neurons.payload_bits.is_none()
        // Else potentials come to the floor, or spike there, as a matter of course.
        && i64::from(neurons.threshold_minus) < -64 * i64::from(neurons.threshold_plus)
        && spikes_shrink(neurons)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{Conv, ConvPort, NetworkBuilder};

    /// Three maps behind a convolution, each pooled by itself, and pooled again by modules that are alike.
    fn pooled(slow: bool) -> Network {
        let mut builder = NetworkBuilder::new();
        let mut nodes = [builder.source("in").unwrap(); 3];
        let array = Array { nx: 4, ny: 4, x_min: 0, y_min: 0 };
        for (layer, size) in [3, 2, 2].into_iter().enumerate() {
            for (map, node) in nodes.iter_mut().enumerate() {
                let stride = if layer == 0 { 1 } else { 2 };
                let weights = vec![1; (size * size) as usize].into();
                let ports = vec![ConvPort {
                    x_stride: stride,
                    y_stride: stride,
                    ..ConvPort::kernel(size, size, 0, 0, weights)
                }];
                let neurons = NeuronParameters::default();
                let kind = ModuleKind::Conv(Conv { array, neurons, ports, output: Output::whole(array) });
                let timing = Timing { delay_to_process: i64::from(slow && layer == 1), ..Timing::default() };
                let module = Module { kind, inputs: vec![Input::Node(*node)], timing, not_programmable: false };
                *node = builder.module(module, &[format!("{layer}_{map}")]).unwrap()[0];
            }
        }
        builder.build(10).unwrap()
    }

    #[test]
    fn pooled_maps_are_one_population_where_they_answer_at_once() {
        let stacked = |slow| {
            let plan = Plan::new(&pooled(slow)).unwrap();
            let maps = plan.populations.iter().map(|it| (it.modules.len(), it.inputs.len()));
            maps.collect::<Vec<_>>()
        };
        assert_eq!(stacked(false), [(3, 1), (3, 3), (3, 3)]);
        // Each of the first pooling layer is busy by itself.
        assert_eq!(stacked(true), [(3, 1), (1, 1), (1, 1), (1, 1), (3, 3)]);
    }
}
