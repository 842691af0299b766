//! Layers with weights: what they read becomes connections, one for each part of it.

use super::value::{Affine, Content, Linear, Piece, Places, Spikes, Value, sum, ungrouped};
use super::{MAX_DIAGONAL, Simplifier, Unsupported, unsupported};
use crate::parsed::{Connection, Weights};
use megasim_ann::graph::{Layer, Operation, Padding, Shape};
use ndarray::{Array1, Array2, Array4, Axis, s};

/// The sum of rates that a piece is; what reads it has made sure that it is one.
pub(super) fn terms<'p>(layer: &Layer, piece: &'p Piece) -> Result<&'p [Spikes], Unsupported> {
    match &piece.content {
        Content::Sum(terms) => Ok(terms),
        Content::Linear(linear) => {
            Err(unsupported(layer, format!("expected a rectifier (ReLU) behind '{}', found none", linear.name)))
        }
    }
}

fn wide(bias: Option<&Array1<f32>>) -> Option<Vec<f64>> {
    bias.map(|bias| bias.iter().map(|&b| f64::from(b)).collect())
}

/// `value` is rectified.
pub(super) fn dense(
    layer: &Layer,
    value: &Value,
    weights: &Array2<f32>,
    bias: Option<&Array1<f32>>,
) -> Result<Linear, Unsupported> {
    let mut bias = wide(bias);
    let mut connections = Vec::new();
    for piece in &value.pieces {
        let numbers = piece.places.list();
        let picked = weights.select(Axis(0), numbers);
        for spikes in terms(layer, piece)? {
            let mut rows = picked.clone();
            if let Some(affine) = &spikes.affine {
                for (k, mut row) in rows.outer_iter_mut().enumerate() {
                    if affine.shift[k] != 0.0 {
                        let bias = bias.get_or_insert_with(|| vec![0.0; weights.ncols()]);
                        bias.iter_mut().zip(&row).for_each(|(b, &weight)| *b += affine.shift[k] * f64::from(weight));
                    }
                    row.iter_mut().for_each(|weight| *weight = (f64::from(*weight) * affine.scale[k]) as f32);
                }
            }
            connections.push(Connection { source: spikes.source, weights: Weights::Dense(rows) });
        }
    }
    let (name, kind) = (layer.name.clone(), layer.kind.clone());
    Ok(Linear { connections, bias, border: None, shape: layer.shape, name, kind })
}

/// Geometry of a convolution.
#[derive(Debug, Clone, Copy)]
struct Geometry {
    strides: (usize, usize),
    padding: Padding,
    dilation: (usize, usize),
}

/// What is added to outputs for what their inputs are shifted by.
#[derive(Debug, Clone, Default)]
struct Shifted {
    /// One a map; the same at all positions.
    bias: Option<Vec<f64>>,
    /// One a number.
    border: Option<Vec<f64>>,
}

/// Kernels over one part of the input; what the part is shifted by goes into the bias. `input` and `output` are the
/// sizes of maps.
fn kernels_over(
    spikes: &Spikes,
    mut kernels: Array4<f32>,
    groups: usize,
    geometry: Geometry,
    (from, to): ((usize, usize), (usize, usize)),
    shifted: &mut Shifted,
) -> Connection {
    if let Some(affine) = &spikes.affine {
        let (out, per_group, ..) = kernels.dim();
        let input = |o: usize, i: usize| o / (out / groups) * per_group + i;
        if affine.shifts() {
            if geometry.padding == Padding::default() {
                let bias = shifted.bias.get_or_insert_with(|| vec![0.0; out]);
                for (o, bias) in bias.iter_mut().enumerate() {
                    for (i, kernel) in kernels.index_axis(Axis(0), o).outer_iter().enumerate() {
                        *bias += affine.shift[input(o, i)] * kernel.iter().map(|&w| f64::from(w)).sum::<f64>();
                    }
                }
            } else {
                // The zeros of the padding are not shifted: each output has the shift of those inputs that it reads.
                let border = shifted.border.get_or_insert_with(|| vec![0.0; out * to.0 * to.1]);
                for o in 0..out {
                    let map = &mut border[o * to.0 * to.1..][..to.0 * to.1];
                    let mut taps = Array2::<f64>::zeros((kernels.dim().2, kernels.dim().3));
                    for (i, kernel) in kernels.index_axis(Axis(0), o).outer_iter().enumerate() {
                        taps.zip_mut_with(&kernel, |tap, &weight| {
                            *tap += affine.shift[input(o, i)] * f64::from(weight);
                        });
                    }
                    geometry.add_inside(&taps, from, to, map);
                }
            }
        }
        for ((o, i, ..), weight) in kernels.indexed_iter_mut() {
            *weight = (f64::from(*weight) * affine.scale[input(o, i)]) as f32;
        }
    }
    let Geometry { strides, padding, dilation } = geometry;
    let padding = sum(spikes.padding, padding);
    Connection { source: spikes.source, weights: Weights::Convolution { kernels, strides, padding, dilation, groups } }
}

impl Geometry {
    /// Adds to each output the taps that are on a cell of the input, padding apart.
    fn add_inside(&self, taps: &Array2<f64>, from: (usize, usize), to: (usize, usize), map: &mut [f64]) {
        let on = |at: usize, tap: usize, stride: usize, dilation: usize, before: usize, cells: usize| {
            (at * stride + tap * dilation).checked_sub(before).is_some_and(|cell| cell < cells)
        };
        let Self { strides, padding, dilation } = *self;
        for (at, sum) in map.iter_mut().enumerate() {
            let (y, x) = (at / to.1, at % to.1);
            for ((j, i), tap) in taps.indexed_iter() {
                if on(y, j, strides.0, dilation.0, padding.top, from.0)
                    && on(x, i, strides.1, dilation.1, padding.left, from.1)
                {
                    *sum += tap;
                }
            }
        }
    }
}

/// Rows and columns; a vector is one cell.
fn cells(shape: Shape) -> (usize, usize) {
    match shape {
        Shape::Maps { height, width, .. } => (height, width),
        Shape::Features(_) => (1, 1),
    }
}

/// A convolution of a rectified value of maps. Where it has groups and each piece holds whole ones, each piece has
/// its own outputs.
pub(super) fn convolution(layer: &Layer, value: &Value) -> Result<Value, Unsupported> {
    let Operation::Convolution { weights, bias, strides, padding, dilation, groups } = &layer.operation else {
        return Err(unsupported(layer, "expected a convolution"));
    };
    let geometry = Geometry { strides: *strides, padding: *padding, dilation: *dilation };
    let bias = wide(bias.as_ref());
    // Shifted maps have what zeros were put around them before.
    let sizes = (cells(value.shape), cells(layer.shape));
    let (name, kind) = (layer.name.clone(), layer.kind.clone());
    let (out, per_group, ..) = weights.dim();
    let per_group_out = out / groups;
    let groups_of = |piece: &Piece| {
        let list = piece.places.list();
        let contiguous = list.windows(2).all(|pair| pair[1] == pair[0] + 1);
        let whole = contiguous && list[0].is_multiple_of(per_group) && list.len().is_multiple_of(per_group);
        whole.then(|| list[0] / per_group..(list[0] + list.len()) / per_group)
    };
    let aligned: Option<Vec<_>> = value.pieces.iter().map(groups_of).collect();
    if let (Some(aligned), 2..) = (aligned, *groups) {
        let mut pieces = Vec::new();
        for (piece, range) in value.pieces.iter().zip(aligned) {
            let outputs = range.start * per_group_out..range.end * per_group_out;
            let kernels = weights.slice(s![outputs.clone(), .., .., ..]).to_owned();
            let bias = bias.as_ref().map(|bias| bias[outputs.clone()].to_vec());
            let mut shifted = Shifted { bias, border: None };
            let connections = terms(layer, piece)?
                .iter()
                .map(|spikes| kernels_over(spikes, kernels.clone(), range.len(), geometry, sizes, &mut shifted));
            let connections = connections.collect();
            let Shifted { bias, border } = shifted;
            let places = Places::Channels(outputs.collect());
            let shape = match layer.shape {
                Shape::Maps { height, width, .. } => Shape::Maps { channels: kernels.dim().0, height, width },
                features => features,
            };
            let linear = Linear { connections, bias, border, shape, name: name.clone(), kind: kind.clone() };
            pieces.push(Piece { places, content: Content::Linear(linear) });
        }
        return Ok(Value { shape: layer.shape, pieces });
    }
    let all = Weights::Convolution {
        kernels: weights.clone(),
        strides: *strides,
        padding: *padding,
        dilation: *dilation,
        groups: *groups,
    };
    let Weights::Convolution { kernels, .. } = ungrouped(all) else {
        return Err(unsupported(layer, "expected a convolution"));
    };
    let mut shifted = Shifted { bias, border: None };
    let mut connections = Vec::new();
    for piece in &value.pieces {
        let picked = kernels.select(Axis(1), piece.places.list());
        for spikes in terms(layer, piece)? {
            connections.push(kernels_over(spikes, picked.clone(), 1, geometry, sizes, &mut shifted));
        }
    }
    let Shifted { bias, border } = shifted;
    Ok(Value::linear(Linear { connections, bias, border, shape: layer.shape, name, kind }))
}

/// A transposed convolution of a rectified value of maps without zeros around them.
pub(super) fn transposed(layer: &Layer, value: &Value) -> Result<Value, Unsupported> {
    let Operation::TransposedConvolution { weights, bias, strides, padding, groups } = &layer.operation else {
        return Err(unsupported(layer, "expected a transposed convolution"));
    };
    let (strides, padding) = (*strides, *padding);
    let mut all = Weights::Transposed { kernels: weights.clone(), strides, padding, groups: *groups };
    if value.pieces.len() > 1 {
        all = ungrouped(all);
    }
    let Weights::Transposed { kernels, groups, .. } = all else {
        return Err(unsupported(layer, "expected a transposed convolution"));
    };
    let mut connections = Vec::new();
    let mut border: Option<Vec<f64>> = None;
    let (from, to) = (cells(value.shape), cells(layer.shape));
    let outputs = layer.shape.channels();
    for piece in &value.pieces {
        let picked = kernels.select(Axis(0), piece.places.list());
        for spikes in terms(layer, piece)? {
            let mut kernels = picked.clone();
            if let Some(affine) = &spikes.affine {
                if affine.shifts() {
                    // Outputs get the shift of the inputs that reach them: fewer at the border, others between strides.
                    let border = border.get_or_insert_with(|| vec![0.0; layer.shape.len()]);
                    let (inputs, per_group, ..) = kernels.dim();
                    for ((i, o, j, k), &weight) in kernels.indexed_iter() {
                        let map = i / (inputs / groups) * per_group + o;
                        let add = affine.shift[i] * f64::from(weight);
                        for at in 0..from.0 * from.1 {
                            let y = (at / from.1 * strides.0 + j).checked_sub(padding.top).filter(|&y| y < to.0);
                            let x = (at % from.1 * strides.1 + k).checked_sub(padding.left).filter(|&x| x < to.1);
                            if let (Some(y), Some(x), true) = (y, x, map < outputs) {
                                border[(map * to.0 + y) * to.1 + x] += add;
                            }
                        }
                    }
                }
                for (mut kernel, &scale) in kernels.outer_iter_mut().zip(&affine.scale) {
                    kernel.iter_mut().for_each(|weight| *weight = (f64::from(*weight) * scale) as f32);
                }
            }
            let weights = Weights::Transposed { kernels, strides, padding, groups };
            connections.push(Connection { source: spikes.source, weights });
        }
    }
    let (name, kind) = (layer.name.clone(), layer.kind.clone());
    Ok(Value::linear(Linear { connections, bias: wide(bias.as_ref()), border, shape: layer.shape, name, kind }))
}

impl Simplifier<'_> {
    /// Weights of 1 (and what a batch normalisation left) for a piece of rates.
    pub(super) fn identity(&mut self, layer: &Layer, value: &Value, piece: &Piece) -> Result<Linear, Unsupported> {
        let shape = value.piece_shape(piece);
        let n = shape.channels();
        let mut bias: Option<Vec<f64>> = None;
        let mut connections = Vec::new();
        for spikes in terms(layer, piece)? {
            let Affine { scale, shift } = spikes.affine.clone().unwrap_or_else(|| Affine::uniform(n, 1.0, 0.0));
            let weights = match shape {
                Shape::Features(n) if n > MAX_DIAGONAL => {
                    let reason =
                        format!("expected at most {MAX_DIAGONAL} features where no weights come before, found {n}");
                    return Err(unsupported(layer, reason));
                }
                Shape::Features(n) => {
                    let mut weights = Array2::zeros((n, n));
                    scale.iter().enumerate().for_each(|(k, &scale)| weights[[k, k]] = scale as f32);
                    Weights::Dense(weights)
                }
                Shape::Maps { channels, .. } => Weights::Convolution {
                    kernels: Array4::from_shape_fn((channels, 1, 1, 1), |(k, ..)| scale[k] as f32),
                    strides: (1, 1),
                    padding: spikes.padding,
                    dilation: (1, 1),
                    groups: channels,
                },
            };
            if shift.iter().any(|&shift| shift != 0.0) {
                let bias = bias.get_or_insert_with(|| vec![0.0; n]);
                bias.iter_mut().zip(&shift).for_each(|(bias, shift)| *bias += shift);
            }
            connections.push(Connection { source: spikes.source, weights });
        }
        Ok(Linear { connections, bias, border: None, shape, name: layer.name.clone(), kind: layer.kind.clone() })
    }
}
