//! `megasim merge DIR...`: the results of a study from the outcomes of its shards.

use super::diagnostic::report;
use super::output::{Figures, Printed};
use super::per_sample::page_file;
use super::presentation::Threads;
use super::sharing::{self, Described, KeptOutcomes, OUTCOMES, Shard};
use super::tables::boxed;
use super::{Command, Line, print};
use clap::Args;
use megasim::atomic_write::{DirLock, OwnFile, RECORD, of_record};
use miette::{Result, bail, miette};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Merge the outcomes of shards: the table and the files that one run of the study would have given
///
/// Results go where the command of the shards says (--json, --report, --predictions, --out of a sweep, ...), or where
/// the same options of merge say. Runs in the working directory of the shards.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The directories of --outcomes
    #[arg(required = true, value_name = "DIR")]
    directories: Vec<PathBuf>,
    /// Print how far each shard is, and end
    #[arg(long)]
    status: bool,
    /// Where the tables of a sweep go
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Write the figures to this file; -: to standard output, and the text for people goes to standard error
    #[arg(long, value_name = "FILE")]
    json: Option<Figures>,
    #[command(flatten)]
    printed: Printed,
    /// Write a page of pictures to this file, and their numbers to a directory next to it
    #[arg(long, value_name = "FILE.html", value_parser = page_file)]
    report: Option<PathBuf>,
    /// For classify: write what was decided on each sample to this file
    #[arg(long, value_name = "FILE")]
    predictions: Option<PathBuf>,
    /// For eval: write the outputs of each sample to this file
    #[arg(long, value_name = "FILE")]
    outputs: Option<PathBuf>,
    /// Replace existing results
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    threads: Threads,
}

/// Merges, prints and writes, by the command of the shards.
pub fn run(arguments: &Arguments) -> Result<Option<Command>> {
    let shards = arguments.directories.iter().map(|directory| Described::read(directory));
    let shards = shards.collect::<Result<Vec<_>>>()?;
    of_one_study(&shards)?;
    if arguments.status {
        print(&status(&shards)?);
        return Ok(None);
    }
    let shards = complete(shards)?;
    for shard in &shards {
        intact(&shard.directory)?;
    }
    let first = &shards[0];
    let there = shard_place(first)?;
    let here = std::env::current_dir().and_then(fs::canonicalize).map_err(report)?;
    if there != here {
        bail!(
            "{}: ran in {}, whose relative names its command has; run 'megasim merge' there",
            first.directory.display(),
            there.display()
        );
    }
    let words = arguments.words(first)?;
    sharing::merge(shards);
    let line = super::parse(&words).map_err(|error| miette!("{}", error.render().to_string().trim_end()))?;
    Ok(match line {
        Line::Command(command) => Some(*command),
        Line::InPlace(_) | Line::Demo => None,
    })
}

impl Arguments {
    /// The command line of one run of the whole study.
    fn words(&self, shard: &Described) -> Result<Vec<std::ffi::OsString>> {
        let (study, results) = sharing::words_of(shard);
        let given = [
            ("--out", &self.out),
            ("--json", &self.json.as_ref().map(Figures::word)),
            ("--report", &self.report),
            ("--predictions", &self.predictions),
            ("--outputs", &self.outputs),
        ];
        let mut words: Vec<std::ffi::OsString> = vec!["megasim".into()];
        words.extend(study.into_iter().map(Into::into));
        for (option, value) in results {
            if given.iter().all(|(name, value)| *name != option || value.is_none()) {
                words.extend([option.into(), value.into()]);
            }
        }
        for (option, value) in given {
            if let Some(value) = value {
                words.extend([option.into(), value.into()]);
            }
        }
        if self.force {
            words.push("--force".into());
        }
        if let Some(threads) = self.threads.given() {
            words.extend(["--threads".into(), threads.to_string().into()]);
        }
        Ok(words)
    }
}

/// The working directory of a shard.
fn shard_place(shard: &Described) -> Result<PathBuf> {
    let relative = shard.header["working_directory"].as_str().unwrap_or(".");
    let place = shard.directory.join(relative);
    fs::canonicalize(&place).map_err(|error| miette!("{}: working directory of the shard: {error}", place.display()))
}

/// Refuses shards of different studies, and parts that are given twice.
fn of_one_study(shards: &[Described]) -> Result<()> {
    let first = &shards[0];
    let mut parts: BTreeMap<Shard, &Path> = BTreeMap::new();
    for shard in shards {
        let place = shard.directory.display();
        if let Some(difference) = shard.differs(&first.header) {
            bail!("{place}: is not of the same study as {}: {difference}", first.directory.display());
        }
        if shard.shard.of != first.shard.of {
            bail!(
                "{place}: expected one of {} parts, as {}, found one of {}",
                first.shard.of,
                first.directory.display(),
                shard.shard.of
            );
        }
        if let Some(other) = parts.insert(shard.shard, &shard.directory) {
            bail!("{place}: part {} is there twice, in {} too; give one of the two", shard.shard, other.display());
        }
    }
    Ok(())
}

/// The parts that are not among the shards, in words.
fn missing(shards: &[Described]) -> Option<String> {
    let of = shards[0].shard.of;
    let has = |number: usize| shards.iter().any(|shard| shard.shard.number == number);
    let missing: Vec<String> = (1..=of).filter(|&number| !has(number)).map(|number| number.to_string()).collect();
    (!missing.is_empty()).then(|| format!("missing of {of} parts: {}", missing.join(", ")))
}

/// All parts, each of them complete.
fn complete(shards: Vec<Described>) -> Result<Vec<Described>> {
    let mut faults: Vec<String> = missing(&shards).into_iter().collect();
    for shard in shards.iter().filter(|shard| !sharing::is_complete(&shard.directory)) {
        let place = shard.directory.display();
        faults.push(format!("{place}: part {} is not complete; its command goes on", shard.shard));
    }
    if !faults.is_empty() {
        bail!("expected all parts, each complete, found:\n{}", faults.join("\n"));
    }
    Ok(shards)
}

/// Refuses outcomes that are not those of the record.
fn intact(directory: &Path) -> Result<()> {
    let path = directory.join(RECORD);
    let text = fs::read(&path).map_err(|error| miette!("{}: {error}", path.display()))?;
    let record: Value = serde_json::from_slice(&text).map_err(|error| miette!("{}: {error}", path.display()))?;
    let files = of_record(&record).unwrap_or_default();
    let expected = files.iter().find(|file| file.path == OUTCOMES);
    let found = OwnFile::read(directory, OUTCOMES.into()).map_err(|error| {
        let path = directory.join(OUTCOMES);
        miette!("{}: {error}", path.display())
    })?;
    match expected {
        Some(expected) if *expected == found => Ok(()),
        Some(expected) => bail!(
            "{}: changed since it was complete: expected SHA-256 {}, found {}",
            directory.join(OUTCOMES).display(),
            expected.sha256,
            found.sha256
        ),
        None => bail!("{}: expected {OUTCOMES} in its list of files, found none", path.display()),
    }
}

/// How far each shard is.
fn status(shards: &[Described]) -> Result<String> {
    let mut rows = Vec::new();
    for shard in shards {
        let kept = KeptOutcomes::open(&[shard.directory.join(OUTCOMES)], false, shard.shard);
        let progress = kept.map(|kept| kept.progress()).unwrap_or_default();
        let state = match sharing::is_complete(&shard.directory) {
            true => "complete",
            // A process that writes there has the lock.
            false => match DirLock::acquire(&shard.directory) {
                Ok(_) => "stopped",
                Err(_) => "running",
            },
        };
        let (done, planned) =
            progress.iter().fold((0, 0), |(done, planned), stage| (done + stage.done, planned + stage.planned));
        let at = progress.iter().filter(|stage| stage.done < stage.planned).map(|it| it.stage.clone());
        rows.push(vec![
            shard.shard.to_string(),
            shard.directory.display().to_string(),
            state.to_string(),
            format!("{done} of {planned}"),
            at.collect::<Vec<_>>().join("; "),
        ]);
    }
    let mut text = format!("{}\n", boxed(&["part", "directory", "state", "outcomes", "at"], rows));
    if let Some(missing) = missing(shards) {
        text += &format!("{missing}\n");
    }
    Ok(text)
}
