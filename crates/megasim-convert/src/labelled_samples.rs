//! Samples to show to a converted network, with their classes, where these are known, and what the trained network
//! gives.

use super::ConvertedModel;
use megasim_ann::forward::WrongBatch;
use megasim_ann::graph::Shape;
use megasim_core::encode::{self, Clock, Recorded, SampleKind, SampleNumbers};
use megasim_core::network::{Polarity, Stimulus};
#[cfg(feature = "nir")]
use megasim_core::network::{StimulusEvent, Tick};
use megasim_data::recording::{self, Recording, Recordings, Selection};
use megasim_data::{Dataset, Format, NORMALIZATION_SAMPLES, SampleList, Samples};
use ndarray::{Array2, ArrayView2, Axis, CowArray, Ix2, concatenate};
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
    /// A sample of a list that is not in the data set.
    #[error(
        "sample {number}: expected a number from 0 to {}, as the data set has {found} samples",
        found.saturating_sub(1)
    )]
    NotThere {
        /// The number.
        number: usize,
        /// Samples in the data set.
        found: usize,
    },
    /// Samples of a list that have different sizes.
    #[error("expected samples of one size: {0}")]
    Sizes(String),
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
    #[error("expected {} or more recordings, found {found}", skip + 1)]
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
    /// Spike trains of another number of neurons.
    #[error("expected spike trains of {expected} neurons, as the input of the network has, found {found}")]
    Neurons {
        /// Of the input.
        expected: usize,
        /// In the file.
        found: usize,
    },
    /// Spike trains on a grid finer than a tick.
    #[error(
        "expected spike trains with steps of a tick or longer, found steps of {step} s at {ticks_per_ms} ticks per ms; \
         --ticks-per-ms {fits} has ticks of that length"
    )]
    Step {
        /// Seconds.
        step: f64,
        /// Of the presentation.
        ticks_per_ms: u32,
        /// With which a tick is a step.
        fits: f64,
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
/// let same = LabelledSamples::new(&converted, samples.values().to_owned(), samples.labels().unwrap().to_vec())?;
/// assert_eq!((same.len(), same.analog()), (20, samples.analog()));
///
/// let error = LabelledSamples::new(&converted, samples.values().to_owned(), vec![0; 3]).unwrap_err();
/// assert_eq!(error.to_string(), "expected a label for each of 20 samples, found 3");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct LabelledSamples {
    values: Array2<f32>,
    labels: Option<Vec<usize>>,
    analog: Option<Vec<usize>>,
    kind: SampleKind,
    numbers: SampleNumbers,
    recorded: Option<Recorded>,
    /// By number; empty where the data have none.
    class_names: Vec<String>,
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
        Self::still(converted, (values, Some(labels)), SampleNumbers::default())
    }

    /// Test samples of a data set from number `skip` on, at most `samples` of them; without classes where the data
    /// have none.
    ///
    /// # Errors
    /// If the data cannot be read or do not fit the network.
    pub fn test(
        converted: &ConvertedModel,
        data: &Dataset,
        skip: usize,
        samples: Option<usize>,
    ) -> Result<Self, Error> {
        let (data, format) = (converted.data(data), format(converted));
        let samples = match data.has_labels() {
            true => data.test(&format, skip, samples).map(|Samples { x, y }| (x, Some(y)))?,
            false => (data.test_inputs(&format, skip, samples)?, None),
        };
        let of_data = Self::still(converted, samples, (skip as u64).into())?;
        Ok(Self { class_names: data.class_names(), ..of_data })
    }

    fn still(
        converted: &ConvertedModel,
        (values, labels): (Array2<f32>, Option<Vec<usize>>),
        numbers: SampleNumbers,
    ) -> Result<Self, Error> {
        let analog = converted.analog_classes(values.view())?;
        let (kind, recorded, class_names) = (SampleKind::Still, None, Vec::new());
        Ok(Self { values, labels, analog, kind, numbers, recorded, class_names })
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
        let (data, format) = (converted.data(data), format(converted));
        let (values, labels, frames) = match data.has_labels() {
            true => data.test_frames(&format, skip, samples).map(|(Samples { x, y }, frames)| (x, Some(y), frames))?,
            false => data.test_frame_inputs(&format, skip, samples).map(|(x, frames)| (x, None, frames))?,
        };
        let means = megasim_data::means_of_frames(&values, frames, format.shape);
        let analog = converted.analog_classes(means.view())?;
        let (kind, numbers, class_names) = (SampleKind::Frames, (skip as u64).into(), data.class_names());
        Ok(Self { values, labels, analog, kind, numbers, recorded: None, class_names })
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
        let (maps, height, width) = maps_of(converted.input_shape())?;
        let entries = entries(set, skip, samples.unwrap_or(usize::MAX))?;
        let classes = converted.classes();
        let mut recorded = Recorded::new((skip as u64).into());
        let mut values = Array2::zeros((entries.len(), maps * height * width));
        let mut labels = Vec::with_capacity(entries.len());
        for ((path, class), mut row) in entries.iter().zip(values.rows_mut()) {
            let stimuli = stimuli_of((path, *class), selection, (maps, classes))?;
            let rates = recorded
                .push(&converted.layout, &stimuli, (height, width), clock)
                .map_err(|(x, y)| Error::Outside { path: path.clone(), width, height, x, y })?;
            let rates = rates.into_iter().enumerate();
            row.iter_mut().zip(rates).for_each(|(value, (k, rate))| *value = converted.layout.value(k, rate));
            labels.push(*class);
        }
        let analog = converted.analog_classes(values.view())?;
        let (numbers, labels) = ((skip as u64).into(), Some(labels));
        let (kind, recorded, class_names) = (SampleKind::Still, Some(recorded), set.classes.clone());
        Ok(Self { values, labels, analog, kind, numbers, recorded, class_names })
    }

    /// Spike trains in NIR's form of data from number `skip` on, at most `samples` of them, and their classes, where
    /// they are known: spikes of the addresses of the input, which take the place of a code, and for the trained
    /// network their rates in spikes per millisecond.
    ///
    /// # Errors
    /// If they are of another number of neurons than the input, on a grid finer than a tick, or none are left.
    #[cfg(feature = "nir")]
    pub fn spike_trains(
        converted: &ConvertedModel,
        trains: &megasim_ann::nir::SpikeTrains,
        labels: Option<&[usize]>,
        clock: Clock,
        skip: usize,
        samples: Option<usize>,
    ) -> Result<Self, Error> {
        let layout = &converted.layout;
        let (expected, found) = (layout.numbers(), trains.neurons);
        if expected != found {
            return Err(Error::Neurons { expected, found });
        }
        let per_second = f64::from(clock.ticks_per_ms) * 1000.0;
        // Sums of steps are a little off.
        let tick = |seconds: f64| (seconds * per_second * (1.0 + 1e-9) + 1e-6).floor();
        if let Some(step) = trains.step.filter(|&step| tick(step) < 1.0) {
            return Err(Error::Step { step, ticks_per_ms: clock.ticks_per_ms, fits: (1e-3 / step).round() });
        }
        let taken: Vec<_> = trains.samples.iter().skip(skip).take(samples.unwrap_or(usize::MAX)).collect();
        if taken.is_empty() {
            return Err(Error::NoRecordings { skip, found: trains.samples.len() });
        }
        let labels = match labels.map(|all| (all.len(), all.iter().skip(skip).take(taken.len()).copied())) {
            Some((found, _)) if found < skip + taken.len() => {
                return Err(Error::Labels { samples: skip + taken.len(), labels: found });
            }
            labels => labels.map(|(_, labels)| labels.collect::<Vec<_>>()),
        };
        let classes = converted.classes();
        if let Some((sample, &found)) = labels.iter().flatten().enumerate().find(|(_, label)| **label >= classes) {
            return Err(Error::Class { sample: skip + sample, classes, found });
        }
        let mut number_of = vec![0; expected];
        layout.addresses().iter().enumerate().for_each(|(number, &address)| number_of[address as usize] = number);
        let mut recorded = Recorded::new((skip as u64).into());
        let mut values = Array2::zeros((taken.len(), expected));
        for (spikes, mut row) in taken.iter().zip(values.rows_mut()) {
            let of_row = Stimulus::from_events(spikes.iter().map(|spike| StimulusEvent {
                t_pre: tick(spike.time) as Tick,
                x: number_of[spike.neuron] as i32,
                y: 0,
                polarity: if spike.negative { Polarity::Negative } else { Polarity::Positive },
            }));
            // As one row; numbers are in the order of the maps.
            let rates = recorded.push(layout, &[of_row], (1, expected), clock);
            let rates = rates.map_err(|_| Error::Neurons { expected, found })?.into_iter().enumerate();
            row.iter_mut().zip(rates).for_each(|(value, (k, rate))| *value = layout.value(k, rate));
        }
        let analog = converted.analog_classes(values.view())?;
        let numbers = (skip as u64).into();
        let (kind, recorded, class_names) = (SampleKind::Still, Some(recorded), Vec::new());
        Ok(Self { values, labels, analog, kind, numbers, recorded, class_names })
    }

    /// Event recordings as data of a conversion, in memory: rates in spikes per millisecond over `duration`
    /// milliseconds, times `scale`, of the first 2,000 of a set to normalise with and of all test recordings. Event
    /// times of `selection` are microseconds (1000 ticks of a millisecond).
    ///
    /// # Errors
    /// As [`LabelledSamples::recordings`].
    pub fn rates(
        format: &Format,
        [normalization, test]: [&Recordings; 2],
        selection: &Selection,
        (duration, scale): (u32, f64),
    ) -> Result<Dataset, Error> {
        let (maps, height, width) = maps_of(format.shape)?;
        let clock = Clock { duration, ticks_per_ms: selection.ticks_per_ms };
        let one_spike = scale as f32 / duration.max(1) as f32;
        let read = |set: &Recordings, most: usize| -> Result<Samples, Error> {
            let entries = entries(set, 0, most)?;
            let cells = height * width;
            let mut x = Array2::zeros((entries.len(), maps * cells));
            let mut y = Vec::with_capacity(entries.len());
            for ((path, class), mut row) in entries.iter().zip(x.rows_mut()) {
                for (map, stimulus) in stimuli_of((path, *class), selection, (maps, format.classes))?.iter().enumerate()
                {
                    for event in stimulus.iter().filter(|event| event.t_pre < clock.ticks()) {
                        let (x, y) = (event.x, event.y);
                        if !((0..width as i32).contains(&x) && (0..height as i32).contains(&y)) {
                            return Err(Error::Outside { path: path.clone(), width, height, x, y });
                        }
                        let sign = if event.polarity == Polarity::Negative { -1.0 } else { 1.0 };
                        row[map * cells + y as usize * width + x as usize] += sign * one_spike;
                    }
                }
                y.push(*class);
            }
            Ok(Samples { x, y })
        };
        let (test, normalization) = (read(test, usize::MAX)?, read(normalization, NORMALIZATION_SAMPLES)?.x);
        Ok(Dataset::of_inputs(format.shape, test, normalization, None))
    }

    /// The samples of a list; `read` gives the samples from a number on, at most a number of them, as
    /// [`LabelledSamples::test`], [`LabelledSamples::test_frames`] and [`LabelledSamples::recordings`] do.
    ///
    /// ```
    /// # use megasim_ann::import::Model;
    /// # use megasim_convert::{Convert, ConvertOptions, LabelledSamples};
    /// # use megasim_data::{Dataset, SampleList};
    /// # std::env::set_current_dir("../..")?;
    /// # let data = Dataset::open("examples/digits".as_ref())?;
    /// # let converted = Model::open("examples/digits/digits_cnn.keras")?.convert(&data, &ConvertOptions::new())?;
    /// let list: SampleList = "5,17,100..103".parse()?;
    /// let samples = LabelledSamples::listed(&list, |skip, most| {
    ///     LabelledSamples::test(&converted, &data, skip, Some(most))
    /// })?;
    /// assert_eq!((samples.len(), samples.numbers().number(1)), (5, 17));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// What `read` reports; a sample that is not in the set.
    pub fn listed<E: From<Error>>(
        list: &SampleList,
        mut read: impl FnMut(usize, usize) -> Result<Self, E>,
    ) -> Result<Self, E> {
        let numbers = SampleNumbers::listed(list.numbers().iter().map(|&number| number as u64).collect::<Vec<_>>());
        let (mut values, mut labels, mut analog) = (Vec::new(), Some(Vec::new()), Some(Vec::new()));
        let (mut kind, mut recorded, mut class_names) = (SampleKind::Still, None, Vec::new());
        for (range, wanted) in list.reads() {
            let some = read(range.start, range.len())?;
            if some.len() < range.len() {
                let (found, number) = (range.start + some.len(), range.end - 1);
                return Err(Error::NotThere { number, found }.into());
            }
            let add = |(mut classes, of): (Vec<usize>, &Vec<usize>)| {
                classes.extend(wanted.iter().map(|&k| of[k]));
                classes
            };
            labels = labels.zip(some.labels.as_ref()).map(add);
            analog = analog.zip(some.analog.as_ref()).map(add);
            if let Some(events) = &some.recorded {
                let all = recorded.get_or_insert_with(|| Recorded::new(numbers.clone()));
                all.take(events, &wanted);
            }
            values.push(some.values.select(Axis(0), &wanted));
            kind = some.kind;
            class_names = some.class_names;
        }
        let values: Vec<_> = values.iter().map(|some: &Array2<f32>| some.view()).collect();
        let values = concatenate(Axis(0), &values).map_err(|error| Error::Sizes(error.to_string()))?;
        Ok(Self { values, labels, analog, kind, numbers, recorded, class_names })
    }

    /// How many samples there are.
    pub fn len(&self) -> usize {
        self.values.nrows()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.values.nrows() == 0
    }

    /// The numbers, `(samples, numbers)`, or `(samples, frames * numbers)` of sequences of frames.
    pub fn values(&self) -> ArrayView2<'_, f32> {
        self.values.view()
    }

    /// What the trained network is shown, `(samples, numbers)`: the numbers, of sequences of frames their means.
    pub fn shown_to_trained(&self, shape: Shape) -> CowArray<'_, f32, Ix2> {
        match self.kind {
            SampleKind::Still => self.values.view().into(),
            SampleKind::Frames => {
                let frames = self.values.ncols() / shape.len().max(1);
                megasim_data::means_of_frames(&self.values, frames, shape).into()
            }
        }
    }

    /// The class of each sample, where it is known.
    pub fn labels(&self) -> Option<&[usize]> {
        self.labels.as_deref()
    }

    /// Names of the classes by their numbers, as of folders of pictures; empty where the data have none.
    pub fn class_names(&self) -> &[String] {
        &self.class_names
    }

    /// The class that the trained network gives to each sample; none where there is no trained network.
    pub fn analog(&self) -> Option<&[usize]> {
        self.analog.as_deref()
    }

    /// What the numbers of a sample are.
    pub fn kind(&self) -> SampleKind {
        self.kind
    }

    /// Numbers of the samples in the data set.
    pub fn numbers(&self) -> &SampleNumbers {
        &self.numbers
    }

    /// The events of recordings, which take the place of a code; none where samples are numbers.
    pub fn recorded(&self) -> Option<&Recorded> {
        self.recorded.as_ref()
    }
}

/// The maps, rows and columns of an input of maps.
fn maps_of(shape: Shape) -> Result<(usize, usize, usize), Error> {
    match shape {
        Shape::Maps { channels, height, width } => Ok((channels, height, width)),
        Shape::Features(numbers) => Err(Error::NoMaps(numbers)),
    }
}

/// Recordings from number `skip` on, at least one.
fn entries(set: &Recordings, skip: usize, most: usize) -> Result<&[(PathBuf, usize)], Error> {
    match set.entries(skip, most) {
        [] => Err(Error::NoRecordings { skip, found: set.len() }),
        entries => Ok(entries),
    }
}

/// The stimuli of a recording of a class, for an input of `maps` maps and a network of `classes` classes.
fn stimuli_of(
    (path, class): (&PathBuf, usize),
    selection: &Selection,
    (maps, classes): (usize, usize),
) -> Result<Vec<Stimulus>, Error> {
    if class >= classes {
        return Err(Error::RecordingClass { path: path.clone(), classes, found: class });
    }
    let stimuli = selection.stimuli(&Recording::read(path)?);
    if stimuli.len() != maps {
        return Err(Error::Maps { path: path.clone(), expected: maps, found: stimuli.len() });
    }
    Ok(stimuli)
}

/// What the trained network takes and gives.
fn format(converted: &ConvertedModel) -> Format {
    Format { shape: converted.input_shape(), classes: converted.classes() }
}
