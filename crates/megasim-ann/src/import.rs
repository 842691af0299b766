//! Readers: one file per input library, one line each in `READERS`.
//!
//! A reader is chosen by what the file holds, not only by its name, and gives a [`Model`]: the graph in the fixed axis
//! order of [`super::graph`], and what the rest of the program must know of the source.

// Where a reader is left out, helpers that only it uses are dead.
#![cfg_attr(
    not(all(feature = "caffe", feature = "keras", feature = "lasagne", feature = "onnx", feature = "torch")),
    allow(dead_code)
)]

#[cfg(any(feature = "lasagne", feature = "torch"))]
mod architecture;
#[cfg(feature = "caffe")]
mod caffe;
#[cfg(any(feature = "keras", feature = "lasagne", feature = "nir"))]
pub(crate) mod hdf5;
mod heads;
#[cfg(feature = "keras")]
mod keras;
#[cfg(feature = "lasagne")]
mod lasagne;
#[cfg(feature = "onnx")]
mod onnx;
mod recognise;
mod refusal;
#[cfg(feature = "torch")]
mod torch;
mod unsupported;

use super::graph::{AxisOrder, Graph, GraphError, Padding, Shape};
#[cfg(any(feature = "onnx", feature = "torch"))]
use megasim_data::npy::half;
use megasim_data::{DeclaredAxes, InputForm, InputScaling};
pub use refusal::{ReadLayer, Refusal};
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::cell::RefCell;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A trained network as it was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    /// The network.
    pub graph: Graph,
    /// Where the channel axis of the source's images is; for a network of vectors it says nothing.
    pub input_order: AxisOrder,
    /// Which of `(channels, height, width)` each axis of a sample is, as the file declares them; `[0]` for a vector.
    pub input_axes: Vec<usize>,
    /// Where it comes from.
    pub source: Source,
}

impl Model {
    /// Reads a model file of a known kind.
    ///
    /// ```
    /// use megasim_ann::import::Model;
    /// # std::env::set_current_dir("../..")?;
    ///
    /// let model = Model::open("examples/digits/digits_cnn.keras")?;
    /// assert_eq!(model.classes(), 10);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If it is no such file, if it is damaged, or if it holds what networks here cannot.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        read(path.as_ref())
    }

    /// Reads a model file whose network another file describes: Caffe's `.prototxt`, or TOML for bare parameters.
    ///
    /// # Errors
    /// As [`Model::open`]; if the description does not fit the parameters.
    pub fn open_with(path: impl AsRef<Path>, architecture: impl AsRef<Path>) -> Result<Self, Error> {
        read_with(path.as_ref(), Some(architecture.as_ref()))
    }

    /// Shape of one sample.
    pub fn input_shape(&self) -> Shape {
        self.graph.input_shape()
    }

    /// How samples are brought to the input: the order of their axes, and whether bytes are taken as they are.
    pub fn input_form(&self) -> InputForm {
        InputForm::new(DeclaredAxes::new(&self.input_axes), self.scaling())
    }

    /// Whether the network scales its own input from 0 to 255.
    fn scaling(&self) -> InputScaling {
        let factor = self.graph.input_factor();
        // 1/255, 1/127.5, or one of these over a standard deviation; a standard deviation alone is larger than 1/10.
        if factor.is_some_and(|factor| factor > 0.0 && factor < OWN_SCALING) {
            InputScaling::OfTheModel
        } else {
            InputScaling::Unit
        }
    }

    /// Numbers that the network puts out for a sample: its classes.
    pub fn classes(&self) -> usize {
        self.graph.output_shape().len()
    }
}

/// The factor on its input below which a network is taken to be made for numbers from 0 to 255.
const OWN_SCALING: f32 = 0.1;

/// Where a model comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Source {
    /// The file.
    pub path: PathBuf,
    /// Files read with it: the description of the network, external data.
    pub companions: Vec<Companion>,
    /// SHA-256 of the file, in hexadecimal.
    pub sha256: String,
    /// Sizes of one sample that were given where the file leaves them open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_shape: Option<Vec<usize>>,
    /// The library that wrote it (`keras`, ...).
    pub library: String,
    /// Its version, where the file tells.
    pub version: Option<String>,
}

/// A file that a model file needs next to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Companion {
    /// Where it was read.
    pub path: PathBuf,
    /// Under which name, relative to the folder of the model file, it is found without being named.
    pub name: PathBuf,
}

/// Why a model file cannot be taken.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {problem}")]
pub struct Error {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub problem: ImportError,
}

/// What is wrong with a model file.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The system did not give its bytes.
    #[error("cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    /// It is something else, which is known.
    #[error("found {found}; {advice}")]
    Recognised {
        /// What it is.
        found: &'static str,
        /// What to do.
        advice: String,
    },
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
    /// What comes into a layer, or the sizes of the layer itself, are not what it takes. Behind a layer that is refused
    /// this may follow from the refusal.
    #[error("layer '{layer}' ({kind}): {message}")]
    Misfit {
        /// Name of the layer.
        layer: String,
        /// Its class in the source library.
        kind: String,
        /// What was expected and what was found.
        message: String,
    },
    /// It is a network of layers some of which are refused.
    #[error(transparent)]
    Refused(#[from] Box<Refusal>),
    /// Its layers do not fit each other.
    #[error(transparent)]
    Graph(#[from] GraphError),
}

impl ImportError {
    pub(crate) fn damaged(place: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Damaged { place: place.into(), message: message.into() }
    }
}

/// The bytes of a model file and what goes with them.
struct ModelFile {
    path: PathBuf,
    bytes: Arc<[u8]>,
    /// What the caller says of it.
    options: ReadOptions,
    /// Other files that were read, in order.
    companions: RefCell<Vec<Companion>>,
}

impl ModelFile {
    /// Where files next to it are.
    fn folder(&self) -> PathBuf {
        self.path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")).into()
    }

    /// The text that describes the network, and its name for messages: the named file, or the one next to the model
    /// whose name differs by this ending alone.
    fn architecture(&self, ending: &str) -> Result<(String, String), ImportError> {
        let path = self.architecture_path(ending);
        let place = path.display().to_string();
        let text = std::fs::read(&path).map_err(|error| {
            let message = format!(
                "expected the description of the network (next to the model, or as --architecture; \
                 examples/architectures has some), found: {error}"
            );
            ImportError::damaged(&place, message)
        })?;
        let text = String::from_utf8(text).map_err(|_| ImportError::damaged(&place, "expected a text file"))?;
        let name = self.path.with_extension(ending).file_name().map(PathBuf::from).unwrap_or_default();
        self.companions.borrow_mut().push(Companion { path, name });
        Ok((text, place))
    }

    fn architecture_path(&self, ending: &str) -> PathBuf {
        self.options.architecture.clone().unwrap_or_else(|| self.path.with_extension(ending))
    }

    /// The declared sizes of a sample, open ones as the caller gives them.
    fn fixed(&self, declared: &[Option<usize>]) -> Result<Vec<usize>, String> {
        let written = || {
            let sizes = declared.iter().map(|size| size.map_or("?".into(), |size| size.to_string()));
            format!("({})", sizes.collect::<Vec<String>>().join(", "))
        };
        match &self.options.input_shape {
            None => declared.iter().copied().collect::<Option<Vec<_>>>().ok_or_else(|| {
                let example = declared.iter().map(|size| size.unwrap_or(32).to_string()).collect::<Vec<_>>().join(",");
                format!(
                    "expected an input of fixed size, found {} per sample; --input-shape gives one, \
                     for example --input-shape {example}",
                    written()
                )
            }),
            Some(given) => {
                let agrees = |(own, &given): (&Option<usize>, &usize)| own.is_none_or(|own| own == given) && given > 0;
                if given.len() == declared.len() && declared.iter().zip(given).all(agrees) {
                    return Ok(given.clone());
                }
                let given = given.iter().map(usize::to_string).collect::<Vec<_>>().join(",");
                Err(format!("expected an --input-shape that fits {} per sample, found {given}", written()))
            }
        }
    }

    /// As [`ModelFile::fixed`], of 1 to 3 axes; where there are none, others to go on with, and why.
    fn input_sizes(&self, declared: &[Option<usize>]) -> InputSizes {
        let (mut dimensions, mut obstacle) = match self.fixed(declared) {
            Ok(dimensions) => (dimensions, None),
            Err(message) => (declared.iter().map(|size| size.unwrap_or(STAND_IN)).collect(), Some(message)),
        };
        if dimensions.len() > 3 {
            let more = format!("expected an input of 1 to 3 axes per sample, found {dimensions:?}");
            // Sizes to be given would not help.
            obstacle = Some(more);
            dimensions.drain(..dimensions.len() - 3);
        }
        InputSizes { dimensions, obstacle }
    }

    /// Names in a zip archive; none if it is no such thing.
    fn zip_names(&self) -> Vec<String> {
        if !self.bytes.starts_with(b"PK\x03\x04") {
            return Vec::new();
        }
        let archive = zip::ZipArchive::new(io::Cursor::new(&self.bytes[..]));
        archive.map(|archive| archive.file_names().map(String::from).collect()).unwrap_or_default()
    }

    fn has_extension(&self, extension: &str) -> bool {
        self.path.extension().is_some_and(|own| own.eq_ignore_ascii_case(extension))
    }
}

/// The size of an axis that is open, to go on with.
const STAND_IN: usize = 32;

/// Sizes of the axes of a sample.
struct InputSizes {
    dimensions: Vec<usize>,
    /// Why they are none to convert with.
    obstacle: Option<String>,
}

/// What a reader gives.
struct Imported {
    graph: Graph,
    input_order: AxisOrder,
    /// As [`Model::input_axes`].
    axes: Vec<usize>,
    library: &'static str,
    version: Option<String>,
}

/// The axes of a sample of a library that has the channels first; a sequence has no rows.
fn first_axes(graph: &Graph) -> Vec<usize> {
    match graph.input_shape() {
        Shape::Features(_) => vec![0],
        Shape::Maps { .. } => vec![0, 1, 2],
    }
}

/// What a caller says of a model file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReadOptions {
    /// The file that describes the network: Caffe's `.prototxt`, TOML for bare parameters, Keras's JSON.
    pub architecture: Option<PathBuf>,
    /// Sizes of one sample in the order of the file, where the file leaves some open.
    pub input_shape: Option<Vec<usize>>,
}

/// One kind of model file.
struct Reader {
    /// For messages.
    kind: &'static str,
    /// Whether the content is of this kind.
    matches: fn(&ModelFile) -> bool,
    read: fn(&ModelFile) -> Result<Imported, ImportError>,
}

/// All kinds, the most telling first.
const READERS: &[Reader] = &[
    #[cfg(feature = "lasagne")]
    Reader { kind: "Lasagne .h5", matches: lasagne::is_h5, read: lasagne::read_h5 },
    #[cfg(feature = "keras")]
    Reader { kind: "Keras .h5", matches: keras::is_h5, read: keras::read_h5 },
    #[cfg(feature = "keras")]
    Reader { kind: "Keras .keras", matches: keras::is_archive, read: keras::read_archive },
    #[cfg(feature = "onnx")]
    Reader { kind: "ONNX .onnx", matches: onnx::is_onnx, read: onnx::read },
    #[cfg(feature = "caffe")]
    Reader { kind: "Caffe .caffemodel", matches: caffe::is_caffe, read: caffe::read },
    #[cfg(feature = "torch")]
    Reader { kind: "PyTorch .pth", matches: torch::is_zip, read: torch::read_zip },
    #[cfg(feature = "torch")]
    Reader { kind: "PyTorch .safetensors", matches: torch::is_safetensors, read: torch::read_safetensors },
    #[cfg(feature = "lasagne")]
    Reader { kind: "Lasagne .npz", matches: lasagne::is_npz, read: lasagne::read_npz },
    #[cfg(feature = "torch")]
    Reader { kind: "arrays rather than a pickle", matches: torch::is_bare_pickle, read: torch::refuse_pickle },
];

/// Reads a model file of any kind.
///
/// # Errors
/// Whatever is wrong with the file; a layer or option that has no meaning here is refused by name.
pub fn read(path: &Path) -> Result<Model, Error> {
    read_with(path, None)
}

/// Reads a model file whose network is described in a separate file: Caffe's `.prototxt`, or TOML for bare parameters
/// of PyTorch and Lasagne. Without one named, a file next to the model is looked for.
///
/// ```toml
/// input = [1, 28, 28]
///
/// [[layer]]
/// kind = "conv"
/// stride = 2
///
/// [[layer]]
/// kind = "relu"
///
/// [[layer]]
/// kind = "dense"
/// ```
///
/// # Errors
/// As [`read`].
pub fn read_with(path: &Path, architecture: Option<&Path>) -> Result<Model, Error> {
    read_as(path, ReadOptions { architecture: architecture.map(PathBuf::from), input_shape: None })
}

/// Reads a model file of which the caller says something.
///
/// # Errors
/// As [`read`]; where what is said does not apply to the file.
pub fn read_as(path: &Path, options: ReadOptions) -> Result<Model, Error> {
    let failed = |problem| Error { path: path.into(), problem };
    if let Some(problem) = recognise::directory(path) {
        return Err(failed(problem));
    }
    let bytes = read_bytes(path).map_err(|source| failed(source.into()))?;
    let sha256 = sha256(&bytes);
    let file = ModelFile { path: path.into(), bytes: bytes.into(), options, companions: RefCell::default() };
    if let Some(problem) = recognise::file(&file) {
        return Err(failed(problem));
    }
    let reader = READERS
        .iter()
        .filter(|_| !file.bytes.is_empty())
        .find(|reader| (reader.matches)(&file))
        .ok_or_else(|| failed(unknown_kind(&file)))?;
    let Imported { graph, input_order, axes, library, version } = (reader.read)(&file).map_err(failed)?;
    if let Some(given) = file.options.input_shape.as_ref().filter(|_| library != "onnx" && library != "keras") {
        let message = format!("expected no --input-shape with a {library} file, which has its own, found {given:?}");
        return Err(failed(ImportError::damaged("input", message)));
    }
    let graph = heads::classes(graph);
    let companions = file.companions.into_inner();
    if let Some(path) =
        file.options.architecture.as_ref().filter(|path| !companions.iter().any(|own| &own.path == *path))
    {
        let message = format!(
            "expected no description of the network, as a {library} file holds its own, found one named by \
                --architecture"
        );
        return Err(failed(ImportError::damaged(path.display().to_string(), message)));
    }
    let source = Source {
        path: path.into(),
        companions,
        sha256,
        input_shape: file.options.input_shape,
        library: library.into(),
        version,
    };
    Ok(Model { graph, input_order, input_axes: axes, source })
}

/// SHA-256 of a file in hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Widens the padding at the bottom and right so that the number of windows is rounded up; a last window starts within
/// the map or the padding before it. `None` where no window fits.
fn widen_to_ceil(shape: Shape, size: (usize, usize), strides: (usize, usize), padding: &mut Padding) -> Option<()> {
    let Shape::Maps { height, width, .. } = shape else { return None };
    let beyond = |n: usize, before: usize, after: usize, size: usize, stride: usize| {
        let padded = n.checked_add(before)?.checked_add(after)?;
        let mut windows = padded.checked_sub(size)?.checked_next_multiple_of(stride)? / stride + 1;
        if (windows - 1).checked_mul(stride)? >= n + before {
            windows -= 1;
        }
        Some((windows.checked_sub(1)?.checked_mul(stride)?.checked_add(size)?).saturating_sub(padded))
    };
    let down = beyond(height, padding.top, padding.bottom, size.0, strides.0)?;
    let across = beyond(width, padding.left, padding.right, size.1, strides.1)?;
    padding.bottom += down;
    padding.right += across;
    Some(())
}

fn read_bytes(path: &Path) -> io::Result<Vec<u8>> {
    if path.is_dir() {
        let found = if path.join("megasim.json").is_file() {
            "expected a model file, found a directory with a converted network, which 'megasim classify' runs"
        } else {
            "expected a model file, found a directory"
        };
        return Err(io::Error::new(io::ErrorKind::IsADirectory, found));
    }
    std::fs::read(path)
}

fn unknown_kind(file: &ModelFile) -> ImportError {
    let found = match &file.bytes[..] {
        [] => "an empty file".into(),
        [b'P', b'K', 3, 4, ..] => "a damaged zip archive, or one of other things".into(),
        bytes => {
            let start: Vec<String> = bytes.iter().take(8).map(|byte| format!("0x{byte:02x}")).collect();
            format!("{} bytes that start with {}", bytes.len(), start.join(" "))
        }
    };
    let known = READERS.iter().map(|reader| reader.kind).collect::<Vec<_>>().join(", ");
    ImportError::UnknownKind { known, found }
}
