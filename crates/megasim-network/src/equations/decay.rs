//! Exponential decay in integers.

/// Bits behind the point of a factor.
const BITS: u32 = 62;

/// What is left of a distance after `ticks` ticks, where `part` of 2^30 is lost per tick; as [`Decay::after`], without
/// tables.
pub(super) fn after(distance: i64, part: i64, ticks: i64) -> i64 {
    let mut square = keep(part);
    let (mut kept, mut left) = (1 << BITS, ticks.max(0));
    while left > 0 {
        if left & 1 == 1 {
            kept = product(kept, square);
        }
        square = product(square, square);
        left >>= 1;
    }
    times(distance, kept)
}

/// The factor of one tick.
fn keep(part: i64) -> u64 {
    (1 << BITS) - ((part.clamp(0, Decay::WHOLE.into()) as u64) << 32)
}

fn times(distance: i64, kept: u64) -> i64 {
    let left = (u128::from(distance.unsigned_abs()) * u128::from(kept)) >> BITS;
    if distance < 0 { (left as i64).wrapping_neg() } else { left as i64 }
}

/// A factor for each tick, and its powers: fixed-point numbers of 62 bits behind the point.
///
/// `keep(1) = 2^62 - part * 2^32`; `keep(n)` is the product of `keep(1)^(2^j)` for the binary digits `j` of `n`, from
/// the lowest on, every product of two factors cut off behind the 62nd bit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decay {
    /// `keep(1)`, `keep(2)`, `keep(4)`, ...
    squares: [u64; 63],
    /// The first ones.
    table: Vec<u64>,
}

impl Decay {
    /// All of a distance, in the parts in which a loss is given: 2^30.
    pub const WHOLE: i32 = 1 << 30;

    /// The decay that loses `part / 2^30` per tick; `part` is cut off at 0 and 2^30.
    pub fn new(part: i32) -> Self {
        let mut squares = [0; 63];
        squares[0] = keep(part.into());
        for j in 1..squares.len() {
            squares[j] = product(squares[j - 1], squares[j - 1]);
        }
        let mut decay = Self { squares, table: Vec::new() };
        decay.table = (0..1024).map(|ticks| decay.power(ticks)).collect();
        decay
    }

    fn power(&self, ticks: i64) -> u64 {
        let mut kept = 1 << BITS;
        for (j, &square) in self.squares.iter().enumerate() {
            if ticks >> j & 1 == 1 {
                kept = product(kept, square);
            }
        }
        kept
    }

    /// What is left of a distance after `ticks` ticks (0 or more), toward 0.
    pub fn after(&self, distance: i64, ticks: i64) -> i64 {
        let ticks = ticks.max(0);
        let kept = match self.table.get(ticks as usize) {
            Some(&kept) => kept,
            None => self.power(ticks),
        };
        times(distance, kept)
    }

    /// The part lost per tick, in 2^-30, of a time constant in ticks: `2^30 (1 - exp(-1 / tau))`, rounded.
    pub fn part(tau: f64) -> i32 {
        (f64::from(Self::WHOLE) * -(-1.0 / tau).exp_m1()).round() as i32
    }
}

fn product(a: u64, b: u64) -> u64 {
    ((u128::from(a) * u128::from(b)) >> BITS) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_is_the_exponential(tau in 1.0f64..1e5, ticks in 0i64..1_000_000, distance in -(1i64 << 31)..1 << 31) {
            let part = Decay::part(tau);
            let exact = distance as f64 * (1.0 - f64::from(part) / f64::from(Decay::WHOLE)).powf(ticks as f64);
            let found = Decay::new(part).after(distance, ticks);
            prop_assert!((found as f64 - exact).abs() <= 1.0 + 1e-9 * exact.abs(), "{found} {exact}");
            prop_assert!(found.abs() <= distance.abs());
            prop_assert_eq!(after(distance, part.into(), ticks), found);
        }
    }

    #[test]
    fn its_ends() {
        assert_eq!(Decay::new(0).after(-77, i64::MAX), -77);
        assert_eq!(Decay::new(Decay::WHOLE).after(i64::MIN, 1), 0);
        assert_eq!(Decay::new(Decay::WHOLE).after(i64::MIN, 0), i64::MIN);
        assert_eq!(Decay::new(Decay::WHOLE / 2).after(100, 2), 25);
    }
}
