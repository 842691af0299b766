//! Model importers: recorded outputs of the frameworks, refusals, damaged files.

#[path = "../common/arrays.rs"]
mod arrays;
#[allow(dead_code)]
#[path = "../common/npy.rs"]
mod npy;

mod cases;
mod damage;
mod eval;
mod keras_custom;
mod keras_refusals;
mod models;
mod obstacles;
mod refusals;
mod zoo;
