//! Where events come from: positions of neurons, or addresses of a source, as numbers.

use crate::engine::kernels::SignedSpike;

/// Marks the place of a negative event.
pub(super) const NEGATIVE: u32 = SignedSpike::NEGATIVE;

/// A place without meaning: nothing is reached.
pub(super) const NOWHERE: u32 = u32::MAX >> 1;

/// The place of a settle event, which reaches no neuron by a weight.
pub(super) const SETTLE: u32 = NOWHERE - 1;

/// Puts spikes of one step in raster order.
pub(super) fn sort_places(places: &mut [u32]) {
    places.sort_by_key(|place| place & !NEGATIVE);
}

/// The addresses of a source, numbered row by row.
#[derive(Debug)]
pub(super) struct SourcePlaces {
    pub node: usize,
    pub x_min: i64,
    pub y_min: i64,
    pub nx: i64,
    pub ny: i64,
    /// Settle events are taken; see [`LayerwisePlan`](super::plan::LayerwisePlan).
    pub settles: bool,
}

impl SourcePlaces {
    /// The number of an address; `NOWHERE` for those that reach nothing.
    #[inline(always)]
    pub fn of(&self, x: i32, y: i32) -> u32 {
        let (column, row) = (i64::from(x) - self.x_min, i64::from(y) - self.y_min);
        let inside = (0..self.nx).contains(&column) & (0..self.ny).contains(&row);
        if inside { (row * self.nx + column) as u32 } else { NOWHERE }
    }

    /// Whether the addresses of another source are the same ones.
    pub fn has_addresses_of(&self, other: &Self) -> bool {
        (self.x_min, self.y_min, self.nx, self.ny) == (other.x_min, other.y_min, other.nx, other.ny)
    }

    /// All of them, in order.
    pub fn addresses(&self) -> impl Iterator<Item = (i32, i32)> {
        (0..self.nx * self.ny)
            .map(|place| ((self.x_min + place % self.nx) as i32, (self.y_min + place / self.nx) as i32))
    }
}
