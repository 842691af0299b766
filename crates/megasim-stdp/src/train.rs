//! Training: layer after layer, stimulus after stimulus, with a state that can be stored and taken up again.

use super::convolution::{Competition, ConvolutionState};
use super::description::{Layer, Learning, LearningRates, RewardLearning, StdpLearning};
use super::encoder::Encoder;
use super::network::{PackedWave, Phase, Runner, SpikingNetwork, Stage};
use super::winners::Contest;
use super::{Error, Outcome, RewardStdp, Shape, Spike, Stdp, Tally, Weight};
use megasim_core::parallel;
use ndarray::{ArrayView3, Axis};
use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::ops::ControlFlow;

/// Encoded images with their classes, in little memory.
#[derive(Debug, Clone, PartialEq)]
pub struct Stimuli {
    shape: Shape,
    pub(super) waves: Vec<PackedWave>,
    labels: Vec<usize>,
}

impl Stimuli {
    /// Encodes images of pixels between 0 and 1, axes (image, row, column), on all threads.
    ///
    /// # Errors
    /// [`Error::Image`] with the first image that cannot be encoded; [`Error::Shape`] if there are not as many labels.
    pub fn encode(encoder: &Encoder, images: ArrayView3<f32>, labels: &[usize]) -> Result<Self, Error> {
        if labels.len() != images.dim().0 {
            return Err(Error::Shape {
                what: "labels",
                expected: format!("{} (one for each image)", images.dim().0),
                found: labels.len().to_string(),
            });
        }
        let encode = |number| encoder.encode(images.index_axis(Axis(0), number)).map(|wave| PackedWave::new(&wave));
        let waves = parallel::map(0..images.dim().0, encode);
        let waves = waves
            .into_iter()
            .enumerate()
            .map(|(number, wave)| wave.map_err(|source| Error::Image { number, source: source.into() }))
            .collect::<Result<_, _>>()?;
        Ok(Self { shape: encoder.shape(), waves, labels: labels.into() })
    }
    /// The waves as bytes, to be kept and given back to [`Stimuli::from_bytes`].
    ///
    /// # Errors
    /// If memory does not suffice.
    pub fn to_bytes(&self) -> Result<Vec<u8>, postcard::Error> {
        postcard::to_stdvec(&self.waves)
    }

    /// Waves that [`Stimuli::to_bytes`] gave, of as many images as there are labels, for networks that take this shape;
    /// nothing if the bytes are of anything else.
    pub fn from_bytes(bytes: &[u8], shape: Shape, labels: &[usize]) -> Option<Self> {
        let (waves, rest): (Vec<PackedWave>, _) = postcard::take_from_bytes(bytes).ok()?;
        let good = rest.is_empty() && waves.len() == labels.len() && waves.iter().all(|wave| wave.fits(shape));
        good.then(|| Self { shape, waves, labels: labels.into() })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.waves.len()
    }
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.waves.is_empty()
    }
    /// One of them.
    pub fn wave(&self, number: usize) -> super::SpikeWave {
        self.waves[number].unpacked(self.shape)
    }
    /// The classes.
    pub fn labels(&self) -> &[usize] {
        &self.labels
    }
}

/// How far training has come, and what the rules need to go on. Serialised, it is a checkpoint's small half; the
/// weights are the other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Progress {
    /// Seed of weights, order and dropout.
    pub seed: u64,
    /// The layer that learns, counted from 0; the number of layers when all is done.
    pub layer: usize,
    /// Passes that this layer has completed.
    pub pass: usize,
    /// Stimuli of the present pass that it has seen.
    pub stimulus: usize,
    /// Stimuli that it has seen in all.
    pub count: u64,
    /// Present rates of potentiation and depression (STDP).
    pub rates: Option<[f64; 2]>,
    /// Fractions right and wrong of the last batch (R-STDP).
    pub fractions: Option<[f64; 2]>,
    /// The present batch: right, wrong, silent (R-STDP).
    pub batch: [u64; 3],
    /// The present pass: right, wrong, silent (R-STDP).
    pub outcomes: [u64; 3],
    /// One entry for each completed pass.
    pub log: Vec<PassLog>,
    /// What is shown, in words of who shows it, so that no other stimuli are taken for it later; empty where it does
    /// not matter.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub stimuli: String,
}

/// More stimuli than any training shows; counters that go on from here do not overflow.
const MAX_COUNT: u64 = 1 << 48;

/// What a pass came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PassLog {
    /// The layer, counted from 1.
    pub layer: usize,
    /// The pass, counted from 1.
    pub pass: usize,
    /// Mean of `w (1 - w)` over its weights after the pass.
    pub convergence: f64,
    /// Stimuli decided right, wrong, and not at all, while learning (R-STDP).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcomes: Option<[u64; 3]>,
}

impl Progress {
    fn start(seed: u64) -> Self {
        Self {
            seed,
            layer: 0,
            pass: 0,
            stimulus: 0,
            count: 0,
            rates: None,
            fractions: None,
            batch: [0; 3],
            outcomes: [0; 3],
            log: Vec::new(),
            stimuli: String::new(),
        }
    }
    /// Whether a network of this description can have come so far.
    pub(super) fn check(&self, description: &super::Description) -> Result<(), String> {
        let layers = description.layers.len();
        if self.layer > layers {
            return Err(format!("expected at most layer {layers}, found {}", self.layer));
        }
        let passes = match description.layers.get(self.layer) {
            Some(Layer::Convolution(layer)) => match &layer.learning {
                Some(Learning::Stdp(learning)) => learning.passes,
                Some(Learning::Rstdp(learning)) => learning.passes,
                None => 0,
            },
            _ => 0,
        };
        if self.pass > passes {
            return Err(format!("expected at most pass {passes} of layer {}, found {}", self.layer, self.pass));
        }
        let rates = self.rates.iter().flatten().chain(self.log.iter().map(|entry| &entry.convergence));
        if let Some(number) = rates.clone().find(|number| !number.is_finite()) {
            return Err(format!("expected finite rates and measures of convergence, found {number}"));
        }
        if let Some(part) = self.fractions.iter().flatten().find(|part| !(0.0..=1.0).contains(*part)) {
            return Err(format!("expected fractions from 0 to 1, found {part}"));
        }
        if let Some(entry) = self.log.iter().find(|entry| !(1..=layers).contains(&entry.layer) || entry.pass == 0) {
            return Err(format!(
                "expected a log of layers 1 to {layers}, found layer {} pass {}",
                entry.layer, entry.pass
            ));
        }
        let counts = [self.stimulus as u64, self.count].into_iter().chain(self.batch).chain(self.outcomes);
        if let Some(count) = counts.clone().find(|&count| count > MAX_COUNT) {
            return Err(format!("expected counts of at most {MAX_COUNT}, found {count}"));
        }
        Ok(())
    }
    fn next_layer(&mut self) {
        let (log, stimuli) = (std::mem::take(&mut self.log), std::mem::take(&mut self.stimuli));
        *self = Self { layer: self.layer + 1, log, stimuli, ..Self::start(self.seed) };
    }
}

/// Trains a network, layer after layer. What it does depends on the description, the stimuli and the seed alone: not on
/// the number of threads, nor on where it was stopped and taken up again.
#[derive(Debug, Clone)]
pub struct Trainer<W: Weight = f32> {
    network: SpikingNetwork<W>,
    progress: Progress,
    operations: u64,
}

impl<W: Weight> Trainer<W> {
    /// From initial weights.
    pub fn new(network: SpikingNetwork<W>, seed: u64) -> Self {
        Self { network, progress: Progress::start(seed), operations: 0 }
    }
    /// From where another stopped.
    pub fn resume(network: SpikingNetwork<W>, progress: Progress) -> Self {
        Self { network, progress, operations: 0 }
    }
    /// The network as it is now.
    pub fn network(&self) -> &SpikingNetwork<W> {
        &self.network
    }
    /// How far it has come.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }
    /// Says what is shown, for checkpoints ([`Progress::stimuli`]).
    pub fn with_stimuli(mut self, stimuli: String) -> Self {
        self.progress.stimuli = stimuli;
        self
    }
    /// The network and how it came about.
    pub fn into_parts(self) -> (SpikingNetwork<W>, Progress) {
        (self.network, self.progress)
    }
    /// Writes the network and how far it has come: a checkpoint that [`Model::read`](super::Model::read) takes.
    ///
    /// # Errors
    /// What the writer reports.
    pub fn write(&self, writer: &mut dyn std::io::Write) -> std::io::Result<()> {
        super::store::write(writer, &self.network, &self.progress, None)
    }
    /// Synaptic operations of the learning layers so far: weights added to potentials.
    pub fn operations(&self) -> u64 {
        self.operations
    }
    /// Whether all layers have learned.
    pub fn is_done(&self) -> bool {
        self.progress.layer >= self.network.len()
    }
    /// Passes of the present layer.
    pub fn passes(&self) -> usize {
        match self.network.description().layers.get(self.progress.layer) {
            Some(Layer::Convolution(layer)) => match &layer.learning {
                Some(Learning::Stdp(learning)) => learning.passes,
                Some(Learning::Rstdp(learning)) => learning.passes,
                None => 0,
            },
            _ => 0,
        }
    }

    /// Trains until all is done, or `report`, which is called after every `interval` stimuli (at least 1) and after
    /// each pass, breaks off.
    ///
    /// # Errors
    /// [`Error::Shape`] for stimuli of another size, [`Error::Value`] for a label beyond the read-out's classes, or no
    /// stimuli.
    pub fn run(
        &mut self,
        stimuli: &Stimuli,
        interval: usize,
        mut report: impl FnMut(&Self) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        let expected = self.network.shape(0);
        if stimuli.shape != expected {
            return Err(Error::Shape {
                what: "stimuli",
                expected: expected.to_string(),
                found: stimuli.shape.to_string(),
            });
        }
        if stimuli.is_empty() {
            return Err(Error::Value {
                what: "training set".into(),
                expected: "at least one image",
                found: "none".into(),
            });
        }
        if let Some(classes) = self.network.description().classes()
            && let Some(found) = stimuli.labels.iter().find(|&&label| label >= classes)
        {
            return Err(Error::Value {
                what: format!("label with a read-out of {classes} classes"),
                expected: "less than the number of classes",
                found: found.to_string(),
            });
        }
        while !self.is_done() {
            let learning = match &self.network.description().layers[self.progress.layer] {
                Layer::Convolution(layer) => layer.learning.clone(),
                _ => None,
            };
            let flow = match learning {
                None => ControlFlow::Continue(()),
                Some(learning) => self.train_layer(stimuli, &learning, interval.max(1), &mut report)?,
            };
            if flow.is_break() {
                return Ok(());
            }
            self.progress.next_layer();
        }
        Ok(())
    }

    /// The waves in front of a layer, as they are while it learns. Layers before it are fixed, so they run once.
    fn front<'a>(&self, stimuli: &'a Stimuli, layer: usize, at_once: bool) -> Result<Cow<'a, [PackedWave]>, Error> {
        if layer == 0 {
            return Ok(Cow::Borrowed(&stimuli.waves));
        }
        let at_once = at_once && self.network.is_timeless(0..layer, Phase::Training);
        let runner = Runner::new(&self.network, 0, layer)?;
        let one = |runner: &mut Runner<W>, number: usize| {
            PackedWave::new(&runner.wave(&self.network, &stimuli.waves[number], Phase::Training, at_once))
        };
        Ok(Cow::Owned(parallel::map_with(0..stimuli.len(), || runner.clone(), one)))
    }

    fn train_layer(
        &mut self,
        stimuli: &Stimuli,
        learning: &Learning,
        interval: usize,
        report: &mut impl FnMut(&Self) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, Error> {
        let layer = self.progress.layer;
        let has_threshold = matches!(&self.network.stages[layer], Stage::Convolution { threshold: Some(_), .. });
        let is_reward = matches!(learning, Learning::Rstdp(_));
        let front = self.front(stimuli, layer, is_reward && !has_threshold)?;
        let mut learner = Learner::new(&self.network, layer, learning, &self.progress)?;
        while self.progress.pass < learner.passes {
            let order = learner.order(&self.progress, front.len());
            learner.drop_maps(&self.progress);
            while self.progress.stimulus < order.len() {
                let end = (self.progress.stimulus + interval).min(order.len());
                for &number in &order[self.progress.stimulus..end] {
                    let Stage::Convolution { layer, threshold } = &mut self.network.stages[layer] else { break };
                    self.progress.count += 1;
                    learner.learn(layer, *threshold, &front[number], stimuli.labels[number], &mut self.progress);
                }
                self.progress.stimulus = end;
                self.operations += std::mem::take(&mut learner.state.operations);
                // The end of a pass is reported below, when the pass is in the log.
                if end < order.len() && report(self).is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
            learner.end_pass(&mut self.progress);
            let convergence = self.network.convolution(layer).map_or(0.0, |layer| layer.convergence());
            let outcomes = std::mem::take(&mut self.progress.outcomes);
            self.progress.pass += 1;
            self.progress.stimulus = 0;
            self.progress.log.push(PassLog {
                layer: layer + 1,
                pass: self.progress.pass,
                convergence,
                outcomes: is_reward.then_some(outcomes),
            });
            if learner.converged.is_some_and(|limit| convergence < limit) {
                self.progress.pass = learner.passes;
            }
            if report(self).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }
}

/// One layer that learns.
struct Learner<W: Weight> {
    passes: usize,
    converged: Option<f64>,
    rule: Rule,
    state: ConvolutionState<W>,
    contest: Contest,
    inhibited: Vec<bool>,
    spikes: Vec<Spike>,
    fired: Vec<Spike>,
}

enum Rule {
    Stdp { stdp: Stdp, learning: StdpLearning },
    Reward { reward: RewardStdp, learning: RewardLearning, classes: usize },
}

impl<W: Weight> Learner<W> {
    fn new(
        network: &SpikingNetwork<W>,
        number: usize,
        learning: &Learning,
        progress: &Progress,
    ) -> Result<Self, Error> {
        let Some(layer) = network.convolution(number) else {
            return Err(Error::Description {
                line: None,
                place: network.description().place(number),
                message: "only a convolution learns".into(),
            });
        };
        let shape = network.shape(number + 1);
        let (passes, converged, kwta, radius, rule, bounds) = match learning {
            Learning::Stdp(learning) => {
                let pairs = learning.learning_rate.pairs();
                let [ltp, ltd] = progress.rates.or(pairs.first().copied()).unwrap_or_default();
                let mut stdp = Stdp::new(ltp, ltd)
                    .stabilizer(learning.use_stabilizer)
                    .bounds(learning.lower_bound, learning.upper_bound)?;
                if matches!(learning.learning_rate, LearningRates::Each(_)) {
                    pairs.iter().enumerate().for_each(|(map, &[ltp, ltd])| stdp.update_learning_rate(map, ltp, ltd));
                }
                let rule = Rule::Stdp { stdp, learning: learning.clone() };
                let bounds = [learning.lower_bound, learning.upper_bound];
                (learning.passes, learning.convergence, learning.kwta, learning.inhibition_radius, rule, bounds)
            }
            Learning::Rstdp(learning) => {
                let [ltp, ltd] = learning.reward;
                let [anti_ltp, anti_ltd] = learning.punish;
                let mut reward = RewardStdp::new((ltp, ltd), (anti_ltp, anti_ltd))
                    .stabilizer(learning.use_stabilizer)
                    .bounds(learning.lower_bound, learning.upper_bound)?
                    .adaptive(learning.minimum, learning.gain);
                if let Some([right, wrong]) = progress.fractions {
                    reward.set_fractions(right, wrong);
                }
                let [right, wrong, silent] = progress.batch;
                reward.set_batch(Tally { right, wrong, silent });
                let classes = network.description().classes().unwrap_or(1);
                let rule = Rule::Reward { reward, learning: learning.clone(), classes };
                (learning.passes, None, 1, 0, rule, [learning.lower_bound, learning.upper_bound])
            }
        };
        layer.check_magnitude(bounds[0].abs().max(bounds[1].abs()))?;
        Ok(Self {
            passes,
            converged,
            rule,
            state: ConvolutionState::new(layer, network.shape(number))?,
            contest: Contest::new(shape, kwta, radius),
            inhibited: vec![false; shape.maps()],
            spikes: Vec::new(),
            fired: Vec::new(),
        })
    }

    /// A generator for one purpose of one pass.
    fn random(progress: &Progress, purpose: u64) -> ChaCha8Rng {
        let mut random = ChaCha8Rng::seed_from_u64(progress.seed);
        random.set_stream((purpose << 48) | (progress.layer as u64) << 32 | progress.pass as u64);
        random
    }

    fn order(&self, progress: &Progress, stimuli: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..stimuli).collect();
        if matches!(&self.rule, Rule::Reward { learning, .. } if learning.shuffle) {
            order.shuffle(&mut Self::random(progress, 1));
        }
        order
    }

    fn drop_maps(&mut self, progress: &Progress) {
        if let Rule::Reward { learning, .. } = &self.rule
            && learning.dropout > 0.0
        {
            use rand::RngExt as _;
            let mut random = Self::random(progress, 2);
            self.inhibited.fill_with(|| random.random_bool(learning.dropout));
        }
    }

    fn learn(
        &mut self,
        layer: &mut super::Convolution<W>,
        threshold: Option<W>,
        wave: &PackedWave,
        label: usize,
        progress: &mut Progress,
    ) {
        let competition = match &mut self.rule {
            Rule::Stdp { stdp, learning } => {
                if let Some(schedule) =
                    learning.schedule.filter(|schedule| progress.count.is_multiple_of(schedule.every))
                {
                    let ltp = (stdp.rates(0).ltp * schedule.factor).min(schedule.maximum);
                    stdp.update_all_learning_rate(ltp, ltp * schedule.ratio);
                    progress.rates = Some([ltp, ltp * schedule.ratio]);
                }
                if learning.pointwise_inhibition { Competition::Pointwise } else { Competition::None }
            }
            Rule::Reward { .. } => Competition::None,
        };
        self.state.reset(layer, &self.inhibited);
        self.contest.reset();
        let input = self.state.input;
        let mut from = 0;
        for (bin, to) in wave.occupied() {
            wave.unpack(input, from, to, &mut self.spikes);
            from = to;
            self.state.deliver(layer, bin, &self.spikes);
            if let Some(threshold) = threshold {
                self.fired.clear();
                self.state.fire(threshold, competition, &mut self.fired);
                self.contest.offer(bin, &self.fired);
                // Later bins change nothing: inputs that have not spiked are later than every winner.
                if self.contest.is_decided() {
                    break;
                }
            }
        }
        if threshold.is_none() {
            self.fired.clear();
            self.state.fire_rest(&mut self.fired);
            self.contest.offer(wave.last_bin(), &self.fired);
        }
        let winners = &self.contest.winners;
        let stdp = match &mut self.rule {
            Rule::Stdp { stdp, .. } => Some(&*stdp),
            Rule::Reward { reward, classes, .. } => {
                let outcome = match winners.first() {
                    None => Outcome::Silent,
                    Some(winner) if winner.map * *classes / layer.out_channels() == label => Outcome::Right,
                    Some(_) => Outcome::Wrong,
                };
                progress.outcomes[outcome as usize] += 1;
                progress.batch[outcome as usize] += 1;
                reward.record(outcome)
            }
        };
        if let Some(stdp) = stdp {
            stdp.learn(layer, &self.state.arrived, input.height(), input.width(), winners);
        }
        if let Rule::Reward { reward, learning, .. } = &mut self.rule
            && learning.batch.is_some_and(|batch| reward.batch().total() >= batch as u64)
        {
            Self::end_batch(reward, progress);
        }
    }

    fn end_batch(reward: &mut RewardStdp, progress: &mut Progress) {
        let batch = reward.batch();
        let total = batch.total();
        if total > 0 {
            progress.fractions = Some([batch.right as f64 / total as f64, batch.wrong as f64 / total as f64]);
            progress.batch = [0; 3];
            reward.end_batch();
        }
    }

    /// A batch does not reach over the end of a pass.
    fn end_pass(&mut self, progress: &mut Progress) {
        if let Rule::Reward { reward, .. } = &mut self.rule {
            Self::end_batch(reward, progress);
        }
    }
}
