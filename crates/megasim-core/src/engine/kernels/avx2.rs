//! The kernels in AVX2: compare-to-mask by hand, which compilers do not make of "any, then scan".

use super::{Crossing, Fire, Sign, SignedFire, Tests, VECTORS, add_kernel_plain, add_plain, note};
use crate::engine::synapses::Kernel;
use crate::network::Array;
use std::arch::x86_64::*;

/// See [`super::add_and_test`]; no saturation.
#[target_feature(enable = "avx2")]
pub fn add_and_test(
    v: &mut [i32],
    w: &[i32],
    sign: Sign,
    thresholds: (i32, i32),
    tests: Tests,
    first: usize,
    hits: &mut Vec<Crossing>,
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
    hits: &mut Vec<Crossing>,
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
            note(mask, first + at, hits);
        }
        at += group * LANES;
    }
    for k in at..n {
        v[k] = if ADD { v[k].wrapping_add(w[k]) } else { v[k].wrapping_sub(w[k]) };
        if v[k] >= plus || (BOTH && v[k] <= minus) {
            hits.push(Crossing((first + k) as u32));
        }
    }
}

/// See [`super::add`].
#[target_feature(enable = "avx2")]
pub fn add(sums: &mut [i32], w: &[i32], sign: Sign) {
    add_plain(sums, w, sign);
}

/// See [`super::add_signed`]; no saturation.
#[target_feature(enable = "avx2")]
pub fn add_signed(v: &mut [i32], w: &[i32], sign: Sign, first: usize, fire: &mut SignedFire<'_>) {
    match sign {
        Sign::Plus => fire.add_span(v, w, first, i32::wrapping_add),
        Sign::Minus => fire.add_span(v, w, first, i32::wrapping_sub),
    }
}

/// See [`super::run_lines`].
#[target_feature(enable = "avx2")]
pub fn run_lines(v: &mut [i32], weights: &[i32], lines: &[u32], sign: Sign, fire: &mut Fire<'_>) {
    let n = v.len();
    for (k, &line) in lines.iter().enumerate() {
        let ahead = lines.get(k + 2).map(|&ahead| weights.as_ptr().wrapping_add(ahead as usize * n));
        let w = &weights[line as usize * n..][..n];
        match sign {
            Sign::Plus => stretch256::<true>(v, w, 0, ahead, fire),
            Sign::Minus => stretch256::<false>(v, w, 0, ahead, fire),
        }
    }
}

/// See [`super::run_kernel`].
#[target_feature(enable = "avx2")]
pub fn run_kernel(
    v: &mut [i32],
    kernel: &Kernel,
    (array, maps): (Array, usize),
    (x, y): (&[i32], &[i32]),
    sign: Sign,
    fire: &mut Fire<'_>,
) -> u64 {
    let mut operations = 0;
    for (&x, &y) in x.iter().zip(y) {
        kernel.each_span(array, maps, x, y, |span| {
            operations += span.len as u64;
            let v = &mut v[span.neuron..][..span.len];
            let w = &kernel.weights[span.weight..][..span.len];
            match sign {
                Sign::Plus => stretch256::<true>(v, w, span.neuron, None, fire),
                Sign::Minus => stretch256::<false>(v, w, span.neuron, None, fire),
            }
        });
    }
    operations
}

#[inline]
#[target_feature(enable = "avx2")]
fn stretch256<const ADD: bool>(v: &mut [i32], w: &[i32], first: usize, ahead: Option<*const i32>, fire: &mut Fire<'_>) {
    const LANES: usize = 8;
    assert_eq!(v.len(), w.len());
    let n = v.len();
    let upper = _mm256_set1_epi32(fire.threshold);
    let (pv, pw) = (v.as_mut_ptr(), w.as_ptr());
    let mut at = 0;
    while at + LANES <= n {
        let group = ((n - at) / LANES).min(VECTORS);
        let mut mask = 0u64;
        for k in 0..group {
            if let Some(ahead) = ahead {
                _mm_prefetch::<_MM_HINT_T0>(ahead.wrapping_add(at + k * LANES).cast());
            }
            // SAFETY: at + group * LANES <= n, the length of both slices.
            let sum = unsafe {
                let pv = pv.add(at + k * LANES);
                let old = _mm256_loadu_si256(pv.cast());
                let weight = _mm256_loadu_si256(pw.add(at + k * LANES).cast());
                let sum = if ADD { _mm256_add_epi32(old, weight) } else { _mm256_sub_epi32(old, weight) };
                _mm256_storeu_si256(pv.cast(), sum);
                sum
            };
            let below = _mm256_movemask_ps(_mm256_castsi256_ps(_mm256_cmpgt_epi32(upper, sum))) as u32;
            mask |= u64::from(!below & 0xff) << (k * LANES);
        }
        if mask != 0 {
            spike_each(v, at, fire.admit(mask, first + at), fire);
        }
        at += group * LANES;
    }
    if at < n {
        fire.add::<ADD>(&mut v[at..], &w[at..], first + at);
    }
}

fn spike_each(v: &mut [i32], at: usize, mut fired: u64, fire: &Fire<'_>) {
    while fired != 0 {
        let n = at + fired.trailing_zeros() as usize;
        v[n] = fire.after(v[n]);
        fired &= fired - 1;
    }
}

/// See [`super::add_kernel`].
#[target_feature(enable = "avx2")]
pub fn add_kernel(
    sums: &mut [i32],
    kernel: &Kernel,
    shape: (Array, usize),
    addresses: (&[i32], &[i32]),
    sign: Sign,
) -> u64 {
    add_kernel_plain(sums, kernel, shape, addresses, sign)
}
