//! What makes a machine faster: it is run again with one thing better at a time. The critical path says which things
//! are worth it; the runs say what they give, as other ways may be as long.

use super::{Critical, Error, PathContext, PathPart, Results, Setup};
use crate::hardware::{ModuleLayer, Resolved};
use megasim_core::engine::machine::{Link, Machine, Pace, Station, Wait};
use megasim_core::network::{Input, ModuleId, Network, NodeId, Tick};
use ordered_float::OrderedFloat;
use std::num::NonZeroU32;

/// The samples on a changed machine.
#[derive(Debug, Clone, PartialEq)]
pub struct WhatIf {
    /// What was changed.
    pub change: String,
    /// The hardware keys that were changed.
    pub keys: &'static [&'static str],
    /// Whether nothing but the bottleneck got faster (of links of a mesh: all of them).
    pub of_bottleneck: bool,
    /// The time that the samples took, as a part of that on the unchanged machine.
    pub time: f64,
    /// The time to the decisions that stay, likewise; none without decisions on both.
    pub decision: Option<f64>,
}

/// What was found on the first samples, as fast as their input is taken.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct WhatIfs {
    /// Where their critical paths go.
    pub critical: Option<Critical>,
    /// What makes the machine faster, the best first.
    pub runs: Vec<WhatIf>,
}

/// Part of the time below which a run confirms a bottleneck.
const RELIEVES: f64 = 0.99;

impl WhatIfs {
    /// What halving the bottleneck gives; none where it was not tried.
    pub fn of_bottleneck(&self) -> Option<&WhatIf> {
        self.runs.iter().find(|relief| relief.of_bottleneck)
    }

    /// Whether halving the bottleneck makes the machine faster; none where it was not tried.
    pub fn is_bottleneck(&self) -> Option<bool> {
        self.of_bottleneck().map(|relief| relief.time < RELIEVES)
    }

    /// Whether the run that gives most changes what takes most of the critical path; none where no run makes anything
    /// faster.
    pub fn agree(&self) -> Option<bool> {
        let best = self.runs.first().filter(|relief| relief.time < RELIEVES)?;
        let key = self.critical.as_ref()?.bottleneck()?.key;
        Some(best.of_bottleneck || best.keys.contains(&key))
    }
}

/// A machine with one thing better.
struct Change {
    /// The share of the critical path that it can shorten.
    share: f64,
    what: String,
    keys: &'static [&'static str],
    of_bottleneck: bool,
    machine: Machine,
}

/// How long samples took, in ticks.
struct Took {
    all: Tick,
    decisions: Option<Tick>,
}

/// Runs the first samples again, as fast as they are taken, with one thing better at a time: with the bottleneck half
/// as long, and with up to `most` keys better, those with the largest shares of the critical path. What has no part of
/// the path is not tried, as it cannot shorten it.
///
/// # Errors
/// If a run fails.
pub fn what_ifs(setup: &Setup<'_>, layers: &[ModuleLayer], (samples, most): (usize, usize)) -> Result<WhatIfs, Error> {
    let mut setup = *setup;
    setup.samples = setup.samples.min(samples);
    setup.showing.pace = Pace::Fastest;
    setup.showing.until = None;
    setup.showing.warm_up = 0;
    setup.paths = 0;
    // The ideal machine is the same next to all of them.
    let ideal = match setup.ideal {
        Some(_) => None,
        None => setup.ideal(&())?,
    };
    setup.ideal = setup.ideal.or(ideal.as_deref());
    let run = |machine: Machine, paths: usize| -> Result<(Took, Results), Error> {
        let hardware = Resolved { machine, ..setup.hardware.clone() };
        let results = Setup { hardware: &hardware, paths, ..setup }.run(&())?;
        let decided = |sample: &super::Sample| Some(sample.decisions.settled? - sample.first_input?);
        let took = Took {
            all: results.samples.iter().map(|sample| sample.ended).sum(),
            decisions: results.samples.iter().map(decided).sum(),
        };
        Ok((took, results))
    };
    let (before, results) = run(setup.hardware.machine.clone(), samples)?;
    let context = PathContext { network: setup.network, layers, hardware: setup.hardware };
    let critical = Critical::of(&context, &results);
    let mut runs = Vec::new();
    let mut tried: Vec<Machine> = vec![setup.hardware.machine.clone()];
    let mut keys_tried = 0;
    for Change { what, keys, of_bottleneck, machine, .. } in changes(&setup, &context, critical.as_ref(), &results) {
        if tried.contains(&machine) || (keys_tried == most && !of_bottleneck) {
            continue;
        }
        keys_tried += usize::from(!keys.is_empty());
        let (after, _) = run(machine.clone(), 0)?;
        tried.push(machine);
        let part = |after: Tick, before: Tick| after as f64 / before.max(1) as f64;
        runs.push(WhatIf {
            change: what,
            keys,
            of_bottleneck,
            time: part(after.all, before.all),
            decision: after.decisions.zip(before.decisions).map(|(after, before)| part(after, before)),
        });
    }
    runs.sort_by_key(|relief| OrderedFloat(relief.time));
    Ok(WhatIfs { critical, runs })
}

/// The bottleneck alone faster, in all of its place; none where nothing of the machine would do that.
fn bottleneck(setup: &Setup<'_>, context: &PathContext<'_>, part: &PathPart) -> Option<Change> {
    let mut machine = setup.hardware.machine.clone();
    let kind = *part.waits.first()?;
    let is_there = |wait: Wait| context.name(wait) == part.place;
    for module in (0..setup.network.modules().len()).map(ModuleId::new) {
        let station = machine.module_mut(module);
        match kind {
            Wait::Work(_, of) if is_there(Wait::Work(module, of)) => halve(station, of.key()),
            Wait::Acknowledge(_) if is_there(Wait::Acknowledge(module)) => station.delay_to_ack /= 2,
            _ => {}
        }
    }
    each_link(setup.network, &mut machine, |node, module, link| match kind {
        Wait::Link(..) if is_there(Wait::Link(node, module)) => link.delay /= 2,
        Wait::AcknowledgeLink(..) if is_there(Wait::Link(node, module)) => link.acknowledge_delay /= 2,
        // All links of a mesh are alike, and the barrier is one for all: they are among the other runs.
        _ => {}
    });
    let what = format!("{} halved", part.name());
    let changed = machine != setup.hardware.machine;
    changed.then_some(Change { share: part.share, what, keys: &[], of_bottleneck: true, machine })
}

/// The bottleneck first, then keys by their share of the critical path.
fn changes(
    setup: &Setup<'_>,
    context: &PathContext<'_>,
    critical: Option<&Critical>,
    results: &Results,
) -> Vec<Change> {
    let Some(critical) = critical else { return Vec::new() };
    let machine = &setup.hardware.machine;
    let modules = setup.network.modules().len();
    let largest = critical.bottleneck();
    let shares = critical.keys();
    let share_of =
        |keys: &[&str]| -> f64 { shares.iter().filter(|(key, _)| keys.contains(key)).map(|(_, it)| it).sum() };
    let mut changes = Vec::new();
    let mut all = |share: f64, change: &str, keys: &'static [&'static str], with: &dyn Fn(&mut Machine)| {
        if share <= 0.0 {
            return;
        }
        let mut changed = machine.clone();
        with(&mut changed);
        // These have no parts of which one alone can get faster.
        let of_whole = [MESH, BARRIER].contains(&keys) && largest.is_some_and(|part| keys.contains(&part.key));
        changes.push(Change { share, what: change.into(), keys, of_bottleneck: of_whole, machine: changed });
    };
    let each = |machine: &mut Machine, with: &dyn Fn(&mut Station)| {
        (0..modules).for_each(|k| with(machine.module_mut(ModuleId::new(k))));
    };
    for keys in WORK {
        let key = keys[0];
        all(share_of(keys), &format!("{key} of all modules halved"), keys, &|machine| {
            each(machine, &|station| halve(station, key));
        });
    }
    all(share_of(ACKNOWLEDGE), "delay_to_ack of all modules halved", ACKNOWLEDGE, &|machine| {
        each(machine, &|station| station.delay_to_ack /= 2);
    });
    // FIFOs take no time: they shorten handshakes that hold up the next event, and stops of modules by full outputs.
    let handshakes = critical.handshake.map_or(0.0, |(_, share)| share);
    all(handshakes, "fifo_depth of all modules 4 times as large (at least 4)", &["fifo_depth"], &|machine| {
        each(machine, &|station| station.fifo_depth = station.fifo_depth.saturating_mul(4).max(4));
    });
    let is_stopped = results.statistics.modules.iter().any(|module| module.stopped > 0);
    let stops = if is_stopped { handshakes } else { 0.0 };
    all(stops, "out_fifo_depth without limit", &["out_fifo_depth"], &|machine| {
        each(machine, &|station| station.out_fifo_depth = None::<NonZeroU32>);
    });
    all(share_of(WIRES), "delays of links halved", WIRES, &|machine| {
        each_link(setup.network, machine, |_, _, link| {
            link.delay /= 2;
            link.acknowledge_delay /= 2;
        });
    });
    all(share_of(MESH), "links of the mesh twice as fast", MESH, &|machine| {
        if let Some(mesh) = &mut machine.mesh {
            mesh.time_east_west /= 2;
            mesh.time_north_south /= 2;
        }
    });
    all(share_of(BARRIER), "the barrier halved", BARRIER, &|machine| {
        if let Some(barrier) = &mut machine.barrier {
            barrier.time /= 2;
        }
    });
    changes.sort_by_key(|change| std::cmp::Reverse(OrderedFloat(change.share)));
    largest.and_then(|part| bottleneck(setup, context, part)).into_iter().chain(changes).collect()
}

const WIRES: &[&str] = &["delay", "acknowledge_delay"];
const ACKNOWLEDGE: &[&str] = &["delay_to_ack"];
const MESH: &[&str] = &["time_east_west", "time_north_south"];
const BARRIER: &[&str] = &["barrier"];
const WORK: [&[&str]; 7] = [
    &["delay_to_process"],
    &["time_per_operation"],
    &["time_per_output"],
    &["time_per_message"],
    &["time_per_neuron"],
    &["time_per_update"],
    &["time_per_spike"],
];

/// Changes the link of each node to each of its readers.
fn each_link(network: &Network, machine: &mut Machine, with: impl Fn(NodeId, ModuleId, &mut Link)) {
    for (k, module) in network.modules().iter().enumerate() {
        for input in &module.inputs {
            let (Input::Node(node), id) = (input, ModuleId::new(k)) else { continue };
            let mut link = machine.link(*node, id);
            with(*node, id, &mut link);
            machine.set_link(*node, id, link);
        }
    }
}

fn halve(station: &mut Station, key: &str) {
    let time = match key {
        "delay_to_process" => &mut station.delay_to_process,
        "time_per_operation" => &mut station.time_per_operation,
        "time_per_output" => &mut station.time_per_output,
        "time_per_message" => &mut station.time_per_message,
        "time_per_neuron" => &mut station.soma.time_per_neuron,
        "time_per_update" => &mut station.soma.time_per_update,
        "time_per_spike" => &mut station.soma.time_per_spike,
        _ => return,
    };
    *time /= 2;
}
