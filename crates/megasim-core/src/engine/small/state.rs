//! The state of a network of small modules during a run.

use super::parts::{Class, NONE, SmallModule, SmallNode, Waiting};
use super::plan::SmallPlan;
use crate::engine::PopulationState;
use crate::engine::apply::Cells;
use crate::engine::neurons::{NEVER, Neuron, Thresholds};
use crate::engine::queue::Schedule;
use crate::engine::timeless::TimelessEvents;
use crate::network::{Polarity, Stimulus, StimulusEvent, Tick};
use std::collections::VecDeque;
use std::ops::Range;

/// What waits, and the state of modules and neurons.
#[derive(Debug, Clone)]
pub(in crate::engine) struct SmallState {
    pub bus: SmallBus,
    pub modules: Vec<SmallModule>,
    pub neurons: SmallNeurons,
    pub timeless: TimelessEvents,
}

/// What waits.
#[derive(Debug, Clone)]
pub(in crate::engine) struct SmallBus {
    pub schedule: Schedule,
    pub nodes: Vec<SmallNode>,
    /// Events behind the heads of nodes that have had several.
    queues: Vec<VecDeque<Waiting>>,
    /// By source: events taken already.
    pub taken: Vec<usize>,
    /// Events of modules that wait.
    pub waiting: u64,
}

/// All neurons.
#[derive(Debug, Clone)]
pub(in crate::engine) struct SmallNeurons {
    /// Membrane potentials.
    v: Vec<i32>,
    /// Times of all neurons; each is empty where no module needs it.
    last_spike: Vec<Tick>,
    refractory_until: Vec<Tick>,
    updated: Vec<Tick>,
    /// Whether one of them is there.
    pub keep_times: bool,
}

impl SmallState {
    pub fn new(plan: &SmallPlan, is_watched: impl Fn(usize) -> bool) -> Self {
        let mut nodes = plan.nodes.clone();
        nodes.iter_mut().enumerate().for_each(|(id, node)| node.is_watched = is_watched(id));
        let bus = SmallBus {
            schedule: Schedule::new(nodes.len(), false),
            queues: Vec::new(),
            taken: vec![0; nodes.iter().filter(|node| node.source().is_some()).count()],
            nodes,
            waiting: 0,
        };
        let (modules, neurons) = (plan.modules.clone(), SmallNeurons::new(plan));
        Self { bus, modules, neurons, timeless: TimelessEvents::default() }
    }

    /// The state in which a run starts.
    pub fn start(&mut self, plan: &SmallPlan) {
        self.bus.start();
        self.timeless = TimelessEvents::default();
        for module in &mut self.modules {
            let class = module.class(&plan.classes);
            module.handshake.restart(&class.timing);
            module.saturations = 0;
            self.neurons.reset(class, module.neurons(class), 0);
        }
    }

    /// Puts potentials and counts of a run where others are looked for.
    pub fn hand_over(&self, plan: &SmallPlan, populations: &mut [PopulationState]) {
        for (state, module) in populations.iter_mut().zip(&self.modules) {
            if let Cells::Neurons(neurons) = &mut state.cells {
                neurons.take_over(&self.neurons.v[module.neurons(module.class(&plan.classes))], module.saturations);
            }
        }
    }
}

impl SmallNeurons {
    fn new(plan: &SmallPlan) -> Self {
        let times = |needed: fn(&Class) -> bool| {
            let needed = plan.classes.iter().any(needed);
            vec![0; if needed { plan.neurons } else { 0 }]
        };
        let last_spike = times(|class| class.neurons.t_min > 0);
        let refractory_until = times(|class| class.neurons.refractory > 0);
        let updated = times(|class| class.neurons.leaks());
        let keep_times = [&last_spike, &refractory_until, &updated].iter().any(|times| !times.is_empty());
        Self { v: vec![0; plan.neurons], last_spike, refractory_until, updated, keep_times }
    }

    /// A reset event at `s` for the neurons of a module.
    pub fn reset(&mut self, class: &Class, neurons: Range<usize>, s: Tick) {
        self.v[neurons.clone()].fill(class.neurons.rest());
        let times = [(&mut self.last_spike, NEVER), (&mut self.refractory_until, NEVER), (&mut self.updated, s)];
        for (column, time) in times {
            if !column.is_empty() {
                column[neurons.clone()].fill(time);
            }
        }
    }

    /// The neurons of a module, one after the other; `TIMES`: whether any of the network
    /// [keep times](Self::keep_times).
    #[inline(always)]
    pub fn each<const TIMES: bool>(&mut self, neurons: Range<usize>, mut take: impl FnMut(usize, Neuron<'_>)) {
        if !TIMES {
            for (k, v) in self.v[neurons].iter_mut().enumerate() {
                take(k, Neuron { v, last_spike: None, refractory_until: None, updated: None });
            }
            return;
        }
        for (k, n) in neurons.enumerate() {
            let (last_spike, refractory_until) = (self.last_spike.get_mut(n), self.refractory_until.get_mut(n));
            take(k, Neuron { v: &mut self.v[n], last_spike, refractory_until, updated: self.updated.get_mut(n) });
        }
    }
}

impl SmallBus {
    fn start(&mut self) {
        self.schedule.clear();
        for node in &mut self.nodes {
            (node.waiting, node.handled, node.last_ack) = (0, 0, Tick::MIN);
        }
        self.queues.iter_mut().for_each(VecDeque::clear);
        self.taken.fill(0);
        self.waiting = 0;
    }

    /// Adds a spike to nodes. A node that was empty is due at once, but the one that is being handled.
    #[inline(always)]
    pub fn push(&mut self, nodes: &[u32], handled: usize, StimulusEvent { t_pre, x, y, polarity }: StimulusEvent) {
        let spike = Waiting { t_pre, x, y, sign: polarity as i32 };
        self.waiting += nodes.len() as u64;
        for &id in nodes {
            let node = &mut self.nodes[id as usize];
            node.waiting += 1;
            if node.waiting == 1 {
                node.head = spike;
                if id as usize != handled {
                    self.schedule.put(id as usize, t_pre.max(node.last_ack));
                }
            } else {
                if node.queue == NONE {
                    node.queue = self.queues.len() as u32;
                    self.queues.push(VecDeque::new());
                }
                self.queues[node.queue as usize].push_back(spike);
            }
        }
    }

    /// Takes the head of a node.
    #[inline(always)]
    pub fn pop(&mut self, node: usize, stimuli: &[Stimulus]) -> Option<StimulusEvent> {
        let node = &mut self.nodes[node];
        if let Some(source) = node.source() {
            let (stimulus, taken) = (&stimuli[source], &mut self.taken[source]);
            let event = (*taken < stimulus.len()).then(|| stimulus.event(*taken))?;
            *taken += 1;
            return Some(event);
        }
        node.waiting = node.waiting.checked_sub(1)?;
        self.waiting -= 1;
        let Waiting { t_pre, x, y, sign } = node.head;
        if node.waiting > 0
            && let Some(next) = self.queues[node.queue as usize].pop_front()
        {
            node.head = next;
        }
        let polarity = if sign > 0 { Polarity::Positive } else { Polarity::Negative };
        Some(StimulusEvent { t_pre, x, y, polarity })
    }

    /// Time of the head of a node.
    #[inline(always)]
    pub fn head_time(&self, node: usize, stimuli: &[Stimulus]) -> Option<Tick> {
        let node = &self.nodes[node];
        match node.source() {
            Some(source) => stimuli[source].t_pre().get(self.taken[source]).copied(),
            None => (node.waiting > 0).then_some(node.head.t_pre),
        }
    }

    /// How many events wait, those of stimuli included.
    pub fn pending(&self, stimuli: &[Stimulus]) -> u64 {
        let given: usize = stimuli.iter().zip(&self.taken).map(|(stimulus, taken)| stimulus.len() - taken).sum();
        given as u64 + self.waiting
    }
}
