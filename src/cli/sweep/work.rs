//! Which points are left, what they share, and their measuring in parallel.

use super::Planned;
use super::files::Files;
use super::parameters::{Conditions, Conversion, Over, Parameter};
use crate::cli::diagnostic::report;
use crate::cli::input::ticks_warnings;
use crate::cli::progress::Progress;
use crate::cli::{escape, interrupt};
use megasim::Control;
use megasim::convert::settings::Setting;
use megasim::convert::{ConvertOptions, ConvertedModel, conversion};
use megasim::dataset::Dataset;
use megasim::encode::{Clock, InputMap};
use megasim::network::{Network, NodeId};
use megasim::report::Section;
use megasim::study::sweep::{Axis, Measured, Point, Sweep};
use miette::Result;
use rayon::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// How points are measured.
pub trait Study: Sync {
    /// What a point gives.
    type Figures: Measured + Serialize + DeserializeOwned + Clone + Send + Sync;

    /// What points of one conversion share.
    type Prepared: Sync;

    /// Converts anew, where that is swept, for points of the same conversion.
    fn prepare(&self, points: &[&Conditions]) -> Result<Self::Prepared>;

    /// Whether points that differ in this parameter only are measured together.
    fn shares(&self, parameter: &Parameter) -> bool;

    /// Whether groups of such points are measured at the same time, or one after the other, each of them in parallel.
    const GROUPS_IN_PARALLEL: bool;

    /// Measures points that differ in shared parameters only. `found` takes what each gives; where `control` cancels,
    /// not of all. `control` counts runs of samples.
    fn measure(
        &self,
        prepared: &Self::Prepared,
        points: &[&Conditions],
        found: &(dyn Fn(usize, Self::Figures) -> Result<()> + Sync),
        control: &dyn Control,
    ) -> Result<()>;

    /// How often `done` is called for a group of so many points.
    fn runs(&self, points: usize) -> usize;

    /// The points, for a person.
    fn table(&self, sweep: &Sweep<Self::Figures>) -> String;

    /// Their pictures.
    fn section(&self, sweep: &Sweep<Self::Figures>) -> Result<Section, megasim::report::Error>;
}

/// A network to be run, as it was converted for some points.
pub struct Prepared {
    pub network: Network,
    pub layout: InputMap,
    pub output: NodeId,
}

/// Where networks come from.
pub struct Origin<'a> {
    pub converted: &'a ConvertedModel,
    pub dataset: &'a Dataset,
    /// As the command line says.
    pub clock: Clock,
}

impl Origin<'_> {
    /// The network of points of one conversion: the one at hand where nothing of it is swept.
    pub fn convert(&self, points: &[&Conditions]) -> Result<Prepared> {
        let Self { converted, .. } = *self;
        let mut clocks: Vec<Clock> = Vec::new();
        for clock in points.iter().map(|point| point.presentation.clock()) {
            if clocks.iter().all(|known| known.ticks_per_ms != clock.ticks_per_ms) {
                clocks.push(clock);
            }
        }
        let conversion = points.first().map(|point| &point.conversion).filter(|conversion| !conversion.is_empty());
        let Some(conversion) = conversion else {
            // Of the one that is given on the command line it was said already.
            clocks.iter().filter(|clock| clock.ticks_per_ms != self.clock.ticks_per_ms).for_each(|&clock| {
                ticks_warnings(converted, clock).for_each(escape::warn);
            });
            let (network, layout) = (converted.network().clone(), converted.layout().clone());
            return Ok(Prepared { network, layout, output: converted.output() });
        };
        let options = self.options(conversion)?;
        let again = conversion::again(converted.model(), self.dataset, &options, &()).map_err(report)?;
        let name = conversion.name();
        for warning in &again.warnings {
            escape::warn(format_args!("--over {name}: {warning}"));
        }
        for warning in clocks.iter().flat_map(|&clock| ticks_warnings(&again.converted, clock)) {
            escape::warn(format_args!("--over {name}: {warning}"));
        }
        let (network, layout) = (again.converted.network().clone(), again.converted.layout().clone());
        Ok(Prepared { network, layout, output: again.converted.output() })
    }

    /// The options of the netfiles with what a point changes of them.
    fn options(&self, conversion: &Conversion) -> Result<ConvertOptions> {
        let manifest = self.converted.manifest();
        let name = conversion.name();
        let mut options = manifest.options();
        // What 'convert --set' set is part of the conversion.
        for setting in &manifest.conversion.settings {
            let parsed: Setting = setting.parse().map_err(|error| {
                miette::miette!(
                    "--over {name}: {setting}: {error}; of neurons with equations of a file no conversion can be swept"
                )
            })?;
            options.settings.push(parsed);
        }
        if conversion.scales() && !options.settings.is_empty() {
            escape::warn(format_args!(
                "--over {name}: parameters that 'convert' set as integers stay as they are: {}",
                manifest.conversion.settings.join(", ")
            ));
        }
        conversion.apply(&mut options)?;
        Ok(options)
    }
}

/// All points of a sweep.
pub struct Work<'a, S: Study> {
    pub study: &'a S,
    pub over: &'a [Over],
    pub points: &'a [Planned],
    pub files: &'a Files<S::Figures>,
}

impl<S: Study> Work<'_, S> {
    /// Measures the points that are not done yet. Those of one conversion share it.
    pub fn run(&self) -> Result<Sweep<S::Figures>> {
        let done: BTreeMap<usize, Point<S::Figures>> = self
            .points
            .iter()
            .enumerate()
            .filter_map(|(k, planned)| {
                Some((k, self.files.earlier.iter().find(|point| point.values == planned.values)?.clone()))
            })
            .collect();
        let groups = self.groups(&done);
        let progress = Progress::of("sweep", groups.iter().map(|group| self.study.runs(group.len())).sum());
        let done = Mutex::new(done);
        let mut conversions: Vec<&Conversion> = Vec::new();
        for group in &groups {
            let conversion = &self.points[group[0]].conditions.conversion;
            if !conversions.contains(&conversion) {
                conversions.push(conversion);
            }
        }
        for conversion in conversions {
            if interrupt::asked() {
                break;
            }
            let of: Vec<_> =
                groups.iter().filter(|group| self.points[group[0]].conditions.conversion == *conversion).collect();
            let conditions: Vec<_> =
                of.iter().flat_map(|group| group.iter()).map(|&k| &self.points[k].conditions).collect();
            let prepared = self.study.prepare(&conditions)?;
            let measure = |group: &&Vec<usize>| self.measure(&prepared, group, &done, &progress);
            match S::GROUPS_IN_PARALLEL {
                true => of.par_iter().try_for_each(measure)?,
                false => of.iter().try_for_each(measure)?,
            }
        }
        drop(progress);
        let done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
        let sweep = self.sweep(&done);
        if !sweep.points.is_empty() {
            self.files.write(&sweep, self.points.len())?;
            self.files.record()?;
        }
        Ok(sweep)
    }

    fn sweep(&self, done: &BTreeMap<usize, Point<S::Figures>>) -> Sweep<S::Figures> {
        let axis = |over: &Over| Axis { name: over.name.clone(), logarithmic: over.values.contains("log:") };
        Sweep { parameters: self.over.iter().map(axis).collect(), points: done.values().cloned().collect() }
    }

    /// Points that differ in shared parameters only, those that are done left out.
    fn groups(&self, done: &BTreeMap<usize, Point<S::Figures>>) -> Vec<Vec<usize>> {
        let mut groups: BTreeMap<Vec<&String>, Vec<usize>> = BTreeMap::new();
        for (k, planned) in self.points.iter().enumerate().filter(|(k, _)| !done.contains_key(k)) {
            let others = planned.values.iter().zip(self.over).filter(|(_, over)| !self.study.shares(&over.parameter));
            groups.entry(others.map(|(value, _)| value).collect()).or_default().push(k);
        }
        let mut groups: Vec<_> = groups.into_values().collect();
        groups.sort();
        groups
    }

    fn measure(
        &self,
        prepared: &S::Prepared,
        group: &[usize],
        done: &Mutex<BTreeMap<usize, Point<S::Figures>>>,
        control: &dyn Control,
    ) -> Result<()> {
        if interrupt::asked() {
            return Ok(());
        }
        let points: Vec<&Conditions> = group.iter().map(|&k| &self.points[k].conditions).collect();
        let found = |at: usize, figures: S::Figures| {
            // A poisoned lock is one whose holder panicked, which ends the program anyway.
            let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
            let k = group[at];
            done.insert(k, Point { values: self.points[k].values.clone(), figures });
            self.files.write(&self.sweep(&done), self.points.len())
        };
        self.study.measure(prepared, &points, &found, control)
    }
}
