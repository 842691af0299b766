//! From what makes spikes to modules, in integers.

use super::neurons::{Behaviour, Numbers, Population};
use super::signal::{Kernels, SourceId, Term, Weights, room, uniform};
use super::walk::{Made, Source, Walked};
use super::{Error, Warning, form};
use crate::OutputForm;
use crate::emit::{BIAS_CLOCK, INPUT, RESET, size};
use crate::manifest::{InputLayer, Layer};
use megasim_ann::graph::Shape;
use megasim_ann::import::ImportError;
use megasim_core::equations::Decay;
use megasim_core::network::{
    Array, Conv, ConvPort, DEFAULT_T_MAX, FlattenPort, FullyConnected, FullyConnectedPort, Input, Module, ModuleKind,
    Network, NetworkBuilder, NeuronParameters, Output, Reset, Timing,
};
use ndarray::s;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

/// The network and what its nodes are.
pub(super) struct Built {
    pub network: Network,
    pub input: InputLayer,
    pub layers: Vec<Layer>,
    pub has_bias: bool,
    pub has_mask: bool,
    pub form: OutputForm,
}

/// Makes the modules.
pub(super) fn build(walked: Walked, factor: f64, warnings: &mut Vec<Warning>) -> Result<Built, Error> {
    let Walked { mut sources, mut output, scaled, sum } = walked;
    warnings.extend(scaled.map(Warning::Scale));
    warnings.extend(sum.map(Warning::Sum));
    if matches!(sources[output].shape, Shape::Maps { .. }) {
        let Source { node, shape, .. } = sources[output].clone();
        let gathers = matches!(&sources[output].made, Made::Neurons(of) if of.behaviour == Behaviour::Gather);
        if gathers {
            let message = format!("expected potentials of a vector at the output, found maps {shape}");
            return Err(Error::Nodes(vec![ImportError::Unsupported { layer: node, kind: "Output".into(), message }]));
        }
        sources.push(Source { node, shape: Shape::Features(shape.len()), made: Made::Flatten { of: output } });
        output = sources.len() - 1;
    }
    let mut order = order(&sources, output);
    if order.last() != Some(&output) {
        // The output is read by others: behind all of them its spikes are passed on.
        let Source { node, shape, .. } = sources[output].clone();
        sources.push(Source { node, shape, made: Made::Flatten { of: output } });
        output = sources.len() - 1;
        order.push(output);
    }
    let at: BTreeMap<SourceId, usize> = order.iter().enumerate().map(|(at, &id)| (id, at)).collect();
    let mut writer = Writer {
        sources: &sources,
        factor,
        digits: order.len().saturating_sub(2).max(1).to_string().len(),
        at,
        builder: NetworkBuilder::new(),
        nodes: BTreeMap::new(),
        fed_back: BTreeSet::new(),
        problems: Vec::new(),
    };
    let Some(&input) = order.first().filter(|&&id| sources[id].made == Made::Input && id != output) else {
        return Err(Error::Network("expected neurons that the input reaches, found none".into()));
    };
    writer.name_nodes(&order);
    let has_bias = order.iter().any(|&id| writer.reads_clock(id));
    let has_mask = sources.iter().any(|source| match &source.made {
        Made::Neurons(population) => population.has_mask(),
        _ => false,
    });
    for node in writer.nodes[&input].clone() {
        writer.builder.source(&node).map_err(|fault| Error::Module { name: node, fault })?;
    }
    for clock in has_bias.then_some(BIAS_CLOCK).into_iter().chain([RESET]) {
        writer.builder.source(clock).map_err(|fault| Error::Module { name: clock.into(), fault })?;
    }
    for &id in &order[1..] {
        writer.write(id)?;
    }
    // Behind what they read, so that spikes arrive in the step after they are made.
    for id in writer.fed_back.clone() {
        writer.pass_back(id)?;
    }
    if !writer.problems.is_empty() {
        return Err(Error::Nodes(writer.problems));
    }
    let layers = order[1..].iter().map(|&id| writer.layer(id)).collect();
    let input = InputLayer {
        name: sources[input].node.clone(),
        shape: sources[input].shape.sizes(),
        nodes: writer.nodes[&input].clone(),
        order: None,
        standardised: false,
    };
    let form = form(!matches!(&sources[output].made, Made::Neurons(of) if of.behaviour == Behaviour::Gather));
    let network = writer.builder.build(DEFAULT_T_MAX).map_err(|fault| Error::Module { name: "Tmax".into(), fault })?;
    Ok(Built { network, input, layers, has_bias, has_mask, form })
}

/// What a source reads.
fn reads(source: &Source) -> Vec<SourceId> {
    match &source.made {
        Made::Input | Made::Pending => Vec::new(),
        Made::Neurons(population) => population.input.terms.iter().map(|term| term.source).collect(),
        Made::Sum { of, .. } | Made::Flatten { of } | Made::Delay { of, .. } => vec![*of],
    }
}

/// The sources that reach the output, the input first, each behind what it reads where cycles allow: the reverse
/// post-order of a depth-first walk from the input.
fn order(sources: &[Source], output: SourceId) -> Vec<SourceId> {
    let n = sources.len();
    let mut after = vec![Vec::new(); n];
    for (id, source) in sources.iter().enumerate() {
        for of in reads(source) {
            after[of].push(id);
        }
    }
    let mut useful = BTreeSet::from([output]);
    let mut queue = vec![output];
    while let Some(id) = queue.pop() {
        queue.extend(reads(&sources[id]).into_iter().filter(|&of| useful.insert(of)));
    }
    let mut seen = vec![false; n];
    let mut order = Vec::new();
    let is_input = |id: &SourceId| sources[*id].made == Made::Input;
    // The input last, so that it is first in the end.
    let roots = (0..n).filter(is_input).chain((0..n).filter(|id| !is_input(id)));
    let mut parts: Vec<Vec<SourceId>> = Vec::new();
    for root in roots.filter(|id| useful.contains(id)) {
        if seen[root] {
            continue;
        }
        seen[root] = true;
        let mut part = Vec::new();
        let mut stack = vec![(root, 0)];
        while let Some((id, next)) = stack.last_mut() {
            match after[*id].get(*next) {
                Some(&to) => {
                    *next += 1;
                    if useful.contains(&to) && !seen[to] {
                        seen[to] = true;
                        stack.push((to, 0));
                    }
                }
                None => {
                    part.push(*id);
                    stack.pop();
                }
            }
        }
        part.reverse();
        parts.push(part);
    }
    // Parts that only a bias drives come behind the input and before what reads them.
    let mut parts = parts.into_iter();
    if let Some(mut first) = parts.next() {
        order.extend(first.drain(..1));
        parts.by_ref().for_each(|part| order.extend(part));
        order.extend(first);
    }
    order
}

impl Population {
    fn has_mask(&self) -> bool {
        (0..self.input.shape.len()).any(|k| self.mask_tau.at(k) > 0.0)
    }
}

struct Writer<'w> {
    sources: &'w [Source],
    factor: f64,
    digits: usize,
    /// Places in the netlist.
    at: BTreeMap<SourceId, usize>,
    builder: NetworkBuilder,
    /// Nodes of each source: one per map, or one.
    nodes: BTreeMap<SourceId, Vec<String>>,
    /// Sources whose spikes are read a step later.
    fed_back: BTreeSet<SourceId>,
    problems: Vec<ImportError>,
}

/// What a module cannot be.
type Refused = String;

impl Writer<'_> {
    fn word(&self, id: SourceId) -> &'static str {
        let Source { made, shape, .. } = &self.sources[id];
        match made {
            Made::Input | Made::Pending => INPUT,
            Made::Sum { .. } => "SumPooling2D",
            Made::Flatten { .. } => "Flatten",
            Made::Delay { .. } => "Delay",
            Made::Neurons(_) => match shape {
                Shape::Features(_) => "Dense",
                Shape::Maps { .. } => "Conv2D",
            },
        }
    }

    fn stem(&self, id: SourceId) -> String {
        let (number, digits, word) = (self.at[&id] - 1, self.digits, self.word(id));
        match self.sources[id].shape {
            Shape::Features(n) => format!("{number:0digits$}{word}_{n}"),
            Shape::Maps { channels, height, width } => {
                format!("{number:0digits$}{word}_{channels}x{height}x{width}")
            }
        }
    }

    fn name_nodes(&mut self, order: &[SourceId]) {
        for &id in order {
            let Source { shape, made, .. } = &self.sources[id];
            let nodes = match (*shape, made) {
                (Shape::Maps { channels, .. }, Made::Input) if channels > 1 => {
                    (0..channels).map(|map| format!("{INPUT}_{map}")).collect()
                }
                (_, Made::Input) => vec![INPUT.to_string()],
                (Shape::Maps { channels, .. }, _) => {
                    (0..channels).map(|map| format!("{}_{map}", self.stem(id))).collect()
                }
                (Shape::Features(_), _) => vec![self.stem(id)],
            };
            self.nodes.insert(id, nodes);
        }
    }

    fn layer(&self, id: SourceId) -> Layer {
        let Source { node, shape, .. } = &self.sources[id];
        let inputs: BTreeSet<usize> =
            reads(&self.sources[id]).iter().filter_map(|of| self.at.get(of).copied()).collect();
        let by_place: BTreeMap<usize, SourceId> = self.at.iter().map(|(&id, &at)| (at, id)).collect();
        let name = |of: SourceId| if self.at[&of] == 0 { INPUT.to_string() } else { self.stem(of) };
        Layer {
            name: self.stem(id),
            source: node.clone(),
            kind: self.word(id).into(),
            // Those that feed back come behind.
            inputs: inputs.into_iter().filter(|&at| at < self.at[&id]).map(|at| name(by_place[&at])).collect(),
            shape: shape.sizes(),
            nodes: self.nodes[&id].clone(),
            scale: 1.0,
            levels: None,
            map_scales: Vec::new(),
        }
    }

    /// Whether a population is driven by the clock of biases.
    fn reads_clock(&self, id: SourceId) -> bool {
        match &self.sources[id].made {
            // A level is tested in each step, also without input.
            Made::Neurons(of) => of.input.bias.is_some() || of.behaviour == Behaviour::Level,
            _ => false,
        }
    }

    /// The nodes of a source for one that reads it: those that spikes pass back through where it is not before it.
    fn nodes_for(&mut self, reader: SourceId, source: SourceId) -> Vec<String> {
        let travels = matches!(self.sources[source].made, Made::Delay { .. });
        if self.at[&source] < self.at[&reader] || travels {
            return self.nodes[&source].clone();
        }
        self.fed_back.insert(source);
        self.nodes[&source].iter().map(|node| back(node)).collect()
    }

    /// Writes the modules of a source; what cannot be one is kept.
    fn write(&mut self, id: SourceId) -> Result<(), Error> {
        let Source { node, shape, made } = &self.sources[id];
        let refused = match made {
            Made::Input | Made::Pending => return Ok(()),
            Made::Neurons(population) => match shape {
                Shape::Features(_) => self.vector(id, population),
                Shape::Maps { .. } => self.maps(id, population),
            },
            Made::Flatten { of } => self.flatten(id, *of),
            Made::Sum { of, size, padding } => self.sum(id, *of, *size, *padding),
            Made::Delay { of, steps } => {
                let (from, to) = (self.nodes[of].clone(), self.nodes[&id].clone());
                self.pass(*shape, &from, &to, *steps)
            }
        };
        if let Err(message) = refused {
            let kind = self.word(id).to_string();
            self.problems.push(ImportError::Unsupported { layer: node.clone(), kind, message });
        }
        Ok(())
    }

    /// Modules through which the spikes of a source are read a step later.
    fn pass_back(&mut self, id: SourceId) -> Result<(), Error> {
        let Source { node, shape, .. } = &self.sources[id];
        let from = self.nodes[&id].clone();
        let to: Vec<String> = from.iter().map(|node| back(node)).collect();
        self.pass(*shape, &from, &to, 1).map_err(|message| {
            Error::Nodes(vec![ImportError::Unsupported { layer: node.clone(), kind: "cycle".into(), message }])
        })
    }

    fn module(
        &mut self,
        node: &str,
        kind: ModuleKind,
        inputs: Vec<String>,
        delay_to_arrive: i64,
    ) -> Result<(), Refused> {
        let not_programmable = matches!(kind, ModuleKind::Conv(_) | ModuleKind::FullyConnected(_));
        // Bound to nodes, also later ones, when the network is built.
        let inputs = inputs.into_iter().map(Input::Undriven).collect();
        let timing = Timing { delay_to_arrive, ..Timing::default() };
        let module = Module { kind, inputs, timing, not_programmable };
        self.builder.module(module, &[node]).map(drop).map_err(|fault| fault.to_string())
    }

    /// Passes spikes on, some steps later.
    fn pass(&mut self, shape: Shape, from: &[String], to: &[String], steps: i64) -> Result<(), Refused> {
        let (height, width) = match shape {
            Shape::Maps { height, width, .. } => (height, width),
            Shape::Features(n) => {
                let port = FlattenPort { nx: size(n), ny: 1 };
                return self.module(&to[0], ModuleKind::Flatten(vec![port]), vec![from[0].clone()], steps);
            }
        };
        let array = Array { nx: size(width), ny: size(height), x_min: 0, y_min: 0 };
        for (from, to) in from.iter().zip(to) {
            let ports = vec![ConvPort::kernel(1, 1, 0, 0, Arc::new([1])), ConvPort::kernel(1, 1, 0, 0, Arc::new([0]))];
            let kind = ModuleKind::Conv(Conv { array, neurons: passing(), ports, output: Output::whole(array) });
            self.module(to, kind, vec![from.clone(), RESET.into()], steps)?;
        }
        Ok(())
    }

    fn flatten(&mut self, id: SourceId, of: SourceId) -> Result<(), Refused> {
        let (height, width) = match self.sources[of].shape {
            Shape::Maps { height, width, .. } => (height, width),
            Shape::Features(n) => (1, n),
        };
        let inputs = self.nodes[&of].clone();
        let ports = vec![FlattenPort { nx: size(width), ny: size(height) }; inputs.len()];
        let node = self.nodes[&id][0].clone();
        self.module(&node, ModuleKind::Flatten(ports), inputs, 0)
    }

    fn sum(
        &mut self,
        id: SourceId,
        of: SourceId,
        window: (usize, usize),
        padding: (usize, usize),
    ) -> Result<(), Refused> {
        let (Shape::Maps { height, width, .. }, Shape::Maps { height: rows, width: columns, .. }) =
            (self.sources[of].shape, self.sources[id].shape)
        else {
            return Err("expected maps".into());
        };
        let array = Array { nx: size(width), ny: size(height), x_min: 0, y_min: 0 };
        // The last cell of the last window.
        let last = |windows: usize, window: usize, padding: usize, cells: usize| {
            size((windows * window).saturating_sub(padding).min(cells)) as i32 - 1
        };
        let output = Output {
            crop_xmax: last(columns, window.1, padding.1, width),
            crop_ymax: last(rows, window.0, padding.0, height),
            xshift_pre: size(padding.1) as i32,
            yshift_pre: size(padding.0) as i32,
            x_subsmp: size(window.1) as i32,
            y_subsmp: size(window.0) as i32,
            ..Output::whole(array)
        };
        for (from, to) in self.nodes[&of].clone().into_iter().zip(self.nodes[&id].clone()) {
            let ports = vec![ConvPort::kernel(1, 1, 0, 0, Arc::new([1])), ConvPort::kernel(1, 1, 0, 0, Arc::new([0]))];
            let kind = ModuleKind::Conv(Conv { array, neurons: passing(), ports, output });
            self.module(&to, kind, vec![from, RESET.into()], 0)?;
        }
        Ok(())
    }

    fn integer(&self, what: &str, value: f64) -> Result<i32, Refused> {
        let scaled = (value * self.factor).round();
        if (f64::from(i32::MIN + 1)..=f64::from(i32::MAX - 1)).contains(&scaled) {
            return Ok(scaled as i32);
        }
        Err(format!(
            "expected a {what} within 32 bits, found {value} times the scaling factor {}; a smaller --scaling-factor \
             helps",
            self.factor
        ))
    }

    fn integers(&self, what: &str, values: impl Iterator<Item = f64>) -> Result<Vec<i32>, Refused> {
        values.map(|value| self.integer(what, value)).collect()
    }

    /// The parameters of the neurons of one module, and a factor on the input of each that makes their thresholds one.
    fn neurons(&self, of: &Population, range: Range<usize>) -> Result<(NeuronParameters, Option<Vec<f64>>), Refused> {
        let one = |name: &str, numbers: &Numbers, factors: Option<&Vec<f64>>| {
            let scaled = |k: usize| numbers.at(k) * factors.map_or(1.0, |factors| factors[k - range.start]);
            let first = scaled(range.start);
            match range.clone().map(scaled).find(|it| (it - first).abs() > 1e-9 * first.abs()) {
                None => Ok(first),
                Some(other) => {
                    Err(format!("expected one {name} for all neurons of a module, found {first} and {other}"))
                }
            }
        };
        // Potentials of each neuron in its own unit, so that thresholds are equal.
        let same = uniform(range.clone(), &|k| of.threshold.at(k)).is_some();
        let first = of.threshold.at(range.start);
        let positive = range.clone().all(|k| of.threshold.at(k) > 0.0);
        let factors: Option<Vec<f64>> =
            (!same && positive).then(|| range.clone().map(|k| first / of.threshold.at(k)).collect());
        let threshold = one("v_threshold", &of.threshold, factors.as_ref())?;
        let rest = one("v_leak", &of.rest, factors.as_ref())?;
        let reset_to = one("v_reset", &of.reset_to, factors.as_ref())?;
        let loss = one("time constant", &of.loss, None)?;
        let mask_tau = one("tau_syn", &of.mask_tau, None)? as i32;
        let leak_decay = (loss * f64::from(Decay::WHOLE)).round() as i32;
        let rest = self.integer("v_leak", rest)?;
        let usual = NeuronParameters { mask_tau, leak_decay, ..NeuronParameters::default() };
        let neurons = match of.behaviour {
            Behaviour::Gather => NeuronParameters {
                threshold_plus: i32::MAX - 1,
                fires_plus: false,
                membrane_reset: rest,
                reset: Reset::ToRest,
                ..usual
            },
            Behaviour::Spike(Reset::Subtract) => NeuronParameters {
                threshold_plus: self.integer("v_threshold", threshold)?,
                membrane_reset: rest - 1,
                reset: Reset::Subtract,
                ..usual
            },
            Behaviour::Spike(_) => {
                let reset_to = self.integer("v_reset", reset_to)? - 1;
                NeuronParameters {
                    threshold_plus: self.integer("v_threshold", threshold)?,
                    membrane_reset: reset_to,
                    resting_potential: Some(rest - 1).filter(|&rest| rest != reset_to),
                    reset: Reset::ToRest,
                    ..usual
                }
            }
            // A spike takes one integer, which is next to nothing.
            Behaviour::Level => NeuronParameters {
                threshold_plus: 1,
                membrane_reset: rest.saturating_sub(self.integer("threshold", threshold)?),
                reset: Reset::Subtract,
                t_min: 1,
                ..usual
            },
        };
        Ok((neurons, factors))
    }

    fn vector(&mut self, id: SourceId, of: &Population) -> Result<(), Refused> {
        let n = of.input.shape.len();
        let (neurons, factors) = self.neurons(of, 0..n)?;
        let factor = |k: usize| factors.as_ref().map_or(1.0, |factors| factors[k]);
        let (mut inputs, mut ports) = (Vec::new(), Vec::new());
        for Term { source, weights } in &of.input.terms {
            inputs.push(self.nodes_for(id, *source)[0].clone());
            let (rows, weights) = match weights {
                Weights::Dense(weights) => {
                    let weights = weights.rows().into_iter().flat_map(|row| row.to_vec().into_iter().enumerate());
                    (self.sources[*source].shape.len(), self.integers("weight", weights.map(|(k, it)| it * factor(k)))?)
                }
                Weights::Diagonal(diagonal) => {
                    room(n, n)?;
                    let mut square = vec![0; n * n];
                    for (k, &weight) in diagonal.iter().enumerate() {
                        square[k * n + k] = self.integer("weight", weight * factor(k))?;
                    }
                    (n, square)
                }
                Weights::Convolution(_) => return Err("expected a vector, found maps".into()),
            };
            ports.push(FullyConnectedPort { nx_pre: size(rows), ny_pre: 1, weights: weights.into() });
        }
        if self.reads_clock(id) {
            let bias = (0..n).map(|k| of.input.bias.as_ref().map_or(0.0, |bias| bias[k]) * factor(k));
            inputs.push(BIAS_CLOCK.into());
            ports.push(FullyConnectedPort { nx_pre: 1, ny_pre: 1, weights: self.integers("bias", bias)?.into() });
        }
        inputs.push(RESET.into());
        ports.push(FullyConnectedPort { nx_pre: 1, ny_pre: 1, weights: vec![0; n].into() });
        let array = Array { nx: size(n), ny: 1, x_min: 0, y_min: 0 };
        let full = FullyConnected { array, neurons, ports, output: Output::whole(array) };
        let node = self.nodes[&id][0].clone();
        self.module(&node, ModuleKind::FullyConnected(full), inputs, 0)
    }

    fn maps(&mut self, id: SourceId, of: &Population) -> Result<(), Refused> {
        let Shape::Maps { channels, height, width } = of.input.shape else {
            return Err("expected maps".into());
        };
        let cells = height * width;
        let array = Array { nx: size(width), ny: size(height), x_min: 0, y_min: 0 };
        for map in 0..channels {
            let range = map * cells..(map + 1) * cells;
            let (neurons, factors) = self.neurons(of, range.clone())?;
            if factors.is_some() {
                return Err("expected one v_threshold for all neurons of a map, found several".into());
            }
            let (mut inputs, mut ports) = (Vec::new(), Vec::new());
            for Term { source, weights } in &of.input.terms {
                let nodes = self.nodes_for(id, *source);
                match weights {
                    Weights::Diagonal(factors) => {
                        let factor = uniform(range.clone(), &|k| factors[k])
                            .ok_or("expected one factor per map, found several")?;
                        inputs.push(nodes[map].clone());
                        ports.push(ConvPort::kernel(1, 1, 0, 0, Arc::new([self.integer("weight", factor)?])));
                    }
                    Weights::Convolution(kernels) => {
                        for (channel, port) in self.kernels(kernels, map)? {
                            inputs.push(nodes[channel].clone());
                            ports.push(port);
                        }
                    }
                    Weights::Dense(_) => return Err("expected maps, found a vector".into()),
                }
            }
            if self.reads_clock(id) {
                let bias = range.clone().map(|k| of.input.bias.as_ref().map_or(0.0, |bias| bias[k]));
                let bias = self.integers("bias", bias)?;
                inputs.push(BIAS_CLOCK.into());
                ports.push(ConvPort::kernel(size(width), size(height), 0, 0, bias.into()));
            }
            inputs.push(RESET.into());
            ports.push(ConvPort::kernel(1, 1, 0, 0, Arc::new([0])));
            let node = self.nodes[&id][map].clone();
            let kind = ModuleKind::Conv(Conv { array, neurons, ports, output: Output::whole(array) });
            self.module(&node, kind, inputs, 0)?;
        }
        Ok(())
    }

    /// The ports of one map, with the channels that they read: kernels flipped on both axes.
    fn kernels(&self, of: &Kernels, map: usize) -> Result<Vec<(usize, ConvPort)>, Refused> {
        let Kernels { weights, stride, padding, dilation, groups } = of;
        let (out, per_group, height, width) = weights.dim();
        let first = map / (out / groups) * per_group;
        let extent = |kernel: usize, dilation: usize| (kernel - 1).saturating_mul(dilation).saturating_add(1);
        let (ny, nx) = (extent(height, dilation.0), extent(width, dilation.1));
        room(ny, nx)?;
        let mut ports = Vec::new();
        for channel in 0..per_group {
            let kernel = weights.slice(s![map, channel, .., ..]);
            if kernel.iter().all(|&weight| weight == 0.0) {
                continue;
            }
            let mut taps = vec![0; nx * ny];
            for ((j, i), &weight) in kernel.indexed_iter() {
                let at = (ny - 1 - j * dilation.0) * nx + (nx - 1 - i * dilation.1);
                taps[at] = self.integer("weight", weight)?;
            }
            let offset = |padding: usize, n: usize| i32::try_from(padding as i64 - (n as i64 - 1)).unwrap_or(i32::MIN);
            let port = ConvPort::kernel(size(nx), size(ny), offset(padding.1, nx), offset(padding.0, ny), taps.into());
            let (y_stride, x_stride) = (size(stride.0) as i32, size(stride.1) as i32);
            ports.push((first + channel, ConvPort { x_stride, y_stride, ..port }));
        }
        Ok(ports)
    }
}

/// The node through which spikes are read a step later.
fn back(node: &str) -> String {
    format!("{node}_back")
}

/// Neurons that pass each spike on, with its sign.
fn passing() -> NeuronParameters {
    NeuronParameters {
        threshold_plus: 1,
        threshold_minus: -1,
        fires_minus: true,
        reset: Reset::ToRest,
        ..NeuronParameters::default()
    }
}
