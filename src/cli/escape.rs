//! What goes to a terminal: names and contents of files may hold control characters, which would act there.

use megasim::study::display::{acts, plain};
use miette::{Diagnostic, LabeledSpan, Report, Severity, SourceCode};
use std::borrow::Cow;
use std::fmt;

/// Text whose control characters, but line ends and tabulators, are written as `\u{1b}`.
pub fn text(text: &str) -> Cow<'_, str> {
    plain(text)
}

/// A line of a source with `?` for each byte of a control character, so that places in it stay.
pub fn line(text: &str) -> String {
    text.chars().map(|c| if acts(c) { "?".repeat(c.len_utf8()) } else { c.to_string() }).collect()
}

/// A report with all of its text escaped; its source lines are by [`line`].
#[derive(Debug)]
pub struct Escaped {
    report: Report,
    message: String,
}

impl Escaped {
    /// Wraps a report; the causes of its error go into the message.
    pub fn new(report: Report) -> Self {
        let causes: Vec<String> = report.chain().map(|cause| text(&cause.to_string()).into_owned()).collect();
        Self { report, message: causes.join(": ") }
    }
}

impl fmt::Display for Escaped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Escaped {}

impl Diagnostic for Escaped {
    fn severity(&self) -> Option<Severity> {
        self.report.severity()
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.report.help().map(|help| Box::new(text(&help.to_string()).into_owned()) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.report.source_code()
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let labels = self.report.labels()?;
        Some(Box::new(labels.map(|label| {
            let message = label.label().map(|label| text(label).into_owned());
            LabeledSpan::new_with_span(message, *label.inner())
        })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_written_out() {
        assert_eq!(text("a\tb\n"), "a\tb\n");
        assert_eq!(text("\u{1b}[31m\r\u{9b}\u{202e}é"), "\\u{1b}[31m\\u{d}\\u{9b}\\u{202e}é");
        assert_eq!(line("a\u{1b}\u{9b}\u{202e}b"), "a??????b");
    }
}
