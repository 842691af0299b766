//! The obstacles of a model, all at once, and the layers that were read.

use super::ImportError;
use crate::graph::{Activation, Graph, GraphBuilder, Layer, LayerId, Operation, Shape};

/// A network of which layers are refused.
#[derive(Debug, thiserror::Error)]
#[error("{}", obstacles.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct Refusal {
    /// Each as [`ImportError::Unsupported`], [`ImportError::Misfit`] or [`ImportError::Graph`], in order.
    pub obstacles: Vec<ImportError>,
    /// The layers in order, those that are refused among them.
    pub layers: Vec<ReadLayer>,
    /// The network with a ReLU in place of each layer that is refused, to see what else is in the way; `None` where the
    /// other layers do not fit each other so.
    pub others: Option<Graph>,
}

/// A layer of a network of which layers are refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadLayer {
    /// The source's name.
    pub name: String,
    /// The source's word for its kind.
    pub kind: String,
    /// What it puts out; `None` of a layer that is refused, and of those that depend on one.
    pub shape: Option<Shape>,
    /// Weights, biases and statistics; `None` of a layer that is not read.
    pub parameters: Option<usize>,
    /// Whether it is in the way by itself.
    pub is_refused: bool,
}

impl ReadLayer {
    fn of(layer: &Layer) -> Self {
        let Layer { name, kind, operation, shape, .. } = layer;
        Self {
            name: name.clone(),
            kind: kind.clone(),
            shape: Some(*shape),
            parameters: Some(operation.parameters()),
            is_refused: false,
        }
    }

    /// Layers of a network that was read as a whole.
    pub fn all(graph: &Graph) -> Vec<Self> {
        graph.layers().iter().map(Self::of).collect()
    }
}

/// What a file holds that has no meaning here: the first of all, then those that do not follow from one before.
#[derive(Debug, Default)]
pub(super) struct Obstacles {
    problems: Vec<ImportError>,
    /// What is in the graph for a layer that is refused, or that does not fit behind one; the flag says which.
    replaced: Vec<(LayerId, bool)>,
}

impl Obstacles {
    pub(super) fn is_empty(&self) -> bool {
        self.problems.is_empty()
    }

    /// Takes a problem, so that the walk can go on, and says whether it is an obstacle by itself; gives back what is no
    /// matter of a layer.
    pub(super) fn take(&mut self, problem: ImportError) -> Result<bool, ImportError> {
        let is_obstacle = match &problem {
            ImportError::Unsupported { .. } => true,
            // Behind a layer that is missing, shapes may be others.
            ImportError::Misfit { .. } | ImportError::Graph(_) => self.is_empty(),
            _ if self.is_empty() => return Err(problem),
            _ => false,
        };
        if is_obstacle {
            self.problems.push(problem);
        }
        Ok(is_obstacle)
    }

    /// As [`Obstacles::take`], of the input itself.
    pub(super) fn take_input(&mut self, problem: ImportError) -> Result<(), ImportError> {
        let is_obstacle = self.take(problem)?;
        self.replaced.push((0, is_obstacle));
        Ok(())
    }

    /// As [`Obstacles::take`], of a layer, in whose place rates go on that are those of its input.
    pub(super) fn replace(
        &mut self,
        builder: &mut GraphBuilder,
        (name, kind): (&str, &str),
        input: LayerId,
        problem: ImportError,
    ) -> Result<LayerId, ImportError> {
        let is_obstacle = self.take(problem)?;
        let relu = Operation::Activation(Activation::RELU);
        let Ok(layer) = builder.add(builder.free_name(name), kind, relu, &[input]) else { return Ok(input) };
        self.replaced.push((layer, is_obstacle));
        Ok(layer)
    }

    /// The end of a walk that found any.
    pub(super) fn refusal(self, builder: GraphBuilder, output: LayerId) -> ImportError {
        let mut layers: Vec<ReadLayer> = builder.layers().iter().map(ReadLayer::of).collect();
        for &(layer, is_obstacle) in &self.replaced {
            let ReadLayer { shape, parameters, is_refused, .. } = &mut layers[layer];
            (*shape, *parameters, *is_refused) = (None, None, is_obstacle);
        }
        for (id, layer) in builder.layers().iter().enumerate() {
            if layer.inputs.iter().any(|&input| layers[input].shape.is_none()) {
                layers[id].shape = None;
            }
        }
        ImportError::Refused(Box::new(Refusal {
            obstacles: self.problems,
            layers,
            others: builder.finish_at(output).ok(),
        }))
    }
}
