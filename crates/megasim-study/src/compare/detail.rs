//! One sample in full, for pictures: every spike of both sides, activations, and a few membrane potentials over time.

use super::sample_run::Pass;
use super::{Error, Part, Setup};
use crate::layers::FanOut;
use crate::showing::{NeuronSelection, Trace, Tracer, traced};
use megasim_core::engine::{Probes, Simulation};
use megasim_core::network::Stimulus;

/// One sample in full.
#[derive(Debug, Clone)]
pub struct SampleDetail {
    /// Its number.
    pub sample: u64,
    /// Its label.
    pub label: Option<usize>,
    /// What the sides decide.
    pub decisions: [Option<usize>; 2],
    /// Milliseconds of a tick.
    pub tick_ms: f64,
    /// Milliseconds whose spikes count in rates.
    pub counted_ms: f64,
    /// How long it is, in milliseconds.
    pub ms: f64,
    /// The layers.
    pub layers: Vec<LayerDetail>,
    /// Membrane potentials of the shown neurons, or of those that spike most, on the left side.
    pub traces: Vec<Trace>,
}

/// One layer of it.
#[derive(Debug, Clone)]
pub struct LayerDetail {
    /// Spikes of each cell on each side.
    pub counts: [Vec<u32>; 2],
    /// Every spike of each side, in order of time.
    pub spikes: [Vec<Part>; 2],
    /// Activations as rates, in spikes per millisecond.
    pub analog: Option<Vec<f32>>,
}

impl Setup<'_> {
    /// Runs one sample and keeps everything of it; potentials are of `shown`.
    ///
    /// # Errors
    /// As [`Setup::run`].
    pub fn detail(&self, sample: usize, shown: &[NeuronSelection]) -> Result<SampleDetail, Error> {
        let scale = self.scale();
        let stimuli = self.stimuli(sample)?;
        let number = self.sample_source.number(sample);
        let failed = |run: &str| {
            let run = run.to_string();
            move |source| Error::Run { sample: number, run, source }
        };
        let pass = |run: &super::Run| -> Result<Pass, Error> {
            let plan = self.plan(run)?;
            let mut simulation = Simulation::new(&plan, run.mode, &Probes::all(run.network));
            let record = simulation.run(&stimuli).map_err(failed(run.name))?;
            let mut pass = Pass::new(self.layers, self.decides(), &scale, &record, &FanOut::new(run.network));
            pass.decide_at_the_end(self.decides(), run.network, &record, &simulation);
            Ok(pass)
        };
        let (left, right) = (pass(&self.left)?, pass(&self.right)?);
        let decisions = [left.decision(), right.decision()];
        let analog = self.analog.map(|analog| analog.sample(sample)).transpose()?;
        let traces = self.traces(&left, &stimuli, shown).map_err(failed(self.left.name))?;
        let layers = left.layers.into_iter().zip(right.layers).enumerate().map(|(k, (left, right))| LayerDetail {
            counts: [left.counts, right.counts],
            spikes: [left.spikes, right.spikes],
            analog: analog.as_ref().and_then(|layers| layers.get(k)).cloned(),
        });
        Ok(SampleDetail {
            sample: number,
            label: self.output.and_then(|output| output.labels).and_then(|labels| labels.get(sample)).copied(),
            decisions,
            tick_ms: 1.0 / scale.ticks_per_ms as f64,
            counted_ms: scale.counted_ms(),
            ms: scale.ticks as f64 / scale.ticks_per_ms as f64,
            layers: layers.collect(),
            traces,
        })
    }

    /// Potentials on the left side.
    fn traces(
        &self,
        pass: &Pass,
        stimuli: &[Stimulus],
        shown: &[NeuronSelection],
    ) -> Result<Vec<Trace>, megasim_core::engine::Error> {
        let counts: Vec<&[u32]> = pass.layers.iter().map(|layer| &layer.counts[..]).collect();
        let mut tracer = Tracer::new(self.left.network, self.layers, &traced(shown, &counts));
        let plan = self.plan(&self.left)?;
        let mut simulation = Simulation::new(&plan, self.left.mode, &Probes::none());
        simulation.run_until(stimuli, |progress| {
            tracer.look(progress);
            false
        })?;
        Ok(tracer.finish())
    }
}
