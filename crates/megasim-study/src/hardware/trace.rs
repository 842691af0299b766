//! A run as a trace for viewers of Chrome's Trace Event Format, such as Perfetto.
//!
//! Modules are threads of one process, each event a slice from start to done, and their queues are counters; nodes are
//! threads of another, each event a slice from request to the last acknowledge.

use super::log::unread;
use super::{Duration, module_name};
use megasim_core::engine::machine::{HandshakeTrace, MachineRecord};
use megasim_core::network::{ModuleId, Network, StimulusEvent, Tick};
use serde_json::{Value, json};
use std::io::{self, Write};

const MODULES: u32 = 1;
const NODES: u32 = 2;

/// Events that a trace holds, at most: what viewers open without trouble; some 200 MB.
pub const MOST_EVENTS: usize = 1_000_000;

/// Writes a trace of the first [`MOST_EVENTS`] events that modules start; says where it ends, if that is before the run
/// does. Times are microseconds, where somebody said how long a tick is; else a tick shows as one microsecond.
///
/// # Errors
/// If the output cannot be written.
pub fn write_trace(
    network: &Network,
    passages: &[HandshakeTrace],
    run: &MachineRecord,
    tick: Option<Duration>,
    out: &mut dyn Write,
) -> io::Result<Option<Tick>> {
    let end = passages.get(MOST_EVENTS).map(|passage| passage.started);
    let passages = &passages[..passages.len().min(MOST_EVENTS)];
    let scale = tick.map_or(1.0, |tick| tick.seconds() * 1e6);
    let us = |ticks: Tick| ticks as f64 * scale;
    write!(out, "{{\"displayTimeUnit\":\"ns\",\"traceEvents\":[")?;
    let mut first = true;
    let mut put = |event: Value| {
        let comma = if std::mem::take(&mut first) { "\n" } else { ",\n" };
        write!(out, "{comma}{event}")
    };
    let thread = |pid: u32, tid: usize, name: &str| {
        let name = json!({ "name": name });
        json!({ "ph": "M", "pid": pid, "tid": tid, "name": "thread_name", "args": name })
    };
    for (pid, name) in [(MODULES, "modules"), (NODES, "nodes")] {
        put(json!({ "ph": "M", "pid": pid, "name": "process_name", "args": { "name": name } }))?;
    }
    for k in 0..network.modules().len() {
        put(thread(MODULES, k + 1, &module_name(network, ModuleId::new(k))))?;
    }
    for (k, node) in network.nodes().iter().enumerate() {
        put(thread(NODES, k + 1, &node.name))?;
    }
    let address = |event: &StimulusEvent| match event.polarity as i8 {
        1 => format!("({}, {})", event.x, event.y),
        -2 => "reset".into(),
        _ => format!("-({}, {})", event.x, event.y),
    };
    let mut queues: Vec<Vec<(Tick, i64)>> = vec![Vec::new(); network.modules().len()];
    for passage in passages {
        let (module, node) = (passage.module.index(), passage.node.index());
        put(json!({
            "ph": "X",
            "pid": MODULES,
            "tid": module + 1,
            "ts": us(passage.started),
            "dur": us(passage.done - passage.started),
            "name": format!("{} {}", network.nodes()[node].name, address(&passage.event)),
            "args": {
                "port": passage.port,
                "t_pre": passage.event.t_pre,
                "requested": passage.requested,
                "arrived": passage.arrived,
                "accepted": passage.accepted,
                "started": passage.started,
                "done": passage.done,
                "acknowledged": passage.acknowledged,
                "operations": passage.operations,
                "outputs": passage.outputs,
            },
        }))?;
        if passage.started > passage.arrived {
            queues[module].extend([(passage.arrived, 1), (passage.started, -1)]);
        }
    }
    for (module, mut changes) in queues.into_iter().enumerate() {
        changes.sort_unstable();
        let name = format!("queue of {}", module_name(network, ModuleId::new(module)));
        let mut length = 0;
        for at_once in changes.chunk_by(|a, b| a.0 == b.0) {
            length += at_once.iter().map(|(_, change)| change).sum::<i64>();
            let ts = us(at_once[0].0);
            put(json!({ "ph": "C", "pid": MODULES, "ts": ts, "name": name, "args": { "events": length } }))?;
        }
    }
    // Every node's events, whether read or not.
    let unread: Vec<usize> = unread(network, run).map(|(node, _)| node).collect();
    for (node, log) in run.record.nodes.iter().enumerate() {
        let Some(log) = log else { continue };
        for k in (0..log.len()).filter(|&k| end.is_none_or(|end| log.t_rqst[k] < end)) {
            put(json!({
                "ph": "X",
                "pid": NODES,
                "tid": node + 1,
                "ts": us(log.t_rqst[k]),
                "dur": us(log.t_ack[k] - log.t_rqst[k]),
                "name": address(&log.event(k)),
                "args": { "t_pre": log.t_pre[k], "read": !unread.contains(&node) },
            }))?;
        }
    }
    writeln!(out, "\n]}}")?;
    Ok(end)
}
