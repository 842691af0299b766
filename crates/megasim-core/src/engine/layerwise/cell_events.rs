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
}

/// Where the reader of a layer is.
#[derive(Debug, Clone, Default)]
pub(super) struct CellEvents {
    /// Those that were read.
    pub events: Vec<Event>,
    active: Vec<Active>,
    /// An event had no line in the matrix of a dense layer, which is an error.
    pub outside: bool,
}

impl CellEvents {
    /// Begins with the first step. Returns how many events the layer has in all of them.
    pub fn begin(&mut self, layer: &CellLayer, streams: &[Stream]) -> usize {
        self.events.clear();
        self.active.clear();
        for input in &layer.inputs {
            let stream = &streams[input.node];
            // Resets and biases have few events.
            let Some(table) = input.table.filter(|_| !stream.places.is_empty()) else { continue };
            let CellTable { places, lanes } = &layer.tables[table];
            self.active.push(Active {
                node: input.node,
                next: stream.range(0).start,
                first_touch: places.start as u32,
                nothing: places.len() as u32,
                first_row: input.first_row,
                lanes: *lanes as u32,
            });
        }
        self.active.iter().map(|active| streams[active.node].places.len()).sum()
    }

    /// Reads the events of a step, or the next ones of it, until `most` are there. Says whether that were all.
    pub fn read(&mut self, layer: &CellLayer, streams: &[Stream], step: usize, most: usize) -> bool {
        let rows = layer.weights.rows as u32;
        for Active { node, next, first_touch, nothing, first_row, lanes } in &mut self.active {
            let stream = &streams[*node];
            let end = stream.range(step).end;
            if *next >= end {
                continue;
            }
            let last = *next + (end - *next).min(most - self.events.len());
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
