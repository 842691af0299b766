//! Steps behind a barrier: neurons work once per step.

use super::apply::leaving;
use super::run::{Run, span, times};
use super::split::Parts;
use super::state::{Gate, State};
use super::statistics::Busy;
use super::{Barrier, Pace};
use crate::engine::Error;
use crate::engine::apply::Cells;
use crate::engine::neurons::Spike;
use crate::engine::population::PopulationKind;
use crate::network::{ModuleId, Tick};
use std::collections::BTreeMap;

impl Run<'_, '_> {
    /// Begins the next step behind a barrier; says whether there was one.
    pub(super) fn step(&mut self) -> Result<bool, Error> {
        let Some(barrier) = self.plan.machine.barrier else { return Ok(false) };
        let Gate::Groups { released, .. } = self.state.gate else { return Ok(false) };
        self.take_input();
        let stuck = self.state.in_flight.len() > 0 || self.state.stations.iter().any(|station| station.queue() > 0);
        let first = released == Tick::MIN;
        let mut s = if first { 0 } else { released.saturating_add(1) };
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
        if !first && !(0..self.state.stations.len()).any(|module| active(module) || self.restless(module)) {
            s = self.skip(s, barrier);
        }
        let not_before = self.not_before(s);
        let ready = if first { 0 } else { self.state.ended.max(self.state.now).saturating_add(barrier.time) };
        self.state.now = ready.max(not_before);
        if let Some(causes) = &mut self.causes {
            causes.step(self.state.now, (!first).then_some(ready));
        }
        self.let_go(s.saturating_add(barrier.step - 1).min(self.plan.plan.t_max), s);
        if self.state.now >= self.showing.warm_up {
            self.statistics.steps += 1;
        }
        for module in 0..self.state.stations.len() {
            self.step_module(module, s)?;
        }
        if self.sweeps {
            self.sweep()?;
        }
        self.state.ended = self.state.ended.max(self.state.now);
        Ok(true)
    }

    /// Neurons take the input of the step before.
    fn take_input(&mut self) {
        let State { populations, stations, .. } = &mut *self.state;
        let plan = &self.plan.plan;
        for ((population, of), station) in plan.populations.iter().zip(populations).zip(stations) {
            if let (PopulationKind::Neurons(neurons), Cells::Neurons(state)) = (&population.kind, &mut of.cells) {
                station.input.take(neurons, plan.kernel, state, &mut station.touched);
            }
        }
    }

    /// When a step may begin, at the pace of the stimuli.
    fn not_before(&self, s: Tick) -> Tick {
        match self.showing.pace {
            Pace::Real => s,
            Pace::Times(k) => s / Tick::from(k.get()),
            Pace::Fastest => 0,
        }
    }

    /// Whether a step without input would change a module's neurons.
    fn restless(&self, module: usize) -> bool {
        match (&self.plan.plan.populations[module].kind, &self.state.populations[module].cells) {
            (PopulationKind::Neurons(plan), Cells::Neurons(neurons)) => neurons.restless(plan),
            _ => false,
        }
    }

    /// Goes over the steps from `s` on up to the one with the next input, all at once: nothing happens in them but that
    /// every neuron is updated. Returns the first tick of that step.
    ///
    /// Step i begins at `max(base + i * period, not_before(s + i * step))`. The second part rises by `step / pace`,
    /// rounded down or up; no whole number is between those two, so of the steps before either the first or the last
    /// one holds step i up.
    fn skip(&mut self, s: Tick, barrier: Barrier) -> Tick {
        let sources = self.plan.plan.sources.iter();
        let next = sources.filter_map(|node| self.state.pending[node.index()].head_time(self.stimuli)).min();
        let n = next.map_or(0, |next| next.saturating_sub(s) / barrier.step);
        if n <= 0 {
            return s;
        }
        let looked_at = |module: usize| match &self.plan.plan.populations[module].kind {
            PopulationKind::Neurons(neurons) => {
                let count = neurons.array.len() as u64;
                let on_one = self.plan.parts[module].as_ref().map_or(count, Parts::largest);
                Some((module, count, span(0, times(on_one, self.station(module).soma.time_per_neuron))))
            }
            _ => None,
        };
        let looked_at: Vec<(usize, u64, u64)> = (0..self.state.stations.len()).filter_map(looked_at).collect();
        // The modules of a core work one after the other.
        let mut by_core: BTreeMap<u32, (usize, u64)> = BTreeMap::new();
        for &(module, _, ticks) in &looked_at {
            let (_, sum) = by_core.entry(self.plan.cores[module]).or_insert((module, 0));
            *sum = sum.saturating_add(ticks);
        }
        let slowest = by_core.into_values().max_by_key(|&(module, ticks)| (ticks, std::cmp::Reverse(module)));
        let longest = slowest.map_or(0, |(_, ticks)| i128::from(ticks));
        let period = longest + i128::from(barrier.time);
        let ready = i128::from(self.state.ended.max(self.state.now)) + i128::from(barrier.time);
        let base = ready.max(self.not_before(s).into());
        let clamp = |time: i128| Tick::try_from(time).unwrap_or(Tick::MAX);
        let begins = |i: Tick| clamp((base + i128::from(i) * period).max(self.not_before(s + i * barrier.step).into()));
        // The first step that figures count; times rise.
        let (mut from, mut to) = (0, n);
        while from < to {
            let middle = from + (to - from) / 2;
            if begins(middle) >= self.showing.warm_up { to = middle } else { from = middle + 1 }
        }
        let counted = (n - from) as u64;
        let last = s + (n - 1) * barrier.step;
        let now = begins(n - 1);
        self.statistics.steps = self.statistics.steps.saturating_add(counted);
        for (module, count, ticks) in looked_at {
            let statistics = &mut self.statistics.modules[module];
            statistics.neurons = statistics.neurons.saturating_add(count.saturating_mul(counted));
            statistics.busy.neurons = statistics.busy.neurons.saturating_add(ticks.saturating_mul(counted));
        }
        self.state.now = now;
        if let Some(causes) = &mut self.causes {
            let as_ready = base == ready && i128::from(now) == base + i128::from(n - 1) * period;
            let barriers = as_ready.then(|| barrier.time.saturating_mul(n));
            causes.steps(now, slowest.map(|(module, ticks)| (ModuleId::new(module), ticks)), barriers);
        }
        self.state.ended = self.state.ended.max(clamp(i128::from(now) + longest));
        let released = last + (barrier.step - 1);
        self.state.gate = Gate::Groups { released, at: now, open: 0, network_time: last };
        last + barrier.step
    }

    /// Updates the neurons of a module, once for the step that begins.
    pub(super) fn step_module(&mut self, module: usize, s: Tick) -> Result<(), Error> {
        let plan = &self.plan.plan;
        let spec = self.station(module);
        let step = self.plan.machine.barrier.map_or(1, |barrier| barrier.step);
        let State { populations, outputs, stations, .. } = &mut *self.state;
        let (PopulationKind::Neurons(neurons), Cells::Neurons(state)) =
            (&plan.populations[module].kind, &mut populations[module].cells)
        else {
            return Ok(());
        };
        outputs.clear();
        let station = &mut stations[module];
        let parts = self.plan.parts[module].as_ref();
        let updated = |parts: &Parts| (0..parts.len()).map(|part| station.touched.count(parts.neurons(part))).collect();
        let updated: Vec<u64> = parts.map_or(Vec::new(), updated);
        let updates = station.touched.take(neurons);
        if !neurons.softmax {
            station.beyond =
                state.step(neurons, plan.kernel, (s, step), &mut |spike: Spike| outputs.push(leaving(spike)));
        }
        let (count, spikes) = (neurons.array.len() as u64, outputs.len() as u64);
        let messages = self.plan.messages[module];
        let busy = |count: u64, updates: u64, spikes: u64| Busy {
            neurons: span(0, times(count, spec.soma.time_per_neuron)),
            updates: span(0, times(updates, spec.soma.time_per_update)),
            spikes: span(0, times(spikes, spec.soma.time_per_spike)),
            outputs: span(0, times(spikes, spec.time_per_output)),
            messages: span(0, times(spikes * messages, spec.time_per_message)),
            ..Busy::default()
        };
        let busy = match parts {
            Some(parts) => parts
                .slowest(|part| busy(parts.neurons(part).len() as u64, updated[part], parts.outputs(part, outputs))),
            None => busy(count, updates, spikes),
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
