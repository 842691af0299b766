//! What waits: the events of each node, and which node comes next.

use crate::network::{Polarity, Stimulus, StimulusEvent, Tick, payload};
use priority_queue::PriorityQueue;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::hash::{BuildHasherDefault, Hasher};
use std::ops::Range;
use std::slice::from_ref;

/// The pending events of one node, by `t_pre`, ties in order of creation.
#[derive(Debug, Clone)]
pub(super) enum Pending {
    /// The rest of a stimulus.
    Source {
        /// Index of the source.
        source: usize,
        /// Events taken already.
        taken: usize,
    },
    /// Made in time order.
    Queue(Box<Fifo>),
    /// Each made several times, so that they overtake.
    Repeated(Repeated),
}

/// Events in columns, in time order.
#[derive(Debug, Clone, Default)]
pub(super) struct Fifo {
    pub t_pre: Vec<Tick>,
    pub x: Vec<i32>,
    pub y: Vec<i32>,
    pub polarity: Vec<Polarity>,
    /// Empty where no event carries a value.
    pub value: Vec<i32>,
    /// Events taken already.
    taken: usize,
}

/// Some events in columns.
#[derive(Debug, Clone, Copy)]
pub(super) struct Events<'e> {
    pub t_pre: &'e [Tick],
    pub x: &'e [i32],
    pub y: &'e [i32],
    pub polarity: &'e [Polarity],
    /// What spikes count for, in units of 2^-16; empty where all count as one.
    pub value: &'e [i32],
}

impl<'e> Events<'e> {
    pub fn of(stimulus: &'e Stimulus, range: Range<usize>) -> Self {
        Self {
            t_pre: &stimulus.t_pre()[range.clone()],
            x: &stimulus.x()[range.clone()],
            y: &stimulus.y()[range.clone()],
            polarity: &stimulus.polarity()[range.clone()],
            value: values(stimulus.value(), range),
        }
    }
    pub fn one(event: &'e StimulusEvent) -> Self {
        Self::one_valued(event, &None)
    }
    pub fn one_valued(event: &'e StimulusEvent, value: &'e Option<i32>) -> Self {
        let StimulusEvent { t_pre, x, y, polarity } = event;
        let value = value.as_slice();
        Self { t_pre: from_ref(t_pre), x: from_ref(x), y: from_ref(y), polarity: from_ref(polarity), value }
    }
    pub fn len(&self) -> usize {
        self.x.len()
    }
    pub fn slice(&self, range: Range<usize>) -> Self {
        Self {
            t_pre: &self.t_pre[range.clone()],
            x: &self.x[range.clone()],
            y: &self.y[range.clone()],
            polarity: &self.polarity[range.clone()],
            value: values(self.value, range),
        }
    }
}

/// Part of a column that is empty where no event has a value.
#[inline]
fn values(value: &[i32], range: Range<usize>) -> &[i32] {
    if value.is_empty() { value } else { &value[range] }
}

/// Events that are made again: the next repetition of each, made only when it comes.
#[derive(Debug, Clone)]
pub(super) struct Repeated {
    heap: BinaryHeap<Reverse<Repetition>>,
    created: u64,
    n_repeat: u32,
    delay_to_repeat: Tick,
}

/// Ordered by time, then by creation: all repetitions of one event are created before the next event.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Repetition {
    t_pre: Tick,
    created: u64,
    repetition: u32,
    x: i32,
    y: i32,
    polarity: i8,
}

impl Fifo {
    pub fn clear(&mut self) {
        self.t_pre.clear();
        self.x.clear();
        self.y.clear();
        self.polarity.clear();
        self.value.clear();
        self.taken = 0;
    }

    pub fn push(&mut self, StimulusEvent { t_pre, x, y, polarity }: StimulusEvent, value: Option<i32>) {
        payload::push(&mut self.value, self.x.len(), value);
        self.t_pre.push(t_pre);
        self.x.push(x);
        self.y.push(y);
        self.polarity.push(polarity);
    }

    pub fn len(&self) -> usize {
        self.x.len() - self.taken
    }

    fn take(&mut self, n: usize) {
        self.taken += n;
        if self.taken == self.x.len() {
            self.clear();
        } else if self.taken >= 4096 && self.taken * 2 > self.x.len() {
            self.t_pre.drain(..self.taken);
            self.x.drain(..self.taken);
            self.y.drain(..self.taken);
            self.polarity.drain(..self.taken);
            if !self.value.is_empty() {
                self.value.drain(..self.taken);
            }
            self.taken = 0;
        }
    }

    /// All events.
    #[inline]
    pub fn events(&self) -> Events<'_> {
        let range = self.taken..self.x.len();
        Events {
            t_pre: &self.t_pre[range.clone()],
            x: &self.x[range.clone()],
            y: &self.y[range.clone()],
            polarity: &self.polarity[range.clone()],
            value: values(&self.value, range),
        }
    }

    /// Moves all events with `t_pre <= r` to `run`.
    pub fn take_until(self: &mut Box<Self>, r: Tick, run: &mut Box<Self>) {
        run.clear();
        if self.taken == 0 && self.t_pre.last().is_some_and(|&last| last <= r) {
            // Only the boxes change places.
            std::mem::swap(run, self);
            return;
        }
        let waiting = self.events();
        let n = waiting.t_pre.partition_point(|&t_pre| t_pre <= r);
        let taken = waiting.slice(0..n);
        run.t_pre.extend_from_slice(taken.t_pre);
        run.x.extend_from_slice(taken.x);
        run.y.extend_from_slice(taken.y);
        run.polarity.extend_from_slice(taken.polarity);
        run.value.extend_from_slice(taken.value);
        self.take(n);
    }
}

impl Pending {
    /// For events that a module makes `n_repeat` times each, `delay_to_repeat` apart.
    pub fn new(n_repeat: u32, delay_to_repeat: Tick) -> Self {
        if n_repeat > 1 {
            Self::Repeated(Repeated { heap: BinaryHeap::new(), created: 0, n_repeat, delay_to_repeat })
        } else {
            Self::Queue(Box::default())
        }
    }

    pub fn clear(&mut self) {
        match self {
            Self::Source { taken, .. } => *taken = 0,
            Self::Queue(queue) => queue.clear(),
            Self::Repeated(repeated) => {
                repeated.heap.clear();
                repeated.created = 0;
            }
        }
    }

    /// Adds an event, with its value if it carries one; none that is made again does. Says whether it is the head now.
    #[inline]
    pub fn push(&mut self, event: StimulusEvent, value: Option<i32>) -> bool {
        match self {
            Self::Source { .. } => unreachable!("no module drives the node of a source"),
            Self::Queue(queue) => {
                queue.push(event, value);
                queue.len() == 1
            }
            Self::Repeated(repeated) => {
                let created = repeated.created;
                repeated.created += 1;
                let StimulusEvent { t_pre, x, y, polarity } = event;
                repeated.heap.push(Reverse(Repetition {
                    t_pre,
                    created,
                    repetition: 0,
                    x,
                    y,
                    polarity: polarity as i8,
                }));
                repeated.heap.peek().is_some_and(|Reverse(head)| head.created == created)
            }
        }
    }

    /// Time of the head.
    #[inline]
    pub fn head_time(&self, stimuli: &[Stimulus]) -> Option<Tick> {
        match self {
            Self::Source { source, taken } => stimuli[*source].t_pre().get(*taken).copied(),
            Self::Queue(queue) => queue.t_pre.get(queue.taken).copied(),
            Self::Repeated(repeated) => repeated.heap.peek().map(|Reverse(head)| head.t_pre),
        }
    }

    /// Takes the head, with its value. Says too whether this was the last repetition of the event.
    pub fn pop(&mut self, stimuli: &[Stimulus]) -> Option<(StimulusEvent, Option<i32>, bool)> {
        match self {
            Self::Source { source, taken } => {
                let stimulus = &stimuli[*source];
                let event = (*taken < stimulus.len()).then(|| stimulus.event(*taken))?;
                let value = stimulus.value().get(*taken).copied();
                *taken += 1;
                Some((event, value, true))
            }
            Self::Queue(queue) => {
                let k = queue.taken;
                let t_pre = *queue.t_pre.get(k)?;
                let event = StimulusEvent { t_pre, x: queue.x[k], y: queue.y[k], polarity: queue.polarity[k] };
                let value = queue.value.get(k).copied();
                queue.take(1);
                Some((event, value, true))
            }
            Self::Repeated(repeated) => {
                let mut head = repeated.heap.peek_mut()?;
                let Repetition { t_pre, x, y, polarity, repetition, .. } = head.0.clone();
                let last = repetition + 1 == repeated.n_repeat;
                if !last {
                    head.0.repetition += 1;
                    head.0.t_pre = t_pre.saturating_add(repeated.delay_to_repeat);
                    drop(head);
                } else {
                    std::collections::binary_heap::PeekMut::pop(head);
                }
                let polarity = Polarity::from_integer(polarity.into()).unwrap_or(Polarity::Positive);
                Some((StimulusEvent { t_pre, x, y, polarity }, None, last))
            }
        }
    }

    /// How many events wait, repetitions to come included.
    pub fn len(&self, stimuli: &[Stimulus]) -> u64 {
        match self {
            Self::Source { source, taken } => (stimuli[*source].len() - taken) as u64,
            Self::Queue(queue) => queue.len() as u64,
            Self::Repeated(repeated) => {
                repeated.heap.iter().map(|Reverse(it)| u64::from(repeated.n_repeat - it.repetition)).sum()
            }
        }
    }
}

/// Which node comes next: the least request time, then the least node index.
///
/// Nodes that are due at the present tick are in a bit set, where most additions go; those due within the next
/// ticks in a ring of buckets, one per tick; the others in a priority queue.
#[derive(Debug, Clone)]
pub(super) struct Schedule {
    now: Tick,
    due: BitSet,
    /// Bucket `t % SOON` holds the nodes due at `t`, `now < t < now + SOON`.
    soon: Vec<Vec<u32>>,
    in_soon: usize,
    /// The time of each node in the ring; an entry of another time is stale. Empty where no node moves.
    soon_at: Vec<Tick>,
    later: PriorityQueue<u32, Reverse<Tick>, BuildHasherDefault<NodeHasher>>,
}

/// Ticks that the ring of buckets covers.
const SOON: Tick = 64;

/// The bucket of a tick, which is not below 0.
fn place(t: Tick) -> usize {
    (t as u64 % SOON as u64) as usize
}

/// Not in the ring.
const NOWHERE: Tick = Tick::MIN;

impl Schedule {
    /// For so many nodes, which [`move_to`](Self::move_to) may move or not.
    pub fn new(nodes: usize, can_move: bool) -> Self {
        Self {
            now: 0,
            due: BitSet::new(nodes),
            soon: vec![Vec::new(); SOON as usize],
            in_soon: 0,
            soon_at: vec![NOWHERE; if can_move { nodes } else { 0 }],
            later: PriorityQueue::with_capacity_and_default_hasher(nodes.min(1 << 16)),
        }
    }

    pub fn clear(&mut self) {
        self.now = 0;
        self.due.clear();
        self.soon.iter_mut().for_each(Vec::clear);
        self.in_soon = 0;
        self.soon_at.fill(NOWHERE);
        self.later.clear();
    }

    /// Adds a node that is not queued at time `r`, which is not in the past.
    #[inline]
    pub fn put(&mut self, node: usize, r: Tick) {
        debug_assert!(r >= self.now);
        if r == self.now {
            self.due.insert(node);
        } else if r - self.now < SOON {
            self.soon[place(r)].push(node as u32);
            if let Some(at) = self.soon_at.get_mut(node) {
                *at = r;
            }
            self.in_soon += 1;
        } else {
            self.later.push(node as u32, Reverse(r));
        }
    }

    /// Puts a node at time `r`; it moves there if it is queued at a later time.
    pub fn move_to(&mut self, node: usize, r: Tick) {
        if self.soon_at[node] == r {
            return;
        }
        self.soon_at[node] = NOWHERE;
        self.later.remove(&(node as u32));
        self.put(node, r);
    }

    /// Takes the next node with its request time.
    #[inline]
    pub fn next(&mut self) -> Option<(Tick, usize)> {
        loop {
            if let Some(node) = self.due.take_first() {
                return Some((self.now, node));
            }
            self.advance()?;
        }
    }

    /// Goes on to the next tick at which something may be due.
    fn advance(&mut self) -> Option<()> {
        let queued = self.later.peek().map(|(_, &Reverse(r))| r);
        let bucket = if self.in_soon > 0 {
            (self.now + 1..self.now + SOON).find(|t| !self.soon[place(*t)].is_empty())
        } else {
            None
        };
        let r = match (bucket, queued) {
            (Some(bucket), Some(queued)) => bucket.min(queued),
            (bucket, queued) => bucket.or(queued)?,
        };
        self.now = r;
        if bucket == Some(r) {
            let nodes = &mut self.soon[place(r)];
            self.in_soon -= nodes.len();
            for node in nodes.drain(..) {
                if let Some(at) = self.soon_at.get_mut(node as usize) {
                    if *at != r {
                        continue;
                    }
                    *at = NOWHERE;
                }
                self.due.insert(node as usize);
            }
        }
        while let Some((&node, &Reverse(at))) = self.later.peek() {
            if at > r {
                break;
            }
            self.later.pop();
            self.due.insert(node as usize);
        }
        Some(())
    }

    /// Whether a node before `node` is due at the present tick.
    #[inline]
    pub fn precedes(&self, node: usize) -> bool {
        self.due.first().is_some_and(|first| first < node)
    }
}

/// A set of node indices with the least first; a second level of words says which words are not empty.
#[derive(Debug, Clone)]
pub(super) struct BitSet {
    words: Vec<u64>,
    full: Vec<u64>,
}

impl BitSet {
    pub fn new(n: usize) -> Self {
        let words = n.div_ceil(64);
        Self { words: vec![0; words], full: vec![0; words.div_ceil(64)] }
    }
    pub fn clear(&mut self) {
        self.words.fill(0);
        self.full.fill(0);
    }
    #[inline]
    pub fn insert(&mut self, n: usize) {
        self.words[n / 64] |= 1 << (n % 64);
        self.full[n / 4096] |= 1 << (n / 64 % 64);
    }
    #[inline]
    fn first(&self) -> Option<usize> {
        let (k, full) = self.full.iter().enumerate().find(|(_, full)| **full != 0)?;
        let word = k * 64 + full.trailing_zeros() as usize;
        Some(word * 64 + self.words[word].trailing_zeros() as usize)
    }
    #[inline]
    pub fn take_first(&mut self) -> Option<usize> {
        let (k, full) = self.full.iter_mut().enumerate().find(|(_, full)| **full != 0)?;
        let word = k * 64 + full.trailing_zeros() as usize;
        let bits = &mut self.words[word];
        let n = word * 64 + bits.trailing_zeros() as usize;
        *bits &= *bits - 1;
        if *bits == 0 {
            *full &= *full - 1;
        }
        Some(n)
    }
}

/// Spreads small indices over 64 bits (Fibonacci hashing).
#[derive(Debug, Clone, Copy, Default)]
struct NodeHasher(u64);

impl Hasher for NodeHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.write_u32(byte.into()));
    }
    fn write_u32(&mut self, n: u32) {
        self.0 = (self.0 ^ u64::from(n)).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    }
}
