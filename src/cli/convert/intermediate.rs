//! Stages of a conversion that are kept in files and gone on from.

use super::super::diagnostic::report;
use super::super::paths::Paths;
use super::super::provenance;
use clap::Args;
use megasim::ann::import;
use megasim::atomic_write::{self, AtomicDir, Overwrite};
use megasim::convert::activations::{self, Kept};
use megasim::convert::samples::Samples;
use megasim::convert::stage::{Network, Origin, Stage};
use megasim::convert::{self, Format, Normalized, Options, parsed::Parsed};
use miette::Result;
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};

/// Which stages are kept, and from which the conversion goes on.
#[derive(Debug, Clone, Default, Args)]
pub struct Intermediates {
    /// Keep the parsed network in this file (.npz), for --parsed and 'megasim eval'
    #[arg(long, value_name = "FILE")]
    save_parsed: Option<PathBuf>,
    /// Go on from a parsed network of the same model and options
    #[arg(long, value_name = "FILE", conflicts_with = "normalised")]
    parsed: Option<PathBuf>,
    /// Keep the activations over the normalisation set in this directory, for --activations: .npy, one a population
    #[arg(long, value_name = "DIR")]
    save_activations: Option<PathBuf>,
    /// Take percentiles of activations that were kept of the same model, options and data
    #[arg(long, value_name = "DIR", conflicts_with_all = ["normalised", "save_activations"])]
    activations: Option<PathBuf>,
    /// Keep the normalised network in this file (.npz), for --normalised and 'megasim eval'
    #[arg(long, value_name = "FILE")]
    save_normalised: Option<PathBuf>,
    /// Go on from a normalised network of the same model, options and data
    #[arg(long, value_name = "FILE")]
    normalised: Option<PathBuf>,
}

/// What every stage is made from, parsed or later.
fn made_from(source: &import::Source, options: &Options) -> Result<Origin> {
    let mut settings = Map::new();
    settings.insert("output".into(), json!(options.output));
    settings.insert("max_to_average".into(), json!(options.max_to_average));
    let companions = source.companions.iter().map(|companion| hash(&companion.path)).collect::<Result<Vec<_>>>()?;
    settings.insert("companions".into(), json!(companions));
    Ok(Origin { model_sha256: source.sha256.clone(), settings })
}

fn hash(path: &Path) -> Result<Value> {
    Ok(provenance::describe(path).map_err(report)?["sha256"].take())
}

impl Intermediates {
    /// Refuses, before the work, files that cannot be written after it.
    ///
    /// # Errors
    /// If something lies there already.
    pub fn check(&self, replace: Overwrite) -> Result<()> {
        let paths = self.save_parsed.iter().chain(&self.save_normalised);
        paths.into_iter().try_for_each(|path| atomic_write::check_file(path, replace)).map_err(report)?;
        self.save_activations.iter().try_for_each(|path| AtomicDir::check(path, replace)).map_err(report)
    }

    /// Adds what is read and written.
    pub fn add_to(&self, paths: Paths) -> Paths {
        let read = self.parsed.iter().chain(&self.activations).chain(&self.normalised);
        let written = self.save_parsed.iter().chain(&self.save_normalised);
        paths.files(written).directories(&self.save_activations).inputs(read)
    }

    /// The files that are gone on from.
    pub fn inputs(&self) -> impl Iterator<Item = PathBuf> {
        self.parsed.iter().chain(&self.activations).chain(&self.normalised).cloned()
    }

    /// The parsed network: the one that was kept, or a new one; and keeps it where it is asked for.
    ///
    /// # Errors
    /// If what was kept is damaged or was made from something else.
    pub fn parsed(
        &self,
        source: &import::Source,
        options: &Options,
        replace: Overwrite,
        parse: impl FnOnce() -> Result<Parsed>,
    ) -> Result<Parsed> {
        let origin = made_from(source, options)?;
        let parsed = match &self.parsed {
            Some(path) => Stage::read_parsed(path, &origin).map_err(report)?,
            None => parse()?,
        };
        if let Some(path) = &self.save_parsed {
            keep(path, replace, &Stage { origin, network: Network::Parsed(parsed.clone()) })?;
        }
        Ok(parsed)
    }

    /// The normalised network, likewise.
    ///
    /// # Errors
    /// As [`Self::parsed`].
    pub fn normalised(
        &self,
        source: &import::Source,
        options: &Options,
        set: &Set,
        replace: Overwrite,
        parsed: Parsed,
        progress: &mut dyn FnMut(usize),
    ) -> Result<Normalized> {
        let normalise = || self.normalise(source, options, set, replace, parsed, progress);
        if self.normalised.is_none() && self.save_normalised.is_none() {
            return normalise();
        }
        let mut origin = made_from(source, options)?;
        let settings = &mut origin.settings;
        settings.insert("plain_megasim".into(), json!(options.format == Format::Original));
        match &options.scales {
            Some(scales) => settings.insert("scales".into(), json!(scales.scales)),
            None => settings.insert("weighting".into(), json!(options.rules.weighting)),
        };
        if options.scales.is_none() && options.rules.weighting.needs_data() {
            settings.insert("percentile".into(), json!(options.percentile));
            settings.insert("percentile_step".into(), json!(options.percentile_step));
            settings.insert("normalisation_data".into(), set.hashes()?);
        }
        let normalized = match &self.normalised {
            Some(path) => Stage::read_normalised(path, &origin).map_err(report)?,
            None => normalise()?,
        };
        if let Some(path) = &self.save_normalised {
            keep(path, replace, &Stage { origin, network: Network::Normalised(normalized.clone()) })?;
        }
        Ok(normalized)
    }

    /// Normalises, by activations that were kept or are kept now where that is asked for.
    fn normalise(
        &self,
        source: &import::Source,
        options: &Options,
        set: &Set,
        replace: Overwrite,
        parsed: Parsed,
        progress: &mut dyn FnMut(usize),
    ) -> Result<Normalized> {
        let Some(directory) = self.activations.as_ref().or(self.save_activations.as_ref()) else {
            return convert::normalize_with(parsed, set.samples, options, progress).map_err(report);
        };
        if options.scales.is_some() || !options.rules.weighting.needs_data() {
            miette::bail!(
                "--activations and --save-activations go with --weighting percentile, and without --scales: nothing \
                    else looks at activations"
            );
        }
        let mut origin = made_from(source, options)?;
        origin.settings.insert("normalisation_data".into(), set.hashes()?);
        if self.save_activations.is_some() {
            let new = AtomicDir::create(directory, replace).map_err(report)?;
            activations::save(&parsed, set.samples, &origin, new.path(), progress).map_err(report)?;
            new.finish().map_err(report)?;
        }
        let kept = Kept::open(directory, &parsed, &origin).map_err(report)?;
        convert::normalize_with_kept(parsed, &kept, options).map_err(report)
    }
}

fn keep(path: &Path, replace: Overwrite, stage: &Stage) -> Result<()> {
    atomic_write::write_file(path, replace, |file| stage.write(file)).map_err(report)
}

/// The normalisation set.
pub struct Set<'s> {
    /// The samples.
    pub samples: &'s dyn Samples,
    /// The files that they come from.
    pub files: Vec<PathBuf>,
}

impl Set<'_> {
    fn hashes(&self) -> Result<Value> {
        Ok(json!(self.files.iter().map(|path| hash(path)).collect::<Result<Vec<_>>>()?))
    }
}
