//! How long work takes, from measured events: least squares with intervals by the bootstrap, held against events that
//! were left out.

use megasim_core::network::Tick;
use ordered_float::OrderedFloat;
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

/// How long work takes, in ticks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Work {
    /// Of an event.
    pub delay_to_process: Tick,
    /// Of an operation.
    pub time_per_operation: Tick,
    /// Of an output.
    pub time_per_output: Tick,
    /// 95 % intervals of these three, in their order.
    pub intervals: [(Tick, Tick); 3],
    /// How well they say what they were fitted to.
    pub fitted: Agreement,
    /// How well they say the events that were held out; none where there are too few.
    pub held_out: Option<Agreement>,
}

/// How well a fit says how long measured events took.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Agreement {
    /// How many events.
    pub events: usize,
    /// Root of the mean squared difference, in ticks.
    pub residual: f64,
    /// The part of the variance that is explained (R squared); none where all took as long.
    pub r_squared: Option<f64>,
}

/// Duration, 1, operations and outputs of an event.
pub(super) type Row = [Tick; 4];

/// One of this many rows is held out.
const HELD_OUT_OF: usize = 5;
/// Rows from which on some are held out.
const ENOUGH: usize = 10;
/// Draws of the bootstrap.
const DRAWS: usize = 400;
/// Groups of rows that it draws from.
const GROUPS: usize = 200;

/// Least squares of the first column over the others; none without rows.
pub(super) fn fit(rows: &[Row]) -> Option<Work> {
    let is_held_out = |k: usize| rows.len() >= ENOUGH && k % HELD_OUT_OF == HELD_OUT_OF - 1;
    let mut groups = vec![Moments::default(); rows.len().min(GROUPS)];
    let mut held_out = Moments::default();
    let mut number = 0;
    for (k, row) in rows.iter().enumerate() {
        if is_held_out(k) {
            held_out.add(row);
        } else {
            let group = number % groups.len();
            groups[group].add(row);
            number += 1;
        }
    }
    groups.retain(|group| group.rows() > 0);
    let all = Moments::sum(&groups);
    let parts = all.solve()?.map(|part| part.round());
    let mut draws = bootstrap(&groups);
    let interval = |k: usize| {
        draws.sort_by_key(|draw| OrderedFloat(draw[k]));
        let at = |share: f64| draws[((draws.len() - 1) as f64 * share).round() as usize][k];
        if draws.is_empty() {
            (parts[k] as Tick, parts[k] as Tick)
        } else {
            ((at(0.025) + 1e-6).floor() as Tick, (at(0.975) - 1e-6).ceil() as Tick)
        }
    };
    let intervals = [0, 1, 2].map(interval);
    Some(Work {
        delay_to_process: parts[0] as Tick,
        time_per_operation: parts[1] as Tick,
        time_per_output: parts[2] as Tick,
        intervals,
        fitted: all.agreement(parts),
        held_out: (held_out.rows() > 0).then(|| held_out.agreement(parts)),
    })
}

/// Fits to groups of rows that are drawn with replacement.
fn bootstrap(groups: &[Moments]) -> Vec<[f64; 3]> {
    let mut random = ChaCha8Rng::seed_from_u64(0);
    let mut draw = || {
        let drawn = (0..groups.len()).map(|_| groups[random.random_range(0..groups.len())]);
        Moments::sum(&drawn.collect::<Vec<_>>()).solve()
    };
    (0..DRAWS).filter_map(|_| draw()).collect()
}

/// Sums of products of the columns of rows; exact, as all are whole numbers.
#[derive(Debug, Clone, Copy, Default)]
struct Moments([[i128; 4]; 4]);

impl Moments {
    fn add(&mut self, row: &Row) {
        for (sums, &a) in self.0.iter_mut().zip(row) {
            for (sum, &b) in sums.iter_mut().zip(row) {
                *sum += i128::from(a) * i128::from(b);
            }
        }
    }

    fn sum(of: &[Self]) -> Self {
        let mut sum = Self::default();
        for moments in of {
            sum.0.iter_mut().flatten().zip(moments.0.iter().flatten()).for_each(|(sum, one)| *sum += one);
        }
        sum
    }

    /// The column of ones.
    fn rows(&self) -> usize {
        usize::try_from(self.0[1][1]).unwrap_or(0)
    }

    /// The best of all subsets of parts that are not negative; a larger one only where it is clearly better.
    fn solve(&self) -> Option<[f64; 3]> {
        let mut best: Option<([f64; 3], f64)> = None;
        // The constant alone first, then with one more part, then with both, then without the constant.
        for subset in [0b001_u32, 0b011, 0b101, 0b111, 0b010, 0b100, 0b110] {
            let parts: Vec<usize> = (0..3).filter(|k| subset >> k & 1 == 1).collect();
            let Some(solution) = self.least_squares(&parts) else { continue };
            if solution.iter().any(|&part| part < -1e-9) {
                continue;
            }
            let mut whole = [0.0; 3];
            parts.iter().zip(&solution).for_each(|(&k, &part)| whole[k] = part.max(0.0));
            let residual = self.agreement(whole.map(f64::round)).residual;
            if best.is_none_or(|(_, least)| residual < 0.999 * least - 1e-9) {
                best = Some((whole, residual));
            }
        }
        best.map(|(parts, _)| parts)
    }

    /// Solves the normal equations by elimination; none where columns say the same.
    fn least_squares(&self, parts: &[usize]) -> Option<Vec<f64>> {
        let n = parts.len();
        let sum = |a: usize, b: usize| self.0[a][b] as f64;
        let mut matrix: Vec<Vec<f64>> =
            parts.iter().map(|&a| parts.iter().map(|&b| sum(a + 1, b + 1)).chain([sum(a + 1, 0)]).collect()).collect();
        for k in 0..n {
            let pivot = (k..n).max_by_key(|&row| OrderedFloat(matrix[row][k].abs()))?;
            matrix.swap(k, pivot);
            if matrix[k][k].abs() <= 1e-9 * sum(parts[k] + 1, parts[k] + 1).max(1.0) {
                return None;
            }
            let pivot = matrix[k].clone();
            for (i, row) in matrix.iter_mut().enumerate() {
                if i != k {
                    let factor = row[k] / pivot[k];
                    row.iter_mut().zip(&pivot).for_each(|(value, pivot)| *value -= factor * pivot);
                }
            }
        }
        Some((0..n).map(|k| matrix[k][n] / matrix[k][k]).collect())
    }

    /// How well whole parts say the first column.
    fn agreement(&self, parts: [f64; 3]) -> Agreement {
        let [a, b, c] = parts.map(|part| part as i128);
        let weights = [1, -a, -b, -c];
        let mut squares = 0_i128;
        for (sums, u) in self.0.iter().zip(weights) {
            for (sum, v) in sums.iter().zip(weights) {
                squares = squares.saturating_add(sum.saturating_mul(u * v));
            }
        }
        let (n, events) = (self.0[1][1], self.rows());
        // n times the sum of squared differences from the mean.
        let spread = self.0[0][0].saturating_mul(n).saturating_sub(self.0[0][1].saturating_mul(self.0[0][1]));
        let r_squared = (spread > 0).then(|| 1.0 - squares as f64 * n as f64 / spread as f64);
        Agreement { events, residual: (squares.max(0) as f64 / events.max(1) as f64).sqrt(), r_squared }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_distinguished_where_they_vary() {
        let rows: Vec<Row> = (0..30)
            .map(|k| {
                let (operations, outputs) = (k % 7, k % 3);
                [16 + 4 * operations + 30 * outputs, 1, operations, outputs]
            })
            .collect();
        let work = fit(&rows).unwrap();
        assert_eq!((work.delay_to_process, work.time_per_operation, work.time_per_output), (16, 4, 30));
        assert_eq!(work.intervals, [(16, 16), (4, 4), (30, 30)]);
        assert_eq!((work.fitted.events, work.fitted.residual, work.fitted.r_squared), (24, 0.0, Some(1.0)));
        let held_out = work.held_out.unwrap();
        assert_eq!((held_out.events, held_out.residual, held_out.r_squared), (6, 0.0, Some(1.0)));
        // What never varies cannot be distinguished from a constant.
        let rows: Vec<Row> = (0..9).map(|_| [40, 1, 6, 0]).collect();
        let work = fit(&rows).unwrap();
        assert_eq!((work.delay_to_process, work.time_per_operation, work.time_per_output), (40, 0, 0));
        assert_eq!((work.fitted.r_squared, work.held_out), (None, None));
    }

    /// Events that take 160 ticks, 40 an operation, 300 an output, and up to 60 more or less, drawn evenly.
    fn noisy(seed: u64, n: usize) -> Vec<Row> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut row = || {
            let (operations, outputs) = (random.random_range(0..12), random.random_range(0..3));
            [160 + 40 * operations + 300 * outputs + random.random_range(-60..=60), 1, operations, outputs]
        };
        (0..n).map(|_| row()).collect()
    }

    #[test]
    fn intervals_of_noisy_logs_hold_what_is_true() {
        const LOGS: u64 = 200;
        let truth = [160, 40, 300];
        let mut held = [0; 3];
        for seed in 0..LOGS {
            let work = fit(&noisy(seed, 100)).unwrap();
            for (k, (low, high)) in work.intervals.into_iter().enumerate() {
                held[k] += u64::from((low..=high).contains(&truth[k]));
            }
        }
        // 95 % of 200 are 190, with a standard error of 3.1; ends at whole ticks are a little wide, 80 rows for three
        // parts a little few.
        assert!(held.iter().all(|held| (178..=200).contains(held)), "{held:?}");
        // Noise that is drawn evenly from 121 values has a standard deviation of 34.9; the rest varies with 40 * 3.45
        // and 300 * 0.816, which is 281: R squared is 0.985.
        let work = fit(&noisy(1, 5000)).unwrap();
        for agreement in [work.fitted, work.held_out.unwrap()] {
            assert!((agreement.residual - 34.9).abs() < 1.5, "{agreement:?}");
            assert!((agreement.r_squared.unwrap() - 0.985).abs() < 0.003, "{agreement:?}");
        }
        // Four times the events, half the interval.
        let width = |n: usize| {
            let (low, high) = fit(&noisy(2, n)).unwrap().intervals[2];
            high - low
        };
        let (few, many) = (width(400), width(6400));
        assert!(few > 2 * many && many > 0, "{few} {many}");
    }

    #[test]
    fn a_law_that_does_not_hold_is_seen_in_what_was_held_out() {
        // Work that grows with the square of the operations: no straight line says it.
        let rows: Vec<Row> = noisy(3, 500).into_iter().map(|[_, one, n, m]| [160 + 40 * n * n, one, n, m]).collect();
        let work = fit(&rows).unwrap();
        // The largest difference of n * n from a line over 0 to 11 is tens of operations: 40 ticks each.
        let held_out = work.held_out.unwrap();
        assert!(held_out.residual > 300.0 && held_out.r_squared.unwrap() < 0.96, "{work:?}");
    }
}
