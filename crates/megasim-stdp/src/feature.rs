//! What a neuron is selective to: receptive fields and preferred stimuli through several layers.

use super::{Error, Pair, Pooling};
use ndarray::{Array3, ArrayView4, s};

/// Size of the field on the first layer's input that one neuron of the last layer sees; layers as (window, stride) from
/// first to last. SpykeTorch's `get_deep_receptive_field`.
///
/// ```
/// use megasim_stdp::{deep_receptive_field, Pair};
/// let layers = [(Pair::from(5), Pair::from(1)), (Pair::from(2), Pair::from(2)), (Pair::from(2), Pair::from(1))];
/// assert_eq!(deep_receptive_field(&layers), Pair::from(8));
/// ```
pub fn deep_receptive_field(layers: &[(Pair, Pair)]) -> Pair {
    layers.iter().rev().fold(Pair::from(1), |field, (window, stride)| Pair {
        rows: window.rows + (field.rows - 1) * stride.rows,
        columns: window.columns + (field.columns - 1) * stride.columns,
    })
}

/// Preferred stimuli of a layer's maps, axes (map, row, column), and the distance of neighbours in them.
#[derive(Debug, Clone, PartialEq)]
pub struct DeepFeature {
    /// The stimulus of each map.
    pub maps: Array3<f32>,
    /// Product of the strides so far.
    pub stride: Pair,
}

impl DeepFeature {
    /// Of the image itself: one pixel.
    pub fn pixel() -> Self {
        Self { maps: Array3::ones((1, 1, 1)), stride: 1.into() }
    }

    /// Through a layer with weights (map, input map, row, column): at each place of the kernel the input map whose
    /// stimulus times its weight is largest (pixel by pixel), all places added up, negative sums set to 0. SpykeTorch's
    /// `get_deep_feature`.
    ///
    /// # Errors
    /// [`Error::Shape`] if the weights expect another number of maps.
    pub fn convolution(&self, weights: ArrayView4<f32>, stride: Pair) -> Result<Self, Error> {
        let (maps, inputs, rows, columns) = weights.dim();
        let (depth, height, width) = self.maps.dim();
        // One stimulus serves for all input maps, as one pixel does for the first filters.
        if depth != inputs && depth != 1 && inputs != 1 {
            return Err(Error::Shape {
                what: "deep feature",
                expected: format!("weights for {depth} input maps"),
                found: inputs.to_string(),
            });
        }
        let mut stimuli = Array3::zeros(self.size(maps, Pair { rows, columns }));
        for map in 0..maps {
            for row in 0..rows {
                for column in 0..columns {
                    let (y, x) = (row * self.stride.rows, column * self.stride.columns);
                    let mut place = stimuli.slice_mut(s![map, y..y + height, x..x + width]);
                    for ((i, j), sum) in place.indexed_iter_mut() {
                        *sum += (0..depth.max(inputs))
                            .map(|input| {
                                self.maps[(input.min(depth - 1), i, j)]
                                    * weights[(map, input.min(inputs - 1), row, column)]
                            })
                            .fold(f32::NEG_INFINITY, f32::max);
                    }
                }
            }
        }
        stimuli.mapv_inplace(|value: f32| value.max(0.0));
        Ok(Self { maps: stimuli, stride: self.next_stride(stride) })
    }

    /// Through pooling: the stimulus is in the middle of the window.
    pub fn pooling(&self, pooling: &Pooling) -> Self {
        let (depth, height, width) = self.maps.dim();
        let mut stimuli = Array3::zeros(self.size(depth, pooling.kernel_size));
        let (y, x) = (stimuli.dim().1 / 2 - height / 2, stimuli.dim().2 / 2 - width / 2);
        stimuli.slice_mut(s![.., y..y + height, x..x + width]).assign(&self.maps);
        Self { maps: stimuli, stride: self.next_stride(pooling.stride_size()) }
    }

    fn size(&self, maps: usize, window: Pair) -> (usize, usize, usize) {
        let (_, height, width) = self.maps.dim();
        (maps, height + (window.rows - 1) * self.stride.rows, width + (window.columns - 1) * self.stride.columns)
    }
    fn next_stride(&self, stride: Pair) -> Pair {
        Pair { rows: self.stride.rows * stride.rows, columns: self.stride.columns * stride.columns }
    }
}

/// A tensor as SpykeTorch's `tensor_to_text` writes it: a line of comma-separated sizes, a line of values in row-major
/// order.
pub fn tensor_to_text<D: ndarray::Dimension>(tensor: ndarray::ArrayView<f32, D>) -> String {
    let sizes: Vec<String> = tensor.shape().iter().map(usize::to_string).collect();
    let values: Vec<String> = tensor.iter().map(|value| format!("{value:?}")).collect();
    format!("{}\n{}\n", sizes.join(","), values.join(","))
}

/// A tensor from SpykeTorch's text form.
///
/// ```
/// let tensor = megasim_stdp::text_to_tensor("2,3\n0.5,-1.25,3.0,1e-07,2.0,7.5\n")?;
/// assert_eq!(tensor.shape(), [2, 3]);
/// # Ok::<(), megasim_stdp::Error>(())
/// ```
///
/// # Errors
/// [`Error::Value`] for something that is no number, [`Error::Shape`] if the values do not fill the sizes.
pub fn text_to_tensor(text: &str) -> Result<ndarray::ArrayD<f32>, Error> {
    fn list<T: std::str::FromStr>(line: Option<&str>, expected: &'static str) -> Result<Vec<T>, Error> {
        line.unwrap_or_default()
            .split(',')
            .map(|entry| {
                entry.trim().parse().map_err(|_| Error::Value {
                    what: "tensor text".into(),
                    expected,
                    found: entry.trim().into(),
                })
            })
            .collect()
    }
    let mut lines = text.lines();
    let sizes: Vec<usize> = list(lines.next(), "a size")?;
    let values: Vec<f32> = list(lines.next(), "a number")?;
    let found = format!("{} values", values.len());
    ndarray::ArrayD::from_shape_vec(sizes.clone(), values).map_err(|_| Error::Shape {
        what: "tensor text",
        expected: format!("values for sizes {sizes:?}"),
        found,
    })
}
