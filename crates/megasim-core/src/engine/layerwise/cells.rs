//! What lists of events do to the neurons of a cell: potentials stay in registers, and neurons that spike are noted.

use super::lanes::{LANES, Lanes, Mask};
use super::notes::{KEY_BITS, Names, Note, key};
use super::rules::{GROUP, Kind, Rules, Vector, Vectors};
use crate::engine::kernels::spike;
use std::ops::Range;

/// The neurons of a layer.
pub(super) struct Cells<'n> {
    pub v: &'n mut [i32],
    /// Of signed neurons.
    pub counts: &'n mut [i32],
    /// By map.
    pub saturations: &'n mut [u64],
    pub lanes: usize,
    pub names: Names,
}

/// Rows of weights.
#[derive(Clone, Copy)]
pub(super) struct Rows<'w> {
    pub weights: &'w [i32],
    pub stride: usize,
    /// Entries that may be added between two tests of the bounds.
    pub segment: usize,
    /// See [`WeightRows`](super::weight_rows::WeightRows).
    pub reached: &'w [u16],
}

impl Rows<'_> {
    /// The lanes of a vector that a row reaches.
    #[inline(always)]
    fn reached(&self, row: usize, vector: usize) -> u16 {
        self.reached[row * (self.stride / LANES) + vector]
    }

    /// Whether most weights are far, and then how many entries are added while others are fetched.
    fn at_once(&self) -> (bool, usize) {
        let is_far = self.weights.len() > MANY_WEIGHTS;
        (is_far, if is_far { AHEAD } else { usize::MAX })
    }

    /// Fetches the weights of the next entries, `V` vectors from a lane on.
    #[inline(always)]
    fn fetch<L: Lanes, const V: usize>(&self, list: &[u32], lane: usize) {
        for entry in list.iter().take(AHEAD) {
            let row = self.weights.as_ptr().wrapping_add((entry >> KEY_BITS) as usize * self.stride + lane);
            (0..V).for_each(|c| L::prefetch(row.wrapping_add(c * LANES)));
        }
    }
}

/// What the walks of a part of a run make.
pub(super) struct Made<'m> {
    pub notes: &'m mut Vec<Note>,
    /// Clocked: the steps of this part, by their keys.
    pub steps: Range<u32>,
    pub beyond: &'m mut Beyond<'m>,
}

/// Clocked: which plain neurons are beyond the threshold after each step.
#[derive(Debug)]
pub(super) struct Beyond<'m> {
    /// By step, for each number of a vector in its cell: its lanes, in any cell.
    pub lanes: &'m mut [u16],
    /// How many numbers are distinguished: those of a cell, a power of two, or 1.
    pub vectors: usize,
}

impl Beyond<'_> {
    #[inline(always)]
    pub fn mark(&mut self, step: u32, vector: u32, lanes: u16) {
        self.lanes[step as usize * self.vectors + (vector as usize & (self.vectors - 1))] |= lanes;
    }
}

impl Made<'_> {
    /// Room for this many more notes, from the end on.
    #[inline(always)]
    pub fn room(&mut self, more: usize) -> *mut Note {
        self.notes.reserve(more);
        self.notes.spare_capacity_mut().as_mut_ptr().cast()
    }

    /// Notes were written up to here.
    ///
    /// # Safety
    /// They were, from where [`Made::room`] said on, and there was room.
    #[inline(always)]
    pub unsafe fn noted(&mut self, end: *const Note) {
        // SAFETY: the caller's promise.
        unsafe { self.notes.set_len(end.offset_from(self.notes.as_ptr()) as usize) };
    }
}

/// Clocked: events of a step from which on a branch on the last one of a step takes less than masks do.
const MANY_OF_STEP: usize = 3;

/// Weights, in integers, of which most are not in the second level of common caches.
const MANY_WEIGHTS: usize = 1 << 18;

/// Entries whose weights are fetched while those before them are added.
const AHEAD: usize = 32;

/// Entries that are added one by one before it is asked again whether they may be added at once.
const LEAST: usize = 16;

/// Entries of one list, and the key after them.
struct Segment<'l> {
    entries: &'l [u32],
    next: u32,
}

/// Takes the next entries of a list, as many as may be added without a test; in clocked mode whole steps. Too many, if
/// one step has more.
#[inline(always)]
fn take_segment<'l, K: Kind>(list: &mut &'l [u32], most: usize, end: u32) -> Segment<'l> {
    let mut len = most.min(list.len());
    if K::CLOCKED && len < list.len() {
        let at = key(list[len]);
        let whole = list[..len].iter().rposition(|&entry| key(entry) != at).map(|last| last + 1);
        len = whole.unwrap_or_else(|| list.iter().take_while(|&&entry| key(entry) == at).count());
    }
    let (entries, rest) = list.split_at(len);
    *list = rest;
    Segment { entries, next: rest.first().map_or(end, |&entry| key(entry)) }
}

/// The lanes of vector `c` of `V` that have `n` neurons.
#[inline(always)]
fn lanes_of<const V: usize>(n: usize, c: usize) -> u16 {
    if c + 1 == V { !0 >> (V * LANES - n) } else { !0 }
}

impl Cells<'_> {
    /// One list for one cell. Says, in clocked mode, whether a neuron is beyond the threshold at the end.
    ///
    /// # Safety
    /// The instructions of `L` are there. Rows of entries are inside the weights.
    #[inline(always)]
    pub(super) unsafe fn walk<L: Lanes, K: Kind, const RARE: bool>(
        &mut self,
        cell: usize,
        list: &[u32],
        rules: &Rules,
        rows: Rows<'_>,
        made: &mut Made<'_>,
    ) -> bool {
        let (mut beyond, mut lane) = (false, 0);
        while lane < self.lanes {
            let left = (self.lanes - lane).div_ceil(LANES);
            let at = (cell, lane);
            // SAFETY: the caller's promise; there are this many lanes.
            unsafe {
                if RARE && L::GROUPS && !K::CLOCKED && !K::REACHED && !K::REPEATS {
                    match left {
                        1 => self.in_groups::<L, K, 1>(at, list, rules, rows, made),
                        _ => self.in_groups::<L, K, 2>(at, list, rules, rows, made),
                    }
                    lane += 2 * LANES;
                    continue;
                }
                beyond |= match left {
                    _ if L::VECTORS == 1 => self.block::<L, K, RARE, 1>(at, list, rules, rows, made),
                    1 => self.block::<L, K, RARE, 1>(at, list, rules, rows, made),
                    2 => self.block::<L, K, RARE, 2>(at, list, rules, rows, made),
                    3 => self.block::<L, K, RARE, 3>(at, list, rules, rows, made),
                    _ => self.block::<L, K, RARE, 4>(at, list, rules, rows, made),
                };
                lane += L::VECTORS * LANES;
            }
        }
        beyond
    }

    /// Event mode: `V` vectors of a cell, 1 or 2, from a lane on, some events after the other with one test for all of
    /// them, as few neurons spike.
    ///
    /// # Safety
    /// As [`Cells::walk`]; the cell has more than `16 * (V - 1)` lanes from this one on.
    #[inline(always)]
    unsafe fn in_groups<L: Lanes, K: Kind, const V: usize>(
        &mut self,
        (cell, lane): (usize, usize),
        mut list: &[u32],
        rules: &Rules,
        rows: Rows<'_>,
        made: &mut Made<'_>,
    ) {
        const { assert!(V == 1 || V == 2) };
        let (first, n) = self.neurons::<K, V>(cell, lane);
        let lanes = |c: usize| lanes_of::<V>(n, c);
        let vector = self.names.vector(cell, lane);
        // SAFETY: for all of it: the neurons are inside the slices (see above), the rows inside the weights.
        unsafe {
            let vectors = Vectors::<L>::new(rules);
            let weights = rows.weights.as_ptr().add(lane);
            let (is_far, at_once) = rows.at_once();
            while !list.is_empty() {
                let neurons = self.load::<L, K, V>((first, n), &vectors);
                let most = vectors.most_entries(&neurons, lanes, rows.segment);
                let segment = take_segment::<K>(&mut list, most.clamp(LEAST, at_once), 0);
                if is_far {
                    rows.fetch::<L, V>(list, lane);
                }
                if segment.entries.len() > most {
                    self.exactly::<K>((cell, lane, n), &segment, rules, rows, made);
                    continue;
                }
                let mut room = made.room(V * segment.entries.len());
                // As in `block`.
                let mut neurons = self.load::<L, K, V>((first, n), &vectors);
                let (groups, rest) = segment.entries.as_chunks::<GROUP>();
                for group in groups {
                    let weights = group.map(|entry| weights.add((entry >> KEY_BITS) as usize * rows.stride));
                    // Without a loop over the vectors, so that they stay in registers.
                    room = vectors.add::<K>(&mut neurons[0], weights, (group, vector), room);
                    if V > 1 {
                        let weights = weights.map(|row| row.add(LANES));
                        room = vectors.add::<K>(&mut neurons[V - 1], weights, (group, vector + 1), room);
                    }
                }
                for &entry in rest {
                    let row = weights.add((entry >> KEY_BITS) as usize * rows.stride);
                    room = vectors.act::<K, 1>(&mut neurons[0], [row], (&[entry], vector), room);
                    if V > 1 {
                        let at = (&[entry], vector + 1);
                        room = vectors.act::<K, 1>(&mut neurons[V - 1], [row.add(LANES)], at, room);
                    }
                }
                made.noted(room);
                self.store::<L, K, V>((first, n), &vectors, neurons);
            }
        }
    }

    /// `V` vectors of a cell, from a lane on. Whether a neuron of several vectors spikes is not asked, which no branch
    /// could predict: all that did change under masks, and the masks are kept. Of one vector few do, and in AVX-512 a
    /// branch that is wrong now and then takes less than to wait for the masks.
    /// `RARE`: so few vectors spike that a branch is predicted on any instructions.
    ///
    /// # Safety
    /// As [`Cells::walk`]; the cell has more than `16 * (V - 1)` lanes from this one on.
    #[inline(always)]
    unsafe fn block<L: Lanes, K: Kind, const RARE: bool, const V: usize>(
        &mut self,
        (cell, lane): (usize, usize),
        mut list: &[u32],
        rules: &Rules,
        rows: Rows<'_>,
        made: &mut Made<'_>,
    ) -> bool {
        let (first, n) = self.neurons::<K, V>(cell, lane);
        let lanes = |c: usize| lanes_of::<V>(n, c);
        let vector = self.names.vector(cell, lane);
        // SAFETY: for all of it: the neurons are inside the slices (see above), the rows inside the weights.
        unsafe {
            let (all, branches) = (L::Mask::of(!0), (RARE || V == 1) && L::BRANCHES);
            let vectors = Vectors::<L>::new(rules);
            if K::CLOCKED && !K::SIGNED {
                let mut neurons = self.load::<L, K, V>((first, n), &vectors);
                let next = list.first().map_or(made.steps.end, |&entry| key(entry));
                for (c, Vector { v, .. }) in neurons.iter_mut().enumerate() {
                    *v = go_on(&vectors, *v, lanes(c), (made.steps.start..next, vector + c as u32), made);
                }
                self.store::<L, K, V>((first, n), &vectors, neurons);
            }
            let (is_far, at_once) = rows.at_once();
            while !list.is_empty() {
                let neurons = self.load::<L, K, V>((first, n), &vectors);
                let most = vectors.most_entries(&neurons, lanes, rows.segment);
                let segment = take_segment::<K>(&mut list, most.clamp(LEAST, at_once), made.steps.end);
                if is_far {
                    rows.fetch::<L, 1>(list, lane);
                }
                if segment.entries.len() > most {
                    self.exactly::<K>((cell, lane, n), &segment, rules, rows, made);
                    continue;
                }
                let weights = rows.weights.as_ptr().add(lane);
                // Steps with many events: then a branch on the last one pays.
                let spanned = segment.entries.last().zip(segment.entries.first());
                let steps = spanned.map_or(0, |(last, first)| key(*last) - key(*first) + 1) as usize;
                let in_groups = K::CLOCKED && !branches && segment.entries.len() > MANY_OF_STEP * steps;
                let mut room = made.room(V * segment.entries.len());
                // Once more: what is in registers across the rare calls above, compilers keep in memory.
                let mut neurons = self.load::<L, K, V>((first, n), &vectors);
                for (k, &entry) in segment.entries.iter().enumerate() {
                    let row = weights.add((entry >> KEY_BITS) as usize * rows.stride);
                    // Clocked: only after the last event of a step.
                    let following = segment.entries.get(k + 1).map_or(segment.next, |&next| key(next));
                    let waits = K::CLOCKED && k + 1 < segment.entries.len() && following == key(entry);
                    for c in 0..V {
                        let Vector { v, counts, floors } = neurons[c];
                        let sum = v.add(L::load(row.add(c * LANES)));
                        if in_groups & waits {
                            neurons[c].v = sum;
                            continue;
                        }
                        let acts = match K::REACHED {
                            true => L::Mask::of(rows.reached((entry >> KEY_BITS) as usize, lane / LANES + c)),
                            false if K::CLOCKED && !branches => L::Mask::all_if(!waits),
                            false => all,
                        };
                        let floors = if branches { floors } else { vectors.floors::<K>(counts) };
                        let (up, down) = vectors.beyond::<K>(sum, (counts, floors), acts);
                        if branches && (!up.or(down).any() | waits) {
                            neurons[c].v = sum;
                            continue;
                        }
                        let after = vectors.after::<K>(sum, up, down);
                        if K::REPEATS && vectors.again(after, up, down) {
                            // Rare.
                            neurons[c].v = sum;
                            self.store::<L, K, V>((first, n), &vectors, neurons);
                            made.noted(room);
                            let at = (first + c * LANES, key(entry), vector + c as u32);
                            self.repeat(at, up.or(down).bits(), rules, made.notes);
                            room = made.room(V * segment.entries.len());
                            neurons = self.load::<L, K, V>((first, n), &vectors);
                            continue;
                        }
                        neurons[c].v = after;
                        if K::SIGNED {
                            let counts = vectors.counted::<K>(counts, up, down);
                            neurons[c] = Vector { v: after, counts, floors: vectors.floors::<K>(counts) };
                        }
                        // There is room for a note of each vector and entry.
                        let masks = up.bits_with(down);
                        room.write(Note::of_masks(key(entry), vector + c as u32, masks));
                        room = room.add(usize::from(branches || masks != 0));
                        if K::CLOCKED && !K::SIGNED {
                            let still = after.above(up, vectors.below_threshold).bits();
                            if still != 0 {
                                // Rare.
                                made.noted(room);
                                made.beyond.mark(key(entry), vector + c as u32, still);
                                let waiting = (key(entry) + 1..following, vector + c as u32);
                                neurons[c].v = go_on(&vectors, after, lanes(c), waiting, made);
                                room = made.room(V * segment.entries.len());
                            }
                        }
                    }
                }
                made.noted(room);
                self.store::<L, K, V>((first, n), &vectors, neurons);
            }
            if !K::CLOCKED || K::SIGNED {
                return false;
            }
            let neurons = self.load::<L, K, V>((first, n), &vectors);
            // A loop: closures do not have the instructions of their callers.
            let mut beyond = false;
            for (c, Vector { v, .. }) in neurons.iter().enumerate() {
                beyond |= v.above(L::Mask::of(lanes(c)), vectors.below_threshold).any();
            }
            beyond
        }
    }

    /// The first neuron of `V` vectors of a cell, from a lane on, and how many there are.
    ///
    /// # Panics
    /// If neurons are not there, or fewer than `V` vectors.
    #[inline(always)]
    fn neurons<K: Kind, const V: usize>(&self, cell: usize, lane: usize) -> (usize, usize) {
        let (first, n) = (cell * self.lanes + lane, (self.lanes - lane).min(V * LANES));
        assert!(n > (V - 1) * LANES && first + n <= self.v.len() && (!K::SIGNED || first + n <= self.counts.len()));
        (first, n)
    }

    /// `n` neurons from the one `first` on.
    ///
    /// # Safety
    /// The neurons are there, and the instructions.
    #[inline(always)]
    unsafe fn load<L: Lanes, K: Kind, const V: usize>(
        &self,
        (first, n): (usize, usize),
        vectors: &Vectors<L>,
    ) -> [Vector<L>; V] {
        let lanes = |c: usize| lanes_of::<V>(n, c);
        // SAFETY: the caller's promise.
        unsafe {
            let mut neurons = [Vector { v: vectors.one, counts: vectors.one, floors: vectors.one }; V];
            for (c, Vector { v, counts, floors }) in neurons.iter_mut().enumerate() {
                *v = L::load_where(lanes(c), self.v.as_ptr().add(first + c * LANES));
                if K::SIGNED {
                    let read = L::load_where(lanes(c), self.counts.as_ptr().add(first + c * LANES));
                    *counts = vectors.read::<K>(read);
                    *floors = vectors.floors::<K>(*counts);
                }
            }
            neurons
        }
    }

    /// # Safety
    /// As [`Cells::load`].
    #[inline(always)]
    unsafe fn store<L: Lanes, K: Kind, const V: usize>(
        &mut self,
        (first, n): (usize, usize),
        vectors: &Vectors<L>,
        neurons: [Vector<L>; V],
    ) {
        let lanes = |c: usize| lanes_of::<V>(n, c);
        for (c, Vector { v, counts, .. }) in neurons.into_iter().enumerate() {
            // SAFETY: the caller's promise.
            unsafe {
                v.store_where(lanes(c), self.v.as_mut_ptr().add(first + c * LANES));
                if K::SIGNED {
                    let counts = vectors.read::<K>(counts);
                    counts.store_where(lanes(c), self.counts.as_mut_ptr().add(first + c * LANES));
                }
            }
        }
    }

    /// A segment for `n` neurons one by one, as potentials may leave 32 bits or come to the floor.
    #[cold]
    fn exactly<K: Kind>(
        &mut self,
        (cell, lane, n): (usize, usize, usize),
        segment: &Segment<'_>,
        rules: &Rules,
        rows: Rows<'_>,
        made: &mut Made<'_>,
    ) {
        for lane in lane..lane + n {
            let vector = self.names.vector(cell, lane);
            let neuron = cell * self.lanes + lane;
            let alike = segment.entries.chunk_by(|one, next| K::CLOCKED && key(*one) == key(*next));
            let mut at = 0;
            for entries in alike {
                at += entries.len();
                let row = (entries[0] >> KEY_BITS) as usize;
                if K::REACHED && rows.reached(row, lane / LANES) >> (lane % LANES) & 1 == 0 {
                    continue;
                }
                let weight = |&entry: &u32| i64::from(rows.weights[(entry >> KEY_BITS) as usize * rows.stride + lane]);
                let now = key(entries[0]);
                let input = entries.iter().map(weight).sum();
                let mut beyond = self.take::<K>((neuron, lane), input, rules, (now, vector), made.notes);
                if K::CLOCKED && !K::SIGNED && beyond {
                    let next = segment.entries.get(at).map_or(segment.next, |&entry| key(entry));
                    made.beyond.mark(now, vector, 1 << (lane % LANES));
                    for step in now + 1..next {
                        beyond = self.take::<K>((neuron, lane), 0, rules, (step, vector), made.notes);
                        if !beyond {
                            break;
                        }
                        made.beyond.mark(step, vector, 1 << (lane % LANES));
                    }
                }
            }
        }
    }

    /// One neuron takes some input and is tested. Says whether it still is at or beyond the threshold.
    fn take<K: Kind>(
        &mut self,
        (neuron, lane): (usize, usize),
        input: i64,
        rules: &Rules,
        (key, vector): (u32, u32),
        notes: &mut Vec<Note>,
    ) -> bool {
        let sum = i64::from(self.v[neuron]) + input;
        let saturations = &mut self.saturations[self.names.map(lane)];
        let mut none = 0;
        let count = if K::SIGNED { &mut self.counts[neuron] } else { &mut none };
        let spikes = rules.take::<K>((&mut self.v[neuron], count), sum, saturations);
        note_each(spikes, (key, vector, 1 << (lane % LANES)), notes);
        !K::SIGNED && self.v[neuron] >= rules.threshold
    }

    /// Lets signed neurons of a vector spike, some of them more than once.
    #[cold]
    pub fn repeat(
        &mut self,
        (first, key, vector): (usize, u32, u32),
        mut fired: u16,
        rules: &Rules,
        notes: &mut Vec<Note>,
    ) {
        while fired != 0 {
            let bit = fired & fired.wrapping_neg();
            let n = first + fired.trailing_zeros() as usize;
            let spikes = spike((&mut self.v[n], &mut self.counts[n]), rules.threshold, &rules.signed);
            note_each(spikes, (key, vector, bit), notes);
            fired ^= bit;
        }
    }
}

/// Notes each spike of one neuron.
fn note_each(spikes: i64, (key, vector, bit): (u32, u32, u16), notes: &mut Vec<Note>) {
    let (up, down) = if spikes < 0 { (0, bit) } else { (bit, 0) };
    notes.extend(std::iter::repeat_n(Note::new(key, vector, up, down), spikes.unsigned_abs() as usize));
}

/// Clocked: plain neurons beyond the threshold spike in each step without input, until none is.
///
/// # Safety
/// The instructions are there.
#[inline(always)]
unsafe fn go_on<L: Lanes>(
    vectors: &Vectors<L>,
    mut v: L,
    lanes: u16,
    (steps, vector): (Range<u32>, u32),
    made: &mut Made<'_>,
) -> L {
    for step in steps {
        // SAFETY: the caller's promise.
        unsafe {
            let up = v.above(L::Mask::of(lanes), vectors.below_threshold);
            if !up.any() {
                break;
            }
            v = vectors.after_plain(v, up);
            made.notes.push(Note::new(step, vector, up.bits(), 0));
            let still = v.above(up, vectors.below_threshold).bits();
            if still != 0 {
                made.beyond.mark(step, vector, still);
            }
        }
    }
    v
}
