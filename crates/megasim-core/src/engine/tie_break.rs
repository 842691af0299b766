//! Event mode with another order of the events that are due at one tick: how much does that order matter?
//!
//! `docs/engine.md` takes, of several events that are due, the one of the lowest node, and of a node's the one made
//! first. Hardware does not promise that. This path is written to be read, not to be fast; the order of the rules has
//! its own path in `event`.

use super::action::{Action, action};
use super::apply::Receiver;
use super::kernels::Sign;
use super::neurons::Spike;
use super::plan::Plan;
use super::population::{PopulationKind, Target};
use super::queue::Events;
use super::record::Recorder;
use super::tie_order::TieOrder;
use super::timeless::TimelessEvents;
use super::{Error, Excess, Limits, PopulationState, Progress};
use crate::network::{NodeId, Polarity, Stimulus, StimulusEvent, Tick};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use std::collections::{BTreeMap, BTreeSet};

/// The events of one node that are not handled yet: those of each time in order of creation.
#[derive(Debug, Clone, Default)]
struct Waiting {
    by_time: BTreeMap<Tick, Vec<StimulusEvent>>,
    last_ack: Option<Tick>,
}

impl Waiting {
    /// Request time of the head.
    fn due(&self) -> Option<Tick> {
        let (&head, _) = self.by_time.first_key_value()?;
        Some(self.last_ack.map_or(head, |ack| head.max(ack)))
    }

    /// Takes one of the events of the earliest time.
    fn take(&mut self, choose: impl FnOnce(usize) -> usize) -> Option<StimulusEvent> {
        let mut entry = self.by_time.first_entry()?;
        let events = entry.get_mut();
        // An entry always has an event.
        let chosen = choose(events.len()).min(events.len() - 1);
        let event = events.remove(chosen);
        if events.is_empty() {
            entry.remove();
        }
        Some(event)
    }
}

/// The state of this mode other than the populations.
#[derive(Debug, Clone)]
pub(super) struct TieBreakState {
    waiting: Vec<Waiting>,
    /// The nodes that are due, by request time; each node is listed at most once.
    due: BTreeMap<Tick, BTreeSet<usize>>,
    /// When each node is due.
    due_at: Vec<Option<Tick>>,
    /// Events that wait.
    count: u64,
    /// Events of the stimuli.
    given: u64,
    /// Outputs of the population that acts.
    outputs: Vec<(usize, i32, i32, Polarity)>,
}

impl TieBreakState {
    pub fn new(plan: &Plan) -> Self {
        let n = plan.nodes.len();
        Self {
            waiting: vec![Waiting::default(); n],
            due: BTreeMap::new(),
            due_at: vec![None; n],
            count: 0,
            given: 0,
            outputs: Vec::new(),
        }
    }

    fn start(&mut self, plan: &Plan, stimuli: &[Stimulus]) {
        self.waiting.iter_mut().for_each(|waiting| *waiting = Waiting::default());
        self.due.clear();
        self.due_at.fill(None);
        self.count = 0;
        for (node, stimulus) in plan.sources.iter().zip(stimuli) {
            for event in stimulus.iter() {
                self.push(node.index(), event);
            }
        }
        self.given = self.count;
    }

    fn push(&mut self, node: usize, event: StimulusEvent) {
        self.waiting[node].by_time.entry(event.t_pre).or_default().push(event);
        self.count += 1;
        self.reschedule(node);
    }

    fn reschedule(&mut self, node: usize) {
        let at = self.waiting[node].due();
        if at == self.due_at[node] {
            return;
        }
        if let Some(before) = self.due_at[node]
            && let Some(nodes) = self.due.get_mut(&before)
        {
            nodes.remove(&node);
            if nodes.is_empty() {
                self.due.remove(&before);
            }
        }
        if let Some(at) = at {
            self.due.entry(at).or_default().insert(node);
        }
        self.due_at[node] = at;
    }
}

/// One run in event mode with another order of ties.
pub(super) struct TieBreakRun<'s> {
    pub plan: &'s Plan,
    pub limits: Limits,
    pub order: TieOrder,
    pub populations: &'s mut [PopulationState],
    pub state: &'s mut TieBreakState,
    pub recorder: &'s mut Recorder,
    pub stimuli: &'s [Stimulus],
}

/// Which of the events that are due at one tick comes first.
trait Order {
    /// One of the nodes that are due; none where all of the tick go together.
    fn node(&mut self, due: &BTreeSet<usize>) -> Option<usize>;

    /// One of `n` events of a node.
    fn event(&mut self, n: usize) -> usize;
}

/// See [`TieOrder::Reversed`].
struct Last;

impl Order for Last {
    fn node(&mut self, due: &BTreeSet<usize>) -> Option<usize> {
        due.last().copied()
    }

    fn event(&mut self, n: usize) -> usize {
        n - 1
    }
}

/// See [`TieOrder::Seeded`].
struct Random(ChaCha8Rng);

impl Order for Random {
    fn node(&mut self, due: &BTreeSet<usize>) -> Option<usize> {
        due.iter().nth(self.0.random_range(0..due.len())).copied()
    }

    fn event(&mut self, n: usize) -> usize {
        self.0.random_range(0..n)
    }
}

/// See [`TieOrder::Split`].
struct Split;

impl Order for Split {
    fn node(&mut self, _: &BTreeSet<usize>) -> Option<usize> {
        None
    }

    fn event(&mut self, _: usize) -> usize {
        0
    }
}

/// Which part of the weights acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Whole,
    Raising,
    Lowering,
}

impl TieBreakRun<'_> {
    pub fn run(&mut self, stop: &mut impl FnMut(&Progress<'_>) -> bool) -> Result<(), Error> {
        self.state.start(self.plan, self.stimuli);
        match self.order {
            TieOrder::Split => self.in_order(&mut Split, stop),
            TieOrder::Seeded(seed) => self.in_order(&mut Random(ChaCha8Rng::seed_from_u64(seed)), stop),
            TieOrder::Reversed | TieOrder::Netlist => self.in_order(&mut Last, stop),
        }
    }

    fn in_order<O: Order>(&mut self, order: &mut O, stop: &mut impl FnMut(&Progress<'_>) -> bool) -> Result<(), Error> {
        let mut timeless = TimelessEvents::default();
        while let Some((&r, nodes)) = self.state.due.first_key_value() {
            if r > self.plan.t_max {
                break;
            }
            let node = order.node(nodes);
            match node {
                Some(node) => {
                    self.one(node, r, order)?;
                    if self.plan.nodes[node].timeless {
                        timeless.count(self.plan, &self.limits, r)?;
                    }
                }
                None => self.split(r)?,
            }
            let node = node.map(NodeId::new);
            let (plan, populations) = (self.plan, &*self.populations);
            let (events, logs) = (&self.recorder.summary.events[..], &self.recorder.logs[..]);
            if stop(&Progress { time: r, node, events, logs, plan, populations }) {
                break;
            }
        }
        self.recorder.summary.pending = self.state.count;
        Ok(())
    }

    /// Refuses more events than a run may have. Those of stimuli that are still to come are memory that the caller has.
    fn check_limits(&self, time: Tick) -> Result<(), Error> {
        if !self.limits.exceeded(self.recorder, self.state.count.saturating_sub(self.state.given)) {
            return Ok(());
        }
        let waiting = |node: usize| self.state.waiting[node].by_time.values().map(Vec::len).sum::<usize>() as u64;
        let counts = self.recorder.summary.events.iter().enumerate().map(|(node, &handled)| handled + waiting(node));
        let counts: Vec<u64> = counts.collect();
        Err(Error::limit(&self.limits, self.recorder, Excess::new(self.plan, time, &counts)))
    }

    /// Handles one event of a node.
    fn one(&mut self, node: usize, r: Tick, order: &mut impl Order) -> Result<(), Error> {
        let Some(event) = self.state.waiting[node].take(|n| order.event(n)) else { return Ok(()) };
        self.state.count -= 1;
        let mut t_ack = r;
        let plan = self.plan;
        for &reader in &plan.nodes[node].readers {
            let timing = &plan.populations[reader.population].timing;
            let served = self.populations[reader.population].handshake.request(timing, r);
            t_ack = t_ack.max(served.ack);
            self.deliver(reader, node, &event, served.start, Part::Whole)?;
            self.emit(reader.population, served.done)?;
            self.check_limits(r)?;
        }
        self.recorder.event(node, event, None, (r, t_ack));
        self.state.waiting[node].last_ack = Some(t_ack);
        self.state.reschedule(node);
        Ok(())
    }

    /// All events of a tick, module by module, until no more come.
    fn split(&mut self, r: Tick) -> Result<(), Error> {
        let plan = self.plan;
        let n = plan.nodes.len();
        let mut present: Vec<Vec<StimulusEvent>> = vec![Vec::new(); n];
        let mut seen: Vec<Vec<usize>> = plan.populations.iter().map(|it| vec![0; it.inputs.len()]).collect();
        let mut handled = 0;
        loop {
            let mut any = self.arrive(r, &mut present);
            for (population, seen) in seen.iter_mut().enumerate() {
                self.arrive(r, &mut present);
                let compiled = &plan.populations[population];
                let halves = matches!(compiled.kind, PopulationKind::Neurons(_));
                // An event is taken once, at its raising half, and handed to both.
                let lowering = if halves { compiled.n_ports / 2..compiled.n_ports } else { 0..0 };
                let inputs = &compiled.inputs;
                let new: Vec<(usize, usize, StimulusEvent)> = inputs
                    .iter()
                    .enumerate()
                    .filter(|(port, _)| !lowering.contains(port))
                    .filter_map(|(port, input)| Some((port, input.node?.index())))
                    .flat_map(|(port, node)| {
                        let from = std::mem::replace(&mut seen[port], present[node].len());
                        present[node][from..].iter().map(move |&event| (port, node, event)).collect::<Vec<_>>()
                    })
                    .collect();
                if new.is_empty() {
                    continue;
                }
                any = true;
                handled += new.len() as u64;
                if handled > self.limits.events_per_tick {
                    return Err(self.plan.runaway(r, handled));
                }
                let parts: &[Part] = if halves { &[Part::Raising, Part::Lowering] } else { &[Part::Whole] };
                for &part in parts {
                    for &(port, node, event) in &new {
                        let reader = Target { population, port };
                        self.deliver(reader, node, &event, r, part)?;
                        self.emit(population, r.saturating_add(compiled.timing.delay_to_arrive))?;
                    }
                }
            }
            if !any {
                break;
            }
        }
        for (node, events) in present.into_iter().enumerate() {
            events.into_iter().for_each(|event| self.recorder.event(node, event, None, (r, r)));
        }
        Ok(())
    }

    /// Moves what is due at `r` to the events of the tick; whether there was anything.
    fn arrive(&mut self, r: Tick, present: &mut [Vec<StimulusEvent>]) -> bool {
        let Some(nodes) = self.state.due.get(&r).cloned() else { return false };
        for node in nodes {
            if let Some(events) = self.state.waiting[node].by_time.remove(&r) {
                self.state.count -= events.len() as u64;
                present[node].extend(events);
            }
            self.state.reschedule(node);
        }
        true
    }

    /// Puts the outputs of a population on their nodes.
    fn emit(&mut self, population: usize, done: Tick) -> Result<(), Error> {
        let population = &self.plan.populations[population];
        let mut outputs = std::mem::take(&mut self.state.outputs);
        for (map, x, y, polarity) in outputs.drain(..) {
            for node in &population.outputs[map] {
                for repetition in 0..population.timing.n_repeat {
                    let delay = population.timing.delay_to_repeat.saturating_mul(repetition.into());
                    let t_pre = done.saturating_add(delay);
                    self.state.push(node.index(), StimulusEvent { t_pre, x, y, polarity });
                    self.check_limits(done)?;
                }
            }
        }
        self.state.outputs = outputs;
        Ok(())
    }

    /// Hands one event to one port, which works on it at `s`; what comes out waits for [`TieBreakRun::emit`].
    fn deliver(
        &mut self,
        reader: Target,
        node: usize,
        event: &StimulusEvent,
        s: Tick,
        part: Part,
    ) -> Result<(), Error> {
        let population = &self.plan.populations[reader.population];
        let action = action(event.polarity, event.y);
        let is_here = match (part, action) {
            (Part::Whole, _) | (_, Action::Spikes(_)) => true,
            (Part::Raising, action) => action == Action::Reset,
            (Part::Lowering, action) => action != Action::Reset,
        };
        // With halves, ports are the raising parts of all ports, then the lowering ones, then what has no weights.
        let half = population.n_ports / 2;
        let port = match (part, action) {
            (Part::Whole, _) => reader.port,
            _ if reader.port >= half => population.n_ports,
            // A negative event turns the signs around.
            (Part::Raising, Action::Spikes(Sign::Minus)) | (Part::Lowering, Action::Spikes(Sign::Plus)) => {
                reader.port + half
            }
            _ => reader.port,
        };
        if !is_here {
            return Ok(());
        }
        let cells = &mut self.populations[reader.population].cells;
        let outputs = &mut self.state.outputs;
        let mut out = |Spike { map, x, y, polarity, .. }: Spike| outputs.push((map as usize, x, y, polarity));
        let work = Receiver { population, cells, kernel: self.plan.kernel, port }
            .apply(Events::one(event), s, &mut out)
            .map_err(|(_, outside)| self.plan.outside(node, (event.t_pre, event.x, event.y), outside))?;
        if part != Part::Lowering || !matches!(action, Action::Spikes(_)) {
            self.recorder.summary.add(work);
        }
        Ok(())
    }
}
