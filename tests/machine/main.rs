//! The engine on timed hardware: cases worked by hand, queueing theory, machine files.

#[path = "../common/mod.rs"]
mod common;

mod any_network;
mod arbiters;
mod by_hand;
mod cores;
mod critical_path;
mod equality;
mod hardware_files;
mod machines;
mod queueing;
mod split;
mod steps;
