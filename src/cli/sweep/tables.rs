//! What `megasim sweep` prints.

use crate::cli::tables::{boxed, engineering, fixed, percent, percents};
use megasim::study::latency::Spread;
use megasim::study::sweep::{Figures, MachineFigures, Sweep};

/// Points in event mode and clocked mode.
pub fn both_modes(sweep: &Sweep<Figures>) -> String {
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
    boxed(&header, rows).to_string()
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
        boxed(&header, rows)
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
