//! NumPy's arrays, read plainly: what the program writes, and what NumPy wrote.

use megasim::dataset::npy::{Element, write};
use ndarray::{Array, Dimension, IxDyn, ShapeBuilder};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use zip::ZipArchive;

/// A type of numbers, from their bytes, the least significant first.
pub trait Number: Element {
    fn of(bytes: &[u8]) -> Self;
}

macro_rules! numbers {
    ($($number:ty),*) => {
        $(impl Number for $number {
            fn of(bytes: &[u8]) -> Self {
                Self::from_le_bytes(bytes.try_into().unwrap())
            }
        })*
    };
}

numbers!(u8, i8, u32, i32, i64, f32, f64);

impl Number for bool {
    fn of(bytes: &[u8]) -> Self {
        bytes[0] != 0
    }
}

/// The array of a `.npy` file, if its numbers are of this type and its axes as many.
fn array<T: Number, D: Dimension>(bytes: &[u8]) -> Result<Array<T, D>, String> {
    let start = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let header = std::str::from_utf8(&bytes[10..start]).map_err(|error| error.to_string())?;
    if !header.contains(&format!("'descr': '{}'", T::DESCR)) {
        return Err(format!("expected numbers {}, found {header}", T::DESCR));
    }
    let sizes = header.split_once("'shape': (").and_then(|(_, rest)| rest.split_once(')')).expect("a shape").0;
    let sizes = sizes.split(',').map(str::trim).filter(|size| !size.is_empty());
    let shape: Vec<usize> = sizes.map(|size| size.parse().expect("a size")).collect();
    let numbers = bytes[start..].chunks_exact(size_of::<T>()).map(T::of).collect();
    let shape = IxDyn(&shape).set_f(header.contains("'fortran_order': True"));
    let array = Array::from_shape_vec(shape, numbers).map_err(|error| error.to_string())?;
    array.into_dimensionality().map_err(|error| error.to_string())
}

/// Reads a `.npy` file.
pub fn read_npy<T: Number, D: Dimension>(path: impl AsRef<Path>) -> Result<Array<T, D>, String> {
    array(&std::fs::read(path).map_err(|error| error.to_string())?)
}

/// Writes a `.npy` file.
pub fn write_npy<T: Element, D: Dimension>(path: impl AsRef<Path>, values: &Array<T, D>) -> io::Result<()> {
    write(&mut File::create(path)?, values)
}

/// An `.npz` file.
pub struct NpzReader(ZipArchive<File>);

impl NpzReader {
    pub fn new(file: File) -> Result<Self, String> {
        ZipArchive::new(file).map(Self).map_err(|error| error.to_string())
    }

    /// Names of the arrays.
    pub fn names(&self) -> Vec<String> {
        self.0.file_names().map(|name| name.trim_end_matches(".npy").into()).collect()
    }

    pub fn by_name<T: Number, D: Dimension>(&mut self, name: &str) -> Result<Array<T, D>, String> {
        let mut bytes = Vec::new();
        let mut entry = self.0.by_name(&format!("{name}.npy")).map_err(|error| error.to_string())?;
        entry.read_to_end(&mut bytes).map_err(|error| error.to_string())?;
        array(&bytes)
    }
}
