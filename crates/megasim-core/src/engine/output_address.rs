//! Under which address the spike of a neuron leaves, for all neurons of a module.

use crate::network::{Array, Output};

/// By position `y * nx + x` of a neuron, the address `(x, y)` of its spikes, or nothing where they do not leave.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct OutputAddresses {
    x: Vec<i32>,
    y: Vec<i32>,
    /// Whose spikes leave, where not all do.
    leaves: Option<Vec<bool>>,
}

impl OutputAddresses {
    pub fn new(array: Array, output: &Output) -> Self {
        let rows = (0..array.ny).map(|y| array.y_min + y as i32);
        let of_each: Vec<Option<(i32, i32)>> =
            rows.flat_map(|y| (0..array.nx).map(move |x| output.address(array.x_min + x as i32, y))).collect();
        let (x, y) = of_each.iter().map(|address| address.unwrap_or_default()).unzip();
        let leaves: Vec<bool> = of_each.iter().map(Option::is_some).collect();
        let all = leaves.iter().all(|&leaves| leaves);
        Self { x, y, leaves: (!all).then_some(leaves) }
    }

    /// Where the spike of one neuron goes, if it leaves.
    #[inline]
    pub fn of(&self, position: usize) -> Option<(i32, i32)> {
        let leaves = self.leaves.as_ref().is_none_or(|leaves| leaves[position]);
        leaves.then(|| (self.x[position], self.y[position]))
    }

    /// The columns x and y, where spikes of all neurons leave.
    #[inline]
    pub fn columns(&self) -> Option<(&[i32], &[i32])> {
        self.leaves.is_none().then_some((&self.x, &self.y))
    }

    /// How many neurons of some have spikes that leave.
    pub fn count(&self, positions: std::ops::Range<usize>) -> u64 {
        match &self.leaves {
            Some(leaves) => leaves[positions].iter().filter(|&&leaves| leaves).count() as u64,
            None => positions.len() as u64,
        }
    }

    /// How many neurons there are.
    pub fn len(&self) -> usize {
        self.x.len()
    }
}
