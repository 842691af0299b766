//! What differs between two recordings of the same node.

use crate::network::{EventLog, Polarity, Tick};

/// One recorded event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordedEvent {
    /// Its place in the log, from 0.
    pub index: usize,
    /// `t_pre`, `t_rqst`, `t_ack`, in ticks.
    pub times: [Tick; 3],
    /// Column and row.
    pub address: (i32, i32),
    /// Sign, or reset.
    pub polarity: Polarity,
    /// What the spike counts for, in units of 2^-16, where its node carries values.
    pub value: Option<i32>,
}

impl RecordedEvent {
    fn of(log: &EventLog, index: usize) -> Self {
        Self {
            index,
            times: [log.t_pre[index], log.t_rqst[index], log.t_ack[index]],
            address: (log.x[index], log.y[index]),
            polarity: log.polarity[index],
            value: log.value.get(index).copied(),
        }
    }

    /// When it was on the bus: `t_rqst`.
    pub fn time(&self) -> Tick {
        self.times[1]
    }

    /// Events of one address, polarity and value together, in time order.
    fn key(&self) -> (Group, [Tick; 3], usize) {
        let [t_pre, t_rqst, t_ack] = self.times;
        (group(self), [t_rqst, t_pre, t_ack], self.index)
    }

    fn same_line(&self, other: &Self) -> bool {
        Self { index: 0, ..*self } == Self { index: 0, ..*other }
    }

    fn within(&self, other: &Self, tolerance: Tick) -> bool {
        self.times.iter().zip(other.times).all(|(a, b)| a.abs_diff(b) <= tolerance.unsigned_abs())
    }
}

/// Where two recordings part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Only the first recording has the event.
    Missing(RecordedEvent),
    /// Only the second has it.
    Extra(RecordedEvent),
    /// Both have it, at other times within the tolerance.
    Shifted(RecordedEvent, RecordedEvent),
    /// Both have the same events, but in another order from here on.
    Order(RecordedEvent, RecordedEvent),
}

impl Part {
    /// When: the earlier `t_rqst`.
    pub fn time(&self) -> Tick {
        match self {
            Self::Missing(event) | Self::Extra(event) => event.time(),
            Self::Shifted(left, right) | Self::Order(left, right) => left.time().min(right.time()),
        }
    }
}

/// Counts of what two recordings of one node have in common and what not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Difference {
    /// Events of the first recording.
    pub left: usize,
    /// Events of the second.
    pub right: usize,
    /// Events that both have, with all three times, address and polarity.
    pub equal: usize,
    /// Events of the same address and polarity, each of whose times is within the tolerance but not all the same.
    pub shifted: usize,
    /// Events that only the first has.
    pub missing: usize,
    /// Events that only the second has.
    pub extra: usize,
    /// All events are equal, but their order is not.
    pub reordered: bool,
    /// The earliest event that is missing or extra; if there is none, the earliest shifted one, or else the place where
    /// the order differs.
    pub first: Option<Part>,
}

impl Difference {
    /// Whether the recordings are the same but for shifts within the tolerance. Another order counts only where no
    /// shift is allowed.
    pub fn is_equal(&self, tolerance: Tick) -> bool {
        self.missing == 0 && self.extra == 0 && (tolerance > 0 || !self.reordered)
    }
}

/// Compares two recordings of a node. Each event of one is matched with at most one event of the other.
///
/// ```
/// use megasim_network::netfile::{difference::compare, events};
/// let first = events::read(b"4 4 4 0 0 1\n9 9 9 7 0 1\n")?;
/// let second = events::read(b"5 5 5 0 0 1\n")?;
/// let difference = compare(&first, &second, 1);
/// assert_eq!((difference.shifted, difference.missing, difference.extra), (1, 1, 0));
/// assert_eq!(difference.first.unwrap().time(), 9);
/// # Ok::<(), megasim_network::netfile::TextError>(())
/// ```
pub fn compare(left: &EventLog, right: &EventLog, tolerance: Tick) -> Difference {
    let mut difference = Difference { left: left.len(), right: right.len(), ..Difference::default() };
    if left == right {
        difference.equal = left.len();
        return difference;
    }
    let sorted = |log: &EventLog| {
        let mut events: Vec<_> = (0..log.len()).map(|index| RecordedEvent::of(log, index)).collect();
        events.sort_unstable_by_key(RecordedEvent::key);
        events
    };
    let (left_events, right_events) = (sorted(left), sorted(right));
    let mut matching = Matching::default();
    let (mut a, mut b) = (left_events.as_slice(), right_events.as_slice());
    while let Some(group) = a.first().into_iter().chain(b.first()).map(group).min() {
        let (of_a, rest_a) = a.split_at(a.partition_point(|event| self::group(event) == group));
        let (of_b, rest_b) = b.split_at(b.partition_point(|event| self::group(event) == group));
        matching.add(of_a, of_b, tolerance);
        (a, b) = (rest_a, rest_b);
    }
    difference.equal = matching.equal;
    difference.shifted = matching.shifted.len();
    difference.missing = matching.missing.len();
    difference.extra = matching.extra.len();
    let unmatched =
        matching.missing.iter().copied().map(Part::Missing).chain(matching.extra.iter().copied().map(Part::Extra));
    let shifted = matching.shifted.iter().map(|&(a, b)| Part::Shifted(a, b));
    difference.first = unmatched.min_by_key(place).or_else(|| shifted.min_by_key(place));
    if difference.first.is_none() {
        let parted = (0..left.len()).map(|k| (RecordedEvent::of(left, k), RecordedEvent::of(right, k)));
        difference.first = parted.into_iter().find(|(a, b)| a != b).map(|(a, b)| Part::Order(a, b));
        difference.reordered = difference.first.is_some();
    }
    difference
}

/// Row, column, polarity and value, the order in which events are sorted.
type Group = (i32, i32, i8, Option<i32>);

fn group(event: &RecordedEvent) -> Group {
    (event.address.1, event.address.0, event.polarity as i8, event.value)
}

fn place(part: &Part) -> (Tick, usize) {
    let index = match part {
        Part::Missing(event) | Part::Extra(event) => event.index,
        Part::Shifted(event, _) | Part::Order(event, _) => event.index,
    };
    (part.time(), index)
}

#[derive(Debug, Default)]
struct Matching {
    equal: usize,
    shifted: Vec<(RecordedEvent, RecordedEvent)>,
    missing: Vec<RecordedEvent>,
    extra: Vec<RecordedEvent>,
}

impl Matching {
    fn unmatched(&self) -> usize {
        self.missing.len() + self.extra.len()
    }

    /// Matches events of one address and polarity, in time order: equal ones first and then the nearest of the rest, or
    /// in time order alone where that leaves fewer over.
    fn add(&mut self, a: &[RecordedEvent], b: &[RecordedEvent], tolerance: Tick) {
        let exact = Self::in_order(a, b, 0);
        let mut best = Self::in_order(&exact.missing, &exact.extra, tolerance);
        best.equal += exact.equal;
        if best.unmatched() > 0 && tolerance > 0 {
            let plain = Self::in_order(a, b, tolerance);
            if plain.unmatched() < best.unmatched() {
                best = plain;
            }
        }
        self.equal += best.equal;
        self.shifted.append(&mut best.shifted);
        self.missing.append(&mut best.missing);
        self.extra.append(&mut best.extra);
    }

    fn in_order(mut a: &[RecordedEvent], mut b: &[RecordedEvent], tolerance: Tick) -> Self {
        let mut matching = Self::default();
        loop {
            match (a, b) {
                ([], _) => {
                    matching.extra.extend_from_slice(b);
                    return matching;
                }
                (_, []) => {
                    matching.missing.extend_from_slice(a);
                    return matching;
                }
                ([first_a, rest_a @ ..], [first_b, rest_b @ ..]) => {
                    if first_a.within(first_b, tolerance) {
                        match first_a.same_line(first_b) {
                            true => matching.equal += 1,
                            false => matching.shifted.push((*first_a, *first_b)),
                        }
                        (a, b) = (rest_a, rest_b);
                    } else if first_a.key().1 < first_b.key().1 {
                        matching.missing.push(*first_a);
                        a = rest_a;
                    } else {
                        matching.extra.push(*first_b);
                        b = rest_b;
                    }
                }
            }
        }
    }
}
