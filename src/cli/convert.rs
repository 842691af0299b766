//! `megasim convert`: a trained network becomes netfiles.

mod arguments;
mod intermediate;
mod presentation;
mod settings;
pub use settings::Neurons;
mod stages;

use super::diagnostic::{self, report};
use super::input::{largest, warn_of_largest, warn_of_values};
use super::numbers::{not_negative, part, percentile, percentile_step, positive};
use super::paths::Paths;
use super::run::Setting;
use super::{escape, features, print, progress, provenance};
use arguments::{NeuronArgument, OutputArgument, PresetArgument, ResetArgument, RuleArguments, equations};
use clap::Args;
use comfy_table::{CellAlignment, Table, presets};
pub use intermediate::Intermediates;
use intermediate::Set;
use megasim::ann::graph::{Graph, Operation, Pooling};
use megasim::ann::import;
use megasim::atomic_write::{self, AtomicDir, Overwrite};
use megasim::convert::diagnose::{self, Activity, SATURATES, VANISHES};
use megasim::convert::export;
use megasim::convert::manifest::{Accuracy, Manifest, Presentation};
use megasim::convert::parsed::{LayerKind, Role};
use megasim::convert::quantize::{
    DEFAULT_HYSTERESIS, DEFAULT_TICKS_PER_MS, Quantization, SIGNED_SCALING_FACTOR, SignedNeurons,
};
use megasim::convert::samples::{Samples, See};
use megasim::convert::scales::Scales;
use megasim::convert::{
    self, DEFAULT_SOFTMAX_CLOCK, Format as NetfileFormat, Normalized, Options, Precision, Preset, Rules, Weighting,
    normalize,
};
use megasim::dataset::{Dataset, Format, NORMALIZATION_SAMPLES};
use megasim::equations::Decay;
use megasim::network::{Driver, Reset};
use miette::Result;
use ndarray::s;
use presentation::PresentationArguments;
use serde_json::json;
use stages::Stages;
use std::cell::Cell;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

/// Convert a trained network to spiking netfiles
#[derive(Debug, Args)]
pub struct Arguments {
    /// The trained network; of an .npz model of 'megasim train' only --data, --out and --samples count
    model: PathBuf,
    /// Directory of data: test samples, and samples to normalise with
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// The description of the network, where the model file has none: Caffe's .prototxt, or TOML for bare parameters
    /// (else: beside it)
    #[arg(long, value_name = "FILE")]
    architecture: Option<PathBuf>,
    /// Where the netfiles go; a new directory
    #[arg(long, value_name = "NETDIR")]
    out: PathBuf,
    /// Percentile of a layer's non-zero activations that becomes one spike a millisecond
    #[arg(long, value_name = "P", default_value_t = normalize::DEFAULT_PERCENTILE, value_parser = percentile)]
    percentile: f64,
    /// How much lower the percentile is for each layer further on
    #[arg(long, value_name = "P", default_value_t = 0.0, value_parser = percentile_step)]
    percentile_step: f64,
    /// Take the scales of an earlier conversion of the same model (--save-scales)
    #[arg(long, value_name = "FILE", conflicts_with_all = ["percentile", "percentile_step", "weighting"])]
    scales: Option<PathBuf>,
    /// Write the scales to this file
    #[arg(long, value_name = "FILE")]
    save_scales: Option<PathBuf>,
    #[command(flatten)]
    intermediates: Intermediates,
    /// Write the normalised network for other simulators, too: FILE.nir (NIR)
    #[arg(long, value_name = "FILE", value_parser = exported)]
    export: Option<PathBuf>,
    /// Round the weights: to so many bits (2 to 24), to Qm.f or to binary
    #[arg(long, value_name = "BITS", default_value = "full", value_parser = precision)]
    weight_bits: Precision,
    /// Set a parameter of modules, GLOB.KEY=VALUE, as 'megasim run --set': refractory times, leaks, resets, delays
    #[arg(long, value_name = "SETTING")]
    set: Vec<Setting>,
    /// A TOML file of such settings: a table for each glob over node names, with netfile keys
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
    /// Neurons of all layers: 'signed' (counts that no delay can change), or integer equations in a file; --settings
    /// names others for single layers
    #[arg(long, value_name = "signed|FILE.toml", conflicts_with = "plain_megasim")]
    neuron: Option<NeuronArgument>,
    /// With --neuron signed: how far below 0 a potential may be before a spike is taken back while input comes, in
    /// thresholds
    #[arg(long, value_name = "H", value_parser = not_negative)]
    hysteresis: Option<f64>,
    /// With --neuron signed: the largest count of a rectified neuron
    #[arg(long, value_name = "N")]
    max_count: Option<NonZeroU32>,
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
    /// What the output does: fire at its rates above 0, draw with a softmax clock, fire spikes of both signs, or gather
    /// potentials and never fire
    #[arg(long, value_enum, default_value_t = OutputArgument::Relu)]
    output: OutputArgument,
    /// With --output softmax: how often a second the class with the highest potential fires; 300 where not given
    #[arg(long, value_name = "HZ", value_parser = positive)]
    softmax_clock: Option<f64>,
    /// Threshold of the neurons, before scaling
    #[arg(long, value_name = "V", default_value_t = 1.0, value_parser = positive)]
    v_thresh: f64,
    /// Where potentials start, as a part of the threshold (0 or more, less than 1); 0, with --duration 0.5
    #[arg(long, value_name = "PART", value_parser = part)]
    initial_potential: Option<f64>,
    #[command(flatten)]
    presentation: PresentationArguments,
    /// Membrane time constant in milliseconds: potentials decay exponentially towards rest. --ticks-per-ms tells how
    /// long a tick is
    #[arg(long, value_name = "MS", value_parser = positive, conflicts_with = "plain_megasim")]
    tau_mem: Option<f64>,
    /// Where potentials start and leak to, before scaling, apart from where a spike resets them to
    #[arg(
        long,
        value_name = "V",
        allow_negative_numbers = true,
        conflicts_with_all = ["plain_megasim", "initial_potential"],
    )]
    resting_potential: Option<f64>,
    /// Write only what the original MegaSim reads: no strides, no maximum pooling
    #[arg(long)]
    plain_megasim: bool,
    /// Convert maximum pooling as average pooling
    #[arg(long)]
    max_to_average: bool,
    /// Ticks of a millisecond, for layers with binary activations, which fire once in each; show samples with as many
    #[arg(
        long,
        value_name = "N",
        default_value_t = DEFAULT_TICKS_PER_MS,
        value_parser = clap::value_parser!(u32).range(1..=1_000_000),
    )]
    ticks_per_ms: u32,
    /// Of a model of 'megasim train': how many test samples become the stimuli, with resets between
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    samples: u32,
    /// Replace an earlier result: the files that its run.json lists, unless one was changed or others were added
    #[arg(long)]
    force: bool,
}

fn precision(text: &str) -> Result<Precision, String> {
    if text == "full" { Ok(Precision::Full) } else { text.parse() }
}

/// A file whose ending says what it is to be.
fn exported(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    let endings: Vec<_> = export::TARGETS.iter().map(|target| format!(".{}", target.ending())).collect();
    export::target_of(&path).map(|_| path).ok_or_else(|| format!("expected a name that ends in {}", endings.join(", ")))
}

/// Converts, writes and prints.
pub fn run(arguments: &Arguments) -> Result<()> {
    if features::is_model(&arguments.model) {
        let replace = Overwrite::from_flag(arguments.force);
        let (out, model, data) = ([&arguments.out], [&arguments.model], [&arguments.data]);
        Paths::default().directories(out).inputs(model).data(data).check()?;
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
        Some(ResetArgument::Modulo) => Reset::Modulo,
        None => quantization.reset,
    };
    // A strict threshold is one more in integers, which a reset by subtraction must not see.
    rules.strict &= reset == Reset::ToRest;
    let initial_potential = arguments.initial_potential.unwrap_or_else(|| match reset {
        Reset::ToRest => 0.0,
        _ => arguments.presentation.initial_potential(),
    });
    if reset == Reset::ToRest && initial_potential != 0.0 {
        miette::bail!("--initial-potential goes with --reset subtract: a reset to zero would go back to it");
    }
    let signed = match &arguments.neuron {
        Some(NeuronArgument::Signed) => Some(SignedNeurons {
            hysteresis: arguments.hysteresis.unwrap_or(DEFAULT_HYSTERESIS),
            max_count: arguments.max_count,
        }),
        _ if arguments.hysteresis.is_some() => miette::bail!("--hysteresis goes with --neuron signed"),
        _ if arguments.max_count.is_some() => miette::bail!("--max-count goes with --neuron signed"),
        _ => None,
    };
    if signed.is_some() && reset != Reset::Subtract {
        miette::bail!("--neuron signed goes with --reset subtract");
    }
    let scaling_factor = if signed.is_some() { SIGNED_SCALING_FACTOR } else { quantization.scaling_factor };
    let replace = Overwrite::from_flag(arguments.force);
    let files = arguments.save_scales.iter().chain(&arguments.export);
    let read = [&arguments.model].into_iter().chain(&arguments.architecture).chain(&arguments.scales);
    let read = read.chain(&arguments.settings).chain(equations(&arguments.neuron));
    let paths = Paths::default().directories([&arguments.out]).files(files).inputs(read).data([&arguments.data]);
    arguments.intermediates.add_to(paths).check()?;
    if let Some(path) = &arguments.save_scales {
        atomic_write::check_file(path, replace).map_err(report)?;
    }
    arguments.intermediates.check(replace)?;
    if let Some(path) = &arguments.export {
        atomic_write::check_file(path, replace).map_err(report)?;
    }
    let model = import::read_with(&arguments.model, arguments.architecture.as_deref()).map_err(report)?;
    if arguments.max_to_average && !has_maximum_pooling(&model.graph) {
        miette::bail!(
            "--max-to-average: expected a network with maximum pooling, found none in {}",
            arguments.model.display()
        );
    }
    let scales = arguments.scales.as_deref().map(|path| Scales::read(path, &model.source.sha256));
    let mut options = Options {
        percentile: arguments.percentile,
        percentile_step: arguments.percentile_step,
        scales: scales.transpose().map_err(report)?,
        precision: arguments.weight_bits,
        quantization: Quantization {
            scaling_factor: arguments.scaling_factor.unwrap_or(scaling_factor),
            threshold: arguments.v_thresh,
            reset,
            initial_potential,
            ticks_per_ms: arguments.ticks_per_ms,
            signed,
        },
        format: if arguments.plain_megasim { NetfileFormat::Original } else { NetfileFormat::Extended },
        output: arguments.output.form(),
        softmax_clock: arguments.softmax_clock.unwrap_or(DEFAULT_SOFTMAX_CLOCK),
        max_to_average: arguments.max_to_average,
        rules,
    };
    let presentation = arguments.presentation.presentation(&mut options)?;
    let mut settings = Vec::new();
    if let Some(tau) = arguments.tau_mem {
        settings.push(format!("*.leak_decay={}", Decay::part(tau * f64::from(arguments.ticks_per_ms))));
    }
    if let Some(rest) = arguments.resting_potential {
        settings.push(format!("*.resting_potential={:.0}", rest * options.quantization.scaling_factor));
    }
    let settings: Result<Vec<Setting>, String> = settings.iter().map(|setting| setting.parse()).collect();
    let mut settings = settings.map_err(|fault| miette::miette!("{fault}"))?;
    // Those of single layers come later, and win.
    let mut neurons: Vec<Neurons> = equations(&arguments.neuron).map(|path| Neurons::all(path)).into_iter().collect();
    if let Some(path) = &arguments.settings {
        let file = settings::read(path)?;
        settings.extend(file.settings);
        neurons.extend(file.neurons);
    }
    settings.extend(arguments.set.iter().cloned());
    let job = Job {
        source: &model,
        data: &arguments.data,
        out: &arguments.out,
        options: &options,
        presentation,
        settings: &settings,
        neurons: &neurons,
        intermediates: &arguments.intermediates,
        export: arguments.export.as_deref(),
        replace,
    };
    let Done { manifest, stages, scales, as_spikes } = convert_to(&job)?;
    if let Some(path) = &arguments.save_scales {
        let text = scales.to_json();
        atomic_write::write_file(path, replace, |file| file.write_all(text.as_bytes())).map_err(report)?;
    }
    let (out, data) = (arguments.out.display(), arguments.data.display());
    print(&format!(
        "{}\n{stages}\n{as_spikes}Written to {out}. Next:\n  megasim classify {out} --data {data}\n",
        table(&manifest)
    ));
    Ok(())
}

fn has_maximum_pooling(graph: &Graph) -> bool {
    let is_maximum = |operation: &Operation| match operation {
        Operation::Pool { pooling, .. } | Operation::GlobalPool { pooling } => *pooling == Pooling::Max,
        _ => false,
    };
    graph.layers().iter().any(|layer| is_maximum(&layer.operation))
}

/// One conversion.
#[derive(Debug)]
pub struct Job<'j> {
    /// The model.
    pub source: &'j import::Model,
    /// Directory of data.
    pub data: &'j Path,
    /// Where the netfiles go.
    pub out: &'j Path,
    /// How it is converted.
    pub options: &'j Options,
    /// How samples will be presented, where the conversion is made for that.
    pub presentation: Option<Presentation>,
    /// What is set afterwards.
    pub settings: &'j [Setting],
    /// Neurons that follow equations of their own.
    pub neurons: &'j [Neurons],
    /// Stages that are kept or gone on from.
    pub intermediates: &'j Intermediates,
    /// A file for another simulator.
    pub export: Option<&'j Path>,
    /// Whether an earlier result may go.
    pub replace: Overwrite,
}

/// What came of it.
#[derive(Debug)]
pub struct Done {
    /// As it was written.
    pub manifest: Manifest,
    /// The analog network at each stage.
    pub stages: Table,
    /// The scales of its layers.
    pub scales: Scales,
    /// What the network decides as spikes, in a sentence; empty where no presentation is given.
    pub as_spikes: String,
}

/// Converts a model into a new netfile directory.
pub fn convert_to(job: &Job) -> Result<Done> {
    let Job { source, options, intermediates, replace, .. } = *job;
    let mut presentation = job.presentation.clone();
    AtomicDir::check(job.out, job.replace).map_err(report)?;
    let dataset = Dataset::open(job.data).map_err(report)?;
    let format = Format { shape: source.input_shape(), classes: source.classes() };
    let from_data = options.scales.is_none() && options.rules.weighting.needs_data();
    let pieces = from_data.then(|| dataset.normalization_pieces(&format)).transpose().map_err(report)?;
    let test = dataset.test(&format, 0, None).map_err(report)?;
    // Other weightings look at no data; rates are looked at on test samples then.
    let first = test.x.slice(s![..NORMALIZATION_SAMPLES.min(test.x.nrows()), ..]);
    let normalisation = match &pieces {
        Some(pieces) => Watched::new(pieces),
        None => Watched::new(&first),
    };
    warn_of_values(test.x.view(), "test samples");

    let mut stages = Stages::new(&test, &source.graph)?;
    let parse = || convert::parse(&source.graph, options).map_err(report);
    let parsed = intermediates.parsed(&source.source, options, replace, parse)?;
    stages.parsed("parsed", &parsed)?;
    let samples = normalisation.count();
    let bar = progress::bar("normalising", 3 * samples);
    let mut done = |n: usize| bar.set_position(n as u64);
    let set = Set { samples: &normalisation, files: dataset.normalization_files() };
    let normalized = intermediates.normalised(&source.source, options, &set, replace, parsed, &mut done)?;
    let activity = diagnose::activity(&normalized.parsed, &normalisation, &mut |n| {
        bar.set_position((2 * samples + n) as u64);
    });
    bar.finish_and_clear();
    warn_of_largest(normalisation.largest.get(), "normalisation samples");
    let activity = activity.map_err(report)?;
    let by_percentiles = options.scales.is_none() && options.rules.weighting == Weighting::Percentile;
    warn(&normalized, &activity, samples, by_percentiles);
    stages.parsed("normalised", &normalized.parsed)?;
    let scales = Scales::new(&source.source.sha256, &normalized);
    let normalized = match &mut presentation {
        Some(presentation) => presentation::calibrated(normalized, options, presentation, &normalisation)?,
        None => normalized,
    };
    let mut converted = convert::finish(normalized, options).map_err(report)?;
    stages.parsed("as integers", &options.quantization.truncated(&converted.normalized.parsed))?;
    if let Some(warning) = stages.loss(options.precision) {
        eprintln!("warning: {warning}");
    }
    warn_of_growth(&converted, options, &activity);
    settings::give(job.neurons, &mut converted.emitted.network)?;
    job.settings.iter().try_for_each(|setting| setting.apply(&mut converted.emitted.network))?;

    let as_spikes = match &presentation {
        Some(presentation) => presentation::as_spikes(&converted, &source.graph, presentation, &normalisation)?,
        None => String::new(),
    };
    let normalised_with = if from_data { samples } else { 0 };
    let mut manifest = converted.manifest(&source.source, options, normalised_with).map_err(report)?;
    let neurons = job.neurons.iter().map(ToString::to_string);
    manifest.conversion.settings = neurons.chain(job.settings.iter().map(ToString::to_string)).collect();
    manifest.presentation = presentation;
    manifest.analog = Some(Accuracy { samples: test.y.len(), accuracy: stages.first() });
    let example = test.x.row(0).to_vec();
    // Before anything is written, so that what cannot be exported leaves nothing behind.
    let exported = job.export.map(|path| exported_as(path, &converted.normalized, job)).transpose()?;
    let converted = converted.into_model(manifest.clone(), source.clone(), &example).map_err(report)?;
    // Only now, so that a conversion that is interrupted leaves nothing behind.
    let directory = AtomicDir::create(job.out, job.replace).map_err(report)?;
    converted.write(directory.path()).map_err(|error| match &error {
        convert::save::Error::Netfile(error) => diagnostic::netfile(error),
        _ => report(error),
    })?;
    let mut inputs = vec![source.source.path.clone()];
    inputs.extend(source.source.companions.iter().map(|companion| companion.path.clone()));
    inputs.extend(intermediates.inputs());
    inputs.extend(from_data.then(|| dataset.normalization_files()).into_iter().flatten());
    inputs.extend(dataset.test_files());
    inputs.extend(job.neurons.iter().map(|neurons| neurons.path.clone()));
    inputs.dedup();
    let inputs: Vec<&Path> = inputs.iter().map(PathBuf::as_path).collect();
    let parameters = json!(manifest.conversion);
    let run = provenance::Run { results: &["megasim.sch", "megasim.json"], inputs: &inputs, seed: None, parameters };
    provenance::write(directory.path(), &run).map_err(report)?;
    directory.finish().map_err(report)?;
    if let (Some(path), Some(bytes)) = (job.export, exported) {
        atomic_write::write_file(path, replace, |file| file.write_all(&bytes)).map_err(report)?;
    }
    Ok(Done { manifest, stages: stages.table(), scales, as_spikes })
}

/// The network for another simulator.
fn exported_as(path: &Path, normalized: &Normalized, job: &Job) -> Result<Vec<u8>> {
    let Some(target) = export::target_of(path) else {
        miette::bail!("{}: expected an ending of a known form", path.display());
    };
    let options = job.options;
    // What the file would say otherwise than the netfiles.
    let as_usual = Rules { weighting: options.rules.weighting.clone(), ..Rules::default() };
    let beyond = [
        (options.rules != as_usual, "thresholds, floors, delays and masks of --preset annarchy"),
        (!job.settings.is_empty(), "parameters of modules (--set, --settings, --tau-mem, --resting-potential)"),
        (!job.neurons.is_empty(), "neurons of your own"),
        (options.quantization.initial_potential != 0.0, "--initial-potential"),
        (options.format == NetfileFormat::Original, "averages of --plain-megasim"),
    ];
    if let Some((_, what)) = beyond.iter().find(|(is_there, _)| *is_there) {
        miette::bail!("--export: {} has no word for {what}; convert without", target.name());
    }
    if options.quantization.reset != Reset::ToRest {
        escape::warn(format_args!(
            "{}: neurons reset to 0 in {}, which has no reset by subtraction; --reset zero makes the netfiles do the \
                same",
            path.display(),
            target.name()
        ));
    }
    target.build(normalized, &options.quantization).map_err(report)
}

/// Samples that remember the largest magnitude in them.
struct Watched<'s> {
    samples: &'s dyn Samples,
    largest: Cell<f32>,
}

impl<'s> Watched<'s> {
    fn new(samples: &'s dyn Samples) -> Self {
        Self { samples, largest: Cell::new(0.0) }
    }
}

impl Samples for Watched<'_> {
    fn count(&self) -> usize {
        self.samples.count()
    }

    fn visit(&self, see: See) -> Result<(), normalize::Error> {
        self.samples.visit(&mut |first, piece| {
            self.largest.set(self.largest.get().max(largest(piece)));
            see(first, piece)
        })
    }
}

/// Says which layers will not do well as spikes, and what to try.
fn warn(normalized: &Normalized, activity: &[Activity], samples: usize, by_percentiles: bool) {
    let parsed = &normalized.parsed;
    for &layer in &normalized.silent {
        escape::warn(format_args!(
            "layer {} ('{}') has no activation above 0 over the {samples} normalisation samples; its scale is 1",
            parsed.name(layer),
            parsed.layers[layer].source_name,
        ));
    }
    for (layer, it) in activity.iter().enumerate() {
        if !matches!(parsed.layers[layer].operation, LayerKind::Population { role: Role::Rectifier | Role::Signed, .. })
        {
            continue;
        }
        let name = parsed.name(layer);
        if it.saturating > SATURATES {
            escape::warn(format_args!(
                "layer {name}: {:.1} % of its rates above 0 would be more than one spike a millisecond (up to {:.1}); \
                 {} helps",
                100.0 * it.saturating,
                it.largest,
                if by_percentiles { "a higher --percentile" } else { "--weighting percentile" }
            ));
        } else if it.mean_active > 0.0 && it.mean_active < VANISHES {
            escape::warn(format_args!(
                "layer {name}: its neurons that fire do so {:.4} times a millisecond on average, once in {:.0} ms; \
                 {} or a longer --duration helps",
                it.mean_active,
                it.mean_active.recip(),
                if by_percentiles { "a lower --percentile" } else { "--weighting percentile" }
            ));
        }
    }
}

/// Times as many spikes as at a threshold of 1 from which a conversion warns.
const GROWS: f64 = 10.0;

/// Warns of thresholds so low that the spikes of one layer make many in the next.
fn warn_of_growth(converted: &convert::Converted, options: &Options, activity: &[Activity]) {
    let network = &converted.emitted.network;
    let factors = diagnose::growth(network, options.quantization.scaling_factor);
    let (mut usual, mut now, mut most) = (0.0, 0.0, 0.0f64);
    for (layer, it) in activity.iter().enumerate() {
        let nodes = converted.emitted.layers[layer].iter();
        let drivers = nodes.filter_map(|node| match network.nodes()[node.index()].driver {
            Driver::Module(module) => Some(factors[module.index()]),
            Driver::Source(_) => None,
        });
        let factor = drivers.fold(0.0, f64::max);
        usual += it.mean * it.neurons as f64;
        now += it.mean * it.neurons as f64 * factor;
        most = most.max(it.largest * factor);
    }
    if now >= GROWS * usual && now > 0.0 {
        eprintln!(
            "warning: --v-thresh {}: about {now:.0} spikes per ms in all layers, where a threshold of 1 makes \
                {usual:.0}, and up to {most:.0} of one \
             neuron; event mode makes each of them, clocked mode one per step; a --v-thresh nearer 1 helps",
            options.quantization.threshold
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
