//! Images as stimuli of a single-spike network, kept on disk with `--cache`, so that the same images are encoded once.
//!
//! A file is named by the SHA-256 of what decides its content: the version, the encoding, the pixels. Its content
//! follows the SHA-256 of itself; a damaged file is made again.

use super::diagnostic::report;
use super::output;
use megasim::atomic_write::{self, Overwrite};
use megasim::dataset::Samples;
use megasim::learning::{Description, Encoder, Error, Stimuli};
use miette::{Result, miette};
use ndarray::Array3;
use sha2::{Digest, Sha256};
use std::fs;
use std::path::{Path, PathBuf};

/// Encoded samples; a message tells the number of one that cannot be, counted from the first in the file, `skip` before
/// these.
pub fn stimuli(
    encoder: &Encoder,
    description: &Description,
    samples: &Samples,
    skip: usize,
    cache: Option<&Path>,
) -> Result<Stimuli> {
    let dim = (samples.y.len(), description.input.height, description.input.width);
    let images = Array3::from_shape_vec(dim, samples.x.iter().copied().collect()).map_err(report)?;
    let kept = cache.map(|directory| file(directory, description, &images)).transpose()?;
    if let Some(stimuli) = kept.as_ref().and_then(|path| read(path, encoder, &samples.y)) {
        return Ok(stimuli);
    }
    let stimuli = Stimuli::encode(encoder, images.view(), &samples.y).map_err(|error| match error {
        Error::Image { number, source } => report(Error::Image { number: number + skip, source }),
        other => report(other),
    })?;
    if let Some(path) = &kept {
        let bytes = stimuli.to_bytes().map_err(report)?;
        atomic_write::write_file(path, Overwrite::Allow, |file| {
            file.write_all(&Sha256::digest(&bytes))?;
            file.write_all(&bytes)
        })
        .map_err(report)?;
    }
    Ok(stimuli)
}

/// Where these images are kept; the directory is made.
fn file(directory: &Path, description: &Description, images: &Array3<f32>) -> Result<PathBuf> {
    atomic_write::make_directory(directory)
        .map_err(|error| miette!("{}: cannot be made: {error}", directory.display()))?;
    let mut hash = Sha256::new();
    hash.update(env!("CARGO_PKG_VERSION"));
    let encoding = serde_json::to_vec(&(&description.input, &description.encoding, images.dim())).map_err(report)?;
    hash.update(encoding);
    images.iter().for_each(|pixel| hash.update(pixel.to_le_bytes()));
    let name: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(directory.join(format!("{name}.stimuli")))
}

/// What is kept, if it is there and whole.
fn read(path: &Path, encoder: &Encoder, labels: &[usize]) -> Option<Stimuli> {
    let bytes = fs::read(path).ok()?;
    let (hash, waves) = bytes.split_at_checked(32)?;
    let whole = Sha256::digest(waves).as_slice() == hash;
    let stimuli = whole.then(|| Stimuli::from_bytes(waves, encoder.shape(), labels)).flatten();
    if stimuli.is_none() {
        output::warn(format_args!("{}: damaged; the images are encoded again", path.display()));
    }
    stimuli
}
