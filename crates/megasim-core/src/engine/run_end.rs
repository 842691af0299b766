//! Where a run, or a piece of one, ends.

/// How far a piece of a run came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RunEnd {
    /// It was asked to stop.
    Stopped,
    /// To where nothing happens any more.
    Idle,
    /// To its last tick.
    Through,
}
