//! What the analog network is worth at each stage of a conversion.

use super::super::diagnostic::report;
use super::super::tables::{boxed, percent};
use comfy_table::Table;
use megasim::ann::forward;
use megasim::ann::graph::Graph;
use megasim::convert::Precision;
use megasim::convert::parsed::Parsed;
use megasim::dataset::Samples;
use miette::Result;
use ndarray::ArrayView2;

/// Percentage points of the accuracy that integers may cost without a warning.
const MOST_LOST: f64 = 5.0;

/// Accuracies in the order of the stages.
#[derive(Debug)]
pub struct Stages<'s> {
    samples: &'s Samples,
    rows: Vec<(&'static str, f64)>,
}

impl<'s> Stages<'s> {
    /// Starts with the network as it was read.
    ///
    /// # Errors
    /// If samples do not fit.
    pub fn new(samples: &'s Samples, graph: &Graph) -> Result<Self> {
        let mut stages = Self { samples, rows: Vec::new() };
        stages.add("as read", graph, samples.x.view())?;
        Ok(stages)
    }

    /// One stage on.
    ///
    /// # Errors
    /// If samples do not fit.
    pub fn parsed(&mut self, name: &'static str, parsed: &Parsed) -> Result<()> {
        let (graph, _) = parsed.graph().map_err(report)?;
        let samples = self.samples;
        self.add(name, &graph, parsed.addressed(samples.x.view()).view())
    }

    fn add(&mut self, name: &'static str, graph: &Graph, x: ArrayView2<f32>) -> Result<()> {
        let outputs = forward::forward(graph, x).map_err(report)?;
        let classes = forward::classes(outputs.view());
        let right = classes.iter().zip(&self.samples.y).filter(|(found, label)| found == label).count();
        self.rows.push((name, right as f64 / self.samples.y.len().max(1) as f64));
        Ok(())
    }

    /// Accuracy as read.
    pub fn first(&self) -> f64 {
        self.rows.first().map_or(0.0, |(_, accuracy)| *accuracy)
    }

    /// What to say where rounding the weights costs much of the accuracy.
    pub fn loss(&self, precision: Precision) -> Option<String> {
        let (&(_, before), &(_, after)) = (self.rows.first()?, self.rows.last()?);
        let points = 100.0 * (before - after);
        (points > MOST_LOST).then(|| {
            let advice = match precision {
                Precision::Full => "a larger --scaling-factor, or another --percentile or --weighting, helps",
                _ => "more --weight-bits help, or training with weights of this precision",
            };
            let (before, after) = (percent(before), percent(after));
            format!(
                "weights as integers ({precision}) cost {points:.1} points of the analog accuracy, from {before} \
                to {after}; {advice}"
            )
        })
    }

    /// For a person.
    pub fn table(&self) -> Table {
        let header = format!("analog, {} test samples", self.samples.y.len());
        let mut before = None;
        let rows = self.rows.iter().map(|&(name, accuracy)| {
            let change =
                before.replace(accuracy).map_or("-".into(), |before| format!("{:+.2}", 100.0 * (accuracy - before)));
            vec![name.to_string(), percent(accuracy), change]
        });
        boxed(&[&header, "accuracy", "change"], rows.collect::<Vec<_>>())
    }
}
