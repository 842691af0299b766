//! The arithmetic of each operation, over one block of samples.

use crate::graph::{Activation, AxisOrder, Operation, Padding, Pooling, Shape};
use ndarray::linalg::general_mat_mul;
use ndarray::{Array1, Array2, Array4, ArrayView2, ArrayViewMut2, CowArray, Ix2, Ix4, s};

/// `(channels, height, width)`; a vector has channels of one cell each.
fn dimensions(shape: Shape) -> (usize, usize, usize) {
    match shape {
        Shape::Features(n) => (n, 1, 1),
        Shape::Maps { channels, height, width } => (channels, height, width),
    }
}

/// An operation of one input; `values` is `(samples, numbers)` in standard layout, and so is the result.
pub(super) fn apply(operation: &Operation, from: Shape, to: Shape, values: CowArray<f32, Ix2>) -> Array2<f32> {
    match operation {
        Operation::Dense { weights, bias } => {
            let mut output = values.dot(weights);
            if let Some(bias) = bias {
                output += bias;
            }
            output
        }
        Operation::Convolution { weights, bias, strides, padding, dilation, groups } => {
            let windows = Windows { strides: *strides, padding: *padding, dilation: *dilation };
            let mut convolution = Convolution::new(weights, windows, *groups, dimensions(from), dimensions(to));
            map_samples(values, to, |input, output| {
                convolution.run(input, output);
                add_bias(output, bias.as_ref());
            })
        }
        Operation::TransposedConvolution { weights, bias, strides, padding, groups } => {
            let windows = Windows { strides: *strides, padding: *padding, dilation: (1, 1) };
            map_samples(values, to, |input, output| {
                convolve_transposed(input, dimensions(from), weights, &windows, *groups, dimensions(to), output);
                add_bias(output, bias.as_ref());
            })
        }
        Operation::Pool { pooling, size, strides, padding } => {
            let (_, height, width) = dimensions(from);
            let (_, out_height, out_width) = dimensions(to);
            map_maps(values, from, to, |map, output| {
                for y in 0..out_height {
                    let rows = covered(y, strides.0, padding.top, size.0, height);
                    for x in 0..out_width {
                        let columns = covered(x, strides.1, padding.left, size.1, width);
                        let cells = rows.clone().flat_map(|row| &map[row * width..][columns.clone()]);
                        output[y * out_width + x] = pool(cells, *pooling, size.0 * size.1);
                    }
                }
            })
        }
        Operation::GlobalPool { pooling } => {
            map_maps(values, from, to, |map, output| output[0] = pool(map.iter(), *pooling, map.len()))
        }
        Operation::BatchNormalization { gamma, beta, mean, variance, epsilon } => {
            let cells = from.len() / gamma.len();
            let mut values = values.into_owned();
            for mut sample in values.rows_mut() {
                for (channel, mut map) in sample.exact_chunks_mut(cells).into_iter().enumerate() {
                    let scale = gamma[channel] / (variance[channel] + epsilon).sqrt();
                    let shift = beta[channel] - mean[channel] * scale;
                    map.mapv_inplace(|x| x * scale + shift);
                }
            }
            values
        }
        Operation::Activation(activation) if activation.is_softmax() => {
            let of_vector = if *activation == Activation::Softmax { softmax } else { log_softmax };
            let mut values = values.into_owned();
            values.rows_mut().into_iter().for_each(|mut sample| {
                let (channels, height, width) = dimensions(from);
                let mut maps = sample.view_mut().into_shape_with_order((channels, height * width)).expect("whole rows");
                maps.columns_mut().into_iter().for_each(|mut column| of_vector(&mut column));
            });
            values
        }
        // The most frequent one, without a choice for each number.
        Operation::Activation(Activation::Relu { negative_slope, max: None }) => {
            let mut values = values.into_owned();
            values.mapv_inplace(|x| rectified(*negative_slope, x));
            values
        }
        Operation::Activation(activation) => {
            let mut values = values.into_owned();
            values.mapv_inplace(|x| activate(*activation, x));
            values
        }
        Operation::ParametricRelu { slopes } => {
            let cells = from.len() / slopes.len();
            let mut values = values.into_owned();
            for mut sample in values.rows_mut() {
                for (mut map, &slope) in sample.exact_chunks_mut(cells).into_iter().zip(slopes) {
                    map.mapv_inplace(|x| rectified(slope, x));
                }
            }
            values
        }
        Operation::Bias { bias } => values.into_owned() + bias,
        Operation::Channels { channels } => map_samples(values, to, |input, output| {
            let cells = output.len() / channels.len();
            for (map, channel) in output.chunks_exact_mut(cells).zip(channels) {
                if let Some(channel) = channel {
                    map.copy_from_slice(&input[channel * cells..(channel + 1) * cells]);
                }
            }
        }),
        Operation::Flatten { order } | Operation::Reshape { order } => match order {
            AxisOrder::ChannelsFirst => values.into_owned(),
            AxisOrder::ChannelsLast => {
                let last = channels_last_positions(from);
                let back = channels_last_positions(to);
                let mut output = Array2::zeros(values.raw_dim());
                for (sample, mut out) in values.rows().into_iter().zip(output.rows_mut()) {
                    // Both shapes name the same vector; `last[p]` is where its p-th number is.
                    last.iter().zip(&back).for_each(|(&source, &target)| out[target] = sample[source]);
                }
                output
            }
        },
        Operation::ZeroPad(padding) => {
            let (_, height, width) = dimensions(from);
            let (_, _, out_width) = dimensions(to);
            map_maps(values, from, to, |map, output| {
                for y in 0..height {
                    let start = (y + padding.top) * out_width + padding.left;
                    output[start..start + width].copy_from_slice(&map[y * width..(y + 1) * width]);
                }
            })
        }
        Operation::Crop(cut) => {
            let (_, _, width) = dimensions(from);
            let (_, out_height, out_width) = dimensions(to);
            map_maps(values, from, to, |map, output| {
                for y in 0..out_height {
                    let start = (y + cut.top) * width + cut.left;
                    output[y * out_width..(y + 1) * out_width].copy_from_slice(&map[start..start + out_width]);
                }
            })
        }
        Operation::Permute { axes } => {
            let n = values.nrows();
            let maps = values.into_shape_with_order((n, dimensions(from).0, dimensions(from).1, dimensions(from).2));
            let permuted = maps.expect("whole rows").permuted_axes([0, axes[0] + 1, axes[1] + 1, axes[2] + 1]);
            permuted.as_standard_layout().into_owned().into_shape_with_order((n, to.len())).expect("whole rows")
        }
        Operation::Gather { numbers } => map_samples(values, to, |input, output| {
            output.iter_mut().zip(numbers).for_each(|(out, &number)| *out = input[number]);
        }),
        Operation::Upsample { factors } => {
            let (_, _, width) = dimensions(from);
            let (_, _, out_width) = dimensions(to);
            map_maps(values, from, to, |map, output| {
                for (i, out) in output.iter_mut().enumerate() {
                    *out = map[i / out_width / factors.0 * width + i % out_width / factors.1];
                }
            })
        }
        Operation::TrainingOnly { .. } => values.into_owned(),
        Operation::Input
        | Operation::Add
        | Operation::Multiply
        | Operation::Maximum
        | Operation::Minimum
        | Operation::Concatenate => unreachable!("taken by the caller"),
    }
}

/// One sample after another, as slices.
fn map_samples(values: CowArray<f32, Ix2>, to: Shape, mut run: impl FnMut(&[f32], &mut [f32])) -> Array2<f32> {
    let mut output = Array2::zeros((values.nrows(), to.len()));
    for (input, mut output) in values.rows().into_iter().zip(output.rows_mut()) {
        run(input.as_slice().expect("standard layout"), output.as_slice_mut().expect("standard layout"));
    }
    output
}

/// One map after another, as slices.
fn map_maps(
    values: CowArray<f32, Ix2>,
    from: Shape,
    to: Shape,
    mut run: impl FnMut(&[f32], &mut [f32]),
) -> Array2<f32> {
    let channels = dimensions(from).0;
    let (input_size, output_size) = (from.len() / channels, to.len() / channels);
    map_samples(values, to, |input, output| {
        let maps = input.chunks_exact(input_size).zip(output.chunks_exact_mut(output_size));
        maps.for_each(|(input, output)| run(input, output));
    })
}

fn add_bias(output: &mut [f32], bias: Option<&Array1<f32>>) {
    let Some(bias) = bias else { return };
    let cells = output.len() / bias.len();
    output.chunks_exact_mut(cells).zip(bias).for_each(|(map, &bias)| map.iter_mut().for_each(|x| *x += bias));
}

/// Where a kernel is laid.
struct Windows {
    strides: (usize, usize),
    padding: Padding,
    dilation: (usize, usize),
}

/// Cells of a row (or column) of `len` that window number `index` covers.
fn covered(index: usize, stride: usize, padding: usize, size: usize, len: usize) -> std::ops::Range<usize> {
    let start = index * stride;
    start.saturating_sub(padding)..(start + size).saturating_sub(padding).min(len)
}

fn pool<'a>(cells: impl Iterator<Item = &'a f32>, pooling: Pooling, window: usize) -> f32 {
    match pooling {
        Pooling::Max => cells.fold(f32::NEG_INFINITY, |max, &x| max.max(x)),
        Pooling::Average { count_padding } => {
            let (sum, cells) = cells.fold((0.0, 0), |(sum, n), &x| (sum + x, n + 1));
            sum / (if count_padding { window } else { cells }) as f32
        }
    }
}

fn softmax(values: &mut ndarray::ArrayViewMut1<f32>) {
    let max = values.fold(f32::NEG_INFINITY, |max, &x| max.max(x));
    values.mapv_inplace(|x| (x - max).exp());
    let sum = values.sum();
    values.mapv_inplace(|x| x / sum);
}

fn log_softmax(values: &mut ndarray::ArrayViewMut1<f32>) {
    let max = values.fold(f32::NEG_INFINITY, |max, &x| max.max(x));
    let log_sum = max + values.fold(0.0, |sum, &x| sum + (x - max).exp()).ln();
    values.mapv_inplace(|x| x - log_sum);
}

fn rectified(negative_slope: f32, x: f32) -> f32 {
    if x < 0.0 { negative_slope * x } else { x }
}

fn activate(activation: Activation, x: f32) -> f32 {
    match activation {
        Activation::Linear => x,
        Activation::Relu { negative_slope, max } => {
            let rectified = rectified(negative_slope, x);
            max.map_or(rectified, |max| rectified.min(max))
        }
        Activation::Sigmoid => 1.0 / (1.0 + (-x).exp()),
        Activation::Tanh => x.tanh(),
        // ln(1 + exp(x)), written so that exp cannot overflow.
        Activation::Softplus { scale } => x.max(0.0) + scale * (-(x / scale).abs()).exp().ln_1p(),
        Activation::ClampedRelu { threshold, max } => {
            let clamped = if x >= threshold { x.max(0.0) } else { 0.0 };
            max.map_or(clamped, |max| clamped.min(max))
        }
        Activation::Quantized(levels) => levels.round(x),
        Activation::Floor => x.floor(),
        Activation::Round => x.round_ties_even(),
        Activation::BinaryStep => f32::from(u8::from(x > 0.0)),
        Activation::BinarySign => {
            if x > 0.0 {
                1.0
            } else {
                -1.0
            }
        }
        Activation::Elu { alpha, scale } => scale * if x > 0.0 { x } else { alpha * x.exp_m1() },
        Activation::Gelu { tanh: false } => (f64::from(x) / 2.0 * (1.0 + libm::erf(f64::from(x) / 2f64.sqrt()))) as f32,
        // D. Hendrycks, K. Gimpel, "Gaussian error linear units", arXiv:1606.08415.
        Activation::Gelu { tanh: true } => {
            let inner = (2.0 / std::f32::consts::PI).sqrt() * (x + 0.044_715 * x * x * x);
            x / 2.0 * (1.0 + inner.tanh())
        }
        Activation::Silu => x / (1.0 + (-x).exp()),
        Activation::Mish => x * (x.max(0.0) + (-x.abs()).exp().ln_1p()).tanh(),
        Activation::HardSigmoid { slope, offset } => (slope * x + offset).clamp(0.0, 1.0),
        Activation::HardSwish => x * (x / 6.0 + 0.5).clamp(0.0, 1.0),
        Activation::Softsign => x / (1.0 + x.abs()),
        Activation::Exponential => x.exp(),
        Activation::Softmax | Activation::LogSoftmax => unreachable!("works on whole vectors; taken by the caller"),
    }
}

/// For each place of a channels-last vector, where that number is in `(channels, height, width)`.
fn channels_last_positions(shape: Shape) -> Vec<usize> {
    let (channels, height, width) = dimensions(shape);
    (0..height * width).flat_map(|cell| (0..channels).map(move |channel| channel * height * width + cell)).collect()
}

/// The part of outputs `0..outputs` whose window, at kernel offset `offset`, is on a cell of `0..len`.
fn touching(outputs: usize, stride: usize, padding: usize, offset: usize, len: usize) -> std::ops::Range<usize> {
    let first = padding.saturating_sub(offset).div_ceil(stride);
    let end = (len + padding).saturating_sub(offset).div_ceil(stride).min(outputs);
    first.min(end)..end
}

/// `columns[(channel, j, i), (y, x)] = input[channel, row, column]`, 0 outside, with
/// `row = y * stride + j * dilation - top` and `column = x * stride + i * dilation - left`.
fn unroll(
    input: &[f32],
    (height, width): (usize, usize),
    kernel: (usize, usize),
    windows: &Windows,
    (out_height, out_width): (usize, usize),
    columns: &mut Array2<f32>,
) {
    columns.fill(0.0);
    let mut rows = columns.rows_mut().into_iter();
    for map in input.chunks_exact(height * width) {
        for j in 0..kernel.0 {
            let down = j * windows.dilation.0;
            let ys = touching(out_height, windows.strides.0, windows.padding.top, down, height);
            for i in 0..kernel.1 {
                let across = i * windows.dilation.1;
                let xs = touching(out_width, windows.strides.1, windows.padding.left, across, width);
                let mut row = rows.next().expect("a row per channel and kernel cell");
                let row = row.as_slice_mut().expect("standard layout");
                if xs.is_empty() {
                    continue;
                }
                for y in ys.clone() {
                    let source = (y * windows.strides.0 + down - windows.padding.top) * width;
                    let first = source + xs.start * windows.strides.1 + across - windows.padding.left;
                    let target = &mut row[y * out_width + xs.start..y * out_width + xs.end];
                    if windows.strides.1 == 1 {
                        target.copy_from_slice(&map[first..first + target.len()]);
                    } else {
                        let source = map[first..].iter().step_by(windows.strides.1);
                        target.iter_mut().zip(source).for_each(|(target, &source)| *target = source);
                    }
                }
            }
        }
    }
}

/// A convolution over many samples, with what can be made once for all of them.
struct Convolution<'a> {
    /// Rows: output channels; columns: input channels of the group, kernel rows, kernel columns.
    weights: CowArray<'a, f32, Ix4>,
    windows: Windows,
    groups: usize,
    from: (usize, usize, usize),
    to: (usize, usize, usize),
    /// See [`unroll`]; empty where a window is one cell, so that the input itself is what is unrolled.
    columns: Array2<f32>,
}

impl<'a> Convolution<'a> {
    fn new(
        weights: &'a Array4<f32>,
        windows: Windows,
        groups: usize,
        from: (usize, usize, usize),
        to: (usize, usize, usize),
    ) -> Self {
        let (_, per_group, kernel_height, kernel_width) = weights.dim();
        let is_pointwise = (kernel_height, kernel_width) == (1, 1)
            && windows.strides == (1, 1)
            && windows.padding == Padding::default();
        let is_depthwise = per_group == 1 && weights.dim().0 == groups;
        let rows = if is_pointwise || is_depthwise { 0 } else { per_group * kernel_height * kernel_width };
        let columns = Array2::zeros((rows, to.1 * to.2));
        Self { weights: weights.as_standard_layout(), windows, groups, from, to, columns }
    }

    fn run(&mut self, input: &[f32], output: &mut [f32]) {
        let Self { weights, windows, groups, from: (_, height, width), to: (out, out_height, out_width), columns } =
            self;
        let (_, per_group, kernel_height, kernel_width) = weights.dim();
        let (kernel, cells) = ((kernel_height, kernel_width), *out_height * *out_width);
        let unrolled = per_group * kernel_height * kernel_width;
        let weights = weights.as_slice().expect("standard layout");
        let maps = input.chunks_exact(per_group * *height * *width);
        let per_output = *out / *groups;
        let outputs = output.chunks_exact_mut(per_output * cells).zip(weights.chunks_exact(per_output * unrolled));
        for (input, (output, weights)) in maps.zip(outputs) {
            if per_group == 1 && per_output == 1 {
                correlate((input, *height, *width), (weights, kernel), windows, (output, *out_height, *out_width));
                continue;
            }
            let weights = ArrayView2::from_shape((per_output, unrolled), weights).expect("sizes");
            let mut output = ArrayViewMut2::from_shape((per_output, cells), output).expect("sizes");
            if columns.is_empty() {
                let input = ArrayView2::from_shape((unrolled, cells), input).expect("sizes");
                general_mat_mul(1.0, &weights, &input, 0.0, &mut output);
            } else {
                unroll(input, (*height, *width), kernel, windows, (*out_height, *out_width), columns);
                general_mat_mul(1.0, &weights, columns, 0.0, &mut output);
            }
        }
    }
}

/// One kernel over one map, as depthwise convolutions have it; `output` is 0.
fn correlate(
    (input, height, width): (&[f32], usize, usize),
    (weights, kernel): (&[f32], (usize, usize)),
    windows: &Windows,
    (output, out_height, out_width): (&mut [f32], usize, usize),
) {
    for (tap, &weight) in weights.iter().enumerate() {
        let (down, across) = (tap / kernel.1 * windows.dilation.0, tap % kernel.1 * windows.dilation.1);
        let ys = touching(out_height, windows.strides.0, windows.padding.top, down, height);
        let xs = touching(out_width, windows.strides.1, windows.padding.left, across, width);
        if xs.is_empty() {
            continue;
        }
        for y in ys {
            let row = (y * windows.strides.0 + down - windows.padding.top) * width;
            let first = row + xs.start * windows.strides.1 + across - windows.padding.left;
            let target = &mut output[y * out_width..][xs.clone()];
            let source = input[first..].iter().step_by(windows.strides.1);
            target.iter_mut().zip(source).for_each(|(target, &source)| *target += weight * source);
        }
    }
}

fn convolve_transposed(
    input: &[f32],
    (channels, height, width): (usize, usize, usize),
    weights: &Array4<f32>,
    windows: &Windows,
    groups: usize,
    (out, out_height, out_width): (usize, usize, usize),
    output: &mut [f32],
) {
    let (_, per_group, kernel_height, kernel_width) = weights.dim();
    let (n_in, cells) = (channels / groups, height * width);
    for group in 0..groups {
        let input = ArrayView2::from_shape((n_in, cells), &input[group * n_in * cells..(group + 1) * n_in * cells]);
        let weights = weights.slice(s![group * n_in..(group + 1) * n_in, .., .., ..]);
        let weights = weights.to_owned().into_shape_with_order((n_in, per_group * kernel_height * kernel_width));
        let (input, weights) = (input.expect("sizes"), weights.expect("sizes"));
        // columns[(out, j, i), (y, x)]: what input (y, x) adds at kernel cell (j, i) of each output map.
        let columns = weights.t().dot(&input);
        let output = &mut output[group * (out / groups) * out_height * out_width..];
        for (row, column) in columns.rows().into_iter().enumerate() {
            let (map, j, i) =
                (row / (kernel_height * kernel_width), row / kernel_width % kernel_height, row % kernel_width);
            let map = &mut output[map * out_height * out_width..][..out_height * out_width];
            for (cell, value) in column.iter().enumerate() {
                let y = (cell / width * windows.strides.0 + j).checked_sub(windows.padding.top);
                let x = (cell % width * windows.strides.1 + i).checked_sub(windows.padding.left);
                if let (Some(y), Some(x)) = (y.filter(|&y| y < out_height), x.filter(|&x| x < out_width)) {
                    map[y * out_width + x] += value;
                }
            }
        }
    }
}
