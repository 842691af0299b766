//! Numbers of the command line.

pub use megasim::convert::numbers::{input_rate, not_negative, part, percentile, percentile_step, positive};

/// A count as long as a slice can be.
pub fn count(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

/// A whole number from 1 on.
///
/// # Errors
/// Anything else.
pub fn from_one<N: std::str::FromStr>(text: &str) -> Result<N, String> {
    text.parse().map_err(|_| "expected a whole number from 1 on".into())
}
