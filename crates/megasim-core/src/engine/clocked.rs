//! Clocked mode, the cross-check: all spikes of a time step act together, delays and FIFOs do not act.

use super::action::Action;
use super::apply::{Cells, Outputs, step_addresses};
use super::kernels::{Crossing, SignedSpike};
use super::layerwise::Handover;
use super::neurons::{Spike, Spikes};
use super::plan::Plan;
use super::population::{NeuronPopulation, PopulationKind};
use super::queue::{Events, Fifo};
use super::record::Recorder;
use super::run_end::RunEnd;
use super::step_events::StepEvents;
use super::{Error, Excess, Limits, PopulationState, Progress};
use crate::network::{NodeId, Polarity, Stimulus, StimulusEvent, Tick};
use std::collections::BTreeMap;

/// The state of clocked mode other than the populations.
#[derive(Debug, Clone)]
pub(super) struct ClockedState {
    /// Events of this step, by node.
    present: Vec<Fifo>,
    /// The nodes that have events in this step.
    busy: Vec<usize>,
    /// By population: the inputs that have events in this step.
    heard: Vec<Vec<usize>>,
    /// Events of the step before, of nodes in `fed_back`.
    past: Vec<Fifo>,
    /// Nodes that are read over a feedback edge in the step after their events.
    fed_back: Vec<usize>,
    /// Populations with a potential beyond a threshold that makes it spike.
    pub beyond: Vec<bool>,
    /// Populations whose potentials change by themselves: they act in every step.
    stirs: Vec<bool>,
    /// Steps that the events of each node travel; those of 0 arrive in the step in which they are made.
    travel: Vec<Tick>,
    /// Events that travel, by the step in which they arrive: node, events; in the order in which they were made.
    late: BTreeMap<Tick, Vec<(usize, Fifo)>>,
    /// How many events travel.
    late_events: usize,
    /// Nodes that got events from the population that acts.
    made: Vec<usize>,
    /// How much of each stimulus was taken.
    taken: Vec<usize>,
    /// Outputs of the population that acts, by map.
    outputs: Vec<Fifo>,
    /// The next step.
    step: Tick,
}

/// What one population makes in one step, by map.
struct StepOutputs<'s> {
    maps: &'s mut [Fifo],
    s: Tick,
}

impl Outputs for StepOutputs<'_> {
    fn event(&mut self, map: usize, x: i32, y: i32, polarity: Polarity) {
        self.maps[map].push(StimulusEvent { t_pre: self.s, x, y, polarity }, None);
    }
}

impl Spikes for StepOutputs<'_> {
    fn spike(&mut self, spike: Spike) {
        let Spike { map, x, y, polarity, value, .. } = spike;
        self.maps[map as usize].push(StimulusEvent { t_pre: self.s, x, y, polarity }, value);
    }

    fn signed(&mut self, plan: &NeuronPopulation, spikes: &[SignedSpike], _: &mut Vec<Crossing>) {
        let maps = plan.maps as u32;
        for spike in spikes {
            let n = spike.neuron();
            let (position, map) = if maps == 1 { (n, 0) } else { (n / maps, n % maps) };
            if let Some((x, y)) = plan.addresses.of(position as usize) {
                let events = &mut self.maps[map as usize];
                events.x.push(x);
                events.y.push(y);
                events.polarity.push(if spike.is_negative() { Polarity::Negative } else { Polarity::Positive });
            }
        }
        for events in &mut self.maps[..plan.maps] {
            // What is alike for all.
            events.t_pre.resize(events.x.len(), self.s);
        }
    }

    fn positive(&mut self, plan: &NeuronPopulation, hits: &[Crossing]) {
        let maps = plan.maps as u32;
        for &Crossing(n) in hits {
            let (position, map) = if maps == 1 { (n, 0) } else { (n / maps, n % maps) };
            if let Some((x, y)) = plan.addresses.of(position as usize) {
                let events = &mut self.maps[map as usize];
                events.x.push(x);
                events.y.push(y);
            }
        }
        for events in &mut self.maps[..plan.maps] {
            // What is alike for all.
            let n = events.x.len();
            events.t_pre.resize(n, self.s);
            events.polarity.resize(n, Polarity::Positive);
        }
    }
}

impl ClockedState {
    /// Notes that a node has events in this step, or (fed back) had some in the step before.
    fn hear(&mut self, plan: &Plan, node: usize, past: bool) {
        if !past {
            self.busy.push(node);
        }
        for reader in &plan.nodes[node].readers {
            let fed_back = plan.populations[reader.population].inputs[reader.port].feedback && self.travel[node] == 0;
            if fed_back == past {
                self.heard[reader.population].push(reader.port);
            }
        }
    }

    pub fn new(plan: &Plan) -> Self {
        let n = plan.nodes.len();
        Self {
            present: vec![Fifo::default(); n],
            busy: Vec::new(),
            heard: vec![Vec::new(); plan.populations.len()],
            past: vec![Fifo::default(); n],
            fed_back: Vec::new(),
            beyond: vec![false; plan.populations.len()],
            stirs: vec![false; plan.populations.len()],
            travel: vec![0; n],
            late: BTreeMap::new(),
            late_events: 0,
            made: Vec::new(),
            taken: vec![0; plan.sources.len()],
            outputs: Vec::new(),
            step: 0,
        }
    }

    pub fn start(&mut self, plan: &Plan, dt: Tick, populations: &mut [PopulationState]) {
        for population in &plan.populations {
            for node in population.outputs.iter().flatten() {
                self.travel[node.index()] = population.timing.delay_to_arrive / dt;
            }
        }
        // Events that travel arrive through `late`.
        let inputs = plan.populations.iter().flat_map(|population| &population.inputs);
        let fed_back = inputs.filter(|input| input.feedback).filter_map(|input| input.node).map(|node| node.index());
        self.fed_back.clear();
        self.fed_back.extend(fed_back.filter(|&node| self.travel[node] == 0));
        self.fed_back.sort_unstable();
        self.fed_back.dedup();
        self.late.clear();
        self.late_events = 0;
        self.present.iter_mut().chain(&mut self.past).for_each(Fifo::clear);
        self.heard.iter_mut().for_each(Vec::clear);
        self.busy.clear();
        let at_start = self.beyond.iter_mut().zip(&mut self.stirs).zip(&plan.populations);
        for (((beyond, stirs), population), state) in at_start.zip(populations) {
            (*beyond, *stirs) = match (&population.kind, &mut state.cells) {
                (PopulationKind::Neurons(plan), Cells::Neurons(neurons)) => {
                    (neurons.starts_beyond(plan), plan.model.is_some() || neurons.stirs(plan))
                }
                _ => (false, false),
            };
        }
        self.taken.fill(0);
        self.step = 0;
    }

    /// Events that were not taken.
    pub fn pending(&self, stimuli: &[Stimulus]) -> u64 {
        let untaken = stimuli.iter().zip(&self.taken).map(|(stimulus, &taken)| stimulus.len() - taken);
        untaken.chain([self.late_events]).sum::<usize>() as u64
    }
}

/// One run in clocked mode.
pub(super) struct ClockedRun<'s> {
    pub plan: &'s Plan,
    pub limits: Limits,
    pub dt: Tick,
    pub populations: &'s mut [PopulationState],
    pub state: &'s mut ClockedState,
    pub recorder: &'s mut Recorder,
    pub stimuli: &'s [Stimulus],
}

impl ClockedRun<'_> {
    /// From the start, or from where a run layer by layer has ended.
    pub fn run(
        &mut self,
        handover: Option<&Handover>,
        stop: &mut impl FnMut(&Progress<'_>) -> bool,
    ) -> Result<(), Error> {
        self.state.start(self.plan, self.dt, self.populations);
        if let Some(Handover { step, taken, beyond }) = handover {
            self.state.step = *step;
            self.state.taken.copy_from_slice(taken);
            self.state.beyond.copy_from_slice(beyond);
        }
        self.run_to(self.plan.t_max, stop)?;
        self.recorder.summary.pending = self.state.pending(self.stimuli);
        Ok(())
    }

    /// Goes on to the last step that begins at the tick `last` or before; a later one can follow.
    pub fn run_to(&mut self, last: Tick, stop: &mut impl FnMut(&Progress<'_>) -> bool) -> Result<RunEnd, Error> {
        let mut step = std::mem::replace(&mut self.state.step, last / self.dt + 1);
        loop {
            let fed = self.state.fed_back.iter().any(|&node| self.state.past[node].len() > 0);
            if !fed && !self.state.beyond.contains(&true) {
                // Nothing happens before the next source event: linear leaks are closed forms.
                let source = self.next_source_event().map(|t| t.div_euclid(self.dt));
                match source.into_iter().chain(self.state.late.keys().next().copied()).min() {
                    Some(_) if self.state.stirs.contains(&true) => {}
                    Some(next) => step = step.max(next),
                    None => return Ok(RunEnd::Idle),
                }
            }
            let Some(s) = step.checked_mul(self.dt).filter(|&s| s <= last) else { return Ok(RunEnd::Through) };
            self.step(s)?;
            let progress = Progress {
                time: s,
                node: None,
                events: &self.recorder.summary.events,
                logs: &self.recorder.logs,
                plan: self.plan,
                populations: self.populations,
            };
            if stop(&progress) {
                return Ok(RunEnd::Stopped);
            }
            step += 1;
        }
    }

    fn next_source_event(&self) -> Option<Tick> {
        let heads = self.stimuli.iter().zip(&self.state.taken);
        heads
            .filter_map(|(stimulus, &taken)| stimulus.t_pre().get(taken).copied())
            .min()
            .filter(|&t| t <= self.plan.t_max)
    }

    fn step(&mut self, s: Tick) -> Result<(), Error> {
        let last = s.saturating_add(self.dt - 1).min(self.plan.t_max);
        for (source, stimulus) in self.stimuli.iter().enumerate() {
            let node = self.plan.sources[source].index();
            let taken = &mut self.state.taken[source];
            let before = *taken;
            while *taken < stimulus.len() && stimulus.t_pre()[*taken] <= last {
                let value = stimulus.value().get(*taken).copied();
                self.state.present[node].push(StimulusEvent { t_pre: s, ..stimulus.event(*taken) }, value);
                *taken += 1;
            }
            if *taken > before {
                self.state.hear(self.plan, node, false);
            }
        }
        while let Some(arrives) = self.state.late.first_entry().filter(|first| *first.key() <= s / self.dt) {
            for (node, events) in arrives.remove() {
                self.state.late_events -= events.len();
                if self.state.present[node].len() == 0 {
                    self.state.hear(self.plan, node, false);
                }
                let present = &mut self.state.present[node];
                let Events { x, y, polarity, value, .. } = events.events();
                let event = |k: usize| StimulusEvent { t_pre: s, x: x[k], y: y[k], polarity: polarity[k] };
                (0..events.len()).for_each(|k| present.push(event(k), value.get(k).copied()));
            }
        }
        for population in 0..self.plan.populations.len() {
            let ClockedState { heard, beyond, stirs, .. } = &*self.state;
            if beyond[population] || stirs[population] || !heard[population].is_empty() {
                self.act(population, s)?;
            }
        }
        let mut busy = std::mem::take(&mut self.state.busy);
        for &node in &busy {
            self.recorder.run(node, self.state.present[node].events(), s);
        }
        for k in 0..self.state.fed_back.len() {
            let ClockedState { present, past, fed_back, .. } = &mut *self.state;
            let node = fed_back[k];
            std::mem::swap(&mut past[node], &mut present[node]);
            if past[node].len() > 0 {
                self.state.hear(self.plan, node, true);
            }
        }
        let ClockedState { present, fed_back, .. } = &mut *self.state;
        // Those that are fed back have the events of the step before last.
        busy.drain(..).chain(fed_back.iter().copied()).for_each(|node| present[node].clear());
        self.state.busy = busy;
        let ClockedState { past, fed_back, late_events, .. } = &*self.state;
        let waiting = fed_back.iter().map(|&node| past[node].len()).sum::<usize>() + *late_events;
        if self.limits.exceeded(self.recorder, waiting as u64) {
            return Err(self.beyond_limits(s));
        }
        Ok(())
    }

    #[cold]
    fn beyond_limits(&self, s: Tick) -> Error {
        let mut counts = self.recorder.summary.events.clone();
        for (node, events) in self.state.late.values().flatten() {
            counts[*node] += events.len() as u64;
        }
        Error::limit(&self.limits, self.recorder, Excess::new(self.plan, s, &counts))
    }

    /// Lets one population take its events of the step and spike.
    fn act(&mut self, id: usize, s: Tick) -> Result<(), Error> {
        let population = &self.plan.populations[id];
        let mut heard = std::mem::take(&mut self.state.heard[id]);
        heard.sort_unstable();
        let ClockedState { present, past, beyond, stirs, outputs, travel, late, late_events, made, .. } =
            &mut *self.state;
        outputs.resize(population.outputs.len().max(outputs.len()), Fifo::default());
        let mut outputs = StepOutputs { maps: outputs, s };
        let events = StepEvents { inputs: &population.inputs, heard: &heard, present, past, travel };
        let reset = events.any(Polarity::Reset);
        match (&population.kind, &mut self.populations[id].cells) {
            (PopulationKind::Neurons(plan), Cells::Neurons(neurons)) => {
                if reset {
                    neurons.reset(plan, s);
                }
                if events.any(Polarity::Settle) {
                    neurons.end_hysteresis();
                }
                let mut controls = 0;
                let mut has_input = false;
                events.each(|port, action, run| {
                    match action {
                        Action::Spikes(sign) if port < population.n_ports => {
                            has_input = true;
                            let target = &plan.ports[port];
                            let operations = match run.value {
                                [] => neurons.sum_run(plan, self.plan.kernel, target, (run.x, run.y, sign)),
                                value => neurons.sum_values(plan, target, (run.x, run.y, sign, value)),
                            }
                            .map_err(|(k, outside)| {
                                // Ports without a node have no events.
                                let node = population.inputs[port].node.map_or(0, NodeId::index);
                                self.plan.outside(node, (s, run.x[k], run.y[k]), outside)
                            })?;
                            self.recorder.summary.synaptic_operations += operations;
                        }
                        Action::Control => controls += run.len(),
                        Action::Spikes(_) | Action::Reset | Action::Settle => {}
                    }
                    Ok(())
                })?;
                beyond[id] = if plan.neurons.mask_tau > 0 {
                    neurons.step_masked(plan, (s, self.dt), controls, &mut outputs)
                } else if let Some(model) = &plan.model {
                    neurons.step_modelled((plan, model), (s, self.dt), has_input, &mut outputs)
                } else {
                    neurons.step(plan, self.plan.kernel, (s, self.dt), &mut outputs)
                };
                stirs[id] = neurons.stirs(plan);
                self.recorder.summary.neuron_updates += neurons.potentials().len() as u64;
                if plan.softmax {
                    (0..controls).for_each(|_| _ = neurons.control(plan, s, &mut outputs));
                }
            }
            (_, cells) => step_addresses((population, cells), events, s, reset, &mut outputs),
        }
        for (nodes, events) in population.outputs.iter().zip(outputs.maps) {
            if events.len() == 0 {
                continue;
            }
            let steps = nodes.first().map_or(0, |node| travel[node.index()]);
            if steps > 0 {
                let step = (s / self.dt).saturating_add(steps);
                *late_events += events.len() * nodes.len();
                let arriving = late.entry(step).or_default();
                arriving.extend(nodes.iter().map(|node| (node.index(), events.clone())));
                events.clear();
                continue;
            }
            if let Some((&first, others)) = nodes.split_first() {
                for other in others {
                    present[other.index()].clone_from(events);
                }
                std::mem::swap(&mut present[first.index()], events);
                made.extend(nodes.iter().map(|node| node.index()));
            }
            events.clear();
        }
        heard.clear();
        self.state.heard[id] = heard;
        let mut made = std::mem::take(&mut self.state.made);
        made.drain(..).for_each(|node| self.state.hear(self.plan, node, false));
        self.state.made = made;
        Ok(())
    }
}
