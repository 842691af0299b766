//! Sweeps, run.

use super::both_modes::BothModes;
use super::error::SweepError;
use super::on_machine::{MachineSubject, OnMachine};
use super::plan::{SweepOptions, SweepPlan};
use super::study::{self, Origin, Store};
use super::{Figures, MachineFigures, Sweep};
use megasim_convert::{ConvertedModel, LabelledSamples};
use megasim_core::control::Control;
use megasim_data::Dataset;

impl SweepPlan {
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
        let origin = Origin { converted, data, clock: self.options.presentation.clock() };
        study::run(&BothModes { origin: &origin, samples }, self, store, control)
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
        let study = OnMachine { hardware, pace: self.options.pace, clock, subject };
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
