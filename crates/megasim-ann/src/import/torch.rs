//! PyTorch state dictionaries: `.pth` and `.pt` as `torch.save(model.state_dict())` writes them, and `.safetensors`;
//! with an architecture file next to them ([`super::architecture`]).

mod pickle;

use super::architecture::{self, Convention, Parameters};
use super::{ImportError, Imported, ModelFile, first_axes};
use crate::graph::AxisOrder;
use ndarray::{ArrayD, IxDyn};
use serde_json::Value;
use std::io::{Cursor, Read};

/// How much larger than their file all tensors together may be.
const MAX_SHARING: u64 = 16;

/// A zip that holds `NAME/data.pkl`.
pub(super) fn is_zip(file: &ModelFile) -> bool {
    file.zip_names().iter().any(|name| name.ends_with("/data.pkl"))
}

pub(super) fn read_zip(file: &ModelFile) -> Result<Imported, ImportError> {
    let damaged = |place: &str, found: &dyn std::fmt::Display| {
        ImportError::damaged(place, format!("expected a PyTorch archive, found: {found}"))
    };
    let mut archive = zip::ZipArchive::new(Cursor::new(&file.bytes[..])).map_err(|error| damaged("zip", &error))?;
    let names = file.zip_names();
    let name = names.iter().find(|name| name.ends_with("/data.pkl")).ok_or_else(|| damaged("zip", &"no data.pkl"))?;
    let folder = name.trim_end_matches("data.pkl");
    // PyTorch stores without compression.
    let most = file.bytes.len() as u64;
    let mut entry = |name: &str| -> Result<Vec<u8>, ImportError> {
        let mut content = Vec::new();
        let entry = archive.by_name(name).map_err(|error| damaged(name, &error))?;
        entry.take(most).read_to_end(&mut content).map_err(|error| damaged(name, &error))?;
        Ok(content)
    };
    let pickled = entry(name)?;
    let tensors = pickle::state_dictionary(&pickled).map_err(|message| ImportError::damaged(name, message))?;
    let mut arrays = Vec::new();
    // Tensors may share a storage, as tied weights do, but not without end.
    let mut left = most.saturating_mul(MAX_SHARING);
    for tensor in tensors {
        let content = entry(&format!("{folder}data/{}", tensor.storage))?;
        let fault = |message: String| ImportError::damaged(format!("tensor '{}'", tensor.name), message);
        left = left.checked_sub(content.len() as u64).ok_or_else(|| {
            fault(format!("expected tensors of at most {MAX_SHARING} times the size of the file, found more"))
        })?;
        arrays.push((tensor.name.clone(), tensor.array(&content).map_err(fault)?));
    }
    build(file, arrays)
}

/// The older form, or a pickle of anything else.
pub(super) fn is_bare_pickle(file: &ModelFile) -> bool {
    matches!(&file.bytes[..], [0x80, 2..=5, ..])
}

pub(super) fn refuse_pickle(_: &ModelFile) -> Result<Imported, ImportError> {
    Err(ImportError::damaged(
        "pickle",
        "expected arrays, found a pickle, which is a program; save PyTorch parameters with \
            torch.save(model.state_dict(), FILE) of \
         version 1.6 or later or as .safetensors, and Lasagne's with numpy.savez",
    ))
}

pub(super) fn is_safetensors(file: &ModelFile) -> bool {
    file.has_extension("safetensors")
}

pub(super) fn read_safetensors(file: &ModelFile) -> Result<Imported, ImportError> {
    let fault = |message: String| ImportError::damaged("safetensors", message);
    let bytes = &file.bytes[..];
    let length = bytes.first_chunk::<8>().map(|length| u64::from_le_bytes(*length));
    let header = length.and_then(|length| Some((usize::try_from(length).ok()?.checked_add(8)?, ())));
    let Some((start, header)) = header.and_then(|(start, ())| Some((start, bytes.get(8..start)?))) else {
        return Err(fault(format!("expected a header in a file of {} bytes, found none that fits", bytes.len())));
    };
    let header: Value =
        serde_json::from_slice(header).map_err(|error| fault(format!("expected JSON as header, found: {error}")))?;
    let header = header.as_object().ok_or_else(|| fault("expected an object as header".into()))?;
    let mut arrays = Vec::new();
    for (name, entry) in header.iter().filter(|(name, _)| *name != "__metadata__") {
        let fault = |message: String| ImportError::damaged(format!("tensor '{name}'"), message);
        let offset = |place: usize| {
            entry
                .pointer(&format!("/data_offsets/{place}"))
                .and_then(Value::as_u64)
                .and_then(|at| usize::try_from(at).ok())
        };
        let content =
            offset(0).zip(offset(1)).and_then(|(from, to)| bytes.get(start.checked_add(from)?..start.checked_add(to)?));
        let content = content.ok_or_else(|| fault("expected offsets within the file".into()))?;
        let shape = entry.get("shape").and_then(Value::as_array);
        let shape = shape.and_then(|sizes| {
            sizes.iter().map(|size| usize::try_from(size.as_u64()?).ok()).collect::<Option<Vec<_>>>()
        });
        let shape = shape.ok_or_else(|| fault("expected a shape".into()))?;
        let kind = entry.get("dtype").and_then(Value::as_str).unwrap_or_default();
        let values = match kind {
            "F32" => numbers(content, pickle::Element::Float),
            "F64" => numbers(content, pickle::Element::Double),
            "F16" => numbers(content, pickle::Element::Half),
            "BF16" => numbers(content, pickle::Element::BrainFloat),
            "I64" => numbers(content, pickle::Element::Long),
            "I32" => numbers(content, pickle::Element::Int),
            other => return Err(fault(format!("expected real numbers, found dtype '{other}'"))),
        };
        let found = values.len();
        let array = ArrayD::from_shape_vec(IxDyn(&shape), values);
        let array = array.map_err(|_| fault(format!("expected numbers for shape {shape:?}, found {found}")))?;
        arrays.push((offset(0), name.clone(), array));
    }
    // In the order of the data, which is that of the layers where the writer kept it.
    arrays.sort_by_key(|(offset, ..)| *offset);
    build(file, arrays.into_iter().map(|(_, name, array)| (name, array)).collect())
}

fn numbers(bytes: &[u8], element: pickle::Element) -> Vec<f32> {
    bytes.chunks_exact(element.size()).map(|bytes| element.decode(bytes)).collect()
}

fn build(file: &ModelFile, mut arrays: Vec<(String, ArrayD<f32>)>) -> Result<Imported, ImportError> {
    // Wrappers for training put a name before all others.
    for prefix in ["module.", "_orig_mod."] {
        if arrays.iter().all(|(name, _)| name.starts_with(prefix)) {
            arrays.iter_mut().for_each(|(name, _)| drop(name.drain(..prefix.len())));
        }
    }
    let (text, place) = file.architecture("toml")?;
    let graph = architecture::build(&text, &place, Parameters { convention: Convention::PyTorch, arrays })?;
    let axes = first_axes(&graph);
    Ok(Imported { graph, input_order: AxisOrder::ChannelsFirst, axes, library: "pytorch", version: None })
}
