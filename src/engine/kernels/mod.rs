//! The rows that cost time: adding weights to potentials and finding who crossed a threshold.
//!
//! Every variant gives the same results; [`Variant::best`] picks the fastest one the machine has. The plain one is what the
//! compiler makes of simple loops (on AArch64 that is NEON code, part of its base instruction set).

#[cfg(target_arch = "x86_64")]
mod x86;

/// A neuron at or beyond a threshold after an addition, by its index in the population.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hit(pub u32);

/// Whether weights are added or subtracted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// Added.
    Plus,
    /// Subtracted.
    Minus,
}

impl Sign {
    /// +1 or -1.
    pub fn factor(self) -> i64 {
        match self {
            Self::Plus => 1,
            Self::Minus => -1,
        }
    }
}

/// What must be tested after an addition, from cheap to dear.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tests {
    /// No overflow is possible and no potential can reach the lower threshold.
    Plus,
    /// No overflow is possible.
    Both,
    /// Sums may leave 32 bits: they saturate.
    Saturating,
}

/// An implementation of the kernels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variant {
    /// Loops that the compiler vectorises for the base instruction set.
    Plain,
    /// AVX2, x86-64.
    Avx2,
    /// AVX-512 F, x86-64.
    Avx512,
}

impl Variant {
    /// Every variant that this machine can run.
    pub fn available() -> Vec<Self> {
        #[allow(unused_mut)]
        let mut variants = vec![Self::Plain];
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx2") {
                variants.push(Self::Avx2);
            }
            if is_x86_feature_detected!("avx512f") {
                variants.push(Self::Avx512);
            }
        }
        variants
    }

    /// The fastest that this machine can run.
    pub fn best() -> Self {
        Self::available().pop().unwrap_or(Self::Plain)
    }
}

/// `v += sign * w`, then the indices (plus `first`) of potentials `>= thresholds.0` or, unless only the upper one is asked for,
/// `<= thresholds.1`, in rising order.
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
    hits: &mut Vec<Hit>,
) {
    let w = &w[..v.len()];
    match variant {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: a variant is made only where its instructions were detected.
        Variant::Avx512 if tests != Tests::Saturating => unsafe {
            x86::add_and_test_avx512(v, w, sign, thresholds, tests, first, hits)
        },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        Variant::Avx2 if tests != Tests::Saturating => unsafe {
            x86::add_and_test_avx2(v, w, sign, thresholds, tests, first, hits)
        },
        _ => add_and_test_plain(v, w, sign, thresholds, tests, first, hits),
    }
}

/// How many neurons are looked at together before it is asked whether one of them crossed.
const BLOCK: usize = 64;

fn add_and_test_plain(
    v: &mut [i32],
    w: &[i32],
    sign: Sign,
    (plus, minus): (i32, i32),
    tests: Tests,
    first: usize,
    hits: &mut Vec<Hit>,
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
            hits.extend((0..v.len()).filter(|&k| v[k] >= plus || below(v[k])).map(|k| Hit((at + k) as u32)));
        }
    }
}

/// `sums += sign * w`, which must not overflow.
#[inline]
pub fn add(variant: Variant, sums: &mut [i32], w: &[i32], sign: Sign) {
    match variant {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: a variant is made only where its instructions were detected.
        Variant::Avx512 | Variant::Avx2 => unsafe { x86::add_avx2(sums, w, sign) },
        _ => add_plain(sums, w, sign),
    }
}

#[inline(always)]
fn add_plain(sums: &mut [i32], w: &[i32], sign: Sign) {
    match sign {
        Sign::Plus => sums.iter_mut().zip(w).for_each(|(sum, w)| *sum = sum.wrapping_add(*w)),
        Sign::Minus => sums.iter_mut().zip(w).for_each(|(sum, w)| *sum = sum.wrapping_sub(*w)),
    }
}

/// The least and the largest value; `(0, 0)` of none.
pub fn extremes(values: &[i32]) -> (i32, i32) {
    if values.is_empty() {
        return (0, 0);
    }
    values.iter().fold((i32::MAX, i32::MIN), |(low, high), &value| (low.min(value), high.max(value)))
}
