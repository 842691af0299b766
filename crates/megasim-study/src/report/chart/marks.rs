//! Bars, clouds of points, histograms.

use super::{Axes, COLOURS, FONT, Line, Mark, Picture, Table, WIDTH, axes, draw, legend, range, rows_of_time};
use crate::report::Error;
use crate::report::picture::number;
use crate::statistics::Histogram;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// Groups of bars.
#[derive(Debug, Clone, Default)]
pub struct Bars {
    /// Names of the groups.
    pub groups: Vec<String>,
    /// Name and values of each kind of bar, one value a group.
    pub kinds: Vec<(String, Vec<f64>)>,
}

/// Most of the width that names of bars take, in pixels.
const MOST_LABEL: u32 = 260;

/// Horizontal bars, a group below the other, each with its name; told apart by lightness and outline. `x` of the axes
/// says what the groups are, `y` what the bars measure.
///
/// # Errors
/// If the drawing fails.
pub fn bars(of: &Axes, bars: &Bars) -> Result<Picture, Error> {
    let (n, kinds) = (bars.groups.len().max(1), bars.kinds.len().max(1));
    let values = range(bars.kinds.iter().flat_map(|(_, values)| values.iter().copied()), true);
    let names: Vec<String> = bars.kinds.iter().map(|(name, _)| name.clone()).collect();
    let row = (11 * kinds as u32 + 9).max(24);
    let height = 120 + row * n as u32;
    let groups: Vec<String> = bars.groups.iter().map(|name| shown(name)).collect();
    let letters = groups.iter().map(|name| name.chars().count()).max().unwrap_or(0) as u32;
    let room = (8 * letters + 20).clamp(60, MOST_LABEL);
    let svg = draw(of.title, (WIDTH, height), |area| {
        let area = &legend(area, &names, Mark::Field)?;
        let mut chart = rows_of_time(area, &Axes { x: of.y, ..*of }, values.clone(), n, (room, 8))?;
        let thickness = 0.84 / kinds as f64;
        for (kind, (_, values)) in bars.kinds.iter().enumerate() {
            let colour = COLOURS[kind % COLOURS.len()];
            let place = |group: usize| (n - group) as f64 - 0.08 - kind as f64 * thickness;
            let corners = |(group, &value): (usize, &f64)| [(0.0, place(group)), (value, place(group) - thickness)];
            chart.draw_series(values.iter().enumerate().map(|it| Rectangle::new(corners(it), colour.filled())))?;
            let outline = BLACK.stroke_width(1);
            chart.draw_series(values.iter().enumerate().map(|it| Rectangle::new(corners(it), outline)))?;
        }
        let zero = PathElement::new(vec![(0.0, 0.0), (0.0, n as f64)], BLACK);
        chart.draw_series(std::iter::once(zero))?;
        let style = (FONT, 13).into_font().color(&BLACK).pos(Pos::new(HPos::Right, VPos::Center));
        let above = area.get_base_pixel().1;
        for (group, name) in groups.iter().enumerate() {
            let (x, y) = chart.backend_coord(&(values.start, (n - group) as f64 - 0.5));
            area.draw_text(name, &style, (x - 8, y - above))?;
        }
        Ok(())
    })?;
    let mut table = Table::new(&[of.x]);
    table.columns.extend(bars.kinds.iter().map(|(name, _)| name.clone()));
    for (group, name) in bars.groups.iter().enumerate() {
        let values = bars.kinds.iter().map(|(_, values)| number(values[group]));
        table.rows.push(std::iter::once(name.clone()).chain(values).collect());
    }
    Ok(Picture { file: of.file.into(), title: of.title.into(), caption: String::new(), width: WIDTH, svg, table })
}

/// A name of a group as far as there is room for it.
fn shown(name: &str) -> String {
    const LETTERS: usize = 30;
    let name = name.replace("AveragePooling", "AvgPool").replace("MaxPooling", "MaxPool");
    super::cut(&name, LETTERS)
}

/// Points that are still drawn one by one.
const MOST_POINTS: usize = 600;

/// A cloud of points over the line on which both are equal; many points become a density of this many fields along each
/// axis, dark for many.
///
/// # Errors
/// If the drawing fails.
pub fn density(of: &Axes, points: &[(f64, f64)], fields_along: usize) -> Result<Picture, Error> {
    let x = range(points.iter().map(|point| point.0), true);
    let y = range(points.iter().map(|point| point.1), true);
    let few = points.len() <= MOST_POINTS;
    let mut fields = vec![0u32; fields_along * fields_along];
    let field = |value: f64, range: &std::ops::Range<f64>| {
        let share = (value - range.start) / (range.end - range.start);
        ((share * fields_along as f64) as usize).min(fields_along - 1)
    };
    if !few {
        points.iter().for_each(|point| fields[field(point.1, &y) * fields_along + field(point.0, &x)] += 1);
    }
    let most = f64::from(fields.iter().copied().max().unwrap_or(1).max(1));
    let svg = draw(of.title, (540, 440), |area| {
        let mut chart = axes(area, of, x.clone(), y.clone(), 7)?;
        let end = x.end.min(y.end);
        let equal = DashedLineSeries::new([(0.0, 0.0), (end, end)], 7, 5, RGBColor(110, 110, 110).stroke_width(1));
        chart.draw_series(equal)?;
        if few {
            chart.draw_series(points.iter().map(|&point| Circle::new(point, 3, COLOURS[0].stroke_width(1))))?;
        } else {
            let edge = |k: usize, range: &std::ops::Range<f64>| {
                range.start + (range.end - range.start) * k as f64 / fields_along as f64
            };
            let filled = fields.iter().enumerate().filter(|(_, count)| **count > 0);
            chart.draw_series(filled.map(|(k, &count)| {
                let (column, row) = (k % fields_along, k / fields_along);
                let share = (1.0 + f64::from(count)).ln() / (1.0 + most).ln();
                let level = (225.0 * (1.0 - share)) as u8;
                let corners = [(edge(column, &x), edge(row, &y)), (edge(column + 1, &x), edge(row + 1, &y))];
                Rectangle::new(corners, RGBColor(level, level, level).filled())
            }))?;
        }
        Ok(())
    })?;
    let mut table = Table::new(&[of.x, of.y]);
    table.rows = points.iter().map(|point| vec![number(point.0), number(point.1)]).collect();
    Ok(Picture { file: of.file.into(), title: of.title.into(), caption: String::new(), width: 540, svg, table })
}

/// The largest count over the median one from which a histogram is drawn on a logarithmic axis.
const SKEWED: u64 = 20;

/// Counts of numbers between equally spaced edges, as a line of steps.
///
/// # Errors
/// If the drawing fails.
pub fn histogram(of: &Axes, name: &str, histogram: &Histogram) -> Result<Picture, Error> {
    counted(of, &[(name.to_string(), histogram.clone())], super::lines)
}

/// Several histograms next to each other, each with its own axes.
///
/// # Errors
/// If the drawing fails.
pub fn histograms(of: &Axes, histograms: &[(String, Histogram)]) -> Result<Picture, Error> {
    counted(of, histograms, |axes, lines| super::multiples(axes, lines, false))
}

/// Histograms as lines of steps on axes that suit them, and the counts as their numbers.
fn counted(
    of: &Axes,
    histograms: &[(String, Histogram)],
    drawn: impl FnOnce(&Axes, &[Line]) -> Result<Picture, Error>,
) -> Result<Picture, Error> {
    let lines = histograms.iter().map(|(name, histogram)| {
        let total = histogram.counts.iter().sum::<u64>().max(1) as f64;
        let mut points: Vec<(f64, f64)> = Vec::with_capacity(histogram.counts.len() + 1);
        points.push((histogram.edge(0), 0.0));
        for (k, &count) in histogram.counts.iter().enumerate() {
            points.push((histogram.edge(k), count as f64 / total));
        }
        points.push((histogram.edge(histogram.counts.len()), 0.0));
        Line { name: name.clone(), points, bounds: Vec::new(), steps: true }
    });
    // A few large bars hide all others; then the axis is logarithmic.
    let shares = histograms.iter().flat_map(|(_, histogram)| &histogram.counts).copied().filter(|&count| count > 0);
    let mut shares: Vec<u64> = shares.collect();
    shares.sort_unstable();
    let skewed = shares.last().is_some_and(|&most| most > SKEWED * shares[shares.len() / 2]);
    let y = if skewed { format!("{} (logarithmic)", of.y) } else { of.y.to_string() };
    let axes = Axes { from_zero: true, log_y: skewed, y: &y, ..*of };
    let mut picture = drawn(&axes, &lines.collect::<Vec<_>>())?;
    picture.table = Table::new(&["histogram", "from", "to", "count"]);
    for (name, histogram) in histograms {
        for (k, count) in histogram.counts.iter().enumerate() {
            let edges = [histogram.edge(k), histogram.edge(k + 1)].map(number);
            let [from, to] = edges;
            picture.table.rows.push(vec![name.clone(), from, to, count.to_string()]);
        }
    }
    Ok(picture)
}
