//! How a network was trained, epoch by epoch, where a file tells it.
//!
//! No model format keeps this by itself. Read are the two forms in which Keras users keep it: a JSON object with a list
//! for each metric, which is `History.history`, and the table of the callback `CSVLogger`.

use super::chart::{self, Axes, Line};
use super::{Error, Section};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Metrics by name, each a number an epoch.
#[derive(Debug, Clone, PartialEq)]
pub struct History {
    metrics: BTreeMap<String, Vec<f64>>,
}

/// A file that holds no history.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// It cannot be read.
    #[error("{path}: cannot be read: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Something in it is wrong.
    #[error("{path}:{line}: {message}")]
    Text {
        /// The file.
        path: PathBuf,
        /// Line, from 1 on.
        line: usize,
        /// What was expected and found.
        message: String,
    },
}

impl History {
    /// Reads a file: `.csv` as `CSVLogger` writes it, else JSON.
    ///
    /// # Errors
    /// If it cannot be read, or holds no history.
    pub fn read(path: &Path) -> Result<Self, HistoryError> {
        let text = std::fs::read_to_string(path).map_err(|source| HistoryError::Read { path: path.into(), source })?;
        let parsed = match path.extension().is_some_and(|extension| extension == "csv") {
            true => Self::of_csv(&text),
            false => Self::of_json(&text),
        };
        parsed.map_err(|(line, message)| HistoryError::Text { path: path.into(), line, message })
    }

    /// A JSON object with a list of numbers for each metric.
    ///
    /// ```
    /// use megasim_study::report::history::History;
    /// let history = History::of_json(r#"{"loss": [0.9, 0.4], "val_loss": [1.0, 0.6]}"#).unwrap();
    /// assert_eq!(history.epochs(), 2);
    /// assert_eq!(History::of_csv("epoch,loss,val_loss\n0,0.9,1.0\n1,0.4,0.6\n"), Ok(history));
    /// ```
    ///
    /// # Errors
    /// Line, and what was expected and found.
    pub fn of_json(text: &str) -> Result<Self, (usize, String)> {
        let metrics: BTreeMap<String, Vec<f64>> = serde_json::from_str(text).map_err(|error| {
            (error.line(), format!("expected an object with a list of numbers for each metric: {error}"))
        })?;
        Self::checked(metrics)
    }

    /// A table with a header; the column `epoch` is passed over.
    ///
    /// # Errors
    /// Line, and what was expected and found.
    pub fn of_csv(text: &str) -> Result<Self, (usize, String)> {
        let mut lines = text.lines().enumerate();
        let names: Vec<&str> = lines.next().map_or(Vec::new(), |(_, header)| header.split([',', ';']).collect());
        let mut metrics: BTreeMap<String, Vec<f64>> = BTreeMap::new();
        for (number, line) in lines.filter(|(_, line)| !line.trim().is_empty()) {
            let fields: Vec<&str> = line.split([',', ';']).collect();
            if fields.len() != names.len() {
                let message = format!("expected {} fields, as in the header, found {}", names.len(), fields.len());
                return Err((number + 1, message));
            }
            for (name, field) in names.iter().zip(fields).filter(|(name, _)| name.trim() != "epoch") {
                // What an epoch does not have is written so.
                let value = match field.trim() {
                    "" | "NA" | "nan" | "NaN" => f64::NAN,
                    text => text
                        .parse()
                        .map_err(|_| (number + 1, format!("{}: expected a number, found `{field}`", name.trim())))?,
                };
                metrics.entry(name.trim().into()).or_default().push(value);
            }
        }
        Self::checked(metrics)
    }

    fn checked(metrics: BTreeMap<String, Vec<f64>>) -> Result<Self, (usize, String)> {
        let longest = metrics.values().map(Vec::len).max().unwrap_or(0);
        if longest == 0 {
            return Err((1, "expected at least one metric with an epoch, found none".into()));
        }
        match metrics.iter().find(|(_, values)| values.len() != longest) {
            Some((name, values)) => {
                Err((1, format!("{name}: expected {longest} epochs, as of other metrics, found {}", values.len())))
            }
            None => Ok(Self { metrics }),
        }
    }

    /// How many epochs there are.
    pub fn epochs(&self) -> usize {
        self.metrics.values().map(Vec::len).next().unwrap_or(0)
    }

    /// A picture for each metric, with its value on validation data next to it.
    ///
    /// # Errors
    /// If a picture cannot be drawn.
    pub fn section(&self) -> Result<Section, Error> {
        let mut section = Section { title: "Training".into(), ..Section::default() };
        section.text = format!("{} epochs of training, from the file next to the network.", self.epochs());
        let plain = |name: &str| name.strip_prefix("val_").is_none_or(|name| !self.metrics.contains_key(name));
        for (name, values) in self.metrics.iter().filter(|(name, _)| plain(name)) {
            let line = |what: &str, values: &[f64]| Line {
                name: what.into(),
                points: (1..).map(f64::from).zip(values.iter().copied()).filter(|(_, y)| y.is_finite()).collect(),
                ..Line::default()
            };
            let mut lines = vec![line("training", values)];
            lines.extend(self.metrics.get(&format!("val_{name}")).map(|values| line("validation", values)));
            lines.retain(|line| !line.points.is_empty());
            if lines.is_empty() {
                continue;
            }
            let safe: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
            let (file, title) = (format!("training-{safe}"), format!("Training: {name}"));
            let axes = Axes { file: &file, title: &title, x: "epoch", y: name, ..Axes::default() };
            section.pictures.push(chart::lines(&axes, &lines)?);
        }
        Ok(section)
    }
}
