//! The state of a network of small modules during a run.

use super::plan::{Class, SmallPlan};
use crate::engine::PopulationState;
use crate::engine::apply::Cells;
use crate::engine::neurons::{NEVER, Neuron};
use crate::engine::queue::Schedule;
use crate::engine::timing::Handshake;
use crate::network::{Polarity, Stimulus, StimulusEvent, Tick, Timing};
use std::collections::VecDeque;
use std::ops::Range;

/// What waits, and the state of modules and neurons.
#[derive(Debug, Clone)]
pub(in crate::engine) struct SmallState {
    pub bus: SmallBus,
    pub modules: Vec<SmallModule>,
    pub neurons: SmallNeurons,
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

/// A node, and what waits at it: nearly always one event. One line of the cache.
#[derive(Debug, Clone)]
#[repr(align(64))]
pub(in crate::engine) struct SmallNode {
    /// The first of its readers among all, and how many they are.
    readers: (u32, u32),
    source: u32,
    queue: u32,
    head: Waiting,
    /// Events that wait.
    waiting: u32,
    /// See [`PlanNode::timeless`](crate::engine::population::PlanNode).
    pub is_timeless: bool,
    pub is_watched: bool,
    /// Events that were handled.
    pub handled: u64,
    pub last_ack: Tick,
}

const NONE: u32 = u32::MAX;

/// A spike that waits.
#[derive(Debug, Clone, Copy, Default)]
struct Waiting {
    t_pre: Tick,
    x: i32,
    y: i32,
    /// Above 0 for a positive spike. As wide as its place, since bytes without a meaning are copied in pieces, and that
    /// takes longer than all else that is done with an event.
    sign: i32,
}

/// A module. One line of the cache.
#[derive(Debug, Clone)]
#[repr(align(64))]
pub(in crate::engine) struct SmallModule {
    pub handshake: Handshake,
    class: u32,
    /// Its neurons are those from this one on.
    first_neuron: u32,
    /// Its output nodes among all.
    outputs: (u32, u32),
    /// How often a potential was cut off at the 32-bit limits.
    pub saturations: u64,
}

impl SmallModule {
    /// As a run begins.
    pub fn new(timing: &Timing, class: usize, first_neuron: usize, outputs: Range<usize>) -> Self {
        let (class, first_neuron) = (class as u32, first_neuron as u32);
        let outputs = (outputs.start as u32, outputs.end as u32);
        Self { handshake: Handshake::new(timing), class, first_neuron, outputs, saturations: 0 }
    }

    #[inline(always)]
    pub fn class<'p>(&self, plan: &'p SmallPlan) -> &'p Class {
        &plan.classes[self.class as usize]
    }

    /// Its neurons among all.
    #[inline(always)]
    pub fn neurons(&self, class: &Class) -> Range<usize> {
        let first = self.first_neuron as usize;
        first..first + class.addresses.len()
    }

    #[inline(always)]
    pub fn outputs<'p>(&self, plan: &'p SmallPlan) -> &'p [u32] {
        &plan.outputs[self.outputs.0 as usize..self.outputs.1 as usize]
    }
}

impl SmallNode {
    /// As a run begins.
    pub fn new(readers: Range<usize>, is_timeless: bool) -> Self {
        Self {
            readers: (readers.start as u32, readers.len() as u32),
            source: NONE,
            queue: NONE,
            head: Waiting::default(),
            waiting: 0,
            is_timeless,
            is_watched: false,
            handled: 0,
            last_ack: Tick::MIN,
        }
    }

    /// A source drives the node.
    pub fn set_source(&mut self, source: usize) {
        self.source = source as u32;
    }

    /// The source that drives the node, if one does.
    #[inline(always)]
    pub fn source(&self) -> Option<usize> {
        (self.source != NONE).then_some(self.source as usize)
    }

    /// Its readers among all.
    #[inline(always)]
    pub fn readers(&self) -> Range<usize> {
        self.readers.0 as usize..(self.readers.0 + self.readers.1) as usize
    }

    /// Events of its module that wait.
    pub fn waiting(&self) -> u32 {
        self.waiting
    }
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
        Self { bus, modules: plan.modules.clone(), neurons: SmallNeurons::new(plan) }
    }

    /// The state in which a run starts.
    pub fn start(&mut self, plan: &SmallPlan) {
        self.bus.start();
        for module in &mut self.modules {
            let class = module.class(plan);
            module.handshake.restart(&class.timing);
            module.saturations = 0;
            self.neurons.reset(class, module.neurons(class), 0);
        }
    }

    /// Puts potentials and counts of a run where others are looked for.
    pub fn hand_over(&self, plan: &SmallPlan, populations: &mut [PopulationState]) {
        for (state, module) in populations.iter_mut().zip(&self.modules) {
            if let Cells::Neurons(neurons) = &mut state.cells {
                neurons.take_over(&self.neurons.v[module.neurons(module.class(plan))], module.saturations);
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
        let leaks =
            |class: &Class| class.decay.is_some() || class.neurons.leak_plus > 0 || class.neurons.leak_minus > 0;
        let updated = times(leaks);
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

    /// The neurons of a module, one after the other; `TIMES`: whether any of the network [keep times](Self::keep_times).
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
