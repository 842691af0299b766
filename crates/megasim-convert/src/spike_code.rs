//! Spike codes other than rates: what the neurons of a converted network do, with the input code and the read-out that
//! go with it.
//!
//! Neurons follow [custom equations](megasim_core::network::NeuronModel). The bias clock's event of each millisecond
//! brings them up to date, so that all layers have a port for it.

mod equations;
mod rebuild;

use super::emit::{self, SpikingModel};
use super::normalize::Normalized;
use super::parsed::{LayerKind, ParsedModel, Role, Source};
use super::quantize::Quantization;
use super::simplify::OutputForm;
use equations::Says;
use megasim_core::encode::pattern::MOST_BITS;
use megasim_core::encode::registry::Choice;
use megasim_core::network::NeuronModel;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;

/// What a weight of 1 becomes: room for potentials that grow with time.
pub(super) const SCALING_FACTOR: f64 = 1_000_000.0;

/// Milliseconds of a presentation in codes of single spikes, where nothing else is asked for.
const DURATION: u32 = 50;

/// By what spikes say how large a number is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum SpikeCode {
    /// By how many there are.
    #[default]
    TemporalMeanRate,
    /// By their pattern: one bit per millisecond, the highest first. A layer fires when the one before it has fired
    /// (Rueckauer & Liu, "Temporal pattern coding in deep spiking neural networks", IJCNN 2021).
    TemporalPattern {
        /// Bits of a number, 1 to 16.
        bits: u32,
    },
    /// By the time of the first one: a neuron fires once, and is a constant current to the next layer from then on
    /// (Rueckauer & Liu, "Conversion of analog to spiking neural networks using sparse temporal coding", ISCAS 2018).
    Ttfs,
    /// As [`SpikeCode::Ttfs`], with thresholds that are higher by the magnitude of the weights of all neurons that are
    /// about to fire: a neuron waits for input that may change its mind.
    TtfsDynThresh,
    /// As [`SpikeCode::Ttfs`], with corrections: a neuron whose potential falls below the threshold again takes its
    /// spike back.
    TtfsCorrective,
}

/// The name of SNN toolbox.
impl fmt::Display for SpikeCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TemporalMeanRate => "temporal_mean_rate",
            Self::TemporalPattern { .. } => "temporal_pattern",
            Self::Ttfs => "ttfs",
            Self::TtfsDynThresh => "ttfs_dyn_thresh",
            Self::TtfsCorrective => "ttfs_corrective",
        })
    }
}

impl SpikeCode {
    /// Whether spikes are counted, as where nothing else is asked for.
    pub fn is_rate(&self) -> bool {
        *self == Self::TemporalMeanRate
    }

    /// What the output does, and so how a class is decided.
    pub fn output(self) -> OutputForm {
        match self {
            Self::TemporalMeanRate | Self::TtfsCorrective => OutputForm::Relu,
            Self::TemporalPattern { .. } => OutputForm::Potential,
            Self::Ttfs | Self::TtfsDynThresh => OutputForm::FirstSpike,
        }
    }

    /// The code of the input, as `--encode` takes it.
    pub fn encode(self) -> String {
        match self {
            Self::TemporalMeanRate => Choice::default().to_string(),
            Self::TemporalPattern { bits } => format!("pattern:bits={bits}"),
            Self::Ttfs | Self::TtfsDynThresh | Self::TtfsCorrective => "current".into(),
        }
    }

    /// Ticks per millisecond: time is counted in whole ones. In the second of two, neurons learn who is about to fire.
    pub(super) fn ticks_per_ms(self) -> u32 {
        if self == Self::TtfsDynThresh { 2 } else { 1 }
    }

    /// Milliseconds of a presentation where nothing else is asked for; those of patterns are known when the network is
    /// ([`SpikeCode::fixed_duration`]).
    pub(super) fn duration(self) -> u32 {
        match self {
            Self::TemporalPattern { bits } => bits,
            _ => DURATION,
        }
    }

    /// Milliseconds of a presentation, where there is only one that fits: of patterns, the bits for each layer of
    /// neurons on the way to the output.
    pub(super) fn fixed_duration(self, parsed: &ParsedModel) -> Option<u32> {
        let Self::TemporalPattern { bits } = self else { return None };
        let depth = depths(parsed).ok()?.last().copied()?;
        Some(bits.saturating_mul(depth))
    }

    /// Whether the neurons that a sample is presented to can take it: says what was expected.
    ///
    /// # Errors
    /// What does not fit.
    pub fn check_presentation(self, made: u32, duration: u32, ticks_per_ms: u32, encode: &str) -> Result<(), String> {
        if self.is_rate() {
            return Ok(());
        }
        let ticks = self.ticks_per_ms();
        if ticks_per_ms != ticks {
            return Err(format!(
                "--ticks-per-ms: expected {ticks}, as neurons of the spike code {self} count time in \
                 milliseconds, found {ticks_per_ms}"
            ));
        }
        let expected = self.encode();
        if encode != expected {
            return Err(format!("--encode: expected {expected}, which the spike code {self} reads, found {encode}"));
        }
        match self {
            Self::TemporalPattern { bits } if duration != made => Err(format!(
                "--duration: expected {made} ms, {bits} bits for each layer that reads them, found {duration}"
            )),
            _ => Ok(()),
        }
    }

    /// The layers with the biases that modules get: those of codes of single spikes come when the layer gets its first
    /// spike, and those of patterns come in every millisecond of the pattern, in parts that add up to one.
    pub(super) fn prepared(self, parsed: &ParsedModel) -> Cow<'_, ParsedModel> {
        if self.is_rate() {
            return Cow::Borrowed(parsed);
        }
        let mut prepared = parsed.clone();
        for (number, layer) in prepared.layers.iter_mut().enumerate() {
            let is_first = reads_input(parsed, number) != Reads::Spikes;
            let LayerKind::Population { bias, .. } = &mut layer.operation else { continue };
            match self {
                Self::TemporalPattern { bits } => {
                    let parts = 1.0 - (-f64::from(bits)).exp2();
                    bias.iter_mut().flatten().for_each(|bias| *bias = (f64::from(*bias) / parts) as f32);
                }
                _ if !is_first => *bias = None,
                _ => {}
            }
        }
        Cow::Owned(prepared)
    }

    /// The equations of a layer's neurons; none where they pass spikes on.
    ///
    /// # Errors
    /// Where the layer has no form in this code.
    fn equations(self, parsed: &ParsedModel, number: usize, relays: bool) -> Result<Option<String>, String> {
        let is_pattern = matches!(self, Self::TemporalPattern { .. });
        match &parsed.layers[number].operation {
            LayerKind::Flatten { .. } => return Ok(None),
            LayerKind::MaxPool { .. } if is_pattern => {
                return Err("patterns have no maximum pooling, as the largest of a window is known when all of its \
                            bits are there; --max-to-average takes averages"
                    .into());
            }
            LayerKind::MaxPool { .. } => return Ok(None),
            LayerKind::AveragePool { .. } if is_pattern && !relays => {
                return Err("averages of patterns pass spikes on (--pool relay)".into());
            }
            LayerKind::AveragePool { .. } | LayerKind::Relay { .. } if is_pattern => return Ok(None),
            LayerKind::Relay { .. } if reads_input(parsed, number) == Reads::Spikes => return Ok(None),
            LayerKind::AveragePool { .. } if relays && reads_input(parsed, number) == Reads::Spikes => {
                return Ok(None);
            }
            LayerKind::AveragePool { .. } | LayerKind::Relay { .. } => {}
            LayerKind::Population { role: Role::Rectifier | Role::Accumulator, .. } => {}
            LayerKind::Population { .. } => {
                return Err(format!("expected rectified activations, found others, which {self} has no spikes for"));
            }
        }
        let reads = reads_input(parsed, number);
        if reads == Reads::Both && !is_pattern {
            return Err(format!("{self}: expected spikes or the values of the input, found a layer that reads both"));
        }
        Ok(Some(match self {
            Self::TemporalMeanRate => return Ok(None),
            Self::TemporalPattern { bits } => equations::pattern(bits, (depths(parsed)?[number] - 1) * bits),
            Self::TtfsDynThresh => equations::waiting_spikes(reads == Reads::Values, Says::Fires),
            Self::Ttfs | Self::TtfsCorrective => equations::single_spikes(self, reads == Reads::Values),
        }))
    }

    /// Gives neurons their equations, under numbers from this one on, and layers what their biases come with.
    ///
    /// # Errors
    /// If a layer has no form in this code.
    pub(super) fn apply(
        self,
        emitted: SpikingModel,
        normalized: &Normalized,
        quantization: &Quantization,
        first: NonZeroU32,
    ) -> Result<SpikingModel, emit::Error> {
        let parsed = &normalized.parsed;
        let refuse = |layer: String, reason: String| emit::Error::Format { layer, reason };
        if let Self::TemporalPattern { bits } = self
            && !(1..=MOST_BITS).contains(&bits)
        {
            let reason = format!("expected patterns of 1 to {MOST_BITS} bits, found {bits}");
            return Err(refuse(parsed.name(0), reason));
        }
        let mut emitted = match self {
            Self::Ttfs | Self::TtfsDynThresh | Self::TtfsCorrective => {
                rebuild::for_single_spikes(self, emitted, parsed, quantization)?
            }
            Self::TemporalMeanRate | Self::TemporalPattern { .. } => emitted,
        };
        // Layers with the same equations share a file.
        let mut files: Vec<(String, BTreeSet<String>)> = Vec::new();
        let mut give = |text: String, names: Vec<String>| {
            let at = files.iter().position(|(known, _)| *known == text).unwrap_or_else(|| {
                files.push((text, BTreeSet::new()));
                files.len() - 1
            });
            files[at].1.extend(names);
        };
        for number in 0..parsed.layers.len() {
            let text = self.equations(parsed, number, quantization.relays);
            let Some(text) = text.map_err(|reason| refuse(parsed.name(number), reason))? else { continue };
            let nodes = emitted.network.nodes();
            let names = || emitted.layers[number].iter().map(|node| nodes[node.index()].name.as_str());
            give(text, names().map(String::from).collect());
            if self == Self::TtfsDynThresh {
                let text = equations::waiting_spikes(reads_input(parsed, number) == Reads::Values, Says::IsAboutToFire);
                give(text, names().map(rebuild::prospective).collect());
            }
        }
        for (k, (text, nodes)) in files.iter().enumerate() {
            let number = first.saturating_add(k as u32);
            let place = NeuronModel::file_name(number);
            let model = NeuronModel::parse(Path::new(&place), text);
            let model = Arc::new(model.map_err(|fault| refuse(place, fault.to_string()))?);
            let set = emitted.network.set_model(|node| nodes.contains(node), number, model);
            set.map_err(|fault| emit::Error::Module { layer: parsed.name(0), fault })?;
        }
        Ok(emitted)
    }
}

/// What a layer reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reads {
    /// Values of the input, as they are.
    Values,
    /// Spikes of other layers.
    Spikes,
    /// Of both.
    Both,
}

/// What a layer reads, through layers without neurons.
fn reads_input(parsed: &ParsedModel, number: usize) -> Reads {
    let mut is_value = parsed.layers[number].sources().into_iter().map(|source| match source {
        Source::Input => Reads::Values,
        Source::Layer(layer) => match parsed.layers[layer].operation {
            LayerKind::Flatten { .. } | LayerKind::MaxPool { .. } => reads_input(parsed, layer),
            _ => Reads::Spikes,
        },
    });
    let first = is_value.next().unwrap_or(Reads::Values);
    if is_value.all(|reads| reads == first) { first } else { Reads::Both }
}

/// Layers of neurons with weights on the way from the input to each layer, itself included.
///
/// # Errors
/// Where ways of different length meet.
fn depths(parsed: &ParsedModel) -> Result<Vec<u32>, String> {
    let mut depths: Vec<u32> = Vec::with_capacity(parsed.layers.len());
    for (number, layer) in parsed.layers.iter().enumerate() {
        let of = |source: &Source| match source {
            Source::Input => 0,
            Source::Layer(layer) => depths[*layer],
        };
        let before: Vec<u32> = layer.sources().iter().map(of).collect();
        let own = u32::from(matches!(layer.operation, LayerKind::Population { .. }));
        let first = before.first().copied().unwrap_or(0);
        if before.iter().any(|&depth| depth != first) {
            return Err(format!(
                "expected inputs behind equally many layers in layer '{}', as patterns of a layer come after those of \
                 the one before, found {before:?}",
                parsed.name(number)
            ));
        }
        depths.push(first + own);
    }
    Ok(depths)
}
