//! The spikes of a layer in some steps, and their order.

use super::places::NEGATIVE;
use super::streams::Stream;
use std::ops::Range;

/// Keys have this many bits: in entries of lists, where rows of weights have the others, and in notes.
pub(super) const KEY_BITS: u32 = 14;

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
        Self(u64::from(key) << (64 - KEY_BITS) | u64::from(vector) << 32 | u64::from(down) << 16 | u64::from(up))
    }

    #[inline(always)]
    fn key(self) -> usize {
        (self.0 >> (64 - KEY_BITS)) as usize
    }

    #[inline(always)]
    fn vector(self) -> u32 {
        (self.0 >> 32) as u32 & ((1 << VECTOR_BITS) - 1)
    }
}

/// How the vectors of a layer are numbered.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine) struct Names {
    /// Bits of the number of a vector in its cell; the number of the cell comes above.
    pub shift: u32,
    /// The neurons of a cell are those of one map, else those at one position of all maps.
    pub is_dense: bool,
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
        let some = self.starts[keys.start] as usize..self.starts[keys.end] as usize;
        self.sorted[some].iter().map(|note| (note.0 as u32).count_ones() as usize).sum()
    }

    /// Hands over the sorted spikes of some keys, by map.
    #[inline]
    pub fn leave(&self, keys: Range<usize>, names: Names, nodes: &[usize], streams: &mut [Stream]) {
        let some = self.starts[keys.start] as usize..self.starts[keys.end] as usize;
        for &note in &self.sorted[some] {
            let (cell, vector) = (note.vector() >> names.shift, note.vector() & ((1 << names.shift) - 1));
            let (up, down) = (note.0 as u16, (note.0 >> 16) as u16);
            let mut fired = up | down;
            while fired != 0 {
                let k = fired.trailing_zeros();
                let mark = if down >> k & 1 == 1 { NEGATIVE } else { 0 };
                let (map, place) = if names.is_dense { (0, vector * 16 + k) } else { (vector * 16 + k, cell) };
                streams[nodes[map as usize]].places.push(place | mark);
                fired &= fired - 1;
            }
        }
    }
}
