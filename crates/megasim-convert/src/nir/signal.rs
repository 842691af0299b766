//! What is on an edge: a weighted sum of the spikes of modules.

use megasim_ann::graph::{MAX_LAYER_SIZE, Shape};
use ndarray::{Array2, Array4, s};

/// Number of what makes spikes.
pub(super) type SourceId = usize;

/// A convolution of spikes; pairs are `(vertical, horizontal)`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Kernels {
    /// `(out, in / groups, height, width)`.
    pub weights: Array4<f64>,
    pub stride: (usize, usize),
    /// Zeros above and to the left.
    pub padding: (usize, usize),
    pub dilation: (usize, usize),
    pub groups: usize,
}

/// How spikes are weighted.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Weights {
    /// Each by its own factor.
    Diagonal(Vec<f64>),
    /// `(in, out)`, between vectors.
    Dense(Array2<f64>),
    /// Between maps.
    Convolution(Kernels),
}

/// The weighted spikes of one source.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Term {
    pub source: SourceId,
    pub weights: Weights,
}

/// A weighted sum of spikes, and a constant per step.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Signal {
    pub shape: Shape,
    pub terms: Vec<Term>,
    /// One number each, or none.
    pub bias: Option<Vec<f64>>,
    /// Where maps were flattened behind a convolution: their shape, in which the terms are.
    pub maps: Option<Shape>,
}

impl Signal {
    /// The spikes of a source as they are.
    pub fn spikes(source: SourceId, shape: Shape) -> Self {
        let terms = vec![Term { source, weights: Weights::Diagonal(vec![1.0; shape.len()]) }];
        Self { shape, terms, bias: None, maps: None }
    }

    /// The source whose spikes it is, and their factors.
    pub fn only_spikes(&self) -> Option<(SourceId, &[f64])> {
        match (&self.terms[..], &self.bias) {
            ([Term { source, weights: Weights::Diagonal(factors) }], None) => Some((*source, factors)),
            _ => None,
        }
    }

    /// Adds another of the same shape.
    pub fn add(mut self, other: Self) -> Result<Self, String> {
        if (self.shape, self.maps) != (other.shape, other.maps) {
            return Err(format!("expected inputs of one shape, found {} and {}", self.shape, other.shape));
        }
        self.terms.extend(other.terms);
        self.bias = match (self.bias, other.bias) {
            (Some(a), Some(b)) => Some(a.iter().zip(&b).map(|(a, b)| a + b).collect()),
            (a, b) => a.or(b),
        };
        Ok(self)
    }

    /// Multiplies each number.
    pub fn scaled(mut self, factor: impl Fn(usize) -> f64) -> Result<Self, String> {
        let cells = match self.maps.unwrap_or(self.shape) {
            Shape::Maps { height, width, .. } => height * width,
            Shape::Features(_) => 1,
        };
        for term in &mut self.terms {
            match &mut term.weights {
                Weights::Diagonal(factors) => factors.iter_mut().enumerate().for_each(|(k, it)| *it *= factor(k)),
                Weights::Dense(weights) => {
                    weights.columns_mut().into_iter().enumerate().for_each(|(k, mut column)| column *= factor(k));
                }
                Weights::Convolution(Kernels { weights, .. }) => {
                    for (map, mut kernel) in weights.outer_iter_mut().enumerate() {
                        kernel *= uniform(map * cells..(map + 1) * cells, &factor)
                            .ok_or("expected one factor per map behind a convolution, found several")?;
                    }
                }
            }
        }
        self.bias.iter_mut().flatten().enumerate().for_each(|(k, bias)| *bias *= factor(k));
        Ok(self)
    }

    /// Multiplies by a matrix `(out, in)`.
    pub fn linear(self, weight: &Array2<f64>, bias: Option<Vec<f64>>) -> Result<Self, String> {
        let Shape::Features(n) = self.shape else {
            return Err(format!("expected a vector, found maps {}; a Flatten node makes one", self.shape));
        };
        if n != weight.ncols() {
            return Err(format!("expected {} numbers, as its weights have columns, found {n}", weight.ncols()));
        }
        let passed = self.bias.map(|own| weight.dot(&ndarray::Array1::from(own)).to_vec());
        let terms = self.terms.into_iter().map(|Term { source, weights }| {
            let weights = match weights {
                Weights::Diagonal(factors) => {
                    let mut product = weight.t().to_owned();
                    product.rows_mut().into_iter().zip(factors).for_each(|(mut row, factor)| row *= factor);
                    product
                }
                Weights::Dense(own) => {
                    room(own.nrows(), weight.nrows())?;
                    own.dot(&weight.t())
                }
                Weights::Convolution(_) => {
                    return Err("expected neurons between it and the convolution before it, found none".to_string());
                }
            };
            Ok(Term { source, weights: Weights::Dense(weights) })
        });
        let bias = match (passed, bias) {
            (Some(a), Some(b)) => Some(a.iter().zip(&b).map(|(a, b)| a + b).collect()),
            (a, b) => a.or(b),
        };
        let terms = terms.collect::<Result<_, _>>()?;
        Ok(Self { shape: Shape::Features(weight.nrows()), terms, bias, maps: None })
    }

    /// Convolves; `shape` is that of the result.
    pub fn convolved(self, kernels: &Kernels, bias: Option<&[f64]>, shape: Shape) -> Result<Self, String> {
        if self.bias.is_some() {
            return Err("expected neurons between it and the bias before it, found none".into());
        }
        let Shape::Maps { channels, height, width } = self.shape else {
            return Err(format!("expected maps, found a vector of {}", self.shape));
        };
        let cells = height * width;
        let terms = self.terms.into_iter().map(|Term { source, weights }| {
            let Weights::Diagonal(factors) = weights else {
                return Err("expected neurons between it and the linear node before it, found none".to_string());
            };
            let mut kernels = kernels.clone();
            let (out, per_group, ..) = kernels.weights.dim();
            for channel in 0..channels {
                let factor = uniform(channel * cells..(channel + 1) * cells, &|k| factors[k])
                    .ok_or("expected one factor per map before it, found several")?;
                let group = channel / per_group;
                let outputs = out / kernels.groups;
                let of = s![group * outputs..(group + 1) * outputs, channel % per_group, .., ..];
                kernels.weights.slice_mut(of).mapv_inplace(|weight| weight * factor);
            }
            Ok(Term { source, weights: Weights::Convolution(kernels) })
        });
        let terms = terms.collect::<Result<_, _>>()?;
        let cells = shape.len() / shape.channels().max(1);
        let bias = bias.map(|bias| bias.iter().flat_map(|&bias| std::iter::repeat_n(bias, cells)).collect());
        Ok(Self { shape, terms, bias, maps: None })
    }

    /// Sums windows of a convolution without padding, times a factor: a convolution with larger kernels.
    pub fn pooled(
        self,
        size: (usize, usize),
        stride: (usize, usize),
        factor: f64,
        shape: Shape,
    ) -> Result<Self, String> {
        let area = (size.0 * size.1) as f64;
        let cells = |shape: Shape| shape.len() / shape.channels().max(1);
        let before = cells(self.shape);
        let terms = self.terms.into_iter().map(|Term { source, weights }| {
            let Weights::Convolution(Kernels { weights, stride: own, padding, dilation, groups }) = weights else {
                return Err("expected spikes or a convolution before it, found another linear node".to_string());
            };
            if dilation != (1, 1) {
                return Err(format!("expected a convolution without dilation before it, found {dilation:?}"));
            }
            let (out, per_group, height, width) = weights.dim();
            let sizes = (height + (size.0 - 1) * own.0, width + (size.1 - 1) * own.1);
            room(out * per_group, sizes.0.saturating_mul(sizes.1))?;
            let mut sum = Array4::zeros((out, per_group, sizes.0, sizes.1));
            for y in 0..size.0 {
                for x in 0..size.1 {
                    let (y, x) = (y * own.0, x * own.1);
                    let mut part = sum.slice_mut(s![.., .., y..y + height, x..x + width]);
                    part += &weights;
                }
            }
            sum *= factor;
            let stride = (own.0 * stride.0, own.1 * stride.1);
            let kernels = Kernels { weights: sum, stride, padding, dilation, groups };
            Ok(Term { source, weights: Weights::Convolution(kernels) })
        });
        let terms = terms.collect::<Result<_, _>>()?;
        let after = cells(shape);
        let bias = self.bias.map(|bias| {
            let maps = bias.chunks_exact(before.max(1));
            maps.flat_map(|map| std::iter::repeat_n(map[0] * area * factor, after)).collect()
        });
        Ok(Self { shape, terms, bias, maps: None })
    }

    /// The maps of a convolution as a vector.
    pub fn flattened(mut self) -> Self {
        self.maps = Some(self.shape);
        self.shape = Shape::Features(self.shape.len());
        self
    }
}

/// The one value of a function on a range, if it is one.
pub(super) fn uniform(range: std::ops::Range<usize>, of: &impl Fn(usize) -> f64) -> Option<f64> {
    let first = of(range.start);
    range.clone().all(|k| of(k) == first).then_some(first)
}

/// Refuses more weights than a layer may have numbers.
pub(super) fn room(rows: usize, columns: usize) -> Result<(), String> {
    match rows.checked_mul(columns) {
        Some(weights) if weights <= MAX_LAYER_SIZE => Ok(()),
        _ => Err(format!("expected at most {MAX_LAYER_SIZE} weights, found {rows} x {columns}")),
    }
}
