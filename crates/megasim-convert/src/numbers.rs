//! Numbers as texts, with what was expected of them as errors.

use megasim_core::encode::MOST_INPUT_RATE;

/// A number above 0.
///
/// # Errors
/// What was expected.
pub fn positive(text: &str) -> Result<f64, String> {
    number(text, "a number above 0", |value| value > 0.0)
}

/// A rate of a white pixel, in spikes per second.
///
/// # Errors
/// What was expected.
pub fn input_rate(text: &str) -> Result<f64, String> {
    let expected = format!(
        "a rate above 0, at most {MOST_INPUT_RATE}, as no input fires more than once per millisecond (more would cut \
         off bright pixels; scale the data, or show samples for a longer --duration)"
    );
    number(text, &expected, |value| value > 0.0 && value <= MOST_INPUT_RATE)
}

/// A number from 0 on.
///
/// # Errors
/// What was expected.
pub fn not_negative(text: &str) -> Result<f64, String> {
    number(text, "a number from 0 on", |value| value >= 0.0)
}

/// A percentile above 0.
///
/// # Errors
/// What was expected.
pub fn percentile(text: &str) -> Result<f64, String> {
    number(text, "a number above 0, at most 100", |value| value > 0.0 && value <= 100.0)
}

/// By how much percentiles fall from layer to layer.
///
/// # Errors
/// What was expected.
pub fn percentile_step(text: &str) -> Result<f64, String> {
    number(text, "a number from 0 to 10", |value| (0.0..=10.0).contains(&value))
}

/// A part of a whole.
///
/// # Errors
/// What was expected.
pub fn part(text: &str) -> Result<f64, String> {
    number(text, "a number from 0, below 1", |value| (0.0..1.0).contains(&value))
}

fn number(text: &str, expected: &str, is_fine: impl Fn(f64) -> bool) -> Result<f64, String> {
    let value: Option<f64> = text.parse().ok();
    value.filter(|value| value.is_finite() && is_fine(*value)).ok_or_else(|| format!("expected {expected}"))
}
