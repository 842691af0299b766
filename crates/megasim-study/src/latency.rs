//! A network on a machine: how long decisions take, where events wait, what it costs, and what the delays do to the
//! answers.
//!
//! Every sample runs from a fresh state twice: on the machine, by the timed engine, and in event mode, which is the
//! ideal machine. Samples run in parallel; what comes out does not depend on the number of threads.

mod busiest;
mod critical;
mod decision;
mod energy;
mod figures;
mod input;
mod load;
mod quantised;
mod study;
mod what_if;

pub use busiest::{Busiest, Resource};
pub use critical::{Critical, PathContext, PathPart, PathSums, SamplePaths};
pub use decision::Decisions;
pub use energy::{Account, EnergyBreakdown};
pub use input::{InputError, MachineInput, MappedNetwork};
pub use load::{Load, Traffic};
pub use quantised::{NotQuantised, Quantised};
pub use study::{Latency, LatencyError, LatencyOptions, latency, latency_of};
pub use what_if::{WhatIf, WhatIfs, what_ifs};

use crate::hardware::Resolved;
use crate::runner;
use megasim_core::control::{Control, Outcomes, Uncounted};
use megasim_core::encode::SampleNumbers;
use megasim_core::engine::machine::{
    Deadlock, MachinePlan, MachineRecord, MachineSimulation, PlanError, RunSettings, Statistics, TraceSink, Unfinished,
};
use megasim_core::engine::{self, Limits, Mode, Plan, Probes, Simulation};
use megasim_core::network::{EventLog, Network, NodeId, Stimulus, Tick};
use megasim_core::readout;

/// What is asked.
#[derive(Clone, Copy)]
pub struct Setup<'a> {
    /// The network, in ticks of the machine.
    pub network: &'a Network,
    /// The machine.
    pub hardware: &'a Resolved,
    /// The stimuli of a sample, one a source, in ticks of the machine.
    pub stimuli: &'a (dyn Fn(usize) -> Vec<Stimulus> + Sync),
    /// How many samples there are.
    pub samples: usize,
    /// Their numbers in the data set.
    pub numbers: &'a SampleNumbers,
    /// By source: whether it is input, and not a clock.
    pub input: &'a [bool],
    /// The node that decides, and its classes.
    pub output: Option<(NodeId, usize)>,
    /// The class of each sample.
    pub labels: Option<&'a [usize]>,
    /// How fast the input comes, and what figures leave out.
    pub showing: RunSettings,
    /// The last tick of a sample, at the pace of the stimuli.
    pub t_max: Tick,
    /// What the ideal machine does on each sample, where an earlier study of the same network and stimuli has found it:
    /// one for each sample, of [`Setup::ideal`].
    pub ideal: Option<&'a [Ideal]>,
    /// Where a run is stopped.
    pub limits: Limits,
    /// How many of the first samples are traced for their critical paths.
    pub paths: usize,
}

/// What event mode does on one sample; the same in ticks of any length.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Ideal {
    /// The class with most spikes.
    pub decision: Option<usize>,
    /// Events of all nodes.
    pub events: u64,
}

/// Why a study failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The network and the machine do not go together.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// A run failed.
    #[error("sample {sample}: {source}")]
    Run {
        /// Its number in the data set.
        sample: u64,
        /// What happened.
        source: engine::Error,
    },
}

/// What became of one sample.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Sample {
    /// Its number in the data set.
    pub number: u64,
    /// Its class.
    pub label: Option<usize>,
    /// When the first input event was requested, in ticks.
    pub first_input: Option<Tick>,
    /// What was decided, and when.
    pub decisions: Decisions,
    /// What event mode decides.
    pub ideal: Option<usize>,
    /// Events of all nodes.
    pub events: u64,
    /// Events of event mode.
    pub ideal_events: u64,
    /// Synaptic operations.
    pub operations: u64,
    /// When the last event arrived, was done or acknowledged, in ticks.
    pub ended: Tick,
    /// What was left.
    pub unfinished: Unfinished,
    /// Rings of modules that wait for each other.
    pub deadlocks: Vec<Deadlock>,
    /// Its critical paths, where it was traced and they are not too long to be kept.
    pub paths: Option<SamplePaths>,
}

/// Figures of all samples.
#[derive(Debug, Clone, Default)]
pub struct Results {
    /// One by one; after an early stop, fewer than were asked for.
    pub samples: Vec<Sample>,
    /// Times, occupancies and counts, over all of them.
    pub statistics: Statistics,
}

impl Setup<'_> {
    /// Runs all samples, or those that come before `control` cancels.
    ///
    /// # Errors
    /// If a run fails; of several the one with the lowest number.
    pub fn run(&self, control: &dyn Control) -> Result<Results, Error> {
        let timed = MachinePlan::new(self.network, self.hardware.machine.clone())?
            .with_t_max(self.t_max)
            .with_limits(self.limits);
        let reference = Reference::new(self)?;
        let probes = self.output.map_or_else(Probes::none, |(node, _)| Probes::of(&[node]));
        let mut runs = runner::run(
            "machine",
            0..self.samples,
            control,
            || (MachineSimulation::new(&timed, &probes), reference.start()),
            |(simulation, ideal), sample| self.sample(sample, simulation, ideal),
            |(simulation, _)| simulation.statistics().clone(),
        )?;
        let mut statistics = Statistics::default();
        runs.workers.drain(..).for_each(|of| statistics.merge(&of));
        Ok(Results { samples: runs.all(), statistics })
    }

    /// Runs one sample with every handshake watched.
    ///
    /// # Errors
    /// If the run fails.
    pub fn watch(&self, sample: usize, watch: &mut TraceSink<'_>) -> Result<MachineRecord, Error> {
        let timed = MachinePlan::new(self.network, self.hardware.machine.clone())?
            .with_t_max(self.t_max)
            .with_limits(self.limits);
        let mut simulation = MachineSimulation::new(&timed, &Probes::all(self.network));
        let run = simulation.run(&(self.stimuli)(sample), &self.showing, Some(watch));
        run.map_err(|source| self.failed(sample, source))
    }

    /// What the ideal machine does on every sample, for studies of other machines to share; none where `control`
    /// cancels.
    ///
    /// # Errors
    /// If a run fails.
    pub fn ideal(&self, control: &dyn Control) -> Result<Option<Vec<Ideal>>, Error> {
        let reference = Reference::new(self)?;
        let runs = runner::run(
            "ideal",
            0..self.samples,
            &Uncounted(control),
            || reference.start(),
            |ideal_machine, sample| {
                let ideal = ideal_machine.sample(sample, &(self.stimuli)(sample), self.output);
                ideal.map_err(|source| self.failed(sample, source))
            },
            drop,
        )?;
        if control.outcomes().is_some_and(Outcomes::is_partial) {
            return Ok(Some(runs.spread(self.samples)));
        }
        Ok(Some(runs.complete()).filter(|all| all.len() == self.samples))
    }

    fn failed(&self, sample: usize, source: engine::Error) -> Error {
        Error::Run { sample: self.numbers.number(sample), source }
    }

    fn sample(
        &self,
        sample: usize,
        simulation: &mut MachineSimulation<'_>,
        ideal_machine: &mut IdealMachine<'_>,
    ) -> Result<Sample, Error> {
        let number = self.numbers.number(sample);
        let fault = |source| self.failed(sample, source);
        let stimuli = (self.stimuli)(sample);
        let (run, causes) = if sample < self.paths {
            let output = self.output.map(|(node, _)| node);
            let (run, causes) = simulation.run_with_causes(&stimuli, &self.showing, output).map_err(fault)?;
            (run, Some(causes))
        } else {
            (simulation.run(&stimuli, &self.showing, None).map_err(fault)?, None)
        };
        let ideal = ideal_machine.sample(sample, &stimuli, self.output).map_err(fault)?;
        let log = |record: &engine::Record| {
            self.output.and_then(|(node, _)| record.nodes[node.index()].clone()).unwrap_or_default()
        };
        let classes = self.output.map_or(0, |(_, classes)| classes);
        let label = self.labels.and_then(|labels| labels.get(sample)).copied();
        let output: EventLog = log(&run.record);
        let inputs = run.first_input.iter().zip(self.input).filter(|(_, is_input)| **is_input);
        let first_input = inputs.filter_map(|(first, _)| *first).min();
        let decisions = Decisions::of(&output, classes, label);
        Ok(Sample {
            number,
            label,
            first_input,
            decisions,
            paths: causes.and_then(|causes| SamplePaths::of(&causes, first_input, decisions.settled)),
            ideal: ideal.decision,
            events: run.record.summary.events.iter().sum(),
            ideal_events: ideal.events,
            operations: run.record.summary.synaptic_operations,
            ended: run.ended,
            unfinished: run.unfinished,
            deadlocks: run.deadlocks,
        })
    }
}

/// What the ideal machine does: known, or to be run in event mode.
enum Reference<'a> {
    Known(&'a [Ideal]),
    Plan(Box<Plan>, Probes),
}

/// What the ideal machine does with one sample after the other, in one thread.
enum IdealMachine<'r> {
    Known(&'r [Ideal]),
    Run(Box<Simulation<'r>>),
}

impl<'a> Reference<'a> {
    fn new(setup: &Setup<'a>) -> Result<Self, Error> {
        let probes = setup.output.map_or_else(Probes::none, |(node, _)| Probes::of(&[node]));
        Ok(match setup.ideal {
            Some(known) => Self::Known(known),
            None => {
                let plan = Plan::new(setup.network)
                    .map_err(PlanError::from)?
                    .with_t_max(setup.t_max)
                    .with_limits(setup.limits);
                Self::Plan(Box::new(plan), probes)
            }
        })
    }

    fn start(&self) -> IdealMachine<'_> {
        match self {
            Self::Known(known) => IdealMachine::Known(known),
            Self::Plan(plan, probes) => IdealMachine::Run(Box::new(Simulation::new(plan, Mode::Event, probes))),
        }
    }
}

impl IdealMachine<'_> {
    /// What a sample gives.
    fn sample(
        &mut self,
        sample: usize,
        stimuli: &[Stimulus],
        output: Option<(NodeId, usize)>,
    ) -> Result<Ideal, engine::Error> {
        match self {
            Self::Known(known) => Ok(known[sample]),
            Self::Run(simulation) => {
                let record = simulation.run(stimuli)?;
                let log = output.and_then(|(node, classes)| Some((record.nodes[node.index()].as_ref()?, classes)));
                let decision = log.and_then(|(log, classes)| readout::most_spikes(log, classes));
                Ok(Ideal { decision, events: record.summary.events.iter().sum() })
            }
        }
    }
}

/// A mean with its 95 % interval (normal), and quantiles, of times in ticks.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Spread {
    /// How many values.
    pub samples: usize,
    /// Their mean.
    pub mean: f64,
    /// Lower end of the interval of the mean.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Half of the values are at most this.
    pub median: f64,
    /// 95 % of the values are at most this.
    pub p95: f64,
    /// The largest.
    pub max: f64,
}

impl Spread {
    /// These times in another unit.
    pub fn scaled(self, factor: f64) -> Self {
        let Self { samples, mean, low, high, median, p95, max } = self;
        let [mean, low, high, median, p95, max] = [mean, low, high, median, p95, max].map(|value| value * factor);
        Self { samples, mean, low, high, median, p95, max }
    }

    /// Of these values; none of nothing.
    ///
    /// ```
    /// use megasim_study::latency::Spread;
    /// let spread = Spread::of([3, 1, 2].into_iter()).unwrap();
    /// assert_eq!((spread.mean, spread.median, spread.max), (2.0, 2.0, 3.0));
    /// // 1.96 * 1 / sqrt(3)
    /// assert!((spread.high - spread.mean - 1.1316).abs() < 1e-3);
    /// ```
    pub fn of(values: impl Iterator<Item = Tick>) -> Option<Self> {
        let mut values: Vec<Tick> = values.collect();
        values.sort_unstable();
        let n = values.len();
        let max = *values.last()?;
        let mean = values.iter().map(|&value| value as f64).sum::<f64>() / n as f64;
        let squares: f64 = values.iter().map(|&value| (value as f64 - mean).powi(2)).sum();
        let half = if n > 1 { 1.959_963_984_540_054 * (squares / (n - 1) as f64 / n as f64).sqrt() } else { 0.0 };
        let quantile = |share: f64| values[((share * n as f64).ceil() as usize).clamp(1, n) - 1] as f64;
        Some(Self {
            samples: n,
            mean,
            low: mean - half,
            high: mean + half,
            median: quantile(0.5),
            p95: quantile(0.95),
            max: max as f64,
        })
    }
}

impl Results {
    /// From the first input to what `when` picks, over the samples that have both, in ticks.
    pub fn latency(&self, when: impl Fn(&Decisions) -> Option<Tick>) -> Option<Spread> {
        Spread::of(self.latencies(when).into_iter())
    }

    /// Both times of each sample that has them, in the order of the samples.
    pub fn latencies(&self, when: impl Fn(&Decisions) -> Option<Tick>) -> Vec<Tick> {
        self.samples.iter().filter_map(|sample| Some(when(&sample.decisions)? - sample.first_input?)).collect()
    }

    /// From the first input to the end of the last work, in ticks.
    pub fn length(&self) -> Option<Spread> {
        Spread::of(self.samples.iter().filter_map(|sample| Some(sample.ended - sample.first_input?)))
    }

    /// How many samples are decided rightly, on the machine and ideally, and on how many the two agree.
    pub fn right(&self) -> Right {
        let mut right = Right { of: self.samples.len(), ..Right::default() };
        for sample in &self.samples {
            let decision = sample.decisions.decision;
            right.machine += usize::from(decision.is_some() && decision == sample.label);
            right.ideal += usize::from(sample.ideal.is_some() && sample.ideal == sample.label);
            right.agree += usize::from(decision == sample.ideal);
            right.decided += usize::from(decision.is_some() || sample.ideal.is_some());
        }
        right
    }

    /// What was left at the ends of all samples.
    pub fn unfinished(&self) -> Unfinished {
        let mut sum = Unfinished::default();
        for sample in &self.samples {
            sum.pending += sample.unfinished.pending;
            sum.unsent += sample.unfinished.unsent;
            sum.unacknowledged += sample.unfinished.unacknowledged;
            sum.unstarted += sample.unfinished.unstarted;
        }
        sum
    }

    /// How many samples ended with work or input left over.
    pub fn unfinished_samples(&self) -> usize {
        self.samples.iter().filter(|sample| sample.unfinished != Unfinished::default()).count()
    }
}

/// Right answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Right {
    /// Samples.
    pub of: usize,
    /// On the machine.
    pub machine: usize,
    /// In event mode.
    pub ideal: usize,
    /// Alike on both, right or wrong.
    pub agree: usize,
    /// Decided at all, on the machine or in event mode.
    pub decided: usize,
}

impl Right {
    /// Share of samples that are decided as ideally; none where neither machine decides any.
    ///
    /// ```
    /// use megasim_study::latency::Right;
    /// assert_eq!(Right { of: 4, agree: 3, decided: 4, ..Right::default() }.as_ideal(), Some(0.75));
    /// assert_eq!(Right { of: 4, agree: 4, ..Right::default() }.as_ideal(), None);
    /// ```
    pub fn as_ideal(&self) -> Option<f64> {
        (self.decided > 0).then(|| self.agree as f64 / self.of as f64)
    }
}
