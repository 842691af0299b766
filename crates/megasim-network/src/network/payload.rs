//! Spikes that carry a value: what they may be read by.

use super::{Input, Module, ModuleKind, Network, NetworkError, NodeId};

/// The value of a spike that stands for one: values are in units of 2^-16 of a spike.
pub const WHOLE_SPIKE: i32 = 1 << 16;

/// Most bits behind the point that a value has.
pub const MAX_PAYLOAD_BITS: u8 = 16;

/// Appends the value of one event to a column that is empty as long as no event has a value; `before` events are there.
#[inline]
pub fn push(column: &mut Vec<i32>, before: usize, value: Option<i32>) {
    if let Some(value) = value {
        column.resize(before, WHOLE_SPIKE);
        column.push(value);
    } else if !column.is_empty() {
        column.resize(before + 1, WHOLE_SPIKE);
    }
}

/// As [`push`], the column of `more` events, which is empty or has them all.
#[inline]
pub fn extend(column: &mut Vec<i32>, before: usize, values: &[i32], more: usize) {
    if !values.is_empty() {
        column.resize(before, WHOLE_SPIKE);
        column.extend_from_slice(values);
    } else if !column.is_empty() {
        column.resize(before + more, WHOLE_SPIKE);
    }
}

/// Which nodes carry values, and which may.
#[derive(Debug, Clone)]
pub struct PayloadPaths {
    /// By node: whether the spikes of modules put values on it.
    pub carries: Vec<bool>,
    /// By node: why its spikes may not carry values, if so.
    pub refusals: Vec<Option<&'static str>>,
    /// What flatten modules read, and the nodes that they drive.
    flattens: Vec<(Vec<NodeId>, Vec<NodeId>)>,
}

impl PayloadPaths {
    /// Those of a network, whose stimuli have no values.
    pub fn of(network: &Network) -> Self {
        let (mut carries, mut flattens) = (vec![false; network.nodes.len()], Vec::new());
        for (module, outputs) in network.modules.iter().zip(&network.outputs) {
            if module.kind.neurons().is_some_and(|(_, neurons, _)| neurons.payload_bits.is_some()) {
                outputs.iter().for_each(|node| carries[node.index()] = true);
            }
            if matches!(module.kind, ModuleKind::Flatten(_)) {
                flattens.push((module.nodes_read().collect(), outputs.clone()));
            }
        }
        let mut paths = Self { carries: Vec::new(), refusals: network.payload_refusals(), flattens };
        paths.spread(&mut carries);
        paths.carries = carries;
        paths
    }

    /// Which nodes carry values where the stimuli of some sources have them.
    pub fn with(&self, sources: impl Iterator<Item = NodeId>) -> Vec<bool> {
        let mut carries = self.carries.clone();
        sources.for_each(|node| carries[node.index()] = true);
        self.spread(&mut carries);
        carries
    }

    /// Flatten modules pass values on.
    fn spread(&self, carries: &mut [bool]) {
        let mut changed = true;
        while std::mem::take(&mut changed) {
            for (read, outputs) in &self.flattens {
                if read.iter().any(|node| carries[node.index()]) {
                    for node in outputs {
                        changed |= !std::mem::replace(&mut carries[node.index()], true);
                    }
                }
            }
        }
    }
}

impl Module {
    /// The nodes that its ports read.
    fn nodes_read(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.inputs.iter().take(self.kind.ports()).filter_map(|input| match input {
            Input::Node(node) => Some(*node),
            Input::Undriven(_) => None,
        })
    }
}

impl Network {
    /// By node: why its spikes may not carry values, if so.
    fn payload_refusals(&self) -> Vec<Option<&'static str>> {
        let mut refusals = vec![None; self.nodes.len()];
        loop {
            let before = refusals.clone();
            for (module, outputs) in self.modules.iter().zip(&self.outputs) {
                let neurons = module.kind.neurons().map(|(_, neurons, _)| neurons);
                let refusal = match &module.kind {
                    ModuleKind::MaxPool(_) => Some("is read by a max pool, which counts spikes"),
                    ModuleKind::Flatten(_) if module.timing.n_repeat > 1 => {
                        Some("goes through a flatten module with n_repeat above 1")
                    }
                    ModuleKind::Flatten(_) => outputs.iter().find_map(|node| refusals[node.index()]),
                    _ if neurons.is_some_and(|it| it.signed().is_some()) => {
                        Some("is read by signed neurons, which count spikes")
                    }
                    _ if neurons.is_some_and(|it| it.model().is_some()) => {
                        Some("is read by neurons that follow equations (neuron_model)")
                    }
                    _ if neurons.is_some_and(|it| it.mask_tau > 0) => {
                        Some("is read by neurons with a decaying current (mask_tau)")
                    }
                    _ => None,
                };
                let Some(refusal) = refusal else { continue };
                for node in module.nodes_read() {
                    refusals[node.index()].get_or_insert(refusal);
                }
            }
            if refusals == before {
                return refusals;
            }
        }
    }

    /// Refuses values that no one can read.
    pub(super) fn check_payloads(&self) -> Result<(), NetworkError> {
        let PayloadPaths { carries, refusals, .. } = PayloadPaths::of(self);
        match (0..self.nodes.len()).find_map(|node| Some((node, refusals[node].filter(|_| carries[node])?))) {
            Some((node, reason)) => Err(NetworkError::Payload { node: self.nodes[node].name.clone(), reason }),
            None => Ok(()),
        }
    }
}
