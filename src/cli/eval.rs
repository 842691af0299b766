//! `megasim eval`: a trained network as it is, on test data.

use super::diagnostic::report;
use super::presentation::count;
use super::results::Results;
use super::{features, print};
use clap::Args;
use comfy_table::Table;
use megasim::ann::{forward, import};
use megasim::dataset::{Dataset, Format};
use serde_json::json;
use std::path::PathBuf;

/// Runs a trained network as it is and gives its accuracy
#[derive(Debug, Args)]
pub struct Arguments {
    /// The trained network
    model: PathBuf,
    /// Directory of test data
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// The description of the network, where the model file has none: Caffe's .prototxt, or TOML for bare parameters (else: beside it)
    #[arg(long, value_name = "FILE")]
    architecture: Option<PathBuf>,
    /// Take only the first N test samples
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    samples: Option<u64>,
    #[command(flatten)]
    results: Results,
}

/// Evaluates and prints.
pub fn run(arguments: &Arguments) -> miette::Result<()> {
    let results = &arguments.results;
    results.check()?;
    if features::is_model(&arguments.model) {
        let Arguments { model, data, samples, .. } = arguments;
        let (json, replace) = (results.json.as_deref(), results.replace());
        return features::evaluate(&features::Question { model, data, skip: 0, samples: *samples, json, replace });
    }
    let model = import::read_with(&arguments.model, arguments.architecture.as_deref()).map_err(report)?;
    let data = Dataset::open(&arguments.data).map_err(report)?;
    let format = Format { shape: model.input_shape(), classes: model.classes() };
    let samples = arguments.samples.map(count);
    let samples = data.test(&format, 0, samples).map_err(report)?;
    super::subject::warn_of_values(&samples.x, "test samples");
    let outputs = forward::forward(&model.graph, samples.x.view()).map_err(report)?;
    let right = forward::classes(outputs.view()).iter().zip(&samples.y).filter(|(found, label)| found == label).count();
    let total = samples.y.len();
    let accuracy = right as f64 / total as f64;

    let mut table = Table::new();
    let library = format!("{} {}", model.source.library, model.source.version.as_deref().unwrap_or(""));
    table.load_style(comfy_table::presets::UTF8_BORDERS_ONLY);
    table.add_row(vec!["network".to_string(), format!("{} ({})", arguments.model.display(), library.trim())]);
    table.add_row(vec!["input".to_string(), format!("{}, {} classes", model.input_shape(), model.classes())]);
    table.add_row(vec!["test samples".to_string(), total.to_string()]);
    table.add_row(vec!["accuracy".to_string(), format!("{:.2} % ({right} of {total} right)", 100.0 * accuracy)]);
    let figures = json!({ "samples": total, "accuracy": accuracy });
    let mut inputs = vec![arguments.model.clone()];
    inputs.extend(model.source.companions.iter().map(|companion| companion.path.clone()));
    inputs.extend(data.test_files());
    results.write(&figures, &inputs, None, json!({ "samples": total }))?;
    print(&format!("{table}\n"));
    Ok(())
}
