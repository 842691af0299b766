//! Both modes of the engine: golden files, a plain reference implementation, limits, custom codes and neurons.

#[path = "../common/mod.rs"]
mod common;

mod custom_codes;
mod custom_neurons;
mod encode_statistics;
mod golden;
mod layerwise;
mod limits;
mod max_pool;
mod online;
mod payload;
mod readout;
mod reference;
mod signed;
mod small;
mod tie_order;
