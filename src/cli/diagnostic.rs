//! Library errors as a person sees them: the message, and under it the source line with the place.

use megasim::netfile;
use miette::{LabeledSpan, MietteDiagnostic, NamedSource, Report};

/// The report of any error of the library; what lies behind it is told in its message.
pub fn report(error: impl std::error::Error) -> Report {
    Report::new(MietteDiagnostic::new(error.to_string()))
}

/// The report of a fault in netfiles, with the line at fault.
pub fn netfile(error: &netfile::Error) -> Report {
    match error {
        netfile::Error::Text { path, fault } if !fault.text.is_empty() => {
            // Empty lines stand for those before, so that the line shows its number.
            let before = fault.line - 1;
            let span = fault.span.start + before..fault.span.end + before;
            let label = LabeledSpan::new_with_span(Some(format!("expected {}", fault.expected)), span);
            let source = "\n".repeat(before) + &fault.text;
            Report::new(MietteDiagnostic::new(error.to_string()).with_label(label))
                .with_source_code(NamedSource::new(path.display().to_string(), source))
        }
        _ => report(error),
    }
}
