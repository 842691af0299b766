//! Lasagne: parameters as a list of arrays, in `.h5` (`param_00`, `param_01`, ...) or `.npz` (`arr_0`, `arr_1`, ...),
//! and an architecture file next to it ([`super::architecture`]).

use super::architecture::{self, Convention, Parameters};
use super::{ImportError, Imported, ModelFile, first_axes, hdf5};
use crate::graph::AxisOrder;
use megasim_data::npy;
use std::io::Cursor;

/// A file of data sets `param_NN`; a Keras model is none.
pub(super) fn is_h5(file: &ModelFile) -> bool {
    hdf5::is_hdf5(&file.bytes)
        && hdf5::File::open(file.bytes.clone(), "")
            .is_ok_and(|hdf5| hdf5.data_sets("").is_ok_and(|names| names.iter().any(|name| name.starts_with("param_"))))
}

pub(super) fn read_h5(file: &ModelFile) -> Result<Imported, ImportError> {
    let hdf5 = hdf5::File::open(file.bytes.clone(), "")?;
    let mut names = hdf5.data_sets("")?;
    names.sort_by_key(|name| number(name));
    let arrays =
        names.into_iter().map(|name| Ok((name.clone(), hdf5.array(&name)?))).collect::<Result<_, ImportError>>()?;
    build(file, arrays)
}

/// A zip of arrays `arr_N`.
pub(super) fn is_npz(file: &ModelFile) -> bool {
    file.zip_names().iter().any(|name| name == "arr_0.npy")
}

pub(super) fn read_npz(file: &ModelFile) -> Result<Imported, ImportError> {
    let fault = |place: &str, found: String| {
        ImportError::damaged(format!("array '{place}'"), format!("expected numbers, found: {found}"))
    };
    let mut archive =
        zip::ZipArchive::new(Cursor::new(&file.bytes[..])).map_err(|error| fault("zip", error.to_string()))?;
    let mut names: Vec<String> = archive.file_names().map(String::from).collect();
    names.sort_by_key(|name| number(name));
    // For all arrays together: entries of an archive may overlap.
    let mut left = npy::inflated(file.bytes.len() as u64);
    let mut arrays = Vec::new();
    for name in names {
        let mut entry = archive.by_name(&name).map_err(|error| fault(&name, error.to_string()))?;
        let array = npy::read_array(&mut entry, left).map_err(|error| fault(&name, error))?;
        left = left.saturating_sub(array.len() as u64);
        npy::expect_end(&mut entry).map_err(|error| fault(&name, error))?;
        arrays.push((name.clone(), array));
    }
    build(file, arrays)
}

/// The number in a name such as `param_07` or `arr_7.npy`.
fn number(name: &str) -> (u64, String) {
    let digits: String = name.chars().skip_while(|c| !c.is_ascii_digit()).take_while(char::is_ascii_digit).collect();
    (digits.parse().unwrap_or(u64::MAX), name.into())
}

fn build(file: &ModelFile, arrays: Vec<(String, ndarray::ArrayD<f32>)>) -> Result<Imported, ImportError> {
    let (text, place) = file.architecture("toml")?;
    let graph = architecture::build(&text, &place, Parameters { convention: Convention::Lasagne, arrays })?;
    let axes = first_axes(&graph);
    Ok(Imported { graph, input_order: AxisOrder::ChannelsFirst, axes, library: "lasagne", version: None })
}
