//! A parameter over a range: which values it takes, and what came out at each, with the work shared where the result is provably the same.

use super::compare::Accuracy;
use super::layers::FanOut;
use crate::encode::{Clock, Code, Layout};
use crate::engine::{self, Mode, Plan, Probes, Record, Simulation};
use crate::network::{Driver, EventLog, ModuleKind, Network, NodeId, Polarity, Stimulus, Tick};
use crate::readout;
use ndarray::ArrayView2;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Most values of a range.
pub const MOST_VALUES: usize = 100_000;

/// The values of a parameter: `1,2,5` a list, `10..100:4` four equally spaced, `log:1..1000:4` four equally spaced in their
/// logarithms, `random:0..1:5` five drawn evenly, `random-log:1..1000:5` five whose logarithms are.
///
/// ```
/// use megasim::study::sweep::values;
/// assert_eq!(values("10..40:4", 0)?, ["10", "20", "30", "40"]);
/// assert_eq!(values("log:1..1000:4", 0)?, ["1", "10", "100", "1000"]);
/// assert_eq!(values("regular,poisson", 0)?, ["regular", "poisson"]);
/// assert_eq!(values("random:0..1:3", 7)?, values("random:0..1:3", 7)?);
/// # Ok::<(), String>(())
/// ```
///
/// # Errors
/// What is wrong with the text.
pub fn values(text: &str, seed: u64) -> Result<Vec<String>, String> {
    let (kind, range) = match text.split_once(':') {
        Some((kind @ ("log" | "random" | "random-log" | "linear"), rest)) => (kind, rest),
        _ => ("linear", text),
    };
    let Some((from, rest)) = range.split_once("..") else {
        if kind != "linear" || text.is_empty() {
            return Err(format!("expected {kind}:FROM..TO:COUNT, found `{text}`"));
        }
        return Ok(text.split(',').map(|value| value.trim().to_string()).collect());
    };
    let wrong = || format!("expected FROM..TO:COUNT, found `{range}`");
    let (to, count) = rest.split_once(':').ok_or_else(wrong)?;
    let number = |text: &str| text.trim().parse::<f64>().ok().filter(|value| value.is_finite()).ok_or_else(wrong);
    let (from, to) = (number(from)?, number(to)?);
    let count: usize = count.trim().parse().ok().filter(|n| (1..=MOST_VALUES).contains(n)).ok_or_else(wrong)?;
    let logarithmic = kind.ends_with("log");
    if logarithmic && (from <= 0.0 || to <= 0.0) {
        return Err(format!("expected numbers above 0 for a logarithmic range, found `{range}`"));
    }
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let values = (0..count).map(|k| {
        let share = match kind {
            "random" | "random-log" => random.random::<f64>(),
            _ if count == 1 => 0.0,
            _ => k as f64 / (count - 1) as f64,
        };
        let value = if logarithmic { (from.ln() + share * (to / from).ln()).exp() } else { from + share * (to - from) };
        // Twelve digits: what a logarithm leaves of 100 is 100.
        let rounded: f64 = format!("{value:.11e}").parse().unwrap_or(value);
        rounded.to_string()
    });
    Ok(values.collect())
}

/// What a point needs.
#[derive(Debug, Clone, Copy)]
pub struct Setup<'a> {
    /// The network.
    pub network: &'a Network,
    /// Its input.
    pub layout: &'a Layout,
    /// Its output.
    pub output: NodeId,
    /// Classes of the output.
    pub classes: usize,
    /// How values become spikes.
    pub code: &'a dyn Code,
    /// Ticks of a millisecond.
    pub ticks_per_ms: u32,
    /// Ticks of a clocked step.
    pub dt: Tick,
}

/// Samples with what is known of them.
#[derive(Debug, Clone, Copy)]
pub struct Samples<'a> {
    /// `(samples, numbers)`.
    pub values: ArrayView2<'a, f32>,
    /// The right class of each.
    pub labels: &'a [usize],
    /// The class that the analog network gives each.
    pub analog: &'a [usize],
    /// Number of the first one in the data set.
    pub first: u64,
}

/// What came out of one mode.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ModeFigures {
    /// Share of right decisions.
    pub accuracy: Accuracy,
    /// Share of samples that are decided as the analog network does.
    pub as_analog: f64,
    /// Spikes of all neurons and of maximum pooling, a sample.
    pub spikes: f64,
    /// Weights added to potentials, a sample.
    pub operations: f64,
}

/// What came out of a point.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Samples shown.
    pub samples: usize,
    /// Event mode.
    pub event: ModeFigures,
    /// Clocked mode.
    pub clocked: ModeFigures,
    /// Share of samples on which both decide alike.
    pub agreement: f64,
}

/// Why a point could not be measured.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The network cannot be run.
    #[error(transparent)]
    Plan(#[from] engine::Error),
    /// A run failed.
    #[error("sample {sample}: {source}")]
    Run {
        /// Its number in the data set.
        sample: u64,
        /// What happened.
        source: engine::Error,
    },
    /// A sample of another size.
    #[error("expected {expected} numbers a sample, as the network has inputs, found {found}")]
    Shape {
        /// Addresses of the input.
        expected: usize,
        /// Numbers of a sample.
        found: usize,
    },
}

/// One sample in one mode up to one time.
#[derive(Debug, Clone, Copy, Default)]
struct Outcome {
    decision: Option<usize>,
    spikes: u64,
    operations: u64,
}

/// Runs samples for several durations, in milliseconds; figures in their order, or none if `stop` said so.
///
/// The longest duration is run once. A shorter one is what came out of it up to then, if its stimuli are those of the longest one up to then
/// (which is compared, sample by sample) and, clocked, if it ends with a step: nothing that comes later acts back. Else it is run by itself.
///
/// # Errors
/// If samples do not fit, or if a run fails.
pub fn measure(
    setup: &Setup,
    samples: &Samples,
    durations: &[u32],
    done: impl Fn() + Sync,
    stop: impl Fn() -> bool + Sync,
) -> Result<Option<Vec<Figures>>, Error> {
    let (expected, found) = (setup.layout.numbers(), samples.values.ncols());
    if expected != found {
        return Err(Error::Shape { expected, found });
    }
    let longest = durations.iter().copied().max().unwrap_or(0);
    let clock = |duration: u32| Clock { duration, ticks_per_ms: setup.ticks_per_ms };
    let plan = Plan::new(setup.network)?.with_t_max((clock(longest).ticks() - 1).max(0));
    let modes = [Mode::Event, Mode::Clocked { dt: setup.dt }];
    let probes = Probes::all(setup.network);
    let fan = FanOut::new(setup.network);
    let spiking = spiking(setup.network);
    let all: Vec<Result<Option<Vec<[Outcome; 2]>>, Error>> = (0..samples.values.nrows())
        .into_par_iter()
        .map_init(
            || modes.map(|mode| Simulation::new(&plan, mode, &probes)),
            |simulations, k| {
                if stop() {
                    return Ok(None);
                }
                let sample = samples.first + k as u64;
                let values = samples.values.row(k).to_vec();
                let stimuli = |duration| setup.layout.stimuli(setup.code, &values, sample, clock(duration));
                let whole = stimuli(longest);
                let mut run = |mode: usize, stimuli: &[Stimulus]| {
                    simulations[mode].run(stimuli).map_err(|source| Error::Run { sample, source })
                };
                let records = [run(0, &whole)?, run(1, &whole)?];
                let mut outcomes = Vec::with_capacity(durations.len());
                for &duration in durations {
                    let ticks = clock(duration).ticks();
                    let own = if duration == longest { None } else { Some(stimuli(duration)) };
                    let same = own.as_ref().is_none_or(|own| is_start(own, &whole, ticks));
                    let mut of = [Outcome::default(); 2];
                    for mode in 0..2 {
                        let ends_with_a_step = mode == 0 || ticks % setup.dt == 0 || duration == longest;
                        let record = match &own {
                            Some(own) if !same || !ends_with_a_step => &run(mode, own)?,
                            _ => &records[mode],
                        };
                        of[mode] = outcome(setup, &fan, &spiking, record, ticks);
                    }
                    outcomes.push(of);
                }
                done();
                Ok(Some(outcomes))
            },
        )
        .collect();
    let mut by_sample = Vec::with_capacity(all.len());
    for one in all {
        match one? {
            Some(outcomes) => by_sample.push(outcomes),
            None => return Ok(None),
        }
    }
    Ok(Some((0..durations.len()).map(|k| figures(samples, by_sample.iter().map(|of| of[k]))).collect()))
}

/// Whether stimuli are what others are before a tick.
fn is_start(short: &[Stimulus], long: &[Stimulus], end: Tick) -> bool {
    short.iter().zip(long).all(|(short, long)| {
        let n = long.t_pre().partition_point(|&t| t < end);
        short.len() == n
            && short.t_pre() == &long.t_pre()[..n]
            && short.x() == &long.x()[..n]
            && short.y() == &long.y()[..n]
            && short.polarity() == &long.polarity()[..n]
    })
}

/// Whether the events of each node count as spikes.
fn spiking(network: &Network) -> Vec<bool> {
    let of = network.nodes().iter().map(|node| match node.driver {
        Driver::Source(_) => false,
        Driver::Module(module) => !matches!(network.modules()[module.index()].kind, ModuleKind::Flatten(_)),
    });
    of.collect()
}

/// What a run was before a tick.
fn outcome(setup: &Setup, fan: &FanOut, spiking: &[bool], record: &Record, end: Tick) -> Outcome {
    let mut of = Outcome::default();
    for (node, log) in record.nodes.iter().enumerate() {
        let Some(log) = log else { continue };
        let id = NodeId::new(node);
        let before = log.t_rqst.partition_point(|&t| t < end);
        of.spikes += if spiking[node] { before as u64 } else { 0 };
        for k in 0..before {
            let is_control = log.polarity[k] == Polarity::Negative && log.y[k] == -1;
            if log.polarity[k] != Polarity::Reset && !is_control {
                of.operations += fan.operations(id, log.x[k], log.y[k]);
            }
        }
        if id == setup.output {
            let mut start = EventLog::default();
            (0..before).for_each(|k| start.push(log.event(k), log.t_rqst[k], log.t_ack[k]));
            of.decision = readout::most_spikes(&start, setup.classes);
        }
    }
    of
}

fn figures(samples: &Samples, outcomes: impl Iterator<Item = [Outcome; 2]> + Clone) -> Figures {
    let n = samples.labels.len();
    let known = || samples.labels.iter().zip(samples.analog).zip(outcomes.clone());
    let share = |count: usize| count as f64 / n.max(1) as f64;
    let mode = |mode: usize| {
        let decided = |class: usize, of: &[Outcome; 2]| of[mode].decision == Some(class);
        let right = known().filter(|((label, _), of)| decided(**label, of)).count();
        let alike = known().filter(|((_, analog), of)| decided(**analog, of)).count();
        let mean =
            |get: fn(&Outcome) -> u64| outcomes.clone().map(|of| get(&of[mode])).sum::<u64>() as f64 / n.max(1) as f64;
        ModeFigures {
            accuracy: Accuracy::new(right, n),
            as_analog: share(alike),
            spikes: mean(|of| of.spikes),
            operations: mean(|of| of.operations),
        }
    };
    let agreement = share(outcomes.clone().filter(|[event, clocked]| event.decision == clocked.decision).count());
    Figures { samples: n, event: mode(0), clocked: mode(1), agreement }
}

/// A swept parameter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Axis {
    /// Its name.
    pub name: String,
    /// Whether its values were spaced by their logarithms.
    pub logarithmic: bool,
}

/// One point of a sweep.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// The value of each parameter.
    pub values: Vec<String>,
    /// What came out.
    #[serde(flatten)]
    pub figures: Figures,
}

/// What came out of a sweep, so far.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sweep {
    /// The parameters.
    pub parameters: Vec<Axis>,
    /// The points that are done, in their order.
    pub points: Vec<Point>,
}

impl Sweep {
    /// Names of the columns of a table: the parameters, then the figures.
    pub fn columns(&self) -> Vec<String> {
        let mut columns: Vec<String> = self.parameters.iter().map(|axis| axis.name.clone()).collect();
        columns.push("samples".into());
        for mode in ["event", "clocked"] {
            for what in ["accuracy", "low", "high", "as_analog", "spikes", "operations"] {
                columns.push(format!("{mode}_{what}"));
            }
        }
        columns.push("agreement".into());
        columns
    }

    /// The rows of that table.
    pub fn rows(&self) -> impl Iterator<Item = Vec<String>> + '_ {
        self.points.iter().map(|point| {
            let Figures { samples, event, clocked, agreement } = &point.figures;
            let mut row = point.values.clone();
            row.push(samples.to_string());
            for of in [event, clocked] {
                let (low, high) = of.accuracy.interval;
                let numbers = [of.accuracy.share, low, high, of.as_analog, of.spikes, of.operations];
                row.extend(numbers.map(|number| format!("{number:.6}")));
            }
            row.push(format!("{agreement:.6}"));
            row
        })
    }
}
