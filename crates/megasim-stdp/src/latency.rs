//! Intensities to spike times by rank.

use super::wave::spike;
use super::{Error, Shape, SpikeWave};
use ndarray::ArrayView3;
use serde::{Deserialize, Serialize};

/// How many bins an image's intensities are spread over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "TimeStepsText", into = "TimeStepsText")]
pub enum TimeSteps {
    /// Bins of equal population.
    Bins(u32),
    /// Every distinct intensity has its own time: the order of intensities without bins.
    Continuous,
}

const LARGEST_TIME_STEPS: u32 = 1 << 20;

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum TimeStepsText {
    Bins(u32),
    Word(String),
}

impl TryFrom<TimeStepsText> for TimeSteps {
    type Error = String;
    fn try_from(text: TimeStepsText) -> Result<Self, String> {
        match text {
            TimeStepsText::Bins(bins) if (1..=LARGEST_TIME_STEPS).contains(&bins) => Ok(Self::Bins(bins)),
            TimeStepsText::Word(word) if word == "continuous" => Ok(Self::Continuous),
            _ => {
                Err(format!("time_steps: expected a number of bins from 1 to {LARGEST_TIME_STEPS}, or \"continuous\""))
            }
        }
    }
}

impl From<TimeSteps> for TimeStepsText {
    fn from(steps: TimeSteps) -> Self {
        match steps {
            TimeSteps::Bins(bins) => Self::Bins(bins),
            TimeSteps::Continuous => Self::Word("continuous".into()),
        }
    }
}

/// What happens to an image with fewer non-zero intensities than bins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TooFew {
    /// An error, as in SpykeTorch.
    Refuse,
    /// One spike a bin while they last; none at all for a blank image.
    OnePerBin,
}

/// Rank-order code: the strongest intensities spike first, each bin holds equally many.
///
/// `n` non-zero intensities over all maps go into `T` bins of `n / T` (rounded down) in order of falling value, ties to
/// the lower flat index (map, row, column); the weakest `n mod T` never spike. Negative values count as non-zero and
/// rank below the zeros, which may then take places in the last bins but emit nothing; a negative value that gets a
/// place is a spike of -1.
///
/// ```
/// use megasim_stdp::Intensity2Latency;
/// let wave = Intensity2Latency::new(2)?.transform(ndarray::array![[[0.1, 0.9, 0.0, 0.5, 0.7]]].view())?;
/// assert_eq!(wave.latencies(), ndarray::array![[[1, 0, 2, 1, 0]]]);
/// # Ok::<(), megasim_stdp::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Intensity2Latency {
    time_steps: TimeSteps,
    too_few: TooFew,
}

impl Intensity2Latency {
    /// SpykeTorch's code with a number of bins; refuses images with too few non-zero intensities.
    ///
    /// # Errors
    /// [`Error::Value`] for no bins, or more than a million.
    pub fn new(number_of_spike_bins: u32) -> Result<Self, Error> {
        if !(1..=LARGEST_TIME_STEPS).contains(&number_of_spike_bins) {
            return Err(Error::Value {
                what: "number of spike bins".into(),
                expected: "1 to 1048576",
                found: number_of_spike_bins.to_string(),
            });
        }
        Ok(Self { time_steps: TimeSteps::Bins(number_of_spike_bins), too_few: TooFew::Refuse })
    }

    /// One time for each distinct intensity.
    pub fn continuous() -> Self {
        Self { time_steps: TimeSteps::Continuous, too_few: TooFew::OnePerBin }
    }

    /// Another answer to images with too few non-zero intensities.
    pub fn too_few(self, too_few: TooFew) -> Self {
        Self { too_few, ..self }
    }

    /// Encodes intensities, axes (map, row, column); each spike carries its intensity.
    ///
    /// # Errors
    /// [`Error::NotFinite`] for NaN and infinities, [`Error::TooFewIntensities`], [`Error::Size`].
    pub fn transform(&self, intensities: ArrayView3<f32>) -> Result<SpikeWave, Error> {
        let (maps, height, width) = intensities.dim();
        let shape = Shape::new(maps, height, width)?;
        let mut negative = false;
        let mut nonzero = 0;
        for ((map, row, column), &found) in intensities.indexed_iter() {
            if !found.is_finite() {
                return Err(Error::NotFinite { map, row, column, found });
            }
            nonzero += usize::from(found != 0.0);
            negative |= found < 0.0;
        }
        // Keys in rank order: falling value, then rising flat index. Zeros only rank where negatives come after them.
        let mut ranked: Vec<u64> = intensities
            .iter()
            .enumerate()
            .filter(|(_, value)| negative || **value != 0.0)
            .map(|(index, &value)| u64::from(!ordered_bits(value)) << 32 | index as u64)
            .collect();
        ranked.sort_unstable();
        let intensity = |key: u64| {
            let index = (key & 0xffff_ffff) as usize;
            let at = (index / (height * width), index / width % height, index % width);
            (at, intensities[at])
        };
        let mut spikes = Vec::with_capacity(nonzero);
        let bins = match self.time_steps {
            TimeSteps::Bins(bins) => {
                let per_bin = match (nonzero / bins as usize, self.too_few) {
                    (0, TooFew::Refuse) => return Err(Error::TooFewIntensities { bins, nonzero }),
                    (per_bin, _) => per_bin.max(1),
                };
                let places = (per_bin * bins as usize).min(if negative { ranked.len() } else { nonzero });
                for (rank, &key) in ranked[..places].iter().enumerate() {
                    let (at, value) = intensity(key);
                    if value != 0.0 {
                        spikes.push(((rank / per_bin) as u32, spike(at, value.into())));
                    }
                }
                bins
            }
            TimeSteps::Continuous => {
                let mut bin = 0;
                let mut last = None;
                for (at, value) in ranked.iter().map(|&key| intensity(key)).filter(|(_, value)| *value != 0.0) {
                    bin += u32::from(last.is_some_and(|last| last != value));
                    last = Some(value);
                    spikes.push((bin, spike(at, value.into())));
                }
                bin + 1
            }
        };
        Ok(SpikeWave::from_spikes(shape, bins, spikes))
    }
}

impl From<TimeSteps> for Intensity2Latency {
    fn from(time_steps: TimeSteps) -> Self {
        Self { time_steps, too_few: TooFew::OnePerBin }
    }
}

/// Bits that order as the values do; both zeros are one.
fn ordered_bits(value: f32) -> u32 {
    let bits = (value + 0.0).to_bits();
    if bits >> 31 == 0 { bits | 1 << 31 } else { !bits }
}
