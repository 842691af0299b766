//! A converted network with all that studies of it need, in memory and as a netfile directory.

use super::Quantization;
use super::conversion;
use super::diagnose::growth;
use super::manifest::{self, Manifest, OutputLayer};
pub use super::origin::Origin;
use super::save;
use megasim_ann::forward::{self, WrongBatch};
use megasim_ann::graph::Shape;
use megasim_ann::import::{self, Model, ReadOptions, Source};
use megasim_core::atomic_write::{self, AtomicDir, Overwrite};
use megasim_core::encode::registry::Choice;
use megasim_core::encode::{self, Clock, InputMap};
use megasim_core::netfile::{self, Warning};
use megasim_core::network::{
    Conv, Driver, FullyConnected, MaxPool, ModuleKind, Network, NetworkError, NeuronParameters, NodeId, PoolRule,
    Stimulus, Tick,
};
use megasim_data::{self as dataset, Dataset, DeclaredAxes, InputForm, InputScaling, Standardisation};
use ndarray::ArrayView2;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The schematic of a netfile directory of a converted network.
pub const SCHEMATIC: &str = "megasim.sch";

/// Why a netfile directory is no converted network, or could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The manifest cannot be read, or does not fit the netfiles.
    #[error(transparent)]
    Manifest(#[from] manifest::Error),
    /// The netfiles cannot be read.
    #[error(transparent)]
    Netfile(#[from] netfile::Error),
    /// The copy of the trained network cannot be read.
    #[error(transparent)]
    Model(#[from] import::Error),
    /// The statistics that standardise samples cannot be read.
    #[error(transparent)]
    Standardisation(#[from] dataset::Error),
    /// The input or the output is not in the netfiles.
    #[error(transparent)]
    Layout(#[from] encode::Error),
    /// The copy of the trained network is not the network that was converted.
    #[error("{path}: expected the model that was converted (SHA-256 {expected}), found another ({found})")]
    OtherModel {
        /// The copy.
        path: PathBuf,
        /// The hash in the manifest.
        expected: String,
        /// The hash of the copy.
        found: String,
    },
    /// The manifest has another number of classes than the trained network.
    #[error("{path}: expected {expected} classes, as the model has, found {found}")]
    Classes {
        /// The manifest.
        path: PathBuf,
        /// Classes of the trained network.
        expected: usize,
        /// Classes in the manifest.
        found: usize,
    },
    /// A file could not be written.
    #[error(transparent)]
    Save(#[from] save::Error),
    /// The directory could not be put in its place.
    #[error(transparent)]
    Write(#[from] atomic_write::Error),
}

/// A converted network: the spiking network, the trained network that it came from, and the manifest that relates
/// the two.
///
/// All of it belongs together: nodes of the manifest are nodes of the network, and the trained network is the one that
/// was converted. [`ConvertedModel::open`] and [`ConvertedModel::save`] read and write netfile directories, as
/// `megasim convert` makes them.
///
/// ```
/// use megasim_ann::import::Model;
/// use megasim_convert::{Convert, ConvertOptions, ConvertedModel};
/// use megasim_core::atomic_write::Overwrite;
/// use megasim_data::Dataset;
/// # std::env::set_current_dir("../..")?;
///
/// let data = Dataset::open("examples/digits".as_ref())?;
/// let converted = Model::open("examples/digits/digits_cnn.keras")?.convert(&data, &ConvertOptions::new())?;
/// # let directory = tempfile::tempdir()?;
/// # let directory = directory.path().join("netfiles");
/// converted.save(&directory, Overwrite::Refuse)?;
/// let again = ConvertedModel::open(&directory)?;
/// assert_eq!((again.classes(), again.network()), (10, converted.network()));
/// // What is there is not replaced unless the caller allows it.
/// assert!(converted.save(&directory, Overwrite::Refuse).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct ConvertedModel {
    pub(super) manifest: Manifest,
    pub(super) network: Network,
    pub(super) origin: Origin,
    pub(super) layout: InputMap,
    pub(super) output: NodeId,
    pub(super) stimuli: Vec<Stimulus>,
    pub(super) warnings: Vec<Warning>,
    pub(super) standardisation: Option<Arc<Standardisation>>,
}

impl ConvertedModel {
    /// Reads a netfile directory of a conversion, and makes sure that its parts belong together.
    ///
    /// # Errors
    /// If a file is missing or damaged, or does not belong to the others.
    pub fn open(directory: impl AsRef<Path>) -> Result<Self, Error> {
        let directory = directory.as_ref();
        let manifest = Manifest::read(directory)?;
        let netfiles = netfile::read(&directory.join(SCHEMATIC))?;
        let network = netfiles.network;
        manifest.check_network(directory, &network)?;
        let copy = directory.join(&manifest.model.copy);
        let origin = origin(&manifest, &copy)?;
        let found = &origin.source().sha256;
        if *found != manifest.model.sha256 {
            let (expected, found) = (manifest.model.sha256, found.clone());
            return Err(Error::OtherModel { path: copy, expected, found });
        }
        if let Origin::Trained(model) = &origin {
            let (expected, found) = (model.classes(), manifest.output.classes);
            if expected != found {
                return Err(Error::Classes { path: directory.join(manifest::FILE_NAME), expected, found });
            }
        }
        let layout = manifest.layout(&network)?;
        let output = manifest.output(&network)?;
        let (stimuli, warnings) = (netfiles.stimuli, netfiles.warnings);
        let standardisation = manifest.input.standardised.then(|| read_standardisation(directory)).transpose()?;
        Ok(Self { manifest, network, origin, layout, output, stimuli, warnings, standardisation })
    }

    /// Writes a netfile directory: netfiles, the stimuli of one sample, the manifest, a copy of the trained network
    /// (with the files that it needs), and `run.json`, which lists the files. It appears whole or not at all, and
    /// replaces an earlier one only if `overwrite` says so and only if nothing else is in it.
    ///
    /// # Errors
    /// If a file cannot be written, or if the directory holds what this program did not write.
    pub fn save(&self, directory: impl AsRef<Path>, overwrite: Overwrite) -> Result<(), Error> {
        let directory = AtomicDir::create(directory.as_ref(), overwrite)?;
        self.write(directory.path())?;
        Ok(directory.finish()?)
    }

    /// Writes the files into an existing directory, without `run.json`.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn write(&self, directory: &Path) -> Result<(), save::Error> {
        save::write(directory, self)
    }

    /// Where the network came from, and what its nodes are.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The spiking network.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// What it was made of.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The trained network; none of a network that was read as a spiking one.
    pub fn model(&self) -> Option<&Model> {
        match &self.origin {
            Origin::Trained(model) => Some(model),
            Origin::Spiking(_) => None,
        }
    }

    /// Shape of a sample.
    pub fn input_shape(&self) -> Shape {
        match (&self.origin, &self.manifest.input.shape[..]) {
            (Origin::Trained(model), _) => model.input_shape(),
            (Origin::Spiking(_), &[channels, height, width]) => Shape::Maps { channels, height, width },
            (Origin::Spiking(_), shape) => Shape::Features(shape.iter().product()),
        }
    }

    /// How samples are brought to the input: the order of their axes, and whether bytes are taken as they are.
    pub fn input_form(&self) -> InputForm {
        match &self.origin {
            Origin::Trained(model) => model.input_form(),
            Origin::Spiking(_) => {
                let axes: &[usize] = if self.manifest.input.shape.len() == 3 { &[0, 1, 2] } else { &[0] };
                InputForm::new(DeclaredAxes::new(axes), InputScaling::Unit)
            }
        }
    }

    /// How samples are standardised, where they are: as those of the conversion.
    pub fn standardisation(&self) -> Option<&Arc<Standardisation>> {
        self.standardisation.as_ref()
    }

    /// Data as the trained network takes them.
    pub fn data(&self, data: &Dataset) -> Dataset {
        let data = data.clone().for_input(self.input_form());
        if self.standardisation.is_none() { data } else { data.standardised(self.standardisation.clone()) }
    }

    /// Where the numbers of a sample go in the network.
    pub fn layout(&self) -> &InputMap {
        &self.layout
    }

    /// The node that decides; its address `x` is the class.
    pub fn output(&self) -> NodeId {
        self.output
    }

    /// How many classes there are.
    pub fn classes(&self) -> usize {
        self.manifest.output.classes
    }

    /// The stimuli in the netfiles, one for each source: those of one sample in regular code.
    pub fn stimuli(&self) -> &[Stimulus] {
        &self.stimuli
    }

    /// What the reader of the netfiles found odd.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// The node that decides by its spikes, and its classes; none where potentials decide.
    pub fn deciding_spikes(&self) -> Option<(NodeId, usize)> {
        let OutputLayer { form, classes, .. } = self.manifest.output;
        form.spikes().then_some((self.output, classes))
    }

    /// Threshold (`THplus`) of the output, in scaled integers; of one that never spikes, what it would be.
    pub fn output_threshold(&self) -> i32 {
        let options = self.manifest.options();
        if !options.output.spikes() {
            let Quantization { threshold, .. } = options.quantization;
            return options.quantization.integer("output", "threshold", threshold).unwrap_or(i32::MAX);
        }
        let Driver::Module(module) = self.network.nodes()[self.output.index()].driver else { return 1 };
        self.network.modules()[module.index()].kind.neurons().map_or(1, |(_, neurons, _)| neurons.threshold_plus)
    }

    /// With other thresholds (`THplus`), by the names of layers: those of all modules of a layer. The settings in the
    /// manifest name them.
    ///
    /// # Errors
    /// Where a module cannot have its threshold, such as one at or below its `MembReset`.
    pub fn with_thresholds(mut self, thresholds: &[(String, i32)]) -> Result<Self, NetworkError> {
        let mut of_modules = vec![None; self.network.modules().len()];
        for (name, threshold) in thresholds {
            let layer = self.manifest.layers.iter().find(|layer| layer.name == *name);
            for node in layer.into_iter().flat_map(|layer| &layer.nodes) {
                let node = self.network.node_named(node).map(|node| self.network.nodes()[node.index()].driver);
                if let Some(Driver::Module(module)) = node {
                    of_modules[module.index()] = Some(*threshold);
                }
            }
        }
        let mut of_modules = of_modules.into_iter();
        self.network = self.network.map_modules(|module| {
            let threshold = of_modules.next().flatten();
            if let (
                Some(threshold),
                ModuleKind::Conv(Conv { neurons, .. }) | ModuleKind::FullyConnected(FullyConnected { neurons, .. }),
            ) = (threshold, &mut module.kind)
            {
                neurons.threshold_plus = threshold;
            }
        })?;
        let settings = thresholds.iter().map(|(layer, threshold)| format!("{layer}*.THplus={threshold}"));
        self.manifest.conversion.settings.extend(settings);
        Ok(self)
    }

    /// Whether times in ticks are part of the network (refractory times, leaks, averages, delays, binary activations),
    /// so that it does what it was made for only with the ticks per millisecond of the conversion.
    pub fn is_timed(&self) -> bool {
        self.network.modules().iter().any(|module| {
            let timing = module.timing;
            let delays = timing.delay_to_process + timing.delay_to_arrive;
            let neurons = module.kind.neurons().is_some_and(|(_, it, _)| {
                it.t_min > 0 || it.refractory > 0 || it.leak_decay > 0 || it.leak_plus > 0 || it.leak_minus > 0
            });
            let averages = matches!(
                &module.kind,
                ModuleKind::MaxPool(MaxPool { rule: PoolRule::Average { .. } | PoolRule::Exponential { .. }, .. })
            );
            delays > 0 || neurons || averages
        })
    }

    /// How many times per millisecond neurons fire at most, at the largest activations of the normalisation set.
    pub fn largest_rate(&self) -> f64 {
        // Activations of a network that was not converted are not known.
        if matches!(self.origin, Origin::Spiking(_)) {
            return 0.0;
        }
        growth(&self.network, self.manifest.conversion.scaling_factor).into_iter().fold(0.0, f64::max)
    }

    /// What will not do well of values that are shown to the network; `of` says whose they are.
    pub fn values_warning(&self, of: &'static str, values: ArrayView2<f32>) -> Option<conversion::Warning> {
        let conversion = &self.manifest().conversion;
        let (scale, features) = (conversion.input_scale as f32, conversion.input_features.as_ref());
        conversion::Warning::of_samples(of, values, scale, features, self.input_form().scaling)
    }

    /// What a clock does not do well with a network.
    pub fn clock_warnings(&self, clock: Clock) -> impl Iterator<Item = String> {
        let asked = clock.ticks_per_ms;
        let conversion = &self.manifest().conversion;
        let made = conversion.ticks_per_ms;
        let timed = (self.is_timed() && asked != made).then(|| {
            format!(
                "--ticks-per-ms {asked}: the netfiles have times in ticks (refractory times, leaks, averages, delays, \
                 binary activations) and were made for {made} ticks per ms; --ticks-per-ms {made} shows samples with \
                 as many"
            )
        });
        let most = self.largest_rate();
        let fast = (most > f64::from(asked)).then(|| {
            format!(
                "threshold {}: neurons fire up to {most:.0} times per ms at the largest activation, and a tick carries \
                 one of {asked} per ms: clocked mode cuts off what is beyond, event mode makes each of them; 'megasim \
                 convert' with a --v-thresh nearer 1 helps",
                conversion.v_thresh
            )
        });
        timed.into_iter().chain(fast)
    }

    /// Whether neurons of the network's spike code can read a presentation in clocked steps of `dt` ticks, at most the
    /// length of the presentation; those that count spikes can read any code.
    ///
    /// # Errors
    /// What was expected, and what was found.
    pub fn check_presentation(&self, clock: Clock, encode: &Choice, dt: Tick) -> Result<(), String> {
        let code = self.manifest().conversion.rules.code;
        let made = self.manifest().presentation.as_ref().map_or(clock.duration, |made| made.duration);
        if !code.is_rate() && dt != 1 {
            return Err(format!("--dt: expected 1, as neurons of the spike code {code} count each tick, found {dt}"));
        }
        if dt > clock.ticks() {
            let (ticks, duration) = (clock.ticks(), clock.duration);
            return Err(format!("--dt: expected at most the {ticks} ticks of a sample ({duration} ms), found {dt}"));
        }
        code.check_presentation(made, clock.duration, clock.ticks_per_ms, &encode.to_string())
    }

    /// How a presentation of `duration` milliseconds in a code differs from the one that the network was made for.
    pub fn presentation_warnings(&self, duration: u32, code: &Choice) -> impl Iterator<Item = String> {
        let manifest = self.manifest();
        let made = manifest.presentation.as_ref();
        let is_cut_off = |neurons: &NeuronParameters| neurons.signed().is_some_and(|it| it.max_count < i32::MAX);
        let cuts_off = manifest.conversion.signed.is_some_and(|signed| signed.max_count.is_none())
            && self.network.modules().iter().any(|it| it.kind.neurons().is_some_and(|(_, it, _)| is_cut_off(it)));
        let calibrated = made.filter(|made| made.duration != duration).and_then(|made| {
            let (what, how) = match (cuts_off, made.calibration.is_some()) {
                (true, _) => ("cut counts off at the levels or maxima of activations", "does so"),
                (false, true) => ("were calibrated", "calibrates"),
                (false, false) => return None,
            };
            Some(format!(
                "--duration {duration}: the netfiles {what} for presentations of {} ms; 'megasim convert --duration \
                 {duration}' {how} for these",
                made.duration
            ))
        });
        let (taken, events) = (manifest.conversion.input_events, code.events_per_ms());
        let coarse = (taken != events && !code.is_current()).then(|| {
            format!(
                "--encode {code}: the netfiles take {taken} spikes per ms of an input of full value, and this code \
                 makes up to {events}; --encode {} suits them",
                manifest.encode()
            )
        });
        let other_code =
            (coarse.is_none() && !code.is_of_known_rate() && code.to_string() != manifest.encode()).then(|| {
                format!(
                    "--encode {code}: the netfiles were made for {}; 'megasim convert --encode {code}' adapts weights \
                     and thresholds to this code",
                    manifest.encode()
                )
            });
        calibrated.into_iter().chain(coarse).chain(other_code)
    }

    /// The classes that the trained network gives to samples, `(samples, numbers)`; none where there is no trained
    /// network.
    ///
    /// # Errors
    /// If the samples have another number of numbers.
    pub fn analog_classes(&self, samples: ArrayView2<f32>) -> Result<Option<Vec<usize>>, WrongBatch> {
        let Some(model) = self.model() else { return Ok(None) };
        let outputs = forward::forward(&model.graph, samples)?;
        Ok(Some(forward::classes(outputs.view())))
    }
}

fn read_standardisation(directory: &Path) -> Result<Arc<Standardisation>, Error> {
    Ok(Arc::new(Standardisation::read(&directory.join(save::STANDARDISATION))?))
}

/// Reads the copy of what a network was made of.
fn origin(manifest: &Manifest, copy: &Path) -> Result<Origin, Error> {
    if manifest.nir.is_none() {
        let options = ReadOptions { input_shape: manifest.model.input_shape.clone(), ..ReadOptions::default() };
        return Ok(Origin::Trained(Box::new(import::read_as(copy, options)?)));
    }
    let bytes = std::fs::read(copy).map_err(|source| import::Error { path: copy.into(), problem: source.into() })?;
    Ok(Origin::Spiking(Source {
        path: copy.into(),
        companions: Vec::new(),
        sha256: import::sha256(&bytes),
        input_shape: None,
        library: "nir".into(),
        version: None,
    }))
}
