//! The page of `megasim latency --report`.

use super::{Outcome, sentences, tables, units};
use crate::cli::tables::{engineering, percent, percents};
use megasim::engine::machine::Pace;
use megasim::network::Tick;
use megasim::report::latency::{PageContent, page as draw};
use megasim::report::{Error, Page};
use megasim::study::classification::wilson_interval;
use megasim::study::latency::{Critical, Latency, PathContext, Spread};

/// The page.
///
/// # Errors
/// If a picture cannot be drawn.
pub fn page(outcome: &Outcome<'_>) -> Result<Page, Error> {
    let network = &outcome.found.input.network;
    draw(&PageContent {
        title: format!("{} on {}", outcome.arguments.given.subject.display(), outcome.found.hardware.name()),
        sentences: sentences::in_words(outcome),
        figures: figures(outcome),
        facts: facts(outcome),
        results: &outcome.found.results,
        mesh: outcome.found.mapped.resolved.machine.mesh.as_ref(),
        tick: outcome.found.mapped.resolved.tick,
        labelled: outcome.found.input.labels.is_some(),
        signed: outcome.found.input.output_is_signed(),
        modules: tables::module_groups(outcome, network),
        nodes: tables::node_groups(outcome, network),
        layers: &outcome.found.input.layers,
        bill: &outcome.found.bill(),
        bottleneck: tables::bottleneck_sentence(outcome),
        critical: critical(outcome),
        course: course(outcome),
        busiest: tables::busiest_sentence(outcome),
        what_ifs: &outcome.found.what_ifs.runs,
    })
}

/// Critical paths at the pace of the study, and as fast as input is taken.
fn critical<'a>(outcome: &Outcome<'a>) -> Vec<(String, &'a Critical)> {
    let found = outcome.found;
    let fastest = found.what_ifs.critical.iter().map(|it| (Pace::Fastest.to_string(), it));
    let asked = found.critical.iter().map(|it| (found.pace.to_string(), it));
    asked.chain(fastest.filter(|_| found.pace != Pace::Fastest)).collect()
}

/// The critical path of the first sample over time.
fn course(outcome: &Outcome<'_>) -> Vec<(String, &'static str, (Tick, Tick))> {
    let Latency { input, mapped, results, .. } = outcome.found;
    let places = PathContext { network: &mapped.network, layers: &input.layers, hardware: &mapped.resolved };
    let paths = results.samples.first().and_then(|sample| sample.paths.as_ref());
    let course = paths.into_iter().flat_map(|paths| &paths.course);
    course.map(|it| (places.name(it.wait), it.wait.key(), (it.from, it.to))).collect()
}

/// The figures that matter.
fn figures(outcome: &Outcome<'_>) -> Vec<(String, String)> {
    let Latency { input, results, .. } = outcome.found;
    let mut figures = Vec::new();
    let right = results.right();
    let accuracy = |hits: usize| {
        let interval = percents(wilson_interval(hits, right.of));
        format!("{} (95 % interval {interval})", percent(hits as f64 / right.of.max(1) as f64))
    };
    if input.labels.is_some() {
        figures.push(("accuracy on the machine", accuracy(right.machine)));
        figures.push(("accuracy of the ideal machine", accuracy(right.ideal)));
    }
    figures.extend(right.as_ideal().map(|share| ("decided as ideally", percent(share))));
    let time = |spread: Option<Spread>| spread.map(|it| units::time(it.mean, outcome.found.mapped.resolved.tick));
    let settled = time(results.latency(|decisions| decisions.settled));
    figures.extend(settled.map(|time| ("decision that stays (mean)", time)));
    figures.extend(time(results.length()).map(|time| ("last work (mean)", time)));
    let energy = outcome.found.bill().total() / results.samples.len().max(1) as f64;
    figures.extend((energy > 0.0).then(|| ("energy per sample", engineering(energy, "J"))));
    figures.into_iter().map(|(what, value)| (what.to_string(), value)).collect()
}

/// What was run, for the head of the page.
fn facts(outcome: &Outcome<'_>) -> Vec<(String, String)> {
    let Outcome { arguments, found } = outcome;
    let Latency { hardware, mapped, results, .. } = found;
    let presentation = &arguments.presentation;
    let mut facts = vec![("network", arguments.given.subject.display().to_string())];
    facts.push(("hardware", hardware.name().to_string()));
    facts.extend(mapped.resolved.tick.map(|tick| ("tick", tick.to_string())));
    facts.push(("pace", arguments.pace.to_string()));
    facts.extend(arguments.given.data.as_ref().map(|data| ("data", data.display().to_string())));
    facts.push(("samples", results.samples.len().to_string()));
    if arguments.given.data.is_some() {
        facts.push(("duration", format!("{} ms per sample", presentation.duration)));
        facts.push(("input code", format!("{}, seed {}", presentation.code_name(), presentation.seed)));
    }
    facts.extend(arguments.warm_up.map(|time| ("left out of each sample", time.to_string())));
    let unfinished = results.unfinished_samples();
    if unfinished > 0 {
        facts.push(("samples that did not finish", format!("{unfinished} of {}", results.samples.len())));
    }
    let unsent = results.unfinished().unsent;
    if unsent > 0 {
        let mean = unsent as f64 / results.samples.len() as f64;
        facts.push(("input left over", format!("{mean:.1} events per sample, never requested")));
    }
    facts.push(("program", format!("megasim {}", env!("CARGO_PKG_VERSION"))));
    facts.into_iter().map(|(what, value)| (what.to_string(), value)).collect()
}
