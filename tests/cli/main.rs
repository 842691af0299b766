//! The command line, end to end.

#[path = "../common/arrays.rs"]
mod arrays;
#[path = "../common/engine_data.rs"]
mod engine_data;
#[allow(dead_code)]
#[path = "../common/npy.rs"]
mod npy;

mod compare;
mod encode;
mod frames;
mod hardware;
mod help;
mod inspect;
mod latency;
mod main_job;
mod misuse;
#[cfg(feature = "mpi")]
mod mpi;
mod netfile;
mod online;
mod outputs;
mod parts;
mod per_sample;
mod printing;
mod report;
#[cfg(feature = "serve")]
mod serve;
mod short_presentations;
mod signed_studies;
mod single_spike;
mod spikes;
mod sweep;
mod tables;
mod toolbox;
