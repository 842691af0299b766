//! Netfiles: reading, writing, rules, damaged files.

#[path = "../common/random_network.rs"]
mod random_network;

mod damage;
mod difference;
mod golden;
mod ready_made;
mod round_trip;
mod rules;
