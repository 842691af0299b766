//! HDF5 files, read with a bound on work and memory.
//!
//! A damaged file can announce arrays larger than itself, and its trees can lead in circles. All bytes therefore pass
//! through [`Metered`], which counts the reads and stops a walk that has visited far more than the file holds; an array
//! is measured before it is read.

use super::Problem;
use hdf5_pure::{AttrValue, FormatError, Layout};
use ndarray::{ArrayD, IxDyn};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Whether these bytes are an HDF5 file.
pub(super) fn is_hdf5(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\x89HDF\r\n\x1a\n")
}

/// An open file, with the place where it lies for messages (`model.weights.h5` in an archive; empty for the file
/// itself).
pub(super) struct File {
    file: hdf5_pure::File,
    prefix: &'static str,
    len: u64,
}

/// Bytes in memory, and how many may still be read in all.
struct Metered {
    bytes: Arc<[u8]>,
    budget: AtomicU64,
}

impl hdf5_pure::Source for Metered {
    fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), FormatError> {
        // Each read costs something even where it is short, so that a walk in circles ends.
        let cost = buffer.len() as u64 + 64;
        let spent = self.budget.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(cost));
        if spent.is_err() {
            return Err(FormatError::Source("its structures lead in circles".into()));
        }
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let source = start.checked_add(buffer.len()).and_then(|end| self.bytes.get(start..end));
        match source {
            Some(source) => buffer.copy_from_slice(source),
            None => {
                return Err(FormatError::UnexpectedEof {
                    expected: start.saturating_add(buffer.len()),
                    available: self.bytes.len(),
                });
            }
        }
        Ok(())
    }
}

impl File {
    /// Opens a file that lies in memory.
    pub(super) fn open(bytes: Arc<[u8]>, prefix: &'static str) -> Result<Self, Problem> {
        let len = bytes.len() as u64;
        let budget = AtomicU64::new(len.saturating_mul(64).saturating_add(1 << 28));
        let file = told(|| hdf5_pure::File::from_source(Metered { bytes, budget }));
        let file = file.map_err(|message| damaged(prefix, "", "an HDF5 file", message))?;
        Ok(Self { file, prefix, len })
    }

    /// Whether there is a group of this path.
    pub(super) fn has_group(&self, path: &str) -> bool {
        told(|| self.file.group(path)).is_ok()
    }

    /// Names of the data sets in the root group.
    pub(super) fn data_sets(&self) -> Result<Vec<String>, Problem> {
        told(|| self.file.root().datasets()).map_err(|message| damaged(self.prefix, "", "data sets", message))
    }

    /// All attributes of a group.
    pub(super) fn attributes(&self, group: &str) -> Result<Attributes, Problem> {
        let values = told(|| if group.is_empty() { self.file.root().attrs() } else { self.file.group(group)?.attrs() });
        let values = values.map_err(|message| damaged(self.prefix, group, "a group with attributes", message))?;
        Ok(Attributes { values, place: place(self.prefix, group) })
    }

    /// A data set of floating-point or integer numbers as 32-bit floats.
    pub(super) fn array(&self, path: &str) -> Result<ArrayD<f32>, Problem> {
        let fault = |expected: &str, found: String| damaged(self.prefix, path, expected, found);
        let (dataset, shape, layout, size) = told(|| {
            let dataset = self.file.dataset(path)?;
            let (shape, layout, size) = (dataset.shape()?, dataset.layout()?, dataset.element_size()?);
            Ok((dataset, shape, layout, size))
        })
        .map_err(|message| fault("a data set", message))?;
        let elements = shape.iter().try_fold(1u64, |n, &extent| n.checked_mul(extent));
        let most = match layout {
            Layout::Chunked { .. } => megasim_data::npy::inflated(self.len),
            _ => self.len,
        };
        let bytes = elements.and_then(|n| n.checked_mul(size.max(1)));
        let Some(elements) = elements.filter(|_| bytes.is_some_and(|bytes| bytes <= most)) else {
            return Err(fault("an array that a file of this size can hold", format!("shape {shape:?}")));
        };
        let values = told(|| dataset.read_f32()).map_err(|message| fault("numbers", message))?;
        if values.len() as u64 != elements {
            return Err(fault(&format!("{elements} numbers"), values.len().to_string()));
        }
        let dimensions: Vec<usize> = shape.iter().map(|&extent| extent as usize).collect();
        ArrayD::from_shape_vec(IxDyn(&dimensions), values).map_err(|message| fault("an array", message.to_string()))
    }
}

/// Attributes of one group.
pub(super) struct Attributes {
    values: std::collections::HashMap<String, AttrValue>,
    place: String,
}

impl Attributes {
    /// A string.
    pub(super) fn string(&self, name: &str) -> Option<&str> {
        self.values.get(name)?.as_str()
    }

    /// A list of strings, also where Keras split it into `NAME0`, `NAME1`, ... An empty list may be stored as an empty
    /// array of anything.
    pub(super) fn strings(&self, name: &str) -> Result<Vec<String>, Problem> {
        if let Some(value) = self.values.get(name) {
            return self.list(name, value);
        }
        let mut all = Vec::new();
        for part in 0.. {
            let name = format!("{name}{part}");
            match self.values.get(&name) {
                Some(value) => all.extend(self.list(&name, value)?),
                None if part == 0 => {
                    return Err(Problem::damaged(
                        &self.place,
                        format!("expected an attribute '{}', found none", &name[..name.len() - 1]),
                    ));
                }
                None => break,
            }
        }
        Ok(all)
    }

    fn list(&self, name: &str, value: &AttrValue) -> Result<Vec<String>, Problem> {
        if let Some(strings) = value.as_strings() {
            return Ok(strings.iter().map(|string| string.to_string()).collect());
        }
        match value {
            AttrValue::F64Array(empty) if empty.is_empty() => Ok(Vec::new()),
            AttrValue::F32Array(empty) if empty.is_empty() => Ok(Vec::new()),
            other => match other.as_str() {
                Some(one) => Ok(vec![one.into()]),
                None => Err(Problem::damaged(
                    &self.place,
                    format!("expected strings in attribute '{name}', found {other:?}"),
                )),
            },
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

fn damaged(prefix: &str, path: &str, expected: &str, found: String) -> Problem {
    Problem::damaged(place(prefix, path), format!("expected {expected}, found: {found}"))
}

/// A call into the HDF5 library, its error as text.
fn told<T>(call: impl FnOnce() -> Result<T, hdf5_pure::Error>) -> Result<T, String> {
    call().map_err(|error| error.to_string())
}
