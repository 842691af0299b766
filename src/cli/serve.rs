//! `megasim serve`: a page on this machine that starts commands; `megasim run-settings`: a command from a file.

use super::diagnostic::unreadable;
use super::{applicability, command_line, demo, interrupt, matched, print, program};
use clap::builder::ValueHint;
use clap::{ArgAction, Args};
use megasim_serve::form::{Command, Field, Group, Kind, Written};
use megasim_serve::settings::Settings;
use megasim_serve::{Checked, Example, Options, Server};
use miette::{Report, Result, bail, miette};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Open a page on this machine to set up commands, run them and look at their results
///
/// The address that it prints is for this machine only, and has a token, without which nothing is answered. Jobs run in
/// the current directory. Ctrl-C ends the page and the job that runs.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Another directory that may be read and written; the current one always may
    #[arg(long, value_name = "DIR")]
    allow: Vec<PathBuf>,
    /// The port; a free one where it is not given
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,
}

/// Run a command with options from a file, as the page of 'megasim serve' saves them
///
/// The file is TOML: command = "classify", and a table [arguments] with options by their names (without --) and
/// positional arguments by theirs; true for an option without a value, a list for several values.
#[derive(Debug, Args)]
pub struct FromSettings {
    /// The file
    settings: PathBuf,
}

/// Commands that have no form.
const WITHOUT_FORM: &[&str] = &["completions", "help", "man", "run-settings", "serve"];

/// Commands that come first in the list.
const FIRST: &[&str] = &["convert", "classify", "compare", "latency", "sweep", "inspect"];

/// Serves until a signal asks to stop.
///
/// # Errors
/// If the port is taken or a directory is none.
pub fn run(arguments: &Arguments) -> Result<()> {
    let directory = std::env::current_dir().map_err(|error| miette!("the current directory: {error}"))?;
    let model = demo::model();
    let data = model.parent().unwrap_or(Path::new("")).to_path_buf();
    let [model, data] = [model, data].map(|path| path.to_string_lossy().into_owned());
    let options = Options {
        directory,
        allow: arguments.allow.clone(),
        program: Box::new(program::again),
        name: NAME.into(),
        commands: commands(),
        check: Box::new(check),
        example: (Example { model, data }, Box::new(|| demo::unpack().map(drop).map_err(|report| report.to_string()))),
    };
    let server = Server::start(options, arguments.port).map_err(|error| miette!("{error}"))?;
    interrupt::watch_for_end();
    print(&format!("{}\nOpen this address in a browser on this machine; Ctrl-C ends it.\n", server.url()));
    server.run(interrupt::asked);
    Ok(())
}

/// The name of the program on command lines.
const NAME: &str = "megasim";

/// What is wrong with a command line, and which options have no effect on its input.
fn check(words: &[String]) -> Checked {
    let words: Vec<OsString> = words.iter().map(OsString::from).collect();
    let (command, matches) = match matched(&words) {
        Ok(matched) => matched,
        Err(error) => return Checked { fault: Some(message(&error)), ..Checked::default() },
    };
    Checked {
        fault: applicability::check(&command, &matches).err().map(|error| message(&error)),
        without_effect: applicability::without_effect(&command, &matches).into_iter().collect(),
    }
}

/// What is wrong, without the usage of the command.
fn message(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let text = text.split("\n\nUsage:").next().unwrap_or_default();
    text.trim_start_matches("error: ").split("\n\nFor more information").next().unwrap_or_default().trim().to_string()
}

/// The words of the command that a file of settings has.
///
/// # Errors
/// If it cannot be read, or is no such file.
pub fn words(program: &OsString, path: &Path) -> Result<Vec<OsString>> {
    let text = std::fs::read_to_string(path).map_err(|error| unreadable(path, &error))?;
    let fault = |error: megasim_serve::settings::Error| miette!("{}: {error}", path.display());
    let words = Settings::parse(&text).and_then(|settings| settings.words(NAME, &commands())).map_err(fault)?;
    let rest = words.into_iter().skip(1).map(OsString::from);
    Ok(std::iter::once(program.clone()).chain(rest).collect())
}

/// A command line that names a file of settings: the words in that file.
///
/// # Errors
/// As [`words`], with the words as they were.
pub fn resolved(given: Vec<OsString>) -> std::result::Result<Vec<OsString>, (Vec<OsString>, Report)> {
    match &given[..] {
        [program, command, path] if command == "run-settings" && !path.to_string_lossy().starts_with('-') => {
            words(program, Path::new(path)).map_err(|report| (given.clone(), report))
        }
        _ => Ok(given),
    }
}

/// All commands that have a form.
fn commands() -> Vec<Command> {
    let line = command_line();
    let mut all: Vec<Command> =
        line.get_subcommands().filter(|command| !WITHOUT_FORM.contains(&command.get_name())).map(form).collect();
    let place = |command: &Command| FIRST.iter().position(|name| *name == command.name).unwrap_or(FIRST.len());
    all.sort_by_key(place);
    all
}

fn form(command: &clap::Command) -> Command {
    let mut groups: Vec<Group> = Vec::new();
    let arguments = || command.get_arguments().filter(|it| !["help", "version"].contains(&it.get_id().as_str()));
    let positional = arguments().filter(|it| it.is_positional());
    for argument in positional.chain(arguments().filter(|it| !it.is_positional())) {
        let heading = match argument.get_help_heading() {
            Some(heading) => heading,
            None if argument.is_positional() => "Input",
            None => "Options",
        };
        let field = field(argument);
        match groups.iter_mut().find(|group| group.heading == heading) {
            Some(group) => group.fields.push(field),
            None => groups.push(Group { heading: heading.into(), fields: vec![field] }),
        }
    }
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    Command { name: command.get_name().into(), about, groups }
}

fn field(argument: &clap::Arg) -> Field {
    let takes = argument.get_action().takes_values();
    let names = argument.get_value_names().unwrap_or_default();
    let is_path = names.first().is_some_and(|name| ["DATA", "DIR", "FILE"].contains(&name.as_str()));
    let kind = match argument.get_value_hint() {
        _ if !takes => Kind::Flag,
        ValueHint::AnyPath | ValueHint::FilePath | ValueHint::DirPath => Kind::Path,
        _ if is_path => Kind::Path,
        _ => Kind::Text,
    };
    let choices = if takes { argument.get_possible_values() } else { Vec::new() };
    let defaults: Vec<_> = argument.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    Field {
        name: argument.get_long().unwrap_or(argument.get_id().as_str()).to_string(),
        written: if argument.is_positional() { Written::Positional } else { Written::Named },
        kind,
        choices: choices.iter().map(|value| value.get_name().to_string()).collect(),
        default: Some(defaults.join(",")).filter(|text| takes && !text.is_empty()),
        value_name: names.first().map(ToString::to_string).unwrap_or_default(),
        help: argument.get_help().map(ToString::to_string).unwrap_or_default(),
        required: argument.is_required_set(),
        several: matches!(argument.get_action(), ArgAction::Append)
            || argument.get_num_args().is_some_and(|range| range.max_values() > 1),
        common: !argument.is_hide_short_help_set(),
    }
}

/// Of words that [`resolved`] did not take.
///
/// # Errors
/// Always.
pub fn from_settings(arguments: &FromSettings) -> Result<()> {
    bail!("expected 'megasim run-settings {}' without further words", arguments.settings.display())
}
