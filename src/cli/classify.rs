//! `megasim classify`: test samples through a converted network, in both modes, next to the analog one.

mod page;
mod potentials;

use super::classification::{check_top_k, remarks, table};
use super::diagnostic::report;
use super::history::HistoryArguments;
use super::input;
use super::numbers::from_one;
use super::online::{self, OnlineArguments};
use super::paths::Paths;
use super::per_sample::{page_file, predictions_file, write_predictions};
use super::presentation::{Presentation, TestSamples};
use super::progress::Progress;
use super::read_out::ReadOutArguments;
use super::results::{Results, of_page};
use super::samples::{Read, SampleArguments};
use super::sharing::{self, Sharing};
use super::show::ShowArguments;
use super::spikes::{RecordArguments, write_recording};
use super::{answer, features, interrupt, print};
use clap::{Args, ValueEnum};
use megasim::convert::{ConvertedModel, LabelledSamples};
use megasim::network::Tick;
use megasim::parallel::Pool;
use megasim::readout::is_signed;
use megasim::report::{Page, Section};
use megasim::study::answers;
use megasim::study::classification::{Classification, ClassifyOptions, Error, Modes, NeuroBench, classify, neurobench};
use miette::{Result, miette};
use page::Wanted;
use serde_json::json;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

/// Classify test samples with a converted network, event by event and clocked, next to the analog network
#[derive(Debug, Args)]
pub struct Arguments {
    /// Netfile directory that 'megasim convert' wrote, or the .npz model of 'megasim train' (then only --data, --skip,
    /// --samples and --json count)
    netdir: PathBuf,
    /// Directory or file of test data
    #[arg(long, value_name = "DATA")]
    data: PathBuf,
    /// Class of each test sample, in place of those of the data (.npy, .npz, MNIST's); data without any are classified
    /// all the same
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    #[command(flatten)]
    pub(super) taken: SampleArguments,
    /// How the network is run
    #[arg(long, value_enum, default_value_t = ModeArgument::Both)]
    mode: ModeArgument,
    /// Ticks per clocked step
    #[arg(long, value_name = "TICKS", default_value_t = 1, value_parser = clap::value_parser!(i64).range(1..))]
    dt: Tick,
    /// Write a page of pictures to this file, and their numbers to a directory next to it
    #[arg(long, value_name = "FILE.html", value_parser = page_file)]
    report: Option<PathBuf>,
    #[command(flatten)]
    show: ShowArguments,
    /// Write what was decided on each sample to this file, FILE.npz or FILE.csv: classes, scores, times, operations
    #[arg(long, value_name = "FILE", value_parser = predictions_file)]
    predictions: Option<PathBuf>,
    #[command(flatten)]
    record: RecordArguments,
    /// What was decided on each sample, in --json
    #[arg(long, requires = "json")]
    per_sample: bool,
    /// What NeuroBench 2 counts, in --json: footprint, sparsities, synaptic operations, membrane updates; samples run
    /// once more for it
    #[arg(long, requires = "json")]
    neurobench: bool,
    #[command(flatten)]
    history: HistoryArguments,
    #[command(flatten)]
    pub(super) presentation: Presentation,
    #[command(flatten)]
    decision: DecisionArguments,
    #[command(flatten)]
    online: OnlineArguments,
    #[command(flatten)]
    sharing: Sharing,
    #[command(flatten)]
    results: Results,
}

/// How a class is decided, and what is reported of it.
#[derive(Debug, Clone, Default, Args)]
pub struct DecisionArguments {
    #[command(flatten)]
    read_out: ReadOutArguments,
    /// Also show how often the right class is among the first N
    #[arg(long, value_name = "N", value_parser = from_one::<NonZeroU32>)]
    top_k: Option<NonZeroU32>,
    /// Run samples that stopped early again to their end, to report the operations that stopping saved
    #[arg(long)]
    savings: bool,
}

/// `--mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ModeArgument {
    Event,
    Clocked,
    Both,
}

/// Classifies, prints and writes.
pub fn run(arguments: &Arguments) -> Result<()> {
    show(arguments).map(drop)
}

/// As [`run`]; what was found, if it is about all samples of a converted network.
///
/// # Errors
/// As of [`run`].
pub fn show(arguments: &Arguments) -> Result<Option<Classification>> {
    let Arguments { netdir, data, presentation, results, decision, .. } = arguments;
    results.check()?;
    let results_in = || arguments.predictions.iter().chain(arguments.record.file());
    results_in().try_for_each(|path| results.check_file(path))?;
    let paths = Paths::default().files(results.file().into_iter().chain(results_in())).pages(&arguments.report);
    let paths = paths.directories(&arguments.sharing.outcomes).directories(&arguments.online.save_thresholds);
    paths.inputs([netdir].into_iter().chain(&arguments.history.history)).data([data]).check()?;
    let read_out = arguments.decision.read_out.choice();
    read_out.check().map_err(report)?;
    if let Some(path) = &arguments.report {
        Page::check(path, results.overwrite()).map_err(report)?;
    }
    if features::is_model(netdir) {
        sharing::alone("a model of 'megasim train'")?;
        if arguments.report.is_some() {
            miette::bail!("--report: expected netfiles; 'megasim features --report' draws models of 'megasim train'");
        }
        let (skip, samples) = (presentation.skip, presentation.samples.clone());
        let samples = match samples {
            Some(TestSamples::Listed(_)) => {
                miette::bail!("--samples: expected a number of samples with a model of 'megasim train', found a list")
            }
            Some(TestSamples::Most(most)) => Some(most.get()),
            None => None,
        };
        let selection = features::Selection { model: netdir, data, skip, samples, results };
        return features::evaluate(&selection).map(|()| None);
    }
    let saved = arguments.online.place(results.overwrite())?;
    let recordings = arguments.taken.recordings(netdir, data, presentation)?;
    let pool = presentation.threads.pool().map_err(report)?;
    let history = arguments.history.read(&arguments.report, netdir)?;
    let converted = input::open(netdir)?;
    let options = arguments.options(&converted)?;
    let (form, signed) = (converted.manifest().output.form, is_signed(converted.network(), converted.output()));
    let readout = read_out.kind_for(form, signed).map_err(report)?;
    let recording = arguments.record.recording(&converted)?;
    let given = (data.as_path(), arguments.labels.as_ref());
    let Read { samples, inputs: files } =
        arguments.taken.read(&converted, given, recordings.as_ref(), presentation, &[])?;
    if samples.labels().is_none() {
        let refused = [(arguments.report.is_some(), "--report"), (options.top_k.is_some(), "--top-k")];
        if let Some((_, option)) = refused.into_iter().find(|(is_asked, _)| *is_asked) {
            miette::bail!("{option}: expected samples whose classes are known, found none: --labels FILE gives them");
        }
    }
    if recording.is_some() {
        sharing::alone("--record")?;
    }
    if saved.is_some() {
        sharing::alone("--save-thresholds")?;
    }
    let wanted = Wanted {
        neurons: arguments.show.neurons(&page::layers(converted.network(), &converted), converted.network())?,
        sample: arguments.show.place(samples.len(), |k| samples.numbers().number(k))?,
    };
    let mut inputs = vec![netdir.clone()];
    inputs.extend(files);
    inputs.extend(presentation.code_file().map(Path::to_path_buf));
    arguments.sharing.begin(&inputs, Some(presentation.seed), pool.current_num_threads())?;
    interrupt::watch();
    let progress = Progress::default();
    let found = pool.install(|| classify(&converted, &samples, &options, &progress));
    drop(progress);
    let found = sharing::whole(found, |error| matches!(error, Error::Cancelled)).map_err(report)?;
    let Some(found) = found else {
        if arguments.report.is_some() && !interrupt::asked() {
            pool.install(|| page::keep(&converted, &samples, &options))?;
        }
        if arguments.neurobench && !interrupt::asked() {
            complexity(&pool, &converted, &samples, &options)?;
        }
        return Ok(None);
    };
    if let Some(path) = &arguments.predictions {
        write_predictions(path, &found, results.overwrite())?;
    }
    let recorded = recording.clone();
    let recording = recording.zip(arguments.record.file().map(PathBuf::as_path)).filter(|_| !interrupt::asked());
    if let Some((recording, path)) = &recording {
        let write = || write_recording(path, recording, &converted, &samples, &options, results.overwrite());
        pool.install(write)?;
    }
    print(&format!("{}\n{}", table(&found), remarks(&found)));
    if let Some(thresholds) = online::table(&found) {
        print(&format!("{thresholds}\n"));
    }

    inputs.extend(arguments.history.file(&arguments.report, netdir));
    let mut parameters = presentation.parameters();
    parameters["frames"] = json!(false);
    arguments.taken.parameters(recordings.is_some(), &mut parameters);
    let drawn = arguments.report.clone().filter(|_| !interrupt::asked());
    if drawn.is_none() && arguments.report.is_some() {
        eprintln!("warning: --report: no page was written, as the run was stopped");
    }
    if let Some(path) = &drawn {
        let (converted, samples, options) = (&converted, &samples, &options);
        let run = page::Run { arguments, converted, samples, options, found: &found, wanted: &wanted };
        let mut page = pool.install(|| page::page(&run, readout, history.as_ref()))?;
        let shown = (converted, samples, options);
        let sample = wanted.sample;
        let potentials = pool.install(|| potentials::section(arguments, recorded.as_ref(), shown, sample))?;
        page.sections.extend(potentials.map(|section| Section { folded: true, ..section }));
        page.write(path, results.overwrite()).map_err(report)?;
        print(&format!("Pictures: {}\n", path.display()));
    }
    parameters["mode"] = json!(arguments.mode.to_possible_value().map(|value| value.get_name().to_string()));
    parameters["samples"] = json!(found.len());
    parameters["dt"] = json!(found.clocked.is_some().then_some(arguments.dt));
    parameters["readout"] = json!(readout.to_string());
    parameters["k"] = json!(decision.read_out.k);
    parameters["confidence"] = json!(decision.read_out.confidence);
    parameters["top_k"] = json!(decision.top_k);
    parameters["savings"] = json!(decision.savings);
    arguments.online.parameters(&mut parameters);
    arguments.show.parameters(&mut parameters);
    arguments.record.parameters(&mut parameters);
    let written = recording.map(|(_, path)| path.to_path_buf());
    let others: Vec<PathBuf> =
        of_page(&drawn).into_iter().chain(arguments.predictions.clone()).chain(written).collect();
    let mut figures = json!(found.figures());
    if arguments.per_sample {
        figures["samples_in_order"] = json!(found.per_sample());
    }
    if arguments.neurobench && !interrupt::asked() {
        figures["neurobench"] = json!(complexity(&pool, &converted, &samples, &options)?);
    }
    if let (Some(directory), Some(path)) = (saved, &arguments.online.save_thresholds)
        && !interrupt::asked()
    {
        online::save(directory, path, &found, converted, (&inputs, presentation.seed, &parameters))?;
    }
    results.write(&figures, &others, &inputs, Some(presentation.seed), parameters)?;
    answer(&answers::of_classification(&found));
    Ok(Some(found))
}

/// What NeuroBench counts on these samples; none of a part of a study, whose outcomes are kept.
fn complexity(
    pool: &Pool,
    converted: &ConvertedModel,
    samples: &LabelledSamples,
    options: &ClassifyOptions,
) -> Result<Option<NeuroBench>> {
    let progress = Progress::default();
    let found = pool.install(|| neurobench(converted, samples, options, &progress));
    sharing::whole(found, |error| matches!(error, Error::Cancelled)).map_err(report)
}

impl Arguments {
    /// As the library takes them.
    ///
    /// # Errors
    /// If they do not go together, or not with the network.
    pub fn options(&self, converted: &ConvertedModel) -> Result<ClassifyOptions> {
        let Self { presentation, decision, .. } = self;
        let dt = if self.mode == ModeArgument::Event { 1 } else { self.dt };
        let checked = converted.check_presentation(presentation.clock(), &presentation.encode, dt);
        checked.map_err(|message| miette!("{message}"))?;
        check_top_k(decision.top_k.map(NonZeroU32::get), converted.classes())?;
        let mut options = ClassifyOptions::new();
        options.code = presentation.code()?;
        options.clock = presentation.clock();
        options.limits = presentation.limits();
        options.modes = match self.mode {
            ModeArgument::Event => Modes::Event,
            ModeArgument::Clocked => Modes::Clocked { dt: self.dt },
            ModeArgument::Both => Modes::Both { dt: self.dt },
        };
        options.top_k = decision.top_k;
        options.savings = decision.savings;
        options.online = self.online.rule();
        let read_out = decision.read_out.choice();
        read_out.check().map_err(report)?;
        let form = converted.manifest().output.form;
        let signed = is_signed(converted.network(), converted.output());
        options.read_out = Some(read_out.rule(form, converted.output_threshold(), signed).map_err(report)?);
        read_out.check_signed(converted.network(), converted.output()).map_err(report)?;
        Ok(options)
    }
}
