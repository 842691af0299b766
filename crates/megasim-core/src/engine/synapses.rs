//! Weights as events read them: matrices line by line, kernels of all maps of a layer together.

use super::aligned::Aligned;
use super::extremes::extremes;
use super::geometry::{KernelShape, Span, geometry};
use super::sign::Sign;
use super::spans::{AddressTable, SpanTable, SpanTables};
use crate::network::{Array, ConvPort};
use std::sync::Arc;

/// An event outside the lines of a matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Outside {
    pub nx_pre: u32,
    pub ny_pre: u32,
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

impl Synapses {
    /// Weights, padded ones included.
    pub fn len(&self) -> usize {
        match self {
            Self::Matrix { weights: Weights::Wide(weights), .. } => weights.len(),
            Self::Matrix { weights: Weights::Narrow(matrix), .. } => matrix.weights.len(),
            Self::Kernel(kernel) => kernel.weights.len(),
        }
    }
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
    pub weights: Arc<[i16]>,
    /// Weights from line to line.
    pub stride: usize,
}

impl NarrowMatrix {
    /// Puts the first `n` weights of a line into `wide`.
    pub fn widen(&self, line: usize, n: usize, wide: &mut Vec<i32>) {
        wide.clear();
        wide.extend(self.line(line, n));
    }

    /// The first `n` weights of a line.
    pub fn line(&self, line: usize, n: usize) -> impl Iterator<Item = i32> {
        self.weights[line * self.stride..][..n].iter().map(|&weight| weight.into())
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
        Self::Narrow(NarrowMatrix { weights: padded.into(), stride })
    }
}

/// Kernels of all maps for one port.
#[derive(Debug, Clone)]
pub(super) struct Kernel {
    pub shape: KernelShape,
    pub weights: Arc<Aligned>,
    /// The one map that it reaches, of several; it has the weights of that map alone. Else it reaches all.
    lane: Option<Lane>,
    /// The taps as a table, where an event reaches at most one neuron.
    pub single: Option<SingleTaps>,
    /// What events reach as a table, elsewhere.
    pub spans: Option<Arc<SpanTable>>,
}

/// One map of a population.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lane {
    pub map: usize,
    /// Maps of the population.
    pub maps: usize,
}

impl Lane {
    /// A neuron of the map, by its position in the array.
    fn neuron(self, position: usize) -> usize {
        position * self.maps + self.map
    }
}

/// What the event of each address reaches, for kernels no larger than their stride: pooling without overlap.
#[derive(Debug, Clone)]
pub(super) struct SingleTaps(AddressTable<Tap>);

/// One neuron and its weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tap {
    pub neuron: u32,
    pub weight: i32,
}

const NOTHING: u32 = u32::MAX;

impl SingleTaps {
    /// A table over all addresses that reach a neuron, if the kernel is one of a kind that needs it.
    fn new(shape: &KernelShape, weights: &[i32], array: Array, lane: Lane) -> Option<Self> {
        if !shape.is_single(array) || array.is_empty() {
            return None;
        }
        let taps = AddressTable::new(shape, array, |x, y| {
            let mut tap = Tap { neuron: NOTHING, weight: 0 };
            shape.reach(array, 1, x, y, |span| {
                tap = Tap { neuron: lane.neuron(span.neuron) as u32, weight: weights[span.weight] };
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

impl Kernel {
    /// Lays the kernels of all maps of a population out as events read them. `tables`: those made before.
    pub fn new(ports: &[&ConvPort], array: Array, tables: &mut SpanTables) -> Self {
        let (first, maps) = (ports[0], ports.len());
        let shape = KernelShape::new(first);
        let weights = if maps == 1 && shape.residues() <= 1 {
            Aligned::from(&first.weights[..])
        } else {
            let (nx, ny) = (shape.nx as usize, shape.ny as usize);
            let mut weights = Vec::with_capacity(nx * ny * maps);
            for j in 0..ny {
                for i in shape.stored_columns() {
                    weights.extend(ports.iter().map(|port| port.weights[j * nx + i]));
                }
            }
            Aligned::from(&weights[..])
        };
        let alone = Lane { map: 0, maps: 1 };
        let single = if maps == 1 { SingleTaps::new(&shape, &weights, array, alone) } else { None };
        let spans = if single.is_some() {
            None
        } else {
            let made = || SpanTable::new(&shape, array, maps).map(Arc::new);
            tables.entry((geometry(first), array, maps)).or_insert_with(made).clone()
        };
        Self { shape, weights: Arc::new(weights), lane: None, single, spans }
    }

    /// The kernel of a port that reaches one map of several; it is [single](KernelShape::is_single).
    pub fn of_lane(port: &ConvPort, array: Array, lane: Lane) -> Self {
        let alone = Self::new(&[port], array, &mut SpanTables::default());
        let single = SingleTaps::new(&alone.shape, &alone.weights, array, lane);
        Self { lane: Some(lane), single, spans: None, ..alone }
    }

    /// How many neurons of the array of one map an event at `(x, y)` reaches.
    #[inline(always)]
    pub fn reached(&self, array: Array, x: i32, y: i32) -> u64 {
        match (&self.single, &self.spans) {
            (Some(single), _) => single.tap(x, y).is_some().into(),
            (None, Some(table)) => table.of(x, y).operations(),
            (None, None) => self.reached_without_table(array, x, y),
        }
    }

    #[inline(never)]
    fn reached_without_table(&self, array: Array, x: i32, y: i32) -> u64 {
        let mut neurons = 0;
        self.each_span(array, 1, x, y, |span| neurons += span.len as u64);
        neurons
    }

    /// Calls `touch` for each stretch of neurons that an event at `(x, y)` reaches, in raster order: by the table, or
    /// as [`KernelShape::reach`] works it out.
    #[inline(always)]
    pub fn each_span(&self, array: Array, maps: usize, x: i32, y: i32, mut touch: impl FnMut(Span)) {
        match &self.spans {
            Some(table) => {
                let reach = table.of(x, y);
                (0..reach.rows as usize).for_each(|row| touch(table.span(reach, row)));
            }
            None => match self.lane {
                None => self.shape.reach(array, maps, x, y, touch),
                Some(lane) => self.shape.reach(array, 1, x, y, |Span { neuron, weight, len }| {
                    (0..len).for_each(|k| touch(Span { neuron: lane.neuron(neuron + k), weight: weight + k, len: 1 }));
                }),
            },
        }
    }
}

impl Port {
    /// How many neurons an event at `(x, y)` reaches, of a population of one map.
    ///
    /// # Errors
    /// If it has no line in the matrix.
    #[inline(always)]
    pub fn reached(&self, array: Array, x: i32, y: i32) -> Result<u64, Outside> {
        match &self.synapses {
            Synapses::Kernel(kernel) => Ok(kernel.reached(array, x, y)),
            &Synapses::Matrix { nx_pre, ny_pre, .. } => {
                let is_inside =
                    u32::try_from(x).is_ok_and(|x| x < nx_pre) && u32::try_from(y).is_ok_and(|y| y < ny_pre);
                if is_inside { Ok(array.nx.into()) } else { Err(Outside { nx_pre, ny_pre }) }
            }
        }
    }

    /// Whether events of the port reach one map of several.
    pub fn reaches_one_map(&self) -> bool {
        matches!(&self.synapses, Synapses::Kernel(kernel) if kernel.lane.is_some())
    }

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
