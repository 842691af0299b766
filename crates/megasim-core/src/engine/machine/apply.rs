//! What leaves a module, and what events touch.

use super::super::action::{Action, action};
use super::super::apply::most_events;
use super::super::kernels::Variant;
use super::super::neurons::{Neurons, Spike};
use super::super::population::{NeuronPopulation, Population, PopulationKind};
use super::super::sign::Sign;
use super::super::synapses::Synapses;
use crate::network::{Polarity, StimulusEvent};
use std::ops::Range;

/// An output event without its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Leaving {
    pub x: i32,
    pub y: i32,
    pub polarity: Polarity,
}

pub(super) fn leaving(Spike { x, y, polarity, .. }: Spike) -> Leaving {
    Leaving { x, y, polarity }
}

/// The most events that one event can make at each output node, repeats not counted.
pub(super) fn most_outputs(population: &Population, port: usize, event: &StimulusEvent) -> u64 {
    let acts = port < population.n_ports;
    let StimulusEvent { x, y, polarity, .. } = *event;
    match (&population.kind, action(polarity, y)) {
        (PopulationKind::Neurons(plan), Action::Control) if plan.softmax => 1,
        (PopulationKind::Neurons(plan), Action::Control) if plan.acts_on_control() => {
            plan.addresses.count(0..plan.addresses.len())
        }
        (PopulationKind::Neurons(plan), Action::Spikes(_)) if acts && !plan.acts_on_control() => {
            most_spikes(plan, port, x, y) * plan.most_per_event[port]
        }
        (PopulationKind::Neurons(plan), Action::Settle) => match plan.neurons.signed() {
            Some(signed) => {
                let threshold = i64::from(plan.neurons.threshold_plus);
                let each = (i64::from(signed.hysteresis) + threshold - 1) / threshold;
                plan.addresses.count(0..plan.addresses.len()) * each as u64
            }
            None => 0,
        },
        (PopulationKind::Neurons(_), _) => 0,
        (kind, action) => most_events(kind, acts.then_some(port), action, (x, y)),
    }
}

/// The neurons that an event touches and whose spikes would leave.
fn most_spikes(plan: &NeuronPopulation, port: usize, x: i32, y: i32) -> u64 {
    if plan.model.is_none() && !plan.neurons.fires_plus && !plan.neurons.fires_minus {
        return 0;
    }
    match &plan.ports[port].synapses {
        Synapses::Matrix { .. } => plan.addresses.count(0..plan.addresses.len()),
        Synapses::Kernel(kernel) => {
            let mut most = 0;
            kernel.each_span(plan.array, 1, x, y, |span| {
                most += plan.addresses.count(span.neuron..span.neuron + span.len);
            });
            most
        }
    }
}

/// Spikes that a module behind a barrier has worked on in this step; its neurons take those of a port together.
#[derive(Debug, Clone, Default)]
pub(super) struct StepInput {
    /// By port: positive spikes, and negative ones.
    ports: Vec<[Addresses; 2]>,
    is_waiting: bool,
}

#[derive(Debug, Clone, Default)]
struct Addresses {
    x: Vec<i32>,
    y: Vec<i32>,
}

impl StepInput {
    pub fn clear(&mut self) {
        self.ports.iter_mut().flatten().for_each(|Addresses { x, y }| {
            x.clear();
            y.clear();
        });
        self.is_waiting = false;
    }

    /// Adds a spike that has synapses at its port.
    #[inline]
    pub fn push(&mut self, port: usize, sign: Sign, (x, y): (i32, i32)) {
        if self.ports.len() <= port {
            self.ports.resize(port + 1, Default::default());
        }
        let addresses = &mut self.ports[port][usize::from(sign == Sign::Minus)];
        addresses.x.push(x);
        addresses.y.push(y);
        self.is_waiting = true;
    }

    /// Adds all spikes to the input of the next step, and marks the neurons that they touch.
    pub fn take(&mut self, plan: &NeuronPopulation, variant: Variant, neurons: &mut Neurons, touched: &mut Touched) {
        if !self.is_waiting {
            return;
        }
        for (number, of_port) in self.ports.iter().enumerate() {
            for (Addresses { x, y }, sign) in of_port.iter().zip([Sign::Plus, Sign::Minus]) {
                if x.is_empty() {
                    continue;
                }
                let summed = neurons.sum_run(plan, variant, &plan.ports[number], (x, y, sign));
                debug_assert!(summed.is_ok(), "addresses are looked at when spikes come");
                x.iter().zip(y).for_each(|(&x, &y)| touched.mark(plan, number, x, y));
            }
        }
        self.clear();
    }
}

/// Which neurons of a module events have touched since the last step.
#[derive(Debug, Clone, Default)]
pub(super) struct Touched {
    bits: Vec<u64>,
    all: bool,
}

impl Touched {
    /// Forgets them.
    pub fn clear(&mut self) {
        self.bits.fill(0);
        self.all = false;
    }

    /// Marks what an event at `(x, y)` reaches.
    fn mark(&mut self, plan: &NeuronPopulation, port: usize, x: i32, y: i32) {
        match &plan.ports[port].synapses {
            Synapses::Matrix { .. } => self.all = true,
            Synapses::Kernel(_) if self.all => {}
            Synapses::Kernel(kernel) => {
                self.bits.resize(plan.array.len().div_ceil(64), 0);
                if let Some(single) = &kernel.single {
                    if let Some(tap) = single.tap(x, y) {
                        self.bits[tap.neuron as usize / 64] |= 1 << (tap.neuron % 64);
                    }
                    return;
                }
                kernel.each_span(plan.array, 1, x, y, |span| {
                    let (mut n, end) = (span.neuron, span.neuron + span.len);
                    while n < end {
                        let until = end.min((n / 64 + 1) * 64);
                        self.bits[n / 64] |= (u64::MAX >> (64 - (until - n))) << (n % 64);
                        n = until;
                    }
                });
            }
        }
    }

    /// Whether none was.
    pub fn is_empty(&self) -> bool {
        !self.all && self.bits.iter().all(|&word| word == 0)
    }

    /// How many of these neurons were touched.
    pub fn count(&self, neurons: Range<usize>) -> u64 {
        let is_touched = |&n: &usize| self.all || self.bits.get(n / 64).is_some_and(|word| word >> (n % 64) & 1 == 1);
        neurons.filter(is_touched).count() as u64
    }

    /// How many were touched; forgets them.
    pub fn take(&mut self, plan: &NeuronPopulation) -> u64 {
        let count: u64 = self.bits.iter().map(|word| u64::from(word.count_ones())).sum();
        if count > 0 {
            self.bits.fill(0);
        }
        if std::mem::take(&mut self.all) { plan.array.len() as u64 } else { count }
    }
}
