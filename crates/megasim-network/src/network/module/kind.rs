//! What of a module depends on its kind. Whoever asks a module something that is no simulation asks here.

use super::{Array, ModuleKind, NeuronParameters, Output};
use crate::network::NetworkError;
use std::sync::Arc;

/// The answers of one kind. What has no neurons says only what the first methods ask.
pub(crate) trait Kind {
    /// `n_in_ports`.
    fn ports(&self) -> usize;

    /// Its rules, but those of neurons, output and timing.
    fn check(&self) -> Result<(), NetworkError>;

    /// The array of addresses that a port reads, columns and rows; none if events from elsewhere are clipped.
    fn read_array(&self, port: usize) -> Option<ReadArray>;

    /// Whether its spikes may be negative; none if it passes the signs of its inputs on.
    fn sends_negative(&self) -> Option<bool> {
        self.neurons().map(|(_, neurons, output)| neurons.sends_negative() && !output.rectify)
    }

    /// Columns and rows of the addresses that leave, where these are no neurons.
    fn sent_array(&self) -> Option<(u64, u64)> {
        None
    }

    /// What it passes on of values that come in place of spikes, where it has no neurons.
    fn passed(&self, _read: &[Option<&NodeValues>]) -> Result<NodeValues, &'static str> {
        Ok(NodeValues { nx: 1, values: Vec::new() })
    }

    /// The neurons, if it has any.
    fn neurons(&self) -> Option<(Array, &NeuronParameters, &Output)> {
        None
    }

    /// As [`Kind::neurons`], to be changed.
    fn neurons_mut(&mut self) -> Option<(&mut NeuronParameters, &mut Output)> {
        None
    }

    /// The weights of each port.
    fn weights(&self) -> Vec<&Arc<[i32]>> {
        Vec::new()
    }

    /// As [`Kind::weights`], to be changed.
    fn weights_mut(&mut self) -> Vec<&mut Arc<[i32]>> {
        Vec::new()
    }

    /// Calls `take` with each neuron that a spike at `(x, y)` reaches through a port, and with its weight.
    fn each_target(&self, _port: usize, _at: (i32, i32), _take: &mut dyn FnMut(usize, i32)) {}

    /// Most and least that events of all addresses of a port together add to one neuron.
    fn sums(&self, _port: usize) -> (i64, i64) {
        (0, 0)
    }

    /// Adds, as port `at`, one that gives each neuron its weight when an event comes at (0, 0).
    fn insert_plane(&mut self, _at: usize, _weights: Arc<[i32]>) {}

    /// Removes a port of weights.
    fn remove_port(&mut self, _at: usize) {}

    /// Adds, as port `at`, a second one of the weights of port `from`.
    fn copy_port(&mut self, _from: usize, _at: usize) {}
}

/// The addresses that a port reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ReadArray {
    pub nx: u32,
    pub ny: u32,
    /// An event from elsewhere stops the run; else it is dropped.
    pub stops: bool,
}

/// Values of nodes, in place of spikes.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeValues {
    /// Values of a row.
    pub nx: usize,
    /// Row by row.
    pub values: Vec<f64>,
}

impl NodeValues {
    /// Each value but 0, and its address.
    pub fn at(&self) -> impl Iterator<Item = ((i32, i32), f64)> {
        let address = |k: usize| ((k % self.nx) as i32, (k / self.nx) as i32);
        self.values.iter().enumerate().filter(|(_, value)| **value != 0.0).map(move |(k, &value)| (address(k), value))
    }
}

impl ModuleKind {
    /// `n_in_ports`.
    pub fn ports(&self) -> usize {
        self.kind().ports()
    }

    /// The neurons, if it has any.
    pub fn neurons(&self) -> Option<(Array, &NeuronParameters, &Output)> {
        self.kind().neurons()
    }

    /// As [`ModuleKind::neurons`], to be changed.
    pub fn neurons_mut(&mut self) -> Option<(&mut NeuronParameters, &mut Output)> {
        self.kind_mut().neurons_mut()
    }

    /// The weights of each port, in order; none where it has no neurons.
    pub fn weights(&self) -> Vec<&Arc<[i32]>> {
        self.kind().weights()
    }

    /// As [`ModuleKind::weights`], to be changed.
    pub fn weights_mut(&mut self) -> Vec<&mut Arc<[i32]>> {
        self.kind_mut().weights_mut()
    }

    /// Calls `take` with each neuron (`y * nx + x` in its array) that a spike under address `(x, y)` reaches through a
    /// port, and with its weight: by rows of a kernel.
    ///
    /// # Panics
    /// If there is no such port.
    pub fn each_target(&self, port: usize, at: (i32, i32), mut take: impl FnMut(usize, i32)) {
        self.kind().each_target(port, at, &mut take);
    }

    /// Adds, as port `at`, one that gives each neuron its weight when an event comes at (0, 0). Says whether there are
    /// neurons.
    pub fn insert_plane(&mut self, at: usize, weights: Arc<[i32]>) -> bool {
        self.kind_mut().insert_plane(at, weights);
        self.neurons().is_some()
    }

    /// What a module without neurons passes on of the values of its ports; none: a port whose node has no values.
    ///
    /// # Errors
    /// Why it passes none on.
    pub fn passed(&self, read: &[Option<&NodeValues>]) -> Result<NodeValues, &'static str> {
        self.kind().passed(read)
    }

    /// Removes a port of weights.
    pub fn remove_port(&mut self, at: usize) {
        self.kind_mut().remove_port(at);
    }

    /// Adds, as port `at`, a second one of the weights of port `from`. Says whether there are neurons.
    ///
    /// # Panics
    /// If there are neurons, but no such port.
    pub fn copy_port(&mut self, from: usize, at: usize) -> bool {
        self.kind_mut().copy_port(from, at);
        self.neurons().is_some()
    }
}
