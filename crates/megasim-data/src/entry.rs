//! Where a picture of a data set lies.

use super::Error;
use std::path::PathBuf;

/// Which part of the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Set {
    Train,
    Test,
}

/// Where a picture lies.
#[derive(Debug)]
pub(super) enum Entry {
    File { class: usize, path: PathBuf },
    Record { path: PathBuf, number: u64 },
}

impl Entry {
    /// A fault of this picture.
    pub(super) fn unusable(&self, message: String) -> Error {
        let (path, place) = match self {
            Self::File { path, .. } => (path, "picture".into()),
            Self::Record { path, number } => (path, format!("record {number}")),
        };
        Error::Unusable { path: path.clone(), place, message }
    }
}
