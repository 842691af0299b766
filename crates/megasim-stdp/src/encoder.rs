//! From image to spike wave, by a description: filters, then latencies.

use super::description::{Description, InhibitionFactors, Input, OneOrEach, wrong};
use super::{
    Error, Filter, FilterKernel, Intensity2Latency, LateralIntensityInhibition, Padding, Pooling, Shape, SpikeWave,
    local_normalization, pad, pointwise_inhibition,
};
use ndarray::{Array2, ArrayView2};

/// From image to spike wave, by a description.
#[derive(Debug, Clone)]
pub struct Encoder {
    input: Input,
    filter: Option<Filter>,
    padding: usize,
    pooling: Option<Pooling>,
    local_normalization: Option<usize>,
    lateral_inhibition: Option<LateralIntensityInhibition>,
    latency: Intensity2Latency,
    pointwise_inhibition: bool,
    shape: Shape,
}

fn inhibition(factors: &InhibitionFactors) -> Result<LateralIntensityInhibition, Error> {
    match factors {
        InhibitionFactors::ByDistance(percents) => LateralIntensityInhibition::new(percents),
        InhibitionFactors::Kernel(rows) => {
            let columns = rows.first().map_or(0, Vec::len);
            let values = rows.iter().flatten().map(|&factor| factor as f32).collect();
            let kernel = Array2::from_shape_vec((rows.len(), columns), values);
            let kernel = kernel.map_err(|_| Error::Shape {
                what: "lateral inhibition",
                expected: format!("rows of {columns} factors"),
                found: "rows of other lengths".into(),
            })?;
            LateralIntensityInhibition::from_kernel(kernel)
        }
    }
}

impl Encoder {
    /// # Errors
    /// Kernels, thresholds or windows that do not fit.
    pub fn new(description: &Description) -> Result<Self, Error> {
        let Description { input, encoding, .. } = description;
        let place = |error: Error| wrong("[encoding]", error.to_string());
        let image = Shape::new(1, input.height, input.width).map_err(|error| wrong("[input]", error.to_string()))?;
        for kernel in &encoding.kernels {
            let (size, positive) = match kernel {
                FilterKernel::DoG(kernel) => (kernel.window_size, [kernel.sigma1, kernel.sigma2]),
                FilterKernel::Gabor(kernel) => (kernel.window_size, [kernel.div, 1.0]),
                FilterKernel::Values(rows) => {
                    let is_square = rows.iter().all(|row| row.len() == rows.len());
                    if !is_square || rows.is_empty() || !rows.iter().flatten().all(|value| value.is_finite()) {
                        let message = "kernels: expected values as rows of a square of finite numbers";
                        return Err(wrong("[encoding]", message));
                    }
                    (rows.len(), [1.0, 1.0])
                }
            };
            if size == 0 || size > 4096 || !positive.iter().all(|value| value.is_finite() && *value > 0.0) {
                return Err(wrong(
                    "[encoding]",
                    format!(
                        "kernels: expected window_size 1 to 4096 and positive sigma1, sigma2, div, found {kernel:?}"
                    ),
                ));
            }
        }
        let filter = if encoding.kernels.is_empty() {
            None
        } else {
            let filter =
                Filter::new(&encoding.kernels).map_err(place)?.padding(encoding.padding).use_abs(encoding.use_abs);
            Some(match &encoding.thresholds {
                None => filter,
                Some(OneOrEach::One(threshold)) => filter.threshold(*threshold),
                Some(OneOrEach::Each(thresholds)) => filter.thresholds(thresholds).map_err(place)?,
            })
        };
        if filter.is_none() && (encoding.thresholds.is_some() || encoding.use_abs) {
            return Err(wrong("[encoding]", "thresholds and use_abs need kernels"));
        }
        let (maps, (height, width)) = match &filter {
            Some(filter) => (filter.maps(), filter.output_size(input.height, input.width).map_err(place)?),
            None => (1, (image.height() + 2 * encoding.padding, image.width() + 2 * encoding.padding)),
        };
        let mut shape = Shape::new(maps, height, width).map_err(place)?;
        if let Some(pooling) = encoding.pooling {
            shape = pooling.output_shape(shape).map_err(place)?;
        }
        let lateral_inhibition = encoding.lateral_inhibition.as_ref().map(inhibition).transpose().map_err(place)?;
        Ok(Self {
            input: input.clone(),
            filter,
            padding: encoding.padding,
            pooling: encoding.pooling,
            local_normalization: encoding.local_normalization,
            lateral_inhibition,
            latency: encoding.time_steps.into(),
            pointwise_inhibition: encoding.pointwise_inhibition,
            shape,
        })
    }

    /// Size of its waves.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// The kernels as stimuli, each in the middle of the largest window, then pooling.
    pub(super) fn preferred_stimuli(&self) -> Result<super::DeepFeature, Error> {
        let mut feature = super::DeepFeature::pixel();
        if let Some(filter) = &self.filter {
            feature = feature.convolution(filter.kernel_stack().view(), 1.into())?;
        }
        if let Some(pooling) = &self.pooling {
            feature = feature.pooling(pooling);
        }
        Ok(feature)
    }

    /// Encodes an image of pixels between 0 and 1, axes (row, column). A blank image is a silent wave; one with fewer
    /// responses than bins has one spike a bin.
    ///
    /// # Errors
    /// [`Error::Shape`] for an image of another size, [`Error::NotFinite`] for NaN and infinite pixels.
    pub fn encode(&self, image: ArrayView2<f32>) -> Result<SpikeWave, Error> {
        let expected = (self.input.height, self.input.width);
        if image.dim() != expected {
            return Err(Error::Shape {
                what: "image",
                expected: format!("{}x{}", expected.0, expected.1),
                found: format!("{}x{}", image.nrows(), image.ncols()),
            });
        }
        if let Some(((row, column), &found)) = image.indexed_iter().find(|(_, pixel)| !pixel.is_finite()) {
            return Err(Error::NotFinite { map: 0, row, column, found });
        }
        let image = image.mapv(|pixel| pixel * self.input.scale);
        let mut intensities = match &self.filter {
            Some(filter) => filter.apply(image.view())?,
            None => {
                let side = self.padding;
                pad(image.insert_axis(ndarray::Axis(0)).view(), Padding::from((side, side, side, side)), 0.0)
            }
        };
        if let Some(pooling) = self.pooling {
            intensities = pooling.maximum(intensities.view())?;
        }
        if let Some(radius) = self.local_normalization {
            intensities = local_normalization(intensities.view(), radius, 1e-12);
        }
        if let Some(inhibition) = &self.lateral_inhibition {
            intensities = inhibition.apply(intensities.view());
        }
        let wave = self.latency.transform(intensities.view())?;
        Ok(if self.pointwise_inhibition { pointwise_inhibition(&wave) } else { wave }.sign())
    }
}
