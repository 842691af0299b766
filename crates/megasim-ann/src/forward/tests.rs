use super::*;
use crate::graph::{Activation, AxisOrder, GraphBuilder, Levels, Padding, Pooling};
use ndarray::{Array1, Array3, Array4, array};
use proptest::prelude::*;

/// The definition of a convolution, cell by cell.
#[allow(clippy::too_many_arguments)]
fn direct(
    input: &Array3<f32>,
    weights: &Array4<f32>,
    strides: (usize, usize),
    padding: Padding,
    dilation: (usize, usize),
    groups: usize,
    (out_height, out_width): (usize, usize),
) -> Array3<f32> {
    let (channels, height, width) = input.dim();
    let (out, per_group, kh, kw) = weights.dim();
    assert_eq!(channels, per_group * groups);
    Array3::from_shape_fn((out, out_height, out_width), |(o, y, x)| {
        let mut sum = 0.0;
        for c in 0..per_group {
            for j in 0..kh {
                for i in 0..kw {
                    let row = (y * strides.0 + j * dilation.0) as isize - padding.top as isize;
                    let column = (x * strides.1 + i * dilation.1) as isize - padding.left as isize;
                    if (0..height as isize).contains(&row) && (0..width as isize).contains(&column) {
                        let channel = o / (out / groups) * per_group + c;
                        sum += weights[[o, c, j, i]] * input[[channel, row as usize, column as usize]];
                    }
                }
            }
        }
        sum
    })
}

fn one_layer(input: Shape, operation: Operation, shape: Option<Shape>) -> Graph {
    let mut builder = GraphBuilder::new("input", input);
    match shape {
        Some(shape) => builder.add_shaped("layer", "Layer", operation, &[0], shape).unwrap(),
        None => builder.add("layer", "Layer", operation, &[0]).unwrap(),
    };
    builder.finish().unwrap()
}

fn maps(channels: usize, height: usize, width: usize) -> Shape {
    Shape::Maps { channels, height, width }
}

fn counting(n: usize) -> Array2<f32> {
    Array2::from_shape_fn((1, n), |(_, i)| i as f32)
}

proptest! {
    #[test]
    fn convolution_is_its_definition(
        (groups, per_group, per_out) in (1usize..3, 1usize..3, 1usize..3),
        (height, width) in (1usize..7, 1usize..7),
        (kh, kw) in (1usize..4, 1usize..4),
        strides in (1usize..4, 1usize..4),
        dilation in (1usize..3, 1usize..3),
        (top, bottom, left, right) in (0usize..4, 0usize..4, 0usize..4, 0usize..4),
        seed in 0u32..1000,
    ) {
        let padding = Padding { top, bottom, left, right };
        let noise = |i: usize| ((i as u32).wrapping_mul(2_654_435_761).wrapping_add(seed * 40503) % 17) as f32 - 8.0;
        let weight_noise = |(a, b, c, d)| noise(a * 31 + b * 17 + c * 5 + d);
        let weights = Array4::from_shape_fn((groups * per_out, per_group, kh, kw), weight_noise);
        let bias = Array1::from_shape_fn(groups * per_out, |i| noise(i + 99));
        let input = Array3::from_shape_fn((groups * per_group, height, width), |(a, b, c)| noise(a * 101 + b * 11 + c));
        let (filters, offsets) = (weights.clone(), Some(bias.clone()));
        let operation =
            Operation::Convolution { weights: filters, bias: offsets, strides, padding, dilation, groups };
        let mut builder = GraphBuilder::new("input", maps(groups * per_group, height, width));
        let fits = (kh - 1) * dilation.0 < height + top + bottom && (kw - 1) * dilation.1 < width + left + right;
        let added = builder.add("conv", "Conv2D", operation, &[0]);
        prop_assert_eq!(added.is_ok(), fits);
        if fits {
            let graph = builder.finish().unwrap();
            let Shape::Maps { height: oh, width: ow, .. } = graph.output_shape() else { panic!() };
            let mut expected = direct(&input, &weights, strides, padding, dilation, groups, (oh, ow));
            expected.outer_iter_mut().zip(&bias).for_each(|(mut map, &bias)| map += bias);
            let flat = input.into_shape_with_order((1, graph.input_shape().len())).unwrap();
            let output = forward(&graph, flat.view()).unwrap();
            prop_assert_eq!(output.into_raw_vec_and_offset().0, expected.into_raw_vec_and_offset().0);
        }
    }

    /// <conv(x), y> = <x, transposed(y)> for every x and y: the definition of a transpose.
    #[test]
    fn transposed_convolution_is_the_transpose(
        (groups, per_group, per_out) in (1usize..3, 1usize..3, 1usize..3),
        (height, width) in (1usize..7, 1usize..7),
        (kh, kw) in (1usize..4, 1usize..4),
        strides in (1usize..4, 1usize..4),
        (top, left) in (0usize..2, 0usize..2),
        seed in 0u32..1000,
    ) {
        let padding = Padding { top, left, ..Padding::default() };
        let noise = |i: usize| ((i as u32).wrapping_mul(2_654_435_761).wrapping_add(seed * 40503) % 7) as f32 - 3.0;
        let weight_noise = |(a, b, c, d)| noise(a * 31 + b * 17 + c * 5 + d);
        let weights = Array4::from_shape_fn((groups * per_out, per_group, kh, kw), weight_noise);
        let filters = weights.clone();
        let operation =
            Operation::Convolution { weights: filters, bias: None, strides, padding, dilation: (1, 1), groups };
        let mut builder = GraphBuilder::new("input", maps(groups * per_group, height, width));
        prop_assume!(builder.add("conv", "Conv2D", operation, &[0]).is_ok());
        let conv = builder.finish().unwrap();
        let transposed = Operation::TransposedConvolution { weights, bias: None, strides, padding, groups };
        let mut builder = GraphBuilder::new("input", conv.output_shape());
        // A transposed convolution reaches further than the map where the padding cuts windows: no such layer exists.
        prop_assume!(builder.add_shaped("t", "Conv2DTranspose", transposed, &[0], conv.input_shape()).is_ok());
        let transposed = builder.finish().unwrap();
        let x = Array2::from_shape_fn((1, conv.input_shape().len()), |(_, i)| noise(i + 5));
        let y = Array2::from_shape_fn((1, conv.output_shape().len()), |(_, i)| noise(i + 50));
        let left = (forward(&conv, x.view()).unwrap() * &y).sum();
        let right = (forward(&transposed, y.view()).unwrap() * &x).sum();
        prop_assert_eq!(left, right);
    }
}

#[test]
fn pooling_counts_what_it_is_told() {
    let padding = Padding { top: 1, left: 1, ..Padding::default() };
    let run = |pooling| {
        let operation = Operation::Pool { pooling, size: (2, 2), strides: (2, 2), padding };
        let graph = one_layer(maps(1, 3, 3), operation, None);
        forward(&graph, (counting(9) - 8.0).view()).unwrap()
    };
    assert_eq!(run(Pooling::Max), array![[-8.0, -6.0, -2.0, 0.0]]);
    assert_eq!(run(Pooling::Average { count_padding: true }), array![[-2.0, -3.25, -1.75, -2.0]]);
    assert_eq!(run(Pooling::Average { count_padding: false }), array![[-8.0, -6.5, -3.5, -2.0]]);
}

#[test]
fn a_window_wholly_in_the_padding_is_refused() {
    let operation = Operation::Pool {
        pooling: Pooling::Max,
        size: (2, 2),
        strides: (2, 2),
        padding: Padding { bottom: 2, ..Padding::default() },
    };
    let fault = GraphBuilder::new("input", maps(1, 2, 2)).add("pool", "MaxPooling2D", operation, &[0]).unwrap_err();
    assert!(fault.to_string().contains("padding"), "{fault}");
}

#[test]
fn flatten_and_reshape_keep_to_their_order() {
    let run =
        |operation, shape| forward(&one_layer(maps(2, 1, 3), operation, Some(shape)), counting(6).view()).unwrap();
    let flat = Shape::Features(6);
    let first = AxisOrder::ChannelsFirst;
    let last = AxisOrder::ChannelsLast;
    assert_eq!(run(Operation::Flatten { order: first }, flat), counting(6));
    assert_eq!(run(Operation::Flatten { order: last }, flat), array![[0.0, 3.0, 1.0, 4.0, 2.0, 5.0]]);
    // (h, w, c) = (1, 3, 2) as (3, 1, 2): rows of the result are the columns of the input.
    assert_eq!(run(Operation::Reshape { order: last }, maps(2, 3, 1)), counting(6));
    // as (1, 2, 3): 0 3 1 | 4 2 5, channel c of column x at 3x + c.
    assert_eq!(run(Operation::Reshape { order: last }, maps(3, 1, 2)), array![[0.0, 4.0, 3.0, 2.0, 1.0, 5.0]]);
    assert_eq!(run(Operation::Permute { axes: [2, 1, 0] }, maps(3, 1, 2)), array![[0.0, 3.0, 1.0, 4.0, 2.0, 5.0]]);
}

#[test]
fn maps_are_padded_cropped_and_enlarged() {
    let padding = Padding { top: 1, bottom: 0, left: 0, right: 2 };
    let padded =
        forward(&one_layer(maps(1, 1, 2), Operation::ZeroPad(padding), None), array![[5.0, 6.0]].view()).unwrap();
    assert_eq!(padded, array![[0.0, 0.0, 0.0, 0.0, 5.0, 6.0, 0.0, 0.0]]);
    let cropped = forward(&one_layer(maps(1, 2, 4), Operation::Crop(padding), None), padded.view()).unwrap();
    assert_eq!(cropped, array![[5.0, 6.0]]);
    let enlarge = Operation::Upsample { factors: (2, 1) };
    let enlarged = forward(&one_layer(maps(1, 2, 2), enlarge, None), counting(4).view()).unwrap();
    assert_eq!(enlarged, array![[0.0, 1.0, 0.0, 1.0, 2.0, 3.0, 2.0, 3.0]]);
}

#[test]
fn activations_are_their_equations() {
    let run = |activation, x: f32| {
        forward(&one_layer(Shape::Features(1), Operation::Activation(activation), None), array![[x]].view()).unwrap()
            [[0, 0]]
    };
    let leaky = Activation::Relu { negative_slope: 0.1, max: Some(6.0) };
    assert_eq!((run(leaky, -2.0), run(leaky, 2.0), run(leaky, 7.0)), (-0.2, 2.0, 6.0));
    let quantized = Activation::Quantized(Levels::fixed_point(1, 2));
    assert_eq!((run(quantized, -1.0), run(quantized, 0.3), run(quantized, 5.0)), (0.0, 0.25, 1.75));
    assert_eq!(run(Activation::Softplus { scale: 1.0 }, 100.0), 100.0);
    assert!((run(Activation::Softplus { scale: 1.0 }, 0.0) - 2f32.ln()).abs() < 1e-7);
    let clamped = Activation::ClampedRelu { threshold: 0.1, max: Some(1.0) };
    assert_eq!((run(clamped, 0.05), run(clamped, 0.1), run(clamped, 2.0)), (0.0, 0.1, 1.0));
    assert_eq!((run(Activation::BinaryStep, 0.0), run(Activation::BinarySign, 0.0)), (0.0, -1.0));
    assert!((run(Activation::Sigmoid, 1.0) - 0.731_058_6).abs() < 1e-6);
}

#[test]
fn softmax_runs_over_channels() {
    let graph = one_layer(maps(2, 1, 2), Operation::Activation(Activation::Softmax), None);
    let output = forward(&graph, array![[0.0, 1000.0, 0.0, 0.0]].view()).unwrap();
    assert_eq!(output, array![[0.5, 1.0, 0.5, 0.0]]);
}

/// A branch, a sum, a concatenation; more samples than a block holds.
fn branched() -> Graph {
    let mut builder = GraphBuilder::new("input", Shape::Features(3));
    let weights = Array2::from_shape_fn((3, 3), |(i, j)| (i * 3 + j) as f32 * 0.37 - 1.0);
    let dense = builder.add("dense", "Dense", Operation::Dense { weights, bias: None }, &[0]).unwrap();
    let relu = builder.add("relu", "Activation", Operation::Activation(Activation::RELU), &[dense]).unwrap();
    let sum = builder.add("sum", "Add", Operation::Add, &[0, relu, relu]).unwrap();
    builder.add("both", "Concatenate", Operation::Concatenate, &[sum, dense]).unwrap();
    builder.finish().unwrap()
}

#[test]
fn threads_and_blocks_do_not_show() {
    let graph = branched();
    let batch = Array2::from_shape_fn((300, 3), |(i, j)| ((i * 7 + j * 5) % 11) as f32 * 0.1);
    let pool = |n| megasim_core::parallel::Pool::new(n).unwrap();
    let one = pool(1).install(|| forward(&graph, batch.view()).unwrap());
    let four = pool(4).install(|| forward(&graph, batch.view()).unwrap());
    assert_eq!(one, four);
    let mut last = Array2::zeros((0, 6));
    let mut order = Vec::new();
    pool(3).install(|| {
        visit_activations(&graph, batch.view(), |first, layer, values| {
            order.push((first, layer));
            if layer == 4 {
                assert_eq!(first, last.nrows());
                last.append(Axis(0), values).unwrap();
            }
        })
        .unwrap();
    });
    assert_eq!(last, one);
    assert!(order.is_sorted());
    for (row, x) in one.rows().into_iter().zip(batch.rows()) {
        let relu = row.slice(s![3..]).mapv(|d| d.max(0.0));
        assert_eq!(row.slice(s![..3]).to_owned(), &x + &relu + &relu);
    }
}

#[test]
fn an_empty_batch_and_a_wrong_one() {
    let graph = branched();
    assert_eq!(forward(&graph, Array2::zeros((0, 3)).view()).unwrap().dim(), (0, 6));
    let wrong = forward(&graph, Array2::zeros((1, 4)).view()).unwrap_err();
    assert_eq!(wrong.to_string(), "expected samples of shape (3), 3 numbers each, found 4");
}
