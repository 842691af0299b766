//! The parameters that can be swept, and what each value changes.

use super::conversion::{self, Conversion};
use super::values;
use crate::hardware::{Change, Hardware};
use crate::presentation::Presentation;
use crate::read_out::ReadOutChoice;
use megasim_convert::numbers::input_rate;
use megasim_convert::settings::Setting;
use megasim_core::encode::registry::Choice;
use megasim_core::engine::TieOrder;
use megasim_core::engine::machine::Pace;
use megasim_core::network::Tick;
use std::num::NonZeroU32;
use std::str::FromStr;

/// Most points of a sweep.
pub(super) const MOST_POINTS: usize = 100_000;

/// A parameter and its values: `PARAMETER=VALUES`, the values as [`values`] takes them.
///
/// ```
/// use megasim_study::sweep::Over;
///
/// let over: Over = "duration=10..40:4".parse()?;
/// assert_eq!(over.name(), "duration");
/// let error = "speed=1".parse::<Over>().unwrap_err();
/// assert!(error.starts_with("no parameter `speed`; there are duration, ticks-per-ms,"));
/// # Ok::<(), String>(())
/// ```
#[derive(Debug, Clone)]
pub struct Over {
    /// Which.
    pub(super) parameter: Parameter,
    /// Its name, as it was given.
    pub(super) name: String,
    /// Its values, as they were given.
    pub(super) values: String,
}

/// What can be swept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Parameter {
    Duration,
    TicksPerMs,
    InputRate,
    Encode,
    /// A parameter of the code, by its key.
    OfCode(String),
    Seed,
    Dt,
    TieOrder,
    /// `readout`, `k` or `confidence`.
    ReadOut(&'static str),
    /// How fast the input comes to a machine.
    Pace,
    /// A parameter of the conversion, by its number in the table.
    Conversion(usize),
    /// A key of modules.
    Setting,
    /// A key of the hardware file, by its path.
    Hardware(Vec<String>),
}

const PARAMETERS: [(&str, Parameter); 11] = [
    ("duration", Parameter::Duration),
    ("ticks-per-ms", Parameter::TicksPerMs),
    ("input-rate", Parameter::InputRate),
    ("encode", Parameter::Encode),
    ("seed", Parameter::Seed),
    ("dt", Parameter::Dt),
    ("tie-order", Parameter::TieOrder),
    ("readout", Parameter::ReadOut("readout")),
    ("k", Parameter::ReadOut("k")),
    ("confidence", Parameter::ReadOut("confidence")),
    ("pace", Parameter::Pace),
];

/// Reads one and tries all its values.
impl FromStr for Over {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, values) = split(text).ok_or("expected PARAMETER=VALUES, found no `=`")?;
        let over = Self { parameter: parameter(name)?, name: name.into(), values: values.into() };
        let sample = Presentation::default();
        for value in over.all(0, None)? {
            match over.parameter {
                // Whether the code has such a parameter is known only with the code.
                Parameter::OfCode(_) => {}
                _ => drop(Conditions::new(&sample, 1).with(&over, &value)?),
            }
        }
        Ok(over)
    }
}

/// Splits at the first `=` outside quotes: names of layers may have one.
fn split(text: &str) -> Option<(&str, &str)> {
    let mut quoted = false;
    let at = text.char_indices().find(|&(_, c)| {
        quoted ^= c == '"';
        c == '=' && !quoted
    });
    at.map(|(at, _)| (text[..at].trim(), text[at + 1..].trim()))
}

fn parameter(name: &str) -> Result<Parameter, String> {
    if let Some((_, parameter)) = PARAMETERS.iter().find(|(known, _)| *known == name) {
        return Ok(parameter.clone());
    }
    if let Some(at) = conversion::PARAMETERS.iter().position(|(known, _)| *known == name) {
        return Ok(Parameter::Conversion(at));
    }
    if let Some(key) = name.strip_prefix("encode.") {
        return Ok(Parameter::OfCode(key.into()));
    }
    let first = name.split('.').next().unwrap_or_default();
    if Change::FIRST.contains(&first) {
        // The value does not matter here.
        return Ok(Parameter::Hardware(Change::new(name, "0")?.path().to_vec()));
    }
    if name.contains('.') {
        return Ok(Parameter::Setting);
    }
    let names: Vec<_> =
        PARAMETERS.iter().map(|(name, _)| *name).chain(conversion::PARAMETERS.iter().map(|(name, _)| *name)).collect();
    Err(format!(
        "no parameter `{name}`; there are {}, encode.KEY, GLOB.KEY, and the keys of a hardware file as \
            all.delay_to_process",
        names.join(", ")
    ))
}

impl Over {
    /// The name of the parameter.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its values, as they were given.
    pub fn values(&self) -> &str {
        &self.values
    }

    /// Its values in their order, each once. Times of a range become whole numbers of ticks of the machine.
    pub(super) fn all(&self, seed: u64, hardware: Option<&Hardware>) -> Result<Vec<String>, String> {
        let is_range = self.values.contains("..");
        let whole = match &self.parameter {
            Parameter::Duration
            | Parameter::TicksPerMs
            | Parameter::Seed
            | Parameter::Dt
            | Parameter::Setting
            | Parameter::Pace
            | Parameter::ReadOut("k")
            | Parameter::Hardware(_) => true,
            Parameter::Conversion(at) => {
                ["weight-bits", "delay-to-arrive", "mask-tau"].contains(&conversion::PARAMETERS[*at].0)
            }
            // A code's own check says what it takes.
            Parameter::InputRate
            | Parameter::Encode
            | Parameter::OfCode(_)
            | Parameter::TieOrder
            | Parameter::ReadOut(_) => false,
        };
        // A list of codes has commas between their parameters too.
        let values = match self.parameter {
            Parameter::Encode => self.values.split(';').map(|value| value.trim().to_string()).collect(),
            _ => values(&self.values, seed)?,
        };
        let mut all: Vec<String> = Vec::new();
        for value in values {
            // What a range gives for a whole number is the nearest one.
            let value = match (value.parse::<f64>(), &self.parameter, hardware) {
                (Ok(number), ..) if whole && is_range => format!("{:.0}", number.round()),
                (Err(_), Parameter::Hardware(path), Some(hardware)) if is_range && *path != ["tick"] => {
                    value.parse().map_or(value, |time| hardware.nearest(time).to_string())
                }
                _ => value,
            };
            if !all.contains(&value) {
                all.push(value);
            }
        }
        Ok(all)
    }
}

/// Everything that a point can change.
#[derive(Debug, Clone)]
pub(super) struct Conditions {
    /// How samples are shown.
    pub presentation: Presentation,
    /// Ticks per clocked step.
    pub dt: Tick,
    /// Which event of a tick comes first, in event mode.
    pub tie_order: TieOrder,
    /// How a class is decided.
    pub read_out: ReadOutChoice,
    /// How fast the input comes, where that is swept.
    pub pace: Option<Pace>,
    /// What is changed of the conversion.
    pub conversion: Conversion,
    /// What is changed of modules.
    pub settings: Vec<Setting>,
    /// What is changed of the machine.
    pub changes: Vec<Change>,
}

impl Conditions {
    /// Nothing changed.
    pub fn new(presentation: &Presentation, dt: Tick) -> Self {
        Self {
            presentation: presentation.clone(),
            dt,
            tie_order: TieOrder::Netlist,
            read_out: ReadOutChoice::default(),
            pace: None,
            conversion: Conversion::default(),
            settings: Vec::new(),
            changes: Vec::new(),
        }
    }

    /// A copy with one value changed.
    pub fn with(&self, over: &Over, value: &str) -> Result<Self, String> {
        let mut changed = self.clone();
        let fault = |expected: &str| format!("{}: expected {expected}, found `{value}`", over.name);
        let whole = |least: i64, most: i64| {
            let number: Option<i64> = value.parse().ok();
            number
                .filter(|n| (least..=most).contains(n))
                .ok_or_else(|| fault(&format!("a whole number from {least} to {most}")))
        };
        let presentation = &mut changed.presentation;
        match &over.parameter {
            Parameter::Duration => presentation.duration = whole(1, 1_000_000)? as u32,
            Parameter::TicksPerMs => presentation.ticks_per_ms = whole(1, 1_000_000)? as u32,
            Parameter::InputRate => {
                let fault = |expected: String| format!("{}: {expected}, found `{value}`", over.name);
                presentation.input_rate = input_rate(value).map_err(fault)?;
            }
            Parameter::Seed => presentation.seed = whole(0, i64::MAX)? as u64,
            Parameter::Encode => presentation.encode = value.parse::<Choice>()?,
            Parameter::OfCode(key) => presentation.encode = presentation.encode.with(key, value)?,
            Parameter::Dt => changed.dt = whole(1, i64::MAX)?,
            Parameter::TieOrder => {
                changed.tie_order = match value {
                    "netlist" => TieOrder::Netlist,
                    "reversed" => TieOrder::Reversed,
                    "seeded" => TieOrder::Seeded(0),
                    "split" => TieOrder::Split,
                    _ => return Err(fault("netlist, reversed, seeded or split")),
                };
            }
            Parameter::ReadOut(key) => {
                let expected = |expected: String| format!("{}: {expected}, found `{value}`", over.name);
                changed.read_out = changed.read_out.with(key, value).map_err(expected)?;
            }
            Parameter::Pace => {
                let times = value.parse::<NonZeroU32>().ok().map(Pace::Times);
                changed.pace = Some(times.map_or_else(|| value.parse(), Ok)?);
            }
            Parameter::Conversion(at) => {
                let make = conversion::PARAMETERS[*at].1;
                let change = make(value).map_err(|expected| match expected.contains("found") {
                    true => format!("{}: {expected}", over.name),
                    false => format!("{}: {expected}, found `{value}`", over.name),
                })?;
                changed.conversion.push(change, &over.name, value);
            }
            Parameter::Setting => changed.settings.push(format!("{}={value}", over.name).parse()?),
            Parameter::Hardware(_) => changed.changes.push(Change::new(&over.name, value)?),
        }
        Ok(changed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn over(text: &str) -> Result<Over, String> {
        text.parse()
    }

    #[test]
    fn values_are_checked_before_any_work() {
        for fine in [
            "duration=10..100:4",
            "encode=regular;poisson",
            "encode.k=2..8:3",
            "*.Tmin=0,1,5",
            "weight-bits=4,Q2.5,binary,full",
            "reset=zero,subtract",
            "tie-order=netlist,split",
            "pace=real,x10,100",
            "readout=first_spike,spike_count",
            "k=1..5:5",
            "confidence=1,2.5",
            "all.delay_to_process=1 ns..1 us:4",
            "layer.\"05*\".fifo_depth=log:1..64:7",
            "links.0.delay=1 us",
        ] {
            assert!(over(fine).is_ok(), "{fine}: {}", over(fine).unwrap_err());
        }
        for wrong in [
            "duration",
            "speed=1,2",
            "duration=0",
            "percentile=101",
            "dt=1.5",
            "encode=morse",
            "seed=-1",
            "weight-bits=1",
            "pace=x0",
            "all.delay_to_process=1 ns..1 pJ:4",
            "all=1",
        ] {
            assert!(over(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn ranges_of_whole_numbers_are_rounded_and_have_each_value_once() {
        let over = over("duration=log:1..10:12").unwrap();
        assert_eq!(over.all(0, None).unwrap(), ["1", "2", "3", "4", "5", "7", "8", "10"]);
    }

    #[test]
    fn times_of_a_range_are_whole_ticks_of_the_machine() {
        let hardware = Hardware::parse("m.toml".as_ref(), "tick = \"0.5 ns\"\n").unwrap();
        let over = over("link.delay=1 ns..3 ns:4").unwrap();
        assert_eq!(over.all(0, Some(&hardware)).unwrap(), ["1 ns", "1.5 ns", "2.5 ns", "3 ns"]);
        let over = self::over("link.delay=log:1 ns..10 ns:3").unwrap();
        assert_eq!(over.all(0, Some(&hardware)).unwrap(), ["1 ns", "3 ns", "10 ns"]);
    }
}
