//! Numbers of samples in their data set.

use std::sync::Arc;

/// The numbers of samples in their data set, by which random codes draw and messages name them.
///
/// ```
/// use megasim_core::encode::SampleNumbers;
///
/// assert_eq!(SampleNumbers::from(7).number(2), 9);
/// assert_eq!(SampleNumbers::listed([5, 17, 100]).number(2), 100);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SampleNumbers(Numbers);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Numbers {
    From(u64),
    Listed(Arc<[u64]>),
}

impl Default for SampleNumbers {
    fn default() -> Self {
        Self::from(0)
    }
}

impl From<u64> for SampleNumbers {
    /// Consecutive numbers.
    fn from(first: u64) -> Self {
        Self(Numbers::From(first))
    }
}

impl SampleNumbers {
    /// One number a sample.
    pub fn listed(numbers: impl Into<Arc<[u64]>>) -> Self {
        Self(Numbers::Listed(numbers.into()))
    }

    /// The number of sample `k`.
    ///
    /// # Panics
    /// If there are fewer numbers.
    pub fn number(&self, k: usize) -> u64 {
        match &self.0 {
            Numbers::From(first) => first + k as u64,
            Numbers::Listed(numbers) => numbers[k],
        }
    }

    /// Which sample has a number.
    pub fn position(&self, number: u64) -> Option<usize> {
        match &self.0 {
            Numbers::From(first) => number.checked_sub(*first).and_then(|k| usize::try_from(k).ok()),
            Numbers::Listed(numbers) => numbers.iter().position(|&it| it == number),
        }
    }
}
