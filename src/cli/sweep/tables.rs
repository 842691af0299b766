//! What `megasim sweep` prints.

use crate::cli::tables::{boxed, engineering, fixed, percent, percents};
use megasim::study::latency::Spread;
use megasim::study::sweep::{Figures, MachineFigures, Point, Sweep};
use std::cmp::Ordering;

/// Points in event mode and clocked mode.
pub fn both_modes(sweep: &Sweep<Figures>) -> String {
    let mut header: Vec<&str> = sweep.parameters.iter().map(|axis| axis.name.as_str()).collect();
    header.extend(["event", "95 % interval", "spikes", "operations", "clocked", "95 % interval ", "modes agree"]);
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
    boxed(&header, rows).least(&["95 % interval ", "operations"]).to_string()
}

/// A point in words, as `duration=10, dt=2`.
fn named<F>(sweep: &Sweep<F>, point: &Point<F>) -> String {
    let pairs = sweep.parameters.iter().zip(&point.values).map(|(axis, value)| format!("{}={value}", axis.name));
    pairs.collect::<Vec<_>>().join(", ")
}

/// What is best in event mode, and what needs the fewest spikes for as much, as far as the intervals tell.
pub fn answer_in_both_modes(sweep: &Sweep<Figures>) -> String {
    let accuracy = |point: &Point<Figures>| point.figures.event.accuracy.share;
    let spikes = |point: &Point<Figures>| point.figures.event.spikes;
    let clocked = |point: &Point<Figures>| point.figures.clocked.accuracy.share;
    // Of equal points the one with fewer spikes, then that at which clocked mode is right more often, then the first.
    let best = sweep.points.iter().rev().max_by(|one, other| {
        let fewer = || spikes(other).total_cmp(&spikes(one));
        accuracy(one).total_cmp(&accuracy(other)).then_with(fewer).then(clocked(one).total_cmp(&clocked(other)))
    });
    let Some(best) = best else { return "No point is done.".into() };
    let figures = &best.figures;
    if sweep.points.len() > 1 && sweep.points.iter().all(|point| accuracy(point) == accuracy(best)) {
        return format!(
            "Event mode is right equally often at all points: {}. The fewest spikes per sample, {}, are at {}.",
            percent(accuracy(best)),
            fixed(spikes(best), 0),
            named(sweep, best)
        );
    }
    let mut text = format!(
        "Event mode is right most often at {}: {} (clocked mode {}).",
        named(sweep, best),
        percent(figures.event.accuracy.share),
        percent(figures.clocked.accuracy.share)
    );
    let as_good = sweep.points.iter().filter(|point| point.figures.event.accuracy.interval.1 >= accuracy(best));
    let fewest = as_good.min_by(|one, other| spikes(one).total_cmp(&spikes(other)));
    if let Some(fewest) = fewest.filter(|fewest| spikes(fewest) < spikes(best)) {
        text += &format!(
            " With {} it has {} spikes per sample instead of {}, and {} is within the 95 % interval.",
            named(sweep, fewest),
            fixed(spikes(fewest), 0),
            fixed(spikes(best), 0),
            percent(accuracy(fewest))
        );
    }
    text
}

/// The fastest point, the one that needs the least energy, and what accuracies there are.
pub fn answer_on_machine(sweep: &Sweep<MachineFigures>) -> String {
    let time = |point: &&Point<MachineFigures>| point.figures.last_work.map(|it| it.mean);
    let timed = sweep.points.iter().filter(|point| time(point).is_some());
    let fastest = timed.min_by(|one, other| time(one).partial_cmp(&time(other)).unwrap_or(Ordering::Equal));
    let fastest = fastest.and_then(|point| Some((point, engineering(time(&point)?, "s"))));
    let spent = sweep.points.iter().filter(|point| point.figures.energy > 0.0);
    let least = spent.min_by(|one, other| one.figures.energy.total_cmp(&other.figures.energy));
    let least = least.map(|point| (point, engineering(point.figures.energy, "J")));
    let mut parts = Vec::new();
    let energies: Vec<String> = sweep.points.iter().map(|point| engineering(point.figures.energy, "J")).collect();
    // What is the same everywhere is least nowhere.
    let (least, alike) = match least {
        Some((_, energy)) if energies.len() > 1 && energies.iter().all(|it| *it == energy) => (None, Some(energy)),
        least => (least, None),
    };
    match (fastest, least) {
        (Some((fastest, time)), Some((least, energy))) if std::ptr::eq(fastest, least) => parts.push(format!(
            "{} is fastest (its last work is done after {time}) and needs least energy ({energy} per sample)",
            named(sweep, fastest)
        )),
        (fastest, least) => {
            parts.extend(fastest.map(|(point, time)| {
                format!("{} is fastest: its last work is done after {time}", named(sweep, point))
            }));
            parts.extend(
                least.map(|(point, energy)| format!("{} needs least energy, {energy} per sample", named(sweep, point))),
            );
        }
    }
    parts.extend(alike.map(|energy| format!("all points need {energy} per sample")));
    let shares = sweep.points.iter().filter_map(|point| Some(point.figures.accuracy?.share));
    let (low, high) = shares.fold((f64::INFINITY, 0.0f64), |(low, high), share| (low.min(share), high.max(share)));
    if low <= high {
        parts.push(match percent(low) == percent(high) {
            true => format!("all points are right on {}", percent(low)),
            false => format!("points are right on {} to {}", percent(low), percent(high)),
        });
    }
    if parts.is_empty() { "Nothing takes time or energy at any point.".into() } else { parts.join("; ") + "." }
}

/// Points on a machine.
pub fn on_machine(sweep: &Sweep<MachineFigures>) -> String {
    let mut header: Vec<&str> = sweep.parameters.iter().map(|axis| axis.name.as_str()).collect();
    header.extend([
        "accuracy",
        "95 % interval",
        "as ideal",
        "first output",
        "decision",
        "last work",
        "samples/s",
        "total energy/sample",
        "bottleneck",
        "share",
    ]);
    let rows = sweep.points.iter().map(|point| {
        let of = &point.figures;
        let mut row = point.values.clone();
        let mean = |spread: &Option<Spread>| spread.map_or("-".into(), |it| engineering(it.mean, "s"));
        let (name, share) = match &of.bottleneck {
            Some(it) => (format!("{}, {}", it.place, it.key), percent(it.share)),
            None => ("-".into(), "-".into()),
        };
        row.extend([
            of.accuracy.map_or("-".into(), |it| percent(it.share)),
            of.accuracy.map_or("-".into(), |it| percents(it.interval)),
            of.as_ideal.map_or(String::new(), percent),
            mean(&of.first_spike),
            mean(&of.settled),
            mean(&of.last_work),
            engineering(of.samples_per_second, ""),
            engineering(of.energy, "J"),
            name,
            share,
        ]);
        row
    });
    let mut text = format!(
        "{}\nfirst output, decision (that stays), last work: means, from the first input; total energy: static \
            power included;\nbottleneck: what takes most of the critical path of the first sample, with its share\n",
        boxed(&header, rows).least(&["share", "samples/s", "first output", "as ideal", "95 % interval"])
    );
    let stuck: usize = sweep.points.iter().map(|point| point.figures.deadlocks).sum();
    if let Some(remark) = MachineFigures::left_over(sweep.points.iter().map(|point| &point.figures)) {
        text += &format!("{remark}\n");
    }
    if stuck > 0 {
        text += &format!("Deadlock in {stuck} samples of all points.\n");
    }
    text
}
