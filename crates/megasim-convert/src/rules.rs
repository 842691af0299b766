//! Rules of a conversion beyond layers and weights, and the presets that are made of them.
//!
//! Everything here is an ordinary parameter of the netfiles: thresholds, floors, a reset, the extension keys
//! `delay_to_arrive` and `mask_tau`.

use super::currents::SynapticCurrents;
use super::emit::{self, SpikingModel};
use super::max_pooling::MaxPooling;
use super::model_based::Schedule;
use super::parsed::{LayerKind, ParsedLayer, ParsedModel, Role};
use super::payloads;
use super::quantize::{DEFAULT_SCALING_FACTOR, Quantization};
use super::spike_code::{self, SpikeCode};
use megasim_core::network::{
    Element, Module, ModuleKind, Network, NetworkBuilder, NeuronParameters, PoolMask, PoolRule, Reset, Tick,
};
use serde::{Deserialize, Serialize};

/// How weights are scaled.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum Weighting {
    /// By a percentile of each layer's activations ([`normalize`](super::normalize)).
    #[default]
    Percentile,
    /// By the scale near that percentile with the least squared error of a presentation
    /// ([`least_squares`](super::normalize::least_squares)).
    LeastSquares {
        /// Bias events of the presentation: its duration in ms where the input rate is 1000 Hz.
        steps: u32,
    },
    /// By the largest sum of a neuron's positive weights, times a factor for the layer
    /// ([`model_based`](super::model_based)).
    Model(Schedule),
    /// Not at all.
    AsTrained,
}

/// What a preset sets; the default is SNN toolbox's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rules {
    /// How weights are scaled.
    pub weighting: Weighting,
    /// By how much the threshold of a layer is lower than that of the one before; the first layer is one step below
    /// `v_thresh`.
    pub threshold_step: f64,
    /// Whether the output's threshold is lowered too.
    pub lower_output: bool,
    /// Whether layers are counted, and weights scaled, as in the listing of ANNarchy's manual: flattening is no layer,
    /// and weights of convolutions stay as they are.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub as_listed: bool,
    /// The lowest potential, before scaling, as a distance below 0; none: the 32-bit limit.
    pub floor: Option<f64>,
    /// Whether neurons spike above their threshold only, not at it. Goes with a reset to zero.
    pub strict: bool,
    /// Ticks between layers.
    pub delay_to_arrive: Tick,
    /// Time constant, in milliseconds, of the mask that convolution and pooling read instead of spikes; 0: they read
    /// spikes.
    pub mask_tau: i32,
    /// What is added to the potential of each neuron per millisecond, before scaling, beyond its bias.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub offset: f64,
    /// Synaptic currents that decay.
    #[serde(skip_serializing_if = "SynapticCurrents::is_none")]
    pub currents: SynapticCurrents,
    /// By what spikes say how large a number is.
    #[serde(skip_serializing_if = "SpikeCode::is_rate")]
    pub code: SpikeCode,
    /// Which input of a window maximum pooling passes on.
    #[serde(skip_serializing_if = "MaxPooling::is_accumulated")]
    pub max_pooling: MaxPooling,
    /// Spikes of hidden neurons carry what was added to the residual, with this number of bits behind the point.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload_bits: Option<u8>,
}

fn is_zero(number: &f64) -> bool {
    *number == 0.0
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            weighting: Weighting::Percentile,
            threshold_step: 0.0,
            lower_output: false,
            as_listed: false,
            floor: None,
            strict: false,
            delay_to_arrive: 0,
            mask_tau: 0,
            offset: 0.0,
            currents: SynapticCurrents::default(),
            code: SpikeCode::default(),
            max_pooling: MaxPooling::default(),
            payload_bits: None,
        }
    }
}

/// Parameters under one name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preset {
    /// SNN toolbox: percentiles, reset by subtraction, nothing else. What is done where nothing is asked for.
    Toolbox,
    /// ANNarchy's converter 5.0.4 without its faults: weights are normalised as its documentation says.
    Annarchy,
    /// As its manual's listing has it: the output's threshold is lowered too, flattening is no layer, and weights of
    /// convolutions are not scaled.
    AnnarchyManual,
    /// As [`Preset::Annarchy`], with the output's threshold lowered too.
    AnnarchyLoweredOutput,
    /// A spike code of SNN toolbox's INI simulator: neurons, input code and read-out.
    Coded(SpikeCode),
}

impl Preset {
    /// The rules, and scale, threshold and reset of the neurons.
    pub fn parameters(self) -> (Rules, Quantization) {
        let toolbox = Quantization { scaling_factor: DEFAULT_SCALING_FACTOR, ..Quantization::default() };
        match self {
            Self::Toolbox | Self::Coded(SpikeCode::TemporalMeanRate) => (Rules::default(), toolbox),
            Self::Coded(code) => {
                let quantization = Quantization {
                    scaling_factor: spike_code::SCALING_FACTOR,
                    reset: Reset::ToRest,
                    ticks_per_ms: code.ticks_per_ms(),
                    // What adds up to whole spikes would be one more layer of them.
                    relays: matches!(code, SpikeCode::TemporalPattern { .. }),
                    ..toolbox
                };
                (Rules { code, ..Rules::default() }, quantization)
            }
            Self::Annarchy | Self::AnnarchyManual | Self::AnnarchyLoweredOutput => {
                let rules = Rules {
                    weighting: Weighting::Model(Schedule::default()),
                    threshold_step: 0.05,
                    lower_output: self != Self::Annarchy,
                    as_listed: self == Self::AnnarchyManual,
                    floor: Some(2.0),
                    strict: true,
                    delay_to_arrive: 1,
                    mask_tau: 20,
                    ..Rules::default()
                };
                // Potentials are between -2 and little above 1, so that ten times the usual scale fits; what is far
                // beyond is cut off, and fires all the same.
                let scaling_factor = 10.0 * DEFAULT_SCALING_FACTOR;
                (rules, Quantization { scaling_factor, reset: Reset::ToRest, ..toolbox })
            }
        }
    }
}

impl Weighting {
    /// Whether activations over a normalisation set are needed.
    pub fn needs_data(&self) -> bool {
        matches!(self, Self::Percentile | Self::LeastSquares { .. })
    }
}

impl Rules {
    /// Whether they are SNN toolbox's.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    fn changes_modules(&self) -> bool {
        let Self { weighting, as_listed, offset, currents, code, max_pooling, payload_bits, .. } = Self::default();
        let others = Self { weighting, as_listed, offset, currents, code, max_pooling, payload_bits, ..self.clone() };
        others != Self::default()
    }
}

/// Puts rules into the modules of a network.
///
/// # Errors
/// Where a threshold comes to 0, where a number does not fit, or where the rules do not go together.
pub fn apply(
    emitted: SpikingModel,
    parsed: &ParsedModel,
    quantization: &Quantization,
    rules: &Rules,
) -> Result<SpikingModel, emit::Error> {
    let emitted = changed(emitted, parsed, quantization, rules)?;
    match rules.payload_bits {
        Some(bits) => payloads::apply(emitted, parsed, quantization, bits),
        None => Ok(emitted),
    }
}

fn changed(
    mut emitted: SpikingModel,
    parsed: &ParsedModel,
    quantization: &Quantization,
    rules: &Rules,
) -> Result<SpikingModel, emit::Error> {
    if !rules.max_pooling.is_accumulated() {
        emitted = pool_by(emitted, parsed, quantization, rules)?;
    }
    if !rules.changes_modules() {
        return Ok(emitted);
    }
    if quantization.signed.is_some() {
        let reason = "signed neurons have no lowered thresholds, floors, delays or masks of a preset";
        return Err(emit::Error::Format { layer: parsed.name(0), reason: reason.into() });
    }
    let network = emitted.network;
    let last = parsed.layers.len() - 1;
    let mut builder = NetworkBuilder::with_models_of(&network);
    for element in network.elements() {
        match *element {
            Element::Source(id) => {
                let name = name(&network, network.sources()[id.index()]);
                builder.source(name).map_err(|fault| emit::Error::Module { layer: name.into(), fault })?;
            }
            Element::Module(id) => {
                let outputs = network.outputs(id);
                let number = emitted.layers.iter().position(|nodes| outputs.iter().any(|node| nodes.contains(node)));
                let number = number.unwrap_or(last);
                let layer = parsed.name(number);
                let mut module = network.modules()[id.index()].clone();
                let lowered = number != last || rules.lower_output;
                let is_counted =
                    |layer: &&ParsedLayer| !(rules.as_listed && matches!(layer.operation, LayerKind::Flatten { .. }));
                let depth = parsed.layers[..=number].iter().filter(is_counted).count();
                let step = if lowered { rules.threshold_step * depth as f64 } else { 0.0 };
                match parsed.layers[number].operation {
                    LayerKind::Population { role: Role::Rectifier, .. }
                    | LayerKind::AveragePool { .. }
                    | LayerKind::MaxPool { .. }
                    | LayerKind::Flatten { .. } => {}
                    _ => {
                        let reason =
                            "expected rectified activations, as thresholds, floors, delays and masks are changed";
                        return Err(emit::Error::Format { layer, reason: reason.into() });
                    }
                }
                let pools = matches!(parsed.layers[number].operation, LayerKind::AveragePool { .. });
                change(&mut module, &layer, pools, quantization, rules, step)?;
                let names: Vec<&str> = outputs.iter().map(|&node| name(&network, node)).collect();
                builder.module(module, &names).map_err(|fault| emit::Error::Module { layer, fault })?;
            }
        }
    }
    emitted.network =
        builder.build(network.t_max()).map_err(|fault| emit::Error::Module { layer: "Tmax".into(), fault })?;
    emitted.mask_clock = (rules.mask_tau > 0).then_some(emitted.reset);
    Ok(emitted)
}

/// Gives maximum pooling the rule by which windows choose an input.
fn pool_by(
    mut emitted: SpikingModel,
    parsed: &ParsedModel,
    quantization: &Quantization,
    rules: &Rules,
) -> Result<SpikingModel, emit::Error> {
    let pooling = rules.max_pooling;
    let reason = if quantization.signed.is_some() {
        "where neurons are signed, windows pass on the change of their largest count; --preset toolbox has others"
    } else if rules.mask_tau > 0 {
        "windows integrate the masks of their inputs (--mask-tau 0 has none)"
    } else if !rules.code.is_rate() {
        "windows of a spike code other than rates pass on what the code has"
    } else {
        let rule = pooling.rule(quantization.ticks_per_ms);
        let network = emitted.network.map_modules(|module| {
            if let ModuleKind::MaxPool(pool) = &mut module.kind {
                pool.rule = rule;
            }
        });
        emitted.network = network.map_err(|fault| emit::Error::Module { layer: parsed.name(0), fault })?;
        return Ok(emitted);
    };
    let is_maximum = |k: &usize| matches!(parsed.layers[*k].operation, LayerKind::MaxPool { .. });
    let layer = (0..parsed.layers.len()).find(is_maximum).unwrap_or(0);
    Err(emit::Error::Format { layer: parsed.name(layer), reason: format!("--max-pool {pooling}: {reason}") })
}

fn name(network: &Network, node: megasim_core::network::NodeId) -> &str {
    &network.nodes()[node.index()].name
}

fn change(
    module: &mut Module,
    layer: &str,
    pools: bool,
    quantization: &Quantization,
    rules: &Rules,
    step: f64,
) -> Result<(), emit::Error> {
    let refuse = |reason: String| emit::Error::Format { layer: layer.into(), reason };
    if rules.strict && quantization.reset != Reset::ToRest {
        return Err(refuse("a strict threshold goes with a reset to zero".into()));
    }
    // An average's neurons have a threshold of 1 whatever the others have.
    let threshold = if pools { 1.0 - step } else { quantization.threshold - step };
    if threshold <= 0.0 {
        return Err(refuse(format!("expected a threshold above 0 after lowering it by {step}, found {threshold}")));
    }
    let threshold = quantization.integer(layer, "threshold", threshold)?.saturating_add(i32::from(rules.strict));
    let floor = match rules.floor {
        Some(floor) => quantization.integer(layer, "floor", -floor)?,
        None => NeuronParameters::default().threshold_minus,
    };
    let masked = match &mut module.kind {
        ModuleKind::MaxPool(pool) => {
            if rules.mask_tau > 0 {
                let weight = quantization.integer(layer, "weight", 1.0)?;
                pool.rule = PoolRule::Mask(PoolMask { tau: rules.mask_tau, weight, threshold });
            }
            module.timing.delay_to_arrive = rules.delay_to_arrive;
            return Ok(());
        }
        ModuleKind::Conv(conv) => &mut conv.neurons,
        ModuleKind::FullyConnected(full) | ModuleKind::Softmax(full) => {
            full.neurons.threshold_plus = threshold;
            full.neurons.threshold_minus = floor;
            module.timing.delay_to_arrive = rules.delay_to_arrive;
            return Ok(());
        }
        _ => return Ok(()),
    };
    masked.threshold_plus =
        if rules.threshold_step != 0.0 || rules.strict || !pools { threshold } else { masked.threshold_plus };
    masked.threshold_minus = floor;
    masked.mask_tau = rules.mask_tau;
    if rules.strict {
        masked.reset = quantization.reset;
    }
    module.timing.delay_to_arrive = rules.delay_to_arrive;
    Ok(())
}
