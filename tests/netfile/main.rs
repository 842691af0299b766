//! Netfiles: reading, writing, rules, damaged files.

#[path = "../common/engine_data.rs"]
mod engine_data;
#[path = "../common/random_network/mod.rs"]
mod random_network;

mod damage;
mod difference;
mod golden;
mod keys;
mod ready_made;
mod round_trip;
mod rules;
