//! Options as words of a command line, for bindings of other languages: every option has the values, the checks and
//! the messages of the program.
//!
//! Networks and samples come from the caller's memory; options that name files of results are refused.

use super::presented::Defaults;
use super::progress::Progress;
use super::{Command, CommandLine, applicability, compare, convert, diagnostic};
use applicability::Input;
use clap::FromArgMatches;
use megasim::Control;
use megasim::ann::import::Model;
use megasim::convert::{ConvertOptions, ConvertedModel, LabelledSamples};
use megasim::study::classification::ClassifyOptions;
use megasim::study::compare::CompareInput;
use megasim::study::latency::LatencyOptions;
use megasim::study::sweep::SweepPlan;
use megasim::study::verify::VerifyOptions;
use serde_json::Value;

/// The options of a command, and how many threads run it.
pub struct Threaded<O> {
    /// The options.
    pub options: O,
    /// The threads.
    pub pool: rayon::ThreadPool,
}

/// What stands for the caller's network, its data and a directory of results.
const MEMORY: &str = "memory";

/// Reads the options of a command; defaults of presentations are those of the network.
fn parse(command: &str, places: &[&str], words: &[String], of: Option<&ConvertedModel>) -> Result<Command, String> {
    let mut line = super::command_line();
    let presentation = of.and_then(|converted| converted.manifest().presentation.clone());
    if let Some(presentation) = presentation {
        line = Defaults::new(command, presentation).into_command(line);
    }
    let start = ["megasim", command].into_iter().chain(places.iter().copied()).map(str::to_string);
    let matches = line.try_get_matches_from_mut(start.chain(words.iter().cloned())).map_err(|error| message(&error))?;
    let input = if command == "convert" { Input::TrainedNetwork } else { Input::Netfiles };
    applicability::check_on(&line, &matches, Some(input)).map_err(|error| message(&error))?;
    let line = CommandLine::from_arg_matches(&matches).map_err(|error| message(&error))?;
    line.command.ok_or_else(|| format!("{command}: no command"))
}

/// A fault of the command line without what is only said on a terminal.
fn message(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let text = text.split("\n\nUsage:").next().unwrap_or_default();
    let text = text.split("\n\nFor more information").next().unwrap_or_default();
    text.trim().trim_start_matches("error: ").to_string()
}

fn message_of<T>(result: miette::Result<T>) -> Result<T, String> {
    result.map_err(|report| report.to_string())
}

/// Options of `megasim convert` for a trained network.
///
/// # Errors
/// What is wrong with them.
pub fn convert(words: &[String], model: &Model) -> Result<ConvertOptions, String> {
    match parse("convert", &[MEMORY, "--data", MEMORY, "--out", MEMORY], words, None)? {
        Command::Convert(arguments) => message_of(convert::options(&arguments, model)),
        _ => Err("expected options of convert".into()),
    }
}

/// Options of `megasim classify` for a converted network.
///
/// # Errors
/// What is wrong with them.
pub fn classify(words: &[String], converted: &ConvertedModel) -> Result<Threaded<ClassifyOptions>, String> {
    match parse("classify", &[MEMORY, "--data", MEMORY], words, Some(converted))? {
        Command::Classify(arguments) => {
            let (options, pool) = (message_of(arguments.options(converted))?, pool(&arguments.presentation.threads)?);
            Ok(Threaded { options, pool })
        }
        _ => Err("expected options of classify".into()),
    }
}

fn pool(threads: &super::presentation::Threads) -> Result<rayon::ThreadPool, String> {
    message_of(threads.pool().map_err(diagnostic::report))
}

/// Runs `megasim compare` on a converted network: the figures of its `--json`, and its text.
///
/// # Errors
/// What is wrong with the options; where a run fails.
pub fn compare(
    words: &[String],
    converted: &ConvertedModel,
    samples: &LabelledSamples,
    control: &dyn Control,
) -> Result<(Value, String), String> {
    match parse("compare", &[MEMORY, "--data", MEMORY], words, Some(converted))? {
        Command::Compare(arguments) => {
            let input = CompareInput::converted(converted, samples);
            let pool = pool(&arguments.presentation.threads)?;
            message_of(
                pool.install(|| compare::compare(&arguments, &input, control)).map(|answer| (answer.json, answer.text)),
            )
        }
        _ => Err("expected options of compare".into()),
    }
}

/// Options of `megasim latency` for a converted network.
///
/// # Errors
/// What is wrong with them.
pub fn latency(words: &[String], converted: &ConvertedModel) -> Result<Threaded<LatencyOptions>, String> {
    match parse("latency", &[MEMORY, "--data", MEMORY], words, Some(converted))? {
        Command::Latency(arguments) => {
            let (options, pool) = (message_of(arguments.options())?, pool(&arguments.presentation.threads)?);
            Ok(Threaded { options, pool })
        }
        _ => Err("expected options of latency".into()),
    }
}

/// The points of `megasim sweep` of a converted network.
///
/// # Errors
/// What is wrong with the options.
pub fn sweep(words: &[String], converted: &ConvertedModel) -> Result<Threaded<SweepPlan>, String> {
    match parse("sweep", &[MEMORY, "--data", MEMORY, "--out", MEMORY], words, Some(converted))? {
        Command::Sweep(arguments) => {
            let plan = message_of(arguments.options())?.plan(false).map_err(|error| error.to_string())?;
            Ok(Threaded { options: plan, pool: pool(&arguments.presentation.threads)? })
        }
        _ => Err("expected options of sweep".into()),
    }
}

/// Options of `megasim verify` for a converted network.
///
/// # Errors
/// What is wrong with them.
pub fn verify(words: &[String], converted: &ConvertedModel) -> Result<Threaded<VerifyOptions>, String> {
    match parse("verify", &[MEMORY, "--data", MEMORY], words, Some(converted))? {
        Command::Verify(arguments) => {
            let (options, pool) = (message_of(arguments.options())?, pool(&arguments.presentation.threads)?);
            Ok(Threaded { options, pool })
        }
        _ => Err("expected options of verify".into()),
    }
}

/// Bars on a terminal's standard error, and warnings there.
pub fn bars() -> impl Control {
    Progress::default()
}
