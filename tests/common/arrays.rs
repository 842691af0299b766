//! Data as arrays `x` and `y` of an `.npz` file.

use ndarray::{Array, Dimension};
use ndarray_npy::{NpzWriter, WritableElement};
use std::fs::File;
use std::path::Path;

/// Writes samples and their classes.
pub fn write_npz<X: WritableElement, D: Dimension, Y: WritableElement, E: Dimension>(
    path: &Path,
    x: &Array<X, D>,
    y: &Array<Y, E>,
) {
    let mut npz = NpzWriter::new(File::create(path).unwrap());
    npz.add_array("x", x).unwrap();
    npz.add_array("y", y).unwrap();
    npz.finish().unwrap();
}
