//! Which options have an effect, by command and kind of input: one table, looked up before a command starts.
//!
//! Every option of every command has a row, which a test compares with the definitions of clap. An option that is given
//! where it has no effect is a usage error that names the option and says where it belongs.

mod table;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, Command};
use megasim::convert::{Manifest, manifest, stage};
use megasim::dataset::recording::Recordings;
use megasim::encode::registry::Choice;
use std::path::{Path, PathBuf};
use table::{OPTIONS, Row};

/// The kinds of input that options depend on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// A model file of another library.
    TrainedNetwork,
    /// A model file of another library, with sequences of frames.
    NetworkAndFrames,
    /// A model file of another library, with event recordings.
    NetworkAndRecordings,
    /// A file with a spiking network.
    Nir,
    /// A parsed or normalised network that `convert` saved.
    Stage,
    /// An `.npz` model of `train`.
    SpikingModel,
    /// A netfile directory of `convert`, with samples of numbers.
    Netfiles,
    /// A netfile directory of `convert`, with sequences of frames.
    Frames,
    /// A netfile directory of `convert`, with event recordings.
    Recordings,
    /// A netfile directory of `convert`, with spike trains.
    SpikeTrains,
    /// A schematic with its own stimuli.
    Schematic,
    /// A directory of data.
    Data,
    /// One file with an event recording.
    Recording,
    /// The only kind that a command takes.
    Only,
}

impl Input {
    fn name(self) -> &'static str {
        match self {
            Self::TrainedNetwork => "a trained network",
            Self::NetworkAndFrames => "a trained network with sequences of frames",
            Self::NetworkAndRecordings => "a trained network with event recordings",
            Self::Nir => "a spiking network (.nir)",
            Self::Stage => "a stage of a conversion",
            Self::SpikingModel => "a model of 'megasim train'",
            Self::Netfiles => "a netfile directory",
            Self::Frames => "sequences of frames",
            Self::Recordings => "event recordings",
            Self::SpikeTrains => "spike trains (.nir)",
            Self::Schematic => "a schematic",
            Self::Data => "a directory of data",
            Self::Recording => "an event recording",
            Self::Only => "its input",
        }
    }

    /// What a command was given.
    fn of(command: &str, matches: &ArgMatches) -> Self {
        let path = |id: &str| matches.get_one::<PathBuf>(id).map_or(Path::new(""), PathBuf::as_path);
        match command {
            "convert" if super::features::is_model(path("model")) => Self::SpikingModel,
            "convert" if is_nir(path("model")) => Self::Nir,
            "convert" => Self::of_samples(path("data"), matches, Self::TrainedNetwork),
            "eval" if super::features::is_model(path("model")) => Self::SpikingModel,
            "eval" if stage::is_stage(path("model")) => Self::Stage,
            "eval" => Self::TrainedNetwork,
            "inspect" if path("target").join(manifest::FILE_NAME).is_file() => {
                // What is wrong with a manifest is reported where it is read.
                let is_spiking = Manifest::read(path("target")).is_ok_and(|manifest| manifest.nir.is_some());
                if is_spiking { Self::Nir } else { Self::Netfiles }
            }
            "inspect" if is_nir(path("target")) => Self::Nir,
            "inspect" => Self::TrainedNetwork,
            "classify" if super::features::is_model(path("netdir")) => Self::SpikingModel,
            "classify" => Self::of_samples(path("data"), matches, Self::Netfiles),
            "compare" | "latency" | "sweep" | "verify" if is_schematic(path("subject")) => Self::Schematic,
            "compare" | "latency" | "sweep" | "verify" => Self::of_samples(path("data"), matches, Self::Netfiles),
            "encode" if super::encode::is_recording(path("data")) => Self::Recording,
            "encode" => Self::Data,
            _ => Self::Only,
        }
    }
}

impl Input {
    /// Samples of a directory: recordings, sequences of frames, or numbers.
    fn of_samples(data: &Path, matches: &ArgMatches, numbers: Self) -> Self {
        let of_network = numbers == Self::TrainedNetwork;
        if is_nir(data) && !of_network {
            return Self::SpikeTrains;
        }
        match Recordings::find(data) {
            Ok(None) if !matches.get_flag("frames") => numbers,
            Ok(None) if of_network => Self::NetworkAndFrames,
            Ok(None) => Self::Frames,
            // A fault of recordings is reported where they are read.
            _ if of_network => Self::NetworkAndRecordings,
            _ => Self::Recordings,
        }
    }
}

fn is_nir(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("nir"))
}

fn is_schematic(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "sch")
}

/// The options of a command as they were given.
pub struct GivenOptions<'a> {
    matches: &'a ArgMatches,
}

impl GivenOptions<'_> {
    /// Whether an option is on the command line.
    pub fn has(&self, id: &str) -> bool {
        self.matches.try_contains_id(id).is_ok() && self.matches.value_source(id) == Some(ValueSource::CommandLine)
    }

    /// The text of an option's first value, a default included.
    pub fn text(&self, id: &str) -> Option<String> {
        let mut values = self.matches.try_get_raw(id).ok()??;
        values.next().map(|value| value.to_string_lossy().into_owned())
    }

    /// Whether one of the codes has a property; those of `--over encode=...` included.
    fn any_code(&self, has: impl Fn(&Choice) -> bool) -> bool {
        let given = self.matches.try_get_one::<Choice>("encode").ok().flatten();
        given.is_some_and(&has) || self.over("encode").iter().any(|value| value.parse().is_ok_and(|code| has(&code)))
    }

    /// The values of `--over NAME=...`, those of a code between semicolons.
    fn over(&self, name: &str) -> Vec<String> {
        let Ok(Some(all)) = self.matches.try_get_raw("over") else { return Vec::new() };
        let all: Vec<String> = all.map(|value| value.to_string_lossy().into_owned()).collect();
        let values = all.iter().filter_map(|over| over.split_once('=').filter(|(known, _)| known.trim() == name));
        values.flat_map(|(_, values)| values.split(';').map(|value| value.trim().to_string())).collect()
    }

    /// Whether the values of one of the swept parameters have a property.
    fn has_over(&self, holds: impl Fn(&str) -> bool) -> bool {
        let all = self.matches.try_get_raw("over").ok().flatten();
        all.into_iter().flatten().any(|over| holds(&over.to_string_lossy()))
    }

    /// Whether the input is a schematic, which has its own stimuli.
    fn has_schematic(&self) -> bool {
        self.text("subject").is_some_and(|path| is_schematic(Path::new(&path)))
    }

    /// Whether a parameter is swept.
    fn is_swept(&self, name: &str) -> bool {
        !self.over(name).is_empty()
    }
}

/// Refuses an option that has no effect on what was given with it.
///
/// # Errors
/// A usage error that names the option.
pub fn check(line: &Command, matches: &ArgMatches) -> Result<(), clap::Error> {
    check_on(line, matches, None)
}

/// As [`check`], on a known kind of input.
///
/// # Errors
/// As there.
pub fn check_on(line: &Command, matches: &ArgMatches, input: Option<Input>) -> Result<(), clap::Error> {
    let Some((name, matches)) = matches.subcommand() else { return Ok(()) };
    let Some(command) = line.find_subcommand(name) else { return Ok(()) };
    let (input, given) = (input.unwrap_or_else(|| Input::of(name, matches)), GivenOptions { matches });
    if name == "convert" && input != Input::Nir && !given.has("data") {
        let text = "the following required arguments were not provided:\n  --data <DATA>";
        return Err(command.clone().error(ErrorKind::MissingRequiredArgument, text));
    }
    for argument in command.get_arguments().filter(|argument| !argument.is_positional()) {
        let id = argument.get_id().as_str();
        let Some(row) = row(name, id).filter(|_| given.has(id)) else { continue };
        let option = argument.get_long().unwrap_or(id);
        if let Some(why) = row.refusal(input, &given, option) {
            let text = format!("--{option}: {why}");
            return Err(command.clone().error(ErrorKind::ArgumentConflict, text));
        }
    }
    Ok(())
}

/// Options that have no effect on the input of a command line, given or not, and why.
#[cfg(feature = "serve")]
pub fn without_effect(line: &Command, matches: &ArgMatches) -> Vec<(String, String)> {
    let Some((name, matches)) = matches.subcommand() else { return Vec::new() };
    let Some(command) = line.find_subcommand(name) else { return Vec::new() };
    let input = Input::of(name, matches);
    let arguments = command.get_arguments().filter(|argument| !argument.is_positional());
    let refused = arguments.filter_map(|argument| {
        let id = argument.get_id().as_str();
        let why = row(name, id)?.refusal_of(input)?;
        Some((argument.get_long().unwrap_or(id).to_string(), why))
    });
    refused.collect()
}

fn row(command: &str, option: &str) -> Option<&'static Row> {
    OPTIONS.iter().find(|row| row.option == option && row.commands.contains(&command))
}

impl Row {
    /// Why the option has no effect on an input, and on which it has.
    fn refusal_of(&self, input: Input) -> Option<String> {
        if self.inputs.is_empty() || self.inputs.contains(&input) {
            return None;
        }
        let fits: Vec<_> = self.inputs.iter().map(|input| input.name()).collect();
        Some(format!("has no effect on {}; it is for {}", input.name(), fits.join(" and ")))
    }

    /// Why the option has no effect, and where it has.
    fn refusal(&self, input: Input, given: &GivenOptions, option: &str) -> Option<String> {
        if let Some(why) = self.refusal_of(input) {
            return Some(why);
        }
        // clap asks for --k with --readout k_spikes, also where --over k=... sets another at each point.
        if given.is_swept(option) && option != "k" {
            return Some(format!("has no effect, as --over {option}=... sets it; give one of the two"));
        }
        self.needs.iter().find(|need| !(need.holds)(given)).map(|need| need.expected.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::super::command_line;
    use super::*;

    #[test]
    fn every_option_of_every_command_has_one_row() {
        let line = command_line();
        for command in line.get_subcommands() {
            for argument in command.get_arguments().filter(|argument| !argument.is_positional()) {
                let (name, id) = (command.get_name(), argument.get_id().as_str());
                if ["help", "version"].contains(&id) {
                    continue;
                }
                let rows = OPTIONS.iter().filter(|row| row.option == id && row.commands.contains(&name)).count();
                assert_eq!(rows, 1, "rows of `{name} --{id}` in src/cli/applicability/table.rs");
            }
        }
    }

    #[test]
    fn every_row_is_of_an_option_that_exists() {
        let line = command_line();
        for row in OPTIONS {
            for name in row.commands {
                let command = line.find_subcommand(name).unwrap_or_else(|| panic!("no command {name}"));
                let exists = command.get_arguments().any(|argument| argument.get_id() == row.option);
                assert!(exists, "{name} has no option {}", row.option);
            }
        }
    }
}
