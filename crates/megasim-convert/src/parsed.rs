//! The parsed network: what remains of an analog network when only layers that become modules are left.
//!
//! A parsed layer is a population of neurons behind one or more connections, a pooling, or a flattening. Every value is
//! a rectified activation, so it can be a rate. Numbers are in the order of the netfiles: map after map, then `y`,
//! then `x`.

use megasim_ann::graph::{
    Activation, AxisOrder, Graph, GraphBuilder, GraphError, LayerId, Levels, Operation, Padding, Pooling, Shape,
};
use megasim_core::encode::FeatureScales;
use ndarray::{Array1, Array2, Array4, ArrayView2, Axis, CowArray, Ix2};
use serde::{Deserialize, Serialize};

/// What a layer reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum Source {
    /// The input of the network.
    Input,
    /// A layer before it.
    Layer(usize),
}

/// Weights between a source and a population, real numbers.
#[derive(Debug, Clone, PartialEq)]
pub enum Weights {
    /// `(in, out)`; the source is a vector.
    Dense(Array2<f32>),
    /// Cross-correlation, `(out, in / groups, kernel height, kernel width)`; pairs are `(vertical, horizontal)`.
    Convolution {
        /// The kernels, not flipped.
        kernels: Array4<f32>,
        /// Steps of the window.
        strides: (usize, usize),
        /// Zeros around the source.
        padding: Padding,
        /// Distance between the taps of a kernel.
        dilation: (usize, usize),
        /// Groups of channels that do not see each other.
        groups: usize,
    },
    /// The transpose of a convolution, `(in, out / groups, kernel height, kernel width)`, as in
    /// [`Operation::TransposedConvolution`].
    Transposed {
        /// The kernels.
        kernels: Array4<f32>,
        /// Distance between the outputs of neighbouring inputs.
        strides: (usize, usize),
        /// Cells cut off the output.
        padding: Padding,
        /// Groups of channels that do not see each other.
        groups: usize,
    },
}

impl Weights {
    /// All weights.
    pub fn iter(&self) -> impl Iterator<Item = &f32> {
        let (dense, kernels) = match self {
            Self::Dense(weights) => (Some(weights), None),
            Self::Convolution { kernels, .. } | Self::Transposed { kernels, .. } => (None, Some(kernels)),
        };
        dense.into_iter().flatten().chain(kernels.into_iter().flatten())
    }

    /// Multiplies every weight.
    pub fn scale(&mut self, factor: f64) {
        self.change(|weight| (f64::from(weight) * factor) as f32);
    }

    /// Replaces every weight.
    pub fn change(&mut self, new: impl Fn(f32) -> f32) {
        let scale = |weight: &mut f32| *weight = new(*weight);
        match self {
            Self::Dense(weights) => weights.iter_mut().for_each(scale),
            Self::Convolution { kernels, .. } | Self::Transposed { kernels, .. } => {
                kernels.iter_mut().for_each(scale);
            }
        }
    }
}

/// One connection of a population.
#[derive(Debug, Clone, PartialEq)]
pub struct Connection {
    /// Where the spikes come from.
    pub source: Source,
    /// What they weigh.
    pub weights: Weights,
}

impl Connection {
    /// Takes over the weights of another connection that reads the same source in the same way; false where it does
    /// not.
    pub(super) fn absorb(&mut self, other: &Self) -> bool {
        if self.source != other.source {
            return false;
        }
        match (&mut self.weights, &other.weights) {
            (Weights::Dense(own), Weights::Dense(other)) if own.dim() == other.dim() => *own += other,
            (
                Weights::Convolution { kernels, strides, padding, dilation, groups },
                Weights::Convolution { kernels: k, strides: s, padding: p, dilation: d, groups: g },
            ) if kernels.dim() == k.dim() && (*strides, *padding, *dilation, *groups) == (*s, *p, *d, *g) => {
                *kernels += k;
            }
            (
                Weights::Transposed { kernels, strides, padding, groups },
                Weights::Transposed { kernels: k, strides: s, padding: p, groups: g },
            ) if kernels.dim() == k.dim() && (*strides, *padding, *groups) == (*s, *p, *g) => *kernels += k,
            _ => return false,
        }
        true
    }
}

/// Positions of pooling windows; pairs are `(vertical, horizontal)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Windows {
    /// Rows and columns of a window.
    pub size: (usize, usize),
    /// Steps of the window.
    pub strides: (usize, usize),
    /// Cells around the map.
    pub padding: Padding,
}

impl Windows {
    fn operation(&self, pooling: Pooling, padding: Padding) -> Operation {
        Operation::Pool { pooling, size: self.size, strides: self.strides, padding }
    }
}

/// What the neurons of a population do with the sum of their input.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum Role {
    /// They fire at its rate where it is above 0: a ReLU.
    Rectifier,
    /// A rectifier of what is above the maximum of a ReLU, which another population subtracts. Mostly silent.
    Excess,
    /// They fire once per millisecond where the sum so far is above 0: a step from 0 to 1.
    Step,
    /// They fire at its rate, spikes of its sign: a linear activation.
    Signed,
    /// Their count at the end of a presentation is the level that the sum becomes.
    Quantized(Levels),
    /// They fire at its rate where it is above 0, and no more than the count that a maximum is in a presentation: a
    /// ReLU with a maximum.
    Clamped {
        /// The maximum.
        max: f32,
        /// Bias events of the presentation.
        steps: u32,
    },
    /// They never fire: their potential is the sum. Only at the output.
    Accumulator,
    /// They never fire by themselves; the one with the largest potential does on each event of a clock. Only at the
    /// output.
    Softmax,
}

impl Role {
    /// Whether rates may be below 0.
    pub fn has_sign(self) -> bool {
        match self {
            Self::Rectifier | Self::Excess | Self::Step | Self::Clamped { .. } => false,
            Self::Quantized(levels) => levels.lowest < 0,
            Self::Signed | Self::Accumulator | Self::Softmax => true,
        }
    }

    /// The function of real numbers that its rates are, at the output without what only softmax would add.
    pub fn activation(self) -> Activation {
        match self {
            Self::Rectifier | Self::Excess => Activation::RELU,
            Self::Step => Activation::BinaryStep,
            Self::Quantized(levels) => Activation::Quantized(levels),
            Self::Clamped { max, .. } => Activation::Relu { negative_slope: 0.0, max: Some(max) },
            Self::Signed | Self::Accumulator | Self::Softmax => Activation::Linear,
        }
    }
}

/// How a relay passes the spikes of its source on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum Route {
    /// Each map by itself: a cell at `y` goes to `y * expand + offset` and the `expand - 1` cells behind it; what is
    /// outside is cut off. Pairs are `(vertical, horizontal)`.
    Shift {
        /// 1 or more.
        expand: (usize, usize),
        /// Rows and columns.
        offset: (i64, i64),
    },
    /// Cell `k` of the maps, map after map, takes number `numbers[k]` of a vector.
    Gather {
        /// One a cell.
        numbers: Vec<usize>,
    },
}

impl Route {
    /// This function in real numbers, one operation behind the other.
    fn operations(&self, from: Shape, to: Shape) -> Vec<Operation> {
        match self {
            Self::Gather { numbers } => vec![Operation::Gather { numbers: numbers.clone() }],
            Self::Shift { expand, offset } => {
                let size = |shape| match shape {
                    Shape::Maps { height, width, .. } => (height as i64, width as i64),
                    Shape::Features(n) => (1, n as i64),
                };
                let ((height, width), (to_height, to_width)) = (size(from), size(to));
                let after = |n: i64, expand: usize, offset: i64, to: i64| to - n * expand as i64 - offset;
                let (bottom, right) =
                    (after(height, expand.0, offset.0, to_height), after(width, expand.1, offset.1, to_width));
                let grow = |n: i64| n.max(0) as usize;
                let sides = |sign: i64| Padding {
                    top: grow(sign * offset.0),
                    bottom: grow(sign * bottom),
                    left: grow(sign * offset.1),
                    right: grow(sign * right),
                };
                vec![Operation::Upsample { factors: *expand }, Operation::ZeroPad(sides(1)), Operation::Crop(sides(-1))]
            }
        }
    }
}

/// What a parsed layer does.
#[derive(Debug, Clone, PartialEq)]
pub enum LayerKind {
    /// Integrate-and-fire neurons: the sum of all connections plus a bias, and what their role makes of it.
    Population {
        /// At least one.
        connections: Vec<Connection>,
        /// One number per map, or one per neuron (map after map, `y`, `x`): what is shifted before a padding differs
        /// at the border.
        bias: Option<Array1<f32>>,
        /// What they do with the sum.
        role: Role,
    },
    /// One neuron a cell that passes each spike on: a change of place.
    Relay {
        /// Maps, or a vector.
        source: Source,
        /// What goes where.
        route: Route,
    },
    /// The mean of each window.
    AveragePool {
        /// The maps.
        source: Source,
        /// Positions of the windows.
        windows: Windows,
        /// Whether cells outside the map count in the divisor.
        count_padding: bool,
    },
    /// The largest of each window.
    MaxPool {
        /// The maps.
        source: Source,
        /// Positions of the windows.
        windows: Windows,
    },
    /// Maps to a vector.
    Flatten {
        /// The maps.
        source: Source,
    },
}

/// One layer of a [`ParsedModel`].
#[derive(Debug, Clone, PartialEq)]
pub struct ParsedLayer {
    /// The source's name of the layer that gave it its weights.
    pub source_name: String,
    /// SNN toolbox's word for its kind.
    pub kind: String,
    /// What it does.
    pub operation: LayerKind,
    /// What it puts out.
    pub shape: Shape,
}

impl ParsedLayer {
    /// What it reads.
    pub fn sources(&self) -> Vec<Source> {
        match &self.operation {
            LayerKind::Population { connections, .. } => {
                connections.iter().map(|connection| connection.source).collect()
            }
            LayerKind::AveragePool { source, .. }
            | LayerKind::MaxPool { source, .. }
            | LayerKind::Relay { source, .. }
            | LayerKind::Flatten { source } => {
                vec![*source]
            }
        }
    }
}

/// A network of layers that become modules, in netlist order; the last one is the output.
#[derive(Debug, Clone, PartialEq)]
pub struct ParsedModel {
    /// The source's name of the input layer.
    pub input_name: String,
    /// Shape in which the input is addressed: one source per map. It holds the numbers of a sample in the order of the
    /// analog network's input.
    pub input: Shape,
    /// `input_order[k]` is the number of a sample that is at address `k` of the input (map after map, `y`, `x`);
    /// none where they are in order.
    pub input_order: Option<Vec<usize>>,
    /// What the numbers of a sample are divided by before they are shown: one spike per millisecond of an input
    /// stands for it.
    pub input_scale: f64,
    /// What is done before that to each feature, or to each channel of the maps of a sample.
    pub input_features: Option<FeatureScales>,
    /// The layers.
    pub layers: Vec<ParsedLayer>,
    /// Digits of a layer's number in the names of nodes: as many as the count of layers of the source has.
    pub digits: usize,
}

impl ParsedModel {
    /// Shape of what a layer reads.
    pub fn shape(&self, source: Source) -> Shape {
        match source {
            Source::Input => self.input,
            Source::Layer(layer) => self.layers[layer].shape,
        }
    }

    /// The levels of a layer's neurons, where they have some.
    pub fn levels(&self, layer: usize) -> Option<Levels> {
        match self.layers[layer].operation {
            LayerKind::Population { role: Role::Quantized(levels), .. } => Some(levels),
            _ => None,
        }
    }

    /// The maximum of a layer's activations, where counts are cut off there.
    pub(super) fn maximum(&self, layer: usize) -> Option<f64> {
        match self.layers[layer].operation {
            LayerKind::Population { role: Role::Clamped { max, .. }, .. } => Some(max.into()),
            _ => None,
        }
    }

    /// Whether any neurons have levels.
    pub fn has_levels(&self) -> bool {
        (0..self.layers.len()).any(|layer| self.levels(layer).is_some())
    }

    /// Whether counts of any neurons have levels or a maximum, which depend on the length of the presentation.
    pub(super) fn has_counts(&self) -> bool {
        self.has_levels() || (0..self.layers.len()).any(|layer| self.maximum(layer).is_some())
    }

    /// Whether there are averages, and the windows of each have one size and no cells in common.
    pub(super) fn averages_can_pass_spikes(&self) -> bool {
        let mut averages = self.layers.iter().filter_map(|layer| match &layer.operation {
            LayerKind::AveragePool { windows, count_padding, .. } => Some((windows, *count_padding, layer.shape)),
            _ => None,
        });
        averages.all(|(windows, count_padding, shape)| {
            let Shape::Maps { height, width, .. } = shape else { return false };
            let apart = |outputs: usize, size: usize, stride: usize| outputs == 1 || size == stride;
            apart(height, windows.size.0, windows.strides.0)
                && apart(width, windows.size.1, windows.strides.1)
                && (count_padding || windows.padding == Padding::default())
        })
    }

    /// Whether the spikes of a source may be negative.
    pub(super) fn has_sign(&self, source: Source) -> bool {
        let Source::Layer(layer) = source else { return false };
        match &self.layers[layer].operation {
            LayerKind::Population { role, .. } => role.has_sign(),
            LayerKind::Relay { source, .. }
            | LayerKind::AveragePool { source, .. }
            | LayerKind::MaxPool { source, .. }
            | LayerKind::Flatten { source } => self.has_sign(*source),
        }
    }

    /// Changes the weights to fit samples that are divided by a scale: what reads the input is multiplied by it.
    pub(super) fn with_input_scale(mut self, scale: f64) -> Self {
        if scale == 1.0 {
            return self;
        }
        self.scale_sources(scale, |_| 1.0);
        self.input_scale *= scale;
        self
    }

    /// A network of averages with the weights of one whose pooling adds up spikes ([`Pooled::Sum`]), for passes of
    /// real numbers.
    ///
    /// [`Pooled::Sum`]: super::normalize::Pooled::Sum
    pub(super) fn averaging(mut self) -> Self {
        self.scale_sources(1.0, |windows| (windows.size.0 * windows.size.1) as f64);
        self
    }

    /// Multiplies weights by a factor of what they read: that of the input, times those of the averages in between.
    fn scale_sources(&mut self, input: f64, average: impl Fn(&Windows) -> f64) {
        let mut factors: Vec<f64> = Vec::with_capacity(self.layers.len());
        for layer in &mut self.layers {
            let factor = |source: Source| match source {
                Source::Input => input,
                Source::Layer(layer) => factors[layer],
            };
            let passed = match &mut layer.operation {
                LayerKind::Population { connections, .. } => {
                    connections.iter_mut().for_each(|connection| connection.weights.scale(factor(connection.source)));
                    1.0
                }
                LayerKind::AveragePool { source, windows, .. } => factor(*source) * average(windows),
                LayerKind::Relay { source, .. } | LayerKind::MaxPool { source, .. } | LayerKind::Flatten { source } => {
                    factor(*source)
                }
            };
            factors.push(passed);
        }
    }

    /// Samples with their numbers in the order of the addresses.
    pub fn addressed<'a>(&self, samples: ArrayView2<'a, f32>) -> CowArray<'a, f32, Ix2> {
        let rates: CowArray<'a, f32, Ix2> = match &self.input_features {
            None => samples.into(),
            Some(features) => {
                let numbers = samples.ncols();
                let rate = |(sample, number): (usize, usize)| features.rate(number, numbers, samples[[sample, number]]);
                Array2::from_shape_fn(samples.dim(), rate).into()
            }
        };
        let ordered = match &self.input_order {
            None => rates,
            Some(order) => rates.select(Axis(1), order).into(),
        };
        if self.input_scale == 1.0 {
            return ordered;
        }
        let scale = self.input_scale as f32;
        let mut scaled = ordered.into_owned();
        scaled.mapv_inplace(|value| value / scale);
        scaled.into()
    }

    /// The name SNN toolbox gives a layer: number, kind, shape (`00Conv2D_8x26x26`).
    pub fn name(&self, layer: usize) -> String {
        let digits = self.digits;
        let ParsedLayer { kind, shape, .. } = &self.layers[layer];
        match shape {
            Shape::Features(n) => format!("{layer:0digits$}{kind}_{n}"),
            Shape::Maps { channels, height, width } => format!("{layer:0digits$}{kind}_{channels}x{height}x{width}"),
        }
    }

    /// This network as an analog graph, rectifiers included, whose input is in the order of the addresses; and
    /// which layer of the graph each parsed layer is.
    ///
    /// # Errors
    /// If it is no valid graph: where batch normalisation made weights that are no finite numbers.
    pub fn graph(&self) -> Result<(Graph, Vec<LayerId>), GraphError> {
        let mut builder = GraphBuilder::new("InputLayer", self.input);
        let mut ids = Vec::with_capacity(self.layers.len());
        for (number, layer) in self.layers.iter().enumerate() {
            let name = self.name(number);
            let id = |source: Source, ids: &[LayerId]| match source {
                Source::Input => 0,
                Source::Layer(layer) => ids[layer],
            };
            let operation = match &layer.operation {
                LayerKind::Population { connections, bias, role } => {
                    let mut parts = Vec::new();
                    let by_position = bias.clone().filter(|bias| bias.len() != layer.shape.channels());
                    let bias = bias.clone().filter(|_| by_position.is_none());
                    for (k, Connection { source, weights }) in connections.iter().enumerate() {
                        let bias = bias.clone().filter(|_| k == 0);
                        let operation = match weights.clone() {
                            Weights::Dense(weights) => Operation::Dense { weights, bias },
                            Weights::Convolution { kernels, strides, padding, dilation, groups } => {
                                Operation::Convolution { weights: kernels, bias, strides, padding, dilation, groups }
                            }
                            Weights::Transposed { kernels, strides, padding, groups } => {
                                Operation::TransposedConvolution { weights: kernels, bias, strides, padding, groups }
                            }
                        };
                        let (name, inputs) = (format!("{name} {k}"), [id(*source, &ids)]);
                        parts.push(builder.add_shaped(name, &layer.kind, operation, &inputs, layer.shape)?);
                    }
                    if parts.len() > 1 {
                        parts = vec![builder.add(format!("{name} sum"), "Add", Operation::Add, &parts)?];
                    }
                    if let Some(bias) = by_position {
                        parts = vec![builder.add(format!("{name} bias"), "Bias", Operation::Bias { bias }, &parts)?];
                    }
                    ids.push(builder.add(name, "Activation", Operation::Activation(role.activation()), &parts)?);
                    continue;
                }
                LayerKind::Relay { source, route } => {
                    let from = self.shape(*source);
                    let mut last = id(*source, &ids);
                    let operations = route.operations(from, layer.shape);
                    let count = operations.len();
                    for (k, operation) in operations.into_iter().enumerate() {
                        let name = if k + 1 == count { name.clone() } else { format!("{name} {k}") };
                        let shape =
                            if matches!(operation, Operation::Gather { .. }) { Some(layer.shape) } else { None };
                        last = match shape {
                            Some(shape) => builder.add_shaped(name, &layer.kind, operation, &[last], shape)?,
                            None => builder.add(name, &layer.kind, operation, &[last])?,
                        };
                    }
                    ids.push(last);
                    continue;
                }
                // Zeros around a map may hold whole windows, which padding of a pooling may not; rates are not below
                // them.
                LayerKind::AveragePool { source, windows, count_padding: true }
                | LayerKind::MaxPool { source, windows } => {
                    let pooling = match layer.operation {
                        LayerKind::MaxPool { .. } => Pooling::Max,
                        _ => Pooling::Average { count_padding: true },
                    };
                    let zeros = Operation::ZeroPad(windows.padding);
                    let padded = builder.add(format!("{name} zeros"), "ZeroPadding2D", zeros, &[id(*source, &ids)])?;
                    let pool = windows.operation(pooling, Padding::default());
                    ids.push(builder.add(name, &layer.kind, pool, &[padded])?);
                    continue;
                }
                LayerKind::AveragePool { windows, count_padding: false, .. } => {
                    windows.operation(Pooling::Average { count_padding: false }, windows.padding)
                }
                LayerKind::Flatten { .. } => Operation::Flatten { order: AxisOrder::ChannelsFirst },
            };
            let inputs: Vec<_> = layer.sources().iter().map(|&source| id(source, &ids)).collect();
            ids.push(builder.add(name, &layer.kind, operation, &inputs)?);
        }
        Ok((builder.finish()?, ids))
    }
}
