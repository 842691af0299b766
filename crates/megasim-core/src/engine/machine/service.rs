//! Service of modules: waiting events are started, applied to neurons, and make outputs.

use super::agenda::EventKind;
use super::apply::{leaving, most_outputs};
use super::run::{Run, span, times};
use super::state::{Delivery, State, StationState};
use super::statistics::Busy;
use super::{HandshakeTrace, Station};
use crate::engine::Error;
use crate::engine::action::{Action, action};
use crate::engine::apply::Cells;
use crate::engine::apply::Receiver;
use crate::engine::neurons::{Spike, Work};
use crate::engine::population::PopulationKind;
use crate::engine::queue::Events;
use crate::engine::synapses::Outside;
use crate::network::{ModuleId, NodeId, StimulusEvent, Tick};

/// Waits of a module that are booked together: the buckets of all modules are more than a cache holds.
const WAITS: usize = 256;

impl Run<'_, '_> {
    /// Notes for how long the queue of a module was as long as it is, before it changes.
    #[inline]
    pub(super) fn note_queue(&mut self, module: usize) {
        self.note_length(module, self.state.stations[module].queue(), self.state.now);
    }

    /// Notes that the queue of a module was this long until now.
    #[inline]
    pub(super) fn note_length(&mut self, module: usize, queue: u64, now: Tick) {
        let station = &mut self.state.stations[module];
        if station.queue_since >= now {
            return;
        }
        // Most events start when they arrive, and are in the queue for no time.
        if queue != station.queue_before.0 {
            self.book_queue(module);
            let station = &mut self.state.stations[module];
            station.queue_before = (queue, station.queue_since);
        }
        self.state.stations[module].queue_since = now;
    }

    /// Books what is left at the end of a run.
    pub(super) fn book_rest(&mut self, module: usize) {
        self.note_queue(module);
        self.book_queue(module);
        self.statistics.modules[module].wait.record_each(&mut self.state.stations[module].waits);
    }

    /// Books the time for which the queue of a module was as long as it was before.
    fn book_queue(&mut self, module: usize) {
        let station = &self.state.stations[module];
        let ((queue, since), until) = (station.queue_before, station.queue_since);
        let since = since.max(self.showing.warm_up);
        let statistics = &mut self.statistics.modules[module];
        statistics.queue.record(queue, span(since, until));
        statistics.queue_course.record(queue, span(0, since), span(0, until));
    }

    /// Starts every event that can start.
    #[inline]
    pub(super) fn settle(&mut self) -> Result<(), Error> {
        if self.state.ready.is_empty() { Ok(()) } else { self.start_ready() }
    }

    fn start_ready(&mut self) -> Result<(), Error> {
        while let Some(module) = self.state.ready.pop_front() {
            while self.start(module as usize)? {}
        }
        Ok(())
    }

    /// Starts the next event of a module; says whether it did.
    pub(super) fn start(&mut self, module: usize) -> Result<bool, Error> {
        let now = self.state.now;
        let spec = self.station(module);
        let station = &self.state.stations[module];
        if station.busy || self.state.cores_free_at[self.plan.cores[module] as usize] > now {
            return Ok(false);
        }
        let at = self.next_outside(module);
        let station = &self.state.stations[module];
        let head =
            if spec.fifo_depth == 0 { at.and_then(|at| station.outside.get(at)) } else { station.inside.front() };
        let Some(&head) = head else { return Ok(false) };
        if let Some(depth) = spec.out_fifo_depth
            && !self.has_room(module, depth.get().into(), head)
        {
            self.state.stations[module].stopped_since.get_or_insert(now);
            return Ok(false);
        }
        let stopped = self.state.stations[module].stopped_since.take();
        self.start_moment(module, head, stopped.is_some());
        if let Some(since) = stopped {
            self.statistics.modules[module].stopped += span(since.max(self.showing.warm_up), now);
        }
        self.note_queue(module);
        if spec.fifo_depth == 0 {
            self.take_outside(module, at.unwrap_or(0));
            if let Some(causes) = &self.causes {
                self.state.transits.get(head).delivery.moment = causes.at;
            }
            self.accept(module, head);
        } else {
            self.state.stations[module].inside.pop_front();
            if let Some(next) = at.and_then(|at| self.take_outside(module, at)) {
                if let Some(causes) = &self.causes {
                    let delivery = &mut self.state.transits.get(next).delivery;
                    delivery.moment = causes.later(delivery.moment, causes.at);
                }
                self.accept(module, next);
                self.state.stations[module].inside.push_back(next);
            }
        }
        self.serve(module, spec, head)?;
        self.state.transits.take(head);
        Ok(true)
    }

    /// Notes what the start of an event waited for.
    fn start_moment(&mut self, module: usize, head: u32, stopped: bool) {
        let Some(causes) = &mut self.causes else { return };
        let nodes = || self.plan.plan.populations[module].outputs.iter().flatten().map(|node| node.index());
        let moment = self.state.transits.of(head).delivery.moment;
        causes.at = causes.start(self.plan.cores[module] as usize, moment, stopped.then(nodes));
    }

    /// Whether all outputs that an event may make have a slot.
    pub(super) fn has_room(&self, module: usize, depth: u64, index: u32) -> bool {
        let population = &self.plan.plan.populations[module];
        let outputs = population.outputs.iter().flatten();
        let most = outputs.map(|node| self.state.nodes[node.index()].held).max().unwrap_or(0);
        if most == 0 {
            return true;
        }
        let (port, event) = (self.port_of(index), &self.state.transits.of(index).delivery.event);
        let need = most_outputs(population, port, event).saturating_mul(population.timing.n_repeat.into());
        most.saturating_add(need) <= depth
    }

    /// A module works on an event from now on.
    fn serve(&mut self, module: usize, spec: &Station, index: u32) -> Result<(), Error> {
        let Delivery { node, receiver, event, arrived, .. } = self.state.transits.of(index).delivery;
        let port = self.plan.receivers.target(receiver).port as usize;
        let started = self.state.now;
        let (work, done) = self.serve_event(module, spec, (node, port), &event, arrived)?;
        if let Some(watch) = &mut self.watch {
            let delivery = &self.state.transits.of(index).delivery;
            watch(&HandshakeTrace {
                node: NodeId::new(node as usize),
                module: ModuleId::new(module),
                port: port as u32,
                event,
                requested: delivery.requested,
                arrived,
                accepted: delivery.accepted,
                started,
                done,
                acknowledged: delivery.acknowledged,
                operations: work.operations,
                outputs: self.state.outputs.len() as u64,
            });
        }
        Ok(())
    }

    /// A module works from now on on an event that has come from a node to a port; says when it is done.
    pub(super) fn serve_event(
        &mut self,
        module: usize,
        spec: &Station,
        (node, port): (u32, usize),
        event: &StimulusEvent,
        arrived: Tick,
    ) -> Result<(Work, Tick), Error> {
        self.state.outputs.clear();
        let work = self
            .work(module, port, event)
            .map_err(|outside| self.plan.plan.outside(node as usize, (event.t_pre, event.x, event.y), outside))?;
        let outputs = self.state.outputs.len() as u64;
        let plan = self.plan;
        let busy = |operations: u64, outputs: u64| Busy {
            events: span(0, spec.delay_to_process),
            operations: span(0, times(operations, spec.time_per_operation)),
            outputs: span(0, times(outputs, spec.time_per_output)),
            messages: span(0, times(outputs * plan.messages[module], spec.time_per_message)),
            ..Busy::default()
        };
        let busy = match (&plan.parts[module], &plan.plan.populations[module].kind) {
            (Some(parts), PopulationKind::Neurons(neurons)) => parts.slowest(|part| {
                let at = (event.x, event.y);
                let operations = if work.operations == 0 { 0 } else { parts.operations(part, neurons, port, at) };
                busy(operations, parts.outputs(part, &self.state.outputs))
            }),
            _ => busy(work.operations, outputs),
        };
        let started = self.state.now;
        let done = self.occupy(module, busy)?;
        if started >= self.showing.warm_up {
            let statistics = &mut self.statistics.modules[module];
            statistics.events += 1;
            statistics.operations += work.operations;
            statistics.updates += work.updates;
            statistics.outputs += outputs;
            let waits = &mut self.state.stations[module].waits;
            waits.push(span(arrived, started));
            if waits.len() >= WAITS {
                statistics.wait.record_each(waits);
            }
        }
        self.state.recorder.summary.add(work);
        Ok((work, done))
    }

    /// What an event does to a module's neurons.
    pub(super) fn work(&mut self, module: usize, port: usize, event: &StimulusEvent) -> Result<Work, Outside> {
        let s = self.network_time();
        let plan = &self.plan.plan;
        let population = &plan.populations[module];
        let State { populations, outputs, stations, .. } = &mut *self.state;
        let cells = &mut populations[module].cells;
        if self.plan.machine.barrier.is_some()
            && let PopulationKind::Neurons(neurons) = &population.kind
            && let Action::Spikes(sign) = action(event.polarity, event.y)
            && !neurons.softmax
        {
            if port >= population.n_ports {
                return Ok(Work::default());
            }
            // Only the input of the next step.
            let operations = neurons.ports[port].reached(neurons.array, event.x, event.y)?;
            stations[module].input.push(port, sign, (event.x, event.y));
            return Ok(Work { operations, updates: 0 });
        }
        if let (PopulationKind::Neurons(neurons), Cells::Neurons(state)) = (&population.kind, &mut *cells) {
            let StationState { input, touched, .. } = &mut stations[module];
            input.take(neurons, plan.kernel, state, touched);
        }
        if self.plan.machine.barrier.is_some()
            && let (PopulationKind::Neurons(_), Cells::Neurons(state)) = (&population.kind, &mut *cells)
            && action(event.polarity, event.y) == Action::Settle
        {
            // The neurons are tested in the next step, as for input.
            stations[module].beyond |= state.end_hysteresis();
            return Ok(Work::default());
        }
        let receiver = Receiver { population, cells, kernel: plan.kernel, port };
        let mut out = |spike: Spike| outputs.push(leaving(spike));
        receiver.apply(Events::one(event), s, &mut out).map_err(|(_, outside)| outside)
    }

    /// A module works from now on, and puts its outputs on its nodes when it is done.
    pub(super) fn occupy(&mut self, module: usize, busy: Busy) -> Result<Tick, Error> {
        let now = self.state.now;
        // Behind a barrier the modules of a core begin a step together, and work one after the other.
        let core = self.plan.cores[module] as usize;
        let begin = now.max(self.state.cores_free_at[core]);
        let done = begin.saturating_add(Tick::try_from(busy.total()).unwrap_or(Tick::MAX));
        self.state.cores_free_at[core] = done;
        if now >= self.showing.warm_up {
            let sum = &mut self.statistics.modules[module].busy;
            *sum = Busy {
                events: sum.events.saturating_add(busy.events),
                operations: sum.operations.saturating_add(busy.operations),
                outputs: sum.outputs.saturating_add(busy.outputs),
                messages: sum.messages.saturating_add(busy.messages),
                neurons: sum.neurons.saturating_add(busy.neurons),
                updates: sum.updates.saturating_add(busy.updates),
                spikes: sum.spikes.saturating_add(busy.spikes),
            };
        }
        self.state.ended = self.state.ended.max(done);
        let plan = self.plan;
        let population = &plan.plan.populations[module];
        let repeats = u64::from(population.timing.n_repeat);
        let arrival = done.saturating_add(population.timing.delay_to_arrive);
        if let Some(causes) = &mut self.causes {
            let nodes = population.outputs.iter().flatten().map(|node| node.index());
            causes.work((ModuleId::new(module), core), (done, busy), (nodes, self.state.outputs.len(), arrival));
        }
        let made = !self.state.outputs.is_empty();
        for node in population.outputs.iter().flatten().filter(|_| made) {
            let State { pending, outputs, waiting, nodes, .. } = &mut *self.state;
            for leaving in outputs.iter() {
                let event = StimulusEvent { t_pre: arrival, x: leaving.x, y: leaving.y, polarity: leaving.polarity };
                pending[node.index()].push(event, None);
            }
            *waiting += outputs.len() as u64;
            nodes[node.index()].held += outputs.len() as u64 * repeats;
            self.schedule(node.index());
        }
        if self.limits.exceeded(&self.state.recorder, self.state.waiting) {
            return Err(self.beyond_limits());
        }
        let station = &mut self.state.stations[module];
        let is_alone = plan.modules_of[core].len() == 1;
        // A module alone on its core goes on once, when it is done with all; if nothing waits, not at all.
        if !self.sweeps && done > now && (!is_alone || station.queue() > 0 && !station.busy) {
            station.busy = true;
            self.due(done, EventKind::Done, module as u32);
        }
        Ok(done)
    }
}
