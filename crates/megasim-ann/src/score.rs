//! How good the outputs of a network are on labelled samples: accuracy, the right class among the first k, precision
//! and recall.

use super::forward;
use ndarray::{ArrayView1, ArrayView2};
use serde::Serialize;

/// What became of one class.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct ClassScore {
    /// Samples of the class.
    pub samples: usize,
    /// Samples that the network takes for it.
    pub taken: usize,
    /// Those that are both.
    pub right: usize,
}

impl ClassScore {
    /// Share of right ones among those taken for the class; none where none was.
    pub fn precision(&self) -> Option<f64> {
        share(self.right, self.taken)
    }

    /// Share of the class that is found; none where it has no samples.
    pub fn recall(&self) -> Option<f64> {
        share(self.right, self.samples)
    }
}

fn share(part: usize, of: usize) -> Option<f64> {
    (of > 0).then(|| part as f64 / of as f64)
}

/// How far outputs of a regression are from their targets.
///
/// ```
/// use megasim_ann::score::Errors;
/// use ndarray::array;
/// let errors = Errors::new(array![[1.0], [3.0]].view(), array![[2.0], [4.0]].view());
/// assert_eq!((errors.mean_absolute, errors.root_mean_squared, errors.r2), (1.0, 1.0, Some(0.0)));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Errors {
    /// Mean of the absolute differences.
    pub mean_absolute: f64,
    /// Root of the mean of the squared differences.
    pub root_mean_squared: f64,
    /// Share of the variance of the targets that the outputs explain, over all outputs; none where targets are all the
    /// same.
    pub r2: Option<f64>,
}

impl Errors {
    /// Of outputs and targets, both `(samples, outputs)`, at least one sample.
    ///
    /// # Panics
    /// If their shapes differ.
    pub fn new(outputs: ArrayView2<f32>, targets: ArrayView2<f32>) -> Self {
        assert_eq!(outputs.dim(), targets.dim(), "a target for each output");
        let n = outputs.len().max(1) as f64;
        let differences =
            || outputs.iter().zip(&targets).map(|(output, target)| f64::from(*output) - f64::from(*target));
        let squares: f64 = differences().map(|it| it * it).sum();
        let spread: f64 = targets
            .columns()
            .into_iter()
            .map(|column| {
                let mean = column.iter().map(|&it| f64::from(it)).sum::<f64>() / column.len().max(1) as f64;
                column.iter().map(|&it| (f64::from(it) - mean).powi(2)).sum::<f64>()
            })
            .sum();
        Self {
            mean_absolute: differences().map(f64::abs).sum::<f64>() / n,
            root_mean_squared: (squares / n).sqrt(),
            r2: (spread > 0.0).then(|| 1.0 - squares / spread),
        }
    }
}

/// Outputs compared with labels.
///
/// ```
/// use megasim_ann::score::Score;
/// use ndarray::array;
/// let outputs = array![[0.1, 0.7, 0.2], [0.5, 0.1, 0.4], [0.6, 0.3, 0.1]];
/// let score = Score::new(outputs.view(), &[1, 2, 0]);
/// assert_eq!((score.top(1), score.top(2), score.samples()), (2, 3, 3));
/// assert_eq!(score.classes()[0].precision(), Some(0.5));
/// assert_eq!(score.classes()[2].precision(), None);
/// assert_eq!(score.classes()[2].recall(), Some(0.0));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Score {
    /// How many classes come before the right one, sample by sample.
    before: Vec<usize>,
    classes: Vec<ClassScore>,
}

impl Score {
    /// `outputs` are `(samples, classes)`, with a label below `classes` for each sample. Of equal outputs the first
    /// class comes first.
    ///
    /// # Panics
    /// If a label is no class.
    pub fn new(outputs: ArrayView2<f32>, labels: &[usize]) -> Self {
        let before = outputs.rows().into_iter().zip(labels).map(|(row, &label)| before(row, label)).collect();
        let mut classes = vec![ClassScore::default(); outputs.ncols()];
        for (found, &label) in forward::classes(outputs).into_iter().zip(labels) {
            classes[label].samples += 1;
            classes[found].taken += 1;
            classes[label].right += usize::from(found == label);
        }
        Self { before, classes }
    }

    /// Samples.
    pub fn samples(&self) -> usize {
        self.before.len()
    }

    /// Samples whose right class is among the first `k`.
    pub fn top(&self, k: usize) -> usize {
        self.before.iter().filter(|&&before| before < k).count()
    }

    /// Share of samples whose right class comes first.
    pub fn accuracy(&self) -> f64 {
        share(self.top(1), self.samples()).unwrap_or(0.0)
    }

    /// Class by class.
    pub fn classes(&self) -> &[ClassScore] {
        &self.classes
    }
}

/// How many outputs are larger than that of a class, or as large and come before it. What is no number is below all.
fn before(row: ArrayView1<f32>, class: usize) -> usize {
    let key = |k: usize| if row[k].is_nan() { f32::NEG_INFINITY } else { row[k] };
    let own = key(class);
    (0..row.len()).filter(|&k| key(k) > own || (key(k) == own && k < class)).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array2, array};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_first_of_the_ranking_is_the_class(
            outputs in prop::collection::vec(prop::sample::select(vec![-1.0f32, 0.0, 0.5, 2.0]), 12),
            labels in prop::collection::vec(0usize..4, 3),
        ) {
            let outputs = Array2::from_shape_vec((3, 4), outputs).unwrap();
            let score = Score::new(outputs.view(), &labels);
            let right = forward::classes(outputs.view()).iter().zip(&labels).filter(|(a, b)| a == b).count();
            prop_assert_eq!(score.top(1), right);
            prop_assert_eq!(score.top(4), 3);
            prop_assert!(score.top(2) >= score.top(1) && score.top(3) >= score.top(2));
            prop_assert_eq!(score.classes().iter().map(|class| class.right).sum::<usize>(), right);
            prop_assert_eq!(score.classes().iter().map(|class| class.taken).sum::<usize>(), 3);
        }
    }

    #[test]
    fn of_equal_outputs_the_first_comes_first() {
        let score = Score::new(array![[1.0, 1.0, 0.0]].view(), &[1]);
        assert_eq!((score.top(1), score.top(2)), (0, 1));
    }
}
