//! What the modules of codes of single spikes have besides their neurons.

use super::{Reads, SpikeCode, reads_input};
use crate::emit::{self, SpikingModel, size};
use crate::parsed::{LayerKind, ParsedModel, Source};
use crate::quantize::Quantization;
use megasim_ann::graph::Shape;
use megasim_core::network::{
    Array, Element, FullyConnected, FullyConnectedPort, Input, Module, ModuleKind, NetworkBuilder, NeuronParameters,
    NodeId, Output, PoolRule, Timing,
};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Ticks for which a gate is silent after its spike: longer than any run.
const FOR_GOOD: i64 = i64::MAX / 4;

/// A module that passes spikes on takes them back too.
fn pass_corrections(module: &mut Module) {
    match &mut module.kind {
        ModuleKind::MaxPool(pool) => pool.rule = PoolRule::Signed,
        kind => {
            if let Some((neurons, _)) = kind.neurons_mut() {
                neurons.threshold_minus = -neurons.threshold_plus;
                neurons.fires_minus = true;
            }
        }
    }
}

/// One network made of another: nodes have other numbers in it.
struct Rebuilt<'a> {
    code: SpikeCode,
    parsed: &'a ParsedModel,
    quantization: &'a Quantization,
    /// By layer: whether it has equations; else it passes spikes on.
    has_neurons: Vec<bool>,
    /// By layer: whether another reads it.
    is_read: Vec<bool>,
    /// The old one.
    emitted: &'a SpikingModel,
    builder: NetworkBuilder,
    /// By old number.
    nodes: Vec<NodeId>,
    /// Of the layer that modules were made of last: its number, and the node of its gate.
    gate: Option<(usize, NodeId)>,
    /// By new number: the node that says which of its neurons are about to fire.
    prospective: BTreeMap<NodeId, NodeId>,
}

/// The name of the node that says which neurons of another are about to fire.
pub(super) fn prospective(node: &str) -> String {
    format!("{node}_prospective")
}

/// The network with a gate for each layer that has biases and reads spikes: a neuron that fires once, at the first
/// spike that the layer gets, with the biases as weights. A bias is then a current from there on, as in SNN toolbox,
/// where it acts in steps in which the layer has input. Averages, which have no biases, get a port for the clock.
///
/// With thresholds that are dynamic, each module has another next to it, with the same input, which says which neurons
/// are about to fire; what it says comes a tick later, and modules read it with the magnitudes of their weights.
pub(super) fn for_single_spikes(
    code: SpikeCode,
    emitted: SpikingModel,
    parsed: &ParsedModel,
    quantization: &Quantization,
) -> Result<SpikingModel, emit::Error> {
    let network = &emitted.network;
    let has_equations = |number| matches!(code.equations(parsed, number, quantization.relays), Ok(Some(_)));
    let mut is_read = vec![false; parsed.layers.len()];
    for source in parsed.layers.iter().flat_map(|layer| layer.sources()) {
        if let Source::Layer(number) = source {
            is_read[number] = true;
        }
    }
    let mut rebuilt = Rebuilt {
        code,
        parsed,
        quantization,
        has_neurons: (0..parsed.layers.len()).map(has_equations).collect(),
        is_read,
        emitted: &emitted,
        builder: NetworkBuilder::with_models_of(network),
        nodes: vec![NodeId::new(0); network.nodes().len()],
        gate: None,
        prospective: BTreeMap::new(),
    };
    let name = |node: NodeId| network.nodes()[node.index()].name.as_str();
    for element in network.elements() {
        match *element {
            Element::Source(id) => {
                let node = network.sources()[id.index()];
                let fault = |fault| emit::Error::Module { layer: name(node).into(), fault };
                rebuilt.nodes[node.index()] = rebuilt.builder.source(name(node)).map_err(fault)?;
            }
            Element::Module(id) => {
                let outputs = network.outputs(id);
                let names: Vec<&str> = outputs.iter().map(|&node| name(node)).collect();
                let fault = |fault| emit::Error::Module { layer: names[0].into(), fault };
                let place = rebuilt.place(outputs);
                let module = rebuilt.module(&network.modules()[id.index()], place)?;
                let twin = place.and_then(|(number, _)| rebuilt.twin(&module, number));
                let made = rebuilt.builder.module(module, &names).map_err(fault)?;
                outputs.iter().zip(&made).for_each(|(old, &new)| rebuilt.nodes[old.index()] = new);
                if let Some(twin) = twin {
                    let names: Vec<String> = names.iter().map(|name| prospective(name)).collect();
                    let names: Vec<&str> = names.iter().map(String::as_str).collect();
                    let twins = rebuilt.builder.module(twin, &names).map_err(fault)?;
                    rebuilt.prospective.extend(made.into_iter().zip(twins));
                }
            }
        }
    }
    let Rebuilt { builder, nodes, .. } = rebuilt;
    let fault = |fault| emit::Error::Module { layer: "Tmax".into(), fault };
    let network = builder.build(network.t_max()).map_err(fault)?;
    let new = |node: NodeId| nodes[node.index()];
    let all = |old: &[NodeId]| old.iter().map(|&node| new(node)).collect();
    Ok(SpikingModel {
        network,
        input: all(&emitted.input),
        layers: emitted.layers.iter().map(|nodes| all(nodes)).collect(),
        bias_clock: emitted.bias_clock.map(new),
        reset: new(emitted.reset),
        settle: all(&emitted.settle),
        control: emitted.control.map(new),
        mask_clock: emitted.mask_clock.map(new),
        start: emitted.start.map(new),
    })
}

impl Rebuilt<'_> {
    /// Layer and map of a module.
    fn place(&self, outputs: &[NodeId]) -> Option<(usize, usize)> {
        let mut layers = self.emitted.layers.iter().enumerate();
        layers.find_map(|(number, nodes)| nodes.iter().position(|node| outputs.contains(node)).map(|map| (number, map)))
    }

    /// The module that says which neurons of another are about to fire; none where no module reads it.
    fn twin(&self, module: &Module, number: usize) -> Option<Module> {
        if self.code != SpikeCode::TtfsDynThresh || !self.is_read[number] {
            return None;
        }
        let mut twin = module.clone();
        if self.has_neurons[number] {
            twin.timing.delay_to_arrive = 1;
            return Some(twin);
        }
        // It passes on what comes of others that say so.
        let mut passes = false;
        for input in &mut twin.inputs {
            if let Input::Node(node) = input
                && let Some(&of) = self.prospective.get(node)
            {
                (*node, passes) = (of, true);
            }
        }
        pass_corrections(&mut twin);
        passes.then_some(twin)
    }

    /// A module with what it has besides; the gate of its layer is made before its first one.
    fn module(&mut self, old: &Module, place: Option<(usize, usize)>) -> Result<Module, emit::Error> {
        let mut module = old.clone();
        for input in &mut module.inputs {
            if let Input::Node(node) = input {
                *node = self.nodes[node.index()];
            }
        }
        let Some((number, map)) = place else { return Ok(module) };
        let parsed = self.parsed;
        let layer = &parsed.layers[number];
        if self.has_neurons[number] {
            self.read_prospective(&mut module);
        }
        // Before the reset, which is the last.
        let at = module.inputs.len() - 1;
        match &layer.operation {
            LayerKind::Population { bias: Some(bias), .. } if reads_input(parsed, number) == Reads::Spikes => {
                let name = parsed.name(number);
                let integer = |&bias: &f32| self.quantization.integer(&name, "bias", bias.into());
                let bias = bias.iter().map(integer).collect::<Result<Vec<_>, _>>()?;
                if bias.iter().all(|&bias| bias == 0) {
                    return Ok(module);
                }
                let weights: Arc<[i32]> = match layer.shape {
                    Shape::Maps { channels, height, width } if bias.len() == channels => {
                        vec![bias[map]; height * width].into()
                    }
                    Shape::Maps { height, width, .. } => bias[map * height * width..][..height * width].to_vec().into(),
                    Shape::Features(_) => bias.into(),
                };
                let gate = self.gate(number)?;
                module.inputs.insert(at, Input::Node(gate));
                module.kind.insert_plane(at, weights);
            }
            LayerKind::AveragePool { .. } | LayerKind::Relay { .. } => {
                let (Some(clock), Some((array, ..))) = (self.emitted.bias_clock, module.kind.neurons()) else {
                    return Ok(module);
                };
                let weights = vec![0; array.len()].into();
                module.inputs.insert(at, Input::Node(self.nodes[clock.index()]));
                module.kind.insert_plane(at, weights);
            }
            _ => {}
        }
        if self.code == SpikeCode::TtfsCorrective && !self.has_neurons[number] {
            pass_corrections(&mut module);
        }
        Ok(module)
    }

    /// Ports for those that say who is about to fire, with the magnitudes of the weights that their spikes have.
    fn read_prospective(&self, module: &mut Module) {
        for port in 0..module.inputs.len() {
            if let Input::Node(node) = module.inputs[port]
                && let Some(&of) = self.prospective.get(&node)
            {
                let at = module.inputs.len() - 1;
                module.inputs.insert(at, Input::Node(of));
                module.kind.copy_port(port, at);
                let weights = module.kind.weights_mut().swap_remove(at);
                *weights = weights.iter().map(|weight| weight.saturating_abs()).collect();
            }
        }
    }

    /// The node of a layer's gate, which reads all that the layer reads.
    fn gate(&mut self, number: usize) -> Result<NodeId, emit::Error> {
        if let Some((_, node)) = self.gate.filter(|(of, _)| *of == number) {
            return Ok(node);
        }
        let name = format!("{}_gate", self.parsed.name(number));
        let port = |nx: usize, ny: usize, weight: i32| FullyConnectedPort {
            nx_pre: size(nx),
            ny_pre: size(ny),
            weights: vec![weight; nx * ny].into(),
        };
        let threshold = self.quantization.integer(&name, "threshold", 1.0)?;
        let (mut inputs, mut ports) = (Vec::new(), Vec::new());
        let mut sources = self.parsed.layers[number].sources();
        sources.dedup();
        for source in sources {
            let Source::Layer(layer) = source else { continue };
            let (nx, ny) = match self.parsed.layers[layer].shape {
                Shape::Features(n) => (n, 1),
                Shape::Maps { height, width, .. } => (width, height),
            };
            for node in &self.emitted.layers[layer] {
                inputs.push(Input::Node(self.nodes[node.index()]));
                ports.push(port(nx, ny, threshold));
            }
        }
        inputs.push(Input::Node(self.nodes[self.emitted.reset.index()]));
        ports.push(port(1, 1, 0));
        let array = Array { nx: 1, ny: 1, x_min: 0, y_min: 0 };
        let neurons =
            NeuronParameters { threshold_plus: threshold, refractory: FOR_GOOD, ..NeuronParameters::default() };
        let kind = ModuleKind::FullyConnected(FullyConnected { array, neurons, ports, output: Output::whole(array) });
        let module = Module { kind, inputs, timing: Timing::default(), not_programmable: true };
        let made = self.builder.module(module, &[&name]);
        let node = made.map_err(|fault| emit::Error::Module { layer: name, fault })?[0];
        self.gate = Some((number, node));
        Ok(node)
    }
}
