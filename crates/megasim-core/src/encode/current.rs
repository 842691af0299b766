//! Constant input current: no spikes; every millisecond the first layer takes the sum of its weights times the values,
//! as SNN toolbox's simulators do with `input_type = constant_current`.
//!
//! The sum does not change while a sample is shown, so it is a bias: [`driven`] puts it, one number a neuron, with the
//! bias that is there, into a port of the layer, which the first input node drives with one event per millisecond at
//! address (0, 0). That makes a separate network for each sample, all of it in what netfiles can express; it has the
//! same nodes.

use super::{Clock, Error, InputMap, Raster, SpikeEncoder};
use crate::network::{Element, Input, Module, ModuleKind, Network, NetworkBuilder, NodeId, NodeValues};
use std::collections::HashMap;

/// Values as currents. See the top of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Current;

impl SpikeEncoder for Current {
    /// The clock on which currents act, at the first address.
    fn encode(&self, _values: &[f32], _sample: u64, clock: Clock, raster: &mut Raster) {
        let mut train = raster.train(0, false);
        (0..clock.duration as usize).for_each(|ms| train.set(ms * clock.ticks_per_ms as usize));
    }

    fn is_current(&self) -> bool {
        true
    }
}

/// The network whose first layer takes the values of one sample as currents. Values go through flatten and maximum
/// pooling as they are.
///
/// # Errors
/// [`Error::Current`] where a current does not fit 32 bits, or where values and spikes would meet in one flatten
/// module.
///
/// # Panics
/// If there are fewer values than addresses.
pub fn driven(network: &Network, layout: &InputMap, values: &[f32]) -> Result<Network, Error> {
    let mut analog: HashMap<NodeId, NodeValues> = HashMap::new();
    let rates = layout.rates(values);
    for (node, rates) in layout.nodes(network).zip(rates.chunks(layout.cells)) {
        analog.insert(node, NodeValues { nx: layout.width, values: rates.iter().map(|&rate| rate.into()).collect() });
    }
    let clock = layout.nodes(network).next();
    let bias_clock = layout.bias_clock.map(|source| network.sources()[source]);

    let mut builder = NetworkBuilder::with_models_of(network);
    for element in network.elements() {
        match *element {
            Element::Source(source) => {
                builder
                    .source(&network.nodes()[network.sources()[source.index()].index()].name)
                    .map_err(Error::Network)?;
            }
            Element::Module(id) => {
                let mut module = network.modules()[id.index()].clone();
                let outputs = network.outputs(id);
                let names: Vec<&str> = outputs.iter().map(|node| network.nodes()[node.index()].name.as_str()).collect();
                let refuse =
                    |reason: String| Error::Current { module: names.first().unwrap_or(&"").to_string(), reason };
                if let Some(passed) = drive(&mut module, &analog, clock, bias_clock).map_err(refuse)? {
                    for &node in outputs {
                        analog.insert(node, passed.clone());
                    }
                }
                builder.module(module, &names).map_err(Error::Network)?;
            }
        }
    }
    builder.build(network.t_max()).map_err(Error::Network)
}

/// Replaces what a module reads from analog nodes; the values that go on, if it is an address module.
fn drive(
    module: &mut Module,
    analog: &HashMap<NodeId, NodeValues>,
    clock: Option<NodeId>,
    bias_clock: Option<NodeId>,
) -> Result<Option<NodeValues>, String> {
    let ports = module.kind.ports();
    let of = |input: &Input| match input {
        Input::Node(node) => analog.get(node),
        Input::Undriven(_) => None,
    };
    let read: Vec<Option<&NodeValues>> = module.inputs.iter().take(ports).map(of).collect();
    let Some(first) = read.iter().position(Option::is_some) else { return Ok(None) };
    let kind = &mut module.kind;
    let passed = if kind.neurons().is_none() {
        Some(kind.passed(&read)?)
    } else {
        let n = kind.neurons().map_or(0, |(array, ..)| array.len());
        let mut sums = vec![0.0; n];
        for (port, read) in read.iter().enumerate() {
            if let Some(read) = read {
                read.at().for_each(|(at, value)| {
                    kind.each_target(port, at, |neuron, weight| sums[neuron] += value * f64::from(weight));
                });
            } else if bias_clock.is_some_and(|clock| module.inputs[port] == Input::Node(clock)) {
                kind.each_target(port, (0, 0), |neuron, weight| sums[neuron] += f64::from(weight));
            }
        }
        put(kind, first, &sums)?;
        None
    };
    for (port, input) in module.inputs.iter_mut().enumerate().take(ports) {
        if of(input).is_some() || bias_clock.is_some_and(|clock| *input == Input::Node(clock)) {
            *input = Input::Undriven(String::new());
        }
        if let (Some(clock), None, true) = (clock, &passed, port == first) {
            *input = Input::Node(clock);
        }
    }
    Ok(passed)
}

/// Makes a port one that gives each neuron its current when an event comes at (0, 0).
fn put(kind: &mut ModuleKind, port: usize, sums: &[f64]) -> Result<(), String> {
    let fits = |sum: &f64| {
        let rounded = sum.round();
        let fits = (f64::from(i32::MIN)..=f64::from(i32::MAX)).contains(&rounded);
        if fits { Ok(rounded as i32) } else { Err(format!("expected currents within 32 bits, found {rounded}")) }
    };
    kind.insert_plane(port, sums.iter().map(fits).collect::<Result<_, _>>()?);
    kind.remove_port(port + 1);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode::SampleKind;
    use crate::network::{Array, Conv, FlattenPort, FullyConnected, NeuronParameters, Output, Polarity, Timing};
    use crate::network::{ConvPort, FullyConnectedPort};

    fn module(kind: ModuleKind, inputs: Vec<NodeId>) -> Module {
        let inputs = inputs.into_iter().map(Input::Node).collect();
        Module { kind, inputs, timing: Timing::default(), not_programmable: false }
    }

    fn weights(module: &Module, port: usize) -> Vec<i32> {
        match &module.kind {
            ModuleKind::Conv(conv) => conv.ports[port].weights.to_vec(),
            ModuleKind::FullyConnected(full) => full.ports[port].weights.to_vec(),
            _ => Vec::new(),
        }
    }

    #[test]
    fn a_dense_layer_takes_weights_times_values_and_its_bias() {
        let mut builder = NetworkBuilder::new();
        let input = builder.source("in_0").unwrap();
        let bias = builder.source("bias_clk").unwrap();
        let flat = module(ModuleKind::Flatten(vec![FlattenPort { nx: 2, ny: 1 }]), vec![input]);
        let flat = builder.module(flat, &["flat"]).unwrap()[0];
        let array = Array { nx: 2, ny: 1, x_min: 0, y_min: 0 };
        let port = |nx_pre, weights: Vec<i32>| FullyConnectedPort { nx_pre, ny_pre: 1, weights: weights.into() };
        let full = FullyConnected {
            array,
            neurons: NeuronParameters::default(),
            ports: vec![port(2, vec![10, -20, 4, 8]), port(1, vec![1, 2])],
            output: Output::whole(array),
        };
        builder.module(module(ModuleKind::FullyConnected(full), vec![flat, bias]), &["out"]).unwrap();
        let network = builder.build(10).unwrap();
        let layout = InputMap::new(&network, &[1, 1, 2], &["in_0".into()], None, Some("bias_clk")).unwrap();
        let driven = driven(&network, &layout, &[0.5, 0.25]).unwrap();
        let [flatten, dense] = driven.modules() else { panic!("two modules") };
        assert_eq!(flatten.inputs, [Input::Undriven(String::new())]);
        assert_eq!(dense.inputs, [Input::Node(input), Input::Undriven(String::new())]);
        assert_eq!(weights(dense, 0), [5 + 1 + 1, -10 + 2 + 2]);
        let stimuli = layout
            .stimuli(&Current, SampleKind::Still, &[0.5, 0.25], 0, Clock { duration: 3, ticks_per_ms: 2 })
            .unwrap();
        assert_eq!(stimuli[0].t_pre(), [0, 2, 4]);
        assert!(stimuli[0].iter().all(|event| (event.x, event.y, event.polarity) == (0, 0, Polarity::Positive)));
    }

    #[test]
    fn a_kernel_with_a_stride_reaches_what_its_events_reach() {
        let mut builder = NetworkBuilder::new();
        let input = builder.source("in").unwrap();
        let array = Array { nx: 2, ny: 1, x_min: 0, y_min: 0 };
        let port = ConvPort {
            nx: 2,
            ny: 1,
            dx: -1,
            dy: 0,
            x_stride: 2,
            y_stride: 1,
            x_expand: 1,
            y_expand: 1,
            weights: vec![1, 10].into(),
        };
        let conv =
            Conv { array, neurons: NeuronParameters::default(), ports: vec![port], output: Output::whole(array) };
        builder.module(module(ModuleKind::Conv(conv), vec![input]), &["out"]).unwrap();
        let network = builder.build(10).unwrap();
        let layout = InputMap::new(&network, &[1, 1, 4], &["in".into()], None, None).unwrap();
        let driven = driven(&network, &layout, &[1.0, 2.0, 3.0, 4.0]).unwrap();
        // Neuron 0 reads 0 with 10 and 1 with 1, neuron 1 reads 2 with 10 and 3 with 1.
        assert_eq!(weights(&driven.modules()[0], 0), [12, 34]);
        let huge = super::driven(&network, &layout, &[f32::MAX; 4]);
        assert!(matches!(huge, Err(Error::Current { .. })));
    }
}
