//! HDF5 by the HDF Group's library. It reads files, so the bytes go to a temporary one. It is not hardened against
//! damaged files as `hdf5-reader` is.

use super::{Extent, Library, Value};
use hdf5_metno::types::{FixedAscii, FixedUnicode, TypeDescriptor, VarLenAscii, VarLenUnicode};
use hdf5_metno::{Container, File, Group, H5Type};
use std::collections::HashMap;
use std::io::Write;
use tempfile::NamedTempFile;

struct System {
    file: File,
    /// Removed when the file is closed.
    _bytes: NamedTempFile,
}

pub(super) fn open(bytes: &[u8]) -> Result<Box<dyn Library>, String> {
    let mut copy = NamedTempFile::new().map_err(|error| error.to_string())?;
    copy.write_all(bytes).map_err(|error| error.to_string())?;
    let file = File::open(copy.path()).map_err(text)?;
    Ok(Box::new(System { file, _bytes: copy }))
}

fn text(error: hdf5_metno::Error) -> String {
    error.to_string()
}

impl System {
    fn group(&self, path: &str) -> hdf5_metno::Result<Group> {
        if path.is_empty() { self.file.as_group() } else { self.file.group(path) }
    }
}

impl Library for System {
    fn has_group(&self, path: &str) -> bool {
        self.group(path).is_ok()
    }

    fn data_sets(&self, group: &str) -> Result<Vec<String>, String> {
        let data_sets = self.group(group).and_then(|group| group.datasets()).map_err(text)?;
        Ok(data_sets.iter().map(|data_set| last(&data_set.name())).collect())
    }

    fn groups(&self, group: &str) -> Result<Vec<String>, String> {
        let groups = self.group(group).and_then(|group| group.groups()).map_err(text)?;
        Ok(groups.iter().map(|group| last(&group.name())).collect())
    }

    fn attributes(&self, group: &str) -> Result<HashMap<String, Value>, String> {
        let group = self.group(group).map_err(text)?;
        let names = group.attr_names().map_err(text)?;
        names
            .into_iter()
            .map(|name| {
                let attribute = group.attr(&name).map_err(text)?;
                Ok((name, value(&attribute).map_err(text)?))
            })
            .collect()
    }

    fn extent(&self, data_set: &str) -> Result<Extent, String> {
        let data_set = self.file.dataset(data_set).map_err(text)?;
        let shape = data_set.shape().iter().map(|&extent| extent as u64).collect();
        let bytes_per_number = data_set.dtype().map_err(text)?.size() as u64;
        Ok(Extent { shape, bytes_per_number, is_chunked: data_set.is_chunked() })
    }

    fn numbers(&self, data_set: &str) -> Result<Vec<f32>, String> {
        self.file.dataset(data_set).and_then(|data_set| data_set.read_raw()).map_err(text)
    }

    fn doubles(&self, data_set: &str) -> Result<Vec<f64>, String> {
        self.file.dataset(data_set).and_then(|data_set| data_set.read_raw()).map_err(text)
    }

    fn texts(&self, data_set: &str) -> Result<Vec<String>, String> {
        let data_set = self.file.dataset(data_set).map_err(text)?;
        match value(&data_set).map_err(text)? {
            Value::Text(text) => Ok(vec![text]),
            Value::Texts(texts) => Ok(texts),
            Value::Empty => Ok(Vec::new()),
            Value::Number(found) => Err(format!("expected strings, found the number {found}")),
            Value::Other(found) => Err(format!("expected strings, found {found}")),
        }
    }
}

/// The name of an object without the groups that it is in.
fn last(path: &str) -> String {
    path.rsplit('/').next().unwrap_or_default().to_string()
}

/// The longest strings of fixed length that are read.
const FIXED: usize = 1 << 16;

/// Strings of an attribute or a data set.
fn value(attribute: &Container) -> hdf5_metno::Result<Value> {
    if attribute.size() == 0 {
        return Ok(Value::Empty);
    }
    match attribute.dtype()?.to_descriptor()? {
        TypeDescriptor::VarLenUnicode => texts::<VarLenUnicode>(attribute),
        TypeDescriptor::VarLenAscii => texts::<VarLenAscii>(attribute),
        TypeDescriptor::FixedUnicode(bytes) if bytes <= FIXED => texts::<FixedUnicode<FIXED>>(attribute),
        TypeDescriptor::FixedAscii(bytes) if bytes <= FIXED => texts::<FixedAscii<FIXED>>(attribute),
        TypeDescriptor::Float(_) | TypeDescriptor::Integer(_) | TypeDescriptor::Unsigned(_)
            if attribute.size() == 1 =>
        {
            Ok(Value::Number(attribute.read_raw::<f64>()?[0]))
        }
        other => Ok(Value::Other(format!("{other:?}"))),
    }
}

fn texts<T: H5Type + AsRef<str>>(attribute: &Container) -> hdf5_metno::Result<Value> {
    let texts: Vec<String> = attribute.read_raw::<T>()?.iter().map(|text| text.as_ref().to_string()).collect();
    Ok(match &texts[..] {
        [one] if attribute.is_scalar() => Value::Text(one.clone()),
        _ => Value::Texts(texts),
    })
}
