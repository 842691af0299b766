//! HDF5 files in memory, by one of two libraries: `hdf5-reader`, which is compiled with the program and whose work on
//! damaged files is bounded, or, with the feature `hdf5`, the HDF Group's own library.

#[cfg(any(not(feature = "hdf5"), test))]
mod pure;
#[cfg(feature = "hdf5")]
mod system;

use super::ImportError;
use ndarray::{ArrayD, IxDyn};
use std::collections::HashMap;
use std::sync::Arc;

/// Whether these bytes are an HDF5 file.
pub(crate) fn is_hdf5(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\x89HDF\r\n\x1a\n")
}

/// What a library of HDF5 does for the importers. Paths start at the root group, which is the empty path; errors are
/// what the library says.
trait Library {
    fn has_group(&self, path: &str) -> bool;
    /// Names of the data sets in a group.
    fn data_sets(&self, group: &str) -> Result<Vec<String>, String>;
    /// Names of the groups in a group.
    fn groups(&self, group: &str) -> Result<Vec<String>, String>;
    fn attributes(&self, group: &str) -> Result<HashMap<String, Value>, String>;
    fn extent(&self, data_set: &str) -> Result<Extent, String>;
    fn numbers(&self, data_set: &str) -> Result<Vec<f32>, String>;
    /// Numbers of any kind in double precision.
    fn doubles(&self, data_set: &str) -> Result<Vec<f64>, String>;
    fn texts(&self, data_set: &str) -> Result<Vec<String>, String>;
}

/// The size of a data set.
struct Extent {
    shape: Vec<u64>,
    bytes_per_number: u64,
    /// Stored in chunks, which may be compressed.
    is_chunked: bool,
}

/// An attribute.
#[derive(Debug)]
enum Value {
    Text(String),
    Texts(Vec<String>),
    /// A number; of any kind, where the nearest double is meant.
    Number(f64),
    /// An array without elements.
    Empty,
    /// Of a kind that no importer reads.
    Other(String),
}

/// An open file, with its name for messages (`model.weights.h5` in an archive; empty for the file itself).
pub(crate) struct File {
    library: Box<dyn Library>,
    prefix: &'static str,
    len: u64,
}

fn open(bytes: Arc<[u8]>) -> Result<Box<dyn Library>, String> {
    #[cfg(all(test, feature = "hdf5"))]
    if tests::PURE.get() {
        return pure::open(bytes);
    }
    #[cfg(feature = "hdf5")]
    return system::open(&bytes);
    #[cfg(not(feature = "hdf5"))]
    pure::open(bytes)
}

impl File {
    /// Opens a file that was read into memory.
    pub(crate) fn open(bytes: Arc<[u8]>, prefix: &'static str) -> Result<Self, ImportError> {
        let len = bytes.len() as u64;
        let library = open(bytes).map_err(|message| damaged(prefix, "", "an HDF5 file", message))?;
        Ok(Self { library, prefix, len })
    }

    /// Whether there is a group of this path.
    pub(crate) fn has_group(&self, path: &str) -> bool {
        self.library.has_group(path)
    }

    /// Names of the data sets in a group.
    pub(crate) fn data_sets(&self, group: &str) -> Result<Vec<String>, ImportError> {
        self.library.data_sets(group).map_err(|message| damaged(self.prefix, group, "data sets", message))
    }

    /// Names of the groups in a group.
    #[cfg(feature = "nir")]
    pub(crate) fn groups(&self, group: &str) -> Result<Vec<String>, ImportError> {
        self.library.groups(group).map_err(|message| damaged(self.prefix, group, "groups", message))
    }

    /// All attributes of a group.
    pub(crate) fn attributes(&self, group: &str) -> Result<Attributes, ImportError> {
        let values = self.library.attributes(group);
        let values = values.map_err(|message| damaged(self.prefix, group, "a group with attributes", message))?;
        Ok(Attributes { values, place: place(self.prefix, group) })
    }

    /// A data set of floating-point or integer numbers as 32-bit floats.
    ///
    /// # Errors
    /// Also for an array that a file of this size cannot hold.
    pub(super) fn array(&self, path: &str) -> Result<ArrayD<f32>, ImportError> {
        self.array_of(path, "numbers", |library| library.numbers(path))
    }

    /// As [`File::array`], in double precision.
    #[cfg(feature = "nir")]
    pub(crate) fn doubles(&self, path: &str) -> Result<ArrayD<f64>, ImportError> {
        self.array_of(path, "numbers", |library| library.doubles(path))
    }

    /// A data set of strings.
    #[cfg(feature = "nir")]
    pub(crate) fn texts(&self, path: &str) -> Result<ArrayD<String>, ImportError> {
        self.array_of(path, "strings", |library| library.texts(path))
    }

    fn array_of<T>(
        &self,
        path: &str,
        kind: &str,
        read: impl Fn(&dyn Library) -> Result<Vec<T>, String>,
    ) -> Result<ArrayD<T>, ImportError> {
        let fault = |expected: &str, found: String| damaged(self.prefix, path, expected, found);
        let Extent { shape, bytes_per_number, is_chunked } =
            self.library.extent(path).map_err(|message| fault("a data set", message))?;
        let elements = shape.iter().try_fold(1u64, |n, &extent| n.checked_mul(extent));
        let most = if is_chunked { megasim_data::npy::inflated(self.len) } else { self.len };
        let bytes = elements.and_then(|n| n.checked_mul(bytes_per_number.max(1)));
        let Some(elements) = elements.filter(|_| bytes.is_some_and(|bytes| bytes <= most)) else {
            return Err(fault("an array that a file of this size can hold", format!("shape {shape:?}")));
        };
        let values = read(&*self.library).map_err(|message| fault(kind, message))?;
        if values.len() as u64 != elements {
            return Err(fault(&format!("{elements} {kind}"), values.len().to_string()));
        }
        let dimensions: Vec<usize> = shape.iter().map(|&extent| extent as usize).collect();
        ArrayD::from_shape_vec(IxDyn(&dimensions), values).map_err(|message| fault("an array", message.to_string()))
    }
}

/// Attributes of one group.
pub(crate) struct Attributes {
    values: HashMap<String, Value>,
    place: String,
}

impl Attributes {
    /// A number.
    #[cfg(feature = "nir")]
    pub(crate) fn number(&self, name: &str) -> Option<f64> {
        match self.values.get(name)? {
            Value::Number(number) => Some(*number),
            _ => None,
        }
    }

    /// A string.
    pub(crate) fn string(&self, name: &str) -> Option<&str> {
        match self.values.get(name)? {
            Value::Text(text) => Some(text),
            Value::Texts(texts) if texts.len() == 1 => Some(&texts[0]),
            _ => None,
        }
    }

    /// A list of strings, also where Keras split it into `NAME0`, `NAME1`, ... An empty list may be stored as an empty
    /// array of anything.
    pub(super) fn strings(&self, name: &str) -> Result<Vec<String>, ImportError> {
        if let Some(value) = self.values.get(name) {
            return self.list(name, value);
        }
        let mut all = Vec::new();
        for part in 0.. {
            let name = format!("{name}{part}");
            match self.values.get(&name) {
                Some(value) => all.extend(self.list(&name, value)?),
                None if part == 0 => {
                    return Err(ImportError::damaged(
                        &self.place,
                        format!("expected an attribute '{}', found none", &name[..name.len() - 1]),
                    ));
                }
                None => break,
            }
        }
        Ok(all)
    }

    fn list(&self, name: &str, value: &Value) -> Result<Vec<String>, ImportError> {
        match value {
            Value::Texts(texts) => Ok(texts.clone()),
            Value::Text(text) => Ok(vec![text.clone()]),
            Value::Empty => Ok(Vec::new()),
            Value::Number(found) => Err(ImportError::damaged(
                &self.place,
                format!("expected strings in attribute '{name}', found the number {found}"),
            )),
            Value::Other(found) => {
                Err(ImportError::damaged(&self.place, format!("expected strings in attribute '{name}', found {found}")))
            }
        }
    }
}

fn place(prefix: &str, path: &str) -> String {
    match (prefix, path) {
        ("", "") => "HDF5".into(),
        ("", path) => format!("HDF5 '{path}'"),
        (prefix, "") => prefix.into(),
        (prefix, path) => format!("{prefix} '{path}'"),
    }
}

fn damaged(prefix: &str, path: &str, expected: &str, found: String) -> ImportError {
    ImportError::damaged(place(prefix, path), format!("expected {expected}, found: {found}"))
}

#[cfg(all(test, feature = "hdf5"))]
mod tests {
    use super::super::Model;
    use std::cell::Cell;
    use std::path::{Path, PathBuf};

    thread_local! {
        /// Files are read by `hdf5-reader`.
        pub static PURE: Cell<bool> = const { Cell::new(false) };
    }

    fn models(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                models(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "h5" || extension == "keras") {
                found.push(path);
            }
        }
    }

    /// Both libraries read the same model from each file of the tests, or refuse it for the same reason.
    #[test]
    fn both_libraries_read_the_same_models() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let mut files = Vec::new();
        models(&root.join("tests/data"), &mut files);
        models(&root.join("examples"), &mut files);
        assert!(files.len() > 20, "{}", files.len());
        let mut read = 0;
        for file in files {
            let system = Model::open(&file).map_err(|error| error.to_string());
            PURE.set(true);
            let pure = Model::open(&file).map_err(|error| error.to_string());
            PURE.set(false);
            assert!(system == pure, "{}: {:?}, {:?}", file.display(), system.err(), pure.err());
            read += usize::from(pure.is_ok());
        }
        assert!(read > 10, "{read}");
    }
}
