//! `megasim convert`: a trained network becomes netfiles.

use super::diagnostic::{self, report};
use super::{features, print, provenance};
use clap::{Args, ValueEnum};
use comfy_table::{CellAlignment, Table, presets};
use megasim::ann::{forward, import};
use megasim::convert::manifest::{Accuracy, Manifest};
use megasim::convert::model_based::Schedule;
use megasim::convert::quantize::{DEFAULT_TICKS_PER_MS, Quantization};
use megasim::convert::{self, Converted, Format as NetfileFormat, Options, Preset, Rules, Weighting, normalize};
use megasim::dataset::{Dataset, Format};
use megasim::network::Reset;
use megasim::whole::{NewDirectory, Replace};
use miette::Result;
use ndarray::Array2;
use serde_json::json;
use std::path::{Path, PathBuf};

/// Convert a trained network to spiking netfiles
#[derive(Debug, Args)]
pub struct Arguments {
    /// The trained network; of an .npz model of 'megasim train' only --data, --out and --samples count
    model: PathBuf,
    /// Directory of data: test samples, and samples to normalise with
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// The description of the network, where the model file has none: Caffe's .prototxt, or TOML for bare parameters (else: beside it)
    #[arg(long, value_name = "FILE")]
    architecture: Option<PathBuf>,
    /// Where the netfiles go; a new directory
    #[arg(long, value_name = "NETDIR")]
    out: PathBuf,
    /// Percentile of a layer's non-zero activations that becomes one spike a millisecond
    #[arg(long, value_name = "P", default_value_t = normalize::DEFAULT_PERCENTILE, value_parser = percentile)]
    percentile: f64,
    /// Parameters under one name; options given besides change single ones
    #[arg(long, value_enum, default_value_t = PresetArgument::Toolbox)]
    preset: PresetArgument,
    /// What a weight of 1 becomes; the rest is cut off. 10000000, with ANNarchy's presets 100000000
    #[arg(long, value_name = "S", value_parser = positive)]
    scaling_factor: Option<f64>,
    /// What a spike takes from the potential: the threshold (toolbox), or all (ANNarchy)
    #[arg(long, value_enum)]
    reset: Option<ResetArgument>,
    #[command(flatten)]
    rules: RuleArguments,
    /// Threshold of the neurons, before scaling
    #[arg(long, value_name = "V", default_value_t = 1.0, value_parser = positive)]
    v_thresh: f64,
    /// Where potentials start, as a part of the threshold (0 or more, less than 1); 0.5 shortens the time to a decision
    #[arg(long, value_name = "PART", default_value_t = 0.0, value_parser = part)]
    initial_potential: f64,
    /// Write only what the original MegaSim reads: no strides, no maximum pooling
    #[arg(long)]
    plain_megasim: bool,
    /// Convert maximum pooling as average pooling
    #[arg(long)]
    max_to_average: bool,
    /// Ticks of a millisecond, for layers with binary activations, which fire once in each; show samples with as many
    #[arg(long, value_name = "N", default_value_t = DEFAULT_TICKS_PER_MS, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    ticks_per_ms: u32,
    /// Of a model of 'megasim train': how many test samples become the stimuli, with resets between
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    samples: u32,
    /// Replace an earlier result
    #[arg(long)]
    force: bool,
}

/// What presets set.
#[derive(Debug, Args)]
struct RuleArguments {
    /// How weights are scaled: by activations on data, by the model alone, or not
    #[arg(long, value_enum)]
    weighting: Option<WeightingArgument>,
    /// With --weighting model: what the largest gain of a layer in a step becomes: 'depth' (2, 3, 4, ...), a number, or one a layer with commas between
    #[arg(long, value_name = "S")]
    depth_scale: Option<Schedule>,
    /// By how much each layer's threshold is below that of the one before
    #[arg(long, value_name = "STEP", value_parser = not_negative)]
    threshold_step: Option<f64>,
    /// The lowest potential, as thresholds of 1 below 0
    #[arg(long, value_name = "N", value_parser = not_negative)]
    floor: Option<f64>,
    /// Ticks that spikes travel to the next layer
    #[arg(long, value_name = "TICKS", value_parser = clap::value_parser!(i64).range(0..))]
    delay_to_arrive: Option<i64>,
    /// Time constant in ms of the mask that convolution and pooling read instead of spikes; 0: they read spikes
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(i32).range(0..))]
    mask_tau: Option<i32>,
}

/// `--preset`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum PresetArgument {
    /// SNN toolbox: percentiles of activations, reset by subtraction
    Toolbox,
    /// ANNarchy's converter 5.0.4 without its faults
    Annarchy,
    /// The same with the output's threshold lowered too, as its manual has it
    AnnarchyManual,
}

/// `--weighting`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum WeightingArgument {
    Percentile,
    Model,
    AsTrained,
}

impl RuleArguments {
    /// The rules of a preset with what is given besides.
    fn apply(&self, rules: &mut Rules) -> Result<()> {
        match self.weighting {
            Some(WeightingArgument::Percentile) => rules.weighting = Weighting::Percentile,
            Some(WeightingArgument::Model) => rules.weighting = Weighting::Model(Schedule::default()),
            Some(WeightingArgument::AsTrained) => rules.weighting = Weighting::AsTrained,
            None => {}
        }
        if let Some(schedule) = &self.depth_scale {
            match &mut rules.weighting {
                Weighting::Model(of) => *of = schedule.clone(),
                _ => miette::bail!("--depth-scale goes with --weighting model"),
            }
        }
        rules.threshold_step = self.threshold_step.unwrap_or(rules.threshold_step);
        rules.floor = self.floor.or(rules.floor);
        rules.delay_to_arrive = self.delay_to_arrive.unwrap_or(rules.delay_to_arrive);
        rules.mask_tau = self.mask_tau.unwrap_or(rules.mask_tau);
        Ok(())
    }
}

/// `--reset`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ResetArgument {
    Subtract,
    Zero,
}

/// A number above 0.
pub fn positive(text: &str) -> Result<f64, String> {
    number(text, "a number above 0", |value| value > 0.0)
}

fn percentile(text: &str) -> Result<f64, String> {
    number(text, "a number above 0, at most 100", |value| value > 0.0 && value <= 100.0)
}

fn part(text: &str) -> Result<f64, String> {
    number(text, "a number from 0, below 1", |value| (0.0..1.0).contains(&value))
}

fn not_negative(text: &str) -> Result<f64, String> {
    number(text, "a number from 0 on", |value| value >= 0.0)
}

fn number(text: &str, expected: &str, is_fine: impl Fn(f64) -> bool) -> Result<f64, String> {
    let value: Option<f64> = text.parse().ok();
    value.filter(|value| value.is_finite() && is_fine(*value)).ok_or_else(|| format!("expected {expected}"))
}

/// Converts, writes and prints.
pub fn run(arguments: &Arguments) -> Result<()> {
    if features::is_model(&arguments.model) {
        let replace = if arguments.force { Replace::Yes } else { Replace::No };
        return features::convert(
            &arguments.model,
            &arguments.data,
            &arguments.out,
            arguments.samples as usize,
            replace,
        );
    }
    let preset = match arguments.preset {
        PresetArgument::Toolbox => Preset::Toolbox,
        PresetArgument::Annarchy => Preset::Annarchy,
        PresetArgument::AnnarchyManual => Preset::AnnarchyManual,
    };
    let (mut rules, quantization) = preset.parameters();
    arguments.rules.apply(&mut rules)?;
    let reset = match arguments.reset {
        Some(ResetArgument::Subtract) => Reset::Subtract,
        Some(ResetArgument::Zero) => Reset::ToRest,
        None => quantization.reset,
    };
    // A strict threshold is one more in integers, which a reset by subtraction must not see.
    rules.strict &= reset == Reset::ToRest;
    if reset == Reset::ToRest && arguments.initial_potential != 0.0 {
        miette::bail!("--initial-potential goes with --reset subtract: a reset to zero would go back to it");
    }
    let options = Options {
        percentile: arguments.percentile,
        quantization: Quantization {
            scaling_factor: arguments.scaling_factor.unwrap_or(quantization.scaling_factor),
            threshold: arguments.v_thresh,
            reset,
            initial_potential: arguments.initial_potential,
            ticks_per_ms: arguments.ticks_per_ms,
        },
        format: if arguments.plain_megasim { NetfileFormat::Original } else { NetfileFormat::Extended },
        max_to_average: arguments.max_to_average,
        rules,
        ..Options::default()
    };
    let replace = if arguments.force { Replace::Yes } else { Replace::No };
    let model = import::read_with(&arguments.model, arguments.architecture.as_deref()).map_err(report)?;
    let manifest = convert_to(&model, &arguments.data, &arguments.out, &options, replace)?;
    let (out, data) = (arguments.out.display(), arguments.data.display());
    let analog = manifest.analog.map_or(String::new(), |Accuracy { samples, accuracy }| {
        format!("The analog network is right on {:.2} % of {samples} test samples.\n", 100.0 * accuracy)
    });
    print(&format!("{}\n{analog}Written to {out}. Next:\n  megasim classify {out} --data {data}\n", table(&manifest)));
    Ok(())
}

/// Converts a model into a new netfile directory.
pub fn convert_to(
    source: &import::Model,
    data: &Path,
    out: &Path,
    options: &Options,
    replace: Replace,
) -> Result<Manifest> {
    let dataset = Dataset::open(data).map_err(report)?;
    let format = Format { shape: source.input_shape(), classes: source.classes() };
    let directory = NewDirectory::create(out, replace).map_err(report)?;

    let normalisation = match options.rules.weighting {
        Weighting::Percentile => dataset.normalization(&format).map_err(report)?,
        // The others look at no data.
        Weighting::Model(_) | Weighting::AsTrained => Array2::zeros((0, format.shape.len())),
    };
    let converted = convert::convert(&source.graph, normalisation.view(), options).map_err(report)?;
    warn(&converted, &normalisation);
    let test = dataset.test(&format, 0, None).map_err(report)?;
    let outputs = forward::forward(&source.graph, test.x.view()).map_err(report)?;
    let right = forward::classes(outputs.view()).iter().zip(&test.y).filter(|(found, label)| found == label).count();

    let mut manifest = converted.manifest(&source.source, options, normalisation.nrows()).map_err(report)?;
    manifest.analog = Some(Accuracy { samples: test.y.len(), accuracy: right as f64 / test.y.len() as f64 });
    let example = test.x.row(0).to_vec();
    converted.save(directory.path(), &manifest, &source.source, &example).map_err(|error| match &error {
        convert::save::Error::Netfile(error) => diagnostic::netfile(error),
        _ => report(error),
    })?;
    let mut inputs = vec![source.source.path.clone()];
    inputs.extend(source.source.companions.iter().map(|companion| companion.path.clone()));
    inputs.extend(dataset.normalization_file());
    inputs.extend(dataset.test_files());
    inputs.dedup();
    let inputs: Vec<&Path> = inputs.iter().map(PathBuf::as_path).collect();
    let parameters = json!(manifest.conversion);
    let run = provenance::Run { results: &["megasim.sch", "megasim.json"], inputs: &inputs, seed: None, parameters };
    provenance::write(directory.path(), &run).map_err(report)?;
    directory.finish().map_err(report)?;
    Ok(manifest)
}

fn warn(converted: &Converted, samples: &Array2<f32>) {
    let parsed = &converted.normalized.parsed;
    for &layer in &converted.normalized.silent {
        eprintln!(
            "warning: layer {} ('{}') has no activation above 0 over the {} normalisation samples; its scale is 1",
            parsed.name(layer),
            parsed.layers[layer].source_name,
            samples.nrows()
        );
    }
    let largest = samples.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
    if largest > 1.0 {
        eprintln!(
            "warning: the normalisation samples hold values up to {largest}; an input fires at most once a millisecond, so what is beyond 1 is cut off"
        );
    }
}

/// The layers, for a person.
fn table(manifest: &Manifest) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table.set_header(["layer", "from", "modules", "neurons", "activation of 1 spike/ms"]);
    for layer in &manifest.layers {
        let has_neurons = !matches!(layer.kind.as_str(), "Flatten") && !layer.kind.contains("MaxPool");
        let neurons = if has_neurons { layer.shape.iter().product::<usize>().to_string() } else { "-".into() };
        table.add_row([
            layer.name.clone(),
            layer.source.clone(),
            layer.nodes.len().to_string(),
            neurons,
            format!("{:.4}", layer.scale),
        ]);
    }
    for column in 2..5 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}
