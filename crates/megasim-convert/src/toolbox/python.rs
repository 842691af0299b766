//! A script as in the manual of SNN toolbox 0.1: `settings = {...}`, and a sweep of one of them.
//!
//! Nothing of it is run: assignments are read, and statements that are no part of such a script are named.

use super::samples::{dictionary, parts};
use super::{Error, Ini};
use std::collections::BTreeMap;
use std::path::Path;

/// Calls and statements of such scripts that bring no setting.
const STARTS: [&str; 4] = ["import ", "from ", "if do_param_sweep", "else:"];

/// Whether a file is such a script.
pub(super) fn is_script(path: &Path, text: &str) -> bool {
    let is_named = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("py"));
    is_named || text.lines().any(|line| line.split_once('=').is_some_and(|(name, _)| name.trim() == "settings"))
}

/// A statement, with brackets closed and without comments, and its line.
struct Statement {
    line: usize,
    text: String,
}

/// The settings of a script as those of one section, and remarks about what else it has.
pub(super) fn parse(path: &Path, text: &str) -> Result<(Ini, Vec<String>), Error> {
    let mut settings: BTreeMap<String, String> = BTreeMap::new();
    let (mut sweep, mut sweeps, mut remarks) = (BTreeMap::new(), true, Vec::new());
    for Statement { line, text } in statements(text) {
        let fault = |message: String| Error::Line { path: path.into(), line, message };
        let text = text.trim();
        if text.is_empty() || STARTS.iter().any(|start| text.starts_with(start)) {
            continue;
        }
        let call = text.rsplit_once(')').map_or(text, |(call, _)| call);
        if let Some((function, arguments)) = call.split_once('(')
            && let Some(function) = ["update_setup", "test_full"].iter().find(|it| function.trim().ends_with(**it))
        {
            for (name, value) in parts(arguments).into_iter().filter_map(|argument| argument.split_once('=')) {
                let (name, value) = (name.trim(), value.trim());
                // `params=params` passes on what was assigned.
                if *function == "test_full" && name != value {
                    sweep.insert(name.to_lowercase(), unquoted(value));
                }
            }
            continue;
        }
        let Some((name, value)) = assignment(text) else {
            remarks.push(format!(
                "{}:{line}: `{}`: not read, as nothing of a script is run",
                path.display(),
                first(text)
            ));
            continue;
        };
        match name {
            "settings" => {
                let expected = || format!("expected settings = {{'name': value, ...}}, found `{}`", first(text));
                let items = dictionary(value).ok_or_else(|| fault(expected()))?;
                for (name, value) in items {
                    if settings.insert(name.to_lowercase(), unquoted(value)).is_some() {
                        return Err(fault(format!("expected each setting once, found {name} again")));
                    }
                }
            }
            "do_param_sweep" => {
                sweeps = match value {
                    "True" => true,
                    "False" => false,
                    _ => return Err(fault(format!("expected True or False, found `{value}`"))),
                }
            }
            "param_name" | "params" | "param_values" | "param_logscale" => {
                sweep.insert(name.into(), unquoted(value));
            }
            _ => match name.strip_prefix("settings[").and_then(|rest| rest.strip_suffix(']')) {
                Some(name) => drop(settings.insert(unquoted(name).to_lowercase(), unquoted(value))),
                None => {
                    let expected = "settings, do_param_sweep, param_name, params and param_logscale are read";
                    remarks.push(format!("{}:{line}: `{}`: not read; {expected}", path.display(), first(text)));
                }
            },
        }
    }
    settings.retain(|_, value| value != "None");
    let mut sections = BTreeMap::from([("globalparams".to_string(), settings)]);
    if sweeps && !sweep.is_empty() {
        sections.insert("parameter_sweep".into(), sweep);
    }
    Ok((Ini { path: path.into(), sections }, remarks))
}

/// The first line of a statement.
fn first(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

/// A name and its value; `==` is none.
fn assignment(text: &str) -> Option<(&str, &str)> {
    let (name, value) = text.split_once('=')?;
    let is_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '[' | ']' | '\'' | '"' | '.');
    let name = name.trim();
    (!name.is_empty() && name.chars().all(is_name) && !value.starts_with('=')).then(|| (name, value.trim()))
}

/// A string without its quotes, anything else as it is.
fn unquoted(value: &str) -> String {
    let value = value.trim();
    let inner = |quote: char| value.strip_prefix(quote)?.strip_suffix(quote).filter(|inner| !inner.contains(quote));
    inner('\'').or_else(|| inner('"')).unwrap_or(value).into()
}

fn statements(text: &str) -> Vec<Statement> {
    let (mut found, mut depth) = (Vec::new(), 0_i32);
    for (number, line) in text.lines().enumerate() {
        if depth <= 0 {
            depth = 0;
            found.push(Statement { line: number + 1, text: String::new() });
        }
        let Some(statement) = found.last_mut() else { continue };
        let mut quote = None;
        for letter in line.chars() {
            match (quote, letter) {
                (None, '#') => break,
                (None, '\'' | '"') => quote = Some(letter),
                (Some(open), _) if letter == open => quote = None,
                (None, '(' | '[' | '{') => depth += 1,
                (None, ')' | ']' | '}') => depth -= 1,
                _ => {}
            }
            statement.text.push(letter);
        }
        statement.text.push('\n');
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::{Configuration, Method, SweptValues};
    use super::*;

    /// Use case C of the manual of version 0.1.
    const MANUAL: &str = "\
import snntoolbox
# Parameters
settings = {'dataset': 'mnist',
            'architecture': 'cnn',
            'filename': '99.16',
            'path': 'example/mnist/cnn/99.16/INI/',
            'evaluateANN': True, # Test accuracy of input model
            'normalize': True, # Normalize weights to get better perf.
            'convert': True, # Convert analog net to spiking
            'simulate': True, # Simulate converted net
            'verbose': 3, # Show plots and temporary results
            'v_thresh': 1, # Threshold potential
            'simulator': 'INI', # Reset potential
            'duration': 100.0} # Simulation time
# Update defaults with parameters specified above:
snntoolbox.update_setup(settings)
do_param_sweep = True
if do_param_sweep:
   param_name = 'v_thresh'
   params = snntoolbox.get_range(0.1, 1.5, 3, method='linear')
   snntoolbox.test_full(params=params,
                         param_name=param_name,
                         param_logscale=False)
else:
    snntoolbox.test_full()
";

    fn read(text: &str) -> Result<Configuration, Error> {
        let (ini, mut remarks) = parse("dir/use_case.py".as_ref(), text)?;
        let mut found = Configuration::of(ini)?;
        remarks.append(&mut found.remarks);
        Ok(Configuration { remarks, ..found })
    }

    #[test]
    fn the_script_of_the_manual_is_a_configuration() {
        let found = read(MANUAL).unwrap();
        assert_eq!((&found.filename_ann[..], found.duration, found.v_thresh), ("99.16", 100, 1.0));
        assert!(found.path_wd.ends_with("dir/example/mnist/cnn/99.16/INI"), "{:?}", found.path_wd);
        assert!(found.draws.samples && found.draws.layers && found.records == Some(true) && found.normalize_is_given);
        let sweep = found.sweep.unwrap();
        assert_eq!((sweep.name(), sweep.logarithmic()), ("v_thresh", false));
        let range = SweptValues::Range { method: Method::Linear, start: 0.1, stop: 1.5, count: 3 };
        assert_eq!(sweep.values(), &range);
        // The library of the model is what its file tells.
        assert!(matches!(&found.remarks[..], [one] if one.contains("architecture = cnn")), "{:?}", found.remarks);
        let single = read(&MANUAL.replace("do_param_sweep = True", "do_param_sweep = False")).unwrap();
        assert_eq!(single.sweep, None);
    }

    #[test]
    fn what_is_not_read_is_named_with_its_line() {
        let text = "settings = {'filename': 'net'}\nsettings['duration'] = 20\nspeed = 3\nprint(settings)\n";
        let found = read(text).unwrap();
        assert_eq!(found.duration, 20);
        assert!(found.remarks[0].contains("use_case.py:3: `speed = 3`: not read"), "{:?}", found.remarks);
        assert!(found.remarks[1].contains("use_case.py:4: `print(settings)`: not read"), "{:?}", found.remarks);
        for (wrong, message) in [
            ("settings = load()\n", "use_case.py:1: expected settings = {'name': value, ...}"),
            ("\nsettings = {'a': 1, 'a': 2}\n", "use_case.py:2: expected each setting once, found a again"),
            ("settings = {}\ndo_param_sweep = maybe\n", "use_case.py:2: expected True or False"),
        ] {
            let error = read(wrong).unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
    }
}
