//! `megasim report RUNDIR`: pictures of the results in a directory.

mod recording;

use super::diagnostic::{self, report, unreadable};
use super::paths::Paths;
use super::per_sample::page_file;
use super::results::of_page;
use super::sweep::{answer_in_both_modes, answer_on_machine};
use super::tables::{counted, percent};
use super::{print, provenance};
use clap::Args;
use megasim::atomic_write::{Overwrite, parent};
use megasim::netfile;
use megasim::network::{EventLog, Tick};
use megasim::report::chart::{self, Axes};
use megasim::report::comparison::{self, PageContent};
use megasim::report::{Page, Section, Table, sweep};
use megasim::study::compare::{Accuracy, Causes, Comparison};
use megasim::study::sweep::{Figures, MachineFigures, Sweep};
use miette::{Result, bail};
use recording::Recorded;
use serde_json::{Value, json};
use std::fs;
use std::iter;
use std::path::{Path, PathBuf};

/// The page in the directory of the results, where `--out` names none.
pub const DEFAULT_PAGE: &str = "report.html";

/// Rows of a layer in a raster.
const MOST_ROWS: usize = 60;

/// Spikes of a raster.
const MOST_SPIKES: usize = 12_000;

/// Map, row and column of an event.
type Address = (usize, i32, i32);

/// Draw the results in a directory: comparisons, sweeps and classifications (.json), event files (node_*.evs), and
/// spikes and potentials that --npz recorded
#[derive(Debug, Args)]
pub struct Arguments {
    /// Directory with results
    rundir: PathBuf,
    /// The page; report.html in the directory where it is not given
    #[arg(long, value_name = "FILE.html", value_parser = page_file)]
    out: Option<PathBuf>,
    /// Draw swept parameters on a logarithmic axis, also where they were not spaced so
    #[arg(long)]
    log_x: bool,
    /// Replace an earlier page
    #[arg(long)]
    force: bool,
}

/// Reads, draws and writes.
pub fn run(arguments: &Arguments) -> Result<()> {
    let Arguments { rundir, out, log_x, force } = arguments;
    let out = out.clone().unwrap_or_else(|| rundir.join(DEFAULT_PAGE));
    let replace = Overwrite::from_flag(*force);
    let mut names: Vec<PathBuf> = match fs::read_dir(rundir) {
        Ok(entries) => entries.filter_map(|entry| Some(entry.ok()?.path())).collect(),
        Err(error) => return Err(unreadable(rundir, &error)),
    };
    names.sort();
    let mut page = Page { title: format!("Results in {}", rundir.display()), ..Page::default() };
    let results: Vec<(String, Value)> = names.iter().filter_map(|path| read(path)).collect();
    let several = results.len() > 1;
    let (mut answers, mut recordings) = (Vec::new(), Vec::new());
    for (name, figures) in &results {
        let Some((answer, mut sections)) = result(figures, *log_x)? else { continue };
        answers.push(answer);
        if several {
            sections = of_file(name, sections);
            sections.iter_mut().for_each(|section| section.title = format!("{name}: {}", section.title));
        }
        page.facts.push(("results".into(), format!("{name}.json")));
        page.sections.extend(sections);
    }
    if *log_x && !results.iter().any(|(_, figures)| is_sweep(figures)) {
        bail!("--log-x: expected results of a sweep in {}, found none", rundir.display());
    }
    let event_files = netfile::list_event_files(rundir).map_err(|error| diagnostic::netfile(&error))?;
    let logs = event_files.iter().map(|(node, path)| Ok((node.clone(), netfile::read_event_file(path)?)));
    let logs = logs.collect::<Result<Vec<_>, netfile::Error>>().map_err(|error| diagnostic::netfile(&error))?;
    let mut events = vec![("Events".to_string(), "raster".to_string(), logs)];
    for path in &names {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        match recording::read(path)? {
            Some(Recorded::Layers { answer, sections }) => {
                answers.push(answer);
                page.sections.extend(of_file(&stem, sections));
            }
            Some(Recorded::Events(logs)) => events.push((format!("Events in {stem}"), format!("{stem}-raster"), logs)),
            None => continue,
        }
        recordings.push(path.clone());
        page.facts.push(("results".into(), format!("{stem}.npz")));
    }
    for (title, file, logs) in events {
        let Some(section) = raster(title, &file, &logs)? else { continue };
        answers.push(section.text.clone());
        page.sections.push(section);
    }
    // Of one result the answer is the page's; several have a part each.
    if let [answer] = &answers[..] {
        page.answer = answer.clone();
    }
    if page.sections.is_empty() {
        bail!(
            "{}: expected results of compare, sweep or classify (.json), event files (node_*.evs), or recordings of \
             --npz, found none",
            rundir.display()
        );
    }
    if let Some(record) = names.iter().find(|path| path.ends_with(provenance::FILE_NAME)) {
        page.facts.extend(command(record));
    }
    let figures = results.iter().map(|(name, _)| rundir.join(format!("{name}.json")));
    let inputs = figures.chain(recordings).chain(event_files.into_iter().map(|(_, path)| path));
    let inputs: Vec<PathBuf> = inputs.collect();
    Paths::default().pages([&out]).inputs(&inputs).check()?;
    Page::check(&out, replace).map_err(report)?;
    provenance::check(parent(&out)).map_err(report)?;
    page.write(&out, replace).map_err(report)?;
    let results = of_page(&Some(out.clone()));
    let results: Vec<&Path> = results.iter().map(PathBuf::as_path).collect();
    let inputs: Vec<&Path> = inputs.iter().map(PathBuf::as_path).collect();
    provenance::write_beside(&results, &inputs, None, json!({ "log_x": log_x })).map_err(report)?;
    print(&format!("Pictures: {}\n", out.display()));
    match answers.len() {
        1 => super::answer(&page.answer),
        n => super::answer(&format!("{n} results are on the page {}.", out.display())),
    }
    Ok(())
}

/// Names pictures after the file they come from, so that those of several are told apart.
fn of_file(name: &str, mut sections: Vec<Section>) -> Vec<Section> {
    for section in &mut sections {
        let of_choices = section.choices.iter_mut().flat_map(|choice| &mut choice.pictures);
        section
            .pictures
            .iter_mut()
            .chain(of_choices)
            .for_each(|picture| picture.file = format!("{name}-{}", picture.file));
    }
    sections
}

/// A file of figures, by its name.
fn read(path: &Path) -> Option<(String, Value)> {
    let is_result = path.extension().is_some_and(|extension| extension == "json");
    let is_record = path.file_name().is_some_and(|name| name == provenance::FILE_NAME || name == "megasim.json");
    if !is_result || is_record {
        return None;
    }
    let figures = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
    Some((path.file_stem()?.to_string_lossy().into_owned(), figures))
}

/// The command line of the results, from the latest record that is not about a page of this command.
fn command(record: &Path) -> Option<(String, String)> {
    let record: Value = serde_json::from_slice(&fs::read(record).ok()?).ok()?;
    let mut records = iter::once(&record).chain(record["earlier"].as_array().into_iter().flatten());
    let of_results = records.find(|record| record["command"][1] != "report")?;
    let words = of_results["command"].as_array()?.iter().filter_map(Value::as_str).skip(1);
    Some(("command".into(), format!("megasim {}", words.collect::<Vec<_>>().join(" "))))
}

fn is_sweep(figures: &Value) -> bool {
    figures["parameters"].is_array() && figures["points"].as_array().is_some_and(|points| !points.is_empty())
}

/// The answer and the pictures of one file of figures; none where it is of another kind.
fn result(figures: &Value, log_x: bool) -> Result<Option<(String, Vec<Section>)>> {
    if let Ok(comparison) = serde_json::from_value::<Comparison>(figures.clone()) {
        let causes: Option<Causes> = serde_json::from_value(figures["causes"].clone()).ok();
        let steps = figures["steps"].as_array().into_iter().flatten().filter_map(|step| {
            let accuracy: Accuracy = serde_json::from_value(step["accuracy"].clone()).ok()?;
            Some((step["dt"].as_i64()?, accuracy))
        });
        let shown = PageContent {
            title: String::new(),
            facts: Vec::new(),
            comparison: &comparison,
            layers: &[],
            causes: causes.as_ref(),
            details: &[],
            shown: &[],
            classes: &[],
            distributions: &[],
            steps: steps.collect(),
            history: None,
        };
        let page = comparison::page(&shown).map_err(report)?;
        return Ok(Some((page.answer, page.sections)));
    }
    if let Ok(of) = serde_json::from_value::<Sweep<Figures>>(figures.clone())
        && !of.points.is_empty()
    {
        return Ok(Some((answer_in_both_modes(&of), vec![sweep::section(&of, log_x).map_err(report)?])));
    }
    if let Ok(of) = serde_json::from_value::<Sweep<MachineFigures>>(figures.clone())
        && !of.points.is_empty()
    {
        return Ok(Some((answer_on_machine(&of), vec![sweep::machine_section(&of, log_x).map_err(report)?])));
    }
    Ok(classification(figures).map(|(answer, section)| (answer, vec![section])))
}

/// The accuracies and the table of `classify --json`.
fn classification(figures: &Value) -> Option<(String, Section)> {
    let accuracy = figures.get("accuracy")?.as_object()?;
    let mut table = Table::new(&["", "accuracy", "spikes per sample", "operations per sample"]);
    let mut parts = Vec::new();
    for (mode, share) in accuracy {
        let Some(share) = share.as_f64() else { continue };
        parts.push(format!("{mode} {}", percent(share)));
        let mean = |what: &str| {
            figures["per_sample"][what][mode].as_f64().map_or("-".to_string(), |value| format!("{value:.1}"))
        };
        table.rows.push(vec![mode.clone(), percent(share), mean("spikes"), mean("synaptic_operations")]);
    }
    let of = figures["samples"].as_u64().map_or(String::new(), |n| format!(" of {}", counted(n, "sample")));
    let answer = format!("Right decisions{of}: {}.", parts.join(", "));
    Some((answer, Section { title: "Classification".into(), tables: vec![table], ..Section::default() }))
}

/// Rasters of recorded events, a node a row of rasters.
fn raster(title: String, file: &str, logs: &[(String, EventLog)]) -> Result<Option<Section>> {
    if logs.is_empty() {
        return Ok(None);
    }
    let mut table = Table::new(&["node", "events", "first (ticks)", "last (ticks)"]);
    let mut groups: Vec<(String, Vec<(Tick, Address)>)> = Vec::new();
    for (name, log) in logs {
        let time = |t: Option<&Tick>| t.map_or("-".to_string(), Tick::to_string);
        table.rows.push(vec![name.clone(), log.len().to_string(), time(log.t_rqst.first()), time(log.t_rqst.last())]);
        // Maps of a layer are told apart by the number at the end of their names.
        let (stem, map) = match name.rsplit_once('_') {
            Some((stem, number)) => number.parse().map_or((name.as_str(), 0), |map: usize| (stem, map)),
            None => (name.as_str(), 0),
        };
        let spikes = (0..log.len()).map(|k| (log.t_rqst[k], (map, log.y[k], log.x[k])));
        match groups.iter_mut().find(|(known, _)| known == stem) {
            Some((_, all)) => all.extend(spikes),
            None => groups.push((stem.into(), spikes.collect())),
        }
    }
    let end = logs.iter().filter_map(|(_, log)| log.t_rqst.iter().max()).max().copied().unwrap_or(0).max(1);
    let budget = MOST_SPIKES / groups.len();
    let rasters = groups.into_iter().map(|(name, spikes)| {
        // Addresses that spike, evenly spaced ones of many.
        let mut rows: Vec<_> = spikes.iter().map(|(_, address)| *address).collect();
        rows.sort_unstable();
        rows.dedup();
        let mut every = rows.len().div_ceil(MOST_ROWS).max(1);
        loop {
            let row = |address: &Address| {
                rows.binary_search(address).ok().filter(|row| row.is_multiple_of(every)).map(|row| row / every)
            };
            let chosen: Vec<_> = spikes.iter().filter_map(|(t, address)| Some((*t as f64, row(address)?))).collect();
            if chosen.len() <= budget || every >= rows.len() {
                let shown = rows.len().div_ceil(every);
                let spikes = chosen.into_iter().take(budget).collect();
                let neurons = rows.len();
                return chart::Rows { name, rows: shown, every, neurons, spikes, ..chart::Rows::default() };
            }
            every *= 2;
        }
    });
    let rasters: Vec<_> = rasters.collect();
    let axes = Axes { file, title: &title, x: "time (ticks)", ..Axes::default() };
    let caption = "Each mark is an event, each row an address that has some; of many some, evenly spaced.";
    let picture = chart::rasters(&axes, end as f64, "ticks", &[chart::Raster { name: String::new(), groups: rasters }])
        .map_err(report)?
        .with_caption(caption);
    let all: usize = logs.iter().map(|(_, log)| log.len()).sum();
    let most = logs.iter().max_by_key(|(_, log)| log.len()).filter(|(_, log)| !log.is_empty());
    let most = most.map_or(String::new(), |(name, log)| format!("; {name} has most of them ({})", log.len()));
    let (nodes, events) = (counted(logs.len() as u64, "node"), counted(all as u64, "event"));
    let text = format!("{events} of {nodes} in {}{most}.", counted(end.unsigned_abs(), "tick"));
    Ok(Some(Section { title, text, tables: vec![table], pictures: vec![picture], ..Section::default() }))
}
