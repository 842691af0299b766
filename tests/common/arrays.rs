//! Data as arrays `x` and `y` of an `.npz` file.

use megasim::dataset::npy::{Element, NpzWriter};
use ndarray::{Array, Dimension};
use std::fs::File;
use std::path::Path;

/// Writes samples and their classes.
pub fn write_npz<X: Element, D: Dimension, Y: Element, E: Dimension>(path: &Path, x: &Array<X, D>, y: &Array<Y, E>) {
    let mut npz = NpzWriter::new(File::create(path).unwrap());
    npz.add("x", x).unwrap();
    npz.add("y", y).unwrap();
    npz.finish().unwrap();
}
