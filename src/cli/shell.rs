//! `megasim completions` and `megasim man`: what a shell and `man` know of the command line.

use super::command_line;
use super::diagnostic::report;
use super::output::print;
use clap::Args;
use clap_complete::Shell;
use megasim::atomic_write::{self, Overwrite};
use miette::Result;
use std::path::PathBuf;

/// Print completions for a shell
#[derive(Debug, Args)]
pub struct Completions {
    /// The shell
    shell: Shell,
}

/// Write manual pages, one for each command, to a directory
#[derive(Debug, Args)]
pub struct Man {
    /// The directory
    directory: PathBuf,
    /// Replace pages that are there
    #[arg(long)]
    force: bool,
}

/// Prints the script that a shell reads.
pub fn completions(arguments: &Completions) {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut command_line(), "megasim", &mut script);
    print(&String::from_utf8_lossy(&script));
}

/// Writes `megasim.1` and `megasim-COMMAND.1`.
pub fn man(arguments: &Man) -> Result<()> {
    atomic_write::make_directory(&arguments.directory).map_err(report)?;
    let overwrite = if arguments.force { Overwrite::Allow } else { Overwrite::Refuse };
    let mut command = command_line();
    command.build();
    let subcommands = command.get_subcommands().filter(|command| command.get_name() != "help").map(|subcommand| {
        let name = format!("megasim-{}", subcommand.get_name());
        (name.clone(), subcommand.clone().display_name(name))
    });
    for (name, command) in std::iter::once(("megasim".to_string(), command.clone())).chain(subcommands) {
        let path = arguments.directory.join(format!("{name}.1"));
        let mut page = Vec::new();
        clap_mangen::Man::new(command).render(&mut page).map_err(report)?;
        atomic_write::write_file(&path, overwrite, |file| file.write_all(&page)).map_err(report)?;
    }
    Ok(())
}
