//! Progress bars, drawn on a terminal's stderr only; Ctrl-C cancels the work that they show. With the variable
//! `MEGASIM_PROGRESS=json` lines of JSON take their place, for a program that started this one.

use super::output::message;
use super::{interrupt, output, sharing};
use indicatif::{ProgressBar, ProgressStyle};
use megasim::Control;
use megasim::control::Outcomes;
use serde_json::json;
use std::borrow::Cow;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

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
    said: Mutex<Option<Said>>,
}

/// How far the work is, as it was last said.
struct Said {
    part: String,
    done: usize,
    of: usize,
    at: Instant,
}

/// The variable by which a program that started this one asks for lines of JSON.
const PROGRESS: &str = "MEGASIM_PROGRESS";

/// How often it is said.
const PAUSE: Duration = Duration::from_millis(200);

impl Said {
    fn say(&mut self) {
        let Self { part, done, of, .. } = self;
        message(format_args!("{}", json!({ "progress": { "part": part, "done": done, "of": of } })));
        self.at = Instant::now();
    }
}

/// Whether a program wants to know how far the work is.
fn is_asked() -> bool {
    std::env::var_os(PROGRESS).is_some_and(|how| how == "json")
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
        if is_asked() {
            let mut said = Said { part: part.into(), done: 0, of: units, at: Instant::now() };
            said.say();
            *self.said.lock().unwrap_or_else(PoisonError::into_inner) = Some(said);
        }
    }

    fn done(&self, n: usize) {
        self.bar.lock().unwrap_or_else(PoisonError::into_inner).iter().for_each(|bar| bar.inc(n as u64));
        if let Some(said) = &mut *self.said.lock().unwrap_or_else(PoisonError::into_inner) {
            said.done += n;
            if said.at.elapsed() >= PAUSE {
                said.say();
            }
        }
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
