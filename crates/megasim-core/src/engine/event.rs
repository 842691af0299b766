//! Event mode: every spike is one event with a request and an acknowledge, handled one at a time in time order.
//!
//! A run of events of one node at one tick costs one queue operation and goes through each receiver as a whole, where
//! nothing can come between: no receiver delays, and no output lands on a node that comes first. Otherwise events go
//! one by one.

mod groups;
mod outputs;
mod touch;

use groups::GroupRun;
use outputs::{Bus, ByMap, GroupQueue, Outputs};

use super::apply::Receiver;
use super::layerwise::Handover;
use super::plan::Plan;
use super::population::Target;
use super::queue::{Events, Fifo, Pending, Schedule};
use super::record::Recorder;
use super::run_end::RunEnd;
use super::timeless::TimelessEvents;
use super::{Error, Excess, Limits, PopulationState, Progress};
use crate::network::{NodeId, Stimulus, Tick};

/// The state of event mode other than the populations.
#[derive(Debug, Clone)]
pub(super) struct EventState {
    bus: Bus,
    schedule: Schedule,
    last_ack: Vec<Tick>,
    /// Scratch, away only while it is used.
    run: Option<Box<Fifo>>,
    group_run: Option<Box<GroupRun>>,
    timeless: TimelessEvents,
    /// The last tick at the end of which neurons were touched.
    touched: Tick,
}

impl EventState {
    pub fn new(plan: &Plan) -> Self {
        let n = plan.nodes.len();
        let mut pending: Vec<_> = (0..n).map(|_| Pending::new(1, 0)).collect();
        for population in &plan.populations {
            for node in population.outputs.iter().flatten() {
                pending[node.index()] = Pending::new(population.timing.n_repeat, population.timing.delay_to_repeat);
            }
        }
        for (source, node) in plan.sources.iter().enumerate() {
            pending[node.index()] = Pending::Source { source, taken: 0 };
        }
        if let Some(touch) = plan.touch {
            pending[touch] = Pending::new(1, 0);
        }
        Self {
            bus: Bus {
                pending,
                woken: Vec::new(),
                woken_groups: Vec::new(),
                incomplete: Vec::new(),
                by_map: ByMap::default(),
                groups: plan
                    .groups
                    .iter()
                    .map(|group| GroupQueue { nodes: vec![Vec::new(); group.drivers.len()], waiting: 0 })
                    .collect(),
                in_groups: false,
                waiting: 0,
            },
            schedule: Schedule::new(n, plan.nodes.iter().any(|node| node.repeated)),
            last_ack: vec![0; n],
            run: None,
            group_run: None,
            timeless: TimelessEvents::default(),
            touched: Tick::MIN,
        }
    }

    pub fn start(&mut self, plan: &Plan, stimuli: &[Stimulus], in_groups: bool) {
        let bus = &mut self.bus;
        for queue in &mut bus.groups {
            queue.nodes.iter_mut().for_each(Vec::clear);
            queue.waiting = 0;
        }
        bus.woken_groups.clear();
        bus.in_groups = in_groups;
        bus.pending.iter_mut().for_each(Pending::clear);
        bus.woken.clear();
        bus.waiting = 0;
        self.schedule.clear();
        self.last_ack.fill(Tick::MIN);
        self.timeless = TimelessEvents::default();
        for node in &plan.sources {
            if let Some(t) = bus.pending[node.index()].head_time(stimuli) {
                self.schedule.put(node.index(), t);
            }
        }
        self.touched = Tick::MIN;
        if let Some(touch) = plan.touch {
            self.touch_at(touch, 0);
        }
    }

    /// Goes on where a run layer by layer has ended: with these events of each stimulus taken.
    pub fn go_on(&mut self, plan: &Plan, stimuli: &[Stimulus], taken: &[usize]) {
        self.schedule.clear();
        for (node, &before) in plan.sources.iter().zip(taken) {
            let pending = &mut self.bus.pending[node.index()];
            if let Pending::Source { taken, .. } = pending {
                *taken = before;
            }
            if let Some(t) = pending.head_time(stimuli) {
                self.schedule.put(node.index(), t);
            }
        }
    }

    /// Events that are not handled yet.
    pub fn pending(&self, stimuli: &[Stimulus]) -> u64 {
        self.bus.pending.iter().map(|it| it.len(stimuli)).sum()
    }
}

/// One run in event mode.
pub(super) struct EventRun<'s> {
    pub plan: &'s Plan,
    pub limits: Limits,
    pub populations: &'s mut [PopulationState],
    pub state: &'s mut EventState,
    pub recorder: &'s mut Recorder,
    pub stimuli: &'s [Stimulus],
    /// Whether nodes may be handled together where that changes nothing but when a run can be stopped.
    pub in_groups: bool,
}

impl EventRun<'_> {
    /// From the start, or from where a run layer by layer has ended.
    pub fn run(
        &mut self,
        handover: Option<&Handover>,
        stop: &mut impl FnMut(&Progress<'_>) -> bool,
    ) -> Result<(), Error> {
        self.state.start(self.plan, self.stimuli, self.in_groups && self.plan.touch.is_none());
        if let Some(Handover { taken, .. }) = handover {
            self.state.go_on(self.plan, self.stimuli, taken);
        }
        self.run_to(self.plan.t_max, stop)?;
        self.recorder.summary.pending = self.state.pending(self.stimuli);
        Ok(())
    }

    /// Goes on to the tick `last`; a later one can follow.
    pub fn run_to(&mut self, last: Tick, stop: &mut impl FnMut(&Progress<'_>) -> bool) -> Result<RunEnd, Error> {
        while let Some((r, node)) = self.state.schedule.next() {
            if r > last {
                self.state.schedule.put(node, r);
                return Ok(RunEnd::Through);
            }
            self.handle(node, r)?;
            if let Some(touch) = self.plan.touch {
                self.touch(touch, node, r);
            }
            let progress = Progress {
                time: r,
                node: Some(NodeId::new(node)),
                events: &self.recorder.summary.events,
                logs: &self.recorder.logs,
                plan: self.plan,
                populations: self.populations,
            };
            if stop(&progress) {
                return Ok(RunEnd::Stopped);
            }
        }
        Ok(RunEnd::Idle)
    }

    /// Handles the head of a node that is due at `r`, and what follows it undisturbed.
    fn handle(&mut self, node: usize, r: Tick) -> Result<(), Error> {
        if let Some(group) = self.plan.nodes[node].leads.filter(|_| self.state.bus.in_groups) {
            self.handle_group(group, r)
        } else if self.plan.nodes[node].in_runs_from.is_some_and(|from| from <= r) {
            self.handle_run(node, r)
        } else {
            self.handle_one_by_one(node, r)
        }
    }

    /// All events of the node that are due at `r`, through one receiver after the other.
    fn handle_run(&mut self, node: usize, r: Tick) -> Result<(), Error> {
        let stimuli = self.stimuli;
        let mut run = self.state.run.take().unwrap_or_default();
        let result = match &mut self.state.bus.pending[node] {
            Pending::Source { source, taken } => {
                let stimulus = &stimuli[*source];
                let rest = &stimulus.t_pre()[*taken..];
                let n = due(rest, r);
                let range = *taken..*taken + n;
                *taken += n;
                self.deliver_run(node, Events::of(stimulus, range), r)
            }
            Pending::Queue(queue) => {
                queue.take_until(r, &mut run);
                self.state.bus.waiting -= run.events().len() as u64;
                self.deliver_run(node, run.events(), r)
            }
            Pending::Repeated(_) => self.handle_one_by_one(node, r),
        };
        self.state.run = Some(run);
        result
    }

    fn deliver_run(&mut self, node: usize, events: Events<'_>, r: Tick) -> Result<(), Error> {
        for &reader in &self.plan.nodes[node].readers {
            self.deliver_in_parts(reader, node, events, r)?;
        }
        self.recorder.run(node, events, r);
        self.state.last_ack[node] = r;
        self.wake(node, r)?;
        if let Some(t) = self.state.bus.pending[node].head_time(self.stimuli) {
            self.state.schedule.put(node, t.max(r));
        }
        Ok(())
    }

    /// Hands events to one port; what a part of them makes must fit memory before the next one acts.
    fn deliver_in_parts(&mut self, reader: Target, node: usize, events: Events<'_>, r: Tick) -> Result<(), Error> {
        let population = &self.plan.populations[reader.population];
        let arrival = r.saturating_add(population.timing.delay_to_arrive);
        let part = (MOST_OUTPUTS / population.fan_out).max(1) as usize;
        if events.len() <= part {
            return self.deliver(reader, node, events, r, arrival);
        }
        for start in (0..events.len()).step_by(part) {
            self.deliver(reader, node, events.slice(start..(start + part).min(events.len())), r, arrival)?;
            self.check_limits(r)?;
        }
        Ok(())
    }

    fn handle_one_by_one(&mut self, node: usize, r: Tick) -> Result<(), Error> {
        let plan = &self.plan.nodes[node];
        loop {
            let pending = &mut self.state.bus.pending[node];
            let made = !matches!(pending, Pending::Source { .. });
            let Some((event, value, last)) = pending.pop(self.stimuli) else { return Ok(()) };
            self.state.bus.waiting -= u64::from(last && made);
            let mut t_ack = r;
            for &reader in &plan.readers {
                let timing = &self.plan.populations[reader.population].timing;
                let served = self.populations[reader.population].handshake.request(timing, r);
                t_ack = t_ack.max(served.ack);
                self.deliver(reader, node, Events::one_valued(&event, &value), served.start, served.done)?;
            }
            self.recorder.event(node, event, value, (r, t_ack));
            self.state.last_ack[node] = t_ack;
            self.wake(node, r)?;
            if plan.timeless {
                self.state.timeless.count(self.plan, &self.limits, r)?;
            }
            let Some(t) = self.state.bus.pending[node].head_time(self.stimuli) else { return Ok(()) };
            let next = t.max(t_ack);
            if next > r || self.state.schedule.precedes(node) {
                self.state.schedule.put(node, next);
                return Ok(());
            }
        }
    }

    /// Schedules the nodes that got a new head, but the one that is being handled.
    fn wake(&mut self, current: usize, r: Tick) -> Result<(), Error> {
        let EventState { bus, schedule, last_ack, .. } = &mut *self.state;
        bus.woken_groups.drain(..).for_each(|group| schedule.put(self.plan.groups[group].first, r));
        for node in bus.woken.drain(..) {
            if node == current {
                continue;
            }
            let Some(t) = bus.pending[node].head_time(self.stimuli) else { continue };
            let at = t.max(last_ack[node]);
            if self.plan.nodes[node].repeated {
                schedule.move_to(node, at);
            } else {
                schedule.put(node, at);
            }
        }
        self.check_limits(r)
    }

    #[inline]
    fn check_limits(&self, r: Tick) -> Result<(), Error> {
        if self.limits.exceeded(self.recorder, self.state.bus.waiting) {
            return Err(self.beyond_limits(r));
        }
        Ok(())
    }

    #[cold]
    fn beyond_limits(&self, r: Tick) -> Error {
        let bus = &self.state.bus;
        let mut counts: Vec<u64> = bus
            .pending
            .iter()
            .zip(&self.recorder.summary.events)
            .map(|(pending, &handled)| {
                let made = !matches!(pending, Pending::Source { .. });
                handled + if made { pending.len(self.stimuli) } else { 0 }
            })
            .collect();
        for (group, queue) in self.plan.groups.iter().zip(&bus.groups) {
            counts[group.first..].iter_mut().zip(&queue.nodes).for_each(|(count, node)| *count += node.len() as u64);
        }
        Error::limit(&self.limits, self.recorder, Excess::new(self.plan, r, &counts))
    }

    /// Hands events to one port, which works on them at `s` and puts its outputs on the bus at `done`.
    fn deliver(&mut self, reader: Target, node: usize, events: Events<'_>, s: Tick, done: Tick) -> Result<(), Error> {
        let population = &self.plan.populations[reader.population];
        let mut outputs = Outputs { population, bus: &mut self.state.bus, done };
        let cells = &mut self.populations[reader.population].cells;
        let receiver = Receiver { population, cells, kernel: self.plan.kernel, port: reader.port };
        let work = receiver.apply(events, s, &mut outputs).map_err(|(k, outside)| {
            let address = (events.t_pre[k], events.x[k], events.y[k]);
            self.plan.outside(node, address, outside)
        })?;
        self.recorder.summary.add(work);
        Ok(())
    }
}

/// Events that one part of a run of events may make before memory is checked, unless one event makes more.
const MOST_OUTPUTS: u64 = 1 << 25;

/// How many of some times in rising order are not later than `r`: those of one tick are a small part of all, so that
/// the search begins at the front, but in steps.
fn due(t_pre: &[Tick], r: Tick) -> usize {
    const STEP: usize = 32;
    let whole = t_pre.chunks_exact(STEP).take_while(|step| step[STEP - 1] <= r).count() * STEP;
    whole + t_pre[whole..].iter().take_while(|&&t_pre| t_pre <= r).count()
}
