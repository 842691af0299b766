//! Wires: `[link]` and `[[links]]`.

use super::{Duration, Error, Located, Table, pattern};
use toml::de::DeValue;

/// What a wire does for one event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Handshake {
    /// The request and the acknowledge change once each.
    TwoPhase,
    /// Both go back too, before the next request.
    FourPhase,
}

impl Handshake {
    const ALL: [Self; 2] = [Self::TwoPhase, Self::FourPhase];
}

/// Delays of wires.
#[derive(Debug, Clone)]
pub(in super::super) struct LinkRule {
    pub from: Option<Located<glob::Pattern>>,
    pub to: Option<Located<glob::Pattern>>,
    pub delay: Option<Located<Duration>>,
    pub acknowledge_delay: Option<Located<Duration>>,
    pub handshake: Option<Handshake>,
}

pub(super) fn links(top: &Table<'_>) -> Result<Vec<LinkRule>, Error> {
    let source = top.source;
    let rule = |table: Table<'_>, ends: bool| -> Result<LinkRule, Error> {
        table.only(if ends {
            &["from", "to", "delay", "acknowledge_delay", "handshake"]
        } else {
            &["delay", "acknowledge_delay", "handshake"]
        })?;
        let end = |key: &str| -> Result<Option<Located<glob::Pattern>>, Error> {
            table.text(key)?.map(|text| pattern(source, text.value, text.span)).transpose()
        };
        Ok(LinkRule {
            from: end("from")?,
            to: end("to")?,
            delay: table.time("delay")?,
            acknowledge_delay: table.time("acknowledge_delay")?,
            handshake: table.word("handshake", &["2-phase", "4-phase"])?.map(|word| Handshake::ALL[word.value]),
        })
    };
    let mut links = Vec::new();
    if let Some(value) = top.get("link") {
        links.push(rule(Table::of(source, value, "link")?, false)?);
    }
    if let Some(value) = top.get("links") {
        let DeValue::Array(list) = value.get_ref() else {
            return Err(source.fault(value.span(), "links: expected tables under [[links]]", None));
        };
        for value in list.iter() {
            links.push(rule(Table::of(source, value, "links")?, true)?);
        }
    }
    Ok(links)
}
