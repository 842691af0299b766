//! Temporary files and directories: locked while their process lives, removed when it ends or by the next process.

use super::own_files::discard;
use super::{Error, Overwrite, io_error, parent};
use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What a temporary name ends in.
const NEW: &str = ".megasim-new";
/// What an old directory is called while a new one takes its place, on file systems that cannot exchange names.
const OLD: &str = ".megasim-old";

/// How often a lock is tried, and the time between.
const TRIES: usize = 50;
const PAUSE: Duration = Duration::from_millis(10);

/// Temporaries of this process. Held while one takes its final name, so that a signal ends the process before that
/// or after.
static LIVE: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

fn live() -> MutexGuard<'static, Vec<PathBuf>> {
    LIVE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Removes every temporary of this process and ends it: for handlers of signals.
pub fn end_process(status: i32) -> ! {
    let live = live();
    live.iter().for_each(|path| remove(path));
    // The lock is held to the end: no other thread can make or rename a temporary any more.
    std::process::exit(status)
}

/// Makes a directory and its parents, where they are not there.
///
/// Not while a signal ends the process: it removes temporaries by their names, so one that another thread made anew,
/// under the same name, would stay. The program makes all its directories here.
///
/// # Errors
/// As [`fs::create_dir_all`].
pub fn make_directory(path: &Path) -> io::Result<()> {
    let _live = live();
    fs::create_dir_all(path)
}

/// A hidden name in the directory of a target. Long names are cut, and made different again by a hash.
fn hidden_name(target: &Path, ending: &str) -> PathBuf {
    let name = target.file_name().unwrap_or(OsStr::new("result"));
    let mut hidden = OsString::from(".");
    if name.len() + ending.len() < 250 {
        hidden.push(name);
    } else {
        hidden.push(super::own_files::sha256_of(name.as_encoded_bytes()));
    }
    hidden.push(ending);
    parent(target).join(hidden)
}

/// Where an old directory is while a new one takes its place, on file systems that cannot exchange names.
pub(super) fn old_name(target: &Path) -> PathBuf {
    hidden_name(target, OLD)
}

/// A lock that is held for as long as it exists, or none where the file system has no locks.
#[derive(Debug)]
pub(super) struct Lock(File);

impl Lock {
    /// Tries once; `None` where another process, or another part of this one, holds the lock, or the path changed
    /// meanwhile.
    pub(super) fn take(path: &Path) -> io::Result<Option<Self>> {
        let is_directory = fs::symlink_metadata(path)?.is_dir();
        let file = OpenOptions::new().read(true).write(!is_directory).open(path)?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => return Ok(None),
            // Some network file systems have no locks.
            Err(TryLockError::Error(_)) | Ok(()) => {}
        }
        Ok(is_same(&file, path)?.then_some(Self(file)))
    }

    /// Tries for half a second: locks of a single step are held for milliseconds.
    pub(super) fn wait(path: &Path) -> io::Result<Option<Self>> {
        for _ in 0..TRIES {
            if let Some(lock) = Self::take(path)? {
                return Ok(Some(lock));
            }
            std::thread::sleep(PAUSE);
        }
        Ok(None)
    }
}

/// No lock where there is no such path any more.
fn found(lock: io::Result<Option<Lock>>) -> io::Result<Option<Lock>> {
    match lock {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        lock => lock,
    }
}

/// Whether an open file is still the one under its path.
fn is_same(file: &File, path: &Path) -> io::Result<bool> {
    let (open, found) = (file.metadata()?, fs::symlink_metadata(path)?);
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        Ok((open.dev(), open.ino()) == (found.dev(), found.ino()))
    }
    #[cfg(not(unix))]
    Ok(open.file_type() == found.file_type())
}

/// A lock on a directory for a single step, as reading and writing its record.
#[derive(Debug)]
pub struct Short {
    _lock: Lock,
}

impl Short {
    /// Waits up to half a second.
    ///
    /// # Errors
    /// [`Error::Busy`] if another process holds it; [`Error::Io`] if there is no such directory.
    pub fn lock(directory: &Path) -> Result<Self, Error> {
        let lock = Lock::wait(directory).map_err(io_error(directory))?;
        lock.map(|lock| Self { _lock: lock }).ok_or_else(|| Error::Busy(directory.into()))
    }
}

/// A temporary file or directory next to its target.
#[derive(Debug)]
pub(super) struct Temporary {
    path: PathBuf,
    lock: Lock,
    is_live: bool,
}

impl Temporary {
    /// An empty file.
    pub(super) fn file(target: &Path) -> Result<Self, Error> {
        Self::make(target, |path| OpenOptions::new().write(true).create_new(true).open(path).map(drop))
    }

    /// An empty directory.
    pub(super) fn directory(target: &Path) -> Result<Self, Error> {
        Self::make(target, |path| fs::create_dir(path))
    }

    fn make(target: &Path, make: impl Fn(&Path) -> io::Result<()>) -> Result<Self, Error> {
        remove_leftovers(parent(target));
        let path = hidden_name(target, NEW);
        for _ in 0..TRIES {
            {
                // A signal either comes before it is made or finds it in the list.
                let mut live = live();
                match make(&path) {
                    // Until it is locked it looks like a leftover, which another process may take away.
                    Ok(()) => match found(Lock::take(&path)).map_err(io_error(target))? {
                        Some(lock) => {
                            live.push(path.clone());
                            return Ok(Self { path, lock, is_live: true });
                        }
                        None => continue,
                    },
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                    Err(error) => return Err(io_error(target)(error)),
                }
            }
            match found(Lock::take(&path)).map_err(io_error(target))? {
                Some(_lock) => remove(&path),
                None => std::thread::sleep(PAUSE),
            }
        }
        Err(Error::Busy(target.into()))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The file to write to.
    pub(super) fn content(&self) -> &File {
        &self.lock.0
    }

    /// Gives a file its name.
    pub(super) fn persist(mut self, target: &Path, overwrite: Overwrite) -> Result<(), Error> {
        self.commit(|path| match overwrite {
            Overwrite::Allow => fs::rename(path, target).map_err(io_error(target)),
            Overwrite::Refuse => rename_new(path, target),
        })
    }

    /// Does the last step, which no signal interrupts; after it the temporary is no longer removed, whatever has its
    /// name now.
    pub(super) fn commit<T>(&mut self, last: impl FnOnce(&Path) -> Result<T, Error>) -> Result<T, Error> {
        let mut live = live();
        let done = last(&self.path)?;
        live.retain(|path| *path != self.path);
        self.is_live = false;
        Ok(done)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if self.is_live {
            let mut live = live();
            remove(&self.path);
            live.retain(|path| *path != self.path);
        }
    }
}

/// Renames, unless the target exists.
pub(super) fn rename_new(path: &Path, target: &Path) -> Result<(), Error> {
    #[cfg(any(target_os = "linux", target_os = "macos"))]
    {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        use rustix::io::Errno;
        match renameat_with(CWD, path, CWD, target, RenameFlags::NOREPLACE) {
            Ok(()) => return Ok(()),
            Err(Errno::EXIST) => return Err(Error::Exists(target.into())),
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {}
            Err(error) => return Err(io_error(target)(error.into())),
        }
    }
    if fs::symlink_metadata(target).is_ok() {
        return Err(Error::Exists(target.into()));
    }
    fs::rename(path, target).map_err(io_error(target))
}

/// Exchanges two names in one step; `false` where the system or the file system cannot.
pub(super) fn exchange(one: &Path, other: &Path) -> io::Result<bool> {
    #[cfg(any(target_os = "linux", target_os = "macos"))]
    {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        use rustix::io::Errno;
        match renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE) {
            Ok(()) => Ok(true),
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
    #[cfg(not(any(target_os = "linux", target_os = "macos")))]
    {
        let _ = (one, other);
        Ok(false)
    }
}

/// Removes a temporary; what cannot be removed is tried again by the next process.
fn remove(path: &Path) {
    let _ = match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => {
            // Other threads, or children of a killed process, may go on making files in it, by its name, while it is
            // emptied: it gets another one.
            let unused = hidden_name(path, &format!(".{}{NEW}", std::process::id()));
            let path = if fs::rename(path, &unused).is_ok() { &unused } else { path };
            discard(path).map(drop)
        }
        Ok(found) if found.is_file() => fs::remove_file(path),
        _ => Ok(()),
    };
}

/// Removes what killed processes left in a directory, and brings back an old result whose replacement they did not
/// finish. Once for each directory and process.
pub(super) fn remove_leftovers(directory: &Path) {
    static DONE: Mutex<Option<HashSet<PathBuf>>> = Mutex::new(None);
    let mut done = DONE.lock().unwrap_or_else(PoisonError::into_inner);
    if !done.get_or_insert_default().insert(directory.to_path_buf()) {
        return;
    }
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some(name) = name.to_str().and_then(|name| name.strip_prefix('.')) else { continue };
        let (path, is_new) = (entry.path(), name.ends_with(NEW));
        let old = name.strip_suffix(OLD);
        if (is_new || old.is_some())
            && let Ok(Some(_lock)) = Lock::take(&path)
        {
            match old.map(|name| directory.join(name)).filter(|target| fs::symlink_metadata(target).is_err()) {
                Some(target) => drop(rename_new(&path, &target)),
                None => remove(&path),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[test]
    fn no_directory_is_made_while_a_signal_removes_temporaries() {
        let place = tempfile::tempdir().unwrap();
        let directory = place.path().join("a/b");
        std::thread::scope(|scope| {
            let live = live();
            let made = scope.spawn(|| make_directory(&directory));
            std::thread::sleep(PAUSE);
            assert!(!directory.exists());
            drop(live);
            made.join().unwrap().unwrap();
        });
        assert!(directory.is_dir());
    }

    #[test]
    fn a_temporary_that_another_process_takes_for_a_leftover_is_made_again() {
        let place = tempfile::tempdir().unwrap();
        let made = Cell::new(0);
        let make = |path: &Path| {
            fs::create_dir(path)?;
            made.set(made.get() + 1);
            // What `remove_leftovers` of another process does before the lock is taken.
            if made.get() < 3 { fs::remove_dir(path) } else { Ok(()) }
        };
        let temporary = Temporary::make(&place.path().join("result"), make).unwrap();
        assert!(made.get() == 3 && temporary.path().is_dir());
        drop(temporary);
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0);
    }
}
