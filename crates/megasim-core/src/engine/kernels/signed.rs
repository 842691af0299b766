//! Signed neurons: weights are added, and neurons spike as soon as one of their two rules holds.

use super::{BLOCK, Instructions, Sign, Variant};
#[cfg(target_arch = "x86_64")]
use super::{avx2, avx512};
use crate::engine::geometry::Span;
use crate::engine::neurons::Signs;
use crate::engine::synapses::{Kernel, NarrowMatrix, SingleTaps};
use crate::network::{Array, Polarity, Signed};

/// One spike of a signed neuron.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub struct SignedSpike(u32);

impl SignedSpike {
    /// The bit of a negative spike.
    pub(in crate::engine) const NEGATIVE: u32 = 1 << 31;

    #[inline(always)]
    fn new(neuron: usize, polarity: Polarity) -> Self {
        Self(neuron as u32 | if polarity == Polarity::Negative { Self::NEGATIVE } else { 0 })
    }

    /// Negative if the lowest bit is set.
    #[inline(always)]
    pub(super) fn of_bits(neuron: u32, negative: u32) -> Self {
        Self(neuron | negative << 31)
    }

    /// Its neuron, by its index in the population.
    #[inline(always)]
    pub fn neuron(self) -> u32 {
        self.0 & !Self::NEGATIVE
    }

    /// Whether it takes a spike back.
    #[inline(always)]
    pub fn is_negative(self) -> bool {
        self.0 & Self::NEGATIVE != 0
    }
}

/// How signed neurons spike inside a kernel: `V >= THplus` with a count below the maximum is a spike, `V < -hysteresis`
/// with a count above the minimum takes one back; after each `V + n THplus` is what it was.
#[derive(Debug)]
pub struct SignedFire<'n> {
    /// Spikes so far, with their signs; one per neuron.
    pub counts: &'n mut [i32],
    /// `THplus`, more than 0.
    pub threshold: i32,
    /// Hysteresis and limits of the counts.
    pub rules: Signed,
    /// Whether one event may make a neuron spike more than once: a weight is larger than the threshold, or a rule
    /// held before.
    pub repeats: bool,
    /// The spikes, in order.
    pub spikes: &'n mut Vec<SignedSpike>,
}

/// Lets a signed neuron of some potential and count spike until no rule holds. Returns how often; negative numbers are
/// of spikes that are taken back.
#[inline(always)]
pub(in crate::engine) fn spike((v, n): (&mut i32, &mut i32), threshold: i32, rules: &Signed) -> i64 {
    let Signed { hysteresis, min_count, max_count, .. } = *rules;
    let (threshold, below) = (i64::from(threshold), -i64::from(hysteresis));
    let (potential, count) = (i64::from(*v), i64::from(*n));
    // Nearly always one; a division costs more than all the rest.
    let spikes = if potential >= threshold {
        let needed = if potential < 2 * threshold { 1 } else { potential / threshold };
        needed.min(i64::from(max_count) - count)
    } else if potential < below {
        // The least number after which the potential is not below.
        let missing = below - potential;
        let needed = if missing <= threshold { 1 } else { (missing + threshold - 1) / threshold };
        -needed.min(count - i64::from(min_count))
    } else {
        0
    };
    // Both stay inside 32 bits: the potential comes nearer to 0, the count keeps its bounds.
    *n = (count + spikes) as i32;
    *v = (potential - spikes * threshold) as i32;
    spikes
}

impl SignedFire<'_> {
    /// Whether a rule holds.
    #[inline(always)]
    fn is_beyond(&self, v: i32, count: i32) -> bool {
        let Signed { hysteresis, min_count, max_count, .. } = self.rules;
        (v >= self.threshold && count < max_count) | (v < -hysteresis && count > min_count)
    }

    /// Applies both rules to a neuron until neither holds; returns its potential.
    pub(in crate::engine) fn apply(&mut self, v: i32, neuron: usize) -> i32 {
        let mut potential = v;
        let spikes = spike((&mut potential, &mut self.counts[neuron]), self.threshold, &self.rules);
        let polarity = if spikes < 0 { Polarity::Negative } else { Polarity::Positive };
        let spike = SignedSpike::new(neuron, polarity);
        self.spikes.extend(std::iter::repeat_n(spike, spikes.unsigned_abs() as usize));
        potential
    }

    /// Adds weights to successive neurons, `first` and on, and lets them spike.
    #[inline(always)]
    pub(super) fn add_span(&mut self, v: &mut [i32], w: &[i32], first: usize, add: impl Fn(i32, i32) -> i32) {
        for (block, (v, w)) in v.chunks_mut(BLOCK).zip(w.chunks(BLOCK)).enumerate() {
            let first = first + block * BLOCK;
            // Two loops, as compilers do not make vectors of both in one.
            v.iter_mut().zip(w).for_each(|(v, &w)| *v = add(*v, w));
            let counts = &self.counts[first..][..v.len()];
            let any = v.iter().zip(counts).fold(false, |any, (&v, &count)| any | self.is_beyond(v, count));
            if any {
                for (k, v) in v.iter_mut().enumerate() {
                    if self.is_beyond(*v, self.counts[first + k]) {
                        *v = self.apply(*v, first + k);
                    }
                }
            }
        }
    }
}

/// One event on successive neurons, `first` and on: `v += sign * w`, which saturates if it may leave 32 bits.
///
/// # Panics
/// If `w` is shorter than `v`, or there are fewer counts.
pub fn add_signed(
    variant: Variant,
    v: &mut [i32],
    w: &[i32],
    (sign, saturates): (Sign, bool),
    first: usize,
    fire: &mut SignedFire<'_>,
) {
    let w = &w[..v.len()];
    match (variant.0, sign, saturates) {
        (_, Sign::Plus, true) => fire.add_span(v, w, first, i32::saturating_add),
        (_, Sign::Minus, true) => fire.add_span(v, w, first, i32::saturating_sub),
        #[cfg(target_arch = "x86_64")]
        // SAFETY: a variant is made only by `Variant::available`, where its instructions were detected.
        (Instructions::Avx512, ..) => unsafe { avx512::add_signed(v, w, sign, first, fire) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        (Instructions::Avx2, ..) => unsafe { avx2::add_signed(v, w, sign, first, fire) },
        (Instructions::Base, Sign::Plus, false) => fire.add_span(v, w, first, i32::wrapping_add),
        (Instructions::Base, Sign::Minus, false) => fire.add_span(v, w, first, i32::wrapping_sub),
    }
}

/// Events on a matrix, one after the other, which leave 32 bits in no potential: line `lines[k]` of `v.len()` weights
/// is added or subtracted, neurons spike.
///
/// # Panics
/// If a line is outside the matrix.
pub(in crate::engine) fn run_signed_lines(
    variant: Variant,
    v: &mut [i32],
    weights: &[i32],
    (lines, signs): (&[u32], Signs<'_>),
    fire: &mut SignedFire<'_>,
) {
    #[cfg(target_arch = "x86_64")]
    if variant.0 == Instructions::Avx512 {
        // SAFETY: a variant is made only by `Variant::available`, where its instructions were detected.
        return unsafe { avx512::run_signed_lines(v, weights, (lines, signs), fire) };
    }
    for (run, sign) in signs.runs(0..lines.len()) {
        for &line in &lines[run] {
            let w = &weights[line as usize * v.len()..][..v.len()];
            add_signed(variant, v, w, (sign, false), 0, fire);
        }
    }
}

/// As [`run_signed_lines`], on a matrix of 16-bit weights. `wide` is for one line.
///
/// # Panics
/// If a line is outside the matrix.
pub(in crate::engine) fn run_signed_narrow(
    variant: Variant,
    v: &mut [i32],
    matrix: &NarrowMatrix,
    (lines, signs): (&[u32], Signs<'_>),
    wide: &mut Vec<i32>,
    fire: &mut SignedFire<'_>,
) {
    #[cfg(target_arch = "x86_64")]
    if variant.0 == Instructions::Avx512 && avx512::narrow_in_registers(v, fire) {
        // SAFETY: a variant is made only by `Variant::available`, where its instructions were detected.
        return unsafe { avx512::run_signed_narrow(v, matrix, (lines, signs), fire) };
    }
    for (run, sign) in signs.runs(0..lines.len()) {
        for &line in &lines[run] {
            matrix.widen(line as usize, v.len(), wide);
            add_signed(variant, v, wide, (sign, false), 0, fire);
        }
    }
}

/// Events on a kernel, one after the other, which leave 32 bits in no potential; returns the number of touched neurons.
pub(in crate::engine) fn run_signed_kernel(
    variant: Variant,
    v: &mut [i32],
    kernel: &Kernel,
    (array, maps): (Array, usize),
    (x, y): (&[i32], &[i32]),
    sign: Sign,
    fire: &mut SignedFire<'_>,
) -> u64 {
    if let Some(single) = &kernel.single {
        return run_single(v, single, (x, y), sign, fire);
    }
    #[cfg(target_arch = "x86_64")]
    if let (Instructions::Avx512, Some(table)) = (variant.0, &kernel.spans) {
        // SAFETY: a variant is made only by `Variant::available`, where its instructions were detected.
        return unsafe { avx512::run_signed_kernel(v, &kernel.weights, table, (x, y), sign, fire) };
    }
    let mut operations = 0;
    for (&x, &y) in x.iter().zip(y) {
        kernel.each_span(array, maps, x, y, |Span { neuron, weight, len }| {
            operations += len as u64;
            let weights = &kernel.weights[weight..][..len];
            add_signed(variant, &mut v[neuron..][..len], weights, (sign, false), neuron, fire);
        });
    }
    operations
}

/// Events that reach one neuron each, as in pooling without overlap. Which of them spikes no branch can predict: each
/// is noted, and counts only if it did.
fn run_single(
    v: &mut [i32],
    single: &SingleTaps,
    (x, y): (&[i32], &[i32]),
    sign: Sign,
    fire: &mut SignedFire<'_>,
) -> u64 {
    let Signed { hysteresis, min_count, max_count, .. } = fire.rules;
    let mut operations = 0;
    let taps = x.iter().zip(y).filter_map(|(&x, &y)| single.tap(x, y));
    if fire.repeats {
        for tap in taps {
            let n = tap.neuron as usize;
            operations += 1;
            v[n] = fire.apply(sign.add(v[n], tap.weight), n);
        }
        return operations;
    }
    let mut spikes = fire.spikes.len();
    fire.spikes.resize(spikes + x.len(), SignedSpike::of_bits(0, 0));
    for tap in taps {
        let n = tap.neuron as usize;
        operations += 1;
        let (sum, count) = (sign.add(v[n], tap.weight), fire.counts[n]);
        let up = i32::from(sum >= fire.threshold) & i32::from(count < max_count);
        let down = i32::from(sum < -hysteresis) & i32::from(count > min_count);
        v[n] = sum.wrapping_sub((up - down).wrapping_mul(fire.threshold));
        fire.counts[n] = count + up - down;
        fire.spikes[spikes] = SignedSpike::of_bits(tap.neuron, down as u32);
        spikes += (up | down) as usize;
    }
    fire.spikes.truncate(spikes);
    operations
}
