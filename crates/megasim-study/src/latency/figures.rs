//! What `megasim latency --json` writes: the figures of the tables, and those of every module, node and sample.

use super::{Account, Critical, Latency, PathPart, Resource};
use crate::classification::wilson_interval;
use crate::hardware::{Value as Setting, module_name};
use megasim_core::engine::machine::{Distribution, Occupancy, OccupancyPoint};
use megasim_core::network::ModuleId;
use serde_json::{Map, Value, json};

fn distribution(of: &Distribution) -> Value {
    let at = |share: f64| of.quantile(share);
    let (count, mean, max) = (of.weight(), of.mean(), of.max());
    json!({ "count": count, "mean": mean, "p50": at(0.5), "p95": at(0.95), "p99": at(0.99), "max": max })
}

/// An occupancy over time; nothing where it is always 0.
fn course(of: &Occupancy) -> Value {
    if of.points().all(|point| point.most == 0) {
        return Value::Null;
    }
    let column = |get: fn(&OccupancyPoint) -> Value| of.points().map(|point| get(&point)).collect::<Vec<_>>();
    json!({
        "width": of.width(),
        "from": column(|point| json!(point.from)),
        "least": column(|point| json!(point.least)),
        "mean": column(|point| json!(point.mean)),
        "most": column(|point| json!(point.most)),
    })
}

/// A JSON object. Collecting into a `Map` sorts first, which is compiled for each iterator.
fn object(entries: impl Iterator<Item = (String, Value)>) -> Value {
    let mut object = Map::new();
    object.extend(entries);
    Value::Object(object)
}

/// Everything; times in ticks, energies in joules per sample, rates per tick.
pub fn json(outcome: &Latency) -> Value {
    let Latency { input, results, .. } = outcome;
    let signed = input.output_is_signed();
    let (resolved, statistics) = (&outcome.mapped.resolved, &results.statistics);
    let share = |ticks: u64| ticks as f64 / statistics.elapsed.max(1) as f64;
    let mut modules = Map::new();
    for (k, module) in statistics.modules.iter().enumerate() {
        let values = object(resolved.rows[k].values.iter().map(|(key, value, origin)| {
            let value = match value {
                Setting::Time(ticks) => json!(ticks),
                Setting::Depth(depth) => json!(depth),
                Setting::Energy(joules) => json!(joules),
                Setting::Arbiter(arbiter) => json!(arbiter.name()),
            };
            ((*key).to_string(), json!({ "value": value, "from": origin.to_string() }))
        }));
        let busy = object(module.busy.parts().into_iter().map(|(key, ticks)| (key.to_string(), json!(share(ticks)))));
        modules.insert(
            module_name(&input.network, ModuleId::new(k)),
            json!({
                "machine": values,
                "utilisation": share(module.busy.total()),
                "busy_by_cause": busy,
                "stopped": share(module.stopped),
                "queue": distribution(&module.queue),
                "queue_over_time": course(&module.queue_course),
                "wait": distribution(&module.wait),
                "events": module.events,
                "throughput": share(module.events),
                "synaptic_operations": module.operations,
                "neuron_updates": module.updates,
                "outputs": module.outputs,
            }),
        );
    }
    let nodes = object(input.network.nodes().iter().zip(&statistics.nodes).map(|(described, node)| {
        let figures = json!({
            "events": node.events,
            "messages": node.messages,
            "hops_east_west": node.hops_east_west,
            "hops_north_south": node.hops_north_south,
            "waiting": distribution(&node.waiting),
            "handshake": distribution(&node.handshake),
        });
        (described.name.clone(), figures)
    }));
    let samples: Vec<Value> = results
        .samples
        .iter()
        .map(|sample| {
            json!({
                "sample": sample.number,
                "label": sample.label,
                "decision": sample.decisions.decision,
                "ideal": sample.ideal,
                "first_input": sample.first_input,
                "first_spike": sample.decisions.first_spike,
                "first_correct": sample.decisions.first_correct,
                "settled": sample.decisions.settled,
                "counts_final": sample.decisions.last_spike.filter(|_| signed),
                "ended": sample.ended,
                "events": sample.events,
                "synaptic_operations": sample.operations,
                "pending": sample.unfinished.pending,
                "unsent": sample.unfinished.unsent,
                "unacknowledged": sample.unfinished.unacknowledged,
                "unstarted": sample.unfinished.unstarted,
                "deadlocks": sample.deadlocks.len(),
            })
        })
        .collect();
    let right = results.right();
    let accuracy = |hits: usize| {
        let (low, high) = wilson_interval(hits, right.of);
        input.labels.as_ref().map(|_| json!({ "share": hits as f64 / right.of as f64, "low": low, "high": high }))
    };
    json!({
        "hardware": outcome.hardware.name(),
        "tick_seconds": resolved.tick.map(|tick| tick.seconds()),
        "pace": outcome.pace.to_string(),
        "samples": results.samples.len(),
        "latency": {
            "first_spike": results.latency(|it| it.first_spike),
            "first_correct": results.latency(|it| it.first_correct),
            "settled": results.latency(|it| it.settled),
            "counts_final": results.latency(|it| it.last_spike).filter(|_| signed),
            "ended": results.length(),
        },
        "accuracy": { "machine": accuracy(right.machine), "ideal": accuracy(right.ideal) },
        "agreement_with_ideal": right.as_ideal(),
        "left_over": left_over(outcome),
        "elapsed": statistics.elapsed,
        "steps": statistics.steps,
        "modules": modules,
        "nodes": nodes,
        "cores": cores(outcome),
        "links": links(outcome),
        "bottleneck": bottleneck(outcome),
        "critical_path": outcome.critical.as_ref().map(|it| critical(outcome, it)),
        "reliefs": what_ifs(outcome),
        "busiest": busiest(outcome),
        "energy": energy(outcome),
        "fitted": fitted(outcome),
        "per_sample": samples,
    })
}

/// Samples that did not finish, and what was left over, a sample.
fn left_over(outcome: &Latency) -> Value {
    let (results, left) = (&outcome.results, outcome.results.unfinished());
    let mean = |events: u64| events as f64 / results.samples.len().max(1) as f64;
    json!({
        "samples": results.unfinished_samples(),
        "pending": mean(left.pending),
        "unsent": mean(left.unsent),
        "unacknowledged": mean(left.unacknowledged),
        "unstarted": mean(left.unstarted),
    })
}

fn fitted(outcome: &Latency) -> Value {
    let fits = outcome.fits.iter().map(|fit| {
        let links = object(
            fit.links
                .iter()
                .map(|(node, delay)| (outcome.input.network.nodes()[node.index()].name.clone(), json!(delay))),
        );
        let figures = json!({
            "events": fit.events,
            "events_used": fit.work.map(|work| work.fitted.events),
            "delay_to_process": fit.work.map(|work| work.delay_to_process),
            "time_per_operation": fit.work.map(|work| work.time_per_operation),
            "time_per_output": fit.work.map(|work| work.time_per_output),
            "intervals": {
                "delay_to_process": fit.work.map(|work| work.intervals[0]),
                "time_per_operation": fit.work.map(|work| work.intervals[1]),
                "time_per_output": fit.work.map(|work| work.intervals[2]),
                "delay_to_ack": fit.delay_to_ack_interval,
            },
            "residual": fit.work.map(|work| work.fitted.residual),
            "r_squared": fit.work.and_then(|work| work.fitted.r_squared),
            "held_out": fit.work.and_then(|work| work.held_out).map(|it| {
                json!({ "events": it.events, "residual": it.residual, "r_squared": it.r_squared })
            }),
            "delay_to_ack": fit.delay_to_ack,
            "links": links,
        });
        (module_name(&outcome.input.network, fit.module), figures)
    });
    object(fits)
}

/// Chips, cores, and how full these are; nothing where the machine file does not say what they hold.
fn cores(outcome: &Latency) -> Value {
    let Some(cores) = &outcome.mapped.resolved.cores else { return Value::Null };
    let capacities = object(
        cores
            .capacities()
            .into_iter()
            .map(|(key, limit, mean, most)| (key.into(), json!({ "limit": limit, "mean": mean, "most": most }))),
    );
    let nodes = outcome.results.statistics.nodes.iter();
    let hops: u64 = nodes.map(|node| node.hops_east_west + node.hops_north_south).sum();
    json!({
        "chips": cores.chips,
        "cores_per_chip": cores.per_chip,
        "in_use": cores.used.len(),
        "split_modules": cores.split(),
        "capacities": capacities,
        "hops": hops as f64 / outcome.results.samples.len().max(1) as f64,
        "measured_hops_in_order": cores.hops.map(|(order, _)| order),
        "measured_hops_placed": cores.hops.map(|(_, placed)| placed),
    })
}

fn links(outcome: &Latency) -> Vec<Value> {
    let Some(mesh) = &outcome.mapped.resolved.machine.mesh else { return Vec::new() };
    let used = outcome.results.statistics.links.iter().enumerate().filter(|(_, link)| link.wait.weight() > 0);
    used.map(|(k, link)| {
        let (tile, direction) = mesh.link(k);
        json!({
            "from": [tile.x, tile.y],
            "direction": format!("{direction:?}").to_lowercase(),
            "messages": link.wait.weight(),
            "utilisation": link.busy as f64 / outcome.results.statistics.elapsed.max(1) as f64,
            "wait": distribution(&link.wait),
        })
    })
    .collect()
}

/// What takes most of the critical path, as fast as input is taken where that was tried.
fn bottleneck(outcome: &Latency) -> Value {
    let critical = outcome.what_ifs.critical.as_ref().or(outcome.critical.as_ref());
    let Some(part) = critical.and_then(Critical::bottleneck) else { return Value::Null };
    let halved = outcome.what_ifs.of_bottleneck();
    json!({
        "key": part.key,
        "place": part.place,
        "share": part.share,
        "halved": halved.map(|relief| relief.time),
        "is_bottleneck": outcome.what_ifs.is_bottleneck(),
        "best_relief_agrees": outcome.what_ifs.agree(),
        "pace": if outcome.what_ifs.critical.is_some() { "fastest".into() } else { outcome.pace.to_string() },
    })
}

/// What critical paths are made of.
fn critical(outcome: &Latency, of: &Critical) -> Value {
    let parts = |parts: &[PathPart]| -> Vec<Value> {
        parts.iter().map(|it| json!({ "key": it.key, "place": it.place, "share": it.share })).collect()
    };
    let name = |node: megasim_core::network::NodeId| outcome.input.network.nodes()[node.index()].name.clone();
    json!({
        "samples": of.samples,
        "last_work": parts(&of.last_work),
        "decision": parts(&of.decision),
        "handshake": of.handshake.map(|(node, share)| json!({ "node": name(node), "share": share })),
    })
}

fn what_ifs(outcome: &Latency) -> Vec<Value> {
    let runs = outcome.what_ifs.runs.iter();
    runs.map(|it| json!({ "change": it.change, "time": it.time, "decision": it.decision })).collect()
}

fn busiest(outcome: &Latency) -> Value {
    let Some(it) = &outcome.busiest else { return Value::Null };
    let name = |resource: Resource| match resource {
        Resource::Module(module) => json!({ "module": module_name(&outcome.input.network, module) }),
        Resource::Link(tile, direction) => {
            json!({ "link": [tile.x, tile.y], "direction": format!("{direction:?}").to_lowercase() })
        }
    };
    let network = &outcome.input.network;
    let next = it.next.map(|(resource, utilisation)| json!({ "resource": name(resource), "utilisation": utilisation }));
    let handshake =
        it.handshake.map(|(node, share)| json!({ "node": network.nodes()[node.index()].name, "share": share }));
    let stopped = it.stopped.map(|(module, share)| json!({ "module": module_name(network, module), "share": share }));
    json!({
        "resource": name(it.resource),
        "utilisation": it.utilisation,
        "cause": it.cause.0,
        "cause_share": it.cause.1,
        "next": next,
        "handshake": handshake,
        "stopped": stopped,
    })
}

fn energy(outcome: &Latency) -> Value {
    let bill = outcome.bill();
    let n = outcome.results.samples.len() as f64;
    let account = |account: &Account| -> Value {
        let parts = account.parts().into_iter().map(|(name, joules)| (name.to_string(), json!(joules / n)));
        object(parts.chain([("dynamic".to_string(), json!(account.total() / n))]))
    };
    let layers = object(
        outcome.input.layers.iter().zip(&bill.layers).map(|(layer, costs)| (layer.name.clone(), account(costs))),
    );
    json!({
        "input": account(&bill.input),
        "layers": layers,
        "dynamic": bill.dynamic() / n,
        "static": bill.static_energy / n,
        "total": bill.total() / n,
        "quantised": outcome.quantised().ok(),
    })
}
