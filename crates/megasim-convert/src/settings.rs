//! Parameters and equations that modules get after the conversion, by the names of their output nodes.

use glob::Pattern;
use megasim_core::network::{Network, NetworkError, NeuronModel};
use megasim_core::source_error::TextError;
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

/// Why a network cannot have a setting.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No module has the parameter.
    #[error("--set: no module has an output that matches `{pattern}` and a parameter {key}")]
    NoModule {
        /// The pattern of node names.
        pattern: String,
        /// The netfile key.
        key: String,
    },
    /// A module may not have the value.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// A file of equations cannot be read.
    #[error("{path}: cannot be read: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file of equations is wrong.
    #[error(transparent)]
    Equations(#[from] Box<TextError>),
    /// No module has neurons that could follow the equations.
    #[error("{path}: no module with neurons has an output that matches `{pattern}`")]
    NoNeurons {
        /// The file of equations.
        path: PathBuf,
        /// The pattern of node names.
        pattern: String,
    },
}

/// A parameter of all modules with an output node whose name matches a pattern: `GLOB.KEY=VALUE`.
///
/// ```
/// use megasim_convert::settings::Setting;
///
/// let setting: Setting = "05Dense*.T_Refract=10".parse()?;
/// assert_eq!(setting.to_string(), "05Dense*.T_Refract=10");
/// assert!("T_Refract".parse::<Setting>().is_err());
/// # Ok::<(), String>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    pattern: Pattern,
    key: String,
    value: i64,
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}={}", self.pattern, self.key, self.value)
    }
}

impl FromStr for Setting {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (left, value) = text.rsplit_once('=').ok_or("expected GLOB.KEY=VALUE, found no `=`")?;
        let (pattern, key) = left.rsplit_once('.').ok_or("expected GLOB.KEY=VALUE, found no `.` before the key")?;
        let value = value.trim().parse().map_err(|_| format!("expected an integer after `=`, found `{value}`"))?;
        let pattern = Pattern::new(pattern).map_err(|error| format!("pattern `{pattern}`: {error}"))?;
        Ok(Self { pattern, key: key.trim().into(), value })
    }
}

impl Setting {
    /// Changes a network.
    ///
    /// # Errors
    /// If a module may not have the value, or if none has the parameter.
    pub fn apply(&self, network: &mut Network) -> Result<(), Error> {
        let Self { pattern, key, value } = self;
        if network.set(|node| pattern.matches(node), key, *value)? == 0 {
            return Err(Error::NoModule { pattern: pattern.to_string(), key: key.clone() });
        }
        Ok(())
    }
}

/// Modules whose neurons follow the equations of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NeuronFile {
    pattern: Pattern,
    path: PathBuf,
}

impl NeuronFile {
    /// All modules.
    pub fn all(path: impl Into<PathBuf>) -> Self {
        Self { pattern: Pattern::new("*").unwrap_or_default(), path: path.into() }
    }

    /// Modules with an output node whose name matches.
    ///
    /// # Errors
    /// What is wrong with the pattern.
    pub fn matching(pattern: &str, path: impl Into<PathBuf>) -> Result<Self, String> {
        let pattern = Pattern::new(pattern).map_err(|error| format!("pattern `{pattern}`: {error}"))?;
        Ok(Self { pattern, path: path.into() })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Gives modules their equations, later files in place of earlier ones. Files are numbered from 1 on.
    ///
    /// # Errors
    /// If a file is wrong, or if no module has neurons that could follow it.
    pub fn apply(all: &[Self], network: &mut Network) -> Result<(), Error> {
        let mut numbers: BTreeMap<&Path, NonZeroU32> = BTreeMap::new();
        for Self { pattern, path } in all {
            let next = NonZeroU32::MIN.saturating_add(numbers.len() as u32);
            let number = *numbers.entry(path).or_insert(next);
            let text = std::fs::read_to_string(path).map_err(|source| Error::Read { path: path.clone(), source })?;
            let model = NeuronModel::parse(path, &text)?;
            if network.set_model(|node| pattern.matches(node), number, Arc::new(model))? == 0 {
                return Err(Error::NoNeurons { path: path.clone(), pattern: pattern.to_string() });
            }
        }
        Ok(())
    }
}

impl fmt::Display for NeuronFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.neuron={}", self.pattern, self.path.display())
    }
}
