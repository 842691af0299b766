//! A linear classifier on sparse binary features: a support vector machine for each class against the rest.
//!
//! The same problem as scikit-learn's `LinearSVC` (liblinear's L2-regularised squared hinge loss), solved as there by
//! dual coordinate descent: Hsieh et al. 2008, "A dual coordinate descent method for large-scale linear SVM". Features
//! of single-spike networks are sets of some hundred out of ten thousand; the work is in proportion to them.

use super::Error;
use megasim_core::parallel;
use ndarray::{Array1, Array2, Axis};
use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use rand::seq::SliceRandom;

/// Scores of classes as weighted sums of features.
///
/// ```
/// use megasim_stdp::LinearClassifier;
/// let features = [vec![0], vec![0, 1], vec![2], vec![1, 2]];
/// let classifier = LinearClassifier::train(&features, &[0, 0, 1, 1], 3, 2.4, 1)?;
/// assert_eq!(classifier.predict(&[0]), 0);
/// assert_eq!(classifier.predict(&[2]), 1);
/// # Ok::<(), megasim_stdp::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct LinearClassifier {
    /// Axes (class, feature).
    coefficients: Array2<f32>,
    intercepts: Array1<f32>,
}

impl LinearClassifier {
    /// Custom weights: axes (class, feature), and an intercept for each class.
    ///
    /// # Errors
    /// [`Error::Shape`] if there are not as many intercepts as classes, or no classes.
    pub fn new(coefficients: Array2<f32>, intercepts: Array1<f32>) -> Result<Self, Error> {
        if coefficients.nrows() != intercepts.len() || intercepts.is_empty() {
            return Err(Error::Shape {
                what: "linear classifier",
                expected: format!("{} intercepts", coefficients.nrows()),
                found: intercepts.len().to_string(),
            });
        }
        Ok(Self { coefficients, intercepts })
    }

    /// Trains on samples given as sets of the features that are 1 (the others are 0). `c` weighs the errors against the
    /// norm. The intercept is regularised as a feature that is always 1.
    ///
    /// # Errors
    /// [`Error::Shape`] for another number of labels; [`Error::Value`] for fewer than two classes or a feature of
    /// `features` or more.
    pub fn train(samples: &[Vec<u32>], labels: &[usize], features: usize, c: f64, seed: u64) -> Result<Self, Error> {
        if samples.len() != labels.len() {
            return Err(Error::Shape {
                what: "labels",
                expected: samples.len().to_string(),
                found: labels.len().to_string(),
            });
        }
        if let Some(found) = samples.iter().flatten().find(|&&feature| feature as usize >= features) {
            return Err(Error::Value {
                what: "feature".into(),
                expected: "less than the number of features",
                found: found.to_string(),
            });
        }
        let classes = labels.iter().max().map_or(0, |label| label + 1);
        if classes < 2 || labels.iter().all(|label| *label == labels[0]) {
            return Err(Error::Value {
                what: "linear classifier".into(),
                expected: "samples of at least two classes",
                found: format!("{} samples of one class", labels.len()),
            });
        }
        // Each class is a separate problem with its own generator: the number of threads changes nothing.
        let solutions: Vec<Vec<f64>> = parallel::map(0..classes, |class| {
            let mut random = ChaCha8Rng::seed_from_u64(seed);
            random.set_stream(class as u64 | 1 << 32);
            let signs: Vec<f64> = labels.iter().map(|&label| if label == class { 1.0 } else { -1.0 }).collect();
            solve(samples, &signs, features, c, &mut random)
        });
        let coefficients =
            Array2::from_shape_fn((classes, features), |(class, feature)| solutions[class][feature] as f32);
        let intercepts = solutions.iter().map(|solution| solution[features] as f32).collect();
        Ok(Self { coefficients, intercepts })
    }

    /// Axes (class, feature).
    pub fn coefficients(&self) -> &Array2<f32> {
        &self.coefficients
    }
    /// One for each class.
    pub fn intercepts(&self) -> &Array1<f32> {
        &self.intercepts
    }

    /// The class with the highest score, the lowest of equal ones. Features beyond those trained on count nothing.
    pub fn predict(&self, sample: &[u32]) -> usize {
        let score = |class: usize| {
            let row = self.coefficients.index_axis(Axis(0), class);
            let sum: f64 =
                sample.iter().filter_map(|&feature| row.get(feature as usize)).map(|&weight| f64::from(weight)).sum();
            sum + f64::from(self.intercepts[class])
        };
        let mut best = (0, score(0));
        for class in 1..self.intercepts.len() {
            let score = score(class);
            if score > best.1 {
                best = (class, score);
            }
        }
        best.0
    }
}

/// Epochs at most, and the projected gradient at which it is done: liblinear's defaults in scikit-learn.
const EPOCHS: usize = 1000;
const TOLERANCE: f64 = 1e-4;

/// `min |w|^2 / 2 + c sum max(0, 1 - y w x)^2`, by its dual. The last entry of the result is the intercept.
fn solve(samples: &[Vec<u32>], signs: &[f64], features: usize, c: f64, random: &mut ChaCha8Rng) -> Vec<f64> {
    let diagonal = 0.5 / c;
    let mut weights = vec![0.0; features + 1];
    let mut alphas = vec![0.0_f64; samples.len()];
    let mut active: Vec<usize> = (0..samples.len()).collect();
    let mut largest_before = f64::INFINITY;
    for _ in 0..EPOCHS {
        let (mut largest, mut least) = (f64::NEG_INFINITY, f64::INFINITY);
        active.shuffle(random);
        let mut kept = 0;
        for at in 0..active.len() {
            let number = active[at];
            let (sample, sign, alpha) = (&samples[number], signs[number], alphas[number]);
            let sum: f64 = sample.iter().map(|&feature| weights[feature as usize]).sum::<f64>() + weights[features];
            let gradient = sign * sum - 1.0 + diagonal * alpha;
            // A multiplier at 0 that wants to fall further is left out until the end (shrinking).
            if alpha == 0.0 && gradient > largest_before {
                continue;
            }
            let projected = if alpha == 0.0 { gradient.min(0.0) } else { gradient };
            active[kept] = number;
            kept += 1;
            largest = largest.max(projected);
            least = least.min(projected);
            if projected.abs() > 1e-12 {
                let norm = sample.len() as f64 + 1.0 + diagonal;
                let after = (alpha - gradient / norm).max(0.0);
                let step = (after - alpha) * sign;
                alphas[number] = after;
                sample.iter().for_each(|&feature| weights[feature as usize] += step);
                weights[features] += step;
            }
        }
        active.truncate(kept);
        if largest - least <= TOLERANCE {
            if active.len() == samples.len() {
                break;
            }
            active = (0..samples.len()).collect();
            largest_before = f64::INFINITY;
            continue;
        }
        largest_before = if largest > 0.0 { largest } else { f64::INFINITY };
    }
    weights
}
