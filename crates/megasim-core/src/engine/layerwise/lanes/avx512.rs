//! Lanes in AVX-512.

use super::{Lanes, Mask};
use std::arch::x86_64::*;

/// One register of AVX-512.
#[derive(Clone, Copy)]
pub struct Avx512(__m512i);

impl Mask for u16 {
    #[inline(always)]
    unsafe fn of(bits: u16) -> Self {
        bits
    }
    #[inline(always)]
    unsafe fn all_if(all: bool) -> Self {
        Self::from(all).wrapping_neg()
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

impl Lanes for Avx512 {
    type Mask = u16;
    const VECTORS: usize = 4;
    const BRANCHES: bool = true;
    const GROUPS: bool = false;
    const RARE: usize = 32;
    #[inline(always)]
    fn prefetch(from: *const i32) {
        // SAFETY: it reads nothing; SSE is part of x86-64.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(from.cast()) };
    }
    #[inline(always)]
    unsafe fn load(from: *const i32) -> Self {
        // SAFETY: as the trait says; so below.
        Self(unsafe { _mm512_loadu_epi32(from) })
    }
    #[inline(always)]
    unsafe fn load_where(mask: u16, from: *const i32) -> Self {
        // Whole vectors without a mask: what is stored under one is not forwarded to the next load.
        // SAFETY: see above.
        Self(unsafe { if mask == !0 { _mm512_loadu_epi32(from) } else { _mm512_maskz_loadu_epi32(mask, from) } })
    }
    #[inline(always)]
    unsafe fn store_where(self, mask: u16, to: *mut i32) {
        // SAFETY: see above.
        unsafe {
            if mask == !0 {
                _mm512_storeu_epi32(to, self.0);
            } else {
                _mm512_mask_storeu_epi32(to, mask, self.0);
            }
        }
    }
    #[inline(always)]
    unsafe fn splat(value: i32) -> Self {
        // SAFETY: see above.
        Self(unsafe { _mm512_set1_epi32(value) })
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        // SAFETY: see above.
        Self(unsafe { _mm512_add_epi32(self.0, other.0) })
    }
    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        // SAFETY: see above.
        Self(unsafe { _mm512_sub_epi32(self.0, other.0) })
    }
    #[inline(always)]
    unsafe fn where_negative(self, one: Self, other: Self) -> Self {
        // Bit by bit: `one` under the sign, spread over all bits, else `other`.
        // SAFETY: see above.
        Self(unsafe { _mm512_ternarylogic_epi32::<0xca>(_mm512_srai_epi32::<31>(self.0), one.0, other.0) })
    }
    #[inline(always)]
    unsafe fn change(self, minus: u16, plus: u16, other: Self) -> Self {
        // SAFETY: see above.
        unsafe {
            let less = self.sub_where(minus, other);
            Self(_mm512_mask_add_epi32(less.0, plus, less.0, other.0))
        }
    }
    #[inline(always)]
    unsafe fn max(self, other: Self) -> Self {
        // SAFETY: see above.
        Self(unsafe { _mm512_max_epi32(self.0, other.0) })
    }
    #[inline(always)]
    unsafe fn min(self, other: Self) -> Self {
        // SAFETY: see above.
        Self(unsafe { _mm512_min_epi32(self.0, other.0) })
    }
    #[inline(always)]
    unsafe fn sub_where(self, mask: u16, other: Self) -> Self {
        // SAFETY: see above.
        Self(unsafe { _mm512_mask_sub_epi32(self.0, mask, self.0, other.0) })
    }
    #[inline(always)]
    unsafe fn set_where(self, mask: u16, other: Self) -> Self {
        // SAFETY: see above.
        Self(unsafe { _mm512_mask_mov_epi32(self.0, mask, other.0) })
    }
    #[inline(always)]
    unsafe fn above(self, mask: u16, other: Self) -> u16 {
        // SAFETY: see above.
        unsafe { _mm512_mask_cmpgt_epi32_mask(mask, self.0, other.0) }
    }
    #[inline(always)]
    unsafe fn below(self, mask: u16, other: Self) -> u16 {
        // SAFETY: see above.
        unsafe { _mm512_mask_cmplt_epi32_mask(mask, self.0, other.0) }
    }
}
