//! When neurons spike: one by one, and as vectors.

use super::lanes::{LANES, Lanes, Mask};
use super::notes::{Note, key};
use crate::engine::kernels::{FireReset, spike};
use crate::network;

/// When neurons spike, and what becomes of them.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine) struct Rules {
    pub threshold: i32,
    /// Of plain neurons the potential below which they are not taken.
    pub floor: i32,
    pub reset: FireReset,
    pub signed: network::Signed,
    /// Potentials from the one to the other do not leave 32 bits in a segment, nor come to the floor.
    pub inside: (i32, i32),
    /// The same for a part of a segment, of [`NEAR`].
    pub near: (i32, i32),
}

/// Parts of a segment in which potentials near the limits may still be added to.
pub(in crate::engine) const NEAR: i64 = 8;

/// Event mode: events that are added with one test, where few neurons spike.
pub(super) const GROUP: usize = 4;

impl Rules {
    /// Whether a [test](Vectors::test) of the neurons with input is all that is needed. `low`: the least potential now.
    pub(super) fn is_simple(&self, is_signed: bool, low: i32) -> bool {
        if is_signed {
            // A neuron that may not spike any more would be tested for it.
            return self.signed.max_count == i32::MAX;
        }
        let rests_inside = match self.reset {
            FireReset::Subtract => true,
            FireReset::To(rest) => rest >= self.floor,
        };
        self.floor < self.threshold && low >= self.floor && rests_inside
    }

    /// One neuron takes a sum that may leave 32 bits or come to the floor, and is tested. Returns how many spikes it
    /// makes, or takes back.
    pub(super) fn take<K: Kind>(&self, (v, count): (&mut i32, &mut i32), sum: i64, saturations: &mut u64) -> i64 {
        *v = sum.clamp(i32::MIN.into(), i32::MAX.into()) as i32;
        *saturations += u64::from(i64::from(*v) != sum);
        if K::SIGNED {
            return spike((v, count), self.threshold, &self.signed);
        }
        let spikes = *v >= self.threshold;
        *v = if spikes { self.reset.after(*v, self.threshold) } else { (*v).max(self.floor) };
        spikes.into()
    }
}

/// What is known of all walks of a part of a run.
pub(super) trait Kind {
    /// Neurons are signed, else plain.
    const SIGNED: bool;
    /// Entries of one step act together.
    const CLOCKED: bool;
    /// Counts of signed neurons have a maximum, or a minimum out of reach.
    const BOUNDED: bool;
    /// Signed neurons may spike several times on one event.
    const REPEATS: bool;
    /// Only those neurons are tested that an event reaches.
    const REACHED: bool;
    /// What has the same results. Simple cases are compiled apart only for vectors that gain from it.
    type Portable: Kind;
}

/// Plain neurons; `REACHED`: an event may leave them beyond the threshold, where they spike at the next one.
pub(super) struct Plain<const CLOCKED: bool, const REACHED: bool>;

impl<const CLOCKED: bool, const REACHED: bool> Kind for Plain<CLOCKED, REACHED> {
    const SIGNED: bool = false;
    const CLOCKED: bool = CLOCKED;
    const BOUNDED: bool = false;
    const REPEATS: bool = false;
    const REACHED: bool = REACHED;
    type Portable = Self;
}

/// Signed neurons; `GENERAL`: with all that they may do.
pub(super) struct Signed<const CLOCKED: bool, const GENERAL: bool>;

impl<const CLOCKED: bool, const GENERAL: bool> Kind for Signed<CLOCKED, GENERAL> {
    const SIGNED: bool = true;
    const CLOCKED: bool = CLOCKED;
    const BOUNDED: bool = GENERAL;
    // The input of a step has no bound.
    const REPEATS: bool = GENERAL || CLOCKED;
    const REACHED: bool = false;
    type Portable = Signed<CLOCKED, true>;
}

/// The neurons of a vector.
#[derive(Clone, Copy)]
pub(super) struct Vector<L> {
    pub v: L,
    /// As the rules read them.
    pub counts: L,
    /// See [`Vectors::floors`].
    pub floors: L,
}

/// What a test does to a vector.
pub(super) struct Tested<L: Lanes> {
    pub v: L,
    pub counts: L,
    /// Those that spike.
    pub up: L::Mask,
    /// Those that take a spike back.
    pub down: L::Mask,
    /// Some of these would spike once more.
    pub again: bool,
}

/// The rules, in vectors.
pub(super) struct Vectors<L> {
    threshold: L,
    pub below_threshold: L,
    /// Potentials of plain neurons are not less.
    least_plain: L,
    /// A spike is taken back below it.
    pub floor: L,
    pub min_count: L,
    max_count: L,
    pub one: L,
    least: L,
    rest: Option<L>,
    inside: (L, L),
    near: (L, L),
}

/// Whether a potential of several vectors is less than the one or more than the other.
///
/// # Safety
/// The instructions are there.
#[inline(always)]
unsafe fn any_outside<L: Lanes, const V: usize>(
    neurons: &[Vector<L>; V],
    lanes: impl Fn(usize) -> u16,
    (low, high): (L, L),
) -> bool {
    let mut any = false;
    // A loop: closures do not have the instructions of their callers.
    for (c, Vector { v, .. }) in neurons.iter().enumerate() {
        // SAFETY: the caller's promise.
        unsafe {
            let lanes = L::Mask::of(lanes(c));
            any |= v.below(lanes, low).or(v.above(lanes, high)).any();
        }
    }
    any
}

impl<L: Lanes> Vectors<L> {
    /// # Safety
    /// For this and all others: the instructions are there.
    #[inline(always)]
    pub unsafe fn new(rules: &Rules) -> Self {
        // SAFETY: the caller's promise.
        unsafe {
            Self {
                threshold: L::splat(rules.threshold),
                least_plain: L::splat(rules.floor),
                // Thresholds are positive.
                below_threshold: L::splat(rules.threshold.wrapping_sub(1)),
                floor: L::splat(-rules.signed.hysteresis),
                min_count: L::splat(rules.signed.min_count),
                max_count: L::splat(rules.signed.max_count),
                one: L::splat(1),
                least: L::splat(i32::MIN),
                rest: match rules.reset {
                    FireReset::Subtract => None,
                    FireReset::To(rest) => Some(L::splat(rest)),
                },
                inside: (L::splat(rules.inside.0), L::splat(rules.inside.1)),
                near: (L::splat(rules.near.0), L::splat(rules.near.1)),
            }
        }
    }

    /// Counts as the rules read them, and the other way round: in the simple case `min_count - count`, of which the
    /// sign says whether a spike can be taken back.
    #[inline(always)]
    pub unsafe fn read<K: Kind>(&self, counts: L) -> L {
        // SAFETY: the caller's promise.
        unsafe { if K::BOUNDED { counts } else { self.min_count.sub(counts) } }
    }

    /// Potentials below which a spike is taken back. One comparison after the other would take twice as long: whether
    /// a spike can be taken back decides on the floor.
    #[inline(always)]
    pub unsafe fn floors<K: Kind>(&self, counts: L) -> L {
        // SAFETY: the caller's promise.
        unsafe { if K::BOUNDED { self.floor } else { counts.where_negative(self.floor, self.least) } }
    }

    /// Counts, as the rules read them, after spikes.
    #[inline(always)]
    pub unsafe fn counted<K: Kind>(&self, counts: L, up: L::Mask, down: L::Mask) -> L {
        let (more, less) = if K::BOUNDED { (up, down) } else { (down, up) };
        // SAFETY: the caller's promise.
        unsafe { counts.change_by_one(less, more) }
    }

    /// Those of the lanes that spike, and those that take a spike back.
    #[inline(always)]
    pub unsafe fn beyond<K: Kind>(&self, v: L, (counts, floors): (L, L), lanes: L::Mask) -> (L::Mask, L::Mask) {
        // SAFETY: the caller's promise.
        unsafe {
            let up = v.above(lanes, self.below_threshold);
            if !K::SIGNED {
                return (up, L::Mask::of(0));
            }
            let down = v.below(lanes, floors);
            if K::BOUNDED {
                return (counts.below(up, self.max_count), self.min_count.below(down, counts));
            }
            (up, down)
        }
    }

    /// Event mode: a group of events, with one test if no neuron acts at any of them. Returns where the next note goes.
    #[inline(always)]
    pub unsafe fn add<K: Kind>(
        &self,
        neurons: &mut Vector<L>,
        weights: [*const i32; GROUP],
        at: (&[u32; GROUP], u32),
        room: *mut Note,
    ) -> *mut Note {
        // SAFETY: the caller's promise.
        unsafe {
            match self.add_quietly::<K>(neurons, weights) {
                Some(sum) => {
                    neurons.v = sum;
                    room
                }
                None => self.act::<K, GROUP>(neurons, weights, at, room),
            }
        }
    }

    /// Potentials after some events, if no neuron acts at any of them.
    #[inline(always)]
    unsafe fn add_quietly<K: Kind>(&self, neurons: &Vector<L>, weights: [*const i32; GROUP]) -> Option<L> {
        // SAFETY: the caller's promise.
        unsafe {
            let mut sum = neurons.v.add(L::load(weights[0]));
            let (mut highest, mut lowest) = (sum, sum);
            for &row in &weights[1..] {
                sum = sum.add(L::load(row));
                highest = highest.max(sum);
                if K::SIGNED {
                    lowest = lowest.min(sum);
                }
            }
            let all = L::Mask::of(!0);
            let mut beyond = highest.above(all, self.below_threshold);
            if K::SIGNED {
                beyond = beyond.or(lowest.below(all, neurons.floors));
            }
            (!beyond.any()).then_some(sum)
        }
    }

    /// Event mode: some events, at most a group, one after the other; neurons that spike are noted. Returns where the
    /// next note goes.
    #[inline(always)]
    pub unsafe fn act<K: Kind, const N: usize>(
        &self,
        neurons: &mut Vector<L>,
        weights: [*const i32; N],
        (entries, vector): (&[u32; N], u32),
        mut room: *mut Note,
    ) -> *mut Note {
        // SAFETY: the caller's promise.
        unsafe {
            let none = L::Mask::of(0);
            let (mut ups, mut downs) = ([none; GROUP], [none; GROUP]);
            for (k, row) in weights.into_iter().enumerate() {
                let Vector { v, counts, floors } = *neurons;
                let sum = v.add(L::load(row));
                let (up, down) = self.beyond::<K>(sum, (counts, floors), L::Mask::of(!0));
                neurons.v = self.after::<K>(sum, up, down);
                if K::SIGNED {
                    neurons.counts = self.counted::<K>(counts, up, down);
                    neurons.floors = self.floors::<K>(neurons.counts);
                }
                (ups[k], downs[k]) = (up, down);
            }
            let ups = [ups[0].bits_with(ups[1]), ups[2].bits_with(ups[3])];
            let downs = if K::SIGNED { [downs[0].bits_with(downs[1]), downs[2].bits_with(downs[3])] } else { [0; 2] };
            for (k, &entry) in entries.iter().enumerate() {
                let of_entry = |bits: [u32; 2]| bits[k / 2] >> (LANES * (k % 2)) & 0xFFFF;
                let masks = of_entry(downs) << LANES | of_entry(ups);
                room.write(Note::of_masks(key(entry), vector, masks));
                room = room.add(usize::from(masks != 0));
            }
            room
        }
    }

    /// How many entries may be added to these neurons, of which `lanes` says which are there, without a potential that
    /// leaves 32 bits or comes to the floor: a segment, a part of one, or none.
    #[inline(always)]
    pub unsafe fn most_entries<const V: usize>(
        &self,
        neurons: &[Vector<L>; V],
        lanes: impl Fn(usize) -> u16,
        segment: usize,
    ) -> usize {
        // SAFETY: the caller's promise.
        unsafe {
            if !any_outside(neurons, &lanes, self.inside) {
                return segment;
            }
            if any_outside(neurons, &lanes, self.near) { 0 } else { segment / NEAR as usize }
        }
    }

    /// Potentials after a spike of those that fired, and those that took one back.
    #[inline(always)]
    pub unsafe fn after<K: Kind>(&self, v: L, up: L::Mask, down: L::Mask) -> L {
        // SAFETY: the caller's promise.
        unsafe {
            if K::SIGNED {
                return v.change(up, down, self.threshold);
            }
            self.after_plain(v, up)
        }
    }

    /// Potentials of plain neurons after a spike of those that fired.
    #[inline(always)]
    pub unsafe fn after_plain(&self, v: L, fired: L::Mask) -> L {
        // SAFETY: the caller's promise.
        unsafe {
            match self.rest {
                None => v.sub_where(fired, self.threshold),
                Some(rest) => v.set_where(fired, rest),
            }
        }
    }

    /// Tests neurons that [are simple](Rules::is_simple): no branch could predict which of them spike, so that all
    /// changes under masks. Of plain neurons only those of some lanes are tested.
    ///
    /// # Safety
    /// The instructions are there; the counts of signed neurons can be read.
    #[inline(always)]
    pub unsafe fn test<K: Kind>(&self, v: L, counts: *const i32, lanes: L::Mask) -> Tested<L> {
        // SAFETY: the caller's promise.
        unsafe {
            let all = L::Mask::of(!0);
            if !K::SIGNED {
                let v = v.max(self.least_plain);
                let up = v.above(lanes, self.below_threshold);
                let after = self.after_plain(v, up);
                let again = after.above(up, self.below_threshold).any();
                return Tested { v: after, counts: v, up, down: L::Mask::of(0), again };
            }
            let up = v.above(all, self.below_threshold);
            let counts = L::load(counts);
            let down = v.below(counts.above(all, self.min_count), self.floor);
            let after = self.after::<K>(v, up, down);
            let again = self.again(after, up, down);
            Tested { v: after, counts: counts.change_by_one(down, up), up, down, again }
        }
    }

    /// Whether one of those that fired would once more, if its count lets it.
    #[inline(always)]
    pub unsafe fn again(&self, v: L, up: L::Mask, down: L::Mask) -> bool {
        // SAFETY: the caller's promise.
        unsafe { v.above(up, self.below_threshold).or(v.below(down, self.floor)).any() }
    }
}
