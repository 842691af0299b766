//! Model-based normalisation: weights are scaled so that no neuron of a layer can gain more than a given number in a
//! step, without any data.
//!
//! `factor_l = s_l / max_post(sum_pre max(w, 0))`, `W_l <- factor_l * W_l`. P. U. Diehl et al., "Fast-classifying,
//! high-accuracy spiking deep networks through weight and threshold balancing", IJCNN 2015, has `s = 1`; ANNarchy's
//! converter scales with the depth, `s_l = l + 2`. Biases, which ANNarchy leaves out, are scaled by all factors up to
//! their layer, so that a layer's activations keep their proportions.

use super::normalize::{Error, Normalized};
use super::parsed::{LayerKind, ParsedModel, Role, Source, Weights};
use ndarray::{ArrayView4, Axis};
use serde::{Deserialize, Serialize};

/// What the largest gain of each layer becomes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum Schedule {
    /// 2, 3, 4, ...; pooling layers count.
    #[default]
    Depth,
    /// One for all.
    All(f64),
    /// One number per layer, pooling layers (whose number does not matter) counted.
    Layers(Vec<f64>),
}

impl Schedule {
    fn of(&self, layer: usize) -> f64 {
        match self {
            Self::Depth => (layer + 2) as f64,
            Self::All(s) => *s,
            Self::Layers(list) => list.get(layer).copied().unwrap_or(1.0),
        }
    }
}

/// `depth`, a number, or numbers with commas between.
impl std::str::FromStr for Schedule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| {
            let number: Option<f64> = text.trim().parse().ok();
            number.filter(|number| number.is_finite() && *number > 0.0).ok_or_else(|| {
                format!("expected 'depth', a number above 0, or several with commas between, found '{text}'")
            })
        };
        match text {
            "depth" => Ok(Self::Depth),
            list if list.contains(',') => list.split(',').map(number).collect::<Result<_, _>>().map(Self::Layers),
            one => number(one).map(Self::All),
        }
    }
}

/// Scales the weights of a parsed network; with `dense_only` not those of convolutions, whose layers count all the
/// same.
///
/// # Errors
/// [`Error::Scale`] where a scaled weight or bias is no finite number; [`Error::Schedule`] where a list does not have
/// one number per layer.
pub fn normalize(mut parsed: ParsedModel, schedule: &Schedule, dense_only: bool) -> Result<Normalized, Error> {
    let counts = |operation: &LayerKind| !matches!(operation, LayerKind::Flatten { .. });
    if let Schedule::Layers(list) = schedule {
        let counted = parsed.layers.iter().filter(|layer| counts(&layer.operation));
        let layers: Vec<String> = counted.map(|layer| layer.source_name.clone()).collect();
        if layers.len() != list.len() {
            return Err(Error::Schedule { layers, found: list.len() });
        }
    }
    let mut scales: Vec<f64> = Vec::with_capacity(parsed.layers.len());
    let mut silent = Vec::new();
    let mut index = 0;
    for (number, layer) in parsed.layers.iter_mut().enumerate() {
        let source = layer.sources().first().copied();
        let scale_in = |source: Source| match source {
            Source::Input => 1.0,
            Source::Layer(layer) => scales[layer],
        };
        let before = source.map_or(1.0, scale_in);
        let LayerKind::Population { connections, bias, role } = &mut layer.operation else {
            index += usize::from(counts(&layer.operation));
            scales.push(before);
            continue;
        };
        let mut gains: Vec<f64> = Vec::new();
        for connection in connections.iter() {
            let own = positive_sums(&connection.weights);
            gains.resize(gains.len().max(own.len()), 0.0);
            gains.iter_mut().zip(own).for_each(|(sum, own)| *sum += own);
        }
        let stays = dense_only && connections.iter().all(|it| !matches!(it.weights, Weights::Dense(_)));
        let largest = gains.into_iter().fold(0.0, f64::max);
        let factor = if *role == Role::Step {
            // It fires once per millisecond or not at all: its scale is 1.
            before
        } else if stays {
            1.0
        } else if largest > 0.0 {
            schedule.of(index) / largest
        } else {
            silent.push(number);
            1.0
        };
        index += 1;
        let scale = before / factor;
        let fault = || Error::Scale { layer: layer.source_name.clone(), scale };
        for connection in connections {
            // Where inputs have other scales, they are brought to that of the first.
            connection.weights.scale(factor * scale_in(connection.source) / before);
            if !connection.weights.iter().all(|weight| weight.is_finite()) {
                return Err(fault());
            }
        }
        if let Some(bias) = bias {
            bias.iter_mut().for_each(|bias| *bias = (f64::from(*bias) / scale) as f32);
            if !bias.iter().all(|bias| bias.is_finite()) {
                return Err(fault());
            }
        }
        scales.push(scale);
    }
    Ok(Normalized::new(parsed, scales, silent))
}

/// For each neuron (each map of a convolution) the sum of its positive weights.
fn positive_sums(weights: &Weights) -> Vec<f64> {
    let positive = |weight: &f32| f64::from(weight.max(0.0));
    match weights {
        Weights::Dense(weights) => {
            weights.columns().into_iter().map(|column| column.iter().map(positive).sum()).collect()
        }
        Weights::Convolution { kernels, .. } => {
            kernels.outer_iter().map(|kernel| kernel.iter().map(positive).sum()).collect()
        }
        Weights::Transposed { kernels, groups, .. } => {
            let inputs = kernels.dim().0 / groups.max(&1);
            let of_group = |group: ArrayView4<f32>| -> Vec<f64> {
                group.axis_iter(Axis(1)).map(|kernel| kernel.iter().map(positive).sum()).collect()
            };
            kernels.axis_chunks_iter(Axis(0), inputs.max(1)).flat_map(of_group).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_are_read() {
        assert_eq!("depth".parse(), Ok(Schedule::Depth));
        assert_eq!("1.5".parse(), Ok(Schedule::All(1.5)));
        assert_eq!("1, 2".parse(), Ok(Schedule::Layers(vec![1.0, 2.0])));
        assert!("0".parse::<Schedule>().is_err());
        assert_eq!([0, 1, 5].map(|layer| Schedule::Depth.of(layer)), [2.0, 3.0, 7.0]);
        assert_eq!([0, 1].map(|layer| Schedule::Layers(vec![1.0, 2.0]).of(layer)), [1.0, 2.0]);
    }
}
