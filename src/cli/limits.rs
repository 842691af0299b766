//! Where runs are stopped: the options that all commands that run networks share.

use clap::Args;
use megasim::engine::Limits;

/// Where a run that does not end by itself is stopped.
#[derive(Debug, Clone, Copy, Args)]
pub struct RunLimits {
    /// Stop a run that has more events than this, and name the nodes with most of them
    #[arg(
        long,
        value_name = "N",
        default_value_t = Limits::default().events,
        value_parser = clap::value_parser!(u64).range(1..),
    )]
    max_events: u64,
    /// Stop a run whose waiting and recorded events take more memory than this (17 and 33 bytes each), as '1500M' or
    /// '8G', in each thread
    #[arg(long, value_name = "SIZE", default_value = "1500M", value_parser = size)]
    max_memory: u64,
}

impl RunLimits {
    /// As the library takes them.
    pub fn limits(&self) -> Limits {
        Limits { events: self.max_events, memory: self.max_memory, ..Limits::default() }
    }
}

/// Bytes: a number, with k, M, G or T for powers of a thousand, and B if one likes.
fn size(text: &str) -> Result<u64, String> {
    let refuse = || format!("expected a size above 0 as 1500M or 8G (bytes, k, M, G, T), found `{text}`");
    let number = text.trim().trim_end_matches(['b', 'B']);
    let digits = number.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor = match number[digits.len()..].to_ascii_lowercase().as_str() {
        "" => 1e0,
        "k" => 1e3,
        "m" => 1e6,
        "g" => 1e9,
        "t" => 1e12,
        _ => return Err(refuse()),
    };
    let value: f64 = digits.trim().parse().map_err(|_| refuse())?;
    let bytes = (value * factor).round();
    if (1.0..1e18).contains(&bytes) { Ok(bytes as u64) } else { Err(refuse()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_bytes() {
        let sizes = ["1", "2k", "1500M", "1.5 GB", "8g", "1T"].map(size);
        let expected = [1, 2_000, 1_500_000_000, 1_500_000_000, 8_000_000_000, 1_000_000_000_000];
        assert_eq!(sizes, expected.map(Ok));
        for wrong in ["", "0", "-1", "x", "5X", "nan", "inf", "1e99"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_default_is_that_of_the_library() {
        assert_eq!(size("1500M"), Ok(Limits::default().memory));
    }
}
