//! Model importers: recorded outputs of the frameworks, refusals, damaged files.

#[path = "../common/arrays.rs"]
mod arrays;

mod cases;
mod damage;
mod eval;
mod keras_custom;
mod keras_refusals;
mod models;
mod obstacles;
mod refusals;
mod zoo;
