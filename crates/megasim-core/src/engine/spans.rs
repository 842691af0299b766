//! What the events of a kernel reach, looked up instead of worked out: a table over all addresses.

use super::geometry::{Geometry, KernelShape, Span};
use crate::network::Array;
use std::cell::Cell;
use std::collections::HashMap;
use std::sync::Arc;

/// The tables of a network: by geometry, array and number of maps.
pub(super) type SpanTables = HashMap<(Geometry, Array, usize), Option<Arc<SpanTable>>>;

/// Something for each address whose events reach a neuron.
#[derive(Debug, Clone)]
pub(super) struct AddressTable<T> {
    x_min: i32,
    y_min: i32,
    nx: usize,
    /// By address, row by row.
    entries: Vec<T>,
}

impl<T> AddressTable<T> {
    /// For the addresses of a kernel, unless it has no weights or they are many more than its weights and neurons.
    pub fn new(kernel: &KernelShape, array: Array, entry: impl Fn(i32, i32) -> T) -> Option<Self> {
        if kernel.is_empty() {
            return None;
        }
        let (x_min, nx) = kernel.columns(array)?;
        let (y_min, ny) = kernel.rows(array)?;
        let weights = (kernel.nx * kernel.ny) as usize;
        if nx.checked_mul(ny)? > 16 * array.len() + weights + 4096 {
            return None;
        }
        let address = |k: usize| Some((x_min.checked_add((k % nx) as i32)?, y_min.checked_add((k / nx) as i32)?));
        let entries = (0..nx * ny).map(|k| address(k).map(|(x, y)| entry(x, y))).collect::<Option<_>>()?;
        Some(Self { x_min, y_min, nx, entries })
    }

    /// That of an address; none outside the table.
    #[inline(always)]
    pub fn get(&self, x: i32, y: i32) -> Option<&T> {
        let column = (i64::from(x) - i64::from(self.x_min)) as u64;
        let row = (i64::from(y) - i64::from(self.y_min)) as u64;
        if column >= self.nx as u64 || row > u64::from(u32::MAX) {
            return None;
        }
        self.entries.get(row as usize * self.nx + column as usize)
    }
}

/// For each address the spans of neurons that its events reach. One for all kernels of a population that have the
/// same geometry.
#[derive(Debug, Clone)]
pub(super) struct SpanTable {
    reaches: AddressTable<Reach>,
    /// From a span to the next one of an event, in neurons and in weights.
    pub neuron_step: usize,
    pub weight_step: usize,
    /// Every span ends within this many neurons and weights.
    pub neurons: usize,
    pub weights: usize,
}

/// The spans of one address: `rows` of them, all of the same length.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Reach {
    neuron: u32,
    weight: u32,
    len: u32,
    pub rows: u32,
}

impl Reach {
    /// Neurons that an event reaches.
    #[inline(always)]
    pub fn operations(self) -> u64 {
        u64::from(self.len) * u64::from(self.rows)
    }
}

impl SpanTable {
    /// The table of a kernel, if there can be one.
    pub fn new(kernel: &KernelShape, array: Array, maps: usize) -> Option<Self> {
        let (neurons, weights) = (array.len() * maps, (kernel.nx * kernel.ny) as usize * maps);
        let neuron_step = array.nx as usize * maps;
        let weight_step = kernel.nx as usize * maps * kernel.y_stride as usize;
        u32::try_from(neurons).and(u32::try_from(weights)).ok()?;
        let is_regular = Cell::new(true);
        let reaches = AddressTable::new(kernel, array, |x, y| {
            let mut reach = Reach::default();
            kernel.reach(array, maps, x, y, |Span { neuron, weight, len }| {
                let row = reach.rows as usize;
                if row == 0 {
                    reach = Reach { neuron: neuron as u32, weight: weight as u32, len: len as u32, rows: 0 };
                }
                reach.rows += 1;
                let follows = neuron == reach.neuron as usize + row * neuron_step
                    && weight == reach.weight as usize + row * weight_step
                    && len == reach.len as usize
                    && neuron + len <= neurons
                    && weight + len <= weights;
                is_regular.set(is_regular.get() && follows);
            });
            reach
        })?;
        is_regular.get().then_some(Self { reaches, neuron_step, weight_step, neurons, weights })
    }

    /// One of the spans of an address.
    #[inline(always)]
    pub fn span(&self, reach: Reach, row: usize) -> Span {
        Span {
            neuron: reach.neuron as usize + row * self.neuron_step,
            weight: reach.weight as usize + row * self.weight_step,
            len: reach.len as usize,
        }
    }

    /// What an event at `(x, y)` reaches; no rows where that is nothing.
    #[inline(always)]
    pub fn of(&self, x: i32, y: i32) -> Reach {
        self.reaches.get(x, y).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::ConvPort;
    use proptest::prelude::*;

    fn ports() -> impl Strategy<Value = (ConvPort, Array)> {
        let sizes = (1..5_u32, 1..5_u32, 1..4_i32, 1..4_i32, 1..3_i32, 1..3_i32);
        let places = (-4..4_i32, -4..4_i32, 1..7_u32, 1..7_u32, -3..3_i32, -3..3_i32);
        (sizes, places).prop_map(|((nx, ny, x_stride, y_stride, x_expand, y_expand), (dx, dy, columns, rows, x, y))| {
            let weights = vec![1; (nx * ny) as usize].into();
            let port = ConvPort { nx, ny, dx, dy, x_stride, y_stride, x_expand, y_expand, weights };
            (port, Array { nx: columns, ny: rows, x_min: x, y_min: y })
        })
    }

    #[test]
    fn a_kernel_over_a_whole_map_has_a_table_and_one_that_is_spread_far_has_none() {
        let array = Array { nx: 2, ny: 2, x_min: 0, y_min: 0 };
        let port = |n: u32, stride: i32| ConvPort {
            nx: n,
            ny: n,
            dx: 0,
            dy: 0,
            x_stride: stride,
            y_stride: stride,
            x_expand: 1,
            y_expand: 1,
            weights: vec![1; (n * n) as usize].into(),
        };
        let table = |port| SpanTable::new(&KernelShape::new(&port), array, 1).is_some();
        assert!(table(port(128, 1)));
        assert!(!table(port(2, 1 << 10)));
    }

    proptest! {
        /// The table says of every address, and of those around them, what the kernel says.
        #[test]
        fn tables_say_what_kernels_reach((port, array) in ports(), maps in 1..4_usize) {
            let kernel = KernelShape::new(&port);
            let table = SpanTable::new(&kernel, array, maps).unwrap();
            for (x, y) in (-30..30).flat_map(|x| (-30..30).map(move |y| (x, y))) {
                let mut expected = Vec::new();
                kernel.reach(array, maps, x, y, |span| expected.push(span));
                let reach = table.of(x, y);
                let found: Vec<_> = (0..reach.rows as usize).map(|row| table.span(reach, row)).collect();
                prop_assert_eq!(found, expected, "({}, {})", x, y);
            }
        }
    }
}
