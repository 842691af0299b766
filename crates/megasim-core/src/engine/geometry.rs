//! Which neurons the events of a kernel reach.

use crate::network::{Array, ConvPort};

/// Size, position, strides and expansions of a kernel, by columns and rows.
pub(super) type Geometry = [i64; 8];

/// What of a port decides which neurons its events reach.
pub(super) fn geometry(port: &ConvPort) -> Geometry {
    [
        port.nx.into(),
        port.ny.into(),
        port.dx.into(),
        port.dy.into(),
        port.x_stride.into(),
        port.y_stride.into(),
        port.x_expand.into(),
        port.y_expand.into(),
    ]
}

/// One contiguous run of weights on one contiguous run of potentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub neuron: usize,
    pub weight: usize,
    pub len: usize,
}

/// Where the taps of a kernel reach, whatever their weights. For row `j`, the taps of each column residue modulo
/// `x_stride` are adjacent, because these are the taps that one event reaches: `taps[j][residue]` are `(tap, map)`
/// weights, contiguous.
#[derive(Debug, Clone)]
pub(super) struct KernelShape {
    pub nx: i64,
    pub ny: i64,
    pub dx: i64,
    pub dy: i64,
    pub x_stride: i64,
    pub y_stride: i64,
    pub x_expand: i64,
    pub y_expand: i64,
    /// Where the taps of a residue start in a row, counted in taps.
    pub residue_start: Vec<usize>,
}

impl KernelShape {
    /// That of the kernel of a port.
    pub fn new(port: &ConvPort) -> Self {
        // A kernel of no rows may have any number of columns.
        let (nx, ny) = if port.weights.is_empty() { (0, 0) } else { (port.nx.into(), port.ny.into()) };
        let mut shape = Self {
            nx,
            ny,
            dx: port.dx.into(),
            dy: port.dy.into(),
            x_stride: port.x_stride.into(),
            y_stride: port.y_stride.into(),
            x_expand: port.x_expand.into(),
            y_expand: port.y_expand.into(),
            residue_start: vec![0],
        };
        for residue in 0..shape.residues() {
            let taps = shape.columns_of(residue).count();
            shape.residue_start.push(shape.residue_start[residue] + taps);
        }
        shape
    }

    /// What decides which neurons events reach.
    pub fn geometry(&self) -> Geometry {
        let Self { nx, ny, dx, dy, x_stride, y_stride, x_expand, y_expand, .. } = *self;
        [nx, ny, dx, dy, x_stride, y_stride, x_expand, y_expand]
    }

    /// Whether it has no taps.
    pub fn is_empty(&self) -> bool {
        self.nx == 0 || self.ny == 0
    }

    /// Whether an event reaches at most one neuron: the kernel is no larger than its stride, as in pooling without
    /// overlap, or there is just one neuron.
    pub fn is_single(&self, array: Array) -> bool {
        array.len() == 1 || (self.nx <= self.x_stride && self.ny <= self.y_stride)
    }

    /// Different residues of columns.
    pub fn residues(&self) -> usize {
        self.x_stride.min(self.nx) as usize
    }

    /// The columns of one residue.
    fn columns_of(&self, residue: usize) -> impl Iterator<Item = usize> + use<> {
        (residue..self.nx as usize).step_by(self.x_stride as usize)
    }

    /// The columns in the order in which their weights are stored.
    pub fn stored_columns(&self) -> impl Iterator<Item = usize> {
        (0..self.residues()).flat_map(|residue| self.columns_of(residue))
    }

    /// The first column of addresses whose events reach a neuron of the array, and how many columns there are to the
    /// last one: `x * expand + d + i = stride * X` for some tap `i` and a column `X` of the array.
    pub fn columns(&self, array: Array) -> Option<(i32, usize)> {
        along((array.x_min, array.nx), self.x_stride, self.dx, self.nx, self.x_expand)
    }

    /// As [`Kernel::columns`].
    pub fn rows(&self, array: Array) -> Option<(i32, usize)> {
        along((array.y_min, array.ny), self.y_stride, self.dy, self.ny, self.y_expand)
    }

    /// Calls `touch` for each stretch of neurons that an event at `(x, y)` reaches, in raster order.
    #[inline(always)]
    pub fn reach(&self, array: Array, maps: usize, x: i32, y: i32, mut touch: impl FnMut(Span)) {
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
                touch(Span { neuron, weight: (j * self.nx) as usize * maps, len: len * lines });
            }
            return;
        }
        while j < self.ny && row < rows {
            touch(Span {
                neuron: (row * columns + left + first_tap) as usize * maps,
                weight: ((j * self.nx) as usize + start + first_tap as usize) * maps,
                len,
            });
            j += self.y_stride;
            row += 1;
        }
    }
}

fn along((min, n): (i32, u32), stride: i64, d: i64, taps: i64, expand: i64) -> Option<(i32, usize)> {
    let (first, last) = (i64::from(min) * stride, (i64::from(min) + i64::from(n) - 1) * stride);
    let from = (first - d - taps + 1).div_euclid(expand);
    let to = (last - d).div_euclid(expand);
    Some((i32::try_from(from).ok()?, usize::try_from(to - from + 1).ok()?))
}
