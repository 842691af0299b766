//! Stages of a conversion that are kept in files and gone on from.

use super::super::paths::Paths;
use clap::Args;
use megasim::atomic_write::Overwrite;
use megasim::convert::Checkpoints;
use std::path::PathBuf;

/// Which stages are kept, and from which the conversion goes on.
#[derive(Debug, Clone, Default, Args)]
pub struct Intermediates {
    /// Keep the parsed network in this file (.npz), for --parsed and 'megasim eval'
    #[arg(long, value_name = "FILE")]
    save_parsed: Option<PathBuf>,
    /// Go on from a parsed network of the same model and options
    #[arg(long, value_name = "FILE", conflicts_with = "normalised")]
    parsed: Option<PathBuf>,
    /// Keep the activations over the normalisation set in this directory, for --activations: .npy, one per population
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

impl Intermediates {
    /// The steps that the conversion keeps and goes on from.
    pub fn checkpoints(&self, overwrite: Overwrite) -> Checkpoints {
        let Self { save_parsed, parsed, save_activations, activations, save_normalised, normalised } = self.clone();
        Checkpoints { save_parsed, parsed, save_activations, activations, save_normalised, normalised, overwrite }
    }

    /// Adds what is read and written.
    pub fn add_to(&self, paths: Paths) -> Paths {
        let read = self.parsed.iter().chain(&self.activations).chain(&self.normalised);
        let written = self.save_parsed.iter().chain(&self.save_normalised);
        paths.files(written).directories(&self.save_activations).inputs(read)
    }
}
