//! Runs a layer of cells over some steps: the events are put into a list for each cell, each list is worked off with
//! the potentials of its cell in registers, and the spikes are put in order.

use super::cells::{Beyond, Cells, Made};
use super::gathered::Population;
use super::layers::{CellInput, CellLayer};
use super::lists::{All, Lists};
use super::notes::{KEY_BITS, Notes};
use super::places::{NEGATIVE, SETTLE};
use super::room::Room;
use super::single_run::Singles;
use super::streams::{Steps, Stream};
use crate::engine::neurons::Work;

/// Events of a part; no more than there are keys.
const PART: usize = 8192;

const _: () = assert!(PART <= 1 << KEY_BITS);

/// Entries after which a part ends, and the most that it may have: in clocked mode it has whole steps.
const ENTRIES: usize = 1 << 22;
const MOST_ENTRIES: usize = 1 << 26;

/// Scratch for layers of cells.
#[derive(Debug, Clone, Default)]
pub(super) struct CellRun {
    events: Vec<Event>,
    /// The inputs that have events.
    active: Vec<usize>,
    /// Cells that the events reach, each as often as it is reached.
    reached: usize,
    /// Neurons that they reach.
    operations: u64,
    /// By cell: where its entries end.
    ends: Vec<u32>,
    entries: Vec<u32>,
    notes: Notes,
    /// By step of the part: the key after its last event.
    keys: Vec<usize>,
    /// An event had no line in the matrix of a dense layer, which is an error.
    pub outside: bool,
}

/// An event, and the cells that it reaches.
#[derive(Debug, Clone, Copy)]
struct Event {
    cell: u32,
    row: u32,
    columns: u32,
    lines: u16,
    key: u16,
    cell_step: u32,
    row_step: u32,
}

impl CellRun {
    /// Runs a layer; its spikes go to the streams of its nodes.
    pub fn run<const CLOCKED: bool>(
        &mut self,
        layer: &CellLayer,
        mut population: Population<'_>,
        (nodes, streams, room): (&[usize], &mut [Stream], &mut Room),
        steps: Steps,
    ) -> Work {
        let mut work = Work::default();
        population.carried.resize(layer.cells, false);
        self.events.clear();
        self.keys.clear();
        self.reached = 0;
        self.operations = 0;
        // Resets and biases have few events.
        let mut active = std::mem::take(&mut self.active);
        active.clear();
        active.extend((0..layer.inputs.len()).filter(|&k| !streams[layer.inputs[k].node].places.is_empty()));
        let mut first = 0;
        for step in 0..steps.len {
            for &input in &active {
                let input = &layer.inputs[input];
                let mut range = streams[input.node].range(step);
                while !range.is_empty() {
                    let places = &streams[input.node].places[range.clone()];
                    range.start += self.read::<CLOCKED>(layer, input, places, step);
                    if !CLOCKED && self.is_full() {
                        self.keys.push(self.events.len());
                        work += self.part::<CLOCKED>(layer, &mut population, (first, step + 1), (nodes, streams, room));
                        first = step;
                    }
                }
            }
            self.keys.push(if CLOCKED { step + 1 } else { self.events.len() });
            if CLOCKED && self.is_full() {
                if self.reached > MOST_ENTRIES {
                    room.close();
                    return work;
                }
                work += self.part::<CLOCKED>(layer, &mut population, (first, step + 1), (nodes, streams, room));
                first = step + 1;
            }
        }
        self.active = active;
        if first < steps.len {
            work += self.part::<CLOCKED>(layer, &mut population, (first, steps.len), (nodes, streams, room));
        }
        work
    }

    fn is_full(&self) -> bool {
        self.events.len() >= PART || self.reached >= ENTRIES
    }

    /// Notes what events reach, in event mode until the part is full. Returns how many events were read.
    fn read<const CLOCKED: bool>(
        &mut self,
        layer: &CellLayer,
        input: &CellInput,
        places: &[u32],
        step: usize,
    ) -> usize {
        if input.touches.is_empty() {
            return places.len();
        }
        let CellInput { touches, lanes, first_row, cell_step, row_step, .. } = input;
        for (k, &place) in places.iter().enumerate() {
            if !CLOCKED && self.is_full() {
                return k;
            }
            let touch = touches.get((place & !NEGATIVE) as usize).copied().unwrap_or_default();
            if touch.lines == 0 {
                self.outside |= layer.is_dense && place != SETTLE;
                continue;
            }
            let sign = if place & NEGATIVE == 0 { 0 } else { layer.weights.rows as u32 };
            let key = if CLOCKED { step } else { self.events.len() };
            let cells = touch.columns as usize * touch.lines as usize;
            self.reached += cells;
            self.operations += (cells * lanes) as u64;
            self.events.push(Event {
                cell: touch.cell,
                row: touch.row + first_row + sign,
                columns: touch.columns,
                lines: touch.lines as u16,
                key: key as u16,
                cell_step: *cell_step,
                row_step: *row_step,
            });
        }
        places.len()
    }

    /// Works off the events that were noted, which came in these steps.
    fn part<const CLOCKED: bool>(
        &mut self,
        layer: &CellLayer,
        population: &mut Population<'_>,
        (first, end): (usize, usize),
        (nodes, streams, room): (&[usize], &mut [Stream], &mut Room),
    ) -> Work {
        self.distribute(layer);
        let Population { neurons, rules, is_signed, repeats, kernel, carried, beyond } = population;
        let Singles { v, counts, saturations } = neurons;
        let cells = &mut Cells { v, counts, saturations, lanes: layer.lanes, names: layer.names };
        let beyond = &mut Beyond { lanes: beyond.lanes, vectors: beyond.vectors };
        let made = &mut Made { notes: &mut self.notes.notes, steps: first as u32..end as u32, beyond };
        let rows = layer.weights.view();
        let lists = Lists { ends: &self.ends, entries: &self.entries };
        All { cells, carried, lists, rules, rows, made }.walk::<CLOCKED>(*is_signed, *repeats, *kernel);
        let keys = if CLOCKED { end } else { self.events.len() };
        self.notes.sort(keys);
        let mut from = if CLOCKED { first } else { 0 };
        for (step, &to) in (first..end).zip(&self.keys) {
            if room.take(self.notes.spikes(from..to)) {
                self.notes.leave(from..to, layer.names, nodes, streams);
            }
            nodes.iter().for_each(|&node| streams[node].close(step));
            from = to;
        }
        self.events.clear();
        self.keys.clear();
        let operations = std::mem::take(&mut self.operations);
        Work { operations, updates: operations }
    }

    /// Puts the events into the lists of the cells that they reach.
    fn distribute(&mut self, layer: &CellLayer) {
        let Self { events, ends, entries, reached, .. } = self;
        ends.clear();
        ends.resize(layer.cells + 1, 0);
        // One place further on: until they are filled, where the lists start.
        for event in &*events {
            let mut cell = event.cell as usize + 1;
            for _ in 0..event.lines {
                match &mut ends[cell..cell + event.columns as usize] {
                    // Nearly always, of which loops know nothing.
                    [one, two, three] => (*one, *two, *three) = (*one + 1, *two + 1, *three + 1),
                    counts => counts.iter_mut().for_each(|count| *count += 1),
                }
                cell += event.cell_step as usize;
            }
        }
        let mut before = 0;
        for end in &mut *ends {
            before += *end;
            *end = before;
        }
        entries.clear();
        entries.resize(*reached, 0);
        for event in &*events {
            let (mut cell, mut entry) = (event.cell as usize, event.row << KEY_BITS | u32::from(event.key));
            for _ in 0..event.lines {
                let mut put = |end: &mut u32, k: u32| {
                    entries[*end as usize] = entry + (k << KEY_BITS);
                    *end += 1;
                };
                match &mut ends[cell..cell + event.columns as usize] {
                    [one, two, three] => {
                        put(one, 0);
                        put(two, 1);
                        put(three, 2);
                    }
                    some => some.iter_mut().zip(0..).for_each(|(end, k)| put(end, k)),
                }
                cell += event.cell_step as usize;
                entry += event.row_step << KEY_BITS;
            }
        }
        *reached = 0;
    }
}
