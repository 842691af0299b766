//! `megasim diff DIR DIR`: where two sets of event files differ first, and how much; or spike counts of two files.

mod counts;

use super::diagnostic;
use super::output::Printed;
use super::tables::{Boxed, boxed, counted};
use clap::Args;
use megasim::netfile::difference::{Difference, Part, RecordedEvent, compare};
use megasim::netfile::{self, list_event_files, read_event_file};
use megasim::network::{EventLog, Polarity, Tick};
use miette::{Result, bail};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Compare two sets of event files, or spike counts
///
/// Tells the first difference with node, time and address, and counts events that are missing in the second directory,
/// extra in it, or shifted. Exit status 0 if they are equal but for shifts within the tolerance, 1 if they differ. Two
/// .npz files, of 'classify --record LAYER,... --npz' or of a script that 'megasim export' wrote, are compared by the
/// spike counts of their layers.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Directory with event files (node_*.evs) of one run, or an .npz file of spike counts
    first: PathBuf,
    /// Directory or .npz file of another run
    second: PathBuf,
    /// An event of the same address and polarity counts as shifted, not as another one, if each of its times is off by
    /// no more (default: 0)
    #[arg(
        long,
        value_name = "TICKS",
        allow_negative_numbers = true,
        value_parser = clap::value_parser!(i64).range(0..),
    )]
    tolerance: Option<Tick>,
    #[command(flatten)]
    printed: Printed,
}

/// A node in one or both directories.
struct Compared {
    node: String,
    /// The directory that lacks the node's file.
    lacking: Option<PathBuf>,
    difference: Difference,
}

/// Prints the differences; whether there is none.
pub fn run(arguments: &Arguments) -> Result<bool> {
    let Arguments { first, second, tolerance, .. } = arguments;
    match (counts::is_archive(first), counts::is_archive(second)) {
        (true, true) if tolerance.is_some() => bail!("--tolerance: is for event files; counts have no times"),
        (true, true) => return counts::run(first, second),
        (false, false) => {}
        _ => bail!(
            "expected two directories of event files or two .npz files of counts, found {} and {}",
            first.display(),
            second.display()
        ),
    }
    let tolerance = tolerance.unwrap_or(0);
    let nodes = compare_directories(first, second, tolerance)?;
    let equal = |of: &Compared| of.lacking.is_none() && of.difference.is_equal(tolerance);
    let all_equal = nodes.iter().all(equal);
    let total = total(&nodes);
    let mut text = String::new();
    for of in &nodes {
        if let Some(directory) = &of.lacking {
            text += &format!("{} has no file of node {{{}}}\n", directory.display(), of.node);
        }
    }
    text += &first_difference(&nodes, arguments);
    if total.left != total.equal || total.right != total.equal || !all_equal {
        text += &format!("{}\n", table(&nodes, total));
    }
    let verdict = match (all_equal, total.shifted) {
        (true, 0) => "equal",
        (true, _) => "equal within the tolerance",
        (false, _) => "different",
    };
    super::print(&text);
    let nodes = counted(nodes.len() as u64, "node");
    super::answer(&format!("{nodes}, {} and {} events: {verdict}", total.left, total.right));
    Ok(all_equal)
}

fn compare_directories(first: &Path, second: &Path, tolerance: Tick) -> Result<Vec<Compared>> {
    let report = |error: netfile::Error| diagnostic::netfile(&error);
    let mut files: BTreeMap<String, [Option<PathBuf>; 2]> = BTreeMap::new();
    for (side, directory) in [first, second].into_iter().enumerate() {
        let listed = list_event_files(directory).map_err(report)?;
        if listed.is_empty() {
            bail!("{}: expected event files (node_*.evs), found none", directory.display());
        }
        for (node, path) in listed {
            files.entry(node).or_default()[side] = Some(path);
        }
    }
    let read =
        |path: &Option<PathBuf>| path.as_deref().map_or(Ok(EventLog::default()), read_event_file).map_err(report);
    let mut nodes = Vec::new();
    for (node, [left, right]) in files {
        let lacking = match (&left, &right) {
            (None, _) => Some(first.to_path_buf()),
            (_, None) => Some(second.to_path_buf()),
            _ => None,
        };
        let difference = compare(&read(&left)?, &read(&right)?, tolerance);
        nodes.push(Compared { node, lacking, difference });
    }
    Ok(nodes)
}

fn total(nodes: &[Compared]) -> Difference {
    nodes.iter().fold(Difference::default(), |total, Compared { difference: of, .. }| Difference {
        left: total.left + of.left,
        right: total.right + of.right,
        equal: total.equal + of.equal,
        shifted: total.shifted + of.shifted,
        missing: total.missing + of.missing,
        extra: total.extra + of.extra,
        reordered: total.reordered || of.reordered,
        first: None,
    })
}

/// The earliest one of all nodes; what is only shifted or reordered comes last.
fn first_difference(nodes: &[Compared], arguments: &Arguments) -> String {
    let rank = |part: &Part| match part {
        Part::Missing(_) | Part::Extra(_) => 0,
        Part::Shifted(..) => 1,
        Part::Order(..) => 2,
    };
    let parts = nodes.iter().filter_map(|of| Some((of, of.difference.first?)));
    let Some((of, part)) = parts.min_by_key(|(_, part)| (rank(part), part.time())) else { return String::new() };
    let line = |event: &RecordedEvent| {
        let ([t_pre, t_rqst, t_ack], (x, y)) = (event.times, event.address);
        format!("{t_pre} {t_rqst} {t_ack} {x} {y} {}", event.polarity as i8)
    };
    let only = |event: &RecordedEvent, directory: &Path| {
        format!("only in {}: `{}` (event {})", directory.display(), line(event), event.index + 1)
    };
    let both = |what: &str, left: &RecordedEvent, right: &RecordedEvent| {
        format!("{what}: `{}` (event {}) and `{}` (event {})", line(left), left.index + 1, line(right), right.index + 1)
    };
    let (event, what) = match &part {
        Part::Missing(event) => (event, only(event, &arguments.first)),
        Part::Extra(event) => (event, only(event, &arguments.second)),
        Part::Shifted(left, right) => (left, both("shifted", left, right)),
        Part::Order(left, right) => (left, both("another order", left, right)),
    };
    let kind = match event.polarity {
        Polarity::Reset => "reset",
        Polarity::Settle => "settle event",
        Polarity::Negative => "negative spike",
        Polarity::Positive => "spike",
    };
    let (x, y) = event.address;
    format!("first difference: node {{{}}}, time {}, {kind} at address ({x}, {y}), {what}\n", of.node, part.time())
}

fn table(nodes: &[Compared], total: Difference) -> Boxed {
    let header = ["node", "first", "second", "equal", "shifted", "missing", "extra", "order"];
    let row = |name: &str, of: &Difference| {
        let order = if of.reordered { "differs" } else { "" };
        let counts = [of.left, of.right, of.equal, of.shifted, of.missing, of.extra].map(|count| count.to_string());
        std::iter::once(name.to_string()).chain(counts).chain([order.to_string()]).collect::<Vec<_>>()
    };
    let different = nodes.iter().filter(|of| of.difference.first.is_some() || of.lacking.is_some());
    boxed(&header, different.map(|of| row(&of.node, &of.difference)).chain([row("total", &total)]))
}
