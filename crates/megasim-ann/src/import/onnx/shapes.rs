//! Operators that move values and leave them as they are: flatten, reshape, transpose, pad, resize.

use super::super::ImportError;
use super::constants::Constant;
use super::folding::{axis_of, new_shape, resolve_shape};
use super::operators::Translation;
use super::tensor::Tensor;
use crate::graph::{Operation, Padding};

impl Translation<'_, '_> {
    pub(super) fn flatten(&mut self) -> Result<Tensor, ImportError> {
        let axis = self.call.integer_or("axis", 1)?;
        let input = self.tensor(0)?;
        // A batch fixed at 1 stays the first axis where all is flattened into one row.
        let axis = if self.network.single_sample && axis == 0 { 1 } else { axis };
        if axis_of(axis, input.axes.len() + 1) != Some(1) {
            return Err(self.call.misfit(format!("expected axis 1, after the samples, found {axis}")));
        }
        let size = input.dimensions().iter().product();
        self.reshaped(&input, &[size])
    }

    pub(super) fn reshaped(&mut self, input: &Tensor, dimensions: &[usize]) -> Result<Tensor, ImportError> {
        let reshaped = self.network.reshape(input, dimensions, self.call.name())?;
        reshaped
            .ok_or_else(|| self.call.misfit(format!("expected at most three axes per sample, found {dimensions:?}")))
    }

    pub(super) fn reshape(&mut self) -> Result<Tensor, ImportError> {
        let input = self.tensor(0)?;
        let whole = [vec![1], input.dimensions()].concat();
        let target = if self.call.operation() == "Reshape" {
            let target = match self.constant(1) {
                Some(constant) => constant.integers(),
                None => self.call.integers("shape")?,
            };
            let zero_stays = self.call.integer_or("allowzero", 0)? == 0;
            let target = target.ok_or_else(|| self.call.misfit("expected a constant shape"))?;
            resolve_shape(&target, &whole, zero_stays).ok_or_else(|| {
                self.call
                    .misfit(format!("expected a shape for one sample of {:?}, found {target:?}", input.dimensions()))
            })?
        } else {
            let axes = self.constant(1).cloned();
            let axes = self.call.axes(axes.as_ref())?;
            // All axes of one cell would include the samples.
            let axes = match (axes, self.call.operation()) {
                (None, "Squeeze") => {
                    let single = whole.iter().enumerate().skip(1).filter(|(_, size)| **size == 1);
                    Some(single.map(|(axis, _)| axis as i64).collect())
                }
                (axes, _) => axes,
            };
            let target = new_shape(self.call.operation(), &whole, axes.as_deref());
            target.ok_or_else(|| self.call.misfit(format!("expected axes of {whole:?}, found {axes:?}")))?
        };
        match target.split_first() {
            Some((1, dimensions)) => self.reshaped(&input, dimensions),
            Some((_, [])) if self.network.single_sample => self.reshaped(&input, &target),
            _ => Err(self.call.misfit(format!("expected the samples to stay the first axis, found {target:?}"))),
        }
    }

    pub(super) fn transpose(&mut self) -> Result<Tensor, ImportError> {
        let input = self.tensor(0)?;
        let axes = self.call.permutation(input.axes.len() + 1)?;
        if axes[0] != 0 {
            return Err(self.call.misfit(format!("expected the samples to stay the first axis, found {axes:?}")));
        }
        Ok(Tensor { layer: input.layer, axes: axes[1..].iter().map(|&axis| input.axes[axis - 1]).collect() })
    }

    pub(super) fn pad(&mut self) -> Result<Tensor, ImportError> {
        let mode = self.call.string_or("mode", "constant")?;
        let value = self.constant(2).map(|value| value.floats().iter().any(|&value| value != 0.0)).unwrap_or(false);
        if mode != "constant" || value || self.call.number_or("value", 0.0) != 0.0 || self.is_given(3) {
            return Err(self.call.misfit("expected a padding of all axes with the constant 0"));
        }
        let pads = match self.constant(1) {
            Some(constant) => constant.integers(),
            None => self.call.integers("pads")?,
        };
        let maps = self.maps(0)?;
        let rank = maps.axes.len() + 1;
        let pads = pads.filter(|pads| pads.len() == 2 * rank);
        let pads = pads.ok_or_else(|| self.call.misfit(format!("expected {} constant paddings", 2 * rank)))?;
        if pads[0] != 0 || pads[rank] != 0 {
            return Err(self.call.misfit(format!("expected no padding of the samples, found {pads:?}")));
        }
        let maps = self.pad_channels(maps, pads[1], pads[rank + 1])?;
        let (before, after) = (&pads[2..rank], &pads[rank + 2..]);
        let ends = match (before, after) {
            ([left], [right]) => [0, 0, *left, *right],
            ([top, left], [bottom, right]) => [*top, *bottom, *left, *right],
            _ => return Err(self.call.misfit("expected one or two spatial axes")),
        };
        let part = |sign: i64| ends.map(|end| usize::try_from(end.saturating_mul(sign)).unwrap_or(0));
        let [top, bottom, left, right] = part(-1);
        let cut = Padding { top, bottom, left, right };
        let [top, bottom, left, right] = part(1);
        let padding = Padding { top, bottom, left, right };
        // A negative padding cuts.
        let mut output = maps;
        if cut != Padding::default() {
            output = self.over_maps("Cropping2D", Operation::Crop(cut), &output, None)?;
        }
        if padding != Padding::default() {
            output = self.over_maps("ZeroPadding2D", Operation::ZeroPad(padding), &output, None)?;
        }
        Ok(output)
    }

    pub(super) fn resize(&mut self) -> Result<Tensor, ImportError> {
        let maps = self.maps(0)?;
        let rank = maps.axes.len() + 1;
        let mode = self.call.string_or("mode", "nearest")?;
        // For whole factors these round alike.
        let rounding = self.call.string_or("nearest_mode", "round_prefer_floor")?;
        let transform = self.call.string_or("coordinate_transformation_mode", "half_pixel")?;
        self.call.number_or("cubic_coeff_a", 0.0);
        self.call.number_or("extrapolation_value", 0.0);
        self.call.integer_or("exclude_outside", 0)?;
        let fits = match transform {
            "asymmetric" => rounding == "floor",
            "half_pixel" | "pytorch_half_pixel" => ["round_prefer_floor", "round_prefer_ceil"].contains(&rounding),
            _ => false,
        };
        let is_upsample = self.call.operation() == "Upsample";
        if mode != "nearest" || (!fits && !is_upsample) {
            return Err(self.call.misfit(format!(
                "expected a repetition of cells (mode nearest, asymmetric and floor, or half_pixel), found {mode}, \
                    {transform}, {rounding}"
            )));
        }
        let place = if is_upsample || self.call.opset < 11 { 1 } else { 2 };
        let scales = self.constant(place).map(Constant::floats).filter(|scales| !scales.is_empty());
        let factors: Option<Vec<usize>> = match scales {
            Some(scales) => {
                let whole =
                    |&scale: &f32| (scale >= 1.0 && scale.fract() == 0.0 && scale < 1e6).then_some(scale as usize);
                scales.iter().map(whole).collect()
            }
            None => {
                let whole = [vec![1], maps.dimensions()].concat();
                let sizes = self.constant(3).and_then(Constant::integers).unwrap_or_default();
                let factor = |(&to, &from): (&i64, &usize)| {
                    usize::try_from(to).ok().filter(|to| from > 0 && to % from == 0).map(|to| to / from)
                };
                sizes.iter().zip(&whole).map(factor).collect()
            }
        };
        let factors = match factors.as_deref() {
            Some([1, 1, horizontal]) if rank == 3 => (1, *horizontal),
            Some([1, 1, vertical, horizontal]) if rank == 4 => (*vertical, *horizontal),
            _ => return Err(self.call.misfit("expected constant whole factors for the spatial axes")),
        };
        self.over_maps("UpSampling2D", Operation::Upsample { factors }, &maps, None)
    }
}
