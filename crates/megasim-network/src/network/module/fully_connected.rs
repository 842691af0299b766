//! `module_fully_connected` and `module_softmax`: a row of neurons behind matrices.

use super::check::{matrix, range};
use super::kind::{Kind, ReadArray};
use super::{Array, NeuronParameters, Output};
use crate::network::NetworkError;
use std::sync::Arc;

/// `module_fully_connected` and `module_softmax`. Neuron `k` is at `(x_min + k, y_min)`.
#[derive(Debug, Clone, PartialEq)]
pub struct FullyConnected {
    /// The positions of the neurons; one row.
    pub array: Array,
    /// How they behave.
    pub neurons: NeuronParameters,
    /// One matrix a port.
    pub ports: Vec<FullyConnectedPort>,
    /// Which spikes leave.
    pub output: Output,
}

/// The matrix of one port.
#[derive(Debug, Clone, PartialEq)]
pub struct FullyConnectedPort {
    /// `Nx_array_pre`: columns of the presynaptic addresses.
    pub nx_pre: u32,
    /// `Ny_array_pre`: rows of the presynaptic addresses.
    pub ny_pre: u32,
    /// Scaled integers: a line of population size for each presynaptic address `x + y * nx_pre`.
    pub weights: Arc<[i32]>,
}

impl FullyConnectedPort {
    /// A port that gives each neuron its weight when an event comes at (0, 0).
    pub fn plane(weights: Arc<[i32]>) -> Self {
        Self { nx_pre: 1, ny_pre: 1, weights }
    }
}

impl FullyConnected {
    /// What softmax neurons, which spike on control events, cannot have.
    pub(super) fn check_softmax(&self) -> Result<(), NetworkError> {
        let neurons = &self.neurons;
        if neurons.mask_tau != 0 {
            return Err(range("mask_tau", "0, as softmax neurons act on control events already", neurons.mask_tau));
        }
        if neurons.model().is_some() {
            return Err(range("neuron_model", "0, as softmax neurons are not tested", 1));
        }
        if neurons.signed().is_some() {
            return Err(range("signed", "0, as softmax neurons are not tested", 1));
        }
        if let Some(bits) = neurons.payload_bits {
            return Err(range("payload_bits", "no such key, as softmax neurons keep their potentials", bits));
        }
        Ok(())
    }
}

impl Kind for FullyConnected {
    fn ports(&self) -> usize {
        self.ports.len()
    }

    fn check(&self) -> Result<(), NetworkError> {
        if self.array.ny != 1 {
            return Err(range("Ny_array", "1, as the module is not a convolution", self.array.ny));
        }
        self.ports.iter().try_for_each(|port| {
            let lines = u64::from(port.nx_pre) * u64::from(port.ny_pre);
            matrix("Nx_array_pre", lines.saturating_mul(self.array.nx.into()), port.weights.len())
        })?;
        self.neurons.check_weights(self.ports.iter().map(|port| &port.weights[..]))
    }

    fn read_array(&self, port: usize) -> Option<ReadArray> {
        let FullyConnectedPort { nx_pre: nx, ny_pre: ny, .. } = self.ports[port];
        Some(ReadArray { nx, ny, stops: true })
    }

    fn neurons(&self) -> Option<(Array, &NeuronParameters, &Output)> {
        Some((self.array, &self.neurons, &self.output))
    }

    fn neurons_mut(&mut self) -> Option<(&mut NeuronParameters, &mut Output)> {
        Some((&mut self.neurons, &mut self.output))
    }

    fn weights(&self) -> Vec<&Arc<[i32]>> {
        self.ports.iter().map(|port| &port.weights).collect()
    }

    fn weights_mut(&mut self) -> Vec<&mut Arc<[i32]>> {
        self.ports.iter_mut().map(|port| &mut port.weights).collect()
    }

    fn each_target(&self, port: usize, (x, y): (i32, i32), take: &mut dyn FnMut(usize, i32)) {
        let FullyConnectedPort { nx_pre, ny_pre, weights } = &self.ports[port];
        let (Ok(column), Ok(row)) = (u32::try_from(x), u32::try_from(y)) else { return };
        if column >= *nx_pre || row >= *ny_pre {
            return;
        }
        let (line, n) = (column as usize + row as usize * *nx_pre as usize, self.array.len());
        weights[line * n..][..n].iter().enumerate().for_each(|(neuron, &weight)| take(neuron, weight));
    }

    fn sums(&self, port: usize) -> (i64, i64) {
        let weights = &self.ports[port].weights;
        if weights.is_empty() {
            // Not so much as a row: the population may be of any size.
            return (0, 0);
        }
        let (mut plus, mut minus) = (vec![0i64; self.array.len()], vec![0i64; self.array.len()]);
        for row in weights.chunks(self.array.len().max(1)) {
            for (&weight, (plus, minus)) in row.iter().zip(plus.iter_mut().zip(&mut minus)) {
                *plus += i64::from(weight).max(0);
                *minus += i64::from(weight).min(0);
            }
        }
        (plus.into_iter().max().unwrap_or(0), minus.into_iter().min().unwrap_or(0))
    }

    fn insert_plane(&mut self, at: usize, weights: Arc<[i32]>) {
        self.ports.insert(at, FullyConnectedPort::plane(weights));
    }

    fn remove_port(&mut self, at: usize) {
        self.ports.remove(at);
    }

    fn copy_port(&mut self, from: usize, at: usize) {
        self.ports.insert(at, self.ports[from].clone());
    }
}
