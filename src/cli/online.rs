//! `--online-normalization`: thresholds that change during a run, and netfiles with those at its end.

use super::diagnostic::report;
use super::tables::{Boxed, boxed, fixed};
use super::{print, provenance};
use clap::Args;
use megasim::atomic_write::{AtomicDir, Overwrite};
use megasim::convert::ConvertedModel;
use megasim::study::classification::{Classification, OnlineNormalization, ThresholdFigures};
use miette::{Result, miette};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// How thresholds change during a run, as SNN toolbox names it.
#[derive(Debug, Clone, Default, Args)]
pub struct OnlineArguments {
    /// Let the threshold of each layer follow its highest rate during a run
    #[arg(long)]
    online_normalization: bool,
    /// With --online-normalization: only highest rates lower than 1000 Hz by more than this change a threshold
    /// [default: 200]
    #[arg(long, value_name = "HZ", requires = "online_normalization", value_parser = hertz())]
    diff_to_max_rate: Option<u32>,
    /// With --online-normalization: only highest rates above this change a threshold [default: 100]
    #[arg(long, value_name = "HZ", requires = "online_normalization", value_parser = hertz())]
    diff_to_min_rate: Option<u32>,
    /// With --online-normalization: milliseconds from one change to the next [default: 10]
    #[arg(long, value_name = "MS", requires = "online_normalization",
        value_parser = clap::value_parser!(u32).range(1..))]
    timestep_fraction: Option<u32>,
    /// With --online-normalization: write the netfiles to this directory, with the mean over samples of the thresholds
    /// at their ends
    #[arg(long, value_name = "DIR", requires = "online_normalization")]
    pub save_thresholds: Option<PathBuf>,
}

fn hertz() -> clap::builder::RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(0..=1000)
}

impl OnlineArguments {
    /// As the library takes it.
    pub fn rule(&self) -> Option<OnlineNormalization> {
        let usual = OnlineNormalization::default();
        self.online_normalization.then(|| OnlineNormalization {
            diff_to_max_rate: self.diff_to_max_rate.unwrap_or(usual.diff_to_max_rate),
            diff_to_min_rate: self.diff_to_min_rate.unwrap_or(usual.diff_to_min_rate),
            timestep_fraction: self.timestep_fraction.unwrap_or(usual.timestep_fraction),
        })
    }

    /// Adds what a repetition needs.
    pub fn parameters(&self, parameters: &mut Value) {
        let Some(OnlineNormalization { diff_to_max_rate, diff_to_min_rate, timestep_fraction }) = self.rule() else {
            return;
        };
        parameters["online_normalization"] = json!(true);
        parameters["diff_to_max_rate"] = json!(diff_to_max_rate);
        parameters["diff_to_min_rate"] = json!(diff_to_min_rate);
        parameters["timestep_fraction"] = json!(timestep_fraction);
    }

    /// The place for the netfiles, refused before the work where it is taken.
    ///
    /// # Errors
    /// If it holds what this program did not write, or if it may not be replaced.
    pub fn place(&self, overwrite: Overwrite) -> Result<Option<AtomicDir>> {
        self.save_thresholds.as_deref().map(|path| AtomicDir::create(path, overwrite)).transpose().map_err(report)
    }
}

/// The thresholds in the files and at the ends of samples; nothing without online normalisation.
pub fn table(of: &Classification) -> Option<Boxed> {
    let thresholds = of.thresholds();
    let rows = thresholds.iter().flat_map(|layer| {
        let modes = [("event", layer.at_the_end.event), ("clocked", layer.at_the_end.clocked)];
        modes.into_iter().filter_map(move |(mode, ends)| {
            let ThresholdFigures { mean, least, largest } = ends?;
            let of_the_files = layer.of_the_files.to_string();
            let ends = [fixed(mean, 1), least.to_string(), largest.to_string()];
            Some([layer.layer.clone(), of_the_files, mode.to_string()].into_iter().chain(ends).collect())
        })
    });
    let header = ["layer", "threshold", "mode", "at the end", "least", "largest"];
    (!thresholds.is_empty()).then(|| boxed(&header, rows).texts(1))
}

/// Writes the netfiles with the mean thresholds of the mode that ran.
pub fn save(
    directory: AtomicDir,
    path: &Path,
    found: &Classification,
    converted: ConvertedModel,
    (inputs, seed, parameters): (&[PathBuf], u64, &Value),
) -> Result<()> {
    let ends = found.thresholds();
    let means = ends.iter().filter_map(|layer| {
        let of = layer.at_the_end.event.or(layer.at_the_end.clocked)?;
        Some((layer.layer.clone(), of.mean.round() as i32))
    });
    let means: Vec<_> = means.collect();
    let changed = converted.with_thresholds(&means).map_err(|fault| miette!("--save-thresholds: {fault}"))?;
    changed.write(directory.path()).map_err(report)?;
    let inputs: Vec<&Path> = inputs.iter().map(PathBuf::as_path).collect();
    let run = provenance::Run { results: &[], inputs: &inputs, seed: Some(seed), parameters };
    provenance::write(directory.path(), &run).map_err(report)?;
    directory.finish().map_err(report)?;
    print(&format!("Netfiles with these thresholds: {}\n", path.display()));
    Ok(())
}
