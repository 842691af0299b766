//! Weights as events read them: matrices line by line, kernels of all maps of a layer together.

use super::kernels;
use crate::network::{Array, ConvPort};
use std::sync::Arc;

/// The synapses of one port.
#[derive(Debug, Clone)]
pub(super) struct Port {
    pub synapses: Synapses,
    /// Most that one event of positive polarity can add to a potential (0 or more).
    pub most_up: i64,
    /// Most that it can take away (0 or more).
    pub most_down: i64,
}

#[derive(Debug, Clone)]
pub(super) enum Synapses {
    /// A line of weights for each presynaptic address.
    Matrix { nx_pre: u32, ny_pre: u32, weights: Arc<[i32]> },
    /// A kernel for each map.
    Kernel(Kernel),
}

/// Kernels of all maps for one port. For row `j`, the taps of each column residue modulo `x_stride` lie together, because
/// these are the taps that one event reaches: `taps[j][residue]` are `(tap, map)` weights, contiguous.
#[derive(Debug, Clone)]
pub(super) struct Kernel {
    pub nx: i64,
    pub ny: i64,
    pub dx: i64,
    pub dy: i64,
    pub x_stride: i64,
    pub y_stride: i64,
    pub x_expand: i64,
    pub y_expand: i64,
    pub weights: Arc<[i32]>,
    /// Where the taps of a residue start in a row, counted in taps.
    pub residue_start: Vec<usize>,
}

/// One contiguous run of weights on one contiguous run of potentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stretch {
    pub neuron: usize,
    pub weight: usize,
    pub len: usize,
}

impl Kernel {
    /// Lays the kernels of all maps of a population out as events read them.
    pub fn new(ports: &[&ConvPort]) -> Self {
        let first = ports[0];
        let (nx, ny, stride, maps) = (first.nx as usize, first.ny as usize, first.x_stride as usize, ports.len());
        let residues = stride.min(nx);
        let mut columns = Vec::with_capacity(nx);
        let mut residue_start = Vec::with_capacity(residues + 1);
        for residue in 0..residues {
            residue_start.push(columns.len());
            columns.extend((residue..nx).step_by(stride));
        }
        residue_start.push(nx);
        let weights = if maps == 1 && residues <= 1 {
            first.weights.clone()
        } else {
            let mut weights = Vec::with_capacity(nx * ny * maps);
            for j in 0..ny {
                for &i in &columns {
                    weights.extend(ports.iter().map(|port| port.weights[j * nx + i]));
                }
            }
            weights.into()
        };
        Self {
            nx: first.nx.into(),
            ny: first.ny.into(),
            dx: first.dx.into(),
            dy: first.dy.into(),
            x_stride: first.x_stride.into(),
            y_stride: first.y_stride.into(),
            x_expand: first.x_expand.into(),
            y_expand: first.y_expand.into(),
            weights,
            residue_start,
        }
    }

    /// Calls `touch` for each stretch of neurons that an event at `(x, y)` reaches, in raster order.
    #[inline(always)]
    pub fn reach(&self, array: Array, maps: usize, x: i32, y: i32, mut touch: impl FnMut(Stretch)) {
        let (columns, rows) = (i64::from(array.nx), i64::from(array.ny));
        // The first column whose neuron coordinate divides evenly; from there every stride-th does.
        let x0 = i64::from(x) * self.x_expand + self.dx;
        let y0 = i64::from(y) * self.y_expand + self.dy;
        let i0 = if self.x_stride == 1 { 0 } else { (-x0).rem_euclid(self.x_stride) };
        let j0 = if self.y_stride == 1 { 0 } else { (-y0).rem_euclid(self.y_stride) };
        if i0 >= self.nx || j0 >= self.ny {
            return;
        }
        // Neuron of the first tap, relative to the array; taps of one residue reach neighbouring neurons.
        let (mut left, mut top) = (x0 + i0, y0 + j0);
        if self.x_stride != 1 {
            left /= self.x_stride;
        }
        if self.y_stride != 1 {
            top /= self.y_stride;
        }
        left -= i64::from(array.x_min);
        top -= i64::from(array.y_min);
        let residue = i0 as usize;
        let (start, end) = (self.residue_start[residue], self.residue_start[residue + 1]);
        let taps = (end - start) as i64;
        let first_tap = (-left).max(0);
        let last_tap = taps.min(columns - left);
        if first_tap >= last_tap {
            return;
        }
        let len = (last_tap - first_tap) as usize * maps;
        let (mut j, mut row) = (j0, top);
        if row < 0 {
            j -= row * self.y_stride;
            row = 0;
        }
        if len == self.nx as usize * maps && len == columns as usize * maps && self.y_stride == 1 && j < self.ny {
            // Whole lines follow each other in both: one stretch (the plane of a bias).
            let lines = (self.ny - j).min(rows - row).max(0) as usize;
            if lines > 0 {
                let neuron = (row * columns) as usize * maps;
                touch(Stretch { neuron, weight: (j * self.nx) as usize * maps, len: len * lines });
            }
            return;
        }
        while j < self.ny && row < rows {
            touch(Stretch {
                neuron: (row * columns + left + first_tap) as usize * maps,
                weight: ((j * self.nx) as usize + start + first_tap as usize) * maps,
                len,
            });
            j += self.y_stride;
            row += 1;
        }
    }
}

impl Port {
    /// Most that one event of this sign can add to a potential, and take away.
    pub fn most(&self, sign: kernels::Sign) -> (i64, i64) {
        match sign {
            kernels::Sign::Plus => (self.most_up, self.most_down),
            kernels::Sign::Minus => (self.most_down, self.most_up),
        }
    }

    pub fn new(synapses: Synapses) -> Self {
        let weights = match &synapses {
            Synapses::Matrix { weights, .. } => weights,
            Synapses::Kernel(kernel) => &kernel.weights,
        };
        let (low, high) = kernels::extremes(weights);
        Self { synapses, most_up: i64::from(high).max(0), most_down: -i64::from(low).min(0) }
    }
}
