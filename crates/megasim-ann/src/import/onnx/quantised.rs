//! `QuantizeLinear` and `DequantizeLinear`: of constants they are computed; of activations the pair is one activation
//! with levels, and what is between them only moves numbers.

use super::super::ImportError;
use super::call::Call;
use super::constants::Constant;
use super::folding::axis_of;
use super::operators::Value;
use super::tensor::{Network, Tensor};
use super::{Importer, proto};
use crate::graph::{Activation, Levels, Operation, Rounding};
use ndarray::{ArrayD, Axis};
use std::collections::HashMap;

/// Operators that may be between the two.
const MOVING: [&str; 7] = ["Identity", "MaxPool", "Flatten", "Reshape", "Transpose", "Squeeze", "Unsqueeze"];

/// Most of these between the two.
const MOST_MOVES: usize = 64;

/// The numbers of an ONNX data type, by the public schema's `DataType`.
fn range(data_type: i64) -> Option<(i64, i64)> {
    match data_type {
        2 => Some((u8::MIN.into(), u8::MAX.into())),
        3 => Some((i8::MIN.into(), i8::MAX.into())),
        4 => Some((u16::MIN.into(), u16::MAX.into())),
        5 => Some((i16::MIN.into(), i16::MAX.into())),
        _ => None,
    }
}

/// Scale and zero point, one of each or one for each place of an axis.
#[derive(Debug, Clone, PartialEq)]
struct Grid {
    scale: Vec<f32>,
    zero: Vec<i64>,
}

impl Grid {
    fn of(scale: &Constant, zero: Option<&Constant>) -> Option<Self> {
        let scale: Vec<f32> = scale.floats().iter().copied().collect();
        let zero = match zero {
            Some(zero) => zero.integers()?,
            None => vec![0; scale.len()],
        };
        let good = |scale: &f32| scale.is_finite() && *scale > 0.0;
        (scale.len() == zero.len() && !scale.is_empty() && scale.iter().all(good)).then_some(Self { scale, zero })
    }

    /// What `of` makes of each number of an array and its scale and zero point.
    fn each<T: Copy, U: Default + Clone>(
        &self,
        array: &ArrayD<T>,
        axis: i64,
        of: impl Fn(T, f32, i64) -> U,
    ) -> Option<ArrayD<U>> {
        if let ([scale], [zero]) = (&self.scale[..], &self.zero[..]) {
            return Some(array.map(|&number| of(number, *scale, *zero)));
        }
        let axis = Axis(axis_of(axis, array.ndim())?);
        if array.len_of(axis) != self.scale.len() {
            return None;
        }
        let mut result = ArrayD::from_elem(array.raw_dim(), U::default());
        for (k, (mut to, from)) in result.axis_iter_mut(axis).zip(array.axis_iter(axis)).enumerate() {
            to.zip_mut_with(&from, |to, &from| *to = of(from, self.scale[k], self.zero[k]));
        }
        Some(result)
    }
}

impl Importer<'_> {
    /// What one of the two gives; none for other operators.
    pub(super) fn quantisation(
        &self,
        node: &proto::Node,
        call: &mut Call,
        inputs: &[Option<Value>],
        values: &HashMap<&str, Value>,
        network: &mut Network,
    ) -> Result<Option<Value>, ImportError> {
        let quantises = match call.operation() {
            "QuantizeLinear" => true,
            "DequantizeLinear" => false,
            _ => return Ok(None),
        };
        let grid = grid(inputs).ok_or_else(|| {
            call.misfit("expected constant scales above 0, and as many constant zero points of whole numbers or none")
        })?;
        let axis = call.integer_or("axis", 1)?;
        if call.integer_or("block_size", 0)? != 0 {
            return Err(call.unsupported("scales of blocks are not supported"));
        }
        let wrong_axis = |call: &Call| call.misfit(format!("expected one scale, or one for each place of axis {axis}"));
        let input = inputs.first().cloned().flatten();
        Ok(Some(match (input, quantises) {
            (Some(Value::Constant(constant)), false) => {
                let real = |q: i64, scale: f32, zero: i64| q.saturating_sub(zero) as f32 * scale;
                let whole = match constant {
                    Constant::Integers(whole) => whole,
                    Constant::Floats(_) => return Err(call.misfit("expected whole numbers")),
                };
                let real = grid.each(&whole, axis, real).ok_or_else(|| wrong_axis(call))?;
                Value::Constant(Constant::Floats(real))
            }
            (Some(Value::Constant(constant)), true) => {
                let (low, high) = self.quantised_range(node, call)?;
                let whole = |x: f32, scale: f32, zero: i64| {
                    ((x / scale).round_ties_even() as i64).saturating_add(zero).clamp(low, high)
                };
                let whole = grid.each(&constant.floats(), axis, whole).ok_or_else(|| wrong_axis(call))?;
                Value::Constant(Constant::Integers(whole))
            }
            (Some(Value::Tensor(tensor)), true) => {
                let (low, high) = self.quantised_range(node, call)?;
                let ([step], [zero]) = (&grid.scale[..], &grid.zero[..]) else {
                    return Err(call.unsupported("activations with a scale for each channel are not supported"));
                };
                if let Some(reader) = node.output.first().and_then(|output| self.other_reader(output)) {
                    return Err(call.unsupported(format!(
                        "expected a DequantizeLinear behind it, found '{}' ({})",
                        reader.name, reader.op_type
                    )));
                }
                let (lowest, highest) = (low.saturating_sub(*zero), high.saturating_sub(*zero));
                let levels = Levels { step: *step, lowest, highest, rounding: Rounding::Nearest };
                let operation = Operation::Activation(Activation::Quantized(levels));
                let layer = network.add(call.name(), "Activation", operation, &tensor)?;
                Value::Tensor(Tensor { layer, axes: tensor.axes })
            }
            (Some(Value::Tensor(tensor)), false) => {
                let before = node.input.first().and_then(|name| self.quantiser(name));
                let before = before.map(|node| {
                    let inputs: Vec<_> = node.input.iter().map(|name| values.get(name.as_str()).cloned()).collect();
                    self::grid(&inputs)
                });
                match before {
                    Some(Some(before)) if before == grid => Value::Tensor(tensor),
                    Some(_) => return Err(call.unsupported("expected the scale of the QuantizeLinear before it")),
                    None => return Err(call.unsupported("expected a QuantizeLinear before it, found none")),
                }
            }
            _ => return Err(call.misfit("expected activations or a constant as input number 0")),
        }))
    }

    /// The numbers of what a `QuantizeLinear` gives: the type of its zero point, bytes where there is none.
    fn quantised_range(&self, node: &proto::Node, call: &mut Call) -> Result<(i64, i64), ImportError> {
        call.integer_or("saturate", 1)?;
        call.integer_or("precision", 0)?;
        let asked = call.integer_or("output_dtype", 0)?;
        let of_zero = node.input.get(2).filter(|name| !name.is_empty()).and_then(|name| self.data_type(name));
        let data_type = of_zero.map_or(if asked == 0 { 2 } else { asked }, i64::from);
        range(data_type)
            .ok_or_else(|| call.unsupported(format!("integers of 8 or 16 bits are supported, found type {data_type}")))
    }

    /// The data type of a constant in the file.
    fn data_type(&self, name: &str) -> Option<i32> {
        let initial = self.graph.initializer.iter().find(|tensor| tensor.name == name);
        let node = || self.graph.node.iter().find(|node| node.output.iter().any(|output| output == name));
        let value = || node()?.attribute.iter().find(|attribute| attribute.name == "value")?.t.as_ref();
        initial.or_else(value).map(|tensor| tensor.data_type)
    }

    /// A node that reads quantised numbers as something else, or is beyond [`MOST_MOVES`].
    fn other_reader<'a>(&'a self, name: &'a str) -> Option<&'a proto::Node> {
        let mut moved = vec![name];
        let mut next = 0;
        while let Some(&name) = moved.get(next) {
            next += 1;
            for node in self.graph.node.iter().filter(|node| node.input.iter().any(|input| input == name)) {
                match (node.op_type.as_str(), node.output.first()) {
                    ("DequantizeLinear", _) => {}
                    (moving, Some(output)) if MOVING.contains(&moving) && moved.len() < MOST_MOVES => {
                        if !moved.contains(&output.as_str()) {
                            moved.push(output);
                        }
                    }
                    _ => return Some(node),
                }
            }
        }
        None
    }

    /// The node that quantised these numbers.
    fn quantiser(&self, name: &str) -> Option<&proto::Node> {
        let mut name = name;
        for _ in 0..MOST_MOVES {
            let node = self.graph.node.iter().find(|node| node.output.iter().any(|output| output == name))?;
            match node.op_type.as_str() {
                "QuantizeLinear" => return Some(node),
                moving if MOVING.contains(&moving) => name = node.input.first()?,
                _ => return None,
            }
        }
        None
    }
}

fn grid(inputs: &[Option<Value>]) -> Option<Grid> {
    let constant = |place: usize| match inputs.get(place) {
        Some(Some(Value::Constant(constant))) => Some(constant),
        _ => None,
    };
    let zero_is_given = inputs.get(2).is_some_and(Option::is_some);
    Grid::of(constant(1)?, constant(2)).filter(|_| constant(2).is_some() == zero_is_given)
}
