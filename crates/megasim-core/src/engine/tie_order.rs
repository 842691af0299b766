//! Which of several events of one tick comes first, and the network in which what raises potentials has ports of its
//! own.

use super::Error;
use crate::network::{Module, ModuleId, Network, NetworkError};

/// Which of several events that are due at one tick comes first, in event mode.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TieOrder {
    /// The rule: the lowest node, and of a node's events the one made first.
    #[default]
    Netlist,
    /// The highest node, and of a node's events of one time the one made last.
    Reversed,
    /// A node at random, and of its events of one time one at random, with this seed.
    Seeded(u64),
    /// A module takes all events of a tick together: first what raises potentials, then what lowers them. Modules act
    /// in netlist order. Only where no module has delays.
    Split,
}

/// The network with each port of neurons twice: first the weights above 0 of all ports, then those below 0.
///
/// # Errors
/// [`Error::Delays`] where a module does not act at once: then the events of a tick do not come together.
pub(super) fn halves(network: &Network) -> Result<Network, Error> {
    for (index, module) in network.modules().iter().enumerate() {
        if !module.timing.is_instant() {
            let outputs = network.outputs(ModuleId::new(index));
            let node = outputs.first().map_or(String::new(), |node| network.nodes()[node.index()].name.clone());
            return Err(Error::Delays { node });
        }
    }
    network.map_modules(halve).map_err(|fault: NetworkError| Error::Split(fault.to_string()))
}

fn halve(module: &mut Module) {
    let raise = |weights: &[i32]| weights.iter().map(|&w| w.max(0)).collect::<Vec<_>>().into();
    let lower = |weights: &[i32]| weights.iter().map(|&w| w.min(0)).collect::<Vec<_>>().into();
    let ports = module.kind.ports();
    if !(0..ports).fold(false, |_, port| module.kind.copy_port(port, ports + port)) {
        return;
    }
    for (k, weights) in module.kind.weights_mut().into_iter().enumerate() {
        *weights = if k < ports { raise(weights) } else { lower(weights) };
    }
    let inputs = module.inputs[..ports].to_vec();
    module.inputs.splice(ports..ports, inputs);
}
