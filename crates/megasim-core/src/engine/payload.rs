//! Where spikes may carry values, and which logs have them.

use super::{Error, Plan};
use crate::network::payload::PayloadPaths;
use crate::network::{EventLog, Network, Stimulus, WHOLE_SPIKE};

/// Why spikes carry no values on machines, and with other orders of ties.
const NOT_HERE: &str = "cannot in this kind of run; event mode with ties in netlist order has values, and clocked mode";

/// For runs in which spikes have no values.
///
/// # Errors
/// [`Error::Payload`] for a network in which they have.
pub(super) fn refuse(network: &Network) -> Result<(), Error> {
    match PayloadPaths::of(network).carries.into_iter().position(|carries| carries) {
        Some(node) => Err(Error::Payload { node: network.nodes()[node].name.clone(), reason: NOT_HERE.into() }),
        None => Ok(()),
    }
}

/// Refuses stimuli with values that no one can read; all that have values, where the run has none.
pub(super) fn check(plan: &Plan, stimuli: &[Stimulus], allowed: bool) -> Result<(), Error> {
    for (node, _) in plan.sources.iter().zip(stimuli).filter(|(_, stimulus)| !stimulus.value().is_empty()) {
        let refusal = if allowed { plan.payloads.refusals[node.index()] } else { Some(NOT_HERE) };
        if let Some(reason) = refusal {
            return Err(Error::Payload { node: plan.node_name(node.index()), reason: reason.into() });
        }
    }
    Ok(())
}

/// Gives every event of a node that carries values one, whichever of its events came with a value, and those of other
/// nodes none.
pub(super) fn complete(plan: &Plan, stimuli: &[Stimulus], logs: &mut [Option<EventLog>]) {
    let valued = plan.sources.iter().zip(stimuli).filter(|(_, stimulus)| !stimulus.value().is_empty());
    let mut valued = valued.map(|(node, _)| *node).peekable();
    if valued.peek().is_none() && !plan.payloads.carries.contains(&true) {
        return;
    }
    for (log, carries) in logs.iter_mut().zip(plan.payloads.with(valued)) {
        if let Some(log) = log.as_mut().filter(|_| carries) {
            log.value.resize(log.len(), WHOLE_SPIKE);
        }
    }
}
