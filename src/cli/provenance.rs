//! `run.json`: what it takes to repeat a result, written next to it.
//!
//! It holds the command line, the version, the seed, a hash of each input and every effective parameter, and no
//! date: the same run writes the same bytes. Where results of several runs share a directory, the records of runs
//! for other results are kept under `earlier`, and one list of `files` holds the results of all. A `run.json` of
//! another program is not touched.

use super::{interrupt, program};
use megasim::atomic_write::{self, Overwrite, OwnFile, RECORD, Short, files_below, is_stream, of_record, seal};
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

/// The name of the record in its directory.
pub const FILE_NAME: &str = RECORD;

/// Why a record could not be written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An input cannot be read for its hash.
    #[error("{path}: cannot be read: {source}")]
    Input {
        /// The input.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Something else has the name.
    #[error("{0}: expected the record of an earlier run, found another file; move it away")]
    Foreign(PathBuf),
    /// The record cannot be written.
    #[error(transparent)]
    Write(#[from] atomic_write::Error),
}

/// What a record says next to the command line and the version.
#[derive(Debug)]
pub struct Run<'a, P: Serialize> {
    /// Names of the results, relative to the record; `*` is any text. A directory is a result with all files in it.
    pub results: &'a [&'a str],
    /// Files, or directories of which each file counts, that decided the results.
    pub inputs: &'a [&'a Path],
    /// The seed, where there is one.
    pub seed: Option<u64>,
    /// Every parameter with the value that took effect.
    pub parameters: P,
}

/// Writes `run.json` into the directory of the results, which other runs may write to at the same time.
///
/// # Errors
/// As [`write`]; if a foreign `run.json` is in the way, or if another process holds the directory for long.
pub fn write_shared(directory: &Path, run: &Run<impl Serialize>) -> Result<(), Error> {
    let path = directory.join(FILE_NAME);
    let mut record = record(directory, run)?;
    let _lock = Short::lock(directory)?;
    let (earlier, mut files) = earlier(&path, run.results)?;
    if !earlier.is_empty() {
        record["earlier"] = earlier.into();
    }
    for file in own_files(directory, run.results).map_err(|source| Error::Input { path: directory.into(), source })? {
        files.insert(file.path.clone(), file);
    }
    let text = seal(record, files.into_values().collect());
    Ok(atomic_write::write_file(&path, Overwrite::Allow, |file| file.write_all(text.as_bytes()))?)
}

/// Writes `run.json` into an [`AtomicDir`](megasim::atomic_write::AtomicDir). Its list of files comes when the
/// directory is complete: one with a list is a complete result.
///
/// # Errors
/// If an input cannot be read, or if it cannot be written.
pub fn write(directory: &Path, run: &Run<impl Serialize>) -> Result<(), Error> {
    let text = format!("{:#}\n", record(directory, run)?);
    let path = directory.join(FILE_NAME);
    Ok(atomic_write::write_file(&path, Overwrite::Allow, |file| file.write_all(text.as_bytes()))?)
}

fn record(directory: &Path, run: &Run<impl Serialize>) -> Result<Value, Error> {
    let mut record = json!({
        "megasim": env!("CARGO_PKG_VERSION"),
        "command": program::words().iter().map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>(),
        "working_directory": working_directory(directory),
        "results": run.results,
        "seed": run.seed,
        "inputs": run.inputs.iter().map(|path| describe(path)).collect::<Result<Vec<_>, _>>()?,
        "parameters": run.parameters,
    });
    if interrupt::asked() {
        record["interrupted"] = true.into();
    }
    Ok(record)
}

/// Writes `run.json` next to each of the result files, and directories of results; devices have none.
///
/// # Errors
/// As [`write`].
pub fn write_beside(
    results: &[&Path],
    inputs: &[&Path],
    seed: Option<u64>,
    parameters: impl Serialize,
) -> Result<(), Error> {
    let mut directories: BTreeMap<&Path, Vec<String>> = BTreeMap::new();
    for result in results.iter().filter(|result| !is_stream(result)) {
        let name = result.file_name().unwrap_or_default().to_string_lossy().into_owned();
        directories.entry(atomic_write::parent(result)).or_default().push(name);
    }
    for (directory, names) in directories {
        let results: Vec<&str> = names.iter().map(String::as_str).collect();
        write_shared(directory, &Run { results: &results, inputs, seed, parameters: &parameters })?;
    }
    Ok(())
}

/// Adds files to the list of a record, where there is one of this program.
///
/// # Errors
/// If the record cannot be written.
pub fn add(directory: &Path, added: impl IntoIterator<Item = OwnFile>) -> Result<(), Error> {
    let path = directory.join(FILE_NAME);
    let _lock = Short::lock(directory)?;
    let record: Option<Value> = fs::read(&path).ok().and_then(|text| serde_json::from_slice(&text).ok());
    let Some((record, files)) = record.and_then(|record| of_record(&record).map(|files| (record, files))) else {
        return Ok(());
    };
    let mut files: BTreeMap<_, _> = files.into_iter().map(|file| (file.path.clone(), file)).collect();
    files.extend(added.into_iter().map(|file| (file.path.clone(), file)));
    let text = seal(record, files.into_values().collect());
    Ok(atomic_write::write_file(&path, Overwrite::Allow, |file| file.write_all(text.as_bytes()))?)
}

/// The current directory, relative to that of the record, so that both may move together.
pub fn working_directory(directory: &Path) -> Option<String> {
    let (from, to) = (fs::canonicalize(directory).ok()?, std::env::current_dir().ok()?.canonicalize().ok()?);
    let shared = from.components().zip(to.components()).take_while(|(a, b)| a == b).count();
    let up = from.components().skip(shared).map(|_| Component::ParentDir);
    let path: PathBuf = up.chain(to.components().skip(shared)).collect();
    Some(if path.as_os_str().is_empty() { ".".into() } else { path.to_string_lossy().into_owned() })
}

/// The files of results, as they are now.
fn own_files(directory: &Path, results: &[&str]) -> io::Result<Vec<OwnFile>> {
    let patterns: Vec<_> = results.iter().filter_map(|result| pattern(result)).collect();
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !patterns.iter().any(|pattern| pattern.matches(&name)) {
            continue;
        }
        let kind = entry.file_type()?;
        if kind.is_file() {
            files.push(OwnFile::read(directory, name)?);
        } else if kind.is_dir() {
            let below = files_below(&entry.path())?.into_iter();
            files.extend(below.map(|file| OwnFile { path: format!("{name}/{}", file.path), ..file }));
            if entry.path().join(FILE_NAME).is_file() {
                files.push(OwnFile::read(directory, format!("{name}/{FILE_NAME}"))?);
            }
        }
    }
    Ok(files)
}

/// A result's name with `*` for any text, and no other special letters.
fn pattern(result: &str) -> Option<glob::Pattern> {
    let parts: Vec<_> = result.split('*').map(glob::Pattern::escape).collect();
    glob::Pattern::new(&parts.join("*")).ok()
}

/// Refuses, before any work is done, a place where a foreign `run.json` would be in the way.
pub fn check(directory: &Path) -> Result<(), Error> {
    earlier(&directory.join(FILE_NAME), &[]).map(drop)
}

/// The records in an existing `run.json` that are about other results, the latest first, and its list of files.
fn earlier(path: &Path, results: &[&str]) -> Result<(Vec<Value>, BTreeMap<String, OwnFile>), Error> {
    let foreign = || Error::Foreign(path.into());
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Default::default()),
        Err(_) => return Err(foreign()),
    };
    let mut latest: Value = serde_json::from_slice(&text).map_err(|_| foreign())?;
    let files = of_record(&latest).unwrap_or_default();
    let fields = latest.as_object_mut().filter(|fields| fields.contains_key("megasim")).ok_or_else(foreign)?;
    fields.remove("files");
    let before = fields.remove("earlier");
    let mut records = vec![latest];
    if let Some(Value::Array(before)) = before {
        records.extend(before);
    }
    let replaced = json!(results);
    records.retain(|record| record["results"] != replaced);
    Ok((records, files.into_iter().map(|file| (file.path.clone(), file)).collect()))
}

/// What a record says of an input: its path, size and hash.
///
/// # Errors
/// If it cannot be read.
pub fn describe(path: &Path) -> Result<Value, Error> {
    let input = OwnFile::of_input(path).map_err(|source| Error::Input { path: path.into(), source })?;
    let OwnFile { bytes, sha256, .. } = input;
    Ok(json!({ "path": path.to_string_lossy(), "bytes": bytes, "sha256": sha256 }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shared(results: &[&str], directory: &Path) -> Value {
        let input = directory.join("input");
        let run = Run { results, inputs: &[&input], seed: Some(7), parameters: json!({ "dt": 1 }) };
        write_shared(directory, &run).unwrap();
        serde_json::from_slice(&fs::read(directory.join(FILE_NAME)).unwrap()).unwrap()
    }

    #[test]
    fn says_what_made_the_result() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("input"), "abc").unwrap();
        let record = shared(&["a.json"], directory.path());
        assert_eq!(record["inputs"][0]["sha256"], "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(record["seed"], 7);
        assert_eq!(record["parameters"]["dt"], 1);
        assert_eq!(record.get("earlier"), None);
    }

    #[test]
    fn keeps_the_records_of_other_results() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("input"), "abc").unwrap();
        shared(&["a.json"], directory.path());
        shared(&["b.json"], directory.path());
        let latest = shared(&["a.json"], directory.path());
        assert_eq!(latest["results"], json!(["a.json"]));
        assert_eq!(latest["earlier"].as_array().unwrap().len(), 1);
        assert_eq!(latest["earlier"][0]["results"], json!(["b.json"]));
    }

    #[test]
    fn leaves_a_foreign_file_alone() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join(FILE_NAME), r#"{"mine": 1}"#).unwrap();
        let run = Run { results: &["a"], inputs: &[], seed: None, parameters: () };
        assert!(matches!(write_shared(directory.path(), &run), Err(Error::Foreign(_))));
        assert_eq!(fs::read_to_string(directory.path().join(FILE_NAME)).unwrap(), r#"{"mine": 1}"#);
    }

    #[test]
    fn hashes_a_directory_without_its_records() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("b"), "2").unwrap();
        fs::write(directory.path().join("a"), "1").unwrap();
        let before = OwnFile::of_input(directory.path()).unwrap();
        fs::write(directory.path().join(FILE_NAME), "{}").unwrap();
        assert_eq!(OwnFile::of_input(directory.path()).unwrap(), before);
        assert_eq!(before.bytes, 2);
    }
}
