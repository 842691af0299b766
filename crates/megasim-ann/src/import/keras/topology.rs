//! The walk over a Keras configuration: Sequential and Functional models, also one within another.

use super::super::{ImportError, InputSizes, ModelFile};
use super::custom;
use super::layers;
use super::options::Options;
use super::tensor::{Network, Tensor, shape_of};
use super::weights::{Scopes, Weights};
use crate::graph::{AxisOrder, Graph};
use serde_json::{Map, Value};
use std::collections::{HashMap, HashSet};

/// Reads a whole model.
pub(super) fn read(
    config: &Value,
    weights: &Weights,
    file: &ModelFile,
) -> Result<(Graph, AxisOrder, Vec<usize>), ImportError> {
    let model = Container::parse(config)?;
    let order = model.data_format().unwrap_or(AxisOrder::ChannelsLast);
    let (name, declared) = model.input(config)?;
    let InputSizes { dimensions, obstacle } = file.input_sizes(&declared);
    // Something in place of an input that is refused, so that the obstacles behind it are found, too.
    let Some((shape, layout)) = shape_of(&dimensions, order) else {
        return Err(damaged(format!("expected an input of 1 to 3 axes in layer '{name}', found none")));
    };
    let mut network = Network::new(&name, shape, order);
    obstacle.map_or(Ok(()), |message| network.obstacles.take_input(unsupported(&name, "InputLayer", message)))?;
    let input = Tensor { layer: 0, layout };
    let output = model.apply(&mut network, weights, Scopes::new(weights), input);
    let output = output.or_else(|problem| network.refuse((model.name, "Model"), input, problem))?;
    Ok((network.finish(output)?, order, layout.axes().to_vec()))
}

fn unsupported(layer: &str, kind: &str, message: impl Into<String>) -> ImportError {
    ImportError::Unsupported { layer: layer.into(), kind: kind.into(), message: message.into() }
}

/// What comes in, or a size, is not what the layer takes.
fn misfit(layer: &str, kind: &str, message: impl Into<String>) -> ImportError {
    ImportError::Misfit { layer: layer.into(), kind: kind.into(), message: message.into() }
}

fn damaged(message: impl Into<String>) -> ImportError {
    ImportError::damaged("model configuration", message)
}

/// Whether a class is a model in itself.
pub(super) fn is_container(class: &str) -> bool {
    matches!(class, "Sequential" | "Functional" | "Model")
}

/// A model: its layers and how they hang together.
struct Container<'a> {
    name: &'a str,
    layers: Vec<LayerEntry<'a>>,
    kind: ContainerKind<'a>,
}

enum ContainerKind<'a> {
    Sequential,
    /// At least one of each.
    Functional {
        inputs: Vec<Reference<'a>>,
        outputs: Vec<Reference<'a>>,
    },
}

/// One layer of a container.
struct LayerEntry<'a> {
    name: &'a str,
    class: &'a str,
    /// The class by which its weights are found: what it was before it was said to be a known one.
    stored_class: &'a str,
    config: &'a Map<String, Value>,
    /// The whole entry: a nested model is parsed from it.
    whole: &'a Value,
}

/// The output of one application of a layer.
type Reference<'a> = (&'a str, u64);

impl<'a> Container<'a> {
    fn parse(model: &'a Value) -> Result<Self, ImportError> {
        let class = model.get("class_name").and_then(Value::as_str).unwrap_or_default();
        let config = model.get("config").ok_or_else(|| damaged("expected a model with a 'config', found none"))?;
        // Before Keras 2.2.3 the configuration of a Sequential model was the list itself.
        let entries = config.as_array().or_else(|| config.get("layers").and_then(Value::as_array));
        let name = config.get("name").and_then(Value::as_str).unwrap_or("model");
        if !is_container(class) {
            return Err(unsupported(
                name,
                class,
                "expected a Sequential or Functional model: a subclassed one does not tell its layers",
            ));
        }
        let entries =
            entries.ok_or_else(|| damaged(format!("expected a list of layers in model '{name}', found none")))?;
        let layers = entries.iter().map(LayerEntry::parse).collect::<Result<Vec<_>, _>>()?;
        let kind = if class == "Sequential" {
            ContainerKind::Sequential
        } else {
            let ends = |key| {
                let ends = config.get(key).map(references).transpose()?.unwrap_or_default();
                match ends.is_empty() {
                    true => Err(misfit(name, class, format!("expected one of '{key}', found none"))),
                    false => Ok(ends),
                }
            };
            ContainerKind::Functional { inputs: ends("input_layers")?, outputs: ends("output_layers")? }
        };
        Ok(Self { name, layers, kind })
    }

    /// What the first layer says about where the channels are. (Flatten has the option, but also where it does not
    /// matter.)
    fn data_format(&self) -> Option<AxisOrder> {
        self.layers.iter().find_map(|layer| {
            if is_container(layer.class) {
                return Container::parse(layer.whole).ok()?.data_format();
            }
            match layer.config.get("data_format").and_then(Value::as_str) {
                Some("channels_first") if layer.class != "Flatten" => Some(AxisOrder::ChannelsFirst),
                Some("channels_last") if layer.class != "Flatten" => Some(AxisOrder::ChannelsLast),
                _ => None,
            }
        })
    }

    /// Name and axes of the input, wherever this version of Keras notes them.
    fn input(&self, model: &Value) -> Result<(String, Vec<Option<usize>>), ImportError> {
        let layer = match &self.kind {
            ContainerKind::Sequential => self.layers.first(),
            ContainerKind::Functional { inputs, .. } => self.layers.iter().find(|layer| layer.name == inputs[0].0),
        };
        let layer =
            layer.ok_or_else(|| damaged(format!("expected an input layer in model '{}', found none", self.name)))?;
        if is_container(layer.class) {
            return Container::parse(layer.whole)?.input(layer.whole);
        }
        let shape = [layer.config.get("batch_shape"), layer.config.get("batch_input_shape")];
        let noted = [
            model.pointer("/config/build_input_shape"),
            model.pointer("/build_config/input_shape"),
            layer.whole.pointer("/build_config/input_shape"),
        ];
        let shape = shape.into_iter().chain(noted).flatten().find_map(Value::as_array);
        let shape = shape.ok_or_else(|| {
            unsupported(
                layer.name,
                layer.class,
                "expected an input shape, found none: build the model before it is saved",
            )
        })?;
        let dimensions = shape.iter().skip(1).map(|size| size.as_u64().and_then(|size| usize::try_from(size).ok()));
        let name = if layer.class == "InputLayer" { layer.name.into() } else { "input".into() };
        Ok((name, dimensions.collect()))
    }

    /// Adds all layers to the network.
    fn apply(
        &self,
        network: &mut Network,
        weights: &Weights,
        mut scopes: Scopes,
        input: Tensor,
    ) -> Result<Tensor, ImportError> {
        // Scopes count layers in the order of the configuration, whatever the order of application.
        let scoped: Vec<_> =
            self.layers.iter().map(|layer| (layer, scopes.next(layer.stored_class, layer.name))).collect();
        let run = |network: &mut Network, index: usize, inputs: &[Tensor]| {
            let (layer, scope) = &scoped[index];
            if is_container(layer.class) {
                let model = Container::parse(layer.whole)?;
                let &[input] = inputs else {
                    return Err(unsupported(
                        layer.name,
                        layer.class,
                        format!("expected one input, found {}", inputs.len()),
                    ));
                };
                return model.apply(network, weights, scopes.nested(scope), input);
            }
            let module = layer.whole.get("module").and_then(Value::as_str);
            let mut options = Options::new(layer.name, layer.class, layer.config).of_module(module);
            layers::apply(network, weights, scope, &mut options, inputs)
        };
        match &self.kind {
            ContainerKind::Sequential => {
                (0..self.layers.len()).try_fold(input, |tensor, index| match &self.layers[index] {
                    LayerEntry { class: "InputLayer", .. } => Ok(tensor),
                    layer => run(network, index, &[tensor]).or_else(|problem| layer.refuse(network, tensor, problem)),
                })
            }
            ContainerKind::Functional { inputs, outputs } => {
                let mut tensors: HashMap<Reference, Tensor> = HashMap::from([(inputs[0], input)]);
                for &(name, node) in &inputs[1..] {
                    let problem = unsupported(name, "InputLayer", SECOND_INPUT);
                    tensors.insert((name, node), network.refuse((name, "InputLayer"), input, problem)?);
                }
                for (name, _) in &outputs[1..] {
                    network.obstacles.take(unsupported(name, "output", SECOND_OUTPUT))?;
                }
                let mut refused: HashMap<usize, ImportError> = HashMap::new();
                let mut nodes = Vec::new();
                for (index, layer) in self.layers.iter().enumerate() {
                    let (applications, problem) = layer.nodes()?;
                    nodes.push(applications);
                    refused.extend(problem.map(|problem| (index, problem)));
                }
                let read: HashSet<Reference> = nodes.iter().flatten().flatten().chain(outputs).copied().collect();
                let mut waiting = Vec::new();
                for (index, (layer, nodes)) in self.layers.iter().zip(nodes).enumerate() {
                    // Keras 2 counts the making of a nested model as its application number 0, and leaves that out
                    // here.
                    let count = nodes.len() as u64;
                    let first = u64::from(is_container(layer.class) && read.contains(&(layer.name, count)));
                    for (node, inputs) in (first..).zip(nodes) {
                        waiting.push((index, node, inputs));
                    }
                }
                while !waiting.is_empty() {
                    let before = waiting.len();
                    let mut still_waiting = Vec::new();
                    for (index, node, inputs) in waiting {
                        let ready: Option<Vec<Tensor>> =
                            inputs.iter().map(|input| tensors.get(input).copied()).collect();
                        match ready {
                            Some(ready) => {
                                let layer = &self.layers[index];
                                let output = match refused.remove(&index) {
                                    Some(problem) => Err(problem),
                                    None => run(network, index, &ready),
                                };
                                let output = output.or_else(|problem| {
                                    let input = ready.first().copied().unwrap_or(input);
                                    layer.refuse(network, input, problem)
                                })?;
                                tensors.insert((layer.name, node), output);
                            }
                            None => still_waiting.push((index, node, inputs)),
                        }
                    }
                    if still_waiting.len() == before {
                        let (index, _, inputs) = &still_waiting[0];
                        let LayerEntry { name, class, .. } = self.layers[*index];
                        let message = format!("expected inputs that some layer gives, found {inputs:?}");
                        return Err(unsupported(name, class, message));
                    }
                    waiting = still_waiting;
                }
                tensors.get(&outputs[0]).copied().ok_or_else(|| {
                    let output = outputs[0].0;
                    damaged(format!("expected a layer '{output}' as the output of '{}', found none", self.name))
                })
            }
        }
    }
}

impl<'a> LayerEntry<'a> {
    fn parse(whole: &'a Value) -> Result<Self, ImportError> {
        let class = whole.get("class_name").and_then(Value::as_str);
        let class =
            class.ok_or_else(|| damaged(format!("expected a layer with a 'class_name', found {}", brief(whole))))?;
        // A nested Sequential of old has a list instead of a map, and no options.
        static EMPTY: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
        let config = match whole.get("config") {
            Some(Value::Object(config)) => config,
            Some(Value::Array(_)) if class == "Sequential" => &EMPTY,
            _ => return Err(damaged(format!("expected a 'config' in layer {}, found none", brief(whole)))),
        };
        let name = config.get("name").or_else(|| whole.get("name")).and_then(Value::as_str);
        let name = name.ok_or_else(|| damaged(format!("expected a layer with a 'name', found {}", brief(whole))))?;
        let stored_class = whole.get(custom::STORED_CLASS).and_then(Value::as_str).unwrap_or(class);
        Ok(Self { name, class, stored_class, config, whole })
    }

    /// Takes a refusal of this layer; of one that only does not fit behind others, its activation is looked at.
    fn refuse(&self, network: &mut Network, input: Tensor, problem: ImportError) -> Result<Tensor, ImportError> {
        let is_unsupported = matches!(problem, ImportError::Unsupported { .. });
        let output = network.refuse((self.name, self.class), input, problem)?;
        if is_unsupported || is_container(self.class) {
            return Ok(output);
        }
        layers::own_activation(network, &mut Options::new(self.name, self.class, self.config), output)
            .or_else(|problem| network.refuse((self.name, self.class), output, problem))
    }

    /// What each application of this layer reads, and why it is refused, where that shows there.
    fn nodes(&self) -> Result<(Vec<Vec<Reference<'a>>>, Option<ImportError>), ImportError> {
        let nodes = self.whole.get("inbound_nodes").and_then(Value::as_array);
        let nodes =
            nodes.ok_or_else(|| damaged(format!("expected 'inbound_nodes' in layer '{}', found none", self.name)))?;
        let mut refused = None;
        let nodes = nodes.iter().map(|node| self.node(node, &mut refused)).collect::<Result<_, _>>()?;
        Ok((nodes, refused.map(|message| unsupported(self.name, self.class, message))))
    }

    fn node(&self, node: &'a Value, refused: &mut Option<String>) -> Result<Vec<Reference<'a>>, ImportError> {
        let mut found = Vec::new();
        // Keras 3: {"args": [...], "kwargs": {...}} with tensors anywhere inside.
        if let Some(arguments) = node.get("args") {
            collect_tensors(arguments, &mut found, refused)?;
            if let Some(Value::Object(named)) = node.get("kwargs") {
                check_named_arguments(named, refused);
                // So that a layer that is refused waits for all that it reads.
                for value in named.values().filter(|value| value.is_object() || value.is_array()) {
                    collect_tensors(value, &mut found, refused)?;
                }
            }
            return Ok(found);
        }
        // Keras 2: [[name, node, tensor, {named arguments}], ...].
        for input in node.as_array().into_iter().flatten() {
            if let Some(Value::Object(named)) = input.get(3) {
                check_named_arguments(named, refused);
            }
        }
        for value in list(node)? {
            found.push(reference(value, refused)?);
        }
        Ok(found)
    }
}

const SECOND_INPUT: &str = "a second input; a network here has one: join the inputs to one array within the model";
const SECOND_OUTPUT: &str = "a second output; a network here has one: save keras.Model(model.input, model.outputs[0])";

fn check_named_arguments(named: &Map<String, Value>, refused: &mut Option<String>) {
    let offending = named.iter().find(|(key, value)| {
        let harmless = value.is_null() || (key.as_str() == "training" && **value == Value::Bool(false));
        !harmless
    });
    if let Some((key, value)) = offending {
        refused.get_or_insert_with(|| format!("a call with {key}={} is not supported", brief(value)));
    }
}

fn collect_tensors<'a>(
    value: &'a Value,
    found: &mut Vec<Reference<'a>>,
    refused: &mut Option<String>,
) -> Result<(), ImportError> {
    match value {
        Value::Array(values) => values.iter().try_for_each(|value| collect_tensors(value, found, refused)),
        Value::Object(object) if object.get("class_name").and_then(Value::as_str) == Some("__keras_tensor__") => {
            let history = value.pointer("/config/keras_history");
            let history = history.ok_or_else(|| damaged("expected a 'keras_history', found none"))?;
            found.push(reference(history, refused)?);
            Ok(())
        }
        Value::Null => Ok(()),
        other => {
            refused.get_or_insert_with(|| format!("expected tensors as arguments, found {}", brief(other)));
            Ok(())
        }
    }
}

/// The ends of a model: `[[name, node, tensor], ...]`, or one of them by itself, or each under a name.
fn references(value: &Value) -> Result<Vec<Reference<'_>>, ImportError> {
    let mut refused = None;
    let ends = list(value)?.into_iter().map(|end| reference(end, &mut refused)).collect::<Result<_, _>>()?;
    match refused {
        None => Ok(ends),
        Some(message) => Err(unsupported("model", "output", message)),
    }
}

fn list(value: &Value) -> Result<Vec<&Value>, ImportError> {
    match value {
        Value::Array(list) if list.first().is_some_and(Value::is_string) => Ok(vec![value]),
        Value::Array(list) => Ok(list.iter().collect()),
        Value::Object(named) => Ok(named.values().collect()),
        _ => Err(damaged(format!("expected a list of layers, found {}", brief(value)))),
    }
}

fn reference<'a>(value: &'a Value, refused: &mut Option<String>) -> Result<Reference<'a>, ImportError> {
    let parts = (
        value.get(0).and_then(Value::as_str),
        value.get(1).and_then(Value::as_u64),
        value.get(2).and_then(Value::as_u64),
    );
    let (Some(name), Some(node), Some(tensor)) = parts else {
        return Err(damaged(format!("expected [layer, node, tensor], found {}", brief(value))));
    };
    if tensor != 0 {
        refused.get_or_insert_with(|| {
            format!("output number {tensor} of '{name}' is read; layers of several outputs are not supported")
        });
    }
    Ok((name, node))
}

/// JSON for a message.
fn brief(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(80) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}
