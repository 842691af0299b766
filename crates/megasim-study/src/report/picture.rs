//! A picture with the numbers behind it.

use crate::csv;

/// Numbers behind a picture, as they go into a CSV file.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Table {
    /// Names of the columns, units included.
    pub columns: Vec<String>,
    /// The rows.
    pub rows: Vec<Vec<String>>,
}

impl Table {
    /// A table without rows.
    pub fn new(columns: &[&str]) -> Self {
        Self { columns: columns.iter().map(|&name| name.into()).collect(), rows: Vec::new() }
    }

    /// Comma-separated text with a header; see [`csv::cell`].
    ///
    /// ```
    /// use megasim_study::report::Table;
    /// let mut table = Table::new(&["layer", "rate (1/ms)"]);
    /// table.rows.push(vec!["a, b".into(), "0.5".into()]);
    /// assert_eq!(table.csv(), "layer,rate (1/ms)\n\"a, b\",0.5\n");
    /// ```
    pub fn csv(&self) -> String {
        let line = |cells: &Vec<String>| cells.iter().map(|cell| csv::cell(cell)).collect::<Vec<_>>().join(",") + "\n";
        std::iter::once(&self.columns).chain(&self.rows).map(line).collect()
    }
}

/// A picture.
#[derive(Debug, Clone)]
pub struct Picture {
    /// Name of its files, without ending.
    pub file: String,
    /// What it shows, in a few words.
    pub title: String,
    /// What it shows, in a sentence.
    pub caption: String,
    /// Its width, in pixels at 1:1.
    pub width: u32,
    /// The drawing.
    pub svg: String,
    /// The numbers.
    pub table: Table,
}

impl Picture {
    /// A picture with a sentence under it.
    pub fn with_caption(mut self, caption: impl Into<String>) -> Self {
        self.caption = caption.into();
        self
    }
}

/// A number as text, with as many digits as mean something.
pub fn number(value: f64) -> String {
    if value == 0.0 {
        return "0".into();
    }
    let size = value.abs();
    if (1e6..1e15).contains(&size) {
        return format!("{value:.0}");
    }
    if (1e-4..1e6).contains(&size) {
        let decimals = (5 - size.log10().floor() as i32).clamp(0, 9) as usize;
        let text = format!("{value:.decimals$}");
        return if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').into() } else { text };
    }
    format!("{value:e}")
}

/// A number for a table: four digits.
pub fn brief(value: f64) -> String {
    number(format!("{value:.3e}").parse().unwrap_or(value))
}

/// A number for an axis: short.
pub fn short(value: f64) -> String {
    let size = value.abs();
    let cut = |value: f64, unit: &str| {
        let text = format!("{value:.1}");
        format!("{}{unit}", text.trim_end_matches('0').trim_end_matches('.'))
    };
    match size {
        // What is left of a sum that should be 0.
        ..1e-12 => "0".into(),
        1e9.. => cut(value / 1e9, " G"),
        1e6.. => cut(value / 1e6, " M"),
        1e4.. => cut(value / 1e3, " k"),
        1e-3.. => number((value * 1e4).round() / 1e4),
        _ => format!("{value:.0e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        assert_eq!(number(0.25), "0.25");
        assert_eq!(number(100.0), "100");
        assert_eq!(number(-1.0 / 3.0), "-0.333333");
        assert_eq!((brief(29.294_3), brief(0.000_947_548)), ("29.29".into(), "0.0009475".into()));
        assert_eq!(short(12_000.0), "12 k");
        assert_eq!(short(1_500_000.0), "1.5 M");
        assert_eq!(short(0.1 + 0.2), "0.3");
    }
}
