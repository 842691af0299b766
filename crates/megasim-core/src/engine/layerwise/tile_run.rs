//! Runs a layer of tiles over some steps: map by map, all events into a list for each tile, as for layers of cells.

use super::cells::{Beyond, Cells, Made};
use super::gathered::Population;
use super::lanes::LANES;
use super::lists::{All, Lists};
use super::notes::{KEY_BITS, Names, Notes};
use super::places::{NEGATIVE, sort_places};
use super::room::Room;
use super::single_run::Singles;
use super::streams::{Steps, Stream};
use super::tile_layer::{Grid, NO_TILE, Quad, TileInput, TileLayer, TileMap};
use crate::engine::neurons::Work;

/// Keys of a part, and events after which it ends, and the most that it may have: in clocked mode it has whole maps.
const PART: usize = 4096;
const EVENTS: usize = 1 << 20;
const MOST_EVENTS: usize = 1 << 24;

const _: () = assert!(PART <= 1 << KEY_BITS);

/// Scratch for layers of tiles.
#[derive(Debug, Clone, Default)]
pub(super) struct TileRun {
    events: Vec<Event>,
    maps: Vec<MapEvents>,
    /// By tile, and one more for what is nowhere: where its entries end.
    ends: Vec<u32>,
    entries: Vec<u32>,
    notes: Notes,
    keys: Keys,
    /// The inputs of a map that have events.
    active: Vec<usize>,
    /// By tile: the position of the first lane.
    corners: Vec<u32>,
}

/// The keys of a part.
#[derive(Debug, Clone, Default)]
struct Keys {
    /// How many were given.
    used: usize,
    /// Steps of maps, in order.
    ends: Vec<KeyEnd>,
}

/// A step of a map with events, or with what may spike without them: the key after its last one.
#[derive(Debug, Clone, Copy)]
struct KeyEnd {
    map: usize,
    step: usize,
    end: usize,
}

/// An event: some tiles that it reaches.
#[derive(Debug, Clone, Copy)]
struct Event {
    /// The number of the quad.
    quad: u32,
    /// The key, and above it the first row.
    entry: u32,
}

/// The events of a map in a part.
#[derive(Debug, Clone, Copy)]
struct MapEvents {
    map: usize,
    end: usize,
}

/// A tile of a map, among those of all maps, from the first one of the map on; `none` without one.
#[inline(always)]
fn tile_of(tile: u16, first: usize, none: usize) -> usize {
    if tile == NO_TILE { none } else { first + usize::from(tile) }
}

impl TileRun {
    /// Runs a layer; its spikes go to the streams of its nodes. Clocked: `updates` are those of steps with input.
    pub fn run<const CLOCKED: bool>(
        &mut self,
        layer: &TileLayer,
        mut population: Population<'_>,
        (nodes, streams, room): (&[usize], &mut [Stream], &mut Room),
        steps: Steps,
    ) -> Work {
        self.corners.clear();
        layer.maps.iter().for_each(|_| self.corners.extend(layer.grid.corners()));
        population.carried.resize(self.corners.len(), false);
        self.events.clear();
        self.maps.clear();
        self.keys.used = 0;
        self.keys.ends.clear();
        let is_signed = population.is_signed;
        let (mut operations, mut acts) = (0, 0);
        let mut active = std::mem::take(&mut self.active);
        for (map, TileMap { inputs }) in layer.maps.iter().enumerate() {
            active.clear();
            active.extend((0..inputs.len()).filter(|&k| !streams[inputs[k].node].places.is_empty()));
            let first = self.keys.used;
            for step in 0..steps.len {
                if CLOCKED {
                    self.keys.used = first + step;
                }
                let mut has_events = false;
                for &input in &active {
                    let input = &inputs[input];
                    let mut range = streams[input.node].range(step);
                    has_events |= !range.is_empty();
                    while !range.is_empty() {
                        let places = &streams[input.node].places[range.clone()];
                        range.start += self.read::<CLOCKED>(layer, input, places, &mut operations);
                        if CLOCKED && self.events.len() > MOST_EVENTS {
                            room.close();
                            return Work::default();
                        }
                        if !CLOCKED && self.is_full() {
                            self.keys.ends.push(KeyEnd { map, step, end: self.keys.used });
                            self.maps.push(MapEvents { map, end: self.events.len() });
                            self.part::<CLOCKED>(layer, &mut population, (nodes, streams, room));
                        }
                    }
                }
                acts += usize::from(has_events);
                if has_events && (is_signed || !CLOCKED) {
                    self.keys.ends.push(KeyEnd { map, step, end: self.keys.used + usize::from(CLOCKED) });
                }
            }
            self.maps.push(MapEvents { map, end: self.events.len() });
            if CLOCKED {
                self.keys.used = first + steps.len;
                if !is_signed {
                    let end = |step| KeyEnd { map, step, end: first + step + 1 };
                    self.keys.ends.extend((0..steps.len).map(end));
                }
                // A part has whole maps.
                if self.is_full() || self.keys.used + steps.len > PART {
                    self.part::<CLOCKED>(layer, &mut population, (nodes, streams, room));
                }
            }
        }
        self.active = active;
        self.part::<CLOCKED>(layer, &mut population, (nodes, streams, room));
        Work { operations, updates: if CLOCKED { (acts * layer.grid.neurons()) as u64 } else { operations } }
    }

    fn is_full(&self) -> bool {
        self.keys.used >= PART || self.events.len() >= EVENTS
    }

    /// Notes what events reach, in event mode until the part is full. Returns how many events were read.
    fn read<const CLOCKED: bool>(
        &mut self,
        layer: &TileLayer,
        TileInput { first_row, reach, first_quad, .. }: &TileInput,
        places: &[u32],
        operations: &mut u64,
    ) -> usize {
        for (k, &place) in places.iter().enumerate() {
            if (!CLOCKED && self.is_full()) || self.events.len() > MOST_EVENTS {
                return k;
            }
            let Some(reached) = reach.places.get((place & !NEGATIVE) as usize) else { continue };
            *operations += u64::from(reached.operations);
            let sign = if place & NEGATIVE == 0 { 0 } else { layer.weights.rows as u32 };
            let entry = (first_row + sign) << KEY_BITS | self.keys.used as u32;
            for quad in reached.quads.0..reached.quads.1 {
                self.events.push(Event { quad: first_quad + quad, entry });
            }
            self.keys.used += usize::from(!CLOCKED);
        }
        places.len()
    }

    /// Processes the events that were noted.
    fn part<const CLOCKED: bool>(
        &mut self,
        layer: &TileLayer,
        population: &mut Population<'_>,
        (nodes, streams, room): (&[usize], &mut [Stream], &mut Room),
    ) {
        let per_map = layer.grid.tiles();
        self.distribute(layer);
        let Population { neurons, rules, is_signed, repeats, kernel, carried, beyond } = population;
        let Singles { v, counts, saturations } = neurons;
        let cells = &mut Cells { v, counts, saturations, lanes: LANES, names: Names::Tiles { per_map } };
        let beyond = &mut Beyond { lanes: beyond.lanes, vectors: beyond.vectors };
        let made = &mut Made { notes: &mut self.notes.notes, steps: 0..self.keys.used as u32, beyond };
        let lists = Lists { ends: &self.ends, entries: &self.entries };
        let rows = layer.weights.view();
        All { cells, carried, lists, rules, rows, made }.walk::<CLOCKED>(*is_signed, *repeats, *kernel);
        self.notes.sort(self.keys.used);
        self.leave(&layer.grid, (nodes, streams, room));
        self.events.clear();
        self.maps.clear();
        self.keys.used = 0;
        self.keys.ends.clear();
    }

    /// Puts the events into the lists of the tiles.
    fn distribute(&mut self, layer: &TileLayer) {
        let Self { events, maps, ends, entries, .. } = self;
        let (per_map, width) = (layer.grid.tiles(), layer.width);
        // The list behind those of all maps is of what is nowhere.
        let none = layer.maps.len() * per_map;
        ends.clear();
        ends.resize(none + 2, 0);
        // One place further on: until they are filled, where the lists start.
        let mut start = 0;
        for &MapEvents { map, end } in &*maps {
            for event in &events[start..end] {
                let tiles = &layer.quads[event.quad as usize].tiles[..width];
                tiles.iter().for_each(|&tile| ends[tile_of(tile, map * per_map, none) + 1] += 1);
            }
            start = end;
        }
        let mut before = 0;
        for end in &mut *ends {
            before += *end;
            *end = before;
        }
        entries.clear();
        entries.resize(width * events.len(), 0);
        let mut start = 0;
        for &MapEvents { map, end } in &*maps {
            for event in &events[start..end] {
                let Quad { tiles, rows } = &layer.quads[event.quad as usize];
                for (&tile, &row) in tiles[..width].iter().zip(rows) {
                    let end = &mut ends[tile_of(tile, map * per_map, none)];
                    entries[*end as usize] = event.entry + (u32::from(row) << KEY_BITS);
                    *end += 1;
                }
            }
            start = end;
        }
    }

    /// Hands over the spikes of a part.
    fn leave(&self, grid: &Grid, (nodes, streams, room): (&[usize], &mut [Stream], &mut Room)) {
        let offsets = grid.offsets();
        let mut from = 0;
        for &KeyEnd { map, step, end } in &self.keys.ends {
            let keys = from..end;
            from = end;
            let notes = self.notes.of(keys.clone());
            if notes.is_empty() {
                continue;
            }
            let stream = &mut streams[nodes[map]];
            if room.take(self.notes.spikes(keys)) {
                for alike in notes.chunk_by(|one, next| one.key() == next.key()) {
                    let first = stream.places.len();
                    for note in alike {
                        let corner = self.corners[note.vector() as usize];
                        note.each(|lane, mark| stream.places.push((corner + offsets[lane as usize]) | mark));
                    }
                    // Those of one event or step leave row by row.
                    if alike.len() > 1 {
                        sort_places(&mut stream.places[first..]);
                    }
                }
            }
            stream.close(step);
        }
    }
}
