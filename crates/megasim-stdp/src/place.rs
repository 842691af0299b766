//! Where in a text a description is wrong.

use super::Error;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// An error of a description with the line of the key that it begins with, or of the table it is about.
pub(super) fn with_line(error: Error, text: &str) -> Error {
    let Error::Description { line: None, place, message } = error else { return error };
    let line = DeTable::parse(text).ok().and_then(|root| {
        let start = match table_of(root.get_ref(), &place) {
            Some(table) => keys(&message).find_map(|key| key_in(table.get_ref(), key)).unwrap_or(table.span().start),
            None => keys(&message).find_map(|key| key_of(root.get_ref(), key))?,
        };
        Some(1 + text.get(..start)?.matches('\n').count())
    });
    Error::Description { line, place, message }
}

/// Keys that a message may be about: its first word, then what it quotes, of a path (`input.height`) the last one.
fn keys(message: &str) -> impl Iterator<Item = &str> {
    let first = message.split(|c: char| !c.is_alphanumeric() && c != '_').next();
    let quoted = message.split('`').skip(1).step_by(2);
    first.into_iter().chain(quoted.filter_map(|path| path.rsplit('.').next()))
}

/// The table that a place names: `[encoding]`, `[[layer]]`, or `layer 2`.
fn table_of<'t, 'i>(root: &'t DeTable<'i>, place: &str) -> Option<&'t Spanned<DeValue<'i>>> {
    if let Some(number) = place.strip_prefix("layer ") {
        let number: usize = number.parse().ok()?;
        return root.get("layer")?.get_ref().as_array()?.get(number.checked_sub(1)?);
    }
    root.get(place.trim_matches(['[', ']']))
}

/// Where a key of a table is.
fn key_of(table: &DeTable, key: &str) -> Option<usize> {
    table.iter().find(|(name, _)| name.get_ref() == key).map(|(name, _)| name.span().start)
}

/// Where a key is, in a value's table or in those in it.
fn key_in(value: &DeValue, key: &str) -> Option<usize> {
    match value {
        DeValue::Table(table) => {
            key_of(table, key).or_else(|| table.iter().find_map(|(_, value)| key_in(value.get_ref(), key)))
        }
        DeValue::Array(values) => values.iter().find_map(|value| key_in(value.get_ref(), key)),
        _ => None,
    }
}
