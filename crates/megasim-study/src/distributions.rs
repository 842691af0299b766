//! Distributions of weights and activations of a converted network before and after normalisation, layer by layer.

use super::compare::{Analog, AnalogError};
use super::statistics::Histogram;
use megasim_ann::graph::Graph;
use megasim_convert::parsed::LayerKind;
use megasim_convert::{Manifest, parse};
use megasim_core::network::{Driver, Input, Network};

/// Intervals of a histogram of this many numbers.
fn intervals(numbers: usize) -> usize {
    numbers.isqrt().clamp(8, 60)
}

/// Samples whose activations are looked at, at most.
const MOST_SAMPLES: usize = 100;

/// The distributions of one layer.
#[derive(Debug, Clone)]
pub struct Distributions {
    /// Its name.
    pub name: String,
    /// The activation that one spike per millisecond represents.
    pub scale: f64,
    /// Weights of the trained network, simplified; none for layers without their own weights.
    pub weights_before: Option<Histogram>,
    /// Weights in the netfiles over the scaling factor.
    pub weights_after: Option<Histogram>,
    /// Activations above 0.
    pub activations_before: Histogram,
    /// Activations divided by the scale of the layer.
    pub activations_after: Histogram,
}

/// The distributions of some layers of a converted network, numbered as in the manifest; activations are those of at
/// most 100 samples.
///
/// # Errors
/// If the trained network is not the one that was converted.
pub fn distributions(
    graph: &Graph,
    manifest: &Manifest,
    network: &Network,
    layers: &[usize],
    analog: &Analog,
) -> Result<Vec<Distributions>, AnalogError> {
    let parsed = parse(graph, &manifest.options())?;
    let rates = analog.first(MOST_SAMPLES)?;
    let all = layers.iter().zip(&rates).filter_map(|(&number, rates)| {
        let layer = manifest.layers.get(number)?;
        let weights_before = match &parsed.layers.get(number)?.operation {
            LayerKind::Population { connections, .. } => {
                let weights = connections.iter().flat_map(|connection| connection.weights.iter());
                let weights: Vec<f64> = weights.map(|&w| f64::from(w)).collect();
                Some(Histogram::of(weights.iter().copied(), intervals(weights.len())))
            }
            _ => None,
        };
        let weights_after = weights_before.as_ref().map(|_| {
            let weights = layer.nodes.iter().flat_map(|node| weights_of(network, node, manifest));
            let factor = manifest.conversion.scaling_factor;
            let weights: Vec<f64> = weights.map(|w| f64::from(w) / factor).collect();
            Histogram::of(weights.iter().copied(), intervals(weights.len()))
        });
        let active = || rates.iter().map(|&rate| f64::from(rate)).enumerate().filter(|&(_, rate)| rate > 0.0);
        let n = intervals(active().count());
        let activations_after = Histogram::of(active().map(|(_, rate)| rate), n);
        let activations_before = match &layer.map_scales[..] {
            [] => activations_after.scaled(layer.scale),
            _ => {
                let neurons = layer.shape.iter().product::<usize>().max(1);
                let before = active().map(|(at, rate)| rate * layer.scale_of(at % neurons));
                Histogram::of(before, n)
            }
        };
        Some(Distributions {
            name: layer.name.clone(),
            scale: layer.scale,
            weights_before,
            weights_after,
            activations_before,
            activations_after,
        })
    });
    Ok(all.collect())
}

/// The weights behind a node, those of the bias clock and of resets left out.
fn weights_of(network: &Network, node: &str, manifest: &Manifest) -> Vec<i32> {
    let Some(node) = network.node_named(node) else { return Vec::new() };
    let Driver::Module(module) = network.nodes()[node.index()].driver else { return Vec::new() };
    let module = &network.modules()[module.index()];
    let is_bias = |port: usize| match &module.inputs[port] {
        Input::Node(node) => {
            let name = &network.nodes()[node.index()].name;
            Some(name) == manifest.bias_clock.as_ref() || *name == manifest.reset_event
        }
        Input::Undriven(_) => true,
    };
    let ports = module.kind.weights();
    ports
        .iter()
        .enumerate()
        .filter(|(port, _)| !is_bias(*port))
        .flat_map(|(_, weights)| weights.iter().copied())
        .collect()
}
