//! The command line: parses arguments, calls [`cli`], prints the diagnostic.

// Whatever is printed goes through `cli::escape`.
#![deny(clippy::print_stdout, clippy::print_stderr)]

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
