//! What a timed run keeps: queues before and in modules, events under way, and what is due when.

use super::MachinePlan;
use super::agenda::Agenda;
use super::apply::{Leaving, StepInput, Touched};
use super::arbiter::{Arbiter, Grants};
use super::mesh::LinkIndex;
use super::messages::Sweep;
use super::receivers::Way;
use super::slab::Slab;
use crate::engine::PopulationState;
use crate::engine::queue::Pending;
use crate::engine::record::{Probes, Recorder};
use crate::engine::timeless::TimelessEvents;
use crate::network::{Stimulus, StimulusEvent, Tick};
use std::collections::VecDeque;

/// The state of a run.
#[derive(Debug, Clone)]
pub(super) struct State {
    pub populations: Vec<PopulationState>,
    pub recorder: Recorder,
    pub stations: Vec<StationState>,
    pub nodes: Vec<NodeState>,
    pub pending: Vec<Pending>,
    pub in_flight: Slab<InFlight>,
    /// Messages until modules start their events.
    pub transits: Slab<Transit>,
    pub copies: Slab<Copies>,
    /// Those of the event that is being requested.
    pub acknowledges: Acknowledges,
    /// By link: until when it carries a message.
    pub links_free_at: Vec<Tick>,
    /// By link with an arbiter: messages that wait for it, and what the arbiter remembers.
    pub link_queues: Vec<LinkQueue>,
    /// By core: until when one of its modules works.
    pub cores_free_at: Vec<Tick>,
    pub due: Agenda,
    /// Modules that may have something to start.
    pub ready: VecDeque<u32>,
    pub gate: Gate,
    pub outputs: Vec<Leaving>,
    pub now: Tick,
    /// When the last event arrived, was done or acknowledged.
    pub ended: Tick,
    /// Events made by modules and not requested; repetitions to come count once.
    pub waiting: u64,
    /// Requests on loops on which time cannot advance.
    pub timeless: TimelessEvents,
    /// Requests since the gate was opened last.
    pub since_gate: u64,
    /// By link: how long it carries a message.
    pub link_times: Vec<Tick>,
    pub sweep: Sweep,
}

/// A module.
#[derive(Debug, Clone, Default)]
pub(super) struct StationState {
    /// It works on something, or is busy from the start, and goes on when it is done. One alone on its core that
    /// nothing waits for is not marked: the core says until when it works.
    pub busy: bool,
    /// Accepted, not started, by number among [`State::transits`].
    pub inside: VecDeque<u32>,
    /// Arrived, not accepted.
    pub outside: VecDeque<u32>,
    /// What the arbiter before it remembers.
    pub grants: Grants,
    /// Since when it could start an event, but for the room of its outputs.
    pub stopped_since: Option<Tick>,
    /// Since when the queue is as long as it is.
    pub queue_since: Tick,
    /// How long it was before that, and since when.
    pub queue_before: (u64, Tick),
    /// Spikes of this step that the neurons have not taken.
    pub input: StepInput,
    /// Waits from arrival to start that are not booked.
    pub waits: Vec<u64>,
    /// Neurons that were touched in this step.
    pub touched: Touched,
    /// A potential is beyond a threshold after the last step.
    pub beyond: bool,
}

impl StationState {
    pub fn queue(&self) -> u64 {
        (self.inside.len() + self.outside.len()) as u64
    }

    fn start(&mut self) {
        self.busy = false;
        self.inside.clear();
        self.outside.clear();
        self.grants.start();
        self.stopped_since = None;
        self.queue_since = 0;
        self.queue_before = (0, 0);
        self.waits.clear();
        self.input.clear();
        self.touched.clear();
        self.beyond = false;
    }
}

/// A node.
#[derive(Debug, Clone, Default)]
pub(super) struct NodeState {
    pub last_ack: Tick,
    /// An event waits for its acknowledge.
    pub under_way: bool,
    /// When its next request is due.
    pub scheduled: Option<Tick>,
    /// Events made and not acknowledged, repetitions to come included.
    pub held: u64,
    pub first_request: Option<Tick>,
}

/// An event that a node has requested.
#[derive(Debug, Clone, Copy)]
pub(super) struct InFlight {
    pub node: u32,
    pub event: StimulusEvent,
    pub requested: Tick,
    /// Acknowledges to come.
    pub outstanding: u32,
}

/// An event at one receiver.
#[derive(Debug, Clone, Copy)]
pub(super) struct Delivery {
    pub flight: u32,
    pub node: u32,
    /// The number of the receiver.
    pub receiver: u32,
    pub event: StimulusEvent,
    pub requested: Tick,
    pub arrived: Tick,
    pub accepted: Tick,
    pub acknowledged: Tick,
    /// What brought it as far as it is, where causes are kept.
    pub moment: u32,
    /// The core of the node's driver that it leaves from.
    pub from: u32,
}

/// Acknowledges of one event that were sent off at one time and have not arrived.
#[derive(Debug, Clone, Copy)]
pub(super) struct Acknowledges {
    /// The event; of no other one they are put together.
    pub flight: u32,
    /// When the latest of them reaches the node.
    pub latest: Tick,
    pub count: u32,
}

impl Default for Acknowledges {
    fn default() -> Self {
        Self { flight: u32::MAX, latest: 0, count: 0 }
    }
}

/// A message on its way, or before or in a module.
#[derive(Debug, Clone, Copy)]
pub(super) struct Transit {
    pub delivery: Delivery,
    /// The links that it has not passed.
    pub way: Way,
    /// The input by which it comes to the next one.
    pub input: u32,
    /// Where those that go with it to other cores are counted.
    pub copies: Option<u32>,
    /// When it came to the link that it waits for.
    pub came: Tick,
}

/// What waits before a link.
#[derive(Debug, Clone, Default)]
pub(super) struct LinkQueue {
    /// Messages, with their inputs.
    pub waiting: VecDeque<(u32, u32)>,
    pub grants: Grants,
}

/// The messages of an event to a receiver that is on several cores.
#[derive(Debug, Clone, Copy)]
pub(super) struct Copies {
    /// Those under way.
    pub travelling: u32,
    /// Those that have not passed their first link.
    pub unposted: u32,
    /// When the last one passed its first link, and what brought it there.
    pub posted: (Tick, u32),
    /// What brought those that have arrived.
    pub moment: u32,
}

/// Which source events may be requested.
#[derive(Debug, Clone, Copy)]
pub(super) enum Gate {
    /// Each at its time, divided by this.
    Divided(Tick),
    /// In groups.
    Groups {
        /// Stimulus times up to which events have been admitted.
        released: Tick,
        /// When the last ones were.
        at: Tick,
        /// How many of them are not yet acknowledged.
        open: u64,
        /// What neurons take the time to be.
        network_time: Tick,
    },
}

impl State {
    pub fn new(timed: &MachinePlan, probes: &Probes) -> Self {
        let plan = &timed.plan;
        let nodes = plan.nodes.len();
        let mut pending: Vec<_> = (0..nodes).map(|_| Pending::new(1, 0)).collect();
        for population in &plan.populations {
            for node in population.outputs.iter().flatten() {
                pending[node.index()] = Pending::new(population.timing.n_repeat, population.timing.delay_to_repeat);
            }
        }
        for (source, node) in plan.sources.iter().enumerate() {
            pending[node.index()] = Pending::Source { source, taken: 0 };
        }
        let mesh = timed.machine.mesh.as_ref();
        let links = mesh.map_or(0, super::Mesh::links);
        let has_arbiters = mesh.is_some_and(|mesh| mesh.arbiter != Arbiter::Fair);
        Self {
            populations: plan.populations.iter().map(PopulationState::new).collect(),
            recorder: Recorder::new(probes, nodes, plan.modules),
            stations: vec![StationState::default(); plan.populations.len()],
            nodes: vec![NodeState::default(); nodes],
            pending,
            in_flight: Slab::new(),
            transits: Slab::new(),
            copies: Slab::new(),
            acknowledges: Acknowledges::default(),
            links_free_at: vec![Tick::MIN; links],
            link_queues: vec![LinkQueue::default(); if has_arbiters { links } else { 0 }],
            cores_free_at: vec![Tick::MIN; timed.modules_of.len()],
            due: Agenda::new(nodes),
            ready: VecDeque::new(),
            gate: Gate::Divided(1),
            outputs: Vec::new(),
            now: 0,
            ended: 0,
            waiting: 0,
            timeless: TimelessEvents::default(),
            since_gate: 0,
            link_times: mesh.map_or(Vec::new(), |mesh| (0..links as u32).map(|it| mesh.time(LinkIndex(it))).collect()),
            sweep: Sweep::new(links, timed.modules_of.len(), plan.populations.len()),
        }
    }

    pub fn start(&mut self, timed: &MachinePlan) {
        self.recorder.restart();
        for (state, population) in self.populations.iter_mut().zip(&timed.plan.populations) {
            state.start(population);
        }
        self.stations.iter_mut().for_each(StationState::start);
        self.nodes.fill(NodeState { last_ack: Tick::MIN, ..NodeState::default() });
        self.pending.iter_mut().for_each(Pending::clear);
        self.in_flight.clear();
        self.transits.clear();
        self.copies.clear();
        self.acknowledges = Acknowledges::default();
        self.links_free_at.fill(Tick::MIN);
        for queue in &mut self.link_queues {
            queue.waiting.clear();
            queue.grants.start();
        }
        self.cores_free_at.fill(Tick::MIN);
        self.due.clear();
        self.ready.clear();
        (self.now, self.ended, self.waiting) = (0, 0, 0);
        self.timeless = TimelessEvents::default();
        self.since_gate = 0;
        self.sweep.start();
    }

    /// When the head of a node was made, or may be requested if it is input.
    pub fn head_time(&self, node: usize, stimuli: &[Stimulus]) -> Option<Tick> {
        let time = self.pending[node].head_time(stimuli)?;
        if !matches!(self.pending[node], Pending::Source { .. }) {
            return Some(time);
        }
        match self.gate {
            Gate::Divided(by) => Some(time / by),
            Gate::Groups { released, at, .. } => (time <= released).then_some(at),
        }
    }
}
