//! Figures of paired numbers and of right answers.

use serde::{Deserialize, Serialize};

/// Sums over pairs `(x, y)` of numbers, enough for correlation and straight line.
///
/// ```
/// use megasim_study::statistics::Pairs;
/// let mut pairs = Pairs::default();
/// for (x, y) in [(0.0, 1.0), (1.0, 3.0), (2.0, 5.0)] {
///     pairs.add(x, y);
/// }
/// assert!((pairs.correlation().unwrap() - 1.0).abs() < 1e-12);
/// assert!((pairs.slope().unwrap() - 2.0).abs() < 1e-12);
/// assert_eq!(pairs.mean_absolute_difference(), Some(2.0));
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Pairs {
    n: u64,
    x: f64,
    y: f64,
    xx: f64,
    yy: f64,
    xy: f64,
    absolute: f64,
}

impl Pairs {
    /// Adds a pair.
    #[inline]
    pub fn add(&mut self, x: f64, y: f64) {
        self.n += 1;
        self.x += x;
        self.y += y;
        self.xx += x * x;
        self.yy += y * y;
        self.xy += x * y;
        self.absolute += (x - y).abs();
    }

    /// Adds all pairs of another sum.
    pub fn merge(&mut self, other: &Self) {
        self.n += other.n;
        self.x += other.x;
        self.y += other.y;
        self.xx += other.xx;
        self.yy += other.yy;
        self.xy += other.xy;
        self.absolute += other.absolute;
    }

    /// How many pairs there are.
    pub fn len(&self) -> u64 {
        self.n
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.n == 0
    }

    /// n times the variances of x and y and their covariance; rounding never makes a variance negative, and one that is
    /// all rounding is 0.
    fn spread(&self) -> (f64, f64, f64) {
        let n = self.n as f64;
        let clean = |sum: f64, squares: f64| {
            let spread = squares - sum * sum / n;
            if spread > 1e-12 * squares { spread } else { 0.0 }
        };
        (clean(self.x, self.xx), clean(self.y, self.yy), self.xy - self.x * self.y / n)
    }

    /// Pearson's correlation; none where one side does not vary.
    pub fn correlation(&self) -> Option<f64> {
        let (xx, yy, xy) = self.spread();
        (self.n > 1 && xx > 0.0 && yy > 0.0).then(|| (xy / (xx * yy).sqrt()).clamp(-1.0, 1.0))
    }

    /// Slope of the line of least squares through the pairs, y over x; none where x does not vary.
    pub fn slope(&self) -> Option<f64> {
        let (xx, _, xy) = self.spread();
        (self.n > 1 && xx > 0.0).then(|| xy / xx)
    }

    /// Mean of |x - y|.
    pub fn mean_absolute_difference(&self) -> Option<f64> {
        (self.n > 0).then(|| self.absolute / self.n as f64)
    }

    /// The figures.
    pub fn figures(&self) -> Agreement {
        Agreement {
            correlation: self.correlation(),
            slope: self.slope(),
            mean_absolute_difference: self.mean_absolute_difference(),
        }
    }
}

/// How well two sides of paired numbers agree.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Agreement {
    /// Pearson's correlation.
    pub correlation: Option<f64>,
    /// Slope of the line of least squares.
    pub slope: Option<f64>,
    /// Mean absolute difference.
    pub mean_absolute_difference: Option<f64>,
}

/// Probability, under no difference, of pairs at least as unequal as these: `left` were right on the left side only,
/// `right` on the right side only. Two-sided.
///
/// Q. McNemar, "Note on the sampling error of the difference between correlated proportions or percentages",
/// Psychometrika 12:153 (1947), in its exact form: the sign test on the pairs that differ.
///
/// ```
/// use megasim_study::statistics::mcnemar;
/// assert_eq!(mcnemar(0, 0), 1.0);
/// // 2 * (1 + 6) / 2^6
/// assert!((mcnemar(1, 5) - 0.21875).abs() < 1e-12);
/// ```
pub fn mcnemar(left: usize, right: usize) -> f64 {
    let n = left + right;
    // Binomial terms by their logarithms, so that 2^n may be large.
    let mut log_term = -(n as f64) * std::f64::consts::LN_2;
    let mut sum = 0.0;
    for k in 0..=left.min(right) {
        sum += log_term.exp();
        log_term += ((n - k) as f64).ln() - ((k + 1) as f64).ln();
    }
    (2.0 * sum).min(1.0)
}

/// Counts of numbers between equally spaced edges.
///
/// ```
/// use megasim_study::statistics::Histogram;
/// let histogram = Histogram::of([0.0, 0.5, 0.5, 2.0], 4);
/// assert_eq!(histogram.counts, [1, 2, 0, 1]);
/// assert_eq!(histogram.edge(1), 0.5);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Histogram {
    /// The lowest edge.
    pub low: f64,
    /// The highest edge.
    pub high: f64,
    /// Numbers between neighbouring edges; the highest edge belongs to the last.
    pub counts: Vec<u64>,
}

impl Histogram {
    /// Of some numbers, from the least to the greatest, in this many intervals; what is no finite number is left out.
    pub fn of(values: impl IntoIterator<Item = f64> + Clone, intervals: usize) -> Self {
        let finite = || values.clone().into_iter().filter(|value| value.is_finite());
        let low = finite().fold(f64::INFINITY, f64::min);
        let high = finite().fold(f64::NEG_INFINITY, f64::max);
        let (low, high) = match (low <= high, low < high) {
            (false, _) => (0.0, 1.0),
            (_, false) => (low - 0.5, low + 0.5),
            _ => (low, high),
        };
        let mut counts = vec![0; intervals.max(1)];
        let last = counts.len() - 1;
        for value in finite() {
            let place = (value - low) / (high - low) * counts.len() as f64;
            counts[(place as usize).min(last)] += 1;
        }
        Self { low, high, counts }
    }

    /// The `k`-th edge, from 0.
    pub fn edge(&self, k: usize) -> f64 {
        self.low + (self.high - self.low) * k as f64 / self.counts.len() as f64
    }

    /// These numbers multiplied by a factor.
    pub fn scaled(&self, factor: f64) -> Self {
        Self { low: self.low * factor, high: self.high * factor, counts: self.counts.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_does_not_vary_has_no_correlation() {
        let mut pairs = Pairs::default();
        assert_eq!(pairs.correlation(), None);
        assert_eq!(pairs.mean_absolute_difference(), None);
        (0..100).for_each(|k| pairs.add(0.1, f64::from(k)));
        assert_eq!((pairs.correlation(), pairs.slope()), (None, None));
    }

    proptest! {
        #[test]
        fn mcnemar_is_a_probability_that_falls_with_imbalance(few in 0usize..200, more in 0usize..2000) {
            let p = mcnemar(few, few + more);
            prop_assert!((0.0..=1.0).contains(&p));
            prop_assert!(mcnemar(few, few + more + 1) <= p + 1e-12);
            prop_assert_eq!(mcnemar(few + more, few), p);
        }
    }
}
