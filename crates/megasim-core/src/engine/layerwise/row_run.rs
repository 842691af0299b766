//! Runs a map by itself in which an event reaches rows of a few neurons, such as one of a depthwise convolution, over
//! some steps: four neurons next to each other are a vector. The neurons of a map and its weights are in the cache, and
//! its spikes are in order at once.

use super::bounds::{Bounds, VectorBounds};
use super::event_rows::{EventRows, Take};
use super::lanes::{self, Lanes, Mask, Task};
use super::layers::{SingleInput, SingleLayer, SingleReach};
use super::room::Room;
use super::row_neurons::{Map, RowNeurons};
use super::row_steps::StepByStep;
use super::rules::{Kind, Vectors};
use super::streams::Stream;
use super::takers::{Singles, Takers, signed};
use super::weight_rows::segment;
use crate::engine::extremes::extremes;
use std::marker::PhantomData;

/// Spikes that are written before they are handed over.
const SPIKES: usize = 512;

/// Scratch for such maps.
#[derive(Debug, Clone, Default)]
pub(super) struct RowRun {
    neurons: RowNeurons,
    /// Those of the last events.
    spikes: Vec<u32>,
    /// By event: how many spikes there are after it.
    after: Vec<u32>,
}

impl RowRun {
    /// Runs a map as far as it can be run in this way; returns up to which step, and the number of operations. Clocked:
    /// `waiting` has a bit for each neuron beyond the threshold, `beyond` is not 0 for the steps after which there is
    /// one.
    pub fn run<K: Kind>(
        &mut self,
        map: &Map<'_>,
        neurons: &mut Singles<'_>,
        (waiting, beyond): (&mut [u64], &mut [u16]),
        (streams, room): (&mut [Stream], &mut Room),
        steps: usize,
    ) -> (usize, u64) {
        if !fits(map.layer, streams) || !self.neurons.take::<K>(neurons, &map.fixed.rules) {
            return (0, 0);
        }
        let mut leaving = std::mem::take(&mut streams[map.node]);
        let done = if K::CLOCKED {
            let inputs = inputs(map.layer, streams).map(|input| (input, &streams[input.node])).collect();
            let (neurons, leaving, kind) = (&mut self.neurons, &mut leaving, PhantomData::<K>);
            let task = StepByStep { map, neurons, inputs, waiting, beyond, leaving, room, kind };
            lanes::run_four(task, map.kernel)
        } else {
            (steps, self.at_once::<K>(map, streams, (&mut leaving, room), steps))
        };
        streams[map.node] = leaving;
        self.neurons.give(neurons);
        done
    }

    /// Neurons act on each event. Not step by step, as nothing could predict how many events each has.
    fn at_once<K: Kind>(
        &mut self,
        map: &Map<'_>,
        streams: &[Stream],
        (leaving, room): (&mut Stream, &mut Room),
        steps: usize,
    ) -> u64 {
        let active: Vec<&SingleInput> = inputs(map.layer, streams).collect();
        let pieces = pieces(&active, streams, steps);
        self.after.resize(self.after.len().max(pieces.iter().map(|(_, places)| places.len()).sum()), 0);
        self.spikes.resize(self.spikes.len().max(map.layer.most + SPIKES), 0);
        let before = leaving.places.len();
        let mut at = Cursor { before, ..Cursor::default() };
        loop {
            let task = AtOnce { map, run: self, pieces: &pieces, at: &mut at, kind: PhantomData::<K> };
            let stop = lanes::run_four(task, map.kernel);
            leaving.places.extend_from_slice(&self.spikes[..at.spikes]);
            if let Stop::Exactly(from, events) = stop {
                self.exactly::<K>(map, pieces[at.piece], &mut at, (from, events), &mut leaving.places);
            }
            if !room.take(leaving.places.len() - at.before) || matches!(stop, Stop::End) {
                break;
            }
            (at.before, at.spikes) = (leaving.places.len(), 0);
        }
        let starts: usize = active.iter().map(|input| streams[input.node].range(0).start).sum();
        leaving.close_at((0..steps).map(|step| {
            let ends: usize = active.iter().map(|input| streams[input.node].range(step).end).sum();
            (ends - starts).checked_sub(1).map_or(before, |last| self.after[last] as usize)
        }));
        at.operations
    }

    /// Some events of a piece neuron by neuron, the first one from a row and column on.
    #[cold]
    fn exactly<K: Kind>(
        &mut self,
        map: &Map<'_>,
        (input, places): Piece<'_>,
        at: &mut Cursor,
        ((mut row, mut column), events): ((usize, usize), usize),
        leaving: &mut Vec<u32>,
    ) {
        let n = map.layer.neurons;
        let RowNeurons { v, counts, bounds, saturations } = &mut self.neurons;
        let counts = if K::SIGNED { &mut counts[..n] } else { &mut [][..] };
        let (fixed, v) = (map.fixed, &mut v[..n]);
        let mut takers = Takers { fixed, v, counts, saturations, spikes: leaving };
        for &place in places[at.event..].iter().take(events) {
            if let Some(rows) = EventRows::of(input, place, n) {
                for row in std::mem::take(&mut row)..rows.rows {
                    let column = std::mem::take(&mut column);
                    let weights = &rows.weights[rows.w + row * rows.steps.1..][column..rows.columns];
                    let inputs = weights.iter().map(|&weight| signed(weight, place));
                    takers.take::<K>(rows.n + row * rows.steps.0 + column, inputs);
                }
                at.operations += rows.neurons();
            }
            self.after[at.events] = takers.spikes.len() as u32;
            at.event += 1;
            at.events += 1;
        }
        *bounds = Bounds::of(&fixed.rules, K::SIGNED, extremes(takers.v));
    }
}

/// Whether a layer is one map in which events reach rows.
fn fits(layer: &SingleLayer, streams: &[Stream]) -> bool {
    layer.maps == 1 && inputs(layer, streams).any(|input| matches!(input.reach, SingleReach::Lines(_)))
}

/// The inputs of a layer that have events.
fn inputs<'l>(layer: &'l SingleLayer, streams: &[Stream]) -> impl Iterator<Item = &'l SingleInput> {
    layer.inputs.iter().filter(|input| !streams[input.node].places.is_empty())
}

/// Successive events of an input.
type Piece<'a> = (&'a SingleInput, &'a [u32]);

/// All events of inputs in order: step by step, and in a step input by input.
fn pieces<'a>(active: &[&'a SingleInput], streams: &'a [Stream], steps: usize) -> Vec<Piece<'a>> {
    let of = |input: &SingleInput| &streams[input.node];
    let Some(&most) = active.iter().max_by_key(|input| of(input).places.len()) else { return Vec::new() };
    // Steps in which others have events, too.
    let others = active.iter().filter(|input| input.node != most.node);
    let mut mixed: Vec<usize> = others.flat_map(|input| of(input).steps().map(|(step, _)| step)).collect();
    mixed.sort_unstable();
    mixed.dedup();
    let piece = |input: &'a SingleInput, first: usize, end: usize| {
        (input, &of(input).places[of(input).range(first).start..of(input).range(end - 1).end])
    };
    let mut pieces = Vec::new();
    let mut first = 0;
    for step in mixed {
        if first < step {
            pieces.push(piece(most, first, step));
        }
        pieces.extend(active.iter().map(|input| piece(input, step, step + 1)));
        first = step + 1;
    }
    if first < steps {
        pieces.push(piece(most, first, steps));
    }
    pieces
}

/// Where a run in which neurons act at once is.
#[derive(Debug, Default)]
struct Cursor {
    piece: usize,
    /// Of the piece.
    event: usize,
    /// How many there were.
    events: usize,
    /// Spikes that were handed over, and those that were not.
    before: usize,
    spikes: usize,
    operations: u64,
}

/// Why such a run stops.
enum Stop {
    End,
    /// There may be no room for the spikes of the next event.
    Full,
    /// The next events have to be done neuron by neuron, from a row and column of the first one on: there a neuron
    /// spikes several times, or a potential may leave 32 bits.
    Exactly((usize, usize), usize),
}

/// Neurons act on each event. What is rare is left to the caller, as compilers keep no vector in a register across a
/// call.
struct AtOnce<'a, 'm, K> {
    map: &'a Map<'m>,
    run: &'a mut RowRun,
    pieces: &'a [Piece<'a>],
    at: &'a mut Cursor,
    kind: PhantomData<K>,
}

impl<K: Kind> Task for AtOnce<'_, '_, K> {
    type Output = Stop;
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) -> Stop {
        let Self { map, run: RowRun { neurons, spikes, after }, pieces, at, .. } = self;
        let (segment, most) = (segment(map.layer.largest), map.layer.most);
        let reach = segment as i64 * map.layer.largest;
        let (v, counts) = (neurons.v.as_mut_ptr(), neurons.counts.as_mut_ptr());
        while let Some(&(input, places)) = pieces.get(at.piece) {
            while at.event < places.len() {
                if !neurons.bounds.have_room(reach) {
                    return Stop::Exactly((0, 0), segment);
                }
                let room = spikes.len() - most - L::WIDTH;
                let events = at.event..places.len().min(at.event + segment);
                let after = &mut after[at.events..][..events.len()];
                // SAFETY: the instructions are there, and the neurons with room for a vector behind them; there is room
                // for the spikes of an event and a vector.
                unsafe {
                    let to = spikes.as_mut_ptr().add(at.spikes);
                    let (rule, bounds) = (Vectors::<L>::new(&map.fixed.rules), VectorBounds::new(neurons.bounds));
                    let mut tested = TestedAtOnce { rule, bounds, v, counts, to, kind: PhantomData::<K> };
                    let (start, full) = (spikes.as_ptr(), spikes.as_ptr().add(room));
                    let mut stop = None;
                    for (&place, after) in places[events.clone()].iter().zip(after) {
                        if tested.to.cast_const() > full {
                            stop = Some(Stop::Full);
                            break;
                        }
                        if let Some(rows) = EventRows::of(input, place, map.layer.neurons) {
                            let operations = rows.neurons();
                            if let Some(from) = rows.add(place, v, &mut tested) {
                                stop = Some(Stop::Exactly(from, 1));
                                break;
                            }
                            at.operations += operations;
                        }
                        *after = (at.before + tested.to.offset_from(start) as usize) as u32;
                        at.event += 1;
                    }
                    at.events += at.event - events.start;
                    at.spikes = tested.to.offset_from(start) as usize;
                    neurons.bounds = tested.bounds.all();
                    if let Some(stop) = stop {
                        return stop;
                    }
                }
            }
            at.piece += 1;
            at.event = 0;
        }
        Stop::End
    }
}

/// The neurons of the rows are tested at once.
struct TestedAtOnce<L, K> {
    rule: Vectors<L>,
    bounds: VectorBounds<L>,
    v: *mut i32,
    counts: *mut i32,
    /// Where the next spike goes; there is room for a vector of them.
    to: *mut u32,
    kind: PhantomData<K>,
}

impl<L: Lanes, K: Kind> Take<L> for TestedAtOnce<L, K> {
    #[inline(always)]
    unsafe fn take(&mut self, reached: u16, n: usize, v: L) -> bool {
        // SAFETY: the caller's promise; there is room for spikes.
        unsafe {
            self.bounds.include::<K>(v);
            let counts = self.counts.wrapping_add(n);
            let tested = self.rule.test::<K>(v, counts, L::Mask::of(reached));
            if K::SIGNED && tested.again {
                return false;
            }
            tested.v.store_where(!0, self.v.add(n));
            if K::SIGNED {
                tested.counts.store_where(!0, counts);
            }
            self.to = self.to.add(L::write_spikes(tested.up, tested.down, n as u32, self.to));
            true
        }
    }
}
