//! Layer-by-layer normalisation: after it, a neuron's rate in spikes a millisecond is its activation divided by the scale `l`
//! of its layer, and hardly any neuron would have to exceed one spike a millisecond.
//!
//! `W <- W * l_in / l_out`, `b <- b / l_out`, where `l` is a percentile of a layer's non-zero activations after ReLU over the
//! normalisation set, and 1 for the input. B. Rueckauer et al., "Conversion of continuous-valued deep networks to efficient
//! event-driven networks for image classification", Front. Neurosci. 11:682 (2017), section 2.2.1.

use super::parsed::{LayerKind, Parsed, Source};
use super::percentile::{Counts, Search};
use crate::ann::forward::{WrongBatch, visit_activations};
use crate::ann::graph::{Graph, LayerId};
use ndarray::ArrayView2;
use std::collections::BTreeMap;

/// The percentile that is used where none is given.
pub const DEFAULT_PERCENTILE: f64 = 99.9;

/// Why a network could not be normalised.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// Samples of another shape than the network's input.
    #[error("normalisation set: {0}")]
    Batch(#[from] WrongBatch),
    /// No sample.
    #[error("normalisation set: expected at least one sample, found none")]
    Empty,
    /// An activation that is no number.
    #[error("layer '{layer}': expected finite activations over the normalisation set, found {value}")]
    NotFinite {
        /// The source's name of the layer.
        layer: String,
        /// What was found.
        value: f32,
    },
    /// A scale that no longer is a positive number.
    #[error("layer '{layer}': expected weights that a scale of {scale:e} leaves finite")]
    Scale {
        /// The source's name of the layer.
        layer: String,
        /// The scale.
        scale: f64,
    },
}

/// A normalised network.
#[derive(Debug, Clone, PartialEq)]
pub struct Normalized {
    /// The network with scaled weights.
    pub parsed: Parsed,
    /// For each layer, the activation that one spike a millisecond stands for.
    pub scales: Vec<f64>,
    /// Numbers of the populations that were silent over the whole normalisation set; their scale is 1.
    pub silent: Vec<usize>,
}

/// How a pooling changes the scale from its input to its output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pooled {
    /// An average is a rate like its inputs.
    Mean,
    /// Every input spike passes: the rate is the sum over the window.
    Sum,
}

/// Percentiles of the activations of each population (none where all are zero or negative), in two passes over the samples,
/// which are taken in small batches.
pub fn percentiles(
    graph: &Graph,
    parsed: &Parsed,
    samples: ArrayView2<f32>,
    percentile: f64,
) -> Result<BTreeMap<LayerId, Option<f64>>, Error> {
    if samples.nrows() == 0 {
        return Err(Error::Empty);
    }
    let populations = parsed.layers.iter().filter(|layer| matches!(layer.operation, LayerKind::Population { .. }));
    let mut counts: BTreeMap<LayerId, Counts> = populations.map(|layer| (layer.analog, Counts::default())).collect();
    let mut not_finite = None;
    visit_activations(graph, samples, |_, layer, activations| {
        if let Some(counts) = counts.get_mut(&layer) {
            if let Some(&value) = activations.iter().find(|value| !value.is_finite()) {
                not_finite.get_or_insert((layer, value));
            } else {
                counts.add(activations);
            }
        }
    })?;
    if let Some((layer, value)) = not_finite {
        return Err(Error::NotFinite { layer: graph.layers()[layer].name.clone(), value });
    }
    let mut searches: BTreeMap<LayerId, Option<Search>> =
        counts.into_iter().map(|(layer, counts)| (layer, counts.search(percentile))).collect();
    visit_activations(graph, samples, |_, layer, activations| {
        if let Some(Some(search)) = searches.get_mut(&layer) {
            search.add(activations);
        }
    })?;
    Ok(searches.into_iter().map(|(layer, search)| (layer, search.map(|search| search.value()))).collect())
}

/// Scales the weights of a parsed network.
///
/// `l` maps the analog layer of each population to its percentile, as [`percentiles`] gives them.
///
/// # Errors
/// [`Error::Scale`] where a scaled weight or bias is no finite number.
pub fn normalize(mut parsed: Parsed, l: &BTreeMap<LayerId, Option<f64>>, pooled: Pooled) -> Result<Normalized, Error> {
    let mut scales: Vec<f64> = Vec::with_capacity(parsed.layers.len());
    let mut silent = Vec::new();
    for (number, layer) in parsed.layers.iter_mut().enumerate() {
        let scale = |source: Source| match source {
            Source::Input => 1.0,
            Source::Layer(layer) => scales[layer],
        };
        let l_out = match &mut layer.operation {
            LayerKind::MaxPool { source, .. } | LayerKind::Flatten { source } => scale(*source),
            LayerKind::AveragePool { source, windows, .. } => match pooled {
                Pooled::Mean => scale(*source),
                Pooled::Sum => scale(*source) / (windows.size.0 * windows.size.1) as f64,
            },
            LayerKind::Population { connections, bias } => {
                let l_out = l.get(&layer.analog).copied().flatten().unwrap_or_else(|| {
                    silent.push(number);
                    1.0
                });
                let fault = || Error::Scale { layer: layer.source_name.clone(), scale: l_out };
                for connection in connections {
                    connection.weights.scale(scale(connection.source) / l_out);
                    if !connection.weights.iter().all(|weight| weight.is_finite()) {
                        return Err(fault());
                    }
                }
                if let Some(bias) = bias {
                    bias.iter_mut().for_each(|bias| *bias = (f64::from(*bias) / l_out) as f32);
                    if !bias.iter().all(|bias| bias.is_finite()) {
                        return Err(fault());
                    }
                }
                l_out
            }
        };
        scales.push(l_out);
    }
    Ok(Normalized { parsed, scales, silent })
}
