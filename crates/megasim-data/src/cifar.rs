//! The binary version of CIFAR-10: records of a label and 32 x 32 pixels, all red, then all green, then all blue.
//!
//! Format: <https://www.cs.toronto.edu/~kriz/cifar.html>.

use super::Error;
use super::entry::{Entry, Set};
use image::{DynamicImage, Rgb, RgbImage};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// Classes, numbered from 0.
pub(super) const CLASSES: usize = 10;

const SIDE: u32 = 32;
const PIXELS: usize = (SIDE * SIDE) as usize;
const RECORD: usize = 1 + 3 * PIXELS;

/// The files that are there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cifar {
    train: Vec<PathBuf>,
    test: Vec<PathBuf>,
}

impl Cifar {
    /// Looks for `data_batch_1.bin` to `data_batch_5.bin`, and `test_batch.bin`.
    pub(super) fn find(directory: &Path) -> Option<Self> {
        let there = |names: Vec<String>| -> Vec<PathBuf> {
            names.iter().map(|name| directory.join(name)).filter(|path| path.exists()).collect()
        };
        let train = there((1..=5).map(|number| format!("data_batch_{number}.bin")).collect());
        let test = there(vec!["test_batch.bin".into()]);
        (!train.is_empty() || !test.is_empty()).then_some(Self { train, test })
    }

    /// The files of a set.
    pub(super) fn files(&self, set: Set) -> &[PathBuf] {
        match set {
            Set::Train => &self.train,
            Set::Test => &self.test,
        }
    }

    /// All records of a set.
    ///
    /// # Errors
    /// If a file does not hold whole records.
    pub(super) fn entries(&self, set: Set) -> Result<Vec<Entry>, Error> {
        let mut entries = Vec::new();
        for path in self.files(set) {
            let bytes = path.metadata().map_err(|source| Error::Unreadable { path: path.clone(), source })?.len();
            let records = bytes / RECORD as u64;
            if !path.is_file() || records == 0 || bytes % RECORD as u64 != 0 {
                return Err(Error::Unusable {
                    path: path.clone(),
                    place: format!("record {records}"),
                    message: format!(
                        "expected a file of whole records of {RECORD} bytes, found {bytes} bytes: it is cut or damaged"
                    ),
                });
            }
            entries.extend((0..records).map(|number| Entry::Record { path: path.clone(), number }));
        }
        Ok(entries)
    }
}

/// Label and picture of a record.
pub(super) fn read(path: &Path, number: u64) -> Result<(usize, DynamicImage), Error> {
    let unreadable = |source| Error::Unreadable { path: path.into(), source };
    let mut record = [0; RECORD];
    let mut file = File::open(path).map_err(unreadable)?;
    file.seek(SeekFrom::Start(number * RECORD as u64)).map_err(unreadable)?;
    file.read_exact(&mut record).map_err(unreadable)?;
    let [label, pixels @ ..] = &record;
    let label = usize::from(*label);
    if label >= CLASSES {
        let message = format!("expected a label from 0 to {}, found {label}", CLASSES - 1);
        return Err(Error::Unusable { path: path.into(), place: format!("record {number}"), message });
    }
    let pixel = |x, y| {
        let at = (y * SIDE + x) as usize;
        Rgb([pixels[at], pixels[at + PIXELS], pixels[at + 2 * PIXELS]])
    };
    Ok((label, DynamicImage::ImageRgb8(RgbImage::from_fn(SIDE, SIDE, pixel))))
}
