//! HDF5 by `hdf5-pure`, with a bound on work and memory.
//!
//! A damaged file can announce arrays larger than itself, and its trees can lead in circles. All bytes therefore pass
//! through [`Metered`], which counts the reads and stops a walk that has visited far more than the file holds.

use super::{Extent, Library, Value};
use hdf5_pure::{AttrValue, File, FormatError, Group, Layout};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub(super) fn open(bytes: Arc<[u8]>) -> Result<Box<dyn Library>, String> {
    let budget = AtomicU64::new((bytes.len() as u64).saturating_mul(64).saturating_add(1 << 28));
    let file = File::from_source(Metered { bytes, budget }).map_err(text)?;
    Ok(Box::new(Pure(file)))
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

struct Pure(File);

fn text(error: hdf5_pure::Error) -> String {
    error.to_string()
}

impl Pure {
    fn group(&self, path: &str) -> Result<Group, hdf5_pure::Error> {
        if path.is_empty() { Ok(self.0.root()) } else { self.0.group(path) }
    }
}

impl Library for Pure {
    fn has_group(&self, path: &str) -> bool {
        self.0.group(path).is_ok()
    }

    fn data_sets(&self, group: &str) -> Result<Vec<String>, String> {
        self.group(group).and_then(|group| group.datasets()).map_err(text)
    }

    fn groups(&self, group: &str) -> Result<Vec<String>, String> {
        self.group(group).and_then(|group| group.groups()).map_err(text)
    }

    fn attributes(&self, group: &str) -> Result<HashMap<String, Value>, String> {
        let attributes = self.group(group).and_then(|group| group.attrs()).map_err(text)?;
        Ok(attributes.into_iter().map(|(name, value)| (name, Value::from(value))).collect())
    }

    fn extent(&self, data_set: &str) -> Result<Extent, String> {
        let extent = || {
            let data_set = self.0.dataset(data_set)?;
            let is_chunked = matches!(data_set.layout()?, Layout::Chunked { .. });
            Ok(Extent { shape: data_set.shape()?, bytes_per_number: data_set.element_size()?, is_chunked })
        };
        extent().map_err(text)
    }

    fn numbers(&self, data_set: &str) -> Result<Vec<f32>, String> {
        self.0.dataset(data_set).and_then(|data_set| data_set.read_f32()).map_err(text)
    }

    fn doubles(&self, data_set: &str) -> Result<Vec<f64>, String> {
        self.0.dataset(data_set).and_then(|data_set| data_set.read_f64()).map_err(text)
    }

    fn texts(&self, data_set: &str) -> Result<Vec<String>, String> {
        self.0.dataset(data_set).and_then(|data_set| data_set.read_string()).map_err(text)
    }
}

impl From<AttrValue> for Value {
    fn from(value: AttrValue) -> Self {
        match value.as_strings() {
            Some([text]) => return Self::Text(text.clone()),
            Some(texts) => return Self::Texts(texts.to_vec()),
            None => {}
        }
        match &value {
            AttrValue::F64Array(empty) if empty.is_empty() => Self::Empty,
            AttrValue::F32Array(empty) if empty.is_empty() => Self::Empty,
            other => match other.as_f64().or_else(|| other.as_i64().map(|number| number as f64)) {
                Some(number) => Self::Number(number),
                None => Self::Other(format!("{other:?}")),
            },
        }
    }
}
