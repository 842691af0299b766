//! Synaptic currents that decay, one for each sign: `dI/dt = -I / tau`, where `I` is the part of the input that has not
//! arrived yet, so that a spike adds its weight in all.
//!
//! Neurons follow [custom equations](megasim_core::network::NeuronModel) and are brought up to date by each event that
//! they get, the bias clock's once per millisecond among them: each layer has a port for it.

use super::emit::{self, SpikingModel};
use super::normalize::Normalized;
use super::parsed::{LayerKind, Role};
use super::quantize::Quantization;
use megasim_ann::graph::Shape;
use megasim_core::equations::Decay;
use megasim_core::network::{NeuronModel, Reset};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt::Write;
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;

/// Time constants of the currents of positive and of negative weights, in milliseconds; none: they act at once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SynapticCurrents {
    /// Of weights above 0 (`tau_syn_E`).
    pub excitatory: Option<f64>,
    /// Of weights below 0 (`tau_syn_I`).
    pub inhibitory: Option<f64>,
}

impl SynapticCurrents {
    /// Whether all act at once.
    pub(super) fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// The file of the neurons.
    fn equations(self, ticks_per_ms: u32, reset: Reset) -> String {
        let (mut parameters, mut states, mut updates) = (String::new(), String::new(), String::new());
        let mut arriving = String::from("resting_potential + decayed(v - resting_potential, leak_decay, elapsed)");
        for (name, input, tau) in
            [("excitatory", "max(input, 0)", self.excitatory), ("inhibitory", "min(input, 0)", self.inhibitory)]
        {
            let Some(tau) = tau else {
                _ = write!(arriving, " + {input}");
                continue;
            };
            _ = writeln!(parameters, "{name}_decay = {}", Decay::part(tau * f64::from(ticks_per_ms)));
            _ = writeln!(states, "{name} = 0");
            _ = writeln!(updates, "{name} = \"decayed({name}, {name}_decay, elapsed) + {input}\"");
            _ = write!(arriving, " + {name} - decayed({name}, {name}_decay, elapsed)");
        }
        let after = match reset {
            Reset::Subtract => "v - THplus",
            Reset::ToRest => "MembReset",
            Reset::Modulo => "v % THplus",
        };
        format!(
            "[parameters]\n{parameters}\n[state]\nv = \"resting_potential\"\n{states}\n[update]\nv = \"{arriving}\"\n\
                {updates}\n[spike]\nwhen = \"v >= THplus\"\nreset.v = \"{after}\"\n"
        )
    }

    /// Gives the neurons of layers with weights their equations, under this number; a softmax draws by a clock, and
    /// takes its input at once.
    ///
    /// # Errors
    /// If a layer has neurons of another kind.
    pub(super) fn apply(
        self,
        emitted: &mut SpikingModel,
        normalized: &Normalized,
        quantization: &Quantization,
        number: NonZeroU32,
    ) -> Result<(), emit::Error> {
        let parsed = &normalized.parsed;
        let refuse = |layer: String, reason: String| emit::Error::Format { layer, reason };
        if quantization.signed.is_some() {
            return Err(refuse(parsed.name(0), "signed neurons have no synaptic currents".into()));
        }
        let mut nodes = BTreeSet::new();
        for (k, layer) in parsed.layers.iter().enumerate() {
            match &layer.operation {
                LayerKind::Population { role: Role::Rectifier, .. } => {
                    nodes.extend(emitted.layers[k].iter().map(|node| name(emitted, *node)));
                }
                LayerKind::Population { role: Role::Softmax, .. }
                | LayerKind::AveragePool { .. }
                | LayerKind::MaxPool { .. }
                | LayerKind::Flatten { .. } => {}
                _ => {
                    let reason = "expected rectified activations, as synaptic currents decay (tau_syn_E, tau_syn_I)";
                    return Err(refuse(parsed.name(k), reason.into()));
                }
            }
        }
        let text = self.equations(quantization.ticks_per_ms, quantization.reset);
        let place = NeuronModel::file_name(number);
        let model = NeuronModel::parse(Path::new(&place), &text);
        let model = Arc::new(model.map_err(|fault| refuse(place, fault.to_string()))?);
        let set = emitted.network.set_model(|node| nodes.contains(node), number, model);
        set.map(|_| ()).map_err(|fault| emit::Error::Module { layer: parsed.name(0), fault })
    }

    /// What each neuron's currents hold at the start, in thresholds, so that its bias acts from then on as a constant
    /// current does: with a part `k` of a current left after a millisecond, `b k / (1 - k)` and `b` from the first
    /// event of the clock let `b` arrive per millisecond.
    pub(super) fn at_start(self, normalized: &Normalized, threshold: f64) -> Vec<Vec<f32>> {
        let layers = normalized.parsed.layers.iter();
        let of_layer = |layer: &super::parsed::ParsedLayer| {
            let LayerKind::Population { bias: Some(bias), role: Role::Rectifier, .. } = &layer.operation else {
                return Vec::new();
            };
            let held = |&bias: &f32| {
                let tau = if bias > 0.0 { self.excitatory } else { self.inhibitory };
                let left = tau.map_or(0.0, |tau| (-1.0 / tau).exp());
                (f64::from(bias) * left / (1.0 - left) / threshold) as f32
            };
            let cells = match layer.shape {
                Shape::Maps { height, width, .. } if bias.len() == layer.shape.channels() => height * width,
                _ => 1,
            };
            let all: Vec<f32> = bias.iter().map(held).flat_map(|held| std::iter::repeat_n(held, cells)).collect();
            if all.iter().all(|held| *held == 0.0) { Vec::new() } else { all }
        };
        layers.map(of_layer).collect()
    }
}

fn name(emitted: &SpikingModel, node: megasim_core::network::NodeId) -> String {
    emitted.network.nodes()[node.index()].name.clone()
}
