//! Progress, warnings and cancellation of long work, and the sharing of its samples.

use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Receives progress and warnings of long work, and may cancel it.
///
/// `()` ignores progress and never cancels. Calls come from any thread.
///
/// ```
/// use megasim_network::Control;
/// use std::sync::atomic::{AtomicUsize, Ordering};
///
/// /// Cancels after a number of samples.
/// struct First { done: AtomicUsize, most: usize }
///
/// impl Control for First {
///     fn done(&self, n: usize) {
///         self.done.fetch_add(n, Ordering::Relaxed);
///     }
///     fn is_cancelled(&self) -> bool {
///         self.done.load(Ordering::Relaxed) >= self.most
///     }
/// }
///
/// let control = First { done: AtomicUsize::new(0), most: 10 };
/// control.done(10);
/// assert!(control.is_cancelled());
/// assert!(!().is_cancelled());
/// ```
pub trait Control: Sync {
    /// A part of the work starts: its name, and how many units it has.
    fn start(&self, _part: &str, _units: usize) {}

    /// `n` more units are done.
    fn done(&self, _n: usize) {}

    /// Something will not do well, in a sentence that says what helps.
    fn warn(&self, _message: &str) {}

    /// Whether to end before the work is complete. It is asked before each unit; what is complete until then is the
    /// result.
    fn is_cancelled(&self) -> bool {
        false
    }

    /// Who runs which samples, and where their outcomes are kept; none where all run here and are not kept.
    fn outcomes(&self) -> Option<&dyn Outcomes> {
        None
    }

    /// The name of what is done, for [`Outcomes`]: it distinguishes stages of one name in different parts.
    fn part(&self) -> String {
        String::new()
    }
}

impl Control for () {}

/// Outcomes of samples that ran together.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// Numbers of the samples, with what came out of each.
    pub samples: Vec<(usize, Vec<u8>)>,
    /// What came out of all of them together; empty where no sample ran.
    pub together: Vec<u8>,
    /// Samples that failed.
    pub failed: Vec<usize>,
}

/// Shares the samples of a study among processes, keeps their outcomes, and takes those that are kept already.
///
/// A study is a fold over outcomes of samples; who made them does not matter.
pub trait Outcomes: Sync {
    /// Has the samples of a stage run: by `here`, which takes some of them and may be called from several threads, or
    /// by others. Gives all outcomes that are known in the end, in any order, each sample once.
    fn run(&self, stage: &str, samples: Range<usize>, here: &(dyn Fn(&[usize]) -> Block + Sync)) -> Vec<Block>;

    /// Whether only some of the samples will be known, so that there is no result of all.
    fn is_partial(&self) -> bool {
        false
    }

    /// Whether all processes must come to the same stages in the same order, so that no two stages may run at a time.
    fn in_order(&self) -> bool {
        false
    }

    /// Takes note of an outcome that cannot be read. It is run again.
    fn damaged(&self, _stage: &str, _sample: usize) {}
}

/// A named part of the work, as a point of a sweep: [`Control::part`] has its name.
#[derive(Clone, Copy)]
pub struct Part<'a> {
    /// Of the whole work.
    pub control: &'a dyn Control,
    /// Its name.
    pub name: &'a str,
}

impl Control for Part<'_> {
    fn start(&self, part: &str, units: usize) {
        self.control.start(part, units);
    }

    fn done(&self, n: usize) {
        self.control.done(n);
    }

    fn warn(&self, message: &str) {
        self.control.warn(message);
    }

    fn is_cancelled(&self) -> bool {
        self.control.is_cancelled()
    }

    fn outcomes(&self) -> Option<&dyn Outcomes> {
        self.control.outcomes()
    }

    fn part(&self) -> String {
        format!("{}{}, ", self.control.part(), self.name)
    }
}

/// Passes cancellation on, and no progress: for work that is counted elsewhere.
#[derive(Clone, Copy)]
pub struct Uncounted<'a>(pub &'a dyn Control);

impl Control for Uncounted<'_> {
    fn warn(&self, message: &str) {
        self.0.warn(message);
    }

    fn is_cancelled(&self) -> bool {
        self.0.is_cancelled()
    }

    fn outcomes(&self) -> Option<&dyn Outcomes> {
        self.0.outcomes()
    }

    fn part(&self) -> String {
        self.0.part()
    }
}
