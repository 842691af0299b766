//! Four integers side by side: one register of AVX2's shorter ones. Masks have all bits of a lane.

use super::{Lanes, Mask};
use crate::engine::layerwise::places::NEGATIVE;
use std::arch::x86_64::*;

/// Lanes of a register.
const WIDTH: usize = 4;

/// A register.
#[derive(Clone, Copy)]
pub struct Four(__m128i);

/// The same bits.
#[inline(always)]
unsafe fn floats(register: __m128i) -> __m128 {
    // SAFETY: as the trait says; so below.
    unsafe { _mm_castsi128_ps(register) }
}

/// By mask, in four bits each: how many lanes it has.
const COUNTS: u64 = 0x4332_3221_3221_2110;

/// By mask: the bytes of its lanes, one after the other; those behind them are of no lane.
const IN_ORDER: [[u8; 16]; 1 << WIDTH] = {
    let mut all = [[0x80; 16]; 1 << WIDTH];
    let mut mask = 0;
    while mask < all.len() {
        let (mut lane, mut next) = (0, 0);
        while lane < WIDTH {
            if mask >> lane & 1 == 1 {
                let mut byte = 0;
                while byte < 4 {
                    all[mask][4 * next + byte] = (4 * lane + byte) as u8;
                    byte += 1;
                }
                next += 1;
            }
            lane += 1;
        }
        mask += 1;
    }
    all
};

impl Mask for Four {
    #[inline(always)]
    unsafe fn of(bits: u16) -> Self {
        // SAFETY: see above.
        unsafe {
            let lane = _mm_setr_epi32(1, 1 << 1, 1 << 2, 1 << 3);
            Self(_mm_cmpeq_epi32(_mm_and_si128(_mm_set1_epi32(bits.into()), lane), lane))
        }
    }
    #[inline(always)]
    unsafe fn all_if(all: bool) -> Self {
        // SAFETY: see above.
        unsafe { Self::splat(-i32::from(all)) }
    }
    #[inline(always)]
    unsafe fn bits(self) -> u16 {
        // SAFETY: see above.
        unsafe { _mm_movemask_ps(floats(self.0)) as u16 }
    }
    #[inline(always)]
    unsafe fn bits_with(self, other: Self) -> u32 {
        // SAFETY: see above.
        unsafe { u32::from(other.bits()) << 16 | u32::from(self.bits()) }
    }
    #[inline(always)]
    unsafe fn any(self) -> bool {
        // SAFETY: see above.
        unsafe { self.bits() != 0 }
    }
    #[inline(always)]
    unsafe fn or(self, other: Self) -> Self {
        // SAFETY: see above.
        unsafe { Self(_mm_or_si128(self.0, other.0)) }
    }
}

impl Lanes for Four {
    type Mask = Self;
    const WIDTH: usize = WIDTH;
    const VECTORS: usize = 1;
    const BRANCHES: bool = false;
    const GROUPS: bool = false;
    const RARE: usize = 32;
    #[inline(always)]
    unsafe fn load(from: *const i32) -> Self {
        // SAFETY: see above.
        unsafe { Self(_mm_loadu_si128(from.cast())) }
    }
    #[inline(always)]
    unsafe fn load_where(mask: u16, from: *const i32) -> Self {
        // SAFETY: see above; what the mask leaves out is not read.
        unsafe { if mask == !0 { Self::load(from) } else { Self(_mm_maskload_epi32(from, Self::of(mask).0)) } }
    }
    #[inline(always)]
    unsafe fn store_where(self, mask: u16, to: *mut i32) {
        // SAFETY: see above; what the mask leaves out is not written.
        unsafe {
            if mask == !0 {
                _mm_storeu_si128(to.cast(), self.0);
            } else {
                _mm_maskstore_epi32(to, Self::of(mask).0, self.0);
            }
        }
    }
    #[inline(always)]
    unsafe fn splat(value: i32) -> Self {
        // SAFETY: see above.
        Self(unsafe { _mm_set1_epi32(value) })
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        // SAFETY: see above.
        unsafe { Self(_mm_add_epi32(self.0, other.0)) }
    }
    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        // SAFETY: see above.
        unsafe { Self(_mm_sub_epi32(self.0, other.0)) }
    }
    #[inline(always)]
    unsafe fn where_negative(self, one: Self, other: Self) -> Self {
        // The sign of a lane is all that `set_where` reads of a mask.
        // SAFETY: see above.
        unsafe { other.set_where(self, one) }
    }
    #[inline(always)]
    unsafe fn change(self, minus: Self, plus: Self, other: Self) -> Self {
        // SAFETY: see above.
        unsafe { self.add(Self(_mm_sign_epi32(other.0, minus.sub(plus).0))) }
    }
    #[inline(always)]
    unsafe fn change_by_one(self, minus: Self, plus: Self) -> Self {
        // SAFETY: see above.
        unsafe { self.add(minus.sub(plus)) }
    }
    #[inline(always)]
    unsafe fn max(self, other: Self) -> Self {
        // SAFETY: see above.
        unsafe { Self(_mm_max_epi32(self.0, other.0)) }
    }
    #[inline(always)]
    unsafe fn min(self, other: Self) -> Self {
        // SAFETY: see above.
        unsafe { Self(_mm_min_epi32(self.0, other.0)) }
    }
    #[inline(always)]
    unsafe fn sub_where(self, mask: Self, other: Self) -> Self {
        // SAFETY: see above.
        unsafe { Self(_mm_sub_epi32(self.0, _mm_and_si128(other.0, mask.0))) }
    }
    #[inline(always)]
    unsafe fn set_where(self, mask: Self, other: Self) -> Self {
        // SAFETY: see above.
        unsafe { Self(_mm_castps_si128(_mm_blendv_ps(floats(self.0), floats(other.0), floats(mask.0)))) }
    }
    #[inline(always)]
    unsafe fn above(self, mask: Self, other: Self) -> Self {
        // SAFETY: see above.
        unsafe { Self(_mm_and_si128(_mm_cmpgt_epi32(self.0, other.0), mask.0)) }
    }
    #[inline(always)]
    unsafe fn below(self, mask: Self, other: Self) -> Self {
        // SAFETY: see above.
        unsafe { other.above(mask, self) }
    }
    #[inline(always)]
    unsafe fn write_spikes(up: Self, down: Self, first: u32, to: *mut u32) -> usize {
        // SAFETY: see above.
        unsafe {
            let places = Self::splat(first as i32).add(Self(_mm_setr_epi32(0, 1, 2, 3)));
            let marked = _mm_or_si128(places.0, _mm_and_si128(down.0, Self::splat(NEGATIVE as i32).0));
            let spiked = usize::from(up.or(down).bits());
            let in_order = _mm_loadu_si128(IN_ORDER[spiked].as_ptr().cast());
            _mm_storeu_si128(to.cast(), _mm_shuffle_epi8(marked, in_order));
            (COUNTS >> (4 * spiked)) as usize & 0xF
        }
    }
}
