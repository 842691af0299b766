//! The spikes of a layer in some steps, and their order.

use super::lanes::LANES;
use super::places::NEGATIVE;
use super::streams::Stream;
use std::ops::Range;

/// Keys have this many bits: in entries of lists, where rows of weights have the others, and in notes.
pub(super) const KEY_BITS: u32 = 14;

/// The key of an entry of a list: the number of the event, or (clocked) of the step.
#[inline(always)]
pub(super) fn key(entry: u32) -> u32 {
    entry & ((1 << KEY_BITS) - 1)
}

/// Bits of the number of a vector; more vectors than this can name are too many for such a run.
pub(super) const VECTOR_BITS: u32 = 64 - 32 - KEY_BITS;

/// The neurons of a vector that spiked at one event: from the lowest bit a mask of those that spiked, a mask of those
/// that took a spike back, the number of the vector and the key of the event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub(super) struct Note(u64);

impl Note {
    #[inline(always)]
    pub fn new(key: u32, vector: u32, up: u16, down: u16) -> Self {
        Self::of_masks(key, vector, u32::from(down) << 16 | u32::from(up))
    }

    /// Of both masks in one number.
    #[inline(always)]
    pub fn of_masks(key: u32, vector: u32, masks: u32) -> Self {
        Self(u64::from(key) << (64 - KEY_BITS) | u64::from(vector) << 32 | u64::from(masks))
    }

    #[inline(always)]
    pub fn key(self) -> usize {
        (self.0 >> (64 - KEY_BITS)) as usize
    }

    #[inline(always)]
    pub fn vector(self) -> u32 {
        (self.0 >> 32) as u32 & ((1 << VECTOR_BITS) - 1)
    }

    /// How many lanes spiked.
    #[inline(always)]
    pub fn spikes(self) -> usize {
        (self.0 as u32).count_ones() as usize
    }

    /// Each lane that spiked, and [`NEGATIVE`] if it took a spike back.
    #[inline(always)]
    pub fn each(self, mut spike: impl FnMut(u32, u32)) {
        let (up, down) = (self.0 as u16, (self.0 >> 16) as u16);
        let mut fired = up | down;
        while fired != 0 {
            let lane = fired.trailing_zeros();
            spike(lane, if down >> lane & 1 == 1 { NEGATIVE } else { 0 });
            fired &= fired - 1;
        }
    }
}

/// What the cells of a layer are, and how their vectors are numbered.
#[derive(Debug, Clone, Copy)]
pub(super) enum Names {
    /// The neurons of all maps at one position. The lowest bits (`shift`) of a vector's number are those of the vectors
    /// in a cell.
    Positions { shift: u32 },
    /// All neurons of a row: there is one cell.
    Row,
}

impl Names {
    /// The number of the vector from a lane of a cell on.
    #[inline(always)]
    pub fn vector(self, cell: usize, lane: usize) -> u32 {
        match self {
            Self::Positions { shift } => ((cell << shift) + lane / LANES) as u32,
            Self::Row => (lane / LANES) as u32,
        }
    }

    /// The map of a lane.
    pub fn map(self, lane: usize) -> usize {
        match self {
            Self::Positions { .. } => lane,
            Self::Row => 0,
        }
    }
}

/// Spikes in no particular order of keys; those of one key and map are in raster order.
#[derive(Debug, Clone, Default)]
pub(super) struct Notes {
    pub notes: Vec<Note>,
    /// Where the notes of each key start.
    starts: Vec<u32>,
    sorted: Vec<Note>,
}

impl Notes {
    /// Puts the notes in order of their keys, which are less than `keys`: a counting sort, which keeps the order of
    /// those of one key.
    pub fn sort(&mut self, keys: usize) {
        let Self { notes, starts, sorted } = self;
        starts.clear();
        starts.resize(keys + 2, 0);
        notes.iter().for_each(|note| starts[note.key() + 2] += 1);
        for key in 2..keys + 2 {
            starts[key] += starts[key - 1];
        }
        sorted.resize(notes.len(), Note(0));
        for &note in &*notes {
            let start = &mut starts[note.key() + 1];
            sorted[*start as usize] = note;
            *start += 1;
        }
        notes.clear();
    }

    /// How many spikes those of some keys are.
    pub fn spikes(&self, keys: Range<usize>) -> usize {
        self.of(keys).iter().map(|note| note.spikes()).sum()
    }

    /// Hands over the sorted spikes of successive steps, by map; `ends`: where the keys of each step end.
    pub fn leave_by_step(
        &self,
        first: usize,
        ends: impl Iterator<Item = usize>,
        names: Names,
        nodes: &[usize],
        streams: &mut [Stream],
    ) {
        let mut from = 0;
        let by_step = (first..).zip(ends.map(|to| self.of(std::mem::replace(&mut from, to)..to)));
        match names {
            Names::Positions { shift } => {
                for (step, notes) in by_step {
                    leave(notes, shift, nodes, streams);
                    nodes.iter().for_each(|&node| streams[node].close(step));
                }
            }
            Names::Row => {
                let stream = &mut streams[nodes[0]];
                for (step, notes) in by_step {
                    for note in notes {
                        let first = note.vector() * LANES as u32;
                        note.each(|lane, mark| stream.places.push((first + lane) | mark));
                    }
                    stream.close(step);
                }
            }
        }
    }

    /// The notes of some keys, after [`Notes::sort`].
    #[inline(always)]
    pub fn of(&self, keys: Range<usize>) -> &[Note] {
        &self.sorted[self.starts[keys.start] as usize..self.starts[keys.end] as usize]
    }
}

/// Hands over spikes of the neurons at [positions](Names::Positions), which are in order, by map.
#[inline]
pub(super) fn leave(notes: &[Note], shift: u32, nodes: &[usize], streams: &mut [Stream]) {
    for &note in notes {
        let vector = note.vector();
        let (cell, first) = (vector >> shift, (vector & ((1 << shift) - 1)) * LANES as u32);
        note.each(|lane, mark| streams[nodes[(first + lane) as usize]].places.push(cell | mark));
    }
}
