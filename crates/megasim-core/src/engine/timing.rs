//! When a module takes and answers events: the handshake with its input FIFO.

use crate::network::{Tick, Timing};
use std::collections::VecDeque;

/// The times of one event in one module, in ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Served {
    /// When the module acknowledges.
    pub ack: Tick,
    /// When it works on the event.
    pub start: Tick,
    /// When its outputs are there: when it is done and they have travelled.
    pub done: Tick,
}

/// Until when a module is busy, and what waits inside it.
#[derive(Debug, Clone)]
pub(super) struct Handshake {
    busy_until: Tick,
    /// Starts of accepted events, rising; those not later than the present are dropped.
    waiting: VecDeque<Tick>,
}

impl Handshake {
    pub fn new(timing: &Timing) -> Self {
        Self { busy_until: timing.time_busy_initial, waiting: VecDeque::new() }
    }

    pub fn restart(&mut self, timing: &Timing) {
        self.busy_until = timing.time_busy_initial;
        self.waiting.clear();
    }

    /// Takes a request at `r`, which never falls from call to call.
    #[inline]
    pub fn request(&mut self, timing: &Timing, r: Tick) -> Served {
        let depth = timing.fifo_depth as usize;
        let enter = if depth == 0 {
            r.max(self.busy_until)
        } else {
            while self.waiting.front().is_some_and(|&start| start <= r) {
                self.waiting.pop_front();
            }
            // Fewer than `depth` still wait once all but `depth - 1` have started.
            self.waiting.len().checked_sub(depth).map_or(r, |k| self.waiting[k])
        };
        let start = enter.max(self.busy_until);
        let done = start.saturating_add(timing.delay_to_process);
        self.busy_until = done;
        if depth > 0 && start > r {
            self.waiting.push_back(start);
        }
        Served {
            ack: enter.saturating_add(timing.delay_to_ack),
            start,
            done: done.saturating_add(timing.delay_to_arrive),
        }
    }
}
