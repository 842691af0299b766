//! A sweep before it runs: all of its points, checked.

use super::conversion::{Change, Conversion};
use super::error::SweepError;
use super::parameters::{Conditions, MOST_POINTS, Over, Parameter};
use crate::hardware::Hardware;
use crate::presentation::Presentation;
use crate::read_out::ReadOutChoice;
use megasim_convert::OutputForm;
use megasim_core::encode::registry::Choice;
use megasim_core::engine::machine::Pace;
use megasim_core::network::Tick;
use std::path::Path;

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
    /// Ticks per step of clocked mode, above 0.
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

    /// Ticks per step of clocked mode, above 0.
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
            if hardware.is_some() && point.conditions.conversion.output() == Some(OutputForm::Potential) {
                return Err(SweepError::PotentialOnMachine);
            }
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
}
