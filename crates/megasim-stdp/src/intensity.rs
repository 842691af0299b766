//! Operations on intensities, before time exists: padding, normalisation, lateral inhibition.
//!
//! All of them take and give arrays whose last two axes are (row, column), and treat each map alone.

use super::Error;
use ndarray::{Array, Array2, Array3, ArrayView, ArrayView2, ArrayView3, Axis, RemoveAxis, s};

/// Constant padding of rows and columns, in SpykeTorch's order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Padding {
    /// Columns on the left.
    pub left: usize,
    /// Columns on the right.
    pub right: usize,
    /// Rows on top.
    pub top: usize,
    /// Rows at the bottom.
    pub bottom: usize,
}

impl From<(usize, usize, usize, usize)> for Padding {
    fn from((left, right, top, bottom): (usize, usize, usize, usize)) -> Self {
        Self { left, right, top, bottom }
    }
}

/// Surrounds each map with `value`.
pub fn pad(input: ArrayView3<f32>, padding: Padding, value: f32) -> Array3<f32> {
    let (maps, height, width) = input.dim();
    let Padding { left, right, top, bottom } = padding;
    let mut output = Array3::from_elem((maps, height + top + bottom, width + left + right), value);
    output.slice_mut(s![.., top..top + height, left..left + width]).assign(&input);
    output
}

/// Divides each intensity by the mean of the square window of side `2 radius + 1` around it, plus `eps`
/// (1e-12 in SpykeTorch). Outside the map counts as 0 and the divisor is always the full window's area, which lifts
/// the borders. Axes are (row, column), behind any number of others, as (map, row, column) or, in SpykeTorch,
/// (time step, map, row, column).
///
/// ```
/// use megasim_stdp::local_normalization;
/// let steps = ndarray::Array4::from_elem((2, 1, 3, 3), 4.0);
/// let normalised = local_normalization(steps.view(), 1, 1e-12);
/// // Its own mean in the middle; at a corner four of nine cells are inside.
/// assert_eq!((normalised[(1, 0, 1, 1)], normalised[(1, 0, 0, 0)]), (1.0, 2.25));
/// ```
pub fn local_normalization<D>(input: ArrayView<f32, D>, radius: usize, eps: f64) -> Array<f32, D>
where
    // Two axes at least.
    D: RemoveAxis<Smaller: RemoveAxis>,
{
    let side = 2 * radius + 1;
    let area = (side * side) as f64;
    let (rows, columns) = (input.ndim() - 2, input.ndim() - 1);
    let size = input.len_of(Axis(rows)) * input.len_of(Axis(columns));
    let width = input.len_of(Axis(columns));
    // Rows of one map are next to each other in this order.
    let values: Vec<f32> = input.iter().copied().collect();
    let mut output = Array::zeros(input.raw_dim());
    let mut cells = output.iter_mut();
    for map in values.chunks(size.max(1)) {
        let Ok(map) = ArrayView2::from_shape((size / width.max(1), width), map) else { continue };
        let sums = box_sums(map, radius);
        for ((value, sum), output) in map.iter().zip(&sums).zip(&mut cells) {
            *output = (f64::from(*value) / (sum / area + eps)) as f32;
        }
    }
    output
}

/// Sums over the window of `radius` around each cell, first along rows, then along columns, by running prefix sums.
fn box_sums(map: ArrayView2<f32>, radius: usize) -> Array2<f64> {
    let window = |prefix: &[f64], index: usize| {
        let last = prefix.len() - 1;
        prefix[(index + radius + 1).min(last)] - prefix[index.saturating_sub(radius)]
    };
    let prefix_of = |prefix: &mut Vec<f64>, values: &mut dyn Iterator<Item = f64>| {
        prefix.clear();
        prefix.push(0.0);
        let mut sum = 0.0;
        prefix.extend(values.map(|value| {
            sum += value;
            sum
        }));
    };
    let mut prefix = Vec::new();
    let mut sums = Array2::zeros(map.dim());
    for (row, mut sums) in map.rows().into_iter().zip(sums.rows_mut()) {
        prefix_of(&mut prefix, &mut row.iter().map(|&value| f64::from(value)));
        sums.iter_mut().enumerate().for_each(|(index, sum)| *sum = window(&prefix, index));
    }
    for mut column in sums.columns_mut() {
        prefix_of(&mut prefix, &mut column.iter().copied());
        column.iter_mut().enumerate().for_each(|(index, sum)| *sum = window(&prefix, index));
    }
    sums
}

/// The square kernel whose value at Chebyshev distance `d` from its centre is `percents[d - 1]`; 0 at the centre.
pub fn generate_inhibition_kernel(percents: &[f64]) -> Array2<f32> {
    let reach = percents.len();
    Array2::from_shape_fn((2 * reach + 1, 2 * reach + 1), |(row, column)| {
        match row.abs_diff(reach).max(column.abs_diff(reach)) {
            0 => 0.0,
            distance => percents[distance - 1] as f32,
        }
    })
}

/// Sharpens contrast as SpykeTorch's `intensity_lateral_inhibition` does.
///
/// Its documentation says that stronger cells lower their weaker neighbours; what it computes is
/// `x (1 + sum of the factors of the neighbours strictly weaker than x)`. Outside the map counts as 0; all
/// comparisons are on the original values. Only the ranking matters later, and for it both sharpen.
///
/// ```
/// use megasim_stdp::LateralIntensityInhibition;
/// let inhibition = LateralIntensityInhibition::new(&[0.5])?;
/// let output = inhibition.apply(ndarray::array![[[2.0, 1.0, 0.0]]].view());
/// // The 2 exceeds its right neighbour and the seven cells around it that are outside.
/// assert_eq!(output[(0, 0, 0)], 2.0 * (1.0 + 8.0 * 0.5));
/// # Ok::<(), megasim_stdp::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct LateralIntensityInhibition {
    kernel: Array2<f32>,
}

impl LateralIntensityInhibition {
    /// Factors by distance, nearest first.
    ///
    /// # Errors
    /// A factor that is not finite.
    pub fn new(percents: &[f64]) -> Result<Self, Error> {
        if let Some(found) = percents.iter().find(|percent| !percent.is_finite()) {
            return Err(Error::Value {
                what: "lateral inhibition".into(),
                expected: "finite factors",
                found: found.to_string(),
            });
        }
        Ok(Self { kernel: generate_inhibition_kernel(percents) })
    }

    /// Any factors around the centre, axes (row, column); that of the centre does not matter.
    ///
    /// # Errors
    /// An even number of rows or columns, which has no centre; a factor that is not finite.
    pub fn from_kernel(kernel: Array2<f32>) -> Result<Self, Error> {
        let (rows, columns) = kernel.dim();
        if rows % 2 == 0 || columns % 2 == 0 {
            return Err(Error::Shape {
                what: "lateral inhibition",
                expected: "a kernel with an odd number of rows and of columns".into(),
                found: format!("{rows}x{columns}"),
            });
        }
        match kernel.iter().find(|factor| !factor.is_finite()) {
            Some(found) => Err(Error::Value {
                what: "lateral inhibition".into(),
                expected: "finite factors",
                found: found.to_string(),
            }),
            None => Ok(Self { kernel }),
        }
    }

    /// The factors around the centre, axes (row, column).
    pub fn kernel(&self) -> ArrayView2<'_, f32> {
        self.kernel.view()
    }

    /// Applies it to each map.
    pub fn apply(&self, input: ArrayView3<f32>) -> Array3<f32> {
        let (above, before) = (self.kernel.nrows() / 2, self.kernel.ncols() / 2);
        let (_, height, width) = input.dim();
        let mut output = Array3::zeros(input.dim());
        for (map, mut output) in input.axis_iter(Axis(0)).zip(output.axis_iter_mut(Axis(0))) {
            for ((row, column), output) in output.indexed_iter_mut() {
                let value = map[(row, column)];
                let mut gain = 1.0_f32;
                for ((i, j), &factor) in self.kernel.indexed_iter() {
                    let inside = (row + i).checked_sub(above).zip((column + j).checked_sub(before));
                    let neighbour = match inside {
                        Some((y, x)) if y < height && x < width => map[(y, x)],
                        _ => 0.0,
                    };
                    if neighbour < value {
                        gain += factor;
                    }
                }
                *output = value * gain;
            }
        }
        output
    }
}
