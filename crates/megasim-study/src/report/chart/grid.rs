//! Grids of cells: maps of layers side by side, and matrices with numbers.

use super::{Area, Axes, FONT, Picture, Table, WIDTH, cut, draw};
use crate::report::Error;
use crate::report::picture::{brief, number, short};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// One picture of a layer among several side by side.
#[derive(Debug, Clone)]
pub struct Panel {
    /// What it shows, with its unit.
    pub name: String,
    /// Value of each cell: map after map, then rows, then columns.
    pub values: Vec<f64>,
    /// White and black; else the least and greatest value.
    pub range: Option<(f64, f64)>,
}

/// Columns, rows and maps of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// Maps.
    pub maps: usize,
    /// Rows of a map.
    pub ny: usize,
    /// Columns of a map.
    pub nx: usize,
}

/// A picture made of tiles, one per map, with a gap between them; a long row is folded.
struct Tiles {
    /// Value of each cell of the canvas; none in gaps.
    cells: Vec<Option<f64>>,
    columns: usize,
    rows: usize,
    /// Left and upper cell of each tile.
    corners: Vec<(usize, usize)>,
    /// Columns and rows of a tile.
    tile: (usize, usize),
}

/// Tiles of at most `most` cells in all; where there are more, blocks become their means.
fn tiles(extent: Extent, values: &[f64], most: usize) -> Tiles {
    let Extent { maps, ny, nx } = extent;
    if ny == 1 && nx > 1 {
        // A vector: as near to a square as can be.
        let block = (maps * nx).div_ceil(most.max(1)).max(1);
        let means: Vec<f64> = values.chunks(block).map(|it| it.iter().sum::<f64>() / it.len() as f64).collect();
        let columns = (means.len() as f64).sqrt().ceil().max(1.0) as usize;
        let rows = means.len().div_ceil(columns);
        let mut cells: Vec<Option<f64>> = means.into_iter().map(Some).collect();
        cells.resize(columns * rows, None);
        return Tiles { cells, columns, rows, corners: Vec::new(), tile: (columns, rows) };
    }
    // Maps are made coarser first; if that is not enough, some are left out evenly.
    let per_map = (most / maps.max(1)).max(4);
    let mut block = 1;
    while ny.div_ceil(block) * nx.div_ceil(block) > per_map && block < nx.max(ny) {
        block += 1;
    }
    let (small_ny, small_nx) = (ny.div_ceil(block), nx.div_ceil(block));
    let shown = maps.min((most / (small_ny * small_nx).max(1)).max(1));
    let across = ((shown * (small_ny + 1)) as f64 / (small_nx + 1) as f64).sqrt().ceil().max(1.0) as usize;
    let across = across.min(shown);
    let down = shown.div_ceil(across);
    let (columns, rows) = (across * (small_nx + 1) - 1, down * (small_ny + 1) - 1);
    let mut cells = vec![None; columns * rows];
    let mut corners = Vec::with_capacity(shown);
    for tile in 0..shown {
        let map = tile * maps / shown;
        let (left, top) = ((tile % across) * (small_nx + 1), (tile / across) * (small_ny + 1));
        corners.push((left, top));
        for y in 0..small_ny {
            for x in 0..small_nx {
                let (mut sum, mut n) = (0.0, 0);
                for row in y * block..((y + 1) * block).min(ny) {
                    for column in x * block..((x + 1) * block).min(nx) {
                        sum += values.get(map * ny * nx + row * nx + column).copied().unwrap_or(0.0);
                        n += 1;
                    }
                }
                cells[(top + y) * columns + left + x] = Some(sum / f64::from(n.max(1)));
            }
        }
    }
    Tiles { cells, columns, rows, corners, tile: (small_nx, small_ny) }
}

/// Pictures of a layer side by side, dark for much, each with its scale; at most `most` cells each.
///
/// # Errors
/// If the drawing fails.
pub fn grids(file: &str, title: &str, extent: Extent, panels: &[Panel], most: usize) -> Result<Picture, Error> {
    const TOP: i32 = 34;
    const BOTTOM: i32 = 46;
    const GAP: i32 = 28;
    let n = panels.len().max(1) as i32;
    let drawn: Vec<Tiles> = panels.iter().map(|panel| tiles(extent, &panel.values, most)).collect();
    // Large enough that each cell can be seen, as far as there is room.
    let columns = drawn.iter().map(|of| of.columns as i32).max().unwrap_or(1);
    let side = ((WIDTH as i32 - GAP * (n + 1)) / n).min((12 * columns).max(300));
    let tallest = drawn.iter().map(|of| (of.rows as f64 / of.columns as f64).min(1.0)).fold(0.05, f64::max);
    let body = (f64::from(side) * tallest).ceil() as i32;
    let size = ((n * side + (n + 1) * GAP) as u32, (TOP + body.max(24) + BOTTOM) as u32);
    let svg = draw(title, size, |area| {
        for (k, (panel, of)) in panels.iter().zip(&drawn).enumerate() {
            let left = GAP + k as i32 * (side + GAP);
            one(area, panel, of, (left, TOP), (side, body), BOTTOM)?;
        }
        Ok(())
    })?;
    let mut table = Table::new(&["map", "y", "x"]);
    table.columns.extend(panels.iter().map(|panel| panel.name.clone()));
    let Extent { maps, ny, nx } = extent;
    for cell in 0..maps * ny * nx {
        let place = [cell / (ny * nx), cell / nx % ny, cell % nx].map(|n| n.to_string());
        let values = panels.iter().map(|panel| panel.values.get(cell).map_or(String::new(), |&value| number(value)));
        table.rows.push(place.into_iter().chain(values).collect());
    }
    Ok(Picture { file: file.into(), title: title.into(), caption: String::new(), width: size.0, svg, table })
}

fn one(
    area: &Area,
    panel: &Panel,
    of: &Tiles,
    (left, top): (i32, i32),
    (width, height): (i32, i32),
    bottom: i32,
) -> Result<(), Box<dyn std::error::Error>> {
    let shown = || of.cells.iter().flatten().copied();
    let (low, high) = panel.range.unwrap_or_else(|| {
        let low = shown().fold(f64::INFINITY, f64::min).min(0.0);
        (low, shown().fold(f64::NEG_INFINITY, f64::max).max(low))
    });
    // Both signs alike: the middle is white.
    let ink = if low < 0.0 && low == -high { diverging } else { grey };
    let unit = (f64::from(width) / of.columns as f64).min(f64::from(height) / of.rows as f64);
    let text = (FONT, 15).into_font().color(&BLACK);
    area.draw_text(&panel.name, &text, (left, top - 24))?;
    let place = |column: usize, row: usize| {
        (left + (column as f64 * unit).round() as i32, top + (row as f64 * unit).round() as i32)
    };
    for (cell, value) in of.cells.iter().enumerate() {
        let Some(value) = value else { continue };
        let (column, row) = (cell % of.columns, cell / of.columns);
        let share = if high > low { (value - low) / (high - low) } else { 0.0 };
        area.draw(&Rectangle::new([place(column, row), place(column + 1, row + 1)], ink(share).filled()))?;
    }
    // Maps that are white are told apart too, unless there are as many outlines as cells.
    for &(column, row) in of.corners.iter().filter(|_| of.tile.0 * of.tile.1 > 1) {
        let corners = [place(column, row), place(column + of.tile.0, row + of.tile.1)];
        area.draw(&Rectangle::new(corners, RGBColor(190, 190, 190)))?;
    }
    let corner = place(of.columns, of.rows);
    area.draw(&Rectangle::new([(left - 1, top - 1), (corner.0 + 1, corner.1 + 1)], RGBColor(120, 120, 120)))?;
    // The scale: white to black, with its ends.
    let bar_top = top + height + 12;
    // Of small pictures as wide as they are, for the ends to have room.
    let bar = (width * 3 / 5).max(width.min(120));
    for step in 0..20 {
        let x = |step: i32| left + step * bar / 20;
        let fill = ink((f64::from(step) + 0.5) / 20.0).filled();
        area.draw(&Rectangle::new([(x(step), bar_top), (x(step + 1), bar_top + 10)], fill))?;
    }
    area.draw(&Rectangle::new([(left, bar_top), (left + bar, bar_top + 10)], RGBColor(120, 120, 120)))?;
    let small = (FONT, 13).into_font().color(&BLACK);
    let y = bar_top + bottom - 32;
    area.draw_text(&short(low), &small, (left, y))?;
    let right = small.pos(Pos::new(HPos::Right, VPos::Top));
    area.draw_text(&short(high), &right, (left + bar, y))?;
    Ok(())
}

/// White for 0 to black for 1.
fn grey(share: f64) -> RGBColor {
    let level = (255.0 * (1.0 - 0.94 * share.clamp(0.0, 1.0))).round() as u8;
    RGBColor(level, level, level)
}

/// Orange for 0 over white for 0.5 to blue for 1, which all kinds of colour vision tell apart.
fn diverging(share: f64) -> RGBColor {
    let share = share.clamp(0.0, 1.0);
    let (full, part) = match share < 0.5 {
        true => ((200.0, 90.0, 0.0), 1.0 - 2.0 * share),
        false => ((0.0, 80.0, 160.0), 2.0 * share - 1.0),
    };
    let mixed = |of: f64| (255.0 + (of - 255.0) * part).round() as u8;
    RGBColor(mixed(full.0), mixed(full.1), mixed(full.2))
}

/// Values at the crossings of two parameters, dark for much, each written in its field; `x` and `y` of the axes name
/// the parameters, rows go with `y`.
///
/// # Errors
/// If the drawing fails.
pub fn heat_map(of: &Axes, columns: &[String], rows: &[String], values: &[Vec<Option<f64>>]) -> Result<Picture, Error> {
    const TOP: i32 = 60;
    const LEFT: i32 = 150;
    let (width, height) = (((WIDTH as i32 - LEFT - 20) / columns.len().max(1) as i32).clamp(4, 90), 34);
    let size = (LEFT + width * columns.len() as i32 + 20, TOP + height * rows.len() as i32 + 20);
    let all = || values.iter().flatten().flatten().copied();
    let (low, high) = (all().fold(f64::INFINITY, f64::min), all().fold(f64::NEG_INFINITY, f64::max));
    let svg = draw(of.title, (size.0.max(320) as u32, size.1 as u32), |area| {
        let text = (FONT, 15).into_font().color(&BLACK);
        area.draw_text(of.x, &text, (LEFT, 10))?;
        area.draw_text(of.y, &text, (10, TOP - 24))?;
        let small = |colour: &RGBColor| (FONT, 13).into_font().color(colour).pos(Pos::new(HPos::Center, VPos::Center));
        for (column, name) in columns.iter().enumerate().filter(|_| width >= 30) {
            area.draw_text(name, &small(&BLACK), (LEFT + width * column as i32 + width / 2, TOP - 12))?;
        }
        for (row, (name, values)) in rows.iter().zip(values).enumerate() {
            let y = TOP + height * row as i32;
            let right = text.pos(Pos::new(HPos::Right, VPos::Center));
            area.draw_text(name, &right, (LEFT - 8, y + height / 2))?;
            for (column, value) in values.iter().enumerate() {
                let x = LEFT + width * column as i32;
                let share = value.map(|value| if high > low { (value - low) / (high - low) } else { 0.0 });
                let field = [(x, y), (x + width, y + height)];
                area.draw(&Rectangle::new(field, share.map_or(WHITE, |share| grey(0.8 * share)).filled()))?;
                area.draw(&Rectangle::new(field, RGBColor(190, 190, 190)))?;
                let ink = if share.is_some_and(|share| 0.8 * share > 0.5) { WHITE } else { BLACK };
                let shown = value.map_or("-".to_string(), brief);
                if width >= 44 {
                    area.draw_text(&shown, &small(&ink), (x + width / 2, y + height / 2))?;
                }
            }
        }
        Ok(())
    })?;
    let mut table = Table::new(&[of.y]);
    table.columns.extend(columns.iter().map(|name| format!("{} {name}", of.x)));
    for (name, values) in rows.iter().zip(values) {
        let cells = values.iter().map(|value| value.map_or(String::new(), number));
        table.rows.push(std::iter::once(name.clone()).chain(cells).collect());
    }
    let (file, title) = (of.file.into(), of.title.into());
    Ok(Picture { file, title, caption: String::new(), width: size.0.max(320) as u32, svg, table })
}

/// Letters of a class's name in a matrix.
const NAME_LETTERS: usize = 18;

/// A matrix of counts, rows by columns, each row shaded by its shares.
///
/// # Errors
/// If the drawing fails.
pub fn matrix(
    file: &str,
    title: &str,
    (row_name, column_name): (&str, &str),
    columns: &[String],
    counts: &[Vec<usize>],
) -> Result<Picture, Error> {
    let rows = counts.len();
    let cell = (420 / (columns.len().max(rows).max(1)) as i32).clamp(4, 36);
    // Names that are longer than numbers are written upwards above the columns.
    let letters = columns.iter().map(|name| name.chars().count()).max().unwrap_or(0).min(NAME_LETTERS) as i32;
    let is_long = letters > 4;
    let room = if is_long { 7 * letters } else { 0 };
    let (left, top) = (92 + room, 66 + room);
    let size = ((left + cell * columns.len() as i32 + 24) as u32, (top + cell * rows as i32 + 20) as u32);
    let size = (size.0.max(320), size.1);
    let svg = draw(title, size, |area| {
        let font = (FONT, (cell / 3).clamp(9, 15)).into_font();
        let middle = Pos::new(HPos::Center, VPos::Center);
        let named = cell >= 12;
        let name = (FONT, 15).into_font().color(&BLACK);
        area.draw_text(column_name, &name, (left, 12))?;
        area.draw_text(row_name, &name, (10, top - 26))?;
        for (r, row) in counts.iter().enumerate() {
            let sum: usize = row.iter().sum();
            let y = top + r as i32 * cell;
            if named {
                let name = columns.get(r).map_or(r.to_string(), |name| cut(name, NAME_LETTERS));
                let right = Pos::new(HPos::Right, VPos::Center);
                area.draw_text(&name, &font.clone().color(&BLACK).pos(right), (left - 10, y + cell / 2))?;
            }
            for (c, &count) in row.iter().enumerate() {
                let x = left + c as i32 * cell;
                let share = count as f64 / sum.max(1) as f64;
                // Few mistakes among many right answers are to be seen too.
                let fill = grey(share.sqrt());
                area.draw(&Rectangle::new([(x, y), (x + cell, y + cell)], fill.filled()))?;
                area.draw(&Rectangle::new([(x, y), (x + cell, y + cell)], RGBColor(190, 190, 190)))?;
                if count > 0 && cell >= 18 {
                    let ink = if share.sqrt() > 0.5 { WHITE } else { BLACK };
                    area.draw_text(
                        &count.to_string(),
                        &font.clone().color(&ink).pos(middle),
                        (x + cell / 2, y + cell / 2),
                    )?;
                }
            }
        }
        if named {
            for (c, name) in columns.iter().enumerate() {
                let at = (left + c as i32 * cell + cell / 2, top - if is_long { 8 } else { 12 });
                let style = font.clone().color(&BLACK);
                let style = if is_long {
                    style.transform(FontTransform::Rotate270).pos(Pos::new(HPos::Left, VPos::Center))
                } else {
                    style.pos(middle)
                };
                area.draw_text(&cut(name, NAME_LETTERS), &style, at)?;
            }
        }
        Ok(())
    })?;
    let mut table = Table::new(&[row_name]);
    table.columns.extend(columns.iter().cloned());
    for (r, row) in counts.iter().enumerate() {
        let name = columns.get(r).map_or(r.to_string(), String::clone);
        table.rows.push(std::iter::once(name).chain(row.iter().map(|n| n.to_string())).collect());
    }
    Ok(Picture { file: file.into(), title: title.into(), caption: String::new(), width: size.0, svg, table })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_layers_are_binned() {
        let extent = Extent { maps: 512, ny: 14, nx: 14 };
        let values = vec![1.0; 512 * 14 * 14];
        let of = tiles(extent, &values, 400);
        assert!(of.cells.iter().flatten().count() <= 400);
        assert!(of.cells.iter().flatten().all(|&value| value == 1.0));
        let of = tiles(Extent { maps: 1, ny: 1, nx: 100_000 }, &vec![2.0; 100_000], 400);
        assert!(of.cells.iter().flatten().count() <= 400);
    }

    #[test]
    fn small_layers_are_shown_cell_by_cell() {
        let of = tiles(Extent { maps: 2, ny: 2, nx: 2 }, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0], 400);
        assert_eq!((of.columns, of.rows), (5, 2));
        assert_eq!(of.cells[..5], [Some(1.0), Some(2.0), None, Some(5.0), Some(6.0)]);
    }
}
