//! The rows that cost time: adding weights to potentials and finding who crossed a threshold.
//!
//! Every variant gives the same results; [`Variant::best`] picks the fastest one the machine has. The plain one is what
//! the compiler makes of simple loops (on AArch64 that is NEON code, part of its base instruction set).

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod signed;

use super::geometry::Span;
pub use super::sign::Sign;
use super::synapses::{Kernel, NarrowMatrix, Port, SingleTaps, Synapses};
use crate::network::{Array, NeuronParameters, Reset, Tick};
pub use signed::{SignedFire, SignedSpike, add_signed};
pub(super) use signed::{run_signed_kernel, run_signed_lines, run_signed_narrow, spike};
use std::sync::OnceLock;

/// A neuron at or beyond a threshold after an addition, by its index in the population.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub struct Crossing(pub u32);

/// What must be tested after an addition, from cheap to expensive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tests {
    /// No overflow is possible and no potential can reach the lower threshold.
    Plus,
    /// No overflow is possible.
    Both,
    /// Sums may leave 32 bits: they saturate.
    Saturating,
}

/// An implementation of the kernels. Only detection makes one, so that a program that holds it can run its
/// instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variant(Instructions);

/// What a variant is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Instructions {
    /// Loops that the compiler vectorises for the base instruction set.
    Base,
    /// AVX2, x86-64.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// AVX-512 F, x86-64.
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

/// Set to `plain`, this environment variable takes the kernels that need no special instructions: to test them on any
/// machine.
pub const KERNELS_VARIABLE: &str = "MEGASIM_KERNELS";

impl Variant {
    /// Loops that the compiler vectorises for the base instruction set; every machine runs them.
    pub const PLAIN: Self = Self(Instructions::Base);

    /// Every variant that this machine can run, from slow to fast.
    pub fn available() -> Vec<Self> {
        #[allow(unused_mut)]
        let mut variants = vec![Self::PLAIN];
        #[cfg(target_arch = "x86_64")]
        {
            let avx2 = is_x86_feature_detected!("avx2");
            if avx2 {
                variants.push(Self(Instructions::Avx2));
            }
            if avx2 && is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("popcnt") {
                variants.push(Self(Instructions::Avx512));
            }
        }
        variants
    }

    /// What it is written in: these instructions are there.
    pub(super) fn instructions(self) -> Instructions {
        self.0
    }

    /// The fastest that this machine can run; the plain one where [`KERNELS_VARIABLE`] says so.
    pub fn best() -> Self {
        static BEST: OnceLock<Variant> = OnceLock::new();
        *BEST.get_or_init(|| {
            let plain = std::env::var_os(KERNELS_VARIABLE).is_some_and(|it| it == "plain");
            if plain { Self::PLAIN } else { Self::available().pop().unwrap_or(Self::PLAIN) }
        })
    }
}

/// Vectors that are tested together for crossings.
#[cfg(target_arch = "x86_64")]
const VECTORS: usize = 4;

/// Notes the neurons `first + k`, `k` the bits of a mask.
#[cfg(target_arch = "x86_64")]
#[cold]
fn note(mut mask: u64, first: usize, hits: &mut Vec<Crossing>) {
    while mask != 0 {
        hits.push(Crossing((first + mask.trailing_zeros() as usize) as u32));
        mask &= mask - 1;
    }
}

/// How plain neurons spike inside a kernel: at or above a positive threshold, with no refractory time, no leak and no
/// lower threshold in reach.
#[derive(Debug)]
pub(super) struct Fire<'n> {
    /// `THplus`, more than 0.
    pub threshold: i32,
    /// What becomes of the potential.
    pub reset: FireReset,
    /// The last spikes, where neurons keep a least time between two.
    pub recent: Option<Recent<'n>>,
    /// Neurons that spiked, in order.
    pub hits: &'n mut Vec<Crossing>,
}

/// The resets that a kernel knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FireReset {
    /// The threshold is subtracted.
    Subtract,
    /// The potential becomes this.
    To(i32),
}

impl FireReset {
    /// That of plain neurons.
    pub fn of(neurons: &NeuronParameters) -> Self {
        match neurons.reset {
            Reset::ToRest => Self::To(neurons.membrane_reset),
            _ => Self::Subtract,
        }
    }

    /// The potential after a spike at `v`.
    #[inline(always)]
    pub fn after(self, v: i32, threshold: i32) -> i32 {
        match self {
            Self::Subtract => v.wrapping_sub(threshold),
            Self::To(rest) => rest,
        }
    }
}

/// A least time between two spikes of a neuron.
#[derive(Debug)]
pub(super) struct Recent<'n> {
    /// Times of the last spikes; `Tick::MIN` is never.
    pub last_spike: &'n mut [Tick],
    /// `Tmin`.
    pub t_min: Tick,
    /// The present.
    pub now: Tick,
}

impl Recent<'_> {
    /// Whether a neuron may spike now; if so, it does.
    fn admits(&mut self, n: usize) -> bool {
        let last = &mut self.last_spike[n];
        let admitted = *last == Tick::MIN || self.now.saturating_sub(*last) >= self.t_min;
        if admitted {
            *last = self.now;
        }
        admitted
    }
}

impl Fire<'_> {
    /// Of the neurons `first + k`, `k` the bits of a mask, those that may spike now; notes them.
    #[inline(never)]
    fn admit(&mut self, mask: u64, first: usize) -> u64 {
        let (mut left, mut fired) = (mask, 0);
        while left != 0 {
            let k = left.trailing_zeros();
            left &= left - 1;
            let n = first + k as usize;
            if self.recent.as_mut().is_some_and(|recent| !recent.admits(n)) {
                continue;
            }
            self.hits.push(Crossing(n as u32));
            fired |= 1 << k;
        }
        fired
    }

    fn after(&self, v: i32) -> i32 {
        self.reset.after(v, self.threshold)
    }

    /// Adds, and lets neurons spike, in portable code; `first` is the index of `v[0]`.
    #[inline(always)]
    fn add<const ADD: bool>(&mut self, v: &mut [i32], w: &[i32], first: usize) {
        for (block, (v, w)) in v.chunks_mut(BLOCK).zip(w.chunks(BLOCK)).enumerate() {
            let mut crossed = false;
            for (v, w) in v.iter_mut().zip(w) {
                *v = if ADD { v.wrapping_add(*w) } else { v.wrapping_sub(*w) };
                crossed |= *v >= self.threshold;
            }
            if crossed {
                let mask = v.iter().enumerate().fold(0, |mask, (k, &v)| mask | u64::from(v >= self.threshold) << k);
                let mut fired = self.admit(mask, first + block * BLOCK);
                while fired != 0 {
                    let k = fired.trailing_zeros() as usize;
                    fired &= fired - 1;
                    v[k] = self.after(v[k]);
                }
            }
        }
    }
}

/// Events on a matrix, one after the other: line `lines[k]` of `v.len()` weights is added, neurons spike.
///
/// # Panics
/// If a line is outside the matrix.
pub(super) fn run_lines(
    variant: Variant,
    v: &mut [i32],
    weights: &[i32],
    lines: &[u32],
    sign: Sign,
    fire: &mut Fire<'_>,
) {
    match variant.0 {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: a variant is made only by `Variant::available`, where its instructions were detected.
        Instructions::Avx512 => unsafe { avx512::run_lines(v, weights, lines, sign, fire) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        Instructions::Avx2 => unsafe { avx2::run_lines(v, weights, lines, sign, fire) },
        Instructions::Base => {
            for &line in lines {
                let w = &weights[line as usize * v.len()..][..v.len()];
                match sign {
                    Sign::Plus => fire.add::<true>(v, w, 0),
                    Sign::Minus => fire.add::<false>(v, w, 0),
                }
            }
        }
    }
}

/// Adds lines of a matrix of 16-bit weights.
///
/// # Panics
/// If a line is outside the matrix.
pub(super) fn run_narrow(
    variant: Variant,
    v: &mut [i32],
    matrix: &NarrowMatrix,
    lines: &[u32],
    sign: Sign,
    fire: &mut Fire<'_>,
) {
    #[cfg(target_arch = "x86_64")]
    if variant.0 == Instructions::Avx512 {
        // SAFETY: a variant is made only by `Variant::available`, where its instructions were detected.
        return unsafe { avx512::run_narrow(v, matrix, lines, sign, fire) };
    }
    let _ = variant;
    for &line in lines {
        let narrow = &matrix.weights[line as usize * matrix.stride..][..v.len()];
        for (block, (v, narrow)) in v.chunks_mut(BLOCK).zip(narrow.chunks(BLOCK)).enumerate() {
            let mut wide = [0; BLOCK];
            wide.iter_mut().zip(narrow).for_each(|(wide, &narrow)| *wide = narrow.into());
            match sign {
                Sign::Plus => fire.add::<true>(v, &wide[..v.len()], block * BLOCK),
                Sign::Minus => fire.add::<false>(v, &wide[..v.len()], block * BLOCK),
            }
        }
    }
}

/// Events on a kernel, one after the other; returns the number of touched neurons.
#[allow(clippy::too_many_arguments)]
pub(super) fn run_kernel(
    variant: Variant,
    v: &mut [i32],
    kernel: &Kernel,
    (array, maps): (Array, usize),
    (x, y): (&[i32], &[i32]),
    sign: Sign,
    fire: &mut Fire<'_>,
) -> u64 {
    if let Some(single) = &kernel.single {
        return run_single(v, single, (x, y), sign, fire);
    }
    match variant.0 {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: a variant is made only by `Variant::available`, where its instructions were detected.
        Instructions::Avx512 => unsafe { avx512::run_kernel(v, kernel, (array, maps), (x, y), sign, fire) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        Instructions::Avx2 => unsafe { avx2::run_kernel(v, kernel, (array, maps), (x, y), sign, fire) },
        Instructions::Base => {
            let mut operations = 0;
            for (&x, &y) in x.iter().zip(y) {
                kernel.each_span(array, maps, x, y, |span| {
                    operations += span.len as u64;
                    let v = &mut v[span.neuron..][..span.len];
                    let w = &kernel.weights[span.weight..][..span.len];
                    match sign {
                        Sign::Plus => fire.add::<true>(v, w, span.neuron),
                        Sign::Minus => fire.add::<false>(v, w, span.neuron),
                    }
                });
            }
            operations
        }
    }
}

/// Positive events on the kernels of successive ports, those of each up to its end; returns the number of touched
/// neurons.
pub(super) fn run_layer(
    variant: Variant,
    v: &mut [i32],
    ports: &[Port],
    shape: (Array, usize),
    (x, y, ends): (&[i32], &[i32], &[usize]),
    fire: &mut Fire<'_>,
) -> u64 {
    let mut operations = 0;
    let mut start = 0;
    for (port, &end) in ports.iter().zip(ends) {
        let run = std::mem::replace(&mut start, end)..end;
        if let (Synapses::Kernel(kernel), false) = (&port.synapses, run.is_empty()) {
            operations += run_kernel(variant, v, kernel, shape, (&x[run.clone()], &y[run]), Sign::Plus, fire);
        }
    }
    operations
}

/// Events that reach one neuron each, as in pooling without overlap. A large part of them make a neuron
/// spike, which no branch can predict: each is noted, and counts only if it did.
fn run_single(v: &mut [i32], single: &SingleTaps, (x, y): (&[i32], &[i32]), sign: Sign, fire: &mut Fire<'_>) -> u64 {
    let mut operations = 0;
    let mut spikes = fire.hits.len();
    fire.hits.resize(spikes + x.len(), Crossing(0));
    let (kept, left) = match fire.reset {
        FireReset::Subtract => (-1, fire.threshold.wrapping_neg()),
        FireReset::To(rest) => (0, rest),
    };
    for (&x, &y) in x.iter().zip(y) {
        let Some(tap) = single.tap(x, y) else { continue };
        operations += 1;
        let v = &mut v[tap.neuron as usize];
        let sum = sign.add(*v, tap.weight);
        let crossed = sum >= fire.threshold;
        let fired = match &mut fire.recent {
            Some(recent) => crossed && recent.admits(tap.neuron as usize),
            None => crossed,
        };
        *v = std::hint::select_unpredictable(fired, (sum & kept).wrapping_add(left), sum);
        fire.hits[spikes] = Crossing(tap.neuron);
        spikes += usize::from(fired);
    }
    fire.hits.truncate(spikes);
    operations
}

/// `v += sign * w`, then the indices (plus `first`) of potentials `>= thresholds.0` or, unless only the upper one is
/// asked for, `<= thresholds.1`, in rising order.
///
/// # Panics
/// If `w` is shorter than `v`.
#[inline]
#[allow(clippy::too_many_arguments)]
pub fn add_and_test(
    variant: Variant,
    v: &mut [i32],
    w: &[i32],
    sign: Sign,
    thresholds: (i32, i32),
    tests: Tests,
    first: usize,
    hits: &mut Vec<Crossing>,
) {
    let w = &w[..v.len()];
    match variant.0 {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: a variant is made only by `Variant::available`, where its instructions were detected.
        Instructions::Avx512 if tests != Tests::Saturating => unsafe {
            avx512::add_and_test(v, w, sign, thresholds, tests, first, hits)
        },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        Instructions::Avx2 if tests != Tests::Saturating => unsafe {
            avx2::add_and_test(v, w, sign, thresholds, tests, first, hits)
        },
        _ => add_and_test_plain(v, w, sign, thresholds, tests, first, hits),
    }
}

/// Neurons that are tested together for crossings.
const BLOCK: usize = 64;

fn add_and_test_plain(
    v: &mut [i32],
    w: &[i32],
    sign: Sign,
    (plus, minus): (i32, i32),
    tests: Tests,
    first: usize,
    hits: &mut Vec<Crossing>,
) {
    for (block, (v, w)) in v.chunks_mut(BLOCK).zip(w.chunks(BLOCK)).enumerate() {
        match (tests, sign) {
            (Tests::Saturating, Sign::Plus) => v.iter_mut().zip(w).for_each(|(v, w)| *v = v.saturating_add(*w)),
            (Tests::Saturating, Sign::Minus) => v.iter_mut().zip(w).for_each(|(v, w)| *v = v.saturating_sub(*w)),
            (_, Sign::Plus) => v.iter_mut().zip(w).for_each(|(v, w)| *v = v.wrapping_add(*w)),
            (_, Sign::Minus) => v.iter_mut().zip(w).for_each(|(v, w)| *v = v.wrapping_sub(*w)),
        }
        let crossed = if tests == Tests::Plus {
            v.iter().fold(false, |any, &v| any | (v >= plus))
        } else {
            v.iter().fold(false, |any, &v| any | (v >= plus) | (v <= minus))
        };
        if crossed {
            let below = |v: i32| tests != Tests::Plus && v <= minus;
            let at = first + block * BLOCK;
            hits.extend((0..v.len()).filter(|&k| v[k] >= plus || below(v[k])).map(|k| Crossing((at + k) as u32)));
        }
    }
}

/// Adds what events on a kernel bring to the sums, which must not overflow; returns the number of touched neurons.
pub(super) fn add_kernel(
    variant: Variant,
    sums: &mut [i32],
    kernel: &Kernel,
    shape: (Array, usize),
    addresses: (&[i32], &[i32]),
    sign: Sign,
) -> u64 {
    match variant.0 {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: a variant is made only by `Variant::available`, where its instructions were detected.
        Instructions::Avx512 => unsafe { avx512::add_kernel(sums, kernel, shape, addresses, sign) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        Instructions::Avx2 => unsafe { avx2::add_kernel(sums, kernel, shape, addresses, sign) },
        Instructions::Base => add_kernel_plain(sums, kernel, shape, addresses, sign),
    }
}

#[inline(always)]
fn add_kernel_plain(
    sums: &mut [i32],
    kernel: &Kernel,
    (array, maps): (Array, usize),
    (x, y): (&[i32], &[i32]),
    sign: Sign,
) -> u64 {
    let mut operations = 0;
    let weights = &kernel.weights[..];
    if let Some(single) = &kernel.single {
        for tap in x.iter().zip(y).filter_map(|(&x, &y)| single.tap(x, y)) {
            let sum = &mut sums[tap.neuron as usize];
            *sum = sign.add(*sum, tap.weight);
            operations += 1;
        }
        return operations;
    }
    for (&x, &y) in x.iter().zip(y) {
        kernel.each_span(array, maps, x, y, |Span { neuron, weight, len }| {
            operations += len as u64;
            add_plain(&mut sums[neuron..][..len], &weights[weight..][..len], sign);
        });
    }
    operations
}

/// `sums += sign * w`, which must not overflow.
#[inline]
pub fn add(variant: Variant, sums: &mut [i32], w: &[i32], sign: Sign) {
    match variant.0 {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: a variant is made only by `Variant::available`, where its instructions were detected.
        Instructions::Avx512 | Instructions::Avx2 => unsafe { avx2::add(sums, w, sign) },
        Instructions::Base => add_plain(sums, w, sign),
    }
}

#[inline(always)]
fn add_plain(sums: &mut [i32], w: &[i32], sign: Sign) {
    match sign {
        Sign::Plus => sums.iter_mut().zip(w).for_each(|(sum, w)| *sum = sum.wrapping_add(*w)),
        Sign::Minus => sums.iter_mut().zip(w).for_each(|(sum, w)| *sum = sum.wrapping_sub(*w)),
    }
}
