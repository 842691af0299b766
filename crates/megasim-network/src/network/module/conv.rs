//! `module_conv`: a two-dimensional array of neurons behind kernels.

use super::check::matrix;
use super::kind::{Kind, ReadArray};
use super::{Array, NeuronParameters, Output};
use crate::network::{NetworkError, at_least};
use std::sync::Arc;

/// `module_conv`.
#[derive(Debug, Clone, PartialEq)]
pub struct Conv {
    /// The positions of the neurons.
    pub array: Array,
    /// How they behave.
    pub neurons: NeuronParameters,
    /// One kernel a port.
    pub ports: Vec<ConvPort>,
    /// Which spikes leave.
    pub output: Output,
}

/// The kernel of one port. An event at `(x, y)` touches, for each row `j` and column `i`, the neuron at
/// `((x * x_expand + dx + i) / x_stride, (y * y_expand + dy + j) / y_stride)` where both divide evenly.
#[derive(Debug, Clone, PartialEq)]
pub struct ConvPort {
    /// `Nx_kernel`: columns.
    pub nx: u32,
    /// `Ny_kernel`: rows.
    pub ny: u32,
    /// `Dx`.
    pub dx: i32,
    /// `Dy`.
    pub dy: i32,
    /// Extension key, 1 or more.
    pub x_stride: i32,
    /// Extension key, 1 or more.
    pub y_stride: i32,
    /// Extension key, 1 or more.
    pub x_expand: i32,
    /// Extension key, 1 or more.
    pub y_expand: i32,
    /// Scaled integers, `ny` rows of `nx`.
    pub weights: Arc<[i32]>,
}

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

impl ConvPort {
    fn check(&self) -> Result<(), NetworkError> {
        at_least("x_stride", self.x_stride.into(), 1)?;
        at_least("y_stride", self.y_stride.into(), 1)?;
        at_least("x_expand", self.x_expand.into(), 1)?;
        at_least("y_expand", self.y_expand.into(), 1)?;
        matrix("Nx_kernel", u64::from(self.nx) * u64::from(self.ny), self.weights.len())
    }
}

impl Kind for Conv {
    fn ports(&self) -> usize {
        self.ports.len()
    }

    fn check(&self) -> Result<(), NetworkError> {
        self.ports.iter().try_for_each(ConvPort::check)?;
        self.neurons.check_weights(self.ports.iter().map(|port| &port.weights[..]))
    }

    fn read_array(&self, _port: usize) -> Option<ReadArray> {
        None
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
        let (array, kernel) = (self.array, &self.ports[port]);
        for j in 0..kernel.ny {
            let Some(row) = kernel.row(y, j, array) else { continue };
            for i in 0..kernel.nx {
                let Some(column) = kernel.column(x, i, array) else { continue };
                take((row * array.nx + column) as usize, kernel.weights[(j * kernel.nx + i) as usize]);
            }
        }
    }

    /// A neuron in the middle sees each kernel entry once. Where the kernel covers the array, as that of a bias does,
    /// its one event touches each neuron once.
    fn sums(&self, port: usize) -> (i64, i64) {
        let ConvPort { nx, ny, ref weights, .. } = self.ports[port];
        let (up, down) = (|&weight: &i32| i64::from(weight).max(0), |&weight: &i32| i64::from(weight).min(0));
        if nx >= self.array.nx && ny >= self.array.ny {
            (weights.iter().map(up).max().unwrap_or(0), weights.iter().map(down).min().unwrap_or(0))
        } else {
            (weights.iter().map(up).sum(), weights.iter().map(down).sum())
        }
    }

    fn insert_plane(&mut self, at: usize, weights: Arc<[i32]>) {
        self.ports.insert(at, ConvPort::plane(self.array, weights));
    }

    fn remove_port(&mut self, at: usize) {
        self.ports.remove(at);
    }

    fn copy_port(&mut self, from: usize, at: usize) {
        self.ports.insert(at, self.ports[from].clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::ModuleKind;

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
