//! What several tests share.
#![allow(dead_code)]

pub mod engine_data;
pub mod random_network;
pub mod reference;
