//! Small charts next to each other, one per line, each with its own axes.

use super::{Axes, COLOURS, Drawn, FONT, Line, Picture, Table, WIDTH, cut, draw, logarithms, range, steps};
use crate::report::Error;
use crate::report::picture::{number, short};
use plotters::prelude::*;

/// Charts in a row, and the height of one.
const ACROSS: usize = 3;
const EACH: u32 = 180;

/// Letters of a name above a chart.
const LETTERS: usize = 30;

/// Each line in a small chart with its name; `common`: all over the same range, so that their heights can be compared.
///
/// # Errors
/// If the drawing fails.
pub fn multiples(of: &Axes, lines: &[Line], common: bool) -> Result<Picture, Error> {
    let exponents = if of.log_y { logarithms(lines) } else { lines.to_vec() };
    let ys = |line: &Line| line.points.iter().map(|point| point.1).collect::<Vec<_>>();
    let all = range(exponents.iter().flat_map(ys), of.from_zero && !of.log_y);
    let across = lines.len().clamp(1, ACROSS);
    let down = lines.len().div_ceil(across).max(1);
    // The quantities are named once, at the lower and the left edge.
    let svg = draw(of.title, (WIDTH, EACH * down as u32 + 40), |area| {
        let text = (FONT, 15).into_font().color(&BLACK);
        let (top, rest) = area.split_vertically(24);
        top.draw_text(&format!("{} over {}", of.y, of.x), &text, (12, 4))?;
        let (charts, _) = rest.split_vertically(EACH * down as u32);
        for (line, place) in exponents.iter().zip(charts.split_evenly((down, across))) {
            let y = if common { all.clone() } else { range(ys(line).into_iter(), of.from_zero && !of.log_y) };
            one(&place, of, line, y)?;
        }
        Ok(())
    })?;
    let mut table = Table::new(&["line", of.x, of.y]);
    for line in lines {
        table.rows.extend(line.points.iter().map(|&(x, y)| vec![line.name.clone(), number(x), number(y)]));
    }
    Ok(Picture { file: of.file.into(), title: of.title.into(), caption: String::new(), width: WIDTH, svg, table })
}

fn one(area: &super::Area, of: &Axes, line: &Line, y: std::ops::Range<f64>) -> Drawn<()> {
    let xs = || line.points.iter().map(|point| point.0);
    let (low, high) = xs().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| (low.min(x), high.max(x)));
    let x = if low < high { low..high } else { range(xs(), false) };
    let mut chart = ChartBuilder::on(area)
        .margin(6)
        .margin_right(14)
        .caption(cut(&line.name, LETTERS), (FONT, 14))
        .x_label_area_size(24)
        .y_label_area_size(46)
        .build_cartesian_2d(x, y)?;
    chart
        .configure_mesh()
        .x_labels(4)
        .y_labels(4)
        .x_label_formatter(&|value| short(*value))
        .y_label_formatter(&|value| short(if of.log_y { 10f64.powf(*value) } else { *value }))
        .label_style((FONT, 12))
        .bold_line_style(RGBColor(225, 225, 225))
        .light_line_style(TRANSPARENT)
        .draw()?;
    let points = if line.steps { steps(&line.points) } else { line.points.clone() };
    chart.draw_series(LineSeries::new(points, COLOURS[0].stroke_width(1)))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_has_a_chart_with_its_name_and_all_numbers_are_kept() {
        let line = |name: &str, high: f64| Line {
            name: name.into(),
            points: vec![(0.0, 0.0), (1.0, high), (2.0, 0.5)],
            ..Line::default()
        };
        let axes = Axes { file: "f", title: "T", x: "value", y: "share", from_zero: true, ..Axes::default() };
        let names = ["one", "two", "three", "four"];
        let lines: Vec<Line> = names.iter().zip(1..).map(|(name, k)| line(name, f64::from(k) * 1000.0)).collect();
        let own = multiples(&axes, &lines, false).unwrap();
        assert!(names.iter().all(|name| own.svg.contains(name)), "{}", own.svg);
        assert_eq!(own.table.rows.len(), 12);
        // On a common axis 1000 of the first is a quarter of the height, so that the drawings differ.
        assert_ne!(own.svg, multiples(&axes, &lines, true).unwrap().svg);
    }
}
