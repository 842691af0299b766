//! The tables of a sweep on disk, whole at any time.

use crate::cli::diagnostic::report;
use crate::cli::provenance;
use megasim::atomic_write::{self, DirLock, Overwrite};
use megasim::report::Table;
use megasim::study::sweep::{Measured, Point, Sweep};
use miette::{Result, bail};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};

const JSON: &str = "sweep.json";
const CSV: &str = "sweep.csv";

/// Where the tables are, and what an earlier run of the same sweep has left there.
pub struct Files<F> {
    directory: PathBuf,
    settings: Value,
    inputs: Vec<PathBuf>,
    seed: u64,
    _lock: DirLock,
    /// Points that are done.
    pub earlier: Vec<Point<F>>,
}

impl<F: Measured + Serialize + DeserializeOwned + Clone> Files<F> {
    /// Makes the directory, or finds what an interrupted run of the same sweep left in it.
    pub fn open(
        directory: &Path,
        inputs: Vec<PathBuf>,
        seed: u64,
        mut settings: Value,
        replace: Overwrite,
    ) -> Result<Self> {
        let described = inputs.iter().map(|path| provenance::describe(path)).collect::<Result<Vec<_>, _>>();
        settings["inputs"] = json!(described.map_err(report)?);
        // No other process writes here meanwhile.
        fs::create_dir_all(atomic_write::parent(directory))
            .map_err(|error| miette::miette!("{}: cannot be made: {error}", directory.display()))?;
        let lock = DirLock::acquire(directory).map_err(report)?;
        let path = directory.join(JSON);
        let earlier = match fs::read(&path) {
            Err(_) if directory.join(CSV).exists() => {
                let csv = directory.join(CSV);
                bail!("{}: expected {JSON} of the same sweep with it, found none; move it away", csv.display())
            }
            Err(_) => Vec::new(),
            Ok(text) => {
                let found: Option<Value> = serde_json::from_slice(&text).ok();
                if found.as_ref().is_none_or(|found| found.get("settings").is_none() || found.get("points").is_none()) {
                    bail!("{}: expected results of a sweep, found another file; move it away", path.display());
                }
                let same = found.filter(|found| found["settings"] == settings);
                match (same.and_then(|found| serde_json::from_value::<Sweep<F>>(found).ok()), replace) {
                    (Some(sweep), _) => sweep.points,
                    (None, Overwrite::Allow) => Vec::new(),
                    (None, Overwrite::Refuse) => {
                        bail!(
                            "{}: expected results of the same sweep, found others; --force replaces them",
                            path.display()
                        )
                    }
                }
            }
        };
        if !directory.is_dir() {
            fs::create_dir_all(directory)
                .map_err(|error| miette::miette!("{}: cannot be made: {error}", directory.display()))?;
        }
        provenance::check(directory).map_err(report)?;
        Ok(Self { directory: directory.into(), settings, inputs, seed, _lock: lock, earlier })
    }

    /// Writes what there is, each file whole.
    pub fn write(&self, sweep: &Sweep<F>, planned: usize) -> Result<()> {
        let mut value = json!(sweep);
        value["settings"] = self.settings.clone();
        value["complete"] = json!(sweep.points.len() == planned);
        let path = self.directory.join(JSON);
        atomic_write::write_file(&path, Overwrite::Allow, |file| writeln!(file, "{value:#}")).map_err(report)?;
        let table = Table { columns: sweep.columns(), rows: sweep.rows().collect() };
        let path = self.directory.join(CSV);
        atomic_write::write_file(&path, Overwrite::Allow, |file| file.write_all(table.csv().as_bytes())).map_err(report)
    }

    /// Writes the record of the run beside the tables.
    pub fn record(&self) -> Result<()> {
        let inputs: Vec<&Path> = self.inputs.iter().map(PathBuf::as_path).collect();
        let parameters = self.settings.clone();
        let run = provenance::Run { results: &[CSV, JSON], inputs: &inputs, seed: Some(self.seed), parameters };
        provenance::write_shared(&self.directory, &run).map_err(report)
    }
}
