//! Figures of timed runs that grow with the network, not with the events: times, occupancies and counts of modules,
//! nodes and links.

use super::Occupancy;
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// A distribution of times or counts, exact in number, mean and maximum; quantiles are exact below 256 and within 1 %
/// above.
///
/// ```
/// let mut waits = megasim_core::engine::machine::Distribution::default();
/// for wait in [0, 0, 10, 70_000] {
///     waits.record(wait, 1);
/// }
/// assert_eq!((waits.mean(), waits.quantile(0.5), waits.max()), (Some(17_502.5), Some(0), Some(70_000)));
/// assert_eq!((waits.quantile(0.75), waits.quantile(0.99)), (Some(10), Some(70_000)));
/// ```
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(from = "Values", into = "Values")]
pub struct Distribution {
    /// By [`bucket`]: how often its values came.
    counts: Vec<u64>,
    weight: u64,
    sum: u128,
    max: u64,
}

/// The bucket of a value, as a histogram of two significant digits has them: a value below 256 is alone, above there
/// are 128 buckets between two powers of two.
fn bucket(value: u64) -> usize {
    let shift = (value | 255).ilog2() - 7;
    shift as usize * 128 + (value >> shift) as usize
}

/// The least value of a bucket.
fn least(bucket: usize) -> u64 {
    let shift = (bucket / 128).saturating_sub(1);
    ((bucket - shift * 128) as u64) << shift
}

impl Distribution {
    /// Adds a value with a weight.
    #[inline(always)]
    pub fn record(&mut self, value: u64, weight: u64) {
        if weight == 0 {
            return;
        }
        let bucket = bucket(value);
        if self.counts.len() <= bucket {
            self.grow(bucket);
        }
        let count = &mut self.counts[bucket];
        *count = count.saturating_add(weight);
        self.weight += weight;
        self.sum += u128::from(value) * u128::from(weight);
        self.max = self.max.max(value);
    }

    /// Adds values, which it takes away.
    pub(super) fn record_each(&mut self, values: &mut Vec<u64>) {
        values.drain(..).for_each(|value| self.record(value, 1));
    }

    #[cold]
    fn grow(&mut self, bucket: usize) {
        self.counts.resize(bucket + 1, 0);
    }

    /// How many values there are; of an occupancy, ticks.
    pub fn weight(&self) -> u64 {
        self.weight
    }

    /// The sum of all values.
    pub fn sum(&self) -> u128 {
        self.sum
    }

    /// The mean; none of nothing.
    pub fn mean(&self) -> Option<f64> {
        (self.weight > 0).then(|| self.sum as f64 / self.weight as f64)
    }

    /// The least value that at least this share of the values does not exceed.
    pub fn quantile(&self, share: f64) -> Option<u64> {
        (self.weight > 0).then(|| self.whole().value_at_quantile(share).min(self.max))
    }

    /// The largest value.
    pub fn max(&self) -> Option<u64> {
        (self.weight > 0).then_some(self.max)
    }

    /// Adds all values of another one.
    pub fn merge(&mut self, other: &Self) {
        if self.counts.len() < other.counts.len() {
            self.counts.resize(other.counts.len(), 0);
        }
        self.counts.iter_mut().zip(&other.counts).for_each(|(mine, more)| *mine = mine.saturating_add(*more));
        self.weight = self.weight.saturating_add(other.weight);
        self.sum = self.sum.saturating_add(other.sum);
        self.max = self.max.max(other.max);
    }

    /// All values in a histogram.
    fn whole(&self) -> Histogram<u64> {
        // Two significant digits are a valid choice.
        let mut whole = Histogram::new(2).unwrap_or_else(|_| unreachable!("2 is between 0 and 5"));
        whole.auto(true);
        for (bucket, &weight) in self.counts.iter().enumerate().filter(|(_, weight)| **weight > 0) {
            // It grows with the value.
            _ = whole.record_n(least(bucket), weight);
        }
        whole
    }
}

/// A distribution as it is stored: one value of each bucket that has any, with its weight.
#[derive(Serialize, Deserialize)]
struct Values {
    buckets: Vec<(u64, u64)>,
    sum: u128,
    max: u64,
}

impl From<Distribution> for Values {
    fn from(of: Distribution) -> Self {
        let whole = of.whole();
        let buckets = whole.iter_recorded().map(|bucket| (bucket.value_iterated_to(), bucket.count_at_value()));
        Self { buckets: buckets.collect(), sum: of.sum, max: of.max }
    }
}

impl From<Values> for Distribution {
    fn from(Values { buckets, sum, max }: Values) -> Self {
        let mut distribution = Self::default();
        buckets.into_iter().for_each(|(value, weight)| distribution.record(value, weight));
        // Of a bucket only its count is exact.
        Self { sum, max, ..distribution }
    }
}

/// Ticks of work, by what took them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Busy {
    /// `delay_to_process`.
    pub events: u64,
    /// Synaptic operations.
    pub operations: u64,
    /// Output events.
    pub outputs: u64,
    /// Messages to receivers.
    pub messages: u64,
    /// Neurons, once per step.
    pub neurons: u64,
    /// Updates of touched neurons, once per step.
    pub updates: u64,
    /// Spikes, once per step.
    pub spikes: u64,
}

impl Busy {
    /// All of it, in ticks.
    pub fn total(&self) -> u64 {
        self.parts().iter().map(|(_, ticks)| ticks).sum()
    }

    /// The hardware key behind each part, with its ticks.
    pub fn parts(&self) -> [(&'static str, u64); 7] {
        [
            ("delay_to_process", self.events),
            ("time_per_operation", self.operations),
            ("time_per_output", self.outputs),
            ("time_per_message", self.messages),
            ("time_per_neuron", self.neurons),
            ("time_per_update", self.updates),
            ("time_per_spike", self.spikes),
        ]
    }

    fn merge(&mut self, other: &Self) {
        self.events = self.events.saturating_add(other.events);
        self.operations = self.operations.saturating_add(other.operations);
        self.outputs = self.outputs.saturating_add(other.outputs);
        self.messages = self.messages.saturating_add(other.messages);
        self.neurons = self.neurons.saturating_add(other.neurons);
        self.updates = self.updates.saturating_add(other.updates);
        self.spikes = self.spikes.saturating_add(other.spikes);
    }
}

/// Figures of a module.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ModuleStatistics {
    /// Events it worked on.
    pub events: u64,
    /// Synaptic operations.
    pub operations: u64,
    /// Neurons brought up to date.
    pub updates: u64,
    /// Neurons updated once per step, over all steps.
    pub neurons: u64,
    /// Output events, repeats not counted.
    pub outputs: u64,
    /// Work, in ticks.
    pub busy: Busy,
    /// Ticks in which it was free and had an event, but no room for its outputs.
    pub stopped: u64,
    /// Events that have arrived and are not started: how many, weighted by ticks.
    pub queue: Distribution,
    /// The length of the queue over the time of a run.
    pub queue_course: Occupancy,
    /// From arrival to start, in ticks.
    pub wait: Distribution,
}

/// Figures of a node.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct NodeStatistics {
    /// Events that all receivers have acknowledged.
    pub events: u64,
    /// Messages sent, one for each receiver of each event.
    pub messages: u64,
    /// Links to the east or west that its messages took.
    pub hops_east_west: u64,
    /// Links to the north or south that they took.
    pub hops_north_south: u64,
    /// From `t_pre` to the request, in ticks.
    pub waiting: Distribution,
    /// From the request to the last acknowledge, in ticks.
    pub handshake: Distribution,
}

/// Figures of a link of a mesh.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct LinkStatistics {
    /// Ticks in which it carried a message.
    pub busy: u64,
    /// From a message's coming to its start on the link, in ticks.
    pub wait: Distribution,
}

/// Figures of any number of runs of one network.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Statistics {
    /// By module.
    pub modules: Vec<ModuleStatistics>,
    /// By node.
    pub nodes: Vec<NodeStatistics>,
    /// By link, as [`Mesh::link`](super::Mesh::link) numbers them; empty without a mesh.
    pub links: Vec<LinkStatistics>,
    /// Ticks of all runs, warm-ups left out.
    pub elapsed: u64,
    /// Runs.
    pub runs: u64,
    /// Steps behind barriers.
    pub steps: u64,
}

impl Statistics {
    /// Nothing yet.
    pub(super) fn new(modules: usize, nodes: usize, links: usize) -> Self {
        Self {
            modules: vec![ModuleStatistics::default(); modules],
            nodes: vec![NodeStatistics::default(); nodes],
            links: vec![LinkStatistics::default(); links],
            ..Self::default()
        }
    }

    /// Adds those of other runs of the same network on the same machine.
    pub fn merge(&mut self, other: &Self) {
        if self.modules.is_empty() && self.nodes.is_empty() {
            *self = other.clone();
            return;
        }
        for (mine, more) in self.modules.iter_mut().zip(&other.modules) {
            mine.events = mine.events.saturating_add(more.events);
            mine.operations = mine.operations.saturating_add(more.operations);
            mine.updates = mine.updates.saturating_add(more.updates);
            mine.neurons = mine.neurons.saturating_add(more.neurons);
            mine.outputs = mine.outputs.saturating_add(more.outputs);
            mine.busy.merge(&more.busy);
            mine.stopped = mine.stopped.saturating_add(more.stopped);
            mine.queue.merge(&more.queue);
            mine.queue_course.merge(&more.queue_course);
            mine.wait.merge(&more.wait);
        }
        for (mine, more) in self.nodes.iter_mut().zip(&other.nodes) {
            mine.events = mine.events.saturating_add(more.events);
            mine.messages = mine.messages.saturating_add(more.messages);
            mine.hops_east_west = mine.hops_east_west.saturating_add(more.hops_east_west);
            mine.hops_north_south = mine.hops_north_south.saturating_add(more.hops_north_south);
            mine.waiting.merge(&more.waiting);
            mine.handshake.merge(&more.handshake);
        }
        for (mine, more) in self.links.iter_mut().zip(&other.links) {
            mine.busy = mine.busy.saturating_add(more.busy);
            mine.wait.merge(&more.wait);
        }
        self.elapsed = self.elapsed.saturating_add(other.elapsed);
        self.runs = self.runs.saturating_add(other.runs);
        self.steps = self.steps.saturating_add(other.steps);
    }
}
