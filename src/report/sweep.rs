//! The pictures of a sweep.

use super::chart::{self, Axes, Line};
use super::{Error, Section, Table};
use crate::study::sweep::{ModeFigures, Point, Sweep};

/// Accuracy, spikes and operations against the first parameter; a line for each value of the second.
///
/// # Errors
/// If a picture cannot be drawn.
pub fn section(of: &Sweep, log_x: bool) -> Result<Section, Error> {
    let names: Vec<&str> = of.parameters.iter().map(|axis| axis.name.as_str()).collect();
    let mut section = Section { title: format!("Sweep over {}", names.join(" and ")), ..Section::default() };
    let mut table = Table { columns: of.columns(), rows: of.rows().collect() };
    table.columns.iter_mut().for_each(|name| *name = name.replace('_', " "));
    let log_x = log_x || of.parameters.first().is_some_and(|axis| axis.logarithmic);
    // Words have no place on an axis; they stand at their numbers.
    let words = of.points.iter().any(|point| point.values[0].parse::<f64>().is_err());
    let mut known: Vec<&str> = Vec::new();
    for point in &of.points {
        if !known.contains(&point.values[0].as_str()) {
            known.push(&point.values[0]);
        }
    }
    let x = |point: &Point| match words {
        true => known.iter().position(|value| *value == point.values[0]).unwrap_or(0) as f64,
        false => point.values[0].parse().unwrap_or(0.0),
    };
    let mut seconds: Vec<Option<&String>> = Vec::new();
    for point in &of.points {
        let second = point.values.get(1);
        if !seconds.contains(&second) {
            seconds.push(second);
        }
    }
    let x_name = match words {
        true => known.iter().enumerate().map(|(k, value)| format!("{k}: {value}")).collect::<Vec<_>>().join(", "),
        false => names.first().copied().unwrap_or_default().to_string(),
    };
    type Get = fn(&ModeFigures) -> (f64, Option<(f64, f64)>);
    let figures: [(&str, &str, &str, Get); 3] = [
        ("sweep-accuracy", "Accuracy", "accuracy (%)", |of| {
            let (low, high) = of.accuracy.interval;
            (100.0 * of.accuracy.share, Some((100.0 * low, 100.0 * high)))
        }),
        ("sweep-spikes", "Spikes", "spikes a sample", |of| (of.spikes, None)),
        ("sweep-operations", "Operations", "weights added, a sample", |of| (of.operations, None)),
    ];
    for (file, title, y, get) in figures {
        let mut lines = Vec::new();
        for second in &seconds {
            for (mode, pick) in [("event", 0), ("clocked", 1)] {
                // With two parameters event mode alone keeps the lines apart.
                if second.is_some() && pick == 1 {
                    continue;
                }
                let points = of.points.iter().filter(|point| point.values.get(1) == *second);
                let mut drawn: Vec<_> = points
                    .map(|point| {
                        let of = if pick == 0 { &point.figures.event } else { &point.figures.clocked };
                        (x(point), get(of))
                    })
                    .collect();
                drawn.sort_by(|a, b| a.0.total_cmp(&b.0));
                let name = second.map_or(mode.to_string(), |value| format!("{} {value}", names[1]));
                lines.push(Line {
                    name,
                    points: drawn.iter().map(|&(x, (y, _))| (x, y)).collect(),
                    bounds: drawn.iter().filter_map(|(_, (_, bounds))| *bounds).collect(),
                    steps: false,
                });
            }
        }
        let every = lines.len().div_ceil(6).max(1);
        let lines: Vec<Line> = lines.into_iter().step_by(every).collect();
        let title = format!("{title} against {}", names.first().copied().unwrap_or_default());
        let axes = Axes { file, title: &title, x: &x_name, y, log_x: log_x && !words, from_zero: false };
        let mut caption = match get(&of.points[0].figures.event).1 {
            Some(_) => "Bars are Wilson's 95 % intervals.".to_string(),
            None => "Means over the samples.".to_string(),
        };
        if names.len() > 1 {
            caption += " Event mode.";
        }
        section.pictures.push(chart::lines(&axes, &lines)?.with_caption(caption));
    }
    section.tables.push(table);
    Ok(section)
}
