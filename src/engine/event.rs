//! Event mode: every spike is one event with a request and an acknowledge, handled one at a time in time order.
//!
//! A run of events of one node at one tick costs one queue operation and goes through each receiver as a whole, where nothing
//! can come between: no receiver delays, and no output lands on a node that comes first. Otherwise events go one by one.

use super::neurons::{Outside, Spike};
use super::plan::{Plan, PopulationKind, Reader};
use super::queue::{Pending, Schedule};
use super::record::Recorder;
use super::{Cells, Error, Limits, PopulationState, Progress, address, kernels::Sign};
use crate::network::{NodeId, Polarity, Stimulus, StimulusEvent, Tick};

/// How many events of a stimulus are queued at a time.
const CHUNK: usize = 4096;

/// What event mode keeps beside the populations.
#[derive(Debug, Clone)]
pub(super) struct EventState {
    pending: Vec<Pending>,
    schedule: Schedule,
    last_ack: Vec<Tick>,
    /// For each node, its source and how much of the stimulus is queued.
    source: Vec<Option<Feed>>,
    run: Vec<StimulusEvent>,
    /// Nodes whose head changed, not yet scheduled.
    woken: Vec<usize>,
    waiting: u64,
    busy_tick: (Tick, u64),
}

#[derive(Debug, Clone, Copy)]
struct Feed {
    source: usize,
    queued: usize,
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
        let mut source = vec![None; n];
        for (k, node) in plan.sources.iter().enumerate() {
            source[node.index()] = Some(Feed { source: k, queued: 0 });
        }
        Self {
            pending,
            schedule: Schedule::new(n),
            last_ack: vec![0; n],
            source,
            run: Vec::new(),
            woken: Vec::new(),
            waiting: 0,
            busy_tick: (0, 0),
        }
    }

    fn start(&mut self, stimuli: &[Stimulus]) {
        self.pending.iter_mut().for_each(Pending::clear);
        self.schedule.clear();
        self.last_ack.fill(Tick::MIN);
        self.waiting = 0;
        self.busy_tick = (0, 0);
        self.woken.clear();
        for node in 0..self.source.len() {
            if let Some(feed) = &mut self.source[node] {
                feed.queued = 0;
                self.refill(node, stimuli);
                if let Some(t) = self.pending[node].head_time() {
                    self.schedule.put(node, t);
                }
            }
        }
    }

    /// Queues more of a stimulus when the last of it is taken.
    #[inline]
    fn refill(&mut self, node: usize, stimuli: &[Stimulus]) {
        if let Some(feed) = &mut self.source[node]
            && self.pending[node].head_time().is_none()
        {
            let stimulus = &stimuli[feed.source];
            let end = (feed.queued + CHUNK).min(stimulus.len());
            for k in feed.queued..end {
                self.pending[node].push(stimulus.event(k));
            }
            self.waiting += (end - feed.queued) as u64;
            feed.queued = end;
        }
    }

    fn pending(&self, stimuli: &[Stimulus]) -> u64 {
        let queued: u64 = self.pending.iter().map(Pending::len).sum();
        let unqueued = self.source.iter().flatten().map(|feed| (stimuli[feed.source].len() - feed.queued) as u64);
        queued + unqueued.sum::<u64>()
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
}

impl EventRun<'_> {
    pub fn run(&mut self, stop: &mut impl FnMut(&Progress<'_>) -> bool) -> Result<(), Error> {
        self.state.start(self.stimuli);
        while let Some((r, node)) = self.state.schedule.next() {
            if r > self.plan.t_max {
                break;
            }
            self.handle(node, r)?;
            let progress = Progress { time: r, node: Some(NodeId::new(node)), events: &self.recorder.summary.events };
            if stop(&progress) {
                break;
            }
        }
        self.recorder.summary.pending = self.state.pending(self.stimuli);
        Ok(())
    }

    /// Handles the head of a node that is due at `r`, and what follows it undisturbed.
    fn handle(&mut self, node: usize, r: Tick) -> Result<(), Error> {
        let plan = &self.plan.nodes[node];
        let idle = |reader: &Reader| self.populations[reader.population].handshake.busy_until() <= r;
        if plan.in_runs
            && plan.readers.iter().all(idle)
            && let Pending::Queue(queue) = &mut self.state.pending[node]
        {
            let mut run = std::mem::take(&mut self.state.run);
            queue.take_until(r, &mut run);
            self.state.waiting -= run.len() as u64;
            for &reader in &plan.readers {
                self.deliver(reader, node, &run, r, r)?;
            }
            self.recorder.run(node, &run, r);
            self.state.run = run;
            self.state.last_ack[node] = r;
            self.wake(node, r)?;
            self.state.refill(node, self.stimuli);
            if let Some(t) = self.state.pending[node].head_time() {
                self.state.schedule.put(node, t.max(r));
            }
            return Ok(());
        }
        loop {
            let Some((event, last)) = self.state.pending[node].pop() else { return Ok(()) };
            self.state.waiting -= u64::from(last);
            self.state.refill(node, self.stimuli);
            let mut t_ack = r;
            for &reader in &plan.readers {
                let timing = &self.plan.populations[reader.population].timing;
                let served = self.populations[reader.population].handshake.request(timing, r);
                t_ack = t_ack.max(served.ack);
                self.deliver(reader, node, &[event], served.start, served.done)?;
            }
            self.recorder.event(node, event, r, t_ack);
            self.state.last_ack[node] = t_ack;
            self.wake(node, r)?;
            if plan.timeless {
                self.count_timeless(r)?;
            }
            let Some(t) = self.state.pending[node].head_time() else { return Ok(()) };
            let next = t.max(t_ack);
            if next > r || self.state.schedule.precedes(node) {
                self.state.schedule.put(node, next);
                return Ok(());
            }
        }
    }

    /// Schedules the nodes that got a new head, but the one that is being handled.
    fn wake(&mut self, current: usize, r: Tick) -> Result<(), Error> {
        let state = &mut *self.state;
        for node in state.woken.drain(..) {
            if node == current {
                continue;
            }
            let Some(t) = state.pending[node].head_time() else { continue };
            let at = t.max(state.last_ack[node]);
            if self.plan.nodes[node].repeated {
                state.schedule.move_to(node, at);
            } else {
                state.schedule.put(node, at);
            }
        }
        if state.waiting > self.limits.pending {
            let mut longest: Vec<usize> = (0..state.pending.len()).collect();
            longest.sort_by_key(|&node| std::cmp::Reverse(state.pending[node].len()));
            let nodes = longest.iter().take(5).map(|&node| self.plan.node_name(node)).collect();
            return Err(Error::TooManyPending { time: r, limit: self.limits.pending, nodes });
        }
        Ok(())
    }

    fn count_timeless(&mut self, r: Tick) -> Result<(), Error> {
        let (tick, count) = &mut self.state.busy_tick;
        if *tick != r {
            (*tick, *count) = (r, 0);
        }
        *count += 1;
        if *count > self.limits.events_per_tick {
            let nodes = (0..self.plan.nodes.len()).filter(|&node| self.plan.nodes[node].timeless);
            return Err(Error::Runaway {
                time: r,
                events: *count,
                nodes: nodes.map(|node| self.plan.node_name(node)).collect(),
            });
        }
        Ok(())
    }

    /// Hands events to one port, which works on them at `s` and puts its outputs on the bus at `done`.
    fn deliver(
        &mut self,
        reader: Reader,
        node: usize,
        events: &[StimulusEvent],
        s: Tick,
        done: Tick,
    ) -> Result<(), Error> {
        let population = &self.plan.populations[reader.population];
        let EventState { pending, woken, waiting, .. } = &mut *self.state;
        let mut emit = |map: usize, x: i32, y: i32, polarity: Polarity| {
            for output in &population.outputs[map] {
                *waiting += 1;
                if pending[output.index()].push(StimulusEvent { t_pre: done, x, y, polarity }) {
                    woken.push(output.index());
                }
            }
        };
        let acts = reader.port < population.n_ports;
        let summary = &mut self.recorder.summary;
        match (&population.kind, &mut self.populations[reader.population].cells) {
            (PopulationKind::Neurons(plan), Cells::Neurons(neurons)) => {
                let mut emit = |spike: Spike| emit(spike.map as usize, spike.x, spike.y, spike.polarity);
                for &StimulusEvent { t_pre, x, y, polarity } in events {
                    let sign = match polarity {
                        Polarity::Reset => {
                            neurons.reset(plan, s);
                            continue;
                        }
                        Polarity::Negative if y == -1 => {
                            if plan.softmax {
                                neurons.control(plan, s, &mut emit);
                            }
                            continue;
                        }
                        Polarity::Positive => Sign::Plus,
                        Polarity::Negative => Sign::Minus,
                    };
                    if !acts {
                        continue;
                    }
                    let work = neurons
                        .receive(plan, self.plan.kernel, &plan.ports[reader.port], (x, y, sign), s, &mut emit)
                        .map_err(|Outside { nx_pre, ny_pre }| Error::Address {
                            node: self.plan.node_name(node),
                            time: t_pre,
                            x,
                            y,
                            nx_pre,
                            ny_pre,
                        })?;
                    summary.synaptic_operations += work.operations;
                    summary.neuron_updates += work.updates;
                }
            }
            (PopulationKind::Flatten(ports), _) if acts => {
                for event in events.iter().filter(|event| is_spike(event)) {
                    if let Some(x) = address::flatten(ports, reader.port, event.x, event.y) {
                        emit(0, x, 0, event.polarity);
                    }
                }
            }
            (PopulationKind::MaxPool(plan), Cells::Pool(pool)) => {
                for event in events {
                    if event.polarity == Polarity::Reset {
                        pool.reset();
                    } else if acts && is_spike(event) {
                        let port = &plan.ports[reader.port];
                        pool.receive(port, event.x, event.y, |x, y| emit(0, x, y, event.polarity));
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// Whether an event is neither a reset nor a control event.
pub(super) fn is_spike(event: &StimulusEvent) -> bool {
    match event.polarity {
        Polarity::Positive => true,
        Polarity::Negative => event.y != -1,
        Polarity::Reset => false,
    }
}
