//! How samples go on in time, one mode: wrong decisions, operations and spikes so far.

use super::{Error, Outcome, Setup, Watched, look_at};
use crate::compare::sample_run::{Decides, Pass, Scale};
use crate::layers::{FanOut, Layer};
use megasim_core::control::{Control, Part as Named};
use megasim_core::encode::SampleNumbers;
use megasim_core::engine::{Mode, Probes, Record};
use megasim_core::network::Network;
use megasim_core::readout::ReadOut;
use ndarray::ArrayView2;
use serde::{Deserialize, Serialize};

/// Samples over time, in means; the point at `ms[k]` tells of the time up to then.
#[derive(Debug, Clone, Default)]
pub struct Course {
    /// Ends of the points, in milliseconds.
    pub ms: Vec<f64>,
    /// Share of wrong decisions on what came until then; none where potentials decide, which are read at the end only.
    pub error: Option<Vec<f64>>,
    /// Weights added to potentials so far, per sample.
    pub operations: Vec<f64>,
    /// Spikes of all layers so far, per sample.
    pub spikes: Vec<f64>,
}

/// What one sample gave, at each point.
#[derive(Serialize, Deserialize)]
struct Seen {
    operations: Vec<u64>,
    spikes: Vec<u64>,
    wrong: Vec<bool>,
}

/// Shows samples as [`outcomes`](super::outcomes()) does, stops included, with everything recorded.
///
/// # Errors
/// As of [`outcomes`](super::outcomes()).
pub fn course(
    setup: &Setup,
    layers: &[Layer],
    samples: ArrayView2<f32>,
    labels: &[usize],
    numbers: &SampleNumbers,
    mode: Mode,
    control: &dyn Control,
) -> Result<Course, Error> {
    let scale = Scale::new(setup.clock.ticks(), setup.clock.ticks_per_ms, 0);
    let decides = Decides { node: setup.output, classes: setup.classes, read_out: setup.read_out };
    let fan = FanOut::new(setup.network);
    let probes = Probes::all(setup.network);
    let look = |k: usize, network: &Network, (_, record): (&Outcome, &Record), _: super::Seen| {
        // Values as currents give each sample its own network.
        let own = setup.code.is_current().then(|| FanOut::new(network));
        let pass = Pass::new(layers, Some(decides), &scale, record, own.as_ref().unwrap_or(&fan));
        let wrong = pass.decisions.iter().map(|decision| *decision != labels.get(k).copied()).collect();
        Seen { operations: pass.operations, spikes: pass.spikes, wrong }
    };
    let control = Named { control, name: "course" };
    let all = look_at(setup, samples, numbers, (mode, &probes, &Watched::Nothing), look, &control)?;
    let n = all.len().max(1) as f64;
    let so_far = |get: fn(&Seen) -> &[u64]| {
        let mut sum = 0;
        let points = (0..scale.points).map(|point| {
            sum += all.iter().map(|(_, seen)| get(seen)[point]).sum::<u64>();
            sum as f64 / n
        });
        points.collect::<Vec<_>>()
    };
    let error = (0..scale.points).map(|point| all.iter().filter(|(_, seen)| seen.wrong[point]).count() as f64 / n);
    Ok(Course {
        ms: scale.ends(),
        error: (!matches!(setup.read_out, ReadOut::MembranePotential { .. })).then(|| error.collect()),
        operations: so_far(|seen| &seen.operations),
        spikes: so_far(|seen| &seen.spikes),
    })
}
