//! What each Keras layer class means.

mod elementwise;

use super::super::ImportError;
use super::activations;
use super::options::Options;
use super::tensor::{Layout, Network, Tensor, shape_of};
use super::weights::{Scope, Weights};
use crate::graph::{Activation, AxisOrder, Operation, Padding, Pooling, Shape};
use ndarray::{Array1, Array2, Array4, ArrayD, Dimension, Ix1, Ix2};
use serde_json::Value;

/// Classes that pass their input on at inference.
const TRAINING_ONLY: &[&str] = &[
    "Dropout",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "GaussianNoise",
    "GaussianDropout",
    "AlphaDropout",
    "ActivityRegularization",
    "AugMix",
    "CutMix",
    "MixUp",
    "RandAugment",
    "RandomBrightness",
    "RandomColorDegeneration",
    "RandomColorJitter",
    "RandomContrast",
    "RandomElasticTransform",
    "RandomErasing",
    "RandomFlip",
    "RandomGaussianBlur",
    "RandomGrayscale",
    "RandomHue",
    "RandomInvert",
    "RandomPerspective",
    "RandomPosterization",
    "RandomRotation",
    "RandomSaturation",
    "RandomSharpness",
    "RandomShear",
    "RandomTranslation",
    "RandomZoom",
];

/// Classes whose kernel is multiplied by a mask: those of SNN toolbox, from `keras_rewiring`.
const MASKED: &[&str] = &["Sparse", "SparseConv2D", "SparseDepthwiseConv2D"];

/// The kernels of a layer in their order, and its bias if it has one.
type KernelsAndBias = (Vec<ArrayD<f32>>, Option<Array1<f32>>);

/// The layer under construction and what it needs.
struct Context<'a, 'o> {
    network: &'a mut Network,
    weights: &'a Weights,
    scope: &'a Scope,
    options: &'a mut Options<'o>,
}

/// Adds one layer (and its activation) to the network.
pub(super) fn apply(
    network: &mut Network,
    weights: &Weights,
    scope: &Scope,
    options: &mut Options,
    inputs: &[Tensor],
) -> Result<Tensor, ImportError> {
    let class = options.class();
    let mut context = Context { network, weights, scope, options };
    let output = match class {
        "Add" | "Average" | "Subtract" | "Multiply" | "Maximum" | "Minimum" => context.combine(class, inputs)?,
        "Concatenate" => context.concatenate(inputs)?,
        _ => {
            let &[input] = inputs else {
                if inputs.len() > 1 {
                    return Err(context.options.unsupported_class());
                }
                return Err(context.options.misfit(format!("expected one input, found {}", inputs.len())));
            };
            if TRAINING_ONLY.contains(&class) {
                // Its options say nothing about inference.
                return context.push(Operation::TrainingOnly { kind: class.into() }, input, input.layout);
            }
            context.unary(class, input)?
        }
    };
    context.options.finish()?;
    Ok(output)
}

/// Adds the activation that a layer has as an option, as a separate layer.
pub(super) fn own_activation(
    network: &mut Network,
    options: &mut Options,
    output: Tensor,
) -> Result<Tensor, ImportError> {
    let Some(value) = options.take("activation") else { return Ok(output) };
    let Some(activation) = activations::parse(value, options)? else { return Ok(output) };
    let output = softmax_input(network, activation, output)?;
    let name = format!("{}_activation", options.layer());
    let layer = network.add(&name, "Activation", Operation::Activation(activation), &[output])?;
    Ok(Tensor { layer, ..output })
}

/// A softmax runs over the last axis, so that has to be the channels.
fn softmax_input(network: &mut Network, activation: Activation, input: Tensor) -> Result<Tensor, ImportError> {
    match activation {
        Activation::Softmax | Activation::LogSoftmax => network.read_as(input, AxisOrder::ChannelsLast),
        _ => Ok(input),
    }
}

impl Context<'_, '_> {
    fn unary(&mut self, class: &str, input: Tensor) -> Result<Tensor, ImportError> {
        match class {
            "InputLayer" | "Identity" => Ok(input),
            "Dense" | "Sparse" => self.dense(input),
            "Conv1D" => self.convolution(input, 1),
            "Conv2D" | "Convolution2D" | "SparseConv2D" => self.convolution(input, 2),
            "DepthwiseConv1D" => self.depthwise(input, 1),
            "DepthwiseConv2D" | "SparseDepthwiseConv2D" => self.depthwise(input, 2),
            "SeparableConv1D" => self.separable(input, 1),
            "SeparableConv2D" => self.separable(input, 2),
            "Conv1DTranspose" => self.transposed(input, 1),
            "Conv2DTranspose" => self.transposed(input, 2),
            "AveragePooling1D" => self.pool(input, 1, Pooling::Average { count_padding: false }),
            "AveragePooling2D" => self.pool(input, 2, Pooling::Average { count_padding: false }),
            "MaxPooling1D" => self.pool(input, 1, Pooling::Max),
            "MaxPooling2D" => self.pool(input, 2, Pooling::Max),
            "GlobalAveragePooling1D" => self.global_pool(input, 1, Pooling::Average { count_padding: false }),
            "GlobalAveragePooling2D" => self.global_pool(input, 2, Pooling::Average { count_padding: false }),
            "GlobalMaxPooling1D" => self.global_pool(input, 1, Pooling::Max),
            "GlobalMaxPooling2D" => self.global_pool(input, 2, Pooling::Max),
            "Flatten" => self.flatten(input),
            "Reshape" => self.reshape(input),
            "Permute" => self.permute(input),
            "ZeroPadding1D" => self.zero_padding(input, 1),
            "ZeroPadding2D" => self.zero_padding(input, 2),
            "Cropping1D" => self.cropping(input, 1),
            "Cropping2D" => self.cropping(input, 2),
            "UpSampling1D" => self.upsampling(input, 1),
            "UpSampling2D" => self.upsampling(input, 2),
            "Resizing" => self.resizing(input),
            "BatchNormalization" => self.batch_normalization(input),
            "Rescaling" => self.rescaling(input),
            "Activation" => self.activation(input),
            "ReLU" | "LeakyReLU" => {
                let activation = activations::rectifier(class, self.options)?;
                self.push(Operation::Activation(activation), input, input.layout)
            }
            "Softmax" => {
                let axis = self.options.axis_or("axis", -1, input.layout.rank())?;
                let input = self.network.channels_at(input, axis, self.options)?;
                self.push(Operation::Activation(Activation::Softmax), input, input.layout)
            }
            "PReLU" => self.parametric_relu(input),
            "ELU" => {
                let alpha = self.options.number_or("alpha", 1.0)?;
                self.push(Operation::Activation(Activation::Elu { alpha, scale: 1.0 }), input, input.layout)
            }
            "Normalization" => self.normalization(input),
            // Functions of keras.ops.
            "Relu" | "Relu6" | "Sigmoid" | "Tanh" | "Softplus" | "Softsign" | "Silu" | "Elu" | "Selu" | "Gelu"
            | "HardSigmoid" | "HardSilu" | "LogSoftmax" | "LeakyRelu" => self.function(class, input),
            _ => Err(self.options.unsupported_class()),
        }
    }

    fn push(&mut self, operation: Operation, input: Tensor, layout: Layout) -> Result<Tensor, ImportError> {
        let layer = self.network.add(self.options.layer(), self.options.class(), operation, &[input])?;
        Ok(Tensor { layer, layout })
    }

    /// The feature maps that a layer of this spatial rank reads, their axes in the order of its data format.
    fn maps(&mut self, input: Tensor, rank: usize) -> Result<Tensor, ImportError> {
        if input.layout.rank() != rank + 1 {
            return Err(self.options.misfit(format!(
                "expected an input of {} axes, found {}",
                rank + 1,
                input.layout.rank()
            )));
        }
        let order = match self.options.string_or("data_format", "channels_last")? {
            "channels_last" => AxisOrder::ChannelsLast,
            "channels_first" => AxisOrder::ChannelsFirst,
            other => return Err(self.options.unsupported(format!("data_format '{other}' is not supported"))),
        };
        self.network.read_as(input, order)
    }

    /// A size per axis, `(vertical, horizontal)`; a one-dimensional layer has 1 vertically.
    fn sizes(
        &mut self,
        key: &'static str,
        rank: usize,
        default: Option<(usize, usize)>,
    ) -> Result<(usize, usize), ImportError> {
        let default =
            default.map(|(vertical, horizontal)| if rank == 1 { vec![horizontal] } else { vec![vertical, horizontal] });
        let counts = match default {
            Some(default) => self.options.counts_or(key, rank, &default)?,
            None => self.options.counts(key, rank)?,
        };
        Ok(if rank == 1 { (1, counts[0]) } else { (counts[0], counts[1]) })
    }

    /// The arrays of the layer, each of the shape that its options announce.
    fn arrays(&self, expected: &[(&str, &[usize])]) -> Result<Vec<ArrayD<f32>>, ImportError> {
        let names: Vec<&str> = expected.iter().map(|(name, _)| *name).collect();
        let arrays = self.weights.read(self.scope, &names)?;
        for (array, (name, shape)) in arrays.iter().zip(expected) {
            if array.shape() != *shape {
                let place = format!("{name} of layer '{}'", self.options.layer());
                return Err(ImportError::damaged(
                    place,
                    format!("expected shape {shape:?}, found {:?}", array.shape()),
                ));
            }
        }
        Ok(arrays)
    }

    /// Arrays of the kernels named first, then the bias if there is one.
    fn arrays_and_bias(&mut self, kernels: &[(&str, &[usize])], outputs: usize) -> Result<KernelsAndBias, ImportError> {
        let bias_shape = [outputs];
        let mut expected = kernels.to_vec();
        if self.options.bool_or("use_bias", true)? {
            expected.push(("bias", &bias_shape));
        }
        let masked = MASKED.contains(&self.options.class());
        if masked {
            // How much of the mask training leaves.
            self.options.take("connectivity_level");
            expected.push(("mask", kernels[0].1));
        }
        let mut arrays = self.arrays(&expected)?;
        if masked && let Some(mask) = arrays.pop() {
            arrays[0] *= &mask;
        }
        let bias = if arrays.len() > kernels.len() { arrays.pop() } else { None };
        Ok((arrays, bias.map(typed::<Ix1>)))
    }

    fn own_activation(&mut self, output: Tensor) -> Result<Tensor, ImportError> {
        own_activation(self.network, self.options, output)
    }

    fn activation(&mut self, input: Tensor) -> Result<Tensor, ImportError> {
        let value = self.options.take("activation").unwrap_or(&Value::Null);
        let activation = activations::parse(value, self.options)?.unwrap_or(Activation::Linear);
        let input = softmax_input(self.network, activation, input)?;
        self.push(Operation::Activation(activation), input, input.layout)
    }

    fn dense(&mut self, input: Tensor) -> Result<Tensor, ImportError> {
        // Over more axes than one a dense layer acts on the last: a convolution of one cell.
        let input = self.network.read_as(input, AxisOrder::ChannelsLast)?;
        let [features, ..] = self.network.sizes(input);
        let units = self.options.count("units")?;
        let (mut arrays, bias) = self.arrays_and_bias(&[("kernel", &[features, units])], units)?;
        let kernel: Array2<f32> = typed::<Ix2>(arrays.remove(0));
        let operation = if input.layout == Layout::Vector {
            Operation::Dense { weights: kernel, bias }
        } else {
            let weights = Array4::from_shape_fn((units, features, 1, 1), |(out, input, _, _)| kernel[[input, out]]);
            Operation::Convolution {
                weights,
                bias,
                strides: (1, 1),
                padding: Padding::default(),
                dilation: (1, 1),
                groups: 1,
            }
        };
        let output = self.push(operation, input, input.layout)?;
        self.own_activation(output)
    }

    /// Padding of a convolution or pooling over maps of these sizes.
    fn padding(
        &mut self,
        (height, width): (usize, usize),
        size: (usize, usize),
        strides: (usize, usize),
        dilation: (usize, usize),
    ) -> Result<Padding, ImportError> {
        let along =
            (same_padding(height, size.0, strides.0, dilation.0), same_padding(width, size.1, strides.1, dilation.1));
        match self.options.string_or("padding", "valid")? {
            "valid" => Ok(Padding::default()),
            "same" => match along {
                (Some((top, bottom)), Some((left, right))) => Ok(Padding { top, bottom, left, right }),
                _ => Err(self.options.misfit(format!("expected sizes in range, found {size:?} by {strides:?}"))),
            },
            // One-dimensional: an output sees no later step.
            "causal" if self.options.class() == "Conv1D" => {
                let left = size.1.saturating_sub(1).saturating_mul(dilation.1);
                Ok(Padding { left, ..Padding::default() })
            }
            other => Err(self.options.unsupported(format!("padding '{other}' is not supported"))),
        }
    }

    fn convolution(&mut self, input: Tensor, rank: usize) -> Result<Tensor, ImportError> {
        let input = self.maps(input, rank)?;
        let [channels, height, width] = self.network.sizes(input);
        let filters = self.options.count("filters")?;
        let size = self.sizes("kernel_size", rank, None)?;
        let strides = self.sizes("strides", rank, Some((1, 1)))?;
        let dilation = self.sizes("dilation_rate", rank, Some((1, 1)))?;
        let groups = self.options.count_or("groups", 1)?;
        if groups == 0 || channels % groups != 0 {
            return Err(self
                .options
                .misfit(format!("expected groups that divide {channels} channels, found {groups}")));
        }
        let padding = self.padding((height, width), size, strides, dilation)?;
        let shape = kernel_shape(size, rank, &[channels / groups, filters]);
        let (mut arrays, bias) = self.arrays_and_bias(&[("kernel", &shape)], filters)?;
        // (height, width, in, out) to (out, in, height, width).
        let weights = kernel(arrays.remove(0), size, [3, 2, 0, 1]);
        let operation = Operation::Convolution { weights, bias, strides, padding, dilation, groups };
        let output = self.push(operation, input, input.layout)?;
        self.own_activation(output)
    }

    fn depthwise(&mut self, input: Tensor, rank: usize) -> Result<Tensor, ImportError> {
        let input = self.maps(input, rank)?;
        let (shape, size) = self.depthwise_kernel(input, rank)?;
        let channels = shape[rank] * shape[rank + 1];
        // Keras 3 has one name for it, Keras 2 another.
        let name = if self.weights.has(self.scope, "depthwise_kernel")? { "depthwise_kernel" } else { "kernel" };
        let (mut arrays, bias) = self.arrays_and_bias(&[(name, &shape)], channels)?;
        let operation = self.depthwise_operation(input, rank, size, arrays.remove(0), bias)?;
        let output = self.push(operation, input, input.layout)?;
        self.own_activation(output)
    }

    fn separable(&mut self, input: Tensor, rank: usize) -> Result<Tensor, ImportError> {
        let input = self.maps(input, rank)?;
        let filters = self.options.count("filters")?;
        let (shape, size) = self.depthwise_kernel(input, rank)?;
        let channels = shape[rank] * shape[rank + 1];
        let pointwise = kernel_shape((1, 1), rank, &[channels, filters]);
        let kernels = [("depthwise_kernel", &shape[..]), ("pointwise_kernel", &pointwise[..])];
        let (mut arrays, bias) = self.arrays_and_bias(&kernels, filters)?;
        let operation = self.depthwise_operation(input, rank, size, arrays.remove(0), None)?;
        let name = format!("{}_depthwise", self.options.layer());
        let layer = self.network.add(
            &name,
            if rank == 1 { "DepthwiseConv1D" } else { "DepthwiseConv2D" },
            operation,
            &[input],
        )?;
        let between = Tensor { layer, ..input };
        let operation = Operation::Convolution {
            weights: kernel(arrays.remove(0), (1, 1), [3, 2, 0, 1]),
            bias,
            strides: (1, 1),
            padding: Padding::default(),
            dilation: (1, 1),
            groups: 1,
        };
        let layer = self.network.add(
            self.options.layer(),
            if rank == 1 { "Conv1D" } else { "Conv2D" },
            operation,
            &[between],
        )?;
        self.own_activation(Tensor { layer, ..input })
    }

    /// Shape of a depthwise kernel, `(height, width, in, multiplier)`, and its size.
    fn depthwise_kernel(&mut self, input: Tensor, rank: usize) -> Result<(Vec<usize>, (usize, usize)), ImportError> {
        let [channels, ..] = self.network.sizes(input);
        let size = self.sizes("kernel_size", rank, None)?;
        if self.options.count_or("groups", 1)? != 1 {
            return Err(self.options.unsupported("groups other than 1 are not supported"));
        }
        let multiplier = self.options.count_or("depth_multiplier", 1)?;
        if channels.checked_mul(multiplier).is_none_or(|n| n == 0) {
            return Err(self.options.misfit(format!("expected a depth_multiplier of 1 or more, found {multiplier}")));
        }
        Ok((kernel_shape(size, rank, &[channels, multiplier]), size))
    }

    fn depthwise_operation(
        &mut self,
        input: Tensor,
        rank: usize,
        size: (usize, usize),
        array: ArrayD<f32>,
        bias: Option<Array1<f32>>,
    ) -> Result<Operation, ImportError> {
        let [channels, height, width] = self.network.sizes(input);
        let strides = self.sizes("strides", rank, Some((1, 1)))?;
        let dilation = self.sizes("dilation_rate", rank, Some((1, 1)))?;
        let padding = self.padding((height, width), size, strides, dilation)?;
        // (height, width, in, multiplier): output in * multiplier + m reads input map `in` alone.
        let array = kernel(array, size, [2, 3, 0, 1]);
        let (_, multiplier, ..) = array.dim();
        let weights = array.into_shape_with_order((channels * multiplier, 1, size.0, size.1));
        let weights = weights.map_err(|error| self.options.unsupported(error.to_string()))?;
        Ok(Operation::Convolution { weights, bias, strides, padding, dilation, groups: channels })
    }

    fn transposed(&mut self, input: Tensor, rank: usize) -> Result<Tensor, ImportError> {
        let input = self.maps(input, rank)?;
        let [channels, height, width] = self.network.sizes(input);
        let filters = self.options.count("filters")?;
        let size = self.sizes("kernel_size", rank, None)?;
        let strides = self.sizes("strides", rank, Some((1, 1)))?;
        if self.sizes("dilation_rate", rank, Some((1, 1)))? != (1, 1) || self.options.count_or("groups", 1)? != 1 {
            return Err(self.options.unsupported("a dilation or groups other than 1 are not supported"));
        }
        let same = match self.options.string_or("padding", "valid")? {
            "valid" => false,
            "same" => true,
            other => return Err(self.options.unsupported(format!("padding '{other}' is not supported"))),
        };
        let extra = match self.options.take("output_padding") {
            None => None,
            Some(_) => Some(self.sizes("output_padding", rank, None)?),
        };
        // Output length and what is cut off before and after, as TensorFlow computes them.
        let along = |n: usize, size: usize, stride: usize, extra: Option<usize>| {
            let full = (n - 1).checked_mul(stride)?.checked_add(size)?;
            let length = match (same, extra) {
                (false, None) => n.checked_mul(stride)?.checked_add(size.saturating_sub(stride))?,
                (true, None) => n.checked_mul(stride)?,
                (false, Some(extra)) => full.checked_add(extra)?,
                (true, Some(extra)) => full.checked_sub(size / 2 * 2)?.checked_add(extra)?,
            };
            let cut = if same { full.saturating_sub(length) } else { 0 };
            Some((length, cut / 2, cut - cut / 2))
        };
        let out_of_range = || self.options.misfit("expected sizes and strides in range");
        let (out_height, top, bottom) = if rank == 1 {
            (1, 0, 0)
        } else {
            along(height, size.0, strides.0, extra.map(|e| e.0)).ok_or_else(out_of_range)?
        };
        let (out_width, left, right) = along(width, size.1, strides.1, extra.map(|e| e.1)).ok_or_else(out_of_range)?;
        let shape = kernel_shape(size, rank, &[filters, channels]);
        let (mut arrays, bias) = self.arrays_and_bias(&[("kernel", &shape)], filters)?;
        // (height, width, out, in) to (in, out, height, width).
        let weights = kernel(arrays.remove(0), size, [3, 2, 0, 1]);
        let padding = Padding { top, bottom, left, right };
        let operation = Operation::TransposedConvolution { weights, bias, strides, padding, groups: 1 };
        let shape = Shape::Maps { channels: filters, height: out_height, width: out_width };
        let layer = self.network.add_shaped(self.options.layer(), self.options.class(), operation, input, shape)?;
        self.own_activation(Tensor { layer, ..input })
    }

    fn pool(&mut self, input: Tensor, rank: usize, pooling: Pooling) -> Result<Tensor, ImportError> {
        let input = self.maps(input, rank)?;
        let [_, height, width] = self.network.sizes(input);
        let size = self.sizes("pool_size", rank, Some((2, 2)))?;
        let strides = self.sizes("strides", rank, Some(size))?;
        let padding = self.padding((height, width), size, strides, (1, 1))?;
        self.push(Operation::Pool { pooling, size, strides, padding }, input, input.layout)
    }

    fn global_pool(&mut self, input: Tensor, rank: usize, pooling: Pooling) -> Result<Tensor, ImportError> {
        let input = self.maps(input, rank)?;
        let operation = Operation::GlobalPool { pooling };
        if self.options.bool_or("keepdims", false)? {
            let [channels, ..] = self.network.sizes(input);
            let shape = Shape::Maps { channels, height: 1, width: 1 };
            let layer = self.network.add_shaped(self.options.layer(), self.options.class(), operation, input, shape)?;
            return Ok(Tensor { layer, ..input });
        }
        self.push(operation, input, Layout::Vector)
    }

    fn flatten(&mut self, input: Tensor) -> Result<Tensor, ImportError> {
        // `channels_first` moves the first axis behind the others before it flattens.
        let (input, order) = match self.options.string_or("data_format", "channels_last")? {
            "channels_first" => (self.network.read_as(input, AxisOrder::ChannelsFirst)?, AxisOrder::ChannelsLast),
            "channels_last" => (input, input.layout.order().unwrap_or(AxisOrder::ChannelsLast)),
            other => return Err(self.options.unsupported(format!("data_format '{other}' is not supported"))),
        };
        self.push(Operation::Flatten { order }, input, Layout::Vector)
    }

    fn reshape(&mut self, input: Tensor) -> Result<Tensor, ImportError> {
        let order = self.network.order;
        let input = self.network.read_as(input, order)?;
        let value = self.options.take("target_shape").and_then(Value::as_array);
        let target = value.and_then(|sizes| sizes.iter().map(Value::as_i64).collect::<Option<Vec<i64>>>());
        let target = target.ok_or_else(|| self.options.misfit("expected a list of sizes as 'target_shape'"))?;
        let len = self.network.shape(input).len();
        let mut known = target.iter().filter(|&&size| size >= 0);
        let known = known.try_fold(1usize, |n, &size| n.checked_mul(usize::try_from(size).ok()?));
        let unknown = target.iter().filter(|&&size| size == -1).count();
        let dimensions: Option<Vec<usize>> = target
            .iter()
            .map(|&size| match (size, known) {
                (-1, Some(known)) if unknown == 1 && known > 0 && len.is_multiple_of(known) => Some(len / known),
                (size, _) => usize::try_from(size).ok(),
            })
            .collect();
        let shape = dimensions.and_then(|dimensions| shape_of(&dimensions, order));
        let Some((shape, layout)) = shape else {
            return Err(self
                .options
                .misfit(format!("expected a shape of 1 to 3 axes for {len} numbers, found {target:?}")));
        };
        let operation = Operation::Reshape { order };
        let layer = self.network.add_shaped(self.options.layer(), self.options.class(), operation, input, shape)?;
        Ok(Tensor { layer, layout })
    }

    fn permute(&mut self, input: Tensor) -> Result<Tensor, ImportError> {
        let rank = input.layout.rank();
        let dimensions = self.options.counts("dims", rank)?;
        let own = input.layout.axes();
        let mut axes = [0, 1, 2];
        for (to, &from) in dimensions.iter().enumerate() {
            let from = from.checked_sub(1).and_then(|from| own.get(from));
            axes[own[to]] = *from.ok_or_else(|| {
                self.options.misfit(format!("expected axes from 1 to {rank} as 'dims', found {dimensions:?}"))
            })?;
        }
        if rank == 1 {
            return Ok(input);
        }
        self.network.permute(input, self.options.layer(), axes, input.layout)
    }

    fn zero_padding(&mut self, input: Tensor, rank: usize) -> Result<Tensor, ImportError> {
        let input = self.maps(input, rank)?;
        let pairs = self.options.count_pairs("padding", rank)?;
        self.push(Operation::ZeroPad(around(&pairs)), input, input.layout)
    }

    fn cropping(&mut self, input: Tensor, rank: usize) -> Result<Tensor, ImportError> {
        let input = self.maps(input, rank)?;
        let pairs = self.options.count_pairs("cropping", rank)?;
        self.push(Operation::Crop(around(&pairs)), input, input.layout)
    }

    fn upsampling(&mut self, input: Tensor, rank: usize) -> Result<Tensor, ImportError> {
        let input = self.maps(input, rank)?;
        let factors = self.sizes("size", rank, None)?;
        match self.options.string_or("interpolation", "nearest")? {
            "nearest" => self.push(Operation::Upsample { factors }, input, input.layout),
            other => Err(self.options.unsupported(format!("interpolation '{other}' is not supported; 'nearest' is"))),
        }
    }
}

/// TensorFlow's `same`: `ceil(n / stride)` windows, the odd cell of padding after.
fn same_padding(n: usize, size: usize, stride: usize, dilation: usize) -> Option<(usize, usize)> {
    let windows = n.checked_add(stride.checked_sub(1)?)?.checked_div(stride)?;
    let extent = size.checked_sub(1)?.checked_mul(dilation)?.checked_add(1)?;
    let total = (windows.checked_sub(1)?.checked_mul(stride)?).checked_add(extent)?.saturating_sub(n);
    Some((total / 2, total - total / 2))
}

/// Keras's shape of a kernel: spatial axes, then these two.
fn kernel_shape(size: (usize, usize), rank: usize, last: &[usize; 2]) -> Vec<usize> {
    let spatial = if rank == 1 { vec![size.1] } else { vec![size.0, size.1] };
    [spatial, last.to_vec()].concat()
}

/// A kernel of checked shape as four axes, `(height, width, a, b)` in this order.
fn kernel(array: ArrayD<f32>, size: (usize, usize), order: [usize; 4]) -> Array4<f32> {
    let rank = array.ndim();
    let (a, b) = (array.shape()[rank - 2], array.shape()[rank - 1]);
    let array = array.into_shape_with_order((size.0, size.1, a, b)).expect("the shape was checked");
    array.permuted_axes(order).as_standard_layout().into_owned()
}

/// An array of checked rank.
fn typed<D: Dimension>(array: ArrayD<f32>) -> ndarray::Array<f32, D> {
    array.into_dimensionality().expect("the shape was checked")
}

fn around(pairs: &[(usize, usize)]) -> Padding {
    match pairs {
        [(left, right)] => Padding { left: *left, right: *right, ..Padding::default() },
        [(top, bottom), (left, right), ..] => Padding { top: *top, bottom: *bottom, left: *left, right: *right },
        [] => Padding::default(),
    }
}
