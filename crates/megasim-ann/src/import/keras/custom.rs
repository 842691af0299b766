//! Custom layers and activations, said to be known ones by a table `[custom]` in a TOML file: next to the model
//! and called as it is, or named by `--architecture`.
//!
//! ```toml
//! [custom]
//! MyDense = "Dense"                                   # a class of layers
//! my_relu = "relu"                                    # an activation function
//! MyConv = { class = "Conv2D", ignore = ["wiggle"] }  # its option `wiggle` means nothing at inference
//! ```
//!
//! A layer has the weights and options of the class that it is said to be.

use super::super::{ImportError, ModelFile};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Where a layer's entry notes the class that it had.
pub(super) const STORED_CLASS: &str = "stored_class";

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Custom {
    custom: BTreeMap<String, Known>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "expected the name of a known class, or { class = \"...\", ignore = [...] }")]
enum Known {
    Name(String),
    Class(Class),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Class {
    class: String,
    /// Options that mean nothing at inference.
    #[serde(default)]
    ignore: Vec<String>,
}

impl Known {
    fn name(&self) -> &str {
        match self {
            Self::Name(name) | Self::Class(Class { class: name, .. }) => name,
        }
    }

    fn ignore(&self) -> &[String] {
        match self {
            Self::Name(_) => &[],
            Self::Class(Class { ignore, .. }) => ignore,
        }
    }
}

impl Custom {
    /// The table that goes with a model, empty where there is none. A file without such a table is none of the model's.
    pub(super) fn of(file: &ModelFile) -> Result<Self, ImportError> {
        // A JSON file names the layers of a file of weights.
        let is_json = |path: &PathBuf| path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("json"));
        let given = file.options.architecture.clone().filter(|path| !is_json(path));
        let path = given.unwrap_or_else(|| file.path.with_extension("toml"));
        let Ok(text) = std::fs::read_to_string(&path) else { return Ok(Self::default()) };
        if !text.lines().any(|line| line.trim_start().starts_with("[custom")) {
            return Ok(Self::default());
        }
        let (text, place) = file.architecture("toml")?;
        let damaged = |error: toml::de::Error| ImportError::damaged(place, error.to_string().trim_end());
        text.parse().and_then(|table| toml::Value::Table(table).try_into()).map_err(damaged)
    }

    /// Puts known names in the place of custom ones, all through a configuration.
    pub(super) fn apply(&self, value: &mut Value) {
        match value {
            Value::Array(values) => values.iter_mut().for_each(|value| self.apply(value)),
            Value::Object(object) => {
                let class = object.get("class_name").and_then(Value::as_str).unwrap_or_default().to_string();
                match (self.custom.get(&class), object.get_mut("config")) {
                    (Some(known), Some(Value::Object(options))) => {
                        known.ignore().iter().for_each(|option| {
                            options.remove(option);
                        });
                        object.insert("class_name".into(), known.name().into());
                        object.insert(STORED_CLASS.into(), class.into());
                    }
                    // A function: {"class_name": "function", "config": "relu"}.
                    (None, Some(config)) if class == "function" => self.rename(config),
                    _ => {}
                }
                for (key, value) in object {
                    if key == "activation" {
                        self.rename(value);
                    }
                    self.apply(value);
                }
            }
            _ => {}
        }
    }

    fn rename(&self, value: &mut Value) {
        if let Some(known) = value.as_str().and_then(|name| self.custom.get(name)) {
            *value = known.name().into();
        }
    }
}
