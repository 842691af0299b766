//! Library errors as a person sees them: the message, and under it the source line with the place.

use super::escape;
use megasim::encode::registry;
use megasim::source_error::TextError;
use megasim::{hardware, netfile};
use miette::{Diagnostic, LabeledSpan, MietteDiagnostic, NamedSource, Report};
use std::error::Error;
use std::io;
use std::ops::Range;
use std::path::Path;

/// The report of any error of the library; its message has the cause.
pub fn report(error: impl Error) -> Report {
    of(&error)
}

// Compiled once, not for each kind of error.
fn of(error: &dyn Error) -> Report {
    Report::new(Reported { message: error.to_string(), system: system(error) })
}

/// The message of an error, and what the system said, where the error comes from there.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
struct Reported {
    message: String,
    system: Option<io::ErrorKind>,
}

impl Diagnostic for Reported {}

fn system(error: &dyn Error) -> Option<io::ErrorKind> {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return Some(error.kind());
        }
        cause = error.source();
    }
    None
}

/// The report of a file that an option names and the system does not read.
pub fn unreadable(path: &Path, error: &io::Error) -> Report {
    let why = match error.kind() {
        io::ErrorKind::NotADirectory if path.is_file() => "expected a directory, found a file".into(),
        io::ErrorKind::IsADirectory if path.is_dir() && error.raw_os_error().is_some() => {
            "expected a file, found a directory".into()
        }
        _ => format!("cannot be read: {error}"),
    };
    Report::new(Reported { message: format!("{}: {why}", path.display()), system: Some(error.kind()) })
}

/// What the system said, where a reported error comes from there.
pub fn system_of(report: &Report) -> Option<io::ErrorKind> {
    report.downcast_ref::<Reported>()?.system
}

/// The report of a fault in netfiles, with the line at fault.
pub fn netfile(error: &netfile::Error) -> Report {
    match error {
        netfile::Error::Text { path, fault } if !fault.text.is_empty() => {
            let label = format!("expected {}", fault.expected);
            at_line(error.to_string(), path, (fault.line, &fault.text, &fault.span), label)
        }
        netfile::Error::Neuron(fault) => located(fault),
        _ => report(error),
    }
}

/// The report of a fault in a hardware file, with the line at fault.
pub fn hardware(error: &hardware::Error) -> Report {
    match error {
        hardware::Error::Text(fault) => located(fault),
        _ => report(error),
    }
}

/// The report of a fault in a file of a code, with the line at fault.
pub fn code(error: &registry::Error) -> Report {
    match error {
        registry::Error::Text(fault) => located(fault),
        _ => report(error),
    }
}

/// The report of a fault with its place, with the line at fault.
pub fn located(fault: &TextError) -> Report {
    if fault.text.is_empty() {
        return report(fault);
    }
    let label = fault.hint.clone().unwrap_or_else(|| "here".into());
    at_line(fault.to_string(), &fault.path, (fault.line, &fault.text, &fault.span), label)
}

/// A message with one line of a file under it: its number, its text, the place in it.
fn at_line(message: String, path: &Path, (line, text, span): (usize, &str, &Range<usize>), label: String) -> Report {
    // Empty lines stand for those before, so that the line shows its number.
    let before = line - 1;
    let label = LabeledSpan::new_with_span(Some(label), span.start + before..span.end + before);
    let source = "\n".repeat(before) + &escape::line(text);
    Report::new(MietteDiagnostic::new(message).with_label(label))
        .with_source_code(NamedSource::new(escape::text(&path.display().to_string()), source))
}
