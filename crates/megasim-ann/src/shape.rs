//! Output shapes: the one place that knows what each operation takes and what it puts out.

use super::operation::{Activation, Levels, MAX_LAYER_SIZE, Operation, Padding, Rounding, Shape};

/// Output shape of an operation over inputs of these shapes. `wanted` is the layer's own word where the operation
/// leaves a choice (input, reshape, transposed convolution, global pooling); elsewhere it is not looked at.
pub(super) fn infer(operation: &Operation, inputs: &[Shape], wanted: Option<Shape>) -> Result<Shape, String> {
    let shape = match operation {
        Operation::Input => {
            if !inputs.is_empty() {
                return Err(format!("expected no input, found {}", inputs.len()));
            }
            given(wanted)?
        }
        Operation::Add | Operation::Multiply | Operation::Maximum | Operation::Minimum => {
            let (&first, rest) = inputs.split_first().ok_or("expected two inputs or more, found none")?;
            match rest.iter().find(|&&shape| shape != first) {
                Some(other) => return Err(format!("expected inputs of one shape, found {first} and {other}")),
                None => first,
            }
        }
        Operation::Concatenate => concatenate(inputs)?,
        _ => {
            let &[input] = inputs else { return Err(format!("expected one input, found {}", inputs.len())) };
            infer_unary(operation, input, wanted)?
        }
    };
    let len = match shape {
        Shape::Features(n) => Some(n),
        Shape::Maps { channels, height, width } => channels.checked_mul(height).and_then(|n| n.checked_mul(width)),
    };
    match len {
        Some(0) => Err(format!("expected an output that holds something, found shape {shape}")),
        Some(len) if len <= MAX_LAYER_SIZE => Ok(shape),
        _ => Err(format!("expected an output of at most {MAX_LAYER_SIZE} numbers, found shape {shape}")),
    }
}

fn given(wanted: Option<Shape>) -> Result<Shape, String> {
    wanted.ok_or_else(|| "expected an output shape, found none".into())
}

fn concatenate(inputs: &[Shape]) -> Result<Shape, String> {
    let mut shapes = inputs.iter();
    let mut sum = *shapes.next().ok_or("expected two inputs or more, found none")?;
    for &shape in shapes {
        sum = match (sum, shape) {
            (Shape::Features(a), Shape::Features(b)) => Shape::Features(a + b),
            (Shape::Maps { channels: a, height, width }, Shape::Maps { channels: b, height: h, width: w })
                if (h, w) == (height, width) =>
            {
                Shape::Maps { channels: a + b, height, width }
            }
            _ => return Err(format!("expected inputs that differ in channels only, found {sum} and {shape}")),
        };
    }
    Ok(sum)
}

fn infer_unary(operation: &Operation, input: Shape, wanted: Option<Shape>) -> Result<Shape, String> {
    match operation {
        Operation::Input
        | Operation::Add
        | Operation::Multiply
        | Operation::Maximum
        | Operation::Minimum
        | Operation::Concatenate => unreachable!("taken by the caller"),
        Operation::ParametricRelu { slopes } => {
            if slopes.len() != input.channels() && slopes.len() != input.len() {
                return Err(format!(
                    "expected {} slopes, one a channel, or {}, one a number, found {}",
                    input.channels(),
                    input.len(),
                    slopes.len()
                ));
            }
            finite("slopes", slopes)?;
            Ok(input)
        }
        Operation::Bias { bias } => {
            check_bias(Some(bias), input.len())?;
            Ok(input)
        }
        Operation::Channels { channels: from } => {
            let n = input.channels();
            if let Some(channel) = from.iter().flatten().find(|&&channel| channel >= n) {
                return Err(format!("expected channels below {n}, found {channel}"));
            }
            Ok(match input {
                Shape::Features(_) => Shape::Features(from.len()),
                Shape::Maps { height, width, .. } => Shape::Maps { channels: from.len(), height, width },
            })
        }
        Operation::Dense { weights, bias } => {
            let (n_in, n_out) = weights.dim();
            let Shape::Features(features) = input else {
                return Err(format!("expected a vector of {n_in} as input, found maps {input}"));
            };
            if features != n_in {
                return Err(format!("expected {n_in} input features as its weights have rows, found {features}"));
            }
            finite("weights", weights)?;
            check_bias(bias.as_ref(), n_out)?;
            Ok(Shape::Features(n_out))
        }
        Operation::Convolution { weights, bias, strides, padding, dilation, groups } => {
            let (channels, height, width) = maps(input)?;
            let (out, per_group, kernel_height, kernel_width) = weights.dim();
            if *groups == 0 || out % groups != 0 || groups.checked_mul(per_group) != Some(channels) {
                return Err(format!(
                    "expected {channels} input and {out} output channels to divide into {groups} groups of {per_group} \
                     input channels"
                ));
            }
            finite("weights", weights)?;
            check_bias(bias.as_ref(), out)?;
            let extents = (extent(kernel_height, dilation.0)?, extent(kernel_width, dilation.1)?);
            let (height, width) = windows((height, width), extents, *strides, *padding)?;
            Ok(Shape::Maps { channels: out, height, width })
        }
        Operation::TransposedConvolution { weights, bias, strides, padding, groups } => {
            let (channels, height, width) = maps(input)?;
            let (n_in, per_group, kernel_height, kernel_width) = weights.dim();
            if *groups == 0 || n_in != channels || channels % groups != 0 {
                return Err(format!(
                    "expected {n_in} input channels in {groups} groups as its weights have, found {channels}"
                ));
            }
            if strides.0 == 0 || strides.1 == 0 {
                return Err("expected strides of 1 or more, found 0".into());
            }
            let out = per_group.checked_mul(*groups).ok_or("expected sizes in range")?;
            finite("weights", weights)?;
            check_bias(bias.as_ref(), out)?;
            // Output rows or columns beyond this are only bias: an output padding, smaller than the stride.
            let reach = |n: usize, kernel: usize, stride: usize, padding: usize| {
                (n - 1).checked_mul(stride)?.checked_add(kernel)?.checked_sub(padding)
            };
            let shape = given(wanted)?;
            let full = reach(height, kernel_height, strides.0, padding.top + padding.bottom).zip(reach(
                width,
                kernel_width,
                strides.1,
                padding.left + padding.right,
            ));
            match (shape, full) {
                (Shape::Maps { channels: c, height: h, width: w }, Some((min_height, min_width)))
                    if c == out
                        && (min_height..min_height.saturating_add(strides.0)).contains(&h)
                        && (min_width..min_width.saturating_add(strides.1)).contains(&w) =>
                {
                    Ok(shape)
                }
                (_, Some((h, w))) => {
                    Err(format!("expected output maps ({out}, {h}, {w}) or up to a stride more, found {shape}"))
                }
                (_, None) => Err("expected a padding smaller than what it is cut from".into()),
            }
        }
        Operation::Pool { size, strides, padding, .. } => {
            let (channels, height, width) = maps(input)?;
            let (out_height, out_width) = windows((height, width), *size, *strides, *padding)?;
            // The mean or maximum of no cell is not a number.
            if padding.top >= size.0
                || padding.left >= size.1
                || (out_height - 1) * strides.0 >= padding.top + height
                || (out_width - 1) * strides.1 >= padding.left + width
            {
                return Err(format!(
                    "expected every window of {size:?} to touch a map of {height}x{width}, found padding {padding:?} \
                        that holds whole windows"
                ));
            }
            Ok(Shape::Maps { channels, height: out_height, width: out_width })
        }
        Operation::GlobalPool { .. } => {
            let (channels, ..) = maps(input)?;
            let pooled = Shape::Maps { channels, height: 1, width: 1 };
            Ok(if wanted == Some(pooled) { pooled } else { Shape::Features(channels) })
        }
        Operation::BatchNormalization { gamma, beta, mean, variance, epsilon } => {
            let n = input.channels();
            for (name, parameter) in [("gamma", gamma), ("beta", beta), ("mean", mean), ("variance", variance)] {
                if parameter.len() != n {
                    return Err(format!("expected {n} numbers of {name}, one a channel, found {}", parameter.len()));
                }
                finite(name, parameter)?;
            }
            match variance.iter().find(|&&variance| variance + epsilon <= 0.0 || !epsilon.is_finite()) {
                Some(variance) => Err(format!("expected variances above 0, found {variance} with epsilon {epsilon}")),
                None => Ok(input),
            }
        }
        Operation::Activation(activation) => {
            match *activation {
                Activation::Relu { negative_slope, max }
                    if !negative_slope.is_finite() || max.is_some_and(f32::is_nan) =>
                {
                    return Err(format!(
                        "expected numbers for the rectifier, found slope {negative_slope}, maximum {}",
                        max.unwrap_or(f32::INFINITY)
                    ));
                }
                Activation::ClampedRelu { threshold, max } if threshold.is_nan() || max.is_some_and(f32::is_nan) => {
                    return Err(format!(
                        "expected numbers for the rectifier, found threshold {threshold}, maximum {}",
                        max.unwrap_or(f32::INFINITY)
                    ));
                }
                Activation::Elu { alpha, scale } if !(alpha.is_finite() && scale.is_finite()) => {
                    return Err(format!("expected finite parameters of ELU, found {alpha} and {scale}"));
                }
                Activation::HardSigmoid { slope, offset } if !(slope.is_finite() && offset.is_finite()) => {
                    return Err(format!("expected finite parameters of hard sigmoid, found {slope} and {offset}"));
                }
                Activation::Softplus { scale } if !(scale > 0.0 && scale.is_finite()) => {
                    return Err(format!("expected a softplus scale above 0, found {scale}"));
                }
                Activation::Quantized(Levels { step, lowest, highest, rounding })
                    if !(step > 0.0
                        && step.is_finite()
                        && lowest < highest
                        && !matches!(rounding, Rounding::Floor(offset) if !(0.0..1.0).contains(&offset))) =>
                {
                    return Err(format!(
                        "expected levels a step above 0 apart, found steps of {step} from {lowest} to {highest}"
                    ));
                }
                _ => {}
            }
            Ok(input)
        }
        Operation::TrainingOnly { .. } => Ok(input),
        Operation::Flatten { .. } => Ok(Shape::Features(input.len())),
        Operation::Reshape { .. } => {
            let shape = given(wanted)?;
            let len = match shape {
                Shape::Features(n) => Some(n),
                Shape::Maps { channels, height, width } => {
                    channels.checked_mul(height).and_then(|n| n.checked_mul(width))
                }
            };
            if len != Some(input.len()) {
                return Err(format!("expected a shape of {} numbers, found {shape}", input.len()));
            }
            Ok(shape)
        }
        Operation::Gather { numbers } => {
            let shape = given(wanted)?;
            if let Some(number) = numbers.iter().find(|&&number| number >= input.len()) {
                return Err(format!("expected numbers below {}, found {number}", input.len()));
            }
            // Shapes come from files; a product that overflows is no length of a vector in memory.
            let len = match shape {
                Shape::Features(n) => Some(n),
                Shape::Maps { channels, height, width } => {
                    channels.checked_mul(height).and_then(|n| n.checked_mul(width))
                }
            };
            if len != Some(numbers.len()) {
                return Err(format!("expected a shape of {} numbers, found {shape}", numbers.len()));
            }
            Ok(shape)
        }
        Operation::ZeroPad(padding) => {
            let (channels, height, width) = maps(input)?;
            let grow = |n: usize, before: usize, after: usize| n.checked_add(before)?.checked_add(after);
            grow(height, padding.top, padding.bottom)
                .zip(grow(width, padding.left, padding.right))
                .map(|(height, width)| Shape::Maps { channels, height, width })
                .ok_or_else(|| format!("expected paddings in range, found {padding:?}"))
        }
        Operation::Crop(cut) => {
            let (channels, height, width) = maps(input)?;
            let shrink = |n: usize, before: usize, after: usize| n.checked_sub(before)?.checked_sub(after);
            shrink(height, cut.top, cut.bottom)
                .zip(shrink(width, cut.left, cut.right))
                .map(|(height, width)| Shape::Maps { channels, height, width })
                .ok_or_else(|| format!("expected cuts smaller than the map of {height}x{width}, found {cut:?}"))
        }
        Operation::Permute { axes } => {
            let (channels, height, width) = maps(input)?;
            let mut sorted = *axes;
            sorted.sort_unstable();
            if sorted != [0, 1, 2] {
                return Err(format!("expected the axes 0, 1 and 2 in some order, found {axes:?}"));
            }
            let sizes = [channels, height, width];
            Ok(Shape::Maps { channels: sizes[axes[0]], height: sizes[axes[1]], width: sizes[axes[2]] })
        }
        Operation::Upsample { factors } => {
            let (channels, height, width) = maps(input)?;
            let out = height.checked_mul(factors.0).zip(width.checked_mul(factors.1));
            let (height, width) = out.ok_or_else(|| format!("expected factors in range, found {factors:?}"))?;
            Ok(Shape::Maps { channels, height, width })
        }
    }
}

fn maps(input: Shape) -> Result<(usize, usize, usize), String> {
    match input {
        Shape::Maps { channels, height, width } => Ok((channels, height, width)),
        Shape::Features(n) => Err(format!("expected maps as input, found a vector of {n}")),
    }
}

/// Cells that a kernel spans under dilation.
fn extent(kernel: usize, dilation: usize) -> Result<usize, String> {
    if kernel == 0 || dilation == 0 {
        return Err(format!("expected a kernel size and dilation of 1 or more, found {kernel} and {dilation}"));
    }
    (kernel - 1)
        .checked_mul(dilation)
        .and_then(|span| span.checked_add(1))
        .ok_or_else(|| format!("expected sizes in range, found kernel {kernel} with dilation {dilation}"))
}

/// How many windows fit, down and across.
fn windows(
    map: (usize, usize),
    extent: (usize, usize),
    strides: (usize, usize),
    padding: Padding,
) -> Result<(usize, usize), String> {
    let along = |n: usize, before: usize, after: usize, extent: usize, stride: usize, what: &str| {
        if stride == 0 || extent == 0 {
            return Err(format!("expected window sizes and strides of 1 or more, found {extent} and {stride}"));
        }
        let padded = n.checked_add(before).and_then(|n| n.checked_add(after)).filter(|&n| n <= MAX_LAYER_SIZE);
        let padded = padded.ok_or_else(|| format!("expected paddings in range, found {before} and {after}"))?;
        let room = padded.checked_sub(extent);
        room.map(|room| room / stride + 1).ok_or_else(|| {
            format!("expected a window no larger than the padded map, found {what} {extent} over {padded}")
        })
    };
    Ok((
        along(map.0, padding.top, padding.bottom, extent.0, strides.0, "height")?,
        along(map.1, padding.left, padding.right, extent.1, strides.1, "width")?,
    ))
}

fn check_bias(bias: Option<&ndarray::Array1<f32>>, outputs: usize) -> Result<(), String> {
    let Some(bias) = bias else { return Ok(()) };
    if bias.len() != outputs {
        return Err(format!("expected {outputs} biases, one an output, found {}", bias.len()));
    }
    finite("bias", bias)
}

fn finite<D: ndarray::Dimension>(name: &str, values: &ndarray::Array<f32, D>) -> Result<(), String> {
    match values.iter().find(|value| !value.is_finite()) {
        Some(value) => Err(format!("expected finite numbers in its {name}, found {value}")),
        None => Ok(()),
    }
}
