//! Which wait determined the next: every moment of a run with the one that it waited for, and the way back from the
//! last work or from an output event.
//!
//! A moment is when something could go on: an event was requested, came to the end of a wire or of a link, a module was
//! done, an acknowledge arrived. Each has one cause, the latest of what it waited for. So between a moment and its
//! cause there is one wait only, of one resource, and the waits on the way back add up to the time of the run.

use super::Busy;
use super::path::{CriticalPath, PathSegment, Wait, WorkPart};
use crate::network::{ModuleId, NodeId, Tick};
use std::collections::VecDeque;

/// Moments that are kept; a run with more has no critical path. About 250 MB.
const MOST_MOMENTS: usize = 8_000_000;

/// The start of a run.
pub(super) const START: u32 = 0;

/// What was waited for from the cause of a moment to the moment.
#[derive(Debug, Clone, Copy)]
pub(super) enum Why {
    /// A single wait.
    Wait(Wait),
    /// Work of a module, by its number in the list of works.
    Work(u32),
    /// The request of a node, when its event was made or offered.
    Request(NodeId),
    /// A request when an event of this node was acknowledged: its own one before, or the input that held the next up.
    NextRequest(NodeId),
}

#[derive(Debug, Clone, Copy)]
struct Moment {
    time: Tick,
    cause: u32,
    why: Why,
}

/// An output that was made and not requested as often as it is repeated.
#[derive(Debug, Clone, Copy)]
struct Made {
    by: u32,
    t_pre: Tick,
    requested: u32,
}

/// The causes of one run.
#[derive(Debug, Clone)]
pub struct Causes {
    moments: Vec<Moment>,
    works: Vec<(ModuleId, Busy)>,
    is_full: bool,
    /// Its requests are kept.
    output: Option<NodeId>,
    requests: Vec<(Tick, u32)>,
    /// By core: when it was done last.
    done: Vec<u32>,
    /// By node: its last acknowledge, and the outputs that wait.
    acknowledged: Vec<u32>,
    made: Vec<VecDeque<Made>>,
    /// By number of an event under way: the latest of its acknowledges.
    flights: Vec<u32>,
    /// By link of the mesh: when it carried its last message.
    links: Vec<u32>,
    /// What released the input that is admitted.
    pub(super) gate: u32,
    /// The node whose acknowledge that was.
    released_by: Option<NodeId>,
    /// The acknowledge that came last, and its node.
    last_acknowledge: (u32, Option<NodeId>),
    /// What the work that begins now waited for.
    pub(super) at: u32,
    /// The last work.
    end: u32,
}

impl Causes {
    pub(super) fn new(cores: usize, nodes: usize, links: usize, output: Option<NodeId>) -> Self {
        Self {
            moments: vec![Moment { time: 0, cause: START, why: Why::Wait(Wait::Input) }],
            works: Vec::new(),
            is_full: false,
            output,
            requests: Vec::new(),
            done: vec![START; cores],
            acknowledged: vec![START; nodes],
            made: vec![VecDeque::new(); nodes],
            flights: Vec::new(),
            links: vec![START; links],
            gate: START,
            released_by: None,
            last_acknowledge: (START, None),
            at: START,
            end: START,
        }
    }

    pub(super) fn time(&self, moment: u32) -> Tick {
        self.moments[moment as usize].time
    }

    /// A moment after its cause; that itself where no time has passed.
    pub(super) fn after(&mut self, cause: u32, time: Tick, why: Why) -> u32 {
        let is_request = matches!(why, Why::Request(_) | Why::NextRequest(_));
        if self.is_full || (time <= self.time(cause) && !is_request) {
            return cause;
        }
        if self.moments.len() + self.works.len() >= MOST_MOMENTS {
            self.is_full = true;
            return cause;
        }
        self.moments.push(Moment { time, cause, why });
        (self.moments.len() - 1) as u32
    }

    /// The later of two.
    pub(super) fn later(&self, a: u32, b: u32) -> u32 {
        if self.time(b) > self.time(a) { b } else { a }
    }

    /// Something ended; the last of all counts.
    pub(super) fn ended(&mut self, moment: u32) {
        self.end = self.later(self.end, moment);
    }

    /// A node requests an event that was made by a module, with the times of its repetitions.
    pub(super) fn request_made(
        &mut self,
        node: NodeId,
        r: Tick,
        offered: Tick,
        (module, n_repeat, delay_to_repeat): (ModuleId, u32, Tick),
    ) -> u32 {
        let queue = &mut self.made[node.index()];
        let repeated = |it: &Made| it.t_pre.saturating_add(delay_to_repeat.saturating_mul(it.requested.into()));
        let Some(at) = queue.iter().position(|it| repeated(it) == offered) else { return START };
        let by = queue[at].by;
        queue[at].requested += 1;
        if queue[at].requested >= n_repeat {
            queue.remove(at);
        }
        let made = self.after(by, offered, Why::Wait(Wait::Travel(module)));
        self.request(node, r, made)
    }

    /// A source requests an event that the gate has released.
    pub(super) fn request_released(&mut self, node: NodeId, r: Tick) -> u32 {
        let why = self.released_by.map_or(Why::Request(node), Why::NextRequest);
        self.request_since(node, r, self.gate, why)
    }

    /// A node requests an event that is there since `offered`.
    pub(super) fn request(&mut self, node: NodeId, r: Tick, offered: u32) -> u32 {
        self.request_since(node, r, offered, Why::Request(node))
    }

    fn request_since(&mut self, node: NodeId, r: Tick, offered: u32, why: Why) -> u32 {
        let before = self.acknowledged[node.index()];
        let moment = if self.time(before) > self.time(offered) {
            self.after(before, r, Why::NextRequest(node))
        } else {
            self.after(offered, r, why)
        };
        if self.output == Some(node) {
            self.requests.push((r, moment));
        }
        moment
    }

    pub(super) fn set_flight(&mut self, flight: u32, requested: u32) {
        let at = flight as usize;
        if self.flights.len() <= at {
            self.flights.resize(at + 1, START);
        }
        self.flights[at] = requested;
    }

    /// An acknowledge of an event will reach its node.
    pub(super) fn acknowledge(&mut self, flight: u32, moment: u32) {
        let at = flight as usize;
        self.flights[at] = self.later(self.flights[at], moment);
    }

    /// The last acknowledge of an event has reached its node.
    pub(super) fn acknowledged(&mut self, flight: u32, node: usize) {
        let moment = self.flights[flight as usize];
        self.acknowledged[node] = moment;
        self.last_acknowledge = (moment, Some(NodeId::new(node)));
        self.ended(moment);
    }

    /// Input is released when the one before was acknowledged.
    pub(super) fn release(&mut self) {
        (self.gate, self.released_by) = self.last_acknowledge;
    }

    /// A message passes a link of the mesh, and leaves it at a time.
    pub(super) fn hop(&mut self, link: usize, came: u32, leaves: Tick, wait: Wait) -> u32 {
        let cause = self.later(came, self.links[link]);
        let moment = self.after(cause, leaves, Why::Wait(wait));
        self.links[link] = moment;
        moment
    }

    /// What the start of an event waited for: its arrival, the work before, or room for its outputs.
    pub(super) fn start(&self, core: usize, arrived: u32, outputs: Option<impl Iterator<Item = usize>>) -> u32 {
        match outputs {
            // An arbiter may start one that came while another waited for room.
            Some(outputs) => {
                let room = outputs.fold(START, |last, node| self.later(last, self.acknowledged[node]));
                self.later(room, arrived)
            }
            None => self.later(arrived, self.done[core]),
        }
    }

    /// A module works until `done`; its outputs are on `nodes`, `outputs` on each, from `t_pre` on.
    pub(super) fn work(
        &mut self,
        (module, core): (ModuleId, usize),
        (done, busy): (Tick, Busy),
        (nodes, outputs, t_pre): (impl Iterator<Item = usize>, usize, Tick),
    ) {
        let works = self.works.len();
        let begun = self.later(self.at, self.done[core]);
        let by = self.after(begun, done, Why::Work(works as u32));
        if by != begun {
            self.works.push((module, busy));
        }
        self.done[core] = by;
        for node in nodes {
            self.made[node].extend(std::iter::repeat_n(Made { by, t_pre, requested: 0 }, outputs));
        }
        self.ended(by);
    }

    /// A module is busy from the start.
    pub(super) fn busy_initially(&mut self, (module, core): (ModuleId, usize), until: Tick) {
        let until = self.after(START, until, Why::Wait(Wait::Initial(module)));
        self.done[core] = self.later(self.done[core], until);
    }

    /// A step behind a barrier begins.
    pub(super) fn step(&mut self, now: Tick, ready: Option<Tick>) {
        self.gate = match ready {
            Some(ready) if ready >= now => self.after(self.end, now, Why::Wait(Wait::Barrier)),
            _ => self.after(START, now, Why::Wait(Wait::Input)),
        };
        self.at = self.gate;
        self.ended(self.gate);
    }

    /// Steps of a module alone, one after the other: `barriers` ticks of barriers, then work, up to `now`.
    pub(super) fn steps(&mut self, now: Tick, slowest: Option<(ModuleId, u64)>, barriers: Option<Tick>) {
        let begin = match barriers {
            Some(barriers) => {
                let time = self.time(self.end).saturating_add(barriers);
                let waited = self.after(self.end, time, Why::Wait(Wait::Barrier));
                match slowest {
                    Some((module, _)) => {
                        let part = Wait::Work(module, WorkPart::Neuron);
                        self.after(waited, now, Why::Wait(part))
                    }
                    None => waited,
                }
            }
            None => self.after(START, now, Why::Wait(Wait::Input)),
        };
        self.ended(begin);
        if let Some((module, ticks)) = slowest {
            let done = now.saturating_add(Tick::try_from(ticks).unwrap_or(Tick::MAX));
            let done = self.after(begin, done, Why::Wait(Wait::Work(module, WorkPart::Neuron)));
            self.ended(done);
        }
    }

    /// The way to the last work; none of a run with more moments than are kept.
    pub fn last_work(&self) -> Option<CriticalPath> {
        (!self.is_full).then(|| self.path(self.end))
    }

    /// The way to the first request of the output node at a time.
    pub fn request_at(&self, time: Tick) -> Option<CriticalPath> {
        let (_, moment) = self.requests.iter().find(|(r, _)| *r == time)?;
        (!self.is_full).then(|| self.path(*moment))
    }

    fn path(&self, to: u32) -> CriticalPath {
        let mut segments: Vec<PathSegment> = Vec::new();
        let mut at = to;
        let mut handshake: Option<NodeId> = None;
        while at != START {
            let Moment { time, cause, why } = self.moments[at as usize];
            let from = self.time(cause);
            let mut push = |from: Tick, to: Tick, wait: Wait| {
                if to > from {
                    segments.push(PathSegment { from, to, wait, handshake });
                }
            };
            match why {
                Why::Wait(wait) => push(from, time, wait),
                Why::Work(work) => {
                    let (module, busy) = &self.works[work as usize];
                    // Backwards; what saturated ends at the moment.
                    let mut to = time;
                    for (part, (_, ticks)) in WorkPart::ALL.into_iter().zip(busy.parts()).rev() {
                        let begin = to.saturating_sub(Tick::try_from(ticks).unwrap_or(Tick::MAX)).max(from);
                        push(begin, to, Wait::Work(*module, part));
                        to = begin;
                    }
                }
                Why::Request(node) | Why::NextRequest(node) => {
                    handshake = matches!(why, Why::NextRequest(_)).then_some(node);
                }
            }
            at = cause;
        }
        segments.reverse();
        CriticalPath { segments }
    }
}
