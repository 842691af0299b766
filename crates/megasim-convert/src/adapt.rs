//! What the normalisation set decides before a conversion: the scale of the input, and how the outputs become spikes.

use super::OutputForm;
use super::input_ranges::{self, Ranges};
use super::normalize::Error;
use super::samples::Samples;
use megasim_ann::forward::forward;
use megasim_ann::graph::{Graph, Layer, Operation};
use megasim_core::encode::FeatureScales;
use megasim_data::InputScaling;

/// Share of the samples without an output above 0 from which outputs fire spikes of both signs.
const NOTABLE: f64 = 0.02;

/// The largest byte.
const LARGEST_BYTE: f64 = 255.0;

/// What was found and decided.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Adapted {
    /// Largest magnitude of the samples.
    pub largest: f32,
    /// As [`ConvertOptions::input_scale`](super::ConvertOptions).
    pub input_scale: f64,
    /// As [`ConvertOptions::input_features`](super::ConvertOptions).
    pub input_features: Option<FeatureScales>,
    /// Where features got scales: the share of the samples that the trained network decides alike without.
    pub without_features: Option<f64>,
    /// Spikes per millisecond of an input of full value, and the share of the samples that the trained network decides
    /// alike with one, where that was asked.
    pub input_events: (u32, Option<f64>),
    /// As [`ConvertOptions::logit_shift`](super::ConvertOptions).
    pub logit_shift: f64,
    /// What the outputs do.
    pub output: OutputForm,
    /// Share of the samples none of whose outputs is above 0, before a shift.
    pub silent: f64,
}

/// Looks at the samples, and at the ranges of their features. With `heads`, outputs that would be silent are shifted
/// (before a softmax, which a shift does not change) or made to fire spikes of both signs; else they fire at their
/// rates above 0.
///
/// # Errors
/// Where samples cannot be had or do not fit.
pub(super) fn adapt(
    graph: &Graph,
    scaling: InputScaling,
    samples: &dyn Samples,
    heads: bool,
) -> Result<(Adapted, Ranges), Error> {
    let before = before_softmax(graph);
    let logits = heads.then(|| before.as_ref().unwrap_or(graph));
    let mut largest = 0.0f32;
    let mut ranges = Ranges::new(graph.input_shape().channels());
    let mut tops: Vec<f32> = Vec::new();
    samples.visit(&mut |_, piece| {
        largest = largest.max(input_ranges::largest(piece));
        ranges.see(piece);
        if let Some(logits) = logits {
            let outputs = forward(logits, piece)?;
            tops.extend(outputs.rows().into_iter().map(|row| row.iter().copied().fold(f32::NEG_INFINITY, f32::max)));
        }
        Ok(())
    })?;
    let input_scale = match scaling {
        InputScaling::OfTheModel if largest.is_finite() => LARGEST_BYTE.max(largest.into()),
        InputScaling::OfTheModel => LARGEST_BYTE,
        InputScaling::Unit if largest > 1.0 && largest.is_finite() => largest.into(),
        InputScaling::Unit => 1.0,
    };
    let silent = tops.iter().filter(|&&top| top <= 0.0).count() as f64 / tops.len().max(1) as f64;
    let mut adapted = Adapted {
        largest,
        input_scale,
        input_features: None,
        without_features: None,
        input_events: (1, None),
        logit_shift: 0.0,
        output: OutputForm::Relu,
        silent,
    };
    let least = tops.iter().copied().fold(f32::INFINITY, f32::min);
    let most = tops.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    if silent > 0.0 && least.is_finite() && most.is_finite() {
        if graph.ends_in_softmax() {
            adapted.logit_shift = f64::from(margin(least, most) - least);
        } else if silent > NOTABLE {
            adapted.output = OutputForm::Signed;
        }
    }
    Ok((adapted, ranges))
}

/// The network that takes rates of features, in spikes per millisecond, in place of their values; none where there are
/// not as many features as scales.
pub(super) fn of_rates(graph: &Graph, features: &FeatureScales) -> Option<Graph> {
    let (scales, offsets) = (features.scales(), features.offsets());
    let mut layers = graph.clone().into_layers();
    if layers.first()?.shape.channels() != scales.len() {
        return None;
    }
    layers.iter_mut().flat_map(|layer| &mut layer.inputs).for_each(|input| *input += 1);
    let input = layers.remove(0);
    let single = |values: &[f64]| values.iter().map(|&value| value as f32).collect();
    let (name, kind, shape) = (format!("{}_scales", input.name), "BatchNormalization".into(), input.shape);
    let operation = Operation::affine(single(scales), single(offsets));
    layers.splice(0..0, [input, Layer { name, kind, operation, inputs: vec![0], shape }]);
    Graph::new(layers).ok()
}

/// The network without the softmax that it ends in.
fn before_softmax(graph: &Graph) -> Option<Graph> {
    let mut layers = graph.clone().into_layers();
    layers.pop().filter(|_| graph.ends_in_softmax())?;
    Graph::new(layers).ok()
}

/// The network with a constant added to what its last softmax reads; none where nothing is added.
pub(super) fn shifted(graph: &Graph, shift: f64) -> Option<Graph> {
    if shift == 0.0 || !graph.ends_in_softmax() {
        return None;
    }
    let mut layers = graph.clone().into_layers();
    let mut softmax = layers.pop()?;
    let shape = layers.get(*softmax.inputs.first()?)?.shape;
    let operation = Operation::scale_and_shift(shape.channels(), 1.0, shift as f32);
    let name = format!("{}_shift", softmax.name);
    let layer = Layer { name, kind: "BatchNormalization".into(), operation, inputs: softmax.inputs, shape };
    layers.push(layer);
    softmax.inputs = vec![layers.len() - 1];
    layers.push(softmax);
    Graph::new(layers).ok()
}

/// How far above 0 the least of the largest outputs is to be.
fn margin(least: f32, most: f32) -> f32 {
    let spread = (most - least) / 20.0;
    if spread > 0.0 { spread } else { 1.0 }
}
