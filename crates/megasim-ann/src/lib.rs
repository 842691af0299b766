//! The analog network: its graph, its forward pass, and the readers that make it from model files.

pub mod forward;
pub mod graph;
pub mod import;
#[cfg(feature = "onnx")]
mod levels;
#[cfg(feature = "nir")]
pub mod nir;
mod operation;
pub mod score;
mod shape;
