//! The forward pass of an analog network: plain inference in 32-bit floats.
//!
//! Samples are processed in blocks whose size depends on the graph alone, and each block by one thread, so the numbers
//! are the same for any number of threads. Convolutions are matrix products over unrolled windows (im2col).

mod kernels;

use super::graph::{Graph, Layer, LayerId, Operation, Shape};
use megasim_core::parallel;
use ndarray::{Array2, ArrayView2, Axis, concatenate, s};

/// A batch that the network cannot take.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected samples of shape {expected}, {} numbers each, found {found}", expected.len())]
pub struct WrongBatch {
    /// Input shape of the network.
    pub expected: Shape,
    /// Numbers per sample in the batch.
    pub found: usize,
}

/// Numbers that the activations of one block may take, all layers together; a block has 1 to 64 samples.
const BLOCK_NUMBERS: usize = 1 << 23;

/// Outputs of the network for a batch of samples.
///
/// `batch` is `(samples, numbers)`, maps flattened in the order `(channels, height, width)`; so is the result.
///
/// ```
/// use megasim_ann::forward::forward;
/// use megasim_ann::graph::{Activation, GraphBuilder, Operation, Shape};
/// use ndarray::array;
///
/// let mut builder = GraphBuilder::new("input", Shape::Features(2));
/// let dense = Operation::Dense { weights: array![[1.0], [-1.0]], bias: Some(array![0.5]) };
/// let dense = builder.add("dense", "Dense", dense, &[0])?;
/// builder.add("relu", "Activation", Operation::Activation(Activation::RELU), &[dense])?;
/// let graph = builder.finish()?;
/// let outputs = forward(&graph, array![[3.0, 1.0], [1.0, 3.0]].view())?;
/// assert_eq!(outputs, array![[2.5], [0.0]]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`WrongBatch`] where the samples are not of the network's input shape.
pub fn forward(graph: &Graph, batch: ArrayView2<f32>) -> Result<Array2<f32>, WrongBatch> {
    check(graph, batch)?;
    let last = graph.layers().len() - 1;
    let uses = uses(graph);
    let blocks = blocks(graph, batch);
    let outputs: Vec<Array2<f32>> = parallel::map(0..blocks.len(), |block| {
        let mut output = None;
        pass(graph, &uses, blocks[block], |layer, values| {
            if layer == last {
                output = Some(values.to_owned());
            }
        });
        output.unwrap_or_else(|| Array2::zeros((0, graph.output_shape().len())))
    });
    let views: Vec<_> = outputs.iter().map(|block| block.view()).collect();
    Ok(concatenate(Axis(0), &views).unwrap_or_else(|_| Array2::zeros((0, graph.output_shape().len()))))
}

/// The class of each sample: the largest output, the first of equal ones.
pub fn classes(outputs: ArrayView2<f32>) -> Vec<usize> {
    let largest = |row: ndarray::ArrayView1<f32>| {
        row.iter().enumerate().fold((0, f32::NEG_INFINITY), |best, (i, &x)| if x > best.1 { (i, x) } else { best }).0
    };
    outputs.rows().into_iter().map(largest).collect()
}

/// Calls `visit(first_sample, layer, activations)` with the activations of every layer, the input included.
///
/// Activations come in blocks of consecutive samples, in order; within a block, layer after layer. Memory is bounded by
/// a few blocks, whatever the size of the batch. The order is the same for any number of threads.
///
/// # Errors
/// [`WrongBatch`] where the samples are not of the network's input shape.
pub fn visit_activations(
    graph: &Graph,
    batch: ArrayView2<f32>,
    mut visit: impl FnMut(usize, LayerId, ArrayView2<f32>),
) -> Result<(), WrongBatch> {
    check(graph, batch)?;
    let uses = uses(graph);
    let mut first_sample = 0;
    for group in blocks(graph, batch).chunks(parallel::current_num_threads().max(1)) {
        let activations: Vec<Vec<Array2<f32>>> = parallel::map(0..group.len(), |block| {
            let mut activations = Vec::with_capacity(graph.layers().len());
            pass(graph, &uses, group[block], |_, values| activations.push(values.to_owned()));
            activations
        });
        for (block, activations) in group.iter().zip(&activations) {
            for (layer, values) in activations.iter().enumerate() {
                visit(first_sample, layer, values.view());
            }
            first_sample += block.nrows();
        }
    }
    Ok(())
}

fn check(graph: &Graph, batch: ArrayView2<f32>) -> Result<(), WrongBatch> {
    let expected = graph.input_shape();
    if batch.ncols() == expected.len() { Ok(()) } else { Err(WrongBatch { expected, found: batch.ncols() }) }
}

fn blocks<'a>(graph: &Graph, batch: ArrayView2<'a, f32>) -> Vec<ArrayView2<'a, f32>> {
    let per_sample: usize = graph.layers().iter().map(|layer| layer.shape.len()).sum();
    let samples = (BLOCK_NUMBERS / per_sample.max(1)).clamp(1, 64);
    (0..batch.nrows())
        .step_by(samples)
        .map(|start| batch.slice_move(s![start..(start + samples).min(batch.nrows()), ..]))
        .collect()
}

/// How often each layer is read.
fn uses(graph: &Graph) -> Vec<usize> {
    graph.readers().iter().map(Vec::len).collect()
}

/// One block through all layers; what no later layer reads is dropped on the way.
fn pass(graph: &Graph, uses: &[usize], block: ArrayView2<f32>, mut visit: impl FnMut(LayerId, ArrayView2<f32>)) {
    let mut left = uses.to_vec();
    let mut kept: Vec<Option<Array2<f32>>> = vec![None; graph.layers().len()];
    for (id, layer) in graph.layers().iter().enumerate() {
        let output = if matches!(layer.operation, Operation::Input) {
            block.as_standard_layout().into_owned()
        } else {
            layer.inputs.iter().for_each(|&input| left[input] -= 1);
            // A single reader takes the numbers and may change them in place.
            let taken = match layer.inputs[..] {
                [input] if left[input] == 0 => kept[input].take(),
                _ => None,
            };
            let source = |input: LayerId, values| Source { shape: graph.layers()[input].shape, values };
            let output = match taken {
                Some(values) => apply(layer, vec![source(layer.inputs[0], values.into())]),
                None => {
                    let inputs =
                        layer.inputs.iter().filter_map(|&input| Some(source(input, kept[input].as_ref()?.into())));
                    apply(layer, inputs.collect())
                }
            };
            layer.inputs.iter().filter(|&&input| left[input] == 0).for_each(|&input| kept[input] = None);
            output
        };
        visit(id, output.view());
        kept[id] = Some(output);
    }
}

/// What a layer reads: one block of another layer's output, in standard layout, owned where nothing else reads it.
struct Source<'a> {
    shape: Shape,
    values: ndarray::CowArray<'a, f32, ndarray::Ix2>,
}

fn apply(layer: &Layer, mut inputs: Vec<Source>) -> Array2<f32> {
    match &layer.operation {
        Operation::Add => {
            let mut sum = inputs.remove(0).values.into_owned();
            inputs.iter().for_each(|input| sum += &input.values);
            sum
        }
        Operation::Multiply | Operation::Maximum | Operation::Minimum => {
            let merge = |a: f32, b: f32| match layer.operation {
                Operation::Multiply => a * b,
                Operation::Maximum => a.max(b),
                _ => a.min(b),
            };
            let mut merged = inputs.remove(0).values.into_owned();
            for input in &inputs {
                merged.zip_mut_with(&input.values, |a, &b| *a = merge(*a, b));
            }
            merged
        }
        Operation::Concatenate => {
            // Channels are the slowest axis, so whole samples follow one another.
            let views: Vec<_> = inputs.iter().map(|input| input.values.view()).collect();
            concatenate(Axis(1), &views).expect("blocks have the same samples").as_standard_layout().into_owned()
        }
        operation => {
            let Source { shape, values } = inputs.remove(0);
            kernels::apply(operation, shape, layer.shape, values)
        }
    }
}

#[cfg(test)]
mod tests;
