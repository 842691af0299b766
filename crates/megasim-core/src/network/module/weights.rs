//! Weights of modules: by port, and which neurons an event reaches through them. What depends on a kind of module, and
//! is no simulation, asks here.

use super::{Array, ConvPort, FullyConnectedPort, ModuleKind};
use std::sync::Arc;

impl ConvPort {
    /// A kernel of `nx` columns and `ny` rows that moves with addresses: strides and expansions are 1.
    pub fn kernel(nx: u32, ny: u32, dx: i32, dy: i32, weights: Arc<[i32]>) -> Self {
        Self { nx, ny, dx, dy, x_stride: 1, y_stride: 1, x_expand: 1, y_expand: 1, weights }
    }

    /// A port that gives each neuron of an array its weight when an event comes at (0, 0); `weights[y * nx + x]`.
    pub fn plane(array: Array, weights: Arc<[i32]>) -> Self {
        Self::kernel(array.nx, array.ny, array.x_min, array.y_min, weights)
    }
}

impl FullyConnectedPort {
    /// A port that gives each neuron its weight when an event comes at (0, 0).
    pub fn plane(weights: Arc<[i32]>) -> Self {
        Self { nx_pre: 1, ny_pre: 1, weights }
    }
}

/// The neuron of a row, or of a column, that entry `tap` of a kernel reaches from an address, counted from the first of
/// `n`: `(at * expand + offset + tap) / stride - min`, where that is whole and inside (`docs/netfiles.md`).
fn along(at: i32, tap: u32, (expand, offset, stride): (i32, i32, i32), (min, n): (i32, u32)) -> Option<u32> {
    let place = i64::from(at) * i64::from(expand) + i64::from(offset) + i64::from(tap);
    let neuron = place.div_euclid(stride.into()) - i64::from(min);
    (place.rem_euclid(stride.into()) == 0 && (0..i64::from(n)).contains(&neuron)).then_some(neuron as u32)
}

impl ConvPort {
    /// The neuron of a row that column `tap` of the kernel reaches from column `x`.
    fn column(&self, x: i32, tap: u32, array: Array) -> Option<u32> {
        along(x, tap, (self.x_expand, self.dx, self.x_stride), (array.x_min, array.nx))
    }

    /// The neuron of a column that row `tap` of the kernel reaches from row `y`.
    fn row(&self, y: i32, tap: u32, array: Array) -> Option<u32> {
        along(y, tap, (self.y_expand, self.dy, self.y_stride), (array.y_min, array.ny))
    }

    /// How many neurons of a row an event of column `x` reaches.
    pub fn columns_reached(&self, x: i32, array: Array) -> u64 {
        (0..self.nx).filter(|&tap| self.column(x, tap, array).is_some()).count() as u64
    }

    /// How many neurons of a column an event of row `y` reaches.
    pub fn rows_reached(&self, y: i32, array: Array) -> u64 {
        (0..self.ny).filter(|&tap| self.row(y, tap, array).is_some()).count() as u64
    }
}

impl ModuleKind {
    /// The weights of each port, in order; none where it has no neurons.
    pub fn weights(&self) -> Vec<&Arc<[i32]>> {
        match self {
            Self::Conv(conv) => conv.ports.iter().map(|port| &port.weights).collect(),
            Self::FullyConnected(full) | Self::Softmax(full) => full.ports.iter().map(|port| &port.weights).collect(),
            Self::Flatten(_) | Self::MaxPool(_) => Vec::new(),
        }
    }

    /// As [`ModuleKind::weights`], to be changed.
    pub fn weights_mut(&mut self) -> Vec<&mut Arc<[i32]>> {
        match self {
            Self::Conv(conv) => conv.ports.iter_mut().map(|port| &mut port.weights).collect(),
            Self::FullyConnected(full) | Self::Softmax(full) => {
                full.ports.iter_mut().map(|port| &mut port.weights).collect()
            }
            Self::Flatten(_) | Self::MaxPool(_) => Vec::new(),
        }
    }

    /// Calls `take` with each neuron (`y * nx + x` in its array) that a spike under address `(x, y)` reaches through a
    /// port, and with its weight: by rows of a kernel.
    ///
    /// # Panics
    /// If there is no such port.
    pub fn each_target(&self, port: usize, (x, y): (i32, i32), mut take: impl FnMut(usize, i32)) {
        match self {
            Self::Conv(conv) => {
                let (array, kernel) = (conv.array, &conv.ports[port]);
                for j in 0..kernel.ny {
                    let Some(row) = kernel.row(y, j, array) else { continue };
                    for i in 0..kernel.nx {
                        let Some(column) = kernel.column(x, i, array) else { continue };
                        take((row * array.nx + column) as usize, kernel.weights[(j * kernel.nx + i) as usize]);
                    }
                }
            }
            Self::FullyConnected(full) | Self::Softmax(full) => {
                let FullyConnectedPort { nx_pre, ny_pre, weights } = &full.ports[port];
                let (Ok(column), Ok(row)) = (u32::try_from(x), u32::try_from(y)) else { return };
                if column >= *nx_pre || row >= *ny_pre {
                    return;
                }
                let (line, n) = (column as usize + row as usize * *nx_pre as usize, full.array.len());
                weights[line * n..][..n].iter().enumerate().for_each(|(neuron, &weight)| take(neuron, weight));
            }
            Self::Flatten(_) | Self::MaxPool(_) => {}
        }
    }

    /// Adds, as port `at`, one that gives each neuron its weight when an event comes at (0, 0). Says whether there are
    /// neurons.
    pub fn insert_plane(&mut self, at: usize, weights: Arc<[i32]>) -> bool {
        match self {
            Self::Conv(conv) => conv.ports.insert(at, ConvPort::plane(conv.array, weights)),
            Self::FullyConnected(full) | Self::Softmax(full) => {
                full.ports.insert(at, FullyConnectedPort::plane(weights));
            }
            Self::Flatten(_) | Self::MaxPool(_) => return false,
        }
        true
    }

    /// Removes a port of weights.
    pub(crate) fn remove_port(&mut self, at: usize) {
        match self {
            Self::Conv(conv) => drop(conv.ports.remove(at)),
            Self::FullyConnected(full) | Self::Softmax(full) => drop(full.ports.remove(at)),
            Self::Flatten(_) | Self::MaxPool(_) => {}
        }
    }

    /// Adds a second port of the same weights for each, behind all. Says whether there are neurons.
    pub(crate) fn double_ports(&mut self) -> bool {
        match self {
            Self::Conv(conv) => conv.ports.extend_from_within(..),
            Self::FullyConnected(full) | Self::Softmax(full) => full.ports.extend_from_within(..),
            Self::Flatten(_) | Self::MaxPool(_) => return false,
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{Conv, NeuronParameters, Output};

    #[test]
    fn a_strided_kernel_reaches_by_hand() {
        let array = Array { nx: 2, ny: 1, x_min: 0, y_min: 0 };
        // From column 1, entries 0, 1, 2 are at places 0, 1, 2: with stride 2 neurons 0 (entry 0) and 1 (entry 2).
        let port = ConvPort { x_stride: 2, ..ConvPort::kernel(3, 1, -1, 0, [5, 6, 7].into()) };
        assert_eq!(
            (port.columns_reached(1, array), port.rows_reached(0, array), port.rows_reached(1, array)),
            (2, 1, 0)
        );
        let output = Output::whole(array);
        let kind = ModuleKind::Conv(Conv { array, neurons: NeuronParameters::default(), ports: vec![port], output });
        let mut found = Vec::new();
        kind.each_target(0, (1, 0), |neuron, weight| found.push((neuron, weight)));
        assert_eq!(found, [(0, 5), (1, 7)]);
    }

    #[test]
    fn a_plane_gives_each_neuron_its_weight() {
        let array = Array { nx: 2, ny: 2, x_min: 3, y_min: -1 };
        let output = Output::whole(array);
        let mut kind = ModuleKind::Conv(Conv { array, neurons: NeuronParameters::default(), ports: vec![], output });
        assert!(kind.insert_plane(0, [1, 2, 3, 4].into()));
        let mut found = Vec::new();
        kind.each_target(0, (0, 0), |neuron, weight| found.push((neuron, weight)));
        assert_eq!(found, [(0, 1), (1, 2), (2, 3), (3, 4)]);
        assert_eq!(kind.weights().len(), 1);
    }
}
