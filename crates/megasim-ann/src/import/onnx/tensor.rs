//! What flows between ONNX nodes, and the graph under construction.
//!
//! ONNX does not say what an axis means, so a [`Tensor`] notes for each of its axes which it is of `(channels,
//! height, width)` of the layer that holds the numbers. A transpose then only reorders the notes; it becomes a layer
//! where an operation needs other channels than there are.

use crate::graph::{AxisOrder, GraphBuilder, GraphError, LayerId, Operation, Shape};

/// The output of a layer, as ONNX sees it. The batch axis is left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tensor {
    pub(super) layer: LayerId,
    pub(super) axes: Vec<Place>,
}

/// One axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) size: usize,
    /// Which of `(channels, height, width)` it is; an axis of one cell may be none of them.
    pub(super) axis: Option<usize>,
}

impl Tensor {
    /// A layer with its axes in their own order.
    pub(super) fn new(layer: LayerId, shape: Shape) -> Self {
        let sizes = sizes(shape);
        let rank = if matches!(shape, Shape::Features(_)) { 1 } else { 3 };
        Self { layer, axes: (0..rank).map(|axis| Place { size: sizes[axis], axis: Some(axis) }).collect() }
    }

    /// `(channels, width)` of a layer of height 1.
    pub(super) fn sequence(layer: LayerId, shape: Shape) -> Self {
        let mut tensor = Self::new(layer, shape);
        tensor.axes.remove(1);
        tensor
    }

    pub(super) fn dimensions(&self) -> Vec<usize> {
        self.axes.iter().map(|place| place.size).collect()
    }
}

fn sizes(shape: Shape) -> [usize; 3] {
    match shape {
        Shape::Features(n) => [n, 1, 1],
        Shape::Maps { channels, height, width } => [channels, height, width],
    }
}

/// The numbers of a tensor under more axes than three, as between the two reshapes of a channel shuffle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Folded {
    pub(super) source: Tensor,
    /// Sizes under which the numbers are read, last axis fastest.
    pub(super) sizes: Vec<usize>,
    /// Axis `k` is axis `axes[k]` of those.
    pub(super) axes: Vec<usize>,
}

impl Folded {
    pub(super) fn dimensions(&self) -> Vec<usize> {
        self.axes.iter().map(|&axis| self.sizes[axis]).collect()
    }
}

/// The graph under construction.
pub(super) struct Network {
    pub(super) builder: GraphBuilder,
    /// Whether the file fixes the number of samples at 1, so that its axis may be anywhere.
    pub(super) single_sample: bool,
}

impl Network {
    pub(super) fn shape(&self, tensor: &Tensor) -> Shape {
        self.builder.shape(tensor.layer)
    }

    /// Adds a layer whose shape follows.
    pub(super) fn add(
        &mut self,
        name: &str,
        kind: &str,
        operation: Operation,
        input: &Tensor,
    ) -> Result<LayerId, GraphError> {
        self.builder.add(self.builder.free_name(name), kind, operation, &[input.layer])
    }

    /// Adds a layer of this shape.
    pub(super) fn add_shaped(
        &mut self,
        name: &str,
        kind: &str,
        operation: Operation,
        input: &Tensor,
        shape: Shape,
    ) -> Result<LayerId, GraphError> {
        self.builder.add_shaped(self.builder.free_name(name), kind, operation, &[input.layer], shape)
    }

    /// Its numbers as maps whose channels are the first axis, rows the second, columns the third; of two axes the
    /// second is the columns.
    pub(super) fn as_maps(&mut self, tensor: &Tensor, name: &str) -> Result<Option<Tensor>, GraphError> {
        let targets: &[usize] = match tensor.axes.len() {
            1 => &[0],
            2 => &[0, 2],
            3 => &[0, 1, 2],
            _ => return Ok(None),
        };
        let mut tensor = tensor.clone();
        if let Shape::Features(channels) = self.shape(&tensor) {
            let shape = Shape::Maps { channels, height: 1, width: 1 };
            let operation = Operation::Reshape { order: AxisOrder::ChannelsFirst };
            tensor.layer = self.add_shaped(&format!("{name}_reshape"), "Reshape", operation, &tensor, shape)?;
        }
        // Where each wanted axis comes from; what is left goes to axes of one cell.
        let mut from = [None; 3];
        tensor.axes.iter().zip(targets).for_each(|(place, &target)| from[target] = place.axis);
        let mut rest = (0..3).filter(|axis| !from.contains(&Some(*axis))).collect::<Vec<_>>().into_iter();
        let axes = from.map(|axis| axis.or_else(|| rest.next()).unwrap_or_default());
        if axes != [0, 1, 2] {
            tensor.layer = self.add(&format!("{name}_permute"), "Permute", Operation::Permute { axes }, &tensor)?;
        }
        tensor.axes.iter_mut().zip(targets).for_each(|(place, &target)| place.axis = Some(target));
        Ok(Some(tensor))
    }

    /// Its numbers as a vector, in the order of the axes.
    pub(super) fn as_vector(&mut self, tensor: &Tensor, name: &str) -> Result<Tensor, GraphError> {
        let shape = self.shape(tensor);
        if matches!(shape, Shape::Features(_)) {
            return Ok(Tensor::new(tensor.layer, shape));
        }
        let order: Vec<usize> =
            tensor.axes.iter().filter(|place| place.size > 1).filter_map(|place| place.axis).collect();
        let in_order = |all: [usize; 3]| {
            let sizes = sizes(shape);
            all.into_iter().filter(|&axis| sizes[axis] > 1).eq(order.iter().copied())
        };
        let (layer, order) = if in_order([0, 1, 2]) {
            (tensor.layer, AxisOrder::ChannelsFirst)
        } else if in_order([1, 2, 0]) {
            (tensor.layer, AxisOrder::ChannelsLast)
        } else {
            let mut axes = order.clone();
            axes.extend((0..3).filter(|axis| !order.contains(axis)));
            let operation = Operation::Permute { axes: [axes[0], axes[1], axes[2]] };
            (self.add(&format!("{name}_permute"), "Permute", operation, tensor)?, AxisOrder::ChannelsFirst)
        };
        let source = Tensor { layer, axes: Vec::new() };
        let layer = self.add(name, "Flatten", Operation::Flatten { order }, &source)?;
        Ok(Tensor::new(layer, self.builder.shape(layer)))
    }

    /// Its numbers, in their order, under other axes.
    pub(super) fn reshape(
        &mut self,
        tensor: &Tensor,
        dimensions: &[usize],
        name: &str,
    ) -> Result<Option<Tensor>, GraphError> {
        let long = |sizes: &[usize]| sizes.iter().copied().filter(|&size| size > 1).collect::<Vec<_>>();
        if long(&tensor.dimensions()) == long(dimensions) {
            // Only axes of one cell come or go.
            let mut old = tensor.axes.iter().filter(|place| place.size > 1);
            let axes = dimensions.iter().map(|&size| match size {
                1 => Place { size, axis: None },
                size => Place { size, axis: old.next().and_then(|place| place.axis) },
            });
            return Ok(Some(Tensor { layer: tensor.layer, axes: axes.collect() }));
        }
        let (shape, rank) = match *dimensions {
            [n] => (Shape::Features(n), 1),
            [channels, width] => (Shape::Maps { channels, height: 1, width }, 2),
            [channels, height, width] => (Shape::Maps { channels, height, width }, 3),
            _ => return Ok(None),
        };
        if rank == 1 {
            return self.as_vector(tensor, name).map(Some);
        }
        let vector = match self.shape(tensor) {
            Shape::Features(_) => tensor.clone(),
            _ => self.as_vector(tensor, &format!("{name}_flatten"))?,
        };
        let operation = Operation::Reshape { order: AxisOrder::ChannelsFirst };
        let layer = self.add_shaped(name, "Reshape", operation, &vector, shape)?;
        Ok(Some(if rank == 2 { Tensor::sequence(layer, shape) } else { Tensor::new(layer, shape) }))
    }
}
