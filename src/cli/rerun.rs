//! `megasim rerun DIR`: the runs of a record again, and whether they give the same bytes.

use super::diagnostic::{report, unreadable};
use super::paths::OUTPUTS;
use super::tables::counted;
use super::{interrupt, program, provenance};
use clap::Args;
use megasim::atomic_write::{self, AtomicDir, Overwrite, OwnFile, RECORD, files_below, make_directory, of_record};
use megasim::dataset::SampleList;
use miette::{Result, bail, miette};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// Repeat the runs that the run.json of a result directory records, and compare the results byte by byte
///
/// Inputs must have the hashes of the record. Processor times in JSON files ("seconds") are measured, and not
/// compared. Exit status 1 where something differs.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Directory with results and their run.json
    directory: PathBuf,
    /// Keep the new results in this directory, which must not exist
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Runs, compares and prints.
pub fn run(arguments: &Arguments) -> Result<()> {
    let directory = &arguments.directory;
    let path = directory.join(RECORD);
    let record = read(&path)?;
    let Some(files) = of_record(&record) else {
        bail!("{}: expected a record with a list of files, found none; earlier versions wrote none", path.display());
    };
    let made_with = record["megasim"].as_str().unwrap_or("unknown");
    if made_with != env!("CARGO_PKG_VERSION") {
        let version = env!("CARGO_PKG_VERSION");
        eprintln!("warning: {}: was written by version {made_with}, this is {version}", path.display());
    }
    let kept = arguments.out.as_deref().map(|out| AtomicDir::create(out, Overwrite::Refuse)).transpose();
    let kept = kept.map_err(|error| match error {
        atomic_write::Error::Exists(path) => miette!("--out: {}: exists already; name another", path.display()),
        error => report(error),
    })?;
    let temporary = tempfile::tempdir().map_err(report)?;
    let new = fs::canonicalize(kept.as_ref().map_or(temporary.path(), AtomicDir::path)).map_err(report)?;
    interrupt::watch();
    let listed: BTreeMap<&str, &OwnFile> = files.iter().map(|file| (file.path.as_str(), file)).collect();
    let mut same = BTreeSet::new();
    let mut different = Vec::new();
    // The oldest first: a later run may read what an earlier one wrote.
    let records = record["earlier"].as_array().into_iter().flatten().rev().chain([&record]);
    for (number, record) in records.enumerate() {
        // A name that is used once: where this process is killed, the run may outlive it.
        let place = new.join(format!("{number}.{}", std::process::id()));
        make_directory(&place).map_err(report)?;
        let run = Run::of(record, directory, &place)?;
        run.repeat()?;
        for file in files_below(&place).map_err(report)? {
            // Results are in the directory itself, or are the directory.
            let inside = file.path.split_once('/').map(|(_, rest)| rest);
            let Some(name) =
                [Some(file.path.as_str()), inside].into_iter().flatten().find(|it| listed.contains_key(it))
            else {
                continue;
            };
            if name.rsplit('/').next() == Some(RECORD) {
                let again: Value = read(&place.join(&file.path))?;
                let is_ours = name == RECORD && again["results"] == record["results"];
                let keys = ["parameters", "seed", "results"];
                if is_ours && keys.iter().any(|key| again[key] != record[key]) {
                    different.push(format!("{name}: other parameters"));
                }
                same.insert(name.to_string());
            } else if is_same(&directory.join(name), &place.join(&file.path))? {
                same.insert(name.to_string());
            } else {
                different.push(name.to_string());
            }
        }
        fs::rename(&place, new.join(number.to_string())).map_err(report)?;
    }
    let missing = listed.keys().filter(|name| **name != RECORD && !same.contains(**name));
    let missing: Vec<_> = missing.filter(|name| !different.iter().any(|it| it == *name)).collect();
    different.extend(missing.iter().map(|name| format!("{name}: not written again")));
    if let Some(kept) = kept {
        kept.finish().map_err(report)?;
    }
    if different.is_empty() {
        let n = same.iter().filter(|name| *name != RECORD).count();
        super::answer(&format!("{}: {}, all the same", directory.display(), counted(n as u64, "file")));
        return Ok(());
    }
    bail!("{}: {} of {} files differ:\n{}", directory.display(), different.len(), listed.len(), different.join("\n"))
}

/// One run of a record, with its results in another place.
struct Run {
    words: Vec<String>,
    working_directory: PathBuf,
}

impl Run {
    fn of(record: &Value, directory: &Path, place: &Path) -> Result<Self> {
        let path = directory.join(RECORD);
        let path = path.display();
        let words = |key: &str| record[key].as_array().into_iter().flatten().filter_map(Value::as_str);
        let Some(relative) = record["working_directory"].as_str() else {
            bail!("{path}: expected the working directory of the run, found none; earlier versions wrote none");
        };
        let working_directory = directory.join(relative);
        let working_directory = fs::canonicalize(&working_directory)
            .map_err(|error| miette!("{}: working directory of {path}: {error}", working_directory.display()))?;
        for input in record["inputs"].as_array().into_iter().flatten() {
            let name = input["path"].as_str().unwrap_or_default();
            let found = provenance::describe(&working_directory.join(name)).map_err(report)?;
            if found["sha256"] != input["sha256"] {
                let (expected, found) = (&input["sha256"], &found["sha256"]);
                bail!("{name}: changed since the run: expected SHA-256 {expected}, found {found}");
            }
        }
        let given: Vec<&str> = words("command").skip(1).collect();
        let mut words = match given.first() {
            Some(name) if super::subcommand(name).is_some() => redirected(&given, place)?,
            // MegaSim's own way: event files next to the schematic.
            Some(schematic) => vec!["run".into(), (*schematic).into(), "--out".into(), text(&place.join("events"))?],
            None => bail!("{path}: records the demo; 'megasim' in an empty directory repeats it"),
        };
        if record["interrupted"] == true
            && let Some(samples) = record["parameters"]["samples"].as_u64()
        {
            let count = samples.to_string();
            let listed = record["parameters"]["samples_listed"].as_str().and_then(|it| it.parse::<SampleList>().ok());
            let done = listed.map_or(count, |list| list.first(samples as usize).to_string());
            set(&mut words, "--samples", &done);
        }
        Ok(Self { words, working_directory })
    }

    fn repeat(&self) -> Result<()> {
        let mut command = program::again().map_err(report)?;
        command.args(&self.words).current_dir(&self.working_directory).stdout(Stdio::null());
        let status = command.status().map_err(report)?;
        if !status.success() {
            bail!("'megasim {}': expected success, found {status}", self.words.join(" "));
        }
        Ok(())
    }
}

fn text(path: &Path) -> Result<String> {
    path.to_str().map(String::from).ok_or_else(|| miette!("{}: expected a name in UTF-8", path.display()))
}

/// A command line with its outputs in another directory.
fn redirected(given: &[&str], place: &Path) -> Result<Vec<String>> {
    let mut names = BTreeSet::new();
    let mut moved = |path: &str| -> Result<String> {
        let name = Path::new(path).file_name().unwrap_or_default();
        if !names.insert(name.to_os_string()) {
            bail!(
                "{path}: two results of one run have this name, in different directories, which rerun does not repeat"
            );
        }
        text(&place.join(name))
    };
    let mut words = Vec::new();
    let is_report = given.first() == Some(&"report");
    let mut given = given.iter();
    while let Some(&word) = given.next() {
        let (option, value) = word.split_once('=').map_or((word, None), |(option, value)| (option, Some(value)));
        if word == "--resume" {
            continue;
        }
        if !OUTPUTS.contains(&option) {
            words.push(word.to_string());
            continue;
        }
        if let Some(path) = value.or_else(|| given.next().copied()) {
            words.extend([option.to_string(), if path == "-" { path.into() } else { moved(path)? }]);
        }
    }
    if is_report && !words.iter().any(|word| word == "--out") {
        words.extend(["--out".to_string(), moved(super::report::DEFAULT_PAGE)?]);
    }
    Ok(words)
}

/// Gives an option a value, in place of the one it has.
fn set(words: &mut Vec<String>, option: &str, value: &str) {
    let prefix = format!("{option}=");
    if let Some(k) = words.iter().position(|word| word == option) {
        words.drain(k..(k + 2).min(words.len()));
    }
    words.retain(|word| !word.starts_with(&prefix));
    words.extend([option.to_string(), value.to_string()]);
}

fn read(path: &Path) -> Result<Value> {
    let text = fs::read(path).map_err(|error| unreadable(path, &error))?;
    serde_json::from_slice(&text).map_err(|error| miette!("{}: {error}", path.display()))
}

/// Whether two files have the same bytes; of JSON, the same values but for measured times.
fn is_same(one: &Path, other: &Path) -> Result<bool> {
    let bytes = |path: &Path| fs::read(path).map_err(|error| unreadable(path, &error));
    let (first, second) = (bytes(one)?, bytes(other)?);
    if first == second || one.extension().is_none_or(|ending| ending != "json") {
        return Ok(first == second);
    }
    let (mut first, mut second) = (read(one)?, read(other)?);
    without_times(&mut first);
    without_times(&mut second);
    Ok(first == second)
}

fn without_times(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.remove("seconds");
            fields.values_mut().for_each(without_times);
        }
        Value::Array(items) => items.iter_mut().for_each(without_times),
        _ => {}
    }
}
