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

/// The addresses of a source, numbered row by row. The last column and row can be addressed.
#[derive(Debug)]
pub(super) struct SourcePlaces {
    pub node: usize,
    pub x_min: i32,
    pub y_min: i32,
    pub nx: u32,
    pub ny: u32,
    /// Settle events are taken; see [`LayerwisePlan`](super::plan::LayerwisePlan).
    pub settles: bool,
}

impl SourcePlaces {
    /// The number of an address; `NOWHERE` for those that reach nothing.
    #[inline(always)]
    pub fn of(&self, x: i32, y: i32) -> u32 {
        // What is left of the first column wraps to a number beyond the last one, as that has 31 bits and a sign. In 32
        // bits and without branches compilers make vectors of it.
        let (column, row) = (x.wrapping_sub(self.x_min) as u32, y.wrapping_sub(self.y_min) as u32);
        let inside = (column < self.nx) & (row < self.ny);
        if inside { row.wrapping_mul(self.nx).wrapping_add(column) } else { NOWHERE }
    }

    /// Whether the addresses of another source are the same ones.
    pub fn has_addresses_of(&self, other: &Self) -> bool {
        (self.x_min, self.y_min, self.nx, self.ny) == (other.x_min, other.y_min, other.nx, other.ny)
    }

    /// All of them, in order.
    pub fn addresses(&self) -> impl Iterator<Item = (i32, i32)> {
        let along = |first: i32, n: u32| (0..n).map(move |k| first.wrapping_add_unsigned(k));
        let Self { x_min, nx, .. } = *self;
        along(self.y_min, self.ny).flat_map(move |y| along(x_min, nx).map(move |x| (x, y)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The first and the last one in a dimension.
    fn ends() -> impl Strategy<Value = (i32, i32)> {
        let first = prop_oneof![-3..4, Just(i32::MIN), i32::MAX - 3..=i32::MAX];
        first.prop_flat_map(|first: i32| (Just(first), first..=first.saturating_add(4)))
    }

    proptest! {
        #[test]
        fn addresses_are_numbered_and_no_other_has_a_number(
            (x, y) in (ends(), ends()),
            other in (prop_oneof![-9..9, any::<i32>()], prop_oneof![-9..9, any::<i32>()]),
        ) {
            let n = |(first, last): (i32, i32)| last.abs_diff(first) + 1;
            let source = SourcePlaces { node: 0, x_min: x.0, y_min: y.0, nx: n(x), ny: n(y), settles: false };
            let all: Vec<_> = source.addresses().collect();
            let expected: Vec<_> = (y.0..=y.1).flat_map(|y| (x.0..=x.1).map(move |x| (x, y))).collect();
            prop_assert_eq!(&all, &expected);
            for address in [(i32::MIN, i32::MIN), (i32::MAX, i32::MAX), other].iter().chain(&all) {
                let expected = all.iter().position(|it| it == address).map_or(NOWHERE, |it| it as u32);
                prop_assert_eq!(source.of(address.0, address.1), expected);
            }
        }
    }
}
