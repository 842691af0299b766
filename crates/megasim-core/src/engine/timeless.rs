//! Events on loops on which time cannot advance: a tick with too many of them never ends.

use super::plan::Plan;
use super::{Error, Limits};
use crate::network::Tick;

/// The last tick in which such events were handled, and how many.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct TimelessEvents {
    tick: Tick,
    events: u64,
}

impl TimelessEvents {
    /// One more at `r`.
    ///
    /// # Errors
    /// [`Error::Runaway`] if these are too many for one tick.
    #[inline]
    pub fn count(&mut self, plan: &Plan, limits: &Limits, r: Tick) -> Result<(), Error> {
        if self.tick != r {
            *self = Self { tick: r, events: 0 };
        }
        self.events += 1;
        if self.events <= limits.events_per_tick {
            return Ok(());
        }
        Err(plan.runaway(r, self.events))
    }
}

impl Plan {
    /// So many events at one tick on loops on which time cannot advance.
    #[cold]
    pub(super) fn runaway(&self, time: Tick, events: u64) -> Error {
        let nodes = self.nodes.iter().filter(|node| node.timeless).map(|node| node.name.clone());
        Error::Runaway { time, events, nodes: nodes.collect() }
    }
}
