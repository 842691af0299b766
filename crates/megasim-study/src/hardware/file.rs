//! A hardware file as TOML: every key with its place, so that what is wrong can be shown.

mod links;
mod mesh;

pub(super) use links::{Handshake, LinkRule};
pub(super) use mesh::{BarrierRule, CoresRule, MeshRule, Pack, Placement};

use super::change::{self, Change};
use super::error::{Error, Source, nearest};
use super::rank::Rank;
use super::{Duration, Hardware, energy, power};
use links::links;
use megasim_core::engine::machine::{Arbiter, Tile};
use mesh::{barrier, cores, mesh};
use std::ops::Range;
use std::path::Path;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Something with its place in the file.
#[derive(Debug, Clone)]
pub(super) struct Located<T> {
    pub value: T,
    pub span: Range<usize>,
}

/// To which modules settings apply.
#[derive(Debug, Clone)]
pub(super) enum Selector {
    All,
    /// The netlist's word without `module_`.
    Kind(String),
    Layer(Located<glob::Pattern>),
    Module(Located<glob::Pattern>),
}

/// Settings of some modules.
#[derive(Debug, Clone)]
pub(super) struct Rule {
    pub selector: Selector,
    /// Key and value.
    pub settings: Vec<(&'static str, Located<Setting>)>,
}

/// A value of a module's key.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Setting {
    Time(Duration),
    Depth(u32),
    Energy(f64),
    Arbiter(Arbiter),
}

/// Keys of a module that are times, and which of them need a barrier.
pub(super) const TIMES: [(&str, bool); 8] = [
    ("delay_to_process", false),
    ("time_per_operation", false),
    ("time_per_output", false),
    ("time_per_message", false),
    ("delay_to_ack", false),
    ("time_per_neuron", true),
    ("time_per_update", true),
    ("time_per_spike", true),
];
pub(super) const DEPTHS: [&str; 2] = ["fifo_depth", "out_fifo_depth"];
pub(super) const ENERGIES: [&str; 6] = [
    "energy_per_event",
    "energy_per_operation",
    "energy_per_neuron",
    "energy_per_update",
    "energy_per_spike",
    "energy_per_message",
];
pub(super) const ARBITER: &str = "arbiter";
pub(super) const KINDS: [&str; 5] = ["conv", "fully_connected", "softmax", "flatten", "max_pool"];

/// A table of the file.
struct Table<'t> {
    source: &'t Source,
    table: &'t DeTable<'t>,
    span: Range<usize>,
}

type Entry<'t> = (&'t str, Range<usize>, &'t Spanned<DeValue<'t>>);

impl<'t> Table<'t> {
    fn of(source: &'t Source, value: &'t Spanned<DeValue<'t>>, what: &str) -> Result<Self, Error> {
        match value.get_ref() {
            DeValue::Table(table) => Ok(Self { source, table, span: value.span() }),
            other => Err(source.fault(value.span(), format!("{what}: expected a table, found {}", kind(other)), None)),
        }
    }

    /// In the order of the file.
    fn entries(&self) -> Vec<Entry<'t>> {
        let mut entries: Vec<Entry<'t>> =
            self.table.iter().map(|(key, value)| (key.get_ref().as_ref(), key.span(), value)).collect();
        entries.sort_by_key(|(_, span, _)| span.start);
        entries
    }

    fn get(&self, key: &str) -> Option<&'t Spanned<DeValue<'t>>> {
        self.table.iter().find(|(name, _)| name.get_ref().as_ref() == key).map(|(_, value)| value)
    }

    fn only(&self, known: &[&str]) -> Result<(), Error> {
        match self.entries().into_iter().find(|(key, ..)| !known.contains(key)) {
            Some((key, span, _)) => {
                Err(self.source.fault(span, format!("unknown key `{key}`"), nearest(key, known.iter().copied())))
            }
            None => Ok(()),
        }
    }

    fn text(&self, key: &str) -> Result<Option<Located<&'t str>>, Error> {
        self.get(key).map(|value| text(self.source, key, value, "")).transpose()
    }

    fn time(&self, key: &str) -> Result<Option<Located<Duration>>, Error> {
        self.get(key).map(|value| time(self.source, key, value)).transpose()
    }

    /// One of some words.
    fn word(&self, key: &str, known: &[&str]) -> Result<Option<Located<usize>>, Error> {
        let Some(word) = self.text(key)? else { return Ok(None) };
        match known.iter().position(|name| *name == word.value) {
            Some(value) => Ok(Some(Located { value, span: word.span })),
            None => {
                let message = format!("{key}: expected {}, found \"{}\"", known.join(" or "), word.value);
                Err(self.source.fault(word.span, message, None))
            }
        }
    }

    fn arbiter(&self) -> Result<Option<Located<Arbiter>>, Error> {
        let word = self.word(ARBITER, &Arbiter::ALL.map(Arbiter::name))?;
        Ok(word.map(|word| Located { value: Arbiter::ALL[word.value], span: word.span }))
    }

    fn needed<T>(&self, key: &str, found: Option<T>) -> Result<T, Error> {
        found.ok_or_else(|| {
            self.source.fault(self.span.clone(), format!("expected a key `{key}` here, found none"), None)
        })
    }

    fn number(&self, key: &str, least: u32) -> Result<Option<u32>, Error> {
        self.get(key).map(|value| number(self.source, key, value, least).map(|it| it.value)).transpose()
    }
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a whole number without a unit",
        DeValue::Float(_) => "a number without a unit",
        DeValue::Boolean(_) => "a truth value",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

fn text<'t>(
    source: &Source,
    key: &str,
    value: &'t Spanned<DeValue<'t>>,
    example: &str,
) -> Result<Located<&'t str>, Error> {
    match value.get_ref() {
        DeValue::String(text) => Ok(Located { value: text.as_ref(), span: value.span() }),
        other => {
            let hint = (!example.is_empty()).then(|| format!("write it with its unit in quotes, as \"{example}\""));
            Err(source.fault(value.span(), format!("{key}: expected a string, found {}", kind(other)), hint))
        }
    }
}

fn time(source: &Source, key: &str, value: &Spanned<DeValue<'_>>) -> Result<Located<Duration>, Error> {
    let read = text(source, key, value, "4.1 ns")?;
    let parsed = read.value.parse().map_err(|fault| source.fault(value.span(), format!("{key}: {fault}"), None))?;
    Ok(Located { value: parsed, span: value.span() })
}

fn amount(
    source: &Source,
    key: &str,
    value: &Spanned<DeValue<'_>>,
    parse: fn(&str) -> Result<f64, String>,
    example: &str,
) -> Result<Located<f64>, Error> {
    let read = text(source, key, value, example)?;
    let parsed = parse(read.value).map_err(|fault| source.fault(value.span(), format!("{key}: {fault}"), None))?;
    Ok(Located { value: parsed, span: value.span() })
}

fn number(source: &Source, key: &str, value: &Spanned<DeValue<'_>>, least: u32) -> Result<Located<u32>, Error> {
    let parsed = match value.get_ref() {
        DeValue::Integer(integer) => u32::from_str_radix(integer.as_str(), integer.radix()).ok(),
        _ => None,
    };
    match parsed.filter(|&number| number >= least) {
        Some(parsed) => Ok(Located { value: parsed, span: value.span() }),
        None => {
            let found = source.text.get(value.span()).unwrap_or_default();
            let message = format!("{key}: expected a whole number from {least} on, found {found}");
            Err(source.fault(value.span(), message, None))
        }
    }
}

fn pattern(source: &Source, text: &str, span: Range<usize>) -> Result<Located<glob::Pattern>, Error> {
    match glob::Pattern::new(text) {
        Ok(value) => Ok(Located { value, span }),
        Err(error) => Err(source.fault(span, format!("pattern `{text}`: {error}"), None)),
    }
}

fn tile(source: &Source, value: &Spanned<DeValue<'_>>) -> Result<Located<Tile>, Error> {
    let fault = || source.fault(value.span(), "expected a tile as [column, row]", None);
    let DeValue::Array(pair) = value.get_ref() else { return Err(fault()) };
    let mut numbers = pair.iter().map(|value| number(source, "tile", value, 0));
    match (numbers.next(), numbers.next(), numbers.next()) {
        (Some(x), Some(y), None) => Ok(Located { value: Tile { x: x?.value, y: y?.value }, span: value.span() }),
        _ => Err(fault()),
    }
}

/// Reads a text, with other values for some keys.
pub(super) fn parse(path: &Path, input: &str, changes: Vec<Change>) -> Result<Hardware, Error> {
    let source = Source::new(path, &change::appended(input, &changes));
    let document = DeTable::parse(input)
        .map_err(|error| source.fault(error.span().unwrap_or(0..0), error.message().trim(), None))?;
    let mut document = document.into_inner();
    // Each line of a change at its place, all else blank, so that places are those in the whole text.
    let mut start = source.text.len() - changes.iter().map(|change| change.line().len() + 1).sum::<usize>();
    let mut lines = Vec::with_capacity(changes.len());
    for change in &changes {
        lines.push((start, " ".repeat(start) + change.line()));
        start += change.line().len() + 1;
    }
    for (start, line) in &lines {
        change::apply(&mut document, line).map_err(|message| source.fault(*start..line.len(), message, None))?;
    }
    let top = Table { source: &source, table: &document, span: 0..0 };
    top.only(&[&["name", "description"][..], &Change::FIRST].concat())?;

    let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let name = top.text("name")?.map_or(stem, |name| name.value.to_string());
    top.text("description")?;
    let tick = top.time("tick")?;
    if let Some(tick) = tick.as_ref().filter(|tick| !tick.value.is_positive()) {
        return Err(source.fault(tick.span.clone(), "tick: expected a time above 0", None));
    }
    let static_power = match top.get("static_power") {
        Some(value) => amount(&source, "static_power", value, power, "10 mW")?.value,
        None => 0.0,
    };
    let of_macs = |key: &str| match top.get(key) {
        Some(value) => Ok(amount(&source, key, value, energy, "1.28 pJ")?.value),
        None => Ok(0.0),
    };
    let (energy_per_mac, energy_per_mac_bit) = (of_macs("energy_per_mac")?, of_macs("energy_per_mac_bit")?);
    let barrier = top.get("barrier").map(|value| barrier(Table::of(&source, value, "barrier")?)).transpose()?;
    let mesh = top.get("mesh").map(|value| mesh(Table::of(&source, value, "mesh")?)).transpose()?;
    let cores = top.get("cores").map(|value| cores(Table::of(&source, value, "cores")?)).transpose()?;
    if let Some(cores) = cores.as_ref().filter(|_| mesh.is_none()) {
        let hint = "add [mesh] with columns, rows, and modules_per_tile for the cores of a tile".to_string();
        return Err(source.fault(
            cores.span.clone(),
            "cores are on the tiles of a mesh, but there is none",
            Some(hint),
        ));
    }

    let mut rules = Vec::new();
    let mut rule = |selector, value| -> Result<(), Error> {
        let table = Table::of(&source, value, "settings of modules")?;
        rules.push(Rule { selector, settings: settings(&table, barrier.is_some())? });
        Ok(())
    };
    if let Some(value) = top.get("all") {
        rule(Selector::All, value)?;
    }
    if let Some(value) = top.get("kind") {
        let kinds = Table::of(&source, value, "kind")?;
        kinds.only(&KINDS)?;
        for (key, _, value) in kinds.entries() {
            rule(Selector::Kind(key.into()), value)?;
        }
    }
    for (level, of) in [("layer", Selector::Layer as fn(_) -> _), ("module", Selector::Module)] {
        let Some(value) = top.get(level) else { continue };
        let mut entries = Table::of(&source, value, level)?.entries();
        if level == "layer" {
            // The more particular ones later, as later rules count.
            entries.sort_by_key(|(key, ..)| Rank::of(key));
        }
        for (key, span, value) in entries {
            rule(of(pattern(&source, key, span)?), value)?;
        }
    }
    let links = links(&top)?;
    let hardware = Hardware {
        name,
        tick: tick.as_ref().map(|tick| tick.value),
        static_power,
        energy_per_mac,
        energy_per_mac_bit,
        rules,
        links,
        mesh,
        barrier,
        cores,
        source: source.clone(),
        length: input.len(),
        changes,
        strict: false,
    };
    check_tick(&hardware)?;
    Ok(hardware)
}

fn settings(table: &Table<'_>, barrier: bool) -> Result<Vec<(&'static str, Located<Setting>)>, Error> {
    let known: Vec<&str> = TIMES.iter().map(|(key, _)| *key).chain(DEPTHS).chain(ENERGIES).chain([ARBITER]).collect();
    table.only(&known)?;
    let source = table.source;
    let mut settings = Vec::new();
    for (key, key_span, value) in table.entries() {
        let located = |span, value| Located { value, span };
        if let Some(&(name, behind_barrier)) = TIMES.iter().find(|(name, _)| *name == key) {
            if behind_barrier && !barrier {
                let hint = "add [barrier] with step, least and most, or use time_per_operation and time_per_output";
                let message = format!("{key} is charged once per neuron and step, so it needs a barrier");
                return Err(source.fault(key_span, message, Some(hint.into())));
            }
            let time = time(source, key, value)?;
            settings.push((name, located(time.span, Setting::Time(time.value))));
        } else if let Some(name) = DEPTHS.iter().find(|name| **name == key) {
            let depth = number(source, key, value, u32::from(key == "out_fifo_depth"))?;
            settings.push((name, located(depth.span, Setting::Depth(depth.value))));
        } else if let Some(name) = ENERGIES.iter().find(|name| **name == key) {
            if key == "energy_per_neuron" && !barrier {
                let message =
                    "energy_per_neuron is charged once per neuron and step, so it needs a barrier".to_string();
                return Err(source.fault(key_span, message, Some("add [barrier], or use energy_per_update".into())));
            }
            let energy = amount(source, key, value, energy, "35.5 pJ")?;
            settings.push((name, located(energy.span, Setting::Energy(energy.value))));
        } else if let Some(arbiter) = table.arbiter()? {
            settings.push((ARBITER, located(arbiter.span, Setting::Arbiter(arbiter.value))));
        }
    }
    Ok(settings)
}

/// All times are whole numbers of ticks.
fn check_tick(hardware: &Hardware) -> Result<(), Error> {
    let mut times: Vec<(&str, &Located<Duration>)> = Vec::new();
    let settings: Vec<(&str, Located<Duration>)> = hardware
        .rules
        .iter()
        .flat_map(|rule| &rule.settings)
        .filter_map(|(key, setting)| match setting.value {
            Setting::Time(value) => Some((*key, Located { value, span: setting.span.clone() })),
            _ => None,
        })
        .collect();
    times.extend(settings.iter().map(|(key, time)| (*key, time)));
    for link in &hardware.links {
        times.extend(link.delay.iter().map(|time| ("delay", time)));
        times.extend(link.acknowledge_delay.iter().map(|time| ("acknowledge_delay", time)));
    }
    if let Some(mesh) = &hardware.mesh {
        times.push(("time_east_west", &mesh.time_east_west));
        times.push(("time_north_south", &mesh.time_north_south));
    }
    if let Some(barrier) = &hardware.barrier {
        times.extend([("step", &barrier.step), ("least", &barrier.least), ("most", &barrier.most)]);
    }
    times.retain(|(_, time)| time.value.is_positive());
    for (key, time) in times {
        let span = time.span.clone();
        match hardware.tick {
            None => {
                let message = format!("{key} is a time, but the file says nowhere how long a tick is");
                let hint = format!("put a line such as tick = \"{}\" at the top", time.value.common_tick(time.value));
                return Err(hardware.source.fault(span, message, Some(hint)));
            }
            Some(tick) if time.value.in_ticks(tick).is_none() => {
                let message = format!("{key}: expected a whole number of ticks of {tick}, found {}", time.value);
                let hint = format!("tick = \"{}\" would do", time.value.common_tick(tick));
                return Err(hardware.source.fault(span, message, Some(hint)));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

impl Hardware {
    /// The machine with another value for a key.
    ///
    /// # Errors
    /// As for a file that has this value.
    pub fn changed(&self, change: Change) -> Result<Self, Error> {
        let mut changes = self.changes.clone();
        changes.push(change);
        let (path, text) = (&self.source.path, &self.source.text[..self.length]);
        Ok(parse(path, text, changes)?.strict(self.strict))
    }

    /// The nearest time that is a whole number of ticks, where the machine has a tick.
    pub fn nearest(&self, time: Duration) -> Duration {
        self.tick.map_or(time, |tick| time.rounded_to(tick))
    }
}
