//! Spiking networks, their netfiles, and the engine that runs them event by event or clocked.
//!
//! [`network::Network`] is what the netfile reader ([`netfile`]) and a converter produce, and what both modes of the
//! engine ([`engine`]) run. Spike codes ([`encode`]) make its stimuli from samples; [`readout`] decides from its
//! record.

mod vectors;

#[cfg(feature = "files")]
pub mod atomic_write;
pub mod control;
pub mod encode;
pub mod engine;
pub mod equations;
pub mod graph;
pub mod netfile;
pub mod network;
pub mod parallel;
pub mod rate_error;
pub mod readout;
pub mod source_error;

pub use control::Control;
