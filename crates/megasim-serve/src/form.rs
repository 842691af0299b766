//! Commands as forms.

use serde::Serialize;

/// A command of the program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Command {
    /// Its name.
    pub name: String,
    /// What it does.
    pub about: String,
    /// Its options under their headings; positional ones are under the first.
    pub groups: Vec<Group>,
}

/// Options under a heading.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Group {
    /// The heading.
    pub heading: String,
    /// The options.
    pub fields: Vec<Field>,
}

/// An option.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Field {
    /// Its name in settings: that of the option without hyphens before it, or of the positional argument.
    pub name: String,
    /// How it is written.
    pub written: Written,
    /// What it takes.
    pub kind: Kind,
    /// Values that it takes; empty: any.
    pub choices: Vec<String>,
    /// What it is where it is not given.
    pub default: Option<String>,
    /// What its value is called.
    pub value_name: String,
    /// What it does.
    pub help: String,
    /// Whether it has to be given.
    pub required: bool,
    /// Whether it may have several values.
    pub several: bool,
    /// Whether most people need it.
    pub common: bool,
}

/// How an option is written on a command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Written {
    /// In its place.
    Positional,
    /// With its name.
    Named,
}

/// What an option takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Nothing: it is there or not.
    Flag,
    /// A path.
    Path,
    /// Text, a number among it.
    Text,
}

impl Command {
    /// All options, in the order of the form.
    pub fn fields(&self) -> impl Iterator<Item = &Field> {
        self.groups.iter().flat_map(|group| &group.fields)
    }
}
