//! `--json FILE` and `--force`: the results file of a command, with the record of its run beside it.

use super::diagnostic::report;
use super::provenance;
use clap::Args;
use megasim::whole::{self, Replace};
use miette::Result;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Where results go.
#[derive(Debug, Clone, Args)]
pub struct Results {
    /// Write the figures to this file
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Replace existing results
    #[arg(long)]
    pub force: bool,
}

impl Results {
    /// Whether an existing file may go.
    pub fn replace(&self) -> Replace {
        Replace::when(self.force)
    }

    /// Refuses, before the work, a results file that cannot be written after it.
    ///
    /// # Errors
    /// If something lies there already, or if there is no such directory.
    pub fn check(&self) -> Result<()> {
        let Some(path) = &self.json else { return Ok(()) };
        whole::check_file(path, self.replace()).map_err(report)?;
        let directory = whole::parent(path);
        if !directory.is_dir() {
            miette::bail!("{}: expected a directory to write results into, found none", directory.display());
        }
        provenance::check(directory).map_err(report)
    }

    /// Writes the figures, where they are asked for, and beside them the record of the run.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn write(&self, figures: &Value, inputs: &[PathBuf], seed: Option<u64>, parameters: Value) -> Result<()> {
        let Some(path) = &self.json else { return Ok(()) };
        whole::write_file(path, self.replace(), |file| writeln!(file, "{figures:#}")).map_err(report)?;
        let inputs: Vec<&Path> = inputs.iter().map(PathBuf::as_path).collect();
        provenance::write_beside(path, &inputs, seed, parameters).map_err(report)
    }
}
