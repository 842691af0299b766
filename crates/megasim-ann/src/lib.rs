//! The analog network: its graph, its forward pass, and the readers that make it from model files.

pub mod forward;
pub mod graph;
pub mod import;
mod operation;
pub mod score;
mod shape;
