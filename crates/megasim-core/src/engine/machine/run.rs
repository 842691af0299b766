//! The run loop: what is due happens, in the order of `docs/timing.md`.

use super::agenda::{EventKind, Scheduled};
use super::causes::{Causes, START, Why};
use super::mesh::Mesh;
use super::path::Wait;
use super::receivers::{Target, Way};
use super::state::{Acknowledges, Copies, Delivery, Gate, InFlight, State, Transit};
use super::statistics::Statistics;
use super::{MachinePlan, MachineRecord, Pace, RunSettings, Station, TraceSink, Unfinished, deadlock};
use crate::engine::apply::Cells;
use crate::engine::queue::Pending;
use crate::engine::{Error, Excess, Limits};
use crate::network::{ModuleId, NodeId, Stimulus, Tick};

/// One run.
pub(super) struct Run<'r, 'w> {
    pub plan: &'r MachinePlan,
    pub limits: Limits,
    pub state: &'r mut State,
    pub statistics: &'r mut Statistics,
    pub stimuli: &'r [Stimulus],
    pub showing: &'r RunSettings,
    pub watch: Option<&'r mut TraceSink<'w>>,
    /// Takes what each moment waited for.
    pub causes: Option<&'r mut Causes>,
    /// Whether steps are processed in their own order, and not by what is due.
    pub sweeps: bool,
}

/// What leaves 64 bits stays at the largest time, which is after this one.
const LAST: Tick = Tick::MAX - 1;

/// Ticks as a count; times are never negative.
pub(super) fn span(from: Tick, to: Tick) -> u64 {
    u64::try_from(to.saturating_sub(from)).unwrap_or(0)
}

pub(super) fn times(n: u64, each: Tick) -> Tick {
    each.saturating_mul(Tick::try_from(n).unwrap_or(Tick::MAX))
}

impl<'r> Run<'r, '_> {
    pub fn run(mut self) -> Result<MachineRecord, Error> {
        let t_max = self.plan.plan.t_max;
        self.state.start(self.plan);
        let mut last_request = match self.showing.pace {
            Pace::Real => t_max,
            Pace::Times(k) => t_max / Tick::from(k.get()),
            Pace::Fastest => LAST,
        };
        if self.plan.machine.barrier.is_some() {
            last_request = LAST;
        }
        self.open();
        // The first step comes before all that is due, which modules that are busy from the start have put there.
        self.step()?;
        loop {
            while let Some(due) = self.state.due.pop() {
                self.state.now = due.time;
                match due.what {
                    EventKind::Done => {
                        self.state.stations[due.who as usize].busy = false;
                        self.core_done(due.who);
                    }
                    EventKind::Acknowledge => self.acknowledge(due.index),
                    EventKind::LinkFree => self.link_free(due.who),
                    EventKind::Travel => self.travel(due.index),
                    EventKind::Release => {
                        if !self.release() {
                            last_request = due.time.saturating_add(t_max).min(LAST);
                        }
                    }
                    EventKind::Request if due.time > last_request => {}
                    EventKind::Request => self.request(due.who as usize, due.time)?,
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
    pub(super) fn open(&mut self) {
        for module in 0..self.state.stations.len() {
            let until = self.station(module).time_busy_initial;
            if until > 0 {
                self.state.stations[module].busy = true;
                let core = &mut self.state.cores_free_at[self.plan.cores[module] as usize];
                *core = until.max(*core);
                if let Some(causes) = &mut self.causes {
                    causes.busy_initially((ModuleId::new(module), self.plan.cores[module] as usize), until);
                }
                self.due(until, EventKind::Done, module as u32);
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
            Gate::Groups { .. } => self.due(0, EventKind::Release, 0),
        }
    }

    /// A module is done: it may start its next event, or another one of its core does, the one that waits longest.
    fn core_done(&mut self, module: u32) {
        let modules = &self.plan.modules_of[self.plan.cores[module as usize] as usize];
        if modules.len() == 1 {
            if self.state.stations[module as usize].queue() > 0 {
                self.start_or_wait(module as usize);
            }
            return;
        }
        let arrived = |module: u32| {
            let station = &self.state.stations[module as usize];
            let head = station.inside.front().or(station.outside.front())?;
            Some((self.state.transits.of(*head).delivery.arrived, module))
        };
        let mut waiting: Vec<(Tick, u32)> = modules.iter().filter_map(|&module| arrived(module)).collect();
        waiting.sort_unstable();
        self.state.ready.extend(waiting.into_iter().map(|(_, module)| module));
    }

    pub(super) fn station(&self, module: usize) -> &'r Station {
        self.plan.machine.module(ModuleId::new(module))
    }

    pub(super) fn due(&mut self, time: Tick, what: EventKind, who: u32) {
        self.state.due.push(Scheduled { time, what, requested: 0, who, index: 0 });
    }

    /// The time that neurons count.
    pub(super) fn network_time(&self) -> Tick {
        match (self.showing.pace, self.state.gate) {
            (_, Gate::Groups { network_time, .. }) => network_time,
            (Pace::Times(k), _) => self.state.now.saturating_mul(k.get().into()),
            (Pace::Real | Pace::Fastest, _) => self.state.now,
        }
    }

    /// Lets the source events of the next stimulus time go; says whether there are any.
    pub(super) fn release(&mut self) -> bool {
        let heads =
            self.plan.plan.sources.iter().filter_map(|node| self.state.pending[node.index()].head_time(self.stimuli));
        let Some(next) = heads.min() else { return false };
        if let Some(causes) = &mut self.causes {
            causes.release();
        }
        self.let_go(next, next);
        true
    }

    /// Lets source events up to a stimulus time go; neurons take it to be `network_time` from now on.
    pub(super) fn let_go(&mut self, released: Tick, network_time: Tick) {
        let open = self.plan.plan.sources.iter().map(|node| match &self.state.pending[node.index()] {
            Pending::Source { source, taken } => {
                self.stimuli[*source].t_pre().partition_point(|&t| t <= released).saturating_sub(*taken) as u64
            }
            _ => 0,
        });
        self.state.since_gate = 0;
        self.state.gate = Gate::Groups { released, at: self.state.now, open: open.sum(), network_time };
        self.plan.plan.sources.iter().for_each(|node| self.schedule(node.index()));
    }

    /// Puts a node's next request on the list, if it may be requested.
    pub(super) fn schedule(&mut self, node: usize) {
        if self.sweeps || self.state.nodes[node].under_way {
            return;
        }
        let Some(time) = self.state.head_time(node, self.stimuli) else { return };
        let state = &mut self.state.nodes[node];
        let time = time.max(state.last_ack);
        if state.scheduled.is_some_and(|scheduled| scheduled <= time) {
            return;
        }
        state.scheduled = Some(time);
        self.due(time, EventKind::Request, node as u32);
    }

    /// A node puts its next event on its wires.
    pub(super) fn request(&mut self, node: usize, r: Tick) -> Result<(), Error> {
        let state = &mut self.state.nodes[node];
        if state.under_way || state.scheduled != Some(r) {
            // Something earlier took its place.
            return Ok(());
        }
        state.scheduled = None;
        let offered = self.state.head_time(node, self.stimuli).unwrap_or(r);
        let made = !matches!(self.state.pending[node], Pending::Source { .. });
        let Some((mut event, _, last)) = self.state.pending[node].pop(self.stimuli) else { return Ok(()) };
        event.t_pre = offered;
        self.state.waiting -= u64::from(made && last);
        let state = &mut self.state.nodes[node];
        state.under_way = true;
        state.first_request.get_or_insert(r);
        if self.plan.plan.nodes[node].timeless {
            self.state.timeless.count(&self.plan.plan, &self.limits, r)?;
        }
        self.count_since_gate(r)?;
        let plan = self.plan;
        let receivers = plan.receivers.of(node);
        let outstanding = receivers.len() as u32;
        let flight = self.state.in_flight.put(InFlight { node: node as u32, event, requested: r, outstanding });
        let moment = self.request_moment(node, r, offered, flight);
        if receivers.is_empty() {
            self.state.in_flight.get(flight).outstanding = 1;
            self.acknowledge(flight);
            return Ok(());
        }
        let parts = plan.drivers[node].and_then(|driver| plan.parts[driver as usize].as_ref());
        let from = parts.map_or(0, |parts| parts.sender(event.x, event.y));
        if r >= self.showing.warm_up {
            plan.receivers.messages(node, from).count_in(&mut self.statistics.nodes[node]);
        }
        self.state.acknowledges = Acknowledges { flight, latest: r, count: 0 };
        for number in receivers {
            let receiver = plan.receivers.target(number);
            if receiver.follows {
                continue;
            }
            let mut delivery = Delivery {
                flight,
                node: node as u32,
                receiver: number,
                event,
                requested: r,
                arrived: r,
                accepted: r,
                acknowledged: r,
                moment,
                from,
            };
            if receiver.link.delay == 0 && plan.receivers.ways(receiver, from).is_empty() {
                let way = Way::default();
                let here = Transit { delivery, way, input: Mesh::TILE, copies: None, came: r };
                let here = self.state.transits.put(here);
                self.arrive_at_core(here);
            } else {
                if let Some(causes) = &mut self.causes {
                    let wire = Wait::Link(NodeId::new(node), ModuleId::new(receiver.module as usize));
                    delivery.moment = causes.after(moment, r.saturating_add(receiver.link.delay), Why::Wait(wire));
                }
                self.send(receiver, delivery);
            }
            self.settle()?;
        }
        self.schedule_acknowledges();
        Ok(())
    }

    /// Sends a message off to each core of a receiver to which there is a way, or one to all.
    fn send(&mut self, receiver: &Target, delivery: Delivery) {
        let ways = self.plan.receivers.ways(receiver, delivery.from);
        let (count, moment) = (ways.len() as u32, delivery.moment);
        let copies = Copies { travelling: count, unposted: count, posted: (Tick::MIN, moment), moment };
        let copies = (count > 1).then(|| self.state.copies.put(copies));
        let came = delivery.requested;
        let message = |way: Way| Transit { delivery, way, input: Mesh::TILE, copies, came };
        if let &[way] = ways {
            let transit = self.state.transits.put(message(way));
            return self.set_off(receiver, transit);
        }
        let here = ways.is_empty().then_some(Way::default());
        let transits = ways.iter().chain(&here).map(|&way| self.state.transits.put(message(way)));
        // Of copies that come to a link at one tick the one with the lowest number is first: in the order of cores.
        let mut numbers: Vec<u32> = transits.collect();
        numbers.sort_unstable();
        for (&number, &way) in numbers.iter().zip(ways.iter().chain(&here)) {
            self.state.transits.get(number).way = way;
        }
        numbers.into_iter().for_each(|transit| self.set_off(receiver, transit));
    }

    /// A message goes over its wire, and on from there.
    fn set_off(&mut self, receiver: &Target, transit: u32) {
        if receiver.link.delay == 0 {
            return self.travel(transit);
        }
        let requested = self.state.transits.of(transit).came;
        self.due_travel(transit, requested.saturating_add(receiver.link.delay));
    }

    /// The moment of a request, where causes are kept.
    fn request_moment(&mut self, node: usize, r: Tick, offered: Tick, flight: u32) -> u32 {
        let Some(causes) = &mut self.causes else { return START };
        let id = NodeId::new(node);
        let moment = match (self.plan.drivers[node], self.state.gate) {
            (Some(module), _) => {
                let timing = &self.plan.plan.populations[module as usize].timing;
                let repeats = (ModuleId::new(module as usize), timing.n_repeat, timing.delay_to_repeat);
                causes.request_made(id, r, offered, repeats)
            }
            (None, Gate::Divided(_)) => {
                let due = causes.after(START, offered, Why::Wait(Wait::Input));
                causes.request(id, r, due)
            }
            (None, Gate::Groups { .. }) => causes.request_released(id, r),
        };
        causes.set_flight(flight, moment);
        moment
    }

    /// Where input waits for what came before it, a loop that never rests would hold it up for ever.
    fn count_since_gate(&mut self, r: Tick) -> Result<(), Error> {
        if matches!(self.state.gate, Gate::Divided(_)) {
            return Ok(());
        }
        self.state.since_gate += 1;
        if self.state.since_gate <= self.limits.events_per_tick {
            return Ok(());
        }
        let busy = (0..self.state.nodes.len()).filter(|&node| self.state.nodes[node].held > 0).take(5);
        let nodes = busy.map(|node| self.plan.plan.node_name(node)).collect();
        Err(Error::NeverRests { time: r, events: self.state.since_gate, nodes })
    }

    #[cold]
    pub(super) fn beyond_limits(&self) -> Error {
        let handled = &self.state.recorder.summary.events;
        let counts = self.state.pending.iter().zip(handled).map(|(pending, &handled)| {
            let made = !matches!(pending, Pending::Source { .. });
            handled + if made { pending.len(self.stimuli) } else { 0 }
        });
        let excess = Excess::new(&self.plan.plan, self.state.now, &counts.collect::<Vec<_>>());
        Error::limit(&self.limits, &self.state.recorder, excess)
    }

    pub(super) fn finish(mut self) -> MachineRecord {
        let end = self.state.ended.max(self.showing.until.unwrap_or(0));
        self.state.now = end;
        for module in 0..self.state.stations.len() {
            self.book_rest(module);
            if let Some(since) = self.state.stations[module].stopped_since {
                self.statistics.modules[module].stopped += span(since.max(self.showing.warm_up), end);
            }
        }
        let elapsed = &mut self.statistics.elapsed;
        *elapsed = elapsed.saturating_add(span(self.showing.warm_up, end));
        self.statistics.runs += 1;
        let pending = self.state.pending.iter().map(|it| it.len(self.stimuli)).sum();
        let sources = self.state.pending.iter().filter(|it| matches!(it, Pending::Source { .. }));
        let unsent = sources.map(|it| it.len(self.stimuli)).sum();
        self.state.recorder.summary.pending = pending;
        for (state, population) in self.state.populations.iter().zip(&self.plan.plan.populations) {
            if let Cells::Neurons(neurons) = &state.cells {
                for (module, &count) in population.modules.iter().zip(&neurons.saturations) {
                    self.state.recorder.summary.saturations[module.index()] = count;
                }
            }
        }
        let sources = self.plan.plan.sources.iter();
        MachineRecord {
            record: self.state.recorder.record(),
            first_input: sources.map(|node| self.state.nodes[node.index()].first_request).collect(),
            ended: self.state.ended,
            unfinished: Unfinished {
                pending,
                unsent,
                unacknowledged: self.state.in_flight.len() as u64,
                unstarted: self.state.stations.iter().map(super::state::StationState::queue).sum(),
            },
            deadlocks: deadlock::find(self.plan, self.state),
        }
    }
}
