//! Where a run is stopped because it would not end, or not within memory.

use super::record::Recorder;

/// Bytes of an event that waits: time, address, polarity.
pub const WAITING_BYTES: u64 = 17;
/// Bytes of a recorded event: three times, address, polarity.
pub const RECORDED_BYTES: u64 = 33;

/// Where a run is stopped because it would not end by itself, or not within memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Events of one tick on loops without delay.
    pub events_per_tick: u64,
    /// Events of a run, on all nodes together.
    pub events: u64,
    /// Bytes of the events that wait ([`WAITING_BYTES`] each) and are recorded ([`RECORDED_BYTES`] each). Vectors that
    /// grow may reserve twice as much address space.
    pub memory: u64,
}

impl Default for Limits {
    /// What a laptop survives: a thousand million events, and 1 GB, which is 30 million recorded events.
    fn default() -> Self {
        Self { events_per_tick: 10_000_000, events: 1_000_000_000, memory: 1_000_000_000 }
    }
}

impl Limits {
    /// For each of many samples, as many of which run at the same time as there are threads: a hundred million events,
    /// and 250 MB, which is 7.5 million recorded events.
    pub fn of_samples() -> Self {
        Self { events: 100_000_000, memory: 250_000_000, ..Self::default() }
    }

    /// Whether a run with `waiting` waiting events is beyond a limit.
    #[inline]
    pub(super) fn exceeded(&self, recorder: &Recorder, waiting: u64) -> bool {
        self.exceeded_by(recorder.total, recorder.recorded, waiting)
    }

    /// Whether `events` handled, `recorded` recorded and `waiting` waiting events are beyond a limit.
    #[inline]
    pub(super) fn exceeded_by(&self, events: u64, recorded: u64, waiting: u64) -> bool {
        events > self.events || recorded * RECORDED_BYTES + waiting * WAITING_BYTES > self.memory
    }
}
