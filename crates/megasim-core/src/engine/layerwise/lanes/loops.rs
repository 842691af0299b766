//! Lanes in loops, on any machine. All bits of a lane are set in masks, as compilers make vectors of that.

use super::{Lanes, Mask};
use std::array::from_fn;

/// Loops over some lanes.
#[derive(Clone, Copy)]
pub struct Loops<const N: usize>([i32; N]);

impl<const N: usize> Loops<N> {
    #[inline(always)]
    fn each(self, other: Self, change: impl Fn(i32, i32) -> i32) -> Self {
        Self(from_fn(|k| change(self.0[k], other.0[k])))
    }

    #[inline(always)]
    fn and(self, other: Self) -> Self {
        self.each(other, |one, other| one & other)
    }
}

// SAFETY: for all of it: loops need no special instructions.
impl<const N: usize> Mask for Loops<N> {
    #[inline(always)]
    unsafe fn of(bits: u16) -> Self {
        Self(from_fn(|k| -i32::from(bits >> k & 1)))
    }
    #[inline(always)]
    unsafe fn all_if(all: bool) -> Self {
        Self([-i32::from(all); N])
    }
    #[inline(always)]
    unsafe fn bits(self) -> u16 {
        (0..N).fold(0, |bits, k| bits | (self.0[k] as u16 & 1) << k)
    }
    #[inline(always)]
    unsafe fn bits_with(self, other: Self) -> u32 {
        unsafe { u32::from(other.bits()) << 16 | u32::from(self.bits()) }
    }
    #[inline(always)]
    unsafe fn any(self) -> bool {
        self.0.iter().fold(0, |any, lane| any | lane) != 0
    }
    #[inline(always)]
    unsafe fn or(self, other: Self) -> Self {
        self.each(other, |one, other| one | other)
    }
}

impl<const N: usize> Lanes for Loops<N> {
    type Mask = Self;
    const WIDTH: usize = N;
    const VECTORS: usize = 1;
    const BRANCHES: bool = true;
    const GROUPS: bool = false;
    const RARE: usize = 32;
    #[inline(always)]
    unsafe fn load(from: *const i32) -> Self {
        // SAFETY: as many integers can be read.
        Self(unsafe { from.cast::<[i32; N]>().read_unaligned() })
    }
    #[inline(always)]
    unsafe fn load_where(mask: u16, from: *const i32) -> Self {
        // SAFETY: those of the mask can be read.
        Self(from_fn(|k| if mask >> k & 1 == 1 { unsafe { from.add(k).read() } } else { 0 }))
    }
    #[inline(always)]
    unsafe fn store_where(self, mask: u16, to: *mut i32) {
        for k in (0..N).filter(|k| mask >> k & 1 == 1) {
            // SAFETY: those of the mask can be written.
            unsafe { to.add(k).write(self.0[k]) };
        }
    }
    #[inline(always)]
    unsafe fn splat(value: i32) -> Self {
        Self([value; N])
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        self.each(other, i32::wrapping_add)
    }
    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        self.each(other, i32::wrapping_sub)
    }
    #[inline(always)]
    unsafe fn where_negative(self, one: Self, other: Self) -> Self {
        let is_negative = Self(self.0.map(|lane| lane >> 31));
        // SAFETY: see above.
        unsafe { other.set_where(is_negative, one) }
    }
    #[inline(always)]
    unsafe fn change(self, minus: Self, plus: Self, other: Self) -> Self {
        // SAFETY: see above.
        unsafe { self.sub_where(minus, other).add(plus.and(other)) }
    }
    #[inline(always)]
    unsafe fn change_by_one(self, minus: Self, plus: Self) -> Self {
        // SAFETY: see above.
        unsafe { self.add(minus).sub(plus) }
    }
    #[inline(always)]
    unsafe fn max(self, other: Self) -> Self {
        self.each(other, i32::max)
    }
    #[inline(always)]
    unsafe fn min(self, other: Self) -> Self {
        self.each(other, i32::min)
    }
    #[inline(always)]
    unsafe fn sub_where(self, mask: Self, other: Self) -> Self {
        // SAFETY: see above.
        unsafe { self.sub(mask.and(other)) }
    }
    #[inline(always)]
    unsafe fn set_where(self, mask: Self, other: Self) -> Self {
        Self(from_fn(|k| self.0[k] & !mask.0[k] | other.0[k] & mask.0[k]))
    }
    #[inline(always)]
    unsafe fn above(self, mask: Self, other: Self) -> Self {
        self.each(other, |one, other| -i32::from(one > other)).and(mask)
    }
    #[inline(always)]
    unsafe fn below(self, mask: Self, other: Self) -> Self {
        self.each(other, |one, other| -i32::from(one < other)).and(mask)
    }
}
