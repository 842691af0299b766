//! `megasim features`: what the last layer of a trained single-spike network fires, and how well that tells classes.

use super::diagnostic::{report, unreadable};
use super::numbers::count;
use super::paths::Paths;
use super::per_sample::page_file;
use super::presentation::Threads;
use super::results::{Results, of_page};
use super::spikes::npz_file;
use super::stimuli::stimuli;
use super::tables::{counted, facts};
use super::{print, provenance};
use clap::{Args, ValueEnum};
use megasim::ann::graph::Shape;
use megasim::atomic_write::{self, AtomicDir, Overwrite};
use megasim::convert::stage::is_stage;
use megasim::dataset::npy::{self, NpzReader, NpzWriter};
use megasim::dataset::{ANY_CLASSES, Dataset, Format, Samples};
use megasim::learning::{
    AnyNetwork, Description, Evaluator, Layer, Model, Progress, SpikingNetwork, Stimuli, Weight, get_k_winners,
    maps_as_svg, to_netlist, to_stimuli,
};
use megasim::netfile::{self, FileNames};
use megasim::network::Tick;
use megasim::parallel;
use megasim::report::Page;
use megasim::report::learning::{self, Learned, LearnedLayer, SampleDetail};
use megasim::with_spiking_network;
use miette::{Result, miette};
use ndarray::{Array1, Array2, Array3, Array4, Axis};
use serde_json::json;
use std::fs::File;
use std::io::{self, Cursor};
use std::path::{Path, PathBuf};

/// Features of images: which neurons of a trained single-spike network's last layer spike
#[derive(Debug, Args)]
pub struct Arguments {
    /// The model that 'megasim train' wrote
    model: PathBuf,
    /// Directory of data
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Where they go: arrays x (sample, map, row, column) and y
    #[arg(long, value_name = "FILE.npz", value_parser = npz_file)]
    out: PathBuf,
    /// Training or test samples
    #[arg(long, value_enum, default_value_t = Set::Test)]
    set: Set,
    /// 1 where a neuron spikes, or the bin of its spike (the number of bins where it does not)
    #[arg(long, value_enum, default_value_t = What::Spikes)]
    what: What,
    /// Take at most N samples
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    samples: Option<u64>,
    /// Leave out the first N samples
    #[arg(long, value_name = "N", default_value_t = 0)]
    skip: u64,
    #[command(flatten)]
    threads: Threads,
    /// Keep encoded images in this directory, and take them from there
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,
    /// Draw the stimulus that each map of the last layer prefers, reconstructed through the layers below
    #[arg(long, value_name = "FILE.svg")]
    picture: Option<PathBuf>,
    /// Pictures of the network on one page: its training, what its maps prefer, spike times of the first sample,
    /// winners
    #[arg(long, value_name = "FILE.html", value_parser = page_file)]
    report: Option<PathBuf>,
    /// Replace an existing file
    #[arg(long)]
    force: bool,
}

/// `--set`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Set {
    Train,
    Test,
}

/// `--what`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    Spikes,
    Bins,
}

/// What a description's network takes. Without a winner read-out any class will do.
pub fn format(description: &Description) -> Format {
    let (height, width) = (description.input.height, description.input.width);
    Format { shape: Shape::Maps { channels: 1, height, width }, classes: description.classes().unwrap_or(ANY_CLASSES) }
}

/// For each stimulus the neurons of the last layer that spike.
pub fn feature_sets<W: Weight>(network: &SpikingNetwork<W>, stimuli: &Stimuli) -> Result<Vec<Vec<u32>>> {
    let evaluator = Evaluator::new(network).map_err(report)?;
    let one = |evaluator: &mut Evaluator<W>, number| evaluator.features(&stimuli.wave(number));
    Ok(parallel::map_with(0..stimuli.len(), || evaluator.clone(), one))
}

/// Reads a model.
pub fn read(path: &Path) -> Result<Model> {
    let place = path.display();
    let file = File::open(path).map_err(|error| unreadable(path, &error))?;
    Model::read(file).map_err(|error| miette!("{place}: {error}"))
}

/// Takes and writes them.
pub fn run(arguments: &Arguments) -> Result<()> {
    let replace = Overwrite::from_flag(arguments.force);
    for path in [Some(&arguments.out), arguments.picture.as_ref()].into_iter().flatten() {
        atomic_write::check_file(path, replace).map_err(report)?;
    }
    if let Some(path) = &arguments.report {
        Page::check(path, replace).map_err(report)?;
    }
    let files = [&arguments.out].into_iter().chain(&arguments.picture);
    let paths = Paths::default().files(files).pages(&arguments.report).inputs([&arguments.model]);
    paths.data([&arguments.data]).check()?;
    let model = read(&arguments.model)?;
    let description = model.network.description();
    let data = Dataset::open(&arguments.data).map_err(report)?;
    let skip = count(arguments.skip);
    let samples = arguments.samples.map(count);
    let (samples, files) = match arguments.set {
        Set::Train => (data.train(&format(description), skip, samples).map_err(report)?, data.train_files()),
        Set::Test => (data.test(&format(description), skip, samples).map_err(report)?, data.test_files()),
    };
    let ((bytes, spikes), page) = arguments.threads.pool().map_err(report)?.install(|| {
        with_spiking_network!(&model.network, network => {
            let cache = arguments.cache.as_deref();
            let stimuli = stimuli(network.encoder(), description, &samples, skip, cache)?;
            let page = arguments.report.as_ref().map(|_| page(&model.progress, network, &stimuli, skip)).transpose()?;
            archive(network, &stimuli, arguments.what).map(|made| (made, page))
        })
    })?;
    atomic_write::write_file(&arguments.out, replace, |file| file.write_all(&bytes)).map_err(report)?;
    if let (Some(path), Some(page)) = (&arguments.report, page) {
        page.write(path, replace).map_err(report)?;
    }
    if let Some(path) = &arguments.picture {
        let stimuli = with_spiking_network!(&model.network, network => network.preferred_stimuli(network.len() - 1))
            .map_err(report)?;
        let svg = maps_as_svg(stimuli.maps.view());
        atomic_write::write_file(path, replace, |file| file.write_all(svg.as_bytes())).map_err(report)?;
    }
    let n = samples.y.len();
    let neurons = with_spiking_network!(&model.network, network => network.shape(network.len()).dim());
    super::answer(&format!(
        "On {} {:.1} of {} neurons ({}) spike on average; {} no spike. Written to {}.",
        counted(n as u64, "sample"),
        spikes.iter().sum::<usize>() as f64 / n.max(1) as f64,
        neurons.0 * neurons.1 * neurons.2,
        last_shape(&model.network),
        match spikes.iter().filter(|&&spikes| spikes == 0).count() {
            1 => "1 sample has".to_string(),
            silent => format!("{silent} samples have"),
        },
        arguments.out.display()
    ));
    let mut inputs = vec![arguments.model.clone()];
    inputs.extend(files);
    let inputs: Vec<&Path> = inputs.iter().map(PathBuf::as_path).collect();
    let parameters = json!({
        "samples": samples.y.len(),
        "skip": skip,
        "set": format!("{:?}", arguments.set).to_lowercase(),
        "what": format!("{:?}", arguments.what).to_lowercase(),
    });
    let mut results = vec![arguments.out.clone()];
    results.extend(arguments.picture.clone());
    results.extend(of_page(&arguments.report));
    let results: Vec<&Path> = results.iter().map(PathBuf::as_path).collect();
    provenance::write_beside(&results, &inputs, None, parameters).map_err(report)
}

/// Samples whose winners a page names.
const WINNERS: usize = 20;

/// Pictures of a network; `skip` samples came before these.
fn page<W: Weight>(progress: &Progress, network: &SpikingNetwork<W>, stimuli: &Stimuli, skip: usize) -> Result<Page> {
    let mut evaluator = Evaluator::new(network).map_err(report)?;
    let convolutions = (0..network.len()).filter_map(|layer| {
        let weights = network.convolution(layer)?.weights().iter().map(|weight| weight.to_real()).collect();
        let preferred = network.preferred_stimuli(layer).map_err(report);
        Some(preferred.map(|feature| LearnedLayer { number: layer + 1, weights, preferred: feature.maps }))
    });
    let convolutions = convolutions.collect::<Result<_>>()?;
    let winners = (0..stimuli.len().min(WINNERS)).map(|number| {
        let winner = get_k_winners(&evaluator.wave(&stimuli.wave(number)), 1, 0).into_iter().next();
        (skip + number, stimuli.labels()[number], winner)
    });
    let winners = winners.collect();
    let input = stimuli.wave(0);
    let waves = (1..).zip(evaluator.waves(&input).map_err(report)?).zip(&network.description().layers);
    // Inhibition that acts in training only changes nothing here.
    let changes = |layer: &Layer| !matches!(layer, Layer::PointwiseInhibition(it) if it.training_only);
    let layers = waves.filter(|(_, layer)| changes(layer)).map(|(wave, _)| wave).collect();
    let facts = vec![
        ("network".to_string(), network.description().name.clone()),
        ("passes of training".to_string(), progress.log.len().to_string()),
    ];
    let title = format!("Single-spike network {}", network.description().name);
    let detail = SampleDetail { sample: skip, input, layers };
    learning::page(&Learned { title, facts, log: &progress.log, convolutions, detail, winners }).map_err(report)
}

fn last_shape(network: &AnyNetwork) -> String {
    with_spiking_network!(network, network => network.shape(network.len()).to_string())
}

/// The file, and how many neurons spike for each stimulus.
fn archive<W: Weight>(network: &SpikingNetwork<W>, stimuli: &Stimuli, what: What) -> Result<(Vec<u8>, Vec<usize>)> {
    let (maps, height, width) = network.shape(network.len()).dim();
    let neurons = maps * height * width;
    let mut bytes = Cursor::new(Vec::new());
    let mut npz = NpzWriter::compressed(&mut bytes);
    let shape = (stimuli.len(), maps, height, width);
    let spikes = match what {
        What::Spikes => {
            let mut x = Array2::<u8>::zeros((stimuli.len(), neurons));
            let sets = feature_sets(network, stimuli)?;
            for (set, mut row) in sets.iter().zip(x.rows_mut()) {
                set.iter().for_each(|&neuron| row[neuron as usize] = 1);
            }
            npz.add("x", &x.into_shape_with_order(shape).map_err(report)?).map_err(report)?;
            sets.iter().map(Vec::len).collect()
        }
        What::Bins => {
            let evaluator = Evaluator::new(network).map_err(report)?;
            let one = |evaluator: &mut Evaluator<W>, number| {
                let wave = evaluator.wave(&stimuli.wave(number));
                (wave.latencies(), wave.len())
            };
            let bins: Vec<(Array3<u32>, usize)> = parallel::map_with(0..stimuli.len(), || evaluator.clone(), one);
            let mut x = Array4::<u32>::zeros(shape);
            for ((bins, _), mut row) in bins.iter().zip(x.axis_iter_mut(Axis(0))) {
                row.assign(bins);
            }
            npz.add("x", &x).map_err(report)?;
            bins.into_iter().map(|(_, spikes)| spikes).collect()
        }
    };
    let labels: Array1<i64> = stimuli.labels().iter().map(|&label| label as i64).collect();
    npz.add("y", &labels).map_err(report)?;
    npz.finish().map_err(report)?;
    Ok((bytes.into_inner(), spikes))
}

/// Whether a path is a single-spike network's model: an `.npz` file that is no list of parameters, as Lasagne saves
/// them.
pub fn is_model(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("npz")) && !is_list(path) && !is_stage(path)
}

/// Whether an archive holds what 'megasim train' writes.
pub fn is_trained(path: &Path) -> bool {
    holds(path, &["description", "progress"])
}

/// Whether an archive holds arrays without names (`arr_0`, ...).
fn is_list(path: &Path) -> bool {
    holds(path, &["arr_0"])
}

/// Whether a file is an archive with all of these arrays.
fn holds(path: &Path, names: &[&str]) -> bool {
    let archive = File::open(path).ok().and_then(|file| NpzReader::new(io::BufReader::new(file)).ok());
    archive.is_some_and(|archive| names.iter().all(|name| archive.has(name)))
}

/// Ticks of a time bin in netfiles: a millisecond of microseconds.
const TICKS_PER_BIN: Tick = 1000;

/// Writes a model as netfiles, with the first test samples as their stimuli, resets between, and their classes as
/// `labels.npy`.
pub fn convert(model: &Path, data: &Path, out: &Path, samples: usize, replace: Overwrite) -> Result<()> {
    let stored = read(model)?;
    let description = stored.network.description();
    let dataset = Dataset::open(data).map_err(report)?;
    let samples = dataset.test(&format(description), 0, Some(samples)).map_err(report)?;
    let directory = AtomicDir::create(out, replace).map_err(report)?;
    let (netlist, waves) = with_spiking_network!(&stored.network, network => {
        let netlist = to_netlist(network).map_err(|error| miette!("{}: {error}", model.display()))?;
        let stimuli = stimuli(network.encoder(), description, &samples, 0, None)?;
        (netlist, (0..stimuli.len()).map(|number| stimuli.wave(number)).collect::<Vec<_>>())
    });
    let (stimuli, t_max) = to_stimuli(&waves, TICKS_PER_BIN);
    let netlist = netlist.with_t_max(t_max).map_err(report)?;
    let files = FileNames::of(&netlist);
    netfile::write(directory.path(), &netlist, &stimuli, &files).map_err(report)?;
    let labels: Array1<i64> = samples.y.iter().map(|&class| class as i64).collect();
    let path = directory.path().join("labels.npy");
    atomic_write::write_file(&path, Overwrite::Refuse, |file| npy::write(file, &labels)).map_err(report)?;
    let mut inputs = vec![model.to_path_buf()];
    inputs.extend(dataset.test_files());
    let inputs: Vec<&Path> = inputs.iter().map(PathBuf::as_path).collect();
    let parameters = json!({ "ticks_per_bin": TICKS_PER_BIN, "samples": waves.len() });
    let run = provenance::Run { results: &["megasim.sch", "labels.npy"], inputs: &inputs, seed: None, parameters };
    provenance::write(directory.path(), &run).map_err(report)?;
    directory.finish().map_err(report)?;
    let modules = netlist.modules().len();
    print(&format!(
        "{modules} modules, {} samples, a bin is {TICKS_PER_BIN} ticks. Next:\n  megasim run {out}/megasim.sch --out \
            DIR\n  megasim \
         compare {out}/megasim.sch\n",
        waves.len(),
        out = out.display()
    ));
    Ok(())
}

/// Which test samples a model is asked about, and where the figures go.
#[derive(Debug, Clone, Copy)]
pub struct Selection<'a> {
    /// The model.
    pub model: &'a Path,
    /// Directory of test data.
    pub data: &'a Path,
    /// The first test sample.
    pub skip: u64,
    /// At most this number.
    pub samples: Option<u64>,
    /// Where the figures go.
    pub results: &'a Results,
}

/// Classifies test samples by a single-spike model's own read-out; prints and writes the accuracy.
pub fn evaluate(selection: &Selection) -> Result<()> {
    let model = read(selection.model)?;
    let description = model.network.description();
    let data = Dataset::open(selection.data).map_err(report)?;
    let skip = count(selection.skip);
    let samples = data.test(&format(description), skip, selection.samples.map(count)).map_err(report)?;
    if model.classifier.is_none() && description.classes().is_none() {
        return Err(miette!("{}: has no read-out to take a class from", selection.model.display()));
    }
    let decisions = decisions(&model, &samples, skip)?;
    let total = samples.y.len();
    let right = decisions.iter().zip(&samples.y).filter(|(decision, label)| decision.class == Some(**label)).count();
    let silent = decisions.iter().filter(|decision| decision.is_silent).count();
    let accuracy = right as f64 / total as f64;
    let rows = [
        ("network".to_string(), format!("{} ({})", selection.model.display(), description.name)),
        ("test samples".to_string(), total.to_string()),
        ("accuracy".to_string(), format!("{:.2} % ({right} of {total} right)", 100.0 * accuracy)),
        ("silent".to_string(), silent.to_string()),
    ];
    print(&format!("{}\n", facts(rows)));
    let mut inputs = vec![selection.model.to_path_buf()];
    inputs.extend(data.test_files());
    let figures = json!({ "samples": total, "accuracy": accuracy, "silent": silent });
    selection.results.write(&figures, &[], &inputs, None, json!({ "samples": total, "skip": skip }))?;
    let samples = counted(total as u64, "test sample");
    let undecided = match (silent, model.classifier.is_some()) {
        (0, _) => String::new(),
        // The read-out of no spikes is a class, too.
        (_, true) => format!("; the last layer does not spike for {silent}"),
        (_, false) => format!("; {silent} have no decision"),
    };
    super::answer(&format!("{:.2} % of {samples} are right ({right}){undecided}.", 100.0 * accuracy));
    Ok(())
}

/// What a model makes of one sample.
struct Decision {
    class: Option<usize>,
    /// No neuron of the last layer spikes.
    is_silent: bool,
}

fn decisions(model: &Model, samples: &Samples, skip: usize) -> Result<Vec<Decision>> {
    let description = model.network.description();
    with_spiking_network!(&model.network, network => {
        let stimuli = stimuli(network.encoder(), description, samples, skip, None)?;
        let evaluator = Evaluator::new(network).map_err(report)?;
        let one = |evaluator: &mut Evaluator<_>, number| {
            let wave = stimuli.wave(number);
            match &model.classifier {
                Some(classifier) => {
                    let features = evaluator.features(&wave);
                    Decision { class: Some(classifier.predict(&features)), is_silent: features.is_empty() }
                }
                None => {
                    let class = evaluator.decide(&wave);
                    Decision { class, is_silent: class.is_none() }
                }
            }
        };
        Ok(parallel::map_with(0..stimuli.len(), || evaluator.clone(), one))
    })
}
