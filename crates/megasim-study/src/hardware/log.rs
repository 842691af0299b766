//! Event logs as CSV: what a traced run writes, and what was measured elsewhere.
//!
//! One line an event and receiver, times in ticks, after a header that names the columns:
//!
//! ```text
//! node,receiver,port,x,y,polarity,t_pre,requested,arrived,accepted,started,done,acknowledged,operations,outputs
//! ```
//!
//! A receiver is a module, named by its first output node. Events of nodes without readers have no receiver and only
//! the times of the node.

use super::layers::module_name;
use crate::csv;
use megasim_core::engine::machine::{HandshakeTrace, MachineRecord};
use megasim_core::network::{Network, Tick};
use std::fmt;
use std::io::{self, Write};

/// The columns, in the order in which they are written.
const COLUMNS: [&str; 15] = [
    "node",
    "receiver",
    "port",
    "x",
    "y",
    "polarity",
    "t_pre",
    "requested",
    "arrived",
    "accepted",
    "started",
    "done",
    "acknowledged",
    "operations",
    "outputs",
];

/// Writes the passages of a run, and the events of nodes without readers.
///
/// # Errors
/// If the output cannot be written.
pub fn write_log(
    network: &Network,
    passages: &[HandshakeTrace],
    run: &MachineRecord,
    out: &mut dyn Write,
) -> io::Result<()> {
    writeln!(out, "{}", COLUMNS.join(","))?;
    let names: Vec<String> =
        (0..network.modules().len()).map(|k| module_name(network, megasim_core::network::ModuleId::new(k))).collect();
    for passage in passages {
        let HandshakeTrace {
            node, module, port, event, requested, arrived, accepted, started, done, acknowledged, ..
        } = passage;
        writeln!(
            out,
            "{},{},{port},{},{},{},{},{requested},{arrived},{accepted},{started},{done},{acknowledged},{},{}",
            csv::cell(&network.nodes()[node.index()].name),
            csv::cell(&names[module.index()]),
            event.x,
            event.y,
            event.polarity as i8,
            event.t_pre,
            passage.operations,
            passage.outputs,
        )?;
    }
    for (node, log) in unread(network, run) {
        for k in 0..log.len() {
            let event = log.event(k);
            writeln!(
                out,
                "{},,,{},{},{},{},{},,,,,{},,",
                csv::cell(&network.nodes()[node].name),
                event.x,
                event.y,
                event.polarity as i8,
                event.t_pre,
                log.t_rqst[k],
                log.t_ack[k],
            )?;
        }
    }
    Ok(())
}

/// Nodes without readers, with what was recorded there.
pub(super) fn unread<'r>(
    network: &Network,
    run: &'r MachineRecord,
) -> impl Iterator<Item = (usize, &'r megasim_core::network::EventLog)> {
    let mut read = vec![false; network.nodes().len()];
    for input in network.modules().iter().flat_map(|module| &module.inputs) {
        if let megasim_core::network::Input::Node(node) = input {
            read[node.index()] = true;
        }
    }
    let logs = run.record.nodes.iter().enumerate();
    logs.filter(move |(node, _)| !read[*node]).filter_map(|(node, log)| log.as_ref().map(|log| (node, log)))
}

/// One line of a log, as far as calibration needs it; what a log does not have is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// The node, if the log says.
    pub node: Option<String>,
    /// The module.
    pub receiver: String,
    /// When the node requested the event.
    pub requested: Tick,
    /// When it arrived at the module.
    pub arrived: Option<Tick>,
    /// When the module took it.
    pub accepted: Option<Tick>,
    /// When the module began to work on it.
    pub started: Option<Tick>,
    /// When the module was done with it.
    pub done: Option<Tick>,
    /// When the node heard of it.
    pub acknowledged: Option<Tick>,
    /// Synaptic operations.
    pub operations: Option<u64>,
    /// Output events.
    pub outputs: Option<u64>,
}

/// A faulty log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogError {
    /// Line, from 1 on.
    pub line: usize,
    /// What was expected and found.
    pub message: String,
}

impl fmt::Display for LogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.line, self.message)
    }
}

impl std::error::Error for LogError {}

/// Reads a log. Columns may be in any order; `receiver` and `requested` must be there, and `done` or `acknowledged`.
/// Columns with other names are passed over, and so are lines without a receiver.
///
/// # Errors
/// If a column is missing, or a number is none.
pub fn parse_log(text: &str) -> Result<Vec<LogLine>, LogError> {
    let mut lines = text.lines().enumerate();
    let fault = |line: usize, message: String| LogError { line: line + 1, message };
    let header: Vec<&str> = match lines.next() {
        Some((_, header)) => header.split(',').map(str::trim).collect(),
        None => return Err(fault(0, "expected a header with column names, found nothing".into())),
    };
    let column = |name: &str| header.iter().position(|column| *column == name);
    let needed = |name: &str| {
        column(name).ok_or_else(|| fault(0, format!("expected a column `{name}`, found {}", header.join(", "))))
    };
    let (receiver, requested) = (needed("receiver")?, needed("requested")?);
    if column("done").is_none() && column("acknowledged").is_none() {
        return Err(fault(0, format!("expected a column `done` or `acknowledged`, found {}", header.join(", "))));
    }
    let mut log = Vec::new();
    for (number, text) in lines {
        if text.trim().is_empty() {
            continue;
        }
        let fields: Vec<&str> = text.split(',').map(str::trim).collect();
        if fields.len() != header.len() {
            let message = format!("expected {} fields, as in the header, found {}", header.len(), fields.len());
            return Err(fault(number, message));
        }
        if fields[receiver].is_empty() {
            continue;
        }
        let time = |name: &str| -> Result<Option<Tick>, LogError> {
            let Some(field) = column(name).map(|k| fields[k]).filter(|field| !field.is_empty()) else {
                return Ok(None);
            };
            let parsed = field.parse::<Tick>().ok().filter(|&time| time >= 0);
            let message = || format!("{name}: expected a whole number of ticks from 0 on, found `{field}`");
            parsed.map(Some).ok_or_else(|| fault(number, message()))
        };
        let Some(requested) = time("requested")? else {
            return Err(fault(number, format!("requested: expected a time, found `{}`", fields[requested])));
        };
        let count = |name: &str| time(name).map(|count| count.map(|count| count as u64));
        log.push(LogLine {
            node: column("node").map(|k| csv::text(fields[k]).into_owned()),
            receiver: csv::text(fields[receiver]).into_owned(),
            requested,
            arrived: time("arrived")?,
            accepted: time("accepted")?,
            started: time("started")?,
            done: time("done")?,
            acknowledged: time("acknowledged")?,
            operations: count("operations")?,
            outputs: count("outputs")?,
        });
    }
    Ok(log)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_refused_with_its_line() {
        let cases = [
            ("", "1: expected a header with column names, found nothing"),
            ("a,b\n", "1: expected a column `receiver`, found a, b"),
            ("receiver,requested\n", "1: expected a column `done` or `acknowledged`, found receiver, requested"),
            ("receiver,requested,done\nx,1\n", "2: expected 3 fields, as in the header, found 2"),
            (
                "receiver,requested,done\nx,1,2\nx,one,2\n",
                "3: requested: expected a whole number of ticks from 0 on, found `one`",
            ),
            ("receiver,requested,done\nx,1,-2\n", "2: done: expected a whole number of ticks from 0 on, found `-2`"),
        ];
        for (text, expected) in cases {
            assert_eq!(parse_log(text).unwrap_err().to_string(), expected, "{text}");
        }
        let log = parse_log("done, receiver, requested, colour\n9, a, 4, red\n\n").unwrap();
        assert_eq!((log.len(), log[0].requested, log[0].done, log[0].acknowledged), (1, 4, Some(9), None));
    }
}
