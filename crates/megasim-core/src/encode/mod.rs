//! Numbers to spikes: how the values of a sample become stimuli. One file per code.
//!
//! A code decides when each address spikes; [`InputMap`] puts the spikes on the sources of a network, and adds the
//! clock on which biases act.

mod burst;
mod cpn;
pub mod current;
mod delta;
mod equations;
mod feature_scales;
mod izhikevich;
pub mod latency;
pub mod pattern;
mod poisson;
mod pso;
mod rank;
mod raster;
mod recorded;
pub mod registry;
mod regular;
mod sample_kind;
mod sample_numbers;
mod shared;
mod softmax_clock;
mod ttfs;

pub use burst::Burst;
pub use cpn::Cpn;
pub use current::Current;
pub use delta::Delta;
pub use equations::{Equations, NotANumber};
pub use feature_scales::FeatureScales;
pub use izhikevich::Izhikevich;
pub use latency::Latency;
pub use pattern::Pattern;
pub use poisson::Poisson;
pub use pso::Pso;
pub use rank::Rank;
pub use raster::{Raster, Train};
pub use recorded::Recorded;
pub use regular::{Events, Regular};
pub use sample_kind::{Error, SampleKind};
pub use sample_numbers::SampleNumbers;
pub use softmax_clock::{Arrivals, SoftmaxClock};
pub use ttfs::Ttfs;

use crate::network::{Network, NodeId, Polarity, Stimulus, StimulusEvent, Tick};
use std::fmt::Debug;
use std::iter::repeat_n;

/// Spikes per second of a value of 1 by default: one per millisecond.
pub const DEFAULT_INPUT_RATE: f64 = 1000.0;

/// Most spikes per second of an input: none fires more than once per millisecond.
pub const MOST_INPUT_RATE: f64 = 1000.0;

/// Ticks per millisecond where nothing else is asked for; `docs/conversion.md` says why.
pub const DEFAULT_TICKS_PER_MS: u32 = 10;

/// How long a sample is shown, and how fine time is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clock {
    /// How long, in milliseconds.
    pub duration: u32,
    /// Ticks in a millisecond, 1 or more.
    pub ticks_per_ms: u32,
}

impl Clock {
    /// Ticks of a whole presentation; the last one is one less.
    pub fn ticks(self) -> Tick {
        Tick::from(self.duration) * Tick::from(self.ticks_per_ms)
    }
}

/// A way to say numbers in spikes.
pub trait SpikeEncoder: Debug + Send + Sync {
    /// Puts the spikes of a sample into an empty raster, a train for each address in rising order (those without spikes
    /// may be left out). `values` are by address; `sample` is its number in the data set, so that a random code
    /// gives the same spikes for it whichever samples run.
    fn encode(&self, values: &[f32], sample: u64, clock: Clock, raster: &mut Raster);

    /// Encodes a sequence: `values` are frames of `numbers` values each. Frames share the presentation, as evenly
    /// as whole milliseconds allow, unless the code says otherwise; with more frames than milliseconds some are left
    /// out.
    fn encode_frames(&self, values: &[f32], numbers: usize, sample: u64, clock: Clock, raster: &mut Raster) {
        let mut one = |frame: &[f32], shown: Clock, own: &mut Raster| self.encode(frame, sample, shown, own);
        frames_in_turn(values, numbers, clock, raster, &mut one);
    }

    /// Milliseconds between the events of the clock on which biases act: as many as between the spikes of a value of 1,
    /// which are counted where a code does not know it.
    fn bias_period(&self, clock: Clock) -> f64 {
        let mut raster = Raster::default();
        raster.start(clock.ticks());
        self.encode(&[1.0], 0, clock, &mut raster);
        (f64::from(clock.duration) / raster.spikes().max(1) as f64).max(1.0)
    }

    /// Whether values are currents instead of spikes: then the network of each sample is [`current::driven`], and the
    /// spikes are its clock.
    fn is_current(&self) -> bool {
        false
    }
}

/// [`SpikeEncoder::encode_frames`] for all codes, so that it is compiled once; `encode` encodes one frame.
fn frames_in_turn(
    values: &[f32],
    numbers: usize,
    clock: Clock,
    raster: &mut Raster,
    encode: &mut dyn FnMut(&[f32], Clock, &mut Raster),
) {
    let frames: Vec<&[f32]> = values.chunks_exact(numbers.max(1)).collect();
    let mut spikes = Vec::new();
    for (k, frame) in frames.iter().enumerate() {
        let ms = |k: usize| (k * clock.duration as usize / frames.len()) as u32;
        let shown = Clock { duration: ms(k + 1) - ms(k), ..clock };
        let first = Tick::from(ms(k)) * Tick::from(clock.ticks_per_ms);
        let mut own = Raster::default();
        own.start(shown.ticks());
        encode(frame, shown, &mut own);
        own.in_time_order(|tick, trains| {
            spikes.extend(trains.iter().map(|&train| (own.trains()[train as usize], first + tick)));
        });
    }
    spikes.sort_unstable();
    for spikes in spikes.chunk_by(|a, b| a.0 == b.0) {
        let ((address, negative), _) = spikes[0];
        let mut train = raster.train(address, negative);
        spikes.iter().for_each(|&(_, tick)| train.set(tick as usize));
    }
}

/// Milliseconds between two spikes of a value of 1 at a rate in hertz, at least one.
fn period(input_rate: f64) -> f64 {
    (1000.0 / input_rate).max(1.0)
}

/// Spikes a millisecond of a value, at most one.
fn spikes_per_ms(value: f32, input_rate: f64) -> f64 {
    (f64::from(value.abs()) * input_rate / 1000.0).min(1.0)
}

/// Which source takes which spikes.
#[derive(Debug, Clone, PartialEq)]
pub struct InputMap {
    sources: usize,
    maps: Vec<usize>,
    width: usize,
    cells: usize,
    order: Option<Vec<usize>>,
    /// The number that one spike per millisecond represents.
    input_scale: f32,
    /// Scale and offset of each feature, in addition.
    features: Option<FeatureScales>,
    bias_clock: Option<usize>,
    mask_clock: Option<usize>,
    settle_events: Vec<usize>,
    /// The source, and its control events.
    softmax_clock: Option<(usize, SoftmaxClock)>,
    /// The source whose one event, at tick 0, sets initial potentials.
    start: Option<usize>,
}

impl InputMap {
    /// `shape` is `[features]` (one row) or `[maps, height, width]`, with one node per map. `order`, where the numbers
    /// of a sample are not in the order of the addresses, gives the number of each.
    ///
    /// # Errors
    /// If a node is none of the network's sources, or if the sizes differ.
    pub fn new(
        network: &Network,
        shape: &[usize],
        nodes: &[String],
        order: Option<Vec<usize>>,
        bias_clock: Option<&str>,
    ) -> Result<Self, Error> {
        let source = |name: &str| source(network, name);
        let fault = || Error::Shape { nodes: nodes.len(), shape: shape.to_vec() };
        let (maps, height, width) = match *shape {
            [n] => (1, 1, n),
            [maps, height, width] => (maps, height, width),
            _ => return Err(fault()),
        };
        let cells =
            height.checked_mul(width).filter(|&cells| cells > 0 && cells <= i32::MAX as usize).ok_or_else(fault)?;
        let total = maps.checked_mul(cells).filter(|&total| total <= u32::MAX as usize).ok_or_else(fault)?;
        if maps != nodes.len() || order.as_ref().is_some_and(|order| order.len() != total) {
            return Err(fault());
        }
        Ok(Self {
            sources: network.sources().len(),
            maps: nodes.iter().map(|node| source(node)).collect::<Result<_, _>>()?,
            width,
            cells,
            order,
            input_scale: 1.0,
            features: None,
            bias_clock: bias_clock.map(source).transpose()?,
            mask_clock: None,
            settle_events: Vec::new(),
            softmax_clock: None,
            start: None,
        })
    }

    /// Divides the numbers of samples by a scale before they become spikes: the number that one spike per millisecond
    /// stands for.
    ///
    /// # Errors
    /// [`Error::InputScale`] for one that is not above 0.
    pub fn with_input_scale(mut self, scale: f64) -> Result<Self, Error> {
        self.input_scale = scale as f32;
        if self.input_scale.is_finite() && self.input_scale > 0.0 {
            Ok(self)
        } else {
            Err(Error::InputScale(scale.to_string()))
        }
    }

    /// Gives each feature or channel a scale and an offset; the scale of the input also divides.
    ///
    /// # Errors
    /// [`Error::InputScale`] where they do not go with the numbers of a sample.
    pub fn with_features(self, features: Option<FeatureScales>) -> Result<Self, Error> {
        match features {
            Some(features) if !features.fits(self.numbers()) => {
                Err(Error::InputScale(format!("{} for {} numbers", features.scales().len(), self.numbers())))
            }
            features => Ok(Self { features, ..self }),
        }
    }

    /// Spikes per millisecond for a value of a number of a sample.
    fn rate(&self, number: usize, value: f32) -> f32 {
        let rate = self.features.as_ref().map_or(value, |features| features.rate(number, self.numbers(), value));
        rate / self.input_scale
    }

    /// Spikes per millisecond of each address for the values of a sample: map after map, `y`, `x`.
    ///
    /// # Panics
    /// If there are fewer values than addresses.
    pub fn rates(&self, values: &[f32]) -> Vec<f32> {
        let number = |address: usize| self.number_at(address);
        (0..self.maps.len() * self.cells).map(number).map(|k| self.rate(k, values[k])).collect()
    }

    /// The value of a number of a sample that a rate in spikes per millisecond represents.
    pub fn value(&self, number: usize, rate: f32) -> f32 {
        let value = rate * self.input_scale;
        self.features.as_ref().map_or(value, |features| features.value(number, self.numbers(), value))
    }

    /// The number of a sample that an address of the input takes.
    fn number_at(&self, address: usize) -> usize {
        self.order.as_ref().map_or(address, |order| order[address])
    }

    /// Adds a source whose control events make masks act (`mask_tau` in netfiles), at the last tick of each
    /// millisecond.
    ///
    /// # Errors
    /// If the node is none of the network's sources.
    pub fn with_mask_clock(mut self, network: &Network, node: Option<&str>) -> Result<Self, Error> {
        self.mask_clock = node.map(|node| source(network, node)).transpose()?;
        Ok(self)
    }

    /// Adds sources whose settle event, at the last tick of a sample, ends the hysteresis of signed neurons.
    ///
    /// # Errors
    /// If a node is none of the network's sources.
    pub fn with_settle_events(mut self, network: &Network, nodes: &[String]) -> Result<Self, Error> {
        self.settle_events = nodes.iter().map(|node| source(network, node)).collect::<Result<_, _>>()?;
        Ok(self)
    }

    /// Whether samples end with a settle event: then a run continues until nothing is pending.
    pub fn settles(&self) -> bool {
        !self.settle_events.is_empty()
    }

    /// The last tick of a run of one sample: that of its presentation; of networks with settle events `t_max`, as only
    /// the final counts of signed neurons are exact.
    pub fn last_tick(&self, t_max: Tick, clock: Clock) -> Tick {
        if self.settles() { t_max } else { (clock.ticks() - 1).max(0) }
    }

    /// Adds a source at whose control events a softmax output spikes.
    ///
    /// # Errors
    /// If the node is none of the network's sources.
    pub fn with_softmax_clock(mut self, network: &Network, clock: Option<(&str, SoftmaxClock)>) -> Result<Self, Error> {
        self.softmax_clock = clock.map(|(node, clock)| Ok((source(network, node)?, clock))).transpose()?;
        Ok(self)
    }

    /// Adds a source that has one event, at tick 0 and address (0, 0), on which weights set initial potentials.
    ///
    /// # Errors
    /// If the node is none of the network's sources.
    pub fn with_start(mut self, network: &Network, node: Option<&str>) -> Result<Self, Error> {
        self.start = node.map(|node| source(network, node)).transpose()?;
        Ok(self)
    }

    /// The input nodes.
    pub fn nodes(&self, network: &Network) -> impl Iterator<Item = NodeId> {
        self.maps.iter().map(|&source| network.sources()[source])
    }

    /// The address of each number of a sample.
    pub fn addresses(&self) -> Vec<u32> {
        let mut addresses: Vec<u32> = (0..self.numbers() as u32).collect();
        if let Some(order) = &self.order {
            order.iter().enumerate().for_each(|(address, &number)| addresses[number] = address as u32);
        }
        addresses
    }

    /// Numbers in a sample.
    pub fn numbers(&self) -> usize {
        self.maps.len() * self.cells
    }

    /// The stimuli of one sample, one for each source of the network in netlist order; those of resets and other
    /// controls are empty. `values` are the numbers of the sample, which is of some `kind` and has the number `sample`
    /// in its data set.
    ///
    /// # Errors
    /// [`Error::Numbers`].
    pub fn stimuli(
        &self,
        code: &dyn SpikeEncoder,
        kind: SampleKind,
        values: &[f32],
        sample: u64,
        clock: Clock,
    ) -> Result<Vec<Stimulus>, Error> {
        let mut encoder = EncodeBuffers::default();
        encoder.encode(self, code, kind, values, sample, clock)?;
        Ok(encoder.stimuli)
    }
}

/// Makes the stimuli of one sample after the other in the same memory.
#[derive(Debug, Clone, Default)]
pub struct EncodeBuffers {
    raster: Raster,
    values: Vec<f32>,
    /// Where the spikes of each train go: the source, the sign, and the address in columns.
    places: Vec<(usize, Polarity)>,
    x: Vec<i32>,
    y: Vec<i32>,
    stimuli: Vec<Stimulus>,
}

impl EncodeBuffers {
    /// See [`InputMap::stimuli`].
    ///
    /// # Errors
    /// [`Error::Numbers`].
    pub fn encode(
        &mut self,
        layout: &InputMap,
        code: &dyn SpikeEncoder,
        kind: SampleKind,
        values: &[f32],
        sample: u64,
        clock: Clock,
    ) -> Result<&[Stimulus], Error> {
        kind.check(layout.numbers(), values.len())?;
        let Self { raster, values: reordered, places, x, y, stimuli } = self;
        raster.start(clock.ticks());
        let numbers = layout.numbers();
        let is_plain = layout.order.is_none() && layout.features.is_none() && layout.input_scale == 1.0;
        let values = if is_plain {
            values
        } else {
            let at = |frame: &[f32], address| {
                let number = layout.number_at(address);
                layout.rate(number, frame[number])
            };
            reordered.clear();
            let frames = values.chunks_exact(numbers);
            reordered.extend(frames.flat_map(|frame| (0..numbers).map(move |address| at(frame, address))));
            reordered
        };
        match kind {
            SampleKind::Frames => code.encode_frames(values, numbers, sample, clock, raster),
            SampleKind::Still => code.encode(values, sample, clock, raster),
        }
        stimuli.resize(layout.sources, Stimulus::new());
        stimuli.iter_mut().for_each(Stimulus::clear);
        places.clear();
        x.clear();
        y.clear();
        for &(address, negative) in raster.trains() {
            let (map, cell) = (address as usize / layout.cells, address as usize % layout.cells);
            places.push((layout.maps[map], if negative { Polarity::Negative } else { Polarity::Positive }));
            x.push((cell % layout.width) as i32);
            y.push((cell / layout.width) as i32);
        }
        let all_alike = places.windows(2).all(|pair| pair[0] == pair[1]);
        let one_row = y.iter().all(|&y| y == 0);
        raster.in_time_order(|tick, trains| {
            let mut push = |trains: &[u32]| {
                let (source, polarity) = places[trains[0] as usize];
                let x = trains.iter().map(|&train| x[train as usize]);
                if one_row {
                    stimuli[source].push_spikes(tick, polarity, x, repeat_n(0, trains.len()));
                } else {
                    stimuli[source].push_spikes(tick, polarity, x, trains.iter().map(|&train| y[train as usize]));
                }
            };
            if all_alike {
                push(trains);
            } else {
                trains.chunk_by(|&a, &b| places[a as usize] == places[b as usize]).for_each(push);
            }
        });
        if let Some(source) = layout.bias_clock {
            stimuli[source] = bias_clock(code.bias_period(clock), clock);
        }
        if let Some(source) = layout.start {
            let event = StimulusEvent { t_pre: 0, x: 0, y: 0, polarity: Polarity::Positive };
            stimuli[source] = Stimulus::from_events([event]);
        }
        if let Some(source) = layout.mask_clock {
            let ms = Tick::from(clock.ticks_per_ms);
            let controls = (0..Tick::from(clock.duration)).map(|k| StimulusEvent::control(k * ms + ms - 1));
            stimuli[source] = Stimulus::from_events(controls);
        }
        for &source in &layout.settle_events {
            stimuli[source] = Stimulus::from_events([StimulusEvent::settle((clock.ticks() - 1).max(0))]);
        }
        if let Some((source, softmax)) = layout.softmax_clock {
            stimuli[source] = softmax.stimulus(sample, clock);
        }
        Ok(stimuli)
    }
}

/// An event at address (0, 0) each `period` milliseconds from tick 0 on.
pub fn bias_clock(period: f64, clock: Clock) -> Stimulus {
    let ticks = (0..).map(|k| (f64::from(k) * period * f64::from(clock.ticks_per_ms)) as Tick);
    let events = ticks.take_while(|&tick| tick < clock.ticks()).map(|t_pre| StimulusEvent {
        t_pre,
        x: 0,
        y: 0,
        polarity: Polarity::Positive,
    });
    Stimulus::from_events(events)
}

/// Which source drives a node.
fn source(network: &Network, name: &str) -> Result<usize, Error> {
    let node = network.node_named(name);
    let position = node.and_then(|node| network.sources().iter().position(|&source: &NodeId| source == node));
    position.ok_or_else(|| Error::NotASource(name.into()))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::network::NetworkBuilder;
    use proptest::prelude::*;

    fn codes(rate: f64) -> [Box<dyn SpikeEncoder>; 2] {
        [Box::new(Regular { input_rate: rate }), Box::new(Poisson { input_rate: rate, seed: 1 })]
    }

    /// `(tick, address, negative)` in time order.
    pub fn spikes(code: &dyn SpikeEncoder, values: &[f32], sample: u64, clock: Clock) -> Vec<(Tick, u32, bool)> {
        let mut raster = Raster::default();
        raster.start(clock.ticks());
        code.encode(values, sample, clock, &mut raster);
        let mut spikes = Vec::new();
        raster.in_time_order(|tick, trains| {
            spikes.extend(trains.iter().map(|&train| {
                let (address, negative) = raster.trains()[train as usize];
                (tick, address, negative)
            }));
        });
        spikes
    }

    proptest! {
        #[test]
        fn never_more_than_one_spike_a_ms_and_only_while_shown(
            values in prop::collection::vec(-1.5f32..1.5, 1..20),
            rate in prop::sample::select(vec![10.0, 500.0, 1000.0, 5000.0]),
            ticks_per_ms in 1u32..20,
            duration in 0u32..50,
        ) {
            let clock = Clock { duration, ticks_per_ms };
            for code in codes(rate) {
                let spikes = spikes(&*code, &values, 3, clock);
                let mut cells: Vec<_> =
                    spikes.iter().map(|&(tick, address, _)| (address, tick / Tick::from(ticks_per_ms))).collect();
                cells.sort_unstable();
                let n = cells.len();
                cells.dedup();
                prop_assert_eq!(n, cells.len());
                prop_assert!(spikes.is_sorted_by_key(|&(tick, address, _)| (tick, address)));
                prop_assert!(spikes.iter().all(|(tick, ..)| (0..clock.ticks()).contains(tick)));
                prop_assert!(spikes.iter().all(|&(_, address, negative)| negative == (values[address as usize] < 0.0)));
            }
        }
    }

    #[test]
    fn a_value_of_one_fires_each_ms() {
        for code in codes(1000.0) {
            assert_eq!(spikes(&*code, &[1.0; 5], 0, Clock { duration: 30, ticks_per_ms: 4 }).len(), 150);
        }
    }

    #[test]
    fn spikes_go_to_the_source_of_their_map() {
        let mut builder = NetworkBuilder::new();
        for name in ["InputLayer_0", "bias_clk", "InputLayer_1"] {
            builder.source(name).unwrap();
        }
        let network = builder.build(10).unwrap();
        let nodes = ["InputLayer_0".to_string(), "InputLayer_1".to_string()];
        let layout = InputMap::new(&network, &[2, 2, 3], &nodes, None, Some("bias_clk")).unwrap();
        let mut values = [0.0; 12];
        values[5] = 1.0;
        values[6 + 1] = 1.0;
        let clock = Clock { duration: 1, ticks_per_ms: 1 };
        let stimuli = layout.stimuli(&Regular { input_rate: 1000.0 }, SampleKind::Still, &values, 0, clock).unwrap();
        let event = |x, y| StimulusEvent { t_pre: 0, x, y, polarity: Polarity::Positive };
        assert_eq!(stimuli.iter().map(Stimulus::len).collect::<Vec<_>>(), [1, 1, 1]);
        assert_eq!(stimuli[0].event(0), event(2, 1));
        assert_eq!(stimuli[1].event(0), event(0, 0));
        assert_eq!(stimuli[2].event(0), event(1, 0));
        let missing = InputMap::new(&network, &[4], &["x".into()], None, None);
        assert_eq!(missing, Err(Error::NotASource("x".into())));
    }

    #[test]
    fn the_bias_clock_follows_the_input_rate() {
        let clock = Clock { duration: 4, ticks_per_ms: 10 };
        assert_eq!(bias_clock(1.0, clock).t_pre(), [0, 10, 20, 30]);
        assert_eq!(bias_clock(2.0, clock).t_pre(), [0, 20]);
    }
}
