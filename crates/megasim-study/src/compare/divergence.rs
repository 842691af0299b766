//! Where two recordings of a layer part.

use megasim_core::network::{Tick, sort_spikes};
use serde::{Deserialize, Serialize};

/// One of two sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// The first one.
    Left,
    /// The second one.
    Right,
}

/// A spike of a layer: when, and of which cell.
pub type Part = (Tick, u32);

/// The first spike that only one side has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Divergence {
    /// When, in ticks; the start of its step where one side is clocked.
    pub tick: Tick,
    /// The cell.
    pub cell: u32,
    /// Who has it.
    pub side: Side,
}

/// The first spike, in order of time and then of cells, that only one side has; times of the left side are those of the
/// starts of steps of `step` ticks. Both lists are sorted.
pub(super) fn first(left: &[Part], right: &[Part], step: Tick) -> Option<Divergence> {
    // Steps keep the order of times, but not that of the cells inside a step.
    let stepped: Vec<Part>;
    let left = if step > 1 {
        let mut parts: Vec<Part> = left.iter().map(|&(tick, cell)| (tick.div_euclid(step) * step, cell)).collect();
        sort_spikes(&mut parts);
        stepped = parts;
        &stepped[..]
    } else {
        left
    };
    let same = left.iter().zip(right).take_while(|(a, b)| a == b).count();
    let part = |&(tick, cell): &Part, side| Divergence { tick, cell, side };
    match (left.get(same), right.get(same)) {
        (None, None) => None,
        (Some(a), Some(b)) if a < b => Some(part(a, Side::Left)),
        (Some(_), Some(b)) | (None, Some(b)) => Some(part(b, Side::Right)),
        (Some(a), None) => Some(part(a, Side::Left)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_spike_that_only_one_side_has() {
        let left = [(1, 4), (3, 2), (3, 7)];
        assert_eq!(first(&left, &left, 1), None);
        let found = first(&left, &[(1, 4), (3, 7)], 1);
        assert_eq!(found, Some(Divergence { tick: 3, cell: 2, side: Side::Left }));
        let found = first(&left, &[(1, 4), (2, 9), (3, 2), (3, 7)], 1);
        assert_eq!(found, Some(Divergence { tick: 2, cell: 9, side: Side::Right }));
    }

    #[test]
    fn times_inside_a_step_do_not_count() {
        assert_eq!(first(&[(4, 8), (5, 1)], &[(4, 1), (4, 8)], 2), None);
        let found = first(&[(4, 8), (6, 1)], &[(4, 1), (4, 8)], 2);
        assert_eq!(found, Some(Divergence { tick: 4, cell: 1, side: Side::Right }));
    }
}
