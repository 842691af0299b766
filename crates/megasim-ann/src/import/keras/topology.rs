//! The walk over a Keras configuration: Sequential and Functional models, also one within another.

use super::super::{InputSizes, ModelFile, Problem};
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
) -> Result<(Graph, AxisOrder, Vec<usize>), Problem> {
    let model = Container::parse(config)?;
    let order = model.data_format().unwrap_or(AxisOrder::ChannelsLast);
    let (name, declared) = model.input(config)?;
    let InputSizes { dimensions, obstacle } = file.input_sizes(&declared);
    // Something in place of an input that is refused, so that the obstacles behind it are found, too.
    let Some((shape, layout)) = shape_of(&dimensions, order) else {
        return Err(damaged(format!("expected an input of 1 to 3 axes in layer '{name}', found none")));
    };
    let mut network = Network::new(&name, shape, order);
    obstacle.map_or(Ok(()), |message| network.obstacles.take(unsupported(&name, "InputLayer", message)))?;
    let input = Tensor { layer: 0, layout };
    let output = match model.apply(&mut network, weights, Scopes::new(weights), input) {
        Ok(output) => output,
        Err(problem) => {
            network.obstacles.take(problem)?;
            input
        }
    };
    Ok((network.finish(output)?, order, layout.axes().to_vec()))
}

fn unsupported(layer: &str, kind: &str, message: impl Into<String>) -> Problem {
    Problem::Unsupported { layer: layer.into(), kind: kind.into(), message: message.into() }
}

/// What comes in, or a size, is not what the layer takes.
fn misfit(layer: &str, kind: &str, message: impl Into<String>) -> Problem {
    Problem::Misfit { layer: layer.into(), kind: kind.into(), message: message.into() }
}

fn damaged(message: impl Into<String>) -> Problem {
    Problem::damaged("model configuration", message)
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
    Functional { input: Reference<'a>, output: Reference<'a> },
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
    fn parse(model: &'a Value) -> Result<Self, Problem> {
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
            let end = |key| {
                let references = config.get(key).map(references).transpose()?.unwrap_or_default();
                match references[..] {
                    [one] => Ok(one),
                    _ => Err(misfit(name, class, format!("expected one of '{key}', found {}", references.len()))),
                }
            };
            ContainerKind::Functional { input: end("input_layers")?, output: end("output_layers")? }
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
    fn input(&self, model: &Value) -> Result<(String, Vec<Option<usize>>), Problem> {
        let layer = match &self.kind {
            ContainerKind::Sequential => self.layers.first(),
            ContainerKind::Functional { input: (name, _), .. } => self.layers.iter().find(|layer| layer.name == *name),
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
    ) -> Result<Tensor, Problem> {
        // Scopes count layers in the order of the configuration, whatever the order of application.
        let scoped: Vec<_> =
            self.layers.iter().map(|layer| (layer, scopes.next(layer.stored_class, layer.name))).collect();
        let mut run = |index: usize, inputs: &[Tensor]| {
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
            let mut options = Options::new(layer.name, layer.class, layer.config);
            layers::apply(network, weights, scope, &mut options, inputs).or_else(|problem| {
                // Its input in place of it, so that the obstacles behind it are found, too.
                let Some(&input) = inputs.first() else { return Err(problem) };
                network.obstacles.take(problem).map(|()| input)
            })
        };
        match &self.kind {
            ContainerKind::Sequential => {
                (0..self.layers.len()).try_fold(input, |tensor, layer| match self.layers[layer].class {
                    "InputLayer" => Ok(tensor),
                    _ => run(layer, &[tensor]),
                })
            }
            ContainerKind::Functional { input: input_reference, output } => {
                let mut tensors: HashMap<Reference, Tensor> = HashMap::from([(*input_reference, input)]);
                let nodes = self.layers.iter().map(LayerEntry::nodes).collect::<Result<Vec<_>, _>>()?;
                let read: HashSet<Reference> = nodes.iter().flatten().flatten().chain([output]).copied().collect();
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
                                let output = run(index, &ready)?;
                                tensors.insert((self.layers[index].name, node), output);
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
                tensors.get(output).copied().ok_or_else(|| {
                    damaged(format!("expected a layer '{}' as the output of '{}', found none", output.0, self.name))
                })
            }
        }
    }
}

impl<'a> LayerEntry<'a> {
    fn parse(whole: &'a Value) -> Result<Self, Problem> {
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

    /// What each application of this layer reads.
    fn nodes(&self) -> Result<Vec<Vec<Reference<'a>>>, Problem> {
        let nodes = self.whole.get("inbound_nodes").and_then(Value::as_array);
        let nodes =
            nodes.ok_or_else(|| damaged(format!("expected 'inbound_nodes' in layer '{}', found none", self.name)))?;
        nodes.iter().map(|node| self.node(node)).collect()
    }

    fn node(&self, node: &'a Value) -> Result<Vec<Reference<'a>>, Problem> {
        // Keras 3: {"args": [...], "kwargs": {...}} with tensors anywhere inside.
        if let Some(arguments) = node.get("args") {
            if let Some(Value::Object(named)) = node.get("kwargs") {
                self.check_named_arguments(named)?;
            }
            let mut found = Vec::new();
            self.collect_tensors(arguments, &mut found)?;
            return Ok(found);
        }
        // Keras 2: [[name, node, tensor, {named arguments}], ...].
        for input in node.as_array().into_iter().flatten() {
            if let Some(Value::Object(named)) = input.get(3) {
                self.check_named_arguments(named)?;
            }
        }
        references(node)
    }

    fn check_named_arguments(&self, named: &Map<String, Value>) -> Result<(), Problem> {
        let offending = named.iter().find(|(key, value)| {
            let harmless = value.is_null() || (key.as_str() == "training" && **value == Value::Bool(false));
            !harmless
        });
        match offending {
            Some((key, value)) => {
                Err(unsupported(self.name, self.class, format!("a call with {key}={} is not supported", brief(value))))
            }
            None => Ok(()),
        }
    }

    fn collect_tensors(&self, value: &'a Value, found: &mut Vec<Reference<'a>>) -> Result<(), Problem> {
        match value {
            Value::Array(values) => values.iter().try_for_each(|value| self.collect_tensors(value, found)),
            Value::Object(object) if object.get("class_name").and_then(Value::as_str) == Some("__keras_tensor__") => {
                let history = value.pointer("/config/keras_history");
                found.push(
                    history.map(reference).unwrap_or_else(|| Err(damaged("expected a 'keras_history', found none")))?,
                );
                Ok(())
            }
            Value::Null => Ok(()),
            other => {
                let message = format!("expected tensors as arguments, found {}", brief(other));
                Err(unsupported(self.name, self.class, message))
            }
        }
    }
}

/// `[[name, node, tensor], ...]`, or one of them by itself.
fn references(value: &Value) -> Result<Vec<Reference<'_>>, Problem> {
    match value.as_array() {
        Some(list) if list.first().is_some_and(Value::is_string) => Ok(vec![reference(value)?]),
        Some(list) => list.iter().map(reference).collect(),
        None => Err(damaged(format!("expected a list of layers, found {}", brief(value)))),
    }
}

fn reference(value: &Value) -> Result<Reference<'_>, Problem> {
    let parts = (
        value.get(0).and_then(Value::as_str),
        value.get(1).and_then(Value::as_u64),
        value.get(2).and_then(Value::as_u64),
    );
    match parts {
        (Some(name), Some(node), Some(0)) => Ok((name, node)),
        (Some(name), Some(_), Some(tensor)) => Err(unsupported(
            name,
            "layer",
            format!("its output number {tensor} is read; layers of several outputs are not supported"),
        )),
        _ => Err(damaged(format!("expected [layer, node, tensor], found {}", brief(value)))),
    }
}

/// JSON for a message.
fn brief(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(80) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}
