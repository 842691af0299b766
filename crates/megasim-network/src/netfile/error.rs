//! What can be wrong with netfiles, and where.

use std::fmt;
use std::io;
use std::ops::Range;
use std::path::PathBuf;

/// Why netfiles cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system did not give the bytes.
    #[error("{}: cannot be read: {source}", path.display())]
    Read {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The path is there, but is not what it should be.
    #[error("{}: expected {expected}, found {found}", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
        /// What should be there.
        expected: &'static str,
        /// What is there.
        found: &'static str,
    },
    /// The text of a file breaks a rule of `docs/netfiles.md`.
    #[error("{}:{fault}", path.display())]
    Text {
        /// The file.
        path: PathBuf,
        /// What and where.
        fault: Box<TextError>,
    },
    /// The equations of a neuron are wrong.
    #[error(transparent)]
    Neuron(Box<crate::source_error::TextError>),
    /// The file system did not take the bytes.
    #[error("{}: cannot be written: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The place of the files cannot be written to.
    #[error(transparent)]
    #[cfg(feature = "files")]
    Target(#[from] crate::atomic_write::Error),
    /// A network cannot be written under these file names.
    #[error("file name {name:?}: expected {expected}")]
    FileName {
        /// The name.
        name: String,
        /// What it should be.
        expected: &'static str,
    },
}

/// A rule broken by the text of one file.
///
/// ```
/// let error = megasim_network::netfile::parse_state(b".integers\ntime_busy_initial 1.5\n.floats\n").unwrap_err();
/// assert_eq!(error.line, 2);
/// assert_eq!(error.to_string(), "2: expected an integer after `time_busy_initial`, found `1.5`");
/// assert_eq!(error.text, "time_busy_initial 1.5");
/// assert_eq!(&error.text[error.span.clone()], "1.5");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{line}: expected {expected}, found {found}")]
pub struct TextError {
    /// Line, from 1.
    pub line: usize,
    /// Column in bytes, from 1.
    pub column: usize,
    /// The line; of a long one the part around the column, control characters replaced.
    pub text: String,
    /// The bytes of `text` that are at fault.
    pub span: Range<usize>,
    /// What the rule asks for.
    pub expected: String,
    /// What the file has.
    pub found: String,
}

/// Something that can be meant, but perhaps was not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// The file.
    pub path: PathBuf,
    /// Line, from 1.
    pub line: usize,
    /// What is odd.
    pub kind: WarningKind,
}

/// The oddities that a reader takes with a warning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WarningKind {
    /// A module reads a node that nothing drives: it has no index and no event file.
    Undriven {
        /// The node.
        node: String,
    },
    /// More input names than `n_in_ports`; on the last ones only resets and controls act.
    ExtraInputs {
        /// Input ports of the module.
        ports: usize,
        /// The names beyond them.
        names: Vec<String>,
    },
    /// `n_out_ports` is not the number of output names, which is what counts.
    OutputPorts {
        /// What the parameter file says.
        announced: u32,
        /// Output names in the schematic.
        names: usize,
    },
    /// The events of a stimulus were out of time order and have been sorted; the line is the first that was too late.
    Sorted,
    /// A stimulus has request or acknowledge times, which only an event file has; they are ignored.
    Handshake,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: ", self.path.display(), self.line)?;
        self.kind.fmt(f)
    }
}

impl fmt::Display for WarningKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Undriven { node } => write!(f, "node {{{node}}} is read but never driven: no event arrives"),
            Self::ExtraInputs { ports, names } => {
                let names = names.join(",");
                write!(f, "input names beyond n_in_ports ({ports}): on {{{names}}} only resets and controls act")
            }
            Self::OutputPorts { announced, names } => {
                write!(f, "n_out_ports is {announced}, but the schematic has {names} output names, which count")
            }
            Self::Sorted => write!(f, "events out of time order were sorted"),
            Self::Handshake => write!(f, "t_rqst and t_ack of a stimulus are ignored; expected -1"),
        }
    }
}

/// A broken rule while the text is at hand: a byte range instead of a line, so that lines are counted only for an
/// error.
#[derive(Debug)]
pub(super) struct ParseError {
    pub at: usize,
    pub end: usize,
    pub expected: String,
    pub found: String,
}

/// Bytes of a long line that are shown before and after the column at fault.
const CONTEXT: usize = 60;

impl ParseError {
    /// Finds the line.
    pub fn locate(self, text: &[u8]) -> TextError {
        let at = self.at.min(text.len());
        let start = text[..at].iter().rposition(|&byte| byte == b'\n').map_or(0, |newline| newline + 1);
        let end = text[at..].iter().position(|&byte| byte == b'\n').map_or(text.len(), |newline| at + newline);
        let (from, to) = (start.max(at.saturating_sub(CONTEXT)), end.min(at.saturating_add(CONTEXT)));
        let ellipsis = |cut: bool| if cut { "…" } else { "" };
        let before = format!("{}{}", ellipsis(from > start), printable(&text[from..at]));
        let faulty = printable(&text[at..self.end.clamp(at, to)]);
        let after = format!("{}{}", printable(&text[self.end.clamp(at, to)..to]), ellipsis(to < end));
        TextError {
            line: 1 + text[..start].iter().filter(|&&byte| byte == b'\n').count(),
            column: 1 + at - start,
            span: before.len()..before.len() + faulty.len(),
            text: (before + &faulty + &after).trim_end().to_string(),
            expected: self.expected,
            found: self.found,
        }
        .clamped()
    }
}

impl TextError {
    /// A span within a text from which blanks at the end were cut.
    fn clamped(mut self) -> Self {
        let length = self.text.len();
        self.span = self.span.start.min(length)..self.span.end.min(length);
        self
    }
}

/// Bytes of a file as text that a terminal may show.
fn printable(bytes: &[u8]) -> String {
    let shown = |c: char| match c {
        '\t' => ' ',
        '\r' => ' ',
        c if c.is_control() => char::REPLACEMENT_CHARACTER,
        c => c,
    };
    String::from_utf8_lossy(bytes).chars().map(shown).collect()
}

/// A token of a file between quotes, cut where it is long.
pub(super) fn quoted(token: &[u8]) -> String {
    const LONGEST: usize = 40;
    match token.get(..LONGEST) {
        Some(head) if token.len() > LONGEST => format!("`{}…`", printable(head)),
        _ => format!("`{}`", printable(token)),
    }
}
