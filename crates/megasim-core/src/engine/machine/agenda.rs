//! What will happen, in the order in which it does: a calendar queue (Brown, "Calendar queues", CACM 1988) with a day
//! per tick.

use crate::engine::queue::BitSet;
use crate::network::Tick;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// What happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u32)]
pub(super) enum EventKind {
    /// A module is done.
    Done,
    /// An acknowledge reaches a node.
    Acknowledge,
    /// A link is free, and messages wait for it.
    LinkFree,
    /// A message comes to a link or to a module.
    Travel,
    /// The next input is admitted.
    Release,
    /// A node may request its next event.
    Request,
}

/// Something that will happen; sorted as `docs/timing.md` says of ties.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Scheduled {
    pub time: Tick,
    pub what: EventKind,
    /// Of messages: when it was requested.
    pub requested: Tick,
    /// Module, link or node; of messages the number of the receiver.
    pub who: u32,
    /// Of acknowledges and messages: where it is kept.
    pub index: u32,
}

/// Ticks that have a day, after the present one; what is later waits in a heap.
const DAYS: usize = 4096;

/// Words of a bit per day; there is a bit for each of them in one more.
const WORDS: usize = DAYS / 64;
const _: () = assert!(WORDS == 64);

/// No entry.
const NONE: u32 = u32::MAX;

/// An entry of a day, with the next one. As one structure it takes 32 bytes.
#[derive(Debug, Clone, Copy)]
struct Entry {
    time: Tick,
    requested: Tick,
    who: u32,
    index: u32,
    what: EventKind,
    next: u32,
}

/// What is due, the earliest first.
#[derive(Debug, Clone)]
pub(super) struct Agenda {
    /// The tick of what came last.
    now: Tick,
    /// What was due in that tick when it came, the last first; no requests.
    present: Vec<Scheduled>,
    /// What has become due in that tick since, or before it; no requests in that tick.
    added: BinaryHeap<Reverse<Scheduled>>,
    /// Nodes with a request in that tick, which comes after all else. One is as good as several.
    requests: BitSet,
    /// By tick modulo [`DAYS`]: the first entry of the tick, of those after the present one.
    days: Box<[u32; DAYS]>,
    /// Days that have entries, one bit each.
    taken: [u64; WORDS],
    /// Words of these that are not 0, one bit each.
    words: u64,
    /// Entries of days; free ones are linked too.
    entries: Vec<Entry>,
    free: u32,
    later: BinaryHeap<Reverse<Scheduled>>,
}

impl Agenda {
    pub fn new(nodes: usize) -> Self {
        Self {
            now: Tick::MIN,
            present: Vec::new(),
            added: BinaryHeap::new(),
            requests: BitSet::new(nodes),
            days: Box::new([NONE; DAYS]),
            taken: [0; WORDS],
            words: 0,
            entries: Vec::new(),
            free: NONE,
            later: BinaryHeap::new(),
        }
    }

    pub fn clear(&mut self) {
        self.now = Tick::MIN;
        self.present.clear();
        self.added.clear();
        self.requests.clear();
        self.days.fill(NONE);
        self.taken.fill(0);
        self.words = 0;
        self.entries.clear();
        self.free = NONE;
        self.later.clear();
    }

    pub fn push(&mut self, due: Scheduled) {
        let ahead = due.time.saturating_sub(self.now);
        if ahead == 0 && due.what == EventKind::Request {
            self.requests.insert(due.who as usize);
        } else if ahead <= 0 {
            self.added.push(Reverse(due));
        } else if ahead < DAYS as Tick {
            let day = Self::day(due.time);
            let Scheduled { time, what, requested, who, index } = due;
            let entry = Entry { time, requested, who, index, next: self.days[day], what };
            self.days[day] = match self.free {
                NONE => {
                    self.entries.push(entry);
                    (self.entries.len() - 1) as u32
                }
                free => {
                    self.free = self.entries[free as usize].next;
                    self.entries[free as usize] = entry;
                    free
                }
            };
            self.taken[day / 64] |= 1 << (day % 64);
            self.words |= 1 << (day / 64);
        } else {
            self.later.push(Reverse(due));
        }
    }

    pub fn pop(&mut self) -> Option<Scheduled> {
        loop {
            match (self.added.peek(), self.present.last()) {
                (None, _) => {
                    if let Some(due) = self.present.pop() {
                        return Some(due);
                    }
                }
                (Some(Reverse(added)), Some(due)) if due < added => return self.present.pop(),
                (Some(_), _) => return self.added.pop().map(|Reverse(due)| due),
            }
            if let Some(node) = self.requests.take_first() {
                let what = EventKind::Request;
                return Some(Scheduled { time: self.now, what, requested: 0, who: node as u32, index: 0 });
            }
            if let Some(due) = self.advance()? {
                return Some(due);
            }
        }
    }

    /// Goes on to the next tick in which something is due, if there is one. What is alone in it is returned.
    fn advance(&mut self) -> Option<Option<Scheduled>> {
        let day = self.next_day();
        let of_day = day.map(|day| self.entries[self.days[day] as usize].time);
        let of_later = self.later.peek().map(|Reverse(due)| due.time);
        let next = of_day.into_iter().chain(of_later).min()?;
        self.now = next;
        if let Some(day) = day.filter(|_| of_day == Some(next)) {
            self.taken[day / 64] &= !(1 << (day % 64));
            if self.taken[day / 64] == 0 {
                self.words &= !(1 << (day / 64));
            }
            let mut number = std::mem::replace(&mut self.days[day], NONE);
            let is_alone = self.entries[number as usize].next == NONE && of_later != Some(next);
            while number != NONE {
                let entry = &mut self.entries[number as usize];
                let Entry { time, requested, who, index, next, what } = *entry;
                entry.next = self.free;
                (self.free, number) = (number, next);
                let due = Scheduled { time, what, requested, who, index };
                if is_alone {
                    return Some(Some(due));
                }
                self.put(due);
            }
        }
        while let Some(Reverse(due)) = self.later.peek().copied().filter(|Reverse(due)| due.time == next) {
            self.put(due);
            self.later.pop();
        }
        if self.present.len() > 1 {
            self.present.sort_unstable_by(|a, b| b.cmp(a));
        }
        Some(None)
    }

    /// Puts what is due in the tick that has come where it belongs.
    fn put(&mut self, due: Scheduled) {
        match due.what {
            EventKind::Request => self.requests.insert(due.who as usize),
            _ => self.present.push(due),
        }
    }

    /// The day of a tick; ticks are spread evenly also before 0.
    fn day(time: Tick) -> usize {
        time.rem_euclid(DAYS as Tick) as usize
    }

    /// The first day with entries after the present tick.
    fn next_day(&self) -> Option<usize> {
        let first = Self::day(self.now.wrapping_add(1));
        let after = self.taken[first / 64] & (u64::MAX << (first % 64));
        if after != 0 {
            return Some(first / 64 * 64 + after.trailing_zeros() as usize);
        }
        // The words after that of the first day, then those up to it: the days before it come again at the end.
        let later = self.words & (u64::MAX << (first / 64) << 1);
        let word = if later != 0 { later } else { self.words }.trailing_zeros() as usize;
        self.taken.get(word).map(|days| word * 64 + days.trailing_zeros() as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Against one heap, with times that are near, far and the same; of requests that are alike one counts.
        #[test]
        fn entries_come_as_from_one_heap(
            steps in prop::collection::vec((0_u8..4, 0_i64..3000, 0_u32..4), 1..400),
            start in prop_oneof![Just(0_i64), Just(i64::MAX - 5000)],
        ) {
            let (mut agenda, mut heap) = (Agenda::new(4), BinaryHeap::new());
            let pop = |heap: &mut BinaryHeap<Reverse<Scheduled>>| {
                let Reverse(due) = heap.pop()?;
                while due.what == EventKind::Request && heap.peek() == Some(&Reverse(due)) {
                    heap.pop();
                }
                Some(due)
            };
            let mut now = start;
            for (what, ahead, who) in steps {
                if what == 0 {
                    let due = agenda.pop();
                    prop_assert_eq!(due, pop(&mut heap));
                    now = due.map_or(now, |due| due.time);
                    continue;
                }
                let ahead = if what == 1 { ahead } else { ahead % 7 };
                let what = if who == 0 { EventKind::Done } else { EventKind::Request };
                let time = now.saturating_add(ahead);
                let due = Scheduled { time, what, requested: 0, who, index: 0 };
                agenda.push(due);
                heap.push(Reverse(due));
            }
            while let Some(due) = pop(&mut heap) {
                prop_assert_eq!(agenda.pop(), Some(due));
            }
            prop_assert_eq!(agenda.pop(), None);
        }
    }
}
