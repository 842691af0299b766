//! The events of nodes in some successive steps.

use super::places::{NEGATIVE, SETTLE, SourcePlaces};
use crate::network::{Polarity, Stimulus, Tick};
use std::ops::Range;

/// Steps, one after the other: ticks, or those of clocked mode.
#[derive(Debug, Clone, Copy)]
pub(super) struct Steps {
    /// The first one.
    pub first: Tick,
    pub len: usize,
    /// Ticks of a step.
    pub dt: Tick,
    /// The last tick of the run.
    pub t_max: Tick,
}

impl Steps {
    /// The first tick of a step.
    pub fn time(&self, step: usize) -> Tick {
        (self.first + step as Tick) * self.dt
    }

    /// The step of a tick.
    #[inline(always)]
    fn of(&self, tick: Tick) -> usize {
        // Nearly always 1.
        let step = if self.dt == 1 { tick } else { tick / self.dt };
        (step - self.first) as usize
    }

    /// The last tick of a step.
    fn last(&self, step: usize) -> Tick {
        self.time(step).saturating_add(self.dt - 1).min(self.t_max)
    }
}

/// Events of one node, in order.
#[derive(Debug, Clone, Default)]
pub(super) struct Stream {
    /// Positions of the neurons that spiked, or places of a source, with [`NEGATIVE`].
    pub places: Vec<u32>,
    /// Where the events of the first step start: not 0 only while a step is run in parts.
    start: usize,
    /// By step: where its events end.
    ends: Vec<usize>,
}

impl Stream {
    pub fn clear(&mut self) {
        self.places.clear();
        self.start = 0;
        self.ends.clear();
    }

    /// Leaves only these of the events of the only step, until it is called again.
    pub fn show(&mut self, events: Range<usize>) {
        self.start = events.start;
        self.ends[0] = events.end;
    }

    /// The events of a step.
    #[inline(always)]
    pub fn range(&self, step: usize) -> Range<usize> {
        let start = if step == 0 { self.start } else { self.ends[step - 1] };
        start..self.ends[step]
    }

    /// The steps that have events, and these.
    #[inline(always)]
    pub fn steps(&self) -> impl Iterator<Item = (usize, Range<usize>)> {
        let mut start = self.start;
        let ranges = self.ends.iter().map(move |&end| std::mem::replace(&mut start, end)..end);
        ranges.enumerate().filter(|(_, range)| !range.is_empty())
    }

    /// The events up to here, after those of the steps before, are those of a step. Steps without events that come
    /// before it need not be closed.
    #[inline(always)]
    pub fn close(&mut self, step: usize) {
        let end = self.places.len();
        if let Some(ends) = self.ends.get_mut(step) {
            *ends = end;
            return;
        }
        let before = self.ends.last().copied().unwrap_or(0);
        while self.ends.len() < step {
            self.ends.push(before);
        }
        self.ends.push(end);
    }

    /// Where the events of each step end, or of the only one.
    pub fn close_at(&mut self, ends: impl Iterator<Item = usize>) {
        self.ends.clear();
        self.ends.extend(ends);
    }

    /// The last steps have no events.
    pub fn finish(&mut self, steps: usize) {
        let before = self.ends.last().copied().unwrap_or(0);
        self.ends.resize(steps, before);
    }

    /// Takes the events of a source, of which some are taken.
    pub fn take(&mut self, source: &SourcePlaces, stimulus: &Stimulus, taken: &mut usize, steps: Steps) {
        let first = *taken;
        let last = steps.last(steps.len - 1);
        let t_pre = &stimulus.t_pre()[first..];
        let len = t_pre.partition_point(|&t| t <= last);
        *taken += len;
        let (x, y, polarity) = (&stimulus.x()[first..], &stimulus.y()[first..], &stimulus.polarity()[first..]);
        let addresses = x[..len].iter().zip(&y[..len]).zip(&polarity[..len]);
        self.places.extend(addresses.map(|((&x, &y), &polarity)| {
            let place = source.of(x, y) | if polarity == Polarity::Negative { NEGATIVE } else { 0 };
            if polarity == Polarity::Settle { SETTLE } else { place }
        }));
        // Each event may be the last one of its step; steps without events end where the one before them does.
        self.ends.resize(steps.len, 0);
        for (end, &t) in (1..).zip(&t_pre[..len]) {
            self.ends[steps.of(t)] = end;
        }
        self.ends.iter_mut().fold(0, |before, end| {
            *end = before.max(*end);
            *end
        });
    }
}

/// Whether a stimulus has spikes; it may take others for some.
pub(super) fn has_spikes(stimulus: &Stimulus) -> bool {
    let mut polarity = stimulus.polarity().iter();
    polarity.any(|polarity| matches!(polarity, Polarity::Positive | Polarity::Negative))
}

/// Looks for events of a stimulus that are no spikes. Returns the tick of the first one that such a run does not take;
/// the ticks of the settle events before it, where they are `taken`, go to `settles`.
pub(super) fn first_special(stimulus: &Stimulus, taken: bool, settles: &mut Vec<Tick>) -> Option<Tick> {
    let polarity = stimulus.polarity();
    // A fold, unlike `all`, looks at many at once.
    if polarity.iter().fold(true, |all, &it| all & (it == Polarity::Positive)) {
        return None;
    }
    for (k, &polarity) in polarity.iter().enumerate() {
        match polarity {
            Polarity::Positive => {}
            // At row -1 it is a control event.
            Polarity::Negative if stimulus.y()[k] != -1 => {}
            Polarity::Settle if taken => settles.push(stimulus.t_pre()[k]),
            _ => return Some(stimulus.t_pre()[k]),
        }
    }
    None
}
