//! Which points are left, what they share, and their measuring in parallel.

use super::conversion::Conversion;
use super::error::SweepError;
use super::parameters::{Conditions, Over, Parameter};
use super::plan::{PlannedPoint, SweepPlan};
use super::{Axis, Point, Sweep};
use megasim_convert::settings::Setting;
use megasim_convert::{ConvertOptions, ConvertedModel, OutputForm, conversion};
use megasim_core::control::{Control, Outcomes, Part, Uncounted};
use megasim_core::encode::{Clock, InputMap};
use megasim_core::network::{Network, NodeId};
use megasim_core::parallel;
use megasim_data::Dataset;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Where the points of a sweep are kept while it runs. `()` keeps nothing.
pub trait Store<F>: Sync {
    /// Points of an earlier run of this sweep, which are not measured again.
    fn earlier(&self) -> &[Point<F>] {
        &[]
    }

    /// Keeps the points that are done; `planned` is how many there will be.
    ///
    /// # Errors
    /// If they cannot be kept, which ends the sweep.
    fn keep(&self, _done: &Sweep<F>, _planned: usize) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        Ok(())
    }
}

impl<F> Store<F> for () {}

/// How points are measured.
pub(super) trait Study: Sync {
    /// What a point gives.
    type Figures: Clone + Send + Sync;

    /// What points of one conversion share.
    type Prepared: Sync;

    /// Converts anew, where that is swept, for points of the same conversion.
    fn prepare(&self, points: &[&Conditions], control: &dyn Control) -> Result<Self::Prepared, SweepError>;

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
        found: &(dyn Fn(usize, Self::Figures) -> Result<(), SweepError> + Sync),
        control: &dyn Control,
    ) -> Result<(), SweepError>;

    /// How many units of progress a group of that many points has.
    fn units(&self, points: usize) -> usize;
}

/// A network to be run, as it was converted for some points.
pub(super) struct Prepared {
    pub network: Network,
    pub layout: InputMap,
    pub output: NodeId,
    /// What the output does.
    pub form: OutputForm,
}

/// Where networks come from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Origin<'a> {
    pub converted: &'a ConvertedModel,
    pub data: &'a Dataset,
    /// As it is where it is not swept.
    pub clock: Clock,
}

impl Origin<'_> {
    /// The network of points of one conversion: the one at hand where nothing of it is swept.
    pub fn convert(&self, points: &[&Conditions], control: &dyn Control) -> Result<Prepared, SweepError> {
        let Self { converted, .. } = *self;
        for Conditions { presentation, dt, .. } in points {
            let checked = converted.check_presentation(presentation.clock(), &presentation.encode, *dt);
            checked.map_err(SweepError::Coded)?;
        }
        let mut clocks: Vec<Clock> = Vec::new();
        for clock in points.iter().map(|point| point.presentation.clock()) {
            if clocks.iter().all(|known| known.ticks_per_ms != clock.ticks_per_ms) {
                clocks.push(clock);
            }
        }
        let conversion = points.first().map(|point| &point.conversion).filter(|conversion| !conversion.is_empty());
        let Some(conversion) = conversion else {
            // Callers know about that of the presentation.
            clocks.iter().filter(|clock| clock.ticks_per_ms != self.clock.ticks_per_ms).for_each(|&clock| {
                converted.clock_warnings(clock).for_each(|warning| control.warn(&warning));
            });
            let (network, layout) = (converted.network().clone(), converted.layout().clone());
            return Ok(Prepared {
                network,
                layout,
                output: converted.output(),
                form: converted.manifest().output.form,
            });
        };
        let options = self.options(conversion, control)?;
        let Some(model) = converted.model() else {
            return Err(SweepError::NotTrained(conversion.name().to_string()));
        };
        let again = conversion::again(model, self.data, &options, &Uncounted(control))?;
        let name = conversion.name();
        again.warnings.iter().for_each(|warning| control.warn(&format!("--over {name}: {warning}")));
        for warning in clocks.iter().flat_map(|&clock| again.converted.clock_warnings(clock)) {
            control.warn(&format!("--over {name}: {warning}"));
        }
        let (network, layout) = (again.converted.network().clone(), again.converted.layout().clone());
        let (output, form) = (again.converted.output(), again.converted.manifest().output.form);
        Ok(Prepared { network, layout, output, form })
    }

    /// The options of the netfiles with what a point changes of them.
    fn options(&self, conversion: &Conversion, control: &dyn Control) -> Result<ConvertOptions, SweepError> {
        let manifest = self.converted.manifest();
        let name = conversion.name();
        let mut options = manifest.options();
        // What 'convert --set' set is part of the conversion.
        for setting in &manifest.conversion.settings {
            let parsed: Setting = setting.parse().map_err(|message| SweepError::ManifestSetting {
                name: name.to_string(),
                setting: setting.clone(),
                message,
            })?;
            options.settings.push(parsed);
        }
        if conversion.scales() && !options.settings.is_empty() {
            control.warn(&format!(
                "--over {name}: parameters that 'convert' set as integers stay as they are: {}",
                manifest.conversion.settings.join(", ")
            ));
        }
        conversion.apply(&mut options)?;
        Ok(options)
    }
}

/// Measures the points that are not done yet. Those of one conversion share it.
pub(super) fn run<S: Study>(
    study: &S,
    plan: &SweepPlan,
    store: &dyn Store<S::Figures>,
    control: &dyn Control,
) -> Result<Sweep<S::Figures>, SweepError> {
    let known = |point: &PlannedPoint| store.earlier().iter().find(|known| known.values == point.values).cloned();
    let done: BTreeMap<usize, Point<S::Figures>> =
        plan.points.iter().enumerate().filter_map(|(k, point)| Some((k, known(point)?))).collect();
    let work = Work { study, over: &plan.options.over, points: &plan.points, store };
    let groups = work.groups(&done);
    control.start("sweep", groups.iter().map(|group| study.units(group.len())).sum());
    let done = Mutex::new(done);
    let mut conversions: Vec<&Conversion> = Vec::new();
    for group in &groups {
        let conversion = plan.points[group[0]].conversion();
        if !conversions.contains(&conversion) {
            conversions.push(conversion);
        }
    }
    for conversion in conversions {
        if control.is_cancelled() {
            break;
        }
        let of: Vec<_> = groups.iter().filter(|group| plan.points[group[0]].conversion() == conversion).collect();
        let conditions: Vec<_> =
            of.iter().flat_map(|group| group.iter()).map(|&k| &plan.points[k].conditions).collect();
        let prepared = study.prepare(&conditions, control)?;
        let measure = |group: usize| work.measure(&prepared, of[group], &done, control);
        let in_order = control.outcomes().is_some_and(Outcomes::in_order);
        match S::GROUPS_IN_PARALLEL && !in_order {
            true => parallel::try_for_each(0..of.len(), &measure)?,
            false => (0..of.len()).try_for_each(measure)?,
        }
    }
    let done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    let sweep = work.sweep(&done);
    if sweep.points.is_empty() {
        return Err(SweepError::Cancelled);
    }
    store.keep(&sweep, plan.points.len()).map_err(SweepError::Store)?;
    Ok(sweep)
}

/// All points of a sweep.
struct Work<'a, S: Study> {
    study: &'a S,
    over: &'a [Over],
    points: &'a [PlannedPoint],
    store: &'a dyn Store<S::Figures>,
}

impl<S: Study> Work<'_, S> {
    fn sweep(&self, done: &BTreeMap<usize, Point<S::Figures>>) -> Sweep<S::Figures> {
        let axis = |over: &Over| Axis { name: over.name.clone(), logarithmic: over.values.contains("log:") };
        Sweep { parameters: self.over.iter().map(axis).collect(), points: done.values().cloned().collect() }
    }

    /// Points that differ in shared parameters only, those that are done left out.
    fn groups(&self, done: &BTreeMap<usize, Point<S::Figures>>) -> Vec<Vec<usize>> {
        let mut groups: BTreeMap<(Vec<&String>, &str), Vec<usize>> = BTreeMap::new();
        for (k, planned) in self.points.iter().enumerate().filter(|(k, _)| !done.contains_key(k)) {
            let others = planned.values.iter().zip(self.over).filter(|(_, over)| !self.study.shares(&over.parameter));
            let others = others.map(|(value, _)| value).collect();
            groups.entry((others, planned.conversion().name())).or_default().push(k);
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
    ) -> Result<(), SweepError> {
        if control.is_cancelled() {
            return Ok(());
        }
        let points: Vec<&Conditions> = group.iter().map(|&k| &self.points[k].conditions).collect();
        let found = |at: usize, figures: S::Figures| {
            // A poisoned lock is one whose holder panicked, which ends the work anyway.
            let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
            let k = group[at];
            done.insert(k, Point { values: self.points[k].values.clone(), figures });
            self.store.keep(&self.sweep(&done), self.points.len()).map_err(SweepError::Store)
        };
        let values: Vec<String> = group.iter().map(|&k| self.points[k].values.join(",")).collect();
        self.study.measure(prepared, &points, &found, &Part { control, name: &values.join(" ") })
    }
}
