//! How many events a block may have.

use crate::engine::limits::{Limits, WAITING_BYTES};
use crate::engine::record::Recorder;

/// How many more events the nodes of a block may have.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Room(Option<u64>);

impl Room {
    /// What the limits leave.
    pub fn of(limits: Limits, recorder: &Recorder) -> Self {
        Self(limits.events.checked_sub(recorder.total).map(|events| events.min(limits.memory / WAITING_BYTES)))
    }

    /// There is none any more.
    pub fn close(&mut self) {
        self.0 = None;
    }

    /// Whether all events so far had room.
    pub fn is_open(self) -> bool {
        self.0.is_some()
    }

    /// Some events were made. Says whether there was room for them.
    pub fn take(&mut self, events: usize) -> bool {
        self.0 = self.0.and_then(|room| room.checked_sub(events as u64));
        self.is_open()
    }
}
