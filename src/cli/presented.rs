//! Defaults that a converted network brings along: the presentation that it was converted for.
//!
//! `classify`, `encode` and the studies take duration, spike code and ticks per ms from `megasim.json`, where `convert
//! --duration` kept them; what the command line says wins.

use clap::{ArgMatches, Command};
use megasim::convert::Manifest;
use megasim::convert::manifest::Presentation;
use std::path::PathBuf;

/// Commands that present samples to a converted network, or write what would be presented.
const COMMANDS: [&str; 6] = ["classify", "compare", "encode", "latency", "sweep", "verify"];

/// The presentation of the network that one of these commands is about.
#[derive(Debug)]
pub struct Defaults {
    command: String,
    values: Vec<(&'static str, String)>,
}

/// The presentation that the network of a command line was converted for, if it is there and can be read; what is wrong
/// with a network, the command itself reports.
pub fn defaults(matches: &ArgMatches) -> Option<Defaults> {
    let (command, matches) = matches.subcommand()?;
    if !COMMANDS.contains(&command) {
        return None;
    }
    let directory = ["netdir", "subject"].iter().find_map(|id| matches.try_get_one::<PathBuf>(id).ok().flatten())?;
    Some(Defaults::new(command, &Manifest::read(directory).ok()?))
}

impl Defaults {
    /// The presentation of a network that a command is about.
    pub fn new(command: &str, manifest: &Manifest) -> Self {
        let mut values = vec![("encode", manifest.encode())];
        if let Some(Presentation { duration, ticks_per_ms, .. }) = &manifest.presentation {
            values.extend([("duration", duration.to_string()), ("ticks_per_ms", ticks_per_ms.to_string())]);
        }
        Self { command: command.into(), values }
    }

    /// The command line with these defaults.
    pub fn into_command(self, command: Command) -> Command {
        command.mut_subcommand(self.command, |mut command| {
            for (id, value) in self.values {
                // Once per command line that is parsed; clap keeps defaults for as long as it runs.
                let value: &'static str = value.leak();
                command = command.mut_arg(id, |arg| arg.default_value(value));
            }
            command
        })
    }
}
