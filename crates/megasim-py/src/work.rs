//! Long work: without the interpreter's lock, with progress, warnings and Ctrl-C.

use crate::error;
use megasim::Control;
use megasim::engine::{Record, Simulation};
use megasim::network::Stimulus;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// How long between two looks for Ctrl-C and progress.
const LOOK: Duration = Duration::from_millis(50);

/// What the work reports while it runs.
#[derive(Default)]
struct Watch {
    cancelled: AtomicBool,
    done: AtomicUsize,
    part: Mutex<(String, usize)>,
    warnings: Mutex<Vec<String>>,
    is_finished: Mutex<bool>,
    finished: Condvar,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Control for Watch {
    fn start(&self, part: &str, units: usize) {
        let mut now = lock(&self.part);
        *now = (part.to_string(), units);
        self.done.store(0, Ordering::Relaxed);
    }

    fn done(&self, n: usize) {
        self.done.fetch_add(n, Ordering::Relaxed);
    }

    fn warn(&self, message: &str) {
        lock(&self.warnings).push(message.to_string());
    }

    fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }
}

/// Says that the work is over, even where it panics.
struct Finish<'w>(&'w Watch);

impl Drop for Finish<'_> {
    fn drop(&mut self) {
        *lock(&self.0.is_finished) = true;
        self.0.finished.notify_all();
    }
}

/// Runs work in its own thread while this one looks for signals and calls `progress(part, done, units)`. Warnings
/// come with the result. An exception of a signal's handler or of `progress` cancels the work and is raised.
pub fn run<T: Send>(
    py: Python<'_>,
    progress: Option<&Bound<'_, PyAny>>,
    work: impl FnOnce(&dyn Control) -> T + Send,
) -> PyResult<(T, Vec<String>)> {
    let watch = Watch::default();
    let mut raised = None;
    let result = thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let _finish = Finish(&watch);
            work(&watch)
        });
        loop {
            let is_finished = py.detach(|| {
                let finished = lock(&watch.is_finished);
                let waited = watch.finished.wait_timeout_while(finished, LOOK, |finished| !*finished);
                *waited.unwrap_or_else(PoisonError::into_inner).0
            });
            if raised.is_none() {
                if let Err(error) = look(py, progress, &watch) {
                    watch.cancelled.store(true, Ordering::Relaxed);
                    raised = Some(error);
                }
            }
            if is_finished {
                break thread.join();
            }
        }
    });
    if let Some(error) = raised {
        return Err(error);
    }
    let result = result.map_err(|_| PyRuntimeError::new_err("the work ended with a fault of the program"))?;
    Ok((result, std::mem::take(&mut *lock(&watch.warnings))))
}

/// A run that ends where the work is cancelled.
pub fn simulate(simulation: &mut Simulation<'_>, stimuli: &[Stimulus], control: &dyn Control) -> PyResult<Record> {
    let record = simulation.run_cancellable(stimuli, || control.is_cancelled()).map_err(error::value)?;
    // What raised the cancellation is raised in place of this.
    record.ok_or_else(|| error::message("the run was cancelled".into()))
}

fn look(py: Python<'_>, progress: Option<&Bound<'_, PyAny>>, watch: &Watch) -> PyResult<()> {
    py.check_signals()?;
    let Some(progress) = progress else { return Ok(()) };
    let (part, units) = lock(&watch.part).clone();
    if units > 0 {
        progress.call1((part, watch.done.load(Ordering::Relaxed).min(units), units))?;
    }
    Ok(())
}
