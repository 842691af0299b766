//! Calibration: biases and initial potentials that make up for what spikes lose in a short presentation.
//!
//! Layer by layer in netlist order, with all layers before already spiking as they will, from the normalisation set:
//!
//! - bias: `b_c += mean(a_c / l) - mean(n_c) / T`, per map (or neuron of a vector) over samples and positions;
//! - potential: `V0 += clip(mean(a / l) T - mean(n), -1/2, 1/2)`, per neuron over samples, in thresholds;
//!
//! where `a / l` is the activation in spikes per ms, `n` the spike count and `T` the number of bias events. The spikes
//! are those of the mode that will run. Y. Li et al., "A free lunch from ANN: towards efficient, accurate spiking
//! neural networks calibration", ICML 2021.

use super::normalize::{self, Normalized};
use super::parsed::{LayerKind, ParsedModel, Role};
use super::samples::Samples;
use super::{ConvertOptions, Error, finish, potentials};
use megasim_core::control::Control;
use megasim_core::encode::{Clock, SampleKind, SpikeEncoder, current};
use megasim_core::engine::{Mode, Plan, Probes, Simulation};
use megasim_core::network::{Element, Input, ModuleId, Network, NetworkBuilder, NodeId, Polarity, Stimulus};
use megasim_core::parallel;
use ndarray::{Array1, Array2, ArrayView2, Axis};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashMap};

/// What calibration changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Correction {
    /// Nothing.
    #[default]
    None,
    /// Biases.
    Bias,
    /// Initial potentials, one per neuron.
    Potential,
    /// Biases, then initial potentials.
    Both,
}

impl Correction {
    fn bias(self) -> bool {
        matches!(self, Self::Bias | Self::Both)
    }

    fn potential(self) -> bool {
        matches!(self, Self::Potential | Self::Both)
    }
}

/// How the network will be run.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// The spike code of the input.
    pub code: &'a dyn SpikeEncoder,
    /// Duration and ticks.
    pub clock: Clock,
    /// Event or clocked mode.
    pub mode: Mode,
}

/// Measurements that correct a bias; each measures what the one before left.
const BIAS_ROUNDS: usize = 2;

/// Corrects biases and initial potentials; `control` counts layers.
///
/// # Errors
/// [`Error::Cancelled`] where `control` cancels; where samples do not fit, and what emitting and running the network
/// report.
pub fn calibrate(
    mut normalized: Normalized,
    options: &ConvertOptions,
    samples: ArrayView2<f32>,
    target: &Target,
    correction: Correction,
    control: &dyn Control,
) -> Result<Normalized, Error> {
    if correction == Correction::None || samples.is_empty() {
        return Ok(normalized);
    }
    let steps = f64::from(target.clock.duration) / target.code.bias_period(target.clock);
    let rates = mean_activations(&normalized.computed(options), &samples)?;
    let mut runner = Runner::new(samples, target, control);
    for (number, mean) in rates.iter().enumerate() {
        let mut corrections = Vec::new();
        if is_corrected(&normalized.parsed.layers[number].operation) {
            if correction.bias() {
                corrections.extend([Step::Bias; BIAS_ROUNDS]);
            }
            if correction.potential() {
                corrections.push(Step::Potential);
            }
        }
        for step in corrections {
            let counts = runner.layer(&normalized, options, number, false)?;
            match step {
                Step::Bias => correct_bias(&mut normalized.parsed, number, mean, &counts, steps),
                Step::Potential => {
                    let initial = options.quantization.initial_potential;
                    let offsets = mean
                        .iter()
                        .zip(&counts)
                        .map(|(mean, count)| (mean * steps - count).clamp(-initial, 1.0 - initial) as f32);
                    normalized.potentials[number] = offsets.collect();
                }
            }
        }
        runner.layer(&normalized, options, number, true)?;
        control.done(1);
    }
    Ok(normalized)
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Bias,
    Potential,
}

/// Layers whose spikes are activations.
fn is_corrected(operation: &LayerKind) -> bool {
    let is_rate = |role: &Role| matches!(role, Role::Rectifier | Role::Signed | Role::Clamped { .. });
    matches!(operation, LayerKind::Population { role, .. } if is_rate(role))
}

/// Mean activation of each neuron of each layer over the samples, in spikes per bias event.
fn mean_activations(parsed: &ParsedModel, samples: &ArrayView2<f32>) -> Result<Vec<Vec<f64>>, normalize::Error> {
    let (graph, ids) = parsed.graph()?;
    let mut sums: Vec<Array1<f64>> = parsed.layers.iter().map(|layer| Array1::zeros(layer.shape.len())).collect();
    let mut layers_of: Vec<Vec<usize>> = vec![Vec::new(); graph.layers().len()];
    ids.iter().enumerate().for_each(|(number, &id)| layers_of[id].push(number));
    super::samples::activations(parsed, &graph, samples, &mut |_| {}, &mut |layer, activations| {
        for &number in &layers_of[layer] {
            sums[number] += &activations.mapv(f64::from).sum_axis(Axis(0));
        }
    })?;
    let n = samples.count() as f64;
    Ok(sums.into_iter().map(|sum| (sum / n).to_vec()).collect())
}

/// `b_c += mean(a_c) - mean(n_c) / T`.
fn correct_bias(parsed: &mut ParsedModel, number: usize, mean: &[f64], counts: &[f64], steps: f64) {
    let layer = &mut parsed.layers[number];
    let LayerKind::Population { bias, .. } = &mut layer.operation else { return };
    let channels = layer.shape.channels();
    let positions = (mean.len() / channels.max(1)).max(1);
    let bias = bias.get_or_insert_with(|| Array1::zeros(channels));
    let cells = mean.chunks_exact(positions).zip(counts.chunks_exact(positions));
    let errors = cells.map(|(mean, counts)| {
        let error: f64 = mean.iter().zip(counts).map(|(mean, count)| mean - count / steps).sum();
        (error / positions as f64) as f32
    });
    // A bias is one per map or one per neuron.
    let per_map = (bias.len() / channels.max(1)).max(1);
    for (map, error) in bias.exact_chunks_mut(per_map).into_iter().zip(errors) {
        map.into_iter().for_each(|bias| *bias += error);
    }
}

/// Runs one layer after the other on the spikes of those before, for all samples.
struct Runner<'a> {
    samples: ArrayView2<'a, f32>,
    target: &'a Target<'a>,
    control: &'a dyn Control,
    /// Of each sample, the spikes of the nodes that later layers may read.
    spikes: Vec<HashMap<NodeId, Stimulus>>,
}

impl<'a> Runner<'a> {
    fn new(samples: ArrayView2<'a, f32>, target: &'a Target<'a>, control: &'a dyn Control) -> Self {
        Self { samples, target, control, spikes: vec![HashMap::new(); samples.nrows()] }
    }

    /// Mean spike count of each neuron of a layer, `(map, y, x)`, over the samples; with `keep` its spikes are kept for
    /// the layers behind it.
    fn layer(
        &mut self,
        normalized: &Normalized,
        options: &ConvertOptions,
        number: usize,
        keep: bool,
    ) -> Result<Vec<f64>, Error> {
        let converted = finish(normalized.clone(), options)?;
        let network = &converted.emitted.network;
        let layout = converted.layout().map_err(Error::Layout)?;
        let nodes = &converted.emitted.layers[number];
        let shape = normalized.parsed.layers[number].shape;
        let Target { code, clock, mode } = *self.target;
        // With currents each sample has its own network.
        let shared = (!code.is_current()).then(|| Part::new(network, nodes, clock)).transpose()?;
        let run = |(k, (spikes, values)): (usize, (&HashMap<NodeId, Stimulus>, ndarray::ArrayView1<f32>))| {
            if self.control.is_cancelled() {
                return Err(Error::Cancelled);
            }
            let values = values.to_vec();
            let driven;
            let Part { plan, sources, outputs } = match &shared {
                Some(part) => part,
                None => {
                    let network = current::driven(network, &layout, &values).map_err(Error::Layout)?;
                    driven = Part::new(&network, nodes, clock)?;
                    &driven
                }
            };
            let encoded = layout.stimuli(code, SampleKind::Still, &values, k as u64, clock).map_err(Error::Layout)?;
            let stimuli: Vec<Stimulus> = sources
                .iter()
                .map(|node| {
                    let source = network.sources().iter().position(|source| source == node);
                    source
                        .map(|source| encoded[source].clone())
                        .or_else(|| spikes.get(node).cloned())
                        .unwrap_or_default()
                })
                .collect();
            let record = Simulation::new(plan, mode, &Probes::of(outputs)).run(&stimuli).map_err(Error::Run)?;
            let mut counts = vec![0i32; shape.len()];
            let mut kept = Vec::new();
            for (map, output) in outputs.iter().enumerate() {
                let Some(log) = &record.nodes[output.index()] else { continue };
                let (cells, width) = potentials::cells(shape);
                for ((&x, &y), &polarity) in log.x.iter().zip(&log.y).zip(&log.polarity) {
                    let cell = map * cells + y as usize * width + x as usize;
                    counts[cell] += if polarity == Polarity::Negative { -1 } else { 1 };
                }
                if keep {
                    let log = log.clone();
                    kept.push(Stimulus::from_columns(log.t_pre, log.x, log.y, log.polarity).0);
                }
            }
            Ok((counts, kept))
        };
        let rows: Vec<_> = self.spikes.iter().zip(self.samples.rows()).collect();
        let results: Vec<Result<_, Error>> = parallel::map(0..rows.len(), |number| run((number, rows[number])));
        let mut sums = vec![0.0; shape.len()];
        for (spikes, result) in self.spikes.iter_mut().zip(results) {
            let (counts, kept) = result?;
            sums.iter_mut().zip(&counts).for_each(|(sum, &count)| *sum += f64::from(count));
            spikes.extend(nodes.iter().copied().zip(kept));
        }
        if keep {
            self.forget(network, nodes);
        }
        let samples = self.samples.nrows() as f64;
        sums.iter_mut().for_each(|sum| *sum /= samples);
        Ok(sums)
    }

    /// Drops the spikes that no module behind these nodes reads.
    fn forget(&mut self, network: &Network, done: &[NodeId]) {
        let Some(last) = done.iter().max() else { return };
        let mut read = BTreeSet::new();
        for element in network.elements() {
            if let Element::Module(id) = element
                && network.outputs(*id).iter().any(|node| node > last)
            {
                read.extend(network.modules()[id.index()].inputs.iter().filter_map(|input| match input {
                    Input::Node(node) => Some(*node),
                    Input::Undriven(_) => None,
                }));
            }
        }
        self.spikes.iter_mut().for_each(|spikes| spikes.retain(|node, _| read.contains(node)));
    }
}

/// One layer, compiled to run by itself.
struct Part {
    plan: Plan,
    /// The nodes of the whole network that it reads, one for each source of the plan.
    sources: Vec<NodeId>,
    /// Its nodes in the plan.
    outputs: Vec<NodeId>,
}

impl Part {
    fn new(network: &Network, nodes: &[NodeId], clock: Clock) -> Result<Self, Error> {
        let (part, sources) = extract(network, nodes).map_err(potentials::fault)?;
        let plan = Plan::new(&part).map_err(Error::Run)?.with_t_max((clock.ticks() - 1).max(0));
        let outputs = nodes.iter().filter_map(|node| part.node_named(&network.nodes()[node.index()].name)).collect();
        Ok(Self { plan, sources, outputs })
    }
}

/// The modules that drive these nodes as a network whose sources are the nodes that they read, which are returned too.
fn extract(
    network: &Network,
    outputs: &[NodeId],
) -> Result<(Network, Vec<NodeId>), megasim_core::network::NetworkError> {
    let modules: Vec<ModuleId> = network
        .elements()
        .iter()
        .filter_map(|element| match element {
            Element::Module(id) if network.outputs(*id).iter().any(|node| outputs.contains(node)) => Some(*id),
            _ => None,
        })
        .collect();
    let inputs = modules.iter().flat_map(|id| &network.modules()[id.index()].inputs);
    let sources: BTreeSet<NodeId> = inputs
        .filter_map(|input| match input {
            Input::Node(node) => Some(*node),
            Input::Undriven(_) => None,
        })
        .collect();
    let sources: Vec<NodeId> = sources.into_iter().collect();
    let name = |node: &NodeId| network.nodes()[node.index()].name.as_str();
    let mut builder = NetworkBuilder::with_models_of(network);
    for source in &sources {
        builder.source(name(source))?;
    }
    for id in modules {
        let mut module = network.modules()[id.index()].clone();
        for input in &mut module.inputs {
            if let Input::Node(node) = input
                && let Ok(position) = sources.binary_search(node)
            {
                *input = Input::Node(NodeId::new(position));
            }
        }
        let names: Vec<&str> = network.outputs(id).iter().map(name).collect();
        builder.module(module, &names)?;
    }
    Ok((builder.build(network.t_max())?, sources))
}

/// The first `count` samples of a set, `(samples, numbers)`.
///
/// # Errors
/// Where they cannot be had.
pub fn first_samples(samples: &dyn Samples, numbers: usize, count: usize) -> Result<Array2<f32>, normalize::Error> {
    let mut rows = Array2::zeros((0, numbers));
    samples.visit(&mut |_, piece| {
        let missing = count.saturating_sub(rows.nrows()).min(piece.nrows());
        for row in piece.rows().into_iter().take(missing) {
            rows.push_row(row).map_err(|error| normalize::Error::Data(error.to_string()))?;
        }
        Ok(())
    })?;
    Ok(rows)
}
