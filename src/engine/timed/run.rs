//! The run loop: what is due happens, in the order of `docs/timing.md`.

use super::act::{act, leaving, most_outputs};
use super::state::{Due, Flight, Gate, State, Ticket, Transit, What};
use super::statistics::{Busy, Statistics};
use super::{Acknowledge, Pace, Passage, Showing, Station, TimedPlan, TimedRecord, Unfinished, Watch, deadlock};
use crate::engine::neurons::{Outside, Spike, Work};
use crate::engine::plan::PopulationKind;
use crate::engine::queue::Pending;
use crate::engine::{Cells, Error, Limits};
use crate::network::{ModuleId, NodeId, Stimulus, StimulusEvent, Tick};
use std::cmp::Reverse;

/// One run.
pub(super) struct Run<'r, 'w> {
    pub plan: &'r TimedPlan,
    pub limits: Limits,
    pub state: &'r mut State,
    pub statistics: &'r mut Statistics,
    pub stimuli: &'r [Stimulus],
    pub showing: &'r Showing,
    pub watch: Option<&'r mut Watch<'w>>,
}

/// Ticks as a count; times are never negative.
fn span(from: Tick, to: Tick) -> u64 {
    u64::try_from(to.saturating_sub(from)).unwrap_or(0)
}

fn times(n: u64, each: Tick) -> Tick {
    each.saturating_mul(Tick::try_from(n).unwrap_or(Tick::MAX))
}

impl Run<'_, '_> {
    pub fn run(mut self) -> Result<TimedRecord, Error> {
        let t_max = self.plan.plan.t_max;
        self.state.start(self.plan);
        let mut last_request = match self.showing.pace {
            Pace::Real => t_max,
            Pace::Times(k) => t_max / Tick::from(k.get()),
            Pace::Fastest => Tick::MAX,
        };
        if self.plan.machine.barrier.is_some() {
            last_request = Tick::MAX;
        }
        self.open();
        loop {
            while let Some(Reverse(due)) = self.state.due.pop() {
                self.state.now = due.time;
                match due.what {
                    What::Done => {
                        self.state.stations[due.who as usize].busy = false;
                        self.state.ready.push_back(due.who);
                    }
                    What::Acknowledge => self.acknowledge(due.index),
                    What::Travel => self.travel(due.index),
                    What::Release => {
                        if !self.release() {
                            last_request = due.time.saturating_add(t_max);
                        }
                    }
                    What::Request if due.time > last_request => {}
                    What::Request => self.request(due.who as usize, due.time)?,
                }
                self.settle()?;
            }
            if !self.step()? {
                break;
            }
        }
        Ok(self.finish())
    }

    /// Puts what happens by itself on the list.
    fn open(&mut self) {
        for module in 0..self.state.stations.len() {
            let until = self.station(module).time_busy_initial;
            if until > 0 {
                self.state.stations[module].busy = true;
                self.due(until, What::Done, module as u32);
            }
        }
        let grouped = Gate::Groups { released: Tick::MIN, at: 0, open: 0, network_time: 0 };
        self.state.gate = match self.showing.pace {
            _ if self.plan.machine.barrier.is_some() => grouped,
            Pace::Real => Gate::Divided(1),
            Pace::Times(k) => Gate::Divided(k.get().into()),
            Pace::Fastest => grouped,
        };
        if self.plan.machine.barrier.is_some() {
            return;
        }
        match self.state.gate {
            Gate::Divided(_) => self.plan.plan.sources.iter().for_each(|node| self.schedule(node.index())),
            Gate::Groups { .. } => self.due(0, What::Release, 0),
        }
    }

    fn station(&self, module: usize) -> Station {
        *self.plan.machine.module(ModuleId::new(module))
    }

    fn due(&mut self, time: Tick, what: What, who: u32) {
        self.state.due.push(Reverse(Due { time, what, requested: 0, who, receiver: 0, index: 0 }));
    }

    /// The time that neurons count.
    fn network_time(&self) -> Tick {
        match (self.showing.pace, self.state.gate) {
            (_, Gate::Groups { network_time, .. }) => network_time,
            (Pace::Times(k), _) => self.state.now.saturating_mul(k.get().into()),
            (Pace::Real | Pace::Fastest, _) => self.state.now,
        }
    }

    /// Lets the source events of the next stimulus time go; says whether there are any.
    fn release(&mut self) -> bool {
        let heads =
            self.plan.plan.sources.iter().filter_map(|node| self.state.pending[node.index()].head_time(self.stimuli));
        let Some(next) = heads.min() else { return false };
        self.let_go(next, next);
        true
    }

    /// Lets source events up to a stimulus time go; neurons take it to be `network_time` from now on.
    fn let_go(&mut self, released: Tick, network_time: Tick) {
        let open = self.plan.plan.sources.iter().map(|node| match &self.state.pending[node.index()] {
            Pending::Source { source, taken } => {
                self.stimuli[*source].t_pre().partition_point(|&t| t <= released).saturating_sub(*taken) as u64
            }
            _ => 0,
        });
        self.state.gate = Gate::Groups { released, at: self.state.now, open: open.sum(), network_time };
        self.plan.plan.sources.iter().for_each(|node| self.schedule(node.index()));
    }

    /// Puts a node's next request on the list, if it may be requested.
    fn schedule(&mut self, node: usize) {
        if self.state.nodes[node].under_way {
            return;
        }
        let Some(time) = self.state.head_time(node, self.stimuli) else { return };
        let state = &mut self.state.nodes[node];
        let time = time.max(state.last_ack);
        if state.scheduled.is_some_and(|scheduled| scheduled <= time) {
            return;
        }
        state.scheduled = Some(time);
        self.due(time, What::Request, node as u32);
    }

    /// A node puts its next event on its wires.
    fn request(&mut self, node: usize, r: Tick) -> Result<(), Error> {
        let state = &mut self.state.nodes[node];
        if state.under_way || state.scheduled != Some(r) {
            // Something earlier took its place.
            return Ok(());
        }
        state.scheduled = None;
        let offered = self.state.head_time(node, self.stimuli).unwrap_or(r);
        let made = !matches!(self.state.pending[node], Pending::Source { .. });
        let Some((mut event, last)) = self.state.pending[node].pop(self.stimuli) else { return Ok(()) };
        event.t_pre = offered;
        self.state.waiting -= u64::from(made && last);
        let state = &mut self.state.nodes[node];
        state.under_way = true;
        state.first_request.get_or_insert(r);
        if self.plan.plan.nodes[node].timeless {
            self.count_timeless(r)?;
        }
        let plan = self.plan;
        let receivers = &plan.receivers[node];
        let outstanding = receivers.len() as u32;
        let flight = self.state.flights.put(Flight { node: node as u32, event, requested: r, outstanding });
        if receivers.is_empty() {
            self.state.flights.get(flight).outstanding = 1;
            self.acknowledge(flight);
            return Ok(());
        }
        if r >= self.showing.warm_up {
            self.statistics.nodes[node].messages += receivers.len() as u64;
        }
        for (number, receiver) in receivers.iter().enumerate() {
            let ticket = Ticket {
                flight,
                node: node as u32,
                receiver: number as u32,
                event,
                requested: r,
                arrived: r,
                accepted: r,
                acknowledged: r,
            };
            if receiver.link.delay == 0 && receiver.route.is_empty() {
                self.arrive(ticket);
            } else {
                let transit = self.state.transits.put(Transit { ticket, passed: 0 });
                if receiver.link.delay == 0 {
                    self.travel(transit);
                } else {
                    self.due_travel(transit, r.saturating_add(receiver.link.delay));
                }
            }
            self.settle()?;
        }
        Ok(())
    }

    fn due_travel(&mut self, transit: u32, time: Tick) {
        let Ticket { requested, node, receiver, .. } = self.state.transits.get(transit).ticket;
        self.state.due.push(Reverse(Due { time, what: What::Travel, requested, who: node, receiver, index: transit }));
    }

    /// A message comes to its next link, or to its module.
    fn travel(&mut self, index: u32) {
        let Transit { ticket, passed } = *self.state.transits.get(index);
        let plan = self.plan;
        let route = &plan.receivers[ticket.node as usize][ticket.receiver as usize].route;
        let now = self.state.now;
        let (Some(&link), Some(mesh)) = (route.get(passed as usize), &plan.machine.mesh) else {
            self.state.transits.take(index);
            self.arrive(ticket);
            return;
        };
        let free_at = &mut self.state.links_free_at[link.0 as usize];
        let start = now.max(*free_at);
        let leaves = start.saturating_add(mesh.time(link));
        *free_at = leaves;
        if ticket.requested >= self.showing.warm_up {
            let statistics = &mut self.statistics.links[link.0 as usize];
            statistics.busy += span(start, leaves);
            statistics.wait.record(span(now, start), 1);
            let node = &mut self.statistics.nodes[ticket.node as usize];
            match mesh.link(link.0 as usize).1.is_east_west() {
                true => node.hops_east_west += 1,
                false => node.hops_north_south += 1,
            }
        }
        let transit = self.state.transits.get(index);
        transit.passed += 1;
        if passed == 0 && mesh.acknowledge == Acknowledge::Network {
            let acknowledged = self.send_acknowledge(&ticket, leaves);
            self.state.transits.get(index).ticket.acknowledged = acknowledged;
        }
        self.due_travel(index, leaves);
    }

    fn posted(&self) -> bool {
        self.plan.machine.mesh.as_ref().is_some_and(|mesh| mesh.acknowledge == Acknowledge::Network)
    }

    /// Sends an acknowledge off at `t`; says when it reaches the node.
    fn send_acknowledge(&mut self, ticket: &Ticket, t: Tick) -> Tick {
        let receiver = &self.plan.receivers[ticket.node as usize][ticket.receiver as usize];
        let time = t.saturating_add(receiver.link.acknowledge_delay);
        if time == self.state.now {
            self.acknowledge(ticket.flight);
        } else {
            let (who, index) = (ticket.node, ticket.flight);
            self.state.due.push(Reverse(Due { time, what: What::Acknowledge, requested: 0, who, receiver: 0, index }));
        }
        time
    }

    /// A module takes an event.
    fn accept(&mut self, module: usize, ticket: &mut Ticket) {
        ticket.accepted = self.state.now;
        if !self.posted() {
            let answered = self.state.now.saturating_add(self.station(module).delay_to_ack);
            ticket.acknowledged = self.send_acknowledge(ticket, answered);
        }
    }

    /// An acknowledge reaches a node.
    fn acknowledge(&mut self, index: u32) {
        let flight = self.state.flights.get(index);
        flight.outstanding -= 1;
        if flight.outstanding > 0 {
            return;
        }
        let Flight { node, event, requested, .. } = self.state.flights.take(index);
        let (node, now) = (node as usize, self.state.now);
        let recorder = &mut self.state.recorder;
        let last_time = recorder.summary.last_time;
        recorder.event(node, event, requested, now);
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
                self.due(now, What::Release, 0);
            }
        }
        self.schedule(node);
    }

    fn module_of(&self, ticket: &Ticket) -> usize {
        self.plan.receivers[ticket.node as usize][ticket.receiver as usize].module as usize
    }

    /// An event stands before its module.
    fn arrive(&mut self, mut ticket: Ticket) {
        let module = self.module_of(&ticket);
        ticket.arrived = self.state.now;
        if self.posted() && self.plan.receivers[ticket.node as usize][ticket.receiver as usize].route.is_empty() {
            ticket.acknowledged = self.send_acknowledge(&ticket, self.state.now);
        }
        self.note_queue(module);
        let depth = self.station(module).fifo_depth as usize;
        let station = &self.state.stations[module];
        if station.outside.is_empty() && station.inside.len() < depth {
            self.accept(module, &mut ticket);
            self.state.stations[module].inside.push_back(ticket);
        } else {
            self.state.stations[module].outside.push_back(ticket);
        }
        self.state.ready.push_back(module as u32);
    }

    /// Books the time for which the queue of a module was as long as it is.
    fn note_queue(&mut self, module: usize) {
        let now = self.state.now;
        let station = &mut self.state.stations[module];
        let since = station.queue_since.max(self.showing.warm_up);
        self.statistics.modules[module].queue.record(station.queue(), span(since, now));
        station.queue_since = now;
    }

    /// Starts whatever can start.
    fn settle(&mut self) -> Result<(), Error> {
        while let Some(module) = self.state.ready.pop_front() {
            while self.start(module as usize)? {}
        }
        Ok(())
    }

    /// Starts the next event of a module; says whether it did.
    fn start(&mut self, module: usize) -> Result<bool, Error> {
        let now = self.state.now;
        let spec = self.station(module);
        let station = &self.state.stations[module];
        if station.busy {
            return Ok(false);
        }
        let head = if spec.fifo_depth == 0 { station.outside.front() } else { station.inside.front() };
        let Some(&head) = head else { return Ok(false) };
        if let Some(depth) = spec.out_fifo_depth
            && !self.has_room(module, depth.get().into(), &head)
        {
            self.state.stations[module].stopped_since.get_or_insert(now);
            return Ok(false);
        }
        if let Some(since) = self.state.stations[module].stopped_since.take() {
            self.statistics.modules[module].stopped += span(since.max(self.showing.warm_up), now);
        }
        self.note_queue(module);
        let station = &mut self.state.stations[module];
        let mut ticket = head;
        if spec.fifo_depth == 0 {
            station.outside.pop_front();
            self.accept(module, &mut ticket);
        } else {
            station.inside.pop_front();
            if let Some(mut next) = station.outside.pop_front() {
                self.accept(module, &mut next);
                self.state.stations[module].inside.push_back(next);
            }
        }
        self.serve(module, &spec, &ticket)?;
        Ok(true)
    }

    /// Whether all outputs that an event may make have a slot.
    fn has_room(&self, module: usize, depth: u64, ticket: &Ticket) -> bool {
        let population = &self.plan.plan.populations[module];
        let outputs = population.outputs.iter().flatten();
        let most = outputs.map(|node| self.state.nodes[node.index()].held).max().unwrap_or(0);
        if most == 0 {
            return true;
        }
        let port = self.plan.receivers[ticket.node as usize][ticket.receiver as usize].port as usize;
        let need = most_outputs(population, port, &ticket.event).saturating_mul(population.timing.n_repeat.into());
        most.saturating_add(need) <= depth
    }

    /// A module works on an event from now on.
    fn serve(&mut self, module: usize, spec: &Station, ticket: &Ticket) -> Result<(), Error> {
        let port = self.plan.receivers[ticket.node as usize][ticket.receiver as usize].port as usize;
        self.state.outputs.clear();
        let work = self.work(module, port, &ticket.event).map_err(|outside| {
            let StimulusEvent { t_pre, x, y, .. } = ticket.event;
            self.plan.plan.outside(ticket.node as usize, (t_pre, x, y), outside)
        })?;
        let outputs = self.state.outputs.len() as u64;
        let messages = outputs * self.plan.messages[module];
        let busy = Busy {
            events: span(0, spec.delay_to_process),
            operations: span(0, times(work.operations, spec.time_per_operation)),
            outputs: span(0, times(outputs, spec.time_per_output)),
            messages: span(0, times(messages, spec.time_per_message)),
            ..Busy::default()
        };
        let started = self.state.now;
        let done = self.occupy(module, busy)?;
        if started >= self.showing.warm_up {
            let statistics = &mut self.statistics.modules[module];
            statistics.events += 1;
            statistics.operations += work.operations;
            statistics.updates += work.updates;
            statistics.outputs += outputs;
            statistics.wait.record(span(ticket.arrived, started), 1);
        }
        let summary = &mut self.state.recorder.summary;
        summary.synaptic_operations += work.operations;
        summary.neuron_updates += work.updates;
        if let Some(watch) = &mut self.watch {
            watch(&Passage {
                node: NodeId::new(ticket.node as usize),
                module: ModuleId::new(module),
                port: port as u32,
                event: ticket.event,
                requested: ticket.requested,
                arrived: ticket.arrived,
                accepted: ticket.accepted,
                started,
                done,
                acknowledged: ticket.acknowledged,
                operations: work.operations,
                outputs,
            });
        }
        Ok(())
    }

    /// What an event does to a module's neurons.
    fn work(&mut self, module: usize, port: usize, event: &StimulusEvent) -> Result<Work, Outside> {
        use crate::engine::event::{Action, action};
        let s = self.network_time();
        let plan = &self.plan.plan;
        let population = &plan.populations[module];
        let State { populations, outputs, stations, .. } = &mut *self.state;
        let cells = &mut populations[module].cells;
        if self.plan.machine.barrier.is_some()
            && let (PopulationKind::Neurons(neurons), Cells::Neurons(state)) = (&population.kind, &mut *cells)
            && let Action::Spikes(sign) = action(event.polarity, event.y)
            && !neurons.softmax
        {
            if port >= population.n_ports {
                return Ok(Work::default());
            }
            // Only the input of the next step.
            let at = (&[event.x][..], &[event.y][..], sign);
            let operations = state.sum_run(neurons, plan.kernel, &neurons.ports[port], at).map_err(|(_, it)| it)?;
            stations[module].touched.mark(neurons, port, event.x, event.y);
            return Ok(Work { operations, updates: 0 });
        }
        act(population, cells, plan.kernel, port, event, s, outputs)
    }

    /// A module works from now on, and puts its outputs on its nodes when it is done.
    fn occupy(&mut self, module: usize, busy: Busy) -> Result<Tick, Error> {
        let now = self.state.now;
        let done = now.saturating_add(Tick::try_from(busy.total()).unwrap_or(Tick::MAX));
        if now >= self.showing.warm_up {
            let sum = &mut self.statistics.modules[module].busy;
            *sum = Busy {
                events: sum.events + busy.events,
                operations: sum.operations + busy.operations,
                outputs: sum.outputs + busy.outputs,
                messages: sum.messages + busy.messages,
                neurons: sum.neurons + busy.neurons,
                updates: sum.updates + busy.updates,
                spikes: sum.spikes + busy.spikes,
            };
        }
        self.state.ended = self.state.ended.max(done);
        let plan = self.plan;
        let population = &plan.plan.populations[module];
        let repeats = u64::from(population.timing.n_repeat);
        let arrival = done.saturating_add(population.timing.delay_to_arrive);
        for node in population.outputs.iter().flatten() {
            let State { pending, outputs, waiting, nodes, .. } = &mut *self.state;
            for leaving in outputs.iter() {
                let event = StimulusEvent { t_pre: arrival, x: leaving.x, y: leaving.y, polarity: leaving.polarity };
                pending[node.index()].push(event);
            }
            *waiting += outputs.len() as u64;
            nodes[node.index()].held += outputs.len() as u64 * repeats;
            self.schedule(node.index());
        }
        if self.state.waiting > self.limits.pending {
            return Err(self.too_many());
        }
        if done > now {
            self.state.stations[module].busy = true;
            self.due(done, What::Done, module as u32);
        }
        Ok(done)
    }

    /// Begins the next step behind a barrier; says whether there was one.
    fn step(&mut self) -> Result<bool, Error> {
        let Some(barrier) = self.plan.machine.barrier else { return Ok(false) };
        let Gate::Groups { released, .. } = self.state.gate else { return Ok(false) };
        let stuck = self.state.flights.len() > 0 || self.state.stations.iter().any(|station| station.queue() > 0);
        let first = released == Tick::MIN;
        let s = if first { 0 } else { released.saturating_add(1) };
        if stuck || s > self.plan.plan.t_max {
            return Ok(false);
        }
        let input_left = self.plan.plan.sources.iter().any(|node| {
            self.state.pending[node.index()].head_time(self.stimuli).is_some_and(|t| t <= self.plan.plan.t_max)
        });
        let active =
            |module: usize| self.state.stations[module].beyond || !self.state.stations[module].touched.is_empty();
        if !first && !input_left && !(0..self.state.stations.len()).any(active) {
            return Ok(false);
        }
        let not_before = match self.showing.pace {
            Pace::Real => s,
            Pace::Times(k) => s / Tick::from(k.get()),
            Pace::Fastest => 0,
        };
        let ready = if first { 0 } else { self.state.ended.max(self.state.now).saturating_add(barrier.time) };
        self.state.now = ready.max(not_before);
        self.let_go(s.saturating_add(barrier.step - 1).min(self.plan.plan.t_max), s);
        if self.state.now >= self.showing.warm_up {
            self.statistics.steps += 1;
        }
        for module in 0..self.state.stations.len() {
            self.step_module(module, s)?;
        }
        self.state.ended = self.state.ended.max(self.state.now);
        Ok(true)
    }

    /// Updates the neurons of a module, once for the step that begins.
    fn step_module(&mut self, module: usize, s: Tick) -> Result<(), Error> {
        let plan = &self.plan.plan;
        let spec = self.station(module);
        let State { populations, outputs, stations, .. } = &mut *self.state;
        let (PopulationKind::Neurons(neurons), Cells::Neurons(state)) =
            (&plan.populations[module].kind, &mut populations[module].cells)
        else {
            return Ok(());
        };
        outputs.clear();
        let station = &mut stations[module];
        let updates = station.touched.take(neurons);
        if !neurons.softmax {
            station.beyond = state.step(neurons, plan.kernel, s, &mut |spike: Spike| outputs.push(leaving(spike)));
        }
        let (count, spikes) = (neurons.array.len() as u64, outputs.len() as u64);
        let messages = spikes * self.plan.messages[module];
        let busy = Busy {
            neurons: span(0, times(count, spec.soma.time_per_neuron)),
            updates: span(0, times(updates, spec.soma.time_per_update)),
            spikes: span(0, times(spikes, spec.soma.time_per_spike)),
            outputs: span(0, times(spikes, spec.time_per_output)),
            messages: span(0, times(messages, spec.time_per_message)),
            ..Busy::default()
        };
        if self.state.now >= self.showing.warm_up {
            let statistics = &mut self.statistics.modules[module];
            statistics.neurons += count;
            statistics.updates += updates;
            statistics.outputs += spikes;
        }
        self.state.recorder.summary.neuron_updates += updates;
        self.occupy(module, busy).map(drop)
    }

    fn count_timeless(&mut self, r: Tick) -> Result<(), Error> {
        let (tick, count) = &mut self.state.busy_tick;
        if *tick != r {
            (*tick, *count) = (r, 0);
        }
        *count += 1;
        if *count <= self.limits.events_per_tick {
            return Ok(());
        }
        let nodes = (0..self.plan.plan.nodes.len()).filter(|&node| self.plan.plan.nodes[node].timeless);
        let nodes = nodes.map(|node| self.plan.plan.node_name(node)).collect();
        Err(Error::Runaway { time: r, events: *count, nodes })
    }

    fn too_many(&self) -> Error {
        let mut longest: Vec<usize> = (0..self.state.pending.len()).collect();
        longest.retain(|&node| !matches!(self.state.pending[node], Pending::Source { .. }));
        longest.sort_by_key(|&node| Reverse(self.state.pending[node].len(self.stimuli)));
        let nodes = longest.iter().take(5).map(|&node| self.plan.plan.node_name(node)).collect();
        Error::TooManyPending { time: self.state.now, limit: self.limits.pending, nodes }
    }

    fn finish(mut self) -> TimedRecord {
        let end = self.state.ended.max(self.showing.until.unwrap_or(0));
        self.state.now = end;
        for module in 0..self.state.stations.len() {
            self.note_queue(module);
            if let Some(since) = self.state.stations[module].stopped_since {
                self.statistics.modules[module].stopped += span(since.max(self.showing.warm_up), end);
            }
        }
        self.statistics.elapsed += span(self.showing.warm_up, end);
        self.statistics.runs += 1;
        let pending = self.state.pending.iter().map(|it| it.len(self.stimuli)).sum();
        self.state.recorder.summary.pending = pending;
        for (state, population) in self.state.populations.iter().zip(&self.plan.plan.populations) {
            if let Cells::Neurons(neurons) = &state.cells {
                for (module, &count) in population.modules.iter().zip(&neurons.saturations) {
                    self.state.recorder.summary.saturations[module.index()] = count;
                }
            }
        }
        let sources = self.plan.plan.sources.iter();
        TimedRecord {
            record: self.state.recorder.record(),
            first_input: sources.map(|node| self.state.nodes[node.index()].first_request).collect(),
            ended: self.state.ended,
            unfinished: Unfinished {
                pending,
                unacknowledged: self.state.flights.len() as u64,
                unstarted: self.state.stations.iter().map(super::state::StationState::queue).sum(),
            },
            deadlocks: deadlock::find(self.plan, self.state),
        }
    }
}
