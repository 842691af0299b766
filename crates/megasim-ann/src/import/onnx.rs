//! ONNX files: how networks of PyTorch, TensorFlow (tf2onnx) and scikit-learn (skl2onnx) arrive.
//!
//! Nodes are walked in their order. What depends on constants alone is computed on the way ([`constants`]); the rest
//! becomes layers ([`operators`]). Only nodes that lead to the output count.

mod call;
mod channels;
mod constants;
mod folding;
mod operators;
mod order;
mod proto;
mod quantised;
mod shapes;
mod tensor;
mod windows;

use super::refusal::Obstacles;
use super::{ImportError, Imported, InputSizes, ModelFile};
use crate::graph::{AxisOrder, GraphBuilder, Shape};
use crate::levels;
use call::Call;
use constants::Constant;
use ndarray::Array1;
use operators::{Translation, Value, spread};
use prost::Message;
use std::collections::{HashMap, HashSet};
use tensor::{Network, Place, Tensor};

/// Bytes that all arrays computed from constants may take.
const MAX_FOLDED_BYTES: usize = 1 << 30;

const SECOND_INPUT: &str = "a second input; a network here has one: join the inputs to one array within the model";

/// Operator sets whose operators mean what is written here.
const OPSETS: std::ops::RangeInclusive<i64> = 1..=26;

pub(super) fn is_onnx(file: &ModelFile) -> bool {
    file.has_extension("onnx")
}

/// Reads an ONNX model.
pub(super) fn read(file: &ModelFile) -> Result<Imported, ImportError> {
    let model = proto::Model::decode(&file.bytes[..]);
    let model = model.map_err(|error| {
        let found = "a file of another format, or one that is damaged or cut off";
        ImportError::damaged("ONNX", format!("expected a model, found {found} ({error})"))
    })?;
    let graph = model.graph.as_ref();
    let graph = graph.ok_or_else(|| {
        ImportError::damaged("ONNX", format!("expected a graph, found none (IR version {})", model.ir_version))
    })?;
    let opset = model.opset_import.iter().find(|set| is_standard(&set.domain)).map_or(1, |set| set.version);
    if !OPSETS.contains(&opset) {
        return Err(ImportError::damaged(
            "operator set",
            format!(
                "expected version {} to {} of ONNX's operators, found {opset}; in Python, \
                 onnx.version_converter.convert_version(onnx.load(FILE), 17) gives a model of version 17",
                OPSETS.start(),
                OPSETS.end()
            ),
        ));
    }
    let walk = Importer { graph, file, opset };
    let (graph, input_order, axes) = walk.run()?;
    let producer = [model.producer_name.as_str(), model.producer_version.as_str()].join(" ");
    let version = Some(producer.trim().to_string()).filter(|producer| !producer.is_empty());
    Ok(Imported { graph, input_order, axes, library: "onnx", version })
}

fn is_standard(domain: &str) -> bool {
    matches!(domain, "" | "ai.onnx")
}

struct Importer<'a> {
    graph: &'a proto::Graph,
    file: &'a ModelFile,
    opset: i64,
}

impl Importer<'_> {
    fn run(&self) -> Result<(crate::graph::Graph, AxisOrder, Vec<usize>), ImportError> {
        order::check(self.graph)?;
        let outputs = self.outputs();
        let Some(output) = outputs.last().map(|output| &output.name[..]) else {
            return Err(unsupported("", "output", "expected one output, found none"));
        };
        let wanted = self.wanted(&outputs);
        let mut constants: HashMap<&str, Constant> = HashMap::new();
        for tensor in self.graph.initializer.iter().filter(|tensor| wanted.contains(tensor.name.as_str())) {
            constants.insert(&tensor.name, Constant::decode(tensor, self.file)?);
        }
        let inputs: Vec<_> = self
            .graph
            .input
            .iter()
            .filter(|input| wanted.contains(input.name.as_str()) && !constants.contains_key(input.name.as_str()))
            .collect();
        let [input, more_inputs @ ..] = &inputs[..] else {
            return Err(misfit("", "input", "expected one input, found none"));
        };
        let (mut network, tensor, order, obstacle) = self.input(input)?;
        let axes = tensor.axes.iter().filter_map(|place| place.axis).collect();
        let mut values: HashMap<&str, Value> =
            constants.into_iter().map(|(name, constant)| (name, Value::Constant(constant))).collect();
        let mut obstacles = Obstacles::default();
        obstacle.map_or(Ok(()), |obstacle| obstacles.take_input(obstacle))?;
        for other in more_inputs {
            let problem = unsupported(&other.name, "input", SECOND_INPUT);
            let layer = obstacles.replace(&mut network.builder, (&other.name, "input"), 0, problem)?;
            values.insert(&other.name, Value::Tensor(Tensor { layer, ..tensor.clone() }));
        }
        if let Some(problem) = output_obstacle(&outputs) {
            obstacles.take(problem)?;
        }
        values.insert(&input.name, Value::Tensor(tensor.clone()));
        let mut merged: HashSet<usize> = HashSet::new();
        let mut folded = 0usize;
        for (place, node) in self.graph.node.iter().enumerate() {
            if merged.contains(&place) || !node.output.iter().any(|name| wanted.contains(name.as_str())) {
                continue;
            }
            let (computed, last) = match self.node(place, node, &values, &mut network) {
                Ok(computed) => computed,
                Err(problem) => {
                    // So that the obstacles behind it are found, too.
                    let input = node.input.iter().find_map(|name| match values.get(name.as_str()) {
                        Some(Value::Tensor(tensor)) => Some(tensor),
                        _ => None,
                    });
                    let input = input.unwrap_or(&tensor).clone();
                    let named = (Call::new(node, self.file, self.opset).name(), &node.op_type[..]);
                    let layer = obstacles.replace(&mut network.builder, named, input.layer, problem)?;
                    (vec![Value::Tensor(Tensor { layer, ..input }); node.output.len()], None)
                }
            };
            let named = last.map_or(node, |last| &self.graph.node[last]);
            merged.extend(last);
            for (name, value) in named.output.iter().zip(computed) {
                if let Value::Constant(constant) = &value {
                    folded = folded.saturating_add(constant.bytes());
                    if folded > MAX_FOLDED_BYTES {
                        let message =
                            format!("expected constants of at most {MAX_FOLDED_BYTES} bytes, found more up to here");
                        return Err(unsupported(&node.name, &node.op_type, message));
                    }
                }
                values.insert(name, value);
            }
        }
        if !obstacles.is_empty() {
            let last = match values.get(output) {
                Some(Value::Tensor(tensor)) => tensor.layer,
                _ => 0,
            };
            return Err(obstacles.refusal(network.builder, last));
        }
        match values.get(output) {
            Some(Value::Tensor(tensor)) => {
                // Axes of one cell may be missing. Maps come out in the order in which the input came.
                let long = tensor.axes.iter().filter(|place| place.size > 1).count();
                let tensor = match order {
                    _ if long <= 1 => network.as_vector(tensor, "output")?,
                    AxisOrder::ChannelsFirst => network.as_maps(tensor, "output")?.unwrap_or_else(|| tensor.clone()),
                    AxisOrder::ChannelsLast => tensor.clone(),
                };
                Ok((levels::fuse(network.builder.finish_at(tensor.layer)?), order, axes))
            }
            Some(Value::Folded(_)) => {
                Err(misfit(output, "output", "expected an output of at most three axes per sample"))
            }
            _ => Err(misfit(output, "output", "expected an output that depends on the input")),
        }
    }

    /// The output that holds activations, or several; classifiers of scikit-learn also give labels.
    fn outputs(&self) -> Vec<&proto::ValueInfo> {
        let is_float = |output: &&proto::ValueInfo| {
            output
                .r#type
                .as_ref()
                .and_then(|kind| kind.tensor_type.as_ref())
                .is_some_and(|tensor| tensor.elem_type == 1)
        };
        let floats: Vec<_> = self.graph.output.iter().filter(is_float).collect();
        match &self.graph.output[..] {
            [one] => vec![one],
            all if floats.is_empty() => all.iter().collect(),
            _ => floats,
        }
    }

    /// Names that outputs depend on.
    fn wanted<'a>(&'a self, outputs: &[&'a proto::ValueInfo]) -> HashSet<&'a str> {
        let mut wanted: HashSet<&str> = outputs.iter().map(|output| &output.name[..]).collect();
        for node in self.graph.node.iter().rev() {
            if node.output.iter().any(|name| wanted.contains(name.as_str())) {
                wanted.extend(node.input.iter().map(String::as_str));
            }
        }
        wanted
    }

    /// The input layer. Where the channels of pictures are shows in what reads them.
    fn input(
        &self,
        input: &proto::ValueInfo,
    ) -> Result<(Network, Tensor, AxisOrder, Option<ImportError>), ImportError> {
        let shape =
            input.r#type.as_ref().and_then(|kind| kind.tensor_type.as_ref()).and_then(|tensor| tensor.shape.as_ref());
        let shape = shape.ok_or_else(|| misfit(&input.name, "input", "expected a tensor with a shape"))?;
        let single_sample = shape.dim.first().is_some_and(|size| size.dim_value == Some(1));
        let declared: Vec<Option<usize>> = shape
            .dim
            .iter()
            .skip(1)
            .map(|size| size.dim_value.and_then(|size| usize::try_from(size).ok()).filter(|&size| size > 0))
            .collect();
        // Something in place of an input that is refused, so that the obstacles behind it are found, too.
        let InputSizes { dimensions, obstacle } = self.file.input_sizes(&declared);
        let obstacle = obstacle.map(|message| unsupported(&input.name, "input", message));
        let order = if self.channels_stand_last(&input.name, &dimensions) {
            AxisOrder::ChannelsLast
        } else {
            AxisOrder::ChannelsFirst
        };
        let (shape, axes): (Shape, &[usize]) = match (&dimensions[..], order) {
            (&[n], _) => (Shape::Features(n), &[0]),
            (&[channels, width], AxisOrder::ChannelsFirst) => (Shape::Maps { channels, height: 1, width }, &[0, 2]),
            (&[width, channels], AxisOrder::ChannelsLast) => (Shape::Maps { channels, height: 1, width }, &[2, 0]),
            (&[channels, height, width], AxisOrder::ChannelsFirst) => {
                (Shape::Maps { channels, height, width }, &[0, 1, 2])
            }
            (&[height, width, channels], AxisOrder::ChannelsLast) => {
                (Shape::Maps { channels, height, width }, &[1, 2, 0])
            }
            _ => {
                let message = format!("expected an input of 1 to 3 axes per sample, found {dimensions:?}");
                return Err(unsupported(&input.name, "input", message));
            }
        };
        let axes = dimensions.iter().zip(axes).map(|(&size, &axis)| Place { size, axis: Some(axis) }).collect();
        let network = Network { builder: GraphBuilder::new(&input.name, shape), single_sample };
        Ok((network, Tensor { layer: 0, axes }, order, obstacle))
    }

    /// Whether the first thing that moves the axes of the input brings the last to the front.
    fn channels_stand_last(&self, input: &str, dimensions: &[usize]) -> bool {
        let rank = dimensions.len();
        let mut name = input;
        loop {
            let Some(node) = self.graph.node.iter().find(|node| node.input.iter().any(|input| input == name)) else {
                return false;
            };
            match &node.op_type[..] {
                "Transpose" if rank > 1 => {
                    let perm = node.attribute.iter().find(|attribute| attribute.name == "perm");
                    return perm.is_some_and(|perm| perm.ints.get(1) == Some(&(rank as i64)));
                }
                // tf2onnx writes a transpose of one channel so.
                "Reshape" => return rank > 1 && dimensions[rank - 1] == 1 && dimensions[0] > 1,
                "Identity" | "Cast" | "Sub" | "Mul" | "Div" | "Add" | "Relu" => {}
                _ => return false,
            }
            match node.output.first() {
                Some(output) => name = output,
                None => return false,
            }
        }
    }

    /// The value of a node, and the later node that it took in.
    fn node(
        &self,
        place: usize,
        node: &proto::Node,
        values: &HashMap<&str, Value>,
        network: &mut Network,
    ) -> Result<(Vec<Value>, Option<usize>), ImportError> {
        let mut call = Call::new(node, self.file, self.opset);
        if !is_standard(&node.domain) {
            return Err(call.unsupported(format!("operators of '{}' are not supported", node.domain)));
        }
        if call.operation() == "Constant" {
            let constant = call.constant()?;
            call.finish()?;
            return Ok((vec![Value::Constant(constant)], None));
        }
        let mut inputs: Vec<Option<Value>> = Vec::new();
        for name in &node.input {
            inputs.push(match (values.get(name.as_str()), name.is_empty()) {
                (Some(value), _) => Some(value.clone()),
                (None, true) => None,
                (None, false) => {
                    return Err(call.misfit(format!("expected a value '{name}' from an earlier node, found none")));
                }
            });
        }
        if call.operation() == "Shape"
            && let Some(Some(Value::Tensor(tensor))) = inputs.first()
        {
            // Of one sample.
            let sizes = [vec![1], tensor.dimensions()].concat();
            let part = |at: i64| {
                if at < 0 { at.saturating_add(sizes.len() as i64) } else { at }.clamp(0, sizes.len() as i64) as usize
            };
            let (start, end) = (part(call.integer_or("start", 0)?), part(call.integer_or("end", i64::MAX)?));
            call.finish()?;
            let sizes = sizes[start..end.max(start)].iter().map(|&size| size as i64).collect();
            return Ok((vec![Value::Constant(Constant::of_integers(sizes))], None));
        }
        if let Some(value) = self.quantisation(node, &mut call, &inputs, values, network)? {
            call.finish()?;
            return Ok((vec![value], None));
        }
        let constants: Vec<Option<&Constant>> = inputs
            .iter()
            .map(|input| match input {
                Some(Value::Constant(constant)) => Some(constant),
                _ => None,
            })
            .collect();
        let all_known = inputs.iter().zip(&constants).all(|(input, constant)| input.is_none() || constant.is_some());
        if all_known && let Some(constant) = folding::fold(&mut call, &constants)? {
            call.finish()?;
            return Ok((vec![Value::Constant(constant)], None));
        }
        // The largest of the outputs is what classes are decided by in any case.
        if call.operation() == "ArgMax" && node.output.iter().all(|name| self.is_output(name)) {
            let Some(Some(Value::Tensor(tensor))) = inputs.first().cloned() else {
                return Err(call.misfit("expected activations as input number 0"));
            };
            call.integer_or("keepdims", 1)?;
            call.integer_or("select_last_index", 0)?;
            let axis = call.integer_or("axis", 0)?;
            if tensor.axes.len() != 1 || ![1, -1].contains(&axis) {
                return Err(call.misfit(format!("expected the largest of one vector per sample, found axis {axis}")));
            }
            call.finish()?;
            return Ok((vec![Value::Tensor(tensor)], None));
        }
        let (bias, last) = match self.following_bias(place, node, values) {
            Some((bias, last)) => (Some(bias), Some(last)),
            None => (None, None),
        };
        let mut translation = Translation { network, call: &mut call, inputs, bias };
        let computed = translation.run()?;
        call.finish()?;
        Ok((computed, last))
    }

    fn is_output(&self, name: &str) -> bool {
        self.graph.output.iter().any(|value| value.name == name)
    }

    /// The constant that the only reader of a matrix product adds to it: its bias.
    fn following_bias(
        &self,
        place: usize,
        node: &proto::Node,
        values: &HashMap<&str, Value>,
    ) -> Option<(Array1<f32>, usize)> {
        if node.op_type != "MatMul" {
            return None;
        }
        let Some(Value::Constant(weights)) = values.get(node.input.get(1)?.as_str()) else { return None };
        let &[_, outputs] = weights.shape() else { return None };
        let output = node.output.first()?;
        let mut readers = self.graph.node.iter().enumerate().filter(|(_, reader)| reader.input.contains(output));
        let (last, add) = readers.next()?;
        if readers.next().is_some()
            || self.is_output(output)
            || last <= place
            || add.op_type != "Add"
            || !is_standard(&add.domain)
        {
            return None;
        }
        let other = add.input.iter().find(|name| *name != output)?;
        let constant = match values.get(other.as_str()) {
            Some(Value::Constant(constant)) => constant.floats(),
            _ => return None,
        };
        // One number an output, along the last axis.
        let bias = spread(&constant, &[outputs], 0).filter(|_| constant.len() == outputs)?;
        Some((bias, last))
    }
}

/// Why outputs are none to convert.
fn output_obstacle(outputs: &[&proto::ValueInfo]) -> Option<ImportError> {
    let names: Vec<_> = outputs.iter().map(|output| output.name.as_str()).collect();
    let message = format!(
        "expected one output of 32-bit floats, found {}; in Python, \
         onnx.utils.extract_model(FILE, TO, [input], [output]) leaves one",
        names.len()
    );
    (names.len() != 1).then(|| unsupported(&names.join(", "), "output", message))
}

fn unsupported(layer: &str, kind: &str, message: impl Into<String>) -> ImportError {
    ImportError::Unsupported { layer: layer.into(), kind: kind.into(), message: message.into() }
}

/// What comes in, or a size, is not what the layer takes.
fn misfit(layer: &str, kind: &str, message: impl Into<String>) -> ImportError {
    ImportError::Misfit { layer: layer.into(), kind: kind.into(), message: message.into() }
}
