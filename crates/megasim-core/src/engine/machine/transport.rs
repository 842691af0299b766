//! Messages on links and acknowledges back.

use super::agenda::{EventKind, Scheduled};
use super::arbiter::Arbiter;
use super::causes::Why;
use super::mesh::{Acknowledge, LinkIndex, Mesh};
use super::path::Wait;
use super::receivers::Way;
use super::run::{Run, span};
use super::state::{Acknowledges, Delivery, Gate, InFlight, Transit};
use crate::network::{ModuleId, NodeId, Tick};

impl Run<'_, '_> {
    pub(super) fn due_travel(&mut self, transit: u32, time: Tick) {
        let Delivery { requested, receiver, .. } = self.state.transits.get(transit).delivery;
        self.state.due.push(Scheduled { time, what: EventKind::Travel, requested, who: receiver, index: transit });
    }

    /// A message comes to its next link, or to its module.
    pub(super) fn travel(&mut self, index: u32) {
        let plan = self.plan;
        let transit = self.state.transits.get(index);
        let (Way { begin, end }, Some(mesh)) = (transit.way, &plan.machine.mesh) else { return self.came(index) };
        if begin == end {
            return self.came(index);
        }
        let (link, input, now) = (plan.receivers.link(begin), transit.input, self.state.now);
        if mesh.arbiter != Arbiter::Fair {
            let queue = &mut self.state.link_queues[link.0 as usize];
            if self.state.links_free_at[link.0 as usize] > now || !queue.waiting.is_empty() {
                transit.came = now;
                queue.waiting.push_back((index, input));
                if queue.waiting.len() == 1 {
                    self.due(self.state.links_free_at[link.0 as usize], EventKind::LinkFree, link.0);
                }
                return;
            }
            queue.grants.granted(mesh.arbiter, input, Mesh::INPUTS);
        }
        self.pass(mesh, index, link, now);
    }

    /// A message has passed all its links: it has come to its core; the event has arrived with the last one of them.
    fn came(&mut self, index: u32) {
        let transit = self.state.transits.get(index);
        if let Some(number) = transit.copies {
            let copies = self.state.copies.get(number);
            copies.travelling -= 1;
            if let Some(causes) = &self.causes {
                copies.moment = causes.later(copies.moment, transit.delivery.moment);
            }
            if copies.travelling > 0 {
                self.state.transits.take(index);
                return;
            }
            transit.delivery.moment = copies.moment;
            self.state.copies.take(number);
        }
        self.arrive_at_core(index);
    }

    /// A link has carried its message, and takes the next one that its arbiter grants.
    pub(super) fn link_free(&mut self, link: u32) {
        let Some(mesh) = &self.plan.machine.mesh else { return };
        let queue = &mut self.state.link_queues[link as usize];
        let next = queue.grants.next(mesh.arbiter, &queue.waiting, Mesh::INPUTS, |&(_, input)| input);
        let Some((index, input)) = next.and_then(|at| queue.waiting.remove(at)) else { return };
        queue.grants.granted(mesh.arbiter, input, Mesh::INPUTS);
        let more = !queue.waiting.is_empty();
        let came = self.state.transits.get(index).came;
        self.pass(mesh, index, LinkIndex(link), came);
        if more {
            self.due(self.state.links_free_at[link as usize], EventKind::LinkFree, link);
        }
    }

    /// A link takes a message that came to it at a time.
    fn pass(&mut self, mesh: &Mesh, index: u32, link: LinkIndex, came: Tick) {
        let free_at = &mut self.state.links_free_at[link.0 as usize];
        let start = self.state.now.max(*free_at);
        let leaves = start.saturating_add(mesh.time(link));
        *free_at = leaves;
        let transit = self.state.transits.get(index);
        let is_first = transit.input == Mesh::TILE;
        transit.way.begin += 1;
        transit.input = Mesh::input(link);
        if transit.delivery.requested >= self.showing.warm_up {
            let statistics = &mut self.statistics.links[link.0 as usize];
            statistics.busy += span(start, leaves);
            statistics.wait.record(span(came, start), 1);
        }
        if let Some(causes) = &mut self.causes {
            let wait = match link.is_east_west() {
                true => Wait::EastWest(link.0),
                false => Wait::NorthSouth(link.0),
            };
            transit.delivery.moment = causes.hop(link.0 as usize, transit.delivery.moment, leaves, wait);
        }
        if is_first && mesh.acknowledge == Acknowledge::Network {
            self.post(index, leaves);
        }
        self.due_travel(index, leaves);
    }

    /// A message has passed its first link; where it is the last one of its event to do so, the event is posted.
    fn post(&mut self, index: u32, mut leaves: Tick) {
        let Transit { mut delivery, copies, .. } = *self.state.transits.get(index);
        if let Some(copies) = copies {
            let copies = self.state.copies.get(copies);
            copies.unposted -= 1;
            if leaves >= copies.posted.0 {
                copies.posted = (leaves, delivery.moment);
            }
            if copies.unposted > 0 {
                return;
            }
            (leaves, delivery.moment) = copies.posted;
        }
        let acknowledged = self.send_acknowledge(&delivery, leaves);
        self.state.transits.get(index).delivery.acknowledged = acknowledged;
        let plan = self.plan;
        for &receiver in &plan.receivers.target(delivery.receiver).with {
            self.send_acknowledge(&Delivery { receiver, ..delivery }, leaves);
        }
    }

    pub(super) fn posted(&self) -> bool {
        self.plan.machine.mesh.as_ref().is_some_and(|mesh| mesh.acknowledge == Acknowledge::Network)
    }

    /// Sends an acknowledge off at `t`; says when it reaches the node.
    pub(super) fn send_acknowledge(&mut self, delivery: &Delivery, t: Tick) -> Tick {
        let receiver = self.plan.receivers.target(delivery.receiver);
        let time = t.saturating_add(receiver.link.acknowledge_delay);
        if let Some(causes) = &mut self.causes {
            let (node, module) = (NodeId::new(delivery.node as usize), ModuleId::new(receiver.module as usize));
            let answered = causes.after(delivery.moment, t, Why::Wait(Wait::Acknowledge(module)));
            let heard = causes.after(answered, time, Why::Wait(Wait::AcknowledgeLink(node, module)));
            causes.acknowledge(delivery.flight, heard);
        }
        let together = &mut self.state.acknowledges;
        if time == self.state.now {
            self.acknowledge(delivery.flight);
        } else if together.flight == delivery.flight {
            together.latest = time.max(together.latest);
            together.count += 1;
        } else {
            self.due_acknowledge(delivery.node, delivery.flight, time);
        }
        time
    }

    fn due_acknowledge(&mut self, node: u32, flight: u32, time: Tick) {
        self.state.due.push(Scheduled { time, what: EventKind::Acknowledge, requested: 0, who: node, index: flight });
    }

    /// Puts the acknowledges that were sent off together on the list, as one: only the latest may be the last one of
    /// its event.
    pub(super) fn schedule_acknowledges(&mut self) {
        let Acknowledges { flight, latest, count } = std::mem::take(&mut self.state.acknowledges);
        if count > 0 {
            let of = self.state.in_flight.get(flight);
            of.outstanding -= count - 1;
            let node = of.node;
            self.due_acknowledge(node, flight, latest);
        }
    }

    /// The place of the event before a module that its arbiter grants next.
    #[inline]
    pub(super) fn next_outside(&self, module: usize) -> Option<usize> {
        let station = &self.state.stations[module];
        let ports = self.plan.inputs[module];
        let port = |&index: &u32| self.port_of(index) as u32;
        station.grants.next(self.station(module).arbiter, &station.outside, ports, port)
    }

    /// Takes the event at a place before a module.
    pub(super) fn take_outside(&mut self, module: usize, at: usize) -> Option<u32> {
        let outside = &mut self.state.stations[module].outside;
        let taken = if at == 0 { outside.pop_front()? } else { outside.remove(at)? };
        self.grant(module, taken);
        Some(taken)
    }

    fn grant(&mut self, module: usize, index: u32) {
        let arbiter = self.station(module).arbiter;
        if arbiter != Arbiter::Fair {
            let (port, ports) = (self.port_of(index) as u32, self.plan.inputs[module]);
            self.state.stations[module].grants.granted(arbiter, port, ports);
        }
    }

    pub(super) fn port_of(&self, index: u32) -> usize {
        self.plan.receivers.target(self.state.transits.of(index).delivery.receiver).port as usize
    }

    /// A module takes an event.
    pub(super) fn accept(&mut self, module: usize, index: u32) {
        let (now, posted) = (self.state.now, self.posted());
        let delivery = &mut self.state.transits.get(index).delivery;
        delivery.accepted = now;
        if !posted {
            let delivery = *delivery;
            let answered = now.saturating_add(self.station(module).delay_to_ack);
            let acknowledged = self.send_acknowledge(&delivery, answered);
            self.state.transits.get(index).delivery.acknowledged = acknowledged;
        }
    }

    /// An acknowledge reaches a node.
    pub(super) fn acknowledge(&mut self, index: u32) {
        let flight = self.state.in_flight.get(index);
        flight.outstanding -= 1;
        if flight.outstanding > 0 {
            return;
        }
        let InFlight { node, event, requested, .. } = self.state.in_flight.take(index);
        let (node, now) = (node as usize, self.state.now);
        if let Some(causes) = &mut self.causes {
            causes.acknowledged(index, node);
        }
        let recorder = &mut self.state.recorder;
        let last_time = recorder.summary.last_time;
        recorder.event(node, event, None, (requested, now));
        recorder.summary.last_time = last_time.max(Some(requested));
        self.state.ended = self.state.ended.max(now);
        if requested >= self.showing.warm_up {
            let statistics = &mut self.statistics.nodes[node];
            statistics.events += 1;
            statistics.waiting.record(span(event.t_pre, requested), 1);
            statistics.handshake.record(span(requested, now), 1);
        }
        let state = &mut self.state.nodes[node];
        state.under_way = false;
        state.last_ack = now;
        if let Some(driver) = self.plan.drivers[node] {
            state.held = state.held.saturating_sub(1);
            if self.state.stations[driver as usize].stopped_since.is_some() {
                self.state.ready.push_back(driver);
            }
        } else if let Gate::Groups { open, .. } = &mut self.state.gate {
            *open -= 1;
            if *open == 0 && self.plan.machine.barrier.is_none() {
                self.due(now, EventKind::Release, 0);
            }
        }
        self.schedule(node);
    }

    /// A message has arrived at its core: at all modules there that take it.
    pub(super) fn arrive_at_core(&mut self, index: u32) {
        let plan = self.plan;
        let transit = self.state.transits.of(index);
        let with = &plan.receivers.target(transit.delivery.receiver).with;
        if with.is_empty() {
            return self.arrive(index);
        }
        let transit = *transit;
        self.arrive(index);
        for &receiver in with {
            let delivery = Delivery { receiver, ..transit.delivery };
            let index = self.state.transits.put(Transit { delivery, ..transit });
            self.arrive(index);
        }
    }

    /// An event has arrived at its module.
    fn arrive(&mut self, index: u32) {
        let plan = self.plan;
        let (now, posted) = (self.state.now, self.posted());
        let Transit { delivery, input, .. } = self.state.transits.get(index);
        delivery.arrived = now;
        if let Some(causes) = &mut self.causes {
            causes.ended(delivery.moment);
        }
        self.state.ended = self.state.ended.max(now);
        let receiver = plan.receivers.target(delivery.receiver);
        let module = receiver.module as usize;
        // Over links it was posted when it had passed the first one.
        if posted && *input == Mesh::TILE {
            let delivery = *delivery;
            let acknowledged = self.send_acknowledge(&delivery, now);
            self.state.transits.get(index).delivery.acknowledged = acknowledged;
        }
        self.note_queue(module);
        let depth = self.station(module).fifo_depth as usize;
        let station = &mut self.state.stations[module];
        if station.outside.is_empty() && station.inside.len() < depth {
            self.grant(module, index);
            self.accept(module, index);
            self.state.stations[module].inside.push_back(index);
        } else {
            station.outside.push_back(index);
        }
        self.start_or_wait(module);
    }

    /// A module has an event: it may start it now, or is to when it is done.
    pub(super) fn start_or_wait(&mut self, module: usize) {
        let core = self.plan.cores[module] as usize;
        let free_at = self.state.cores_free_at[core];
        let station = &mut self.state.stations[module];
        if station.busy {
            // It goes on by itself when it is done.
        } else if free_at > self.state.now && self.plan.modules_of[core].len() == 1 {
            station.busy = true;
            self.due(free_at, EventKind::Done, module as u32);
        } else {
            self.state.ready.push_back(module as u32);
        }
    }
}
