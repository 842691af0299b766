//! Where in a text a description is wrong.

use super::Error;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// An error of a description with the line of the key that it begins with, or of the table it is about.
pub(super) fn with_line(error: Error, text: &str) -> Error {
    let Error::Description { line: None, place, message } = error else { return error };
    let line = DeTable::parse(text).ok().and_then(|root| {
        let table = table_of(root.get_ref(), &place)?;
        let key = message.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default();
        let start = key_of(table.get_ref(), key).unwrap_or(table.span().start);
        Some(1 + text.get(..start)?.matches('\n').count())
    });
    Error::Description { line, place, message }
}

/// The table that a place names: `[encoding]`, `[[layer]]`, or `layer 2`.
fn table_of<'t, 'i>(root: &'t DeTable<'i>, place: &str) -> Option<&'t Spanned<DeValue<'i>>> {
    if let Some(number) = place.strip_prefix("layer ") {
        let number: usize = number.parse().ok()?;
        return root.get("layer")?.get_ref().as_array()?.get(number.checked_sub(1)?);
    }
    root.get(place.trim_matches(['[', ']']))
}

/// Where a key is, in a table or in those in it.
fn key_of(value: &DeValue, key: &str) -> Option<usize> {
    let table = value.as_table()?;
    let own = table.iter().find(|(name, _)| name.get_ref() == key).map(|(name, _)| name.span().start);
    own.or_else(|| table.iter().find_map(|(_, value)| key_of(value.get_ref(), key)))
}
