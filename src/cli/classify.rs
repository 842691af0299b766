//! `megasim classify`: test samples through a converted network, in both modes, beside the analog one.

use super::convert::positive;
use super::diagnostic::{self, report};
use super::{features, print, provenance};
use clap::{Args, ValueEnum};
use comfy_table::{CellAlignment, Table, presets};
use indicatif::{ProgressBar, ProgressStyle};
use megasim::ann::{forward, import};
use megasim::convert::{Manifest, manifest};
use megasim::dataset::{Dataset, Format, Samples};
use megasim::encode::{Clock, Code, DEFAULT_INPUT_RATE, DEFAULT_TICKS_PER_MS, Poisson, Regular};
use megasim::engine::Mode;
use megasim::netfile;
use megasim::network::Tick;
use megasim::study::classification::{self, Outcome, Setup, wilson_interval};
use megasim::whole::{self, Replace};
use miette::Result;
use serde_json::{Value, json};
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
    /// Take at most N test samples; all where it is not given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    samples: Option<u64>,
    /// Leave out the first N test samples
    #[arg(long, value_name = "N", default_value_t = 0)]
    skip: u64,
    /// How long each sample is shown, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    duration: u32,
    /// How pixels become spikes: evenly spaced, or at random
    #[arg(long, value_enum, default_value_t = CodeArgument::Regular)]
    encode: CodeArgument,
    /// Spikes a second of a white pixel; no pixel spikes more than once a millisecond. Biases act at the same rate
    #[arg(long, value_name = "HZ", default_value_t = DEFAULT_INPUT_RATE, value_parser = positive, allow_negative_numbers = true)]
    input_rate: f64,
    /// Ticks of a millisecond, over which the spikes of one millisecond spread
    #[arg(long, value_name = "N", default_value_t = DEFAULT_TICKS_PER_MS, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    ticks_per_ms: u32,
    /// Ticks of a clocked step
    #[arg(long, value_name = "TICKS", default_value_t = 1, value_parser = clap::value_parser!(i64).range(1..))]
    dt: Tick,
    /// Seed of random spikes
    #[arg(long, value_name = "S", default_value_t = 0)]
    seed: u64,
    /// Threads; as many as there are processors where it is not given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=4096))]
    threads: Option<u16>,
    /// Write the figures to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Replace an existing results file
    #[arg(long, requires = "json")]
    force: bool,
}

/// `--mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ModeArgument {
    Event,
    Clocked,
    Both,
}

/// `--encode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum CodeArgument {
    Regular,
    Poisson,
}

/// How samples are shown.
#[derive(Debug)]
pub struct Settings {
    /// Event mode, or not.
    pub event: bool,
    /// Clocked mode with steps of so many ticks, or not.
    pub clocked: Option<Tick>,
    /// How values become spikes.
    pub code: Box<dyn Code>,
    /// How long, and how fine.
    pub clock: Clock,
    /// The first test sample.
    pub skip: usize,
    /// At most so many.
    pub samples: Option<usize>,
}

/// What came out, mode by mode.
#[derive(Debug)]
pub struct Figures {
    labels: Vec<usize>,
    analog: Vec<usize>,
    event: Option<Vec<Outcome>>,
    clocked: Option<Vec<Outcome>>,
}

/// Classifies, prints and writes.
pub fn run(arguments: &Arguments) -> Result<()> {
    let replace = if arguments.force { Replace::Yes } else { Replace::No };
    if let Some(path) = &arguments.json {
        check_target(path, replace)?;
    }
    if features::is_model(&arguments.netdir) {
        let Arguments { netdir: model, data, skip, samples, json, .. } = arguments;
        let (skip, samples, json) = (*skip, *samples, json.as_deref());
        return features::evaluate(&features::Question { model, data, skip, samples, json, replace });
    }
    let code: Box<dyn Code> = match arguments.encode {
        CodeArgument::Regular => Box::new(Regular { input_rate: arguments.input_rate }),
        CodeArgument::Poisson => Box::new(Poisson { input_rate: arguments.input_rate, seed: arguments.seed }),
    };
    let count = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    let settings = Settings {
        event: arguments.mode != ModeArgument::Clocked,
        clocked: (arguments.mode != ModeArgument::Event).then_some(arguments.dt),
        code,
        clock: Clock { duration: arguments.duration, ticks_per_ms: arguments.ticks_per_ms },
        skip: count(arguments.skip),
        samples: arguments.samples.map(count),
    };
    let threads = arguments.threads.map_or(0, usize::from);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().map_err(report)?;
    let figures = pool.install(|| classify(&arguments.netdir, &arguments.data, &settings))?;
    print(&format!("{}\n", figures.table()));

    if let Some(path) = &arguments.json {
        let result = figures.json();
        whole::write_file(path, replace, |file| writeln!(file, "{result:#}")).map_err(report)?;
        let dataset = Dataset::open(&arguments.data).map_err(report)?;
        let mut inputs = vec![arguments.netdir.clone()];
        inputs.extend(dataset.test_files());
        let inputs: Vec<&Path> = inputs.iter().map(PathBuf::as_path).collect();
        let encode = arguments.encode.to_possible_value().map(|value| value.get_name().to_string());
        let mode = arguments.mode.to_possible_value().map(|value| value.get_name().to_string());
        // The number of threads changes nothing, so it is no parameter.
        let parameters = json!({
            "mode": mode,
            "skip": settings.skip,
            "samples": figures.labels.len(),
            "duration": arguments.duration,
            "encode": encode,
            "input_rate": arguments.input_rate,
            "bias_period_ms": settings.code.bias_period(),
            "ticks_per_ms": arguments.ticks_per_ms,
            "dt": settings.clocked,
        });
        provenance::write_beside(path, &inputs, Some(arguments.seed), parameters).map_err(report)?;
    }
    Ok(())
}

/// Refuses, before the work, a results file that cannot be written after it.
fn check_target(path: &Path, replace: Replace) -> Result<()> {
    if path.is_dir() || (replace == Replace::No && path.exists()) {
        return Err(report(whole::Error::Exists(path.into())));
    }
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !directory.is_dir() {
        miette::bail!("{}: expected a directory to write results into, found none", directory.display());
    }
    provenance::check(directory).map_err(report)
}

/// Runs test samples through a converted network.
pub fn classify(netdir: &Path, data: &Path, settings: &Settings) -> Result<Figures> {
    let manifest = Manifest::read(netdir).map_err(report)?;
    let netfiles = netfile::read(&netdir.join("megasim.sch")).map_err(|error| diagnostic::netfile(&error))?;
    for warning in &netfiles.warnings {
        eprintln!("warning: {warning}");
    }
    let network = netfiles.network;
    let copy = netdir.join(&manifest.model.copy);
    let model = import::read(&copy).map_err(report)?;
    if model.source.sha256 != manifest.model.sha256 {
        miette::bail!(
            "{}: expected the model that was converted (SHA-256 {}), found another ({})",
            copy.display(),
            manifest.model.sha256,
            model.source.sha256
        );
    }
    if manifest.output.classes != model.classes() {
        miette::bail!(
            "{}: expected {} classes, as the model has, found {}",
            netdir.join(manifest::FILE_NAME).display(),
            model.classes(),
            manifest.output.classes
        );
    }
    let dataset = Dataset::open(data).map_err(report)?;
    let format = Format { shape: model.input_shape(), classes: model.classes() };
    let Samples { x, y: labels } = dataset.test(&format, settings.skip, settings.samples).map_err(report)?;
    let outputs = forward::forward(&model.graph, x.view()).map_err(report)?;
    let analog = forward::classes(outputs.view());

    let layout = manifest.layout(&network).map_err(report)?;
    let output = manifest.output(&network).map_err(report)?;
    let setup = Setup {
        network: &network,
        layout: &layout,
        output,
        classes: manifest.output.classes,
        code: settings.code.as_ref(),
        clock: settings.clock,
    };
    let run = |mode: Mode, name: &'static str| {
        // Drawn on a terminal's stderr only.
        let bar = ProgressBar::new(labels.len() as u64).with_prefix(name);
        if let Ok(style) = ProgressStyle::with_template("{prefix:>8} {wide_bar} {pos}/{len} {eta}") {
            bar.set_style(style);
        }
        let first = settings.skip as u64;
        let outcomes = classification::classify(&setup, x.view(), first, mode, || bar.inc(1)).map_err(report);
        bar.finish_and_clear();
        outcomes
    };
    Ok(Figures {
        event: settings.event.then(|| run(Mode::Event, "event")).transpose()?,
        clocked: settings.clocked.map(|dt| run(Mode::Clocked { dt }, "clocked")).transpose()?,
        labels,
        analog,
    })
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
        })
    }

    /// What a person reads.
    pub fn table(&self) -> Table {
        let n = self.labels.len();
        let mut table = Table::new();
        table.load_style(presets::UTF8_FULL_CONDENSED);
        table.set_header([
            &format!("{n} samples"),
            "accuracy",
            "95 % interval",
            "as analog",
            "input spikes",
            "spikes",
            "operations",
            "CPU ms",
        ]);
        let accuracy = |decisions: &[Option<usize>]| {
            let right = self.right(decisions);
            let (low, high) = wilson_interval(right, n);
            let percent = |share: f64| format!("{:.2}", 100.0 * share);
            [format!("{} %", percent(right as f64 / n as f64)), format!("{} to {} %", percent(low), percent(high))]
        };
        let [share, interval] = accuracy(&self.analog());
        table.add_row([
            "analog".to_string(),
            share,
            interval,
            "-".into(),
            "-".into(),
            "-".into(),
            "-".into(),
            "-".into(),
        ]);
        for (name, outcomes) in [("event", &self.event), ("clocked", &self.clocked)] {
            let (Some(outcomes), Some(decisions)) = (outcomes, decisions(outcomes)) else { continue };
            let [share, interval] = accuracy(&decisions);
            let agreement = self.agreement(Some(decisions), Some(self.analog())).unwrap_or(0.0);
            let mean = |of: fn(&Outcome) -> f64| outcomes.iter().map(of).sum::<f64>() / n as f64;
            table.add_row([
                name.to_string(),
                share,
                interval,
                format!("{:.2} %", 100.0 * agreement),
                format!("{:.0}", mean(|outcome| outcome.input_spikes as f64)),
                format!("{:.0}", mean(|outcome| outcome.spikes as f64)),
                format!("{:.0}", mean(|outcome| outcome.synaptic_operations as f64)),
                format!("{:.2}", mean(|outcome| 1000.0 * outcome.cpu_time.as_secs_f64())),
            ]);
        }
        for column in 1..8 {
            if let Some(column) = table.column_mut(column) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        if let Some(agreement) = self.agreement(decisions(&self.event), decisions(&self.clocked)) {
            let mut row = vec!["event = clocked".to_string(), String::new(), String::new()];
            row.push(format!("{:.2} %", 100.0 * agreement));
            table.add_row(row);
        }
        table
    }
}

fn decisions(outcomes: &Option<Vec<Outcome>>) -> Option<Vec<Option<usize>>> {
    outcomes.as_ref().map(|outcomes| outcomes.iter().map(|outcome| outcome.decision).collect())
}
