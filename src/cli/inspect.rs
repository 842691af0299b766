//! `megasim inspect`: the layers of a network, how they are connected, and how their neurons would fire.

#[cfg(feature = "nir")]
mod nir;

use super::data::SplitArguments;
use super::diagnostic::report;
use super::input::{self, Reading};
use super::paths::Paths;
use super::refusal::{Refusal, usual_options};
use super::results::Results;
use super::tables::{Boxed, boxed, counted, fixed, percent};
use super::{print, progress};
use clap::Args;
use megasim::ann::graph::Graph;
use megasim::ann::import;
use megasim::convert;
use megasim::convert::diagnose::{self, Activity, Size, WeightStatistics};
use megasim::convert::manifest::{self, Manifest};
use megasim::convert::parsed::{LayerKind, ParsedModel};
use megasim::dataset::{Dataset, Format, InputScaling, Pieces};
use miette::{Report, Result, miette};
use serde_json::{Value, json};
use std::path::PathBuf;

/// Show the layers of a trained or converted network: shapes, parameters, connections, and with data the rates of their
/// neurons
#[derive(Debug, Args)]
pub struct Arguments {
    /// The trained network, a spiking network (.nir), or a netfile directory that 'megasim convert' wrote
    target: PathBuf,
    /// Directory or file of data; its normalisation samples are shown to the analog network
    #[arg(long, value_name = "DATA")]
    data: Option<PathBuf>,
    #[command(flatten)]
    split: SplitArguments,
    /// The description of the network, where the model file has none: Caffe's .prototxt, or TOML for bare parameters
    /// (else: next to it)
    #[arg(long, value_name = "FILE")]
    architecture: Option<PathBuf>,
    #[command(flatten)]
    reading: Reading,
    #[command(flatten)]
    results: Results,
}

/// What is known of a network.
struct Layers {
    parsed: ParsedModel,
    sizes: Vec<Size>,
    weights: Vec<Option<WeightStatistics>>,
    /// With data: scales, and rates in spikes per millisecond.
    rates: Option<(Vec<f64>, Vec<Activity>)>,
}

/// Inspects and prints.
pub fn run(arguments: &Arguments) -> Result<()> {
    arguments.results.check()?;
    let read = [&arguments.target].into_iter().chain(&arguments.architecture);
    Paths::default().files(arguments.results.file()).inputs(read).data(&arguments.data).check()?;
    let is_converted = arguments.target.join(manifest::FILE_NAME).is_file();
    #[cfg(feature = "nir")]
    if megasim::ann::nir::is_nir(&arguments.target) && !is_converted {
        return nir::file(arguments);
    }
    if super::features::is_trained(&arguments.target) {
        miette::bail!(
            "{}: a model of 'megasim train'; 'megasim eval' and 'megasim features --report' show it",
            arguments.target.display()
        );
    }
    let (model, manifest, standardisation) = if is_converted {
        let converted = input::open(&arguments.target)?;
        match converted.model() {
            Some(model) => (model.clone(), Some(converted.manifest().clone()), converted.standardisation().cloned()),
            #[cfg(feature = "nir")]
            None => return nir::netfiles(arguments, &converted),
            #[cfg(not(feature = "nir"))]
            None => {
                miette::bail!("{}: a spiking network in NIR; build with the feature nir", arguments.target.display())
            }
        }
    } else {
        let options = arguments.reading.options(&arguments.architecture);
        (import::read_as(&arguments.target, options).map_err(|error| refused(arguments, error))?, None, None)
    };
    let data = arguments.data.as_deref().map(|data| arguments.split.open(data, None)).transpose()?;
    let data = data.map(|data| data.for_input(model.input_form()).standardised(standardisation));
    let format = Format { shape: model.input_shape(), classes: model.classes() };
    let samples = data.as_ref().map(|data| data.normalization_pieces(&format)).transpose().map_err(report)?;
    let layers = match layers(&model.graph, manifest.as_ref(), samples.as_ref()) {
        Ok(layers) => layers,
        Err(convert::Error::Unsupported(refused)) => {
            let refusal = Refusal::of_network(&model.graph, &refused);
            print(&format!("{}\n", refusal.table()));
            write(arguments, &refusal.figures())?;
            super::answer(&format!("cannot be converted: {}", refusal.reasons));
            return Ok(());
        }
        Err(error) => return Err(report(error)),
    };
    print(&format!("{}\n", table(&layers)));
    if model.input_form().scaling == InputScaling::OfTheModel {
        print("Input: 0 to 255, scaled by the model.\n");
    }
    if let Some(samples) = &samples {
        print(&format!("Over {} normalisation samples; rates in spikes per millisecond.\n", samples.len()));
    }
    let mut inputs = vec![arguments.target.clone()];
    inputs.extend(data.iter().flat_map(Dataset::normalization_files));
    let mut parameters = json!({ "data": arguments.data.is_some() });
    arguments.split.parameters(&mut parameters);
    arguments.results.write(&figures(&layers), &[], &inputs, None, parameters)?;
    super::answer(&in_words(&layers, is_converted));
    Ok(())
}

/// The answer.
fn in_words(layers: &Layers, is_converted: bool) -> String {
    let parameters: usize = layers.sizes.iter().map(|size| size.parameters).sum();
    let mut text =
        format!("{} with {}", counted(layers.sizes.len() as u64, "layer"), counted(parameters as u64, "parameter"));
    text += if is_converted { "." } else { "; 'megasim convert' takes the network." };
    let activity = layers.rates.as_ref().map(|(_, activity)| activity).filter(|activity| !activity.is_empty());
    if let Some(activity) = activity {
        // Flatten and max pooling pass spikes on and have no neurons, as in what 'convert' counts.
        let has_neurons = |kind: &LayerKind| !matches!(kind, LayerKind::Flatten { .. } | LayerKind::MaxPool { .. });
        let of_neurons = layers.parsed.layers.iter().zip(activity).filter(|(layer, _)| has_neurons(&layer.operation));
        let (silent, all) = of_neurons.fold((0, 0), |(silent, all), (_, it)| (silent + it.silent, all + it.neurons));
        text += &format!(" {silent} of {} fire for no sample", counted(all as u64, "neuron"));
        let most =
            activity.iter().enumerate().max_by(|(_, one), (_, other)| one.saturating.total_cmp(&other.saturating));
        text += &match most.filter(|(_, it)| it.saturating > 0.0) {
            Some((k, it)) => format!(
                "; {} saturates most ({} of its rates above 0 are beyond one spike per ms).",
                layers.parsed.name(k),
                percent(it.saturating)
            ),
            None => "; no layer saturates.".to_string(),
        };
    }
    text
}

/// The report of a file that is refused, behind the table of its layers.
fn refused(arguments: &Arguments, error: import::Error) -> Report {
    let Some(refusal) = Refusal::of_file(&error, true) else { return report(error) };
    print(&format!("{}\n", refusal.table()));
    match write(arguments, &refusal.figures()) {
        Ok(()) => miette!("{}", refusal.reasons),
        Err(error) => error,
    }
}

/// Writes figures without parameters.
fn write(arguments: &Arguments, figures: &Value) -> Result<()> {
    arguments.results.write(figures, &[], std::slice::from_ref(&arguments.target), None, json!({}))
}

fn layers(
    graph: &Graph,
    manifest: Option<&Manifest>,
    samples: Option<&Pieces>,
) -> std::result::Result<Layers, convert::Error> {
    let options = manifest.map_or_else(usual_options, Manifest::options);
    let parsed = convert::parse(graph, &options)?;
    let (sizes, weights) = (diagnose::sizes(&parsed), diagnose::weights(&parsed));
    let bar = progress::bar("inspecting", 3 * samples.map_or(0, |samples| samples.len()));
    let normalized = match (manifest, samples) {
        (Some(manifest), _) => Some(convert::normalize_by_scales(parsed.clone(), &manifest.scales(), &options)?),
        (None, Some(samples)) => {
            let mut done = |n: usize| bar.set_position(n as u64);
            Some(convert::normalize_with(parsed.clone(), samples, &options, &mut done)?)
        }
        (None, None) => None,
    };
    let rates = match (normalized, samples) {
        (Some(normalized), Some(samples)) => {
            let mut done = |n: usize| bar.set_position((2 * samples.len() + n) as u64);
            Some((normalized.scales, diagnose::activity(&normalized.parsed, samples, &mut done)?))
        }
        (Some(normalized), None) => Some((normalized.scales, Vec::new())),
        (None, _) => None,
    };
    bar.finish_and_clear();
    Ok(Layers { parsed, sizes, weights, rates })
}

/// Columns that are left out first where there is no room.
const LEAST: &[&str] =
    &["deviation", "smallest weight", "largest weight", "weight mean", "largest", "fan-out", "fan-in"];

/// Columns about the weights.
const WEIGHTS: [&str; 4] = ["weight mean", "deviation", "smallest weight", "largest weight"];

fn table(layers: &Layers) -> Boxed {
    let mut header = vec!["layer", "from", "parameters", "fan-in", "fan-out"];
    let scales = layers.rates.as_ref().map(|(scales, _)| scales);
    let activity = layers.rates.as_ref().map(|(_, activity)| activity).filter(|activity| !activity.is_empty());
    if scales.is_some() {
        header.push("scale");
    }
    if activity.is_some() {
        header.extend(["mean rate", "largest", "silent", "saturating"]);
    }
    header.extend(WEIGHTS);
    let rows = layers.sizes.iter().enumerate().map(|(k, size)| {
        let mut row = vec![
            layers.parsed.name(k),
            layers.parsed.layers[k].source_name.clone(),
            size.parameters.to_string(),
            size.fan_in.to_string(),
            size.fan_out.to_string(),
        ];
        row.extend(scales.map(|scales| fixed(scales[k], 4)));
        if let Some(it) = activity.map(|activity| &activity[k]) {
            let silent = format!("{} of {}", it.silent, it.neurons);
            row.extend([fixed(it.mean, 4), fixed(it.largest, 2), silent, percent(it.saturating)]);
        }
        row.extend(match layers.weights[k] {
            Some(it) => [it.mean, it.deviation, it.smallest, it.largest].map(|number| fixed(number, 4)),
            None => [const { "-" }; 4].map(String::from),
        });
        row
    });
    boxed(&header, rows).texts(2).least(LEAST)
}

fn figures(layers: &Layers) -> Value {
    let one = |k: usize| {
        let (parsed, size) = (&layers.parsed.layers[k], layers.sizes[k]);
        let mut figures = json!({
            "name": layers.parsed.name(k),
            "source": parsed.source_name,
            "kind": parsed.kind,
            "shape": parsed.shape.sizes(),
            "parameters": size.parameters,
            "fan_in": size.fan_in,
            "fan_out": size.fan_out,
        });
        if let Some(it) = layers.weights[k] {
            figures["weights"] = json!({
                "mean": it.mean,
                "deviation": it.deviation,
                "smallest": it.smallest,
                "largest": it.largest,
            });
        }
        if let Some((scales, activity)) = &layers.rates {
            figures["scale"] = json!(scales[k]);
            if let Some(it) = activity.get(k) {
                figures["rates"] = json!({
                    "mean": it.mean,
                    "mean_active": it.mean_active,
                    "largest": it.largest,
                    "largest_activation": it.largest * scales[k],
                    "silent_neurons": it.silent,
                    "saturating": it.saturating,
                });
            }
        }
        figures
    };
    json!({ "layers": (0..layers.sizes.len()).map(one).collect::<Vec<_>>() })
}
