//! Data formats: arrays, pictures, recordings of event cameras.

#[path = "../common/arrays.rs"]
mod arrays;
#[allow(dead_code)]
#[path = "../common/npy.rs"]
mod npy;

mod dataset;
mod images;
mod recordings;
mod sources;
