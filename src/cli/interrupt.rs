//! SIGINT, SIGTERM and SIGHUP: nothing stays half-written, and a study prints what it has.

use super::output::message;
use megasim::atomic_write::end_process;
use std::sync::atomic::{AtomicBool, Ordering};

static ASKED: AtomicBool = AtomicBool::new(false);
static WATCHED: AtomicBool = AtomicBool::new(false);
static HAS_RESULTS: AtomicBool = AtomicBool::new(true);

/// From now on a signal removes temporary files before it ends the program.
pub fn install() {
    #[cfg(unix)]
    {
        use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
        let signals = [SIGHUP, SIGINT, SIGTERM].into_iter().filter(|&signal| !is_ignored(signal));
        // Without a handler a signal ends the program, and the next run removes what it left.
        let Ok(mut signals) = signal_hook::iterator::Signals::new(signals) else { return };
        std::thread::spawn(move || signals.forever().for_each(received));
    }
}

/// Whether the program that started this one had a signal ignored, as nohup does.
#[cfg(unix)]
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask >> (signal - 1) & 1 == 1
}

#[cfg(unix)]
fn received(signal: i32) {
    if WATCHED.load(Ordering::Relaxed) && !ASKED.swap(true, Ordering::Relaxed) {
        if HAS_RESULTS.load(Ordering::Relaxed) {
            message(format_args!("\nstopping; the results so far follow (Ctrl-C again: at once)"));
        }
        return;
    }
    message(format_args!("\ninterrupted; results that were not complete are removed"));
    end_process(128 + signal);
}

/// From now on the first signal only asks the work to stop; a second one ends the program.
pub fn watch() {
    WATCHED.store(true, Ordering::Relaxed);
}

/// As [`watch`], for work that ends without results.
#[cfg(feature = "serve")]
pub fn watch_for_end() {
    HAS_RESULTS.store(false, Ordering::Relaxed);
    watch();
}

/// Whether a signal asked to stop.
pub fn asked() -> bool {
    ASKED.load(Ordering::Relaxed)
}
