//! The kernels in AVX2 and AVX-512: compare-to-mask by hand, which compilers do not make of "any, then scan".

use super::{Hit, Sign, Tests, add_plain};
use std::arch::x86_64::*;

/// Lanes looked at together before it is asked whether one of them crossed.
const VECTORS: usize = 4;

/// See [`super::add_and_test`]; no saturation.
#[target_feature(enable = "avx512f")]
pub fn add_and_test_avx512(
    v: &mut [i32],
    w: &[i32],
    sign: Sign,
    thresholds: (i32, i32),
    tests: Tests,
    first: usize,
    hits: &mut Vec<Hit>,
) {
    match (sign, tests) {
        (Sign::Plus, Tests::Plus) => wide512::<true, false>(v, w, thresholds, first, hits),
        (Sign::Minus, Tests::Plus) => wide512::<false, false>(v, w, thresholds, first, hits),
        (Sign::Plus, _) => wide512::<true, true>(v, w, thresholds, first, hits),
        (Sign::Minus, _) => wide512::<false, true>(v, w, thresholds, first, hits),
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn wide512<const ADD: bool, const BOTH: bool>(
    v: &mut [i32],
    w: &[i32],
    (plus, minus): (i32, i32),
    first: usize,
    hits: &mut Vec<Hit>,
) {
    const LANES: usize = 16;
    assert_eq!(v.len(), w.len());
    let n = v.len();
    let upper = _mm512_set1_epi32(plus);
    let lower = _mm512_set1_epi32(minus);
    let (pv, pw) = (v.as_mut_ptr(), w.as_ptr());
    let mut at = 0;
    while at + VECTORS * LANES <= n {
        let mut mask = 0u64;
        for k in 0..VECTORS {
            // SAFETY: at + VECTORS * LANES <= n, the length of both slices.
            let sum = unsafe {
                let pv = pv.add(at + k * LANES);
                let old = _mm512_loadu_si512(pv.cast());
                let weight = _mm512_loadu_si512(pw.add(at + k * LANES).cast());
                let sum = if ADD { _mm512_add_epi32(old, weight) } else { _mm512_sub_epi32(old, weight) };
                _mm512_storeu_si512(pv.cast(), sum);
                sum
            };
            let mut crossed = _mm512_cmpge_epi32_mask(sum, upper);
            if BOTH {
                crossed |= _mm512_cmple_epi32_mask(sum, lower);
            }
            mask |= u64::from(crossed) << (k * LANES);
        }
        if mask != 0 {
            push(mask, first + at, hits);
        }
        at += VECTORS * LANES;
    }
    while at < n {
        let left = (n - at).min(LANES);
        let lanes: __mmask16 = if left == LANES { !0 } else { (1 << left) - 1 };
        // SAFETY: masked lanes are neither read nor written; the others lie inside both slices.
        let sum = unsafe {
            let old = _mm512_maskz_loadu_epi32(lanes, pv.add(at));
            let weight = _mm512_maskz_loadu_epi32(lanes, pw.add(at));
            let sum = if ADD { _mm512_add_epi32(old, weight) } else { _mm512_sub_epi32(old, weight) };
            _mm512_mask_storeu_epi32(pv.add(at), lanes, sum);
            sum
        };
        let mut crossed = _mm512_mask_cmpge_epi32_mask(lanes, sum, upper);
        if BOTH {
            crossed |= _mm512_mask_cmple_epi32_mask(lanes, sum, lower);
        }
        if crossed != 0 {
            push(crossed.into(), first + at, hits);
        }
        at += LANES;
    }
}

#[cold]
fn push(mut mask: u64, first: usize, hits: &mut Vec<Hit>) {
    while mask != 0 {
        hits.push(Hit((first + mask.trailing_zeros() as usize) as u32));
        mask &= mask - 1;
    }
}

/// See [`super::add_and_test`]; no saturation.
#[target_feature(enable = "avx2")]
pub fn add_and_test_avx2(
    v: &mut [i32],
    w: &[i32],
    sign: Sign,
    thresholds: (i32, i32),
    tests: Tests,
    first: usize,
    hits: &mut Vec<Hit>,
) {
    match (sign, tests) {
        (Sign::Plus, Tests::Plus) => wide256::<true, false>(v, w, thresholds, first, hits),
        (Sign::Minus, Tests::Plus) => wide256::<false, false>(v, w, thresholds, first, hits),
        (Sign::Plus, _) => wide256::<true, true>(v, w, thresholds, first, hits),
        (Sign::Minus, _) => wide256::<false, true>(v, w, thresholds, first, hits),
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn wide256<const ADD: bool, const BOTH: bool>(
    v: &mut [i32],
    w: &[i32],
    (plus, minus): (i32, i32),
    first: usize,
    hits: &mut Vec<Hit>,
) {
    const LANES: usize = 8;
    assert_eq!(v.len(), w.len());
    let n = v.len();
    let upper = _mm256_set1_epi32(plus);
    let lower = _mm256_set1_epi32(minus);
    let (pv, pw) = (v.as_mut_ptr(), w.as_ptr());
    let mut at = 0;
    while at + LANES <= n {
        let group = ((n - at) / LANES).min(VECTORS);
        let mut mask = 0u64;
        for k in 0..group {
            // SAFETY: at + group * LANES <= n, the length of both slices.
            let sum = unsafe {
                let pv = pv.add(at + k * LANES);
                let old = _mm256_loadu_si256(pv.cast());
                let weight = _mm256_loadu_si256(pw.add(at + k * LANES).cast());
                let sum = if ADD { _mm256_add_epi32(old, weight) } else { _mm256_sub_epi32(old, weight) };
                _mm256_storeu_si256(pv.cast(), sum);
                sum
            };
            // There is no "greater or equal": not below the upper, or not above the lower.
            let mut inside = _mm256_cmpgt_epi32(upper, sum);
            if BOTH {
                inside = _mm256_and_si256(inside, _mm256_cmpgt_epi32(sum, lower));
            }
            let crossed = !_mm256_movemask_ps(_mm256_castsi256_ps(inside)) as u32 & 0xff;
            mask |= u64::from(crossed) << (k * LANES);
        }
        if mask != 0 {
            push(mask, first + at, hits);
        }
        at += group * LANES;
    }
    for k in at..n {
        v[k] = if ADD { v[k].wrapping_add(w[k]) } else { v[k].wrapping_sub(w[k]) };
        if v[k] >= plus || (BOTH && v[k] <= minus) {
            hits.push(Hit((first + k) as u32));
        }
    }
}

/// See [`super::add`].
#[target_feature(enable = "avx2")]
pub fn add_avx2(sums: &mut [i32], w: &[i32], sign: Sign) {
    add_plain(sums, w, sign);
}
