//! Writes that are whole: a file or directory appears complete or not at all.
//!
//! Content goes to a temporary name beside the target, which is renamed at the end; whatever fails before leaves nothing.

use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// Why a result could not be written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The target is there and may not be replaced.
    #[error("{0}: exists already; --force replaces it")]
    Exists(PathBuf),
    /// A result that is a file cannot take the place of a directory.
    #[error("{0}: expected a file to write to, found a directory")]
    Directory(PathBuf),
    /// A result that is a directory cannot take the place of a file.
    #[error("{0}: exists already, and is no directory")]
    NotADirectory(PathBuf),
    /// The target may be replaced, but holds what this program does not write.
    #[error("{target}: holds {entry:?}, which this program does not write; --force replaces only its own results")]
    Foreign {
        /// The target.
        target: PathBuf,
        /// The first strange entry.
        entry: String,
    },
    /// The file system said no.
    #[error("{path}: cannot be written: {source}")]
    Io {
        /// The target.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> Error + '_ {
    move |source| Error::Io { path: path.into(), source }
}

/// The directory that a file lies in.
pub fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Whether an existing target may be replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replace {
    /// Replace it.
    Yes,
    /// Refuse.
    No,
}

impl Replace {
    /// [`Replace::Yes`] where it was asked for.
    pub fn when(asked_for: bool) -> Self {
        if asked_for { Self::Yes } else { Self::No }
    }
}

/// Refuses, before the work, what [`write_file`] would refuse after it.
///
/// # Errors
/// [`Error::Directory`] if a directory is there, [`Error::Exists`] if the file is there and `replace` is `No`.
pub fn check_file(path: &Path, replace: Replace) -> Result<(), Error> {
    if path.is_dir() {
        return Err(Error::Directory(path.into()));
    }
    if replace == Replace::No && path.exists() {
        return Err(Error::Exists(path.into()));
    }
    Ok(())
}

/// Writes one file whole.
///
/// # Errors
/// As of [`check_file`]; [`Error::Io`] otherwise.
pub fn write_file(
    path: &Path,
    replace: Replace,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), Error> {
    check_file(path, replace)?;
    let mut temporary =
        tempfile::Builder::new().prefix(".megasim-").tempfile_in(parent(path)).map_err(io_error(path))?;
    let mut writer = BufWriter::with_capacity(1 << 16, temporary.as_file_mut());
    write(&mut writer).and_then(|()| writer.flush()).map_err(io_error(path))?;
    drop(writer);
    readable_by_all(temporary.path(), 0o644).map_err(io_error(path))?;
    temporary.persist(path).map_err(|error| io_error(path)(error.error))?;
    Ok(())
}

/// A directory that appears under its name only when [`NewDirectory::finish`] is called.
#[derive(Debug)]
pub struct NewDirectory {
    temporary: tempfile::TempDir,
    target: PathBuf,
    replace: Replace,
}

impl NewDirectory {
    /// Refuses what [`NewDirectory::create`] would refuse, and makes nothing.
    ///
    /// # Errors
    /// As there.
    pub fn check(target: &Path, replace: Replace) -> Result<(), Error> {
        if target.exists() && !target.is_dir() {
            return Err(Error::NotADirectory(target.into()));
        }
        if replace == Replace::No && target.exists() {
            return Err(Error::Exists(target.into()));
        }
        refuse_foreign(target).map_err(io_error(target))?
    }

    /// Makes a temporary directory beside `target` (and the parents of `target`).
    ///
    /// # Errors
    /// [`Error::Exists`] where a directory is there and may not be replaced, [`Error::NotADirectory`] where a file is; [`Error::Foreign`] where a directory is there that holds
    /// other things than results of this program.
    pub fn create(target: &Path, replace: Replace) -> Result<Self, Error> {
        Self::check(target, replace)?;
        fs::create_dir_all(parent(target)).map_err(io_error(target))?;
        let temporary =
            tempfile::Builder::new().prefix(".megasim-").tempdir_in(parent(target)).map_err(io_error(target))?;
        Ok(Self { temporary, target: target.into(), replace })
    }

    /// Where to write meanwhile.
    pub fn path(&self) -> &Path {
        self.temporary.path()
    }

    /// Puts the directory in its place.
    pub fn finish(self) -> Result<(), Error> {
        let target = &self.target;
        readable_by_all(self.temporary.path(), 0o755).map_err(io_error(target))?;
        if self.replace == Replace::No || !target.exists() {
            let made = self.temporary.keep();
            return fs::rename(&made, target).map_err(|error| {
                let _ = fs::remove_dir_all(&made);
                io_error(target)(error)
            });
        }
        refuse_foreign(target).map_err(io_error(target))??;
        // The old one steps aside first, and is back if the new one cannot take its place.
        let aside =
            tempfile::Builder::new().prefix(".megasim-").tempdir_in(parent(target)).map_err(io_error(target))?;
        let old = aside.path().join("old");
        fs::rename(target, &old).map_err(io_error(target))?;
        if let Err(error) = fs::rename(self.temporary.path(), target) {
            let _ = fs::rename(&old, target);
            return Err(io_error(target)(error));
        }
        let _ = self.temporary.keep();
        Ok(())
    }
}

/// Endings of the files that this program writes into directories of its own.
const OWN_ENDINGS: [&str; 8] = ["sch", "prm", "stt", "stim", "evs", "json", "svg", "csv"];
/// The list of the pictures in a directory that belongs to a report.
pub const PICTURE_LIST: &str = "pictures.csv";
/// Directories inside them.
const OWN_DIRECTORIES: [&str; 1] = ["source"];

/// A directory that may be replaced holds nothing but what this program writes.
fn refuse_foreign(target: &Path) -> io::Result<Result<(), Error>> {
    let entries = match fs::read_dir(target) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Ok(())),
        Err(error) => return Err(error),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_own = if entry.file_type()?.is_dir() {
            OWN_DIRECTORIES.contains(&name.as_str())
        } else {
            Path::new(&name).extension().is_some_and(|ending| OWN_ENDINGS.iter().any(|own| ending == *own))
        };
        if !is_own {
            return Ok(Err(Error::Foreign { target: target.into(), entry: name }));
        }
        names.push(name);
    }
    // Other people have JSON files and pictures too.
    let is_marked = |name: &String| {
        ["sch", "evs"].iter().any(|ending| name.ends_with(ending)) || name == "run.json" || name == PICTURE_LIST
    };
    match names.first() {
        Some(name) if !names.iter().any(is_marked) => {
            Ok(Err(Error::Foreign { target: target.into(), entry: name.clone() }))
        }
        _ => Ok(Ok(())),
    }
}

/// Temporary files are private; results are not.
fn readable_by_all(path: &Path, mode: u32) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    }
    #[cfg(not(unix))]
    let _ = (path, mode);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replace(target: &Path) -> Result<(), Error> {
        let new = NewDirectory::create(target, Replace::Yes)?;
        fs::write(new.path().join("new.sch"), "").unwrap();
        new.finish()
    }

    #[test]
    fn only_own_results_are_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("target");
        replace(&target).unwrap();
        fs::write(target.join("a.prm"), "").unwrap();
        replace(&target).unwrap();
        assert!(!target.join("a.prm").exists() && target.join("new.sch").exists());

        fs::write(target.join("thesis.tex"), "").unwrap();
        let refused = replace(&target).unwrap_err();
        assert!(matches!(&refused, Error::Foreign { entry, .. } if entry == "thesis.tex"), "{refused}");
        assert!(target.join("thesis.tex").exists());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn other_peoples_json_stays() {
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("target");
        fs::create_dir(&target).unwrap();
        replace(&target).unwrap();
        fs::remove_file(target.join("new.sch")).unwrap();
        fs::write(target.join("package.json"), "").unwrap();
        assert!(matches!(replace(&target), Err(Error::Foreign { .. })));
    }

    #[test]
    fn without_leave_nothing_is_replaced() {
        let directory = tempfile::tempdir().unwrap();
        replace(&directory.path().join("target")).unwrap();
        assert!(matches!(NewDirectory::create(&directory.path().join("target"), Replace::No), Err(Error::Exists(_))));
    }
}
