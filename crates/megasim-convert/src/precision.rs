//! Weights of few bits: what a weight may be, before it becomes an integer of the netfiles.

use super::parsed::{LayerKind, ParsedModel};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Which numbers the weights of a normalised network may be. Biases keep theirs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    /// Any.
    #[default]
    Full,
    /// This number of bits, sign included: `2^(bits-1) - 1` evenly spaced steps either side of 0, the last one at the
    /// largest weight of the connection.
    Bits(u32),
    /// Fixed point Qm.f: multiples of `2^-fraction`, below `2^integer` in magnitude.
    Fixed {
        /// `m`.
        integer: u32,
        /// `f`.
        fraction: u32,
    },
    /// The sign times the mean magnitude of the connection (M. Rastegari et al., "XNOR-Net", ECCV 2016).
    Binary,
}

impl std::str::FromStr for Precision {
    type Err = String;

    /// `4` (bits), `Q2.5` or `binary`.
    ///
    /// ```
    /// use megasim_convert::Precision;
    /// assert_eq!("Q2.5".parse(), Ok(Precision::Fixed { integer: 2, fraction: 5 }));
    /// ```
    fn from_str(text: &str) -> Result<Self, String> {
        let fault = || "expected a number of bits (2 to 24), Qm.f or binary".to_string();
        if text.eq_ignore_ascii_case("binary") {
            return Ok(Self::Binary);
        }
        if let Some(fixed) = text.strip_prefix(['Q', 'q']) {
            let (integer, fraction) = fixed.split_once('.').ok_or_else(fault)?;
            let bits = |text: &str| text.parse::<u32>().ok().filter(|&bits| bits <= 30).ok_or_else(fault);
            return Ok(Self::Fixed { integer: bits(integer)?, fraction: bits(fraction)? });
        }
        text.parse().ok().filter(|bits| (2..=24).contains(bits)).map(Self::Bits).ok_or_else(fault)
    }
}

impl std::fmt::Display for Precision {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Full => f.write_str("full"),
            Self::Bits(bits) => write!(f, "{bits}"),
            Self::Fixed { integer, fraction } => write!(f, "Q{integer}.{fraction}"),
            Self::Binary => f.write_str("binary"),
        }
    }
}

impl Serialize for Precision {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Precision {
    /// As it is written: `full`, or what [`FromStr`](std::str::FromStr) takes.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == "full" {
            return Ok(Self::Full);
        }
        text.parse().map_err(|error| serde::de::Error::custom(format!("{error} or full, found '{text}'")))
    }
}

impl Precision {
    /// Rounds all weights of a network.
    pub fn round(self, parsed: &mut ParsedModel) {
        for layer in &mut parsed.layers {
            let LayerKind::Population { connections, .. } = &mut layer.operation else { continue };
            for connection in connections {
                let weights = &mut connection.weights;
                let largest = weights.iter().fold(0.0f64, |largest, weight| largest.max(f64::from(weight.abs())));
                let count = weights.iter().count();
                let mean = weights.iter().map(|weight| f64::from(weight.abs())).sum::<f64>() / count.max(1) as f64;
                if largest == 0.0 {
                    continue;
                }
                weights.change(|weight| {
                    let rounded = match self {
                        Self::Full => return weight,
                        Self::Bits(bits) => {
                            let step = largest / ((1u64 << (bits - 1)) - 1) as f64;
                            (f64::from(weight) / step).round() * step
                        }
                        Self::Fixed { integer, fraction } => {
                            let grid = f64::from(fraction).exp2();
                            let most = f64::from(integer).exp2() - grid.recip();
                            ((f64::from(weight) * grid).round() / grid).clamp(-most, most)
                        }
                        // Exact zeros are connections that are not there.
                        Self::Binary if weight == 0.0 => 0.0,
                        Self::Binary => mean.copysign(weight.into()),
                    };
                    rounded as f32
                });
            }
        }
    }
}
