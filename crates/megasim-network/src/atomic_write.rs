//! Atomic writes: a file or directory appears complete or not at all, and nothing is removed that this program did
//! not write.
//!
//! Content goes to a temporary name in the directory of the target, `.NAME.megasim-new`, and takes the target's
//! name at the end. The temporary is locked while its process lives. An unlocked one is what a killed process left:
//! the next write into that directory removes it.

mod directory;
mod own_files;
mod temporary;

pub use directory::{AtomicDir, DirLock};
pub use own_files::{OwnFile, RECORD, files_below, of_record, seal};
pub use temporary::{Short, end_process, make_directory};

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use temporary::Temporary;

/// Why a result could not be written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The target exists and may not be replaced.
    #[error("{0}: exists already; --force replaces it")]
    Exists(PathBuf),
    /// A result that is a file cannot take the place of a directory.
    #[error("{0}: expected a file to write to, found a directory")]
    Directory(PathBuf),
    /// A result that is a directory cannot take the place of a file.
    #[error("{0}: exists already, and is no directory")]
    NotADirectory(PathBuf),
    /// The directory of a file is missing.
    #[error("{0}: expected a directory to write results into, found none")]
    NoDirectory(PathBuf),
    /// A symbolic link is not replaced.
    #[error("{0}: expected a file or directory to write to, found a symbolic link; name what it points to")]
    Link(PathBuf),
    /// A block device or socket.
    #[error("{path}: expected a file to write to, found a {kind}")]
    Special {
        /// The target.
        path: PathBuf,
        /// What it is.
        kind: &'static str,
    },
    /// The target may be replaced, but holds what this program did not write.
    #[error(
        "{target}: holds {entry:?}, which is not in the list of results in its run.json; --force replaces only \
         results. Move it away"
    )]
    Foreign {
        /// The target.
        target: PathBuf,
        /// The first such entry, relative to the target.
        entry: String,
    },
    /// A result that was changed after it was written.
    #[error(
        "{target}: holds {entry:?}, which was changed after it was written; --force replaces only results. Move it away"
    )]
    Changed {
        /// The target.
        target: PathBuf,
        /// The first such file, relative to the target.
        entry: String,
    },
    /// A directory without a record of a run.
    #[error(
        "{target}: holds {entry:?} and no run.json of megasim; --force replaces only results of megasim. Move it away"
    )]
    NoRecord {
        /// The target.
        target: PathBuf,
        /// Its first entry.
        entry: String,
    },
    /// A directory of a version of this program that kept no list of its files.
    #[error(
        "{0}: its run.json has no list of files, as earlier versions wrote it, so --force cannot tell results from \
         other files; remove the directory yourself, or choose another"
    )]
    NoList(PathBuf),
    /// Another process writes the same result.
    #[error("{0}: another megasim process is writing it; wait for it, or choose another name")]
    Busy(PathBuf),
    /// The result is complete, but something came into the old directory while it was replaced.
    #[error("{target}: replaced; {entry:?} was put into the old directory meanwhile and is kept in {kept}")]
    Kept {
        /// The target.
        target: PathBuf,
        /// What came.
        entry: String,
        /// Where it is.
        kept: PathBuf,
    },
    /// The file system returned an error.
    #[error("{path}: cannot be written: {source}")]
    Io {
        /// The target.
        path: PathBuf,
        /// The error.
        source: io::Error,
    },
}

fn io_error(path: &Path) -> impl Fn(io::Error) -> Error + '_ {
    move |source| Error::Io { path: path.into(), source }
}

/// The directory that holds a path.
pub fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Whether an existing target may be replaced.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Overwrite {
    /// Replace it.
    Allow,
    /// Refuse.
    #[default]
    Refuse,
}

impl Overwrite {
    /// [`Overwrite::Allow`] for `--force`.
    pub fn from_flag(force: bool) -> Self {
        if force { Self::Allow } else { Self::Refuse }
    }
}

/// What a path is, as a target for a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    Absent,
    Regular,
    /// A character device, a FIFO, or an open file of a process: written to, never replaced.
    Stream,
}

impl Target {
    fn of(path: &Path) -> Result<Self, Error> {
        let found = match fs::symlink_metadata(path) {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::Absent),
            Err(error) => return Err(io_error(path)(error)),
        };
        let is_link = found.file_type().is_symlink();
        let Ok(found) = fs::metadata(path) else { return Err(Error::Link(path.into())) };
        let kind = found.file_type();
        if kind.is_dir() {
            return Err(Error::Directory(path.into()));
        }
        if kind.is_file() {
            // /dev/stdout is a link to a file where standard output was redirected to one.
            let is_open_file = ["/dev", "/proc"].iter().any(|place| path.starts_with(place));
            return match (is_link, is_open_file) {
                (_, true) => Ok(Self::Stream),
                (true, false) => Err(Error::Link(path.into())),
                (false, false) => Ok(Self::Regular),
            };
        }
        #[cfg(unix)]
        {
            use std::os::unix::fs::FileTypeExt;
            if kind.is_block_device() || kind.is_socket() {
                let kind = if kind.is_socket() { "socket" } else { "block device" };
                return Err(Error::Special { path: path.into(), kind });
            }
        }
        Ok(Self::Stream)
    }
}

/// Whether a path is a character device, a FIFO, or an open file of a process, which is written to and not replaced.
pub fn is_stream(path: &Path) -> bool {
    matches!(Target::of(path), Ok(Target::Stream))
}

/// Refuses, before the work, what [`write_file`] would refuse after it.
///
/// # Errors
/// [`Error::Directory`], [`Error::Link`] and [`Error::Special`] by what the path is, [`Error::Exists`] if the file
/// exists and `overwrite` is `Refuse`, [`Error::NoDirectory`] if its directory does not.
pub fn check_file(path: &Path, overwrite: Overwrite) -> Result<(), Error> {
    if Target::of(path)? == Target::Regular && overwrite == Overwrite::Refuse {
        return Err(Error::Exists(path.into()));
    }
    if !parent(path).is_dir() {
        return Err(Error::NoDirectory(parent(path).into()));
    }
    Ok(())
}

/// Writes one file: complete, or not at all. Devices and FIFOs are written to.
///
/// # Errors
/// As [`check_file`]; [`Error::Busy`] where another process writes it; [`Error::Io`] otherwise.
pub fn write_file(
    path: &Path,
    overwrite: Overwrite,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), Error> {
    AtomicFile::create(path, overwrite)?.write(write)
}

/// A file that appears under its name only when [`AtomicFile::write`] is done. Until then its name is locked.
#[derive(Debug)]
pub struct AtomicFile {
    target: PathBuf,
    overwrite: Overwrite,
    to: To,
}

#[derive(Debug)]
enum To {
    Temporary(Temporary),
    Stream,
}

impl AtomicFile {
    /// Takes the lock of the name and makes an empty temporary file.
    ///
    /// # Errors
    /// As [`write_file`].
    pub fn create(target: &Path, overwrite: Overwrite) -> Result<Self, Error> {
        check_file(target, overwrite)?;
        let to = match Target::of(target)? {
            Target::Stream => To::Stream,
            Target::Absent | Target::Regular => To::Temporary(Temporary::file(target)?),
        };
        Ok(Self { target: target.into(), overwrite, to })
    }

    /// Writes the content and gives it its name.
    ///
    /// # Errors
    /// As [`write_file`].
    pub fn write(self, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Error> {
        let mut write = Some(write);
        self.write_once(&mut |writer| write.take().map_or(Ok(()), |write| write(writer)))
    }

    /// [`Self::write`], compiled once for all contents; `write` is called once.
    fn write_once(self, write: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>) -> Result<(), Error> {
        let Self { target, overwrite, to } = self;
        let mut fill = |file: &File| {
            let mut writer = BufWriter::with_capacity(1 << 16, file);
            write(&mut writer).and_then(|()| writer.flush()).map_err(io_error(&target))
        };
        match to {
            To::Stream => fill(&OpenOptions::new().append(true).open(&target).map_err(io_error(&target))?),
            To::Temporary(temporary) => {
                fill(temporary.content())?;
                // What the name is may have changed since.
                check_file(&target, overwrite)?;
                temporary.persist(&target, overwrite)
            }
        }
    }
}
