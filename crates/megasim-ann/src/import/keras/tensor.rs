//! What flows between Keras layers, and the graph under construction.
//!
//! Keras keeps its axes in the order of the data format, the graph always as `(channels, height, width)`. A [`Tensor`]
//! is a layer of the graph with the order in which Keras sees its axes; only where a network changes that order itself
//! does it cost a permutation.

use super::super::ImportError;
use super::super::refusal::Obstacles;
use super::options::Options;
use crate::graph::{AxisOrder, Graph, GraphBuilder, LayerId, Operation, Shape};

/// The output of a layer, as Keras sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tensor {
    pub(super) layer: LayerId,
    pub(super) layout: Layout,
}

/// Axes after the batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// Features.
    Vector,
    /// Steps and channels.
    Sequence(AxisOrder),
    /// Rows, columns and channels.
    Maps(AxisOrder),
}

impl Layout {
    /// How many axes, without the batch.
    pub(super) fn rank(self) -> usize {
        match self {
            Self::Vector => 1,
            Self::Sequence(_) => 2,
            Self::Maps(_) => 3,
        }
    }

    /// Where Keras's axes are among `(channels, height, width)`.
    pub(super) fn axes(self) -> &'static [usize] {
        use AxisOrder::{ChannelsFirst, ChannelsLast};
        match self {
            Self::Vector => &[0],
            Self::Sequence(ChannelsFirst) => &[0, 2],
            Self::Sequence(ChannelsLast) => &[2, 0],
            Self::Maps(ChannelsFirst) => &[0, 1, 2],
            Self::Maps(ChannelsLast) => &[1, 2, 0],
        }
    }

    pub(super) fn order(self) -> Option<AxisOrder> {
        match self {
            Self::Vector => None,
            Self::Sequence(order) | Self::Maps(order) => Some(order),
        }
    }

    fn with(self, order: AxisOrder) -> Self {
        match self {
            Self::Vector => Self::Vector,
            Self::Sequence(_) => Self::Sequence(order),
            Self::Maps(_) => Self::Maps(order),
        }
    }
}

/// Shape and layout of an array whose axes Keras lists in this order.
pub(super) fn shape_of(dimensions: &[usize], order: AxisOrder) -> Option<(Shape, Layout)> {
    let layout = match dimensions {
        [features] => return Some((Shape::Features(*features), Layout::Vector)),
        [_, _] => Layout::Sequence(order),
        [_, _, _] => Layout::Maps(order),
        _ => return None,
    };
    let mut sizes = [1; 3];
    layout.axes().iter().zip(dimensions).for_each(|(&axis, &size)| sizes[axis] = size);
    Some((Shape::Maps { channels: sizes[0], height: sizes[1], width: sizes[2] }, layout))
}

/// The graph under construction.
pub(super) struct Network {
    builder: GraphBuilder,
    /// How Keras's axes are read where nothing else tells.
    pub(super) order: AxisOrder,
    /// Layers that are refused.
    pub(super) obstacles: Obstacles,
}

impl Network {
    pub(super) fn new(name: &str, shape: Shape, order: AxisOrder) -> Self {
        Self { builder: GraphBuilder::new(name, shape), order, obstacles: Obstacles::default() }
    }

    pub(super) fn shape(&self, tensor: Tensor) -> Shape {
        self.builder.shape(tensor.layer)
    }

    /// `(channels, height, width)`; features are channels of one cell.
    pub(super) fn sizes(&self, tensor: Tensor) -> [usize; 3] {
        match self.shape(tensor) {
            Shape::Features(n) => [n, 1, 1],
            Shape::Maps { channels, height, width } => [channels, height, width],
        }
    }

    /// Adds a layer whose shape follows.
    pub(super) fn add(
        &mut self,
        name: &str,
        kind: &str,
        operation: Operation,
        inputs: &[Tensor],
    ) -> Result<LayerId, ImportError> {
        let name = self.builder.free_name(name);
        let inputs: Vec<LayerId> = inputs.iter().map(|input| input.layer).collect();
        Ok(self.builder.add(name, kind, operation, &inputs)?)
    }

    /// Adds a layer of this shape.
    pub(super) fn add_shaped(
        &mut self,
        name: &str,
        kind: &str,
        operation: Operation,
        input: Tensor,
        shape: Shape,
    ) -> Result<LayerId, ImportError> {
        let name = self.builder.free_name(name);
        Ok(self.builder.add_shaped(name, kind, operation, &[input.layer], shape)?)
    }

    /// This array with its axes read in another order: what Keras calls rows may become channels.
    pub(super) fn read_as(&mut self, tensor: Tensor, order: AxisOrder) -> Result<Tensor, ImportError> {
        let target = tensor.layout.with(order);
        if target == tensor.layout {
            return Ok(tensor);
        }
        let mut axes = [0, 1, 2];
        target.axes().iter().zip(tensor.layout.axes()).for_each(|(&to, &from)| axes[to] = from);
        self.permute(tensor, "permute", axes, target)
    }

    /// Exchanges axes; what undoes an earlier exchange takes that away instead.
    pub(super) fn permute(
        &mut self,
        tensor: Tensor,
        name: &str,
        axes: [usize; 3],
        layout: Layout,
    ) -> Result<Tensor, ImportError> {
        let earlier = &self.builder.layers()[tensor.layer];
        let (source, axes) = match earlier.operation {
            Operation::Permute { axes: before } => (earlier.inputs[0], axes.map(|axis| before[axis])),
            _ => (tensor.layer, axes),
        };
        if axes == [0, 1, 2] {
            return Ok(Tensor { layer: source, layout });
        }
        let layer = self.add(name, "Permute", Operation::Permute { axes }, &[Tensor { layer: source, ..tensor }])?;
        Ok(Tensor { layer, layout })
    }

    /// The array read so that this axis (counted from 1) holds the channels.
    pub(super) fn channels_at(
        &mut self,
        tensor: Tensor,
        axis: usize,
        options: &Options,
    ) -> Result<Tensor, ImportError> {
        let rank = tensor.layout.rank();
        match axis {
            _ if rank == 1 => Ok(tensor),
            axis if axis == rank => self.read_as(tensor, AxisOrder::ChannelsLast),
            1 => self.read_as(tensor, AxisOrder::ChannelsFirst),
            axis => Err(options.misfit(format!("expected the first or last axis as the channels, found axis {axis}"))),
        }
    }

    /// Takes a layer that is refused, so that the obstacles behind it are found, too.
    pub(super) fn refuse(
        &mut self,
        layer: (&str, &str),
        input: Tensor,
        problem: ImportError,
    ) -> Result<Tensor, ImportError> {
        Ok(Tensor { layer: self.obstacles.replace(&mut self.builder, layer, input.layer, problem)?, ..input })
    }

    /// The graph that ends in `output`; what does not lead there is left out.
    pub(super) fn finish(self, output: Tensor) -> Result<Graph, ImportError> {
        if !self.obstacles.is_empty() {
            return Err(self.obstacles.refusal(self.builder, output.layer));
        }
        Ok(self.builder.finish_at(output.layer)?)
    }
}
