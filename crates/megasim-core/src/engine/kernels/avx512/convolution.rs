//! Events on kernels of convolutions.

use super::{Crossing, Fire, FireReset, Sign};
use crate::engine::geometry::Span;
use crate::engine::kernels::avx2;
use crate::engine::synapses::Kernel;
use crate::network::Array;
use std::arch::x86_64::*;

/// See [`run_kernel`](crate::engine::kernels::run_kernel).
#[target_feature(enable = "avx512f,popcnt")]
pub fn run_kernel(
    v: &mut [i32],
    kernel: &Kernel,
    shape: (Array, usize),
    addresses: (&[i32], &[i32]),
    sign: Sign,
    fire: &mut Fire<'_>,
) -> u64 {
    if fire.recent.is_some() {
        return avx2::run_kernel(v, kernel, shape, addresses, sign, fire);
    }
    match (sign, fire.reset) {
        (Sign::Plus, FireReset::Subtract) => kernel512::<true, true>(v, kernel, shape, addresses, 0, fire),
        (Sign::Minus, FireReset::Subtract) => kernel512::<false, true>(v, kernel, shape, addresses, 0, fire),
        (Sign::Plus, FireReset::To(rest)) => kernel512::<true, false>(v, kernel, shape, addresses, rest, fire),
        (Sign::Minus, FireReset::To(rest)) => kernel512::<false, false>(v, kernel, shape, addresses, rest, fire),
    }
}

/// Whether a neuron spikes is not asked, as in [`add_rows`](super::add_rows); but here those that did are put side by
/// side at once.
#[inline]
#[target_feature(enable = "avx512f,popcnt")]
fn kernel512<const ADD: bool, const SUBTRACT: bool>(
    v: &mut [i32],
    kernel: &Kernel,
    (array, maps): (Array, usize),
    (x, y): (&[i32], &[i32]),
    rest: i32,
    fire: &mut Fire<'_>,
) -> u64 {
    let mut operations = 0;
    let (upper, rest) = (_mm512_set1_epi32(fire.threshold), _mm512_set1_epi32(rest));
    let weights = &kernel.weights[..];
    let Some(table) = &kernel.spans else {
        for (&x, &y) in x.iter().zip(y) {
            kernel.each_span(array, maps, x, y, |Span { neuron, weight, len }| {
                operations += len as u64;
                let (v, w) = (&mut v[neuron..][..len], &weights[weight..][..len]);
                // SAFETY: both slices have this length.
                unsafe { add_span::<ADD, SUBTRACT>(v.as_mut_ptr(), w.as_ptr(), len, neuron, (upper, rest), fire.hits) };
            });
        }
        return operations;
    };
    assert!(v.len() == table.neurons && weights.len() == table.weights);
    for (&x, &y) in x.iter().zip(y) {
        let reach = table.of(x, y);
        operations += reach.operations();
        for row in 0..reach.rows as usize {
            let Span { neuron, weight, len } = table.span(reach, row);
            // SAFETY: every span of a table ends within `table.neurons` and `table.weights`.
            unsafe {
                let (pv, pw) = (v.as_mut_ptr().add(neuron), weights.as_ptr().add(weight));
                add_span::<ADD, SUBTRACT>(pv, pw, len, neuron, (upper, rest), fire.hits);
            }
        }
    }
    operations
}

/// Adds weights to the potentials of successive neurons, `first` and on, and lets them spike.
///
/// # Safety
/// Both pointers are valid for `len` integers.
#[inline]
#[target_feature(enable = "avx512f,popcnt")]
unsafe fn add_span<const ADD: bool, const SUBTRACT: bool>(
    pv: *mut i32,
    pw: *const i32,
    len: usize,
    first: usize,
    (upper, rest): (__m512i, __m512i),
    hits: &mut Vec<Crossing>,
) {
    let all = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    // A whole vector more than can spike.
    hits.reserve(len + 16);
    let mut spikes = hits.len();
    let noted = hits.as_mut_ptr();
    let sum_of = |old, w| if ADD { _mm512_add_epi32(old, w) } else { _mm512_sub_epi32(old, w) };
    let after = |sum, crossed| match SUBTRACT {
        true => _mm512_mask_sub_epi32(sum, crossed, sum, upper),
        false => _mm512_mask_mov_epi32(sum, crossed, rest),
    };
    for at in (0..len).step_by(16) {
        // SAFETY: masked lanes are neither read nor written, the others are valid. Up to `at` neurons have spiked, and
        // there was room for `at + 16` more. A hit is a transparent u32.
        unsafe {
            // Whole vectors without a mask: what is stored under one is not forwarded to the next load.
            let crossed = if len - at >= 16 {
                let sum = sum_of(_mm512_loadu_si512(pv.add(at).cast()), _mm512_loadu_si512(pw.add(at).cast()));
                let crossed = _mm512_cmpge_epi32_mask(sum, upper);
                _mm512_storeu_si512(pv.add(at).cast(), after(sum, crossed));
                crossed
            } else {
                let lanes: __mmask16 = !0 >> (16 - (len - at));
                let old = _mm512_maskz_loadu_epi32(lanes, pv.add(at));
                let sum = sum_of(old, _mm512_maskz_loadu_epi32(lanes, pw.add(at)));
                let crossed = _mm512_mask_cmpge_epi32_mask(lanes, sum, upper);
                _mm512_mask_storeu_epi32(pv.add(at), lanes, after(sum, crossed));
                crossed
            };
            let neurons = _mm512_add_epi32(all, _mm512_set1_epi32((first + at) as i32));
            _mm512_storeu_si512(noted.add(spikes).cast(), _mm512_maskz_compress_epi32(crossed, neurons));
            spikes += crossed.count_ones() as usize;
        }
    }
    // SAFETY: all up to here are written, and there was room.
    unsafe { hits.set_len(spikes) };
}
