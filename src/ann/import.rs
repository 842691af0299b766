//! Readers: one file per input library, one line each in [`READERS`].
//!
//! A reader is chosen by what the file holds, not only by its name, and gives a [`Model`]: the graph in the fixed axis order of
//! [`super::graph`], and what the rest of the program must know of the source.

mod hdf5;
mod keras;
mod onnx;

use super::graph::{AxisOrder, Fault, Graph, Shape};
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A trained network as it was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    /// The network.
    pub graph: Graph,
    /// Where the channel axis of the source's images stands; for a network of vectors it says nothing.
    pub input_order: AxisOrder,
    /// Where it comes from.
    pub source: Source,
}

impl Model {
    /// Shape of one sample.
    pub fn input_shape(&self) -> Shape {
        self.graph.input_shape()
    }

    /// Numbers that the network puts out for a sample: its classes.
    pub fn classes(&self) -> usize {
        self.graph.output_shape().len()
    }
}

/// Where a model comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Source {
    /// The file.
    pub path: PathBuf,
    /// SHA-256 of the file, in hexadecimal.
    pub sha256: String,
    /// The library that wrote it (`keras`, ...).
    pub library: String,
    /// Its version, where the file tells.
    pub version: Option<String>,
}

/// Why a model file cannot be taken.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {problem}")]
pub struct Error {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What is wrong with a model file.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// The system did not give its bytes.
    #[error("cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    /// No reader knows it.
    #[error("expected a model file of one of these kinds: {known}; found {found}")]
    UnknownKind {
        /// What the readers take.
        known: String,
        /// What the file looks like.
        found: String,
    },
    /// It is truncated, damaged or not what its kind says.
    #[error("{place}: {message}")]
    Damaged {
        /// Where in the file.
        place: String,
        /// What was expected and what was found.
        message: String,
    },
    /// It holds a layer, or an option of one, that has no meaning here.
    #[error("layer '{layer}' ({kind}): {message}")]
    Unsupported {
        /// Name of the layer.
        layer: String,
        /// Its class in the source library.
        kind: String,
        /// What is not supported, and what is.
        message: String,
    },
    /// Its layers do not fit each other.
    #[error(transparent)]
    Graph(#[from] Fault),
}

impl Problem {
    fn damaged(place: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Damaged { place: place.into(), message: message.into() }
    }
}

/// The bytes of a model file and what goes with them.
struct ModelFile {
    path: PathBuf,
    bytes: Arc<[u8]>,
}

impl ModelFile {
    /// Where files beside it lie.
    fn folder(&self) -> PathBuf {
        self.path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")).into()
    }

    fn has_extension(&self, extension: &str) -> bool {
        self.path.extension().is_some_and(|own| own.eq_ignore_ascii_case(extension))
    }
}

/// What a reader gives.
struct Imported {
    graph: Graph,
    input_order: AxisOrder,
    library: &'static str,
    version: Option<String>,
}

/// One kind of model file.
struct Reader {
    /// For messages.
    kind: &'static str,
    /// Whether the content is of this kind.
    matches: fn(&ModelFile) -> bool,
    read: fn(&ModelFile) -> Result<Imported, Problem>,
}

/// All kinds, the most telling first.
const READERS: &[Reader] = &[
    Reader { kind: "Keras .h5", matches: keras::is_h5, read: keras::read_h5 },
    Reader { kind: "Keras .keras", matches: keras::is_archive, read: keras::read_archive },
    Reader { kind: "ONNX .onnx", matches: onnx::is_onnx, read: onnx::read },
];

/// Reads a model file of any kind.
///
/// # Errors
/// Whatever is wrong with the file; a layer or option that has no meaning here is refused by name.
pub fn read(path: &Path) -> Result<Model, Error> {
    let failed = |problem| Error { path: path.into(), problem };
    let bytes = read_bytes(path).map_err(|source| failed(source.into()))?;
    let sha256 = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    let file = ModelFile { path: path.into(), bytes: bytes.into() };
    let reader = READERS.iter().find(|reader| (reader.matches)(&file)).ok_or_else(|| failed(unknown_kind(&file)))?;
    let Imported { graph, input_order, library, version } = (reader.read)(&file).map_err(failed)?;
    let source = Source { path: path.into(), sha256, library: library.into(), version };
    Ok(Model { graph, input_order, source })
}

fn read_bytes(path: &Path) -> io::Result<Vec<u8>> {
    if path.is_dir() {
        return Err(io::Error::new(io::ErrorKind::IsADirectory, "expected a model file, found a directory"));
    }
    std::fs::read(path)
}

fn unknown_kind(file: &ModelFile) -> Problem {
    let found = match &file.bytes[..] {
        [] => "an empty file".into(),
        [b'P', b'K', 3, 4, ..] => "a zip archive without config.json".into(),
        bytes => format!("{} bytes that start with {:02x?}", bytes.len(), &bytes[..bytes.len().min(8)]),
    };
    let known = READERS.iter().map(|reader| reader.kind).collect::<Vec<_>>().join(", ");
    Problem::UnknownKind { known, found }
}
