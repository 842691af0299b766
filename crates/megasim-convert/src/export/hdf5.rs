//! HDF5 files in memory: data sets and attributes by their paths, by the crate `hdf5-writer`. Groups are made as paths
//! need them.

use hdf5_writer::{AttributeBuilder, DatasetBuilder, Error, H5WriteElement, Hdf5Builder, WriteOptions};

/// A file that is filled.
#[derive(Default)]
pub(super) struct File(Hdf5Builder);

impl File {
    fn add(&mut self, data_set: Result<DatasetBuilder, Error>) -> Result<(), String> {
        let data_set = data_set.map_err(|error| error.to_string())?;
        self.0 = std::mem::take(&mut self.0).dataset(data_set);
        Ok(())
    }

    /// An array of numbers.
    pub(super) fn numbers<T: H5WriteElement>(
        &mut self,
        path: String,
        shape: &[usize],
        values: &[T],
    ) -> Result<(), String> {
        self.add(DatasetBuilder::typed_data(path, extents(shape), values))
    }

    /// An array of strings of any length.
    pub(super) fn texts(&mut self, path: String, shape: &[usize], values: &[&str]) -> Result<(), String> {
        self.add(DatasetBuilder::vlen_string_data(path, extents(shape), values))
    }

    /// The content of the file.
    ///
    /// # Errors
    /// Where two data sets have one path, or a name is empty.
    pub(super) fn finish(self) -> Result<Vec<u8>, String> {
        let plan = self.0.into_plan().map_err(|error| error.to_string())?;
        plan.encode(WriteOptions::default()).map_err(|error| error.to_string())
    }
}

/// What only NIR's data need.
#[cfg(feature = "nir")]
impl File {
    /// A number of a group.
    pub(super) fn attribute<T: H5WriteElement>(&mut self, group: &str, name: &str, value: T) -> Result<(), String> {
        self.add_attribute(group, AttributeBuilder::scalar(name, value))
    }

    /// A string of a group, or of the file (an empty path): an array of one string, as the crate writes no single
    /// ones. Package `nir` compares it with a string as it does a single one.
    pub(super) fn text_attribute(&mut self, group: &str, name: &str, value: &str) -> Result<(), String> {
        self.add_attribute(group, AttributeBuilder::vlen_strings(name, &[value]))
    }

    fn add_attribute(&mut self, group: &str, attribute: Result<AttributeBuilder, Error>) -> Result<(), String> {
        let attribute = attribute.map_err(|error| error.to_string())?;
        let file = std::mem::take(&mut self.0);
        self.0 = if group.is_empty() { file.attribute(attribute) } else { file.group_attribute(group, attribute) };
        Ok(())
    }
}

fn extents(shape: &[usize]) -> Vec<u64> {
    shape.iter().map(|&extent| extent as u64).collect()
}
