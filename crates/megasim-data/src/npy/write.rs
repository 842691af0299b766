//! Writes arrays as NumPy's `.npy` and `.npz`.

use ndarray::{ArrayBase, Data, Dimension};
use std::io::{self, Seek, Write};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// A type of numbers in an array: its name in the header, and its bytes, least significant first.
pub trait Element: Copy {
    /// NumPy's name of the type.
    const DESCR: &'static str;
    /// Appends the bytes of numbers.
    fn append(numbers: &[Self], bytes: &mut Vec<u8>);
}

macro_rules! element {
    ($($number:ty = $descr:literal),*) => {
        $(impl Element for $number {
            const DESCR: &'static str = $descr;
            fn append(numbers: &[Self], bytes: &mut Vec<u8>) {
                numbers.iter().for_each(|number| bytes.extend_from_slice(&number.to_le_bytes()));
            }
        })*
    };
}

element! {
    u8 = "|u1", i8 = "|i1", u16 = "<u2", i16 = "<i2", u32 = "<u4", i32 = "<i4", u64 = "<u8", i64 = "<i8",
    f32 = "<f4", f64 = "<f8"
}

impl Element for bool {
    const DESCR: &'static str = "|b1";
    fn append(numbers: &[Self], bytes: &mut Vec<u8>) {
        bytes.extend(numbers.iter().map(|&number| u8::from(number)));
    }
}

/// The start of a file of numbers of this shape, which follow with the last axis fastest.
pub fn header<T: Element>(shape: &[usize]) -> Vec<u8> {
    let sizes: String = shape.iter().map(|size| format!("{size}, ")).collect();
    let sizes = if shape.len() == 1 { sizes.trim_end() } else { sizes.trim_end_matches(", ") };
    let text = format!("{{'descr': '{}', 'fortran_order': False, 'shape': ({sizes}), }}", T::DESCR);
    // Magic, version, length, text and a line feed fill a multiple of 64 bytes.
    let length = (10 + text.len() + 1).next_multiple_of(64) - 10;
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((length as u16).to_le_bytes());
    bytes.extend(format!("{text:<width$}\n", width = length - 1).as_bytes());
    bytes
}

/// Writes an array as `.npy`.
///
/// ```
/// let mut bytes = Vec::new();
/// megasim_data::npy::write(&mut bytes, &ndarray::array![[1u8, 2], [3, 4]])?;
/// assert_eq!(bytes.len(), 128 + 4);
/// assert!(String::from_utf8_lossy(&bytes).contains("'descr': '|u1', 'fortran_order': False, 'shape': (2, 2), "));
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
/// What the writer reports.
pub fn write<T: Element, D: Dimension>(
    writer: &mut (impl Write + ?Sized),
    array: &ArrayBase<impl Data<Elem = T>, D>,
) -> io::Result<()> {
    const BLOCK: usize = 8192;
    writer.write_all(&header::<T>(array.shape()))?;
    let array = array.as_standard_layout();
    let mut bytes = Vec::with_capacity(BLOCK * size_of::<T>());
    for numbers in array.as_slice().unwrap_or_default().chunks(BLOCK) {
        bytes.clear();
        T::append(numbers, &mut bytes);
        writer.write_all(&bytes)?;
    }
    Ok(())
}

/// Writes arrays into an `.npz` archive. Archives of the same arrays have the same bytes.
///
/// ```
/// use std::io::Cursor;
/// let mut archive = megasim_data::npy::NpzWriter::new(Cursor::new(Vec::new()));
/// archive.add("x", &ndarray::array![0.5f32, 1.0])?;
/// let bytes = archive.finish()?.into_inner();
/// assert!(bytes.starts_with(b"PK"));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct NpzWriter<W: Write + Seek> {
    zip: ZipWriter<W>,
    options: SimpleFileOptions,
}

impl<W: Write + Seek> NpzWriter<W> {
    /// An archive whose arrays are stored as they are.
    pub fn new(writer: W) -> Self {
        Self::with(writer, CompressionMethod::Stored)
    }

    /// An archive whose arrays are compressed.
    pub fn compressed(writer: W) -> Self {
        Self::with(writer, CompressionMethod::Deflated)
    }

    fn with(writer: W, method: CompressionMethod) -> Self {
        let options = SimpleFileOptions::default().compression_method(method).large_file(false);
        Self { zip: ZipWriter::new(writer), options }
    }

    /// Adds an array; NumPy reads it by this name.
    ///
    /// # Errors
    /// What the writer reports; a name that is there already.
    pub fn add<T: Element, D: Dimension>(
        &mut self,
        name: &str,
        array: &ArrayBase<impl Data<Elem = T>, D>,
    ) -> io::Result<()> {
        let bytes = array.len().saturating_mul(size_of::<T>());
        // Zip's usual fields hold sizes below 4 GiB.
        let options = self.options.large_file(bytes >= (1 << 32) - (1 << 20));
        self.zip.start_file(format!("{name}.npy"), options)?;
        write(&mut self.zip, array)
    }

    /// Writes the list of contents and gives the writer back.
    ///
    /// # Errors
    /// What the writer reports.
    pub fn finish(self) -> io::Result<W> {
        Ok(self.zip.finish()?)
    }
}
