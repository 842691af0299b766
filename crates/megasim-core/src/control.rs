//! Progress, warnings and cancellation of long work.

/// Receives progress and warnings of long work, and may cancel it.
///
/// `()` ignores progress and never cancels. Calls come from any thread.
///
/// ```
/// use megasim_core::Control;
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
}

impl Control for () {}

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
}
