//! What potentials are known to be, so that sums need no test whether they leave 32 bits.

use super::lanes::{LANES, Lanes};
use super::rules::{Kind, Rules};
use crate::engine::kernels::FireReset;

/// No potential of a layer is less than the one, or more than the other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Bounds {
    pub low: i32,
    pub high: i32,
}

impl Bounds {
    /// Bounds that hold as long as [those of potentials before a test](VectorBounds) are included.
    pub fn of(rules: &Rules, is_signed: bool, (low, high): (i32, i32)) -> Self {
        // After a test: those of plain neurons, from which only less comes, those of signed ones below the threshold.
        match rules.reset {
            _ if is_signed => Self { low: low.min(0), high: high.max(rules.threshold) },
            FireReset::To(rest) => Self { low: low.min(rest), high: high.max(rest) },
            FireReset::Subtract => Self { low: low.min(0), high },
        }
    }

    /// Whether no potential leaves 32 bits by as much input as this, or its negative.
    pub fn have_room(&self, input: i64) -> bool {
        i64::from(self.high).saturating_add(input) <= i32::MAX.into()
            && i64::from(self.low).saturating_sub(input) >= i32::MIN.into()
    }
}

/// Such bounds, lane by lane.
pub(super) struct VectorBounds<L> {
    bounds: Bounds,
    low: L,
    high: L,
}

impl<L: Lanes> VectorBounds<L> {
    /// # Safety
    /// For this and all others: the instructions are there.
    #[inline(always)]
    pub unsafe fn new(bounds: Bounds) -> Self {
        // SAFETY: the caller's promise.
        unsafe { Self { bounds, low: L::splat(bounds.low), high: L::splat(bounds.high) } }
    }

    /// Potentials before a test. That of signed neurons leaves none at or above the threshold.
    #[inline(always)]
    pub unsafe fn include<K: Kind>(&mut self, v: L) {
        // SAFETY: the caller's promise.
        unsafe {
            self.low = self.low.min(v);
            if !K::SIGNED {
                self.high = self.high.max(v);
            }
        }
    }

    /// Those of all lanes.
    #[inline(always)]
    pub unsafe fn all(&self) -> Bounds {
        let Bounds { low, high } = self.bounds;
        let (mut lows, mut highs) = ([low; LANES], [high; LANES]);
        // SAFETY: the caller's promise; there are as many integers as a vector has at most.
        unsafe {
            self.low.store_where(!0, lows.as_mut_ptr());
            self.high.store_where(!0, highs.as_mut_ptr());
        }
        let all = lows.into_iter().zip(highs);
        all.fold(self.bounds, |all, (low, high)| Bounds { low: all.low.min(low), high: all.high.max(high) })
    }
}
