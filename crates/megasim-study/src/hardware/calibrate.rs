//! Delays of modules and links from a measured event log.
//!
//! Links: the least time from request to arrival, for each node and module. Work: `done - started`, by least squares
//! over operations and outputs, none of the three parts negative; where the log does not say when work started, events
//! count that came when the module was done with the one before, for they started when they arrived. Acknowledge: the
//! median time from acceptance (or from arrival of such an event) to the acknowledge, less what the machine's link
//! takes for it, with the interval of its rank.

use super::layers::module_name;
use super::log::LogLine;
use super::work::{self, Work};
use megasim_core::engine::machine::{Link, Machine};
use megasim_core::network::{ModuleId, Network, NodeId, Tick};

/// What a log says of a module; times in ticks.
#[derive(Debug, Clone, PartialEq)]
pub struct Fit {
    /// The module.
    pub module: ModuleId,
    /// Lines about it.
    pub events: usize,
    /// Work, if the log has it.
    pub work: Option<Work>,
    /// From acceptance to the acknowledge, if the log has it.
    pub delay_to_ack: Option<Tick>,
    /// Its 95 % interval.
    pub delay_to_ack_interval: Option<(Tick, Tick)>,
    /// Delays of links, by node, if the log has them.
    pub links: Vec<(NodeId, Tick)>,
}

/// Why a log cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CalibrationError {
    /// A module or node that the network does not have.
    #[error("expected {what} of the network, found `{found}`")]
    Unknown {
        /// Module or node.
        what: &'static str,
        /// The name in the log.
        found: String,
    },
    /// Nothing in it.
    #[error("expected lines with a receiver, found none")]
    Empty,
}

/// Fits what a log says, module by module in netlist order. `machine` has the links where the log does not say when
/// events arrive.
///
/// # Errors
/// If the log names what the network does not have, or nothing.
pub fn fit(network: &Network, machine: &Machine, log: &[LogLine]) -> Result<Vec<Fit>, CalibrationError> {
    let names: Vec<String> = (0..network.modules().len()).map(|k| module_name(network, ModuleId::new(k))).collect();
    let mut of_module: Vec<Vec<(&LogLine, Option<NodeId>)>> = vec![Vec::new(); names.len()];
    for line in log {
        let unknown = |what, found: &str| CalibrationError::Unknown { what, found: found.into() };
        let module = names.iter().position(|name| *name == line.receiver);
        let module = module.ok_or_else(|| unknown("a module", &line.receiver))?;
        let node = match line.node.as_deref().filter(|node| !node.is_empty()) {
            Some(name) => Some(network.node_named(name).ok_or_else(|| unknown("a node", name))?),
            None => None,
        };
        of_module[module].push((line, node));
    }
    if log.is_empty() {
        return Err(CalibrationError::Empty);
    }
    let fits = of_module.into_iter().enumerate().filter(|(_, lines)| !lines.is_empty());
    Ok(fits.map(|(k, lines)| fit_module(machine, ModuleId::new(k), lines)).collect())
}

fn fit_module(machine: &Machine, module: ModuleId, mut lines: Vec<(&LogLine, Option<NodeId>)>) -> Fit {
    let link = |node: Option<NodeId>| node.map_or_else(Link::default, |node| machine.link(node, module));
    let mut links: Vec<(NodeId, Tick)> = Vec::new();
    for (line, node) in &lines {
        let (Some(node), Some(arrived)) = (node, line.arrived) else { continue };
        let delay = arrived.saturating_sub(line.requested).max(0);
        match links.iter_mut().find(|(known, _)| known == node) {
            Some((_, least)) => *least = delay.min(*least),
            None => links.push((*node, delay)),
        }
    }
    let arrived = |line: &LogLine, node: Option<NodeId>| {
        line.arrived.unwrap_or_else(|| line.requested.saturating_add(link(node).delay))
    };
    lines.sort_by_key(|(line, node)| arrived(line, *node));
    // The module was done with all before when this one arrived: it was accepted and started at once.
    let mut busy_until = Tick::MIN;
    let mut at_once = Vec::new();
    for (line, node) in &lines {
        at_once.push(busy_until <= arrived(line, *node));
        busy_until = busy_until.max(line.done.unwrap_or(Tick::MAX));
    }
    let mut rows = Vec::new();
    let mut acknowledges = Vec::new();
    for ((line, node), at_once) in lines.iter().zip(at_once) {
        let begin = |known: Option<Tick>| known.or_else(|| at_once.then(|| arrived(line, *node)));
        if let (Some(started), Some(done)) = (begin(line.started), line.done) {
            rows.push([done - started, 1, line.operations.unwrap_or(0) as Tick, line.outputs.unwrap_or(0) as Tick]);
        }
        if let (Some(accepted), Some(acknowledged)) = (begin(line.accepted), line.acknowledged) {
            acknowledges.push(acknowledged - accepted - link(*node).acknowledge_delay);
        }
    }
    acknowledges.sort_unstable();
    Fit {
        module,
        events: lines.len(),
        work: work::fit(&rows),
        delay_to_ack: acknowledges.get(acknowledges.len() / 2).map(|&median| median.max(0)),
        delay_to_ack_interval: median_interval(&acknowledges),
        links,
    }
}

/// The 95 % interval of the median of sorted values: the ranks between which it is, by the normal form of the binomial
/// distribution of values below it.
fn median_interval(sorted: &[Tick]) -> Option<(Tick, Tick)> {
    let n = sorted.len() as f64;
    let half = 1.96 * n.sqrt() / 2.0;
    let rank = |at: f64| (at.max(0.0) as usize).min(sorted.len() - 1);
    let last = sorted.last()?;
    let (low, high) = (sorted[rank((n / 2.0 - half).floor())], sorted[rank((n / 2.0 + half).ceil())].min(*last));
    Some((low.max(0), high.max(0)))
}
