//! What numbers of an equation can do: real ones, and integers that saturate.

use super::{LANES, Lanes, decay};
use std::fmt::Debug;

/// Changes the numbers of all lanes.
pub(super) type Unary<N> = fn(&mut Lanes<N>);
/// Puts the result into the first.
pub(super) type Binary<N> = fn(&mut Lanes<N>, &Lanes<N>);

/// Puts the result into the first.
pub(super) type Ternary<N> = fn(&mut Lanes<N>, &Lanes<N>, &Lanes<N>);

/// A function that equations may call, by how many numbers it takes.
#[derive(Debug, Clone, Copy)]
pub enum Function<N> {
    /// One.
    One(fn(&mut Lanes<N>)),
    /// Two.
    Two(fn(&mut Lanes<N>, &Lanes<N>)),
    /// Three.
    Three(fn(&mut Lanes<N>, &Lanes<N>, &Lanes<N>)),
}

/// Numbers that equations are about: `f64`, or `i64`, which saturates.
pub trait Arithmetic: Copy + Debug + PartialEq + PartialOrd + Send + Sync + 'static {
    /// 0, and what is not true.
    const ZERO: Self;
    /// 1, and what is true.
    const ONE: Self;
    /// What a number is called in messages.
    const NAME: &'static str;
    /// A number as it is written, if it is one.
    fn read(text: &str) -> Option<Self>;
    /// `+`, `-`, `*`, `/`, `%` of two, by name.
    #[doc(hidden)]
    fn binary(operator: char) -> Binary<Self>;
    /// Changes the sign.
    #[doc(hidden)]
    fn negate() -> Unary<Self>;
    /// The functions by name.
    fn functions() -> &'static [(&'static str, Function<Self>)];
    /// What a variable keeps of a number.
    fn kept(self) -> Self;
    /// Whether it is no number.
    fn is_nan(self) -> bool;
}

#[inline(always)]
fn one<N: Copy>(a: &mut Lanes<N>, of: impl Fn(N) -> N) {
    a.iter_mut().for_each(|a| *a = of(*a));
}

#[inline(always)]
pub(super) fn two<N: Copy>(a: &mut Lanes<N>, b: &Lanes<N>, of: impl Fn(N, N) -> N) {
    for k in 0..LANES {
        a[k] = of(a[k], b[k]);
    }
}

impl Arithmetic for f64 {
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;
    const NAME: &'static str = "a number";

    fn read(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    fn binary(operator: char) -> Binary<Self> {
        match operator {
            '+' => |a, b| two(a, b, |a, b| a + b),
            '-' => |a, b| two(a, b, |a, b| a - b),
            '*' => |a, b| two(a, b, |a, b| a * b),
            '/' => |a, b| two(a, b, |a, b| a / b),
            _ => |a, b| two(a, b, |a, b| a % b),
        }
    }

    fn negate() -> Unary<Self> {
        |a| one(a, |a| -a)
    }

    fn functions() -> &'static [(&'static str, Function<Self>)] {
        use Function::{One, Two};
        &[
            ("abs", One(|a| one(a, f64::abs))),
            ("ceil", One(|a| one(a, f64::ceil))),
            ("cos", One(|a| one(a, f64::cos))),
            ("exp", One(|a| one(a, f64::exp))),
            ("floor", One(|a| one(a, f64::floor))),
            ("ln", One(|a| one(a, f64::ln))),
            ("log10", One(|a| one(a, f64::log10))),
            ("log2", One(|a| one(a, f64::log2))),
            ("max", Two(|a, b| two(a, b, f64::max))),
            ("min", Two(|a, b| two(a, b, f64::min))),
            ("pow", Two(|a, b| two(a, b, f64::powf))),
            ("round", One(|a| one(a, f64::round))),
            ("sin", One(|a| one(a, f64::sin))),
            ("sqrt", One(|a| one(a, f64::sqrt))),
            ("tanh", One(|a| one(a, f64::tanh))),
        ]
    }

    fn kept(self) -> Self {
        self
    }

    fn is_nan(self) -> bool {
        self.is_nan()
    }
}

impl Arithmetic for i64 {
    const ZERO: Self = 0;
    const ONE: Self = 1;
    const NAME: &'static str = "a whole number";

    fn read(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    fn binary(operator: char) -> Binary<Self> {
        match operator {
            '+' => |a, b| two(a, b, i64::saturating_add),
            '-' => |a, b| two(a, b, i64::saturating_sub),
            '*' => |a, b| two(a, b, i64::saturating_mul),
            '/' => |a, b| two(a, b, quotient),
            _ => |a, b| two(a, b, |a, b| a.checked_rem(b).unwrap_or(0)),
        }
    }

    fn negate() -> Unary<Self> {
        |a| one(a, i64::saturating_neg)
    }

    fn functions() -> &'static [(&'static str, Function<Self>)] {
        use Function::{One, Three, Two};
        &[
            ("abs", One(|a| one(a, i64::saturating_abs))),
            (
                "decayed",
                Three(|a, part, ticks| {
                    for k in 0..LANES {
                        a[k] = decay::after(a[k], part[k], ticks[k]);
                    }
                }),
            ),
            ("max", Two(|a, b| two(a, b, i64::max))),
            ("min", Two(|a, b| two(a, b, i64::min))),
            ("shift_right", Two(|a, b| two(a, b, |a, b| a >> b.clamp(0, 63)))),
            ("sign", One(|a| one(a, i64::signum))),
        ]
    }

    fn kept(self) -> Self {
        self.clamp(i32::MIN.into(), i32::MAX.into())
    }

    fn is_nan(self) -> bool {
        false
    }
}

/// Toward zero. What a division by 0 has is the largest number of its sign, 0 for 0.
fn quotient(a: i64, b: i64) -> i64 {
    match (a, b) {
        (0, 0) => 0,
        (a, 0) if a > 0 => i64::MAX,
        (_, 0) => i64::MIN,
        // The smallest number by -1 has no quotient in 64 bits.
        (a, b) => a.saturating_div(b),
    }
}
