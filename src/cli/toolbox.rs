//! `megasim toolbox`: an experiment of SNN toolbox, from its configuration file.

use super::conversion::{self, Job, stages};
use super::data::SplitArguments;
use super::diagnostic::report;
use super::output::Printed;
use super::paths::Paths;
use super::progress::Progress;
use super::recordings::RecordingArguments;
use super::samples::{ConversionData, SampleArguments};
use super::{classify as classify_command, command_line_with, output, print, provenance, refusal};
use clap::{Args, FromArgMatches};
use megasim::ann::score::Score;
use megasim::ann::{
    forward,
    import::{self, ReadOptions},
};
use megasim::atomic_write::{self, AtomicDir, Overwrite, OwnFile};
use megasim::convert::manifest::{self, Manifest};
use megasim::convert::quantize::Quantization;
use megasim::convert::{Checkpoints, Convert, ConvertOptions, OutputForm, Preset, Rules, SpikeCode, Weighting};
use megasim::dataset::recording::Recordings;
use megasim::dataset::{Dataset, Format, Shape};
use megasim::equations::Decay;
use megasim::network::MAX_PAYLOAD_BITS;
use megasim::study::classification::Classification;
use megasim::study::sweep::Figures;
use megasim::toolbox::{Configuration, DatasetFormat, OnlineSettings, SampleSettings};
use miette::{Result, bail, miette};
use serde_json::json;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

mod log;
mod sweep;

/// Run an experiment of SNN toolbox from its configuration file: evaluate, normalise, convert, simulate, sweep
#[derive(Debug, Args)]
pub struct Arguments {
    /// The configuration file
    config: PathBuf,
    /// Where netfiles and results go; a new directory, or one for each value of a sweep next to it
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    printed: Printed,
    /// Replace an earlier result: the files that its run.json lists, unless one was changed or others were added
    #[arg(long)]
    force: bool,
}

/// Endings of model files, in the order in which they are looked for.
const ENDINGS: &[&str] = &["", "keras", "h5", "onnx", "caffemodel", "pth", "safetensors", "npz"];

/// The file of figures.
const RESULTS: &str = "results.json";

/// The normalised model, where nothing else is asked for.
const NORMALISED: &str = "normalised.npz";

/// How much lower the percentile is a layer with `normalization_schedule`.
const SCHEDULE_STEP: f64 = 0.02;

/// Runs what the file asks for.
pub fn run(arguments: &Arguments) -> Result<()> {
    let configuration = Configuration::read(&arguments.config).map_err(report)?;
    for remark in &configuration.remarks {
        output::warn(format_args!("{remark}"));
    }
    let replace = Overwrite::from_flag(arguments.force);
    if let Some(asked) = &configuration.sweep {
        return sweep::run(arguments, &configuration, asked, replace);
    }
    let model = model_of(&configuration)?;
    check_paths(arguments, &model, &configuration, &arguments.out)?;
    one(&Run { arguments, model: &model, it: &configuration, out: &arguments.out, replace, shares: false }).map(drop)
}

/// The model of the settings.
fn model_of(configuration: &Configuration) -> Result<import::Model> {
    refusal::read(&model_file(configuration)?, ReadOptions::default(), true)
}

/// Refuses places that are the same.
fn check_paths(arguments: &Arguments, model: &import::Model, it: &Configuration, out: &Path) -> Result<()> {
    let paths = Paths::default().directories([&out.to_path_buf()]).files(&it.parsed_model);
    paths.inputs([&arguments.config, &model.source.path]).data([&it.dataset_path]).check()
}

/// One run of an experiment: a configuration, and where its netfiles are.
struct Run<'a> {
    arguments: &'a Arguments,
    model: &'a import::Model,
    it: &'a Configuration,
    out: &'a Path,
    replace: Overwrite,
    /// Whether other runs have the same netfiles, so that their figures are not kept there.
    shares: bool,
}

fn model_file(configuration: &Configuration) -> Result<PathBuf> {
    let base = configuration.path_wd.join(&configuration.filename_ann);
    // The name may contain points, so endings are put behind it.
    let candidates = ENDINGS.iter().map(|ending| {
        let mut name = base.as_os_str().to_os_string();
        if !ending.is_empty() {
            name.push(".");
            name.push(ending);
        }
        PathBuf::from(name)
    });
    match candidates.into_iter().find(|path| path.is_file()) {
        Some(path) => Ok(path),
        None => bail!("{}: expected a model file of this name (.keras, .h5, .onnx, ...), found none", base.display()),
    }
}

/// Does what the settings ask for; figures of a simulation whose classes are known.
fn one(run: &Run<'_>) -> Result<Option<Figures>> {
    let &Run { arguments, model, it, out, replace, shares } = run;
    if !it.convert && !it.simulate && !it.evaluate_ann && !it.normalize_is_given {
        bail!(
            "{}: expected something to do in [tools], found evaluate_ann, convert and simulate off",
            arguments.config.display()
        );
    }
    let recordings = Recordings::find(&it.dataset_path).map_err(report)?;
    let taken = samples(it, recordings.as_ref(), model.input_shape())?;
    let format = Format { shape: model.input_shape(), classes: model.classes() };
    let data = || {
        let as_model = |data: Dataset| data.for_input(model.input_form());
        taken.dataset((&it.dataset_path, None), &format, as_model, (it.duration, 1.0))
    };
    if !it.convert && !it.simulate && !it.normalize_is_given {
        return evaluate(arguments, model, it, &data()?, out, replace).map(|()| None);
    }
    let mut options = conversion_options(model, it)?;
    if recordings.is_some() && !it.spike_code.is_rate() {
        bail!("[conversion] spike_code = {}: expected pictures or arrays, found recordings", it.spike_code);
    }
    if recordings.is_some() {
        options = options.input_events(1).input_scale(1.0);
    }
    if !it.convert && !it.simulate {
        return normalise(arguments, model, it, (&options, data()?), out, replace).map(|()| None);
    }
    if !it.convert {
        check(arguments, model, &options, out)?;
    }
    let other = it.other_simulator.map(|simulator| log::for_another(simulator, it, out, replace)).transpose()?;
    if it.convert {
        let data = data()?;
        let done = conversion::run(&Job {
            model,
            data: &ConversionData { dataset: data.dataset.with_test_samples(it.num_to_test), ..data },
            out,
            options: &options,
            checkpoints: &Checkpoints {
                save_parsed: it.parsed_model.clone(),
                overwrite: replace,
                ..Checkpoints::default()
            },
            export: None,
            replace,
        })?;
        if it.evaluate_ann {
            print(&format!("{}\n", stages(&done.stages)));
        }
        print(&format!("Written to {}.\n", out.display()));
    }
    if let Some(other) = &other {
        log::written_for_another(other, out)?;
    }
    if !it.simulate {
        return Ok(None);
    }
    let arguments = shown(it, &taken, out, log::options(it, out, replace)?)?;
    let Some(found) = classify_command::show(&arguments)? else { return Ok(None) };
    if !shares {
        keep(run, &found, &taken, recordings.is_some())?;
    }
    if it.draws.layers {
        log::layers(it, &taken, out, replace);
    }
    Ok(Figures::of(&found))
}

/// Writes the figures next to the netfiles.
fn keep(run: &Run<'_>, found: &Classification, taken: &SampleArguments, recorded: bool) -> Result<()> {
    let &Run { arguments, model, it, out, .. } = run;
    let results = out.join(RESULTS);
    let text = format!("{:#}\n", json!(found.figures()));
    // Listed first: a run that is killed in between leaves nothing that a second one would take for another's file.
    provenance::add(out, [OwnFile::of(RESULTS, text.as_bytes())]).map_err(report)?;
    atomic_write::write_file(&results, Overwrite::Allow, |file| file.write_all(text.as_bytes())).map_err(report)?;
    let Presented { duration, ticks_per_ms, encode } = Presented::of(it, out)?;
    let mut parameters = json!({
        "duration": duration,
        "encode": encode,
        "input_rate": it.input_rate,
        "ticks_per_ms": ticks_per_ms,
        "samples": it.num_to_test,
        "dt": 1,
    });
    taken.parameters(recorded, &mut parameters);
    provenance::write_beside(&[&results], &[&arguments.config, &model.source.path], Some(0), parameters).map_err(report)
}

/// How samples are taken of the data.
fn samples(it: &Configuration, recordings: Option<&Recordings>, input: Shape) -> Result<SampleArguments> {
    let SampleSettings { format, events, chip_size, signs, of_recordings, preprocessing } = &it.taken;
    let frames = *format == Some(DatasetFormat::Frames);
    if let Some(format) = format.filter(|format| recordings.is_some() != (*format == DatasetFormat::Aedat) && !frames) {
        let found = if recordings.is_some() { "event recordings" } else { "no event recordings" };
        let name = format.name();
        output::warn(format_args!("[input] dataset_format = {name}: the data are {found}, and are taken as that"));
    }
    match recordings {
        None => of_recordings.iter().for_each(|key| {
            output::warn(format_args!("{key}: nothing is done, as the data are no event recordings"));
        }),
        Some(_) if it.poisson_input => bail!("[input] poisson_input: recordings are spikes already"),
        Some(_) if frames => {
            bail!("[input] dataset_format: expected arrays with sequences of frames, found recordings")
        }
        Some(_) if preprocessing.is_some() => {
            bail!("[input] datagen_kwargs, dataflow_kwargs: expected pictures or arrays, found recordings")
        }
        Some(_) => {}
    }
    let downsample = match (chip_size, input) {
        (Some([columns, rows]), Shape::Maps { height, width, .. }) => {
            let least = (columns.div_ceil(width as u32)).max(rows.div_ceil(height as u32));
            u16::try_from(least).map_err(|_| miette!("[input] chip_size: expected at most 65535 pixels for one"))?
        }
        _ => 1,
    };
    let recording = RecordingArguments::new(downsample, *signs, *events);
    Ok(SampleArguments::new(SplitArguments::changed_by(preprocessing.clone()), frames, recording))
}

/// How samples are presented.
struct Presented {
    duration: u32,
    ticks_per_ms: u32,
    encode: String,
}

impl Presented {
    /// As the settings say, or as the spike code of the netfiles in `out` needs it.
    fn of(it: &Configuration, out: &Path) -> Result<Self> {
        let encode = if it.poisson_input { "poisson" } else { "regular" }.to_string();
        let asked = Self { duration: it.duration, ticks_per_ms: it.ticks_per_ms, encode };
        if it.spike_code.is_rate() {
            return Ok(asked);
        }
        let made = Manifest::read(out).map_err(report)?.presentation;
        Ok(made.map_or(asked, |made| Self {
            duration: made.duration,
            ticks_per_ms: made.ticks_per_ms,
            encode: made.encode,
        }))
    }
}

/// A command that shows the samples as the settings ask for, with further options of it.
fn presented(it: &Configuration, out: &Path, command: &str, more: Vec<OsString>) -> Result<Vec<OsString>> {
    let mut words: Vec<OsString> = vec!["megasim".into(), command.into(), out.into(), "--data".into()];
    words.push(it.dataset_path.clone().into());
    let mut add = |option: &str, value: String| words.extend([option.into(), value.into()]);
    let Presented { duration, ticks_per_ms, encode } = Presented::of(it, out)?;
    add("--duration", duration.to_string());
    add("--ticks-per-ms", ticks_per_ms.to_string());
    add("--encode", encode);
    if it.spike_code.is_rate() {
        add("--input-rate", it.input_rate.to_string());
    }
    add("--samples", it.samples.as_ref().map_or(it.num_to_test.to_string(), ToString::to_string));
    words.extend(more);
    Ok(words)
}

/// The run that the settings ask for, as `megasim classify` has it; `more` are further options of it.
fn shown(
    it: &Configuration,
    taken: &SampleArguments,
    out: &Path,
    more: Vec<OsString>,
) -> Result<classify_command::Arguments> {
    let mut words = presented(it, out, "classify", Vec::new())?;
    let mut add = |option: &str, value: String| words.extend([option.into(), value.into()]);
    if it.early_stopping && it.spike_code.is_rate() {
        add("--confidence", "1".into());
    }
    if it.top_k > 1 {
        add("--top-k", it.top_k.to_string());
    }
    if let Some(OnlineSettings { diff_to_max_rate, diff_to_min_rate, every_ms }) =
        it.online.filter(|_| it.spike_code.is_rate())
    {
        add("--diff-to-max-rate", diff_to_max_rate.to_string());
        add("--diff-to-min-rate", diff_to_min_rate.to_string());
        add("--timestep-fraction", every_ms.to_string());
        words.push("--online-normalization".into());
    }
    words.extend(more);
    let matches = command_line_with("classify".as_ref()).try_get_matches_from(words).map_err(report)?;
    let matches = matches.subcommand_matches("classify").ok_or_else(|| miette!("expected the command classify"))?;
    let mut shown = classify_command::Arguments::from_arg_matches(matches).map_err(report)?;
    shown.taken = taken.clone();
    Ok(shown)
}

/// Writes the normalised model alone.
fn normalise(
    arguments: &Arguments,
    model: &import::Model,
    it: &Configuration,
    (options, data): (&ConvertOptions, ConversionData),
    out: &Path,
    replace: Overwrite,
) -> Result<()> {
    let directory = AtomicDir::create(out, replace).map_err(report)?;
    let ConversionData { dataset, inputs: read, parameters: taken, .. } = data;
    let data = dataset.with_test_samples(it.num_to_test);
    let checkpoints = Checkpoints {
        save_normalised: Some(directory.path().join(NORMALISED)),
        save_parsed: it.parsed_model.clone(),
        overwrite: replace,
        ..Checkpoints::default()
    };
    let done = model.convert_with(&data, options, &checkpoints, &Progress::default()).map_err(report)?;
    if it.evaluate_ann {
        print(&format!("{}\n", stages(&done.stages)));
    }
    let inputs = [&arguments.config, &model.source.path].into_iter().chain(&done.inputs).chain(&read);
    let mut inputs: Vec<&Path> = inputs.map(PathBuf::as_path).collect();
    inputs.dedup();
    let mut parameters = json!({ "percentile": it.percentile, "percentile_step": options.percentile_step });
    parameters.as_object_mut().into_iter().for_each(|known| known.extend(taken.clone()));
    let run = provenance::Run { results: &[NORMALISED], inputs: &inputs, seed: None, parameters };
    provenance::write(directory.path(), &run).map_err(report)?;
    directory.finish().map_err(report)?;
    print(&format!("Normalised model: {}\n", out.join(NORMALISED).display()));
    Ok(())
}

/// How the settings ask for the network to be converted.
fn conversion_options(model: &import::Model, it: &Configuration) -> Result<ConvertOptions> {
    let rules = Rules {
        weighting: if it.normalize { Weighting::Percentile } else { Weighting::AsTrained },
        offset: it.offset,
        currents: it.currents,
        max_pooling: it.max_pooling,
        payload_bits: it.payloads.then_some(MAX_PAYLOAD_BITS),
        ..Rules::default()
    };
    let ticks = |ms: f64| (ms * f64::from(it.ticks_per_ms)).round() as i64;
    let integer = |potential: f64| (potential * it.scaling_factor).round() as i64;
    let decay = it.tau_m.map_or(0, |tau| Decay::part(tau * f64::from(it.ticks_per_ms)));
    let settings = [
        ("T_Refract", ticks(it.tau_refrac)),
        ("delay_to_arrive", ticks(it.delay)),
        ("MembReset", integer(it.v_reset)),
        ("leak_decay", decay.into()),
    ];
    let mut settings: Vec<String> =
        settings.iter().filter(|(_, value)| *value != 0).map(|(key, value)| format!("*.{key}={value}")).collect();
    // Neurons rest at their reset value where no other is set.
    if it.v_rest != it.v_reset {
        settings.push(format!("*.resting_potential={}", integer(it.v_rest)));
    }
    let settings = settings.iter().map(|setting| setting.parse()).collect::<std::result::Result<_, String>>();
    if !it.spike_code.is_rate() {
        let mut options = ConvertOptions::new().preset(Preset::Coded(it.spike_code));
        options.percentile = it.percentile;
        options.percentile_step = if it.schedule { SCHEDULE_STEP } else { 0.0 };
        options.quantization.scaling_factor = it.scaling_factor;
        options.quantization.threshold = it.v_thresh;
        options.precision = it.precision;
        options.max_to_average = it.max2avg_pool;
        options.rules.weighting = rules.weighting;
        options.rules.offset = it.offset;
        if let (Some(presentation), SpikeCode::Ttfs | SpikeCode::TtfsDynThresh | SpikeCode::TtfsCorrective) =
            (&mut options.presentation, it.spike_code)
        {
            presentation.duration = it.duration;
        }
        return Ok(options);
    }
    Ok(ConvertOptions {
        percentile: it.percentile,
        percentile_step: if it.schedule { SCHEDULE_STEP } else { 0.0 },
        quantization: Quantization {
            scaling_factor: it.scaling_factor,
            threshold: it.v_thresh,
            reset: it.reset,
            ticks_per_ms: it.ticks_per_ms,
            ..Quantization::default()
        },
        output: if model.graph.ends_in_softmax() && !it.softmax_to_relu {
            OutputForm::Softmax
        } else {
            OutputForm::Relu
        },
        softmax_clock: it.softmax_clock,
        precision: it.precision,
        max_to_average: it.max2avg_pool,
        rules,
        settings: settings.map_err(|message| miette::miette!("{message}"))?,
        adapt_output: false,
        ..ConvertOptions::default()
    })
}

/// Refuses netfiles of an earlier conversion that are not what the settings ask for.
fn check(arguments: &Arguments, model: &import::Model, asked: &ConvertOptions, netdir: &Path) -> Result<()> {
    let manifest = Manifest::read(netdir).map_err(report)?;
    let there = manifest.options();
    let or_none = |number: Option<f64>| number.map_or("none".into(), |number| number.to_string());
    let of = |options: &ConvertOptions| -> Vec<(&'static str, String)> {
        let Quantization {
            scaling_factor,
            threshold,
            reset,
            initial_potential,
            ticks_per_ms,
            signed,
            input_events,
            relays,
        } = options.quantization;
        let mut all = vec![
            ("[simulation] dt (ticks per ms)", ticks_per_ms.to_string()),
            ("scaling_factor", scaling_factor.to_string()),
            ("[cell] v_thresh", threshold.to_string()),
            ("reset", manifest::reset_name(reset).to_string()),
            ("initial potential", initial_potential.to_string()),
            ("signed neurons", signed.is_some().to_string()),
            ("averages pass spikes on", relays.to_string()),
            ("events of the input per ms", input_events.to_string()),
            ("[cell] binarize_weights, quantize_weights (weights)", options.precision.to_string()),
            ("[conversion] max2avg_pool", options.max_to_average.to_string()),
            ("[conversion] maxpool_type", options.rules.max_pooling.to_string()),
            ("[conversion] softmax_to_relu (output)", format!("{:?}", options.output).to_lowercase()),
            ("[tools] normalize (weighting)", format!("{:?}", options.rules.weighting).to_lowercase()),
            ("given scales", options.scales.is_some().to_string()),
            ("[conversion] spike_code", format!("{:?}", options.rules.code)),
            ("[cell] i_offset / cm", options.rules.offset.to_string()),
            ("[cell] payloads", options.rules.payload_bits.is_some().to_string()),
            ("[cell] tau_syn_e (ms)", or_none(options.rules.currents.excitatory)),
            ("[cell] tau_syn_i (ms)", or_none(options.rules.currents.inhibitory)),
        ];
        if options.rules.weighting == Weighting::Percentile {
            all.push(("[normalization] percentile", options.percentile.to_string()));
            all.push(("[normalization] normalization_schedule (step)", options.percentile_step.to_string()));
        }
        if options.output == OutputForm::Softmax {
            all.push(("[cell] softmax_clockrate", options.softmax_clock.to_string()));
        }
        all
    };
    let mut differences: Vec<String> = of(asked)
        .into_iter()
        .zip(of(&there))
        .filter(|(asked, there)| asked != there)
        .map(|((name, asked), (_, there))| format!("{name}: expected {asked}, found {there}"))
        .collect();
    let settings: Vec<String> = asked.settings.iter().map(ToString::to_string).collect();
    if settings != manifest.conversion.settings {
        let list = |settings: &[String]| if settings.is_empty() { "none".into() } else { settings.join(" ") };
        let (asked, there) = (list(&settings), list(&manifest.conversion.settings));
        differences.push(format!("[cell] tau_refrac, tau_m, delay, v_reset, v_rest: expected {asked}, found {there}"));
    }
    if model.source.sha256 != manifest.model.sha256 {
        differences
            .push(format!("[paths] filename_ann: expected {}, found another model", model.source.path.display()));
    }
    if differences.is_empty() {
        return Ok(());
    }
    bail!(
        "{}: was converted otherwise than {} asks; set 'convert = True' in [tools], or the settings as they were:\n  \
            {}",
        netdir.display(),
        arguments.config.display(),
        differences.join("\n  ")
    )
}

/// Evaluates the trained network on the first `num_to_test` samples, as SNN toolbox does.
fn evaluate(
    arguments: &Arguments,
    model: &import::Model,
    it: &Configuration,
    data: &ConversionData,
    out: &Path,
    replace: Overwrite,
) -> Result<()> {
    let directory = AtomicDir::create(out, replace).map_err(report)?;
    let ConversionData { dataset, inputs: read, parameters: taken, .. } = data;
    let data = dataset.clone().for_input(model.input_form());
    let format = Format { shape: model.input_shape(), classes: model.classes() };
    let samples = data.test(&format, 0, Some(it.num_to_test)).map_err(report)?;
    let outputs = forward::forward(&model.graph, samples.x.view()).map_err(report)?;
    let score = Score::new(outputs.view(), &samples.y);
    let (right, total, accuracy) = (score.top(1), score.samples(), score.accuracy());
    super::answer(&format!("analog: {:.2} % ({right} of {total} samples right)", 100.0 * accuracy));
    let top_k = (it.top_k > 1).then(|| score.top(it.top_k as usize) as f64 / total.max(1) as f64);
    if let Some(share) = top_k {
        print(&format!("right among the first {}: {:.2} %\n", it.top_k, 100.0 * share));
    }
    let figures = json!({ "samples": total, "accuracy": { "ann": accuracy }, "top_k": { "ann": top_k } });
    let results = directory.path().join(RESULTS);
    atomic_write::write_file(&results, Overwrite::Allow, |file| writeln!(file, "{figures:#}")).map_err(report)?;
    let mut inputs = vec![arguments.config.clone(), model.source.path.clone()];
    inputs.extend(data.test_files().into_iter().chain(read.iter().cloned()));
    let inputs: Vec<&Path> = inputs.iter().map(PathBuf::as_path).collect();
    let mut parameters = json!({ "samples": total, "top_k": it.top_k });
    parameters.as_object_mut().into_iter().for_each(|known| known.extend(taken.clone()));
    let run = provenance::Run { results: &[RESULTS], inputs: &inputs, seed: None, parameters };
    provenance::write(directory.path(), &run).map_err(report)?;
    directory.finish().map_err(report)
}
