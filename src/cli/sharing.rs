//! The samples of a study in parts: `--shard` and `--outcomes`, which `megasim merge` puts together, and `--estimate`.

mod estimate;
mod kept;
#[cfg(feature = "mpi")]
mod ranks;

pub use kept::KeptOutcomes;

use super::diagnostic::report;
use super::{answer, interrupt, output, print, program, provenance};
use clap::Args;
use estimate::Estimate;
use megasim::atomic_write::{self, DirLock, Overwrite, RECORD};
use megasim::control::Outcomes;
use miette::{Result, bail, miette};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// The outcomes.
pub const OUTCOMES: &str = "outcomes.bin";
/// What they are outcomes of.
pub const HEADER: &str = "outcomes.json";

/// A part of the samples: those whose number in the run leaves this rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Shard {
    /// From 1 on.
    pub number: usize,
    /// How many parts there are.
    pub of: usize,
}

/// Most parts.
const MOST_SHARDS: usize = 1_000_000;

impl Shard {
    /// All samples.
    pub const WHOLE: Self = Self { number: 1, of: 1 };

    /// Whether a sample is in it.
    pub fn has(self, sample: usize) -> bool {
        sample % self.of == self.number - 1
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = text.split_once('/').and_then(|(number, of)| Some((number.parse().ok()?, of.parse().ok()?)));
        match parsed {
            Some((number, of)) if (1..=of).contains(&number) && of <= MOST_SHARDS => Ok(Self { number, of }),
            _ => Err(format!("expected I/N with I from 1 to N, found `{text}`")),
        }
    }
}

impl std::fmt::Display for Shard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.number, self.of)
    }
}

/// Which part of the samples runs, and where their outcomes are kept.
#[derive(Debug, Clone, Default, Args)]
pub struct Sharing {
    /// Run only part I of N of the samples, and keep their outcomes in --outcomes; 'megasim merge' gives the results
    #[arg(long, value_name = "I/N", requires = "outcomes")]
    shard: Option<Shard>,
    /// Keep the outcome of each sample in this directory; a run that was interrupted goes on there
    #[arg(long, value_name = "DIR")]
    pub outcomes: Option<PathBuf>,
    /// Run a few samples, print what time and memory the whole run will take, and end
    #[arg(long, conflicts_with = "outcomes")]
    estimate: bool,
}

/// What takes part in the run of this process.
enum Current {
    /// A directory that is written.
    Written {
        kept: Arc<KeptOutcomes>,
        directory: PathBuf,
        header: Value,
        inputs: Vec<PathBuf>,
        lock: Mutex<Option<DirLock>>,
    },
    /// Directories that are merged.
    Merged(KeptOutcomes),
    /// A few samples that are measured.
    Estimated(Estimate),
}

static CURRENT: OnceLock<Current> = OnceLock::new();

/// Shards that are merged.
static MERGED: OnceLock<Vec<Described>> = OnceLock::new();

/// A directory of outcomes with what it says of them.
#[derive(Debug, Clone)]
pub struct Described {
    /// The directory.
    pub directory: PathBuf,
    /// Which part of the samples it has.
    pub shard: Shard,
    /// What they are outcomes of.
    pub header: Value,
}

impl Described {
    /// Reads what is said.
    ///
    /// # Errors
    /// If it is no directory of outcomes.
    pub fn read(directory: &Path) -> Result<Self> {
        let path = directory.join(HEADER);
        let text = fs::read(&path).map_err(|error| {
            miette!("{}: expected outcomes that --outcomes keeps: {}: {error}", directory.display(), path.display())
        })?;
        let header: Value = serde_json::from_slice(&text).map_err(|error| miette!("{}: {error}", path.display()))?;
        let shard: Shard = serde_json::from_value(header["shard"].clone())
            .map_err(|error| miette!("{}: expected the part of the samples: {error}", path.display()))?;
        if !(1..=shard.of).contains(&shard.number) {
            bail!("{}: expected a part from 1 to {}, found {}", path.display(), shard.of, shard.number);
        }
        Ok(Self { directory: directory.into(), shard, header })
    }

    /// A list of words.
    pub fn words(&self, key: &str) -> Vec<String> {
        self.header[key].as_array().into_iter().flatten().filter_map(Value::as_str).map(String::from).collect()
    }

    /// In what it differs from another one that should be of the same run; none where it does not.
    pub fn differs(&self, other: &Value) -> Option<String> {
        difference(&self.header, other)
    }
}

/// Studies of different runs, by what decides their outcomes.
fn difference(found: &Value, expected: &Value) -> Option<String> {
    if found["megasim"] != expected["megasim"] {
        return Some(format!("expected version {}, found {}", expected["megasim"], found["megasim"]));
    }
    if found["study"] != expected["study"] {
        let words = |of: &Value| {
            let words = of["study"].as_array().into_iter().flatten().filter_map(Value::as_str);
            words.collect::<Vec<_>>().join(" ")
        };
        return Some(format!("expected '{}', found '{}'", words(expected), words(found)));
    }
    let inputs = |of: &Value| of["inputs"].as_array().cloned().unwrap_or_default();
    let (expected, found) = (inputs(expected), inputs(found));
    for (expected, found) in expected.iter().zip(&found) {
        if expected["sha256"] != found["sha256"] {
            let (name, expected, found) = (&expected["path"], &expected["sha256"], &found["sha256"]);
            return Some(format!("{name}: expected SHA-256 {expected}, found {found}"));
        }
    }
    (expected.len() != found.len()).then(|| format!("expected {} inputs, found {}", expected.len(), found.len()))
}

/// Options that change where results go, or how fast they come, and no outcome.
const NO_MATTER: [&str; 3] = ["--shard", "--outcomes", "--threads"];

/// The words of a command without the program and options that change no outcome, and its options of results.
fn study(words: &[String]) -> (Vec<String>, Vec<(String, String)>) {
    let (mut study, mut results) = (Vec::new(), Vec::new());
    let mut rest = words.iter().skip(1);
    while let Some(word) = rest.next() {
        let (option, value) =
            word.split_once('=').map_or((word.as_str(), None), |(option, value)| (option, Some(value.to_string())));
        let is_result = super::paths::OUTPUTS.contains(&option);
        if ["--force", "--full", "--brief"].contains(&word.as_str()) {
            continue;
        }
        if !is_result && !NO_MATTER.contains(&option) {
            study.push(word.clone());
            continue;
        }
        if let Some(value) = value.or_else(|| rest.next().cloned()).filter(|_| is_result) {
            results.push((option.to_string(), value));
        }
    }
    (study, results)
}

impl Sharing {
    /// Starts to share samples, where that is asked for. `inputs` decide the outcomes; `threads` run them.
    ///
    /// # Errors
    /// If the directory holds something else, or if an input is not that of the shards that are merged.
    pub fn begin(&self, inputs: &[PathBuf], seed: Option<u64>, threads: usize) -> Result<()> {
        let launched = program::launched();
        if launched.is_some() {
            self.check_ranks()?;
        }
        let current = if launched.is_some_and(|rank| rank > 0) {
            return start_ranks(None);
        } else if let Some(shards) = MERGED.get() {
            let described = describe(inputs)?;
            let now = json!({ "megasim": env!("CARGO_PKG_VERSION"), "study": shards[0].header["study"],
                "inputs": described });
            if let Some(difference) = shards[0].differs(&now) {
                bail!("{}: changed since: {difference}", shards[0].directory.display());
            }
            let paths: Vec<_> = shards.iter().map(|shard| shard.directory.join(OUTCOMES)).collect();
            Current::Merged(KeptOutcomes::open(&paths, false, Shard::WHOLE).map_err(report)?)
        } else if self.estimate {
            Current::Estimated(Estimate::new(threads))
        } else if let Some(directory) = &self.outcomes {
            self.write_to(directory, inputs, seed)?
        } else {
            return if launched.is_some() { start_ranks(None) } else { Ok(()) };
        };
        let kept = match &current {
            Current::Written { kept, .. } => Some(Arc::clone(kept)),
            Current::Merged(_) | Current::Estimated(_) => None,
        };
        // A command begins once.
        let _ = CURRENT.set(current);
        if launched.is_some() { start_ranks(kept) } else { Ok(()) }
    }

    /// Refuses what one process does, where MPI started several.
    fn check_ranks(&self) -> Result<()> {
        if self.shard.is_some() && cfg!(not(feature = "mpi")) {
            return Ok(());
        }
        if cfg!(not(feature = "mpi")) {
            bail!(
                "mpirun started several processes, and this program is built without MPI: cargo build --features mpi"
            );
        }
        if self.shard.is_some() || self.estimate || MERGED.get().is_some() {
            bail!("--shard, --estimate and 'megasim merge' are for one process, found several of mpirun");
        }
        Ok(())
    }

    fn write_to(&self, directory: &Path, inputs: &[PathBuf], seed: Option<u64>) -> Result<Current> {
        let place = directory.display();
        let cannot = |error: std::io::Error| miette!("{place}: cannot be made: {error}");
        match fs::symlink_metadata(directory) {
            Ok(found) if !found.is_dir() => {
                bail!("{place}: expected a directory of outcomes or a new name, found no directory")
            }
            _ => atomic_write::make_directory(atomic_write::parent(directory)).map_err(cannot)?,
        }
        let lock = DirLock::acquire(directory).map_err(report)?;
        let words: Vec<String> = program::words().iter().map(|word| word.to_string_lossy().into_owned()).collect();
        let shard = self.shard.unwrap_or(Shard::WHOLE);
        let is_new = !directory.join(HEADER).exists();
        if is_new && fs::read_dir(directory).is_ok_and(|mut entries| entries.next().is_some()) {
            bail!("{place}: expected outcomes of the same run, or an empty or new directory, found other files");
        }
        atomic_write::make_directory(directory).map_err(cannot)?;
        let header = json!({
            "megasim": env!("CARGO_PKG_VERSION"),
            "study": study(&words).0,
            "given": words,
            "working_directory": provenance::working_directory(directory),
            "shard": shard,
            "seed": seed,
            "inputs": describe(inputs)?,
        });
        if is_new {
            let path = directory.join(HEADER);
            atomic_write::write_file(&path, Overwrite::Refuse, |file| writeln!(file, "{header:#}")).map_err(report)?;
        } else {
            let found = Described::read(directory)?;
            let other = (found.shard != shard).then(|| format!("expected part {shard}, found part {}", found.shard));
            if let Some(difference) = found.differs(&header).or(other) {
                bail!("{place}: holds outcomes of another run: {difference}; give another directory, or remove it");
            }
        }
        provenance::check(directory).map_err(report)?;
        let kept = KeptOutcomes::open(&[directory.join(OUTCOMES)], true, shard);
        let kept = kept.map_err(|error| miette!("{}: {error}", directory.join(OUTCOMES).display()))?;
        let kept = Arc::new(kept);
        Ok(Current::Written {
            kept,
            directory: directory.into(),
            header,
            inputs: inputs.to_vec(),
            lock: Mutex::new(Some(lock)),
        })
    }
}

fn describe(inputs: &[PathBuf]) -> Result<Vec<Value>> {
    inputs.iter().map(|path| provenance::describe(path)).collect::<Result<_, _>>().map_err(report)
}

#[cfg(feature = "mpi")]
static RANKS: OnceLock<ranks::Ranks> = OnceLock::new();

/// Joins the other ranks; the first one keeps what comes.
#[cfg(feature = "mpi")]
fn start_ranks(kept: Option<Arc<KeptOutcomes>>) -> Result<()> {
    let _ = RANKS.set(ranks::Ranks::start(kept).map_err(|error| miette!("{error}"))?);
    if let Some(ranks) = RANKS.get().filter(|ranks| !ranks.is_worker()) {
        std::thread::spawn(move || ranks.serve());
    }
    Ok(())
}

/// Processes that do not know each other, each with its own part.
#[cfg(not(feature = "mpi"))]
fn start_ranks(_kept: Option<Arc<KeptOutcomes>>) -> Result<()> {
    Ok(())
}

/// Whether results are made here: of all samples, by the only or first process.
pub fn has_results() -> bool {
    !is_partial() && !program::is_worker()
}

/// Refuses to be one of several processes, for work that is not shared.
///
/// # Errors
/// If MPI started several.
pub fn alone(what: &str) -> Result<()> {
    if program::launched().is_some() && cfg!(feature = "mpi") {
        bail!("{what} runs in one process, found several of mpirun");
    }
    Ok(())
}

/// What the first process says, on all of them.
pub fn agree(own: Vec<u8>) -> Vec<u8> {
    #[cfg(feature = "mpi")]
    if let Some(ranks) = RANKS.get() {
        return ranks.agree(own);
    }
    own
}

/// Ends the other processes, where the first one failed.
pub fn abort() {
    #[cfg(feature = "mpi")]
    if let Some(ranks) = RANKS.get() {
        ranks.abort();
    }
}

/// Who shares the samples of the study that runs.
pub fn outcomes() -> Option<&'static dyn Outcomes> {
    #[cfg(feature = "mpi")]
    if let Some(ranks) = RANKS.get() {
        return Some(ranks);
    }
    CURRENT.get().map(|current| match current {
        Current::Written { kept, .. } => &**kept as &dyn Outcomes,
        Current::Merged(kept) => kept,
        Current::Estimated(estimate) => estimate,
    })
}

/// Whether only a part of the samples is known, of which there are no results.
pub fn is_partial() -> bool {
    outcomes().is_some_and(Outcomes::is_partial)
}

/// Whether outcomes cannot be kept or read any more.
pub fn has_failed() -> bool {
    match CURRENT.get() {
        Some(Current::Written { kept, .. }) => kept.fault().is_some(),
        Some(Current::Merged(kept)) => kept.fault().is_some(),
        Some(Current::Estimated(_)) | None => false,
    }
}

/// What a study gives, if it is about all samples; a part of them is at first sight a study that was cancelled.
///
/// # Errors
/// That of the study.
pub fn whole<T, E>(found: Result<T, E>, is_cancelled: impl Fn(&E) -> bool) -> Result<Option<T>, E> {
    match found {
        Ok(_) if !has_results() => Ok(None),
        Err(error) if !has_results() && is_cancelled(&error) => Ok(None),
        found => found.map(Some),
    }
}

/// Merges these shards in the command that runs next.
pub fn merge(shards: Vec<Described>) {
    let _ = MERGED.set(shards);
}

/// Words of the study of a shard, and its options of results.
pub fn words_of(shard: &Described) -> (Vec<String>, Vec<(String, String)>) {
    let (_, results) = study(&shard.words("given"));
    (shard.words("study"), results)
}

fn warn_of_left(stage: &str, samples: usize) {
    output::warn(format_args!("the shards did not keep {samples} samples of stage '{stage}', which run now"));
}

/// The end of a command: of a shard the record that makes it complete, of an estimate what it says.
///
/// # Errors
/// That of the command, or why outcomes could not be kept.
pub fn finish<T>(result: Result<T>) -> Result<T> {
    let result = complete(result);
    if let Some(Current::Written { lock, .. }) = CURRENT.get() {
        // Values of static variables are never dropped, and the lock is a file.
        drop(lock.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
    #[cfg(feature = "mpi")]
    if let Some(ranks) = RANKS.get().filter(|ranks| ranks.is_worker() || result.is_ok()) {
        ranks.leave();
    }
    result
}

fn complete<T>(result: Result<T>) -> Result<T> {
    match CURRENT.get() {
        None => result,
        Some(Current::Merged(kept)) => match kept.fault() {
            Some(fault) => bail!("{fault}"),
            None => result,
        },
        Some(Current::Estimated(estimate)) => {
            let result = result?;
            answer(estimate.text().trim_end());
            Ok(result)
        }
        Some(Current::Written { kept, directory, header, inputs, .. }) => {
            let place = directory.display();
            if let Some(fault) = kept.fault() {
                bail!("{place}: {fault}");
            }
            let result = result?;
            if interrupt::asked() {
                if kept.is_partial() {
                    bail!("{place}: stopped before all samples were done; the same command goes on");
                }
                return Ok(result);
            }
            kept.sync().map_err(|error| miette!("{place}: {error}"))?;
            let inputs: Vec<&Path> = inputs.iter().map(PathBuf::as_path).collect();
            let parameters = json!({ "study": header["study"], "shard": header["shard"] });
            let seed = header["seed"].as_u64();
            let results = &[HEADER, OUTCOMES];
            let run = provenance::Run { results, inputs: &inputs, seed, parameters };
            provenance::write_shared(directory, &run).map_err(report)?;
            if kept.is_partial() {
                let samples: usize = kept.progress().iter().map(|stage| stage.done).sum();
                print(&format!(
                    "Part {} of the samples: {samples} outcomes in {place}. When all parts are there:\n  \
                     megasim merge DIR...\n",
                    kept.shard()
                ));
            }
            Ok(result)
        }
    }
}

/// The record that makes a directory of outcomes complete.
pub fn is_complete(directory: &Path) -> bool {
    let record: Option<Value> = fs::read(directory.join(RECORD)).ok().and_then(|it| serde_json::from_slice(&it).ok());
    record.is_some_and(|record| atomic_write::of_record(&record).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_from_1_to_n() {
        assert_eq!("2/7".parse(), Ok(Shard { number: 2, of: 7 }));
        for wrong in ["", "7", "0/7", "8/7", "1/0", "-1/7", "1/1000001", "a/b"] {
            assert!(wrong.parse::<Shard>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn places_of_results_are_no_part_of_a_study() {
        let words = "megasim classify net --json a.json --samples 9 --shard=1/7 --force --threads 2 --outcomes x";
        let words: Vec<String> = words.split(' ').map(String::from).collect();
        let (of, results) = study(&words);
        assert_eq!(of, ["classify", "net", "--samples", "9"]);
        assert_eq!(results, [("--json".to_string(), "a.json".to_string())]);
    }
}
