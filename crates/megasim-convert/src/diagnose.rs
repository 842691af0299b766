//! What a network's layers look like, and how their neurons would fire: silent, saturating, vanishing.

use super::normalize::{Error, magnitudes};
use super::parsed::{LayerKind, ParsedModel, Source, Weights};
use super::samples::Samples;
use megasim_core::network::{Driver, Input, Network};
use ndarray::ArrayView2;

/// Sizes of one parsed layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Weights and biases.
    pub parameters: usize,
    /// Connections into one neuron, at most; those of a bias do not count.
    pub fan_in: usize,
    /// Connections from one neuron into all layers that read it, at most.
    pub fan_out: usize,
}

/// Weights of one parsed layer as numbers; biases do not count.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WeightStatistics {
    /// Their mean.
    pub mean: f64,
    /// Their standard deviation, of all of them.
    pub deviation: f64,
    /// The smallest one.
    pub smallest: f64,
    /// The largest one.
    pub largest: f64,
}

/// How the neurons of one layer fire over a set of samples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Activity {
    /// Neurons (or cells of a pooling).
    pub neurons: usize,
    /// Mean rate in spikes per millisecond, all neurons and samples.
    pub mean: f64,
    /// Mean of the rates above 0.
    pub mean_active: f64,
    /// Largest rate in spikes per millisecond.
    pub largest: f64,
    /// Neurons that fire for no sample.
    pub silent: usize,
    /// Share of rates above 0 that are more than one spike per millisecond.
    pub saturating: f64,
}

/// Share of active rates beyond one spike per millisecond from which a layer is said to saturate.
pub const SATURATES: f64 = 0.02;

/// Mean of active rates, in spikes per millisecond, below which a layer is said to vanish.
pub const VANISHES: f64 = 0.02;

/// How much more the neurons of each module fire than those of the analog network with the scales of the conversion: a
/// potential that grows by 1
/// in scaled units makes `scaling_factor / THplus` spikes, in each layer that is passed. `network` has its modules in
/// the order of its layers, as
/// [`convert`](super::convert()) makes it.
pub fn growth(network: &Network, scaling_factor: f64) -> Vec<f64> {
    let mut factors: Vec<f64> = Vec::with_capacity(network.modules().len());
    for module in network.modules() {
        let of_input = |input: &Input| match input {
            Input::Node(node) => match network.nodes()[node.index()].driver {
                Driver::Module(module) => factors.get(module.index()).copied(),
                Driver::Source(_) => None,
            },
            Input::Undriven(_) => None,
        };
        let before = module.inputs.iter().filter_map(of_input).fold(1.0, f64::max);
        factors.push(match module.kind.neurons() {
            // Neurons that spike once in `Tmin` ticks do not grow.
            Some((_, neurons, _)) if neurons.t_min > 0 => 1.0,
            Some((_, neurons, _)) => before * scaling_factor / f64::from(neurons.threshold_plus.max(1)),
            None => before,
        });
    }
    factors
}

/// Weights of all layers; none of those that have none.
pub fn weights(parsed: &ParsedModel) -> Vec<Option<WeightStatistics>> {
    let of_layer = |operation: &LayerKind| {
        let LayerKind::Population { connections, .. } = operation else { return None };
        let all =
            || connections.iter().flat_map(|connection| connection.weights.iter()).map(|&weight| f64::from(weight));
        let n = all().count();
        if n == 0 {
            return None;
        }
        let mean = all().sum::<f64>() / n as f64;
        let variance = all().map(|weight| (weight - mean).powi(2)).sum::<f64>() / n as f64;
        Some(WeightStatistics {
            mean,
            deviation: variance.sqrt(),
            smallest: all().fold(f64::INFINITY, f64::min),
            largest: all().fold(f64::NEG_INFINITY, f64::max),
        })
    };
    parsed.layers.iter().map(|layer| of_layer(&layer.operation)).collect()
}

/// Sizes of all layers.
pub fn sizes(parsed: &ParsedModel) -> Vec<Size> {
    let mut sizes: Vec<Size> = parsed.layers.iter().map(|_| Size { parameters: 0, fan_in: 0, fan_out: 0 }).collect();
    let reach = |sizes: &mut Vec<Size>, source: Source, n: usize| {
        if let Source::Layer(layer) = source {
            sizes[layer].fan_out += n;
        }
    };
    for (number, layer) in parsed.layers.iter().enumerate() {
        match &layer.operation {
            LayerKind::Population { connections, bias, .. } => {
                sizes[number].parameters = bias.as_ref().map_or(0, |bias| bias.len());
                for connection in connections {
                    sizes[number].parameters += connection.weights.iter().count();
                    let (into, out) = fans(&connection.weights);
                    sizes[number].fan_in += into;
                    reach(&mut sizes, connection.source, out);
                }
            }
            LayerKind::AveragePool { source, windows, .. } | LayerKind::MaxPool { source, windows } => {
                sizes[number].fan_in = windows.size.0 * windows.size.1;
                let out = windows.size.0.div_ceil(windows.strides.0) * windows.size.1.div_ceil(windows.strides.1);
                reach(&mut sizes, *source, out);
            }
            LayerKind::Relay { source, route } => {
                sizes[number].fan_in = 1;
                let out = match route {
                    super::parsed::Route::Shift { expand, .. } => expand.0 * expand.1,
                    super::parsed::Route::Gather { .. } => 1,
                };
                reach(&mut sizes, *source, out);
            }
            LayerKind::Flatten { source } => {
                sizes[number].fan_in = 1;
                reach(&mut sizes, *source, 1);
            }
        }
    }
    sizes
}

/// Connections into one neuron, and out of one.
fn fans(weights: &Weights) -> (usize, usize) {
    match weights {
        Weights::Dense(weights) => weights.dim(),
        Weights::Convolution { kernels, strides, groups, .. } => {
            let (out, per_group, height, width) = kernels.dim();
            (per_group * height * width, out / groups * height.div_ceil(strides.0) * width.div_ceil(strides.1))
        }
        Weights::Transposed { kernels, strides, groups, .. } => {
            let (inputs, per_group, height, width) = kernels.dim();
            (inputs / groups * height.div_ceil(strides.0) * width.div_ceil(strides.1), per_group * height * width)
        }
    }
}

/// Rates of all layers of a normalised network over samples, `(samples, numbers)`.
///
/// # Errors
/// Where samples do not fit.
pub fn activity(
    normalized: &ParsedModel,
    samples: impl Samples,
    progress: &mut dyn FnMut(usize),
) -> Result<Vec<Activity>, Error> {
    let (graph, ids) = normalized.graph()?;
    let mut tallies: Vec<Tally> = normalized.layers.iter().map(|layer| Tally::new(layer.shape.len())).collect();
    let mut of: Vec<Vec<usize>> = vec![Vec::new(); graph.layers().len()];
    ids.iter().enumerate().for_each(|(number, &id)| of[id].push(number));
    super::samples::activations(normalized, &graph, &samples, progress, &mut |layer, activations| {
        for &number in &of[layer] {
            let role = match normalized.layers[number].operation {
                LayerKind::Population { role, .. } => Some(role),
                _ => None,
            };
            match role {
                Some(role) => tallies[number].add(magnitudes(role, activations).view()),
                None => tallies[number].add(activations.mapv(f32::abs).view()),
            }
        }
    })?;
    Ok(tallies.into_iter().map(|tally| tally.activity(samples.count())).collect())
}

struct Tally {
    fired: Vec<bool>,
    sum: f64,
    active: u64,
    beyond: u64,
    largest: f32,
}

impl Tally {
    fn new(neurons: usize) -> Self {
        Self { fired: vec![false; neurons], sum: 0.0, active: 0, beyond: 0, largest: 0.0 }
    }

    fn add(&mut self, rates: ArrayView2<f32>) {
        for sample in rates.rows() {
            for (fired, &rate) in self.fired.iter_mut().zip(sample) {
                if rate > 0.0 {
                    *fired = true;
                    self.sum += f64::from(rate);
                    self.active += 1;
                    self.beyond += u64::from(rate > 1.0);
                    self.largest = self.largest.max(rate);
                }
            }
        }
    }

    fn activity(self, samples: usize) -> Activity {
        let neurons = self.fired.len();
        let per = |n: f64| if n > 0.0 { n.recip() } else { 0.0 };
        Activity {
            neurons,
            mean: self.sum * per((neurons * samples) as f64),
            mean_active: self.sum * per(self.active as f64),
            largest: self.largest.into(),
            silent: self.fired.iter().filter(|&&fired| !fired).count(),
            saturating: self.beyond as f64 * per(self.active as f64),
        }
    }
}
