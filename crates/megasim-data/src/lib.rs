//! Labelled samples from files: `.npz`, `.npy` and IDX in a directory, folders of pictures, CIFAR-10.
//!
//! Pictures come as the network's input: maps flattened in the order `(channels, height, width)`. Where the channel
//! axis of a stored array is, the network's input shape says.

mod arrays;
mod cifar;
mod entry;
mod file;
mod folders;
mod frames;
mod input;
mod inverse_root;
mod locations;
pub mod npy;
mod pickle;
mod pictures;
mod pieces;
mod preprocessing;
pub mod recording;
mod selection;
mod shape;
mod standardise;
mod undivided;
pub mod unpickle;

pub use frames::means as means_of_frames;
pub use input::{DeclaredAxes, InputForm, InputScaling};
pub use pieces::Pieces;
pub use preprocessing::GivenPreprocessing;
pub use selection::SampleList;
pub use shape::Shape;
pub use standardise::Standardisation;
pub use undivided::{DataOptions, Split};

use arrays::{Location, more_than, read_images, read_labels, read_labels_of};
use entry::Set;
use file::ArrayFile;
use ndarray::{Array2, s};
use npy::{Array, Rows};
use pictures::Pictures;
use pieces::PieceSource;
use preprocessing::{Of, Preprocessing};
use standardise::Standardising;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use undivided::Undivided;

/// How many samples of a training set normalise a network, where no set is made for that.
pub const NORMALIZATION_SAMPLES: usize = 2000;

/// As [`Format::classes`]: the network tells no fixed number of classes apart, any label will do.
pub const ANY_CLASSES: usize = 1 << 16;

/// Why data cannot be taken.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The directory does not hold what is needed.
    #[error("{directory}: expected {expected}, found none")]
    Missing {
        /// The data directory.
        directory: PathBuf,
        /// Which files would do.
        expected: &'static str,
    },
    /// The system did not give a file.
    #[error("{path}: cannot be read: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file is damaged, or its content does not fit the network.
    #[error("{path}: {place}: {message}")]
    Unusable {
        /// The file.
        path: PathBuf,
        /// Where in the file.
        place: String,
        /// What was expected and what was found.
        message: String,
    },
}

/// What a network takes and tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Format {
    /// Shape of one sample.
    pub shape: Shape,
    /// How many classes there are; labels are below it.
    pub classes: usize,
}

/// Samples and their classes.
#[derive(Debug, Clone, PartialEq)]
pub struct Samples {
    /// `(samples, numbers)`, maps flattened in the order `(channels, height, width)`.
    pub x: Array2<f32>,
    /// The class of each sample.
    pub y: Vec<usize>,
}

/// A directory of data; files are read when they are asked for.
///
/// These layouts are known: `x_test.npz`, `y_test.npz` and `x_norm.npz` with one array each (SNN toolbox's; also as
/// `.npy`, `X_test.npz` or `mnist_X_test.npz`), `test.npz` and `train.npz` with arrays `x` and `y`, one `.npz` with
/// `x_train`, `y_train`, `x_test` and `y_test` (Keras's `mnist.npz`), the unpacked files of MNIST
/// (`t10k-images-idx3-ubyte`, ...), folders of pictures named after their classes (`train/CLASS/*.png`,
/// `test/CLASS/*.jpg`, ...), the binary files and the pickles of CIFAR-10 and the pickles of CIFAR-100, folders of
/// classes in no division, parted by a [`Split`] or else test and normalisation samples alike, and pictures whose
/// classes are unknown. A file is a data set as well: an `.npz`, `.npy` or file of MNIST, or a list of pictures and
/// their labels. Labels are class numbers or one-hot rows; bytes (`uint8`) are divided by 255, except for a network
/// that scales its own input ([`Dataset::for_input`]).
///
/// A file `preprocessing.toml` next to the data says what is done to samples. All of its keys may be left out; the
/// first three go with pictures and CIFAR-10 only:
///
/// ```toml
/// resize = [32, 32]              # height, width; bilinear
/// crop = [28, 28]                # height, width, from the centre
/// channels = 3                   # 1 (grey) or 3 (red, green, blue); else what the network takes
/// rescale = 0.00392156862745098  # factor on values from 0 to 255; 1/255
/// mean = [0.49, 0.48, 0.45]      # of each channel, taken off after rescaling
/// std = [0.25, 0.24, 0.26]       # of each channel, then divided by
/// samplewise_center = true       # then the mean of each sample is subtracted
/// samplewise_std_normalization = true
/// featurewise_center = true      # then the mean of each channel (or feature) over the normalisation samples
/// featurewise_std_normalization = true
/// zca_whitening = true           # ... and samples are whitened
/// zca_epsilon = 1e-6
/// ```
///
/// Classes of folders are numbered in the order of their names. Pictures come in turns, the first of each class, the
/// second of each class, and so on by file name, so that the first samples hold all classes.
///
/// ```no_run
/// use megasim_data::{Dataset, Format, Shape};
/// let data = Dataset::open("data/mnist".as_ref())?;
/// let format = Format { shape: Shape::Maps { channels: 1, height: 28, width: 28 }, classes: 10 };
/// let samples = data.test(&format, 0, Some(1000))?;
/// println!("{} samples, the first is of class {}", samples.y.len(), samples.y[0]);
/// # Ok::<(), megasim_data::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Dataset {
    directory: PathBuf,
    layout: Layout,
    form: InputForm,
    /// Labels that take the place of those of the data.
    labels: Option<PathBuf>,
    /// The most test samples that are taken.
    most: usize,
    /// What is done to the numbers of arrays.
    preprocessing: Arc<Preprocessing>,
    /// How samples come to be standardised.
    standardising: Standardising,
}

/// How the samples are stored in the directory.
#[derive(Debug, Clone, PartialEq)]
enum Layout {
    Arrays,
    File(Box<ArrayFile>),
    Memory { test: Option<[Arc<Array>; 2]>, normalization: Option<Arc<Array>> },
    Pictures(Box<Pictures>),
}

impl Dataset {
    /// Looks what the directory or file holds.
    ///
    /// # Errors
    /// [`Error::Missing`] where it holds none of the layouts; a `preprocessing.toml` that is damaged, or that says of
    /// arrays what only pictures have.
    pub fn open(directory: &Path) -> Result<Self, Error> {
        Self::open_with(directory, &DataOptions::default())
    }

    /// Whether a path names a file of arrays, which [`Self::open`] takes in place of a directory.
    pub fn is_array_file(path: &Path) -> bool {
        path.is_file() && ArrayFile::is_one(path)
    }

    /// As [`Self::open`], with what the data do not say themselves.
    ///
    /// # Errors
    /// As there; where arrays are to be split.
    pub fn open_with(path: &Path, options: &DataOptions) -> Result<Self, Error> {
        let unreadable = |source| Error::Unreadable { path: path.into(), source };
        let DataOptions { labels, split, preprocessing } = options.clone();
        let dataset = Self { labels, ..Self::of(path, Layout::Arrays) };
        let of_arrays =
            |directory: &Path| Preprocessing::read(directory, Of::Arrays, preprocessing.as_ref()).map(Arc::new);
        let unsplit = || match split {
            None => Ok(()),
            Some(_) => {
                let message = "expected pictures in folders of classes or in a list, which can be split, found arrays";
                Err(Error::Unusable { path: path.into(), place: "--split".into(), message: message.into() })
            }
        };
        if !std::fs::metadata(path).map_err(unreadable)?.is_dir() {
            if ArrayFile::is_one(path) {
                unsplit()?;
                let preprocessing = of_arrays(path.parent().unwrap_or(Path::new("")))?;
                return Ok(Self { layout: Layout::File(Box::new(ArrayFile::find(path)?)), preprocessing, ..dataset });
            }
            if Undivided::is_list(path) {
                let pictures = Pictures::listed(path, options)?;
                return Ok(Self { layout: Layout::Pictures(Box::new(pictures)), ..dataset });
            }
            let expected = "expected a directory, an array (.npz, .npy), or a list of pictures and labels (.csv, \
                .txt), found another file";
            return Err(unreadable(io::Error::new(io::ErrorKind::NotADirectory, expected)));
        }
        match dataset.test_location("x") {
            Ok(_) => {
                unsplit()?;
                Ok(Self { preprocessing: of_arrays(path)?, ..dataset })
            }
            Err(missing) => match Pictures::find(path, options)? {
                Some(pictures) => Ok(Self { layout: Layout::Pictures(Box::new(pictures)), ..dataset }),
                None => Err(missing),
            },
        }
    }

    /// How the pictures are parted, where they are in no division.
    pub fn split(&self) -> Option<Split> {
        match &self.layout {
            Layout::Pictures(pictures) => pictures.split(),
            _ => None,
        }
    }

    /// These data with at most the first `most` test samples.
    pub fn with_test_samples(self, most: usize) -> Self {
        Self { most, ..self }
    }

    /// The wanted ones of the test samples that are taken.
    fn test_rows(&self, skip: usize, samples: Option<usize>) -> Rows {
        Rows { skip, take: samples.unwrap_or(usize::MAX).min(self.most.saturating_sub(skip)) }
    }

    /// Whether the classes of the test samples are known.
    pub fn has_labels(&self) -> bool {
        match &self.layout {
            _ if self.labels.is_some() => true,
            Layout::Pictures(pictures) => pictures.is_labelled(),
            Layout::File(file) => file.y.is_some(),
            Layout::Memory { test, .. } => test.is_some(),
            Layout::Arrays => self.test_location("y").is_ok(),
        }
    }

    /// Names of the classes by their numbers, as of folders of pictures; empty where there are none, or where other
    /// labels take their place.
    pub fn class_names(&self) -> Vec<String> {
        match &self.layout {
            Layout::Pictures(pictures) if self.labels.is_none() => {
                pictures.classes().iter().map(|name| name.to_string_lossy().into_owned()).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Targets of a regression, `(samples, outputs)`: one row of numbers for each test sample from number `skip` on,
    /// where a network has one output, or where they are not one-hot rows. None: the labels are classes, or there are
    /// none.
    ///
    /// # Errors
    /// Damaged files; a target that is not finite.
    pub fn test_targets(
        &self,
        outputs: usize,
        skip: usize,
        samples: Option<usize>,
    ) -> Result<Option<Array2<f32>>, Error> {
        let is_picture = matches!(self.layout, Layout::Pictures(_)) && self.labels.is_none();
        if is_picture || !self.has_labels() {
            return Ok(None);
        }
        let location = self.test_location("y")?;
        let Array { shape, values, .. } = location.read(self.test_rows(skip, samples))?;
        let row = shape.iter().skip(1).product::<usize>();
        let is_class = |value: &f32| *value == 0.0 || *value == 1.0;
        if row != outputs || (outputs > 1 && values.iter().all(is_class)) {
            return Ok(None);
        }
        if let Some(at) = values.iter().position(|value| !value.is_finite()) {
            let (value, sample) = (values[at], skip + at / row);
            return Err(location.unusable(format!("expected finite targets, found {value} for sample {sample}")));
        }
        let targets = Array2::from_shape_vec((values.len() / row.max(1), row), values);
        targets.map(Some).map_err(|error| location.unusable(error.to_string()))
    }

    /// Test samples without their classes, `(samples, numbers)`; else as [`Self::test`].
    ///
    /// # Errors
    /// As [`Self::test`].
    pub fn test_inputs(&self, format: &Format, skip: usize, samples: Option<usize>) -> Result<Array2<f32>, Error> {
        let rows = self.test_rows(skip, samples);
        if let Layout::Pictures(pictures) = &self.layout {
            return self.finished(pictures.samples(Set::Test, format, rows)?.x, format);
        }
        self.finished(read_images(&self.test_location("x")?, format.shape, rows)?.0, format)
    }

    /// These data for a network that says more of its input than its shape.
    pub fn for_input(mut self, form: InputForm) -> Self {
        if self.standardising.is_done() {
            return self;
        }
        if let Layout::Pictures(pictures) = &mut self.layout {
            pictures.scaling = form.scaling;
        }
        self.form = form;
        self.standardising.forget();
        self
    }

    /// Data in memory: test samples with their labels, and samples to normalise with. Messages call the arrays `x`, `y`
    /// and `x_norm`. They are checked, as those of files, when they are asked for.
    ///
    /// ```
    /// use megasim_data::npy::Array;
    /// use megasim_data::{Dataset, Format, Shape};
    ///
    /// let x = Array { shape: vec![2, 3], values: vec![0.0, 0.5, 1.0, 1.0, 0.0, 0.0], is_bytes: false };
    /// let y = Array { shape: vec![2], values: vec![1.0, 0.0], is_bytes: false };
    /// let data = Dataset::in_memory(Some((x, y)), None);
    /// let samples = data.test(&Format { shape: Shape::Features(3), classes: 2 }, 0, None)?;
    /// assert_eq!(samples.y, [1, 0]);
    /// # Ok::<(), megasim_data::Error>(())
    /// ```
    pub fn in_memory(test: Option<(Array, Array)>, normalization: Option<Array>) -> Self {
        let (test, normalization) = (test.map(|(x, y)| [x, y].map(Arc::new)), normalization.map(Arc::new));
        Self::of("memory".as_ref(), Layout::Memory { test, normalization })
    }

    /// What a network takes, in memory: test samples, and samples to normalise with, `(samples, numbers)`, in the order
    /// `(channels, height, width)`. Nothing more is done to them; `standardisation` says what was.
    ///
    /// ```
    /// use megasim_data::{Dataset, Format, InputForm, DeclaredAxes, InputScaling, Samples, Shape};
    /// use ndarray::array;
    ///
    /// let shape = Shape::Maps { channels: 2, height: 1, width: 2 };
    /// let test = Samples { x: array![[1.0, 2.0, 3.0, 4.0]], y: vec![1] };
    /// let data = Dataset::of_inputs(shape, test, array![[1.0, 1.0, 1.0, 1.0]], None);
    /// // A network whose file has channels last.
    /// let data = data.for_input(InputForm::new(DeclaredAxes::new(&[1, 2, 0]), InputScaling::Unit));
    /// assert_eq!(data.test(&Format { shape, classes: 2 }, 0, None)?.x, array![[1.0, 2.0, 3.0, 4.0]]);
    /// # Ok::<(), megasim_data::Error>(())
    /// ```
    pub fn of_inputs(
        shape: Shape,
        test: impl Into<Option<Samples>>,
        normalization: Array2<f32>,
        standardisation: Option<Arc<Standardisation>>,
    ) -> Self {
        let sizes = shape.sizes();
        let array = |samples: Array2<f32>| {
            let shape = [&[samples.nrows()][..], &sizes].concat();
            Array { shape, values: samples.into_iter().collect(), is_bytes: false }
        };
        let test = test.into().map(|Samples { x, y }| {
            let classes = y.iter().map(|&class| class as f32).collect();
            (array(x), Array { shape: vec![y.len()], values: classes, is_bytes: false })
        });
        let form = InputForm::new(DeclaredAxes::new(&[0, 1, 2][..sizes.len()]), InputScaling::Unit);
        let standardising = Standardising::Done(standardisation);
        Self { form, standardising, ..Self::in_memory(test, Some(array(normalization))) }
    }

    fn of(directory: &Path, layout: Layout) -> Self {
        Self {
            directory: directory.into(),
            layout,
            form: InputForm::default(),
            labels: None,
            most: usize::MAX,
            preprocessing: Arc::default(),
            standardising: Standardising::default(),
        }
    }

    /// Whether there are test samples; a directory has some, or it could not be opened.
    pub fn has_test(&self) -> bool {
        !matches!(self.layout, Layout::Memory { test: None, .. })
    }

    /// The directory; `memory` where there is none.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The files that [`Self::test`] reads; of folders of pictures, each class's folder.
    pub fn test_files(&self) -> Vec<PathBuf> {
        if let Layout::Pictures(pictures) = &self.layout {
            return pictures.files(Set::Test).into_iter().chain(self.labels.clone()).collect();
        }
        if let Layout::Memory { .. } = &self.layout {
            return Vec::new();
        }
        let locations = ["x", "y"].into_iter().filter_map(|name| self.test_location(name).ok());
        let mut files: Vec<PathBuf> = locations.map(|location| location.path).collect();
        files.dedup();
        files.extend(self.preprocessing.path().map(PathBuf::from));
        files
    }

    /// The files that [`Self::normalization`] reads, as [`Self::test_files`].
    pub fn normalization_files(&self) -> Vec<PathBuf> {
        match &self.layout {
            Layout::Memory { .. } => Vec::new(),
            Layout::Pictures(pictures) if self.x_norm().is_none() => pictures.files(Set::Train),
            _ => {
                let arrays = self.normalization_location().into_iter().map(|location| location.path);
                arrays.chain(self.preprocessing.path().map(PathBuf::from)).collect()
            }
        }
    }

    /// Test samples from number `skip` on, at most `samples` of them.
    ///
    /// # Errors
    /// Damaged files; arrays that do not fit the network or each other; a label out of range; a pixel that is no
    /// number; no sample left after `skip`.
    pub fn test(&self, format: &Format, skip: usize, samples: Option<usize>) -> Result<Samples, Error> {
        let rows = self.test_rows(skip, samples);
        if let Layout::Pictures(pictures) = &self.layout {
            let Some(labels) = &self.labels else {
                if !pictures.is_labelled() {
                    return Err(self.no_labels());
                }
                let Samples { x, y } = pictures.samples(Set::Test, format, rows)?;
                return Ok(Samples { x: self.finished(x, format)?, y });
            };
            let total = pictures.count(Set::Test)?;
            let y = read_labels_of(&self.location(labels.clone(), None), format.classes, rows, total)?;
            let x = pictures.samples(Set::Test, &Format { classes: ANY_CLASSES, ..*format }, rows)?.x;
            return Ok(Samples { x: self.finished(x, format)?, y });
        }
        let (x, y) = (self.test_location("x")?, self.test_location("y")?);
        let (images, images_total) = read_images(&x, format.shape, rows)?;
        let labels = read_labels_of(&y, format.classes, rows, images_total)?;
        Ok(Samples { x: self.finished(images, format)?, y: labels })
    }

    /// Test samples as they are stored, where no network says what they are: the shape of one, and
    /// `(samples, numbers)`; bytes are divided by 255.
    ///
    /// # Errors
    /// Damaged files; a pixel that is no number; no sample left after `skip`.
    pub fn test_as_stored(&self, skip: usize, samples: Option<usize>) -> Result<(Vec<usize>, Array2<f32>), Error> {
        let rows = self.test_rows(skip, samples);
        if let Layout::Pictures(pictures) = &self.layout {
            return pictures.as_stored(Set::Test, rows);
        }
        let location = self.test_location("x")?;
        let Array { shape, mut values, is_bytes } = location.read(rows)?;
        let Some((&total, sample)) = shape.split_first() else {
            return Err(location.unusable("expected samples, axes (sample, ...), found a number without axes"));
        };
        let numbers = sample.iter().product::<usize>();
        if values.is_empty() || numbers == 0 {
            return Err(location.unusable(more_than(skip, total)));
        }
        if let Some(at) = values.iter().position(|value| !value.is_finite()) {
            let (value, number) = (values[at], skip + at / numbers);
            return Err(location.unusable(format!("expected finite numbers, found {value} in sample {number}")));
        }
        if is_bytes && !self.preprocessing.rescales() {
            values.iter_mut().for_each(|value| *value /= self.form.scaling.divisor());
        }
        let x = Array2::from_shape_vec((values.len() / numbers, numbers), values);
        let mut x = x.map_err(|error| location.unusable(error.to_string()))?;
        self.preprocessing.apply_as_stored(&mut x, sample).map_err(|message| location.unusable(message))?;
        Ok((sample.to_vec(), x))
    }

    /// Training samples from number `skip` on, at most `samples` of them: arrays `x` and `y` of `train.npz`, the
    /// folders in `train`, or CIFAR-10's `data_batch_1.bin` and the next.
    ///
    /// # Errors
    /// As [`Self::test`].
    pub fn train(&self, format: &Format, skip: usize, samples: Option<usize>) -> Result<Samples, Error> {
        let rows = Rows { skip, take: samples.unwrap_or(usize::MAX) };
        if let Layout::Pictures(pictures) = &self.layout {
            let Samples { x, y } = pictures.samples(Set::Train, format, rows)?;
            return Ok(Samples { x: self.finished(x, format)?, y });
        }
        if let Layout::File(file) = &self.layout {
            let expected = "arrays 'x_train' and 'y_train'";
            let missing = || Error::Missing { directory: self.directory.clone(), expected };
            let [x, y] = file.train.clone().ok_or_else(missing)?.map(|place| self.at(place));
            let (images, images_total) = read_images(&x, format.shape, rows)?;
            let labels = read_labels_of(&y, format.classes, rows, images_total)?;
            return Ok(Samples { x: self.finished(images, format)?, y: labels });
        }
        let path = self.directory.join("train.npz");
        let (x, y) = match (path.exists(), self.of_keras()) {
            (true, _) => (self.location(path.clone(), Some("x")), self.location(path, Some("y"))),
            (false, Some(path)) => (self.location(path.clone(), Some("x_train")), self.location(path, Some("y_train"))),
            (false, None) => {
                let expected = "'train.npz' with arrays 'x' and 'y'";
                return Err(Error::Missing { directory: self.directory.clone(), expected });
            }
        };
        let (images, images_total) = read_images(&x, format.shape, rows)?;
        let labels = read_labels_of(&y, format.classes, rows, images_total)?;
        Ok(Samples { x: self.finished(images, format)?, y: labels })
    }

    /// The files that [`Self::train`] reads, as [`Self::test_files`].
    pub fn train_files(&self) -> Vec<PathBuf> {
        match &self.layout {
            Layout::Pictures(pictures) => pictures.files(Set::Train),
            Layout::Memory { .. } => Vec::new(),
            Layout::File(_) => vec![self.directory.clone()],
            Layout::Arrays => {
                let path = self.directory.join("train.npz");
                vec![if path.exists() { path } else { self.of_keras().unwrap_or(path) }]
            }
        }
    }

    /// Samples to normalise a network with: `x_norm.npz`, or the first 2,000 of the training set.
    ///
    /// # Errors
    /// As [`Self::test`].
    pub fn normalization(&self, format: &Format) -> Result<Array2<f32>, Error> {
        let pieces = self.normalization_pieces(format)?;
        let mut whole = Array2::zeros((pieces.len(), format.shape.len()));
        pieces.visit(&mut |first, piece| whole.slice_mut(s![first..first + piece.nrows(), ..]).assign(&piece))?;
        Ok(whole)
    }

    /// These samples, read piece by piece as often as they are gone through, in bounded memory.
    ///
    /// # Errors
    /// As [`Self::test`].
    pub fn normalization_pieces(&self, format: &Format) -> Result<Pieces, Error> {
        let standardisation = self.still_to_do(format)?;
        Ok(Pieces { standardisation, ..self.raw_pieces(format)? })
    }

    fn raw_pieces(&self, format: &Format) -> Result<Pieces, Error> {
        let (format, standardisation) = (*format, None);
        if let (Layout::Pictures(pictures), None) = (&self.layout, self.x_norm()) {
            let count = pictures.count(Set::Train)?.min(NORMALIZATION_SAMPLES);
            return Ok(Pieces { source: PieceSource::Pictures(pictures.clone()), format, count, standardisation });
        }
        let location = self.normalization_location()?;
        let take = if location.is_made_to_normalise() { usize::MAX } else { NORMALIZATION_SAMPLES };
        let total = location.read(Rows { skip: 0, take: 0 })?.shape.first().copied().unwrap_or(0);
        let count = total.min(take);
        Ok(Pieces { source: PieceSource::Array(location), format, count, standardisation })
    }
}

/// Labels alone, of samples that come from elsewhere: class numbers or one-hot rows, as `.npy`, `.npz` with one array
/// or MNIST's file.
///
/// # Errors
/// If the file cannot be read, or if a label is none of `classes`.
pub fn labels(path: &Path, classes: usize, skip: usize, samples: Option<usize>) -> Result<Vec<usize>, Error> {
    let (form, preprocessing) = (InputForm::default(), Arc::default());
    let location = Location { path: path.into(), name: None, memory: None, form, preprocessing };
    Ok(read_labels(&location, classes, Rows { skip, take: samples.unwrap_or(usize::MAX) })?.0)
}
