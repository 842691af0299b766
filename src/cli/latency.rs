//! `megasim latency`: a network on a machine, how long it takes and what it costs, beside the ideal machine.

mod figures;
pub mod opened;
mod page;
mod tables;

use super::diagnostic::{self, report};
use super::input::InputArgs;
use super::paths::Paths;
use super::presentation::Presentation;
use super::progress::Progress;
use super::results::{Results, of_page};
use super::{escape, interrupt, print};
use clap::Args;
use megasim::atomic_write;
use megasim::engine::machine::Pace;
use megasim::hardware::{self, Duration, Fit, Hardware, Resolved};
use megasim::report::Page;
use megasim::study::latency::{Answer, Busiest, Question, Relief};
use miette::{Result, bail};
use opened::{Opened, Staged};
use serde_json::json;
use std::path::{Path, PathBuf};

/// Run a network on a described machine: latency, utilisation, queues, energy, and accuracy beside the ideal machine
///
/// Takes a netfile directory of 'megasim convert' with --data, or any schematic by itself: its own stimuli are cut at
/// their resets, and each piece is a sample.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    given: InputArgs,
    /// The machine: ideal, serial-aer, loihi, or a file (docs/timing.md)
    #[arg(long, value_name = "FILE|NAME", default_value = "ideal")]
    hardware: PathBuf,
    /// How fast the input comes: real, fastest (as fast as it is taken), or xK (K times as fast)
    #[arg(long, value_name = "PACE", default_value = "real")]
    pace: Pace,
    /// How long a tick of a schematic is, as '1 us'; that of the machine where it is not given
    #[arg(long, value_name = "TIME")]
    tick: Option<Duration>,
    /// Time at the start of each sample that figures of modules, nodes and links leave out, as '20 us'
    #[arg(long, value_name = "TIME")]
    warm_up: Option<Duration>,
    /// Samples that are run again to see what makes the machine faster, and whether the busiest module is a bottleneck;
    /// 0: none
    #[arg(long, value_name = "N", default_value_t = 3)]
    relief: usize,
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
    /// Write a page of pictures to this file, and their numbers to a directory beside it
    #[arg(long, value_name = "FILE.html")]
    report: Option<PathBuf>,
    #[command(flatten)]
    presentation: Presentation,
    #[command(flatten)]
    results: Results,
}

/// `--trace`: the ending says what is written.
fn trace_file(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("csv" | "json") => Ok(path),
        _ => Err("expected a name that ends in .csv or .json".into()),
    }
}

/// What came out, with all that tables need.
struct Outcome<'a> {
    fits: Vec<Fit>,
    arguments: &'a Arguments,
    opened: &'a Opened,
    hardware: &'a Hardware,
    resolved: &'a Resolved,
    answer: Answer,
    busiest: Option<Busiest>,
    reliefs: Vec<Relief>,
}

/// Runs, prints and writes.
pub fn run(arguments: &Arguments) -> Result<()> {
    let Arguments { presentation, results, .. } = arguments;
    results.check()?;
    let InputArgs { subject, data, labels } = &arguments.given;
    let read = [subject, &arguments.hardware].into_iter().chain(&arguments.calibrate).chain(labels);
    let paths = Paths::default().files(results.json.iter().chain(&arguments.trace)).pages(&arguments.report);
    paths.inputs(read).data(data).check()?;
    if let Some(path) = &arguments.report {
        Page::check(path, results.overwrite()).map_err(report)?;
    }
    for path in &arguments.trace {
        atomic_write::check_file(path, results.overwrite()).map_err(report)?;
    }
    let hardware = Hardware::open(&arguments.hardware).map_err(|error| diagnostic::hardware(&error))?;
    let (opened, mut inputs) = Opened::open(&arguments.given, presentation, arguments.tick)?;
    let mut staged = opened.on(&hardware)?;
    let fits = match &arguments.calibrate {
        Some(path) => calibrate(path, &mut staged)?,
        None => Vec::new(),
    };
    let tick = staged.resolved.tick;
    let warm_up = match (arguments.warm_up, tick) {
        (None, _) => 0,
        (Some(time), Some(tick)) => match time.in_ticks(tick) {
            Some(ticks) => ticks,
            None => bail!("--warm-up: expected a whole number of ticks of {tick}, found {time}"),
        },
        (Some(_), None) => bail!("--warm-up: expected to know how long a tick is; --tick TIME says it of a schematic"),
    };
    let stimuli = |sample: usize| opened.stimuli(sample, staged.factor);
    let question = opened.question(&staged, &stimuli, arguments.pace, warm_up);
    interrupt::watch();
    let pool = presentation.threads.pool().map_err(report)?;
    let (answer, busiest, reliefs) = pool.install(|| -> Result<_> {
        let answer = question.answer(&Progress::of("latency", question.samples)).map_err(report)?;
        if answer.samples.is_empty() {
            bail!("stopped before the first samples were done");
        }
        let busiest = Busiest::of(&question, &answer);
        let reliefs = match &busiest {
            Some(busiest) if arguments.relief > 0 && !interrupt::asked() => {
                busiest.reliefs(&question, arguments.relief).map_err(report)?
            }
            _ => Vec::new(),
        };
        Ok((answer, busiest, reliefs))
    })?;
    write_traces(arguments, &question)?;
    let outcome = Outcome {
        fits,
        arguments,
        opened: &opened,
        hardware: &hardware,
        resolved: &staged.resolved,
        answer,
        busiest,
        reliefs,
    };
    print(&tables::text(&outcome));
    if let Some(path) = &arguments.report {
        page::page(&outcome).and_then(|page| page.write(path, results.overwrite())).map_err(report)?;
        print(&format!("Pictures: {}\n", path.display()));
    }

    if arguments.hardware.is_file() {
        inputs.push(arguments.hardware.clone());
    }
    inputs.extend(arguments.calibrate.clone());
    let mut parameters = presentation.parameters();
    parameters["samples"] = json!(outcome.answer.samples.len());
    parameters["hardware"] = json!(hardware.name());
    parameters["pace"] = json!(arguments.pace.to_string());
    parameters["tick"] = json!(tick.map(|tick| tick.to_string()));
    parameters["tick_of_schematic"] = json!(arguments.tick.map(|tick| tick.to_string()));
    parameters["warm_up"] = json!(arguments.warm_up.map(|time| time.to_string()));
    parameters["relief"] = json!(arguments.relief);
    let mut others = of_page(&arguments.report);
    others.extend(arguments.trace.iter().cloned());
    results.write(&figures::json(&outcome), &others, &inputs, Some(presentation.seed), parameters)
}

/// Fits what a log says and puts it into the machine.
fn calibrate(path: &Path, staged: &mut Staged) -> Result<Vec<Fit>> {
    let Staged { network, resolved, .. } = staged;
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => bail!("{}: cannot be read: {error}", path.display()),
    };
    let log = match hardware::parse_log(&text) {
        Ok(log) => log,
        Err(error) => bail!("{}:{error}", path.display()),
    };
    let fits = match hardware::fit(network, &resolved.machine, &log) {
        Ok(fits) => fits,
        Err(error) => bail!("{}: {error}", path.display()),
    };
    fits.iter().for_each(|fit| resolved.fit(fit));
    Ok(fits)
}

/// Runs the first sample again and writes what happens.
fn write_traces(arguments: &Arguments, question: &Question<'_>) -> Result<()> {
    if arguments.trace.is_empty() {
        return Ok(());
    }
    let mut passages = Vec::new();
    let run = question.watch(0, &mut |passage| passages.push(*passage)).map_err(report)?;
    let network = question.network;
    for path in &arguments.trace {
        let is_csv = path.extension().is_some_and(|extension| extension == "csv");
        let mut end = None;
        let write = |file: &mut dyn std::io::Write| {
            if is_csv {
                hardware::write_log(network, &passages, &run, file)
            } else {
                end = hardware::write_trace(network, &passages, &run, question.hardware.tick, file)?;
                Ok(())
            }
        };
        atomic_write::write_file(path, arguments.results.overwrite(), write).map_err(report)?;
        if let Some(end) = end {
            escape::warn(format_args!(
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
