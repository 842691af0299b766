//! CIFAR-10 and CIFAR-100: 32 x 32 pixels, all red, then all green, then all blue; CIFAR-10 as binary files, both as
//! Python's pickles.
//!
//! Formats: <https://www.cs.toronto.edu/~kriz/cifar.html>.

use super::Error;
use super::entry::{Entry, Set};
use super::pickle::{self, Batch};
use image::{DynamicImage, Rgb, RgbImage};
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const SIDE: u32 = 32;
const PIXELS: usize = (SIDE * SIDE) as usize;
const NUMBERS: usize = 3 * PIXELS;
const RECORD: usize = 1 + NUMBERS;

/// Most bytes of a pickle; that of CIFAR-100's training set has 155 million.
const MOST_BYTES: u64 = 1 << 29;

/// How pictures are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Binary,
    Pickle,
}

/// The files that are there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cifar {
    kind: Kind,
    /// Classes, numbered from 0.
    pub(super) classes: usize,
    train: Vec<PathBuf>,
    test: Vec<PathBuf>,
}

impl Cifar {
    /// Looks for `data_batch_1.bin` to `data_batch_5.bin` and `test_batch.bin`; for the pickles, without an ending; for
    /// CIFAR-100's pickles `train` and `test`.
    pub(super) fn find(directory: &Path) -> Option<Self> {
        let there = |names: Vec<String>| -> Vec<PathBuf> {
            names.iter().map(|name| directory.join(name)).filter(|path| path.is_file()).collect()
        };
        let batches = |ending: &str| {
            let train = there((1..=5).map(|number| format!("data_batch_{number}{ending}")).collect());
            (train, there(vec![format!("test_batch{ending}")]))
        };
        let fine = (there(vec!["train".into()]), there(vec!["test".into()]));
        let sets = [(Kind::Binary, 10, batches(".bin")), (Kind::Pickle, 10, batches("")), (Kind::Pickle, 100, fine)];
        let mut sets = sets.into_iter().filter(|(_, _, (train, test))| !train.is_empty() || !test.is_empty());
        sets.next().map(|(kind, classes, (train, test))| Self { kind, classes, train, test })
    }

    /// The files of a set.
    pub(super) fn files(&self, set: Set) -> &[PathBuf] {
        match set {
            Set::Train => &self.train,
            Set::Test => &self.test,
        }
    }

    /// All records of a set, at least `most` of them where there are as many.
    ///
    /// # Errors
    /// If a file does not hold whole records.
    pub(super) fn entries(&self, set: Set, most: usize) -> Result<Vec<Entry>, Error> {
        let mut entries = Vec::new();
        for path in self.files(set) {
            match self.kind {
                Kind::Binary => binary(path, self.classes, &mut entries)?,
                // Each takes some time.
                Kind::Pickle if entries.len() >= most => break,
                Kind::Pickle => self.pickled(path, &mut entries)?,
            }
        }
        Ok(entries)
    }

    fn pickled(&self, path: &Path, entries: &mut Vec<Entry>) -> Result<(), Error> {
        let unreadable = |source| Error::Unreadable { path: path.into(), source };
        let unusable = |place: String, message: String| Error::Unusable { path: path.into(), place, message };
        let bytes = path.metadata().map_err(unreadable)?.len();
        if bytes > MOST_BYTES {
            let message = format!("expected a batch of at most {MOST_BYTES} bytes, found {bytes}");
            return Err(unusable("pickle".into(), message));
        }
        let content = fs::read(path).map_err(unreadable)?;
        let labels = if self.classes == 10 { ["labels"] } else { ["fine_labels"] };
        let batch = pickle::read(&content, &labels).map_err(|message| unusable("pickle".into(), message))?;
        let Batch { pixels, labels } = batch;
        let records = labels.len();
        if pixels.len() != records * NUMBERS {
            let found = pixels.len();
            let message = format!("expected {NUMBERS} bytes for each of {records} labels, found {found}");
            return Err(unusable("'data'".into(), message));
        }
        for (number, &class) in labels.iter().enumerate() {
            if class >= self.classes {
                let message = format!("expected a label from 0 to {}, found {class}", self.classes - 1);
                return Err(unusable(format!("record {number}"), message));
            }
            let (path, pixels, number) = (path.to_path_buf(), pixels.clone(), number as u64);
            entries.push(Entry::Pixels { path, number, class, pixels });
        }
        Ok(())
    }
}

fn binary(path: &Path, classes: usize, entries: &mut Vec<Entry>) -> Result<(), Error> {
    let bytes = path.metadata().map_err(|source| Error::Unreadable { path: path.into(), source })?.len();
    let records = bytes / RECORD as u64;
    if !path.is_file() || records == 0 || bytes % RECORD as u64 != 0 {
        return Err(Error::Unusable {
            path: path.into(),
            place: format!("record {records}"),
            message: format!(
                "expected a file of whole records of {RECORD} bytes, found {bytes} bytes: it is cut or damaged"
            ),
        });
    }
    entries.extend((0..records).map(|number| Entry::Record { path: path.into(), number, classes }));
    Ok(())
}

/// Label and picture of a record.
pub(super) fn read(path: &Path, number: u64, classes: usize) -> Result<(usize, DynamicImage), Error> {
    let unreadable = |source| Error::Unreadable { path: path.into(), source };
    let mut record = [0; RECORD];
    let mut file = File::open(path).map_err(unreadable)?;
    file.seek(SeekFrom::Start(number * RECORD as u64)).map_err(unreadable)?;
    file.read_exact(&mut record).map_err(unreadable)?;
    let [label, pixels @ ..] = &record;
    let label = usize::from(*label);
    if label >= classes {
        let message = format!("expected a label from 0 to {}, found {label}", classes - 1);
        return Err(Error::Unusable { path: path.into(), place: format!("record {number}"), message });
    }
    Ok((label, picture(pixels)))
}

/// A picture of a pickle.
pub(super) fn of_pixels(pixels: &Arc<[u8]>, number: u64) -> DynamicImage {
    picture(&pixels[number as usize * NUMBERS..][..NUMBERS])
}

fn picture(pixels: &[u8]) -> DynamicImage {
    let pixel = |x, y| {
        let at = (y * SIDE + x) as usize;
        Rgb([pixels[at], pixels[at + PIXELS], pixels[at + 2 * PIXELS]])
    };
    DynamicImage::ImageRgb8(RgbImage::from_fn(SIDE, SIDE, pixel))
}
