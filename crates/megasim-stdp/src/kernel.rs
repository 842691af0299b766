//! Image filter kernels: difference of Gaussians and Gabor, as SpykeTorch makes them.

use ndarray::Array2;
use serde::{Deserialize, Serialize};
use std::f64::consts::PI;

/// Difference of two Gaussians, a model of on-centre (`sigma1 < sigma2`) and off-centre ganglion cells.
///
/// `(1/2pi) (exp(-r^2 / 2 sigma1^2) / sigma1^2 - exp(-r^2 / 2 sigma2^2) / sigma2^2)` on a grid of
/// `-window_size/2 ..= window_size/2` in both axes, so an even size gives a window one larger; then its mean is
/// subtracted and it is divided by its maximum.
///
/// ```
/// use megasim_stdp::DoGKernel;
/// let kernel = DoGKernel { window_size: 7, sigma1: 1.0, sigma2: 2.0 }.values();
/// assert_eq!(kernel.dim(), (7, 7));
/// assert_eq!(kernel[(3, 3)], 1.0);
/// assert!(kernel.sum().abs() < 1e-12);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DoGKernel {
    /// Side of the square window, in pixels.
    pub window_size: usize,
    /// Standard deviation of the first Gaussian, in pixels.
    pub sigma1: f64,
    /// Standard deviation of the second, in pixels.
    pub sigma2: f64,
}

impl DoGKernel {
    /// The kernel, axes (row, column).
    pub fn values(&self) -> Array2<f64> {
        let gaussian = |squared: f64, sigma: f64| 1.0 / sigma.powi(2) * (-squared / 2.0 / sigma.powi(2)).exp();
        normalised(self.window_size, |row, column| {
            let squared = row * row + column * column;
            1.0 / (2.0 * PI) * (gaussian(squared, self.sigma1) - gaussian(squared, self.sigma2))
        })
    }
}

/// Gabor kernel, a model of simple cells of the primary visual cortex.
///
/// With `x` = row, `y` = column, `X = y sin a + x cos a`, `Y = y cos a - x sin a`, `lambda = 2 window_size / div`,
/// `sigma = 0.8 lambda`, `gamma = 0.3`: `exp(-(X^2 + gamma^2 Y^2) / 2 sigma^2) cos(2 pi X / lambda)`, its mean
/// subtracted, divided by its maximum.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GaborKernel {
    /// Side of the square window, in pixels.
    pub window_size: usize,
    /// Orientation `a`, in degrees.
    pub orientation: f64,
    /// Divisor of the wavelength; 4 in SpykeTorch.
    #[serde(default = "default_div")]
    pub div: f64,
}

fn default_div() -> f64 {
    4.0
}

impl GaborKernel {
    /// The kernel, axes (row, column).
    pub fn values(&self) -> Array2<f64> {
        let lambda = self.window_size as f64 * 2.0 / self.div;
        let sigma = lambda * 0.8;
        let gamma = 0.3_f64;
        let angle = self.orientation * PI / 180.0;
        normalised(self.window_size, |x, y| {
            let across = y * angle.sin() + x * angle.cos();
            let along = y * angle.cos() - x * angle.sin();
            (-(across.powi(2) + gamma.powi(2) * along.powi(2)) / (2.0 * sigma.powi(2))).exp()
                * (2.0 * PI * across / lambda).cos()
        })
    }
}

fn normalised(window_size: usize, value: impl Fn(f64, f64) -> f64) -> Array2<f64> {
    let half = window_size / 2;
    let side = 2 * half + 1;
    let centred = |index: usize| index as f64 - half as f64;
    let mut kernel = Array2::from_shape_fn((side, side), |(row, column)| value(centred(row), centred(column)));
    let mean = kernel.sum() / kernel.len() as f64;
    kernel -= mean;
    let maximum = kernel.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    // A constant window (side 1) has nothing to scale.
    if maximum > 0.0 {
        kernel /= maximum;
    }
    kernel
}

/// One kernel of a [`Filter`](super::Filter).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FilterKernel {
    /// Difference of Gaussians.
    DoG(DoGKernel),
    /// Gabor.
    Gabor(GaborKernel),
    /// The numbers of a square, row by row, taken as they are.
    Values(Vec<Vec<f64>>),
}

impl FilterKernel {
    /// The kernel, axes (row, column).
    pub fn values(&self) -> Array2<f64> {
        match self {
            Self::DoG(kernel) => kernel.values(),
            Self::Gabor(kernel) => kernel.values(),
            Self::Values(rows) => {
                let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
                let at = |(row, column): (usize, usize)| rows[row].get(column).copied().unwrap_or(0.0);
                Array2::from_shape_fn((rows.len(), columns), at)
            }
        }
    }
}

impl From<DoGKernel> for FilterKernel {
    fn from(kernel: DoGKernel) -> Self {
        Self::DoG(kernel)
    }
}

impl From<GaborKernel> for FilterKernel {
    fn from(kernel: GaborKernel) -> Self {
        Self::Gabor(kernel)
    }
}
