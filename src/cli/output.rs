//! Standard output and standard error, whose writes may fail.

use super::{escape, program};
use clap::{ArgMatches, Args};
use std::borrow::Cow;
use std::convert::Infallible;
use std::io::{self, Write};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::{Mutex, OnceLock, PoisonError};
use terminal_size::{Height, Width, terminal_size_of};
use textwrap::{Options, WordSeparator, WordSplitter};

/// The first write to standard output that failed. What follows it is not written: it would have a gap.
static FAULT: Mutex<Option<io::Error>> = Mutex::new(None);

/// Exit status of a program that SIGPIPE ended.
const BROKEN_PIPE: u8 = 128 + 13;

/// Where figures go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Figures {
    /// `-`.
    StandardOutput,
    /// A file.
    File(PathBuf),
}

impl Figures {
    /// As it is on a command line.
    pub fn word(&self) -> PathBuf {
        match self {
            Self::StandardOutput => "-".into(),
            Self::File(path) => path.clone(),
        }
    }
}

impl FromStr for Figures {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(if text == "-" { Self::StandardOutput } else { Self::File(text.into()) })
    }
}

/// What of a result is printed.
#[derive(Debug, Clone, Copy, Default, Args)]
pub struct Printed {
    /// Print all columns of the tables, however wide; else they fit the terminal, or 80 columns where there is none
    #[arg(long, conflicts_with = "brief")]
    full: bool,
    /// Print only the answer
    #[arg(long)]
    brief: bool,
}

/// How results are printed, by the command line.
#[derive(Debug, Clone, Copy, Default)]
struct Style {
    printed: Printed,
    /// Whether the figures go to standard output; then what is for people goes to standard error.
    figures: bool,
}

/// None where the library prints for another language.
static STYLE: OnceLock<Style> = OnceLock::new();

/// Columns where no terminal says how many it has.
const COLUMNS: usize = 80;

/// Fewer columns than this are taken as this.
const LEAST_COLUMNS: usize = 40;

/// Takes over what the command line says of printing. Only the first one counts.
pub fn choose(matches: &ArgMatches) {
    let Some((_, matches)) = matches.subcommand() else {
        let _ = STYLE.set(Style::default());
        return;
    };
    let flag = |id: &str| matches.try_get_one::<bool>(id).ok().flatten().copied().unwrap_or_default();
    let figures = matches.try_get_one::<Figures>("json").ok().flatten();
    let printed = Printed { full: flag("full"), brief: flag("brief") };
    let _ = STYLE.set(Style { printed, figures: matches!(figures, Some(Figures::StandardOutput)) });
}

fn style() -> Style {
    STYLE.get().copied().unwrap_or_default()
}

/// How wide tables may be, in columns; none: as wide as they are.
pub fn width() -> Option<usize> {
    let style = STYLE.get().filter(|style| !style.printed.full)?;
    Some(
        columns(if style.figures { terminal_size_of(io::stderr()) } else { terminal_size_of(io::stdout()) })
            .unwrap_or(COLUMNS),
    )
}

/// What the variable `COLUMNS` says, else the terminal; none where it is no terminal.
fn columns(terminal: Option<(Width, Height)>) -> Option<usize> {
    let said = std::env::var("COLUMNS").ok().and_then(|text| text.parse().ok()).filter(|&columns| columns > 0);
    let columns = said.or(terminal.map(|(Width(columns), _)| usize::from(columns)))?;
    Some(columns.max(LEAST_COLUMNS))
}

/// What lines of tables begin with.
const FRAME: [char; 4] = ['\u{250c}', '\u{2502}', '\u{255e}', '\u{2514}'];

/// Sentences folded between words to a width; tables and commands to copy stay as they are.
fn folded(text: &str, columns: Option<usize>) -> Cow<'_, str> {
    let Some(columns) = columns.filter(|&columns| text.lines().any(|line| line.len() > columns)) else {
        return text.into();
    };
    let mut lines = String::with_capacity(text.len() + text.len() / columns);
    for line in text.split_inclusive('\n') {
        let sentence = line.trim_start_matches(' ');
        if line.len() <= columns || line.starts_with(FRAME) || sentence.starts_with("megasim ") {
            lines += line;
            continue;
        }
        let indent = &line[..line.len() - sentence.len()];
        let options = Options::new(columns)
            .initial_indent(indent)
            .subsequent_indent(indent)
            .break_words(false)
            .word_separator(WordSeparator::AsciiSpace)
            .word_splitter(WordSplitter::NoHyphenation);
        lines += &textwrap::fill(sentence.trim_end_matches('\n'), options);
        lines.extend(line.ends_with('\n').then_some('\n'));
    }
    lines.into()
}

/// Puts the figures on standard output.
pub fn figures(text: &str) {
    if !program::is_worker() {
        record(|| io::stdout().write_all(text.as_bytes()));
    }
}

/// Puts the answer where results go, also where nothing else is asked for.
pub fn answer(text: &str) {
    put(&format!("{text}\n"));
}

/// Puts tables and remarks where results go. A fault is reported by [`finish`], so that results in files are written
/// all the same.
pub fn print(text: &str) {
    if !style().printed.brief {
        put(text);
    }
}

fn put(text: &str) {
    if program::is_worker() {
        return;
    }
    let text = escape::text(text);
    if style().figures {
        let text = folded(&text, columns(terminal_size_of(io::stderr())));
        let _ = io::stderr().write_all(text.as_bytes());
    } else {
        let text = folded(&text, columns(terminal_size_of(io::stdout())));
        record(|| io::stdout().write_all(text.as_bytes()));
    }
}

fn record(write: impl FnOnce() -> io::Result<()>) {
    let mut fault = FAULT.lock().unwrap_or_else(PoisonError::into_inner);
    if fault.is_none() {
        *fault = write().and_then(|()| io::stdout().flush()).err();
    }
}

/// Puts a message on standard error; where that fails there is no place left to report it.
pub fn message(text: std::fmt::Arguments<'_>) {
    if program::is_worker() {
        return;
    }
    let text = text.to_string();
    let text = escape::text(&text);
    let _ = writeln!(io::stderr(), "{}", folded(&text, columns(terminal_size_of(io::stderr()))));
}

/// A warning on standard error.
pub fn warn(warning: impl std::fmt::Display) {
    message(format_args!("warning: {warning}"));
}

/// Puts a report on standard error, in colours where that is a terminal.
pub fn report(report: miette::Report) {
    let _ = writeln!(io::stderr(), "{:?}", miette::Report::new(escape::Escaped::new(report)));
}

/// What `--help`, `--version` and faults of the command line print, with clap's own exit status.
pub fn of_clap(error: &clap::Error) -> u8 {
    if program::is_worker() {
        return error.exit_code() as u8;
    }
    let text = error.render().to_string();
    if escape::text(&text) != text {
        // Without colours, where an argument has control characters.
        message(format_args!("{}", text.trim_end()));
    } else if error.use_stderr() {
        let _ = error.print();
    } else {
        record(|| error.print());
    }
    finish(error.exit_code() as u8)
}

/// The exit status: the given one, or that of a fault on standard output. A reader that closed its end is no fault
/// worth a message.
pub fn finish(status: u8) -> u8 {
    let fault = FAULT.lock().unwrap_or_else(PoisonError::into_inner);
    match &*fault {
        Some(error) if error.kind() == io::ErrorKind::BrokenPipe => {
            if status == 0 {
                BROKEN_PIPE
            } else {
                status
            }
        }
        Some(error) => {
            message(format_args!("error: standard output: cannot be written: {error}"));
            status.max(1)
        }
        None => status,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_are_folded_and_tables_and_commands_are_not() {
        let kept = "│ a table that is long │\n  megasim convert a b c d e f\n";
        let text = format!("one two three four\n  five six seven eight\n{kept}");
        assert_eq!(folded(&text, None), text);
        assert_eq!(folded(&text, Some(100)), text);
        let expected = format!("one two\nthree four\n  five six\n  seven\n  eight\n{kept}");
        assert_eq!(folded(&text, Some(10)), expected);
        assert_eq!(folded("a-path/that-cannot-be-folded b", Some(10)), "a-path/that-cannot-be-folded\nb");
    }
}
