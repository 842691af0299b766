//! The outputs of a trained network for many samples.

use crate::runner;
use megasim_ann::forward::{WrongBatch, forward};
use megasim_ann::graph::Graph;
use megasim_core::control::Control;
use ndarray::{Array2, ArrayView2, s};

/// Samples of which one process computes all outputs together.
const BLOCK: usize = 64;

/// Outputs `(samples, classes)` of samples `(samples, numbers)`. Where several processes share the work, they share
/// blocks of 64 samples. None where `control` cancels, or where only some samples are known.
///
/// # Errors
/// [`WrongBatch`] where the samples are not of the network's input shape.
pub fn outputs(
    graph: &Graph,
    values: ArrayView2<f32>,
    control: &dyn Control,
) -> Result<Option<Array2<f32>>, WrongBatch> {
    if control.outcomes().is_none() {
        return forward(graph, values).map(Some);
    }
    let n = values.nrows();
    let one = |(): &mut (), block: usize| {
        let rows = block * BLOCK..((block + 1) * BLOCK).min(n);
        Ok::<_, WrongBatch>(forward(graph, values.slice(s![rows, ..]))?.into_iter().collect::<Vec<f32>>())
    };
    let runs = runner::run("outputs, blocks of 64 samples", 0..n.div_ceil(BLOCK), control, || (), one, drop)?;
    let numbers: Vec<f32> = runs.complete().into_iter().flatten().collect();
    Ok(Array2::from_shape_vec((n, graph.output_shape().len()), numbers).ok())
}
