//! Points on a machine.

use super::MachineFigures;
use super::error::SweepError;
use super::parameters::{Conditions, Parameter};
use super::study::{Origin, Prepared, Study};
use crate::hardware::{Duration, Hardware};
use crate::latency::{Busiest, Critical, EnergyBreakdown, Ideal, MachineInput, MappedNetwork, PathContext, Setup};
use crate::sample_source::Segments;
use megasim_convert::{ConvertedModel, LabelledSamples};
use megasim_core::control::{Control, Outcomes, Part};
use megasim_core::encode::Clock;
use megasim_core::engine::machine::Pace;
use megasim_core::network::Network;
use megasim_core::parallel;
use megasim_data::Dataset;

/// Events of the stimuli that are kept for all points of a group; where there are more, each point makes its own.
const MOST_EVENTS: usize = 50_000_000;

/// What runs on the machine.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum MachineSubject<'a> {
    /// A network that can be converted anew, with samples.
    Converted {
        /// The network.
        converted: &'a ConvertedModel,
        /// Data with the samples to normalise with.
        data: &'a Dataset,
        /// Samples to run.
        samples: &'a LabelledSamples,
    },
    /// A network with its own stimuli; see [`MachineInput::segments`].
    Segments {
        /// The network.
        network: &'a Network,
        /// Its stimuli.
        segments: &'a Segments,
        /// They have no resets that would cut them.
        uncut: bool,
        /// The class of each segment, where it is known.
        labels: Option<&'a [usize]>,
        /// How long a tick is, where that is known.
        tick: Option<Duration>,
    },
}

/// A machine at each point, next to the ideal one.
pub(super) struct OnMachine<'a> {
    pub hardware: &'a Hardware,
    pub pace: Pace,
    /// As it is where it is not swept.
    pub clock: Clock,
    pub subject: &'a MachineSubject<'a>,
}

impl OnMachine<'_> {
    fn samples(&self) -> usize {
        match self.subject {
            MachineSubject::Converted { samples, .. } => samples.len(),
            MachineSubject::Segments { segments, .. } => segments.samples.len(),
        }
    }

    /// What the points of a group share.
    fn input(&self, prepared: Option<&Prepared>, conditions: &Conditions) -> Result<MachineInput, SweepError> {
        let Conditions { presentation, settings, .. } = conditions;
        let mut input = match (self.subject, prepared) {
            (MachineSubject::Converted { converted, samples, .. }, Some(prepared)) => {
                let Prepared { network, layout, output, form: _ } = prepared;
                let manifest = converted.manifest();
                MachineInput::converted(network.clone(), (layout, *output), manifest, samples, presentation)?
            }
            (MachineSubject::Converted { converted, samples, .. }, None) => {
                MachineInput::new(converted, samples, presentation)?
            }
            (MachineSubject::Segments { network, segments, uncut, labels, tick }, _) => {
                let (network, segments) = ((*network).clone(), (*segments).clone());
                MachineInput::segments(network, segments, *uncut, *tick, presentation.limits)?
                    .with_labels(labels.map(<[usize]>::to_vec))
            }
        };
        input.set(settings)?;
        input.keep_stimuli(MOST_EVENTS);
        Ok(input)
    }

    fn mapped(&self, input: &MachineInput, conditions: &Conditions) -> Result<MappedNetwork, SweepError> {
        let mut hardware = self.hardware.clone();
        for change in &conditions.changes {
            hardware = hardware.changed(change.clone())?;
        }
        Ok(input.on(&hardware)?)
    }

    fn pace(&self, conditions: &Conditions) -> Pace {
        conditions.pace.unwrap_or(self.pace)
    }

    /// What the ideal machine does, which is the same for all points of a group; none where `control` cancels.
    fn ideal(
        &self,
        input: &MachineInput,
        conditions: &Conditions,
        control: &dyn Control,
    ) -> Result<Option<Vec<Ideal>>, SweepError> {
        let mapped = self.mapped(input, conditions)?;
        let stimuli = |sample: usize| input.stimuli(sample, mapped.factor);
        Ok(input.setup(&mapped, &stimuli, self.pace(conditions), 0).ideal(control)?)
    }

    /// A point; none where `control` cancels.
    fn point(
        &self,
        input: &MachineInput,
        conditions: &Conditions,
        ideal: &[Ideal],
        control: &dyn Control,
    ) -> Result<Option<MachineFigures>, SweepError> {
        let mapped = self.mapped(input, conditions)?;
        let tick = mapped.resolved.tick.ok_or(SweepError::NoTick)?;
        let stimuli = |sample: usize| input.stimuli(sample, mapped.factor);
        let asked = input.setup(&mapped, &stimuli, self.pace(conditions), 0);
        let setup = Setup { ideal: Some(ideal), paths: 1, ..asked };
        let answer = setup.run(control)?;
        if answer.samples.len() < setup.samples {
            return Ok(None);
        }
        let busiest = Busiest::of(&setup, &answer);
        let bill = EnergyBreakdown::of(setup.network, &input.layers, setup.hardware, &answer.statistics);
        let labelled = input.labels.is_some();
        let places = PathContext { network: setup.network, layers: &input.layers, hardware: setup.hardware };
        let critical = Critical::of(&places, &answer);
        let found = (busiest.as_ref(), critical.as_ref());
        Ok(Some(MachineFigures::of(setup.network, &answer, &bill, found, tick, labelled)))
    }
}

impl Study for OnMachine<'_> {
    type Figures = MachineFigures;
    type Prepared = Option<Prepared>;

    /// Stimuli and the ideal machine are the same on all machines.
    fn shares(&self, parameter: &Parameter) -> bool {
        matches!(parameter, Parameter::Hardware(_) | Parameter::Pace)
    }

    /// Stimuli of one group at a time are in memory.
    const GROUPS_IN_PARALLEL: bool = false;

    fn units(&self, points: usize) -> usize {
        points * self.samples()
    }

    fn prepare(&self, points: &[&Conditions], control: &dyn Control) -> Result<Option<Prepared>, SweepError> {
        match *self.subject {
            MachineSubject::Converted { converted, data, .. } => {
                Origin { converted, data, clock: self.clock }.convert(points, control).map(Some)
            }
            MachineSubject::Segments { .. } => Ok(None),
        }
    }

    fn measure(
        &self,
        prepared: &Option<Prepared>,
        points: &[&Conditions],
        found: &(dyn Fn(usize, MachineFigures) -> Result<(), SweepError> + Sync),
        control: &dyn Control,
    ) -> Result<(), SweepError> {
        let input = self.input(prepared.as_ref(), points[0])?;
        if let Some(first) = points.first() {
            for warning in &self.mapped(&input, first)?.resolved.warnings {
                control.warn(warning);
            }
        }
        let Some(ideal) = self.ideal(&input, points[0], control)? else { return Ok(()) };
        let one = |at: usize| {
            let name = at.to_string();
            match self.point(&input, points[at], &ideal, &Part { control, name: &name })? {
                Some(figures) => found(at, figures),
                None => Ok(()),
            }
        };
        if control.outcomes().is_some_and(Outcomes::in_order) {
            return (0..points.len()).try_for_each(one);
        }
        parallel::try_for_each(0..points.len(), &one)
    }
}
