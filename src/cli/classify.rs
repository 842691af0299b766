//! `megasim classify`: test samples through a converted network, in both modes, beside the analog one.

use super::diagnostic::report;
use super::presentation::Presentation;
use super::results::Results;
use super::subject::Subject;
use super::{features, print};
use clap::{Args, ValueEnum};
use comfy_table::{CellAlignment, Table, presets};
use indicatif::{ProgressBar, ProgressStyle};
use megasim::dataset::Dataset;
use megasim::encode::{Clock, Code};
use megasim::engine::Mode;
use megasim::network::Tick;
use megasim::study::classification::{self, Outcome, wilson_interval};
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
    /// Ticks of a clocked step
    #[arg(long, value_name = "TICKS", default_value_t = 1, value_parser = clap::value_parser!(i64).range(1..))]
    dt: Tick,
    #[command(flatten)]
    presentation: Presentation,
    #[command(flatten)]
    results: Results,
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
    let Arguments { netdir, data, presentation, results, .. } = arguments;
    results.check()?;
    if features::is_model(netdir) {
        let (skip, samples) = (presentation.skip, presentation.samples);
        let (json, replace) = (results.json.as_deref(), results.replace());
        return features::evaluate(&features::Question { model: netdir, data, skip, samples, json, replace });
    }
    let settings = Settings {
        event: arguments.mode != ModeArgument::Clocked,
        clocked: (arguments.mode != ModeArgument::Event).then_some(arguments.dt),
        code: presentation.code(),
        clock: presentation.clock(),
        skip: presentation.skip(),
        samples: presentation.samples(),
    };
    let pool = presentation.pool().map_err(report)?;
    let figures = pool.install(|| classify(netdir, data, &settings))?;
    print(&format!("{}\n", figures.table()));

    let mut inputs = vec![netdir.clone()];
    inputs.extend(Dataset::open(data).map_err(report)?.test_files());
    let mut parameters = presentation.parameters();
    parameters["mode"] = json!(arguments.mode.to_possible_value().map(|value| value.get_name().to_string()));
    parameters["samples"] = json!(figures.labels.len());
    parameters["dt"] = json!(settings.clocked);
    results.write(&figures.json(), &inputs, Some(presentation.seed), parameters)
}

/// Runs test samples through a converted network.
pub fn classify(netdir: &Path, data: &Path, settings: &Settings) -> Result<Figures> {
    let subject = Subject::open(netdir)?;
    let trial = subject.trial(&Dataset::open(data).map_err(report)?, settings.skip, settings.samples)?;
    let (samples, labels) = (trial.samples.x, trial.samples.y);
    let setup = subject.setup(settings.code.as_ref(), settings.clock);
    let run = |mode: Mode, name: &'static str| {
        // Drawn on a terminal's stderr only.
        let bar = ProgressBar::new(labels.len() as u64).with_prefix(name);
        if let Ok(style) = ProgressStyle::with_template("{prefix:>8} {wide_bar} {pos}/{len} {eta}") {
            bar.set_style(style);
        }
        let first = settings.skip as u64;
        let outcomes = classification::classify(&setup, samples.view(), first, mode, || bar.inc(1)).map_err(report);
        bar.finish_and_clear();
        outcomes
    };
    Ok(Figures {
        event: settings.event.then(|| run(Mode::Event, "event")).transpose()?,
        clocked: settings.clocked.map(|dt| run(Mode::Clocked { dt }, "clocked")).transpose()?,
        labels,
        analog: trial.analog,
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
