//! What studies look at: a netfile directory that `convert` wrote, with the trained network it came from and its test
//! data; or a schematic with its own stimuli.

use super::diagnostic::{self, report};
use super::presentation::Presentation;
use super::{escape, run};
use clap::Args;
use megasim::ann::import::Model;
use megasim::ann::{forward, import};
use megasim::convert::diagnose::growth;
use megasim::convert::manifest::{self, OutputLayer};
use megasim::convert::{Manifest, Quantization};
use megasim::dataset::{self, Dataset, Format, Samples};
use megasim::encode::{Clock, Code, Layout, SampleKind};
use megasim::netfile::{self, Netfiles};
use megasim::network::{Driver, Network, NodeId};
use megasim::readout::ReadOut;
use megasim::report::chart::Extent;
use megasim::study::classification::Setup;
use megasim::study::material::Pieces;
use miette::{Result, bail};
use ndarray::{Array2, Axis, s};
use std::path::{Path, PathBuf};

/// The arguments that say what a study is about, and on what.
#[derive(Debug, Clone, Args)]
pub struct Given {
    /// Netfile directory that 'megasim convert' wrote, or a schematic (.sch)
    pub subject: PathBuf,
    /// Directory of test data; not for a schematic
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Class of each sample of a schematic's stimuli (.npy)
    #[arg(long, value_name = "FILE", conflicts_with = "data")]
    pub labels: Option<PathBuf>,
}

/// What was given, read.
#[derive(Debug)]
pub enum Opened {
    /// A netfile directory that `convert` wrote, with test samples.
    Converted(Box<Converted>),
    /// A schematic.
    Schematic(Schematic),
}

/// A converted network with test samples.
#[derive(Debug)]
pub struct Converted {
    /// The network.
    pub subject: Subject,
    /// Its test samples.
    pub trial: Trial,
    /// The files and directories that were read.
    pub inputs: Vec<PathBuf>,
}

/// A schematic with samples cut from its own stimuli.
#[derive(Debug, Clone)]
pub struct Schematic {
    /// The network.
    pub network: Network,
    /// At least one sample: what lies between resets.
    pub pieces: Pieces,
    /// There are no resets that would cut the stimuli.
    pub uncut: bool,
    /// The files that were read.
    pub inputs: Vec<PathBuf>,
}

impl Given {
    /// Whether it is a schematic; else it is a netfile directory.
    pub fn is_schematic(&self) -> bool {
        is_schematic(&self.subject)
    }

    /// Reads network and samples.
    ///
    /// # Errors
    /// If a file cannot be read, does not fit the others, or is missing.
    pub fn open(&self, presentation: &Presentation) -> Result<Opened> {
        match &self.data {
            Some(_) if self.is_schematic() => bail!(
                "--data goes with a netfile directory that 'megasim convert' wrote; a schematic has its own stimuli"
            ),
            None if self.is_schematic() => self.open_schematic(presentation).map(Opened::Schematic),
            Some(data) => self.open_converted(data, presentation).map(|converted| Opened::Converted(converted.into())),
            None => bail!(
                "{}: expected --data DIR with test data; a schematic (.sch) would be run on its own stimuli",
                self.subject.display()
            ),
        }
    }

    fn open_converted(&self, data: &Path, presentation: &Presentation) -> Result<Converted> {
        let subject = Subject::open(&self.subject)?;
        let dataset = Dataset::open(data).map_err(report)?;
        subject.warn_of_ticks(presentation.clock());
        let trial = subject.trial(&dataset, presentation.skip(), presentation.samples())?;
        let mut inputs = vec![self.subject.clone()];
        inputs.extend(dataset.test_files());
        inputs.extend(presentation.code_file().map(Path::to_path_buf));
        Ok(Converted { subject, trial, inputs })
    }

    fn open_schematic(&self, presentation: &Presentation) -> Result<Schematic> {
        let Netfiles { network, stimuli, files, .. } = run::read(&self.subject)?;
        let cut = Pieces::cut(&stimuli, network.t_max());
        let uncut = cut.samples.len() <= 1;
        let pieces = cut.select(presentation.skip(), presentation.samples());
        if pieces.samples.is_empty() {
            bail!("{}: expected events in its stimuli between resets, found none", self.subject.display());
        }
        let mut inputs = run::input_files(&self.subject, &files);
        inputs.extend(self.labels.clone());
        Ok(Schematic { network, pieces, uncut, inputs })
    }

    /// The classes of a schematic's samples, where they were given. `classes` is the length of its last layer, where
    /// that is a row.
    ///
    /// # Errors
    /// If there is no such row, or the labels do not fit it or the samples.
    pub fn labels(
        &self,
        presentation: &Presentation,
        pieces: &Pieces,
        classes: Option<usize>,
    ) -> Result<Option<Vec<usize>>> {
        let Some(path) = &self.labels else { return Ok(None) };
        let Some(classes) = classes else {
            bail!("{}: expected a last layer that is one row of classes, found maps", path.display());
        };
        let labels = dataset::labels(path, classes, presentation.skip(), Some(pieces.samples.len())).map_err(report)?;
        Ok(Some(labels))
    }
}

/// The network of a netfile directory or schematic.
///
/// # Errors
/// If a file cannot be read.
pub fn read_network(path: &Path) -> Result<Network> {
    let schematic = if is_schematic(path) { path.into() } else { path.join("megasim.sch") };
    Ok(run::read(&schematic)?.network)
}

fn is_schematic(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "sch")
}

/// A converted network, ready to be shown samples.
#[derive(Debug)]
pub struct Subject {
    /// Where it came from.
    pub manifest: Manifest,
    /// The spiking network.
    pub network: Network,
    /// The network as it was trained.
    pub model: Model,
    /// Where the numbers of a sample go.
    pub layout: Layout,
    /// The node that decides.
    pub output: NodeId,
}

/// Test samples and what the trained network says of them.
#[derive(Debug)]
pub struct Trial {
    /// The samples.
    pub samples: Samples,
    /// The analog network's class of each.
    pub analog: Vec<usize>,
}

impl Subject {
    /// Reads a directory that `convert` wrote, checks that its copy of the trained network is the one that was
    /// converted, and says on stderr what the netfiles warn of.
    ///
    /// # Errors
    /// If a file cannot be read, or does not belong to the others.
    pub fn open(netdir: &Path) -> Result<Self> {
        let manifest = Manifest::read(netdir).map_err(report)?;
        let netfiles = netfile::read(&netdir.join("megasim.sch")).map_err(|error| diagnostic::netfile(&error))?;
        for warning in &netfiles.warnings {
            escape::warn(format_args!("{warning}"));
        }
        let network = netfiles.network;
        manifest.check_network(netdir, &network).map_err(report)?;
        let copy = netdir.join(&manifest.model.copy);
        let model = import::read(&copy).map_err(report)?;
        if model.source.sha256 != manifest.model.sha256 {
            miette::bail!(
                "{}: expected the model that was converted (SHA-256 {}), found another ({})",
                copy.display(),
                manifest.model.sha256,
                model.source.sha256
            );
        }
        if manifest.output.classes != model.classes() {
            miette::bail!(
                "{}: expected {} classes, as the model has, found {}",
                netdir.join(manifest::FILE_NAME).display(),
                model.classes(),
                manifest.output.classes
            );
        }
        let layout = manifest.layout(&network).map_err(report)?;
        let output = manifest.output(&network).map_err(report)?;
        Ok(Self { manifest, network, model, layout, output })
    }

    /// Warns, before a run, of ticks that are not those of the conversion, and of neurons that would fire more often
    /// than ticks carry.
    pub fn warn_of_ticks(&self, clock: Clock) {
        let asked = clock.ticks_per_ms;
        let made = self.manifest.conversion.ticks_per_ms;
        let is_timed = self.network.modules().iter().any(|module| {
            let timing = module.timing;
            let delays = timing.delay_to_process + timing.delay_to_arrive;
            let neurons = module.kind.neurons().is_some_and(|(_, it, _)| {
                it.t_min > 0 || it.refractory > 0 || it.leak_decay > 0 || it.leak_plus > 0 || it.leak_minus > 0
            });
            delays > 0 || neurons
        });
        if is_timed && asked != made {
            eprintln!(
                "warning: --ticks-per-ms {asked}: the netfiles have times in ticks (refractory times, leaks, delays, \
                    binary activations) and were made \
                 for {made} ticks per ms; --ticks-per-ms {made} shows samples with as many"
            );
        }
        let scaling_factor = self.manifest.conversion.scaling_factor;
        let rates = growth(&self.network, scaling_factor);
        let most = rates.into_iter().fold(0.0, f64::max);
        if most > f64::from(asked) {
            eprintln!(
                "warning: threshold {}: neurons fire up to {most:.0} times per ms at the largest activation, and a \
                    tick carries one of {asked} \
                 per ms: clocked mode cuts off what is beyond, event mode makes each of them; 'megasim convert' with \
                     a --v-thresh nearer 1 helps",
                self.manifest.conversion.v_thresh
            );
        }
    }

    /// `THplus` of the output, in scaled integers; of one that never spikes, what it would be.
    pub fn output_threshold(&self) -> i32 {
        let options = self.manifest.options();
        if !options.output.spikes() {
            let Quantization { threshold, .. } = options.quantization;
            return options.quantization.integer("output", "threshold", threshold).unwrap_or(i32::MAX);
        }
        let Driver::Module(module) = self.network.nodes()[self.output.index()].driver else { return 1 };
        self.network.modules()[module.index()].kind.neurons().map_or(1, |(_, neurons, _)| neurons.threshold_plus)
    }

    /// The node that decides by its spikes, and its classes; none where potentials decide.
    pub fn deciding_spikes(&self) -> Option<(NodeId, usize)> {
        let OutputLayer { form, classes, .. } = self.manifest.output;
        form.spikes().then_some((self.output, classes))
    }

    /// Test samples, and what the trained network says of them.
    ///
    /// # Errors
    /// If the data do not fit the network.
    pub fn trial(&self, data: &Dataset, skip: usize, samples: Option<usize>) -> Result<Trial> {
        let format = Format { shape: self.model.input_shape(), classes: self.model.classes() };
        let samples = data.test(&format, skip, samples).map_err(report)?;
        warn_of_values(&samples.x, "test samples");
        let analog = self.analog(&samples.x)?;
        Ok(Trial { samples, analog })
    }

    /// What the trained network says of samples.
    ///
    /// # Errors
    /// If they do not fit it.
    pub fn analog(&self, samples: &Array2<f32>) -> Result<Vec<usize>> {
        let outputs = forward::forward(&self.model.graph, samples.view()).map_err(report)?;
        Ok(forward::classes(outputs.view()))
    }

    /// The same where samples are sequences of frames; the trained network is shown the mean of the frames.
    ///
    /// # Errors
    /// If the data do not fit the network.
    pub fn trial_of_frames(&self, data: &Dataset, skip: usize, samples: Option<usize>) -> Result<Trial> {
        let format = Format { shape: self.model.input_shape(), classes: self.model.classes() };
        let (samples, frames) = data.test_frames(&format, skip, samples).map_err(report)?;
        warn_of_values(&samples.x, "frames");
        let numbers = format.shape.len();
        let mut means = Array2::zeros((samples.x.nrows(), numbers));
        for frame in samples.x.axis_chunks_iter(Axis(1), numbers) {
            means += &frame;
        }
        means /= frames as f32;
        let analog = self.analog(&means)?;
        Ok(Trial { samples, analog })
    }

    /// The numbers of the first sample (of a sequence, its first frame), in the shape of the input; of vectors as a
    /// square, where they can be one.
    pub fn picture(&self, values: &Array2<f32>) -> (Extent, Vec<f64>) {
        let input = &self.manifest.input;
        let row = values.slice(s![0, ..self.model.input_shape().len()]);
        if let [maps, ny, nx] = input.shape[..] {
            let value = |k: usize| f64::from(input.order.as_ref().map_or(row[k], |order| row[order[k]]));
            return (Extent { maps, ny, nx }, (0..row.len().min(maps * ny * nx)).map(value).collect());
        }
        let side = row.len().isqrt();
        let (ny, nx) = if side * side == row.len() { (side, side) } else { (1, row.len()) };
        (Extent { maps: 1, ny, nx }, row.iter().map(|&value| f64::from(value)).collect())
    }

    /// What a study of this network needs.
    pub fn setup<'a>(&'a self, code: &'a dyn Code, clock: Clock) -> Setup<'a> {
        Setup {
            network: &self.network,
            layout: &self.layout,
            output: self.output,
            classes: self.manifest.output.classes,
            kind: SampleKind::Still,
            code,
            clock,
            read_out: ReadOut::default(),
            limits: megasim::engine::Limits::default(),
            savings: false,
        }
    }
}

/// Says where values are beyond what an input can fire.
pub fn warn_of_values(values: &ndarray::Array2<f32>, what: &str) {
    warn_of_largest(largest(values.view()), what);
}

/// The largest magnitude of some values.
pub fn largest(values: ndarray::ArrayView2<f32>) -> f32 {
    values.iter().fold(0.0f32, |largest, value| largest.max(value.abs()))
}

/// The same where the largest magnitude is known.
pub fn warn_of_largest(largest: f32, what: &str) {
    if largest > 1.0 {
        escape::warn(format_args!(
            "the {what} hold values up to {largest}; an input fires at most once a millisecond, so as spikes what is \
                beyond 1 is cut off"
        ));
    }
}
