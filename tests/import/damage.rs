//! Damaged model files: a message that names the file and the place, never a panic.

use megasim::ann::import;
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use std::path::{Path, PathBuf};

fn data(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(path)
}

/// One small file of each kind.
const FILES: &[&str] = &[
    "zoo/keras/keras3-conv-valid.h5",
    "zoo/keras/keras2-residual.h5",
    "zoo/keras/keras3-conv-valid.keras",
    "zoo/keras/keras2-conv-valid.keras",
    "zoo/onnx/cnn.onnx",
    "zoo/onnx/cnn-unfolded.onnx",
    "models/digits-quantised/qdq.onnx",
    "models/digits-quantised/clip_floor.onnx",
    "zoo/parameters/cnn.pth",
    "zoo/parameters/cnn-safe.safetensors",
    "zoo/parameters/list-h5.h5",
    "zoo/parameters/list-npz.npz",
    "zoo/parameters/new-form.caffemodel",
    "zoo/parameters/old-form.caffemodel",
];

fn read(name: &str, content: &[u8]) -> Result<import::Model, String> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(Path::new(name).file_name().unwrap());
    std::fs::write(&path, content).unwrap();
    for ending in ["toml", "prototxt"] {
        let description = data(name).with_extension(ending);
        if description.exists() {
            std::fs::copy(description, path.with_extension(ending)).unwrap();
        }
    }
    import::read(&path).map_err(|error| {
        let message = error.to_string();
        assert!(message.starts_with(&path.display().to_string()), "{message}");
        message
    })
}

/// `MEGASIM_DAMAGE` sets how many times each file is damaged.
fn rounds() -> usize {
    std::env::var("MEGASIM_DAMAGE").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(150)
}

#[test]
fn truncated_files_are_refused() {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    for name in FILES {
        let content = std::fs::read(data(name)).unwrap();
        assert!(read(name, &content).is_ok());
        for _ in 0..rounds() {
            let end = random.random_range(0..content.len());
            // What is cut off may have been padding.
            let _ = read(name, &content[..end]);
        }
        for end in [0, 4, 100, content.len() / 2] {
            match read(name, &content[..end]) {
                Ok(_) => panic!("{name}: taken without its end"),
                Err(message) => assert!(message.contains("expected"), "{message}"),
            }
        }
    }
}

#[test]
fn flipped_bits_never_panic() {
    let mut random = ChaCha8Rng::seed_from_u64(2);
    for name in FILES {
        let content = std::fs::read(data(name)).unwrap();
        for round in 0..rounds() {
            let mut damaged = content.clone();
            for _ in 0..1 << (round % 8) {
                let at = random.random_range(0..damaged.len());
                damaged[at] ^= 1 << random.random_range(0..8);
            }
            let _ = read(name, &damaged);
        }
    }
}

#[test]
fn other_files_are_refused_by_kind() {
    assert!(read("empty.h5", b"").unwrap_err().contains("an empty file"));
    assert!(read("text.keras", b"hello, this is no model").unwrap_err().contains("Keras .keras"));
    let directory = tempfile::tempdir().unwrap();
    assert!(import::read(directory.path()).unwrap_err().to_string().contains("a directory"));
    assert!(import::read(&directory.path().join("missing.h5")).is_err());
}
