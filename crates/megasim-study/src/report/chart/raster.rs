//! Rasters of spikes, side by side; a script of the page zooms into them.

use super::{Axes, Picture, Table};
use crate::report::Error;
use crate::report::picture::number;
use maud::html;
use std::fmt::Write;

/// The spikes of a group of rows.
#[derive(Debug, Clone, Default)]
pub struct Rows {
    /// Its name.
    pub name: String,
    /// How many rows there are.
    pub rows: usize,
    /// Of how many neurons each row is one; row `k` is neuron `first + k * every`.
    pub every: usize,
    /// Neuron of the first row.
    pub first: usize,
    /// How many neurons there are in all; 0 where the rows are all.
    pub neurons: usize,
    /// Names of the rows; empty where they have none.
    pub names: Vec<String>,
    /// Time and row of each spike.
    pub spikes: Vec<(f64, usize)>,
}

/// One raster of several side by side.
#[derive(Debug, Clone, Default)]
pub struct Raster {
    /// What runs, as `event`; empty where there is one raster.
    pub name: String,
    /// Groups one above the other, the same ones in each raster.
    pub groups: Vec<Rows>,
}

/// Width of all rasters with their names.
const WIDE: usize = 1100;

/// Room for the names.
const LEFT: usize = 205;

const TOP: usize = 30;
const GAP: usize = 44;

/// Letters of a name that there is room for.
const LETTERS: usize = 25;

/// Least height of a group with a second line below its name.
const TWO_LINES: usize = 32;

/// Least height of a row whose name is written.
const NAMED: f64 = 9.0;

/// Rasters side by side, each with the same groups one above the other, up to a time.
///
/// # Errors
/// None so far.
pub fn rasters(of: &Axes, end: f64, unit: &str, rasters: &[Raster]) -> Result<Picture, Error> {
    let end = end.max(1e-9);
    let groups = rasters.iter().map(|raster| raster.groups.len()).max().unwrap_or(0).max(1);
    // A layer alone is shown large.
    let band = if groups == 1 { 420 } else { (900 / groups).clamp(24, 90) };
    let (sides, height) = (rasters.len().max(1), band * groups);
    let width = (WIDE - LEFT - GAP * sides) / sides;
    let tall = TOP + height + 54;
    let left = |side: usize| LEFT + side * (width + GAP);
    let path = |k: usize, Rows { rows, spikes, .. }: &Rows| {
        let each = (band as f64 - 4.0) / (*rows).max(1) as f64;
        // Marks of neighbouring rows do not run into each other.
        let mark = (0.8 * each).clamp(0.8, 6.0);
        let mut path = String::new();
        for &(time, row) in spikes {
            let (x, y) = (time / end * width as f64, (k * band) as f64 + 2.0 + (row as f64 + 0.5) * each - mark / 2.0);
            let _ = write!(path, "M{} {}v{}", tenth(x), tenth(y.max(0.0)), tenth(mark));
        }
        path
    };
    let names = rasters.first().map_or(&[][..], |raster| &raster.groups);
    let svg = html! {
        svg xmlns="http://www.w3.org/2000/svg" width=(WIDE) height=(tall) viewBox={ "0 0 " (WIDE) " " (tall) }
            font-family="sans-serif" font-size="14" data-end=(number(end)) data-height=(height) data-unit=(unit) {
            rect width=(WIDE) height=(tall) fill="#fff" {}
            @for (k, rows) in names.iter().enumerate() {
                @let each = (band as f64 - 4.0) / rows.rows.max(1) as f64;
                @let some = rows.neurons > rows.rows && band >= TWO_LINES;
                @if groups == 1 && each >= NAMED && !rows.names.is_empty() {
                    text x="0" y=(TOP - 10) font-weight="bold" { (super::cut(&rows.name, LETTERS)) }
                    @for (row, name) in rows.names.iter().enumerate() {
                        text x=(LEFT - 8) y=(tenth((TOP + 2) as f64 + (row as f64 + 0.5) * each + 4.0))
                            text-anchor="end" font-size=(tenth(each.min(13.0))) { (super::cut(name, LETTERS)) }
                    }
                } @else {
                    g data-label=(k) text-anchor="end" {
                        title { (rows.name) }
                        text x=(LEFT - 8) y=(TOP + k * band + band / 2 + 5 - if some { 7 } else { 0 }) {
                            (super::cut(&rows.name, LETTERS))
                        }
                        @if some {
                            text x=(LEFT - 8) y=(TOP + k * band + band / 2 + 14) font-size="12" fill="#333" {
                                (rows.rows) " of " (rows.neurons)
                            }
                        }
                    }
                }
            }
            @for (side, raster) in rasters.iter().enumerate() {
                text x=(left(side)) y=(TOP - 10) font-weight="bold" { (raster.name) }
                svg data-panel=(side) data-width=(width) x=(left(side)) y=(TOP) width=(width) height=(height)
                    overflow="hidden" {
                    rect width=(width) height=(height) fill="#fff" {}
                    g fill="none" stroke="#000" stroke-width="1.3" {
                        @for (k, rows) in raster.groups.iter().enumerate() {
                            path d={ "M0 " ((k + 1) * band) "h" (width) } stroke="#999" stroke-width="1"
                                vector-effect="non-scaling-stroke" {}
                            path data-name=(rows.name) data-top=(k * band) data-height=(band) data-rows=(rows.rows)
                                data-every=(rows.every) data-first=(rows.first)
                                data-rows-names=[names_of(rows)] d=(path(k, rows))
                                vector-effect="non-scaling-stroke" {}
                        }
                    }
                }
                rect x=(left(side)) y=(TOP) width=(width) height=(height) fill="none" stroke="#777" {}
                g data-times=(side) text-anchor="middle" font-size="13" {
                    (super::time_labels(end, (left(side), width), TOP + height + 17))
                }
                text x=(left(side) + width / 2) y=(TOP + height + 40) text-anchor="middle" { (of.x) }
            }
        }
    };
    let several = rasters.len() > 1;
    let mut table = Table::new(&["layer", of.x, "row"]);
    if several {
        table.columns.insert(0, "run".into());
    }
    for Raster { name, groups } in rasters {
        for Rows { name: group, spikes, .. } in groups {
            let run = several.then(|| name.clone());
            table.rows.extend(spikes.iter().map(|&(time, row)| {
                run.clone().into_iter().chain([group.clone(), number(time), row.to_string()]).collect()
            }));
        }
    }
    let (file, title, width) = (of.file.into(), of.title.into(), WIDE as u32);
    Ok(Picture { file, title, caption: String::new(), width, svg: svg.into_string(), table })
}

/// Names of rows as one text, a line each.
fn names_of(rows: &Rows) -> Option<String> {
    (!rows.names.is_empty()).then(|| rows.names.join("\n"))
}

/// A coordinate with one decimal.
pub(super) fn tenth(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map_or(text.clone(), String::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rasters_have_the_same_groups_side_by_side_and_escape_names() {
        let rows =
            |spikes: Vec<(f64, usize)>| Rows { name: "a<b>&\"c".into(), rows: 4, every: 2, spikes, ..Rows::default() };
        let sides = [("event", vec![(1.0, 0)]), ("clocked", vec![(1.0, 0), (5.0, 3)])];
        let sides = sides.map(|(name, spikes)| Raster { name: name.into(), groups: vec![rows(spikes)] });
        let axes = Axes { file: "raster", title: "Spikes", x: "time (ms)", ..Axes::default() };
        let picture = rasters(&axes, 10.0, "ms", &sides).unwrap();
        assert_eq!(picture.svg.matches("data-name=\"a&lt;b&gt;&amp;&quot;c\"").count(), 2);
        assert!(!picture.svg.contains("a<b>"));
        assert_eq!(picture.table.csv().lines().nth(3), Some("clocked,\"a<b>&\"\"c\",5,3"));
    }
}
