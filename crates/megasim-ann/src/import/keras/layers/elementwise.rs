//! Layers that compute number by number: scales, shifts, functions and merges of branches.

use super::super::super::ImportError;
use super::super::tensor::Tensor;
use super::{Context, typed};
use crate::graph::{Activation, AxisOrder, Operation, Padding, Pooling};
use ndarray::{Array1, Ix1};
use serde_json::Value;

impl Context<'_, '_> {
    pub(super) fn batch_normalization(&mut self, input: Tensor) -> Result<Tensor, ImportError> {
        let axis = self.options.axis_or("axis", -1, input.layout.rank())?;
        let input = self.network.channels_at(input, axis, self.options)?;
        let [channels, ..] = self.network.sizes(input);
        let epsilon = self.options.number_or("epsilon", 1e-3)?;
        let shape = [channels];
        let mut expected: Vec<(&str, &[usize])> = Vec::new();
        let has_gamma = self.options.bool_or("scale", true)?;
        let has_beta = self.options.bool_or("center", true)?;
        if has_gamma {
            expected.push(("gamma", &shape));
        }
        if has_beta {
            expected.push(("beta", &shape));
        }
        expected.extend([("moving_mean", &shape[..]), ("moving_variance", &shape[..])]);
        let mut arrays = self.arrays(&expected)?.into_iter().map(typed::<Ix1>);
        let mut next = |present: bool, default: f32| {
            let array = if present { arrays.next() } else { None };
            array.unwrap_or_else(|| Array1::from_elem(channels, default))
        };
        let (gamma, beta, mean, variance) =
            (next(has_gamma, 1.0), next(has_beta, 0.0), next(true, 0.0), next(true, 1.0));
        self.push(Operation::BatchNormalization { gamma, beta, mean, variance, epsilon }, input, input.layout)
    }

    /// `x * scale + offset`.
    pub(super) fn rescaling(&mut self, input: Tensor) -> Result<Tensor, ImportError> {
        let [channels, ..] = self.network.sizes(input);
        let (scale, offset) = (self.options.number_or("scale", 1.0)?, self.options.number_or("offset", 0.0)?);
        let operation = Operation::scale_and_shift(channels, scale, offset);
        self.push(operation, input, input.layout)
    }

    /// Resizing that picks or averages whole cells: to the size that is there, to a multiple of it, or to a half
    /// (bilinear) or a whole part (area) of it.
    pub(super) fn resizing(&mut self, input: Tensor) -> Result<Tensor, ImportError> {
        let input = self.maps(input, 2)?;
        let [_, height, width] = self.network.sizes(input);
        let (to_height, to_width) = (self.options.count("height")?, self.options.count("width")?);
        let interpolation = self.options.string_or("interpolation", "bilinear")?;
        let crops = self.options.bool_or("crop_to_aspect_ratio", false)?;
        let pads = self.options.bool_or("pad_to_aspect_ratio", false)?;
        let smooths = self.options.bool_or("antialias", false)?;
        for key in ["fill_mode", "fill_value"] {
            self.options.take(key);
        }
        if (height, width) == (to_height, to_width) {
            return Ok(input);
        }
        let whole = |from: usize, to: usize| (to > 0 && from.is_multiple_of(to)).then(|| from / to);
        let keeps_ratio = height.checked_mul(to_width) == width.checked_mul(to_height);
        let (down, up) = (
            whole(height, to_height).zip(whole(width, to_width)),
            whole(to_height, height).zip(whole(to_width, width)),
        );
        let is_plain = !smooths && (keeps_ratio || !(crops || pads));
        match (interpolation, down, up) {
            ("nearest", _, Some(factors)) if is_plain => {
                self.push(Operation::Upsample { factors }, input, input.layout)
            }
            ("area", Some(size), _) if is_plain => self.average_of(size, input),
            // Centres of cells are between two others each.
            ("bilinear", Some(size @ (2, 2)), _) if is_plain => self.average_of(size, input),
            _ => Err(self.options.unsupported(format!(
                "resizing {height} x {width} to {to_height} x {to_width} ({interpolation}) is not supported; pictures \
                 are resized by resize = [{to_height}, {to_width}] in preprocessing.toml of the data, for a model \
                 saved without this layer"
            ))),
        }
    }

    fn average_of(&mut self, size: (usize, usize), input: Tensor) -> Result<Tensor, ImportError> {
        let (pooling, padding) = (Pooling::Average { count_padding: false }, Padding::default());
        self.push(Operation::Pool { pooling, size, strides: size, padding }, input, input.layout)
    }

    /// A function of `keras.ops`.
    pub(super) fn function(&mut self, class: &str, input: Tensor) -> Result<Tensor, ImportError> {
        let activation = match class {
            "Relu" => Activation::RELU,
            "Relu6" => Activation::Relu { negative_slope: 0.0, max: Some(6.0) },
            "Sigmoid" => Activation::Sigmoid,
            "Tanh" => Activation::Tanh,
            "Softplus" => Activation::Softplus { scale: 1.0 },
            "Softsign" => Activation::Softsign,
            "Silu" => Activation::Silu,
            "Selu" => Activation::Elu { alpha: 1.673_263_2, scale: 1.050_701 },
            "Elu" => Activation::Elu { alpha: self.options.number_or("alpha", 1.0)?, scale: 1.0 },
            "Gelu" => Activation::Gelu { tanh: self.options.bool_or("approximate", true)? },
            "HardSigmoid" => Activation::HardSigmoid { slope: 1.0 / 6.0, offset: 0.5 },
            "HardSilu" => Activation::HardSwish,
            "LeakyRelu" => {
                Activation::Relu { negative_slope: self.options.number_or("negative_slope", 0.2)?, max: None }
            }
            _ => {
                let axis = self.options.axis_or("axis", -1, input.layout.rank())?;
                let input = self.network.channels_at(input, axis, self.options)?;
                return self.push(Operation::Activation(Activation::LogSoftmax), input, input.layout);
            }
        };
        self.push(Operation::Activation(activation), input, input.layout)
    }

    /// One slope a channel where the other axes are shared, else one a number.
    pub(super) fn parametric_relu(&mut self, input: Tensor) -> Result<Tensor, ImportError> {
        let rank = input.layout.rank();
        let shared = match self.options.take("shared_axes") {
            None => Vec::new(),
            Some(axes) => {
                let axes = axes.as_array().map(|axes| axes.iter().filter_map(Value::as_u64).collect::<Vec<_>>());
                axes.ok_or_else(|| self.options.misfit("expected a list of axes as 'shared_axes'"))?
            }
        };
        let sizes = self.network.sizes(input);
        let own = input.layout.axes();
        let is_shared = |axis: usize| shared.contains(&(axis as u64 + 1));
        let shape: Vec<usize> =
            own.iter().enumerate().map(|(k, &axis)| if is_shared(k) { 1 } else { sizes[axis] }).collect();
        let slopes = self.arrays(&[("alpha", &shape)])?.remove(0);
        let spatial_shared = (0..rank).all(|k| own[k] == 0 || is_shared(k) || sizes[own[k]] == 1);
        let channel = (0..rank).find(|&k| own[k] == 0);
        let slopes = if spatial_shared && channel.is_some_and(|k| !is_shared(k)) {
            slopes.into_iter().collect()
        } else {
            let at = |c: usize, y: usize, x: usize| {
                let place = [c, y, x];
                let index: Vec<usize> = (0..rank).map(|k| if is_shared(k) { 0 } else { place[own[k]] }).collect();
                slopes[&index[..]]
            };
            let [channels, height, width] = sizes;
            let cells = (0..channels).flat_map(|c| (0..height).flat_map(move |y| (0..width).map(move |x| (c, y, x))));
            cells.map(|(c, y, x)| at(c, y, x)).collect()
        };
        self.push(Operation::ParametricRelu { slopes }, input, input.layout)
    }

    /// `(x - mean) / max(sqrt(variance), 1e-7)`.
    pub(super) fn normalization(&mut self, input: Tensor) -> Result<Tensor, ImportError> {
        if self.options.bool_or("invert", false)? {
            return Err(self.options.unsupported("an inverted normalisation is not supported"));
        }
        let rank = input.layout.rank();
        let (input, channels) = match self.options.take("axis") {
            // One mean for all numbers.
            None => (input, 1),
            Some(Value::Array(axes)) if axes.is_empty() => (input, 1),
            Some(_) => {
                let axis = self.options.axis_or("axis", -1, rank)?;
                let input = self.network.channels_at(input, axis, self.options)?;
                (input, self.network.sizes(input)[0])
            }
        };
        let given = (self.options.take("mean"), self.options.take("variance"));
        let (mean, variance) = match given {
            (Some(mean), Some(variance)) => (numbers(mean), numbers(variance)),
            _ => {
                let mut arrays = self.weights.read(self.scope, &["mean", "variance"])?.into_iter();
                let mut next = || arrays.next().map(|array| array.into_iter().collect::<Vec<f32>>());
                (next(), next())
            }
        };
        let all = self.network.sizes(input)[0];
        let spread = |values: Option<Vec<f32>>| {
            values
                .filter(|values| values.len() == channels || values.len() == 1)
                .map(|values| if values.len() == 1 { Array1::from_elem(all, values[0]) } else { values.into() })
        };
        let (Some(mean), Some(variance)) = (spread(mean), spread(variance)) else {
            return Err(self.options.misfit(format!("expected {channels} means and variances")));
        };
        let gamma = variance.mapv(|variance| 1.0 / variance.sqrt().max(1e-7));
        let (beta, variance) = (Array1::zeros(all), Array1::ones(all));
        let operation = Operation::BatchNormalization { gamma, beta, mean, variance, epsilon: 0.0 };
        self.push(operation, input, input.layout)
    }

    /// Numbers times a factor.
    pub(super) fn scaled(&mut self, input: Tensor, factor: f32) -> Result<Tensor, ImportError> {
        let [channels, ..] = self.network.sizes(input);
        let operation = Operation::scale_and_shift(channels, factor, 0.0);
        let name = format!("{}_scale", self.options.layer());
        let layer = self.network.add(&name, "BatchNormalization", operation, &[input])?;
        Ok(Tensor { layer, ..input })
    }

    /// Inputs number by number.
    pub(super) fn combine(&mut self, class: &str, inputs: &[Tensor]) -> Result<Tensor, ImportError> {
        match (class, inputs) {
            ("Subtract", &[first, second]) => {
                let second = self.scaled(second, -1.0)?;
                self.add(Operation::Add, &[first, second])
            }
            ("Subtract", _) => Err(self.options.misfit(format!("expected two inputs, found {}", inputs.len()))),
            ("Average", inputs) => {
                let sum = self.add(Operation::Add, inputs)?;
                self.scaled(sum, 1.0 / inputs.len() as f32)
            }
            ("Multiply", inputs) => self.add(Operation::Multiply, inputs),
            ("Maximum", inputs) => self.add(Operation::Maximum, inputs),
            ("Minimum", inputs) => self.add(Operation::Minimum, inputs),
            (_, inputs) => self.add(Operation::Add, inputs),
        }
    }

    pub(super) fn add(&mut self, operation: Operation, inputs: &[Tensor]) -> Result<Tensor, ImportError> {
        let order = inputs.first().and_then(|first| first.layout.order()).unwrap_or(AxisOrder::ChannelsLast);
        let inputs = inputs.iter().map(|&input| self.network.read_as(input, order)).collect::<Result<Vec<_>, _>>()?;
        self.merge(operation, &inputs)
    }

    pub(super) fn concatenate(&mut self, inputs: &[Tensor]) -> Result<Tensor, ImportError> {
        let rank = inputs.first().map_or(1, |input| input.layout.rank());
        let axis = self.options.axis_or("axis", -1, rank)?;
        let inputs: Result<Vec<_>, _> =
            inputs.iter().map(|&input| self.network.channels_at(input, axis, self.options)).collect();
        self.merge(Operation::Concatenate, &inputs?)
    }

    pub(super) fn merge(&mut self, operation: Operation, inputs: &[Tensor]) -> Result<Tensor, ImportError> {
        let Some(first) = inputs.first().filter(|first| inputs.iter().all(|input| input.layout == first.layout)) else {
            return Err(self.options.misfit("expected inputs of as many axes each"));
        };
        let layer = self.network.add(self.options.layer(), self.options.class(), operation, inputs)?;
        Ok(Tensor { layer, layout: first.layout })
    }
}

/// Numbers of an option, also in nested lists.
fn numbers(value: &Value) -> Option<Vec<f32>> {
    match value {
        Value::Array(values) => values.iter().map(numbers).collect::<Option<Vec<_>>>().map(|parts| parts.concat()),
        value => value.as_f64().map(|number| vec![number as f32]),
    }
}
