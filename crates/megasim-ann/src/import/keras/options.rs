//! The options of a layer, each taken once, so that one which was not understood is found.

use super::super::{ImportError, unsupported};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// Options that change nothing at inference, wherever they are.
const NEUTRAL: &[&str] = &[
    "name",
    "trainable",
    "dtype",
    "dtype_policy",
    "batch_input_shape",
    "batch_shape",
    "autocast",
    "sparse",
    "ragged",
    "optional",
    "seed",
    "momentum",
    "synchronized",
    "renorm",
    "renorm_clipping",
    "renorm_momentum",
    "virtual_batch_size",
    "fused",
    "implementation",
    "lora_rank",
    "lora_alpha",
    "input_dim",
    "input_length",
];
const NEUTRAL_ENDINGS: &[&str] = &["_initializer", "_regularizer", "_constraint"];

/// The options of one layer.
pub(super) struct Options<'a> {
    layer: &'a str,
    class: &'a str,
    /// Where Python finds the class, as Keras 3 notes.
    module: Option<&'a str>,
    map: &'a Map<String, Value>,
    taken: BTreeSet<&'static str>,
}

impl<'a> Options<'a> {
    pub(super) fn new(layer: &'a str, class: &'a str, map: &'a Map<String, Value>) -> Self {
        Self { layer, class, module: None, map, taken: BTreeSet::new() }
    }

    pub(super) fn of_module(self, module: Option<&'a str>) -> Self {
        Self { module, ..self }
    }

    /// A refusal of the whole class.
    pub(super) fn unsupported_class(&self) -> ImportError {
        self.unsupported(unsupported::keras(self.class, self.module))
    }

    pub(super) fn layer(&self) -> &'a str {
        self.layer
    }

    pub(super) fn class(&self) -> &'a str {
        self.class
    }

    /// A refusal that names the layer.
    pub(super) fn unsupported(&self, message: impl Into<String>) -> ImportError {
        ImportError::Unsupported { layer: self.layer.into(), kind: self.class.into(), message: message.into() }
    }

    /// What comes in, or a size, is not what the layer takes.
    pub(super) fn misfit(&self, message: impl Into<String>) -> ImportError {
        ImportError::Misfit { layer: self.layer.into(), kind: self.class.into(), message: message.into() }
    }

    fn wrong(&self, key: &str, expected: &str, found: &Value) -> ImportError {
        self.unsupported(format!("expected {expected} for option '{key}', found {found}"))
    }

    /// An option that is there and not null.
    pub(super) fn take(&mut self, key: &'static str) -> Option<&'a Value> {
        self.taken.insert(key);
        self.map.get(key).filter(|value| !value.is_null())
    }

    fn required(&mut self, key: &'static str) -> Result<&'a Value, ImportError> {
        self.take(key).ok_or_else(|| self.misfit(format!("expected an option '{key}', found none")))
    }

    /// A count.
    pub(super) fn count(&mut self, key: &'static str) -> Result<usize, ImportError> {
        let value = self.required(key)?;
        as_count(value).ok_or_else(|| self.wrong(key, "a count", value))
    }

    pub(super) fn count_or(&mut self, key: &'static str, default: usize) -> Result<usize, ImportError> {
        if self.take(key).is_some() { self.count(key) } else { Ok(default) }
    }

    /// A number.
    pub(super) fn number_or(&mut self, key: &'static str, default: f32) -> Result<f32, ImportError> {
        let Some(value) = self.take(key) else { return Ok(default) };
        // Keras 3 keeps numpy scalars as objects with a value.
        let number = value.get("config").and_then(|config| config.get("value")).unwrap_or(value);
        number.as_f64().map(|number| number as f32).ok_or_else(|| self.wrong(key, "a number", value))
    }

    pub(super) fn bool_or(&mut self, key: &'static str, default: bool) -> Result<bool, ImportError> {
        let Some(value) = self.take(key) else { return Ok(default) };
        value.as_bool().ok_or_else(|| self.wrong(key, "true or false", value))
    }

    pub(super) fn string_or(&mut self, key: &'static str, default: &'static str) -> Result<&'a str, ImportError> {
        let Some(value) = self.take(key) else { return Ok(default) };
        value.as_str().ok_or_else(|| self.wrong(key, "a string", value))
    }

    /// `rank` counts: a list of them, or one that stands for all.
    pub(super) fn counts(&mut self, key: &'static str, rank: usize) -> Result<Vec<usize>, ImportError> {
        let value = self.required(key)?;
        let counts = match value {
            Value::Array(values) if values.len() == rank => values.iter().map(as_count).collect(),
            value => as_count(value).map(|count| vec![count; rank]),
        };
        counts.ok_or_else(|| self.wrong(key, &format!("{rank} counts"), value))
    }

    pub(super) fn counts_or(
        &mut self,
        key: &'static str,
        rank: usize,
        default: &[usize],
    ) -> Result<Vec<usize>, ImportError> {
        if self.take(key).is_some() { self.counts(key, rank) } else { Ok(default.to_vec()) }
    }

    /// `rank` pairs of counts (before, after): nested lists, a list of counts, or one count.
    pub(super) fn count_pairs(&mut self, key: &'static str, rank: usize) -> Result<Vec<(usize, usize)>, ImportError> {
        let value = self.required(key)?;
        let pair = |value: &Value| match value {
            Value::Array(pair) => match &pair[..] {
                [before, after] => Some((as_count(before)?, as_count(after)?)),
                _ => None,
            },
            value => as_count(value).map(|count| (count, count)),
        };
        let pairs = match value {
            // A one-dimensional pair is not nested.
            Value::Array(_) if rank == 1 => pair(value).map(|pair| vec![pair]),
            Value::Array(values) if values.len() == rank => values.iter().map(pair).collect(),
            value => as_count(value).map(|count| vec![(count, count); rank]),
        };
        pairs.ok_or_else(|| self.wrong(key, &format!("{rank} pairs of counts"), value))
    }

    /// An axis, counted from the front with the batch as axis 0; also as a list of one.
    pub(super) fn axis_or(&mut self, key: &'static str, default: i64, rank: usize) -> Result<usize, ImportError> {
        let axis = match self.take(key) {
            None => default,
            Some(value) => {
                let axis = match value {
                    Value::Array(list) if list.len() == 1 => list[0].as_i64(),
                    value => value.as_i64(),
                };
                axis.ok_or_else(|| self.wrong(key, "one axis", value))?
            }
        };
        let from_front = if axis < 0 { axis.checked_add(rank as i64 + 1) } else { Some(axis) };
        match from_front.and_then(|axis| usize::try_from(axis).ok()).filter(|axis| (1..=rank).contains(axis)) {
            Some(axis) => Ok(axis),
            None => Err(self.misfit(format!("expected an axis of its {rank}-dimensional input, found '{key}' {axis}"))),
        }
    }

    /// Refuses what is left.
    pub(super) fn finish(&self) -> Result<(), ImportError> {
        let is_known = |key: &str| {
            self.taken.contains(key)
                || NEUTRAL.contains(&key)
                || NEUTRAL_ENDINGS.iter().any(|ending| key.ends_with(ending))
        };
        match self.map.iter().find(|(key, value)| !is_known(key) && !value.is_null()) {
            Some((key, value)) => Err(self.unsupported(format!("option '{key}' ({value}) is not supported"))),
            None => Ok(()),
        }
    }
}

fn as_count(value: &Value) -> Option<usize> {
    // Keras writes what the user gave it, which may be 3.0.
    let count = value
        .as_u64()
        .or_else(|| value.as_f64().filter(|x| x.fract() == 0.0 && (0.0..1e9).contains(x)).map(|x| x as u64));
    count.and_then(|count| usize::try_from(count).ok())
}
