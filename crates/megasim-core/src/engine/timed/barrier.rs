//! Steps behind a barrier: neurons work once a step.

use super::Pace;
use super::act::leaving;
use super::run::{Run, span, times};
use super::state::{Gate, State};
use super::statistics::Busy;
use crate::engine::neurons::Spike;
use crate::engine::plan::PopulationKind;
use crate::engine::{Cells, Error};
use crate::network::Tick;

impl Run<'_, '_> {
    /// Begins the next step behind a barrier; says whether there was one.
    pub(super) fn step(&mut self) -> Result<bool, Error> {
        let Some(barrier) = self.plan.machine.barrier else { return Ok(false) };
        let Gate::Groups { released, .. } = self.state.gate else { return Ok(false) };
        let stuck = self.state.flights.len() > 0 || self.state.stations.iter().any(|station| station.queue() > 0);
        let first = released == Tick::MIN;
        let s = if first { 0 } else { released.saturating_add(1) };
        if stuck || s > self.plan.plan.t_max {
            return Ok(false);
        }
        let input_left = self.plan.plan.sources.iter().any(|node| {
            self.state.pending[node.index()].head_time(self.stimuli).is_some_and(|t| t <= self.plan.plan.t_max)
        });
        let active =
            |module: usize| self.state.stations[module].beyond || !self.state.stations[module].touched.is_empty();
        if !first && !input_left && !(0..self.state.stations.len()).any(active) {
            return Ok(false);
        }
        let not_before = match self.showing.pace {
            Pace::Real => s,
            Pace::Times(k) => s / Tick::from(k.get()),
            Pace::Fastest => 0,
        };
        let ready = if first { 0 } else { self.state.ended.max(self.state.now).saturating_add(barrier.time) };
        self.state.now = ready.max(not_before);
        self.let_go(s.saturating_add(barrier.step - 1).min(self.plan.plan.t_max), s);
        if self.state.now >= self.showing.warm_up {
            self.statistics.steps += 1;
        }
        for module in 0..self.state.stations.len() {
            self.step_module(module, s)?;
        }
        self.state.ended = self.state.ended.max(self.state.now);
        Ok(true)
    }

    /// Updates the neurons of a module, once for the step that begins.
    pub(super) fn step_module(&mut self, module: usize, s: Tick) -> Result<(), Error> {
        let plan = &self.plan.plan;
        let spec = self.station(module);
        let State { populations, outputs, stations, .. } = &mut *self.state;
        let (PopulationKind::Neurons(neurons), Cells::Neurons(state)) =
            (&plan.populations[module].kind, &mut populations[module].cells)
        else {
            return Ok(());
        };
        outputs.clear();
        let station = &mut stations[module];
        let updates = station.touched.take(neurons);
        if !neurons.softmax {
            station.beyond = state.step(neurons, plan.kernel, s, &mut |spike: Spike| outputs.push(leaving(spike)));
        }
        let (count, spikes) = (neurons.array.len() as u64, outputs.len() as u64);
        let messages = spikes * self.plan.messages[module];
        let busy = Busy {
            neurons: span(0, times(count, spec.soma.time_per_neuron)),
            updates: span(0, times(updates, spec.soma.time_per_update)),
            spikes: span(0, times(spikes, spec.soma.time_per_spike)),
            outputs: span(0, times(spikes, spec.time_per_output)),
            messages: span(0, times(messages, spec.time_per_message)),
            ..Busy::default()
        };
        if self.state.now >= self.showing.warm_up {
            let statistics = &mut self.statistics.modules[module];
            statistics.neurons += count;
            statistics.updates += updates;
            statistics.outputs += spikes;
        }
        self.state.recorder.summary.neuron_updates += updates;
        self.occupy(module, busy).map(drop)
    }
}
