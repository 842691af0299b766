//! What a layer computes, and on what shapes.

pub use megasim_data::Shape;
use ndarray::{Array1, Array2, Array4};
use serde::{Deserialize, Serialize};

/// Most numbers that one layer may put out for one sample; beyond it a file is taken to be damaged.
pub const MAX_LAYER_SIZE: usize = 100_000_000;

/// The order of the numbers of feature maps in a vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AxisOrder {
    /// `(channels, height, width)`: PyTorch, Caffe, Lasagne, and the netfiles.
    ChannelsFirst,
    /// `(height, width, channels)`: Keras by default.
    ChannelsLast,
}

/// Zeros around a map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Padding {
    /// Rows above.
    pub top: usize,
    /// Rows below.
    pub bottom: usize,
    /// Columns to the left.
    pub left: usize,
    /// Columns to the right.
    pub right: usize,
}

/// How a pooling window is reduced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Pooling {
    /// The largest value.
    Max,
    /// The mean; whether padded zeros count in the divisor is the flag.
    Average {
        /// Divide by the window size (true) or by the cells inside the map (false).
        count_padding: bool,
    },
}

/// Evenly spaced levels: `step * clip(round(x / step), lowest, highest)`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Levels {
    /// Distance between levels, above 0.
    pub step: f32,
    /// The lowest level, in steps.
    pub lowest: i64,
    /// The highest level, in steps.
    pub highest: i64,
    /// Which level a number becomes.
    pub rounding: Rounding,
}

/// Which level a number between two becomes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum Rounding {
    /// The nearer one; in the middle between two the even one.
    Nearest,
    /// `floor(x / step + offset)`, with an offset from 0 to below 1.
    Floor(f32),
}

impl Levels {
    /// Those of `relu_Qm.f`: multiples of `2^-f` from 0 to below `2^m`. Both are at most 30.
    pub fn fixed_point(integer_bits: u32, fraction_bits: u32) -> Self {
        let step = (-f64::from(fraction_bits)).exp2() as f32;
        Self { step, lowest: 0, highest: (1i64 << (integer_bits + fraction_bits)) - 1, rounding: Rounding::Nearest }
    }

    /// The number of the level that a number becomes.
    pub fn level(self, x: f32) -> i64 {
        let steps = f64::from(x) / f64::from(self.step);
        let level = match self.rounding {
            Rounding::Nearest => steps.round_ties_even(),
            Rounding::Floor(offset) => (steps + f64::from(offset)).floor(),
        };
        (level as i64).clamp(self.lowest, self.highest)
    }

    /// What a number becomes.
    ///
    /// ```
    /// use megasim_ann::graph::Levels;
    /// let levels = Levels::fixed_point(1, 2);
    /// assert_eq!([-1.0, 0.3, 5.0].map(|x| levels.round(x)), [0.0, 0.25, 1.75]);
    /// ```
    pub fn round(self, x: f32) -> f32 {
        (self.level(x) as f64 * f64::from(self.step)) as f32
    }

    /// Where a sum starts so that the number of whole steps in it is the level, in steps. Halves are rounded up.
    pub fn start(self) -> f64 {
        match self.rounding {
            Rounding::Nearest => 0.5,
            Rounding::Floor(offset) => offset.into(),
        }
    }

    /// The highest value.
    pub fn max(self) -> f64 {
        self.highest as f64 * f64::from(self.step)
    }
}

/// A function applied to each number (softmax: to each vector).
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Activation {
    /// `x`.
    Linear,
    /// `min(max(x, negative_slope * x), max)`; the plain one has slope 0 and no maximum.
    Relu {
        /// Slope below 0.
        negative_slope: f32,
        /// Ceiling.
        max: Option<f32>,
    },
    /// `exp(x) / sum(exp(x))` over the features (or channels).
    Softmax,
    /// `x - ln(sum(exp(x)))` over the features (or channels).
    LogSoftmax,
    /// `1 / (1 + exp(-x))`.
    Sigmoid,
    /// `tanh(x)`.
    Tanh,
    /// `scale * ln(1 + exp(x / scale))`; the usual one has scale 1, noisy softplus at inference `k * sigma`.
    Softplus {
        /// Width of the knee.
        scale: f32,
    },
    /// `min(x, max)` where `x >= threshold`, else 0 (SNN toolbox's clamped ReLU, Keras's ReLU with a threshold).
    ClampedRelu {
        /// Below it: 0.
        threshold: f32,
        /// Ceiling.
        max: Option<f32>,
    },
    /// Rounded to levels: SNN toolbox's `relu_Qm.f`, ONNX's `QuantizeLinear`, clip and floor.
    Quantized(Levels),
    /// The next whole number below.
    Floor,
    /// The nearest whole number; of two the even one.
    Round,
    /// 1 where `x > 0`, else 0.
    BinaryStep,
    /// +1 where `x > 0`, else -1 (SNN toolbox's `binary_tanh`, which rounds half to even).
    BinarySign,
    /// `scale * x` where `x > 0`, else `scale * alpha * (exp(x) - 1)`: ELU with scale 1, SELU with its constants.
    Elu {
        /// Limit far below 0, negated.
        alpha: f32,
        /// Factor on everything.
        scale: f32,
    },
    /// `x / 2 * (1 + erf(x / sqrt(2)))`, or the approximation of that by a hyperbolic tangent.
    Gelu {
        /// Whether it is the approximation.
        tanh: bool,
    },
    /// `x / (1 + exp(-x))`: SiLU, Swish.
    Silu,
    /// `x * tanh(ln(1 + exp(x)))`.
    Mish,
    /// `min(max(slope * x + offset, 0), 1)`.
    HardSigmoid {
        /// Slope in the middle.
        slope: f32,
        /// Value at 0.
        offset: f32,
    },
    /// `x * min(max(x / 6 + 1 / 2, 0), 1)`.
    HardSwish,
    /// `x / (1 + |x|)`.
    Softsign,
    /// `exp(x)`.
    Exponential,
}

impl Operation {
    /// `gamma * x + beta`, one of each per channel (or feature): a batch normalisation with mean 0 and variance 1.
    pub fn affine(gamma: Array1<f32>, beta: Array1<f32>) -> Self {
        let (mean, variance) = (Array1::zeros(gamma.len()), Array1::ones(gamma.len()));
        Self::BatchNormalization { gamma, beta, mean, variance, epsilon: 0.0 }
    }

    /// `factor * x + shift` in all channels (or features).
    pub fn scale_and_shift(channels: usize, factor: f32, shift: f32) -> Self {
        Self::affine(Array1::from_elem(channels, factor), Array1::from_elem(channels, shift))
    }

    /// Weights, biases and statistics that it holds.
    pub fn parameters(&self) -> usize {
        match self {
            Self::Dense { weights, bias } => weights.len() + bias.as_ref().map_or(0, |bias| bias.len()),
            Self::Convolution { weights, bias, .. } | Self::TransposedConvolution { weights, bias, .. } => {
                weights.len() + bias.as_ref().map_or(0, |bias| bias.len())
            }
            Self::BatchNormalization { gamma, .. } => 4 * gamma.len(),
            Self::ParametricRelu { slopes } => slopes.len(),
            Self::Bias { bias } => bias.len(),
            _ => 0,
        }
    }
}

impl Activation {
    /// The name in papers and libraries.
    pub fn name(self) -> &'static str {
        match self {
            Self::Linear => "linear",
            Self::Relu { .. } => "ReLU",
            Self::Softmax => "softmax",
            Self::LogSoftmax => "log-softmax",
            Self::Sigmoid => "sigmoid",
            Self::Tanh => "tanh",
            Self::Softplus { .. } => "softplus",
            Self::ClampedRelu { .. } => "clamped ReLU",
            Self::Quantized(levels) if levels.lowest >= 0 => "quantised ReLU",
            Self::Quantized(_) => "quantised activation",
            Self::Floor => "floor",
            Self::Round => "round",
            Self::BinaryStep => "binary step",
            Self::BinarySign => "sign",
            Self::Elu { .. } => "ELU",
            Self::Gelu { .. } => "GELU",
            Self::Silu => "SiLU (Swish)",
            Self::Mish => "Mish",
            Self::HardSigmoid { .. } => "hard sigmoid",
            Self::HardSwish => "hard swish",
            Self::Softsign => "softsign",
            Self::Exponential => "exponential",
        }
    }

    /// Whether it works on whole vectors and keeps the order of their numbers.
    pub fn is_softmax(self) -> bool {
        matches!(self, Self::Softmax | Self::LogSoftmax)
    }

    /// The plain rectifier.
    pub const RELU: Self = Self::Relu { negative_slope: 0.0, max: None };
}

/// What a layer computes.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)] // fields are the field's standard names, explained at the top of the file
pub enum Operation {
    /// The input of the network. A graph has one, the first layer.
    Input,
    /// `x W + b`, `W` of shape `(in, out)`.
    Dense { weights: Array2<f32>, bias: Option<Array1<f32>> },
    /// Cross-correlation; `weights` of shape `(out, in / groups, kh, kw)`; pairs are `(vertical, horizontal)`.
    Convolution {
        weights: Array4<f32>,
        bias: Option<Array1<f32>>,
        strides: (usize, usize),
        padding: Padding,
        dilation: (usize, usize),
        groups: usize,
    },
    /// The transpose of a convolution; `weights` of shape `(in, out / groups, kh, kw)`: an input at `(y, x)` adds
    /// `weights[.., j, i]` at `(y * stride + j - padding.top, x * stride + i - padding.left)`; the output shape is the
    /// layer's.
    TransposedConvolution {
        weights: Array4<f32>,
        bias: Option<Array1<f32>>,
        strides: (usize, usize),
        padding: Padding,
        groups: usize,
    },
    /// Pooling over windows; the padding is explicit (a ceil mode is padding at the bottom and right).
    Pool { pooling: Pooling, size: (usize, usize), strides: (usize, usize), padding: Padding },
    /// Pooling over each whole map, to `Features(channels)` or `Maps { channels, 1, 1 }`.
    GlobalPool { pooling: Pooling },
    /// `gamma * (x - mean) / sqrt(variance + epsilon) + beta` per channel (or feature).
    BatchNormalization {
        gamma: Array1<f32>,
        beta: Array1<f32>,
        mean: Array1<f32>,
        variance: Array1<f32>,
        /// Added to the variance before the root is taken.
        epsilon: f32,
    },
    /// An activation function.
    Activation(Activation),
    /// `x` where `x > 0`, else `slope * x`; one slope a channel, or one a number in the order `(channels, height,
    /// width)`.
    ParametricRelu { slopes: Array1<f32> },
    /// One number added to each number, in the order `(channels, height, width)`.
    Bias { bias: Array1<f32> },
    /// Maps to a vector in this order.
    Flatten { order: AxisOrder },
    /// These numbers under another shape, both read in this order.
    Reshape { order: AxisOrder },
    /// Zeros added around each map.
    ZeroPad(Padding),
    /// Rows and columns cut off each map.
    Crop(Padding),
    /// Axes of the maps exchanged: axis `i` of the output is axis `axes[i]` of the input, both as
    /// `(channels, height, width)`.
    Permute { axes: [usize; 3] },
    /// Each number repeated `(vertical, horizontal)` times (nearest neighbour).
    Upsample { factors: (usize, usize) },
    /// Number `k` of the output, map after map, is number `numbers[k]` of the input; the output shape is the layer's.
    Gather { numbers: Vec<usize> },
    /// Map (or number) `k` of the output is map `channels[k]` of the input; without one, zeros.
    Channels { channels: Vec<Option<usize>> },
    /// Sum of all inputs.
    Add,
    /// Product of all inputs, number by number.
    Multiply,
    /// Largest of all inputs, number by number.
    Maximum,
    /// Smallest of all inputs, number by number.
    Minimum,
    /// Inputs one after another along the channels (or features).
    Concatenate,
    /// Something that acts only in training (dropout, noise); `kind` is the source's name for it.
    TrainingOnly { kind: String },
}
