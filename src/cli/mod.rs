//! One file per subcommand: arguments in, library calls, tables and files out.

/// As the standard macro, which panics where standard error cannot be written.
macro_rules! eprintln {
    ($($arguments:tt)*) => { $crate::cli::output::message(format_args!($($arguments)*)) };
}

mod progress;
mod provenance;

mod applicability;
mod check;
mod classification;
mod classify;
mod compare;
mod conversion;
mod convert;
mod data;
mod demo;
mod diagnostic;
mod diff;
mod encode;
mod escape;
mod eval;
mod export;
mod features;
mod hardware;
mod help;
mod history;
mod input;
mod inspect;
mod interrupt;
mod latency;
mod limits;
mod merge;
mod numbers;
mod online;
pub mod options;
mod output;
mod paths;
mod per_sample;
mod presentation;
mod presented;
mod program;
mod read_out;
mod recordings;
mod refusal;
mod report;
mod rerun;
mod results;
mod run;
mod samples;
#[cfg(feature = "serve")]
mod serve;
mod sharing;
mod shell;
mod show;
mod spikes;
mod stimuli;
mod sweep;
mod tables;
mod toolbox;
mod train;
mod verify;

use clap::error::ErrorKind;
use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand};
use output::{answer, print};
use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::PathBuf;

/// Trained networks as spikes: convert, run event by event or clocked, compare.
#[derive(Debug, Parser)]
#[command(name = "megasim", version, args_conflicts_with_subcommands = true)]
struct CommandLine {
    /// A schematic to run in its directory, event files next to it, as MegaSim does; without anything, the demo
    schematic: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

/// One variant a subcommand; each file has its `Arguments` and `run`.
#[derive(Debug, Subcommand)]
enum Command {
    Check(check::Arguments),
    Completions(shell::Completions),
    Diff(diff::Arguments),
    Convert(Box<convert::Arguments>),
    Classify(classify::Arguments),
    Compare(compare::Arguments),
    Encode(encode::Arguments),
    Eval(eval::Arguments),
    Export(export::Arguments),
    Features(features::Arguments),
    Hardware(hardware::Arguments),
    Inspect(inspect::Arguments),
    Report(report::Arguments),
    Rerun(rerun::Arguments),
    Latency(latency::Arguments),
    Man(shell::Man),
    Merge(merge::Arguments),
    Run(run::Arguments),
    #[cfg(feature = "serve")]
    RunSettings(serve::FromSettings),
    #[cfg(feature = "serve")]
    Serve(serve::Arguments),
    Sweep(sweep::Arguments),
    Toolbox(toolbox::Arguments),
    Train(train::Arguments),
    Verify(verify::Arguments),
}

/// Runs a command line, whose first word is the program. Exit status 0: done; 1: the input is at fault; 2: usage
/// (clap's own).
pub fn main(words: Vec<OsString>) -> u8 {
    #[cfg(feature = "serve")]
    let (words, fault) = match serve::resolved(words) {
        Ok(words) => (words, None),
        Err((words, report)) => (words, Some(report)),
    };
    program::start(words);
    if !program::end_with_parent() {
        return 1;
    }
    if !std::io::stderr().is_terminal() {
        // Other programs read it: a message stays on its line. Only the first hook counts, and this is the first.
        let _ = miette::set_hook(Box::new(|_| Box::new(miette::MietteHandlerOpts::new().wrap_lines(false).build())));
    }
    #[cfg(feature = "serve")]
    if let Some(report) = fault {
        output::report(report);
        return output::finish(1);
    }
    let line = match parse(program::words()) {
        Ok(line) => line,
        Err(error) => return output::of_clap(&error),
    };
    interrupt::install();
    let result = match line.command {
        Some(Command::Merge(arguments)) => match merge::run(&arguments) {
            Ok(Some(command)) => dispatch(command),
            Ok(None) => Ok(true),
            Err(report) => Err(report),
        },
        Some(command) => dispatch(command),
        None => match line.schematic {
            Some(schematic) => run::run_in_place(&schematic).map(|()| true),
            None => demo::run().map(|()| true),
        },
    };
    match sharing::finish(result) {
        Ok(good) => output::finish(u8::from(!good)),
        Err(report) => {
            if !program::is_worker() {
                output::report(report);
            }
            sharing::abort();
            output::finish(1)
        }
    }
}

/// Runs a command; whether all is as it should be.
fn dispatch(command: Command) -> miette::Result<bool> {
    let shares = matches!(
        &command,
        Command::Classify(_)
            | Command::Compare(_)
            | Command::Eval(_)
            | Command::Latency(_)
            | Command::Sweep(_)
            | Command::Verify(_)
    );
    if !shares {
        sharing::alone("this command")?;
    }
    let done = match command {
        Command::Convert(arguments) => convert::run(&arguments),
        Command::Classify(arguments) => classify::run(&arguments),
        Command::Encode(arguments) => encode::run(&arguments),
        Command::Compare(arguments) => compare::run(&arguments),
        Command::Eval(arguments) => eval::run(&arguments),
        Command::Export(arguments) => export::run(&arguments),
        Command::Features(arguments) => features::run(&arguments),
        Command::Inspect(arguments) => inspect::run(&arguments),
        Command::Toolbox(arguments) => toolbox::run(&arguments),
        Command::Latency(arguments) => latency::run(&arguments),
        Command::Train(arguments) => train::run(&arguments),
        Command::Check(arguments) => return Ok(check::run(&arguments)),
        Command::Hardware(arguments) => return hardware::run(&arguments),
        Command::Verify(arguments) => return verify::run(&arguments),
        Command::Diff(arguments) => return diff::run(&arguments),
        Command::Report(arguments) => report::run(&arguments),
        Command::Rerun(arguments) => rerun::run(&arguments),
        Command::Run(arguments) => run::run(&arguments),
        Command::Man(arguments) => shell::man(&arguments),
        Command::Completions(arguments) => {
            shell::completions(&arguments);
            Ok(())
        }
        Command::Sweep(arguments) => sweep::run(&arguments),
        #[cfg(feature = "serve")]
        Command::RunSettings(arguments) => serve::from_settings(&arguments),
        #[cfg(feature = "serve")]
        Command::Serve(arguments) => serve::run(&arguments),
        // Shards hold studies only.
        Command::Merge(_) => Err(miette::miette!("expected shards of a study, found a merge")),
    };
    done.map(|()| true)
}

/// All commands and options.
fn command_line() -> clap::Command {
    help::arranged(CommandLine::command())
}

/// The command line, if its options go with its input.
fn parse(words: &[OsString]) -> Result<CommandLine, clap::Error> {
    let (command, matches) = matched(words)?;
    applicability::check(&command, &matches)?;
    output::choose(&matches);
    CommandLine::from_arg_matches(&matches)
}

/// The options of a command line, with the defaults that its network brings along.
fn matched(words: &[OsString]) -> Result<(clap::Command, ArgMatches), clap::Error> {
    let mut command = command_line();
    let mut matches = command.try_get_matches_from_mut(words).map_err(misspelt)?;
    if let Some(defaults) = presented::defaults(&matches) {
        command = defaults.into_command(command_line());
        matches = command.try_get_matches_from_mut(words).map_err(misspelt)?;
    }
    Ok((command, matches))
}

/// A first word that is no command was taken for a schematic; what clap then says about the second does not help.
fn misspelt(error: clap::Error) -> clap::Error {
    let mut command = CommandLine::command();
    let Some(word) = program::words().get(1).map(|word| word.to_string_lossy()) else { return error };
    let is_option_or_schematic = word.starts_with('-') || word.ends_with(".sch");
    let is_about_more = matches!(error.kind(), ErrorKind::ArgumentConflict | ErrorKind::UnknownArgument);
    if !is_about_more || is_option_or_schematic || command.find_subcommand(word.as_ref()).is_some() {
        return error;
    }
    let names: Vec<_> = command.get_subcommands().map(|command| command.get_name().to_string()).collect();
    command
        .error(ErrorKind::InvalidSubcommand, format!("unrecognized command '{word}'; there are {}", names.join(", ")))
}
