//! What the events of a kernel reach, looked up instead of worked out: a table over all addresses.

use super::synapses::{Geometry, Kernel, Span};
use crate::network::Array;
use std::collections::HashMap;
use std::sync::Arc;

/// The tables of a network: by geometry, array and number of maps.
pub(super) type SpanTables = HashMap<(Geometry, Array, usize), Option<Arc<SpanTable>>>;

/// For each address the spans of neurons that its events reach. One for all kernels of a population that have the
/// same geometry.
#[derive(Debug, Clone)]
pub(super) struct SpanTable {
    x_min: i32,
    y_min: i32,
    nx: usize,
    /// By address, row by row.
    reaches: Vec<Reach>,
    /// From a span to the next one of an event, in neurons and in weights.
    neuron_step: usize,
    weight_step: usize,
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
    /// The table of a kernel, unless its addresses are many more than its neurons.
    pub fn new(kernel: &Kernel, array: Array, maps: usize) -> Option<Self> {
        if kernel.weights.is_empty() {
            return None;
        }
        let (x_min, nx) = kernel.columns(array)?;
        let (y_min, ny) = kernel.rows(array)?;
        if nx.checked_mul(ny)? > 16 * array.len() + 4096 {
            return None;
        }
        let mut table = Self {
            x_min,
            y_min,
            nx,
            reaches: vec![Reach::default(); nx * ny],
            neuron_step: array.nx as usize * maps,
            weight_step: kernel.nx as usize * maps * kernel.y_stride as usize,
            neurons: array.len() * maps,
            weights: kernel.weights.len(),
        };
        let mut is_regular = true;
        for (k, reach) in table.reaches.iter_mut().enumerate() {
            let x = x_min.checked_add((k % nx) as i32)?;
            let y = y_min.checked_add((k / nx) as i32)?;
            kernel.reach(array, maps, x, y, |Span { neuron, weight, len }| {
                let row = reach.rows as usize;
                if row == 0 {
                    *reach = Reach { neuron: neuron as u32, weight: weight as u32, len: len as u32, rows: 0 };
                }
                reach.rows += 1;
                is_regular &= neuron == reach.neuron as usize + row * table.neuron_step
                    && weight == reach.weight as usize + row * table.weight_step
                    && len == reach.len as usize
                    && neuron + len <= table.neurons
                    && weight + len <= table.weights;
            });
        }
        let fits = u32::try_from(table.neurons).is_ok() && u32::try_from(table.weights).is_ok();
        (is_regular && fits).then_some(table)
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
        let column = (i64::from(x) - i64::from(self.x_min)) as u64;
        let row = (i64::from(y) - i64::from(self.y_min)) as u64;
        if column >= self.nx as u64 || row > u64::from(u32::MAX) {
            return Reach::default();
        }
        self.reaches.get(row as usize * self.nx + column as usize).copied().unwrap_or_default()
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

    proptest! {
        /// The table says of every address, and of those around them, what the kernel says.
        #[test]
        fn tables_say_what_kernels_reach((port, array) in ports(), maps in 1..4_usize) {
            let kernel = Kernel::new(&vec![&port; maps], array, &mut SpanTables::default());
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
