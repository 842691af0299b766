//! Recordings as a data set: folders named after their classes, or a list of labels.

use super::Error;
use std::fs;
use std::path::{Path, PathBuf};

/// Endings of recordings, in lower case; other files are left out.
const ENDINGS: [&str; 5] = ["aedat", "aedat4", "bin", "csv", "txt"];

/// Endings of pictures: a folder of them is no folder of recordings, whatever notes are in it.
const PICTURES: [&str; 4] = ["png", "jpg", "jpeg", "bmp"];

/// Files of arrays, which are the data where they are.
const ARRAYS: [&str; 3] = ["test.npz", "x_test.npz", "x_test.npy"];

/// A list of recordings and their classes, in place of folders.
const LABELS: &str = "labels.csv";

/// Recordings with their classes; each is read when it is asked for.
///
/// Either `test/CLASS/*.aedat4` (also `.aedat`, `.bin`, `.csv`, `.txt`): classes are numbered in the order of their
/// names, and recordings come in turns, the first of each class, then the second of each, by file name. Or
/// `test/labels.csv` with a line `FILE,CLASS` for each recording, files next to it, classes as numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recordings {
    entries: Vec<(PathBuf, usize)>,
    /// Names of the classes, by number; a list of labels has none.
    pub classes: Vec<String>,
    files: Vec<PathBuf>,
}

impl Recordings {
    /// Looks for recordings in the folder `test`; none where there are none, or where arrays or pictures are the data.
    ///
    /// # Errors
    /// If a folder or the list cannot be read, or the list is no list.
    pub fn find(directory: &Path) -> Result<Option<Self>, Error> {
        Self::find_in(directory, "test")
    }

    /// As [`Self::find`], in the folder of this name.
    ///
    /// # Errors
    /// As there.
    pub fn find_in(directory: &Path, name: &str) -> Result<Option<Self>, Error> {
        if ARRAYS.iter().any(|name| directory.join(name).exists()) {
            return Ok(None);
        }
        let folder = directory.join(name);
        let list = folder.join(LABELS);
        if list.is_file() {
            return Self::listed(&list).map(Some);
        }
        if !folder.is_dir() {
            return Ok(None);
        }
        let classes = names(&folder, Path::is_dir)?;
        for name in &classes {
            if !names(&folder.join(name), |path| ends_in(path, &PICTURES))?.is_empty() {
                return Ok(None);
            }
        }
        let (mut turns, mut files) = (Vec::new(), Vec::new());
        for (class, name) in classes.iter().enumerate() {
            let folder = folder.join(name);
            let recordings = names(&folder, |path| ends_in(path, &ENDINGS))?;
            turns.extend(recordings.into_iter().enumerate().map(|(turn, name)| (turn, folder.join(name), class)));
            files.push(folder);
        }
        // Class by class it was; the sort is stable.
        turns.sort_by_key(|&(turn, ..)| turn);
        let entries: Vec<_> = turns.into_iter().map(|(_, path, class)| (path, class)).collect();
        Ok((!entries.is_empty()).then_some(Self { entries, classes, files }))
    }

    fn listed(list: &Path) -> Result<Self, Error> {
        let text = fs::read_to_string(list).map_err(|source| Error::Unreadable { path: list.into(), source })?;
        let folder = list.parent().unwrap_or(Path::new(""));
        let (mut entries, mut at) = (Vec::new(), 0);
        for line in text.split_inclusive('\n') {
            let start = at;
            at += line.len();
            let line = line.trim();
            if line.is_empty() {
                continue;
            }
            let entry = line.rsplit_once(',').and_then(|(file, class)| Some((file.trim(), class.trim().parse().ok()?)));
            let Some((file, class)) = entry else {
                let message = format!("expected a line FILE,CLASS with the number of the class, found '{line}'");
                return Err(Error::Damaged { path: list.into(), at: start, message });
            };
            entries.push((folder.join(file), class));
        }
        Ok(Self { entries, classes: Vec::new(), files: vec![list.into(), folder.into()] })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The folders and files that hold them.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// Files and classes from number `skip` on, at most `take`.
    pub fn entries(&self, skip: usize, take: usize) -> &[(PathBuf, usize)] {
        let rest = self.entries.get(skip..).unwrap_or_default();
        &rest[..take.min(rest.len())]
    }
}

fn ends_in(path: &Path, endings: &[&str]) -> bool {
    let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
    ending.is_some_and(|ending| endings.contains(&&ending[..])) && path.is_file()
}

/// Names in a folder, sorted; without hidden ones.
fn names(folder: &Path, wanted: impl Fn(&Path) -> bool) -> Result<Vec<String>, Error> {
    let unreadable = |source| Error::Unreadable { path: folder.into(), source };
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') && wanted(&entry.path()) {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}
