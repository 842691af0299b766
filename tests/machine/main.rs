//! The engine on timed hardware: cases worked by hand, queueing theory, machine files.

#[path = "../common/mod.rs"]
mod common;

mod by_hand;
mod equality;
mod hardware_files;
mod machines;
mod queueing;
