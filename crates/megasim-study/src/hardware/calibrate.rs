//! Delays of modules and links from a measured event log.
//!
//! Links: the least time from request to arrival, for each node and module. Work: `done - started`, by least squares
//! over operations and outputs, none of the three parts negative; where the log does not say when work started, events
//! count that came when the module was done with the one before, for they started when they arrived. Acknowledge: the
//! median time from acceptance (or from arrival of such an event) to the acknowledge, less what the machine's link
//! takes for it.

use super::layers::module_name;
use super::log::LogLine;
use megasim_core::engine::machine::{Link, Machine};
use megasim_core::network::{ModuleId, Network, NodeId, Tick};
use ordered_float::OrderedFloat;

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
    /// Delays of links, by node, if the log has them.
    pub links: Vec<(NodeId, Tick)>,
}

/// How long work takes, in ticks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Work {
    /// Of an event.
    pub delay_to_process: Tick,
    /// Of an operation.
    pub time_per_operation: Tick,
    /// Of an output.
    pub time_per_output: Tick,
    /// Lines that could be used.
    pub events: usize,
    /// Root of the mean squared difference from the log, in ticks.
    pub residual: f64,
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
            rows.push([
                (done - started) as f64,
                1.0,
                line.operations.unwrap_or(0) as f64,
                line.outputs.unwrap_or(0) as f64,
            ]);
        }
        if let (Some(accepted), Some(acknowledged)) = (begin(line.accepted), line.acknowledged) {
            acknowledges.push(acknowledged - accepted - link(*node).acknowledge_delay);
        }
    }
    acknowledges.sort_unstable();
    Fit {
        module,
        events: lines.len(),
        work: fit_work(&rows),
        delay_to_ack: acknowledges.get(acknowledges.len() / 2).map(|&median| median.max(0)),
        links,
    }
}

/// Least squares of the first column over the others: the best of all subsets whose parts are not negative; a larger
/// one only where it is clearly better.
fn fit_work(rows: &[[f64; 4]]) -> Option<Work> {
    if rows.is_empty() {
        return None;
    }
    let mut best: Option<([f64; 3], f64)> = None;
    // The constant alone first, then with one more part, then with both, then without the constant.
    for subset in [0b001_u32, 0b011, 0b101, 0b111, 0b010, 0b100, 0b110] {
        let parts: Vec<usize> = (0..3).filter(|k| subset >> k & 1 == 1).collect();
        let Some(solution) = least_squares(rows, &parts) else { continue };
        if solution.iter().any(|&part| part < -1e-9) {
            continue;
        }
        let mut whole = [0.0; 3];
        parts.iter().zip(&solution).for_each(|(&k, &part)| whole[k] = part.max(0.0).round());
        let residual = residual(rows, whole);
        if best.is_none_or(|(_, least)| residual < 0.999 * least - 1e-9) {
            best = Some((whole, residual));
        }
    }
    let ([constant, operation, output], residual) = best?;
    Some(Work {
        delay_to_process: constant as Tick,
        time_per_operation: operation as Tick,
        time_per_output: output as Tick,
        events: rows.len(),
        residual,
    })
}

fn residual(rows: &[[f64; 4]], parts: [f64; 3]) -> f64 {
    let square = |row: &[f64; 4]| (row[0] - parts[0] * row[1] - parts[1] * row[2] - parts[2] * row[3]).powi(2);
    (rows.iter().map(square).sum::<f64>() / rows.len() as f64).sqrt()
}

/// Solves the normal equations by elimination; none where columns say the same.
fn least_squares(rows: &[[f64; 4]], parts: &[usize]) -> Option<Vec<f64>> {
    let n = parts.len();
    let mut matrix = vec![vec![0.0; n + 1]; n];
    for row in rows {
        for (i, &a) in parts.iter().enumerate() {
            for (j, &b) in parts.iter().enumerate() {
                matrix[i][j] += row[a + 1] * row[b + 1];
            }
            matrix[i][n] += row[a + 1] * row[0];
        }
    }
    for k in 0..n {
        let pivot = (k..n).max_by_key(|&row| OrderedFloat(matrix[row][k].abs()))?;
        matrix.swap(k, pivot);
        let scale = rows.iter().map(|row| row[parts[k] + 1].powi(2)).sum::<f64>();
        if matrix[k][k].abs() <= 1e-9 * scale.max(1.0) {
            return None;
        }
        let pivot = matrix[k].clone();
        for (i, row) in matrix.iter_mut().enumerate() {
            if i != k {
                let factor = row[k] / pivot[k];
                row.iter_mut().zip(&pivot).for_each(|(value, pivot)| *value -= factor * pivot);
            }
        }
    }
    Some((0..n).map(|k| matrix[k][n] / matrix[k][k]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_told_apart_where_they_vary() {
        let rows: Vec<[f64; 4]> = (0..30)
            .map(|k| {
                let (operations, outputs) = (f64::from(k % 7), f64::from(k % 3));
                [16.0 + 4.0 * operations + 30.0 * outputs, 1.0, operations, outputs]
            })
            .collect();
        let work = fit_work(&rows).unwrap();
        assert_eq!((work.delay_to_process, work.time_per_operation, work.time_per_output), (16, 4, 30));
        assert!(work.residual < 1e-9);
        // What never varies cannot be distinguished from a constant.
        let rows: Vec<[f64; 4]> = (0..9).map(|_| [40.0, 1.0, 6.0, 0.0]).collect();
        let work = fit_work(&rows).unwrap();
        assert_eq!((work.delay_to_process, work.time_per_operation, work.time_per_output), (40, 0, 0));
    }
}
