//! One file per subcommand: arguments in, library calls, tables and files out.

mod provenance;

mod check;
mod classify;
mod convert;
mod demo;
mod diagnostic;
mod diff;
mod eval;
mod features;
mod run;
mod train;

use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

/// Trained networks as spikes: convert, run event by event or clocked, compare.
#[derive(Debug, Parser)]
#[command(name = "megasim", version, args_conflicts_with_subcommands = true)]
struct CommandLine {
    /// A schematic to run where it lies, event files beside it, as MegaSim does; without anything, the demo
    schematic: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

/// One variant a subcommand; each file has its `Arguments` and `run`.
#[derive(Debug, Subcommand)]
enum Command {
    Check(check::Arguments),
    Diff(diff::Arguments),
    Convert(convert::Arguments),
    Classify(classify::Arguments),
    Eval(eval::Arguments),
    Features(features::Arguments),
    Run(run::Arguments),
    Train(train::Arguments),
}

/// Exit status 0: done; 1: the input is at fault; 2: usage (clap's own).
pub fn main() -> ExitCode {
    let line = CommandLine::parse();
    let result: miette::Result<()> = match line.command {
        Some(Command::Convert(arguments)) => convert::run(&arguments),
        Some(Command::Classify(arguments)) => classify::run(&arguments),
        Some(Command::Eval(arguments)) => eval::run(&arguments),
        Some(Command::Features(arguments)) => features::run(&arguments),
        Some(Command::Train(arguments)) => train::run(&arguments),
        Some(Command::Check(arguments)) => return exit_code(check::run(&arguments)),
        Some(Command::Diff(arguments)) => match diff::run(&arguments) {
            Ok(equal) => return exit_code(equal),
            Err(report) => Err(report),
        },
        Some(Command::Run(arguments)) => run::run(&arguments),
        None => match line.schematic {
            Some(schematic) => run::run_in_place(&schematic),
            None => demo::run(),
        },
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(report) => {
            eprintln!("{report:?}");
            ExitCode::FAILURE
        }
    }
}

fn exit_code(good: bool) -> ExitCode {
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Puts text on standard output; that nobody reads it to the end is no fault.
fn print(text: &str) {
    use std::io::Write;
    let _ = std::io::stdout().write_all(text.as_bytes());
}
