//! Trained networks as spikes: convert, write netfiles, run event by event or clocked, compare, study hardware timing.
//!
//! ```text
//! model file ──► ann ──► convert ──► Network ──► engine ──► Record ──► readout / study ──► report
//! netfiles ─────────────────────────►   ▲            ▲
//! images ──► encode ──► stimulus ────────────────────┘
//! ```
//!
//! Data goes left to right, and a module never imports one to its right. [`network::Network`] is the waist: the
//! netfile reader and the converter both end there, both modes of the engine start there.
pub use megasim_ann as ann;
pub use megasim_convert as convert;
pub use megasim_convert::toolbox;
pub use megasim_core::{
    Control, atomic_write, control, encode, engine, equations, netfile, network, readout, source_error,
};
pub use megasim_data as dataset;
pub use megasim_stdp as learning;
#[doc(hidden)]
pub use megasim_stdp::with_spiking_network;
pub use megasim_study as study;
pub use megasim_study::{csv, hardware, report};

/// The programs of the README are tested.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
