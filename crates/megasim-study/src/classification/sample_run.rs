//! One sample in full, one mode, for pictures: every spike, and potentials of some neurons.

use super::{Error, Outcome, Seen, Setup, Watched, look_at};
use crate::compare::Part;
use crate::compare::sample_run::{Pass, Scale};
use crate::layers::{FanOut, Layer};
use crate::showing::{NeuronSelection, Trace, traced};
use megasim_core::encode::SampleNumbers;
use megasim_core::engine::{Mode, Probes, Record};
use megasim_core::network::Network;
use ndarray::{ArrayView2, s};
use serde::{Deserialize, Serialize};

/// One sample in one mode.
#[derive(Debug, Clone, Default)]
pub struct SampleRun {
    /// Its spikes, layer by layer, in order of time.
    pub spikes: Vec<Vec<Part>>,
    /// Membrane potentials, where they were asked for.
    pub traces: Vec<Trace>,
}

/// Spikes of each cell and all of them, by layer.
#[derive(Serialize, Deserialize)]
struct Layers {
    counts: Vec<Vec<u32>>,
    spikes: Vec<Vec<Part>>,
}

/// Shows the sample in row `sample` of `samples`, `(samples, numbers)`, once as [`outcomes`](super::outcomes()) does,
/// stops included, and, where `shown` is there, once more to follow the potentials of these neurons, or of those that
/// spike most.
///
/// # Errors
/// As of [`outcomes`](super::outcomes()).
pub fn sample_run(
    setup: &Setup,
    layers: &[Layer],
    (samples, numbers): (ArrayView2<f32>, &SampleNumbers),
    sample: usize,
    mode: Mode,
    shown: Option<&[NeuronSelection]>,
) -> Result<SampleRun, Error> {
    let values = samples.slice(s![sample..=sample, ..]);
    let numbers = SampleNumbers::from(numbers.number(sample));
    let scale = Scale::new(setup.clock.ticks(), setup.clock.ticks_per_ms, 0);
    let of_layers = |_: usize, network: &Network, (_, record): (&Outcome, &Record), _: Seen| {
        let pass = Pass::new(layers, None, &scale, record, &FanOut::new(network));
        let (counts, spikes) = pass.layers.into_iter().map(|layer| (layer.counts, layer.spikes)).unzip();
        Layers { counts, spikes }
    };
    let probes = Probes::all(setup.network);
    let all = look_at(setup, values, &numbers, (mode, &probes, &Watched::Nothing), of_layers, &())?;
    let Some((_, Layers { counts, spikes })) = all.into_iter().next() else { return Ok(SampleRun::default()) };
    let Some(shown) = shown else { return Ok(SampleRun { spikes, traces: Vec::new() }) };
    let counts: Vec<&[u32]> = counts.iter().map(Vec::as_slice).collect();
    let cells = traced(shown, &counts);
    let watched = Watched::Cells { layers, cells: &cells };
    let traces = |_: usize, _: &Network, _: (&Outcome, &Record), seen: Seen| seen.cells;
    let all = look_at(setup, values, &numbers, (mode, &Probes::of(&[setup.output]), &watched), traces, &())?;
    let traces = all.into_iter().next().map(|(_, traces)| traces).unwrap_or_default();
    Ok(SampleRun { spikes, traces })
}
