//! Events for signed neurons.

use super::{LINES, furthest};
use crate::engine::geometry::Span;
use crate::engine::kernels::{Sign, SignedFire, SignedSpike};
use crate::engine::neurons::Signs;
use crate::engine::spans::SpanTable;
use crate::engine::synapses::NarrowMatrix;
use crate::network::Polarity;
use std::arch::x86_64::*;
use std::mem::MaybeUninit;

/// The two rules of signed neurons, in vectors; `BOUNDED`: counts have a maximum.
#[derive(Clone, Copy)]
struct Rules<const BOUNDED: bool> {
    threshold: __m512i,
    /// A spike is taken back below it.
    floor: __m512i,
    min_count: __m512i,
    max_count: __m512i,
    one: __m512i,
}

/// Which neurons of a vector spike, and which take a spike back.
#[derive(Clone, Copy)]
struct Fired {
    up: __mmask16,
    down: __mmask16,
}

impl Fired {
    #[inline(always)]
    fn any(self) -> __mmask16 {
        self.up | self.down
    }
}

impl<const BOUNDED: bool> Rules<BOUNDED> {
    #[inline]
    #[target_feature(enable = "avx512f,popcnt")]
    fn new(fire: &SignedFire<'_>) -> Self {
        Self {
            threshold: _mm512_set1_epi32(fire.threshold),
            floor: _mm512_set1_epi32(-fire.rules.hysteresis),
            min_count: _mm512_set1_epi32(fire.rules.min_count),
            max_count: _mm512_set1_epi32(fire.rules.max_count),
            one: _mm512_set1_epi32(1),
        }
    }

    /// The neurons for which a rule holds.
    #[inline]
    #[target_feature(enable = "avx512f,popcnt")]
    fn beyond(&self, v: __m512i, counts: __m512i) -> Fired {
        let up = _mm512_cmpge_epi32_mask(v, self.threshold);
        let down = _mm512_cmplt_epi32_mask(v, self.floor);
        Fired {
            up: if BOUNDED { _mm512_mask_cmplt_epi32_mask(up, counts, self.max_count) } else { up },
            down: _mm512_mask_cmpgt_epi32_mask(down, counts, self.min_count),
        }
    }

    /// Whether one of those that fired could once more.
    #[inline]
    #[target_feature(enable = "avx512f,popcnt")]
    fn may_repeat(&self, v: __m512i, fired: Fired) -> bool {
        let up = _mm512_mask_cmpge_epi32_mask(fired.up, v, self.threshold);
        up | _mm512_mask_cmplt_epi32_mask(fired.down, v, self.floor) != 0
    }

    /// Potentials and counts after a spike of those that fired.
    #[inline]
    #[target_feature(enable = "avx512f,popcnt")]
    fn after(&self, v: __m512i, counts: __m512i, fired: Fired) -> (__m512i, __m512i) {
        let v = _mm512_mask_sub_epi32(v, fired.up, v, self.threshold);
        let counts = _mm512_mask_add_epi32(counts, fired.up, counts, self.one);
        (
            _mm512_mask_add_epi32(v, fired.down, v, self.threshold),
            _mm512_mask_sub_epi32(counts, fired.down, counts, self.one),
        )
    }
}

#[inline]
#[target_feature(enable = "avx512f,popcnt")]
fn sum_of<const ADD: bool>(v: __m512i, w: __m512i) -> __m512i {
    if ADD { _mm512_add_epi32(v, w) } else { _mm512_sub_epi32(v, w) }
}

/// See [`add_signed`](crate::engine::kernels::add_signed); no saturation.
///
/// # Panics
/// If `w` is shorter than `v`, or there are fewer counts.
#[target_feature(enable = "avx512f,popcnt")]
pub fn add_signed(v: &mut [i32], w: &[i32], sign: Sign, first: usize, fire: &mut SignedFire<'_>) {
    let len = v.len();
    assert!(w.len() >= len && fire.counts[first..].len() >= len);
    let spans = [Span { neuron: 0, weight: 0, len }];
    // SAFETY: the span ends where the slices end, and there are as many counts from `first` on.
    unsafe { add_event_of(v.as_mut_ptr(), w.as_ptr(), spans.into_iter(), (first, len), sign, fire) };
}

/// See [`run_signed_kernel`](crate::engine::kernels::run_signed_kernel).
#[target_feature(enable = "avx512f,popcnt")]
pub fn run_signed_kernel(
    v: &mut [i32],
    weights: &[i32],
    table: &SpanTable,
    addresses: (&[i32], &[i32]),
    sign: Sign,
    fire: &mut SignedFire<'_>,
) -> u64 {
    assert!(v.len() == table.neurons && fire.counts.len() == v.len() && weights.len() == table.weights);
    match (sign, is_bounded(fire), fire.repeats) {
        (Sign::Plus, false, false) => run_events::<true, false, false>(v, weights, table, addresses, fire),
        (Sign::Minus, false, false) => run_events::<false, false, false>(v, weights, table, addresses, fire),
        (Sign::Plus, true, false) => run_events::<true, true, false>(v, weights, table, addresses, fire),
        (Sign::Minus, true, false) => run_events::<false, true, false>(v, weights, table, addresses, fire),
        (Sign::Plus, _, true) => run_events::<true, true, true>(v, weights, table, addresses, fire),
        (Sign::Minus, _, true) => run_events::<false, true, true>(v, weights, table, addresses, fire),
    }
}

#[inline]
#[target_feature(enable = "avx512f,popcnt")]
fn run_events<const ADD: bool, const BOUNDED: bool, const REPEATS: bool>(
    v: &mut [i32],
    weights: &[i32],
    table: &SpanTable,
    (x, y): (&[i32], &[i32]),
    fire: &mut SignedFire<'_>,
) -> u64 {
    let mut operations = 0;
    let rules = Rules::<BOUNDED>::new(fire);
    for (&x, &y) in x.iter().zip(y) {
        let reach = table.of(x, y);
        operations += reach.operations();
        let spans = (0..reach.rows as usize).map(|row| table.span(reach, row));
        let (pv, pw) = (v.as_mut_ptr(), weights.as_ptr());
        let most = (0, reach.operations() as usize);
        // SAFETY: every span of a table ends within `table.neurons` and `table.weights`.
        unsafe { add_event::<ADD, BOUNDED, REPEATS>(pv, pw, spans, most, &rules, fire) };
    }
    operations
}

/// # Safety
/// As [`add_event`].
#[inline]
#[target_feature(enable = "avx512f,popcnt")]
unsafe fn add_event_of(
    pv: *mut i32,
    pw: *const i32,
    spans: impl Iterator<Item = Span>,
    most: (usize, usize),
    sign: Sign,
    fire: &mut SignedFire<'_>,
) {
    // SAFETY: the caller's promise.
    unsafe {
        match (sign, is_bounded(fire), fire.repeats) {
            (Sign::Plus, false, false) => {
                add_event::<true, false, false>(pv, pw, spans, most, &Rules::new(fire), fire);
            }
            (Sign::Minus, false, false) => {
                add_event::<false, false, false>(pv, pw, spans, most, &Rules::new(fire), fire);
            }
            (Sign::Plus, ..) => add_event::<true, true, true>(pv, pw, spans, most, &Rules::new(fire), fire),
            (Sign::Minus, ..) => add_event::<false, true, true>(pv, pw, spans, most, &Rules::new(fire), fire),
        }
    }
}

/// Adds weights to the potentials of spans of neurons, which are counted from `first` on and have no neuron in common,
/// and lets them spike. Whether one does is not asked, which no branch could predict: potentials and counts change
/// under masks, and the spikes are put next to each other at once.
///
/// # Safety
/// Spans have `most` neurons together. They end inside what `pv` and `pw` are valid for, and inside the counts from
/// `first` on.
#[inline]
#[target_feature(enable = "avx512f,popcnt")]
unsafe fn add_event<const ADD: bool, const BOUNDED: bool, const REPEATS: bool>(
    pv: *mut i32,
    pw: *const i32,
    spans: impl Iterator<Item = Span>,
    (first, most): (usize, usize),
    rules: &Rules<BOUNDED>,
    fire: &mut SignedFire<'_>,
) {
    // A whole vector more than can spike.
    fire.spikes.reserve(most + 16);
    let mut len = fire.spikes.len();
    let mut noted = fire.spikes.as_mut_ptr();
    let counts = fire.counts.as_mut_ptr();
    for Span { neuron, weight, len: n } in spans {
        for at in (0..n).step_by(16) {
            let index = first + neuron + at;
            // SAFETY: masked lanes are neither read nor written; the others are valid. At most as many spikes were
            // written as there were neurons, and there was room for `most + 16`.
            unsafe {
                let (pv, pw, pc) = (pv.add(neuron + at), pw.add(weight + at), counts.add(index));
                // Whole vectors without a mask: what is stored under one is not forwarded to the next load.
                let fired = if n - at >= 16 {
                    let sum = sum_of::<ADD>(_mm512_loadu_epi32(pv), _mm512_loadu_epi32(pw));
                    let counts = _mm512_loadu_epi32(pc);
                    let fired = rules.beyond(sum, counts);
                    if REPEATS && fired.any() == 0 {
                        // In clocked mode nearly always.
                        _mm512_storeu_epi32(pv, sum);
                        continue;
                    }
                    let (v, counts) = rules.after(sum, counts, fired);
                    if REPEATS && rules.may_repeat(v, fired) {
                        _mm512_storeu_epi32(pv, sum);
                        fire.spikes.set_len(len);
                        apply_each(pv, index, fired.any(), fire);
                        (len, noted) = (fire.spikes.len(), fire.spikes.as_mut_ptr());
                        continue;
                    }
                    _mm512_storeu_epi32(pv, v);
                    _mm512_storeu_epi32(pc, counts);
                    fired
                } else {
                    let lanes: __mmask16 = !0 >> (16 - (n - at));
                    let sum = sum_of::<ADD>(_mm512_maskz_loadu_epi32(lanes, pv), _mm512_maskz_loadu_epi32(lanes, pw));
                    let counts = _mm512_maskz_loadu_epi32(lanes, pc);
                    let Fired { up, down } = rules.beyond(sum, counts);
                    let fired = Fired { up: up & lanes, down: down & lanes };
                    let (v, counts) = rules.after(sum, counts, fired);
                    if REPEATS && rules.may_repeat(v, fired) {
                        _mm512_mask_storeu_epi32(pv, lanes, sum);
                        fire.spikes.set_len(len);
                        apply_each(pv, index, fired.any(), fire);
                        (len, noted) = (fire.spikes.len(), fire.spikes.as_mut_ptr());
                        continue;
                    }
                    _mm512_mask_storeu_epi32(pv, lanes, v);
                    _mm512_mask_storeu_epi32(pc, lanes, counts);
                    fired
                };
                let all = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
                let neurons = _mm512_add_epi32(all, _mm512_set1_epi32(index as i32));
                let negative = _mm512_set1_epi32(SignedSpike::NEGATIVE as i32);
                let spikes = _mm512_mask_or_epi32(neurons, fired.down, neurons, negative);
                // A spike is a transparent u32.
                _mm512_storeu_epi32(noted.add(len).cast(), _mm512_maskz_compress_epi32(fired.any(), spikes));
                len += fired.any().count_ones() as usize;
            }
        }
    }
    // SAFETY: all up to here are written, and there was room.
    unsafe { fire.spikes.set_len(len) };
}

/// Lets neurons of a vector spike more than once, in rare cases; afterwards there is room for all neurons again.
///
/// # Safety
/// `pv` is valid for the neurons that the mask has.
#[cold]
unsafe fn apply_each(pv: *mut i32, first: usize, mut mask: __mmask16, fire: &mut SignedFire<'_>) {
    while mask != 0 {
        let k = mask.trailing_zeros() as usize;
        mask &= mask - 1;
        // SAFETY: the caller's promise.
        unsafe { *pv.add(k) = fire.apply(*pv.add(k), first + k) };
    }
    fire.spikes.reserve(fire.counts.len() + 16);
}

/// Most vectors of potentials that stay in registers, with as many of counts, while events go over them.
const IN_REGISTERS: usize = 8;

/// Vectors of neurons up to which a matrix is worked on in such blocks.
const MOST_VECTORS: usize = 64 * IN_REGISTERS;

/// Words that say which neurons spiked.
const WORDS: usize = LINES * 4 * IN_REGISTERS;

/// Whether counts have a maximum that they may reach in a run: without one they reach 2^31 in none.
fn is_bounded(fire: &SignedFire<'_>) -> bool {
    fire.rules.max_count < i32::MAX
}

/// Whether [`run_signed_narrow`] takes these.
pub fn narrow_in_registers(v: &[i32], fire: &SignedFire<'_>) -> bool {
    v.len() <= 16 * MOST_VECTORS && !fire.repeats
}

/// See [`run_signed_lines`](crate::engine::kernels::run_signed_lines).
#[target_feature(enable = "avx512f,popcnt")]
pub fn run_signed_lines(
    v: &mut [i32],
    weights: &[i32],
    (lines, signs): (&[u32], Signs<'_>),
    fire: &mut SignedFire<'_>,
) {
    let n = v.len();
    // Once for all events, so that rows need no tests.
    assert!(furthest(lines) * n <= weights.len() && fire.counts.len() == n);
    if n > 16 * MOST_VECTORS || fire.repeats {
        for (run, sign) in signs.runs(0..lines.len()) {
            for &line in &lines[run] {
                // SAFETY: the line is in the matrix.
                unsafe {
                    let spans = [Span { neuron: 0, weight: line as usize * n, len: n }];
                    add_event_of(v.as_mut_ptr(), weights.as_ptr(), spans.into_iter(), (0, n), sign, fire);
                }
            }
        }
        return;
    }
    // SAFETY: every line is in the matrix.
    unsafe { run_blocks_of::<false>(v, (weights.as_ptr().cast(), n), (lines, signs), fire) };
}

/// See [`run_signed_narrow`](crate::engine::kernels::run_signed_narrow).
///
/// # Panics
/// If [`narrow_in_registers`] says no.
#[target_feature(enable = "avx512f,popcnt")]
pub fn run_signed_narrow(
    v: &mut [i32],
    NarrowMatrix { weights, stride }: &NarrowMatrix,
    (lines, signs): (&[u32], Signs<'_>),
    fire: &mut SignedFire<'_>,
) {
    assert!(narrow_in_registers(v, fire) && fire.counts.len() == v.len());
    assert!(furthest(lines) * stride <= weights.len() && v.len() <= *stride && stride.is_multiple_of(16));
    // SAFETY: every line is in the matrix, and is padded to whole vectors.
    unsafe { run_blocks_of::<true>(v, (weights.as_ptr().cast(), *stride), (lines, signs), fire) };
}

/// Which neurons spiked: for each line as many words as there are vectors, each with [`Fired::up`] in the low half and
/// [`Fired::down`] in the high one. Only what was written is read.
type Spiked = [MaybeUninit<u32>; WORDS];

/// # Safety
/// As [`run_blocks`].
#[target_feature(enable = "avx512f,popcnt")]
unsafe fn run_blocks_of<const NARROW: bool>(
    v: &mut [i32],
    weights: (*const u8, usize),
    lines: (&[u32], Signs<'_>),
    fire: &mut SignedFire<'_>,
) {
    // SAFETY: the caller's promise.
    unsafe {
        if is_bounded(fire) {
            run_blocks::<NARROW, true>(v, weights, lines, fire);
        } else {
            run_blocks::<NARROW, false>(v, weights, lines, fire);
        }
    }
}

/// Block after block of neurons takes some events; then the spikes are put in order of the events.
///
/// # Safety
/// At most `16 * MOST_VECTORS` neurons, none of which can spike twice by one event, and as many counts. Each line
/// starts `line * stride` weights after `base`, of 16 bits if `NARROW` and else of 32; wide ones have `v.len()` weights
/// inside the matrix, narrow ones up to a whole vector.
#[target_feature(enable = "avx512f,popcnt")]
unsafe fn run_blocks<const NARROW: bool, const BOUNDED: bool>(
    v: &mut [i32],
    (base, stride): (*const u8, usize),
    (lines, signs): (&[u32], Signs<'_>),
    fire: &mut SignedFire<'_>,
) {
    let rules = Rules::<BOUNDED>::new(fire);
    let size = if NARROW { 2 } else { 4 };
    let vectors = v.len().div_ceil(16);
    let mut spiked: Spiked = [const { MaybeUninit::uninit() }; WORDS];
    let at_once = (WORDS / vectors.max(1)).min(LINES);
    for start in (0..lines.len()).step_by(at_once) {
        let range = start..lines.len().min(start + at_once);
        let some = (&lines[range.clone()], signs.slice(range));
        let blocks = v.chunks_mut(16 * IN_REGISTERS).zip(fire.counts.chunks_mut(16 * IN_REGISTERS));
        for (block, (v, counts)) in blocks.enumerate() {
            let first = block * IN_REGISTERS;
            let weights = (base.wrapping_add(16 * first * size), stride);
            let spiked = (&mut spiked[first..], vectors);
            macro_rules! in_registers {
                ($($vectors:literal)*) => {
                    match v.len().div_ceil(16) {
                        // SAFETY: the length is that of `$vectors` vectors; the rest is the caller's promise.
                        $($vectors => unsafe {
                            add_rows::<$vectors, NARROW, BOUNDED>((v, counts), weights, some, rules, spiked)
                        },)*
                        _ => {}
                    }
                };
            }
            const { assert!(IN_REGISTERS == 8) };
            in_registers!(1 2 3 4 5 6 7 8);
        }
        // SAFETY: the blocks have written a word for each line and vector.
        unsafe { note_lines(&spiked, some.0.len() * vectors, vectors, fire) };
    }
}

/// Adds up to `LINES` lines with potentials and counts in registers. A separate function, so that no call inside it
/// costs registers.
///
/// # Safety
/// `v` and the counts are longer than `16 * (V - 1)` and at most `16 * V`; for the lines see [`run_blocks`]. There is
/// room for a word per line, `vectors` apart, and `V` of the last one.
#[inline(never)]
#[target_feature(enable = "avx512f,popcnt")]
unsafe fn add_rows<const V: usize, const NARROW: bool, const BOUNDED: bool>(
    (v, counts): (&mut [i32], &mut [i32]),
    (base, stride): (*const u8, usize),
    (lines, signs): (&[u32], Signs<'_>),
    rules: Rules<BOUNDED>,
    (spiked, vectors): (&mut [MaybeUninit<u32>], usize),
) {
    let n = v.len();
    assert!(lines.len() <= LINES && counts.len() == n && n > 16 * (V - 1) && n <= 16 * V);
    assert!((lines.len().max(1) - 1) * vectors + V <= spiked.len());
    let size = if NARROW { 2 } else { 4 };
    let tail: __mmask16 = !0 >> (16 * V - n);
    let lanes = |c: usize| if c + 1 == V { tail } else { !0 };
    let mut potentials = [_mm512_setzero_si512(); V];
    let mut counted = [_mm512_setzero_si512(); V];
    for c in 0..V {
        // SAFETY: masked lanes are not read, the others are in both.
        unsafe {
            potentials[c] = _mm512_maskz_loadu_epi32(lanes(c), v.as_ptr().add(16 * c));
            counted[c] = _mm512_maskz_loadu_epi32(lanes(c), counts.as_ptr().add(16 * c));
        }
    }
    for (k, &line) in lines.iter().enumerate() {
        if let Some(&ahead) = lines.get(k + 4) {
            for c in 0..if NARROW { V.div_ceil(2) } else { V } {
                // A line of the cache each; a prefetch may point anywhere.
                _mm_prefetch::<_MM_HINT_T0>(base.wrapping_add(ahead as usize * stride * size + 64 * c).cast());
            }
        }
        let is_negative = match signs {
            Signs::All(sign) => sign == Sign::Minus,
            Signs::Each(polarity) => polarity.get(k) == Some(&Polarity::Negative),
        };
        macro_rules! add_row {
            ($sum:ident) => {
                for c in 0..V {
                    // SAFETY: masked lanes are not read, the others are in the line.
                    let weight = unsafe {
                        let at = base.add((line as usize * stride + 16 * c) * size);
                        if NARROW {
                            _mm512_cvtepi16_epi32(_mm256_loadu_si256(at.cast()))
                        } else {
                            _mm512_maskz_loadu_epi32(lanes(c), at.cast())
                        }
                    };
                    let sum = $sum(potentials[c], weight);
                    let mut fired = rules.beyond(sum, counted[c]);
                    if c + 1 == V {
                        fired = Fired { up: fired.up & tail, down: fired.down & tail };
                    }
                    (potentials[c], counted[c]) = rules.after(sum, counted[c], fired);
                    // SAFETY: asserted above.
                    unsafe {
                        let word = u32::from(fired.up) | u32::from(fired.down) << 16;
                        spiked.get_unchecked_mut(k * vectors + c).write(word);
                    }
                }
            };
        }
        if is_negative {
            add_row!(_mm512_sub_epi32);
        } else {
            add_row!(_mm512_add_epi32);
        }
    }
    for c in 0..V {
        // SAFETY: masked lanes are not written, the others are in both.
        unsafe {
            _mm512_mask_storeu_epi32(v.as_mut_ptr().add(16 * c), lanes(c), potentials[c]);
            _mm512_mask_storeu_epi32(counts.as_mut_ptr().add(16 * c), lanes(c), counted[c]);
        }
    }
}

/// Notes the spikes of some lines, each of `vectors` words. Words without spikes, nearly all, cost almost nothing.
///
/// # Safety
/// `count` words were written.
#[inline(never)]
#[target_feature(enable = "avx512f,popcnt")]
unsafe fn note_lines(spiked: &Spiked, count: usize, vectors: usize, fire: &mut SignedFire<'_>) {
    assert!(count <= spiked.len());
    // The first neuron of the vector of each word.
    let lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    let width = _mm512_set1_epi32(vectors as i32);
    let wrap = |vector| _mm512_mask_sub_epi32(vector, _mm512_cmpge_epi32_mask(vector, width), vector, width);
    let mut vector = lanes;
    // Less than `vectors` each, of which there may be 1.
    for _ in 0..16 {
        vector = wrap(vector);
    }
    let step = _mm512_set1_epi32((16 % vectors) as i32);
    let mut words = [0_u32; 16];
    let mut places = [0_u32; 16];
    fire.spikes.reserve(16 * count);
    for at in (0..count).step_by(16) {
        let valid: __mmask16 = !0 >> (16 - (count - at).min(16));
        // SAFETY: masked lanes are not read, the others were written; both arrays have 16 words.
        let found = unsafe {
            let some = _mm512_maskz_loadu_epi32(valid, spiked.as_ptr().add(at).cast());
            let any = _mm512_test_epi32_mask(some, some);
            _mm512_storeu_epi32(words.as_mut_ptr().cast(), _mm512_maskz_compress_epi32(any, some));
            _mm512_storeu_epi32(places.as_mut_ptr().cast(), _mm512_maskz_compress_epi32(any, vector));
            any.count_ones() as usize
        };
        vector = wrap(_mm512_add_epi32(vector, step));
        for (&word, &place) in words.iter().zip(&places).take(found) {
            let (mut any, down) = ((word | word >> 16) & 0xffff, word >> 16);
            while any != 0 {
                let k = any.trailing_zeros();
                any &= any - 1;
                fire.spikes.push(SignedSpike::of_bits(16 * place + k, down >> k));
            }
        }
    }
}
