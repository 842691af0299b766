//! The kinds of pictures: lines, densities, bars, grids of maps, matrices, heat maps, rasters, histograms.

use super::picture::{number, short};
use super::{Error, Picture, Table};
use maud::{Markup, html};
use plotters::coord::Shift;
use plotters::coord::ranged1d::{AsRangedCoord, ValueFormatter};
use plotters::coord::types::RangedCoordf64;
use plotters::element::DashedPathElement;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::ops::Range;

mod grid;
mod marks;
mod multiples;
mod potentials;
mod raster;
mod spans;

pub use grid::{Extent, Panel, grids, heat_map, matrix};
pub use marks::{Bars, bars, density, histogram, histograms};
pub use multiples::multiples;
pub use potentials::{Potential, potentials};
pub use raster::{Raster, Rows, rasters};
pub use spans::{Span, spans};

/// Width of a picture, in pixels at 1:1.
const WIDTH: u32 = 760;

/// Height of most pictures.
const HEIGHT: u32 = 380;

const FONT: &str = "sans-serif";

/// Colours that all kinds of colour vision tell apart (M. Okabe, K. Ito, 2008), in an order in which neighbours differ
/// in lightness.
const COLOURS: [RGBColor; 6] = [
    RGBColor(0, 90, 160),
    RGBColor(230, 145, 0),
    RGBColor(20, 20, 20),
    RGBColor(0, 150, 110),
    RGBColor(200, 80, 150),
    RGBColor(120, 120, 120),
];

/// Lengths of dashes and gaps of each line, so that lines differ without colour; the first one is whole.
const DASHES: [Option<(i32, i32)>; 6] = [None, Some((9, 5)), Some((2, 4)), Some((16, 5)), Some((5, 3)), Some((2, 9))];

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Chart<'a, 'b, X, Y> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<X, Y>>;
type Drawn<T> = Result<T, Box<dyn std::error::Error>>;

/// What a picture is about, and what is at its axes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Axes<'a> {
    /// Name of the files.
    pub file: &'a str,
    /// Title.
    pub title: &'a str,
    /// The horizontal axis, with its unit.
    pub x: &'a str,
    /// The vertical axis, with its unit.
    pub y: &'a str,
    /// Whether the horizontal axis is logarithmic.
    pub log_x: bool,
    /// Whether the vertical axis is logarithmic; what is not above 0 is at its lower end.
    pub log_y: bool,
    /// Whether the vertical axis starts at 0, if it is not logarithmic.
    pub from_zero: bool,
    /// What stands at 0, 1, 2, ... of the horizontal axis; empty: the numbers.
    pub names: &'a [String],
}

/// A line with a name.
#[derive(Debug, Clone, Default)]
pub struct Line {
    /// Its name.
    pub name: String,
    /// Its points.
    pub points: Vec<(f64, f64)>,
    /// Lower and upper bounds of each point, where there are some.
    pub bounds: Vec<(f64, f64)>,
    /// Whether it goes on level until the next point, as a potential does.
    pub steps: bool,
}

/// A name as far as there is room, in letters.
fn cut(name: &str, letters: usize) -> String {
    match name.char_indices().nth(letters) {
        Some((at, _)) => format!("{}…", &name[..at]),
        None => name.to_string(),
    }
}

/// Round times from 0 to `end`, over a width from `left` on.
fn time_labels(end: f64, (left, width): (usize, usize), y: usize) -> Markup {
    const MOST: f64 = 6.0;
    let power = 10f64.powf((end / MOST).log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power).into_iter().find(|step| end / step <= MOST);
    let step = step.unwrap_or(end);
    html! {
        // What is left of a sum that should be a whole number of steps.
        @for k in 0..=(end / step + 1e-6).floor() as usize {
            @let time = k as f64 * step;
            text x=(raster::tenth(left as f64 + time / end * width as f64)) y=(y) { (short(time)) }
        }
    }
}

/// Draws on a canvas of a size.
fn draw(title: &str, size: (u32, u32), on: impl FnOnce(&Area) -> Drawn<()>) -> Result<String, Error> {
    let mut svg = String::new();
    let drawn = (|| {
        let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        area.fill(&WHITE)?;
        on(&area)?;
        area.present()?;
        Drawn::Ok(())
    })();
    drawn.map_err(|error| Error::Drawing { picture: title.into(), message: error.to_string() })?;
    Ok(svg)
}

/// How a name is marked in a legend.
#[derive(Debug, Clone, Copy)]
enum Mark {
    /// A stroke with the dashes of a line.
    Stroke,
    /// A filled field.
    Field,
}

/// Height of one row of a legend.
const LEGEND_ROW: u32 = 24;

/// Where each name of a legend is: row and left edge. Letters are taken to be as wide as they may be.
fn legend_places(names: &[String]) -> Vec<(u32, i32)> {
    let (mut row, mut x) = (0, 90);
    let places = names.iter().map(|name| {
        let width = 56 + 8 * name.chars().count() as i32;
        if x + width > WIDTH as i32 && x > 90 {
            (row, x) = (row + 1, 90);
        }
        let place = (row, x);
        x += width;
        place
    });
    places.collect()
}

/// Draws a legend above a chart, where it hides nothing; the rest of the area.
fn legend<'a>(area: &Area<'a>, names: &[String], mark: Mark) -> Drawn<Area<'a>> {
    if names.len() < 2 {
        return Ok(area.clone());
    }
    let places = legend_places(names);
    let rows = 1 + places.iter().map(|(row, _)| *row).max().unwrap_or(0);
    let (top, rest) = area.split_vertically(8 + rows * LEGEND_ROW);
    let text = (FONT, 15).into_font().color(&BLACK).pos(Pos::new(HPos::Left, VPos::Center));
    for (k, (name, (row, x))) in names.iter().zip(places).enumerate() {
        let y = (6 + row * LEGEND_ROW + LEGEND_ROW / 2) as i32;
        let colour = COLOURS[k % COLOURS.len()];
        match mark {
            Mark::Field => {
                top.draw(&Rectangle::new([(x, y - 7), (x + 28, y + 7)], colour.filled()))?;
                top.draw(&Rectangle::new([(x, y - 7), (x + 28, y + 7)], BLACK))?;
            }
            Mark::Stroke => {
                let (dash, gap) = DASHES[k % DASHES.len()].unwrap_or((28, 1));
                top.draw(&DashedPathElement::new([(x, y), (x + 28, y)], dash, gap, colour.stroke_width(2)))?;
            }
        }
        top.draw_text(name, &text, (x + 36, y))?;
    }
    Ok(rest)
}

/// A range that has a length, a little wider than the numbers.
fn range(values: impl Iterator<Item = f64>, from_zero: bool) -> Range<f64> {
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    for value in values.filter(|value| value.is_finite()) {
        (low, high) = (low.min(value), high.max(value));
    }
    if low > high {
        return 0.0..1.0;
    }
    if from_zero {
        (low, high) = (low.min(0.0), high.max(0.0));
    }
    let gap = if high > low { 0.04 * (high - low) } else { low.abs().max(1.0) * 0.5 };
    let low = if from_zero && low == 0.0 { 0.0 } else { low - gap };
    low..high + gap
}

/// A chart with axes and a light mesh.
fn axes<'a, 'b, X, Y>(
    area: &'a Area<'b>,
    of: &Axes,
    x: X,
    y: Y,
    x_labels: usize,
) -> Drawn<Chart<'a, 'b, X::CoordDescType, Y::CoordDescType>>
where
    X: AsRangedCoord<Value = f64>,
    Y: AsRangedCoord<Value = f64>,
    X::CoordDescType: ValueFormatter<f64>,
    Y::CoordDescType: ValueFormatter<f64>,
{
    let mut chart = ChartBuilder::on(area)
        .margin(12)
        .margin_right(24)
        .x_label_area_size(48)
        .y_label_area_size(76)
        .build_cartesian_2d(x, y)?;
    chart
        .configure_mesh()
        .x_desc(of.x)
        .y_desc(of.y)
        .x_labels(x_labels)
        .y_labels(7)
        .x_label_formatter(&|value| label(of, *value))
        .y_label_formatter(&|value| short(if of.log_y { 10f64.powf(*value) } else { *value }))
        .label_style((FONT, 15))
        .axis_desc_style((FONT, 16))
        .bold_line_style(RGBColor(215, 215, 215))
        .light_line_style(TRANSPARENT)
        .draw()?;
    Ok(chart)
}

/// What is at a place of the horizontal axis.
fn label(of: &Axes, value: f64) -> String {
    match of.names {
        [] => short(value),
        // Only the places of names have one.
        names => names.get(value.round() as usize).filter(|_| value.fract() == 0.0).cloned().unwrap_or_default(),
    }
}

/// Labels of an axis of these numbers: whole numbers have none between them.
fn labels(xs: impl Iterator<Item = f64>) -> usize {
    const MOST: usize = 9;
    let (mut low, mut high, mut whole) = (f64::INFINITY, f64::NEG_INFINITY, true);
    for x in xs {
        (low, high, whole) = (low.min(x), high.max(x), whole && x.fract() == 0.0);
    }
    if whole && high - low < MOST as f64 { (high - low).max(1.0) as usize + 1 } else { MOST }
}

/// A chart of `n` rows over time, whose names are drawn to the left by the caller; `labels`: how wide these are, and
/// how many times are written below.
fn rows_of_time<'a, 'b>(
    area: &'a Area<'b>,
    of: &Axes,
    times: Range<f64>,
    n: usize,
    labels: (u32, usize),
) -> Drawn<Chart<'a, 'b, RangedCoordf64, RangedCoordf64>> {
    let mut chart = ChartBuilder::on(area)
        .margin(12)
        .margin_right(24)
        .x_label_area_size(48)
        .y_label_area_size(labels.0)
        .build_cartesian_2d(times, 0.0..n as f64)?;
    chart
        .configure_mesh()
        .disable_y_mesh()
        .x_desc(of.x)
        .y_labels(0)
        .x_labels(labels.1)
        .x_label_formatter(&|value| short(*value))
        .label_style((FONT, 15))
        .axis_desc_style((FONT, 16))
        .bold_line_style(RGBColor(225, 225, 225))
        .light_line_style(TRANSPARENT)
        .draw()?;
    Ok(chart)
}

/// Lines over a common axis, told apart by colour and dashes, with bars for bounds.
///
/// # Errors
/// If the drawing fails.
pub fn lines(of: &Axes, lines: &[Line]) -> Result<Picture, Error> {
    let given = lines;
    let exponents = if of.log_y { logarithms(given) } else { Vec::new() };
    let lines = if of.log_y { &exponents } else { given };
    let xs = || lines.iter().flat_map(|line| &line.points).map(|point| point.0);
    let bounds = lines.iter().flat_map(|line| &line.bounds).flat_map(|&(low, high)| [low, high]);
    let ys = lines.iter().flat_map(|line| &line.points).map(|point| point.1).chain(bounds);
    let y = range(ys, of.from_zero && !of.log_y);
    let names: Vec<String> = lines.iter().map(|line| line.name.clone()).collect();
    let svg = draw(of.title, (WIDTH, HEIGHT), |area| {
        let area = &legend(area, &names, Mark::Stroke)?;
        if of.log_x {
            let positive = || xs().filter(|&x| x > 0.0);
            let (low, high) = positive().fold((f64::INFINITY, 0.0f64), |(low, high), x| (low.min(x), high.max(x)));
            let (low, high) = if low <= high { (low / 1.1, high * 1.1) } else { (1.0, 10.0) };
            plot(axes(area, of, (low..high).log_scale(), y, 9)?, lines)
        } else {
            let (low, high) = xs().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| (low.min(x), high.max(x)));
            // Marks and bars of the first and last point are not cut off.
            let marked = lines.iter().any(|line| !line.bounds.is_empty());
            let gap = if marked { 0.02 * (high - low) } else { 0.0 };
            let x = if low < high { low - gap..high + gap } else { range(xs(), false) };
            plot(axes(area, of, x, y, labels(xs()))?, lines)
        }
    })?;
    let mut table = Table::new(&["line", of.x, of.y]);
    if lines.iter().any(|line| !line.bounds.is_empty()) {
        table.columns.extend(["lower bound".to_string(), "upper bound".to_string()]);
    }
    for line in given {
        for (k, point) in line.points.iter().enumerate() {
            let mut row = vec![line.name.clone(), number(point.0), number(point.1)];
            row.extend(line.bounds.get(k).into_iter().flat_map(|&(low, high)| [number(low), number(high)]));
            table.rows.push(row);
        }
    }
    Ok(Picture { file: of.file.into(), title: of.title.into(), caption: String::new(), width: WIDTH, svg, table })
}

/// Lines whose heights are decimal logarithms; what has none is at half of the least height that has one.
fn logarithms(lines: &[Line]) -> Vec<Line> {
    let heights = lines.iter().flat_map(|line| &line.points).map(|point| point.1).filter(|&y| y > 0.0);
    let floor = heights.fold(f64::INFINITY, f64::min) / 2.0;
    let floor = if floor.is_finite() { floor } else { 1.0 };
    let of = |y: f64| y.max(floor).log10();
    let one = |line: &Line| Line {
        points: line.points.iter().map(|&(x, y)| (x, of(y))).collect(),
        bounds: line.bounds.iter().map(|&(low, high)| (of(low), of(high))).collect(),
        ..line.clone()
    };
    lines.iter().map(one).collect()
}

fn plot<X, Y>(mut chart: Chart<'_, '_, X, Y>, lines: &[Line]) -> Drawn<()>
where
    X: plotters::coord::ranged1d::Ranged<ValueType = f64>,
    Y: plotters::coord::ranged1d::Ranged<ValueType = f64>,
{
    for (k, line) in lines.iter().enumerate() {
        let colour = COLOURS[k % COLOURS.len()];
        let style = colour.stroke_width(if line.steps { 1 } else { 2 });
        let points: Vec<(f64, f64)> = if line.steps { steps(&line.points) } else { line.points.clone() };
        match DASHES[k % DASHES.len()] {
            None => chart.draw_series(LineSeries::new(points, style))?,
            Some((dash, gap)) => chart.draw_series(DashedLineSeries::new(points, dash, gap, style))?,
        };
        if !line.bounds.is_empty() {
            let bounds = line.points.iter().zip(&line.bounds);
            chart.draw_series(
                bounds.map(|(&(x, y), &(low, high))| ErrorBar::new_vertical(x, low, y, high, colour.filled(), 7)),
            )?;
        }
        if line.points.len() <= 40 && !line.steps {
            let dots = line.points.iter().map(|&point| (point, k));
            chart.draw_series(dots.map(|(point, k)| {
                EmptyElement::at(point)
                    + if k % 2 == 0 {
                        Circle::new((0, 0), 3, colour.filled())
                    } else {
                        Circle::new((0, 0), 4, colour.stroke_width(2))
                    }
            }))?;
        }
    }
    Ok(())
}

/// Points of a line that stays level until the next point.
fn steps(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let mut level = Vec::with_capacity(2 * points.len());
    for pair in points.windows(2) {
        level.push(pair[0]);
        level.push((pair[1].0, pair[0].1));
    }
    level.extend(points.last());
    level
}
