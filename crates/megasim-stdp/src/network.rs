//! A network that runs: the layers of a description with their weights, and what they hold during a stimulus.

use super::convolution::{Competition, ConvolutionState};
use super::description::{Description, Layer, Readout};
use super::encoder::Encoder;
use super::inhibition::PointwiseState;
use super::pooling::PoolingState;
use super::winners::Contest;
use super::{Convolution, Error, Pooling, Shape, Spike, SpikeWave, Weight};
use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// Whether layers that only matter while others learn are in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Later layers learn.
    Training,
    /// Features or decisions are taken.
    Evaluation,
}

/// A layer with its weights.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Stage<W: Weight> {
    Convolution { layer: Convolution<W>, threshold: Option<W> },
    Pooling(Pooling),
    Pointwise { training_only: bool },
}

/// A single-spike network with weights.
#[derive(Debug, Clone)]
pub struct SpikingNetwork<W: Weight = f32> {
    description: Description,
    encoder: Encoder,
    pub(super) stages: Vec<Stage<W>>,
    shapes: Vec<Shape>,
}

impl<W: Weight> SpikingNetwork<W> {
    /// A network with initial weights, each layer's drawn with its own stream.
    ///
    /// # Errors
    /// What [`Description::shapes`] refuses; weights too large for their kind.
    pub fn new(description: &Description, seed: u64) -> Result<Self, Error> {
        let encoder = Encoder::new(description)?;
        let shapes = description.shapes()?;
        let mut stages = Vec::new();
        for (number, layer) in description.layers.iter().enumerate() {
            stages.push(match layer {
                Layer::Pooling(pooling) => Stage::Pooling(*pooling),
                Layer::PointwiseInhibition(layer) => Stage::Pointwise { training_only: layer.training_only },
                Layer::Convolution(layer) => {
                    let mut random = ChaCha8Rng::seed_from_u64(seed);
                    random.set_stream(number as u64 + 1);
                    let inputs = shapes[number].maps();
                    let (mean, deviation) = (layer.weight_mean, layer.weight_std);
                    Stage::Convolution {
                        layer: Convolution::new(inputs, layer.maps, layer.kernel_size, mean, deviation, &mut random)?
                            .stride(layer.stride)?
                            .padding(layer.padding),
                        threshold: layer.threshold.map(W::from_real),
                    }
                }
            });
        }
        Ok(Self { description: description.clone(), encoder, stages, shapes })
    }

    /// What it was made from.
    pub fn description(&self) -> &Description {
        &self.description
    }
    /// From images to its input.
    pub fn encoder(&self) -> &Encoder {
        &self.encoder
    }
    /// Size of a layer's input; one past the last layer is the network's output.
    pub fn shape(&self, layer: usize) -> Shape {
        self.shapes[layer]
    }
    /// Number of layers.
    pub fn len(&self) -> usize {
        self.stages.len()
    }
    /// Whether it has no layers.
    pub fn is_empty(&self) -> bool {
        self.stages.is_empty()
    }
    /// The weights of a layer, if it has some.
    pub fn convolution(&self, layer: usize) -> Option<&Convolution<W>> {
        match self.stages.get(layer) {
            Some(Stage::Convolution { layer, .. }) => Some(layer),
            _ => None,
        }
    }
    /// Replaces the weights of a layer, axes (map, input map, row, column).
    ///
    /// # Errors
    /// [`Error::Shape`] for others than the description's; [`Error::Value`] for weights that are not finite.
    pub fn set_weights(&mut self, layer: usize, weights: ndarray::ArrayView4<W>) -> Result<(), Error> {
        if let Some(Stage::Convolution { layer, .. }) = self.stages.get_mut(layer) {
            let expected = layer.weights().dim();
            if weights.dim() != expected {
                return Err(Error::Shape {
                    what: "weights",
                    expected: format!("{expected:?}"),
                    found: format!("{:?}", weights.dim()),
                });
            }
            *layer = Convolution::from_weights(weights)?.stride(layer.stride_size())?.padding(layer.padding_size());
        }
        Ok(())
    }

    /// What stimulus each map of a layer prefers, reconstructed through the layers below and the filter kernels: see
    /// [`DeepFeature`](super::DeepFeature). Images in the pixel domain, axes (map, row, column).
    ///
    /// # Errors
    /// [`Error::Description`] for a layer that is not there.
    pub fn preferred_stimuli(&self, layer: usize) -> Result<super::DeepFeature, Error> {
        if layer >= self.len() {
            let message = format!("expected one of {} layers", self.len());
            return Err(Error::Description { line: None, place: self.description.place(layer), message });
        }
        let mut feature = self.encoder.preferred_stimuli()?;
        for stage in &self.stages[..=layer] {
            feature = match stage {
                Stage::Convolution { layer, .. } => {
                    let weights = layer.weights().mapv(|weight| weight.to_real() as f32);
                    feature.convolution(weights.view(), layer.stride_size())?
                }
                Stage::Pooling(pooling) => feature.pooling(pooling),
                Stage::Pointwise { .. } => feature,
            };
        }
        Ok(feature)
    }

    /// Whether the output of `layers` depends on when its input spikes, or only on what spikes at all: with weights
    /// that are not negative and without inhibition between maps, what fires by the last bin is the same with all
    /// input at once.
    pub(super) fn is_timeless(&self, layers: std::ops::Range<usize>, phase: Phase) -> bool {
        self.stages[layers].iter().all(|stage| match stage {
            Stage::Convolution { layer, .. } => layer.least_weight() >= 0.0,
            Stage::Pooling(_) => true,
            Stage::Pointwise { training_only } => *training_only && phase == Phase::Evaluation,
        })
    }

    /// Whether [`Runner::decide`] needs no time: the winner fires without a threshold, after all input.
    fn is_decision_timeless(&self) -> bool {
        matches!(self.stages.last(), Some(Stage::Convolution { threshold: None, .. }))
            && self.is_timeless(0..self.len(), Phase::Evaluation)
    }

    /// The class of a map under a winner read-out.
    pub(super) fn class_of(&self, map: usize) -> Option<usize> {
        match self.description.readout {
            Some(Readout::Winner { maps_per_class }) => Some(map / maps_per_class),
            _ => None,
        }
    }
}

/// What a layer holds during a stimulus.
#[derive(Debug, Clone)]
pub(super) enum State<W: Weight> {
    Convolution(Box<ConvolutionState<W>>),
    Pooling(PoolingState),
    Pointwise(PointwiseState),
}

/// A wave in little memory: flat indices (map, y, x) by bin, the highest bit for spikes of -1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PackedWave {
    spikes: Box<[u32]>,
    /// (bin, end of its spikes), for the bins that hold some.
    bins: Box<[(u32, u32)]>,
    time_steps: u32,
}

const NEGATIVE: u32 = 1 << 31;

impl PackedWave {
    /// Whether a wave of this shape could be so packed.
    pub(super) fn fits(&self, shape: Shape) -> bool {
        let ends = self.bins.last().map_or(0, |&(_, end)| end as usize) == self.spikes.len();
        let bins = self.bins.is_sorted_by(|a, b| a.0 < b.0 && a.1 < b.1)
            && self.bins.first().is_none_or(|&(_, end)| end > 0)
            && self.bins.last().is_none_or(|&(bin, _)| bin < self.time_steps);
        ends && bins
            && self.time_steps > 0
            && self.spikes.iter().all(|&spike| ((spike & !NEGATIVE) as usize) < shape.len())
    }

    pub(super) fn new(wave: &SpikeWave) -> Self {
        let shape = wave.shape();
        let pack = |spike: &Spike| {
            let index = (spike.map as usize * shape.height() + spike.y as usize) * shape.width() + spike.x as usize;
            index as u32 | if spike.potential < 0.0 { NEGATIVE } else { 0 }
        };
        let mut end = 0;
        let mut bins = Vec::new();
        for bin in (0..wave.time_steps()).filter(|&bin| !wave.bin(bin).is_empty()) {
            end += wave.bin(bin).len() as u32;
            bins.push((bin, end));
        }
        let spikes = wave.spikes().map(|(_, spike)| pack(spike)).collect();
        Self { spikes, bins: bins.into(), time_steps: wave.time_steps() }
    }

    /// The bins that hold spikes, each with the end of its spikes.
    pub(super) fn occupied(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        self.bins.iter().copied()
    }
    pub(super) fn last_bin(&self) -> u32 {
        self.time_steps - 1
    }

    pub(super) fn unpacked(&self, shape: Shape) -> SpikeWave {
        let mut from = 0;
        let mut all = Vec::with_capacity(self.spikes.len());
        let mut spikes = Vec::new();
        for &(bin, to) in &self.bins {
            self.unpack(shape, from, to, &mut spikes);
            all.extend(spikes.iter().map(|spike| (bin, *spike)));
            from = to;
        }
        SpikeWave::from_spikes(shape, self.time_steps, all)
    }

    pub(super) fn unpack(&self, shape: Shape, from: u32, to: u32, spikes: &mut Vec<Spike>) {
        spikes.clear();
        let area = shape.positions() as u32;
        let width = shape.width() as u32;
        spikes.extend(self.spikes[from as usize..to as usize].iter().map(|&packed| {
            let index = packed & !NEGATIVE;
            let at = index % area;
            Spike {
                map: (index / area) as u16,
                y: (at / width) as u16,
                x: (at % width) as u16,
                potential: if packed & NEGATIVE == 0 { 1.0 } else { -1.0 },
            }
        }));
    }
}

/// Runs stimuli through a network's layers, bin by bin, and keeps its memory from one to the next.
#[derive(Debug, Clone)]
pub(super) struct Runner<W: Weight> {
    pub(super) first: usize,
    pub(super) states: Vec<State<W>>,
    /// The spikes of the present bin in front of each layer, and behind the last.
    spikes: Vec<Vec<Spike>>,
    contest: Contest,
    largest: Vec<W>,
    /// A bit for each neuron behind the last layer.
    fired: Vec<u64>,
}

impl<W: Weight> Runner<W> {
    /// For layers `first..last`.
    pub(super) fn new(network: &SpikingNetwork<W>, first: usize, last: usize) -> Result<Self, Error> {
        let mut states = Vec::new();
        for (number, stage) in network.stages[first..last].iter().enumerate() {
            let input = network.shapes[first + number];
            states.push(match stage {
                Stage::Convolution { layer, .. } => State::Convolution(ConvolutionState::new(layer, input)?.into()),
                Stage::Pooling(pooling) => State::Pooling(PoolingState::new(*pooling, input)?),
                Stage::Pointwise { .. } => State::Pointwise(PointwiseState::new(input)),
            });
        }
        let contest = Contest::new(network.shapes[last], 1, 0);
        let fired = vec![0; network.shapes[last].len().div_ceil(64)];
        Ok(Self { first, spikes: vec![Vec::new(); states.len() + 1], states, contest, largest: Vec::new(), fired })
    }

    fn reset(&mut self, network: &SpikingNetwork<W>) {
        for (number, state) in self.states.iter_mut().enumerate() {
            match (state, &network.stages[self.first + number]) {
                (State::Convolution(state), Stage::Convolution { layer, .. }) => state.reset(layer, &[]),
                (State::Pooling(state), _) => state.reset(),
                (State::Pointwise(state), _) => state.reset(),
                (State::Convolution(_), _) => {}
            }
        }
    }

    /// Takes the spikes of one bin through layers `from..to` (counted from the runner's first).
    fn step(
        &mut self,
        network: &SpikingNetwork<W>,
        layers: std::ops::Range<usize>,
        bin: u32,
        is_last_bin: bool,
        phase: Phase,
    ) {
        for number in layers {
            let (before, behind) = self.spikes.split_at_mut(number + 1);
            let (input, output) = (&before[number], &mut behind[0]);
            output.clear();
            match (&mut self.states[number], &network.stages[self.first + number]) {
                (State::Convolution(state), Stage::Convolution { layer, threshold }) => {
                    state.deliver(layer, bin, input);
                    match threshold {
                        Some(threshold) => state.fire(*threshold, Competition::None, output),
                        None if is_last_bin => state.fire_rest(output),
                        None => {}
                    }
                }
                (State::Pooling(state), _) => state.pass(input, output),
                (State::Pointwise(_), Stage::Pointwise { training_only: true }) if phase == Phase::Evaluation => {
                    output.extend_from_slice(input);
                }
                (State::Pointwise(state), _) => state.pass(input, output),
                (State::Convolution(_), _) => {}
            }
        }
    }

    /// With all input in one bin: a convolution and the pooling behind it together, if they are what comes.
    fn step_pooled(&mut self, network: &SpikingNetwork<W>, number: usize) -> bool {
        let Stage::Convolution { layer, threshold: Some(threshold) } = &network.stages[self.first + number] else {
            return false;
        };
        let [State::Convolution(state), State::Pooling(pooling), ..] = &mut self.states[number..] else { return false };
        let (before, behind) = self.spikes.split_at_mut(number + 2);
        behind[0].clear();
        state.deliver(layer, 0, &before[number]);
        state.fire_pooled(*threshold, pooling, &mut self.largest, &mut behind[0]);
        true
    }

    /// Runs a whole stimulus; `visit` gets each bin's output and says whether to go on.
    fn run(
        &mut self,
        network: &SpikingNetwork<W>,
        input: &PackedWave,
        phase: Phase,
        at_once: bool,
        mut visit: impl FnMut(u32, &[Spike], &mut Contest) -> bool,
    ) {
        self.reset(network);
        let shape = network.shapes[self.first];
        let last = self.states.len();
        if at_once {
            input.unpack(shape, 0, input.spikes.len() as u32, &mut self.spikes[0]);
            let mut layer = 0;
            while layer < last {
                if self.step_pooled(network, layer) {
                    layer += 2;
                } else {
                    self.step(network, layer..layer + 1, 0, true, phase);
                    layer += 1;
                }
            }
            visit(0, &self.spikes[last], &mut self.contest);
            return;
        }
        let mut from = 0;
        let mut done = None;
        for &(bin, to) in &input.bins {
            input.unpack(shape, from, to, &mut self.spikes[0]);
            from = to;
            let is_last_bin = bin + 1 == input.time_steps;
            self.step(network, 0..last, bin, is_last_bin, phase);
            done = Some(bin);
            if !visit(bin, &self.spikes[last], &mut self.contest) {
                return;
            }
        }
        // Layers that fire in the last bin do so without an event in it.
        if done.is_none_or(|bin| bin + 1 < input.time_steps) && input.time_steps > 0 {
            self.spikes[0].clear();
            self.step(network, 0..last, input.time_steps - 1, true, phase);
            visit(input.time_steps - 1, &self.spikes[last], &mut self.contest);
        }
    }

    /// The wave behind the runner's last layer. With `at_once` all of it is in one bin.
    pub(super) fn wave(
        &mut self,
        network: &SpikingNetwork<W>,
        input: &PackedWave,
        phase: Phase,
        at_once: bool,
    ) -> SpikeWave {
        let mut spikes = Vec::new();
        self.run(network, input, phase, at_once, |bin, fired, _| {
            spikes.extend(fired.iter().map(|spike| (bin, *spike)));
            true
        });
        let steps = if at_once { 1 } else { input.time_steps };
        SpikeWave::from_spikes(network.shapes[self.first + self.states.len()], steps, spikes)
    }

    /// Flat indices (map, row, column) of the neurons behind the runner's last layer that spike, rising.
    fn features(&mut self, network: &SpikingNetwork<W>, input: &PackedWave, at_once: bool) -> Vec<u32> {
        let shape = network.shapes[self.first + self.states.len()];
        let (area, width) = (shape.positions(), shape.width());
        let mut fired = std::mem::take(&mut self.fired);
        self.run(network, input, Phase::Evaluation, at_once, |_, spikes, _| {
            for spike in spikes.iter().filter(|spike| spike.potential > 0.0) {
                let index = spike.map as usize * area + spike.y as usize * width + spike.x as usize;
                fired[index / 64] |= 1 << (index % 64);
            }
            true
        });
        let mut features = Vec::new();
        for (number, word) in fired.iter_mut().enumerate() {
            while *word != 0 {
                features.push((number * 64) as u32 + word.trailing_zeros());
                *word &= *word - 1;
            }
        }
        self.fired = fired;
        features
    }

    /// The map of the first (strongest) neuron behind the runner's last layer.
    pub(super) fn winner(&mut self, network: &SpikingNetwork<W>, input: &PackedWave, at_once: bool) -> Option<usize> {
        self.contest.reset();
        self.run(network, input, Phase::Evaluation, at_once, |bin, fired, contest| {
            contest.offer(bin, fired);
            !contest.is_decided()
        });
        self.contest.winners.first().map(|winner| winner.map)
    }

    /// Weights added so far, by all layers.
    pub(super) fn operations(&self) -> u64 {
        self.states
            .iter()
            .map(|state| match state {
                State::Convolution(state) => state.operations,
                _ => 0,
            })
            .sum()
    }
}

/// Takes features and decisions from a network; one for each thread.
///
/// ```
/// # let text = "name = \"n\"\n[input]\nheight = 8\nwidth = 8\n[encoding]\ntime_steps = 4\n\
/// #     [[layer]]\ntype = \"convolution\"\nmaps = 2\nkernel_size = 3\nthreshold = 1.0\n";
/// use megasim_stdp::{Description, Evaluator, SpikingNetwork};
/// let network = SpikingNetwork::<f32>::new(&Description::from_toml(text)?, 1)?;
/// let mut evaluator = Evaluator::new(&network)?;
/// let image = ndarray::Array2::from_shape_fn((8, 8), |(row, column)| (row * column) as f32 / 49.0);
/// let spiked = evaluator.features(&evaluator.encode(image.view())?);
/// assert!(spiked.iter().all(|&neuron| neuron < 2 * 6 * 6));
/// # Ok::<(), megasim_stdp::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Evaluator<'a, W: Weight> {
    network: &'a SpikingNetwork<W>,
    runner: Runner<W>,
    features_at_once: bool,
    decision_at_once: bool,
}

impl<'a, W: Weight> Evaluator<'a, W> {
    /// # Errors
    /// None that the network's making did not report.
    pub fn new(network: &'a SpikingNetwork<W>) -> Result<Self, Error> {
        Ok(Self {
            network,
            runner: Runner::new(network, 0, network.len())?,
            features_at_once: network.is_timeless(0..network.len(), Phase::Evaluation),
            decision_at_once: network.is_decision_timeless(),
        })
    }

    /// The network's input for an image of pixels between 0 and 1.
    ///
    /// # Errors
    /// As [`Encoder::encode`].
    pub fn encode(&self, image: ndarray::ArrayView2<f32>) -> Result<SpikeWave, Error> {
        self.network.encoder.encode(image)
    }

    /// The spikes of the last layer, bin by bin.
    pub fn wave(&mut self, input: &SpikeWave) -> SpikeWave {
        self.runner.wave(self.network, &PackedWave::new(input), Phase::Evaluation, false)
    }

    /// The spikes of every layer, from first to last.
    ///
    /// # Errors
    /// None that the network's making did not report.
    pub fn waves(&self, input: &SpikeWave) -> Result<Vec<SpikeWave>, Error> {
        let input = PackedWave::new(input);
        (1..=self.network.len())
            .map(|last| {
                let mut runner = Runner::new(self.network, 0, last)?;
                Ok(runner.wave(self.network, &input, Phase::Evaluation, false))
            })
            .collect()
    }

    /// Which neurons of the last layer spike at all: flat indices (map, row, column), rising. Where when they spike
    /// cannot matter, all input is handed in at once.
    pub fn features(&mut self, input: &SpikeWave) -> Vec<u32> {
        self.runner.features(self.network, &PackedWave::new(input), self.features_at_once)
    }

    /// The class of the earliest, then strongest neuron of the last layer; `None` if none fires, or without a winner
    /// read-out.
    pub fn decide(&mut self, input: &SpikeWave) -> Option<usize> {
        let input = PackedWave::new(input);
        let map = self.runner.winner(self.network, &input, self.decision_at_once)?;
        self.network.class_of(map)
    }

    /// Weights added since it was made: synaptic operations.
    pub fn operations(&self) -> u64 {
        self.runner.operations()
    }
}
