//! `megasim sweep`: one or two parameters of conversion, encoding, run or hardware over a range.

mod conversion;
mod files;
mod machine;
mod modes;
mod parameters;
mod work;

use super::diagnostic::{self, report};
use super::input::{ConvertedInput, InputArgs, LoadedInput};
use super::paths::Paths;
use super::presentation::Presentation;
use super::read_out::ReadOutArguments;
use super::{interrupt, print};
use clap::Args;
use files::Files;
use machine::{Basis, OnMachine};
use megasim::atomic_write::Overwrite;
use megasim::dataset::Dataset;
use megasim::encode::registry::Choice;
use megasim::engine::machine::Pace;
use megasim::hardware::{Duration, Hardware};
use megasim::network::Tick;
use megasim::report::Page;
use miette::{Result, bail};
use modes::Modes;
use parameters::{Conditions, Over, Parameter, over};
use serde_json::{Value, json};
use std::path::PathBuf;
use work::{Origin, Study, Work};

/// Most points of a sweep.
const MOST_POINTS: usize = 100_000;

/// Sweep one or two parameters of conversion, encoding, run or hardware: both modes at each point, or a machine
///
/// Takes a netfile directory of 'megasim convert' with --data, or with --hardware any schematic by itself, on its own
/// stimuli. Results are there while it runs: sweep.csv and sweep.json in the directory. The same command goes on where
/// an earlier one was interrupted, and gives the same table as one that ran through.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    given: InputArgs,
    /// A parameter and its values, once or twice (docs/studies.md lists all): duration, encode, dt, ...; percentile,
    /// weight-bits, ...; GLOB.KEY as in 'run
    /// --set'; with --hardware pace and any key of the file, as all.delay_to_process. Values: 1,2,5 or FROM..TO:COUNT,
    /// log:FROM..TO:COUNT, random:FROM..TO:COUNT, random-log:FROM..TO:COUNT, with units as '1 ns..1 us:4'
    #[arg(long, value_name = "PARAMETER=VALUES", required = true, value_parser = over)]
    over: Vec<Over>,
    /// Where the tables go
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Run on a machine, as 'megasim latency' does, instead of in both modes: ideal, serial-aer, loihi, or a file
    /// (docs/timing.md)
    #[arg(long, value_name = "FILE|NAME")]
    hardware: Option<PathBuf>,
    /// With --hardware: how fast the input comes: real (where it is not given), fastest (as fast as it is taken), or xK
    /// (K times as fast)
    #[arg(long, value_name = "PACE", requires = "hardware")]
    pace: Option<Pace>,
    /// With --hardware: how long a tick of a schematic is, as '1 us'; that of the machine where it is not given
    #[arg(long, value_name = "TIME", requires = "hardware")]
    tick: Option<Duration>,
    /// Ticks of a clocked step
    #[arg(
        long,
        value_name = "TICKS",
        default_value_t = 1,
        value_parser = clap::value_parser!(i64).range(1..),
        conflicts_with = "hardware",
    )]
    dt: Tick,
    #[command(flatten)]
    read_out: ReadOutArguments,
    /// Write a page of pictures to this file, and their numbers to a directory beside it
    #[arg(long, value_name = "FILE.html")]
    report: Option<PathBuf>,
    #[command(flatten)]
    presentation: Presentation,
    /// Replace an earlier sweep of other parameters, and an earlier page
    #[arg(long)]
    force: bool,
}

/// A point to be measured.
#[derive(Debug, Clone)]
struct Planned {
    values: Vec<String>,
    conditions: Conditions,
}

/// Sweeps, prints and writes.
pub fn run(arguments: &Arguments) -> Result<()> {
    let Arguments { given, presentation, over, .. } = arguments;
    if over.len() > 2 {
        bail!("--over: expected one or two parameters, found {}", over.len());
    }
    if let Some(path) = &arguments.report {
        Page::check(path, arguments.replace()).map_err(report)?;
    }
    let read = [&given.subject].into_iter().chain(&given.labels).chain(&arguments.hardware);
    Paths::default().directories([&arguments.out]).pages(&arguments.report).inputs(read).data(&given.data).check()?;
    let open = |path: &PathBuf| Hardware::open(path).map_err(|error| diagnostic::hardware(&error));
    let hardware = arguments.hardware.as_ref().map(open).transpose()?;
    arguments.check()?;
    let points = points(arguments, hardware.as_ref())?;
    let pace = arguments.pace.unwrap_or_default();
    match (given.open(presentation)?, &hardware) {
        (LoadedInput::Schematic(_), None) => {
            bail!("{}: expected --hardware FILE|NAME for a schematic, found none", given.subject.display())
        }
        (LoadedInput::Schematic(schematic), Some(hardware)) => {
            let basis = Basis::Schematic { given, schematic: &schematic, tick: arguments.tick };
            let inputs = schematic.inputs.clone();
            let study = OnMachine { hardware, pace, basis };
            Sweep { arguments, points: &points, inputs, samples: schematic.pieces.samples.len() }.run(&study)
        }
        (LoadedInput::Converted(converted), hardware) => {
            let ConvertedInput { converted, samples, inputs } = *converted;
            if converted.deciding_spikes().is_none() && hardware.is_some() {
                bail!(
                    "{}: expected an output that spikes, found one that gathers potentials ('convert --output \
                        potential'), which no machine reports",
                    given.subject.display()
                );
            }
            let sweep = Sweep { arguments, points: &points, inputs, samples: samples.len() };
            // Given with a netfile directory, or it would not be open.
            let dataset = Dataset::open(given.data.as_deref().unwrap_or(&given.subject)).map_err(report)?;
            let origin = Origin { converted: &converted, dataset: &dataset, clock: presentation.clock() };
            match hardware {
                None => sweep.run(&Modes { origin: &origin, samples: &samples }),
                Some(hardware) => sweep.run(&OnMachine { hardware, pace, basis: Basis::Converted(&origin, &samples) }),
            }
        }
    }
}

impl Arguments {
    fn replace(&self) -> Overwrite {
        Overwrite::from_flag(self.force)
    }

    /// Refuses parameters that the way of running does not have.
    fn check(&self) -> Result<()> {
        for Over { name, parameter, .. } in &self.over {
            match (parameter, &self.hardware) {
                (Parameter::Hardware(_) | Parameter::Pace, None) => {
                    bail!("--over {name}: expected --hardware FILE|NAME with the machine, found none")
                }
                (Parameter::Dt | Parameter::TieOrder | Parameter::ReadOut(_), Some(_)) => {
                    bail!(
                        "--over {name}: clocked steps, orders of ties and read-outs are not the machine's; leave out \
                            --hardware"
                    )
                }
                (
                    Parameter::Duration
                    | Parameter::TicksPerMs
                    | Parameter::InputRate
                    | Parameter::Encode
                    | Parameter::OfCode(_)
                    | Parameter::Seed
                    | Parameter::Conversion(_),
                    _,
                ) if self.given.is_schematic() => {
                    bail!("--over {name}: expected a converted network; a schematic has its own weights and stimuli")
                }
                _ => {}
            }
        }
        self.check_code()?;
        if self.read_out.is_given() && self.hardware.is_some() {
            bail!("--readout, --k and --confidence: on a machine most spikes decide; leave them out, or --hardware");
        }
        if self.tick.is_some() && !self.given.is_schematic() {
            bail!("--tick is for schematics; a millisecond of a converted network is --ticks-per-ms ticks");
        }
        if let [first, second] = &self.over[..]
            && first.name == second.name
        {
            bail!("--over: expected two different parameters, found {} twice", first.name);
        }
        Ok(())
    }

    /// Refuses parameters that none of the codes has.
    fn check_code(&self) -> Result<()> {
        let is_encode = |over: &&Over| over.parameter == Parameter::Encode;
        let mut codes: Vec<Choice> = match self.over.iter().find(is_encode) {
            Some(over) => over.values.split(';').filter_map(|value| value.trim().parse().ok()).collect(),
            None => Vec::new(),
        };
        if codes.is_empty() {
            codes.push(self.presentation.encode.clone());
        }
        for Over { name, parameter, .. } in &self.over {
            let ties =
                self.over.iter().any(|over| over.parameter == Parameter::TieOrder && over.values.contains("seeded"));
            if *parameter == Parameter::Seed && !ties && !codes.iter().any(Choice::uses_seed) {
                bail!(
                    "--over {name}: expected a random code (--encode poisson, cpn, ...) or --over tie-order=seeded; \
                        nothing else is drawn"
                );
            }
            if *parameter == Parameter::InputRate && !codes.iter().any(Choice::uses_input_rate) {
                bail!("--over {name}: expected --encode regular or poisson; other codes have rates of their own");
            }
        }
        Ok(())
    }

    /// What a sweep is made of, so that another one is not taken for it.
    fn settings(&self, samples: usize) -> Value {
        let mut settings = self.presentation.parameters();
        settings["samples"] = json!(samples);
        settings["seed"] = json!(self.presentation.seed);
        settings["over"] = self.over.iter().map(|over| json!([over.name, over.values])).collect();
        match &self.hardware {
            Some(hardware) => {
                settings["hardware"] = json!(hardware);
                settings["pace"] = json!(self.pace.unwrap_or_default().to_string());
                settings["tick"] = json!(self.tick.map(|tick| tick.to_string()));
            }
            None => {
                settings["dt"] = json!(self.dt);
                settings["read_out"] = self.read_out.parameters();
            }
        }
        settings
    }
}

/// All points, the last parameter fastest.
fn points(arguments: &Arguments, hardware: Option<&Hardware>) -> Result<Vec<Planned>> {
    let Arguments { presentation, dt, over, .. } = arguments;
    let start = Conditions { read_out: arguments.read_out.clone(), ..Conditions::new(presentation, *dt) };
    let mut points = vec![Planned { values: Vec::new(), conditions: start }];
    // A parameter of the code is one of the code that the point has.
    let mut order: Vec<usize> = (0..over.len()).collect();
    order.sort_by_key(|&k| matches!(over[k].parameter, Parameter::OfCode(_)));
    let fault = |error: String| miette::miette!("--over: {error}");
    let all: Vec<Vec<String>> =
        over.iter().map(|over| over.all(presentation.seed, hardware).map_err(fault)).collect::<Result<_>>()?;
    for values in &all {
        if points.len().saturating_mul(values.len()) > MOST_POINTS {
            bail!("--over: expected at most {MOST_POINTS} points, found more");
        }
        let more = points.iter().flat_map(|point| {
            values.iter().map(|value| {
                let values = point.values.iter().chain([value]).cloned().collect();
                Planned { values, conditions: point.conditions.clone() }
            })
        });
        points = more.collect();
    }
    for point in &mut points {
        for &k in &order {
            point.conditions = point.conditions.with(&over[k], &point.values[k]).map_err(fault)?;
        }
        point.conditions.read_out.check_k()?;
        if let Some(hardware) = hardware {
            // What is wrong with a machine is found before the work.
            let mut changed = hardware.clone();
            for change in &point.conditions.changes {
                changed = changed.changed(change.clone()).map_err(|error| diagnostic::hardware(&error))?;
            }
        }
    }
    Ok(points)
}

/// A sweep, however its points are measured.
struct Sweep<'a> {
    arguments: &'a Arguments,
    points: &'a [Planned],
    inputs: Vec<PathBuf>,
    samples: usize,
}

impl Sweep<'_> {
    /// Measures, prints and writes.
    fn run<S: Study>(self, study: &S) -> Result<()> {
        let Self { arguments, points, mut inputs, samples } = self;
        let Arguments { given, out, presentation, over, .. } = arguments;
        for file in points.iter().filter_map(|point| point.conditions.presentation.code_file()) {
            if !inputs.iter().any(|known| known == file) {
                inputs.push(file.into());
            }
        }
        inputs.extend(arguments.hardware.clone().filter(|path| path.is_file()));
        let settings = arguments.settings(samples);
        let files = Files::<S::Figures>::open(out, inputs, presentation.seed, settings, arguments.replace())?;
        interrupt::watch();
        let pool = presentation.threads.pool().map_err(report)?;
        let work = Work { study, over, points, files: &files };
        let sweep = pool.install(|| work.run())?;
        if sweep.points.is_empty() {
            bail!("stopped before the first point was done");
        }
        print(&format!("{}\n", study.table(&sweep).trim_end()));
        let left = points.len() - sweep.points.len();
        if left > 0 {
            print(&format!("{left} of {} points are left; the same command goes on\n", points.len()));
        }
        print(&format!("Tables: {}\n", out.display()));
        if let Some(path) = &arguments.report {
            let mut facts = vec![("network".to_string(), given.subject.display().to_string())];
            facts.extend(given.data.iter().map(|data| ("data".into(), data.display().to_string())));
            facts.extend(arguments.hardware.iter().map(|path| ("hardware".into(), path.display().to_string())));
            facts.push(("samples a point".into(), samples.to_string()));
            facts.push(("program".into(), format!("megasim {}", env!("CARGO_PKG_VERSION"))));
            let section = study.section(&sweep).map_err(report)?;
            let page = Page { title: section.title.clone(), facts, sections: vec![section] };
            page.write(path, arguments.replace()).map_err(report)?;
            print(&format!("Pictures: {}\n", path.display()));
        }
        Ok(())
    }
}
