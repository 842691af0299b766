//! Values on their way through the graph: rates with what still has to be done to them, or weights without an activation.

use super::super::parsed::{Connection, Source, Weights};
use crate::ann::graph::{AxisOrder, Layer, Padding, Shape};
use ndarray::{Array1, Array2};

/// What a graph layer puts out, in terms of parsed layers.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Spikes(Spikes),
    Linear(Linear),
}

/// `scale * pad(spikes) + shift`, in another order.
#[derive(Debug, Clone)]
pub(super) struct Spikes {
    pub(super) source: Source,
    /// A population that has no rectifier yet; one must come before the next weights.
    pub(super) unrectified: Option<usize>,
    /// Shape in the graph, padding included.
    pub(super) shape: Shape,
    /// Where the number `k` of the graph (map after map) stands in the source.
    pub(super) address: Option<Vec<usize>>,
    /// Zeros around the maps.
    pub(super) padding: Padding,
    /// Per channel or feature.
    pub(super) affine: Option<Affine>,
    /// Whether zeros were added since the weights, around maps that may be pooled since.
    pub(super) has_zeros: bool,
}

#[derive(Debug, Clone)]
pub(super) struct Affine {
    pub(super) scale: Vec<f64>,
    pub(super) shift: Vec<f64>,
}

impl Affine {
    pub(super) fn shifts(&self) -> bool {
        self.shift.iter().any(|&shift| shift != 0.0)
    }
}

/// Weights whose activation is still to come.
#[derive(Debug, Clone)]
pub(super) struct Linear {
    pub(super) connections: Vec<Connection>,
    pub(super) bias: Option<Vec<f64>>,
    pub(super) shape: Shape,
    pub(super) name: String,
    pub(super) kind: String,
}

pub(super) fn dense(layer: &Layer, spikes: Spikes, weights: &Array2<f32>, bias: Option<&Array1<f32>>) -> Linear {
    let mut bias: Option<Vec<f64>> = bias.map(|bias| bias.iter().map(|&b| f64::from(b)).collect());
    let mut addressed = weights.clone();
    if let Some(address) = &spikes.address {
        for (row, &at) in weights.outer_iter().zip(address) {
            addressed.row_mut(at).assign(&row);
        }
    }
    if let Some(affine) = &spikes.affine {
        for (k, row) in weights.outer_iter().enumerate() {
            let at = spikes.address.as_ref().map_or(k, |address| address[k]);
            addressed.row_mut(at).iter_mut().for_each(|weight| *weight = (f64::from(*weight) * affine.scale[k]) as f32);
            if affine.shift[k] != 0.0 {
                let bias = bias.get_or_insert_with(|| vec![0.0; weights.ncols()]);
                bias.iter_mut().zip(row).for_each(|(bias, &weight)| *bias += affine.shift[k] * f64::from(weight));
            }
        }
    }
    Linear {
        connections: vec![Connection { source: spikes.source, weights: Weights::Dense(addressed) }],
        bias,
        shape: layer.shape,
        name: layer.name.clone(),
        kind: layer.kind.clone(),
    }
}

impl Affine {
    /// Puts the map behind weights and their bias, per output.
    pub(super) fn absorb(&self, connections: &mut [Connection], bias: Option<Vec<f64>>) -> Vec<f64> {
        for connection in connections {
            let mut outputs = match &mut connection.weights {
                Weights::Dense(weights) => weights.view_mut().reversed_axes().into_dyn(),
                Weights::Convolution { kernels, .. } => kernels.view_mut().into_dyn(),
            };
            for (mut output, &scale) in outputs.outer_iter_mut().zip(&self.scale) {
                output.iter_mut().for_each(|weight| *weight = (f64::from(*weight) * scale) as f32);
            }
        }
        let bias = bias.unwrap_or_else(|| vec![0.0; self.scale.len()]);
        bias.iter().zip(&self.scale).zip(&self.shift).map(|((bias, scale), shift)| bias * scale + shift).collect()
    }

    /// This map behind another.
    pub(super) fn after(self, before: Option<Self>) -> Self {
        let Some(before) = before else { return self };
        Self {
            shift: before.shift.iter().zip(&self.scale).zip(&self.shift).map(|((t, s), u)| t * s + u).collect(),
            scale: before.scale.iter().zip(&self.scale).map(|(a, b)| a * b).collect(),
        }
    }
}

pub(super) fn channels(shape: Shape) -> usize {
    match shape {
        Shape::Features(n) => n,
        Shape::Maps { channels, .. } => channels,
    }
}

pub(super) fn sum(a: Padding, b: Padding) -> Padding {
    Padding { top: a.top + b.top, bottom: a.bottom + b.bottom, left: a.left + b.left, right: a.right + b.right }
}

/// Where, map after map, the numbers of a shape stand when they are read in an order.
pub(super) fn reading_order(shape: Shape, order: AxisOrder) -> Vec<usize> {
    match (shape, order) {
        (Shape::Maps { channels, height, width }, AxisOrder::ChannelsLast) => {
            let cells = height * width;
            (0..cells).flat_map(|cell| (0..channels).map(move |channel| channel * cells + cell)).collect()
        }
        _ => (0..shape.len()).collect(),
    }
}
