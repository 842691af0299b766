//! A converted network as a netfile directory that runs as it is.

use super::Converted;
use super::manifest::{self, Manifest};
use megasim_ann::import::Source;
use megasim_core::encode::{self, Clock, DEFAULT_INPUT_RATE, Regular, SampleKind};
use megasim_core::netfile;
use megasim_core::network::{Stimulus, StimulusEvent};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Sub-directory that keeps the model file.
const SOURCE_DIRECTORY: &str = "source";

/// How long the example stimulus lasts, in milliseconds.
const EXAMPLE_DURATION: u32 = 100;

/// Why a converted network could not be saved.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The netfiles.
    #[error(transparent)]
    Netfile(#[from] netfile::Error),
    /// The layout of the input.
    #[error(transparent)]
    Layout(#[from] encode::Error),
    /// The manifest or the copy of the model.
    #[error("{path}: cannot be written: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The model has no usable file name.
    #[error("{0}: expected a file name that can be written into a manifest")]
    Name(PathBuf),
}

impl Converted {
    /// The manifest of the conversion of a model, whose copy will lie in the same directory.
    ///
    /// # Errors
    /// [`Error::Name`].
    pub fn manifest(
        &self,
        source: &Source,
        options: &super::Options,
        normalisation_samples: usize,
    ) -> Result<Manifest, Error> {
        let name = source.path.file_name().and_then(|name| name.to_str());
        let name = name.ok_or_else(|| Error::Name(source.path.clone()))?.to_string();
        let copy = format!("{SOURCE_DIRECTORY}/{name}");
        let model = manifest::Model { name, copy, sha256: source.sha256.clone() };
        Ok(Manifest::new(model, &self.normalized, &self.emitted, options, normalisation_samples))
    }

    /// Writes the netfiles, the manifest and a copy of the model (and of what it needs beside it) into a directory that
    /// is there.
    ///
    /// The stimuli are those of one sample in regular code over 100 ms, so that the schematic can be run as it lies
    /// there.
    ///
    /// # Errors
    /// Where a file cannot be written.
    pub fn save(&self, directory: &Path, manifest: &Manifest, source: &Source, example: &[f32]) -> Result<(), Error> {
        let network = &self.emitted.network;
        let clock = Clock { duration: EXAMPLE_DURATION, ticks_per_ms: encode::DEFAULT_TICKS_PER_MS };
        let code = Regular { input_rate: DEFAULT_INPUT_RATE };
        let mut stimuli = manifest.layout(network)?.stimuli(&code, SampleKind::Still, example, 0, clock)?;
        if let Some(reset) = network.sources().iter().position(|&source| source == self.emitted.reset) {
            stimuli[reset] = Stimulus::from_events([StimulusEvent::reset(clock.ticks())]);
        }
        netfile::write(directory, network, &stimuli, &manifest.file_names(network))?;
        let io = |path: PathBuf| move |source| Error::Io { path, source };
        let path = directory.join(manifest::FILE_NAME);
        fs::write(&path, manifest.to_json()).map_err(io(path))?;
        let copy = directory.join(&manifest.model.copy);
        fs::create_dir_all(directory.join(SOURCE_DIRECTORY)).map_err(io(copy.clone()))?;
        fs::copy(&source.path, &copy).map_err(io(copy))?;
        for companion in &source.companions {
            let copy = directory.join(SOURCE_DIRECTORY).join(&companion.name);
            fs::create_dir_all(copy.parent().unwrap_or(directory)).map_err(io(copy.clone()))?;
            fs::copy(&companion.path, &copy).map_err(io(copy))?;
        }
        Ok(())
    }
}
