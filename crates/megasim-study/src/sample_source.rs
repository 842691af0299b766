//! What a study shows a network: images that a code makes spikes of, or the stimuli next to a schematic, cut at their
//! resets.

use megasim_core::encode::{self, Clock, InputMap, SampleKind, SampleNumbers, SpikeEncoder};
use megasim_core::network::{Polarity, Stimulus, Tick};
use megasim_data::SampleList;
use ndarray::ArrayView2;

/// Samples, each of which is run from a fresh state.
#[derive(Debug)]
pub enum SampleSource<'a> {
    /// Images.
    Images {
        /// Their numbers, `(samples, numbers)`.
        values: ArrayView2<'a, f32>,
        /// What the numbers of a sample are.
        kind: SampleKind,
        /// Their numbers in the data set.
        numbers: &'a SampleNumbers,
        /// Where the numbers go.
        layout: &'a InputMap,
        /// How they become spikes.
        code: &'a dyn SpikeEncoder,
        /// For how long.
        clock: Clock,
    },
    /// Segments of stimuli.
    Segments(Segments),
}

impl SampleSource<'_> {
    /// How many samples there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Images { values, .. } => values.nrows(),
            Self::Segments(segments) => segments.samples.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of a sample in the data set.
    pub fn number(&self, sample: usize) -> u64 {
        match self {
            Self::Images { numbers, .. } => numbers.number(sample),
            Self::Segments(segments) => segments.numbers.number(sample),
        }
    }

    /// The stimuli of a sample, one a source, from tick 0 on.
    ///
    /// # Errors
    /// If an image does not have the numbers of the input.
    pub fn stimuli(&self, sample: usize) -> Result<Vec<Stimulus>, encode::Error> {
        match self {
            Self::Images { values, kind, layout, code, clock, .. } => {
                let values = values.row(sample).to_vec();
                layout.stimuli(*code, *kind, &values, self.number(sample), *clock)
            }
            Self::Segments(segments) => Ok(segments.samples[sample].clone()),
        }
    }

    /// The last tick of a run, as [`InputMap::last_tick`] says; segments have settle events in their stimuli.
    pub fn last_tick(&self, t_max: Tick) -> Tick {
        match self {
            Self::Images { layout, clock, .. } => layout.last_tick(t_max, *clock),
            Self::Segments(segments) => {
                let mut stimuli = segments.samples.iter().flatten();
                let settles = stimuli.any(|stimulus| stimulus.polarity().contains(&Polarity::Settle));
                if settles { t_max } else { (segments.ticks - 1).max(0) }
            }
        }
    }

    /// How long the longest sample is, in ticks.
    pub fn ticks(&self) -> Tick {
        match self {
            Self::Images { clock, .. } => clock.ticks(),
            Self::Segments(segments) => segments.ticks,
        }
    }
}

/// Stimuli cut at their resets.
///
/// A reset ends a sample; the tick in which it comes is tick 0 of the next one. The source with the most resets says
/// where they are. What comes after the last reset is a sample if there are events in it.
///
/// ```
/// use megasim_core::network::{Polarity, Stimulus, StimulusEvent};
/// use megasim_study::sample_source::Segments;
/// let spike = |t_pre| StimulusEvent { t_pre, x: 0, y: 0, polarity: Polarity::Positive };
/// let input = Stimulus::from_events([spike(3), spike(14), spike(25)]);
/// let reset = Stimulus::from_events([StimulusEvent::reset(10), StimulusEvent::reset(20)]);
/// let segments = Segments::cut(&[input, reset], 30);
/// assert_eq!(segments.samples.len(), 3);
/// assert_eq!(segments.samples[1][0].t_pre(), [4]);
/// assert_eq!(segments.ticks, 10);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segments {
    /// The stimuli of each sample, one a source.
    pub samples: Vec<Vec<Stimulus>>,
    /// How long the longest sample is, in ticks.
    pub ticks: Tick,
    /// Samples before these that are left out.
    pub numbers: SampleNumbers,
}

impl Segments {
    /// Cuts stimuli that are run up to and including `t_max`.
    pub fn cut(stimuli: &[Stimulus], t_max: Tick) -> Self {
        let resets = |stimulus: &Stimulus| -> Vec<Tick> {
            let events = stimulus.t_pre().iter().zip(stimulus.polarity());
            let mut ticks: Vec<Tick> =
                events.filter(|&(&t, &polarity)| polarity == Polarity::Reset && t <= t_max).map(|(&t, _)| t).collect();
            ticks.dedup();
            ticks
        };
        let resets = stimuli.iter().map(resets).max_by_key(Vec::len).unwrap_or_default();
        // What is run without an end ends with its last event.
        let last = stimuli.iter().filter_map(|stimulus| stimulus.t_pre().last()).max().copied().unwrap_or(0).min(t_max);
        let starts: Vec<Tick> = std::iter::once(0).chain(resets.iter().copied()).collect();
        let ends = resets.iter().copied().chain([last.saturating_add(1)]);
        let mut samples = Vec::new();
        let mut ticks = 1;
        let segments = starts.len();
        for (k, (start, end)) in starts.into_iter().zip(ends).enumerate() {
            let segment: Vec<Stimulus> = stimuli
                .iter()
                .map(|stimulus| {
                    let times = stimulus.t_pre();
                    let range = times.partition_point(|&t| t < start)..times.partition_point(|&t| t < end);
                    let kept = || range.clone().filter(|&k| stimulus.polarity()[k] != Polarity::Reset);
                    let columns = (
                        kept().map(|k| times[k] - start).collect(),
                        kept().map(|k| stimulus.x()[k]).collect(),
                        kept().map(|k| stimulus.y()[k]).collect(),
                        kept().map(|k| stimulus.polarity()[k]).collect(),
                    );
                    let values = kept().filter_map(|k| stimulus.value().get(k).copied()).collect();
                    Stimulus::from_valued_columns(columns, values).0
                })
                .collect();
            let outer = k == 0 || k + 1 == segments;
            if outer && segment.iter().all(Stimulus::is_empty) {
                continue;
            }
            ticks = ticks.max(end - start);
            samples.push(segment);
        }
        Self { samples, ticks, numbers: SampleNumbers::default() }
    }

    /// Leaves out the first `skip` samples, and takes at most `samples` of the others.
    pub fn select(mut self, skip: usize, samples: Option<usize>) -> Self {
        let skip = skip.min(self.samples.len());
        self.samples.drain(..skip);
        self.samples.truncate(samples.unwrap_or(usize::MAX));
        self.numbers = (skip as u64).into();
        self
    }

    /// Takes the samples of a list that are there.
    pub fn listed(self, list: &SampleList) -> Self {
        let wanted = list.numbers().iter().filter(|&&number| number < self.samples.len());
        let wanted: Vec<usize> = wanted.copied().collect();
        let samples = wanted.iter().map(|&number| self.samples[number].clone()).collect();
        let numbers = wanted.iter().map(|&number| number as u64).collect::<Vec<_>>();
        Self { samples, numbers: SampleNumbers::listed(numbers), ..self }
    }
}
