//! The events that a layer of cells reads, step by step.

use super::layers::{CellLayer, CellTable, Touch};
use super::places::{NEGATIVE, SETTLE};
use super::streams::Stream;
use std::ops::Range;

/// An event, and what it reaches.
#[derive(Debug, Clone, Copy)]
pub(super) struct Event {
    /// Among those of the layer.
    pub touch: u32,
    /// The first row of weights of its port, or of the negated ones; of a dense layer its own row.
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
    /// See [`CellTable::is_row_by_row`].
    is_row_by_row: bool,
}

/// Events of a dense layer without a line in its matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Missing {
    /// All are settle events.
    Settle,
    /// One is not, which is an error.
    Outside,
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
    /// What events of the run were without a line.
    pub missing: Option<Missing>,
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
            let CellTable { places, lanes, most_cells, is_row_by_row } = &layer.tables[table];
            self.active.push(Active {
                node: input.node,
                next: stream.range(0).start,
                first_touch: places.start as u32,
                nothing: places.len() as u32,
                first_row: input.first_row,
                lanes: *lanes as u32,
                most_cells: *most_cells,
                is_row_by_row: *is_row_by_row,
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

    /// Event mode: reads the events of steps as long as there may be more; `ends`: by step, how many there are at its
    /// end. Returns the step of which events are left, or the end of the steps.
    pub fn read_steps(
        &mut self,
        layer: &CellLayer,
        streams: &[Stream],
        steps: Range<usize>,
        most: Most,
        ends: &mut Vec<usize>,
    ) -> usize {
        let [active] = &mut self.active[..] else {
            for step in steps.clone() {
                let is_all = self.read(layer, streams, step, most);
                ends.push(self.events.len());
                if !is_all {
                    return step;
                }
            }
            return steps.end;
        };
        // At once: most steps of an input have few events.
        let (stream, start) = (&streams[active.node], active.next);
        let last = start + active.room(stream.range(steps.end - 1).end - start, &self.events, &mut self.entries, most);
        self.missing = self.missing.max(active.take(layer, stream, last, &mut self.events));
        for step in steps.clone() {
            let end = stream.range(step).end;
            ends.push(end.min(last) - start);
            if end > last {
                return step;
            }
        }
        steps.end
    }

    /// Clocked: reads whole steps until there are at least so many events; `ends` as above. Returns the next step.
    pub fn read_whole_steps(
        &mut self,
        layer: &CellLayer,
        streams: &[Stream],
        steps: Range<usize>,
        least: Most,
        ends: &mut Vec<usize>,
    ) -> usize {
        for step in steps.clone() {
            self.read(layer, streams, step, Most::ALL);
            ends.push(self.events.len());
            if self.are_at_least(least) {
                return step + 1;
            }
        }
        steps.end
    }

    /// Reads the events of a step, or the next ones of it, as long as there may be more. Says whether that were all.
    pub fn read(&mut self, layer: &CellLayer, streams: &[Stream], step: usize, most: Most) -> bool {
        for active in &mut self.active {
            let stream = &streams[active.node];
            let end = stream.range(step).end;
            if active.next >= end {
                continue;
            }
            let last = active.next + active.room(end - active.next, &self.events, &mut self.entries, most);
            self.missing = self.missing.max(active.take(layer, stream, last, &mut self.events));
            if last < end {
                return false;
            }
        }
        true
    }
}

impl Active {
    /// How many of `n` events may be read, after those that were; counts their entries.
    #[inline(always)]
    fn room(&self, n: usize, events: &[Event], entries: &mut usize, most: Most) -> usize {
        let mut room = n.min(most.events - events.len());
        if room.saturating_mul(self.most_cells) > most.entries - *entries {
            // Rare.
            room = ((most.entries - *entries) / self.most_cells).max(usize::from(events.is_empty()));
        }
        *entries = (*entries + room * self.most_cells).min(most.entries);
        room
    }

    /// Takes the events up to `last`. Says whether some have no line in the matrix of a dense layer.
    #[inline(always)]
    fn take(&mut self, layer: &CellLayer, stream: &Stream, last: usize, events: &mut Vec<Event>) -> Option<Missing> {
        let Self { first_touch, nothing, first_row, lanes, .. } = *self;
        let rows = layer.weights.rows as u32;
        let places = &stream.places[std::mem::replace(&mut self.next, last)..last];
        // Beyond the places of the table is one that reaches nothing.
        let touch = |place: u32| first_touch + (place & !NEGATIVE).min(nothing);
        let event = |&place: &u32| Event { touch: touch(place), row: first_row + (place >> 31) * rows, lanes };
        if !layer.is_dense {
            events.extend(places.iter().map(event));
            return None;
        }
        let mut all_have_lines = true;
        if self.is_row_by_row {
            events.extend(places.iter().map(|place| {
                let event = event(place);
                Event { row: event.row + (place & !NEGATIVE), ..event }
            }));
            all_have_lines = places.iter().fold(true, |all, &place| all & (place & !NEGATIVE < nothing));
        } else {
            events.extend(places.iter().map(event).map(|event| {
                let Touch { row, lines, .. } = layer.touches[event.touch as usize];
                all_have_lines &= lines != 0;
                Event { row: event.row + row, ..event }
            }));
        }
        if all_have_lines {
            return None;
        }
        let is_outside = |&place: &u32| place != SETTLE && layer.touches[touch(place) as usize].lines == 0;
        Some(if places.iter().any(is_outside) { Missing::Outside } else { Missing::Settle })
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
            mut counts in prop::collection::vec((0..6_usize, 0..4_usize), 1..5),
            has_second in any::<bool>(),
            events in 1..9_usize,
            entries in 1..40_usize,
        ) {
            let (layer, most) = (layer(), Most { events, entries });
            counts.iter_mut().filter(|_| !has_second).for_each(|(_, all)| *all = 0);
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
            let (mut parts, mut ends, mut first) = (Vec::new(), Vec::new(), 0);
            while first < counts.len() {
                let left = reader.read_steps(&layer, &streams, first..counts.len(), most, &mut ends);
                prop_assert_eq!(ends.len(), (left + 1).min(counts.len()) - first);
                prop_assert_eq!(ends.last(), Some(&reader.events.len()));
                parts.push(reader.events.iter().map(|it| layer.touches[it.touch as usize].cells()).collect::<Vec<_>>());
                let whole = parts.concat().len() - reader.events.len();
                for (step, end) in (first..left).zip(&ends) {
                    let up_to: usize = counts[..=step].iter().map(|(one, all)| one + all).sum();
                    prop_assert_eq!(whole + end, up_to);
                }
                reader.clear();
                ends.clear();
                first = left;
            }
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
