//! From the analog graph to the parsed network: what only serves training goes, everything else moves into weights.
//!
//! - Batch normalisation is an affine map per channel. After a layer with weights that has no activation yet it goes into them
//!   (`W <- W * scale`, `b <- b * scale + shift`); otherwise it waits for the next layer with weights.
//! - Zero padding goes into the padding of the next convolution or pooling.
//! - A rectifier ends a population. Maximum pooling and flattening commute with it, so it may come after them.
//! - Flattening is always map after map; where the source flattens otherwise, the rows of the next weights are permuted.
//! - The softmax of the output becomes a rectifier: the class with the largest potential is the same.
//!
//! What cannot be a rate (a hidden layer without a rectifier) or has no module yet is refused by name.

mod value;

use super::parsed::{Connection, LayerKind, Parsed, ParsedLayer, Source, Weights, Windows};
use crate::ann::graph::{Activation, AxisOrder, Graph, Layer, LayerId, Operation, Padding, Pooling, Shape};
use ndarray::{Array2, Array4, Axis};
use value::{Affine, Linear, Spikes, Value, channels, dense, reading_order, sum};

/// A layer that has no spiking form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("layer '{layer}' ({kind}): {reason}")]
pub struct Unsupported {
    /// The source's name of the layer.
    pub layer: String,
    /// The source's word for its kind.
    pub kind: String,
    /// Why not, and what to do instead.
    pub reason: String,
}

fn unsupported(layer: &Layer, reason: impl Into<String>) -> Unsupported {
    Unsupported { layer: layer.name.clone(), kind: layer.kind.clone(), reason: reason.into() }
}

/// Widest vector that a batch normalisation of its own may have (its weights are a diagonal matrix).
const MAX_DIAGONAL: usize = 4096;

/// Parses a graph.
///
/// ```
/// use megasim::ann::graph::{Activation, GraphBuilder, Operation, Shape};
/// use megasim::convert::simplify::simplify;
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
pub fn simplify(graph: &Graph) -> Result<Parsed, Unsupported> {
    let input = &graph.layers()[0];
    let parsed = Parsed {
        input_name: input.name.clone(),
        input: input.shape,
        input_order: None,
        layers: Vec::new(),
        digits: source_layers(graph).to_string().len(),
    };
    let mut walk = Walk { graph, readers: graph.readers(), parsed, softmax: None };
    let mut values: Vec<Value> = Vec::with_capacity(graph.layers().len());
    for (id, layer) in graph.layers().iter().enumerate() {
        let value = walk.layer(id, layer, &values)?;
        values.push(value);
    }
    let last = graph.layers().len() - 1;
    let output = &graph.layers()[last];
    let spikes = match values.swap_remove(last) {
        Value::Linear(linear) => walk.population(linear),
        Value::Spikes(spikes) if spikes.affine.is_some() => {
            let linear = walk.identity(output, spikes)?;
            walk.population(linear)
        }
        Value::Spikes(spikes) => spikes,
    };
    if spikes.source == Source::Input {
        return Err(unsupported(output, "expected at least one layer that computes something"));
    }
    if !matches!(walk.parsed.shape(spikes.source), Shape::Features(_)) || spikes.padding != Padding::default() {
        return Err(unsupported(output, "expected a vector as output, one number a class, found maps"));
    }
    if spikes.address.is_some() {
        return Err(unsupported(output, "an output that reorders what it reads is not supported yet"));
    }
    Ok(walk.parsed)
}

struct Walk<'g> {
    graph: &'g Graph,
    readers: Vec<Vec<LayerId>>,
    parsed: Parsed,
    /// The softmax, once it was met: only the output may have one.
    softmax: Option<Unsupported>,
}

impl Walk<'_> {
    fn layer(&mut self, id: LayerId, layer: &Layer, values: &[Value]) -> Result<Value, Unsupported> {
        if let Operation::Input = layer.operation {
            return Ok(Value::Spikes(Spikes {
                source: Source::Input,
                unrectified: None,
                shape: layer.shape,
                address: None,
                padding: Padding::default(),
                affine: None,
                has_zeros: false,
            }));
        }
        let &[input] = &layer.inputs[..] else {
            return Err(unsupported(layer, "layers that join several inputs cannot be converted yet"));
        };
        let value = values[input].clone();
        if let Operation::TrainingOnly { .. } = layer.operation {
            return Ok(value);
        }
        if let Some(softmax) = self.softmax.take() {
            return Err(softmax);
        }
        match &layer.operation {
            Operation::Dense { weights, bias } => {
                let spikes = self.rectified(value, layer)?;
                Ok(Value::Linear(dense(layer, spikes, weights, bias.as_ref())))
            }
            Operation::Convolution { .. } => {
                let spikes = self.rectified(value, layer)?;
                Ok(Value::Linear(self.convolution(layer, spikes)?))
            }
            Operation::BatchNormalization { gamma, beta, mean, variance, epsilon } => {
                let scale: Vec<f64> = gamma
                    .iter()
                    .zip(variance)
                    .map(|(&g, &v)| f64::from(g) / (f64::from(v) + f64::from(*epsilon)).sqrt())
                    .collect();
                let shift =
                    beta.iter().zip(mean).zip(&scale).map(|((&b, &m), &s)| f64::from(b) - f64::from(m) * s).collect();
                Ok(self.normalise_batch(id, value, Affine { scale, shift }))
            }
            Operation::Activation(activation) => self.activation(layer, *activation, value),
            Operation::ZeroPad(padding) => {
                let mut spikes = self.spikes(value);
                if spikes.affine.as_ref().is_some_and(Affine::shifts) {
                    return Err(unsupported(
                        layer,
                        "zeros around a shifted batch normalisation cannot be spikes that stay away",
                    ));
                }
                spikes.has_zeros |= *padding != Padding::default();
                spikes.padding = sum(spikes.padding, *padding);
                spikes.shape = layer.shape;
                Ok(Value::Spikes(spikes))
            }
            Operation::Flatten { order } | Operation::Reshape { order } => {
                let spikes = self.spikes(value);
                Ok(Value::Spikes(self.reshape(id, layer, spikes, *order)?))
            }
            Operation::Pool { pooling, size, strides, padding } => {
                let windows = Windows { size: *size, strides: *strides, padding: *padding };
                Ok(Value::Spikes(self.pool(layer, value, *pooling, windows)?))
            }
            Operation::GlobalPool { pooling } => {
                let Shape::Maps { height, width, .. } = self.graph.layers()[input].shape else {
                    return Err(unsupported(layer, "expected maps to pool"));
                };
                let size = (height, width);
                let windows = Windows { size, strides: size, padding: Padding::default() };
                let mut spikes = self.pool(layer, value, *pooling, windows)?;
                if let Shape::Features(_) = layer.shape {
                    self.flatten(layer, &mut spikes);
                    spikes.shape = layer.shape;
                }
                Ok(Value::Spikes(spikes))
            }
            Operation::TransposedConvolution { .. }
            | Operation::Crop(_)
            | Operation::Upsample { .. }
            | Operation::Permute { .. }
            | Operation::Add
            | Operation::Concatenate => Err(unsupported(layer, "layers of this kind cannot be converted yet")),
            Operation::Input | Operation::TrainingOnly { .. } => Ok(value),
        }
    }

    /// What stands before weights or a mean: rates, so everything must be rectified by now.
    fn rectified(&mut self, value: Value, reader: &Layer) -> Result<Spikes, Unsupported> {
        let linear = |layer: String, kind: String| Unsupported {
            layer,
            kind,
            reason: format!(
                "expected a rectifier (ReLU) before '{}', found a linear activation, whose negative values no rate can stand for",
                reader.name
            ),
        };
        match value {
            Value::Linear(Linear { name, kind, .. }) => Err(linear(name, kind)),
            Value::Spikes(Spikes { unrectified: Some(k), .. }) => {
                let ParsedLayer { source_name, kind, .. } = &self.parsed.layers[k];
                Err(linear(source_name.clone(), kind.clone()))
            }
            Value::Spikes(spikes) => Ok(spikes),
        }
    }

    /// Makes a population of what has none yet; the rectifier is expected to follow.
    fn spikes(&mut self, value: Value) -> Spikes {
        match value {
            Value::Spikes(spikes) => spikes,
            Value::Linear(linear) => {
                let mut spikes = self.population(linear);
                spikes.unrectified = Some(self.parsed.layers.len() - 1);
                spikes
            }
        }
    }

    fn push(&mut self, name: &str, kind: &str, operation: LayerKind, shape: Shape) -> Source {
        let (source_name, kind) = (name.into(), kind.into());
        self.parsed.layers.push(ParsedLayer { source_name, kind, operation, shape });
        Source::Layer(self.parsed.layers.len() - 1)
    }

    fn population(&mut self, linear: Linear) -> Spikes {
        let Linear { connections, bias, shape, name, kind } = linear;
        let bias = bias.map(|bias| bias.iter().map(|&b| b as f32).collect());
        let source = self.push(&name, &kind, LayerKind::Population { connections, bias }, shape);
        Spikes {
            source,
            unrectified: None,
            shape,
            address: None,
            padding: Padding::default(),
            affine: None,
            has_zeros: false,
        }
    }

    /// Weights that only carry the pending affine map, for a rectifier that has none to go into.
    fn identity(&self, layer: &Layer, spikes: Spikes) -> Result<Linear, Unsupported> {
        let Affine { scale, shift } = spikes.affine.clone().unwrap_or_else(|| {
            let n = channels(spikes.shape);
            Affine { scale: vec![1.0; n], shift: vec![0.0; n] }
        });
        let weights = match spikes.shape {
            Shape::Features(n) if n > MAX_DIAGONAL => {
                let reason =
                    format!("expected at most {MAX_DIAGONAL} features where no weights come before, found {n}");
                return Err(unsupported(layer, reason));
            }
            Shape::Features(n) => {
                let mut weights = Array2::zeros((n, n));
                for (k, &scale) in scale.iter().enumerate() {
                    weights[[spikes.address.as_ref().map_or(k, |address| address[k]), k]] = scale as f32;
                }
                Weights::Dense(weights)
            }
            Shape::Maps { channels, .. } => {
                self.expect_maps(layer, &spikes)?;
                Weights::Convolution {
                    kernels: Array4::from_shape_fn((channels, 1, 1, 1), |(k, ..)| scale[k] as f32),
                    strides: (1, 1),
                    padding: spikes.padding,
                    dilation: (1, 1),
                    groups: channels,
                }
            }
        };
        Ok(Linear {
            connections: vec![Connection { source: spikes.source, weights }],
            bias: shift.iter().any(|&shift| shift != 0.0).then_some(shift),
            shape: spikes.shape,
            name: layer.name.clone(),
            kind: layer.kind.clone(),
        })
    }

    /// An affine map into the weights before it, or kept for those behind.
    fn normalise_batch(&mut self, id: LayerId, value: Value, affine: Affine) -> Value {
        match value {
            Value::Linear(mut linear) => {
                linear.bias = Some(affine.absorb(&mut linear.connections, linear.bias.take()));
                Value::Linear(linear)
            }
            Value::Spikes(mut spikes) => {
                // Positive scales commute with the maximum poolings between the weights and here.
                let commutes = affine.scale.iter().all(|&scale| scale > 0.0)
                    && spikes.affine.is_none()
                    && !spikes.has_zeros
                    && self.readers[..id].iter().all(|readers| readers.len() == 1);
                if let (Some(k), true, Shape::Maps { .. }) = (spikes.unrectified, commutes, spikes.shape)
                    && let LayerKind::Population { connections, bias } = &mut self.parsed.layers[k].operation
                {
                    let before = bias.take().map(|bias| bias.iter().map(|&b| f64::from(b)).collect());
                    *bias = Some(affine.absorb(connections, before).iter().map(|&b| b as f32).collect());
                    return Value::Spikes(spikes);
                }
                spikes.affine = Some(affine.after(spikes.affine.take()));
                Value::Spikes(spikes)
            }
        }
    }

    fn activation(&mut self, layer: &Layer, activation: Activation, value: Value) -> Result<Value, Unsupported> {
        match activation {
            Activation::Linear => Ok(value),
            Activation::Relu { negative_slope, .. } if negative_slope != 0.0 => {
                Err(unsupported(layer, format!("expected a ReLU of slope 0 below zero, found {negative_slope}")))
            }
            Activation::Relu { max: Some(max), .. } => {
                Err(unsupported(layer, format!("a ReLU with a maximum of {max} cannot be converted yet")))
            }
            Activation::Relu { .. } => match value {
                Value::Linear(linear) => Ok(Value::Spikes(self.population(linear))),
                Value::Spikes(mut spikes) => {
                    if spikes.affine.is_some() || spikes.source == Source::Input {
                        if let Some(k) = spikes.unrectified {
                            let before = &self.parsed.layers[k].source_name;
                            return Err(unsupported(
                                layer,
                                format!(
                                    "expected the rectifier of '{before}' next to it, found it behind a batch normalisation"
                                ),
                            ));
                        }
                        let linear = self.identity(layer, spikes)?;
                        return Ok(Value::Spikes(self.population(linear)));
                    }
                    spikes.unrectified = None;
                    Ok(Value::Spikes(spikes))
                }
            },
            Activation::Softmax => {
                if let Shape::Maps { .. } = layer.shape {
                    return Err(unsupported(layer, "expected a softmax over a vector, found one over maps"));
                }
                self.softmax =
                    Some(unsupported(layer, "expected a softmax only at the output, found layers behind it"));
                Ok(value)
            }
            Activation::Sigmoid
            | Activation::Tanh
            | Activation::Softplus { .. }
            | Activation::ClampedRelu { .. }
            | Activation::QuantizedRelu { .. }
            | Activation::BinaryStep
            | Activation::BinarySign => Err(unsupported(
                layer,
                format!(
                    "expected ReLU, or softmax at the output; an activation {activation:?} has no spiking form here"
                ),
            )),
        }
    }

    /// Whether the maps of the graph are the maps of the source, in order.
    fn expect_maps(&self, layer: &Layer, spikes: &Spikes) -> Result<(), Unsupported> {
        if spikes.address.is_some() || !matches!(self.parsed.shape(spikes.source), Shape::Maps { .. }) {
            return Err(unsupported(
                layer,
                "maps that a reshape made of a vector inside the network cannot be read yet",
            ));
        }
        Ok(())
    }

    fn convolution(&mut self, layer: &Layer, spikes: Spikes) -> Result<Linear, Unsupported> {
        let Operation::Convolution { weights, bias, strides, padding, dilation, groups } = &layer.operation else {
            return Err(unsupported(layer, "expected a convolution"));
        };
        self.expect_maps(layer, &spikes)?;
        let mut kernels = weights.clone();
        let mut bias: Option<Vec<f64>> = bias.as_ref().map(|bias| bias.iter().map(|&b| f64::from(b)).collect());
        if let Some(affine) = &spikes.affine {
            let (out, per_group, ..) = weights.dim();
            if affine.shifts() {
                if *padding != Padding::default() {
                    return Err(unsupported(
                        layer,
                        "expected no padding behind a batch normalisation that stands behind a ReLU: its shift would not reach the border",
                    ));
                }
                let bias = bias.get_or_insert_with(|| vec![0.0; out]);
                for (o, bias) in bias.iter_mut().enumerate() {
                    let first = o / (out / groups) * per_group;
                    for (i, kernel) in weights.index_axis(Axis(0), o).outer_iter().enumerate() {
                        *bias += affine.shift[first + i] * kernel.iter().map(|&w| f64::from(w)).sum::<f64>();
                    }
                }
            }
            for ((o, i, ..), weight) in kernels.indexed_iter_mut() {
                *weight = (f64::from(*weight) * affine.scale[o / (out / groups) * per_group + i]) as f32;
            }
        }
        let weights = Weights::Convolution {
            kernels,
            strides: *strides,
            padding: sum(spikes.padding, *padding),
            dilation: *dilation,
            groups: *groups,
        };
        Ok(Linear {
            connections: vec![Connection { source: spikes.source, weights }],
            bias,
            shape: layer.shape,
            name: layer.name.clone(),
            kind: layer.kind.clone(),
        })
    }

    fn pool(
        &mut self,
        layer: &Layer,
        value: Value,
        pooling: Pooling,
        mut windows: Windows,
    ) -> Result<Spikes, Unsupported> {
        let mut spikes = match pooling {
            Pooling::Max => self.spikes(value),
            Pooling::Average { .. } => self.rectified(value, layer)?,
        };
        self.expect_maps(layer, &spikes)?;
        let own = windows.padding;
        windows.padding = sum(own, spikes.padding);
        let (operation, kind) = match pooling {
            // Rates are not negative, so a padded zero never wins over them and may be left out.
            Pooling::Max => {
                if spikes.affine.as_ref().is_some_and(|affine| affine.scale.iter().any(|&scale| scale <= 0.0)) {
                    return Err(unsupported(
                        layer,
                        "maximum pooling behind a batch normalisation with a negative scale has no spiking form",
                    ));
                }
                (LayerKind::MaxPool { source: spikes.source, windows }, "MaxPooling2D")
            }
            Pooling::Average { count_padding } => {
                let padded = spikes.padding != Padding::default();
                if padded && own != Padding::default() && !count_padding {
                    return Err(unsupported(
                        layer,
                        "zero padding before an average pooling that pads and does not count it cannot be converted",
                    ));
                }
                if own != Padding::default() && count_padding && spikes.affine.as_ref().is_some_and(Affine::shifts) {
                    return Err(unsupported(
                        layer,
                        "an average that counts padding behind a shifted batch normalisation cannot be converted",
                    ));
                }
                let count_padding = padded || count_padding;
                (LayerKind::AveragePool { source: spikes.source, windows, count_padding }, "AveragePooling2D")
            }
        };
        let Shape::Maps { channels, .. } = self.parsed.shape(spikes.source) else {
            return Err(unsupported(layer, "expected maps to pool"));
        };
        let shape = match layer.shape {
            Shape::Features(_) => Shape::Maps { channels, height: 1, width: 1 },
            maps => maps,
        };
        let kind = if matches!(layer.operation, Operation::GlobalPool { .. }) { kind } else { &layer.kind };
        spikes.source = self.push(&layer.name, kind, operation, shape);
        spikes.padding = Padding::default();
        spikes.shape = shape;
        Ok(spikes)
    }

    /// A flatten module behind maps.
    fn flatten(&mut self, layer: &Layer, spikes: &mut Spikes) {
        let shape = Shape::Features(self.parsed.shape(spikes.source).len());
        spikes.source = self.push(&layer.name, "Flatten", LayerKind::Flatten { source: spikes.source }, shape);
    }

    fn reshape(
        &mut self,
        id: LayerId,
        layer: &Layer,
        mut spikes: Spikes,
        order: AxisOrder,
    ) -> Result<Spikes, Unsupported> {
        if spikes.padding != Padding::default() {
            return Err(unsupported(
                layer,
                "expected a convolution or a pooling behind a zero padding, found a change of shape",
            ));
        }
        // The number `after[p]` of the new shape is the number `before[p]` of the old one.
        let (before, after) = (reading_order(spikes.shape, order), reading_order(layer.shape, order));
        let mut address = vec![0; after.len()];
        let mut moved = vec![0; after.len()];
        for (&from, &to) in before.iter().zip(&after) {
            address[to] = spikes.address.as_ref().map_or(from, |address| address[from]);
            moved[to] = from;
        }
        if let Some(affine) = &mut spikes.affine {
            let Shape::Features(n) = layer.shape else {
                return Err(unsupported(
                    layer,
                    "expected weights behind a batch normalisation, found a change of shape",
                ));
            };
            let per_channel = n / affine.scale.len();
            let pick = |values: &[f64]| moved.iter().map(|&from| values[from / per_channel]).collect();
            *affine = Affine { scale: pick(&affine.scale), shift: pick(&affine.shift) };
        }
        let layout = self.parsed.shape(spikes.source);
        match (layout, layer.shape) {
            (Shape::Maps { .. }, Shape::Features(_)) => self.flatten(layer, &mut spikes),
            // The input can be addressed in any shape, as long as nothing reads it yet.
            (_, Shape::Maps { .. })
                if spikes.source == Source::Input && self.readers[..id].iter().all(|readers| readers.len() == 1) =>
            {
                self.parsed.input = layer.shape;
                // `address[k]` is where the graph's number k stands in the sample, and now stands at address k.
                self.parsed.input_order = Some(std::mem::replace(&mut address, (0..moved.len()).collect()));
            }
            _ => {}
        }
        spikes.address = (!address.iter().copied().eq(0..address.len())).then_some(address);
        self.parsed.input_order =
            self.parsed.input_order.take().filter(|order| !order.iter().copied().eq(0..order.len()));
        // A vector that is called maps stays a vector; whoever needs maps will refuse it.
        if matches!(layout, Shape::Features(_))
            && matches!(layer.shape, Shape::Maps { .. })
            && spikes.source != Source::Input
        {
            spikes.address.get_or_insert_with(|| (0..moved.len()).collect());
        }
        spikes.shape = layer.shape;
        Ok(spikes)
    }
}

/// Layers of the source: an activation that a layer brought along is none of its own.
fn source_layers(graph: &Graph) -> usize {
    let is_own = |layer: &Layer| {
        let before = layer.inputs.first().map_or("", |&input| &graph.layers()[input].name);
        layer.kind != "Activation" || layer.name != format!("{before}_activation")
    };
    graph.layers().iter().filter(|layer| is_own(layer)).count()
}
