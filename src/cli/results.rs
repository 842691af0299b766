//! `--json FILE` and `--force`: the results file of a command, with the record of its run next to it.

use super::diagnostic::report;
use super::output::{Figures, Printed};
use super::{output, provenance};
use clap::Args;
use megasim::atomic_write::{self, Overwrite};
use megasim::report::Page;
use miette::Result;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Where results go.
#[derive(Debug, Clone, Args)]
pub struct Results {
    /// Write the figures to this file; -: to standard output, and the text for people goes to standard error
    #[arg(long, value_name = "FILE")]
    json: Option<Figures>,
    #[command(flatten)]
    printed: Printed,
    /// Replace existing results
    #[arg(long)]
    force: bool,
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
        self.file().map_or(Ok(()), |path| self.check_file(path))
    }

    /// The file of figures, where there is one.
    pub fn file(&self) -> Option<&PathBuf> {
        match &self.json {
            Some(Figures::File(path)) => Some(path),
            Some(Figures::StandardOutput) | None => None,
        }
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
        match &self.json {
            Some(Figures::StandardOutput) => output::figures(&format!("{figures:#}\n")),
            Some(Figures::File(path)) => {
                atomic_write::write_file(path, self.overwrite(), |file| writeln!(file, "{figures:#}"))
                    .map_err(report)?;
            }
            None => {}
        }
        let inputs: Vec<&Path> = inputs.iter().map(PathBuf::as_path).collect();
        let results: Vec<&Path> = self.file().into_iter().chain(others).map(PathBuf::as_path).collect();
        provenance::write_beside(&results, &inputs, seed, parameters).map_err(report)
    }
}

/// The files of a page: itself and the directory of its pictures.
pub fn of_page(page: &Option<PathBuf>) -> Vec<PathBuf> {
    page.iter().flat_map(|page| [page.clone(), Page::files(page)]).collect()
}
