//! Samples to show to a converted network, with their classes and what the trained network gives.

use super::ConvertedModel;
use megasim_ann::forward::WrongBatch;
use megasim_ann::graph::Shape;
use megasim_core::encode::{self, Clock, Recorded, SampleKind};
use megasim_data::recording::{self, Recording, Recordings, Selection};
use megasim_data::{Dataset, Format, Samples};
use ndarray::{Array2, ArrayView2, Axis};
use std::path::PathBuf;

/// Why samples cannot be shown to a network.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The data cannot be read, or do not fit the network.
    #[error(transparent)]
    Data(#[from] megasim_data::Error),
    /// A recording cannot be read.
    #[error(transparent)]
    Recording(#[from] recording::Error),
    /// Samples of another size.
    #[error(transparent)]
    Numbers(#[from] encode::Error),
    /// Samples that the trained network does not take.
    #[error(transparent)]
    Analog(#[from] WrongBatch),
    /// Another number of labels than of samples.
    #[error("expected a label for each of {samples} samples, found {labels}")]
    Labels {
        /// Samples.
        samples: usize,
        /// Labels.
        labels: usize,
    },
    /// A label that is no class of the network.
    #[error("sample {sample}: expected a class below {classes}, as the network tells apart, found {found}")]
    Class {
        /// Number of the sample.
        sample: usize,
        /// Classes of the network.
        classes: usize,
        /// The label.
        found: usize,
    },
    /// A number that is infinite or not a number.
    #[error("sample {sample}: expected finite numbers, found {found}")]
    NotFinite {
        /// Number of the sample.
        sample: usize,
        /// The number.
        found: f32,
    },
    /// Recordings for a network of vectors.
    #[error("recordings go with a network of maps, found one of {0} numbers")]
    NoMaps(usize),
    /// No recording is left.
    #[error("expected more than {skip} recordings, found {found}")]
    NoRecordings {
        /// Recordings left out.
        skip: usize,
        /// Recordings in the set.
        found: usize,
    },
    /// A recording of a class that the network does not have.
    #[error("{path}: expected a class below {classes}, as the network tells apart, found {found}")]
    RecordingClass {
        /// The recording.
        path: PathBuf,
        /// Classes of the network.
        classes: usize,
        /// Class of the recording.
        found: usize,
    },
    /// A recording with another number of maps.
    #[error(
        "{path}: expected {expected} maps, as the network takes, found {found}; --polarity channels makes two of a \
         recording, signed and alike one"
    )]
    Maps {
        /// The recording.
        path: PathBuf,
        /// Maps of the input.
        expected: usize,
        /// Maps of the selection.
        found: usize,
    },
    /// An event outside of the input.
    #[error(
        "{path}: expected events on {width} x {height}, as the network takes, found one at ({x}, {y}); --crop and \
         --downsample make it fit"
    )]
    Outside {
        /// The recording.
        path: PathBuf,
        /// Width of the input.
        width: usize,
        /// Height of the input.
        height: usize,
        /// Column of the event.
        x: i32,
        /// Row of the event.
        y: i32,
    },
}

/// Samples of one kind that fit a converted network, their classes, and the classes that the trained network gives.
///
/// ```
/// use megasim_ann::import::Model;
/// use megasim_convert::{Convert, ConvertOptions, LabelledSamples};
/// use megasim_data::Dataset;
/// # std::env::set_current_dir("../..")?;
///
/// let data = Dataset::open("examples/digits".as_ref())?;
/// let converted = Model::open("examples/digits/digits_cnn.keras")?.convert(&data, &ConvertOptions::new())?;
///
/// // The first 20 samples of the test set of a directory, or arrays of the caller.
/// let samples = LabelledSamples::test(&converted, &data, 0, Some(20))?;
/// let same = LabelledSamples::new(&converted, samples.values().to_owned(), samples.labels().to_vec())?;
/// assert_eq!((same.len(), same.analog()), (20, samples.analog()));
///
/// let error = LabelledSamples::new(&converted, samples.values().to_owned(), vec![0; 3]).unwrap_err();
/// assert_eq!(error.to_string(), "expected a label for each of 20 samples, found 3");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct LabelledSamples {
    values: Array2<f32>,
    labels: Vec<usize>,
    analog: Option<Vec<usize>>,
    kind: SampleKind,
    first: u64,
    recorded: Option<Recorded>,
}

impl LabelledSamples {
    /// Samples `(samples, numbers)`, maps flattened in the order `(channels, height, width)`, with their classes.
    ///
    /// # Errors
    /// If they do not fit the network or each other, or if a value is not finite.
    pub fn new(converted: &ConvertedModel, values: Array2<f32>, labels: Vec<usize>) -> Result<Self, Error> {
        SampleKind::Still.check(converted.input_shape().len(), values.ncols())?;
        let (samples, classes) = (values.nrows(), converted.classes());
        if samples != labels.len() {
            return Err(Error::Labels { samples, labels: labels.len() });
        }
        if let Some((sample, &found)) = labels.iter().enumerate().find(|(_, label)| **label >= classes) {
            return Err(Error::Class { sample, classes, found });
        }
        if let Some(((sample, _), &found)) = values.indexed_iter().find(|(_, value)| !value.is_finite()) {
            return Err(Error::NotFinite { sample, found });
        }
        Self::still(converted, Samples { x: values, y: labels }, 0)
    }

    /// Test samples of a data set from number `skip` on, at most `samples` of them.
    ///
    /// # Errors
    /// If the data cannot be read or do not fit the network.
    pub fn test(
        converted: &ConvertedModel,
        data: &Dataset,
        skip: usize,
        samples: Option<usize>,
    ) -> Result<Self, Error> {
        Self::still(converted, of(converted, data).test(&format(converted), skip, samples)?, skip as u64)
    }

    fn still(converted: &ConvertedModel, samples: Samples, first: u64) -> Result<Self, Error> {
        let analog = converted.analog_classes(samples.x.view())?;
        let Samples { x: values, y: labels } = samples;
        Ok(Self { values, labels, analog, kind: SampleKind::Still, first, recorded: None })
    }

    /// Test samples that are sequences of frames, axes `(sample, frame, ...)`, as [`LabelledSamples::test`]; the
    /// trained network is shown the mean of the frames.
    ///
    /// # Errors
    /// If the data cannot be read or do not fit the network.
    pub fn test_frames(
        converted: &ConvertedModel,
        data: &Dataset,
        skip: usize,
        samples: Option<usize>,
    ) -> Result<Self, Error> {
        let format = format(converted);
        let (Samples { x: values, y: labels }, frames) = of(converted, data).test_frames(&format, skip, samples)?;
        let numbers = format.shape.len();
        let mut means = Array2::zeros((values.nrows(), numbers));
        for frame in values.axis_chunks_iter(Axis(1), numbers) {
            means += &frame;
        }
        means /= frames as f32;
        let analog = converted.analog_classes(means.view())?;
        Ok(Self { values, labels, analog, kind: SampleKind::Frames, first: skip as u64, recorded: None })
    }

    /// Event recordings from number `skip` on, at most `samples` of them: their events, which take the place of a code,
    /// and for the trained network their rates in spikes per millisecond.
    ///
    /// # Errors
    /// If a recording cannot be read, does not fit the network, or is of a class that the network does not have.
    pub fn recordings(
        converted: &ConvertedModel,
        set: &Recordings,
        selection: &Selection,
        clock: Clock,
        skip: usize,
        samples: Option<usize>,
    ) -> Result<Self, Error> {
        let (maps, height, width) = match converted.input_shape() {
            Shape::Maps { channels, height, width } => (channels, height, width),
            Shape::Features(numbers) => return Err(Error::NoMaps(numbers)),
        };
        let entries = set.entries(skip, samples.unwrap_or(usize::MAX));
        if entries.is_empty() {
            return Err(Error::NoRecordings { skip, found: set.len() });
        }
        let (classes, scale) = (converted.classes(), converted.layout.input_scale());
        let mut recorded = Recorded::new(skip as u64);
        let mut values = Array2::zeros((entries.len(), maps * height * width));
        let mut labels = Vec::with_capacity(entries.len());
        for ((path, class), mut row) in entries.iter().zip(values.rows_mut()) {
            if *class >= classes {
                return Err(Error::RecordingClass { path: path.clone(), classes, found: *class });
            }
            let stimuli = selection.stimuli(&Recording::read(path)?);
            if stimuli.len() != maps {
                return Err(Error::Maps { path: path.clone(), expected: maps, found: stimuli.len() });
            }
            let rates = recorded
                .push(&converted.layout, &stimuli, (height, width), clock)
                .map_err(|(x, y)| Error::Outside { path: path.clone(), width, height, x, y })?;
            row.iter_mut().zip(rates).for_each(|(value, rate)| *value = rate * scale);
            labels.push(*class);
        }
        let analog = converted.analog_classes(values.view())?;
        Ok(Self { values, labels, analog, kind: SampleKind::Still, first: skip as u64, recorded: Some(recorded) })
    }

    /// How many samples there are.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The numbers, `(samples, numbers)`, or `(samples, frames * numbers)` of sequences of frames.
    pub fn values(&self) -> ArrayView2<'_, f32> {
        self.values.view()
    }

    /// The class of each sample.
    pub fn labels(&self) -> &[usize] {
        &self.labels
    }

    /// The class that the trained network gives to each sample; none where there is no trained network.
    pub fn analog(&self) -> Option<&[usize]> {
        self.analog.as_deref()
    }

    /// What the numbers of a sample are.
    pub fn kind(&self) -> SampleKind {
        self.kind
    }

    /// Number of the first sample in the data set.
    pub fn first(&self) -> u64 {
        self.first
    }

    /// The events of recordings, which take the place of a code; none where samples are numbers.
    pub fn recorded(&self) -> Option<&Recorded> {
        self.recorded.as_ref()
    }
}

/// The data as the trained network takes them.
fn of(converted: &ConvertedModel, data: &Dataset) -> Dataset {
    data.clone().for_input(converted.input_form())
}

/// What the trained network takes and gives.
fn format(converted: &ConvertedModel) -> Format {
    Format { shape: converted.input_shape(), classes: converted.classes() }
}
