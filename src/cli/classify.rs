//! `megasim classify`: test samples through a converted network, in both modes, beside the analog one.

mod page;
mod read_out;
mod tables;

use super::diagnostic::report;
use super::history::HistoryArguments;
use super::input::{self, warn_of_ticks, warn_of_values};
use super::paths::Paths;
use super::presentation::Presentation;
use super::progress::Progress;
use super::recordings::RecordingArguments;
use super::results::{Results, of_page};
use super::{features, interrupt, print};
use clap::{Args, ValueEnum};
use megasim::convert::{ConvertedModel, LabelledSamples};
use megasim::dataset::Dataset;
use megasim::dataset::recording::Recordings;
use megasim::encode::{Clock, SpikeEncoder};
use megasim::engine::{Limits, Mode};
use megasim::network::{Network, Tick};
use megasim::readout::{self, ReadOut};
use megasim::report::Page;
use megasim::study::classification::{self, Outcome, Setup};
use miette::Result;
use read_out::ReadOutArgument;
pub use read_out::{ReadOutArguments, SpikeReadOut};
use serde_json::{Value, json};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

/// Classify test samples with a converted network, event by event and clocked, beside the analog network
#[derive(Debug, Args)]
pub struct Arguments {
    /// Netfile directory that 'megasim convert' wrote, or the .npz model of 'megasim train' (then only --data, --skip,
    /// --samples and --json count)
    netdir: PathBuf,
    /// Directory of test data
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// How the network is run
    #[arg(long, value_enum, default_value_t = ModeArgument::Both)]
    mode: ModeArgument,
    /// Ticks of a clocked step
    #[arg(long, value_name = "TICKS", default_value_t = 1, value_parser = clap::value_parser!(i64).range(1..))]
    dt: Tick,
    /// Write a page of pictures to this file, and their numbers to a directory beside it
    #[arg(long, value_name = "FILE.html")]
    report: Option<PathBuf>,
    /// Samples are sequences of frames, axes (sample, frame, ...), which share the presentation; as delta code is for
    #[arg(long)]
    frames: bool,
    #[command(flatten)]
    history: HistoryArguments,
    #[command(flatten)]
    presentation: Presentation,
    #[command(flatten)]
    recording: RecordingArguments,
    #[command(flatten)]
    decision: DecisionArguments,
    #[command(flatten)]
    results: Results,
}

/// How a class is decided, and what is told of it.
#[derive(Debug, Clone, Default, Args)]
pub struct DecisionArguments {
    #[command(flatten)]
    read_out: ReadOutArguments,
    /// How often the right class is among the first N, besides
    #[arg(long, value_name = "N")]
    top_k: Option<NonZeroU32>,
    /// Run samples that stopped early again to their end, to report the operations that stopping saved
    #[arg(long)]
    savings: bool,
}

impl DecisionArguments {
    /// Most spikes; with more than 1, how often the right class is among the first so many.
    pub fn top(top_k: u32) -> Self {
        Self { top_k: NonZeroU32::new(top_k).filter(|n| n.get() > 1), ..Self::default() }
    }
}

/// `--mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ModeArgument {
    Event,
    Clocked,
    Both,
}

/// How samples are shown.
#[derive(Debug)]
pub struct Settings {
    /// Event mode, or not.
    pub event: bool,
    /// Clocked mode with steps of so many ticks, or not.
    pub clocked: Option<Tick>,
    /// How values become spikes.
    pub code: Box<dyn SpikeEncoder>,
    /// How long, and how fine.
    pub clock: Clock,
    /// The first test sample.
    pub skip: usize,
    /// At most so many.
    pub samples: Option<usize>,
    /// How a class is decided.
    pub decision: DecisionArguments,
    /// Whether samples are sequences of frames.
    pub frames: bool,
    /// Recordings as data, and what is taken of them.
    pub recordings: Option<(Recordings, RecordingArguments)>,
    /// Where a run is stopped.
    pub limits: Limits,
}

/// What came out, mode by mode.
#[derive(Debug)]
pub struct Figures {
    clock: Clock,
    read_out: ReadOut,
    readout: ReadOutArgument,
    top_k: Option<usize>,
    savings: bool,
    skip: usize,
    labels: Vec<usize>,
    analog: Vec<usize>,
    event: Option<Vec<Outcome>>,
    clocked: Option<Vec<Outcome>>,
}

/// Classifies, prints and writes.
pub fn run(arguments: &Arguments) -> Result<()> {
    let Arguments { netdir, data, presentation, results, decision, .. } = arguments;
    results.check()?;
    let paths = Paths::default().files(&results.json).pages(&arguments.report);
    paths.inputs([netdir].into_iter().chain(&arguments.history.history)).data([data]).check()?;
    arguments.decision.read_out.check()?;
    if let Some(path) = &arguments.report {
        Page::check(path, results.overwrite()).map_err(report)?;
    }
    if features::is_model(netdir) {
        if arguments.report.is_some() {
            miette::bail!("--report: expected netfiles; 'megasim features --report' draws models of 'megasim train'");
        }
        let (skip, samples) = (presentation.skip, presentation.samples);
        let (json, replace) = (results.json.as_deref(), results.overwrite());
        return features::evaluate(&features::Question { model: netdir, data, skip, samples, json, replace });
    }
    let settings = Settings {
        event: arguments.mode != ModeArgument::Clocked,
        clocked: (arguments.mode != ModeArgument::Event).then_some(arguments.dt),
        code: presentation.code()?,
        clock: presentation.clock(),
        skip: presentation.skip(),
        samples: presentation.samples(),
        decision: decision.clone(),
        frames: arguments.frames,
        recordings: Recordings::find(data).map_err(report)?.map(|set| (set, arguments.recording.clone())),
        limits: presentation.run_limits.limits(),
    };
    if settings.recordings.is_some() && presentation.code_name() != "regular" {
        miette::bail!("--encode: recordings are spikes already, found {}", presentation.code_name());
    }
    if settings.frames && settings.recordings.is_some() {
        miette::bail!("--frames: expected arrays with sequences of frames, found recordings");
    }
    if settings.frames && settings.code.is_current() {
        miette::bail!(
            "--frames: expected a code that makes spikes, found currents, which are one set of numbers a sample"
        );
    }
    let pool = presentation.threads.pool().map_err(report)?;
    let history = match arguments.report {
        Some(_) => arguments.history.read(netdir)?,
        None => None,
    };
    let ready = Ready::open(netdir, data, &settings)?;
    interrupt::watch();
    let figures = pool.install(|| ready.classify(&settings))?;
    print(&format!("{}\n{}", figures.table(), figures.remarks()));

    let mut inputs = vec![netdir.clone()];
    match &settings.recordings {
        Some((set, _)) => inputs.extend(set.files().iter().cloned()),
        None => inputs.extend(Dataset::open(data).map_err(report)?.test_files()),
    }
    inputs.extend(presentation.code_file().map(Path::to_path_buf));
    let mut parameters = presentation.parameters();
    parameters["frames"] = json!(arguments.frames);
    if settings.recordings.is_some() {
        parameters["recordings"] = arguments.recording.parameters();
    }
    let drawn = arguments.report.clone().filter(|_| !interrupt::asked());
    if drawn.is_none() && arguments.report.is_some() {
        eprintln!("warning: --report: no page was written, as the run was stopped");
    }
    if let Some(path) = &drawn {
        let page = pool.install(|| page::page(arguments, &ready, &settings, &figures, history.as_ref()))?;
        page.write(path, results.overwrite()).map_err(report)?;
        print(&format!("Pictures: {}\n", path.display()));
    }
    parameters["mode"] = json!(arguments.mode.to_possible_value().map(|value| value.get_name().to_string()));
    parameters["samples"] = json!(figures.labels.len());
    parameters["dt"] = json!(settings.clocked.filter(|_| figures.clocked.is_some()));
    parameters["readout"] = json!(figures.readout.to_string());
    parameters["k"] = json!(decision.read_out.k);
    parameters["confidence"] = json!(decision.read_out.confidence);
    parameters["top_k"] = json!(decision.top_k);
    parameters["savings"] = json!(decision.savings);
    results.write(&figures.json(), &of_page(&drawn), &inputs, Some(presentation.seed), parameters)
}

/// Runs test samples through a converted network.
pub fn classify(netdir: &Path, data: &Path, settings: &Settings) -> Result<Figures> {
    Ready::open(netdir, data, settings)?.classify(settings)
}

/// A network that decides as it was asked to, with test samples.
struct Ready {
    converted: ConvertedModel,
    samples: LabelledSamples,
    /// The network that runs: that of the conversion, or one whose output gathers potentials.
    network: Network,
    read_out: ReadOut,
}

impl Ready {
    fn open(netdir: &Path, data: &Path, settings: &Settings) -> Result<Self> {
        let converted = input::open(netdir)?;
        warn_of_ticks(&converted, settings.clock);
        let form = converted.manifest().output.form;
        let signed = readout::is_signed(converted.network(), converted.output());
        let read_out = settings.decision.read_out.rule(form, converted.output_threshold(), signed)?;
        settings.decision.read_out.check_signed(converted.network(), converted.output())?;
        let mut network = converted.network().clone();
        if matches!(read_out, ReadOut::MembranePotential { .. }) {
            network = readout::accumulating(network, converted.output()).map_err(report)?;
        }
        let (skip, samples) = (settings.skip, settings.samples);
        let samples = match &settings.recordings {
            Some((set, part)) => {
                let selection = part.selection(settings.clock.ticks_per_ms);
                LabelledSamples::recordings(&converted, set, &selection, settings.clock, skip, samples)
            }
            None => {
                let data = Dataset::open(data).map_err(report)?;
                let test = if settings.frames { LabelledSamples::test_frames } else { LabelledSamples::test };
                test(&converted, &data, skip, samples)
            }
        };
        let samples = samples.map_err(report)?;
        if settings.recordings.is_none() {
            warn_of_values(samples.values(), if settings.frames { "frames" } else { "test samples" });
        }
        Ok(Self { converted, samples, network, read_out })
    }

    fn setup<'a>(&'a self, settings: &'a Settings) -> Setup<'a> {
        let code = self.samples.recorded().map_or(settings.code.as_ref(), |recorded| recorded as &dyn SpikeEncoder);
        let (savings, limits) = (settings.decision.savings, settings.limits);
        let setup = Setup::new(&self.converted, &self.samples, code, settings.clock);
        Setup { network: &self.network, read_out: self.read_out, limits, savings, ..setup }
    }

    fn classify(&self, settings: &Settings) -> Result<Figures> {
        let (samples, labels) = (self.samples.values(), self.samples.labels());
        let setup = self.setup(settings);
        let run = |mode: Mode, name: &'static str| {
            let first = self.samples.first();
            let progress = Progress::of(name, labels.len());
            classification::classify(&setup, samples, first, mode, &progress).map_err(report)
        };
        let mut event = settings.event.then(|| run(Mode::Event, "event")).transpose()?;
        let mut clocked = settings.clocked.map(|dt| run(Mode::Clocked { dt }, "clocked")).transpose()?;
        // After Ctrl-C both modes are about the same samples; a mode that did not come to its turn is left out.
        if interrupt::asked() && event.is_some() {
            clocked = clocked.filter(|outcomes| !outcomes.is_empty());
        }
        let n = [&event, &clocked].into_iter().flatten().map(Vec::len).min().unwrap_or(0);
        if n == 0 {
            miette::bail!("stopped before the first samples were done");
        }
        [&mut event, &mut clocked].into_iter().flatten().for_each(|outcomes| outcomes.truncate(n));
        Ok(Figures {
            event,
            clocked,
            clock: settings.clock,
            read_out: self.read_out,
            readout: settings.decision.read_out.readout(
                self.converted.manifest().output.form,
                readout::is_signed(&self.network, self.converted.output()),
            )?,
            top_k: settings.decision.top_k.map(|n| n.get() as usize),
            savings: settings.decision.savings,
            skip: settings.skip,
            labels: labels[..n].to_vec(),
            analog: self.samples.analog()[..n].to_vec(),
        })
    }
}

impl Figures {
    fn right(&self, decisions: &[Option<usize>]) -> usize {
        decisions.iter().zip(&self.labels).filter(|(decision, label)| **decision == Some(**label)).count()
    }

    fn analog(&self) -> Vec<Option<usize>> {
        self.analog.iter().map(|&class| Some(class)).collect()
    }

    /// Share of samples on which two agree.
    fn agreement(&self, one: Option<Vec<Option<usize>>>, other: Option<Vec<Option<usize>>>) -> Option<f64> {
        let (one, other) = (one?, other?);
        let same = one.iter().zip(&other).filter(|(a, b)| a == b).count();
        Some(same as f64 / self.labels.len() as f64)
    }

    /// What other programs read.
    pub fn json(&self) -> Value {
        let n = self.labels.len() as f64;
        let accuracy = |decisions: Option<Vec<Option<usize>>>| decisions.map(|it| self.right(&it) as f64 / n);
        let mean = |outcomes: &Option<Vec<Outcome>>, of: fn(&Outcome) -> f64| {
            outcomes.as_ref().map(|outcomes| outcomes.iter().map(of).sum::<f64>() / n)
        };
        let both =
            |of: fn(&Outcome) -> f64| json!({ "event": mean(&self.event, of), "clocked": mean(&self.clocked, of) });
        let (event, clocked) = (decisions(&self.event), decisions(&self.clocked));
        json!({
            "samples": self.labels.len(),
            "accuracy": {
                "ann": accuracy(Some(self.analog())),
                "event": accuracy(event.clone()),
                "clocked": accuracy(clocked.clone()),
            },
            "agreement": {
                "event_clocked": self.agreement(event.clone(), clocked.clone()),
                "event_ann": self.agreement(event, Some(self.analog())),
                "clocked_ann": self.agreement(clocked, Some(self.analog())),
            },
            "per_sample": {
                "spikes": both(|outcome| outcome.spikes as f64),
                "synaptic_operations": both(|outcome| outcome.synaptic_operations as f64),
            },
            "seconds": both(|outcome| outcome.cpu_time.as_secs_f64()),
            "decision_ms": self.of_both(|outcomes| json!(self.decision_ms(outcomes))),
            "saved": self.of_both(|outcomes| self.saved(outcomes)),
            "top_k": self.of_both(|outcomes| json!(self.top_k(outcomes))),
            "ties": self.of_both(|outcomes| self.ties(outcomes)),
        })
    }

    fn of_both(&self, of: impl Fn(&[Outcome]) -> Value) -> Value {
        let of = |outcomes: &Option<Vec<Outcome>>| outcomes.as_deref().map(&of);
        json!({ "event": of(&self.event), "clocked": of(&self.clocked) })
    }

    /// Milliseconds up to a decision, the mean; a run that does not stop decides at its end.
    fn decision_ms(&self, outcomes: &[Outcome]) -> f64 {
        let ms = |outcome: &Outcome| match outcome.decision.stopped {
            Some(tick) => tick as f64 / f64::from(self.clock.ticks_per_ms),
            None => f64::from(self.clock.duration),
        };
        outcomes.iter().map(ms).sum::<f64>() / outcomes.len() as f64
    }

    /// Shares of time, and with `--savings` of operations, that stopping saved; nothing where runs do not stop early.
    fn saved(&self, outcomes: &[Outcome]) -> Value {
        if !self.read_out.stops_early() {
            return Value::Null;
        }
        let done: u64 = outcomes.iter().map(|outcome| outcome.synaptic_operations).sum();
        let whole = outcomes.iter().map(|outcome| outcome.whole_operations.unwrap_or(outcome.synaptic_operations));
        let operations = self.savings.then(|| 1.0 - done as f64 / whole.sum::<u64>().max(1) as f64);
        json!({
            "time": 1.0 - self.decision_ms(outcomes) / f64::from(self.clock.duration),
            "operations": operations,
        })
    }

    /// How often the right class is among the first ones.
    fn top_k(&self, outcomes: &[Outcome]) -> Option<f64> {
        let k = self.top_k?;
        let right = outcomes
            .iter()
            .zip(&self.labels)
            .filter(|(it, label)| it.decision.ranking.iter().take(k).any(|class| class == *label));
        Some(right.count() as f64 / outcomes.len() as f64)
    }

    /// The samples whose best classes have the same score.
    fn ties(&self, outcomes: &[Outcome]) -> Value {
        let tied = outcomes.iter().enumerate().filter(|(_, outcome)| outcome.decision.tied.len() > 1);
        tied.map(|(k, outcome)| json!({ "sample": self.skip + k, "classes": outcome.decision.tied })).collect()
    }
}

fn decisions(outcomes: &Option<Vec<Outcome>>) -> Option<Vec<Option<usize>>> {
    outcomes.as_ref().map(|outcomes| outcomes.iter().map(|outcome| outcome.decision.class()).collect())
}
