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
use clap::{ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use output::{answer, print};
use std::ffi::{OsStr, OsString};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

/// Trained networks as spikes: convert, run event by event or clocked, compare.
#[derive(Debug, Parser)]
#[command(name = "megasim", version, args_conflicts_with_subcommands = true)]
struct InPlace {
    /// A schematic to run in its directory, event files next to it, as MegaSim does; without arguments, the demo
    schematic: Option<PathBuf>,
}

/// One variant a subcommand, with its name; each file has its `Arguments` and `run`.
macro_rules! commands {
    ($($(#[$attribute:meta])* $variant:ident = $name:literal: $arguments:ty,)*) => {
        #[derive(Debug, Subcommand)]
        enum Command {
            $($(#[$attribute])* #[command(name = $name)] $variant($arguments),)*
        }

        /// A subcommand by its name.
        fn subcommand(name: &str) -> Option<clap::Command> {
            let command = clap::Command::new;
            match name {
                $($(#[$attribute])* $name => Some(<$arguments>::augment_args(command($name))),)*
                _ => None,
            }
        }
    };
}

commands! {
    Check = "check": check::Arguments,
    Completions = "completions": shell::Completions,
    Diff = "diff": diff::Arguments,
    Convert = "convert": Box<convert::Arguments>,
    Classify = "classify": classify::Arguments,
    Compare = "compare": compare::Arguments,
    Encode = "encode": encode::Arguments,
    Eval = "eval": eval::Arguments,
    Export = "export": export::Arguments,
    Features = "features": features::Arguments,
    Hardware = "hardware": hardware::Arguments,
    Inspect = "inspect": inspect::Arguments,
    Report = "report": report::Arguments,
    Rerun = "rerun": rerun::Arguments,
    Latency = "latency": latency::Arguments,
    Man = "man": shell::Man,
    Merge = "merge": merge::Arguments,
    Run = "run": run::Arguments,
    #[cfg(feature = "serve")]
    RunSettings = "run-settings": serve::FromSettings,
    #[cfg(feature = "serve")]
    Serve = "serve": serve::Arguments,
    Sweep = "sweep": sweep::Arguments,
    Toolbox = "toolbox": toolbox::Arguments,
    Train = "train": train::Arguments,
    Verify = "verify": verify::Arguments,
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
    let result = match line {
        Line::Command(command) => match *command {
            Command::Merge(arguments) => match merge::run(&arguments) {
                Ok(Some(command)) => dispatch(command),
                Ok(None) => Ok(true),
                Err(report) => Err(report),
            },
            command => dispatch(command),
        },
        Line::InPlace(schematic) => run::run_in_place(&schematic).map(|()| true),
        Line::Demo => demo::run().map(|()| true),
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
    help::arranged(Command::augment_subcommands(InPlace::command()))
}

/// What parses a command line with this first word: of many commands, only the one that it names.
fn command_line_with(word: &OsStr) -> clap::Command {
    match word.to_str().and_then(subcommand) {
        Some(subcommand) => help::arranged(InPlace::command().subcommand(subcommand)),
        None => command_line(),
    }
}

/// What to do.
enum Line {
    Command(Box<Command>),
    InPlace(PathBuf),
    Demo,
}

impl Line {
    fn of(matches: &ArgMatches) -> Result<Self, clap::Error> {
        if matches.subcommand_name().is_some() {
            return Command::from_arg_matches(matches).map(|command| Self::Command(Box::new(command)));
        }
        Ok(InPlace::from_arg_matches(matches)?.schematic.map_or(Self::Demo, Self::InPlace))
    }
}

/// The command line, if its options go with its input.
fn parse(words: &[OsString]) -> Result<Line, clap::Error> {
    let (command, matches) = matched(words)?;
    applicability::check(&command, &matches)?;
    output::choose(&matches);
    Line::of(&matches)
}

/// The options of a command line, with the defaults that its network brings along.
fn matched(words: &[OsString]) -> Result<(clap::Command, ArgMatches), clap::Error> {
    let line = || match words {
        // No command can follow.
        [] | [_] => InPlace::command(),
        [_, word] if word == "-V" || word == "--version" || Path::new(word).extension() == Some("sch".as_ref()) => {
            InPlace::command()
        }
        [_, word, ..] => command_line_with(word),
    };
    let mut command = line();
    let mut matches = command.try_get_matches_from_mut(words).map_err(misspelt)?;
    if let Some(defaults) = presented::defaults(&matches) {
        command = defaults.into_command(line());
        matches = command.try_get_matches_from_mut(words).map_err(misspelt)?;
    }
    Ok((command, matches))
}

/// A first word that is no command was taken for a schematic; what clap then says about the second does not help.
fn misspelt(error: clap::Error) -> clap::Error {
    let error = numbers::explained(error);
    let Some(word) = program::words().get(1).map(|word| word.to_string_lossy()) else { return error };
    let is_option_or_schematic = word.starts_with('-') || word.ends_with(".sch");
    let is_about_more = matches!(error.kind(), ErrorKind::ArgumentConflict | ErrorKind::UnknownArgument);
    if !is_about_more || is_option_or_schematic || subcommand(&word).is_some() {
        return error;
    }
    let mut command = command_line();
    let names: Vec<_> = command.get_subcommands().map(|command| command.get_name().to_string()).collect();
    command
        .error(ErrorKind::InvalidSubcommand, format!("unrecognized command '{word}'; there are {}", names.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_alone_is_the_same_as_among_all() {
        for mut expected in command_line().get_subcommands().cloned() {
            let name = expected.get_name().to_string();
            let line = command_line_with(name.as_ref());
            let mut found = line.find_subcommand(&name).unwrap().clone();
            assert_eq!(line.get_subcommands().count(), 1, "{name}");
            assert_eq!(found.render_long_help().to_string(), expected.render_long_help().to_string());
            assert_eq!(found.render_help().to_string(), expected.render_help().to_string());
        }
    }
}
