//! Runs a layer of cells over some steps. The events are put into a list for each cell, each list is processed with
//! the potentials of its cell in registers, and the spikes are put in order; or in clocked mode, where all fits into
//! the cache, the layer is run [step by step](Stepwise).

use super::cell_events::{CellEvents, Event, Most};
use super::cells::{Beyond, Cells, Made};
use super::gathered::Population;
use super::layers::{CellLayer, CellTable};
use super::lists::{All, Lists};
use super::notes::{KEY_BITS, Notes};
use super::room::Room;
use super::stepwise::Stepwise;
use super::streams::{Steps, Stream};
use super::takers::Singles;
use crate::engine::neurons::Work;
use std::ops::Range;

/// What a part of a run has at most; in clocked mode, where it has whole steps, it ends when it has as many. Few events
/// for many cells would be short lists, each with the cost of one; many lists, which do not fit into the cache, cost
/// more than long ones gain.
fn part(cells: usize) -> Most {
    // Each event has a key.
    Most { events: (2 * cells).clamp(4096, 1 << KEY_BITS), entries: 1 << 22 }
}

/// The most of a step in clocked mode.
const OF_STEP: Most = Most { entries: 1 << 26, ..Most::ALL };

/// Scratch for layers of cells.
#[derive(Debug, Clone, Default)]
pub(super) struct CellRun {
    pub read: CellEvents,
    stepwise: Stepwise,
    /// By touch: its events in the part.
    by_touch: Vec<u32>,
    /// By cell: where its entries end.
    ends: Vec<u32>,
    /// Those of all cells; further ones are old.
    entries: Vec<u32>,
    notes: Notes,
    /// By step of the part: where its events end.
    steps: Vec<usize>,
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
        population.carried.resize(layer.cells, false);
        self.by_touch.resize(self.by_touch.len().max(layer.touches.len()), 0);
        let reached = self.read.begin(layer, streams);
        self.steps.clear();
        let is_stepwise = CLOCKED && Stepwise::fits(layer) && reached >= layer.cells;
        let (mut work, mut step) = (Work::default(), 0);
        if is_stepwise && self.stepwise.take(layer, &population) {
            let outputs = (nodes, &mut *streams, &mut *room);
            (step, work) = self.stepwise(layer, &mut population, outputs, steps.len);
            self.stepwise.give(layer, &mut population);
        }
        if step < steps.len && room.is_open() {
            work += self.listed::<CLOCKED>(layer, &mut population, (nodes, streams, room), step..steps.len);
        }
        work
    }

    /// Clocked: step by step, up to a step in which a potential may leave 32 bits, whose events are read then. Returns
    /// it.
    fn stepwise(
        &mut self,
        layer: &CellLayer,
        population: &mut Population<'_>,
        (nodes, streams, room): (&[usize], &mut [Stream], &mut Room),
        steps: usize,
    ) -> (usize, Work) {
        let mut work = Work::default();
        for step in 0..steps {
            self.read.read(layer, streams, step, Most::ALL);
            if !room.is_open() || !self.stepwise.has_room(layer, self.read.events.len()) {
                return (step, work);
            }
            work += self.stepwise.act(layer, population, &self.read.events, step, (nodes, streams, room));
            self.read.clear();
        }
        (steps, work)
    }

    /// Runs steps by lists of what reaches each cell.
    fn listed<const CLOCKED: bool>(
        &mut self,
        layer: &CellLayer,
        population: &mut Population<'_>,
        (nodes, streams, room): (&[usize], &mut [Stream], &mut Room),
        steps: Range<usize>,
    ) -> Work {
        let mut work = Work::default();
        let mut first = steps.start;
        while first < steps.end {
            let (rest, most, ends) = (first..steps.end, part(layer.cells), &mut self.steps);
            let (end, left) = if CLOCKED {
                let end = self.read.read_whole_steps(layer, streams, rest, most, ends);
                if self.read.are_at_least(OF_STEP) {
                    room.close();
                    return work;
                }
                (end, end)
            } else {
                let left = self.read.read_steps(layer, streams, rest, most, ends);
                ((left + 1).min(steps.end), left)
            };
            work += self.part::<CLOCKED>(layer, population, first..end, (nodes, streams, room));
            first = left;
        }
        work
    }

    /// Processes the events of a part, which came in these steps.
    fn part<const CLOCKED: bool>(
        &mut self,
        layer: &CellLayer,
        population: &mut Population<'_>,
        steps: Range<usize>,
        (nodes, streams, room): (&[usize], &mut [Stream], &mut Room),
    ) -> Work {
        let operations = if layer.is_dense {
            self.line_up::<CLOCKED>(layer, steps.start)
        } else {
            let operations = self.lay_out(layer);
            self.distribute::<CLOCKED>(layer, steps.start);
            operations
        };
        let Population { neurons, rules, is_signed, repeats, kernel, carried, beyond, spikes_are_rare } = population;
        let Singles { v, counts, saturations } = neurons;
        let cells = &mut Cells { v, counts, saturations, lanes: layer.lanes, names: layer.names };
        let beyond = &mut Beyond { lanes: beyond.lanes, vectors: beyond.vectors };
        let made = &mut Made { notes: &mut self.notes.notes, steps: steps.start as u32..steps.end as u32, beyond };
        let rows = layer.weights.view();
        let entries = self.ends[layer.cells - 1] as usize;
        let lists = Lists { ends: &self.ends, entries: &self.entries[..entries] };
        let all = All { cells, carried, lists, rules, rows, made, spikes_are_rare };
        all.walk::<CLOCKED>(*is_signed, *repeats, *kernel);
        let keys = if CLOCKED { steps.end } else { self.read.events.len() };
        self.notes.sort(keys);
        if room.take(self.notes.spikes(0..keys)) {
            let ends = steps.clone().zip(&self.steps).map(|(step, &events)| if CLOCKED { step + 1 } else { events });
            self.notes.leave_by_step(steps.start, ends, layer.names, nodes, streams);
        }
        self.read.clear();
        self.steps.clear();
        Work { operations, updates: operations }
    }

    /// Puts the events of a dense layer, those from the first step on, into its only list. Returns how many neurons
    /// they reach.
    fn line_up<const CLOCKED: bool>(&mut self, layer: &CellLayer, first: usize) -> u64 {
        let Self { read: CellEvents { events, missing, .. }, steps, ends, entries, .. } = self;
        let entry = |(key, event): (usize, &Event)| event.row << KEY_BITS | key as u32;
        entries.clear();
        if CLOCKED {
            let mut start = 0;
            for (step, &end) in (first..).zip(&*steps) {
                entries.extend(events[start..end].iter().map(|event| entry((step, event))));
                start = end;
            }
        } else {
            entries.extend(events.iter().enumerate().map(entry));
        }
        let lanes = |event: &Event| u64::from(event.lanes);
        let operations = if missing.is_some() {
            let has_line = |event: &&Event| layer.touches[event.touch as usize].lines != 0;
            let mut all = events.iter();
            entries.retain(|_| all.next().is_some_and(|event| has_line(&event)));
            events.iter().filter(has_line).map(lanes).sum()
        } else {
            events.iter().map(lanes).sum()
        };
        ends.clear();
        ends.push(entries.len() as u32);
        operations
    }

    /// Makes room for the lists of the cells: `ends` are where they start until they are filled. Returns how many
    /// neurons the events reach.
    fn lay_out(&mut self, layer: &CellLayer) -> u64 {
        let Self { read: CellEvents { events, .. }, by_touch, ends, entries, .. } = self;
        events.iter().for_each(|event| by_touch[event.touch as usize] += 1);
        ends.clear();
        // One place further on.
        ends.resize(layer.cells + 1, 0);
        let (mut reached, mut operations) = (0, 0);
        for CellTable { places, lanes, .. } in &layer.tables {
            let mut of_table = 0;
            for (events, touch) in by_touch[places.start..places.end].iter_mut().zip(&layer.touches[places.start..]) {
                if *events == 0 {
                    continue;
                }
                let events = std::mem::take(events);
                of_table += events as usize * touch.cells();
                let mut cell = touch.cell as usize + 1;
                for _ in 0..touch.lines {
                    match &mut ends[cell..cell + touch.columns as usize] {
                        // Nearly always, of which loops know nothing.
                        [one, two, three] => (*one, *two, *three) = (*one + events, *two + events, *three + events),
                        some => some.iter_mut().for_each(|end| *end += events),
                    }
                    cell += layer.cell_step;
                }
            }
            // What reaches nothing.
            by_touch[places.end] = 0;
            reached += of_table;
            operations += (of_table * lanes) as u64;
        }
        let mut before = 0;
        for end in &mut *ends {
            before += *end;
            *end = before;
        }
        // What is there is written over.
        entries.resize(entries.len().max(reached), 0);
        operations
    }

    /// Puts the events, those from the first step on, into the lists of the cells that they reach.
    fn distribute<const CLOCKED: bool>(&mut self, layer: &CellLayer, first: usize) {
        let Self { read: CellEvents { events, .. }, steps, ends, entries, .. } = self;
        let mut start = 0;
        for (step, &end) in (first..).zip(&*steps) {
            for (k, event) in (start..).zip(&events[start..end]) {
                let touch = layer.touches[event.touch as usize];
                let key = if CLOCKED { step } else { k };
                let mut entry = (event.row + touch.row) << KEY_BITS | key as u32;
                let mut cell = touch.cell as usize;
                for _ in 0..touch.lines {
                    let mut put = |end: &mut u32, k: u32| {
                        entries[*end as usize] = entry + (k << KEY_BITS);
                        *end += 1;
                    };
                    match &mut ends[cell..cell + touch.columns as usize] {
                        // Nearly always, of which loops know nothing.
                        [one, two, three] => {
                            put(one, 0);
                            put(two, 1);
                            put(three, 2);
                        }
                        some => some.iter_mut().zip(0..).for_each(|(end, k)| put(end, k)),
                    }
                    cell += layer.cell_step;
                    entry += touch.row_step << KEY_BITS;
                }
            }
            start = end;
        }
    }
}
