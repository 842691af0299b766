//! Pictures in folders that are named after their classes: `train/CLASS/*.png`, `test/CLASS/*.jpg`, ...

use super::Error;
use super::entry::{Entry, Set};
use image::{DynamicImage, ImageReader, Limits};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Cursor, Read};
use std::path::{Path, PathBuf};

/// Endings of the files that are taken, in lower case; others are left out.
const ENDINGS: [&str; 4] = ["png", "jpg", "jpeg", "bmp"];

/// The most bytes of a file, and of a picture out of it: 44 million pixels in colour.
const MOST_BYTES: u64 = 128 << 20;

/// The longest side of a picture.
const LONGEST_SIDE: u32 = 1 << 14;

/// Folders of training and test pictures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Folders {
    train: Option<PathBuf>,
    test: Option<PathBuf>,
    /// Names of the folders in either, sorted.
    pub(super) classes: Vec<OsString>,
}

impl Folders {
    /// Looks for `train`, and for `test` or else `val`.
    pub(super) fn find(directory: &Path) -> Result<Option<Self>, Error> {
        let there = |name: &str| Some(directory.join(name)).filter(|path| path.is_dir());
        let (train, test) = (there("train"), there("test").or_else(|| there("val")));
        let mut classes = Vec::new();
        for set in [&train, &test].into_iter().flatten() {
            classes.extend(names(set, Path::is_dir)?);
        }
        classes.sort();
        classes.dedup();
        Ok((train.is_some() || test.is_some()).then_some(Self { train, test, classes }))
    }

    /// The folders of a set's classes.
    pub(super) fn files(&self, set: Set) -> Vec<PathBuf> {
        let Some(folder) = self.folder(set) else { return Vec::new() };
        self.classes.iter().map(|class| folder.join(class)).filter(|path| path.is_dir()).collect()
    }

    /// All pictures of a set, in turns: the first of each class, then the second of each, in the order of file names.
    pub(super) fn entries(&self, set: Set) -> Result<Vec<Entry>, Error> {
        let Some(folder) = self.folder(set) else { return Ok(Vec::new()) };
        let mut entries = Vec::new();
        for (class, name) in self.classes.iter().enumerate() {
            let folder = folder.join(name);
            if folder.is_dir() {
                let pictures = names(&folder, is_picture)?.into_iter().enumerate();
                entries.extend(pictures.map(|(turn, name)| (turn, class, folder.join(name))));
            }
        }
        // Class by class it was; the sort is stable.
        entries.sort_by_key(|&(turn, ..)| turn);
        Ok(entries.into_iter().map(|(_, class, path)| Entry::File { class, path }).collect())
    }

    fn folder(&self, set: Set) -> Option<&Path> {
        match set {
            Set::Train => self.train.as_deref(),
            Set::Test => self.test.as_deref(),
        }
    }
}

/// Whether a file has the ending of a picture.
pub(super) fn is_picture(path: &Path) -> bool {
    let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
    ending.is_some_and(|ending| ENDINGS.contains(&&ending[..])) && path.is_file()
}

/// Names in a folder, sorted; without hidden ones, which tools leave behind.
pub(super) fn names(folder: &Path, wanted: impl Fn(&Path) -> bool) -> Result<Vec<OsString>, Error> {
    let unreadable = |source| Error::Unreadable { path: folder.into(), source };
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let name = entry.file_name();
        if !name.as_encoded_bytes().starts_with(b".") && wanted(&entry.path()) {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// Decodes a picture; its content tells the format.
pub(super) fn read(path: &Path) -> Result<DynamicImage, Error> {
    let unreadable = |source: io::Error| Error::Unreadable { path: path.into(), source };
    let unusable = |message: String| Error::Unusable { path: path.into(), place: "picture".into(), message };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(unusable(format!("expected a file of at most {MOST_BYTES} bytes, found more")));
    }
    if is_cut_jpeg(&bytes) {
        return Err(unusable("expected a whole JPEG picture, found no end of it: the file is cut or damaged".into()));
    }
    let mut limits = Limits::default();
    limits.max_image_width = Some(LONGEST_SIDE);
    limits.max_image_height = Some(LONGEST_SIDE);
    limits.max_alloc = Some(MOST_BYTES);
    let mut reader = ImageReader::new(Cursor::new(&bytes)).with_guessed_format().map_err(unreadable)?;
    reader.limits(limits);
    reader.decode().map_err(|error| unusable(format!("expected a PNG, JPEG or BMP picture, found: {error}")))
}

/// Whether the end-of-image marker (FF D9) is missing after the last start of a scan (FF DA). Decoders fill what is
/// missing with grey.
fn is_cut_jpeg(bytes: &[u8]) -> bool {
    let last = |marker: [u8; 2]| bytes.windows(2).rposition(|found| found == marker);
    bytes.starts_with(&[0xff, 0xd8]) && last([0xff, 0xd9]) <= last([0xff, 0xda])
}
