//! The shape of one sample.

use serde::{Deserialize, Serialize};

/// Shape of what a layer puts out for one sample (no batch axis).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum Shape {
    /// A vector.
    Features(usize),
    /// Feature maps. A one-dimensional sequence is a map of height 1.
    Maps {
        /// How many maps.
        channels: usize,
        /// Rows.
        height: usize,
        /// Columns.
        width: usize,
    },
}

impl Shape {
    /// How many numbers it holds.
    pub fn len(self) -> usize {
        match self {
            Self::Features(n) => n,
            Self::Maps { channels, height, width } => channels * height * width,
        }
    }

    /// `[features]` or `[channels, height, width]`.
    pub fn sizes(self) -> Vec<usize> {
        match self {
            Self::Features(n) => vec![n],
            Self::Maps { channels, height, width } => vec![channels, height, width],
        }
    }

    /// How many maps there are; of a vector, numbers.
    pub fn channels(self) -> usize {
        match self {
            Self::Features(n) | Self::Maps { channels: n, .. } => n,
        }
    }

    /// Whether it holds none.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }
}

impl std::fmt::Display for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Features(n) => write!(f, "({n})"),
            Self::Maps { channels, height, width } => write!(f, "({channels}, {height}, {width})"),
        }
    }
}
