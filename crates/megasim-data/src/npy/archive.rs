//! Arrays of an `.npz` archive, by name.

use super::{expect_end, inflated, read_array};
use ndarray::ArrayD;
use std::io::{Read, Seek, SeekFrom};
use zip::ZipArchive;
use zip::result::ZipError;

/// Why an archive, or an array of it, cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum NpzError {
    /// It is no archive.
    #[error("expected an .npz archive, found a file that is none, or is damaged or incomplete: {0}")]
    Archive(ZipError),
    /// There is no array of this name.
    #[error("expected it in the archive, found: {0}")]
    Missing(ZipError),
    /// The array is damaged, or one of something else than real numbers.
    #[error("{0}")]
    Array(String),
}

/// Reads arrays of real numbers from an `.npz` archive. All of them together may be as large as the file can hold.
///
/// ```
/// use megasim_data::npy::{NpzReader, NpzWriter};
/// use std::io::Cursor;
/// let mut archive = NpzWriter::new(Cursor::new(Vec::new()));
/// archive.add("x", &ndarray::array![0.5f32, 1.0])?;
/// let mut archive = NpzReader::new(archive.finish()?)?;
/// assert!(archive.has("x") && !archive.has("y"));
/// assert_eq!(archive.array("x")?, ndarray::array![0.5, 1.0].into_dyn());
/// assert!(archive.array("y").is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct NpzReader<R> {
    archive: ZipArchive<R>,
    /// Bytes that the arrays to come may have together.
    left: u64,
}

impl<R: Read + Seek> NpzReader<R> {
    /// Reads the list of contents.
    ///
    /// # Errors
    /// [`NpzError::Archive`].
    pub fn new(mut source: R) -> Result<Self, NpzError> {
        let size = source.seek(SeekFrom::End(0)).map_err(|error| NpzError::Archive(error.into()))?;
        Ok(Self { archive: ZipArchive::new(source).map_err(NpzError::Archive)?, left: inflated(size) })
    }

    /// Names of what is in it: arrays without their ending `.npy`, other files whole.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.archive.file_names().map(|name| name.strip_suffix(".npy").unwrap_or(name))
    }

    /// Whether there is an array of this name.
    pub fn has(&self, name: &str) -> bool {
        self.archive.index_for_name(&format!("{name}.npy")).is_some()
    }

    /// A whole array in the order of its axes, whatever the kind of its numbers.
    ///
    /// # Errors
    /// [`NpzError::Missing`] and [`NpzError::Array`].
    pub fn array(&mut self, name: &str) -> Result<ArrayD<f32>, NpzError> {
        let mut entry = self.archive.by_name(&format!("{name}.npy")).map_err(NpzError::Missing)?;
        let array = read_array(&mut entry, self.left).map_err(NpzError::Array)?;
        self.left = self.left.saturating_sub(array.len() as u64);
        expect_end(&mut entry).map_err(NpzError::Array)?;
        Ok(array)
    }
}
