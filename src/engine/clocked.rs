//! Clocked mode, the cross-check: all spikes of a time step act together, delays and FIFOs do not act.

use super::neurons::{Outside, Spike};
use super::plan::{Plan, PopulationKind};
use super::record::Recorder;
use super::{Cells, Error, Limits, PopulationState, Progress, address, event::is_spike, kernels::Sign};
use crate::network::{Polarity, Stimulus, StimulusEvent, Tick};

/// What clocked mode keeps beside the populations.
#[derive(Debug, Clone)]
pub(super) struct ClockedState {
    /// Events of this step, by node.
    present: Vec<Vec<StimulusEvent>>,
    /// Events of the step before, of nodes that somebody reads over a feedback edge.
    past: Vec<Vec<StimulusEvent>>,
    /// Nodes that somebody reads over a feedback edge.
    fed_back: Vec<usize>,
    /// Populations with a potential beyond a threshold that makes it spike.
    beyond: Vec<bool>,
    /// How much of each stimulus was taken.
    taken: Vec<usize>,
}

impl ClockedState {
    pub fn new(plan: &Plan) -> Self {
        let n = plan.nodes.len();
        let feedback = plan.populations.iter().flat_map(|population| &population.inputs).filter(|input| input.feedback);
        let mut fed_back: Vec<_> = feedback.filter_map(|input| input.node).map(|node| node.index()).collect();
        fed_back.sort_unstable();
        fed_back.dedup();
        Self {
            present: vec![Vec::new(); n],
            past: vec![Vec::new(); n],
            fed_back,
            beyond: vec![false; plan.populations.len()],
            taken: vec![0; plan.sources.len()],
        }
    }

    fn start(&mut self) {
        self.present.iter_mut().chain(&mut self.past).for_each(Vec::clear);
        self.beyond.fill(false);
        self.taken.fill(0);
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
    pub fn run(&mut self, stop: &mut impl FnMut(&Progress<'_>) -> bool) -> Result<(), Error> {
        self.state.start();
        let mut step: Tick = 0;
        loop {
            let fed = self.state.fed_back.iter().any(|&node| !self.state.past[node].is_empty());
            if !fed && !self.state.beyond.contains(&true) {
                // Nothing happens before the next source event: leaks are closed forms, and potentials only fall back.
                match self.next_source_event() {
                    Some(t) => step = step.max(t.div_euclid(self.dt)),
                    None => break,
                }
            }
            let Some(s) = step.checked_mul(self.dt).filter(|&s| s <= self.plan.t_max) else { break };
            self.step(s)?;
            let progress = Progress { time: s, node: None, events: &self.recorder.summary.events };
            if stop(&progress) {
                break;
            }
            step += 1;
        }
        let untaken = self.stimuli.iter().zip(&self.state.taken).map(|(stimulus, &taken)| stimulus.len() - taken);
        self.recorder.summary.pending = untaken.sum::<usize>() as u64;
        Ok(())
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
            while *taken < stimulus.len() && stimulus.t_pre()[*taken] <= last {
                self.state.present[node].push(StimulusEvent { t_pre: s, ..stimulus.event(*taken) });
                *taken += 1;
            }
        }
        for population in 0..self.plan.populations.len() {
            let inputs = &self.plan.populations[population].inputs;
            let active = self.state.beyond[population]
                || inputs.iter().any(|input| {
                    input.node.is_some_and(|node| {
                        let events = if input.feedback { &self.state.past } else { &self.state.present };
                        !events[node.index()].is_empty()
                    })
                });
            if active {
                self.act(population, s)?;
            }
        }
        let ClockedState { present, past, fed_back, .. } = &mut *self.state;
        for (node, events) in present.iter().enumerate() {
            if !events.is_empty() {
                self.recorder.run(node, events, s);
            }
        }
        for &node in fed_back.iter() {
            std::mem::swap(&mut past[node], &mut present[node]);
        }
        present.iter_mut().for_each(Vec::clear);
        let waiting: usize = past.iter().map(Vec::len).sum();
        if waiting as u64 > self.limits.pending {
            let nodes = fed_back.iter().take(5).map(|&node| self.plan.node_name(node)).collect();
            return Err(Error::TooManyPending { time: s, limit: self.limits.pending, nodes });
        }
        Ok(())
    }

    /// Lets one population take its events of the step and spike.
    fn act(&mut self, id: usize, s: Tick) -> Result<(), Error> {
        let population = &self.plan.populations[id];
        let ClockedState { present, past, beyond, .. } = &mut *self.state;
        // Outputs of this step must not be seen over a feedback edge, and inputs stay as they are: take the outputs apart.
        let mut out: Vec<Vec<StimulusEvent>> = vec![Vec::new(); population.outputs.len()];
        let events = |port: usize| -> &[StimulusEvent] {
            let input = &population.inputs[port];
            let node = input.node.map(|node| node.index());
            node.map_or(&[], |node| if input.feedback { &past[node] } else { &present[node] })
        };
        let ports = 0..population.inputs.len();
        let reset = ports.clone().any(|port| events(port).iter().any(|event| event.polarity == Polarity::Reset));
        let mut emit = |map: usize, x: i32, y: i32, polarity: Polarity| {
            out[map].push(StimulusEvent { t_pre: s, x, y, polarity });
        };
        let summary = &mut self.recorder.summary;
        match (&population.kind, &mut self.populations[id].cells) {
            (PopulationKind::Neurons(plan), Cells::Neurons(neurons)) => {
                if reset {
                    neurons.reset(plan, s);
                }
                let mut controls = 0;
                for port in ports {
                    for event in events(port) {
                        if event.polarity == Polarity::Negative && event.y == -1 {
                            controls += 1;
                        } else if port < population.n_ports && is_spike(event) {
                            let sign = if event.polarity == Polarity::Positive { Sign::Plus } else { Sign::Minus };
                            let synapses = &plan.ports[port];
                            let operations = neurons
                                .sum(plan, self.plan.kernel, synapses, (event.x, event.y, sign))
                                .map_err(|Outside { nx_pre, ny_pre }| Error::Address {
                                    node: population.inputs[port]
                                        .node
                                        .map_or_else(String::new, |node| self.plan.node_name(node.index())),
                                    time: s,
                                    x: event.x,
                                    y: event.y,
                                    nx_pre,
                                    ny_pre,
                                })?;
                            summary.synaptic_operations += operations;
                        }
                    }
                }
                let mut emit = |spike: Spike| emit(spike.map as usize, spike.x, spike.y, spike.polarity);
                beyond[id] = neurons.step(plan, self.plan.kernel, s, &mut emit);
                summary.neuron_updates += neurons.potentials().len() as u64;
                if plan.softmax {
                    for _ in 0..controls {
                        neurons.control(plan, s, &mut emit);
                    }
                }
            }
            (PopulationKind::Flatten(plan), _) => {
                for port in 0..population.n_ports.min(population.inputs.len()) {
                    for event in events(port).iter().filter(|event| is_spike(event)) {
                        if let Some(x) = address::flatten(plan, port, event.x, event.y) {
                            emit(0, x, 0, event.polarity);
                        }
                    }
                }
            }
            (PopulationKind::MaxPool(plan), Cells::Pool(pool)) => {
                if reset {
                    pool.reset();
                }
                if let Some(port) = plan.ports.first() {
                    for event in events(0).iter().filter(|event| is_spike(event)) {
                        pool.count(port, event.x, event.y, event.polarity);
                    }
                    pool.step(port, |x, y, polarity| emit(0, x, y, polarity));
                }
            }
            _ => {}
        }
        for (map, events) in out.into_iter().enumerate() {
            for output in &population.outputs[map] {
                present[output.index()].clone_from(&events);
            }
        }
        Ok(())
    }
}
