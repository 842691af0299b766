//! Which paths may be named.

use std::io;
use std::path::{Component, Path, PathBuf};

/// Directories that paths have to be in.
#[derive(Debug, Clone)]
pub struct Places {
    /// The one in which the server was started, then those that were allowed; without links.
    roots: Vec<PathBuf>,
}

impl Places {
    /// This directory and others.
    ///
    /// # Errors
    /// If one of them is none.
    pub fn new(directory: &Path, allow: &[PathBuf]) -> io::Result<Self> {
        let mut roots = Vec::new();
        for place in std::iter::once(directory).chain(allow.iter().map(PathBuf::as_path)) {
            let fault =
                |what: &str| io::Error::other(format!("{}: expected a directory, found {what}", place.display()));
            let real = place.canonicalize().map_err(|error| fault(&error.to_string()))?;
            if !real.is_dir() {
                return Err(fault("a file"));
            }
            roots.push(real);
        }
        Ok(Self { roots })
    }

    /// The directory that paths are relative to.
    pub fn directory(&self) -> &Path {
        &self.roots[0]
    }

    /// The place of a path, without links as far as it exists; none where it is outside.
    pub fn resolve(&self, path: &str) -> Option<PathBuf> {
        let real = real(&self.directory().join(path))?;
        self.roots.iter().any(|root| real.starts_with(root)).then_some(real)
    }

    /// The first part of an option's value that names a place outside. Values may have paths in them, as
    /// `hardware=a.toml,b.toml`.
    pub fn outside(&self, value: &str) -> Option<String> {
        let parts = value.split(['=', ',', ';', ':']).map(str::trim);
        let leads_out = |part: &&str| !part.is_empty() && self.resolve(part).is_none();
        // A whole value may have such a letter in a name.
        std::iter::once(value).chain(parts).find(leads_out).map(String::from)
    }
}

/// A path without links and dots; what does not exist yet is taken as it is written.
fn real(path: &Path) -> Option<PathBuf> {
    let mut found = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                found.pop();
            }
            Component::CurDir => {}
            part => {
                found.push(part);
                if let Ok(real) = found.canonicalize() {
                    found = real;
                } else if found.is_symlink() {
                    // It leads to what does not exist: a file that is made there would be elsewhere.
                    return None;
                }
            }
        }
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_outside_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let (inside, other) = (folder.path().join("in"), folder.path().join("other"));
        std::fs::create_dir_all(inside.join("a")).unwrap();
        std::fs::create_dir(&other).unwrap();
        let places = Places::new(&inside, &[]).unwrap();
        for path in ["a", "a/new.html", "", ".", "a/../b", "new/deep/er"] {
            assert!(places.outside(path).is_none(), "{path}");
        }
        let there = other.display().to_string();
        for path in ["..", "../other", "a/../../other/x", "/etc/passwd", &there, "x=../other", "1,../..", "a;/tmp"] {
            assert!(places.outside(path).is_some(), "{path}");
        }
        let both = Places::new(&inside, std::slice::from_ref(&other)).unwrap();
        assert!(both.outside("../other/x").is_none() && both.outside("/etc").is_some());
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(&other, inside.join("link")).unwrap();
            std::os::unix::fs::symlink(folder.path().join("nothing"), inside.join("dangling")).unwrap();
            assert!(places.outside("link/x").is_some() && places.outside("dangling").is_some());
        }
        assert!(Places::new(&folder.path().join("none"), &[]).is_err());
    }
}
