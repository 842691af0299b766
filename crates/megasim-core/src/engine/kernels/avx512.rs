//! The kernels in AVX-512: compare-to-mask by hand, which compilers do not make of "any, then scan".

mod convolution;
mod signed;

pub use convolution::run_kernel;
pub use signed::{add_signed, narrow_in_registers, run_signed_kernel, run_signed_lines, run_signed_narrow};

use super::{Crossing, Fire, FireReset, Sign, Tests, VECTORS, add_kernel_plain, note};
use crate::engine::synapses::{Kernel, NarrowMatrix};
use crate::network::Array;
use std::arch::x86_64::*;
use std::mem::MaybeUninit;

/// See [`super::add_and_test`]; no saturation.
#[target_feature(enable = "avx512f,popcnt")]
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
        (Sign::Plus, Tests::Plus) => wide512::<true, false>(v, w, thresholds, first, hits),
        (Sign::Minus, Tests::Plus) => wide512::<false, false>(v, w, thresholds, first, hits),
        (Sign::Plus, _) => wide512::<true, true>(v, w, thresholds, first, hits),
        (Sign::Minus, _) => wide512::<false, true>(v, w, thresholds, first, hits),
    }
}

#[inline]
#[target_feature(enable = "avx512f,popcnt")]
fn wide512<const ADD: bool, const BOTH: bool>(
    v: &mut [i32],
    w: &[i32],
    (plus, minus): (i32, i32),
    first: usize,
    hits: &mut Vec<Crossing>,
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
            note(mask, first + at, hits);
        }
        at += VECTORS * LANES;
    }
    while at < n {
        let left = (n - at).min(LANES);
        let lanes: __mmask16 = if left == LANES { !0 } else { (1 << left) - 1 };
        // SAFETY: masked lanes are neither read nor written; the others are inside both slices.
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
            note(crossed.into(), first + at, hits);
        }
        at += LANES;
    }
}

/// Most vectors of potentials that stay in registers while a run of events goes over them.
const IN_REGISTERS: usize = 16;

/// How many lines a matrix must have for these. A fold, unlike `max`, looks at many at once.
#[inline]
#[target_feature(enable = "avx512f,popcnt")]
fn furthest(lines: &[u32]) -> usize {
    if lines.is_empty() { 0 } else { lines.iter().fold(0, |furthest: u32, &line| furthest.max(line)) as usize + 1 }
}

/// See [`super::run_lines`].
#[target_feature(enable = "avx512f,popcnt")]
pub fn run_lines(v: &mut [i32], weights: &[i32], lines: &[u32], sign: Sign, fire: &mut Fire<'_>) {
    let n = v.len();
    // Once for all events, so that rows need no tests.
    let furthest = furthest(lines);
    assert!(furthest * n <= weights.len());
    if n > 16 * IN_REGISTERS || sign == Sign::Minus || fire.recent.is_some() {
        match sign {
            Sign::Plus => rows_in_memory::<true>(v, weights, lines, fire),
            Sign::Minus => rows_in_memory::<false>(v, weights, lines, fire),
        }
        return;
    }
    // SAFETY: every line is in the matrix.
    unsafe { rows_of_any_length(v, Rows::Wide(weights.as_ptr(), n), lines, fire) };
}

/// See [`super::run_narrow`].
#[target_feature(enable = "avx512f,popcnt")]
pub fn run_narrow(v: &mut [i32], matrix: &NarrowMatrix, lines: &[u32], sign: Sign, fire: &mut Fire<'_>) {
    let NarrowMatrix { weights, stride } = matrix;
    let furthest = furthest(lines);
    assert!(furthest * stride <= weights.len() && v.len() <= *stride && stride.is_multiple_of(16));
    if v.len() > 16 * IN_REGISTERS || sign == Sign::Minus || fire.recent.is_some() {
        match sign {
            Sign::Plus => narrow_rows_in_memory::<true>(v, matrix, lines, fire),
            Sign::Minus => narrow_rows_in_memory::<false>(v, matrix, lines, fire),
        }
        return;
    }
    // SAFETY: every line is in the matrix, and is padded to whole vectors.
    unsafe { rows_of_any_length(v, Rows::Narrow(weights.as_ptr(), *stride), lines, fire) };
}

/// Where lines of weights start, and how many weights they are apart.
#[derive(Clone, Copy)]
enum Rows {
    Wide(*const i32, usize),
    Narrow(*const i16, usize),
}

/// # Safety
/// `v` has at most 256 neurons; each line has as many weights inside the matrix, narrow ones up to a whole vector.
#[target_feature(enable = "avx512f,popcnt")]
unsafe fn rows_of_any_length(v: &mut [i32], rows: Rows, lines: &[u32], fire: &mut Fire<'_>) {
    macro_rules! in_registers {
        ($($vectors:literal)*) => {
            match (v.len().div_ceil(16), rows, fire.reset) {
                $(
                    // SAFETY: v has $vectors vectors; for the rest see above, here and below.
                    ($vectors, Rows::Wide(base, stride), FireReset::Subtract) => unsafe {
                        rows_in_registers::<$vectors, false, true>(v, base.cast(), stride, lines, 0, fire)
                    },
                    // SAFETY: as above.
                    ($vectors, Rows::Wide(base, stride), FireReset::To(rest)) => unsafe {
                        rows_in_registers::<$vectors, false, false>(v, base.cast(), stride, lines, rest, fire)
                    },
                    // SAFETY: as above.
                    ($vectors, Rows::Narrow(base, stride), FireReset::Subtract) => unsafe {
                        rows_in_registers::<$vectors, true, true>(v, base.cast(), stride, lines, 0, fire)
                    },
                    // SAFETY: as above.
                    ($vectors, Rows::Narrow(base, stride), FireReset::To(rest)) => unsafe {
                        rows_in_registers::<$vectors, true, false>(v, base.cast(), stride, lines, rest, fire)
                    },
                )*
                _ => {}
            }
        };
    }
    const { assert!(IN_REGISTERS == 16) };
    in_registers!(1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16);
}

/// How many lines are added before the neurons that crossed are looked up.
const LINES: usize = 64;

/// The neurons that crossed, line by line: a bit each, in as many words as [`words_of`] says. Only what was written is
/// read.
type Crossings = [MaybeUninit<u64>; 4 * LINES];

/// Words of a line of `vectors` vectors: a power of two.
const fn words_of(vectors: usize) -> usize {
    vectors.div_ceil(4).next_power_of_two()
}

/// # Safety
/// As [`add_rows`].
#[inline]
#[target_feature(enable = "avx512f,popcnt")]
unsafe fn rows_in_registers<const V: usize, const NARROW: bool, const SUBTRACT: bool>(
    v: &mut [i32],
    base: *const u8,
    stride: usize,
    lines: &[u32],
    rest: i32,
    fire: &mut Fire<'_>,
) {
    let mut crossings = [const { MaybeUninit::uninit() }; 4 * LINES];
    for some in lines.chunks(LINES) {
        // SAFETY: the caller's promise; these words are written.
        unsafe {
            add_rows::<V, NARROW, SUBTRACT>(v, (base, stride), some, (fire.threshold, rest), &mut crossings);
            note_crossings(&crossings, some.len() * words_of(V), words_of(V), fire.hits);
        }
    }
}

/// Adds up to `LINES` lines with the potentials in registers; a spike subtracts the threshold, or leaves `rest`.
/// Whether a neuron spikes is not asked, which no branch could predict: all that crossed are set back under a mask, and
/// the masks are kept. A separate function, so that no call inside it costs registers.
///
/// # Safety
/// `v` is longer than `16 * (V - 1)` and at most `16 * V`. Each line starts `line * stride` weights after `base`, of 16
/// bits if `NARROW` and else of 32; wide ones have `v.len()` weights inside the matrix, narrow ones `16 * V`. No least
/// time between spikes is kept.
#[inline(never)]
#[target_feature(enable = "avx512f,popcnt")]
unsafe fn add_rows<const V: usize, const NARROW: bool, const SUBTRACT: bool>(
    v: &mut [i32],
    (base, stride): (*const u8, usize),
    lines: &[u32],
    (threshold, rest): (i32, i32),
    crossings: &mut Crossings,
) {
    assert!(lines.len() <= LINES);
    let n = v.len();
    let size = if NARROW { 2 } else { 4 };
    let tail: __mmask16 = !0 >> (16 * V - n);
    let lanes = |c: usize| if c + 1 == V { tail } else { !0 };
    let upper = _mm512_set1_epi32(threshold);
    let rest = _mm512_set1_epi32(rest);
    let mut potentials = [_mm512_setzero_si512(); V];
    for (c, potential) in potentials.iter_mut().enumerate() {
        // SAFETY: masked lanes are not read, the others are in v.
        *potential = unsafe { _mm512_maskz_loadu_epi32(lanes(c), v.as_ptr().add(16 * c)) };
    }
    let words = const { words_of(V) };
    for (k, &line) in lines.iter().enumerate() {
        if let Some(&ahead) = lines.get(k + 4) {
            for c in 0..if NARROW { V.div_ceil(2) } else { V } {
                // A line of the cache each; a prefetch may point anywhere.
                _mm_prefetch::<_MM_HINT_T0>(base.wrapping_add(ahead as usize * stride * size + 64 * c).cast());
            }
        }
        // SAFETY: k < LINES and words <= 4.
        let masks: *mut u16 = unsafe { crossings.as_mut_ptr().add(k * words).cast() };
        for (c, potential) in potentials.iter_mut().enumerate() {
            // SAFETY: masked lanes are not read, the others are in the line.
            let weight = unsafe {
                let at = base.add((line as usize * stride + 16 * c) * size);
                if NARROW {
                    _mm512_cvtepi16_epi32(_mm256_loadu_si256(at.cast()))
                } else {
                    _mm512_maskz_loadu_epi32(lanes(c), at.cast())
                }
            };
            let sum = _mm512_add_epi32(*potential, weight);
            let crossed = _mm512_cmpge_epi32_mask(sum, upper);
            *potential = if SUBTRACT {
                _mm512_mask_sub_epi32(sum, crossed, sum, upper)
            } else {
                _mm512_mask_mov_epi32(sum, crossed, rest)
            };
            // SAFETY: c < V <= 4 * words.
            unsafe { masks.add(c).write(crossed) };
        }
        for c in V..4 * words {
            // SAFETY: as above.
            unsafe { masks.add(c).write(0) };
        }
    }
    for (c, &potential) in potentials.iter().enumerate() {
        // SAFETY: masked lanes are not written, the others are in v.
        unsafe { _mm512_mask_storeu_epi32(v.as_mut_ptr().add(16 * c), lanes(c), potential) };
    }
}

/// Notes the neurons that crossed: bit `b` of word `k` is neuron `(k & (per_line - 1)) * 64 + b`. Words without spikes,
/// nearly all, cost almost nothing: the others are put side by side first.
///
/// # Safety
/// `count` words were written.
#[inline(never)]
#[target_feature(enable = "avx512f,popcnt")]
unsafe fn note_crossings(crossings: &Crossings, count: usize, per_line: usize, hits: &mut Vec<Crossing>) {
    assert!(count <= crossings.len());
    if count <= 8 {
        // So few that it does not pay; and they are still on their way to memory, from where narrow loads get them
        // sooner.
        for (k, word) in crossings.iter().enumerate().take(count) {
            // SAFETY: written.
            let mut word = unsafe { word.assume_init() };
            while word != 0 {
                hits.push(Crossing(((k & (per_line - 1)) * 64) as u32 + word.trailing_zeros()));
                word &= word - 1;
            }
        }
        return;
    }
    let mut found = [const { MaybeUninit::<u64>::uninit() }; 4 * LINES + 8];
    let mut places = [const { MaybeUninit::<u64>::uninit() }; 4 * LINES + 8];
    let mut n = 0;
    let lanes = _mm512_setr_epi64(0, 1, 2, 3, 4, 5, 6, 7);
    let inside = _mm512_set1_epi64(per_line as i64 - 1);
    // 8 is a multiple of the words of a line, so that each vector starts with a line's first.
    let place = _mm512_slli_epi64::<6>(_mm512_and_si512(lanes, inside));
    for at in (0..count).step_by(8) {
        let valid: __mmask8 = !0 >> (8 - (count - at).min(8));
        // SAFETY: masked lanes are not read, the others were written; n <= at, and both arrays have 8 words more.
        unsafe {
            let words = _mm512_maskz_loadu_epi64(valid, crossings.as_ptr().add(at).cast());
            let any = _mm512_test_epi64_mask(words, words);
            _mm512_storeu_si512(found.as_mut_ptr().add(n).cast(), _mm512_maskz_compress_epi64(any, words));
            _mm512_storeu_si512(places.as_mut_ptr().add(n).cast(), _mm512_maskz_compress_epi64(any, place));
            n += any.count_ones() as usize;
        }
    }
    // SAFETY: the first n of both were written, and u64 has no invalid values.
    let (found, places): (&[u64], &[u64]) = unsafe {
        (std::slice::from_raw_parts(found.as_ptr().cast(), n), std::slice::from_raw_parts(places.as_ptr().cast(), n))
    };
    let total = found.iter().map(|word| word.count_ones() as usize).sum();
    hits.reserve(total);
    let mut room = hits.spare_capacity_mut().iter_mut();
    for (&word, &place) in found.iter().zip(places) {
        let mut word = word;
        while word != 0 {
            if let Some(room) = room.next() {
                room.write(Crossing(place as u32 + word.trailing_zeros()));
            }
            word &= word - 1;
        }
    }
    // SAFETY: one was written for each bit.
    unsafe { hits.set_len(hits.len() + total) };
}

/// Notes the neurons `first + k`, `k` the bits of a mask, that may spike, and returns them: without a branch on how
/// many there are, which nothing could predict.
#[inline]
#[target_feature(enable = "avx512f,popcnt")]
fn spikes512(fire: &mut Fire<'_>, crossed: __mmask16, first: usize) -> __mmask16 {
    if fire.recent.is_some() {
        return if crossed == 0 { 0 } else { fire.admit(crossed.into(), first) as __mmask16 };
    }
    let lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    let neurons = _mm512_maskz_compress_epi32(crossed, _mm512_add_epi32(lanes, _mm512_set1_epi32(first as i32)));
    fire.hits.reserve(16);
    let len = fire.hits.len();
    // SAFETY: there is room for 16 more; the first of them, as many as bits are set, are written. A hit is a
    // transparent u32.
    unsafe {
        _mm512_storeu_si512(fire.hits.as_mut_ptr().add(len).cast(), neurons);
        fire.hits.set_len(len + crossed.count_ones() as usize);
    }
    crossed
}

#[inline]
#[target_feature(enable = "avx512f,popcnt")]
fn after512(v: __m512i, fired: __mmask16, threshold: __m512i, reset: FireReset) -> __m512i {
    match reset {
        FireReset::Subtract => _mm512_mask_sub_epi32(v, fired, v, threshold),
        FireReset::To(rest) => _mm512_mask_set1_epi32(v, fired, rest),
    }
}

#[inline]
#[target_feature(enable = "avx512f,popcnt")]
fn narrow_rows_in_memory<const ADD: bool>(
    v: &mut [i32],
    NarrowMatrix { weights, stride }: &NarrowMatrix,
    lines: &[u32],
    fire: &mut Fire<'_>,
) {
    let n = v.len();
    let upper = _mm512_set1_epi32(fire.threshold);
    let pv = v.as_mut_ptr();
    for (k, &line) in lines.iter().enumerate() {
        let ahead = lines.get(k + 1).copied().unwrap_or(line);
        let row = &weights[line as usize * stride..][..*stride];
        for at in (0..n).step_by(16) {
            if at % 32 == 0 {
                _mm_prefetch::<_MM_HINT_T0>(weights.as_ptr().wrapping_add(ahead as usize * stride + at).cast());
            }
            let lanes: __mmask16 = !0 >> (16 - (n - at).min(16));
            // SAFETY: masked potentials are neither read nor written, the others are in v; a row is padded to whole
            // vectors.
            unsafe {
                let old = _mm512_maskz_loadu_epi32(lanes, pv.add(at));
                let weight = _mm512_cvtepi16_epi32(_mm256_loadu_si256(row.as_ptr().add(at).cast()));
                let mut sum = if ADD { _mm512_add_epi32(old, weight) } else { _mm512_sub_epi32(old, weight) };
                let crossed = _mm512_mask_cmpge_epi32_mask(lanes, sum, upper);
                if crossed != 0 {
                    let fired = spikes512(fire, crossed, at);
                    sum = after512(sum, fired, upper, fire.reset);
                }
                _mm512_mask_storeu_epi32(pv.add(at), lanes, sum);
            }
        }
    }
}

#[inline]
#[target_feature(enable = "avx512f,popcnt")]
fn rows_in_memory<const ADD: bool>(v: &mut [i32], weights: &[i32], lines: &[u32], fire: &mut Fire<'_>) {
    let n = v.len();
    for (k, &line) in lines.iter().enumerate() {
        let ahead = lines.get(k + 1).copied().unwrap_or(line);
        let ahead = weights.as_ptr().wrapping_add(ahead as usize * n);
        stretch512::<ADD>(v, &weights[line as usize * n..][..n], ahead, fire);
    }
}

/// Adds one line and lets neurons spike; `ahead` is where the next one will read.
#[inline]
#[target_feature(enable = "avx512f,popcnt")]
fn stretch512<const ADD: bool>(v: &mut [i32], w: &[i32], ahead: *const i32, fire: &mut Fire<'_>) {
    const LANES: usize = 16;
    assert_eq!(v.len(), w.len());
    let n = v.len();
    let upper = _mm512_set1_epi32(fire.threshold);
    let (pv, pw) = (v.as_mut_ptr(), w.as_ptr());
    let mut at = 0;
    while at + VECTORS * LANES <= n {
        let mut sums = [_mm512_setzero_si512(); VECTORS];
        let mut crossed = [0; VECTORS];
        for k in 0..VECTORS {
            _mm_prefetch::<_MM_HINT_T0>(ahead.wrapping_add(at + k * LANES).cast());
            // SAFETY: at + VECTORS * LANES <= n, the length of both slices.
            unsafe {
                let pv = pv.add(at + k * LANES);
                let old = _mm512_loadu_si512(pv.cast());
                let weight = _mm512_loadu_si512(pw.add(at + k * LANES).cast());
                sums[k] = if ADD { _mm512_add_epi32(old, weight) } else { _mm512_sub_epi32(old, weight) };
                _mm512_storeu_si512(pv.cast(), sums[k]);
            }
            crossed[k] = _mm512_cmpge_epi32_mask(sums[k], upper);
        }
        if crossed.iter().fold(0, |any, crossed| any | crossed) != 0 {
            for k in 0..VECTORS {
                let fired = spikes512(fire, crossed[k], at + k * LANES);
                let after = after512(sums[k], fired, upper, fire.reset);
                // SAFETY: as above.
                unsafe { _mm512_storeu_si512(pv.add(at + k * LANES).cast(), after) };
            }
        }
        at += VECTORS * LANES;
    }
    while at < n {
        let left = (n - at).min(LANES);
        let lanes: __mmask16 = !0 >> (LANES - left);
        // SAFETY: masked lanes are neither read nor written; the others are inside both slices.
        unsafe {
            let old = _mm512_maskz_loadu_epi32(lanes, pv.add(at));
            let weight = _mm512_maskz_loadu_epi32(lanes, pw.add(at));
            let mut sum = if ADD { _mm512_add_epi32(old, weight) } else { _mm512_sub_epi32(old, weight) };
            let crossed = _mm512_cmpge_epi32_mask(sum, upper);
            if crossed != 0 {
                let fired = spikes512(fire, crossed, at);
                sum = after512(sum, fired, upper, fire.reset);
            }
            _mm512_mask_storeu_epi32(pv.add(at), lanes, sum);
        }
        at += LANES;
    }
}

/// See [`super::add_kernel`].
#[target_feature(enable = "avx512f,popcnt")]
pub fn add_kernel(
    sums: &mut [i32],
    kernel: &Kernel,
    shape: (Array, usize),
    addresses: (&[i32], &[i32]),
    sign: Sign,
) -> u64 {
    add_kernel_plain(sums, kernel, shape, addresses, sign)
}
