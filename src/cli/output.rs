//! Standard output and standard error, whose writes may fail.

use super::{escape, program};
use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};

/// The first write to standard output that failed. What follows it is not written: it would have a gap.
static FAULT: Mutex<Option<io::Error>> = Mutex::new(None);

/// Exit status of a program that SIGPIPE ended.
const BROKEN_PIPE: u8 = 128 + 13;

/// Puts text on standard output. A fault is reported by [`finish`], so that results in files are written all the
/// same.
pub fn print(text: &str) {
    if program::is_worker() {
        return;
    }
    record(|| io::stdout().write_all(escape::text(text).as_bytes()));
}

fn record(write: impl FnOnce() -> io::Result<()>) {
    let mut fault = FAULT.lock().unwrap_or_else(PoisonError::into_inner);
    if fault.is_none() {
        *fault = write().and_then(|()| io::stdout().flush()).err();
    }
}

/// Puts a message on standard error; where that fails there is no place left to report it.
pub fn message(text: std::fmt::Arguments<'_>) {
    if program::is_worker() {
        return;
    }
    let _ = writeln!(io::stderr(), "{}", escape::text(&text.to_string()));
}

/// A warning on standard error.
pub fn warn(warning: impl std::fmt::Display) {
    message(format_args!("warning: {warning}"));
}

/// Puts a report on standard error, in colours where that is a terminal.
pub fn report(report: miette::Report) {
    let _ = writeln!(io::stderr(), "{:?}", miette::Report::new(escape::Escaped::new(report)));
}

/// What `--help`, `--version` and faults of the command line print, with clap's own exit status.
pub fn of_clap(error: &clap::Error) -> u8 {
    if program::is_worker() {
        return error.exit_code() as u8;
    }
    let text = error.render().to_string();
    if escape::text(&text) != text {
        // Without colours, where an argument has control characters.
        message(format_args!("{}", text.trim_end()));
    } else if error.use_stderr() {
        let _ = error.print();
    } else {
        record(|| error.print());
    }
    finish(error.exit_code() as u8)
}

/// The exit status: the given one, or that of a fault on standard output. A reader that closed its end is no fault
/// worth a message.
pub fn finish(status: u8) -> u8 {
    let fault = FAULT.lock().unwrap_or_else(PoisonError::into_inner);
    match &*fault {
        Some(error) if error.kind() == io::ErrorKind::BrokenPipe => {
            if status == 0 {
                BROKEN_PIPE
            } else {
                status
            }
        }
        Some(error) => {
            message(format_args!("error: standard output: cannot be written: {error}"));
            status.max(1)
        }
        None => status,
    }
}
