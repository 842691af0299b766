//! Lanes in loops, on any machine.

use super::{LANES, Lanes, Mask};

impl Mask for u16 {
    #[inline(always)]
    unsafe fn of(bits: u16) -> Self {
        bits
    }
    #[inline(always)]
    unsafe fn all_if(all: bool) -> Self {
        u16::from(all).wrapping_neg()
    }
    #[inline(always)]
    unsafe fn bits(self) -> u16 {
        self
    }
    #[inline(always)]
    unsafe fn bits_with(self, other: Self) -> u32 {
        u32::from(other) << 16 | u32::from(self)
    }
    #[inline(always)]
    unsafe fn any(self) -> bool {
        self != 0
    }
    #[inline(always)]
    unsafe fn or(self, other: Self) -> Self {
        self | other
    }
}

/// Loops over the lanes.
#[derive(Clone, Copy)]
pub struct Loops([i32; LANES]);

impl Loops {
    #[inline(always)]
    fn each(self, mask: u16, other: Self, change: impl Fn(i32, i32) -> i32) -> Self {
        Self(std::array::from_fn(|k| if mask >> k & 1 == 1 { change(self.0[k], other.0[k]) } else { self.0[k] }))
    }

    #[inline(always)]
    fn mask(self, mask: u16, other: Self, holds: impl Fn(i32, i32) -> bool) -> u16 {
        (0..LANES).fold(0, |bits, k| bits | u16::from(holds(self.0[k], other.0[k])) << k) & mask
    }
}

impl Lanes for Loops {
    type Mask = u16;
    const VECTORS: usize = 1;
    const BRANCHES: bool = true;
    #[inline(always)]
    unsafe fn load(from: *const i32) -> Self {
        // SAFETY: 16 integers can be read.
        Self(unsafe { from.cast::<[i32; LANES]>().read_unaligned() })
    }
    #[inline(always)]
    unsafe fn load_where(mask: u16, from: *const i32) -> Self {
        // SAFETY: those of the mask can be read.
        Self(std::array::from_fn(|k| if mask >> k & 1 == 1 { unsafe { from.add(k).read() } } else { 0 }))
    }
    #[inline(always)]
    unsafe fn store_where(self, mask: u16, to: *mut i32) {
        for k in (0..LANES).filter(|k| mask >> k & 1 == 1) {
            // SAFETY: those of the mask can be written.
            unsafe { to.add(k).write(self.0[k]) };
        }
    }
    #[inline(always)]
    unsafe fn splat(value: i32) -> Self {
        Self([value; LANES])
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        Self(std::array::from_fn(|k| self.0[k].wrapping_add(other.0[k])))
    }
    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        Self(std::array::from_fn(|k| self.0[k].wrapping_sub(other.0[k])))
    }
    #[inline(always)]
    unsafe fn where_negative(self, one: Self, other: Self) -> Self {
        Self(std::array::from_fn(|k| if self.0[k] < 0 { one.0[k] } else { other.0[k] }))
    }
    #[inline(always)]
    unsafe fn change(self, minus: u16, plus: u16, other: Self) -> Self {
        self.each(minus, other, i32::wrapping_sub).each(plus, other, i32::wrapping_add)
    }
    #[inline(always)]
    unsafe fn change_by_one(self, minus: u16, plus: u16) -> Self {
        // SAFETY: loops need no special instructions.
        unsafe { self.change(minus, plus, Self::splat(1)) }
    }
    #[inline(always)]
    unsafe fn sub_where(self, mask: u16, other: Self) -> Self {
        self.each(mask, other, i32::wrapping_sub)
    }
    #[inline(always)]
    unsafe fn set_where(self, mask: u16, other: Self) -> Self {
        self.each(mask, other, |_, other| other)
    }
    #[inline(always)]
    unsafe fn above(self, mask: u16, other: Self) -> u16 {
        self.mask(mask, other, |one, other| one > other)
    }
    #[inline(always)]
    unsafe fn below(self, mask: u16, other: Self) -> u16 {
        self.mask(mask, other, |one, other| one < other)
    }
}
