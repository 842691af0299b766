//! From the nodes of a file to what makes spikes, and what each reads.

use super::Error;
use super::dialect::Units;
use super::neurons::{Numbers, Population};
use super::signal::{Kernels, Signal, SourceId, Term, Weights, uniform};
use megasim_ann::graph::{MAX_LAYER_SIZE, Shape};
use megasim_ann::import::ImportError;
use megasim_ann::nir::{Convolution, NirGraph, NirNode, Primitive};
use megasim_core::network::Reset;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Most numbers that the nodes of a network may put out together.
const MOST_NUMBERS: usize = 1 << 26;

/// What makes spikes.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Source {
    /// The node in the file.
    pub node: String,
    pub shape: Shape,
    pub made: Made,
}

/// How spikes are made.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Made {
    Input,
    /// Not evaluated yet.
    Pending,
    Neurons(Box<Population>),
    /// Each spike passes under the address of its window; windows do not overlap.
    Sum {
        of: SourceId,
        size: (usize, usize),
        padding: (usize, usize),
    },
    Flatten {
        of: SourceId,
    },
    Delay {
        of: SourceId,
        steps: i64,
    },
}

/// All that makes spikes; the output is one of them.
#[derive(Debug)]
pub(super) struct Walked {
    pub sources: Vec<Source>,
    pub output: SourceId,
    /// What there is to say: nodes with a factor at the output, and those that are sums without neurons.
    pub scaled: Option<String>,
    pub sum: Option<String>,
}

/// What a node puts out.
#[derive(Debug, Clone)]
enum Value {
    Signal(Signal),
    /// The potentials of a node without threshold.
    Potential(usize),
}

struct Walker<'g> {
    graph: &'g NirGraph,
    units: &'g Units,
    reset: Reset,
    shapes: Vec<Option<Shape>>,
    before: Vec<Vec<usize>>,
    sources: Vec<Source>,
    /// The source of each node that spikes.
    spikes: BTreeMap<usize, SourceId>,
    values: Vec<Option<Value>>,
    /// Neurons without threshold.
    potentials: BTreeMap<usize, Population>,
    problems: BTreeMap<usize, String>,
    output: Option<SourceId>,
    scaled: Option<String>,
    sum: Option<String>,
}

fn is_spiking(primitive: &Primitive) -> bool {
    match primitive {
        Primitive::Neurons(neurons) => neurons.spikes.is_some(),
        Primitive::Threshold(_) => true,
        _ => false,
    }
}

/// A shape of the file as one of maps or vectors; a sequence is maps of one row.
fn shape(of: &[usize]) -> Shape {
    match *of {
        [channels, width] => Shape::Maps { channels, height: 1, width },
        [channels, height, width] => Shape::Maps { channels, height, width },
        _ => Shape::Features(of.iter().product()),
    }
}

/// Evaluates the nodes.
pub(super) fn walk(graph: &NirGraph, units: &Units, reset: Reset) -> Result<Walked, Error> {
    let n = graph.nodes.len();
    let mut before = vec![Vec::new(); n];
    for &(from, to) in &graph.edges {
        before[to].push(from);
    }
    let mut walker = Walker {
        graph,
        units,
        reset,
        shapes: vec![None; n],
        before,
        sources: Vec::new(),
        spikes: BTreeMap::new(),
        values: vec![None; n],
        potentials: BTreeMap::new(),
        problems: BTreeMap::new(),
        output: None,
        scaled: None,
        sum: None,
    };
    for (kind, is) in [("Input", true), ("Output", false)] {
        let found: Vec<&str> = graph
            .nodes
            .iter()
            .filter(|node| match node.primitive {
                Primitive::Input(_) => is,
                Primitive::Output(_) => !is,
                _ => false,
            })
            .map(|node| node.name.as_str())
            .collect();
        if found.len() != 1 {
            let names = if found.is_empty() { "none".into() } else { found.join(", ") };
            return Err(Error::Network(format!("expected one node of type {kind}, found {names}")));
        }
    }
    walker.infer_shapes();
    walker.refused()?;
    let order = walker.order()?;
    for (number, node) in graph.nodes.iter().enumerate() {
        if let (true, Some(shape)) = (is_spiking(&node.primitive), walker.shapes[number]) {
            let id = walker.source(number, shape, Made::Pending);
            walker.spikes.insert(number, id);
        }
    }
    for number in order {
        let value = walker.input(number).and_then(|input| walker.evaluate(number, input));
        match value {
            Ok(value) => walker.values[number] = value,
            Err(reason) => _ = walker.problems.insert(number, reason),
        }
    }
    walker.refused()?;
    let Walker { sources, output, scaled, sum, .. } = walker;
    let output = output.ok_or_else(|| Error::Network("expected neurons before the output, found none".into()))?;
    Ok(Walked { sources, output, scaled, sum })
}

impl Walker<'_> {
    fn node(&self, number: usize) -> &NirNode {
        &self.graph.nodes[number]
    }

    /// All that is refused so far.
    fn refused(&mut self) -> Result<(), Error> {
        if self.problems.is_empty() {
            return Ok(());
        }
        let problem = |(number, message): (usize, String)| {
            let NirNode { name, kind, .. } = &self.graph.nodes[number];
            ImportError::Unsupported { layer: name.clone(), kind: kind.clone(), message }
        };
        Err(Error::Nodes(std::mem::take(&mut self.problems).into_iter().map(problem).collect()))
    }

    fn source(&mut self, node: usize, shape: Shape, made: Made) -> SourceId {
        self.sources.push(Source { node: self.node(node).name.clone(), shape, made });
        self.sources.len() - 1
    }

    /// Shapes from the input on, around cycles.
    fn infer_shapes(&mut self) {
        let mut after = vec![Vec::new(); self.graph.nodes.len()];
        for &(from, to) in &self.graph.edges {
            after[from].push(to);
        }
        let mut queue = VecDeque::new();
        for (number, node) in self.graph.nodes.iter().enumerate() {
            if let Primitive::Input(of) = &node.primitive {
                self.shapes[number] = Some(shape(of));
                queue.push_back(number);
            }
        }
        while let Some(from) = queue.pop_front() {
            let Some(shape) = self.shapes[from] else { continue };
            for &to in &after[from] {
                if self.shapes[to].is_some() || self.problems.contains_key(&to) {
                    continue;
                }
                match output_shape(&self.node(to).primitive, shape) {
                    Ok(shape) => {
                        self.shapes[to] = Some(shape);
                        queue.push_back(to);
                    }
                    Err(reason) => _ = self.problems.insert(to, reason),
                }
            }
        }
        let numbers: usize = self.shapes.iter().flatten().map(|shape| shape.len()).sum();
        if numbers > MOST_NUMBERS {
            let reason = format!("expected at most {MOST_NUMBERS} numbers in all nodes together, found {numbers}");
            self.problems.insert(0, reason);
        }
        // What follows a node that is refused is not known.
        if self.problems.is_empty() {
            for number in (0..self.shapes.len()).filter(|&number| self.shapes[number].is_none()) {
                self.problems.insert(number, "expected a path from the input to it, found none".into());
            }
        }
    }

    /// The nodes so that each comes behind what it reads, spikes apart.
    fn order(&mut self) -> Result<Vec<usize>, Error> {
        let n = self.graph.nodes.len();
        let mut waits = vec![0usize; n];
        let mut after = vec![Vec::new(); n];
        for &(from, to) in &self.graph.edges {
            if !is_spiking(&self.node(from).primitive) {
                waits[to] += 1;
                after[from].push(to);
            }
        }
        let mut ready: BTreeSet<usize> = (0..n).filter(|&number| waits[number] == 0).collect();
        let mut order = Vec::with_capacity(n);
        while let Some(number) = ready.pop_first() {
            order.push(number);
            for &to in &after[number] {
                waits[to] -= 1;
                if waits[to] == 0 {
                    ready.insert(to);
                }
            }
        }
        let reads_waiting = |&number: &usize| waits[number] > 0;
        for number in (0..n).filter(reads_waiting) {
            let reason = "expected neurons in every cycle, found a cycle without, or one before it".to_string();
            self.problems.insert(number, reason);
        }
        self.refused()?;
        Ok(order)
    }

    /// The sum of what a node reads.
    fn input(&self, number: usize) -> Result<Option<Value>, String> {
        let mut sum: Option<Signal> = None;
        for &from in &self.before[number] {
            let value = match self.spikes.get(&from) {
                Some(&source) => Value::Signal(Signal::spikes(source, self.sources[source].shape)),
                // A node before it was refused.
                None => match &self.values[from] {
                    Some(value) => value.clone(),
                    None => return Ok(None),
                },
            };
            match value {
                Value::Potential(_) if self.before[number].len() == 1 => return Ok(Some(value)),
                Value::Potential(of) => {
                    let name = &self.node(of).name;
                    return Err(format!("expected spikes or currents as inputs, found the potentials of '{name}'"));
                }
                Value::Signal(signal) => {
                    sum = Some(match sum {
                        None => signal,
                        Some(sum) => sum.add(signal)?,
                    });
                }
            }
        }
        Ok(sum.map(Value::Signal))
    }

    fn evaluate(&mut self, number: usize, input: Option<Value>) -> Result<Option<Value>, String> {
        let node = &self.graph.nodes[number];
        if let Primitive::Input(of) = &node.primitive {
            if !self.before[number].is_empty() {
                return Err("expected no edge to the input, found one".into());
            }
            let shape = shape(of);
            let source = self.source(number, shape, Made::Input);
            return Ok(Some(Value::Signal(Signal::spikes(source, shape))));
        }
        let Some(input) = input else { return Ok(None) };
        match (&node.primitive, &input) {
            (Primitive::Pass, _) => return Ok(Some(input)),
            (Primitive::Threshold(threshold), Value::Potential(of)) => {
                let population = self.potentials[of].clone().compared(threshold)?;
                return self.spiking(number, population);
            }
            (Primitive::Output(of), Value::Potential(potential)) => {
                let population = self.potentials[potential].clone();
                self.check_output(of, population.input.shape)?;
                let (node, shape) = (*potential, population.input.shape);
                self.output = Some(self.source(node, shape, Made::Neurons(Box::new(population))));
                return Ok(None);
            }
            (_, Value::Potential(of)) => {
                let name = &self.node(*of).name;
                return Err(format!(
                    "expected spikes or currents as input, found the potentials of '{name}', which only an output or a \
                     Threshold can read"
                ));
            }
            _ => {}
        }
        let Value::Signal(signal) = input else { return Ok(None) };
        let signal = match &node.primitive {
            Primitive::Input(_) | Primitive::Pass => signal,
            Primitive::Output(of) => {
                self.check_output(of, signal.shape)?;
                self.output = Some(match signal.only_spikes() {
                    Some((source, factors)) => {
                        if factors.iter().any(|&factor| factor != 1.0) {
                            self.scaled = Some(node.name.clone());
                        }
                        source
                    }
                    None => {
                        self.sum = Some(node.name.clone());
                        let shape = signal.shape;
                        let gathers = megasim_ann::nir::Neurons {
                            r: ndarray::arr0(1.0).into_dyn(),
                            leak: None,
                            synapse: None,
                            spikes: None,
                        };
                        let population = Population::new(&gathers, signal, self.units, self.reset)?;
                        self.source(number, shape, Made::Neurons(Box::new(population)))
                    }
                });
                return Ok(None);
            }
            Primitive::Linear { weight, bias } => signal.linear(weight, bias.as_ref().map(|bias| bias.to_vec()))?,
            Primitive::Convolution(convolution) => {
                let shape = output_shape(&node.primitive, signal.shape)?;
                let bias = convolution.bias.as_ref().map(|bias| bias.to_vec());
                let bias = bias.filter(|bias| bias.iter().any(|&bias| bias != 0.0));
                signal.convolved(&kernels(convolution), bias.as_deref(), shape)?
            }
            Primitive::Pool { average, size, stride, padding } => {
                let shape = output_shape(&node.primitive, signal.shape)?;
                let factor = if *average { 1.0 / (size.0 * size.1) as f64 } else { 1.0 };
                self.pool(number, signal, (*size, *stride, *padding), factor, shape)?
            }
            Primitive::Flatten { .. } => self.flatten(number, signal)?,
            Primitive::Scale(scale) => {
                let scale = Numbers::new("scale", scale, signal.shape.len())?;
                signal.scaled(|k| scale.at(k))?
            }
            Primitive::Delay(delay) => self.delay(number, signal, delay)?,
            Primitive::Neurons(neurons) => {
                let population = Population::new(neurons, signal, self.units, self.reset)?;
                if neurons.spikes.is_none() {
                    self.potentials.insert(number, population);
                    return Ok(Some(Value::Potential(number)));
                }
                return self.spiking(number, population);
            }
            Primitive::Threshold(threshold) => {
                let population = Population::comparing(threshold, signal)?;
                return self.spiking(number, population);
            }
            _ => return Err("not supported".into()),
        };
        Ok(Some(Value::Signal(signal)))
    }

    /// Sets what makes the spikes of a node; those of maps that were flattened are flattened.
    fn spiking(&mut self, number: usize, mut population: Population) -> Result<Option<Value>, String> {
        let Some(&id) = self.spikes.get(&number) else { return Ok(None) };
        if let Some(maps) = population.input.maps.take() {
            population.input.shape = maps;
            let of = self.source(number, maps, Made::Neurons(Box::new(population)));
            self.sources[id].made = Made::Flatten { of };
        } else {
            self.sources[id].made = Made::Neurons(Box::new(population));
        }
        Ok(None)
    }

    fn check_output(&self, of: &[usize], found: Shape) -> Result<(), String> {
        // Of one number: as shapes of parameters, for all.
        let expected: usize = of.iter().product();
        if expected == 1 || shape(of) == found {
            return Ok(());
        }
        Err(format!("expected {found}, as its input has, found shape {of:?}"))
    }

    fn pool(
        &mut self,
        number: usize,
        signal: Signal,
        (size, stride, padding): ((usize, usize), (usize, usize), (usize, usize)),
        factor: f64,
        shape: Shape,
    ) -> Result<Signal, String> {
        let Some((of, factors)) = signal.only_spikes() else {
            if padding != (0, 0) {
                return Err(format!("expected no padding behind a convolution, found {padding:?}"));
            }
            return signal.pooled(size, stride, factor, shape);
        };
        let (factors, before) = (factors.to_vec(), signal.shape);
        let Shape::Maps { height, width, .. } = before else {
            return Err("expected maps, found a vector".into());
        };
        let overlaps = |outputs: usize, size: usize, stride: usize| outputs > 1 && size != stride;
        let Shape::Maps { height: rows, width: columns, .. } = shape else { return Err("expected maps".into()) };
        if overlaps(rows, size.0, stride.0) || overlaps(columns, size.1, stride.1) {
            return Err(format!(
                "expected windows of spikes next to each other (stride = kernel_size), found windows of {size:?} that \
                 are {stride:?} apart"
            ));
        }
        if !matches!(self.sources[of].made, Made::Input | Made::Pending | Made::Neurons(_)) {
            return Err("expected the spikes of neurons or of the input, found what another node passes on".into());
        }
        let cells = height * width;
        let mut scales = Vec::with_capacity(shape.len());
        for map in 0..shape.channels() {
            let scale = uniform(map * cells..(map + 1) * cells, &|k| factors[k])
                .ok_or("expected one factor per map before it, found several")?;
            scales.extend(std::iter::repeat_n(scale * factor, rows * columns));
        }
        let source = self.source(number, shape, Made::Sum { of, size, padding });
        Signal::spikes(source, shape).scaled(|k| scales[k])
    }

    fn flatten(&mut self, number: usize, signal: Signal) -> Result<Signal, String> {
        if matches!(signal.shape, Shape::Features(_)) {
            return Ok(signal);
        }
        if !signal.terms.iter().all(|term| matches!(term.weights, Weights::Diagonal(_))) {
            return Ok(signal.flattened());
        }
        let shape = Shape::Features(signal.shape.len());
        let terms = signal.terms.into_iter().map(|Term { source: of, weights }| Term {
            source: self.source(number, shape, Made::Flatten { of }),
            weights,
        });
        Ok(Signal { terms: terms.collect(), shape, bias: signal.bias, maps: None })
    }

    fn delay(&mut self, number: usize, signal: Signal, delay: &ndarray::ArrayD<f64>) -> Result<Signal, String> {
        let n = signal.shape.len();
        let delay = Numbers::new("delay", delay, n)?;
        let delay = uniform(0..n, &|k| delay.at(k)).ok_or("expected one delay for all, found several")?;
        let steps = (delay / self.units.dt).round();
        if (delay / self.units.dt - steps).abs() > 1e-3 || steps > 1e9 {
            return Err(format!("expected a delay of whole steps of {}, found {delay}", self.units.dt));
        }
        if signal.bias.is_some() || !signal.terms.iter().all(|term| matches!(term.weights, Weights::Diagonal(_))) {
            return Err("expected spikes as input, found a weighted sum".into());
        }
        if steps == 0.0 {
            return Ok(signal);
        }
        let terms = signal.terms.into_iter().map(|Term { source: of, weights }| {
            let shape = self.sources[of].shape;
            Term { source: self.source(number, shape, Made::Delay { of, steps: steps as i64 }), weights }
        });
        Ok(Signal { terms: terms.collect(), ..signal })
    }
}

fn kernels(of: &Convolution) -> Kernels {
    let (_, _, height, width) = of.weight.dim();
    // As many zeros as keep the size; of an odd number one more behind.
    let same = |kernel: usize, dilation: usize| (kernel - 1) * dilation / 2;
    Kernels {
        weights: of.weight.clone(),
        stride: of.stride,
        padding: of.padding.unwrap_or((same(height, of.dilation.0), same(width, of.dilation.1))),
        dilation: of.dilation,
        groups: of.groups,
    }
}

/// The shape of what a node puts out.
fn output_shape(primitive: &Primitive, input: Shape) -> Result<Shape, String> {
    let maps = || match input {
        Shape::Maps { channels, height, width } => Ok((channels, height, width)),
        Shape::Features(n) => Err(format!("expected maps, found a vector of {n}")),
    };
    let windows = |cells: usize, padding: usize, extent: usize, stride: usize| {
        let room = cells.checked_add(padding.checked_mul(2)?)?.checked_sub(extent)?;
        Some(room / stride + 1)
    };
    let shape = match primitive {
        Primitive::Linear { weight, .. } => Shape::Features(weight.nrows()),
        Primitive::Convolution(of) => {
            let (channels, height, width) = maps()?;
            let (out, per_group, kernel_height, kernel_width) = of.weight.dim();
            if per_group * of.groups != channels {
                return Err(format!(
                    "expected {channels} input channels, as there are, found weights for {per_group} in each of {} \
                     groups",
                    of.groups
                ));
            }
            if of.axes == 1 && height != 1 {
                return Err(format!("expected a sequence, found maps {input}"));
            }
            let sizes = if of.axes == 1 { vec![width] } else { vec![height, width] };
            if let Some(said) = of.input.as_ref().filter(|said| **said != sizes) {
                return Err(format!("expected {sizes:?} as input_shape, as its input has, found {said:?}"));
            }
            let extent = |kernel: usize, dilation: usize| (kernel - 1).checked_mul(dilation)?.checked_add(1);
            match of.padding {
                None if of.stride != (1, 1) => {
                    return Err(format!("expected a stride of 1 with padding 'same', found {:?}", of.stride));
                }
                None => Shape::Maps { channels: out, height, width },
                Some(padding) => {
                    let size = |cells, padding, kernel, dilation, stride| {
                        extent(kernel, dilation).and_then(|extent| windows(cells, padding, extent, stride))
                    };
                    let rows = size(height, padding.0, kernel_height, of.dilation.0, of.stride.0);
                    let columns = size(width, padding.1, kernel_width, of.dilation.1, of.stride.1);
                    let (Some(height), Some(width)) = (rows, columns) else {
                        return Err(format!("expected an input that its kernel fits into, found {input}"));
                    };
                    Shape::Maps { channels: out, height, width }
                }
            }
        }
        Primitive::Pool { size, stride, padding, .. } => {
            let (channels, height, width) = maps()?;
            let rows = windows(height, padding.0, size.0, stride.0);
            let columns = windows(width, padding.1, size.1, stride.1);
            let (Some(height), Some(width)) = (rows, columns) else {
                return Err(format!("expected an input that its window fits into, found {input}"));
            };
            Shape::Maps { channels, height, width }
        }
        Primitive::Flatten { start, end } => match input {
            Shape::Features(_) => input,
            Shape::Maps { height, .. } => {
                let whole = *start == 0 && (*end == -1 || *end == 2 || (*end == 1 && height == 1));
                if !whole {
                    return Err(format!(
                        "expected a Flatten of all axes (start_dim 0, end_dim -1), found {start} to {end}"
                    ));
                }
                Shape::Features(input.len())
            }
        },
        _ => input,
    };
    let len = match shape {
        Shape::Features(n) => Some(n),
        Shape::Maps { channels, height, width } => channels.checked_mul(height).and_then(|n| n.checked_mul(width)),
    };
    match len {
        Some(1..=MAX_LAYER_SIZE) => Ok(shape),
        _ => Err(format!("expected an output of 1 to {MAX_LAYER_SIZE} numbers, found shape {shape}")),
    }
}
