//! Exact percentiles of streams of any length in bounded memory.
//!
//! Positive floats are ordered as their bit patterns are. A first pass counts the upper 16 bits, a second one the lower
//! 15 bits of those few floats that share their upper bits with one of the two order statistics that the percentile
//! is between.

const LOW_BITS: u32 = 15;
const COARSE: usize = 1 << 16;
const FINE: usize = 1 << LOW_BITS;

/// First pass: counts the positive numbers of a stream, roughly sorted.
///
/// ```
/// use megasim_convert::percentile::Counts;
/// let values = [0.0, 4.0, 1.0, -3.0, 2.0, 3.0];
/// let mut counts = Counts::default();
/// counts.add(&values);
/// let mut search = counts.search(50.0).expect("some are positive");
/// search.add(&values);
/// assert_eq!(search.value(), 2.5);
/// ```
#[derive(Debug, Clone)]
pub struct Counts {
    coarse: Vec<u64>,
    total: u64,
}

impl Default for Counts {
    fn default() -> Self {
        Self { coarse: vec![0; COARSE], total: 0 }
    }
}

impl Counts {
    /// Counts the positive numbers among these; the others do not count.
    pub fn add<'a>(&mut self, values: impl IntoIterator<Item = &'a f32>) {
        for &value in values {
            if value > 0.0 {
                self.coarse[(value.to_bits() >> LOW_BITS) as usize] += 1;
                self.total += 1;
            }
        }
    }

    /// How many positive numbers there were.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Prepares the second pass for a percentile (0 to 100); none if no number was positive.
    pub fn search(&self, percentile: f64) -> Option<Search> {
        let last = self.total.checked_sub(1)?;
        let position = last as f64 * (percentile.clamp(0.0, 100.0) / 100.0);
        let low = (position.floor() as u64).min(last);
        let high = (low + 1).min(last);
        Some(Search { low: self.locate(low), high: self.locate(high), fraction: position - low as f64 })
    }

    fn locate(&self, rank: u64) -> Statistic {
        let mut before = 0;
        for (bin, &count) in self.coarse.iter().enumerate() {
            if rank < before + count {
                return Statistic { bin: bin as u32, rank: rank - before, fine: vec![0; FINE] };
            }
            before += count;
        }
        Statistic { bin: 0, rank: 0, fine: vec![0; FINE] }
    }
}

/// One order statistic: its upper bits, and its rank among the numbers that share them.
#[derive(Debug, Clone)]
struct Statistic {
    bin: u32,
    rank: u64,
    fine: Vec<u64>,
}

impl Statistic {
    fn add(&mut self, bits: u32) {
        if bits >> LOW_BITS == self.bin {
            self.fine[(bits & (FINE as u32 - 1)) as usize] += 1;
        }
    }

    fn value(&self) -> f64 {
        let mut before = 0;
        let low = self.fine.iter().position(|&count| {
            before += count;
            self.rank < before
        });
        f64::from(f32::from_bits(self.bin << LOW_BITS | low.unwrap_or(0) as u32))
    }
}

/// Second pass over the same stream.
#[derive(Debug, Clone)]
pub struct Search {
    low: Statistic,
    high: Statistic,
    fraction: f64,
}

impl Search {
    /// Takes the numbers once more.
    pub fn add<'a>(&mut self, values: impl IntoIterator<Item = &'a f32>) {
        for &value in values {
            if value > 0.0 {
                self.low.add(value.to_bits());
                self.high.add(value.to_bits());
            }
        }
    }

    /// The percentile, interpolated linearly between the two order statistics around it, as `numpy.percentile` does.
    pub fn value(&self) -> f64 {
        let (low, high) = (self.low.value(), self.high.value());
        low + (high - low) * self.fraction
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn percentile(values: &[f32], percentile: f64) -> Option<f64> {
        let mut counts = Counts::default();
        counts.add(values);
        let mut search = counts.search(percentile)?;
        search.add(values);
        Some(search.value())
    }

    /// As `numpy.percentile(values[values > 0], p)`, written down.
    fn by_sorting(values: &[f32], percentile: f64) -> Option<f64> {
        let mut positive: Vec<f64> = values.iter().filter(|&&v| v > 0.0).map(|&v| f64::from(v)).collect();
        positive.sort_by(f64::total_cmp);
        let position = positive.len().checked_sub(1)? as f64 * (percentile / 100.0);
        let low = positive[position.floor() as usize];
        let high = positive[(position.floor() as usize + 1).min(positive.len() - 1)];
        Some(low + (high - low) * (position - position.floor()))
    }

    #[test]
    fn nothing_positive() {
        assert_eq!(percentile(&[], 99.9), None);
        assert_eq!(percentile(&[0.0, -1.0], 99.9), None);
    }

    #[test]
    fn extremes() {
        let values = [3.0, f32::MIN_POSITIVE, f32::MAX, 1e-42];
        assert_eq!(percentile(&values, 0.0), Some(f64::from(1e-42f32)));
        assert_eq!(percentile(&values, 100.0), Some(f64::from(f32::MAX)));
    }

    proptest! {
        #[test]
        fn agrees_with_sorting(values in prop::collection::vec(-1.0f32..5.0, 0..300), p in 0.0f64..=100.0) {
            prop_assert_eq!(percentile(&values, p), by_sorting(&values, p));
        }

        #[test]
        fn agrees_with_sorting_where_values_repeat(
            values in prop::collection::vec(0u8..4, 0..100), p in 0.0f64..=100.0,
        ) {
            let values: Vec<f32> = values.into_iter().map(f32::from).collect();
            prop_assert_eq!(percentile(&values, p), by_sorting(&values, p));
        }
    }
}
