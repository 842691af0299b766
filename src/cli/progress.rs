//! Progress bars, drawn on a terminal's stderr only.

use indicatif::{ProgressBar, ProgressStyle};
use std::borrow::Cow;

/// A bar of so many steps.
pub fn bar(name: impl Into<Cow<'static, str>>, steps: usize) -> ProgressBar {
    let bar = ProgressBar::new(steps as u64).with_prefix(name);
    if let Ok(style) = ProgressStyle::with_template("{prefix:>12} {wide_bar} {pos}/{len} {eta}") {
        bar.set_style(style);
    }
    bar
}
