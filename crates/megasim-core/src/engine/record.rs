//! What is kept of a run: the events of the nodes that probes watch, and counts that cost nothing.

use super::neurons::Work;
use super::queue::Events;
use crate::network::{EventLog, Network, NodeId, StimulusEvent, Tick, payload};
use serde::Serialize;

/// Which nodes' events are recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probes {
    watched: Watched,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Watched {
    All,
    Some(Vec<NodeId>),
}

impl Probes {
    /// Every node.
    pub fn all(_network: &Network) -> Self {
        Self { watched: Watched::All }
    }
    /// No node; counts are kept all the same.
    pub fn none() -> Self {
        Self::of(&[])
    }
    /// These nodes.
    pub fn of(nodes: &[NodeId]) -> Self {
        Self { watched: Watched::Some(nodes.to_vec()) }
    }
    fn watches(&self, node: NodeId) -> bool {
        match &self.watched {
            Watched::All => true,
            Watched::Some(nodes) => nodes.contains(&node),
        }
    }
}

/// What a run left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Events of each node, where a probe watched it.
    pub nodes: Vec<Option<EventLog>>,
    /// Counts.
    pub summary: Summary,
}

/// Counts of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Events of each node.
    pub events: Vec<u64>,
    /// Weights added to potentials: one for each neuron that an event touches, weights of 0 and input lost to a
    /// refractory time included.
    pub synaptic_operations: u64,
    /// Potentials brought up to date: in event mode the touched neurons whose input was not lost, in clocked mode every
    /// neuron of a module in every step in which it has input or a potential beyond a threshold.
    pub neuron_updates: u64,
    /// Request time of the last event (clocked: its step's first tick); none if there was no event.
    pub last_time: Option<Tick>,
    /// Events made, or in a stimulus, that were not handled because `Tmax` came first.
    pub pending: u64,
    /// How often a potential was cut off at the 32-bit limits, by module.
    pub saturations: Vec<u64>,
}

impl Summary {
    pub(super) fn add(&mut self, Work { operations, updates }: Work) {
        self.synaptic_operations += operations;
        self.neuron_updates += updates;
    }
}

/// Collects a [`Record`].
#[derive(Debug, Clone)]
pub(super) struct Recorder {
    pub logs: Vec<Option<EventLog>>,
    pub summary: Summary,
    /// Events of all nodes.
    pub total: u64,
    /// Events in the logs.
    pub recorded: u64,
    /// Events in each log of the last run, for which the next one is likely to need room.
    sizes: Vec<usize>,
}

impl Recorder {
    pub fn new(probes: &Probes, nodes: usize, modules: usize) -> Self {
        Self {
            logs: (0..nodes).map(|node| probes.watches(NodeId::new(node)).then(EventLog::default)).collect(),
            summary: Summary { events: vec![0; nodes], saturations: vec![0; modules], ..Summary::default() },
            total: 0,
            recorded: 0,
            sizes: vec![0; nodes],
        }
    }

    pub fn restart(&mut self) {
        for (log, &size) in self.logs.iter_mut().zip(&self.sizes) {
            if let Some(log) = log {
                log.clear();
                log.reserve(size);
            }
        }
        (self.total, self.recorded) = (0, 0);
        let Summary { mut events, mut saturations, .. } = std::mem::take(&mut self.summary);
        events.fill(0);
        saturations.fill(0);
        self.summary = Summary { events, saturations, ..Summary::default() };
    }

    #[inline]
    pub fn event(&mut self, node: usize, event: StimulusEvent, value: Option<i32>, (t_rqst, t_ack): (Tick, Tick)) {
        self.summary.events[node] += 1;
        self.summary.last_time = Some(t_rqst);
        self.total += 1;
        if let Some(log) = &mut self.logs[node] {
            self.recorded += 1;
            log.push_valued(event, value, (t_rqst, t_ack));
        }
    }

    /// An event of a node that no probe watches, whose events are counted by others.
    #[inline(always)]
    pub fn unwatched_event(&mut self, t_rqst: Tick) {
        self.summary.last_time = Some(t_rqst);
        self.total += 1;
    }

    /// Counts events of a node that are put into its log by others.
    pub fn count(&mut self, node: usize, events: usize) {
        self.summary.events[node] += events as u64;
        self.total += events as u64;
        self.recorded += if self.logs[node].is_some() { events as u64 } else { 0 };
    }

    /// Events that are requested and acknowledged at `r`.
    #[inline]
    pub fn run(&mut self, node: usize, events: Events<'_>, r: Tick) {
        self.summary.events[node] += events.len() as u64;
        self.summary.last_time = Some(r);
        self.total += events.len() as u64;
        if let Some(log) = &mut self.logs[node] {
            self.recorded += events.len() as u64;
            payload::extend(&mut log.value, log.t_pre.len(), events.value, events.len());
            log.t_pre.extend_from_slice(events.t_pre);
            log.t_rqst.resize(log.t_rqst.len() + events.len(), r);
            log.t_ack.resize(log.t_ack.len() + events.len(), r);
            log.x.extend_from_slice(events.x);
            log.y.extend_from_slice(events.y);
            log.polarity.extend_from_slice(events.polarity);
        }
    }

    /// Hands over what was recorded: a copy would take as much memory again.
    pub fn record(&mut self) -> Record {
        let take = |log: &mut Option<EventLog>| log.as_mut().map(std::mem::take);
        let nodes: Vec<Option<EventLog>> = self.logs.iter_mut().map(take).collect();
        self.sizes.clear();
        self.sizes.extend(nodes.iter().map(|log| log.as_ref().map_or(0, EventLog::len)));
        Record { nodes, summary: self.summary.clone() }
    }
}
