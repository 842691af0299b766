//! A long run with resets between samples, in pieces side by side.
//!
//! A reset that reaches every neuron and every pool in a tick in which nothing else happens leaves the state in which a
//! run starts, if nothing is on its way then: no module delays, repeats later or is busy at first, and (clocked)
//! nothing is fed back. Then what comes after does not depend on what came before, and the pieces between such resets
//! may run at the same time; put together they are, to the byte, the record of the whole run.

use super::plan::Plan;
use super::population::PopulationKind;
use super::{Error, Mode, Probes, Record, Simulation, TieOrder};
use crate::network::{Polarity, Stimulus, Tick};
use crate::parallel;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Runs as [`Simulation::run`] does, with the same result, on all threads of the pool where resets allow it.
///
/// # Errors
/// As [`Simulation::run`]; of several the earliest in time.
pub fn run(plan: &Plan, mode: Mode, probes: &Probes, stimuli: &[Stimulus]) -> Result<Record, Error> {
    let cuts = cuts(plan, mode, stimuli);
    if cuts.is_empty() {
        return Simulation::new(plan, mode, probes).run(stimuli);
    }
    let pieces: Vec<Vec<Stimulus>> = pieces(stimuli, &cuts);
    // Of the pieces that are done: what counts against the limits of the whole run.
    let (events, recorded) = (AtomicU64::new(0), AtomicU64::new(0));
    let exceeded = || plan.limits.exceeded_by(events.load(Relaxed), recorded.load(Relaxed), 0);
    let one = |simulation: &mut Simulation, piece: usize| {
        if exceeded() {
            return None;
        }
        let record = simulation.run(&pieces[piece]);
        if let Ok(record) = &record {
            events.fetch_add(record.summary.events.iter().sum(), Relaxed);
            recorded.fetch_add(record.nodes.iter().flatten().map(|log| log.len() as u64).sum(), Relaxed);
        }
        Some(record)
    };
    let records: Vec<Option<Result<Record, Error>>> =
        parallel::map_with(0..pieces.len(), || Simulation::new(plan, mode, probes), one);
    if exceeded() {
        // Which piece came last depends on the threads; where the whole run exceeds the limit does not.
        drop((records, pieces));
        return Simulation::new(plan, mode, probes).run(stimuli);
    }
    let records: Result<Vec<Record>, Error> = records.into_iter().flatten().collect();
    let mut records = records?.into_iter();
    let Some(mut whole) = records.next() else { return Simulation::new(plan, mode, probes).run(stimuli) };
    records.for_each(|record| append(&mut whole, record));
    Ok(whole)
}

/// The ticks of resets after which a run may be cut, rising; the reset itself belongs to the piece before.
pub fn cuts(plan: &Plan, mode: Mode, stimuli: &[Stimulus]) -> Vec<Tick> {
    let dt = match mode {
        Mode::Event => 1,
        Mode::Clocked { dt } => dt.max(1),
    };
    let in_order = stimuli.len() == plan.sources.len()
        && plan.tie_order == TieOrder::Netlist
        && plan.populations.iter().all(|population| {
            let timing = &population.timing;
            let at_once = timing.is_instant() && timing.delay_to_arrive == 0;
            at_once && (timing.n_repeat == 1 || timing.delay_to_repeat == 0)
        })
        && !plan.populations.iter().flat_map(|population| &population.inputs).any(|input| input.feedback);
    if !in_order {
        return Vec::new();
    }
    // For each population with a state, the sources it reads.
    let sources_of = |inputs: &[super::population::PlanInput]| -> Vec<usize> {
        let nodes = inputs.iter().filter_map(|input| input.node);
        nodes.filter_map(|node| plan.sources.iter().position(|&source| source == node)).collect()
    };
    let stateful: Vec<Vec<usize>> = plan
        .populations
        .iter()
        .filter(|population| !matches!(population.kind, PopulationKind::Flatten(_)))
        .map(|population| sources_of(&population.inputs))
        .collect();
    let step = |t: Tick| t.div_euclid(dt);
    // Candidates: the steps in which the source with the most resets has one.
    let resets = |stimulus: &Stimulus| -> Vec<Tick> {
        let mut ticks: Vec<Tick> = stimulus
            .t_pre()
            .iter()
            .zip(stimulus.polarity())
            .filter(|(_, polarity)| **polarity == Polarity::Reset)
            .map(|(&t, _)| t)
            .collect();
        ticks.dedup();
        ticks
    };
    let candidates = stimuli.iter().map(resets).max_by_key(Vec::len).unwrap_or_default();
    let within = |stimulus: &Stimulus, t: Tick| {
        let first = step(t).saturating_mul(dt);
        let last = first.saturating_add(dt - 1);
        let ticks = stimulus.t_pre();
        ticks.partition_point(|&at| at < first)..ticks.partition_point(|&at| at <= last)
    };
    let only_resets = |t: Tick| {
        stimuli.iter().all(|stimulus| {
            stimulus.polarity()[within(stimulus, t)].iter().all(|&polarity| polarity == Polarity::Reset)
        })
    };
    let all_reset = |t: Tick| {
        let reset: Vec<bool> = stimuli.iter().map(|stimulus| !within(stimulus, t).is_empty()).collect();
        stateful.iter().all(|sources| sources.iter().any(|&source| reset[source]))
    };
    let mut cuts: Vec<Tick> =
        candidates.into_iter().filter(|&t| t <= plan.t_max && only_resets(t) && all_reset(t)).collect();
    cuts.dedup_by_key(|t| step(*t));
    // A cut behind the last event would only make an empty piece.
    let last = stimuli.iter().filter_map(|stimulus| stimulus.t_pre().last()).max().copied().unwrap_or(0);
    cuts.retain(|&t| step(t) < step(last));
    match mode {
        Mode::Event => cuts,
        // Cut between steps.
        Mode::Clocked { .. } => cuts.into_iter().map(|t| step(t).saturating_mul(dt).saturating_add(dt - 1)).collect(),
    }
}

/// The stimuli up to and including each cut, and those behind the last.
fn pieces(stimuli: &[Stimulus], cuts: &[Tick]) -> Vec<Vec<Stimulus>> {
    let mut taken = vec![0; stimuli.len()];
    let ends = cuts.iter().copied().chain([Tick::MAX]);
    ends.map(|end| {
        let cut = stimuli.iter().zip(&mut taken).map(|(stimulus, taken)| {
            let from = *taken;
            *taken = stimulus.t_pre().partition_point(|&t| t <= end);
            Stimulus::from_events((from..*taken).map(|k| stimulus.event(k)))
        });
        cut.collect()
    })
    .collect()
}

fn append(whole: &mut Record, next: Record) {
    for (log, next) in whole.nodes.iter_mut().zip(next.nodes) {
        if let (Some(log), Some(next)) = (log, next) {
            log.t_pre.extend(next.t_pre);
            log.t_rqst.extend(next.t_rqst);
            log.t_ack.extend(next.t_ack);
            log.x.extend(next.x);
            log.y.extend(next.y);
            log.polarity.extend(next.polarity);
        }
    }
    let (summary, next) = (&mut whole.summary, next.summary);
    summary.events.iter_mut().zip(next.events).for_each(|(sum, n)| *sum += n);
    summary.saturations.iter_mut().zip(next.saturations).for_each(|(sum, n)| *sum += n);
    summary.synaptic_operations += next.synaptic_operations;
    summary.neuron_updates += next.neuron_updates;
    summary.pending += next.pending;
    summary.last_time = next.last_time.or(summary.last_time);
}
