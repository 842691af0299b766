//! The clock of a softmax output, as a manifest has it.

use megasim_core::encode::{self, Arrivals};
use serde::{Deserialize, Serialize};

/// What makes a softmax output spike.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SoftmaxClock {
    /// Node whose control events do it.
    pub node: String,
    /// Events a second.
    pub rate: f64,
    /// Of events that are a Poisson process: the seed from which those of each sample are drawn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub poisson_seed: Option<u64>,
}

impl SoftmaxClock {
    /// The events of a clock on this node.
    pub(super) fn new(node: String, clock: encode::SoftmaxClock) -> Self {
        let poisson_seed = match clock.arrivals {
            Arrivals::Regular => None,
            Arrivals::Poisson { seed } => Some(seed),
        };
        Self { node, rate: clock.rate, poisson_seed }
    }

    /// When the events come.
    pub fn clock(&self) -> encode::SoftmaxClock {
        let arrivals = self.poisson_seed.map_or(Arrivals::Regular, |seed| Arrivals::Poisson { seed });
        encode::SoftmaxClock { rate: self.rate, arrivals }
    }
}
