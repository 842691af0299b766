//! Architecture files: what a list of parameters does not tell, as TOML.
//!
//! ```toml
//! input = [1, 28, 28]            # channels, height, width; or one number of features
//!
//! [[layer]]
//! kind = "conv"                  # how many maps, the weights tell
//! size = 5                       # checked against the weights
//! stride = 2
//!
//! [[layer]]
//! kind = "batch_norm"
//!
//! [[layer]]
//! kind = "relu"
//!
//! [[layer]]
//! kind = "dense"
//! units = 10
//! ```
//!
//! Layers follow one another; where they do not, `name` and `inputs = ["a", "b"]` say so. In state dictionaries the
//! parameters of a layer are the next that no layer has taken, or those under the prefix `parameters = "features.0"`.
//!
//! | kind | options |
//! |---|---|
//! | `conv` | `size`, `filters` (only checked), `stride`, `padding` (number, pair or `"same"`), `dilation`, `groups` |
//! | `transposed_conv` | `size`, `filters`, `stride`, `padding`, `output_padding` |
//! | `dense` | `units` (checked only) |
//! | `batch_norm` | `epsilon` |
//! | `max_pool`, `average_pool` | `size`, `stride`, `padding`, `ceil_mode`, average: `count_padding` |
//! | `relu` | `negative_slope`, `max` |
//! | `upsample` | `size` |
//! | `zero_pad` | `padding` |
//! | `add`, `concatenate`, `flatten`, `dropout` | none |
//! | `softmax`, `sigmoid`, `tanh`, `softplus` | none |
//! | `global_average_pool`, `global_max_pool` | none |

use super::ImportError;
use super::refusal::Obstacles;
use crate::graph::{Activation, AxisOrder, Graph, GraphBuilder, LayerId, Operation, Padding, Pooling, Shape};
use ndarray::{Array1, Array2, Array4, ArrayD, Dimension};
use std::collections::HashMap;
use toml::{Table, Value};

/// How a library keeps its parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Convention {
    /// A list in the order of the layers. Filters are flipped; dense weights are `(in, out)`; batch normalisation is
    /// beta, gamma, mean and inverse standard deviation.
    Lasagne,
    /// Named arrays. Filters are not flipped; dense weights are `(out, in)`; batch normalisation is weight, bias,
    /// running_mean and running_var.
    PyTorch,
}

/// Parameters that layers take one after another.
pub(super) struct Parameters {
    pub(super) convention: Convention,
    /// Names (`features.0.weight`; of a list its numbers) and arrays.
    pub(super) arrays: Vec<(String, ArrayD<f32>)>,
}

/// Builds the network that the architecture describes; `place` names the file for messages.
pub(super) fn build(text: &str, place: &str, parameters: Parameters) -> Result<Graph, ImportError> {
    let fault = |message: String| ImportError::damaged(place, message);
    let mut file: Table =
        text.parse().map_err(|error: toml::de::Error| fault(format!("expected TOML, found: {}", error.message())))?;
    let input = file.remove("input").and_then(|value| counts(&value)).ok_or_else(|| {
        fault("expected 'input' as [channels, height, width] or a number of features, found none".into())
    })?;
    let shape = match input[..] {
        [features] => Shape::Features(features),
        [channels, width] => Shape::Maps { channels, height: 1, width },
        [channels, height, width] => Shape::Maps { channels, height, width },
        _ => return Err(fault(format!("expected an input of 1 to 3 sizes, found {input:?}"))),
    };
    let layers = match file.remove("layer") {
        Some(Value::Array(layers)) => layers,
        _ => return Err(fault("expected a list of [[layer]], found none".into())),
    };
    if let Some(key) = file.keys().next() {
        return Err(fault(format!("expected 'input' and [[layer]], found '{key}'")));
    }
    let mut entries = Vec::new();
    for (number, layer) in layers.into_iter().enumerate() {
        let Value::Table(mut options) = layer else { return Err(fault(format!("expected layer {number} as a table"))) };
        let Some(Value::String(kind)) = options.remove("kind") else {
            return Err(fault(format!("expected a 'kind' in layer {number}, found none")));
        };
        let name = match options.remove("name") {
            None => format!("{number:02}_{kind}"),
            Some(Value::String(name)) => name,
            Some(other) => return Err(fault(format!("expected a string as 'name' of layer {number}, found {other}"))),
        };
        entries.push(Entry { name, kind, options });
    }
    Stack {
        builder: GraphBuilder::new("input", shape),
        parameters,
        names: HashMap::from([("input".into(), 0)]),
        next: 0,
    }
    .run(entries)
}

/// One layer of the file; options are taken out as they are understood.
struct Entry {
    name: String,
    kind: String,
    options: Table,
}

impl Entry {
    fn unsupported(&self, message: impl Into<String>) -> ImportError {
        ImportError::Unsupported { layer: self.name.clone(), kind: self.kind.clone(), message: message.into() }
    }

    /// What comes in, or a size, is not what the layer takes.
    fn misfit(&self, message: impl Into<String>) -> ImportError {
        ImportError::Misfit { layer: self.name.clone(), kind: self.kind.clone(), message: message.into() }
    }

    fn pair(&mut self, key: &str) -> Result<Option<(usize, usize)>, ImportError> {
        let Some(value) = self.options.remove(key) else { return Ok(None) };
        match counts(&value).as_deref() {
            Some([both]) => Ok(Some((*both, *both))),
            Some([vertical, horizontal]) => Ok(Some((*vertical, *horizontal))),
            _ => Err(self.misfit(format!("expected a count or two as '{key}', found {value}"))),
        }
    }

    fn count(&mut self, key: &str) -> Result<Option<usize>, ImportError> {
        let Some(value) = self.options.remove(key) else { return Ok(None) };
        match counts(&value).as_deref() {
            Some([count]) => Ok(Some(*count)),
            _ => Err(self.misfit(format!("expected a count as '{key}', found {value}"))),
        }
    }

    fn number(&mut self, key: &str) -> Result<Option<f32>, ImportError> {
        match self.options.remove(key) {
            None => Ok(None),
            Some(Value::Float(number)) => Ok(Some(number as f32)),
            Some(Value::Integer(number)) => Ok(Some(number as f32)),
            Some(other) => Err(self.misfit(format!("expected a number as '{key}', found {other}"))),
        }
    }

    fn flag(&mut self, key: &str, default: bool) -> Result<bool, ImportError> {
        match self.options.remove(key) {
            None => Ok(default),
            Some(Value::Boolean(flag)) => Ok(flag),
            Some(other) => Err(self.misfit(format!("expected true or false as '{key}', found {other}"))),
        }
    }

    /// Refuses a number that the weights contradict.
    fn agrees<T: PartialEq + std::fmt::Debug>(&self, key: &str, said: Option<T>, found: T) -> Result<(), ImportError> {
        match said {
            Some(said) if said != found => {
                Err(self.misfit(format!("expected {key} {said:?}, found {found:?} in the weights")))
            }
            _ => Ok(()),
        }
    }

    /// One value for both sides; `"same"` keeps the size at stride 1, for odd windows.
    fn padding(&mut self, size: (usize, usize)) -> Result<Padding, ImportError> {
        let (vertical, horizontal) = match self.options.get("padding") {
            Some(Value::String(same)) if same == "same" && size.0 % 2 == 1 && size.1 % 2 == 1 => {
                self.options.remove("padding");
                (size.0 / 2, size.1 / 2)
            }
            _ => self.pair("padding")?.unwrap_or((0, 0)),
        };
        Ok(Padding { top: vertical, bottom: vertical, left: horizontal, right: horizontal })
    }
}

fn counts(value: &Value) -> Option<Vec<usize>> {
    match value {
        Value::Integer(count) => Some(vec![usize::try_from(*count).ok()?]),
        Value::Array(values) => values.iter().map(|value| usize::try_from(value.as_integer()?).ok()).collect(),
        _ => None,
    }
}

fn has_weights(kind: &str) -> bool {
    matches!(kind, "conv" | "transposed_conv" | "dense")
}

struct Stack {
    builder: GraphBuilder,
    parameters: Parameters,
    names: HashMap<String, LayerId>,
    /// The first array of a list that no layer has taken.
    next: usize,
}

impl Stack {
    fn run(mut self, entries: Vec<Entry>) -> Result<Graph, ImportError> {
        let kinds: Vec<String> = entries.iter().map(|entry| entry.kind.clone()).collect();
        let (mut last, mut obstacles) = (0, Obstacles::default());
        for (number, mut entry) in entries.into_iter().enumerate() {
            let inputs = self.inputs(&mut entry, last)?;
            let following = &kinds[number + 1..];
            let norms =
                following.iter().take_while(|kind| !has_weights(kind)).filter(|kind| *kind == "batch_norm").count();
            let done = self.layer(&mut entry, &inputs, norms).and_then(|id| match entry.options.iter().next() {
                None => Ok(id),
                Some((key, value)) => Err(entry.unsupported(format!("option '{key}' ({value}) is not supported"))),
            });
            last = done.or_else(|problem| {
                let input = inputs.first().copied().unwrap_or(0);
                obstacles.replace(&mut self.builder, (&entry.name, &entry.kind), input, problem)
            })?;
            if self.names.insert(entry.name.clone(), last).is_some() {
                return Err(entry.misfit("expected a name that no other layer has, found one used before"));
            }
        }
        if !obstacles.is_empty() {
            return Err(obstacles.refusal(self.builder, last));
        }
        if let Some((name, _)) =
            self.parameters.arrays.get(self.next).filter(|_| self.parameters.convention == Convention::Lasagne)
        {
            return Err(ImportError::damaged(
                format!("parameter '{name}'"),
                "expected a layer that takes it, found none",
            ));
        }
        Ok(self.builder.finish_at(last)?)
    }

    fn inputs(&self, entry: &mut Entry, last: LayerId) -> Result<Vec<LayerId>, ImportError> {
        let Some(inputs) = entry.options.remove("inputs") else { return Ok(vec![last]) };
        let named = inputs.as_array().and_then(|inputs| {
            inputs.iter().map(|input| self.names.get(input.as_str()?).copied()).collect::<Option<Vec<_>>>()
        });
        named.ok_or_else(|| entry.misfit(format!("expected names of layers before as 'inputs', found {inputs}")))
    }

    fn layer(&mut self, entry: &mut Entry, inputs: &[LayerId], norms: usize) -> Result<LayerId, ImportError> {
        let activation = |activation| ("Activation", Operation::Activation(activation));
        let (kind, operation) = match &entry.kind[..] {
            "conv" => return self.convolution(entry, inputs, norms),
            "transposed_conv" => return self.transposed(entry, inputs, norms),
            "dense" => return self.dense(entry, inputs, norms),
            "batch_norm" => self.batch_normalization(entry)?,
            "max_pool" | "average_pool" => self.pool(entry, inputs)?,
            "global_average_pool" => {
                ("GlobalAveragePooling2D", Operation::GlobalPool { pooling: Pooling::Average { count_padding: false } })
            }
            "global_max_pool" => ("GlobalMaxPooling2D", Operation::GlobalPool { pooling: Pooling::Max }),
            "relu" => {
                let negative_slope = entry.number("negative_slope")?.unwrap_or(0.0);
                activation(Activation::Relu { negative_slope, max: entry.number("max")? })
            }
            "softmax" => activation(Activation::Softmax),
            "sigmoid" => activation(Activation::Sigmoid),
            "tanh" => activation(Activation::Tanh),
            "softplus" => activation(Activation::Softplus { scale: 1.0 }),
            "flatten" => ("Flatten", Operation::Flatten { order: AxisOrder::ChannelsFirst }),
            "dropout" => ("Dropout", Operation::TrainingOnly { kind: "Dropout".into() }),
            "add" => ("Add", Operation::Add),
            "concatenate" => ("Concatenate", Operation::Concatenate),
            "upsample" => {
                let factors = entry.pair("size")?.ok_or_else(|| entry.misfit("expected a 'size', found none"))?;
                ("UpSampling2D", Operation::Upsample { factors })
            }
            "zero_pad" => ("ZeroPadding2D", Operation::ZeroPad(entry.padding((0, 0))?)),
            _ => return Err(entry.unsupported("this kind of layer is not known")),
        };
        Ok(self.builder.add(&entry.name, kind, operation, inputs)?)
    }

    /// Takes the parameters of a layer: weights and, where it has one, the bias. `norms` batch normalisations follow
    /// before the next weights.
    fn weights(&mut self, entry: &mut Entry, norms: usize) -> Result<(ArrayD<f32>, Option<Array1<f32>>), ImportError> {
        match self.parameters.convention {
            Convention::PyTorch => {
                let prefix = self.prefix(entry)?;
                let weights = self.named(entry, &prefix, "weight")?;
                let bias = self.optional(&prefix, "bias").map(|bias| typed(entry, bias)).transpose()?;
                Ok((weights, bias))
            }
            Convention::Lasagne => {
                let weights = self.take(entry)?;
                let vectors =
                    self.parameters.arrays[self.next..].iter().take_while(|(_, array)| array.ndim() == 1).count();
                let bias = match vectors.checked_sub(4 * norms) {
                    Some(0) => None,
                    Some(1) => Some(typed(entry, self.take(entry)?)?),
                    _ => {
                        return Err(entry.misfit(format!(
                            "expected {} or {} vectors after its weights (four a batch normalisation, and a bias), \
                                found {vectors}",
                            4 * norms,
                            4 * norms + 1
                        )));
                    }
                };
                Ok((weights, bias))
            }
        }
    }

    /// The next array of a list.
    fn take(&mut self, entry: &Entry) -> Result<ArrayD<f32>, ImportError> {
        let array = self.parameters.arrays.get(self.next).map(|(_, array)| array.clone());
        self.next += 1;
        array.ok_or_else(|| {
            entry.misfit(format!("expected parameters, found the end of {}", self.parameters.arrays.len()))
        })
    }

    /// The prefix of a layer's parameters: as it says, or the next that no layer has taken.
    fn prefix(&mut self, entry: &mut Entry) -> Result<String, ImportError> {
        match entry.options.remove("parameters") {
            Some(Value::String(prefix)) => Ok(prefix),
            Some(other) => Err(entry.misfit(format!("expected a string as 'parameters', found {other}"))),
            None => match self.parameters.arrays.first() {
                Some((name, _)) => Ok(name.rsplit_once('.').map_or("", |(prefix, _)| prefix).into()),
                None => Err(entry.misfit("expected parameters, found none left")),
            },
        }
    }

    fn optional(&mut self, prefix: &str, name: &str) -> Option<ArrayD<f32>> {
        let whole = if prefix.is_empty() { name.to_string() } else { format!("{prefix}.{name}") };
        let at = self.parameters.arrays.iter().position(|(name, _)| *name == whole)?;
        Some(self.parameters.arrays.remove(at).1)
    }

    fn named(&mut self, entry: &Entry, prefix: &str, name: &str) -> Result<ArrayD<f32>, ImportError> {
        self.optional(prefix, name).ok_or_else(|| {
            let left: Vec<&str> = self.parameters.arrays.iter().take(8).map(|(name, _)| name.as_str()).collect();
            entry.misfit(format!("expected a parameter '{prefix}.{name}', found next {left:?}"))
        })
    }

    fn kernels(&mut self, entry: &mut Entry, norms: usize) -> Result<(Array4<f32>, Option<Array1<f32>>), ImportError> {
        let (weights, bias) = self.weights(entry, norms)?;
        let weights = if weights.ndim() == 3 { weights.insert_axis(ndarray::Axis(2)) } else { weights };
        let mut weights: Array4<f32> = typed(entry, weights)?;
        if self.parameters.convention == Convention::Lasagne {
            // A convolution proper; the graph's is a correlation.
            weights = weights.slice(ndarray::s![.., .., ..;-1, ..;-1]).to_owned();
        }
        let (_, _, height, width) = weights.dim();
        let said = entry
            .pair("size")?
            .map(|(vertical, horizontal)| if height == 1 { (1, horizontal) } else { (vertical, horizontal) });
        entry.agrees("size", said, (height, width))?;
        Ok((weights, bias))
    }

    /// Strides or factors over maps of height 1 are horizontal only.
    fn flat(&self, input: LayerId, pair: (usize, usize)) -> (usize, usize) {
        match self.builder.shape(input) {
            Shape::Maps { height: 1, .. } => (1, pair.1),
            _ => pair,
        }
    }

    fn convolution(&mut self, entry: &mut Entry, inputs: &[LayerId], norms: usize) -> Result<LayerId, ImportError> {
        let (weights, bias) = self.kernels(entry, norms)?;
        let (out, _, height, width) = weights.dim();
        let said = entry.count("filters")?;
        entry.agrees("filters", said, out)?;
        let strides = entry.pair("stride")?.unwrap_or((1, 1));
        let mut padding = entry.padding((height, width))?;
        let dilation = entry.pair("dilation")?.unwrap_or((1, 1));
        let groups = entry.count("groups")?.unwrap_or(1);
        let strides = inputs.first().map_or(strides, |&input| self.flat(input, strides));
        if height == 1 && strides.0 == 1 {
            padding = Padding { top: 0, bottom: 0, ..padding };
        }
        let operation = Operation::Convolution { weights, bias, strides, padding, dilation, groups };
        Ok(self.builder.add(&entry.name, "Conv2D", operation, inputs)?)
    }

    fn transposed(&mut self, entry: &mut Entry, inputs: &[LayerId], norms: usize) -> Result<LayerId, ImportError> {
        let (weights, bias) = self.kernels(entry, norms)?;
        let (_, filters, height, width) = weights.dim();
        let said = entry.count("filters")?;
        entry.agrees("filters", said, filters)?;
        let strides = entry.pair("stride")?.unwrap_or((1, 1));
        let padding = entry.padding((height, width))?;
        let extra = entry.pair("output_padding")?.unwrap_or((0, 0));
        let Some(&Shape::Maps { height: h, width: w, .. }) =
            inputs.first().map(|&input| self.builder.shape(input)).as_ref()
        else {
            return Err(entry.misfit("expected maps as input"));
        };
        let along = |n: usize, size: usize, stride: usize, cut: usize, extra: usize| {
            (n - 1).checked_mul(stride)?.checked_add(size)?.checked_add(extra)?.checked_sub(cut.checked_mul(2)?)
        };
        let sizes =
            along(h, height, strides.0, padding.top, extra.0).zip(along(w, width, strides.1, padding.left, extra.1));
        let (height, width) =
            sizes.ok_or_else(|| entry.misfit("expected a padding smaller than what it is cut from"))?;
        let operation = Operation::TransposedConvolution { weights, bias, strides, padding, groups: 1 };
        let shape = Shape::Maps { channels: filters, height, width };
        Ok(self.builder.add_shaped(&entry.name, "Conv2DTranspose", operation, inputs, shape)?)
    }

    fn dense(&mut self, entry: &mut Entry, inputs: &[LayerId], norms: usize) -> Result<LayerId, ImportError> {
        let (weights, bias) = self.weights(entry, norms)?;
        let mut weights: Array2<f32> = typed(entry, weights)?;
        if self.parameters.convention == Convention::PyTorch {
            weights = weights.t().as_standard_layout().into_owned();
        }
        let said = entry.count("units")?;
        entry.agrees("units", said, weights.ncols())?;
        let mut inputs = inputs.to_vec();
        if let [input] = &mut inputs[..]
            && matches!(self.builder.shape(*input), Shape::Maps { .. })
        {
            let flatten = Operation::Flatten { order: AxisOrder::ChannelsFirst };
            *input = self.builder.add(format!("{}_flatten", entry.name), "Flatten", flatten, &[*input])?;
        }
        Ok(self.builder.add(&entry.name, "Dense", Operation::Dense { weights, bias }, &inputs)?)
    }

    fn batch_normalization(&mut self, entry: &mut Entry) -> Result<(&'static str, Operation), ImportError> {
        let epsilon = entry.number("epsilon")?;
        let operation = match self.parameters.convention {
            Convention::Lasagne => {
                let beta = typed(entry, self.take(entry)?)?;
                let gamma = typed(entry, self.take(entry)?)?;
                let mean = typed(entry, self.take(entry)?)?;
                let inverse: Array1<f32> = typed(entry, self.take(entry)?)?;
                // Its epsilon is in the inverse standard deviation already.
                let variance = inverse.mapv(|inverse| (1.0 / (f64::from(inverse) * f64::from(inverse))) as f32);
                Operation::BatchNormalization { gamma, beta, mean, variance, epsilon: 0.0 }
            }
            Convention::PyTorch => {
                let prefix = self.prefix(entry)?;
                let mean: Array1<f32> = typed(entry, self.named(entry, &prefix, "running_mean")?)?;
                let variance = typed(entry, self.named(entry, &prefix, "running_var")?)?;
                let channels = mean.len();
                let mut affine = |name: &str, default: f32| match self.optional(&prefix, name) {
                    Some(array) => typed(entry, array),
                    None => Ok(Array1::from_elem(channels, default)),
                };
                let (gamma, beta) = (affine("weight", 1.0)?, affine("bias", 0.0)?);
                self.optional(&prefix, "num_batches_tracked");
                Operation::BatchNormalization { gamma, beta, mean, variance, epsilon: epsilon.unwrap_or(1e-5) }
            }
        };
        Ok(("BatchNormalization", operation))
    }

    fn pool(&mut self, entry: &mut Entry, inputs: &[LayerId]) -> Result<(&'static str, Operation), ImportError> {
        let size = entry.pair("size")?.ok_or_else(|| entry.misfit("expected a 'size', found none"))?;
        let strides = entry.pair("stride")?.unwrap_or(size);
        let mut padding = entry.padding(size)?;
        let (mut size, mut strides) = (size, strides);
        let Some(&input) = inputs.first() else { return Err(entry.misfit("expected an input")) };
        if let Shape::Maps { height: 1, .. } = self.builder.shape(input) {
            (size, strides) = ((1, size.1), (1, strides.1));
            padding = Padding { top: 0, bottom: 0, ..padding };
        }
        let is_padded = padding != Padding::default();
        let mut has_extra = false;
        if entry.flag("ceil_mode", false)? {
            let padded = padding;
            super::widen_to_ceil(self.builder.shape(input), size, strides, &mut padding)
                .ok_or_else(|| entry.misfit("expected windows no larger than the map"))?;
            has_extra = padding != padded;
        }
        if entry.kind == "max_pool" {
            return Ok(("MaxPooling2D", Operation::Pool { pooling: Pooling::Max, size, strides, padding }));
        }
        let count_padding = entry.flag("count_padding", true)? && is_padded;
        if count_padding && has_extra {
            return Err(entry.unsupported("count_padding together with ceil_mode is not supported"));
        }
        let pooling = Pooling::Average { count_padding };
        Ok(("AveragePooling2D", Operation::Pool { pooling, size, strides, padding }))
    }
}

fn typed<D: Dimension>(entry: &Entry, array: ArrayD<f32>) -> Result<ndarray::Array<f32, D>, ImportError> {
    let found = array.shape().to_vec();
    array.into_dimensionality().map_err(|_| {
        let axes = D::NDIM.unwrap_or_default();
        entry.misfit(format!("expected parameters of {axes} axes, found shape {found:?}"))
    })
}
