//! A converted network as a netfile directory that runs as it is.

use super::emit::SpikingModel;
use super::manifest::{self, Manifest};
use super::origin::Origin;
use super::{Converted, ConvertedModel, Normalized};
use megasim_ann::import::{Model, Source};
use megasim_core::atomic_write::{make_directory, parent};
use megasim_core::encode::{self, Clock, DEFAULT_INPUT_RATE, Regular, SampleKind};
use megasim_core::netfile;
use megasim_core::network::{Stimulus, StimulusEvent};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Sub-directory that keeps the model file.
pub(super) const SOURCE_DIRECTORY: &str = "source";

/// The file of statistics by which samples are standardised.
pub(super) const STANDARDISATION: &str = "standardisation.npz";

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
    /// The manifest of the conversion of a model, whose copy will be in the same directory.
    ///
    /// # Errors
    /// [`Error::Name`].
    pub fn manifest(
        &self,
        source: &Source,
        options: &super::ConvertOptions,
        normalisation_samples: usize,
    ) -> Result<Manifest, Error> {
        let name = source.path.file_name().and_then(|name| name.to_str());
        let name = name.ok_or_else(|| Error::Name(source.path.clone()))?.to_string();
        let copy = format!("{SOURCE_DIRECTORY}/{name}");
        let model =
            manifest::Model { name, copy, sha256: source.sha256.clone(), input_shape: source.input_shape.clone() };
        Ok(Manifest::new(model, &self.normalized, &self.emitted, options, normalisation_samples))
    }

    /// The converted network with its manifest and the trained network that it came from, and its layers. `example` is
    /// the sample whose stimuli are saved with it: in regular code over 100 ms, so that the schematic can be run as it
    /// is.
    ///
    /// # Errors
    /// If `example` has another number of numbers than the input.
    pub fn into_model(
        self,
        manifest: Manifest,
        model: Model,
        example: &[f32],
    ) -> Result<(ConvertedModel, Normalized), Error> {
        let SpikingModel { network, reset, .. } = self.emitted;
        let layout = manifest.layout(&network)?;
        let output = manifest.output(&network)?;
        let clock = Clock { duration: EXAMPLE_DURATION, ticks_per_ms: encode::DEFAULT_TICKS_PER_MS };
        let code = Regular { input_rate: DEFAULT_INPUT_RATE };
        let mut stimuli = layout.stimuli(&code, SampleKind::Still, example, 0, clock)?;
        if let Some(reset) = network.sources().iter().position(|&source| source == reset) {
            stimuli[reset] = Stimulus::from_events([StimulusEvent::reset(clock.ticks())]);
        }
        let (warnings, origin) = (Vec::new(), Origin::Trained(Box::new(model)));
        let standardisation = None;
        let converted =
            ConvertedModel { manifest, network, origin, layout, output, stimuli, warnings, standardisation };
        Ok((converted, self.normalized))
    }
}

/// Writes the netfiles, the manifest and a copy of the trained network (and of what it needs) into a directory.
pub(super) fn write(directory: &Path, converted: &ConvertedModel) -> Result<(), Error> {
    let ConvertedModel { network, stimuli, manifest, origin, standardisation, .. } = converted;
    let source = origin.source();
    netfile::write(directory, network, stimuli, &manifest.file_names(network))?;
    let io = |path: PathBuf| move |source| Error::Io { path, source };
    if let Some(standardisation) = standardisation {
        let path = directory.join(STANDARDISATION);
        let written = fs::File::create(&path).and_then(|mut file| standardisation.write(&mut file));
        written.map_err(io(path))?;
    }
    let path = directory.join(manifest::FILE_NAME);
    fs::write(&path, manifest.to_json()).map_err(io(path))?;
    let copy = directory.join(&manifest.model.copy);
    make_directory(&directory.join(SOURCE_DIRECTORY)).map_err(io(copy.clone()))?;
    fs::copy(&source.path, &copy).map_err(io(copy))?;
    for companion in &source.companions {
        let copy = directory.join(SOURCE_DIRECTORY).join(&companion.name);
        make_directory(parent(&copy)).map_err(io(copy.clone()))?;
        fs::copy(&companion.path, &copy).map_err(io(copy))?;
    }
    Ok(())
}
