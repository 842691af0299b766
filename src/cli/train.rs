//! `megasim train`: a single-spike network learns from images.

use super::diagnostic::{report, unreadable};
use super::features::feature_sets;
use super::numbers::count;
use super::output::{Printed, warn};
use super::paths::Paths;
use super::presentation::Threads;
use super::spikes::npz_file;
use super::stimuli::stimuli;
use super::tables::{Boxed, boxed, counted};
use super::{interrupt, output, print, provenance};
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use megasim::atomic_write::{self, AtomicFile, Overwrite, OwnFile};
use megasim::dataset::Dataset;
use megasim::learning::{
    AnyNetwork, Description, Fixed, LinearClassifier, Model, Progress, Readout, SpikingNetwork, Stimuli, Trainer,
    Weight,
};
use megasim::study::answers;
use megasim::with_spiking_network;
use miette::{Result, bail, miette};
use serde_json::json;
use std::fs::File;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

/// Train a single-spike network by STDP and reward-modulated STDP
#[derive(Debug, Args)]
pub struct Arguments {
    /// Description of the network, a TOML file
    description: PathBuf,
    /// Directory of training data
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Where the model goes, an .npz file; its checkpoint is next to it until it is done
    #[arg(long, value_name = "FILE.npz", value_parser = npz_file)]
    out: PathBuf,
    /// Take only the first N training samples
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    samples: Option<u64>,
    /// Seed of initial weights, orders and dropout
    #[arg(long, value_name = "S", default_value_t = 0)]
    seed: u64,
    /// What weights are made of; with fixed point, sums do not depend on their order
    #[arg(long, value_enum, default_value_t = Kind::Float32)]
    weights: Kind,
    /// Write a checkpoint with every N stimuli
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..))]
    checkpoint: u64,
    /// Go on from the checkpoint that an interrupted run left
    #[arg(long, conflicts_with = "force")]
    resume: bool,
    #[command(flatten)]
    threads: Threads,
    /// Keep encoded images in this directory, and take them from there
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,
    #[command(flatten)]
    printed: Printed,
    /// Replace an existing model, and forget a checkpoint
    #[arg(long)]
    force: bool,
}

/// `--weights`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    Float32,
    Fixed,
}

/// Trains, prints and writes.
pub fn run(arguments: &Arguments) -> Result<()> {
    let replace = Overwrite::from_flag(arguments.force);
    Paths::default().files([&arguments.out]).inputs([&arguments.description]).data([&arguments.data]).check()?;
    // Held to the end: two runs would take each other's checkpoint.
    let out = AtomicFile::create(&arguments.out, replace).map_err(report)?;
    provenance::check(atomic_write::parent(&arguments.out)).map_err(report)?;
    let text =
        std::fs::read_to_string(&arguments.description).map_err(|error| unreadable(&arguments.description, &error))?;
    let description =
        Description::from_toml(&text).map_err(|error| miette!("{}: {error}", arguments.description.display()))?;
    arguments.threads.pool().map_err(report)?.install(|| match arguments.weights {
        Kind::Float32 => train::<f32>(arguments, &description, (out, replace), AnyNetwork::Float),
        Kind::Fixed => train::<Fixed>(arguments, &description, (out, replace), AnyNetwork::Fixed),
    })
}

fn train<W: Weight>(
    arguments: &Arguments,
    description: &Description,
    (out, replace): (AtomicFile, Overwrite),
    wrap: impl Fn(SpikingNetwork<W>) -> AnyNetwork,
) -> Result<()> {
    let checkpoint = PathBuf::from(format!("{}.checkpoint", arguments.out.display()));
    let mut trainer = match (checkpoint.exists(), arguments.resume) {
        (true, false) if replace == Overwrite::Refuse => bail!(
            "{}: an interrupted run left it; --resume goes on from there, --force starts again",
            checkpoint.display()
        ),
        (false, true) => bail!(
            "--resume: expected the checkpoint of an interrupted run ({}), found none; without --resume the run starts",
            checkpoint.display()
        ),
        (true, true) => {
            let (network, progress) = resume(&checkpoint, description, arguments)?;
            Trainer::<W>::resume(network, progress)
        }
        _ => {
            let network = SpikingNetwork::new(description, arguments.seed).map_err(report)?;
            Trainer::new(network, arguments.seed)
        }
    };
    let data = Dataset::open(&arguments.data).map_err(report)?;
    let samples = arguments.samples.map(count);
    let format = super::features::format(description);
    let samples = data.train(&format, 0, samples).map_err(report)?;
    let shown = shown(&data, samples.y.len())?;
    match &trainer.progress().stimuli {
        earlier if !arguments.resume || *earlier == shown => {}
        earlier if earlier.is_empty() => {
            output::warn(format_args!("{}: does not say what data it was made with", checkpoint.display()));
        }
        earlier => bail!(
            "{}: expected the training data of the interrupted run ({earlier}), found others ({shown}); --samples is \
                as it was there",
            checkpoint.display()
        ),
    }
    trainer = trainer.with_stimuli(shown);
    let stimuli = stimuli(trainer.network().encoder(), description, &samples, 0, arguments.cache.as_deref())?;

    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template("{prefix} {wide_bar} {pos}/{len} {per_sec} {eta}") {
        bar.set_style(style);
    }
    interrupt::watch();
    let mut failed = None;
    let mut written = trainer.progress().count;
    let interval = count(arguments.checkpoint).min(500);
    trainer
        .run(&stimuli, interval, |trainer| {
            let progress = trainer.progress();
            bar.set_prefix(format!("layer {} of {}", progress.layer + 1, description.layers.len()));
            bar.set_length((trainer.passes() * stimuli.len()) as u64);
            bar.set_position(progress.count);
            let is_due = progress.count < written || progress.count - written >= arguments.checkpoint;
            if is_due || progress.stimulus == 0 || interrupt::asked() {
                written = progress.count;
                let result = atomic_write::write_file(&checkpoint, Overwrite::Allow, |file| trainer.write(file));
                if let Err(error) = result {
                    failed = Some(error);
                    return ControlFlow::Break(());
                }
            }
            if interrupt::asked() {
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        })
        .map_err(report)?;
    bar.finish_and_clear();
    if let Some(error) = failed {
        return Err(report(error));
    }
    if interrupt::asked() {
        print(&format!("{}\n", table(trainer.progress())));
        bail!(
            "stopped before training was done; {} keeps what was learnt, and --resume goes on from it",
            checkpoint.display()
        );
    }
    // What comes out of the same data does not depend on how they are called.
    let (network, progress) = trainer.with_stimuli(String::new()).into_parts();
    print(&format!("{}\n", table(&progress)));
    let classifier = match description.readout {
        Some(Readout::Linear { c }) => Some(classifier(&network, &stimuli, c, arguments.seed)?),
        _ => None,
    };
    let model = Model { network: wrap(network), progress, classifier };
    out.write(|file| model.write(file)).map_err(report)?;
    if checkpoint.exists() {
        std::fs::remove_file(&checkpoint).map_err(|error| miette!("{}: {error}", checkpoint.display()))?;
    }
    let parameters = json!({
        "samples": stimuli.len(),
        "weights": model_kind(&model.network),
        "checkpoint": arguments.checkpoint,
    });
    let mut inputs = vec![arguments.description.clone()];
    inputs.extend(data.train_files());
    let inputs: Vec<&Path> = inputs.iter().map(PathBuf::as_path).collect();
    provenance::write_beside(&[&arguments.out], &inputs, Some(arguments.seed), parameters).map_err(report)?;
    for warning in answers::not_learnt(&model.progress.log) {
        output::warn(warning);
    }
    super::answer(&answers::of_training(&model.progress.log));
    Ok(())
}

/// The training data in a word, wherever they are.
fn shown(data: &Dataset, samples: usize) -> Result<String> {
    let mut hashes = Vec::new();
    for path in data.train_files() {
        let file = OwnFile::of_input(&path).map_err(|error| unreadable(&path, &error))?;
        hashes.push(file.sha256);
    }
    Ok(format!("{samples} samples of SHA-256 {}", hashes.join(" ")))
}

fn model_kind(network: &AnyNetwork) -> &'static str {
    match network {
        AnyNetwork::Float(_) => <f32 as Weight>::NAME,
        AnyNetwork::Fixed(_) => <Fixed as Weight>::NAME,
    }
}

/// What an interrupted run left, if it is this run.
fn resume<W: Weight>(
    checkpoint: &Path,
    description: &Description,
    arguments: &Arguments,
) -> Result<(SpikingNetwork<W>, Progress)> {
    let place = checkpoint.display();
    let file = File::open(checkpoint).map_err(|error| unreadable(checkpoint, &error))?;
    let model = Model::read(file).map_err(|error| miette!("{place}: {error}"))?;
    if model.network.description() != description {
        bail!("{place}: was made from another description than {}", arguments.description.display());
    }
    if model.progress.seed != arguments.seed {
        bail!("{place}: expected seed {}, found {}", arguments.seed, model.progress.seed);
    }
    if model_kind(&model.network) != W::NAME {
        bail!("{place}: expected weights of kind {}, found {}", W::NAME, model_kind(&model.network));
    }
    let mut network = SpikingNetwork::<W>::new(description, arguments.seed).map_err(report)?;
    with_spiking_network!(&model.network, stored => {
        for layer in 0..stored.len() {
            if let Some(convolution) = stored.convolution(layer) {
                let weights = convolution.weights().mapv(|weight| W::from_real(weight.to_real()));
                network.set_weights(layer, weights.view()).map_err(report)?;
            }
        }
    });
    Ok((network, model.progress))
}

fn classifier<W: Weight>(
    network: &SpikingNetwork<W>,
    stimuli: &Stimuli,
    c: f64,
    seed: u64,
) -> Result<LinearClassifier> {
    let sets = feature_sets(network, stimuli)?;
    let features = network.shape(network.len()).len();
    let classifier = LinearClassifier::train(&sets, stimuli.labels(), features, c, seed).map_err(report)?;
    let right = sets.iter().zip(stimuli.labels()).filter(|(set, label)| classifier.predict(set) == **label).count();
    let samples = counted(sets.len() as u64, "training sample");
    print(&format!("linear read-out: {right} of {samples} right\n"));
    let silent = sets.iter().filter(|set| set.is_empty()).count();
    if silent > 0 {
        warn(format_args!("the last layer does not spike for {silent} of {samples}: a lower threshold lets it"));
    }
    Ok(classifier)
}

fn table(progress: &Progress) -> Boxed {
    let rows = progress.log.iter().map(|entry| {
        let mut row = vec![entry.layer.to_string(), entry.pass.to_string(), format!("{:.5}", entry.convergence)];
        row.extend(entry.outcomes.into_iter().flatten().map(|count| count.to_string()));
        row
    });
    boxed(&["layer", "pass", "mean w(1-w)", "right", "wrong", "silent"], rows)
}
