//! `megasim latency`: a network on a machine, how long it takes and what it costs, beside the ideal machine.

mod figures;
mod page;
mod tables;

use super::diagnostic::{self, report};
use super::presentation::Presentation;
use super::results::Results;
use super::subject::{self, Converted, Given, Schematic, Subject};
use super::{interrupt, print, progress};
use clap::Args;
use megasim::encode::{Code, Layout};
use megasim::engine::timed::{Pace, Showing};
use megasim::hardware::{self, Duration, Fit, Hardware, ModuleLayer, Resolved};
use megasim::network::{ModuleId, Network, NodeId, Stimulus, Tick};
use megasim::report::Page;
use megasim::study::latency::{Answer, Bottleneck, Question, Relief};
use megasim::study::material::Pieces;
use megasim::whole;
use miette::{Result, bail};
use ndarray::Array2;
use serde_json::json;
use std::path::{Path, PathBuf};

/// Run a network on a described machine: latency, utilisation, queues, energy, and accuracy beside the ideal machine
///
/// Takes a netfile directory of 'megasim convert' with --data, or any schematic by itself: its own stimuli are cut at their resets, and
/// each piece is a sample.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    given: Given,
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
    /// Samples that are run again to see what relieves the bottleneck; 0: none
    #[arg(long, value_name = "N", default_value_t = 3)]
    relief: usize,
    /// Fit the delays of modules and links to a measured event log, as --trace writes it (docs/timing.md), and run with them
    #[arg(long, value_name = "FILE.csv")]
    calibrate: Option<PathBuf>,
    /// Write each event's times on the first sample: FILE.csv, or FILE.json for a viewer of Chrome traces (Perfetto); may be repeated
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

/// What is run, with everything that it borrows from.
struct Opened {
    network: Network,
    layers: Vec<ModuleLayer>,
    shown: Shown,
    output: Option<(NodeId, usize)>,
    labels: Option<Vec<usize>>,
    /// By source: input, and no clock.
    input: Vec<bool>,
    /// How long a tick of the network is.
    tick: Option<Duration>,
    /// How long a sample is shown, in ticks of the network, where somebody said.
    until: Option<Tick>,
    inputs: Vec<PathBuf>,
}

enum Shown {
    Images { values: Array2<f32>, first: u64, layout: Box<Layout>, code: Box<dyn Code> },
    Pieces(Pieces),
}

impl Opened {
    fn open(arguments: &Arguments) -> Result<Self> {
        let Arguments { given, presentation, .. } = arguments;
        if !given.is_schematic() {
            if arguments.tick.is_some() {
                bail!("--tick is for schematics; a millisecond of a converted network is --ticks-per-ms ticks");
            }
            if presentation.code()?.is_current() {
                bail!("--encode: values as currents have no input events, whose times this study is about");
            }
        }
        match given.open(presentation)? {
            subject::Opened::Converted(converted) => Self::converted(*converted, presentation),
            subject::Opened::Schematic(schematic) => Self::schematic(schematic, arguments),
        }
    }

    fn converted(converted: Converted, presentation: &Presentation) -> Result<Self> {
        let clock = presentation.clock();
        let Some(tick) = Duration::part_of_a_ms(clock.ticks_per_ms) else {
            bail!("--ticks-per-ms: expected a number that divides 10^12, so that a tick is whole femtoseconds");
        };
        let decides = converted.subject.deciding_spikes();
        if decides.is_none() {
            eprintln!("warning: the output gathers potentials and never spikes, so no decisions are told");
        }
        let Converted { subject: Subject { manifest, network, layout, output, .. }, trial, inputs } = converted;
        let input: Vec<NodeId> = layout.nodes(&network).collect();
        let layers = ModuleLayer::of_manifest(&network, &manifest);
        let network = network.with_t_max(clock.ticks() - 1).map_err(report)?;
        Ok(Self {
            input: network.sources().iter().map(|node| input.contains(node)).collect(),
            network,
            layers,
            shown: Shown::Images {
                values: trial.samples.x,
                first: presentation.skip,
                layout: Box::new(layout),
                code: presentation.code()?,
            },
            output: decides.or(Some((output, 0))),
            // Potentials, which no machine reports, decide nothing here.
            labels: decides.map(|_| trial.samples.y),
            tick: Some(tick),
            until: Some(clock.ticks()),
            inputs,
        })
    }

    fn schematic(schematic: Schematic, arguments: &Arguments) -> Result<Self> {
        let Schematic { network, pieces, uncut, inputs } = schematic;
        // What is not cut runs as the schematic says.
        let t_max = if uncut { network.t_max() } else { (pieces.ticks - 1).min(network.t_max()) };
        let network = network.with_t_max(t_max).map_err(report)?;
        // The last module decides, if it is a row.
        let last = network.modules().len().checked_sub(1).map(ModuleId::new);
        let row = last.and_then(|last| network.modules()[last.index()].kind.neurons());
        let classes = row.filter(|(array, ..)| array.ny == 1 && array.x_min == 0).map(|(array, ..)| array.nx as usize);
        let node = last.and_then(|last| network.outputs(last).first().copied());
        let output = node.zip(classes);
        let labels = arguments.given.labels(&arguments.presentation, &pieces, output.map(|(_, classes)| classes))?;
        Ok(Self {
            layers: ModuleLayer::of_network(&network),
            input: vec![true; network.sources().len()],
            network,
            shown: Shown::Pieces(pieces),
            output: output.or(node.map(|node| (node, 0))),
            labels,
            tick: arguments.tick,
            until: None,
            inputs,
        })
    }

    fn samples(&self) -> usize {
        match &self.shown {
            Shown::Images { values, .. } => values.nrows(),
            Shown::Pieces(pieces) => pieces.samples.len(),
        }
    }

    fn first(&self) -> u64 {
        match &self.shown {
            Shown::Images { first, .. } => *first,
            Shown::Pieces(pieces) => pieces.skipped as u64,
        }
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
    bottleneck: Option<Bottleneck>,
    reliefs: Vec<Relief>,
}

/// Runs, prints and writes.
pub fn run(arguments: &Arguments) -> Result<()> {
    let Arguments { presentation, results, .. } = arguments;
    results.check()?;
    if let Some(path) = &arguments.report {
        Page::check(path, results.replace()).map_err(report)?;
    }
    for path in &arguments.trace {
        whole::check_file(path, results.replace()).map_err(report)?;
    }
    let hardware = Hardware::open(&arguments.hardware).map_err(|error| diagnostic::hardware(&error))?;
    let opened = Opened::open(arguments)?;
    let (tick, factor) = hardware.agree(opened.tick).map_err(|error| diagnostic::hardware(&error))?;
    let network = opened.network.with_finer_ticks(factor).map_err(report)?;
    let mut resolved =
        hardware.resolve(&network, &opened.layers, tick).map_err(|error| diagnostic::hardware(&error))?;
    let fits = match &arguments.calibrate {
        Some(path) => calibrate(path, &network, &mut resolved)?,
        None => Vec::new(),
    };
    let warm_up = match (arguments.warm_up, tick) {
        (None, _) => 0,
        (Some(time), Some(tick)) => match time.in_ticks(tick) {
            Some(ticks) => ticks,
            None => bail!("--warm-up: expected a whole number of ticks of {tick}, found {time}"),
        },
        (Some(_), None) => bail!("--warm-up: nobody said how long a tick is; --tick TIME does"),
    };
    let until = opened.until.map(|ticks| ticks.saturating_mul(factor)).and_then(|ticks| match arguments.pace {
        Pace::Real => Some(ticks),
        Pace::Times(times) => Some(ticks / Tick::from(times.get())),
        Pace::Fastest => None,
    });
    let stimuli = |sample: usize| -> Vec<Stimulus> {
        let coarse = match &opened.shown {
            Shown::Images { values, first, layout, code } => {
                let values = values.row(sample).to_vec();
                layout.stimuli(code.as_ref(), &values, first + sample as u64, presentation.clock())
            }
            Shown::Pieces(pieces) => pieces.samples[sample].clone(),
        };
        coarse.into_iter().map(|stimulus| stimulus.with_finer_ticks(factor)).collect()
    };
    let question = Question {
        network: &network,
        hardware: &resolved,
        stimuli: &stimuli,
        samples: opened.samples(),
        first: opened.first(),
        input: &opened.input,
        output: opened.output,
        labels: opened.labels.as_deref(),
        showing: Showing { pace: arguments.pace, warm_up, until },
        t_max: network.t_max(),
    };
    interrupt::watch();
    let pool = presentation.threads.pool().map_err(report)?;
    let (answer, bottleneck, reliefs) = pool.install(|| -> Result<_> {
        let bar = progress::bar("latency", question.samples);
        let answer = question.answer(|| bar.inc(1), interrupt::asked).map_err(report);
        bar.finish_and_clear();
        let answer = answer?;
        if answer.samples.is_empty() {
            bail!("stopped before the first samples were done");
        }
        let bottleneck = Bottleneck::of(&question, &answer);
        let reliefs = match &bottleneck {
            Some(bottleneck) if arguments.relief > 0 && !interrupt::asked() => {
                bottleneck.reliefs(&question, arguments.relief).map_err(report)?
            }
            _ => Vec::new(),
        };
        Ok((answer, bottleneck, reliefs))
    })?;
    write_traces(arguments, &question)?;
    let outcome = Outcome {
        fits,
        arguments,
        opened: &opened,
        hardware: &hardware,
        resolved: &resolved,
        answer,
        bottleneck,
        reliefs,
    };
    print(&tables::text(&outcome));
    if let Some(path) = &arguments.report {
        page::page(&outcome).and_then(|page| page.write(path, results.replace())).map_err(report)?;
        print(&format!("Pictures: {}\n", path.display()));
    }

    let mut inputs = opened.inputs.clone();
    if arguments.hardware.is_file() {
        inputs.push(arguments.hardware.clone());
    }
    inputs.extend(arguments.calibrate.clone());
    let mut parameters = presentation.parameters();
    parameters["samples"] = json!(outcome.answer.samples.len());
    parameters["hardware"] = json!(hardware.name());
    parameters["pace"] = json!(arguments.pace.to_string());
    parameters["tick"] = json!(tick.map(|tick| tick.to_string()));
    parameters["warm_up"] = json!(arguments.warm_up.map(|time| time.to_string()));
    parameters["relief"] = json!(arguments.relief);
    results.write(&figures::json(&outcome), &inputs, Some(presentation.seed), parameters)
}

/// Fits what a log says and puts it into the machine.
fn calibrate(path: &Path, network: &Network, resolved: &mut Resolved) -> Result<Vec<Fit>> {
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
        let write = |file: &mut dyn std::io::Write| {
            if is_csv {
                hardware::write_log(network, &passages, &run, file)
            } else {
                hardware::write_trace(network, &passages, &run, question.hardware.tick, file)
            }
        };
        whole::write_file(path, arguments.results.replace(), write).map_err(report)?;
    }
    Ok(())
}
