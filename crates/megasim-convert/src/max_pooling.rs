//! Which input of a window maximum pooling passes on: the variants of SNN toolbox, by their names.

use megasim_core::equations::Decay;
use megasim_core::network::PoolRule;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Which input of a window maximum pooling passes on, as `--max-pool` says: `fir_max`, `avg_max:MS` or `exp_max:MS`.
///
/// ```
/// use megasim_convert::MaxPooling;
///
/// assert_eq!("exp_max:20".parse::<MaxPooling>()?, MaxPooling::Exponential { tau: 20.0 });
/// assert_eq!(MaxPooling::default().to_string(), "fir_max");
/// # Ok::<(), String>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum MaxPooling {
    /// The one that has fired most.
    #[default]
    Accumulated,
    /// The one that has fired most in the last milliseconds.
    Average {
        /// How many milliseconds, above 0.
        over: f64,
    },
    /// The one with the highest exponentially decaying average.
    Exponential {
        /// Its time constant in milliseconds, above 0.
        tau: f64,
    },
}

/// Milliseconds of an average where none are given.
const DEFAULT_MS: f64 = 50.0;

impl fmt::Display for MaxPooling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accumulated => f.write_str("fir_max"),
            Self::Average { over } => write!(f, "avg_max:{over}"),
            Self::Exponential { tau } => write!(f, "exp_max:{tau}"),
        }
    }
}

impl FromStr for MaxPooling {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fault = || {
            format!(
                "expected fir_max, avg_max, exp_max (or exponential), the last two also with milliseconds above 0, as \
                 avg_max:20, found '{text}'"
            )
        };
        let (name, given) = text.split_once(':').map_or((text, None), |(name, ms)| (name, Some(ms)));
        let ms = given.map_or(Some(DEFAULT_MS), |ms| ms.parse().ok().filter(|&ms| f64::is_finite(ms) && ms > 0.0));
        match (name, ms) {
            ("fir_max", _) if given.is_none() => Ok(Self::Accumulated),
            ("avg_max", Some(over)) => Ok(Self::Average { over }),
            ("exp_max" | "exponential", Some(tau)) => Ok(Self::Exponential { tau }),
            _ => Err(fault()),
        }
    }
}

impl From<MaxPooling> for String {
    fn from(pooling: MaxPooling) -> Self {
        pooling.to_string()
    }
}

impl TryFrom<String> for MaxPooling {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl MaxPooling {
    /// Whether the input passes that has fired most.
    pub fn is_accumulated(&self) -> bool {
        *self == Self::Accumulated
    }

    /// The rule of modules, whose times are ticks.
    pub(super) fn rule(self, ticks_per_ms: u32) -> PoolRule {
        let ticks = |ms: f64| (ms * f64::from(ticks_per_ms)).max(1.0);
        match self {
            Self::Accumulated => PoolRule::Busiest,
            Self::Average { over } => PoolRule::Average { over: ticks(over).round() as i64 },
            Self::Exponential { tau } => PoolRule::Exponential { decay: Decay::part(ticks(tau)).max(1) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_toolbox() {
        for (text, expected) in [
            ("fir_max", MaxPooling::Accumulated),
            ("avg_max", MaxPooling::Average { over: DEFAULT_MS }),
            ("avg_max:2.5", MaxPooling::Average { over: 2.5 }),
            ("exponential", MaxPooling::Exponential { tau: DEFAULT_MS }),
            ("exp_max:7", MaxPooling::Exponential { tau: 7.0 }),
        ] {
            let found: MaxPooling = text.parse().unwrap();
            assert_eq!(found, expected);
            assert_eq!(found.to_string().parse(), Ok(found));
        }
        for text in ["", "max", "fir_max:3", "avg_max:0", "avg_max:-1", "exp_max:", "exp_max:inf"] {
            assert!(text.parse::<MaxPooling>().unwrap_err().contains(&format!("found '{text}'")), "{text}");
        }
    }

    #[test]
    fn times_become_ticks() {
        assert_eq!(MaxPooling::Average { over: 2.5 }.rule(10), PoolRule::Average { over: 25 });
        assert_eq!(MaxPooling::Average { over: 1e-9 }.rule(10), PoolRule::Average { over: 1 });
        let PoolRule::Exponential { decay } = (MaxPooling::Exponential { tau: 20.0 }).rule(10) else { panic!() };
        assert_eq!(decay, Decay::part(200.0));
        let slow = MaxPooling::Exponential { tau: 1e300 }.rule(10);
        assert_eq!(slow, PoolRule::Exponential { decay: 1 });
    }
}
