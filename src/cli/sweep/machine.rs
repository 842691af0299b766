//! Points on a machine.

use super::parameters::{Conditions, Parameter};
use super::work::{Origin, Prepared, Study};
use crate::cli::diagnostic::{self, report};
use crate::cli::input::{InputArgs, SchematicInput};
use crate::cli::latency::opened::{Opened, Staged};
use crate::cli::tables::{boxed, engineering, percent, percents};
use megasim::Control;
use megasim::convert::LabelledSamples;
use megasim::engine::machine::Pace;
use megasim::hardware::{Duration, Hardware};
use megasim::report::{Section, sweep as pages};
use megasim::study::latency::{Bill, Busiest, Ideal, Question, Spread};
use megasim::study::sweep::{MachineFigures, Sweep};
use miette::{Result, bail};
use rayon::prelude::*;

/// Events of the stimuli that are kept for all points of a group; where there are more, each point makes its own.
const MOST_EVENTS: usize = 50_000_000;

/// A machine at each point, beside the ideal one.
pub struct OnMachine<'a> {
    pub hardware: &'a Hardware,
    pub pace: Pace,
    pub basis: Basis<'a>,
}

/// What is run.
pub enum Basis<'a> {
    /// A network that can be converted anew, with its test samples.
    Converted(&'a Origin<'a>, &'a LabelledSamples),
    /// A schematic with its own stimuli, in ticks of that length.
    Schematic { given: &'a InputArgs, schematic: &'a SchematicInput, tick: Option<Duration> },
}

impl OnMachine<'_> {
    fn samples(&self) -> usize {
        match &self.basis {
            Basis::Converted(_, samples) => samples.len(),
            Basis::Schematic { schematic, .. } => schematic.pieces.samples.len(),
        }
    }

    /// What the points of a group share.
    fn open(&self, prepared: Option<&Prepared>, conditions: &Conditions) -> Result<Opened> {
        let Conditions { presentation, settings, .. } = conditions;
        let mut opened = match (&self.basis, prepared) {
            (Basis::Converted(origin, samples), Some(prepared)) => {
                let Prepared { network, layout, output } = prepared;
                let manifest = origin.converted.manifest();
                Opened::converted(network.clone(), (layout, *output), manifest, samples, presentation)?
            }
            (Basis::Converted(origin, samples), None) => {
                let Origin { converted, .. } = **origin;
                let (network, output) = (converted.network().clone(), (converted.layout(), converted.output()));
                Opened::converted(network, output, converted.manifest(), samples, presentation)?
            }
            (Basis::Schematic { given, schematic, tick }, _) => {
                Opened::schematic((*schematic).clone(), given, presentation, *tick)?
            }
        };
        opened.set(settings)?;
        opened.keep_stimuli(MOST_EVENTS);
        Ok(opened)
    }

    fn staged(&self, opened: &Opened, conditions: &Conditions) -> Result<Staged> {
        let mut hardware = self.hardware.clone();
        for change in &conditions.changes {
            hardware = hardware.changed(change.clone()).map_err(|error| diagnostic::hardware(&error))?;
        }
        opened.on(&hardware)
    }

    fn pace(&self, conditions: &Conditions) -> Pace {
        conditions.pace.unwrap_or(self.pace)
    }

    /// What the ideal machine does, which is the same beside all points of a group; none where somebody asked to stop.
    fn ideal(&self, opened: &Opened, conditions: &Conditions, control: &dyn Control) -> Result<Option<Vec<Ideal>>> {
        let staged = self.staged(opened, conditions)?;
        let stimuli = |sample: usize| opened.stimuli(sample, staged.factor);
        let question = opened.question(&staged, &stimuli, self.pace(conditions), 0);
        question.ideal(control).map_err(report)
    }

    /// A point; none where somebody asked to stop.
    fn point(
        &self,
        opened: &Opened,
        conditions: &Conditions,
        ideal: &[Ideal],
        control: &dyn Control,
    ) -> Result<Option<MachineFigures>> {
        let staged = self.staged(opened, conditions)?;
        let Some(tick) = staged.resolved.tick else {
            bail!("expected to know how long a tick is; --tick TIME says it of a schematic");
        };
        let stimuli = |sample: usize| opened.stimuli(sample, staged.factor);
        let question = Question { ideal: Some(ideal), ..opened.question(&staged, &stimuli, self.pace(conditions), 0) };
        let answer = question.answer(control).map_err(report)?;
        if answer.samples.len() < question.samples {
            return Ok(None);
        }
        let busiest = Busiest::of(&question, &answer);
        let bill = Bill::of(question.network, &opened.layers, question.hardware, &answer.statistics);
        let labelled = opened.labels.is_some();
        Ok(Some(MachineFigures::of(question.network, &answer, &bill, busiest.as_ref(), tick, labelled)))
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

    fn runs(&self, points: usize) -> usize {
        points * self.samples()
    }

    fn prepare(&self, points: &[&Conditions]) -> Result<Option<Prepared>> {
        match &self.basis {
            Basis::Converted(origin, _) => origin.convert(points).map(Some),
            Basis::Schematic { .. } => Ok(None),
        }
    }

    fn measure(
        &self,
        prepared: &Option<Prepared>,
        points: &[&Conditions],
        found: &(dyn Fn(usize, MachineFigures) -> Result<()> + Sync),
        control: &dyn Control,
    ) -> Result<()> {
        let opened = self.open(prepared.as_ref(), points[0])?;
        let Some(ideal) = self.ideal(&opened, points[0], control)? else { return Ok(()) };
        points.par_iter().enumerate().try_for_each(|(at, conditions)| {
            match self.point(&opened, conditions, &ideal, control)? {
                Some(figures) => found(at, figures),
                None => Ok(()),
            }
        })
    }

    fn table(&self, sweep: &Sweep<MachineFigures>) -> String {
        let mut header: Vec<&str> = sweep.parameters.iter().map(|axis| axis.name.as_str()).collect();
        header.extend([
            "accuracy",
            "95 % interval",
            "as ideal",
            "first output",
            "decision",
            "last work",
            "samples/s",
            "total energy/sample",
            "busiest",
            "busy",
        ]);
        let rows = sweep.points.iter().map(|point| {
            let of = &point.figures;
            let mut row = point.values.clone();
            let mean = |spread: &Option<Spread>| spread.map_or("-".into(), |it| engineering(it.mean, "s"));
            let (name, busy) = match &of.busiest {
                Some(it) => (format!("{}, {}", it.name, it.cause), percent(it.utilisation)),
                None => ("-".into(), "-".into()),
            };
            row.extend([
                of.accuracy.map_or("-".into(), |it| percent(it.share)),
                of.accuracy.map_or("-".into(), |it| percents(it.interval)),
                percent(of.as_ideal),
                mean(&of.first_spike),
                mean(&of.settled),
                mean(&of.last_work),
                engineering(of.samples_per_second, ""),
                engineering(of.energy, "J"),
                name,
                busy,
            ]);
            row
        });
        let mut text = format!(
            "{}\nfirst output, decision (that stays), last work: means, from the first input; total energy: static \
                power included\n",
            boxed(&header, rows)
        );
        let stuck: usize = sweep.points.iter().map(|point| point.figures.deadlocks).sum();
        if let Some(remark) = MachineFigures::left_over(sweep.points.iter().map(|point| &point.figures)) {
            text += &format!("{remark}\n");
        }
        if stuck > 0 {
            text += &format!("Deadlock in {stuck} samples of all points.\n");
        }
        text
    }

    fn section(&self, sweep: &Sweep<MachineFigures>) -> Result<Section, megasim::report::Error> {
        pages::machine_section(sweep, false)
    }
}
