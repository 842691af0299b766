//! Spiking networks of other libraries, in NIR, as netfiles: as they are, without normalisation.
//!
//! A step of the network is a tick. Linear nodes between neurons become the weights of ports, neurons
//! become modules, and what only moves spikes (sums over windows, flattening, delays) becomes modules that pass spikes
//! on.
//!
//! NIR's neurons spike above their threshold, those of netfiles at it. Potentials of netfiles are therefore one integer
//! below the real ones.

mod dialect;
mod modules;
mod neurons;
mod signal;
mod walk;

pub use super::spiking::{Dialect, ReadAs};
pub use dialect::Units;

use super::emit::{BIAS_CLOCK, RESET};
use super::manifest::{self, Manifest};
use super::{ConvertOptions, ConvertedModel, OutputForm, Quantization, Rules, Weighting, converted_model, save};
use megasim_ann::import::ImportError;
use megasim_ann::nir::Nir;
use megasim_core::encode::{self, Clock, DEFAULT_INPUT_RATE, Regular, SampleKind};
use megasim_core::network::{NetworkError, Reset, Stimulus, StimulusEvent};
use std::fmt;

/// What a weight of 1 becomes where nothing else is asked for.
pub const SCALING_FACTOR: f64 = 10_000_000.0;

/// Steps for which samples are shown where nothing else is asked for.
pub const STEPS: u32 = 100;

/// How a file is read.
#[derive(Debug, Clone, PartialEq)]
pub struct NirOptions {
    /// The library whose units it has.
    pub dialect: Dialect,
    /// A step in seconds, or in the unit of time of the file; none: what the file says, or the library has.
    pub dt: Option<f64>,
    /// What a spike does to a potential; none: what the file says, or the library does.
    pub reset: Option<Reset>,
    /// What a weight of 1 becomes.
    pub scaling_factor: f64,
}

impl Default for NirOptions {
    fn default() -> Self {
        Self { dialect: Dialect::Auto, dt: None, reset: None, scaling_factor: SCALING_FACTOR }
    }
}

/// Why a file has no netfiles.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Nodes that cannot be modules: all that are known.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Nodes(Vec<ImportError>),
    /// The network as a whole.
    #[error("{0}")]
    Network(String),
    /// A rule of the netfiles.
    #[error("module '{name}': {fault}")]
    Module {
        /// The module.
        name: String,
        /// The rule.
        fault: NetworkError,
    },
    /// Samples cannot be put into the network.
    #[error(transparent)]
    Layout(#[from] encode::Error),
    /// The copy of the file cannot be named.
    #[error(transparent)]
    Save(#[from] save::Error),
}

/// What was decided where the file is silent.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Warning {
    /// The reset.
    Reset(Reset, &'static str),
    /// The units of time constants.
    Units(Units),
    /// A factor at the output, which has no effect on spikes.
    Scale(String),
    /// The output is a sum of weights.
    Sum(String),
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reset(reset, why) => {
                let does = match reset {
                    Reset::Subtract => "subtracts the threshold",
                    _ => "puts the potential to v_reset",
                };
                write!(
                    f,
                    "the file does not say what a spike does to the potential; here it {does}, {why}; --reset subtract \
                     or --reset zero chooses"
                )
            }
            Self::Units(units) => write!(
                f,
                "time constants are taken as {} has them, with a step of {} s; --nir-dialect and --dt choose",
                units.dialect.name(),
                units.dt
            ),
            Self::Scale(node) => write!(f, "node '{node}': a factor at the output does not change its spikes"),
            Self::Sum(node) => {
                write!(f, "node '{node}': no neurons at the output; the sum over time is read as potentials")
            }
        }
    }
}

/// Makes a network of netfiles of a file of NIR.
///
/// # Errors
/// All nodes that cannot be modules, by name and reason.
pub fn convert(nir: &Nir, options: &NirOptions) -> Result<(ConvertedModel, Vec<Warning>), Error> {
    let mut warnings = Vec::new();
    let units = Units::of(nir, options);
    let spikes = |node: &megasim_ann::nir::NirNode| node.kind.contains("IF");
    let (reset, known) = dialect::reset(nir, options, units.dialect);
    if let (Some(why), true) = (known, nir.graph.nodes.iter().any(spikes)) {
        warnings.push(Warning::Reset(reset, why));
    }
    if units.guessed && nir.graph.nodes.iter().any(|node| node.kind.contains("LI") || node.kind == "Delay") {
        warnings.push(Warning::Units(units));
    }
    let walked = walk::walk(&nir.graph, &units, reset)?;
    let built = modules::build(walked, options.scaling_factor, &mut warnings)?;
    let convert_options = ConvertOptions {
        quantization: Quantization {
            scaling_factor: options.scaling_factor,
            reset,
            ticks_per_ms: 1,
            ..Quantization::default()
        },
        output: built.form,
        rules: Rules { weighting: Weighting::AsTrained, ..Rules::default() },
        ..ConvertOptions::default()
    };
    let name = nir.source.path.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| save::Error::Name(nir.source.path.clone()))?.to_string();
    let modules::Built { network, input, layers, has_bias, has_mask, form } = built;
    let (node, classes) =
        layers.last().map(|layer| (layer.nodes.join(""), layer.shape.iter().product())).unwrap_or_default();
    let clock = Clock { duration: STEPS, ticks_per_ms: 1 };
    let manifest = Manifest {
        format: manifest::FORMAT,
        model: manifest::Model {
            copy: format!("{}/{name}", save::SOURCE_DIRECTORY),
            name,
            sha256: nir.source.sha256.clone(),
            input_shape: None,
        },
        input,
        output: manifest::OutputLayer { node, classes, form },
        layers,
        bias_clock: has_bias.then(|| BIAS_CLOCK.into()),
        mask_clock: has_mask.then(|| RESET.into()),
        initial_potential: None,
        softmax_clock: None,
        settle_events: Vec::new(),
        reset_event: RESET.into(),
        conversion: manifest::Conversion::new(&convert_options, 0),
        presentation: Some(manifest::Presentation {
            duration: clock.duration,
            encode: "regular".into(),
            ticks_per_ms: clock.ticks_per_ms,
            calibration: None,
        }),
        analog: None,
        nir: Some(ReadAs { dialect: units.dialect, dt: units.dt }),
    };
    let layout = manifest.layout(&network)?;
    let output = manifest.output(&network)?;
    let code = Regular { input_rate: DEFAULT_INPUT_RATE };
    let example = vec![0.0; manifest.addresses()];
    let mut stimuli = layout.stimuli(&code, SampleKind::Still, &example, 0, clock)?;
    let reset = network.sources().iter().position(|&node| network.nodes()[node.index()].name == RESET);
    if let Some(reset) = reset {
        let events = stimuli[reset].iter().chain([StimulusEvent::reset(clock.ticks())]);
        stimuli[reset] = Stimulus::from_events(events.collect::<Vec<_>>());
    }
    let origin = converted_model::Origin::Spiking(nir.source.clone());
    let converted = ConvertedModel {
        manifest,
        network,
        origin,
        layout,
        output,
        stimuli,
        warnings: Vec::new(),
        standardisation: None,
    };
    Ok((converted, warnings))
}

/// Whether the answer of a network is in spikes or in potentials.
fn form(spikes: bool) -> OutputForm {
    if spikes { OutputForm::Relu } else { OutputForm::Potential }
}
