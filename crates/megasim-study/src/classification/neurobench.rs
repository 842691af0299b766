//! Complexity of a converted network as NeuroBench 2 counts it, so that its figures can be compared with published
//! ones.
//!
//! J. Yik et al., "The NeuroBench framework for benchmarking neuromorphic computing algorithms and systems", Nature
//! Communications 16:1545 (2025). A step is a step of clocked mode, in event mode a tick.

use super::{ByMode, ClassifyOptions, Error, Outcome, Seen, Setup, Watched, look_at, network_for, setup};
use crate::layers::{extent, input_size};
use megasim_convert::{ConvertedModel, LabelledSamples};
use megasim_core::control::{Control, Part as Named};
use megasim_core::engine::{Mode, Probes, Progress, Record, Simulation};
use megasim_core::network::{
    Driver, EventLog, FlattenPort, Input, Module, ModuleId, ModuleKind, Network, NeuronParameters, NodeId, Reset, Tick,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Bytes of a weight or bias: netfiles hold 32-bit integers.
const BYTES: u64 = 4;

/// The complexity metrics of NeuroBench 2, static and of a workload.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct NeuroBench {
    /// Bytes of all parameters, 4 each.
    pub footprint: u64,
    /// Weights and biases; of a convolution those of its kernels. Weights of pooling are none.
    pub parameter_count: u64,
    /// Share of weights that are 0, biases not included.
    pub connection_sparsity: f64,
    /// What the samples cost in each mode that ran.
    #[serde(flatten)]
    pub workload: ByMode<Workload>,
}

/// Means per sample.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Workload {
    /// Steps of a sample.
    pub steps: f64,
    /// Share of outputs of neurons that are 0, over all neurons and steps.
    pub activation_sparsity: f64,
    /// Operations of connections.
    pub synaptic_operations: SynapticOperations,
    /// Potentials that a step changed; in the first step all neurons count. None where neurons leak, whose potentials
    /// the engine brings up to date only at events.
    pub membrane_updates: Option<f64>,
}

/// Operations of connections per sample; biases and pooling are not counted.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct SynapticOperations {
    /// All connections in all steps.
    pub dense: f64,
    /// Weights other than 0 times inputs other than 0, in steps in which a layer has an input other than -1, 0 and 1.
    pub effective_macs: f64,
    /// Weights other than 0 at inputs other than 0, in all other steps.
    pub effective_acs: f64,
}

/// Counts what NeuroBench counts while the samples are shown, as [`classify`](super::classify()) shows them, stops
/// included. Samples run once more per mode, with all spikes recorded.
///
/// ```
/// use megasim_ann::import::Model;
/// use megasim_convert::{Convert, ConvertOptions, LabelledSamples};
/// use megasim_data::Dataset;
/// use megasim_study::classification::{ClassifyOptions, Modes, neurobench};
/// # std::env::set_current_dir("../..")?;
///
/// let data = Dataset::open("examples/digits".as_ref())?;
/// let converted = Model::open("examples/digits/digits_cnn.keras")?.convert(&data, &ConvertOptions::new())?;
/// let samples = LabelledSamples::test(&converted, &data, 0, Some(5))?;
/// let options = ClassifyOptions::new().duration(20).modes(Modes::Clocked { dt: 1 });
/// let found = neurobench(&converted, &samples, &options, &())?;
/// let clocked = found.workload.clocked.expect("clocked mode ran");
/// assert!(clocked.synaptic_operations.effective_acs < clocked.synaptic_operations.dense);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// As of [`classify`](super::classify()); [`Error::PooledCurrents`] where currents go through maximum pooling.
pub fn neurobench(
    converted: &ConvertedModel,
    samples: &LabelledSamples,
    options: &ClassifyOptions,
    control: &dyn Control,
) -> Result<NeuroBench, Error> {
    let network = network_for(converted, options)?;
    let setup = setup(converted, &network, samples, options);
    let connections = Connections::new(converted, &network);
    let mut workload = ByMode { event: None, clocked: None };
    for (name, mode) in options.modes.each() {
        control.start(&format!("NeuroBench, {name}"), samples.len());
        let found = connections.workload(&setup, samples, mode, control)?;
        match mode {
            Mode::Event => workload.event = Some(found),
            Mode::Clocked { .. } => workload.clocked = Some(found),
        }
    }
    let Connections { weights, zeros, biases, .. } = connections;
    let parameter_count = weights + biases;
    Ok(NeuroBench {
        footprint: parameter_count * BYTES,
        parameter_count,
        connection_sparsity: zeros as f64 / weights.max(1) as f64,
        workload,
    })
}

/// How many neurons of a layer the spikes of a node reach, by address.
struct Reach {
    x: i32,
    y: i32,
    nx: usize,
    /// Through any weight.
    all: Vec<u64>,
    /// Through a weight other than 0.
    effective: Vec<u64>,
}

impl Reach {
    fn new((x, y, nx, ny): (i32, i32, usize, usize)) -> Self {
        Self { x, y, nx, all: vec![0; nx * ny], effective: vec![0; nx * ny] }
    }

    fn add(&mut self, kind: &ModuleKind, port: usize) {
        for k in 0..self.all.len() {
            let at = (self.x + (k % self.nx) as i32, self.y + (k / self.nx) as i32);
            kind.each_target(port, at, |_, weight| {
                self.all[k] += 1;
                self.effective[k] += u64::from(weight != 0);
            });
        }
    }

    fn effective(&self, x: i32, y: i32) -> u64 {
        let column = usize::try_from(i64::from(x) - i64::from(self.x)).ok().filter(|&column| column < self.nx);
        let row = usize::try_from(i64::from(y) - i64::from(self.y)).ok();
        column.zip(row).and_then(|(column, row)| self.effective.get(row * self.nx + column)).copied().unwrap_or(0)
    }
}

/// What NeuroBench looks at in a network.
struct Connections {
    weights: u64,
    zeros: u64,
    biases: u64,
    /// For each layer with weights: what it reads.
    layers: Vec<BTreeMap<NodeId, Reach>>,
    /// Nodes of neurons.
    activations: Vec<NodeId>,
    /// Modules of neurons.
    modules: Vec<ModuleId>,
    neurons: u64,
    leaks: bool,
    /// Nodes of the input, and the flattened ones: which addresses of the input they put one after another.
    inputs: BTreeMap<NodeId, Vec<usize>>,
    /// Columns of each of these nodes.
    columns: BTreeMap<NodeId, usize>,
    /// Whether maximum pooling reads the input.
    pools_input: bool,
}

/// Whether a module only passes on each spike that it gets: a change of place, or of a pooling that counts.
pub(crate) fn passes(neurons: &NeuronParameters) -> bool {
    neurons.threshold_plus == 1 && neurons.fires_minus && neurons.reset == Reset::ToRest
}

fn leaks(neurons: &NeuronParameters) -> bool {
    let linear = neurons.leak_plus > 0 || neurons.leak_minus > 0;
    linear || neurons.leak_decay > 0 || neurons.mask_tau > 0 || neurons.model().is_some()
}

impl Connections {
    fn new(converted: &ConvertedModel, network: &Network) -> Self {
        let manifest = converted.manifest();
        let (width, height) = input_size(manifest);
        let mut found = Self {
            weights: 0,
            zeros: 0,
            biases: 0,
            layers: Vec::new(),
            activations: Vec::new(),
            modules: Vec::new(),
            neurons: 0,
            leaks: false,
            inputs: BTreeMap::new(),
            columns: BTreeMap::new(),
            pools_input: false,
        };
        for (map, node) in converted.layout().nodes(network).enumerate() {
            let first = map * height * width;
            found.inputs.insert(node, (first..first + height * width).collect());
            found.columns.insert(node, width);
        }
        let bias_clock = manifest.bias_clock.as_deref().and_then(|name| network.node_named(name));
        for layer in &manifest.layers {
            let mut reads = BTreeMap::new();
            for name in &layer.nodes {
                let Some(node) = network.node_named(name) else { continue };
                let Driver::Module(id) = network.nodes()[node.index()].driver else { continue };
                let module = &network.modules()[id.index()];
                match &module.kind {
                    ModuleKind::Flatten(ports) => found.flatten(node, module, ports),
                    ModuleKind::MaxPool(_) => found.pools_input |= found.reads_input(module),
                    _ => {}
                }
                let Some((array, neurons, _)) = module.kind.neurons().filter(|(_, it, _)| !passes(it)) else {
                    continue;
                };
                found.activations.push(node);
                found.modules.push(id);
                found.neurons += array.len() as u64;
                found.leaks |= leaks(neurons);
                if !layer.kind.contains("Pooling") {
                    found.connect(network, module, bias_clock, (width, height), &mut reads);
                }
            }
            found.layers.extend(Some(reads).filter(|reads| !reads.is_empty()));
        }
        found
    }

    fn reads_input(&self, module: &Module) -> bool {
        module.inputs.iter().any(|input| matches!(input, Input::Node(node) if self.inputs.contains_key(node)))
    }

    /// Notes which addresses of the input a flattening puts where.
    fn flatten(&mut self, node: NodeId, module: &Module, ports: &[FlattenPort]) {
        let of = |input: &Input| match input {
            Input::Node(node) => self.inputs.get(node).cloned(),
            Input::Undriven(_) => None,
        };
        let parts: Option<Vec<_>> = module.inputs.iter().take(ports.len()).map(of).collect();
        if let Some(parts) = parts {
            let addresses = parts.concat();
            self.columns.insert(node, addresses.len().max(1));
            self.inputs.insert(node, addresses);
        }
    }

    /// Counts the weights of a module, and what they connect.
    fn connect(
        &mut self,
        network: &Network,
        module: &Module,
        bias_clock: Option<NodeId>,
        (width, height): (usize, usize),
        reads: &mut BTreeMap<NodeId, Reach>,
    ) {
        for (port, (weights, input)) in module.kind.weights().into_iter().zip(&module.inputs).enumerate() {
            let Input::Node(node) = input else { continue };
            if Some(*node) == bias_clock {
                let is_one = matches!(module.kind, ModuleKind::Conv(_)) && weights.windows(2).all(|w| w[0] == w[1]);
                self.biases += if is_one { 1 } else { weights.len() as u64 };
                continue;
            }
            let place = match network.nodes()[node.index()].driver {
                Driver::Module(_) => extent(network, *node),
                Driver::Source(_) if self.inputs.contains_key(node) => (0, 0, width, height),
                // Clocks and resets.
                Driver::Source(_) => continue,
            };
            self.weights += weights.len() as u64;
            self.zeros += weights.iter().filter(|&&weight| weight == 0).count() as u64;
            reads.entry(*node).or_insert_with(|| Reach::new(place)).add(&module.kind, port);
        }
    }

    fn workload(
        &self,
        setup: &Setup,
        samples: &LabelledSamples,
        mode: Mode,
        control: &dyn Control,
    ) -> Result<Workload, Error> {
        let is_current = setup.code.is_current();
        if is_current && self.pools_input {
            return Err(Error::PooledCurrents);
        }
        let dt = match mode {
            Mode::Event => 1,
            Mode::Clocked { dt } => dt,
        };
        let nodes: Vec<NodeId> =
            self.layers.iter().flat_map(BTreeMap::keys).chain(&self.activations).copied().collect();
        let probes = Probes::of(&nodes);
        let watched = match self.leaks {
            true => Watched::Nothing,
            false => Watched::Updates { modules: &self.modules, dt },
        };
        let values = samples.values();
        let look = |k: usize, _: &Network, (outcome, record): (&Outcome, &Record), seen: Seen| {
            let rates = is_current.then(|| setup.layout.rates(&values.row(k).to_vec()));
            let end = outcome.decision.stopped.map_or(setup.clock.ticks(), |tick| tick + 1);
            let mut tally = self.count(record, rates.as_deref(), (end, dt));
            if let Some(rates) = &rates {
                self.count_currents(rates, (end, setup.clock.ticks_per_ms.into()), &mut tally);
            }
            tally.updates = seen.updates;
            tally
        };
        let control = Named { control, name: "NeuroBench" };
        let all = look_at(setup, values, samples.numbers(), (mode, &probes, &watched), look, &control)?;
        if all.is_empty() {
            return Err(Error::Cancelled);
        }
        let mean = |of: fn(&Tally) -> f64| all.iter().map(|(_, tally)| of(tally)).sum::<f64>() / all.len() as f64;
        Ok(Workload {
            steps: mean(|tally| tally.steps as f64),
            activation_sparsity: mean(|tally| 1.0 - tally.active as f64 / tally.outputs.max(1) as f64),
            synaptic_operations: SynapticOperations {
                dense: mean(|tally| tally.dense as f64),
                effective_macs: mean(|tally| tally.macs as f64),
                effective_acs: mean(|tally| tally.acs as f64),
            },
            membrane_updates: (!self.leaks).then(|| mean(|tally| tally.updates as f64)),
        })
    }

    /// What the spikes of one sample cost. Where the input is a current, its nodes only carry a clock.
    fn count(&self, record: &Record, rates: Option<&[f32]>, (end, dt): (Tick, Tick)) -> Tally {
        let mut by_node: BTreeMap<NodeId, Vec<Activation>> = BTreeMap::new();
        let nodes = self.layers.iter().flat_map(BTreeMap::keys).chain(&self.activations);
        for &node in nodes.filter(|node| rates.is_none() || !self.inputs.contains_key(node)) {
            if let Some(log) = &record.nodes[node.index()] {
                by_node.entry(node).or_insert_with(|| activations(log, dt));
            }
        }
        let last = by_node.values().filter_map(|activations| activations.last()).map(|last| last.step + 1).max();
        let steps = (end.max(0) as usize).div_ceil(dt.max(1) as usize).max(last.unwrap_or(0));
        let mut tally = Tally { steps: steps as u64, outputs: self.neurons * steps as u64, ..Tally::default() };
        tally.active = self.activations.iter().filter_map(|node| by_node.get(node)).map(|it| it.len() as u64).sum();
        for layer in &self.layers {
            let (mut operations, mut is_graded) = (vec![0; steps], vec![false; steps]);
            for (node, reach) in layer {
                if rates.is_some() && self.inputs.contains_key(node) {
                    continue;
                }
                tally.dense += reach.all.iter().sum::<u64>() * steps as u64;
                for it in by_node.get(node).into_iter().flatten() {
                    operations[it.step] += reach.effective(it.x, it.y);
                    is_graded[it.step] |= it.value.abs() > 1;
                }
            }
            for (operations, is_graded) in operations.into_iter().zip(is_graded) {
                *(if is_graded { &mut tally.macs } else { &mut tally.acs }) += operations;
            }
        }
        tally
    }

    /// What values as currents cost, which act once per millisecond.
    fn count_currents(&self, rates: &[f32], (end, ticks_per_ms): (Tick, Tick), tally: &mut Tally) {
        let times = (end.max(0) as u64).div_ceil(ticks_per_ms.max(1) as u64);
        let is_graded = rates.iter().any(|rate| ![-1.0, 0.0, 1.0].contains(rate));
        for (node, reach) in self.layers.iter().flatten() {
            let Some(addresses) = self.inputs.get(node) else { continue };
            let columns = self.columns[node];
            tally.dense += reach.all.iter().sum::<u64>() * times;
            let on = addresses.iter().enumerate().filter(|(_, address)| rates[**address] != 0.0);
            let effective = on.map(|(k, _)| reach.effective((k % columns) as i32, (k / columns) as i32)).sum::<u64>();
            *(if is_graded { &mut tally.macs } else { &mut tally.acs }) += effective * times;
        }
    }
}

/// An output other than 0 in a step.
struct Activation {
    step: usize,
    y: i32,
    x: i32,
    /// Spikes with their signs.
    value: i64,
}

/// The spikes of a node by step and address, those that cancel left out.
fn activations(log: &EventLog, dt: Tick) -> Vec<Activation> {
    let spikes = (0..log.len()).filter(|&k| log.polarity[k].is_sign() && log.y[k] >= 0);
    let mut all: Vec<Activation> = spikes
        .map(|k| Activation {
            step: usize::try_from(log.t_rqst[k] / dt.max(1)).unwrap_or(0),
            y: log.y[k],
            x: log.x[k],
            value: i64::from(log.polarity[k] as i8),
        })
        .collect();
    all.sort_unstable_by_key(|it| (it.step, it.y, it.x));
    all.dedup_by(|next, kept| {
        let is_same = (next.step, next.y, next.x) == (kept.step, kept.y, kept.x);
        if is_same {
            kept.value += next.value;
        }
        is_same
    });
    all.retain(|it| it.value != 0);
    all
}

/// What one sample cost.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Tally {
    steps: u64,
    /// Outputs other than 0.
    active: u64,
    /// All outputs: neurons times steps.
    outputs: u64,
    dense: u64,
    macs: u64,
    acs: u64,
    updates: u64,
}

/// How often steps change potentials.
pub(super) struct Updates {
    modules: Vec<ModuleId>,
    /// Modules that read each node.
    readers: Vec<Vec<usize>>,
    dt: Tick,
    step: Tick,
    /// As they are now, and as the step before left them.
    now: Vec<Vec<i32>>,
    before: Vec<Vec<i32>>,
    updates: u64,
}

impl Updates {
    pub(super) fn new(network: &Network, modules: &[ModuleId], dt: Tick) -> Self {
        let mut readers = vec![Vec::new(); network.nodes().len()];
        let mut now = Vec::with_capacity(modules.len());
        for (k, module) in modules.iter().map(|module| &network.modules()[module.index()]).enumerate() {
            for input in &module.inputs {
                if let Input::Node(node) = input
                    && readers[node.index()].last() != Some(&k)
                {
                    readers[node.index()].push(k);
                }
            }
            now.push(module.kind.neurons().map_or(Vec::new(), |(array, neurons, _)| vec![neurons.rest(); array.len()]));
        }
        Self { modules: modules.to_vec(), readers, dt: dt.max(1), step: 0, before: now.clone(), now, updates: 0 }
    }

    pub(super) fn look(&mut self, progress: &Progress<'_>) {
        let step = progress.time / self.dt;
        if step > self.step {
            self.end_step();
            self.step = step;
        }
        match progress.node {
            Some(node) => {
                for &k in &self.readers[node.index()] {
                    self.now[k] = progress.potentials(self.modules[k]);
                }
            }
            None => self.now = self.modules.iter().map(|&module| progress.potentials(module)).collect(),
        }
    }

    /// Counts what the step changed; in the first one all neurons.
    fn end_step(&mut self) {
        for (now, before) in self.now.iter().zip(&mut self.before) {
            let changed = now.iter().zip(&*before).filter(|(now, before)| now != before).count();
            self.updates += if self.step == 0 { now.len() } else { changed } as u64;
            before.clone_from(now);
        }
    }

    pub(super) fn finish(mut self, simulation: &Simulation<'_>) -> u64 {
        self.now = self.modules.iter().map(|&module| simulation.potentials(module)).collect();
        self.end_step();
        self.updates
    }
}
