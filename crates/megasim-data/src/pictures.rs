//! Samples that are pictures, one by one: decoded, preprocessed, and checked against what the network takes.

use super::cifar::{self, Cifar};
use super::entry::{Entry, Set};
use super::folders::{self, Folders};
use super::npy::Rows;
use super::preprocessing::{Channels, Of, Preprocessing, Size};
use super::standardise::Wanted;
use super::undivided::{DataOptions, Split, Undivided};
use super::{ANY_CLASSES, Error, Format, Samples};
use crate::{InputScaling, Shape};
use image::DynamicImage;
use megasim_core::parallel;
use ndarray::{Array2, ArrayViewMut1, Axis};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Pictures of a data directory.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Pictures {
    directory: PathBuf,
    store: Store,
    preprocessing: Preprocessing,
    /// What a byte becomes where `preprocessing.toml` does not say.
    pub(super) scaling: InputScaling,
}

#[derive(Debug, Clone, PartialEq)]
enum Store {
    Folders(Folders),
    Cifar(Cifar),
    Undivided(Undivided),
}

/// What each picture has to be in the end.
struct Target {
    channels: Channels,
    size: TargetSize,
    /// Numbers in the order (channels, height, width); else (height, width, channels), as they are stored.
    channels_first: bool,
}

enum TargetSize {
    Exactly(Size),
    /// In a row for a network of vectors.
    Pixels(usize),
}

impl Pictures {
    /// Looks for folders, then for CIFAR's files, then for pictures in no division.
    pub(super) fn find(directory: &Path, options: &DataOptions) -> Result<Option<Self>, Error> {
        let split = options.split;
        let store = match (Folders::find(directory)?, Cifar::find(directory)) {
            (Some(folders), _) => Some(Store::Folders(folders)),
            (None, Some(cifar)) => Some(Store::Cifar(cifar)),
            (None, None) => Undivided::find(directory, split)?.map(Store::Undivided),
        };
        let Some(store) = store else { return Ok(None) };
        if split.is_some() && !matches!(store, Store::Undivided(_)) {
            let message = "expected pictures that are in no division, found training and test samples apart";
            return Err(Error::Unusable { path: directory.into(), place: "--split".into(), message: message.into() });
        }
        Self::new(directory, store, options).map(Some)
    }

    /// The pictures of a list.
    pub(super) fn listed(list: &Path, options: &DataOptions) -> Result<Self, Error> {
        let directory = list.parent().unwrap_or(Path::new(""));
        Self::new(directory, Store::Undivided(Undivided::listed(list, options.split)?), options)
    }

    fn new(directory: &Path, store: Store, options: &DataOptions) -> Result<Self, Error> {
        let preprocessing = Preprocessing::read(directory, Of::Pictures, options.preprocessing.as_ref())?;
        Ok(Self { directory: directory.into(), store, preprocessing, scaling: InputScaling::Unit })
    }

    /// How they are parted, where they are in no division.
    pub(super) fn split(&self) -> Option<Split> {
        match &self.store {
            Store::Undivided(undivided) => undivided.split,
            _ => None,
        }
    }

    /// Whether the classes of the pictures are known.
    pub(super) fn is_labelled(&self) -> bool {
        !matches!(&self.store, Store::Undivided(undivided) if !undivided.is_labelled)
    }

    /// Names of the classes; empty where they are numbers.
    pub(super) fn classes(&self) -> &[OsString] {
        match &self.store {
            Store::Folders(folders) => &folders.classes,
            Store::Undivided(undivided) => &undivided.classes,
            Store::Cifar(_) => &[],
        }
    }

    /// How samples are standardised.
    pub(super) fn standardisation(&self) -> Wanted {
        self.preprocessing.standardisation
    }

    /// What decides the samples of a set: files, and folders of which each file counts.
    pub(super) fn files(&self, set: Set) -> Vec<PathBuf> {
        let mut files = match &self.store {
            Store::Folders(folders) => folders.files(set),
            Store::Cifar(cifar) => cifar.files(set).to_vec(),
            Store::Undivided(undivided) => undivided.sources.clone(),
        };
        files.extend(self.preprocessing.path().map(PathBuf::from));
        files
    }

    /// How many samples a set has, at least one.
    pub(super) fn count(&self, set: Set) -> Result<usize, Error> {
        Ok(self.entries(set, Rows { skip: 0, take: usize::MAX })?.len())
    }

    /// Some samples of a set.
    pub(super) fn samples(&self, set: Set, format: &Format, rows: Rows) -> Result<Samples, Error> {
        self.check_classes(format.classes)?;
        let target = self.target(format.shape)?;
        let entries = self.entries(set, rows)?;
        let mut x = Array2::zeros((entries.len(), format.shape.len()));
        let rows: Vec<Mutex<ArrayViewMut1<f32>>> = x.axis_iter_mut(Axis(0)).map(Mutex::new).collect();
        let labels: Vec<Result<usize, Error>> = parallel::map(0..entries.len(), |at| {
            let (label, numbers) = self.numbers(&entries[at], &target)?;
            let mut row = rows[at].lock().unwrap_or_else(PoisonError::into_inner);
            row.iter_mut().zip(numbers).for_each(|(to, from)| *to = from);
            Ok(label)
        });
        drop(rows);
        // The first that is at fault is reported, with any number of threads.
        let y = labels.into_iter().collect::<Result<_, _>>()?;
        Ok(Samples { x, y })
    }

    /// Some samples of a set as large as the first of them: the shape (height, width) of grey ones, (height, width,
    /// channels) of others, and their numbers.
    pub(super) fn as_stored(&self, set: Set, rows: Rows) -> Result<(Vec<usize>, Array2<f32>), Error> {
        let entries = self.entries(set, rows)?;
        let (_, first) = read(&entries[0])?;
        let of_first = if first.color().has_color() { Channels::Colour } else { Channels::Grey };
        let channels = self.preprocessing.channels.unwrap_or(of_first);
        self.preprocessing.check(channels)?;
        let first = self.preprocessing.shaped(first, channels).map_err(|message| entries[0].unusable(message))?;
        let size = Size::of(&first);
        let target = Target { channels, size: TargetSize::Exactly(size), channels_first: false };
        let mut shape = vec![size.height as usize, size.width as usize];
        if channels == Channels::Colour {
            shape.push(channels.count());
        }
        let mut x = Array2::zeros((entries.len(), shape.iter().product()));
        for (entry, row) in entries.iter().zip(x.rows_mut()) {
            row.into_iter().zip(self.numbers(entry, &target)?.1).for_each(|(to, from)| *to = from);
        }
        Ok((shape, x))
    }

    /// The wanted entries, at least one.
    fn entries(&self, set: Set, rows: Rows) -> Result<Vec<Entry>, Error> {
        let most = rows.skip.saturating_add(rows.take);
        let (entries, expected) = match (&self.store, set) {
            (Store::Folders(folders), Set::Train) => {
                (folders.entries(set)?, "pictures 'train/CLASS/*.png' (or .jpg, .jpeg, .bmp)")
            }
            (Store::Folders(folders), Set::Test) => {
                (folders.entries(set)?, "pictures 'test/CLASS/*.png' (or .jpg, .jpeg, .bmp), or in 'val'")
            }
            (Store::Cifar(cifar), Set::Train) => {
                (cifar.entries(set, most)?, "'data_batch_1.bin' to 'data_batch_5.bin', or pickles of these names")
            }
            (Store::Cifar(cifar), Set::Test) => (cifar.entries(set, most)?, "'test_batch.bin', or 'test_batch'"),
            (Store::Undivided(undivided), _) => {
                (undivided.entries(set), "more pictures, so that the split leaves some of them on both sides")
            }
        };
        let total = entries.len();
        if total == 0 {
            return Err(Error::Missing { directory: self.directory.clone(), expected });
        }
        if rows.skip >= total {
            let message = super::arrays::more_than(rows.skip, total);
            return Err(Error::Unusable { path: self.directory.clone(), place: "pictures".into(), message });
        }
        Ok(entries.into_iter().skip(rows.skip).take(rows.take).collect())
    }

    /// Class numbers come from the names of all folders, so a number that differs would shift them.
    fn check_classes(&self, expected: usize) -> Result<(), Error> {
        let found = match &self.store {
            Store::Folders(folders) => folders.classes.len(),
            Store::Cifar(cifar) => cifar.classes,
            Store::Undivided(undivided) if undivided.is_labelled && undivided.classes.is_empty() => {
                // Numbers may leave out the last classes.
                let found = undivided.class_count();
                if found <= expected { expected } else { found }
            }
            Store::Undivided(undivided) if undivided.is_labelled => undivided.classes.len(),
            Store::Undivided(_) => return Ok(()),
        };
        if found == expected || (expected == ANY_CLASSES && found < expected) {
            return Ok(());
        }
        let message = format!("expected {expected}, as the network tells apart, found {found}");
        Err(Error::Unusable { path: self.directory.clone(), place: "classes".into(), message })
    }

    fn target(&self, shape: Shape) -> Result<Target, Error> {
        let (channels, size, channels_first) = match shape {
            Shape::Maps { channels, height, width } => {
                let channels = match channels {
                    1 => Channels::Grey,
                    3 => Channels::Colour,
                    _ => return Err(self.unfit(format!("expected an input of 1 or 3 channels, found {shape}"))),
                };
                let side =
                    |pixels| u32::try_from(pixels).map_err(|_| self.unfit(format!("too large for pictures: {shape}")));
                (channels, TargetSize::Exactly(Size { height: side(height)?, width: side(width)? }), true)
            }
            Shape::Features(numbers) => {
                let channels = self.preprocessing.channels.unwrap_or(Channels::Grey);
                if numbers % channels.count() != 0 {
                    return Err(self.unfit(format!("expected an input of whole pixels of 3 channels, found {shape}")));
                }
                (channels, TargetSize::Pixels(numbers / channels.count()), false)
            }
        };
        self.preprocessing.check(channels)?;
        Ok(Target { channels, size, channels_first })
    }

    fn unfit(&self, message: String) -> Error {
        Error::Unusable { path: self.directory.clone(), place: "pictures".into(), message }
    }

    /// Class and numbers of a picture.
    fn numbers(&self, entry: &Entry, target: &Target) -> Result<(usize, Vec<f32>), Error> {
        let (class, image) = read(entry)?;
        let image = self.preprocessing.shaped(image, target.channels).map_err(|message| entry.unusable(message))?;
        let found = Size::of(&image);
        let pixels = found.height as usize * found.width as usize;
        let (fits, expected, hint) = match target.size {
            TargetSize::Exactly(size) => {
                let size_text = format!("{} x {} pixels (height x width)", size.height, size.width);
                (found == size, size_text, format!("resize = [{}, {}]", size.height, size.width))
            }
            TargetSize::Pixels(expected) => (pixels == expected, format!("{expected} pixels"), "resize".into()),
        };
        if !fits {
            return Err(entry.unusable(format!(
                "expected {expected}, found {} x {}; '{hint}' in preprocessing.toml of the data directory makes \
                    pictures fit",
                found.height, found.width
            )));
        }
        let channels = target.channels.count();
        let bytes = image.into_bytes();
        let value =
            |at: usize, channel: usize| self.preprocessing.value(bytes[at * channels + channel], channel, self.scaling);
        let numbers = if target.channels_first {
            (0..channels)
                .flat_map(|channel| (0..pixels).map(move |at| (at, channel)))
                .map(|(at, c)| value(at, c))
                .collect()
        } else {
            (0..pixels * channels).map(|i| value(i / channels, i % channels)).collect()
        };
        Ok((class, numbers))
    }
}

fn read(entry: &Entry) -> Result<(usize, DynamicImage), Error> {
    match entry {
        Entry::File { class, path } => folders::read(path).map(|image| (*class, image)),
        Entry::Record { path, number, classes } => cifar::read(path, *number, *classes),
        Entry::Pixels { number, class, pixels, .. } => Ok((*class, cifar::of_pixels(pixels, *number))),
    }
}
