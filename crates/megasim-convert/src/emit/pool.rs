//! Pooling layers as modules.

use super::{Emitter, Error, Format, offset, size};
use crate::parsed::{Source, Windows};
use megasim_ann::graph::Shape;
use megasim_core::network::{Array, Conv, ConvPort, MaxPool, ModuleKind, NodeId, Output, PoolPort, PoolRule};
use std::sync::Arc;

/// One axis of the windows: `outputs` windows of `size` cells, `stride` apart, over `cells` cells behind `padding`
/// others.
#[derive(Debug, Clone, Copy)]
struct Axis {
    size: usize,
    stride: usize,
    padding: usize,
    cells: usize,
    outputs: usize,
}

impl Axis {
    fn of(windows: &Windows, cells: (usize, usize), outputs: (usize, usize)) -> (Self, Self) {
        let Windows { size, strides, padding } = *windows;
        let axis = |size, stride, padding, cells, outputs| Self { size, stride, padding, cells, outputs };
        (
            axis(size.0, strides.0, padding.top, cells.0, outputs.0),
            axis(size.1, strides.1, padding.left, cells.1, outputs.1),
        )
    }

    /// First cell of a window that is inside, and how many are.
    fn inside(self, window: usize) -> (usize, usize) {
        let start = window * self.stride;
        let first = start.saturating_sub(self.padding);
        (first, (start + self.size).saturating_sub(self.padding).min(self.cells).saturating_sub(first))
    }

    /// The windows that are smaller than the others, as `(window, cells inside)`.
    fn small_windows(self) -> Vec<(usize, usize)> {
        let windows = (0..self.outputs).map(|window| (window, self.inside(window).1));
        windows.filter(|&(_, inside)| inside < self.size).collect()
    }

    fn stride_key(self) -> i32 {
        if self.outputs == 1 { 1 } else { key(self.stride) }
    }
}

/// What a port touches along one axis: all windows, or only one of them.
#[derive(Debug, Clone, Copy)]
enum Touch {
    All,
    Only { window: usize, inside: usize },
}

impl Touch {
    /// Kernel size, offset and stride.
    ///
    /// A stride of as many cells as there are lets an input meet one window only: the offsets between cells are
    /// smaller.
    fn geometry(self, axis: Axis) -> (u32, i32, i32) {
        match self {
            Self::All => (size(axis.size), offset(axis.padding, axis.size), axis.stride_key()),
            Self::Only { window, inside } => {
                let last = axis.inside(window).0 + inside - 1;
                (size(inside), key(axis.cells) * key(window) - key(last), key(axis.cells))
            }
        }
    }

    /// What its windows have to add to `1 / size`, as a fraction with this denominator.
    fn parts(self, axis: Axis, denominator: i64) -> i64 {
        match self {
            Self::All => denominator / axis.size as i64,
            Self::Only { inside, .. } => denominator / inside as i64 - denominator / axis.size as i64,
        }
    }
}

/// Layers are far smaller than 2^31 cells.
fn key(n: usize) -> i32 {
    i32::try_from(n).unwrap_or(i32::MAX)
}

fn least_common_multiple(numbers: impl IntoIterator<Item = usize>) -> i64 {
    fn divisor(a: i64, b: i64) -> i64 {
        if b == 0 { a } else { divisor(b, a % b) }
    }
    numbers.into_iter().fold(1, |multiple: i64, n| multiple.saturating_mul(n as i64 / divisor(multiple, n as i64)))
}

impl Emitter<'_> {
    fn maps(&self, name: &str, shape: Shape) -> Result<(usize, usize, usize), Error> {
        match shape {
            Shape::Maps { channels, height, width } => Ok((channels, height, width)),
            Shape::Features(_) => Err(Error::Format { layer: name.into(), reason: "expected maps to pool".into() }),
        }
    }

    pub(super) fn average_pool(
        &mut self,
        name: &str,
        shape: Shape,
        source: Source,
        windows: &Windows,
        count_padding: bool,
    ) -> Result<Vec<NodeId>, Error> {
        let (_, height, width) = self.maps(name, self.parsed.shape(source))?;
        let (_, out_height, out_width) = self.maps(name, shape)?;
        let (y, x) = Axis::of(windows, (height, width), (out_height, out_width));
        let mut conv = match self.format {
            Format::Extended if !self.quantization.relays => self.integrating_pool(name, y, x, count_padding)?,
            Format::Extended | Format::Original => self.passing_pool(name, y, x, count_padding)?,
        };
        conv.neurons = self.of_signs_of(source, conv.neurons);
        let inputs = self.nodes(source).to_vec();
        let nodes = inputs.into_iter().enumerate().map(|(map, node)| {
            let inputs = vec![node; conv.ports.len()];
            self.conv_with_reset(name, map, conv.clone(), inputs)
        });
        nodes.collect()
    }

    /// One integrator a window, with weights `threshold / cells`.
    ///
    /// Windows at the border of a padded map that does not count its padding have fewer cells, so their weights are
    /// larger: one more port a small row of windows, column of windows and crossing of both adds what the others lack.
    fn integrating_pool(&self, name: &str, y: Axis, x: Axis, count_padding: bool) -> Result<Conv, Error> {
        let small = |axis: Axis| if count_padding { Vec::new() } else { axis.small_windows() };
        let (small_y, small_x) = (small(y), small(x));
        let denominator = |axis: Axis, small: &[(usize, usize)]| {
            least_common_multiple(small.iter().map(|&(_, inside)| inside).chain([axis.size]))
        };
        let (parts_y, parts_x) = (denominator(y, &small_y), denominator(x, &small_x));
        let whole = f64::from(self.quantization.integer(name, "threshold", 1.0)?);
        let parts = parts_y.saturating_mul(parts_x);
        let unit = (whole / parts as f64).floor() as i64;
        if unit < 1 {
            let reason =
                format!("expected a scaling factor of {parts} or more for its averages to be exact, found {whole}");
            return Err(Error::Format { layer: name.into(), reason });
        }
        let touches = |small: Vec<(usize, usize)>| {
            let only = small.into_iter().map(|(window, inside)| Touch::Only { window, inside });
            std::iter::once(Touch::All).chain(only).collect::<Vec<_>>()
        };
        let (touches_y, touches_x) = (touches(small_y), touches(small_x));
        let mut ports = Vec::new();
        for &touch_y in &touches_y {
            for &touch_x in &touches_x {
                let ((ny, dy, y_stride), (nx, dx, x_stride)) = (touch_y.geometry(y), touch_x.geometry(x));
                let value = touch_y.parts(y, parts_y) * touch_x.parts(x, parts_x) * unit;
                let value = self.quantization.fit(name, "weight", value as f64)?;
                ports.push(ConvPort {
                    nx,
                    ny,
                    dx,
                    dy,
                    x_stride,
                    y_stride,
                    x_expand: 1,
                    y_expand: 1,
                    weights: vec![value; nx as usize * ny as usize].into(),
                });
            }
        }
        let threshold = (unit * parts) as f64 * self.quantization.threshold;
        let threshold = self.quantization.fit(name, "threshold", threshold)?;
        let array = Array { nx: size(x.outputs), ny: size(y.outputs), x_min: 0, y_min: 0 };
        let neurons = self.linear(name, self.neurons(name, threshold)?)?;
        Ok(Conv { array, neurons, ports, output: Output::whole(array) })
    }

    /// One neuron an input, which passes each spike under the address of its window.
    fn passing_pool(&self, name: &str, y: Axis, x: Axis, count_padding: bool) -> Result<Conv, Error> {
        for axis in [y, x] {
            let refuse = |reason: String| Err(Error::Format { layer: name.into(), reason });
            if axis.outputs > 1 && axis.size != axis.stride {
                return refuse(format!(
                    "spikes that are passed on have one window each, found windows of {} that are {} apart; without \
                        --plain-megasim and --pool relay they can be written",
                    axis.size, axis.stride
                ));
            }
            if !count_padding && !axis.small_windows().is_empty() {
                return refuse(
                    "spikes that are passed on have windows of one size, found windows of different size; without \
                        --plain-megasim and --pool relay they can be written"
                        .into(),
                );
            }
        }
        let array = Array { nx: size(x.cells), ny: size(y.cells), x_min: 0, y_min: 0 };
        // The last cell that a window covers.
        let last = |axis: Axis| {
            let (first, inside) = axis.inside(axis.outputs - 1);
            key((first + inside).min(axis.cells)) - 1
        };
        let output = Output {
            crop_xmax: last(x),
            crop_ymax: last(y),
            xshift_pre: key(x.padding),
            yshift_pre: key(y.padding),
            x_subsmp: key(x.size),
            y_subsmp: key(y.size),
            ..Output::whole(array)
        };
        let threshold = self.passing(self.threshold(name)?);
        let ports = vec![ConvPort::kernel(1, 1, 0, 0, Arc::new([threshold.threshold_plus]))];
        Ok(Conv { array, neurons: threshold, ports, output })
    }

    pub(super) fn max_pool(
        &mut self,
        name: &str,
        shape: Shape,
        source: Source,
        windows: &Windows,
    ) -> Result<Vec<NodeId>, Error> {
        if self.format == Format::Original {
            return Err(Error::Format {
                layer: name.into(),
                reason: "the original format has no maximum pooling; without --plain-megasim it can be written".into(),
            });
        }
        let (_, height, width) = self.maps(name, self.parsed.shape(source))?;
        let (_, out_height, out_width) = self.maps(name, shape)?;
        let (y, x) = Axis::of(windows, (height, width), (out_height, out_width));
        let port = PoolPort {
            nx: size(width),
            ny: size(height),
            nx_pool: size(x.size),
            ny_pool: size(y.size),
            dx: -key(x.padding),
            dy: -key(y.padding),
            x_stride: key(x.stride),
            y_stride: key(y.stride),
            nx_out: size(out_width),
            ny_out: size(out_height),
        };
        let inputs = self.nodes(source).to_vec();
        let nodes = inputs.into_iter().enumerate().map(|(map, node)| {
            let rule = if self.quantization.signed.is_some() { PoolRule::Signed } else { PoolRule::Busiest };
            let kind = ModuleKind::MaxPool(MaxPool { ports: vec![port, PoolPort::RESET], rule });
            self.module(name, &format!("{name}_{map}"), kind, vec![node, self.reset])
        });
        nodes.collect()
    }
}
