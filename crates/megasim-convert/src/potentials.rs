//! Initial potentials of single neurons, in what the original netfiles can say.
//!
//! A source [`INITIAL_POTENTIAL`] has one event at tick 0; a port of each module adds one weight per neuron on it.

use super::emit::{self, SpikingModel};
use super::parsed::ParsedModel;
use super::quantize::Quantization;
use megasim_ann::graph::Shape;
use megasim_core::network::{Element, Input, NetworkBuilder, NetworkError, NodeId};

/// Name of the node whose one event sets initial potentials.
pub const INITIAL_POTENTIAL: &str = "initial_potential";

/// Addresses of one map (or vector), and its columns.
pub(super) fn cells(shape: Shape) -> (usize, usize) {
    match shape {
        Shape::Features(n) => (n, n),
        Shape::Maps { height, width, .. } => (height * width, width),
    }
}

/// A rule of the format that a changed network breaks.
pub(super) fn fault(fault: NetworkError) -> emit::Error {
    emit::Error::Module { layer: INITIAL_POTENTIAL.into(), fault }
}

/// What a neuron holds at the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Held {
    /// A potential, which is below the threshold.
    Potential,
    /// A current, which is not bounded.
    Current,
}

/// Adds the source and the ports; `offsets` has one number per neuron, `(map, y, x)`, in thresholds, of the layers that
/// have any.
///
/// # Errors
/// Where a number does not fit.
pub(super) fn add(
    mut emitted: SpikingModel,
    parsed: &ParsedModel,
    quantization: &Quantization,
    offsets: &[Vec<f32>],
    held: Held,
) -> Result<SpikingModel, emit::Error> {
    if offsets.iter().all(Vec::is_empty) {
        return Ok(emitted);
    }
    let network = &emitted.network;
    let mut builder = NetworkBuilder::with_models_of(network);
    // First in the netlist, so that it acts before all other events of tick 0.
    let start = builder.source(INITIAL_POTENTIAL).map_err(fault)?;
    let shifted = |node: NodeId| NodeId::new(node.index() + 1);
    for element in network.elements() {
        match *element {
            Element::Source(id) => {
                let node = network.sources()[id.index()];
                builder.source(&network.nodes()[node.index()].name).map_err(fault)?;
            }
            Element::Module(id) => {
                let mut module = network.modules()[id.index()].clone();
                for input in &mut module.inputs {
                    if let Input::Node(node) = input {
                        *node = shifted(*node);
                    }
                }
                let outputs = network.outputs(id);
                let place = emitted.layers.iter().enumerate().find_map(|(number, nodes)| {
                    nodes.iter().position(|node| outputs.contains(node)).map(|map| (number, map))
                });
                if let Some((number, map)) = place
                    && let Some(offsets) = offsets.get(number).filter(|offsets| !offsets.is_empty())
                {
                    let layer = &parsed.layers[number];
                    let (cells, _) = cells(layer.shape);
                    let name = parsed.name(number);
                    let most = quantization.integer(&name, "threshold", quantization.threshold)? - 1;
                    let initial = quantization.initial_potential * quantization.threshold;
                    let weights = offsets[map * cells..][..cells].iter().map(|&offset| {
                        let offset = f64::from(offset) * quantization.threshold;
                        let base = quantization.integer(&name, "potential", initial)?;
                        let most = if held == Held::Potential { most - base } else { i32::MAX };
                        Ok(quantization.integer(&name, "potential", offset)?.min(most))
                    });
                    let weights = weights.collect::<Result<Vec<i32>, emit::Error>>()?.into();
                    // Before the reset, which is the last.
                    let at = module.inputs.len() - 1;
                    module.inputs.insert(at, Input::Node(start));
                    module.kind.insert_plane(at, weights);
                }
                let names: Vec<&str> = outputs.iter().map(|node| network.nodes()[node.index()].name.as_str()).collect();
                builder.module(module, &names).map_err(fault)?;
            }
        }
    }
    emitted.network = builder.build(network.t_max()).map_err(fault)?;
    let nodes = emitted.input.iter_mut().chain(emitted.layers.iter_mut().flatten()).chain(&mut emitted.settle);
    nodes.for_each(|node| *node = shifted(*node));
    emitted.bias_clock = emitted.bias_clock.map(shifted);
    emitted.control = emitted.control.map(shifted);
    emitted.mask_clock = emitted.mask_clock.map(shifted);
    emitted.reset = shifted(emitted.reset);
    emitted.start = Some(start);
    Ok(emitted)
}
