//! Files that are not models, or models of other kinds: what they are and what to do.

#[cfg(any(feature = "keras", feature = "lasagne", feature = "nir"))]
use super::hdf5;
use super::{ImportError, ModelFile};
use std::path::Path;

/// A directory that holds a model of another kind.
pub(super) fn directory(path: &Path) -> Option<ImportError> {
    if !path.is_dir() {
        return None;
    }
    let holds = |name: &str| path.join(name).exists();
    if holds("saved_model.pb") || holds("keras_metadata.pb") {
        return Some(saved_model());
    }
    holds("pytorch_model.bin").then(|| ImportError::Recognised {
        found: "a directory of a model hub",
        advice: "give one of its files, with --architecture".into(),
    })
}

fn saved_model() -> ImportError {
    ImportError::Recognised {
        found: "a TensorFlow SavedModel",
        advice:
            "save it with model.save('model.keras'), or export it with: python -m tf2onnx.convert --saved-model DIR \
                 --output model.onnx"
                .into(),
    }
}

/// A file that is known not to be a model that can be read, whatever its name.
pub(super) fn file(file: &ModelFile) -> Option<ImportError> {
    let bytes = &file.bytes[..];
    let text = |start: &str| {
        let rest = bytes.trim_ascii_start();
        rest.get(..start.len()).is_some_and(|own| own.eq_ignore_ascii_case(start.as_bytes()))
    };
    let recognised = |found, advice: &str| Some(ImportError::Recognised { found, advice: advice.into() });
    if bytes.starts_with(b"version https://git-lfs") {
        return recognised(
            "a pointer of Git LFS, not the file itself",
            "'git lfs install' and 'git lfs pull' in its repository fetch the file",
        );
    }
    if bytes.get(4..8) == Some(b"TFL3") {
        return recognised(
            "a TensorFlow Lite model",
            "export the network that it was made from: model.save('model.keras'), or to ONNX with \
             python -m tf2onnx.convert --tflite FILE --output model.onnx",
        );
    }
    if text("<!doctype html") || text("<html") {
        return recognised("a web page", "download the file itself: pages of repositories have a link to the raw file");
    }
    if bytes.starts_with(&[0x1f, 0x8b]) {
        return recognised("a gzip archive", "unpack it with gunzip or tar");
    }
    if file.path.file_name().is_some_and(|name| name == "saved_model.pb") {
        return Some(saved_model());
    }
    spiking(file)
}

/// A spiking network, as HDF5.
#[cfg(any(feature = "keras", feature = "lasagne", feature = "nir"))]
fn spiking(file: &ModelFile) -> Option<ImportError> {
    let hdf5 = hdf5::is_hdf5(&file.bytes).then(|| hdf5::File::open(file.bytes.clone(), "").ok()).flatten()?;
    if hdf5.has_group("node/nodes") {
        return Some(ImportError::Recognised {
            found: "a spiking network in NIR (Neuromorphic Intermediate Representation)",
            advice: "named .nir, 'megasim convert' and 'megasim inspect' read it; it is no analog network".into(),
        });
    }
    let found = if hdf5.has_group("layer/0") || file.has_extension("net") {
        "a network of Lava (lava-dl)"
    } else {
        return None;
    };
    let advice = "spiking networks are not converted; give the trained network that it was made from".into();
    Some(ImportError::Recognised { found, advice })
}

#[cfg(not(any(feature = "keras", feature = "lasagne", feature = "nir")))]
fn spiking(_: &ModelFile) -> Option<ImportError> {
    None
}
