//! Samples shown to a network one by one, each from a fresh state, and what it decided.
//!
//! Samples run in parallel; what comes out does not depend on the number of threads.

use crate::layers::Layer;
use crate::runner;
use crate::showing::{Trace, Tracer};
use megasim_convert::{ConvertedModel, LabelledSamples};
use megasim_core::control::Control;
use megasim_core::encode::{self, Clock, EncodeBuffers, InputMap, SampleKind, SampleNumbers, SpikeEncoder, current};
use megasim_core::engine::{self, Limits, Mode, Plan, Probes, Progress, Record, Simulation};
use megasim_core::network::{Driver, ModuleId, ModuleKind, Network, NetworkError, NodeId, Polarity, Stimulus, Tick};
use megasim_core::readout::{Decision, ReadOut, ReadoutMonitor};
use ndarray::{Array2, ArrayView2};
use neurobench::Updates;
use recording::Traces;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::time::Duration;

mod classify;
mod course;
mod neurobench;
mod online;
mod recording;
mod sample_run;

pub use classify::{
    Accuracies, Agreements, ByMode, Classification, ClassificationFigures, ClassifyOptions, DecisionFigures, Modes,
    PerSample, SampleFigures, Saved, Tie, classify, decisions, network_for, setup,
};
pub use course::{Course, course};
pub(crate) use neurobench::passes;
pub use neurobench::{NeuroBench, SynapticOperations, Workload, neurobench};
pub use online::{LayerThresholds, Online, OnlineLayer, OnlineNormalization, ThresholdFigures};
pub use recording::{INPUT, LayerRecording, Recording, RecordingError};
pub use sample_run::{SampleRun, sample_run};

/// What is the same for all samples.
#[derive(Debug, Clone, Copy)]
pub struct Setup<'a> {
    /// The network.
    pub network: &'a Network,
    /// Its input.
    pub layout: &'a InputMap,
    /// Its output.
    pub output: NodeId,
    /// Classes of the output.
    pub classes: usize,
    /// What the numbers of a sample are.
    pub kind: SampleKind,
    /// How values become spikes. Currents are one set of numbers per sample, so frames have none.
    pub code: &'a dyn SpikeEncoder,
    /// How long each sample is shown.
    pub clock: Clock,
    /// How a class is decided, and when a run stops.
    pub read_out: ReadOut,
    /// Where a run is stopped.
    pub limits: Limits,
    /// Whether a sample that stopped early is run again to its end, to count the operations that stopping saved.
    pub savings: bool,
    /// How thresholds change during a run, if they do.
    pub online: Option<Online<'a>>,
}

impl<'a> Setup<'a> {
    /// Shows samples to a converted network for the time of `clock`; most spikes decide, at the end.
    pub fn new(
        converted: &'a ConvertedModel,
        samples: &LabelledSamples,
        code: &'a dyn SpikeEncoder,
        clock: Clock,
    ) -> Self {
        Self {
            network: converted.network(),
            layout: converted.layout(),
            output: converted.output(),
            classes: converted.classes(),
            kind: samples.kind(),
            code,
            clock,
            read_out: ReadOut::default(),
            limits: Limits::of_samples(),
            savings: false,
            online: None,
        }
    }
}

/// What became of one sample in one mode.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// What was decided.
    pub decision: Decision,
    /// Where the run stopped early and [`Setup::savings`] asks for it: operations of the whole run.
    pub whole_operations: Option<u64>,
    /// Spikes of each class at the output, those of negative sign subtracted.
    pub counts: Vec<i64>,
    /// Spikes of the inputs.
    pub input_spikes: u64,
    /// Spikes of all neurons and of maximum pooling; those of inputs, clocks and flattening do not count.
    pub spikes: u64,
    /// Weights added to potentials.
    pub synaptic_operations: u64,
    /// Processor time of encoding and run.
    pub cpu_time: Duration,
    /// With online normalisation, by layer: the threshold at the end.
    pub thresholds: Vec<i32>,
}

impl Outcome {
    /// Milliseconds up to the decision; a run that does not stop decides at its end.
    pub fn decision_ms(&self, clock: Clock) -> f64 {
        match self.decision.stopped {
            Some(tick) => tick as f64 / f64::from(clock.ticks_per_ms),
            None => f64::from(clock.duration),
        }
    }
}

/// Why samples could not be classified.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The network cannot be run.
    #[error(transparent)]
    Plan(engine::Error),
    /// A run failed.
    #[error("sample {sample}: {source}")]
    Run {
        /// Its number in the data set.
        sample: u64,
        /// What happened.
        source: engine::Error,
    },
    /// A sample cannot be put into the network.
    #[error("sample {sample}: {source}")]
    Encode {
        /// Its number in the data set.
        sample: u64,
        /// What is wrong.
        source: encode::Error,
    },
    /// Samples that do not fit the input.
    #[error(transparent)]
    Samples(encode::Error),
    /// The output cannot gather potentials.
    #[error(transparent)]
    Accumulating(NetworkError),
    /// The work was cancelled before the first samples were done.
    #[error("stopped before the first samples were done")]
    Cancelled,
    /// Frames as currents.
    #[error("expected a code that makes spikes, as samples are sequences of frames, found currents")]
    FramesAsCurrents,
    /// A network that online normalisation makes no sense for.
    #[error("online normalisation: {0}")]
    Online(String),
    /// Currents through maximum pooling.
    #[error("expected currents that reach weights, found maximum pooling of the input")]
    PooledCurrents,
}

/// Classifies samples, `(samples, numbers)`, or sequences of frames, `(samples, frames * numbers)`, as [`Setup::kind`]
/// states; `numbers` are theirs in the data set. Where `control` cancels, the samples up to the first one that did not
/// run come out.
///
/// # Errors
/// Where samples do not fit, or where the engine stops; of several the one with the lowest number.
pub fn outcomes(
    setup: &Setup,
    samples: ArrayView2<f32>,
    numbers: &SampleNumbers,
    mode: Mode,
    control: &dyn Control,
) -> Result<Vec<Outcome>, Error> {
    let probes = Probes::of(&[setup.output]);
    let all = look_at(setup, samples, numbers, (mode, &probes, &Watched::Nothing), |_, _, _, _| (), control)?;
    Ok(all.into_iter().map(|(outcome, ())| outcome).collect())
}

/// What is seen of potentials during a run.
enum Watched<'a> {
    Nothing,
    /// Those of some cells at each change, by layer and number.
    Cells {
        layers: &'a [Layer],
        cells: &'a [(usize, usize)],
    },
    /// Those of layers after each millisecond.
    Traces {
        layers: &'a [Layer],
        clock: Clock,
    },
    /// How often those of modules change, in steps of some ticks.
    Updates {
        modules: &'a [ModuleId],
        dt: Tick,
    },
}

/// That which [`Watched`] asks for, of one run.
#[derive(Default)]
struct Seen {
    /// Of each layer, `(milliseconds, neurons)`.
    traces: Vec<Array2<i32>>,
    /// Of each cell.
    cells: Vec<Trace>,
    /// Changes of potentials.
    updates: u64,
}

/// What sees it.
enum Observer<'n> {
    Nothing,
    Cells(Tracer<'n>),
    Traces(Traces),
    Updates(Updates),
}

impl<'n> Observer<'n> {
    fn new(watched: &Watched<'_>, network: &'n Network) -> Self {
        match *watched {
            Watched::Nothing => Self::Nothing,
            Watched::Cells { layers, cells } => Self::Cells(Tracer::new(network, layers, cells)),
            Watched::Traces { layers, clock } => Self::Traces(Traces::new(network, layers, clock)),
            Watched::Updates { modules, dt } => Self::Updates(Updates::new(network, modules, dt)),
        }
    }

    fn look(&mut self, progress: &Progress<'_>) {
        match self {
            Self::Nothing => {}
            Self::Cells(tracer) => tracer.look(progress),
            Self::Traces(traces) => traces.look(progress),
            Self::Updates(updates) => updates.look(progress),
        }
    }

    fn finish(self, simulation: &Simulation<'_>) -> Seen {
        match self {
            Self::Nothing => Seen::default(),
            Self::Cells(tracer) => Seen { cells: tracer.finish(), ..Seen::default() },
            Self::Traces(traces) => Seen { traces: traces.finish(simulation), ..Seen::default() },
            Self::Updates(updates) => Seen { updates: updates.finish(simulation), ..Seen::default() },
        }
    }
}

/// Classifies samples, and looks at what was recorded of each, with the network that ran and traces of potentials.
fn look_at<T: Send + Serialize + DeserializeOwned>(
    setup: &Setup,
    samples: ArrayView2<f32>,
    numbers: &SampleNumbers,
    (mode, probes, watched): (Mode, &Probes, &Watched<'_>),
    look: impl Fn(usize, &Network, (&Outcome, &Record), Seen) -> T + Sync,
    control: &dyn Control,
) -> Result<Vec<(Outcome, T)>, Error> {
    setup.kind.check(setup.layout.numbers(), samples.ncols()).map_err(Error::Samples)?;
    if setup.code.is_current() && setup.kind == SampleKind::Frames {
        return Err(Error::FramesAsCurrents);
    }
    let last = setup.layout.last_tick(setup.network.t_max(), setup.clock);
    let plan_of = |network: &Network| match setup.online {
        Some(online) => online.plan(network, setup.clock),
        None => Plan::new(network),
    };
    let plan = plan_of(setup.network).map_err(Error::Plan)?.with_t_max(last).with_limits(setup.limits);
    let roles = roles(setup.network);
    let stage = match mode {
        Mode::Event => "event",
        Mode::Clocked { .. } => "clocked",
    };
    let runs = runner::run(
        stage,
        0..samples.nrows(),
        control,
        || (Simulation::new(&plan, mode, probes), EncodeBuffers::default()),
        |(simulation, encoder), k| {
            let sample = numbers.number(k);
            let start = thread_time();
            let values = samples.row(k).to_vec();
            let stimuli = encoder.encode(setup.layout, setup.code, setup.kind, &values, sample, setup.clock);
            let stimuli = stimuli.map_err(|source| Error::Encode { sample, source })?;
            let fault = |source| Error::Run { sample, source };
            let showing = ShownSample { setup, roles: &roles, stimuli, start };
            if setup.code.is_current() {
                let network = current::driven(setup.network, setup.layout, &values)
                    .map_err(|source| Error::Encode { sample, source })?;
                let plan = plan_of(&network).map_err(Error::Plan)?.with_t_max(last.max(0)).with_limits(setup.limits);
                let mut simulation = Simulation::new(&plan, mode, probes);
                let (outcome, record, seen) = showing.run(&mut simulation, watched).map_err(fault)?;
                let looked = look(k, &network, (&outcome, &record), seen);
                Ok((outcome, looked))
            } else {
                let (outcome, record, seen) = showing.run(simulation, watched).map_err(fault)?;
                let looked = look(k, setup.network, (&outcome, &record), seen);
                Ok((outcome, looked))
            }
        },
        drop,
    )?;
    Ok(runs.complete())
}

/// What the events of a node count as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Source,
    Spikes,
    Addresses,
}

fn roles(network: &Network) -> Vec<Role> {
    let roles = network.nodes().iter().map(|node| match node.driver {
        Driver::Source(_) => Role::Source,
        Driver::Module(module) => match network.modules()[module.index()].kind {
            ModuleKind::Flatten(_) => Role::Addresses,
            _ => Role::Spikes,
        },
    });
    roles.collect()
}

/// One sample that is shown.
struct ShownSample<'a> {
    setup: &'a Setup<'a>,
    roles: &'a [Role],
    stimuli: &'a [Stimulus],
    /// Processor time before it was encoded.
    start: Duration,
}

impl ShownSample<'_> {
    fn run(
        &self,
        simulation: &mut Simulation<'_>,
        watched: &Watched<'_>,
    ) -> Result<(Outcome, Record, Seen), engine::Error> {
        let Self { setup, roles, stimuli, start } = *self;
        let mut watch = ReadoutMonitor::new(setup.read_out, setup.network, setup.output, setup.classes);
        let mut watching = Observer::new(watched, setup.network);
        let record = if watch.may_stop() || !matches!(watched, Watched::Nothing) {
            simulation.run_until(stimuli, |progress| {
                watching.look(progress);
                watch.look(progress)
            })?
        } else {
            simulation.run(stimuli)?
        };
        let decision = watch.decide(&record, simulation);
        let seen = watching.finish(simulation);
        let thresholds = simulation.thresholds();
        let cpu_time = thread_time().saturating_sub(start);
        // What stopping saved is known only from a run that does not stop.
        let whole_operations = match decision.stopped {
            Some(_) if setup.savings => Some(simulation.run(stimuli)?.summary.synaptic_operations),
            _ => None,
        };
        let events = &record.summary.events;
        let input_spikes = setup.layout.nodes(setup.network).map(|node| events[node.index()]).sum();
        let spikes = events.iter().zip(roles).filter(|(_, role)| **role == Role::Spikes);
        let outcome = Outcome {
            decision,
            counts: counts(&record, setup.output, setup.classes),
            whole_operations,
            input_spikes: if setup.code.is_current() { 0 } else { input_spikes },
            spikes: spikes.map(|(events, _)| events).sum(),
            synaptic_operations: record.summary.synaptic_operations,
            cpu_time,
            thresholds,
        };
        Ok((outcome, record, seen))
    }
}

/// Spikes of each class at the output; those of negative sign are subtracted.
fn counts(record: &Record, output: NodeId, classes: usize) -> Vec<i64> {
    let mut counts = vec![0; classes];
    let Some(log) = &record.nodes[output.index()] else { return counts };
    for (&x, &polarity) in log.x.iter().zip(&log.polarity) {
        if let Some(count) = usize::try_from(x).ok().and_then(|class| counts.get_mut(class)) {
            *count += match polarity {
                Polarity::Positive => 1,
                Polarity::Negative => -1,
                Polarity::Reset | Polarity::Settle => 0,
            };
        }
    }
    counts
}

/// Processor time of this thread, so that threads that wait for a processor do not count as busy.
#[cfg(unix)]
pub fn thread_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Time since the first call, where the system does not say what a thread took.
#[cfg(not(unix))]
pub fn thread_time() -> Duration {
    static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    START.get_or_init(std::time::Instant::now).elapsed()
}

/// Wilson's interval for a share of `hits` in `n`, at 95 %.
///
/// E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22:209 (1927).
///
/// ```
/// let (low, high) = megasim_study::classification::wilson_interval(958, 1000);
/// assert!((low - 0.9437).abs() < 1e-4 && (high - 0.9688).abs() < 1e-4);
/// ```
pub fn wilson_interval(hits: usize, n: usize) -> (f64, f64) {
    if n == 0 {
        return (0.0, 1.0);
    }
    const Z: f64 = 1.959_963_984_540_054;
    let (share, n) = (hits as f64 / n as f64, n as f64);
    let middle = share + Z * Z / (2.0 * n);
    let half = Z * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
    let whole = 1.0 + Z * Z / n;
    ((middle - half) / whole, (middle + half) / whole)
}
