//! Event mode for networks of small modules with delays or loops, event by event as `event` does it.
//!
//! There each event of another module costs what comes from memory: the state of the module, its weights, queues and
//! records are about 45 lines of the cache. Here they are in a few flat arrays. The order of events, handshakes and
//! neurons are the same, and so is what is recorded.

mod parts;
pub(super) mod plan;
mod state;

pub(super) use state::SmallState;

use super::action::{Action, action};
use super::neurons::Work;
use super::plan::Plan;
use super::record::Recorder;
use super::synapses::Outside;
use super::timing::Served;
use super::{Error, Excess, Limits};
use crate::network::{Polarity, Stimulus, StimulusEvent, Tick};
use parts::Reader;
use plan::SmallPlan;

impl Plan {
    /// In flat arrays, if no run can go layer by layer and its modules are small.
    pub(super) fn small(&self) -> Option<&SmallPlan> {
        if self.touch.is_some() || self.online.is_some() || self.layerwise().is_some() {
            return None;
        }
        let made = || SmallPlan::new(&self.nodes, &self.populations, &self.sources);
        self.small.get_or_init(made).as_ref()
    }
}

/// One run of a network whose stimuli carry no values.
pub(super) struct SmallRun<'s> {
    pub plan: &'s Plan,
    pub small: &'s SmallPlan,
    pub limits: Limits,
    pub state: &'s mut SmallState,
    pub recorder: &'s mut Recorder,
    pub stimuli: &'s [Stimulus],
    /// Asked now and then; if it says so the run stops.
    pub is_cancelled: &'s dyn Fn() -> bool,
}

/// Nodes that are handled between two looks at whether the run is cancelled.
const BETWEEN_LOOKS: usize = 4096;

impl SmallRun<'_> {
    /// From the initial state up to `Tmax`.
    pub fn run(&mut self) -> Result<(), Error> {
        if self.state.neurons.keep_times { self.run_with::<true>() } else { self.run_with::<false>() }
    }

    fn run_with<const TIMES: bool>(&mut self) -> Result<(), Error> {
        self.state.start(self.small);
        for &source in &self.plan.sources {
            if let Some(t) = self.state.bus.head_time(source.index(), self.stimuli) {
                self.state.bus.schedule.put(source.index(), t);
            }
        }
        'run: while !(self.is_cancelled)() {
            for _ in 0..BETWEEN_LOOKS {
                match self.state.bus.schedule.next() {
                    Some((r, node)) if r <= self.plan.t_max => self.handle::<TIMES>(node, r)?,
                    _ => break 'run,
                }
            }
        }
        let nodes = self.state.bus.nodes.iter().zip(&mut self.recorder.summary.events);
        nodes.for_each(|(node, events)| *events = node.handled);
        self.recorder.summary.pending = self.state.bus.pending(self.stimuli);
        Ok(())
    }

    /// Handles the head of a node that is due at `r`, and what follows it undisturbed.
    #[inline(always)]
    fn handle<const TIMES: bool>(&mut self, node: usize, r: Tick) -> Result<(), Error> {
        while let Some(event) = self.state.bus.pop(node, self.stimuli) {
            let mut t_ack = r;
            for &reader in &self.small.readers[self.state.bus.nodes[node].readers()] {
                t_ack = t_ack.max(self.deliver::<TIMES>(reader, (node, event), r)?);
            }
            let of_node = &mut self.state.bus.nodes[node];
            of_node.handled += 1;
            of_node.last_ack = t_ack;
            if of_node.is_watched {
                self.recorder.event(node, event, None, (r, t_ack));
            } else {
                self.recorder.unwatched_event(r);
            }
            if of_node.is_timeless {
                self.state.timeless.count(self.plan, &self.limits, r)?;
            }
            if self.limits.exceeded(self.recorder, self.state.bus.waiting) {
                return Err(self.beyond_limits(r));
            }
            let Some(t) = self.state.bus.head_time(node, self.stimuli) else { break };
            let next = t.max(t_ack);
            if next > r || self.state.bus.schedule.precedes(node) {
                self.state.bus.schedule.put(node, next);
                break;
            }
        }
        Ok(())
    }

    /// Hands an event that is requested at `r` to one port. Returns when its module acknowledges it.
    #[inline(always)]
    fn deliver<const TIMES: bool>(
        &mut self,
        reader: Reader,
        (node, event): (usize, StimulusEvent),
        r: Tick,
    ) -> Result<Tick, Error> {
        let SmallState { bus, modules, neurons, .. } = &mut *self.state;
        let module = &mut modules[reader.module as usize];
        let class = module.class(&self.small.classes);
        let Served { ack, start, done } = module.handshake.request(&class.timing, r);
        let of_module = module.neurons(class);
        let (factor, matrix) = match (action(event.polarity, event.y), reader.matrix) {
            (Action::Spikes(sign), Some(matrix)) => (sign.factor(), matrix),
            (Action::Reset, _) => {
                neurons.reset(class, of_module, start);
                return Ok(ack);
            }
            // Settle and control events are for other kinds of neurons.
            _ => return Ok(ack),
        };
        let Some(line) = matrix.line(event.x, event.y, of_module.len()) else {
            let outside = Outside { nx_pre: matrix.nx_pre, ny_pre: matrix.ny_pre };
            return Err(self.plan.outside(node, (event.t_pre, event.x, event.y), outside));
        };
        let weights = &self.small.weights[line];
        let outputs = module.outputs(&self.small.outputs);
        let mut work = Work { operations: weights.len() as u64, updates: weights.len() as u64 };
        neurons.each::<TIMES>(of_module, |k, mut neuron| {
            if neuron.is_refractory(start) {
                work.updates -= 1;
                return;
            }
            neuron.leak(&class.neurons, class.decay.as_deref(), start);
            module.saturations += u64::from(neuron.add(factor * i64::from(weights[k])));
            if let Some(polarity) = neuron.test(&class.neurons, start)
                && let Some((x, y)) = class.addresses.of(k)
            {
                let polarity = if class.rectify { Polarity::Positive } else { polarity };
                bus.push(outputs, node, StimulusEvent { t_pre: done, x, y, polarity });
            }
        });
        self.recorder.summary.add(work);
        Ok(ack)
    }

    #[cold]
    fn beyond_limits(&self, r: Tick) -> Error {
        let nodes = self.state.bus.nodes.iter();
        let counts: Vec<u64> = nodes.map(|node| node.handled + u64::from(node.waiting)).collect();
        Error::limit(&self.limits, self.recorder, Excess::new(self.plan, r, &counts))
    }
}
