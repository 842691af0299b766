//! SNN toolbox's configuration files: INI with sections, defaults and `%(name)s`, or a script with `settings = {...}`.
//!
//! A setting either has a meaning here, or is named together with what is done instead; none is passed over in silence.

mod configuration;
mod python;
mod samples;
mod settings;
mod sweep;

pub use configuration::{Configuration, OnlineSettings, OtherSimulator, Pages};
pub use samples::{DatasetFormat, SampleSettings};
pub use settings::{KEYS, Key, Meaning, SECTIONS};
pub use sweep::{Method, ParameterSweep, SweptValues};

use megasim_core::encode::MOST_INPUT_RATE;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Why a configuration cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The system did not give the file.
    #[error("{path}: cannot be read: {message}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        message: String,
    },
    /// A line that is no section, setting, comment or continuation.
    #[error("{path}:{line}: {message}")]
    Line {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What was expected and what was found.
        message: String,
    },
    /// A value that is not of its kind.
    #[error("{path}: [{section}] {key}: expected {expected}, found `{found}`")]
    Value {
        /// The file.
        path: PathBuf,
        /// The section.
        section: String,
        /// The setting.
        key: String,
        /// What would do.
        expected: &'static str,
        /// What there is.
        found: String,
    },
    /// A value that is none of those that the setting may have.
    #[error("{path}: [{section}] {key}: expected {}, found `{found}`{}", choices.join(", "), near(found, choices))]
    Choice {
        /// The file.
        path: PathBuf,
        /// The section.
        section: String,
        /// The setting.
        key: String,
        /// All values that it may have.
        choices: &'static [&'static str],
        /// What there is.
        found: String,
    },
    /// A setting that cannot be swept.
    #[error(
        "{path}: [parameter_sweep] param_name: expected a setting that changes the network, its input or its run, \
         found `{found}`{why}"
    )]
    Parameter {
        /// The file.
        path: PathBuf,
        /// What there is.
        found: String,
        /// Why it cannot, or what is near.
        why: String,
    },
}

fn near(found: &str, choices: &[&str]) -> String {
    let near = settings::nearest(found, choices.iter().copied());
    near.map_or(String::new(), |near| format!("; did you mean '{near}'?"))
}

/// Sections of settings, interpolated; names of settings in lower case.
///
/// ```
/// use megasim_convert::toolbox::Ini;
/// let text = "[paths]\npath_wd = /data\ndataset_path = %(path_wd)s/mnist\n";
/// let ini = Ini::parse("config".as_ref(), text)?;
/// assert_eq!(ini.get("paths", "dataset_path"), Some("/data/mnist"));
/// # Ok::<(), megasim_convert::toolbox::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ini {
    path: PathBuf,
    sections: BTreeMap<String, BTreeMap<String, String>>,
}

/// How deep a value may refer to others; beyond it they refer to each other.
const MAX_DEPTH: usize = 10;

impl Ini {
    /// Reads text as Python's `configparser` does; `path` is for messages.
    ///
    /// # Errors
    /// [`Error::Line`], and [`Error::Value`] where a reference leads nowhere.
    pub fn parse(path: &Path, text: &str) -> Result<Self, Error> {
        let mut raw: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
        let mut at: Option<(String, Option<String>)> = None;
        for (number, line) in text.lines().enumerate() {
            let fault = |message: String| Error::Line { path: path.into(), line: number + 1, message };
            let trimmed = line.trim();
            if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
                continue;
            }
            if let Some((section, Some(key))) = &at
                && line.starts_with([' ', '\t'])
            {
                // A value goes on.
                if let Some(value) = raw.get_mut(section).and_then(|keys| keys.get_mut(key)) {
                    value.push(' ');
                    value.push_str(trimmed);
                }
                continue;
            }
            if let Some(name) = trimmed.strip_prefix('[') {
                let name = name.strip_suffix(']').ok_or_else(|| fault(format!("expected `]`, found `{trimmed}`")))?;
                raw.entry(name.into()).or_default();
                at = Some((name.into(), None));
                continue;
            }
            let Some((section, _)) = &at else {
                return Err(fault(format!("expected a section such as [paths], found `{trimmed}`")));
            };
            let (key, value) = trimmed
                .split_once(['=', ':'])
                .ok_or_else(|| fault(format!("expected `name = value`, found `{trimmed}`")))?;
            let key = key.trim().to_lowercase();
            let keys = raw.entry(section.clone()).or_default();
            if keys.insert(key.clone(), value.trim().into()).is_some() {
                return Err(fault(format!("expected each setting once, found {key} again")));
            }
            at = Some((section.clone(), Some(key)));
        }
        let defaults = raw.remove("DEFAULT").unwrap_or_default();
        let mut sections = BTreeMap::new();
        for (section, keys) in raw {
            let mut all = defaults.clone();
            all.extend(keys);
            let mut resolved = BTreeMap::new();
            for (key, value) in &all {
                let value = interpolate(value, &all, 0).ok_or_else(|| Error::Value {
                    path: path.into(),
                    section: section.clone(),
                    key: key.clone(),
                    expected: "references %(name)s to settings of its section or of [DEFAULT]",
                    found: value.clone(),
                })?;
                resolved.insert(key.clone(), value);
            }
            sections.insert(section, resolved);
        }
        Ok(Self { path: path.into(), sections })
    }

    /// A value.
    pub fn get(&self, section: &str, key: &str) -> Option<&str> {
        Some(self.sections.get(section)?.get(key)?.as_str())
    }

    fn value<T>(
        &self,
        section: &str,
        key: &str,
        default: T,
        expected: &'static str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Result<T, Error> {
        let Some(text) = self.get(section, key).filter(|text| !text.is_empty()) else { return Ok(default) };
        read(text).ok_or_else(|| Error::Value {
            path: self.path.clone(),
            section: section.into(),
            key: key.into(),
            expected,
            found: text.into(),
        })
    }

    /// One of the values that a setting may have, whatever the case of its letters; `None` where it is not given.
    fn choice(
        &self,
        section: &str,
        key: &str,
        choices: &'static [&'static str],
    ) -> Result<Option<&'static str>, Error> {
        let text = self.text(section, key);
        if matches!(&text[..], "" | "None") {
            return Ok(None);
        }
        let known = choices.iter().find(|choice| choice.eq_ignore_ascii_case(&text));
        known.map(|choice| Some(*choice)).ok_or_else(|| Error::Choice {
            path: self.path.clone(),
            section: section.into(),
            key: key.into(),
            choices,
            found: text,
        })
    }

    /// The names of a set of Python, `{'a', 'b'}`, each one of those that a setting may have.
    fn choices(&self, section: &str, key: &str, choices: &'static [&'static str]) -> Result<Vec<&'static str>, Error> {
        let text = self.text(section, key);
        let names = text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|name| !name.is_empty());
        // An empty set.
        let names = names.filter(|name| *name != "set");
        names
            .map(|name| {
                choices.iter().find(|choice| **choice == name).copied().ok_or_else(|| Error::Choice {
                    path: self.path.clone(),
                    section: section.into(),
                    key: key.into(),
                    choices,
                    found: name.into(),
                })
            })
            .collect()
    }

    fn flag(&self, section: &str, key: &str, default: bool) -> Result<bool, Error> {
        self.value(section, key, default, "True or False", |text| match text.to_lowercase().as_str() {
            "true" | "yes" | "on" | "1" => Some(true),
            "false" | "no" | "off" | "0" => Some(false),
            _ => None,
        })
    }

    fn number(&self, section: &str, key: &str, default: f64) -> Result<f64, Error> {
        let positive = |text: &str| text.parse().ok().filter(|n: &f64| n.is_finite() && *n > 0.0);
        self.value(section, key, default, "a number above 0", positive)
    }

    fn rate(&self, section: &str, key: &str, default: f64) -> Result<f64, Error> {
        let expected = "a rate above 0, at most 1000 Hz, as no input fires more than once per millisecond";
        let fits = |text: &str| text.parse().ok().filter(|n: &f64| *n > 0.0 && *n <= MOST_INPUT_RATE);
        self.value(section, key, default, expected, fits)
    }

    /// Whether a setting has a value.
    fn is_given(&self, section: &str, key: &str) -> bool {
        self.get(section, key).is_some_and(|text| !text.is_empty())
    }

    fn text(&self, section: &str, key: &str) -> String {
        self.get(section, key).unwrap_or_default().trim_matches(['\'', '"']).into()
    }
}

fn interpolate(value: &str, keys: &BTreeMap<String, String>, depth: usize) -> Option<String> {
    if depth > MAX_DEPTH {
        return None;
    }
    let mut out = String::new();
    let mut rest = value;
    while let Some((before, after)) = rest.split_once('%') {
        out.push_str(before);
        if let Some(after) = after.strip_prefix('%') {
            out.push('%');
            rest = after;
            continue;
        }
        let (name, after) = after.strip_prefix('(')?.split_once(")s")?;
        out.push_str(&interpolate(keys.get(&name.to_lowercase())?, keys, depth + 1)?);
        rest = after;
    }
    out.push_str(rest);
    Some(out)
}

/// Ticks per millisecond, where `dt` in milliseconds is one tick; steps of more than 1 ms are 1 ms.
fn ticks(dt: &str) -> Option<u32> {
    let ticks = 1.0 / dt.parse().ok().filter(|dt: &f64| dt.is_finite() && *dt > 0.0)?;
    let whole = ticks.round().max(1.0);
    let fits = ticks <= 1.0 || is_whole(ticks);
    (fits && whole <= 1e6).then_some(whole as u32)
}

/// Whether a number is whole but for what a text of four digits leaves out, as of 1/3.
fn is_whole(number: f64) -> bool {
    (number - number.round()).abs() <= 1e-3 * number.round()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Configuration, Error> {
        Configuration::of(Ini::parse("dir/config".as_ref(), text)?)
    }

    #[test]
    fn sections_defaults_and_references() {
        let text = "[DEFAULT]\nroot: /d\n[paths]\npath_wd = %(root)s/w  \nDataset_Path = %(path_wd)s/%(root)s \
            100%%\n\n; no\nfilename_ann = a\n  b\n";
        let ini = Ini::parse("c".as_ref(), text).unwrap();
        assert_eq!(ini.get("paths", "dataset_path"), Some("/d/w//d 100%"));
        assert_eq!(ini.get("paths", "filename_ann"), Some("a b"));
        for (wrong, message) in [
            ("a = 1\n", "c:1: expected a section"),
            ("[paths]\nnonsense\n", "c:2: expected `name = value`"),
            ("[paths]\na = %(b)s\n", "[paths] a: expected references"),
            ("[paths]\na = %(b)s\nb = %(a)s\n", "expected references"),
            ("[paths]\na = 1\nA = 2\n", "c:3: expected each setting once"),
        ] {
            let error = Ini::parse("c".as_ref(), wrong).unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
    }

    #[test]
    fn what_means_nothing_here_is_named() {
        let text = "[paths]\nfilename_ann = net\n[cell]\nleak = 20\nreset = 'Reset to zero'\n[simulation]\n\
            dt = 0.1\nduration = 50\nsecret = 1\n";
        let configuration = read(text).unwrap();
        assert_eq!(configuration.reset, megasim_core::network::Reset::ToRest);
        assert_eq!((configuration.ticks_per_ms, configuration.duration), (10, 50));
        assert_eq!(configuration.remarks.len(), 2, "{:?}", configuration.remarks);
        assert!(configuration.remarks[0].starts_with("[cell] leak = 20: neurons leak where"));
        assert!(configuration.remarks[1].starts_with("[simulation] secret = 1: not known"));
    }

    #[test]
    fn wrong_values_are_refused_by_name() {
        for (text, message) in [
            ("[paths]\n", "[paths] filename_ann: expected the name of the model file"),
            (
                "[paths]\nfilename_ann=a\n[simulation]\nduration = long\n",
                "[simulation] duration: expected whole milliseconds",
            ),
            ("[paths]\nfilename_ann=a\n[cell]\nreset = never\n", "[cell] reset: expected a reset by subtraction"),
            (
                "[paths]\nfilename_ann=a\n[parameter_sweep]\nparam_name=dts\nparam_values=[1]\n",
                "param_name: expected a setting that changes",
            ),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
    }
}
