//! The tables of a sweep on disk, whole at any time.

use crate::cli::diagnostic::report;
use crate::cli::provenance;
use megasim::atomic_write::{self, DirLock, Overwrite};
use megasim::report::Table;
use megasim::study::sweep::{Axis, Measured, Point, Store, Sweep};
use miette::{Result, bail};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};

const JSON: &str = "sweep.json";
const CSV: &str = "sweep.csv";

/// The file. Figures are kept as they are written, so that no key and no number is dropped in silence.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    settings: Value,
    #[serde(rename = "complete")]
    _complete: bool,
    parameters: Vec<Axis>,
    points: Vec<Value>,
}

/// The points of an earlier run with these settings.
fn earlier_points<F: Serialize + DeserializeOwned>(text: &[u8], settings: &Value) -> Result<Vec<Point<F>>, String> {
    let damaged = |error: serde_json::Error| format!("expected the results of a sweep, found: {error}");
    let stored: Stored = serde_json::from_slice(text).map_err(damaged)?;
    // A sweep that was stopped at a limit goes on with a higher one.
    let without_limits = |settings: &Value| {
        let mut settings = settings.clone();
        settings.as_object_mut().map(|keys| ["max_events", "max_memory"].map(|key| keys.remove(key)));
        settings
    };
    if without_limits(&stored.settings) != without_limits(settings) {
        return Err("expected results of the same sweep, found others".into());
    }
    let parse = |(number, value): (usize, Value)| {
        let point: Point<F> = serde_json::from_value(value.clone())
            .map_err(|error| format!("point {number}: expected the figures of this sweep, found: {error}"))?;
        if json!(point) != value {
            return Err(format!("point {number}: expected the figures of this sweep only, found a key or value more"));
        }
        if point.values.len() != stored.parameters.len() {
            let (expected, found) = (stored.parameters.len(), point.values.len());
            return Err(format!("point {number}: expected {expected} values of parameters, found {found}"));
        }
        Ok(point)
    };
    stored.points.into_iter().enumerate().map(parse).collect()
}

/// Where the tables are, and what an earlier run of the same sweep has left there.
pub struct Files<F> {
    directory: PathBuf,
    settings: Value,
    inputs: Vec<PathBuf>,
    seed: u64,
    _lock: DirLock,
    /// Points that are done.
    earlier: Vec<Point<F>>,
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
        atomic_write::make_directory(atomic_write::parent(directory))
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
                if found.is_none_or(|found| found.get("settings").is_none() || found.get("points").is_none()) {
                    bail!("{}: expected results of a sweep, found another file; move it away", path.display());
                }
                match (earlier_points(&text, &settings), replace) {
                    (Ok(points), _) => points,
                    (Err(_), Overwrite::Allow) => Vec::new(),
                    (Err(message), Overwrite::Refuse) => {
                        bail!("{}: {message}; --force replaces what is there", path.display())
                    }
                }
            }
        };
        if !directory.is_dir() {
            atomic_write::make_directory(directory)
                .map_err(|error| miette::miette!("{}: cannot be made: {error}", directory.display()))?;
        }
        provenance::check(directory).map_err(report)?;
        Ok(Self { directory: directory.into(), settings, inputs, seed, _lock: lock, earlier })
    }

    /// Writes the record of the run next to the tables.
    pub fn record(&self) -> Result<()> {
        let inputs: Vec<&Path> = self.inputs.iter().map(PathBuf::as_path).collect();
        let parameters = self.settings.clone();
        let run = provenance::Run { results: &[CSV, JSON], inputs: &inputs, seed: Some(self.seed), parameters };
        provenance::write_shared(&self.directory, &run).map_err(report)
    }
}

impl<F: Measured + Serialize + Send + Sync> Store<F> for Files<F> {
    fn earlier(&self) -> &[Point<F>] {
        &self.earlier
    }

    /// Writes what there is, each file whole.
    fn keep(&self, done: &Sweep<F>, planned: usize) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let mut value = json!(done);
        value["settings"] = self.settings.clone();
        value["complete"] = json!(done.points.len() == planned);
        let path = self.directory.join(JSON);
        atomic_write::write_file(&path, Overwrite::Allow, |file| writeln!(file, "{value:#}"))?;
        let table = Table { columns: done.columns(), rows: done.rows().collect() };
        let path = self.directory.join(CSV);
        Ok(atomic_write::write_file(&path, Overwrite::Allow, |file| file.write_all(table.csv().as_bytes()))?)
    }
}
