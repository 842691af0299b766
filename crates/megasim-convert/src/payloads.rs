//! Spikes with values: all hidden neurons send residuals along with their spikes.
//!
//! SNN toolbox's `payloads`. The output keeps its counts and potentials, as it gets all of its input anyway.

use super::emit::{self, SpikingModel};
use super::parsed::{LayerKind, ParsedModel, Role};
use super::quantize::Quantization;
use megasim_core::network::Reset;

/// Gives the neurons of hidden layers `payload_bits`.
///
/// # Errors
/// Where spikes cannot carry values: neurons that do not reset by subtraction or are signed, averages that pass spikes
/// on, maximum pooling, steps.
pub(super) fn apply(
    mut emitted: SpikingModel,
    parsed: &ParsedModel,
    quantization: &Quantization,
    bits: u8,
) -> Result<SpikingModel, emit::Error> {
    let refuse = |number: usize, reason: &str| emit::Error::Format {
        layer: parsed.name(number),
        reason: format!("spikes with values (--payload-bits): {reason}"),
    };
    if quantization.signed.is_some() {
        return Err(refuse(0, "signed neurons have none; --preset toolbox has others"));
    }
    if quantization.reset != Reset::Subtract {
        return Err(refuse(0, "expected neurons that reset by subtraction (--reset subtract)"));
    }
    for number in 0..parsed.layers.len() {
        let reason = match parsed.layers[number].operation {
            LayerKind::MaxPool { .. } => "maximum pooling counts spikes; --max-to-average takes averages",
            LayerKind::AveragePool { .. } if quantization.relays => {
                "averages that pass spikes on lose values; --pool integrate does not"
            }
            LayerKind::Population { role: Role::Step | Role::Quantized(_) | Role::Clamped { .. }, .. } => {
                "its activations are counts or steps of whole spikes"
            }
            _ => continue,
        };
        return Err(refuse(number, reason));
    }
    let hidden = emitted.layers.len().saturating_sub(1);
    for (number, nodes) in emitted.layers[..hidden].iter().enumerate() {
        let names: Vec<String> = nodes.iter().map(|node| emitted.network.nodes()[node.index()].name.clone()).collect();
        let of_layer = |node: &str| names.iter().any(|name| name == node);
        let set = emitted.network.set(of_layer, "payload_bits", bits.into());
        set.map_err(|fault| emit::Error::Module { layer: parsed.name(number), fault })?;
    }
    Ok(emitted)
}
