//! Operators with windows: convolution, transposed convolution, pooling; and batch normalisation, which follows them.

use super::super::{ImportError, widen_to_ceil};
use super::call::Call;
use super::folding::axis_of;
use super::operators::Translation;
use super::tensor::{Place, Tensor};
use crate::graph::{Operation, Padding, Pooling, Shape};
use ndarray::{Axis, Ix1, Ix4};

impl Translation<'_, '_> {
    /// Kernel size, strides, dilation and padding over maps; of one-dimensional ones the vertical is trivial.
    fn windows(
        &mut self,
        rank: usize,
        size: Option<(usize, usize)>,
        map: (usize, usize),
    ) -> Result<Windows, ImportError> {
        let pair = |call: &mut Call,
                    name: &'static str,
                    default: Option<(usize, usize)>|
         -> Result<(usize, usize), ImportError> {
            match (call.counts(name)?.as_deref(), default) {
                (Some([horizontal]), _) if rank == 1 => Ok((1, *horizontal)),
                (Some([vertical, horizontal]), _) if rank == 2 => Ok((*vertical, *horizontal)),
                (None, Some(default)) => Ok(default),
                (found, _) => Err(call.misfit(format!("expected {rank} numbers as '{name}', found {found:?}"))),
            }
        };
        let size = pair(self.call, "kernel_shape", size)?;
        let strides = pair(self.call, "strides", Some((1, 1)))?;
        let dilation = pair(self.call, "dilations", Some((1, 1)))?;
        let mut padding = match (self.call.counts("pads")?.as_deref(), rank) {
            (None, _) => Padding::default(),
            (Some([left, right]), 1) => Padding { left: *left, right: *right, ..Padding::default() },
            (Some([top, left, bottom, right]), 2) => Padding { top: *top, bottom: *bottom, left: *left, right: *right },
            (Some(found), _) => {
                return Err(self.call.misfit(format!("expected {} numbers as 'pads', found {found:?}", 2 * rank)));
            }
        };
        let same = |n: usize, size: usize, stride: usize, dilation: usize| {
            let windows = n.div_ceil(stride.max(1));
            let extent = size.saturating_sub(1).saturating_mul(dilation).saturating_add(1);
            (windows.saturating_sub(1).saturating_mul(stride)).saturating_add(extent).saturating_sub(n)
        };
        match self.call.string_or("auto_pad", "NOTSET")? {
            "NOTSET" | "" => {}
            "VALID" => padding = Padding::default(),
            mode @ ("SAME_UPPER" | "SAME_LOWER") => {
                let (down, across) =
                    (same(map.0, size.0, strides.0, dilation.0), same(map.1, size.1, strides.1, dilation.1));
                // The odd cell goes to the end, or to the beginning.
                let first = |total: usize| if mode == "SAME_UPPER" { total / 2 } else { total.div_ceil(2) };
                padding = Padding {
                    top: first(down),
                    bottom: down - first(down),
                    left: first(across),
                    right: across - first(across),
                };
            }
            other => return Err(self.call.unsupported(format!("auto_pad '{other}' is not supported"))),
        }
        Ok(Windows { size, strides, dilation, padding })
    }

    pub(super) fn spatial(&self, maps: &Tensor) -> (usize, usize) {
        match self.network.shape(maps) {
            Shape::Maps { height, width, .. } => (height, width),
            Shape::Features(_) => (1, 1),
        }
    }

    /// Kernels with four axes.
    pub(super) fn kernels(&self, rank: usize) -> Result<ndarray::Array4<f32>, ImportError> {
        if rank == 1 { Ok(self.weights::<ndarray::Ix3>(1)?.insert_axis(Axis(2))) } else { self.weights::<Ix4>(1) }
    }

    pub(super) fn convolution(&mut self) -> Result<Tensor, ImportError> {
        let maps = self.maps(0)?;
        let rank = maps.axes.len() - 1;
        let weights = self.kernels(rank)?;
        let (_, _, height, width) = weights.dim();
        let windows = self.windows(rank, Some((height, width)), self.spatial(&maps))?;
        if windows.size != (height, width) {
            return Err(self.call.misfit(format!(
                "expected kernels of {:?}, found {:?}",
                windows.size,
                (height, width)
            )));
        }
        let groups = self.call.integer_or("group", 1)?;
        let groups =
            usize::try_from(groups).map_err(|_| self.call.misfit(format!("expected groups, found {groups}")))?;
        let bias = self.bias(2)?;
        let Windows { strides, dilation, padding, .. } = windows;
        let kind = match (rank, groups > 1 && weights.dim().1 == 1) {
            (1, false) => "Conv1D",
            (1, true) => "DepthwiseConv1D",
            (_, false) => "Conv2D",
            (_, true) => "DepthwiseConv2D",
        };
        let operation = Operation::Convolution { weights, bias, strides, padding, dilation, groups };
        self.over_maps(kind, operation, &maps, None)
    }

    pub(super) fn transposed_convolution(&mut self) -> Result<Tensor, ImportError> {
        let maps = self.maps(0)?;
        let rank = maps.axes.len() - 1;
        let weights = self.kernels(rank)?;
        let (_, per_group, height, width) = weights.dim();
        let extra = self.call.counts("output_padding")?.unwrap_or_else(|| vec![0; rank]);
        if self.call.integers("output_shape")?.is_some() {
            return Err(self.call.unsupported("attribute 'output_shape' is not supported; 'pads' are"));
        }
        if !["NOTSET", ""].contains(&self.call.string_or("auto_pad", "NOTSET")?) {
            return Err(self.call.unsupported("an auto_pad is not supported; 'pads' are"));
        }
        let map = self.spatial(&maps);
        let Windows { size, strides, dilation, padding } = self.windows(rank, Some((height, width)), map)?;
        if dilation != (1, 1) || size != (height, width) {
            return Err(self.call.unsupported("dilations other than 1 are not supported"));
        }
        let groups = usize::try_from(self.call.integer_or("group", 1)?).unwrap_or_default();
        let (down, across) = match extra[..] {
            [across] if rank == 1 => (0, across),
            [down, across] if rank == 2 => (down, across),
            _ => {
                return Err(self.call.misfit(format!("expected {rank} numbers as 'output_padding', found {extra:?}")));
            }
        };
        let along = |n: usize, size: usize, stride: usize, cut: usize, extra: usize| {
            (n - 1).checked_mul(stride)?.checked_add(size)?.checked_add(extra)?.checked_sub(cut)
        };
        let sizes = along(map.0, size.0, strides.0, padding.top.saturating_add(padding.bottom), down).zip(along(
            map.1,
            size.1,
            strides.1,
            padding.left.saturating_add(padding.right),
            across,
        ));
        let Some((height, width)) = sizes else {
            return Err(self.call.misfit("expected paddings smaller than what they are cut from"));
        };
        let shape = Shape::Maps { channels: per_group.saturating_mul(groups), height, width };
        let bias = self.bias(2)?;
        let operation = Operation::TransposedConvolution { weights, bias, strides, padding, groups };
        self.over_maps(if rank == 1 { "Conv1DTranspose" } else { "Conv2DTranspose" }, operation, &maps, Some(shape))
    }

    pub(super) fn pool(&mut self, mut pooling: Pooling) -> Result<Tensor, ImportError> {
        let maps = self.maps(0)?;
        let rank = maps.axes.len() - 1;
        let map = self.spatial(&maps);
        let Windows { size, strides, dilation, mut padding } = self.windows(rank, None, map)?;
        if dilation != (1, 1) {
            return Err(self.call.unsupported("dilations other than 1 are not supported"));
        }
        self.call.integer_or("storage_order", 0)?;
        let counts_padding = self.call.integer_or("count_include_pad", 0)? != 0;
        let is_padded = padding != Padding::default();
        let own = padding;
        if self.call.integer_or("ceil_mode", 0)? != 0 {
            widen_to_ceil(self.network.shape(&maps), size, strides, &mut padding)
                .ok_or_else(|| self.call.misfit("expected windows no larger than the map"))?;
        }
        if let Pooling::Average { count_padding } = &mut pooling {
            if counts_padding && is_padded && padding != own {
                return Err(self.call.unsupported("count_include_pad together with ceil_mode is not supported"));
            }
            // What ceil_mode adds never counts.
            *count_padding = counts_padding && is_padded;
        }
        let kind = match (pooling, rank) {
            (Pooling::Max, 1) => "MaxPooling1D",
            (Pooling::Max, _) => "MaxPooling2D",
            (_, 1) => "AveragePooling1D",
            _ => "AveragePooling2D",
        };
        self.over_maps(kind, Operation::Pool { pooling, size, strides, padding }, &maps, None)
    }

    pub(super) fn global_pool(&mut self, pooling: Pooling) -> Result<Tensor, ImportError> {
        let maps = self.maps(0)?;
        let rank = maps.axes.len();
        let kind = if matches!(pooling, Pooling::Max) { "GlobalMaxPooling2D" } else { "GlobalAveragePooling2D" };
        let layer = self.network.add(self.call.name(), kind, Operation::GlobalPool { pooling }, &maps)?;
        let mut output = Tensor::new(layer, self.network.builder.shape(layer));
        output.axes.resize(rank, Place { size: 1, axis: None });
        Ok(output)
    }

    /// A mean over all spatial axes is a global pooling.
    pub(super) fn reduce_mean(&mut self) -> Result<Tensor, ImportError> {
        let rank = self.tensor(0)?.axes.len() + 1;
        let input = self.constant(1).cloned();
        let axes = self.call.axes(input.as_ref())?.unwrap_or_default();
        let keeps = self.call.integer_or("keepdims", 1)? != 0;
        self.call.integer_or("noop_with_empty_axes", 0)?;
        let mut sorted: Vec<Option<usize>> = axes.iter().map(|&axis| axis_of(axis, rank)).collect();
        sorted.sort_unstable();
        if rank < 3 || !sorted.iter().copied().eq((2..rank).map(Some)) {
            return Err(self.call.misfit(format!("expected a mean over all spatial axes, found axes {axes:?}")));
        }
        let mut output = self.global_pool(Pooling::Average { count_padding: false })?;
        if !keeps {
            output.axes.truncate(1);
        }
        Ok(output)
    }

    pub(super) fn batch_normalization(&mut self) -> Result<Tensor, ImportError> {
        let input = self.tensor(0)?;
        let input = if input.axes.len() == 1 {
            self.network.as_vector(&input, &format!("{}_flatten", self.call.name()))?
        } else {
            self.maps(0)?
        };
        let [gamma, beta, mean, variance] = [1, 2, 3, 4].map(|place| self.weights::<Ix1>(place));
        let epsilon = self.call.number_or("epsilon", 1e-5);
        self.call.number_or("momentum", 0.9);
        self.call.integer_or("is_test", 1)?;
        if self.call.integer_or("training_mode", 0)? != 0 || self.call.integer_or("spatial", 1)? != 1 {
            return Err(self.call.unsupported("a training mode or statistics of each cell are not supported"));
        }
        let operation =
            Operation::BatchNormalization { gamma: gamma?, beta: beta?, mean: mean?, variance: variance?, epsilon };
        self.like("BatchNormalization", operation, &input)
    }
}

struct Windows {
    size: (usize, usize),
    strides: (usize, usize),
    dilation: (usize, usize),
    padding: Padding,
}
