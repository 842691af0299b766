//! What each ONNX operator means.

use super::super::{ModelFile, Problem, widen_to_ceil};
use super::constants::{Constant, axis_of, new_shape, resolve_shape};
use super::proto;
use super::tensor::{Network, Place, Tensor};
use crate::ann::graph::{Activation, Fault, Operation, Padding, Pooling, Shape};
use ndarray::{Array1, Array2, ArrayD, Axis, Ix1, Ix2, Ix4};
use std::collections::BTreeSet;

/// A node, its attributes taken once each so that one which nobody understood is found.
pub(super) struct Call<'a> {
    node: &'a proto::Node,
    file: &'a ModelFile,
    opset: i64,
    taken: BTreeSet<&'static str>,
}

impl<'a> Call<'a> {
    pub(super) fn new(node: &'a proto::Node, file: &'a ModelFile, opset: i64) -> Self {
        Self { node, file, opset, taken: BTreeSet::new() }
    }

    pub(super) fn operation(&self) -> &'a str {
        &self.node.op_type
    }

    /// Name of the node; where it has none, of what it gives.
    pub(super) fn name(&self) -> &'a str {
        match &self.node.name[..] {
            "" => self.node.output.first().map_or("", |name| name),
            name => name,
        }
    }

    /// A refusal that names the node.
    pub(super) fn unsupported(&self, message: impl Into<String>) -> Problem {
        Problem::Unsupported { layer: self.name().into(), kind: self.operation().into(), message: message.into() }
    }

    fn attribute(&mut self, name: &'static str) -> Option<&'a proto::Attribute> {
        self.taken.insert(name);
        self.node.attribute.iter().find(|attribute| attribute.name == name)
    }

    pub(super) fn integer_or(&mut self, name: &'static str, default: i64) -> Result<i64, Problem> {
        Ok(self.attribute(name).map_or(default, |attribute| attribute.i))
    }

    fn number_or(&mut self, name: &'static str, default: f32) -> f32 {
        self.attribute(name).map_or(default, |attribute| attribute.f)
    }

    fn string_or(&mut self, name: &'static str, default: &'static str) -> Result<&'a str, Problem> {
        let Some(attribute) = self.attribute(name) else { return Ok(default) };
        std::str::from_utf8(&attribute.s).map_err(|_| self.unsupported(format!("expected text as attribute '{name}'")))
    }

    pub(super) fn integers(&mut self, name: &'static str) -> Result<Option<Vec<i64>>, Problem> {
        Ok(self.attribute(name).map(|attribute| attribute.ints.clone()))
    }

    fn counts(&mut self, name: &'static str) -> Result<Option<Vec<usize>>, Problem> {
        let Some(values) = self.integers(name)? else { return Ok(None) };
        let counts = values.iter().map(|&value| usize::try_from(value).ok()).collect::<Option<Vec<_>>>();
        match counts {
            Some(counts) => Ok(Some(counts)),
            None => Err(self.unsupported(format!("expected counts as attribute '{name}', found {values:?}"))),
        }
    }

    pub(super) fn tensor(&mut self, name: &'static str) -> Result<Option<Constant>, Problem> {
        let tensor = self.attribute(name).and_then(|attribute| attribute.t.as_ref());
        tensor.map(|tensor| Constant::decode(tensor, self.file)).transpose()
    }

    /// The attribute `axes`, which became an input.
    pub(super) fn axes(&mut self, input: Option<&Constant>) -> Result<Option<Vec<i64>>, Problem> {
        match input {
            Some(constant) => Ok(constant.integers()),
            None => self.integers("axes"),
        }
    }

    /// The attribute `perm`, default the reverse.
    pub(super) fn permutation(&mut self, rank: usize) -> Result<Vec<usize>, Problem> {
        let axes = self.counts("perm")?.unwrap_or_else(|| (0..rank).rev().collect());
        let mut sorted = axes.clone();
        sorted.sort_unstable();
        if !sorted.iter().copied().eq(0..rank) {
            return Err(self.unsupported(format!("expected {rank} axes in some order as 'perm', found {axes:?}")));
        }
        Ok(axes)
    }

    /// The value of a `Constant` node.
    pub(super) fn constant(&mut self) -> Result<Constant, Problem> {
        if let Some(constant) = self.tensor("value")? {
            return Ok(constant);
        }
        let array = |values: Vec<f32>| ArrayD::from_shape_vec(vec![values.len()], values);
        let scalar = |value: f32| Constant::Floats(ArrayD::from_elem(vec![], value));
        if let Some(attribute) = self.attribute("value_float") {
            return Ok(scalar(attribute.f));
        }
        if let Some(attribute) = self.attribute("value_int") {
            return Ok(Constant::Integers(ArrayD::from_elem(vec![], attribute.i)));
        }
        if let Some(attribute) = self.attribute("value_ints") {
            return Ok(Constant::of_integers(attribute.ints.clone()));
        }
        let floats = self.attribute("value_floats").and_then(|attribute| array(attribute.floats.clone()).ok());
        floats.map(Constant::Floats).ok_or_else(|| self.unsupported("expected a constant of numbers"))
    }

    /// Refuses attributes that are left.
    pub(super) fn finish(&self) -> Result<(), Problem> {
        match self.node.attribute.iter().find(|attribute| !self.taken.contains(attribute.name.as_str())) {
            Some(attribute) => Err(self.unsupported(format!("attribute '{}' is not supported", attribute.name))),
            None => Ok(()),
        }
    }
}

/// What a node reads: numbers known now, or those of a layer.
#[derive(Clone)]
pub(super) enum Value {
    Constant(Constant),
    Tensor(Tensor),
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
    /// Adds what the node computes.
    pub(super) fn run(&mut self) -> Result<Tensor, Problem> {
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
            "Clip" => self.clip(),
            "Sigmoid" => self.activate(Activation::Sigmoid),
            "Tanh" => self.activate(Activation::Tanh),
            "Softplus" => self.activate(Activation::Softplus { scale: 1.0 }),
            "Softmax" => self.softmax(),
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
            "Add" | "Sub" | "Mul" | "Div" | "Sum" => self.arithmetic(),
            "Pad" => self.pad(),
            "Upsample" | "Resize" => self.resize(),
            _ => Err(self.call.unsupported("this operator is not supported")),
        }
    }

    fn constant(&self, place: usize) -> Option<&Constant> {
        match self.inputs.get(place) {
            Some(Some(Value::Constant(constant))) => Some(constant),
            _ => None,
        }
    }

    fn is_given(&self, place: usize) -> bool {
        self.inputs.get(place).is_some_and(Option::is_some)
    }

    fn tensor(&self, place: usize) -> Result<Tensor, Problem> {
        match self.inputs.get(place) {
            Some(Some(Value::Tensor(tensor))) => Ok(tensor.clone()),
            _ => Err(self.call.unsupported(format!("expected activations as input number {place}"))),
        }
    }

    /// A constant of so many axes.
    fn weights<D: ndarray::Dimension>(&self, place: usize) -> Result<ndarray::Array<f32, D>, Problem> {
        let constant = self.constant(place);
        let constant = constant
            .ok_or_else(|| self.call.unsupported(format!("expected constant weights as input number {place}")))?;
        let array = constant.floats().as_standard_layout().into_owned();
        array.into_dimensionality().map_err(|_| {
            let rank = D::NDIM.unwrap_or_default();
            self.call.unsupported(format!("expected weights of {rank} axes, found shape {:?}", constant.shape()))
        })
    }

    fn bias(&self, place: usize) -> Result<Option<Array1<f32>>, Problem> {
        if self.is_given(place) { self.weights::<Ix1>(place).map(Some) } else { Ok(None) }
    }

    fn fault(&self, fault: Fault) -> Problem {
        fault.into()
    }

    fn maps(&mut self, place: usize) -> Result<Tensor, Problem> {
        let tensor = self.tensor(place)?;
        let maps = self.network.as_maps(&tensor, self.call.name())?;
        maps.ok_or_else(|| {
            self.call.unsupported(format!("expected at most two spatial axes, found {:?}", tensor.dimensions()))
        })
    }

    /// A layer over maps, its axes those of the input: of two, the second is the columns.
    fn over_maps(
        &mut self,
        kind: &str,
        operation: Operation,
        input: &Tensor,
        shape: Option<Shape>,
    ) -> Result<Tensor, Problem> {
        let layer = match shape {
            Some(shape) => self.network.add_shaped(self.call.name(), kind, operation, input, shape)?,
            None => self.network.add(self.call.name(), kind, operation, input)?,
        };
        let shape = self.network.builder.shape(layer);
        Ok(if input.axes.len() == 2 { Tensor::sequence(layer, shape) } else { Tensor::new(layer, shape) })
    }

    /// A layer that changes no axis.
    fn like(&mut self, kind: &str, operation: Operation, input: &Tensor) -> Result<Tensor, Problem> {
        let layer = self.network.add(self.call.name(), kind, operation, input)?;
        Ok(Tensor { layer, axes: input.axes.clone() })
    }

    fn activate(&mut self, activation: Activation) -> Result<Tensor, Problem> {
        let input = self.tensor(0)?;
        self.like("Activation", Operation::Activation(activation), &input)
    }

    fn clip(&mut self) -> Result<Tensor, Problem> {
        let bound = |translation: &Self, place: usize| -> Result<Option<f32>, Problem> {
            if translation.is_given(place) {
                let value = translation.constant(place).map(Constant::floats).filter(|value| value.len() == 1);
                let value = value.ok_or_else(|| translation.call.unsupported("expected single numbers as bounds"))?;
                return Ok(value.first().copied());
            }
            Ok(None)
        };
        // Bounds became inputs.
        let (mut min, mut max) = (bound(self, 1)?, bound(self, 2)?);
        if self.call.opset < 11 {
            min = Some(self.call.number_or("min", f32::NEG_INFINITY));
            max = Some(self.call.number_or("max", f32::INFINITY));
        }
        let max = max.filter(|max| *max < f32::MAX);
        match min {
            Some(0.0) => self.activate(Activation::Relu { negative_slope: 0.0, max }),
            min => Err(self
                .call
                .unsupported(format!("expected a clipping from 0 on, as of a ReLU6, found {min:?} to {max:?}"))),
        }
    }

    fn softmax(&mut self) -> Result<Tensor, Problem> {
        let input = self.tensor(0)?;
        let rank = input.axes.len() + 1;
        let axis = self.call.integer_or("axis", if self.call.opset < 13 { 1 } else { -1 })?;
        let axis = axis_of(axis, rank).filter(|&axis| axis > 0);
        let axis = axis.ok_or_else(|| self.call.unsupported("expected an axis of each sample"))?;
        let input = if self.call.opset < 13 {
            // What follows the axis is one vector.
            if axis != 1 {
                return Err(self.call.unsupported(format!("expected axis 1 before opset 13, found {axis}")));
            }
            if rank > 2 { self.network.as_vector(&input, &format!("{}_flatten", self.call.name()))? } else { input }
        } else if rank > 2 {
            let mut moved = input;
            let place = moved.axes.remove(axis - 1);
            moved.axes.insert(0, place);
            let name = self.call.name();
            let maps = self.network.as_maps(&moved, name)?;
            let maps = maps.ok_or_else(|| self.call.unsupported("expected at most three axes"))?;
            let mut output = self.like("Activation", Operation::Activation(Activation::Softmax), &maps)?;
            let place = output.axes.remove(0);
            output.axes.insert(axis - 1, place);
            return Ok(output);
        } else {
            self.network.as_vector(&input, &format!("{}_flatten", self.call.name()))?
        };
        self.like("Activation", Operation::Activation(Activation::Softmax), &input)
    }

    fn gemm(&mut self) -> Result<Tensor, Problem> {
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
                bias.ok_or_else(|| self.call.unsupported(format!("expected a constant bias of {outputs} numbers")))?;
            Some(bias.mapv(|bias| bias * beta))
        } else {
            None
        };
        self.dense(&input, weights, bias)
    }

    fn dense(&mut self, input: &Tensor, weights: Array2<f32>, bias: Option<Array1<f32>>) -> Result<Tensor, Problem> {
        if input.axes.len() > 1 {
            return Err(self.call.unsupported(format!("expected a vector a sample, found {:?}", input.dimensions())));
        }
        let input = self.network.as_vector(input, &format!("{}_flatten", self.call.name()))?;
        self.like("Dense", Operation::Dense { weights, bias }, &input).map(|output| {
            let size = self.network.shape(&output).len();
            Tensor { axes: vec![Place { size, axis: Some(0) }], ..output }
        })
    }

    fn matrix_product(&mut self) -> Result<Tensor, Problem> {
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
        let maps = maps.ok_or_else(|| self.call.unsupported("expected at most three axes"))?;
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

    /// Kernel size, strides, dilation and padding over maps; of one-dimensional ones the vertical is trivial.
    fn windows(&mut self, rank: usize, size: Option<(usize, usize)>, map: (usize, usize)) -> Result<Windows, Problem> {
        let pair = |call: &mut Call,
                    name: &'static str,
                    default: Option<(usize, usize)>|
         -> Result<(usize, usize), Problem> {
            match (call.counts(name)?.as_deref(), default) {
                (Some([horizontal]), _) if rank == 1 => Ok((1, *horizontal)),
                (Some([vertical, horizontal]), _) if rank == 2 => Ok((*vertical, *horizontal)),
                (None, Some(default)) => Ok(default),
                (found, _) => Err(call.unsupported(format!("expected {rank} numbers as '{name}', found {found:?}"))),
            }
        };
        let size = pair(self.call, "kernel_shape", size)?;
        let strides = pair(self.call, "strides", Some((1, 1)))?;
        let dilation = pair(self.call, "dilations", Some((1, 1)))?;
        let mut padding = match (self.call.counts("pads")?.as_deref(), rank) {
            (None, _) => Padding::default(),
            (Some([left, right]), 1) => Padding { left: *left, right: *right, ..Padding::default() },
            (Some([top, left, bottom, right]), 2) => Padding { top: *top, bottom: *bottom, left: *left, right: *right },
            (Some(found), _) => {
                return Err(self.call.unsupported(format!("expected {} numbers as 'pads', found {found:?}", 2 * rank)));
            }
        };
        let same = |n: usize, size: usize, stride: usize, dilation: usize| {
            let windows = n.div_ceil(stride.max(1));
            let extent = size.saturating_sub(1).saturating_mul(dilation).saturating_add(1);
            (windows.saturating_sub(1).saturating_mul(stride)).saturating_add(extent).saturating_sub(n)
        };
        match self.call.string_or("auto_pad", "NOTSET")? {
            "NOTSET" | "" => {}
            "VALID" => padding = Padding::default(),
            mode @ ("SAME_UPPER" | "SAME_LOWER") => {
                let (down, across) =
                    (same(map.0, size.0, strides.0, dilation.0), same(map.1, size.1, strides.1, dilation.1));
                // The odd cell goes to the end, or to the beginning.
                let first = |total: usize| if mode == "SAME_UPPER" { total / 2 } else { total.div_ceil(2) };
                padding = Padding {
                    top: first(down),
                    bottom: down - first(down),
                    left: first(across),
                    right: across - first(across),
                };
            }
            other => return Err(self.call.unsupported(format!("auto_pad '{other}' is not supported"))),
        }
        Ok(Windows { size, strides, dilation, padding })
    }

    fn spatial(&self, maps: &Tensor) -> (usize, usize) {
        match self.network.shape(maps) {
            Shape::Maps { height, width, .. } => (height, width),
            Shape::Features(_) => (1, 1),
        }
    }

    /// Kernels with four axes.
    fn kernels(&self, rank: usize) -> Result<ndarray::Array4<f32>, Problem> {
        if rank == 1 { Ok(self.weights::<ndarray::Ix3>(1)?.insert_axis(Axis(2))) } else { self.weights::<Ix4>(1) }
    }

    fn convolution(&mut self) -> Result<Tensor, Problem> {
        let maps = self.maps(0)?;
        let rank = maps.axes.len() - 1;
        let weights = self.kernels(rank)?;
        let (_, _, height, width) = weights.dim();
        let windows = self.windows(rank, Some((height, width)), self.spatial(&maps))?;
        if windows.size != (height, width) {
            return Err(self.call.unsupported(format!(
                "expected kernels of {:?}, found {:?}",
                windows.size,
                (height, width)
            )));
        }
        let groups = self.call.integer_or("group", 1)?;
        let groups =
            usize::try_from(groups).map_err(|_| self.call.unsupported(format!("expected groups, found {groups}")))?;
        let bias = self.bias(2)?;
        let Windows { strides, dilation, padding, .. } = windows;
        let kind = match (rank, groups > 1 && weights.dim().1 == 1) {
            (1, false) => "Conv1D",
            (1, true) => "DepthwiseConv1D",
            (_, false) => "Conv2D",
            (_, true) => "DepthwiseConv2D",
        };
        let operation = Operation::Convolution { weights, bias, strides, padding, dilation, groups };
        self.over_maps(kind, operation, &maps, None)
    }

    fn transposed_convolution(&mut self) -> Result<Tensor, Problem> {
        let maps = self.maps(0)?;
        let rank = maps.axes.len() - 1;
        let weights = self.kernels(rank)?;
        let (_, per_group, height, width) = weights.dim();
        let extra = self.call.counts("output_padding")?.unwrap_or_else(|| vec![0; rank]);
        if self.call.integers("output_shape")?.is_some() {
            return Err(self.call.unsupported("attribute 'output_shape' is not supported; 'pads' are"));
        }
        if !["NOTSET", ""].contains(&self.call.string_or("auto_pad", "NOTSET")?) {
            return Err(self.call.unsupported("an auto_pad is not supported; 'pads' are"));
        }
        let map = self.spatial(&maps);
        let Windows { size, strides, dilation, padding } = self.windows(rank, Some((height, width)), map)?;
        if dilation != (1, 1) || size != (height, width) {
            return Err(self.call.unsupported("dilations other than 1 are not supported"));
        }
        let groups = usize::try_from(self.call.integer_or("group", 1)?).unwrap_or_default();
        let (down, across) = match extra[..] {
            [across] if rank == 1 => (0, across),
            [down, across] if rank == 2 => (down, across),
            _ => {
                return Err(self
                    .call
                    .unsupported(format!("expected {rank} numbers as 'output_padding', found {extra:?}")));
            }
        };
        let along = |n: usize, size: usize, stride: usize, cut: usize, extra: usize| {
            (n - 1).checked_mul(stride)?.checked_add(size)?.checked_add(extra)?.checked_sub(cut)
        };
        let sizes = along(map.0, size.0, strides.0, padding.top.saturating_add(padding.bottom), down).zip(along(
            map.1,
            size.1,
            strides.1,
            padding.left.saturating_add(padding.right),
            across,
        ));
        let Some((height, width)) = sizes else {
            return Err(self.call.unsupported("expected paddings smaller than what they are cut from"));
        };
        let shape = Shape::Maps { channels: per_group.saturating_mul(groups), height, width };
        let bias = self.bias(2)?;
        let operation = Operation::TransposedConvolution { weights, bias, strides, padding, groups };
        self.over_maps(if rank == 1 { "Conv1DTranspose" } else { "Conv2DTranspose" }, operation, &maps, Some(shape))
    }

    fn pool(&mut self, mut pooling: Pooling) -> Result<Tensor, Problem> {
        let maps = self.maps(0)?;
        let rank = maps.axes.len() - 1;
        let map = self.spatial(&maps);
        let Windows { size, strides, dilation, mut padding } = self.windows(rank, None, map)?;
        if dilation != (1, 1) {
            return Err(self.call.unsupported("dilations other than 1 are not supported"));
        }
        self.call.integer_or("storage_order", 0)?;
        let counts_padding = self.call.integer_or("count_include_pad", 0)? != 0;
        let is_padded = padding != Padding::default();
        let own = padding;
        if self.call.integer_or("ceil_mode", 0)? != 0 {
            widen_to_ceil(self.network.shape(&maps), size, strides, &mut padding)
                .ok_or_else(|| self.call.unsupported("expected windows no larger than the map"))?;
        }
        if let Pooling::Average { count_padding } = &mut pooling {
            if counts_padding && is_padded && padding != own {
                return Err(self.call.unsupported("count_include_pad together with ceil_mode is not supported"));
            }
            // What ceil_mode adds never counts.
            *count_padding = counts_padding && is_padded;
        }
        let kind = match (pooling, rank) {
            (Pooling::Max, 1) => "MaxPooling1D",
            (Pooling::Max, _) => "MaxPooling2D",
            (_, 1) => "AveragePooling1D",
            _ => "AveragePooling2D",
        };
        self.over_maps(kind, Operation::Pool { pooling, size, strides, padding }, &maps, None)
    }

    fn global_pool(&mut self, pooling: Pooling) -> Result<Tensor, Problem> {
        let maps = self.maps(0)?;
        let rank = maps.axes.len();
        let kind = if matches!(pooling, Pooling::Max) { "GlobalMaxPooling2D" } else { "GlobalAveragePooling2D" };
        let layer = self.network.add(self.call.name(), kind, Operation::GlobalPool { pooling }, &maps)?;
        let mut output = Tensor::new(layer, self.network.builder.shape(layer));
        output.axes.resize(rank, Place { size: 1, axis: None });
        Ok(output)
    }

    /// A mean over all spatial axes is a global pooling.
    fn reduce_mean(&mut self) -> Result<Tensor, Problem> {
        let rank = self.tensor(0)?.axes.len() + 1;
        let input = self.constant(1).cloned();
        let axes = self.call.axes(input.as_ref())?.unwrap_or_default();
        let keeps = self.call.integer_or("keepdims", 1)? != 0;
        self.call.integer_or("noop_with_empty_axes", 0)?;
        let mut sorted: Vec<Option<usize>> = axes.iter().map(|&axis| axis_of(axis, rank)).collect();
        sorted.sort_unstable();
        if rank < 3 || !sorted.iter().copied().eq((2..rank).map(Some)) {
            return Err(self.call.unsupported(format!("expected a mean over all spatial axes, found axes {axes:?}")));
        }
        let mut output = self.global_pool(Pooling::Average { count_padding: false })?;
        if !keeps {
            output.axes.truncate(1);
        }
        Ok(output)
    }

    fn batch_normalization(&mut self) -> Result<Tensor, Problem> {
        let input = self.tensor(0)?;
        let input = if input.axes.len() == 1 {
            self.network.as_vector(&input, &format!("{}_flatten", self.call.name()))?
        } else {
            self.maps(0)?
        };
        let [gamma, beta, mean, variance] = [1, 2, 3, 4].map(|place| self.weights::<Ix1>(place));
        let epsilon = self.call.number_or("epsilon", 1e-5);
        self.call.number_or("momentum", 0.9);
        if self.call.integer_or("training_mode", 0)? != 0 || self.call.integer_or("spatial", 1)? != 1 {
            return Err(self.call.unsupported("a training mode or statistics of each cell are not supported"));
        }
        let operation =
            Operation::BatchNormalization { gamma: gamma?, beta: beta?, mean: mean?, variance: variance?, epsilon };
        self.like("BatchNormalization", operation, &input)
    }

    fn flatten(&mut self) -> Result<Tensor, Problem> {
        let axis = self.call.integer_or("axis", 1)?;
        let input = self.tensor(0)?;
        if axis_of(axis, input.axes.len() + 1) != Some(1) {
            return Err(self.call.unsupported(format!("expected axis 1, after the samples, found {axis}")));
        }
        let size = input.dimensions().iter().product();
        self.reshaped(&input, &[size])
    }

    fn reshaped(&mut self, input: &Tensor, dimensions: &[usize]) -> Result<Tensor, Problem> {
        let reshaped = self.network.reshape(input, dimensions, self.call.name())?;
        reshaped
            .ok_or_else(|| self.call.unsupported(format!("expected at most three axes a sample, found {dimensions:?}")))
    }

    fn reshape(&mut self) -> Result<Tensor, Problem> {
        let input = self.tensor(0)?;
        let whole = [vec![1], input.dimensions()].concat();
        let target = if self.call.operation() == "Reshape" {
            let target = match self.constant(1) {
                Some(constant) => constant.integers(),
                None => self.call.integers("shape")?,
            };
            let zero_stays = self.call.integer_or("allowzero", 0)? == 0;
            let target = target.ok_or_else(|| self.call.unsupported("expected a constant shape"))?;
            resolve_shape(&target, &whole, zero_stays).ok_or_else(|| {
                self.call.unsupported(format!(
                    "expected a shape for one sample of {:?}, found {target:?}",
                    input.dimensions()
                ))
            })?
        } else {
            let axes = self.constant(1).cloned();
            let axes = self.call.axes(axes.as_ref())?;
            // All axes of one cell would include the samples.
            let axes = match (axes, self.call.operation()) {
                (None, "Squeeze") => {
                    let single = whole.iter().enumerate().skip(1).filter(|(_, size)| **size == 1);
                    Some(single.map(|(axis, _)| axis as i64).collect())
                }
                (axes, _) => axes,
            };
            let target = new_shape(self.call.operation(), &whole, axes.as_deref());
            target.ok_or_else(|| self.call.unsupported(format!("expected axes of {whole:?}, found {axes:?}")))?
        };
        match target.split_first() {
            Some((1, dimensions)) => self.reshaped(&input, dimensions),
            _ => Err(self.call.unsupported(format!("expected the samples to stay the first axis, found {target:?}"))),
        }
    }

    fn transpose(&mut self) -> Result<Tensor, Problem> {
        let input = self.tensor(0)?;
        let axes = self.call.permutation(input.axes.len() + 1)?;
        if axes[0] != 0 {
            return Err(self.call.unsupported(format!("expected the samples to stay the first axis, found {axes:?}")));
        }
        Ok(Tensor { layer: input.layer, axes: axes[1..].iter().map(|&axis| input.axes[axis - 1]).collect() })
    }

    /// Inputs whose layers have one order of axes, and that order.
    fn aligned(&mut self, first: usize) -> Result<Vec<Tensor>, Problem> {
        let mut tensors = Vec::new();
        for place in 0..self.inputs.len() {
            tensors.push(self.tensor(place)?);
        }
        let rank = tensors[0].axes.len();
        if tensors.iter().any(|tensor| tensor.axes.len() != rank) {
            return Err(self.call.unsupported("expected inputs of as many axes each"));
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
            aligned.push(maps.ok_or_else(|| self.call.unsupported("expected at most three axes"))?);
        }
        Ok(aligned)
    }

    fn merge(
        &mut self,
        kind: &str,
        operation: Operation,
        inputs: &[Tensor],
        channel_axis: usize,
    ) -> Result<Tensor, Problem> {
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

    fn concatenate(&mut self) -> Result<Tensor, Problem> {
        let rank = self.tensor(0)?.axes.len() + 1;
        let axis = self.call.integer_or("axis", 1)?;
        let axis = axis_of(axis, rank).filter(|&axis| axis > 0);
        let axis = axis.ok_or_else(|| self.call.unsupported("expected an axis of each sample"))?;
        let inputs = self.aligned(axis - 1)?;
        self.merge("Concatenate", Operation::Concatenate, &inputs, axis - 1)
    }

    fn arithmetic(&mut self) -> Result<Tensor, Problem> {
        let operation = self.call.operation();
        let constants = (0..self.inputs.len()).filter(|&place| self.constant(place).is_some()).collect::<Vec<_>>();
        match constants[..] {
            [] if matches!(operation, "Add" | "Sum") => {
                let inputs = self.aligned(0)?;
                if inputs.len() == 1 {
                    return Ok(inputs[0].clone());
                }
                self.merge("Add", Operation::Add, &inputs, 0)
            }
            [place] if self.inputs.len() == 2 && operation != "Sum" => self.affine(operation, place),
            _ => Err(self.call.unsupported("this arithmetic between activations is not supported")),
        }
    }

    /// A constant a channel (or one for all) added to or multiplied with activations: a batch normalisation by another name.
    fn affine(&mut self, operation: &str, place: usize) -> Result<Tensor, Problem> {
        let input = self.tensor(1 - place)?;
        let constant = self.constant(place).map(Constant::floats).unwrap_or_default();
        let (input, channels) = if input.axes.len() == 1 {
            let input = self.network.as_vector(&input, &format!("{}_flatten", self.call.name()))?;
            let channels = input.dimensions()[0];
            (input, channels)
        } else {
            let maps = self.network.as_maps(&input, self.call.name())?;
            let maps = maps.ok_or_else(|| self.call.unsupported("expected at most three axes"))?;
            let channels = maps.dimensions()[0];
            (maps, channels)
        };
        let values = spread(&constant, &[channels], input.axes.len() - 1);
        let values = values.ok_or_else(|| {
            let found = constant.shape();
            self.call
                .unsupported(format!("expected one constant for each of {channels} channels, found shape {found:?}"))
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
        let (mean, variance) = (Array1::zeros(channels), Array1::ones(channels));
        self.like(
            "BatchNormalization",
            Operation::BatchNormalization { gamma, beta, mean, variance, epsilon: 0.0 },
            &input,
        )
    }

    fn pad(&mut self) -> Result<Tensor, Problem> {
        let mode = self.call.string_or("mode", "constant")?;
        let value = self.constant(2).map(|value| value.floats().iter().any(|&value| value != 0.0)).unwrap_or(false);
        if mode != "constant" || value || self.call.number_or("value", 0.0) != 0.0 || self.is_given(3) {
            return Err(self.call.unsupported("expected a padding of all axes with the constant 0"));
        }
        let pads = match self.constant(1) {
            Some(constant) => constant.integers(),
            None => self.call.integers("pads")?,
        };
        let maps = self.maps(0)?;
        let rank = maps.axes.len() + 1;
        let pads = pads.filter(|pads| pads.len() == 2 * rank);
        let pads = pads.ok_or_else(|| self.call.unsupported(format!("expected {} constant paddings", 2 * rank)))?;
        if [0, 1, rank, rank + 1].iter().any(|&place| pads[place] != 0) {
            return Err(self.call.unsupported(format!("expected paddings of spatial axes only, found {pads:?}")));
        }
        let (before, after) = (&pads[2..rank], &pads[rank + 2..]);
        let ends = match (before, after) {
            ([left], [right]) => [0, 0, *left, *right],
            ([top, left], [bottom, right]) => [*top, *bottom, *left, *right],
            _ => return Err(self.call.unsupported("expected one or two spatial axes")),
        };
        let part = |sign: i64| ends.map(|end| usize::try_from(end.saturating_mul(sign)).unwrap_or(0));
        let [top, bottom, left, right] = part(-1);
        let cut = Padding { top, bottom, left, right };
        let [top, bottom, left, right] = part(1);
        let padding = Padding { top, bottom, left, right };
        // A negative padding cuts.
        let mut output = maps;
        if cut != Padding::default() {
            output = self.over_maps("Cropping2D", Operation::Crop(cut), &output, None)?;
        }
        if padding != Padding::default() {
            output = self.over_maps("ZeroPadding2D", Operation::ZeroPad(padding), &output, None)?;
        }
        Ok(output)
    }

    fn resize(&mut self) -> Result<Tensor, Problem> {
        let maps = self.maps(0)?;
        let rank = maps.axes.len() + 1;
        let mode = self.call.string_or("mode", "nearest")?;
        // For whole factors these round alike.
        let rounding = self.call.string_or("nearest_mode", "round_prefer_floor")?;
        let transform = self.call.string_or("coordinate_transformation_mode", "half_pixel")?;
        self.call.number_or("cubic_coeff_a", 0.0);
        self.call.number_or("extrapolation_value", 0.0);
        self.call.integer_or("exclude_outside", 0)?;
        let fits = match transform {
            "asymmetric" => rounding == "floor",
            "half_pixel" | "pytorch_half_pixel" => ["round_prefer_floor", "round_prefer_ceil"].contains(&rounding),
            _ => false,
        };
        let is_upsample = self.call.operation() == "Upsample";
        if mode != "nearest" || (!fits && !is_upsample) {
            return Err(self.call.unsupported(format!(
                "expected a repetition of cells (mode nearest, asymmetric and floor, or half_pixel), found {mode}, {transform}, {rounding}"
            )));
        }
        let place = if is_upsample || self.call.opset < 11 { 1 } else { 2 };
        let scales = self.constant(place).map(Constant::floats).filter(|scales| !scales.is_empty());
        let factors: Option<Vec<usize>> = match scales {
            Some(scales) => {
                let whole =
                    |&scale: &f32| (scale >= 1.0 && scale.fract() == 0.0 && scale < 1e6).then_some(scale as usize);
                scales.iter().map(whole).collect()
            }
            None => {
                let whole = [vec![1], maps.dimensions()].concat();
                let sizes = self.constant(3).and_then(Constant::integers).unwrap_or_default();
                let factor = |(&to, &from): (&i64, &usize)| {
                    usize::try_from(to).ok().filter(|to| from > 0 && to % from == 0).map(|to| to / from)
                };
                sizes.iter().zip(&whole).map(factor).collect()
            }
        };
        let factors = match factors.as_deref() {
            Some([1, 1, horizontal]) if rank == 3 => (1, *horizontal),
            Some([1, 1, vertical, horizontal]) if rank == 4 => (*vertical, *horizontal),
            _ => return Err(self.call.unsupported("expected constant whole factors for the spatial axes")),
        };
        self.over_maps("UpSampling2D", Operation::Upsample { factors }, &maps, None)
    }
}

struct Windows {
    size: (usize, usize),
    strides: (usize, usize),
    dilation: (usize, usize),
    padding: Padding,
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
