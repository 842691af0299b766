//! Tables of figures: the first column is a name, the others are numbers.

use comfy_table::{CellAlignment, Table, presets};

/// A table in a box, numbers to the right.
pub fn boxed(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table.set_header(header);
    for row in rows {
        table.add_row(row);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
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

/// A class, or none.
pub fn class(decision: Option<usize>) -> String {
    decision.map_or("none".into(), |class| class.to_string())
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
