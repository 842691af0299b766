//! `megasim eval`: a trained network as it is, on test data.

use super::classification::check_top_k;
use super::data::SplitArguments;
use super::diagnostic::report;
use super::input::{Reading, scaling_in_words, warn_of_scaling};
use super::numbers::count;
use super::output;
use super::paths::Paths;
use super::per_sample::{outputs_file, write_outputs};
use super::progress::Progress;
use super::results::Results;
use super::sharing::{self, Sharing};
use super::tables::{Boxed, boxed, counted, facts, percent};
use super::{features, print, refusal};
use clap::Args;
use megasim::ann::graph::Graph;
use megasim::ann::import::Model;
use megasim::ann::score::{ClassScore, Errors, Score};
use megasim::convert::conversion::{Warning, largest};
use megasim::convert::parsed::ParsedModel;
use megasim::convert::stage::{self, Stage};
use megasim::dataset::{DeclaredAxes, Format, InputForm, InputScaling, Samples};
use megasim::report::class_name;
use megasim::study::evaluation::outputs;
use ndarray::{Array2, CowArray, Ix2};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Run a trained network as it is and report its accuracy
#[derive(Debug, Args)]
pub struct Arguments {
    /// The trained network, or a stage of its conversion (convert --save-parsed, --save-normalised)
    model: PathBuf,
    /// Directory or file of test data
    #[arg(long, value_name = "DATA")]
    data: PathBuf,
    /// Class of each test sample, in place of those of the data (.npy, .npz, MNIST's), or targets of a regression
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    #[command(flatten)]
    split: SplitArguments,
    /// The description of the network, where the model file has none: Caffe's .prototxt, or TOML for bare parameters
    /// (else: next to it)
    #[arg(long, value_name = "FILE")]
    architecture: Option<PathBuf>,
    /// Take only the first N test samples
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    samples: Option<u64>,
    /// Also show how often the right class is among the first N
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    top_k: Option<u32>,
    /// Also show precision and recall of each class
    #[arg(long)]
    per_class: bool,
    /// Write the outputs of each sample to this file, FILE.npy or FILE.npz
    #[arg(long, value_name = "FILE", value_parser = outputs_file)]
    outputs: Option<PathBuf>,
    #[command(flatten)]
    reading: Reading,
    #[command(flatten)]
    sharing: Sharing,
    #[command(flatten)]
    results: Results,
}

/// Evaluates and prints.
pub fn run(arguments: &Arguments) -> miette::Result<()> {
    let results = &arguments.results;
    results.check()?;
    arguments.outputs.as_deref().map_or(Ok(()), |path| results.check_file(path))?;
    let read = [&arguments.model].into_iter().chain(&arguments.architecture);
    Paths::default()
        .files(results.file().into_iter().chain(&arguments.outputs))
        .directories(&arguments.sharing.outcomes)
        .inputs(read)
        .data([&arguments.data])
        .check()?;
    if features::is_model(&arguments.model) {
        sharing::alone("a model of 'megasim train'")?;
        if arguments.top_k.is_some() || arguments.per_class {
            miette::bail!(
                "--top-k and --per-class go with trained networks of other libraries; a model of 'megasim train' \
                    gives one class"
            );
        }
        let Arguments { model, data, samples, .. } = arguments;
        return features::evaluate(&features::Selection { model, data, skip: 0, samples: *samples, results });
    }
    let network = Analog::read(&arguments.model, &arguments.reading, &arguments.architecture)?;
    let data = arguments.split.open(&arguments.data, arguments.labels.as_ref())?.for_input(network.form);
    let format = Format { shape: network.graph.input_shape(), classes: network.graph.output_shape().len() };
    let count = arguments.samples.map(count);
    let targets = data.test_targets(format.classes, 0, count).map_err(report)?;
    let (x, labels) = match &targets {
        None if data.has_labels() => {
            let Samples { x, y } = data.test(&format, 0, count).map_err(report)?;
            (x, Some(y))
        }
        _ => (data.test_inputs(&format, 0, count).map_err(report)?, None),
    };
    if targets.is_none() && labels.is_none() && arguments.outputs.is_none() {
        miette::bail!(
            "{}: expected labels, found none: --labels FILE gives them, --outputs FILE writes what the network puts \
                out",
            arguments.data.display()
        );
    }
    if labels.is_none() {
        let refused = [(arguments.top_k.is_some(), "--top-k"), (arguments.per_class, "--per-class")];
        if let Some((_, option)) = refused.into_iter().find(|(is_asked, _)| *is_asked) {
            miette::bail!(
                "{option}: expected samples with classes, found {}",
                match targets {
                    Some(_) => "targets of a regression",
                    None => "no labels",
                }
            );
        }
    }
    check_top_k(arguments.top_k, format.classes)?;
    let (largest, total) = (largest(x.view()), x.nrows());
    // An analog network takes values of any size.
    Warning::of_values("test samples", largest, f32::INFINITY, network.form.scaling).iter().for_each(output::warn);
    let mut inputs = vec![arguments.model.clone()];
    inputs.extend(network.companions.iter().cloned());
    inputs.extend(data.test_files());
    arguments.sharing.begin(&inputs, None, rayon::current_num_threads())?;
    let outputs = outputs(&network.graph, network.addressed(&x).view(), &Progress::default()).map_err(report)?;
    let Some(outputs) = outputs.filter(|_| sharing::has_results()) else { return Ok(()) };
    if let Some(path) = &arguments.outputs {
        write_outputs(path, outputs.view(), labels.as_deref(), results.overwrite())?;
    }
    let score = labels.map(|labels| Score::new(outputs.view(), &labels));

    let mut rows: Vec<(String, String)> = Vec::new();
    rows.push(("network".to_string(), format!("{} ({})", arguments.model.display(), network.kind)));
    let outputs_are = if targets.is_some() { "outputs" } else { "classes" };
    rows.push(("input".to_string(), format!("{}, {} {outputs_are}", format.shape, format.classes)));
    rows.push(("input values".to_string(), scaling_in_words(network.form, largest)));
    warn_of_scaling(network.form, largest);
    rows.push(("test samples".to_string(), total.to_string()));
    let mut figures = json!({ "samples": total });
    let errors = targets.as_ref().map(|targets| Errors::new(outputs.view(), targets.view()));
    if let Some(Errors { mean_absolute, root_mean_squared, r2 }) = errors {
        rows.push(("mean absolute error".to_string(), format!("{mean_absolute:.4}")));
        rows.push(("root mean squared error".to_string(), format!("{root_mean_squared:.4}")));
        rows.push(("R squared".to_string(), r2.map_or("-".into(), |r2| format!("{r2:.4}"))));
        figures["errors"] = json!({ "mean_absolute": mean_absolute, "root_mean_squared": root_mean_squared, "r2": r2 });
    }
    if let Some(score) = &score {
        let (right, accuracy) = (score.top(1), score.accuracy());
        rows.push(("accuracy".to_string(), format!("{:.2} % ({right} of {total} right)", 100.0 * accuracy)));
        add_classes(score, &mut figures);
    }
    if let (Some(k), Some(score)) = (arguments.top_k, &score) {
        let right = score.top(k as usize);
        let share = right as f64 / total as f64;
        rows.push((format!("among the first {k}"), format!("{:.2} % ({right} of {total})", 100.0 * share)));
        figures["top_k"] = json!({ "k": k, "accuracy": share });
    }
    let others: Vec<PathBuf> = arguments.outputs.iter().cloned().collect();
    let mut parameters = json!({ "samples": total, "top_k": arguments.top_k });
    arguments.split.parameters(&mut parameters);
    results.write(&figures, &others, &inputs, None, parameters)?;
    print(&format!("{}\n", facts(rows)));
    if let Some(score) = score.as_ref().filter(|_| arguments.per_class) {
        print(&format!("{}\n", per_class(score, &data.class_names())));
    }
    super::answer(&in_words(total, score.as_ref(), errors.as_ref(), arguments.outputs.as_deref()));
    Ok(())
}

/// The answer.
fn in_words(total: usize, score: Option<&Score>, errors: Option<&Errors>, outputs: Option<&Path>) -> String {
    let samples = counted(total as u64, "test sample");
    match (score, errors, outputs) {
        (Some(score), ..) => format!("{} of {samples} are right ({}).", percent(score.accuracy()), score.top(1)),
        (None, Some(errors), _) => {
            let explained = errors.r2.map_or(String::new(), |r2| format!("; R squared is {r2:.4}"));
            format!("The mean absolute error on {samples} is {:.4}{explained}.", errors.mean_absolute)
        }
        (None, None, Some(path)) => format!("The outputs of {samples} are in {}.", path.display()),
        (None, None, None) => samples,
    }
}

/// Adds what a score says of all samples and of each class.
fn add_classes(score: &Score, figures: &mut Value) {
    let classes = score.classes().iter().map(|class| {
        let ClassScore { samples, taken, right } = class;
        let (precision, recall) = (class.precision(), class.recall());
        json!({ "samples": samples, "taken": taken, "right": right, "precision": precision, "recall": recall })
    });
    figures["accuracy"] = json!(score.accuracy());
    figures["classes"] = json!(classes.collect::<Vec<_>>());
}

/// What is evaluated.
struct Analog {
    graph: Graph,
    /// The library that wrote it, or the stage of a conversion that it is.
    kind: String,
    companions: Vec<PathBuf>,
    /// How samples are brought to its input.
    form: InputForm,
    /// Of a stage, whose input has its own order.
    parsed: Option<ParsedModel>,
}

impl Analog {
    fn read(path: &Path, reading: &Reading, architecture: &Option<PathBuf>) -> miette::Result<Self> {
        if stage::is_stage(path) {
            if let Some(architecture) = architecture {
                miette::bail!(
                    "{}: expected no --architecture with a stage of a conversion, which holds its own",
                    architecture.display()
                );
            }
            let network = Stage::read(path).map_err(report)?.network;
            let kind = format!("{} by convert", network.name());
            let parsed = network.parsed().clone();
            let (graph, _) = parsed.graph().map_err(report)?;
            // Numbers up to the largest byte are taken as they are, by bytes too.
            let features = parsed.input_features.iter();
            let mut values = features.flat_map(|features| features.scales().iter().chain(features.offsets()));
            let as_they_are = parsed.input_scale >= 255.0 || values.any(|value| value.abs() > 1.0);
            let scaling = if as_they_are { InputScaling::OfTheModel } else { InputScaling::Unit };
            let form = InputForm::new(DeclaredAxes::default(), scaling);
            return Ok(Self { graph, kind, companions: Vec::new(), form, parsed: Some(parsed) });
        }
        let model = refusal::read(path, reading.options(architecture), false)?;
        let form = model.input_form();
        let Model { graph, source, .. } = model;
        let library = format!("{} {}", source.library, source.version.as_deref().unwrap_or(""));
        let companions = source.companions.into_iter().map(|companion| companion.path).collect();
        Ok(Self { graph, kind: library.trim().into(), companions, parsed: None, form })
    }

    fn addressed<'s>(&self, samples: &'s Array2<f32>) -> CowArray<'s, f32, Ix2> {
        match &self.parsed {
            Some(parsed) => parsed.addressed(samples.view()),
            None => samples.view().into(),
        }
    }
}

/// Precision: of those taken for a class, the share that is of it. Recall: of those that are of it, the share that is
/// found.
fn per_class(score: &Score, names: &[String]) -> Boxed {
    let share = |share: Option<f64>| share.map_or("-".into(), percent);
    let rows = score.classes().iter().enumerate().map(|(number, class)| {
        let counts = [class.samples, class.taken, class.right].map(|n| n.to_string());
        let name = class_name(number, names);
        std::iter::once(name).chain(counts).chain([share(class.precision()), share(class.recall())]).collect()
    });
    boxed(&["class", "samples", "taken for it", "right", "precision", "recall"], rows.collect::<Vec<_>>())
}
