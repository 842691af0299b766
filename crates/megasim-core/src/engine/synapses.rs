//! Weights as events read them: matrices line by line, kernels of all maps of a layer together.

use crate::network::{Array, ConvPort};
use std::sync::Arc;

/// An event outside the lines of a matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Outside {
    pub nx_pre: u32,
    pub ny_pre: u32,
}

/// Whether weights are added or subtracted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// Added.
    Plus,
    /// Subtracted.
    Minus,
}

impl Sign {
    /// +1 or -1.
    pub fn factor(self) -> i64 {
        match self {
            Self::Plus => 1,
            Self::Minus => -1,
        }
    }
}

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
    Matrix { nx_pre: u32, ny_pre: u32, weights: Weights },
    /// A kernel for each map.
    Kernel(Kernel),
}

/// The weights of a matrix, as wide as they need to be.
#[derive(Debug, Clone)]
pub(super) enum Weights {
    /// As the network has them: lines of as many weights as there are neurons.
    Wide(Arc<[i32]>),
    /// 16 bits, exactly.
    Narrow(NarrowMatrix),
}

/// Lines of 16-bit weights, padded with zeros to whole vectors of 16.
#[derive(Debug, Clone)]
pub(super) struct NarrowMatrix {
    pub weights: Vec<i16>,
    /// Weights from line to line.
    pub stride: usize,
}

/// Matrices up to this size fit in the first-level cache; above the upper limit the copy would take memory that a
/// network of that size needs.
const NARROW_SIZES: std::ops::RangeInclusive<usize> = 1 << 12..=1 << 24;

impl Weights {
    /// Takes the weights of `n` neurons, narrow if wanted and if every one fits.
    pub fn new(weights: &Arc<[i32]>, n: usize, narrow: bool) -> Self {
        let (low, high) = extremes(weights);
        let fits = i16::try_from(low).is_ok() && i16::try_from(high).is_ok();
        if !narrow || !fits || n == 0 || !NARROW_SIZES.contains(&weights.len()) {
            return Self::Wide(weights.clone());
        }
        let stride = n.next_multiple_of(16);
        let mut padded = vec![0; weights.len() / n * stride];
        for (line, wide) in padded.chunks_exact_mut(stride).zip(weights.chunks_exact(n)) {
            // They fit: see above.
            line.iter_mut().zip(wide).for_each(|(narrow, &wide)| *narrow = wide as i16);
        }
        Self::Narrow(NarrowMatrix { weights: padded, stride })
    }
}

/// Kernels of all maps for one port. For row `j`, the taps of each column residue modulo `x_stride` are adjacent,
/// because these are the taps that one event reaches: `taps[j][residue]` are `(tap, map)` weights, contiguous.
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
    /// These taps as a table, where an event reaches at most one position.
    pub single: Option<SingleTaps>,
}

/// What the event of each address reaches, for kernels no larger than their stride: pooling without overlap.
#[derive(Debug, Clone)]
pub(super) struct SingleTaps {
    x_min: i32,
    y_min: i32,
    nx: usize,
    /// By address, row by row; `NOTHING` where an event reaches no neuron.
    taps: Vec<Tap>,
}

/// One neuron and its weight.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tap {
    pub neuron: u32,
    pub weight: i32,
}

const NOTHING: u32 = u32::MAX;

impl SingleTaps {
    /// A table over all addresses that reach a neuron, if the kernel is one of a kind that needs it.
    fn new(kernel: &Kernel, array: Array, maps: usize) -> Option<Self> {
        let small = kernel.nx <= kernel.x_stride && kernel.ny <= kernel.y_stride;
        if maps != 1 || !small || array.is_empty() || kernel.weights.is_empty() {
            return None;
        }
        // x * expand + d + i = stride * X for some i in 0..n and X in the array.
        let along = |min: i32, n: u32, stride: i64, d: i64, k: i64, expand: i64| {
            let (first, last) = (i64::from(min) * stride, (i64::from(min) + i64::from(n) - 1) * stride);
            let from = (first - d - k + 1).div_euclid(expand);
            let to = (last - d).div_euclid(expand);
            Some((i32::try_from(from).ok()?, usize::try_from(to - from + 1).ok()?))
        };
        let (x_min, nx) = along(array.x_min, array.nx, kernel.x_stride, kernel.dx, kernel.nx, kernel.x_expand)?;
        let (y_min, ny) = along(array.y_min, array.ny, kernel.y_stride, kernel.dy, kernel.ny, kernel.y_expand)?;
        if nx.checked_mul(ny)? > 16 * array.len() + 4096 {
            return None;
        }
        let mut taps = vec![Tap { neuron: NOTHING, weight: 0 }; nx * ny];
        for (k, tap) in taps.iter_mut().enumerate() {
            let x = x_min.checked_add((k % nx) as i32)?;
            let y = y_min.checked_add((k / nx) as i32)?;
            kernel.reach(array, 1, x, y, |span| {
                *tap = Tap { neuron: span.neuron as u32, weight: kernel.weights[span.weight] };
            });
        }
        Some(Self { x_min, y_min, nx, taps })
    }

    /// What an event at `(x, y)` reaches.
    #[inline]
    pub fn tap(&self, x: i32, y: i32) -> Option<Tap> {
        let column = (i64::from(x) - i64::from(self.x_min)) as u64;
        let row = (i64::from(y) - i64::from(self.y_min)) as u64;
        if column >= self.nx as u64 || row > u64::from(u32::MAX) {
            return None;
        }
        let tap = *self.taps.get(row as usize * self.nx + column as usize)?;
        (tap.neuron != NOTHING).then_some(tap)
    }
}

/// One contiguous run of weights on one contiguous run of potentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub neuron: usize,
    pub weight: usize,
    pub len: usize,
}

impl Kernel {
    /// Lays the kernels of all maps of a population out as events read them.
    pub fn new(ports: &[&ConvPort], array: Array) -> Self {
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
        let mut kernel = Self {
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
            single: None,
        };
        kernel.single = SingleTaps::new(&kernel, array, maps);
        kernel
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

impl Port {
    /// Most that one event of this sign can add to a potential, and take away.
    pub fn most(&self, sign: Sign) -> (i64, i64) {
        match sign {
            Sign::Plus => (self.most_up, self.most_down),
            Sign::Minus => (self.most_down, self.most_up),
        }
    }

    pub fn new(synapses: Synapses) -> Self {
        let (low, high) = match &synapses {
            Synapses::Matrix { weights: Weights::Wide(weights), .. } => extremes(weights),
            Synapses::Matrix { weights: Weights::Narrow(matrix), .. } => {
                let (low, high) = matrix.weights.iter().fold((0, 0), |(low, high), &w| (w.min(low), w.max(high)));
                (low.into(), high.into())
            }
            Synapses::Kernel(kernel) => extremes(&kernel.weights),
        };
        Self { synapses, most_up: i64::from(high).max(0), most_down: -i64::from(low).min(0) }
    }
}

/// The least and the largest value; `(0, 0)` of none.
pub(super) fn extremes(values: &[i32]) -> (i32, i32) {
    if values.is_empty() {
        return (0, 0);
    }
    values.iter().fold((i32::MAX, i32::MIN), |(low, high), &value| (low.min(value), high.max(value)))
}
