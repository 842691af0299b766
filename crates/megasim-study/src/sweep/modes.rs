//! A point in event mode and clocked mode, with the work shared where the result is provably the same.

use super::Measured;
use crate::classification::{self, Classification, decisions, outcomes};
use crate::compare::Accuracy;
use crate::layers::FanOut;
use crate::runner;
use megasim_core::control::{Control, Outcomes, Part, Uncounted};
use megasim_core::encode::{Clock, InputMap, SampleKind, SampleNumbers, SpikeEncoder};
use megasim_core::engine::{self, Limits, Mode, Options, Plan, Probes, Record, Simulation, TieOrder};
use megasim_core::network::{Driver, EventLog, ModuleKind, Network, NodeId, Polarity, Stimulus, Tick};
use megasim_core::readout::{self, ReadOut};
use ndarray::ArrayView2;
use serde::{Deserialize, Serialize};

/// What a point needs.
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
    /// How values become spikes.
    pub code: &'a dyn SpikeEncoder,
    /// Ticks per millisecond.
    pub ticks_per_ms: u32,
    /// Ticks per clocked step.
    pub dt: Tick,
    /// Which event of a tick comes first, in event mode; another than the rule's goes with most spikes at the end and
    /// codes that make spikes.
    pub tie_order: TieOrder,
    /// How a class is decided, and when a run stops.
    pub read_out: ReadOut,
    /// Where a run is stopped.
    pub limits: Limits,
}

/// Samples with what is known of them.
#[derive(Debug, Clone, Copy)]
pub struct Samples<'a> {
    /// `(samples, numbers)`.
    pub values: ArrayView2<'a, f32>,
    /// The right class of each.
    pub labels: &'a [usize],
    /// The class that the analog network gives each, where there is one.
    pub analog: Option<&'a [usize]>,
    /// What the numbers of a sample are.
    pub kind: SampleKind,
    /// Their numbers in the data set.
    pub numbers: &'a SampleNumbers,
}

/// What came out of one mode.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ModeFigures {
    /// Share of right decisions.
    pub accuracy: Accuracy,
    /// Share of samples that are decided as the analog network does; none where there is no such network.
    pub as_analog: Option<f64>,
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

impl Figures {
    /// Those of a classification; none where classes are unknown, or where a mode did not run.
    pub fn of(found: &Classification) -> Option<Self> {
        let analog = found.analog_decisions();
        let per_sample = found.figures().per_sample;
        let mode = |outcomes, spikes: Option<f64>, operations: Option<f64>| {
            let decided = decisions(outcomes)?;
            Some(ModeFigures {
                accuracy: Accuracy::new(found.right(&decided)?, found.len()),
                as_analog: found.agreement(Some(&decided), analog.as_deref()),
                spikes: spikes?,
                operations: operations?,
            })
        };
        let (spikes, operations) = (per_sample.spikes, per_sample.synaptic_operations);
        Some(Self {
            samples: found.len(),
            event: mode(&found.event, spikes.event, operations.event)?,
            clocked: mode(&found.clocked, spikes.clocked, operations.clocked)?,
            agreement: found.agreement(decisions(&found.event).as_deref(), decisions(&found.clocked).as_deref())?,
        })
    }
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
    /// Samples could not be classified.
    #[error(transparent)]
    Classification(#[from] classification::Error),
}

/// One sample in one mode up to one time.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct Outcome {
    decision: Option<usize>,
    spikes: u64,
    operations: u64,
}

/// Runs samples for several durations, in milliseconds; figures in their order, or none where `control` cancels.
///
/// The longest duration is run once. A shorter one is what came out of it up to then, if its stimuli are those of the
/// longest one up to then (which is compared, sample by sample) and, clocked, if it ends with a step: nothing that
/// comes later acts back. Else it is run by itself.
///
/// # Errors
/// If samples do not fit, or if a run fails.
pub fn measure(
    setup: &Setup,
    samples: &Samples,
    durations: &[u32],
    control: &dyn Control,
) -> Result<Option<Vec<Figures>>, Error> {
    let fits = samples.kind.check(setup.layout.numbers(), samples.values.ncols());
    fits.map_err(classification::Error::Samples)?;
    if setup.read_out != ReadOut::default() || setup.code.is_current() {
        return one_by_one(setup, samples, durations, control);
    }
    let longest = durations.iter().copied().max().unwrap_or(0);
    let clock = |duration: u32| Clock { duration, ticks_per_ms: setup.ticks_per_ms };
    let options = Options { tie_order: setup.tie_order, ..Options::default() };
    let settles = setup.layout.settles();
    let last = setup.layout.last_tick(setup.network.t_max(), clock(longest));
    let plan = Plan::with_options(setup.network, options)?.with_t_max(last).with_limits(setup.limits);
    let modes = [Mode::Event, Mode::Clocked { dt: setup.dt }];
    let probes = Probes::all(setup.network);
    let fan = FanOut::new(setup.network);
    let spiking = spiking(setup.network);
    let runs = runner::run(
        "both modes",
        0..samples.values.nrows(),
        control,
        || modes.map(|mode| Simulation::new(&plan, mode, &probes)),
        |simulations, k| {
            let sample = samples.numbers.number(k);
            let values = samples.values.row(k).to_vec();
            let stimuli = |duration| {
                let stimuli = setup.layout.stimuli(setup.code, samples.kind, &values, sample, clock(duration));
                stimuli.map_err(|source| classification::Error::Encode { sample, source })
            };
            let whole = stimuli(longest)?;
            let mut run = |mode: usize, stimuli: &[Stimulus]| {
                simulations[mode].run(stimuli).map_err(|source| Error::Run { sample, source })
            };
            let records = [run(0, &whole)?, run(1, &whole)?];
            let mut outcomes = Vec::with_capacity(durations.len());
            for &duration in durations {
                let ticks = clock(duration).ticks();
                let own = if duration == longest { None } else { Some(stimuli(duration)?) };
                let same = own.as_ref().is_none_or(|own| !settles && is_start(own, &whole, ticks));
                let end = if settles { Tick::MAX } else { ticks };
                let mut of = [Outcome::default(); 2];
                for mode in 0..2 {
                    let ends_with_a_step = mode == 0 || ticks % setup.dt == 0 || duration == longest;
                    let record = match &own {
                        Some(own) if !same || !ends_with_a_step => &run(mode, own)?,
                        _ => &records[mode],
                    };
                    of[mode] = outcome(setup, &fan, &spiking, record, end);
                }
                outcomes.push(of);
            }
            Ok::<_, Error>(outcomes)
        },
        drop,
    )?;
    let by_sample: Vec<Vec<[Outcome; 2]>> = runs.complete();
    if by_sample.len() < samples.values.nrows() {
        return Ok(None);
    }
    Ok(Some((0..durations.len()).map(|k| figures(samples, by_sample.iter().map(|of| of[k]))).collect()))
}

/// Each duration by itself, as [`outcomes`] shows samples: runs that stop early, potentials that decide, values as
/// currents.
fn one_by_one(
    setup: &Setup,
    samples: &Samples,
    durations: &[u32],
    control: &dyn Control,
) -> Result<Option<Vec<Figures>>, Error> {
    let Setup { network, layout, output, classes, code, ticks_per_ms, dt, read_out, limits, .. } = *setup;
    let mut all = Vec::with_capacity(durations.len());
    let is_partial = control.outcomes().is_some_and(Outcomes::is_partial);
    let mut complete = true;
    for &duration in durations {
        let clock = Clock { duration, ticks_per_ms };
        let kind = samples.kind;
        let (savings, online) = (false, None);
        let shown = classification::Setup {
            network,
            layout,
            output,
            classes,
            kind,
            code,
            clock,
            read_out,
            limits,
            savings,
            online,
        };
        let mut sides = Vec::with_capacity(2);
        for mode in [Mode::Event, Mode::Clocked { dt }] {
            let is_last = !matches!(mode, Mode::Event) && all.len() + 1 == durations.len();
            let name = format!("duration {duration}");
            let control = Part { control, name: &name };
            let uncounted = Uncounted(&control);
            let counted: &dyn Control = if is_last { &control } else { &uncounted };
            let of_mode = outcomes(&shown, samples.values, samples.numbers, mode, counted)?;
            complete &= of_mode.len() == samples.values.nrows();
            if !complete && !is_partial {
                return Ok(None);
            }
            sides.push(of_mode);
        }
        let outcome = |of: &classification::Outcome| Outcome {
            decision: of.decision.class(),
            spikes: of.spikes,
            operations: of.synaptic_operations,
        };
        let pairs: Vec<[Outcome; 2]> =
            sides[0].iter().zip(&sides[1]).map(|(event, clocked)| [outcome(event), outcome(clocked)]).collect();
        all.push(figures(samples, pairs.into_iter()));
    }
    Ok(Some(all).filter(|_| complete))
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
            if log.polarity[k].is_sign() && !is_control {
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
    let share = |count: usize| count as f64 / n.max(1) as f64;
    let mode = |mode: usize| {
        let decided = |class: usize, of: &[Outcome; 2]| of[mode].decision == Some(class);
        let alike =
            |classes: &[usize]| classes.iter().zip(outcomes.clone()).filter(|(class, of)| decided(**class, of)).count();
        let right = alike(samples.labels);
        let mean =
            |get: fn(&Outcome) -> u64| outcomes.clone().map(|of| get(&of[mode])).sum::<u64>() as f64 / n.max(1) as f64;
        ModeFigures {
            accuracy: Accuracy::new(right, n),
            as_analog: samples.analog.map(|analog| share(alike(analog))),
            spikes: mean(|of| of.spikes),
            operations: mean(|of| of.operations),
        }
    };
    let agreement = share(outcomes.clone().filter(|[event, clocked]| event.decision == clocked.decision).count());
    Figures { samples: n, event: mode(0), clocked: mode(1), agreement }
}

impl Measured for Figures {
    fn columns() -> Vec<String> {
        let mut columns = vec!["samples".to_string()];
        for mode in ["event", "clocked"] {
            for what in ["accuracy", "low", "high", "as_analog", "spikes", "operations"] {
                columns.push(format!("{mode}_{what}"));
            }
        }
        columns.push("agreement".into());
        columns
    }

    fn cells(&self) -> Vec<String> {
        let Self { samples, event, clocked, agreement } = self;
        let mut row = vec![samples.to_string()];
        for of in [event, clocked] {
            let (low, high) = of.accuracy.interval;
            let shares = [Some(of.accuracy.share), Some(low), Some(high), of.as_analog];
            let numbers = shares.into_iter().chain([Some(of.spikes), Some(of.operations)]);
            row.extend(numbers.map(|number| number.map_or(String::new(), |number| format!("{number:.6}"))));
        }
        row.push(format!("{agreement:.6}"));
        row
    }
}
