//! Lanes in AVX2: two registers, or one where a vector has no more than eight neurons. Masks have all bits of a lane.

use super::{Lanes, Mask};
use std::arch::x86_64::*;

/// Lanes of a register.
pub const REGISTER: usize = 8;

/// Registers of AVX2: two, or one of the lower lanes.
#[derive(Clone, Copy)]
pub struct Avx2<const N: usize>([__m256i; N]);

/// An instruction for each register. Not a function with a closure: closures do not have the instructions of their
/// callers, so that each would be a call.
macro_rules! each {
    ($instruction:ident, $one:expr, $other:expr) => {{
        let (one, other): (Avx2<N>, Avx2<N>) = ($one, $other);
        let mut all = one;
        for k in 0..N {
            all.0[k] = $instruction(one.0[k], other.0[k]);
        }
        all
    }};
}

impl<const N: usize> Avx2<N> {
    /// The register of the upper lanes, or nothing.
    #[inline(always)]
    unsafe fn upper(self) -> __m256i {
        // SAFETY: as the trait says; so below.
        if N > 1 { self.0[1] } else { unsafe { _mm256_setzero_si256() } }
    }
}

/// The same bits.
#[inline(always)]
unsafe fn floats(register: __m256i) -> __m256 {
    // SAFETY: see above.
    unsafe { _mm256_castsi256_ps(register) }
}

impl<const N: usize> Mask for Avx2<N> {
    #[inline(always)]
    unsafe fn of(bits: u16) -> Self {
        // SAFETY: see above.
        unsafe {
            let mut lane = Self([_mm256_setr_epi32(1, 1 << 1, 1 << 2, 1 << 3, 1 << 4, 1 << 5, 1 << 6, 1 << 7); N]);
            if N > 1 {
                lane.0[1] = _mm256_slli_epi32::<{ REGISTER as i32 }>(lane.0[1]);
            }
            each!(_mm256_cmpeq_epi32, each!(_mm256_and_si256, Self::splat(bits.into()), lane), lane)
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
        unsafe {
            let upper = _mm256_movemask_ps(floats(self.upper())) as u16;
            _mm256_movemask_ps(floats(self.0[0])) as u16 | upper << REGISTER
        }
    }
    #[inline(always)]
    unsafe fn bits_with(self, other: Self) -> u32 {
        // SAFETY: see above.
        unsafe {
            // Four lanes become four bytes; packs take halves of registers by turns.
            let words = _mm256_packs_epi32(self.0[0], self.upper());
            let bytes = _mm256_packs_epi16(words, _mm256_packs_epi32(other.0[0], other.upper()));
            let in_order = _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
            _mm256_movemask_epi8(in_order) as u32
        }
    }
    #[inline(always)]
    unsafe fn any(self) -> bool {
        // SAFETY: see above.
        unsafe { _mm256_movemask_ps(floats(_mm256_or_si256(self.0[0], self.upper()))) != 0 }
    }
    #[inline(always)]
    unsafe fn or(self, other: Self) -> Self {
        // SAFETY: see above.
        unsafe { each!(_mm256_or_si256, self, other) }
    }
}

impl<const N: usize> Lanes for Avx2<N> {
    type Mask = Self;
    const WIDTH: usize = N * REGISTER;
    const VECTORS: usize = 1;
    const BRANCHES: bool = false;
    const GROUPS: bool = true;
    const RARE: usize = 15;
    #[inline(always)]
    fn prefetch(from: *const i32) {
        // SAFETY: it reads nothing; SSE is part of x86-64.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(from.cast()) };
    }
    #[inline(always)]
    unsafe fn load(from: *const i32) -> Self {
        // SAFETY: see above.
        unsafe {
            let mut all = Self::splat(0);
            for k in 0..N {
                all.0[k] = _mm256_loadu_si256(from.add(k * REGISTER).cast());
            }
            all
        }
    }
    #[inline(always)]
    unsafe fn load_where(mask: u16, from: *const i32) -> Self {
        // SAFETY: see above; what the mask leaves out is not read.
        unsafe {
            if mask == !0 {
                return Self::load(from);
            }
            let mut all = Self::of(mask);
            for k in 0..N {
                all.0[k] = _mm256_maskload_epi32(from.wrapping_add(k * REGISTER), all.0[k]);
            }
            all
        }
    }
    #[inline(always)]
    unsafe fn store_where(self, mask: u16, to: *mut i32) {
        // SAFETY: see above; what the mask leaves out is not written.
        unsafe {
            let all = Self::of(mask);
            for k in 0..N {
                let to = to.wrapping_add(k * REGISTER);
                if mask == !0 {
                    _mm256_storeu_si256(to.cast(), self.0[k]);
                } else {
                    _mm256_maskstore_epi32(to, all.0[k], self.0[k]);
                }
            }
        }
    }
    #[inline(always)]
    unsafe fn splat(value: i32) -> Self {
        // SAFETY: see above.
        Self([unsafe { _mm256_set1_epi32(value) }; N])
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        // SAFETY: see above.
        unsafe { each!(_mm256_add_epi32, self, other) }
    }
    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        // SAFETY: see above.
        unsafe { each!(_mm256_sub_epi32, self, other) }
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
        unsafe {
            // In each lane -1, 0 or 1.
            let sign = each!(_mm256_sub_epi32, minus, plus);
            each!(_mm256_add_epi32, self, each!(_mm256_sign_epi32, other, sign))
        }
    }
    #[inline(always)]
    unsafe fn change_by_one(self, minus: Self, plus: Self) -> Self {
        // SAFETY: see above.
        unsafe { each!(_mm256_add_epi32, self, each!(_mm256_sub_epi32, minus, plus)) }
    }
    #[inline(always)]
    unsafe fn max(self, other: Self) -> Self {
        // SAFETY: see above.
        unsafe { each!(_mm256_max_epi32, self, other) }
    }
    #[inline(always)]
    unsafe fn min(self, other: Self) -> Self {
        // SAFETY: see above.
        unsafe { each!(_mm256_min_epi32, self, other) }
    }
    #[inline(always)]
    unsafe fn sub_where(self, mask: Self, other: Self) -> Self {
        // SAFETY: see above.
        unsafe { each!(_mm256_sub_epi32, self, each!(_mm256_and_si256, other, mask)) }
    }
    #[inline(always)]
    unsafe fn set_where(self, mask: Self, other: Self) -> Self {
        // SAFETY: see above.
        unsafe {
            let mut all = self;
            for k in 0..N {
                let set = _mm256_blendv_ps(floats(self.0[k]), floats(other.0[k]), floats(mask.0[k]));
                all.0[k] = _mm256_castps_si256(set);
            }
            all
        }
    }
    #[inline(always)]
    unsafe fn above(self, mask: Self, other: Self) -> Self {
        // SAFETY: see above.
        unsafe { each!(_mm256_and_si256, each!(_mm256_cmpgt_epi32, self, other), mask) }
    }
    #[inline(always)]
    unsafe fn below(self, mask: Self, other: Self) -> Self {
        // SAFETY: see above.
        unsafe { each!(_mm256_and_si256, each!(_mm256_cmpgt_epi32, other, self), mask) }
    }
}
