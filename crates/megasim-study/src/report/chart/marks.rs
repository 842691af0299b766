//! Bars, clouds of points, rasters of spikes, histograms.

use super::{Axes, COLOURS, FONT, HEIGHT, Line, Mark, Picture, Table, WIDTH, axes, draw, legend, range, rows_of_time};
use crate::report::Error;
use crate::report::picture::{number, short};
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

/// Bars side by side, told apart by lightness and outline.
///
/// # Errors
/// If the drawing fails.
pub fn bars(of: &Axes, bars: &Bars) -> Result<Picture, Error> {
    let n = bars.groups.len().max(1);
    let y = range(bars.kinds.iter().flat_map(|(_, values)| values.iter().copied()), true);
    let names: Vec<String> = bars.kinds.iter().map(|(name, _)| name.clone()).collect();
    let svg = draw(of.title, (WIDTH, HEIGHT), |area| {
        let area = &legend(area, &names, Mark::Field)?;
        let mut chart = ChartBuilder::on(area)
            .margin(12)
            .margin_right(24)
            .x_label_area_size(60)
            .y_label_area_size(76)
            .build_cartesian_2d(0.0..n as f64, y.clone())?;
        // Names of groups where there is room, else evenly spaced ones.
        let labels: Vec<[String; 2]> = bars.groups.iter().map(|name| two_lines(name)).collect();
        let longest = labels.iter().flatten().map(String::len).max().unwrap_or(1);
        let room = ((WIDTH as usize - 110) / n.max(1) / 8).max(1);
        let every = (longest + 1).div_ceil(room).max(1);
        chart
            .configure_mesh()
            .disable_x_mesh()
            .x_desc(of.x)
            .y_desc(of.y)
            .x_labels(0)
            .y_labels(7)
            .y_label_formatter(&|value| short(*value))
            .label_style((FONT, 15))
            .axis_desc_style((FONT, 16))
            .bold_line_style(RGBColor(215, 215, 215))
            .light_line_style(TRANSPARENT)
            .draw()?;
        let width = 0.84 / bars.kinds.len().max(1) as f64;
        for (kind, (_, values)) in bars.kinds.iter().enumerate() {
            let colour = COLOURS[kind % COLOURS.len()];
            let place = move |group: usize| group as f64 + 0.08 + kind as f64 * width;
            let rectangles = values.iter().enumerate().map(|(group, &value)| {
                Rectangle::new([(place(group), 0.0), (place(group) + width, value)], colour.filled())
            });
            chart.draw_series(rectangles)?;
            chart.draw_series(values.iter().enumerate().map(|(group, &value)| {
                Rectangle::new([(place(group), 0.0), (place(group) + width, value)], BLACK.stroke_width(1))
            }))?;
        }
        let style = (FONT, 14).into_font().color(&BLACK).pos(Pos::new(HPos::Center, VPos::Top));
        for (group, lines) in labels.iter().enumerate().step_by(every) {
            // The legend above moves the chart, but not what is below it.
            let (x, _) = chart.backend_coord(&(group as f64 + 0.5, y.start));
            for (line, dy) in lines.iter().zip([66, 50]).filter(|(line, _)| !line.is_empty()) {
                area.draw_text(line, &style, (x, area.dim_in_pixel().1 as i32 - dy))?;
            }
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

/// A name of a group as it fits under its bars: a layer's size, which follows the first `_`, on a line of its own.
fn two_lines(name: &str) -> [String; 2] {
    let name = name.replace("AveragePooling", "AvgPool").replace("MaxPooling", "MaxPool");
    match name.split_once('_') {
        Some((kind, size)) if name.len() > 8 => [kind.into(), size.into()],
        _ => [name, String::new()],
    }
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
        let mut chart = axes(area, of, x.clone(), y.clone())?;
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

/// The spikes of a group of rows.
#[derive(Debug, Clone, Default)]
pub struct Rows {
    /// Its name.
    pub name: String,
    /// How many rows there are.
    pub rows: usize,
    /// Time and row of each spike.
    pub spikes: Vec<(f64, usize)>,
}

/// Spikes of several groups of rows one above the other, up to a time.
///
/// # Errors
/// If the drawing fails.
pub fn raster(of: &Axes, end: f64, groups: &[Rows]) -> Result<Picture, Error> {
    const GAP: f64 = 0.04;
    let n = groups.len().max(1);
    let height = (70 + 90 * n as u32).clamp(HEIGHT, 1400);
    let svg = draw(of.title, (WIDTH, height), |area| {
        let mut chart = rows_of_time(area, of, 0.0..end.max(1e-9), n, (200, 10))?;
        let style = (FONT, 14).into_font().color(&BLACK).pos(Pos::new(HPos::Right, VPos::Center));
        for (k, Rows { name, rows, spikes }) in groups.iter().enumerate() {
            let bottom = (n - 1 - k) as f64;
            let place = |row: usize| bottom + GAP + (1.0 - 2.0 * GAP) * (row as f64 + 0.5) / (*rows).max(1) as f64;
            // Marks of neighbouring rows do not run into each other.
            let tick = ((height as i32 - 70) / n as i32 / (2 * (*rows).max(1) as i32)).clamp(1, 3);
            chart.draw_series(spikes.iter().map(|&(time, row)| {
                EmptyElement::at((time, place(row))) + Rectangle::new([(0, -tick), (1, tick)], BLACK.filled())
            }))?;
            let line = PathElement::new(vec![(0.0, bottom), (end, bottom)], RGBColor(120, 120, 120));
            chart.draw_series(std::iter::once(line))?;
            let (x, y) = chart.backend_coord(&(0.0, bottom + 0.5));
            area.draw_text(name, &style, (x - 8, y))?;
        }
        Ok(())
    })?;
    let mut table = Table::new(&["layer", of.x, "row"]);
    for Rows { name, spikes, .. } in groups {
        table.rows.extend(spikes.iter().map(|&(time, row)| vec![name.clone(), number(time), row.to_string()]));
    }
    Ok(Picture { file: of.file.into(), title: of.title.into(), caption: String::new(), width: WIDTH, svg, table })
}

/// Counts of numbers between equally spaced edges, as lines of steps.
///
/// # Errors
/// If the drawing fails.
pub fn histogram(of: &Axes, histograms: &[(String, crate::statistics::Histogram)]) -> Result<Picture, Error> {
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
    let mut picture = super::lines(&Axes { from_zero: true, ..*of }, &lines.collect::<Vec<_>>())?;
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
