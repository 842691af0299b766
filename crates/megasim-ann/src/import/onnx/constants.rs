//! Constants of an ONNX graph: initialisers, also in files next to the model.

use super::super::{Companion, ImportError, ModelFile, half};
use super::proto;
use ndarray::{ArrayD, IxDyn};
use std::path::Path;

/// A known array. Integers of shape arithmetic are exact in 64 bits.
#[derive(Debug, Clone)]
pub(super) enum Constant {
    Floats(ArrayD<f32>),
    Integers(ArrayD<i64>),
}

impl Constant {
    /// Decodes a tensor of this model; its numbers may be in a file next to it.
    pub(super) fn decode(tensor: &proto::Tensor, file: &ModelFile) -> Result<Self, ImportError> {
        let name = &tensor.name;
        let fault = |message: String| ImportError::damaged(format!("tensor '{name}'"), message);
        let shape: Option<Vec<usize>> = tensor.dims.iter().map(|&size| usize::try_from(size).ok()).collect();
        let shape = shape.ok_or_else(|| fault(format!("expected sizes, found {:?}", tensor.dims)))?;
        let elements = shape.iter().try_fold(1usize, |n, &size| n.checked_mul(size));
        let elements = elements.ok_or_else(|| fault(format!("expected sizes in range, found {shape:?}")))?;
        let external;
        let raw = if tensor.data_location == 1 {
            external = read_external(tensor, file).map_err(fault)?;
            &external
        } else {
            &tensor.raw_data
        };
        // Numbers of the public schema's DataType.
        let floats: Option<Vec<f32>> = match tensor.data_type {
            1 if raw.is_empty() => Some(tensor.float_data.clone()),
            1 => Some(raw.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()),
            11 if raw.is_empty() => Some(tensor.double_data.iter().map(|&x| x as f32).collect()),
            11 => Some(raw.chunks_exact(8).map(|b| f64::from_bits(little(b)) as f32).collect()),
            10 if !raw.is_empty() => {
                Some(raw.chunks_exact(2).map(|b| half(u16::from_le_bytes([b[0], b[1]]))).collect())
            }
            10 => Some(tensor.int32_data.iter().map(|&bits| half(bits as u16)).collect()),
            16 if !raw.is_empty() => {
                Some(raw.chunks_exact(2).map(|b| f32::from_bits((little(b) as u32) << 16)).collect())
            }
            _ => None,
        };
        let integers: Option<Vec<i64>> = match tensor.data_type {
            7 if raw.is_empty() => Some(tensor.int64_data.clone()),
            7 => Some(raw.chunks_exact(8).map(|b| little(b) as i64).collect()),
            6 | 9 | 2..=5 if raw.is_empty() => Some(tensor.int32_data.iter().map(|&x| x.into()).collect()),
            6 => Some(raw.chunks_exact(4).map(|b| (little(b) as u32 as i32).into()).collect()),
            9 | 2 => Some(raw.iter().map(|&x| x.into()).collect()),
            3 => Some(raw.iter().map(|&x| (x as i8).into()).collect()),
            4 => Some(raw.chunks_exact(2).map(|b| little(b) as i64).collect()),
            5 => Some(raw.chunks_exact(2).map(|b| (little(b) as u16 as i16).into()).collect()),
            _ => None,
        };
        let wrong = |found: usize| fault(format!("expected {elements} numbers for shape {shape:?}, found {found}"));
        match (floats, integers) {
            (Some(values), _) => {
                let found = values.len();
                ArrayD::from_shape_vec(IxDyn(&shape), values).map(Self::Floats).map_err(|_| wrong(found))
            }
            (_, Some(values)) => {
                let found = values.len();
                ArrayD::from_shape_vec(IxDyn(&shape), values).map(Self::Integers).map_err(|_| wrong(found))
            }
            (None, None) => Err(fault(format!("expected real numbers, found data type {}", tensor.data_type))),
        }
    }

    pub(super) fn shape(&self) -> &[usize] {
        match self {
            Self::Floats(array) => array.shape(),
            Self::Integers(array) => array.shape(),
        }
    }

    /// Memory that the numbers take.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Floats(array) => size_of_val(array.as_slice_memory_order().unwrap_or_default()),
            Self::Integers(array) => size_of_val(array.as_slice_memory_order().unwrap_or_default()),
        }
    }

    pub(super) fn floats(&self) -> ArrayD<f32> {
        match self {
            Self::Floats(array) => array.clone(),
            Self::Integers(array) => array.mapv(|x| x as f32),
        }
    }

    /// The numbers in order, where they are whole.
    pub(super) fn integers(&self) -> Option<Vec<i64>> {
        match self {
            Self::Integers(array) => Some(array.iter().copied().collect()),
            Self::Floats(array) => {
                array.iter().map(|&x| (x.fract() == 0.0 && x.abs() < 1e9).then_some(x as i64)).collect()
            }
        }
    }

    pub(super) fn of_integers(values: Vec<i64>) -> Self {
        Self::Integers(ArrayD::from_shape_vec(IxDyn(&[values.len()]), values).expect("one axis"))
    }

    pub(super) fn reshape(self, shape: &[usize]) -> Option<Self> {
        Some(match self {
            Self::Floats(array) => {
                Self::Floats(array.as_standard_layout().into_owned().into_shape_with_order(shape).ok()?)
            }
            Self::Integers(array) => {
                Self::Integers(array.as_standard_layout().into_owned().into_shape_with_order(shape).ok()?)
            }
        })
    }
}

fn little(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte))
}

/// Numbers in a regular file of the model's folder. Neither the name nor a symbolic link may lead out of it.
fn read_external(tensor: &proto::Tensor, model: &ModelFile) -> Result<Vec<u8>, String> {
    use std::io::{Read, Seek, SeekFrom};
    let value =
        |key: &str| tensor.external_data.iter().find(|entry| entry.key == key).map(|entry| entry.value.as_str());
    let location = value("location").ok_or("expected the 'location' of its external data, found none")?;
    let is_plain = Path::new(location).components().all(|part| matches!(part, std::path::Component::Normal(_)));
    if !is_plain || location.is_empty() {
        return Err(format!("expected external data in the folder of the model, found '{location}'"));
    }
    let number = |key: &str| {
        let number = value(key).map(str::parse::<u64>).transpose();
        number.map_err(|_| format!("expected a number as '{key}' of external data, found {:?}", value(key)))
    };
    let path = model.folder().join(location);
    let unreadable = |error: std::io::Error| format!("external data '{}' cannot be read: {error}", path.display());
    let folder = model.folder().canonicalize().map_err(unreadable)?;
    let target = path.canonicalize().map_err(unreadable)?;
    if !target.starts_with(&folder) {
        return Err(format!(
            "expected external data in the folder of the model, found '{location}', a link to {}",
            target.display()
        ));
    }
    // Opening a pipe or a device may wait for ever.
    if !target.metadata().map_err(unreadable)?.is_file() {
        return Err(format!("expected external data in a regular file, found '{}', which is none", path.display()));
    }
    let mut file = std::fs::File::open(&target).map_err(unreadable)?;
    let size = file.metadata().map_err(unreadable)?.len();
    let offset = number("offset")?.unwrap_or(0);
    let rest = size.checked_sub(offset).ok_or_else(|| format!("expected offset {offset} in a file of {size} bytes"))?;
    let length = number("length")?.unwrap_or(rest);
    if length > rest {
        return Err(format!("expected {length} bytes from {offset} in '{location}', found {rest}"));
    }
    file.seek(SeekFrom::Start(offset)).map_err(unreadable)?;
    let mut bytes = Vec::new();
    file.take(length).read_to_end(&mut bytes).map_err(unreadable)?;
    let mut companions = model.companions.borrow_mut();
    let companion = Companion { path, name: location.into() };
    if !companions.contains(&companion) {
        companions.push(companion);
    }
    Ok(bytes)
}
