//! What events do, by their polarity.

use crate::engine::kernels::Sign;
use crate::engine::queue::Events;
use crate::network::Polarity;

/// What events do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum Action {
    Reset,
    Control,
    Settle,
    Spikes(Sign),
}

pub(in crate::engine) fn action(polarity: Polarity, y: i32) -> Action {
    match polarity {
        Polarity::Positive => Action::Spikes(Sign::Plus),
        Polarity::Negative if y == -1 => Action::Control,
        Polarity::Negative => Action::Spikes(Sign::Minus),
        Polarity::Reset => Action::Reset,
        Polarity::Settle => Action::Settle,
    }
}

/// Cuts events into runs that do the same.
pub(in crate::engine) fn actions(events: Events<'_>) -> Actions<'_> {
    Actions { rest: events, mixed: false }
}

/// See [`actions`].
pub(in crate::engine) struct Actions<'e> {
    rest: Events<'e>,
    /// Not all events were positive.
    mixed: bool,
}

impl<'e> Iterator for Actions<'e> {
    type Item = (Action, Events<'e>);

    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        let events = self.rest;
        let n = events.len();
        // Nearly always all of them are positive. A fold, unlike `all`, looks at many at once.
        if !self.mixed {
            self.mixed = !events.polarity.iter().fold(true, |all, &it| all & (it == Polarity::Positive));
            if !self.mixed {
                self.rest = events.slice(n..n);
                return (n > 0).then_some((Action::Spikes(Sign::Plus), events));
            }
        }
        if n == 0 {
            return None;
        }
        let first = action(events.polarity[0], events.y[0]);
        let end = (1..n).find(|&k| action(events.polarity[k], events.y[k]) != first).unwrap_or(n);
        self.rest = events.slice(end..n);
        Some((first, events.slice(0..end)))
    }
}
