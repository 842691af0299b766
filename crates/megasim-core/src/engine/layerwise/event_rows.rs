//! The rows of neurons that an event reaches, for runs by rows.

use super::lanes::{Lanes, Mask};
use super::layers::{Lines, SingleInput, SingleReach};
use super::places::{NEGATIVE, NOWHERE};

/// What an event reaches: rows of neurons.
pub(super) struct EventRows<'l> {
    /// The first neuron, and its weight.
    pub n: usize,
    pub w: usize,
    pub columns: usize,
    pub rows: usize,
    /// From row to row, in neurons and in weights.
    pub steps: (usize, usize),
    pub weights: &'l [i32],
}

impl<'l> EventRows<'l> {
    /// None if it reaches nothing. They are inside the weights and `neurons`.
    #[inline(always)]
    pub fn of(input: &'l SingleInput, place: u32, neurons: usize) -> Option<Self> {
        let place = (place & !NEGATIVE) as usize;
        let all = match &input.reach {
            SingleReach::Lines(Lines { touches, weights, neuron_step }) => {
                let touch = touches.get(place)?;
                Self {
                    n: touch.cell as usize,
                    w: touch.row as usize,
                    columns: touch.columns.into(),
                    rows: touch.lines.into(),
                    steps: (*neuron_step, touch.row_step as usize),
                    weights,
                }
            }
            SingleReach::Taps(taps) => {
                let tap = taps.get(place).filter(|tap| tap.neuron != NOWHERE)?;
                let weights = std::slice::from_ref(&tap.weight);
                Self { n: tap.neuron as usize, w: 0, columns: 1, rows: 1, steps: (0, 0), weights }
            }
            SingleReach::Nothing => return None,
        };
        let Self { n, w, columns, rows, steps, weights } = all;
        if rows == 0 {
            return None;
        }
        assert!(n + (rows - 1) * steps.0 + columns <= neurons && w + (rows - 1) * steps.1 + columns <= weights.len());
        Some(all)
    }
}

/// What becomes of the vectors of the rows that events reach.
pub(super) trait Take<L> {
    /// The lanes that are reached, from neuron `n` on, come to these potentials. Says whether that was done.
    ///
    /// # Safety
    /// The instructions are there, and a vector of neurons from `n` on.
    unsafe fn take(&mut self, reached: u16, n: usize, v: L) -> bool;
}

impl EventRows<'_> {
    /// How many neurons it reaches.
    pub fn neurons(&self) -> u64 {
        (self.columns * self.rows) as u64
    }

    /// Adds the weights. Returns the row and the column from which on that was not done, if so.
    ///
    /// # Safety
    /// The instructions are there; `v` are the neurons of the layer, with room for a vector behind them.
    #[inline(always)]
    pub unsafe fn add<L: Lanes>(self, place: u32, v: *const i32, to: &mut impl Take<L>) -> Option<(usize, usize)> {
        let Self { mut n, mut w, columns, rows, steps, weights } = self;
        // SAFETY: the instructions are there; all rows are inside, and a vector has room behind the neurons.
        unsafe {
            let (positive, negative) = (L::Mask::all_if(place >> 31 == 0), L::Mask::all_if(place >> 31 == 1));
            if columns > L::WIDTH {
                for row in 0..rows {
                    for column in (0..columns).step_by(L::WIDTH) {
                        let reached = first_lanes((columns - column).min(L::WIDTH));
                        let weights = L::load_where(reached, weights.as_ptr().add(w + column));
                        let sum = L::load(v.add(n + column)).change(negative, positive, weights);
                        if !to.take(reached, n + column, sum) {
                            return Some((row, column));
                        }
                    }
                    (n, w) = (n + steps.0, w + steps.1);
                }
                return None;
            }
            let reached = first_lanes(columns);
            for row in 0..rows {
                let weights = L::load_where(reached, weights.as_ptr().add(w));
                let sum = L::load(v.add(n)).change(negative, positive, weights);
                if !to.take(reached, n, sum) {
                    return Some((row, 0));
                }
                (n, w) = (n + steps.0, w + steps.1);
            }
        }
        None
    }
}

/// A bit for each of the first lanes.
#[inline(always)]
fn first_lanes(n: usize) -> u16 {
    !(!0 << n) as u16
}
