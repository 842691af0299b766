//! Trained networks as spikes.
pub mod network;
