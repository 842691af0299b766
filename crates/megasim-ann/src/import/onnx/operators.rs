//! What each ONNX operator means.

use super::super::{ImportError, unsupported};
use super::call::Call;
use super::constants::Constant;
use super::folding::axis_of;
use super::tensor::{Folded, Network, Place, Tensor};
use crate::graph::{Activation, GraphError, Operation, Padding, Pooling, Shape};
use ndarray::{Array1, Array2, ArrayD, Axis, Ix1, Ix2};

/// What a node reads: numbers known now, or those of a layer.
#[derive(Clone)]
pub(super) enum Value {
    Constant(Constant),
    Tensor(Tensor),
    /// More axes than a layer has, until a reshape makes them fewer.
    Folded(Folded),
}

/// A node under translation.
pub(super) struct Translation<'a, 'c> {
    pub(super) network: &'a mut Network,
    pub(super) call: &'a mut Call<'c>,
    /// Its inputs; those left out in between are `None`.
    pub(super) inputs: Vec<Option<Value>>,
    /// Numbers that a following `Add` puts on the features of a `MatMul`.
    pub(super) bias: Option<Array1<f32>>,
}

impl Translation<'_, '_> {
    /// Adds what the node computes; several values where it has several outputs.
    pub(super) fn run(&mut self) -> Result<Vec<Value>, ImportError> {
        let operation = self.call.operation();
        if operation == "Split" {
            return Ok(self.split()?.into_iter().map(Value::Tensor).collect());
        }
        if matches!(operation, "Reshape" | "Transpose")
            && let Some(value) = self.fold()?
        {
            return Ok(vec![value]);
        }
        Ok(vec![Value::Tensor(self.tensor_of()?)])
    }

    fn tensor_of(&mut self) -> Result<Tensor, ImportError> {
        let operation = self.call.operation();
        match operation {
            "Gemm" => self.gemm(),
            "MatMul" => self.matrix_product(),
            "Conv" => self.convolution(),
            "ConvTranspose" => self.transposed_convolution(),
            "MaxPool" => self.pool(Pooling::Max),
            "AveragePool" => self.pool(Pooling::Average { count_padding: false }),
            "GlobalMaxPool" => self.global_pool(Pooling::Max),
            "GlobalAveragePool" => self.global_pool(Pooling::Average { count_padding: false }),
            "ReduceMean" => self.reduce_mean(),
            "BatchNormalization" => self.batch_normalization(),
            "Relu" => self.activate(Activation::RELU),
            "LeakyRelu" => {
                let negative_slope = self.call.number_or("alpha", 0.01);
                self.activate(Activation::Relu { negative_slope, max: None })
            }
            "ThresholdedRelu" => {
                let threshold = self.call.number_or("alpha", 1.0);
                self.activate(Activation::ClampedRelu { threshold, max: None })
            }
            "PRelu" => self.parametric_relu(),
            "Elu" => {
                let alpha = self.call.number_or("alpha", 1.0);
                self.activate(Activation::Elu { alpha, scale: 1.0 })
            }
            "Selu" => {
                let (alpha, scale) =
                    (self.call.number_or("alpha", 1.673_263_2), self.call.number_or("gamma", 1.050_701));
                self.activate(Activation::Elu { alpha, scale })
            }
            "Gelu" => {
                let tanh = self.call.string_or("approximate", "none")? == "tanh";
                self.activate(Activation::Gelu { tanh })
            }
            "HardSigmoid" => {
                let (slope, offset) = (self.call.number_or("alpha", 0.2), self.call.number_or("beta", 0.5));
                self.activate(Activation::HardSigmoid { slope, offset })
            }
            "HardSwish" => self.activate(Activation::HardSwish),
            "Mish" => self.activate(Activation::Mish),
            "Softsign" => self.activate(Activation::Softsign),
            "Exp" => self.activate(Activation::Exponential),
            "Clip" => self.clip(),
            "Floor" => self.activate(Activation::Floor),
            "Round" => self.activate(Activation::Round),
            "Sigmoid" => self.activate(Activation::Sigmoid),
            "Tanh" => self.activate(Activation::Tanh),
            "Softplus" => self.activate(Activation::Softplus { scale: 1.0 }),
            "Softmax" => self.softmax(Activation::Softmax),
            "LogSoftmax" => self.softmax(Activation::LogSoftmax),
            "Slice" => self.slice(),
            "Gather" => self.gather(),
            "Identity" => self.tensor(0),
            "Cast" => {
                let to = self.call.integer_or("to", 1)?;
                match to {
                    1 | 10 | 11 | 16 => self.tensor(0),
                    to => Err(self
                        .call
                        .unsupported(format!("a conversion of activations to data type {to} is not supported"))),
                }
            }
            "Dropout" => {
                // Whether it trains is an input since opset 12.
                self.call.number_or("ratio", 0.5);
                self.call.integer_or("is_test", 1)?;
                self.call.integer_or("seed", 0)?;
                let training =
                    self.constant(2).and_then(|training| training.integers()).is_some_and(|flag| flag != [0]);
                if training {
                    return Err(self.call.unsupported("a dropout in training mode is not supported"));
                }
                self.tensor(0)
            }
            "Flatten" => self.flatten(),
            "Reshape" | "Squeeze" | "Unsqueeze" => self.reshape(),
            "Transpose" => self.transpose(),
            "Concat" => self.concatenate(),
            "Add" | "Sub" | "Mul" | "Div" | "Sum" | "Mean" | "Max" | "Min" | "Neg" => self.arithmetic(),
            "Pad" => self.pad(),
            "Upsample" | "Resize" => self.resize(),
            _ => Err(self.call.unsupported(unsupported::onnx(operation))),
        }
    }

    pub(super) fn constant(&self, place: usize) -> Option<&Constant> {
        match self.inputs.get(place) {
            Some(Some(Value::Constant(constant))) => Some(constant),
            _ => None,
        }
    }

    pub(super) fn is_given(&self, place: usize) -> bool {
        self.inputs.get(place).is_some_and(Option::is_some)
    }

    pub(super) fn tensor(&self, place: usize) -> Result<Tensor, ImportError> {
        match self.inputs.get(place) {
            Some(Some(Value::Tensor(tensor))) => Ok(tensor.clone()),
            Some(Some(Value::Folded(folded))) => {
                let sizes = folded.dimensions();
                Err(self.call.misfit(format!("expected at most three axes per sample, found {sizes:?}")))
            }
            _ => Err(self.call.misfit(format!("expected activations as input number {place}"))),
        }
    }

    /// A constant of `N` axes.
    pub(super) fn weights<D: ndarray::Dimension>(&self, place: usize) -> Result<ndarray::Array<f32, D>, ImportError> {
        let constant = self.constant(place);
        let constant =
            constant.ok_or_else(|| self.call.misfit(format!("expected constant weights as input number {place}")))?;
        let array = constant.floats().as_standard_layout().into_owned();
        array.into_dimensionality().map_err(|_| {
            let rank = D::NDIM.unwrap_or_default();
            self.call.misfit(format!("expected weights of {rank} axes, found shape {:?}", constant.shape()))
        })
    }

    pub(super) fn bias(&self, place: usize) -> Result<Option<Array1<f32>>, ImportError> {
        if self.is_given(place) { self.weights::<Ix1>(place).map(Some) } else { Ok(None) }
    }

    pub(super) fn fault(&self, fault: GraphError) -> ImportError {
        fault.into()
    }

    pub(super) fn maps(&mut self, place: usize) -> Result<Tensor, ImportError> {
        let tensor = self.tensor(place)?;
        let maps = self.network.as_maps(&tensor, self.call.name())?;
        maps.ok_or_else(|| {
            self.call.misfit(format!("expected at most two spatial axes, found {:?}", tensor.dimensions()))
        })
    }

    /// A layer over maps, its axes those of the input: of two, the second is the columns.
    pub(super) fn over_maps(
        &mut self,
        kind: &str,
        operation: Operation,
        input: &Tensor,
        shape: Option<Shape>,
    ) -> Result<Tensor, ImportError> {
        let layer = match shape {
            Some(shape) => self.network.add_shaped(self.call.name(), kind, operation, input, shape)?,
            None => self.network.add(self.call.name(), kind, operation, input)?,
        };
        let shape = self.network.builder.shape(layer);
        Ok(if input.axes.len() == 2 { Tensor::sequence(layer, shape) } else { Tensor::new(layer, shape) })
    }

    /// A layer that changes no axis.
    pub(super) fn like(&mut self, kind: &str, operation: Operation, input: &Tensor) -> Result<Tensor, ImportError> {
        let layer = self.network.add(self.call.name(), kind, operation, input)?;
        Ok(Tensor { layer, axes: input.axes.clone() })
    }

    fn activate(&mut self, activation: Activation) -> Result<Tensor, ImportError> {
        let input = self.tensor(0)?;
        self.like("Activation", Operation::Activation(activation), &input)
    }

    fn clip(&mut self) -> Result<Tensor, ImportError> {
        let bound = |translation: &Self, place: usize| -> Result<Option<f32>, ImportError> {
            if translation.is_given(place) {
                let value = translation.constant(place).map(Constant::floats).filter(|value| value.len() == 1);
                let value = value.ok_or_else(|| translation.call.misfit("expected single numbers as bounds"))?;
                return Ok(value.first().copied());
            }
            Ok(None)
        };
        // Bounds became inputs.
        let (mut min, mut max) = (bound(self, 1)?, bound(self, 2)?);
        self.call.attribute("consumed_inputs");
        if self.call.opset < 11 {
            min = Some(self.call.number_or("min", f32::NEG_INFINITY));
            max = Some(self.call.number_or("max", f32::INFINITY));
        }
        let max = max.filter(|max| *max < f32::MAX);
        match min {
            Some(0.0) => self.activate(Activation::Relu { negative_slope: 0.0, max }),
            min => Err(self.call.misfit(format!(
                "expected a clipping from 0 on, as of a ReLU6, found {} to {}",
                min.unwrap_or(f32::NEG_INFINITY),
                max.unwrap_or(f32::INFINITY)
            ))),
        }
    }

    fn parametric_relu(&mut self) -> Result<Tensor, ImportError> {
        let input = self.tensor(0)?;
        let slopes = self.constant(1).map(Constant::floats);
        let slopes = slopes.ok_or_else(|| self.call.misfit("expected constant slopes"))?;
        let input = match input.axes.len() {
            1 => self.network.as_vector(&input, &format!("{}_flatten", self.call.name()))?,
            _ => self.maps(0)?,
        };
        let channels = input.dimensions()[0];
        let after = input.axes.len() - 1;
        // Before opset 7 a single axis of slopes was that of the channels.
        let spread = match spread(&slopes, &[channels], after) {
            None if slopes.shape() == [channels] && self.call.opset < 7 => slopes.into_dimensionality::<Ix1>().ok(),
            slopes => slopes,
        };
        let slopes = spread
            .ok_or_else(|| self.call.misfit(format!("expected one slope, or one for each of {channels} channels")))?;
        self.like("PReLU", Operation::ParametricRelu { slopes }, &input)
    }

    fn softmax(&mut self, activation: Activation) -> Result<Tensor, ImportError> {
        let input = self.tensor(0)?;
        let rank = input.axes.len() + 1;
        let axis = self.call.integer_or("axis", if self.call.opset < 13 { 1 } else { -1 })?;
        let axis = axis_of(axis, rank).filter(|&axis| axis > 0);
        let axis = axis.ok_or_else(|| self.call.misfit("expected an axis of each sample"))?;
        let input = if self.call.opset < 13 {
            // What follows the axis is one vector.
            if axis != 1 {
                return Err(self.call.misfit(format!("expected axis 1 before opset 13, found {axis}")));
            }
            if rank > 2 { self.network.as_vector(&input, &format!("{}_flatten", self.call.name()))? } else { input }
        } else if rank > 2 {
            let mut moved = input;
            let place = moved.axes.remove(axis - 1);
            moved.axes.insert(0, place);
            let name = self.call.name();
            let maps = self.network.as_maps(&moved, name)?;
            let maps = maps.ok_or_else(|| self.call.misfit("expected at most three axes"))?;
            let mut output = self.like("Activation", Operation::Activation(activation), &maps)?;
            let place = output.axes.remove(0);
            output.axes.insert(axis - 1, place);
            return Ok(output);
        } else {
            self.network.as_vector(&input, &format!("{}_flatten", self.call.name()))?
        };
        self.like("Activation", Operation::Activation(activation), &input)
    }

    fn gemm(&mut self) -> Result<Tensor, ImportError> {
        self.call.integer_or("broadcast", 0)?;
        let input = self.tensor(0)?;
        let mut weights = self.weights::<Ix2>(1)?;
        let (alpha, beta) = (self.call.number_or("alpha", 1.0), self.call.number_or("beta", 1.0));
        if self.call.integer_or("transA", 0)? != 0 {
            return Err(self.call.unsupported("transA other than 0 is not supported"));
        }
        if self.call.integer_or("transB", 0)? != 0 {
            weights = weights.t().as_standard_layout().into_owned();
        }
        if alpha != 1.0 {
            weights.mapv_inplace(|weight| weight * alpha);
        }
        let bias = if self.is_given(2) {
            let constant = self.constant(2).map(Constant::floats);
            let outputs = weights.ncols();
            let bias = constant.and_then(|bias| spread(&bias, &[outputs], 0));
            let bias =
                bias.ok_or_else(|| self.call.misfit(format!("expected a constant bias of {outputs} numbers")))?;
            Some(bias.mapv(|bias| bias * beta))
        } else {
            None
        };
        self.dense(&input, weights, bias)
    }

    fn dense(
        &mut self,
        input: &Tensor,
        weights: Array2<f32>,
        bias: Option<Array1<f32>>,
    ) -> Result<Tensor, ImportError> {
        if input.axes.len() > 1 {
            return Err(self.call.misfit(format!("expected one vector per sample, found {:?}", input.dimensions())));
        }
        let input = self.network.as_vector(input, &format!("{}_flatten", self.call.name()))?;
        self.like("Dense", Operation::Dense { weights, bias }, &input).map(|output| {
            let size = self.network.shape(&output).len();
            Tensor { axes: vec![Place { size, axis: Some(0) }], ..output }
        })
    }

    fn matrix_product(&mut self) -> Result<Tensor, ImportError> {
        let input = self.tensor(0)?;
        let weights = self.weights::<Ix2>(1)?;
        let bias = self.bias.take();
        if input.axes.len() == 1 {
            return self.dense(&input, weights, bias);
        }
        // Over more axes it acts on the last: a convolution of one cell.
        let mut moved = input;
        moved.axes.rotate_right(1);
        let maps = self.network.as_maps(&moved, self.call.name())?;
        let maps = maps.ok_or_else(|| self.call.misfit("expected at most three axes"))?;
        let weights = weights.t().as_standard_layout().into_owned().insert_axis(Axis(2)).insert_axis(Axis(3));
        let operation = Operation::Convolution {
            weights,
            bias,
            strides: (1, 1),
            padding: Padding::default(),
            dilation: (1, 1),
            groups: 1,
        };
        let mut output = self.over_maps("Conv2D", operation, &maps, None)?;
        output.axes.rotate_left(1);
        Ok(output)
    }

    /// Inputs whose layers have one order of axes, and that order.
    fn aligned(&mut self, first: usize) -> Result<Vec<Tensor>, ImportError> {
        let mut tensors = Vec::new();
        for place in 0..self.inputs.len() {
            tensors.push(self.tensor(place)?);
        }
        let rank = tensors[0].axes.len();
        if tensors.iter().any(|tensor| tensor.axes.len() != rank) {
            return Err(self.call.misfit("expected inputs of as many axes each"));
        }
        let name = self.call.name();
        let mut aligned = Vec::new();
        for mut tensor in tensors {
            if rank == 1 {
                aligned.push(self.network.as_vector(&tensor, &format!("{name}_flatten"))?);
                continue;
            }
            // The axis that counts becomes the channels.
            let place = tensor.axes.remove(first);
            tensor.axes.insert(0, place);
            let maps = self.network.as_maps(&tensor, name)?;
            aligned.push(maps.ok_or_else(|| self.call.misfit("expected at most three axes"))?);
        }
        Ok(aligned)
    }

    fn merge(
        &mut self,
        kind: &str,
        operation: Operation,
        inputs: &[Tensor],
        channel_axis: usize,
    ) -> Result<Tensor, ImportError> {
        let layers: Vec<_> = inputs.iter().map(|input| input.layer).collect();
        let name = self.network.builder.free_name(self.call.name());
        let layer = self.network.builder.add(name, kind, operation, &layers).map_err(|fault| self.fault(fault))?;
        let shape = self.network.builder.shape(layer);
        let mut output =
            if inputs[0].axes.len() == 2 { Tensor::sequence(layer, shape) } else { Tensor::new(layer, shape) };
        let place = output.axes.remove(0);
        output.axes.insert(channel_axis, place);
        Ok(output)
    }

    fn concatenate(&mut self) -> Result<Tensor, ImportError> {
        let rank = self.tensor(0)?.axes.len() + 1;
        let axis = self.call.integer_or("axis", 1)?;
        let axis = axis_of(axis, rank).filter(|&axis| axis > 0);
        let axis = axis.ok_or_else(|| self.call.misfit("expected an axis of each sample"))?;
        let inputs = self.aligned(axis - 1)?;
        self.merge("Concatenate", Operation::Concatenate, &inputs, axis - 1)
    }

    fn arithmetic(&mut self) -> Result<Tensor, ImportError> {
        let operation = self.call.operation();
        let constants = (0..self.inputs.len()).filter(|&place| self.constant(place).is_some()).collect::<Vec<_>>();
        match constants[..] {
            [] if operation != "Div" => {
                let mut inputs = self.aligned(0)?;
                if operation == "Neg" {
                    return self.scaled(&inputs[0], -1.0);
                }
                if inputs.len() == 1 {
                    return Ok(inputs[0].clone());
                }
                match operation {
                    "Mul" => self.merge("Multiply", Operation::Multiply, &inputs, 0),
                    "Max" => self.merge("Maximum", Operation::Maximum, &inputs, 0),
                    "Min" => self.merge("Minimum", Operation::Minimum, &inputs, 0),
                    "Sub" => {
                        inputs[1] = self.scaled(&inputs[1], -1.0)?;
                        self.merge("Add", Operation::Add, &inputs, 0)
                    }
                    "Mean" => {
                        let sum = self.merge("Add", Operation::Add, &inputs, 0)?;
                        self.scaled(&sum, 1.0 / inputs.len() as f32)
                    }
                    _ => self.merge("Add", Operation::Add, &inputs, 0),
                }
            }
            [place] if self.inputs.len() == 2 && matches!(operation, "Max" | "Min") => self.clip_at(operation, place),
            [place] if self.inputs.len() == 2 && matches!(operation, "Add" | "Sub" | "Mul" | "Div") => {
                self.affine(operation, place)
            }
            _ => Err(self.call.unsupported("this arithmetic between activations is not supported")),
        }
    }

    /// The numbers times a factor.
    fn scaled(&mut self, input: &Tensor, factor: f32) -> Result<Tensor, ImportError> {
        let channels = self.network.shape(input).channels();
        self.like("BatchNormalization", Operation::scale_and_shift(channels, factor, 0.0), input)
    }

    /// The larger or smaller of activations and a number: a rectifier where it is a maximum with 0.
    fn clip_at(&mut self, operation: &str, place: usize) -> Result<Tensor, ImportError> {
        let bound = self.constant(place).map(Constant::floats).filter(|bound| bound.iter().all(|&bound| bound == 0.0));
        match (operation, bound) {
            ("Max", Some(_)) => {
                let input = self.tensor(1 - place)?;
                self.like("Activation", Operation::Activation(Activation::RELU), &input)
            }
            _ => Err(self.call.misfit("expected the maximum with 0, which is a ReLU, found other bounds")),
        }
    }

    /// A constant a channel (or one for all) added to or multiplied with activations: a batch normalisation by
    /// another name.
    fn affine(&mut self, operation: &str, place: usize) -> Result<Tensor, ImportError> {
        let input = self.tensor(1 - place)?;
        let mut constant = self.constant(place).map(Constant::floats).unwrap_or_default();
        // Before opset 7 the axes of a constant started at 'axis'.
        self.call.integer_or("broadcast", 0)?;
        if self.call.attribute("axis").is_some() {
            let axis = self.call.integer_or("axis", 0)?;
            let rank = input.axes.len() + 1;
            let missing = axis_of(axis, rank).and_then(|axis| (rank - axis).checked_sub(constant.ndim()));
            let missing = missing
                .ok_or_else(|| self.call.misfit(format!("expected an axis of the first input, found {axis}")))?;
            let shape = [constant.shape(), &vec![1; missing]].concat();
            constant = constant.into_shape_with_order(shape).map_err(|error| self.call.misfit(error.to_string()))?;
        }
        let (input, channels) = if input.axes.len() == 1 {
            let input = self.network.as_vector(&input, &format!("{}_flatten", self.call.name()))?;
            let channels = input.dimensions()[0];
            (input, channels)
        } else {
            let maps = self.network.as_maps(&input, self.call.name())?;
            let maps = maps.ok_or_else(|| self.call.misfit("expected at most three axes"))?;
            let channels = maps.dimensions()[0];
            (maps, channels)
        };
        let values = spread(&constant, &[channels], input.axes.len() - 1);
        let values = values.ok_or_else(|| {
            let found = constant.shape();
            self.call.misfit(format!("expected one constant for each of {channels} channels, found shape {found:?}"))
        })?;
        let (ones, zeros) = (Array1::ones(channels), Array1::zeros(channels));
        let (gamma, beta) = match (operation, place) {
            ("Add", _) => (ones, values),
            ("Sub", 1) => (ones, -values),
            ("Sub", _) => (-ones, values),
            ("Mul", _) => (values, zeros),
            ("Div", 1) => (values.mapv(f32::recip), zeros),
            _ => return Err(self.call.unsupported("a division by activations is not supported")),
        };
        self.like("BatchNormalization", Operation::affine(gamma, beta), &input)
    }
}

/// A constant that broadcasts over the samples and the `after` last axes, as one number a channel.
pub(super) fn spread(constant: &ArrayD<f32>, channels: &[usize; 1], after: usize) -> Option<Array1<f32>> {
    if constant.len() == 1 {
        return constant.first().map(|&value| Array1::from_elem(channels[0], value));
    }
    // (1, channels, 1, ...), leading axes left out at will.
    let shape = constant.shape();
    let channel_axis = shape.len().checked_sub(after + 1)?;
    let others_single = shape.iter().enumerate().all(|(axis, &size)| axis == channel_axis || size == 1);
    (others_single && shape[channel_axis] == channels[0]).then(|| constant.iter().copied().collect())
}
