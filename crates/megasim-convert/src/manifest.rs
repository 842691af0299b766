//! `megasim.json`: what a converted network's netfiles cannot say.

mod check;
mod layer;
mod softmax_clock;

pub use layer::Layer;
pub use softmax_clock::SoftmaxClock;

use super::calibrate::Correction;
use super::emit::SpikingModel;
use super::normalize::Normalized;
use super::parsed::{ParsedModel, Source};
use super::quantize::SignedNeurons;
use super::scales::Scales;
use super::spiking::ReadAs;
use super::{ConvertOptions, OutputForm, Precision, Quantization, Rules, TEST_SAMPLES, emit};
use megasim_ann::graph::Levels;
use megasim_core::encode::registry::{self, Choice, Common};
use megasim_core::encode::{self, Clock, DEFAULT_INPUT_RATE, FeatureScales, InputMap, SpikeEncoder};
use megasim_core::netfile::FileNames;
use megasim_core::network::{ModuleId, Network, NodeId, Reset};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Its name in the netfile directory.
pub const FILE_NAME: &str = "megasim.json";

/// Version of the layout below.
pub const FORMAT: u32 = 1;

/// Why a manifest could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is not there, or cannot be read.
    #[error("{path}: cannot be read: {source}; a directory that 'megasim convert' wrote has one")]
    Read {
        /// The manifest.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file where its directory was expected.
    #[error("{0}: expected a directory that 'megasim convert' wrote, found a file")]
    NoDirectory(PathBuf),
    /// Netfiles of another origin: of a single-spike model, of another program.
    #[error(
        "{0}: expected a directory that 'megasim convert' wrote of a trained network, found netfiles without its \
         {FILE_NAME}; 'megasim run' and 'megasim compare' take the .sch file"
    )]
    OnlyNetfiles(PathBuf),
    /// It is damaged.
    #[error("{path}: expected what 'megasim convert' writes, found something else: {message}")]
    Parse {
        /// The manifest.
        path: PathBuf,
        /// What is wrong, and where.
        message: String,
    },
    /// It belongs to another network.
    #[error("{path}: does not fit the netfiles next to it: {message}")]
    Network {
        /// The manifest.
        path: PathBuf,
        /// What was expected and what was found.
        message: String,
    },
}

/// Where a converted network came from, and how its nodes are to be read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`FORMAT`].
    pub format: u32,
    /// The analog network.
    pub model: Model,
    /// What goes in.
    pub input: InputLayer,
    /// What comes out.
    pub output: OutputLayer,
    /// The layers in netlist order.
    pub layers: Vec<Layer>,
    /// Node that makes the biases act, once for each event; none where no layer has a bias.
    pub bias_clock: Option<String>,
    /// Node whose control events, one per millisecond, make the masks of convolution and pooling act; none where no
    /// layer has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mask_clock: Option<String>,
    /// Node whose one event, at tick 0, sets the initial potentials of single neurons; none where no layer has them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initial_potential: Option<String>,
    /// The clock of a softmax output; none where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub softmax_clock: Option<SoftmaxClock>,
    /// Nodes whose event at the end of a sample ends the hysteresis of signed neurons, one for each layer of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub settle_events: Vec<String>,
    /// Node that resets all modules.
    pub reset_event: String,
    /// How the weights were made.
    pub conversion: Conversion,
    /// The presentation that the conversion was made for, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub presentation: Option<Presentation>,
    /// Accuracy of the analog network, where it was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub analog: Option<Accuracy>,
    /// Of a network that was read as a spiking one: how its file was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nir: Option<ReadAs>,
}

/// How samples are presented to a network that was converted for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Presentation {
    /// Milliseconds per sample.
    pub duration: u32,
    /// The spike code of the input, as `--encode` takes it.
    pub encode: String,
    /// Ticks per millisecond.
    pub ticks_per_ms: u32,
    /// What was corrected by spikes, where something was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<Calibration>,
}

impl Presentation {
    /// Duration and ticks.
    pub fn clock(&self) -> Clock {
        Clock { duration: self.duration, ticks_per_ms: self.ticks_per_ms }
    }

    /// The spike code of the input.
    ///
    /// # Errors
    /// If there is no such code, or if its parameters or its file are wrong.
    pub fn code(&self) -> Result<Box<dyn SpikeEncoder>, PresentationError> {
        let choice: Choice = self.encode.parse().map_err(|fault: String| PresentationError::Encode(fault))?;
        let common = Common { input_rate: DEFAULT_INPUT_RATE, seed: 0 };
        Ok(choice.code(&common, self.clock())?)
    }

    /// How often biases act in a sample.
    ///
    /// # Errors
    /// As [`Presentation::code`].
    pub fn steps(&self) -> Result<u32, PresentationError> {
        let period = self.code()?.bias_period(self.clock());
        Ok((f64::from(self.duration) / period).round().max(1.0) as u32)
    }
}

/// Why a presentation has no code.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PresentationError {
    /// It names no code.
    #[error("--encode: {0}")]
    Encode(String),
    /// The code cannot be made.
    #[error(transparent)]
    Code(#[from] registry::Error),
}

/// How a network was calibrated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// What was corrected.
    pub correction: Correction,
    /// The mode whose spikes corrected it.
    pub mode: CalibrationMode,
    /// Samples of the normalisation set that were run.
    pub samples: usize,
}

/// The mode whose spikes correct a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CalibrationMode {
    /// Event mode.
    Event,
    /// Clocked mode.
    Clocked,
}

/// A share of right answers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Accuracy {
    /// How many samples were asked.
    pub samples: usize,
    /// The share of right answers.
    pub accuracy: f64,
}

/// The analog network of a converted one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// Its file name.
    pub name: String,
    /// A copy of it, relative to the manifest, from which analog outputs can be computed.
    pub copy: String,
    /// Its SHA-256 in hexadecimal.
    pub sha256: String,
    /// Sizes of one sample that were given where the file leaves them open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_shape: Option<Vec<usize>>,
}

/// The input of a converted network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputLayer {
    /// The source's name of it.
    pub name: String,
    /// `[features]` or `[maps, height, width]`.
    pub shape: Vec<usize>,
    /// Nodes, one per map; a vector is one row.
    pub nodes: Vec<String>,
    /// Number of the sample that is at each address (map after map, `y`, `x`); none where they are in order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<Vec<usize>>,
    /// Whether samples are standardised by the statistics in `standardisation.npz`.
    #[serde(default, skip_serializing_if = "is_false")]
    pub standardised: bool,
}

/// The output of a converted network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutputLayer {
    /// Its node; address `x` is the class.
    pub node: String,
    /// How many classes there are.
    pub classes: usize,
    /// What its neurons do, and so where the answer is to be read.
    #[serde(default, skip_serializing_if = "OutputForm::is_default")]
    pub form: OutputForm,
}

/// How the weights of a converted network were made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conversion {
    /// Percentile of the activations that became one spike per millisecond.
    pub percentile: f64,
    /// How much less for each layer further on.
    #[serde(default)]
    pub percentile_step: f64,
    /// Whether the scales are those of an earlier conversion.
    #[serde(default)]
    pub given_scales: bool,
    /// Whether each map has its own scale.
    #[serde(default, skip_serializing_if = "is_false")]
    pub channel_scales: bool,
    /// Which numbers the weights may be: `full`, a number of bits, `Qm.f` or `binary`.
    #[serde(default)]
    pub weight_bits: Precision,
    /// Parameters of modules that were set afterwards, `GLOB.KEY=INTEGER`, and equations of neurons,
    /// `GLOB.neuron=FILE`.
    #[serde(default)]
    pub settings: Vec<String>,
    /// Samples in the normalisation set.
    pub normalisation_samples: usize,
    /// What a weight of 1 became.
    pub scaling_factor: f64,
    /// The threshold before scaling.
    pub v_thresh: f64,
    /// What becomes of the potential when a neuron spikes: `subtract`, `zero` or `modulo`.
    #[serde(with = "reset_word")]
    pub reset: Reset,
    /// Where potentials start, as a part of the threshold.
    pub initial_potential: f64,
    /// Whether only the original format was used.
    pub plain_megasim: bool,
    /// Whether averages took the place of maximum pooling.
    #[serde(default)]
    pub max_to_average: bool,
    /// What the numbers of a sample are divided by before they become spikes.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub input_scale: f64,
    /// What is done before that to each feature, or to each channel of the maps of a sample.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_features: Option<FeatureScales>,
    /// Spikes per millisecond of an input that has the value `input_scale`.
    #[serde(default = "one_event", skip_serializing_if = "is_one_event")]
    pub input_events: u32,
    /// Whether averages pass each spike on.
    #[serde(default, skip_serializing_if = "is_false")]
    pub relays: bool,
    /// What was added to all outputs before a softmax.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub logit_shift: f64,
    /// Ticks per millisecond that neurons which tell spikes by time were made for.
    #[serde(default = "default_ticks")]
    pub ticks_per_ms: u32,
    /// Where neurons are signed: how.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed: Option<SignedNeurons>,
    /// Rules beyond layers and weights, where they are not SNN toolbox's.
    #[serde(default, skip_serializing_if = "Rules::is_default")]
    pub rules: Rules,
}

impl Conversion {
    /// What these options say.
    pub(super) fn new(options: &ConvertOptions, normalisation_samples: usize) -> Self {
        let neurons = options.neurons.iter().map(ToString::to_string);
        Self {
            percentile: options.percentile,
            percentile_step: options.percentile_step,
            given_scales: options.scales.is_some(),
            channel_scales: options.channel_scales,
            weight_bits: options.precision,
            settings: neurons.chain(options.settings.iter().map(ToString::to_string)).collect(),
            normalisation_samples,
            scaling_factor: options.quantization.scaling_factor,
            v_thresh: options.quantization.threshold,
            reset: options.quantization.reset,
            initial_potential: options.quantization.initial_potential,
            plain_megasim: options.format == emit::Format::Original,
            max_to_average: options.max_to_average,
            input_scale: options.input_scale.unwrap_or(1.0),
            input_features: options.input_features.clone(),
            input_events: options.quantization.input_events,
            relays: options.quantization.relays,
            logit_shift: options.logit_shift,
            ticks_per_ms: options.quantization.ticks_per_ms,
            signed: options.quantization.signed,
            rules: options.rules.clone(),
        }
    }
}

fn one() -> f64 {
    1.0
}

fn is_one(scale: &f64) -> bool {
    *scale == 1.0
}

fn is_false(flag: &bool) -> bool {
    !flag
}

fn one_event() -> u32 {
    1
}

fn is_one_event(events: &u32) -> bool {
    *events == 1
}

fn is_zero(shift: &f64) -> bool {
    *shift == 0.0
}

fn default_ticks() -> u32 {
    super::quantize::DEFAULT_TICKS_PER_MS
}

/// What a reset is called on the command line and in the manifest.
pub fn reset_name(reset: Reset) -> &'static str {
    match reset {
        Reset::ToRest => "zero",
        Reset::Subtract => "subtract",
        Reset::Modulo => "modulo",
    }
}

/// [`Reset`] as its word.
mod reset_word {
    use super::{Reset, reset_name};
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(reset: &Reset, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(reset_name(*reset))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Reset, D::Error> {
        let word = String::deserialize(deserializer)?;
        let all = [Reset::Subtract, Reset::ToRest, Reset::Modulo];
        let found = all.into_iter().find(|reset| reset_name(*reset) == word);
        found.ok_or_else(|| {
            D::Error::custom(format!("expected 'subtract', 'zero' or 'modulo' as reset, found '{word}'"))
        })
    }
}

impl Manifest {
    /// The manifest of a conversion.
    pub fn new(
        model: Model,
        normalized: &Normalized,
        emitted: &SpikingModel,
        options: &ConvertOptions,
        normalisation_samples: usize,
    ) -> Self {
        let parsed: &ParsedModel = &normalized.parsed;
        let node = |id: &NodeId| emitted.network.nodes()[id.index()].name.clone();
        let nodes = |ids: &[NodeId]| ids.iter().map(node).collect::<Vec<_>>();
        let layers = parsed.layers.iter().enumerate().map(|(k, layer)| {
            let inputs = layer.sources().into_iter().map(|source| match source {
                Source::Input => emit::INPUT.into(),
                Source::Layer(k) => parsed.name(k),
            });
            Layer {
                name: parsed.name(k),
                source: layer.source_name.clone(),
                kind: layer.kind.clone(),
                inputs: inputs.collect(),
                shape: layer.shape.sizes(),
                nodes: nodes(&emitted.layers[k]),
                scale: normalized.scales[k],
                levels: parsed.levels(k).map(|levels| {
                    let step = (f64::from(levels.step) * normalized.scales[k]) as f32;
                    Levels { step, ..levels }
                }),
                map_scales: normalized.map_scales(k),
            }
        });
        let layers: Vec<_> = layers.collect();
        let output = OutputLayer {
            node: emitted.layers.last().and_then(|nodes| nodes.first()).map(node).unwrap_or_default(),
            classes: parsed.layers.last().map_or(0, |layer| layer.shape.len()),
            form: options.output,
        };
        Self {
            format: FORMAT,
            model,
            input: InputLayer {
                name: parsed.input_name.clone(),
                shape: parsed.input.sizes(),
                nodes: nodes(&emitted.input),
                order: parsed.input_order.clone(),
                standardised: false,
            },
            output,
            layers,
            bias_clock: emitted.bias_clock.as_ref().map(node),
            mask_clock: emitted.mask_clock.as_ref().map(node),
            initial_potential: emitted.start.as_ref().map(node),
            softmax_clock: emitted
                .control
                .as_ref()
                .map(|control| SoftmaxClock::new(node(control), options.softmax_clock)),
            settle_events: nodes(&emitted.settle),
            reset_event: node(&emitted.reset),
            conversion: Conversion::new(options, normalisation_samples),
            presentation: None,
            nir: None,
            analog: None,
        }
    }

    /// Reads the manifest of a netfile directory.
    ///
    /// # Errors
    /// If it is missing, damaged or of another version; if a key is unknown, or a value out of its range.
    pub fn read(directory: &Path) -> Result<Self, Error> {
        let path = directory.join(FILE_NAME);
        let text = fs::read(&path).map_err(|source| match directory.is_file() {
            true => Error::NoDirectory(directory.into()),
            false if directory.join("megasim.sch").is_file() => Error::OnlyNetfiles(directory.into()),
            false => Error::Read { path: path.clone(), source },
        })?;
        let parse = |message: String| Error::Parse { path: path.clone(), message };
        let manifest: Self = serde_json::from_slice(&text).map_err(|error| parse(error.to_string()))?;
        if manifest.format != FORMAT {
            return Err(parse(format!("expected format {FORMAT}, found {}", manifest.format)));
        }
        manifest.check().map_err(parse)?;
        Ok(manifest)
    }

    /// Makes sure that the manifest, read from `directory`, belongs to the network of the netfiles there.
    ///
    /// # Errors
    /// If it names nodes that the network does not drive, or layers of another size.
    pub fn check_network(&self, directory: &Path, network: &Network) -> Result<(), Error> {
        self.check_nodes(network).map_err(|message| Error::Network { path: directory.join(FILE_NAME), message })
    }

    /// The scales of all layers.
    pub fn scales(&self) -> Scales {
        let has_maps = |layer: &&Layer| !layer.map_scales.is_empty();
        Scales {
            model_sha256: self.model.sha256.clone(),
            scales: self.layers.iter().map(|layer| (layer.name.clone(), layer.scale)).collect(),
            maps: self.layers.iter().filter(has_maps).map(Layer::maps).collect(),
        }
    }

    /// The options with which the network was converted, but for equations and parameters that modules got afterwards.
    pub fn options(&self) -> ConvertOptions {
        let of = &self.conversion;
        ConvertOptions {
            percentile: of.percentile,
            percentile_step: of.percentile_step,
            scales: of.given_scales.then(|| self.scales()),
            channel_scales: of.channel_scales,
            precision: of.weight_bits,
            quantization: Quantization {
                scaling_factor: of.scaling_factor,
                threshold: of.v_thresh,
                reset: of.reset,
                initial_potential: of.initial_potential,
                ticks_per_ms: of.ticks_per_ms,
                signed: of.signed,
                input_events: of.input_events,
                relays: of.relays,
            },
            format: if of.plain_megasim { emit::Format::Original } else { emit::Format::Extended },
            output: self.output.form,
            softmax_clock: self.softmax_clock.as_ref().map(SoftmaxClock::clock).unwrap_or_default(),
            max_to_average: of.max_to_average,
            input_scale: Some(of.input_scale),
            input_percentile: None,
            input_features: of.input_features.clone(),
            adapt_input: false,
            logit_shift: of.logit_shift,
            adapt_output: false,
            adapt_factor: false,
            adapt_calibration: false,
            adapt_pool: false,
            rules: of.rules.clone(),
            test_samples: TEST_SAMPLES,
            presentation: self.presentation.clone(),
            neurons: Vec::new(),
            settings: Vec::new(),
        }
    }

    /// The spike code of the input, as `--encode` takes it: that of the presentation, or what the input takes.
    pub fn encode(&self) -> String {
        match (&self.presentation, self.conversion.input_events) {
            (Some(presentation), _) => presentation.encode.clone(),
            (None, 1) => Choice::default().to_string(),
            (None, events) => Choice::events(events).to_string(),
        }
    }

    /// Where samples go in the network that the manifest belongs to.
    ///
    /// # Errors
    /// If it names nodes that are none of the network's sources, or sizes that do not fit.
    pub fn layout(&self, network: &Network) -> Result<InputMap, encode::Error> {
        let InputLayer { shape, nodes, order, .. } = &self.input;
        InputMap::new(network, shape, nodes, order.clone(), self.bias_clock.as_deref())?
            .with_input_scale(self.conversion.input_scale / f64::from(self.conversion.input_events))?
            .with_features(self.conversion.input_features.clone())?
            .with_mask_clock(network, self.mask_clock.as_deref())?
            .with_settle_events(network, &self.settle_events)?
            .with_softmax_clock(network, self.softmax_clock.as_ref().map(|of| (&of.node[..], of.clock())))?
            .with_start(network, self.initial_potential.as_deref())
    }

    /// The output node.
    ///
    /// # Errors
    /// If no such node is driven.
    pub fn output(&self, network: &Network) -> Result<NodeId, encode::Error> {
        network.node_named(&self.output.node).ok_or_else(|| encode::Error::Missing(self.output.node.clone()))
    }

    /// Names of the files: those of SNN toolbox, where the modules of a layer share a state file.
    pub fn file_names(&self, network: &Network) -> FileNames {
        let mut files = FileNames::of(network);
        for (k, module) in files.modules.iter_mut().enumerate() {
            let node = network.outputs(ModuleId::new(k)).first().map(|node| &network.nodes()[node.index()].name);
            let of_node = |layer: &&Layer| layer.nodes.iter().any(|name| Some(name) == node);
            if let Some(layer) = self.layers.iter().find(of_node) {
                module.state = format!("{}.stt", layer.name);
            }
        }
        files
    }

    /// Numbers in a sample.
    pub fn addresses(&self) -> usize {
        self.input.shape.iter().fold(1, |n: usize, &size| n.saturating_mul(size))
    }

    /// The manifest as text.
    pub fn to_json(&self) -> String {
        // Plain data with string keys always has a JSON form.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }
}
