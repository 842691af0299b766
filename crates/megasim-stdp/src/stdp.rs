//! Spike-timing dependent plasticity of convolution layers, and its reward-modulated form.

use super::convolution::NEVER;
use super::{Convolution, Error, Pair, SpikeWave, Weight, Winner};
use ndarray::Array3;

/// Learning rates of one map.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rates {
    /// For inputs that spiked before the winner or in its bin (long-term potentiation).
    pub ltp: f64,
    /// For inputs that spiked later or never (long-term depression); usually negative.
    pub ltd: f64,
}

impl From<(f64, f64)> for Rates {
    fn from((ltp, ltd): (f64, f64)) -> Self {
        Self { ltp, ltd }
    }
}

/// STDP on a convolution layer: SpykeTorch's `STDP`.
///
/// Each weight of a winner's map changes by `rate (w - lower) (upper - w)` (by `rate` without stabiliser), where
/// `rate` is `ltp` if its input spiked in the winner's bin or earlier and `ltd` otherwise; then all weights of the
/// layer are held to the bounds. Of two winners of one map the last counts.
///
/// ```
/// use megasim_stdp::{get_k_winners, Convolution, SpikeWave, Stdp};
/// let mut layer = Convolution::from_weights(ndarray::array![[[[0.5_f64, 0.5]]]].view())?;
/// let input = SpikeWave::from_latencies(ndarray::array![[[0_u32, 1]]].view(), 2)?;
/// let output = layer.fire(&input, Some(0.4))?;
/// Stdp::new(0.04, -0.04).update(&mut layer, &input, &get_k_winners(&output, 1, 0))?;
/// assert!((layer.weight(0, 0, 0, 0) - 0.51).abs() < 1e-12);
/// assert!((layer.weight(0, 0, 0, 1) - 0.49).abs() < 1e-12);
/// # Ok::<(), megasim_stdp::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Stdp {
    all: Rates,
    /// Rates of the maps that have their own.
    own: Vec<Option<Rates>>,
    use_stabilizer: bool,
    lower_bound: f64,
    upper_bound: f64,
}

impl Stdp {
    /// Equal rates for all maps, with stabiliser, bounds 0 and 1.
    pub fn new(ltp: f64, ltd: f64) -> Self {
        Self { all: Rates { ltp, ltd }, own: Vec::new(), use_stabilizer: true, lower_bound: 0.0, upper_bound: 1.0 }
    }
    /// Rates for each map.
    pub fn per_map(rates: &[Rates]) -> Self {
        let all = rates.first().copied().unwrap_or(Rates { ltp: 0.0, ltd: 0.0 });
        Self { own: rates.iter().copied().map(Some).collect(), ..Self::new(all.ltp, all.ltd) }
    }
    /// With or without the factor that slows weights down near the bounds.
    pub fn stabilizer(self, use_stabilizer: bool) -> Self {
        Self { use_stabilizer, ..self }
    }
    /// Other bounds.
    ///
    /// # Errors
    /// [`Error::Value`] if they are not finite or not in order.
    pub fn bounds(self, lower_bound: f64, upper_bound: f64) -> Result<Self, Error> {
        if !(lower_bound.is_finite() && upper_bound.is_finite() && lower_bound <= upper_bound) {
            return Err(Error::Value {
                what: "weight bounds".into(),
                expected: "finite numbers, the lower one first",
                found: format!("{lower_bound}, {upper_bound}"),
            });
        }
        Ok(Self { lower_bound, upper_bound, ..self })
    }
    /// The rates of a map.
    pub fn rates(&self, map: usize) -> Rates {
        self.own.get(map).copied().flatten().unwrap_or(self.all)
    }
    /// Other rates for one map.
    pub fn update_learning_rate(&mut self, feature: usize, ltp: f64, ltd: f64) {
        if self.own.len() <= feature {
            self.own.resize(feature + 1, None);
        }
        self.own[feature] = Some(Rates { ltp, ltd });
    }
    /// Other rates for all maps.
    pub fn update_all_learning_rate(&mut self, ltp: f64, ltd: f64) {
        self.all = Rates { ltp, ltd };
        self.own.clear();
    }

    /// Which inputs of a winner's field count as before it, axes (input map, row, column): SpykeTorch's
    /// `get_pre_post_ordering`.
    pub fn pre_post_ordering<W: Weight>(
        &self,
        layer: &Convolution<W>,
        input: &SpikeWave,
        winner: &Winner,
    ) -> Array3<bool> {
        let latencies = input.latencies();
        let (height, width) = (input.shape().height(), input.shape().width());
        let kernel = layer.kernel_size();
        Array3::from_shape_fn((layer.in_channels(), kernel.rows, kernel.columns), |(map, ky, kx)| {
            let arrived = field(layer, winner, ky, kx)
                .filter(|&(y, x)| y < height && x < width)
                .map(|(y, x)| latencies[(map, y, x)])
                .filter(|&bin| bin < input.time_steps());
            before(arrived.unwrap_or(NEVER), winner)
        })
    }

    /// Learns from one stimulus: the layer's input and its winners (see [`get_k_winners`](super::get_k_winners)).
    ///
    /// # Errors
    /// [`Error::Winner`] for a winner outside the layer, [`Error::Shape`] for another input,
    /// [`Error::Value`] if the bounds are too wide for the kind of weight.
    pub fn update<W: Weight>(
        &self,
        layer: &mut Convolution<W>,
        input: &SpikeWave,
        winners: &[Winner],
    ) -> Result<(), Error> {
        let shape = layer.output_shape(input.shape())?;
        if let Some(winner) = winners
            .iter()
            .find(|winner| winner.map >= shape.maps() || winner.row >= shape.height() || winner.column >= shape.width())
        {
            let Winner { map, row, column, .. } = *winner;
            return Err(Error::Winner { map, row, column, shape });
        }
        layer.check_magnitude(self.lower_bound.abs().max(self.upper_bound.abs()))?;
        let (_, height, width) = input.shape().dim();
        let mut arrived = vec![NEVER; input.shape().len()];
        for (bin, spike) in input.spikes() {
            arrived[(spike.map as usize * height + spike.y as usize) * width + spike.x as usize] = bin;
        }
        self.learn(layer, &arrived, height, width, winners);
        Ok(())
    }

    /// [`Stdp::update`] on what a layer's state knows: the bin of each input neuron's spike, `[map][y][x]`. Winners
    /// are inside the layer.
    pub(super) fn learn<W: Weight>(
        &self,
        layer: &mut Convolution<W>,
        arrived: &[u32],
        height: usize,
        width: usize,
        winners: &[Winner],
    ) {
        let lower = W::from_real(self.lower_bound);
        let upper = W::from_real(self.upper_bound);
        let Pair { rows, columns } = layer.kernel_size();
        for (number, winner) in winners.iter().enumerate() {
            if winners[number + 1..].iter().any(|later| later.map == winner.map) {
                continue;
            }
            let rates = self.rates(winner.map);
            for ky in 0..rows {
                for kx in 0..columns {
                    let at = field(layer, winner, ky, kx).filter(|&(y, x)| y < height && x < width);
                    let first = layer.index(winner.map, 0, ky, kx);
                    let step = rows * columns * layer.out_channels();
                    let inputs = layer.in_channels();
                    let weights = layer.weights_mut()[first..].iter_mut().step_by(step);
                    for (input, weight) in (0..inputs).zip(weights) {
                        let bin = at.map_or(NEVER, |(y, x)| arrived[(input * height + y) * width + x]);
                        let rate = if before(bin, winner) { rates.ltp } else { rates.ltd };
                        *weight = weight.learn(rate, self.use_stabilizer, lower, upper);
                    }
                }
            }
        }
        // Once all weights are between the bounds, only those that learn can leave them, and they do not.
        if layer.within != Some((lower, upper)) {
            for weight in layer.weights_mut() {
                if *weight < lower {
                    *weight = lower;
                } else if *weight > upper {
                    *weight = upper;
                }
            }
            layer.within = Some((lower, upper));
        }
    }
}

/// The input position under a kernel entry of a winner; `None` in the padding before the first row or column.
fn field<W: Weight>(layer: &Convolution<W>, winner: &Winner, ky: usize, kx: usize) -> Option<(usize, usize)> {
    let (stride, padding) = (layer.stride_size(), layer.padding_size());
    let y = (winner.row * stride.rows + ky).checked_sub(padding.rows)?;
    let x = (winner.column * stride.columns + kx).checked_sub(padding.columns)?;
    Some((y, x))
}

fn before(bin: u32, winner: &Winner) -> bool {
    winner.bin.is_none_or(|own| bin <= own)
}

/// Reward-modulated STDP: the winner of the read-out layer learns with one pair of rates when its class is right and
/// with another when it is wrong.
///
/// Both pairs are scaled by how often the recent past was wrong and right: after each batch the rates of reward
/// become `(minimum + gain * fraction wrong)` times the given ones, those of punishment
/// `(minimum + gain * fraction right)` (Mozafari et al. 2018). A silent stimulus counts in the fractions and teaches
/// nothing.
///
/// ```
/// use megasim_stdp::{Outcome, RewardStdp, Stdp};
/// let mut learning = RewardStdp::new((0.004, -0.003), (-0.004, 0.0005));
/// for outcome in [Outcome::Right, Outcome::Right, Outcome::Right, Outcome::Wrong] {
///     learning.record(outcome);
/// }
/// learning.end_batch();
/// assert_eq!(learning.reward().rates(0).ltp, 0.004 * 0.25);
/// assert_eq!(learning.punish().rates(0).ltd, 0.0005 * 0.75);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct RewardStdp {
    reward: Stdp,
    punish: Stdp,
    base_reward: Rates,
    base_punish: Rates,
    minimum: f64,
    gain: f64,
    batch: Tally,
}

/// What came of one stimulus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The winner represents the class of the stimulus.
    Right,
    /// It represents another class.
    Wrong,
    /// Nothing fired.
    Silent,
}

/// How many stimuli were answered how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Right answers.
    pub right: u64,
    /// Wrong answers.
    pub wrong: u64,
    /// No answer.
    pub silent: u64,
}

impl Tally {
    /// Counts one more.
    pub fn count(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Right => self.right += 1,
            Outcome::Wrong => self.wrong += 1,
            Outcome::Silent => self.silent += 1,
        }
    }
    /// All of them.
    pub fn total(&self) -> u64 {
        self.right + self.wrong + self.silent
    }
    /// Fraction right; 0 of nothing.
    pub fn accuracy(&self) -> f64 {
        self.right as f64 / self.total().max(1) as f64
    }
}

impl RewardStdp {
    /// Rates (ltp, ltd) of reward and of punishment; stabiliser, bounds 0 and 1, minimum 0 and gain 1.
    pub fn new(reward: impl Into<Rates>, punish: impl Into<Rates>) -> Self {
        let (base_reward, base_punish) = (reward.into(), punish.into());
        Self {
            reward: Stdp::new(base_reward.ltp, base_reward.ltd),
            punish: Stdp::new(base_punish.ltp, base_punish.ltd),
            base_reward,
            base_punish,
            minimum: 0.0,
            gain: 1.0,
            batch: Tally::default(),
        }
    }
    /// With or without the factor that slows weights down near the bounds.
    pub fn stabilizer(self, use_stabilizer: bool) -> Self {
        Self { reward: self.reward.stabilizer(use_stabilizer), punish: self.punish.stabilizer(use_stabilizer), ..self }
    }
    /// Other bounds.
    ///
    /// # Errors
    /// As [`Stdp::bounds`].
    pub fn bounds(self, lower_bound: f64, upper_bound: f64) -> Result<Self, Error> {
        Ok(Self {
            reward: self.reward.bounds(lower_bound, upper_bound)?,
            punish: self.punish.bounds(lower_bound, upper_bound)?,
            ..self
        })
    }
    /// How the rates follow the fractions.
    pub fn adaptive(self, minimum: f64, gain: f64) -> Self {
        Self { minimum, gain, ..self }
    }
    /// The rule of reward, with its present rates.
    pub fn reward(&self) -> &Stdp {
        &self.reward
    }
    /// The rule of punishment, with its present rates.
    pub fn punish(&self) -> &Stdp {
        &self.punish
    }
    /// Counts an outcome and gives the rule to apply to the winner, if any.
    pub fn record(&mut self, outcome: Outcome) -> Option<&Stdp> {
        self.batch.count(outcome);
        match outcome {
            Outcome::Right => Some(&self.reward),
            Outcome::Wrong => Some(&self.punish),
            Outcome::Silent => None,
        }
    }
    /// What was counted since the last batch ended.
    pub fn batch(&self) -> Tally {
        self.batch
    }
    /// Sets the rates from the fractions of the batch, and starts the next.
    pub fn end_batch(&mut self) {
        let total = self.batch.total();
        if total == 0 {
            return;
        }
        self.set_fractions(self.batch.right as f64 / total as f64, self.batch.wrong as f64 / total as f64);
        self.batch = Tally::default();
    }
    pub(super) fn set_fractions(&mut self, right: f64, wrong: f64) {
        let reward = wrong * self.gain + self.minimum;
        let punish = right * self.gain + self.minimum;
        self.reward.update_all_learning_rate(self.base_reward.ltp * reward, self.base_reward.ltd * reward);
        self.punish.update_all_learning_rate(self.base_punish.ltp * punish, self.base_punish.ltd * punish);
    }
    pub(super) fn set_batch(&mut self, batch: Tally) {
        self.batch = batch;
    }
}
