//! Many runs to one table.

pub mod classification;
pub mod compare;
pub mod distributions;
pub mod latency;
pub mod layers;
pub mod material;
pub mod statistics;
pub mod sweep;
