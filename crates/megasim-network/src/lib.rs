//! Spiking networks, their netfiles, and equations of neurons and codes.
//!
//! [`network::Network`] is what the netfile reader ([`netfile`]) and a converter produce; the engine in `megasim-core`,
//! which re-exports this crate, runs it.

#[cfg(feature = "files")]
pub mod atomic_write;
pub mod control;
pub mod equations;
pub mod graph;
pub mod netfile;
pub mod network;
pub mod parallel;
pub mod source_error;

pub use control::Control;
