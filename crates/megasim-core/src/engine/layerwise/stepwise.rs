//! Runs a layer of cells step by step in clocked mode, with the potentials in memory: the weights of all events of a
//! step are added, then the cells with input are tested, whose spikes are in order at once. As long as the potentials
//! are in a cache, be it a slow one, this takes less than [lists of events](super::cell_run) for each cell, which have
//! to be made, and of which the spikes have to be sorted. In event mode, where a vector is tested after each event, it
//! takes as much.

use super::bounds::{Bounds, VectorBounds};
use super::cell_events::Event;
use super::cells::{Beyond, Cells, Made};
use super::gathered::Population;
use super::lanes::{self, LANES, Lanes, Mask, Task};
use super::layers::CellLayer;
use super::notes::{Names, Note, leave};
use super::room::Room;
use super::rules::{Kind, Plain, Rules, Signed, Vectors};
use super::streams::Stream;
use crate::engine::aligned::Aligned;
use crate::engine::extremes::extremes;
use crate::engine::neurons::Work;
use std::marker::PhantomData;

/// Most bytes of potentials: a part of the third level of common caches.
const MOST_BYTES: usize = 4 << 20;

/// Cells that are looked at together.
const BLOCK: usize = 64;

/// The neurons of a layer, cell by cell, in whole vectors. Lanes without a neuron have a potential and weights of 0,
/// and the least count, so that they never spike.
#[derive(Debug, Clone, Default)]
pub(super) struct Stepwise {
    v: Aligned,
    counts: Aligned,
    /// By cell, in whole blocks: 1 if it has input in this step, or a neuron beyond the threshold before it.
    acting: Vec<u8>,
    /// Those of a step.
    spikes: Vec<Note>,
    bounds: Bounds,
}

impl Stepwise {
    /// Whether the potentials of a layer are in the cache, and its events would be in more than one list.
    pub fn fits(layer: &CellLayer) -> bool {
        !layer.is_dense
            && layer.tables.iter().any(|table| table.most_cells > 1)
            && layer.cells * layer.weights.stride * size_of::<i32>() <= MOST_BYTES
    }

    /// Takes the neurons of a layer, if it can be run in this way.
    pub fn take(&mut self, layer: &CellLayer, population: &Population<'_>) -> bool {
        let (v, counts) = (&*population.neurons.v, &*population.neurons.counts);
        let (lanes, stride) = (layer.lanes, layer.weights.stride);
        let n = layer.cells * stride;
        let (low, high) = extremes(v);
        let Rules { threshold, signed, .. } = population.rules;
        if !population.rules.is_simple(population.is_signed, low) {
            return false;
        }
        self.v.grow(n);
        pad(&mut self.v, v, (lanes, stride), 0);
        if population.is_signed {
            self.counts.grow(n);
            pad(&mut self.counts, counts, (lanes, stride), signed.min_count);
        }
        self.bounds = Bounds::of(&population.rules, population.is_signed, (low, high));
        self.acting.clear();
        self.acting.resize(layer.cells.next_multiple_of(BLOCK), 0);
        if !population.is_signed && high >= threshold {
            let is_beyond = |cell: &[i32]| u8::from(cell.iter().any(|&v| v >= threshold));
            self.acting.iter_mut().zip(v.chunks_exact(lanes)).for_each(|(acting, cell)| *acting = is_beyond(cell));
        }
        true
    }

    /// Gives them back.
    pub fn give(&self, layer: &CellLayer, population: &mut Population<'_>) {
        let lanes = (layer.lanes, layer.weights.stride);
        unpad(population.neurons.v, &self.v, lanes);
        if population.is_signed {
            unpad(population.neurons.counts, &self.counts, lanes);
        }
        population.carried.iter_mut().zip(&self.acting).for_each(|(carried, acting)| *carried = *acting == 1);
    }

    /// Whether no potential leaves 32 bits by this many events in one step.
    pub fn has_room(&self, layer: &CellLayer, events: usize) -> bool {
        self.bounds.have_room((events as i64).saturating_mul(layer.weights.largest))
    }

    /// Runs the events of a step; the spikes go to the streams of the nodes.
    pub fn act(
        &mut self,
        layer: &CellLayer,
        population: &mut Population<'_>,
        events: &[Event],
        step: usize,
        (nodes, streams, room): (&[usize], &mut [Stream], &mut Room),
    ) -> Work {
        let Population { neurons, rules, is_signed, kernel, beyond, .. } = population;
        let Self { v, counts, acting, bounds, spikes } = self;
        let (saturations, lanes) = (&mut *neurons.saturations, layer.weights.stride);
        let cells = Cells { v, counts, saturations, lanes, names: layer.names };
        let state = State { cells, acting, bounds, layer, rules };
        let beyond = &mut Beyond { lanes: beyond.lanes, vectors: beyond.vectors };
        let made = &mut Made { notes: spikes, steps: step as u32..step as u32 + 1, beyond };
        let operations = match is_signed {
            true => {
                lanes::run(Step { state, events, made, kind: PhantomData::<Signed<true, false>> }, *kernel, layer.lanes)
            }
            false => {
                lanes::run(Step { state, events, made, kind: PhantomData::<Plain<true, false>> }, *kernel, layer.lanes)
            }
        };
        // Dense layers, of which cells are no positions, are not run so.
        if let Names::Positions { shift } = layer.names
            && !self.spikes.is_empty()
        {
            if room.take(self.spikes.iter().map(|note| note.spikes()).sum()) {
                leave(&self.spikes, shift, nodes, streams);
                nodes.iter().for_each(|&node| streams[node].close(step));
            }
            self.spikes.clear();
        }
        Work { operations, updates: operations }
    }
}

/// Copies cells of some lanes to cells of more.
fn pad(to: &mut [i32], from: &[i32], (lanes, stride): (usize, usize), other: i32) {
    if lanes == stride {
        return to[..from.len()].copy_from_slice(from);
    }
    for (to, from) in to.chunks_exact_mut(stride).zip(from.chunks_exact(lanes)) {
        to[..lanes].copy_from_slice(from);
        to[lanes..].fill(other);
    }
}

/// Copies them back.
fn unpad(to: &mut [i32], from: &[i32], (lanes, stride): (usize, usize)) {
    if lanes == stride {
        return to.copy_from_slice(&from[..to.len()]);
    }
    for (to, from) in to.chunks_exact_mut(lanes).zip(from.chunks_exact(stride)) {
        to.copy_from_slice(&from[..lanes]);
    }
}

/// What the events of a step act on.
struct State<'a> {
    /// In whole vectors.
    cells: Cells<'a>,
    acting: &'a mut [u8],
    bounds: &'a mut Bounds,
    layer: &'a CellLayer,
    rules: &'a Rules,
}

impl State<'_> {
    /// Adds the weights of an event. Returns how many neurons it reaches.
    ///
    /// # Safety
    /// The instructions of `L` are there.
    #[inline(always)]
    unsafe fn add<L: Lanes>(&mut self, event: Event) -> u64 {
        let layer = self.layer;
        let (weights, stride) = (layer.weights.view().weights, layer.weights.stride);
        let touch = layer.touches[event.touch as usize];
        let (n, columns) = (usize::from(touch.columns) * stride, usize::from(touch.columns));
        let (mut cell, mut row) = (touch.cell as usize, (event.row + touch.row) as usize);
        for _ in 0..touch.lines {
            let v = &mut self.cells.v[cell * stride..][..n];
            let weights = &weights[row * stride..][..n];
            for (v, weights) in v.chunks_exact_mut(LANES).zip(weights.chunks_exact(LANES)) {
                // SAFETY: the caller's promise; both are a vector.
                unsafe { L::load(v.as_ptr()).add(L::load(weights.as_ptr())).store_where(!0, v.as_mut_ptr()) };
            }
            match &mut self.acting[cell..cell + columns] {
                // Nearly always; others are a call.
                [one, two, three] => (*one, *two, *three) = (1, 1, 1),
                some => some.fill(1),
            }
            cell += layer.cell_step;
            row += touch.row_step as usize;
        }
        touch.cells() as u64 * u64::from(event.lanes)
    }
}

/// The events of a step, then the test of the cells that have input, or a neuron beyond the threshold.
struct Step<'a, 'm, K> {
    state: State<'a>,
    events: &'a [Event],
    made: &'a mut Made<'m>,
    kind: PhantomData<K>,
}

impl<K: Kind> Task for Step<'_, '_, K> {
    type Output = u64;
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) -> u64 {
        let Self { mut state, events, made, .. } = self;
        // SAFETY: the instructions are there.
        let operations = events.iter().map(|&event| unsafe { state.add::<L>(event) }).sum();
        let (stride, names) = (state.layer.weights.stride, state.layer.names);
        let neurons = state.layer.cells * stride;
        assert!(neurons <= state.cells.v.len() && (!K::SIGNED || neurons <= state.cells.counts.len()));
        let (v, counts) = (state.cells.v.as_mut_ptr(), state.cells.counts.as_mut_ptr());
        // SAFETY: the instructions are there; so are the vectors of all cells, of which alone a byte is set; and room
        // for a note of each vector.
        unsafe {
            let rule = Vectors::<L>::new(state.rules);
            let mut bounds = VectorBounds::<L>::new(*state.bounds);
            for first in (0..state.layer.cells).step_by(BLOCK) {
                let mut acting = take_bits(&mut state.acting[first..first + BLOCK]);
                let mut room = made.room(BLOCK * stride / LANES);
                while acting != 0 {
                    let cell = first + acting.trailing_zeros() as usize;
                    acting &= acting - 1;
                    for lane in (0..stride).step_by(LANES) {
                        let (at, vector) = (cell * stride + lane, names.vector(cell, lane));
                        let (v, counts) = (v.add(at), counts.wrapping_add(at));
                        let sum = L::load(v);
                        bounds.include::<K>(sum);
                        let tested = rule.test::<K>(sum, counts, L::Mask::of(!0));
                        let masks = tested.up.bits_with(tested.down);
                        if tested.again && K::SIGNED {
                            // Rare.
                            made.noted(room);
                            let fired = masks as u16 | (masks >> LANES) as u16;
                            state.cells.repeat((at, made.steps.start, vector), fired, state.rules, made.notes);
                            room = made.room(BLOCK * stride / LANES);
                            continue;
                        }
                        tested.v.store_where(!0, v);
                        if K::SIGNED {
                            tested.counts.store_where(!0, counts);
                        } else if tested.again {
                            // It spikes in the next step, too.
                            let still = tested.v.above(L::Mask::of(!0), rule.below_threshold).bits();
                            made.beyond.mark(made.steps.start, vector, still);
                            state.acting[cell] = 1;
                        }
                        room.write(Note::of_masks(made.steps.start, vector, masks));
                        room = room.add(usize::from(masks != 0));
                    }
                }
                made.noted(room);
            }
            *state.bounds = bounds.all();
        }
        operations
    }
}

/// A bit for each byte, which are 0 or 1, and become 0.
#[inline(always)]
fn take_bits(bytes: &mut [u8]) -> u64 {
    let (words, _) = bytes.as_chunks::<8>();
    let bits = words.iter().rev().fold(0, |bits, &word| {
        // Byte `k` comes to bit `56 + k`, and nothing else to these.
        bits << 8 | u64::from_le_bytes(word).wrapping_mul(0x0102_0408_1020_4080) >> 56
    });
    bytes.fill(0);
    bits
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn bytes_become_bits_and_nothing(mut bytes in prop::collection::vec(0u8..2, BLOCK)) {
            let expected = (0..BLOCK).fold(0, |bits, k| bits | u64::from(bytes[k]) << k);
            prop_assert_eq!(take_bits(&mut bytes), expected);
            prop_assert!(bytes.iter().all(|&byte| byte == 0));
        }
    }
}
