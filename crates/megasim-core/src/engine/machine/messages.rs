//! What is on its way in a step that is processed link by link and core by core.

use super::agenda::{Agenda, EventKind, Scheduled};
use super::receivers::{Receivers, Way};
use super::slab::Slab;
use crate::network::{StimulusEvent, Tick};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

/// A message that comes to a link or to its core.
#[derive(Debug, Clone, Copy)]
pub(super) struct Message {
    /// When it comes there.
    pub time: Tick,
    pub requested: Tick,
    /// The number of the receiver.
    pub receiver: u32,
    /// The number of its event among those of the step.
    pub event: u32,
    /// The links that it has not passed.
    pub way: Way,
}

/// An event that was requested in the step.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sent {
    pub event: StimulusEvent,
    pub node: u32,
    /// Of a message to a module on several cores: where those to all of them are counted.
    pub copies: u32,
}

/// The messages that come to a link.
#[derive(Debug, Clone, Default)]
pub(super) struct Inbox {
    pub messages: Vec<Message>,
    /// How many of them the link has taken.
    pub taken: usize,
    /// Whether the link is of the ring that is processed.
    pub in_ring: bool,
}

/// An event that waits before its module.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arrival {
    pub time: Tick,
    pub module: u32,
    pub receiver: u32,
    pub event: u32,
}

/// What is on its way in a step.
#[derive(Debug, Clone)]
pub(super) struct Sweep {
    /// By link: what comes to it.
    pub links: Vec<Inbox>,
    /// Messages that come to links of a ring.
    pub ring: Slab<Message>,
    /// By core: what comes to it.
    pub cores: Vec<Vec<Message>>,
    /// By module: events that wait before it.
    pub lengths: Vec<u64>,
    pub waiting: VecDeque<Arrival>,
    /// Once for each event, and once more for each module on several cores that takes it.
    pub events: Vec<Sent>,
    pub requests: BinaryHeap<Reverse<(Tick, u32)>>,
    /// Messages of one event to several cores: those under way, and when the last of the others came.
    pub copies: Vec<(u32, Tick)>,
}

impl Sweep {
    pub fn new(links: usize, cores: usize, modules: usize) -> Self {
        Self {
            links: vec![Inbox::default(); links],
            ring: Slab::new(),
            cores: vec![Vec::new(); cores],
            lengths: vec![0; modules],
            waiting: VecDeque::new(),
            events: Vec::new(),
            requests: BinaryHeap::new(),
            copies: Vec::new(),
        }
    }

    /// Keeps an event, and returns its number.
    pub fn send(&mut self, event: Sent) -> u32 {
        self.events.push(event);
        (self.events.len() - 1) as u32
    }

    /// A message that leaves a link comes to the next one, or to its core; the event is there when all of them are.
    #[inline(always)]
    pub fn hand_on(&mut self, receivers: &Receivers, due: &mut Agenda, message: &Message, leaves: Tick) {
        let &Message { requested, receiver, event, way: Way { begin, end }, .. } = message;
        let way = Way { begin: begin + 1, end };
        // Made where it goes: a copy of what has just been written part by part would wait for all of it.
        let coming = |time: Tick| Message { time, requested, receiver, event, way };
        if way.begin < way.end {
            let next = &mut self.links[receivers.link(way.begin).0 as usize];
            match next.in_ring {
                false => next.messages.push(coming(leaves)),
                true => self.due_in_ring(due, coming(leaves)),
            }
            return;
        }
        let target = receivers.target(receiver);
        let mut comes = leaves;
        if target.copies > 1 {
            let (travelling, latest) = &mut self.copies[self.events[event as usize].copies as usize];
            *travelling -= 1;
            *latest = leaves.max(*latest);
            if *travelling > 0 {
                return;
            }
            comes = *latest;
        }
        self.cores[target.core as usize].push(coming(comes));
    }

    /// Puts a message that comes to a link of a ring on the list of what is due.
    #[inline(never)]
    pub fn due_in_ring(&mut self, due: &mut Agenda, message: Message) {
        let Message { time, requested, receiver: who, .. } = message;
        let index = self.ring.put(message);
        due.push(Scheduled { time, what: EventKind::Travel, requested, who, index });
    }

    /// Forgets what a run that failed has left.
    pub fn start(&mut self) {
        self.links.iter_mut().for_each(|of| of.messages.clear());
        self.cores.iter_mut().for_each(Vec::clear);
        self.lengths.fill(0);
        self.waiting.clear();
    }
}
