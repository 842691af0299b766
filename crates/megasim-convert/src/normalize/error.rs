//! What can be wrong with samples, or with the activations over them.

use megasim_ann::forward::WrongBatch;
use megasim_ann::graph::GraphError;

/// Why a network could not be normalised.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// Samples of another shape than the network's input.
    #[error("normalisation set: {0}")]
    Batch(#[from] WrongBatch),
    /// The samples, or what was kept of them, cannot be had.
    #[error("{0}")]
    Data(String),
    /// No sample.
    #[error("normalisation set: expected at least one sample, found none")]
    Empty,
    /// The work was cancelled.
    #[error("stopped before the conversion was done")]
    Cancelled,
    /// An activation that is no number.
    #[error("layer '{layer}': expected finite activations over the normalisation set, found {value}")]
    NotFinite {
        /// The source's name of the layer.
        layer: String,
        /// What was found.
        value: f32,
    },
    /// Weights that are no numbers.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// A scale that no longer is a positive number.
    #[error("layer '{layer}': expected weights that a scale of {scale:e} leaves finite")]
    Scale {
        /// The source's name of the layer.
        layer: String,
        /// The scale.
        scale: f64,
    },
    /// Numbers of a schedule that are not one per layer.
    #[error(
        "--depth-scale: expected {} numbers, one per layer ({}), found {found}", .layers.len(), .layers.join(", ")
    )]
    Schedule {
        /// The source's names of the layers that count.
        layers: Vec<String>,
        /// How many numbers there are.
        found: usize,
    },
}
