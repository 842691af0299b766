//! The study of one network on one machine, from samples to figures.

use super::{
    Busiest, Critical, EnergyBreakdown, Error, Ideal, InputError, MachineInput, MappedNetwork, PathContext, Results,
    Sample, Setup, WhatIfs, figures, what_ifs,
};
use crate::hardware::{self, CalibrationError, Duration, Fit, Hardware, LogLine};
use crate::presentation::Presentation;
use megasim_convert::{ConvertedModel, LabelledSamples};
use megasim_core::control::{Control, Outcomes};
use megasim_core::engine::machine::{MachineRecord, Pace, TraceSink};
use megasim_core::network::Tick;
use serde_json::Value;

/// Why a study has no result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LatencyError {
    /// The network with its samples cannot be put on the machine.
    #[error(transparent)]
    Input(#[from] InputError),
    /// A run failed.
    #[error(transparent)]
    Run(#[from] Error),
    /// What was measured does not fit the network.
    #[error(transparent)]
    Calibration(#[from] CalibrationError),
    /// A time that is no whole number of ticks.
    #[error("--warm-up: expected a whole number of ticks of {tick}, found {found}")]
    WarmUp {
        /// A tick.
        tick: Duration,
        /// The time.
        found: Duration,
    },
    /// A sample ends before the figures begin.
    #[error("--warm-up: expected less than a sample, which ends at tick {end}, found {found}, which is tick {warm_up}")]
    LongWarmUp {
        /// The time.
        found: Duration,
        /// The same in ticks.
        warm_up: Tick,
        /// Where a sample ends.
        end: Tick,
    },
    /// Ticks of unknown length.
    #[error("--warm-up: expected to know how long a tick is; --tick TIME says it of a schematic")]
    NoTick,
    /// The work was cancelled before the first samples were done.
    #[error("stopped before the first samples were done")]
    Cancelled,
}

/// Samples whose critical paths are traced.
const TRACED: usize = 3;

/// How a network is studied on a machine.
///
/// ```
/// use megasim_core::engine::machine::Pace;
/// use megasim_study::hardware::Hardware;
/// use megasim_study::latency::LatencyOptions;
///
/// let options = LatencyOptions::new(Hardware::open("loihi".as_ref())?).pace(Pace::Fastest).relief(0);
/// assert_eq!(options.hardware.name(), "loihi");
/// # Ok::<(), megasim_study::hardware::Error>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct LatencyOptions {
    /// The machine.
    pub hardware: Hardware,
    /// How samples are presented.
    pub presentation: Presentation,
    /// How fast the input comes.
    pub pace: Pace,
    /// Time at the start of each sample that figures of modules, nodes and links leave out.
    pub warm_up: Option<Duration>,
    /// Samples that are run again to see what makes the machine faster; 3 where nothing else is asked for, 0: none.
    pub relief: usize,
    /// Hardware keys that are made better on them one at a time, those with the largest shares of the critical path; 3
    /// where nothing else is asked for.
    pub relief_keys: usize,
    /// Measured events, to which delays of modules and links are fitted before the run.
    pub measured: Option<Vec<LogLine>>,
}

impl LatencyOptions {
    /// On this machine, with the presentation that is the default.
    pub fn new(hardware: Hardware) -> Self {
        Self {
            hardware,
            presentation: Presentation::default(),
            pace: Pace::default(),
            warm_up: None,
            relief: 3,
            relief_keys: 3,
            measured: None,
        }
    }

    /// How samples are presented.
    pub fn presentation(self, presentation: Presentation) -> Self {
        Self { presentation, ..self }
    }

    /// How fast the input comes.
    pub fn pace(self, pace: Pace) -> Self {
        Self { pace, ..self }
    }

    /// Time at the start of each sample that figures of modules, nodes and links leave out.
    pub fn warm_up(self, warm_up: Duration) -> Self {
        Self { warm_up: Some(warm_up), ..self }
    }

    /// Samples that are run again to see what makes the machine faster; 0: none.
    pub fn relief(self, samples: usize) -> Self {
        Self { relief: samples, ..self }
    }

    /// Hardware keys that are made better on those samples one at a time.
    pub fn relief_keys(self, most: usize) -> Self {
        Self { relief_keys: most, ..self }
    }

    /// Fits delays of modules and links to measured events, and runs with them.
    pub fn measured(self, log: Vec<LogLine>) -> Self {
        Self { measured: Some(log), ..self }
    }
}

/// A network on a machine: latency, utilisation, queues, energy, and the decisions next to those of the ideal machine.
#[derive(Debug)]
#[non_exhaustive]
pub struct Latency {
    /// The network with its samples.
    pub input: MachineInput,
    /// The machine as it is described.
    pub hardware: Hardware,
    /// The network on it, in its ticks.
    pub mapped: MappedNetwork,
    /// How fast the input came.
    pub pace: Pace,
    /// In ticks of the machine: what figures of modules, nodes and links leave out of each sample.
    pub warm_up: Tick,
    /// What came out of each sample, and the figures of modules, nodes and links.
    pub results: Results,
    /// The module or link that is busy most; none where nothing takes time.
    pub busiest: Option<Busiest>,
    /// Where the critical paths of the first samples go, at the pace of the study; none where nothing takes time.
    pub critical: Option<Critical>,
    /// Where they go as fast as input is taken, and what makes the machine faster.
    pub what_ifs: WhatIfs,
    /// Delays that were fitted to measured events.
    pub fits: Vec<Fit>,
}

/// Runs samples on a machine. Where `control` cancels, the samples that are done make the result.
///
/// ```
/// use megasim_ann::import::Model;
/// use megasim_convert::{Convert, ConvertOptions, LabelledSamples};
/// use megasim_data::Dataset;
/// use megasim_study::hardware::Hardware;
/// use megasim_study::latency::{LatencyOptions, latency};
/// # std::env::set_current_dir("../..")?;
///
/// let data = Dataset::open("examples/digits".as_ref())?;
/// let converted = Model::open("examples/digits/digits_cnn.keras")?.convert(&data, &ConvertOptions::new())?;
/// let samples = LabelledSamples::test(&converted, &data, 0, Some(5))?;
/// let options = LatencyOptions::new(Hardware::open("loihi".as_ref())?).relief(0);
/// let found = latency(&converted, &samples, &options, &())?;
/// assert_eq!(found.results.samples.len(), 5);
/// assert!(found.bill().total() > 0.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// If samples, network and machine do not go together, or if a run fails; [`LatencyError::Cancelled`] where no sample
/// was done.
pub fn latency(
    converted: &ConvertedModel,
    samples: &LabelledSamples,
    options: &LatencyOptions,
    control: &dyn Control,
) -> Result<Latency, LatencyError> {
    latency_of(MachineInput::new(converted, samples, &options.presentation)?, options, control)
}

/// As [`latency`], of a network with its samples, however they were made. Its presentation is that of `input`.
///
/// # Errors
/// As there.
pub fn latency_of(
    input: MachineInput,
    options: &LatencyOptions,
    control: &dyn Control,
) -> Result<Latency, LatencyError> {
    let mut mapped = input.on(&options.hardware)?;
    let fits = match &options.measured {
        Some(log) => hardware::fit(&mapped.network, &mapped.resolved.machine, log)?,
        None => Vec::new(),
    };
    fits.iter().for_each(|fit| mapped.resolved.fit(fit));
    if let (Some(_), Some(tick), false) = (&options.measured, mapped.resolved.tick, options.hardware.has_tick()) {
        mapped.resolved.warnings.push(format!(
            "--calibrate: ticks of the log are taken for those of the network, {tick} each, as the machine names no \
             tick; give the machine that the log is of, or a file with tick = \"TIME\""
        ));
    }
    let warm_up = match (options.warm_up, mapped.resolved.tick) {
        (None, _) => 0,
        (Some(found), Some(tick)) => found.in_ticks(tick).ok_or(LatencyError::WarmUp { tick, found })?,
        (Some(_), None) => return Err(LatencyError::NoTick),
    };
    let stimuli = |sample: usize| input.stimuli(sample, mapped.factor);
    let setup = Setup { paths: TRACED, ..input.setup(&mapped, &stimuli, options.pace, warm_up) };
    let end = setup.showing.until.unwrap_or(setup.t_max);
    if let Some(found) = options.warm_up.filter(|_| warm_up >= end) {
        return Err(LatencyError::LongWarmUp { found, warm_up, end });
    }
    let barrier = mapped.resolved.machine.barrier.as_ref().map(|barrier| barrier.step);
    let too_short = barrier.filter(|&step| end < step);
    control.start("latency", setup.samples);
    let results = setup.run(control)?;
    if results.samples.is_empty() {
        return Err(LatencyError::Cancelled);
    }
    let is_partial = control.outcomes().is_some_and(Outcomes::is_partial);
    let busiest = Busiest::of(&setup, &results);
    let context = PathContext { network: setup.network, layers: &input.layers, hardware: setup.hardware };
    let critical = Critical::of(&context, &results);
    let what_ifs = match options.relief {
        samples if samples > 0 && critical.is_some() && !is_partial && !control.is_cancelled() => {
            // The ideal machine is the same next to all of them.
            let ideal = |sample: &Sample| Ideal { decision: sample.ideal, events: sample.ideal_events };
            let ideal: Vec<Ideal> = results.samples.iter().take(samples).map(ideal).collect();
            let setup = Setup { ideal: Some(&ideal), ..setup };
            what_ifs(&setup, &input.layers, (samples, options.relief_keys))?
        }
        _ => WhatIfs::default(),
    };
    mapped.resolved.warnings.extend(too_short.map(|step| {
        format!(
            "a sample ends at tick {end}, before the first barrier at tick {step}: most of the network does nothing; \
             --tick TIME says how long a tick of a schematic is"
        )
    }));
    let (hardware, pace) = (options.hardware.clone(), options.pace);
    Ok(Latency { input, hardware, mapped, pace, warm_up, results, busiest, critical, what_ifs, fits })
}

impl Latency {
    /// Energies of all samples, by layer.
    pub fn bill(&self) -> EnergyBreakdown {
        EnergyBreakdown::of(&self.input.network, &self.input.layers, &self.mapped.resolved, &self.results.statistics)
    }

    /// Runs one sample again with every handshake watched.
    ///
    /// # Errors
    /// If the run fails.
    pub fn watch(&self, sample: usize, watch: &mut TraceSink<'_>) -> Result<MachineRecord, Error> {
        let stimuli = |sample: usize| self.input.stimuli(sample, self.mapped.factor);
        let setup: Setup<'_> = self.input.setup(&self.mapped, &stimuli, self.pace, self.warm_up);
        setup.watch(sample, watch)
    }

    /// All figures, as `megasim latency --json` writes them: times in ticks, energies in joules per sample, rates per
    /// tick.
    pub fn figures(&self) -> Value {
        figures::json(self)
    }
}
