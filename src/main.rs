//! The program; all of it is in the library's [`cli`](megasim::cli), which the Python package runs, too.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(megasim::cli::main(std::env::args_os().collect()))
}
