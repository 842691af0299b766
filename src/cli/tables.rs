//! Tables of figures: the first column is a name, the others are numbers.
//!
//! A table is as wide as what it is printed on ([`output::width`](super::output::width)): text is folded first, then
//! columns are left out and named below.

use super::output;
use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Table, Width, presets};
use std::fmt;

/// Text of a cell that is wider than this, in columns of a terminal, may be folded to it.
const FOLDED: usize = 26;

/// Borders and blanks of a column.
const FRAME: usize = 3;

/// A table in a box.
#[derive(Debug, Clone)]
pub struct Boxed {
    header: Vec<String>,
    rows: Vec<Vec<String>>,
    /// Columns from the left that are text.
    texts: usize,
    /// Columns that are left out first, the first of them first; the others go from right to left.
    least: &'static [&'static str],
}

/// A table in a box, numbers to the right.
pub fn boxed(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> Boxed {
    let header = header.iter().map(|name| (*name).to_string()).collect();
    Boxed { header, rows: rows.into_iter().collect(), texts: 1, least: &[] }
}

/// Names and their values, a line each.
pub fn facts(rows: impl IntoIterator<Item = (String, String)>) -> Boxed {
    Boxed { header: Vec::new(), rows: rows.into_iter().map(|(a, b)| vec![a, b]).collect(), texts: 2, least: &[] }
}

impl Boxed {
    /// The first `n` columns are text.
    pub fn texts(self, n: usize) -> Self {
        Self { texts: n, ..self }
    }

    /// Columns that are left out first where there is no room.
    pub fn least(self, least: &'static [&'static str]) -> Self {
        Self { least, ..self }
    }

    /// The table in at most this width, as far as its first two columns allow.
    fn fitted(&self, most: Option<usize>) -> String {
        let columns = self.rows.iter().map(Vec::len).chain([self.header.len()]).max().unwrap_or(0);
        let mut kept: Vec<usize> = (0..columns).collect();
        let Some(most) = most else { return self.drawn(&kept, None) };
        let header = |k: usize| self.header.get(k).map_or("", String::as_str);
        let chars = |text: &str| text.chars().count();
        let longest = |text: &str| text.lines().map(chars).max().unwrap_or(0);
        let cells: Vec<usize> = (0..columns)
            .map(|k| self.rows.iter().filter_map(|row| row.get(k)).map(|it| longest(it)).max().unwrap_or(0))
            .collect();
        let least: Vec<usize> = (0..columns)
            .map(|k| cells[k].min(FOLDED).max(header(k).split_whitespace().map(chars).max().unwrap_or(0).min(FOLDED)))
            .collect();
        let total = |kept: &[usize]| kept.iter().map(|&k| least[k] + FRAME).sum::<usize>() + 1;
        let named = self.least.iter().flat_map(|name| (0..columns).filter(move |&k| header(k) == *name));
        let order: Vec<usize> = named.chain((0..columns).rev()).collect();
        let mut order = order.into_iter();
        while total(&kept) > most && kept.len() > 2 {
            let Some(column) = order.next() else { break };
            if column > 0 {
                kept.retain(|&k| k != column);
            }
        }
        let mut widths: Vec<usize> = kept.iter().map(|&k| least[k]).collect();
        let mut spare = most.saturating_sub(total(&kept));
        for wanted in
            [&|k: usize| cells[k], &|k: usize| longest(header(k)).max(cells[k])] as [&dyn Fn(usize) -> usize; 2]
        {
            for (width, &k) in widths.iter_mut().zip(&kept) {
                let more = wanted(k).saturating_sub(*width);
                // Text is folded less by each column; a header is on one line or it is not.
                let given = if cells[k] > *width || more <= spare { more.min(spare) } else { 0 };
                (*width, spare) = (*width + given, spare - given);
            }
        }
        let mut text = self.drawn(&kept, Some(&widths));
        let mut left_out: Vec<String> = Vec::new();
        for k in (0..columns).filter(|k| !kept.contains(k)) {
            let name = header(k).lines().collect::<Vec<_>>().join(" ").trim().to_string();
            if !left_out.contains(&name) {
                left_out.push(name);
            }
        }
        if !left_out.is_empty() {
            text += &format!("\n--full shows more: {}", left_out.join(", "));
        }
        text
    }

    /// The table with some columns, in these widths of text.
    fn drawn(&self, columns: &[usize], widths: Option<&[usize]>) -> String {
        let mut table = Table::new();
        table.load_style(if self.header.is_empty() {
            presets::UTF8_BORDERS_ONLY
        } else {
            presets::UTF8_FULL_CONDENSED
        });
        let chosen = |row: &[String]| -> Vec<String> {
            columns.iter().map(|&k| row.get(k).cloned().unwrap_or_default()).collect()
        };
        if !self.header.is_empty() {
            table.set_header(chosen(&self.header));
        }
        for row in &self.rows {
            table.add_row(chosen(row));
        }
        if let Some(widths) = widths {
            table.set_content_arrangement(ContentArrangement::Dynamic);
            table.set_width(u16::MAX);
            for (column, width) in table.column_iter_mut().zip(widths) {
                let width = u16::try_from(width + 2).unwrap_or(u16::MAX);
                column.set_constraint(ColumnConstraint::Absolute(Width::Fixed(width)));
            }
        }
        for column in table.column_iter_mut().skip(self.texts) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        table.to_string()
    }
}

impl fmt::Display for Boxed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.fitted(output::width()))
    }
}

/// A share in percent.
pub fn percent(share: f64) -> String {
    format!("{:.2} %", 100.0 * share)
}

/// An interval of shares in percent.
pub fn percents((low, high): (f64, f64)) -> String {
    format!("{:.2} to {:.2} %", 100.0 * low, 100.0 * high)
}

/// A number that may not be there.
pub fn maybe(value: Option<f64>, decimals: usize) -> String {
    value.map_or("-".into(), |value| fixed(value, decimals))
}

/// A number with this many decimals; what rounds to 0 has no sign.
pub fn fixed(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    if text.trim_start_matches('-').bytes().all(|byte| byte == b'0' || byte == b'.') {
        text.trim_start_matches('-').into()
    } else {
        text
    }
}

/// A number with its noun: `one` for 1, else with an s.
pub fn counted(n: impl Into<u128>, one: &str) -> String {
    let n = n.into();
    format!("{n} {one}{}", if n == 1 { "" } else { "s" })
}

/// A number with four digits and the prefix that fits.
pub fn engineering(value: f64, unit: &str) -> String {
    const PREFIXES: [(f64, &str); 8] =
        [(1e6, "M"), (1e3, "k"), (1.0, ""), (1e-3, "m"), (1e-6, "u"), (1e-9, "n"), (1e-12, "p"), (1e-15, "f")];
    if value == 0.0 {
        return format!("0 {unit}").trim_end().into();
    }
    let (scale, prefix) = PREFIXES.into_iter().find(|(scale, _)| value.abs() >= *scale).unwrap_or((1e-15, "f"));
    let scaled = value / scale;
    let decimals = if scaled.abs() >= 99.95 {
        1
    } else if scaled.abs() >= 9.995 {
        2
    } else {
        3
    };
    format!("{scaled:.decimals$} {prefix}{unit}").trim_end().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wide() -> Boxed {
        let row = |name: &str| vec![name.to_string(), "98.44 %".into(), "96.82 to 99.24 %".into(), "123456".into()];
        let header = ["450 samples", "accuracy", "95 % interval", "operations on weights"];
        boxed(&header, [row("analog"), row("a long name of a layer that can be folded")])
    }

    fn width(text: &str) -> usize {
        text.lines().filter(|line| !line.starts_with("--")).map(|line| line.chars().count()).max().unwrap_or(0)
    }

    #[test]
    fn all_columns_are_there_without_a_width() {
        let text = wide().fitted(None);
        assert!(text.contains("operations on weights") && text.contains("that can be folded"), "{text}");
    }

    #[test]
    fn text_is_folded_before_columns_go() {
        let text = wide().fitted(Some(80));
        assert!(width(&text) <= 80 && text.contains("weights") && !text.contains("--full"), "{text}");
        assert!(!text.contains("a long name of a layer that can be folded"), "{text}");
    }

    #[test]
    fn columns_go_by_rank_and_are_named() {
        let text = wide().fitted(Some(60));
        assert!(width(&text) <= 60 && text.ends_with("\n--full shows more: operations on weights"), "{text}");
        let text = wide().least(&["accuracy"]).fitted(Some(64));
        assert!(width(&text) <= 64 && text.ends_with("\n--full shows more: accuracy"), "{text}");
        assert!(wide().fitted(Some(10)).contains("98.44 %"));
    }

    #[test]
    fn names_have_their_plural() {
        assert_eq!((counted(1u32, "sample"), counted(2u32, "sample")), ("1 sample".into(), "2 samples".into()));
    }
}
