//! The numbers weights and potentials are made of, and the loops over them that cost time.

use megasim_core::vectorized;
use std::fmt::Debug;
use std::ops::{AddAssign, SubAssign};

/// A kind of weight: `f32` (SpykeTorch's), `f64`, or [`Fixed`].
///
/// Potentials are of the same kind. This trait is sealed in effect: its methods are what the event loop needs.
pub trait Weight: Copy + PartialOrd + Default + Send + Sync + Debug + 'static {
    /// The potential of a neuron that may not fire (again): below every threshold, whatever is added.
    const INHIBITED: Self;
    /// The largest magnitude a potential may reach.
    const LARGEST: f64;
    /// How the kind is called in a model.
    const NAME: &'static str;
    /// The nearest value.
    fn from_real(value: f64) -> Self;
    /// The value, exactly.
    fn to_real(self) -> f64;
    /// `w + rate (w - lower) (upper - w)`, or `w + rate` without stabiliser, held between the bounds.
    fn learn(self, rate: f64, stabilizer: bool, lower: Self, upper: Self) -> Self;
    /// Adds (or subtracts) a block of weight rows to a block of potential rows.
    fn add_rows(potentials: &mut [Self], weights: &[Self], block: Block, negative: bool);
    /// Takes the larger of each pair.
    fn raise(largest: &mut [Self], potentials: &[Self]);
    /// Whether any potential is above the threshold.
    fn any_above(potentials: &[Self], threshold: Self) -> bool;
}

/// Rows of `length` numbers, `rows` of them, so far apart in the potentials and in the weights.
#[derive(Debug, Clone, Copy)]
pub struct Block {
    /// Number of rows.
    pub rows: usize,
    /// Numbers in a row.
    pub length: usize,
    /// From one row of potentials to the next.
    pub potential_stride: usize,
    /// From one row of weights to the next.
    pub weight_stride: usize,
}

macro_rules! loops {
    ($add:ident, $above:ident, $raise:ident, $kind:ty) => {
        vectorized! {
            fn $add(potentials: &mut [$kind], weights: &[$kind], block: Block, negative: bool) {
                for row in 0..block.rows {
                    let potentials = &mut potentials[row * block.potential_stride..][..block.length];
                    let weights = &weights[row * block.weight_stride..][..block.length];
                    if negative {
                        potentials.iter_mut().zip(weights).for_each(|(potential, weight)| *potential -= weight);
                    } else {
                        potentials.iter_mut().zip(weights).for_each(|(potential, weight)| *potential += weight);
                    }
                }
            }
        }
        vectorized! {
            fn $raise(largest: &mut [$kind], potentials: &[$kind]) {
                for (largest, &potential) in largest.iter_mut().zip(potentials) {
                    *largest = if potential > *largest { potential } else { *largest };
                }
            }
        }
        vectorized! {
            fn $above(potentials: &[$kind], threshold: $kind) -> bool {
                // Without a branch inside, so that it runs in lanes.
                potentials.iter().fold(0_u32, |any, &potential| any | u32::from(potential > threshold)) != 0
            }
        }
    };
}

loops!(add_rows_f32, any_above_f32, raise_f32, f32);
loops!(add_rows_f64, any_above_f64, raise_f64, f64);
loops!(add_rows_fixed, any_above_fixed, raise_fixed, Fixed);

macro_rules! float {
    ($kind:ty, $add:ident, $above:ident, $raise:ident, $name:literal) => {
        impl Weight for $kind {
            const INHIBITED: Self = <$kind>::NEG_INFINITY;
            const LARGEST: f64 = f64::INFINITY;
            const NAME: &'static str = $name;
            fn from_real(value: f64) -> Self {
                value as $kind
            }
            fn to_real(self) -> f64 {
                self.into()
            }
            fn learn(self, rate: f64, stabilizer: bool, lower: Self, upper: Self) -> Self {
                let rate = rate as $kind;
                let step = if stabilizer { rate * ((self - lower) * (upper - self)) } else { rate };
                let weight = (self + step).clamp(lower, upper);
                // Repeated depression shrinks a weight geometrically: into subnormal numbers, which are slow to add.
                if weight.is_subnormal() { 0.0 } else { weight }
            }
            fn add_rows(potentials: &mut [Self], weights: &[Self], block: Block, negative: bool) {
                $add(potentials, weights, block, negative);
            }
            fn raise(largest: &mut [Self], potentials: &[Self]) {
                $raise(largest, potentials);
            }
            fn any_above(potentials: &[Self], threshold: Self) -> bool {
                $above(potentials, threshold)
            }
        }
    };
}

float!(f32, add_rows_f32, any_above_f32, raise_f32, "float32");
float!(f64, add_rows_f64, any_above_f64, raise_f64, "float64");

/// A fixed-point number with 16 fraction bits: sums do not depend on their order.
///
/// A potential stays below 16,384 in magnitude; [`Convolution`](super::Convolution) refuses weights and bounds that
/// could exceed it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
#[repr(transparent)]
pub struct Fixed(i32);

impl Fixed {
    /// Fraction bits.
    pub const FRACTION: u32 = 16;

    /// The number whose integer is `bits`.
    pub fn from_bits(bits: i32) -> Self {
        Self(bits)
    }
    /// `2^16` times the number.
    pub fn to_bits(self) -> i32 {
        self.0
    }
}

impl AddAssign<&Fixed> for Fixed {
    fn add_assign(&mut self, other: &Self) {
        self.0 = self.0.wrapping_add(other.0);
    }
}

impl SubAssign<&Fixed> for Fixed {
    fn sub_assign(&mut self, other: &Self) {
        self.0 = self.0.wrapping_sub(other.0);
    }
}

impl Weight for Fixed {
    const INHIBITED: Self = Self(i32::MIN / 2);
    const LARGEST: f64 = 16_383.0;
    const NAME: &'static str = "fixed";
    fn from_real(value: f64) -> Self {
        let scaled = value * f64::from(1 << Self::FRACTION);
        Self(scaled.round().clamp(f64::from(i32::MIN / 2 + 1), f64::from(i32::MAX / 2)) as i32)
    }
    fn to_real(self) -> f64 {
        f64::from(self.0) / f64::from(1 << Self::FRACTION)
    }
    fn learn(self, rate: f64, stabilizer: bool, lower: Self, upper: Self) -> Self {
        // The rate has 32 fraction bits, the stabiliser 32; half is added so that the shift rounds to nearest.
        let rate = (rate * 4_294_967_296.0).round() as i128;
        let step = if stabilizer {
            let room = i128::from(self.0 - lower.0) * i128::from(upper.0 - self.0);
            (rate * room + (1 << 47)) >> 48
        } else {
            (rate + (1 << 15)) >> 16
        };
        let weight = (i128::from(self.0) + step).clamp(lower.0.into(), upper.0.into());
        Self(weight as i32)
    }
    fn add_rows(potentials: &mut [Self], weights: &[Self], block: Block, negative: bool) {
        add_rows_fixed(potentials, weights, block, negative);
    }
    fn raise(largest: &mut [Self], potentials: &[Self]) {
        raise_fixed(largest, potentials);
    }
    fn any_above(potentials: &[Self], threshold: Self) -> bool {
        any_above_fixed(potentials, threshold)
    }
}
