//! Weights as events read them: matrices line by line, kernels of all maps of a layer together.

use super::aligned::Aligned;
use super::kernels::extremes;
use super::spans::{AddressTable, SpanTable, SpanTables};
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
    /// `v + w` or `v - w`, modulo 2^32.
    #[inline(always)]
    pub(super) fn add(self, v: i32, w: i32) -> i32 {
        match self {
            Self::Plus => v.wrapping_add(w),
            Self::Minus => v.wrapping_sub(w),
        }
    }

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
    /// Most that events of positive polarity can add to a potential, one from each address (0 or more).
    pub sum_up: i64,
    /// Most that they can take away (0 or more).
    pub sum_down: i64,
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

impl NarrowMatrix {
    /// Puts the first `n` weights of a line into `wide`.
    pub fn widen(&self, line: usize, n: usize, wide: &mut Vec<i32>) {
        wide.clear();
        wide.extend(self.weights[line * self.stride..][..n].iter().map(|&weight| i32::from(weight)));
    }
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
    pub weights: Arc<Aligned>,
    /// Where the taps of a residue start in a row, counted in taps.
    pub residue_start: Vec<usize>,
    /// These taps as a table, where an event reaches at most one position.
    pub single: Option<SingleTaps>,
    /// What events reach as a table, elsewhere.
    pub spans: Option<Arc<SpanTable>>,
}

/// What the event of each address reaches, for kernels no larger than their stride: pooling without overlap.
#[derive(Debug, Clone)]
pub(super) struct SingleTaps(AddressTable<Tap>);

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
        if maps != 1 || !small || array.is_empty() {
            return None;
        }
        let taps = AddressTable::new(kernel, array, |x, y| {
            let mut tap = Tap { neuron: NOTHING, weight: 0 };
            kernel.reach(array, 1, x, y, |span| {
                tap = Tap { neuron: span.neuron as u32, weight: kernel.weights[span.weight] };
            });
            tap
        });
        taps.map(Self)
    }

    /// What an event at `(x, y)` reaches.
    #[inline]
    pub fn tap(&self, x: i32, y: i32) -> Option<Tap> {
        self.0.get(x, y).copied().filter(|tap| tap.neuron != NOTHING)
    }
}

/// Size, position, strides and expansions of a kernel, by columns and rows.
pub(super) type Geometry = [i64; 8];

impl ConvPort {
    /// What of the port decides which neurons its events reach.
    pub(super) fn geometry(&self) -> Geometry {
        [
            self.nx.into(),
            self.ny.into(),
            self.dx.into(),
            self.dy.into(),
            self.x_stride.into(),
            self.y_stride.into(),
            self.x_expand.into(),
            self.y_expand.into(),
        ]
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
    /// Lays the kernels of all maps of a population out as events read them. `tables`: those made before.
    pub fn new(ports: &[&ConvPort], array: Array, tables: &mut SpanTables) -> Self {
        let first = ports[0];
        // A kernel of no rows may have any number of columns.
        let (nx, ny) = if first.weights.is_empty() { (0, 0) } else { (first.nx as usize, first.ny as usize) };
        let (stride, maps) = (first.x_stride as usize, ports.len());
        let residues = stride.min(nx);
        let mut columns = Vec::with_capacity(nx);
        let mut residue_start = Vec::with_capacity(residues + 1);
        for residue in 0..residues {
            residue_start.push(columns.len());
            columns.extend((residue..nx).step_by(stride));
        }
        residue_start.push(nx);
        let weights = if maps == 1 && residues <= 1 {
            Aligned::from(&first.weights[..])
        } else {
            let mut weights = Vec::with_capacity(nx * ny * maps);
            for j in 0..ny {
                for &i in &columns {
                    weights.extend(ports.iter().map(|port| port.weights[j * nx + i]));
                }
            }
            Aligned::from(&weights[..])
        };
        let mut kernel = Self {
            nx: nx as i64,
            ny: ny as i64,
            dx: first.dx.into(),
            dy: first.dy.into(),
            x_stride: first.x_stride.into(),
            y_stride: first.y_stride.into(),
            x_expand: first.x_expand.into(),
            y_expand: first.y_expand.into(),
            weights: Arc::new(weights),
            residue_start,
            single: None,
            spans: None,
        };
        kernel.single = SingleTaps::new(&kernel, array, maps);
        if kernel.single.is_none() {
            let made = || SpanTable::new(&kernel, array, maps).map(Arc::new);
            kernel.spans = tables.entry((first.geometry(), array, maps)).or_insert_with(made).clone();
        }
        kernel
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

    /// Calls `touch` for each stretch of neurons that an event at `(x, y)` reaches, in raster order: by the table, or
    /// as [`Kernel::reach`] works it out.
    #[inline(always)]
    pub fn each_span(&self, array: Array, maps: usize, x: i32, y: i32, mut touch: impl FnMut(Span)) {
        match &self.spans {
            Some(table) => {
                let reach = table.of(x, y);
                (0..reach.rows as usize).for_each(|row| touch(table.span(reach, row)));
            }
            None => self.reach(array, maps, x, y, touch),
        }
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

impl Port {
    /// Most that one event of any sign can change a potential by.
    pub fn largest(&self) -> i64 {
        self.most_up.max(self.most_down)
    }

    /// Most that one event of this sign can add to a potential, and take away.
    pub fn most(&self, sign: Sign) -> (i64, i64) {
        match sign {
            Sign::Plus => (self.most_up, self.most_down),
            Sign::Minus => (self.most_down, self.most_up),
        }
    }

    /// All events of this sign together, one from each address.
    pub fn most_of_all(&self, sign: Sign) -> (i64, i64) {
        match sign {
            Sign::Plus => (self.sum_up, self.sum_down),
            Sign::Minus => (self.sum_down, self.sum_up),
        }
    }

    /// The port of a population; `width`: maps of a kernel, or neurons of a matrix.
    pub fn new(synapses: Synapses, width: usize) -> Self {
        let (sum_up, sum_down) = match &synapses {
            Synapses::Matrix { weights: Weights::Wide(weights), .. } => {
                largest_sums(weights.chunks_exact(width.max(1)), width)
            }
            Synapses::Matrix { weights: Weights::Narrow(matrix), .. } => {
                largest_sums(matrix.weights.chunks_exact(matrix.stride.max(1)), width)
            }
            Synapses::Kernel(kernel) => largest_sums(kernel.weights.chunks_exact(width.max(1)), width),
        };
        let (low, high) = match &synapses {
            Synapses::Matrix { weights: Weights::Wide(weights), .. } => extremes(weights),
            Synapses::Matrix { weights: Weights::Narrow(matrix), .. } => {
                let (low, high) = matrix.weights.iter().fold((0, 0), |(low, high), &w| (w.min(low), w.max(high)));
                (low.into(), high.into())
            }
            Synapses::Kernel(kernel) => extremes(&kernel.weights),
        };
        Self { synapses, most_up: i64::from(high).max(0), most_down: -i64::from(low).min(0), sum_up, sum_down }
    }
}

/// The largest sum of positive weights of a column, and of negative ones, as magnitudes.
fn largest_sums<'w, W: Copy + Into<i64> + 'w>(lines: impl Iterator<Item = &'w [W]>, width: usize) -> (i64, i64) {
    let (mut up, mut down) = (vec![0_i64; width], vec![0_i64; width]);
    for line in lines {
        for ((up, down), &weight) in up.iter_mut().zip(&mut down).zip(line) {
            let weight: i64 = weight.into();
            *up += weight.max(0);
            *down -= weight.min(0);
        }
    }
    (up.into_iter().max().unwrap_or(0), down.into_iter().max().unwrap_or(0))
}
