//! The levels of a trained network with quantised activations, next to the counts of its signed neurons.

use super::count_at;
use super::integer::Counts;
use crate::presentation::Presentation;
use megasim_ann::forward::visit_activations;
use megasim_ann::graph::{Graph, LayerId, Levels};
use megasim_convert::manifest::Layer;
use megasim_convert::{ConvertedModel, parse};
use megasim_core::network::{Network, NodeId};
use ndarray::Array2;

/// The layers whose counts are levels of the trained network.
#[derive(Debug, Clone)]
pub struct Trained {
    graph: Graph,
    layers: Vec<Quantized>,
    /// The nodes of the input, one for each map, and addresses of one of them in a row.
    input: (Vec<NodeId>, usize),
    /// Bias events of a sample.
    steps: f32,
}

#[derive(Debug, Clone)]
struct Quantized {
    id: LayerId,
    levels: Levels,
    nodes: Vec<NodeId>,
    width: usize,
}

/// A level of a neuron: its node, its address, and which one it is.
pub(super) type Level = (NodeId, (i32, i32), i64);

/// Columns of maps; of a vector all.
fn width(shape: &[usize]) -> usize {
    shape.last().copied().unwrap_or(1).max(1)
}

impl Trained {
    /// Of a converted network; none where no layer has levels, or where they are those of another presentation.
    pub fn of(converted: &ConvertedModel, presentation: &Presentation) -> Option<Self> {
        let (manifest, network) = (converted.manifest(), converted.network());
        let made = manifest.presentation.as_ref().filter(|made| made.duration == presentation.duration)?;
        let is_quantized = |(_, layer): &(usize, &Layer)| layer.levels.is_some();
        let quantized: Vec<_> = manifest.layers.iter().enumerate().filter(is_quantized).collect();
        if quantized.is_empty() {
            return None;
        }
        // A network that was converted can be parsed again.
        let parsed = parse(&converted.model()?.graph, &manifest.options()).ok()?;
        let (graph, ids) = parsed.graph().ok()?;
        let nodes = |network: &Network, names: &[String]| -> Option<Vec<NodeId>> {
            names.iter().map(|name| network.node_named(name)).collect()
        };
        let layers = quantized.into_iter().map(|(number, layer)| {
            let (id, levels) = (*ids.get(number)?, parsed.levels(number)?);
            Some(Quantized { id, levels, nodes: nodes(network, &layer.nodes)?, width: width(&layer.shape) })
        });
        let input = (nodes(network, &manifest.input.nodes)?, width(&manifest.input.shape));
        Some(Self { graph, layers: layers.collect::<Option<_>>()?, input, steps: made.steps().ok()? as f32 })
    }

    /// What the layers have where the input has these counts.
    pub(super) fn levels(&self, counts: &[Counts]) -> Vec<Level> {
        let numbers = self.graph.input_shape().len();
        let (nodes, width) = &self.input;
        let cells = numbers / nodes.len().max(1);
        let input = Array2::from_shape_fn((1, numbers), |(_, at)| {
            count_at(&counts[nodes[at / cells].index()], address(at % cells, *width)) as f32 / self.steps
        });
        let mut levels = Vec::new();
        // The input has as many numbers as the graph takes.
        let _ = visit_activations(&self.graph, input.view(), |_, id, activations| {
            for layer in self.layers.iter().filter(|layer| layer.id == id) {
                let cells = activations.ncols() / layer.nodes.len().max(1);
                for (at, &activation) in activations.iter().enumerate() {
                    let level = (f64::from(activation) / f64::from(layer.levels.step)).round() as i64;
                    levels.push((layer.nodes[at / cells], address(at % cells, layer.width), level));
                }
            }
        });
        levels
    }
}

fn address(cell: usize, width: usize) -> (i32, i32) {
    ((cell % width) as i32, (cell / width) as i32)
}
