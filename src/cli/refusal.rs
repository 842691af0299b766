//! Networks of which layers are refused: all that is in the way, and the layer table all the same.

use super::diagnostic::report;
use super::output::message;
use super::tables::{Boxed, boxed};
use megasim::ann::graph::{Graph, Shape};
use megasim::ann::import::{self, ImportError, Model, ReadLayer, ReadOptions};
use megasim::convert::quantize::SignedNeurons;
use megasim::convert::simplify::Unsupported;
use megasim::convert::{self, ConvertOptions};
use miette::{Report, Result, miette};
use serde_json::{Value, json};
use std::path::Path;

/// What is in the way.
pub struct Refusal {
    layers: Vec<ReadLayer>,
    /// Names of layers that are read, but cannot be converted.
    without_spikes: Vec<String>,
    /// All obstacles, one per line.
    pub reasons: String,
}

impl Refusal {
    /// Of a network that is read, but cannot be converted.
    pub fn of_network(graph: &Graph, refused: &Unsupported) -> Self {
        Self { layers: ReadLayer::all(graph), without_spikes: names(refused), reasons: refused.to_string() }
    }

    /// Of a file with layers that are not read, and where it is to be converted, of the others that cannot be.
    pub fn of_file(error: &import::Error, is_to_convert: bool) -> Option<Self> {
        let ImportError::Refused(refusal) = &error.problem else { return None };
        let others = refusal.others.as_ref().filter(|_| is_to_convert);
        let refused = others.and_then(|graph| convert::parse(graph, &usual_options()).err());
        let more = refused.as_ref().map_or(String::new(), |refused| format!("\n{refused}"));
        let without_spikes = refused.as_ref().map_or(Vec::new(), names);
        Some(Self { layers: refusal.layers.clone(), without_spikes, reasons: format!("{error}{more}") })
    }

    fn is_refused(&self, layer: &ReadLayer) -> bool {
        layer.is_refused || self.without_spikes.contains(&layer.name)
    }

    /// All layers, those that are in the way marked.
    pub fn table(&self) -> Boxed {
        let rows = self.layers.iter().map(|layer| {
            let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".into());
            vec![
                layer.name.clone(),
                layer.kind.clone(),
                or_none(layer.shape.map(|shape| shape.to_string())),
                or_none(layer.parameters.map(|count| count.to_string())),
                if self.is_refused(layer) { "refused".into() } else { String::new() },
            ]
        });
        boxed(&["layer", "kind", "shape", "parameters", ""], rows.collect::<Vec<_>>())
    }

    /// As a file of figures has it.
    pub fn figures(&self) -> Value {
        let one = |layer: &ReadLayer| {
            let shape = layer.shape.map(Shape::sizes);
            let ReadLayer { name, kind, parameters, .. } = layer;
            let refused = self.is_refused(layer);
            json!({ "name": name, "kind": kind, "shape": shape, "parameters": parameters, "refused": refused })
        };
        json!({ "refused": self.reasons, "layers": self.layers.iter().map(one).collect::<Vec<_>>() })
    }

    /// The report, the layer table before it.
    pub fn report(&self) -> Report {
        message(format_args!("{}", self.table()));
        miette!("{}", self.reasons)
    }
}

fn names(refused: &Unsupported) -> Vec<String> {
    std::iter::once(refused).chain(&refused.more).map(|refused| refused.layer.clone()).collect()
}

/// What `convert` does where nothing else is asked for.
pub fn usual_options() -> ConvertOptions {
    let mut options = ConvertOptions::default();
    options.quantization.signed = Some(SignedNeurons::default());
    options
}

/// Reads a model file.
///
/// # Errors
/// As [`import::read_as`]; where layers are refused, the layer table is before the report.
pub fn read(path: &Path, options: ReadOptions, is_to_convert: bool) -> Result<Model> {
    import::read_as(path, options).map_err(|error| {
        Refusal::of_file(&error, is_to_convert).map_or_else(|| report(error), |refusal| refusal.report())
    })
}
