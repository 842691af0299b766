//! Sixteen integers side by side.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod loops;

pub(super) use loops::Loops;
#[cfg(target_arch = "x86_64")]
pub(super) use {
    avx2::{Avx2, REGISTER},
    avx512::Avx512,
};

/// Neurons of a vector.
pub(super) const LANES: usize = 16;

/// Some lanes of a vector.
pub(super) trait Mask: Copy {
    /// Those of the bits.
    ///
    /// # Safety
    /// For this and all others: the instructions of the type are there.
    unsafe fn of(bits: u16) -> Self;
    /// All lanes, or none.
    ///
    /// # Safety
    /// The instructions are there.
    unsafe fn all_if(all: bool) -> Self;
    /// A bit for each lane.
    ///
    /// # Safety
    /// The instructions are there.
    unsafe fn bits(self) -> u16;
    /// A bit for each lane; above them those of another mask.
    ///
    /// # Safety
    /// The instructions are there.
    unsafe fn bits_with(self, other: Self) -> u32;
    /// Whether there is one.
    ///
    /// # Safety
    /// The instructions are there.
    unsafe fn any(self) -> bool;
    /// The lanes of one or the other.
    ///
    /// # Safety
    /// The instructions are there.
    unsafe fn or(self, other: Self) -> Self;
}

/// One vector of potentials, counts or weights, or its lower lanes where it has no others.
pub(super) trait Lanes: Copy {
    type Mask: Mask;
    /// Vectors of a cell that are worked on together: 1 or 4.
    const VECTORS: usize;
    /// Whether a branch on the spikes of a single vector, which are not predicted, takes less than masks do.
    const BRANCHES: bool;
    /// # Safety
    /// For this and all others: the instructions of the type are there. 16 integers can be read.
    unsafe fn load(from: *const i32) -> Self;
    /// The lanes of the mask; the others are 0.
    ///
    /// # Safety
    /// The integers of the mask can be read.
    unsafe fn load_where(mask: u16, from: *const i32) -> Self;
    /// # Safety
    /// The integers of the mask can be written.
    unsafe fn store_where(self, mask: u16, to: *mut i32);
    /// # Safety
    /// The instructions are there.
    unsafe fn splat(value: i32) -> Self;
    /// # Safety
    /// The instructions are there.
    unsafe fn add(self, other: Self) -> Self;
    /// # Safety
    /// The instructions are there.
    unsafe fn sub(self, other: Self) -> Self;
    /// `one` where this is negative, else `other`.
    ///
    /// # Safety
    /// The instructions are there.
    unsafe fn where_negative(self, one: Self, other: Self) -> Self;
    /// With `other` taken from some lanes and added to others.
    ///
    /// # Safety
    /// The instructions are there; no lane is in both masks.
    unsafe fn change(self, minus: Self::Mask, plus: Self::Mask, other: Self) -> Self;
    /// With 1 taken from some lanes and added to others.
    ///
    /// # Safety
    /// As [`Lanes::change`].
    #[inline(always)]
    unsafe fn change_by_one(self, minus: Self::Mask, plus: Self::Mask) -> Self {
        // SAFETY: the caller's promise.
        unsafe { self.change(minus, plus, Self::splat(1)) }
    }
    /// # Safety
    /// The instructions are there.
    unsafe fn sub_where(self, mask: Self::Mask, other: Self) -> Self;
    /// # Safety
    /// The instructions are there.
    unsafe fn set_where(self, mask: Self::Mask, other: Self) -> Self;
    /// The lanes of the mask that are `> other`.
    ///
    /// # Safety
    /// The instructions are there.
    unsafe fn above(self, mask: Self::Mask, other: Self) -> Self::Mask;
    /// The lanes of the mask that are `< other`.
    ///
    /// # Safety
    /// The instructions are there.
    unsafe fn below(self, mask: Self::Mask, other: Self) -> Self::Mask;
}
