//! `--set`, `--settings` and `--neuron`: parameters and equations of modules, by layer.

use crate::cli::diagnostic::unreadable;
use megasim::convert::settings::{NeuronFile, Setting};
use miette::{Result, bail, miette};
use std::path::Path;

/// What such a file says.
#[derive(Debug, Default)]
pub struct File {
    /// Netfile keys.
    pub settings: Vec<Setting>,
    /// Equations.
    pub neurons: Vec<NeuronFile>,
}

/// Reads a TOML file of tables named by a glob over node names, each with netfile keys and integers, in alphabetical
/// order; `neuron` is a file of equations, relative to this one.
///
/// # Errors
/// If it is no such file.
pub fn read(path: &Path) -> Result<File> {
    let text = std::fs::read_to_string(path).map_err(|error| unreadable(path, &error))?;
    let table: toml::Table = text.parse().map_err(|error| miette!("{}: expected TOML: {error}", path.display()))?;
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
                let neurons = path.parent().unwrap_or(Path::new("")).join(name);
                let neurons = NeuronFile::matching(pattern, neurons);
                file.neurons.push(neurons.map_err(|message| miette!("{}: {message}", path.display()))?);
                continue;
            }
            let setting = format!("{pattern}.{key}={value}");
            file.settings
                .push(setting.parse().map_err(|message| miette!("{}: `{setting}`: {message}", path.display()))?);
        }
    }
    Ok(file)
}
