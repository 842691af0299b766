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
#![warn(missing_docs)]

pub mod ann;
pub mod convert;
pub mod dataset;
pub mod encode;
pub mod engine;
pub mod equations;
pub mod hardware;
pub mod learning;
pub mod located;
pub mod netfile;
pub mod network;
pub mod readout;
pub mod report;
pub mod study;
pub mod toolbox;
pub mod whole;

/// The programs of the README are tested.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
