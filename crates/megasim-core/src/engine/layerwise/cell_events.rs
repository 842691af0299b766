//! The events that a layer of cells reads, step by step.

use super::layers::{CellLayer, CellTable};
use super::places::{NEGATIVE, SETTLE};
use super::streams::Stream;

/// An event, and what it reaches.
#[derive(Debug, Clone, Copy)]
pub(super) struct Event {
    /// Among those of the layer.
    pub touch: u32,
    /// The first row of weights of its port, or of the negated ones.
    pub row: u32,
    /// Neurons that it reaches in a cell.
    pub lanes: u32,
}

/// An input that has events.
#[derive(Debug, Clone, Copy)]
struct Active {
    node: usize,
    /// The first of its events that was not read.
    next: usize,
    first_touch: u32,
    /// The place of what reaches nothing.
    nothing: u32,
    first_row: u32,
    lanes: u32,
    /// The most cells that one of its events reaches.
    most_cells: usize,
}

/// What may be read at once.
#[derive(Debug, Clone, Copy)]
pub(super) struct Most {
    pub events: usize,
    /// Cells that the events reach. An event may reach more if it is alone.
    pub entries: usize,
}

impl Most {
    pub const ALL: Self = Self { events: usize::MAX, entries: usize::MAX };
}

/// Where the reader of a layer is.
#[derive(Debug, Clone, Default)]
pub(super) struct CellEvents {
    /// Those that were read.
    pub events: Vec<Event>,
    /// How many cells they reach at most, in sum.
    entries: usize,
    active: Vec<Active>,
    /// An event had no line in the matrix of a dense layer, which is an error.
    pub outside: bool,
}

impl CellEvents {
    /// Begins with the first step. Returns how many cells the events of all steps reach at most, in sum.
    pub fn begin(&mut self, layer: &CellLayer, streams: &[Stream]) -> usize {
        self.clear();
        self.active.clear();
        for input in &layer.inputs {
            let stream = &streams[input.node];
            // Resets and biases have few events.
            let Some(table) = input.table.filter(|_| !stream.places.is_empty()) else { continue };
            let CellTable { places, lanes, most_cells } = &layer.tables[table];
            self.active.push(Active {
                node: input.node,
                next: stream.range(0).start,
                first_touch: places.start as u32,
                nothing: places.len() as u32,
                first_row: input.first_row,
                lanes: *lanes as u32,
                most_cells: *most_cells,
            });
        }
        self.active.iter().map(|active| streams[active.node].places.len() * active.most_cells).sum()
    }

    /// Whether the events that were read are as many as these, or more.
    pub fn are_at_least(&self, most: Most) -> bool {
        self.events.len() >= most.events || self.entries >= most.entries
    }

    /// Forgets the events that were read.
    pub fn clear(&mut self) {
        self.events.clear();
        self.entries = 0;
    }

    /// Reads the events of a step, or the next ones of it, as long as there may be more. Says whether that were all.
    pub fn read(&mut self, layer: &CellLayer, streams: &[Stream], step: usize, most: Most) -> bool {
        let rows = layer.weights.rows as u32;
        for Active { node, next, first_touch, nothing, first_row, lanes, most_cells } in &mut self.active {
            let stream = &streams[*node];
            let end = stream.range(step).end;
            if *next >= end {
                continue;
            }
            let mut room = (end - *next).min(most.events - self.events.len());
            if room.saturating_mul(*most_cells) > most.entries - self.entries {
                // Rare.
                room = ((most.entries - self.entries) / *most_cells).max(usize::from(self.events.is_empty()));
            }
            self.entries = (self.entries + room * *most_cells).min(most.entries);
            let last = *next + room;
            let places = &stream.places[std::mem::replace(next, last)..last];
            self.events.extend(places.iter().map(|&place| {
                // Beyond the places of the table is one that reaches nothing.
                let touch = *first_touch + (place & !NEGATIVE).min(*nothing);
                Event { touch, row: *first_row + (place >> 31) * rows, lanes: *lanes }
            }));
            if layer.is_dense {
                let is_outside = |place: &u32| place & !NEGATIVE >= *nothing && *place != SETTLE;
                self.outside |= places.iter().any(is_outside);
            }
            if last < end {
                return false;
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::layerwise::layers::{CellReach, CellRead, Touch};
    use proptest::prelude::*;

    /// Two inputs: events of the first one reach a cell, those of the second one all eight.
    fn layer() -> CellLayer {
        let touch = |columns| Touch { columns, lines: 1, ..Touch::default() };
        let read = |node, columns, first_row| {
            let reach = CellReach { touches: [touch(columns)].into(), lanes: 1, cell_step: 0 };
            CellRead { node, reach: Some(reach), first_row }
        };
        CellLayer::new((8, 1), false, &[1; 9], vec![read(0, 1, 0), read(1, 8, 1)], 1).unwrap()
    }

    proptest! {
        /// Parts have all events in order, none is beyond what it may have, and none ends too soon.
        #[test]
        fn parts_are_as_large_as_they_may_be(
            counts in prop::collection::vec((0..6_usize, 0..4_usize), 1..5),
            events in 1..9_usize,
            entries in 1..40_usize,
        ) {
            let (layer, most) = (layer(), Most { events, entries });
            let mut streams = [Stream::default(), Stream::default()];
            for (step, &(one, all)) in counts.iter().enumerate() {
                for (stream, n) in streams.iter_mut().zip([one, all]) {
                    stream.places.extend(std::iter::repeat_n(0, n));
                    stream.close(step);
                }
            }
            let mut reader = CellEvents::default();
            let sum: usize = counts.iter().map(|(one, all)| one + 8 * all).sum();
            prop_assert_eq!(reader.begin(&layer, &streams), sum);
            let expected: Vec<_> =
                counts.iter().flat_map(|&(one, all)| [vec![1; one], vec![8; all]].concat()).collect();
            let (mut parts, mut part) = (Vec::new(), Vec::new());
            for (step, ..) in counts.iter().enumerate() {
                loop {
                    let was_all = reader.read(&layer, &streams, step, most);
                    part.clear();
                    part.extend(reader.events.iter().map(|it| layer.touches[it.touch as usize].cells()));
                    if was_all {
                        break;
                    }
                    parts.push(part.clone());
                    reader.clear();
                }
            }
            parts.push(part);
            prop_assert_eq!(parts.concat(), expected);
            for (k, part) in parts.iter().enumerate() {
                let of_part: usize = part.iter().sum();
                prop_assert!(part.len() <= events && (of_part <= entries || part.len() == 1));
                if let Some(next) = parts.get(k + 1).and_then(|next| next.first()) {
                    prop_assert!(part.len() == events || of_part + next > entries);
                }
            }
        }
    }
}
