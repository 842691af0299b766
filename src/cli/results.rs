//! `--json FILE` and `--force`: the results file of a command, with the record of its run next to it.

use super::diagnostic::report;
use super::provenance;
use clap::Args;
use megasim::atomic_write::{self, Overwrite};
use megasim::report::Page;
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
    pub fn overwrite(&self) -> Overwrite {
        Overwrite::from_flag(self.force)
    }

    /// Refuses, before the work, a results file that cannot be written after it.
    ///
    /// # Errors
    /// If it exists already, or if there is no such directory.
    pub fn check(&self) -> Result<()> {
        self.json.as_deref().map_or(Ok(()), |path| self.check_file(path))
    }

    /// Refuses, before the work, another result that cannot be written after it.
    ///
    /// # Errors
    /// As [`Results::check`].
    pub fn check_file(&self, path: &Path) -> Result<()> {
        atomic_write::check_file(path, self.overwrite()).map_err(report)?;
        if atomic_write::is_stream(path) {
            return Ok(());
        }
        provenance::check(atomic_write::parent(path)).map_err(report)
    }

    /// Writes the figures, where they are asked for, and next to them and the other results the record of the run.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn write(
        &self,
        figures: &Value,
        others: &[PathBuf],
        inputs: &[PathBuf],
        seed: Option<u64>,
        parameters: Value,
    ) -> Result<()> {
        if let Some(path) = &self.json {
            atomic_write::write_file(path, self.overwrite(), |file| writeln!(file, "{figures:#}")).map_err(report)?;
        }
        let inputs: Vec<&Path> = inputs.iter().map(PathBuf::as_path).collect();
        let results: Vec<&Path> = self.json.iter().chain(others).map(PathBuf::as_path).collect();
        provenance::write_beside(&results, &inputs, seed, parameters).map_err(report)
    }
}

/// The files of a page: itself and the directory of its pictures.
pub fn of_page(page: &Option<PathBuf>) -> Vec<PathBuf> {
    page.iter().flat_map(|page| [page.clone(), Page::files(page)]).collect()
}
