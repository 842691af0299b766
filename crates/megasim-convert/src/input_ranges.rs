//! Ranges of the features (or channels) of samples, and the scales that suit them.

use megasim_ann::graph::{Graph, Operation};
use megasim_core::encode::FeatureScales;
use ndarray::ArrayView2;

/// Values that are kept to find medians.
const KEPT: usize = 1 << 22;

/// Samples at least whose values are kept.
const FEW: usize = 16;

/// Times that one scale for all features may be as large as that of one.
const UNEVEN: f64 = 4.0;

/// Least and largest values of each feature, or of each channel of maps.
pub(super) struct Ranges {
    least: Vec<f32>,
    most: Vec<f32>,
    /// Values of the first samples, feature by feature.
    kept: Vec<Vec<f32>>,
    samples: usize,
}

impl Ranges {
    /// Of no sample yet.
    pub(super) fn new(features: usize) -> Self {
        let kept = vec![Vec::new(); features];
        Self { least: vec![f32::INFINITY; features], most: vec![f32::NEG_INFINITY; features], kept, samples: 0 }
    }

    /// Looks at samples, `(samples, numbers)`.
    pub(super) fn see(&mut self, piece: ArrayView2<f32>) {
        let cells = (piece.ncols() / self.least.len().max(1)).max(1);
        let most_kept = (KEPT / piece.ncols().max(1)).max(FEW);
        for sample in piece.rows() {
            let keeps = self.samples < most_kept;
            self.samples += 1;
            for (number, &value) in sample.iter().enumerate() {
                let feature = number / cells;
                self.least[feature] = self.least[feature].min(value);
                self.most[feature] = self.most[feature].max(value);
                if keeps {
                    self.kept[feature].push(value);
                }
            }
        }
    }

    /// Scales with which the largest distance from the offset is one spike per millisecond. Offsets are medians, from
    /// which the sum of distances, and so the number of spikes, is least; with `unsigned` they are the least values, so
    /// that no spike has a sign. None of samples that are not finite.
    pub(super) fn scales(&self, unsigned: bool) -> Option<FeatureScales> {
        let one = |feature: usize| {
            let (least, most) = (self.least[feature], self.most[feature]);
            let offset = if unsigned { least } else { median(self.kept[feature].clone()) };
            let reach = (f64::from(most) - f64::from(offset)).max(f64::from(offset) - f64::from(least));
            // A feature that is constant here may vary elsewhere.
            let scale = if reach > 0.0 { reach } else { f64::from(offset.abs()).max(1.0) };
            (scale, f64::from(offset))
        };
        let (scales, offsets) = (0..self.least.len()).map(one).unzip();
        FeatureScales::new(scales, offsets).ok()
    }
}

/// Whether one scale for all features is too coarse for some.
pub(super) fn is_uneven(features: &FeatureScales, scale: f64) -> bool {
    features.scales().iter().any(|own| own * UNEVEN < scale)
}

/// Whether samples are pooled before anything else has weights: then values below 0 cannot be shown.
pub(super) fn is_pooled(graph: &Graph) -> bool {
    let readers = graph.readers();
    let mut seen = vec![false; readers.len()];
    let mut to_see = vec![0];
    while let Some(layer) = to_see.pop() {
        match &graph.layers()[layer].operation {
            Operation::Pool { .. } | Operation::GlobalPool { .. } => return true,
            Operation::Dense { .. } | Operation::Convolution { .. } | Operation::TransposedConvolution { .. } => {
                continue;
            }
            _ if std::mem::replace(&mut seen[layer], true) => continue,
            _ => to_see.extend(&readers[layer]),
        }
    }
    false
}

fn median(mut values: Vec<f32>) -> f32 {
    if values.is_empty() {
        return 0.0;
    }
    let middle = values.len() / 2;
    *values.select_nth_unstable_by(middle, f32::total_cmp).1
}

/// The largest magnitude of some values.
pub fn largest(values: ArrayView2<f32>) -> f32 {
    values.iter().fold(0.0f32, |largest, value| largest.max(value.abs()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn scales_reach_the_values_that_are_furthest_from_the_median() {
        let mut ranges = Ranges::new(3);
        ranges.see(array![[1.0, -5.0, 7.0], [2.0, 0.0, 7.0], [10.0, 100.0, 7.0]].view());
        let found = ranges.scales(false).unwrap();
        assert_eq!((found.scales(), found.offsets()), (&[8.0, 100.0, 7.0][..], &[2.0, 0.0, 7.0][..]));
        let unsigned = ranges.scales(true).unwrap();
        assert_eq!((unsigned.scales(), unsigned.offsets()), (&[9.0, 105.0, 7.0][..], &[1.0, -5.0, 7.0][..]));
        assert!(is_uneven(&found, 100.0) && !is_uneven(&found, 20.0));
    }

    #[test]
    fn channels_of_maps_have_one_range() {
        let mut ranges = Ranges::new(2);
        ranges.see(array![[0.0, 1.0, 10.0, 30.0]].view());
        assert_eq!(ranges.scales(true).unwrap().scales(), [1.0, 20.0]);
    }
}
