//! `megasim sweep`: one or two parameters of conversion, encoding, run or hardware over a range.

mod files;
pub mod tables;

pub use tables::{answer_in_both_modes, answer_on_machine};

use super::diagnostic::{self, report};
use super::input::{ConvertedInput, InputArgs, LoadedInput};
use super::latency::reported;
use super::output::Printed;
use super::paths::Paths;
use super::per_sample::page_file;
use super::presentation::Presentation;
use super::progress::Progress;
use super::read_out::ReadOutArguments;
use super::sharing::{self, Sharing};
use super::{interrupt, print};
use clap::Args;
use files::Files;
use megasim::Control;
use megasim::atomic_write::Overwrite;
use megasim::dataset::Format;
use megasim::engine::machine::Pace;
use megasim::hardware::{Duration, Hardware};
use megasim::network::Tick;
use megasim::report::{self as pages, Page, Section};
use megasim::study::latency::MachineInput;
use megasim::study::sweep::{MachineSubject, Measured, Over, Point, Store, Sweep, SweepError, SweepOptions, SweepPlan};
use miette::{Report, Result, bail};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

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
    #[arg(long, value_name = "PARAMETER=VALUES", required = true)]
    over: Vec<Over>,
    /// With --over duration=...: convert anew for each duration, as 'megasim convert --duration' would
    #[arg(long)]
    recalibrate: bool,
    /// Where the tables go
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Run on a machine, as 'megasim latency' does, instead of in both modes: ideal, serial-aer, loihi, or a file
    /// (docs/hardware.md)
    #[arg(long, value_name = "FILE|NAME")]
    hardware: Option<PathBuf>,
    /// With --hardware: refuse a machine file with a pattern that matches nothing in the network; else that is a
    /// warning
    #[arg(long, requires = "hardware")]
    strict: bool,
    /// With --hardware: how fast the input comes: real (where it is not given), fastest (as fast as it is taken), or xK
    /// (K times as fast)
    #[arg(long, value_name = "PACE", requires = "hardware")]
    pace: Option<Pace>,
    /// With --hardware: how long a tick of a schematic is, as '1 us'; that of the machine where it is not given
    #[arg(long, value_name = "TIME", requires = "hardware")]
    tick: Option<Duration>,
    /// Ticks per clocked step
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
    /// Write a page of pictures to this file, and their numbers to a directory next to it
    #[arg(long, value_name = "FILE.html", value_parser = page_file)]
    report: Option<PathBuf>,
    #[command(flatten)]
    pub(super) presentation: Presentation,
    #[command(flatten)]
    sharing: Sharing,
    #[command(flatten)]
    printed: Printed,
    /// Replace an earlier sweep of other parameters, and an earlier page
    #[arg(long)]
    force: bool,
}

/// Sweeps, prints and writes.
pub fn run(arguments: &Arguments) -> Result<()> {
    let Arguments { given, presentation, .. } = arguments;
    if arguments.over.len() > 2 {
        return Err(report(SweepError::Parameters(arguments.over.len())));
    }
    if let Some(path) = &arguments.report {
        Page::check(path, arguments.replace()).map_err(report)?;
    }
    let read = [&given.subject].into_iter().chain(&given.labels).chain(&arguments.hardware);
    let directories = [&arguments.out].into_iter().chain(&arguments.sharing.outcomes);
    Paths::default().directories(directories).pages(&arguments.report).inputs(read).data(&given.data).check()?;
    let plan = arguments.options()?.plan(given.is_schematic()).map_err(|error| of_sweep(&error))?;
    if arguments.tick.is_some() && !given.is_schematic() {
        bail!("--tick is for schematics; a millisecond of a converted network is --ticks-per-ms ticks");
    }
    let on_machine = plan.options().hardware.is_some();
    let mut shown = presentation.clone();
    if given.has_recordings() {
        let is_encoded =
            |name: &str| name.starts_with("encode") || ["input-rate", "ticks-per-ms", "seed"].contains(&name);
        if let Some(over) = arguments.over.iter().find(|over| is_encoded(over.name())) {
            bail!("--over {}: recordings are spikes already, with their own times", over.name());
        }
        // Events are read once, up to the end of the longest presentation.
        shown.duration = plan.longest();
    }
    match given.open(&shown, &[])? {
        LoadedInput::Schematic(_) if !on_machine => {
            bail!("{}: expected --hardware FILE|NAME for a schematic, found none", given.subject.display())
        }
        LoadedInput::Schematic(schematic) => {
            let segments = &schematic.segments;
            let labels = match &given.labels {
                Some(_) => {
                    let limits = presentation.limits();
                    let (network, uncut) = (schematic.network.clone(), schematic.uncut);
                    let input = MachineInput::segments(network, segments.clone(), uncut, arguments.tick, limits);
                    given.labels(presentation, segments, input.map_err(|error| reported(&error))?.classes())?
                }
                None => None,
            };
            let subject = MachineSubject::Segments {
                network: &schematic.network,
                segments,
                uncut: schematic.uncut,
                labels: labels.as_deref(),
                tick: arguments.tick,
            };
            let ways = Ways {
                measure: &|files, control| plan.on_machine(&subject, files, control),
                table: tables::on_machine,
                answer: tables::answer_on_machine,
                section: |sweep| pages::sweep::machine_section(sweep, false),
            };
            Job { arguments, plan: &plan, inputs: schematic.inputs.clone(), samples: segments.samples.len() }.run(&ways)
        }
        LoadedInput::Converted(converted) => {
            let ConvertedInput { converted, samples, inputs } = *converted;
            if converted.deciding_spikes().is_none() && on_machine {
                bail!(
                    "{}: expected an output that spikes, found one that gathers potentials ('convert --output \
                        potential'), which no machine reports",
                    given.subject.display()
                );
            }
            let job = Job { arguments, plan: &plan, inputs, samples: samples.len() };
            // Given with a netfile directory, or it would not be open.
            let path = given.data.as_deref().unwrap_or(&given.subject);
            let format = Format { shape: converted.input_shape(), classes: converted.classes() };
            let scale = converted.manifest().conversion.input_scale;
            let of = (path, given.labels.as_ref());
            let data = given.taken.dataset(of, &format, |data| converted.data(&data), (shown.duration, scale))?.dataset;
            if samples.labels().is_none() {
                bail!(
                    "{}: expected samples whose classes are known, found none: --labels FILE gives them",
                    path.display()
                );
            }
            if on_machine {
                let subject = MachineSubject::Converted { converted: &converted, data: &data, samples: &samples };
                job.run(&Ways {
                    measure: &|files, control| plan.on_machine(&subject, files, control),
                    table: tables::on_machine,
                    answer: tables::answer_on_machine,
                    section: |sweep| pages::sweep::machine_section(sweep, false),
                })
            } else {
                job.run(&Ways {
                    measure: &|files, control| plan.both_modes(&converted, &data, &samples, files, control),
                    table: tables::both_modes,
                    answer: tables::answer_in_both_modes,
                    section: |sweep| pages::sweep::section(sweep, false),
                })
            }
        }
    }
}

/// Why there is no sweep, with the line of a file that is at fault.
fn of_sweep(error: &SweepError) -> Report {
    match error {
        SweepError::Hardware(error) => diagnostic::hardware(error),
        SweepError::Code(error) => diagnostic::code(error),
        SweepError::Input(error) => reported(error),
        _ => report(error),
    }
}

impl Arguments {
    fn replace(&self) -> Overwrite {
        Overwrite::from_flag(self.force)
    }

    /// As the library takes them.
    ///
    /// # Errors
    /// If the machine cannot be read.
    pub(super) fn options(&self) -> Result<SweepOptions> {
        let mut options = SweepOptions::new(self.over.clone())
            .presentation(self.presentation.presented())
            .dt(self.dt)
            .read_out(self.read_out.choice())
            .pace(self.pace.unwrap_or_default())
            .recalibrate(self.recalibrate);
        let open = |path: &PathBuf| Hardware::open(path).map_err(|error| diagnostic::hardware(&error));
        options.hardware = self.hardware.as_ref().map(open).transpose()?.map(|hardware| hardware.strict(self.strict));
        Ok(options)
    }

    /// What a sweep is made of, so that another one is not taken for it.
    fn settings(&self, samples: usize) -> Value {
        let mut settings = self.presentation.parameters();
        settings["samples"] = json!(samples);
        self.given.parameters(&mut settings);
        settings["seed"] = json!(self.presentation.seed);
        settings["over"] = self.over.iter().map(|over| json!([over.name(), over.values()])).collect();
        if self.recalibrate {
            settings["recalibrate"] = json!(true);
        }
        match &self.hardware {
            Some(hardware) => {
                settings["hardware"] = json!(hardware);
                if self.strict {
                    settings["strict"] = json!(true);
                }
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

/// Measures the points of a sweep.
type Measure<'w, F> = dyn Fn(&dyn Store<F>, &dyn Control) -> Result<Sweep<F>, SweepError> + Sync + 'w;

/// How points are measured, and what is made of them.
struct Ways<'w, F> {
    measure: &'w Measure<'w, F>,
    table: fn(&Sweep<F>) -> String,
    answer: fn(&Sweep<F>) -> String,
    section: fn(&Sweep<F>) -> Result<Section, pages::Error>,
}

/// Points that are known, where none is written.
struct Earlier<F>(Vec<Point<F>>);

impl<F: Sync> Store<F> for Earlier<F> {
    fn earlier(&self) -> &[Point<F>] {
        &self.0
    }
}

/// A sweep, however its points are measured.
struct Job<'a> {
    arguments: &'a Arguments,
    plan: &'a SweepPlan,
    inputs: Vec<PathBuf>,
    samples: usize,
}

impl Job<'_> {
    /// Measures, prints and writes.
    fn run<F>(self, ways: &Ways<'_, F>) -> Result<()>
    where
        F: Measured + Serialize + DeserializeOwned + Clone + Send + Sync,
    {
        let Self { arguments, plan, mut inputs, samples } = self;
        let Arguments { given, out, presentation, .. } = arguments;
        for file in plan.code_files().into_iter().map(Path::to_path_buf) {
            if !inputs.contains(&file) {
                inputs.push(file);
            }
        }
        inputs.extend(arguments.hardware.clone().filter(|path| path.is_file()));
        let settings = arguments.settings(samples);
        let pool = presentation.threads.pool().map_err(report)?;
        arguments.sharing.begin(&inputs, Some(presentation.seed), pool.current_num_threads())?;
        let progress = Progress::default();
        if !sharing::has_results() {
            interrupt::watch();
            let earlier = Earlier(if super::program::is_worker() {
                serde_json::from_slice(&sharing::agree(Vec::new())).map_err(report)?
            } else {
                Vec::new()
            });
            let part = pool.install(|| (ways.measure)(&earlier, &progress));
            let part = sharing::whole(part, |error| matches!(error, SweepError::Cancelled));
            return part.map(drop).map_err(|error| of_sweep(&error));
        }
        let files = Files::<F>::open(out, inputs, presentation.seed, settings, arguments.replace())?;
        sharing::agree(serde_json::to_vec(files.earlier()).map_err(report)?);
        interrupt::watch();
        let sweep = pool.install(|| (ways.measure)(&files, &progress)).map_err(|error| of_sweep(&error))?;
        drop(progress);
        files.record()?;
        print(&format!("{}\n", (ways.table)(&sweep).trim_end()));
        let sentence = (ways.answer)(&sweep);
        let left = plan.len() - sweep.points.len();
        if left > 0 {
            print(&format!("{left} of {} points are left; the same command goes on\n", plan.len()));
        }
        print(&format!("Tables: {}\n", out.display()));
        if let Some(path) = &arguments.report {
            let mut facts = vec![("network".to_string(), given.subject.display().to_string())];
            facts.extend(given.data.iter().map(|data| ("data".into(), data.display().to_string())));
            facts.extend(arguments.hardware.iter().map(|path| ("hardware".into(), path.display().to_string())));
            facts.push(("samples per point".into(), samples.to_string()));
            facts.push(("program".into(), format!("megasim {}", env!("CARGO_PKG_VERSION"))));
            let section = (ways.section)(&sweep).map_err(report)?;
            let page = Page {
                title: format!("Sweep of {}", given.subject.display()),
                answer: sentence.clone(),
                facts,
                sections: vec![section],
                ..Page::default()
            };
            page.write(path, arguments.replace()).map_err(report)?;
            print(&format!("Pictures: {}\n", path.display()));
        }
        super::answer(&sentence);
        Ok(())
    }
}
