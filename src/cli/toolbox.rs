//! `megasim toolbox`: an experiment of SNN toolbox, from its configuration file.

use super::classification::{remarks, table};
use super::conversion::{self, Job, stages};
use super::diagnostic::report;
use super::input::{self, warn_of_ticks};
use super::paths::Paths;
use super::progress::Progress;
use super::{escape, print, provenance};
use clap::Args;
use megasim::ann::score::Score;
use megasim::ann::{forward, import};
use megasim::atomic_write::{self, AtomicDir, Overwrite, OwnFile};
use megasim::convert::manifest::{self, Manifest};
use megasim::convert::quantize::Quantization;
use megasim::convert::{Checkpoints, ConvertOptions, OutputForm, Precision, Rules, Weighting};
use megasim::dataset::{Dataset, Format};
use megasim::encode::{Poisson, Regular};
use megasim::study::classification::{ClassifyOptions, classify};
use megasim::toolbox::{Configuration, Swept};
use miette::{Result, bail};
use serde_json::json;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

/// Run an experiment of SNN toolbox from its configuration file: evaluate, normalise, convert, simulate, sweep
#[derive(Debug, Args)]
pub struct Arguments {
    /// The configuration file
    config: PathBuf,
    /// Where netfiles and results go; a new directory, or one for each value of a sweep beside it
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Replace an earlier result: the files that its run.json lists, unless one was changed or others were added
    #[arg(long)]
    force: bool,
}

/// Endings of model files, in the order in which they are looked for.
const ENDINGS: &[&str] = &["", "keras", "h5", "onnx", "caffemodel", "pth", "safetensors", "npz"];

/// The file of figures.
const RESULTS: &str = "results.json";

/// How much lower the percentile is a layer with `normalization_schedule`.
const SCHEDULE_STEP: f64 = 0.02;

/// Runs what the file asks for.
pub fn run(arguments: &Arguments) -> Result<()> {
    let configuration = Configuration::read(&arguments.config).map_err(report)?;
    for remark in &configuration.remarks {
        escape::warn(format_args!("{remark}"));
    }
    let replace = Overwrite::from_flag(arguments.force);
    let model = import::read(&model_file(&configuration)?).map_err(report)?;
    let read = [&arguments.config, &model.source.path];
    let data = [&configuration.dataset_path];
    let runs = match &configuration.sweep {
        None => vec![(arguments.out.clone(), configuration.clone())],
        Some((swept, values)) => values
            .iter()
            .map(|&value| {
                let mut name = arguments.out.as_os_str().to_os_string();
                name.push(format!("-{value}"));
                (PathBuf::from(name), changed(&configuration, *swept, value))
            })
            .collect(),
    };
    for (out, _) in &runs {
        Paths::default().directories([out]).inputs(read).data(data).check()?;
    }
    for (out, configuration) in &runs {
        one(arguments, &model, configuration, out, replace)?;
    }
    Ok(())
}

fn changed(configuration: &Configuration, swept: Swept, value: f64) -> Configuration {
    let mut changed = configuration.clone();
    match swept {
        Swept::Duration => changed.duration = value.clamp(1.0, 1e6) as u32,
        Swept::InputRate => changed.input_rate = value,
        Swept::Percentile => changed.percentile = value.min(100.0),
        Swept::Threshold => changed.v_thresh = value,
        Swept::ScalingFactor => changed.scaling_factor = value,
    }
    changed
}

fn model_file(configuration: &Configuration) -> Result<PathBuf> {
    let base = configuration.path_wd.join(&configuration.filename_ann);
    // The name may hold points of its own, so endings are put behind it.
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

fn one(arguments: &Arguments, model: &import::Model, it: &Configuration, out: &Path, replace: Overwrite) -> Result<()> {
    if !it.convert && !it.simulate && !it.evaluate_ann {
        bail!(
            "{}: expected something to do in [tools], found evaluate_ann, convert and simulate off",
            arguments.config.display()
        );
    }
    if !it.convert && !it.simulate {
        return evaluate(arguments, model, it, out, replace);
    }
    let options = conversion_options(model, it)?;
    if !it.convert {
        check(arguments, model, &options, out)?;
    }
    if it.convert {
        let done = conversion::run(&Job {
            model,
            data: &it.dataset_path,
            out,
            options: &options,
            checkpoints: &Checkpoints::default(),
            export: None,
            replace,
        })?;
        if it.evaluate_ann {
            print(&format!("{}\n", stages(&done.stages)));
        }
        print(&format!("Written to {}.\n", out.display()));
    }
    if !it.simulate {
        return Ok(());
    }
    let mut options = ClassifyOptions::new().duration(it.duration).ticks_per_ms(it.ticks_per_ms);
    options.code = if it.poisson_input {
        Box::new(Poisson { input_rate: it.input_rate, seed: 0 })
    } else {
        Box::new(Regular { input_rate: it.input_rate })
    };
    options.top_k = NonZeroU32::new(it.top_k).filter(|k| k.get() > 1);
    let converted = input::open(out)?;
    warn_of_ticks(&converted, options.clock);
    let data = Dataset::open(&it.dataset_path).map_err(report)?;
    let samples = input::test_samples(&converted, &data, 0, Some(it.num_to_test))?;
    let found = classify(&converted, &samples, &options, &Progress::default()).map_err(report)?;
    print(&format!("{}\n{}", table(&found), remarks(&found)));
    let results = out.join(RESULTS);
    let text = format!("{:#}\n", json!(found.figures()));
    // Listed first: a run that is killed in between leaves nothing that a second one would take for another's file.
    provenance::add(out, [OwnFile::of(RESULTS, text.as_bytes())]).map_err(report)?;
    atomic_write::write_file(&results, Overwrite::Allow, |file| file.write_all(text.as_bytes())).map_err(report)?;
    let parameters = json!({
        "duration": it.duration,
        "encode": if it.poisson_input { "poisson" } else { "regular" },
        "input_rate": it.input_rate,
        "ticks_per_ms": it.ticks_per_ms,
        "samples": it.num_to_test,
        "dt": 1,
    });
    provenance::write_beside(&[&results], &[&arguments.config, &model.source.path], Some(0), parameters).map_err(report)
}

/// How the settings ask for the network to be converted.
fn conversion_options(model: &import::Model, it: &Configuration) -> Result<ConvertOptions> {
    let rules = Rules {
        weighting: if it.normalize { Weighting::Percentile } else { Weighting::AsTrained },
        ..Rules::default()
    };
    let refractory = (it.tau_refrac * f64::from(it.ticks_per_ms)).round() as i64;
    let refractory = (refractory > 0).then(|| format!("*.T_Refract={refractory}").parse());
    let settings = refractory.into_iter().collect::<std::result::Result<_, String>>();
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
        softmax_clock: it.softmax_clockrate,
        precision: if it.binarize_weights { Precision::Binary } else { Precision::Full },
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
            ("[cell] binarize_weights (weights)", options.precision.to_string()),
            ("[conversion] max2avg_pool", options.max_to_average.to_string()),
            ("[conversion] softmax_to_relu (output)", format!("{:?}", options.output).to_lowercase()),
            ("[tools] normalize (weighting)", format!("{:?}", options.rules.weighting).to_lowercase()),
            ("given scales", options.scales.is_some().to_string()),
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
        differences.push(format!("[cell] tau_refrac (settings of neurons): expected {asked}, found {there}"));
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
    out: &Path,
    replace: Overwrite,
) -> Result<()> {
    let directory = AtomicDir::create(out, replace).map_err(report)?;
    let data = Dataset::open(&it.dataset_path).map_err(report)?.for_input(model.input_form());
    let format = Format { shape: model.input_shape(), classes: model.classes() };
    let samples = data.test(&format, 0, Some(it.num_to_test)).map_err(report)?;
    let outputs = forward::forward(&model.graph, samples.x.view()).map_err(report)?;
    let score = Score::new(outputs.view(), &samples.y);
    let (right, total, accuracy) = (score.top(1), score.samples(), score.accuracy());
    print(&format!("analog: {:.2} % ({right} of {total} samples right)\n", 100.0 * accuracy));
    let top_k = (it.top_k > 1).then(|| score.top(it.top_k as usize) as f64 / total.max(1) as f64);
    if let Some(share) = top_k {
        print(&format!("right among the first {}: {:.2} %\n", it.top_k, 100.0 * share));
    }
    let figures = json!({ "samples": total, "accuracy": { "ann": accuracy }, "top_k": { "ann": top_k } });
    let results = directory.path().join(RESULTS);
    atomic_write::write_file(&results, Overwrite::Allow, |file| writeln!(file, "{figures:#}")).map_err(report)?;
    let mut inputs = vec![arguments.config.clone(), model.source.path.clone()];
    inputs.extend(data.test_files());
    let inputs: Vec<&Path> = inputs.iter().map(PathBuf::as_path).collect();
    let parameters = json!({ "samples": total, "top_k": it.top_k });
    let run = provenance::Run { results: &[RESULTS], inputs: &inputs, seed: None, parameters };
    provenance::write(directory.path(), &run).map_err(report)?;
    directory.finish().map_err(report)
}
