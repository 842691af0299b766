//! `megasim latency`: a network on a machine, how long it takes and what it costs, next to the ideal machine.

mod described;
mod page;
mod sentences;
mod tables;
mod units;

pub use described::cores;

use super::diagnostic::{self, report, unreadable};
use super::input::{InputArgs, LoadedInput};
use super::paths::Paths;
use super::per_sample::{page_file, with_ending};
use super::presentation::Presentation;
use super::progress::Progress;
use super::results::{Results, of_page};
use super::sharing::{self, Sharing};
use super::{interrupt, output, print};
use clap::Args;
use megasim::atomic_write;
use megasim::engine::machine::Pace;
use megasim::hardware::{self, Duration, Hardware, LogLine};
use megasim::report::Page;
use megasim::study::latency::{InputError, Latency, LatencyError, LatencyOptions, MachineInput, latency_of};
use miette::{Report, Result, bail};
use serde_json::json;
use std::path::{Path, PathBuf};

/// Run a network on a described machine: latency, utilisation, queues, energy, and accuracy next to the ideal machine
///
/// Takes a netfile directory of 'megasim convert' with --data, or any schematic by itself: its own stimuli are cut at
/// their resets, and each piece is a sample.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    given: InputArgs,
    /// The machine: ideal, serial-aer, loihi, or a file (docs/hardware.md)
    #[arg(long, value_name = "FILE|NAME", default_value = "ideal")]
    hardware: PathBuf,
    /// Refuse a machine file with a pattern that matches nothing in the network; else that is a warning
    #[arg(long)]
    strict: bool,
    /// How fast the input comes: real, fastest (as fast as it is taken), or xK (K times as fast)
    #[arg(long, value_name = "PACE", default_value = "real")]
    pace: Pace,
    /// How long a tick of a schematic is, as '1 us'; that of the machine where it is not given
    #[arg(long, value_name = "TIME")]
    tick: Option<Duration>,
    /// Time at the start of each sample that figures of modules, nodes and links leave out, as '20 us'
    #[arg(long, value_name = "TIME")]
    warm_up: Option<Duration>,
    /// Samples that are run again to see what makes the machine faster, and what halving the bottleneck gives; 0: none
    #[arg(long, value_name = "N", default_value_t = 3)]
    relief: usize,
    /// Hardware keys that are made better on those samples, those with the largest shares of the critical path
    #[arg(long, value_name = "N", default_value_t = 3)]
    relief_keys: usize,
    /// Fit the delays of modules and links to a measured event log, as --trace writes it (docs/timing.md), and run with
    /// them
    #[arg(long, value_name = "FILE.csv")]
    calibrate: Option<PathBuf>,
    /// Write each event's times on the first sample: FILE.csv, or FILE.json for a viewer of Chrome traces (Perfetto);
    /// may be repeated
    #[arg(long, value_name = "FILE", value_parser = trace_file)]
    trace: Vec<PathBuf>,
    /// List modules one by one instead of layers
    #[arg(long)]
    modules: bool,
    /// Write a page of pictures to this file, and their numbers to a directory next to it
    #[arg(long, value_name = "FILE.html", value_parser = page_file)]
    report: Option<PathBuf>,
    #[command(flatten)]
    pub(super) presentation: Presentation,
    #[command(flatten)]
    sharing: Sharing,
    #[command(flatten)]
    results: Results,
}

/// `--trace`: the ending says what is written.
fn trace_file(text: &str) -> Result<PathBuf, String> {
    with_ending(text, &["csv", "json"])
}

/// What came out, and what was asked for.
struct Outcome<'a> {
    arguments: &'a Arguments,
    found: &'a Latency,
}

impl Arguments {
    /// As the library takes them.
    ///
    /// # Errors
    /// If the machine or the measured log cannot be read.
    pub(super) fn options(&self) -> Result<LatencyOptions> {
        let hardware =
            Hardware::open(&self.hardware).map_err(|error| diagnostic::hardware(&error))?.strict(self.strict);
        let mut options = LatencyOptions::new(hardware).pace(self.pace).relief(self.relief);
        options.relief_keys = self.relief_keys;
        options.presentation = self.presentation.presented();
        options.warm_up = self.warm_up;
        options.measured = self.calibrate.as_deref().map(measured).transpose()?;
        Ok(options)
    }
}

/// Runs, prints and writes.
pub fn run(arguments: &Arguments) -> Result<()> {
    let Arguments { presentation, results, .. } = arguments;
    results.check()?;
    let InputArgs { subject, data, labels, .. } = &arguments.given;
    let read = [subject, &arguments.hardware].into_iter().chain(&arguments.calibrate).chain(labels);
    let paths = Paths::default().files(results.file().into_iter().chain(&arguments.trace)).pages(&arguments.report);
    paths.directories(&arguments.sharing.outcomes).inputs(read).data(data).check()?;
    if let Some(path) = &arguments.report {
        Page::check(path, results.overwrite()).map_err(report)?;
    }
    for path in &arguments.trace {
        atomic_write::check_file(path, results.overwrite()).map_err(report)?;
    }
    let options = arguments.options()?;
    let (input, mut inputs) = machine_input(&arguments.given, presentation, arguments.tick)?;
    if arguments.hardware.is_file() {
        inputs.push(arguments.hardware.clone());
    }
    inputs.extend(arguments.calibrate.clone());
    let pool = presentation.threads.pool().map_err(report)?;
    arguments.sharing.begin(&inputs, Some(presentation.seed), pool.current_num_threads())?;
    interrupt::watch();
    let found = pool.install(|| latency_of(input, &options, &Progress::default()));
    let found = sharing::whole(found, |error| matches!(error, LatencyError::Cancelled));
    let found = found.map_err(|error| match (&error, &arguments.calibrate) {
        (LatencyError::Input(error), _) => reported(error),
        (LatencyError::Calibration(error), Some(path)) => miette::miette!("{}: {error}", path.display()),
        _ => report(error),
    })?;
    let Some(found) = found else { return Ok(()) };
    for warning in &found.mapped.resolved.warnings {
        output::warn(format_args!("{warning}"));
    }
    write_traces(arguments, &found)?;
    let outcome = Outcome { arguments, found: &found };
    print(&tables::text(&outcome));
    if let Some(path) = &arguments.report {
        page::page(&outcome).and_then(|page| page.write(path, results.overwrite())).map_err(report)?;
        print(&format!("Pictures: {}\n", path.display()));
    }

    let mut parameters = presentation.parameters();
    parameters["samples"] = json!(found.results.samples.len());
    arguments.given.parameters(&mut parameters);
    parameters["hardware"] = json!(found.hardware.name());
    parameters["strict"] = json!(arguments.strict);
    parameters["pace"] = json!(arguments.pace.to_string());
    parameters["tick"] = json!(found.mapped.resolved.tick.map(|tick| tick.to_string()));
    parameters["tick_of_schematic"] = json!(arguments.tick.map(|tick| tick.to_string()));
    parameters["warm_up"] = json!(arguments.warm_up.map(|time| time.to_string()));
    parameters["relief"] = json!(arguments.relief);
    parameters["relief_keys"] = json!(arguments.relief_keys);
    let mut others = of_page(&arguments.report);
    others.extend(arguments.trace.iter().cloned());
    results.write(&found.figures(), &others, &inputs, Some(presentation.seed), parameters)?;
    super::answer(&sentences::in_words(&outcome));
    Ok(())
}

/// The log of a measurement.
fn measured(path: &Path) -> Result<Vec<LogLine>> {
    let text = std::fs::read_to_string(path).map_err(|error| unreadable(path, &error))?;
    hardware::parse_log(&text).map_err(|error| miette::miette!("{}:{error}", path.display()))
}

/// Reads network and samples, and says which files that were. `tick` is how long one of a schematic's is.
///
/// # Errors
/// If a file cannot be read, does not fit the others, or is missing.
pub fn machine_input(
    given: &InputArgs,
    presentation: &Presentation,
    tick: Option<Duration>,
) -> Result<(MachineInput, Vec<PathBuf>)> {
    if !given.is_schematic() {
        if presentation.code()?.is_current() {
            return Err(report(InputError::Currents));
        }
        if tick.is_some() {
            bail!("--tick is for schematics; a millisecond of a converted network is --ticks-per-ms ticks");
        }
    }
    match given.open(presentation, &[1])? {
        LoadedInput::Converted(loaded) => {
            let converted = &loaded.converted;
            if converted.deciding_spikes().is_none() {
                output::warn(format_args!(
                    "the output gathers potentials and never spikes, so no decisions are reported"
                ));
            }
            let input = MachineInput::new(converted, &loaded.samples, &presentation.presented());
            Ok((input.map_err(|error| reported(&error))?, loaded.inputs))
        }
        LoadedInput::Schematic(schematic) => {
            let inputs = schematic.inputs.clone();
            let limits = presentation.limits();
            let labelled = (schematic.segments.clone(), given.labels.is_some());
            let input = MachineInput::segments(schematic.network, schematic.segments, schematic.uncut, tick, limits);
            let input = input.map_err(|error| reported(&error))?;
            let labels = match labelled {
                (segments, true) => given.labels(presentation, &segments, input.classes())?,
                (_, false) => None,
            };
            Ok((input.with_labels(labels), inputs))
        }
    }
}

/// Why something cannot be put on a machine, with the line of a file that is at fault.
pub fn reported(error: &InputError) -> Report {
    match error {
        InputError::Hardware(error) => diagnostic::hardware(error),
        InputError::Code(error) => diagnostic::code(error),
        _ => report(error),
    }
}

/// Runs the first sample again and writes what happens.
fn write_traces(arguments: &Arguments, found: &Latency) -> Result<()> {
    if arguments.trace.is_empty() {
        return Ok(());
    }
    let mut passages = Vec::new();
    let run = found.watch(0, &mut |passage| passages.push(*passage)).map_err(report)?;
    let network = &found.mapped.network;
    for path in &arguments.trace {
        let is_csv = path.extension().is_some_and(|extension| extension == "csv");
        let mut end = None;
        let write = |file: &mut dyn std::io::Write| {
            if is_csv {
                hardware::write_log(network, &passages, &run, file)
            } else {
                end = hardware::write_trace(network, &passages, &run, found.mapped.resolved.tick, file)?;
                Ok(())
            }
        };
        atomic_write::write_file(path, arguments.results.overwrite(), write).map_err(report)?;
        if let Some(end) = end {
            output::warn(format_args!(
                "{}: holds the first {} of {} events, up to tick {end}, which is what viewers open; --trace FILE.csv \
                    holds all",
                path.display(),
                hardware::MOST_EVENTS,
                passages.len()
            ));
        }
    }
    Ok(())
}
