//! Pooling: the earliest spike of a window passes, in its own bin; the maximum of intensities before time exists.

use super::shape::{places, reached};
use super::{Error, Pair, Shape, Spike, SpikeWave};
use ndarray::{Array3, ArrayView3};
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Sliding windows over each map: SpykeTorch's `Pooling`.
///
/// ```
/// use megasim_stdp::{Pooling, SpikeWave};
/// let wave = SpikeWave::from_latencies(ndarray::array![[[4_u32, 2, 5, 5], [3, 5, 5, 1]]].view(), 5)?;
/// let pooled = Pooling::new(2).forward(&wave)?;
/// assert_eq!(pooled.latencies(), ndarray::array![[[2, 1]]]);
/// # Ok::<(), megasim_stdp::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pooling {
    /// Size of a window.
    pub kernel_size: Pair,
    /// Distance between windows; that of their size where not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stride: Option<Pair>,
    /// Cells around the map that never spike; at most half a window.
    #[serde(default = "no_padding")]
    pub padding: Pair,
}

fn no_padding() -> Pair {
    0.into()
}

impl Pooling {
    /// Windows side by side, without padding.
    pub fn new(kernel_size: impl Into<Pair>) -> Self {
        Self { kernel_size: kernel_size.into(), stride: None, padding: no_padding() }
    }
    /// Another distance between windows.
    pub fn stride(self, stride: impl Into<Pair>) -> Self {
        Self { stride: Some(stride.into()), ..self }
    }
    /// Cells around the map.
    pub fn padding(self, padding: impl Into<Pair>) -> Self {
        Self { padding: padding.into(), ..self }
    }
    /// The distance between windows.
    pub fn stride_size(&self) -> Pair {
        self.stride.unwrap_or(self.kernel_size)
    }

    /// Size of its maps; incomplete windows at the end are left out.
    ///
    /// # Errors
    /// [`Error::Window`] if a window does not fit, [`Error::Value`] for a window or stride of 0, or a padding of more
    /// than half a window.
    pub fn output_shape(&self, input: Shape) -> Result<Shape, Error> {
        let (kernel, stride, padding) = (self.kernel_size, self.stride_size(), self.padding);
        let wrong = |what: &str, expected, found: Pair| {
            Err(Error::Value { what: format!("pooling {what}"), expected, found: found.to_string() })
        };
        if kernel.rows == 0 || kernel.columns == 0 {
            return wrong("kernel_size", "at least 1", kernel);
        }
        if stride.rows == 0 || stride.columns == 0 {
            return wrong("stride", "at least 1", stride);
        }
        if padding.rows > kernel.rows / 2 || padding.columns > kernel.columns / 2 {
            return wrong("padding", "at most half the window", padding);
        }
        let height = places(input.height(), kernel.rows, stride.rows, padding.rows);
        let width = places(input.width(), kernel.columns, stride.columns, padding.columns);
        let (height, width) = height.zip(width).ok_or(Error::Window {
            what: "pooling",
            window: kernel,
            height: input.height(),
            width: input.width(),
            padding,
        })?;
        Shape::new(input.maps(), height, width)
    }

    /// The earliest spike of each window, with potential 1 (or -1).
    ///
    /// # Errors
    /// As [`Pooling::output_shape`].
    pub fn forward(&self, wave: &SpikeWave) -> Result<SpikeWave, Error> {
        let mut state = PoolingState::new(*self, wave.shape())?;
        let mut spikes = Vec::new();
        let mut passed = Vec::new();
        for bin in 0..wave.time_steps() {
            passed.clear();
            state.pass(wave.bin(bin), &mut passed);
            spikes.extend(passed.iter().map(|spike| (bin, *spike)));
        }
        Ok(SpikeWave::from_spikes(state.output, wave.time_steps(), spikes))
    }

    /// The largest value of each window: pooling of intensities or potentials, axes (map, row, column).
    ///
    /// # Errors
    /// As [`Pooling::output_shape`].
    pub fn maximum(&self, input: ArrayView3<f32>) -> Result<Array3<f32>, Error> {
        let (maps, height, width) = input.dim();
        let output = self.output_shape(Shape::new(maps, height, width)?)?;
        let window = |at: usize, stride: usize, padding: usize, kernel: usize, size: usize| {
            (at * stride).saturating_sub(padding)..(at * stride + kernel).saturating_sub(padding).min(size)
        };
        let (kernel, stride, padding) = (self.kernel_size, self.stride_size(), self.padding);
        Ok(Array3::from_shape_fn(output.dim(), |(map, y, x)| {
            let mut maximum = f32::NEG_INFINITY;
            for row in window(y, stride.rows, padding.rows, kernel.rows, height) {
                for column in window(x, stride.columns, padding.columns, kernel.columns, width) {
                    maximum = maximum.max(input[(map, row, column)]);
                }
            }
            maximum
        }))
    }
}

/// What a pooling layer holds during one stimulus: which windows have passed a spike.
#[derive(Debug, Clone)]
pub(super) struct PoolingState {
    layer: Pooling,
    pub(super) output: Shape,
    passed: Vec<bool>,
    set: Vec<usize>,
    /// Windows that cover each row and each column.
    rows: Vec<Range<usize>>,
    columns: Vec<Range<usize>>,
}

impl PoolingState {
    pub(super) fn new(layer: Pooling, input: Shape) -> Result<Self, Error> {
        let output = layer.output_shape(input)?;
        let (kernel, stride, padding) = (layer.kernel_size, layer.stride_size(), layer.padding);
        let row = |y| reached(y + padding.rows, kernel.rows, stride.rows, output.height());
        let column = |x| reached(x + padding.columns, kernel.columns, stride.columns, output.width());
        Ok(Self {
            layer,
            output,
            passed: vec![false; output.len()],
            set: Vec::new(),
            rows: (0..input.height()).map(row).collect(),
            columns: (0..input.width()).map(column).collect(),
        })
    }

    /// The cells of the input in a window.
    pub(super) fn window(&self, y: usize, x: usize) -> (Range<usize>, Range<usize>) {
        let (kernel, stride, padding) = (self.layer.kernel_size, self.layer.stride_size(), self.layer.padding);
        let clip = |at: usize, stride: usize, padding: usize, kernel: usize, size: usize| {
            (at * stride).saturating_sub(padding)..(at * stride + kernel).saturating_sub(padding).min(size)
        };
        (
            clip(y, stride.rows, padding.rows, kernel.rows, self.rows.len()),
            clip(x, stride.columns, padding.columns, kernel.columns, self.columns.len()),
        )
    }

    pub(super) fn reset(&mut self) {
        for index in self.set.drain(..) {
            self.passed[index] = false;
        }
    }

    pub(super) fn pass(&mut self, spikes: &[Spike], passed: &mut Vec<Spike>) {
        for spike in spikes {
            for y in self.rows[spike.y as usize].clone() {
                for x in self.columns[spike.x as usize].clone() {
                    let index = self.output.index(spike.map.into(), y, x);
                    if !self.passed[index] {
                        self.passed[index] = true;
                        self.set.push(index);
                        let potential = if spike.potential < 0.0 { -1.0 } else { 1.0 };
                        passed.push(Spike { map: spike.map, y: y as u16, x: x as u16, potential });
                    }
                }
            }
        }
    }
}
