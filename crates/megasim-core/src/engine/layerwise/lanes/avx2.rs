//! Lanes in AVX2: two registers, and masks with all bits of a lane.

use super::{Lanes, Mask};
use std::arch::x86_64::*;

/// Two registers of AVX2.
#[derive(Clone, Copy)]
pub struct Avx2(__m256i, __m256i);

impl Avx2 {
    /// Register by register.
    #[inline(always)]
    fn each(self, other: Self, change: impl Fn(__m256i, __m256i) -> __m256i) -> Self {
        Self(change(self.0, other.0), change(self.1, other.1))
    }

    #[inline(always)]
    unsafe fn and(self, other: Self) -> Self {
        // SAFETY: as the trait says; so below.
        self.each(other, |one, other| unsafe { _mm256_and_si256(one, other) })
    }
}

impl Mask for Avx2 {
    #[inline(always)]
    unsafe fn of(bits: u16) -> Self {
        // SAFETY: see above.
        unsafe {
            let bits = _mm256_set1_epi32(bits.into());
            let low = _mm256_set_epi32(1 << 7, 1 << 6, 1 << 5, 1 << 4, 1 << 3, 1 << 2, 1 << 1, 1);
            let is_set = |bit| _mm256_cmpeq_epi32(_mm256_and_si256(bits, bit), bit);
            Self(is_set(low), is_set(_mm256_slli_epi32::<8>(low)))
        }
    }
    #[inline(always)]
    unsafe fn bits(self) -> u16 {
        // SAFETY: see above.
        unsafe {
            let bits = |register| _mm256_movemask_ps(_mm256_castsi256_ps(register)) as u16;
            bits(self.0) | bits(self.1) << 8
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
        self.each(other, |one, other| unsafe { _mm256_or_si256(one, other) })
    }
}

impl Lanes for Avx2 {
    type Mask = Self;
    const VECTORS: usize = 1;
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
        self.each(other, |one, other| unsafe { _mm256_add_epi32(one, other) })
    }
    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        // SAFETY: see above.
        self.each(other, |one, other| unsafe { _mm256_sub_epi32(one, other) })
    }
    #[inline(always)]
    unsafe fn where_negative(self, one: Self, other: Self) -> Self {
        // SAFETY: see above.
        unsafe {
            let is_negative = |register| _mm256_srai_epi32::<31>(register);
            other.set_where(Self(is_negative(self.0), is_negative(self.1)), one)
        }
    }
    #[inline(always)]
    unsafe fn add_where(self, mask: Self, other: Self) -> Self {
        // SAFETY: see above.
        unsafe { self.add(other.and(mask)) }
    }
    #[inline(always)]
    unsafe fn sub_where(self, mask: Self, other: Self) -> Self {
        // SAFETY: see above.
        unsafe { self.sub(other.and(mask)) }
    }
    #[inline(always)]
    unsafe fn set_where(self, mask: Self, other: Self) -> Self {
        // SAFETY: see above.
        let set = |old, new, mask| unsafe { _mm256_blendv_epi8(old, new, mask) };
        Self(set(self.0, other.0, mask.0), set(self.1, other.1, mask.1))
    }
    #[inline(always)]
    unsafe fn above(self, mask: Self, other: Self) -> Self {
        // SAFETY: see above.
        unsafe { self.each(other, |one, other| _mm256_cmpgt_epi32(one, other)).and(mask) }
    }
    #[inline(always)]
    unsafe fn below(self, mask: Self, other: Self) -> Self {
        // SAFETY: see above.
        unsafe { self.each(other, |one, other| _mm256_cmpgt_epi32(other, one)).and(mask) }
    }
}
