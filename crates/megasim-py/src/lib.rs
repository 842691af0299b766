//! The Python package `megasim`: numpy arrays to the library's types and back. What a person calls is in
//! `python/megasim`.

mod array;
mod error;
mod mode;
mod model;
mod netfiles;
mod network;
mod simulation;
mod stdp;
mod work;

use pyo3::prelude::*;
use std::ffi::OsString;

/// Runs the program; the exit status.
#[pyfunction]
fn main(py: Python<'_>, words: Vec<OsString>) -> u8 {
    py.detach(|| megasim::cli::main(words))
}

/// The library behind `megasim`.
#[pymodule]
fn _megasim(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add("ConversionError", module.py().get_type::<error::ConversionError>())?;
    module.add_function(wrap_pyfunction!(main, module)?)?;
    module.add_class::<model::Model>()?;
    module.add_class::<network::Network>()?;
    module.add_class::<simulation::Simulation>()?;
    netfiles::add(module)?;
    stdp::add(module)
}
