//! Where a picture of a data set is.

use super::Error;
use std::path::PathBuf;
use std::sync::Arc;

/// Which part of the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Set {
    Train,
    Test,
}

/// Where a picture is.
#[derive(Debug)]
pub(super) enum Entry {
    File {
        class: usize,
        path: PathBuf,
    },
    /// A record of a binary file whose labels are below `classes`.
    Record {
        path: PathBuf,
        number: u64,
        classes: usize,
    },
    /// A row of a pickle.
    Pixels {
        path: PathBuf,
        number: u64,
        class: usize,
        pixels: Arc<[u8]>,
    },
}

impl Entry {
    /// A fault of this picture.
    pub(super) fn unusable(&self, message: String) -> Error {
        let (path, place) = match self {
            Self::File { path, .. } => (path, "picture".into()),
            Self::Record { path, number, .. } | Self::Pixels { path, number, .. } => (path, format!("record {number}")),
        };
        Error::Unusable { path: path.clone(), place, message }
    }
}
