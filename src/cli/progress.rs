//! Progress bars, drawn on a terminal's stderr only; Ctrl-C cancels the work that they show.

use super::{interrupt, output, sharing};
use indicatif::{ProgressBar, ProgressStyle};
use megasim::Control;
use megasim::control::Outcomes;
use std::borrow::Cow;
use std::sync::{Mutex, PoisonError};

/// A bar of some number of steps.
pub fn bar(name: impl Into<Cow<'static, str>>, steps: usize) -> ProgressBar {
    let bar = ProgressBar::new(steps as u64).with_prefix(name);
    if let Ok(style) = ProgressStyle::with_template("{prefix:>12} {wide_bar} {pos}/{len} {eta}") {
        bar.set_style(style);
    }
    bar
}

/// The bar of the part of the work that runs; it disappears with this value.
#[derive(Default)]
pub struct Progress {
    bar: Mutex<Option<ProgressBar>>,
    to_the_end: bool,
}

impl Progress {
    /// With a bar from the start.
    pub fn of(name: &str, steps: usize) -> Self {
        let progress = Self::default();
        progress.start(name, steps);
        progress
    }

    /// Work that Ctrl-C does not cancel.
    pub fn to_the_end(name: &str, steps: usize) -> Self {
        let mut progress = Self::of(name, steps);
        progress.to_the_end = true;
        progress
    }

    fn show(&self, next: Option<ProgressBar>) {
        // A poisoned lock is one whose holder panicked, which ends the program anyway.
        let last = std::mem::replace(&mut *self.bar.lock().unwrap_or_else(PoisonError::into_inner), next);
        last.iter().for_each(ProgressBar::finish_and_clear);
    }
}

impl Control for Progress {
    fn start(&self, part: &str, units: usize) {
        self.show(Some(bar(part.to_string(), units)));
    }

    fn done(&self, n: usize) {
        self.bar.lock().unwrap_or_else(PoisonError::into_inner).iter().for_each(|bar| bar.inc(n as u64));
    }

    fn warn(&self, message: &str) {
        output::warn(message);
    }

    fn is_cancelled(&self) -> bool {
        (!self.to_the_end && interrupt::asked()) || sharing::has_failed()
    }

    fn outcomes(&self) -> Option<&dyn Outcomes> {
        sharing::outcomes().map(|outcomes| outcomes as &dyn Outcomes)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.show(None);
    }
}
