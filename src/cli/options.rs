//! Options as words of a command line, for bindings of other languages: every option has the values, the checks and
//! the messages of the program.
//!
//! Networks and samples come from the caller's memory; options about files and printed tables are refused.

use super::numbers::explained;
use super::presented::Defaults;
use super::progress::Progress;
use super::{Command, applicability, compare, convert, diagnostic};
use applicability::Input;
use clap::FromArgMatches;
use megasim::Control;
use megasim::ann::import::Model;
use megasim::convert::{ConvertOptions, ConvertedModel, LabelledSamples};
use megasim::parallel::Pool;
use megasim::study::classification::ClassifyOptions;
use megasim::study::compare::CompareInput;
use megasim::study::latency::LatencyOptions;
use megasim::study::sweep::SweepPlan;
use megasim::study::verify::VerifyOptions;
use serde_json::Value;
use std::io;

/// The options of a command, and how many threads run it.
pub struct Threaded<O> {
    /// The options.
    pub options: O,
    /// The threads.
    pub pool: Pool,
}

/// Why options, or what is done with them, are refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// In the words of the program.
    pub message: String,
    /// What the system said, where a file could not be read.
    pub system: Option<io::ErrorKind>,
}

impl From<String> for Refusal {
    fn from(message: String) -> Self {
        Self { message, system: None }
    }
}

/// In place of the caller's network, its data and a directory of results.
const MEMORY: &str = "memory";

const DATA: &str = "samples are arguments";
const RESULTS: &str = "results are values here; files of them are written by the program";
const STAGES: &str = "files of single steps are read and written by the program";
const MODEL: &str = "goes with the reading of the model";

/// Options that have no effect in memory, by command, and why.
const ELSEWHERE: &[(&str, &[&str], &str)] = &[
    ("convert", &["data", "samples"], DATA),
    ("convert", &["out", "force"], "the network is saved by a separate call"),
    ("convert", &["architecture", "input-shape"], MODEL),
    ("convert", &["export", "save-scales", "full", "brief"], RESULTS),
    ("convert", &["save-parsed", "parsed", "save-activations", "activations", "save-normalised", "normalised"], STAGES),
    ("classify", &["data", "skip", "samples"], DATA),
    ("classify", &["json", "report", "predictions", "history", "save-thresholds", "full", "brief", "force"], RESULTS),
    ("compare", &["data", "skip", "samples", "labels"], DATA),
    ("compare", &["json", "report", "sample", "history", "full", "brief", "force"], RESULTS),
    ("latency", &["data", "skip", "samples", "labels"], DATA),
    ("latency", &["json", "report", "trace", "modules", "full", "brief", "force"], RESULTS),
    ("sweep", &["data", "skip", "samples", "labels"], DATA),
    ("sweep", &["out", "report", "full", "brief", "force"], RESULTS),
    ("verify", &["data", "skip", "samples"], DATA),
    ("verify", &["json", "full", "brief", "force"], RESULTS),
];

/// Options of `classify` that have no effect where spikes of one sample are recorded.
const UNDECIDED: &[&str] = &["readout", "k", "confidence", "top-k", "savings", "threads"];

/// Options of `classify` that change thresholds during a run.
const ONLINE: &[&str] = &["online-normalization", "diff-to-max-rate", "diff-to-min-rate", "timestep-fraction"];

/// Options of `classify` that have no effect where a sample only becomes spikes.
const NOT_RUN: &[&str] = &["mode", "dt", "max-events", "max-memory"];

/// The name of the option that a word gives.
fn name_of(word: &str) -> Option<&str> {
    word.strip_prefix("--").map(|option| option.split_once('=').map_or(option, |(name, _)| name))
}

/// Refuses options that have no effect.
fn refuse(words: &[String], options: &[&str], why: &str) -> Result<(), String> {
    let given = words.iter().filter_map(|word| name_of(word));
    let found = given.into_iter().find(|name| options.contains(name));
    found.map_or(Ok(()), |name| Err(format!("--{name}: has no effect here: {why}")))
}

/// Reads the options of a command; defaults of presentations are those of the network.
fn parse(command: &str, places: &[&str], words: &[String], of: Option<&ConvertedModel>) -> Result<Command, String> {
    for (_, options, why) in ELSEWHERE.iter().filter(|(name, ..)| *name == command) {
        refuse(words, options, why)?;
    }
    let mut line = super::command_line_with(command.as_ref());
    if let Some(converted) = of {
        line = Defaults::new(command, converted.manifest()).into_command(line);
    }
    let start = ["megasim", command].into_iter().chain(places.iter().copied()).map(str::to_string);
    let matches = line
        .try_get_matches_from_mut(start.chain(words.iter().cloned()))
        .map_err(|error| message(&explained(error)))?;
    let input = if command == "convert" { Input::TrainedNetwork } else { Input::Netfiles };
    applicability::check_on(&line, &matches, Some(input)).map_err(|error| message(&error))?;
    Command::from_arg_matches(&matches).map_err(|error| message(&error))
}

/// A fault of the command line without what is only said on a terminal.
fn message(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let text = text.split("\n\nUsage:").next().unwrap_or_default();
    let text = text.split("\n\nFor more information").next().unwrap_or_default();
    text.trim().trim_start_matches("error: ").to_string()
}

fn message_of<T>(result: miette::Result<T>) -> Result<T, Refusal> {
    result.map_err(|report| Refusal { message: report.to_string(), system: diagnostic::system_of(&report) })
}

/// Options of `megasim convert` for a trained network.
///
/// # Errors
/// What is wrong with them.
pub fn convert(words: &[String], model: &Model) -> Result<ConvertOptions, Refusal> {
    match parse("convert", &[MEMORY, "--data", MEMORY, "--out", MEMORY], words, None)? {
        Command::Convert(arguments) => message_of(convert::options(&arguments, model)),
        _ => Err(Refusal::from("expected options of convert".to_string())),
    }
}

/// Options of `megasim classify` for a converted network.
///
/// # Errors
/// What is wrong with them.
pub fn classify(words: &[String], converted: &ConvertedModel) -> Result<Threaded<ClassifyOptions>, Refusal> {
    match parse("classify", &[MEMORY, "--data", MEMORY], words, Some(converted))? {
        Command::Classify(arguments) => {
            let (options, pool) = (message_of(arguments.options(converted))?, pool(&arguments.presentation.threads)?);
            Ok(Threaded { options, pool })
        }
        _ => Err(Refusal::from("expected options of classify".to_string())),
    }
}

/// Options of `megasim classify` that count where one sample is run and recorded.
///
/// # Errors
/// What is wrong with them.
pub fn run(words: &[String], converted: &ConvertedModel) -> Result<ClassifyOptions, Refusal> {
    refuse(words, UNDECIDED, "one sample is recorded, nothing is decided")?;
    refuse(words, ONLINE, "thresholds follow rates in classify only")?;
    classify(words, converted).map(|of| of.options)
}

/// Options of `megasim classify` that count where a sample becomes spikes.
///
/// # Errors
/// What is wrong with them.
pub fn encode(words: &[String], converted: &ConvertedModel) -> Result<ClassifyOptions, Refusal> {
    refuse(words, NOT_RUN, "a sample becomes spikes, nothing is run")?;
    run(words, converted)
}

fn pool(threads: &super::presentation::Threads) -> Result<Pool, Refusal> {
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
) -> Result<(Value, String), Refusal> {
    match parse("compare", &[MEMORY, "--data", MEMORY], words, Some(converted))? {
        Command::Compare(arguments) => {
            let input = CompareInput::converted(converted, samples);
            let pool = pool(&arguments.presentation.threads)?;
            let answer = message_of(pool.install(|| compare::compare(&arguments, &input, control)))?;
            let answer = answer.ok_or_else(|| "expected all samples, found a part of them".to_string())?;
            Ok((answer.json, format!("{}{}\n", answer.text, answer.sentences)))
        }
        _ => Err(Refusal::from("expected options of compare".to_string())),
    }
}

/// Options of `megasim latency` for a converted network.
///
/// # Errors
/// What is wrong with them.
pub fn latency(words: &[String], converted: &ConvertedModel) -> Result<Threaded<LatencyOptions>, Refusal> {
    match parse("latency", &[MEMORY, "--data", MEMORY], words, Some(converted))? {
        Command::Latency(arguments) => {
            let (options, pool) = (message_of(arguments.options())?, pool(&arguments.presentation.threads)?);
            Ok(Threaded { options, pool })
        }
        _ => Err(Refusal::from("expected options of latency".to_string())),
    }
}

/// The points of `megasim sweep` of a converted network.
///
/// # Errors
/// What is wrong with the options.
pub fn sweep(words: &[String], converted: &ConvertedModel) -> Result<Threaded<SweepPlan>, Refusal> {
    match parse("sweep", &[MEMORY, "--data", MEMORY, "--out", MEMORY], words, Some(converted))? {
        Command::Sweep(arguments) => {
            let plan = message_of(arguments.options())?.plan(false).map_err(|error| error.to_string())?;
            Ok(Threaded { options: plan, pool: pool(&arguments.presentation.threads)? })
        }
        _ => Err(Refusal::from("expected options of sweep".to_string())),
    }
}

/// Options of `megasim verify` for a converted network.
///
/// # Errors
/// What is wrong with them.
pub fn verify(words: &[String], converted: &ConvertedModel) -> Result<Threaded<VerifyOptions>, Refusal> {
    match parse("verify", &[MEMORY, "--data", MEMORY], words, Some(converted))? {
        Command::Verify(arguments) => {
            let (options, pool) = (message_of(arguments.options())?, pool(&arguments.presentation.threads)?);
            Ok(Threaded { options, pool })
        }
        _ => Err(Refusal::from("expected options of verify".to_string())),
    }
}

/// Bars on a terminal's standard error, and warnings there.
pub fn bars() -> impl Control {
    Progress::default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused_exists() {
        let line = crate::cli::command_line();
        let of_classify = [UNDECIDED, ONLINE, NOT_RUN].map(|options| ("classify", options, ""));
        for (command, options, _) in ELSEWHERE.iter().chain(&of_classify) {
            let command = line.find_subcommand(command).unwrap();
            for option in *options {
                let exists = command.get_arguments().any(|argument| argument.get_long() == Some(option));
                assert!(exists, "{} has no option --{option}", command.get_name());
            }
        }
    }

    #[test]
    fn files_of_results_are_refused() {
        let words = ["--json=a.json".to_string()];
        let found = parse("classify", &[MEMORY, "--data", MEMORY], &words, None).map(|_| ());
        assert_eq!(found, Err(format!("--json: has no effect here: {RESULTS}")));
    }
}
