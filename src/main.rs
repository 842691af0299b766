//! The command line: parses arguments, calls [`cli`], prints the diagnostic.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
