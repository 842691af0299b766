//! A command with its options, as TOML.
//!
//! ```
//! use megasim_serve::form::{Command, Field, Group, Kind, Written};
//! use megasim_serve::settings::Settings;
//!
//! let field = |name: &str, written, kind| Field {
//!     name: name.into(),
//!     written,
//!     kind,
//!     choices: Vec::new(),
//!     default: None,
//!     value_name: String::new(),
//!     help: String::new(),
//!     required: false,
//!     several: false,
//!     common: true,
//! };
//! let fields = vec![
//!     field("netdir", Written::Positional, Kind::Path),
//!     field("samples", Written::Named, Kind::Text),
//!     field("force", Written::Named, Kind::Flag),
//! ];
//! let group = Group { heading: "Options".into(), fields };
//! let commands = [Command { name: "classify".into(), about: String::new(), groups: vec![group] }];
//! let settings = Settings::parse("command = 'classify'\n[arguments]\nsamples = 10\nnetdir = 'net'\nforce = true\n")?;
//! assert_eq!(settings.words("megasim", &commands)?, ["megasim", "classify", "--samples=10", "--force", "net"]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use super::form::{Command, Field, Kind, Written};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A command and its options.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The name of the command.
    pub command: String,
    /// Values by the names of options.
    #[serde(default)]
    pub arguments: BTreeMap<String, Value>,
}

/// The value of an option.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// Of a flag.
    Flag(bool),
    /// A whole number.
    Whole(i64),
    /// A number.
    Number(f64),
    /// Text.
    Text(String),
    /// Several values.
    List(Vec<Value>),
}

/// Why settings are no command line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The text is no TOML of this form.
    #[error("expected `command = \"NAME\"` and a table [arguments] of its options, found: {0}")]
    Form(String),
    /// There is no such command.
    #[error("command: expected one of {known}, found '{found}'")]
    Command {
        /// Those that there are.
        known: String,
        /// What is there.
        found: String,
    },
    /// The command has no such option.
    #[error("arguments.{name}: '{command}' has no such option; it has {known}")]
    Option {
        /// The name.
        name: String,
        /// The command.
        command: String,
        /// Those that there are.
        known: String,
    },
    /// A value that the option does not take.
    #[error("arguments.{name}: expected {expected}, found {found}")]
    Value {
        /// The option.
        name: String,
        /// What it takes.
        expected: &'static str,
        /// What is there.
        found: String,
    },
}

impl Settings {
    /// Reads TOML.
    ///
    /// # Errors
    /// If it has another form.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let form = |error: toml::de::Error| Error::Form(error.to_string().trim().to_string());
        text.parse().and_then(|table| toml::Value::Table(table).try_into()).map_err(form)
    }

    /// As TOML.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn to_toml(&self) -> Result<String, Error> {
        let table = toml::Table::try_from(self).map_err(|error| Error::Form(error.to_string()))?;
        Ok(table.to_string())
    }

    /// The command line, `program` first: options by their names, then positional arguments in their order.
    ///
    /// # Errors
    /// The first option that the command does not have, or that has another value than it takes.
    pub fn words(&self, program: &str, commands: &[Command]) -> Result<Vec<String>, Error> {
        let Some(command) = commands.iter().find(|command| command.name == self.command) else {
            let known = commands.iter().map(|command| &command.name[..]).collect::<Vec<_>>().join(", ");
            return Err(Error::Command { known, found: self.command.clone() });
        };
        if let Some(name) = self.arguments.keys().find(|name| command.fields().all(|field| field.name != **name)) {
            let known = command.fields().map(|field| &field.name[..]).collect::<Vec<_>>().join(", ");
            return Err(Error::Option { name: name.clone(), command: command.name.clone(), known });
        }
        let mut words = vec![program.to_string(), command.name.clone()];
        let mut last = Vec::new();
        for field in command.fields() {
            let Some(value) = self.arguments.get(&field.name) else { continue };
            if field.kind == Kind::Flag {
                match value {
                    Value::Flag(true) => words.push(format!("--{}", field.name)),
                    Value::Flag(false) => {}
                    other => return Err(other.refused(field, "true or false")),
                }
                continue;
            }
            for text in value.texts(field)? {
                match field.written {
                    Written::Positional => last.push(text),
                    Written::Named => words.push(format!("--{}={text}", field.name)),
                }
            }
        }
        if last.iter().any(|text| text.starts_with('-')) {
            words.push("--".into());
        }
        words.extend(last);
        Ok(words)
    }

    /// All values that are text or numbers, with the names of their options.
    pub fn texts(&self) -> impl Iterator<Item = (&str, String)> {
        self.arguments.iter().flat_map(|(name, value)| {
            let mut texts = Vec::new();
            value.all(&mut texts);
            texts.into_iter().map(move |text| (name.as_str(), text))
        })
    }
}

impl Value {
    fn text(&self) -> Option<String> {
        match self {
            Self::Whole(number) => Some(number.to_string()),
            Self::Number(number) => Some(number.to_string()),
            Self::Text(text) => Some(text.clone()),
            Self::Flag(_) | Self::List(_) => None,
        }
    }

    /// The values as words.
    fn texts(&self, field: &Field) -> Result<Vec<String>, Error> {
        let expected = if field.several { "text, a number, or a list of these" } else { "text or a number" };
        match self {
            Self::List(all) if field.several => {
                all.iter().map(|value| value.text().ok_or_else(|| value.refused(field, expected))).collect()
            }
            other => Ok(vec![other.text().ok_or_else(|| other.refused(field, expected))?]),
        }
    }

    fn all(&self, texts: &mut Vec<String>) {
        match self {
            Self::List(all) => all.iter().for_each(|value| value.all(texts)),
            other => texts.extend(other.text()),
        }
    }

    fn refused(&self, field: &Field, expected: &'static str) -> Error {
        let found = match self {
            Self::Flag(flag) => flag.to_string(),
            Self::List(all) => format!("a list of {}", all.len()),
            other => other.text().unwrap_or_default(),
        };
        Error::Value { name: field.name.clone(), expected, found }
    }
}

/// Words as they are typed into a shell of POSIX.
pub fn shell(words: &[String]) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,@%+".contains(c);
    let quoted = |word: &String| match word {
        word if !word.is_empty() && word.chars().all(plain) => word.clone(),
        word => format!("'{}'", word.replace('\'', "'\\''")),
    };
    words.iter().map(quoted).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_for_a_shell() {
        let words = ["a".into(), "--x=1 2".into(), "it's".into(), String::new()];
        assert_eq!(shell(&words), "a '--x=1 2' 'it'\\''s' ''");
    }

    #[test]
    fn other_forms_are_refused_by_name() {
        let error = |text: &str| Settings::parse(text).and_then(|it| it.words("m", &[])).unwrap_err().to_string();
        assert!(error("nonsense").contains("expected `command = \"NAME\"` and a table [arguments]"));
        assert!(error("command = 'x'\nmore = 1\n").contains("unknown field `more`"));
        assert_eq!(error("command = 'x'\n"), "command: expected one of , found 'x'");
    }
}
