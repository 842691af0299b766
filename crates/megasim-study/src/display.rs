//! Characters of names that act on what shows them.

use std::borrow::Cow;

/// Whether a character moves, hides or reorders what is shown, on a terminal or on a page.
///
/// ```
/// use megasim_study::display::acts;
/// assert!(acts('\u{1b}') && acts('\r') && acts('\u{202e}') && !acts('\n') && !acts('\t') && !acts('\u{e9}'));
/// ```
pub fn acts(c: char) -> bool {
    let directions = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    (c.is_control() && !matches!(c, '\n' | '\t')) || directions || matches!(c, '\u{2028}' | '\u{2029}')
}

/// Text in which characters that act are written as `\u{1b}`; XML has no place for most of them.
///
/// ```
/// use megasim_study::display::plain;
/// assert_eq!(plain("a\u{1b}[31m\n"), "a\\u{1b}[31m\n");
/// ```
pub fn plain(text: &str) -> Cow<'_, str> {
    if !text.contains(acts) {
        return text.into();
    }
    let escaped = text.chars().map(|c| if acts(c) { c.escape_unicode().to_string() } else { c.to_string() });
    escaped.collect::<String>().into()
}
