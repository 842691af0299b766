//! `--labels`, `--split`: what data do not say themselves.

use super::diagnostic::report;
use clap::Args;
use megasim::dataset::{DataOptions, Dataset, GivenPreprocessing, Split};
use miette::Result;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// How pictures that are in no division are parted.
#[derive(Debug, Clone, Default, Args)]
pub struct SplitArguments {
    /// For image folders without a train/test split: the share of each class used for training and normalisation; the
    /// others are test samples
    #[arg(long, value_name = "SHARE", value_parser = share, allow_negative_numbers = true)]
    split: Option<f64>,
    /// Seed of the choice of --split
    #[arg(long, value_name = "S", default_value_t = 0, requires = "split")]
    split_seed: u64,
    /// What is done to samples, in place of `preprocessing.toml`.
    #[arg(skip)]
    preprocessing: Option<GivenPreprocessing>,
}

fn share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share| *share > 0.0 && *share < 1.0);
    share.ok_or_else(|| format!("expected a share above 0 and below 1, as 0.8, found '{text}'"))
}

impl SplitArguments {
    /// Without a split, and with this in place of `preprocessing.toml`.
    pub fn changed_by(preprocessing: Option<GivenPreprocessing>) -> Self {
        Self { preprocessing, ..Self::default() }
    }

    /// Opens data; `labels` take the place of those of the data.
    ///
    /// # Errors
    /// If there are none, or they cannot be split.
    pub fn open(&self, data: &Path, labels: Option<&PathBuf>) -> Result<Dataset> {
        let split = self.split.map(|share| Split { share, seed: self.split_seed });
        let preprocessing = self.preprocessing.clone();
        Dataset::open_with(data, &DataOptions { labels: labels.cloned(), split, preprocessing }).map_err(report)
    }

    /// What the record of a run says.
    pub fn parameters(&self, parameters: &mut Value) {
        if let Some(share) = self.split {
            parameters["split"] = json!(share);
            parameters["split_seed"] = json!(self.split_seed);
        }
    }
}
