//! Spikes and membrane potentials of layers, sample by sample.

use super::{Error, Outcome, Seen, Setup, Watched, look_at};
use crate::layers::{Cells, Layer};
use megasim_convert::ConvertedModel;
use megasim_core::control::Control;
use megasim_core::encode::{Clock, SampleNumbers};
use megasim_core::engine::{Mode, Probes, Progress, Record, Simulation};
use megasim_core::network::{Array, Driver, ModuleId, Network, NodeId, Tick};
use ndarray::{Array2, Array3, ArrayView2};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The name under which the input can be recorded.
pub const INPUT: &str = "input";

/// What a layer did on some samples: its spikes, in columns of equal length, sample after sample and each in order of
/// time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LayerRecording {
    /// Name of the layer.
    pub name: String,
    /// Maps, rows and columns of its neurons.
    pub shape: [usize; 3],
    /// Number of the sample in the data set.
    pub sample: Vec<i64>,
    /// Tick in which the spike was requested, from 0 at the start of the sample.
    pub t: Vec<Tick>,
    /// Map of the neuron.
    pub map: Vec<i32>,
    /// Row of its address.
    pub y: Vec<i32>,
    /// Column of its address; of a layer that is one row, the number of the neuron.
    pub x: Vec<i32>,
    /// Sign of the spike, 1 or -1.
    pub polarity: Vec<i8>,
    /// Threshold of the neurons (`THplus`) in scaled integers; none of a layer without neurons.
    pub threshold: Option<i32>,
    /// Potentials `(samples, milliseconds, neurons)`, neurons in the order `(map, y, x)`, in scaled integers: after
    /// each millisecond, the last one at the end of the run. A potential is as the last event of its neuron left it.
    pub potentials: Option<Array3<i32>>,
}

/// Layers to be recorded, and how.
#[derive(Debug, Clone)]
pub struct Recording {
    layers: Vec<Layer>,
    potentials: bool,
}

/// Why layers cannot be recorded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordingError {
    /// There is no such layer.
    #[error("expected a layer of the network ({}), found '{name}'", known.join(", "))]
    Layer {
        /// What was asked for.
        name: String,
        /// The layers that there are.
        known: Vec<String>,
    },
    /// Potentials of layers that have none.
    #[error("expected a layer of neurons, found '{0}', which has no potentials")]
    NoPotentials(String),
}

impl Recording {
    /// Layers of a converted network by their names, `input` included; with their potentials where they are asked for.
    ///
    /// # Errors
    /// If there is no such layer; if none of them has potentials that were asked for.
    pub fn new(converted: &ConvertedModel, names: &[String], potentials: bool) -> Result<Self, RecordingError> {
        let (network, manifest) = (converted.network(), converted.manifest());
        let input = input(converted);
        let of_network = Layer::of_manifest(network, manifest).into_iter().map(|(_, layer)| layer);
        let all: Vec<Layer> = [input].into_iter().chain(of_network).collect();
        let mut layers = Vec::with_capacity(names.len());
        for name in names {
            let Some(layer) = all.iter().find(|layer| layer.name == *name) else {
                let known = all.iter().map(|layer| layer.name.clone()).collect();
                return Err(RecordingError::Layer { name: name.clone(), known });
            };
            layers.push(layer.clone());
        }
        let without = layers.iter().find(|layer| array(network, layer).is_none());
        match without.filter(|_| potentials) {
            Some(layer) => Err(RecordingError::NoPotentials(layer.name.clone())),
            None => Ok(Self { layers, potentials }),
        }
    }

    /// Shows samples as [`outcomes`](super::outcomes()) does, stops included.
    ///
    /// # Errors
    /// As of [`outcomes`](super::outcomes()).
    pub fn run(
        &self,
        setup: &Setup,
        samples: ArrayView2<f32>,
        numbers: &SampleNumbers,
        mode: Mode,
        control: &dyn Control,
    ) -> Result<Vec<LayerRecording>, Error> {
        let nodes: Vec<_> = self.layers.iter().flat_map(|layer| layer.nodes.iter().map(|cells| cells.node)).collect();
        let probes = Probes::of(&nodes);
        let watched = match self.potentials {
            true => Watched::Traces { layers: &self.layers, clock: setup.clock },
            false => Watched::Nothing,
        };
        let look = |k: usize, _: &Network, (_, record): (&Outcome, &Record), seen: Seen| {
            let columns = self.layers.iter().map(|layer| Columns::new(layer, record)).collect::<Vec<_>>();
            (numbers.number(k), columns, seen.traces)
        };
        let all = look_at(setup, samples, numbers, (mode, &probes, &watched), look, control)?;
        let mut found: Vec<LayerRecording> =
            self.layers.iter().map(|layer| LayerRecording::new(layer, setup.network)).collect();
        let milliseconds = setup.clock.duration as usize;
        for (layer, into) in found.iter_mut().enumerate() {
            for (_, (number, columns, _)) in &all {
                let Columns { t, map, y, x, polarity } = &columns[layer];
                into.sample.extend(std::iter::repeat_n(*number as i64, t.len()));
                into.t.extend(t);
                into.map.extend(map);
                into.y.extend(y);
                into.x.extend(x);
                into.polarity.extend(polarity);
            }
            if self.potentials {
                let neurons = into.shape.iter().product();
                let mut potentials = Array3::zeros((all.len(), milliseconds, neurons));
                for (mut to, (_, (_, _, traces))) in potentials.outer_iter_mut().zip(&all) {
                    to.assign(&traces[layer]);
                }
                into.potentials = Some(potentials);
            }
        }
        Ok(found)
    }
}

impl LayerRecording {
    /// Spikes of each neuron in each of some samples, negative ones subtracted: axes (sample, neuron), neurons in the
    /// order `(map, y, x)`. Spikes of other samples, and those whose address is no neuron of the layer, are left out.
    pub fn counts(&self, samples: &[i64]) -> Array2<i64> {
        let [_, ny, nx] = self.shape;
        let mut counts = Array2::zeros((samples.len(), self.shape.iter().product()));
        let rows: BTreeMap<i64, usize> = samples.iter().enumerate().map(|(row, &sample)| (sample, row)).collect();
        for k in 0..self.sample.len() {
            let at = [self.map[k], self.y[k], self.x[k]].map(usize::try_from);
            if let (Some(&row), [Ok(map), Ok(y), Ok(x)]) = (rows.get(&self.sample[k]), at)
                && let Some(count) = counts.get_mut((row, (map * ny + y) * nx + x)).filter(|_| y < ny && x < nx)
            {
                *count += i64::from(self.polarity[k]);
            }
        }
        counts
    }

    fn new(layer: &Layer, network: &Network) -> Self {
        let array = array(network, layer);
        let maps = layer.nodes.len();
        let of_node = layer.nodes.first().map_or((0, 0), |node| (node.ny, node.nx));
        let (ny, nx) = array.map_or(of_node, |array| (array.ny as usize, array.nx as usize));
        let module = layer.nodes.first().and_then(|cells| module_of(network, cells.node));
        let neurons = module.and_then(|module| network.modules()[module.index()].kind.neurons());
        Self {
            name: layer.name.clone(),
            shape: [maps, ny, nx],
            threshold: neurons.map(|(_, neurons, _)| neurons.threshold_plus),
            ..Self::default()
        }
    }

    /// Whether the layer is one row of neurons.
    pub fn is_row(&self) -> bool {
        self.shape[..2] == [1, 1]
    }
}

/// The input as a layer.
fn input(converted: &ConvertedModel) -> Layer {
    let (ny, nx) = match converted.manifest().input.shape[..] {
        [_, ny, nx] => (ny, nx),
        ref numbers => (1, numbers.iter().product()),
    };
    let nodes = converted.layout().nodes(converted.network()).enumerate();
    let nodes = nodes.map(|(map, node)| Cells { node, x: 0, y: 0, nx, ny, first: map * ny * nx });
    let nodes: Vec<Cells> = nodes.collect();
    Layer { name: INPUT.into(), cells: nodes.len() * ny * nx, nodes, spikes: false }
}

/// The module that drives a node; none of a source's.
pub(super) fn module_of(network: &Network, node: NodeId) -> Option<ModuleId> {
    match network.nodes()[node.index()].driver {
        Driver::Module(module) => Some(module),
        Driver::Source(_) => None,
    }
}

/// The neurons of each map of a layer; none of a layer without neurons.
fn array(network: &Network, layer: &Layer) -> Option<Array> {
    let module = module_of(network, layer.nodes.first()?.node)?;
    network.modules()[module.index()].kind.neurons().map(|(array, ..)| array)
}

/// Spikes of one sample and layer.
#[derive(Serialize, Deserialize)]
struct Columns {
    t: Vec<Tick>,
    map: Vec<i32>,
    y: Vec<i32>,
    x: Vec<i32>,
    polarity: Vec<i8>,
}

impl Columns {
    fn new(layer: &Layer, record: &Record) -> Self {
        let mut spikes: Vec<(Tick, i32, i32, i32, i8)> = Vec::new();
        for (map, cells) in layer.nodes.iter().enumerate() {
            let Some(log) = &record.nodes[cells.node.index()] else { continue };
            let of_log = (0..log.len()).filter(|&k| log.polarity[k].is_sign() && log.y[k] >= 0);
            spikes.extend(of_log.map(|k| (log.t_rqst[k], map as i32, log.y[k], log.x[k], log.polarity[k] as i8)));
        }
        // Map after map it was; the sort is stable.
        spikes.sort_by_key(|spike| spike.0);
        Self {
            t: spikes.iter().map(|spike| spike.0).collect(),
            map: spikes.iter().map(|spike| spike.1).collect(),
            y: spikes.iter().map(|spike| spike.2).collect(),
            x: spikes.iter().map(|spike| spike.3).collect(),
            polarity: spikes.iter().map(|spike| spike.4).collect(),
        }
    }
}

/// Potentials of layers during a run, `(milliseconds, neurons)` each.
pub(super) struct Traces {
    modules: Vec<Vec<ModuleId>>,
    /// Layers that read each node.
    readers: Vec<Vec<usize>>,
    /// As they are now.
    now: Vec<Vec<i32>>,
    traces: Vec<Array2<i32>>,
    ticks_per_ms: Tick,
    /// Milliseconds that are written.
    written: usize,
}

impl Traces {
    pub(super) fn new(network: &Network, layers: &[Layer], clock: Clock) -> Self {
        let of_layer = |layer: &Layer| layer.nodes.iter().filter_map(|cells| module_of(network, cells.node)).collect();
        let modules: Vec<Vec<ModuleId>> = layers.iter().map(of_layer).collect();
        let mut readers = vec![Vec::new(); network.nodes().len()];
        for (layer, modules) in modules.iter().enumerate() {
            for input in modules.iter().flat_map(|module| &network.modules()[module.index()].inputs) {
                if let megasim_core::network::Input::Node(node) = input
                    && !readers[node.index()].contains(&layer)
                {
                    readers[node.index()].push(layer);
                }
            }
        }
        let initial = |module: &ModuleId| {
            let neurons = network.modules()[module.index()].kind.neurons();
            neurons.map_or(Vec::new(), |(array, neurons, _)| vec![neurons.rest(); array.len()])
        };
        let now: Vec<Vec<i32>> = modules.iter().map(|modules| modules.iter().flat_map(initial).collect()).collect();
        let traces = now.iter().map(|now| Array2::zeros((clock.duration as usize, now.len()))).collect();
        Self { modules, readers, now, traces, ticks_per_ms: Tick::from(clock.ticks_per_ms), written: 0 }
    }

    /// Takes notice of the events that were just handled.
    pub(super) fn look(&mut self, progress: &Progress<'_>) {
        let ms = usize::try_from(progress.time / self.ticks_per_ms).unwrap_or(0);
        self.write_until(ms);
        let all: Vec<usize>;
        let layers = match progress.node {
            Some(node) => &self.readers[node.index()],
            None => {
                all = (0..self.modules.len()).collect();
                &all
            }
        };
        for &layer in layers {
            self.now[layer] = self.modules[layer].iter().flat_map(|&module| progress.potentials(module)).collect();
        }
    }

    /// Writes the state of now as that after the milliseconds before `ms`.
    fn write_until(&mut self, ms: usize) {
        for (trace, now) in self.traces.iter_mut().zip(&self.now) {
            for mut row in trace.outer_iter_mut().take(ms).skip(self.written) {
                row.iter_mut().zip(now).for_each(|(to, from)| *to = *from);
            }
        }
        self.written = self.written.max(ms);
    }

    /// The end of the run; the last millisecond is as it left the neurons.
    pub(super) fn finish(mut self, simulation: &Simulation<'_>) -> Vec<Array2<i32>> {
        self.write_until(self.traces.first().map_or(0, Array2::nrows).saturating_sub(1));
        for (modules, trace) in self.modules.iter().zip(&mut self.traces) {
            let potentials = modules.iter().flat_map(|&module| simulation.potentials(module));
            if let Some(mut last) = trace.outer_iter_mut().next_back() {
                last.iter_mut().zip(potentials).for_each(|(to, from)| *to = from);
            }
        }
        self.traces
    }
}
