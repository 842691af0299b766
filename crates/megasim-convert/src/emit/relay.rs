//! Layers that only move spikes, and transposed convolutions: ports with the extension keys of the format.

use super::{Emitter, Error, Format, size};
use crate::parsed::{Route, Source, Weights};
use megasim_ann::graph::Shape;
use megasim_core::network::{Array, Conv, ConvPort, NodeId, Output};
use ndarray::s;
use std::sync::Arc;

/// A key of a port; places are far below 2^31.
fn key(n: i64) -> i32 {
    i32::try_from(n).unwrap_or(if n < 0 { i32::MIN } else { i32::MAX })
}

impl Emitter<'_> {
    /// A factor by which addresses are spread, as a key.
    fn expand(&self, layer: &str, factor: usize) -> Result<i32, Error> {
        match (self.format, factor) {
            (_, 1) => Ok(1),
            (Format::Extended, factor) => Ok(key(factor as i64)),
            (Format::Original, factor) => Err(Error::Format {
                layer: layer.into(),
                reason: format!(
                    "the original format cannot spread addresses by {factor}; without --plain-megasim it can be written"
                ),
            }),
        }
    }

    /// The ports of one map of a transposed convolution. An input at `x` adds tap `i` at `x * stride + i - padding`.
    pub(super) fn transposed(
        &self,
        name: &str,
        map: usize,
        source: Source,
        weights: &Weights,
        inputs: &mut Vec<NodeId>,
        ports: &mut Vec<ConvPort>,
    ) -> Result<(), Error> {
        let Weights::Transposed { kernels, strides, padding, groups } = weights else { return Ok(()) };
        let (channels, per_group, height, width) = kernels.dim();
        let (group, own) = (map / per_group, map % per_group);
        let (y_expand, x_expand) = (self.expand(name, strides.0)?, self.expand(name, strides.1)?);
        for channel in group * (channels / groups)..(group + 1) * (channels / groups) {
            let kernel = kernels.slice(s![channel, own, .., ..]);
            if kernel.iter().all(|&weight| weight == 0.0) {
                continue;
            }
            let taps = kernel.iter().map(|&weight| self.quantization.integer(name, "weight", weight.into()));
            let taps = taps.collect::<Result<Arc<[i32]>, _>>()?;
            inputs.push(self.nodes(source)[channel]);
            let port =
                ConvPort::kernel(size(width), size(height), -key(padding.left as i64), -key(padding.top as i64), taps);
            ports.push(ConvPort { x_expand, y_expand, ..port });
        }
        Ok(())
    }

    /// One neuron a cell, which passes each spike on.
    pub(super) fn relay(
        &mut self,
        name: &str,
        shape: Shape,
        source: Source,
        route: &Route,
    ) -> Result<Vec<NodeId>, Error> {
        let Shape::Maps { channels, height, width } = shape else {
            return Err(Error::Format { layer: name.into(), reason: "expected maps to pass spikes to".into() });
        };
        let neurons = self.of_signs_of(source, self.passing(self.threshold(name)?));
        let array = Array { nx: size(width), ny: size(height), x_min: 0, y_min: 0 };
        let sources = self.nodes(source).to_vec();
        let pass: Arc<[i32]> = Arc::new([neurons.threshold_plus]);
        let mut nodes = Vec::new();
        for map in 0..channels {
            let (ports, inputs) = match route {
                Route::Shift { expand, offset } => {
                    let taps = vec![neurons.threshold_plus; expand.0 * expand.1];
                    let port =
                        ConvPort::kernel(size(expand.1), size(expand.0), key(offset.1), key(offset.0), taps.into());
                    let (y_expand, x_expand) = (self.expand(name, expand.0)?, self.expand(name, expand.1)?);
                    (vec![ConvPort { x_expand, y_expand, ..port }], vec![sources[map]])
                }
                Route::Gather { numbers } => {
                    let length = self.parsed.shape(source).len();
                    let map = &numbers[map * height * width..(map + 1) * height * width];
                    let rows = map.chunks_exact(width).enumerate();
                    let ports: Vec<ConvPort> = rows.flat_map(|(y, row)| row_ports(y, row, length, &pass)).collect();
                    if self.format == Format::Original && ports.iter().any(|port| port.x_stride != 1) {
                        let reason = "the original format cannot put a vector into maps in this order; without \
                            --plain-megasim it can be written";
                        return Err(Error::Format { layer: name.into(), reason: reason.into() });
                    }
                    let inputs = vec![sources[0]; ports.len()];
                    (ports, inputs)
                }
            };
            let conv = Conv { array, neurons, ports, output: Output::whole(array) };
            nodes.push(self.conv_with_reset(name, map, conv, inputs)?);
        }
        Ok(nodes)
    }
}

/// Ports that bring numbers of a vector of some length to the cells of a row: one where they are evenly spaced, else
/// one a cell.
///
/// A stride as long as the vector lets a single number pass: the distances to all others are smaller.
fn row_ports(y: usize, row: &[usize], length: usize, pass: &Arc<[i32]>) -> Vec<ConvPort> {
    let port = |dx: i64, stride: usize| ConvPort {
        x_stride: key(stride as i64),
        ..ConvPort::kernel(1, 1, key(dx), key(y as i64), Arc::clone(pass))
    };
    let first = row[0];
    if let Some(step) = row.get(1).and_then(|&second| second.checked_sub(first)).filter(|&step| step > 0)
        && row.windows(2).all(|pair| pair[1].checked_sub(pair[0]) == Some(step))
    {
        return vec![port(-(first as i64), step)];
    }
    let single = |(x, &number): (usize, &usize)| port((x * length) as i64 - number as i64, length);
    row.iter().enumerate().map(single).collect()
}
