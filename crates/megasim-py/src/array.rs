//! Arrays of numbers from Python.

use megasim::dataset::npy::Array;
use numpy::{PyReadonlyArrayDyn, PyUntypedArrayMethods};
use pyo3::prelude::*;

/// Samples or labels, as `python/megasim/_arrays.py` prepares them: in C order, bytes or 32-bit floats.
#[derive(FromPyObject)]
pub enum Numbers<'py> {
    Bytes(PyReadonlyArrayDyn<'py, u8>),
    Floats(PyReadonlyArrayDyn<'py, f32>),
}

impl Numbers<'_> {
    /// As the readers of files give arrays.
    pub fn array(&self) -> Array {
        match self {
            Self::Bytes(array) => Array {
                shape: array.shape().to_vec(),
                values: array.as_array().iter().map(|&value| f32::from(value)).collect(),
                is_bytes: true,
            },
            Self::Floats(array) => Array {
                shape: array.shape().to_vec(),
                values: match array.as_slice() {
                    Ok(values) => values.to_vec(),
                    Err(_) => array.as_array().iter().copied().collect(),
                },
                is_bytes: false,
            },
        }
    }
}
