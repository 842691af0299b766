//! One sample in full, for pictures: every spike of both sides, activations, and a few membrane potentials over time.

use super::trial::Pass;
use super::{Error, Part, Question};
use crate::layers::{FanOut, Place};
use megasim_core::engine::{Probes, Simulation};
use megasim_core::network::{Driver, Input, Tick};

/// Potentials of a neuron that are kept, at most.
const MOST_POINTS: usize = 2000;

/// One sample in full.
#[derive(Debug, Clone)]
pub struct Exhibit {
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
    pub layers: Vec<ExhibitLayer>,
    /// Membrane potentials of the neurons that spike most, one per layer, on the left side.
    pub traces: Vec<Trace>,
}

/// One layer of it.
#[derive(Debug, Clone)]
pub struct ExhibitLayer {
    /// Spikes of each cell on each side.
    pub counts: [Vec<u32>; 2],
    /// Every spike of each side, in order of time.
    pub spikes: [Vec<Part>; 2],
    /// Activations as rates, in spikes per millisecond.
    pub analog: Option<Vec<f32>>,
}

/// The membrane potential of one neuron.
#[derive(Debug, Clone)]
pub struct Trace {
    /// Name of its layer.
    pub layer: String,
    /// Where it is.
    pub place: Place,
    /// `THplus`.
    pub threshold: i32,
    /// Time in ticks, and potential from then on.
    pub points: Vec<(Tick, i32)>,
}

impl Question<'_> {
    /// Runs one sample and keeps everything of it.
    ///
    /// # Errors
    /// As [`Question::answer`].
    pub fn exhibit(&self, sample: usize) -> Result<Exhibit, Error> {
        let scale = self.scale();
        let stimuli = self.stimuli(sample)?;
        let number = self.material.number(sample);
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
        let traces = self.traces(&left, &stimuli).map_err(failed(self.left.name))?;
        let layers = left.layers.into_iter().zip(right.layers).enumerate().map(|(k, (left, right))| ExhibitLayer {
            counts: [left.counts, right.counts],
            spikes: [left.spikes, right.spikes],
            analog: analog.as_ref().and_then(|layers| layers.get(k)).cloned(),
        });
        Ok(Exhibit {
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

    /// The potential of the busiest neuron of each layer that has one.
    fn traces(
        &self,
        pass: &Pass,
        stimuli: &[megasim_core::network::Stimulus],
    ) -> Result<Vec<Trace>, megasim_core::engine::Error> {
        let network = self.left.network;
        let plan = self.plan(&self.left)?;
        let mut traces = Vec::new();
        let mut neurons = Vec::new();
        for (layer, of) in self.layers.iter().zip(&pass.layers) {
            let Some(busiest) = (0..of.counts.len()).rev().max_by_key(|&cell| of.counts[cell]) else { continue };
            let place = layer.place(busiest);
            let Driver::Module(id) = network.nodes()[layer.nodes[place.map].node.index()].driver else { continue };
            let module = &network.modules()[id.index()];
            let Some((array, parameters, output)) = module.kind.neurons() else { continue };
            // Which neuron has that address.
            let rows = 0..array.ny as i32;
            let mut places = rows.flat_map(|y| (0..array.nx as i32).map(move |x| (array.x_min + x, array.y_min + y)));
            let leaves = |(x, y)| output.address(x, y) == Some((place.x, place.y));
            let Some(number) = places.position(leaves) else { continue };
            neurons.push((id, number));
            let start = vec![(0, parameters.rest())];
            traces.push(Trace {
                layer: layer.name.clone(),
                place,
                threshold: parameters.threshold_plus,
                points: start,
            });
        }
        let reads = |module: megasim_core::network::ModuleId, node| {
            network.modules()[module.index()].inputs.contains(&Input::Node(node))
        };
        let mut simulation = Simulation::new(&plan, self.left.mode, &Probes::none());
        simulation.run_until(stimuli, |progress| {
            for (trace, &(module, number)) in traces.iter_mut().zip(&neurons) {
                // Only what touches a module changes it; a clocked step may.
                let may_change = progress.node.is_none_or(|node| reads(module, node));
                if !may_change || trace.points.len() >= MOST_POINTS {
                    continue;
                }
                if let Some(&potential) = progress.potentials(module).get(number)
                    && trace.points.last().is_none_or(|&(_, last)| last != potential)
                {
                    trace.points.push((progress.time, potential));
                }
            }
            false
        })?;
        Ok(traces)
    }
}
