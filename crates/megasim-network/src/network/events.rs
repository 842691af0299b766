//! Events in columns: what a stimulus says and what a run records.

use super::{Tick, payload};

/// The sign of a spike, or a reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(i8)]
pub enum Polarity {
    /// A spike that adds the weights.
    Positive = 1,
    /// A spike that subtracts the weights. With `y = -1` it is the control event of a softmax module.
    Negative = -1,
    /// Resets every module that receives it; written with `x = 0, y = -2`.
    Reset = -2,
    /// Ends the hysteresis of signed neurons and tests them (an extension); written with `x = 0, y = -3`.
    Settle = -3,
}

impl Polarity {
    /// The polarity of a netfile integer, if it is one of +1, -1, -2, -3.
    pub fn from_integer(value: i64) -> Option<Self> {
        match value {
            1 => Some(Self::Positive),
            -1 => Some(Self::Negative),
            -2 => Some(Self::Reset),
            -3 => Some(Self::Settle),
            _ => None,
        }
    }

    /// Whether it is the sign of a spike (or of a control event, which is recognised by its address).
    pub fn is_sign(self) -> bool {
        matches!(self, Self::Positive | Self::Negative)
    }
}

/// Puts spikes, each the time and a neuron, in order of time; those of one time in order of neurons.
///
/// ```
/// let mut spikes = [(5, 1), (2, 7), (2, 3)];
/// megasim_network::network::sort_spikes(&mut spikes);
/// assert_eq!(spikes, [(2, 3), (2, 7), (5, 1)]);
/// ```
pub fn sort_spikes(spikes: &mut [(Tick, u32)]) {
    spikes.sort_unstable();
}

/// One event of a stimulus: when it wants to be sent, and its address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StimulusEvent {
    /// Time in ticks, not negative.
    pub t_pre: Tick,
    /// Column of the address.
    pub x: i32,
    /// Row of the address.
    pub y: i32,
    /// Sign, or reset.
    pub polarity: Polarity,
}

impl StimulusEvent {
    /// A reset of every module that reads the node.
    pub fn reset(t_pre: Tick) -> Self {
        Self { t_pre, x: 0, y: -2, polarity: Polarity::Reset }
    }
    /// The end of the input: signed neurons lose their hysteresis and are tested.
    pub fn settle(t_pre: Tick) -> Self {
        Self { t_pre, x: 0, y: -3, polarity: Polarity::Settle }
    }
    /// A control event, on which a softmax module makes its strongest neuron spike.
    pub fn control(t_pre: Tick) -> Self {
        Self { t_pre, x: 0, y: -1, polarity: Polarity::Negative }
    }
}

/// The events of one source, in columns, in time order.
///
/// ```
/// use megasim_network::network::{Polarity, Stimulus, StimulusEvent};
/// let spike = |t_pre, x| StimulusEvent { t_pre, x, y: 0, polarity: Polarity::Positive };
/// let stimulus = Stimulus::from_events([spike(3, 0), spike(1, 7)]);
/// assert_eq!(stimulus.t_pre(), [1, 3]);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stimulus {
    t_pre: Vec<Tick>,
    x: Vec<i32>,
    y: Vec<i32>,
    polarity: Vec<Polarity>,
    /// Empty where no event has a value.
    value: Vec<i32>,
}

impl Stimulus {
    /// No events.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes events in any order; those of one tick keep their order.
    pub fn from_events(events: impl IntoIterator<Item = StimulusEvent>) -> Self {
        let mut stimulus = Self::default();
        for event in events {
            stimulus.t_pre.push(event.t_pre);
            stimulus.x.push(event.x);
            stimulus.y.push(event.y);
            stimulus.polarity.push(event.polarity);
        }
        stimulus.sort();
        stimulus
    }

    /// Takes columns of equal length in any time order; events of one tick keep their order. Says whether it had to
    /// sort.
    ///
    /// # Panics
    /// If the columns differ in length.
    pub fn from_columns(t_pre: Vec<Tick>, x: Vec<i32>, y: Vec<i32>, polarity: Vec<Polarity>) -> (Self, bool) {
        Self::from_valued_columns((t_pre, x, y, polarity), Vec::new())
    }

    /// As [`Stimulus::from_columns`], with the values that the spikes carry, in units of 2^-16 of a spike; an empty
    /// column is one of spikes without values.
    ///
    /// # Panics
    /// If the columns differ in length.
    pub fn from_valued_columns(
        (t_pre, x, y, polarity): (Vec<Tick>, Vec<i32>, Vec<i32>, Vec<Polarity>),
        value: Vec<i32>,
    ) -> (Self, bool) {
        assert!(t_pre.len() == x.len() && x.len() == y.len() && y.len() == polarity.len(), "columns of one length");
        assert!(value.is_empty() || value.len() == x.len(), "a value for each event, or for none");
        let mut stimulus = Self { t_pre, x, y, polarity, value };
        let sorted = stimulus.sort();
        (stimulus, sorted)
    }

    fn sort(&mut self) -> bool {
        if self.t_pre.is_sorted() {
            return false;
        }
        let mut order: Vec<usize> = (0..self.len()).collect();
        order.sort_by_key(|&k| self.t_pre[k]);
        self.t_pre = order.iter().map(|&k| self.t_pre[k]).collect();
        self.x = order.iter().map(|&k| self.x[k]).collect();
        self.y = order.iter().map(|&k| self.y[k]).collect();
        self.polarity = order.iter().map(|&k| self.polarity[k]).collect();
        if !self.value.is_empty() {
            self.value = order.iter().map(|&k| self.value[k]).collect();
        }
        true
    }

    /// Appends an event that is not earlier than the last one.
    ///
    /// # Panics
    /// If it is earlier.
    pub fn push(&mut self, event: StimulusEvent) {
        assert!(self.t_pre.last().is_none_or(|&last| last <= event.t_pre), "stimulus events come in time order");
        payload::extend(&mut self.value, self.t_pre.len(), &[], 1);
        self.t_pre.push(event.t_pre);
        self.x.push(event.x);
        self.y.push(event.y);
        self.polarity.push(event.polarity);
    }

    /// Appends spikes of one tick and sign, not earlier than the last event; columns and rows of their addresses apart.
    ///
    /// # Panics
    /// If they are earlier, or if there are not as many columns as rows.
    pub fn push_spikes(
        &mut self,
        t_pre: Tick,
        polarity: Polarity,
        x: impl ExactSizeIterator<Item = i32>,
        y: impl ExactSizeIterator<Item = i32>,
    ) {
        assert_eq!(x.len(), y.len(), "an address has two coordinates");
        assert!(self.t_pre.last().is_none_or(|&last| last <= t_pre), "stimulus events come in time order");
        self.x.extend(x);
        self.y.extend(y);
        self.t_pre.resize(self.x.len(), t_pre);
        self.polarity.resize(self.x.len(), polarity);
        payload::extend(&mut self.value, self.x.len(), &[], 0);
    }

    /// Appends the events of a stimulus, each `later` ticks after its time there.
    ///
    /// # Panics
    /// If the first of them is earlier than the last one here.
    pub fn append(&mut self, events: &Self, later: Tick) {
        let Some(first) = events.t_pre.first().map(|t| t + later) else { return };
        assert!(self.t_pre.last().is_none_or(|&last| last <= first), "stimulus events come in time order");
        payload::extend(&mut self.value, self.t_pre.len(), &events.value, events.len());
        self.t_pre.extend(events.t_pre.iter().map(|t| t + later));
        self.x.extend_from_slice(&events.x);
        self.y.extend_from_slice(&events.y);
        self.polarity.extend_from_slice(&events.polarity);
    }

    /// These events in ticks of which `factor` make one of the old; times beyond 64 bits become the largest time.
    pub fn with_finer_ticks(mut self, factor: Tick) -> Self {
        self.t_pre.iter_mut().for_each(|t| *t = t.saturating_mul(factor));
        self
    }

    /// Forgets all events, keeps the memory.
    pub fn clear(&mut self) {
        self.t_pre.clear();
        self.x.clear();
        self.y.clear();
        self.polarity.clear();
        self.value.clear();
    }

    /// How many events there are.
    pub fn len(&self) -> usize {
        self.t_pre.len()
    }
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.t_pre.is_empty()
    }
    /// Times in ticks, never falling.
    pub fn t_pre(&self) -> &[Tick] {
        &self.t_pre
    }
    /// Columns of the addresses.
    pub fn x(&self) -> &[i32] {
        &self.x
    }
    /// Rows of the addresses.
    pub fn y(&self) -> &[i32] {
        &self.y
    }
    /// Signs.
    pub fn polarity(&self) -> &[Polarity] {
        &self.polarity
    }
    /// What the spikes count for, in units of 2^-16 of a spike; empty where all count as one.
    pub fn value(&self) -> &[i32] {
        &self.value
    }
    /// The `k`-th event, without its value.
    pub fn event(&self, k: usize) -> StimulusEvent {
        StimulusEvent { t_pre: self.t_pre[k], x: self.x[k], y: self.y[k], polarity: self.polarity[k] }
    }
    /// All events in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = StimulusEvent> + '_ {
        (0..self.len()).map(|k| self.event(k))
    }
}

/// The recorded events of one node, in columns of equal length, in the order in which they were handled.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventLog {
    /// When the event was made, in ticks.
    pub t_pre: Vec<Tick>,
    /// When it was requested.
    pub t_rqst: Vec<Tick>,
    /// When the last of its receivers acknowledged.
    pub t_ack: Vec<Tick>,
    /// Columns of the addresses.
    pub x: Vec<i32>,
    /// Rows of the addresses.
    pub y: Vec<i32>,
    /// Signs.
    pub polarity: Vec<Polarity>,
    /// What the spikes count for, in units of 2^-16 of a spike; empty where none carries a value.
    pub value: Vec<i32>,
}

impl EventLog {
    /// How many events were recorded.
    pub fn len(&self) -> usize {
        self.t_pre.len()
    }
    /// Whether none was.
    pub fn is_empty(&self) -> bool {
        self.t_pre.is_empty()
    }
    /// Reserves memory for `events` more events.
    pub fn reserve(&mut self, events: usize) {
        self.t_pre.reserve(events);
        self.t_rqst.reserve(events);
        self.t_ack.reserve(events);
        self.x.reserve(events);
        self.y.reserve(events);
        self.polarity.reserve(events);
    }
    /// Appends one event with its request and acknowledge times.
    pub fn push(&mut self, event: StimulusEvent, t_rqst: Tick, t_ack: Tick) {
        self.push_valued(event, None, (t_rqst, t_ack));
    }
    /// As [`EventLog::push`], with the value that the spike carries, if it does.
    pub fn push_valued(&mut self, event: StimulusEvent, value: Option<i32>, (t_rqst, t_ack): (Tick, Tick)) {
        payload::push(&mut self.value, self.t_pre.len(), value);
        self.t_pre.push(event.t_pre);
        self.t_rqst.push(t_rqst);
        self.t_ack.push(t_ack);
        self.x.push(event.x);
        self.y.push(event.y);
        self.polarity.push(event.polarity);
    }
    /// The `k`-th event as it was made, without its value.
    pub fn event(&self, k: usize) -> StimulusEvent {
        StimulusEvent { t_pre: self.t_pre[k], x: self.x[k], y: self.y[k], polarity: self.polarity[k] }
    }
    /// Forgets all events, keeps the memory.
    pub fn clear(&mut self) {
        self.t_pre.clear();
        self.t_rqst.clear();
        self.t_ack.clear();
        self.x.clear();
        self.y.clear();
        self.polarity.clear();
        self.value.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn stimuli() -> impl Strategy<Value = Stimulus> {
        let event = (0..50 as Tick, -3..9, -3..9, any::<bool>());
        proptest::collection::vec(event, 0..20).prop_map(|events| {
            let polarity = |negative| if negative { Polarity::Negative } else { Polarity::Positive };
            let event = |(t_pre, x, y, negative)| StimulusEvent { t_pre, x, y, polarity: polarity(negative) };
            Stimulus::from_events(events.into_iter().map(event))
        })
    }

    proptest! {
        #[test]
        fn appended_events_are_those_pushed_one_by_one(first in stimuli(), second in stimuli(), later in 50..99_i64) {
            let mut expected = first.clone();
            for k in 0..second.len() {
                let event = second.event(k);
                expected.push(StimulusEvent { t_pre: event.t_pre + later, ..event });
            }
            let mut found = first;
            found.append(&second, later);
            prop_assert_eq!(found, expected);
        }
    }
}
