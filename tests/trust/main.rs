//! Nothing of a user is lost, nothing is silent: end to end, by the program.

mod common;
mod interrupt;
mod kill;
mod overwrite;
mod rerun;
mod stdout;
