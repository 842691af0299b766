//! Numbers of the command line.

pub use megasim::convert::numbers::{input_rate, not_negative, part, percentile, percentile_step, positive};

use clap::error::{ContextKind, ErrorKind};
use std::error::Error;
use std::num::{IntErrorKind, ParseFloatError, ParseIntError};

/// A fault of the command line; of an option that takes a number it says which numbers there are, where the standard
/// library's words ("invalid digit found in string") name neither that nor what was found.
pub fn explained(error: clap::Error) -> clap::Error {
    let text = |kind| error.get(kind).map(ToString::to_string);
    let (ErrorKind::ValueValidation, Some(option), Some(found)) =
        (error.kind(), text(ContextKind::InvalidArg), text(ContextKind::InvalidValue))
    else {
        return error;
    };
    let is_whole = |digits: &str| !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
    let source = error.source();
    let expected = match source.and_then(|it| it.downcast_ref::<ParseIntError>()).map(ParseIntError::kind) {
        Some(IntErrorKind::PosOverflow | IntErrorKind::NegOverflow) => "expected a whole number nearer to 0",
        Some(_) if found.strip_prefix('-').is_some_and(is_whole) => "expected a whole number from 0 on",
        Some(_) => "expected a whole number",
        None if source.is_some_and(|it| it.is::<ParseFloatError>()) => "expected a number",
        None => return error,
    };
    let message =
        format!("invalid value '{found}' for '{option}': {expected}\n\nFor more information, try '--help'.\n");
    clap::Error::raw(ErrorKind::ValueValidation, message)
}

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
