//! Ticks in words.

use super::Outcome;
use crate::cli::tables::engineering;
use megasim::hardware::Duration;

/// Ticks as time, where somebody said how long one is.
pub fn time(ticks: f64, tick: Option<Duration>) -> String {
    match tick {
        Some(tick) => engineering(ticks * tick.seconds(), "s"),
        None if ticks.fract() == 0.0 => format!("{ticks:.0}"),
        None => format!("{ticks:.2}"),
    }
}

pub fn tick(outcome: &Outcome<'_>) -> Option<Duration> {
    outcome.found.mapped.resolved.tick
}
