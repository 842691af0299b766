//! What is wrong in a hardware file, with its line and a hint.

use megasim_core::source_error;
pub use megasim_core::source_error::TextError;
pub(super) use megasim_core::source_error::nearest;
use std::io;
use std::ops::{Deref, Range};
use std::path::{Path, PathBuf};

/// Why a hardware file was refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be read.
    #[error("{path}: cannot be read: {source}; shipped machines are \
        {}", super::SHIPPED.map(|(name, _)| name).join(", "))]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Something in it is wrong.
    #[error(transparent)]
    Text(Box<TextError>),
    /// The network and the machine do not go together.
    #[error("{name}: {message}")]
    Misfit {
        /// The machine.
        name: String,
        /// What was expected and found.
        message: String,
    },
}

/// A text whose faults are those of a hardware file.
#[derive(Debug, Clone, Default)]
pub(super) struct Source(source_error::Source);

impl Source {
    pub fn new(path: &Path, text: &str) -> Self {
        Self(source_error::Source::new(path, text))
    }

    /// The fault at a place.
    pub fn fault(&self, span: Range<usize>, message: impl Into<String>, hint: Option<String>) -> Error {
        Error::Text(self.0.fault(span, message, hint))
    }
}

impl Deref for Source {
    type Target = source_error::Source;
    fn deref(&self) -> &source_error::Source {
        &self.0
    }
}
