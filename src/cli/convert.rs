//! `megasim convert`: a trained network becomes netfiles.

mod arguments;
mod chosen;
mod intermediate;
#[cfg(feature = "nir")]
pub mod nir;
mod presentation;
mod settings;

use super::conversion::{self, Job, stages};
use super::diagnostic::report;
use super::export::ExportArguments;
use super::input::{Reading, scaling_in_words, warn_of_scaling};
use super::numbers::{from_one, not_negative, part, percentile, percentile_step, positive};
use super::output::{self, Printed};
use super::paths::Paths;
use super::samples::{ConversionData, SampleArguments};
use super::tables::{Boxed, boxed, percent};
use super::{features, print, refusal};
use arguments::{
    InputArgument, InputRangeArgument, InputScaleArgument, NeuronArgument, OutputArgument, PoolArgument,
    PresetArgument, ResetArgument, RuleArguments, equations,
};
use chosen::Chosen;
use clap::Args;
use intermediate::Intermediates;
use megasim::ann::graph::{Graph, Operation, Pooling};
use megasim::ann::import::Model;
use megasim::atomic_write::{self, Overwrite};
use megasim::convert::adapt::Adapted;
use megasim::convert::export;
use megasim::convert::manifest::Manifest;
use megasim::convert::quantize::{DEFAULT_HYSTERESIS, DEFAULT_TICKS_PER_MS, Quantization, SignedNeurons};
use megasim::convert::scales::Scales;
use megasim::convert::settings::{NeuronFile, Setting};
use megasim::convert::{
    Conversion, ConvertOptions, Format as NetfileFormat, MaxPooling, OutputForm, Precision, Preset, Rules, SpikeCode,
    TEST_SAMPLES, normalize,
};
use megasim::dataset::{Dataset, Format};
use megasim::encode::pattern::MOST_BITS;
use megasim::encode::{FeatureScales, SoftmaxClock};
use megasim::equations::Decay;
use megasim::network::Reset;
use miette::Result;
use presentation::PresentationArguments;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::{Path, PathBuf};

/// Convert a trained network to spiking netfiles
#[derive(Debug, Args)]
pub struct Arguments {
    /// The trained network; of an .npz model of 'megasim train' only --data, --out and --samples count, a spiking
    /// network (.nir) is taken as it is
    model: PathBuf,
    /// Directory or file of data: test samples, and samples to normalise with; not for a spiking network
    #[arg(long, value_name = "DATA")]
    data: Option<PathBuf>,
    /// Class of each test sample, in place of those of the data (.npy, .npz, MNIST's)
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    #[command(flatten)]
    taken: SampleArguments,
    /// The value of the input that one spike per millisecond stands for: a number, or percentile:P of the magnitudes of
    /// the normalisation samples, in place of the largest of them (1 where none is above). Values beyond it fire at
    /// full rate. Where features have their own ranges and one scale is too coarse, each gets its own
    #[arg(long, value_name = "VALUE|percentile:P", allow_negative_numbers = true)]
    input_scale: Option<InputScaleArgument>,
    /// The values of the input that stand for no spike and for one per millisecond, as -1..1; values below the first
    /// fire spikes below 0
    #[arg(long, value_name = "LO..HI", allow_hyphen_values = true, conflicts_with = "input_scale")]
    input_range: Option<InputRangeArgument>,
    /// The description of the network, where the model file has none: Caffe's .prototxt, or TOML for bare parameters
    /// (else: next to it)
    #[arg(long, value_name = "FILE")]
    architecture: Option<PathBuf>,
    /// Where the netfiles go; a new directory
    #[arg(long, value_name = "NETDIR")]
    out: PathBuf,
    /// At most this many test samples for the accuracy of the analog network after each step
    #[arg(long, value_name = "N", default_value_t = TEST_SAMPLES, value_parser = from_one::<NonZeroUsize>)]
    test_samples: NonZeroUsize,
    /// With --preset toolbox: percentile of a layer's non-zero activations that becomes one spike per millisecond; by
    /// default the scale with the least squared error of the counts (--scale-by)
    #[arg(long, value_name = "P", default_value_t = normalize::DEFAULT_PERCENTILE, value_parser = percentile)]
    percentile: f64,
    /// How much lower the percentile is for each layer further on
    #[arg(long, value_name = "P", default_value_t = 0.0, value_parser = percentile_step)]
    percentile_step: f64,
    /// Give each map (of a dense layer each neuron) its own scale; the weights behind it take that back
    #[arg(long)]
    channel_scales: bool,
    /// Take the scales of an earlier conversion of the same model (--save-scales)
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = ["percentile", "percentile_step", "weighting", "channel_scales"],
    )]
    scales: Option<PathBuf>,
    /// Write the scales to this file
    #[arg(long, value_name = "FILE")]
    save_scales: Option<PathBuf>,
    #[command(flatten)]
    intermediates: Intermediates,
    /// Write the normalised network for other simulators, too: FILE.nir (NIR)
    #[arg(long, value_name = "FILE", value_parser = exported)]
    export: Option<PathBuf>,
    #[command(flatten)]
    exported: ExportArguments,
    /// Round the weights: to a number of bits (2 to 24), to Qm.f or to binary
    #[arg(long, value_name = "BITS", default_value = "full", value_parser = precision)]
    weight_bits: Precision,
    /// Set a parameter of modules, GLOB.KEY=VALUE, as 'megasim run --set': refractory times, leaks, resets, delays
    #[arg(long, value_name = "SETTING")]
    set: Vec<Setting>,
    /// A TOML file of such settings: a table for each glob over node names, with netfile keys
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
    /// Neurons of all layers: 'signed' (counts that no delay can change; the default of --preset short), 'plain', or
    /// integer equations in a file; --settings names others for single layers
    #[arg(long, value_name = "signed|plain|FILE.toml")]
    neuron: Option<NeuronArgument>,
    /// With --neuron signed: how far below 0 a potential may be before a spike is taken back while input comes, in
    /// thresholds
    #[arg(long, value_name = "H", value_parser = not_negative)]
    hysteresis: Option<f64>,
    /// With --neuron signed: the largest count of a rectified neuron
    #[arg(long, value_name = "N", value_parser = from_one::<NonZeroU32>)]
    max_count: Option<NonZeroU32>,
    /// Parameters under one name; further options change single ones
    /// [default: short; toolbox where an option or a layer has no form with signed neurons]
    #[arg(long, value_enum)]
    preset: Option<PresetArgument>,
    /// With --preset temporal-pattern: the bits of a number, and the ms that a layer takes for them [default: 8]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(MOST_BITS)))]
    num_bits: Option<u32>,
    /// What a weight of 1 becomes; the rest is cut off
    /// [default: 100000 with signed neurons, 1000000 with ttfs and temporal-pattern presets, 100000000 with
    /// ANNarchy's, else 10000000]
    #[arg(long, value_name = "S", value_parser = positive)]
    scaling_factor: Option<f64>,
    /// What a spike takes from the potential: the threshold (subtract; toolbox), all (zero; ANNarchy), or as many whole
    /// thresholds as fit (modulo); of a spiking network, what the file says or its library does
    #[arg(long, value_enum)]
    reset: Option<ResetArgument>,
    #[command(flatten)]
    rules: RuleArguments,
    /// What the output does: fire at its rates above 0, draw with a softmax clock, fire spikes of both signs, or gather
    /// potentials and never fire
    /// [default: relu, or signed where many samples have no output above 0]
    #[arg(long, value_enum)]
    output: Option<OutputArgument>,
    #[command(flatten)]
    reading: Reading,
    /// With --output softmax: how often per second the class with the highest potential fires, evenly (300 or
    /// regular:300), or as a Poisson process (poisson:300 or poisson:300,seed=S) [default: 300]
    #[arg(long, value_name = "CLOCK")]
    softmax_clock: Option<SoftmaxClock>,
    /// Threshold of the neurons, before scaling
    #[arg(long, value_name = "V", default_value_t = 1.0, value_parser = positive)]
    v_thresh: f64,
    /// Where potentials start, as a part of the threshold (0 or more, less than 1)
    /// [default: 0; 0.5 with --preset short or --duration]
    #[arg(long, value_name = "PART", value_parser = part)]
    initial_potential: Option<f64>,
    #[command(flatten)]
    presentation: PresentationArguments,
    #[cfg(feature = "nir")]
    #[command(flatten)]
    nir: nir::NirArguments,
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
    /// Which input of a window maximum pooling passes on: that has fired most (fir_max, which is the default), most in
    /// the last MS milliseconds (avg_max:MS), or has the highest exponentially decaying average (exp_max:MS, also
    /// called exponential); MS is 50 where not given. For neurons that are not signed, as with --preset toolbox
    #[arg(long, value_name = "RULE", conflicts_with_all = ["plain_megasim", "max_to_average"])]
    max_pool: Option<MaxPooling>,
    /// Average pooling adds up to whole spikes, or passes each spike on to weights that have the part of a cell
    /// [default: integrate; relay where neurons have the levels of quantised activations]
    #[arg(long, value_enum, conflicts_with = "plain_megasim")]
    pool: Option<PoolArgument>,
    /// Ticks per millisecond, for layers with binary activations, which fire once in each; show samples with as many
    #[arg(
        long,
        value_name = "N",
        default_value_t = DEFAULT_TICKS_PER_MS,
        value_parser = clap::value_parser!(u32).range(1..=1_000_000),
    )]
    ticks_per_ms: u32,
    /// For a model of 'megasim train': how many test samples become the stimuli, with resets between
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    samples: u32,
    #[command(flatten)]
    printed: Printed,
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

/// Bits of a pattern where none are given.
const DEFAULT_BITS: u32 = 8;

/// Milliseconds over which rates of recordings are counted where no presentation is known.
const USUAL_DURATION: u32 = 100;

/// Converts, writes and prints.
pub fn run(arguments: &Arguments) -> Result<()> {
    #[cfg(feature = "nir")]
    if megasim::ann::nir::is_nir(&arguments.model) {
        return nir::run(arguments);
    }
    // All but spiking networks need it.
    let data = arguments.data.as_ref().ok_or_else(|| miette::miette!("--data: expected data, found none"))?;
    if features::is_model(&arguments.model) {
        let replace = Overwrite::from_flag(arguments.force);
        let (out, model) = ([&arguments.out], [&arguments.model]);
        Paths::default().directories(out).inputs(model).data([data]).check()?;
        return features::convert(&arguments.model, data, &arguments.out, arguments.samples as usize, replace);
    }
    let replace = Overwrite::from_flag(arguments.force);
    let files = arguments.save_scales.iter().chain(&arguments.export);
    let read = [&arguments.model].into_iter().chain(&arguments.architecture).chain(&arguments.scales);
    let read = read.chain(&arguments.settings).chain(equations(&arguments.neuron));
    let paths = Paths::default().directories([&arguments.out]).files(files).inputs(read).data([data]);
    arguments.intermediates.add_to(paths).check()?;
    if let Some(path) = &arguments.save_scales {
        atomic_write::check_file(path, replace).map_err(report)?;
    }
    arguments.intermediates.checkpoints(replace).check().map_err(report)?;
    if let Some(path) = &arguments.export {
        atomic_write::check_file(path, replace).map_err(report)?;
    }
    let model = refusal::read(&arguments.model, arguments.reading.options(&arguments.architecture), true)?;
    let (mut options, preset) = options_of(arguments, &model)?;
    let checkpoints = arguments.intermediates.checkpoints(replace);
    let taken = arguments.data(data, &model, &options)?;
    if taken.of_recordings {
        options = of_recordings(options)?;
    }
    let conversion = conversion::run(&Job {
        model: &model,
        data: &taken,
        out: &arguments.out,
        options: &options,
        checkpoints: &checkpoints,
        export: arguments.export.as_deref().map(|path| (path, arguments.exported.options())),
        replace,
    })?;
    if let Some(path) = &arguments.save_scales {
        let text = conversion.scales.to_json();
        atomic_write::write_file(path, replace, |file| file.write_all(text.as_bytes())).map_err(report)?;
    }
    let as_spikes = presentation::as_spikes(&conversion)?;
    preset.note().iter().for_each(output::warn);
    let notes = notes(&model, &conversion.adapted).into_iter().chain(levels(&conversion));
    let notes: String = notes.map(|note| format!("{note}\n")).collect();
    let (out, data) = (arguments.out.display(), data.display());
    // Masks and delays are those of steps of a millisecond, and random spikes of at most 100 Hz need a second.
    let shown = if options.rules.mask_tau > 0 { " --ticks-per-ms 1 --duration 1000 --encode cpn" } else { "" };
    print(&format!(
        "{}\n{}\n{as_spikes}{notes}Written to {out}. Next:\n  megasim classify {out} --data {data}{shown}\n",
        table(conversion.converted.manifest()),
        stages(&conversion.stages),
    ));
    super::answer(&conversion::in_words(&conversion, &arguments.out));
    Ok(())
}

/// As the library takes them.
///
/// # Errors
/// If they do not go together or not with the network, or if a file of settings cannot be read.
pub(super) fn options(arguments: &Arguments, model: &Model) -> Result<ConvertOptions> {
    Ok(options_of(arguments, model)?.0)
}

/// The options, and how their preset came about.
fn options_of(arguments: &Arguments, model: &Model) -> Result<(ConvertOptions, Chosen)> {
    let chosen = Chosen::of(arguments, model);
    let code = chosen.preset.code(arguments.num_bits.unwrap_or(DEFAULT_BITS));
    if let Some(code) = code {
        arguments.check_coded(code)?;
    }
    let preset = match (chosen.preset, code) {
        (_, Some(code)) => Preset::Coded(code),
        (PresetArgument::Annarchy, None) => Preset::Annarchy,
        (PresetArgument::AnnarchyManual, None) => Preset::AnnarchyManual,
        (PresetArgument::AnnarchyLoweredOutput, None) => Preset::AnnarchyLoweredOutput,
        _ => Preset::Toolbox,
    };
    let is_short = chosen.preset == PresetArgument::Short;
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
    if reset == Reset::ToRest && arguments.initial_potential.is_some_and(|part| part != 0.0) {
        miette::bail!("--initial-potential goes with --reset subtract: a reset to zero would go back to it");
    }
    let is_signed = match &arguments.neuron {
        Some(neuron) => matches!(neuron, NeuronArgument::Signed),
        None => is_short,
    };
    let signed = match is_signed {
        true => Some(SignedNeurons {
            hysteresis: arguments.hysteresis.unwrap_or(DEFAULT_HYSTERESIS),
            max_count: arguments.max_count,
        }),
        _ if arguments.hysteresis.is_some() => miette::bail!("--hysteresis goes with --neuron signed"),
        _ if arguments.max_count.is_some() => miette::bail!("--max-count goes with --neuron signed"),
        _ => None,
    };
    if signed.is_some() && reset != Reset::Subtract {
        return Err(report(presentation::Error::SignedReset));
    }
    let of_maximum = [(arguments.max_to_average, "--max-to-average"), (arguments.max_pool.is_some(), "--max-pool")];
    if let Some((_, option)) = of_maximum.iter().find(|(is_given, _)| *is_given)
        && !has_pooling(&model.graph, |pooling| pooling == Pooling::Max)
    {
        let found = model.source.path.display();
        miette::bail!("{option}: expected a network with maximum pooling, found none in {found}");
    }
    if arguments.pool.is_some() && !has_pooling(&model.graph, |pooling| pooling != Pooling::Max) {
        miette::bail!("--pool: expected a network with average pooling, found none in {}", arguments.model.display());
    }
    let scales = arguments.scales.as_deref().map(|path| Scales::read(path, &model.source.sha256));
    let mut options = ConvertOptions {
        percentile: arguments.percentile,
        percentile_step: arguments.percentile_step,
        test_samples: arguments.test_samples,
        channel_scales: arguments.channel_scales,
        scales: scales.transpose().map_err(report)?,
        precision: arguments.weight_bits,
        quantization: Quantization {
            threshold: arguments.v_thresh,
            reset,
            ticks_per_ms: if code.is_some() { quantization.ticks_per_ms } else { arguments.ticks_per_ms },
            relays: arguments.pool.map_or(quantization.relays, |pool| pool == PoolArgument::Relay),
            ..quantization
        },
        format: if arguments.plain_megasim { NetfileFormat::Original } else { NetfileFormat::Extended },
        output: arguments.output.map_or(OutputForm::Relu, OutputArgument::form),
        softmax_clock: arguments.softmax_clock.unwrap_or_default(),
        max_to_average: arguments.max_to_average,
        rules: Rules { max_pooling: arguments.max_pool.unwrap_or_default(), ..rules },
        adapt_output: arguments.output.is_none() && preset == Preset::Toolbox,
        ..ConvertOptions::default()
    };
    if let Some(neurons) = signed {
        options = options.signed(neurons).map_err(report)?;
    }
    if let Some(InputArgument(events)) = arguments.presentation.input {
        options = options.input_events(events.get());
    }
    if let Some(code) = code {
        let ConvertOptions { quantization, adapt_output, .. } = options;
        options = ConvertOptions { quantization, adapt_output, ..options.preset(Preset::Coded(code)) };
        options.output = arguments.output.map_or(options.output, OutputArgument::form);
        arguments.presentation.coded(code, &mut options)?;
    } else if let Some(presentation) = arguments.presentation.options(is_short)? {
        options = options.presented(&presentation).map_err(|error| presentation::reported(&error))?;
    }
    options.adapt_pool &= arguments.pool.is_none();
    let is_calibrated = options.presentation.as_ref().is_some_and(|it| it.calibration.is_some());
    if signed.is_some() && options.rules.payload_bits.is_some() {
        miette::bail!("--payload-bits: signed neurons count whole spikes; --preset toolbox has others");
    }
    if is_calibrated && options.rules.payload_bits.is_some() {
        miette::bail!("--payload-bits: calibration counts whole spikes; leave out --calibrate");
    }
    if options.channel_scales && !options.looks_at_activations() {
        miette::bail!("--channel-scales goes with --weighting percentile: other weightings look at no activations");
    }
    match arguments.input_scale {
        Some(InputScaleArgument::Value(scale)) => options = options.input_scale(scale),
        Some(InputScaleArgument::Percentile(percentile)) => options = options.input_percentile(percentile),
        None => {}
    }
    if let Some(InputRangeArgument { low, high }) = arguments.input_range {
        let channels = model.input_shape().channels();
        let features = FeatureScales::new(vec![high - low; channels], vec![low; channels]);
        options = options.input_features(features.map_err(|message| miette::miette!("--input-range: {message}"))?);
    }
    if let Some(factor) = arguments.scaling_factor {
        options = options.scaling_factor(factor);
    }
    if let Some(part) = arguments.initial_potential {
        options = options.initial_potential(part);
    }
    let factor = options.quantization.scaling_factor;
    let mut set = |setting: String| -> Result<()> {
        options.settings.push(setting.parse().map_err(|fault: String| miette::miette!("{fault}"))?);
        Ok(())
    };
    if let Some(tau) = arguments.tau_mem {
        set(format!("*.leak_decay={}", Decay::part(tau * f64::from(arguments.ticks_per_ms))))?;
    }
    if let Some(rest) = arguments.resting_potential {
        set(format!("*.resting_potential={:.0}", rest * factor))?;
    }
    // Those of single layers come later, and win.
    options.neurons = equations(&arguments.neuron).map(NeuronFile::all).into_iter().collect();
    if let Some(path) = &arguments.settings {
        let file = settings::read(path)?;
        options.settings.extend(file.settings);
        options.neurons.extend(file.neurons);
    }
    options.settings.extend(arguments.set.iter().cloned());
    Ok((options, chosen))
}

impl Arguments {
    /// Refuses what the neurons and the read-out of a spike code do not have.
    fn check_coded(&self, code: SpikeCode) -> Result<()> {
        let is_pattern = matches!(code, SpikeCode::TemporalPattern { .. });
        let output = match self.output {
            Some(OutputArgument::Relu) => is_pattern,
            Some(OutputArgument::Potential) | None => false,
            Some(OutputArgument::Softmax | OutputArgument::Signed) => true,
        };
        let given = [
            (self.reset.is_some(), "reset"),
            (output, "output"),
            (self.neuron.is_some(), "neuron"),
            (self.hysteresis.is_some(), "hysteresis"),
            (self.max_count.is_some(), "max-count"),
            (self.initial_potential.is_some(), "initial-potential"),
            (is_pattern && self.pool == Some(PoolArgument::Integrate), "pool integrate"),
            (self.ticks_per_ms != DEFAULT_TICKS_PER_MS, "ticks-per-ms"),
        ];
        let given = given.into_iter().find(|(is_given, _)| *is_given).map(|(_, name)| name);
        if let Some(name) = given.or_else(|| chosen::timed_option(self)) {
            miette::bail!("--{name}: has no form with the spike code {code}");
        }
        Ok(())
    }

    fn data(&self, data: &Path, model: &Model, options: &ConvertOptions) -> Result<ConversionData> {
        let format = Format { shape: model.input_shape(), classes: model.classes() };
        let duration = options.presentation.as_ref().map_or(USUAL_DURATION, |presentation| presentation.duration);
        let as_model = |data: Dataset| data.for_input(model.input_form());
        let scale = options.input_scale.unwrap_or(1.0);
        self.taken.dataset((data, self.labels.as_ref()), &format, as_model, (duration, scale))
    }
}

/// The options with inputs whose spikes count as they are recorded.
fn of_recordings(options: ConvertOptions) -> Result<ConvertOptions> {
    if options.input_percentile.is_some() || options.input_features.is_some() {
        miette::bail!(
            "--input-scale, --input-range: expected the value that one spike per ms stands for with recordings, as \
             --input-scale 20"
        );
    }
    if options.quantization.input_events != 1 {
        miette::bail!("--input, --encode: recordings are spikes already, each of which counts as one");
    }
    if !options.rules.code.is_rate() {
        miette::bail!("--preset: expected pictures or arrays with {}, found recordings", options.rules.code);
    }
    let scale = options.input_scale.unwrap_or(1.0);
    Ok(options.input_events(1).input_scale(scale))
}

fn has_pooling(graph: &Graph, is_meant: impl Fn(Pooling) -> bool) -> bool {
    graph.layers().iter().any(|layer| match &layer.operation {
        Operation::Pool { pooling, .. } | Operation::GlobalPool { pooling } => is_meant(*pooling),
        _ => false,
    })
}

/// What the samples decided, in words.
fn notes(model: &Model, adapted: &Adapted) -> Vec<String> {
    let mut notes = Vec::new();
    let has_features = adapted.without_features.is_some();
    if let (events @ 2.., Some(alike)) = adapted.input_events
        && !has_features
    {
        notes.push(format!(
            "input: up to {events} events per ms (--input events:{events}), as with one per ms the trained network \
             itself decides otherwise on {} of the normalisation samples",
            percent(1.0 - alike)
        ));
    }
    if let (Some(features), Some(alike)) = (&adapted.input_features, adapted.without_features) {
        let scales = features.scales().iter().copied();
        notes.push(format!(
            "input: features have their own scales, {:.4} to {:.4}, and offsets (conversion.input_features in \
             megasim.json), with up to {} events per ms, as with one for all the trained network itself decides \
             otherwise on {} of the normalisation samples",
            scales.clone().fold(f64::INFINITY, f64::min),
            scales.fold(0.0, f64::max),
            adapted.input_events.0,
            percent(1.0 - alike)
        ));
    }
    if adapted.input_scale != 1.0 {
        let words = scaling_in_words(model.input_form(), adapted.largest);
        warn_of_scaling(model.input_form(), adapted.largest);
        notes.push(format!("input: {words}; one spike per millisecond stands for {}", adapted.input_scale));
    }
    let silent = percent(adapted.silent);
    if adapted.logit_shift != 0.0 {
        notes.push(format!(
            "output: {silent} of the normalisation samples have none above 0; {:.3} is added to all, which the softmax \
             does not see",
            adapted.logit_shift
        ));
    }
    if adapted.output == OutputForm::Signed {
        notes.push(format!(
            "output: {silent} of the normalisation samples have none above 0; outputs fire spikes of both signs \
             (--output signed)"
        ));
    }
    notes
}

/// How many layers have the levels of the trained network.
fn levels(conversion: &Conversion) -> Option<String> {
    let layers = &conversion.converted.manifest().layers;
    let count = layers.iter().filter(|layer| layer.levels.is_some()).count();
    (count > 0).then(|| {
        format!(
            "quantised activations: counts of {count} of {} layers are the levels of the trained network",
            layers.len()
        )
    })
}

/// The layers, for a person.
fn table(manifest: &Manifest) -> Boxed {
    let rows = manifest.layers.iter().map(|layer| {
        let has_neurons = !matches!(layer.kind.as_str(), "Flatten") && !layer.kind.contains("MaxPool");
        let neurons = if has_neurons { layer.shape.iter().product::<usize>().to_string() } else { "-".into() };
        let (modules, scale) = (layer.nodes.len().to_string(), format!("{:.4}", layer.scale));
        vec![layer.name.clone(), layer.source.clone(), modules, neurons, scale]
    });
    boxed(&["layer", "from", "modules", "neurons", "activation of 1 spike/ms"], rows).texts(2)
}
