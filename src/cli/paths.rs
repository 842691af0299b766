//! Outputs that would destroy an input or each other are refused before the work.

use megasim::atomic_write::{RECORD, is_stream, of_record};
use megasim::report::Page;
use miette::{Result, bail};
use serde_json::Value;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Component, Path, PathBuf};

/// Options of all commands that name a place to write to.
pub const OUTPUTS: [&str; 14] = [
    "--out",
    "--json",
    "--report",
    "--summary",
    "--export",
    "--save-scales",
    "--save-parsed",
    "--save-activations",
    "--save-normalised",
    "--trace",
    "--picture",
    "--outputs",
    "--predictions",
    "--npz",
];

/// Where a command writes, and what it reads.
#[derive(Debug, Default)]
pub struct Paths {
    outputs: Vec<Output>,
    inputs: Vec<Input>,
}

#[derive(Debug)]
struct Output {
    given: PathBuf,
    real: PathBuf,
    is_directory: bool,
}

#[derive(Debug)]
struct Input {
    given: PathBuf,
    real: PathBuf,
    /// Whether each file in it counts, so that one more changes it.
    is_whole: bool,
}

impl Paths {
    /// Files that are written.
    pub fn files<'a>(mut self, paths: impl IntoIterator<Item = &'a PathBuf>) -> Self {
        paths.into_iter().for_each(|path| self.output(path, false));
        self
    }

    /// Directories that are written.
    pub fn directories<'a>(mut self, paths: impl IntoIterator<Item = &'a PathBuf>) -> Self {
        paths.into_iter().for_each(|path| self.output(path, true));
        self
    }

    /// Pages, each with the directory of its pictures.
    pub fn pages<'a>(mut self, paths: impl IntoIterator<Item = &'a PathBuf>) -> Self {
        for path in paths {
            self.output(path, false);
            self.output(&Page::files(path), true);
        }
        self
    }

    /// Files that are read, and directories of which every file counts, as netfiles.
    pub fn inputs<'a>(mut self, paths: impl IntoIterator<Item = &'a PathBuf>) -> Self {
        self.inputs.extend(paths.into_iter().map(|path| Input {
            given: path.clone(),
            real: real(path),
            is_whole: true,
        }));
        self
    }

    /// Directories of which known files are read: others may be written next to those.
    pub fn data<'a>(mut self, paths: impl IntoIterator<Item = &'a PathBuf>) -> Self {
        let inputs = paths.into_iter().map(|path| Input { given: path.clone(), real: real(path), is_whole: false });
        self.inputs.extend(inputs);
        self
    }

    fn output(&mut self, path: &Path, is_directory: bool) {
        if !is_stream(path) {
            self.outputs.push(Output { given: path.into(), real: real(path), is_directory });
        }
    }

    /// Refuses an output that is an input, contains one or is inside one, and two outputs in one place.
    ///
    /// # Errors
    /// Which they are.
    pub fn check(&self) -> Result<()> {
        for (k, output) in self.outputs.iter().enumerate() {
            let place = output.given.display();
            for input in &self.inputs {
                let of = input.given.display();
                if output.real == input.real {
                    bail!("{place}: expected another place for results than the input {of}");
                }
                if output.is_directory && input.real.starts_with(&output.real) {
                    bail!("{place}: expected a directory for results, found one that contains the input {of}");
                }
                if input.is_whole && output.real.starts_with(&input.real) {
                    bail!("{place}: expected a place for results outside of the input {of}");
                }
                let is_inside = !output.is_directory && output.real.starts_with(&input.real);
                if is_inside && output.real.is_file() && !is_result(&output.real) {
                    bail!("{place}: expected another name than that of a file in the data directory {of}");
                }
            }
            for other in &self.outputs[..k] {
                let of = other.given.display();
                if output.real == other.real {
                    bail!("{place}: expected a place for each result, found two results in this one");
                }
                if other.is_directory && output.real.starts_with(&other.real) {
                    bail!("{place}: expected a place outside of {of}, which is written as a whole");
                }
                if output.is_directory && other.real.starts_with(&output.real) {
                    bail!("{of}: expected a place outside of {place}, which is written as a whole");
                }
            }
            if !output.is_directory && output.real.file_name().is_some_and(|name| name == RECORD) {
                bail!(
                    "{place}: expected another name than {RECORD}, which is the record of the run next to the results"
                );
            }
        }
        Ok(())
    }
}

/// Whether the record next to a file lists it.
fn is_result(path: &Path) -> bool {
    let record: Option<Value> =
        fs::read(path.with_file_name(RECORD)).ok().and_then(|text| serde_json::from_slice(&text).ok());
    let files = record.as_ref().and_then(of_record).unwrap_or_default();
    path.file_name().and_then(OsStr::to_str).is_some_and(|name| files.iter().any(|file| file.path == name))
}

/// A path without links, as far as it exists.
fn real(path: &Path) -> PathBuf {
    let mut rest: Vec<OsString> = Vec::new();
    let mut start = std::path::absolute(path).unwrap_or_else(|_| path.into());
    loop {
        if let Ok(found) = fs::canonicalize(&start) {
            return rest.iter().rev().fold(found, |path, part| match Path::new(part).components().next() {
                Some(Component::ParentDir) => path.parent().map(Path::to_path_buf).unwrap_or(path),
                _ => path.join(part),
            });
        }
        match start.components().next_back() {
            Some(Component::Normal(part)) => rest.push(part.into()),
            Some(Component::ParentDir) => rest.push("..".into()),
            _ => return start,
        }
        start = start.parent().map(Path::to_path_buf).unwrap_or_default();
    }
}
