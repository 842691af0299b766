//! `--set` and `--settings`: parameters of modules, by layer.

use super::super::run::Setting;
use miette::{IntoDiagnostic, Result, WrapErr, bail};
use std::path::Path;

/// Reads a TOML file of tables named by a glob over node names, each with netfile keys and integers, in alphabetical order.
///
/// # Errors
/// If it is no such file.
pub fn read(path: &Path) -> Result<Vec<Setting>> {
    let text = std::fs::read_to_string(path)
        .into_diagnostic()
        .wrap_err_with(|| format!("{}: cannot be read", path.display()))?;
    let table: toml::Table =
        text.parse().into_diagnostic().wrap_err_with(|| format!("{}: expected TOML", path.display()))?;
    let mut settings = Vec::new();
    for (pattern, keys) in &table {
        let Some(keys) = keys.as_table() else {
            bail!("{}: expected a table of parameters for `{pattern}`, found {}", path.display(), keys.type_str());
        };
        for (key, value) in keys {
            let setting = format!("{pattern}.{key}={value}");
            settings.push(
                setting.parse().map_err(|message| miette::miette!("{}: `{setting}`: {message}", path.display()))?,
            );
        }
    }
    Ok(settings)
}
