//! Nothing of a user is lost, nothing is silent, nothing hangs: end to end, by the program.

mod columns;
mod common;
mod devices;
mod hostile_files;
mod idle_time;
mod interrupt;
mod kill;
mod mutations;
mod names;
mod networks;
#[allow(dead_code)]
#[path = "../common/npy.rs"]
mod npy;
mod options;
mod overwrite;
mod place;
mod readers;
mod rerun;
mod runaway;
mod samples;
mod stdout;
mod terminal;
mod toolbox;
mod warnings;
