//! Times, energies and powers as people write them: `4.1 ns`, `35.5 pJ`, `10 mW`.

use megasim_core::network::Tick;
use std::fmt;

/// A length of time in whole femtoseconds.
///
/// ```
/// use megasim_study::hardware::Duration;
/// let tick: Duration = "0.1 ns".parse().unwrap();
/// let hop: Duration = "4.1 ns".parse().unwrap();
/// assert_eq!(hop.in_ticks(tick), Some(41));
/// assert_eq!("0.05 ns".parse::<Duration>().unwrap().in_ticks(tick), None);
/// assert_eq!(hop.to_string(), "4.1 ns");
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Duration(i128);

const TIMES: [(&str, i128); 7] = [
    ("s", 1_000_000_000_000_000),
    ("ms", 1_000_000_000_000),
    ("us", 1_000_000_000),
    ("µs", 1_000_000_000),
    ("ns", 1_000_000),
    ("ps", 1_000),
    ("fs", 1),
];

const SCALES: [(&str, f64); 8] =
    [("", 1.0), ("m", 1e-3), ("u", 1e-6), ("µ", 1e-6), ("n", 1e-9), ("p", 1e-12), ("f", 1e-15), ("k", 1e3)];

impl Duration {
    /// 1 ms divided by a whole number, if that is a whole number of femtoseconds.
    pub fn part_of_a_ms(parts: u32) -> Option<Self> {
        let ms = TIMES[1].1;
        (parts > 0 && ms % i128::from(parts) == 0).then(|| Self(ms / i128::from(parts)))
    }

    /// How many ticks these are, if a whole number that fits.
    pub fn in_ticks(self, tick: Self) -> Option<Tick> {
        (tick.0 > 0 && self.0 % tick.0 == 0).then(|| Tick::try_from(self.0 / tick.0).ok()).flatten()
    }

    /// The nearest whole number of ticks.
    pub fn rounded_to(self, tick: Self) -> Self {
        if tick.0 <= 0 { self } else { Self((self.0 + tick.0 / 2).div_euclid(tick.0) * tick.0) }
    }

    /// The longest tick of which both are whole numbers.
    pub fn common_tick(self, other: Self) -> Self {
        let (mut a, mut b) = (self.0, other.0);
        while b != 0 {
            (a, b) = (b, a % b);
        }
        Self(a)
    }

    /// Whether it is longer than nothing.
    pub fn is_positive(self) -> bool {
        self.0 > 0
    }

    /// In seconds.
    pub fn seconds(self) -> f64 {
        self.0 as f64 * 1e-15
    }

    /// `n` times this.
    pub fn times(self, n: i128) -> Self {
        Self(self.0.saturating_mul(n))
    }
}

impl std::str::FromStr for Duration {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let fault =
            || format!("expected a time with its unit (s, ms, us, ns, ps, fs), as \"4.1 ns\", found \"{text}\"");
        let (number, unit) = split(text).ok_or_else(fault)?;
        let (_, unit) = TIMES.iter().find(|(name, _)| *name == unit).ok_or_else(fault)?;
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let digits = format!("{whole}{fraction}");
        if digits.is_empty() || digits.len() > 24 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(fault());
        }
        let digits: i128 = digits.parse().map_err(|_| fault())?;
        let parts = 10_i128.pow(fraction.len() as u32);
        let femtoseconds = digits.checked_mul(*unit).ok_or_else(fault)?;
        if femtoseconds % parts != 0 {
            return Err(format!("expected a time of whole femtoseconds, found \"{text}\""));
        }
        Ok(Self(femtoseconds / parts))
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = TIMES.iter().filter(|(name, _)| *name != "µs");
        let (name, unit) = plain.into_iter().find(|(_, unit)| self.0 >= *unit).unwrap_or(&("s", 1));
        if self.0 == 0 {
            return write!(f, "0 s");
        }
        let (whole, rest) = (self.0 / unit, self.0 % unit);
        if rest == 0 {
            return write!(f, "{whole} {name}");
        }
        let digits = unit.to_string().len() - 1;
        let fraction = format!("{rest:0digits$}");
        write!(f, "{whole}.{} {name}", fraction.trim_end_matches('0'))
    }
}

/// A number with a unit, blanks between them as one likes.
fn split(text: &str) -> Option<(&str, &str)> {
    let text = text.trim();
    let at = text.find(|c: char| !(c.is_ascii_digit() || c == '.'))?;
    let (number, unit) = text.split_at(at);
    (!number.is_empty()).then_some((number, unit.trim()))
}

/// A number of a base unit, as `pJ` of `J`.
fn scaled(text: &str, base: &str) -> Option<f64> {
    let (number, unit) = split(text)?;
    let prefix = unit.strip_suffix(base)?;
    let (_, scale) = SCALES.iter().find(|(name, _)| *name == prefix)?;
    // Divided where that is exact, so that 35.5 pJ is the nearest number to it.
    number.parse::<f64>().ok().map(|number| if *scale < 1.0 { number / (1.0 / scale).round() } else { number * scale })
}

/// A number with a unit in the base unit, and a way to write others in the same unit: times in seconds, energies in
/// joules, powers in watts.
///
/// ```
/// use megasim_study::hardware::Quantity;
/// let hop: Quantity = "4.1 ns".parse().unwrap();
/// assert_eq!(hop.in_unit_of(8.2e-9), "8.2 ns");
/// assert_eq!(hop.in_unit_of(1e-9 / 3.0), "0.333333 ns");
/// assert!("4.1".parse::<Quantity>().is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quantity {
    /// How much, in the base unit.
    pub value: f64,
    prefix: &'static str,
    /// `s`, `J` or `W`.
    pub base: &'static str,
}

impl Quantity {
    /// One of its unit, in the base unit.
    pub fn one(self) -> f64 {
        SCALES.iter().find(|(name, _)| *name == self.prefix).map_or(1.0, |(_, scale)| *scale)
    }

    /// Another amount of the same kind, in the same unit, with as many digits as mean something: times in whole
    /// femtoseconds, as [`Duration`] has them.
    pub fn in_unit_of(self, value: f64) -> String {
        let one = self.one();
        let value = if self.base == "s" { (value * 1e15).round() / 1e15 } else { value };
        let scaled = if one < 1.0 { value * (1.0 / one).round() } else { value / one };
        // Twelve digits, so that 3 * 0.1 is 0.3; never with an exponent.
        let rounded: f64 = format!("{scaled:.11e}").parse().unwrap_or(scaled);
        format!("{rounded} {}{}", self.prefix, self.base)
    }
}

impl std::str::FromStr for Quantity {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let fault = || format!("expected a number with its unit, as 4.1 ns, 35.5 pJ or 10 mW, found `{text}`");
        let (_, unit) = split(text).ok_or_else(fault)?;
        for base in ["s", "J", "W"] {
            let Some(prefix) = unit.strip_suffix(base) else { continue };
            let (Some((prefix, _)), Some(value)) =
                (SCALES.iter().find(|(name, _)| *name == prefix), scaled(text, base))
            else {
                continue;
            };
            return Ok(Self { value, prefix, base });
        }
        Err(fault())
    }
}

/// An energy in joules.
///
/// ```
/// assert_eq!(megasim_study::hardware::energy("35.5 pJ").unwrap(), 35.5e-12);
/// assert!(megasim_study::hardware::energy("35.5 ns").is_err());
/// ```
pub fn energy(text: &str) -> Result<f64, String> {
    scaled(text, "J").ok_or_else(|| {
        format!("expected an energy with its unit (J, mJ, uJ, nJ, pJ, fJ), as \"35.5 pJ\", found \"{text}\"")
    })
}

/// A power in watts.
pub fn power(text: &str) -> Result<f64, String> {
    scaled(text, "W")
        .ok_or_else(|| format!("expected a power with its unit (W, mW, uW, nW), as \"10 mW\", found \"{text}\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_exact() {
        for (text, femtoseconds) in
            [("0.1 ns", 100_000), ("1ms", 1_000_000_000_000), ("3.0 us", 3_000_000_000), ("7 fs", 7)]
        {
            assert_eq!(text.parse(), Ok(Duration(femtoseconds)), "{text}");
        }
        for text in ["5", "ns", "", "1,5 ns", "1e3 ns", "-1 ns", "0.1 fs", "1 pJ", "1 Ms", "..1 ns", "1.2.3 ns"] {
            assert!(text.parse::<Duration>().is_err(), "{text}");
        }
    }

    #[test]
    fn times_print_as_they_are_read() {
        for text in ["4.1 ns", "1 ms", "0.6 us", "12 s", "1 fs", "999.999999 ns", "0 s"] {
            let read: Duration = text.parse().unwrap();
            assert_eq!(read.to_string().parse(), Ok(read), "{text}");
        }
        assert_eq!(Duration(600_000_000).to_string(), "600 ns");
    }

    #[test]
    fn the_tick_of_two_times() {
        let read = |text: &str| text.parse::<Duration>().unwrap();
        assert_eq!(read("4.1 ns").common_tick(read("6.5 ns")), read("0.1 ns").times(1));
        assert_eq!(Duration::part_of_a_ms(10), Some(read("0.1 ms")));
        assert_eq!(Duration::part_of_a_ms(3), None);
    }

    #[test]
    fn energies_and_powers() {
        assert_eq!(energy("111 pJ"), Ok(111e-12));
        assert_eq!(energy("1.5 nJ"), Ok(1.5e-9));
        assert_eq!(power("2 W"), Ok(2.0));
        assert!(energy("3").is_err() && energy("3 J/s").is_err() && power("3 pJ").is_err());
    }
}
