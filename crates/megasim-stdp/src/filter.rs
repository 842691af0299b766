//! A bank of kernels over an image, with thresholds and absolute value.

use super::shape::places;
use super::{Error, FilterKernel, Pair};
use ndarray::{Array2, Array3, Array4, ArrayView2, Axis, s};

/// Cross-correlation of an image with several kernels; each result is a map.
///
/// Kernels smaller than the largest are zero-padded around their centre. Stride 1, zero padding. Then values below the
/// threshold become 0 (equal survives), and only then the absolute value is taken: with a threshold that is not
/// negative, negative responses are gone before.
///
/// ```
/// use megasim_stdp::{DoGKernel, Filter};
/// use ndarray::Array2;
/// let on = DoGKernel { window_size: 3, sigma1: 0.5, sigma2: 1.0 };
/// let off = DoGKernel { window_size: 3, sigma1: 1.0, sigma2: 0.5 };
/// let filter = Filter::new(&[on.into(), off.into()])?.padding(1).threshold(0.1);
/// let mut image = Array2::zeros((5, 5));
/// image[(2, 2)] = 1.0;
/// let responses = filter.apply(image.view())?;
/// assert_eq!(responses.dim(), (2, 5, 5));
/// assert!(responses[(0, 2, 2)] > responses[(1, 2, 2)]);
/// # Ok::<(), megasim_stdp::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Filter {
    kernels: Vec<Array2<f32>>,
    side: usize,
    padding: usize,
    thresholds: Thresholds,
    use_abs: bool,
}

#[derive(Debug, Clone, PartialEq)]
enum Thresholds {
    None,
    Same(f32),
    PerKernel(Vec<f32>),
}

impl Filter {
    /// A filter without padding, thresholds or absolute value.
    ///
    /// # Errors
    /// As [`Filter::from_arrays`].
    pub fn new(kernels: &[FilterKernel]) -> Result<Self, Error> {
        let arrays: Vec<_> = kernels.iter().map(|kernel| kernel.values().mapv(|value| value as f32)).collect();
        Self::from_arrays(arrays)
    }

    /// A filter with custom kernels: square, axes (row, column).
    ///
    /// # Errors
    /// No kernels, kernels that are not square, or odd and even ones mixed.
    pub fn from_arrays(kernels: Vec<Array2<f32>>) -> Result<Self, Error> {
        let side = kernels.iter().map(|kernel| kernel.nrows()).max().filter(|&side| side > 0).ok_or(Error::Value {
            what: "filter".into(),
            expected: "at least one kernel",
            found: "none".into(),
        })?;
        for kernel in &kernels {
            if kernel.nrows() != kernel.ncols() {
                return Err(Error::Shape {
                    what: "filter kernel",
                    expected: "a square".into(),
                    found: format!("{}x{}", kernel.nrows(), kernel.ncols()),
                });
            }
            if (side - kernel.nrows()) % 2 != 0 {
                return Err(Error::MixedWindows(side, kernel.nrows()));
            }
        }
        Ok(Self { kernels, side, padding: 0, thresholds: Thresholds::None, use_abs: false })
    }

    /// Rows and columns of zeros on every side.
    pub fn padding(self, padding: usize) -> Self {
        Self { padding, ..self }
    }

    /// One threshold for all kernels; without one, negative values pass.
    pub fn threshold(self, threshold: f32) -> Self {
        Self { thresholds: Thresholds::Same(threshold), ..self }
    }

    /// A threshold for each kernel.
    ///
    /// # Errors
    /// If there are not as many as kernels.
    pub fn thresholds(self, thresholds: &[f32]) -> Result<Self, Error> {
        if thresholds.len() != self.kernels.len() {
            return Err(Error::Shape {
                what: "filter thresholds",
                expected: format!("{} (one for each kernel)", self.kernels.len()),
                found: thresholds.len().to_string(),
            });
        }
        Ok(Self { thresholds: Thresholds::PerKernel(thresholds.into()), ..self })
    }

    /// Whether the absolute value is taken at the end.
    pub fn use_abs(self, use_abs: bool) -> Self {
        Self { use_abs, ..self }
    }

    /// Number of maps it makes.
    pub fn maps(&self) -> usize {
        self.kernels.len()
    }

    /// The kernels, zero-padded to the largest window: axes (kernel, 1, row, column).
    pub fn kernel_stack(&self) -> Array4<f32> {
        let mut stack = Array4::zeros((self.kernels.len(), 1, self.side, self.side));
        for (kernel, mut place) in self.kernels.iter().zip(stack.outer_iter_mut()) {
            let margin = (self.side - kernel.nrows()) / 2;
            let window = margin..margin + kernel.nrows();
            place.slice_mut(s![0, window.clone(), window]).assign(kernel);
        }
        stack
    }

    /// Size of its maps for images of `height` x `width`.
    ///
    /// # Errors
    /// [`Error::Window`] if the largest kernel does not fit.
    pub fn output_size(&self, height: usize, width: usize) -> Result<(usize, usize), Error> {
        places(height, self.side, 1, self.padding).zip(places(width, self.side, 1, self.padding)).ok_or(Error::Window {
            what: "filter",
            window: Pair::from(self.side),
            height,
            width,
            padding: Pair::from(self.padding),
        })
    }

    /// Filters an image, axes (row, column); the result has axes (kernel, row, column).
    ///
    /// # Errors
    /// [`Error::Window`] if the largest kernel does not fit.
    pub fn apply(&self, image: ArrayView2<f32>) -> Result<Array3<f32>, Error> {
        let (height, width) = image.dim();
        let (rows, columns) = self.output_size(height, width)?;
        let image = image.as_standard_layout();
        let pixels = image.as_slice().unwrap_or_default();
        let mut output = Array3::zeros((self.kernels.len(), rows, columns));
        for (number, (kernel, mut map)) in self.kernels.iter().zip(output.axis_iter_mut(Axis(0))).enumerate() {
            let margin = (self.side - kernel.nrows()) / 2;
            if let Some(map) = map.as_slice_mut() {
                for ((row, column), &factor) in kernel.indexed_iter().filter(|(_, factor)| **factor != 0.0) {
                    // Output (i, j) reads pixel (i + dy, j + dx).
                    let dy = (row + margin) as isize - self.padding as isize;
                    let dx = (column + margin) as isize - self.padding as isize;
                    let first = (-dx).clamp(0, columns as isize) as usize;
                    let last = (width as isize - dx).clamp(first as isize, columns as isize) as usize;
                    for i in (-dy).clamp(0, rows as isize)..(height as isize - dy).clamp(0, rows as isize) {
                        let target = &mut map[i as usize * columns + first..i as usize * columns + last];
                        let start = ((i + dy) * width as isize + first as isize + dx) as usize;
                        for (target, &pixel) in target.iter_mut().zip(&pixels[start..start + (last - first)]) {
                            *target += factor * pixel;
                        }
                    }
                }
            }
            let threshold = match &self.thresholds {
                Thresholds::None => None,
                Thresholds::Same(threshold) => Some(*threshold),
                Thresholds::PerKernel(thresholds) => Some(thresholds[number]),
            };
            map.mapv_inplace(|value| {
                let kept = if threshold.is_some_and(|threshold| value < threshold) { 0.0 } else { value };
                if self.use_abs { kept.abs() } else { kept }
            });
        }
        Ok(output)
    }
}
