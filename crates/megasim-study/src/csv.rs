//! Cells of comma-separated files.

use std::borrow::Cow;

/// Characters at which spreadsheet programs take a cell for a formula.
const FORMULA: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// A cell: text that a spreadsheet program would compute, as `=1+1`, gets an apostrophe in front, numbers stay; cells
/// with commas, quotes or line ends are quoted.
///
/// ```
/// use megasim_study::csv;
/// assert_eq!(csv::cell("-0.5"), "-0.5");
/// assert_eq!(csv::cell("=A1"), "'=A1");
/// assert_eq!(csv::cell("a, b"), "\"a, b\"");
/// assert_eq!(csv::text(&csv::cell("@a, \"b\"")), "@a, \"b\"");
/// ```
pub fn cell(text: &str) -> Cow<'_, str> {
    // A lone dash is where a table has no number.
    let is_formula = text.starts_with(FORMULA) && text != "-" && text.parse::<f64>().is_err();
    let text = if is_formula { Cow::Owned(format!("'{text}")) } else { Cow::Borrowed(text) };
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")).into() } else { text }
}

/// The text of a cell without commas that [`cell`] made, or another program.
pub fn text(cell: &str) -> Cow<'_, str> {
    let quoted = cell.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let text = quoted.map_or(Cow::Borrowed(cell), |text| text.replace("\"\"", "\"").into());
    match text.strip_prefix('\'') {
        Some(formula) if formula.starts_with(FORMULA) => formula.to_string().into(),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_text_is_kept_from_being_a_formula() {
        for number in ["-1", "+1.5e3", "-inf", "0", "-", "", "1,5"] {
            assert!(!cell(number).starts_with('\''), "{number}");
        }
        for formula in ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(1)", "\t=1", "--"] {
            assert!(cell(formula).trim_start_matches('"').starts_with('\''), "{formula}");
            assert_eq!(text(&cell(formula)), formula);
        }
        assert_eq!(text("'quoted'"), "'quoted'");
    }
}
