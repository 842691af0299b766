//! Runs a map by itself in which an event reaches rows of a few neurons, such as one of a depthwise convolution, over
//! some steps: four neurons next to each other are a vector. The neurons of a map and its weights are in the cache, and
//! its spikes are in order at once.

use super::bounds::{Bounds, VectorBounds};
use super::lanes::{self, Lanes, Mask, Task};
use super::layers::{Lines, SingleInput, SingleLayer, SingleReach};
use super::places::{NEGATIVE, NOWHERE};
use super::room::Room;
use super::rules::{Kind, Rules, Vectors};
use super::single_run::{Fixed, Singles, Takers, places_of, signed};
use super::streams::Stream;
use super::weight_rows::SEGMENT_REACH;
use crate::engine::aligned::Aligned;
use crate::engine::extremes::extremes;
use crate::engine::kernels::{Variant, spike};
use std::marker::PhantomData;

/// Spikes that are written before they are handed over.
const SPIKES: usize = 4096;

/// Scratch for such maps.
#[derive(Debug, Clone, Default)]
pub(super) struct RowRun {
    /// The neurons of a map; behind them there is room for a vector.
    v: Aligned,
    counts: Aligned,
    saturations: [u64; 1],
    bounds: Bounds,
    /// Those of the last events.
    spikes: Vec<u32>,
    /// By event: how many spikes there are after it.
    after: Vec<u32>,
}

/// A map, and where its spikes go.
pub(super) struct Map<'m> {
    pub layer: &'m SingleLayer,
    pub fixed: Fixed,
    pub kernel: Variant,
    pub node: usize,
}

impl RowRun {
    /// Whether a layer is one map in which events reach rows.
    fn fits(layer: &SingleLayer, streams: &[Stream]) -> bool {
        let mut inputs = inputs(layer, streams);
        layer.maps == 1 && inputs.any(|input| matches!(input.reach, SingleReach::Lines(_)))
    }

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
        let (rules, n) = (&map.fixed.rules, map.layer.neurons);
        if !lanes::has_four(map.kernel) || !Self::fits(map.layer, streams) {
            return (0, 0);
        }
        let (low, high) = extremes(neurons.v);
        if !rules.is_simple(K::SIGNED, low) {
            return (0, 0);
        }
        self.bounds = rules.bounds(K::SIGNED, (low, high));
        self.saturations = [0];
        for (to, from) in [(&mut self.v, &*neurons.v), (&mut self.counts, &*neurons.counts)] {
            to.grow(n + lanes::LANES);
            to[..from.len()].copy_from_slice(from);
        }
        // What is behind them never spikes.
        self.v[n..n + lanes::LANES].fill(0);
        let mut leaving = std::mem::take(&mut streams[map.node]);
        let before = leaving.places.len();
        let done = if K::CLOCKED {
            let kind = PhantomData::<K>;
            let inputs = inputs(map.layer, streams).map(|input| (input, &streams[input.node])).collect();
            let leaving = &mut leaving;
            lanes::run_four(
                StepByStep { map, neurons: self, inputs, waiting, beyond, leaving, steps, kind },
                map.kernel,
            )
        } else {
            (steps, self.at_once::<K>(map, streams, &mut leaving, steps))
        };
        room.take(leaving.places.len() - before);
        streams[map.node] = leaving;
        neurons.v.copy_from_slice(&self.v[..n]);
        neurons.saturations[0] += self.saturations[0];
        let counts = neurons.counts.len();
        neurons.counts.copy_from_slice(&self.counts[..counts]);
        done
    }

    /// Neurons act on each event. Not step by step, as nothing could predict how many events each has.
    fn at_once<K: Kind>(&mut self, map: &Map<'_>, streams: &[Stream], leaving: &mut Stream, steps: usize) -> u64 {
        let active: Vec<&SingleInput> = inputs(map.layer, streams).collect();
        let pieces = pieces(&active, streams, steps);
        self.after.resize(self.after.len().max(pieces.iter().map(|(_, places)| places.len()).sum()), 0);
        self.spikes.resize(self.spikes.len().max(map.layer.most + SPIKES), 0);
        let before = leaving.places.len();
        let mut at = Cursor { before, ..Cursor::default() };
        loop {
            let task = AtOnce { map, neurons: self, pieces: &pieces, at: &mut at, kind: PhantomData::<K> };
            let stop = lanes::run_four(task, map.kernel);
            leaving.places.extend_from_slice(&self.spikes[..at.spikes]);
            match stop {
                Stop::End => break,
                Stop::Full => {}
                Stop::Exactly(from, events) => {
                    self.exactly::<K>(map, pieces[at.piece], &mut at, (from, events), &mut leaving.places);
                }
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
        let counts = if K::SIGNED { &mut self.counts[..n] } else { &mut [][..] };
        let (fixed, v, saturations) = (map.fixed, &mut self.v[..n], &mut self.saturations[..]);
        let mut takers = Takers { fixed, v, counts, saturations, spikes: leaving };
        for &place in places[at.event..].iter().take(events) {
            if let Some(rows) = EventRows::of(input, place, n) {
                for row in std::mem::take(&mut row)..rows.rows {
                    let column = std::mem::take(&mut column);
                    let weights = &rows.weights[rows.w + row * rows.steps.1..][column..rows.columns];
                    let inputs = weights.iter().map(|&weight| signed(weight, place));
                    takers.take::<K>(rows.n + row * rows.steps.0 + column, inputs);
                }
                at.operations += (rows.columns * rows.rows) as u64;
            }
            self.after[at.events] = takers.spikes.len() as u32;
            at.event += 1;
            at.events += 1;
        }
        let (low, high) = extremes(&self.v[..n]);
        self.bounds = map.fixed.rules.bounds(K::SIGNED, (low, high));
    }
}

impl Map<'_> {
    /// Events that may come between two looks at the bounds.
    fn segment(&self) -> usize {
        (SEGMENT_REACH / self.layer.largest.max(1)).min(1 << 20) as usize
    }
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

/// What an event reaches: rows of neurons.
struct EventRows<'l> {
    n: usize,
    w: usize,
    columns: usize,
    rows: usize,
    /// From row to row, in neurons and in weights.
    steps: (usize, usize),
    weights: &'l [i32],
}

impl<'l> EventRows<'l> {
    /// None if it reaches nothing. They are inside the weights and `neurons`.
    #[inline(always)]
    fn of(input: &'l SingleInput, place: u32, neurons: usize) -> Option<Self> {
        let place = (place & !NEGATIVE) as usize;
        let all = match &input.reach {
            SingleReach::Lines(Lines { touches, weights, neuron_step }) => {
                let touch = touches.get(place)?;
                Self {
                    n: touch.cell as usize,
                    w: touch.row as usize,
                    columns: touch.columns.into(),
                    rows: touch.lines.into(),
                    steps: (*neuron_step, touch.row_step as usize),
                    weights,
                }
            }
            SingleReach::Taps(taps) => {
                let tap = taps.get(place).filter(|tap| tap.neuron != NOWHERE)?;
                let weights = std::slice::from_ref(&tap.weight);
                Self { n: tap.neuron as usize, w: 0, columns: 1, rows: 1, steps: (0, 0), weights }
            }
            SingleReach::Nothing => return None,
        };
        let Self { n, w, columns, rows, steps, weights } = all;
        if rows == 0 {
            return None;
        }
        assert!(n + (rows - 1) * steps.0 + columns <= neurons && w + (rows - 1) * steps.1 + columns <= weights.len());
        Some(all)
    }
}

/// What becomes of the vectors of the rows that events reach.
trait Take<L> {
    /// The lanes that are reached, from neuron `n` on, have these potentials now, if nothing is done. Says whether it was
    /// done.
    ///
    /// # Safety
    /// The instructions are there, and a vector of neurons from `n` on.
    unsafe fn take(&mut self, reached: u16, n: usize, v: L) -> bool;
}

impl EventRows<'_> {
    fn neurons(&self) -> u64 {
        (self.columns * self.rows) as u64
    }

    /// Adds the weights. Returns the row and the column from which on that was not done, if so.
    ///
    /// # Safety
    /// The instructions are there; `v` are the neurons of the layer, with room for a vector behind them.
    #[inline(always)]
    unsafe fn add<L: Lanes>(self, place: u32, v: *const i32, to: &mut impl Take<L>) -> Option<(usize, usize)> {
        let Self { mut n, mut w, columns, rows, steps, weights } = self;
        // SAFETY: the instructions are there; all rows are inside, and a vector has room behind the neurons.
        unsafe {
            let (positive, negative) = (L::Mask::all_if(place >> 31 == 0), L::Mask::all_if(place >> 31 == 1));
            if columns > L::WIDTH {
                for row in 0..rows {
                    for column in (0..columns).step_by(L::WIDTH) {
                        let reached = first_lanes((columns - column).min(L::WIDTH));
                        let weights = L::load_where(reached, weights.as_ptr().add(w + column));
                        let sum = L::load(v.add(n + column)).change(negative, positive, weights);
                        if !to.take(reached, n + column, sum) {
                            return Some((row, column));
                        }
                    }
                    (n, w) = (n + steps.0, w + steps.1);
                }
                return None;
            }
            let reached = first_lanes(columns);
            for row in 0..rows {
                let weights = L::load_where(reached, weights.as_ptr().add(w));
                let sum = L::load(v.add(n)).change(negative, positive, weights);
                if !to.take(reached, n, sum) {
                    return Some((row, 0));
                }
                (n, w) = (n + steps.0, w + steps.1);
            }
        }
        None
    }
}

/// A bit for each of the first lanes.
#[inline(always)]
fn first_lanes(n: usize) -> u16 {
    !(!0 << n) as u16
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
    neurons: &'a mut RowRun,
    pieces: &'a [Piece<'a>],
    at: &'a mut Cursor,
    kind: PhantomData<K>,
}

impl<K: Kind> Task for AtOnce<'_, '_, K> {
    type Output = Stop;
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) -> Stop {
        let Self { map, neurons, pieces, at, .. } = self;
        let (segment, most) = (map.segment(), map.layer.most);
        let reach = segment as i64 * map.layer.largest;
        let (v, counts) = (neurons.v.as_mut_ptr(), neurons.counts.as_mut_ptr());
        while let Some(&(input, places)) = pieces.get(at.piece) {
            while at.event < places.len() {
                if !neurons.bounds.have_room(reach) {
                    return Stop::Exactly((0, 0), segment);
                }
                let room = neurons.spikes.len() - most - L::WIDTH;
                let events = at.event..places.len().min(at.event + segment);
                let after = &mut neurons.after[at.events..][..events.len()];
                // SAFETY: the instructions are there, and the neurons with room for a vector behind them; there is room
                // for the spikes of an event and a vector.
                unsafe {
                    let to = neurons.spikes.as_mut_ptr().add(at.spikes);
                    let (rule, bounds) = (Vectors::<L>::new(&map.fixed.rules), VectorBounds::new(neurons.bounds));
                    let mut tested = TestedAtOnce { rule, bounds, v, counts, to, kind: PhantomData::<K> };
                    let (start, full) = (neurons.spikes.as_ptr(), neurons.spikes.as_ptr().add(room));
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

/// Neurons act at the end of each step.
struct StepByStep<'a, 'm, K> {
    map: &'a Map<'m>,
    neurons: &'a mut RowRun,
    inputs: Vec<(&'a SingleInput, &'a Stream)>,
    /// A bit for each neuron with input, or beyond the threshold.
    waiting: &'a mut [u64],
    beyond: &'a mut [u16],
    leaving: &'a mut Stream,
    steps: usize,
    kind: PhantomData<K>,
}

impl<K: Kind> Task for StepByStep<'_, '_, K> {
    type Output = (usize, u64);
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) -> (usize, u64) {
        let Self { map, neurons, inputs, waiting, beyond, leaving, steps, .. } = self;
        let mut operations = 0;
        // SAFETY: the instructions are there, and the neurons with room for a vector behind them.
        unsafe {
            let rule = Vectors::<L>::new(&map.fixed.rules);
            for step in 0..steps {
                let (v, counts) = (neurons.v.as_mut_ptr(), neurons.counts.as_mut_ptr());
                let events: usize = inputs.iter().map(|(_, stream)| stream.range(step).len()).sum();
                if !neurons.bounds.have_room((events as i64).saturating_mul(map.layer.largest)) {
                    return (step, operations);
                }
                let mut sums = Sums { v, waiting };
                for &(input, stream) in &inputs {
                    for &place in &stream.places[stream.range(step)] {
                        let Some(rows) = EventRows::of(input, place, map.layer.neurons) else { continue };
                        operations += rows.neurons();
                        rows.add::<L>(place, v, &mut sums);
                    }
                }
                let mut bounds = VectorBounds::<L>::new(neurons.bounds);
                for (word, waiting) in (0..).step_by(64).zip(&mut *waiting) {
                    let mut some = std::mem::take(waiting);
                    if some != 0 {
                        leaving.places.reserve(64 + lanes::LANES);
                    }
                    while some != 0 {
                        let bit = some.trailing_zeros() as usize & !(L::WIDTH - 1);
                        some &= !(!(!0 << L::WIDTH) << bit);
                        let n = word + bit;
                        let sum = L::load(v.add(n));
                        bounds.include::<K>(sum);
                        let tested = rule.test::<K>(sum, counts.wrapping_add(n), L::Mask::of(!0));
                        if tested.again && K::SIGNED {
                            // Rare.
                            let fired = tested.up.or(tested.down).bits();
                            repeat(&map.fixed.rules, (v, counts), n, fired, &mut leaving.places);
                            leaving.places.reserve(64 + lanes::LANES);
                            continue;
                        }
                        tested.v.store_where(!0, v.add(n));
                        if K::SIGNED {
                            tested.counts.store_where(!0, counts.add(n));
                        } else if tested.again {
                            *waiting |= u64::from(tested.v.above(L::Mask::of(!0), rule.below_threshold).bits()) << bit;
                            beyond[step] = 1;
                        }
                        let len = leaving.places.len();
                        let to = leaving.places.as_mut_ptr().add(len);
                        let spikes = L::write_spikes(tested.up, tested.down, n as u32, to);
                        leaving.places.set_len(len + spikes);
                    }
                }
                neurons.bounds = bounds.all();
                leaving.close(step);
            }
        }
        (steps, operations)
    }
}

/// The weights of the events of a step are added.
struct Sums<'a> {
    v: *mut i32,
    waiting: &'a mut [u64],
}

impl<L: Lanes> Take<L> for Sums<'_> {
    #[inline(always)]
    unsafe fn take(&mut self, reached: u16, n: usize, v: L) -> bool {
        // SAFETY: the caller's promise.
        unsafe { v.store_where(!0, self.v.add(n)) };
        let (word, bit) = (n / 64, n % 64);
        let reached = u64::from(reached);
        self.waiting[word] |= reached << bit;
        if let Some(next) = self.waiting.get_mut(word + 1) {
            *next |= reached >> 1 >> (63 - bit);
        }
        true
    }
}

/// Lets signed neurons of a vector from neuron `n` on spike, some of them more than once.
///
/// # Safety
/// The neurons are there.
#[cold]
unsafe fn repeat(rules: &Rules, (v, counts): (*mut i32, *mut i32), n: usize, mut fired: u16, leaving: &mut Vec<u32>) {
    while fired != 0 {
        let n = n + fired.trailing_zeros() as usize;
        fired &= fired - 1;
        // SAFETY: the caller's promise.
        let neuron = unsafe { (&mut *v.add(n), &mut *counts.add(n)) };
        leaving.extend(places_of(n, spike(neuron, rules.threshold, &rules.signed)));
    }
}
