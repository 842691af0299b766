//! A converted network as populations and lists of synapses: what simulators without netfiles take.

use crate::ConvertedModel;
use crate::potentials::INITIAL_POTENTIAL;
use megasim_core::encode::FeatureScales;
use megasim_core::equations::Decay;
use megasim_core::network::{Array, Driver, Input, Module, ModuleKind, Network, NeuronParameters, NodeId, Reset};
use std::collections::BTreeMap;

/// Most synapses that are listed.
const MOST_SYNAPSES: usize = 200_000_000;

/// Populations in the order of the netlist, the input first, and the synapses between them.
#[derive(Debug, Clone, PartialEq)]
pub struct Connections {
    /// Populations.
    pub populations: Vec<Population>,
    /// One for each pair of populations that are connected.
    pub projections: Vec<Projection>,
    /// What numbers of samples are divided by before they become spikes.
    pub input_scale: f64,
    /// What is done before that to each feature, or to each channel of the maps of a sample.
    pub input_features: Option<FeatureScales>,
    /// Number of the sample at each address of the input; none where they are in order.
    pub input_order: Option<Vec<usize>>,
    /// Name of the population that decides.
    pub output: String,
}

/// Neurons of one layer, numbered map after map, then `y`, then `x`; the input has none.
#[derive(Debug, Clone, PartialEq)]
pub struct Population {
    /// The layer's name in the netfiles, as SNN toolbox labels populations.
    pub label: String,
    /// `[features]` or `[maps, height, width]`.
    pub shape: Vec<usize>,
    /// Potentials in units of the weights of the converted network; none for the input.
    pub neurons: Option<Neurons>,
}

/// Parameters of neurons in real numbers, one each.
#[derive(Debug, Clone, PartialEq)]
pub struct Neurons {
    /// Thresholds.
    pub v_thresh: Vec<f64>,
    /// Where a spike puts potentials, with a reset to a value.
    pub v_reset: Vec<f64>,
    /// Where potentials start and leak to.
    pub v_rest: Vec<f64>,
    /// The least potential.
    pub v_min: Vec<f64>,
    /// What is added to potentials at the start.
    pub v_start: Vec<f64>,
    /// What is added to potentials once per millisecond.
    pub bias: Vec<f64>,
    /// Part of the distance to rest that is lost per millisecond.
    pub leak: f64,
    /// Milliseconds after a spike in which input is lost.
    pub tau_refrac: f64,
    /// Whether a spike subtracts the threshold.
    pub subtracts: bool,
    /// Whether they spike; else they only gather potentials.
    pub spikes: bool,
}

/// Synapses from one population to another.
#[derive(Debug, Clone, PartialEq)]
pub struct Projection {
    /// Number of the population whose spikes they carry.
    pub from: usize,
    /// Number of the population that they reach.
    pub to: usize,
    /// Neurons before, neurons behind, weights.
    pub synapses: Synapses,
}

/// Why there is no such list: the module, and what other simulators do not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("module '{module}': {reason}")]
pub struct Unsupported {
    /// The first node that the module drives.
    pub module: String,
    /// What it has.
    pub reason: String,
}

/// Which neurons send spikes on a node under which address: `(x, y, population, neuron)`.
type Senders = Vec<(i32, i32, usize, u32)>;

impl Connections {
    /// Lists the synapses of a network.
    ///
    /// # Errors
    /// The first module that is more than leaky integrate-and-fire neurons.
    pub fn of(converted: &ConvertedModel) -> Result<Self, Unsupported> {
        let (network, manifest) = (converted.network(), converted.manifest());
        let mut lister = Lister {
            network,
            factor: manifest.conversion.scaling_factor,
            ticks_per_ms: f64::from(manifest.conversion.ticks_per_ms),
            populations: Vec::new(),
            first: BTreeMap::new(),
            senders: vec![None; network.nodes().len()],
            synapses: BTreeMap::new(),
            count: 0,
            bias_clock: manifest.bias_clock.clone(),
        };
        lister.input(&manifest.input.shape, &manifest.input.nodes);
        for layer in manifest.layers.iter().filter(|layer| layer.kind != "Flatten") {
            lister.layer(&layer.name, &layer.shape, &layer.nodes)?;
        }
        let output = manifest.layers.iter().rev().find(|layer| layer.kind != "Flatten");
        for number in 0..network.modules().len() {
            lister.module(number)?;
        }
        let projections = lister.synapses.into_iter();
        let projections = projections.map(|((from, to), synapses)| Projection { from, to, synapses }).collect();
        let output = output.map(|layer| layer.name.clone()).unwrap_or_default();
        Ok(Self {
            populations: lister.populations,
            projections,
            input_scale: manifest.conversion.input_scale,
            input_features: manifest.conversion.input_features.clone(),
            input_order: manifest.input.order.clone(),
            output,
        })
    }
}

/// Sending and receiving neurons, and weights: one each per synapse.
pub type Synapses = (Vec<u32>, Vec<u32>, Vec<f64>);

struct Lister<'n> {
    network: &'n Network,
    factor: f64,
    ticks_per_ms: f64,
    populations: Vec<Population>,
    /// Population and first neuron of the module that drives a node.
    first: BTreeMap<NodeId, (usize, u32)>,
    senders: Vec<Option<Senders>>,
    /// By sending and receiving population.
    synapses: BTreeMap<(usize, usize), Synapses>,
    count: usize,
    bias_clock: Option<String>,
}

impl Lister<'_> {
    fn name(&self, node: NodeId) -> &str {
        &self.network.nodes()[node.index()].name
    }

    fn refuse<T>(&self, number: usize, reason: impl Into<String>) -> Result<T, Unsupported> {
        let outputs = self.network.outputs(megasim_core::network::ModuleId::new(number));
        let module = outputs.first().map_or_else(|| number.to_string(), |&node| self.name(node).into());
        Err(Unsupported { module, reason: reason.into() })
    }

    fn input(&mut self, shape: &[usize], nodes: &[String]) {
        self.populations.push(Population { label: crate::emit::INPUT.into(), shape: shape.to_vec(), neurons: None });
        let (height, width) = match *shape {
            [_, height, width] => (height, width),
            _ => (1, shape.iter().product()),
        };
        for (map, name) in nodes.iter().enumerate() {
            let Some(node) = self.network.node_named(name) else { continue };
            let cells = (0..height).flat_map(|y| (0..width).map(move |x| (y, x)));
            let senders = cells.map(|(y, x)| (x as i32, y as i32, 0, (map * height * width + y * width + x) as u32));
            self.senders[node.index()] = Some(senders.collect());
        }
    }

    fn layer(&mut self, label: &str, shape: &[usize], nodes: &[String]) -> Result<(), Unsupported> {
        let mut of = Neurons {
            v_thresh: Vec::new(),
            v_reset: Vec::new(),
            v_rest: Vec::new(),
            v_min: Vec::new(),
            v_start: Vec::new(),
            bias: Vec::new(),
            leak: 0.0,
            tau_refrac: 0.0,
            subtracts: true,
            spikes: true,
        };
        let population = self.populations.len();
        for (k, name) in nodes.iter().enumerate() {
            let Some(node) = self.network.node_named(name) else { continue };
            let Driver::Module(id) = self.network.nodes()[node.index()].driver else { continue };
            let module = &self.network.modules()[id.index()];
            let Some((array, neurons, output)) = module.kind.neurons() else {
                return self.refuse(id.index(), "maximum pooling has no neurons; --max-to-average has");
            };
            let first = of.v_thresh.len() as u32;
            self.first.insert(node, (population, first));
            let own = self.parameters(id.index(), module, neurons)?;
            if k > 0
                && (own.leak, own.tau_refrac, own.subtracts, own.spikes)
                    != (of.leak, of.tau_refrac, of.subtracts, of.spikes)
            {
                return self.refuse(id.index(), "expected maps of one layer with equal leaks and resets");
            }
            (of.leak, of.tau_refrac, of.subtracts, of.spikes) = (own.leak, own.tau_refrac, own.subtracts, own.spikes);
            let n = array.len();
            let rest = f64::from(neurons.rest()) / self.factor;
            let numbers = [
                (&mut of.v_thresh, f64::from(neurons.threshold_plus) / self.factor),
                (&mut of.v_reset, f64::from(neurons.membrane_reset) / self.factor),
                (&mut of.v_rest, rest),
                (&mut of.v_min, f64::from(neurons.threshold_minus) / self.factor),
                (&mut of.v_start, 0.0),
                (&mut of.bias, 0.0),
            ];
            numbers.into_iter().for_each(|(of, value)| of.extend(std::iter::repeat_n(value, n)));
            let senders = cells(array).filter_map(|(index, x, y)| {
                let (x, y) = output.address(x, y)?;
                Some((x, y, population, first + index))
            });
            self.senders[node.index()] = Some(senders.collect());
        }
        self.populations.push(Population { label: label.into(), shape: shape.to_vec(), neurons: Some(of) });
        Ok(())
    }

    fn parameters(&self, number: usize, module: &Module, of: &NeuronParameters) -> Result<Neurons, Unsupported> {
        if matches!(module.kind, ModuleKind::Softmax(_)) {
            return self.refuse(number, "a softmax output has no neurons; --output relu has");
        }
        let passes = of.fires_minus && of.reset == Reset::ToRest && of.threshold_plus == 1;
        let others = [
            (of.signed().is_some(), "signed neurons; convert with --preset toolbox"),
            (of.model().is_some(), "neurons of custom equations"),
            (of.mask_tau > 0, "synaptic currents (mask_tau)"),
            (of.fires_minus && !passes, "spikes of both signs; convert with --preset toolbox"),
            (of.reset == Reset::Modulo, "modulo reset; convert with --reset subtract"),
            (of.leak_plus > 0 || of.leak_minus > 0, "linear leaks"),
            (module.timing.delay_to_arrive > 0, "delays"),
            (module.timing.n_repeat > 1, "repeated spikes"),
            (of.payload_bits.is_some(), "spikes with values (payload_bits)"),
        ];
        if let Some((_, what)) = others.iter().find(|(is_there, _)| *is_there) {
            return self.refuse(number, format!("other simulators have no {what}"));
        }
        let part = f64::from(of.leak_decay) / f64::from(Decay::WHOLE);
        Ok(Neurons {
            v_thresh: Vec::new(),
            v_reset: Vec::new(),
            v_rest: Vec::new(),
            v_min: Vec::new(),
            v_start: Vec::new(),
            bias: Vec::new(),
            leak: 1.0 - (1.0 - part).powf(self.ticks_per_ms),
            tau_refrac: of.refractory as f64 / self.ticks_per_ms,
            subtracts: of.reset == Reset::Subtract,
            spikes: of.fires_plus,
        })
    }

    /// Lists the synapses of a module, or of one that moves addresses who sends under them.
    fn module(&mut self, number: usize) -> Result<(), Unsupported> {
        let module = &self.network.modules()[number];
        let outputs = self.network.outputs(megasim_core::network::ModuleId::new(number)).to_vec();
        if let ModuleKind::Flatten(ports) = &module.kind {
            if module.timing.delay_to_arrive > 0 {
                return self.refuse(number, "other simulators have no separate delays for loops");
            }
            let mut senders = Senders::new();
            let mut before = 0i64;
            for (port, input) in ports.iter().zip(&module.inputs) {
                for &(x, y, population, neuron) in self.senders(number, input)? {
                    if (0..port.nx as i32).contains(&x) && (0..port.ny as i32).contains(&y) {
                        let at = before + i64::from(y) * i64::from(port.nx) + i64::from(x);
                        senders.push((at as i32, 0, population, neuron));
                    }
                }
                before += i64::from(port.nx) * i64::from(port.ny);
            }
            for node in outputs {
                self.senders[node.index()] = Some(senders.clone());
            }
            return Ok(());
        }
        let Some(&(to, first)) = outputs.iter().find_map(|node| self.first.get(node)) else {
            return self.refuse(number, "expected a module of a layer; loops have no form in other simulators");
        };
        for (port, (weights, input)) in module.kind.weights().into_iter().zip(&module.inputs).enumerate() {
            // Ports of resets and controls have no weights.
            if weights.iter().all(|&weight| weight == 0) {
                continue;
            }
            if let Input::Node(node) = input
                && matches!(self.network.nodes()[node.index()].driver, Driver::Source(_))
                && self.senders[node.index()].is_none()
            {
                let clock = self.name(*node).to_string();
                self.constant(number, (to, first), &clock, (&module.kind, port))?;
                continue;
            }
            let senders = self.senders(number, input)?.clone();
            for (x, y, from, neuron) in senders {
                let (factor, count) = (self.factor, &mut self.count);
                let list = self.synapses.entry((from, to)).or_default();
                module.kind.each_target(port, (x, y), |index, weight| {
                    if weight != 0 {
                        list.0.push(neuron);
                        list.1.push(first + index as u32);
                        list.2.push(f64::from(weight) / factor);
                        *count += 1;
                    }
                });
                if self.count > MOST_SYNAPSES {
                    return self.refuse(number, format!("expected at most {MOST_SYNAPSES} synapses, found more"));
                }
            }
        }
        Ok(())
    }

    fn senders(&self, number: usize, input: &Input) -> Result<&Senders, Unsupported> {
        const NONE: &Senders = &Senders::new();
        match input {
            Input::Undriven(_) => Ok(NONE),
            Input::Node(node) => match &self.senders[node.index()] {
                Some(senders) => Ok(senders),
                None => {
                    let name = self.name(*node).to_string();
                    self.refuse(number, format!("expected layers before it, found {{{name}}}, which is not before it"))
                }
            },
        }
    }

    /// What a clock adds, or the one event at the start.
    fn constant(
        &mut self,
        number: usize,
        (to, first): (usize, u32),
        clock: &str,
        (kind, port): (&ModuleKind, usize),
    ) -> Result<(), Unsupported> {
        let is_bias = self.bias_clock.as_deref() == Some(clock);
        if !is_bias && clock != INITIAL_POTENTIAL {
            return self.refuse(number, format!("other simulators have no events of {{{clock}}}"));
        }
        let factor = self.factor;
        let Some(neurons) = self.populations[to].neurons.as_mut() else { return Ok(()) };
        let numbers = if is_bias { &mut neurons.bias } else { &mut neurons.v_start };
        kind.each_target(port, (0, 0), |index, weight| numbers[first as usize + index] += f64::from(weight) / factor);
        Ok(())
    }
}

/// The neurons of an array with their positions, in the order of their numbers.
fn cells(array: Array) -> impl Iterator<Item = (u32, i32, i32)> {
    let rows = (0..array.ny).flat_map(move |y| (0..array.nx).map(move |x| (y, x)));
    rows.map(move |(y, x)| (y * array.nx + x, array.x_min + x as i32, array.y_min + y as i32))
}
