//! Signed neurons: each is tested against two limits of its own.

use super::{BLOCK, Crossing, Instructions, Sign, Variant};
#[cfg(target_arch = "x86_64")]
use super::{avx2, avx512};
use crate::engine::synapses::{Kernel, Span};
use crate::network::Array;

/// Where each of some neurons is to be tested: from the upper potential up, from the lower one down.
#[derive(Debug, Clone, Copy)]
pub struct Limits<'n> {
    /// One a neuron.
    pub upper: &'n [i32],
    /// One a neuron.
    pub lower: &'n [i32],
}

/// `v += sign * w`, cut off at 32 bits where it `saturates`, then the indices (plus `first`) of potentials at or beyond
/// their limits, in rising order.
///
/// # Panics
/// If `w` or a limit is shorter than `v`.
#[inline]
pub fn add_signed(
    variant: Variant,
    v: &mut [i32],
    w: &[i32],
    limits: Limits<'_>,
    (sign, saturates): (Sign, bool),
    first: usize,
    hits: &mut Vec<Crossing>,
) {
    match (sign, saturates) {
        (Sign::Plus, true) => add_signed_plain(v, w, limits, i32::saturating_add, first, hits),
        (Sign::Minus, true) => add_signed_plain(v, w, limits, i32::saturating_sub, first, hits),
        #[cfg(target_arch = "x86_64")]
        (sign, false) if variant.0 == Instructions::Avx512 => {
            // SAFETY: a variant is made only by `Variant::available`, where its instructions were detected.
            unsafe { avx512::add_signed(v, w, limits, sign, first, hits) }
        }
        #[cfg(target_arch = "x86_64")]
        (sign, false) if variant.0 == Instructions::Avx2 => {
            // SAFETY: as above.
            unsafe { avx2::add_signed(v, w, limits, sign, first, hits) }
        }
        (Sign::Plus, false) => add_signed_plain(v, w, limits, i32::wrapping_add, first, hits),
        (Sign::Minus, false) => add_signed_plain(v, w, limits, i32::wrapping_sub, first, hits),
    }
}

/// One event on a kernel for signed neurons, as [`add_signed`] without saturation; returns the number of touched
/// neurons.
///
/// # Panics
/// If there are not as many limits as potentials.
pub(in crate::engine) fn add_signed_kernel(
    variant: Variant,
    v: &mut [i32],
    kernel: &Kernel,
    shape: (Array, usize),
    (x, y, sign): (i32, i32, Sign),
    limits: Limits<'_>,
    hits: &mut Vec<Crossing>,
) -> u64 {
    if let (Some(single), (_, 1)) = (&kernel.single, shape) {
        let Some(tap) = single.tap(x, y) else { return 0 };
        let n = tap.neuron as usize;
        v[n] = sign.add(v[n], tap.weight);
        if v[n] >= limits.upper[n] || v[n] <= limits.lower[n] {
            hits.push(Crossing(tap.neuron));
        }
        return 1;
    }
    #[cfg(target_arch = "x86_64")]
    if let (Instructions::Avx512, Some(table)) = (variant.0, &kernel.spans) {
        // SAFETY: a variant is made only by `Variant::available`, where its instructions were detected.
        return unsafe { avx512::add_signed_kernel(v, &kernel.weights, table, (x, y, sign), limits, hits) };
    }
    let mut operations = 0;
    kernel.each_span(shape.0, shape.1, x, y, |Span { neuron, weight, len }| {
        operations += len as u64;
        let weights = &kernel.weights[weight..][..len];
        let limits = Limits { upper: &limits.upper[neuron..][..len], lower: &limits.lower[neuron..][..len] };
        add_signed(variant, &mut v[neuron..][..len], weights, limits, (sign, false), neuron, hits);
    });
    operations
}

#[inline(always)]
pub(super) fn add_signed_plain(
    v: &mut [i32],
    w: &[i32],
    Limits { upper, lower }: Limits<'_>,
    add: impl Fn(i32, i32) -> i32,
    first: usize,
    hits: &mut Vec<Crossing>,
) {
    let n = v.len();
    let (w, upper, lower) = (&w[..n], &upper[..n], &lower[..n]);
    let blocks = v.chunks_mut(BLOCK).zip(w.chunks(BLOCK)).zip(upper.chunks(BLOCK).zip(lower.chunks(BLOCK)));
    for (block, ((v, w), (upper, lower))) in blocks.enumerate() {
        // Two loops, as compilers do not make vectors of both in one.
        v.iter_mut().zip(w).for_each(|(v, &w)| *v = add(*v, w));
        let beyond = v
            .iter()
            .zip(upper.iter().zip(lower))
            .fold(0, |beyond, (&v, (&upper, &lower))| beyond | i32::from(v >= upper) | i32::from(v <= lower));
        if beyond != 0 {
            let at = first + block * BLOCK;
            let is_beyond = |&k: &usize| v[k] >= upper[k] || v[k] <= lower[k];
            hits.extend((0..v.len()).filter(is_beyond).map(|k| Crossing((at + k) as u32)));
        }
    }
}
