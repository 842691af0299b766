//! Data formats: arrays, pictures, recordings of event cameras.

#[path = "../common/arrays.rs"]
mod arrays;

mod dataset;
mod images;
mod recordings;
mod sources;
