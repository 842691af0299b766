//! The codes by name, with their parameters: what `--encode` says.
//!
//! A code is asked for as `NAME` or `NAME:KEY=VALUE,KEY=VALUE`, for example `pso` or `pso:max_f=200,k=4`; a custom
//! code by its file, for example `mine.toml` or `mine.toml:max_f=200`.

use super::latency::{Latency, Scale};
use super::{
    Burst, Clock, Cpn, Current, Delta, Equations, Events, Izhikevich, MOST_INPUT_RATE, NotANumber, Pattern, Poisson,
    Pso, Rank, Regular, SpikeEncoder, Ttfs, pattern::MOST_BITS,
};
use crate::source_error::TextError;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// What all codes share.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Common {
    /// Spikes per second of a value of 1, in rate codes.
    pub input_rate: f64,
    /// Seed of random spikes.
    pub seed: u64,
}

/// A parameter of a code.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Parameter {
    /// Its name.
    pub key: &'static str,
    /// What it is where it is not given.
    pub default: f64,
    /// What it may be.
    range: Range,
    /// What it means.
    pub about: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Range {
    /// Any number above 0.
    Positive,
    /// Spikes per second: above 0, at most one per millisecond.
    Rate,
    /// A number above 0 and below 1.
    Part,
    /// A whole number from here to a million.
    Whole(f64),
    /// Bits of a pattern.
    Bits,
}

impl Range {
    fn holds(self, value: f64) -> bool {
        match self {
            Self::Positive => value.is_finite() && value > 0.0,
            Self::Rate => value > 0.0 && value <= MOST_INPUT_RATE,
            Self::Part => value > 0.0 && value < 1.0,
            Self::Whole(least) => value.fract() == 0.0 && (least..=1e6).contains(&value),
            Self::Bits => value.fract() == 0.0 && (1.0..=f64::from(MOST_BITS)).contains(&value),
        }
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Positive => f.write_str("a number above 0"),
            Self::Rate => write!(f, "a rate above 0, at most {MOST_INPUT_RATE}: one spike per millisecond"),
            Self::Part => f.write_str("a number above 0, below 1"),
            Self::Whole(least) => write!(f, "a whole number from {least} to 1000000"),
            Self::Bits => write!(f, "a whole number from 1 to {MOST_BITS}"),
        }
    }
}

/// A code that can be asked for.
#[derive(Debug)]
pub struct Entry {
    /// Its name.
    pub name: &'static str,
    /// What it does, in a line.
    pub about: &'static str,
    /// Its parameters.
    pub parameters: &'static [Parameter],
    /// What of [`Common`] changes its spikes.
    uses: Uses,
    make: fn(&[f64], &Common) -> Box<dyn SpikeEncoder>,
}

/// What of [`Common`] changes the spikes of a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Uses {
    input_rate: bool,
    seed: bool,
}

const NOTHING: Uses = Uses { input_rate: false, seed: false };

const MAX_F: Parameter =
    Parameter { key: "max_f", default: 100.0, range: Range::Positive, about: "what a value of 1 becomes" };

/// The name of [`Events`].
const EVENTS: &str = "events";

/// The name of [`Current`].
const CURRENT: &str = "current";

/// All codes; the first one is taken where no other is asked for.
pub const ENTRIES: &[Entry] = &[
    Entry {
        name: "regular",
        about: "evenly spaced spikes, --input-rate per second for a white pixel",
        parameters: &[],
        uses: Uses { input_rate: true, seed: false },
        make: |_, common| Box::new(Regular { input_rate: common.input_rate }),
    },
    Entry {
        name: "poisson",
        about: "random spikes at the same rates, anywhere in a millisecond (ANNarchy's 'poisson' is cpn)",
        parameters: &[],
        uses: Uses { input_rate: true, seed: true },
        make: |_, common| Box::new(Poisson { input_rate: common.input_rate, seed: common.seed }),
    },
    Entry {
        name: "cpn",
        about: "random spikes as ANNarchy draws them: at whole milliseconds, max_f per second for a white pixel",
        parameters: &[Parameter { range: Range::Rate, about: "spikes per second of a white pixel", ..MAX_F }],
        uses: Uses { input_rate: false, seed: true },
        make: |values, common| Box::new(Cpn { max_f: values[0], seed: common.seed }),
    },
    Entry {
        name: "pso",
        about: "ANNarchy's phase code: spikes where max_f * pixel is above a threshold that rises in powers of two",
        parameters: &[
            MAX_F,
            Parameter { key: "k", default: 8.0, range: Range::Whole(1.0), about: "milliseconds of an oscillation" },
        ],
        uses: NOTHING,
        make: |values, _| Box::new(Pso { max_f: values[0], k: values[1] as u32 }),
    },
    Entry {
        name: "ib",
        about: "Izhikevich's intrinsically bursting neuron with the pixel as current",
        parameters: &[MAX_F],
        uses: NOTHING,
        make: |values, _| Box::new(Izhikevich::intrinsically_bursting(values[0])),
    },
    Entry {
        name: "ch",
        about: "Izhikevich's chattering neuron with the pixel as current",
        parameters: &[MAX_F],
        uses: NOTHING,
        make: |values, _| Box::new(Izhikevich::chattering(values[0])),
    },
    Entry {
        name: "burst",
        about: "one burst a pixel, the more spikes and the closer together the brighter",
        parameters: &[
            Parameter { key: "most", default: 5.0, range: Range::Whole(1.0), about: "spikes of a white pixel" },
            Parameter { key: "shortest", default: 2.0, range: Range::Whole(1.0), about: "ms between them" },
            Parameter {
                key: "longest",
                default: 20.0,
                range: Range::Whole(1.0),
                about: "ms between those of a dark pixel",
            },
        ],
        uses: NOTHING,
        make: |values, _| {
            Box::new(Burst { most: values[0] as u32, shortest: values[1] as u32, longest: values[2] as u32 })
        },
    },
    Entry {
        name: "latency",
        about: "one spike per pixel, the earlier the brighter, in proportion",
        parameters: &[],
        uses: NOTHING,
        make: |_, _| Box::new(Latency { scale: Scale::Linear }),
    },
    Entry {
        name: "latency-log",
        about: "one spike per pixel, the earlier the brighter, by the logarithm",
        parameters: &[Parameter {
            key: "least",
            default: 1.0 / 255.0,
            range: Range::Part,
            about: "the darkest pixel that fires",
        }],
        uses: NOTHING,
        make: |values, _| Box::new(Latency { scale: Scale::Logarithmic { least: values[0] } }),
    },
    Entry {
        name: "ttfs",
        about: "one spike per pixel, when an exponentially falling threshold reaches it",
        parameters: &[Parameter {
            key: "tau",
            default: 20.0,
            range: Range::Positive,
            about: "its time constant in ms",
        }],
        uses: NOTHING,
        make: |values, _| Box::new(Ttfs { tau: values[0] }),
    },
    Entry {
        name: "rank",
        about: "one spike per pixel, in the order of brightness, equally many in each bin",
        parameters: &[Parameter { key: "bins", default: 0.0, range: Range::Whole(0.0), about: "bins; 0: one per ms" }],
        uses: NOTHING,
        make: |values, _| Box::new(Rank { bins: values[0] as u32 }),
    },
    Entry {
        name: "pattern",
        about: "the bits of a pixel, the highest first, one per millisecond, for 'convert --preset temporal-pattern'",
        parameters: &[Parameter { key: "bits", default: 8.0, range: Range::Bits, about: "bits of a pixel" }],
        uses: NOTHING,
        make: |values, _| Box::new(Pattern { bits: values[0] as u32 }),
    },
    Entry {
        name: "delta",
        about: "a spike for each step by which a pixel changes from frame to frame, with its sign",
        parameters: &[Parameter { key: "step", default: 0.1, range: Range::Positive, about: "the step" }],
        uses: NOTHING,
        make: |values, _| Box::new(Delta { step: values[0] }),
    },
    Entry {
        name: EVENTS,
        about: "evenly spaced spikes, several per millisecond, for networks of 'convert --input events:N'",
        parameters: &[Parameter {
            key: "n",
            default: 10.0,
            range: Range::Whole(1.0),
            about: "spikes per millisecond of a white pixel, as many as the network takes",
        }],
        uses: NOTHING,
        make: |values, _| Box::new(Events { per_ms: values[0] as u32 }),
    },
    Entry {
        name: CURRENT,
        about: "no spikes: pixels are currents into the first layer, every millisecond",
        parameters: &[],
        uses: NOTHING,
        make: |_, _| Box::new(Current),
    },
];

/// A code with its parameters, as it is asked for.
///
/// ```
/// use megasim_core::encode::registry::Choice;
/// let choice: Choice = "pso:k=4".parse()?;
/// assert_eq!(choice.to_string(), "pso:max_f=100,k=4");
/// assert_eq!("PSO:k=4".parse::<Choice>()?.to_string(), choice.to_string());
/// let error = "pso:k=0".parse::<Choice>().unwrap_err();
/// assert_eq!(error, "pso: k: expected a whole number from 1 to 1000000, found '0'");
/// # Ok::<(), String>(())
/// ```
#[derive(Debug, Clone)]
pub struct Choice(Chosen);

#[derive(Debug, Clone)]
enum Chosen {
    BuiltIn { entry: &'static Entry, values: Vec<f64> },
    File { path: PathBuf, given: Vec<(String, String)> },
}

/// Regular code.
impl Default for Choice {
    fn default() -> Self {
        Self(Chosen::BuiltIn { entry: &ENTRIES[0], values: Vec::new() })
    }
}

/// A file of equations that is no code.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be read.
    #[error("{path}: cannot be read: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Something in it is wrong.
    #[error(transparent)]
    Text(Box<TextError>),
    /// It does not stay with numbers.
    #[error(transparent)]
    NotANumber(#[from] NotANumber),
    /// More spikes per millisecond than ticks carry.
    #[error(
        "events: expected --ticks-per-ms of at least {events}, as an input fires at most once per tick, found {ticks}"
    )]
    Ticks {
        /// Spikes per millisecond.
        events: u32,
        /// Ticks per millisecond.
        ticks: u32,
    },
}

impl Choice {
    /// The code. A file is read, and tried on grey values for as long as a sample is shown.
    ///
    /// # Errors
    /// If a file cannot be read, or makes no code.
    pub fn code(&self, common: &Common, clock: Clock) -> Result<Box<dyn SpikeEncoder>, Error> {
        match &self.0 {
            Chosen::BuiltIn { entry, values } => {
                let (events, ticks) = (self.events_per_ms(), clock.ticks_per_ms);
                if events > ticks { Err(Error::Ticks { events, ticks }) } else { Ok((entry.make)(values, common)) }
            }
            Chosen::File { path, given } => {
                let text =
                    std::fs::read_to_string(path).map_err(|source| Error::Read { path: path.clone(), source })?;
                let code = Equations::parse(path, &text, given, common.seed).map_err(Error::Text)?;
                code.check(clock)?;
                Ok(Box::new(code))
            }
        }
    }

    /// Evenly spaced spikes, `per_ms` per millisecond of the largest value.
    ///
    /// ```
    /// assert_eq!(megasim_core::encode::registry::Choice::events(4).to_string(), "events:n=4");
    /// ```
    pub fn events(per_ms: u32) -> Self {
        let entry = ENTRIES.iter().find(|entry| entry.name == EVENTS).unwrap_or(&ENTRIES[0]);
        Self(Chosen::BuiltIn { entry, values: vec![per_ms.into()] })
    }

    /// Whether values are currents instead of spikes.
    pub fn is_current(&self) -> bool {
        matches!(&self.0, Chosen::BuiltIn { entry, .. } if entry.name == CURRENT)
    }

    /// Spikes per millisecond of an input at most.
    pub fn events_per_ms(&self) -> u32 {
        match &self.0 {
            Chosen::BuiltIn { entry, values } if entry.name == EVENTS => values[0] as u32,
            Chosen::BuiltIn { .. } | Chosen::File { .. } => 1,
        }
    }

    /// Whether spikes per millisecond, or the current, are the value times a rate that a conversion knows: the rate of
    /// [`Common::input_rate`], that of `events:N`, or a current.
    ///
    /// ```
    /// use megasim_core::encode::registry::Choice;
    /// assert!("poisson".parse::<Choice>()?.is_of_known_rate());
    /// assert!(!"latency".parse::<Choice>()?.is_of_known_rate());
    /// # Ok::<(), String>(())
    /// ```
    pub fn is_of_known_rate(&self) -> bool {
        match &self.0 {
            Chosen::BuiltIn { entry, .. } => entry.uses.input_rate || [EVENTS, CURRENT].contains(&entry.name),
            Chosen::File { .. } => false,
        }
    }

    /// Whether [`Common::input_rate`] changes its spikes.
    pub fn uses_input_rate(&self) -> bool {
        matches!(&self.0, Chosen::BuiltIn { entry, .. } if entry.uses.input_rate)
    }

    /// Whether [`Common::seed`] changes its spikes; of a file that cannot be read or makes no code it is taken to.
    pub fn uses_seed(&self) -> bool {
        match &self.0 {
            Chosen::BuiltIn { entry, .. } => entry.uses.seed,
            Chosen::File { path, given } => {
                let text = std::fs::read_to_string(path).ok();
                let code = text.and_then(|text| Equations::parse(path, &text, given, 0).ok());
                code.is_none_or(|code| code.is_random())
            }
        }
    }

    /// The file that holds it, if it is not built in.
    pub fn file(&self) -> Option<&Path> {
        match &self.0 {
            Chosen::BuiltIn { .. } => None,
            Chosen::File { path, .. } => Some(path),
        }
    }

    /// This code with another value for one of its parameters.
    ///
    /// # Errors
    /// If it has no such parameter, or if that may not have the value; a file reports it when it is read.
    pub fn with(&self, key: &str, value: &str) -> Result<Self, String> {
        match &self.0 {
            Chosen::BuiltIn { entry, values } => {
                let one: Self = format!("{}:{key}={value}", entry.name).parse()?;
                let Chosen::BuiltIn { values: changed, .. } = one.0 else { return Ok(one) };
                let all = entry.parameters.iter().zip(values.iter().zip(changed));
                let values = all.map(|(parameter, (old, new))| if parameter.key == key { new } else { *old }).collect();
                Ok(Self(Chosen::BuiltIn { entry, values }))
            }
            Chosen::File { path, given } => {
                if value.parse::<f64>().is_err() {
                    return Err(format!("{}: {key}: expected a number, found '{value}'", path.display()));
                }
                let mut given: Vec<_> = given.iter().filter(|(known, _)| known != key).cloned().collect();
                given.push((key.into(), value.into()));
                Ok(Self(Chosen::File { path: path.clone(), given }))
            }
        }
    }
}

/// Name and parameters, in the form in which they are asked for: all of a built-in code, of a file those given.
impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pairs: Vec<String> = match &self.0 {
            Chosen::BuiltIn { entry, values } => {
                f.write_str(entry.name)?;
                let pairs = entry.parameters.iter().zip(values);
                pairs.map(|(parameter, value)| format!("{}={value}", parameter.key)).collect()
            }
            Chosen::File { path, given } => {
                write!(f, "{}", path.display())?;
                given.iter().map(|(key, value)| format!("{key}={value}")).collect()
            }
        };
        if pairs.is_empty() { Ok(()) } else { write!(f, ":{}", pairs.join(",")) }
    }
}

impl FromStr for Choice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(end) = text.rfind(".toml").map(|at| at + ".toml".len())
            && (end == text.len() || text[end..].starts_with(':'))
        {
            let pairs = text[end..].strip_prefix(':').into_iter().flat_map(|given| given.split(','));
            let given = pairs.map(|pair| match pair.split_once('=') {
                Some((key, value)) if value.parse::<f64>().is_ok() => Ok((key.to_string(), value.to_string())),
                _ => Err(format!("{}: expected KEY=NUMBER, found '{pair}'", &text[..end])),
            });
            return Ok(Self(Chosen::File { path: text[..end].into(), given: given.collect::<Result<_, _>>()? }));
        }
        let (name, given) = text.split_once(':').map_or((text, None), |(name, given)| (name, Some(given)));
        // PSO, IB, CPN as ANNarchy writes them: no two names differ in the case of letters only.
        let Some(entry) = ENTRIES.iter().find(|entry| entry.name.eq_ignore_ascii_case(name)) else {
            let names: Vec<_> = ENTRIES.iter().map(|entry| entry.name).collect();
            return Err(format!(
                "expected a code ({}), or a file of equations (.toml), found '{name}'",
                names.join(", ")
            ));
        };
        let mut values: Vec<f64> = entry.parameters.iter().map(|parameter| parameter.default).collect();
        for pair in given.into_iter().flat_map(|given| given.split(',')) {
            let keys: Vec<_> = entry.parameters.iter().map(|parameter| parameter.key).collect();
            let known = if keys.is_empty() {
                "no parameter".to_string()
            } else {
                format!("KEY=VALUE with {}", keys.join(", "))
            };
            let unknown = || format!("{name}: expected {known}, found '{pair}'");
            let (key, value) = pair.split_once('=').ok_or_else(unknown)?;
            let at = keys.iter().position(|known| *known == key).ok_or_else(unknown)?;
            let range = entry.parameters[at].range;
            let number: Option<f64> = value.parse().ok();
            values[at] = number
                .filter(|number| range.holds(*number))
                .ok_or_else(|| format!("{name}: {key}: expected {range}, found '{value}'"))?;
        }
        Ok(Self(Chosen::BuiltIn { entry, values }))
    }
}

/// All codes with their parameters, a line each, for a help text.
pub fn help() -> String {
    let mut text = String::new();
    for Entry { name, about, parameters, .. } in ENTRIES {
        text += &format!("  {name:<12} {about}");
        for Parameter { key, default, about, .. } in *parameters {
            text += &format!("; {key}={}: {about}", (default * 1e4).round() / 1e4);
        }
        text += "\n";
    }
    text + "  FILE.toml    a custom code, as equations in a file: docs/codes.md\n"
}
