//! A step behind a barrier, processed link by link and core by core: each for the whole step, in an [`Order`] in which
//! all that comes to it is known. What happens is what the agenda would let happen.
//!
//! Messages come to a link or core in the order of their times. Ties are as `docs/timing.md` says: those on their way
//! by the times of their requests, then by receiver; after them what is requested at that tick, by node. As links take
//! time, and modules whose outputs leave at once too, nothing follows from a request at its own tick but the next
//! request of its node. So the order is that of (time, time of the request, receiver), and of what is requested and
//! comes at one tick that of nodes.

use super::agenda::{EventKind, Scheduled};
use super::messages::{Arrival, Inbox, Message, Sent, Sweep};
use super::order::{Members, Order, Unit};
use super::receivers::Way;
use super::run::{Run, span, times};
use super::state::{Gate, State};
use super::statistics::LinkStatistics;
use crate::engine::Error;
use crate::engine::action::{Action, action};
use crate::engine::population::PopulationKind;
use crate::engine::queue::Pending;
use crate::network::Tick;
use std::cmp::Reverse;
use std::collections::binary_heap::PeekMut;

/// Puts messages in the order in which they come; those of one node that come at the tick of their requests are so
/// already.
fn in_order(messages: &mut [Message], events: &[Sent]) {
    let compare = |a: &Message, b: &Message| {
        let node = |of: &Message| events[of.event as usize].node;
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

/// A message goes over a link that is free from a tick on, and takes a time; says when it leaves.
#[inline(always)]
fn pass(statistics: &mut LinkStatistics, warm_up: Tick, message: &Message, (free_at, time): (Tick, Tick)) -> Tick {
    let start = message.time.max(free_at);
    let leaves = start.saturating_add(time);
    if message.requested >= warm_up {
        statistics.busy += span(start, leaves);
        statistics.wait.record(span(message.time, start), 1);
    }
    leaves
}

impl Run<'_, '_> {
    /// Processes the step that begins, or puts it on the list of what is due where it may come near a limit.
    pub(super) fn sweep(&mut self) -> Result<(), Error> {
        let plan = self.plan;
        let Some(order) = plan.order.as_ref().filter(|order| self.is_far_from_limits(order)) else {
            self.put_on_list();
            return Ok(());
        };
        self.state.sweep.events.clear();
        self.state.sweep.copies.clear();
        for unit in &order.units {
            match unit {
                Unit::Links(members) => self.sweep_links(members),
                Unit::Ring(members) => self.sweep_ring(members),
                &Unit::Core(core) => self.sweep_core(core as usize)?,
            }
        }
        order.last.iter().try_for_each(|&core| self.sweep_core(core as usize))
    }

    /// Puts what a step begins with on the list of what is due; so go the steps from now on.
    fn put_on_list(&mut self) {
        self.sweeps = false;
        for (core, modules) in self.plan.modules_of.iter().enumerate().filter(|(_, modules)| modules.len() > 1) {
            let free_at = self.state.cores_free_at[core];
            if free_at > self.state.now {
                self.state.stations[modules[0] as usize].busy = true;
                self.due(free_at, EventKind::Done, modules[0]);
            }
        }
        (0..self.state.nodes.len()).for_each(|node| self.schedule(node));
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
    fn sweep_links(&mut self, Members { links, nodes }: &Members) {
        for &link in links {
            let Sweep { links, events, .. } = &mut self.state.sweep;
            let of = &mut links[link as usize];
            in_order(&mut of.messages, events);
            of.taken = 0;
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
            self.state.sweep.links[link as usize].messages.clear();
        }
    }

    /// As [`Self::sweep_links`], one message after the other.
    fn sweep_ring(&mut self, Members { links, nodes }: &Members) {
        for &link in links {
            let Inbox { messages, taken, in_ring } = &mut self.state.sweep.links[link as usize];
            (*taken, *in_ring) = (0, true);
            let mut messages = std::mem::take(messages);
            let State { sweep, due, .. } = &mut *self.state;
            messages.drain(..).for_each(|message| sweep.due_in_ring(due, message));
            self.state.sweep.links[link as usize].messages = messages;
        }
        let due =
            |time: Tick, node: u32| Scheduled { time, what: EventKind::Request, requested: 0, who: node, index: 0 };
        for &node in nodes {
            if let Some(r) = self.next_request(node as usize) {
                self.state.due.push(due(r, node));
            }
        }
        while let Some(Scheduled { time, what, who, index, .. }) = self.state.due.pop() {
            if what == EventKind::Travel {
                let message = self.state.sweep.ring.take(index);
                let link = self.plan.receivers.link(message.way.begin);
                self.carry(link.0, &message);
                continue;
            }
            self.request_at_once(who as usize, time);
            if let Some(next) = self.next_request(who as usize) {
                self.state.due.push(due(next, who));
            }
        }
        links.iter().for_each(|&link| self.state.sweep.links[link as usize].in_ring = false);
    }

    /// When a node may request its next event.
    fn next_request(&self, node: usize) -> Option<Tick> {
        Some(self.state.head_time(node, self.stimuli)?.max(self.state.nodes[node].last_ack))
    }

    /// A link carries what has come to it up to a tick.
    fn carry_until(&mut self, link: u32, until: Tick) {
        let Inbox { messages, taken, .. } = &mut self.state.sweep.links[link as usize];
        let begin = *taken;
        *taken += messages[begin..].iter().take_while(|message| message.time <= until).count();
        let end = *taken;
        if begin == end {
            return;
        }
        // No link of a step without a ring is on the way of its own messages.
        let messages = std::mem::take(messages);
        let State { links_free_at, link_times, sweep, due, .. } = &mut *self.state;
        let statistics = &mut self.statistics.links[link as usize];
        let (time, warm_up) = (link_times[link as usize], self.showing.warm_up);
        let mut free_at = links_free_at[link as usize];
        for message in &messages[begin..end] {
            free_at = pass(statistics, warm_up, message, (free_at, time));
            sweep.hand_on(&self.plan.receivers, due, message, free_at);
        }
        links_free_at[link as usize] = free_at;
        debug_assert!(sweep.links[link as usize].messages.is_empty());
        sweep.links[link as usize].messages = messages;
    }

    /// A link carries a message; says when it is free again.
    #[inline]
    fn carry(&mut self, link: u32, message: &Message) -> Tick {
        let State { links_free_at, link_times, sweep, due, .. } = &mut *self.state;
        let free_at = &mut links_free_at[link as usize];
        let statistics = &mut self.statistics.links[link as usize];
        *free_at = pass(statistics, self.showing.warm_up, message, (*free_at, link_times[link as usize]));
        sweep.hand_on(&self.plan.receivers, due, message, *free_at);
        *free_at
    }

    /// A node requests its next event: its messages take their first links.
    fn request_at_once(&mut self, node: usize, r: Tick) {
        let plan = self.plan;
        let offered = self.state.head_time(node, self.stimuli).unwrap_or(r);
        let Some((mut event, _, last)) = self.state.pending[node].pop(self.stimuli) else { return };
        event.t_pre = offered;
        let is_made = plan.drivers[node].is_some();
        self.state.waiting -= u64::from(is_made && last);
        let parts = plan.drivers[node].filter(|_| plan.receivers.froms(node) > 1);
        let parts = parts.and_then(|driver| plan.parts[driver as usize].as_ref());
        let from = parts.map_or(0, |parts| parts.sender(event.x, event.y));
        let number = self.state.sweep.send(Sent { event, node: node as u32, copies: u32::MAX });
        let mut acknowledged = r;
        for receiver in plan.receivers.of(node) {
            let target = plan.receivers.target(receiver);
            if target.follows {
                continue;
            }
            let mut message = Message { time: r, requested: r, receiver, event: number, way: Way::default() };
            let ways = plan.receivers.ways(target, from);
            let mut answered = r;
            if ways.is_empty() {
                self.state.sweep.cores[target.core as usize].push(message);
            } else if target.copies > 1 {
                let copies = self.state.sweep.copies.len() as u32;
                self.state.sweep.copies.push((ways.len() as u32, r));
                message.event = self.state.sweep.send(Sent { event, node: node as u32, copies });
            }
            for &way in ways {
                let link = plan.receivers.link(way.begin).0;
                self.carry_until(link, r);
                answered = answered.max(self.carry(link, &Message { way, ..message }));
            }
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
            let statistics = &mut self.statistics.nodes[node];
            plan.receivers.messages(node, from).count_in(statistics);
            statistics.events += 1;
            statistics.waiting.record(span(offered, r), 1);
            statistics.handshake.record(span(r, acknowledged), 1);
        }
    }

    /// A core works on all that comes to it in a step.
    fn sweep_core(&mut self, core: usize) -> Result<(), Error> {
        let mut messages = std::mem::take(&mut self.state.sweep.cores[core]);
        in_order(&mut messages, &self.state.sweep.events);
        let served = self.serve_all(core, &messages);
        messages.clear();
        self.state.sweep.cores[core] = messages;
        served
    }

    /// Of events that wait when a core is done the one that came first starts, ties in module order; what comes at that
    /// tick comes later.
    fn serve_all(&mut self, core: usize, messages: &[Message]) -> Result<(), Error> {
        let plan = self.plan;
        // A message, and how many of its receivers it has come to.
        let (mut number, mut receivers) = (0, 0);
        let mut arrivals = || {
            let &Message { time, receiver, event, .. } = messages.get(number)?;
            let with = &plan.receivers.target(receiver).with;
            let receiver = if receivers == 0 { receiver } else { with[receivers - 1] };
            (number, receivers) = if receivers == with.len() { (number + 1, 0) } else { (number, receivers + 1) };
            Some(Arrival { time, module: plan.receivers.target(receiver).module, receiver, event })
        };
        let mut next = arrivals();
        loop {
            let free_at = self.state.cores_free_at[core];
            let Sweep { lengths, waiting, .. } = &mut self.state.sweep;
            let (arrival, start) = match (waiting.front(), next) {
                (Some(&first), _) if next.is_none_or(|next| next.time >= free_at) => {
                    waiting.pop_front();
                    let length = &mut lengths[first.module as usize];
                    *length -= 1;
                    let before = *length + 1;
                    self.note_length(first.module as usize, before, free_at);
                    (first, free_at)
                }
                (_, Some(arrival)) => {
                    next = arrivals();
                    if free_at > arrival.time {
                        let Arrival { time, module, .. } = arrival;
                        let later = waiting.iter().rev().take_while(|it| it.time == time && it.module > module).count();
                        waiting.insert(waiting.len() - later, arrival);
                        let length = &mut lengths[module as usize];
                        *length += 1;
                        let before = *length - 1;
                        self.note_length(module as usize, before, time);
                        continue;
                    }
                    (arrival, arrival.time)
                }
                (_, None) => break,
            };
            self.serve_arrival(core, arrival, start)?;
        }
        self.state.ended = self.state.ended.max(self.state.cores_free_at[core]);
        Ok(())
    }

    /// A core starts an event.
    #[inline(always)]
    fn serve_arrival(&mut self, core: usize, arrival: Arrival, start: Tick) -> Result<(), Error> {
        let (plan, module) = (self.plan, arrival.module as usize);
        let Sent { event, node, .. } = self.state.sweep.events[arrival.event as usize];
        let target = plan.receivers.target(arrival.receiver);
        let port = target.port as usize;
        let (spec, population) = (self.station(module), &plan.plan.populations[module]);
        let takes = match &population.kind {
            PopulationKind::Neurons(neurons) => !neurons.softmax && port < population.n_ports && target.copies == 1,
            _ => false,
        };
        let (PopulationKind::Neurons(neurons), Action::Spikes(sign), true) =
            (&population.kind, action(event.polarity, event.y), takes)
        else {
            self.state.now = start;
            return self.serve_event(module, spec, (node, port), &event, arrival.time).map(drop);
        };
        // As the general case, without what such an event does not do.
        let at = (event.x, event.y);
        let operations = neurons.ports[port].reached(neurons.array, at.0, at.1);
        let operations =
            operations.map_err(|outside| plan.plan.outside(node as usize, (event.t_pre, at.0, at.1), outside))?;
        self.state.stations[module].input.push(port, sign, at);
        let busy = (span(0, spec.delay_to_process), span(0, times(operations, spec.time_per_operation)));
        let done = start.saturating_add(Tick::try_from(busy.0 + busy.1).unwrap_or(Tick::MAX));
        self.state.cores_free_at[core] = done;
        self.state.recorder.summary.synaptic_operations += operations;
        if start >= self.showing.warm_up {
            let statistics = &mut self.statistics.modules[module];
            statistics.events += 1;
            statistics.operations += operations;
            statistics.busy.events = statistics.busy.events.saturating_add(busy.0);
            statistics.busy.operations = statistics.busy.operations.saturating_add(busy.1);
            statistics.wait.record(span(arrival.time, start), 1);
        }
        Ok(())
    }
}
