//! A sweep before it runs: all of its points, checked.

use super::conversion::{Change, Conversion};
use super::parameters::{Conditions, Over, Parameter};
use super::{Figures, MachineFigures, Sweep, modes, on_machine, study};
use crate::classification;
use crate::hardware::{self, Hardware};
use crate::latency::{self, InputError};
use crate::presentation::Presentation;
use crate::read_out::{self, ReadOutChoice};
use megasim_convert::{ConvertedModel, LabelledSamples};
use megasim_convert::{conversion, settings};
use megasim_core::control::Control;
use megasim_core::encode::registry::{self, Choice};
use megasim_core::engine::machine::Pace;
use megasim_core::network::{NetworkError, Tick};
use megasim_data::Dataset;
use std::path::Path;

pub use super::on_machine::MachineSubject;
pub use super::study::Store;

/// Most points of a sweep.
const MOST_POINTS: usize = 100_000;

/// Why a sweep cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SweepError {
    /// Another number of parameters than one or two.
    #[error("--over: expected one or two parameters, found {0}")]
    Parameters(usize),
    /// One parameter twice.
    #[error("--over: expected two different parameters, found {0} twice")]
    Twice(String),
    /// A value that a parameter cannot have.
    #[error("--over: {0}")]
    Value(String),
    /// More than 100,000 points.
    #[error("--over: expected at most {MOST_POINTS} points, found more")]
    Points,
    /// A parameter of a machine, and no machine.
    #[error("--over {0}: expected --hardware FILE|NAME with the machine, found none")]
    NoMachine(String),
    /// A parameter that machines do not have.
    #[error("--over {0}: clocked steps, orders of ties and read-outs are not the machine's; leave out --hardware")]
    NotOfMachine(String),
    /// A parameter that schematics do not have.
    #[error("--over {0}: expected a converted network; a schematic has its own weights and stimuli")]
    NotOfSchematic(String),
    /// A parameter of conversions, and a network that was read as a spiking one.
    #[error("--over {0}: expected a network that was trained and converted; this one was read as a spiking network")]
    NotTrained(String),
    /// A seed that nothing uses.
    #[error(
        "--over {0}: expected a random code (--encode poisson, cpn, ...) or --over tie-order=seeded; nothing else is \
         drawn"
    )]
    Seed(String),
    /// A rate that nothing uses.
    #[error("--over {0}: expected --encode regular or poisson; other codes have rates of their own")]
    InputRate(String),
    /// A read-out on a machine.
    #[error("--readout, --k and --confidence: on a machine most spikes decide; leave them out, or --hardware")]
    ReadOutOnMachine,
    /// Orders of ties with what does not have them.
    #[error("--over tie-order: expected most spikes at the end to decide and a code that makes spikes, found others")]
    TieOrder,
    /// Ticks of unknown length.
    #[error("expected to know how long a tick is; --tick TIME says it of a schematic")]
    NoTick,
    /// A schedule of other weights.
    #[error("--over: depth-scale goes with netfiles of 'convert --weighting model'")]
    NoSchedule,
    /// Percentiles that change nothing.
    #[error(
        "--over: percentiles change nothing here: the netfiles have given scales, or were scaled without looking at \
         activations"
    )]
    NoPercentiles,
    /// Weightings that change nothing.
    #[error("--over: weighting changes nothing here: the netfiles were converted with --scales")]
    GivenScales,
    /// A conversion that is made for no presentation.
    #[error(
        "--recalibrate: expected netfiles that were converted for a presentation ('convert --duration' or --preset \
         short), found others"
    )]
    NoPresentation,
    /// A conversion for each duration where none is swept.
    #[error("--recalibrate: expected --over duration=..., found no durations")]
    NoDurations,
    /// An initial potential that each spike would go back to.
    #[error("--over: initial-potential goes with a reset by subtraction: a reset to zero would go back to it")]
    InitialPotential,
    /// A parameter of modules in the manifest that cannot be read.
    #[error("--over {name}: {setting}: {message}; of neurons with equations of a file no conversion can be swept")]
    ManifestSetting {
        /// What is swept.
        name: String,
        /// The text.
        setting: String,
        /// What is wrong with it.
        message: String,
    },
    /// A read-out that does not go with the output.
    #[error(transparent)]
    ReadOut(#[from] read_out::Error),
    /// A code that cannot be made.
    #[error(transparent)]
    Code(#[from] registry::Error),
    /// A machine that is wrong.
    #[error(transparent)]
    Hardware(#[from] hardware::Error),
    /// A network with its samples that cannot be put on a machine.
    #[error(transparent)]
    Input(#[from] InputError),
    /// Data that cannot be read.
    #[error(transparent)]
    Data(#[from] megasim_data::Error),
    /// A network that cannot be converted anew.
    #[error(transparent)]
    Convert(#[from] conversion::Error),
    /// A parameter that modules cannot have.
    #[error(transparent)]
    Setting(#[from] settings::Error),
    /// An output that cannot gather potentials.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// Samples that cannot be classified.
    #[error(transparent)]
    Classification(#[from] classification::Error),
    /// A point could not be measured.
    #[error(transparent)]
    Measure(#[from] modes::Error),
    /// A point could not be measured on the machine.
    #[error(transparent)]
    Latency(#[from] latency::Error),
    /// The results so far could not be kept.
    #[error("{0}")]
    Store(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The work was cancelled before the first point was done.
    #[error("stopped before the first point was done")]
    Cancelled,
}

/// What a sweep is about.
///
/// ```
/// use megasim_study::sweep::SweepOptions;
///
/// let options = SweepOptions::new(vec!["duration=10,20".parse()?, "percentile=99,99.9".parse()?]);
/// assert_eq!(options.plan(false).map(|plan| plan.len()).map_err(|error| error.to_string())?, 4);
/// # Ok::<(), String>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SweepOptions {
    /// One or two parameters with their values.
    pub over: Vec<Over>,
    /// How samples are presented, but for what is swept.
    pub presentation: Presentation,
    /// Ticks of a step of clocked mode, above 0.
    pub dt: Tick,
    /// How a class is decided.
    pub read_out: ReadOutChoice,
    /// The machine to run on, instead of in both modes.
    pub hardware: Option<Hardware>,
    /// How fast the input comes to the machine.
    pub pace: Pace,
    /// Whether the network is converted anew for each duration that is swept.
    pub recalibrate: bool,
}

impl SweepOptions {
    /// Over these parameters, with the presentation that is the default, in both modes.
    pub fn new(over: Vec<Over>) -> Self {
        Self {
            over,
            presentation: Presentation::default(),
            dt: 1,
            read_out: ReadOutChoice::default(),
            hardware: None,
            pace: Pace::default(),
            recalibrate: false,
        }
    }

    /// Whether the network is converted anew for each duration that is swept.
    pub fn recalibrate(self, recalibrate: bool) -> Self {
        Self { recalibrate, ..self }
    }

    /// How samples are presented, but for what is swept.
    pub fn presentation(self, presentation: Presentation) -> Self {
        Self { presentation, ..self }
    }

    /// Ticks of a step of clocked mode, above 0.
    pub fn dt(self, dt: Tick) -> Self {
        Self { dt, ..self }
    }

    /// How a class is decided.
    pub fn read_out(self, read_out: ReadOutChoice) -> Self {
        Self { read_out, ..self }
    }

    /// The machine to run on, instead of in both modes.
    pub fn hardware(self, hardware: Hardware) -> Self {
        Self { hardware: Some(hardware), ..self }
    }

    /// How fast the input comes to the machine.
    pub fn pace(self, pace: Pace) -> Self {
        Self { pace, ..self }
    }

    /// All points, each of them checked. `schematic`: of a network with its own stimuli, which is not converted anew.
    ///
    /// # Errors
    /// If parameters do not go together, or cannot have a value.
    pub fn plan(self, schematic: bool) -> Result<SweepPlan, SweepError> {
        self.check(schematic)?;
        let points = self.points()?;
        Ok(SweepPlan { options: self, points })
    }

    /// Refuses parameters that the way of running does not have.
    fn check(&self, schematic: bool) -> Result<(), SweepError> {
        if self.over.is_empty() || self.over.len() > 2 {
            return Err(SweepError::Parameters(self.over.len()));
        }
        for Over { name, parameter, .. } in &self.over {
            match (parameter, &self.hardware) {
                (Parameter::Hardware(_) | Parameter::Pace, None) => return Err(SweepError::NoMachine(name.clone())),
                (Parameter::Dt | Parameter::TieOrder | Parameter::ReadOut(_), Some(_)) => {
                    return Err(SweepError::NotOfMachine(name.clone()));
                }
                (
                    Parameter::Duration
                    | Parameter::TicksPerMs
                    | Parameter::InputRate
                    | Parameter::Encode
                    | Parameter::OfCode(_)
                    | Parameter::Seed
                    | Parameter::Conversion(_),
                    _,
                ) if schematic => return Err(SweepError::NotOfSchematic(name.clone())),
                _ => {}
            }
        }
        if self.recalibrate && self.over.iter().all(|over| over.parameter != Parameter::Duration) {
            return Err(SweepError::NoDurations);
        }
        self.check_code()?;
        if self.read_out.is_given() && self.hardware.is_some() {
            return Err(SweepError::ReadOutOnMachine);
        }
        match &self.over[..] {
            [first, second] if first.name == second.name => Err(SweepError::Twice(first.name.clone())),
            _ => Ok(()),
        }
    }

    /// Refuses parameters that none of the codes has.
    fn check_code(&self) -> Result<(), SweepError> {
        let is_encode = |over: &&Over| over.parameter == Parameter::Encode;
        let mut codes: Vec<Choice> = match self.over.iter().find(is_encode) {
            Some(over) => over.values.split(';').filter_map(|value| value.trim().parse().ok()).collect(),
            None => Vec::new(),
        };
        if codes.is_empty() {
            codes.push(self.presentation.encode.clone());
        }
        for Over { name, parameter, .. } in &self.over {
            let ties =
                self.over.iter().any(|over| over.parameter == Parameter::TieOrder && over.values.contains("seeded"));
            if *parameter == Parameter::Seed && !ties && !codes.iter().any(Choice::uses_seed) {
                return Err(SweepError::Seed(name.clone()));
            }
            if *parameter == Parameter::InputRate && !codes.iter().any(Choice::uses_input_rate) {
                return Err(SweepError::InputRate(name.clone()));
            }
        }
        Ok(())
    }

    /// All points, the last parameter fastest.
    fn points(&self) -> Result<Vec<PlannedPoint>, SweepError> {
        let Self { presentation, dt, over, hardware, .. } = self;
        let start = Conditions { read_out: self.read_out, ..Conditions::new(presentation, *dt) };
        let mut points = vec![PlannedPoint { values: Vec::new(), conditions: start }];
        // A parameter of the code is one of the code that the point has.
        let mut order: Vec<usize> = (0..over.len()).collect();
        order.sort_by_key(|&k| matches!(over[k].parameter, Parameter::OfCode(_)));
        let all: Vec<Vec<String>> = over
            .iter()
            .map(|over| over.all(presentation.seed, hardware.as_ref()).map_err(SweepError::Value))
            .collect::<Result<_, _>>()?;
        for values in &all {
            if points.len().saturating_mul(values.len()) > MOST_POINTS {
                return Err(SweepError::Points);
            }
            let more = points.iter().flat_map(|point| {
                values.iter().map(|value| {
                    let values = point.values.iter().chain([value]).cloned().collect();
                    PlannedPoint { values, conditions: point.conditions.clone() }
                })
            });
            points = more.collect();
        }
        for point in &mut points {
            for &k in &order {
                let changed = point.conditions.with(&over[k], &point.values[k]);
                point.conditions = changed.map_err(SweepError::Value)?;
            }
            if self.recalibrate {
                let duration = point.conditions.presentation.duration;
                point.conditions.conversion.push(Change::Duration(duration), "duration", &duration.to_string());
            }
            point.conditions.read_out.check_k()?;
            if let Some(hardware) = hardware {
                // What is wrong with a machine is found before the work.
                let mut changed = hardware.clone();
                for change in &point.conditions.changes {
                    changed = changed.changed(change.clone())?;
                }
            }
        }
        Ok(points)
    }
}

/// A point to be measured.
#[derive(Debug, Clone)]
pub(super) struct PlannedPoint {
    pub values: Vec<String>,
    pub conditions: Conditions,
}

impl PlannedPoint {
    pub fn conversion(&self) -> &Conversion {
        &self.conditions.conversion
    }
}

/// All points of a sweep.
#[derive(Debug, Clone)]
pub struct SweepPlan {
    pub(super) options: SweepOptions,
    pub(super) points: Vec<PlannedPoint>,
}

impl SweepPlan {
    /// What the sweep is about.
    pub fn options(&self) -> &SweepOptions {
        &self.options
    }

    /// How many points there are.
    pub fn len(&self) -> usize {
        self.points.len()
    }

    /// The longest presentation of a point, in milliseconds.
    pub fn longest(&self) -> u32 {
        self.points.iter().map(|point| point.conditions.presentation.duration).max().unwrap_or(0)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.points.is_empty()
    }

    /// The files of spike codes that points use.
    pub fn code_files(&self) -> Vec<&Path> {
        let mut files: Vec<&Path> = Vec::new();
        for file in self.points.iter().filter_map(|point| point.conditions.presentation.encode.file()) {
            if !files.contains(&file) {
                files.push(file);
            }
        }
        files
    }

    /// Measures each point in event mode and in clocked mode. Where the conversion is swept, `data` has the samples to
    /// normalise with. `store` has the points of an earlier run, and keeps those of this one. Where `control` cancels,
    /// the points that are done come out.
    ///
    /// # Errors
    /// If a point cannot be measured; [`SweepError::Cancelled`] where none was done.
    pub fn both_modes(
        &self,
        converted: &ConvertedModel,
        data: &Dataset,
        samples: &LabelledSamples,
        store: &dyn Store<Figures>,
        control: &dyn Control,
    ) -> Result<Sweep<Figures>, SweepError> {
        let origin = study::Origin { converted, data, clock: self.options.presentation.clock() };
        study::run(&super::both_modes::BothModes { origin: &origin, samples }, self, store, control)
    }

    /// Measures each point on the machine, as [`SweepPlan::both_modes`].
    ///
    /// # Errors
    /// As there; if the sweep has no machine.
    pub fn on_machine(
        &self,
        subject: &MachineSubject<'_>,
        store: &dyn Store<MachineFigures>,
        control: &dyn Control,
    ) -> Result<Sweep<MachineFigures>, SweepError> {
        let Some(hardware) = &self.options.hardware else {
            return Err(SweepError::NoMachine(self.options.over[0].name.clone()));
        };
        let clock = self.options.presentation.clock();
        let study = on_machine::OnMachine { hardware, pace: self.options.pace, clock, subject };
        study::run(&study, self, store, control)
    }
}

/// Measures points in event mode and in clocked mode; see [`SweepPlan::both_modes`].
///
/// ```
/// use megasim_ann::import::Model;
/// use megasim_convert::{Convert, ConvertOptions, LabelledSamples};
/// use megasim_data::Dataset;
/// use megasim_study::sweep::{SweepOptions, sweep};
/// # std::env::set_current_dir("../..")?;
///
/// let data = Dataset::open("examples/digits".as_ref())?;
/// let converted = Model::open("examples/digits/digits_cnn.keras")?.convert(&data, &ConvertOptions::new())?;
/// let samples = LabelledSamples::test(&converted, &data, 0, Some(10))?;
/// let options = SweepOptions::new(vec!["duration=10,40".parse()?]);
/// let table = sweep(&converted, &data, &samples, options, &())?;
/// assert!(table.points[1].figures.event.spikes > table.points[0].figures.event.spikes);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// If parameters do not go together, or if a point cannot be measured.
pub fn sweep(
    converted: &ConvertedModel,
    data: &Dataset,
    samples: &LabelledSamples,
    options: SweepOptions,
    control: &dyn Control,
) -> Result<Sweep<Figures>, SweepError> {
    options.plan(false)?.both_modes(converted, data, samples, &(), control)
}
