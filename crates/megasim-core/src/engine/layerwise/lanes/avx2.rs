//! Lanes in AVX2: two registers, and masks with all bits of a lane.

use super::{Lanes, Mask};
use std::arch::x86_64::*;

/// Two registers of AVX2.
#[derive(Clone, Copy)]
pub struct Avx2(__m256i, __m256i);

/// An instruction for both registers. Not a function with a closure: closures do not have the instructions of their
/// callers, so that each would be a call.
macro_rules! each {
    ($instruction:ident, $one:expr, $other:expr) => {{
        let (one, other): (Avx2, Avx2) = ($one, $other);
        Avx2($instruction(one.0, other.0), $instruction(one.1, other.1))
    }};
}

/// The same bits.
#[inline(always)]
unsafe fn floats(register: __m256i) -> __m256 {
    // SAFETY: as the trait says; so below.
    unsafe { _mm256_castsi256_ps(register) }
}

impl Mask for Avx2 {
    #[inline(always)]
    unsafe fn of(bits: u16) -> Self {
        // SAFETY: see above.
        unsafe {
            let bits = _mm256_set1_epi32(bits.into());
            let low = _mm256_set_epi32(1 << 7, 1 << 6, 1 << 5, 1 << 4, 1 << 3, 1 << 2, 1 << 1, 1);
            let lane = Self(low, _mm256_slli_epi32::<8>(low));
            each!(_mm256_cmpeq_epi32, each!(_mm256_and_si256, Self(bits, bits), lane), lane)
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
            let low = _mm256_movemask_ps(_mm256_castsi256_ps(self.0)) as u16;
            low | (_mm256_movemask_ps(_mm256_castsi256_ps(self.1)) as u16) << 8
        }
    }
    #[inline(always)]
    unsafe fn bits_with(self, other: Self) -> u32 {
        // SAFETY: see above.
        unsafe {
            // Four lanes become four bytes; packs take halves of registers by turns.
            let words = (_mm256_packs_epi32(self.0, self.1), _mm256_packs_epi32(other.0, other.1));
            let bytes = _mm256_packs_epi16(words.0, words.1);
            let in_order = _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
            _mm256_movemask_epi8(in_order) as u32
        }
    }
    #[inline(always)]
    unsafe fn any(self) -> bool {
        // SAFETY: see above.
        unsafe { _mm256_movemask_ps(_mm256_castsi256_ps(_mm256_or_si256(self.0, self.1))) != 0 }
    }
    #[inline(always)]
    unsafe fn or(self, other: Self) -> Self {
        // SAFETY: see above.
        unsafe { each!(_mm256_or_si256, self, other) }
    }
}

impl Lanes for Avx2 {
    type Mask = Self;
    const VECTORS: usize = 1;
    const BRANCHES: bool = false;
    #[inline(always)]
    unsafe fn load(from: *const i32) -> Self {
        // SAFETY: see above.
        unsafe { Self(_mm256_loadu_si256(from.cast()), _mm256_loadu_si256(from.add(8).cast())) }
    }
    #[inline(always)]
    unsafe fn load_where(mask: u16, from: *const i32) -> Self {
        // SAFETY: see above; addresses that the mask leaves out are not read.
        unsafe {
            if mask == !0 {
                return Self::load(from);
            }
            let Self(low, high) = Mask::of(mask);
            Self(_mm256_maskload_epi32(from, low), _mm256_maskload_epi32(from.wrapping_add(8), high))
        }
    }
    #[inline(always)]
    unsafe fn store_where(self, mask: u16, to: *mut i32) {
        // SAFETY: see above; addresses that the mask leaves out are not written.
        unsafe {
            if mask == !0 {
                _mm256_storeu_si256(to.cast(), self.0);
                _mm256_storeu_si256(to.add(8).cast(), self.1);
            } else {
                let Self(low, high) = Mask::of(mask);
                _mm256_maskstore_epi32(to, low, self.0);
                _mm256_maskstore_epi32(to.wrapping_add(8), high, self.1);
            }
        }
    }
    #[inline(always)]
    unsafe fn splat(value: i32) -> Self {
        // SAFETY: see above.
        let register = unsafe { _mm256_set1_epi32(value) };
        Self(register, register)
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
        // The sign of a lane is all that a mask needs.
        // SAFETY: see above.
        unsafe { other.set_where(self, one) }
    }
    #[inline(always)]
    unsafe fn change(self, minus: Self, plus: Self, other: Self) -> Self {
        // SAFETY: see above.
        unsafe {
            // Of all lanes -1, 0 or 1.
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
    unsafe fn sub_where(self, mask: Self, other: Self) -> Self {
        // SAFETY: see above.
        unsafe { each!(_mm256_sub_epi32, self, each!(_mm256_and_si256, other, mask)) }
    }
    #[inline(always)]
    unsafe fn set_where(self, mask: Self, other: Self) -> Self {
        // SAFETY: see above.
        unsafe {
            // The instruction reads the sign of a lane.
            let low = _mm256_blendv_ps(floats(self.0), floats(other.0), floats(mask.0));
            let high = _mm256_blendv_ps(floats(self.1), floats(other.1), floats(mask.1));
            Self(_mm256_castps_si256(low), _mm256_castps_si256(high))
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
