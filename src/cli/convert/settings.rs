//! `--set`, `--settings` and `--neuron`: parameters and equations of modules, by layer.

use super::super::diagnostic;
use super::super::run::Setting;
use megasim::network::{Network, NeuronModel};
use miette::{IntoDiagnostic, Result, WrapErr, bail, miette};
use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What such a file says.
#[derive(Debug, Default)]
pub struct File {
    /// Netfile keys.
    pub settings: Vec<Setting>,
    /// Equations.
    pub neurons: Vec<Neurons>,
}

/// Modules whose neurons follow equations in a file.
#[derive(Debug, Clone)]
pub struct Neurons {
    pattern: glob::Pattern,
    /// The file.
    pub path: PathBuf,
}

impl Neurons {
    /// All modules.
    pub fn all(path: &Path) -> Self {
        Self { pattern: glob::Pattern::new("*").unwrap_or_default(), path: path.into() }
    }
}

impl fmt::Display for Neurons {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.neuron={}", self.pattern, self.path.display())
    }
}

/// Reads a TOML file of tables named by a glob over node names, each with netfile keys and integers, in alphabetical
/// order; `neuron` is a file of equations, relative to this one.
///
/// # Errors
/// If it is no such file.
pub fn read(path: &Path) -> Result<File> {
    let text = std::fs::read_to_string(path)
        .into_diagnostic()
        .wrap_err_with(|| format!("{}: cannot be read", path.display()))?;
    let table: toml::Table =
        text.parse().into_diagnostic().wrap_err_with(|| format!("{}: expected TOML", path.display()))?;
    let mut file = File::default();
    for (pattern, keys) in &table {
        let Some(keys) = keys.as_table() else {
            bail!("{}: expected a table of parameters for `{pattern}`, found {}", path.display(), keys.type_str());
        };
        for (key, value) in keys {
            if key == "neuron" {
                let Some(name) = value.as_str() else {
                    bail!("{}: `{pattern}`: neuron: expected the name of a file of equations", path.display());
                };
                let pattern = glob::Pattern::new(pattern)
                    .map_err(|error| miette!("{}: pattern `{pattern}`: {error}", path.display()))?;
                file.neurons.push(Neurons { pattern, path: path.parent().unwrap_or(Path::new("")).join(name) });
                continue;
            }
            let setting = format!("{pattern}.{key}={value}");
            file.settings
                .push(setting.parse().map_err(|message| miette!("{}: `{setting}`: {message}", path.display()))?);
        }
    }
    Ok(file)
}

/// Gives modules their equations, later ones in place of earlier ones. Files are numbered from 1 on.
///
/// # Errors
/// If a file is wrong, or if no module has neurons that could follow it.
pub fn give(all: &[Neurons], network: &mut Network) -> Result<()> {
    let mut numbers: BTreeMap<&Path, NonZeroU32> = BTreeMap::new();
    for Neurons { pattern, path } in all {
        let next = NonZeroU32::MIN.saturating_add(numbers.len() as u32);
        let number = *numbers.entry(path).or_insert(next);
        let text =
            std::fs::read_to_string(path).map_err(|error| miette!("{}: cannot be read: {error}", path.display()))?;
        let model = NeuronModel::parse(path, &text).map_err(|fault| diagnostic::located(&fault))?;
        let count =
            network.set_model(|node| pattern.matches(node), number, Arc::new(model)).map_err(diagnostic::report)?;
        if count == 0 {
            bail!("{}: no module with neurons has an output that matches `{pattern}`", path.display());
        }
    }
    Ok(())
}
