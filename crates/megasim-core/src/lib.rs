//! The engine that runs spiking networks event by event or clocked, spike codes and read-outs; and the networks
//! themselves with their netfiles, from `megasim-network`.
//!
//! [`network::Network`] is what the netfile reader ([`netfile`]) and a converter produce, and what both modes of the
//! engine ([`engine`]) run. Spike codes ([`encode`]) make its stimuli from samples; [`readout`] decides from its
//! record.

mod vectors;

pub mod encode;
pub mod engine;
pub mod rate_error;
pub mod readout;

#[cfg(feature = "files")]
pub use megasim_network::atomic_write;
pub use megasim_network::{Control, control, equations, graph, netfile, network, parallel, source_error};
