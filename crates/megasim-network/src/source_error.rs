//! Errors of a text with their place: file, line, the line itself, and a hint.

use ordered_float::OrderedFloat;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Something wrong at a place of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextError {
    /// The file, or the name of what comes with the program.
    pub path: PathBuf,
    /// Line, from 1 on.
    pub line: usize,
    /// The line itself.
    pub text: String,
    /// The place in the line, in bytes.
    pub span: Range<usize>,
    /// What was expected and found.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl fmt::Display for TextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path.display(), self.line, self.message)?;
        self.hint.as_ref().map_or(Ok(()), |hint| write!(f, "; {hint}"))
    }
}

impl std::error::Error for TextError {}

/// A text, so that errors found later can show their place in it.
#[derive(Debug, Clone, Default)]
pub struct Source {
    /// Where it was read from.
    pub path: PathBuf,
    /// Its content.
    pub text: String,
}

impl Source {
    /// A file and its content.
    pub fn new(path: &Path, text: &str) -> Self {
        Self { path: path.into(), text: text.into() }
    }

    /// The error at a place.
    pub fn fault(&self, span: Range<usize>, message: impl Into<String>, hint: Option<String>) -> Box<TextError> {
        let start = span.start.min(self.text.len());
        let before = &self.text.as_bytes()[..start];
        let line_start = before.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
        let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
        let rest = &self.text[line_start..];
        let text = rest.split('\n').next().unwrap_or_default().trim_end_matches('\r').to_string();
        let column = (start - line_start).min(text.len());
        let end = (span.end.max(start + 1) - line_start).min(text.len()).max(column);
        Box::new(TextError { path: self.path.clone(), line, text, span: column..end, message: message.into(), hint })
    }
}

/// A hint at the known word that is most like this one.
pub fn nearest<'k>(found: &str, known: impl IntoIterator<Item = &'k str>) -> Option<String> {
    let known: Vec<&str> = known.into_iter().collect();
    let near = known
        .iter()
        .map(|word| (strsim::jaro_winkler(found, word), word))
        .max_by_key(|(likeness, _)| OrderedFloat(*likeness));
    match near {
        Some((likeness, word)) if likeness > 0.75 => Some(format!("did you mean `{word}`?")),
        _ if known.is_empty() => None,
        _ => {
            let mut shown = known.iter().take(12).copied().collect::<Vec<_>>().join(", ");
            if known.len() > 12 {
                shown += ", ...";
            }
            Some(format!("there are {shown}"))
        }
    }
}
