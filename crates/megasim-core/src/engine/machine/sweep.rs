//! A step behind a barrier, worked off link by link and module by module: each for the whole step, in an [`Order`] in
//! which all that comes to it is known. What happens is what the agenda would let happen.
//!
//! Messages come to a link or module in the order of their times. Ties are as `docs/timing.md` says: those on their way
//! by the times of their requests, then by receiver; after them what is requested at that tick, by node. As links take
//! time, and modules whose outputs leave at once too, nothing follows from a request at its own tick but the next
//! request of its node. So the order is that of (time, time of the request, receiver), and of what is requested and
//! comes at one tick that of nodes.

use super::order::{Order, Unit};
use super::receivers::Way;
use super::run::{Run, span, times};
use super::state::Gate;
use super::statistics::LinkStatistics;
use crate::engine::Error;
use crate::engine::action::{Action, action};
use crate::engine::population::PopulationKind;
use crate::engine::queue::Pending;
use crate::network::{StimulusEvent, Tick};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;

/// A message that comes to a link or to its module.
#[derive(Debug, Clone, Copy)]
struct Message {
    /// When it comes there.
    time: Tick,
    requested: Tick,
    /// The number of the receiver.
    receiver: u32,
    /// Where its event is told.
    event: u32,
    /// The links that it has not passed.
    way: Way,
}

/// Puts messages in the order in which they come; those of one node that come at the tick of their requests are so
/// already.
fn in_order(messages: &mut [Message], events: &[(StimulusEvent, u32)]) {
    let compare = |a: &Message, b: &Message| {
        let node = |of: &Message| events[of.event as usize].1;
        (a.time, a.requested).cmp(&(b.time, b.requested)).then_with(|| match a.requested == a.time {
            true => node(a).cmp(&node(b)),
            false => a.receiver.cmp(&b.receiver),
        })
    };
    // Mostly all come over one link.
    if !messages.is_sorted_by(|a, b| compare(a, b).is_le()) {
        messages.sort_by(compare);
    }
}

/// What is on its way in a step.
#[derive(Debug, Clone, Default)]
pub(super) struct Sweep {
    /// By link: what comes to it.
    links: Vec<Vec<Message>>,
    /// By link: how much of that it has taken.
    taken: Vec<usize>,
    /// By module: what comes to it.
    modules: Vec<Vec<Message>>,
    /// The events of the step that were requested, with their nodes.
    events: Vec<(StimulusEvent, u32)>,
    requests: BinaryHeap<Reverse<(Tick, u32)>>,
    /// When a module starts what comes to it.
    starts: Vec<Tick>,
}

impl Sweep {
    pub fn new(links: usize, modules: usize) -> Self {
        Self {
            links: vec![Vec::new(); links],
            taken: vec![0; links],
            modules: vec![Vec::new(); modules],
            ..Self::default()
        }
    }

    /// Forgets what a run that failed has left.
    pub fn start(&mut self) {
        self.links.iter_mut().chain(&mut self.modules).for_each(Vec::clear);
        self.taken.fill(0);
        self.events.clear();
        self.requests.clear();
        self.starts.clear();
    }
}

impl Run<'_, '_> {
    /// Works off the step that begins, or puts its requests on the list where it may come near a limit.
    pub(super) fn sweep(&mut self) -> Result<(), Error> {
        let plan = self.plan;
        let Some(order) = plan.order.as_ref().filter(|order| self.is_far_from_limits(order)) else {
            self.sweeps = false;
            (0..self.state.nodes.len()).for_each(|node| self.schedule(node));
            return Ok(());
        };
        self.state.sweep.events.clear();
        for unit in &order.units {
            match unit {
                Unit::Links { links, nodes } => self.sweep_links(links, nodes),
                &Unit::Module(module) => self.sweep_module(module as usize)?,
            }
        }
        order.last.iter().try_for_each(|&module| self.sweep_module(module as usize))
    }

    /// Whether all events that may be made in this step are within the limits, in any order.
    fn is_far_from_limits(&self, order: &Order) -> bool {
        let Gate::Groups { released, .. } = self.state.gate else { return false };
        let most = self.state.pending.iter().zip(&order.most).map(|(pending, &most)| {
            let waiting = match pending {
                Pending::Source { source, taken } => {
                    self.stimuli[*source].t_pre().partition_point(|&t| t <= released).saturating_sub(*taken) as u64
                }
                _ => pending.len(self.stimuli),
            };
            waiting.saturating_mul(most)
        });
        let most = most.fold(0, u64::saturating_add);
        let (handled, recorded) = (self.state.recorder.total, self.state.recorder.recorded);
        most <= self.limits.events_per_tick
            && !self.limits.exceeded_by(handled.saturating_add(most), recorded.saturating_add(most), most)
    }

    /// Lets nodes request their events, and links carry what comes to them.
    fn sweep_links(&mut self, links: &[u32], nodes: &[u32]) {
        for &link in links {
            let Sweep { links, events, .. } = &mut self.state.sweep;
            in_order(&mut links[link as usize], events);
        }
        let mut requests = std::mem::take(&mut self.state.sweep.requests);
        requests.extend(nodes.iter().filter_map(|&node| Some(Reverse((self.next_request(node as usize)?, node)))));
        while let Some(mut first) = requests.peek_mut() {
            let Reverse((r, node)) = *first;
            self.request_at_once(node as usize, r);
            match self.next_request(node as usize) {
                Some(next) => first.0.0 = next,
                None => _ = PeekMut::pop(first),
            }
        }
        self.state.sweep.requests = requests;
        for &link in links {
            self.carry_until(link, Tick::MAX);
            self.state.sweep.links[link as usize].clear();
            self.state.sweep.taken[link as usize] = 0;
        }
    }

    /// When a node may request its next event.
    fn next_request(&self, node: usize) -> Option<Tick> {
        Some(self.state.head_time(node, self.stimuli)?.max(self.state.nodes[node].last_ack))
    }

    /// A link carries what has come to it up to a tick.
    fn carry_until(&mut self, link: u32, until: Tick) {
        let at = link as usize;
        while let Some(&message) = self.state.sweep.links[at].get(self.state.sweep.taken[at])
            && message.time <= until
        {
            self.state.sweep.taken[at] += 1;
            self.carry(link, message);
        }
    }

    /// A link carries a message; says when it is free again.
    #[inline]
    fn carry(&mut self, link: u32, mut message: Message) -> Tick {
        let time = self.state.link_times[link as usize];
        let free_at = &mut self.state.links_free_at[link as usize];
        let (came, start) = (message.time, message.time.max(*free_at));
        let leaves = start.saturating_add(time);
        *free_at = leaves;
        if message.requested >= self.showing.warm_up {
            let LinkStatistics { busy, wait } = &mut self.statistics.links[link as usize];
            *busy += span(start, leaves);
            wait.record(span(came, start), 1);
        }
        message.time = leaves;
        message.way.begin += 1;
        if message.way.begin < message.way.end {
            let next = self.plan.receivers.link(message.way.begin);
            self.state.sweep.links[next.0 as usize].push(message);
        } else {
            let module = self.plan.receivers.module(message.receiver);
            self.state.sweep.modules[module as usize].push(message);
        }
        leaves
    }

    /// A node requests its next event: its messages take their first links.
    fn request_at_once(&mut self, node: usize, r: Tick) {
        let plan = self.plan;
        let offered = self.state.head_time(node, self.stimuli).unwrap_or(r);
        let Some((mut event, _, last)) = self.state.pending[node].pop(self.stimuli) else { return };
        event.t_pre = offered;
        let is_made = plan.drivers[node].is_some();
        self.state.waiting -= u64::from(is_made && last);
        let number = self.state.sweep.events.len() as u32;
        self.state.sweep.events.push((event, node as u32));
        let mut acknowledged = r;
        for receiver in plan.receivers.of(node) {
            let target = plan.receivers.target(receiver);
            if target.follows {
                continue;
            }
            let mut message = Message { time: r, requested: r, receiver, event: number, way: Way::default() };
            let answered = match plan.receivers.ways(target, 0) {
                &[way, ..] => {
                    message.way = way;
                    let link = plan.receivers.link(way.begin).0;
                    self.carry_until(link, r);
                    self.carry(link, message)
                }
                [] => {
                    self.state.sweep.modules[target.module as usize].push(message);
                    r
                }
            };
            acknowledged = acknowledged.max(answered.saturating_add(target.link.acknowledge_delay));
        }
        let recorder = &mut self.state.recorder;
        let last_time = recorder.summary.last_time;
        recorder.event(node, event, None, (r, acknowledged));
        recorder.summary.last_time = last_time.max(Some(r));
        self.state.ended = self.state.ended.max(acknowledged);
        let state = &mut self.state.nodes[node];
        state.first_request.get_or_insert(r);
        state.last_ack = acknowledged;
        state.held = state.held.saturating_sub(u64::from(is_made));
        if r >= self.showing.warm_up {
            let messages = plan.receivers.messages(node, 0);
            let statistics = &mut self.statistics.nodes[node];
            statistics.messages += messages.count;
            statistics.hops_east_west += messages.hops_east_west;
            statistics.hops_north_south += messages.hops_north_south;
            statistics.events += 1;
            statistics.waiting.record(span(offered, r), 1);
            statistics.handshake.record(span(r, acknowledged), 1);
        }
    }

    /// A module works on all that comes to it in a step.
    fn sweep_module(&mut self, module: usize) -> Result<(), Error> {
        let mut messages = std::mem::take(&mut self.state.sweep.modules[module]);
        in_order(&mut messages, &self.state.sweep.events);
        let served = self.serve_each(module, &messages);
        messages.clear();
        self.state.sweep.modules[module] = messages;
        served
    }

    fn serve_each(&mut self, module: usize, messages: &[Message]) -> Result<(), Error> {
        let (plan, core) = (self.plan, self.plan.cores[module] as usize);
        let (spec, population) = (self.station(module), &plan.plan.populations[module]);
        let mut starts = std::mem::take(&mut self.state.sweep.starts);
        let mut left = 0;
        let mut sums = Sums::default();
        for message in messages {
            let (event, node) = self.state.sweep.events[message.event as usize];
            let arrived = message.time;
            let with = &plan.receivers.target(message.receiver).with;
            for receiver in std::iter::once(message.receiver).chain(with.iter().copied()) {
                let port = plan.receivers.target(receiver).port as usize;
                while let Some(&start) = starts.get(left).filter(|&&start| start <= arrived) {
                    self.note_length(module, (starts.len() - left) as u64, start);
                    left += 1;
                }
                let start = arrived.max(self.state.cores_free_at[core]);
                if start > arrived {
                    self.note_length(module, (starts.len() - left) as u64, arrived);
                    starts.push(start);
                }
                let sign = match (&population.kind, action(event.polarity, event.y)) {
                    (PopulationKind::Neurons(neurons), Action::Spikes(sign)) if !neurons.softmax => {
                        Some((neurons, sign)).filter(|_| port < population.n_ports)
                    }
                    _ => None,
                };
                let Some((neurons, sign)) = sign else {
                    self.state.now = start;
                    self.serve_event(module, spec, (node, port), &event, arrived)?;
                    continue;
                };
                // As the general case, without what such an event does not do.
                let at = (event.x, event.y);
                let operations = neurons.ports[port].reached(neurons.array, at.0, at.1);
                let operations = operations
                    .map_err(|outside| plan.plan.outside(node as usize, (event.t_pre, at.0, at.1), outside))?;
                self.state.stations[module].input.push(port, sign, at);
                let busy = (span(0, spec.delay_to_process), span(0, times(operations, spec.time_per_operation)));
                let done = start.saturating_add(Tick::try_from(busy.0 + busy.1).unwrap_or(Tick::MAX));
                self.state.cores_free_at[core] = done;
                self.state.recorder.summary.synaptic_operations += operations;
                if start >= self.showing.warm_up {
                    sums.events += 1;
                    sums.operations += operations;
                    sums.busy_events = sums.busy_events.saturating_add(busy.0);
                    sums.busy_operations = sums.busy_operations.saturating_add(busy.1);
                    self.statistics.modules[module].wait.record(span(arrived, start), 1);
                }
            }
        }
        for (k, &start) in starts.iter().enumerate().skip(left) {
            self.note_length(module, (starts.len() - k) as u64, start);
        }
        starts.clear();
        self.state.sweep.starts = starts;
        self.state.ended = self.state.ended.max(self.state.cores_free_at[core]);
        let statistics = &mut self.statistics.modules[module];
        statistics.events += sums.events;
        statistics.operations += sums.operations;
        statistics.busy.events = statistics.busy.events.saturating_add(sums.busy_events);
        statistics.busy.operations = statistics.busy.operations.saturating_add(sums.busy_operations);
        Ok(())
    }
}

/// Work on spikes that only add to the input of neurons.
#[derive(Default)]
struct Sums {
    events: u64,
    operations: u64,
    busy_events: u64,
    busy_operations: u64,
}
