//! Nothing of a user is lost, nothing is silent, nothing hangs: end to end, by the program.

mod common;
mod idle_time;
mod interrupt;
mod kill;
mod networks;
mod overwrite;
mod rerun;
mod runaway;
mod stdout;
