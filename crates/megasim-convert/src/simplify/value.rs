//! Values on their way through the graph: rates with what still has to be done to them, or weights without an
//! activation.

use super::super::parsed::{Connection, ParsedModel, Source, Weights};
use megasim_ann::graph::{AxisOrder, Padding, Shape};
use ndarray::{Array2, Array4, Axis};

/// What a graph layer puts out: pieces, one after another.
#[derive(Debug, Clone)]
pub(super) struct Value {
    pub(super) shape: Shape,
    pub(super) pieces: Vec<Piece>,
}

/// Some channels (or numbers) of a value.
#[derive(Debug, Clone)]
pub(super) struct Piece {
    pub(super) places: Places,
    pub(super) content: Content,
}

/// Which part of the value a piece is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Places {
    /// Whole maps: map `k` of the piece is channel `channels[k]` of the value.
    Channels(Vec<usize>),
    /// Number `k` of the piece, map after map, is number `numbers[k]` of the value, map after map.
    Numbers(Vec<usize>),
}

impl Places {
    /// The whole of a value, in its order.
    pub(super) fn whole(shape: Shape) -> Self {
        match shape {
            Shape::Features(n) => Self::Numbers((0..n).collect()),
            Shape::Maps { channels, .. } => Self::Channels((0..channels).collect()),
        }
    }

    pub(super) fn list(&self) -> &[usize] {
        match self {
            Self::Channels(list) | Self::Numbers(list) => list,
        }
    }

    /// The parameters of the value's channels that belong to the piece, one per map or number of it.
    pub(super) fn pick<T: Copy>(&self, shape: Shape, values: &[T]) -> Vec<T> {
        match (self, shape) {
            (Self::Numbers(numbers), Shape::Maps { height, width, .. }) => {
                numbers.iter().map(|&number| values[number / (height * width)]).collect()
            }
            _ => self.list().iter().map(|&at| values[at]).collect(),
        }
    }
}

#[derive(Debug, Clone)]
pub(super) enum Content {
    /// The sum of rates; a leaky rectifier is the difference of two.
    Sum(Vec<Spikes>),
    Linear(Linear),
}

/// `scale * pad(spikes) + shift`.
#[derive(Debug, Clone)]
pub(super) struct Spikes {
    pub(super) source: Source,
    /// A population that has no rectifier yet; one must come before the next weights.
    pub(super) unrectified: Option<usize>,
    /// Zeros around the maps.
    pub(super) padding: Padding,
    /// Per map or number of the piece.
    pub(super) affine: Option<Affine>,
    /// Whether zeros were added since the weights, around maps that may be pooled since.
    pub(super) has_zeros: bool,
}

impl Spikes {
    pub(super) fn new(source: Source) -> Self {
        Self { source, unrectified: None, padding: Padding::default(), affine: None, has_zeros: false }
    }
}

/// Weights whose activation is still to come.
#[derive(Debug, Clone)]
pub(super) struct Linear {
    pub(super) connections: Vec<Connection>,
    pub(super) bias: Option<Vec<f64>>,
    /// What is added at each number besides: what a shift before a padding does not bring to the border.
    pub(super) border: Option<Vec<f64>>,
    /// Shape of the piece.
    pub(super) shape: Shape,
    pub(super) name: String,
    pub(super) kind: String,
}

impl Value {
    pub(super) fn new(shape: Shape, content: Content) -> Self {
        Self { shape, pieces: vec![Piece { places: Places::whole(shape), content }] }
    }

    pub(super) fn linear(linear: Linear) -> Self {
        Self::new(linear.shape, Content::Linear(linear))
    }

    /// Shape of a piece as part of the value.
    pub(super) fn piece_shape(&self, piece: &Piece) -> Shape {
        match (&piece.places, self.shape) {
            (Places::Channels(list), Shape::Maps { height, width, .. }) => {
                Shape::Maps { channels: list.len(), height, width }
            }
            (Places::Numbers(_), shape @ Shape::Maps { .. }) => shape,
            (places, Shape::Features(_)) => Shape::Features(places.list().len()),
        }
    }
}

impl Linear {
    /// Whether a rectifier would change nothing: rates and weights that are not below 0.
    pub(super) fn is_rectified(&self, parsed: &ParsedModel) -> bool {
        let positive = |connection: &Connection| {
            connection.source != Source::Input
                && !parsed.has_sign(connection.source)
                && connection.weights.iter().all(|&weight| weight >= 0.0)
        };
        self.connections.iter().all(positive) && self.all_biases().iter().flatten().all(|&bias| bias >= 0.0)
    }

    /// One a map or number; one a number where positions differ.
    pub(super) fn all_biases(&self) -> Option<Vec<f64>> {
        let Some(border) = &self.border else { return self.bias.clone() };
        let cells = border.len() / self.shape.channels().max(1);
        let bias = |at: usize| self.bias.as_ref().map_or(0.0, |bias| bias[at / cells]);
        Some(border.iter().enumerate().map(|(at, &border)| border + bias(at)).collect())
    }

    /// A factor for each map or number.
    pub(super) fn scale_border(&mut self, scale: &[f32]) {
        if let Some(border) = &mut self.border {
            let cells = border.len() / scale.len().max(1);
            border.iter_mut().enumerate().for_each(|(at, border)| *border *= f64::from(scale[at / cells]));
        }
    }

    /// Some maps (or numbers) as those of another value; zeros where there is none.
    pub(super) fn select(self, from: &[Option<usize>], shape: Shape) -> Self {
        let n = from.len();
        let picks = || from.iter().enumerate().filter_map(|(to, from)| from.map(|from| (to, from)));
        let connections = self.connections.into_iter().map(|Connection { source, weights }| {
            let weights = match ungrouped(weights) {
                Weights::Dense(all) => {
                    let mut picked = Array2::zeros((all.nrows(), n));
                    picks().for_each(|(to, from)| picked.column_mut(to).assign(&all.column(from)));
                    Weights::Dense(picked)
                }
                Weights::Convolution { kernels, strides, padding, dilation, groups } => {
                    let (_, per_group, height, width) = kernels.dim();
                    let mut picked = Array4::zeros((n, per_group, height, width));
                    picks().for_each(|(to, from)| {
                        picked.index_axis_mut(Axis(0), to).assign(&kernels.index_axis(Axis(0), from));
                    });
                    Weights::Convolution { kernels: picked, strides, padding, dilation, groups }
                }
                Weights::Transposed { kernels, strides, padding, groups } => {
                    let (inputs, _, height, width) = kernels.dim();
                    let mut picked = Array4::zeros((inputs, n, height, width));
                    picks().for_each(|(to, from)| {
                        picked.index_axis_mut(Axis(1), to).assign(&kernels.index_axis(Axis(1), from));
                    });
                    Weights::Transposed { kernels: picked, strides, padding, groups }
                }
            };
            Connection { source, weights }
        });
        let connections = connections.collect();
        let pick = |values: Vec<f64>, cells: usize| {
            let mut picked = vec![0.0; n * cells];
            picks().for_each(|(to, from)| {
                picked[to * cells..(to + 1) * cells].copy_from_slice(&values[from * cells..(from + 1) * cells]);
            });
            picked
        };
        let cells = shape.len() / n.max(1);
        let (bias, border) = (self.bias.map(|bias| pick(bias, 1)), self.border.map(|border| pick(border, cells)));
        Self { connections, bias, border, shape, name: self.name, kind: self.kind }
    }

    /// The sum with another one of the same shape. Connections that read one source in one way become a single one, so
    /// that a value added to itself again and again takes no more memory than once.
    pub(super) fn add(&mut self, other: Self) {
        for connection in other.connections {
            if !self.connections.iter_mut().any(|own| own.absorb(&connection)) {
                self.connections.push(connection);
            }
        }
        self.bias = match (self.bias.take(), other.bias) {
            (Some(a), Some(b)) => Some(a.iter().zip(&b).map(|(a, b)| a + b).collect()),
            (a, b) => a.or(b),
        };
        self.border = match (self.border.take(), other.border) {
            (Some(a), Some(b)) => Some(a.iter().zip(&b).map(|(a, b)| a + b).collect()),
            (a, b) => a.or(b),
        };
    }

    /// The negative.
    pub(super) fn negated(mut self) -> Self {
        self.connections.iter_mut().for_each(|connection| connection.weights.scale(-1.0));
        self.bias.iter_mut().flatten().chain(self.border.iter_mut().flatten()).for_each(|bias| *bias = -*bias);
        self
    }

    /// This value as some channels (or numbers) of a wider value whose others are 0.
    pub(super) fn embed(self, list: &[usize], whole: Shape) -> Self {
        let n = whole.channels();
        if list.len() == n && list.iter().copied().eq(0..n) {
            return self;
        }
        let connections = self.connections.into_iter().map(|Connection { source, weights }| {
            let weights = match ungrouped(weights) {
                Weights::Dense(narrow) => {
                    let mut wide = Array2::zeros((narrow.nrows(), n));
                    list.iter().zip(narrow.columns()).for_each(|(&at, column)| wide.column_mut(at).assign(&column));
                    Weights::Dense(wide)
                }
                Weights::Convolution { kernels, strides, padding, dilation, groups } => {
                    let (_, per_group, height, width) = kernels.dim();
                    let mut wide = Array4::zeros((n, per_group, height, width));
                    list.iter().zip(kernels.outer_iter()).for_each(|(&at, kernel)| {
                        wide.index_axis_mut(Axis(0), at).assign(&kernel);
                    });
                    Weights::Convolution { kernels: wide, strides, padding, dilation, groups }
                }
                Weights::Transposed { kernels, strides, padding, groups } => {
                    let (inputs, _, height, width) = kernels.dim();
                    let mut wide = Array4::zeros((inputs, n, height, width));
                    list.iter().zip(kernels.axis_iter(Axis(1))).for_each(|(&at, kernel)| {
                        wide.index_axis_mut(Axis(1), at).assign(&kernel);
                    });
                    Weights::Transposed { kernels: wide, strides, padding, groups }
                }
            };
            Connection { source, weights }
        });
        let connections = connections.collect();
        let bias = self.bias.map(|bias| {
            let mut wide = vec![0.0; n];
            list.iter().zip(bias).for_each(|(&at, bias)| wide[at] = bias);
            wide
        });
        let cells = whole.len() / n.max(1);
        let border = self.border.map(|border| {
            let mut wide = vec![0.0; n * cells];
            list.iter().zip(border.chunks_exact(cells)).for_each(|(&at, map)| {
                wide[at * cells..(at + 1) * cells].copy_from_slice(map);
            });
            wide
        });
        Self { connections, bias, border, shape: whole, name: self.name, kind: self.kind }
    }
}

/// These weights in one group, with zeros between those that do not see each other.
pub(super) fn ungrouped(weights: Weights) -> Weights {
    match weights {
        Weights::Convolution { kernels, strides, padding, dilation, groups } if groups > 1 => {
            let (out, per_group, height, width) = kernels.dim();
            let mut wide = Array4::zeros((out, per_group * groups, height, width));
            for ((o, i, j, k), &weight) in kernels.indexed_iter() {
                wide[[o, o / (out / groups) * per_group + i, j, k]] = weight;
            }
            Weights::Convolution { kernels: wide, strides, padding, dilation, groups: 1 }
        }
        Weights::Transposed { kernels, strides, padding, groups } if groups > 1 => {
            let (inputs, per_group, height, width) = kernels.dim();
            let mut wide = Array4::zeros((inputs, per_group * groups, height, width));
            for ((i, o, j, k), &weight) in kernels.indexed_iter() {
                wide[[i, i / (inputs / groups) * per_group + o, j, k]] = weight;
            }
            Weights::Transposed { kernels: wide, strides, padding, groups: 1 }
        }
        weights => weights,
    }
}

/// A map `scale * x + shift`, per map or number.
#[derive(Debug, Clone)]
pub(super) struct Affine {
    pub(super) scale: Vec<f64>,
    pub(super) shift: Vec<f64>,
}

impl Affine {
    /// This one for each of `n`.
    pub(super) fn uniform(n: usize, scale: f64, shift: f64) -> Self {
        Self { scale: vec![scale; n], shift: vec![shift; n] }
    }

    pub(super) fn shifts(&self) -> bool {
        self.shift.iter().any(|&shift| shift != 0.0)
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

/// A batch normalisation `(x - mean) * scale + shift`, `scale = gamma / sqrt(variance + epsilon)`, per map or number.
///
/// In single precision and in this order, as libraries fold it when they export a network: so that a network read
/// before and after its export gives the same integers.
#[derive(Debug, Clone)]
pub(super) struct BatchNormalization {
    pub(super) mean: Vec<f32>,
    pub(super) scale: Vec<f32>,
    pub(super) shift: Vec<f32>,
}

impl BatchNormalization {
    /// These for other places.
    pub(super) fn map(&self, pick: impl Fn(&[f32]) -> Vec<f32>) -> Self {
        Self { mean: pick(&self.mean), scale: pick(&self.scale), shift: pick(&self.shift) }
    }

    /// As a map `scale * x + shift`.
    pub(super) fn affine(&self) -> Affine {
        let scale: Vec<f64> = self.scale.iter().map(|&scale| scale.into()).collect();
        let shift = (0..scale.len()).map(|k| f64::from(self.shift[k]) - f64::from(self.mean[k]) * scale[k]).collect();
        Affine { scale, shift }
    }

    /// Puts it behind weights and their bias, per output.
    pub(super) fn absorb(&self, connections: &mut [Connection], bias: Option<Vec<f32>>) -> Vec<f32> {
        for connection in connections {
            if let Weights::Transposed { groups: 2.., .. } = connection.weights {
                let plain = Weights::Dense(Array2::zeros((0, 0)));
                connection.weights = ungrouped(std::mem::replace(&mut connection.weights, plain));
            }
            let mut outputs = match &mut connection.weights {
                Weights::Dense(weights) => weights.view_mut().reversed_axes().into_dyn(),
                Weights::Convolution { kernels, .. } => kernels.view_mut().into_dyn(),
                Weights::Transposed { kernels, .. } => {
                    let mut view = kernels.view_mut();
                    view.swap_axes(0, 1);
                    view.into_dyn()
                }
            };
            for (mut output, &scale) in outputs.outer_iter_mut().zip(&self.scale) {
                output.iter_mut().for_each(|weight| *weight *= scale);
            }
        }
        let bias = bias.unwrap_or_else(|| vec![0.0; self.scale.len()]);
        (0..bias.len()).map(|k| (bias[k] - self.mean[k]) * self.scale[k] + self.shift[k]).collect()
    }
}

pub(super) fn sum(a: Padding, b: Padding) -> Padding {
    Padding { top: a.top + b.top, bottom: a.bottom + b.bottom, left: a.left + b.left, right: a.right + b.right }
}

/// Positions, map after map, of the numbers of a shape when they are read in an order.
pub(super) fn reading_order(shape: Shape, order: AxisOrder) -> Vec<usize> {
    match (shape, order) {
        (Shape::Maps { channels, height, width }, AxisOrder::ChannelsLast) => {
            let cells = height * width;
            (0..cells).flat_map(|cell| (0..channels).map(move |channel| channel * cells + cell)).collect()
        }
        _ => (0..shape.len()).collect(),
    }
}
