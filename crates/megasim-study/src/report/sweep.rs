//! The pictures of a sweep.

use super::chart::{self, Axes, Line};
use super::latency::Unit;
use super::picture::brief;
use super::{Error, Picture, Section, Table};
use crate::hardware::Quantity;
use crate::latency::Spread;
use crate::sweep::{Figures, MachineFigures, ModeFigures, Point, Sweep};
use ordered_float::OrderedFloat;

/// Lines of a picture; of more values of the second parameter evenly spaced ones are drawn.
const MOST_LINES: usize = 6;

/// A parameter with the unit of its values, where they come without one.
fn quantity(name: &str) -> String {
    match name {
        "duration" => format!("{name} (ms)"),
        "input-rate" => format!("{name} (spikes/s)"),
        "dt" => format!("{name} (ticks)"),
        "percentile" => format!("{name} (%)"),
        _ => name.to_string(),
    }
}

/// Position of the points along the first parameter.
struct Horizontal {
    name: String,
    x: Vec<f64>,
    logarithmic: bool,
}

impl Horizontal {
    fn of<F>(sweep: &Sweep<F>, log_x: bool) -> Self {
        let name = sweep.parameters.first().map_or(String::new(), |axis| quantity(&axis.name));
        let logarithmic = log_x || sweep.parameters.first().is_some_and(|axis| axis.logarithmic);
        let values: Vec<&str> = sweep.points.iter().map(|point| point.values[0].as_str()).collect();
        let numbers: Option<Vec<f64>> = values.iter().map(|value| value.parse().ok()).collect();
        if let Some(x) = numbers {
            return Self { name, x, logarithmic };
        }
        let quantities: Option<Vec<Quantity>> = values.iter().map(|value| value.parse().ok()).collect();
        if let Some(quantities) = quantities {
            let largest = quantities.iter().map(|it| it.value).fold(0.0, f64::max);
            let unit = Unit::of(largest, quantities.first().map_or("", |it| it.base));
            let x = quantities.iter().map(|it| it.value * unit.factor).collect();
            return Self { name: format!("{name} ({})", unit.name), x, logarithmic };
        }
        // Words have no place on an axis; they are at their numbers.
        let mut known: Vec<&str> = Vec::new();
        let x = values.iter().map(|value| {
            let at = known.iter().position(|it| it == value).unwrap_or_else(|| {
                known.push(value);
                known.len() - 1
            });
            at as f64
        });
        let x = x.collect();
        let name = known.iter().enumerate().map(|(k, value)| format!("{k}: {value}")).collect::<Vec<_>>().join(", ");
        Self { name, x, logarithmic: false }
    }
}

/// A number that is drawn, with its bounds.
type Drawn = (f64, Option<(f64, f64)>);

/// One curve of a picture, at each point.
struct Curve<'a, F> {
    name: &'a str,
    get: &'a dyn Fn(&F) -> Option<Drawn>,
}

struct Drawing<'a, F> {
    file: &'a str,
    title: &'a str,
    y: &'a str,
    caption: &'a str,
    /// With two parameters the first one alone keeps the lines apart.
    curves: &'a [Curve<'a, F>],
}

/// A picture against the first parameter, a line for each value of the second; none where there is nothing to draw.
fn picture<F>(of: &Sweep<F>, horizontal: &Horizontal, drawing: &Drawing<F>) -> Result<Option<Picture>, Error> {
    let mut seconds: Vec<Option<&String>> = Vec::new();
    for point in &of.points {
        let second = point.values.get(1);
        if !seconds.contains(&second) {
            seconds.push(second);
        }
    }
    let every = seconds.len().div_ceil(MOST_LINES).max(1);
    let mut lines = Vec::new();
    for second in seconds.iter().step_by(every) {
        let curves = if second.is_some() { &drawing.curves[..1] } else { drawing.curves };
        for curve in curves {
            let points = of.points.iter().zip(&horizontal.x).filter(|(point, _)| point.values.get(1) == *second);
            let mut drawn: Vec<(f64, Drawn)> =
                points.filter_map(|(point, &x)| Some((x, (curve.get)(&point.figures)?))).collect();
            drawn.sort_by_key(|(x, _)| OrderedFloat(*x));
            if drawn.is_empty() {
                continue;
            }
            lines.push(Line {
                name: second.map_or(curve.name.into(), |value| format!("{} {value}", of.parameters[1].name)),
                points: drawn.iter().map(|&(x, (y, _))| (x, y)).collect(),
                bounds: drawn.iter().filter_map(|(_, (_, bounds))| *bounds).collect(),
                steps: false,
            });
        }
    }
    if lines.is_empty() {
        return Ok(None);
    }
    let first = of.parameters.first().map_or("", |axis| axis.name.as_str());
    let title = format!("{} against {first}", drawing.title);
    let Drawing { file, y, .. } = drawing;
    let axes = Axes { file, title: &title, x: &horizontal.name, y, log_x: horizontal.logarithmic, ..Axes::default() };
    let mut caption = drawing.caption.to_string();
    if seconds.iter().any(Option::is_some) && drawing.curves.len() > 1 {
        caption += &format!(" Here: {}.", drawing.curves[0].name);
    }
    Ok(Some(chart::lines(&axes, &lines)?.with_caption(caption)))
}

/// Values of a parameter, each once, in the order of the points.
fn distinct<F>(of: &Sweep<F>, parameter: usize) -> Vec<String> {
    let mut known: Vec<String> = Vec::new();
    for value in of.points.iter().filter_map(|point| point.values.get(parameter)) {
        if !known.contains(value) {
            known.push(value.clone());
        }
    }
    known
}

/// Most fields of a heat map along one parameter.
const MOST_FIELDS: usize = 40;

/// Each curve over two parameters; none of one parameter, or of points that make no grid.
fn crossings<F>(of: &Sweep<F>, drawing: &Drawing<F>) -> Result<Vec<Picture>, Error> {
    let maps = drawing.curves.iter().map(|curve| crossing(of, drawing, curve));
    maps.filter_map(Result::transpose).collect()
}

fn crossing<F>(of: &Sweep<F>, drawing: &Drawing<F>, curve: &Curve<F>) -> Result<Option<Picture>, Error> {
    let [first, second] = &of.parameters[..] else { return Ok(None) };
    let (columns, rows) = (distinct(of, 0), distinct(of, 1));
    let fits = |n: usize| (2..=MOST_FIELDS).contains(&n);
    if !fits(columns.len()) || !fits(rows.len()) || of.points.len() > columns.len() * rows.len() {
        return Ok(None);
    }
    let at = |column: &String, row: &String| {
        let point = of.points.iter().find(|point| point.values[0] == *column && point.values[1] == *row)?;
        (curve.get)(&point.figures).map(|(value, _)| value)
    };
    let values: Vec<Vec<Option<f64>>> =
        rows.iter().map(|row| columns.iter().map(|column| at(column, row)).collect()).collect();
    if values.iter().flatten().flatten().count() * 2 < columns.len() * rows.len() {
        return Ok(None);
    }
    let file = format!("{}-map-{}", drawing.file, super::comparison::file(curve.name));
    let title = format!("{}, {}", drawing.title, curve.name);
    let (x, y) = (quantity(&first.name), quantity(&second.name));
    let axes = Axes { file: &file, title: &title, x: &x, y: &y, ..Axes::default() };
    let caption = format!("The {} at each pair of values; dark is high.", drawing.y);
    Ok(Some(chart::heat_map(&axes, &columns, &rows, &values)?.with_caption(caption)))
}

fn heading<F>(of: &Sweep<F>) -> Section {
    let names: Vec<&str> = of.parameters.iter().map(|axis| axis.name.as_str()).collect();
    Section { title: format!("Sweep over {}", names.join(" and ")), ..Section::default() }
}

fn percents(share: f64, (low, high): (f64, f64)) -> Drawn {
    (100.0 * share, Some((100.0 * low, 100.0 * high)))
}

/// Both modes at each point: accuracy, spikes and operations against the first parameter.
///
/// # Errors
/// If a picture cannot be drawn.
pub fn section(of: &Sweep<Figures>, log_x: bool) -> Result<Section, Error> {
    let mut section = heading(of);
    let horizontal = Horizontal::of(of, log_x);
    type Get = fn(&ModeFigures) -> Drawn;
    let figures: [(&str, &str, &str, &str, Get); 3] = [
        ("sweep-accuracy", "Accuracy", "accuracy (%)", "Bars are Wilson's 95 % intervals.", |of| {
            percents(of.accuracy.share, of.accuracy.interval)
        }),
        ("sweep-spikes", "Spikes", "spikes per sample", "Means over the samples.", |of| (of.spikes, None)),
        ("sweep-operations", "Operations", "weights added, per sample", "Means over the samples.", |of| {
            (of.operations, None)
        }),
    ];
    for (file, title, y, caption, get) in figures {
        let event = |of: &Figures| Some(get(&of.event));
        let clocked = |of: &Figures| Some(get(&of.clocked));
        let curves = [Curve { name: "event", get: &event }, Curve { name: "clocked", get: &clocked }];
        let drawing = Drawing { file, title, y, caption, curves: &curves };
        section.pictures.extend(crossings(of, &drawing)?);
        section.pictures.extend(picture(of, &horizontal, &drawing)?);
    }
    section.tables.push(both_modes(of));
    Ok(section)
}

/// The points, for a person; the file of the sweep has all digits.
fn both_modes(of: &Sweep<Figures>) -> Table {
    let names = ["accuracy (%)", "95 % interval (%)", "as analog (%)", "spikes per sample", "operations per sample"];
    let mut table =
        Table { columns: of.parameters.iter().map(|axis| quantity(&axis.name)).collect(), rows: Vec::new() };
    for mode in ["event", "clocked"] {
        table.columns.extend(names.map(|name| format!("{mode}: {name}")));
    }
    table.columns.extend(["agree (%)", "samples"].map(String::from));
    let two = |share: f64| format!("{:.2}", 100.0 * share);
    let mode = |it: &ModeFigures| {
        let (low, high) = it.accuracy.interval;
        let interval = format!("{} to {}", two(low), two(high));
        let means = [brief(it.spikes), brief(it.operations)];
        [two(it.accuracy.share), interval, it.as_analog.map_or("-".into(), two)].into_iter().chain(means)
    };
    table.rows.extend(of.points.iter().map(|Point { values, figures: it }| {
        let row = values.iter().cloned().chain(mode(&it.event)).chain(mode(&it.clocked));
        row.chain([two(it.agreement), it.samples.to_string()]).collect()
    }));
    table
}

/// A machine at each point: latencies, accuracy, energy, throughput and what is busiest against the first parameter.
///
/// # Errors
/// If a picture cannot be drawn.
pub fn machine_section(of: &Sweep<MachineFigures>, log_x: bool) -> Result<Section, Error> {
    let mut section = heading(of);
    let horizontal = Horizontal::of(of, log_x);
    let greatest =
        |get: &dyn Fn(&MachineFigures) -> f64| of.points.iter().map(|it| get(&it.figures)).fold(0.0, f64::max);
    let mut draw = |drawing: &Drawing<MachineFigures>| -> Result<(), Error> {
        section.pictures.extend(crossings(of, drawing)?);
        section.pictures.extend(picture(of, &horizontal, drawing)?);
        Ok(())
    };

    let longest = greatest(&|it| it.latencies().iter().filter_map(|(_, it)| it.map(|it| it.high)).fold(0.0, f64::max));
    let time = Unit::of(longest, "s");
    let y = format!("time since the first input ({})", time.name);
    // The decision that stays is the one that counts, so it comes first.
    let which = [2, 0, 1, 3];
    let gets = which.map(|k| {
        let factor = time.factor;
        move |it: &MachineFigures| {
            let drawn = |it: &Spread| (it.mean * factor, Some((it.low * factor, it.high * factor)));
            it.latencies()[k].1.map(drawn)
        }
    });
    let names = which.map(|k| of.points.first().map_or("", |it| it.figures.latencies()[k].0));
    let curves: Vec<Curve<MachineFigures>> =
        names.into_iter().zip(&gets).map(|(name, get)| Curve { name, get }).collect();
    let caption = "Means over the samples with their 95 % intervals.";
    draw(&Drawing { file: "sweep-latency", title: "Latency", y: &y, caption, curves: &curves })?;

    let machine = |it: &MachineFigures| it.accuracy.map(|it| percents(it.share, it.interval));
    let ideal = |it: &MachineFigures| it.ideal.map(|it| (100.0 * it.share, None));
    let curves = [Curve { name: "on the machine", get: &machine }, Curve { name: "ideal machine", get: &ideal }];
    let caption = "Bars are Wilson's 95 % intervals.";
    draw(&Drawing { file: "sweep-accuracy", title: "Accuracy", y: "accuracy (%)", caption, curves: &curves })?;

    let joules = Unit::of(greatest(&|it| it.energy), "J");
    let y = format!("total energy per sample ({})", joules.name);
    let get = |it: &MachineFigures| (it.energy > 0.0).then_some((it.energy * joules.factor, None));
    let curves = [Curve { name: "energy", get: &get }];
    let caption = "Static power included.";
    draw(&Drawing { file: "sweep-energy", title: "Energy", y: &y, caption, curves: &curves })?;

    let get = |it: &MachineFigures| Some((it.samples_per_second, None));
    let curves = [Curve { name: "throughput", get: &get }];
    let caption = "Samples one after the other.";
    draw(&Drawing {
        file: "sweep-throughput",
        title: "Throughput",
        y: "samples per second",
        caption,
        curves: &curves,
    })?;

    let busy = |it: &MachineFigures| it.busiest.as_ref().map(|it| (100.0 * it.utilisation, None));
    let stopped = |it: &MachineFigures| (it.stopped > 0.0).then_some((100.0 * it.stopped, None));
    let curves = [Curve { name: "busy", get: &busy }, Curve { name: "stopped by full output FIFOs", get: &stopped }];
    let caption = "Of the module or link that is busiest, and of the module that is stopped longest.";
    let y = "share of the time (%)";
    draw(&Drawing {
        file: "sweep-utilisation",
        title: "Utilisation of the busiest module or link",
        y,
        caption,
        curves: &curves,
    })?;

    section.tables.push(table(of, &time, &joules));
    if let Some(remark) = MachineFigures::left_over(of.points.iter().map(|point| &point.figures)) {
        section.text = [section.text.trim_end(), &remark].join(" ").trim_start().to_string();
    }
    Ok(section)
}

/// The points, for a person; the file of the sweep has all columns.
fn table(of: &Sweep<MachineFigures>, time: &Unit, joules: &Unit) -> Table {
    let mut table =
        Table { columns: of.parameters.iter().map(|axis| quantity(&axis.name)).collect(), rows: Vec::new() };
    table.columns.extend(["accuracy (%)", "as ideal (%)"].map(String::from));
    let first = of.points.first();
    let names = first.map_or(Vec::new(), |it| it.figures.latencies().map(|(name, _)| name).to_vec());
    table.columns.extend(names.iter().map(|name| format!("{name} ({})", time.name)));
    let others = [
        "samples per second",
        &format!("total energy per sample ({})", joules.name),
        "bottleneck",
        "of the critical path (%)",
        "busiest",
        "busy (%)",
        "cause",
    ];
    table.columns.extend(others.map(String::from));
    let two = |share: f64| format!("{:.2}", 100.0 * share);
    table.rows = of
        .points
        .iter()
        .map(|Point { values, figures: it }| {
            let mut row = values.clone();
            row.extend([it.accuracy.map_or("-".into(), |it| two(it.share)), it.as_ideal.map_or(String::new(), two)]);
            let cell = |spread: Option<&Spread>| spread.map_or("-".into(), |it| brief(it.mean * time.factor));
            row.extend(it.latencies().map(|(_, spread)| cell(spread)));
            row.extend([brief(it.samples_per_second), brief(it.energy * joules.factor)]);
            row.extend(match &it.bottleneck {
                Some(it) => [format!("{}, {}", it.place, it.key), two(it.share)],
                None => [const { "-" }; 2].map(String::from),
            });
            row.extend(match &it.busiest {
                Some(it) => [it.name.clone(), two(it.utilisation), it.cause.clone()],
                None => [const { "-" }; 3].map(String::from),
            });
            row
        })
        .collect();
    table
}
