//! Operators that pick, drop and reorder channels and cells: slices, splits, gathers, paddings of channels, shuffles.

use super::super::ImportError;
use super::constants::Constant;
use super::folding::{axis_of, picked, resolve_shape};
use super::operators::{Translation, Value};
use super::tensor::{Folded, Place, Tensor};
use crate::graph::{Operation, Padding, Shape};
use ndarray::Array4;

impl Translation<'_, '_> {
    /// Parts along an axis, one after another.
    pub(super) fn split(&mut self) -> Result<Vec<Tensor>, ImportError> {
        let input = self.tensor(0)?;
        let axis = self.call.integer_or("axis", 0)?;
        let axis = self.axis_of_sample(axis, &input)?;
        let size = input.axes[axis].size;
        let sizes = match self.constant(1) {
            Some(constant) => constant.integers(),
            None => self.call.integers("split")?,
        };
        let outputs = self.call.outputs();
        self.call.integer_or("num_outputs", 0)?;
        // Without sizes: equal ones, the last may be smaller.
        let sizes = sizes.unwrap_or_else(|| {
            let part = size.div_ceil(outputs.max(1));
            (0..outputs).map(|k| part.min(size.saturating_sub(k * part)) as i64).collect()
        });
        let mut first = 0usize;
        let mut parts = Vec::new();
        for part in &sizes {
            let end = usize::try_from(*part).ok().and_then(|part| first.checked_add(part)).filter(|&end| end <= size);
            let Some(end) = end else {
                return Err(self.call.misfit(format!("expected parts of {size} in all, found {sizes:?}")));
            };
            parts.push(self.pick(&input, vec![(axis, (first..end).collect())])?);
            first = end;
        }
        Ok(parts)
    }

    pub(super) fn slice(&mut self) -> Result<Tensor, ImportError> {
        let input = self.tensor(0)?;
        let mut numbers = |place: usize, name: &'static str| -> Result<Option<Vec<i64>>, ImportError> {
            match (self.inputs.get(place), self.constant(place)) {
                (_, Some(constant)) => Ok(constant.integers()),
                (Some(Some(_)), None) => {
                    Err(self.call.misfit(format!("expected constants as '{name}', found activations")))
                }
                _ => self.call.integers(name),
            }
        };
        let (starts, ends) = (numbers(1, "starts")?.unwrap_or_default(), numbers(2, "ends")?.unwrap_or_default());
        let axes = numbers(3, "axes")?.unwrap_or_else(|| (0..starts.len() as i64).collect());
        let steps = numbers(4, "steps")?.unwrap_or_else(|| vec![1; starts.len()]);
        if ends.len() != starts.len() || axes.len() != starts.len() || steps.len() != starts.len() {
            return Err(self.call.misfit("expected as many starts as ends, axes and steps"));
        }
        let mut wanted = Vec::new();
        for (k, &axis) in axes.iter().enumerate() {
            if axis_of(axis, input.axes.len() + 1) == Some(0) {
                if starts[k] == 0 && ends[k] >= 1 && steps[k] == 1 {
                    continue;
                }
                return Err(self.call.misfit("expected a slice of each sample, found one of the samples"));
            }
            let axis = self.axis_of_sample(axis, &input)?;
            let cells = picked(starts[k], ends[k], steps[k], input.axes[axis].size);
            let cells = cells.ok_or_else(|| self.call.misfit("expected a step other than 0"))?;
            wanted.push((axis, cells));
        }
        self.pick(&input, wanted)
    }

    /// Constant places along an axis.
    pub(super) fn gather(&mut self) -> Result<Tensor, ImportError> {
        let input = self.tensor(0)?;
        let axis = self.call.integer_or("axis", 0)?;
        let axis = self.axis_of_sample(axis, &input)?;
        let size = input.axes[axis].size;
        let indices = self.constant(1).cloned();
        let cells = indices
            .as_ref()
            .and_then(Constant::integers)
            .and_then(|indices| indices.iter().map(|&index| axis_of(index, size)).collect::<Option<Vec<_>>>());
        let (Some(cells), Some(indices)) = (cells, indices) else {
            return Err(self.call.misfit(format!("expected constant indices below {size}")));
        };
        let mut output = self.pick(&input, vec![(axis, cells)])?;
        match indices.shape().len() {
            0 => {
                output.axes.remove(axis);
                Ok(output)
            }
            1 => Ok(output),
            rank => Err(self.call.misfit(format!("expected a list of indices, found {rank} axes"))),
        }
    }

    fn axis_of_sample(&self, axis: i64, input: &Tensor) -> Result<usize, ImportError> {
        let found = axis_of(axis, input.axes.len() + 1).and_then(|axis| axis.checked_sub(1));
        found.ok_or_else(|| self.call.misfit(format!("expected an axis of each sample, found {axis}")))
    }

    /// Some cells of axes.
    fn pick(&mut self, input: &Tensor, wanted: Vec<(usize, Vec<usize>)>) -> Result<Tensor, ImportError> {
        let mut output = input.clone();
        let (mut cut, mut strides) = (Padding::default(), (1, 1));
        for (axis, cells) in wanted {
            let Place { size, axis: place } = input.axes[axis];
            if cells.iter().copied().eq(0..size) {
                continue;
            }
            let (Some(&first), Some(&last)) = (cells.first(), cells.last()) else {
                return Err(self.call.misfit("expected a part that holds something, found an empty one"));
            };
            output.axes[axis].size = cells.len();
            match place {
                Some(0) => {
                    let channels = cells.into_iter().map(Some).collect();
                    output = self.like("Channels", Operation::Channels { channels }, &output)?;
                }
                Some(spatial) => {
                    let step = cells.get(1).map_or(1, |&second| second.saturating_sub(first));
                    if step == 0 || cells.windows(2).any(|pair| pair[1].checked_sub(pair[0]) != Some(step)) {
                        let message = "expected rows or columns in order, found others than each, each second, ...";
                        return Err(self.call.misfit(message));
                    }
                    if spatial == 1 {
                        (cut.top, cut.bottom, strides.0) = (first, size - 1 - last, step);
                    } else {
                        (cut.left, cut.right, strides.1) = (first, size - 1 - last, step);
                    }
                }
                None => return Err(self.call.misfit("expected cells of an axis with more than one")),
            }
        }
        if cut != Padding::default() {
            output = self.like("Cropping2D", Operation::Crop(cut), &output)?;
        }
        if strides != (1, 1) {
            // A kernel of one 1 that steps over the cells between.
            let channels = self.network.shape(&output).channels();
            let operation = Operation::Convolution {
                weights: Array4::ones((channels, 1, 1, 1)),
                bias: None,
                strides,
                padding: Padding::default(),
                dilation: (1, 1),
                groups: channels,
            };
            output = self.like("DepthwiseConv2D", operation, &output)?;
        }
        Ok(output)
    }

    /// Channels of zeros before and after the others; fewer where a number is below 0.
    pub(super) fn pad_channels(&mut self, input: Tensor, before: i64, after: i64) -> Result<Tensor, ImportError> {
        if (before, after) == (0, 0) {
            return Ok(input);
        }
        let size = input.axes[0].size;
        let part = |n: i64| usize::try_from(n.unsigned_abs()).unwrap_or(usize::MAX);
        let (cut_before, cut_after) = (part(before.min(0)), part(after.min(0)));
        let kept = size.checked_sub(cut_before).and_then(|rest| rest.checked_sub(cut_after)).filter(|&kept| kept > 0);
        let more = part(before.max(0)).checked_add(part(after.max(0))).filter(|&more| more <= 1 << 20);
        let (Some(kept), Some(_)) = (kept, more) else {
            return Err(self
                .call
                .misfit(format!("expected paddings of {size} channels in range, found {before} and {after}")));
        };
        let mut channels = vec![None; part(before.max(0))];
        channels.extend((cut_before..cut_before + kept).map(Some));
        channels.resize(channels.len() + part(after.max(0)), None);
        let mut output = input;
        output.axes[0].size = channels.len();
        self.like("Channels", Operation::Channels { channels }, &output)
    }

    /// A reshape to more axes than a layer has, a transpose of those, and a reshape that ends this; none where there
    /// is no such thing.
    pub(super) fn fold(&mut self) -> Result<Option<Value>, ImportError> {
        match self.inputs.first() {
            Some(Some(Value::Folded(folded))) => {
                let folded = folded.clone();
                if self.call.operation() == "Transpose" {
                    let axes = self.call.permutation(folded.axes.len() + 1)?;
                    if axes[0] != 0 {
                        return Err(self
                            .call
                            .misfit(format!("expected the samples to stay the first axis, found {axes:?}")));
                    }
                    let axes = axes[1..].iter().map(|&axis| folded.axes[axis - 1]).collect();
                    return Ok(Some(Value::Folded(Folded { axes, ..folded })));
                }
                let dimensions = self.target(&folded.dimensions())?;
                self.unfold(&folded, &dimensions).map(|tensor| Some(Value::Tensor(tensor)))
            }
            Some(Some(Value::Tensor(tensor))) if self.call.operation() == "Reshape" => {
                let tensor = tensor.clone();
                if self.constant(1).is_none_or(|shape| shape.shape() != [5] && shape.shape() != [6]) {
                    return Ok(None);
                }
                let sizes = self.target(&tensor.dimensions())?;
                if sizes.iter().filter(|&&size| size > 1).count() <= 3 {
                    return Ok(None);
                }
                let axes = (0..sizes.len()).collect();
                Ok(Some(Value::Folded(Folded { source: tensor, sizes, axes })))
            }
            _ => Ok(None),
        }
    }

    /// The sizes of one sample that a reshape asks for.
    fn target(&mut self, dimensions: &[usize]) -> Result<Vec<usize>, ImportError> {
        let whole = [&[1], dimensions].concat();
        let zero_stays = self.call.integer_or("allowzero", 0)? == 0;
        let target = self.constant(1).and_then(Constant::integers);
        let resolved = target.and_then(|target| resolve_shape(&target, &whole, zero_stays));
        match resolved.as_deref() {
            Some([1, sizes @ ..]) => Ok(sizes.to_vec()),
            _ => Err(self.call.misfit(format!("expected a constant shape for one sample of {dimensions:?}"))),
        }
    }

    /// The numbers under axes that a layer has: whole maps in another order where they are that.
    fn unfold(&mut self, folded: &Folded, dimensions: &[usize]) -> Result<Tensor, ImportError> {
        let source = self.network.shape(&folded.source);
        let (channels, height, width) = match source {
            Shape::Features(n) => (n, 1, 1),
            Shape::Maps { channels, height, width } => (channels, height, width),
        };
        let strides = [height * width, width, 1];
        // Where each number of the source, read along its axes, is in its layer.
        let mut read = vec![0usize];
        for place in &folded.source.axes {
            let stride = place.axis.map_or(0, |axis| strides[axis]);
            read = read.iter().flat_map(|&at| (0..place.size).map(move |k| at + k * stride)).collect();
        }
        let mut numbers = vec![0usize];
        for &axis in &folded.axes {
            let stride: usize = folded.sizes[axis + 1..].iter().product();
            numbers = numbers.iter().flat_map(|&at| (0..folded.sizes[axis]).map(move |k| at + k * stride)).collect();
        }
        let numbers: Vec<usize> = numbers.into_iter().map(|at| read[at]).collect();
        // Each way to see the axes as (channels, height, width).
        let ways: &[&[usize]] = match dimensions.len() {
            1 => &[&[0]],
            2 => &[&[0, 2], &[2, 0]],
            3 => &[&[0, 1, 2], &[1, 2, 0]],
            _ => {
                return Err(self.call.misfit(format!("expected at most three axes per sample, found {dimensions:?}")));
            }
        };
        let mut first = None;
        for places in ways {
            let mut sizes = [1; 3];
            places.iter().zip(dimensions).for_each(|(&place, &size)| sizes[place] = size);
            let steps = [sizes[1] * sizes[2], sizes[2], 1];
            let mut targets = vec![0usize];
            for (&place, &size) in places.iter().zip(dimensions) {
                targets = targets.iter().flat_map(|&at| (0..size).map(move |k| at + k * steps[place])).collect();
            }
            let mut ordered = vec![0; numbers.len()];
            targets.iter().zip(&numbers).for_each(|(&to, &from)| ordered[to] = from);
            let axes = places.iter().zip(dimensions).map(|(&axis, &size)| Place { size, axis: Some(axis) }).collect();
            let cells = height * width;
            let maps = ordered.chunks_exact(cells).map(|map| {
                let whole = map[0].is_multiple_of(cells) && map.iter().enumerate().all(|(k, &at)| at == map[0] + k);
                whole.then_some(Some(map[0] / cells))
            });
            let channels_of: Option<Vec<_>> = maps.collect();
            if let (Some(channels), true) = (channels_of, sizes == [channels, height, width]) {
                let input = Tensor { layer: folded.source.layer, axes };
                return self.like("Channels", Operation::Channels { channels }, &input);
            }
            first.get_or_insert((ordered, axes, sizes));
        }
        let Some((numbers, axes, [channels, height, width])) = first else {
            return Err(self.call.misfit("expected axes"));
        };
        let shape = match dimensions.len() {
            1 => Shape::Features(channels),
            _ => Shape::Maps { channels, height, width },
        };
        let name = self.call.name();
        let layer = self.network.add_shaped(name, "Reshape", Operation::Gather { numbers }, &folded.source, shape)?;
        Ok(Tensor { layer, axes })
    }
}
