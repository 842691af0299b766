//! A hardware file with other values for some keys, as a sweep asks for them.
//!
//! A change is a line of TOML, as `all.delay_to_process = "16 ns"`, that is put into the file's tables before anything
//! is checked. So a changed file is refused by the same rules, and what is wrong with a change is shown with that line,
//! which comes after those of the file.

use toml::de::{DeTable, DeValue};

/// Keys with their own value, in no table; texts are not among them.
pub(super) const SCALARS: [&str; 4] = ["tick", "static_power", "energy_per_mac", "energy_per_mac_bit"];

/// Another value for a key of a hardware file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    line: String,
    path: Vec<String>,
}

impl Change {
    /// First words of a path; what begins otherwise is no key of a hardware file.
    pub const FIRST: [&'static str; 13] = [
        "tick",
        "static_power",
        "energy_per_mac",
        "energy_per_mac_bit",
        "all",
        "kind",
        "layer",
        "module",
        "link",
        "links",
        "mesh",
        "cores",
        "barrier",
    ];

    /// A key by its dotted path, quoted as in TOML where it contains dots or stars (`layer."05*".fifo_depth`),
    /// and its value: a whole number, a number with its unit, or a word. One of several `[[links]]` is given by its
    /// number, from 0 on (`links.0.delay`).
    ///
    /// ```
    /// use megasim_study::hardware::{Change, Hardware};
    /// let hardware = Hardware::parse("mine.toml".as_ref(), "tick = \"1 ns\"\n[all]\ndelay_to_process = \"16 ns\"\n")?;
    /// let change = Change::new("all.delay_to_process", "1.5 ns").unwrap();
    /// let error = hardware.changed(change).unwrap_err().to_string();
    /// let expected = "mine.toml:4: delay_to_process: expected a whole number of ticks of 1 ns, found 1.5 ns;";
    /// assert_eq!(error, format!("{expected} tick = \"500 ps\" would do"));
    /// # Ok::<(), megasim_study::hardware::Error>(())
    /// ```
    ///
    /// # Errors
    /// If the path is none.
    pub fn new(path: &str, value: &str) -> Result<Self, String> {
        let expected = || {
            format!(
                "expected a key of a hardware file by its path, as all.delay_to_process or layer.\"05*\".fifo_depth, \
                    found `{path}`"
            )
        };
        // What is no whole number is text; numbers with units are.
        let number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
        let value = if number { value.to_string() } else { toml::Value::from(value).to_string() };
        let line = format!("{path} = {value}");
        let names = {
            let document = DeTable::parse(&line).map_err(|_| expected())?;
            let mut names = Vec::new();
            let mut table = document.get_ref();
            loop {
                let mut entries = table.iter();
                let (Some((name, value)), None) = (entries.next(), entries.next()) else { return Err(expected()) };
                names.push(name.get_ref().to_string());
                match value.get_ref() {
                    DeValue::Table(inner) => table = inner,
                    _ => break names,
                }
            }
        };
        let alone = SCALARS.contains(&names[0].as_str());
        if !Self::FIRST.contains(&names[0].as_str()) || alone != (names.len() == 1) {
            return Err(expected());
        }
        Ok(Self { line, path: names })
    }

    pub(super) fn line(&self) -> &str {
        &self.line
    }

    /// The names of the path.
    pub fn path(&self) -> &[String] {
        &self.path
    }
}

/// The text of a file with the lines of changes behind it.
pub(super) fn appended(text: &str, changes: &[Change]) -> String {
    let mut all = text.to_string();
    for change in changes {
        if !all.is_empty() && !all.ends_with('\n') {
            all.push('\n');
        }
        all += &change.line;
        all.push('\n');
    }
    all
}

/// Puts the change in `line`, all else being blank, into a document.
///
/// # Errors
/// Where a table is expected and something else found.
pub(super) fn apply<'t>(document: &mut DeTable<'t>, line: &'t str) -> Result<(), String> {
    // It was parsed before.
    let change = DeTable::parse(line).map_err(|error| error.message().to_string())?;
    merge(document, change.into_inner())
}

fn merge<'t>(into: &mut DeTable<'t>, from: DeTable<'t>) -> Result<(), String> {
    for (name, value) in from {
        let Some(known) = into.get_mut(name.get_ref().as_ref()) else {
            into.insert(name, value);
            continue;
        };
        match (known.get_mut(), value.get_ref()) {
            (DeValue::Table(known), DeValue::Table(more)) => merge(known, more.clone())?,
            (DeValue::Array(known), DeValue::Table(more)) => {
                for (number, value) in more {
                    let n = known.len();
                    let at = number.get_ref().parse::<usize>().ok().and_then(|k| known.get_mut(k));
                    match (at.map(toml::Spanned::get_mut), value.get_ref()) {
                        (Some(DeValue::Table(known)), DeValue::Table(more)) => merge(known, more.clone())?,
                        _ => {
                            return Err(format!(
                                "{}: expected a number below {n} and a key of it, found {}",
                                name.get_ref(),
                                number.get_ref()
                            ));
                        }
                    }
                }
            }
            _ => *known = value,
        }
    }
    Ok(())
}
