//! Samples through a converted network, in event mode and clocked mode, next to the trained network.

use super::online::{self, LayerThresholds, Online, OnlineLayer, OnlineNormalization, ThresholdFigures};
use super::{Error, Outcome, Setup, outcomes};
use megasim_convert::{ConvertedModel, LabelledSamples};
use megasim_core::control::Control;
use megasim_core::encode::{Clock, DEFAULT_INPUT_RATE, DEFAULT_TICKS_PER_MS, Regular, SampleNumbers, SpikeEncoder};
use megasim_core::engine::{Limits, Mode};
use megasim_core::network::{Network, Tick};
use megasim_core::readout::{self, ReadOut};
use serde::Serialize;
use std::num::NonZeroU32;

/// The modes that samples run in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Modes {
    /// Event mode.
    Event,
    /// Clocked mode.
    Clocked {
        /// Ticks per step, above 0.
        dt: Tick,
    },
    /// Both, one after the other.
    Both {
        /// Ticks per step of clocked mode, above 0.
        dt: Tick,
    },
}

impl Modes {
    /// Each of them in the order in which they run, with its name.
    pub fn each(self) -> impl Iterator<Item = (&'static str, Mode)> {
        let (event, dt) = match self {
            Self::Event => (true, None),
            Self::Clocked { dt } => (false, Some(dt)),
            Self::Both { dt } => (true, Some(dt)),
        };
        let event = event.then_some(("event", Mode::Event));
        event.into_iter().chain(dt.map(|dt| ("clocked", Mode::Clocked { dt })))
    }
}

/// How samples are shown, and how a class is decided.
///
/// ```
/// use megasim_core::encode::Poisson;
/// use megasim_study::classification::{ClassifyOptions, Modes};
///
/// let options = ClassifyOptions::new()
///     .duration(50)
///     .code(Poisson { input_rate: 1000.0, seed: 7 })
///     .modes(Modes::Event);
/// assert_eq!(options.clock.ticks(), 500);
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct ClassifyOptions {
    /// In which modes; both, with steps of 1 tick, where nothing else is asked for.
    pub modes: Modes,
    /// How values become spikes; regular code at 1000 spikes per second where nothing else is asked for. Recordings are
    /// spikes already.
    pub code: Box<dyn SpikeEncoder>,
    /// How long each sample is shown, and how fine time is; 100 ms of 10 ticks where nothing else is asked for.
    pub clock: Clock,
    /// How a class is decided; none: what suits the output ([`ClassifyOptions::read_out_of`]).
    pub read_out: Option<ReadOut>,
    /// With N: how often the right class is among the first N.
    pub top_k: Option<NonZeroU32>,
    /// Whether samples that stopped early run again to their end, to report the operations that stopping saved.
    pub savings: bool,
    /// Where a run is stopped.
    pub limits: Limits,
    /// Whether thresholds follow the highest rates during a run, and how.
    pub online: Option<OnlineNormalization>,
}

impl Default for ClassifyOptions {
    fn default() -> Self {
        Self {
            modes: Modes::Both { dt: 1 },
            code: Box::new(Regular { input_rate: DEFAULT_INPUT_RATE }),
            clock: Clock { duration: 100, ticks_per_ms: DEFAULT_TICKS_PER_MS },
            read_out: None,
            top_k: None,
            savings: false,
            limits: Limits::of_samples(),
            online: None,
        }
    }
}

impl ClassifyOptions {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// In which modes samples run.
    pub fn modes(self, modes: Modes) -> Self {
        Self { modes, ..self }
    }

    /// How values become spikes.
    pub fn code(self, code: impl SpikeEncoder + 'static) -> Self {
        Self { code: Box::new(code), ..self }
    }

    /// How long each sample is shown, in milliseconds.
    pub fn duration(self, duration: u32) -> Self {
        Self { clock: Clock { duration, ..self.clock }, ..self }
    }

    /// Ticks per millisecond.
    pub fn ticks_per_ms(self, ticks_per_ms: u32) -> Self {
        Self { clock: Clock { ticks_per_ms, ..self.clock }, ..self }
    }

    /// How a class is decided, and when a run stops.
    pub fn read_out(self, read_out: ReadOut) -> Self {
        Self { read_out: Some(read_out), ..self }
    }

    /// Reports how often the right class is among the first `k`.
    pub fn top_k(self, k: NonZeroU32) -> Self {
        Self { top_k: Some(k), ..self }
    }

    /// Runs samples that stopped early again to their end, to report the operations that stopping saved.
    pub fn savings(self, savings: bool) -> Self {
        Self { savings, ..self }
    }

    /// Where a run is stopped.
    pub fn limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Thresholds follow the highest rates of their layers during each run.
    pub fn online(self, online: OnlineNormalization) -> Self {
        Self { online: Some(online), ..self }
    }

    /// How a class is decided on the output of a network: what was asked for, or most spikes, count and rest of signed
    /// neurons, potentials of an output that never spikes.
    pub fn read_out_of(&self, converted: &ConvertedModel) -> ReadOut {
        self.read_out.unwrap_or_else(|| match converted.deciding_spikes() {
            None => ReadOut::MembranePotential { margin: None },
            Some((output, _)) if readout::is_signed(converted.network(), output) => ReadOut::CountAndRest,
            Some(_) => ReadOut::default(),
        })
    }
}

/// What samples were classified as: one by one in each mode, with the classes of the data set and of the trained
/// network.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Classification {
    /// Numbers of the samples in the data set.
    pub numbers: SampleNumbers,
    /// The class of each sample, where it is known; after a cancellation of fewer samples than were given.
    pub labels: Option<Vec<usize>>,
    /// The class that the trained network gives to each sample; none where there is no trained network.
    pub analog: Option<Vec<usize>>,
    /// Event mode, where it ran.
    pub event: Option<Vec<Outcome>>,
    /// Clocked mode, where it ran.
    pub clocked: Option<Vec<Outcome>>,
    /// How long samples were shown.
    pub clock: Clock,
    /// How classes were decided.
    pub read_out: ReadOut,
    /// Of how many first classes [`Classification::top_k`] tells.
    pub top_k: Option<NonZeroU32>,
    /// Whether saved operations are known.
    pub savings: bool,
    /// With online normalisation: the layers whose thresholds changed, in the order of [`Outcome::thresholds`].
    pub online: Vec<OnlineLayer>,
}

/// Classifies samples. Where `control` cancels, both modes are about the samples that all of them finished, and a mode
/// whose turn did not come is missing.
///
/// ```
/// use megasim_ann::import::Model;
/// use megasim_convert::{Convert, ConvertOptions, LabelledSamples};
/// use megasim_data::Dataset;
/// use megasim_study::classification::{ClassifyOptions, classify};
/// # std::env::set_current_dir("../..")?;
///
/// let data = Dataset::open("examples/digits".as_ref())?;
/// let converted = Model::open("examples/digits/digits_cnn.keras")?.convert(&data, &ConvertOptions::new())?;
/// let samples = LabelledSamples::test(&converted, &data, 0, Some(20))?;
/// let found = classify(&converted, &samples, &ClassifyOptions::new().duration(50), &())?;
/// assert_eq!(found.len(), 20);
/// assert!(found.figures().accuracy.event > Some(0.9));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Where samples do not fit the code, where the output does not fit the read-out, where the engine stops;
/// [`Error::Cancelled`] where no sample was done.
pub fn classify(
    converted: &ConvertedModel,
    samples: &LabelledSamples,
    options: &ClassifyOptions,
    control: &dyn Control,
) -> Result<Classification, Error> {
    let network = network_for(converted, options)?;
    let setup = setup(converted, &network, samples, options);
    let run = |name: &str, mode: Mode| {
        control.start(name, samples.len());
        outcomes(&setup, samples.values(), samples.numbers(), mode, control)
    };
    let (mut event, mut clocked) = (None, None);
    for (name, mode) in options.modes.each() {
        let found = Some(run(name, mode)?);
        match mode {
            Mode::Event => event = found,
            Mode::Clocked { .. } => clocked = found,
        }
    }
    if control.is_cancelled() && event.is_some() {
        clocked = clocked.filter(|outcomes| !outcomes.is_empty());
    }
    let n = [&event, &clocked].into_iter().flatten().map(Vec::len).min().unwrap_or(0);
    if n == 0 {
        return Err(Error::Cancelled);
    }
    [&mut event, &mut clocked].into_iter().flatten().for_each(|outcomes| outcomes.truncate(n));
    Ok(Classification {
        numbers: samples.numbers().clone(),
        labels: samples.labels().map(|labels| labels[..n].to_vec()),
        analog: samples.analog().map(|analog| analog[..n].to_vec()),
        event,
        clocked,
        clock: options.clock,
        read_out: setup.read_out,
        top_k: options.top_k,
        savings: options.savings,
        online: options.online.map_or(Vec::new(), |_| online::online_layers(converted.manifest(), &network)),
    })
}

/// The network that decides as it is asked to: that of the conversion, or one whose output gathers potentials.
///
/// # Errors
/// If the output's module may not gather potentials; [`Error::Online`] for networks that online normalisation makes no
/// sense for.
pub fn network_for(converted: &ConvertedModel, options: &ClassifyOptions) -> Result<Network, Error> {
    let network = converted.network().clone();
    let network = match options.read_out_of(converted) {
        ReadOut::MembranePotential { .. } => {
            readout::accumulating(network, converted.output()).map_err(Error::Accumulating)?
        }
        _ => network,
    };
    if options.online.is_some() {
        online::check(converted, &network)?;
    }
    Ok(network)
}

/// What each sample needs, of a network from [`network_for`].
pub fn setup<'a>(
    converted: &'a ConvertedModel,
    network: &'a Network,
    samples: &'a LabelledSamples,
    options: &'a ClassifyOptions,
) -> Setup<'a> {
    let code = samples.recorded().map_or(options.code.as_ref(), |recorded| recorded as &dyn SpikeEncoder);
    let read_out = options.read_out_of(converted);
    let (limits, savings) = (options.limits, options.savings);
    let online = options.online.map(|rule| Online { rule, manifest: converted.manifest() });
    Setup { network, read_out, limits, savings, online, ..Setup::new(converted, samples, code, options.clock) }
}

/// A value for each mode that ran.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ByMode<T> {
    /// In event mode.
    pub event: Option<T>,
    /// In clocked mode.
    pub clocked: Option<T>,
}

/// Shares of right classes; none where the classes of the samples are unknown.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Accuracies {
    /// Of the trained network; none where there is none.
    pub ann: Option<f64>,
    /// In event mode.
    pub event: Option<f64>,
    /// In clocked mode.
    pub clocked: Option<f64>,
}

/// Shares of samples on which two give the same class.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Agreements {
    /// Event mode and clocked mode.
    pub event_clocked: Option<f64>,
    /// Event mode and the trained network.
    pub event_ann: Option<f64>,
    /// Clocked mode and the trained network.
    pub clocked_ann: Option<f64>,
}

/// Means per sample.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct PerSample {
    /// Spikes of all neurons and of maximum pooling.
    pub spikes: ByMode<f64>,
    /// Weights added to potentials.
    pub synaptic_operations: ByMode<f64>,
}

/// Shares that stopping early saved.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Saved {
    /// Of the time.
    pub time: f64,
    /// Of the operations, where they are known.
    pub operations: Option<f64>,
}

/// A sample whose best classes have the same score.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Tie {
    /// Its number in the data set.
    pub sample: u64,
    /// The classes.
    pub classes: Vec<usize>,
}

/// What was decided on a sample, as `megasim classify --per-sample` writes it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct SampleFigures {
    /// Its number in the data set.
    pub sample: u64,
    /// Its class, where it is known.
    pub label: Option<usize>,
    /// The class that the trained network gives it; none where there is no trained network.
    pub ann: Option<usize>,
    /// In event mode, where it ran.
    pub event: Option<DecisionFigures>,
    /// In clocked mode, where it ran.
    pub clocked: Option<DecisionFigures>,
}

/// What one mode decided on a sample.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct DecisionFigures {
    /// The class; none where none was decided on.
    pub class: Option<usize>,
    /// What each class has: spikes, or potentials where these decide.
    pub scores: Vec<i64>,
    /// Milliseconds up to the decision.
    pub decision_ms: f64,
    /// Spikes of all neurons and of maximum pooling.
    pub spikes: u64,
    /// Weights added to potentials.
    pub synaptic_operations: u64,
}

/// The figures of a [`Classification`], as `megasim classify --json` writes them.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ClassificationFigures {
    /// Samples that were classified.
    pub samples: usize,
    /// Shares of right classes.
    pub accuracy: Accuracies,
    /// Shares of samples with the same class.
    pub agreement: Agreements,
    /// Means per sample.
    pub per_sample: PerSample,
    /// Processor time of a sample in seconds, the mean.
    pub seconds: ByMode<f64>,
    /// Milliseconds up to a decision, the mean.
    pub decision_ms: ByMode<f64>,
    /// What stopping early saved; none where runs do not stop.
    pub saved: ByMode<Option<Saved>>,
    /// How often the right class is among the first N, where that was asked for.
    pub top_k: ByMode<Option<f64>>,
    /// Samples whose best classes have the same score.
    pub ties: ByMode<Vec<Tie>>,
    /// What online normalisation did to each layer, where that was asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub thresholds: Vec<LayerThresholds>,
}

impl Classification {
    /// How many samples were classified.
    pub fn len(&self) -> usize {
        self.event.as_ref().or(self.clocked.as_ref()).map_or(0, Vec::len)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many of the decisions are right, where the classes are known.
    pub fn right(&self, decisions: &[Option<usize>]) -> Option<usize> {
        let labels = self.labels.as_ref()?;
        Some(decisions.iter().zip(labels).filter(|(decision, label)| **decision == Some(**label)).count())
    }

    /// The decisions of the trained network.
    pub fn analog_decisions(&self) -> Option<Vec<Option<usize>>> {
        Some(self.analog.as_ref()?.iter().map(|&class| Some(class)).collect())
    }

    /// Share of samples on which two agree; none where one did not run.
    pub fn agreement(&self, one: Option<&[Option<usize>]>, other: Option<&[Option<usize>]>) -> Option<f64> {
        let same = one?.iter().zip(other?).filter(|(a, b)| a == b).count();
        Some(same as f64 / self.len() as f64)
    }

    /// Milliseconds up to a decision, the mean; a run that does not stop decides at its end.
    pub fn decision_ms(&self, outcomes: &[Outcome]) -> f64 {
        outcomes.iter().map(|outcome| outcome.decision_ms(self.clock)).sum::<f64>() / outcomes.len() as f64
    }

    /// Shares of time, and where they are known of operations, that stopping saved; none where runs do not stop early.
    pub fn saved(&self, outcomes: &[Outcome]) -> Option<Saved> {
        if !self.read_out.stops_early() {
            return None;
        }
        let done: u64 = outcomes.iter().map(|outcome| outcome.synaptic_operations).sum();
        let whole = outcomes.iter().map(|outcome| outcome.whole_operations.unwrap_or(outcome.synaptic_operations));
        let operations = self.savings.then(|| 1.0 - done as f64 / whole.sum::<u64>().max(1) as f64);
        Some(Saved { time: 1.0 - self.decision_ms(outcomes) / f64::from(self.clock.duration), operations })
    }

    /// How often the right class is among the first N, where that was asked for.
    pub fn top_k(&self, outcomes: &[Outcome]) -> Option<f64> {
        let k = self.top_k?.get() as usize;
        let right = outcomes
            .iter()
            .zip(self.labels.as_ref()?)
            .filter(|(it, label)| it.decision.ranking.iter().take(k).any(|class| class == *label));
        Some(right.count() as f64 / outcomes.len() as f64)
    }

    /// The samples whose best classes have the same score.
    pub fn ties(&self, outcomes: &[Outcome]) -> Vec<Tie> {
        let tied = outcomes.iter().enumerate().filter(|(_, outcome)| outcome.decision.tied.len() > 1);
        tied.map(|(k, outcome)| Tie { sample: self.numbers.number(k), classes: outcome.decision.tied.clone() })
            .collect()
    }

    /// All figures.
    pub fn figures(&self) -> ClassificationFigures {
        let n = self.len() as f64;
        let (event, clocked) = (decisions(&self.event), decisions(&self.clocked));
        let (event, clocked, analog) = (event.as_deref(), clocked.as_deref(), self.analog_decisions());
        let accuracy = |decisions: &[Option<usize>]| self.right(decisions).map(|right| right as f64 / n);
        let mean = |of: fn(&Outcome) -> f64| self.by_mode(|outcomes| outcomes.iter().map(of).sum::<f64>() / n);
        ClassificationFigures {
            samples: self.len(),
            accuracy: Accuracies {
                ann: analog.as_deref().and_then(accuracy),
                event: event.and_then(accuracy),
                clocked: clocked.and_then(accuracy),
            },
            agreement: Agreements {
                event_clocked: self.agreement(event, clocked),
                event_ann: self.agreement(event, analog.as_deref()),
                clocked_ann: self.agreement(clocked, analog.as_deref()),
            },
            per_sample: PerSample {
                spikes: mean(|outcome| outcome.spikes as f64),
                synaptic_operations: mean(|outcome| outcome.synaptic_operations as f64),
            },
            seconds: mean(|outcome| outcome.cpu_time.as_secs_f64()),
            decision_ms: self.by_mode(|outcomes| self.decision_ms(outcomes)),
            saved: self.by_mode(|outcomes| self.saved(outcomes)),
            top_k: self.by_mode(|outcomes| self.top_k(outcomes)),
            ties: self.by_mode(|outcomes| self.ties(outcomes)),
            thresholds: self.thresholds(),
        }
    }

    /// What online normalisation did to each layer whose threshold changed; nothing without it.
    pub fn thresholds(&self) -> Vec<LayerThresholds> {
        let of = |outcomes: &Option<Vec<Outcome>>, k| ThresholdFigures::new(outcomes.as_deref()?, k);
        let layers = self.online.iter().enumerate().map(|(k, OnlineLayer { name, threshold })| LayerThresholds {
            layer: name.clone(),
            of_the_files: *threshold,
            at_the_end: ByMode { event: of(&self.event, k), clocked: of(&self.clocked, k) },
        });
        layers.collect()
    }

    /// What was decided on each sample, in order.
    pub fn per_sample(&self) -> Vec<SampleFigures> {
        let of = |outcomes: &Option<Vec<Outcome>>, k: usize| {
            outcomes.as_ref().map(|outcomes| DecisionFigures {
                class: outcomes[k].decision.class(),
                scores: outcomes[k].decision.scores.clone(),
                decision_ms: outcomes[k].decision_ms(self.clock),
                spikes: outcomes[k].spikes,
                synaptic_operations: outcomes[k].synaptic_operations,
            })
        };
        let samples = (0..self.len()).map(|k| SampleFigures {
            sample: self.numbers.number(k),
            label: self.labels.as_ref().map(|labels| labels[k]),
            ann: self.analog.as_ref().map(|analog| analog[k]),
            event: of(&self.event, k),
            clocked: of(&self.clocked, k),
        });
        samples.collect()
    }

    fn by_mode<T>(&self, of: impl Fn(&[Outcome]) -> T) -> ByMode<T> {
        ByMode { event: self.event.as_deref().map(&of), clocked: self.clocked.as_deref().map(&of) }
    }
}

/// The decisions of a mode that ran.
pub fn decisions(outcomes: &Option<Vec<Outcome>>) -> Option<Vec<Option<usize>>> {
    outcomes.as_ref().map(|outcomes| outcomes.iter().map(|outcome| outcome.decision.class()).collect())
}
