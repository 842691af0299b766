//! Spans of time in rows, as of a path that goes from one row to the other.

use super::{Axes, COLOURS, FONT, HEIGHT, Mark, Picture, Table, WIDTH, draw, legend, rows_of_time};
use crate::report::Error;
use crate::report::picture::number;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// A span of time.
#[derive(Debug, Clone, Default)]
pub struct Span {
    /// The row that it is in.
    pub row: String,
    /// What it is, which is its colour.
    pub kind: String,
    /// Where it begins.
    pub from: f64,
    /// Where it ends.
    pub to: f64,
}

/// Spans in rows, the first row at the top, in the order in which they come.
///
/// # Errors
/// If the drawing fails.
pub fn spans(of: &Axes, spans: &[Span]) -> Result<Picture, Error> {
    let distinct = |get: fn(&Span) -> &String| {
        let mut names: Vec<String> = Vec::new();
        for span in spans {
            if !names.contains(get(span)) {
                names.push(get(span).clone());
            }
        }
        names
    };
    let (rows, kinds) = (distinct(|span| &span.row), distinct(|span| &span.kind));
    let (n, end) = (rows.len().max(1), spans.iter().map(|span| span.to).fold(0.0, f64::max));
    let start = spans.iter().map(|span| span.from).fold(end, f64::min);
    let height = (120 + 34 * n as u32).clamp(HEIGHT / 2, 1400);
    let svg = draw(of.title, (WIDTH, height), |area| {
        let area = &legend(area, &kinds, Mark::Field)?;
        let mut chart = rows_of_time(area, of, start..end.max(start + 1e-9), n, (230, 8))?;
        let style = (FONT, 13).into_font().color(&BLACK).pos(Pos::new(HPos::Right, VPos::Center));
        for (k, name) in rows.iter().enumerate() {
            let bottom = (n - 1 - k) as f64;
            chart.draw_series(spans.iter().filter(|span| span.row == *name).map(|span| {
                let kind = kinds.iter().position(|kind| *kind == span.kind).unwrap_or(0);
                let colour = COLOURS[kind % COLOURS.len()];
                Rectangle::new([(span.from, bottom + 0.15), (span.to, bottom + 0.85)], colour.filled())
            }))?;
            let (x, y) = chart.backend_coord(&(start, bottom + 0.5));
            area.draw_text(name, &style, (x - 8, y - area.get_base_pixel().1))?;
        }
        Ok(())
    })?;
    let mut table = Table::new(&["place", "key", &format!("from: {}", of.x), &format!("to: {}", of.x)]);
    table.rows = spans
        .iter()
        .map(|span| vec![span.row.clone(), span.kind.clone(), number(span.from), number(span.to)])
        .collect();
    Ok(Picture { file: of.file.into(), title: of.title.into(), caption: String::new(), width: WIDTH, svg, table })
}
