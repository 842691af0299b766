//! What events do to a module, for every mode that hands them over as they come: event mode, its other orders of ties,
//! and machines. Clocked mode sums the events of a step instead.

use super::action::{Action, actions};
use super::kernels::{self, Sign};
use super::neurons::{Neurons, Signs, Spike, Spikes, Work};
use super::population::{NeuronPopulation, Population, PopulationKind};
use super::queue::Events;
use super::routing::{self, Pool};
use super::step_events::StepEvents;
use super::synapses::Outside;
use crate::network::{FlattenPort, MaxPool, Polarity, Tick};
use std::convert::Infallible;

/// What a population remembers.
#[derive(Debug, Clone)]
pub(super) enum Cells {
    Neurons(Neurons),
    Pool(Pool),
    Nothing,
}

impl Cells {
    pub fn new(kind: &PopulationKind) -> Self {
        match kind {
            PopulationKind::Neurons(plan) => Self::Neurons(Neurons::new(plan)),
            PopulationKind::Flatten(_) => Self::Nothing,
            PopulationKind::MaxPool(plan) => Self::Pool(Pool::new(plan)),
        }
    }

    /// The state in which a run starts.
    pub fn start(&mut self, kind: &PopulationKind) {
        match (self, kind) {
            (Self::Neurons(neurons), PopulationKind::Neurons(plan)) => neurons.start(plan),
            (Self::Pool(pool), _) => pool.reset(),
            _ => {}
        }
    }
}

/// Takes what a module makes, in order.
pub(super) trait Outputs: Spikes {
    /// One event of a map.
    fn event(&mut self, map: usize, x: i32, y: i32, polarity: Polarity);

    /// Positive events of a module of one map.
    fn positive_events(&mut self, addresses: impl Iterator<Item = (i32, i32)>) {
        addresses.for_each(|(x, y)| self.event(0, x, y, Polarity::Positive));
    }
}

impl<F: FnMut(Spike)> Outputs for F {
    fn event(&mut self, map: usize, x: i32, y: i32, polarity: Polarity) {
        self(Spike { position: 0, map: map as u32, x, y, polarity, value: None });
    }
}

/// The module that takes events, at one of its ports.
pub(super) struct Receiver<'p> {
    pub population: &'p Population,
    pub cells: &'p mut Cells,
    pub kernel: kernels::Variant,
    /// A port beyond those of the module takes only resets and what is not for one port.
    pub port: usize,
}

impl Receiver<'_> {
    /// Works on events at `s`; what leaves goes to `outputs`.
    ///
    /// # Errors
    /// The number of the event that has no line in the matrix.
    #[inline]
    pub fn apply(self, events: Events<'_>, s: Tick, outputs: &mut impl Outputs) -> Result<Work, (usize, Outside)> {
        let port = Some(self.port).filter(|&port| port < self.population.n_ports);
        match (&self.population.kind, self.cells) {
            (PopulationKind::Neurons(plan), Cells::Neurons(neurons)) => {
                return to_neurons((plan, neurons), self.kernel, port, events, s, outputs);
            }
            (PopulationKind::Flatten(ports), _) => to_flatten(ports, port, events, outputs),
            (PopulationKind::MaxPool(plan), Cells::Pool(pool)) => to_max_pool((plan, pool), port, events, s, outputs),
            _ => {}
        }
        Ok(Work::default())
    }
}

/// Clocked mode: what a module without neurons does with the events of the step at `s`.
pub(super) fn step_addresses(
    (population, cells): (&Population, &mut Cells),
    events: StepEvents<'_>,
    s: Tick,
    reset: bool,
    outputs: &mut impl Outputs,
) {
    match (&population.kind, cells) {
        (PopulationKind::Flatten(ports), _) => {
            let Ok(()) = events.each(|port, _, run| {
                to_flatten(ports, Some(port).filter(|&port| port < population.n_ports), run, outputs);
                Ok::<(), Infallible>(())
            });
        }
        (PopulationKind::MaxPool(plan), Cells::Pool(pool)) => {
            if reset {
                pool.reset();
            }
            pool.step(plan, events, s, |x, y, polarity| outputs.event(0, x, y, polarity));
        }
        _ => {}
    }
}

/// The most events that one event makes at each output node of a module without neurons.
pub(super) fn most_events(kind: &PopulationKind, port: Option<usize>, action: Action, (x, y): (i32, i32)) -> u64 {
    match (kind, action, port) {
        (PopulationKind::Flatten(ports), Action::Spikes(_), Some(port)) => {
            u64::from(routing::Flatten::new(ports, port).of(x, y).is_some())
        }
        (PopulationKind::MaxPool(plan), action, port) => routing::most_events(plan, port, action, (x, y)),
        _ => 0,
    }
}

fn to_neurons(
    (plan, neurons): (&NeuronPopulation, &mut Neurons),
    kernel: kernels::Variant,
    port: Option<usize>,
    events: Events<'_>,
    s: Tick,
    outputs: &mut impl Outputs,
) -> Result<Work, (usize, Outside)> {
    // Signed neurons take spikes of both signs at once.
    if let (Some(port), true) = (port, plan.neurons.signed().is_some())
        && let Some(signs) = Signs::of(events.polarity, events.y)
    {
        let (port, layer) = (&plan.ports[port..=port], (events.x, events.y, signs, &[events.len()][..]));
        return neurons.receive_layer(plan, kernel, port, layer, s, outputs);
    }
    let mut work = Work::default();
    let mut done = 0;
    for (action, run) in actions(events) {
        match (action, port) {
            (Action::Reset, _) => neurons.reset(plan, s),
            (Action::Settle, _) => (0..run.len()).for_each(|_| work.updates += neurons.settle(plan, outputs)),
            (Action::Control, _) if plan.acts_on_control() => {
                (0..run.len()).for_each(|_| work.updates += neurons.control(plan, s, outputs));
            }
            (Action::Spikes(sign), Some(port)) if !run.value.is_empty() => {
                work += neurons
                    .receive_values(plan, &plan.ports[port], (run.x, run.y, sign, run.value), s, outputs)
                    .map_err(|(k, outside)| (done + k, outside))?;
            }
            (Action::Spikes(sign), Some(port)) => {
                work += neurons
                    .receive_run(plan, kernel, &plan.ports[port], (run.x, run.y, sign), s, outputs)
                    .map_err(|(k, outside)| (done + k, outside))?;
            }
            (Action::Control | Action::Spikes(_), _) => {}
        }
        done += run.len();
    }
    Ok(work)
}

fn to_flatten(ports: &[FlattenPort], port: Option<usize>, events: Events<'_>, outputs: &mut impl Outputs) {
    let Some(port) = port else { return };
    let flatten = routing::Flatten::new(ports, port);
    for (action, run) in actions(events) {
        let addresses = run.x.iter().zip(run.y).filter_map(|(&x, &y)| Some((flatten.of(x, y)?, 0)));
        match action {
            Action::Spikes(_) if !run.value.is_empty() => {
                for (k, &value) in run.value.iter().enumerate() {
                    let Some(x) = flatten.of(run.x[k], run.y[k]) else { continue };
                    let (polarity, value) = (run.polarity[k], Some(value));
                    outputs.spike(Spike { position: 0, map: 0, x, y: 0, polarity, value });
                }
            }
            Action::Spikes(Sign::Plus) => outputs.positive_events(addresses),
            Action::Spikes(Sign::Minus) => addresses.for_each(|(x, y)| outputs.event(0, x, y, Polarity::Negative)),
            Action::Reset | Action::Settle | Action::Control => {}
        }
    }
}

fn to_max_pool(
    (plan, pool): (&MaxPool, &mut Pool),
    port: Option<usize>,
    events: Events<'_>,
    s: Tick,
    outputs: &mut impl Outputs,
) {
    for (action, run) in actions(events) {
        for k in 0..run.len() {
            let event = (run.x[k], run.y[k], run.polarity[k]);
            pool.apply(plan, port, action, event, s, |x, y, polarity| outputs.event(0, x, y, polarity));
        }
    }
}
