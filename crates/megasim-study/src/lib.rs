//! Many runs to one table.

pub mod answers;
pub mod classification;
pub mod compare;
pub mod csv;
pub mod display;
pub mod distributions;
pub mod evaluation;
pub mod hardware;
pub mod latency;
pub mod layers;
pub mod presentation;
pub mod read_out;
#[cfg(feature = "report")]
pub mod report;
mod runner;
pub mod sample_source;
pub mod showing;
pub mod statistics;
pub mod sweep;
pub mod verify;
