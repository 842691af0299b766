//! Sixteen integers side by side.

#[cfg(target_arch = "x86_64")]
pub(super) use x86_64::Avx512;

/// Neurons of a vector.
pub(super) const LANES: usize = 16;

/// One vector of potentials, counts or weights. Masks have a bit per lane.
pub(super) trait Lanes: Copy {
    /// Vectors of a cell that are worked on together: 1 or 4.
    const VECTORS: usize;
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
    /// # Safety
    /// The instructions are there.
    unsafe fn add_where(self, mask: u16, other: Self) -> Self;
    /// # Safety
    /// The instructions are there.
    unsafe fn sub_where(self, mask: u16, other: Self) -> Self;
    /// # Safety
    /// The instructions are there.
    unsafe fn set_where(self, mask: u16, other: Self) -> Self;
    /// The lanes of the mask that are `>= other`.
    ///
    /// # Safety
    /// The instructions are there.
    unsafe fn at_least(self, mask: u16, other: Self) -> u16;
    /// The lanes of the mask that are `< other`.
    ///
    /// # Safety
    /// The instructions are there.
    unsafe fn below(self, mask: u16, other: Self) -> u16;
}

/// Loops, on any machine.
#[derive(Clone, Copy)]
pub(super) struct Loops([i32; LANES]);

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
    const VECTORS: usize = 1;
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
    unsafe fn add_where(self, mask: u16, other: Self) -> Self {
        self.each(mask, other, i32::wrapping_add)
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
    unsafe fn at_least(self, mask: u16, other: Self) -> u16 {
        self.mask(mask, other, |one, other| one >= other)
    }
    #[inline(always)]
    unsafe fn below(self, mask: u16, other: Self) -> u16 {
        self.mask(mask, other, |one, other| one < other)
    }
}

#[cfg(target_arch = "x86_64")]
mod x86_64 {
    use super::Lanes;
    use std::arch::x86_64::*;

    /// One register of AVX-512.
    #[derive(Clone, Copy)]
    pub struct Avx512(__m512i);

    impl Lanes for Avx512 {
        const VECTORS: usize = 4;
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
        unsafe fn add_where(self, mask: u16, other: Self) -> Self {
            // SAFETY: see above.
            Self(unsafe { _mm512_mask_add_epi32(self.0, mask, self.0, other.0) })
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
        unsafe fn at_least(self, mask: u16, other: Self) -> u16 {
            // SAFETY: see above.
            unsafe { _mm512_mask_cmpge_epi32_mask(mask, self.0, other.0) }
        }
        #[inline(always)]
        unsafe fn below(self, mask: u16, other: Self) -> u16 {
            // SAFETY: see above.
            unsafe { _mm512_mask_cmplt_epi32_mask(mask, self.0, other.0) }
        }
    }
}
