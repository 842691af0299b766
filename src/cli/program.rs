//! The command line that runs, and the program that it started.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
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
