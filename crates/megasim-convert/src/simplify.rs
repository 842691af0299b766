//! From the analog graph to the parsed network: what only serves training goes, everything else moves into weights.
//!
//! - Batch normalisation is an affine map per channel. After a layer with weights that has no activation yet it goes
//!   into them (`W <- W * scale`, `b <- (b - mean) * scale + shift`); otherwise it waits for the next layer with
//!   weights.
//! - Zero padding goes into the padding of the next convolution or pooling, or becomes a relay.
//! - A rectifier ends a population. Maximum pooling and flattening commute with it, so it may come after them. Where
//!   none comes, the neurons fire spikes of both signs; before a mean two populations do, one for each sign.
//! - A sum is one population with a connection for each of its parts; a concatenation is pieces that what reads it
//!   reads one by one, so that each keeps its own scale, also behind a flattening.
//! - Flattening is always map after map; where the source flattens otherwise, the rows of the next weights are
//!   permuted.
//! - A ReLU with a maximum is two populations, and so is a leaky one.
//! - The softmax of the output becomes a rectifier: the class with the largest potential is the same.
//!
//! What cannot be a rate (a sigmoid, the maximum of values below 0) or has no module is refused by name.

mod activation;
mod channels;
mod join;
mod places;
mod value;
mod weights;

use super::parsed::{LayerKind, ParsedLayer, ParsedModel, Role, Source, Windows};
use megasim_ann::graph::{AxisOrder, Graph, Layer, LayerId, Operation, Padding, Pooling, Shape};
use serde::{Deserialize, Serialize};
use value::{BatchNormalization, Content, Linear, Places, Spikes, Value};

/// A layer that has no spiking form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("layer '{layer}' ({kind}): {reason}{}", lines(more))]
pub struct Unsupported {
    /// The source's name of the layer.
    pub layer: String,
    /// The source's word for its kind.
    pub kind: String,
    /// Why not, and what to do instead.
    pub reason: String,
    /// The other layers that have none, in order.
    pub more: Vec<Unsupported>,
}

fn lines(more: &[Unsupported]) -> String {
    more.iter().map(|other| format!("\n{other}")).collect()
}

fn unsupported(layer: &Layer, reason: impl Into<String>) -> Unsupported {
    Unsupported { layer: layer.name.clone(), kind: layer.kind.clone(), reason: reason.into(), more: Vec::new() }
}

/// Widest vector that may pass without its own weights (they are a diagonal matrix then).
const MAX_DIAGONAL: usize = 4096;

/// What the neurons of the output do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum OutputForm {
    /// They fire at the rate of a positive output; negative outputs are silent.
    #[default]
    Relu,
    /// They fire negative spikes for negative outputs.
    Signed,
    /// They never fire; the decision is read from their potentials.
    Potential,
    /// The one with the largest potential fires at each event of a clock.
    Softmax,
    /// They fire for a positive output, and the first one to fire is the decision.
    FirstSpike,
}

impl OutputForm {
    /// Whether the answer is in spikes; else it is in membrane potentials.
    pub fn spikes(self) -> bool {
        self != Self::Potential
    }

    /// Whether neurons fire at the rate of a positive output, as where nothing else is asked for.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    fn role(self) -> Role {
        match self {
            Self::Relu | Self::FirstSpike => Role::Rectifier,
            Self::Signed => Role::Signed,
            Self::Potential => Role::Accumulator,
            Self::Softmax => Role::Softmax,
        }
    }
}

/// This network with averages in place of maxima.
///
/// # Panics
/// Never: shapes do not depend on what a window is reduced to.
pub fn max_to_average(graph: &Graph) -> Graph {
    let mut layers = graph.clone().into_layers();
    for layer in &mut layers {
        if let Operation::Pool { pooling, .. } | Operation::GlobalPool { pooling } = &mut layer.operation
            && *pooling == Pooling::Max
        {
            *pooling = Pooling::Average { count_padding: false };
            layer.kind = layer.kind.replace("Max", "Average");
        }
    }
    Graph::new(layers).unwrap_or_else(|_| graph.clone())
}

/// Parses a graph whose output fires at its rates.
///
/// ```
/// use megasim_ann::graph::{Activation, GraphBuilder, Operation, Shape};
/// use megasim_convert::simplify::simplify;
/// use ndarray::array;
///
/// let mut builder = GraphBuilder::new("input", Shape::Features(2));
/// let dense = Operation::Dense { weights: array![[1.0], [-1.0]], bias: None };
/// let dense = builder.add("dense", "Dense", dense, &[0])?;
/// builder.add("relu", "Activation", Operation::Activation(Activation::RELU), &[dense])?;
/// let parsed = simplify(&builder.finish()?)?;
/// assert_eq!(parsed.layers.len(), 1);
/// assert_eq!(parsed.name(0), "0Dense_1");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// The first layer that has no spiking form.
pub fn simplify(graph: &Graph) -> Result<ParsedModel, Unsupported> {
    simplify_for(graph, OutputForm::Relu)
}

/// Parses a graph with an output of this form.
///
/// # Errors
/// The first layer that has no spiking form.
pub fn simplify_for(graph: &Graph, form: OutputForm) -> Result<ParsedModel, Unsupported> {
    simplify_with(graph, form, Quantized::AsRates, false)
}

/// What becomes of quantised activations and of ReLUs with a maximum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quantized {
    /// Neurons whose counts are levels ([`Role::Quantized`]) or are cut off ([`Role::Clamped`]) in presentations of as
    /// many bias events.
    AsCounts {
        /// Bias events.
        steps: u32,
    },
    /// ReLUs with a maximum, each of two populations: rates have their own grid, so only the ceiling is kept.
    AsRates,
}

/// Parses a graph with an output of this form, with or without the levels of its activations; of `signed` neurons
/// maxima of values below 0 are taken, too.
///
/// # Errors
/// The first layer that has no spiking form.
pub fn simplify_with(
    graph: &Graph,
    form: OutputForm,
    quantized: Quantized,
    signed: bool,
) -> Result<ParsedModel, Unsupported> {
    let input = &graph.layers()[0];
    let parsed = ParsedModel {
        input_name: input.name.clone(),
        input: input.shape,
        input_order: None,
        input_scale: 1.0,
        input_features: None,
        layers: Vec::new(),
        digits: digits(graph),
    };
    let mut walk = Simplifier { graph, readers: graph.readers(), parsed, quantized, signed };
    // A value is kept until its last reader has it.
    let mut values: Vec<Option<Value>> = Vec::with_capacity(graph.layers().len());
    let mut obstacles: Vec<Unsupported> = Vec::new();
    let mut to_come: Vec<usize> = walk.readers.iter().map(Vec::len).collect();
    for (id, layer) in graph.layers().iter().enumerate() {
        let mut inputs = Vec::with_capacity(layer.inputs.len());
        for &input in &layer.inputs {
            to_come[input] -= 1;
            inputs.extend(if to_come[input] == 0 { values[input].take() } else { values[input].clone() });
        }
        let value = walk.layer(id, layer, inputs).unwrap_or_else(|obstacle| {
            if !obstacles.contains(&obstacle) {
                obstacles.push(obstacle);
            }
            walk.stand_in(layer)
        });
        values.push(Some(value));
    }
    if !obstacles.is_empty() {
        let mut first = obstacles.remove(0);
        first.more = obstacles;
        return Err(first);
    }
    if let (Some(layer), Some(Some(value))) = (graph.layers().last(), values.pop()) {
        walk.output(layer, value, form)?;
    }
    Ok(walk.parsed)
}

struct Simplifier<'g> {
    graph: &'g Graph,
    readers: Vec<Vec<LayerId>>,
    parsed: ParsedModel,
    quantized: Quantized,
    /// Whether counts of spikes may be below 0 everywhere.
    signed: bool,
}

impl Simplifier<'_> {
    /// Rates in place of a layer that has none, so that the obstacles behind it are found, too.
    fn stand_in(&mut self, layer: &Layer) -> Value {
        let operation = LayerKind::Population { connections: Vec::new(), bias: None, role: Role::Rectifier };
        let source = self.push(&layer.name, &layer.kind, operation, layer.shape);
        Value::new(layer.shape, Content::Sum(vec![Spikes::new(source)]))
    }

    fn layer(&mut self, id: LayerId, layer: &Layer, mut inputs: Vec<Value>) -> Result<Value, Unsupported> {
        match &layer.operation {
            Operation::Input => return Ok(Value::new(layer.shape, Content::Sum(vec![Spikes::new(Source::Input)]))),
            Operation::Add => return self.add(layer, inputs),
            Operation::Concatenate => return self.concatenate(layer, inputs),
            Operation::Multiply | Operation::Maximum | Operation::Minimum => {
                return Err(unsupported(
                    layer,
                    "this merge of branches has no spiking form; sums (Add, Average, Subtract) and Concatenate have \
                        one",
                ));
            }
            _ => {}
        }
        let Some(value) = inputs.pop() else { return Err(unsupported(layer, "expected an input, found none")) };
        match &layer.operation {
            Operation::Dense { weights, bias } => {
                let value = self.rates(id, value, layer)?;
                Ok(Value::linear(weights::dense(layer, &value, weights, bias.as_ref())?))
            }
            Operation::Convolution { .. } => {
                let value = self.rates(id, value, layer)?;
                let value = self.as_maps(layer, value)?;
                weights::convolution(layer, &value)
            }
            Operation::TransposedConvolution { .. } => {
                let value = self.rates(id, value, layer)?;
                let value = self.as_maps(layer, value)?;
                let value = self.without_zeros(layer, value)?;
                weights::transposed(layer, &value)
            }
            Operation::BatchNormalization { gamma, beta, mean, variance, epsilon } => {
                let scale = gamma / variance.mapv(|variance| (variance + epsilon).sqrt());
                let batch = BatchNormalization { mean: mean.to_vec(), scale: scale.to_vec(), shift: beta.to_vec() };
                Ok(self.normalise_batch(id, value, &batch))
            }
            Operation::Activation(activation) => self.activation(id, layer, *activation, value),
            Operation::ParametricRelu { slopes } => self.parametric(layer, value, slopes),
            Operation::Bias { bias } => self.add_bias(layer, value, bias),
            Operation::Channels { channels } => self.channels(layer, value, channels),
            Operation::ZeroPad(padding) => self.zero_pad(layer, value, *padding),
            Operation::Crop(cut) => self.shift(layer, &layer.kind, value, (1, 1), *cut, layer.shape),
            Operation::Upsample { factors } => {
                self.shift(layer, &layer.kind, value, *factors, Padding::default(), layer.shape)
            }
            Operation::Flatten { order } | Operation::Reshape { order } => {
                self.reshape(Some(id), layer, value, *order, layer.shape)
            }
            Operation::Permute { axes } => self.permute(id, layer, value, *axes),
            Operation::Pool { pooling, size, strides, padding } => {
                let windows = Windows { size: *size, strides: *strides, padding: *padding };
                self.pool(layer, value, *pooling, windows)
            }
            Operation::GlobalPool { pooling } => {
                let Shape::Maps { height, width, .. } = value.shape else {
                    return Err(unsupported(layer, "expected maps to pool"));
                };
                let size = (height, width);
                let windows = Windows { size, strides: size, padding: Padding::default() };
                let value = self.pool(layer, value, *pooling, windows)?;
                match layer.shape {
                    Shape::Features(_) => self.reshape(None, layer, value, AxisOrder::ChannelsFirst, layer.shape),
                    Shape::Maps { .. } => Ok(value),
                }
            }
            Operation::Gather { .. } => Err(unsupported(layer, "numbers in a new order cannot be converted")),
            Operation::Input
            | Operation::Add
            | Operation::Multiply
            | Operation::Maximum
            | Operation::Minimum
            | Operation::Concatenate
            | Operation::TrainingOnly { .. } => Ok(value),
        }
    }

    /// Refuses rates whose rectifier is still to come.
    fn expect_rectified(&self, value: &Value, reader: &Layer) -> Result<(), Unsupported> {
        for piece in &value.pieces {
            let Content::Sum(terms) = &piece.content else { continue };
            if let Some(spikes) = terms.iter().find(|spikes| spikes.unrectified.is_some())
                && let Some(k) = spikes.unrectified
            {
                let behind = match spikes.source {
                    Source::Layer(last) => k + 1..last + 1,
                    Source::Input => 0..0,
                };
                let is_maximum = |layer: &&ParsedLayer| matches!(layer.operation, LayerKind::MaxPool { .. });
                if let Some(pooling) = self.parsed.layers[behind].iter().find(is_maximum) {
                    let before = &self.parsed.layers[k].source_name;
                    let signed = if self.signed { "" } else { "--neuron signed converts it, " };
                    return Err(Unsupported {
                        layer: pooling.source_name.clone(),
                        kind: pooling.kind.clone(),
                        reason: format!(
                            "maximum pooling needs rates, which are not below 0, and no ReLU comes between \
                             '{before}' and '{}'; {signed}--max-to-average converts it as average pooling, or train \
                             with a ReLU behind '{before}'",
                            reader.name
                        ),
                        more: Vec::new(),
                    });
                }
                let ParsedLayer { source_name, kind, .. } = &self.parsed.layers[k];
                return Err(linear_activation(source_name, kind, reader));
            }
        }
        Ok(())
    }

    /// What comes before weights: rates. Where no rectifier came, they have a sign.
    fn rates(&mut self, id: LayerId, mut value: Value, reader: &Layer) -> Result<Value, Unsupported> {
        let exclusive = self.only_reader_since_weights(id);
        for piece in &mut value.pieces {
            match &mut piece.content {
                Content::Linear(linear) => {
                    let role = if linear.is_rectified(&self.parsed) { Role::Rectifier } else { Role::Signed };
                    piece.content = Content::Sum(vec![self.population(linear.clone(), role)]);
                }
                Content::Sum(terms) => {
                    // Spikes of both signs pass a flattening as they are, and maxima of counts that may be below 0.
                    let signed = self.signed;
                    if let [Spikes { source: Source::Layer(last), unrectified: unrectified @ Some(_), .. }] =
                        &mut terms[..]
                        && let Some(k) = *unrectified
                        && exclusive
                        && self.parsed.layers[k + 1..=*last].iter().all(|layer| match &layer.operation {
                            LayerKind::Flatten { .. } => true,
                            LayerKind::MaxPool { windows, .. } => signed && windows.padding == Padding::default(),
                            _ => false,
                        })
                        && let LayerKind::Population { role, .. } = &mut self.parsed.layers[k].operation
                    {
                        *role = Role::Signed;
                        *unrectified = None;
                    }
                }
            }
        }
        self.expect_rectified(&value, reader)?;
        Ok(value)
    }

    /// What comes before a mean: rates above 0, two of them for a value that may be below.
    fn rectified(&mut self, mut value: Value, reader: &Layer) -> Result<Value, Unsupported> {
        self.expect_rectified(&value, reader)?;
        for piece in &mut value.pieces {
            if let Content::Linear(linear) = &piece.content {
                let linear = linear.clone();
                piece.content = Content::Sum(if linear.is_rectified(&self.parsed) {
                    vec![self.population(linear, Role::Rectifier)]
                } else {
                    self.both_signs(linear, 1.0, None)
                });
            }
        }
        Ok(value)
    }

    /// Makes populations of what has none yet; the rectifier is expected to follow.
    fn spikes(&mut self, mut value: Value) -> Value {
        for piece in &mut value.pieces {
            if let Content::Linear(linear) = &piece.content {
                let mut spikes = self.population(linear.clone(), Role::Rectifier);
                spikes.unrectified = Some(self.parsed.layers.len() - 1).filter(|_| !linear.is_rectified(&self.parsed));
                piece.content = Content::Sum(vec![spikes]);
            }
        }
        value
    }

    fn push(&mut self, name: &str, kind: &str, operation: LayerKind, shape: Shape) -> Source {
        let (source_name, kind) = (name.into(), kind.into());
        self.parsed.layers.push(ParsedLayer { source_name, kind, operation, shape });
        Source::Layer(self.parsed.layers.len() - 1)
    }

    /// Into the weights before it, or kept for those behind.
    fn normalise_batch(&mut self, id: LayerId, mut value: Value, batch: &BatchNormalization) -> Value {
        let exclusive = self.only_reader_since_weights(id);
        let shape = value.shape;
        for piece in &mut value.pieces {
            let own = batch.map(|values| piece.places.pick(shape, values));
            match &mut piece.content {
                Content::Linear(linear) => {
                    let bias = linear.bias.take().map(|bias| bias.iter().map(|&b| b as f32).collect());
                    let bias = own.absorb(&mut linear.connections, bias);
                    linear.bias = Some(bias.into_iter().map(f64::from).collect());
                    linear.scale_border(&own.scale);
                }
                Content::Sum(terms) => {
                    if let [spikes] = &terms[..]
                        // Positive scales commute with the maximum poolings between the weights and here.
                        && own.scale.iter().all(|&scale| scale > 0.0)
                        && spikes.affine.is_none()
                        && !spikes.has_zeros
                        && exclusive
                        && matches!(piece.places, Places::Channels(_))
                        && let Some(k) = spikes.unrectified
                        && let shape = self.parsed.layers[k].shape
                        && let LayerKind::Population { connections, bias, .. } = &mut self.parsed.layers[k].operation
                        // A bias by position was made for these weights alone.
                        && bias.as_ref().is_none_or(|bias| bias.len() == shape.channels())
                    {
                        *bias = Some(own.absorb(connections, bias.take().map(|bias| bias.to_vec())).into());
                        continue;
                    }
                    let own = own.affine();
                    for (k, spikes) in terms.iter_mut().enumerate() {
                        let mut own = own.clone();
                        if k > 0 {
                            own.shift.fill(0.0);
                        }
                        spikes.affine = Some(own.after(spikes.affine.take()));
                    }
                }
            }
        }
        value
    }

    /// Whether nothing else reads what is between a layer and the weights before it.
    pub(super) fn only_reader_since_weights(&self, id: LayerId) -> bool {
        let mut at = id;
        loop {
            let layer = &self.graph.layers()[at];
            let &[input] = &layer.inputs[..] else { return false };
            if self.readers[input].len() != 1 {
                return false;
            }
            at = input;
            if matches!(
                self.graph.layers()[at].operation,
                Operation::Dense { .. }
                    | Operation::Convolution { .. }
                    | Operation::TransposedConvolution { .. }
                    | Operation::Add
            ) {
                return true;
            }
        }
    }

    /// Makes the last value the last layer: one vector, its numbers in order.
    fn output(&mut self, layer: &Layer, value: Value, form: OutputForm) -> Result<(), Unsupported> {
        let before = self.parsed.layers.len();
        let is_input = |spikes: &Spikes| spikes.source == Source::Input && spikes.affine.is_none();
        let untouched = |content: &Content| matches!(content, Content::Sum(terms) if terms.iter().all(is_input));
        if before == 0 && value.pieces.iter().all(|piece| untouched(&piece.content)) {
            return Err(unsupported(layer, "expected at least one layer that computes something"));
        }
        let value = self.one_vector(layer, value)?;
        let [piece] = &value.pieces[..] else {
            let linear = self.whole(layer, &value)?;
            self.population(linear, form.role());
            return Ok(());
        };
        if form.role() != Role::Rectifier {
            self.expect_rectified(&value, layer)?;
        }
        let n = value.shape.len();
        let ordered = piece.places.list().iter().copied().eq(0..n);
        match &piece.content {
            Content::Linear(linear) if ordered => {
                let linear: Linear = linear.clone();
                self.population(linear, form.role());
            }
            Content::Sum(terms)
                if ordered
                    && form.role() == Role::Rectifier
                    && matches!(
                        &terms[..],
                        [Spikes { source: Source::Layer(k), affine: None, .. }] if k + 1 == self.parsed.layers.len()
                    ) => {}
            _ => {
                let linear = self.whole(layer, &value)?;
                self.population(linear, form.role());
            }
        }
        Ok(())
    }
}

fn linear_activation(layer: &str, kind: &str, reader: &Layer) -> Unsupported {
    let reason = format!(
        "expected a rectifier (ReLU) before '{}', found a linear activation, whose negative values no rate can stand \
            for",
        reader.name
    );
    Unsupported { layer: layer.into(), kind: kind.into(), reason, more: Vec::new() }
}

/// Digits of a layer's number in the names of nodes: as many as the count of layers of the source has.
pub(super) fn digits(graph: &Graph) -> usize {
    source_layers(graph).to_string().len()
}

/// Layers of the source: an activation that a layer brought along is not counted.
fn source_layers(graph: &Graph) -> usize {
    let is_own = |layer: &Layer| {
        let before = layer.inputs.first().map_or("", |&input| &graph.layers()[input].name);
        layer.kind != "Activation" || layer.name != format!("{before}_activation")
    };
    graph.layers().iter().filter(|layer| is_own(layer)).count()
}
