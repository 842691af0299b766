//! Steps of a conversion that are kept in files, and from which a later conversion goes on.

use super::activations::{self, ActivationCache};
use super::normalize;
use super::samples::Samples;
use super::stage::{self, Network, Origin, Stage};
use super::{ConvertOptions, Format, Normalized, parsed::ParsedModel};
use megasim_ann::import::Source;
use megasim_core::atomic_write::{self, AtomicDir, Overwrite, OwnFile};
use serde_json::{Map, Value, json};
use std::io;
use std::path::{Path, PathBuf};

/// Why a step cannot be kept, or gone on from.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file of a step is damaged, or was made from something else.
    #[error(transparent)]
    Stage(#[from] stage::Error),
    /// Activations that were kept do not fit, or cannot be kept.
    #[error(transparent)]
    Normalize(#[from] normalize::Error),
    /// The conversion goes on from activations, and looks at none.
    #[error(
        "--activations and --save-activations go with --weighting percentile, and without --scales: nothing else looks \
         at activations"
    )]
    NoActivations,
    /// An input cannot be read for its hash.
    #[error("{path}: cannot be read: {source}")]
    Input {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file cannot be written.
    #[error(transparent)]
    Write(#[from] atomic_write::Error),
    /// The network cannot be parsed or normalised.
    #[error(transparent)]
    Convert(#[from] super::Error),
}

/// Which steps are kept, and from which the conversion goes on; none of all that by default.
#[derive(Debug, Clone, Default)]
pub struct Checkpoints {
    /// Keep the parsed network in this file (`.npz`).
    pub save_parsed: Option<PathBuf>,
    /// Go on from a parsed network of the same model and options.
    pub parsed: Option<PathBuf>,
    /// Keep the activations over the normalisation set in this directory: `.npy`, one for each population.
    pub save_activations: Option<PathBuf>,
    /// Take percentiles of activations that were kept of the same model, options and data.
    pub activations: Option<PathBuf>,
    /// Keep the normalised network in this file (`.npz`).
    pub save_normalised: Option<PathBuf>,
    /// Go on from a normalised network of the same model, options and data.
    pub normalised: Option<PathBuf>,
    /// Whether files of an earlier conversion may be replaced.
    pub overwrite: Overwrite,
}

/// What every step is made from, parsed or later.
fn made_from(source: &Source, options: &ConvertOptions, counted: bool) -> Result<Origin, Error> {
    let mut settings = Map::new();
    if let Some(steps) = options.level_steps().filter(|_| counted) {
        settings.insert("steps_of_levels".into(), json!(steps));
    }
    settings.insert("output".into(), json!(options.output));
    settings.insert("max_to_average".into(), json!(options.max_to_average));
    if let Some(scale) = options.input_scale.filter(|&scale| scale != 1.0) {
        settings.insert("input_scale".into(), json!(scale));
    }
    if let Some(features) = &options.input_features {
        settings.insert("input_features".into(), json!(features));
    }
    if options.quantization.input_events != 1 {
        settings.insert("input_events".into(), json!(options.quantization.input_events));
    }
    if options.logit_shift != 0.0 {
        settings.insert("logit_shift".into(), json!(options.logit_shift));
    }
    let companions = source.companions.iter().map(|companion| hash(&companion.path)).collect::<Result<Vec<_>, _>>()?;
    settings.insert("companions".into(), json!(companions));
    Ok(Origin { model_sha256: source.sha256.clone(), settings })
}

fn hash(path: &Path) -> Result<Value, Error> {
    let hash = OwnFile::of_input(path).map_err(|source| Error::Input { path: path.into(), source })?;
    Ok(json!(hash.sha256))
}

impl Checkpoints {
    /// Refuses, before the work, files that cannot be written after it.
    ///
    /// # Errors
    /// If something is there already.
    pub fn check(&self) -> Result<(), atomic_write::Error> {
        let overwrite = self.overwrite;
        let paths = self.save_parsed.iter().chain(&self.save_normalised);
        paths.into_iter().try_for_each(|path| atomic_write::check_file(path, overwrite))?;
        self.save_activations.iter().try_for_each(|path| AtomicDir::check(path, overwrite))
    }

    /// The files that the conversion goes on from.
    pub fn inputs(&self) -> impl Iterator<Item = PathBuf> {
        self.parsed.iter().chain(&self.activations).chain(&self.normalised).cloned()
    }

    /// The parsed network: the one that was kept, or a new one; and keeps it where that is asked for. `counted`:
    /// whether it depends on the length of the presentation.
    pub(super) fn parse(
        &self,
        source: &Source,
        options: &ConvertOptions,
        counted: bool,
        parse: impl FnOnce() -> Result<ParsedModel, super::Error>,
    ) -> Result<ParsedModel, Error> {
        let origin = made_from(source, options, counted)?;
        let parsed = match &self.parsed {
            Some(path) => Stage::read_parsed(path, &origin)?,
            None => parse()?,
        };
        if let Some(path) = &self.save_parsed {
            self.keep(path, &Stage { origin, network: Network::ParsedModel(parsed.clone()) })?;
        }
        Ok(parsed)
    }

    /// The normalised network, likewise.
    pub(super) fn normalise(
        &self,
        source: &Source,
        options: &ConvertOptions,
        set: &NormalizationSet,
        parsed: ParsedModel,
        progress: &mut dyn FnMut(usize),
    ) -> Result<Normalized, Error> {
        let counted = parsed.has_counts();
        let normalise = || self.by_activations(source, options, set, parsed, progress);
        if self.normalised.is_none() && self.save_normalised.is_none() {
            return normalise();
        }
        let mut origin = made_from(source, options, counted)?;
        let settings = &mut origin.settings;
        settings.insert("plain_megasim".into(), json!(options.format == Format::Original));
        if options.quantization.relays {
            settings.insert("relays".into(), json!(true));
        }
        match &options.scales {
            Some(scales) => settings.insert("scales".into(), json!(scales.scales)),
            None => settings.insert("weighting".into(), json!(options.rules.weighting)),
        };
        if let Some(scales) = options.scales.as_ref().filter(|scales| !scales.maps.is_empty()) {
            settings.insert("map_scales".into(), json!(scales.maps));
        }
        if options.looks_at_activations() {
            settings.insert("percentile".into(), json!(options.percentile));
            settings.insert("percentile_step".into(), json!(options.percentile_step));
            if options.channel_scales {
                settings.insert("channel_scales".into(), json!(true));
            }
            settings.insert("normalisation_data".into(), set.hashes()?);
        }
        let normalized = match &self.normalised {
            Some(path) => Stage::read_normalised(path, &origin)?,
            None => normalise()?,
        };
        if let Some(path) = &self.save_normalised {
            self.keep(path, &Stage { origin, network: Network::Normalised(normalized.clone()) })?;
        }
        Ok(normalized)
    }

    /// Normalises, by activations that were kept or are kept now where that is asked for.
    fn by_activations(
        &self,
        source: &Source,
        options: &ConvertOptions,
        set: &NormalizationSet,
        parsed: ParsedModel,
        progress: &mut dyn FnMut(usize),
    ) -> Result<Normalized, Error> {
        let Some(directory) = self.activations.as_ref().or(self.save_activations.as_ref()) else {
            return Ok(super::normalize_with(parsed, set.samples, options, progress)?);
        };
        if !options.looks_at_activations() {
            return Err(Error::NoActivations);
        }
        let mut origin = made_from(source, options, parsed.has_counts())?;
        origin.settings.insert("normalisation_data".into(), set.hashes()?);
        if self.save_activations.is_some() {
            let new = AtomicDir::create(directory, self.overwrite)?;
            activations::save(&parsed, set.samples, &origin, new.path(), progress)?;
            new.finish()?;
        }
        let kept = ActivationCache::open(directory, &parsed, &origin)?;
        Ok(super::normalize_with_kept(parsed, &kept, options)?)
    }

    fn keep(&self, path: &Path, stage: &Stage) -> Result<(), Error> {
        Ok(atomic_write::write_file(path, self.overwrite, |file| stage.write(file))?)
    }
}

/// The normalisation set.
pub(super) struct NormalizationSet<'s> {
    /// The samples.
    pub samples: &'s dyn Samples,
    /// The files that they come from.
    pub files: Vec<PathBuf>,
}

impl NormalizationSet<'_> {
    fn hashes(&self) -> Result<Value, Error> {
        Ok(json!(self.files.iter().map(|path| hash(path)).collect::<Result<Vec<_>, _>>()?))
    }
}
