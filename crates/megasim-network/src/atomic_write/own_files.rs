//! The list of files in the `run.json` of a result directory, which decides what `--force` may remove.

use super::{Error, io_error, parent};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// The name of the record of a run, in the directory of its results.
pub const RECORD: &str = "run.json";

/// One file of a result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnFile {
    /// Relative to the directory, with `/` between the parts.
    pub path: String,
    /// Size.
    pub bytes: u64,
    /// SHA-256 of the content, hexadecimal. Of the record itself: of the record without the list.
    pub sha256: String,
}

impl OwnFile {
    /// The entry of a file with this content.
    pub fn of(path: &str, content: &[u8]) -> Self {
        Self { path: path.into(), bytes: content.len() as u64, sha256: sha256_of(content) }
    }

    /// The size and hash of an input, without a path: of a file, or of a directory of files, where it is the hash of
    /// the lines `hash name`, as `sha256sum * | sha256sum` prints it; records and sub-directories do not count.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn of_input(path: &Path) -> io::Result<Self> {
        if !path.is_dir() {
            return Self::read(path, String::new());
        }
        let mut names = names_in(path)?;
        names.retain(|name| name != RECORD && path.join(name).is_file());
        let mut hash = Sha256::new();
        let mut bytes = 0;
        for name in names {
            let file = Self::read(&path.join(&name), String::new())?;
            hash.update(format!("{}  {}\n", file.sha256, name.to_string_lossy()));
            bytes += file.bytes;
        }
        Ok(Self { path: String::new(), bytes, sha256: hexadecimal(&hash.finalize()) })
    }

    /// The size and hash that a file has now.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn read(directory: &Path, path: String) -> io::Result<Self> {
        let place = if path.is_empty() { directory.to_path_buf() } else { directory.join(&path) };
        let mut file = File::open(place)?;
        let mut hash = Sha256::new();
        let mut buffer = vec![0; 1 << 16];
        let mut bytes = 0;
        loop {
            let n = file.read(&mut buffer)?;
            if n == 0 {
                return Ok(Self { path, bytes, sha256: hexadecimal(&hash.finalize()) });
            }
            hash.update(&buffer[..n]);
            bytes += n as u64;
        }
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(super) fn sha256_of(bytes: &[u8]) -> String {
    hexadecimal(&Sha256::digest(bytes))
}

/// The text of a record with its list of files, and with an entry for the record itself.
pub fn seal(mut record: Value, mut files: Vec<OwnFile>) -> String {
    files.retain(|file| file.path != RECORD);
    files.push(of_itself(&mut record));
    files.sort_by(|a, b| a.path.cmp(&b.path));
    record["files"] = json!(files);
    format!("{record:#}\n")
}

/// The entry of a record for itself; takes its list away.
fn of_itself(record: &mut Value) -> OwnFile {
    record.as_object_mut().map(|fields| fields.remove("files"));
    let text = format!("{record:#}\n");
    OwnFile::of(RECORD, text.as_bytes())
}

/// The list in a record; `None` where it has none.
pub fn of_record(record: &Value) -> Option<Vec<OwnFile>> {
    serde_json::from_value(record.get("files")?.clone()).ok()
}

fn by_path(files: &[OwnFile]) -> BTreeMap<&str, &OwnFile> {
    files.iter().map(|file| (file.path.as_str(), file)).collect()
}

/// One entry below a directory.
struct Entry {
    /// Relative to the directory, with `/` between the parts.
    name: String,
    kind: fs::FileType,
    bytes: u64,
}

/// The names in a directory, in order.
fn names_in(directory: &Path) -> io::Result<Vec<OsString>> {
    let mut names = fs::read_dir(directory)?.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>()?;
    names.sort_unstable();
    Ok(names)
}

/// Everything below a directory, directories after what they hold; links are not followed.
fn walk(directory: &Path) -> io::Result<Vec<Entry>> {
    fn below(directory: &Path, prefix: &str, entries: &mut Vec<Entry>) -> io::Result<()> {
        for name in names_in(directory)? {
            let path = directory.join(&name);
            let name = format!("{prefix}{}", name.to_string_lossy());
            let metadata = fs::symlink_metadata(&path)?;
            if metadata.is_dir() {
                below(&path, &format!("{name}/"), entries)?;
            }
            entries.push(Entry { name, kind: metadata.file_type(), bytes: metadata.len() });
        }
        Ok(())
    }
    let mut entries = Vec::new();
    below(directory, "", &mut entries)?;
    Ok(entries)
}

/// The regular files below a directory, without its record.
///
/// # Errors
/// If one cannot be read.
pub fn files_below(directory: &Path) -> io::Result<Vec<OwnFile>> {
    let files = walk(directory)?.into_iter().filter(|entry| entry.kind.is_file() && entry.name != RECORD);
    files.map(|entry| OwnFile::read(directory, entry.name)).collect()
}

/// Writes the list of all files below a directory into its record; makes a record where there is none.
pub(super) fn seal_directory(directory: &Path) -> io::Result<()> {
    let path = directory.join(RECORD);
    let record = match fs::read(&path) {
        Ok(text) => serde_json::from_slice(&text)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => json!({ "megasim": env!("CARGO_PKG_VERSION") }),
        Err(error) => return Err(error),
    };
    fs::write(&path, seal(record, files_below(directory)?))
}

/// Refuses a directory that holds anything but unchanged files of its list.
pub(super) fn check(target: &Path) -> Result<(), Error> {
    let entries = walk(target).map_err(io_error(target))?;
    let Some(first) = entries.first() else { return Ok(()) };
    let foreign = |entry: &Entry| Error::Foreign { target: target.into(), entry: entry.name.clone() };
    let is_record = entries.iter().any(|entry| entry.name == RECORD && entry.kind.is_file());
    let text = if is_record { fs::read(target.join(RECORD)).map_err(io_error(target))? } else { Vec::new() };
    let record: Option<Value> = serde_json::from_slice(&text).ok();
    let Some(mut record) = record.filter(|record: &Value| record.get("megasim").is_some()) else {
        return Err(Error::NoRecord { target: target.into(), entry: first.name.clone() });
    };
    let files = of_record(&record).ok_or_else(|| Error::NoList(target.into()))?;
    let itself = of_itself(&mut record);
    let listed = by_path(&files);
    for entry in &entries {
        if entry.kind.is_dir() {
            let prefix = format!("{}/", entry.name);
            if !listed.range(prefix.as_str()..).next().is_some_and(|(path, _)| path.starts_with(&prefix)) {
                return Err(foreign(entry));
            }
            continue;
        }
        let own = listed.get(entry.name.as_str()).filter(|_| entry.kind.is_file()).ok_or_else(|| foreign(entry))?;
        let is_same = if entry.name == RECORD {
            itself == **own
        } else {
            entry.bytes == own.bytes && OwnFile::read(target, entry.name.clone()).map_err(io_error(target))? == **own
        };
        if !is_same {
            return Err(Error::Changed { target: target.into(), entry: entry.name.clone() });
        }
    }
    Ok(())
}

/// Removes a temporary or replaced directory: all of it, or, where it is a complete result, the files of its list.
/// What else is there is kept under a visible name, which is returned with the first such entry.
pub(super) fn discard(directory: &Path) -> io::Result<Option<(PathBuf, String)>> {
    let record: Option<Value> =
        fs::read(directory.join(RECORD)).ok().and_then(|text| serde_json::from_slice(&text).ok());
    let Some(files) = record.as_ref().and_then(of_record) else {
        return fs::remove_dir_all(directory).map(|()| None);
    };
    let listed = by_path(&files);
    let mut kept = None;
    for entry in walk(directory)? {
        let path = directory.join(&entry.name);
        if entry.kind.is_dir() {
            // One that holds something stays.
            let _ = fs::remove_dir(&path);
        } else if entry.name == RECORD {
        } else if entry.kind.is_file() && listed.get(entry.name.as_str()).is_some_and(|file| file.bytes == entry.bytes)
        {
            fs::remove_file(&path)?;
        } else {
            kept.get_or_insert(entry.name);
        }
    }
    let Some(entry) = kept else {
        // The list goes last, so that a run that goes on after a kill has it.
        fs::remove_file(directory.join(RECORD))?;
        return fs::remove_dir(directory).map(|()| None);
    };
    let name = directory.file_name().unwrap_or_default().to_string_lossy();
    let visible = (1..).map(|n| parent(directory).join(format!("{}-kept-{n}", name.trim_start_matches('.'))));
    for place in visible {
        if fs::symlink_metadata(&place).is_err() {
            fs::rename(directory, &place)?;
            return Ok(Some((place, entry)));
        }
    }
    Ok(None)
}
