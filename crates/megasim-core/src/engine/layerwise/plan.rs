//! Which networks can be run layer by layer, and their layers as such runs read them.

use super::compiler::{Compiler, MOST_WEIGHTS, Origin};
use super::layers::{
    CellLayer, CellReach, CellRead, Layer, LayerKind, Lines, SingleInput, SingleLayer, SingleReach, Touch, Touches,
};
use super::places::{NOWHERE, SourcePlaces};
use super::pooling_layer::pooling_layer;
use super::weight_rows::SEGMENT_REACH;
use crate::engine::population::{NeuronPopulation, PlanNode, Population, PopulationKind};
use crate::engine::routing;
use crate::engine::spans::SpanTable;
use crate::engine::synapses::{Kernel, Outside, Port, Synapses, Tap, Weights};
use crate::network::{NodeId, Signed};
use std::collections::HashMap;
use std::sync::Arc;

/// Most addresses of a source.
const MOST_PLACES: usize = 1 << 22;
/// How often one event may make one signed neuron spike.
const MOST_PER_EVENT: u64 = 16;

/// A network as runs layer by layer read it.
#[derive(Debug)]
pub(in crate::engine) struct LayerwisePlan {
    /// By population, each after those that it reads.
    pub(super) layers: Vec<Layer>,
    /// By source.
    pub(super) sources: Vec<SourcePlaces>,
    /// By node: where its events come from.
    pub(super) origins: Vec<Origin>,
}

/// By origin of the addresses, table, and neurons of a stretch.
type TouchTables = HashMap<(Origin, *const SpanTable, usize), Touches>;

impl LayerwisePlan {
    /// That of a network without loops, delays and neurons that keep time, if its layers are not too large.
    pub(in crate::engine) fn new(nodes: &[PlanNode], populations: &[Population], sources: &[NodeId]) -> Option<Self> {
        let origins = origins(nodes.len(), populations, sources)?;
        for (id, population) in populations.iter().enumerate() {
            let mut nodes: Vec<usize> = population.inputs.iter().filter_map(|it| Some(it.node?.index())).collect();
            let reads_ahead = |&node: &usize| matches!(origins[node], Origin::Population(driver) if driver >= id);
            nodes.sort_unstable();
            let is_forward = acts_at_once(population)
                && !nodes.iter().any(reads_ahead)
                && !population.inputs.iter().any(|input| input.feedback)
                && nodes.windows(2).all(|two| two[0] != two[1])
                && nodes.last().is_none_or(|last| population.outputs.iter().flatten().all(|node| *last < node.index()));
            if !is_forward {
                return None;
            }
        }
        let places = |node: &NodeId| source_places(&nodes[node.index()], populations, node.index());
        let mut sources: Vec<_> = sources.iter().map(places).collect::<Option<_>>()?;
        let tables = alike(&origins, populations, &sources);
        let compiler = Compiler { populations, sources: &sources, origins: &origins, tables: &tables };
        let mut tables = TouchTables::new();
        let mut copied = 0;
        let mut layers = Vec::new();
        while layers.len() < populations.len() {
            let first = layers.len();
            if let Some(merged) = compiler.merged(first) {
                copied += merged.cells.weights.len();
                let maps = merged.cells.lanes;
                layers.extend(compiler.together(first, maps, LayerKind::Merged(merged)));
            } else {
                let layer = compiler.layer(&populations[first], &mut tables)?;
                if let LayerKind::Cells(cells) = &layer.kind {
                    copied += cells.weights.len();
                }
                layers.push(layer);
            }
            if copied > MOST_WEIGHTS.1 {
                return None;
            }
        }
        sources.iter_mut().for_each(|source| source.settles = settles(&layers, source.node));
        Some(Self { layers, sources, origins })
    }
}

/// Whether settle events of a source can be taken: what runs as one layer settles as one.
fn settles(layers: &[Layer], source: usize) -> bool {
    layers.iter().enumerate().all(|(id, layer)| {
        let populations = layer.populations();
        let readers = layers[id..][..populations].iter().filter(|layer| layer.reads.contains(&source)).count();
        readers == 0 || readers == populations
    })
}

/// What drives each node, if each module has one output node.
fn origins(nodes: usize, populations: &[Population], sources: &[NodeId]) -> Option<Vec<Origin>> {
    let mut origins = vec![None; nodes];
    for (source, node) in sources.iter().enumerate() {
        origins[node.index()] = Some(Origin::Source(source));
    }
    for (id, population) in populations.iter().enumerate() {
        for nodes in &population.outputs {
            let [node] = nodes[..] else { return None };
            origins[node.index()] = Some(Origin::Population(id));
        }
    }
    origins.into_iter().collect()
}

/// For each node one whose events have the same addresses: tables are kept in the cache where nodes share them.
fn alike(origins: &[Origin], populations: &[Population], sources: &[SourcePlaces]) -> Vec<Origin> {
    let columns = |id: usize| match &populations[id].kind {
        PopulationKind::Neurons(neurons) => neurons.addresses.columns(),
        _ => None,
    };
    let is_alike = |one: Origin, other: Origin| match (one, other) {
        (Origin::Population(one), Origin::Population(other)) => {
            columns(one).is_some() && columns(one) == columns(other)
        }
        (Origin::Source(one), Origin::Source(other)) => sources[one].has_addresses_of(&sources[other]),
        _ => false,
    };
    let mut different: Vec<Origin> = Vec::new();
    let mut first: HashMap<Origin, Origin> = HashMap::new();
    let first_alike = |&origin: &Origin| {
        *first.entry(origin).or_insert_with(|| {
            different.iter().rev().copied().find(|&other| is_alike(origin, other)).unwrap_or_else(|| {
                different.push(origin);
                origin
            })
        })
    };
    origins.iter().map(first_alike).collect()
}

/// Whether a module answers in the tick in which an event comes, and its neurons keep no times.
fn acts_at_once(population: &Population) -> bool {
    population.timing.arrives_at_once()
        && match &population.kind {
            PopulationKind::Neurons(neurons) => keeps_no_time(neurons),
            PopulationKind::Flatten(_) => true,
            _ => false,
        }
}

fn keeps_no_time(plan: &NeuronPopulation) -> bool {
    let neurons = &plan.neurons;
    let fires = match neurons.signed() {
        Some(Signed { hysteresis, .. }) => {
            neurons.threshold_plus > 0
                && (-hysteresis..neurons.threshold_plus).contains(&neurons.rest())
                && !plan.rectify
                && plan.most_per_event.iter().all(|&most| most <= MOST_PER_EVENT)
        }
        None => plan.plain && !neurons.fires_minus && neurons.rest().abs() < neurons.threshold_plus,
    };
    let largest = plan.ports.iter().map(Port::largest).max().unwrap_or(0);
    fires
        && neurons.payload_bits.is_none()
        && neurons.t_min == 0
        && !plan.softmax
        && plan.model.is_none()
        && plan.addresses.columns().is_some()
        && plan.maps < 1 << 16
        && plan.array.len() * plan.maps < NOWHERE as usize
        && largest <= SEGMENT_REACH
}

/// The addresses of a source that reach something, as one rectangle.
fn source_places(plan: &PlanNode, populations: &[Population], node: usize) -> Option<SourcePlaces> {
    let (mut x, mut y) = ((i64::MAX, i64::MIN), (i64::MAX, i64::MIN));
    let include = |along: &mut (i64, i64), (first, last): (i64, i64)| {
        *along = (along.0.min(first), along.1.max(last));
    };
    for reader in &plan.readers {
        let population = &populations[reader.population];
        match &population.kind {
            _ if reader.port >= population.n_ports => {}
            PopulationKind::Neurons(neurons) => match &neurons.ports[reader.port].synapses {
                Synapses::Matrix { nx_pre, ny_pre, .. } => {
                    include(&mut x, (0, i64::from(*nx_pre) - 1));
                    include(&mut y, (0, i64::from(*ny_pre) - 1));
                }
                Synapses::Kernel(kernel) if !kernel.shape.is_empty() => {
                    let (x_min, nx) = kernel.shape.columns(neurons.array)?;
                    let (y_min, ny) = kernel.shape.rows(neurons.array)?;
                    include(&mut x, (x_min.into(), i64::from(x_min) + nx as i64 - 1));
                    include(&mut y, (y_min.into(), i64::from(y_min) + ny as i64 - 1));
                }
                Synapses::Kernel(_) => {}
            },
            PopulationKind::Flatten(ports) => {
                if let Some(port) = ports.get(reader.port) {
                    include(&mut x, (0, i64::from(port.nx) - 1));
                    include(&mut y, (0, i64::from(port.ny) - 1));
                }
            }
            _ => return None,
        }
    }
    if x.0 > x.1 || y.0 > y.1 {
        return Some(SourcePlaces { node, x_min: 0, y_min: 0, nx: 0, ny: 0, settles: false });
    }
    // No event comes from an address beyond 32 bits.
    let ends = |(first, last): (i64, i64)| {
        let (first, last) = (i32::try_from(first).ok()?, last.min(i32::MAX.into()));
        u32::try_from(last - i64::from(first) + 1).ok().map(|n| (first, n))
    };
    let ((x_min, nx), (y_min, ny)) = (ends(x)?, ends(y)?);
    (u64::from(nx) * u64::from(ny) <= MOST_PLACES as u64).then_some(SourcePlaces {
        node,
        x_min,
        y_min,
        nx,
        ny,
        settles: false,
    })
}

impl Compiler<'_> {
    /// The layers of populations that are run together: all is with the first one.
    fn together(&self, first: usize, maps: usize, kind: LayerKind) -> Vec<Layer> {
        let populations = &self.populations[first..][..maps];
        let reads = populations.iter().map(|it| self.inputs(it).iter().map(|&(node, _)| node).collect());
        let nodes = populations.iter().map(|population| population.outputs[0][0].index()).collect();
        let mut layers: Vec<Layer> =
            reads.map(|reads| Layer { nodes: Vec::new(), reads, kind: LayerKind::Together }).collect();
        (layers[0].nodes, layers[0].kind) = (nodes, kind);
        layers
    }

    fn layer(&self, population: &Population, tables: &mut TouchTables) -> Option<Layer> {
        let nodes = population.outputs.iter().map(|nodes| nodes[0].index()).collect();
        let inputs = self.inputs(population);
        let kind = match &population.kind {
            PopulationKind::Neurons(neurons) => {
                let ports = &neurons.ports[..population.n_ports.min(neurons.ports.len())];
                let is_single = neurons.maps == 1 || ports.iter().any(Port::reaches_one_map);
                let is_kernel = ports.iter().all(|port| matches!(port.synapses, Synapses::Kernel(_)));
                if is_single && is_kernel {
                    LayerKind::Single(self.single(neurons, ports, &inputs, tables)?)
                } else {
                    LayerKind::Cells(self.cells(neurons, ports, &inputs, tables)?)
                }
            }
            PopulationKind::Flatten(ports) => {
                let flat = inputs.iter().map(|&(node, port)| {
                    let addresses = self.addresses(node)?;
                    let leaves = addresses.iter().map(|&(x, y)| {
                        let left = (port < ports.len()).then(|| routing::Flatten::new(ports, port).of(x, y)).flatten();
                        left.map_or(NOWHERE, |x| x as u32)
                    });
                    Some((node, leaves.collect()))
                });
                LayerKind::Flatten(flat.collect::<Option<_>>()?)
            }
            _ => return None,
        };
        Some(Layer { nodes, reads: inputs.iter().map(|&(node, _)| node).collect(), kind })
    }

    /// What events of a node reach through a kernel, in stretches of `lanes` neurons.
    fn touches(&self, node: usize, spans: &Arc<SpanTable>, lanes: usize, tables: &mut TouchTables) -> Option<Touches> {
        // The kernels keep these tables, so that no two of them have the same address.
        let key = (self.tables[node], Arc::as_ptr(spans), lanes);
        if let Some(touches) = tables.get(&key) {
            return Some(touches.clone());
        }
        let touch = |&(x, y): &(i32, i32)| {
            let reach = spans.of(x, y);
            if reach.rows == 0 {
                return Some(Touch::default());
            }
            let first = spans.span(reach, 0);
            Some(Touch {
                cell: (first.neuron / lanes) as u32,
                row: (first.weight / lanes) as u32,
                columns: u16::try_from(first.len / lanes).ok()?,
                lines: u16::try_from(reach.rows).ok()?,
                row_step: (spans.weight_step / lanes) as u32,
            })
        };
        let touches: Touches = self.addresses(node)?.iter().map(touch).collect::<Option<_>>()?;
        tables.insert(key, touches.clone());
        Some(touches)
    }

    fn single(
        &self,
        neurons: &NeuronPopulation,
        ports: &[Port],
        inputs: &[(usize, usize)],
        tables: &mut TouchTables,
    ) -> Option<SingleLayer> {
        let mut reach_of = |node: usize, port: usize| {
            let Some(Synapses::Kernel(kernel)) = ports.get(port).map(|port| &port.synapses) else {
                return Some(SingleReach::Nothing);
            };
            if let Some(single) = &kernel.single {
                let addresses = self.addresses(node)?;
                let nothing = Tap { neuron: NOWHERE, weight: 0 };
                return Some(SingleReach::Taps(
                    addresses.iter().map(|&(x, y)| single.tap(x, y).unwrap_or(nothing)).collect(),
                ));
            }
            let Some(spans) = &kernel.spans else {
                return kernel.shape.is_empty().then_some(SingleReach::Nothing);
            };
            let touches = self.touches(node, spans, 1, tables)?;
            let (weights, neuron_step) = (kernel.weights.clone(), spans.neuron_step);
            Some(SingleReach::Lines(Lines { touches, weights, neuron_step }))
        };
        let inputs = inputs.iter().map(|&(node, port)| Some(SingleInput { node, reach: reach_of(node, port)? }));
        let inputs: Vec<SingleInput> = inputs.collect::<Option<_>>()?;
        let (maps, neurons) = (neurons.maps, neurons.array.len() * neurons.maps);
        let is_source = |node: usize| matches!(self.origins[node], Origin::Source(_));
        let pooling = pooling_layer(&inputs, maps, is_source);
        let most = |input: &SingleInput| match &input.reach {
            SingleReach::Lines(lines) => lines.touches.iter().map(|touch| touch.cells()).max().unwrap_or(0),
            SingleReach::Nothing | SingleReach::Taps(_) => 1,
        };
        Some(SingleLayer {
            most: inputs.iter().map(most).max().unwrap_or(0),
            largest: ports.iter().map(Port::largest).max().unwrap_or(0),
            inputs,
            maps,
            neurons,
            pooling,
        })
    }

    fn cells(
        &self,
        neurons: &NeuronPopulation,
        ports: &[Port],
        inputs: &[(usize, usize)],
        tables: &mut TouchTables,
    ) -> Option<CellLayer> {
        let is_dense = ports.iter().any(|port| matches!(port.synapses, Synapses::Matrix { .. }));
        let lanes = if is_dense { neurons.array.len() } else { neurons.maps };
        let cells = if is_dense { 1 } else { neurons.array.len() };
        if lanes == 0 || cells == 0 {
            return None;
        }
        let mut first_rows = Vec::new();
        let mut rows: Vec<i32> = Vec::new();
        for port in ports {
            first_rows.push((rows.len() / lanes) as u32);
            if rows.len() + port.synapses.len() > MOST_WEIGHTS.0 {
                return None;
            }
            match &port.synapses {
                Synapses::Matrix { weights: Weights::Wide(weights), .. } => rows.extend_from_slice(weights),
                Synapses::Matrix { weights: Weights::Narrow(matrix), .. } => {
                    let lines = matrix.weights.chunks_exact(matrix.stride);
                    rows.extend(lines.flat_map(|line| line[..lanes].iter().map(|&weight| i32::from(weight))));
                }
                Synapses::Kernel(kernel) => rows.extend_from_slice(&kernel.weights),
            }
        }
        let mut input = |node: usize, port: usize| {
            let first_row = first_rows.get(port).copied().unwrap_or(0);
            let reads = |touches, cell_step: usize| {
                let reach = CellReach { touches, lanes, cell_step: cell_step as u32 };
                CellRead { node, reach: Some(reach), first_row }
            };
            let nothing = CellRead { node, reach: None, first_row };
            match ports.get(port).map(|port| &port.synapses) {
                None => Some(nothing),
                Some(Synapses::Matrix { nx_pre, ny_pre, .. }) => {
                    let lines = Outside { nx_pre: *nx_pre, ny_pre: *ny_pre };
                    let addresses = self.addresses(node)?;
                    let touches = addresses.iter().map(|&address| line(address, lines).unwrap_or_default()).collect();
                    Some(reads(touches, 0))
                }
                Some(Synapses::Kernel(Kernel { spans: Some(spans), .. })) => {
                    let touches = self.touches(node, spans, lanes, tables)?;
                    Some(reads(touches, spans.neuron_step / lanes))
                }
                Some(Synapses::Kernel(kernel)) => kernel.shape.is_empty().then_some(nothing),
            }
        };
        let inputs = inputs.iter().map(|&(node, port)| input(node, port)).collect::<Option<_>>()?;
        let largest = ports.iter().map(Port::largest).max().unwrap_or(0);
        CellLayer::new((cells, lanes), is_dense, &rows, inputs, largest)
    }
}

/// The line of a matrix that an address has, if it has one.
fn line((x, y): (i32, i32), Outside { nx_pre, ny_pre }: Outside) -> Option<Touch> {
    let (column, row) = (u32::try_from(x).ok()?, u32::try_from(y).ok()?);
    let touch =
        Touch { cell: 0, row: row.checked_mul(nx_pre)?.checked_add(column)?, columns: 1, lines: 1, row_step: 0 };
    (column < nx_pre && row < ny_pre).then_some(touch)
}
