//! The critical path of a run: waits, each of which determined the next.

use super::Busy;
use crate::network::{ModuleId, NodeId, Tick};
use std::collections::BTreeMap;

/// A part of the work of a module, by the hardware key that it takes its time from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub enum WorkPart {
    /// `delay_to_process`.
    Event,
    /// `time_per_operation`.
    Operation,
    /// `time_per_output`.
    Output,
    /// `time_per_message`.
    Message,
    /// `time_per_neuron`.
    Neuron,
    /// `time_per_update`.
    Update,
    /// `time_per_spike`.
    Spike,
}

impl WorkPart {
    /// In the order of [`Busy::parts`].
    pub(super) const ALL: [Self; 7] =
        [Self::Event, Self::Operation, Self::Output, Self::Message, Self::Neuron, Self::Update, Self::Spike];

    /// The hardware key.
    pub fn key(self) -> &'static str {
        Busy::default().parts()[self as usize].0
    }
}

/// What a segment of a critical path was spent on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub enum Wait {
    /// The next input was not due at the pace.
    Input,
    /// A module worked.
    Work(ModuleId, WorkPart),
    /// A module was busy from the start (`time_busy_initial`).
    Initial(ModuleId),
    /// An output of a module was on its way, or repeated (`delay_to_arrive`, `delay_to_repeat`).
    Travel(ModuleId),
    /// From acceptance to the acknowledge of a module (`delay_to_ack`).
    Acknowledge(ModuleId),
    /// The wire from a node to a module (`delay`).
    Link(NodeId, ModuleId),
    /// The wire of its acknowledge (`acknowledge_delay`).
    AcknowledgeLink(NodeId, ModuleId),
    /// A link of the mesh to the east or west, as [`Mesh::link`](super::Mesh::link) numbers them.
    EastWest(u32),
    /// A link of the mesh to the north or south.
    NorthSouth(u32),
    /// The barrier between two steps.
    Barrier,
}

impl Wait {
    /// The hardware key that says how long it takes; `pace` of input, `barrier` of barriers.
    pub fn key(self) -> &'static str {
        match self {
            Self::Input => "pace",
            Self::Work(_, part) => part.key(),
            Self::Initial(_) => "time_busy_initial",
            Self::Travel(_) => "delay_to_arrive",
            Self::Acknowledge(_) => "delay_to_ack",
            Self::Link(..) => "delay",
            Self::AcknowledgeLink(..) => "acknowledge_delay",
            Self::EastWest(_) => "time_east_west",
            Self::NorthSouth(_) => "time_north_south",
            Self::Barrier => "barrier",
        }
    }
}

/// A part of a critical path, in ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct PathSegment {
    /// When the wait began.
    pub from: Tick,
    /// When it ended, and the next one began.
    pub to: Tick,
    /// What was waited for.
    pub wait: Wait,
    /// The node whose next event waited for this acknowledge, where it is part of a handshake that held one up.
    pub handshake: Option<NodeId>,
}

/// The waits that led to something, each of which determined the next. They follow each other from the start of the run
/// without a gap.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CriticalPath {
    /// In the order of time.
    pub segments: Vec<PathSegment>,
}

impl CriticalPath {
    /// The path from a time on.
    pub fn from(self, start: Tick) -> Self {
        let segments = self.segments.into_iter().filter(|it| it.to > start);
        Self { segments: segments.map(|it| PathSegment { from: it.from.max(start), ..it }).collect() }
    }

    /// How long it is, in ticks.
    pub fn ticks(&self) -> u64 {
        self.segments.iter().map(|it| it.to.abs_diff(it.from)).sum()
    }

    /// Ticks of each wait.
    pub fn waits(&self) -> BTreeMap<Wait, u64> {
        let mut sums = BTreeMap::new();
        for it in &self.segments {
            *sums.entry(it.wait).or_default() += it.to.abs_diff(it.from);
        }
        sums
    }

    /// Ticks in handshakes that held up the next event of their node.
    pub fn handshakes(&self) -> BTreeMap<NodeId, u64> {
        let mut sums = BTreeMap::new();
        for it in &self.segments {
            if let Some(node) = it.handshake {
                *sums.entry(node).or_default() += it.to.abs_diff(it.from);
            }
        }
        sums
    }

    /// The path in at most this many equal spans of time, each with the wait that takes most of it.
    pub fn course(&self, spans: u32) -> Vec<PathSegment> {
        let (Some(first), Some(last)) = (self.segments.first(), self.segments.last()) else { return Vec::new() };
        let width = ((last.to - first.from) / Tick::from(spans.max(1)) + 1).max(1);
        let mut course: Vec<PathSegment> = Vec::new();
        let (mut k, mut from) = (0, first.from);
        while from < last.to {
            let to = from.saturating_add(width).min(last.to);
            let mut best: Option<(Tick, PathSegment)> = None;
            let mut inside: BTreeMap<Wait, Tick> = BTreeMap::new();
            while let Some(it) = self.segments.get(k).filter(|it| it.from < to) {
                let sum = inside.entry(it.wait).or_default();
                *sum += it.to.min(to) - it.from.max(from);
                if best.is_none_or(|(most, _)| *sum > most) {
                    best = Some((*sum, PathSegment { from, to, ..*it }));
                }
                if it.to > to {
                    break;
                }
                k += 1;
            }
            if let Some((_, segment)) = best {
                match course.last_mut().filter(|before| before.wait == segment.wait && before.to == from) {
                    Some(before) => before.to = to,
                    None => course.push(segment),
                }
            }
            from = to;
        }
        course
    }
}
