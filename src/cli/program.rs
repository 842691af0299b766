//! The command line that runs, and the program that it started.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

static WORDS: OnceLock<Vec<OsString>> = OnceLock::new();

/// Keeps the command line; only the first one of a process counts.
pub fn start(words: Vec<OsString>) {
    let _ = WORDS.set(words);
}

/// The command line, the program first.
pub fn words() -> &'static [OsString] {
    WORDS.get().map_or(&[], Vec::as_slice)
}

/// The program's file: this process, or the script that has its interpreter run this library.
///
/// # Errors
/// If the system does not tell.
pub fn path() -> io::Result<PathBuf> {
    let started: Vec<_> = std::env::args_os().collect();
    match words().first() {
        Some(program) if started.first() != Some(program) => Ok(PathBuf::from(program)),
        _ => std::env::current_exe(),
    }
}

/// In the environment of a program that must not outlive the one that started it: the process that it ends with.
const ENDS_WITH: &str = "MEGASIM_ENDS_WITH";

/// This program, to be started again, which ends when the thread that starts it ends: also when it is killed, where the
/// system can do that (Linux).
///
/// # Errors
/// As [`path`].
pub fn again() -> io::Result<Command> {
    let mut command = Command::new(path()?);
    command.env(ENDS_WITH, std::process::id().to_string());
    Ok(command)
}

/// In a program of [`again`]: asks the system to end this process with the one that started it. Says whether that one
/// is still there.
pub fn end_with_parent() -> bool {
    let Some(parent) = std::env::var(ENDS_WITH).ok().and_then(|id| id.parse::<u32>().ok()) else { return true };
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{Signal, set_parent_process_death_signal};
        // What cannot be asked for changes no result.
        let _ = set_parent_process_death_signal(Some(Signal::KILL));
    }
    #[cfg(unix)]
    return std::os::unix::process::parent_id() == parent;
    #[cfg(not(unix))]
    return parent > 0;
}

/// The rank of this process, where MPI started it together with others.
pub fn launched() -> Option<usize> {
    let number = |names: &[&str]| names.iter().find_map(|name| std::env::var(name).ok()?.parse::<usize>().ok());
    let rank = number(&["OMPI_COMM_WORLD_RANK", "PMI_RANK"])?;
    let size = number(&["OMPI_COMM_WORLD_SIZE", "PMI_SIZE"])?;
    (size > 1).then_some(rank)
}

/// Whether another process prints and writes.
pub fn is_worker() -> bool {
    cfg!(feature = "mpi") && launched().is_some_and(|rank| rank > 0)
}
