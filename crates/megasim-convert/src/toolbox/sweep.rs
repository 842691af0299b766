//! `[parameter_sweep]`: a setting, and the values that it takes one after the other.

use super::samples::{number, parts};
use super::settings::{KEYS, Meaning, known_name, nearest};
use super::{Configuration, Error, Ini};

const SECTION: &str = "parameter_sweep";

/// Sections whose settings change the network, its input or its run, and single settings that do.
const SECTIONS: [&str; 5] = ["input", "normalization", "conversion", "simulation", "cell"];
const SETTINGS: [&str; 3] = ["filename_ann", "dataset_path", "normalize"];

/// How `get_range` spaces values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// `linear`.
    Linear,
    /// `log`: their logarithms are equally spaced.
    Log,
    /// `random`: drawn evenly.
    Random,
}

/// The values of a swept setting.
#[derive(Debug, Clone, PartialEq)]
pub enum SweptValues {
    /// As they are listed.
    List(Vec<String>),
    /// Of `get_range`.
    Range {
        /// How they are spaced.
        method: Method,
        /// The first value, or the lower end.
        start: f64,
        /// The last value, or the upper end.
        stop: f64,
        /// How many there are, above 0.
        count: usize,
    },
}

/// A setting that is swept.
///
/// ```
/// use megasim_convert::toolbox::{Configuration, Ini};
/// # let folder = std::env::temp_dir().join("megasim-doc-sweep");
/// # std::fs::create_dir_all(&folder)?;
/// # let path = folder.join("config");
/// let text = "[paths]\nfilename_ann = net\n[parameter_sweep]\nparam_name = tau_refrac\nparam_values = [0, 1, 2]\n";
/// # std::fs::write(&path, text)?;
/// let sweep = Configuration::read(&path)?.sweep.expect("a sweep");
/// assert_eq!(sweep.name(), "tau_refrac");
/// assert_eq!(sweep.at("2")?.tau_refrac, 2.0);
/// assert!(sweep.at("-1").is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct ParameterSweep {
    section: &'static str,
    name: &'static str,
    values: SweptValues,
    logarithmic: bool,
    /// All other settings.
    others: Ini,
}

impl ParameterSweep {
    pub(super) fn of(ini: &Ini, remarks: &mut Vec<String>) -> Result<Option<Self>, Error> {
        let Some(values) = values(ini)? else {
            for key in ["param_name", "param_logscale"].into_iter().filter(|key| ini.is_given(SECTION, key)) {
                let value = ini.text(SECTION, key);
                remarks.push(format!("[{SECTION}] {key} = {value}: nothing is swept, as param_values is not given"));
            }
            return Ok(None);
        };
        let written = Some(ini.text(SECTION, "param_name")).filter(|name| !name.is_empty());
        let written = written.unwrap_or_else(|| "v_thresh".into());
        let refused = |why: String| Error::Parameter { path: ini.path.clone(), found: written.clone(), why };
        let name = known_name(&written);
        let acting = || KEYS.iter().filter(|key| SECTIONS.contains(&key.section) || SETTINGS.contains(&key.name));
        let Some(key) = acting().find(|key| key.name == name) else {
            let near = nearest(&name, acting().map(|key| key.name));
            return Err(refused(near.map_or(String::new(), |near| format!("; did you mean '{near}'?"))));
        };
        if let Meaning::Nothing(why) = key.meaning {
            return Err(refused(format!(": {why}")));
        }
        let mut others = ini.clone();
        others.sections.remove(SECTION);
        let logarithmic = ini.flag(SECTION, "param_logscale", false)?;
        Ok(Some(Self { section: key.section, name: key.name, values, logarithmic, others }))
    }

    /// The setting.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Its values.
    pub fn values(&self) -> &SweptValues {
        &self.values
    }

    /// `param_logscale`.
    pub fn logarithmic(&self) -> bool {
        self.logarithmic
    }

    /// The configuration with a value of the setting.
    ///
    /// # Errors
    /// Where the setting cannot have it.
    pub fn at(&self, value: &str) -> Result<Configuration, Error> {
        let mut ini = self.others.clone();
        ini.sections.entry(self.section.into()).or_default().insert(self.name.into(), value.into());
        Configuration::of(ini).map_err(|error| match error {
            Error::Value { path, section, key, expected, found } if section == self.section && key == self.name => {
                Error::Value { path, section: SECTION.into(), key: "param_values".into(), expected, found }
            }
            Error::Choice { path, section, key, choices, found } if section == self.section && key == self.name => {
                Error::Choice { path, section: SECTION.into(), key: "param_values".into(), choices, found }
            }
            other => other,
        })
    }
}

/// `param_values`; none where there are none.
fn values(ini: &Ini) -> Result<Option<SweptValues>, Error> {
    let expected = "a list such as [1, 2], or get_range(START, STOP, NUM, METHOD) with numbers, a count above 0, and \
        linear, log (from above 0) or random";
    let read = |text: &str| {
        let text = text.trim();
        let list = |open, close| text.strip_prefix(open)?.strip_suffix(close);
        match list('[', ']').or_else(|| list('(', ')')) {
            Some(inner) => {
                let items = parts(inner).into_iter().map(|item| item.trim().trim_matches(['\'', '"']));
                let items: Vec<String> = items.filter(|item| !item.is_empty()).map(String::from).collect();
                Some((!items.is_empty()).then_some(SweptValues::List(items)))
            }
            None => range(text).map(Some),
        }
    };
    ini.value(SECTION, "param_values", None, expected, read)
}

/// `get_range(start=0.0, stop=1.0, num=5, method='linear')`, with the name of its module or without.
fn range(text: &str) -> Option<SweptValues> {
    let (function, rest) = text.split_once('(')?;
    if function.trim().rsplit('.').next() != Some("get_range") {
        return None;
    }
    let mut given: [Option<&str>; 4] = [None; 4];
    let inner = rest.trim_end().strip_suffix(')')?;
    for (at, argument) in parts(inner).into_iter().filter(|it| !it.trim().is_empty()).enumerate() {
        let (place, value) = match argument.split_once('=') {
            Some((name, value)) => {
                (["start", "stop", "num", "method"].iter().position(|it| *it == name.trim())?, value)
            }
            None => (at, argument),
        };
        let place = given.get_mut(place)?;
        if place.replace(value.trim()).is_some() {
            return None;
        }
    }
    let [start, stop, count, method] = given;
    let (start, stop) = (start.map_or(Some(0.0), number)?, stop.map_or(Some(1.0), number)?);
    let count = count.map_or(Some(5), |text| text.parse().ok())?;
    let method = match method.map_or("linear", |text| text.trim_matches(['\'', '"'])) {
        "linear" => Method::Linear,
        "log" if start > 0.0 && stop > 0.0 => Method::Log,
        "random" => Method::Random,
        _ => return None,
    };
    (count > 0).then_some(SweptValues::Range { method, start, stop, count })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Configuration, Error> {
        let text = format!("[paths]\nfilename_ann = net\n[parameter_sweep]\n{text}");
        Configuration::of(Ini::parse("config".as_ref(), &text).unwrap())
    }

    fn values_of(text: &str) -> SweptValues {
        read(&format!("param_values = {text}\n")).unwrap().sweep.unwrap().values
    }

    #[test]
    fn any_setting_that_acts_is_swept_by_its_name() {
        for key in KEYS.iter().filter(|key| SECTIONS.contains(&key.section) || SETTINGS.contains(&key.name)) {
            let found = read(&format!("param_name = '{}'\nparam_values = [1]\n", key.name));
            match key.meaning {
                Meaning::Acts(_) => assert_eq!(found.unwrap().sweep.unwrap().name(), key.name),
                Meaning::Nothing(why) => {
                    let error = found.unwrap_err().to_string();
                    assert!(error.ends_with(&format!("found `{}`: {why}", key.name)), "{error}");
                }
            }
        }
        for (name, end) in [("v_tresh", "; did you mean 'v_thresh'?"), ("verbose", "found `verbose`"), ("path_wd", "`")]
        {
            let error = read(&format!("param_name = {name}\nparam_values = [1]\n")).unwrap_err().to_string();
            assert!(error.ends_with(end) && error.contains("[parameter_sweep] param_name: expected"), "{error}");
        }
    }

    #[test]
    fn values_change_that_setting_and_no_other() {
        let sweep = read("param_name = reset\nparam_values = ['Reset to zero', 'Reset by modulo']\n").unwrap();
        let sweep = sweep.sweep.unwrap();
        assert_eq!(sweep.values, SweptValues::List(vec!["Reset to zero".into(), "Reset by modulo".into()]));
        let plain = Configuration::of(sweep.others.clone()).unwrap();
        let changed = sweep.at("Reset to zero").unwrap();
        assert_eq!(changed, Configuration { reset: megasim_core::network::Reset::ToRest, ..plain });
        let error = sweep.at("never").unwrap_err().to_string();
        assert!(error.contains("[parameter_sweep] param_values: expected a reset by subtraction"), "{error}");
        assert_eq!(read("param_values = [0.5]\n").unwrap().sweep.unwrap().at("0.5").unwrap().v_thresh, 0.5);
    }

    #[test]
    fn ranges_have_the_arguments_of_get_range() {
        let range = |method, start, stop, count| SweptValues::Range { method, start, stop, count };
        assert_eq!(values_of("get_range()"), range(Method::Linear, 0.0, 1.0, 5));
        assert_eq!(values_of("snntoolbox.get_range(0.1, 1.5, 3, method='linear')"), range(Method::Linear, 0.1, 1.5, 3));
        assert_eq!(values_of("get_range(1, 1e3, num=4, method=\"log\")"), range(Method::Log, 1.0, 1e3, 4));
        assert_eq!(values_of("get_range(stop=2, method='random')"), range(Method::Random, 0.0, 2.0, 5));
        for wrong in [
            "get_range(0, 1, 5, 'log')",
            "get_range(1, 2, 0)",
            "get_range(1, 2, 3, 'linear', 5)",
            "get_range(1, start=2)",
            "get_range(1, 2, 3, 'even')",
            "range(1, 2)",
            "1, 2",
        ] {
            let error = read(&format!("param_values = {wrong}\n")).unwrap_err().to_string();
            assert!(error.contains("[parameter_sweep] param_values: expected a list such as"), "{error}");
        }
    }

    #[test]
    fn what_sweeps_nothing_is_named() {
        let found = read("param_name = duration\nparam_logscale = True\nparam_values = []\n").unwrap();
        assert_eq!(found.sweep, None);
        assert_eq!(found.remarks.len(), 2, "{:?}", found.remarks);
        assert!(found.remarks[0].ends_with("nothing is swept, as param_values is not given"));
    }
}
