//! Directories that appear complete.

use super::own_files::{self, discard, seal_directory};
use super::temporary::{Lock, Temporary, exchange, make_directory, old_name, remove_leftovers, rename_new};
use super::{Error, Overwrite, io_error, parent};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A directory that appears under its name only when [`AtomicDir::finish`] is called, with the list of its files in
/// its `run.json`. Until then its name is locked.
#[derive(Debug)]
pub struct AtomicDir {
    temporary: Temporary,
    target: PathBuf,
    overwrite: Overwrite,
}

impl AtomicDir {
    /// Refuses what [`AtomicDir::create`] would refuse, and makes nothing.
    ///
    /// # Errors
    /// As there.
    pub fn check(target: &Path, overwrite: Overwrite) -> Result<(), Error> {
        remove_leftovers(parent(target));
        let found = match fs::symlink_metadata(target) {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(io_error(target)(error)),
        };
        if found.is_symlink() {
            return Err(Error::Link(target.into()));
        }
        if !found.is_dir() {
            return Err(Error::NotADirectory(target.into()));
        }
        if is_empty(target).map_err(io_error(target))? {
            return Ok(());
        }
        // What could not be replaced either is not called a result.
        own_files::check(target)?;
        if overwrite == Overwrite::Refuse { Err(Error::Exists(target.into())) } else { Ok(()) }
    }

    /// Takes the lock of the name and makes a temporary directory next to `target`, and the parents of `target`.
    ///
    /// # Errors
    /// [`Error::Exists`] where a directory with results exists and may not be replaced (an empty one is taken),
    /// [`Error::NotADirectory`] and
    /// [`Error::Link`] where something else does; [`Error::Foreign`], [`Error::Changed`], [`Error::NoRecord`] and
    /// [`Error::NoList`] where the directory holds anything but unchanged results; [`Error::Busy`] where another
    /// process writes it.
    pub fn create(target: &Path, overwrite: Overwrite) -> Result<Self, Error> {
        // `net/..` and `/` have no name to exchange.
        if target.file_name().is_none() {
            return Err(Error::Exists(target.into()));
        }
        Self::check(target, overwrite)?;
        make_directory(parent(target)).map_err(io_error(target))?;
        Ok(Self { temporary: Temporary::directory(target)?, target: target.into(), overwrite })
    }

    /// Where to write meanwhile.
    pub fn path(&self) -> &Path {
        self.temporary.path()
    }

    /// Lists its files in its record and puts it in its place.
    ///
    /// # Errors
    /// As [`AtomicDir::create`], of what came to the target meanwhile.
    pub fn finish(self) -> Result<(), Error> {
        let Self { mut temporary, target, overwrite } = self;
        seal_directory(temporary.path()).map_err(io_error(&target))?;
        if overwrite == Overwrite::Refuse || fs::symlink_metadata(&target).is_err() {
            // One with entries stays, and so does the result of another process.
            let _ = fs::remove_dir(&target);
            return temporary.commit(|path| rename_new(path, &target));
        }
        // The old directory is locked for as long as its files are removed.
        let lock = Lock::wait(&target).map_err(io_error(&target))?;
        let _lock = lock.ok_or_else(|| Error::Busy(target.clone()))?;
        Self::check(&target, overwrite)?;
        let kept = temporary.commit(|path| {
            let mut old = path.to_path_buf();
            if !exchange(path, &target).map_err(io_error(&target))? {
                old = old_name(&target);
                // Killed between the two steps, the old name is brought back by the next process.
                fs::rename(&target, &old).map_err(io_error(&target))?;
                if let Err(error) = fs::rename(path, &target) {
                    let _ = fs::rename(&old, &target);
                    return Err(io_error(&target)(error));
                }
            }
            // The result is complete; what of the old one cannot be removed goes with the next write.
            Ok(fs::remove_dir(&old).map(|()| None).or_else(|_| discard(&old)).unwrap_or(None))
        })?;
        match kept {
            Some((kept, entry)) => Err(Error::Kept { target, entry, kept }),
            None => Ok(()),
        }
    }
}

fn is_empty(directory: &Path) -> io::Result<bool> {
    Ok(fs::read_dir(directory)?.next().is_none())
}

/// The lock of a directory that grows file by file: no other process writes a result of its name meanwhile.
#[derive(Debug)]
pub struct DirLock {
    temporary: Temporary,
}

impl DirLock {
    /// Takes it.
    ///
    /// # Errors
    /// [`Error::Busy`] where another process has it.
    pub fn acquire(directory: &Path) -> Result<Self, Error> {
        Ok(Self { temporary: Temporary::directory(directory)? })
    }

    /// A temporary directory on the same file system, to prepare files in.
    pub fn path(&self) -> &Path {
        self.temporary.path()
    }
}
