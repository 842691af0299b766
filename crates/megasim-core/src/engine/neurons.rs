//! What an event does to neurons: the arithmetic of `docs/engine.md`, nothing of time keeping or recording.

mod clocked;
mod custom;
mod idle;
mod layers;
mod neuron;
mod payload;
mod runs;
mod signed;
mod signs;
mod synaptic_current;
mod thresholds;

use super::aligned::Aligned;
use super::extremes::extremes;
use super::geometry::Span;
use super::kernels::{self, Crossing, Sign, SignedSpike, Tests};
use super::population::{NeuronPopulation, spikes_shrink};
use super::synapses::{Outside, Port, Synapses, Weights};
use crate::network::{NeuronParameters, Polarity, Tick};
use clocked::Sums;
pub(super) use neuron::Neuron;
use neuron::after_spike;
pub(super) use runs::LayerEvents;
pub(super) use signs::Signs;
pub(super) use thresholds::Thresholds;

/// "Not yet", as a time.
pub(super) const NEVER: Tick = Tick::MIN;

/// A spike that leaves a population.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Spike {
    /// Position of the neuron in the array, row by row.
    pub position: u32,
    pub map: u32,
    pub x: i32,
    pub y: i32,
    pub polarity: Polarity,
    /// What it counts for, in units of 2^-16, where it carries that.
    pub value: Option<i32>,
}

/// Counts of work done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Work {
    /// Weights added to potentials, those lost to a refractory time too.
    pub operations: u64,
    /// Potentials brought up to date.
    pub updates: u64,
}

impl std::ops::AddAssign for Work {
    fn add_assign(&mut self, Self { operations, updates }: Self) {
        self.operations += operations;
        self.updates += updates;
    }
}

/// Additions after which true bounds are looked for again, where they were of no use.
const BOUNDS_RETRY: u32 = 64;

/// The state of all neurons of one population, stored `(y, x, map)`.
#[derive(Debug, Clone)]
pub(super) struct Neurons {
    /// Membrane potentials.
    v: Aligned,
    /// Time of the last spike of either sign; empty where `Tmin` is 0.
    last_spike: Vec<Tick>,
    /// End of the refractory time; empty without one.
    refractory_until: Vec<Tick>,
    /// Time up to which the leak is settled; empty without one.
    updated: Vec<Tick>,
    /// Currents between spikes and potentials; empty where there are none.
    currents: Vec<i32>,
    /// Of the residuals, what was sent with values; empty where there are none.
    sent: Vec<i64>,
    /// Counts of signed neurons.
    signed: Option<Box<signed::State>>,
    /// Custom neurons.
    custom: Option<Box<custom::Custom>>,
    /// Every potential is at least this ...
    low: i64,
    /// ... and at most this.
    high: i64,
    /// Additions since these bounds were true ones.
    since_bound: u32,
    /// Additions until exact bounds are computed again, as the last ones left no headroom: potentials are near
    /// the 32-bit limits.
    bounds_backoff: u32,
    /// How often a potential was cut off at the 32-bit limits, by map.
    pub saturations: Vec<u64>,
    /// Neurons beyond a threshold after the last addition.
    hits: Vec<Crossing>,
    /// Spikes of signed neurons that have not left yet.
    spikes: Vec<SignedSpike>,
    /// Lines of the matrix that a run of events reads.
    lines: Vec<u32>,
    /// One line of narrow weights made wide.
    wide: Vec<i32>,
    /// Input of the step, in clocked mode.
    sums: Sums,
}

/// Takes the spikes that leave a population, in order.
pub(super) trait Spikes {
    /// One spike.
    fn spike(&mut self, spike: Spike);

    /// Spikes of signed neurons, those that leave.
    fn signed(&mut self, plan: &NeuronPopulation, spikes: &[SignedSpike], scratch: &mut Vec<Crossing>) {
        self.by_sign(plan, spikes, scratch);
    }

    /// Spikes of signed neurons, those of one sign at a time.
    fn by_sign(&mut self, plan: &NeuronPopulation, spikes: &[SignedSpike], scratch: &mut Vec<Crossing>) {
        for alike in spikes.chunk_by(|one, next| one.is_negative() == next.is_negative()) {
            if alike[0].is_negative() {
                let leaving = |spike: &SignedSpike| Neurons::leaves(plan, spike.neuron() as usize, Polarity::Negative);
                alike.iter().filter_map(leaving).for_each(|spike| self.spike(spike));
            } else {
                scratch.clear();
                scratch.extend(alike.iter().map(|spike| Crossing(spike.neuron())));
                self.positive(plan, scratch);
            }
        }
    }

    /// Positive spikes of these neurons, those that leave.
    fn positive(&mut self, plan: &NeuronPopulation, hits: &[Crossing]) {
        for &Crossing(n) in hits {
            if let Some(spike) = Neurons::leaves(plan, n as usize, Polarity::Positive) {
                self.spike(spike);
            }
        }
    }
}

impl<F: FnMut(Spike)> Spikes for F {
    fn spike(&mut self, spike: Spike) {
        self(spike);
    }
}

impl Neurons {
    pub fn new(plan: &NeuronPopulation) -> Self {
        let n = plan.array.len() * plan.maps;
        let parameters = &plan.neurons;
        let column = |needed: bool| if needed { vec![0; n] } else { Vec::new() };
        let mut neurons = Self {
            v: Aligned::new(n),
            last_spike: column(parameters.t_min > 0),
            refractory_until: column(parameters.refractory > 0),
            updated: column(plan.model.is_some() || parameters.leaks()),
            currents: vec![0; if parameters.mask_tau > 0 { n } else { 0 }],
            sent: vec![0; if parameters.payload_bits.is_some() { n } else { 0 }],
            custom: plan.model.as_deref().map(|model| Box::new(custom::Custom::new(plan, model))),
            signed: plan.neurons.signed().map(|_| Box::new(signed::State::new(n))),
            low: 0,
            high: 0,
            since_bound: 0,
            bounds_backoff: 0,
            saturations: vec![0; plan.maps],
            hits: Vec::new(),
            spikes: Vec::new(),
            lines: Vec::new(),
            wide: Vec::new(),
            sums: Sums::default(),
        };
        neurons.start(plan);
        neurons
    }

    /// The state in which a run starts.
    pub fn start(&mut self, plan: &NeuronPopulation) {
        self.reset(plan, 0);
        self.saturations.fill(0);
        self.sums.clear();
    }

    /// A reset event: potentials to rest, spike and refractory times cleared, leak clocks at `s`.
    pub fn reset(&mut self, plan: &NeuronPopulation, s: Tick) {
        self.v.fill(plan.neurons.rest());
        if let (Some(custom), Some(model)) = (&mut self.custom, &plan.model) {
            custom.reset(model, &mut self.v);
        }
        if let (Some(state), Some(signed)) = (&mut self.signed, plan.neurons.signed()) {
            state.reset(&plan.neurons, signed);
        }
        self.last_spike.fill(NEVER);
        self.refractory_until.fill(NEVER);
        self.updated.fill(s);
        self.currents.fill(0);
        self.sent.fill(0);
        self.bound(plan);
    }

    /// Takes over the end of a run that was made elsewhere: potentials, and how often they were cut off.
    pub fn take_over(&mut self, v: &[i32], saturations: u64) {
        self.v.copy_from_slice(v);
        self.saturations.fill(saturations);
    }

    /// Membrane potentials, stored `(y, x, map)`.
    pub fn potentials(&self) -> &[i32] {
        &self.v
    }

    /// Takes the true bounds of the potentials; whatever a spike or clamp may write is inside too.
    pub fn bound(&mut self, plan: &NeuronPopulation) {
        let (low, high) = extremes(&self.v);
        let parameters = &plan.neurons;
        let (reset, rest) = (i64::from(parameters.membrane_reset), i64::from(parameters.rest()));
        let mut bounds = [low.into(), high.into(), 0, reset, 0, 0, rest];
        if !parameters.fires_plus || parameters.signed().is_some() {
            bounds[4] = parameters.threshold_plus.into();
        }
        if !parameters.fires_minus {
            // A floor at the 32-bit limit would make the bound useless; it is reached only by saturation, which is
            // tested for.
            bounds[5] = i64::from(parameters.threshold_minus).max(0);
        }
        self.since_bound = 0;
        self.low = bounds.into_iter().min().unwrap_or(0);
        self.high = bounds.into_iter().max().unwrap_or(0);
    }

    /// Whether no potential can leave 32 bits by one addition.
    fn fits(&self, up: i64, down: i64) -> bool {
        self.low - down > i64::from(i32::MIN) && self.high + up <= i64::from(i32::MAX)
    }

    /// How the sum of one addition must be tested, so that the cheapest sufficient way is taken.
    fn tests(&mut self, plan: &NeuronPopulation, up: i64, down: i64) -> Tests {
        if !spikes_shrink(&plan.neurons) {
            return Tests::Saturating;
        }
        let floor = i64::from(plan.neurons.threshold_minus);
        self.since_bound += 1;
        // True bounds cost about as much as an addition. Where potentials really are at the floor they are of no use.
        if self.bounds_backoff > 0 {
            self.bounds_backoff -= 1;
        } else if !self.fits(up, down) || (self.low - down <= floor && self.since_bound >= BOUNDS_RETRY) {
            self.bound(plan);
            if !self.fits(up, down) {
                self.bounds_backoff = BOUNDS_RETRY;
            }
        }
        if !self.fits(up, down) {
            (self.low, self.high) = (i32::MIN.into(), i32::MAX.into());
            return Tests::Saturating;
        }
        let minus_out_of_reach = self.low - down > floor;
        self.low -= down;
        self.high += up;
        if minus_out_of_reach { Tests::Plus } else { Tests::Both }
    }

    fn neuron(&mut self, n: usize) -> Neuron<'_> {
        Neuron {
            v: &mut self.v[n],
            last_spike: self.last_spike.get_mut(n),
            refractory_until: self.refractory_until.get_mut(n),
            updated: self.updated.get_mut(n),
        }
    }

    fn lost(&self, n: usize, s: Tick) -> bool {
        self.refractory_until.get(n).is_some_and(|&until| s < until)
    }

    fn leak(&mut self, plan: &NeuronPopulation, n: usize, s: Tick) {
        self.neuron(n).leak(&plan.neurons, plan.decay.as_deref(), s);
    }

    fn store(&mut self, plan: &NeuronPopulation, n: usize, v: i64) {
        let stored = saturate(v);
        if i64::from(stored) != v {
            self.saturations[n % plan.maps] += 1;
        }
        self.v[n] = stored;
    }

    /// Tests one neuron against its thresholds, changes its state if it spikes, and says with which sign.
    fn test(&mut self, parameters: &NeuronParameters, n: usize, s: Tick) -> Option<Polarity> {
        self.neuron(n).test(parameters, s)
    }

    /// The spike of neuron `n`, if it leaves.
    pub fn leaves(plan: &NeuronPopulation, n: usize, polarity: Polarity) -> Option<Spike> {
        let (position, map) = if plan.maps == 1 { (n, 0) } else { (n / plan.maps, n % plan.maps) };
        let (x, y) = plan.addresses.of(position)?;
        let polarity = if plan.rectify { Polarity::Positive } else { polarity };
        Some(Spike { position: position as u32, map: map as u32, x, y, polarity, value: None })
    }

    /// Tests the neurons that are at or beyond a threshold; says whether one of them still is, on a side that spikes.
    fn test_hits(&mut self, plan: &NeuronPopulation, s: Tick, out: &mut impl Spikes) -> bool {
        let hits = std::mem::take(&mut self.hits);
        let mut beyond = false;
        let plus = plan.neurons.threshold_plus;
        if plan.plain && self.last_spike.is_empty() && hits.iter().all(|&Crossing(n)| self.v[n as usize] >= plus) {
            for &Crossing(n) in &hits {
                let v = &mut self.v[n as usize];
                *v = after_spike(&plan.neurons, *v, Polarity::Positive);
                beyond |= *v >= plus;
            }
            out.positive(plan, &hits);
            self.hits = hits;
            self.hits.clear();
            return beyond;
        }
        for &Crossing(n) in &hits {
            let n = n as usize;
            if let Some(spike) = self.test_to_leave(plan, n, s) {
                out.spike(spike);
            }
            beyond |= plan.neurons.spikes_at(self.v[n]);
        }
        self.hits = hits;
        self.hits.clear();
        beyond
    }

    /// How many events of a port may be added one after the other before a potential could overflow or come near the
    /// lower threshold, at most `n`; 0 if not even one. These many are then taken to be added.
    fn headroom(&mut self, plan: &NeuronPopulation, up: i64, down: i64, n: usize) -> usize {
        let floor = i64::from(plan.neurons.threshold_minus).max(i32::MIN.into());
        // Nearly always: products cost less than divisions. Sizes and weights have 32 bits, so that nothing overflows.
        let all = n.min(1 << 30) as i64;
        if all == n as i64 && self.low - down * all > floor && self.high + up * all <= i64::from(i32::MAX) {
            self.low -= down * all;
            self.high += up * all;
            return n;
        }
        let count = |low: i64, high: i64| {
            let below = if down == 0 { i64::MAX } else { (low - floor - 1).max(0) / down };
            let above = if up == 0 { i64::MAX } else { (i64::from(i32::MAX) - high).max(0) / up };
            below.min(above).min(n as i64)
        };
        let mut headroom = count(self.low, self.high);
        if headroom < n as i64 && self.bounds_backoff == 0 {
            self.bound(plan);
            headroom = count(self.low, self.high);
        }
        self.low -= down * headroom;
        self.high += up * headroom;
        headroom as usize
    }

    /// A run of spike events of one sign, all worked on at `s`: the same as one [`Neurons::receive`] after the other,
    /// but faster for plain and signed neurons.
    pub fn receive_run(
        &mut self,
        plan: &NeuronPopulation,
        variant: kernels::Variant,
        port: &Port,
        (mut x, mut y, sign): (&[i32], &[i32], Sign),
        s: Tick,
        out: &mut impl Spikes,
    ) -> Result<Work, (usize, Outside)> {
        let mut work = Work::default();
        let total = x.len();
        while !x.is_empty() {
            let in_runs = plan.plain || self.signed.is_some();
            let n = if in_runs { self.room(plan, port, (x, y, sign)) } else { 0 };
            if n == 0 {
                let one = self.receive(plan, variant, port, (x[0], y[0], sign), s, out);
                work += one.map_err(|outside| (total - x.len(), outside))?;
                (x, y) = (&x[1..], &y[1..]);
                continue;
            }
            let operations = self.run_unchecked(plan, variant, port, (&x[..n], &y[..n], sign), s, out);
            let operations = operations.map_err(|(k, outside)| (total - x.len() + k, outside))?;
            work.operations += operations;
            work.updates += operations;
            (x, y) = (&x[n..], &y[n..]);
        }
        Ok(work)
    }

    /// One spike event at `(x, y)`: every touched neuron gets its weight and, but in softmax, is tested. Spikes go to
    /// `out` in raster order.
    #[inline]
    pub fn receive(
        &mut self,
        plan: &NeuronPopulation,
        variant: kernels::Variant,
        port: &Port,
        (x, y, sign): (i32, i32, Sign),
        s: Tick,
        out: &mut impl Spikes,
    ) -> Result<Work, Outside> {
        if let Some(signed) = plan.neurons.signed() {
            return self.receive_signed((plan, signed), variant, port, (x, y, sign), out);
        }
        if plan.softmax || !self.refractory_until.is_empty() || !self.updated.is_empty() {
            return self.receive_one_by_one(plan, port, (x, y, sign), s, out);
        }
        if !self.currents.is_empty() {
            return self.receive_masked(plan, port, (x, y, sign));
        }
        let (up, down) = port.most(sign);
        let tests = self.tests(plan, up, down);
        let thresholds = (plan.neurons.threshold_plus, plan.neurons.threshold_minus);
        let mut operations = 0;
        let Self { v, hits, saturations, wide, .. } = self;
        reach(plan, port, wide, x, y, |weights, span| {
            operations += span.len as u64;
            let v = &mut v[span.neuron..][..span.len];
            let w = &weights[span.weight..][..span.len];
            if tests == Tests::Saturating {
                count_saturations(v, w, sign, span.neuron, plan.maps, saturations);
            }
            kernels::add_and_test(variant, v, w, sign, thresholds, tests, span.neuron, hits);
        })?;
        if !self.hits.is_empty() {
            self.test_hits(plan, s, out);
        }
        Ok(Work { operations, updates: operations })
    }

    /// Receives a run of events one by one, for neurons whose clocks matter (leak, refractory time) and for softmax.
    fn receive_one_by_one(
        &mut self,
        plan: &NeuronPopulation,
        port: &Port,
        (x, y, sign): (i32, i32, Sign),
        s: Tick,
        out: &mut impl Spikes,
    ) -> Result<Work, Outside> {
        if !self.currents.is_empty() {
            return self.receive_masked(plan, port, (x, y, sign));
        }
        if let Some(model) = &plan.model {
            return self.receive_modelled((plan, model), port, (x, y, sign), s, out);
        }
        let mut work = Work::default();
        let mut wide = std::mem::take(&mut self.wide);
        let reached = reach(plan, port, &mut wide, x, y, |weights, span| {
            for k in 0..span.len {
                let weight = i64::from(weights[span.weight + k]) * sign.factor();
                work += self.take(plan, span.neuron + k, weight, s, out);
            }
        });
        self.wide = wide;
        reached.map(|()| work)
    }

    /// One neuron takes one input, unless that is lost to a refractory time: it leaks up to `s`, adds, and, but in
    /// softmax, is tested.
    #[inline(always)]
    fn take(&mut self, plan: &NeuronPopulation, n: usize, input: i64, s: Tick, out: &mut impl Spikes) -> Work {
        if self.lost(n, s) {
            return Work { operations: 1, updates: 0 };
        }
        self.leak(plan, n, s);
        self.store(plan, n, i64::from(self.v[n]) + input);
        // The bounds of the faster paths stay true.
        self.low = self.low.min(self.v[n].into());
        self.high = self.high.max(self.v[n].into());
        if !plan.softmax
            && let Some(spike) = self.test_to_leave(plan, n, s)
        {
            out.spike(spike);
        }
        Work { operations: 1, updates: 1 }
    }

    /// A control event. Softmax: the neuron with the highest potential spikes, the first one on ties. With a decaying
    /// current: every neuron takes its part. Returns how many potentials were brought up to date.
    pub fn control(&mut self, plan: &NeuronPopulation, s: Tick, out: &mut impl Spikes) -> u64 {
        if !self.currents.is_empty() {
            return self.discharge_all(plan, s, out);
        }
        for n in 0..self.v.len() {
            self.leak(plan, n, s);
        }
        let strongest = (0..self.v.len()).rev().max_by_key(|&n| self.v[n]);
        if let Some(spike) = strongest.and_then(|n| Self::leaves(plan, n, Polarity::Positive)) {
            out.spike(spike);
        }
        0
    }
}

/// Calls `touch` with the weights and each stretch of neurons that an event at `(x, y)` reaches through a port, in
/// raster order.
#[inline]
fn reach(
    plan: &NeuronPopulation,
    port: &Port,
    wide: &mut Vec<i32>,
    x: i32,
    y: i32,
    mut touch: impl FnMut(&[i32], Span),
) -> Result<(), Outside> {
    match &port.synapses {
        Synapses::Matrix { nx_pre, ny_pre, weights } => {
            let (Ok(column), Ok(row)) = (u32::try_from(x), u32::try_from(y)) else {
                return Err(Outside { nx_pre: *nx_pre, ny_pre: *ny_pre });
            };
            if column >= *nx_pre || row >= *ny_pre {
                return Err(Outside { nx_pre: *nx_pre, ny_pre: *ny_pre });
            }
            let len = plan.array.nx as usize;
            let line = column as usize + row as usize * *nx_pre as usize;
            match weights {
                Weights::Wide(weights) => touch(weights, Span { neuron: 0, weight: line * len, len }),
                Weights::Narrow(matrix) => {
                    matrix.widen(line, len, wide);
                    touch(wide, Span { neuron: 0, weight: 0, len });
                }
            }
        }
        Synapses::Kernel(kernel) => {
            kernel.each_span(plan.array, plan.maps, x, y, |span| touch(&kernel.weights, span));
        }
    }
    Ok(())
}

fn count_saturations(v: &[i32], w: &[i32], sign: Sign, first: usize, maps: usize, counts: &mut [u64]) {
    for (k, (&v, &w)) in v.iter().zip(w).enumerate() {
        let sum = i64::from(v) + sign.factor() * i64::from(w);
        if i64::from(saturate(sum)) != sum {
            counts[(first + k) % maps] += 1;
        }
    }
}

fn saturate(v: i64) -> i32 {
    v.clamp(i32::MIN.into(), i32::MAX.into()) as i32
}
