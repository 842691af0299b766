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

fn parent(path: &Path) -> &Path {
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

/// Writes one file whole.
///
/// # Errors
/// [`Error::Exists`] if it is there and `replace` is `No`; [`Error::Io`] otherwise.
pub fn write_file(
    path: &Path,
    replace: Replace,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), Error> {
    if replace == Replace::No && path.exists() {
        return Err(Error::Exists(path.into()));
    }
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
    /// Makes a temporary directory beside `target` (and the parents of `target`).
    pub fn create(target: &Path, replace: Replace) -> Result<Self, Error> {
        if target.is_file() || (replace == Replace::No && target.exists()) {
            return Err(Error::Exists(target.into()));
        }
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
        if self.replace == Replace::Yes && target.exists() {
            fs::remove_dir_all(target).map_err(io_error(target))?;
        }
        fs::rename(self.temporary.keep(), target).map_err(io_error(target))
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
