//! What the modules of codes of single spikes have besides their neurons.

use super::{Reads, SpikeCode, reads_input};
use crate::emit::{self, Emitted, size};
use crate::parsed::{LayerKind, Parsed, Source};
use crate::quantize::Quantization;
use megasim_ann::graph::Shape;
use megasim_core::network::{
    Array, Element, FullyConnected, FullyConnectedPort, Input, Module, ModuleKind, NetworkBuilder, NeuronParameters,
    NodeId, Output, PoolRule, Timing,
};
use std::sync::Arc;

/// Ticks for which a gate is silent after its spike: longer than any run.
const FOR_GOOD: i64 = i64::MAX / 4;

/// One network made of another: nodes have other numbers in it.
struct Rebuilt<'a> {
    code: SpikeCode,
    parsed: &'a Parsed,
    quantization: &'a Quantization,
    /// The old one.
    emitted: &'a Emitted,
    builder: NetworkBuilder,
    /// By old number.
    nodes: Vec<NodeId>,
    /// Of the layer that modules were made of last: its number, and the node of its gate.
    gate: Option<(usize, NodeId)>,
}

/// The network with a gate for each layer that has biases and reads spikes: a neuron that fires once, at the first
/// spike that the layer gets, with the biases as weights. A bias is then a current from there on, as in SNN toolbox,
/// where it acts in steps in which the layer has input. Averages, which have no biases, get a port for the clock.
pub(super) fn with_gates(
    code: SpikeCode,
    emitted: Emitted,
    parsed: &Parsed,
    quantization: &Quantization,
) -> Result<Emitted, emit::Error> {
    let network = &emitted.network;
    let mut rebuilt = Rebuilt {
        code,
        parsed,
        quantization,
        emitted: &emitted,
        builder: NetworkBuilder::with_models_of(network),
        nodes: vec![NodeId::new(0); network.nodes().len()],
        gate: None,
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
                let module = rebuilt.module(&network.modules()[id.index()], outputs)?;
                let names: Vec<&str> = outputs.iter().map(|&node| name(node)).collect();
                let fault = |fault| emit::Error::Module { layer: names[0].into(), fault };
                let made = rebuilt.builder.module(module, &names).map_err(fault)?;
                outputs.iter().zip(made).for_each(|(old, new)| rebuilt.nodes[old.index()] = new);
            }
        }
    }
    let Rebuilt { builder, nodes, .. } = rebuilt;
    let fault = |fault| emit::Error::Module { layer: "Tmax".into(), fault };
    let network = builder.build(network.t_max()).map_err(fault)?;
    let new = |node: NodeId| nodes[node.index()];
    let all = |old: &[NodeId]| old.iter().map(|&node| new(node)).collect();
    Ok(Emitted {
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
    /// A module with what it has besides; the gate of its layer is made before its first one.
    fn module(&mut self, old: &Module, outputs: &[NodeId]) -> Result<Module, emit::Error> {
        let mut module = old.clone();
        for input in &mut module.inputs {
            if let Input::Node(node) = input {
                *node = self.nodes[node.index()];
            }
        }
        let place =
            self.emitted.layers.iter().enumerate().find_map(|(number, nodes)| {
                nodes.iter().position(|node| outputs.contains(node)).map(|map| (number, map))
            });
        let Some((number, map)) = place else { return Ok(module) };
        let parsed = self.parsed;
        let layer = &parsed.layers[number];
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
            LayerKind::MaxPool { .. } => {
                if let (ModuleKind::MaxPool(pool), SpikeCode::TtfsCorrective) = (&mut module.kind, self.code) {
                    pool.rule = PoolRule::Signed;
                }
            }
            _ => {}
        }
        Ok(module)
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
