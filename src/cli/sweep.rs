//! `megasim sweep`: one or two parameters of conversion, encoding or run over a range.

mod parameters;

use super::diagnostic::report;
use super::presentation::Presentation;
use super::provenance;
use super::subject::{Subject, Trial};
use super::tables::{boxed, fixed, percent, percents};
use super::{interrupt, print, progress};
use clap::Args;
use indicatif::ProgressBar;
use megasim::convert::{self, Options};
use megasim::dataset::{Dataset, Format};
use megasim::encode::Layout;
use megasim::network::{Network, NodeId, Tick};
use megasim::report::{self as pages, Page};
use megasim::study::sweep::{self, Axis, Point, Sweep};
use megasim::whole::{self, Replace};
use miette::{Result, bail};
use parameters::{Conditions, Conversion, Over, Parameter, over};
use rayon::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// Most points of a sweep.
const MOST_POINTS: usize = 100_000;

/// Sweep one or two parameters of conversion, encoding or run, both modes at each point
///
/// Results are there while it runs: sweep.csv and sweep.json in the directory. The same command goes on where an earlier one was
/// interrupted, and gives the same table as one that ran through.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Netfile directory that 'megasim convert' wrote
    netdir: PathBuf,
    /// Directory of test data (and of data to normalise with, where conversion is swept)
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// A parameter and its values, once or twice: duration, ticks-per-ms, input-rate, encode, seed; dt; percentile, scaling-factor, v-thresh,
    /// initial-potential; or GLOB.KEY as in 'run --set'. Values: 1,2,5 or FROM..TO:COUNT, log:FROM..TO:COUNT, random:FROM..TO:COUNT,
    /// random-log:FROM..TO:COUNT
    #[arg(long, value_name = "PARAMETER=VALUES", required = true, value_parser = over)]
    over: Vec<Over>,
    /// Where the tables go
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Ticks of a clocked step
    #[arg(long, value_name = "TICKS", default_value_t = 1, value_parser = clap::value_parser!(i64).range(1..))]
    dt: Tick,
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
    let Arguments { netdir, data, out, presentation, force, .. } = arguments;
    let replace = Replace::when(*force);
    if arguments.over.len() > 2 {
        bail!("--over: expected one or two parameters, found {}", arguments.over.len());
    }
    if let Some(path) = &arguments.report {
        Page::check(path, replace).map_err(report)?;
    }
    let points = points(arguments)?;
    let subject = Subject::open(netdir)?;
    let dataset = Dataset::open(data).map_err(report)?;
    if subject.deciding_spikes().is_none() {
        bail!(
            "{}: expected an output that spikes, found one that gathers potentials ('convert --output potential'), which classify reads",
            netdir.display()
        );
    }
    let trial = subject.trial(&dataset, presentation.skip(), presentation.samples())?;
    let files = Files::open(arguments, &dataset, trial.samples.y.len(), replace)?;
    let axes: Vec<Axis> = arguments
        .over
        .iter()
        .map(|over| Axis { name: over.name.clone(), logarithmic: over.values.contains("log:") })
        .collect();
    interrupt::watch();
    let pool = presentation.threads.pool().map_err(report)?;
    let work =
        Work { arguments, subject: &subject, dataset: &dataset, trial: &trial, points: &points, files: &files, axes };
    let sweep = pool.install(|| work.run())?;
    print(&table(&sweep, points.len()));
    if sweep.points.is_empty() {
        bail!("stopped before the first point was done");
    }
    print(&format!("Tables: {}\n", out.display()));
    if let Some(path) = &arguments.report {
        let mut facts = vec![("network".to_string(), netdir.display().to_string())];
        facts.push(("data".into(), data.display().to_string()));
        facts.push(("samples a point".into(), trial.samples.y.len().to_string()));
        facts.push(("program".into(), format!("megasim {}", env!("CARGO_PKG_VERSION"))));
        let section = pages::sweep::section(&sweep, false).map_err(report)?;
        let page = Page { title: section.title.clone(), facts, sections: vec![section] };
        page.write(path, replace).map_err(report)?;
        print(&format!("Pictures: {}\n", path.display()));
    }
    Ok(())
}

/// All points, the last parameter fastest.
fn points(arguments: &Arguments) -> Result<Vec<Planned>> {
    let Arguments { presentation, dt, over, .. } = arguments;
    let start = Conditions { presentation: Some(presentation.clone()), dt: *dt, ..Conditions::default_for_check() };
    let mut points = vec![Planned { values: Vec::new(), conditions: start }];
    for over in over {
        let values = over.all(presentation.seed).map_err(|error| miette::miette!("--over: {error}"))?;
        if points.len().saturating_mul(values.len()) > MOST_POINTS {
            bail!("--over: expected at most {MOST_POINTS} points, found more");
        }
        let mut more = Vec::with_capacity(points.len() * values.len());
        for point in &points {
            for value in &values {
                let conditions =
                    point.conditions.with(over, value).map_err(|error| miette::miette!("--over: {error}"))?;
                let values = point.values.iter().chain([value]).cloned().collect();
                more.push(Planned { values, conditions });
            }
        }
        points = more;
    }
    Ok(points)
}

/// The tables on disk.
struct Files {
    directory: PathBuf,
    settings: Value,
    inputs: Vec<PathBuf>,
    /// Points that an earlier run of the same sweep has done.
    earlier: Vec<Point>,
}

impl Files {
    /// Makes the directory, or finds what an interrupted run of the same sweep left in it.
    fn open(arguments: &Arguments, dataset: &Dataset, samples: usize, replace: Replace) -> Result<Self> {
        let Arguments { netdir, out, dt, presentation, over, .. } = arguments;
        let mut inputs = vec![netdir.clone()];
        inputs.extend(dataset.test_files());
        let mut settings = presentation.parameters();
        settings["samples"] = json!(samples);
        settings["seed"] = json!(presentation.seed);
        settings["dt"] = json!(dt);
        settings["over"] = over.iter().map(|over| json!([over.name, over.values])).collect();
        let described = inputs.iter().map(|path| provenance::describe(path)).collect::<Result<Vec<_>, _>>();
        settings["inputs"] = json!(described.map_err(report)?);
        let path = out.join(JSON);
        let earlier = match fs::read(&path) {
            Err(_) => Vec::new(),
            Ok(text) => {
                let found: Option<Value> = serde_json::from_slice(&text).ok();
                let same = found.filter(|found| found["settings"] == settings);
                match (same.and_then(|found| serde_json::from_value::<Sweep>(found).ok()), replace) {
                    (Some(sweep), _) => sweep.points,
                    (None, Replace::Yes) => Vec::new(),
                    (None, Replace::No) => {
                        bail!(
                            "{}: expected results of the same sweep, found others; --force replaces them",
                            path.display()
                        )
                    }
                }
            }
        };
        if !out.is_dir() {
            fs::create_dir_all(out).map_err(|error| miette::miette!("{}: cannot be made: {error}", out.display()))?;
        }
        provenance::check(out).map_err(report)?;
        Ok(Self { directory: out.clone(), settings, inputs, earlier })
    }

    /// Writes what there is, each file whole.
    fn write(&self, sweep: &Sweep, planned: usize) -> Result<()> {
        let mut value = json!(sweep);
        value["settings"] = self.settings.clone();
        value["complete"] = json!(sweep.points.len() == planned);
        let path = self.directory.join(JSON);
        whole::write_file(&path, Replace::Yes, |file| writeln!(file, "{value:#}")).map_err(report)?;
        let table = pages::Table { columns: sweep.columns(), rows: sweep.rows().collect() };
        let path = self.directory.join(CSV);
        whole::write_file(&path, Replace::Yes, |file| file.write_all(table.csv().as_bytes())).map_err(report)
    }
}

const JSON: &str = "sweep.json";
const CSV: &str = "sweep.csv";

/// A network to be run, as it was converted for some points.
struct Prepared {
    network: Network,
    layout: Layout,
    output: NodeId,
}

struct Work<'a> {
    arguments: &'a Arguments,
    subject: &'a Subject,
    dataset: &'a Dataset,
    trial: &'a Trial,
    points: &'a [Planned],
    files: &'a Files,
    axes: Vec<Axis>,
}

impl Work<'_> {
    /// Measures the points that are not done yet. Points that differ in the duration only are measured together; those of one conversion share it.
    fn run(&self) -> Result<Sweep> {
        let done: BTreeMap<usize, Point> = self
            .points
            .iter()
            .enumerate()
            .filter_map(|(k, planned)| {
                Some((k, self.files.earlier.iter().find(|point| point.values == planned.values)?.clone()))
            })
            .collect();
        let groups = self.groups(&done);
        let bar = progress::bar("sweep", groups.len() * self.trial.samples.y.len());
        let done = Mutex::new(done);
        let mut conversions: Vec<Conversion> = Vec::new();
        for group in &groups {
            let conversion = self.points[group[0]].conditions.conversion;
            if !conversions.contains(&conversion) {
                conversions.push(conversion);
            }
        }
        for conversion in conversions {
            if interrupt::asked() {
                break;
            }
            let prepared = self.prepare(conversion)?;
            let of = groups.iter().filter(|group| self.points[group[0]].conditions.conversion == conversion);
            of.collect::<Vec<_>>().into_par_iter().try_for_each(|group| -> Result<()> {
                let Some(points) = self.measure(&prepared, group, &bar)? else { return Ok(()) };
                // A poisoned lock is one whose holder panicked, which ends the program anyway.
                let mut done = done.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                done.extend(points);
                self.files.write(&self.sweep(&done), self.points.len())
            })?;
        }
        bar.finish_and_clear();
        let done = done.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        let sweep = self.sweep(&done);
        if !sweep.points.is_empty() {
            self.files.write(&sweep, self.points.len())?;
            let inputs: Vec<&Path> = self.files.inputs.iter().map(PathBuf::as_path).collect();
            let parameters = self.files.settings.clone();
            let seed = Some(self.arguments.presentation.seed);
            let run = provenance::Run { results: &[CSV, JSON], inputs: &inputs, seed, parameters };
            provenance::write(&self.files.directory, &run).map_err(report)?;
        }
        Ok(sweep)
    }

    fn sweep(&self, done: &BTreeMap<usize, Point>) -> Sweep {
        Sweep { parameters: self.axes.clone(), points: done.values().cloned().collect() }
    }

    /// Points that differ in the duration only, those that are done left out.
    fn groups(&self, done: &BTreeMap<usize, Point>) -> Vec<Vec<usize>> {
        let duration = self.arguments.over.iter().position(|over| over.parameter == Parameter::Duration);
        let mut groups: BTreeMap<Vec<&String>, Vec<usize>> = BTreeMap::new();
        for (k, planned) in self.points.iter().enumerate().filter(|(k, _)| !done.contains_key(k)) {
            let others = planned.values.iter().enumerate().filter(|(at, _)| Some(*at) != duration);
            groups.entry(others.map(|(_, value)| value).collect()).or_default().push(k);
        }
        let mut groups: Vec<_> = groups.into_values().collect();
        groups.sort();
        groups
    }

    /// The network of a conversion: the one at hand where nothing of it is swept.
    fn prepare(&self, conversion: Conversion) -> Result<Prepared> {
        let Subject { network, layout, output, model, manifest, .. } = self.subject;
        if conversion == Conversion::default() {
            return Ok(Prepared { network: network.clone(), layout: layout.clone(), output: *output });
        }
        let mut options: Options = manifest.options();
        if let Some(percentile) = conversion.percentile {
            options.percentile = percentile;
        }
        let quantization = &mut options.quantization;
        quantization.scaling_factor = conversion.scaling_factor.unwrap_or(quantization.scaling_factor);
        quantization.threshold = conversion.threshold.unwrap_or(quantization.threshold);
        quantization.initial_potential = conversion.initial_potential.unwrap_or(quantization.initial_potential);
        let format = Format { shape: model.input_shape(), classes: model.classes() };
        let samples = self.dataset.normalization(&format).map_err(report)?;
        let converted = convert::convert(&model.graph, samples.view(), &options).map_err(report)?;
        let layout = converted.layout().map_err(report)?;
        let output = converted.output();
        Ok(Prepared { network: converted.emitted.network, layout, output })
    }

    /// The points of a group; none where somebody asked to stop.
    fn measure(&self, prepared: &Prepared, group: &[usize], bar: &ProgressBar) -> Result<Option<Vec<(usize, Point)>>> {
        let conditions = &self.points[group[0]].conditions;
        let Some(presentation) = &conditions.presentation else { return Ok(None) };
        let mut network = prepared.network.clone();
        for setting in &conditions.settings {
            setting.apply(&mut network)?;
        }
        let code = presentation.code()?;
        if code.is_current() {
            bail!(
                "--encode: expected a code that makes spikes, found currents, which give each sample a network of its own"
            );
        }
        let durations: Vec<u32> = group
            .iter()
            .filter_map(|&k| self.points[k].conditions.presentation.as_ref().map(|it| it.duration))
            .collect();
        let setup = sweep::Setup {
            network: &network,
            layout: &prepared.layout,
            output: prepared.output,
            classes: self.subject.manifest.output.classes,
            code: code.as_ref(),
            ticks_per_ms: presentation.ticks_per_ms,
            dt: conditions.dt,
        };
        let samples = sweep::Samples {
            values: self.trial.samples.x.view(),
            labels: &self.trial.samples.y,
            analog: &self.trial.analog,
            first: presentation.skip,
        };
        let figures = sweep::measure(&setup, &samples, &durations, || bar.inc(1), interrupt::asked).map_err(report)?;
        Ok(figures.map(|figures| {
            let point = |(&k, figures): (&usize, _)| (k, Point { values: self.points[k].values.clone(), figures });
            group.iter().zip(figures).map(point).collect()
        }))
    }
}

/// The points, for a person.
fn table(sweep: &Sweep, planned: usize) -> String {
    let mut header: Vec<&str> = sweep.parameters.iter().map(|axis| axis.name.as_str()).collect();
    header.extend(["event", "95 % interval", "spikes", "operations", "clocked", "95 % interval", "event = clocked"]);
    let rows = sweep.points.iter().map(|point| {
        let of = &point.figures;
        let mut row = point.values.clone();
        row.extend([
            percent(of.event.accuracy.share),
            percents(of.event.accuracy.interval),
            fixed(of.event.spikes, 0),
            fixed(of.event.operations, 0),
            percent(of.clocked.accuracy.share),
            percents(of.clocked.accuracy.interval),
            percent(of.agreement),
        ]);
        row
    });
    let left = planned - sweep.points.len();
    let note = if left > 0 {
        format!("{left} of {planned} points are left; the same command goes on\n")
    } else {
        String::new()
    };
    format!("{}\n{note}", boxed(&header, rows))
}
