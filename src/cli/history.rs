//! `--history FILE`: how the network was trained, for pages.

use super::diagnostic::report;
use clap::Args;
use megasim::report::history::History;
use miette::Result;
use std::path::{Path, PathBuf};

/// Where the history is.
#[derive(Debug, Clone, Args)]
pub struct HistoryArguments {
    /// How the network was trained, for the page: History.history of Keras as JSON, or the .csv of its CSVLogger; where
    /// it is not given, history.json or history.csv next to the netfiles, if one is there
    #[arg(long, value_name = "FILE", requires = "report")]
    pub history: Option<PathBuf>,
}

impl HistoryArguments {
    /// The file of a page about a netfile directory, if there is one.
    pub fn file(&self, page: &Option<PathBuf>, netdir: &Path) -> Option<PathBuf> {
        page.as_ref()?;
        let next_to_results =
            || ["history.json", "history.csv"].map(|name| netdir.join(name)).into_iter().find(|it| it.is_file());
        self.history.clone().or_else(next_to_results)
    }

    /// The history for a page about a netfile directory, if there is one.
    ///
    /// # Errors
    /// If the file is none.
    pub fn read(&self, page: &Option<PathBuf>, netdir: &Path) -> Result<Option<History>> {
        self.file(page, netdir).map(|path| History::read(&path).map_err(report)).transpose()
    }
}
