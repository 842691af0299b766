//! How files of spiking networks were read, in the manifest of their netfiles.

use serde::{Deserialize, Serialize};

/// The library whose units a file has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dialect {
    /// What the file says, else what its numbers look like.
    #[default]
    Auto,
    /// Steps of 0.1 ms; `tau = dt / (1 - beta)`, `r = tau / dt`.
    SnnTorch,
    /// Steps of 1 ms; `tau` in seconds.
    Norse,
    /// `tau` in steps, `r` 1, potentials keep `exp(-1 / tau)`; reset by subtraction.
    Sinabs,
    /// Steps of 1 ms; potentials keep `exp(-dt / tau)`.
    Rockpool,
}

impl Dialect {
    /// A step in the unit of time of its files.
    pub(crate) fn step(self) -> f64 {
        match self {
            Self::SnnTorch => 1e-4,
            Self::Sinabs => 1.0,
            Self::Auto | Self::Norse | Self::Rockpool => 1e-3,
        }
    }

    /// Its name for a person.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "NIR",
            Self::SnnTorch => "snnTorch",
            Self::Norse => "Norse",
            Self::Sinabs => "sinabs",
            Self::Rockpool => "Rockpool",
        }
    }
}

/// How a file was read.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReadAs {
    /// The library whose units it has.
    pub dialect: Dialect,
    /// A step, in the unit of time of the file.
    pub dt: f64,
}
