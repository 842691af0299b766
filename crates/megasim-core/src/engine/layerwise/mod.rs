//! Layer by layer: runs each layer over many ticks before the next one, where nothing feeds back and no module keeps
//! time.
//!
//! Without delays, loops and neurons that keep times, what a layer does up to some tick depends on the spikes of the
//! layers before it up to that tick alone. So a block of ticks goes through one layer after the other: all events that
//! reach a neuron are known, its potential stays in a register, and there is no queue. The order of the events of a
//! tick is that of the netlist, as in event mode; in clocked mode (blocks of steps) neurons are tested once per step.
//! Both give what the other loops give, to the byte. Settle events are taken, in a block of one step that is cut where
//! they come; resets and controls are left to the other loops, which go on at the tick of the first one.

mod bounds;
mod cell_events;
mod cell_run;
mod cells;
mod compiler;
mod event_rows;
mod gathered;
mod lanes;
mod layers;
mod lists;
mod merged;
mod notes;
mod places;
pub(super) mod plan;
mod pooling;
mod pooling_layer;
mod room;
mod row_neurons;
mod row_run;
mod row_steps;
mod rules;
mod settle;
mod single_run;
mod stepwise;
mod streams;
mod takers;
mod weight_rows;

pub(super) use rules::{NEAR, Rules};
pub(super) use takers::Singles;

use super::apply::Cells;
use super::neurons::{Neurons, Work};
use super::plan::Plan;
use super::population::{NeuronPopulation, PopulationKind};
use super::record::Recorder;
use super::{Limits, PopulationState};
use crate::network::{EventLog, Polarity, Stimulus, Tick};
use cell_events::Missing;
use cell_run::CellRun;
use cells::Beyond;
use compiler::Origin;
use gathered::{Gathered, Population};
use lanes::LANES;
use layers::{Layer, LayerKind, MergedLayer};
use places::{NEGATIVE, NOWHERE, sort_places};
use plan::LayerwisePlan;
use pooling::PoolingRun;
use room::Room;
use rules::{Plain, Signed};
use settle::{between, settle, settle_events};
use single_run::SingleRun;
use streams::{Steps, Stream, first_special, has_spikes};

/// Steps of a block.
const BLOCK: usize = 100;

/// The state of such runs, other than the populations.
#[derive(Debug, Clone, Default)]
pub(super) struct Layerwise {
    /// By node.
    streams: Vec<Stream>,
    /// By node: it is a source that does not spike.
    silent: Vec<bool>,
    /// By population, in clocked mode.
    carried: Vec<Carried>,
    /// By population: see [`Population::spikes_are_rare`].
    rare: Vec<bool>,
    /// By step of the block: not 0 where a neuron is beyond the threshold after it.
    after: Vec<u16>,
    cells: CellRun,
    single: SingleRun,
    pooling: PoolingRun,
    gathered: Gathered,
    /// Events that a block may still have; one with more is left to the other loops, which know how to refuse it.
    room: Room,
}

/// The neurons of a population that are at or beyond the threshold after the last step.
#[derive(Debug, Clone, Default)]
struct Carried {
    any: bool,
    /// By cell.
    cells: Vec<bool>,
    /// A bit for each neuron.
    neurons: Vec<u64>,
}

/// Where the other loops go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Handover {
    /// The first step that was not run.
    pub step: Tick,
    /// How many events of each stimulus were taken.
    pub taken: Vec<usize>,
    /// Clocked: by population, whether a neuron is at or beyond the threshold.
    pub beyond: Vec<bool>,
}

/// What a run works on.
pub(super) struct LayerwiseRun<'s> {
    pub plan: &'s Plan,
    pub layers: &'s LayerwisePlan,
    pub limits: Limits,
    pub populations: &'s mut [PopulationState],
    pub recorder: &'s mut Recorder,
    pub stimuli: &'s [Stimulus],
    /// Ticks of a step.
    pub dt: Tick,
    /// Asked after each block; if it says so the other loops take over, and stop.
    pub is_cancelled: &'s dyn Fn() -> bool,
}

impl Layerwise {
    /// Runs up to the first special event, or to the end. Nothing if that is not possible: then all starts anew.
    pub fn run<const CLOCKED: bool>(&mut self, run: &mut LayerwiseRun<'_>) -> Option<Handover> {
        let LayerwiseRun { plan, layers, stimuli, dt, .. } = *run;
        if stimuli.iter().any(|stimulus| !stimulus.value().is_empty()) {
            return None;
        }
        let last = plan.t_max / dt;
        let mut settles = Vec::new();
        let specials = stimuli.iter().zip(&layers.sources);
        let special = specials.filter_map(|(it, source)| first_special(it, source.settles, &mut settles)).min();
        let mut end = special.map_or(last + 1, |at| (at / dt).min(last + 1));
        settles.iter_mut().for_each(|at| *at /= dt);
        settles.sort_unstable();
        self.streams.resize(plan.nodes.len(), Stream::default());
        self.silent.clear();
        self.silent.resize(plan.nodes.len(), false);
        for (source, stimulus) in layers.sources.iter().zip(stimuli) {
            self.silent[source.node] = !has_spikes(stimulus);
        }
        self.carried.clear();
        self.carried.resize(plan.populations.len(), Carried::default());
        self.rare.resize(plan.populations.len(), false);
        let mut taken = vec![0; stimuli.len()];
        let mut first = 0;
        self.cells.read.missing = None;
        loop {
            let heads = stimuli.iter().zip(&taken).filter_map(|(stimulus, &taken)| stimulus.t_pre().get(taken));
            let waits = CLOCKED && self.carried.iter().any(|carried| carried.any);
            match heads.min() {
                _ if waits => {}
                Some(&head) => first = first.max(head / dt),
                None => break,
            }
            if first >= end {
                break;
            }
            let settle = settles.get(settles.partition_point(|&at| at < first)).copied().unwrap_or(end);
            let len = if settle == first { 1 } else { BLOCK.min((end.min(settle) - first) as usize) };
            let steps = Steps { first, len, dt, t_max: plan.t_max };
            self.streams.iter_mut().for_each(Stream::clear);
            self.room = Room::of(run.limits, run.recorder);
            for ((source, stimulus), taken) in layers.sources.iter().zip(stimuli).zip(&mut taken) {
                self.streams[source.node].take(source, stimulus, taken, steps);
                self.room.take(self.streams[source.node].places.len());
            }
            for (id, layer) in layers.layers.iter().enumerate() {
                let work = if settle == first {
                    self.settle::<CLOCKED>(run, (id, layer), steps)
                } else {
                    self.layer::<CLOCKED>(run, (id, layer), steps)
                };
                run.recorder.summary.add(work);
                if self.cells.read.missing == Some(Missing::Outside) || !self.room.is_open() {
                    return None;
                }
            }
            self.record(run, steps, &taken);
            if run.limits.exceeded(run.recorder, 0) {
                return None;
            }
            first += steps.len as Tick;
            if (run.is_cancelled)() {
                end = first;
            }
        }
        Some(Handover { step: end, taken, beyond: self.carried.iter().map(|carried| carried.any).collect() })
    }

    /// Runs one layer over the steps of a block.
    fn layer<const CLOCKED: bool>(
        &mut self,
        run: &mut LayerwiseRun<'_>,
        (id, layer): (usize, &Layer),
        steps: Steps,
    ) -> Work {
        let population = &run.plan.populations[id];
        let Self { streams, silent, carried: by_population, rare, after, cells, single, pooling, gathered, room } =
            self;
        let (carried, spikes_are_rare) = (&mut by_population[id], &mut rare[id]);
        let nodes = &layer.nodes[..];
        after.clear();
        after.resize(steps.len, 0);
        let work = match (&layer.kind, &population.kind, &mut run.populations[id].cells) {
            (LayerKind::Flatten(_), ..) => {
                room.take(flatten(layer, streams, steps));
                Work::default()
            }
            (LayerKind::Cells(layer), PopulationKind::Neurons(plan), Cells::Neurons(neurons)) => {
                let population = Population {
                    rules: neurons.rules(plan, layer.weights.segment_reach),
                    neurons: neurons.singles(),
                    is_signed: plan.neurons.signed().is_some(),
                    repeats: plan.repeats(),
                    kernel: run.plan.kernel,
                    carried: &mut carried.cells,
                    beyond: Beyond { lanes: after, vectors: 1 },
                    spikes_are_rare,
                };
                cells.run::<CLOCKED>(layer, population, (nodes, &mut *streams, room), steps)
            }
            (LayerKind::Single(layer), PopulationKind::Neurons(plan), Cells::Neurons(neurons)) => {
                let rules = neurons.rules(plan, 0);
                let neurons = &mut neurons.singles();
                let (waiting, outputs) = ((&mut carried.neurons, &mut after[..]), (nodes, &mut streams[..], room));
                let is_signed = plan.neurons.signed().is_some();
                match layer.pooling.as_ref().filter(|pooling| pooling.is_alone(silent)) {
                    Some(layer) if is_signed => {
                        pooling.run::<Signed<CLOCKED, true>>(layer, (neurons, &rules), waiting, outputs, steps)
                    }
                    Some(layer) => {
                        pooling.run::<Plain<CLOCKED, false>>(layer, (neurons, &rules), waiting, outputs, steps)
                    }
                    None => {
                        let neurons = (neurons, &rules, run.plan.kernel);
                        match is_signed {
                            true => single.run::<Signed<CLOCKED, true>>(layer, neurons, waiting, outputs, steps),
                            false => single.run::<Plain<CLOCKED, false>>(layer, neurons, waiting, outputs, steps),
                        }
                    }
                }
            }
            (LayerKind::Merged(layer), PopulationKind::Neurons(plan), _) => {
                let (plans, mut maps) = maps((run.plan, run.populations), id, nodes.len());
                let vectors = layer.cells.vectors();
                after.resize(steps.len * vectors, 0);
                let population = Population {
                    rules: maps[0].rules(plan, layer.cells.weights.segment_reach),
                    neurons: gathered.take(&mut maps),
                    is_signed: plan.neurons.signed().is_some(),
                    repeats: plans.iter().any(|plan| plan.repeats()),
                    kernel: run.plan.kernel,
                    carried: &mut carried.cells,
                    beyond: Beyond { lanes: after, vectors },
                    spikes_are_rare,
                };
                let work = cells.run::<CLOCKED>(&layer.cells, population, (nodes, &mut *streams, room), steps);
                gathered.give(&mut maps);
                work
            }
            // It was run together with another one. A plan and its state are of the same kind.
            _ => return Work::default(),
        };
        nodes.iter().for_each(|&node| streams[node].finish(steps.len));
        if !CLOCKED {
            return work;
        }
        let updates = match (&layer.kind, &population.kind) {
            (LayerKind::Merged(MergedLayer { cells, common, own }), _) => {
                let carried = &mut by_population[id..][..own.len()];
                let is_beyond =
                    |step: usize, map: usize| after[step * cells.vectors() + map / LANES] >> (map % LANES) & 1 == 1;
                acts((common, own), streams, carried, is_beyond, steps) * cells.cells
            }
            (_, PopulationKind::Neurons(plan)) => {
                let carried = &mut by_population[id..][..1];
                let is_beyond = |step: usize, _| after[step] != 0;
                acts((&layer.reads, &[Vec::new()]), streams, carried, is_beyond, steps) * plan.array.len() * plan.maps
            }
            _ => return work,
        };
        Work { updates: updates as u64, ..work }
    }

    /// Runs one layer over one step in which settle events come.
    fn settle<const CLOCKED: bool>(
        &mut self,
        run: &mut LayerwiseRun<'_>,
        (id, layer): (usize, &Layer),
        step: Steps,
    ) -> Work {
        let populations = layer.populations();
        let mut reads: Vec<usize> =
            run.layers.layers[id..][..populations].iter().flat_map(|it| &it.reads).copied().collect();
        reads.sort_unstable();
        reads.dedup();
        let events = settle_events(&reads, &self.streams);
        if events.is_empty() {
            return self.layer::<CLOCKED>(run, (id, layer), step);
        }
        if CLOCKED {
            // The hysteresis ends before the input of the step acts.
            maps((run.plan, run.populations), id, populations).1.into_iter().for_each(|it| _ = it.end_hysteresis());
            let work = self.layer::<CLOCKED>(run, (id, layer), step);
            self.let_go(run, (id, layer));
            for &node in &layer.nodes {
                sort_places(&mut self.streams[node].places);
            }
            return work;
        }
        let all: Vec<usize> = reads.iter().map(|&node| self.streams[node].places.len()).collect();
        let mut work = Work::default();
        let mut after = None;
        for before in events.into_iter().map(Some).chain([None]) {
            let mut any = false;
            for (&node, &events) in reads.iter().zip(&all) {
                let events = between(node, events, (after, before));
                any |= events.is_some();
                self.streams[node].show(events.unwrap_or(0..0));
            }
            if any {
                work += self.layer::<CLOCKED>(run, (id, layer), step);
            }
            if before.is_some() {
                work.updates += self.let_go(run, (id, layer));
            }
            after = before;
        }
        reads.iter().zip(all).for_each(|(&node, events)| self.streams[node].show(0..events));
        layer.nodes.iter().for_each(|&node| self.streams[node].finish(step.len));
        work
    }

    /// Ends the hysteresis of a layer; its neurons spike until no rule holds. Returns how many were tested.
    fn let_go(&mut self, run: &mut LayerwiseRun<'_>, (id, layer): (usize, &Layer)) -> u64 {
        let (plans, neurons) = maps((run.plan, run.populations), id, layer.populations());
        // All nodes are those of one population, or one is of each.
        let each = layer.nodes.len() / plans.len().max(1);
        let mut tested = 0;
        for (k, (plan, neurons)) in plans.into_iter().zip(neurons).enumerate() {
            let nodes = &layer.nodes[k * each..][..each];
            let (updates, spikes) = settle((plan, neurons), nodes, &mut self.streams);
            tested += updates;
            self.room.take(spikes);
        }
        layer.nodes.iter().for_each(|&node| self.streams[node].close(0));
        tested
    }

    /// Records the events of a block.
    fn record(&self, run: &mut LayerwiseRun<'_>, steps: Steps, taken: &[usize]) {
        let LayerwiseRun { plan, layers, recorder, stimuli, .. } = run;
        let mut last = None;
        for (node, stream) in self.streams.iter().enumerate() {
            if stream.places.is_empty() {
                continue;
            }
            last = last.max(stream.steps().map(|(step, _)| step).last());
            recorder.count(node, stream.places.len());
            let Some(log) = &mut recorder.logs[node] else { continue };
            for (step, range) in stream.steps() {
                log.t_pre.resize(log.t_pre.len() + range.len(), steps.time(step));
            }
            log.t_rqst.extend_from_slice(&log.t_pre[log.t_rqst.len()..]);
            log.t_ack.extend_from_slice(&log.t_pre[log.t_ack.len()..]);
            match layers.origins[node] {
                Origin::Source(source) => {
                    let range = taken[source] - stream.places.len()..taken[source];
                    log.x.extend_from_slice(&stimuli[source].x()[range.clone()]);
                    log.y.extend_from_slice(&stimuli[source].y()[range.clone()]);
                    log.polarity.extend_from_slice(&stimuli[source].polarity()[range]);
                }
                Origin::Population(driver) => addresses(&plan.populations[driver].kind, &stream.places, log),
            }
        }
        if let Some(step) = last {
            recorder.summary.last_time = Some(steps.time(step));
        }
    }
}

/// `n` populations from one on.
fn maps<'r>(
    (plan, populations): (&'r Plan, &'r mut [PopulationState]),
    first: usize,
    n: usize,
) -> (Vec<&'r NeuronPopulation>, Vec<&'r mut Neurons>) {
    let plans = plan.populations[first..][..n].iter().filter_map(|population| match &population.kind {
        PopulationKind::Neurons(plan) => Some(plan),
        _ => None,
    });
    let neurons = populations[first..][..n].iter_mut().filter_map(|state| match &mut state.cells {
        Cells::Neurons(neurons) => Some(neurons),
        _ => None,
    });
    (plans.collect(), neurons.collect())
}

/// Clocked: in how many steps the populations of a layer test their neurons, all of one in each step in which it has
/// input, or a neuron beyond the threshold before it. `common`: nodes that all read; `own`: what each also reads.
fn acts(
    (common, own): (&[usize], &[Vec<usize>]),
    streams: &[Stream],
    carried: &mut [Carried],
    is_beyond: impl Fn(usize, usize) -> bool,
    steps: Steps,
) -> usize {
    let mut acts = 0;
    for step in 0..steps.len {
        let has_events = |&node: &usize| !streams[node].range(step).is_empty();
        if common.iter().any(has_events) {
            acts += own.len();
            continue;
        }
        for (population, own) in own.iter().enumerate() {
            let before = if step == 0 { carried[population].any } else { is_beyond(step - 1, population) };
            acts += usize::from(before || own.iter().any(has_events));
        }
    }
    for (population, carried) in carried.iter_mut().enumerate() {
        carried.any = is_beyond(steps.len - 1, population);
    }
    acts
}

/// Appends addresses and polarities of events of a module.
fn addresses(kind: &PopulationKind, places: &[u32], log: &mut EventLog) {
    let positions = places.iter().map(|place| (place & !NEGATIVE) as usize);
    match kind {
        PopulationKind::Neurons(neurons) => {
            let Some((x, y)) = neurons.addresses.columns() else { return };
            log.x.extend(positions.clone().map(|position| x[position]));
            log.y.extend(positions.map(|position| y[position]));
        }
        _ => {
            log.x.extend(positions.map(|position| position as i32));
            log.y.resize(log.x.len(), 0);
        }
    }
    let polarity = |place: &u32| if place & NEGATIVE == 0 { Polarity::Positive } else { Polarity::Negative };
    log.polarity.extend(places.iter().map(polarity));
}

/// Passes events on under other addresses; returns how many.
fn flatten(layer: &Layer, streams: &mut [Stream], steps: Steps) -> usize {
    let (LayerKind::Flatten(inputs), [output]) = (&layer.kind, &layer.nodes[..]) else { return 0 };
    let mut leaving = std::mem::take(&mut streams[*output]);
    for step in 0..steps.len {
        for (node, leaves) in inputs {
            let events = &streams[*node].places[streams[*node].range(step)];
            for &place in events {
                let left = leaves.get((place & !NEGATIVE) as usize).copied().unwrap_or(NOWHERE);
                if left != NOWHERE {
                    leaving.places.push(left | place & NEGATIVE);
                }
            }
        }
        leaving.close(step);
    }
    let events = leaving.places.len();
    streams[*output] = leaving;
    events
}
