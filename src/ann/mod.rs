//! The analog network: its graph, its forward pass, and the readers that make it from model files.

pub mod graph;
