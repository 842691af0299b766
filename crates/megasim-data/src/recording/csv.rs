//! Events as text: a line each, with `t` (microseconds), `x`, `y` and polarity (1; 0 or -1), in the order of the first
//! line's names, else in this one.
//!
//! Commas, semicolons, blanks and tabs part the columns; lines that start with '#' say nothing.

use super::{CameraEvent, RecordingError, flaw};

type Read = (Option<(u16, u16)>, Vec<CameraEvent>);

pub(super) fn read(bytes: &[u8]) -> Result<Read, RecordingError> {
    let text =
        std::str::from_utf8(bytes).map_err(|error| flaw(error.valid_up_to(), "expected text, found other bytes"))?;
    let mut order = [0, 1, 2, 3];
    let mut columns = 4;
    let mut events = Vec::new();
    let mut at = 0;
    let mut first = true;
    for line in text.split_inclusive('\n') {
        let start = at;
        at += line.len();
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let parting = |c: char| matches!(c, ',' | ';') || c.is_whitespace();
        let fields: Vec<&str> = line.split(parting).filter(|field| !field.is_empty()).collect();
        if std::mem::take(&mut first)
            && fields.iter().any(|field| field.starts_with(|c: char| c.is_alphabetic() || c == '"'))
        {
            let names: Vec<String> = fields.iter().map(|name| name.trim_matches('"').to_lowercase()).collect();
            let find = |known: &[&str]| {
                let position = names.iter().position(|name| known.contains(&name.as_str()));
                position.ok_or_else(|| flaw(start, format!("expected a column {}, found {line}", known[0])))
            };
            order = [
                find(&["t", "timestamp", "time", "ts"])?,
                find(&["x"])?,
                find(&["y"])?,
                find(&["p", "polarity", "pol", "on"])?,
            ];
            columns = names.len();
            continue;
        }
        if fields.len() != columns {
            return Err(flaw(start, format!("expected {columns} columns, found {}: {line}", fields.len())));
        }
        let number = |k: usize| {
            let field = fields[order[k]];
            let number: Option<i64> = field.parse().ok();
            number.ok_or_else(|| flaw(start, format!("expected a whole number, found '{field}'")))
        };
        let coordinate = |k: usize| {
            let number = number(k)?;
            u16::try_from(number)
                .ok()
                .filter(|&it| it < u16::MAX)
                .ok_or_else(|| flaw(start, format!("expected a coordinate from 0 to 65534, found {number}")))
        };
        let on = match fields[order[3]].to_lowercase().as_str() {
            "1" | "true" => true,
            "0" | "-1" | "false" => false,
            other => return Err(flaw(start, format!("expected a polarity of 1, 0 or -1, found '{other}'"))),
        };
        events.push(CameraEvent { t: number(0)?, x: coordinate(1)?, y: coordinate(2)?, on });
    }
    Ok((None, events))
}
