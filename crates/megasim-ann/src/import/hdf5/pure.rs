//! HDF5 by `hdf5-reader`, with a bound on work and memory.
//!
//! A damaged file can announce arrays larger than itself, and its trees can lead in circles. All bytes therefore pass
//! through [`Metered`], which counts the reads and stops a walk that has visited far more than the file holds.

use super::{Extent, Library, Value};
use hdf5_reader::error::{self, Error};
use hdf5_reader::{Attribute, BytesStorage, Datatype, Hdf5File, Storage, StorageBuffer};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub(super) fn open(bytes: Arc<[u8]>) -> Result<Box<dyn Library>, String> {
    let budget = AtomicU64::new((bytes.len() as u64).saturating_mul(64).saturating_add(1 << 28));
    let metered = Metered { bytes: BytesStorage::new(bytes.to_vec()), budget };
    let file = Hdf5File::from_storage(Arc::new(metered)).map_err(text)?;
    Ok(Box::new(Pure(file)))
}

/// Bytes in memory, and how many may still be read in all.
struct Metered {
    bytes: BytesStorage,
    budget: AtomicU64,
}

impl Storage for Metered {
    fn len(&self) -> u64 {
        self.bytes.len()
    }

    fn read_range(&self, offset: u64, len: usize) -> error::Result<StorageBuffer> {
        // Each read costs something even where it is short, so that a walk in circles ends.
        let cost = len as u64 + 64;
        let spent = self.budget.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(cost));
        if spent.is_err() {
            return Err(Error::InvalidData("its structures lead in circles".into()));
        }
        self.bytes.read_range(offset, len)
    }
}

struct Pure(Hdf5File);

/// What is wrong. The path, which errors are given as their context, is that of the caller's message.
fn text(error: Error) -> String {
    match error {
        Error::Context { source, .. } => text(*source),
        error => error.to_string(),
    }
}

/// Consecutive values of `N` bytes.
fn elements<const N: usize, T>(bytes: &[u8], value: impl Fn([u8; N]) -> T) -> Vec<T> {
    bytes.as_chunks().0.iter().map(|&bytes| value(bytes)).collect()
}

impl Pure {
    /// A data set of numbers of any kind, with the conversion from each.
    fn numbers_as<T>(
        &self,
        path: &str,
        single: impl Fn(f32) -> T,
        double: impl Fn(f64) -> T,
        whole: impl Fn(i128) -> T,
    ) -> Result<Vec<T>, String> {
        let data_set = self.0.dataset(path).map_err(text)?;
        let bytes = || data_set.read_native_bytes().map_err(text);
        let unread = || format!("{:?}", data_set.dtype());
        match *data_set.dtype() {
            Datatype::FloatingPoint { size: 4, .. } => Ok(elements(&bytes()?, |it| single(f32::from_ne_bytes(it)))),
            Datatype::FloatingPoint { size: 8, .. } => Ok(elements(&bytes()?, |it| double(f64::from_ne_bytes(it)))),
            Datatype::FixedPoint { size, signed, .. } => match (size, signed) {
                (1, true) => Ok(elements(&bytes()?, |it| whole(i8::from_ne_bytes(it).into()))),
                (2, true) => Ok(elements(&bytes()?, |it| whole(i16::from_ne_bytes(it).into()))),
                (4, true) => Ok(elements(&bytes()?, |it| whole(i32::from_ne_bytes(it).into()))),
                (8, true) => Ok(elements(&bytes()?, |it| whole(i64::from_ne_bytes(it).into()))),
                (1, false) => Ok(elements(&bytes()?, |it| whole(u8::from_ne_bytes(it).into()))),
                (2, false) => Ok(elements(&bytes()?, |it| whole(u16::from_ne_bytes(it).into()))),
                (4, false) => Ok(elements(&bytes()?, |it| whole(u32::from_ne_bytes(it).into()))),
                (8, false) => Ok(elements(&bytes()?, |it| whole(u64::from_ne_bytes(it).into()))),
                _ => Err(unread()),
            },
            _ => Err(unread()),
        }
    }
}

impl Library for Pure {
    fn has_group(&self, path: &str) -> bool {
        self.0.group(path).is_ok()
    }

    fn data_sets(&self, group: &str) -> Result<Vec<String>, String> {
        let data_sets = self.0.group(group).and_then(|group| group.datasets()).map_err(text)?;
        Ok(data_sets.iter().map(|data_set| data_set.name().to_string()).collect())
    }

    fn groups(&self, group: &str) -> Result<Vec<String>, String> {
        let groups = self.0.group(group).and_then(|group| group.groups()).map_err(text)?;
        Ok(groups.iter().map(|group| group.name().to_string()).collect())
    }

    fn attributes(&self, group: &str) -> Result<HashMap<String, Value>, String> {
        let attributes = self.0.group(group).and_then(|group| group.attributes()).map_err(text)?;
        Ok(attributes.into_iter().map(|attribute| (attribute.name.clone(), Value::from(&attribute))).collect())
    }

    fn extent(&self, data_set: &str) -> Result<Extent, String> {
        let data_set = self.0.dataset(data_set).map_err(text)?;
        let bytes_per_number = data_set.raw_element_size().map_err(text)? as u64;
        Ok(Extent { shape: data_set.shape().to_vec(), bytes_per_number, is_chunked: data_set.chunks().is_some() })
    }

    fn numbers(&self, data_set: &str) -> Result<Vec<f32>, String> {
        self.numbers_as(data_set, |x| x, |x| x as f32, |x| x as f32)
    }

    fn doubles(&self, data_set: &str) -> Result<Vec<f64>, String> {
        self.numbers_as(data_set, f64::from, |x| x, |x| x as f64)
    }

    fn texts(&self, data_set: &str) -> Result<Vec<String>, String> {
        self.0.dataset(data_set).and_then(|data_set| data_set.read_strings()).map_err(text)
    }
}

impl From<&Attribute> for Value {
    fn from(attribute: &Attribute) -> Self {
        let count = attribute.num_elements();
        if matches!(count, Ok(0)) {
            return Self::Empty;
        }
        if let Ok(mut texts) = attribute.read_strings() {
            return if texts.len() == 1 { Self::Text(texts.remove(0)) } else { Self::Texts(texts) };
        }
        match attribute.read_as_f64() {
            Ok(number) if matches!(count, Ok(1)) => Self::Number(number),
            _ => Self::Other(format!("{:?}", attribute.datatype)),
        }
    }
}
