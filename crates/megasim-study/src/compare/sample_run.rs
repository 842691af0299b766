//! One sample on one side, cell by cell and over time; and the same sample in the analog network.

use super::Part;
use crate::layers::{FanOut, Layer};
use megasim_ann::forward::{WrongBatch, visit_activations};
use megasim_ann::graph::{Graph, GraphError, LayerId};
use megasim_convert::simplify::Unsupported;
use megasim_convert::{Manifest, parse};
use megasim_core::engine::{Record, Simulation};
use megasim_core::network::{EventLog, Network, NodeId, Polarity, Tick, sort_spikes};
use megasim_core::readout::{ReadOut, ReadoutMonitor};
use ndarray::{Array2, ArrayView1, ArrayView2, s};
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// The output that decides, and how.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Decides {
    pub node: NodeId,
    pub classes: usize,
    pub read_out: ReadOut,
}

/// Points of the courses over time, at most.
const MOST_POINTS: Tick = 100;

/// How time is counted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scale {
    /// Ticks of a sample.
    pub ticks: Tick,
    /// Ticks per millisecond.
    pub ticks_per_ms: Tick,
    /// Ticks between two points of a course.
    pub bin: Tick,
    /// Points of a course.
    pub points: usize,
    /// Ticks whose spikes do not count in rates.
    pub warm_up: Tick,
}

impl Scale {
    /// Of samples of `ticks`; spikes of the first `warm_up` milliseconds do not count in rates.
    pub fn new(ticks: Tick, ticks_per_ms: u32, warm_up: u32) -> Self {
        let tpm = Tick::from(ticks_per_ms);
        let ms = ticks / tpm + Tick::from(ticks % tpm > 0);
        let bin = (ms / MOST_POINTS + Tick::from(ms % MOST_POINTS > 0)).max(1).saturating_mul(tpm);
        let points = (ticks / bin + Tick::from(ticks % bin > 0)).max(1) as usize;
        Self { ticks, ticks_per_ms: tpm, bin, points, warm_up: Tick::from(warm_up) * tpm }
    }

    /// Ends of the points of a course, in milliseconds.
    pub fn ends(&self) -> Vec<f64> {
        let end =
            |point: usize| (point as Tick).saturating_mul(self.bin).min(self.ticks) as f64 / self.ticks_per_ms as f64;
        (1..=self.points).map(end).collect()
    }

    /// Milliseconds whose spikes count.
    pub fn counted_ms(&self) -> f64 {
        (self.ticks - self.warm_up).max(1) as f64 / self.ticks_per_ms as f64
    }

    /// The point of a course that a tick belongs to.
    fn point(&self, tick: Tick) -> usize {
        usize::try_from(tick / self.bin).unwrap_or(0).min(self.points - 1)
    }
}

/// What one sample was on one side.
#[derive(Serialize, Deserialize)]
pub(crate) struct Pass {
    pub layers: Vec<LayerPass>,
    /// Weights added to potentials, by point.
    pub operations: Vec<u64>,
    /// Spikes of all layers, by point.
    pub spikes: Vec<u64>,
    /// What was decided at each point, the last one being the end; empty where nothing decides.
    pub decisions: Vec<Option<usize>>,
}

/// What one layer did.
#[derive(Serialize, Deserialize)]
pub(crate) struct LayerPass {
    /// Spikes of each cell after the warm-up.
    pub counts: Vec<u32>,
    /// Those of them that are negative.
    negative: Vec<u32>,
    /// First spike of each cell; `Tick::MAX` where there is none.
    firsts: Vec<Tick>,
    /// Every spike, in order of time and cells.
    pub spikes: Vec<Part>,
}

impl LayerPass {
    /// When a cell first spikes.
    pub fn first(&self, cell: usize) -> Option<Tick> {
        Some(self.firsts[cell]).filter(|&first| first != Tick::MAX)
    }

    /// Rate of a cell over `ms` milliseconds, in spikes per millisecond, negative spikes below 0: the input of the next
    /// layer.
    pub fn rate(&self, cell: usize, ms: f64) -> f64 {
        (f64::from(self.counts[cell]) - 2.0 * f64::from(self.negative[cell])) / ms
    }

    /// Cells that spike once per millisecond or more from their first spike, in the first half, to the end.
    pub fn saturated(&self, scale: &Scale) -> u64 {
        let is_saturated = |(&count, &first): (&u32, &Tick)| {
            let needed = scale.ticks.saturating_sub(first.max(scale.warm_up)) / scale.ticks_per_ms;
            first < scale.ticks / 2 && needed > 0 && Tick::from(count) >= needed
        };
        self.counts.iter().zip(&self.firsts).filter(|&of| is_saturated(of)).count() as u64
    }
}

/// Time, address and polarity of the events of a node, column by column.
fn events(log: &EventLog) -> impl Iterator<Item = (Tick, i32, i32, Polarity)> {
    let columns = log.t_rqst.iter().zip(&log.x).zip(&log.y).zip(&log.polarity);
    columns.map(|(((&t, &x), &y), &polarity)| (t, x, y, polarity))
}

impl Pass {
    /// Of what was recorded: all nodes, under the rule that decides, if there is one.
    pub fn new(layers: &[Layer], decides: Option<Decides>, scale: &Scale, record: &Record, fan: &FanOut) -> Self {
        let mut operations = vec![0; scale.points];
        let mut spikes = vec![0; scale.points];
        for (node, log) in record.nodes.iter().enumerate() {
            let Some(log) = log else { continue };
            let node = NodeId::new(node);
            for (t, x, y, polarity) in events(log) {
                let is_control = polarity == Polarity::Negative && y == -1;
                if polarity.is_sign() && !is_control {
                    operations[scale.point(t)] += fan.operations(node, x, y);
                }
            }
        }
        let layers = layers.iter().map(|layer| {
            let mut of = LayerPass {
                counts: vec![0; layer.cells],
                negative: vec![0; layer.cells],
                firsts: vec![Tick::MAX; layer.cells],
                spikes: Vec::new(),
            };
            for cells in &layer.nodes {
                let Some(log) = &record.nodes[cells.node.index()] else { continue };
                of.spikes.reserve(log.len());
                for (t, x, y, polarity) in events(log) {
                    let Some(cell) = cells.cell(x, y) else { continue };
                    let counts = u32::from(t >= scale.warm_up);
                    of.counts[cell] += counts;
                    if polarity == Polarity::Negative {
                        of.negative[cell] += counts;
                    }
                    of.firsts[cell] = of.firsts[cell].min(t);
                    of.spikes.push((t, cell as u32));
                    spikes[scale.point(t)] += 1;
                }
            }
            sort_spikes(&mut of.spikes);
            of
        });
        let layers = layers.collect();
        let decisions = decides.map(|decides| decisions(record, decides, scale)).unwrap_or_default();
        Self { layers, operations, spikes, decisions }
    }

    /// Decides the end by count and rest, where these decide: only the simulation knows the rest.
    pub fn decide_at_the_end(
        &mut self,
        decides: Option<Decides>,
        network: &Network,
        record: &Record,
        simulation: &Simulation<'_>,
    ) {
        let Some(Decides { node, classes, read_out: ReadOut::CountAndRest }) = decides else { return };
        let watch = ReadoutMonitor::new(ReadOut::CountAndRest, network, node, classes);
        if let Some(last) = self.decisions.last_mut() {
            *last = watch.decide(record, simulation).class();
        }
    }

    /// What was decided at the end.
    pub fn decision(&self) -> Option<usize> {
        self.decisions.last().copied().flatten()
    }
}

/// What is decided on the events up to the end of each point.
fn decisions(record: &Record, decides: Decides, scale: &Scale) -> Vec<Option<usize>> {
    let Some(log) = &record.nodes[decides.node.index()] else { return vec![None; scale.points] };
    let mut so_far = EventLog::default();
    let mut next = 0;
    let mut decision = None;
    let points = (1..=scale.points).map(|point| {
        let end = (point as Tick).saturating_mul(scale.bin);
        let before = next;
        while next < log.len() && (log.t_rqst[next] < end || point == scale.points) {
            so_far.push(log.event(next), log.t_rqst[next], log.t_ack[next]);
            next += 1;
        }
        if next > before {
            decision = decides.read_out.on_spikes(&so_far, decides.classes);
        }
        decision
    });
    points.collect()
}

/// Both sides over time, means per sample; the point at `ms[k]` tells of the time up to then.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Course {
    /// Ends of the points, in milliseconds.
    pub ms: Vec<f64>,
    /// Share of wrong decisions so far, of each side; none where labels are not known.
    pub error: Option<[Vec<f64>; 2]>,
    /// Weights added to potentials so far.
    pub operations: [Vec<f64>; 2],
    /// Spikes of all layers so far.
    pub spikes: [Vec<f64>; 2],
}

impl Course {
    pub(super) fn new(scale: &Scale, labelled: bool) -> Self {
        let zeros = vec![0.0; scale.points];
        Self {
            ms: scale.ends(),
            error: labelled.then(|| [zeros.clone(), zeros.clone()]),
            operations: [zeros.clone(), zeros.clone()],
            spikes: [zeros.clone(), zeros],
        }
    }

    pub(super) fn add(&mut self, passes: &[Pass; 2], label: Option<usize>) {
        for (side, pass) in passes.iter().enumerate() {
            let add = |sums: &mut [f64], counts: &[u64]| {
                let mut so_far = 0;
                for (sum, count) in sums.iter_mut().zip(counts) {
                    so_far += count;
                    *sum += so_far as f64;
                }
            };
            add(&mut self.operations[side], &pass.operations);
            add(&mut self.spikes[side], &pass.spikes);
            if let Some(error) = &mut self.error {
                let wrong = pass.decisions.iter().map(|&decision| f64::from(decision != label));
                error[side].iter_mut().zip(wrong).for_each(|(sum, wrong)| *sum += wrong);
            }
        }
    }

    pub(super) fn finish(&mut self, samples: usize) {
        let n = samples.max(1) as f64;
        let columns = self.operations.iter_mut().chain(&mut self.spikes).chain(self.error.iter_mut().flatten());
        columns.flatten().for_each(|sum| *sum /= n);
    }
}

/// Why activations cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum AnalogError {
    /// The network cannot be simplified as it was for the conversion.
    #[error(transparent)]
    Unsupported(#[from] Unsupported),
    /// Weights that are no numbers.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// Samples of another size.
    #[error(transparent)]
    Batch(#[from] WrongBatch),
    /// The manifest is not of this network.
    #[error("expected {expected} layers in the trained network, as in the netfiles, found {found}")]
    Layers {
        /// Layers of the manifest.
        expected: usize,
        /// Layers of the simplified network.
        found: usize,
    },
}

/// The network as it was trained, whose activations are compared with rates.
#[derive(Debug)]
pub struct Analog<'a> {
    graph: Graph,
    /// For each layer that is looked at: the layer of the graph, and the activation of one spike per millisecond, of
    /// each neuron.
    layers: Vec<(LayerId, Vec<f64>)>,
    values: Array2<f32>,
    classes: &'a [usize],
}

impl<'a> Analog<'a> {
    /// The layers of a converted network that are looked at are given by their numbers in the manifest. `values` are
    /// all samples, `classes` what the network decides on them; a value of 1 spikes every `period` milliseconds.
    ///
    /// # Errors
    /// Where the network is not the one that was converted.
    pub fn new(
        graph: &Graph,
        manifest: &Manifest,
        layers: &[usize],
        values: ArrayView2<f32>,
        classes: &'a [usize],
        period: f64,
    ) -> Result<Self, AnalogError> {
        let parsed = parse(graph, &manifest.options())?;
        let (expected, found) = (manifest.layers.len(), parsed.layers.len());
        if expected != found {
            return Err(AnalogError::Layers { expected, found });
        }
        let (graph, ids) = parsed.graph()?;
        let layers = layers.iter().map(|&layer| {
            let (id, of) = (ids[layer], &manifest.layers[layer]);
            let neurons = graph.layers()[id].shape.len();
            (id, (0..neurons).map(|neuron| of.scale_of(neuron) * period).collect())
        });
        let layers = layers.collect();
        let values = parsed.addressed(values).into_owned();
        Ok(Self { graph, layers, values, classes })
    }

    /// Whether a layer's activations are known.
    pub(super) fn has(&self, layer: usize) -> bool {
        layer < self.layers.len()
    }

    /// What the network decides on a sample.
    pub(super) fn class(&self, sample: usize) -> Option<usize> {
        self.classes.get(sample).copied()
    }

    /// Activations of some samples as rates, in spikes per millisecond.
    pub(super) fn rates(&self, samples: Range<usize>) -> Result<Rates, AnalogError> {
        let n = samples.len();
        let sizes = self.layers.iter().map(|&(id, _)| self.graph.layers()[id].shape.len());
        let mut layers: Vec<Array2<f32>> = sizes.map(|size| Array2::zeros((n, size))).collect();
        visit_activations(&self.graph, self.values.slice(s![samples, ..]), |first, id, activations| {
            for ((of, scales), rates) in self.layers.iter().zip(&mut layers) {
                if *of == id {
                    let mut rows = rates.slice_mut(s![first..first + activations.nrows(), ..]);
                    for (mut rates, activations) in rows.rows_mut().into_iter().zip(activations.rows()) {
                        for ((rate, &activation), scale) in rates.iter_mut().zip(activations).zip(scales) {
                            *rate = (f64::from(activation) / scale) as f32;
                        }
                    }
                }
            }
        })?;
        Ok(Rates { layers })
    }

    /// Activations of one sample as rates, layer by layer.
    ///
    /// # Errors
    /// If the network does not take the sample.
    pub fn sample(&self, sample: usize) -> Result<Vec<Vec<f32>>, AnalogError> {
        let rates = self.rates(sample..sample + 1)?;
        Ok(rates.layers.into_iter().map(|layer| layer.into_raw_vec_and_offset().0).collect())
    }
}

impl Analog<'_> {
    /// Activations of the first samples as rates, all samples together, layer by layer.
    ///
    /// # Errors
    /// If the network does not take the samples.
    pub fn first(&self, samples: usize) -> Result<Vec<Vec<f32>>, AnalogError> {
        let rates = self.rates(0..samples.min(self.values.nrows()))?;
        Ok(rates.layers.into_iter().map(|layer| layer.into_raw_vec_and_offset().0).collect())
    }
}

/// Activations as rates of some samples.
pub(super) struct Rates {
    layers: Vec<Array2<f32>>,
}

impl Rates {
    /// Those of a layer on the `k`-th sample.
    pub fn of(&self, layer: usize, k: usize) -> Option<ArrayView1<'_, f32>> {
        self.layers.get(layer).filter(|rates| k < rates.nrows()).map(|rates| rates.row(k))
    }
}
