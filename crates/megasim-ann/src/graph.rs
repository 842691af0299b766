//! The analog network: a directed acyclic graph of layers, the one form that every input library is read into.
//!
//! Axis order is fixed, whatever the source library uses: feature maps are `(channels, height, width)`, dense weights
//! `(in, out)`, convolution weights `(out, in / groups, kernel height, kernel width)`, correlation as Keras and PyTorch
//! compute it (not flipped). A reader converts once, here at the edge; where the source flattens in another order, the
//! layer says so ([`AxisOrder`]).

pub use super::operation::*;
use super::shape;
use std::collections::HashSet;

/// Most layers of a graph. Deep networks have thousands; models nested in models could announce any number.
pub const MAX_LAYERS: usize = 1 << 14;

/// Index of a layer in its graph; a layer reads only layers before it.
pub type LayerId = usize;

/// One layer of a [`Graph`].
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    /// The source's name, unique in the graph.
    pub name: String,
    /// The source's word for the kind of layer as SNN toolbox and Keras spell it (`Conv2D`, `Dense`,
    /// `AveragePooling2D`, ...); it goes into the names of netfiles.
    pub kind: String,
    /// What it computes.
    pub operation: Operation,
    /// What it reads, all before itself.
    pub inputs: Vec<LayerId>,
    /// What it puts out.
    pub shape: Shape,
}

/// What is wrong with a graph.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("layer '{layer}' ({kind}): {message}")]
pub struct GraphError {
    /// Name of the layer.
    pub layer: String,
    /// Its kind.
    pub kind: String,
    /// What was expected and what was found.
    pub message: String,
}

/// A whole analog network: layers in topological order, the first one the input, the last one the output.
///
/// It is valid by construction: names are unique, every layer reads only layers before it and all but the last are
/// read, parameters fit their inputs and are finite, and shapes follow from the operations.
#[derive(Debug, Clone, PartialEq)]
pub struct Graph {
    layers: Vec<Layer>,
}

impl Graph {
    /// Checks the layers and makes them a graph.
    ///
    /// # Errors
    /// The first layer that breaks a rule of the type.
    pub fn new(layers: Vec<Layer>) -> Result<Self, GraphError> {
        let mut names = HashSet::new();
        let mut is_read = vec![false; layers.len()];
        for (id, layer) in layers.iter().enumerate() {
            let fault = |message| GraphError { layer: layer.name.clone(), kind: layer.kind.clone(), message };
            if !names.insert(layer.name.as_str()) {
                return Err(fault("expected a name that no other layer has, found one used before".into()));
            }
            if (id == 0) != (layer.operation == Operation::Input) {
                return Err(fault("expected one input, as the first layer".into()));
            }
            let mut inputs = Vec::with_capacity(layer.inputs.len());
            for &input in &layer.inputs {
                if input >= id {
                    return Err(fault(format!("expected to read layers before number {id}, found number {input}")));
                }
                is_read[input] = true;
                inputs.push(layers[input].shape);
            }
            let shape = shape::infer(&layer.operation, &inputs, Some(layer.shape)).map_err(fault)?;
            if shape != layer.shape {
                return Err(fault(format!("expected output shape {shape}, found {}", layer.shape)));
            }
        }
        if layers.len() > MAX_LAYERS {
            let Layer { name, kind, .. } = &layers[MAX_LAYERS];
            return Err(GraphError { layer: name.clone(), kind: kind.clone(), message: too_many() });
        }
        if layers.is_empty() {
            let message = "expected at least an input layer, found none".into();
            return Err(GraphError { layer: String::new(), kind: "Graph".into(), message });
        }
        if let Some(unread) = is_read[..layers.len() - 1].iter().position(|&read| !read) {
            let Layer { name, kind, .. } = &layers[unread];
            let message = "expected one output, the last layer; nothing reads this one".into();
            return Err(GraphError { layer: name.clone(), kind: kind.clone(), message });
        }
        Ok(Self { layers })
    }

    /// Whether its last layer is a softmax, or the logarithm of one.
    pub fn ends_in_softmax(&self) -> bool {
        let softmax = |layer: &Layer| matches!(layer.operation, Operation::Activation(it) if it.is_softmax());
        self.layers.last().is_some_and(softmax)
    }

    /// The factor on the input (the largest over the channels) where layers at the input only scale and shift it; none
    /// where there is no such layer.
    pub fn input_factor(&self) -> Option<f32> {
        let readers = self.readers();
        let (mut at, mut factor) = (0, None);
        while let [next] = readers[at][..] {
            match &self.layers[next].operation {
                Operation::BatchNormalization { gamma, variance, epsilon, .. } => {
                    let scale =
                        gamma.iter().zip(variance).map(|(gamma, variance)| (gamma / (variance + epsilon).sqrt()).abs());
                    factor = Some(factor.unwrap_or(1.0) * scale.fold(0.0, f32::max));
                }
                Operation::TrainingOnly { .. }
                | Operation::Reshape { .. }
                | Operation::Permute { .. }
                | Operation::Activation(Activation::Linear) => {}
                _ => break,
            }
            at = next;
        }
        factor
    }

    /// The layers in order.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// The layers, to be changed and made a graph again.
    pub fn into_layers(self) -> Vec<Layer> {
        self.layers
    }

    /// Shape of one sample.
    pub fn input_shape(&self) -> Shape {
        self.layers[0].shape
    }

    /// Shape of what the network puts out for one sample.
    pub fn output_shape(&self) -> Shape {
        self.layers[self.layers.len() - 1].shape
    }

    /// For each layer, which layers read it (a layer that reads it twice is there twice).
    pub fn readers(&self) -> Vec<Vec<LayerId>> {
        let mut readers = vec![Vec::new(); self.layers.len()];
        for (id, layer) in self.layers.iter().enumerate() {
            for &input in &layer.inputs {
                readers[input].push(id);
            }
        }
        readers
    }
}

fn too_many() -> String {
    format!("expected at most {MAX_LAYERS} layers, found more")
}

/// Makes a [`Graph`] layer by layer; shapes follow from the operations.
///
/// ```
/// use megasim_ann::graph::{Activation, GraphBuilder, Operation, Shape};
/// use ndarray::array;
///
/// let mut builder = GraphBuilder::new("input", Shape::Features(2));
/// let dense = Operation::Dense { weights: array![[1.0], [-1.0]], bias: None };
/// let dense = builder.add("dense", "Dense", dense, &[0])?;
/// builder.add("relu", "Activation", Operation::Activation(Activation::RELU), &[dense])?;
/// let graph = builder.finish()?;
/// assert_eq!(graph.output_shape(), Shape::Features(1));
/// # Ok::<(), megasim_ann::graph::GraphError>(())
/// ```
#[derive(Debug, Clone)]
pub struct GraphBuilder {
    layers: Vec<Layer>,
    names: HashSet<String>,
}

impl GraphBuilder {
    /// A graph of an input layer, which has id 0.
    pub fn new(name: impl Into<String>, shape: Shape) -> Self {
        let (name, kind): (String, _) = (name.into(), "InputLayer".into());
        let names = HashSet::from([name.clone()]);
        Self { layers: vec![Layer { name, kind, operation: Operation::Input, inputs: Vec::new(), shape }], names }
    }

    /// Adds a layer whose shape follows from the operation (global pooling: to features).
    ///
    /// # Errors
    /// Where the operation cannot take its inputs; also for a reshape and a transposed convolution, whose shapes do not
    /// follow.
    pub fn add(
        &mut self,
        name: impl Into<String>,
        kind: impl Into<String>,
        operation: Operation,
        inputs: &[LayerId],
    ) -> Result<LayerId, GraphError> {
        self.push(name.into(), kind.into(), operation, inputs, None)
    }

    /// Adds a layer of this shape: a reshape, a transposed convolution, a global pooling to maps.
    ///
    /// # Errors
    /// Where the operation cannot take its inputs or give that shape.
    pub fn add_shaped(
        &mut self,
        name: impl Into<String>,
        kind: impl Into<String>,
        operation: Operation,
        inputs: &[LayerId],
        shape: Shape,
    ) -> Result<LayerId, GraphError> {
        self.push(name.into(), kind.into(), operation, inputs, Some(shape))
    }

    fn push(
        &mut self,
        name: String,
        kind: String,
        operation: Operation,
        inputs: &[LayerId],
        wanted: Option<Shape>,
    ) -> Result<LayerId, GraphError> {
        if self.layers.len() == MAX_LAYERS {
            return Err(GraphError { layer: name, kind, message: too_many() });
        }
        let shape = inputs
            .iter()
            .map(|&input| {
                let layer = self.layers.get(input);
                layer
                    .map(|layer| layer.shape)
                    .ok_or_else(|| format!("expected to read a layer before it, found {input}"))
            })
            .collect::<Result<Vec<_>, _>>()
            .and_then(|inputs| shape::infer(&operation, &inputs, wanted))
            .map_err(|message| GraphError { layer: name.clone(), kind: kind.clone(), message })?;
        self.names.insert(name.clone());
        self.layers.push(Layer { name, kind, operation, inputs: inputs.to_vec(), shape });
        Ok(self.layers.len() - 1)
    }

    /// This name, or with a number behind it where a layer has it already.
    pub fn free_name(&self, name: &str) -> String {
        let is_free = |name: &str| !self.names.contains(name);
        if is_free(name) {
            return name.into();
        }
        let numbered = |count: usize| format!("{name}_{count}");
        // Numbers are given in order, so the first free one is found by halving.
        let (mut taken, mut free) = (0, 1);
        while !is_free(&numbered(free)) {
            (taken, free) = (free, 2 * free);
        }
        while free - taken > 1 {
            let middle = taken + (free - taken) / 2;
            if is_free(&numbered(middle)) { free = middle } else { taken = middle }
        }
        numbered(free)
    }

    /// Shape of a layer added before.
    ///
    /// # Panics
    /// If there is no such layer.
    pub fn shape(&self, layer: LayerId) -> Shape {
        self.layers[layer].shape
    }

    /// The layers so far.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// The graph that ends in `output`; layers that do not lead there are left out.
    ///
    /// # Errors
    /// As [`Graph::new`].
    ///
    /// # Panics
    /// If there is no such layer.
    pub fn finish_at(self, output: LayerId) -> Result<Graph, GraphError> {
        let mut leads = vec![false; self.layers.len()];
        leads[output] = true;
        // The input stays: a graph has one.
        leads[0] = true;
        for id in (0..=output).rev().filter(|&id| id > 0) {
            if leads[id] {
                self.layers[id].inputs.iter().for_each(|&input| leads[input] = true);
            }
        }
        let mut moved = vec![0; self.layers.len()];
        let mut layers = Vec::new();
        for (id, mut layer) in self.layers.into_iter().enumerate().filter(|&(id, _)| leads[id]) {
            moved[id] = layers.len();
            layer.inputs.iter_mut().for_each(|input| *input = moved[*input]);
            layers.push(layer);
        }
        Graph::new(layers)
    }

    /// The graph.
    ///
    /// # Errors
    /// As [`Graph::new`].
    pub fn finish(self) -> Result<Graph, GraphError> {
        Graph::new(self.layers)
    }
}
